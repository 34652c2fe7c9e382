//! The past: the log with its index, opened when somebody first asks and shared by every surface.
//!
//! Invariants
//! - A question sees every commit that was published when it was asked, and those of one org alone.
//!
//! Not here: the questions (`crate::audit`), who may ask them.

use super::Api;
use crate::audit::evidence::{Evidence, EvidenceOptions, evidence};
use crate::audit::{Archive, AuditError, History, OrgCut};
use crate::model::{AccessKeyId, OrgOwner, OrgUid};
use crate::state::{OrgRecord, State};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::runtime::{Handle, RuntimeFlavor};

/// The log's index, once somebody has asked.
#[derive(Debug, Default)]
pub struct Past(RwLock<Option<Archive>>);

impl Past {
    /// Asks `f` with the history of one org, up to the newest commit. It may take a while: the thread is given over to it.
    ///
    /// # Errors
    /// What `f` says, and whatever keeps the log from being read.
    pub fn ask<R, E: From<AuditError>>(
        &self,
        api: &Api,
        org: OrgUid,
        f: impl FnOnce(&dyn History) -> Result<R, E>,
    ) -> Result<R, E> {
        self.ask_whole(api, |archive| f(&OrgCut::new(archive, org)))
    }

    /// [`Past::ask`] with every org's: for whoever may see them all.
    ///
    /// # Errors
    /// As [`Past::ask`].
    pub fn ask_whole<R, E: From<AuditError>>(
        &self,
        api: &Api,
        f: impl FnOnce(&Archive) -> Result<R, E>,
    ) -> Result<R, E> {
        at_length(|| {
            self.renew(api)?;
            let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
            match kept.as_ref() {
                Some(archive) => f(archive),
                None => f(&Archive::without_index(Arc::clone(&api.io), api.ledger.reader().clone())),
            }
        })
    }

    fn renew(&self, api: &Api) -> Result<(), AuditError> {
        let newest = api.ledger.reader().last_seq();
        let is_new = |archive: &Archive| archive.last_seq().0 >= newest;
        if self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(is_new) {
            return Ok(());
        }
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // An index that cannot go on is built anew.
        if !matches!(kept.as_mut().map(Archive::refresh), Some(Ok(_))) {
            *kept = None;
            let reader = api.ledger.reader().clone();
            *kept = Some(Archive::open(Arc::clone(&api.io), &api.options.dir, reader)?.0);
        }
        Ok(())
    }
}

/// What was imported of an access key, by the evidence that `org` may be told of; `None`: nothing, or it is not the org's to see.
///
/// # Errors
/// Whatever keeps the log from being read.
pub fn evidence_of(
    api: &Api,
    state: &State,
    org: &OrgRecord,
    id: &AccessKeyId,
    options: &EvidenceOptions,
) -> Result<Option<Evidence>, AuditError> {
    let Some(org) = evidence_org_of(state, org) else { return Ok(None) };
    let told = api.past.ask(api, org, |history| evidence(history, id, options))?;
    Ok((told.records > 0).then_some(told))
}

/// The evidence org whose records an org may be told of: its own account's, where it is an org of the operator's, who imports. The
/// account id of a provider's org was drawn and says nothing of AWS.
pub fn evidence_org_of(state: &State, org: &OrgRecord) -> Option<OrgUid> {
    let evidence = OrgUid::evidence(org.account);
    (org.owner == OrgOwner::Operator && state.evidence(evidence).is_some()).then_some(evidence)
}

/// Runs what reads files where it holds up no other task.
pub fn at_length<T>(f: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(f),
        _ => f(),
    }
}
