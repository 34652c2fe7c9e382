//! How keys look for people.
//!
//! Not here: choosing keys (`list`), what there is to show (`audit::rows`).

use crate::audit::rows::{GrantRow, KeyDetail};
use crate::cli::print::{Cell, Out, Paint, moment, moment_or};
use crate::cli::view::{View, org_label};
use crate::cli::{Done, Exit, Failure};
use crate::model::{Grant, KeyOwner, Tags};
use crate::state::{KeyRecord, KeyStatus, LastUsed};

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
        ("status", status_cell(view.status(key))),
        ("owner", Cell::from(owner(view, key))),
        ("org", Cell::from(org_label(&view.org))),
        ("label", Cell::from(&row.label)),
        ("description", Cell::from(&detail.description)),
        ("tags", Cell::from(tags(&detail.tags))),
        ("buckets", Cell::from(grants(&key.rights().grants))),
        ("policies", Cell::from(row.policies.join(", "))),
        ("inline policies", Cell::from(detail.inline_policies.keys().cloned().collect::<Vec<_>>().join(", "))),
        ("default allow", Cell::from(if detail.default_allow { "yes" } else { "" })),
        ("origin", Cell::from(&row.origin)),
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

pub fn status_cell(status: KeyStatus) -> Cell {
    let paint = match status {
        KeyStatus::Active => Paint::Good,
        KeyStatus::Rotating | KeyStatus::Inactive | KeyStatus::OrgSuspended => Paint::Warn,
        KeyStatus::Expired | KeyStatus::Revoked => Paint::Bad,
        KeyStatus::Deleted => Paint::Dim,
    };
    Cell::new(status.as_str(), paint)
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

pub fn grants(grants: &[Grant]) -> String {
    let shown: Vec<String> = GrantRow::all(grants).iter().map(|row| format!("{}={}", row.bucket, row.role)).collect();
    shown.join(" ")
}

pub fn tags(tags: &Tags) -> String {
    tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

pub fn last_used(used: Option<&LastUsed>) -> String {
    used.map_or_else(|| "never".to_owned(), |used| format!("{} {} {}", moment(used.at), used.service, used.region))
}

/// Nothing fits: an answer too.
pub fn none_found(out: &mut Out, what: &str) -> Result<Exit, Failure> {
    if !out.json {
        out.flush()?;
        eprintln!("no {what}");
    }
    Ok(Exit::Nothing)
}
