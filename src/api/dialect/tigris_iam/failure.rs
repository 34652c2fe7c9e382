//! Refusals in the dialect's words: a status and `{"Code": …, "Message": …}`; the clients show the message.
//!
//! Not here: what is refused (`ledger::decide`).

use crate::gate::ServiceDenied;
use crate::ledger::{ExecuteError, Refusal};
use crate::model::text::excerpt;
use crate::sigv4::SigError;
use std::borrow::Cow;

/// What is said instead of doing what was asked.
#[derive(Debug)]
pub struct Failure {
    pub status: u16,
    pub code: &'static str,
    pub message: Cow<'static, str>,
}

impl Failure {
    pub fn new(status: u16, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub fn input(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    pub fn unknown_action(action: &str) -> Self {
        Self::new(400, "InvalidAction", format!("The action `{}` is not offered here.", excerpt(action, 64)))
    }

    /// The same for a dead credential and one that never was.
    pub fn unknown_caller() -> Self {
        Self::new(403, "InvalidClientTokenId", "The access key or token of this request is not valid.")
    }

    pub fn denied(action: &str) -> Self {
        Self::new(403, "AccessDenied", format!("This access key is not allowed to do {action}."))
    }

    pub fn no_key() -> Self {
        Self::new(404, "NoSuchEntity", "There is no such access key.")
    }

    pub fn no_policy() -> Self {
        Self::new(404, "NoSuchEntity", "There is no such policy.")
    }
}

impl From<ServiceDenied> for Failure {
    fn from(denied: ServiceDenied) -> Self {
        match denied {
            ServiceDenied::Signature(SigError::UnknownKey) | ServiceDenied::Token => Self::unknown_caller(),
            ServiceDenied::Signature(error) => Self::new(403, "SignatureDoesNotMatch", error.to_string()),
            ServiceDenied::ForwardedFor => Self::input("X-Forwarded-For has an entry that is no address."),
            ServiceDenied::Unavailable => Self::new(503, "ServiceUnavailable", "The key's secret cannot be read now."),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = match &refusal {
            Refusal::NotFound { .. } => (404, "NoSuchEntity"),
            Refusal::AlreadyExists { .. } => (409, "EntityAlreadyExists"),
            Refusal::LimitReached { .. } | Refusal::KeyLimitReached { .. } => (409, "LimitExceeded"),
            Refusal::DeleteConflict { .. } => (409, "DeleteConflict"),
            Refusal::PreconditionFailed { .. } | Refusal::TokenConflict { .. } => (409, "ConcurrentModification"),
            Refusal::BadDocument(_) => (400, "MalformedPolicyDocument"),
            Refusal::InvalidField(_) => (400, "ValidationError"),
            Refusal::Forbidden { .. } | Refusal::Unmodifiable { .. } => (403, "AccessDenied"),
            Refusal::TooLarge { .. } => (413, "RequestEntityTooLarge"),
            Refusal::ClockStopped { .. } => (503, "ServiceUnavailable"),
            _ => (400, "InvalidInput"),
        };
        Self::new(status, code, refusal.to_string())
    }
}

impl From<ExecuteError> for Failure {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Refused(refusal) => refusal.into(),
            ExecuteError::QueueFull { .. } => Self::new(503, "ServiceUnavailable", "Please reduce your request rate."),
            ExecuteError::Indeterminate => {
                Self::new(500, "InternalError", "Whether it was done is unknown; look before asking again.")
            }
            _ => Self::new(503, "ServiceUnavailable", "The ledger takes no changes now; nothing was done."),
        }
    }
}
