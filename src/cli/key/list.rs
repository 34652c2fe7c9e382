//! `key list` and `key show`.

use super::row::{grants, last_used, none_found, owner, print_detail, status_cell};
use crate::audit::rows::{KeyDetail, KeyRow};
use crate::cli::args::AtArgs;
use crate::cli::print::{Cell, Paint, Table, moment_or};
use crate::cli::view::View;
use crate::cli::{Context, Done, Exit, Failure};
use crate::model::text::excerpt;
use crate::model::{AccessKeyId, KeyOwner};
use crate::state::{KeyRecord, KeyStatus};
use clap::Args;

/// Which keys.
#[derive(Debug, Args)]
pub struct List {
    /// Of every org, imported evidence included, and deleted ones too
    #[arg(long)]
    all: bool,
    /// Deleted ones too
    #[arg(long)]
    deleted: bool,
    /// Temporary keys (ASIA…) of the evidence too
    #[arg(long)]
    temporary: bool,
    /// Of this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Of this bucket, or with a grant on it
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
    /// In this status: Active, Rotating, Expired, Inactive, OrgSuspended, Revoked or Deleted
    #[arg(long, value_name = "STATUS", value_parser = status_named)]
    status: Option<KeyStatus>,
    /// Whose label contains this
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    #[command(flatten)]
    at: AtArgs,
}

/// Which key.
#[derive(Debug, Args)]
pub struct Show {
    /// The access key id
    id: String,
    #[command(flatten)]
    at: AtArgs,
}

fn status_named(text: &str) -> Result<KeyStatus, String> {
    use KeyStatus::{Active, Deleted, Expired, Inactive, OrgSuspended, Revoked, Rotating};
    [Active, Rotating, Expired, Inactive, OrgSuspended, Revoked, Deleted]
        .into_iter()
        .find(|status| status.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| "expected Active, Rotating, Expired, Inactive, OrgSuspended, Revoked or Deleted".to_owned())
}

impl List {
    pub fn run(self, cx: &mut Context) -> Done {
        let reading = cx.reading_at(self.at.at.as_deref())?;
        let views = if self.all { reading.every_org() } else { vec![reading.org(cx.global.org.as_deref())?] };
        let mut table = Table::new(&["access key id", "owner", "status", "created", "last used", "label", "buckets"]);
        let mut found = false;
        for view in &views {
            for key in view.keys().iter().filter(|key| self.fits(view, key)) {
                found = true;
                if cx.out.json {
                    cx.out.json(&KeyRow::of(view, key))?;
                } else {
                    table.row(cells(view, key));
                }
            }
        }
        if !found {
            return none_found(&mut cx.out, "keys");
        }
        cx.out.table(&table)?;
        Ok(Exit::Done)
    }

    fn fits(&self, view: &View, key: &KeyRecord) -> bool {
        let status = view.status(key);
        let deleted_too = self.all || self.deleted || self.status == Some(KeyStatus::Deleted);
        let bucket_fits = |bucket: &String| {
            matches!(&key.owner, KeyOwner::Bucket(of) if of.as_str() == bucket)
                || key.rights().grants.iter().any(|g| g.bucket.as_ref().is_some_and(|b| b.as_str() == bucket))
        };
        (deleted_too || status != KeyStatus::Deleted)
            && (self.temporary || !(view.is_evidence() && key.id.is_temporary()))
            && self.status.is_none_or(|asked| asked == status)
            && self.label.as_ref().is_none_or(|label| key.label.contains(label.as_str()))
            && self.bucket.as_ref().is_none_or(bucket_fits)
            && self
                .user
                .as_ref()
                .is_none_or(|user| view.user_name(key).is_some_and(|name| name.eq_ignore_ascii_case(user)))
    }
}

fn cells(view: &View, key: &KeyRecord) -> Vec<Cell> {
    vec![
        Cell::new(&key.id, Paint::Bold),
        Cell::from(owner(view, key)),
        status_cell(view.status(key)),
        Cell::from(moment_or(key.created_at(), "before the evidence")),
        Cell::from(last_used(key.more().last_used.as_ref())),
        Cell::from(&key.label),
        Cell::from(grants(&key.rights().grants)),
    ]
}

impl Show {
    pub fn run(self, cx: &mut Context) -> Done {
        AccessKeyId::parse(&self.id)?;
        let reading = cx.reading_at(self.at.at.as_deref())?;
        // An id may stand in a live org and in an evidence org: then both are shown.
        let views = match cx.global.org.as_deref() {
            Some(org) => vec![reading.org(Some(org))?],
            None => reading.every_org(),
        };
        let mut found = 0;
        for view in &views {
            let Some(key) = view.key(&self.id) else { continue };
            if found > 0 && !cx.out.json {
                cx.out.line("")?;
            }
            found += 1;
            print_detail(&mut cx.out, &KeyDetail::of(view, &key))?;
        }
        if found == 0 {
            let id = excerpt(&self.id, 128);
            let text = format!("no key `{id}` here; `keyledger audit key {id}` also asks the past");
            return Err(Failure::nothing(text));
        }
        Ok(Exit::Done)
    }
}
