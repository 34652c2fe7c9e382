//! Where commits come from: the one interface every report reads the past through.
//!
//! Commits in memory are a history too; the log's own, with its indexes, is `archive`.
//!
//! Not here: choosing commits (`query`), the index.

use super::AuditError;
pub(super) use super::mention::Term;
use crate::model::{Seq, Time};
use crate::state::Recorded;
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
        Self { range, reverse: false, terms: Vec::new(), needles: Vec::new(), since: None, until: None, known_at: None }
    }

    /// Commits that mention any of `terms`.
    #[must_use]
    pub fn mentioning(terms: Vec<Term>) -> Self {
        Self { terms: vec![terms], ..Self::all() }
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
