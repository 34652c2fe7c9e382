//! What is said instead of a page or a change.
//!
//! Not here: what is refused (`guard`, `ledger::decide`).

use super::page;
use super::visitor::Visitor;
use crate::api::Reply;
use crate::api::incoming::set_header;
use crate::audit::AuditError;
use crate::ledger::{ExecuteError, Refusal};
use maud::html;
use std::borrow::Cow;

/// A status, and a sentence for people.
#[derive(Debug)]
pub struct Refused {
    status: u16,
    /// For the counters of use.
    code: &'static str,
    text: Cow<'static, str>,
    retry_after_s: Option<u64>,
}

impl Refused {
    fn new(status: u16, code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, text: text.into(), retry_after_s: None }
    }

    pub fn input(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "InvalidInput", text)
    }

    /// What is not there, and what belongs to somebody else.
    pub fn missing() -> Self {
        Self::new(404, "NotFound", "There is nothing here by that name. It may have been deleted, or never was.")
    }

    pub fn method() -> Self {
        Self::new(405, "MethodNotAllowed", "Pages are read with GET, forms sent with POST.")
    }

    pub fn forbidden(text: &'static str) -> Self {
        Self::new(403, "AccessDenied", text)
    }

    pub fn too_often(retry_after_s: u64) -> Self {
        let minutes = retry_after_s.div_ceil(60);
        let text = format!("Too many sign-ins failed. Try again in {minutes} minutes.");
        Self { retry_after_s: Some(retry_after_s), ..Self::new(429, "Throttled", text) }
    }

    pub fn unavailable(text: &'static str) -> Self {
        Self { retry_after_s: Some(1), ..Self::new(503, "ServiceUnavailable", text) }
    }

    pub fn code(&self) -> &'static str {
        self.code
    }

    pub fn status(&self) -> u16 {
        self.status
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// As a page.
    pub fn reply(&self, visitor: Option<&Visitor>) -> Reply {
        let title = match self.status {
            404 => "Nothing here",
            403 => "Not allowed",
            429 => "Too often",
            503 => "Not now",
            500 => "Unknown",
            _ => "That did not work",
        };
        let mut reply = match visitor {
            Some(visitor) => {
                let body = html! {
                    h1 { (title) }
                    div.banner.bad role="alert" { p { (self.text) } }
                    p { a href="/console/keys" { "Back to the keys" } }
                };
                page::whole(self.status, title, None, visitor, &body)
            }
            None => page::bare(self.status, title, &self.text),
        };
        if let Some(seconds) = self.retry_after_s {
            set_header(&mut reply, "retry-after", &seconds.to_string());
        }
        reply
    }
}

/// A sentence with a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let rest = chars.as_str();
    format!("{first}{rest}{}", if rest.ends_with('.') { "" } else { "." })
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match &refusal {
            Refusal::NotFound { .. } => (404, "NotFound"),
            Refusal::AlreadyExists { .. }
            | Refusal::LimitReached { .. }
            | Refusal::KeyLimitReached { .. }
            | Refusal::DeleteConflict { .. }
            | Refusal::PreconditionFailed { .. }
            | Refusal::InvalidTransition { .. }
            | Refusal::TooManySecrets { .. }
            | Refusal::LastSecret { .. }
            | Refusal::TokenConflict { .. } => (409, "Conflict"),
            Refusal::Forbidden { .. } | Refusal::Unmodifiable { .. } => (403, "AccessDenied"),
            Refusal::ClockStopped { .. } => (503, "ServiceUnavailable"),
            _ => (400, "InvalidInput"),
        };
        Self::new(status, code, sentence(&refusal.to_string()))
    }
}

impl From<ExecuteError> for Refused {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Refused(refusal) => refusal.into(),
            ExecuteError::QueueFull { .. } => Self::unavailable("The ledger is busy; try again in a moment."),
            ExecuteError::Indeterminate => {
                Self::new(500, "InternalError", "Whether it was done is unknown. Look before you try again.")
            }
            _ => Self::unavailable("The ledger takes no changes now; nothing was done."),
        }
    }
}

impl From<AuditError> for Refused {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Unknown { .. }
            | AuditError::Ambiguous { .. }
            | AuditError::Invalid(_)
            | AuditError::AheadOfLog { .. } => Self::input(sentence(&error.to_string())),
            error => {
                tracing::error!(%error, "the past cannot be read");
                Self::new(500, "InternalError", "The log could not be read; its operator can see why.")
            }
        }
    }
}

impl From<crate::model::Invalid> for Refused {
    fn from(error: crate::model::Invalid) -> Self {
        Self::input(sentence(&error.to_string()))
    }
}
