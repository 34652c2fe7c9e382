//! A key as it is shown: the row of a list, and all of it.
//!
//! Not here: choosing keys, and the secret itself.

use super::{View, Word};
use crate::model::{Grant, KeyOwner, Tags, Time};
use crate::state::{KeyRecord, LastUsed, Marks, SecretRecord};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// When and for what a key was last used.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct LastUsedRow {
    pub date: String,
    pub service: String,
    pub region: String,
}

/// A bucket grant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct GrantRow {
    /// `*` for every bucket of the org.
    pub bucket: String,
    pub role: Word,
}

/// What every list of keys says, in the order of its fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct KeyRow {
    pub access_key_id: String,
    #[serde(flatten)]
    pub facts: KeyFacts,
}

/// A key's row without its id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct KeyFacts {
    pub user_name: Option<String>,
    pub status: Word,
    pub created_at: Option<String>,
    pub last_used: Option<LastUsedRow>,
    /// 12 digits.
    pub account_id: String,
    /// `live`, or `evidence` of imported records.
    pub org: Word,
    /// `user`, `bucket` or `org`.
    pub owner: Word,
    /// The bucket that owns it, as in Lightsail.
    pub owner_bucket: Option<String>,
    pub label: String,
    pub buckets: Vec<GrantRow>,
    pub policies: Vec<String>,
    pub expires_at: Option<String>,
    /// `created`, `imported` or `evidence`.
    pub origin: Word,
    pub secret_set_at: Option<String>,
    pub flagged: bool,
    pub quarantined: bool,
    pub temporary: bool,
}

impl KeyRow {
    pub fn of(view: &View, key: &KeyRecord) -> Self {
        Self { access_key_id: key.id.to_string(), facts: KeyFacts::of(view, key) }
    }
}

impl KeyFacts {
    pub fn of(view: &View, key: &KeyRecord) -> Self {
        let more = key.more();
        let time = |time: Option<Time>| time.map(|time| time.to_string());
        Self {
            user_name: view.user_name(key),
            status: view.status(key).as_str().into(),
            created_at: time(key.created_at()),
            last_used: more.last_used.as_ref().map(last_used_row),
            account_id: view.org.account.to_string(),
            org: view.kind(),
            owner: owner_kind(&key.owner).into(),
            owner_bucket: match &key.owner {
                KeyOwner::Bucket(bucket) => Some(bucket.as_str().to_owned()),
                _ => None,
            },
            label: key.label.to_string(),
            buckets: GrantRow::all(&key.rights().grants),
            policies: view.policy_names(&key.rights().attached),
            expires_at: time(key.expires_at()),
            origin: key.origin().as_str().into(),
            secret_set_at: time((key.secret_set_at != Time::MIN).then_some(key.secret_set_at)),
            flagged: more.flag.is_some(),
            quarantined: more.flag.as_ref().is_some_and(|flag| flag.quarantine) || view.state.restored().is_some(),
            temporary: key.id.is_temporary(),
        }
    }
}

impl GrantRow {
    pub fn all(grants: &[Grant]) -> Vec<Self> {
        let row = |grant: &Grant| Self {
            bucket: grant.bucket.as_ref().map_or_else(|| "*".to_owned(), |bucket| bucket.as_str().to_owned()),
            role: grant.role.as_str().into(),
        };
        grants.iter().map(row).collect()
    }
}

/// One secret version of a key, never the secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct SecretRow {
    pub version: u32,
    pub set_at: String,
    pub usable_until: Option<String>,
    /// `usable`, `past its deadline`, `retired` or `shredded`.
    pub state: Word,
}

/// All that the state knows of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct KeyDetail {
    #[serde(flatten)]
    pub row: KeyRow,
    pub description: String,
    #[cfg_attr(feature = "server", schemars(with = "BTreeMap<String, String>"))]
    pub tags: Tags,
    pub inline_policies: BTreeMap<String, String>,
    pub default_allow: bool,
    pub secrets: Vec<SecretRow>,
    pub replaces: Option<String>,
    pub replaced_by: Option<String>,
    pub made_by: Option<String>,
    pub first_used: Option<String>,
    pub suspended_at: Option<String>,
    pub revoked_at: Option<String>,
    pub deleted_at: Option<String>,
    pub flag_note: Option<String>,
    pub first_seq: u64,
    /// The commit that changed it last: what an expected version is compared with.
    pub changed_seq: u64,
}

impl KeyDetail {
    pub fn of(view: &View, key: &KeyRecord) -> Self {
        let more = key.more();
        let time = |time: Option<Time>| time.map(|time| time.to_string());
        let name = |uid| view.key_name(uid);
        let inline = key.rights().inline.iter();
        Self {
            row: KeyRow::of(view, key),
            description: more.description.to_string(),
            tags: more.tags.clone(),
            inline_policies: inline.map(|(name, text)| (name.to_string(), text.to_string())).collect(),
            default_allow: key.marks.has(Marks::DEFAULT_ALLOW),
            secrets: key.secrets().map(|secret| SecretRow::of(secret, view.now)).collect(),
            replaces: more.links.replaces.map(name),
            replaced_by: more.links.replaced_by.map(name),
            made_by: more.made_by.map(name),
            first_used: time(more.first_used),
            suspended_at: time(more.suspended_at),
            revoked_at: time(key.revoked_at()),
            deleted_at: time(key.deleted_at()),
            flag_note: more.flag.as_ref().map(|flag| flag.note.to_string()),
            first_seq: key.first.0,
            changed_seq: key.changed.0,
        }
    }
}

impl SecretRow {
    fn of(secret: SecretRecord, now: Time) -> Self {
        let state = if secret.shredded {
            "shredded"
        } else if secret.retired {
            "retired"
        } else if now >= secret.deadline {
            "past its deadline"
        } else {
            "usable"
        };
        let until = (secret.deadline != Time::MAX && state == "usable").then(|| secret.deadline.to_string());
        Self { version: secret.version, set_at: secret.set_at.to_string(), usable_until: until, state: state.into() }
    }
}

fn owner_kind(owner: &KeyOwner) -> &'static str {
    match owner {
        KeyOwner::Org => "org",
        KeyOwner::User(_) => "user",
        KeyOwner::Bucket(_) => "bucket",
    }
}

fn last_used_row(used: &LastUsed) -> LastUsedRow {
    LastUsedRow { date: used.at.to_string(), service: used.service.to_string(), region: used.region.to_string() }
}
