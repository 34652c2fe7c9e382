//! Opening a log that may have been torn: what is there, what that means, and making it whole.
//!
//! [`survey`] reads META, the witness, every header and seal, and scans the last segment with pread; it changes
//! nothing. `judge` turns the evidence into a verdict. A seal is flushed before anything follows it, so it speaks like a
//! second witness.
//!
//! [`Survey::mend`] then copies the good prefix into a new file, flushes it and renames it over the old one. That
//! writes every byte again (after a failed fsync the page cache can hold frames that never reached the disk), leaves
//! nothing stale behind the end, and can be cut short anywhere and begun again.
//!
//! Not here: the decision table (`judge`), the check of whole sealed segments frame by frame (`verify`), and going on to write (`writer`).

use super::bytes::{is_zero, nonzero_end};
use super::error::{LogError, is_full};
use super::frame::{Bad, Keys};
use super::judge::{Evidence, Verdict, judge};
use super::meta::{self, FoundMeta};
use super::segment::{self, BadRecord, FOLDER, HEADER, SEAL, Seal, SegmentHeader};
use super::tree::Hash;
use super::walk::{Position, later_group_behind};
use super::witness::{self, FoundWitness};
use crate::sys::{Io, IoFile, OpenMode};
use std::io;
use std::path::{Path, PathBuf};

const QUARANTINE: &str = "quarantine";
const COPY_NAME: &str = "recover.tmp";
/// Files kept in quarantine; the oldest go first.
const QUARANTINE_FILES_MAX: usize = 16;

/// What opening found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// The last frame there is.
    pub last_seq: u64,
    /// How far the witness said the log was acknowledged; `None` if it was unreadable and that was accepted.
    pub witnessed_seq: Option<u64>,
    /// Of the writer that begins now.
    pub epoch: u32,
    /// The writer before closed in order; nothing had to be copied.
    pub clean: bool,
    /// What was cut off the end of the last segment.
    pub cut: Option<Cut>,
    /// Witness slots that could not be read (a crash may spoil one).
    pub witness_slots_bad: u32,
    /// A damaged or older copy of META was written anew.
    pub meta_mended: bool,
    /// The latest guarded time the log or the witness knows.
    pub clock_high_ns: i64,
    /// Sealed segments whose bytes were compared with their seal, and those that were too many for that.
    pub sealed_checked: usize,
    pub sealed_unchecked: usize,
    /// Set by [`super::LogWriter::open_accepting_tail`] if there was something to accept.
    pub accepted: Option<Verdict>,
}

/// A torn tail that was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    pub segment: PathBuf,
    /// Where the good frames end.
    pub offset: u64,
    /// Bytes from there to the last one that was not zero; 0 if only a torn seal was cut.
    pub bytes: u64,
    /// The old file, kept as evidence; `None` if the disk was too full for that.
    pub quarantined: Option<PathBuf>,
}

/// How much a survey does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Depth {
    /// A writer is at work: look no further than the witness says.
    pub live: bool,
    /// At most so many bytes of sealed segments are compared with their seals, the newest first.
    pub seal_bytes_max: u64,
}

/// A closed segment.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub path: PathBuf,
    pub header: SegmentHeader,
    pub seal: Seal,
}

/// The segment that frames are appended to, or that was the last one closed.
#[derive(Debug)]
pub(crate) struct Last {
    pub path: PathBuf,
    pub header: SegmentHeader,
    pub bytes: Vec<u8>,
    /// Behind the last good frame.
    pub end: Position,
    pub first_at_ns: Option<i64>,
    /// A whole seal that agrees with the frames.
    pub seal: Option<Seal>,
    /// Bytes in the seal's place that are no seal.
    pub torn_seal: bool,
    pub verdict: Verdict,
}

/// A log as it lies on the disk.
#[derive(Debug)]
pub(crate) struct Survey {
    pub meta: FoundMeta,
    pub keys: Keys,
    pub witness: FoundWitness,
    pub sealed: Vec<Sealed>,
    pub sealed_checked: usize,
    pub last: Last,
}

/// Reads everything that decides whether the log is whole, and changes nothing. Refusals by rows 1 to 4 are in
/// `last.verdict`; see [`Survey::refusal`].
pub(crate) fn survey(io: &dyn Io, dir: &Path, depth: Depth) -> Result<Survey, LogError> {
    let begun = begin_survey(io, dir, depth)?;
    let last = begun.last_segment(io, dir)?;
    Ok(begun.with(last))
}

/// A survey of everything but the last segment.
#[derive(Debug)]
pub(crate) struct Surveyed {
    meta: FoundMeta,
    pub keys: Keys,
    witness: FoundWitness,
    pub sealed: Vec<Sealed>,
    sealed_checked: usize,
    last_base: u64,
    /// Length of the last segment's file.
    pub last_bytes: u64,
    live: bool,
}

/// As [`survey`], but for the last segment.
pub(crate) fn begin_survey(io: &dyn Io, dir: &Path, depth: Depth) -> Result<Surveyed, LogError> {
    let meta = read_meta(io, dir)?;
    let keys = meta.meta.keys();
    // The witness first, then the log: so what the witness says is there by the time it is looked for.
    let witness = witness::read(io, dir, &meta.meta.ledger_id, &keys)?;
    let mut names = segment::list(io, dir)?;
    if let (true, Some(newest)) = (depth.live, &witness.newest) {
        names.retain(|(base_seq, _)| *base_seq <= newest.base_seq);
        if names.last().is_none_or(|(base_seq, _)| *base_seq != newest.base_seq) {
            return Err(LogError::MissingSegment { segment: segment::path(dir, newest.base_seq) });
        }
    }
    let Some(((last_base, last_bytes), sealed_names)) = names.split_last() else {
        return Err(LogError::MissingSegment { segment: segment::path(dir, 1) });
    };
    let mut sealed: Vec<Sealed> = Vec::with_capacity(sealed_names.len());
    for (base_seq, _) in sealed_names {
        let next = read_sealed(io, dir, *base_seq, &meta.meta.ledger_id)?;
        check_follows(dir, sealed.last(), &next.header, &next.path)?;
        sealed.push(next);
    }
    let sealed_checked = check_seals(io, &keys, &sealed, depth.seal_bytes_max)?;
    let (last_base, last_bytes, live) = (*last_base, *last_bytes, depth.live);
    Ok(Surveyed { meta, keys, witness, sealed, sealed_checked, last_base, last_bytes, live })
}

impl Surveyed {
    /// Reads the last segment and walks its frames.
    pub fn last_segment(&self, io: &dyn Io, dir: &Path) -> Result<Last, LogError> {
        let Self { meta, keys, witness, sealed, last_base, .. } = self;
        let path = segment::path(dir, *last_base);
        let bytes = read_whole(io, &path)?;
        let header = segment::check_header(&bytes, bytes.len() as u64, &path, *last_base, &meta.meta.ledger_id)?;
        check_follows(dir, sealed.last(), &header, &path)?;
        let before = sealed.last().map_or(i64::MIN, |before| before.seal.last_recorded_at_ns);
        let scan = Scan { io, keys, sealed, witness, live: self.live };
        scan.last_segment(path, header, bytes, before)
    }

    pub fn with(self, last: Last) -> Survey {
        let Self { meta, keys, witness, sealed, sealed_checked, .. } = self;
        Survey { meta, keys, witness, sealed, sealed_checked, last }
    }
}

/// META, or which of the errors its absence means.
pub(crate) fn read_meta(io: &dyn Io, dir: &Path) -> Result<FoundMeta, LogError> {
    match meta::read(io, dir)? {
        Some(found) => Ok(found),
        None if was_never_made(io, dir)? => Err(LogError::NotALedger { dir: dir.to_path_buf() }),
        None => Err(LogError::MetaDamaged { path: meta::path(dir) }),
    }
}

/// Whether a folder without META holds nothing, or only what an interrupted `create` leaves: at most one segment, the
/// first, without a frame.
pub(crate) fn was_never_made(io: &dyn Io, dir: &Path) -> Result<bool, LogError> {
    match segment::list(io, dir)?.as_slice() {
        [] => Ok(true),
        [(1, _)] => {
            let bytes = read_whole(io, &segment::path(dir, 1))?;
            Ok(bytes.get(HEADER..).is_some_and(is_zero))
        }
        _ => Ok(false),
    }
}

fn read_sealed(io: &dyn Io, dir: &Path, base_seq: u64, ledger_id: &[u8; 16]) -> Result<Sealed, LogError> {
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
fn check_seals(io: &dyn Io, keys: &Keys, sealed: &[Sealed], bytes_max: u64) -> Result<usize, LogError> {
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

pub(crate) fn read_whole(io: &dyn Io, path: &Path) -> Result<Vec<u8>, LogError> {
    io.read(path, segment::SEGMENT_BYTES_MAX).map_err(LogError::io("read", path))
}

/// The scan of the last segment.
struct Scan<'a> {
    io: &'a dyn Io,
    keys: &'a Keys,
    sealed: &'a [Sealed],
    witness: &'a FoundWitness,
    live: bool,
}

impl Scan<'_> {
    fn last_segment(
        &self,
        path: PathBuf,
        header: SegmentHeader,
        bytes: Vec<u8>,
        before_ns: i64,
    ) -> Result<Last, LogError> {
        let newest = self.witness.newest.as_ref();
        let mut limit = header.limit();
        if let (true, Some(newest)) = (self.live, newest) {
            limit = limit.min(newest.end_offset as usize).max(HEADER);
        }
        let mut end = Position::start_of(&header, before_ns);
        let mut first_at_ns = None;
        let mut at_witness = newest.filter(|it| it.durable_seq == end.seq).map(|_| (end.head, end.tree.root()));
        loop {
            match end.step(self.keys, &bytes, limit) {
                Ok(frame) => {
                    first_at_ns.get_or_insert(frame.recorded_at_ns);
                    if newest.is_some_and(|newest| newest.durable_seq == frame.seq) {
                        at_witness = Some((frame.frame_hash, end.tree.root()));
                    }
                }
                Err(Bad::Bytes) => break,
                Err(Bad::Unknown(what)) => return Err(LogError::UnknownVersion { path, what }),
            }
        }
        let (seal, torn_seal) = if self.live { (None, false) } else { Self::seal_of(&path, &header, &bytes, &end)? };
        let witness = match newest {
            None => None,
            Some(newest) if newest.durable_seq > end.seq => Some((newest.durable_seq, false)),
            Some(newest) => {
                let agrees = match at_witness {
                    Some((head, root)) => head == newest.head && root == newest.tree_root,
                    None => self.head_in_sealed(newest.durable_seq)? == newest.head,
                };
                Some((newest.durable_seq, agrees && newest.tree_size == newest.durable_seq))
            }
        };
        let verdict = judge(&Evidence {
            witness,
            last_good: end.seq,
            later_group_behind: later_group_behind(self.keys, &bytes, end.offset, limit, end.seq + 1),
            zero_behind: is_zero(&bytes[end.offset..limit]) && !torn_seal,
        });
        if seal.is_some() && !is_zero(&bytes[end.offset..limit]) {
            return Err(LogError::damaged(&path, end.offset, end.seq + 1));
        }
        Ok(Last { path, header, bytes, end, first_at_ns, seal, torn_seal, verdict })
    }

    /// The seal of the last segment: whole and in agreement, or bytes that are none.
    fn seal_of(
        path: &Path,
        header: &SegmentHeader,
        bytes: &[u8],
        end: &Position,
    ) -> Result<(Option<Seal>, bool), LogError> {
        let place = &bytes[header.limit()..];
        let seal = match Seal::decode(place) {
            Ok(seal) if seal.ledger_id == header.ledger_id && seal.base_seq == header.base_seq => seal,
            Ok(_) | Err(BadRecord::Bytes) => return Ok((None, !is_zero(place))),
            Err(BadRecord::Unknown(what)) => {
                return Err(LogError::UnknownVersion { path: path.to_path_buf(), what });
            }
        };
        let agrees = seal.last_seq == end.seq
            && seal.end_offset == end.offset as u64
            && seal.head == end.head
            && seal.tree_root == end.tree.root();
        if agrees {
            if blake3::hash(&bytes[..header.limit()]) == blake3::Hash::from_bytes(seal.blake3) {
                return Ok((Some(seal), false));
            }
            let slack = &bytes[end.offset..header.limit()];
            let first = slack.iter().position(|byte| *byte != 0).unwrap_or(slack.len());
            return Err(LogError::damaged(path, end.offset + first, end.seq));
        }
        // A seal is written after everything before it is durable: frames it counts are missing.
        Err(LogError::damaged(path, end.offset, end.seq + 1))
    }

    /// The chain head at a seq that lies before the last segment.
    fn head_in_sealed(&self, seq: u64) -> Result<Hash, LogError> {
        if seq == 0 {
            return Ok([0; 32]);
        }
        let place = self.sealed.partition_point(|segment| segment.seal.last_seq < seq);
        let Some(segment) = self.sealed.get(place) else { return Ok([0; 32]) };
        if segment.seal.last_seq == seq {
            return Ok(segment.seal.head);
        }
        let bytes = read_whole(self.io, &segment.path)?;
        let mut at = Position::start_of(&segment.header, i64::MIN);
        while at.seq < seq {
            if at.step(self.keys, &bytes, segment.header.limit().min(bytes.len())).is_err() {
                return Err(LogError::damaged(&segment.path, at.offset, at.seq + 1));
            }
        }
        Ok(at.head)
    }
}

impl Survey {
    /// The error for a verdict that refuses.
    pub fn refusal(&self, dir: &Path) -> Option<LogError> {
        let last = &self.last;
        let segment = last.path.clone();
        let newest = self.witness.newest.as_ref();
        let behind = &last.bytes[last.end.offset..last.header.limit()];
        match last.verdict {
            Verdict::WitnessLost => Some(LogError::WitnessLost { path: witness::path(dir) }),
            Verdict::Fork => Some(LogError::Fork { segment, seq: newest.map_or(0, |newest| newest.durable_seq) }),
            Verdict::AcknowledgedMissing if is_zero(behind) => {
                let acknowledged = newest.map_or(0, |newest| newest.durable_seq);
                Some(LogError::MissingAcknowledged { segment, acknowledged, found: last.end.seq })
            }
            Verdict::AcknowledgedMissing | Verdict::DamageInside => {
                Some(LogError::damaged(&last.path, last.end.offset, last.end.seq + 1))
            }
            Verdict::TornTail | Verdict::CleanEnd => None,
        }
    }

    pub fn clock_high_ns(&self) -> i64 {
        self.witness.newest.as_ref().map_or(i64::MIN, |newest| newest.clock_high_ns).max(self.last.end.recorded_at_ns)
    }

    /// The epoch of the next writer.
    pub fn next_epoch(&self) -> u32 {
        self.witness.newest.as_ref().map_or(0, |newest| newest.epoch).max(self.last.header.epoch).saturating_add(1)
    }

    /// Whether the writer before closed in order and left nothing to do.
    pub fn is_clean(&self) -> bool {
        let closed = |newest: &witness::Witness| newest.clean && newest.durable_seq == self.last.end.seq;
        self.witness.newest.as_ref().is_some_and(closed) && self.last.verdict == Verdict::CleanEnd
    }

    /// Makes the last segment whole by copy, and says what was cut. The witness is left as it is.
    ///
    /// On a full disk without a spare segment the same bytes are written in place instead, or the reserve would be
    /// of no use after a restart: every sector then keeps or gets its good bytes, whenever that is cut short.
    pub fn mend(&mut self, io: &dyn Io, dir: &Path) -> Result<Option<Cut>, LogError> {
        let last = &mut self.last;
        let folder = dir.join(FOLDER);
        let behind = nonzero_end(&last.bytes[last.end.offset..last.header.limit()]);
        let torn = behind > 0 || last.torn_seal;
        last.bytes[last.end.offset..last.end.offset + behind].fill(0);
        if last.seal.is_none() {
            last.bytes[last.header.limit()..].fill(0);
        }
        let copy = folder.join(COPY_NAME);
        let mut quarantined = None;
        if write_copy(io, &folder, &copy, &last.bytes)? {
            if torn {
                quarantined = keep_in_quarantine(io, dir, &last.path, last.end.seq)?;
            }
            io.rename(&copy, &last.path).map_err(LogError::io("rename a recovered copy to", &last.path))?;
        } else {
            write_all(io, &last.path, OpenMode::ReadWrite, &last.bytes).map_err(LogError::io("write", &last.path))?;
        }
        io.sync_dir(&folder).map_err(LogError::io("flush", &folder))?;
        last.torn_seal = false;
        let offset = last.end.offset as u64;
        Ok(torn.then(|| Cut { segment: last.path.clone(), offset, bytes: behind as u64, quarantined }))
    }
}

/// Writes `bytes` into a file of its own and flushes it. On a full disk a spare segment gives its room; `false` if
/// there is none.
fn write_copy(io: &dyn Io, folder: &Path, copy: &Path, bytes: &[u8]) -> Result<bool, LogError> {
    remove_if_there(io, copy)?;
    match write_all(io, copy, OpenMode::CreateNew, bytes) {
        Ok(()) => return Ok(true),
        Err(error) if is_full(&error) => {}
        Err(error) => return Err(LogError::io("write", copy)(error)),
    }
    remove_if_there(io, copy)?;
    for spare in ["next.tmp", "reserve.tmp"] {
        let spare = folder.join(spare);
        let as_long = io.open(&spare, OpenMode::Read).and_then(|file| file.len());
        if as_long.is_ok_and(|len| len == bytes.len() as u64) {
            io.rename(&spare, copy).map_err(LogError::io("rename", &spare))?;
            write_all(io, copy, OpenMode::ReadWrite, bytes).map_err(LogError::io("write", copy))?;
            return Ok(true);
        }
    }
    Ok(false)
}

fn write_all(io: &dyn Io, path: &Path, mode: OpenMode, bytes: &[u8]) -> io::Result<()> {
    const STEP: usize = 256 << 10;
    let file = io.open(path, mode)?;
    for (place, chunk) in bytes.chunks(STEP).enumerate() {
        file.write_all_at(chunk, (place * STEP) as u64)?;
    }
    file.datasync()
}

fn remove_if_there(io: &dyn Io, path: &Path) -> Result<(), LogError> {
    match io.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LogError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Gives the file a second name in quarantine, under the first number free, and lets the oldest go. `None` if there is
/// no room even for that.
fn keep_in_quarantine(io: &dyn Io, dir: &Path, path: &Path, seq: u64) -> Result<Option<PathBuf>, LogError> {
    let folder = dir.join(QUARANTINE);
    let kept = || -> Result<PathBuf, (&'static str, io::Error)> {
        io.create_dir_all(&folder).map_err(|error| ("make", error))?;
        let listed = io.read_dir(&folder).map_err(|error| ("list", error))?;
        // Numbered in order of arrival; the name says which segment it was and behind which frame it was cut.
        let number = |name: &str| name.split('-').next().and_then(|digits| digits.parse::<u64>().ok());
        let next = listed.iter().filter_map(|entry| number(&entry.name)).max().unwrap_or(0) + 1;
        let segment = path.file_stem().unwrap_or_default().to_string_lossy();
        let kept = folder.join(format!("{next:06}-{segment}-cut-after-{seq}.seg"));
        io.hard_link(path, &kept).map_err(|error| ("keep the old segment in", error))?;
        let excess = (listed.len() + 1).saturating_sub(QUARANTINE_FILES_MAX);
        for entry in listed.iter().filter(|entry| number(&entry.name).is_some()).take(excess) {
            io.remove_file(&folder.join(&entry.name)).map_err(|error| ("remove the oldest file in", error))?;
        }
        io.sync_dir(&folder).map_err(|error| ("flush", error))?;
        io.sync_dir(dir).map_err(|error| ("flush", error))?;
        Ok(kept)
    };
    match kept() {
        Ok(kept) => Ok(Some(kept)),
        Err((_, error)) if is_full(&error) => Ok(None),
        Err((doing, source)) => Err(LogError::Io { doing, path: folder.clone(), source }),
    }
}
