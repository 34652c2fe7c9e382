//! The tail witness: how far the log was acknowledged, kept beside it in two slots.
//!
//! ```text
//!  tail.wit, two slots of 4096 bytes; the valid one with the higher generation counts
//!  +0        +8        +12    +16         +32          +40          +48              +56       +64         +72
//!  ┌─────────┬─────────┬──────┬───────────┬────────────┬────────────┬────────────────┬─────────┬───────────┬─────────┐
//!  │ magic 8 │ 1 │ 0   │ 4096 │ ledger 16 │ generation │ durable_seq│ group_first_seq│ base_seq│ end_offset│ head 32 │
//!  └─────────┴─────────┴──────┴───────────┴────────────┴────────────┴────────────────┴─────────┴───────────┴─────────┘
//!  +104      +112      +144  +148   +152          +160
//!  ┌─────────┬─────────┬─────┬──────┬─────────────┬─────────────────────┬─────────┐
//!  │ tree n  │ root 32 │epoch│ flags│ clock_high  │ keyed BLAKE3 0..160 │ 0 … crc │   magic "KLWIT\r\n\x1a"; CRC at 4092
//!  └─────────┴─────────┴─────┴──────┴─────────────┴─────────────────────┴─────────┘   flags: bit 0 clean
//! ```
//!
//! It is written and flushed after the log's own flush and before the acknowledgement, so a log that ends before
//! `durable_seq` has lost something it promised. It knows nothing that the log does not, save the clock's mark.
//!
//! Invariants
//! - INVARIANT: of the two slots, the one that holds the last *flushed* record is never written. Between flushes (a
//!   lazy witness) the other one is written again and again; so a crash spoils at most one.
//! - Both slots are written when the ledger is made, with `durable_seq` 0: two bad slots are damage, not youth.
//!
//! Not here: what follows from comparing it with the log (`recovery`).

use super::bytes::{array, i64_at, is_zero, put, u16_at, u32_at, u64_at};
use super::error::LogError;
use super::frame::Keys;
use super::meta::MAJOR;
use super::tree::Hash;
use crate::sys::{Io, IoFile, OpenMode};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const FILE: &str = "tail.wit";
pub(crate) const SLOT: usize = 4096;
const CRC: usize = SLOT - 4;
const HASHED: usize = 160;
const MAGIC: [u8; 8] = *b"KLWIT\r\n\x1a";
const CLEAN: u32 = 1;

/// What one slot says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Witness {
    pub generation: u64,
    /// Every frame up to this one is on the disk and may have been acknowledged.
    pub durable_seq: u64,
    pub group_first_seq: u64,
    /// The segment that holds `durable_seq` or will hold the next frame, and where its frames end.
    pub base_seq: u64,
    pub end_offset: u64,
    pub head: Hash,
    pub tree_size: u64,
    pub tree_root: Hash,
    pub epoch: u32,
    /// The writer closed in order and nothing is left to recover.
    pub clean: bool,
    /// The latest guarded time known, in nanoseconds.
    pub clock_high_ns: i64,
}

impl Witness {
    fn encode(&self, ledger_id: &[u8; 16], keys: &Keys, slot: &mut [u8; SLOT]) {
        put(slot, 0, &MAGIC);
        put(slot, 8, &MAJOR.to_le_bytes());
        put(slot, 12, &(SLOT as u32).to_le_bytes());
        put(slot, 16, ledger_id);
        put(slot, 32, &self.generation.to_le_bytes());
        put(slot, 40, &self.durable_seq.to_le_bytes());
        put(slot, 48, &self.group_first_seq.to_le_bytes());
        put(slot, 56, &self.base_seq.to_le_bytes());
        put(slot, 64, &self.end_offset.to_le_bytes());
        put(slot, 72, &self.head);
        put(slot, 104, &self.tree_size.to_le_bytes());
        put(slot, 112, &self.tree_root);
        put(slot, 144, &self.epoch.to_le_bytes());
        put(slot, 148, &if self.clean { CLEAN } else { 0 }.to_le_bytes());
        put(slot, 152, &self.clock_high_ns.to_le_bytes());
        let hash = blake3::keyed_hash(&keys.witness, &slot[..HASHED]);
        put(slot, HASHED, hash.as_bytes());
        let crc = crc32fast::hash(&slot[..CRC]);
        put(slot, CRC, &crc.to_le_bytes());
    }

    /// `Err(text)` for a slot of a newer format, `Ok(None)` for one that is not whole or not of this ledger.
    fn decode(slot: &[u8], ledger_id: &[u8; 16], keys: &Keys) -> Result<Option<Self>, String> {
        if slot.len() != SLOT || slot[..8] != MAGIC || crc32fast::hash(&slot[..CRC]) != u32_at(slot, CRC) {
            return Ok(None);
        }
        if u16_at(slot, 8) != MAJOR || u16_at(slot, 10) != 0 {
            return Err(format!("format {}.{}", u16_at(slot, 8), u16_at(slot, 10)));
        }
        let flags = u32_at(slot, 148);
        let hash = blake3::keyed_hash(&keys.witness, &slot[..HASHED]);
        let ours = u32_at(slot, 12) as usize == SLOT
            && slot[16..32] == *ledger_id
            && slot[HASHED..HASHED + 32] == *hash.as_bytes()
            && is_zero(&slot[HASHED + 32..CRC]);
        if !ours {
            return Ok(None);
        }
        if flags & !CLEAN != 0 {
            return Err(format!("witness flags {flags:#x}"));
        }
        Ok(Some(Self {
            generation: u64_at(slot, 32),
            durable_seq: u64_at(slot, 40),
            group_first_seq: u64_at(slot, 48),
            base_seq: u64_at(slot, 56),
            end_offset: u64_at(slot, 64),
            head: array(slot, 72),
            tree_size: u64_at(slot, 104),
            tree_root: array(slot, 112),
            epoch: u32_at(slot, 144),
            clean: flags & CLEAN != 0,
            clock_high_ns: i64_at(slot, 152),
        }))
    }
}

/// The newest valid record and where it stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct FoundWitness {
    pub newest: Option<Witness>,
    /// The slot `newest` was read from.
    pub slot: usize,
    /// Slots that are no whole record of this ledger.
    pub bad_slots: u32,
}

pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// Reads both slots. A missing file is two bad slots.
pub(crate) fn read(io: &dyn Io, dir: &Path, ledger_id: &[u8; 16], keys: &Keys) -> Result<FoundWitness, LogError> {
    let path = path(dir);
    match io.open(&path, OpenMode::Read) {
        Ok(file) => read_open(file.as_ref(), &path, ledger_id, keys),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(FoundWitness { newest: None, slot: 0, bad_slots: 2 })
        }
        Err(source) => Err(LogError::Io { doing: "open", path, source }),
    }
}

/// As [`read`], from an open file.
pub(crate) fn read_open(
    file: &dyn IoFile,
    path: &Path,
    ledger_id: &[u8; 16],
    keys: &Keys,
) -> Result<FoundWitness, LogError> {
    let mut found = FoundWitness::default();
    let mut bytes = [0; SLOT];
    for slot in 0..2 {
        let read = file.read_at(&mut bytes, (slot * SLOT) as u64).map_err(LogError::io("read", path))?;
        let unknown = |what| LogError::UnknownVersion { path: path.to_path_buf(), what };
        match Witness::decode(&bytes[..read], ledger_id, keys).map_err(unknown)? {
            None => found.bad_slots += 1,
            Some(witness) if found.newest.as_ref().is_none_or(|newest| witness.generation > newest.generation) => {
                (found.newest, found.slot) = (Some(witness), slot);
            }
            Some(_) => {}
        }
    }
    Ok(found)
}

/// Makes the file with both slots, durably, under its name at once. The newer record is in slot 1.
pub(crate) fn create(
    io: &dyn Io,
    dir: &Path,
    ledger_id: &[u8; 16],
    keys: &Keys,
    first: &Witness,
) -> Result<(), LogError> {
    let path = path(dir);
    let mut bytes = [[0; SLOT]; 2];
    first.encode(ledger_id, keys, &mut bytes[0]);
    Witness { generation: first.generation + 1, ..first.clone() }.encode(ledger_id, keys, &mut bytes[1]);
    io.replace(&path, bytes.as_flattened()).map_err(LogError::io("write", &path))
}

/// The writer's hand on the file.
#[derive(Debug)]
pub(crate) struct WitnessFile {
    file: Arc<dyn IoFile>,
    path: PathBuf,
    ledger_id: [u8; 16],
    keys: Keys,
    buffer: Box<[u8; SLOT]>,
    /// The slot that may be written: not the one flushed last.
    slot: usize,
    generation: u64,
    unflushed: bool,
}

impl WitnessFile {
    /// Opens the file to go on after `found`.
    pub fn open(
        io: &dyn Io,
        dir: &Path,
        ledger_id: [u8; 16],
        keys: Keys,
        found: &FoundWitness,
    ) -> Result<Self, LogError> {
        let path = path(dir);
        let file = io.open(&path, OpenMode::ReadWrite).map_err(LogError::io("open", &path))?;
        Ok(Self {
            file,
            path,
            ledger_id,
            keys,
            buffer: Box::new([0; SLOT]),
            slot: 1 - found.slot,
            generation: found.newest.as_ref().map_or(0, |newest| newest.generation),
            unflushed: false,
        })
    }

    /// Writes the next record (its generation is set here). Other processes see it at once; a crash may lose it.
    pub fn write(&mut self, witness: &mut Witness) -> Result<(), LogError> {
        self.generation += 1;
        witness.generation = self.generation;
        witness.encode(&self.ledger_id, &self.keys, &mut self.buffer);
        self.unflushed = true;
        let offset = (self.slot * SLOT) as u64;
        self.file.write_all_at(self.buffer.as_slice(), offset).map_err(LogError::io("write", &self.path))
    }

    /// Makes the last record durable, if it is not yet.
    pub fn flush(&mut self) -> Result<(), LogError> {
        if self.unflushed {
            self.file.datasync().map_err(LogError::io("flush", &self.path))?;
            self.unflushed = false;
            self.slot = 1 - self.slot;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_reads_back_and_no_flipped_bit_does() {
        let keys = Keys::derive(&[1; 16], &[2; 32], 1);
        let witness = Witness {
            generation: 4,
            durable_seq: 10,
            group_first_seq: 8,
            base_seq: 1,
            end_offset: 9000,
            head: [3; 32],
            tree_size: 10,
            tree_root: [4; 32],
            epoch: 2,
            clean: true,
            clock_high_ns: 77,
        };
        let mut slot = [0; SLOT];
        witness.encode(&[1; 16], &keys, &mut slot);
        assert_eq!(Witness::decode(&slot, &[1; 16], &keys), Ok(Some(witness)));
        assert_eq!(Witness::decode(&slot, &[9; 16], &keys), Ok(None), "another ledger's");
        for bit in 0..slot.len() * 8 {
            let mut flipped = slot;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Witness::decode(&flipped, &[1; 16], &keys), Ok(None), "bit {bit}");
        }
    }
}
