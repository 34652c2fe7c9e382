//! Access keys: create, list and get, assign roles, rotate, delete.
//!
//! Not here: what a new key may have (`ledger::decide`).

use super::super::super::OnceShown;
use super::super::partner::{marker_of, read_marker};
use super::call::Call;
use super::failure::Failure;
use super::form::Form;
use super::{Answer, json};
use crate::ledger::{Command, CreateAccessKey, Outcome, OwnerName};
use crate::model::text::excerpt;
use crate::model::{AccessKeyId, BucketName, Grant, GrantRole, KeyOwner};
use crate::state::{KeyView, Marks, State};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// Roles of one key.
const ROLES_MAX: usize = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    req_uuid: Option<String>,
    name: String,
    #[serde(default)]
    buckets_role: Vec<BucketRole>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Assign {
    id: String,
    #[serde(default)]
    buckets_role: Vec<BucketRole>,
}

/// A grant in the dialect's words; `*` is every bucket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BucketRole {
    bucket: String,
    role: Role,
}

/// `ReadWrite` is Editor, `Admin` is NamespaceAdmin.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Role {
    ReadOnly,
    #[serde(alias = "ReadWrite")]
    Editor,
    #[serde(alias = "Admin")]
    NamespaceAdmin,
}

impl BucketRole {
    fn of(grant: &Grant) -> Self {
        let role = match grant.role {
            GrantRole::ReadOnly => Role::ReadOnly,
            GrantRole::Editor => Role::Editor,
            GrantRole::Admin => Role::NamespaceAdmin,
        };
        Self { bucket: grant.bucket.as_ref().map_or("*", BucketName::as_str).to_owned(), role }
    }

    fn grant(&self) -> Result<Grant, Failure> {
        let bucket = match self.bucket.as_str() {
            "*" => None,
            name => Some(BucketName::parse(name).map_err(|error| Failure::input(error.to_string()))?),
        };
        let role = match self.role {
            Role::ReadOnly => GrantRole::ReadOnly,
            Role::Editor => GrantRole::Editor,
            Role::NamespaceAdmin => GrantRole::Admin,
        };
        Ok(Grant { bucket, role })
    }
}

fn grants(roles: &[BucketRole]) -> Result<Vec<Grant>, Failure> {
    if roles.len() > ROLES_MAX {
        return Err(Failure::input("`buckets_role` has more than 1000 items."));
    }
    roles.iter().map(BucketRole::grant).collect()
}

/// The JSON in `Req`.
fn request<T: DeserializeOwned>(form: &Form) -> Result<T, Failure> {
    let text = form.needed("Req")?;
    serde_json::from_str(text)
        .map_err(|error| Failure::input(format!("`Req` does not fit: {}.", excerpt(&error.to_string(), 300))))
}

pub(super) fn reads(form: &Form) -> bool {
    request::<Create>(form).is_ok_and(|asked| grants(&asked.buckets_role).is_ok()) || request::<Assign>(form).is_ok()
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CreateResult<'a> {
    create_access_key_result: MadeKey<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MadeKey<'a> {
    access_key: Made<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Made<'a> {
    access_key_id: &'a str,
    secret_access_key: OnceShown<'a>,
    user_name: &'a str,
    create_date: String,
}

#[derive(Serialize)]
struct Row {
    access_key_id: AccessKeyId,
    username: String,
    created_at: String,
    status: &'static str,
    namespace_id: String,
    buckets_role: Vec<BucketRole>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Rows {
    keys: Vec<Row>,
    marker: String,
    is_truncated: bool,
}

pub async fn create(call: &Call<'_>) -> Answer {
    let asked: Create = request(call.form)?;
    let maker = call.who.key();
    // A key's child belongs to whom the key belongs to.
    let owner = match &maker.owner {
        KeyOwner::Org => OwnerName::Org,
        KeyOwner::Bucket(bucket) => OwnerName::Bucket(bucket.clone()),
        KeyOwner::User(user) => {
            OwnerName::User(call.state().user(*user).map(|user| user.name.clone()).unwrap_or_default())
        }
    };
    let is_admin = maker.rights().grants.iter().any(|grant| grant.bucket.is_none() && grant.role == GrantRole::Admin);
    let key = CreateAccessKey {
        owner,
        label: asked.name.as_str().into(),
        grants: grants(&asked.buckets_role)?,
        // What Tigris calls the standard scope, as far as the maker has it.
        default_allow: is_admin || maker.marks.has(Marks::DEFAULT_ALLOW),
        ..CreateAccessKey::default()
    };
    let command = Command::CreateKey { org: call.org, key: Box::new(key) };
    let done = call.execute(command, asked.req_uuid.as_deref()).await?;
    let Outcome::KeyCreated(made) = &done.outcome else { return Err(Failure::no_key()) };
    let id = &made.access_key_id;
    let Some(secret) = &made.secret else {
        let text = format!(
            "This request made access key {id} before, and its secret is not shown again; rotate or delete it."
        );
        return Err(Failure::new(409, "EntityAlreadyExists", text));
    };
    let created_at = call.newest().key(id.as_str()).map(|key| key.created_at.to_string()).unwrap_or_default();
    let made = Made {
        access_key_id: id.as_str(),
        secret_access_key: OnceShown(secret),
        user_name: &made.label,
        create_date: created_at,
    };
    json(&CreateResult { create_access_key_result: MadeKey { access_key: made } })
}

fn row(call: &Call<'_>, key: &KeyView<'_>) -> Row {
    let usable = call.state().status_of(key, call.who.now()).is_usable();
    Row {
        access_key_id: key.id(),
        username: key.label().to_string(),
        created_at: key.created_at().to_string(),
        status: if usable { "active" } else { "inactive" },
        namespace_id: call.account.to_string(),
        buckets_role: key.rights().grants.iter().map(BucketRole::of).collect(),
    }
}

pub fn list(call: &Call<'_>) -> Answer {
    call.authorize("iam:ListAccessKeys", "*")?;
    let state: &State = call.state();
    let max = call.form.items_max()?;
    if let Some(id) = call.form.optional("KeyId") {
        let is_own = |key: &KeyView<'_>| key.org() == call.org && !key.is_deleted();
        let found = state.with_key(id, |key| is_own(key).then(|| row(call, key))).flatten();
        return json(&Rows { keys: found.into_iter().collect(), marker: String::new(), is_truncated: false });
    }
    let after = match call.form.optional("Marker") {
        None => None,
        Some(marker) => {
            let id = read_marker(marker);
            let known =
                id.and_then(|id| state.with_key(&id, |key| (key.org() == call.org).then(|| key.uid())).flatten());
            Some(known.ok_or_else(|| Failure::input("`Marker` is not one that was given out."))?)
        }
    };
    let mut keys = Vec::new();
    state.for_keys_of_org(call.org, after, |key| {
        keys.push(row(call, key));
        if keys.len() > max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let is_truncated = keys.len() > max;
    keys.truncate(max);
    let marker = keys.last().filter(|_| is_truncated).map(|last| marker_of(last.access_key_id.as_str()));
    json(&Rows { keys, marker: marker.unwrap_or_default(), is_truncated })
}

fn success() -> Answer {
    json(&serde_json::json!({ "status": "success" }))
}

/// Replaces all of a key's roles; none takes them all away.
pub async fn assign(call: &Call<'_>) -> Answer {
    let asked: Assign = request(call.form)?;
    let grants = grants(&asked.buckets_role)?;
    let key = named(&asked.id)?;
    call.execute(Command::SetKeyGrants { key, grants }, None).await?;
    success()
}

/// In place: the old secret is dead when this returns.
pub async fn rotate(call: &Call<'_>) -> Answer {
    let key = named(call.form.needed("AccessKeyId")?)?;
    let command = Command::RotateSecret { key: key.clone(), grace_ns: Some(0) };
    let mut done = call.execute(command, None).await?;
    let secret = done.outcome.take_secret().ok_or_else(Failure::no_key)?;
    json(&RotateResult {
        status: "success",
        rotate_access_key_result: Rotated { id: key.as_str(), new_secret: OnceShown(&secret) },
    })
}

pub async fn delete(call: &Call<'_>) -> Answer {
    let key = named(call.form.needed("AccessKeyId")?)?;
    call.execute(Command::DeleteKey { key }, None).await?;
    success()
}

/// An id that is none is answered as an unknown one.
fn named(id: &str) -> Result<AccessKeyId, Failure> {
    AccessKeyId::parse(id).map_err(|_| Failure::no_key())
}

#[derive(Serialize)]
struct RotateResult<'a> {
    status: &'static str,
    rotate_access_key_result: Rotated<'a>,
}

#[derive(Serialize)]
struct Rotated<'a> {
    id: &'a str,
    new_secret: OnceShown<'a>,
}
