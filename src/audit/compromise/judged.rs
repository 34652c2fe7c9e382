//! What follows from all that was found: the findings.
//!
//! Not here: damage to the log itself (`integrity`).

use super::super::access::compare::{CellChange, in_words};
use super::super::access::widened::Widening;
use super::super::names::{KeyPlace, Worlds};
use super::super::report::{EventRef, FactRow, Finding, Severity, org_kind};
use super::super::uses::{EVENTS_NAMED_MAX, Ended, Profile};
use super::report::RansomRow;
use super::tree;
use super::used::Used;
use crate::model::Time;
use std::collections::BTreeSet;

/// Places that a finding names.
const PLACES_SHOWN: usize = 3;

/// What the conclusions are drawn from.
pub(super) struct Judged<'a> {
    pub worlds: &'a Worlds,
    pub places: &'a [KeyPlace],
    pub access_key_id: &'a str,
    pub now: Time,
}

impl Judged<'_> {
    pub fn judge(
        &self,
        used: &Used,
        tree: &tree::Tree,
        widened: &[FactRow],
        opened: &[Widening],
        ransom: &[RansomRow],
        findings: &mut Vec<Finding>,
    ) {
        for place in self.places {
            if self.worlds.status(&place.record, self.now).is_usable() {
                let detail = "the key is still usable".to_owned();
                findings.push(self.finding("I4", "still-usable", Severity::High, detail, Vec::new()));
            }
        }
        for row in Profile::rows(&used.window.networks, used.known(|p| &p.networks)).iter().filter(|row| row.is_new) {
            let detail = format!("used from a network it was never used from before: {}", row.value);
            findings.push(self.finding("I6", "new-network", Severity::Medium, detail, row.tally.events.clone()));
        }
        for row in Profile::rows(&used.window.agents, used.known(|p| &p.agents)).iter().filter(|row| row.is_new) {
            let agent = crate::model::text::excerpt(&row.value, 120);
            let detail = format!("used by a program that never used it before: {agent}");
            findings.push(self.finding("I6", "new-agent", Severity::Low, detail, row.tally.events.clone()));
        }
        let denied: u64 = used.denied.values().fold(0, |sum, tally| sum.saturating_add(tally.total()));
        if denied > 0 {
            let actions: BTreeSet<&String> = used.denied.keys().map(|(action, _, _)| action).collect();
            let severity = if actions.len() >= 5 { Severity::Medium } else { Severity::Low };
            let detail = format!("{denied} calls failed or were denied, {} different ones", actions.len());
            let events = used.denied.values().flat_map(|tally| tally.events.iter().copied());
            let events = events.take(EVENTS_NAMED_MAX).collect();
            findings.push(self.finding("I9", "reconnaissance", severity, detail, events));
        }
        for left in tree.left_behind() {
            let severity = if left.alive == Some(false) { Severity::Info } else { Severity::High };
            let state = match left.alive {
                Some(true) => "which still stands",
                Some(false) => "which is gone",
                None => "and whether it still stands is not in the log",
            };
            let detail = format!("{}, {state}", left.what);
            findings.push(self.finding("I10", left.check, severity, detail, vec![left.event]));
        }
        for ((address, ended, code), tally) in &used.after {
            let (check, severity) = match ended {
                Ended::Ok => ("used-after-stop", Severity::High),
                Ended::Denied | Ended::Failed | Ended::Rejected => ("tried-after-stop", Severity::Low),
            };
            let detail = format!("{} times from {address} after it had stopped ({code})", tally.total());
            findings.push(self.finding("I14", check, severity, detail, tally.events.clone()));
        }
        for row in widened {
            let cells: Vec<CellChange> = opened
                .iter()
                .filter(|it| it.event == row.event)
                .flat_map(|it| it.keys.iter().flat_map(|key| key.cells.iter().cloned()))
                .collect();
            let (words, severity) = match in_words(&cells, PLACES_SHOWN) {
                words if words.is_empty() => ("rights may have widened".to_owned(), Severity::Low),
                words => (format!("rights widened ({words})"), Severity::Medium),
            };
            let detail = format!("{words}: {} {}", row.actor, row.summary);
            findings.push(self.finding("I13", "rights-widened", severity, detail, vec![row.event]));
        }
        for row in ransom.iter().filter(|row| row.looks_like_ransom) {
            let detail = format!("{} deletes from {}, far more than ever before", row.deletes, row.address);
            findings.push(self.finding("I18", "ransom-pattern", Severity::High, detail, row.events.clone()));
        }
    }

    fn finding(
        &self,
        question: &'static str,
        check: &'static str,
        severity: Severity,
        detail: String,
        events: Vec<EventRef>,
    ) -> Finding {
        let first = self.places.first().map(|place| &place.record);
        Finding {
            question,
            check,
            severity,
            org: first.map(|key| self.worlds.account(key.org)),
            org_kind: first.map(|key| org_kind(self.worlds.kind_of(key.org))),
            access_key_id: Some(self.access_key_id.to_owned()),
            owner: first.map(|key| self.worlds.owner_name(&key.owner)),
            days: None,
            since: None,
            detail,
            events,
        }
    }
}
