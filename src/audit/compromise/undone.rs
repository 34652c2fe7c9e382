//! Whether what an event did still stands, and which event takes which back.
//!
//! Not here: whose events (`tree`).

use super::super::names::Worlds;
use crate::model::{Event, GroupUid, Holder, PolicyUid, Time, UserUid};
use crate::state::Fact;

/// Whether what an event did is still so.
pub(super) fn stands(worlds: &Worlds, fact: &Fact<'_>, now: Time) -> Option<bool> {
    let state = worlds.state_of(fact.org?);
    match fact.event {
        Event::KeyCreated(made) | Event::KeyImported(made) => {
            let key = state.key_by_uid(made.key)?;
            Some(state.status(&key, now).is_usable())
        }
        Event::UserCreated { user, .. } => Some(state.user(*user).is_some_and(|user| user.deleted_at.is_none())),
        Event::GroupCreated { group, .. } => Some(state.group(*group).is_some_and(|group| group.deleted_at.is_none())),
        Event::PolicyCreated { policy, .. } => {
            Some(state.policy(*policy).is_some_and(|policy| policy.deleted_at.is_none()))
        }
        Event::PolicyVersionCreated { policy, version, is_default, .. } => {
            Some(state.policy(*policy).is_some_and(|p| {
                p.deleted_at.is_none()
                    && p.versions.iter().any(|v| v.version == *version)
                    && (!is_default || p.default_version == *version)
            }))
        }
        Event::PolicyDefaultSet { policy, after, .. } => {
            Some(state.policy(*policy).is_some_and(|p| p.deleted_at.is_none() && p.default_version == *after))
        }
        Event::PolicyAttached { policy, holder } => Some(match holder {
            Holder::User(user) => state.user(*user).is_some_and(|user| user.attached.contains(policy)),
            Holder::Group(group) => state.group(*group).is_some_and(|group| group.attached.contains(policy)),
            Holder::Key(key) => state.key_by_uid(*key).is_some_and(|key| key.rights().attached.contains(policy)),
        }),
        Event::InlinePolicyPut { holder, name, document, .. } => {
            let is_it = |text: Option<&crate::state::PolicyText>| text.map(|text| text.text()) == Some(document);
            Some(match holder {
                Holder::User(user) => state.user(*user).is_some_and(|user| is_it(user.inline.get(name))),
                Holder::Group(group) => state.group(*group).is_some_and(|group| is_it(group.inline.get(name))),
                Holder::Key(key) => state.key_by_uid(*key).is_some_and(|key| is_it(key.rights().inline.get(name))),
            })
        }
        Event::GroupMemberAdded { group, user } => {
            Some(state.group(*group).is_some_and(|group| group.members.contains(user)))
        }
        Event::UserRoleSet { user, after, .. } => Some(state.user(*user).is_some_and(|user| user.role == *after)),
        Event::KeyGrantsSet { key, after, .. } => {
            Some(state.key_by_uid(*key).is_some_and(|key| key.rights().grants == *after))
        }
        _ => None,
    }
}

/// What an event does or takes back, in the same words for both.
pub(super) fn undoing(event: &Event, worlds: &Worlds) -> Option<(String, bool)> {
    let attachment = |policy: &PolicyUid, holder: &Holder| {
        format!("policy `{}` of {}", worlds.policy_name(*policy), worlds.holder_name(*holder))
    };
    let inline = |name: &str, holder: &Holder| format!("inline policy `{name}` of {}", worlds.holder_name(*holder));
    let member = |group: &GroupUid, user: &UserUid| {
        format!("membership of user `{}` in group `{}`", worlds.user_name(*user), worlds.group_name(*group))
    };
    Some(match event {
        Event::PolicyAttached { policy, holder } => (attachment(policy, holder), false),
        Event::PolicyDetached { policy, holder } => (attachment(policy, holder), true),
        Event::InlinePolicyPut { holder, name, .. } => (inline(name, holder), false),
        Event::InlinePolicyDeleted { holder, name, .. } => (inline(name, holder), true),
        Event::KeyCreated(made) => (format!("key `{}`", made.access_key_id), false),
        Event::KeyDeleted { access_key_id, .. } => (format!("key `{access_key_id}`"), true),
        Event::UserCreated { user, .. } => (format!("user `{}`", worlds.user_name(*user)), false),
        Event::UserDeleted { user, .. } => (format!("user `{}`", worlds.user_name(*user)), true),
        Event::GroupMemberAdded { group, user } => (member(group, user), false),
        Event::GroupMemberRemoved { group, user } => (member(group, user), true),
        Event::PolicyCreated { policy, .. } => (format!("policy `{}`", worlds.policy_name(*policy)), false),
        Event::PolicyDeleted { policy, .. } => (format!("policy `{}`", worlds.policy_name(*policy)), true),
        _ => return None,
    })
}
