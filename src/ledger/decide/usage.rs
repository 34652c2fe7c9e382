//! What was seen of keys: use, and attempts with keys that are not usable, rolled up by whoever saw them.
//!
//! Not here: counting (`gate`), and the budget of bytes a day (`usage`, of the writer).

use super::super::error::{Noun, Refusal};
use super::{Ask, Events, find};
use crate::model::limits::BULK_TARGETS_MAX;
use crate::model::{Event, Invalid, KeyUid, KeyUsage, OrgUid, Rejected};

/// Tuples a key and rollup (`product.md` §9).
const TUPLES_MAX: usize = 64;
/// Characters of an address, an agent, a code.
const TEXT_CHARS_MAX: usize = 512;

pub(super) fn decide(ask: Ask<'_>, org: OrgUid, usage: &[KeyUsage], attempts: &[Rejected], dropped: u64) -> Events {
    find::org(ask.state, org)?;
    for (what, found) in [("keys of a rollup", usage.len()), ("attempts of a rollup", attempts.len())] {
        if found > BULK_TARGETS_MAX {
            return Err(Refusal::LimitReached { what, of: "the command".into(), max: BULK_TARGETS_MAX });
        }
    }
    for key in usage {
        own_key(ask, org, key.key)?;
        if key.tuples.len() > TUPLES_MAX {
            return Err(Invalid::new("tuples of a key", &key.tuples.len().to_string(), "at most 64").into());
        }
        for tuple in &key.tuples {
            let texts = [&tuple.service, &tuple.region, &tuple.action_class, &tuple.source_ip, &tuple.user_agent];
            short(texts.into_iter().chain([&tuple.signature, &tuple.outcome]).map(|text| text.as_str()))?;
        }
    }
    for attempt in attempts {
        own_key(ask, org, attempt.key)?;
        short([&attempt.status, &attempt.source_ip, &attempt.user_agent].map(|text| text.as_str()))?;
    }
    let mut events = Vec::with_capacity(2);
    // What was dropped is said once.
    let mut dropped = Some(dropped).filter(|dropped| *dropped > 0);
    if !usage.is_empty() || (attempts.is_empty() && dropped.is_some()) {
        events.push(Event::UsageRolledUp { keys: usage.to_vec(), dropped: dropped.take().unwrap_or(0) });
    }
    if !attempts.is_empty() {
        events.push(Event::AttemptsRolledUp { attempts: attempts.to_vec(), dropped: dropped.unwrap_or(0) });
    }
    Ok(events)
}

fn own_key(ask: Ask<'_>, org: OrgUid, key: KeyUid) -> Result<(), Refusal> {
    match ask.state.key_by_uid(key) {
        Some(found) if found.org == org => Ok(()),
        _ => Err(Refusal::not_found(Noun::Key, &key)),
    }
}

fn short<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<(), Refusal> {
    match texts.into_iter().find(|text| text.chars().count() > TEXT_CHARS_MAX) {
        Some(long) => Err(Invalid::new("text of a rollup", long, "at most 512 characters").into()),
        None => Ok(()),
    }
}
