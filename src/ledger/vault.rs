//! Secrets beside the writer, for whoever verifies signatures: opened when they are first asked for, and kept over a rekey.
//!
//! Not here: writing and destroying them (`writer`, `upkeep`).

use crate::sys::Io;
use crate::vault::{KeystoreReader, LedgerId, SecretSource, VaultError, VaultKey};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What secrets are read with by whoever verifies signatures.
pub(super) struct Vault {
    io: Arc<dyn Io>,
    folder: PathBuf,
    ledger_id: LedgerId,
    key: Mutex<Arc<VaultKey>>,
    /// Opened when it is first asked for.
    source: OnceLock<Arc<SecretSource>>,
}

impl Vault {
    pub fn new(io: Arc<dyn Io>, folder: PathBuf, ledger_id: LedgerId, key: VaultKey) -> Self {
        Self { io, folder, ledger_id, key: Mutex::new(Arc::new(key)), source: OnceLock::new() }
    }

    /// One source for all who ask.
    pub fn secrets(&self) -> Result<Arc<SecretSource>, VaultError> {
        if let Some(source) = self.source.get() {
            return Ok(Arc::clone(source));
        }
        // Held meanwhile, so that a rekey meets the source or is met by it.
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = KeystoreReader::open(Arc::clone(&self.io), &self.folder, self.ledger_id, Arc::clone(&key))?;
        Ok(Arc::clone(self.source.get_or_init(|| Arc::new(SecretSource::new(reader)))))
    }

    /// After a rekey.
    pub fn renew(&self, vault_key: &VaultKey) {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        *key = Arc::new(vault_key.again());
        if let Some(source) = self.source.get() {
            source.renew(Arc::clone(&key));
        }
    }
}
