//! Commits: all the events of one command, with who asked for it and how.
//!
//! `seq` and `recorded_at` stand in the frame around a commit, not in it (`log::frame`).

use super::caller::{Actor, Dialect};
use super::event::Event;
use super::id::{OrgUid, Seq};
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
