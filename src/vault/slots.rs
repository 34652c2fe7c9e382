//! Which slot holds which secret: a table built by reading every slot once.
//!
//! Not here: writing slots (`keystore`).

use super::error::VaultError;
use super::layout::{HEADER_BYTES, Read, SLOT_BYTES, Slot};
use super::seal::{Opened, Sealer};
use crate::model::{AccessKeyId, KeyUid};
use crate::sys::IoFile;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Slots read at once.
const SCAN_SLOTS: u32 = 512;

/// A slot that is neither free nor whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedSlot {
    pub path: PathBuf,
    /// Where the slot begins, in bytes.
    pub offset: u64,
    /// The key and secret version it names, if that much can be read. Not proven.
    pub claims: Option<(KeyUid, u32)>,
    pub what: &'static str,
}

/// Whom a damaged slot claims to belong to, and what is wrong with it.
type Damage = (Option<(KeyUid, u32)>, &'static str);

/// What is known of the slots of one keystore file.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) table: HashMap<(KeyUid, u32), u32, foldhash::fast::RandomState>,
    pub(super) free: BTreeSet<u32>,
    pub(super) damaged: BTreeMap<u32, Damage>,
    pub(super) count: u32,
}

/// Where slot `index` begins.
pub(super) fn offset(index: u32) -> u64 {
    HEADER_BYTES as u64 + u64::from(index) * SLOT_BYTES as u64
}

/// How many whole slots a file has. A part of one at the end is what a growth that failed left behind.
pub(super) fn count(file: &dyn IoFile, path: &Path) -> Result<u32, VaultError> {
    let len = file.len().map_err(VaultError::io("look at", path))?;
    let slots = len.saturating_sub(HEADER_BYTES as u64) / SLOT_BYTES as u64;
    let what = "the file is longer than any keystore";
    u32::try_from(slots).map_err(|_| VaultError::Damaged { path: path.to_path_buf(), offset: len, what })
}

/// Reads the slots of `range`, each in turn; one that the disk cannot read is `None`.
pub(super) fn each(
    file: &dyn IoFile,
    range: Range<u32>,
    mut visit: impl FnMut(u32, Option<&[u8; SLOT_BYTES]>) -> Result<(), VaultError>,
) -> Result<(), VaultError> {
    let mut buffer = vec![0; SLOT_BYTES * SCAN_SLOTS.min(range.end.saturating_sub(range.start)) as usize];
    let mut at = range.start;
    while at < range.end {
        let wanted = (range.end - at).min(SCAN_SLOTS);
        let chunk = &mut buffer[..SLOT_BYTES * wanted as usize];
        let whole = file.read_at(chunk, offset(at)).is_ok_and(|read| read == chunk.len());
        for (index, bytes) in (at..).zip(chunk.chunks_exact_mut(SLOT_BYTES)) {
            // One bad sector must not hide the slots around it.
            let readable = whole || file.read_at(bytes, offset(index)).is_ok_and(|read| read == SLOT_BYTES);
            let bytes: Option<&[u8; SLOT_BYTES]> = if readable { (&*bytes).try_into().ok() } else { None };
            visit(index, bytes)?;
        }
        at += wanted;
    }
    Ok(())
}

impl Slots {
    /// Reads a whole file.
    pub(super) fn scan(file: &dyn IoFile, path: &Path) -> Result<Self, VaultError> {
        let mut slots = Self::default();
        slots.extend(file, path)?;
        Ok(slots)
    }

    /// Reads what the file has grown by.
    pub(super) fn extend(&mut self, file: &dyn IoFile, path: &Path) -> Result<(), VaultError> {
        let count = count(file, path)?;
        each(file, self.count..count, |index, bytes| {
            self.note(index, bytes);
            Ok(())
        })?;
        self.count = self.count.max(count);
        Ok(())
    }

    /// Reads the free slots again, which another process may have filled.
    pub(super) fn reread_free(&mut self, file: &dyn IoFile) -> Result<(), VaultError> {
        for range in runs(&std::mem::take(&mut self.free)) {
            each(file, range, |index, bytes| {
                self.note(index, bytes);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn note(&mut self, index: u32, bytes: Option<&[u8; SLOT_BYTES]>) {
        match bytes.map(Slot::decode) {
            None => drop(self.damaged.insert(index, (None, "the disk cannot read it"))),
            Some(Read::Free) => drop(self.free.insert(index)),
            Some(Read::Damaged(claims)) => drop(self.damaged.insert(index, (claims, "its checksum does not match"))),
            Some(Read::Sealed(slot)) => {
                let key = (slot.uid, slot.version);
                // Only a copied slot or one that a crash orphaned can come twice; the first one stands.
                if *self.table.entry(key).or_insert(index) != index {
                    self.damaged.insert(index, (Some(key), "an earlier slot holds the same version"));
                }
            }
        }
    }

    pub(super) fn damaged_slots(&self, path: &Path) -> Vec<DamagedSlot> {
        let damaged = self.damaged.iter();
        damaged
            .map(|(&index, &(claims, what))| DamagedSlot {
                path: path.to_path_buf(),
                offset: offset(index),
                claims,
                what,
            })
            .collect()
    }

    /// Takes one secret out of its slot; `unwritten` is what will be written there.
    ///
    /// # Errors
    /// [`VaultError::UnknownVersion`] without a slot, [`VaultError::SlotDamaged`] when it does not open for this key.
    pub(super) fn open(
        &self,
        file: &dyn IoFile,
        path: &Path,
        sealer: &Sealer,
        key: (KeyUid, u32),
        access_key_id: &AccessKeyId,
        unwritten: Option<&[u8; SLOT_BYTES]>,
    ) -> Result<Opened, VaultError> {
        let (uid, version) = key;
        let damaged_at = |index| VaultError::SlotDamaged {
            path: path.to_path_buf(),
            offset: offset(index),
            access_key_id: access_key_id.to_string(),
            version,
        };
        let Some(&index) = self.table.get(&key) else {
            let claimed = self.damaged.iter().find(|(_, (claims, _))| *claims == Some(key));
            return Err(match claimed {
                Some((&index, _)) => damaged_at(index),
                None => VaultError::UnknownVersion { access_key_id: access_key_id.to_string(), version },
            });
        };
        let mut bytes = [0; SLOT_BYTES];
        let read = match unwritten {
            Some(unwritten) => {
                bytes = *unwritten;
                SLOT_BYTES
            }
            None => file.read_at(&mut bytes, offset(index)).map_err(VaultError::io("read", path))?,
        };
        match Slot::decode(&bytes) {
            Read::Sealed(slot)
                if read == SLOT_BYTES
                    && (slot.uid, slot.version) == (uid, version)
                    && slot.access_key_id() == access_key_id.as_str().as_bytes() =>
            {
                sealer.open(&slot).ok_or_else(|| damaged_at(index))
            }
            _ => Err(damaged_at(index)),
        }
    }
}

/// Runs of consecutive numbers.
pub(super) fn runs(numbers: &BTreeSet<u32>) -> Vec<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some(run) if run.end == number => run.end += 1,
            _ => runs.push(number..number + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_join_neighbours() {
        assert_eq!(runs(&[1, 2, 3, 7, 9, 10].into()), [1..4, 7..8, 9..11]);
        assert!(runs(&BTreeSet::new()).is_empty());
    }
}
