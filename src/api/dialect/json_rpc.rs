//! JSON 1.1, as several AWS services speak it: `X-Amz-Target`, a JSON object, errors with `__type`.
//!
//! Not here: the services' operations and their own errors.

use super::super::{Fault, Incoming, Reply, reply};
use crate::gate::ServiceDenied;
use crate::sigv4::SigError;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::borrow::Cow;

pub const JSON: &str = "application/x-amz-json-1.1";

/// An error as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    pub status: u16,
    /// `NotFoundException`
    pub kind: &'static str,
    pub message: Cow<'static, str>,
}

impl RpcError {
    pub fn new(status: u16, kind: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, kind, message: message.into() }
    }

    /// The body is not what the operation takes.
    pub fn serialization(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "SerializationException", why)
    }

    pub fn unknown_operation() -> Self {
        Self::new(400, "UnknownOperationException", "The requested operation is not recognized by the service.")
    }

    /// The target names none of the services that are here, so nothing speaks in a service's name.
    pub fn unknown_service() -> Self {
        Self::new(400, "UnknownOperationException", "No service that X-Amz-Target can name here has this operation.")
    }

    /// `failure`: what the service calls a fault of its own.
    pub fn of_fault(fault: Fault, failure: &'static str) -> Self {
        let kind = match fault {
            Fault::TooLarge | Fault::TooSlow | Fault::Broken => "SerializationException",
            Fault::Busy => "ThrottlingException",
            Fault::Failed => failure,
        };
        Self::new(fault.status(), kind, fault.message())
    }

    pub fn reply(&self) -> Reply {
        let mut body = json!({ "__type": self.kind, "message": self.message });
        if let Value::Object(members) = &mut body {
            members.insert("code".to_owned(), self.kind.into());
        }
        let mut reply = reply(self.status, JSON, body.to_string());
        if self.status == 503 {
            super::super::incoming::set_header(&mut reply, "retry-after", "1");
        }
        reply
    }
}

impl From<ServiceDenied> for RpcError {
    fn from(denied: ServiceDenied) -> Self {
        let unknown = "The security token included in the request is invalid.";
        match denied {
            ServiceDenied::Token | ServiceDenied::Signature(SigError::UnknownKey) => {
                Self::new(400, "UnrecognizedClientException", unknown)
            }
            ServiceDenied::Signature(SigError::NotSigned) => {
                Self::new(400, "MissingAuthenticationTokenException", "Missing Authentication Token")
            }
            ServiceDenied::Signature(SigError::Mismatch | SigError::PayloadMismatch) => Self::new(
                400,
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                 Access Key and signing method. Consult the service documentation for details.",
            ),
            // Its texts are ours; what they repeat of the request is escaped.
            ServiceDenied::Signature(error @ (SigError::Skewed | SigError::Expired | SigError::Scope { .. })) => {
                Self::new(400, "InvalidSignatureException", error.to_string())
            }
            ServiceDenied::Signature(error) => Self::new(400, "IncompleteSignatureException", error.to_string()),
            ServiceDenied::ForwardedFor => Self::serialization("X-Forwarded-For has an entry that is no address"),
            ServiceDenied::Unavailable => {
                Self::new(503, "ServiceUnavailableException", "The service cannot answer now")
            }
        }
    }
}

/// The operation behind the last dot of `X-Amz-Target`.
pub fn operation(incoming: &Incoming) -> &str {
    incoming.header("x-amz-target").and_then(|target| target.rsplit('.').next()).unwrap_or_default()
}

/// The body, as what the operation takes.
///
/// # Errors
/// SerializationException: another content type, no JSON, a member twice or of another type.
pub fn parse<T: DeserializeOwned>(incoming: &Incoming) -> Result<T, RpcError> {
    let is_json = |kind: &str| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(JSON));
    if !incoming.header("content-type").is_some_and(is_json) {
        return Err(RpcError::serialization(format!("Send the request as {JSON}")));
    }
    read(&incoming.body)
}

/// As [`parse`], of a body whose content type was looked at.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, RpcError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        let why = crate::model::text::excerpt(&error.to_string(), 200);
        RpcError::serialization(format!("The request's body is not what the operation takes: {why}"))
    })
}
