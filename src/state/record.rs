//! What a state holds of each noun but keys.
//!
//! Records are immutable: a change makes a new one. What is only shown of a noun stays in the log (documents' authors, actors).
//!
//! Not here: keys, of which there are millions (`key`), and changing records (`nouns`).

use super::document::PolicyText;
use crate::model::{
    AccountId, EventId, GroupUid, Holder, KeyUid, OrgKind, OrgOwner, OrgSettings, OrgUid, PolicyUid, Role, Seq, Tags,
    Time, UserUid,
};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An org.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgRecord {
    pub org: OrgUid,
    pub account: AccountId,
    pub kind: OrgKind,
    pub name: CompactString,
    pub alias: Option<CompactString>,
    pub owner: OrgOwner,
    pub suspended: bool,
    pub settings: OrgSettings,
    pub created_at: Time,
    /// The commit that changed it last: what an expected-version precondition is compared with.
    pub changed: Seq,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    pub user: UserUid,
    pub org: OrgUid,
    pub name: CompactString,
    pub path: CompactString,
    pub role: Role,
    pub external_id: Option<CompactString>,
    pub tags: Tags,
    pub inline: BTreeMap<CompactString, PolicyText>,
    pub attached: BTreeSet<PolicyUid>,
    pub boundary: Option<PolicyUid>,
    pub groups: BTreeSet<GroupUid>,
    /// None: older than the evidence.
    pub created_at: Option<Time>,
    pub deleted_at: Option<Time>,
    pub changed: Seq,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    pub group: GroupUid,
    pub org: OrgUid,
    pub name: CompactString,
    pub path: CompactString,
    pub members: BTreeSet<UserUid>,
    pub inline: BTreeMap<CompactString, PolicyText>,
    pub attached: BTreeSet<PolicyUid>,
    pub created_at: Option<Time>,
    pub deleted_at: Option<Time>,
    pub changed: Seq,
}

/// One version of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// 1 is shown as `v1`.
    pub version: u32,
    /// The document as it was given; empty when it is not in evidence.
    pub document: PolicyText,
    pub created_at: Option<Time>,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    pub policy: PolicyUid,
    pub org: OrgUid,
    pub name: CompactString,
    pub path: CompactString,
    pub description: CompactString,
    pub tags: Tags,
    /// In order of version; deleted ones are gone.
    pub versions: Vec<PolicyVersion>,
    pub default_version: u32,
    /// What the next version will be called; versions are never reused.
    pub next_version: u32,
    pub created_at: Option<Time>,
    pub updated_at: Option<Time>,
    pub deleted_at: Option<Time>,
    pub changed: Seq,
}

impl PolicyRecord {
    /// The document in force.
    pub fn document(&self) -> Option<&PolicyText> {
        self.versions.iter().find(|v| v.version == self.default_version).map(|v| &v.document)
    }
}

/// A provider (Partner API).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderRecord {
    pub provider: CompactString,
    #[serde(with = "crate::model::bytes")]
    pub key_hash: [u8; 32],
    pub explicit_orgs: bool,
    pub created_at: Time,
}

/// An opened API token or console session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    pub key: KeyUid,
    pub expires_at: Time,
}

/// An idempotency token seen in the last 24 h.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSeen {
    pub seq: Seq,
    #[serde(with = "crate::model::bytes")]
    pub body_hash: [u8; 16],
    pub forget_at: Time,
}

/// A finding that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingRecord {
    pub finding: CompactString,
    pub key: Option<KeyUid>,
    pub detail: CompactString,
    pub raised: EventId,
    pub at: Time,
}

/// Users and groups that hold a policy, sorted.
pub(super) type FewHolders = imbl::OrdSet<Holder>;
