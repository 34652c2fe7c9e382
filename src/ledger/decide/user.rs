//! Users: IAM users with a role of our own.
//!
//! Not here: their policies (`policy`), groups (`group`) and keys (`key`).

use super::super::command::Command;
use super::super::error::{Noun, Refusal, shown};
use super::{Ask, Events, find, path_or_root, tag_delta};
use crate::model::limits::USERS_PER_ORG_MAX;
use crate::model::{Event, OrgUid, PolicyUid, Tags, UserUid, limits};
use crate::state::{OwnerRef, UserRecord};
use compact_str::CompactString;

pub(super) fn decide(ask: Ask<'_>, command: &Command) -> Events {
    let state = ask.state;
    match command {
        Command::CreateUser { org, name, path, external_id, tags, boundary } => {
            create(ask, *org, name, path, external_id.as_ref(), tags, boundary.as_ref())
        }
        Command::UpdateUser { org, user, name, path } => {
            let found = find::user(state, *org, user)?;
            let mut events = Vec::new();
            if let Some(name) = name
                && *name != found.name
            {
                check_name(ask, *org, name, Some(found.user))?;
                let (before, after) = (found.name.clone(), name.clone());
                events.push(Event::UserRenamed { user: found.user, before, after });
            }
            if let Some(path) = path {
                let after = path_or_root(path)?;
                if after != found.path {
                    events.push(Event::UserMoved { user: found.user, before: found.path.clone(), after });
                }
            }
            Ok(events)
        }
        Command::SetUserRole { org, user, role } => {
            let found = find::user(state, *org, user)?;
            let event = Event::UserRoleSet { user: found.user, before: found.role, after: *role };
            Ok(if found.role == *role { Vec::new() } else { vec![event] })
        }
        Command::TagUser { org, user, set, remove } => {
            let found = find::user(state, *org, user)?;
            let delta = tag_delta(&found.name, &found.tags, set, remove)?;
            Ok(delta.map(|(set, removed)| Event::UserTagged { user: found.user, set, removed }).into_iter().collect())
        }
        Command::SetUserBoundary { org, user, policy } => {
            let found = find::user(state, *org, user)?;
            let after = policy.as_ref().map(|policy| find::attachable(state, *org, policy)).transpose()?;
            let event = Event::UserBoundarySet { user: found.user, before: found.boundary, after };
            Ok(if found.boundary == after { Vec::new() } else { vec![event] })
        }
        Command::DeleteUser { org, user } => {
            let found = find::user(state, *org, user)?;
            if let Some(what) = dependents(ask, found) {
                return Err(Refusal::DeleteConflict { noun: Noun::User, name: found.name.clone(), what });
            }
            Ok(vec![Event::UserDeleted { user: found.user, name: found.name.clone() }])
        }
        _ => Ok(Vec::new()),
    }
}

fn create(
    ask: Ask<'_>,
    org: OrgUid,
    name: &CompactString,
    path: &CompactString,
    external_id: Option<&CompactString>,
    tags: &Tags,
    boundary: Option<&CompactString>,
) -> Events {
    let account = find::org(ask.state, org)?.account;
    check_name(ask, org, name, None)?;
    let path = path_or_root(path)?;
    super::check_tags(tags)?;
    if let Some(external) = external_id {
        limits::external_id(external)?;
        if ask.state.user_by_external_id(org, external).is_some() {
            return Err(Refusal::exists(Noun::ExternalId, external));
        }
    }
    let boundary: Option<PolicyUid> = boundary.map(|policy| find::attachable(ask.state, org, policy)).transpose()?;
    if ask.state.has_users(org, USERS_PER_ORG_MAX) {
        return Err(Refusal::LimitReached { what: "users", of: shown(&account), max: USERS_PER_ORG_MAX });
    }
    let user = UserUid(ask.fresh.uid);
    let mut events = vec![Event::UserCreated {
        user,
        name: name.clone(),
        path,
        external_id: external_id.cloned(),
        tags: tags.clone(),
    }];
    if boundary.is_some() {
        events.push(Event::UserBoundarySet { user, before: None, after: boundary });
    }
    Ok(events)
}

/// Names are one without regard to case, so a user may change the case of its own.
fn check_name(ask: Ask<'_>, org: OrgUid, name: &str, own: Option<UserUid>) -> Result<(), Refusal> {
    limits::user_name(name)?;
    match ask.state.user_by_name(org, name) {
        Some(other) if Some(other.user) != own => Err(Refusal::exists(Noun::User, name)),
        _ => Ok(()),
    }
}

/// What keeps a user from being deleted (botocore 1.44.5, IAM DeleteUser).
fn dependents(ask: Ask<'_>, user: &UserRecord) -> Option<&'static str> {
    if ask.state.count_of(&OwnerRef::User(user.user)) > 0 {
        Some("access keys")
    } else if !user.attached.is_empty() {
        Some("attached policies")
    } else if !user.inline.is_empty() {
        Some("inline policies")
    } else if !user.groups.is_empty() {
        Some("groups it is in")
    } else {
        None
    }
}
