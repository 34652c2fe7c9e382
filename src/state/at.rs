//! The state as of a seq: the newest usable snapshot at or below it, and the log from there.
//!
//! A snapshot is used only when the verified log agrees with it: its chain head is the frame hash of its seq, and a later frame
//! attests its state hash. Whatever fails that is passed over and reported; the log is then replayed from further back.
//!
//! Frames are read and decoded on one thread and applied on another, in batches.
//!
//! Not here: as of a time, and evidence as of a time, which need the records and not only the state (`audit::at`).

use super::apply::{At, TokenNoted};
use super::snapshot::SnapshotError;
use super::{HistoryError, Recorded, State};
use crate::log::{Frame, LogError, LogReader, PARTS};
use crate::model::brief::{self, EventBrief};
use crate::model::{Event, OrgUid, Seq, Time};
use crate::sys::Io;
use std::io;
use std::path::{Path, PathBuf};

/// Snapshots kept: the newest ones, and of the older every second, fourth, … so that any moment is near one.
pub const SNAPSHOTS_MAX: usize = 12;

/// Largest snapshot that is read: 64 GiB.
const SNAPSHOT_BYTES_MAX: u64 = 64 << 30;

/// Frames in which a snapshot's attestation must stand, counted from its seq: a snapshot is written while commits go on.
const ATTESTED_WITHIN: u64 = 1 << 20;

/// Commits handed over at once between the two threads of a replay.
const BATCH: usize = 512;

/// Events whose keys are asked for ahead, so that their cache misses overlap.
const AHEAD: usize = 64;

/// Why there is no state at a seq.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error("seq {asked} is not there yet; the newest is {newest}")]
    AheadOfLog { asked: u64, newest: u64 },
}

/// A snapshot that could not be used, and why.
#[derive(Debug)]
pub struct PassedOver {
    pub path: PathBuf,
    pub why: String,
}

/// A state with how it came about.
#[derive(Debug)]
pub struct Replayed {
    pub state: State,
    /// The seq of the snapshot it began with; 0 without one.
    pub from: Seq,
    pub passed_over: Vec<PassedOver>,
}

/// The state at the reader's last seq.
///
/// # Errors
/// [`ReplayError`].
pub fn current(io: &dyn Io, dir: &Path, reader: &LogReader) -> Result<Replayed, ReplayError> {
    at(io, dir, reader, Seq(reader.last_seq()), &mut |_| {})
}

/// The state after commit `seq`. `progress` is told the seq reached, now and then.
///
/// # Errors
/// [`ReplayError`].
pub fn at(
    io: &dyn Io,
    dir: &Path,
    reader: &LogReader,
    seq: Seq,
    progress: &mut dyn FnMut(Seq),
) -> Result<Replayed, ReplayError> {
    if seq.0 > reader.last_seq() {
        return Err(ReplayError::AheadOfLog { asked: seq.0, newest: reader.last_seq() });
    }
    let mut passed_over = Vec::new();
    let state = newest_snapshot(io, dir, reader, seq, &mut passed_over).unwrap_or_else(State::empty);
    let from = state.seq();
    let state = replay(reader, state, seq, progress)?;
    Ok(Replayed { state, from, passed_over })
}

/// Applies the commits behind `state` up to and with `to`.
///
/// # Errors
/// [`ReplayError::Log`] for a frame that cannot be read, [`ReplayError::History`] for one that cannot be decoded.
pub fn replay(
    reader: &LogReader,
    mut state: State,
    to: Seq,
    progress: &mut dyn FnMut(Seq),
) -> Result<State, ReplayError> {
    let from = state.seq().next();
    if from > to {
        return Ok(state);
    }
    std::thread::scope(|scope| {
        let (send, receive) = crossbeam_channel::bounded::<Result<Batch<'_>, ReplayError>>(8);
        scope.spawn(move || {
            let mut frames = reader.frames(from.0).take(usize::try_from(to.0 - from.0 + 1).unwrap_or(usize::MAX));
            loop {
                let batch = Batch::read(&mut frames);
                let is_last = !matches!(&batch, Ok(batch) if batch.commits.len() == BATCH);
                if send.send(batch).is_err() || is_last {
                    return;
                }
            }
        });
        for batch in receive {
            batch?.apply(&mut state);
            progress(state.seq());
        }
        Ok(state)
    })
}

/// Decoded commits, as far as a state needs them.
struct Batch<'a> {
    commits: Vec<Brief>,
    /// The events of all of them, one after the other.
    events: Vec<EventBrief<'a>>,
}

struct Brief {
    seq: Seq,
    recorded_at: Time,
    org: Option<OrgUid>,
    token: Option<TokenNoted>,
    /// Where its events end.
    events_end: usize,
}

impl<'a> Batch<'a> {
    fn read(frames: &mut impl Iterator<Item = Result<Frame<'a>, LogError>>) -> Result<Self, ReplayError> {
        let mut batch = Self { commits: Vec::with_capacity(BATCH), events: Vec::with_capacity(BATCH) };
        for frame in frames.take(BATCH) {
            let frame = frame?;
            let (seq, whole) = (Seq(frame.seq), frame.flags & PARTS == 0);
            let envelope = brief::decode(frame.schema, frame.parts(), whole, &mut batch.events)
                .map_err(|source| HistoryError { seq, source })?;
            batch.commits.push(Brief {
                seq,
                recorded_at: Time(frame.recorded_at_ns),
                org: envelope.org,
                token: TokenNoted::of(&envelope),
                events_end: batch.events.len(),
            });
        }
        Ok(batch)
    }

    fn apply(self, state: &mut State) {
        let (mut start, mut ahead) = (0, 0);
        for commit in self.commits {
            if commit.events_end > ahead {
                let until = (start + AHEAD).max(commit.events_end).min(self.events.len());
                state.approach(&self.events[ahead..until]);
                ahead = until;
            }
            let at = state.begin(commit.seq, commit.recorded_at, commit.org, commit.token);
            for (event, index) in self.events[start..commit.events_end].iter().zip(0..) {
                state.apply_brief(At { index, ..at }, event);
            }
            start = commit.events_end;
        }
    }
}

/// The newest snapshot at or below `seq` that the log agrees with.
fn newest_snapshot(
    io: &dyn Io,
    dir: &Path,
    reader: &LogReader,
    seq: Seq,
    passed_over: &mut Vec<PassedOver>,
) -> Option<State> {
    for at in snapshots(io, dir).into_iter().rev().filter(|at| *at <= seq) {
        let path = snapshot_path(dir, at);
        match load(io, &path, at, reader) {
            Ok(state) => return Some(state),
            Err(why) => passed_over.push(PassedOver { path, why }),
        }
    }
    None
}

fn load(io: &dyn Io, path: &Path, at: Seq, reader: &LogReader) -> Result<State, String> {
    let bytes = io.read(path, SNAPSHOT_BYTES_MAX).map_err(|error| error.to_string())?;
    let text = |error: SnapshotError| error.to_string();
    let header = State::snapshot_header(&bytes, reader.meta().ledger_id).map_err(text)?;
    if header.seq != at {
        return Err(format!("its name says seq {at}, its header {}", header.seq));
    }
    let frame = reader.frame(at.0).map_err(|error| error.to_string())?;
    if frame.is_none_or(|frame| frame.frame_hash != header.chain_head) {
        return Err("the log has another history at its seq".to_owned());
    }
    if !is_attested(reader, at, &header.state_hash) {
        return Err("no commit of the log attests its state hash".to_owned());
    }
    State::from_snapshot(&bytes, &header).map_err(text)
}

fn is_attested(reader: &LogReader, at: Seq, state_hash: &[u8; 32]) -> bool {
    let within = usize::try_from(ATTESTED_WITHIN).unwrap_or(usize::MAX);
    reader.frames(at.0 + 1).take(within).filter_map(Result::ok).any(|frame| {
        frame.kind == crate::log::KIND_ATTESTATION
            && Recorded::decode(&frame).is_ok_and(|recorded| {
                recorded.commit.events.iter().any(|event| {
                    matches!(event, Event::StateAttested { at: of, state_hash: hash, .. }
                        if *of == at && hash == state_hash)
                })
            })
    })
}

/// Writes the snapshot of `state` and removes those that are no longer worth their room. Returns the state hash, which the
/// caller attests in the log.
///
/// # Errors
/// Whatever the disk reports; the log is not touched.
pub fn write_snapshot(
    io: &dyn Io,
    dir: &Path,
    state: &State,
    ledger_id: [u8; 16],
    chain_head: [u8; 32],
    tree_root: [u8; 32],
) -> io::Result<[u8; 32]> {
    let (bytes, state_hash) = state.to_snapshot(ledger_id, chain_head, tree_root);
    io.create_dir_all(&dir.join("snap"))?;
    io.replace(&snapshot_path(dir, state.seq()), &bytes)?;
    for old in superfluous(&snapshots(io, dir)) {
        io.remove_file(&snapshot_path(dir, old))?;
    }
    Ok(state_hash)
}

/// The seqs that have a snapshot file, in order.
pub fn snapshots(io: &dyn Io, dir: &Path) -> Vec<Seq> {
    let entries = io.read_dir(&dir.join("snap")).unwrap_or_default();
    let mut seqs: Vec<Seq> = entries
        .iter()
        .filter_map(|entry| entry.name.strip_suffix(".snap"))
        .filter(|name| name.len() == 20)
        .filter_map(|name| name.parse().ok().map(Seq))
        .collect();
    seqs.sort_unstable();
    seqs
}

/// The file of the snapshot at a seq.
#[must_use]
pub fn snapshot_path(dir: &Path, seq: Seq) -> PathBuf {
    dir.join("snap").join(format!("{:020}.snap", seq.0))
}

/// Which snapshots to remove: of the least spread neighbours one, until there are few enough. The newest always stays.
fn superfluous(seqs: &[Seq]) -> Vec<Seq> {
    let mut kept = seqs.to_vec();
    let mut removed = Vec::new();
    while kept.len() > SNAPSHOTS_MAX {
        // Removing kept[i] leaves a gap from i-1 to i+1; the price is that gap against how far back it lies.
        let newest = kept.last().map_or(0, |seq| seq.0);
        let price = |i: usize| {
            let gap = kept[i + 1].0 - if i == 0 { 0 } else { kept[i - 1].0 };
            (u128::from(gap) << 32) / u128::from(newest - kept[i].0 + 1)
        };
        let Some(cheapest) = (0..kept.len() - 1).min_by_key(|i| price(*i)) else { break };
        removed.push(kept.remove(cheapest));
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_snapshots_thin_out_and_the_newest_stays() {
        let mut kept: Vec<Seq> = vec![];
        for n in 1..=200 {
            kept.push(Seq(n * 1_000));
            for old in superfluous(&kept) {
                kept.retain(|seq| *seq != old);
            }
            assert_eq!(kept.last(), Some(&Seq(n * 1_000)));
            assert!(kept.len() <= SNAPSHOTS_MAX);
        }
        // Dense near the end, sparse far back, and never a long stretch without one.
        assert!(kept[0].0 <= 100_000, "{kept:?}");
        assert!(kept.windows(2).all(|pair| pair[1].0 - pair[0].0 <= 100_000), "{kept:?}");
    }
}
