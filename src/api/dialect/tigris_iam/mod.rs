//! Tigris IAM: the JSON dialect that the Tigris CLI and SDK speak (npm @tigrisdata/cli 3.4.3, @tigrisdata/iam 2.6.0).
//!
//! A form goes in, JSON comes out. Where the AWS dialect says `UserName`, this one means an access key id: policies hang on keys.
//! Requests are signed for `auto/s3` (or `iam`), or carry a token of keyledger's own and no signature (`who`).
//!
//! Invariants
//! - Who may not is told AccessDenied before anything is looked up.
//! - A client's own id of a create (`req_uuid`, `ReqUUID`) is the command's idempotency token: a retry makes no second key, and is a 409
//!   that names the first.
//!
//! Not here: rules (`ledger::decide`); teams, users and organizations of Tigris.

mod call;
mod failure;
mod form;
mod keys;
mod policies;
mod who;

use super::super::incoming::set_header;
use super::super::{Api, Fault, Incoming, Reply, reply};
use call::Call;
use failure::Failure;
use form::Form;
use serde::Serialize;
use serde_json::value::RawValue;
use who::Who;

const JSON: &str = "application/json";

/// What an action answers: its body.
type Answer = Result<Box<RawValue>, Failure>;

/// Every action there is, and whether it changes anything.
const ACTIONS: &[(&str, bool)] = &[
    ("CreateAccessKeyWithBucketsRole", true),
    ("UpdateAccessKeyWithBucketsRole", true),
    ("ListAccessKeys", false),
    ("RotateAccessKey", true),
    ("DeleteAccessKey", true),
    ("AttachUserPolicy", true),
    ("DetachUserPolicy", true),
    ("ListUserPolicies", false),
    ("CreatePolicy", true),
    ("UpdatePolicy", true),
    ("ListPolicies", false),
    ("GetPolicyDetailed", false),
    ("ForceDeletePolicy", true),
    ("DeletePolicy", true),
];

/// Answers one request.
pub async fn answer(api: &Api, incoming: &Incoming) -> Reply {
    match answered(api, incoming).await {
        Ok(body) => reply(200, JSON, Box::<str>::from(body).into_string()),
        Err(failure) => said(&failure),
    }
}

/// What the server refuses.
pub fn fault(fault: Fault) -> Reply {
    let code = match fault {
        Fault::TooLarge => "RequestEntityTooLarge",
        Fault::TooSlow => "RequestTimeout",
        Fault::Broken => "IncompleteBody",
        Fault::Busy => "ServiceUnavailable",
        Fault::Failed => "InternalError",
    };
    said(&Failure::new(fault.status(), code, fault.message()))
}

fn said(failure: &Failure) -> Reply {
    let body = serde_json::json!({ "Code": failure.code, "Message": &*failure.message });
    let mut reply = reply(failure.status, JSON, body.to_string());
    if failure.status == 503 {
        set_header(&mut reply, "retry-after", "1");
    }
    reply
}

async fn answered(api: &Api, incoming: &Incoming) -> Answer {
    let who = Who::prove(api, incoming)?;
    if incoming.method != "POST" {
        return Err(Failure::new(405, "MethodNotAllowed", "Use POST with a form."));
    }
    let form = Form::parse(incoming.query(), &incoming.body)?;
    let asked = form.action()?;
    let Some((action, is_write)) = ACTIONS.iter().copied().find(|(action, _)| *action == asked) else {
        return Err(Failure::unknown_action(asked));
    };
    incoming.is_about(action);
    let call = Call::of(api, &who, &form)?;
    let answer = match action {
        "CreateAccessKeyWithBucketsRole" => keys::create(&call).await,
        "UpdateAccessKeyWithBucketsRole" => keys::assign(&call).await,
        "ListAccessKeys" => keys::list(&call),
        "RotateAccessKey" => keys::rotate(&call).await,
        "DeleteAccessKey" => keys::delete(&call).await,
        "AttachUserPolicy" => policies::attach(&call, true).await,
        "DetachUserPolicy" => policies::attach(&call, false).await,
        "ListUserPolicies" => policies::list_of_key(&call),
        "CreatePolicy" => policies::create(&call).await,
        "UpdatePolicy" => policies::update(&call).await,
        "ListPolicies" => policies::list(&call),
        "GetPolicyDetailed" => policies::get(&call),
        "ForceDeletePolicy" => policies::delete(&call, true).await,
        "DeletePolicy" => policies::delete(&call, false).await,
        other => Err(Failure::unknown_action(other)),
    };
    let outcome = answer.as_ref().err().map_or("ok", |failure| failure.code);
    who.used(api, incoming, is_write, outcome, answer.as_ref().map_or(0, |body| body.get().len() as u64));
    answer
}

/// A body.
fn json(body: &impl Serialize) -> Answer {
    serde_json::value::to_raw_value(body).map_err(|_| Failure::new(500, "InternalError", Fault::Failed.message()))
}

/// Reads a form and the JSON in it, and no more; to be fuzzed.
#[doc(hidden)]
pub fn reads_as_form(query: &str, body: &[u8]) -> bool {
    Form::parse(query, body).is_ok_and(|form| {
        let _ = (form.action(), keys::reads(&form));
        true
    })
}
