//! Access keys of users, and of the account root.
//!
//! The root's keys are the org's own: Admin on `*`. Keys of buckets (Lightsail) are no part of this dialect's lists.
//!
//! Not here: groups, policies.

use super::call::{Answer, Call};
use super::error::IamError;
use super::form::Shape;
use super::names::root_arn;
use super::page::Paging;
use super::xml::Xml;
use crate::ledger::{Command, CreateAccessKey, Outcome, OwnerName};
use crate::model::id::World;
use crate::model::{AccessKeyId, Grant, GrantRole, KeyOwner, Time};
use crate::state::{KeyRecord, KeyStatus, OwnerRef};

/// How the account root is called where a user's name stands.
const ROOT: &str = "<root_account>";

/// AWS knows three words (botocore 1.44.5, `statusType`).
pub fn status_word(status: KeyStatus) -> &'static str {
    match status {
        KeyStatus::Active | KeyStatus::Rotating => "Active",
        KeyStatus::Expired => "Expired",
        KeyStatus::Inactive | KeyStatus::OrgSuspended | KeyStatus::Revoked | KeyStatus::Deleted => "Inactive",
    }
}

/// The ARN that a call about the keys of `user`, or of the root, is about.
fn owner_arn(call: &Call<'_>, user: Option<&str>) -> String {
    user.map_or_else(|| root_arn(call.account), |name| call.arn_of_user(name))
}

fn key_id(call: &Call<'_>) -> Result<AccessKeyId, IamError> {
    let text = call.form.required("AccessKeyId", Shape::KEY_ID)?;
    AccessKeyId::parse(text).map_err(|error| IamError::validation(error.to_string()))
}

fn no_such_key(id: &str) -> IamError {
    IamError::no_such(format!("The Access Key with id {id} cannot be found."))
}

pub async fn create(call: &Call<'_>) -> Answer {
    let name = call.user_name()?;
    let resource = owner_arn(call, name.as_deref());
    call.authorize(&resource)?;
    let key = match &name {
        Some(name) => CreateAccessKey { owner: OwnerName::User(name.as_str().into()), ..CreateAccessKey::default() },
        None => CreateAccessKey {
            grants: vec![Grant { bucket: None, role: GrantRole::Admin }],
            ..CreateAccessKey::default()
        },
    };
    let done = call.execute(&resource, Command::CreateKey { org: call.org, key: Box::new(key) }).await?;
    let Outcome::KeyCreated(made) = done.outcome else {
        return Err(IamError::new(500, "ServiceFailure", "The key was made, and cannot be told."));
    };
    let Some(secret) = &made.secret else {
        let text = format!(
            "An earlier attempt of this call made the access key {}, whose secret is not shown again; delete it and \
             create another.",
            made.access_key_id
        );
        return Err(IamError::new(409, "EntityAlreadyExists", text));
    };
    let state = call.newest();
    let (user, created) = match state.key(made.access_key_id.as_str()) {
        Some(key) => (owner_name(call, &key), key.created_at),
        None => (name.unwrap_or_else(|| ROOT.to_owned()), call.now()),
    };
    let mut xml = Xml::default();
    xml.element("AccessKey", |xml| {
        xml.text("UserName", &user);
        xml.text("AccessKeyId", made.access_key_id.as_str());
        xml.text("Status", "Active");
        xml.text("SecretAccessKey", secret.expose_secret());
        xml.date("CreateDate", created);
    });
    Ok(Some(xml))
}

fn owner_name(call: &Call<'_>, key: &KeyRecord) -> String {
    match &key.owner {
        KeyOwner::User(user) => call.state().user(*user).map(|user| user.name.to_string()).unwrap_or_default(),
        KeyOwner::Org => ROOT.to_owned(),
        KeyOwner::Bucket(bucket) => bucket.to_string(),
    }
}

pub fn list(call: &Call<'_>) -> Answer {
    let name = call.user_name()?;
    call.authorize(&owner_arn(call, name.as_deref()))?;
    let (owner, shown) = match &name {
        Some(name) => {
            let user = call.user(name)?;
            (OwnerRef::User(user.user), user.name.to_string())
        }
        None => (OwnerRef::Org(call.org), ROOT.to_owned()),
    };
    let paging = Paging::read(&call.form)?;
    // Keys are listed in an order of this process, so a marker of another one says nothing.
    let bad = || IamError::validation("Invalid Marker.");
    let epoch = call.api.iam.epoch();
    let after = match paging.after.as_deref().map(|marker| marker.split_once('/')) {
        None => None,
        Some(Some((of, id))) if of == epoch => Some(AccessKeyId::uid_of(id, World::Live)),
        Some(_) => return Err(bad()),
    };
    let keys = call.state().keys_after(&owner, after).ok_or_else(bad)?;
    let page = paging.page(keys, |key| format!("{epoch}/{}", key.id));
    let mut xml = Xml::default();
    xml.list("AccessKeyMetadata", &page.items, |xml, key| {
        xml.text("UserName", &shown);
        xml.text("AccessKeyId", key.id.as_str());
        xml.text("Status", status_word(call.state().status(key, call.now())));
        created(xml, key);
    });
    page.write_end(&mut xml);
    Ok(Some(xml))
}

fn created(xml: &mut Xml, key: &KeyRecord) {
    if let Some(at) = key.created_at() {
        xml.date("CreateDate", at);
    }
}

/// The key that is meant, when it is the user's, or the root's without one. What was deleted is the writer's to refuse, so that a
/// retry of a delete finds its first outcome.
fn of_owner(call: &Call<'_>, id: &AccessKeyId, name: Option<&str>) -> Result<(), IamError> {
    let owner = match name {
        Some(name) => KeyOwner::User(call.user(name)?.user),
        None => KeyOwner::Org,
    };
    let key = call.state().key(id.as_str()).filter(|key| key.org == call.org && key.owner == owner);
    key.map(|_| ()).ok_or_else(|| no_such_key(id.as_str()))
}

pub async fn update(call: &Call<'_>) -> Answer {
    let name = call.user_name()?;
    let key = key_id(call)?;
    let status = call.form.one_of("Status", &["Active", "Inactive", "Expired"])?;
    let status = status.ok_or_else(|| super::form::missing("Status"))?;
    let resource = owner_arn(call, name.as_deref());
    call.authorize(&resource)?;
    of_owner(call, &key, name.as_deref())?;
    match status {
        "Active" => call.order(&resource, Command::ResumeKey { key }).await,
        "Inactive" => call.order(&resource, Command::SuspendKey { key }).await,
        _ => Err(IamError::input("A key expires by its time alone; its status cannot be set to Expired.")),
    }
}

pub async fn delete(call: &Call<'_>) -> Answer {
    let name = call.user_name()?;
    let key = key_id(call)?;
    let resource = owner_arn(call, name.as_deref());
    call.authorize(&resource)?;
    of_owner(call, &key, name.as_deref())?;
    call.order(&resource, Command::DeleteKey { key }).await
}

pub fn last_used(call: &Call<'_>) -> Answer {
    let id = key_id(call)?;
    let found = call.state().key(id.as_str()).filter(|key| key.org == call.org && !key.is_deleted());
    let user = found.as_ref().and_then(|key| match &key.owner {
        KeyOwner::User(user) => call.state().user(*user).map(|user| user.name.to_string()),
        KeyOwner::Org | KeyOwner::Bucket(_) => None,
    });
    // A key that the caller may not ask about is answered as one that nobody has.
    let allowed = found.filter(|_| call.authorize(&owner_arn(call, user.as_deref())).is_ok());
    let Some(key) = allowed else {
        call.authorize("*")?;
        return Err(no_such_key(id.as_str()));
    };
    let mut xml = Xml::default();
    xml.text("UserName", &owner_name(call, &key));
    xml.element("AccessKeyLastUsed", |xml| {
        let used = key.more().last_used.as_ref();
        if let Some(used) = used {
            xml.date("LastUsedDate", used.at);
        }
        xml.text("ServiceName", used.map_or("N/A", |used| &used.service));
        xml.text("Region", used.map_or("N/A", |used| region_word(&used.service, &used.region)));
    });
    Ok(Some(xml))
}

/// As the model has it: S3 is no region's (IAM User Guide, "credential reports").
pub fn region_word<'r>(service: &str, region: &'r str) -> &'r str {
    if service == "s3" || region.is_empty() { "N/A" } else { region }
}

/// When a key was made or changed last, as far as its status goes.
pub fn last_rotated(key: &KeyRecord) -> Time {
    let suspended = key.more().suspended_at.unwrap_or(Time::MIN);
    key.created_at.max(key.secret_set_at).max(suspended)
}
