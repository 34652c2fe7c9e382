//! A policy as it is shown, its versions, and those that exist in every org.

use super::{View, Word};
use crate::model::{Holder, Tags};
use crate::policy::managed::Managed;
use crate::state::{PolicyRecord, PolicyVersion};
use serde::{Deserialize, Serialize};

/// A policy as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct PolicyRow {
    pub policy_name: String,
    pub policy_id: String,
    pub path: String,
    pub description: String,
    pub created_at: Option<String>,
    pub updated_at: Option<String>,
    /// 12 digits.
    pub account_id: String,
    /// `live`, or `evidence` of imported records.
    pub org: Word,
    #[cfg_attr(feature = "server", schemars(with = "std::collections::BTreeMap<String, String>"))]
    pub tags: Tags,
    /// `v1` and so on.
    pub versions: Vec<String>,
    pub default_version: String,
    /// The document in force; null when it is not in evidence.
    pub document: Option<String>,
    pub users: Vec<String>,
    pub groups: Vec<String>,
    pub keys: Vec<String>,
    /// The commit that changed it last: what an expected version is compared with.
    pub changed_seq: u64,
}

impl PolicyRow {
    pub fn of(view: &View, policy: &PolicyRecord) -> Self {
        let (mut users, mut groups, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let holders = view.state.holders(policy.policy);
        for holder in &holders {
            match holder {
                Holder::User(uid) => users.extend(view.state.user(*uid).map(|user| user.name.to_string())),
                Holder::Group(uid) => groups.extend(view.state.group(*uid).map(|group| group.name.to_string())),
                Holder::Key(uid) => keys.push(view.key_name(*uid)),
            }
        }
        for names in [&mut users, &mut groups, &mut keys] {
            names.sort();
        }
        Self {
            policy_name: policy.name.to_string(),
            policy_id: policy.policy.to_string(),
            path: policy.path.to_string(),
            description: policy.description.to_string(),
            created_at: policy.created_at.map(|at| at.to_string()),
            updated_at: policy.updated_at.map(|at| at.to_string()),
            account_id: view.org.account.to_string(),
            org: view.kind(),
            tags: policy.tags.clone(),
            versions: policy.versions.iter().map(|version| format!("v{}", version.version)).collect(),
            default_version: format!("v{}", policy.default_version),
            document: policy.document().filter(|text| !text.is_empty()).map(ToString::to_string),
            users,
            groups,
            keys,
            changed_seq: policy.changed.0,
        }
    }
}

/// One version of a policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct VersionRow {
    pub policy_name: String,
    /// `v1` and so on.
    pub version: String,
    pub is_default: bool,
    pub created_at: Option<String>,
    /// Null when it is not in evidence.
    pub document: Option<String>,
}

impl VersionRow {
    pub fn of(policy: &PolicyRecord, version: &PolicyVersion) -> Self {
        Self {
            policy_name: policy.name.to_string(),
            version: format!("v{}", version.version),
            is_default: version.version == policy.default_version,
            created_at: version.created_at.map(|at| at.to_string()),
            document: Some(version.document.to_string()).filter(|text| !text.is_empty()),
        }
    }
}

/// A policy of AWS's own that exists in every org.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct ManagedRow {
    pub policy_name: Word,
    pub arn: Word,
    pub description: Word,
    pub document: Option<Word>,
    pub managed: bool,
}

impl ManagedRow {
    pub fn of(managed: &Managed) -> Self {
        Self {
            policy_name: managed.name.into(),
            arn: managed.arn.into(),
            description: managed.about.into(),
            document: managed.document.map(Into::into),
            managed: true,
        }
    }
}
