//! The keystore as another process reads it, while a writer adds, shreds and rekeys.
//!
//! Takes no lock and writes nothing. Each secret is read from its slot when asked for, so a shredded one is gone
//! here too. What is not found is looked for again: in slots that were free, in what the file has grown by, in a
//! newer generation.
//!
//! Not here: when to ask (`state::follow`), and keeping secrets between requests.

use super::error::VaultError;
use super::generation::{Generation, Listing};
use super::keyring::VaultKey;
use super::seal::Opened;
use super::slots::Slots;
use super::{LedgerId, SecretKey};
use crate::model::{AccessKeyId, KeyUid};
use crate::sys::{Io, OpenMode};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Times a generation may vanish while it is being opened.
const OPEN_ATTEMPTS: usize = 5;

/// A keystore, open to read.
#[derive(Debug)]
pub struct KeystoreReader {
    io: Arc<dyn Io>,
    folder: PathBuf,
    ledger_id: LedgerId,
    vault_key: Arc<VaultKey>,
    current: Generation,
    slots: Slots,
}

impl KeystoreReader {
    /// Opens the newest complete generation.
    ///
    /// # Errors
    /// As [`super::Keystore::open`].
    pub fn open(
        io: Arc<dyn Io>,
        folder: &Path,
        ledger_id: LedgerId,
        vault_key: Arc<VaultKey>,
    ) -> Result<Self, VaultError> {
        let (current, slots) = load(&*io, folder, ledger_id, &vault_key)?;
        Ok(Self { io, folder: folder.to_path_buf(), ledger_id, vault_key, current, slots })
    }

    /// Goes on with another vault key, after a rekey: the next generation is opened by it.
    pub fn renew(&mut self, vault_key: Arc<VaultKey>) {
        self.vault_key = vault_key;
    }

    pub fn generation(&self) -> u64 {
        self.current.number
    }

    /// The secret of a key's version, as it is on disk now.
    ///
    /// # Errors
    /// [`VaultError::UnknownVersion`], [`VaultError::SlotDamaged`]: the key denies. [`VaultError::WrongVaultKey`] after
    /// a rekey: start again with the new vault key.
    pub fn secret(&mut self, uid: KeyUid, version: u32, access_key_id: &AccessKeyId) -> Result<SecretKey, VaultError> {
        self.opened(uid, version, access_key_id).map(|opened| opened.secret)
    }

    /// The secret with its commitment, to be compared with what the log says.
    ///
    /// # Errors
    /// As [`KeystoreReader::secret`].
    pub fn opened(&mut self, uid: KeyUid, version: u32, access_key_id: &AccessKeyId) -> Result<Opened, VaultError> {
        let key = (uid, version);
        if let Ok(opened) = self.attempt(key, access_key_id) {
            return Ok(opened);
        }
        self.slots.reread_free(&*self.current.file)?;
        self.slots.extend(&*self.current.file, &self.current.path)?;
        if let Ok(opened) = self.attempt(key, access_key_id) {
            return Ok(opened);
        }
        // Its slot was another key's when it was last read, or there is a new generation.
        (self.current, self.slots) = load(&*self.io, &self.folder, self.ledger_id, &self.vault_key)?;
        self.attempt(key, access_key_id)
    }

    fn attempt(&self, key: (KeyUid, u32), access_key_id: &AccessKeyId) -> Result<Opened, VaultError> {
        let Generation { file, path, sealer, .. } = &self.current;
        self.slots.open(&**file, path, sealer, key, access_key_id, None)
    }
}

/// A generation that a rekey destroys while it is opened reads as zeros or is gone: then there is a newer one.
fn load(
    io: &dyn Io,
    folder: &Path,
    ledger_id: LedgerId,
    vault_key: &VaultKey,
) -> Result<(Generation, Slots), VaultError> {
    let mut attempts = 0;
    loop {
        let number = Listing::read(io, folder)?.current(folder)?;
        let opened =
            Generation::open(io, folder, ledger_id, number, vault_key, OpenMode::Read).and_then(|generation| {
                let slots = Slots::scan(&*generation.file, &generation.path)?;
                Ok((generation, slots))
            });
        attempts += 1;
        let is_newest =
            || Listing::read(io, folder).and_then(|listing| listing.current(folder)).is_ok_and(|n| n == number);
        if is_newest() || attempts == OPEN_ATTEMPTS {
            return opened;
        }
    }
}
