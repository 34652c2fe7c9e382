//! Opening a log that may have been torn: what is there, and what that means.
//!
//! [`survey`] reads META, the witness, every header and seal, and scans the last segment with pread; it changes
//! nothing. `judge` turns the evidence into a verdict. A seal is flushed before anything follows it, so it speaks like a
//! second witness.
//!
//! Not here: the decision table (`judge`), closed segments (`sealed`), making the last one whole (`mend`), the check frame by frame
//! (`verify`), and going on to write (`writer`).

use super::bytes::is_zero;
use super::error::LogError;
use super::frame::{Bad, Keys};
use super::judge::{Evidence, Verdict, judge};
use super::mend::Cut;
use super::meta::{self, FoundMeta};
use super::sealed::{Sealed, check_follows, check_seals, read_sealed};
use super::segment::{self, BadRecord, HEADER, Seal, SegmentHeader, read_whole};
use super::tree::Hash;
use super::walk::{Position, later_group_behind};
use super::witness::{self, FoundWitness};
use crate::sys::Io;
use std::path::{Path, PathBuf};

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

/// How much a survey does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Depth {
    /// A writer is at work: look no further than the witness says.
    pub live: bool,
    /// At most so many bytes of sealed segments are compared with their seals, the newest first.
    pub seal_bytes_max: u64,
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
}
