//! `state`: what is true now, or was true at a past moment.
//!
//! Not here: how a moment is found (`audit::at`), what changed between two (`audit diff`).

use super::args::AtArgs;
use super::audit::{noun, shown};
use super::print::{Cell, Paint, counted};
use super::{Context, Done, Exit, Failure};
use crate::audit::listing::{ListingOptions, Noun, NounRow, listing};
use crate::audit::rows::MomentRow;
use clap::Args;
use std::fmt::Write as _;

#[derive(Debug, Args)]
pub struct State {
    #[command(flatten)]
    at: AtArgs,
    /// Every noun, one a line
    #[arg(long)]
    full: bool,
    /// Only these: org, user, group, policy, bucket or key; may be repeated
    #[arg(long = "noun", value_name = "NOUN", value_parser = noun)]
    nouns: Vec<Noun>,
    /// Leave out deleted nouns
    #[arg(long)]
    no_deleted: bool,
}

impl State {
    pub fn run(self, cx: &mut Context) -> Done {
        let reading = cx.reading_at(self.at.at.as_deref())?;
        let worlds = &reading.worlds;
        let orgs = cx.global.org.as_deref().map(|org| worlds.orgs_named(org)).transpose()?;
        let options = ListingOptions {
            nouns: self.nouns.clone(),
            orgs: orgs.map(|orgs| orgs.into_iter().collect()),
            deleted: !self.no_deleted,
        };
        let rows = listing(worlds, reading.now, &options);
        let summary = MomentRow::of(worlds, reading.now, &rows, self.at.at.is_none());
        if cx.out.json {
            cx.out.json(&summary)?;
            if self.full {
                rows.iter().try_for_each(|row| cx.out.json(row))?;
            }
        } else {
            print(cx, &summary)?;
            if self.full {
                rows.iter().try_for_each(|row| print_noun(cx, row))?;
            }
        }
        Ok(Exit::Done)
    }
}

fn print(cx: &mut Context, summary: &MomentRow) -> Result<(), Failure> {
    let counts = |map: &mut dyn Iterator<Item = (&str, u64)>| {
        map.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    };
    let nouns = counts(&mut summary.nouns.iter().map(|(name, count)| (name.as_ref(), *count)));
    let keys = counts(&mut summary.keys.iter().map(|(name, count)| (name.as_str(), *count)));
    cx.out.fields(&[
        ("seq", Cell::new(summary.seq, Paint::Bold)),
        ("recorded", Cell::from(if summary.seq == 0 { String::new() } else { summary.recorded_at.clone() })),
        ("at", Cell::from(&summary.at)),
        ("digest", Cell::from(&summary.digest)),
        ("state hash", Cell::from(summary.state_hash.as_deref().unwrap_or_default())),
        ("nouns", Cell::from(nouns)),
        ("keys", Cell::from(keys)),
        ("evidence", Cell::from(counted(summary.evidence_orgs, "org", "orgs"))),
    ])?;
    if summary.quarantined_by_restore {
        let warning =
            "restored from a backup and not accepted yet: every key is quarantined (`keyledger restore accept`)";
        cx.out.pieces(&[(Paint::Bad, warning)])?;
    }
    Ok(())
}

fn print_noun(cx: &mut Context, row: &NounRow) -> Result<(), Failure> {
    let mut line = String::new();
    for (field, value) in &row.fields {
        let value = shown(value);
        if !value.is_empty() && value != "nothing" && value != "{}" && value != "false" {
            let _ = write!(line, "  {field}={value}");
        }
    }
    let name = format!("{} {}", row.name.noun.as_str(), row.name.name);
    let org = format!("  ({} {})", row.name.org_kind, row.name.org);
    cx.out.pieces(&[(Paint::Bold, &name), (Paint::Dim, &org), (Paint::Plain, &line)])
}

/// Bytes as small hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
