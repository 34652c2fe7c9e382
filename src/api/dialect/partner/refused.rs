//! Refusals in the API's words: a status and `{"message": …}` (the API's description names none but 409 for a name that is taken).
//!
//! | status | when |
//! |---|---|
//! | 400 | a body, field, document or page that does not fit |
//! | 401 | not signed by a provider that is known |
//! | 403 | the claimed role may not |
//! | 404 | no such org, key or policy, or not the caller's |
//! | 409 | a name that is taken, a limit, a status that forbids it, a token used before |
//! | 503 | the ledger cannot take it now |
//!
//! Not here: what is refused (`ledger::decide`).

use crate::ledger::{ExecuteError, Noun, Refusal};
use std::borrow::Cow;

/// What is said instead of doing what was asked.
#[derive(Debug)]
pub struct Refused {
    pub status: u16,
    pub message: Cow<'static, str>,
}

impl Refused {
    pub fn new(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into() }
    }

    pub fn input(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, message)
    }

    /// The same for one of another owner and one that never was.
    pub fn no_org() -> Self {
        Self::new(404, "There is no such organization.")
    }

    /// The same for a key that is not the caller's and one that never was.
    pub fn no_key() -> Self {
        Self::new(404, "There is no such access key.")
    }

    pub fn no_policy() -> Self {
        Self::new(404, "There is no such policy.")
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::NotFound { noun: Noun::Org, .. } => return Self::no_org(),
            Refusal::NotFound { noun: Noun::Key, .. } => return Self::no_key(),
            Refusal::NotFound { .. } => 404,
            Refusal::InvalidField(_) | Refusal::BadDocument(_) => 400,
            Refusal::Forbidden { .. } | Refusal::Unmodifiable { .. } => 403,
            Refusal::TooLarge { .. } => 413,
            Refusal::ClockStopped { .. } => 503,
            // Names that are taken, limits, statuses, what still hangs on it, tokens.
            _ => 409,
        };
        Self::new(status, refusal.to_string())
    }
}

impl From<ExecuteError> for Refused {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Refused(refusal) => refusal.into(),
            ExecuteError::QueueFull { .. } => Self::new(503, "The server is busy; try again in a moment."),
            ExecuteError::Indeterminate => Self::new(500, "Whether it was done is unknown; look before asking again."),
            _ => Self::new(503, "The ledger takes no changes now; nothing was done."),
        }
    }
}
