//! Who is signed in: what a browser's cookie stands for.
//!
//! A cookie is 256 random bits; here and in the log stands its hash alone. The token in a session's forms follows from the cookie.
//!
//! Invariants
//! - A session is of one key, one of its secrets, and one role; with any of them it ends (`visitor`).
//! - 30 min after the last request, and 12 h after signing in, it is over; the newest [`SESSIONS_MAX`] are kept.
//! - Only a cookie that was given out here is anybody's: one that a browser brings along becomes nothing.
//!
//! Not here: proving who signs in (`gate`).

use super::visitor::Role;
use crate::api::Incoming;
use crate::ledger::{Dice, OsDice};
use crate::model::{AccessKeyId, Time};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use compact_str::CompactString;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

pub const COOKIE: &str = "keyledger_console";
/// A session may be idle so long: 30 min.
pub const IDLE_NS: i64 = 30 * 60 * 1_000_000_000;
/// The longest a session lives: 12 h.
pub const LIFETIME_NS: i64 = 12 * 3_600 * 1_000_000_000;
/// Sessions at a time.
const SESSIONS_MAX: usize = 1_024;
/// Sessions of one key at a time.
const OF_KEY_MAX: usize = 16;

/// A session.
#[derive(Debug, Clone)]
pub struct Session {
    pub key: AccessKeyId,
    /// The secret it was opened with.
    pub secret_version: u32,
    /// What its key's owner was when it signed in.
    pub role: Role,
    pub opened_at: Time,
    pub seen_at: Time,
}

/// Sessions by the hash of their cookie.
pub struct Sessions {
    open: Mutex<HashMap<[u8; 32], Session>>,
    dice: Mutex<OsDice>,
    /// Makes the tokens of sign-in forms.
    salt: [u8; 32],
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

impl Default for Sessions {
    fn default() -> Self {
        let mut dice = OsDice::default();
        let mut salt = [0; 32];
        dice.fill(&mut salt);
        Self { open: Mutex::default(), dice: Mutex::new(dice), salt }
    }
}

/// The hash of a cookie: what is kept of it.
pub fn hash_of(cookie: &str) -> [u8; 32] {
    *blake3::hash(cookie.as_bytes()).as_bytes()
}

/// What a session's forms carry.
pub fn form_token(cookie: &str) -> CompactString {
    let hash = blake3::derive_key("keyledger 2026-11 console form", cookie.as_bytes());
    URL_SAFE_NO_PAD.encode(&hash[..16]).into()
}

/// The value of a cookie; nothing of a length that was not given out.
pub fn cookie<'a>(incoming: &'a Incoming, name: &str) -> Option<&'a str> {
    let values = incoming.headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(own, value)| *own == name && value.len() <= 64).map(|(_, value)| value).next()
}

impl Sessions {
    /// Text of 256 random bits.
    pub fn random(&self) -> String {
        let mut bytes = [0; 32];
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What the sign-in form carries for a browser that has this cookie.
    pub fn visit_token(&self, visit: &str) -> String {
        let hash = blake3::keyed_hash(&self.salt, visit.as_bytes());
        URL_SAFE_NO_PAD.encode(&hash.as_bytes()[..16])
    }

    /// Takes a session in. Those that have to make room for it come back, to be closed.
    pub fn open(&self, hash: [u8; 32], session: Session) -> Vec<([u8; 32], Session)> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = Vec::new();
        let oldest = |open: &HashMap<[u8; 32], Session>, key: Option<&AccessKeyId>| {
            let of_key = open.iter().filter(|(_, session)| key.is_none_or(|key| session.key == *key));
            of_key.min_by_key(|(_, session)| session.seen_at).map(|(hash, _)| *hash)
        };
        if open.values().filter(|other| other.key == session.key).count() >= OF_KEY_MAX {
            let hash = oldest(&open, Some(&session.key));
            gone.extend(hash.and_then(|hash| open.remove_entry(&hash)));
        }
        if open.len() >= SESSIONS_MAX {
            let hash = oldest(&open, None);
            gone.extend(hash.and_then(|hash| open.remove_entry(&hash)));
        }
        open.insert(hash, session);
        gone
    }

    /// The session of a hash, which is seen at `now`. One that is over is taken out and said to be so.
    pub fn seen(&self, hash: &[u8; 32], now: Time) -> Option<Seen> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let session = open.get_mut(hash)?;
        let idle = now.ns_since(session.seen_at) >= IDLE_NS;
        if idle || now.ns_since(session.opened_at) >= LIFETIME_NS {
            let why = if idle { "idle" } else { "over" };
            return open.remove(hash).map(|session| Seen::Over(session, why));
        }
        session.seen_at = session.seen_at.max(now);
        Some(Seen::Live(session.clone()))
    }

    pub fn close(&self, hash: &[u8; 32]) -> Option<Session> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(hash)
    }
}

/// What became of a session.
#[derive(Debug)]
pub enum Seen {
    Live(Session),
    /// Why it ended.
    Over(Session, &'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(key: &str, at: Time) -> Session {
        let key = AccessKeyId::parse(key).unwrap();
        Session { key, secret_version: 1, role: Role::Root, opened_at: at, seen_at: at }
    }

    #[test]
    fn a_session_ends_when_idle_and_when_old_whatever_it_does() {
        let sessions = Sessions::default();
        let at = Time::from_seconds(1_000_000);
        sessions.open([1; 32], session("NQAKXXXXXXXXXXXXXXXX", at));
        assert!(matches!(sessions.seen(&[1; 32], at.plus_ns(IDLE_NS - 1)), Some(Seen::Live(_))));
        assert!(matches!(sessions.seen(&[1; 32], at.plus_ns(2 * IDLE_NS - 1)), Some(Seen::Over(_, "idle"))));
        assert!(sessions.seen(&[1; 32], at).is_none(), "it is gone");
        sessions.open([1; 32], session("NQAKXXXXXXXXXXXXXXXX", at));
        let step = IDLE_NS / 2;
        for n in 1..LIFETIME_NS / step {
            assert!(matches!(sessions.seen(&[1; 32], at.plus_ns(n * step)), Some(Seen::Live(_))), "{n}");
        }
        assert!(matches!(sessions.seen(&[1; 32], at.plus_ns(LIFETIME_NS)), Some(Seen::Over(_, "over"))));
    }

    #[test]
    fn the_oldest_make_room() {
        let sessions = Sessions::default();
        let at = |n: usize| Time::from_seconds(i64::try_from(n).unwrap());
        let hash = |n: usize| *blake3::hash(&n.to_le_bytes()).as_bytes();
        for n in 0..OF_KEY_MAX {
            assert!(sessions.open(hash(n), session("NQAKXXXXXXXXXXXXXXXX", at(n))).is_empty());
        }
        let gone = sessions.open(hash(99), session("NQAKXXXXXXXXXXXXXXXX", at(99)));
        assert_eq!(gone.first().map(|(hash, _)| *hash), Some(hash(0)));
        for n in 100..100 + SESSIONS_MAX {
            sessions.open(hash(n), session(&format!("NQAK{n:016}"), at(n)));
        }
        assert_eq!(sessions.open.lock().unwrap().len(), SESSIONS_MAX);
    }

    #[test]
    fn form_tokens_follow_from_the_cookie_and_do_not_give_it_away() {
        let sessions = Sessions::default();
        let (one, other) = (sessions.random(), sessions.random());
        assert_ne!(one, other);
        assert_eq!(one.len(), 43);
        assert_eq!(form_token(&one), form_token(&one));
        assert_ne!(form_token(&one), form_token(&other));
        assert_ne!(sessions.visit_token(&one), Sessions::default().visit_token(&one), "each server its own");
    }
}
