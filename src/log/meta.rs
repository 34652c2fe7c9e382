//! META: what a ledger is, kept twice.
//!
//! ```text
//!  two copies of 4096 bytes; the valid one with the higher generation counts
//!  +0        +8        +12      +16          +24         +40      +48          +80    +81   +82         +84     +340
//!  ┌─────────┬─────────┬────────┬────────────┬───────────┬────────┬────────────┬──────┬─────┬───────────┬───────┬──────────────┬─────────┐
//!  │ magic 8 │ 1 │ 0   │ 4096   │ generation │ ledger 16 │ created│ salt 32    │ suite│ n   │ origin len│ origin│ n × key 32   │ 0 … crc │
//!  └─────────┴─────────┴────────┴────────────┴───────────┴────────┴────────────┴──────┴─────┴───────────┴───────┴──────────────┴─────────┘
//!   magic "KLMETA\r\n"; origin ≤ 256 bytes UTF-8; keys: Ed25519 checkpoint public keys, ≤ 64; CRC at 4092 over 0..4092
//! ```
//!
//! Not here: anything that changes with the log. The salt stands in every segment header too, so losing META does
//! not lose the ledger.

use super::bytes::{array, i64_at, is_zero, put, u16_at, u32_at, u64_at};
use super::error::LogError;
use super::frame::Keys;
use crate::sys::{Io, OpenMode};
use std::io;
use std::path::{Path, PathBuf};

pub(crate) const FILE: &str = "META";
pub(crate) const MAJOR: u16 = 1;
/// BLAKE3 chain, SHA-256 RFC 6962 tree.
pub(crate) const SUITE: u8 = 1;
pub(crate) const COPY: usize = 4096;
const CRC: usize = COPY - 4;
const MAGIC: [u8; 8] = *b"KLMETA\r\n";
/// Most bytes an origin may have.
pub const ORIGIN_BYTES_MAX: usize = 256;
/// Most checkpoint keys a ledger keeps.
pub const CHECKPOINT_KEYS_MAX: usize = 64;
const ORIGIN: usize = 84;
const CHECKPOINT_KEYS: usize = ORIGIN + ORIGIN_BYTES_MAX;
const KEYS_END: usize = CHECKPOINT_KEYS + CHECKPOINT_KEYS_MAX * 32;
const _: () = assert!(CHECKPOINT_KEYS == 340 && KEYS_END <= CRC);

/// What a ledger is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Counts the changes of this record.
    pub generation: u64,
    /// Random, for ever.
    pub ledger_id: [u8; 16],
    /// Random; given to auditors with the log, never to clients.
    pub frame_salt: [u8; 32],
    /// The ledger's name in checkpoints, such as `keys.example.com/prod`.
    pub origin: String,
    /// When the ledger was made.
    pub created_ns: i64,
    /// Ed25519 public keys that sign checkpoints, oldest first.
    pub checkpoint_keys: Vec<[u8; 32]>,
}

impl Meta {
    /// The keys of frame chain and witness.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys::derive(&self.ledger_id, &self.frame_salt, SUITE)
    }

    /// Both bounds, as a text for whoever broke one.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        if self.origin.len() > ORIGIN_BYTES_MAX || self.origin.chars().any(char::is_control) {
            let what = format!("the origin must be at most {ORIGIN_BYTES_MAX} bytes without control characters");
            return Err(LogError::InvalidOptions { what });
        }
        if self.checkpoint_keys.len() > CHECKPOINT_KEYS_MAX {
            let what = format!("at most {CHECKPOINT_KEYS_MAX} checkpoint keys are kept");
            return Err(LogError::InvalidOptions { what });
        }
        Ok(())
    }

    /// One copy. `check` has passed.
    fn encode(&self) -> [u8; COPY] {
        let mut copy = [0; COPY];
        put(&mut copy, 0, &MAGIC);
        put(&mut copy, 8, &MAJOR.to_le_bytes());
        put(&mut copy, 12, &(COPY as u32).to_le_bytes());
        put(&mut copy, 16, &self.generation.to_le_bytes());
        put(&mut copy, 24, &self.ledger_id);
        put(&mut copy, 40, &self.created_ns.to_le_bytes());
        put(&mut copy, 48, &self.frame_salt);
        copy[80] = SUITE;
        copy[81] = self.checkpoint_keys.len() as u8;
        put(&mut copy, 82, &(self.origin.len() as u16).to_le_bytes());
        put(&mut copy, ORIGIN, self.origin.as_bytes());
        for (place, key) in self.checkpoint_keys.iter().enumerate() {
            put(&mut copy, CHECKPOINT_KEYS + place * 32, key);
        }
        let crc = crc32fast::hash(&copy[..CRC]);
        put(&mut copy, CRC, &crc.to_le_bytes());
        copy
    }

    fn decode(copy: &[u8]) -> Decoded {
        if copy.len() != COPY || copy[..8] != MAGIC || crc32fast::hash(&copy[..CRC]) != u32_at(copy, CRC) {
            return Decoded::Bad;
        }
        let (major, suite) = (u16_at(copy, 8), copy[80]);
        if major != MAJOR || u16_at(copy, 10) != 0 {
            return Decoded::Unknown(format!("format {major}.{}", u16_at(copy, 10)));
        }
        if suite != SUITE {
            return Decoded::Unknown(format!("hash suite {suite}"));
        }
        let (keys, origin_len) = (usize::from(copy[81]), usize::from(u16_at(copy, 82)));
        if u32_at(copy, 12) as usize != COPY || keys > CHECKPOINT_KEYS_MAX || origin_len > ORIGIN_BYTES_MAX {
            return Decoded::Bad;
        }
        let keys_end = CHECKPOINT_KEYS + keys * 32;
        let Ok(origin) = std::str::from_utf8(&copy[ORIGIN..ORIGIN + origin_len]) else { return Decoded::Bad };
        if !is_zero(&copy[ORIGIN + origin_len..CHECKPOINT_KEYS]) || !is_zero(&copy[keys_end..CRC]) {
            return Decoded::Bad;
        }
        Decoded::Good(Self {
            generation: u64_at(copy, 16),
            ledger_id: array(copy, 24),
            frame_salt: array(copy, 48),
            origin: origin.to_owned(),
            created_ns: i64_at(copy, 40),
            checkpoint_keys: copy[CHECKPOINT_KEYS..keys_end].as_chunks::<32>().0.to_vec(),
        })
    }
}

enum Decoded {
    Good(Meta),
    Bad,
    Unknown(String),
}

/// META as found on the disk.
#[derive(Debug)]
pub(crate) struct FoundMeta {
    pub meta: Meta,
    /// Which copies are unreadable, or older than the other.
    pub stale: [bool; 2],
}

pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// Reads the newest valid copy. `Ok(None)` if there is no file.
pub(crate) fn read(io: &dyn Io, dir: &Path) -> Result<Option<FoundMeta>, LogError> {
    let path = path(dir);
    let file = match io.open(&path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LogError::Io { doing: "open", path, source }),
    };
    let mut bytes = vec![0; 2 * COPY + 1];
    let read = file.read_at(&mut bytes, 0).map_err(LogError::io("read", &path))?;
    let copies = [bytes.get(..COPY.min(read)), bytes.get(COPY.min(read)..read.min(2 * COPY))];
    let [first, second] = copies.map(|copy| copy.map_or(Decoded::Bad, Meta::decode));
    // A longer file is not ours to interpret.
    if read > 2 * COPY {
        return Err(LogError::MetaDamaged { path });
    }
    match (first, second) {
        (Decoded::Unknown(what), _) | (_, Decoded::Unknown(what)) => Err(LogError::UnknownVersion { path, what }),
        (Decoded::Good(a), Decoded::Good(b)) => {
            let stale = [a.generation < b.generation, b.generation < a.generation];
            if a.generation == b.generation && a != b || a.ledger_id != b.ledger_id {
                return Err(LogError::MetaDamaged { path });
            }
            Ok(Some(FoundMeta { meta: if stale[0] { b } else { a }, stale }))
        }
        (Decoded::Good(meta), Decoded::Bad) => Ok(Some(FoundMeta { meta, stale: [false, true] })),
        (Decoded::Bad, Decoded::Good(meta)) => Ok(Some(FoundMeta { meta, stale: [true, false] })),
        (Decoded::Bad, Decoded::Bad) => Err(LogError::MetaDamaged { path }),
    }
}

/// Makes both copies, durably, under their name at once.
pub(crate) fn create(io: &dyn Io, dir: &Path, meta: &Meta) -> Result<(), LogError> {
    let path = path(dir);
    io.replace(&path, &[meta.encode(), meta.encode()].concat()).map_err(LogError::io("write", &path))
}

/// Writes `meta` over the copies one after the other, each flushed before the next: one is always whole.
/// The copy named first in `order` should be the stale one.
pub(crate) fn update(io: &dyn Io, dir: &Path, meta: &Meta, order: [usize; 2]) -> Result<(), LogError> {
    let path = path(dir);
    let file = io.open(&path, OpenMode::ReadWrite).map_err(LogError::io("open", &path))?;
    for copy in order {
        file.write_all_at(&meta.encode(), (copy * COPY) as u64).map_err(LogError::io("write", &path))?;
        file.datasync().map_err(LogError::io("flush", &path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        Meta {
            generation: 3,
            ledger_id: [7; 16],
            frame_salt: [8; 32],
            origin: "keys.example.com/prod".into(),
            created_ns: 99,
            checkpoint_keys: vec![[1; 32], [2; 32]],
        }
    }

    #[test]
    fn a_copy_reads_back_and_no_flipped_bit_does() {
        let copy = meta().encode();
        assert!(matches!(Meta::decode(&copy), Decoded::Good(read) if read == meta()));
        for bit in 0..copy.len() * 8 {
            let mut flipped = copy;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(Meta::decode(&flipped), Decoded::Good(_)), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_format_is_named_and_not_called_damage() {
        let mut copy = meta().encode();
        put(&mut copy, 8, &2u16.to_le_bytes());
        let crc = crc32fast::hash(&copy[..CRC]);
        put(&mut copy, CRC, &crc.to_le_bytes());
        assert!(matches!(Meta::decode(&copy), Decoded::Unknown(what) if what.contains("2.0")));
    }

    #[test]
    fn an_origin_that_would_not_fit_or_print_is_refused() {
        let mut long = meta();
        long.origin = "x".repeat(ORIGIN_BYTES_MAX + 1);
        assert!(long.check().is_err());
        long.origin = "a\nb".into();
        assert!(long.check().is_err());
        assert!(meta().check().is_ok());
    }
}
