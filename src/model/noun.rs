//! What events, commands and states speak of: kinds, owners, roles, grants, settings.
//!
//! Invariants
//! - Part of what is encoded: an order of variants or members is never edited.
//!
//! Not here: what happened to them (`event`), ids (`id`).

use super::id::{BucketName, GroupUid, KeyUid, UserUid};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tags of a user, a policy or a key; keys are unique with regard to case.
pub type Tags = BTreeMap<CompactString, CompactString>;

/// Live orgs hold what we manage; evidence orgs what was imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OrgKind {
    Live,
    Evidence,
}

/// Whom an org belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OrgOwner {
    Operator,
    Provider { provider: CompactString, external_id: CompactString },
}

/// Settings of an org; `None` means the default named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OrgSettings {
    /// Four letters before generated ids; `NQAK`, and `AKIA` by the IAM dialect.
    pub key_prefix: Option<CompactString>,
    /// Keys a user by the IAM dialect; 2.
    pub iam_keys_per_user_max: Option<u32>,
    /// Keys a bucket by the Lightsail dialect; 2.
    pub lightsail_keys_per_bucket_max: Option<u32>,
    /// Keys a user or the org by any other dialect; unlimited.
    pub keys_per_owner_max: Option<u32>,
    /// Longest life of a new key; unlimited.
    pub key_lifetime_max_ns: Option<i64>,
    /// Expiry of a new key that names none; never.
    pub key_lifetime_default_ns: Option<i64>,
    /// Days after which the audits call a secret old; 90.
    pub rotation_days_max: Option<u32>,
    /// Unregistered buckets belong to this org.
    pub open_buckets: bool,
    /// Bytes of usage rollups a day; 256 MiB.
    pub usage_bytes_per_day: Option<u64>,
}

/// A user's role for management calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Role {
    Admin,
    #[default]
    Member,
    /// Reads and exports, writes nothing.
    Auditor,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Admin => "Admin",
            Role::Member => "Member",
            Role::Auditor => "Auditor",
        }
    }
}

/// What a bucket grant allows (`product.md` §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GrantRole {
    /// `s3:Get*` and `s3:List*`.
    ReadOnly,
    /// `s3:*`.
    Editor,
    /// Everything in the org; only on `*`.
    Admin,
}

impl GrantRole {
    pub fn as_str(self) -> &'static str {
        match self {
            GrantRole::ReadOnly => "ReadOnly",
            GrantRole::Editor => "Editor",
            GrantRole::Admin => "Admin",
        }
    }
}

/// A bucket, or all of the org's, and what may be done with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    /// `None` is `*`.
    pub bucket: Option<BucketName>,
    pub role: GrantRole,
}

/// Whose key it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KeyOwner {
    Org,
    User(UserUid),
    /// As in Lightsail.
    Bucket(BucketName),
}

/// Where a key came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KeyOrigin {
    /// Id and secret drawn here.
    Created,
    /// Id and secret brought from elsewhere.
    Imported,
    /// Known from evidence alone; its secret was never here.
    Evidence,
}

impl KeyOrigin {
    pub fn as_str(self) -> &'static str {
        match self {
            KeyOrigin::Created => "created",
            KeyOrigin::Imported => "imported",
            KeyOrigin::Evidence => "evidence",
        }
    }
}

/// What a policy is attached to, or what an inline policy belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Holder {
    User(UserUid),
    Group(GroupUid),
    Key(KeyUid),
}

impl Holder {
    /// The uid whatever its kind.
    pub fn bytes(&self) -> [u8; 16] {
        match self {
            Holder::User(uid) => uid.0,
            Holder::Group(uid) => uid.0,
            Holder::Key(uid) => uid.0,
        }
    }
}
