//! API tokens: one stands for a key where a client cannot sign.
//!
//! The state has a token's hash, never the token. Opening one closes some that expired, so that they do not pile up.
//!
//! Not here: what a token may do, which is what its key may.

use super::super::error::Refusal;
use super::{Ask, Events, find};
use crate::model::id::World;
use crate::model::{AccessKeyId, Event, Invalid};

/// The longest life of a token: 30 days, our choice.
pub const TOKEN_LIFETIME_MAX_NS: i64 = 30 * 24 * 3_600 * 1_000_000_000;
/// Expired tokens that opening one closes.
const CLOSED_AT_ONCE: usize = 64;

pub(super) fn open(ask: Ask<'_>, id: &AccessKeyId, token_hash: &[u8; 32], lifetime_ns: i64) -> Events {
    let (state, now) = (ask.state, ask.fresh.now);
    let found = find::key(state, id)?;
    if !(1..=TOKEN_LIFETIME_MAX_NS).contains(&lifetime_ns) {
        let found = format!("{} s", lifetime_ns / 1_000_000_000);
        return Err(Invalid::new("lifetime", &found, "at most 30 days").into());
    }
    let status = state.status(&found, now);
    if !status.is_usable() {
        let (key, next) = (super::shown(id), "a token stands only for a key that can be used");
        return Err(Refusal::InvalidTransition { key, status, wanted: "given a token", next });
    }
    let expired = state.api_tokens().filter(|(_, token)| token.expires_at <= now).take(CLOSED_AT_ONCE);
    let mut events: Vec<Event> = expired.map(|(hash, _)| Event::TokenClosed { token_hash: *hash }).collect();
    let expires_at = now.plus_ns(lifetime_ns).min(found.expires_at);
    events.push(Event::TokenOpened { token_hash: *token_hash, key: id.uid(World::Live), expires_at });
    Ok(events)
}

pub(super) fn close(ask: Ask<'_>, id: &AccessKeyId, token_hash: &[u8; 32]) -> Events {
    let found = find::key(ask.state, id)?;
    let is_its = ask.state.api_token(token_hash).is_some_and(|token| token.key == found.uid());
    Ok(if is_its { vec![Event::TokenClosed { token_hash: *token_hash }] } else { Vec::new() })
}
