//! How keys look for people.
//!
//! Not here: choosing keys (`list`), what there is to show (`audit::rows`).

use crate::audit::rows::{GrantRow, KeyDetail};
use crate::cli::print::{Cell, Out, Paint, aside, moment};
use crate::cli::view::View;
use crate::cli::{Done, Exit, Failure};
use crate::model::{Grant, KeyOwner, Tags, Time};
use crate::state::{KeyRecord, KeyStatus, LastUsed};

/// Prints all of a key.
pub fn print_detail(out: &mut Out, detail: &KeyDetail) -> Done {
    if out.json {
        out.json(detail)?;
        return Ok(Exit::Done);
    }
    let row = &detail.row.facts;
    let text = |text: &Option<String>| Cell::from(text.as_deref().unwrap_or_default());
    let time = |text: &Option<String>| {
        let time = text.as_deref().and_then(|text| Time::parse(text).ok());
        Cell::from(time.map(moment).unwrap_or_default())
    };
    let flag = match (&detail.flag_note, row.quarantined) {
        (None, false) => String::new(),
        (note, quarantined) => {
            let note = note.as_deref().unwrap_or("restored and not accepted yet");
            if quarantined { format!("{note} (quarantined: reads only)") } else { note.to_owned() }
        }
    };
    let buckets: Vec<String> = row.buckets.iter().map(|grant| format!("{}={}", grant.bucket, grant.role)).collect();
    let used = row.last_used.as_ref().map_or_else(
        || "never".to_owned(),
        |used| {
            let date = Time::parse(&used.date).map_or_else(|_| used.date.clone(), moment);
            format!("{date} {} {}", used.service, used.region)
        },
    );
    out.fields(&[
        ("access key id", Cell::new(&detail.row.access_key_id, Paint::Bold)),
        ("status", Cell::new(&row.status, paint_of(&row.status))),
        ("owner", Cell::from(owner_of(detail))),
        (
            "org",
            Cell::from(if row.org == "live" {
                row.account_id.clone()
            } else {
                format!("{}:{}", row.org, row.account_id)
            }),
        ),
        ("label", Cell::from(&row.label)),
        ("description", Cell::from(&detail.description)),
        ("tags", Cell::from(tags(&detail.tags))),
        ("buckets", Cell::from(buckets.join(" "))),
        ("policies", Cell::from(row.policies.join(", "))),
        ("inline policies", Cell::from(detail.inline_policies.keys().cloned().collect::<Vec<_>>().join(", "))),
        ("default allow", Cell::from(if detail.default_allow { "yes" } else { "" })),
        ("origin", Cell::from(&row.origin)),
        (
            "created",
            if row.created_at.is_some() { time(&row.created_at) } else { Cell::from("before the evidence begins") },
        ),
        ("made by", text(&detail.made_by)),
        ("expires", time(&row.expires_at)),
        ("first used", time(&detail.first_used)),
        ("last used", Cell::from(used)),
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

/// As [`owner`], of a row.
fn owner_of(detail: &KeyDetail) -> String {
    let row = &detail.row.facts;
    match (row.owner.as_ref(), &row.user_name, &row.owner_bucket) {
        ("user", name, _) => name.clone().unwrap_or_default(),
        ("bucket", _, bucket) => format!("bucket {}", bucket.as_deref().unwrap_or_default()),
        _ if row.temporary && detail.description.is_empty() => "temporary".to_owned(),
        _ if row.temporary => format!("temporary, as {}", detail.description),
        _ if row.org == "evidence" => "account".to_owned(),
        _ => "org".to_owned(),
    }
}

pub fn status_cell(status: KeyStatus) -> Cell {
    Cell::new(status.as_str(), paint_of(status.as_str()))
}

fn paint_of(status: &str) -> Paint {
    match status {
        "Active" => Paint::Good,
        "Rotating" | "Inactive" | "OrgSuspended" => Paint::Warn,
        "Deleted" => Paint::Dim,
        _ => Paint::Bad,
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
        aside(format_args!("no {what}"));
    }
    Ok(Exit::Nothing)
}
