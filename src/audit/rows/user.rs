//! A user as it is shown.

use super::{View, Word};
use crate::model::{KeyOwner, Tags};
use crate::state::{OwnerRef, UserRecord};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A user as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct UserRow {
    pub user_name: String,
    pub user_id: String,
    pub path: String,
    /// `Admin`, `Member` or `Auditor`.
    pub role: Word,
    pub created_at: Option<String>,
    pub deleted_at: Option<String>,
    /// 12 digits.
    pub account_id: String,
    /// `live`, or `evidence` of imported records.
    pub org: Word,
    pub external_id: Option<String>,
    #[cfg_attr(feature = "server", schemars(with = "BTreeMap<String, String>"))]
    pub tags: Tags,
    pub groups: Vec<String>,
    pub policies: Vec<String>,
    pub inline_policies: BTreeMap<String, String>,
    pub permissions_boundary: Option<String>,
    /// Access key ids that are not deleted.
    pub keys: Vec<String>,
    /// The commit that changed it last: what an expected version is compared with.
    pub changed_seq: u64,
}

impl UserRow {
    pub fn of(view: &View, user: &UserRecord) -> Self {
        let keys = view.state.keys_of(&OwnerRef::of(user.org, &KeyOwner::User(user.user)));
        let group = |uid| view.state.group(uid).map(|group| group.name.to_string());
        let mut keys: Vec<String> = keys.iter().map(|key| view.key_name(*key)).collect();
        keys.sort();
        Self {
            user_name: user.name.to_string(),
            user_id: user.user.to_string(),
            path: user.path.to_string(),
            role: user.role.as_str().into(),
            created_at: user.created_at.map(|at| at.to_string()),
            deleted_at: user.deleted_at.map(|at| at.to_string()),
            account_id: view.org.account.to_string(),
            org: view.kind(),
            external_id: user.external_id.as_ref().map(ToString::to_string),
            tags: user.tags.clone(),
            groups: user.groups.iter().filter_map(|uid| group(*uid)).collect(),
            policies: view.policy_names(&user.attached),
            inline_policies: user.inline.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect(),
            permissions_boundary: user.boundary.map(|policy| view.policy_name(policy)),
            keys,
            changed_seq: user.changed.0,
        }
    }
}
