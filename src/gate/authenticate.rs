//! Who signed: the key behind a signature, and which of its secrets made it.
//!
//! Order: status of the key → signature. A key that cannot be used gets no candidates, so that it costs what an unknown one costs
//! and is answered alike. The state is read again when rights are decided: what died meanwhile is not used.
//!
//! Not here: reading the signature (`sigv4`), and rights (`rights`).

use super::cache::Entry;
use super::{Denied, Gate};
use crate::model::{AccessKeyId, KeyUid, OrgUid, Time};
use crate::sigv4::{Candidate, SigError, SigningKey};
use crate::state::{KeyStatus, Standing};
use crate::vault::VaultError;
use arc_swap::Guard;
use compact_str::CompactString;
use std::sync::Arc;

/// A key as the state had it before its signature was checked.
#[derive(Debug, Clone)]
pub(super) struct Looked {
    pub id: AccessKeyId,
    pub uid: KeyUid,
    pub org: OrgUid,
    pub status: KeyStatus,
    /// The versions that may sign, the newest first.
    pub versions: [Option<u32>; 2],
}

impl Looked {
    fn of(standing: &Standing<'_>, now: Time) -> Self {
        let mut live = standing.live_secrets(now).map(|secret| secret.version);
        Self {
            id: standing.id(),
            uid: standing.uid(),
            org: standing.org(),
            status: standing.status(now),
            versions: [live.next(), live.next()],
        }
    }
}

/// What a signature is made with: the scope of its signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scope<'a> {
    pub date: &'a str,
    pub region: &'a str,
    pub service: &'a str,
}

/// Why a signature proves nothing.
#[derive(Debug)]
pub(super) enum Unproven {
    Signature(SigError),
    /// The key's secret cannot be read now.
    Unreadable,
}

impl From<Unproven> for Denied {
    fn from(error: Unproven) -> Self {
        match error {
            Unproven::Signature(error) => error.into(),
            Unproven::Unreadable => Denied::new("ServiceUnavailable", 503, "Service is unable to handle request."),
        }
    }
}

/// A signing key, from the cache or derived just now.
enum Signing {
    Cached(Guard<Option<Arc<Entry>>>),
    Derived(Arc<Entry>),
}

impl Signing {
    fn key(&self) -> Option<&SigningKey> {
        match self {
            Signing::Cached(entry) => entry.as_ref().map(|entry| &entry.key),
            Signing::Derived(entry) => Some(&entry.key),
        }
    }
}

impl Gate {
    /// The key of this id in the newest state; none for an id that nobody has.
    pub(super) fn look(&self, id: &str, now: Time) -> Option<Looked> {
        self.state.with_standing(id, |standing, _| Looked::of(standing, now))
    }

    /// Has `verify` try the signing keys of a key that can be used, and says which secret version signed. `verify` gets no
    /// candidates otherwise, and its error is the answer.
    ///
    /// # Errors
    /// [`SigError::UnknownKey`] for a key that cannot be used or has no secret here, [`SigError::Mismatch`] and what
    /// else `verify` refuses; [`Unproven::Unreadable`].
    pub(super) fn prove<V>(
        &self,
        looked: Option<&Looked>,
        scope: Scope<'_>,
        verify: impl FnOnce(&[Candidate<'_>]) -> Result<V, SigError>,
        candidate_of: impl FnOnce(&V) -> usize,
    ) -> Result<(V, u32), Unproven> {
        let usable = looked.filter(|looked| looked.status.is_usable());
        if let Some(dead) = looked.filter(|looked| !looked.status.is_usable()) {
            self.keys.forget(dead.uid);
        }
        let mut unreadable = false;
        let mut signing: [Option<(u32, Signing)>; 2] = [None, None];
        if let Some(key) = usable {
            for (place, version) in signing.iter_mut().zip(key.versions) {
                let Some(version) = version else { continue };
                match self.signing_key(key, version, scope) {
                    Ok(found) => *place = Some((version, found)),
                    Err(error) => {
                        unreadable |= matches!(error, VaultError::Io { .. });
                        tracing::warn!(%error, "a live key's secret cannot be used");
                    }
                }
            }
        }
        let mut candidates = [Candidate::Secret(b""); 2];
        let mut versions = [0; 2];
        let mut count = 0;
        for (version, signing) in signing.iter().flatten() {
            if let Some(key) = signing.key() {
                candidates[count] = Candidate::Key(key);
                versions[count] = *version;
                count += 1;
            }
        }
        let proof = match verify(&candidates[..count]) {
            Ok(proof) => proof,
            Err(SigError::UnknownKey) if unreadable => return Err(Unproven::Unreadable),
            Err(error) => return Err(Unproven::Signature(error)),
        };
        let version = versions.get(candidate_of(&proof)).copied().unwrap_or_default();
        // Only now: whoever cannot sign does not fill the cache.
        for (_, signing) in signing.into_iter().flatten() {
            if let Signing::Derived(entry) = signing {
                self.keys.keep(entry);
            }
        }
        Ok((proof, version))
    }

    fn signing_key(&self, key: &Looked, version: u32, scope: Scope<'_>) -> Result<Signing, VaultError> {
        let Scope { date, region, service } = scope;
        if let Some(cached) = self.keys.find(key.uid, version, scope) {
            return Ok(Signing::Cached(cached));
        }
        let secret = self.secrets.secret(key.uid, version, &key.id)?;
        let derived = SigningKey::derive(secret.expose_secret().as_bytes(), date, region, service);
        Ok(Signing::Derived(Arc::new(Entry {
            id: key.id.clone(),
            uid: key.uid,
            version,
            date: CompactString::new(date),
            region: CompactString::new(region),
            service: CompactString::new(service),
            key: derived,
        })))
    }
}
