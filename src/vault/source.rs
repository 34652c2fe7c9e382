//! Secrets for whoever verifies signatures: any number of threads ask, one slot is read at a time.
//!
//! Not here: keeping what was derived from a secret (`gate`), and whether a key is alive (`state`).

use super::{KeystoreReader, SecretKey, VaultError, VaultKey};
use crate::model::{AccessKeyId, KeyUid};
use std::sync::{Arc, Mutex, PoisonError};

/// A keystore that many threads read.
///
/// Each call reads the slot as it is on disk now, so a destroyed secret is gone here too. It takes a lock and some
/// microseconds: keep what is derived from the secret, not the secret.
#[derive(Debug)]
pub struct SecretSource(Mutex<KeystoreReader>);

impl SecretSource {
    #[must_use]
    pub fn new(reader: KeystoreReader) -> Self {
        Self(Mutex::new(reader))
    }

    /// The secret of a key's version.
    ///
    /// # Errors
    /// As [`KeystoreReader::secret`]: whatever it is, that version denies.
    pub fn secret(&self, uid: KeyUid, version: u32, id: &AccessKeyId) -> Result<SecretKey, VaultError> {
        // A reader that a panic left behind holds nothing but where slots are, and looks again when one is not there.
        let mut reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reader.secret(uid, version, id)
    }

    /// Goes on with another vault key, after a rekey.
    pub fn renew(&self, vault_key: Arc<VaultKey>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).renew(vault_key);
    }
}

impl From<KeystoreReader> for SecretSource {
    fn from(reader: KeystoreReader) -> Self {
        Self::new(reader)
    }
}
