//! A key as it is shown: the row of a list, and all of it.
//!
//! Not here: choosing keys (`list`).

use crate::cli::print::{Cell, Out, Paint, moment, moment_or};
use crate::cli::view::{View, org_label};
use crate::cli::{Done, Exit, Failure};
use crate::model::{Grant, KeyOwner, Tags, Time};
use crate::state::{KeyRecord, KeyStatus, LastUsed, SecretRecord};
use serde::Serialize;
use std::collections::BTreeMap;

/// When and for what a key was last used.
#[derive(Debug, Serialize)]
pub struct LastUsedRow {
    pub date: String,
    pub service: String,
    pub region: String,
}

/// A bucket grant.
#[derive(Debug, Clone, Serialize)]
pub struct GrantRow {
    /// `*` for every bucket of the org.
    pub bucket: String,
    pub role: &'static str,
}

/// What every list of keys says, in the order of its fields.
#[derive(Debug, Serialize)]
pub struct KeyRow {
    pub access_key_id: String,
    #[serde(flatten)]
    pub facts: KeyFacts,
}

/// A key's row without its id.
#[derive(Debug, Serialize)]
pub struct KeyFacts {
    pub user_name: Option<String>,
    pub status: &'static str,
    pub created_at: Option<String>,
    pub last_used: Option<LastUsedRow>,
    /// 12 digits.
    pub account_id: String,
    /// `live`, or `evidence` of imported records.
    pub org: &'static str,
    /// `user`, `bucket` or `org`.
    pub owner: &'static str,
    /// The bucket that owns it, as in Lightsail.
    pub owner_bucket: Option<String>,
    pub label: String,
    pub buckets: Vec<GrantRow>,
    pub policies: Vec<String>,
    pub expires_at: Option<String>,
    /// `created`, `imported` or `evidence`.
    pub origin: &'static str,
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
            status: status(view, key).as_str(),
            created_at: time(key.created_at()),
            last_used: more.last_used.as_ref().map(last_used_row),
            account_id: view.org.account.to_string(),
            org: if view.is_evidence() { "evidence" } else { "live" },
            owner: owner_kind(&key.owner),
            owner_bucket: match &key.owner {
                KeyOwner::Bucket(bucket) => Some(bucket.as_str().to_owned()),
                _ => None,
            },
            label: key.label.to_string(),
            buckets: grant_rows(&key.rights().grants),
            policies: view.policy_names(&key.rights().attached),
            expires_at: time(key.expires_at()),
            origin: key.origin().as_str(),
            secret_set_at: time((key.secret_set_at != Time::MIN).then_some(key.secret_set_at)),
            flagged: more.flag.is_some(),
            quarantined: more.flag.as_ref().is_some_and(|flag| flag.quarantine) || view.state.restored().is_some(),
            temporary: key.id.is_temporary(),
        }
    }
}

/// One secret version of a key, never the secret.
#[derive(Debug, Serialize)]
struct SecretRow {
    version: u32,
    set_at: String,
    usable_until: Option<String>,
    state: &'static str,
}

/// All that the state knows of a key.
#[derive(Debug, Serialize)]
pub struct KeyDetail {
    #[serde(flatten)]
    row: KeyRow,
    description: String,
    tags: Tags,
    inline_policies: BTreeMap<String, String>,
    default_allow: bool,
    secrets: Vec<SecretRow>,
    replaces: Option<String>,
    replaced_by: Option<String>,
    made_by: Option<String>,
    first_used: Option<String>,
    suspended_at: Option<String>,
    revoked_at: Option<String>,
    deleted_at: Option<String>,
    flag_note: Option<String>,
    first_seq: u64,
    changed_seq: u64,
}

impl KeyDetail {
    pub fn of(view: &View, key: &KeyRecord) -> Self {
        let more = key.more();
        let time = |time: Option<Time>| time.map(|time| time.to_string());
        let name = |uid| view.key_name(uid);
        Self {
            row: KeyRow::of(view, key),
            description: more.description.to_string(),
            tags: more.tags.clone(),
            inline_policies: key
                .rights()
                .inline
                .iter()
                .map(|(name, text)| (name.to_string(), text.to_string()))
                .collect(),
            default_allow: key.marks.has(crate::state::Marks::DEFAULT_ALLOW),
            secrets: key.secrets().map(|secret| secret_row(secret, view.now)).collect(),
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

/// Prints all of a key.
pub fn print_detail(out: &mut Out, view: &View, key: &KeyRecord) -> Done {
    let detail = KeyDetail::of(view, key);
    if out.json {
        out.json(&detail)?;
        return Ok(Exit::Done);
    }
    let row = &detail.row.facts;
    let text = |text: &Option<String>| Cell::from(text.as_deref().unwrap_or_default());
    let flag = match (&detail.flag_note, row.quarantined) {
        (None, false) => String::new(),
        (note, quarantined) => {
            let note = note.as_deref().unwrap_or("restored and not accepted yet");
            if quarantined { format!("{note} (quarantined: reads only)") } else { note.to_owned() }
        }
    };
    out.fields(&[
        ("access key id", Cell::new(&detail.row.access_key_id, Paint::Bold)),
        ("status", status_cell(status(view, key))),
        ("owner", Cell::from(owner(view, key))),
        ("org", Cell::from(org_label(&view.org))),
        ("label", Cell::from(&row.label)),
        ("description", Cell::from(&detail.description)),
        ("tags", Cell::from(tags(&detail.tags))),
        ("buckets", Cell::from(grants(&key.rights().grants))),
        ("policies", Cell::from(row.policies.join(", "))),
        ("inline policies", Cell::from(detail.inline_policies.keys().cloned().collect::<Vec<_>>().join(", "))),
        ("default allow", Cell::from(if detail.default_allow { "yes" } else { "" })),
        ("origin", Cell::from(row.origin)),
        ("created", Cell::from(moment_or(key.created_at(), "before the evidence begins"))),
        ("made by", text(&detail.made_by)),
        ("expires", Cell::from(key.expires_at().map(moment).unwrap_or_default())),
        ("first used", Cell::from(key.more().first_used.map(moment).unwrap_or_default())),
        ("last used", Cell::from(last_used(key.more().last_used.as_ref()))),
        ("replaces", text(&detail.replaces)),
        ("replaced by", text(&detail.replaced_by)),
        ("suspended", text(&detail.suspended_at)),
        ("revoked", text(&detail.revoked_at)),
        ("deleted", text(&detail.deleted_at)),
        ("flag", Cell::new(flag, Paint::Bad)),
    ])?;
    for secret in &detail.secrets {
        let until = secret.usable_until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default();
        out.line(format!("secret v{}: set {}, {}{until}", secret.version, secret.set_at, secret.state))?;
    }
    Ok(Exit::Done)
}

pub fn status(view: &View, key: &KeyRecord) -> KeyStatus {
    key.status(view.now, view.org.suspended)
}

pub fn status_cell(status: KeyStatus) -> Cell {
    let paint = match status {
        KeyStatus::Active => Paint::Good,
        KeyStatus::Rotating | KeyStatus::Inactive | KeyStatus::OrgSuspended => Paint::Warn,
        KeyStatus::Expired | KeyStatus::Revoked => Paint::Bad,
        KeyStatus::Deleted => Paint::Dim,
    };
    Cell::new(status.as_str(), paint)
}

pub fn owner_kind(owner: &KeyOwner) -> &'static str {
    match owner {
        KeyOwner::Org => "org",
        KeyOwner::User(_) => "user",
        KeyOwner::Bucket(_) => "bucket",
    }
}

/// Whose key it is, for people.
pub fn owner(view: &View, key: &KeyRecord) -> String {
    match &key.owner {
        KeyOwner::Org if key.id.is_temporary() => {
            let acts_as = &key.more().description;
            if acts_as.is_empty() { "temporary".to_owned() } else { format!("temporary, as {acts_as}") }
        }
        KeyOwner::Org if view.is_evidence() => "account".to_owned(),
        KeyOwner::Org => "org".to_owned(),
        KeyOwner::User(_) => view.user_name(key).unwrap_or_default(),
        KeyOwner::Bucket(bucket) => format!("bucket {}", bucket.as_str()),
    }
}

pub fn grant_rows(grants: &[Grant]) -> Vec<GrantRow> {
    let row = |grant: &Grant| GrantRow {
        bucket: grant.bucket.as_ref().map_or_else(|| "*".to_owned(), |bucket| bucket.as_str().to_owned()),
        role: grant.role.as_str(),
    };
    grants.iter().map(row).collect()
}

pub fn grants(grants: &[Grant]) -> String {
    let shown: Vec<String> = grant_rows(grants).iter().map(|row| format!("{}={}", row.bucket, row.role)).collect();
    shown.join(" ")
}

pub fn tags(tags: &Tags) -> String {
    tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

fn last_used_row(used: &LastUsed) -> LastUsedRow {
    LastUsedRow { date: used.at.to_string(), service: used.service.to_string(), region: used.region.to_string() }
}

pub fn last_used(used: Option<&LastUsed>) -> String {
    used.map_or_else(|| "never".to_owned(), |used| format!("{} {} {}", moment(used.at), used.service, used.region))
}

fn secret_row(secret: SecretRecord, now: Time) -> SecretRow {
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
    SecretRow { version: secret.version, set_at: secret.set_at.to_string(), usable_until: until, state }
}

/// Nothing fits: an answer too.
pub fn none_found(out: &mut Out, what: &str) -> Result<Exit, Failure> {
    if !out.json {
        out.flush()?;
        eprintln!("no {what}");
    }
    Ok(Exit::Nothing)
}
