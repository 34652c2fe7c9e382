//! Segments: the files that hold the frames, their header and their seal.
//!
//! ```text
//!  log/<base_seq, 20 digits>.seg, of one fixed size, zero-filled and flushed before it gets its name
//!  ┌────────────────┬──────────────────────────────────────────────┬───────────────┬──────────────────────────┐
//!  │ header 4096    │ frame │ frame │ frame │ …                    │ zeros         │ seal 4096, zero until the│
//!  │                │                                              │               │ segment is closed        │
//!  └────────────────┴──────────────────────────────────────────────┴───────────────┴──────────────────────────┘
//!
//!  header  +0 magic 8 "KLSEG\r\n\x1a"   +8 major, minor u16   +12 header_len u32 4096   +16 ledger id 16
//!          +32 index u64   +40 base_seq u64   +48 segment_size u64   +56 created ns i64   +64 prev_hash 32
//!          +96 tree root 32 at size base_seq − 1   +128 writer epoch u32   +132 hash suite u8   +136 frame_salt 32
//!          +168 the tree's peaks at that size, largest first, 32 each (as many as base_seq − 1 has one-bits, ≤ 63)
//!          0 …   +4092 CRC over 0..4092
//!
//!  seal    +0 magic 4 "KLS1"   +4 major, minor u16   +8 ledger id 16   +24 base_seq u64   +32 count u64
//!          +40 first seq u64   +48 last seq u64   +56 end offset u64   +64 chain head 32   +96 tree size u64
//!          +104 tree root 32   +136 first recorded_at i64   +144 last recorded_at i64
//!          +152 BLAKE3 of all bytes before the seal, slack included, 32   0 …   +4092 CRC over 0..4092
//! ```
//!
//! The peaks let a writer go on from the last header alone. (The root alone would make every open walk every frame.)
//!
//! Invariants
//! - A named segment always has a whole header: it is flushed before the rename.
//! - The seal is flushed before the next segment is named; so every segment but the last has one.
//! - Bytes that mean nothing are zero, and are checked to be.
//! - A named file is never shortened.
//!
//! Not here: frames (`frame`), making files ready ahead (`spare`), whether a log of segments is whole (`recovery`).

use super::bytes::{array, i64_at, is_zero, put, u16_at, u32_at, u64_at};
use super::error::LogError;
use super::meta::{MAJOR, SUITE};
use super::tree::{Hash, Tree};
use crate::sys::{Io, IoFile};
use std::io;
use std::path::{Path, PathBuf};

pub(crate) const FOLDER: &str = "log";
pub(crate) const HEADER: usize = 4096;
pub(crate) const SEAL: usize = 4096;
const CRC: usize = 4092;
const MAGIC: [u8; 8] = *b"KLSEG\r\n\x1a";
const SEAL_MAGIC: [u8; 4] = *b"KLS1";
const PEAKS: usize = 168;
const SEAL_END: usize = 184;
const _: () = assert!(PEAKS + 63 * 32 <= CRC);

/// Smallest segment, for tests; `init` offers 1 MiB and more.
pub const SEGMENT_BYTES_MIN: u64 = 16 << 10;
/// Largest segment.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// Where a segment stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub ledger_id: [u8; 16],
    pub index: u64,
    pub base_seq: u64,
    pub segment_size: u64,
    pub created_ns: i64,
    pub prev_hash: Hash,
    /// At size base_seq − 1.
    pub tree: Tree,
    pub epoch: u32,
    pub frame_salt: [u8; 32],
}

/// Why a header or seal was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadRecord {
    /// Checksum or shape.
    Bytes,
    /// Whole, but of a newer version.
    Unknown(String),
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        put(&mut header, 0, &MAGIC);
        put(&mut header, 8, &MAJOR.to_le_bytes());
        put(&mut header, 12, &(HEADER as u32).to_le_bytes());
        put(&mut header, 16, &self.ledger_id);
        put(&mut header, 32, &self.index.to_le_bytes());
        put(&mut header, 40, &self.base_seq.to_le_bytes());
        put(&mut header, 48, &self.segment_size.to_le_bytes());
        put(&mut header, 56, &self.created_ns.to_le_bytes());
        put(&mut header, 64, &self.prev_hash);
        put(&mut header, 96, &self.tree.root());
        put(&mut header, 128, &self.epoch.to_le_bytes());
        header[132] = SUITE;
        put(&mut header, 136, &self.frame_salt);
        put(&mut header, PEAKS, self.tree.peaks().as_flattened());
        let crc = crc32fast::hash(&header[..CRC]);
        put(&mut header, CRC, &crc.to_le_bytes());
        header
    }

    pub fn decode(header: &[u8]) -> Result<Self, BadRecord> {
        if header.len() < HEADER || header[..8] != MAGIC || crc32fast::hash(&header[..CRC]) != u32_at(header, CRC) {
            return Err(BadRecord::Bytes);
        }
        if u16_at(header, 8) != MAJOR || u16_at(header, 10) != 0 {
            return Err(BadRecord::Unknown(format!("format {}.{}", u16_at(header, 8), u16_at(header, 10))));
        }
        if header[132] != SUITE {
            return Err(BadRecord::Unknown(format!("hash suite {}", header[132])));
        }
        let base_seq = u64_at(header, 40);
        let size = base_seq.checked_sub(1).ok_or(BadRecord::Bytes)?;
        let peaks_end = PEAKS + size.count_ones() as usize * 32;
        let peaks = header[PEAKS..peaks_end.min(CRC)].as_chunks::<32>().0.to_vec();
        let tree = Tree::from_peaks(size, peaks).ok_or(BadRecord::Bytes)?;
        let shaped = u32_at(header, 12) as usize == HEADER
            && tree.root() == array::<32>(header, 96)
            && is_zero(&header[133..136])
            && is_zero(&header[peaks_end..CRC]);
        if !shaped {
            return Err(BadRecord::Bytes);
        }
        Ok(Self {
            ledger_id: array(header, 16),
            index: u64_at(header, 32),
            base_seq,
            segment_size: u64_at(header, 48),
            created_ns: i64_at(header, 56),
            prev_hash: array(header, 64),
            tree,
            epoch: u32_at(header, 128),
            frame_salt: array(header, 136),
        })
    }

    /// Where frames must end, and the seal begins.
    pub fn limit(&self) -> usize {
        limit(self.segment_size)
    }
}

/// Where frames must end in a segment of this size, and the seal begins.
pub(crate) fn limit(segment_size: u64) -> usize {
    segment_size as usize - SEAL
}

/// What a closed segment holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seal {
    pub ledger_id: [u8; 16],
    pub base_seq: u64,
    pub last_seq: u64,
    pub end_offset: u64,
    pub head: Hash,
    pub tree_size: u64,
    pub tree_root: Hash,
    pub first_recorded_at_ns: i64,
    pub last_recorded_at_ns: i64,
    pub blake3: Hash,
}

impl Seal {
    pub fn encode(&self) -> [u8; SEAL] {
        let mut seal = [0; SEAL];
        put(&mut seal, 0, &SEAL_MAGIC);
        put(&mut seal, 4, &MAJOR.to_le_bytes());
        put(&mut seal, 8, &self.ledger_id);
        put(&mut seal, 24, &self.base_seq.to_le_bytes());
        put(&mut seal, 32, &(self.last_seq + 1 - self.base_seq).to_le_bytes());
        put(&mut seal, 40, &self.base_seq.to_le_bytes());
        put(&mut seal, 48, &self.last_seq.to_le_bytes());
        put(&mut seal, 56, &self.end_offset.to_le_bytes());
        put(&mut seal, 64, &self.head);
        put(&mut seal, 96, &self.tree_size.to_le_bytes());
        put(&mut seal, 104, &self.tree_root);
        put(&mut seal, 136, &self.first_recorded_at_ns.to_le_bytes());
        put(&mut seal, 144, &self.last_recorded_at_ns.to_le_bytes());
        put(&mut seal, 152, &self.blake3);
        let crc = crc32fast::hash(&seal[..CRC]);
        put(&mut seal, CRC, &crc.to_le_bytes());
        seal
    }

    pub fn decode(seal: &[u8]) -> Result<Self, BadRecord> {
        if seal.len() != SEAL || seal[..4] != SEAL_MAGIC || crc32fast::hash(&seal[..CRC]) != u32_at(seal, CRC) {
            return Err(BadRecord::Bytes);
        }
        if u16_at(seal, 4) != MAJOR || u16_at(seal, 6) != 0 {
            return Err(BadRecord::Unknown(format!("seal format {}.{}", u16_at(seal, 4), u16_at(seal, 6))));
        }
        let (base_seq, last_seq) = (u64_at(seal, 24), u64_at(seal, 48));
        let shaped = base_seq <= last_seq
            && u64_at(seal, 40) == base_seq
            && u64_at(seal, 32) == last_seq - base_seq + 1
            && u64_at(seal, 96) == last_seq
            && is_zero(&seal[SEAL_END..CRC]);
        if !shaped {
            return Err(BadRecord::Bytes);
        }
        Ok(Self {
            ledger_id: array(seal, 8),
            base_seq,
            last_seq,
            end_offset: u64_at(seal, 56),
            head: array(seal, 64),
            tree_size: u64_at(seal, 96),
            tree_root: array(seal, 104),
            first_recorded_at_ns: i64_at(seal, 136),
            last_recorded_at_ns: i64_at(seal, 144),
            blake3: array(seal, 152),
        })
    }
}

/// The file that begins with frame `base_seq`.
pub(crate) fn path(dir: &Path, base_seq: u64) -> PathBuf {
    dir.join(FOLDER).join(name(base_seq))
}

pub(crate) fn name(base_seq: u64) -> String {
    format!("{base_seq:020}.seg")
}

/// `base_seq` of every segment by its name, in order. Other names (files being made ready) are passed over.
pub(crate) fn list(io: &dyn Io, dir: &Path) -> Result<Vec<(u64, u64)>, LogError> {
    let folder = dir.join(FOLDER);
    let entries = match io.read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(LogError::Io { doing: "list", path: folder, source }),
    };
    let mut found = Vec::new();
    for entry in entries {
        let Some(digits) = entry.name.strip_suffix(".seg") else { continue };
        match digits.parse::<u64>() {
            Ok(base_seq) if digits.len() == 20 && !entry.is_dir => found.push((base_seq, entry.len)),
            _ => {
                let segment = folder.join(&entry.name);
                return Err(LogError::MisplacedSegment { segment, why: "its name is not 20 digits" });
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Reads the header of an open segment and checks it against the file's name and length and the ledger.
pub(crate) fn read_header(
    file: &dyn IoFile,
    path: &Path,
    base_seq: u64,
    ledger_id: &[u8; 16],
) -> Result<SegmentHeader, LogError> {
    let mut bytes = [0; HEADER];
    let read = file.read_at(&mut bytes, 0).map_err(LogError::io("read", path))?;
    check_header(&bytes[..read], file.len().map_err(LogError::io("measure", path))?, path, base_seq, ledger_id)
}

/// As [`read_header`], from bytes at hand.
pub(crate) fn check_header(
    bytes: &[u8],
    file_len: u64,
    path: &Path,
    base_seq: u64,
    ledger_id: &[u8; 16],
) -> Result<SegmentHeader, LogError> {
    let segment = || path.to_path_buf();
    let header = match SegmentHeader::decode(bytes) {
        Ok(header) => header,
        Err(BadRecord::Bytes) => return Err(LogError::damaged(path, 0, base_seq)),
        Err(BadRecord::Unknown(what)) => return Err(LogError::UnknownVersion { path: segment(), what }),
    };
    if header.ledger_id != *ledger_id {
        return Err(LogError::ForeignSegment { segment: segment() });
    }
    if header.base_seq != base_seq {
        return Err(LogError::MisplacedSegment { segment: segment(), why: "it begins with another frame" });
    }
    let size = header.segment_size;
    if !size.is_power_of_two() || !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&size) || size != file_len {
        let end = file_len.min(size) as usize;
        return Err(LogError::damaged(path, end, base_seq));
    }
    Ok(header)
}

/// BLAKE3 over a segment as it grows, in large steps: small ones are several times slower.
#[derive(Debug)]
pub(crate) struct SealHasher {
    hasher: blake3::Hasher,
    pending: Vec<u8>,
    hashed: u64,
}

impl SealHasher {
    const STEP: usize = 128 << 10;

    pub fn new() -> Self {
        Self { hasher: blake3::Hasher::new(), pending: Vec::new(), hashed: 0 }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= Self::STEP {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.hasher.update(&self.pending);
        self.hashed += self.pending.len() as u64;
        self.pending.clear();
    }

    /// The hash with zeros up to `len`.
    pub fn finish(mut self, len: u64) -> Hash {
        const ZEROS: [u8; 4096] = [0; 4096];
        self.settle();
        while self.hashed < len {
            let step = (len - self.hashed).min(ZEROS.len() as u64) as usize;
            self.hasher.update(&ZEROS[..step]);
            self.hashed += step as u64;
        }
        *self.hasher.finalize().as_bytes()
    }
}

/// All bytes of a segment's file.
pub(crate) fn read_whole(io: &dyn Io, path: &Path) -> Result<Vec<u8>, LogError> {
    io.read(path, SEGMENT_BYTES_MAX).map_err(LogError::io("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        let mut tree = Tree::default();
        (0..6u8).for_each(|leaf| tree.push([leaf; 32]));
        SegmentHeader {
            ledger_id: [7; 16],
            index: 2,
            base_seq: 7,
            segment_size: 65536,
            created_ns: 5,
            prev_hash: [9; 32],
            tree,
            epoch: 4,
            frame_salt: [8; 32],
        }
    }

    fn seal() -> Seal {
        Seal {
            ledger_id: [7; 16],
            base_seq: 7,
            last_seq: 20,
            end_offset: 9000,
            head: [1; 32],
            tree_size: 20,
            tree_root: [2; 32],
            first_recorded_at_ns: -5,
            last_recorded_at_ns: 50,
            blake3: [3; 32],
        }
    }

    #[test]
    fn header_and_seal_read_back_and_no_flipped_bit_does() {
        let bytes = header().encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header()));
        let sealed = seal().encode();
        assert_eq!(Seal::decode(&sealed), Ok(seal()));
        for bit in 0..HEADER * 8 {
            let (mut bytes, mut sealed) = (bytes, sealed);
            bytes[bit / 8] ^= 1 << (bit % 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&bytes), Err(BadRecord::Bytes), "bit {bit}");
            assert_eq!(Seal::decode(&sealed), Err(BadRecord::Bytes), "bit {bit}");
        }
    }

    #[test]
    fn the_incremental_hash_is_that_of_the_whole_with_zeros_behind() {
        let bytes = (0..300_000u32).map(|at| at as u8).collect::<Vec<_>>();
        let mut hasher = SealHasher::new();
        bytes.chunks(777).for_each(|chunk| hasher.update(chunk));
        let mut whole = bytes.clone();
        whole.resize(310_001, 0);
        assert_eq!(hasher.finish(310_001), *blake3::hash(&whole).as_bytes());
    }
}
