//! `audit key`: a key's whole life.

use super::show;
use crate::audit::at::{AsOf, worlds_at};
use crate::audit::biography::{Biography, BiographyOptions, Life, biography};
use crate::cli::args::when;
use crate::cli::print::{Cell, Out, Paint, Table, grouped, moment};
use crate::cli::reading::time_of;
use crate::cli::{Context, Done, Exit, Failure};
use crate::model::{AccessKeyId, When};
use clap::Args;

#[derive(Debug, Args)]
pub struct Key {
    /// The access key id; deleted and imported ones too
    id: String,
    /// As it was then
    #[arg(long, value_name = "WHEN")]
    at: Option<String>,
    /// Hide what was recorded later
    #[arg(long, value_name = "WHEN")]
    known_at: Option<String>,
    /// Also what changed its rights without touching it: owner, groups, policies, org
    #[arg(long)]
    rights: bool,
}

impl Key {
    pub fn run(self, cx: &mut Context) -> Done {
        AccessKeyId::parse(&self.id)?;
        let mut reading = cx.reading()?;
        let history = reading.history(cx)?;
        let at = self.at.as_deref().map(|text| when(text, reading.now)).transpose()?;
        let known_at = self.known_at.as_deref().map(|text| when(text, reading.now)).transpose()?;
        let known_at = known_at.map(|known| time_of(known, &reading.log)).transpose()?;
        let as_of = AsOf { when: at.unwrap_or(When::At(reading.now)), known_at };
        if at.is_some() || known_at.is_some() {
            reading.worlds = worlds_at(&history, as_of)?;
        }
        let options = BiographyOptions { as_of, with_rights: self.rights };
        let told = biography(&history, &reading.worlds, &self.id, &options)?;
        let found = !told.lives.is_empty();
        if cx.out.json {
            cx.out.json(&told)?;
        } else {
            print(&mut cx.out, &told)?;
        }
        Ok(if found { Exit::Done } else { Exit::Nothing })
    }
}

fn print(out: &mut Out, told: &Biography) -> Result<(), Failure> {
    if told.lives.is_empty() {
        return out.line(format!("no key {} was ever here", told.access_key_id));
    }
    for (at, life) in told.lives.iter().enumerate() {
        if at > 0 {
            out.line("")?;
        }
        print_life(out, &told.access_key_id, life)?;
    }
    Ok(())
}

fn print_life(out: &mut Out, id: &str, life: &Life) -> Result<(), Failure> {
    let stamp = |at: &Option<crate::audit::Stamp>| Cell::from(at.map(|at| moment(at.0)).unwrap_or_default());
    let by = |by: &Option<_>| Cell::from(by.as_ref().map(show::attribution).unwrap_or_default());
    let text = |text: &Option<String>| Cell::from(text.as_deref().unwrap_or_default());
    let used = &life.uses.tally;
    let uses = match (used.total(), used.first, used.last) {
        (0, ..) | (_, None, _) | (.., None) => "never".to_owned(),
        (total, Some(first), Some(last)) => format!(
            "{} times ({} denied, {} failed, {} rejected) from {} addresses by {} agents, {} to {}",
            grouped(total),
            grouped(used.denied),
            grouped(used.failed),
            grouped(used.rejected),
            life.uses.addresses,
            life.uses.agents,
            moment(first.0),
            moment(last.0)
        ),
    };
    let created = match (&life.created, life.created_at) {
        (Some(created), _) => show::attribution(created),
        (None, Some(at)) => moment(at.0),
        (None, None) => "before the evidence begins".to_owned(),
    };
    out.fields(&[
        ("access key id", Cell::new(id, Paint::Bold)),
        ("status", Cell::new(life.status, if life.usable { Paint::Good } else { Paint::Bad })),
        ("owner", Cell::from(format!("{} {}", life.owner_kind, life.owner).trim().to_owned())),
        ("org", Cell::from(format!("{} ({})", life.org, life.org_kind))),
        ("label", Cell::from(&life.label)),
        ("description", Cell::from(&life.description)),
        ("origin", Cell::from(life.origin)),
        ("created", Cell::from(created)),
        ("made by key", text(&life.made_by)),
        ("last changed", by(&life.last_changed)),
        ("expires", stamp(&life.expires_at)),
        ("stopped", stamp(&life.stopped_at)),
        ("revoked", stamp(&life.revoked_at)),
        ("deleted", stamp(&life.deleted_at)),
        ("replaces", text(&life.replaces)),
        ("replaced by", text(&life.replaced_by)),
        ("flag", Cell::new(life.flag.as_deref().unwrap_or_default(), Paint::Bad)),
        ("used", Cell::from(uses)),
        ("calls", Cell::from(life.uses.actions.join(", "))),
    ])?;
    for name in &life.earlier_names {
        out.line(format!("earlier {}: {} until {}", name.of, name.name, moment(name.until.0)))?;
    }
    print_secrets(out, life)?;
    if !life.made.is_empty() {
        out.heading("Keys it made")?;
        let mut table = Table::new(&["access key id", "status", "made", "event"]);
        for made in &life.made {
            table.row(vec![
                Cell::new(&made.access_key_id, Paint::Bold),
                Cell::from(made.status),
                Cell::from(moment(made.at.0)),
                Cell::from(made.event),
            ]);
        }
        out.table(&table)?;
    }
    rights(out, &life.rights)?;
    out.heading("History")?;
    for chapter in &life.history {
        show::fact(out, &chapter.row, true)?;
        if chapter.status_before != chapter.status_after {
            let (before, after) =
                (chapter.status_before.unwrap_or("nothing"), chapter.status_after.unwrap_or("nothing"));
            out.line(format!("        status: {before} → {after}"))?;
        }
    }
    Ok(())
}

fn print_secrets(out: &mut Out, life: &Life) -> Result<(), Failure> {
    for secret in &life.secrets {
        let state = match (secret.usable, secret.shredded, secret.retired) {
            (true, ..) => "usable",
            (_, true, _) => "shredded",
            (_, _, true) => "retired",
            _ => "past its deadline",
        };
        let last = secret.last_used.map(|at| format!(", last used {}", moment(at.0))).unwrap_or_default();
        out.line(format!(
            "secret v{}: set {}, {state}, {} uses{last}",
            secret.version,
            moment(secret.set_at.0),
            secret.uses
        ))?;
    }
    Ok(())
}

/// The grants and documents in force.
pub fn rights(out: &mut Out, rights: &[crate::audit::rights::InForce]) -> Result<(), Failure> {
    if rights.is_empty() {
        return Ok(());
    }
    out.heading("Grants and documents in force; `audit rights` says what they amount to")?;
    for right in rights {
        let policy = right.policy.as_deref().map(|name| format!(" `{name}`")).unwrap_or_default();
        let note = right.note.map(|note| format!(" ({note})")).unwrap_or_default();
        out.line(format!("{}{policy} of {}{note}", right.kind, right.held_by))?;
        for says in &right.says {
            out.line(format!("        {says}"))?;
        }
    }
    Ok(())
}
