//! `audit compromise`: what a leaked key did, what it made, and what of that is still alive.

use super::rotation::{findings, severity};
use super::{contain, key, show};
use crate::audit::at::{AsOf, worlds_at};
use crate::audit::compromise::{CompromiseOptions, CompromiseReport, Node, compromise};
use crate::audit::uses::{TallyRow, UseSummary};
use crate::audit::{Severity, Stamp};
use crate::cli::args::when;
use crate::cli::print::{Cell, Out, Paint, Table, counted, grouped, moment};
use crate::cli::reading::time_of;
use crate::cli::{Context, Done, Exit, Failure};
use crate::model::{AccessKeyId, When};
use clap::Args;

/// Rows of a side (addresses, agents, calls) shown to people; `--json` has all.
const ROWS_SHOWN: usize = 12;
/// Hours shown to people.
const HOURS_SHOWN: usize = 24;

#[derive(Debug, Args)]
pub struct Compromise {
    /// The access key id
    id: String,
    /// When it leaked: what it did before is its own habit
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Exclusive
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// The moment that "still alive" is told for [default: now]
    #[arg(long, value_name = "WHEN")]
    at: Option<String>,
    /// Hide what was recorded later
    #[arg(long, value_name = "WHEN", hide_short_help = true)]
    known_at: Option<String>,
    /// Also tell who widened its rights so many days before
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    widened_days: u32,
    /// Deletes from one address that look like ransom
    #[arg(long, value_name = "N", default_value_t = 50, hide_short_help = true)]
    ransom_deletes: u64,
    /// Lines of the timeline
    #[arg(long, value_name = "N", default_value_t = 200)]
    timeline: usize,
    /// Generations of keys and users that are followed
    #[arg(long, value_name = "N", default_value_t = 16, hide_short_help = true)]
    depth: usize,
    /// End with 7 when there are findings of this severity or worse
    #[arg(long, value_name = "SEVERITY", num_args = 0..=1, default_missing_value = "low", value_parser = severity)]
    fail_on_finding: Option<Severity>,
}

impl Compromise {
    pub fn run(self, cx: &mut Context) -> Done {
        AccessKeyId::parse(&self.id)?;
        let mut reading = cx.reading()?;
        let history = reading.history(cx)?;
        let now = reading.now;
        let moment = |text: &Option<String>| text.as_deref().map(|text| when(text, now)).transpose();
        let time = |text: &Option<String>| -> Result<_, Failure> {
            moment(text)?.map(|at| time_of(at, &reading.log)).transpose()
        };
        let (at, known_at) = (moment(&self.at)?, time(&self.known_at)?);
        let (since, until) = (time(&self.since)?, time(&self.until)?);
        let as_of = AsOf { when: at.unwrap_or(When::At(now)), known_at };
        if at.is_some() || known_at.is_some() {
            reading.worlds = worlds_at(&history, as_of)?;
        }
        let options = CompromiseOptions {
            since,
            until,
            widened_days: self.widened_days,
            ransom_deletes: self.ransom_deletes,
            timeline_max: self.timeline,
            depth_max: self.depth,
            ..CompromiseOptions::at(as_of)
        };
        let report = compromise(&history, &reading.worlds, &self.id, &options)?;
        if cx.out.json {
            cx.out.json(&report)?;
        } else {
            print_report(&mut cx.out, &report, true)?;
        }
        let failing = self.fail_on_finding.is_some_and(|least| report.findings.iter().any(|f| f.severity >= least));
        Ok(match (report.known, failing) {
            (false, _) => Exit::Nothing,
            (_, true) => Exit::Findings,
            _ => Exit::Done,
        })
    }
}

/// The report for people; with the timeline, or only what follows from it.
pub fn print_report(out: &mut Out, report: &CompromiseReport, whole: bool) -> Result<(), Failure> {
    if !report.known {
        return out.line(format!("nothing is known of {}", report.access_key_id));
    }
    head(out, report)?;
    out.heading("What grew out of it")?;
    report.tree.iter().try_for_each(|node| branch(out, node, 0))?;
    out.heading("Still alive")?;
    if report.alive.is_empty() {
        out.pieces(&[(Paint::Good, "nothing that it made is alive")])?;
    }
    for alive in &report.alive {
        let path = format!("  made by {} (event {})", alive.path.join(" → "), alive.event);
        out.pieces(&[(Paint::Bad, alive.kind), (Paint::Plain, " "), (Paint::Bold, &alive.what), (Paint::Dim, &path)])?;
    }
    if !report.findings.is_empty() {
        out.heading("Findings")?;
        findings(out, &report.findings)?;
    }
    side(out, "Addresses", &report.addresses)?;
    side(out, "User agents", &report.agents)?;
    side(out, "Calls", &report.actions)?;
    if whole {
        side(out, "Networks", &report.networks)?;
        side(out, "Regions", &report.regions)?;
        side(out, "Buckets", &report.buckets)?;
    }
    attempts(out, report)?;
    if !report.siblings.is_empty() {
        out.heading("Other keys to look at")?;
        let mut table = Table::new(&["access key id", "owner", "status", "why"]);
        for sibling in &report.siblings {
            table.row(vec![
                Cell::new(&sibling.access_key_id, Paint::Bold),
                Cell::from(&sibling.owner),
                Cell::new(sibling.status, if sibling.usable { Paint::Warn } else { Paint::Dim }),
                Cell::from(sibling.why.join("; ")),
            ]);
        }
        out.table(&table)?;
    }
    if !report.widened.is_empty() {
        out.heading("What widened its rights, in the window and shortly before")?;
        report.widened.iter().try_for_each(|row| show::fact(out, row, true))?;
    }
    contain::print(out, report, whole)?;
    if whole {
        hours(out, report)?;
        for rights in &report.rights {
            out.line("")?;
            out.line(format!("Rights at {} in org {}:", moment(rights.at.0), rights.org))?;
            key::rights(out, &rights.in_force)?;
        }
        out.heading("Timeline")?;
        report.timeline.iter().try_for_each(|row| show::fact(out, row, false))?;
        let more = report.timeline_total.saturating_sub(report.timeline.len());
        if more > 0 {
            out.line(format!("… and {} more; --timeline N shows them", grouped(more as u64)))?;
        }
        out.heading("Not answered here")?;
        for unanswered in &report.unanswered {
            out.line(format!("{}: {}", unanswered.question, unanswered.why))?;
        }
    }
    Ok(())
}

fn head(out: &mut Out, report: &CompromiseReport) -> Result<(), Failure> {
    let stamp = |at: &Option<Stamp>| at.map(|at| moment(at.0)).unwrap_or_default();
    out.pieces(&[(Paint::Bold, &report.access_key_id)])?;
    for place in &report.places {
        let created = match (&place.created, place.created_at) {
            (Some(created), _) => show::attribution(created),
            (None, Some(at)) => moment(at.0),
            (None, None) => "before the evidence begins".to_owned(),
        };
        out.fields(&[
            ("owner", Cell::from(&place.owner)),
            ("org", Cell::from(format!("{} ({})", place.org, place.org_kind))),
            ("label", Cell::from(&place.label)),
            ("status", Cell::new(place.status, if place.usable { Paint::Bad } else { Paint::Good })),
            ("created", Cell::from(created)),
            ("stopped", Cell::from(stamp(&place.stopped_at))),
        ])?;
    }
    let exposure = &report.exposure;
    out.fields(&[
        ("window", Cell::from(format!("{} to {}", stamp(&report.since), stamp(&report.until)))),
        ("told for", Cell::from(format!("{}, log up to seq {}", moment(report.as_of.0), report.seq))),
        ("first use", Cell::from(stamp(&exposure.first_use))),
        ("last use", Cell::from(stamp(&exposure.last_use))),
        ("last that worked", Cell::from(stamp(&exposure.last_successful_use))),
        ("usable after leak", Cell::from(exposure.usable_after_leak_seconds.map(duration).unwrap_or_default())),
        ("used after leak", Cell::from(exposure.in_use_after_leak_seconds.map(duration).unwrap_or_default())),
        ("before the window", Cell::from(summary(&report.baseline))),
        ("in the window", Cell::from(summary(&report.window))),
    ])
}

fn summary(uses: &UseSummary) -> String {
    let tally = &uses.tally;
    format!(
        "{} ({} denied, {} failed) from {} by {}",
        counted(tally.total(), "call", "calls"),
        grouped(tally.denied),
        grouped(tally.failed),
        counted(uses.addresses as u64, "address", "addresses"),
        counted(uses.agents as u64, "agent", "agents")
    )
}

/// A length of time for people.
fn duration(seconds: i64) -> String {
    match seconds {
        s if s < 120 => format!("{s} s"),
        s if s < 7_200 => format!("{} min", s / 60),
        s if s < 172_800 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

/// One key or user of the tree, and what grew out of it.
fn branch(out: &mut Out, node: &Node, depth: usize) -> Result<(), Failure> {
    let indent = "   ".repeat(depth);
    let mark = if depth == 0 { "" } else { "└─ " };
    let acts_as = node.acts_as.as_deref().map(|name| format!(" of {name}")).unwrap_or_default();
    let (paint, alive) = match node.alive {
        Some(true) => (Paint::Bad, "alive"),
        Some(false) => (Paint::Good, "dead"),
        None => (Paint::Warn, "cannot be told"),
    };
    let how = node.how.as_ref().map(|how| format!("  {} (event {})", moment(how.at.0), how.event)).unwrap_or_default();
    let kind = format!("{indent}{mark}{} ", node.kind);
    let status = format!(" [{}, ", node.status);
    out.pieces(&[
        (Paint::Dim, &kind),
        (Paint::Bold, &node.name),
        (Paint::Plain, &acts_as),
        (Paint::Plain, &status),
        (paint, alive),
        (Paint::Plain, "]"),
        (Paint::Dim, &how),
    ])?;
    for act in &node.acts {
        let stands = match act.stands {
            Some(true) => " (still stands)",
            Some(false) => " (undone)",
            None => "",
        };
        let line = format!("{indent}     {} {}: ", moment(act.row.effective_at.0), act.kind);
        let outcome = if act.row.outcome == "ok" { String::new() } else { format!(" [{}]", act.row.outcome) };
        out.pieces(&[
            (Paint::Dim, &line),
            (Paint::Plain, &act.row.summary),
            (Paint::Bad, &outcome),
            (Paint::Warn, stands),
        ])?;
    }
    node.children.iter().try_for_each(|child| branch(out, child, depth + 1))?;
    if node.truncated {
        out.line(format!("{indent}   … the limits of depth or number stopped here"))?;
    }
    Ok(())
}

fn side(out: &mut Out, title: &str, rows: &[TallyRow]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    out.heading(title)?;
    let mut table = Table::new(&["", "what", "ok", "denied", "failed", "rejected", "first", "last"]);
    for row in rows.iter().take(ROWS_SHOWN) {
        let stamp = |at: &Option<Stamp>| Cell::from(at.map(|at| moment(at.0)).unwrap_or_default());
        let count = |count: u64| if count == 0 { String::new() } else { grouped(count) };
        table.row(vec![
            Cell::new(if row.is_new { "new" } else { "" }, Paint::Bad),
            Cell::from(&row.value),
            Cell::from(count(row.tally.ok)),
            Cell::from(count(row.tally.denied)),
            Cell::from(count(row.tally.failed)),
            Cell::from(count(row.tally.rejected)),
            stamp(&row.tally.first),
            stamp(&row.tally.last),
        ]);
    }
    out.table(&table)?;
    if rows.len() > ROWS_SHOWN {
        out.line(format!("… and {} more; --json has all", rows.len() - ROWS_SHOWN))?;
    }
    Ok(())
}

fn attempts(out: &mut Out, report: &CompromiseReport) -> Result<(), Failure> {
    if !report.denials.is_empty() {
        out.heading("Tried in vain")?;
        let mut table = Table::new(&["call", "answer", "from", "times", "last"]);
        for row in report.denials.iter().take(ROWS_SHOWN) {
            table.row(vec![
                Cell::from(&row.action),
                Cell::from(&row.code),
                Cell::from(&row.address),
                Cell::from(grouped(row.tally.total())),
                Cell::from(row.tally.last.map(|at| moment(at.0)).unwrap_or_default()),
            ]);
        }
        out.table(&table)?;
        if report.denials.len() > ROWS_SHOWN {
            out.line(format!("… and {} more; --json has all", report.denials.len() - ROWS_SHOWN))?;
        }
    }
    if !report.after_stop.is_empty() {
        out.heading("After it was stopped")?;
        for row in &report.after_stop {
            let last = row.tally.last.map(|at| moment(at.0)).unwrap_or_default();
            let attempts = counted(row.tally.total(), "attempt", "attempts");
            out.line(format!("{attempts} from {} ({}), the last {last}", row.address, row.code))?;
        }
    }
    for row in report.ransom.iter().filter(|row| row.looks_like_ransom) {
        let line = format!(
            "looks like ransom: {} deletes, {} writes, {} reads from {} {}",
            row.deletes,
            row.writes,
            row.reads,
            row.address,
            row.calls.join(", ")
        );
        out.pieces(&[(Paint::Bad, &line)])?;
    }
    Ok(())
}

fn hours(out: &mut Out, report: &CompromiseReport) -> Result<(), Failure> {
    if report.hours.is_empty() {
        return Ok(());
    }
    out.heading("Uses by hour")?;
    let most = report.hours.iter().map(|row| row.uses).max().unwrap_or(1).max(1);
    for row in report.hours.iter().take(HOURS_SHOWN) {
        let bar = "#".repeat(usize::try_from((row.uses * 40).div_ceil(most)).unwrap_or(40));
        out.line(format!("{}  {:>8}  {bar}", moment(row.hour.0), grouped(row.uses)))?;
    }
    if report.hours.len() > HOURS_SHOWN {
        out.line(format!("… and {} more hours; --json has all", report.hours.len() - HOURS_SHOWN))?;
    }
    Ok(())
}
