//! Whether the ledger takes changes, what binds its log, and having it verified.
//!
//! Verifying writes nothing, so whoever may read the ledger's health may ask for it; one runs at a time, for everybody.
//!
//! Not here: the checks themselves, and when they are made unasked (`api::health`).

use super::call::{Answer, Call, Shown};
use super::problem::Problem;
use super::table::{Route, schema};
use crate::api::health::{self, Verifications, Verified, Writer};
use crate::model::Time;
use crate::model::bytes::Hex;
use schemars::JsonSchema;
use serde::Serialize;

const READ: &str = "keyledger:ReadHealth";

pub const ROUTES: &[Route] = &[
    Route::dig("/health", "What binds the log, and whether changes are taken", READ, schema::<Shown<HealthRow>>, show),
    Route::dig(
        "/verify",
        "Begin to verify the whole ledger, unless that is under way; what comes of it stands in `/health`",
        READ,
        schema::<Shown<VerificationRow>>,
        begin,
    )
    .asked_by_post()
    .begins(),
];

/// The ledger's health.
#[derive(Debug, Serialize, JsonSchema)]
struct HealthRow {
    ledger_id: String,
    created_at: String,
    /// When the newest commit was recorded.
    recorded_at: String,
    /// Hash of the newest commit; it binds all before. This and the tree are null when the log cannot be read.
    chain_head: Option<String>,
    tree_size: Option<u64>,
    tree_root: Option<String>,
    /// `ready`, `full` (of the disk) or `poisoned` (by a write that failed).
    writer: &'static str,
    /// The commit that the ledger was restored to, until that is accepted.
    restored_at_seq: Option<u64>,
    verification: VerificationRow,
}

/// Verifications since the server's start.
#[derive(Debug, Serialize, JsonSchema)]
struct VerificationRow {
    running: bool,
    last: Option<VerifiedRow>,
}

/// A verification that has ended.
#[derive(Debug, Serialize, JsonSchema)]
struct VerifiedRow {
    ok: bool,
    ended_at: String,
    took_ms: u64,
    /// The last commit that was checked; none of a log that is not whole.
    last_seq: Option<u64>,
    chain_head: Option<String>,
    bytes: Option<u64>,
    /// What is wrong, a line each.
    findings: Vec<String>,
}

impl VerificationRow {
    fn of(verifications: &Verifications) -> Self {
        let last = verifications.last();
        Self { running: verifications.is_running(), last: last.map(|last| VerifiedRow::of(&last)) }
    }
}

impl VerifiedRow {
    fn of(verified: &Verified) -> Self {
        let log = verified.log.as_ref();
        Self {
            ok: verified.is_ok(),
            ended_at: verified.ended_at.to_string(),
            took_ms: u64::try_from(verified.took.as_millis()).unwrap_or(u64::MAX),
            last_seq: log.map(|log| log.last_seq),
            chain_head: log.map(|log| Hex(&log.chain_head).to_string()),
            bytes: log.map(|log| log.bytes),
            findings: verified.findings.clone(),
        }
    }
}

fn show(call: &Call<'_>) -> Result<Answer, Problem> {
    let ledger = &call.api.ledger;
    let meta = ledger.meta();
    // A verification says what is the matter.
    let binding = health::binding(call.api).ok();
    call.shown(HealthRow {
        ledger_id: Hex(&meta.ledger_id).to_string(),
        created_at: Time(meta.created_ns).to_string(),
        recorded_at: call.state.recorded_at().to_string(),
        chain_head: binding.as_ref().map(|(head, _)| Hex(head).to_string()),
        tree_size: binding.as_ref().map(|(_, tree)| tree.size()),
        tree_root: binding.as_ref().map(|(_, tree)| Hex(&tree.root()).to_string()),
        writer: Writer::of(ledger).as_str(),
        restored_at_seq: call.state.restored().map(|seq| seq.0),
        verification: VerificationRow::of(&call.api.verifications),
    })
}

fn begin(call: &Call<'_>) -> Result<Answer, Problem> {
    call.api.verifications.begin();
    call.shown(VerificationRow::of(&call.api.verifications))
}
