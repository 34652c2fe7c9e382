//! Writes what the gate counted into the node's own ledger, now and then, or tells it to the server of the ledger that is followed.
//!
//! Not here: what is due when (`gate`), and the budget of bytes a day (`ledger`).

use super::Keys;
use crate::api::upkeep::{all_due, write_use};
use crate::gate::Gate;
use crate::model::Time;
use crate::sys::{Clock as _, SystemClock};
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
        flush(&keys, &gate, now()).await;
        tell(&keys).await;
    }
}

/// Tells the server what was kept for it, where there is one.
async fn tell(keys: &Keys) {
    let Some(reporter) = keys.reporter().cloned() else { return };
    // What fails is tried again at another turn.
    let _ = tokio::task::spawn_blocking(move || while reporter.tell() {}).await;
}

/// Writes what is due, or keeps it to be told.
async fn flush(keys: &Keys, gate: &Gate, now: Time) {
    match (keys.ledger(), keys.reporter()) {
        (Some(ledger), _) => write_use(ledger, gate, "storage-node", now).await,
        (None, Some(reporter)) => gate.take_rollups(now).iter().for_each(|rollup| reporter.keep(rollup)),
        // Nobody to tell.
        (None, None) => drop(gate.take_rollups(now)),
    }
}

/// Writes or tells all that was counted, due or not: at the end.
pub async fn flush_all(keys: &Keys, gate: &Gate) {
    flush(keys, gate, all_due(now())).await;
    tell(keys).await;
}

fn now() -> Time {
    Time(SystemClock.now().wall_ns)
}
