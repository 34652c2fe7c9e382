//! Everything of a state but its keys: persistent maps, so that a past version costs nothing while it is held.
//!
//! Not here: keys (`table`), what changes a root (`apply`).

use super::evidence::Evidence;
use super::index::{KeyIndex, Numbers};
use super::record::{
    FewHolders, FindingRecord, GroupRecord, OrgRecord, PolicyRecord, ProviderRecord, TokenRecord, TokenSeen, UserRecord,
};
use crate::model::{AccountId, BucketName, GroupUid, KeyUid, OrgUid, PolicyUid, Seq, Time, UserUid};
use compact_str::CompactString;
use imbl::{OrdMap, OrdSet};
use std::sync::Arc;

/// Names are unique in an org without regard to case.
pub(super) type NameKey = (OrgUid, CompactString);

/// The small nouns at one seq.
#[derive(Debug, Clone, Default)]
pub(super) struct Root {
    pub seq: Seq,
    /// The guarded time of the newest commit.
    pub recorded_at: Time,
    pub orgs: OrdMap<OrgUid, Arc<OrgRecord>>,
    pub accounts: OrdMap<AccountId, OrgUid>,
    pub provider_orgs: OrdMap<(CompactString, CompactString), OrgUid>,
    pub providers: OrdMap<CompactString, Arc<ProviderRecord>>,
    pub users: OrdMap<UserUid, Arc<UserRecord>>,
    pub user_names: OrdMap<NameKey, UserUid>,
    pub external_users: OrdMap<NameKey, UserUid>,
    pub groups: OrdMap<GroupUid, Arc<GroupRecord>>,
    pub group_names: OrdMap<NameKey, GroupUid>,
    pub policies: OrdMap<PolicyUid, Arc<PolicyRecord>>,
    pub policy_names: OrdMap<NameKey, PolicyUid>,
    /// Users and groups by the policy they hold; of keys see `index`.
    pub attached: OrdMap<PolicyUid, FewHolders>,
    pub buckets: OrdMap<BucketName, OrgUid>,
    pub numbers: Numbers,
    /// Only of a published state.
    pub index: Option<KeyIndex>,
    pub tokens: OrdMap<[u8; 32], TokenRecord>,
    pub sessions: OrdMap<[u8; 32], TokenRecord>,
    /// Idempotency tokens by (scope, token); see [`super::token_scope`].
    pub seen: OrdMap<(CompactString, CompactString), TokenSeen>,
    pub seen_until: OrdSet<(Time, CompactString, CompactString)>,
    pub findings: OrdMap<(CompactString, Option<KeyUid>), FindingRecord>,
    pub evidence: OrdMap<OrgUid, Arc<Evidence>>,
    /// A restored ledger keeps every key quarantined until the restore is accepted.
    pub restored: Option<Seq>,
}

/// How names are compared: ASCII letters without regard to case (IAM User Guide, "IAM identifiers").
pub(super) fn folded(name: &str) -> CompactString {
    let mut name = CompactString::new(name);
    name.make_ascii_lowercase();
    name
}
