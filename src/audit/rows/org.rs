//! An org as it is shown.

use super::{View, Word};
use crate::model::{OrgKind, OrgOwner, OrgSettings};
use crate::state::State;
use serde::{Deserialize, Serialize};

/// An org as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct OrgRow {
    /// 12 digits.
    pub account_id: String,
    pub name: String,
    /// `live`, or `evidence` of imported records.
    pub org: Word,
    pub alias: Option<String>,
    pub suspended: bool,
    pub owner: String,
    pub created_at: Option<String>,
    pub users: u64,
    pub groups: u64,
    pub policies: u64,
    pub buckets: u64,
    /// Deleted ones included.
    pub keys: u64,
    pub usable_keys: u64,
    #[cfg_attr(feature = "server", schemars(with = "serde_json::Map<String, serde_json::Value>"))]
    pub settings: OrgSettings,
    /// Imported records.
    pub records: Option<u64>,
    pub first_record_at: Option<String>,
    pub last_record_at: Option<String>,
    /// The commit that changed it last: what an expected version is compared with.
    pub changed_seq: u64,
}

impl OrgRow {
    /// Looks at every key there is.
    pub fn of(view: &View, whole: &State) -> Self {
        let (org, state) = (&view.org, &view.state);
        let evidence = whole.evidence(org.org);
        let span = evidence.and_then(|evidence| evidence.span());
        let (mut keys, mut usable) = (0, 0);
        state.for_each_key(|key| {
            if key.org() == org.org {
                keys += 1;
                usable += u64::from(key.status(view.now, org.suspended).is_usable());
            }
        });
        Self {
            account_id: org.account.to_string(),
            name: org.name.to_string(),
            org: view.kind(),
            alias: org.alias.as_ref().map(ToString::to_string),
            suspended: org.suspended,
            owner: match &org.owner {
                OrgOwner::Operator => "operator".to_owned(),
                OrgOwner::Provider { provider, external_id } => format!("provider {provider} ({external_id})"),
            },
            created_at: (org.kind == OrgKind::Live).then(|| org.created_at.to_string()),
            users: state.users(org.org, None).count() as u64,
            groups: state.groups(org.org, None).count() as u64,
            policies: state.policies(org.org, None).count() as u64,
            buckets: state.buckets_of(org.org, None).count() as u64,
            keys,
            usable_keys: usable,
            settings: org.settings.clone(),
            records: evidence.map(|evidence| evidence.records()),
            first_record_at: span.map(|(first, _)| first.to_string()),
            last_record_at: span.map(|(_, last)| last.to_string()),
            changed_seq: org.changed.0,
        }
    }
}
