//! What a node that follows tells the ledger's server: uses and attempts, how far it is, and buckets as they are made and removed.
//!
//! The server is spoken to with a key that may do that alone (`keyledger:Report…`), for the org of that key.
//!
//! Invariants
//! - No request of a client waits for a report. What cannot be told is kept, so many batches of it; then the oldest is dropped, and
//!   how much that was is told.
//! - A batch is counted once however often it is sent: the server knows it by node and number.
//!
//! Not here: counting (`gate`), what the server does with it.

use crate::client::{Ask, Body, Client, Told, Unanswered, segment};
use crate::gate::Rollup;
use crate::ledger::{Dice as _, OsDice};
use crate::model::{BucketName, OrgUid, UsageTuple};
use crate::state::StateHandle;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Batches that are kept while the server cannot be told.
const BATCHES_MAX: usize = 256;
/// Tuples and attempts of a batch: some 250 KB.
const BATCH_ROWS: usize = 500;
/// How soon a node that has nothing to tell tells how far it is.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// After a failure: this long, then twice as long, and so on.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// The server of the ledger that is followed, and the key that it is spoken to with.
#[derive(Debug)]
pub struct ReportTo {
    pub client: Client,
    pub access_key_id: String,
}

/// The way to the server.
pub struct Reporter {
    client: Client,
    key: String,
    /// This start of this node.
    node: String,
    handle: StateHandle,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    batches: VecDeque<Batch>,
    /// The number of the newest batch.
    last: u64,
    /// Uses and attempts that were not told and will not be.
    dropped: u64,
    failures: u32,
    next_try: Option<Instant>,
    said: Option<Instant>,
}

#[derive(Clone)]
struct Batch {
    number: u64,
    usage: Vec<Value>,
    attempts: Vec<Value>,
    dropped: u64,
    /// Uses and attempts in it.
    count: u64,
    /// It was sent, and may have arrived.
    tried: bool,
}

/// What became of a change of a bucket.
pub enum Changed {
    Done,
    Taken,
    Missing,
    Denied,
    Unknown,
}

impl Reporter {
    /// `handle` is the state that is followed.
    pub fn new(to: ReportTo, handle: StateHandle) -> Self {
        let mut bytes = [0; 8];
        OsDice::default().fill(&mut bytes);
        Self {
            client: to.client,
            key: to.access_key_id,
            node: format!("node-{:016x}", u64::from_le_bytes(bytes)),
            handle,
            queue: Mutex::default(),
        }
    }

    /// The org that it speaks for.
    pub fn org(&self) -> Option<OrgUid> {
        self.handle.state().key(&self.key).map(|key| key.org)
    }

    /// Keeps what was counted until it is told.
    pub fn keep(&self, rollup: &Rollup) {
        let state = self.handle.state();
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = rollup.usage_dropped.saturating_add(rollup.attempts_dropped);
        queue.dropped = queue.dropped.saturating_add(lost);
        if self.org() != Some(rollup.org) {
            queue.dropped = queue.dropped.saturating_add(counted(rollup));
            return;
        }
        let name = |uid| state.key_by_uid(uid).map(|key| key.id.to_string());
        let mut rows = Vec::new();
        for used in &rollup.usage {
            let Some(id) = name(used.key) else { continue };
            let count = used.tuples.iter().map(|tuple| tuple.count).fold(used.other, u64::saturating_add);
            let tuples: Vec<Value> = used.tuples.iter().map(tuple).collect();
            let row = json!({ "access_key_id": id, "other": used.other, "tuples": tuples });
            rows.push((true, row, count, used.tuples.len().max(1)));
        }
        for it in &rollup.attempts {
            let Some(id) = name(it.key) else { continue };
            let row = json!({
                "access_key_id": id, "status": it.status, "source_ip": it.source_ip, "user_agent": it.user_agent,
                "count": it.count, "first_at": it.first_at.to_string(), "last_at": it.last_at.to_string(),
            });
            rows.push((false, row, it.count, 1));
        }
        let mut batch = Batch::empty();
        let mut size = 0;
        for (is_use, row, count, weight) in rows {
            if size > 0 && size + weight > BATCH_ROWS {
                queue.push(std::mem::replace(&mut batch, Batch::empty()));
                size = 0;
            }
            size += weight;
            batch.count = batch.count.saturating_add(count);
            if is_use { batch.usage.push(row) } else { batch.attempts.push(row) }
        }
        if size > 0 {
            queue.push(batch);
        }
    }

    /// Tells the oldest batch, when it is time to; whether there may be more to tell at once.
    pub fn tell(&self) -> bool {
        let batch = {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            if queue.next_try.is_some_and(|next| Instant::now() < next) {
                return false;
            }
            let is_due = queue.dropped > 0 || queue.said.is_none_or(|said| said.elapsed() >= SAY_EVERY);
            if queue.batches.is_empty() && is_due {
                queue.push(Batch::empty());
            }
            let dropped = std::mem::take(&mut queue.dropped);
            match queue.batches.front_mut() {
                Some(batch) if !batch.tried => {
                    (batch.tried, batch.dropped) = (true, dropped);
                    batch.clone()
                }
                // What it said was dropped stays what it says: the server may have it already.
                Some(batch) => {
                    let batch = batch.clone();
                    queue.dropped = dropped;
                    batch
                }
                None => return false,
            }
        };
        let told = self.client.ask_once(&self.request(&batch));
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match told {
            Ok(told) if is_taken(&told) => {
                queue.forget(batch.number);
                (queue.failures, queue.next_try, queue.said) = (0, None, Some(Instant::now()));
                true
            }
            Ok(told) if told.status < 500 => {
                tracing::error!(status = told.status, code = code(&told), "the server refuses what was seen of keys");
                // Kept all the same: the key may be given the right in a while.
                queue.wait();
                false
            }
            told => {
                let why = told.map_or_else(|error| error.to_string(), |told| format!("status {}", told.status));
                tracing::warn!(why, kept = queue.batches.len(), "what was seen of keys could not be told");
                queue.wait();
                false
            }
        }
    }

    fn request(&self, batch: &Batch) -> Ask {
        let body = json!({
            "node": self.node, "batch": batch.number, "applied_seq": self.handle.seq().0, "dropped": batch.dropped,
            "usage": batch.usage, "attempts": batch.attempts,
        });
        Ask {
            method: "POST",
            path: "/api/v1/node/reports".to_owned(),
            body: Some(Body(body.to_string().into_bytes().into())),
            token: None,
            reason: None,
        }
    }

    /// Registers a bucket to the org, or forgets it.
    pub fn change(&self, bucket: &BucketName, register: bool) -> Changed {
        let path = format!("/api/v1/node/buckets/{}", segment(bucket.as_str()));
        let method = if register { "PUT" } else { "DELETE" };
        // Both are the same however often they are asked for.
        let ask = Ask { method, path, body: None, token: None, reason: None };
        for attempt in 0..3 {
            match self.client.ask_once(&ask) {
                Ok(told) if (200..300).contains(&told.status) => return Changed::Done,
                Ok(told) if told.status == 409 && code(&told) == "already-exists" => return Changed::Taken,
                Ok(told) if told.status == 404 => return Changed::Missing,
                Ok(told) if matches!(told.status, 401 | 403) => return Changed::Denied,
                Ok(told) => tracing::warn!(status = told.status, code = code(&told), "a bucket could not be reported"),
                Err(error @ (Unanswered::Lost { .. } | Unanswered::Unreached { .. })) => {
                    tracing::warn!(%error, "a bucket could not be reported");
                }
                Err(error) => {
                    tracing::error!(%error, "a bucket could not be reported");
                    return Changed::Unknown;
                }
            }
            std::thread::sleep(PAUSE * (attempt + 1));
        }
        Changed::Unknown
    }
}

impl Batch {
    fn empty() -> Self {
        Self { number: 0, usage: Vec::new(), attempts: Vec::new(), dropped: 0, count: 0, tried: false }
    }
}

impl Queue {
    fn push(&mut self, mut batch: Batch) {
        while self.batches.len() >= BATCHES_MAX {
            if let Some(oldest) = self.batches.pop_front() {
                self.dropped = self.dropped.saturating_add(oldest.count).saturating_add(oldest.dropped);
            }
        }
        self.last += 1;
        batch.number = self.last;
        self.batches.push_back(batch);
    }

    fn forget(&mut self, number: u64) {
        if self.batches.front().is_some_and(|batch| batch.number == number) {
            self.batches.pop_front();
        }
    }

    fn wait(&mut self) {
        let pause = PAUSE.saturating_mul(1 << self.failures.min(10)).min(PAUSE_MAX);
        self.failures += 1;
        self.next_try = Some(Instant::now() + pause);
    }
}

/// Done now, or by an attempt whose answer was lost.
fn is_taken(told: &Told) -> bool {
    (200..300).contains(&told.status) || (told.status == 409 && code(told) == "idempotency-conflict")
}

fn code(told: &Told) -> String {
    let problem: Map<String, Value> = serde_json::from_slice(&told.body).unwrap_or_default();
    problem.get("code").and_then(Value::as_str).unwrap_or_default().chars().take(64).collect()
}

fn tuple(tuple: &UsageTuple) -> Value {
    json!({
        "secret_version": tuple.secret_version, "service": tuple.service, "region": tuple.region,
        "bucket": tuple.bucket.as_ref().map(BucketName::as_str), "action_class": tuple.action_class,
        "source_ip": tuple.source_ip, "user_agent": tuple.user_agent, "signature": tuple.signature,
        "outcome": tuple.outcome, "count": tuple.count, "bytes_in": tuple.bytes_in, "bytes_out": tuple.bytes_out,
        "first_at": tuple.first_at.to_string(), "last_at": tuple.last_at.to_string(),
    })
}

fn counted(rollup: &Rollup) -> u64 {
    let uses = rollup.usage.iter().flat_map(|used| used.tuples.iter().map(|tuple| tuple.count).chain([used.other]));
    uses.chain(rollup.attempts.iter().map(|attempt| attempt.count)).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_to_keep_is_dropped_from_the_oldest_on_and_counted() {
        let mut queue = Queue::default();
        for _ in 0..BATCHES_MAX + 3 {
            queue.push(Batch { count: 10, dropped: 1, ..Batch::empty() });
        }
        assert_eq!((queue.batches.len(), queue.dropped), (BATCHES_MAX, 33));
        let numbers: Vec<u64> = queue.batches.iter().map(|batch| batch.number).collect();
        assert!(numbers.is_sorted() && numbers.first() == Some(&4), "{numbers:?}");
        queue.forget(5);
        assert_eq!(queue.batches.len(), BATCHES_MAX, "what was told may be gone by then, and another first");
        queue.forget(4);
        assert_eq!(queue.batches.len(), BATCHES_MAX - 1);
    }

    #[test]
    fn each_failure_waits_longer_up_to_a_minute() {
        let mut queue = Queue::default();
        let mut waits = Vec::new();
        for _ in 0..12 {
            let now = Instant::now();
            queue.wait();
            waits.push(queue.next_try.map_or(0, |next| (next - now).as_secs()));
        }
        assert!(waits.is_sorted() && waits.first() == Some(&0) && waits.last() == Some(&60), "{waits:?}");
    }
}
