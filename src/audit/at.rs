//! What was true at a moment: the worlds as of a seq or a time, and one key without replaying everything.
//!
//! Of the live orgs a moment is the commits recorded by then. Of evidence it is the records that *took effect* by then, whenever
//! they were recorded; `known_at` hides what was recorded later (`product.md` §6).
//!
//! Not here: snapshots that shorten a replay (`state`).

use super::mention::Mention;
use super::names::Worlds;
use super::query::each_fact_of_kinds;
use super::{AuditError, History, Plan};
use crate::log::LogReader;
use crate::model::{AccountId, Commit, Event, EventKind, KeyUid, OrgKind, OrgUid, Seq, Time, When};
use crate::state::{Evidence, Fact, KeyRecord, KeyStatus, Recorded, State};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// A moment, and what is believed of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsOf {
    pub when: When,
    /// Hides what was recorded later.
    pub known_at: Option<Time>,
}

impl AsOf {
    #[must_use]
    pub fn time(time: Time) -> Self {
        Self { when: When::At(time), known_at: None }
    }

    #[must_use]
    pub fn seq(seq: Seq) -> Self {
        Self { when: When::Seq(seq), known_at: None }
    }

    fn holds(self, commit: &Recorded, effective_at: Time) -> bool {
        match self.when {
            When::At(time) => effective_at <= time,
            When::Seq(seq) => commit.seq <= seq,
        }
    }

    /// Whether a fact belongs to the story as of this moment.
    #[must_use]
    pub fn shows(self, fact: &Fact<'_>) -> bool {
        let by_then = match self.when {
            When::At(time) => fact.effective_at <= time,
            When::Seq(seq) => fact.id.seq <= seq,
        };
        by_then && self.known_at.is_none_or(|known_at| fact.recorded_at <= known_at)
    }

    /// The moment that statuses are told at: the time asked for, or that of the last commit.
    #[must_use]
    pub fn now(self, worlds: &Worlds) -> Time {
        match self.when {
            When::At(time) => time,
            When::Seq(_) => worlds.live_state().recorded_at(),
        }
    }
}

/// Every org as of a moment, by replaying the log from its start.
///
/// # Errors
/// [`AuditError::AheadOfLog`] for a seq that is not there yet, and whatever keeps the log from being read.
pub fn worlds_at(history: &dyn History, as_of: AsOf) -> Result<Worlds, AuditError> {
    let newest = history.last_seq();
    let known = match as_of.known_at {
        Some(known_at) => history.seq_at(known_at)?,
        None => newest,
    };
    let live = match as_of.when {
        When::Seq(seq) if seq > newest => {
            return Err(AuditError::AheadOfLog { asked: seq.0, newest: newest.0 });
        }
        When::Seq(seq) => seq.min(known),
        When::At(time) => history.seq_at(time)?.min(known),
    };
    let mut worlds = Worlds::live(history.state_at(live)?);
    for (org, (account, evidence)) in evidence_at(history, as_of)? {
        worlds.add_evidence(org, account, &evidence);
    }
    Ok(worlds)
}

/// A moment as a time: that of a commit, when one is named.
///
/// # Errors
/// [`AuditError::AheadOfLog`] for a commit that is not there yet, and whatever keeps the log from being read.
pub fn time_of(when: When, log: &LogReader) -> Result<Time, AuditError> {
    match when {
        When::At(time) => Ok(time),
        When::Seq(seq) => match log.frame(seq.0)? {
            Some(frame) => Ok(Time(frame.recorded_at_ns)),
            None => Err(AuditError::AheadOfLog { asked: seq.0, newest: log.last_seq() }),
        },
    }
}

pub(super) type EvidenceOrgs = BTreeMap<OrgUid, (AccountId, Evidence)>;

/// The evidence of each evidence org as of a moment.
pub(super) fn evidence_at(history: &dyn History, as_of: AsOf) -> Result<EvidenceOrgs, AuditError> {
    let known = as_of.known_at.map_or(Ok(history.last_seq()), |known_at| history.seq_at(known_at))?;
    // Evidence of a time may have been recorded at any later one.
    let to = match as_of.when {
        When::Seq(seq) => seq.min(known),
        When::At(_) => known,
    };
    let mut orgs: EvidenceOrgs = BTreeMap::new();
    let kinds = [EventKind::OrgCreated, EventKind::EvidenceChanged, EventKind::EvidenceObserved];
    let mut plan = Plan::mentioning(kinds.iter().map(|kind| Mention::Kind(*kind).term()).collect());
    plan.glance.kinds = kinds.to_vec();
    plan.range = 1..=to.0;
    history.walk(&plan, &mut |commit| {
        for event in &commit.commit.events {
            if let Event::OrgCreated { org, account, kind: OrgKind::Evidence, .. } = event {
                orgs.entry(*org).or_insert_with(|| (*account, Evidence::default()));
            }
            let effective_at = match event {
                Event::EvidenceChanged(change) => change.record.effective_at,
                Event::EvidenceObserved(observed) => observed.record.effective_at,
                _ => continue,
            };
            if let Some((_, evidence)) = commit.commit.envelope.org.and_then(|org| orgs.get_mut(&org))
                && as_of.holds(commit, effective_at)
            {
                evidence.collect(commit.seq, event);
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(orgs)
}

/// Applies a commit without its evidence, which is collected apart.
pub(super) fn apply_live(state: &mut State, commit: &Recorded) {
    let is_evidence = |event: &Event| matches!(event, Event::EvidenceChanged(_) | Event::EvidenceObserved(_));
    if !commit.commit.events.iter().any(is_evidence) {
        state.apply(commit.seq, commit.recorded_at, &commit.commit);
        return;
    }
    let events = commit.commit.events.iter().filter(|event| !is_evidence(event)).cloned().collect();
    let rest = Commit { envelope: commit.commit.envelope.clone(), events };
    state.apply(commit.seq, commit.recorded_at, &rest);
}

/// Past states of single keys. Made once, asked often: it remembers when orgs were suspended, which no key's own events say.
#[derive(Debug)]
pub struct KeyPast<'a, H: ?Sized> {
    history: &'a H,
    suspensions: Vec<(OrgUid, Seq, Time, bool)>,
}

impl<'a, H: History> KeyPast<'a, H> {
    /// # Errors
    /// Whatever keeps the log from being read.
    pub fn new(history: &'a H) -> Result<Self, AuditError> {
        let mut suspensions = Vec::new();
        each_fact_of_kinds(history, &[EventKind::OrgSuspended, EventKind::OrgResumed], &mut |fact| {
            if let Some(org) = fact.org {
                let on = matches!(fact.event, Event::OrgSuspended {});
                suspensions.push((org, fact.id.seq, fact.recorded_at, on));
            }
        })?;
        Ok(Self { history, suspensions })
    }

    /// A live key as of a moment: only the commits that mention it are read. `None`: it was not there yet.
    ///
    /// # Errors
    /// Whatever keeps the log from being read.
    pub fn key_at(&self, uid: KeyUid, when: When) -> Result<Option<KeyRecord>, AuditError> {
        let mut plan = Plan::mentioning(vec![Mention::Key(uid).term()]);
        if let When::Seq(seq) = when {
            plan.range = 1..=seq.0;
        }
        let mut state = State::empty();
        self.history.walk(&plan, &mut |commit| {
            if let When::At(time) = when
                && commit.recorded_at > time
            {
                return ControlFlow::Break(());
            }
            apply_live(&mut state, commit);
            ControlFlow::Continue(())
        })?;
        Ok(state.key_by_uid(uid))
    }

    /// The status a key's record of that moment had.
    pub fn status_at(&self, key: &KeyRecord, when: When, now: Time) -> KeyStatus {
        let by_then = |(_, seq, time, _): &&(OrgUid, Seq, Time, bool)| match when {
            When::At(at) => *time <= at,
            When::Seq(at) => *seq <= at,
        };
        let newest = self.suspensions.iter().filter(|(org, ..)| *org == key.org).rfind(by_then);
        key.status(now, newest.is_some_and(|(_, _, _, on)| *on))
    }
}
