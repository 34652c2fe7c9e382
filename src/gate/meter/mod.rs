//! Counts uses of keys and attempts with dead ones, without holding a request up (`product.md` §9).
//!
//! Every thread counts in a shard of its own, which only [`Meter::take`] ever wants beside it, for as long as it takes to swap a
//! map. A shard that is taken is passed over for the next one; when all are, the count is dropped, and that is counted.
//!
//! Invariants
//! - Counting never waits and never fails. What was counted is written once; what was not is among the dropped.
//! - Memory is bounded: keys, rows a key ([`TUPLES_MAX`]), rows in all ([`ROWS_A_KEY`] times the keys) and bytes a row.
//!
//! Not here: when what is due (`book`), the budget of bytes and the commit (whoever writes).

mod book;

use super::Rollup;
use crate::model::usage::{KeyUsage, Rejected, UsageTuple};
use crate::model::{BucketName, KeyUid, OrgUid, Time};
use crate::state::KeyStatus;
use book::Book;
use compact_str::{CompactString, ToCompactString as _};
use foldhash::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};

/// Different uses of a key between two rollups; more are counted together as other.
const TUPLES_MAX: usize = 64;
/// Rows in all, for each key there may be. Most keys have one or two.
const ROWS_A_KEY: usize = 4;
/// Bytes of a user agent.
const AGENT_BYTES_MAX: usize = 256;

/// A use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Use<'a> {
    pub key: KeyUid,
    pub org: OrgUid,
    pub secret_version: u32,
    pub service: &'static str,
    pub region: &'a str,
    pub bucket: Option<&'a BucketName>,
    pub class: &'static str,
    pub source_ip: IpAddr,
    pub user_agent: &'a str,
    pub signature: &'static str,
    pub outcome: &'a str,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// A use that was counted; equal ones are one row.
#[derive(Debug, Clone)]
struct Row {
    secret_version: u32,
    service: &'static str,
    region: CompactString,
    bucket: Option<BucketName>,
    class: &'static str,
    source_ip: IpAddr,
    user_agent: CompactString,
    signature: &'static str,
    outcome: CompactString,
    count: u64,
    bytes_in: u64,
    bytes_out: u64,
    first_at: Time,
    last_at: Time,
}

/// An attempt with a key that cannot be used.
#[derive(Debug, Clone)]
struct Attempt {
    status: KeyStatus,
    source_ip: IpAddr,
    user_agent: CompactString,
    count: u64,
    first_at: Time,
    last_at: Time,
}

/// What was counted of a key and not yet taken.
#[derive(Debug)]
struct Counted {
    org: OrgUid,
    rows: Vec<Row>,
    /// Uses that did not fit the rows.
    other: u64,
    attempts: Vec<Attempt>,
    attempts_dropped: u64,
}

/// What some threads have counted.
#[derive(Debug, Default)]
struct Shard {
    keys: HashMap<KeyUid, Counted>,
    /// Of all keys together, attempts among them.
    rows: usize,
}

/// The counters of a gate.
pub(super) struct Meter {
    shards: Box<[Mutex<Shard>]>,
    keys_max: usize,
    dropped: Dropped,
    book: Mutex<Book>,
}

/// What could not be counted by key.
#[derive(Default)]
struct Dropped {
    uses: AtomicU64,
    attempts: AtomicU64,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}

/// The first shard a thread tries.
fn own_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    OWN.with(|own| *own)
}

fn cut(text: &str) -> &str {
    let end = (0..=AGENT_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

impl Meter {
    /// `shards`: threads that count at once, about.
    pub fn new(keys_max: usize, shards: usize) -> Self {
        let shards = shards.max(1);
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            keys_max: keys_max.max(1),
            dropped: Dropped::default(),
            book: Mutex::new(Book::new(keys_max.max(1))),
        }
    }

    pub fn used(&self, one: &Use<'_>, at: Time) {
        let counted = self.count(one.key, one.org, |counted, has_room| {
            let agent = cut(one.user_agent);
            // The row that was last counted stands last: most keys do the same thing again.
            match counted.rows.iter().rposition(|row| row.is(one, agent)) {
                Some(place) => counted.rows[place].add(1, one.bytes_in, one.bytes_out, at, at),
                None if has_room && counted.rows.len() < TUPLES_MAX => counted.rows.push(Row::of(one, agent, at)),
                None => counted.other += 1,
            }
        });
        if !counted {
            self.dropped.uses.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn rejected(&self, key: KeyUid, org: OrgUid, status: KeyStatus, from: (IpAddr, &str), at: Time) {
        let (source_ip, agent) = (from.0, cut(from.1));
        let counted = self.count(key, org, |counted, has_room| {
            let is = |attempt: &Attempt| {
                attempt.status == status && attempt.source_ip == source_ip && attempt.user_agent == agent
            };
            match counted.attempts.iter().rposition(is) {
                Some(place) => counted.attempts[place].add(1, at, at),
                None if has_room && counted.attempts.len() < TUPLES_MAX => {
                    let user_agent = agent.into();
                    counted.attempts.push(Attempt {
                        status,
                        source_ip,
                        user_agent,
                        count: 1,
                        first_at: at,
                        last_at: at,
                    });
                }
                None => counted.attempts_dropped += 1,
            }
        });
        if !counted {
            self.dropped.attempts.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// False when it could not be counted.
    fn count(&self, key: KeyUid, org: OrgUid, add: impl FnOnce(&mut Counted, bool)) -> bool {
        let first = own_shard();
        for step in 0..self.shards.len() {
            let shard = &self.shards[(first + step) % self.shards.len()];
            let mut shard = match shard.try_lock() {
                Ok(shard) => shard,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => continue,
            };
            let Shard { keys, rows } = &mut *shard;
            if keys.len() >= self.keys_max && !keys.contains_key(&key) {
                return false;
            }
            let counted = keys.entry(key).or_insert_with(|| Counted::none(org));
            let before = counted.rows.len() + counted.attempts.len();
            add(counted, *rows < ROWS_A_KEY * self.keys_max);
            *rows += counted.rows.len() + counted.attempts.len() - before;
            return true;
        }
        false
    }

    /// What is due to be written at `now`.
    pub fn take(&self, now: Time) -> Vec<Rollup> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        for shard in &self.shards {
            let counted = std::mem::take(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner));
            for (key, counted) in counted.keys {
                book.add(key, counted);
            }
        }
        book.drop_uses(self.dropped.uses.swap(0, Ordering::Relaxed));
        book.drop_attempts(self.dropped.attempts.swap(0, Ordering::Relaxed));
        book.take(now)
    }
}

impl Counted {
    fn none(org: OrgUid) -> Self {
        Self { org, rows: Vec::new(), other: 0, attempts: Vec::new(), attempts_dropped: 0 }
    }
}

impl Row {
    fn of(one: &Use<'_>, agent: &str, at: Time) -> Self {
        Self {
            secret_version: one.secret_version,
            service: one.service,
            region: one.region.into(),
            bucket: one.bucket.cloned(),
            class: one.class,
            source_ip: one.source_ip,
            user_agent: agent.into(),
            signature: one.signature,
            outcome: one.outcome.into(),
            count: 1,
            bytes_in: one.bytes_in,
            bytes_out: one.bytes_out,
            first_at: at,
            last_at: at,
        }
    }

    fn is(&self, one: &Use<'_>, agent: &str) -> bool {
        self.secret_version == one.secret_version
            && self.class == one.class
            && self.source_ip == one.source_ip
            && self.bucket.as_ref() == one.bucket
            && self.outcome == one.outcome
            && self.signature == one.signature
            && self.service == one.service
            && self.region == one.region
            && self.user_agent == agent
    }

    fn same(&self, other: &Row) -> bool {
        let one = Use {
            key: KeyUid([0; 16]),
            org: OrgUid([0; 16]),
            secret_version: other.secret_version,
            service: other.service,
            region: &other.region,
            bucket: other.bucket.as_ref(),
            class: other.class,
            source_ip: other.source_ip,
            user_agent: &other.user_agent,
            signature: other.signature,
            outcome: &other.outcome,
            bytes_in: 0,
            bytes_out: 0,
        };
        self.is(&one, &other.user_agent)
    }

    fn add(&mut self, count: u64, bytes_in: u64, bytes_out: u64, first: Time, last: Time) {
        self.count += count;
        self.bytes_in = self.bytes_in.saturating_add(bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(bytes_out);
        self.first_at = self.first_at.min(first);
        self.last_at = self.last_at.max(last);
    }

    fn into_tuple(self) -> UsageTuple {
        UsageTuple {
            secret_version: self.secret_version,
            service: self.service.into(),
            region: self.region,
            bucket: self.bucket,
            action_class: self.class.into(),
            source_ip: self.source_ip.to_compact_string(),
            user_agent: self.user_agent,
            signature: self.signature.into(),
            outcome: self.outcome,
            count: self.count,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            first_at: self.first_at,
            last_at: self.last_at,
        }
    }
}

impl Attempt {
    fn add(&mut self, count: u64, first: Time, last: Time) {
        self.count += count;
        self.first_at = self.first_at.min(first);
        self.last_at = self.last_at.max(last);
    }

    fn into_rejected(self, key: KeyUid) -> Rejected {
        Rejected {
            key,
            status: self.status.as_str().into(),
            source_ip: self.source_ip.to_compact_string(),
            user_agent: self.user_agent,
            count: self.count,
            first_at: self.first_at,
            last_at: self.last_at,
        }
    }
}
