//! Sessions of the console: opened by a sign-in, closed by whoever has them, and sign-ins that were refused.
//!
//! The state has a session's hash, never what the browser holds. Opening one closes some that expired, so that they do not pile up.
//!
//! Not here: how long one may be idle, and what it may do, which is what its key may (`api::console`).

use super::super::error::Refusal;
use super::{Ask, Events, find};
use crate::model::id::World;
use crate::model::text::excerpt;
use crate::model::{AccessKeyId, Event, Invalid};

/// The longest life of a session: 12 h, our choice.
pub const SESSION_LIFETIME_MAX_NS: i64 = 12 * 3_600 * 1_000_000_000;
/// Expired sessions that opening one closes.
const CLOSED_AT_ONCE: usize = 64;
/// Characters of a reason, and of an address.
const TEXT_CHARS_MAX: usize = 64;

pub(super) fn open(ask: Ask<'_>, id: &AccessKeyId, session_hash: &[u8; 32], lifetime_ns: i64) -> Events {
    let (state, now) = (ask.state, ask.fresh.now);
    let found = find::key(state, id)?;
    if !(1..=SESSION_LIFETIME_MAX_NS).contains(&lifetime_ns) {
        let found = format!("{} s", lifetime_ns / 1_000_000_000);
        return Err(Invalid::new("lifetime", &found, "at most 12 hours").into());
    }
    let status = state.status(&found, now);
    if !status.is_usable() {
        let (key, next) = (super::shown(id), "sign in with a key that can be used");
        return Err(Refusal::InvalidTransition { key, status, wanted: "signed in with", next });
    }
    // An expired one of another org is closed by an event of its own org, some other time.
    let is_over = |session: &crate::state::TokenRecord| {
        session.expires_at <= now && state.key_by_uid(session.key).is_none_or(|key| key.org == found.org)
    };
    let expired = state.sessions().filter(|(_, session)| is_over(session)).take(CLOSED_AT_ONCE);
    let closed = |hash: &[u8; 32]| Event::SessionClosed { session_hash: *hash, why: "expired".into() };
    let mut events: Vec<Event> = expired.map(|(hash, _)| closed(hash)).collect();
    let expires_at = now.plus_ns(lifetime_ns).min(found.expires_at);
    events.push(Event::SessionOpened { session_hash: *session_hash, key: id.uid(World::Live), expires_at });
    Ok(events)
}

pub(super) fn close(ask: Ask<'_>, id: &AccessKeyId, session_hash: &[u8; 32], why: &str) -> Vec<Event> {
    // Of a key that is deleted too: that may be what ended it.
    let uid = ask.state.with_key(id.as_str(), |key| key.uid());
    let is_its = ask.state.session(session_hash).is_some_and(|session| Some(session.key) == uid);
    let closed = || Event::SessionClosed { session_hash: *session_hash, why: excerpt(why, TEXT_CHARS_MAX).into() };
    if is_its { vec![closed()] } else { Vec::new() }
}

/// Of a key that is or was there: an id is no secret. What else was typed is not kept.
pub(super) fn refuse(ask: Ask<'_>, id: Option<&AccessKeyId>, source_ip: &str) -> Vec<Event> {
    let known = id.filter(|id| ask.state.with_key(id.as_str(), |_| ()).is_some());
    let access_key_id = known.map_or("unknown", AccessKeyId::as_str).into();
    vec![Event::SignInRefused { access_key_id, source_ip: excerpt(source_ip, TEXT_CHARS_MAX).into() }]
}
