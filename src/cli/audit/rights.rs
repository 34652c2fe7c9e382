//! `audit rights`: what a key could do, at any moment.
//!
//! Not here: deciding (`crate::audit::access`).

use super::ask::{AskArgs, key_places};
use crate::audit::access::compare::{CellChange, changes};
use crate::audit::access::table::{DecisionTable, Kind, table};
use crate::audit::access::told::{ToldRights, What};
use crate::audit::access::{Answer, Because, May, Power, decide, power};
use crate::audit::at::{AsOf, worlds_at};
use crate::cli::args::when;
use crate::cli::print::{Cell, Out, Paint, Table, moment};
use crate::cli::{Context, Done, Exit, Failure};
use clap::Args;

#[derive(Debug, Args)]
pub struct Rights {
    /// The access key id; deleted and imported ones too
    id: String,
    /// As it was then: 2026-03-01T09:00Z, 7d (ago), or seq:1234
    #[arg(long, value_name = "WHEN")]
    at: Option<String>,
    /// Only what became different since then
    #[arg(long, value_name = "WHEN", conflicts_with = "action")]
    compare: Option<String>,
    #[command(flatten)]
    ask: AskArgs,
}

impl Rights {
    pub fn run(self, cx: &mut Context) -> Done {
        let question = self.ask.question()?;
        let reading = cx.reading_at(self.at.as_deref())?;
        let earlier = match &self.compare {
            Some(text) => {
                let as_of = AsOf { when: when(text, reading.now)?, known_at: None };
                let worlds = worlds_at(&reading.whole_history(cx), as_of)?;
                let now = as_of.now(&worlds);
                Some((worlds, now))
            }
            None => None,
        };
        let places = key_places(&reading.worlds, &self.id, cx.global.org.as_deref())?;
        if places.is_empty() {
            return Err(Failure::nothing(format!("no key {} was there then", self.id)));
        }
        let (worlds, now) = (&reading.worlds, reading.now);
        for key in &places {
            let status = worlds.status(key, now);
            let asked = |what| ToldRights::of(worlds, key, now, what);
            if !cx.out.json {
                let paint = if status.is_usable() { Paint::Good } else { Paint::Bad };
                let at = format!("  at {}", moment(now));
                cx.out.pieces(&[
                    (Paint::Bold, key.id.as_str()),
                    (Paint::Plain, "  "),
                    (paint, status.as_str()),
                    (Paint::Dim, &at),
                ])?;
            }
            if let Some(question) = &question {
                let (answer, in_general) = (decide(worlds, key, question, now), power(worlds, key, question, now));
                if cx.out.json {
                    cx.out.json(&asked(What::Answer { question, answer: &answer, in_general: &in_general }))?;
                } else {
                    print_answer(&mut cx.out, &answer, &in_general)?;
                }
            } else if let Some((before, then)) = &earlier {
                let old = before.key(key.uid()).map(|place| table(before, &place.record, *then));
                let changes = changes(old.as_ref(), &table(worlds, key, now));
                if cx.out.json {
                    cx.out.json(&asked(What::Changes { since: (*then).into(), changes: &changes }))?;
                } else {
                    print_changes(&mut cx.out, &changes)?;
                }
            } else {
                let table = table(worlds, key, now);
                if cx.out.json {
                    cx.out.json(&asked(What::Table(&table)))?;
                } else {
                    print_table(&mut cx.out, &table)?;
                }
            }
        }
        Ok(Exit::Done)
    }
}

fn paint(may: May) -> Paint {
    match may {
        May::Always => Paint::Good,
        May::Sometimes => Paint::Warn,
        May::Never => Paint::Dim,
    }
}

fn print_answer(out: &mut Out, answer: &Answer, in_general: &Power) -> Result<(), Failure> {
    let (word, paint) = if answer.allowed { ("allowed", Paint::Good) } else { ("denied", Paint::Bad) };
    out.pieces(&[(paint, word), (Paint::Plain, ": "), (Paint::Plain, &answer.why)])?;
    if let Some(by) = &answer.by {
        print_because(out, by)?;
    }
    if let Some(document) = &answer.not_in_evidence {
        out.line(format!("  {document} is not in evidence, so it may have been otherwise"))?;
    }
    if in_general.may == May::Sometimes {
        out.line("for some requests the answer is another one; these statements depend on the request:")?;
        for because in in_general.allows.iter().chain(&in_general.denies).filter(|it| !it.conditions.is_empty()) {
            print_because(out, because)?;
        }
    }
    Ok(())
}

pub(super) fn print_because(out: &mut Out, because: &Because) -> Result<(), Failure> {
    let sid = because.sid.as_ref().map(|sid| format!(" {sid}")).unwrap_or_default();
    out.line(format!(
        "  {} of {}, Statement[{}]{sid}: {}",
        because.policy, because.held_by, because.statement, because.says
    ))?;
    for condition in &because.conditions {
        out.line(format!("      if {condition}"))?;
    }
    Ok(())
}

pub(super) fn print_changes(out: &mut Out, changes: &[CellChange]) -> Result<(), Failure> {
    if changes.is_empty() {
        return out.line("nothing it may do changed");
    }
    let mut table = Table::new(&["where", "action", "before", "after", "why"]);
    for change in changes {
        table.row(vec![
            Cell::from(&change.place),
            Cell::from(change.action),
            Cell::new(change.before.as_str(), paint(change.before)),
            Cell::new(change.after.as_str(), paint(change.after)),
            Cell::from(&change.why),
        ]);
    }
    out.table(&table)
}

pub(super) fn print_table(out: &mut Out, found: &DecisionTable) -> Result<(), Failure> {
    if found.rows.is_empty() {
        out.line("it may do nothing in any bucket")?;
    } else {
        let mut header = vec!["bucket", "prefix"];
        header.extend(Kind::ALL.iter().map(|kind| kind.as_str()));
        let mut table = Table::new(&header);
        for row in &found.rows {
            let mut cells = vec![Cell::new(&row.bucket, Paint::Bold), Cell::from(&row.prefix)];
            cells.extend(Kind::ALL.iter().map(|kind| Cell::new(row.may(*kind).as_str(), paint(row.may(*kind)))));
            table.row(cells);
        }
        out.table(&table)?;
    }
    if found.closed > 0 {
        out.line(format!("{} more of the org's buckets are closed to it", found.closed))?;
    }
    if found.not_asked > 0 {
        out.line(format!("{} buckets were not asked about", found.not_asked))?;
    }
    let of_org: Vec<_> = found.org.iter().filter(|cell| cell.power.may != May::Never).collect();
    if !of_org.is_empty() {
        out.heading("In the org")?;
        for cell in of_org {
            out.pieces(&[
                (paint(cell.power.may), cell.power.may.as_str()),
                (Paint::Plain, "  "),
                (Paint::Plain, cell.action),
                (Paint::Dim, &format!("  {}", cell.power.why)),
            ])?;
        }
    }
    let conditional: std::collections::BTreeSet<&Because> = found
        .rows
        .iter()
        .flat_map(|row| row.cells.iter().map(|cell| &cell.power))
        .chain(found.org.iter().map(|cell| &cell.power))
        .filter(|power| power.may == May::Sometimes)
        .flat_map(|power| power.allows.iter().chain(&power.denies))
        .filter(|because| !because.conditions.is_empty())
        .collect();
    if !conditional.is_empty() {
        out.heading("What *sometimes* depends on")?;
        for because in conditional {
            print_because(out, because)?;
        }
    }
    if found.rows.iter().any(|row| row.cells.iter().any(|cell| cell.power.uncertain)) {
        out.line("a document that bears on it is not in evidence, so it may have been otherwise")?;
    }
    Ok(())
}
