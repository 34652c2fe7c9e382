//! L1 and L2: finding a key in the published state while the writer works, and what a key costs in memory.

use crate::Result;
use crate::plan::Plan;
use crate::rng::Rng;
use crate::table::{Bound, Lane, Race, Report, Sample};
use crate::workload::key_id;
use std::collections::HashMap;
use std::time::Instant;

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
    if !plan.wants(&["L1", "L2"]) {
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
        let lanes = vec![
            Lane::new(floor_name(1), || time_lookups(&ids, 1, find)),
            Lane::new(floor_name(2), || time_lookups(&ids, 2, find)),
        ];
        let race = Race::run(plan, "ns", lanes)?;
        report.lanes(&format!("L1 lookups among {keys} keys"), &race);
        let bound = if keys <= 10_000 { 2.0 } else { 1.7 };
        let what = format!("lookup, {keys} keys, writer at 1,000 commits/s");
        report.goal("L1", &what, &race, &ours_name(1), &floor_name(1), Bound::AtMost(bound));
    }
    Ok(())
}

fn floor_name(readers: usize) -> String {
    format!("floor: unlocked HashMap, {readers} reader{}", if readers == 1 { "" } else { "s" })
}

fn ours_name(readers: usize) -> String {
    format!("keyledger, {readers} reader{}", if readers == 1 { "" } else { "s" })
}
