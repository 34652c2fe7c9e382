//! Whether somebody tampered with the record of it all: clocks, tails, trails, and changes taken back (I17).
//!
//! Not here: whether the log itself is whole (`log::verify`).

use super::super::describe::describe;
use super::super::gather::each_fact;
use super::super::known::{self, Notable};
use super::super::mention::Mention;
use super::super::names::{KeyPlace, Worlds};
use super::super::report::{ActorRow, Finding, Severity, org_kind};
use super::super::{AuditError, History, Plan, Term};
use super::CompromiseOptions;
use super::tree::Tree;
use crate::model::{EventKind, Outcome};
use crate::state::Fact;

/// How long before the window such things are still told: a day.
const BEFORE_NS: i64 = 86_400_000_000_000;

/// Adds what speaks of tampering in the window, by whomever.
pub(super) fn findings(
    history: &dyn History,
    worlds: &Worlds,
    places: &[KeyPlace],
    options: &CompromiseOptions,
    tree: &Tree,
    findings: &mut Vec<Finding>,
) -> Result<(), AuditError> {
    let from = options.since.map(|since| since.plus_ns(-BEFORE_NS));
    let in_time = |fact: &Fact<'_>| {
        options.as_of.shows(fact)
            && from.is_none_or(|from| fact.effective_at >= from)
            && options.until.is_none_or(|until| fact.effective_at < until)
    };
    let finding = |check, severity, fact: &Fact<'_>, detail: String| Finding {
        question: "I17",
        check,
        severity,
        org: fact.org.map(|org| worlds.account(org)),
        org_kind: fact.org.map(|org| org_kind(worlds.kind_of(org))),
        access_key_id: fact.actor.key.map(ToString::to_string),
        owner: None,
        days: None,
        since: Some(fact.effective_at.into()),
        detail,
        events: vec![fact.id.into()],
    };
    let kinds = [EventKind::TailAccepted, EventKind::LedgerRestored, EventKind::ClockAccepted];
    let mut terms: Vec<Term> = kinds.iter().map(|kind| Mention::Kind(*kind).term()).collect();
    terms.push(Term::CLOCK_REGRESSED);
    let mut last_regressed = None;
    each_fact(history, &Plan::mentioning(terms), &in_time, &mut |fact, _, commit| {
        if kinds.contains(&fact.event.kind()) {
            let check = match fact.event.kind() {
                EventKind::TailAccepted => "tail-accepted",
                EventKind::LedgerRestored => "ledger-restored",
                _ => "clock-accepted",
            };
            let detail = format!("{} {}", ActorRow::of(fact), describe(fact, worlds).summary);
            findings.push(finding(check, Severity::Medium, fact, detail));
        }
        if commit.clock_regressed && last_regressed != Some(commit.seq) {
            last_regressed = Some(commit.seq);
            let detail = "the wall clock had gone back by more than a second".to_owned();
            findings.push(finding("clock-regressed", Severity::Low, fact, detail));
        }
    })?;
    let orgs: Vec<_> = places.iter().map(|place| place.record.org).collect();
    let calls = known::calls(Notable::AntiForensics);
    let plan = Plan::mentioning(calls.map(|call| Mention::Call(call).term()).collect());
    let blinds = |fact: &Fact<'_>| {
        in_time(fact)
            && fact.org.is_some_and(|org| orgs.contains(&org))
            && fact.record.is_some_and(|record| known::what(&record.event_name) == Some(Notable::AntiForensics))
    };
    each_fact(history, &plan, &blinds, &mut |fact, change, _| {
        if change > 0 {
            return;
        }
        let name = fact.record.map_or("", |record| record.event_name.as_str());
        let by = ActorRow::of(fact);
        let (severity, how) = match fact.outcome() {
            Outcome::Ok => (Severity::High, String::new()),
            failed => (Severity::Medium, format!(" in vain ({})", failed.as_str())),
        };
        findings.push(finding("logging-attacked", severity, fact, format!("{by} called {name}{how}")));
    })?;
    for (done, undone, what) in tree.reverted(worlds) {
        findings.push(Finding {
            question: "I17",
            check: "taken-back",
            severity: Severity::Medium,
            org: None,
            org_kind: None,
            access_key_id: None,
            owner: None,
            days: None,
            since: None,
            detail: format!("{what} was made and taken back again"),
            events: vec![done, undone],
        });
    }
    Ok(())
}
