//! Storage nodes that follow the ledger: what they saw of keys, how far they are, and the buckets they make and remove.
//!
//! A node signs with a key that a policy allows `keyledger:Report…` and nothing else. It speaks for the key's org alone.
//!
//! Invariants
//! - A batch is written once, however often it is sent: node and number are its idempotency token.
//! - Uses of keys that are not the org's are counted as dropped, never written.
//!
//! Not here: counting (`gate`), the budget of bytes a day (`ledger`).

use super::body::Nothing;
use super::call::{Answer, Call, Changed, changed};
use super::page::{Page, Paging};
use super::problem::Problem;
use super::table::{Route, schema};
use crate::audit::rows::BucketEntry;
use crate::ledger::{Command, Done};
use crate::model::{AccessKeyId, BucketName, KeyUid, KeyUsage, OrgUid, Rejected, Time, UsageTuple};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Nodes that are remembered; of more, those that have not reported are told of no longer.
const NODES_MAX: usize = 1_024;

pub const ROUTES: &[Route] = &[
    Route::look(
        "/node/reports",
        "How far each storage node has followed the log",
        "keyledger:ReadNodes",
        schema::<Page<NodeRow>>,
        list,
    )
    .paged(),
    Route::report(
        "POST",
        "/node/reports",
        "Tell what a storage node saw of keys",
        "keyledger:ReportUse",
        report,
        schema::<Changed<Taken>>,
        taken,
    )
    .takes(schema::<Report>),
    Route::report(
        "PUT",
        "/node/buckets/{bucket}",
        "Register a bucket that a storage node is about to make",
        "keyledger:ReportBucket",
        register,
        schema::<Changed<BucketEntry>>,
        registered,
    )
    .takes(schema::<Nothing>),
    Route::report(
        "DELETE",
        "/node/buckets/{bucket}",
        "Forget a bucket that a storage node removed",
        "keyledger:ReportBucket",
        forget,
        schema::<Changed<BucketEntry>>,
        forgotten,
    ),
];

/// One batch of what a node saw.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Report {
    /// 1 to 32 letters, digits, dots and hyphens; another one after each start.
    node: String,
    /// Counted by the node, from 1; the same for a retry.
    batch: u64,
    /// How far it has followed the log.
    applied_seq: u64,
    /// Uses and attempts that could not be kept.
    #[serde(default)]
    dropped: u64,
    #[serde(default)]
    usage: Vec<Used>,
    #[serde(default)]
    attempts: Vec<Attempt>,
}

/// Uses of one key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Used {
    access_key_id: String,
    /// Uses that did not fit the tuples.
    #[serde(default)]
    other: u64,
    tuples: Vec<Tuple>,
}

/// Uses that are alike.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tuple {
    secret_version: u32,
    service: String,
    region: String,
    bucket: Option<String>,
    action_class: String,
    source_ip: String,
    user_agent: String,
    signature: String,
    /// `ok` or an error code.
    outcome: String,
    count: u64,
    bytes_in: u64,
    bytes_out: u64,
    /// RFC 3339.
    first_at: String,
    last_at: String,
}

/// Attempts with a key that cannot be used.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Attempt {
    access_key_id: String,
    status: String,
    source_ip: String,
    user_agent: String,
    count: u64,
    first_at: String,
    last_at: String,
}

/// What became of a batch.
#[derive(Debug, Serialize, JsonSchema)]
struct Taken {
    node: String,
    batch: u64,
}

/// A node, as it reported last to this process.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct NodeRow {
    node: String,
    access_key_id: String,
    applied_seq: u64,
    batch: u64,
    reported_at: String,
}

/// The nodes of each org.
#[derive(Debug, Default)]
pub struct Nodes(Mutex<BTreeMap<(OrgUid, String), NodeRow>>);

impl Nodes {
    fn keep(&self, org: OrgUid, row: NodeRow) {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if nodes.len() >= NODES_MAX && !nodes.contains_key(&(org, row.node.clone())) {
            let oldest = nodes.iter().min_by(|a, b| a.1.reported_at.cmp(&b.1.reported_at)).map(|(key, _)| key.clone());
            oldest.map(|oldest| nodes.remove(&oldest));
        }
        nodes.insert((org, row.node.clone()), row);
    }

    fn of(&self, org: OrgUid, after: Option<&str>) -> Vec<NodeRow> {
        let nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = nodes.iter().filter(|((of, name), _)| *of == org && after.is_none_or(|after| name.as_str() > after));
        own.map(|(_, row)| row.clone()).collect()
    }
}

fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    let paging = Paging::of(call.query)?;
    let nodes = call.api.native.nodes.of(call.org_uid(), paging.after.as_deref());
    Answer::json(&paging.page(call.state.seq().0, nodes, |row| row.node.clone(), NodeRow::clone))
}

fn asked(call: &Call<'_>) -> Result<Report, Problem> {
    let report: Report = call.body()?;
    let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    if !(1..=32).contains(&report.node.len()) || !is_name(&report.node) {
        return Err(Problem::invalid("node", "1 to 32 letters, digits, dots and hyphens"));
    }
    Ok(report)
}

/// The token that makes a batch be written once.
pub fn token(call: &Call<'_>) -> Result<Option<String>, Problem> {
    if call.names.is_empty() {
        let report = asked(call)?;
        return Ok(Some(format!("{}/{}", report.node, report.batch)));
    }
    Ok(None)
}

fn report(call: &Call<'_>) -> Result<Command, Problem> {
    let mut report = asked(call)?;
    let mut dropped = report.dropped;
    let mut usage = Vec::with_capacity(report.usage.len());
    for used in std::mem::take(&mut report.usage) {
        if let Some(key) = own_key(call, &used.access_key_id) {
            usage.push(KeyUsage { key, other: used.other, tuples: tuples(used.tuples)? });
        } else {
            let uses = used.tuples.iter().map(|tuple| tuple.count);
            dropped = uses.chain([used.other]).fold(dropped, u64::saturating_add);
        }
    }
    let mut attempts = Vec::with_capacity(report.attempts.len());
    for attempt in std::mem::take(&mut report.attempts) {
        match own_key(call, &attempt.access_key_id) {
            Some(key) => attempts.push(Rejected {
                key,
                status: attempt.status.into(),
                source_ip: attempt.source_ip.into(),
                user_agent: attempt.user_agent.into(),
                count: attempt.count,
                first_at: time("first_at", &attempt.first_at)?,
                last_at: time("last_at", &attempt.last_at)?,
            }),
            None => dropped = dropped.saturating_add(attempt.count),
        }
    }
    Ok(Command::RecordUse { org: call.org_uid(), usage, attempts, dropped })
}

fn own_key(call: &Call<'_>, id: &str) -> Option<KeyUid> {
    AccessKeyId::parse(id).ok()?;
    call.state.key(id).filter(|key| key.org == call.org_uid()).map(|key| key.uid())
}

fn tuples(given: Vec<Tuple>) -> Result<Vec<UsageTuple>, Problem> {
    let tuple = |given: Tuple| {
        let bucket = given.bucket.as_deref().map(BucketName::parse).transpose();
        Ok(UsageTuple {
            secret_version: given.secret_version,
            service: given.service.into(),
            region: given.region.into(),
            bucket: bucket.map_err(|invalid| Problem::invalid("bucket", invalid.expected))?,
            action_class: given.action_class.into(),
            source_ip: given.source_ip.into(),
            user_agent: given.user_agent.into(),
            signature: given.signature.into(),
            outcome: given.outcome.into(),
            count: given.count,
            bytes_in: given.bytes_in,
            bytes_out: given.bytes_out,
            first_at: time("first_at", &given.first_at)?,
            last_at: time("last_at", &given.last_at)?,
        })
    };
    given.into_iter().map(tuple).collect()
}

fn time(name: &str, text: &str) -> Result<Time, Problem> {
    Time::parse(text).map_err(|invalid| Problem::invalid(name, invalid.expected))
}

fn taken(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    let Report { node, batch, applied_seq, .. } = asked(call)?;
    let row = NodeRow {
        node: node.clone(),
        access_key_id: call.signed.key.id.to_string(),
        applied_seq,
        batch,
        reported_at: call.now().to_string(),
    };
    call.api.native.nodes.keep(call.org_uid(), row);
    changed(done, Taken { node, batch })
}

fn bucket(call: &Call<'_>) -> Result<BucketName, Problem> {
    BucketName::parse(call.name("bucket")).map_err(|invalid| Problem::invalid("bucket", invalid.expected))
}

fn register(call: &Call<'_>) -> Result<Command, Problem> {
    let Nothing {} = call.body_or_default()?;
    Ok(Command::RegisterBucket { org: call.org_uid(), bucket: bucket(call)? })
}

fn forget(call: &Call<'_>) -> Result<Command, Problem> {
    Ok(Command::ForgetBucket { org: call.org_uid(), bucket: bucket(call)? })
}

fn registered(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    changed(done, BucketEntry::of(&call.newest(), &bucket(call)?, true))
}

fn forgotten(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    changed(done, BucketEntry::of(&call.newest(), &bucket(call)?, false))
}
