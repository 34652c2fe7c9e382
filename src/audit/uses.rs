//! Uses of a key: from rollups of our own nodes and from imported calls, counted the same way.
//!
//! Not here: what a key *changed*; those are facts with it as their actor.

use super::mention::actor_key;
use super::report::{EventRef, Stamp};
use crate::model::{Event, KeyUid, Outcome, Time};
use crate::state::Fact;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How uses ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    Ok,
    /// For want of rights.
    Denied,
    /// For another reason.
    Failed,
    /// The key itself was turned away: revoked, deleted, expired.
    Rejected,
}

/// Some uses alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use<'a> {
    pub event: EventRef,
    pub first: Time,
    pub last: Time,
    pub count: u64,
    pub ended: Ended,
    /// `ok`, an error code, or the key's status when it was turned away.
    pub code: &'a str,
    pub service: &'a str,
    /// An API call (`GetObject`), or a rollup's class (`read`).
    pub action: &'a str,
    pub region: &'a str,
    pub bucket: Option<&'a str>,
    pub resource: Option<&'a str>,
    pub address: &'a str,
    pub agent: &'a str,
    /// Of live keys.
    pub secret_version: Option<u32>,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// Calls `f` with every use of `key` in a fact. `is_first` says whether this is the first fact of its record: a call is one use,
/// however much it changed.
pub fn uses_in<'a>(fact: &Fact<'a>, is_first: bool, key: KeyUid, f: &mut impl FnMut(Use<'a>)) {
    each_use(fact, is_first, &mut |by, used| {
        if by == key {
            f(used);
        }
    });
}

/// Calls `f` with every use in a fact, and whose it is.
pub fn each_use<'a>(fact: &Fact<'a>, is_first: bool, f: &mut impl FnMut(KeyUid, Use<'a>)) {
    let event = EventRef(fact.id);
    match fact.event {
        Event::UsageRolledUp { keys, .. } => {
            for usage in keys {
                for tuple in &usage.tuples {
                    f(
                        usage.key,
                        Use {
                            event,
                            first: tuple.first_at,
                            last: tuple.last_at,
                            count: tuple.count,
                            ended: match tuple.outcome.as_str() {
                                "ok" => Ended::Ok,
                                "AccessDenied" => Ended::Denied,
                                _ => Ended::Failed,
                            },
                            code: &tuple.outcome,
                            service: &tuple.service,
                            action: &tuple.action_class,
                            region: &tuple.region,
                            bucket: tuple.bucket.as_ref().map(crate::model::BucketName::as_str),
                            resource: None,
                            address: &tuple.source_ip,
                            agent: &tuple.user_agent,
                            secret_version: Some(tuple.secret_version),
                            bytes_in: tuple.bytes_in,
                            bytes_out: tuple.bytes_out,
                        },
                    );
                }
                if usage.other > 0 {
                    f(usage.key, bare(event, fact.effective_at, usage.other));
                }
            }
        }
        Event::AttemptsRolledUp { attempts, .. } => {
            for attempt in attempts {
                f(
                    attempt.key,
                    Use {
                        first: attempt.first_at,
                        last: attempt.last_at,
                        ended: Ended::Rejected,
                        code: &attempt.status,
                        address: &attempt.source_ip,
                        agent: &attempt.user_agent,
                        ..bare(event, attempt.last_at, attempt.count)
                    },
                );
            }
        }
        _ => {
            let (Some(record), true) = (fact.record, is_first) else { return };
            let Some(key) = actor_key(fact) else { return };
            let observed = fact.observed();
            f(
                key,
                Use {
                    ended: match &record.outcome {
                        Outcome::Ok => Ended::Ok,
                        Outcome::Denied { .. } => Ended::Denied,
                        Outcome::Failed { .. } => Ended::Failed,
                    },
                    code: record.outcome.as_str(),
                    service: record.service(),
                    action: &record.event_name,
                    region: &record.region,
                    bucket: observed.and_then(|o| o.bucket.as_ref()).map(crate::model::BucketName::as_str),
                    resource: observed.and_then(|o| o.resource.as_deref()),
                    address: &record.source_ip,
                    agent: &record.user_agent,
                    bytes_in: observed.map_or(0, |o| o.bytes_in),
                    bytes_out: observed.map_or(0, |o| o.bytes_out),
                    ..bare(event, fact.effective_at, 1)
                },
            );
        }
    }
}

fn bare<'a>(event: EventRef, at: Time, count: u64) -> Use<'a> {
    Use {
        event,
        first: at,
        last: at,
        count,
        ended: Ended::Ok,
        code: "ok",
        service: "",
        action: "",
        region: "",
        bucket: None,
        resource: None,
        address: "",
        agent: "",
        secret_version: None,
        bytes_in: 0,
        bytes_out: 0,
    }
}

const HOUR: i64 = 3_600_000_000_000;

/// How many events a row names at most; the count beside them says how many there were.
pub const EVENTS_NAMED_MAX: usize = 20;

/// Uses added up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Tally {
    pub ok: u64,
    pub denied: u64,
    pub failed: u64,
    pub rejected: u64,
    pub first: Option<Stamp>,
    pub last: Option<Stamp>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// The first of them.
    pub events: Vec<EventRef>,
}

impl Tally {
    pub fn add(&mut self, used: &Use<'_>) {
        let count = match used.ended {
            Ended::Ok => &mut self.ok,
            Ended::Denied => &mut self.denied,
            Ended::Failed => &mut self.failed,
            Ended::Rejected => &mut self.rejected,
        };
        *count = count.saturating_add(used.count);
        self.first = Some(self.first.map_or(Stamp(used.first), |first| first.min(Stamp(used.first))));
        self.last = Some(self.last.map_or(Stamp(used.last), |last| last.max(Stamp(used.last))));
        self.bytes_in = self.bytes_in.saturating_add(used.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(used.bytes_out);
        if self.events.len() < EVENTS_NAMED_MAX && self.events.last() != Some(&used.event) {
            self.events.push(used.event);
        }
    }

    pub fn total(&self) -> u64 {
        [self.denied, self.failed, self.rejected].iter().fold(self.ok, |sum, n| sum.saturating_add(*n))
    }
}

/// Uses by one of their sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct TallyRow {
    pub value: String,
    /// Not seen with this key before the window.
    pub is_new: bool,
    #[serde(flatten)]
    pub tally: Tally,
}

/// Uses by all of their sides.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    pub all: Tally,
    pub addresses: BTreeMap<String, Tally>,
    pub networks: BTreeMap<String, Tally>,
    pub agents: BTreeMap<String, Tally>,
    /// `s3:GetObject`.
    pub actions: BTreeMap<String, Tally>,
    pub regions: BTreeMap<String, Tally>,
    pub buckets: BTreeMap<String, Tally>,
    /// By the hour they began in.
    pub hours: BTreeMap<Time, u64>,
}

impl Profile {
    pub fn add(&mut self, used: &Use<'_>) {
        let side = |map: &mut BTreeMap<String, Tally>, value: String| {
            if !value.is_empty() {
                map.entry(value).or_default().add(used);
            }
        };
        side(&mut self.addresses, used.address.to_owned());
        side(&mut self.networks, super::address::network_of(used.address));
        side(&mut self.agents, used.agent.to_owned());
        if !used.action.is_empty() {
            side(&mut self.actions, format!("{}:{}", used.service, used.action));
        }
        side(&mut self.regions, used.region.to_owned());
        side(&mut self.buckets, used.bucket.unwrap_or_default().to_owned());
        let hour = Time(used.first.0.div_euclid(HOUR).saturating_mul(HOUR));
        let count = self.hours.entry(hour).or_default();
        *count = count.saturating_add(used.count);
        self.all.add(used);
    }

    /// The rows of one side, the most used first; what `known` does not hold is new.
    #[must_use]
    pub fn rows(side: &BTreeMap<String, Tally>, known: Option<&BTreeMap<String, Tally>>) -> Vec<TallyRow> {
        let is_new = |value: &String| known.is_some_and(|known| !known.contains_key(value));
        let mut rows: Vec<TallyRow> = side
            .iter()
            .map(|(value, tally)| TallyRow { value: value.clone(), is_new: is_new(value), tally: tally.clone() })
            .collect();
        rows.sort_by(|a, b| (b.is_new, b.tally.total(), &a.value).cmp(&(a.is_new, a.tally.total(), &b.value)));
        rows
    }

    /// The values of one side.
    #[must_use]
    pub fn values(side: &BTreeMap<String, Tally>) -> BTreeSet<String> {
        side.keys().cloned().collect()
    }
}

/// A key's use in a few numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct UseSummary {
    #[serde(flatten)]
    pub tally: Tally,
    pub addresses: usize,
    pub agents: usize,
    /// The ten most called.
    pub actions: Vec<String>,
}

impl From<&Profile> for UseSummary {
    fn from(profile: &Profile) -> Self {
        let actions = Profile::rows(&profile.actions, None);
        Self {
            tally: profile.all.clone(),
            addresses: profile.addresses.len(),
            agents: profile.agents.len(),
            actions: actions.into_iter().take(10).map(|row| row.value).collect(),
        }
    }
}
