//! A history that holds in memory what is asked for again and again: a report on one key reads that key's commits once.
//!
//! Invariants
//! - Every answer is the history's own: what is held serves only plans that ask for nothing else, and a history may always hand over
//!   more than fits.
//!
//! Not here: what is asked (`compromise`, `story`).

use super::mention::mentions;
use super::source::Term;
use super::{AuditError, History, Plan, Visit};
use crate::model::{Seq, Time};
use crate::state::{Recorded, State};
use std::ops::ControlFlow;

/// Commits that are held; where there are more, nothing is.
const COMMITS_MAX: usize = 50_000;

/// See the module.
#[derive(Debug)]
pub struct Held<'a, H: ?Sized> {
    history: &'a H,
    terms: Vec<Term>,
    /// In the order of recording; `None`: there are too many.
    commits: Option<Vec<Recorded>>,
}

impl<'a, H: History + ?Sized> Held<'a, H> {
    /// Holds the commits that mention any of `terms`.
    ///
    /// # Errors
    /// Whatever keeps the log from being read.
    pub fn of(history: &'a H, terms: Vec<Term>) -> Result<Self, AuditError> {
        let mut commits = Some(Vec::new());
        let is_named = |commit: &Recorded| {
            let mut named = false;
            for fact in commit.facts() {
                mentions(&fact, &mut |mention| named |= terms.contains(&mention.term()));
            }
            named
        };
        history.select(&Plan::mentioning(terms.clone()), &is_named, &mut |commit| {
            match &mut commits {
                Some(held) if held.len() < COMMITS_MAX => held.push(commit.clone()),
                held => *held = None,
            }
            if commits.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(Self { history, terms, commits })
    }

    /// What is held, if that is all that a plan asks for.
    fn serves(&self, plan: &Plan) -> Option<&[Recorded]> {
        let is_held = |list: &Vec<Term>| list.iter().all(|term| self.terms.contains(term));
        self.commits.as_deref().filter(|_| plan.terms.iter().any(is_held))
    }
}

impl<H: History + ?Sized> History for Held<'_, H> {
    fn last_seq(&self) -> Seq {
        self.history.last_seq()
    }

    fn seq_at(&self, time: Time) -> Result<Seq, AuditError> {
        self.history.seq_at(time)
    }

    fn state_at(&self, seq: Seq) -> Result<State, AuditError> {
        self.history.state_at(seq)
    }

    fn select(
        &self,
        plan: &Plan,
        fits: &(dyn Fn(&Recorded) -> bool + Sync),
        each: &mut Visit<'_>,
    ) -> Result<(), AuditError> {
        match self.serves(plan) {
            Some(held) => held.select(plan, fits, each),
            None => self.history.select(plan, fits, each),
        }
    }
}
