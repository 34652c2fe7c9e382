//! Policies: checked when they are stored, five versions with one default, attached to users, groups and keys.
//!
//! `AmazonS3FullAccess` and `AmazonS3ReadOnlyAccess` exist in every org: they can be attached by their ARN and never
//! changed; no event makes them, and their uid follows from the ARN.
//!
//! Not here: what a document allows.

use super::super::command::{Command, Target};
use super::super::error::{Noun, Refusal, shown};
use super::{Ask, Events, find, path_or_root, tag_delta};
use crate::model::limits::{ATTACHED_POLICIES_MAX, BULK_TARGETS_MAX, POLICIES_PER_ORG_MAX, POLICY_VERSIONS_MAX};
use crate::model::{Event, Holder, OrgUid, PolicyUid, Tags, limits};
use crate::policy::managed::{ALL, Managed};
use crate::policy::{Document, DocumentKind, size_non_blank};
use crate::state::{KeyStatus, PolicyRecord, PolicyText, State};
use compact_str::CompactString;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A policy that exists in every org.
#[derive(Debug, Clone, Copy)]
pub struct ManagedIn {
    pub uid: PolicyUid,
    pub policy: &'static Managed,
}

/// The uid of a policy of AWS's own in every live org.
#[must_use]
pub fn managed_uid(arn: &str) -> PolicyUid {
    crate::model::uids::policy(arn)
}

/// The policy of this ARN, if it exists in every org.
#[must_use]
pub fn managed(arn: &str) -> Option<ManagedIn> {
    let policy = ALL.iter().find(|policy| policy.is_in_every_org && policy.arn == arn)?;
    Some(ManagedIn { uid: managed_uid(policy.arn), policy })
}

pub(super) fn decide(ask: Ask<'_>, command: &Command) -> Events {
    let state = ask.state;
    match command {
        Command::CreatePolicy { org, name, path, description, tags, document } => {
            create(ask, *org, name, path, description, tags, document)
        }
        Command::TagPolicy { org, policy, set, remove } => {
            let found = find::policy(state, *org, policy)?;
            let delta = tag_delta(&found.name, &found.tags, set, remove)?;
            let event = delta.map(|(set, removed)| Event::PolicyTagged { policy: found.policy, set, removed });
            Ok(event.into_iter().collect())
        }
        Command::CreatePolicyVersion { org, policy, document, set_default } => {
            let found = find::policy(state, *org, policy)?;
            check_document(document, DocumentKind::Managed)?;
            if found.versions.len() >= POLICY_VERSIONS_MAX {
                let of = found.name.clone();
                return Err(Refusal::LimitReached { what: "versions", of, max: POLICY_VERSIONS_MAX });
            }
            Ok(vec![version(found, document, *set_default)])
        }
        Command::ReplacePolicyDocument { org, policy, document } => {
            let found = find::policy(state, *org, policy)?;
            check_document(document, DocumentKind::Managed)?;
            if found.document().map(PolicyText::text) == Some(document) {
                return Ok(Vec::new());
            }
            Ok(replace(found, document))
        }
        Command::UpdatePolicy { org, policy, document, description } => {
            let found = find::policy(state, *org, policy)?;
            check_document(document, DocumentKind::Managed)?;
            let mut events = Vec::new();
            if found.document().map(PolicyText::text) != Some(document) {
                events = replace(found, document);
            }
            if let Some(after) = description
                && *after != found.description
            {
                limits::description(after)?;
                let (before, after) = (found.description.clone(), after.clone());
                events.push(Event::PolicyDescribed { policy: found.policy, before, after });
            }
            Ok(events)
        }
        Command::SetDefaultPolicyVersion { org, policy, version } => {
            let found = find::policy(state, *org, policy)?;
            has_version(found, *version)?;
            if found.default_version == *version {
                return Ok(Vec::new());
            }
            let (before, after) = (found.default_version, *version);
            Ok(vec![Event::PolicyDefaultSet { policy: found.policy, before, after }])
        }
        Command::DeletePolicyVersion { org, policy, version } => {
            let found = find::policy(state, *org, policy)?;
            has_version(found, *version)?;
            if found.default_version == *version {
                let name = CompactString::from(format!("{} v{version}", found.name));
                return Err(Refusal::DeleteConflict { noun: Noun::PolicyVersion, name, what: "the rank of default" });
            }
            Ok(vec![Event::PolicyVersionDeleted { policy: found.policy, version: *version }])
        }
        Command::DeletePolicy { org, policy, force } => delete(ask, *org, policy, *force),
        _ => Ok(Vec::new()),
    }
}

/// A new version that is the default; when there are five, the oldest other one goes.
fn replace(found: &PolicyRecord, document: &Arc<str>) -> Vec<Event> {
    let mut events = Vec::new();
    if found.versions.len() >= POLICY_VERSIONS_MAX
        && let Some(oldest) = found.versions.iter().find(|version| version.version != found.default_version)
    {
        events.push(Event::PolicyVersionDeleted { policy: found.policy, version: oldest.version });
    }
    events.push(version(found, document, true));
    events
}

fn create(
    ask: Ask<'_>,
    org: OrgUid,
    name: &CompactString,
    path: &CompactString,
    description: &CompactString,
    tags: &Tags,
    document: &Arc<str>,
) -> Events {
    let account = find::org(ask.state, org)?.account;
    limits::policy_name(name)?;
    limits::description(description)?;
    let path = path_or_root(path)?;
    super::check_tags(tags)?;
    if ask.state.policy_by_name(org, name).is_some() {
        return Err(Refusal::exists(Noun::Policy, name));
    }
    check_document(document, DocumentKind::Managed)?;
    if ask.state.has_policies(org, POLICIES_PER_ORG_MAX) {
        return Err(Refusal::LimitReached { what: "policies", of: shown(&account), max: POLICIES_PER_ORG_MAX });
    }
    Ok(vec![Event::PolicyCreated {
        policy: PolicyUid(ask.fresh.uid),
        name: name.clone(),
        path,
        description: description.clone(),
        tags: tags.clone(),
        document: Arc::clone(document),
    }])
}

pub(super) fn check_document(text: &str, kind: DocumentKind) -> Result<(), Refusal> {
    Document::parse(text, kind).map(|_| ()).map_err(Refusal::from)
}

fn version(policy: &PolicyRecord, document: &Arc<str>, is_default: bool) -> Event {
    let document = Arc::clone(document);
    Event::PolicyVersionCreated { policy: policy.policy, version: policy.next_version, document, is_default }
}

fn has_version(policy: &PolicyRecord, version: u32) -> Result<(), Refusal> {
    if policy.versions.iter().any(|found| found.version == version) {
        return Ok(());
    }
    Err(Refusal::not_found(Noun::PolicyVersion, &format_args!("{} v{version}", policy.name)))
}

fn delete(ask: Ask<'_>, org: OrgUid, policy: &str, force: bool) -> Events {
    let found = find::policy(ask.state, org, policy)?;
    let conflict = |what| Refusal::DeleteConflict { noun: Noun::Policy, name: found.name.clone(), what };
    // A boundary that vanished would widen what its users may do, so not even force takes one away.
    if ask.state.all_users().any(|user| user.deleted_at.is_none() && user.boundary == Some(found.policy)) {
        return Err(conflict("users whose permissions boundary it is"));
    }
    let holders = ask.state.holders(found.policy);
    let mut events = Vec::new();
    if force {
        if holders.len() > BULK_TARGETS_MAX {
            return Err(Refusal::LimitReached { what: "holders", of: found.name.clone(), max: BULK_TARGETS_MAX });
        }
        if !holders.is_empty() {
            let holders = holders.clone();
            events.push(Event::PolicyDetachedFromAll { policy: found.policy, holders });
        }
    } else if !holders.is_empty() {
        return Err(conflict("users, groups or keys it is attached to"));
    } else if found.versions.len() > 1 {
        return Err(conflict("other versions"));
    }
    events.push(Event::PolicyDeleted { policy: found.policy, name: found.name.clone(), forced: force });
    Ok(events)
}

/// What a holder has of inline policies.
struct Held {
    inline: BTreeMap<CompactString, PolicyText>,
    name: CompactString,
}

fn held(state: &State, holder: Holder) -> Held {
    let nothing = || Held { inline: BTreeMap::new(), name: CompactString::default() };
    match holder {
        Holder::User(uid) => {
            state.user(uid).map_or_else(nothing, |user| Held { inline: user.inline.clone(), name: user.name.clone() })
        }
        Holder::Group(uid) => state
            .group(uid)
            .map_or_else(nothing, |group| Held { inline: group.inline.clone(), name: group.name.clone() }),
        Holder::Key(uid) => state
            .key_by_uid(uid)
            .map_or_else(nothing, |key| Held { inline: key.rights().inline.clone(), name: shown(&key.id) }),
    }
}

/// A key that is gone for ever gets no new rights; taking rights away stays possible.
fn refuse_revoked(ask: Ask<'_>, target: &Target) -> Result<(), Refusal> {
    if let Target::Key(id) = target {
        let status = ask.state.with_key(id.as_str(), |key| ask.state.status_of(key, ask.fresh.now));
        if status == Some(KeyStatus::Revoked) {
            return Err(super::key::revoked(&find::key(ask.state, id)?, "given rights"));
        }
    }
    Ok(())
}

/// How many policies are attached to a target that is there, and whether `policy` is among them. Asked for every attach and
/// detach, so nothing is copied.
fn attached(state: &State, target: &Target, holder: Holder, policy: PolicyUid) -> (usize, bool) {
    let found = match (target, holder) {
        (_, Holder::User(uid)) => state.user(uid).map(|it| (it.attached.len(), it.attached.contains(&policy))),
        (_, Holder::Group(uid)) => state.group(uid).map(|it| (it.attached.len(), it.attached.contains(&policy))),
        (Target::Key(id), Holder::Key(_)) => state.with_key(id.as_str(), |key| {
            let attached = &key.rights().attached;
            (attached.len(), attached.contains(&policy))
        }),
        (Target::User(_) | Target::Group(_), Holder::Key(_)) => None,
    };
    found.unwrap_or((0, false))
}

pub(super) fn attach(ask: Ask<'_>, org: OrgUid, policy: &str, to: &Target) -> Events {
    let holder = find::holder(ask.state, org, to)?;
    let policy = find::attachable(ask.state, org, policy)?;
    let (count, has_it) = attached(ask.state, to, holder, policy);
    if has_it {
        return Ok(Vec::new());
    }
    refuse_revoked(ask, to)?;
    if count >= ATTACHED_POLICIES_MAX {
        check_room(count, &held(ask.state, holder).name)?;
    }
    Ok(vec![Event::PolicyAttached { policy, holder }])
}

/// Whether one more policy may be attached to whoever has `attached`.
pub(super) fn check_room(attached: usize, of: &str) -> Result<(), Refusal> {
    if attached < ATTACHED_POLICIES_MAX {
        return Ok(());
    }
    Err(Refusal::LimitReached { what: "attached policies", of: shown(of), max: ATTACHED_POLICIES_MAX })
}

pub(super) fn detach(ask: Ask<'_>, org: OrgUid, name: &str, from: &Target) -> Events {
    let holder = find::holder(ask.state, org, from)?;
    let policy = find::attachable(ask.state, org, name)?;
    if !attached(ask.state, from, holder, policy).1 {
        return Err(Refusal::not_found(Noun::Attachment, name));
    }
    Ok(vec![Event::PolicyDetached { policy, holder }])
}

pub(super) fn put_inline(ask: Ask<'_>, org: OrgUid, target: &Target, name: &CompactString, text: &Arc<str>) -> Events {
    let holder = find::holder(ask.state, org, target)?;
    limits::policy_name(name)?;
    let kind = match holder {
        Holder::Group(_) => DocumentKind::GroupInline,
        Holder::User(_) | Holder::Key(_) => DocumentKind::UserInline,
    };
    check_document(text, kind)?;
    let held = held(ask.state, holder);
    let before = held.inline.get(name).map(PolicyText::text);
    if before == Some(text) {
        return Ok(Vec::new());
    }
    refuse_revoked(ask, target)?;
    // All inline documents of one holder share the room (IAM User Guide, "quotas").
    let others = held.inline.iter().filter(|(other, _)| *other != name).map(|(_, text)| size_non_blank(text));
    if others.sum::<usize>() + size_non_blank(text) > kind.chars_max() {
        let max = kind.chars_max();
        return Err(Refusal::LimitReached { what: "characters of inline policies", of: held.name, max });
    }
    let (name, document) = (name.clone(), Arc::clone(text));
    Ok(vec![Event::InlinePolicyPut { holder, name, before: before.cloned(), document }])
}

pub(super) fn delete_inline(ask: Ask<'_>, org: OrgUid, target: &Target, name: &CompactString) -> Events {
    let holder = find::holder(ask.state, org, target)?;
    match held(ask.state, holder).inline.remove(name) {
        Some(before) => {
            let before = Arc::clone(before.text());
            Ok(vec![Event::InlinePolicyDeleted { holder, name: name.clone(), before }])
        }
        None => Err(Refusal::not_found(Noun::InlinePolicy, name)),
    }
}
