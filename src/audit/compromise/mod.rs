//! `audit compromise`: what happened with a leaked key, what it left behind, and what of that still lives.
//!
//! The window `[since, until)` is when the key was in wrong hands, as far as one knows; what it did before is its baseline, against
//! which addresses and programs count as new. What grew out of the key is followed through every key, user and temporary
//! credential, to the moment the question is asked as of.
//!
//! Not here: what a request would have been answered (I7 needs the evaluator; the documents in force stand in its place), and
//! whether every node has heard of the revoke (I2, I16: needs the nodes' own seqs).

mod integrity;
mod report;
mod siblings;
mod tree;

pub use report::{
    Act, AfterStop, Alive, CompromiseReport, DenialRow, Exposure, HourRow, Node, Place, RansomRow, RightsAt, Sibling,
    Unanswered,
};

use super::at::{AsOf, worlds_at};
use super::biography::stopped_at;
use super::gather::{Kept, gather};
use super::mention::{Mention, actor_key, is_made};
use super::names::{KeyPlace, Worlds};
use super::query::{both_uids, is_about_key};
use super::report::{Attribution, EventRef, FactRow, Finding, Severity, Stamp, org_kind};
use super::rights::{bearing_facts, in_force, widens};
use super::uses::{Ended, Profile, Use, UseSummary, uses_in};
use super::{AuditError, History, Plan};
use crate::model::{Event, KeyUid, Time};
use std::collections::{BTreeMap, BTreeSet};

/// The questions that are answered here.
pub const QUESTIONS: [&str; 13] = ["I1", "I3", "I4", "I5", "I6", "I8", "I9", "I10", "I11", "I12", "I13", "I14", "I17"];

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct CompromiseOptions {
    /// The leak: from here on uses are suspect. `None`: all of them are, and nothing is a baseline.
    pub since: Option<Time>,
    /// Exclusive. `None`: until now.
    pub until: Option<Time>,
    /// The moment that "still alive" is told at.
    pub as_of: AsOf,
    /// Days before `since` in which a widening of its rights is told (I13).
    pub widened_days: u32,
    /// Deletes from one address above which they look like ransom (I18).
    pub ransom_deletes: u64,
    /// Rows of the timeline; the total is told.
    pub timeline_max: usize,
    /// Generations that are followed, and keys and users in all.
    pub depth_max: usize,
    pub nodes_max: usize,
}

impl CompromiseOptions {
    #[must_use]
    pub fn at(as_of: AsOf) -> Self {
        Self {
            since: None,
            until: None,
            as_of,
            widened_days: 7,
            ransom_deletes: 50,
            timeline_max: 1_000,
            depth_max: 16,
            nodes_max: 10_000,
        }
    }

    /// Whether something between two moments touches the window.
    fn has(&self, first: Time, last: Time) -> bool {
        self.since.is_none_or(|since| last >= since) && self.until.is_none_or(|until| first < until)
    }
}

/// Investigates a key; `worlds` are those of `options.as_of`.
///
/// # Errors
/// Whatever keeps the log from being read.
pub fn compromise(
    history: &dyn History,
    worlds: &Worlds,
    access_key_id: &str,
    options: &CompromiseOptions,
) -> Result<CompromiseReport, AuditError> {
    let now = options.as_of.now(worlds);
    let places = worlds.keys_of_id(access_key_id);
    let (live, evidence) = both_uids(access_key_id);
    let uids: BTreeSet<KeyUid> = [live, evidence].into();
    let facts = own_facts(history, &uids, options)?;
    let mut used = Used::default();
    used.read(&facts, &uids, options, stop_of(&places, now));
    let mut findings = Vec::new();
    let tree = tree::grow(history, worlds, &places, options, now)?;
    let in_tree: BTreeSet<KeyUid> = tree.keys().collect();
    let mut widened = Vec::new();
    let mut rights = Vec::new();
    let mut place_rows = Vec::new();
    for place in &places {
        widened.extend(widenings(history, place, &facts, options)?);
        rights.push(RightsAt {
            at: now.into(),
            org: worlds.account(place.record.org),
            in_force: in_force(worlds, place.uid, &place.record),
        });
        place_rows.push(place_row(worlds, place, &facts, now));
    }
    if let Some(since) = options.since {
        let then = worlds_at(history, AsOf { when: crate::model::When::At(since), known_at: options.as_of.known_at })?;
        for place in then.keys_of_id(access_key_id) {
            let org = then.account(place.record.org);
            rights.insert(0, RightsAt { at: since.into(), org, in_force: in_force(&then, place.uid, &place.record) });
        }
    }
    widened.sort_by_key(|(order, _)| *order);
    let widened: Vec<FactRow> =
        widened.iter().filter_map(|(_, kept)| kept.with(|fact| FactRow::of(fact, worlds))).collect();
    let siblings = siblings::siblings(history, worlds, &places, &facts, &used, &in_tree, options, now)?;
    let ransom = used.ransom(options);
    integrity::findings(history, worlds, &places, options, &tree, &mut findings)?;
    let context = Judged { worlds, places: &places, access_key_id, now };
    context.judge(&used, &tree, &widened, &ransom, &mut findings);
    findings.sort_by(|a, b| (b.severity, a.question, &a.detail).cmp(&(a.severity, b.question, &b.detail)));
    let (timeline, timeline_total) = timeline(worlds, &facts, &uids, &tree, options);
    let alive = tree.alive();
    Ok(CompromiseReport {
        questions: QUESTIONS,
        access_key_id: access_key_id.to_owned(),
        known: !places.is_empty() || !facts.is_empty(),
        since: options.since.map(Stamp),
        until: options.until.map(Stamp),
        as_of: now.into(),
        seq: history.last_seq(),
        exposure: used.exposure(&places, options, worlds, now),
        places: place_rows,
        baseline: UseSummary::from(&used.baseline),
        window: UseSummary::from(&used.window),
        addresses: Profile::rows(&used.window.addresses, used.known(|p| &p.addresses)),
        networks: Profile::rows(&used.window.networks, used.known(|p| &p.networks)),
        agents: Profile::rows(&used.window.agents, used.known(|p| &p.agents)),
        actions: Profile::rows(&used.window.actions, used.known(|p| &p.actions)),
        regions: Profile::rows(&used.window.regions, used.known(|p| &p.regions)),
        buckets: Profile::rows(&used.window.buckets, used.known(|p| &p.buckets)),
        hours: used.window.hours.iter().map(|(hour, uses)| HourRow { hour: (*hour).into(), uses: *uses }).collect(),
        denials: used.denials(),
        after_stop: used.after_stop(),
        tree: tree.nested(worlds),
        alive,
        siblings,
        widened,
        rights,
        ransom,
        findings,
        timeline,
        timeline_total,
        unanswered: unanswered(),
    })
}

fn unanswered() -> Vec<Unanswered> {
    [
        ("I2", "whether every node has applied the revoke: ask the nodes for the seq they stand at"),
        ("I7", "what each request would have got: needs policy evaluation; `rights` shows the grants and documents in force"),
        ("I16", "whether containment reached every node: `after_stop` shows what was seen here"),
    ]
    .map(|(question, why)| Unanswered { question, why })
    .to_vec()
}

/// Facts about the id and by it, in both worlds.
fn own_facts(
    history: &dyn History,
    uids: &BTreeSet<KeyUid>,
    options: &CompromiseOptions,
) -> Result<Vec<Kept>, AuditError> {
    let terms = uids.iter().flat_map(|uid| [Mention::Key(*uid).term(), Mention::ActorKey(*uid).term()]).collect();
    gather(history, &Plan::mentioning(terms), &|fact| {
        options.as_of.shows(fact)
            && (actor_key(fact).is_some_and(|key| uids.contains(&key))
                || uids.iter().any(|uid| is_about_key(fact.event, *uid)))
    })
}

/// Since when no place has it usable.
fn stop_of(places: &[KeyPlace], now: Time) -> Option<Time> {
    let stops: Option<Vec<Time>> = places.iter().map(|place| stopped_at(&place.record, now)).collect();
    stops?.into_iter().max()
}

/// The facts that widened a key's rights in the window and shortly before it.
fn widenings(
    history: &dyn History,
    place: &KeyPlace,
    facts: &[Kept],
    options: &CompromiseOptions,
) -> Result<Vec<(Order, Kept)>, AuditError> {
    let days = i64::from(options.widened_days);
    let from = options.since.map(|since| since.plus_ns(-days * 86_400_000_000_000));
    let fits = |kept: &Kept| {
        kept.with(|fact| {
            widens(fact.event)
                && fact.org == Some(place.record.org)
                && options.as_of.shows(fact)
                && from.is_none_or(|from| fact.effective_at >= from)
                && options.until.is_none_or(|until| fact.effective_at < until)
        }) == Some(true)
    };
    let bearing = bearing_facts(history, place.record.org, place.uid, &place.record.owner)?;
    let own = facts.iter().filter(|kept| kept.with(|fact| is_about_key(fact.event, place.uid)) == Some(true));
    let all = bearing.into_iter().map(|(_, kept)| kept).chain(own.cloned());
    Ok(all.filter(fits).map(|kept| (kept.order(), kept)).collect())
}

type Order = (Time, crate::model::Rank, [u8; 16], crate::model::EventId, u16);

fn place_row(worlds: &Worlds, place: &KeyPlace, facts: &[Kept], now: Time) -> Place {
    let key = &place.record;
    let status = worlds.status(key, now);
    let mut created = None;
    let mut secrets_shown = Vec::new();
    for kept in facts {
        kept.with(|fact| {
            let own = is_about_key(fact.event, place.uid) && fact.org == Some(key.org);
            match fact.event {
                Event::KeyCreated(made) | Event::KeyImported(made) if own && made.key == place.uid && is_made(fact) => {
                    created.get_or_insert_with(|| Attribution::of(fact));
                    secrets_shown.push(Attribution::of(fact));
                }
                Event::KeySecretRotated { .. } if own => secrets_shown.push(Attribution::of(fact)),
                Event::EvidenceObserved(observed) if own && observed.issued_key.is_some() => {
                    created.get_or_insert_with(|| Attribution::of(fact));
                }
                _ => {}
            }
        });
    }
    Place {
        org: worlds.account(key.org),
        org_kind: org_kind(worlds.kind_of(key.org)),
        owner: worlds.owner_name(&key.owner),
        label: key.label.to_string(),
        status: status.as_str(),
        usable: status.is_usable(),
        created_at: key.created_at().map(Stamp),
        stopped_at: stopped_at(key, now).map(Stamp),
        created,
        secrets_shown,
    }
}

/// Uses of the key, before and in the window.
#[derive(Default)]
pub(in crate::audit) struct Used {
    baseline: Profile,
    window: Profile,
    denied: BTreeMap<(String, String, String), super::uses::Tally>,
    /// By address and how they ended.
    after: BTreeMap<(String, Ended, String), super::uses::Tally>,
    /// Deletes, writes, reads by address, and calls that take away the means to restore.
    impact: BTreeMap<String, Impact>,
    deletes_before: u64,
    last_ok: Option<Time>,
}

#[derive(Default)]
struct Impact {
    deletes: u64,
    writes: u64,
    reads: u64,
    calls: BTreeSet<String>,
    events: Vec<EventRef>,
}

impl Used {
    fn read(&mut self, facts: &[Kept], uids: &BTreeSet<KeyUid>, options: &CompromiseOptions, stop: Option<Time>) {
        let mut last_id = None;
        for kept in facts {
            kept.with(|fact| {
                let is_first = last_id != Some(fact.id);
                last_id = Some(fact.id);
                for uid in uids {
                    uses_in(fact, is_first, *uid, &mut |used| self.add(&used, options, stop));
                }
            });
        }
    }

    fn add(&mut self, used: &Use<'_>, options: &CompromiseOptions, stop: Option<Time>) {
        let is_late = used.ended == Ended::Rejected || stop.is_some_and(|stop| used.first >= stop);
        if is_late {
            let row = (used.address.to_owned(), used.ended, used.code.to_owned());
            self.after.entry(row).or_default().add(used);
        }
        if used.ended == Ended::Rejected {
            return;
        }
        if options.since.is_some_and(|since| used.last < since) {
            self.baseline.add(used);
            if is_delete(used.action) {
                self.deletes_before = self.deletes_before.saturating_add(used.count);
            }
            return;
        }
        if !options.has(used.first, used.last) {
            return;
        }
        self.window.add(used);
        if used.ended == Ended::Ok {
            self.last_ok = self.last_ok.max(Some(used.last));
            self.note_impact(used);
        } else {
            let action = format!("{}:{}", used.service, used.action);
            let row = (action, used.code.to_owned(), used.address.to_owned());
            self.denied.entry(row).or_default().add(used);
        }
    }

    fn note_impact(&mut self, used: &Use<'_>) {
        let is_s3 = used.service == "s3";
        let takes_away = super::known::what(used.action) == Some(super::known::Notable::Impact);
        if !is_s3 && !takes_away {
            return;
        }
        let impact = self.impact.entry(used.address.to_owned()).or_default();
        let count = if is_delete(used.action) {
            &mut impact.deletes
        } else if used.action == "write" || used.action.starts_with("Put") || used.action.starts_with("Copy") {
            &mut impact.writes
        } else {
            &mut impact.reads
        };
        *count = count.saturating_add(used.count);
        if takes_away {
            impact.calls.insert(used.action.to_owned());
        }
        if impact.events.len() < super::uses::EVENTS_NAMED_MAX && (takes_away || is_delete(used.action)) {
            impact.events.push(used.event);
        }
    }

    /// What is known of a side before the window; `None` where there was no use before, so that nothing can be new.
    fn known<'a>(
        &'a self,
        side: impl Fn(&'a Profile) -> &'a BTreeMap<String, super::uses::Tally>,
    ) -> Option<&'a BTreeMap<String, super::uses::Tally>> {
        (self.baseline.all.total() > 0).then(|| side(&self.baseline))
    }

    /// Addresses that are new; where nothing can be new, all of the window.
    fn suspect_addresses(&self) -> BTreeSet<String> {
        suspects(&self.window.addresses, self.known(|p| &p.addresses))
    }

    fn suspect_agents(&self) -> BTreeSet<String> {
        suspects(&self.window.agents, self.known(|p| &p.agents))
    }

    fn exposure(&self, places: &[KeyPlace], options: &CompromiseOptions, worlds: &Worlds, now: Time) -> Exposure {
        let still_usable = places.iter().any(|place| worlds.status(&place.record, now).is_usable());
        let stopped = stop_of(places, now).filter(|_| !still_usable);
        let end = stopped.unwrap_or(now);
        Exposure {
            leaked_at: options.since.map(Stamp),
            first_use: self.window.all.first,
            last_use: self.window.all.last,
            last_successful_use: self.last_ok.map(Stamp),
            stopped_at: stopped.map(Stamp),
            still_usable,
            usable_after_leak_seconds: options.since.map(|since| end.ns_since(since).max(0) / 1_000_000_000),
            in_use_after_leak_seconds: match (options.since, self.last_ok) {
                (Some(since), Some(last)) => Some(last.ns_since(since).max(0) / 1_000_000_000),
                _ => None,
            },
        }
    }

    fn denials(&self) -> Vec<DenialRow> {
        let row = |((action, code, address), tally): (&(String, String, String), &super::uses::Tally)| DenialRow {
            action: action.clone(),
            code: code.clone(),
            address: address.clone(),
            tally: tally.clone(),
        };
        let mut rows: Vec<DenialRow> = self.denied.iter().map(row).collect();
        rows.sort_by(|a, b| (a.tally.first, &a.action).cmp(&(b.tally.first, &b.action)));
        rows
    }

    fn after_stop(&self) -> Vec<AfterStop> {
        let row = |((address, ended, code), tally): (&(String, Ended, String), &super::uses::Tally)| AfterStop {
            address: address.clone(),
            ended: *ended,
            code: code.clone(),
            tally: tally.clone(),
        };
        self.after.iter().map(row).collect()
    }

    fn ransom(&self, options: &CompromiseOptions) -> Vec<RansomRow> {
        let mut rows: Vec<RansomRow> = self
            .impact
            .iter()
            .map(|(address, impact)| RansomRow {
                address: address.clone(),
                deletes: impact.deletes,
                writes: impact.writes,
                reads: impact.reads,
                calls: impact.calls.iter().cloned().collect(),
                looks_like_ransom: impact.deletes >= options.ransom_deletes
                    && self.deletes_before.saturating_mul(10) <= impact.deletes,
                events: impact.events.clone(),
            })
            .collect();
        rows.sort_by(|a, b| (b.deletes, &a.address).cmp(&(a.deletes, &b.address)));
        rows
    }
}

fn suspects(
    side: &BTreeMap<String, super::uses::Tally>,
    known: Option<&BTreeMap<String, super::uses::Tally>>,
) -> BTreeSet<String> {
    side.keys().filter(|value| known.is_none_or(|known| !known.contains_key(*value))).cloned().collect()
}

fn is_delete(action: &str) -> bool {
    action == "delete" || action.starts_with("DeleteObject") || action == "DeleteBucket"
}

/// What the conclusions are drawn from.
struct Judged<'a> {
    worlds: &'a Worlds,
    places: &'a [KeyPlace],
    access_key_id: &'a str,
    now: Time,
}

impl Judged<'_> {
    fn judge(
        &self,
        used: &Used,
        tree: &tree::Tree,
        widened: &[FactRow],
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
            let events = events.take(super::uses::EVENTS_NAMED_MAX).collect();
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
            let detail = format!("rights may have widened: {} {}", row.actor, row.summary);
            findings.push(self.finding("I13", "rights-widened", Severity::Low, detail, vec![row.event]));
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

/// Everything of the window in the order it took effect: the key's own facts and what grew out of it.
fn timeline(
    worlds: &Worlds,
    facts: &[Kept],
    uids: &BTreeSet<KeyUid>,
    tree: &tree::Tree,
    options: &CompromiseOptions,
) -> (Vec<FactRow>, usize) {
    let mut all: Vec<&Kept> =
        facts.iter().filter(|kept| options.has(kept.effective_at(), kept.effective_at())).collect();
    all.extend(tree.facts());
    all.sort_by_key(|kept| kept.order());
    all.dedup_by_key(|kept| kept.order());
    all.retain(|kept| kept.with(is_made) == Some(true));
    let total = all.len();
    let row = |kept: &&Kept| {
        kept.with(|fact| {
            let mut row = FactRow::of(fact, worlds);
            let mut uses = Vec::new();
            if matches!(fact.event, Event::UsageRolledUp { .. } | Event::AttemptsRolledUp { .. }) {
                for uid in uids {
                    uses_in(fact, true, *uid, &mut |used| uses.push(said(&used)));
                }
                // Of a rollup only this key's part is told.
                row.about.retain(|subject| uids.iter().any(|uid| worlds.key_name(*uid) == subject.name));
                row.summary = uses.join("; ");
            }
            row
        })
    };
    (all.iter().take(options.timeline_max).filter_map(row).collect(), total)
}

fn said(used: &Use<'_>) -> String {
    let bucket = used.bucket.map_or_else(String::new, |bucket| format!(" on `{bucket}`"));
    format!("{} × {}:{}{bucket} from {} ({})", used.count, used.service, used.action, used.address, used.code)
}
