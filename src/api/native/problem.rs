//! What is said instead of doing what was asked: RFC 9457 problem details with a stable `code`.
//!
//! Invariants
//! - A problem repeats no value of a body: a secret may stand where it does not belong.
//! - What belongs to another org, what is gone and what never was are the same 404.
//!
//! Not here: what is refused (`ledger::decide`, `rights`).

use super::super::incoming::set_header;
use super::super::{Fault, Reply, reply};
use crate::audit::AuditError;
use crate::audit::rows::Missing;
use crate::gate::ServiceDenied;
use crate::ledger::{ExecuteError, Refusal};
use crate::model::{Invalid, Seq};
use crate::sigv4::SigError;
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;

const PROBLEM: &str = "application/problem+json";

/// An RFC 9457 problem.
#[derive(Debug)]
pub struct Problem(Box<Details>);

/// A problem as it is sent.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Details {
    /// `urn:keyledger:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    /// For programs; codes are added, never renamed or removed.
    code: &'static str,
    detail: String,
    /// The parameter or the member of the body that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// What is expected there.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    /// The newest commit, where the answer depends on how far the log is.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip)]
    allow: Option<String>,
}

impl Problem {
    pub fn new(status: u16, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Details {
            kind: format!("urn:keyledger:problem:{code}"),
            title: title_of(status),
            status,
            code,
            detail: detail.into().into_owned(),
            field: None,
            expected: None,
            seq: None,
            allow: None,
        }))
    }

    pub fn code(&self) -> &'static str {
        self.0.code
    }

    fn and(mut self, f: impl FnOnce(&mut Details)) -> Self {
        f(&mut self.0);
        self
    }

    /// A parameter or member that is not what it must be.
    pub fn invalid(field: impl Into<String>, expected: impl Into<String>) -> Self {
        let (field, expected) = (field.into(), expected.into());
        let detail = format!("`{field}` is not valid: expected {expected}.");
        Self::new(400, "invalid-input", detail).and(|it| (it.field, it.expected) = (Some(field), Some(expected)))
    }

    /// Names the parameter or member it is about.
    #[must_use]
    pub fn at(self, field: impl Into<String>) -> Self {
        self.and(|it| it.field = Some(field.into()))
    }

    pub fn no_such(what: &str) -> Self {
        Self::new(404, "not-found", format!("There is no such {what}."))
    }

    /// It was done, and its target cannot be shown any more.
    pub fn gone_meanwhile() -> Self {
        let detail = "It was done, and what it was done to is gone or has another name by now.";
        Self::new(409, "gone-meanwhile", detail)
    }

    pub fn forbidden(why: &str) -> Self {
        Self::new(403, "forbidden", format!("Not allowed: {why}."))
    }

    /// The path has other methods.
    pub fn method(allow: String) -> Self {
        Self::new(405, "method-not-allowed", "This path does not take that method.").and(|it| it.allow = Some(allow))
    }

    /// The log is not as far as was asked for.
    pub fn behind(newest: Seq) -> Self {
        let detail = "That commit is not there yet; ask again, or ask the writer.";
        Self::new(409, "seq-not-reached", detail).and(|it| it.seq = Some(newest.0))
    }

    pub fn busy() -> Self {
        Self::new(503, "busy", "As much as may be is under way; try again in a moment.")
    }

    pub fn failed() -> Self {
        Self::new(500, "internal", Fault::Failed.message())
    }

    pub fn fault(fault: Fault) -> Self {
        let code = match fault {
            Fault::TooLarge => "too-large",
            Fault::TooSlow => "too-slow",
            Fault::Broken => "broken-body",
            Fault::Busy => "busy",
            Fault::Failed => "internal",
        };
        Self::new(fault.status(), code, fault.message())
    }

    pub fn reply(&self) -> Reply {
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut reply = reply(self.0.status, PROBLEM, body);
        if let Some(allow) = &self.0.allow {
            set_header(&mut reply, "allow", allow);
        }
        match self.0.status {
            401 => set_header(&mut reply, "www-authenticate", "AWS4-HMAC-SHA256"),
            503 => set_header(&mut reply, "retry-after", "1"),
            _ => {}
        }
        reply
    }
}

fn title_of(status: u16) -> &'static str {
    hyper::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Problem")
}

impl From<ServiceDenied> for Problem {
    fn from(denied: ServiceDenied) -> Self {
        let unknown = "The access key of this request is not valid.";
        match denied {
            ServiceDenied::Signature(SigError::NotSigned) => {
                Self::new(401, "not-signed", "Sign the request with AWS Signature Version 4, service `keyledger`.")
            }
            ServiceDenied::Signature(SigError::UnknownKey) | ServiceDenied::Token => {
                Self::new(401, "unknown-key", unknown)
            }
            // Its texts are ours; what they repeat of the request is escaped.
            ServiceDenied::Signature(error) => Self::new(401, "bad-signature", error.to_string()),
            ServiceDenied::ForwardedFor => {
                Self::new(400, "invalid-input", "X-Forwarded-For has an entry that is no address.")
            }
            ServiceDenied::Unavailable => Self::new(503, "unavailable", "The key's secret cannot be read now."),
        }
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::invalid(invalid.field, invalid.expected)
    }
}

impl From<Missing> for Problem {
    fn from(missing: Missing) -> Self {
        Self::no_such(missing.noun)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match refusal {
            Refusal::InvalidField(invalid) => return invalid.into(),
            Refusal::NotFound { noun, .. } => return Self::no_such(noun.as_str()),
            Refusal::BadDocument(error) => {
                let text = crate::model::text::excerpt(&error.to_string(), 1_000);
                return Self::new(400, "bad-document", text).at("document");
            }
            Refusal::AlreadyExists { .. } => (409, "already-exists"),
            Refusal::LimitReached { .. } | Refusal::KeyLimitReached { .. } => (409, "limit-reached"),
            Refusal::InvalidTransition { .. } => (409, "invalid-transition"),
            Refusal::TooManySecrets { .. } => (409, "too-many-secrets"),
            Refusal::LastSecret { .. } => (409, "last-secret"),
            Refusal::DeleteConflict { .. } => (409, "delete-conflict"),
            Refusal::Unmodifiable { .. } => (409, "unmodifiable"),
            Refusal::PreconditionFailed { found, .. } => {
                return Self::new(412, "version-changed", refusal.to_string()).and(|it| it.seq = Some(found.0));
            }
            Refusal::TokenConflict { .. } => (409, "idempotency-conflict"),
            Refusal::Forbidden { .. } => (403, "forbidden"),
            Refusal::ClockStopped { .. } => (503, "clock-stopped"),
            Refusal::TooLarge { .. } => (413, "too-large"),
        };
        Self::new(status, code, refusal.to_string())
    }
}

impl From<ExecuteError> for Problem {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Refused(refusal) => refusal.into(),
            ExecuteError::QueueFull { .. } => Self::busy(),
            ExecuteError::Indeterminate => {
                let detail = "Whether it was done is unknown; send it again with the same Idempotency-Key.";
                Self::new(500, "indeterminate", detail)
            }
            // The text may name files.
            error => {
                tracing::warn!(%error, "a command could not be written");
                Self::new(503, "read-only", "Nothing can be written now, and nothing was; reads go on.")
            }
        }
    }
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Unknown { noun, .. } => Self::no_such(noun),
            AuditError::Invalid(invalid) => invalid.into(),
            AuditError::Ambiguous { noun, .. } => Self::new(409, "ambiguous", format!("Several are named so: {noun}.")),
            AuditError::AheadOfLog { newest, .. } => Self::behind(Seq(newest)),
            // The text may name files.
            error => {
                tracing::error!(%error, "the log could not be read");
                Self::new(500, "log-unreadable", "The log could not be read.")
            }
        }
    }
}
