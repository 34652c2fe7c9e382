//! AWS IAM: the Query protocol over HTTP, version 2010-05-08 (botocore 1.44.5, iam service model).
//!
//! Users, groups, their policies and access keys, tags, boundaries, aliases, reports and the policy simulator, as an unmodified client
//! of AWS asks for them. Requests are signed for service `iam`; the account root and `iam:…` Allows decide who may.
//!
//! ```text
//!   form ──signature──▶ Call ──right──▶ action ──▶ State (questions) │ Ledger::execute (commands) ──▶ XML
//! ```
//!
//! Invariants
//! - Who may not is answered AccessDenied before anything is looked up, so that names cannot be guessed.
//! - A client's own id of a call (`amz-sdk-invocation-id`, the same in its retries) is the command's idempotency token: a retry after
//!   a lost reply makes no second key.
//!
//! Not here: roles, STS, MFA, login profiles, certificates (InvalidAction); rules (`ledger::decide`).

mod alias;
mod call;
mod details;
mod error;
mod form;
mod group;
mod key;
mod last_accessed;
mod names;
mod page;
mod policy;
mod position;
mod report;
mod simulate;
mod simulation;
mod user;
mod user_policy;
mod xml;

pub use report::Kept;

use super::super::incoming::set_header;
use super::super::{Api, Fault, Incoming, Reply, authenticate, reply};
use crate::model::Dialect;
use call::{Answer, Call};
use error::IamError;
use form::Form;

const XML: &str = "text/xml";
/// Where AWS's clients sign for IAM, whatever region they are set to.
const REGION: &str = "us-east-1";

/// Reading a form and no more, to be fuzzed.
#[doc(hidden)]
pub fn reads_as_form(query: &str, body: &[u8]) -> bool {
    Form::parse(query, body).is_ok_and(|form| {
        let _ =
            (page::Paging::read(&form), form.tags(), form.path("Path"), form.list("ActionNames", form::Shape::ACTION));
        true
    })
}

/// Where each statement of a document stands, to be fuzzed.
#[doc(hidden)]
pub fn statement_texts(document: &str) -> Vec<&str> {
    position::spans(document).into_iter().filter_map(|span| document.get(span)).collect()
}

/// Answers one request.
pub async fn answer(api: &Api, incoming: &Incoming) -> Reply {
    match answered(api, incoming).await {
        Ok(body) => reply(200, XML, body),
        Err(error) => refusal(&error, &incoming.request_id),
    }
}

/// What the server refuses.
pub fn fault(fault: Fault, request_id: &str) -> Reply {
    refusal(&IamError::of_fault(fault), request_id)
}

fn refusal(error: &IamError, request_id: &str) -> Reply {
    let mut reply = reply(error.status, XML, xml::failure(error.status, error.code, &error.message, request_id));
    if error.status == 503 {
        set_header(&mut reply, "retry-after", "1");
    }
    reply
}

async fn answered(api: &Api, incoming: &Incoming) -> Result<Vec<u8>, IamError> {
    if incoming.method != "POST" && incoming.method != "GET" {
        return Err(IamError::new(405, "MethodNotAllowed", "Use POST with a form, or GET with a query."));
    }
    let region = api.options.region.as_str();
    let regions = [REGION, region];
    let signed = authenticate::authenticate(api, incoming, Dialect::AwsIam, "iam", &regions)?;
    let is_form = |kind: &str| {
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
    };
    // A body of another kind says nothing to this protocol.
    let body: &[u8] = if incoming.header("content-type").is_some_and(is_form) { &incoming.body } else { b"" };
    let parsed = Form::parse(incoming.query(), body);
    let call = match parsed.and_then(|form| Call::of(api, incoming, &signed, form)) {
        Ok(call) => call,
        Err(error) => {
            signed.used(api, incoming, false, error.code, 0);
            return Err(error);
        }
    };
    incoming.is_about(call.action);
    let answer = dispatch(&call).await;
    let outcome = answer.as_ref().err().map_or("ok", |error| error.code);
    let body = answer.map(|result| xml::success(call.action, &incoming.request_id, result));
    let is_write = !["Get", "List", "Simulate", "Generate"].iter().any(|verb| call.action.starts_with(verb));
    signed.used(api, incoming, is_write, outcome, body.as_ref().map_or(0, |body| body.len() as u64));
    body
}

/// Every action there is, in the order of the model's documentation.
const ACTIONS: &[&str] = &[
    "CreateAccessKey",
    "ListAccessKeys",
    "UpdateAccessKey",
    "DeleteAccessKey",
    "GetAccessKeyLastUsed",
    "CreateUser",
    "GetUser",
    "ListUsers",
    "UpdateUser",
    "DeleteUser",
    "TagUser",
    "UntagUser",
    "ListUserTags",
    "PutUserPermissionsBoundary",
    "DeleteUserPermissionsBoundary",
    "CreateGroup",
    "GetGroup",
    "ListGroups",
    "UpdateGroup",
    "DeleteGroup",
    "AddUserToGroup",
    "RemoveUserFromGroup",
    "ListGroupsForUser",
    "CreatePolicy",
    "GetPolicy",
    "ListPolicies",
    "DeletePolicy",
    "CreatePolicyVersion",
    "GetPolicyVersion",
    "ListPolicyVersions",
    "DeletePolicyVersion",
    "SetDefaultPolicyVersion",
    "TagPolicy",
    "UntagPolicy",
    "ListPolicyTags",
    "ListEntitiesForPolicy",
    "AttachUserPolicy",
    "DetachUserPolicy",
    "ListAttachedUserPolicies",
    "PutUserPolicy",
    "GetUserPolicy",
    "ListUserPolicies",
    "DeleteUserPolicy",
    "AttachGroupPolicy",
    "DetachGroupPolicy",
    "ListAttachedGroupPolicies",
    "PutGroupPolicy",
    "GetGroupPolicy",
    "ListGroupPolicies",
    "DeleteGroupPolicy",
    "ListAccountAliases",
    "CreateAccountAlias",
    "DeleteAccountAlias",
    "GenerateCredentialReport",
    "GetCredentialReport",
    "GetAccountSummary",
    "GetAccountAuthorizationDetails",
    "SimulatePrincipalPolicy",
    "SimulateCustomPolicy",
    "GetContextKeysForPrincipalPolicy",
    "GetContextKeysForCustomPolicy",
    "GenerateServiceLastAccessedDetails",
    "GetServiceLastAccessedDetails",
];

async fn dispatch(call: &Call<'_>) -> Answer {
    match call.action {
        "CreateAccessKey" => key::create(call).await,
        "ListAccessKeys" => key::list(call),
        "UpdateAccessKey" => key::update(call).await,
        "DeleteAccessKey" => key::delete(call).await,
        "GetAccessKeyLastUsed" => key::last_used(call),
        "CreateUser" => user::create(call).await,
        "GetUser" => user::get(call),
        "ListUsers" => user::list(call),
        "UpdateUser" => user::update(call).await,
        "DeleteUser" => user::delete(call).await,
        "TagUser" => user::tag(call).await,
        "UntagUser" => user::untag(call).await,
        "ListUserTags" => user::list_tags(call),
        "PutUserPermissionsBoundary" => user::put_boundary(call).await,
        "DeleteUserPermissionsBoundary" => user::delete_boundary(call).await,
        "CreateGroup" => group::create(call).await,
        "GetGroup" => group::get(call),
        "ListGroups" => group::list(call),
        "UpdateGroup" => group::update(call).await,
        "DeleteGroup" => group::delete(call).await,
        "AddUserToGroup" => group::add_user(call).await,
        "RemoveUserFromGroup" => group::remove_user(call).await,
        "ListGroupsForUser" => group::list_for_user(call),
        "CreatePolicy" => policy::create(call).await,
        "GetPolicy" => policy::get(call),
        "ListPolicies" => policy::list(call),
        "DeletePolicy" => policy::delete(call).await,
        "CreatePolicyVersion" => policy::create_version(call).await,
        "GetPolicyVersion" => policy::get_version(call),
        "ListPolicyVersions" => policy::list_versions(call),
        "DeletePolicyVersion" => policy::delete_version(call).await,
        "SetDefaultPolicyVersion" => policy::set_default(call).await,
        "TagPolicy" => policy::tag(call).await,
        "UntagPolicy" => policy::untag(call).await,
        "ListPolicyTags" => policy::list_tags(call),
        "ListEntitiesForPolicy" => policy::list_entities(call),
        "AttachUserPolicy" | "AttachGroupPolicy" => user_policy::attach(call).await,
        "DetachUserPolicy" | "DetachGroupPolicy" => user_policy::detach(call).await,
        "ListAttachedUserPolicies" | "ListAttachedGroupPolicies" => user_policy::list_attached(call),
        "PutUserPolicy" | "PutGroupPolicy" => user_policy::put(call).await,
        "GetUserPolicy" | "GetGroupPolicy" => user_policy::get(call),
        "ListUserPolicies" | "ListGroupPolicies" => user_policy::list(call),
        "DeleteUserPolicy" | "DeleteGroupPolicy" => user_policy::delete(call).await,
        "ListAccountAliases" => alias::list(call),
        "CreateAccountAlias" => alias::create(call).await,
        "DeleteAccountAlias" => alias::delete(call).await,
        "GenerateCredentialReport" => report::generate(call),
        "GetCredentialReport" => report::get(call),
        "GetAccountSummary" => report::summary(call),
        "GetAccountAuthorizationDetails" => details::answer(call),
        "SimulatePrincipalPolicy" => simulate::principal(call),
        "SimulateCustomPolicy" => simulate::custom(call),
        "GetContextKeysForPrincipalPolicy" => simulate::keys_for_principal(call),
        "GetContextKeysForCustomPolicy" => simulate::keys_for_custom(call),
        "GenerateServiceLastAccessedDetails" => last_accessed::generate(call),
        "GetServiceLastAccessedDetails" => last_accessed::get(call),
        other => Err(IamError::unknown_action(other)),
    }
}
