//! The answer no, in S3's words.
//!
//! Invariants
//! - A dead key, one that never was, and one whose secret is lost answer alike, word for word.
//! - No answer says which statement denied, or holds a secret: that is for the operator ([`Denied::seq`], `audit`).
//!
//! Not here: XML and HTTP, which whoever embeds the gate has.

use crate::model::Seq;
use crate::model::text::excerpt;
use crate::sigv4::SigError;
use std::borrow::Cow;
use std::fmt;

/// Characters of a path that an answer repeats.
const RESOURCE_CHARS_MAX: usize = 1_024;

/// Why a request is turned away: an error of S3 (S3 API Reference, "Error responses").
#[derive(Clone, PartialEq, Eq)]
pub struct Denied(Box<Parts>);

#[derive(Clone, PartialEq, Eq)]
struct Parts {
    code: &'static str,
    status: u16,
    message: Cow<'static, str>,
    resource: String,
    region: Option<String>,
    seq: Option<Seq>,
}

impl Denied {
    pub(super) fn new(code: &'static str, status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        let parts = Parts { code, status, message: message.into(), resource: String::new(), region: None, seq: None };
        Self(Box::new(parts))
    }

    pub(super) fn access_denied() -> Self {
        Self::new("AccessDenied", 403, "Access Denied")
    }

    /// The answer for every id that cannot be used, whatever the reason.
    pub(super) fn unknown_key() -> Self {
        Self::from(SigError::UnknownKey)
    }

    pub(super) fn invalid_argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new("InvalidArgument", 400, message)
    }

    pub(super) fn at_seq(mut self, seq: Seq) -> Self {
        self.0.seq = Some(seq);
        self
    }

    /// Names the path that was asked for, as it was sent.
    pub(super) fn of(mut self, target: &[u8]) -> Self {
        let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
        self.0.resource = excerpt(&String::from_utf8_lossy(path), RESOURCE_CHARS_MAX);
        self
    }

    /// S3's code: `AccessDenied`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The HTTP status: 400 to 503.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// For people, in S3's own words where it has any. May repeat parts of the request: escape it.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The path as it was sent, at most 1,024 characters.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.0.resource
    }

    /// With `AuthorizationHeaderMalformed`: the region that was expected. Clients try again with it.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.0.region.as_deref()
    }

    /// The state by which rights were refused; none when it did not come to that.
    #[must_use]
    pub fn seq(&self) -> Option<Seq> {
        self.0.seq
    }
}

impl From<SigError> for Denied {
    fn from(error: SigError) -> Self {
        let mut denied = match error {
            // S3's words for SigV2, which clients show to people.
            SigError::OtherAlgorithm => Self::new("InvalidRequest", 400, error.message()),
            _ => Self::new(error.code(), error.status(), error.message()),
        };
        if let SigError::Scope { part: crate::sigv4::ScopePart::Region, expected, .. } = error {
            denied.0.region = Some(expected);
        }
        denied
    }
}

impl fmt::Debug for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.status, self.0.code, self.0.message)
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)
    }
}

impl std::error::Error for Denied {}
