//! D1–D4: events acknowledged after the flush.
//!
//! Four shapes of load, the same code for every store: one writer; 64 events a commit (what 64 asynchronous clients
//! come to); 64 blocked threads before one grouping committer; and 64 threads with a transaction each, nothing grouped.

use crate::Result;
use crate::commands::{Commands, Load, Shape};
use crate::floor::append::FloorLog;
use crate::floor::frames;
use crate::ours::LogAlone;
use crate::plan::Plan;
use crate::shim;
use crate::table::{Bound, Lane, Race, Report, Sample};
use crate::workload::{Entry, History};
use keyledger::log::WitnessMode;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Something that keeps events.
pub trait Store {
    /// Keeps a batch, durably, all or nothing.
    fn commit(&mut self, batch: &[Entry<'_>]) -> Result<()>;
}

/// A store that many threads may append to at once, with its own grouping if it has any.
pub trait SharedStore: Sync {
    /// Keeps one event, durably.
    fn append(&self, entry: &Entry<'_>) -> Result<()>;
}

/// Deals out events for ever; seqs go on when the history begins again.
#[derive(Debug)]
pub struct Dealer<'a> {
    history: &'a History,
    next: AtomicU64,
}

impl<'a> Dealer<'a> {
    pub fn new(history: &'a History) -> Self {
        Self { history, next: AtomicU64::new(0) }
    }

    pub fn deal(&self) -> Entry<'a> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        let mut entry = self.history.entry((at % self.history.len() as u64) as usize);
        entry.seq = at + 1;
        entry
    }
}

/// Commits `batch` events at a time for `time`.
pub fn in_batches(store: &mut dyn Store, dealer: &Dealer<'_>, batch: usize, time: Duration) -> Result<Sample> {
    let (flushes, mut nanos, mut events) = (shim::flushes(), Vec::new(), 0);
    let began = Instant::now();
    while began.elapsed() < time {
        let entries: Vec<Entry<'_>> = (0..batch).map(|_| dealer.deal()).collect();
        let start = Instant::now();
        store.commit(&entries)?;
        nanos.push(start.elapsed().as_nanos() as u32);
        events += batch as u64;
    }
    Ok(sample(events, began, flushes).with_nanos(&mut nanos))
}

fn sample(events: u64, began: Instant, flushes: u64) -> Sample {
    Sample {
        value: events as f64 / began.elapsed().as_secs_f64(),
        flushes: (shim::flushes() - flushes) as f64 / events.max(1) as f64,
        ..Sample::default()
    }
}

/// What blocked threads wait in: a queue, and for each thread whether its event is durable.
struct Group<'a> {
    queue: Mutex<Vec<(usize, Entry<'a>)>>,
    queued: Condvar,
    durable: Vec<AtomicBool>,
    stop: AtomicBool,
}

/// `threads` blocked threads before one committer that takes all that wait.
pub fn in_threads<'a>(store: &mut dyn Store, dealer: &Dealer<'a>, threads: usize, time: Duration) -> Result<Sample> {
    let group: Group<'a> = Group {
        queue: Mutex::new(Vec::new()),
        queued: Condvar::new(),
        durable: (0..threads).map(|_| AtomicBool::new(false)).collect(),
        stop: AtomicBool::new(false),
    };
    let (flushes, began) = (shim::flushes(), Instant::now());
    let (outcome, mut nanos) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..threads)
            .map(|me| {
                scope.spawn({
                    let group = &group;
                    move || client(group, dealer, me)
                })
            })
            .collect();
        let handles: Vec<_> = clients.iter().map(|client| client.thread().clone()).collect();
        let outcome = committer(&group, store, &handles, began, time);
        group.stop.store(true, Ordering::SeqCst);
        handles.iter().for_each(std::thread::Thread::unpark);
        let nanos: Vec<u32> = clients.into_iter().flat_map(|client| client.join().unwrap_or_default()).collect();
        (outcome, nanos)
    });
    let (events, seconds) = outcome?;
    let flushes = (shim::flushes() - flushes) as f64 / events.max(1) as f64;
    Ok(Sample { value: events as f64 / seconds, flushes, ..Sample::default() }.with_nanos(&mut nanos))
}

fn client<'a>(group: &Group<'a>, dealer: &Dealer<'a>, me: usize) -> Vec<u32> {
    let mut nanos = Vec::new();
    while !group.stop.load(Ordering::Acquire) {
        let start = Instant::now();
        let entry = dealer.deal();
        group.durable[me].store(false, Ordering::Relaxed);
        let first = {
            let mut queue = group.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.push((me, entry));
            queue.len() == 1
        };
        if first {
            group.queued.notify_one();
        }
        while !group.durable[me].load(Ordering::Acquire) {
            if group.stop.load(Ordering::Acquire) {
                // Queued in the last moment: never acknowledged, so not counted.
                return nanos;
            }
            std::thread::park();
        }
        nanos.push(start.elapsed().as_nanos() as u32);
    }
    nanos
}

fn committer(
    group: &Group<'_>,
    store: &mut dyn Store,
    handles: &[std::thread::Thread],
    began: Instant,
    time: Duration,
) -> Result<(u64, f64)> {
    let mut events = 0;
    let mut taken = Vec::new();
    while began.elapsed() < time {
        {
            let mut queue = group.queue.lock().unwrap_or_else(PoisonError::into_inner);
            while queue.is_empty() {
                queue = group.queued.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut *queue, &mut taken);
        }
        let batch: Vec<Entry<'_>> = taken.iter().map(|(_, entry)| *entry).collect();
        store.commit(&batch)?;
        events += batch.len() as u64;
        for (client, _) in taken.drain(..) {
            group.durable[client].store(true, Ordering::Release);
            handles[client].unpark();
        }
    }
    Ok((events, began.elapsed().as_secs_f64()))
}

/// `threads` threads that each append for themselves.
pub fn each_alone(store: &dyn SharedStore, dealer: &Dealer<'_>, threads: usize, time: Duration) -> Result<Sample> {
    let (flushes, began) = (shim::flushes(), Instant::now());
    let results: Vec<Result<Vec<u32>>> = std::thread::scope(|scope| {
        let run = || {
            let mut nanos = Vec::new();
            while began.elapsed() < time {
                let start = Instant::now();
                store.append(&dealer.deal())?;
                nanos.push(start.elapsed().as_nanos() as u32);
            }
            Ok(nanos)
        };
        let clients: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        clients.into_iter().map(|client| client.join().unwrap_or_else(|_| Err("a client panicked".into()))).collect()
    });
    let mut nanos: Vec<u32> = Vec::new();
    for result in results {
        nanos.extend(result?);
    }
    Ok(sample(nanos.len() as u64, began, flushes).with_nanos(&mut nanos))
}

/// How many flushes a commit makes, and how a ledger is asked for that.
const FLUSHES: [(usize, &str); 3] = [(1, "lazy"), (2, "strict"), (3, "strict, creates")];

fn floor_name(files: usize) -> String {
    format!("floor: pwrite + fdatasync, {files} file{}", if files == 1 { "" } else { "s" })
}

fn ours_name(witness: &str) -> String {
    format!("keyledger, {witness}")
}

/// How a lane loads its store.
type LoadStore = fn(&mut dyn Store, &Dealer<'_>, Duration) -> Result<Sample>;

fn one_writer(store: &mut dyn Store, dealer: &Dealer<'_>, time: Duration) -> Result<Sample> {
    in_batches(store, dealer, 1, time)
}

fn batch64(store: &mut dyn Store, dealer: &Dealer<'_>, time: Duration) -> Result<Sample> {
    in_batches(store, dealer, 64, time)
}

fn threads64(store: &mut dyn Store, dealer: &Dealer<'_>, time: Duration) -> Result<Sample> {
    in_threads(store, dealer, 64, time)
}

/// Runs the stage.
pub fn run(plan: &Plan, report: &mut Report) -> Result<()> {
    let history = History::generate(plan.seed, 200_000)?;
    let folder = plan.folder.join("durable");
    let result = stages(plan, report, &history, &folder);
    let _ = std::fs::remove_dir_all(&folder);
    result
}

fn stages(plan: &Plan, report: &mut Report, history: &History, folder: &Path) -> Result<()> {
    if plan.wants(&["D1"]) {
        let mut lanes = lanes(plan, history, folder, "d1", one_writer);
        lanes.extend(command_lanes(plan, folder, "d1", Shape::One));
        let race = Race::run(plan, "events/s", lanes)?;
        report.lanes("D1 one writer", &race);
        for (files, witness) in FLUSHES {
            let what = format!("one writer, {witness}");
            report.goal("D1", &what, &race, &ours_name(witness), &floor_name(files), Bound::AtLeast(0.9));
        }
        report.ahead_of("D1", "one writer, lazy, against the fastest peer", &race, &ours_name("lazy"), PEERS, 1.0);
    }
    if plan.wants(&["D2"]) {
        let mut lanes = lanes(plan, history, folder, "d2", batch64);
        lanes.extend(command_lanes(plan, folder, "d2", Shape::Async(64)));
        let race = Race::run(plan, "events/s", lanes)?;
        report.lanes("D2 64 asynchronous submitters (for a store: 64 events a commit)", &race);
        for (files, witness) in FLUSHES {
            let what = format!("64 async, {witness}");
            report.goal("D2", &what, &race, &ours_name(witness), &floor_name(files), Bound::AtLeast(0.5));
        }
        let (lazy, strict) = (floor_name(1), floor_name(2));
        report.goal("D2", "64 async, the log alone, lazy", &race, LOG_LAZY, &lazy, Bound::AtLeast(0.8));
        report.goal("D2", "64 async, the log alone, strict", &race, LOG_STRICT, &strict, Bound::AtLeast(0.8));
        report.goal("D2", "64 async, lazy", &race, &ours_name("lazy"), "SQLite WAL FULL", Bound::AtLeast(4.0));
        report.ahead_of("D2", "64 async, lazy, against the fastest peer", &race, &ours_name("lazy"), PEERS, 1.0);
    }
    if plan.wants(&["D3"]) {
        let mut lanes = lanes(plan, history, folder, "d3", threads64);
        lanes.extend(command_lanes(plan, folder, "d3", Shape::Threads(64)));
        lanes.extend(alone_lanes(plan, history, folder, "d3"));
        let race = Race::run(plan, "events/s", lanes)?;
        report.lanes("D3 64 blocked threads", &race);
        for (files, witness) in FLUSHES {
            let what = format!("64 threads, {witness}");
            report.goal("D3", &what, &race, &ours_name(witness), &floor_name(files), Bound::AtLeast(1.0));
        }
        let what = "64 threads, lazy, p99";
        report.goal_p99("D3", what, &race, &ours_name("lazy"), "SQLite WAL FULL", Bound::AtMost(0.3));
    }
    if plan.wants(&["D4"]) {
        let _slow = shim::Slow::by(Duration::from_millis(1));
        let mut lanes = lanes(plan, history, folder, "d4", batch64);
        lanes.extend(command_lanes(plan, folder, "d4", Shape::Async(64)));
        lanes.extend(alone_lanes(plan, history, folder, "d4"));
        let race = Race::run(plan, "events/s", lanes)?;
        report.lanes("D4 64 at once, each flush 1 ms slower", &race);
        let factors = [40.0, 28.0, 18.0];
        for ((files, witness), factor) in FLUSHES.into_iter().zip(factors) {
            let what = format!("slow flush, 64 async, {witness}");
            report.goal("D4", &what, &race, &ours_name(witness), &floor_name(files), Bound::AtLeast(0.95));
            report.goal("D4", &what, &race, &ours_name(witness), SQLITE_ALONE, Bound::AtLeast(factor));
        }
    }
    Ok(())
}

const LOG_LAZY: &str = "keyledger's log alone, lazy";
const LOG_STRICT: &str = "keyledger's log alone, strict";
const PEERS: &[&str] = &["SQLite WAL FULL", "redb", "fjall", "okaywal"];
const SQLITE_ALONE: &str = "SQLite, a transaction each";

/// The whole path under one shape of load.
fn command_lanes<'a>(plan: &Plan, folder: &Path, race: &str, shape: Shape) -> Vec<Lane<'a>> {
    let time = plan.cell;
    let kinds = [
        (FLUSHES[0].1, WitnessMode::Lazy, Load::Changes),
        (FLUSHES[1].1, WitnessMode::Strict, Load::Changes),
        (FLUSHES[2].1, WitnessMode::Strict, Load::Creates),
    ];
    let lane = |(name, witness, load): (&str, WitnessMode, Load)| {
        let folder = folder.join(format!("{race}-ledger-{witness:?}-{load:?}"));
        let mut commands = None;
        Lane::new(ours_name(name), move || {
            let commands = match &mut commands {
                Some(commands) => commands,
                empty => empty.insert(Commands::create(&folder, witness, load)?),
            };
            commands.run(shape, time)
        })
    };
    kinds.into_iter().map(lane).collect()
}

/// The floors and the peers under one load. Stores are opened in the first round and live through all.
fn lanes<'a>(plan: &Plan, history: &'a History, folder: &Path, race: &str, load: LoadStore) -> Vec<Lane<'a>> {
    let time = plan.cell;
    let mut lanes = Vec::new();
    for (files, _) in FLUSHES {
        let folder = folder.join(format!("{race}-floor{files}"));
        let open =
            move || -> Result<Box<dyn Store>> { Ok(Box::new(FloorLog::create(&folder, files, frames::OVERHEAD)?)) };
        lanes.push(store_lane(floor_name(files), history, time, load, open));
    }
    for (witness, name) in [(WitnessMode::Lazy, LOG_LAZY), (WitnessMode::Strict, LOG_STRICT)] {
        let folder = folder.join(format!("{race}-{witness:?}"));
        let open = move || -> Result<Box<dyn Store>> { Ok(Box::new(LogAlone::create(&folder, witness)?)) };
        lanes.push(store_lane(name.to_owned(), history, time, load, open));
    }
    for peer in crate::peers::STORES {
        let folder = folder.join(format!("{race}-{}", peer.name.replace(' ', "-")));
        let open = move || (peer.open)(&folder);
        lanes.push(store_lane(peer.name.to_owned(), history, time, load, open));
    }
    lanes
}

fn store_lane<'a>(
    name: String,
    history: &'a History,
    time: Duration,
    load: LoadStore,
    open: impl Fn() -> Result<Box<dyn Store>> + 'a,
) -> Lane<'a> {
    let (mut store, dealer) = (None, Dealer::new(history));
    Lane::new(name, move || {
        let store = match &mut store {
            Some(store) => store,
            empty => empty.insert(open()?),
        };
        load(store.as_mut(), &dealer, time)
    })
}

/// Peers that 64 threads use each for itself.
fn alone_lanes<'a>(plan: &Plan, history: &'a History, folder: &Path, race: &str) -> Vec<Lane<'a>> {
    let time = plan.cell;
    let mut lanes = Vec::new();
    for peer in crate::peers::SHARED {
        let folder = folder.join(format!("{race}-{}", peer.name.replace(' ', "-")));
        let (mut store, dealer) = (None, Dealer::new(history));
        lanes.push(Lane::new(peer.name, move || {
            let store = match &mut store {
                Some(store) => store,
                empty => empty.insert((peer.open)(&folder)?),
            };
            each_alone(store.as_ref(), &dealer, 64, time)
        }));
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts what it is given.
    struct Counting(Vec<u64>);

    impl Store for Counting {
        fn commit(&mut self, batch: &[Entry<'_>]) -> Result<()> {
            self.0.extend(batch.iter().map(|entry| entry.seq));
            Ok(())
        }
    }

    #[test]
    fn threads_end_and_no_event_is_committed_twice() -> Result<()> {
        let history = History::generate(1, 1000)?;
        let mut store = Counting(Vec::new());
        let sample = in_threads(&mut store, &Dealer::new(&history), 8, Duration::from_millis(50))?;
        assert!(sample.value > 0.0);
        let committed = store.0.len();
        store.0.sort_unstable();
        store.0.dedup();
        assert_eq!(store.0.len(), committed);
        Ok(())
    }
}
