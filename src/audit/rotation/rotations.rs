//! How keys were rotated: by pair, in place, or (in evidence) as the order of creates and stops suggests.
//!
//! Not here: keys that were not rotated though they should have been (`checks`).

use super::super::names::Worlds;
use super::super::report::{EventRef, Finding, Severity, Stamp, org_kind};
use super::RotationOptions;
use super::checks::{finding, max_age_days};
use super::trail::{Switch, SwitchTo, Trail, Trails};
use crate::model::{KeyOwner, KeyUid, OrgKind, Time, UserUid};
use crate::state::KeyRecord;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many of those who still use an old secret a finding names.
const NAMED_MAX: usize = 3;

/// One rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct RotationRow {
    /// `pair`, `in-place`, or `inferred`: a second key was made, then the first one stopped.
    pub kind: &'static str,
    pub org: String,
    pub org_kind: &'static str,
    pub owner: String,
    pub old: String,
    pub new: String,
    pub old_version: Option<u32>,
    pub new_version: Option<u32>,
    /// Age of the old secret at the switch, in days. None: older than the evidence.
    pub age_days: Option<i64>,
    /// Days beyond the allowed age (R2); 0 or less: in time.
    pub late_by_days: Option<i64>,
    pub switched_at: Stamp,
    /// When the old secret was to stop.
    pub deadline: Option<Stamp>,
    /// When it did stop.
    pub old_stopped_at: Option<Stamp>,
    /// How long both were usable, in seconds; until now where the old one still is.
    pub overlap_seconds: i64,
    pub old_last_used: Option<Stamp>,
    /// Uses of the old secret after the switch; of evidence only whether there were any.
    pub old_uses_after: u64,
    /// Who used the old secret after the switch, by address and user agent, the last use first; at most 32.
    pub old_used_by: Vec<StillUsing>,
    pub events: Vec<EventRef>,
}

/// Who used the old secret after the switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct StillUsing {
    pub address: String,
    pub user_agent: String,
    pub uses: u64,
    pub last: Stamp,
}

impl std::fmt::Display for StillUsing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let agent = if self.user_agent.is_empty() { "an unnamed client" } else { &self.user_agent };
        write!(f, "{agent} from {} ({} times, last {})", self.address, self.uses, self.last)
    }
}

fn still_using(trails: &Trails, switch: &Switch) -> Vec<StillUsing> {
    let mut rows: Vec<StillUsing> = switch
        .used_by
        .iter()
        .map(|by| {
            let (address, agent) = trails.who_used(*by);
            StillUsing {
                address: address.to_owned(),
                user_agent: agent.to_owned(),
                uses: by.uses,
                last: by.last.into(),
            }
        })
        .collect();
    rows.sort_by(|a, b| (b.last, &a.address, &a.user_agent).cmp(&(a.last, &b.address, &b.user_agent)));
    rows
}

/// Every rotation of the period, oldest first, and what is wrong with each.
pub(super) fn rotations(
    worlds: &Worlds,
    trails: &Trails,
    options: &RotationOptions,
    now: Time,
    findings: &mut Vec<Finding>,
) -> Vec<RotationRow> {
    let mut rows = Vec::new();
    let mut of_user: BTreeMap<UserUid, Vec<(KeyUid, KeyRecord)>> = BTreeMap::new();
    worlds.for_each_key(|kind, uid, key| {
        if !options.has_org(key.org) || key.id.is_temporary() {
            return;
        }
        if let (OrgKind::Evidence, KeyOwner::User(user)) = (kind, &key.owner) {
            of_user.entry(*user).or_default().push((uid, key.clone()));
        }
        let Some(trail) = trails.of(uid) else { return };
        for (index, switch) in trail.switches.iter().enumerate() {
            let before = trail.switches[..index].last();
            let still = still_using(trails, switch);
            let row = written(worlds, options, now, key, trail, (switch, still), before);
            judge(worlds, options, now, key, switch.event.into(), &row, findings);
            rows.push(row);
        }
    });
    for keys in of_user.values_mut() {
        keys.sort_by(|(_, a), (_, b)| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        for (row, key, event) in inferred(worlds, trails, options, keys) {
            judge(worlds, options, now, key, event, &row, findings);
            rows.push(row);
        }
    }
    rows.retain(|row| options.in_period(row.switched_at.0));
    rows.sort_by(|a, b| (a.switched_at, &a.old).cmp(&(b.switched_at, &b.old)));
    rows
}

fn written(
    worlds: &Worlds,
    options: &RotationOptions,
    now: Time,
    key: &KeyRecord,
    trail: &Trail,
    (switch, old_used_by): (&Switch, Vec<StillUsing>),
    before: Option<&Switch>,
) -> RotationRow {
    let at = switch.at;
    let mut events = vec![EventRef(switch.event)];
    let (kind, new, versions, set_at, stopped, last_used) = match switch.to {
        SwitchTo::Key(new) => {
            let stop = trail.stops.iter().filter(|(stop, _)| *stop >= at).min();
            events.extend(stop.map(|(_, event)| EventRef(*event)));
            let stopped = stop.map_or(switch.deadline, |(stop, _)| switch.deadline.min(*stop));
            let last = key.more().last_used.as_ref().map(|used| used.at);
            ("pair", worlds.key_name(new), None, key.secret_set_at, stopped, last)
        }
        SwitchTo::Version { old, new } => {
            let record = key.secrets().find(|secret| secret.version == old);
            let stopped = match record {
                Some(record) if record.retired || record.shredded => {
                    // Retired by hand before the deadline; the record does not keep when, the stop is at most now.
                    switch.deadline.min(now)
                }
                _ => switch.deadline,
            };
            let used = trail.versions.iter().find(|used| used.version == old);
            events.extend(used.map(|used| EventRef(used.event)));
            let set_at =
                record.map_or_else(|| before.map_or(key.created_at, |before| before.at), |record| record.set_at);
            ("in-place", key.id.to_string(), Some((old, new)), set_at, stopped, used.map(|used| used.last))
        }
    };
    let age_days = (set_at != Time::MIN).then(|| at.days_since(set_at));
    let max = i64::from(max_age_days(worlds, options, key));
    let end = stopped.min(now);
    RotationRow {
        kind,
        org: worlds.account(key.org),
        org_kind: org_kind(worlds.kind_of(key.org)),
        owner: worlds.owner_name(&key.owner),
        old: key.id.to_string(),
        new,
        old_version: versions.map(|(old, _)| old),
        new_version: versions.map(|(_, new)| new),
        age_days,
        late_by_days: age_days.map(|days| days - max),
        switched_at: at.into(),
        deadline: (switch.deadline != Time::MAX).then_some(Stamp(switch.deadline)),
        old_stopped_at: (stopped <= now).then_some(Stamp(stopped)),
        overlap_seconds: end.ns_since(at).max(0) / 1_000_000_000,
        old_last_used: last_used.map(Stamp),
        old_uses_after: switch.used_after,
        old_used_by,
        events,
    }
}

/// A key made while another of the same user was usable, and the other stopped afterwards.
fn inferred<'a>(
    worlds: &Worlds,
    trails: &Trails,
    options: &RotationOptions,
    keys: &'a [(KeyUid, KeyRecord)],
) -> Vec<(RotationRow, &'a KeyRecord, EventRef)> {
    let mut found = Vec::new();
    for (index, (new_uid, new)) in keys.iter().enumerate() {
        let (Some(at), Some(made)) = (new.created_at(), trails.of(*new_uid).and_then(|trail| trail.created)) else {
            continue;
        };
        // The youngest older key that still ran then and stopped later.
        let stopped = |(uid, old): &&(KeyUid, KeyRecord)| {
            old.created_at < at
                && trails.of(*uid).is_some_and(|trail| first_stop(trail).is_some_and(|(stop, _)| stop > at))
        };
        let Some((old_uid, old)) = keys[..index].iter().rev().find(stopped) else { continue };
        let Some((stop, event)) = trails.of(*old_uid).and_then(first_stop) else { continue };
        let age_days = old.created_at().map(|created| at.days_since(created));
        let last = old.more().last_used.as_ref().map(|used| used.at);
        let row = RotationRow {
            kind: "inferred",
            org: worlds.account(old.org),
            org_kind: org_kind(worlds.kind_of(old.org)),
            owner: worlds.owner_name(&old.owner),
            old: old.id.to_string(),
            new: new.id.to_string(),
            old_version: None,
            new_version: None,
            age_days,
            late_by_days: age_days.map(|days| days - i64::from(max_age_days(worlds, options, old))),
            switched_at: at.into(),
            deadline: None,
            old_stopped_at: Some(stop.into()),
            overlap_seconds: stop.ns_since(at) / 1_000_000_000,
            old_last_used: last.map(Stamp),
            old_uses_after: u64::from(last.is_some_and(|last| last > at)),
            old_used_by: Vec::new(),
            events: vec![EventRef(made.event), EventRef(event)],
        };
        found.push((row, old, EventRef(made.event)));
    }
    found
}

fn first_stop(trail: &Trail) -> Option<(Time, crate::model::EventId)> {
    trail.stops.iter().min().copied()
}

/// R2 and R3: late, or never finished.
fn judge(
    worlds: &Worlds,
    options: &RotationOptions,
    now: Time,
    key: &KeyRecord,
    event: EventRef,
    row: &RotationRow,
    findings: &mut Vec<Finding>,
) {
    if !options.in_period(row.switched_at.0) {
        return;
    }
    if let Some(late) = row.late_by_days.filter(|late| *late > 0) {
        let detail =
            format!("rotated at {} when its secret was {} days old", row.switched_at, row.age_days.unwrap_or(0));
        findings.push(Finding {
            days: Some(late),
            since: Some(row.switched_at),
            ..finding(worlds, "R2", "rotated-late", Severity::Low, key, detail, Some(event.0))
        });
    }
    let open_days = now.days_since(row.switched_at.0);
    if row.old_stopped_at.is_none() && open_days > i64::from(options.overlap_days) {
        let detail = format!("rotated {open_days} days ago, and the old secret is still usable");
        findings.push(Finding {
            days: Some(open_days),
            since: Some(row.switched_at),
            ..finding(worlds, "R3", "rotation-not-finished", Severity::Medium, key, detail, Some(event.0))
        });
    }
    if row.old_uses_after > 0 && row.old_stopped_at.is_none() {
        let by: Vec<String> = row.old_used_by.iter().take(NAMED_MAX).map(ToString::to_string).collect();
        let more = row.old_used_by.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        let detail =
            format!("the old secret is still in use after the switch at {}: {}{more}", row.switched_at, by.join("; "));
        findings.push(Finding {
            since: Some(row.switched_at),
            ..finding(worlds, "R3", "old-secret-in-use", Severity::Low, key, detail, Some(event.0))
        });
    }
}
