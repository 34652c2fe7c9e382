//! Other keys that have something in common with a leaked one (I12).
//!
//! Not here: keys that grew out of it (`tree`).

use super::super::gather::{Kept, each_fact, gather};
use super::super::mention::{Mention, is_made};
use super::super::names::{KeyPlace, Worlds};
use super::super::report::{EventRef, org_kind};
use super::super::uses::{EVENTS_NAMED_MAX, each_use};
use super::super::{AuditError, History, Plan};
use super::CompromiseOptions;
use super::report::Sibling;
use super::used::Used;
use crate::model::{Event, EventKind, KeyOwner, KeyUid, Time};
use crate::state::Fact;
use std::collections::{BTreeMap, BTreeSet};

const HOUR_NS: i64 = 3_600_000_000_000;

/// Tags that say which program a key is for.
const APP_TAGS: [&str; 3] = ["app", "application", "service"];

#[derive(Default)]
struct Why {
    reasons: BTreeSet<String>,
    events: Vec<EventRef>,
}

/// Keys of the same owner, label or app, made by the same hand in the same hour, or used from the same places in the window.
#[expect(clippy::too_many_arguments, reason = "each is one side of the question")]
pub(super) fn siblings(
    history: &dyn History,
    worlds: &Worlds,
    places: &[KeyPlace],
    facts: &[Kept],
    used: &Used,
    in_tree: &BTreeSet<KeyUid>,
    options: &CompromiseOptions,
    now: Time,
) -> Result<Vec<Sibling>, AuditError> {
    let mut found: BTreeMap<KeyUid, Why> = BTreeMap::new();
    by_record(worlds, places, &mut found);
    by_maker(history, places, facts, &mut found)?;
    by_use(history, used, options, &mut found)?;
    let rows = found.into_iter().filter(|(uid, _)| !in_tree.contains(uid)).filter_map(|(uid, why)| {
        let key = worlds.key(uid)?.record;
        let status = worlds.status(&key, now);
        Some(Sibling {
            access_key_id: key.id.to_string(),
            org: worlds.account(key.org),
            org_kind: org_kind(worlds.kind_of(key.org)),
            owner: worlds.owner_name(&key.owner),
            status: status.as_str(),
            usable: status.is_usable(),
            why: why.reasons.into_iter().collect(),
            events: why.events,
        })
    });
    let mut rows: Vec<Sibling> = rows.collect();
    rows.sort_by(|a, b| (b.usable, b.why.len(), &a.access_key_id).cmp(&(a.usable, a.why.len(), &b.access_key_id)));
    Ok(rows)
}

fn by_record(worlds: &Worlds, places: &[KeyPlace], found: &mut BTreeMap<KeyUid, Why>) {
    worlds.for_each_key(|_, uid, key| {
        for place in places.iter().filter(|place| place.uid != uid && place.record.org == key.org) {
            let mut note = |reason: String| _ = found.entry(uid).or_default().reasons.insert(reason);
            if key.owner != KeyOwner::Org && key.owner == place.record.owner {
                note("same owner".to_owned());
            }
            if !key.label.is_empty() && key.label == place.record.label {
                note("same label".to_owned());
            }
            let of_app = |name: &str| APP_TAGS.iter().any(|app| name.eq_ignore_ascii_case(app));
            let mine = &place.record.more().tags;
            for (name, value) in key.more().tags.iter().filter(|(name, _)| of_app(name)) {
                if !value.is_empty() && mine.get(name) == Some(value) {
                    note(format!("same {name} `{value}`"));
                }
            }
        }
    });
}

fn by_maker(
    history: &dyn History,
    places: &[KeyPlace],
    facts: &[Kept],
    found: &mut BTreeMap<KeyUid, Why>,
) -> Result<(), AuditError> {
    let made = |fact: &Fact<'_>| match fact.event {
        Event::KeyCreated(made) | Event::KeyImported(made) if is_made(fact) => Some(made.key),
        _ => None,
    };
    for kept in facts {
        let maker = kept.with(|fact| {
            let uid = made(fact)?;
            places.iter().any(|place| place.uid == uid).then(|| (uid, fact.effective_at, fact.actor.name.to_owned()))
        });
        let Some(Some((uid, at, actor))) = maker else { continue };
        if actor.is_empty() {
            continue;
        }
        let mut plan = Plan::mentioning(vec![Mention::Actor(&actor).term()]);
        let kinds = [EventKind::KeyCreated, EventKind::KeyImported];
        plan.terms.push(kinds.iter().map(|kind| Mention::Kind(*kind).term()).collect());
        let wanted = |fact: &Fact<'_>| {
            made(fact).is_some_and(|key| key != uid)
                && fact.actor.name == actor
                && fact.effective_at.ns_since(at).abs() <= HOUR_NS
        };
        for other in gather(history, &plan, &wanted)? {
            other.with(|fact| {
                if let Some(key) = made(fact) {
                    let why = found.entry(key).or_default();
                    why.reasons.insert(format!("made by {actor} within the hour"));
                    why.events.push(fact.id.into());
                }
            });
        }
    }
    Ok(())
}

fn by_use(
    history: &dyn History,
    used: &Used,
    options: &CompromiseOptions,
    found: &mut BTreeMap<KeyUid, Why>,
) -> Result<(), AuditError> {
    let addresses = used.suspect_addresses();
    let agents = used.suspect_agents();
    if addresses.is_empty() && agents.is_empty() {
        return Ok(());
    }
    // Programs are in no index; they are looked for only where one is new, which narrows less than an address does.
    let mut plan = Plan::all();
    if agents.is_empty() || used.baseline.all.total() == 0 {
        plan = Plan::mentioning(addresses.iter().map(|address| Mention::Address(address).term()).collect());
    }
    let wanted = |fact: &Fact<'_>| options.as_of.shows(fact);
    each_fact(history, &plan, &wanted, &mut |fact, change, _| {
        each_use(fact, change == 0, &mut |key, one| {
            if !options.has(one.first, one.last) {
                return;
            }
            let by_address = addresses.contains(one.address);
            let by_agent = used.baseline.all.total() > 0 && agents.contains(one.agent);
            if !by_address && !by_agent {
                return;
            }
            let why = found.entry(key).or_default();
            if by_address {
                why.reasons.insert(format!("used from {}", one.address));
            }
            if by_agent {
                let agent = crate::model::text::excerpt(one.agent, 80);
                why.reasons.insert(format!("used by {agent}"));
            }
            if why.events.len() < EVENTS_NAMED_MAX {
                why.events.push(one.event);
            }
        });
    })
}
