//! Access keys: made, shown, changed, rotated, stopped.
//!
//! Invariants
//! - A secret is in the answer that made it and in no other: a retry gets `"secret_access_key": null, "replayed": true`.
//! - An id of another org and one that nobody has get the same answer.
//!
//! Not here: the list of them (`key_list`), what a new key may have (`ledger::decide`), what a key did (`audit`).

use super::super::OnceShown;
use super::body::{
    self, ChangeTags, CreateKey, FlagKey, GrantBody, ImportKey, Nothing, RetireSecret, RotateKey, RotateSecret,
    SetDefaultAllow, SetDescription, SetExpiry, SetGrants, SetLabel, UpdateRights,
};
use super::call::{Answer, Call, Changed, Shown, changed};
use super::held;
use super::page::Page;
use super::problem::Problem;
use super::rights::Sight;
use super::table::{Param, Route, schema};
use crate::audit::rows::{KeyDetail, KeyRow};
use crate::ledger::command::UpdateKeyRights;
use crate::ledger::{Command, CreateAccessKey, Done, ImportAccessKey, Outcome, OwnerName};
use crate::model::{AccessKeyId, BucketName, KeyOwner};
use crate::state::KeyRecord;
use crate::vault::SecretKey;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

const READ: &str = "keyledger:ReadKeys";

const STATUSES: &[&str] = &["Active", "Rotating", "Expired", "Inactive", "OrgSuspended", "Revoked"];

pub const ROUTES: &[Route] = &[
    Route::look_own(
        "/keys",
        "List access keys that are not deleted",
        READ,
        schema::<Page<KeyRow>>,
        super::key_list::list,
    )
    .query(&[
        Param::text("user", "Of this user"),
        Param::text("bucket", "Of this bucket, or with a grant on it"),
        Param::one_of("status", STATUSES, "In this status"),
        Param::text("label", "Whose label contains this"),
    ])
    .paged(),
    Route::change(
        "POST",
        "/keys",
        "Make an access key; its secret is in this answer alone",
        create,
        schema::<Changed<MadeKey<'static>>>,
        made,
    )
    .takes(schema::<CreateKey>)
    .creates(),
    Route::change(
        "POST",
        "/keys/import",
        "Take in an access key that was made elsewhere",
        import,
        schema::<Changed<MadeKey<'static>>>,
        made,
    )
    .takes(schema::<ImportKey>)
    .creates(),
    Route::look_own("/keys/{key}", "Show an access key, also a deleted one", READ, schema::<Shown<KeyDetail>>, show),
    Route::change(
        "DELETE",
        "/keys/{key}",
        "Delete an access key and destroy its secret",
        |call| Ok(Command::DeleteKey { key: call.key_id()? }),
        schema::<Changed<KeyDetail>>,
        shown,
    ),
    Route::change(
        "PUT",
        "/keys/{key}/label",
        "Set an access key's label",
        set_label,
        schema::<Changed<KeyDetail>>,
        shown,
    )
    .takes(schema::<SetLabel>),
    Route::change(
        "PUT",
        "/keys/{key}/description",
        "Set an access key's description",
        set_description,
        schema::<Changed<KeyDetail>>,
        shown,
    )
    .takes(schema::<SetDescription>),
    Route::change(
        "PATCH",
        "/keys/{key}/tags",
        "Set and remove tags of an access key",
        tag,
        schema::<Changed<KeyDetail>>,
        shown,
    )
    .takes(schema::<ChangeTags>),
    Route::change(
        "PUT",
        "/keys/{key}/grants",
        "Set an access key's bucket grants",
        set_grants,
        schema::<Changed<KeyDetail>>,
        shown,
    )
    .takes(schema::<SetGrants>),
    Route::change(
        "PUT",
        "/keys/{key}/default-allow",
        "Let an access key create and list buckets",
        set_default_allow,
        schema::<Changed<KeyDetail>>,
        shown,
    )
    .takes(schema::<SetDefaultAllow>),
    Route::change(
        "PUT",
        "/keys/{key}/expiry",
        "Set when an access key ends",
        set_expiry,
        schema::<Changed<KeyDetail>>,
        shown,
    )
    .takes(schema::<SetExpiry>),
    Route::change(
        "PATCH",
        "/keys/{key}/rights",
        "Change an access key's grants and policies in one commit",
        update_rights,
        schema::<Changed<KeyDetail>>,
        shown,
    )
    .takes(schema::<UpdateRights>),
    Route::change(
        "PUT",
        "/keys/{key}/policies/{policy}",
        "Attach a policy to an access key",
        held::attach,
        schema::<Changed<KeyDetail>>,
        shown,
    ),
    Route::change(
        "DELETE",
        "/keys/{key}/policies/{policy}",
        "Detach a policy from an access key",
        held::detach,
        schema::<Changed<KeyDetail>>,
        shown,
    ),
    Route::change(
        "POST",
        "/keys/{key}/suspend",
        "Make an access key unusable until it is resumed",
        |call| bare(call, |key| Command::SuspendKey { key }),
        schema::<Changed<KeyDetail>>,
        shown,
    )
    .takes(schema::<Nothing>),
    Route::change(
        "POST",
        "/keys/{key}/resume",
        "Make a suspended access key usable again",
        |call| bare(call, |key| Command::ResumeKey { key }),
        schema::<Changed<KeyDetail>>,
        shown,
    )
    .takes(schema::<Nothing>),
    Route::change(
        "POST",
        "/keys/{key}/revoke",
        "Make an access key unusable for ever",
        |call| bare(call, |key| Command::RevokeKey { key }),
        schema::<Changed<KeyDetail>>,
        shown,
    )
    .takes(schema::<Nothing>),
    Route::change(
        "POST",
        "/keys/{key}/flag",
        "Flag an access key as compromised",
        flag,
        schema::<Changed<KeyDetail>>,
        shown,
    )
    .takes(schema::<FlagKey>),
    Route::change(
        "POST",
        "/keys/{key}/clear",
        "Take an access key's flag away",
        |call| bare(call, |key| Command::ClearKey { key }),
        schema::<Changed<KeyDetail>>,
        shown,
    )
    .takes(schema::<Nothing>),
    Route::change(
        "POST",
        "/keys/{key}/rotate",
        "Replace an access key by a new one; its secret is in this answer alone",
        rotate,
        schema::<Changed<MadeKey<'static>>>,
        made,
    )
    .takes(schema::<RotateKey>)
    .creates(),
    Route::change(
        "POST",
        "/keys/{key}/rotate-secret",
        "Give an access key a second secret, in this answer alone",
        rotate_secret,
        schema::<Changed<MadeKey<'static>>>,
        made,
    )
    .takes(schema::<RotateSecret>)
    .creates(),
    Route::change(
        "POST",
        "/keys/{key}/retire-secret",
        "Stop one of two live secrets",
        retire,
        schema::<Changed<KeyDetail>>,
        shown,
    )
    .takes(schema::<RetireSecret>),
];

/// A key that was just made, or got another secret.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MadeKey")]
pub struct MadeKey<'a> {
    #[serde(flatten)]
    key: KeyDetail,
    /// Null when the answer is repeated, and of a key that was brought.
    #[schemars(with = "Option<String>")]
    secret_access_key: Option<OnceShown<'a>>,
}

fn show(call: &Call<'_>) -> Result<Answer, Problem> {
    let view = call.view();
    let own = |key: &KeyRecord| match call.sight {
        Sight::Org => true,
        Sight::Own(own) => key.owner == KeyOwner::User(own) && !key.is_deleted(),
    };
    let key = view.key(call.name("key")).filter(own).ok_or_else(|| Problem::no_such("access key"))?;
    let row = KeyDetail::of(&view, &key);
    let version = row.changed_seq;
    Ok(call.shown(row)?.version(version))
}

fn shown(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    let view = call.newest();
    let key = view.key(call.name("key")).ok_or_else(Problem::gone_meanwhile)?;
    let row = KeyDetail::of(&view, &key);
    let version = row.changed_seq;
    Ok(changed(done, row)?.version(version))
}

/// The key that was made, or the one in the path that got another secret.
fn made(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    let (id, secret) = match &done.outcome {
        Outcome::KeyCreated(made) | Outcome::KeyRotated { new: made, .. } => {
            (made.access_key_id.to_string(), made.secret.as_ref())
        }
        Outcome::SecretRotated { secret, .. } => (call.name("key").to_owned(), secret.as_ref()),
        _ => return Err(Problem::failed()),
    };
    let view = call.newest();
    let key = view.key(&id).ok_or_else(Problem::gone_meanwhile)?;
    let key = KeyDetail::of(&view, &key);
    let version = key.changed_seq;
    Ok(changed(done, MadeKey { key, secret_access_key: secret.map(OnceShown) })?.version(version))
}

fn create(call: &Call<'_>) -> Result<Command, Problem> {
    let key = Box::new(new_key(call.body()?)?);
    Ok(Command::CreateKey { org: call.org_uid(), key })
}

fn new_key(asked: CreateKey) -> Result<CreateAccessKey, Problem> {
    let owner = match (asked.user_name, asked.owner_bucket) {
        (None, None) => OwnerName::Org,
        (Some(user), None) => OwnerName::User(user.into()),
        (None, Some(bucket)) => {
            let named =
                BucketName::parse(&bucket).map_err(|invalid| Problem::invalid("owner_bucket", invalid.expected));
            OwnerName::Bucket(named?)
        }
        (Some(_), Some(_)) => return Err(Problem::invalid("owner_bucket", "one owner: not together with user_name")),
    };
    let expires_at = body::moment(asked.expires_at.as_deref());
    Ok(CreateAccessKey {
        owner,
        label: asked.label.into(),
        description: asked.description.into(),
        tags: body::tags(asked.tags),
        grants: grants(asked.buckets)?,
        policies: asked.policies.into_iter().map(Into::into).collect(),
        default_allow: asked.default_allow,
        expires_at: expires_at.map_err(|invalid| Problem::invalid("expires_at", invalid.expected))?,
    })
}

fn grants(given: Vec<GrantBody>) -> Result<Vec<crate::model::Grant>, Problem> {
    GrantBody::all(given).map_err(|invalid| Problem::invalid("buckets", invalid.expected))
}

fn import(call: &Call<'_>) -> Result<Command, Problem> {
    let asked: ImportKey = call.body()?;
    let access_key_id = AccessKeyId::parse(&asked.access_key_id);
    let access_key_id = access_key_id.map_err(|invalid| Problem::invalid("access_key_id", invalid.expected))?;
    let secret = SecretKey::import(asked.secret_access_key.expose());
    let secret = secret.map_err(|_| Problem::invalid("secret_access_key", "1 to 128 visible ASCII characters"))?;
    let key = new_key(CreateKey {
        user_name: asked.user_name,
        owner_bucket: asked.owner_bucket,
        label: asked.label,
        description: asked.description,
        tags: asked.tags,
        buckets: asked.buckets,
        policies: asked.policies,
        default_allow: asked.default_allow,
        expires_at: asked.expires_at,
    })?;
    let key = ImportAccessKey { access_key_id, secret: Arc::new(secret), key };
    Ok(Command::ImportKey { org: call.org_uid(), key: Box::new(key) })
}

/// A command that takes no body.
fn bare(call: &Call<'_>, command: fn(AccessKeyId) -> Command) -> Result<Command, Problem> {
    let Nothing {} = call.body_or_default()?;
    Ok(command(call.key_id()?))
}

fn set_label(call: &Call<'_>) -> Result<Command, Problem> {
    let label = call.body::<SetLabel>()?.label.into();
    Ok(Command::LabelKey { key: call.key_id()?, label })
}

fn set_description(call: &Call<'_>) -> Result<Command, Problem> {
    let description = call.body::<SetDescription>()?.description.into();
    Ok(Command::DescribeKey { key: call.key_id()?, description })
}

fn tag(call: &Call<'_>) -> Result<Command, Problem> {
    let ChangeTags { set, remove } = call.body()?;
    let remove = remove.into_iter().map(Into::into).collect();
    Ok(Command::TagKey { key: call.key_id()?, set: body::tags(set), remove })
}

fn set_grants(call: &Call<'_>) -> Result<Command, Problem> {
    let grants = grants(call.body::<SetGrants>()?.buckets)?;
    Ok(Command::SetKeyGrants { key: call.key_id()?, grants })
}

fn set_default_allow(call: &Call<'_>) -> Result<Command, Problem> {
    let default_allow = call.body::<SetDefaultAllow>()?.default_allow;
    Ok(Command::SetKeyDefaultAllow { key: call.key_id()?, default_allow })
}

fn set_expiry(call: &Call<'_>) -> Result<Command, Problem> {
    let expires_at = body::moment(call.body::<SetExpiry>()?.expires_at.as_deref());
    let expires_at = expires_at.map_err(|invalid| Problem::invalid("expires_at", invalid.expected))?;
    Ok(Command::SetKeyExpiry { key: call.key_id()?, expires_at })
}

fn update_rights(call: &Call<'_>) -> Result<Command, Problem> {
    let asked: UpdateRights = call.body()?;
    let names = |names: Vec<String>| names.into_iter().map(Into::into).collect();
    let change = UpdateKeyRights {
        grants: asked.buckets.map(grants).transpose()?,
        default_allow: asked.default_allow,
        remove: names(asked.detach),
        add: names(asked.attach),
    };
    Ok(Command::UpdateKeyRights { key: call.key_id()?, change: Box::new(change) })
}

fn flag(call: &Call<'_>) -> Result<Command, Problem> {
    let FlagKey { quarantine, note } = call.body_or_default()?;
    Ok(Command::FlagKey { key: call.key_id()?, quarantine, note: note.into() })
}

fn rotate(call: &Call<'_>) -> Result<Command, Problem> {
    let RotateKey { grace_seconds, expires_at } = call.body_or_default()?;
    let expires_at = body::moment(expires_at.as_deref());
    let expires_at = expires_at.map_err(|invalid| Problem::invalid("expires_at", invalid.expected))?;
    Ok(Command::RotateKey { key: call.key_id()?, grace_ns: grace_seconds.map(body::ns), expires_at })
}

fn rotate_secret(call: &Call<'_>) -> Result<Command, Problem> {
    let RotateSecret { grace_seconds } = call.body_or_default()?;
    Ok(Command::RotateSecret { key: call.key_id()?, grace_ns: grace_seconds.map(body::ns) })
}

fn retire(call: &Call<'_>) -> Result<Command, Problem> {
    let RetireSecret { version } = call.body_or_default()?;
    Ok(Command::RetireSecret { key: call.key_id()?, version })
}
