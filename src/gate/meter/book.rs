//! When what was counted is written.
//!
//! | what is new about a key | written |
//! |---|---|
//! | its first use, or a service, source or secret version never seen of it | at once |
//! | another kind of use, an attempt with a dead key | with the org's next rollup, 60 s after its last |
//! | nothing but counts | with the org's rollup, 15 min after the key's last |
//!
//! Invariants
//! - What was seen of a key is remembered up to a bound; beyond it nothing is new any more, so that nobody makes a ledger write at
//!   once by coming from ever new addresses.
//!
//! Not here: what was seen before this process began: then everything is new once more.

use super::super::Rollup;
use super::{Attempt, Counted, KeyUsage, ROWS_A_KEY, Row, TUPLES_MAX};
use crate::model::{KeyUid, OrgUid, Time};
use foldhash::{HashMap, HashMapExt as _};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hash};

const ORG_EVERY_NS: i64 = 60 * 1_000_000_000;
const KEY_EVERY_NS: i64 = 15 * 60 * 1_000_000_000;
/// Services, sources and secret versions that are remembered of a key, and kinds of use.
const SEEN_MAX: usize = 256;

/// How soon a key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Due {
    #[default]
    Later,
    NextRollup,
    AtOnce,
}

/// What is known of a key.
#[derive(Debug, Default)]
struct Known {
    org: Option<OrgUid>,
    rows: Vec<Row>,
    other: u64,
    attempts: Vec<Attempt>,
    due: Due,
    /// Hashes of what makes a use urgent when it is new, and of whole uses.
    seen: Vec<u64>,
    uses_seen: Vec<u64>,
    written_at: Option<Time>,
}

impl Known {
    fn is_idle(&self) -> bool {
        self.rows.is_empty() && self.other == 0 && self.attempts.is_empty()
    }
}

/// What orgs have not been told yet.
#[derive(Debug, Default)]
struct OrgBook {
    written_at: Option<Time>,
    uses_dropped: u64,
    attempts_dropped: u64,
}

/// Everything counted and not yet written.
#[derive(Debug)]
pub(super) struct Book {
    keys: HashMap<KeyUid, Known>,
    orgs: HashMap<OrgUid, OrgBook>,
    keys_max: usize,
    /// Of all keys together, attempts among them.
    rows: usize,
    /// Of no org that is known.
    uses_dropped: u64,
    attempts_dropped: u64,
    hasher: foldhash::fast::RandomState,
}

/// Whether it was not among `seen` and is now.
fn note(seen: &mut Vec<u64>, hash: u64) -> bool {
    if seen.contains(&hash) || seen.len() >= SEEN_MAX {
        return false;
    }
    seen.push(hash);
    true
}

impl Book {
    pub fn new(keys_max: usize) -> Self {
        Self {
            keys: HashMap::new(),
            orgs: HashMap::new(),
            keys_max,
            rows: 0,
            uses_dropped: 0,
            attempts_dropped: 0,
            hasher: foldhash::fast::RandomState::default(),
        }
    }

    pub fn drop_uses(&mut self, count: u64) {
        self.uses_dropped += count;
    }

    pub fn drop_attempts(&mut self, count: u64) {
        self.attempts_dropped += count;
    }

    pub fn add(&mut self, key: KeyUid, counted: Counted) {
        let org = self.orgs.entry(counted.org).or_default();
        org.attempts_dropped += counted.attempts_dropped;
        if !self.keys.contains_key(&key) && self.keys.len() >= self.keys_max {
            self.keys.retain(|_, known| !known.is_idle());
            if self.keys.len() >= self.keys_max {
                org.uses_dropped += counted.rows.iter().map(|row| row.count).sum::<u64>() + counted.other;
                org.attempts_dropped += counted.attempts.iter().map(|attempt| attempt.count).sum::<u64>();
                return;
            }
        }
        let known = self.keys.entry(key).or_default();
        let before = known.rows.len() + known.attempts.len();
        let has_room = self.rows < ROWS_A_KEY * self.keys_max;
        known.org = Some(counted.org);
        known.other += counted.other;
        for row in counted.rows {
            let hash = |what: &dyn Fn(&mut foldhash::fast::FoldHasher<'_>)| {
                use std::hash::Hasher as _;
                let mut hasher = self.hasher.build_hasher();
                what(&mut hasher);
                hasher.finish()
            };
            let urgent = [
                hash(&|h| (0_u8, row.service).hash(h)),
                hash(&|h| (1_u8, row.source_ip).hash(h)),
                hash(&|h| (2_u8, row.secret_version).hash(h)),
            ];
            let is_new = urgent.map(|hash| note(&mut known.seen, hash)).contains(&true);
            let of_use = hash(&|h| {
                (row.secret_version, row.service, &row.region, &row.bucket, row.class).hash(h);
                (row.source_ip, &row.user_agent, row.signature, &row.outcome).hash(h);
            });
            let is_other = note(&mut known.uses_seen, of_use);
            let due = if is_new {
                Due::AtOnce
            } else if is_other {
                Due::NextRollup
            } else {
                Due::Later
            };
            known.due = known.due.max(due);
            match known.rows.iter().position(|own| own.same(&row)) {
                Some(at) => known.rows[at].add(row.count, row.bytes_in, row.bytes_out, row.first_at, row.last_at),
                None if has_room && known.rows.len() < TUPLES_MAX => known.rows.push(row),
                None => known.other += row.count,
            }
        }
        for attempt in counted.attempts {
            let same = |own: &Attempt| {
                own.status == attempt.status
                    && own.source_ip == attempt.source_ip
                    && own.user_agent == attempt.user_agent
            };
            match known.attempts.iter().position(same) {
                Some(at) => known.attempts[at].add(attempt.count, attempt.first_at, attempt.last_at),
                None if has_room && known.attempts.len() < TUPLES_MAX => known.attempts.push(attempt),
                None => org.attempts_dropped += attempt.count,
            }
        }
        self.rows += known.rows.len() + known.attempts.len() - before;
    }

    pub fn take(&mut self, now: Time) -> Vec<Rollup> {
        let is_due = |at: Option<Time>, every: i64| at.is_none_or(|at| now.ns_since(at) >= every);
        let mut rollups: BTreeMap<OrgUid, Rollup> = BTreeMap::new();
        for (uid, known) in &mut self.keys {
            let Some(org) = known.org.filter(|_| !known.is_idle()) else { continue };
            let org_is_due = is_due(self.orgs.get(&org).and_then(|org| org.written_at), ORG_EVERY_NS);
            let uses = !known.rows.is_empty() || known.other > 0;
            let write_uses = uses
                && match known.due {
                    Due::AtOnce => true,
                    Due::NextRollup => org_is_due,
                    Due::Later => org_is_due && is_due(known.written_at, KEY_EVERY_NS),
                };
            let write_attempts = org_is_due && !known.attempts.is_empty();
            if !write_uses && !write_attempts {
                continue;
            }
            let rollup = rollups.entry(org).or_insert_with(|| Rollup::of(org));
            if write_uses {
                self.rows -= known.rows.len();
                let tuples = std::mem::take(&mut known.rows).into_iter().map(Row::into_tuple).collect();
                rollup.usage.push(KeyUsage { key: *uid, tuples, other: std::mem::take(&mut known.other) });
                known.due = Due::Later;
                known.written_at = Some(now);
            }
            if write_attempts {
                self.rows -= known.attempts.len();
                let attempts = std::mem::take(&mut known.attempts);
                rollup.attempts.extend(attempts.into_iter().map(|attempt| attempt.into_rejected(*uid)));
            }
        }
        for (uid, org) in &mut self.orgs {
            let is_due = is_due(org.written_at, ORG_EVERY_NS);
            if is_due && org.uses_dropped + org.attempts_dropped > 0 {
                rollups.entry(*uid).or_insert_with(|| Rollup::of(*uid));
            }
            if let Some(rollup) = rollups.get_mut(uid) {
                rollup.usage_dropped += std::mem::take(&mut org.uses_dropped);
                rollup.attempts_dropped += std::mem::take(&mut org.attempts_dropped);
                if is_due {
                    org.written_at = Some(now);
                }
            }
        }
        // What belongs to no org that is known is told to one: dropped counts say how far the others can be believed.
        if let Some(rollup) = rollups.values_mut().next() {
            rollup.usage_dropped += std::mem::take(&mut self.uses_dropped);
            rollup.attempts_dropped += std::mem::take(&mut self.attempts_dropped);
        }
        let mut rollups: Vec<Rollup> = rollups.into_values().collect();
        for rollup in &mut rollups {
            rollup.usage.sort_unstable_by_key(|usage| usage.key);
            rollup.attempts.sort_by_key(|attempt| attempt.key);
        }
        rollups
    }
}

impl Rollup {
    fn of(org: OrgUid) -> Self {
        Self { org, usage: Vec::new(), usage_dropped: 0, attempts: Vec::new(), attempts_dropped: 0 }
    }
}
