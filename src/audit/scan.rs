//! Walking the log without an index: in pieces, on all cores, handed over in order.
//!
//! Every piece is read, looked at and decoded by one worker; a worker is at most two pieces ahead of what was handed over, so a long
//! walk takes little memory and a caller who has enough stops it soon.
//!
//! Not here: which pieces may be skipped (`index`).

use super::AuditError;
use super::source::{Plan, Visit};
use crate::log::{Frame, LogReader};
use crate::state::Recorded;
use memchr::memmem::Finder;
use std::ops::{ControlFlow, RangeInclusive};

/// Commits in a piece of a walk.
const PIECE: u64 = 4_096;
/// Commits in a piece when they are chosen one by one.
const CHOSEN: usize = 256;
/// Fewer chosen commits than this are read on the caller's thread.
const ALONE: usize = 128;

/// How many threads a walk uses.
pub(super) fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(16)
}

/// What to read, piece by piece.
enum Pieces<'a> {
    Ranges(Vec<RangeInclusive<u64>>),
    Chosen(Vec<&'a [u64]>),
}

impl Pieces<'_> {
    fn len(&self) -> usize {
        match self {
            Pieces::Ranges(ranges) => ranges.len(),
            Pieces::Chosen(seqs) => seqs.len(),
        }
    }
}

/// Bytes that a fitting commit holds.
struct Needles<'a>(Vec<Vec<Finder<'a>>>);

impl<'a> Needles<'a> {
    fn of(plan: &'a Plan) -> Self {
        let one = |list: &'a Vec<Vec<u8>>| list.iter().map(|needle| Finder::new(needle.as_slice())).collect();
        Self(plan.needles.iter().map(one).collect())
    }

    fn may_be_in(&self, frame: &Frame<'_>) -> bool {
        self.0.iter().all(|list| list.iter().any(|needle| needle.find(frame.payload()).is_some()))
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
    run(reader, &Pieces::Ranges(pieces), plan, fits, each)
}

/// Reads chosen commits, which ascend, in the order of the plan.
pub(super) fn read(
    reader: &LogReader,
    seqs: &[u64],
    plan: &Plan,
    fits: &(dyn Fn(&Recorded) -> bool + Sync),
    each: &mut Visit<'_>,
) -> Result<(), AuditError> {
    if seqs.len() <= ALONE {
        let mut one = |seq: &u64| -> Result<ControlFlow<()>, AuditError> {
            let Some(frame) = reader.frame(*seq)? else { return Ok(ControlFlow::Continue(())) };
            let commit = Recorded::decode(&frame)?;
            Ok(if fits(&commit) { each(&commit) } else { ControlFlow::Continue(()) })
        };
        let ascending = seqs.iter();
        let mut in_order: Box<dyn Iterator<Item = &u64>> =
            if plan.reverse { Box::new(ascending.rev()) } else { Box::new(ascending) };
        return in_order
            .try_for_each(|seq| match one(seq) {
                Ok(ControlFlow::Continue(())) => Ok(()),
                Ok(ControlFlow::Break(())) => Err(None),
                Err(error) => Err(Some(error)),
            })
            .or_else(|stopped| stopped.map_or(Ok(()), Err));
    }
    let mut pieces: Vec<&[u64]> = seqs.chunks(CHOSEN).collect();
    if plan.reverse {
        pieces.reverse();
    }
    run(reader, &Pieces::Chosen(pieces), plan, fits, each)
}

type Piece = Result<Vec<Recorded>, AuditError>;

fn run(
    reader: &LogReader,
    pieces: &Pieces<'_>,
    plan: &Plan,
    fits: &(dyn Fn(&Recorded) -> bool + Sync),
    each: &mut Visit<'_>,
) -> Result<(), AuditError> {
    let needles = Needles::of(plan);
    let threads = threads().min(pieces.len());
    if threads <= 1 {
        for number in 0..pieces.len() {
            if hand_over(one_piece(reader, pieces, number, plan, &needles, fits), each)?.is_break() {
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
                let needles = &needles;
                scope.spawn(move || {
                    for number in (worker..pieces.len()).step_by(threads) {
                        let piece = one_piece(reader, pieces, number, plan, needles, fits);
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
    reader: &LogReader,
    pieces: &Pieces<'_>,
    number: usize,
    plan: &Plan,
    needles: &Needles<'_>,
    fits: &(dyn Fn(&Recorded) -> bool + Sync),
) -> Piece {
    let mut found = Vec::new();
    let mut take = |frame: &Frame<'_>| -> Result<(), AuditError> {
        let commit = Recorded::decode(frame)?;
        if fits(&commit) {
            found.push(commit);
        }
        Ok(())
    };
    match pieces {
        Pieces::Ranges(ranges) => {
            let range = &ranges[number];
            for frame in reader.frames(*range.start()) {
                let frame = frame?;
                if frame.seq > *range.end() {
                    break;
                }
                if needles.may_be_in(&frame) {
                    take(&frame)?;
                }
            }
        }
        Pieces::Chosen(seqs) => {
            for seq in seqs[number] {
                if let Some(frame) = reader.frame(*seq)? {
                    take(&frame)?;
                }
            }
        }
    }
    if plan.reverse {
        found.reverse();
    }
    Ok(found)
}
