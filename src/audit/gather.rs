//! Facts kept: what a report holds on to when it must see them in the order they took effect.
//!
//! Not here: choosing them (`query`).

use super::{AuditError, History, Plan};
use crate::model::event::EvidenceChange;
use crate::model::{Commit, Envelope, Event, EventId, Rank, Time};
use crate::state::{Fact, Recorded, State};
use std::ops::ControlFlow;
use std::sync::Arc;

/// One fact, owned: its commit with nothing else in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    id: EventId,
    /// Its place among the changes of one imported record.
    change: u16,
    effective_at: Time,
    commit: Recorded,
}

impl Kept {
    fn new(fact: &Fact<'_>, change: u16, commit: &Recorded) -> Self {
        let event = match fact.record {
            Some(record) if fact.observed().is_none() => Event::EvidenceChanged(Arc::new(EvidenceChange {
                record: record.clone(),
                changes: vec![fact.event.clone()],
            })),
            _ => fact.event.clone(),
        };
        Self {
            id: fact.id,
            change,
            effective_at: fact.effective_at,
            commit: Recorded {
                seq: commit.seq,
                recorded_at: commit.recorded_at,
                clock_regressed: commit.clock_regressed,
                frame_hash: commit.frame_hash,
                commit: Commit { envelope: commit.commit.envelope.clone(), events: vec![event] },
            },
        }
    }

    pub fn id(&self) -> EventId {
        self.id
    }

    pub fn effective_at(&self) -> Time {
        self.effective_at
    }

    pub fn envelope(&self) -> &Envelope {
        &self.commit.commit.envelope
    }

    pub fn clock_regressed(&self) -> bool {
        self.commit.clock_regressed
    }

    /// Calls `f` with the fact.
    pub fn with<R>(&self, f: impl FnOnce(&Fact<'_>) -> R) -> Option<R> {
        self.commit.facts().next().map(|mut fact| {
            fact.id = self.id;
            f(&fact)
        })
    }

    /// Applies it to a state of its own, at the time it took effect.
    pub fn apply_to(&self, state: &mut State) {
        let _ = self.with(|fact| {
            let envelope = Envelope { token: None, ..self.envelope().clone() };
            let commit = Commit { envelope, events: vec![fact.event.clone()] };
            state.apply(self.id.seq, fact.effective_at, &commit);
        });
    }

    /// The order things took effect in: as `model::EvidenceRecord::order` among records, by seq among our own.
    pub(super) fn order(&self) -> (Time, Rank, [u8; 16], EventId, u16) {
        let record = match self.commit.commit.events.first() {
            Some(Event::EvidenceChanged(change)) => Some(&change.record),
            Some(Event::EvidenceObserved(observed)) => Some(&observed.record),
            _ => None,
        };
        let (rank, event_id) = record.map_or((Rank::CreateNoun, [0; 16]), |record| (record.rank, record.event_id));
        (self.effective_at, rank, event_id, self.id, self.change)
    }
}

/// Calls `f` with every fact of the commits that `plan` leaves, and which of its record's changes it is.
pub(super) fn each_fact(
    history: &dyn History,
    plan: &Plan,
    wanted: &(dyn Fn(&Fact<'_>) -> bool + Sync),
    f: &mut dyn FnMut(&Fact<'_>, u16, &Recorded),
) -> Result<(), AuditError> {
    history.select(plan, &|commit| commit.facts().any(|fact| wanted(&fact)), &mut |commit| {
        let (mut last, mut change) = (None, 0_u16);
        for fact in commit.facts() {
            change = if last == Some(fact.id) { change.saturating_add(1) } else { 0 };
            last = Some(fact.id);
            if wanted(&fact) {
                f(&fact, change, commit);
            }
        }
        ControlFlow::Continue(())
    })
}

/// The facts that `wanted` says yes to, in the order they took effect.
///
/// # Errors
/// Whatever keeps the log from being read.
pub fn gather(
    history: &dyn History,
    plan: &Plan,
    wanted: &(dyn Fn(&Fact<'_>) -> bool + Sync),
) -> Result<Vec<Kept>, AuditError> {
    let mut kept = Vec::new();
    each_fact(history, plan, wanted, &mut |fact, change, commit| kept.push(Kept::new(fact, change, commit)))?;
    kept.sort_by_key(Kept::order);
    Ok(kept)
}
