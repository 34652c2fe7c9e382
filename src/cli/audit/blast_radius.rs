//! `audit blast-radius`: what a leaked key reaches, and what it could make itself into.

use super::ask::key_places;
use super::rights::print_table;
use crate::audit::access::blast::{BlastRadius, blast_radius};
use crate::audit::access::told::ToldRadius;
use crate::cli::args::AtArgs;
use crate::cli::print::{Cell, Out, Paint, Table, moment};
use crate::cli::{Context, Done, Exit, Failure};
use clap::Args;

#[derive(Debug, Args)]
pub struct Blast {
    /// The access key id; deleted and imported ones too
    id: String,
    #[command(flatten)]
    at: AtArgs,
}

impl Blast {
    pub fn run(self, cx: &mut Context) -> Done {
        let reading = cx.reading_at(self.at.at.as_deref())?;
        let (worlds, now) = (&reading.worlds, reading.now);
        let keys = key_places(worlds, &self.id, cx.global.org.as_deref())?;
        if keys.is_empty() {
            return Err(Failure::nothing(format!("no key {} was there then", self.id)));
        }
        for key in &keys {
            let radius = blast_radius(worlds, key, now);
            if cx.out.json {
                cx.out.json(&ToldRadius::of(worlds, key, now, &radius))?;
                continue;
            }
            let at = format!("  at {}", moment(now));
            let status = if radius.usable { Paint::Good } else { Paint::Bad };
            cx.out.pieces(&[
                (Paint::Bold, key.id.as_str()),
                (Paint::Plain, "  "),
                (status, radius.status),
                (Paint::Dim, &at),
            ])?;
            print(&mut cx.out, &radius)?;
        }
        Ok(Exit::Done)
    }
}

/// The radius for people.
pub fn print(out: &mut Out, radius: &BlastRadius) -> Result<(), Failure> {
    if !radius.usable {
        out.line("it is not usable; this is what it could do if it were")?;
    }
    if radius.everything {
        out.pieces(&[(Paint::Bad, "everything in the org"), (Paint::Plain, " is within its reach")])?;
    }
    print_table(out, &radius.table)?;
    if !radius.steps.is_empty() {
        out.heading("What it could become")?;
        let mut table = Table::new(&["by", "action", "on", "for", "gains"]);
        for step in &radius.steps {
            table.row(vec![
                Cell::from(&step.from),
                Cell::from(step.action),
                Cell::from(&step.resource),
                Cell::from(match step.may {
                    crate::audit::access::May::Sometimes => "some requests",
                    _ => "every request",
                }),
                Cell::new(&step.gains, Paint::Bad),
            ]);
        }
        out.table(&table)?;
    }
    if radius.cut_off {
        out.line("there are more steps than were followed")?;
    }
    Ok(())
}
