//! Commits: all the events of one command, with who asked for it and how.
//!
//! `seq` and `recorded_at` stand in the frame around a commit, not in it (`log::frame`).

use super::caller::{Actor, ActorKind, Dialect};
use super::event::Event;
use super::id::{OrgUid, Seq, UserUid};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The name of an event everywhere: `seq.index`, index from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId {
    pub seq: Seq,
    pub index: u16,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.seq, self.index)
    }
}

/// An idempotency token as a commit remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsed {
    pub token: CompactString,
    /// Digest of the command, so that the same token with another body is told apart.
    #[serde(with = "super::bytes")]
    pub body_hash: [u8; 16],
}

/// Who, whence, how and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The org the events belong to; `None` for what concerns the whole ledger.
    pub org: Option<OrgUid>,
    pub actor: Actor,
    pub dialect: Dialect,
    pub request_id: Option<CompactString>,
    pub source_ip: Option<CompactString>,
    pub user_agent: Option<CompactString>,
    /// A reason or ticket.
    pub reason: Option<CompactString>,
    /// The commit that caused this one.
    pub causation: Option<Seq>,
    pub token: Option<TokenUsed>,
}

/// One frame's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    pub envelope: Envelope,
    /// 1 to [`super::limits::COMMIT_EVENTS_MAX`].
    pub events: Vec<Event>,
}

/// An envelope as far as a replay needs it, borrowed from the bytes. Its fields stand in the order of [`Envelope`]'s, so that it
/// reads the same encoding; a test holds the two together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct EnvelopeBrief<'a> {
    pub org: Option<OrgUid>,
    #[serde(borrow)]
    pub actor: ActorBrief<'a>,
    pub dialect: Dialect,
    #[serde(borrow)]
    pub(super) request_id: Option<&'a str>,
    #[serde(borrow)]
    pub source_ip: Option<&'a str>,
    #[serde(borrow)]
    pub(super) user_agent: Option<&'a str>,
    #[serde(borrow)]
    pub(super) reason: Option<&'a str>,
    pub(super) causation: Option<Seq>,
    #[serde(borrow)]
    pub token: Option<TokenBrief<'a>>,
}

/// [`Actor`], borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct ActorBrief<'a> {
    pub kind: ActorKind,
    #[serde(borrow)]
    pub name: &'a str,
    pub(super) user: Option<UserUid>,
    #[serde(borrow)]
    pub key: Option<&'a str>,
}

/// [`TokenUsed`], borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct TokenBrief<'a> {
    #[serde(borrow)]
    pub token: &'a str,
    #[serde(with = "super::bytes")]
    pub body_hash: [u8; 16],
}

impl Actor {
    /// The same, borrowed.
    #[must_use]
    pub fn brief(&self) -> ActorBrief<'_> {
        let key = self.key.as_ref().map(super::AccessKeyId::as_str);
        ActorBrief { kind: self.kind, name: &self.name, user: self.user, key }
    }
}

impl Envelope {
    /// The same, borrowed.
    #[must_use]
    pub fn brief(&self) -> EnvelopeBrief<'_> {
        EnvelopeBrief {
            org: self.org,
            actor: self.actor.brief(),
            dialect: self.dialect,
            request_id: self.request_id.as_deref(),
            source_ip: self.source_ip.as_deref(),
            user_agent: self.user_agent.as_deref(),
            reason: self.reason.as_deref(),
            causation: self.causation,
            token: self.token.as_ref().map(|used| TokenBrief { token: &used.token, body_hash: used.body_hash }),
        }
    }
}
