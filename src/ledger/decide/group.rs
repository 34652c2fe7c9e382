//! Groups: IAM groups, whose members have their policies.
//!
//! Not here: their policies (`policy`).

use super::super::command::Command;
use super::super::error::{Noun, Refusal, shown};
use super::{Ask, Events, find, path_or_root};
use crate::model::limits::{GROUPS_PER_ORG_MAX, GROUPS_PER_USER_MAX};
use crate::model::{Event, GroupUid, OrgUid, limits};

pub(super) fn decide(ask: Ask<'_>, command: &Command) -> Events {
    let state = ask.state;
    match command {
        Command::CreateGroup { org, name, path } => {
            let account = find::org(state, *org)?.account;
            check_name(ask, *org, name, None)?;
            let path = path_or_root(path)?;
            if state.has_groups(*org, GROUPS_PER_ORG_MAX) {
                return Err(Refusal::LimitReached { what: "groups", of: shown(&account), max: GROUPS_PER_ORG_MAX });
            }
            Ok(vec![Event::GroupCreated { group: GroupUid(ask.fresh.uid), name: name.clone(), path }])
        }
        Command::UpdateGroup { org, group, name, path } => {
            let found = find::group(state, *org, group)?;
            let mut events = Vec::new();
            if let Some(name) = name
                && *name != found.name
            {
                check_name(ask, *org, name, Some(found.group))?;
                let (before, after) = (found.name.clone(), name.clone());
                events.push(Event::GroupRenamed { group: found.group, before, after });
            }
            if let Some(path) = path {
                let after = path_or_root(path)?;
                if after != found.path {
                    events.push(Event::GroupMoved { group: found.group, before: found.path.clone(), after });
                }
            }
            Ok(events)
        }
        Command::DeleteGroup { org, group } => {
            let found = find::group(state, *org, group)?;
            let what = if !found.members.is_empty() {
                Some("members")
            } else if !found.attached.is_empty() {
                Some("attached policies")
            } else if !found.inline.is_empty() {
                Some("inline policies")
            } else {
                None
            };
            match what {
                Some(what) => Err(Refusal::DeleteConflict { noun: Noun::Group, name: found.name.clone(), what }),
                None => Ok(vec![Event::GroupDeleted { group: found.group, name: found.name.clone() }]),
            }
        }
        Command::AddGroupMember { org, group, user } => {
            let (group, user) = (find::group(state, *org, group)?, find::user(state, *org, user)?);
            if group.members.contains(&user.user) {
                return Ok(Vec::new());
            }
            if user.groups.len() >= GROUPS_PER_USER_MAX {
                let of = user.name.clone();
                return Err(Refusal::LimitReached { what: "groups", of, max: GROUPS_PER_USER_MAX });
            }
            Ok(vec![Event::GroupMemberAdded { group: group.group, user: user.user }])
        }
        Command::RemoveGroupMember { org, group, user } => {
            let (group, user) = (find::group(state, *org, group)?, find::user(state, *org, user)?);
            if !group.members.contains(&user.user) {
                return Err(Refusal::not_found(Noun::Member, &user.name));
            }
            Ok(vec![Event::GroupMemberRemoved { group: group.group, user: user.user }])
        }
        _ => Ok(Vec::new()),
    }
}

fn check_name(ask: Ask<'_>, org: OrgUid, name: &str, own: Option<GroupUid>) -> Result<(), Refusal> {
    limits::group_name(name)?;
    match ask.state.group_by_name(org, name) {
        Some(other) if Some(other.group) != own => Err(Refusal::exists(Noun::Group, name)),
        _ => Ok(()),
    }
}
