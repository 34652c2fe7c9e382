//! Amazon Lightsail: buckets and their access keys (botocore 1.44.5, lightsail service model), JSON 1.1.
//!
//! A bucket's key has Editor on its bucket, there are two a bucket, and nothing here suspends one. Buckets are registered and
//! forgotten; what they hold is the storage node's.
//!
//! Not here: every other thing that Lightsail has (UnknownOperationException).

mod actions;
mod error;
mod operations;

pub use operations::Operations;

use super::super::{Api, Fault, Incoming, Reply, authenticate, reply};
use super::json_rpc::{self, JSON, RpcError};
use crate::model::Dialect;
use actions::Call;

/// Answers one request.
pub async fn answer(api: &Api, incoming: &Incoming) -> Reply {
    match answered(api, incoming).await {
        Ok(body) => reply(200, JSON, body),
        Err(error) => error.reply(),
    }
}

/// What the server refuses.
pub fn fault(fault: Fault) -> Reply {
    RpcError::of_fault(fault, "ServiceException").reply()
}

async fn answered(api: &Api, incoming: &Incoming) -> Result<String, RpcError> {
    let region = api.options.region.as_str();
    let signed = authenticate::authenticate(api, incoming, Dialect::Lightsail, "lightsail", &[region])?;
    let target = incoming.header("x-amz-target").unwrap_or_default();
    let call = target.starts_with("Lightsail_20161128.").then(|| Call::of(api, incoming, &signed)).flatten();
    let Some(call) = call.filter(|_| incoming.method == "POST") else {
        let error = RpcError::unknown_operation();
        signed.used(api, incoming, false, error.kind, 0);
        return Err(error);
    };
    incoming.is_about(call.operation);
    let answer = call.answer().await.map(|body| body.to_string());
    let outcome = answer.as_ref().err().map_or("ok", |error| error.kind);
    let bytes = answer.as_ref().map_or(0, |body| body.len() as u64);
    signed.used(api, incoming, !call.operation.starts_with("Get"), outcome, bytes);
    answer
}

/// The operation's name, as a word of ours.
fn known(incoming: &Incoming) -> Option<&'static str> {
    let asked = json_rpc::operation(incoming);
    actions::OPERATIONS.iter().copied().find(|operation| *operation == asked)
}
