//! `verify`: the whole ledger from the first byte to the last, or by its seals.
//!
//! Each segment's header has the hash before its first frame and the tree there, so segments are checked on their own,
//! several at a time, and then need only fit together. Reads are preads: a bad sector is an error with an offset.
//!
//! Not here: checkpoints, keystore, snapshots and indexes (their own modules), and mending (`recovery`).

use super::bytes::{is_zero, nonzero_end};
use super::error::LogError;
use super::follow::survey_unlocked;
use super::frame::{Bad, Keys};
use super::judge::Verdict;
use super::recovery::{self, Depth, Survey, Surveyed};
use super::sealed::{Sealed, check_sealed_bytes, matches_seal};
use super::segment::HEADER;
use super::tree::Hash;
use super::walk::Position;
use crate::sys::{Io, OpenMode};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How `verify` goes about it.
#[derive(Clone, Copy)]
pub struct VerifyOptions<'a> {
    /// Compare closed segments with their seals instead of walking their frames: finds rot, not tampering.
    pub quick: bool,
    /// Segments checked at a time, at least 1.
    pub threads: usize,
    /// Called now and then, from any thread, with bytes done and bytes in all.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

impl std::fmt::Debug for VerifyOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { quick, threads, .. } = self;
        f.debug_struct("VerifyOptions").field("quick", quick).field("threads", threads).finish_non_exhaustive()
    }
}

impl Default for VerifyOptions<'_> {
    fn default() -> Self {
        Self { quick: false, threads: 1, progress: &|_, _| {} }
    }
}

/// A ledger that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    pub last_seq: u64,
    pub segments: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Frames whose hash, chain and leaf were computed.
    pub frames_walked: u64,
    pub chain_head: Hash,
    pub tree_root: Hash,
    /// How far the witness says the log was acknowledged.
    pub witnessed_seq: u64,
    /// A writer was at work: checked up to the witness.
    pub live: bool,
    /// What a crash left behind the last frame; the next writable open cuts it.
    pub torn_tail: Option<TornTail>,
    /// Witness slots that cannot be read: one may be after a crash.
    pub witness_slots_bad: u32,
    /// META has one damaged or older copy; the next writable open mends it.
    pub meta_copy_bad: bool,
}

/// Bytes behind the last good frame that no acknowledgement covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    pub segment: PathBuf,
    pub offset: u64,
    pub bytes: u64,
}

/// Checks every byte of the log: headers, frames, chain, tree, seals, slack and witness.
///
/// # Errors
/// The first damage in order of seq, with file, offset and seq; or what kept a file from being read.
pub fn verify(io: &Arc<dyn Io>, dir: &Path, options: VerifyOptions<'_>) -> Result<VerifyReport, LogError> {
    if options.threads > 1
        && let Some(outcome) = verify_at_once(io.as_ref(), dir, &options)
    {
        return outcome;
    }
    let (survey, live) = survey_unlocked(io.as_ref(), dir, 0)?;
    let total = survey.sealed.iter().map(|it| it.header.segment_size).sum::<u64>() + survey.last.header.segment_size;
    let work = Work::new(io.as_ref(), &survey.keys, &survey.sealed, &options, total);
    std::thread::scope(|scope| {
        for _ in 1..options.threads.min(survey.sealed.len()) {
            scope.spawn(|| work.run());
        }
        work.run();
    });
    work.first_error()?;
    conclude(&survey, dir, live, total, &options)
}

/// [`verify`] of a log that nobody writes to: the closed segments are checked while the last one, whose frames only a walk can
/// tell, is surveyed. `None` when a writer was or came to work, or anything is wrong with what a survey looks at: then what was
/// seen may be a change in progress, and a survey that knows of those looks again.
fn verify_at_once(io: &dyn Io, dir: &Path, options: &VerifyOptions<'_>) -> Option<Result<VerifyReport, LogError>> {
    let is_held = || !matches!(io.lock_holder(&dir.join("LOCK")), Ok(None));
    if is_held() {
        return None;
    }
    let begun = recovery::begin_survey(io, dir, Depth { live: false, seal_bytes_max: 0 }).ok()?;
    let Surveyed { keys, sealed, last_bytes, .. } = &begun;
    let total = sealed.iter().map(|it| it.header.segment_size).sum::<u64>() + last_bytes;
    let work = Work::new(io, keys, sealed, options, total);
    let last = std::thread::scope(|scope| {
        for _ in 1..options.threads.min(sealed.len() + 1) {
            scope.spawn(|| work.run());
        }
        let last = begun.last_segment(io, dir);
        work.run();
        last
    });
    let checked = work.first_error();
    let survey = begun.with(last.ok()?);
    if is_held() || survey.refusal(dir).is_some() {
        return None;
    }
    Some(checked.and_then(|()| conclude(&survey, dir, false, total, options)))
}

fn conclude(
    survey: &Survey,
    dir: &Path,
    live: bool,
    total: u64,
    options: &VerifyOptions<'_>,
) -> Result<VerifyReport, LogError> {
    if let Some(error) = survey.refusal(dir) {
        return Err(error);
    }
    (options.progress)(total, total);
    Ok(report(survey, live, total, options.quick))
}

fn report(survey: &Survey, live: bool, bytes: u64, quick: bool) -> VerifyReport {
    let last = &survey.last;
    let behind = nonzero_end(&last.bytes[last.end.offset..last.header.limit()]) as u64;
    let torn = last.verdict == Verdict::TornTail && !live;
    let walked_from = if quick { last.header.base_seq } else { 1 };
    VerifyReport {
        last_seq: last.end.seq,
        segments: survey.sealed.len() as u64 + 1,
        bytes,
        frames_walked: last.end.seq + 1 - walked_from,
        chain_head: last.end.head,
        tree_root: last.end.tree.root(),
        witnessed_seq: survey.witness.newest.as_ref().map_or(0, |newest| newest.durable_seq),
        live,
        torn_tail: torn.then(|| TornTail { segment: last.path.clone(), offset: last.end.offset as u64, bytes: behind }),
        witness_slots_bad: survey.witness.bad_slots,
        meta_copy_bad: survey.meta.stale.contains(&true),
    }
}

struct Work<'a> {
    io: &'a dyn Io,
    keys: &'a Keys,
    sealed: &'a [Sealed],
    options: &'a VerifyOptions<'a>,
    next: AtomicUsize,
    done: AtomicU64,
    total: u64,
    /// The earliest, by place of the segment.
    first_error: Mutex<Option<(usize, LogError)>>,
}

impl<'a> Work<'a> {
    fn new(io: &'a dyn Io, keys: &'a Keys, sealed: &'a [Sealed], options: &'a VerifyOptions<'a>, total: u64) -> Self {
        let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self { io, keys, sealed, options, next, done, total, first_error: Mutex::new(None) }
    }

    fn run(&self) {
        let mut buffer = Vec::new();
        loop {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(segment) = self.sealed.get(place) else { return };
            if self.earliest().as_ref().is_some_and(|(first, _)| *first < place) {
                return;
            }
            let before = place.checked_sub(1).and_then(|before| self.sealed.get(before));
            if let Err(error) = self.check(segment, before, &mut buffer) {
                let mut first = self.earliest();
                if first.as_ref().is_none_or(|(first, _)| place < *first) {
                    *first = Some((place, error));
                }
                return;
            }
            let done = self.done.fetch_add(segment.header.segment_size, Ordering::Relaxed);
            (self.options.progress)(done + segment.header.segment_size, self.total);
        }
    }

    fn first_error(&self) -> Result<(), LogError> {
        self.earliest().take().map_or(Ok(()), |(_, error)| Err(error))
    }

    fn earliest(&self) -> std::sync::MutexGuard<'_, Option<(usize, LogError)>> {
        self.first_error.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, segment: &Sealed, before: Option<&Sealed>, buffer: &mut Vec<u8>) -> Result<(), LogError> {
        let path = &segment.path;
        let file = self.io.open(path, OpenMode::Read).map_err(LogError::io("open", path))?;
        if self.options.quick && matches_seal(file.as_ref(), segment, buffer)? {
            return Ok(());
        }
        buffer.resize(segment.header.segment_size as usize, 0);
        let read = file.read_at(buffer, 0).map_err(LogError::io("read", path))?;
        let bytes = &buffer[..read];
        if read < buffer.len() {
            return Err(LogError::damaged(path, read, segment.header.base_seq));
        }
        if !self.options.quick {
            check_frames(self.keys, segment, bytes, before)?;
        }
        check_sealed_bytes(self.keys, segment, bytes, before)
    }
}

/// Walks every frame of a closed segment and compares what comes out with its seal.
fn check_frames(keys: &Keys, segment: &Sealed, bytes: &[u8], before: Option<&Sealed>) -> Result<(), LogError> {
    let (path, seal, limit) = (&segment.path, &segment.seal, segment.header.limit());
    let mut at = Position::start_of(&segment.header, before.map_or(i64::MIN, |it| it.seal.last_recorded_at_ns));
    let mut first_at_ns = None;
    while at.seq < seal.last_seq {
        match at.step(keys, bytes, limit) {
            Ok(frame) => drop(first_at_ns.get_or_insert(frame.recorded_at_ns)),
            Err(Bad::Bytes) => return Err(LogError::damaged(path, at.offset, at.seq + 1)),
            Err(Bad::Unknown(what)) => return Err(LogError::UnknownVersion { path: path.clone(), what }),
        }
    }
    let slack = &bytes[at.offset.max(HEADER)..limit];
    if !is_zero(slack) {
        let first = slack.iter().position(|byte| *byte != 0).unwrap_or(0);
        return Err(LogError::damaged(path, at.offset + first, at.seq));
    }
    let agrees = seal.end_offset == at.offset as u64
        && seal.head == at.head
        && seal.tree_root == at.tree.root()
        && Some(seal.first_recorded_at_ns) == first_at_ns
        && seal.last_recorded_at_ns == at.recorded_at_ns;
    if agrees { Ok(()) } else { Err(LogError::damaged(path, limit, at.seq)) }
}
