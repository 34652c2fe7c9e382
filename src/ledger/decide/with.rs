//! What a partner asks for at once: a key with its owner, policies and bucket, or a change of all of a key's rights. One commit, so
//! all of it or none.
//!
//! Invariants
//! - A name that is taken or unknown, a bad document, a limit: nothing at all is made.
//! - Only who answers for a whole org, or a provider for its Member, gets here: nobody's new key is bounded by a maker.
//!
//! Not here: a key alone (`key`), one policy alone (`policy`).

use super::super::command::{CreateKeyWith, NewPolicy, OwnerName, PolicyRef, UpdateKeyRights};
use super::super::error::{Noun, Refusal, shown};
use super::{Ask, Authority, Events, bucket, find, if_changed, key, policy};
use crate::model::bytes::Hex;
use crate::model::id::World;
use crate::model::limits::{ATTACHED_POLICIES_MAX, POLICIES_PER_ORG_MAX, USERS_PER_ORG_MAX};
use crate::model::{AccessKeyId, Event, Holder, KeyOwner, PolicyUid, Tags, UserUid, limits};
use crate::policy::DocumentKind;
use crate::state::{Marks, OrgRecord, OwnerRef};
use compact_str::{CompactString, format_compact};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) fn create(ask: Ask<'_>, org: crate::model::OrgUid, asked: &CreateKeyWith) -> Events {
    if matches!(ask.authority, Authority::Policy { .. } | Authority::Member { maker: Some(_), .. }) {
        return Err(Refusal::Forbidden { why: "the new key would have grants its maker has not" });
    }
    let org = find::org(ask.state, org)?;
    let mut events = Vec::new();
    let owner = owner(ask, org, &asked.key.owner, &mut events)?;
    if let Some(name) = &asked.bucket {
        events.extend(bucket::register(ask, org.org, name)?);
    }
    if asked.once && is_there(ask, org, &owner.0, asked)? {
        return Ok(events);
    }
    let made = new_policies(ask, org, &asked.policies, &mut events)?;
    let mut draft = key::draft_for(ask, org, &asked.key, owner)?;
    draft.attached.extend(made);
    if draft.attached.len() > ATTACHED_POLICIES_MAX {
        let of = shown(&asked.key.label);
        return Err(Refusal::LimitReached { what: "attached policies", of, max: ATTACHED_POLICIES_MAX });
    }
    events.extend(key::make(ask, org, key::drawn_id(ask)?, draft, false)?);
    Ok(events)
}

/// The uid of the `place`th thing that is made beside the key; all follow from the one that was drawn.
fn uid(ask: Ask<'_>, place: usize) -> [u8; 16] {
    let hash = blake3::keyed_hash(blake3::hash(&ask.fresh.uid).as_bytes(), &(place as u64).to_le_bytes());
    let mut uid = [0; 16];
    uid.copy_from_slice(&hash.as_bytes()[..16]);
    uid
}

fn owner(
    ask: Ask<'_>,
    org: &OrgRecord,
    name: &OwnerName,
    events: &mut Vec<Event>,
) -> Result<(KeyOwner, CompactString), Refusal> {
    let OwnerName::External(external_id) = name else { return key::owner(ask, org, name) };
    if ask.state.user_by_external_id(org.org, external_id).is_some() {
        return key::owner(ask, org, name);
    }
    limits::external_id(external_id)?;
    if ask.state.has_users(org.org, USERS_PER_ORG_MAX) {
        return Err(Refusal::LimitReached { what: "users", of: shown(&org.account), max: USERS_PER_ORG_MAX });
    }
    let user = UserUid(uid(ask, 0));
    let name = user_name(ask, org, external_id, user);
    events.push(Event::UserCreated {
        user,
        name: name.clone(),
        path: CompactString::const_new("/"),
        external_id: Some(external_id.clone()),
        tags: Tags::new(),
    });
    Ok((KeyOwner::User(user), name))
}

/// The external id itself where it can be a name and is free, else one made of it.
fn user_name(ask: Ask<'_>, org: &OrgRecord, external_id: &CompactString, user: UserUid) -> CompactString {
    let is_free = |name: &str| ask.state.user_by_name(org.org, name).is_none();
    if limits::user_name(external_id).is_ok() && is_free(external_id) {
        return external_id.clone();
    }
    let hash = blake3::hash(external_id.as_bytes());
    let name = format_compact!("user-{}", Hex(&hash.as_bytes()[..8]));
    if is_free(&name) { name } else { format_compact!("user-{}", Hex(&user.0)) }
}

/// Whether the owner has a usable key of this label and these grants.
fn is_there(ask: Ask<'_>, org: &OrgRecord, owner: &KeyOwner, asked: &CreateKeyWith) -> Result<bool, Refusal> {
    let grants = key::normal(&asked.key.grants)?;
    let keys = ask.state.keys_of(&OwnerRef::of(org.org, owner));
    Ok(keys.into_iter().filter_map(|key| ask.state.key_by_uid(key)).any(|key| {
        key.label == asked.key.label
            && key.rights().grants == grants
            && ask.state.status(&key, ask.fresh.now).is_usable()
    }))
}

fn new_policies(
    ask: Ask<'_>,
    org: &OrgRecord,
    asked: &[NewPolicy],
    events: &mut Vec<Event>,
) -> Result<BTreeSet<PolicyUid>, Refusal> {
    if asked.len() > ATTACHED_POLICIES_MAX {
        let of = shown(&org.account);
        return Err(Refusal::LimitReached { what: "attached policies", of, max: ATTACHED_POLICIES_MAX });
    }
    let mut names = BTreeSet::new();
    let mut made = BTreeSet::new();
    for (place, new) in asked.iter().enumerate() {
        limits::policy_name(&new.name)?;
        limits::description(&new.description)?;
        // Names are one without regard to case.
        if ask.state.policy_by_name(org.org, &new.name).is_some() || !names.insert(new.name.to_ascii_lowercase()) {
            return Err(Refusal::exists(Noun::Policy, &new.name));
        }
        policy::check_document(&new.document, DocumentKind::Managed)?;
        let policy = PolicyUid(uid(ask, place + 1));
        made.insert(policy);
        events.push(Event::PolicyCreated {
            policy,
            name: new.name.clone(),
            path: CompactString::const_new("/"),
            description: new.description.clone(),
            tags: Tags::new(),
            document: Arc::clone(&new.document),
        });
    }
    let room = POLICIES_PER_ORG_MAX - made.len();
    if !made.is_empty() && ask.state.has_policies(org.org, room + 1) {
        return Err(Refusal::LimitReached { what: "policies", of: shown(&org.account), max: POLICIES_PER_ORG_MAX });
    }
    Ok(made)
}

pub(super) fn update(ask: Ask<'_>, id: &AccessKeyId, change: &UpdateKeyRights) -> Events {
    let found = find::key(ask.state, id)?;
    let (key, rights) = (id.uid(World::Live), found.rights());
    let mut events = Vec::new();
    if let Some(grants) = &change.grants {
        let after = key::normal(grants)?;
        events.extend(if_changed(&rights.grants, &after, || Event::KeyGrantsSet {
            key,
            before: rights.grants.clone(),
            after: after.clone(),
        }));
    }
    if let Some(after) = change.default_allow {
        let before = found.marks.has(Marks::DEFAULT_ALLOW);
        events.extend(if_changed(&before, &after, || Event::KeyDefaultAllowSet { key, before, after }));
    }
    let mut attached: BTreeSet<PolicyUid> = rights.attached.iter().copied().collect();
    let holder = Holder::Key(key);
    for name in &change.remove {
        // One that is not there at all is not attached either.
        if let Some(policy) = known(ask, found.org, name)?
            && attached.remove(&policy)
        {
            events.push(Event::PolicyDetached { policy, holder });
        }
    }
    for name in &change.add {
        let policy = find::attachable(ask.state, found.org, name)?;
        if attached.contains(&policy) {
            continue;
        }
        policy::check_room(attached.len(), id.as_str())?;
        attached.insert(policy);
        events.push(Event::PolicyAttached { policy, holder });
    }
    let gives = events.iter().any(|event| !matches!(event, Event::PolicyDetached { .. }));
    if gives {
        key::refuse_revoked(&found, "given rights")?;
    }
    Ok(events)
}

fn known(ask: Ask<'_>, org: crate::model::OrgUid, name: &PolicyRef) -> Result<Option<PolicyUid>, Refusal> {
    match find::attachable(ask.state, org, name) {
        Ok(policy) => Ok(Some(policy)),
        Err(Refusal::NotFound { noun: Noun::Policy, .. }) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}
