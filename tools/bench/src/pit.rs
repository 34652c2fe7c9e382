//! T1 and T2: the whole state, and one key, as of a moment in the past.

use crate::data::Data;
use crate::floor::fold;
use crate::floor::postings::Postings;
use crate::plan::Plan;
use crate::replay::same;
use crate::rng::Rng;
use crate::table::{Bound, Lane, Race, Report, Sample};
use crate::workload::key_id;
use crate::{Result, ours};
use keyledger::audit::Archive;
use keyledger::audit::at::KeyPast;
use keyledger::log::LogReader;
use keyledger::model::id::World;
use keyledger::model::{AccessKeyId, Seq, When};
use keyledger::state::{State, at};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

const SQLITE: &str = "SQLite, fold of seq <= k";
const KEY_FLOOR: &str = "floor: offsets of each key in memory";
const KEY_SQLITE: &str = "SQLite, index on (key, seq)";
const KEY_OURS: &str = "keyledger, one key";

/// Runs the stage.
pub fn run(plan: &Plan, report: &mut Report, data: &Data) -> Result<()> {
    if plan.wants(&["T1"]) {
        whole_state(plan, report, data)?;
    }
    if plan.wants(&["T2"]) {
        one_key(plan, report, data)?;
    }
    Ok(())
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Sample> {
    let began = Instant::now();
    work()?;
    Ok(Sample::of(began.elapsed().as_secs_f64() * 1e3))
}

/// A log whose snapshots fit a budget, and how its worst moment is asked for.
struct Spaced {
    folder: PathBuf,
    /// All snapshots together, as a part of the log.
    disk: f64,
    count: usize,
}

/// The log with snapshots `count` times evenly spaced; the last stretch has none.
fn with_snapshots(plan: &Plan, data: &Data, log: &Path, counts: &[usize]) -> Result<Vec<Spaced>> {
    let len = data.history.len();
    let mut writing = ours::Writing::create(log)?;
    writing.state = Some(State::empty());
    writing.prelude()?;
    let folder = |count: usize| data.folder.join(format!("snapshots-{count}"));
    let mut bytes_of = vec![0; counts.len()];
    for (number, op) in data.history.ops.iter().enumerate() {
        let due = |count: &usize| number > 0 && (number * (count + 1)) % len < count + 1;
        if counts.iter().any(due) {
            let (at, bytes) = writing.snapshot(op.at_ns)?;
            for (place, count) in counts.iter().enumerate().filter(|(_, count)| due(count)) {
                ours::put_snapshot(&folder(*count), at, &bytes)?;
                bytes_of[place] += bytes.len();
            }
        }
        writing.append(op.at_ns, &ours::commit(op, plan.seed, number as u64)?)?;
    }
    writing.close()?;
    let log_bytes: usize = data.segments()?.iter().map(Vec::len).sum();
    let spaced = counts.iter().zip(bytes_of).map(|(count, bytes)| Spaced {
        folder: folder(*count),
        disk: bytes as f64 / log_bytes as f64,
        count: *count,
    });
    Ok(spaced.collect())
}

fn whole_state(plan: &Plan, report: &mut Report, data: &Data) -> Result<()> {
    // How many evenly spaced snapshots fit a budget: each is as large as the keys are many, on average half of the last.
    let io = ours::io();
    let reader = LogReader::open(Arc::clone(&io), &data.log)?;
    let last = at::current(&*io, &data.folder.join("nowhere"), &reader)?.state;
    let last_bytes = last.to_snapshot(ours::LEDGER_ID, [0; 32], [0; 32]).0.len();
    let (keys, log_bytes) = (last.key_count(), data.segments()?.iter().map(Vec::len).sum::<usize>());
    drop((last, reader));
    let fits = |budget: f64| ((budget * log_bytes as f64 / (last_bytes as f64 / 2.0)) as usize).max(1);
    let log = data.folder.join("past");
    let spaced = with_snapshots(plan, data, &log, &[fits(0.25), fits(0.60)])?;
    let reader = LogReader::open(Arc::clone(&io), &log)?;
    let end = Seq(reader.last_seq());

    let expected = fold::digest(&fold::plain(&data.flat)?);
    #[allow(unused_mut, reason = "peers add lanes")]
    let mut lanes = vec![Lane::new("floor: pipelined fold from the start", || {
        timed(|| same("the past state", fold::pipelined(&data.flat)?.digest(), expected))
    })];
    for spaced in &spaced {
        lanes.push(Lane::new(ours_name(spaced.count), || {
            timed(|| same("keys", at::at(&*io, &spaced.folder, &reader, end, &mut |_| {})?.state.key_count(), keys))
        }));
    }
    #[cfg(feature = "peers")]
    lanes.push(Lane::new(SQLITE, || {
        timed(|| {
            let state = data.sqlite.fold(data.history.len() as u64)?;
            same("SQLite's past state", fold::digest(&state), expected)
        })
    }));
    // Where the tail behind the nearest snapshot is longest and the state largest: before the snapshot that never came.
    let race = Race::run(plan, "ms", lanes)?;
    report.lanes(&format!("T1 whole state as of event {} (the longest tail)", data.history.len()), &race);
    for (spaced, factor) in spaced.iter().zip([4.0, 10.0]) {
        let what = format!("worst moment, {} snapshots, {:.0}% more disk", spaced.count, spaced.disk * 100.0);
        report.goal("T1", &what, &race, &ours_name(spaced.count), SQLITE, Bound::AtMost(1.0 / factor));
    }
    Ok(())
}

fn ours_name(snapshots: usize) -> String {
    format!("keyledger, {snapshots} snapshots and tail")
}

/// Keys and moments to ask for.
pub fn questions(plan: &Plan, data: &Data) -> Vec<([u8; 20], u64)> {
    let mut rng = Rng::seeded(plan.seed ^ 0x7A);
    let len = data.history.len();
    let ask = |_| (key_id(data.history.ops[rng.index(len)].key), 1 + rng.index(len) as u64);
    (0..20_000).map(ask).collect()
}

/// Asks all, times each; the value is the mean in µs.
fn ask_all(
    questions: &[([u8; 20], u64)],
    expected: &[Option<(bool, i32)>],
    ask: impl Fn(&[u8; 20], u64) -> Result<Option<(bool, i32)>>,
) -> Result<Sample> {
    let mut nanos = Vec::with_capacity(questions.len());
    for ((id, seq), expected) in questions.iter().zip(expected) {
        let start = Instant::now();
        let answer = ask(id, *seq)?;
        nanos.push(start.elapsed().as_nanos() as u32);
        same("a past key", &answer, expected)?;
    }
    let mean = nanos.iter().map(|n| f64::from(*n)).sum::<f64>() / nanos.len().max(1) as f64;
    Ok(Sample::of(mean / 1e3).with_nanos(&mut nanos))
}

fn one_key(plan: &Plan, report: &mut Report, data: &Data) -> Result<()> {
    let bytes = &data.flat[..];
    let (postings, questions) = (Postings::of(bytes)?, questions(plan, data));
    let expected: Vec<_> = questions.iter().map(|(id, seq)| postings.key_at(bytes, id, *seq)).collect::<Result<_>>()?;
    let reader = LogReader::open(ours::io(), &data.log)?;
    let (archive, _) = Archive::open(ours::io(), &data.log, reader)?;
    let past = KeyPast::new(&archive)?;
    let mut lanes =
        vec![Lane::new(KEY_FLOOR, || ask_all(&questions, &expected, |id, seq| postings.key_at(bytes, id, seq)))];
    #[cfg(feature = "peers")]
    lanes.push(Lane::new(KEY_SQLITE, || ask_all(&questions, &expected, |id, seq| data.sqlite.key_at(id, seq))));
    lanes.push(Lane::new(KEY_OURS, || {
        ask_all(&questions, &expected, |id, seq| {
            let uid = AccessKeyId::uid_of(std::str::from_utf8(id)?, World::Live);
            let key = past.key_at(uid, When::Seq(Seq(data.prelude + seq)))?;
            let live = key.filter(|key| !key.is_deleted());
            Ok(live.map(|key| (key.revoked_at().is_some(), key.rights().attached.len() as i32)))
        })
    }));
    let race = Race::run(plan, "µs", lanes)?;
    report.lanes("T2 one key as of any event", &race);
    report.goal_p50("T2", "one key, p50", &race, KEY_OURS, KEY_FLOOR, Bound::AtMost(2.0));
    report.goal_p50("T2", "one key, p50", &race, KEY_OURS, KEY_SQLITE, Bound::AtMost(1.0 / 2.5));
    Ok(())
}
