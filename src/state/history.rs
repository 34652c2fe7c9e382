//! The log read as decoded commits, and a commit read as facts.
//!
//! A [`Fact`] is one thing that happened, with who, whence and when, wherever that was written: an ordinary event has it from its
//! commit's envelope, an imported one from its own record. Everything that explains the past reads facts.
//!
//! Not here: choosing commits (`audit::scan`, `audit::index`).

use crate::log::{self, Frame};
use crate::model::codec::{self, CodecError};
use crate::model::event::EvidenceChange;
use crate::model::{
    AccessKeyId, Commit, Dialect, Event, EventId, EvidenceRecord, IdentityKind, Observed, OrgUid, Outcome, Seq, Time,
};

/// A commit with what its frame says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub seq: Seq,
    pub recorded_at: Time,
    /// The wall clock had gone back by more than a second.
    pub clock_regressed: bool,
    pub frame_hash: [u8; 32],
    pub commit: Commit,
}

/// Why a frame is not a commit that can be read.
#[derive(Debug, thiserror::Error)]
#[error("commit {seq} cannot be read; run `keyledger verify`, or use a newer keyledger if it says so")]
pub struct HistoryError {
    pub seq: Seq,
    pub source: CodecError,
}

/// Who did it, as far as the record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactActor<'a> {
    /// `operator`, `user`, `root`, `provider`, `node`, `system`, `role`, `federated`, `service`, `unknown`.
    pub kind: &'static str,
    pub name: &'a str,
    pub key: Option<&'a AccessKeyId>,
}

/// One thing that happened.
#[derive(Debug, Clone, Copy)]
pub struct Fact<'a> {
    pub id: EventId,
    pub recorded_at: Time,
    /// When it took effect: `recorded_at` of our own commands, the record's `eventTime` of evidence.
    pub effective_at: Time,
    pub org: Option<OrgUid>,
    pub actor: FactActor<'a>,
    pub dialect: Option<Dialect>,
    pub source_ip: Option<&'a str>,
    pub user_agent: Option<&'a str>,
    pub request_id: Option<&'a str>,
    pub reason: Option<&'a str>,
    /// Never [`Event::EvidenceChanged`]: its changes are facts of their own, under the same id.
    pub event: &'a Event,
    /// The imported record behind it.
    pub record: Option<&'a EvidenceRecord>,
}

impl<'a> Fact<'a> {
    /// The call this was, when it was observed and not made here.
    pub fn observed(&self) -> Option<&'a Observed> {
        match self.event {
            Event::EvidenceObserved(observed) => Some(observed),
            _ => None,
        }
    }

    /// How the call ended: our own events are there because it succeeded.
    pub fn outcome(&self) -> &'a Outcome {
        static OK: Outcome = Outcome::Ok;
        self.record.map_or(&OK, |record| &record.outcome)
    }
}

impl Recorded {
    /// Decodes a frame.
    ///
    /// # Errors
    /// [`HistoryError`] for an unknown schema, and for bytes that are not a commit although their checksums hold.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, HistoryError> {
        let seq = Seq(frame.seq);
        let commit = if frame.flags & log::PARTS == 0 {
            codec::decode_whole(frame.schema, frame.payload())
        } else {
            codec::decode_parts(frame.schema, frame.parts())
        };
        Ok(Self {
            seq,
            recorded_at: Time(frame.recorded_at_ns),
            clock_regressed: frame.flags & log::CLOCK_REGRESSED != 0,
            frame_hash: frame.frame_hash,
            commit: commit.map_err(|source| HistoryError { seq, source })?,
        })
    }

    /// What happened, in order. A commit holds as many facts as events, and an imported change as many as it changed.
    pub fn facts(&self) -> impl Iterator<Item = Fact<'_>> {
        self.commit.events.iter().enumerate().flat_map(move |(index, event)| {
            let id = EventId { seq: self.seq, index: u16::try_from(index).unwrap_or(u16::MAX) };
            let (record, events): (Option<&EvidenceRecord>, &[Event]) = match event {
                Event::EvidenceChanged(change) => {
                    let EvidenceChange { record, changes } = change.as_ref();
                    (Some(record), changes)
                }
                Event::EvidenceObserved(observed) => (Some(&observed.record), std::slice::from_ref(event)),
                other => (None, std::slice::from_ref(other)),
            };
            events.iter().map(move |event| self.fact(id, event, record))
        })
    }

    fn fact<'a>(&'a self, id: EventId, event: &'a Event, record: Option<&'a EvidenceRecord>) -> Fact<'a> {
        let envelope = &self.commit.envelope;
        let Some(record) = record else {
            return Fact {
                id,
                recorded_at: self.recorded_at,
                effective_at: self.recorded_at,
                org: envelope.org,
                actor: FactActor {
                    kind: envelope.actor.kind.as_str(),
                    name: &envelope.actor.name,
                    key: envelope.actor.key.as_ref(),
                },
                dialect: Some(envelope.dialect),
                source_ip: envelope.source_ip.as_deref(),
                user_agent: envelope.user_agent.as_deref(),
                request_id: envelope.request_id.as_deref(),
                reason: envelope.reason.as_deref(),
                event,
                record: None,
            };
        };
        let kind = match record.identity.kind {
            IdentityKind::Root => "root",
            IdentityKind::User => "user",
            IdentityKind::AssumedRole => "role",
            IdentityKind::FederatedUser => "federated",
            IdentityKind::Service => "service",
            IdentityKind::Unknown => "unknown",
        };
        Fact {
            id,
            recorded_at: self.recorded_at,
            effective_at: record.effective_at,
            org: envelope.org,
            actor: FactActor { kind, name: &record.identity.name, key: record.identity.key.as_ref() },
            dialect: None,
            source_ip: Some(&record.source_ip),
            user_agent: Some(&record.user_agent),
            request_id: Some(&record.request_id),
            reason: None,
            event,
            record: Some(record),
        }
    }
}
