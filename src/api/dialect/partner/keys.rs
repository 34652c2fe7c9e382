//! Access keys: create, update, delete, get, rotate, list.
//!
//! Not here: what a new key may have (`ledger::decide`).

use super::super::super::OnceShown;
use super::body::{self, BucketsRole, Scope};
use super::call::{Call, Claim};
use super::pages::{Paging, bad_token, marker_of};
use super::refused::Refused;
use super::{Answer, json};
use crate::ledger::{Command, CreateAccessKey, CreateKeyWith, Done, Outcome, OwnerName, UpdateKeyRights};
use crate::model::{AccessKeyId, PolicyUid, Role};
use crate::policy::managed;
use crate::state::{KeyRecord, KeyView, Marks, OwnerRef, State};
use compact_str::CompactString;
use serde::Serialize;
use std::ops::ControlFlow;

#[derive(Serialize)]
struct Created<'a> {
    id: &'a str,
    secret_key: OnceShown<'a>,
    name: &'a str,
}

#[derive(Serialize)]
struct Rotated<'a> {
    new_secret: OnceShown<'a>,
}

/// `{}`.
#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Key {
    id: AccessKeyId,
    status: &'static str,
    name: CompactString,
    buckets_roles: Vec<BucketsRole>,
    attached_policies: Vec<String>,
    access_key_scope: Scope,
}

#[derive(Serialize)]
struct Listed {
    id: AccessKeyId,
    name: CompactString,
    status: &'static str,
    buckets_roles: Vec<BucketsRole>,
}

#[derive(Serialize)]
struct Keys {
    keys: Vec<Listed>,
    next_continuation_token: String,
}

pub async fn create(call: &Call<'_>, org: &str) -> Answer {
    let asked: body::CreateKey = body::read(call.incoming)?;
    let claim = Claim::new(&asked.user_id, asked.user_role)?;
    let to_create = body::bounded(asked.create_policies, "create_policies")?;
    let names = body::bounded(asked.attach_policies, "attach_policies")?;
    let with = CreateKeyWith {
        key: CreateAccessKey {
            owner: OwnerName::External(claim.user_id.clone()),
            label: asked.name.as_deref().unwrap_or_default().into(),
            grants: body::grants(&body::bounded(asked.buckets_roles, "buckets_roles")?)?,
            policies: names.iter().map(|name| name.as_str().into()).collect(),
            default_allow: asked.access_key_scope.unwrap_or(Scope::Standard).default_allow(),
            ..CreateAccessKey::default()
        },
        policies: to_create.iter().map(body::PolicyToCreate::checked).collect::<Result<_, _>>()?,
        bucket: None,
        once: false,
    };
    let org = call.org_or_new(org, None).await?;
    let done = call.execute(Some(&claim), Command::CreateKeyWith { org: org.org, with: Box::new(with) }).await?;
    let Done { outcome: Outcome::KeyCreated(made), .. } = done else { return Err(Refused::no_key()) };
    match &made.secret {
        Some(secret) => {
            json(&Created { id: made.access_key_id.as_str(), secret_key: OnceShown(secret), name: &made.label })
        }
        None => Err(shown_before(&made.access_key_id)),
    }
}

/// A call that was repeated with its token made nothing, and its secret was shown.
fn shown_before(id: &AccessKeyId) -> Refused {
    Refused::new(
        409,
        format!("This request made access key {id} before, and its secret is not shown again; rotate or delete it."),
    )
}

pub async fn update(call: &Call<'_>, org: &str) -> Answer {
    let asked: body::UpdateKey = body::read(call.incoming)?;
    let claim = Claim::new(&asked.user_id, asked.user_role)?;
    let policies = |list, name| -> Result<Vec<CompactString>, Refused> {
        Ok(body::bounded::<String>(list, name)?.iter().map(CompactString::from).collect())
    };
    let grants = match asked.buckets_roles {
        Some(roles) => Some(body::grants(&body::bounded(Some(roles), "buckets_roles")?)?),
        None => None,
    };
    let change = UpdateKeyRights {
        grants,
        default_allow: asked.access_key_scope.map(Scope::default_allow),
        remove: policies(asked.remove_policies, "remove_policies")?,
        add: policies(asked.add_policies, "add_policies")?,
    };
    let state = call.state();
    let key = claim.key(&state, &*call.org(&state, org)?, &asked.id)?;
    call.execute(Some(&claim), Command::UpdateKeyRights { key: key.id, change: Box::new(change) }).await?;
    json(&Nothing {})
}

/// The key that a body names, its claim, and the state it was found in.
fn one(call: &Call<'_>, org: &str) -> Result<(State, Claim, KeyRecord), Refused> {
    let asked: body::OneKey = body::read(call.incoming)?;
    let claim = Claim::new(&asked.user_id, asked.user_role)?;
    let state = call.state();
    let key = claim.key(&state, &*call.org(&state, org)?, &asked.id)?;
    Ok((state, claim, key))
}

pub async fn delete(call: &Call<'_>, org: &str) -> Answer {
    let (_, claim, key) = one(call, org)?;
    call.execute(Some(&claim), Command::DeleteKey { key: key.id }).await?;
    json(&Nothing {})
}

/// In place: the old secret is dead when this returns.
pub async fn rotate(call: &Call<'_>, org: &str) -> Answer {
    let (_, claim, key) = one(call, org)?;
    let command = Command::RotateSecret { key: key.id.clone(), grace_ns: Some(0) };
    let mut done = call.execute(Some(&claim), command).await?;
    match done.outcome.take_secret() {
        Some(secret) => json(&Rotated { new_secret: OnceShown(&secret) }),
        None => Err(shown_before(&key.id)),
    }
}

pub fn get(call: &Call<'_>, org: &str) -> Answer {
    let (state, _, key) = one(call, org)?;
    let rights = key.rights();
    json(&Key {
        status: status(state.status(&key, call.now(&state)).is_usable()),
        name: key.label.clone(),
        buckets_roles: rights.grants.iter().map(BucketsRole::of).collect(),
        attached_policies: rights.attached.iter().map(|policy| policy_name(&state, *policy)).collect(),
        access_key_scope: Scope::of(key.marks.has(Marks::DEFAULT_ALLOW)),
        id: key.id,
    })
}

fn status(usable: bool) -> &'static str {
    if usable { "Active" } else { "Inactive" }
}

/// A name that `attach_policies` takes.
fn policy_name(state: &State, policy: PolicyUid) -> String {
    if let Some(policy) = state.policy(policy) {
        return policy.name.to_string();
    }
    // One that exists in every org is in no state, and is named by its ARN.
    let managed = managed::ALL.iter().find(|managed| crate::model::uids::policy(managed.arn) == policy);
    managed.map_or_else(|| policy.to_string(), |managed| managed.arn.to_owned())
}

pub fn list(call: &Call<'_>, org: &str) -> Answer {
    let asked: body::ListKeys = body::read(call.incoming)?;
    let claim = Claim::new(&asked.user_id, asked.user_role)?;
    let paging = Paging::new(asked.limit, asked.continuation_token.as_deref(), 100, 1_000)?;
    let state = call.state();
    let org = call.org(&state, org)?;
    let now = call.now(&state);
    let after = match &paging.after {
        None => None,
        Some(id) => {
            let known = state.with_key(id, |key| (key.org() == org.org).then(|| key.uid())).flatten();
            Some(known.ok_or_else(bad_token)?)
        }
    };
    let prefix = asked.key_id_prefix.as_deref().unwrap_or_default();
    let mut rows = Vec::new();
    // One more than fits, to know whether there is another page.
    let mut look = |key: &KeyView<'_>| {
        let id = key.id();
        if id.as_str().starts_with(prefix) {
            rows.push(Listed {
                name: key.label(),
                status: status(state.status_of(key, now).is_usable()),
                buckets_roles: key.rights().grants.iter().map(BucketsRole::of).collect(),
                id,
            });
        }
        if rows.len() > paging.items_max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    if claim.role == Role::Admin {
        state.for_keys_of_org(org.org, after, look);
    } else if let Some(user) = state.user_by_external_id(org.org, &claim.user_id) {
        let own = state.keys_after(&OwnerRef::User(user.user), after).ok_or_else(bad_token)?;
        for key in own {
            if state.with_key(key.id.as_str(), &mut look) == Some(ControlFlow::Break(())) {
                break;
            }
        }
    }
    let more = rows.len() > paging.items_max;
    rows.truncate(paging.items_max);
    let next = rows.last().filter(|_| more).map(|last| marker_of(last.id.as_str())).unwrap_or_default();
    json(&Keys { keys: rows, next_continuation_token: next })
}
