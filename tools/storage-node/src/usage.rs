//! Writes what the gate counted into the node's own ledger, now and then, or tells it to the server of the ledger that is followed.
//!
//! Not here: what is due when (`keyledger::gate`), and the budget of bytes a day (the ledger).

use crate::Keys;
use keyledger::gate::Gate;
use keyledger::model::{Caller, Time};
use keyledger::sys::{Clock as _, SystemClock};
use std::sync::Arc;
use std::time::Duration;

/// How often the gate is asked what is due.
const EVERY: Duration = Duration::from_secs(1);

/// Never ends.
pub async fn flush_often(keys: Arc<Keys>, gate: Arc<Gate>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        flush(&keys, &gate).await;
        tell(&keys).await;
    }
}

/// Tells the server what was kept for it, where there is one.
pub async fn tell(keys: &Keys) {
    let Some(reporter) = keys.reporter().cloned() else { return };
    // What fails is tried again at another turn.
    let _ = tokio::task::spawn_blocking(move || while reporter.tell() {}).await;
}

/// Writes what is due, or keeps it to be told.
pub async fn flush(keys: &Keys, gate: &Gate) {
    for rollup in gate.take_rollups(Time(SystemClock.now().wall_ns)) {
        let Some(ledger) = keys.ledger() else {
            if let Some(reporter) = keys.reporter() {
                reporter.keep(&rollup);
            }
            continue;
        };
        let command = keyledger::ledger::Command::RecordUse {
            org: rollup.org,
            usage: rollup.usage,
            attempts: rollup.attempts,
            dropped: rollup.usage_dropped.saturating_add(rollup.attempts_dropped),
        };
        if let Err(error) = ledger.execute(&Caller::system("storage-node"), command, None).await {
            tracing::warn!(%error, "a rollup of uses was not written");
        }
    }
}
