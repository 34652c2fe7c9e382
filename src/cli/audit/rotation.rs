//! `audit rotation`: which keys are old, idle, doubled, too mighty, orphaned or were deleted unrevoked.

use super::show;
use crate::audit::at::{AsOf, worlds_at};
use crate::audit::rotation::{RotationOptions, RotationReport, rotation};
use crate::audit::{Finding, Severity};
use crate::cli::args::when;
use crate::cli::print::{Cell, Out, Paint, Table, grouped, moment};
use crate::cli::reading::time_of;
use crate::cli::{Context, Done, Exit, Failure};
use crate::model::When;
use clap::Args;
use std::collections::BTreeSet;

#[derive(Debug, Args)]
pub struct Rotation {
    /// As of that day: 2026-03-31, 30d (ago) or seq:1234 [default: now]
    #[arg(long, value_name = "WHEN")]
    at: Option<String>,
    /// Hide what was recorded later
    #[arg(long, value_name = "WHEN", hide_short_help = true)]
    known_at: Option<String>,
    /// Days after which a secret is old [default: the org's setting, else 90]
    #[arg(long, value_name = "DAYS")]
    max_age: Option<u32>,
    /// Days without use after which a key is idle
    #[arg(long, value_name = "DAYS", default_value_t = 45)]
    unused: u32,
    /// Days two keys of one user may both be usable
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    overlap: u32,
    /// Used from more networks than this is shared
    #[arg(long, value_name = "N", default_value_t = 5, hide_short_help = true)]
    shared_networks: usize,
    /// Used by more user agents than this is shared
    #[arg(long, value_name = "N", default_value_t = 5, hide_short_help = true)]
    shared_agents: usize,
    /// The period of rotations, deletes, unused rights, and of what widened rights and every grant and revoke, which are then listed
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Exclusive
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Only this question: R1 to R14; may be repeated
    #[arg(long = "question", value_name = "R")]
    questions: Vec<String>,
    /// Also who made and last changed each usable key
    #[arg(long)]
    attribution: bool,
    /// End with 7 when there are findings of this severity or worse
    #[arg(long, value_name = "SEVERITY", num_args = 0..=1, default_missing_value = "low", value_parser = severity)]
    fail_on_finding: Option<Severity>,
}

pub fn severity(text: &str) -> Result<Severity, String> {
    [Severity::Info, Severity::Low, Severity::Medium, Severity::High]
        .into_iter()
        .find(|severity| severity.as_str() == text)
        .ok_or_else(|| "expected info, low, medium or high".to_owned())
}

impl Rotation {
    pub fn run(self, cx: &mut Context) -> Done {
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
        let orgs = cx.global.org.as_deref().map(|org| reading.worlds.orgs_named(org)).transpose()?;
        let options = RotationOptions {
            max_age_days: self.max_age,
            unused_days: self.unused,
            overlap_days: self.overlap,
            shared_networks: self.shared_networks,
            shared_agents: self.shared_agents,
            since,
            until,
            orgs: orgs.map(|orgs| orgs.into_iter().collect()),
            questions: self.questions.iter().map(|question| question.to_uppercase()).collect::<BTreeSet<_>>(),
            attribution: self.attribution || cx.out.json,
            ..RotationOptions::at(as_of)
        };
        let unknown =
            options.questions.iter().find(|asked| !crate::audit::rotation::QUESTIONS.contains(&asked.as_str()));
        if let Some(asked) = unknown {
            let known = crate::audit::rotation::QUESTIONS.join(", ");
            return Err(Failure::usage(format!("no question `{asked}` is answered here; those are {known}")));
        }
        let report = rotation(&history, &reading.worlds, &options)?;
        if cx.out.json {
            cx.out.json(&report)?;
        } else {
            print_report(&mut cx.out, &report)?;
        }
        let failing = self.fail_on_finding.is_some_and(|least| report.findings.iter().any(|f| f.severity >= least));
        Ok(if failing { Exit::Findings } else { Exit::Done })
    }
}

/// The report for people.
pub fn print_report(out: &mut Out, report: &RotationReport) -> Result<(), Failure> {
    let keys = &report.keys;
    out.line(format!(
        "{} keys as of {}: {} usable, {} deleted{}",
        grouped((keys.total - keys.temporary) as u64),
        moment(report.as_of.0),
        grouped(keys.usable as u64),
        grouped(keys.deleted as u64),
        if keys.temporary > 0 { format!("; temporary ones left out: {}", keys.temporary) } else { String::new() }
    ))?;
    if report.findings.is_empty() {
        out.pieces(&[(Paint::Good, "no findings")])?;
    } else {
        let counts: Vec<String> = report.counts.iter().map(|(check, count)| format!("{check} {count}")).collect();
        out.line(format!("{} findings: {}", report.findings.len(), counts.join(", ")))?;
        out.heading("Findings")?;
        findings(out, &report.findings)?;
    }
    if !report.rotations.is_empty() {
        out.heading("Rotations")?;
        let mut table = Table::new(&["switched", "kind", "owner", "old", "new", "late", "overlap", "old used after"]);
        for row in &report.rotations {
            let late = row.late_by_days.filter(|days| *days > 0).map(|days| format!("{days} d")).unwrap_or_default();
            table.row(vec![
                Cell::from(moment(row.switched_at.0)),
                Cell::from(row.kind),
                Cell::from(&row.owner),
                Cell::from(&row.old),
                Cell::from(&row.new),
                Cell::new(late, Paint::Warn),
                Cell::from(format!(
                    "{:.1} d",
                    f64::from(u32::try_from(row.overlap_seconds / 360).unwrap_or(0)) / 240.0
                )),
                Cell::from(match (row.old_uses_after, row.old_used_by.first()) {
                    (0, _) => String::new(),
                    (uses, None) => uses.to_string(),
                    (uses, Some(by)) if row.old_used_by.len() == 1 => format!("{uses}, from {}", by.address),
                    (uses, Some(by)) => format!("{uses}, from {} …", by.address),
                }),
            ]);
        }
        out.table(&table)?;
    }
    if !report.attribution.is_empty() {
        out.heading("Who made and last changed them")?;
        let mut table = Table::new(&["access key id", "owner", "status", "made", "last changed"]);
        for row in &report.attribution {
            let brief = |by: &Option<crate::audit::rotation::BriefAttribution>| {
                by.as_ref().map(|by| format!("{} {} ({})", moment(by.at.0), by.actor, by.event)).unwrap_or_default()
            };
            table.row(vec![
                Cell::new(&row.access_key_id, Paint::Bold),
                Cell::from(&row.owner),
                Cell::from(row.status),
                Cell::from(brief(&row.created)),
                Cell::from(brief(&row.last_changed)),
            ]);
        }
        out.table(&table)?;
    }
    if let Some(population) = &report.population {
        out.heading("Every grant and revoke of the period")?;
        population.rows.iter().try_for_each(|row| show::fact(out, row, false))?;
        if let (Some(first), Some(last)) = (&population.first, &population.last) {
            out.line(format!(
                "{} events, from commit {} (frame {}) to {} (frame {})",
                population.events, first.seq, first.frame_hash, last.seq, last.frame_hash
            ))?;
        }
    }
    if let Some(widened) = &report.widened {
        out.heading("What widened rights in the period")?;
        super::widened::print(out, widened)?;
    }
    out.line("")?;
    out.pieces(&[(
        Paint::Dim,
        &format!("digest of the day: {} over {} nouns", report.snapshot.digest, report.snapshot.rows),
    )])?;
    out.pieces(&[(Paint::Dim, &format!("answers {}", report.questions.join(", ")))])
}

/// Findings, worst first.
pub fn findings(out: &mut Out, findings: &[Finding]) -> Result<(), Failure> {
    let mut table = Table::new(&["severity", "question", "check", "access key id", "owner", "what", "events"]);
    for finding in findings {
        let paint = match finding.severity {
            Severity::High => Paint::Bad,
            Severity::Medium => Paint::Warn,
            Severity::Low | Severity::Info => Paint::Dim,
        };
        let events: Vec<String> = finding.events.iter().take(3).map(ToString::to_string).collect();
        let more = if finding.events.len() > 3 { " …" } else { "" };
        table.row(vec![
            Cell::new(finding.severity.as_str(), paint),
            Cell::from(finding.question),
            Cell::from(finding.check),
            Cell::new(finding.access_key_id.as_deref().unwrap_or_default(), Paint::Bold),
            Cell::from(finding.owner.as_deref().unwrap_or_default()),
            Cell::from(&finding.detail),
            Cell::new(format!("{}{more}", events.join(" ")), Paint::Dim),
        ]);
    }
    out.table(&table)
}
