//! What containment needs of an investigation: whether the key still works, who breaks without it, what it could do.
//!
//! Not here: what it did (`compromise`).

use super::rights::{print_changes, print_table};
use super::{blast_radius, show, widened};
use crate::audit::compromise::CompromiseReport;
use crate::cli::Failure;
use crate::cli::print::{Cell, Out, Paint, Table, grouped, moment};

/// Clients shown to people; `--json` has all.
const CLIENTS_SHOWN: usize = 12;

pub(super) fn print(out: &mut Out, report: &CompromiseReport, whole: bool) -> Result<(), Failure> {
    out.heading("Usable")?;
    for usable in &report.usable {
        let by = usable.stopped_by.as_ref().map(|by| format!(", by {}", show::attribution(by))).unwrap_or_default();
        let since = usable.stopped_at.map(|at| format!(" since {}{by}", moment(at.0))).unwrap_or_default();
        let (paint, word) = if usable.usable { (Paint::Bad, "usable") } else { (Paint::Good, "not usable") };
        let rest = format!(" ({}){since}; {}", usable.status, usable.nodes);
        out.pieces(&[(paint, word), (Paint::Plain, &rest)])?;
    }
    clients(out, report)?;
    if !report.opened.is_empty() {
        out.heading("What gave it more than it had")?;
        widened::print(out, &report.opened)?;
    }
    if !whole {
        return Ok(());
    }
    for course in &report.courses {
        let from = course.from.map_or_else(|| "its beginning".to_owned(), |from| moment(from.0));
        out.heading(&format!("What it could do in org {}, from {from}", course.org))?;
        match &course.table {
            Some(table) => print_table(out, table)?,
            None => out.line("it was not there yet")?,
        }
        for turn in &course.turns {
            let event = turn.event.map(|event| format!("  (event {event})")).unwrap_or_default();
            let line = format!("{}  {} [{}]", moment(turn.at.0), turn.what, turn.status);
            out.pieces(&[(Paint::Bold, &line), (Paint::Dim, &event)])?;
            print_changes(out, &turn.cells)?;
        }
        if course.turns_more > 0 {
            out.line(format!("{} more changes, all together:", grouped(course.turns_more as u64)))?;
            print_changes(out, &course.later)?;
        }
    }
    for at in &report.blast_radius {
        out.heading(&format!("What it reached in org {}, at {}", at.account_id, moment(at.at.0)))?;
        blast_radius::print(out, &at.radius)?;
    }
    Ok(())
}

fn clients(out: &mut Out, report: &CompromiseReport) -> Result<(), Failure> {
    out.heading("What breaks when it is revoked")?;
    if report.clients.is_empty() {
        return out.line("nothing used it in the days before");
    }
    let mut table = Table::new(&["user agent", "network", "times", "last"]);
    for client in report.clients.iter().take(CLIENTS_SHOWN) {
        table.row(vec![
            Cell::from(&client.user_agent),
            Cell::from(&client.network),
            Cell::from(grouped(client.tally.total())),
            Cell::from(client.tally.last.map(|at| moment(at.0)).unwrap_or_default()),
        ]);
    }
    out.table(&table)?;
    if report.clients.len() > CLIENTS_SHOWN {
        out.line(format!("… and {} more; --json has all", report.clients.len() - CLIENTS_SHOWN))?;
    }
    Ok(())
}
