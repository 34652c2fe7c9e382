//! How facts look for people: one line each, what they changed below.
//!
//! Not here: JSON; the reports serialize themselves.

use crate::audit::report::{Attribution, FactRow};
use crate::cli::Failure;
use crate::cli::print::{Out, Paint, moment};
use std::fmt::Write as _;

/// One fact: when, which, who, what; then what it changed.
pub fn fact(out: &mut Out, row: &FactRow, with_changes: bool) -> Result<(), Failure> {
    let when = moment(row.effective_at.0);
    let event = format!("{:<8}", row.event.to_string());
    let actor = row.actor.to_string();
    let from = row.source_ip.as_deref().filter(|ip| !ip.is_empty()).map(|ip| format!(" from {ip}")).unwrap_or_default();
    let outcome = if row.outcome == "ok" { String::new() } else { format!(" [{}]", row.outcome) };
    out.pieces(&[
        (Paint::Dim, &when),
        (Paint::Plain, "  "),
        (Paint::Dim, &event),
        (Paint::Plain, " "),
        (Paint::Bold, &row.summary),
        (Paint::Bad, &outcome),
        (Paint::Dim, &format!("  ({actor}{from})")),
    ])?;
    if with_changes {
        for change in &row.changes {
            let before = change.before.as_deref().unwrap_or("nothing");
            let after = change.after.as_deref().unwrap_or("nothing");
            out.line(format!("        {}: {before} → {after}", change.field))?;
        }
        if let Some(reason) = &row.reason {
            out.line(format!("        reason: {reason}"))?;
        }
    }
    Ok(())
}

/// Who did something, when, whence and with what.
pub fn attribution(by: &Attribution) -> String {
    let mut text = format!("{} by {}", moment(by.at.0), by.actor);
    for (word, part) in [("from", &by.source_ip), ("with", &by.user_agent), ("because", &by.reason)] {
        if let Some(part) = part.as_ref().filter(|part| !part.is_empty()) {
            let _ = write!(text, " {word} {part}");
        }
    }
    let _ = write!(text, " (event {})", by.event);
    text
}
