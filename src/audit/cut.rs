//! A history cut to one org: what others did is not there.
//!
//! Whoever may ask about one org alone asks this one, so that no report has to know who asks.
//!
//! Not here: who may ask (`api`), reading the log (`archive`).

use super::AuditError;
use super::source::{History, Plan, Visit};
use crate::model::{OrgUid, Seq, Time};
use crate::state::{Recorded, State};
use std::collections::BTreeSet;

/// The commits of one org. A state it gives is the whole ledger's: names in it are looked up by what the commits mention.
#[derive(Debug)]
pub struct OrgCut<'a, H: ?Sized> {
    history: &'a H,
    org: OrgUid,
}

impl<'a, H: History + ?Sized> OrgCut<'a, H> {
    #[must_use]
    pub fn new(history: &'a H, org: OrgUid) -> Self {
        Self { history, org }
    }
}

impl<H: History + ?Sized> History for OrgCut<'_, H> {
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
        let mut plan = plan.clone();
        plan.glance.orgs = Some(BTreeSet::from([self.org]));
        let own = |commit: &Recorded| commit.commit.envelope.org == Some(self.org) && fits(commit);
        self.history.select(&plan, &own, each)
    }
}
