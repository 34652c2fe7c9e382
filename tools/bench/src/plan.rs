//! What one run measures, and how long.

use std::path::PathBuf;
use std::time::Duration;

/// The sizes of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `quick` or `full`.
    pub name: &'static str,
    /// How often each lane of a race runs, in turns.
    pub rounds: usize,
    /// How long one lane of a durable race runs in a round.
    pub cell: Duration,
    /// Events in the history that replay, past states and audits read.
    pub events: usize,
    /// Key counts at which lookups are timed.
    pub keys: Vec<usize>,
    /// Lookups per lane and round.
    pub lookups: usize,
    /// CloudTrail records imported.
    pub records: usize,
    /// Only these goals; all when empty.
    pub only: Vec<String>,
    /// Where files are written; on the disk to be measured.
    pub folder: PathBuf,
    /// Fixes every random choice.
    pub seed: u64,
    /// JSON lines instead of a table.
    pub json: bool,
    /// How long to wait for quiet before a race.
    pub patience: Duration,
}

impl Plan {
    /// At most five minutes on two cores.
    pub fn quick(folder: PathBuf) -> Self {
        Self {
            name: "quick",
            rounds: 3,
            cell: Duration::from_millis(350),
            events: 400_000,
            keys: vec![10_000, 1_000_000],
            lookups: 1_000_000,
            records: 60_000,
            only: Vec::new(),
            folder,
            seed: 1,
            json: false,
            patience: Duration::from_secs(1),
        }
    }

    /// 5 M events and up to 10⁷ keys.
    pub fn full(folder: PathBuf) -> Self {
        Self {
            name: "full",
            rounds: 5,
            cell: Duration::from_secs(3),
            events: 5_000_000,
            keys: vec![10_000, 1_000_000, 10_000_000],
            lookups: 5_000_000,
            records: 1_000_000,
            patience: Duration::from_secs(20),
            ..Self::quick(folder)
        }
    }

    /// Whether any of `goals` is to be measured.
    pub fn wants(&self, goals: &[&str]) -> bool {
        self.only.is_empty() || goals.iter().any(|goal| self.only.iter().any(|only| only.eq_ignore_ascii_case(goal)))
    }
}
