//! How much others used the machine while something was measured, and what a flush costs right now.

use crate::Result;
use crate::floor::append::Prewritten;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Above this many cores used by others a measurement says nothing.
pub const OTHERS_MAX: f64 = 0.2;

/// Watches from its making to [`Watch::cores_of_others`].
#[derive(Debug)]
pub struct Watch {
    busy: f64,
    own: f64,
    began: Instant,
}

impl Watch {
    pub fn start() -> Self {
        Self { busy: busy_seconds(), own: own_seconds(), began: Instant::now() }
    }

    /// Cores that other processes and other guests (steal) kept busy, on average. The kernel counts in 10 ms.
    pub fn cores_of_others(&self) -> f64 {
        let passed = self.began.elapsed().as_secs_f64().max(0.01);
        let others = (busy_seconds() - self.busy) - (own_seconds() - self.own);
        (others / passed).max(0.0)
    }
}

/// Seconds all cores together were not idle, stolen time included.
fn busy_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let numbers: Vec<f64> =
        stat.lines().next().unwrap_or("").split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    [0, 1, 2, 5, 6, 7].iter().filter_map(|i| numbers.get(*i)).sum::<f64>() / 100.0
}

/// Seconds of processor time this process has used.
pub fn own_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in brackets may hold anything; fields count from behind it.
    let after = stat.rsplit(')').next().unwrap_or("");
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Waits until others are quiet, at most `patience`. Returns what it saw last.
pub fn wait_for_quiet(patience: Duration) -> f64 {
    let deadline = Instant::now() + patience;
    loop {
        let watch = Watch::start();
        std::thread::sleep(Duration::from_millis(100));
        let others = watch.cores_of_others();
        if others <= OTHERS_MAX || Instant::now() >= deadline {
            return others;
        }
    }
}

/// The canary: p50 and p99 in µs of writing and flushing one 4 KiB block of a prewritten file.
pub fn flush_cost(folder: &Path) -> Result<(f64, f64)> {
    let path = folder.join("canary");
    let mut file = Prewritten::create(&path, 1 << 20)?;
    let mut nanos: Vec<u64> = Vec::with_capacity(400);
    for _ in 0..400 {
        let began = Instant::now();
        file.append(&[1; 4096])?;
        file.flush()?;
        nanos.push(began.elapsed().as_nanos() as u64);
    }
    fs::remove_file(&path)?;
    nanos.sort_unstable();
    Ok((nanos[200] as f64 / 1e3, nanos[396] as f64 / 1e3))
}
