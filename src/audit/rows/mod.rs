//! Nouns as rows: what a list or a `show` says of an org, user, group, policy, bucket or key, by command line and API alike.
//!
//! A live org stands in the ledger's own state, an evidence org in the fold of its records; a [`View`] makes both alike, so that no
//! list forgets what was imported.
//!
//! Invariants
//! - Field names are part of what `--json` and the native API promise: fields are added, never renamed or removed.
//! - No row holds a secret.
//!
//! Not here: tables (`cli`), and which rows are asked for.

mod bucket;
mod group;
mod key;
mod moment;
mod org;
mod policy;
mod user;

pub use bucket::{BucketEntry, BucketRow};
pub use group::GroupRow;
pub use key::{GrantRow, KeyDetail, KeyFacts, KeyRow, LastUsedRow, SecretRow};
pub use moment::MomentRow;
pub use org::OrgRow;
pub use policy::{ManagedRow, PolicyRow, VersionRow};
pub use user::UserRow;

use crate::model::text::excerpt;
use crate::model::{AccessKeyId, AccountId, KeyOwner, KeyUid, OrgKind, PolicyUid, Time, uids};
use crate::policy::managed;
use crate::state::{GroupRecord, KeyRecord, KeyStatus, OrgRecord, PolicyRecord, State, UserRecord};
use std::borrow::Cow;
use std::sync::Arc;

/// A word of ours in a row: `Active`, `live`.
pub type Word = Cow<'static, str>;

/// One org and the state that holds it.
#[derive(Debug)]
pub struct View {
    pub state: State,
    pub org: Arc<OrgRecord>,
    /// The moment that status and ages are told for.
    pub now: Time,
}

/// An org has nothing of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("org {account} has no {noun} `{name}`; `keyledger {noun} list` shows those it has")]
pub struct Missing {
    pub account: AccountId,
    pub noun: &'static str,
    /// Escaped, at most 128 characters.
    pub name: String,
}

impl View {
    /// The view of a live org.
    pub fn of(state: &State, org: &Arc<OrgRecord>, now: Time) -> Self {
        Self { state: state.share(), org: Arc::clone(org), now }
    }

    pub fn is_evidence(&self) -> bool {
        self.org.kind == OrgKind::Evidence
    }

    /// `live` or `evidence`.
    fn kind(&self) -> Word {
        super::report::org_kind(self.org.kind).into()
    }

    /// The org's keys, deleted ones included, by id.
    pub fn keys(&self) -> Vec<KeyRecord> {
        self.state.keys_where(|key| key.org() == self.org.org)
    }

    /// The org's key of this id.
    pub fn key(&self, id: &str) -> Option<KeyRecord> {
        if self.is_evidence() {
            let uid = AccessKeyId::uid_of(id, crate::model::id::World::Evidence);
            return self.state.key_by_uid(uid).filter(|key| key.id.as_str() == id);
        }
        self.state.key(id).filter(|key| key.org == self.org.org)
    }

    pub fn status(&self, key: &KeyRecord) -> KeyStatus {
        key.status(self.now, self.org.suspended)
    }

    /// The name of a user's key's owner.
    pub fn user_name(&self, key: &KeyRecord) -> Option<String> {
        match &key.owner {
            KeyOwner::User(user) => self.state.user(*user).map(|user| user.name.to_string()),
            _ => None,
        }
    }

    pub fn key_name(&self, key: KeyUid) -> String {
        self.state.key_by_uid(key).map_or_else(|| key.to_string(), |key| key.id.to_string())
    }

    pub fn policy_name(&self, policy: PolicyUid) -> String {
        if let Some(policy) = self.state.policy(policy) {
            return policy.name.to_string();
        }
        // One of those that exist in every org is in no state.
        let managed = managed::ALL.iter().find(|managed| uids::policy(managed.arn) == policy);
        managed.map_or_else(|| policy.to_string(), |managed| managed.name.to_owned())
    }

    pub fn policy_names<'a>(&self, policies: impl IntoIterator<Item = &'a PolicyUid>) -> Vec<String> {
        policies.into_iter().map(|policy| self.policy_name(*policy)).collect()
    }

    /// The user of this name.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn user(&self, name: &str) -> Result<Arc<UserRecord>, Missing> {
        self.state.user_by_name(self.org.org, name).cloned().ok_or_else(|| self.missing("user", name))
    }

    /// The group of this name.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn group(&self, name: &str) -> Result<Arc<GroupRecord>, Missing> {
        self.state.group_by_name(self.org.org, name).cloned().ok_or_else(|| self.missing("group", name))
    }

    /// The policy of this name or ARN.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn policy(&self, name: &str) -> Result<Arc<PolicyRecord>, Missing> {
        let short = name.rsplit('/').next().filter(|_| name.starts_with("arn:")).unwrap_or(name);
        self.state.policy_by_name(self.org.org, short).cloned().ok_or_else(|| self.missing("policy", name))
    }

    fn missing(&self, noun: &'static str, name: &str) -> Missing {
        Missing { account: self.org.account, noun, name: excerpt(name, 128) }
    }
}
