//! Who shows a secret itself, as a person signing in does: the same keys, statuses and counters as for who signs with it.
//!
//! Order: the key → its status → the secret, compared with each that is alive in time that depends on lengths alone → the key once
//! more, in the state that is there by then.
//!
//! Not here: sessions, how often one may try (`api::console`).

use super::{Gate, RequestView, ServiceDenied, facts};
use crate::model::{AccessKeyId, Time};
use crate::sigv4::SigError;
use crate::vault::{SecretKey, VaultError};
use std::net::IpAddr;

/// Whoever showed a live secret of a key that can be used.
#[derive(Debug, Clone)]
pub struct SecretProof {
    pub access_key_id: AccessKeyId,
    /// Which of its secrets it was.
    pub secret_version: u32,
    /// The client's address: the peer's, or what trusted proxies say.
    pub source_ip: IpAddr,
}

impl Gate {
    /// Proves that `secret` is one that the key `id` can sign with now. Reads the keystore, which takes microseconds more for a
    /// key that is there: whoever answers hides that.
    ///
    /// # Errors
    /// [`SigError::UnknownKey`] alike for a wrong secret, a key that cannot be used (which is counted) and one that nobody has;
    /// [`ServiceDenied::Unavailable`], [`ServiceDenied::ForwardedFor`].
    pub fn prove_secret(
        &self,
        view: &RequestView<'_>,
        id: &str,
        secret: &SecretKey,
        now: Time,
    ) -> Result<SecretProof, ServiceDenied> {
        let source_ip = facts::source_ip(view, &self.options.trusted_proxies);
        let source_ip = source_ip.map_err(|_| ServiceDenied::ForwardedFor)?;
        let looked = self.look(id, now).ok_or(SigError::UnknownKey)?;
        if !looked.status.is_usable() {
            self.count_rejected(&looked, view, now);
            return Err(SigError::UnknownKey.into());
        }
        let (mut proven, mut unreadable) = (None, false);
        for version in looked.versions.into_iter().flatten() {
            match self.secrets.secret(looked.uid, version, &looked.id) {
                Ok(own) if own.same_as(secret) => proven = Some(version),
                Ok(_) => {}
                Err(error) => {
                    unreadable |= matches!(error, VaultError::Io { .. });
                    tracing::warn!(%error, "a live key's secret cannot be used");
                }
            }
        }
        let secret_version = match proven {
            Some(version) => version,
            None if unreadable => return Err(ServiceDenied::Unavailable),
            None => return Err(SigError::UnknownKey.into()),
        };
        self.signer_still_usable(&looked, secret_version, view, now)?;
        Ok(SecretProof { access_key_id: looked.id, secret_version, source_ip })
    }
}
