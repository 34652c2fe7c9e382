//! What a new key shall be, and what of a key's rights shall change.
//!
//! Not here: the commands that carry these (`command`).

use super::PolicyRef;
use crate::model::{AccessKeyId, BucketName, Grant, Tags, Time};
use crate::vault::SecretKey;
use compact_str::CompactString;
use serde::Serialize;
use std::sync::Arc;

/// Whose a new key shall be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub enum OwnerName {
    #[default]
    Org,
    User(CompactString),
    /// As in Lightsail: the key gets Editor on the bucket unless grants are named.
    Bucket(BucketName),
    /// The user of this external id; [`Command::CreateKeyWith`] makes one where there is none.
    External(CompactString),
}

/// What a new key shall be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CreateAccessKey {
    pub owner: OwnerName,
    pub label: CompactString,
    pub description: CompactString,
    pub tags: Tags,
    /// In any order, doubled or not; Admin only on `*`.
    pub grants: Vec<Grant>,
    /// Attached in the same commit; one unknown name refuses the key.
    pub policies: Vec<PolicyRef>,
    /// Create and list buckets without a policy that says so.
    pub default_allow: bool,
    /// `None`: the org's default, else never.
    pub expires_at: Option<Time>,
}

/// A key made elsewhere.
#[derive(Debug, Clone, Serialize)]
pub struct ImportAccessKey {
    pub access_key_id: AccessKeyId,
    #[serde(skip)]
    pub secret: Arc<SecretKey>,
    pub key: CreateAccessKey,
}

/// A policy that is made together with the key it is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewPolicy {
    pub name: CompactString,
    pub description: CompactString,
    pub document: Arc<str>,
}

/// A key, and what is made in the same commit: all of it or none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CreateKeyWith {
    pub key: CreateAccessKey,
    /// Attached to the key beside those it names; a name that is taken refuses everything.
    pub policies: Vec<NewPolicy>,
    /// Registered to the org; one of the org's already is fine.
    pub bucket: Option<BucketName>,
    /// No second key where the owner has a usable one of this label and these grants.
    pub once: bool,
}

/// What of a key's rights shall change, all of it in one commit; `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct UpdateKeyRights {
    /// Replaces all grants.
    pub grants: Option<Vec<Grant>>,
    pub default_allow: Option<bool>,
    /// Detached first; what is not attached is passed over.
    pub remove: Vec<PolicyRef>,
    /// What is attached already is passed over.
    pub add: Vec<PolicyRef>,
}
