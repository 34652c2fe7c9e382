//! What the server does beside answering: writes what was seen of keys, and has the ledger verified when that is due.
//!
//! Not here: when that is due (`gate`), the budget of bytes a day (`ledger::usage`), verifying (`health`).

use super::Api;
use crate::gate::Gate;
use crate::ledger::{Command, Ledger};
use crate::model::{Caller, Time};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How often what was counted is looked at: 1 s.
const EVERY: Duration = Duration::from_secs(1);

/// Writes what is due every second, and all of it when it is told to end.
pub(super) async fn run(api: Arc<Api>, mut halted: oneshot::Receiver<()>) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {
                if api.verifications.is_due(api.now()) {
                    api.verifications.begin();
                }
                write_use(&api.ledger, &api.gate, "usage", api.now()).await;
            }
            _ = &mut halted => break,
        }
    }
    write_use(&api.ledger, &api.gate, "usage", all_due(api.now())).await;
}

/// Writes what `gate` counted and is due at `now`, as something the system itself says.
pub(crate) async fn write_use(ledger: &Ledger, gate: &Gate, by: &str, now: Time) {
    let caller = Caller::system(by);
    for rollup in gate.take_rollups(now) {
        let command = Command::RecordUse {
            org: rollup.org,
            usage: rollup.usage,
            attempts: rollup.attempts,
            dropped: rollup.usage_dropped.saturating_add(rollup.attempts_dropped),
        };
        if let Err(error) = ledger.execute(&caller, command, None).await {
            tracing::warn!(%error, "what was seen of keys could not be written");
        }
    }
}

/// When everything that was counted by `now` is due: whoever ends asks with this.
pub(crate) fn all_due(now: Time) -> Time {
    now.plus_ns(24 * 3_600 * 1_000_000_000)
}
