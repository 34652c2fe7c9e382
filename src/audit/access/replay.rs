//! The past once more, event by event: what bore on rights in a stretch of time, with the worlds before and after each.
//!
//! Live orgs are replayed in the order of recording, each evidence org in the order its records took effect.
//!
//! Not here: whose rights changed (`ties`), and how (`course`, `widened`).

use super::ties::bears_on_rights;
use crate::audit::at::{AsOf, apply_live, evidence_at};
use crate::audit::mention::Mention;
use crate::audit::names::Worlds;
use crate::audit::report::EventRef;
use crate::audit::{AuditError, History, Plan};
use crate::model::{Event, EventKind, OrgKind, OrgUid, Seq, Time, When, uids};
use crate::state::State;
use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

/// What is replayed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch<'a> {
    pub from: Time,
    /// Inclusive.
    pub to: Time,
    /// What is known, and the end of a replay as of a seq.
    pub as_of: AsOf,
    pub live: bool,
    /// Evidence orgs.
    pub evidence: Option<&'a BTreeSet<OrgUid>>,
}

/// Where the replay stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stands<'a> {
    /// At the beginning.
    Begin,
    Before(&'a Moment<'a>),
    After(&'a Moment<'a>),
    End,
}

/// A commit or a record, with its events that bear on rights.
#[derive(Debug)]
pub(super) struct Moment<'a> {
    pub at: Time,
    pub org: Option<OrgUid>,
    pub events: Vec<Bears<'a>>,
}

/// One event, and its place among the changes of its record.
#[derive(Debug)]
pub(super) struct Bears<'a> {
    pub id: EventRef,
    pub change: u16,
    pub event: &'a Event,
}

/// Replays; `each` also gets which kind of org the worlds are of.
pub(super) fn replay(
    history: &dyn History,
    stretch: &Stretch<'_>,
    each: &mut dyn FnMut(OrgKind, Stands<'_>, &Worlds),
) -> Result<(), AuditError> {
    if stretch.live {
        live(history, stretch, each)?;
    }
    evidence(history, stretch, each)
}

fn live(
    history: &dyn History,
    stretch: &Stretch<'_>,
    each: &mut dyn FnMut(OrgKind, Stands<'_>, &Worlds),
) -> Result<(), AuditError> {
    let mut last = history.seq_at(stretch.to)?;
    if let When::Seq(seq) = stretch.as_of.when {
        last = last.min(seq);
    }
    if let Some(known_at) = stretch.as_of.known_at {
        last = last.min(history.seq_at(known_at)?);
    }
    let first = history.seq_at(stretch.from)?.min(last);
    let mut worlds = Worlds::live(if first.0 == 0 { State::empty() } else { history.state_at(first)? });
    each(OrgKind::Live, Stands::Begin, &worlds);
    let mut plan = Plan::range(first.0 + 1..=last.0);
    plan.glance.kinds = EventKind::ALL.iter().copied().filter(|kind| bears_on_rights(*kind)).collect();
    history.walk(&plan, &mut |commit| {
        let events: Vec<Bears<'_>> = commit
            .facts()
            .filter(|fact| fact.record.is_none() && bears_on_rights(fact.event.kind()))
            .map(|fact| Bears { id: EventRef(fact.id), change: 0, event: fact.event })
            .collect();
        let moment = Moment { at: commit.recorded_at, org: commit.commit.envelope.org, events };
        if !moment.events.is_empty() {
            each(OrgKind::Live, Stands::Before(&moment), &worlds);
        }
        apply_live(worlds.live_mut(), commit);
        if !moment.events.is_empty() {
            each(OrgKind::Live, Stands::After(&moment), &worlds);
        }
        ControlFlow::Continue(())
    })?;
    each(OrgKind::Live, Stands::End, &worlds);
    Ok(())
}

fn evidence(
    history: &dyn History,
    stretch: &Stretch<'_>,
    each: &mut dyn FnMut(OrgKind, Stands<'_>, &Worlds),
) -> Result<(), AuditError> {
    if stretch.evidence.is_some_and(BTreeSet::is_empty) {
        return Ok(());
    }
    let orgs = evidence_at(history, stretch.as_of)?;
    let wanted = |org: &OrgUid| stretch.evidence.is_none_or(|orgs| orgs.contains(org));
    let orgs: Vec<_> = orgs.into_iter().filter(|(org, _)| wanted(org)).collect();
    if orgs.is_empty() {
        return Ok(());
    }
    let ids = record_events(history)?;
    for (org, (account, evidence)) in orgs {
        let worlds = |state: &State| Worlds::evidence(org, account, state.share());
        let mut begun = false;
        evidence.follow_each(account, &mut |change, events, applied, state| {
            let at = change.record.effective_at;
            if at <= stretch.from || at > stretch.to {
                return;
            }
            if !begun {
                begun = true;
                each(OrgKind::Evidence, Stands::Begin, &worlds(state));
            }
            let Some(id) = ids.get(&change.record.event_id).copied() else { return };
            let bears = |(event, change): (_, u16)| Bears { id, change, event };
            let is_made = |event: &&Event| bears_on_rights(event.kind()) && !uids::is_mention(&change.record, event);
            let events = events.iter().zip(0..).filter(|(event, _)| is_made(event)).map(bears).collect();
            let moment = Moment { at, org: Some(org), events };
            if !moment.events.is_empty() {
                let stands = if applied { Stands::After(&moment) } else { Stands::Before(&moment) };
                each(OrgKind::Evidence, stands, &worlds(state));
            }
        });
        let end = Worlds::evidence(org, account, evidence.fold(account));
        if !begun {
            each(OrgKind::Evidence, Stands::Begin, &end);
        }
        each(OrgKind::Evidence, Stands::End, &end);
    }
    Ok(())
}

/// Which event of ours tells of a record.
pub(super) fn record_events(history: &dyn History) -> Result<HashMap<[u8; 16], EventRef>, AuditError> {
    let mut events: HashMap<[u8; 16], EventRef> = HashMap::new();
    let kinds = [EventKind::EvidenceChanged];
    let mut plan = Plan::mentioning(kinds.iter().map(|kind| Mention::Kind(*kind).term()).collect());
    plan.glance.kinds = kinds.to_vec();
    history.walk(&plan, &mut |commit| {
        for fact in commit.facts() {
            if let Some(record) = fact.record
                && matches!(commit.commit.events.get(usize::from(fact.id.index)), Some(Event::EvidenceChanged(_)))
            {
                events.entry(record.event_id).or_insert(EventRef(fact.id));
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(events)
}

/// Calls `f` with the fact of each of some events, by their place among the changes of a record.
pub(super) fn each_told(
    history: &dyn History,
    ids: &BTreeSet<(EventRef, u16)>,
    f: &mut dyn FnMut((EventRef, u16), &crate::state::Fact<'_>),
) -> Result<(), AuditError> {
    let seqs: BTreeSet<Seq> = ids.iter().map(|(event, _)| event.0.seq).collect();
    for seq in seqs {
        history.walk(&Plan::range(seq.0..=seq.0), &mut |commit| {
            let (mut last, mut change) = (None, 0_u16);
            for fact in commit.facts() {
                change = if last == Some(fact.id) { change.saturating_add(1) } else { 0 };
                last = Some(fact.id);
                let id = (EventRef(fact.id), change);
                if ids.contains(&id) {
                    f(id, &fact);
                }
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(())
}
