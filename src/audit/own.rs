//! One org's part of a history: what whoever may ask about that org alone is answered from.
//!
//! Invariants
//! - No commit of another org is handed over, nor of the ledger as a whole: what a report counts, compares and names is the org's own.
//!
//! Not here: the states of the past, which hold every org; a report asks them about keys that its own commits name.

use super::{AuditError, History, Plan, Visit};
use crate::model::{OrgUid, Seq, Time};
use crate::state::{Recorded, State};

/// A history without the commits of other orgs.
#[derive(Debug, Clone, Copy)]
pub struct OwnOrg<'a, H: ?Sized> {
    history: &'a H,
    org: OrgUid,
}

impl<'a, H: History + ?Sized> OwnOrg<'a, H> {
    #[must_use]
    pub fn new(history: &'a H, org: OrgUid) -> Self {
        Self { history, org }
    }
}

impl<H: History + ?Sized> History for OwnOrg<'_, H> {
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
        let own = self.org;
        self.history.select(plan, &|commit| commit.commit.envelope.org == Some(own) && fits(commit), each)
    }
}
