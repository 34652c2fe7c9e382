//! The Tigris Partner API: a provider manages orgs of its own, their users' access keys, policies and buckets.
//!
//! ```text
//!   head ──signature──▶ the provider ──path──▶ an operation ──body──▶ State (questions) │ Ledger::execute (commands) ──▶ JSON
//! ```
//!
//! The provider is who asks; `user_id` and `user_role` are its claims for one call: they bound that call, stand in the event's
//! reason, and are never stored. A user is made on first use, an org too unless the provider is told to make its orgs itself.
//!
//! Invariants
//! - Creating a key is one commit, also with `create_policies`: all of it or none. So is an update. Only an org that is made on first
//!   use comes in a commit of its own, before.
//! - An org of another owner, and one that never was, get the same 404; so do keys that are not a Member's own.
//! - A member that is not in a schema, and a parameter that is not in a query's, is a 400.
//! - `secret_key` is in the reply that made it and never again: a repeated `Idempotency-Key` is a 409 that names the key.
//!
//! Not here: rules (`ledger::decide`), signatures of AWS.

mod body;
mod call;
mod document;
mod keys;
mod nonces;
mod orgs;
mod pages;
mod path;
mod policies;
mod refused;
mod signature;

pub use signature::{Kept, ProviderKey, is_public_url};

pub(super) use document::checked as checked_document;
pub(super) use pages::{marker_of, read_marker};

use super::super::incoming::set_header;
use super::super::{Api, Fault, Incoming, Reply, reply};
use call::Call;
use path::Operation;
use refused::Refused;
use serde::Serialize;
use serde_json::value::RawValue;

const JSON: &str = "application/json";

/// What an operation answers: its 200 body.
type Answer = Result<Box<RawValue>, Refused>;

/// Answers one request.
pub async fn answer(api: &Api, incoming: &Incoming) -> Reply {
    match answered(api, incoming).await {
        Ok(body) => reply(200, JSON, Box::<str>::from(body).into_string()),
        Err(refused) => refusal(&refused),
    }
}

/// What the server refuses.
pub fn fault(fault: Fault) -> Reply {
    refusal(&Refused::new(fault.status(), fault.message()))
}

fn refusal(refused: &Refused) -> Reply {
    let body = serde_json::json!({ "message": &*refused.message });
    let mut reply = reply(refused.status, JSON, body.to_string());
    if refused.status == 503 {
        set_header(&mut reply, "retry-after", "1");
    }
    reply
}

async fn answered(api: &Api, incoming: &Incoming) -> Answer {
    // Who does not sign learns nothing, not even which paths there are.
    let provider = signature::prove(api, incoming)?;
    let operation = path::operation_of(incoming)?;
    incoming.is_about(operation.name());
    let call = Call::of(api, incoming, provider)?;
    match &operation {
        Operation::CreateKey { org } => keys::create(&call, org).await,
        Operation::UpdateKey { org } => keys::update(&call, org).await,
        Operation::DeleteKey { org } => keys::delete(&call, org).await,
        Operation::GetKey { org } => keys::get(&call, org),
        Operation::RotateKey { org } => keys::rotate(&call, org).await,
        Operation::ListKeys { org } => keys::list(&call, org),
        Operation::CreatePolicy { org } => policies::create(&call, org).await,
        Operation::ListPolicies { org } => policies::list(&call, org),
        Operation::GetPolicy { org, policy } => policies::get(&call, org, policy),
        Operation::UpdatePolicy { org, policy } => policies::update(&call, org, policy).await,
        Operation::DeletePolicy { org, policy } => policies::delete(&call, org, policy).await,
        Operation::Provision { org } => orgs::provision(&call, org).await,
        Operation::CreateOrg { org } => orgs::create(&call, org).await,
        Operation::GetOrg { org } => orgs::get(&call, org),
        Operation::UpdateOrg { org } => orgs::update(&call, org).await,
        Operation::ListOrgs => orgs::list(&call),
        Operation::ListBuckets { org } => orgs::buckets(&call, org),
    }
}

/// A 200 body.
fn json(body: &impl Serialize) -> Answer {
    serde_json::value::to_raw_value(body).map_err(|_| Refused::new(500, Fault::Failed.message()))
}

/// Reads a body as each operation would, and no more; to be fuzzed.
#[doc(hidden)]
pub fn reads_as_body(bytes: &[u8]) -> bool {
    body::reads_any(bytes)
}
