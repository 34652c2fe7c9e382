//! Access keys of users, and of the account root.
//!
//! The root's keys are the org's own: Admin on `*`. Keys of buckets (Lightsail) are no part of this dialect's lists.
//!
//! Not here: groups, policies.

use super::call::{Answer, Call, no_such_user};
use super::error::IamError;
use super::form::Shape;
use super::names::{root_arn, user_arn};
use super::page::Paging;
use super::xml::Xml;
use crate::ledger::{Command, CreateAccessKey, Outcome, OwnerName};
use crate::model::id::World;
use crate::model::{AccessKeyId, Grant, GrantRole, KeyOwner, Time};
use crate::state::{KeyRecord, KeyStatus, KeyView, OwnerRef, UserRecord};
use std::sync::Arc;

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

/// Whose access keys a call is about.
struct Whose<'a> {
    /// Of a user as the call has it; `None`: the account root.
    name: Option<String>,
    /// When there is such a user.
    user: Option<&'a Arc<UserRecord>>,
    /// What the caller must be allowed to.
    arn: String,
}

impl<'a> Whose<'a> {
    /// By `UserName`, or else by the signing key.
    fn of(call: &'a Call<'_>) -> Result<Self, IamError> {
        let name = call.user_name()?;
        let user = name.as_ref().and_then(|name| call.state().user_by_name(call.org, name));
        let arn = match (user, &name) {
            (Some(user), _) => user_arn(call.account, &user.path, &user.name),
            (None, Some(name)) => user_arn(call.account, "/", name),
            (None, None) => root_arn(call.account),
        };
        Ok(Self { name, user, arn })
    }

    /// The user, `None` for the root.
    fn known(&self) -> Result<Option<&'a Arc<UserRecord>>, IamError> {
        match (&self.name, self.user) {
            (Some(name), None) => Err(no_such_user(name)),
            (_, user) => Ok(user),
        }
    }

    /// As answers name it.
    fn shown(&self) -> &str {
        let name = self.user.map(|user| user.name.as_str());
        name.or(self.name.as_deref()).unwrap_or(ROOT)
    }
}

/// The owner's name as answers have it, and its ARN.
fn owner_of(call: &Call<'_>, key: &KeyRecord) -> (String, String) {
    let root = || root_arn(call.account);
    match &key.owner {
        KeyOwner::User(user) => match call.state().user(*user) {
            Some(user) => (user.name.to_string(), user_arn(call.account, &user.path, &user.name)),
            None => (String::new(), root()),
        },
        KeyOwner::Org => (ROOT.to_owned(), root()),
        KeyOwner::Bucket(bucket) => (bucket.to_string(), root()),
    }
}

fn key_id(call: &Call<'_>) -> Result<AccessKeyId, IamError> {
    let text = call.form.required("AccessKeyId", Shape::KEY_ID)?;
    AccessKeyId::parse(text).map_err(|error| IamError::validation(error.to_string()))
}

fn no_such_key(id: &str) -> IamError {
    IamError::no_such(format!("The Access Key with id {id} cannot be found."))
}

pub async fn create(call: &Call<'_>) -> Answer {
    let whose = Whose::of(call)?;
    call.authorize(&whose.arn)?;
    let key = match &whose.name {
        Some(name) => CreateAccessKey { owner: OwnerName::User(name.as_str().into()), ..CreateAccessKey::default() },
        None => CreateAccessKey {
            grants: vec![Grant { bucket: None, role: GrantRole::Admin }],
            ..CreateAccessKey::default()
        },
    };
    let done = call.execute(&whose.arn, Command::CreateKey { org: call.org, key: Box::new(key) }).await?;
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
    let created = call.api.ledger.handle().with_key(made.access_key_id.as_str(), |key| key.created_at());
    let mut xml = Xml::default();
    xml.element("AccessKey", |xml| {
        xml.text("UserName", whose.shown());
        xml.text("AccessKeyId", made.access_key_id.as_str());
        xml.text("Status", "Active");
        xml.text("SecretAccessKey", secret.expose_secret());
        xml.date("CreateDate", created.unwrap_or_else(|| call.now()));
    });
    Ok(Some(xml))
}

pub fn list(call: &Call<'_>) -> Answer {
    let whose = Whose::of(call)?;
    call.authorize(&whose.arn)?;
    let owner = whose.known()?.map_or(OwnerRef::Org(call.org), |user| OwnerRef::User(user.user));
    let shown = whose.shown();
    let paging = Paging::read(&call.form)?;
    // Keys are listed in an order of this process, so a marker of another one says nothing.
    let bad = || IamError::validation("Invalid Marker.");
    let epoch = call.api.iam.epoch();
    let after = match paging.after.as_deref().map(|marker| marker.split_once('/')) {
        None => None,
        Some(Some((of, id))) if of == epoch => Some(AccessKeyId::uid_of(id, World::Live)),
        Some(_) => return Err(bad()),
    };
    let row = |key: &KeyView<'_>| (key.id(), call.state().status_of(key, call.now()), key.created_at());
    let keys = call.state().keys_after_as(&owner, after, row).ok_or_else(bad)?;
    let page = paging.page(keys, |(id, ..)| format!("{epoch}/{id}"));
    let mut xml = Xml::default();
    xml.list("AccessKeyMetadata", &page.items, |xml, (id, status, created)| {
        xml.text("UserName", shown);
        xml.text("AccessKeyId", id.as_str());
        xml.text("Status", status_word(*status));
        if *created != Time::MIN {
            xml.date("CreateDate", *created);
        }
    });
    page.write_end(&mut xml);
    Ok(Some(xml))
}

/// The key that is meant, when it is the user's, or the root's without one. What was deleted is the writer's to refuse, so that a
/// retry of a delete finds its first outcome.
fn of_owner(call: &Call<'_>, id: &AccessKeyId, whose: &Whose<'_>) -> Result<(), IamError> {
    let owner = whose.known()?.map_or(KeyOwner::Org, |user| KeyOwner::User(user.user));
    let key = call.state().key(id.as_str()).filter(|key| key.org == call.org && key.owner == owner);
    key.map(|_| ()).ok_or_else(|| no_such_key(id.as_str()))
}

pub async fn update(call: &Call<'_>) -> Answer {
    let whose = Whose::of(call)?;
    let key = key_id(call)?;
    let status = call.form.one_of("Status", &["Active", "Inactive", "Expired"])?;
    let status = status.ok_or_else(|| super::form::missing("Status"))?;
    call.authorize(&whose.arn)?;
    of_owner(call, &key, &whose)?;
    match status {
        "Active" => call.order(&whose.arn, Command::ResumeKey { key }).await,
        "Inactive" => call.order(&whose.arn, Command::SuspendKey { key }).await,
        _ => Err(IamError::input("A key expires by its time alone; its status cannot be set to Expired.")),
    }
}

pub async fn delete(call: &Call<'_>) -> Answer {
    let whose = Whose::of(call)?;
    let key = key_id(call)?;
    call.authorize(&whose.arn)?;
    of_owner(call, &key, &whose)?;
    call.order(&whose.arn, Command::DeleteKey { key }).await
}

pub fn last_used(call: &Call<'_>) -> Answer {
    let id = key_id(call)?;
    let found = call.state().key(id.as_str()).filter(|key| key.org == call.org && !key.is_deleted());
    let found = found.map(|key| (owner_of(call, &key), key));
    // A key that the caller may not ask about is answered as one that nobody has.
    let allowed = found.filter(|((_, arn), _)| call.authorize(arn).is_ok());
    let Some(((owner, _), key)) = allowed else {
        call.authorize("*")?;
        return Err(no_such_key(id.as_str()));
    };
    let mut xml = Xml::default();
    xml.text("UserName", &owner);
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
