//! A group as it is shown.

use super::{View, Word};
use crate::state::GroupRecord;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A group as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct GroupRow {
    pub group_name: String,
    pub group_id: String,
    pub path: String,
    pub created_at: Option<String>,
    /// 12 digits.
    pub account_id: String,
    /// `live`, or `evidence` of imported records.
    pub org: Word,
    pub members: Vec<String>,
    pub policies: Vec<String>,
    pub inline_policies: BTreeMap<String, String>,
    /// The commit that changed it last: what an expected version is compared with.
    pub changed_seq: u64,
}

impl GroupRow {
    pub fn of(view: &View, group: &GroupRecord) -> Self {
        let user = |uid| view.state.user(uid).map(|user| user.name.to_string());
        let mut members: Vec<String> = group.members.iter().filter_map(|uid| user(*uid)).collect();
        members.sort();
        Self {
            group_name: group.name.to_string(),
            group_id: group.group.to_string(),
            path: group.path.to_string(),
            created_at: group.created_at.map(|at| at.to_string()),
            account_id: view.org.account.to_string(),
            org: view.kind(),
            members,
            policies: view.policy_names(&group.attached),
            inline_policies: group.inline.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect(),
            changed_seq: group.changed.0,
        }
    }
}
