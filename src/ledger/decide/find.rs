//! Finding what a command names. What was deleted is not there any more.
//!
//! Not here: whether the caller may know of it (`may`, which comes first).

use super::super::command::Target;
use super::super::error::{Noun, Refusal};
use super::policy::managed;
use crate::model::{AccessKeyId, Holder, OrgKind, OrgUid, PolicyUid};
use crate::state::{GroupRecord, KeyRecord, OrgRecord, PolicyRecord, State, UserRecord};
use std::sync::Arc;

/// A live org: nothing but imports ever writes to an evidence org.
pub(super) fn org(state: &State, org: OrgUid) -> Result<&Arc<OrgRecord>, Refusal> {
    state.org(org).filter(|found| found.kind == OrgKind::Live).ok_or_else(|| Refusal::not_found(Noun::Org, &org))
}

pub(super) fn user<'a>(state: &'a State, of: OrgUid, name: &str) -> Result<&'a Arc<UserRecord>, Refusal> {
    org(state, of)?;
    state.user_by_name(of, name).ok_or_else(|| Refusal::not_found(Noun::User, name))
}

pub(super) fn group<'a>(state: &'a State, of: OrgUid, name: &str) -> Result<&'a Arc<GroupRecord>, Refusal> {
    org(state, of)?;
    state.group_by_name(of, name).ok_or_else(|| Refusal::not_found(Noun::Group, name))
}

/// A policy of the org's own, by name or ARN.
pub(super) fn policy<'a>(state: &'a State, of: OrgUid, name: &str) -> Result<&'a Arc<PolicyRecord>, Refusal> {
    let not_found = || Refusal::not_found(Noun::Policy, name);
    let account = org(state, of)?.account;
    let Some(rest) = name.strip_prefix("arn:") else {
        return state.policy_by_name(of, name).ok_or_else(not_found);
    };
    if managed(name).is_some() {
        return Err(Refusal::Unmodifiable { noun: Noun::Policy, name: name.into() });
    }
    // arn:PARTITION:iam::ACCOUNT:policy/PATH/NAME
    let (_, rest) = rest.split_once(":iam::").ok_or_else(not_found)?;
    let (owner, path) = rest.split_once(":policy/").ok_or_else(not_found)?;
    let (folders, name) = path.rsplit_once('/').map_or(("", path), |(folders, name)| (folders, name));
    let found = state.policy_by_name(of, name).ok_or_else(not_found)?;
    let same_path = if folders.is_empty() { found.path == "/" } else { found.path == format!("/{folders}/") };
    if owner == account.to_string() && same_path { Ok(found) } else { Err(not_found()) }
}

/// A policy that can be attached: the org's own, or one that exists in every org.
pub(super) fn attachable(state: &State, of: OrgUid, name: &str) -> Result<PolicyUid, Refusal> {
    match managed(name) {
        Some(found) => org(state, of).map(|_| found.uid),
        None => policy(state, of, name).map(|found| found.policy),
    }
}

/// A key that is not deleted, of a live org.
pub(super) fn key(state: &State, id: &AccessKeyId) -> Result<KeyRecord, Refusal> {
    state.key(id.as_str()).filter(|key| !key.is_deleted()).ok_or_else(|| Refusal::not_found(Noun::Key, id))
}

/// Whom a target names.
pub(super) fn holder(state: &State, of: OrgUid, target: &Target) -> Result<Holder, Refusal> {
    Ok(match target {
        Target::User(name) => Holder::User(user(state, of, name)?.user),
        Target::Group(name) => Holder::Group(group(state, of, name)?.group),
        Target::Key(id) => {
            org(state, of)?;
            let is_here = state.with_key(id.as_str(), |key| !key.is_deleted() && key.org() == of);
            if is_here != Some(true) {
                return Err(Refusal::not_found(Noun::Key, id));
            }
            Holder::Key(id.uid(crate::model::id::World::Live))
        }
    })
}
