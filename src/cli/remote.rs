//! A change, made by a server: each command as a request to the native API, and its answer as the command line tells it.
//!
//! Not here: signing and sending (`client`), the routes (`api::native`), rights: the key that signs has them or not.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::writing::Wrote;
use crate::client::{Ask, Body, Client, Credentials, Told, Unanswered, segment, take_secret};
use crate::ledger::{Command, CreateAccessKey, Dice as _, OsDice, OwnerName, Target};
use crate::model::bytes::Hex;
use crate::model::text::excerpt;
use crate::model::{BucketName, Grant, Tags};
use serde_json::{Map, Value, json};
use std::path::Path;
use zeroize::{Zeroize as _, Zeroizing};

/// Bytes of a file of certificates.
const CERTIFICATES_BYTES_MAX: u64 = 1 << 20;

/// A server that changes are sent to.
#[derive(Debug)]
pub struct Remote {
    client: Client,
    reason: Option<String>,
}

impl Remote {
    /// # Errors
    /// Exit 2: no credentials, or no endpoint.
    pub fn open(cx: &Context, endpoint: &str) -> Result<Self, Failure> {
        if cx.global.org.is_some() {
            return Err(Failure::usage("--org is not taken with --endpoint: the org is that of the key that signs"));
        }
        let var = |name: &str| std::env::var(name).ok();
        let credentials = Credentials::find(cx.io.as_ref(), &var).map_err(|error| Failure::of(Exit::Usage, &error))?;
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        let region = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"));
        let region = region.unwrap_or_else(|| "us-east-1".to_owned());
        let trust = match set("KEYLEDGER_CA_FILE").or_else(|| set("AWS_CA_BUNDLE")) {
            Some(path) => {
                let read = cx.io.read(Path::new(&path), CERTIFICATES_BYTES_MAX);
                Some(read.map_err(super::backup::at("read", Path::new(&path)))?)
            }
            None => None,
        };
        let client = Client::new(endpoint, &region, credentials, trust.as_deref(), cx.clock.clone());
        let client = client.map_err(|error| unanswered(&error))?;
        Ok(Self { client, reason: cx.global.reason.clone() })
    }

    /// Has `command` done: durable when this returns.
    ///
    /// # Errors
    /// Exit 4 when a rule said no, 6 when it is unknown what became of it, 2 when nothing could be asked.
    pub fn execute(&self, command: &Command) -> Result<Wrote, Failure> {
        let (method, path, body) = request(command).ok_or_else(|| {
            Failure::usage("only the ledger's operator does that, on its own machine, without --endpoint")
        })?;
        self.send(method, &path, body)
    }

    /// The same by its route.
    pub fn send(&self, method: &'static str, path: &str, body: Option<Value>) -> Result<Wrote, Failure> {
        let body = body.map(wiped).transpose()?;
        let mut token = [0; 16];
        OsDice::default().fill(&mut token);
        let token = Some(Hex(&token).to_string());
        let ask = Ask { method, path: format!("/api/v1{path}"), body, token, reason: self.reason.clone() };
        let told = self.client.ask(&ask).map_err(|error| unanswered(&error))?;
        wrote(&told, &self.client)
    }
}

/// JSON as bytes that are wiped; what it was made of is wiped now.
fn wiped(mut body: Value) -> Result<Body, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4 << 10));
    let written = serde_json::to_writer(&mut *bytes, &body);
    for member in ["secret_access_key", "token"] {
        if let Some(Value::String(secret)) = body.get_mut(member) {
            secret.zeroize();
        }
    }
    written.map_err(|error| Failure::usage(format!("the request cannot be written as JSON: {error}")))?;
    Ok(Body(bytes))
}

fn unanswered(error: &Unanswered) -> Failure {
    match error {
        Unanswered::Lost { .. } => {
            Failure::of(Exit::Indeterminate, error).hint("whether it was done is unknown: look before trying again")
        }
        _ => Failure::of(Exit::Usage, error),
    }
}

fn wrote(told: &Told, client: &Client) -> Result<Wrote, Failure> {
    let not_ours = || Failure::usage(format!("{} does not answer as keyledger does", client.endpoint()));
    let mut answer: Value = serde_json::from_slice(&told.body).map_err(|_| not_ours())?;
    if !(200..300).contains(&told.status) {
        return Err(refused(told.status, &answer).unwrap_or_else(not_ours));
    }
    let (changed, seq) = (answer["changed"].as_bool(), answer["seq"].as_u64());
    let (Some(changed), Some(seq)) = (changed, seq) else { return Err(not_ours()) };
    let secret = take_secret(&mut answer, "secret_access_key").or_else(|| take_secret(&mut answer, "token"));
    let is_lost = secret.is_none() && answer.get("secret_access_key").is_some() && answer["replayed"] == true;
    Ok(Wrote::there(changed.then_some(seq), secret, is_lost, answer))
}

/// A problem in the words of the command line.
fn refused(status: u16, problem: &Value) -> Option<Failure> {
    let (code, detail) = (problem["code"].as_str()?, problem["detail"].as_str()?);
    let exit = match (status, code) {
        (_, "indeterminate") => Exit::Indeterminate,
        (400, "invalid-input" | "bad-document") | (403 | 404 | 409 | 412, _) => Exit::Refused,
        _ => Exit::Usage,
    };
    let text = excerpt(detail, 2_000);
    Some(Failure::new(exit, format!("{} ({})", text.trim_end_matches('.'), excerpt(code, 64))))
}

type Route = (&'static str, String, Option<Value>);

/// The route of a command; none of what only the operator does.
fn request(command: &Command) -> Option<Route> {
    let (method, path, body) = match command {
        Command::SetOrgAlias { alias, .. } => ("PATCH", "/org".to_owned(), Some(json!({ "alias": alias }))),
        Command::CreateUser { name, path, external_id, tags, boundary, .. } => {
            let body = json!({
                "user_name": name, "path": path, "external_id": external_id, "tags": tags,
                "permissions_boundary": boundary,
            });
            ("POST", "/users".to_owned(), Some(body))
        }
        Command::UpdateUser { user, name, path, .. } => {
            ("PATCH", user_path(user, ""), Some(json!({ "user_name": name, "path": path })))
        }
        Command::SetUserRole { user, role, .. } => {
            ("PUT", user_path(user, "/role"), Some(json!({ "role": role.as_str() })))
        }
        Command::TagUser { user, set, remove, .. } => ("PATCH", user_path(user, "/tags"), Some(tags(set, remove))),
        Command::SetUserBoundary { user, policy: Some(policy), .. } => {
            ("PUT", user_path(user, "/boundary"), Some(json!({ "policy": policy })))
        }
        Command::SetUserBoundary { user, policy: None, .. } => ("DELETE", user_path(user, "/boundary"), None),
        Command::DeleteUser { user, .. } => ("DELETE", user_path(user, ""), None),
        Command::CreateGroup { name, path, .. } => {
            ("POST", "/groups".to_owned(), Some(json!({ "group_name": name, "path": path })))
        }
        Command::UpdateGroup { group, name, path, .. } => {
            ("PATCH", group_path(group, ""), Some(json!({ "group_name": name, "path": path })))
        }
        Command::DeleteGroup { group, .. } => ("DELETE", group_path(group, ""), None),
        Command::AddGroupMember { group, user, .. } => {
            ("PUT", group_path(group, &format!("/members/{}", segment(user))), None)
        }
        Command::RemoveGroupMember { group, user, .. } => {
            ("DELETE", group_path(group, &format!("/members/{}", segment(user))), None)
        }
        Command::CreateKey { key, .. } => ("POST", "/keys".to_owned(), Some(Value::Object(new_key(key)))),
        Command::ImportKey { key, .. } => {
            let mut body = new_key(&key.key);
            body.insert("access_key_id".to_owned(), key.access_key_id.as_str().into());
            body.insert("secret_access_key".to_owned(), key.secret.expose_secret().into());
            ("POST", "/keys/import".to_owned(), Some(Value::Object(body)))
        }
        Command::LabelKey { key, label } => ("PUT", key_path(key, "/label"), Some(json!({ "label": label }))),
        Command::DescribeKey { key, description } => {
            ("PUT", key_path(key, "/description"), Some(json!({ "description": description })))
        }
        Command::TagKey { key, set, remove } => ("PATCH", key_path(key, "/tags"), Some(tags(set, remove))),
        Command::SetKeyGrants { key, grants } => {
            ("PUT", key_path(key, "/grants"), Some(json!({ "buckets": buckets(grants) })))
        }
        Command::SetKeyDefaultAllow { key, default_allow } => {
            ("PUT", key_path(key, "/default-allow"), Some(json!({ "default_allow": default_allow })))
        }
        Command::SetKeyExpiry { key, expires_at } => {
            let at = expires_at.map(|at| at.to_string());
            ("PUT", key_path(key, "/expiry"), Some(json!({ "expires_at": at })))
        }
        Command::SuspendKey { key } => ("POST", key_path(key, "/suspend"), None),
        Command::ResumeKey { key } => ("POST", key_path(key, "/resume"), None),
        Command::RevokeKey { key } => ("POST", key_path(key, "/revoke"), None),
        Command::DeleteKey { key } => ("DELETE", key_path(key, ""), None),
        Command::RotateKey { key, grace_ns, expires_at } => {
            let body =
                json!({ "grace_seconds": grace_ns.map(seconds), "expires_at": expires_at.map(|at| at.to_string()) });
            ("POST", key_path(key, "/rotate"), Some(body))
        }
        Command::RotateSecret { key, grace_ns } => {
            ("POST", key_path(key, "/rotate-secret"), Some(json!({ "grace_seconds": grace_ns.map(seconds) })))
        }
        Command::RetireSecret { key, version } => {
            ("POST", key_path(key, "/retire-secret"), Some(json!({ "version": version })))
        }
        Command::FlagKey { key, quarantine, note } => {
            ("POST", key_path(key, "/flag"), Some(json!({ "quarantine": quarantine, "note": note })))
        }
        Command::ClearKey { key } => ("POST", key_path(key, "/clear"), None),
        Command::CreatePolicy { name, path, description, tags, document, .. } => {
            let body = json!({
                "policy_name": name, "path": path, "description": description, "tags": tags, "document": document,
            });
            ("POST", "/policies".to_owned(), Some(body))
        }
        Command::TagPolicy { policy, set, remove, .. } => {
            ("PATCH", policy_path(policy, "/tags"), Some(tags(set, remove)))
        }
        Command::CreatePolicyVersion { policy, document, set_default, .. } => {
            let body = json!({ "document": document, "set_default": set_default });
            ("POST", policy_path(policy, "/versions"), Some(body))
        }
        Command::ReplacePolicyDocument { policy, document, .. } => {
            ("POST", policy_path(policy, "/versions"), Some(json!({ "document": document, "replace": true })))
        }
        Command::SetDefaultPolicyVersion { policy, version, .. } => {
            ("PUT", policy_path(policy, "/default-version"), Some(json!({ "version": version })))
        }
        Command::DeletePolicyVersion { policy, version, .. } => {
            ("DELETE", policy_path(policy, &format!("/versions/{version}")), None)
        }
        Command::DeletePolicy { policy, force, .. } => {
            ("DELETE", policy_path(policy, if *force { "?force=true" } else { "" }), None)
        }
        Command::AttachPolicy { policy, to, .. } => ("PUT", held(to, "policies", policy), None),
        Command::DetachPolicy { policy, from, .. } => ("DELETE", held(from, "policies", policy), None),
        Command::PutInlinePolicy { holder, name, document, .. } => {
            ("PUT", held(holder, "inline-policies", name), Some(json!({ "document": document })))
        }
        Command::DeleteInlinePolicy { holder, name, .. } => ("DELETE", held(holder, "inline-policies", name), None),
        Command::RegisterBucket { bucket, .. } => ("PUT", bucket_path(bucket), None),
        Command::ForgetBucket { bucket, .. } => ("DELETE", bucket_path(bucket), None),
        _ => return None,
    };
    Some((method, path, body))
}

fn user_path(user: &str, more: &str) -> String {
    format!("/users/{}{more}", segment(user))
}

fn group_path(group: &str, more: &str) -> String {
    format!("/groups/{}{more}", segment(group))
}

fn key_path(key: &crate::model::AccessKeyId, more: &str) -> String {
    format!("/keys/{}{more}", segment(key.as_str()))
}

fn policy_path(policy: &str, more: &str) -> String {
    format!("/policies/{}{more}", segment(policy))
}

fn bucket_path(bucket: &BucketName) -> String {
    format!("/buckets/{}", segment(bucket.as_str()))
}

/// A policy of its holder.
fn held(holder: &Target, kind: &str, policy: &str) -> String {
    let more = format!("/{kind}/{}", segment(policy));
    match holder {
        Target::User(user) => user_path(user, &more),
        Target::Group(group) => group_path(group, &more),
        Target::Key(key) => key_path(key, &more),
    }
}

fn tags(set: &Tags, remove: &[compact_str::CompactString]) -> Value {
    json!({ "set": set, "remove": remove })
}

fn buckets(grants: &[Grant]) -> Vec<Value> {
    let row = |grant: &Grant| {
        let bucket = grant.bucket.as_ref().map_or("*", BucketName::as_str);
        json!({ "bucket": bucket, "role": grant.role.as_str() })
    };
    grants.iter().map(row).collect()
}

/// Whole seconds, never fewer than were asked for.
fn seconds(ns: i64) -> i64 {
    ns.div_euclid(1_000_000_000) + i64::from(ns.rem_euclid(1_000_000_000) > 0)
}

fn new_key(key: &CreateAccessKey) -> Map<String, Value> {
    let (user, bucket) = match &key.owner {
        OwnerName::User(user) => (Some(user.as_str()), None),
        OwnerName::Bucket(bucket) => (None, Some(bucket.as_str())),
        OwnerName::Org | OwnerName::External(_) => (None, None),
    };
    let body = json!({
        "user_name": user, "owner_bucket": bucket, "label": key.label, "description": key.description, "tags": key.tags,
        "buckets": buckets(&key.grants), "policies": key.policies, "default_allow": key.default_allow,
        "expires_at": key.expires_at.map(|at| at.to_string()),
    });
    match body {
        Value::Object(body) => body,
        _ => Map::new(),
    }
}
