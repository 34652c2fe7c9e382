//! L1 and L2: finding a key in the published state while the writer works, and what a key costs in memory.

use crate::plan::Plan;
use crate::rng::Rng;
use crate::table::{Bound, Lane, Race, Report, Sample};
use crate::workload::{Stream, key_id};
use crate::{Result, ours};
use keyledger::model::{Seq, Time};
use keyledger::state::{State, StateHandle};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a lookup copies out.
pub const RECORD_BYTES: usize = 96;

type Id = [u8; 20];
type Map = HashMap<Id, [u8; RECORD_BYTES], foldhash::fast::RandomState>;

/// Bytes the allocator has handed out, maps included.
pub fn allocated() -> u64 {
    // SAFETY: glibc's own account of its arenas; it reads and reports.
    let info = unsafe { libc::mallinfo2() };
    (info.uordblks + info.hblkhd) as u64
}

/// Ids to look up, in random order, as they would come in requests.
pub fn random_ids(seed: u64, keys: usize, lookups: usize) -> Vec<Id> {
    let mut rng = Rng::seeded(seed);
    (0..lookups).map(|_| key_id(rng.index(keys) as u32)).collect()
}

/// Mean ns of a lookup on each of `readers` threads at once; p50 and p99 of single ones, timer included.
pub fn time_lookups<F: Fn(&Id) -> bool + Sync>(ids: &[Id], readers: usize, find: F) -> Result<Sample> {
    let began = Instant::now();
    let found: usize = std::thread::scope(|scope| {
        let reader = |offset: usize| {
            let (head, tail) = ids.split_at(offset);
            tail.iter().chain(head).filter(|id| find(id)).count()
        };
        let others: Vec<_> = (1..readers).map(|n| scope.spawn(move || reader(n * ids.len() / readers))).collect();
        reader(0) + others.into_iter().map(|other| other.join().unwrap_or(0)).sum::<usize>()
    });
    let mean = began.elapsed().as_nanos() as f64 / ids.len() as f64;
    crate::replay::same("keys found", found, ids.len() * readers)?;
    let mut nanos = Vec::with_capacity(20_000);
    for id in ids.iter().take(20_000) {
        let start = Instant::now();
        std::hint::black_box(find(id));
        nanos.push(start.elapsed().as_nanos() as u32);
    }
    Ok(Sample::of(mean).with_nanos(&mut nanos))
}

fn floor_map(keys: usize) -> Map {
    (0..keys as u32)
        .map(|key| {
            let mut record = [0; RECORD_BYTES];
            record[..4].copy_from_slice(&key.to_le_bytes());
            (key_id(key), record)
        })
        .collect()
}

/// Runs the stage.
pub fn run(plan: &Plan, report: &mut Report) -> Result<()> {
    if plan.wants(&["L2"]) {
        memory(plan, report)?;
    }
    if !plan.wants(&["L1"]) {
        return Ok(());
    }
    for keys in plan.keys.iter().copied() {
        let before = allocated();
        let map = floor_map(keys);
        let floor_bytes = (allocated() - before) as f64 / keys as f64;
        report.say(&format!(
            "\n{keys} keys: an unlocked HashMap of {RECORD_BYTES} B records takes {floor_bytes:.0} B a key"
        ));
        let ids = random_ids(plan.seed, keys, plan.lookups);
        let find = |id: &Id| match map.get(id) {
            Some(record) => {
                std::hint::black_box(*record);
                true
            }
            None => false,
        };
        let (handle, state) = StateHandle::publish_first(ours::state_of(keys)?);
        let writer = Mutex::new(state);
        let find_ours = |id: &Id| {
            let text = std::str::from_utf8(id).unwrap_or_default();
            let copied = handle.with_key(text, |key| {
                let times =
                    (key.created_at(), key.expires_at(), key.secret_set_at(), key.revoked_at(), key.deleted_at());
                std::hint::black_box((times, key.org(), key.marks(), key.secret_version(), key.first(), key.changed()));
            });
            copied.is_some()
        };
        let ours = |readers: usize| {
            let stop = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let busy = scope.spawn(|| keep_writing(&handle, &writer, keys, &stop));
                let sample = time_lookups(&ids, readers, find_ours);
                stop.store(true, Ordering::Relaxed);
                busy.join().map_err(|_| "the writer panicked")??;
                sample
            })
        };
        let lanes = vec![
            Lane::new(floor_name(1), || time_lookups(&ids, 1, find)),
            Lane::new(floor_name(2), || time_lookups(&ids, 2, find)),
            Lane::new(ours_name(1), || ours(1)),
            Lane::new(ours_name(2), || ours(2)),
        ];
        let race = Race::run(plan, "ns", lanes)?;
        report.lanes(&format!("L1 lookups among {keys} keys"), &race);
        let bound = if keys <= 10_000 { 2.0 } else { 1.7 };
        let what = format!("lookup, {keys} keys, writer at 1,000 commits/s");
        report.goal("L1", &what, &race, &ours_name(1), &floor_name(1), Bound::AtMost(bound));
        // Twice the readers in the same time each would be a ratio of means of 1, so 1.9 times the throughput is 2/1.9.
        let what = format!("second reader, {keys} keys: ns a lookup against one reader");
        report.goal("L1", &what, &race, &ours_name(2), &ours_name(1), Bound::AtMost(2.0 / 1.9));
    }
    Ok(())
}

/// Changes 1,000 keys a second, each change a published commit, until told to stop.
fn keep_writing(handle: &StateHandle, writer: &Mutex<State>, keys: usize, stop: &AtomicBool) -> Result<()> {
    let mut state = writer.lock().map_err(|_| "a writer panicked")?;
    let (mut rng, began, mut commits) = (Rng::seeded(keys as u64), Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) {
        commits += 1;
        let commit = ours::relabelled(rng.index(keys) as u32, commits)?;
        let seq = state.seq().next();
        state.apply(seq, Time(crate::workload::BEGIN_NS), &commit);
        handle.publish(&state);
        let due = Duration::from_millis(commits);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
    Ok(())
}

/// L2: what the state of the whole workload takes, a live key.
fn memory(plan: &Plan, report: &mut Report) -> Result<()> {
    let before = allocated();
    let mut state = State::empty();
    let mut seq = Seq(0);
    for commit in ours::prelude() {
        seq = seq.next();
        state.apply(seq, Time(crate::workload::BEGIN_NS), &commit);
    }
    let prelude = allocated();
    for (number, op) in Stream::seeded(plan.seed).take(plan.events).enumerate() {
        seq = seq.next();
        state.apply(seq, Time(op.at_ns), &ours::commit(&op, plan.seed, number as u64)?);
    }
    // As readers have it, with all that a ledger keeps to answer.
    let (handle, state) = StateHandle::publish_first(state);
    let bytes = allocated() - prelude;
    let (mut live, mut strings) = (0_u64, 0);
    state.for_each_key(|key| {
        live += u64::from(!key.is_deleted());
        strings += (key.id().as_str().len() + key.label().len()) as u64;
    });
    drop(handle);
    let per_key = bytes.saturating_sub(strings) as f64 / live.max(1) as f64;
    report.say(&format!(
        "\nL2 {live} live keys after {} events: {bytes} B of state, {strings} B of it strings; users and policies {} B",
        plan.events,
        prelude - before
    ));
    report.number(
        "L2",
        "memory a live key, its strings apart",
        "B",
        Some(per_key),
        "200 B",
        Some(200.0),
        Bound::AtMost(1.0),
    );
    Ok(())
}

fn floor_name(readers: usize) -> String {
    format!("floor: unlocked HashMap, {readers} reader{}", if readers == 1 { "" } else { "s" })
}

fn ours_name(readers: usize) -> String {
    format!("keyledger, {readers} reader{}", if readers == 1 { "" } else { "s" })
}
