//! Where commits come from: the one interface every report reads the past through.
//!
//! Commits in memory are a history too; the log's own, with its indexes, is `archive`.
//!
//! Not here: choosing commits (`query`), the index.

use super::AuditError;
use super::address::AddressFilter;
pub(super) use super::mention::Term;
use crate::model::commit::EnvelopeBrief;
use crate::model::{Dialect, EventKind, OrgUid, Seq, Time};
use crate::state::{Recorded, State};
use std::collections::BTreeSet;
use std::ops::{ControlFlow, RangeInclusive};

/// Seqs from and to, both included.
pub type SeqRange = RangeInclusive<u64>;

/// Gets one commit after another; `Break` ends the walk.
pub type Visit<'a> = dyn FnMut(&Recorded) -> ControlFlow<()> + 'a;

/// What lets a history skip commits. It may hand over commits that do not fit, never leave out one that does.
#[derive(Debug, Clone)]
pub struct Plan {
    pub range: SeqRange,
    /// Newest first.
    pub reverse: bool,
    /// A commit must mention one term of each list. Empty: every commit.
    pub terms: Vec<Vec<Term>>,
    /// A commit's bytes must hold one needle of each list: what a scan without an index looks for.
    pub needles: Vec<Vec<Vec<u8>>>,
    /// What a commit's envelope and the kinds of its events must be like; looked at before it is read whole.
    pub glance: Glance,
    /// Nothing that took effect before, or at or after, or was recorded later is asked for.
    pub since: Option<Time>,
    pub until: Option<Time>,
    pub known_at: Option<Time>,
}

impl Plan {
    /// Every commit.
    #[must_use]
    pub fn all() -> Self {
        Self::range(1..=u64::MAX)
    }

    /// Every commit of a range.
    #[must_use]
    pub fn range(range: SeqRange) -> Self {
        Self {
            range,
            reverse: false,
            terms: Vec::new(),
            needles: Vec::new(),
            glance: Glance::default(),
            since: None,
            until: None,
            known_at: None,
        }
    }

    /// Commits that mention any of `terms`.
    #[must_use]
    pub fn mentioning(terms: Vec<Term>) -> Self {
        Self { terms: vec![terms], ..Self::all() }
    }
}

/// What can be told of a commit without reading its events.
#[derive(Debug, Clone, Default)]
pub struct Glance {
    pub dialect: Option<Dialect>,
    pub orgs: Option<BTreeSet<OrgUid>>,
    /// Any of these; empty: any at all.
    pub kinds: Vec<EventKind>,
    pub address: Option<AddressFilter>,
}

impl Glance {
    /// Whether nothing is asked of a commit.
    pub fn is_empty(&self) -> bool {
        self.dialect.is_none() && self.orgs.is_none() && self.kinds.is_empty() && self.address.is_none()
    }

    /// Whether a commit may fit.
    pub fn may_fit(&self, envelope: &EnvelopeBrief<'_>, kinds: &[EventKind]) -> bool {
        // Imported records say their own address, rollups one for each use; and no record has a dialect.
        let is_told_within = |kind: &EventKind| {
            matches!(
                kind,
                EventKind::EvidenceChanged
                    | EventKind::EvidenceObserved
                    | EventKind::UsageRolledUp
                    | EventKind::AttemptsRolledUp
                    | EventKind::SignInRefused
            )
        };
        let fits_kind = |kind: &EventKind| *kind == EventKind::EvidenceChanged || self.kinds.contains(kind);
        self.dialect.is_none_or(|dialect| envelope.dialect == dialect)
            && self.orgs.as_ref().is_none_or(|orgs| envelope.org.is_some_and(|org| orgs.contains(&org)))
            && (self.kinds.is_empty() || kinds.iter().any(fits_kind))
            && self.address.as_ref().is_none_or(|address| {
                envelope.source_ip.is_some_and(|text| address.contains(text)) || kinds.iter().any(is_told_within)
            })
    }
}

/// Commits in the order of their seqs.
pub trait History: Sync {
    /// The newest commit; 0 when there is none.
    fn last_seq(&self) -> Seq;

    /// Calls `each` with every commit that may fit `plan` and for which `fits` says yes, in the plan's order. `fits` may be called
    /// on any thread and for commits that are then not handed over.
    ///
    /// # Errors
    /// Whatever keeps the log from being read.
    fn select(
        &self,
        plan: &Plan,
        fits: &(dyn Fn(&Recorded) -> bool + Sync),
        each: &mut Visit<'_>,
    ) -> Result<(), AuditError>;

    /// The last commit recorded at `time` or before; 0 if there is none.
    ///
    /// # Errors
    /// As [`History::select`].
    fn seq_at(&self, time: Time) -> Result<Seq, AuditError> {
        let mut seq = Seq(0);
        self.walk(&Plan { reverse: true, ..Plan::all() }, &mut |commit| {
            if commit.recorded_at > time {
                return ControlFlow::Continue(());
            }
            seq = commit.seq;
            ControlFlow::Break(())
        })?;
        Ok(seq)
    }

    /// The state after commit `seq`; what it holds of evidence is left alone by those who ask.
    ///
    /// # Errors
    /// As [`History::select`].
    fn state_at(&self, seq: Seq) -> Result<State, AuditError> {
        let mut state = State::empty();
        self.walk(&Plan::range(1..=seq.0), &mut |commit| {
            super::at::apply_live(&mut state, commit);
            ControlFlow::Continue(())
        })?;
        Ok(state)
    }

    /// Calls `each` with every commit that may fit `plan`.
    ///
    /// # Errors
    /// As [`History::select`].
    fn walk(&self, plan: &Plan, each: &mut Visit<'_>) -> Result<(), AuditError> {
        self.select(plan, &|_| true, each)
    }
}

impl History for [Recorded] {
    fn last_seq(&self) -> Seq {
        self.last().map_or(Seq(0), |commit| commit.seq)
    }

    fn select(
        &self,
        plan: &Plan,
        fits: &(dyn Fn(&Recorded) -> bool + Sync),
        each: &mut Visit<'_>,
    ) -> Result<(), AuditError> {
        let from = self.partition_point(|commit| commit.seq.0 < *plan.range.start());
        let to = self.partition_point(|commit| commit.seq.0 <= *plan.range.end());
        let commits = self.get(from..to).unwrap_or_default();
        let mut visit = |commit: &Recorded| if fits(commit) { each(commit) } else { ControlFlow::Continue(()) };
        let _ = if plan.reverse {
            commits.iter().rev().try_for_each(&mut visit)
        } else {
            commits.iter().try_for_each(&mut visit)
        };
        Ok(())
    }
}

impl History for Vec<Recorded> {
    fn last_seq(&self) -> Seq {
        self.as_slice().last_seq()
    }

    fn select(
        &self,
        plan: &Plan,
        fits: &(dyn Fn(&Recorded) -> bool + Sync),
        each: &mut Visit<'_>,
    ) -> Result<(), AuditError> {
        self.as_slice().select(plan, fits, each)
    }
}
