//! R1–R3: verifying the log and rebuilding the state from it.

use crate::data::Data;
use crate::floor::{fold, frames};
use crate::plan::Plan;
use crate::table::{Bound, Lane, Race, Report, Sample};
use crate::workload::Stream;
use crate::{Error, Result, ours};
use keyledger::log::{LogReader, VerifyOptions};
use keyledger::model::Seq;
use keyledger::state::{Recorded, State, at};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Bytes before the first frame of a segment.
const SEGMENT_HEADER: usize = 4096;
const WHOLE_FILE: &str = "floor: whole-file BLAKE3, one core";
const SAME_HASHES: &str = "floor: CRCs, chain and tree, one core";
const SAME_HASHES_2: &str = "floor: CRCs, chain and tree, two cores";
const PIPELINED: &str = "floor: pipelined fold, BLAKE3 on the other core";
const SQLITE: &str = "SQLite scan in order + plain fold (verifies nothing)";
const OURS_QUICK: &str = "keyledger verify --quick, one core";
const OURS_VERIFY: &str = "keyledger verify, one core";
const OURS_VERIFY_2: &str = "keyledger verify, two cores";
const OPEN_SHORT: &str = "keyledger, open from a snapshot";
const OPEN_LONG: &str = "keyledger, open from a snapshot, 4 times the events";
const REPLAY_SHORT: &str = "keyledger, open by full replay";
const OURS_REBUILD: &str = "keyledger, verified rebuild";

/// Events a second of something done once over `events` events.
pub fn rate(events: usize, work: impl FnOnce() -> Result<()>) -> Result<Sample> {
    let began = Instant::now();
    work()?;
    Ok(Sample::of(events as f64 / began.elapsed().as_secs_f64()))
}

/// Runs the stage.
pub fn run(plan: &Plan, report: &mut Report, data: &Data) -> Result<()> {
    if plan.wants(&["R1"]) {
        verify(plan, report, data)?;
    }
    if plan.wants(&["R2"]) {
        rebuild(plan, report, data)?;
    }
    if plan.wants(&["R3"]) {
        open_from_snapshot(plan, report, data)?;
    }
    Ok(())
}

fn verify(plan: &Plan, report: &mut Report, data: &Data) -> Result<()> {
    // The floors hash the very bytes that keyledger verifies, from memory.
    let segments = data.segments()?;
    let bytes: usize = segments.iter().map(Vec::len).sum();
    let frames_in_all = data.prelude + data.history.len() as u64;
    let io = ours::io();
    let ours = |quick: bool, threads: usize| -> Result<()> {
        let options = VerifyOptions { quick, threads, ..VerifyOptions::default() };
        same("seq verified", keyledger::log::verify(&io, &data.log, options)?.last_seq, frames_in_all)
    };
    let lanes = vec![
        Lane::new(WHOLE_FILE, || {
            rate(bytes, || {
                for segment in &segments {
                    std::hint::black_box(blake3::hash(segment));
                }
                Ok(())
            })
        }),
        Lane::new(OURS_QUICK, || rate(bytes, || ours(true, 1))),
    ];
    let race = Race::run(plan, "B/s", lanes)?;
    report.lanes("R1 sealed bytes checked whole", &race);
    report.goal("R1", "verify --quick, per core", &race, OURS_QUICK, WHOLE_FILE, Bound::AtLeast(0.8));

    let key = ours::frame_key();
    let floor = |segments: &[Vec<u8>]| -> Result<u64> {
        segments.iter().map(|segment| Ok(frames::verify(&segment[SEGMENT_HEADER..], &key)?.frames)).sum()
    };
    let halves = segments.split_at(segments.len() / 2);
    let events = frames_in_all as usize;
    let lanes = vec![
        Lane::new(SAME_HASHES, || rate(events, || same("frames verified", floor(&segments)?, frames_in_all))),
        Lane::new(SAME_HASHES_2, || {
            rate(events, || {
                let (one, other) = std::thread::scope(|scope| {
                    let other = scope.spawn(|| floor(halves.1));
                    (floor(halves.0), other.join())
                });
                let other = other.map_err(|_| "the other half panicked")??;
                same("frames verified", one? + other, frames_in_all)
            })
        }),
        Lane::new(OURS_VERIFY, || rate(events, || ours(false, 1))),
        Lane::new(OURS_VERIFY_2, || rate(events, || ours(false, 2))),
    ];
    let race = Race::run(plan, "events/s", lanes)?;
    report.lanes("R1 every frame, chain and tree", &race);
    report.goal("R1", "verify, one core", &race, OURS_VERIFY, SAME_HASHES, Bound::AtLeast(0.8));
    report.goal("R1", "verify, two cores against one", &race, OURS_VERIFY_2, OURS_VERIFY, Bound::AtLeast(1.9));
    Ok(())
}

/// Sealed bytes whose seals an open checks by itself (`log::follow`).
const CHECKED_AT_OPEN: u64 = 256 << 20;

/// keyledger's rebuild: opened, every seal checked (by the open, or beside the replay what is more than it checks), decoded on one
/// thread and applied on another.
fn rebuilt(log: &Path) -> Result<State> {
    let io = ours::io();
    let reader = LogReader::open(Arc::clone(&io), log)?;
    let sealed: u64 = reader.segments().iter().filter(|segment| segment.sealed).map(|segment| segment.bytes).sum();
    std::thread::scope(|scope| {
        let verifier = (sealed > CHECKED_AT_OPEN).then(|| {
            scope.spawn(|| {
                let options = VerifyOptions { quick: true, ..VerifyOptions::default() };
                keyledger::log::verify(&io, log, options)
            })
        });
        let replayed = at::current(&*io, log, &reader);
        if let Some(verifier) = verifier {
            verifier.join().map_err(|_| "the verifier panicked")??;
        }
        Ok(replayed?.state)
    })
}

/// How long it takes until a ledger that was closed can answer, in ms.
fn opened(log: &Path, snapshots: &Path, from: Seq) -> Result<Sample> {
    let began = Instant::now();
    let io = ours::io();
    let reader = LogReader::open(Arc::clone(&io), log)?;
    let replayed = at::current(&*io, snapshots, &reader)?;
    let sample = Sample::of(began.elapsed().as_secs_f64() * 1e3);
    same("the snapshot used", replayed.from, from)?;
    Ok(sample)
}

/// R3: a log of a quarter of the events and one of all of them with equal keys, each with a snapshot before its tail.
fn open_from_snapshot(plan: &Plan, report: &mut Report, data: &Data) -> Result<()> {
    let (short, tail) = (plan.events / 4, plan.events / 400);
    let folder = data.folder.join("open");
    let (short_log, long_log) = (folder.join("short"), folder.join("long"));
    let short_at = write_with_tail(&short_log, plan, short, 0, tail)?;
    let long_at = write_with_tail(&long_log, plan, short, plan.events - short, tail)?;
    let nowhere = folder.join("nowhere");
    let lanes = vec![
        Lane::new(OPEN_SHORT, || opened(&short_log, &short_log, short_at)),
        Lane::new(OPEN_LONG, || opened(&long_log, &long_log, long_at)),
        Lane::new(REPLAY_SHORT, || opened(&short_log, &nowhere, Seq(0))),
    ];
    let race = Race::run(plan, "ms", lanes)?;
    report.lanes(&format!("R3 open: {short} and {} events with equal keys, a tail of {tail}", plan.events), &race);
    report.goal("R3", "open from a snapshot with a 1% tail", &race, OPEN_SHORT, REPLAY_SHORT, Bound::AtMost(1.0 / 8.0));
    report.goal("R3", "four times the events, equal keys", &race, OPEN_LONG, OPEN_SHORT, Bound::AtMost(1.25));
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Writes `events` of the workload, then `more` new labels of their keys, with a snapshot before the last `tail`.
fn write_with_tail(log: &Path, plan: &Plan, events: usize, more: usize, tail: usize) -> Result<Seq> {
    let mut writing = ours::Writing::create(log)?;
    writing.state = Some(State::empty());
    writing.prelude()?;
    let (mut keys, mut snapshot, mut at_ns) = (0, None, 0);
    let mut stream = Stream::seeded(plan.seed);
    for number in 0..events + more {
        if number == events + more - tail {
            snapshot = Some(writing.snapshot(at_ns)?);
        }
        let commit = if number < events {
            let op = stream.next().ok_or("the workload ended")?;
            keys = keys.max(op.key + 1);
            at_ns = op.at_ns;
            ours::commit(&op, plan.seed, number as u64)?
        } else {
            ours::relabelled(number as u32 % keys, number as u64)?
        };
        writing.append(at_ns, &commit)?;
    }
    writing.close()?;
    let (at, bytes) = snapshot.ok_or("no snapshot was made")?;
    ours::put_snapshot(log, at, &bytes)?;
    Ok(at)
}

fn rebuild(plan: &Plan, report: &mut Report, data: &Data) -> Result<()> {
    let (bytes, events) = (&data.flat[..], data.history.len());
    let expected = fold::digest(&fold::plain(bytes)?);
    let keys = rebuilt(&data.log)?.key_count();
    #[cfg(feature = "peers")]
    let (redb, fjall) = {
        let mut redb = crate::peers::redb::Redb::create(&data.folder.join("redb"))?;
        crate::data::fill(&mut redb, &data.history)?;
        let mut fjall = crate::peers::fjall::Fjall::create(&data.folder.join("fjall"))?;
        crate::data::fill(&mut fjall, &data.history)?;
        (redb, fjall)
    };
    #[allow(unused_mut, reason = "peers add lanes")]
    let mut lanes = vec![
        Lane::new(PIPELINED, || {
            rate(events, || {
                let (state, hash) = std::thread::scope(|scope| {
                    let other = scope.spawn(|| blake3::hash(bytes));
                    (fold::pipelined(bytes), other.join())
                });
                std::hint::black_box(hash.map_err(|_| "the hasher panicked")?);
                same("the pipelined state", state?.digest(), expected)
            })
        }),
        Lane::new(OURS_REBUILD, || rate(events, || same("keyledger's keys", rebuilt(&data.log)?.key_count(), keys))),
        Lane::new("keyledger, frames read and decoded, one thread", || {
            rate(events, || {
                let reader = LogReader::open(ours::io(), &data.log)?;
                for frame in reader.frames(1) {
                    std::hint::black_box(Recorded::decode(&frame?)?);
                }
                Ok(())
            })
        }),
        Lane::new("floor: pipelined fold alone", || {
            rate(events, || same("the pipelined state", fold::pipelined(bytes)?.digest(), expected))
        }),
        Lane::new("plain fold, nothing verified", || {
            rate(events, || same("the plain state", fold::digest(&fold::plain(bytes)?), expected))
        }),
    ];
    #[cfg(feature = "peers")]
    {
        lanes.push(Lane::new(SQLITE, || {
            rate(events, || same("SQLite's state", fold::digest(&data.sqlite.fold(u64::MAX >> 1)?), expected))
        }));
        lanes.push(Lane::new("redb range + plain fold", || {
            rate(events, || same("redb's state", fold::digest(&redb.fold()?), expected))
        }));
        lanes.push(Lane::new("fjall range + plain fold", || {
            rate(events, || same("fjall's state", fold::digest(&fjall.fold()?), expected))
        }));
    }
    let race = Race::run(plan, "events/s", lanes)?;
    report.lanes("R2 state rebuilt from the log", &race);
    report.goal("R2", "verified rebuild", &race, OURS_REBUILD, SQLITE, Bound::AtLeast(2.0));
    report.goal("R2", "verified rebuild", &race, OURS_REBUILD, PIPELINED, Bound::AtLeast(0.6));
    Ok(())
}

/// Checks an answer.
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: T, expected: T) -> Result<()> {
    if is == expected {
        return Ok(());
    }
    Err(Error::from(format!("{what}: {is:?}, expected {expected:?}")))
}
