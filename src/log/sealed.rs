//! Closed segments: their headers and seals, whether each follows the one before it, and whether its bytes are what it was sealed with.
//!
//! Not here: the last segment (`recovery`), the check frame by frame (`verify`).

use super::error::LogError;
use super::frame::{Bad, Keys};
use super::segment::{self, BadRecord, HEADER, SEAL, Seal, SegmentHeader, read_whole};
use super::walk::Position;
use crate::sys::{Io, IoFile, OpenMode};
use std::path::{Path, PathBuf};

/// A closed segment.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub path: PathBuf,
    pub header: SegmentHeader,
    pub seal: Seal,
}

/// Reads header and seal.
pub(super) fn read_sealed(io: &dyn Io, dir: &Path, base_seq: u64, ledger_id: &[u8; 16]) -> Result<Sealed, LogError> {
    let path = segment::path(dir, base_seq);
    let file = io.open(&path, OpenMode::Read).map_err(LogError::io("open", &path))?;
    let header = segment::read_header(file.as_ref(), &path, base_seq, ledger_id)?;
    let mut bytes = [0; SEAL];
    let read = file.read_at(&mut bytes, header.limit() as u64).map_err(LogError::io("read", &path))?;
    let seal = match Seal::decode(&bytes[..read]) {
        Ok(seal) if seal.ledger_id == *ledger_id && seal.base_seq == base_seq => seal,
        Err(BadRecord::Unknown(what)) => return Err(LogError::UnknownVersion { path, what }),
        Ok(_) | Err(BadRecord::Bytes) => return Err(LogError::damaged(&path, header.limit(), base_seq)),
    };
    if !(HEADER as u64..=header.limit() as u64).contains(&seal.end_offset) {
        return Err(LogError::damaged(&path, header.limit(), base_seq));
    }
    Ok(Sealed { path, header, seal })
}

/// Checks that a header continues the segment before it, or begins the log.
pub(crate) fn check_follows(
    dir: &Path,
    before: Option<&Sealed>,
    header: &SegmentHeader,
    path: &Path,
) -> Result<(), LogError> {
    let misplaced = |why| Err(LogError::MisplacedSegment { segment: path.to_path_buf(), why });
    let (base_seq, index) = before.map_or((1, 0), |it| (it.seal.last_seq + 1, it.header.index + 1));
    if header.base_seq > base_seq {
        return Err(LogError::MissingSegment { segment: segment::path(dir, base_seq) });
    }
    if header.base_seq < base_seq {
        return misplaced("the one before it already holds its first frame");
    }
    if header.index != index {
        return misplaced("its index is not the next one");
    }
    let (head, root) = match before {
        Some(before) => (before.seal.head, before.seal.tree_root),
        None => ([0; 32], super::tree::Tree::default().root()),
    };
    if header.prev_hash != head || header.tree.root() != root {
        return misplaced("it follows another history");
    }
    if before.is_some_and(|before| before.header.frame_salt != header.frame_salt) {
        return misplaced("its salt is another");
    }
    Ok(())
}

/// Compares whole sealed segments with their seals, the newest within the limit. Returns how many.
pub(super) fn check_seals(io: &dyn Io, keys: &Keys, sealed: &[Sealed], bytes_max: u64) -> Result<usize, LogError> {
    /// Sealed bytes from which a second thread is worth its start.
    const TWO_FROM: u64 = 32 << 20;
    let mut bytes = 0;
    let fits = |segment: &&Sealed| {
        bytes += segment.header.segment_size;
        bytes <= bytes_max
    };
    let count = sealed.iter().rev().take_while(fits).count();
    let first = sealed.len() - count;
    // The newest first, every second one, so that both threads have as much to do.
    let every_second = |from: usize| -> Result<(), (usize, LogError)> {
        let mut buffer = Vec::new();
        for place in (first..sealed.len()).rev().skip(from).step_by(2) {
            check_seal(io, keys, sealed, place, &mut buffer).map_err(|error| (place, error))?;
        }
        Ok(())
    };
    let results = if bytes.min(bytes_max) < TWO_FROM {
        [every_second(0), every_second(1)]
    } else {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| every_second(1));
            let mine = every_second(0);
            [mine, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))]
        })
    };
    match results.into_iter().filter_map(Result::err).max_by_key(|(place, _)| *place) {
        Some((_, error)) => Err(error),
        None => Ok(count),
    }
}

/// Compares one sealed segment with its seal.
fn check_seal(io: &dyn Io, keys: &Keys, sealed: &[Sealed], place: usize, buffer: &mut Vec<u8>) -> Result<(), LogError> {
    let Some(segment) = sealed.get(place) else { return Ok(()) };
    let file = io.open(&segment.path, OpenMode::Read).map_err(LogError::io("open", &segment.path))?;
    if matches_seal(file.as_ref(), segment, buffer)? {
        return Ok(());
    }
    let bytes = read_whole(io, &segment.path)?;
    check_sealed_bytes(keys, segment, &bytes, sealed.get(place.wrapping_sub(1)))
}

/// Compares a whole segment with its seal; if they differ, the frames tell where.
pub(crate) fn check_sealed_bytes(
    keys: &Keys,
    segment: &Sealed,
    bytes: &[u8],
    before: Option<&Sealed>,
) -> Result<(), LogError> {
    let limit = segment.header.limit();
    if bytes.len() as u64 == segment.header.segment_size
        && blake3::hash(&bytes[..limit]) == blake3::Hash::from_bytes(segment.seal.blake3)
    {
        return Ok(());
    }
    Err(first_difference(keys, segment, bytes, before))
}

/// Whether a closed segment hashes to what its seal says, read in pieces that stay in the cache. If it does not, or ends early,
/// the frames tell where.
pub(crate) fn matches_seal(file: &dyn IoFile, segment: &Sealed, buffer: &mut Vec<u8>) -> Result<bool, LogError> {
    /// A power of two, so that BLAKE3 takes whole subtrees of it.
    const PIECE: usize = 256 << 10;
    let limit = segment.header.limit();
    buffer.resize(PIECE, 0);
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    while at < limit {
        let piece = &mut buffer[..PIECE.min(limit - at)];
        let read = file.read_at(piece, at as u64).map_err(LogError::io("read", &segment.path))?;
        if read < piece.len() {
            return Ok(false);
        }
        hasher.update(piece);
        at += read;
    }
    Ok(hasher.finalize() == blake3::Hash::from_bytes(segment.seal.blake3))
}

/// Where a sealed segment that does not match its seal goes wrong.
fn first_difference(keys: &Keys, segment: &Sealed, bytes: &[u8], before: Option<&Sealed>) -> LogError {
    let limit = segment.header.limit().min(bytes.len());
    let mut at = Position::start_of(&segment.header, before.map_or(i64::MIN, |it| it.seal.last_recorded_at_ns));
    while at.seq < segment.seal.last_seq {
        match at.step(keys, bytes, limit) {
            Ok(_) => {}
            Err(Bad::Bytes) => return LogError::damaged(&segment.path, at.offset, at.seq + 1),
            Err(Bad::Unknown(what)) => return LogError::UnknownVersion { path: segment.path.clone(), what },
        }
    }
    // The frames are all there: the slack behind them, or the seal's own words.
    let slack = bytes.get(at.offset..limit).unwrap_or_default();
    let place = slack.iter().position(|byte| *byte != 0).map_or(limit, |first| at.offset + first);
    LogError::damaged(&segment.path, place, at.seq)
}
