//! The keystore as its one writer has it: put, read, shred, reconcile with the log, rekey.
//!
//! Order, which the caller keeps (`format.md`, "Keystore"): create = `put`, `sync`, then the log; delete = the log
//! first, then `shred`. So a crash leaves slots that the log does not know, never a live key without its slot;
//! [`Keystore::reconcile`] zeroes them at open.
//!
//! INVARIANT: the first failed write or sync inside the file poisons the keystore; it is read, not written, until
//! it is reopened.
//!
//! Not here: reading beside a writer in another process (`reader`), and any lock: the ledger's writer owns this.

use super::error::VaultError;
use super::generation::{Generation, Listing, destroy, file_key_path, keystore_path, open_header, write_zeros};
use super::keyring::{VaultKey, VaultKeyId};
use super::layout::{Read, SLOT_BYTES, Slot};
use super::seal::{Opened, SealedSlot, Sealer};
use super::secret::SecretKey;
use super::slots::{DamagedSlot, Slots, each, offset, runs};
use super::{LedgerId, VaultDice};
use crate::model::{AccessKeyId, KeyUid};
use crate::sys::{Io, OpenMode};
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Slots a new keystore has: 128 KiB.
const SLOTS_MIN: u32 = 256;
/// Slots a keystore grows by at most: 4 MiB. Below that by half of what it has: each time costs a flush.
const GROW_SLOTS_MAX: u32 = 8192;

/// What was found when a keystore was opened or inspected.
#[derive(Debug, Clone)]
pub struct KeystoreReport {
    pub generation: u64,
    pub vault_key: VaultKeyId,
    /// Slots in the file, used ones, and free ones.
    pub slots: u32,
    pub used: u32,
    pub free: u32,
    /// Torn by a crash and of no use, or rotten: only the log can tell ([`Keystore::reconcile`]).
    pub damaged: Vec<DamagedSlot>,
    /// Files of other generations and unfinished ones that were overwritten and removed.
    pub removed: Vec<PathBuf>,
}

/// What [`Keystore::reconcile`] found and did.
#[derive(Debug, Clone, Default)]
pub struct Reconciled {
    /// Whole slots that the log does not know, zeroed.
    pub orphans_zeroed: u32,
    /// Torn slots, zeroed because every secret the log knows is there.
    pub torn_freed: u32,
    /// Secrets the log knows and the keystore does not have: these keys deny.
    pub missing: Vec<(KeyUid, u32)>,
    /// Left as they are while something is missing.
    pub damaged: Vec<DamagedSlot>,
}

/// What [`Keystore::rekey`] did.
#[derive(Debug)]
pub struct Rekeyed {
    pub generation: u64,
    pub resealed: u32,
    /// Slots that did not open under the old key and are gone now.
    pub lost: Vec<DamagedSlot>,
    /// Whether the old pair is overwritten and removed (level L1). If not, the next open does it.
    pub old_destroyed: Result<(), VaultError>,
}

/// The keystore, open for writing. One process at a time: the ledger's lock sees to that.
#[derive(Debug)]
pub struct Keystore {
    io: Arc<dyn Io>,
    folder: PathBuf,
    ledger_id: LedgerId,
    current: Generation,
    slots: Slots,
    /// Put and not yet written: neighbours go to the file in one write.
    unwritten: BTreeMap<u32, [u8; SLOT_BYTES]>,
    poisoned: bool,
}

impl Keystore {
    /// Makes generation 1 in `folder`. Draws 56 bytes.
    ///
    /// # Errors
    /// [`VaultError::AlreadyThere`] when the folder has a keystore. What a crashed `create` left is replaced.
    pub fn create(
        io: Arc<dyn Io>,
        folder: &Path,
        ledger_id: LedgerId,
        vault_key: &VaultKey,
        dice: &mut dyn VaultDice,
    ) -> Result<Keystore, VaultError> {
        io.create_dir_all(folder).map_err(VaultError::io("create", folder))?;
        let listing = Listing::read(&*io, folder)?;
        match listing.current(folder) {
            Err(VaultError::NoKeystore { .. }) => {}
            Ok(number) => return Err(VaultError::AlreadyThere { path: keystore_path(folder, number) }),
            Err(error) => return Err(error),
        }
        for path in listing.leftovers(folder, None) {
            destroy(&*io, &path)?;
        }
        let sealer = Generation::make_file_key(&*io, folder, ledger_id, 1, vault_key, dice)?;
        let id = vault_key.id();
        let current = Generation::make_keystore(&*io, folder, sealer, ledger_id, id, std::iter::empty(), SLOTS_MIN)?;
        let slots = Slots::scan(&*current.file, &current.path)?;
        Ok(Self::over(io, folder, ledger_id, current, slots))
    }

    /// Opens the newest complete generation, then overwrites and removes every other file of the keystore.
    ///
    /// Reads each slot once (512 B a secret version). Torn slots are no error: call [`Keystore::reconcile`] next.
    ///
    /// # Errors
    /// [`VaultError::NoKeystore`], [`VaultError::WrongVaultKey`], [`VaultError::ForeignKeystore`],
    /// [`VaultError::UnknownFormat`], [`VaultError::Damaged`] for a header or a file key. Nothing was changed then.
    pub fn open(
        io: Arc<dyn Io>,
        folder: &Path,
        ledger_id: LedgerId,
        vault_key: &VaultKey,
    ) -> Result<(Keystore, KeystoreReport), VaultError> {
        let listing = Listing::read(&*io, folder)?;
        let number = listing.current(folder)?;
        let current = Generation::open(&*io, folder, ledger_id, number, vault_key, OpenMode::ReadWrite)?;
        let slots = Slots::scan(&*current.file, &current.path)?;
        let removed = listing.leftovers(folder, Some(number));
        for path in &removed {
            destroy(&*io, path)?;
        }
        if !removed.is_empty() {
            io.sync_dir(folder).map_err(VaultError::io("sync", folder))?;
        }
        let report = report(number, current.vault_key, &slots, &current.path, removed);
        Ok((Self::over(io, folder, ledger_id, current, slots), report))
    }

    fn over(io: Arc<dyn Io>, folder: &Path, ledger_id: LedgerId, current: Generation, slots: Slots) -> Keystore {
        let (folder, unwritten) = (folder.to_path_buf(), BTreeMap::new());
        Keystore { io, folder, ledger_id, current, slots, unwritten, poisoned: false }
    }

    pub fn generation(&self) -> u64 {
        self.current.number
    }

    /// The vault key it is sealed under.
    pub fn vault_key_id(&self) -> VaultKeyId {
        self.current.vault_key
    }

    /// Secret versions it holds.
    pub fn len(&self) -> usize {
        self.slots.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.slots.table.is_empty()
    }

    /// Seals secrets for the current generation, without this keystore at hand.
    pub fn sealer(&self) -> Sealer {
        self.current.sealer.clone()
    }

    /// Puts a sealed secret into a free slot; it is written and durable after [`Keystore::sync`].
    ///
    /// # Errors
    /// [`VaultError::AlreadyStored`], [`VaultError::StaleSeal`], [`VaultError::Poisoned`], and [`VaultError::Io`]: a
    /// full disk while growing leaves the keystore as it was.
    pub fn put(&mut self, sealed: &SealedSlot) -> Result<(), VaultError> {
        self.check_writable()?;
        if sealed.generation != self.current.number {
            return Err(VaultError::StaleSeal { sealed: sealed.generation, current: self.current.number });
        }
        let key = (sealed.uid, sealed.version);
        if self.slots.table.contains_key(&key) {
            let access_key_id = sealed.access_key_id.to_string();
            return Err(VaultError::AlreadyStored { access_key_id, version: sealed.version });
        }
        self.reserve(1)?;
        let Some(index) = self.slots.free.pop_first() else {
            return Err(VaultError::Poisoned { path: self.current.path.clone() });
        };
        self.unwritten.insert(index, sealed.bytes);
        self.slots.table.insert(key, index);
        Ok(())
    }

    /// Writes what was put, a run of neighbours at a time.
    fn write_out(&mut self) -> Result<(), VaultError> {
        let mut run = Vec::new();
        while let Some((first, bytes)) = self.unwritten.pop_first() {
            run.clear();
            run.extend_from_slice(&bytes);
            let mut next = first + 1;
            while let Some(bytes) = self.unwritten.remove(&next) {
                run.extend_from_slice(&bytes);
                next += 1;
            }
            let written = self.current.file.write_all_at(&run, offset(first));
            self.poison_on(written.map_err(VaultError::io("write", &self.current.path)))?;
        }
        Ok(())
    }

    /// Makes every `put` so far durable: one flush for all.
    ///
    /// # Errors
    /// [`VaultError::Io`]: whether they are on disk is unknown, so the log must not speak of them.
    pub fn sync(&mut self) -> Result<(), VaultError> {
        self.check_writable()?;
        self.write_out()?;
        let synced = self.current.file.datasync();
        self.poison_on(synced.map_err(VaultError::io("sync", &self.current.path)))
    }

    /// Grows the file, zero-filled and flushed, until `slots` are free. Shredding never needs room.
    ///
    /// # Errors
    /// [`VaultError::Io`] when the disk is full; the keystore goes on as it was.
    pub fn reserve(&mut self, slots: u32) -> Result<(), VaultError> {
        let free = u32::try_from(self.slots.free.len()).unwrap_or(u32::MAX);
        if free >= slots {
            return Ok(());
        }
        self.check_writable()?;
        let more = (slots - free).max((self.slots.count / 2).clamp(SLOTS_MIN, GROW_SLOTS_MAX));
        let len = u64::from(more) * SLOT_BYTES as u64;
        // Beyond the last slot nothing is known to anybody: a failed write there spoils nothing.
        write_zeros(&*self.current.file, &self.current.path, offset(self.slots.count), len)?;
        let synced = self.current.file.datasync();
        self.poison_on(synced.map_err(VaultError::io("sync", &self.current.path)))?;
        self.slots.free.extend(self.slots.count..self.slots.count + more);
        self.slots.count += more;
        Ok(())
    }

    /// The secret of a key's version.
    ///
    /// # Errors
    /// [`VaultError::UnknownVersion`], [`VaultError::SlotDamaged`]: the key denies.
    pub fn secret(&self, uid: KeyUid, version: u32, access_key_id: &AccessKeyId) -> Result<SecretKey, VaultError> {
        self.opened(uid, version, access_key_id).map(|opened| opened.secret)
    }

    /// The secret with its commitment, to be compared with what the log says.
    ///
    /// # Errors
    /// As [`Keystore::secret`].
    pub fn opened(&self, uid: KeyUid, version: u32, access_key_id: &AccessKeyId) -> Result<Opened, VaultError> {
        let Generation { file, path, sealer, .. } = &self.current;
        let unwritten = self.slots.table.get(&(uid, version)).and_then(|index| self.unwritten.get(index));
        self.slots.open(&**file, path, sealer, (uid, version), access_key_id, unwritten)
    }

    /// Whether a slot for this version is there. Does not open it.
    pub fn contains(&self, uid: KeyUid, version: u32) -> bool {
        self.slots.table.contains_key(&(uid, version))
    }

    /// Which stored secret equals `secret`: how a leaked imported secret is told. Opens every slot.
    ///
    /// # Errors
    /// [`VaultError::Io`]. Damaged slots are passed over.
    pub fn find(&self, secret: &SecretKey) -> Result<Vec<(KeyUid, u32)>, VaultError> {
        let mut found = Vec::new();
        self.each_slot(|_, slot| {
            if let Some(opened) = slot.and_then(|slot| self.current.sealer.open(slot).map(|o| (slot, o)))
                && opened.1.secret.same_as(secret)
            {
                found.push((opened.0.uid, opened.0.version));
            }
        })?;
        Ok(found)
    }

    /// Opens every slot and names those that do not open.
    ///
    /// # Errors
    /// [`VaultError::Io`].
    pub fn verify(&self) -> Result<Vec<DamagedSlot>, VaultError> {
        let mut damaged = self.slots.damaged_slots(&self.current.path);
        let mut known: HashSet<u64> = damaged.iter().map(|slot| slot.offset).collect();
        self.each_slot(|index, slot| {
            let opens = slot.is_some_and(|slot| self.current.sealer.open(slot).is_some());
            if !opens && known.insert(offset(index)) {
                let claims = slot.map(|slot| (slot.uid, slot.version));
                let path = self.current.path.clone();
                damaged.push(DamagedSlot { path, offset: offset(index), claims, what: "it does not open" });
            }
        })?;
        damaged.sort_by_key(|slot| slot.offset);
        Ok(damaged)
    }

    /// Visits every slot that is not free; `None` where it cannot be read.
    fn each_slot(&self, mut visit: impl FnMut(u32, Option<&Slot>)) -> Result<(), VaultError> {
        each(&*self.current.file, 0..self.slots.count, |index, bytes| {
            match self.unwritten.get(&index).or(bytes).map(Slot::decode) {
                Some(Read::Free) => {}
                Some(Read::Sealed(slot)) => visit(index, Some(&slot)),
                Some(Read::Damaged(_)) | None => visit(index, None),
            }
            Ok(())
        })
    }

    /// Zeroes the slots of these versions and flushes once: level L0. Returns how many were there; shredding what
    /// is gone already is fine.
    ///
    /// # Errors
    /// [`VaultError::Io`], [`VaultError::Poisoned`]: whether they are gone is unknown. Reopen and shred again.
    pub fn shred(&mut self, versions: &[(KeyUid, u32)]) -> Result<u32, VaultError> {
        self.check_writable()?;
        self.write_out()?;
        let mut indexes: Vec<u32> = versions.iter().filter_map(|key| self.slots.table.remove(key)).collect();
        // A damaged slot may still hold most of a secret.
        let claimed =
            self.slots.damaged.iter().filter(|(_, (claims, _))| claims.is_some_and(|c| versions.contains(&c)));
        indexes.extend(claimed.map(|(index, _)| *index));
        self.zero(&indexes)?;
        if !indexes.is_empty() {
            self.sync()?;
        }
        self.slots.damaged.retain(|index, _| !indexes.contains(index));
        self.slots.free.extend(&indexes);
        Ok(u32::try_from(indexes.len()).unwrap_or(u32::MAX))
    }

    /// Brings the slots in line with the log. `referenced` names every secret version whose key is not deleted and
    /// that is not shredded. To be called once after each open.
    ///
    /// Slots the log does not know are zeroed. Torn slots are zeroed when nothing is missing; otherwise one of them
    /// may be what is missing, and they stay. Free slots are written again as zeros: after a failed flush the page
    /// cache may show zeros that never reached the disk.
    ///
    /// # Errors
    /// [`VaultError::Io`], [`VaultError::Poisoned`].
    pub fn reconcile(&mut self, referenced: impl IntoIterator<Item = (KeyUid, u32)>) -> Result<Reconciled, VaultError> {
        self.check_writable()?;
        self.write_out()?;
        let mut known = vec![false; self.slots.count as usize];
        let mut missing = Vec::new();
        for key in referenced {
            match self.slots.table.get(&key) {
                Some(&index) => known[index as usize] = true,
                None => missing.push(key),
            }
        }
        let orphans: Vec<_> = self
            .slots
            .table
            .iter()
            .filter(|(_, index)| !known[**index as usize])
            .map(|(key, index)| (*key, *index))
            .collect();
        for (key, index) in &orphans {
            self.slots.table.remove(key);
            self.slots.free.insert(*index);
        }
        let mut torn_freed = 0;
        if missing.is_empty() {
            let torn = std::mem::take(&mut self.slots.damaged);
            torn_freed = u32::try_from(torn.len()).unwrap_or(u32::MAX);
            self.slots.free.extend(torn.into_keys());
        }
        for run in runs(&self.slots.free) {
            let len = u64::from(run.end - run.start) * SLOT_BYTES as u64;
            let zeroed = write_zeros(&*self.current.file, &self.current.path, offset(run.start), len);
            self.poison_on(zeroed)?;
        }
        self.sync()?;
        let orphans_zeroed = u32::try_from(orphans.len()).unwrap_or(u32::MAX);
        let damaged = self.slots.damaged_slots(&self.current.path);
        Ok(Reconciled { orphans_zeroed, torn_freed, missing, damaged })
    }

    /// Makes the next generation under a fresh file key wrapped by `new_vault_key`, then destroys the old pair: with
    /// a new vault key, old backups and what the disk still holds of the old files are useless (level L1).
    ///
    /// Keep `new_vault_key` in a file of its own *before* this call and put it in the old one's place after it: a
    /// crash leaves one of the two generations, and which one is told by the vault key id in the error of a wrong
    /// guess. Takes room for a second keystore. Draws 56 bytes and 24 a secret.
    ///
    /// # Errors
    /// [`VaultError::Io`]: before the new pair is complete, the old one stays in force.
    pub fn rekey(&mut self, new_vault_key: &VaultKey, dice: &mut dyn VaultDice) -> Result<Rekeyed, VaultError> {
        self.check_writable()?;
        self.write_out()?;
        let Some(number) = self.current.number.checked_add(1) else {
            let what = "there is no generation after the last";
            return Err(VaultError::Damaged { path: self.current.path.clone(), offset: 32, what });
        };
        let mut lost = Vec::new();
        let made = self.make_next(number, new_vault_key, dice, &mut lost);
        let next = match made {
            Ok(next) => next,
            Err(error) => {
                // The keystore may have got its name: then a reopen finds the new pair, and nothing may be written
                // to the old one any more.
                let named = self.io.open(&keystore_path(&self.folder, number), OpenMode::Read);
                if named.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                    let _ = destroy(&*self.io, &file_key_path(&self.folder, number));
                } else {
                    self.poisoned = true;
                }
                return Err(error);
            }
        };
        let slots = self.poison_on(Slots::scan(&*next.file, &next.path))?;
        let resealed = u32::try_from(slots.table.len()).unwrap_or(u32::MAX);
        let old = std::mem::replace(&mut self.current, next).number;
        self.slots = slots;
        let old_destroyed = destroy(&*self.io, &file_key_path(&self.folder, old))
            .and_then(|()| destroy(&*self.io, &keystore_path(&self.folder, old)))
            .and_then(|()| self.io.sync_dir(&self.folder).map_err(VaultError::io("sync", &self.folder)));
        Ok(Rekeyed { generation: number, resealed, lost, old_destroyed })
    }

    fn make_next(
        &self,
        number: u64,
        vault_key: &VaultKey,
        dice: &mut dyn VaultDice,
        lost: &mut Vec<DamagedSlot>,
    ) -> Result<Generation, VaultError> {
        let (io, folder, ledger_id) = (&*self.io, &self.folder, self.ledger_id);
        let sealer = Generation::make_file_key(io, folder, ledger_id, number, vault_key, dice)?;
        let to = sealer.clone();
        let (file, path, from) = (&*self.current.file, &self.current.path, &self.current.sealer);
        let resealed = (0..self.slots.count).filter_map(|index| {
            let mut bytes = [0; SLOT_BYTES];
            let whole = file.read_at(&mut bytes, offset(index)).is_ok_and(|read| read == SLOT_BYTES);
            let read = if whole { Slot::decode(&bytes) } else { Read::Damaged(None) };
            let claims = match read {
                Read::Free => return None,
                Read::Damaged(claims) => claims,
                Read::Sealed(slot) => {
                    let key = (slot.uid, slot.version);
                    // A doubled slot must not come along.
                    let resealed =
                        (self.slots.table.get(&key) == Some(&index)).then(|| from.reseal(&slot, &to, dice)).flatten();
                    if let Some(resealed) = resealed {
                        return Some(Ok(resealed.bytes));
                    }
                    Some(key)
                }
            };
            lost.push(DamagedSlot { path: path.clone(), offset: offset(index), claims, what: "it did not open" });
            None
        });
        Generation::make_keystore(io, folder, sealer, ledger_id, vault_key.id(), resealed, SLOTS_MIN)
    }

    fn zero(&mut self, indexes: &[u32]) -> Result<(), VaultError> {
        for &index in indexes {
            let zeroed = self.current.file.write_all_at(&[0; SLOT_BYTES], offset(index));
            self.poison_on(zeroed.map_err(VaultError::io("write", &self.current.path)))?;
        }
        Ok(())
    }

    fn check_writable(&self) -> Result<(), VaultError> {
        if self.poisoned { Err(VaultError::Poisoned { path: self.current.path.clone() }) } else { Ok(()) }
    }

    fn poison_on<T>(&mut self, result: Result<T, VaultError>) -> Result<T, VaultError> {
        self.poisoned |= result.is_err();
        result
    }
}

/// Looks at a keystore without any key: headers and checksums, not what the slots hold. Changes nothing.
///
/// # Errors
/// As [`Keystore::open`], but for the vault key.
pub fn inspect(io: &dyn Io, folder: &Path, ledger_id: LedgerId) -> Result<KeystoreReport, VaultError> {
    let number = Listing::read(io, folder)?.current(folder)?;
    let path = keystore_path(folder, number);
    let (file, vault_key, ..) = open_header(io, &path, ledger_id, number, OpenMode::Read)?;
    Ok(report(number, vault_key, &Slots::scan(&*file, &path)?, &path, Vec::new()))
}

fn report(generation: u64, vault_key: VaultKeyId, slots: &Slots, path: &Path, removed: Vec<PathBuf>) -> KeystoreReport {
    let counted = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    KeystoreReport {
        generation,
        vault_key,
        slots: slots.count,
        used: counted(slots.table.len()),
        free: counted(slots.free.len()),
        damaged: slots.damaged_slots(path),
        removed,
    }
}
