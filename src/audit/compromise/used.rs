//! What the key was used for, before the window and in it, and who would miss it.
//!
//! Not here: what it made (`tree`), what follows from all that (`judged`).

use super::super::biography::stopped_at;
use super::super::gather::Kept;
use super::super::known;
use super::super::names::{KeyPlace, Worlds};
use super::super::report::{EventRef, Stamp};
use super::super::uses::{EVENTS_NAMED_MAX, Ended, Profile, Tally, Use, uses_in};
use super::CompromiseOptions;
use super::report::{AfterStop, Client, DenialRow, Exposure, RansomRow};
use crate::model::{KeyUid, Time};
use std::collections::{BTreeMap, BTreeSet};

/// Uses of the key, before and in the window.
#[derive(Default)]
pub(super) struct Used {
    pub baseline: Profile,
    pub window: Profile,
    pub denied: BTreeMap<(String, String, String), Tally>,
    /// By address and how they ended.
    pub after: BTreeMap<(String, Ended, String), Tally>,
    /// Deletes, writes, reads by address, and calls that take away the means to restore.
    impact: BTreeMap<String, Impact>,
    deletes_before: u64,
    /// By user agent and network, in the days whose uses are taken for legitimate.
    clients: BTreeMap<(String, String), Tally>,
    last_ok: Option<Time>,
}

#[derive(Default)]
struct Impact {
    deletes: u64,
    writes: u64,
    reads: u64,
    calls: BTreeSet<String>,
    events: Vec<EventRef>,
}

impl Used {
    pub fn read(
        &mut self,
        facts: &[Kept],
        uids: &BTreeSet<KeyUid>,
        options: &CompromiseOptions,
        stop_and_now: (Option<Time>, Time),
    ) {
        let mut last_id = None;
        for kept in facts {
            kept.with(|fact| {
                let is_first = last_id != Some(fact.id);
                last_id = Some(fact.id);
                for uid in uids {
                    uses_in(fact, is_first, *uid, &mut |used| self.add(&used, options, stop_and_now));
                }
            });
        }
    }

    fn add(&mut self, used: &Use<'_>, options: &CompromiseOptions, (stop, now): (Option<Time>, Time)) {
        let end = options.since.unwrap_or(now);
        let begin = end.plus_ns(-i64::from(options.clients_days) * 86_400_000_000_000);
        if used.ended != Ended::Rejected && used.last >= begin && used.last < end {
            let client = (used.agent.to_owned(), super::super::address::network_of(used.address));
            self.clients.entry(client).or_default().add(used);
        }
        let is_late = used.ended == Ended::Rejected || stop.is_some_and(|stop| used.first >= stop);
        if is_late {
            let row = (used.address.to_owned(), used.ended, used.code.to_owned());
            self.after.entry(row).or_default().add(used);
        }
        if used.ended == Ended::Rejected {
            return;
        }
        if options.since.is_some_and(|since| used.last < since) {
            self.baseline.add(used);
            if is_delete(used.action) {
                self.deletes_before = self.deletes_before.saturating_add(used.count);
            }
            return;
        }
        if !options.has(used.first, used.last) {
            return;
        }
        self.window.add(used);
        if used.ended == Ended::Ok {
            self.last_ok = self.last_ok.max(Some(used.last));
            self.note_impact(used);
        } else {
            let action = format!("{}:{}", used.service, used.action);
            let row = (action, used.code.to_owned(), used.address.to_owned());
            self.denied.entry(row).or_default().add(used);
        }
    }

    fn note_impact(&mut self, used: &Use<'_>) {
        let is_s3 = used.service == "s3";
        let takes_away = known::what(used.action) == Some(known::Notable::Impact);
        if !is_s3 && !takes_away {
            return;
        }
        let impact = self.impact.entry(used.address.to_owned()).or_default();
        let count = if is_delete(used.action) {
            &mut impact.deletes
        } else if used.action == "write" || used.action.starts_with("Put") || used.action.starts_with("Copy") {
            &mut impact.writes
        } else {
            &mut impact.reads
        };
        *count = count.saturating_add(used.count);
        if takes_away {
            impact.calls.insert(used.action.to_owned());
        }
        if impact.events.len() < EVENTS_NAMED_MAX && (takes_away || is_delete(used.action)) {
            impact.events.push(used.event);
        }
    }

    /// What is known of a side before the window; `None` where there was no use before, so that nothing can be new.
    pub fn known<'a>(
        &'a self,
        side: impl Fn(&'a Profile) -> &'a BTreeMap<String, Tally>,
    ) -> Option<&'a BTreeMap<String, Tally>> {
        (self.baseline.all.total() > 0).then(|| side(&self.baseline))
    }

    /// Addresses that are new; where nothing can be new, all of the window.
    pub fn suspect_addresses(&self) -> BTreeSet<String> {
        suspects(&self.window.addresses, self.known(|p| &p.addresses))
    }

    pub fn suspect_agents(&self) -> BTreeSet<String> {
        suspects(&self.window.agents, self.known(|p| &p.agents))
    }

    pub fn exposure(&self, places: &[KeyPlace], options: &CompromiseOptions, worlds: &Worlds, now: Time) -> Exposure {
        let still_usable = places.iter().any(|place| worlds.status(&place.record, now).is_usable());
        let stopped = stop_of(places, now).filter(|_| !still_usable);
        let end = stopped.unwrap_or(now);
        Exposure {
            leaked_at: options.since.map(Stamp),
            first_use: self.window.all.first,
            last_use: self.window.all.last,
            last_successful_use: self.last_ok.map(Stamp),
            stopped_at: stopped.map(Stamp),
            still_usable,
            usable_after_leak_seconds: options.since.map(|since| end.ns_since(since).max(0) / 1_000_000_000),
            in_use_after_leak_seconds: match (options.since, self.last_ok) {
                (Some(since), Some(last)) => Some(last.ns_since(since).max(0) / 1_000_000_000),
                _ => None,
            },
        }
    }

    pub fn denials(&self) -> Vec<DenialRow> {
        let row = |((action, code, address), tally): (&(String, String, String), &Tally)| DenialRow {
            action: action.clone(),
            code: code.clone(),
            address: address.clone(),
            tally: tally.clone(),
        };
        let mut rows: Vec<DenialRow> = self.denied.iter().map(row).collect();
        rows.sort_by(|a, b| (a.tally.first, &a.action).cmp(&(b.tally.first, &b.action)));
        rows
    }

    pub fn after_stop(&self) -> Vec<AfterStop> {
        let row = |((address, ended, code), tally): (&(String, Ended, String), &Tally)| AfterStop {
            address: address.clone(),
            ended: *ended,
            code: code.clone(),
            tally: tally.clone(),
        };
        self.after.iter().map(row).collect()
    }

    /// Who breaks when it is revoked, the busiest first.
    pub fn clients(&self) -> Vec<Client> {
        let row = |((agent, network), tally): (&(String, String), &Tally)| Client {
            user_agent: agent.clone(),
            network: network.clone(),
            tally: tally.clone(),
        };
        let mut rows: Vec<Client> = self.clients.iter().map(row).collect();
        rows.sort_by(|a, b| (b.tally.total(), &a.user_agent).cmp(&(a.tally.total(), &b.user_agent)));
        rows
    }

    pub fn ransom(&self, options: &CompromiseOptions) -> Vec<RansomRow> {
        let mut rows: Vec<RansomRow> = self
            .impact
            .iter()
            .map(|(address, impact)| RansomRow {
                address: address.clone(),
                deletes: impact.deletes,
                writes: impact.writes,
                reads: impact.reads,
                calls: impact.calls.iter().cloned().collect(),
                looks_like_ransom: impact.deletes >= options.ransom_deletes
                    && self.deletes_before.saturating_mul(10) <= impact.deletes,
                events: impact.events.clone(),
            })
            .collect();
        rows.sort_by(|a, b| (b.deletes, &a.address).cmp(&(a.deletes, &b.address)));
        rows
    }
}

fn suspects(side: &BTreeMap<String, Tally>, known: Option<&BTreeMap<String, Tally>>) -> BTreeSet<String> {
    side.keys().filter(|value| known.is_none_or(|known| !known.contains_key(*value))).cloned().collect()
}

fn is_delete(action: &str) -> bool {
    action == "delete" || action.starts_with("DeleteObject") || action == "DeleteBucket"
}

/// Since when no place has it usable.
pub(super) fn stop_of(places: &[KeyPlace], now: Time) -> Option<Time> {
    let stops: Option<Vec<Time>> = places.iter().map(|place| stopped_at(&place.record, now)).collect();
    stops?.into_iter().max()
}
