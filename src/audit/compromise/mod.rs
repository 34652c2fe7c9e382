//! `audit compromise`: what happened with a leaked key, what it left behind, and what of that still lives.
//!
//! The window `[since, until)` is when the key was in wrong hands, as far as one knows; what it did before is its baseline, against
//! which addresses and programs count as new. What grew out of the key is followed through every key, user and temporary
//! credential, to the moment the question is asked as of.
//!
//! Not here: what one request would have been answered (`audit rights`), and whether every node has heard of the revoke (I16: needs
//! the nodes' own seqs).

mod integrity;
mod judged;
mod report;
mod siblings;
mod tree;
mod undone;
mod usable;
mod used;

pub use report::{
    Act, AfterStop, Alive, Client, CompromiseReport, DenialRow, Exposure, HourRow, Node, Place, RadiusAt, RansomRow,
    RightsAt, Sibling, Unanswered, Usable,
};

use super::access::blast::blast_radius;
use super::access::course::course;
use super::access::widened::{self, Period};
use super::at::{AsOf, worlds_at};
use super::biography::stopped_at;
use super::gather::{Kept, gather};
use super::mention::{Mention, actor_key, is_made};
use super::names::{KeyPlace, Worlds};
use super::query::{both_uids, is_about_key};
use super::report::{Attribution, FactRow, Stamp, org_kind};
use super::rights::{bearing_facts, in_force, widens};
use super::uses::{Profile, Use, UseSummary, uses_in};
use super::{AuditError, History, Plan};
use crate::model::{Event, KeyUid, Time};
use judged::Judged;
use std::collections::BTreeSet;
use used::{Used, stop_of};

/// The questions that are answered here.
pub const QUESTIONS: [&str; 17] =
    ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I12", "I13", "I14", "I15", "I17", "I18"];

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
    /// Days before `since`, or before now, whose uses are taken for legitimate (I15).
    pub clients_days: u32,
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
            clients_days: 30,
            ransom_deletes: 50,
            timeline_max: 1_000,
            depth_max: 16,
            nodes_max: 10_000,
        }
    }

    fn widened_ns(&self) -> i64 {
        i64::from(self.widened_days) * 86_400_000_000_000
    }

    /// The last moment of the window.
    fn end(&self, now: Time) -> Time {
        self.until.map_or(now, |until| until.plus_ns(-1).min(now))
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
    used.read(&facts, &uids, options, (stop_of(&places, now), now));
    let mut findings = Vec::new();
    let tree = tree::grow(history, worlds, &places, options, now)?;
    let in_tree: BTreeSet<KeyUid> = tree.keys().collect();
    let mut widened = Vec::new();
    let mut rights = Vec::new();
    let (mut place_rows, mut opened, mut courses, mut usables, mut radii) = (vec![], vec![], vec![], vec![], vec![]);
    let radius = |worlds: &Worlds, place: &KeyPlace, at: Time| RadiusAt {
        at: at.into(),
        account_id: worlds.account(place.record.org),
        org_kind: org_kind(worlds.kind_of(place.record.org)),
        radius: blast_radius(worlds, &place.record, at),
    };
    for place in &places {
        widened.extend(widenings(history, place, &facts, options)?);
        rights.push(RightsAt {
            at: now.into(),
            org: worlds.account(place.record.org),
            in_force: in_force(worlds, place.uid, &place.record),
        });
        let (orgs, to) = (BTreeSet::from([place.record.org]), options.end(now));
        let since = options.since.map_or(Time::MIN, |since| since.plus_ns(-options.widened_ns() - 1));
        let (as_of, key) = (options.as_of, Some(place.uid));
        opened.extend(widened::widened(history, worlds, &Period { since, to, as_of, key, orgs: Some(&orgs) })?);
        courses.push(course(history, worlds, place, options.since, to, as_of)?);
        usables.push(usable::usable(history, worlds, place, &facts, now)?);
        if options.since.is_none() {
            radii.push(radius(worlds, place, now));
        }
        place_rows.push(place_row(worlds, place, &facts, now));
    }
    if let Some(since) = options.since {
        let then = worlds_at(history, AsOf { when: crate::model::When::At(since), known_at: options.as_of.known_at })?;
        for place in then.keys_of_id(access_key_id) {
            let org = then.account(place.record.org);
            radii.push(radius(&then, &place, since));
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
    context.judge(&used, &tree, &widened, &opened, &ransom, &mut findings);
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
        opened,
        rights,
        courses,
        usable: usables,
        clients: used.clients(),
        blast_radius: radii,
        ransom,
        findings,
        timeline,
        timeline_total,
        unanswered: unanswered(),
    })
}

fn unanswered() -> Vec<Unanswered> {
    [("I16", "whether the stop reached every node: no node has reported; `after_stop` shows what was seen here")]
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

/// The facts that widened a key's rights in the window and shortly before it.
fn widenings(
    history: &dyn History,
    place: &KeyPlace,
    facts: &[Kept],
    options: &CompromiseOptions,
) -> Result<Vec<(Order, Kept)>, AuditError> {
    let from = options.since.map(|since| since.plus_ns(-options.widened_ns()));
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
