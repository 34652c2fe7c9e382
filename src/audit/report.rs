//! What reports are made of: references to events, times as people read them, rows, findings.
//!
//! The field names are part of what `--json` promises: fields are added, never renamed or removed.
//!
//! Not here: tables and colours (`cli`).

use super::describe::{Change, Subject, describe, object_of};
use super::names::Worlds;
use crate::model::{EventId, OrgKind, Time};
use crate::state::Fact;
use serde::{Serialize, Serializer};
use std::fmt;

/// The name of an event, written `seq.index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventRef(pub EventId);

impl From<EventId> for EventRef {
    fn from(id: EventId) -> Self {
        Self(id)
    }
}

impl fmt::Display for EventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for EventRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(feature = "server")]
impl schemars::JsonSchema for EventRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EventRef".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "The name of an event: `seq.index`.", "pattern": "^[0-9]+\\.[0-9]+$" })
    }
}

/// A time, written as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub Time);

impl From<Time> for Stamp {
    fn from(time: Time) -> Self {
        Self(time)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(feature = "server")]
impl schemars::JsonSchema for Stamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Stamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "RFC 3339, in UTC.", "format": "date-time" })
    }
}

/// `live` or `evidence`.
#[must_use]
pub fn org_kind(kind: OrgKind) -> &'static str {
    match kind {
        OrgKind::Live => "live",
        OrgKind::Evidence => "evidence",
    }
}

/// Who did something, as a row shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct ActorRow {
    /// `operator`, `user`, `root`, `provider`, `node`, `system`, `role`, `federated`, `service`, `unknown`.
    pub kind: &'static str,
    pub name: String,
    pub access_key_id: Option<String>,
}

impl ActorRow {
    #[must_use]
    pub fn of(fact: &Fact<'_>) -> Self {
        Self {
            kind: fact.actor.kind,
            name: fact.actor.name.to_owned(),
            access_key_id: fact.actor.key.map(ToString::to_string),
        }
    }
}

impl fmt::Display for ActorRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.access_key_id {
            Some(key) => write!(f, "{} {} by {key}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// Who made or changed something, when, whence, why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Attribution {
    pub event: EventRef,
    pub kind: &'static str,
    pub at: Stamp,
    pub actor: ActorRow,
    pub dialect: Option<&'static str>,
    pub source_ip: Option<String>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
    pub reason: Option<String>,
}

impl Attribution {
    #[must_use]
    pub fn of(fact: &Fact<'_>) -> Self {
        Self {
            event: fact.id.into(),
            kind: fact.event.kind().as_str(),
            at: fact.effective_at.into(),
            actor: ActorRow::of(fact),
            dialect: fact.dialect.map(crate::model::Dialect::as_str),
            source_ip: fact.source_ip.map(str::to_owned),
            user_agent: fact.user_agent.map(str::to_owned),
            request_id: fact.request_id.map(str::to_owned),
            reason: fact.reason.map(str::to_owned),
        }
    }
}

/// One fact, as `audit log` and every timeline show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct FactRow {
    pub event: EventRef,
    pub effective_at: Stamp,
    pub recorded_at: Stamp,
    pub kind: &'static str,
    /// The account id.
    pub org: Option<String>,
    pub org_kind: Option<&'static str>,
    pub actor: ActorRow,
    pub dialect: Option<&'static str>,
    pub source_ip: Option<String>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
    pub reason: Option<String>,
    /// `ok`, or the error code of a call that failed.
    pub outcome: String,
    /// Of evidence: `iam:CreateUser`.
    pub call: Option<String>,
    /// What it is about.
    pub about: Vec<Subject>,
    /// One sentence without time and actor.
    pub summary: String,
    /// What it changed, before and after.
    pub changes: Vec<Change>,
}

impl FactRow {
    #[must_use]
    pub fn of(fact: &Fact<'_>, worlds: &Worlds) -> Self {
        let described = describe(fact, worlds);
        Self {
            event: fact.id.into(),
            effective_at: fact.effective_at.into(),
            recorded_at: fact.recorded_at.into(),
            kind: fact.event.kind().as_str(),
            org: fact.org.map(|org| worlds.account(org)),
            org_kind: fact
                .org
                .map(|org| org_kind(if fact.record.is_some() { OrgKind::Evidence } else { worlds.kind_of(org) })),
            actor: ActorRow::of(fact),
            dialect: fact.dialect.map(crate::model::Dialect::as_str),
            source_ip: fact.source_ip.map(str::to_owned),
            user_agent: fact.user_agent.map(str::to_owned),
            request_id: fact.request_id.map(str::to_owned),
            reason: fact.reason.map(str::to_owned),
            outcome: fact.outcome().as_str().to_owned(),
            call: fact.record.map(|record| format!("{}:{}", record.service(), record.event_name)),
            about: object_of(fact.event, worlds),
            summary: described.summary,
            changes: described.changes,
        }
    }
}

/// How urgent a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
        }
    }
}

/// Something an audit holds against a key, with the events it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Finding {
    /// The question it answers: `R1`, `I17`.
    pub question: &'static str,
    /// A stable name: `secret-too-old`.
    pub check: &'static str,
    pub severity: Severity,
    pub org: Option<String>,
    pub org_kind: Option<&'static str>,
    pub access_key_id: Option<String>,
    pub owner: Option<String>,
    /// Days it is too old, unused or late by, where the check counts days.
    pub days: Option<i64>,
    /// Since when it holds.
    pub since: Option<Stamp>,
    pub detail: String,
    pub events: Vec<EventRef>,
}
