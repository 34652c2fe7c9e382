//! Rotation, both kinds: by pair (a successor with the same rights; the old key gets a deadline) and in place (same id, a
//! second live secret for a bounded time).
//!
//! Deadlines need no background job: they are compared with now. How long a grace may be is our choice: AWS knows no such thing.
//!
//! Invariants
//! - A key has at most two live secrets, and at least one until it is deleted.
//! - Whoever is no Admin gets no secret of a key that could do more than the key it asks with.
//!
//! Not here: destroying secrets that are over (`execute`).

use super::super::command::Command;
use super::super::error::{Noun, Refusal, shown};
use super::key::{Draft, bound, drawn_id, drawn_secret, expiry, make, refuse_expired, refuse_revoked};
use super::{Ask, Authority, Events, find};
use crate::model::id::World;
use crate::model::limits::LIVE_SECRETS_MAX;
use crate::model::{AccessKeyId, Event, Invalid, KeyOwner, Time};
use crate::state::{KeyRecord, KeyStatus, Marks};
use compact_str::CompactString;

/// How long the old key or secret goes on when nothing is said: 24 h.
pub const GRACE_DEFAULT_NS: i64 = 24 * 3_600 * 1_000_000_000;
/// The longest grace of a rotation by pair: 90 days.
pub const PAIR_GRACE_MAX_NS: i64 = 90 * 24 * 3_600 * 1_000_000_000;
/// The longest grace of a rotation in place: 7 days.
pub const SECRET_GRACE_MAX_NS: i64 = 7 * 24 * 3_600 * 1_000_000_000;

pub(super) fn decide(ask: Ask<'_>, command: &Command) -> Events {
    match command {
        Command::RotateKey { key, grace_ns, expires_at } => by_pair(ask, key, *grace_ns, *expires_at),
        Command::RotateSecret { key, grace_ns } => in_place(ask, key, *grace_ns),
        Command::RetireSecret { key, version } => retire(ask, key, *version),
        _ => Ok(Vec::new()),
    }
}

fn grace(asked: Option<i64>, max_ns: i64, expected: &'static str) -> Result<i64, Refusal> {
    let grace_ns = asked.unwrap_or(GRACE_DEFAULT_NS);
    if (0..=max_ns).contains(&grace_ns) {
        return Ok(grace_ns);
    }
    Err(Invalid::new("grace", &format!("{} s", grace_ns / 1_000_000_000), expected).into())
}

fn by_pair(ask: Ask<'_>, id: &AccessKeyId, grace_ns: Option<i64>, expires_at: Option<Time>) -> Events {
    let (state, now) = (ask.state, ask.fresh.now);
    let found = find::key(state, id)?;
    let grace_ns = grace(grace_ns, PAIR_GRACE_MAX_NS, "0 to 90 days")?;
    refuse_revoked(&found, "rotated")?;
    refuse_expired(&found, now, "rotated")?;
    let status = state.status(&found, now);
    let (more, rights) = (found.more(), found.rights());
    // A successor of a suspended key would be a way around the suspension.
    if !status.is_usable() {
        let next = "resume it first";
        return Err(Refusal::InvalidTransition { key: shown(id), status, wanted: "rotated", next });
    }
    let successor = more.links.replaced_by.and_then(|next| state.key_by_uid(next));
    if successor.is_some_and(|next| !next.is_deleted()) {
        let (status, next) = (KeyStatus::Rotating, "rotate its successor, or delete that first");
        return Err(Refusal::InvalidTransition { key: shown(id), status, wanted: "rotated", next });
    }
    let org = find::org(state, found.org)?;
    let owner_name = match &found.owner {
        KeyOwner::Org => shown(&org.account),
        KeyOwner::User(user) => state.user(*user).map_or_else(CompactString::default, |user| user.name.clone()),
        KeyOwner::Bucket(bucket) => shown(bucket),
    };
    let mut draft = Draft {
        owner: found.owner.clone(),
        owner_name,
        label: found.label.clone(),
        description: more.description.clone(),
        tags: more.tags.clone(),
        grants: rights.grants.clone(),
        attached: rights.attached.iter().copied().collect(),
        inline: rights.inline.clone(),
        default_allow: found.marks.has(Marks::DEFAULT_ALLOW),
        expires_at: match (expires_at, found.expires_at()) {
            (None, Some(own)) => Some(own),
            (asked, _) => expiry(&org.settings, now, asked)?,
        },
    };
    if !ask.authority.is_admin() && draft.expires_at.unwrap_or(Time::MAX) > found.expires_at {
        return Err(Refusal::Forbidden { why: "only an administrator extends an expiry" });
    }
    if let Some(maker) = bounding(ask, &found) {
        refuse_beyond(ask, maker, &found)?;
        bound(ask, maker, &mut draft)?;
    }
    let new_id = drawn_id(ask)?;
    let (old, new) = (found.id.uid(World::Live), new_id.uid(World::Live));
    let mut events = make(ask, org, new_id, draft, false)?;
    if let Some(flag) = &more.flag {
        events.push(Event::KeyFlagged { key: new, quarantine: flag.quarantine, note: flag.note.clone() });
    }
    let deadline = now.plus_ns(grace_ns).min(found.expires_at);
    events.push(Event::KeyRotated { old, new, deadline });
    Ok(events)
}

/// The key that bounds what this caller may get of `target`; none for an Admin, and none needed for a key that asks for itself.
fn bounding<'a>(ask: Ask<'a>, target: &KeyRecord) -> Option<&'a KeyRecord> {
    match ask.authority {
        Authority::Member { maker: Some(maker), .. } | Authority::Policy { maker } if maker.id != target.id => {
            Some(maker)
        }
        _ => None,
    }
}

/// Refuses a secret of a key that could do more, or longer, than the key that asks for it.
fn refuse_beyond(ask: Ask<'_>, maker: &KeyRecord, target: &KeyRecord) -> Result<(), Refusal> {
    let rights = target.rights();
    let mut same = Draft {
        owner: target.owner.clone(),
        owner_name: CompactString::default(),
        label: CompactString::default(),
        description: CompactString::default(),
        tags: Default::default(),
        grants: rights.grants.clone(),
        attached: rights.attached.iter().copied().collect(),
        inline: rights.inline.clone(),
        default_allow: target.marks.has(Marks::DEFAULT_ALLOW),
        expires_at: Some(target.expires_at),
    };
    bound(ask, maker, &mut same)
}

fn in_place(ask: Ask<'_>, id: &AccessKeyId, grace_ns: Option<i64>) -> Events {
    let now = ask.fresh.now;
    let found = find::key(ask.state, id)?;
    let grace_ns = grace(grace_ns, SECRET_GRACE_MAX_NS, "0 to 7 days")?;
    refuse_revoked(&found, "given another secret")?;
    refuse_expired(&found, now, "given another secret")?;
    if let Some(maker) = bounding(ask, &found) {
        refuse_beyond(ask, maker, &found)?;
    }
    let old_deadline = now.plus_ns(grace_ns);
    let goes_on = |version: u32| version != found.secret_version || old_deadline > now;
    let live: Vec<_> = found.live_secrets(now).filter(|secret| goes_on(secret.version)).collect();
    if live.len() >= LIVE_SECRETS_MAX {
        let until = live.iter().map(|secret| secret.deadline).min().unwrap_or(Time::MAX);
        return Err(Refusal::TooManySecrets { key: shown(id), until });
    }
    Ok(vec![Event::KeySecretRotated {
        key: found.id.uid(World::Live),
        secret: drawn_secret(ask, found.secret_version.saturating_add(1))?,
        old_version: found.secret_version,
        old_deadline,
    }])
}

fn retire(ask: Ask<'_>, id: &AccessKeyId, version: Option<u32>) -> Events {
    let found = find::key(ask.state, id)?;
    // The newest first.
    let live: Vec<_> = found.live_secrets(ask.fresh.now).map(|secret| secret.version).collect();
    let version = match (version, live.last()) {
        (Some(version), _) => version,
        (None, Some(oldest)) => *oldest,
        (None, None) => return Err(Refusal::not_found(Noun::Secret, &format_args!("of {id}"))),
    };
    if !live.contains(&version) {
        return Err(Refusal::not_found(Noun::Secret, &format_args!("{version} of {id}")));
    }
    if live.len() < 2 {
        return Err(Refusal::LastSecret { key: shown(id), version });
    }
    Ok(vec![Event::KeySecretRetired { key: found.id.uid(World::Live), version }])
}
