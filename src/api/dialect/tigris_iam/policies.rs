//! Policies: made, changed, listed, shown with the keys that hold them, deleted, and hung on keys.
//!
//! Not here: the language (`policy`).

use super::super::partner::{checked_document, marker_of, read_marker};
use super::call::Call;
use super::failure::Failure;
use super::{Answer, json};
use crate::ledger::Command;
use crate::ledger::command::Target;
use crate::ledger::decide::managed;
use crate::model::{AccessKeyId, Holder, PolicyUid, Tags, Time};
use crate::state::{PolicyRecord, State};
use compact_str::CompactString;
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    #[serde(rename = "PolicyName")]
    name: String,
    #[serde(rename = "PolicyId")]
    id: String,
    arn: String,
    path: String,
    default_version_id: String,
    attachment_count: usize,
    description: String,
    create_date: String,
    update_date: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Detailed {
    #[serde(flatten)]
    head: Policy,
    /// As text.
    document: String,
    users: Vec<User>,
}

/// A key that holds a policy.
#[derive(Serialize)]
struct User {
    #[serde(rename = "UserId")]
    id: String,
    #[serde(rename = "UserName")]
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    policies: Vec<Policy>,
    is_truncated: bool,
    marker: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NamePage {
    #[serde(rename = "PolicyNames")]
    names: Vec<String>,
    is_truncated: bool,
    marker: String,
}

fn shown(call: &Call<'_>, state: &State, policy: &PolicyRecord) -> Policy {
    let time = |at: Option<Time>| at.map(|at| at.to_string()).unwrap_or_default();
    Policy {
        name: policy.name.to_string(),
        id: policy.policy.aws_id().to_string(),
        arn: call.policy_arn(&policy.path, &policy.name),
        path: policy.path.to_string(),
        default_version_id: format!("v{}", policy.default_version),
        attachment_count: state.holder_count(policy.policy),
        description: policy.description.to_string(),
        create_date: time(policy.created_at),
        update_date: time(policy.updated_at),
    }
}

/// The org's own policy of this ARN or name.
fn find<'s>(call: &Call<'_>, state: &'s State, named: &str) -> Result<&'s Arc<PolicyRecord>, Failure> {
    let name = named.rsplit('/').next().unwrap_or(named);
    let found = state.policy_by_name(call.org, name).ok_or_else(Failure::no_policy)?;
    let is_it = !named.starts_with("arn:") || call.policy_arn(&found.path, &found.name).eq_ignore_ascii_case(named);
    if is_it { Ok(found) } else { Err(Failure::no_policy()) }
}

fn document(call: &Call<'_>) -> Result<Arc<str>, Failure> {
    let text = call.form.needed("PolicyDocument")?;
    checked_document(text).map_err(|what| Failure::new(400, "MalformedPolicyDocument", what))
}

pub async fn create(call: &Call<'_>) -> Answer {
    let name: CompactString = call.form.needed("PolicyName")?.into();
    let command = Command::CreatePolicy {
        org: call.org,
        name: name.clone(),
        path: CompactString::default(),
        description: call.form.optional("Description").unwrap_or_default().into(),
        tags: Tags::new(),
        document: document(call)?,
    };
    call.execute(command, call.form.optional("ReqUUID")).await?;
    let state = call.newest();
    let policy = shown(call, &state, find(call, &state, &name)?);
    json(&serde_json::json!({ "CreatePolicyResult": { "Policy": policy } }))
}

pub async fn update(call: &Call<'_>) -> Answer {
    let arn = call.form.needed("PolicyArn")?;
    let command = Command::UpdatePolicy {
        org: call.org,
        policy: arn.into(),
        document: document(call)?,
        description: call.form.optional("Description").map(Into::into),
    };
    call.execute(command, call.form.optional("ReqUUID")).await?;
    let state = call.newest();
    let policy = shown(call, &state, find(call, &state, arn)?);
    json(&serde_json::json!({ "UpdatePolicyResult": { "Policy": policy } }))
}

pub fn list(call: &Call<'_>) -> Answer {
    call.authorize("iam:ListPolicies", "*")?;
    let (state, max) = (call.state(), call.form.items_max()?);
    let after = after(call)?;
    let mut all = state.policies(call.org, after.as_deref());
    let page: Vec<_> = all.by_ref().take(max).collect();
    let is_truncated = all.next().is_some();
    let marker = page.last().filter(|_| is_truncated).map(|last| marker_of(&last.name)).unwrap_or_default();
    let policies = page.into_iter().map(|policy| shown(call, state, policy)).collect();
    json(&serde_json::json!({ "ListPoliciesResult": Page { policies, is_truncated, marker } }))
}

fn after(call: &Call<'_>) -> Result<Option<String>, Failure> {
    match call.form.optional("Marker") {
        None => Ok(None),
        Some(marker) => match read_marker(marker) {
            Some(name) => Ok(Some(name)),
            None => Err(Failure::input("`Marker` is not one that was given out.")),
        },
    }
}

pub fn get(call: &Call<'_>) -> Answer {
    let arn = call.form.needed("PolicyArn")?;
    call.authorize("iam:GetPolicy", arn)?;
    let state = call.state();
    let found = find(call, state, arn)?;
    let keys = state.holders(found.policy).into_iter().filter_map(|holder| match holder {
        Holder::Key(key) => state.key_by_uid(key),
        Holder::User(_) | Holder::Group(_) => None,
    });
    let users = keys.map(|key| User { id: key.id.to_string(), name: key.label.to_string() }).collect();
    let document = found.document().map_or_else(String::new, |text| text.to_string());
    let detailed = Detailed { head: shown(call, state, found), document, users };
    json(&serde_json::json!({ "PolicyDetailed": detailed }))
}

pub async fn delete(call: &Call<'_>, force: bool) -> Answer {
    let policy = call.form.needed("PolicyArn")?.into();
    call.execute(Command::DeletePolicy { org: call.org, policy, force }, None).await?;
    json(&serde_json::json!({}))
}

/// Hangs a policy on a key, or takes it off.
pub async fn attach(call: &Call<'_>, on: bool) -> Answer {
    let policy = call.form.needed("PolicyArn")?.into();
    let key = AccessKeyId::parse(call.form.needed("UserName")?).map_err(|_| Failure::no_key())?;
    let (org, target) = (call.org, Target::Key(key));
    let command = if on {
        Command::AttachPolicy { org, policy, to: target }
    } else {
        Command::DetachPolicy { org, policy, from: target }
    };
    call.execute(command, None).await?;
    json(&serde_json::json!({}))
}

/// The names of what is attached to a key, and of its inline policies.
pub fn list_of_key(call: &Call<'_>) -> Answer {
    call.authorize("iam:ListUserPolicies", "*")?;
    let key = call.key(call.form.needed("UserName")?)?;
    let (state, max) = (call.state(), call.form.items_max()?);
    let after = after(call)?;
    let rights = key.rights();
    let attached = rights.attached.iter().map(|policy| name_of(state, *policy));
    let mut names: Vec<String> = attached.chain(rights.inline.keys().map(ToString::to_string)).collect();
    names.sort();
    names.retain(|name| after.as_ref().is_none_or(|after| name > after));
    let is_truncated = names.len() > max;
    names.truncate(max);
    let marker = names.last().filter(|_| is_truncated).map(|last| marker_of(last)).unwrap_or_default();
    json(&serde_json::json!({ "ListUserPoliciesResult": NamePage { names, is_truncated, marker } }))
}

fn name_of(state: &State, policy: PolicyUid) -> String {
    if let Some(policy) = state.policy(policy) {
        return policy.name.to_string();
    }
    let in_every_org = crate::policy::managed::ALL.iter().filter_map(|policy| managed(policy.arn));
    let found = in_every_org.into_iter().find(|managed| managed.uid == policy);
    found.map_or_else(|| policy.to_string(), |managed| managed.policy.name.to_owned())
}
