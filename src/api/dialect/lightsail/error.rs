//! Rules that said no, in Lightsail's words: all of a client's faults are 400 (Lightsail API Reference, "Common errors").
//!
//! Not here: signatures (`json_rpc`).

use super::super::json_rpc::RpcError;
use crate::ledger::{ExecuteError, Refusal};

pub fn input(message: impl Into<std::borrow::Cow<'static, str>>) -> RpcError {
    RpcError::new(400, "InvalidInputException", message)
}

pub fn not_found(what: &str, name: &str) -> RpcError {
    let name = crate::model::text::excerpt(name, 128);
    RpcError::new(400, "NotFoundException", format!("The {what} does not exist: {name}"))
}

pub fn of_execute(error: ExecuteError) -> RpcError {
    match error {
        ExecuteError::Refused(refusal) => of_refusal(&refusal),
        ExecuteError::QueueFull { .. } => RpcError::new(503, "ThrottlingException", "Too many requests; try again."),
        ExecuteError::Indeterminate => {
            let text = "Whether this was done is unknown. List what there is before you try again.";
            RpcError::new(500, "ServiceException", text)
        }
        // The text may name files.
        error => {
            tracing::warn!(%error, "a command could not be written");
            RpcError::new(503, "ServiceException", "Nothing can be written now; reads go on.")
        }
    }
}

fn of_refusal(refusal: &Refusal) -> RpcError {
    match refusal {
        Refusal::NotFound { noun, name } => not_found(noun.as_str(), name),
        Refusal::Forbidden { why } => RpcError::new(
            400,
            "AccessDeniedException",
            format!("You are not authorized to perform this operation: {why}"),
        ),
        Refusal::KeyLimitReached { of, max, .. } => {
            input(format!("Bucket {of} has {max} access keys already, the most it may have; delete one first."))
        }
        Refusal::AlreadyExists { name, .. } => input(format!("Some names are already in use: {name}")),
        Refusal::ClockStopped { .. } => RpcError::new(503, "ServiceException", refusal.to_string()),
        // Texts of ours, with what they repeat escaped.
        refusal => input(refusal.to_string()),
    }
}
