//! Walking the log without an index: in pieces, on all cores, handed over in order.
//!
//! Every piece is read, looked at and decoded by one worker; a worker is at most two pieces ahead of what was handed over, so a long
//! walk takes little memory and a caller who has enough stops it soon.
//!
//! Not here: which pieces may be skipped (`index`).

use super::AuditError;
use super::index::Index;
use super::source::{Plan, Visit};
use crate::log::{Frame, LogReader, PARTS};
use crate::model::{EventKind, Seq, codec};
use crate::state::{HistoryError, Recorded};
use memchr::memmem::Finder;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::atomic::{AtomicBool, Ordering};

/// Commits in a piece of a walk.
const PIECE: u64 = 16_384;
/// Commits in a piece when they are chosen one by one.
const CHOSEN: usize = 256;
/// Commits that are asked for ahead of the one in hand.
const AHEAD: usize = 8;
/// As many chosen commits, or fewer, are read on the caller's thread: another one would begin when this is nearly done.
const ALONE: usize = 1_024;
/// As many, or fewer, are shared with one other thread, which gets the later ones.
const SHARED: usize = 8_192;
/// Of a hundred, how many the caller's thread keeps: the other one has to begin first.
const KEPT: usize = 60;

/// How many threads a walk uses.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(16)
}

/// What to read, piece by piece.
enum Pieces<'a> {
    Ranges(&'a LogReader, Vec<RangeInclusive<u64>>),
    Chosen(&'a Chosen<'a>, Vec<&'a [u64]>),
}

impl Pieces<'_> {
    fn len(&self) -> usize {
        match self {
            Pieces::Ranges(_, ranges) => ranges.len(),
            Pieces::Chosen(_, seqs) => seqs.len(),
        }
    }
}

/// What is looked for in a frame before it is decoded.
struct Sieve<'a> {
    needles: Vec<Vec<Finder<'a>>>,
    plan: &'a Plan,
}

impl<'a> Sieve<'a> {
    fn of(plan: &'a Plan) -> Self {
        let one = |list: &'a Vec<Vec<u8>>| list.iter().map(|needle| Finder::new(needle.as_slice())).collect();
        Self { needles: plan.needles.iter().map(one).collect(), plan }
    }

    /// Whether a frame's commit may fit, by a glance at it.
    fn may_fit(&self, frame: &Frame<'_>) -> Result<bool, AuditError> {
        if self.plan.known_at.is_some_and(|known_at| frame.recorded_at_ns > known_at.0) {
            return Ok(false);
        }
        let is_out_of_time = self.plan.since.is_some_and(|since| frame.recorded_at_ns < since.0)
            || self.plan.until.is_some_and(|until| frame.recorded_at_ns >= until.0);
        if self.plan.glance.is_empty() && !is_out_of_time {
            return Ok(true);
        }
        let mut kinds = Vec::new();
        let whole = frame.flags & PARTS == 0;
        let envelope = codec::glance(frame.schema, frame.parts(), whole, &mut |kind| kinds.push(kind))
            .map_err(|source| HistoryError { seq: Seq(frame.seq), source })?;
        // Imported records have a time of their own.
        let has_own_time = |kind: &EventKind| matches!(kind, EventKind::EvidenceChanged | EventKind::EvidenceObserved);
        Ok(self.plan.glance.may_fit(&envelope, &kinds) && (!is_out_of_time || kinds.iter().any(has_own_time)))
    }
}

/// Walks `ranges`, which ascend, in the order of the plan.
pub(super) fn walk(
    reader: &LogReader,
    ranges: &[RangeInclusive<u64>],
    plan: &Plan,
    fits: &(dyn Fn(&Recorded) -> bool + Sync),
    each: &mut Visit<'_>,
) -> Result<(), AuditError> {
    let mut pieces: Vec<RangeInclusive<u64>> = Vec::new();
    for range in ranges {
        let mut from = *range.start();
        while from <= *range.end() {
            let to = (*range.end()).min(from + PIECE - 1);
            pieces.push(from..=to);
            from = to + 1;
        }
    }
    if plan.reverse {
        pieces.reverse();
    }
    run(&Pieces::Ranges(reader, pieces), plan, fits, each)
}

/// Chosen commits, and where their frames are.
pub(super) struct Chosen<'a> {
    pub reader: &'a LogReader,
    pub index: &'a Index,
}

impl Chosen<'_> {
    /// Reads commits one by one, each frame asked for some commits before its turn.
    fn each(&self, seqs: &[u64], mut f: impl FnMut(&Frame<'_>) -> Result<bool, AuditError>) -> Result<(), AuditError> {
        let mut places = [None; AHEAD];
        // The index is a step ahead of the frames, as these are of the reading.
        let (mut ahead, mut finder) = (self.index.places(), self.index.places());
        let few = seqs.len() <= AHEAD;
        if !few {
            seqs.iter().take(AHEAD).for_each(|seq| ahead.approach(*seq));
        }
        for step in 0..seqs.len() + AHEAD {
            let turn = step.checked_sub(AHEAD).map(|turn| (seqs[turn], places[turn % AHEAD]));
            if let Some(seq) = seqs.get(step + AHEAD) {
                ahead.approach(*seq);
            }
            if let Some(seq) = seqs.get(step) {
                let place = finder.of(*seq);
                if let Some((base_seq, offset)) = place {
                    self.reader.approach(base_seq, offset);
                }
                places[step % AHEAD] = place;
            }
            let Some((seq, place)) = turn else { continue };
            let frame = match place {
                Some((base_seq, offset)) => Some(self.reader.frame_at(base_seq, offset, seq)?),
                None => self.reader.frame(seq)?,
            };
            if let Some(frame) = frame
                && !f(&frame)?
            {
                break;
            }
        }
        Ok(())
    }
}

/// Reads chosen commits, which ascend, in the order of the plan.
pub(super) fn read(
    chosen: &Chosen<'_>,
    mut seqs: Vec<u64>,
    plan: &Plan,
    fits: &(dyn Fn(&Recorded) -> bool + Sync),
    each: &mut Visit<'_>,
) -> Result<(), AuditError> {
    if seqs.len() > SHARED && threads() > 1 {
        let mut pieces: Vec<&[u64]> = seqs.chunks(CHOSEN).collect();
        if plan.reverse {
            pieces.reverse();
        }
        return run(&Pieces::Chosen(chosen, pieces), plan, fits, each);
    }
    if plan.reverse {
        seqs.reverse();
    }
    let has_enough = AtomicBool::new(false);
    let mut visit = |frame: &Frame<'_>| -> Result<bool, AuditError> {
        let commit = Recorded::decode(frame)?;
        let goes_on = !fits(&commit) || each(&commit).is_continue();
        has_enough.fetch_or(!goes_on, Ordering::Relaxed);
        Ok(goes_on)
    };
    if seqs.len() <= ALONE || threads() <= 1 {
        return chosen.each(&seqs, visit);
    }
    let (now, later) = seqs.split_at(seqs.len() * KEPT / 100);
    let found = std::thread::scope(|scope| -> Piece {
        let later = scope.spawn(|| -> Piece {
            let mut found = Vec::with_capacity(later.len());
            chosen.each(later, |frame| {
                let commit = Recorded::decode(frame)?;
                if fits(&commit) {
                    found.push(commit);
                }
                Ok(!has_enough.load(Ordering::Relaxed))
            })?;
            Ok(found)
        });
        let read = chosen.each(now, &mut visit);
        has_enough.fetch_or(read.is_err(), Ordering::Relaxed);
        let found = later.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        read.and(found)
    })?;
    if !has_enough.into_inner() {
        let _ = hand_over(Ok(found), each)?;
    }
    Ok(())
}

type Piece = Result<Vec<Recorded>, AuditError>;

fn run(
    pieces: &Pieces<'_>,
    plan: &Plan,
    fits: &(dyn Fn(&Recorded) -> bool + Sync),
    each: &mut Visit<'_>,
) -> Result<(), AuditError> {
    let sieve = Sieve::of(plan);
    let threads = threads().min(pieces.len());
    if threads <= 1 {
        for number in 0..pieces.len() {
            if hand_over(one_piece(pieces, number, plan, &sieve, fits), each)?.is_break() {
                break;
            }
        }
        return Ok(());
    }
    std::thread::scope(|scope| {
        // Piece n is worker n mod threads' work, so the pieces come in order without being sorted.
        let workers: Vec<crossbeam_channel::Receiver<Piece>> = (0..threads)
            .map(|worker| {
                let (send, receive) = crossbeam_channel::bounded(2);
                let sieve = &sieve;
                scope.spawn(move || {
                    for number in (worker..pieces.len()).step_by(threads) {
                        let piece = one_piece(pieces, number, plan, sieve, fits);
                        if send.send(piece).is_err() {
                            return;
                        }
                    }
                });
                receive
            })
            .collect();
        for number in 0..pieces.len() {
            let Ok(piece) = workers[number % threads].recv() else { break };
            if hand_over(piece, each)?.is_break() {
                break;
            }
        }
        Ok(())
    })
}

fn hand_over(piece: Piece, each: &mut Visit<'_>) -> Result<ControlFlow<()>, AuditError> {
    Ok(piece?.iter().try_for_each(each))
}

fn one_piece(
    pieces: &Pieces<'_>,
    number: usize,
    plan: &Plan,
    sieve: &Sieve<'_>,
    fits: &(dyn Fn(&Recorded) -> bool + Sync),
) -> Piece {
    let mut found = Vec::new();
    let mut take = |frame: &Frame<'_>| -> Result<bool, AuditError> {
        let commit = Recorded::decode(frame)?;
        if fits(&commit) {
            found.push(commit);
        }
        Ok(true)
    };
    match pieces {
        Pieces::Ranges(reader, ranges) => {
            let mut glanced = |frame: &Frame<'_>| if sieve.may_fit(frame)? { take(frame) } else { Ok(true) };
            reader.search(&ranges[number], &sieve.needles, &mut glanced)?;
        }
        Pieces::Chosen(chosen, seqs) => chosen.each(seqs[number], take)?,
    }
    if plan.reverse {
        found.reverse();
    }
    Ok(found)
}
