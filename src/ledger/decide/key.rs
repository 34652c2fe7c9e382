//! Access keys: made, imported, labelled, bounded, suspended, revoked, deleted, flagged.
//!
//! Limits are those of the surface a create came by and count every key of the owner that is not deleted. What somebody who is
//! no Admin makes is bounded by the key it was made with ([`bound`]).
//!
//! Not here: rotation (`rotate`), policies of a key that is there (`policy`).

use super::super::command::{Command, CreateAccessKey, ImportAccessKey, OwnerName};
use super::super::error::{Noun, Refusal, shown};
use super::{Ask, Authority, Events, find, if_changed, is_quarantined, tag_delta};
use crate::model::id::World;
use crate::model::limits::{ATTACHED_POLICIES_MAX, GRANTS_MAX, IAM_KEYS_PER_USER_MAX, LIGHTSAIL_KEYS_PER_BUCKET_MAX};
use crate::model::{
    AccessKeyId, Dialect, Event, Grant, GrantRole, Holder, Invalid, KeyCreated, KeyOwner, KeyUid, OrgSettings, OrgUid,
    PolicyUid, SecretVersion, Tags, Time, limits,
};
use crate::state::{KeyRecord, KeyStatus, Marks, OrgRecord, OwnerRef, PolicyText};
use compact_str::CompactString;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A key about to be made, everything resolved and checked but its owner's limit.
pub(super) struct Draft {
    pub owner: KeyOwner,
    /// The owner's name, for errors.
    pub owner_name: CompactString,
    pub label: CompactString,
    pub description: CompactString,
    pub tags: Tags,
    pub grants: Vec<Grant>,
    pub attached: BTreeSet<PolicyUid>,
    pub inline: BTreeMap<CompactString, PolicyText>,
    pub default_allow: bool,
    pub expires_at: Option<Time>,
}

pub(super) fn create(ask: Ask<'_>, org: OrgUid, asked: &CreateAccessKey) -> Events {
    let org = find::org(ask.state, org)?;
    let draft = bounded(ask, asked, draft(ask, org, asked)?)?;
    make(ask, org, drawn_id(ask)?, draft, false)
}

pub(super) fn import(ask: Ask<'_>, org: OrgUid, asked: &ImportAccessKey) -> Events {
    let org = find::org(ask.state, org)?;
    let draft = bounded(ask, &asked.key, draft(ask, org, &asked.key)?)?;
    make(ask, org, asked.access_key_id.clone(), draft, true)
}

/// What is asked for, within what whoever asks may give, whether the key is made or brought.
fn bounded(ask: Ask<'_>, asked: &CreateAccessKey, mut draft: Draft) -> Result<Draft, Refusal> {
    match ask.authority {
        Authority::Member { maker: Some(maker), .. } => bound(ask, maker, &mut draft)?,
        Authority::Policy { maker } if maker.is_scoped() || draft.owner == maker.owner => {
            bound(ask, maker, &mut draft)?;
        }
        // As in AWS, a key of another owner has what that owner has, and nothing of its own.
        Authority::Policy { .. } if !asked.grants.is_empty() || !asked.policies.is_empty() || asked.default_allow => {
            return Err(Refusal::Forbidden { why: "the new key would have grants its maker has not" });
        }
        _ => {}
    }
    Ok(draft)
}

/// The id that was drawn for this command.
pub(super) fn drawn_id(ask: Ask<'_>) -> Result<AccessKeyId, Refusal> {
    ask.fresh.key_id.clone().ok_or_else(|| Invalid::new("access key id", "", "one that was drawn").into())
}

/// The secret that was drawn, or brought, for this command.
pub(super) fn drawn_secret(ask: Ask<'_>, version: u32) -> Result<SecretVersion, Refusal> {
    let Some(secret) = ask.fresh.secret else {
        return Err(Invalid::new("secret", "", "one that was drawn").into());
    };
    let set_at = ask.fresh.now;
    Ok(SecretVersion { version, commitment: secret.commitment, fingerprint: secret.fingerprint, set_at })
}

fn draft(ask: Ask<'_>, org: &OrgRecord, asked: &CreateAccessKey) -> Result<Draft, Refusal> {
    draft_for(ask, org, asked, owner(ask, org, &asked.owner)?)
}

/// The key that is asked for, whose owner, with its name, is found already.
pub(super) fn draft_for(
    ask: Ask<'_>,
    org: &OrgRecord,
    asked: &CreateAccessKey,
    (owner, owner_name): (KeyOwner, CompactString),
) -> Result<Draft, Refusal> {
    limits::label(&asked.label)?;
    limits::description(&asked.description)?;
    super::check_tags(&asked.tags)?;
    let mut grants = normal(&asked.grants)?;
    if asked.policies.len() > ATTACHED_POLICIES_MAX {
        let of = shown(&asked.label);
        return Err(Refusal::LimitReached { what: "attached policies", of, max: ATTACHED_POLICIES_MAX });
    }
    let policies = asked.policies.iter().map(|name| find::attachable(ask.state, org.org, name));
    let attached = policies.collect::<Result<BTreeSet<_>, _>>()?;
    if let KeyOwner::Bucket(bucket) = &owner
        && grants.is_empty()
        && attached.is_empty()
    {
        grants.push(Grant { bucket: Some(bucket.clone()), role: GrantRole::Editor });
    }
    Ok(Draft {
        owner,
        owner_name,
        label: asked.label.clone(),
        description: asked.description.clone(),
        tags: asked.tags.clone(),
        grants,
        attached,
        inline: BTreeMap::new(),
        default_allow: asked.default_allow,
        expires_at: expiry(&org.settings, ask.fresh.now, asked.expires_at)?,
    })
}

pub(super) fn owner(ask: Ask<'_>, org: &OrgRecord, name: &OwnerName) -> Result<(KeyOwner, CompactString), Refusal> {
    match name {
        OwnerName::Org => Ok((KeyOwner::Org, shown(&org.account))),
        OwnerName::User(name) => {
            let user = find::user(ask.state, org.org, name)?;
            Ok((KeyOwner::User(user.user), user.name.clone()))
        }
        OwnerName::External(id) => match ask.state.user_by_external_id(org.org, id) {
            Some(user) => Ok((KeyOwner::User(user.user), user.name.clone())),
            None => Err(Refusal::not_found(Noun::User, id)),
        },
        OwnerName::Bucket(bucket) => match ask.state.bucket_org(bucket) {
            Some(of) if of == org.org => Ok((KeyOwner::Bucket(bucket.clone()), shown(bucket))),
            None if org.settings.open_buckets => {
                limits::bucket_name(bucket.as_str())?;
                Ok((KeyOwner::Bucket(bucket.clone()), shown(bucket)))
            }
            _ => Err(Refusal::not_found(Noun::Bucket, bucket)),
        },
    }
}

/// Grants sorted by bucket, one a bucket: the widest.
pub(super) fn normal(grants: &[Grant]) -> Result<Vec<Grant>, Refusal> {
    if grants.len() > GRANTS_MAX {
        return Err(Refusal::LimitReached { what: "grants", of: "the key".into(), max: GRANTS_MAX });
    }
    let mut widest: BTreeMap<Option<&crate::model::BucketName>, GrantRole> = BTreeMap::new();
    for grant in grants {
        if let Some(bucket) = &grant.bucket {
            limits::bucket_name(bucket.as_str())?;
            if grant.role == GrantRole::Admin {
                return Err(Invalid::new("grant", bucket.as_str(), "Admin on * alone").into());
            }
        }
        let role = widest.entry(grant.bucket.as_ref()).or_insert(grant.role);
        *role = grant.role.max(*role);
    }
    Ok(widest.into_iter().map(|(bucket, role)| Grant { bucket: bucket.cloned(), role }).collect())
}

/// When a new key stops, by what was asked and what the org allows.
pub(super) fn expiry(settings: &OrgSettings, now: Time, asked: Option<Time>) -> Result<Option<Time>, Refusal> {
    let latest = settings.key_lifetime_max_ns.map(|ns| now.plus_ns(ns));
    let Some(asked) = asked else {
        return Ok(settings.key_lifetime_default_ns.map(|ns| now.plus_ns(ns)).or(latest));
    };
    check_expiry(asked, now, latest)?;
    Ok(Some(asked))
}

fn check_expiry(asked: Time, now: Time, latest: Option<Time>) -> Result<(), Refusal> {
    if asked <= now {
        return Err(Invalid::new("expiry", &asked.to_string(), "a time to come").into());
    }
    if latest.is_some_and(|latest| asked > latest) {
        return Err(Invalid::new("expiry", &asked.to_string(), "no later than the org's longest key lifetime").into());
    }
    Ok(())
}

/// Bounds a new key by the key that makes it: no more grants or policies, every policy and Deny of the maker carried along,
/// no later expiry, no default rights the maker lacks. What was asked for beyond that is refused, not cut.
pub(super) fn bound(ask: Ask<'_>, maker: &KeyRecord, draft: &mut Draft) -> Result<(), Refusal> {
    let beyond = |why| Err(Refusal::Forbidden { why });
    if is_quarantined(ask.state, maker) {
        return beyond("a quarantined key makes no keys");
    }
    if draft.default_allow && !maker.marks.has(Marks::DEFAULT_ALLOW) {
        return beyond("the new key would be allowed by default what its maker is not");
    }
    match draft.expires_at {
        Some(expires_at) if expires_at > maker.expires_at => {
            return beyond("the new key would outlive the key that makes it");
        }
        Some(_) => {}
        None => draft.expires_at = maker.expires_at(),
    }
    // What denies its owner denies the new key only if it is the same owner.
    if draft.owner != maker.owner {
        return beyond("a key that is not an administrator's makes keys for its own owner only");
    }
    let rights = maker.rights();
    if maker.is_scoped() {
        let covered = |grant: &Grant| rights.grants.iter().any(|own| covers(own, grant));
        if !draft.grants.iter().all(covered) {
            return beyond("the new key would have grants its maker has not");
        }
        if !draft.attached.iter().all(|policy| rights.attached.contains(policy)) {
            return beyond("the new key would have policies its maker has not");
        }
        if draft.grants.is_empty() {
            draft.grants.clone_from(&rights.grants);
        }
        draft.attached = rights.attached.iter().copied().collect();
        draft.inline.clone_from(&rights.inline);
        return Ok(());
    }
    if !draft.grants.is_empty() || !draft.inline.is_empty() {
        return beyond("the new key would have grants its maker has not");
    }
    // A policy on the key would stay when its owner loses it.
    if !draft.attached.is_empty() {
        return beyond("policies of a key are given by an administrator");
    }
    Ok(())
}

/// Whether `own` allows all that `grant` does.
fn covers(own: &Grant, grant: &Grant) -> bool {
    own.role >= grant.role && (own.bucket.is_none() || own.bucket == grant.bucket)
}

/// The events of a new key: itself, then its policies.
pub(super) fn make(ask: Ask<'_>, org: &OrgRecord, id: AccessKeyId, draft: Draft, imported: bool) -> Events {
    let uid = id.uid(World::Live);
    // Never again, not even after delete; nor another id whose uid is the same.
    if ask.state.has_key(uid) {
        return Err(Refusal::exists(Noun::Key, &id));
    }
    check_limit(ask, org, &draft)?;
    let maker = match ask.authority {
        Authority::Admin { maker } | Authority::Member { maker, .. } => maker.as_deref(),
        Authority::Policy { maker } => Some(&**maker),
        Authority::Whole | Authority::Node => None,
    };
    let created = Box::new(KeyCreated {
        key: uid,
        access_key_id: id,
        owner: draft.owner,
        label: draft.label,
        description: draft.description,
        tags: draft.tags,
        grants: draft.grants,
        default_allow: draft.default_allow,
        expires_at: draft.expires_at,
        secret: Some(drawn_secret(ask, 1)?),
        made_by: maker.map(|maker| maker.id.uid(World::Live)),
    });
    let holder = Holder::Key(uid);
    let mut events = Vec::with_capacity(1 + draft.attached.len() + draft.inline.len());
    events.push(if imported { Event::KeyImported(created) } else { Event::KeyCreated(created) });
    events.extend(draft.attached.into_iter().map(|policy| Event::PolicyAttached { policy, holder }));
    events.extend(draft.inline.into_iter().map(|(name, document)| Event::InlinePolicyPut {
        holder,
        name,
        before: None,
        document: Arc::clone(document.text()),
    }));
    Ok(events)
}

fn check_limit(ask: Ask<'_>, org: &OrgRecord, draft: &Draft) -> Result<(), Refusal> {
    let settings = &org.settings;
    let max = match (ask.caller.dialect, &draft.owner) {
        (Dialect::AwsIam, KeyOwner::User(_) | KeyOwner::Org) => {
            Some(settings.iam_keys_per_user_max.unwrap_or(IAM_KEYS_PER_USER_MAX))
        }
        (Dialect::Lightsail, KeyOwner::Bucket(_)) => {
            Some(settings.lightsail_keys_per_bucket_max.unwrap_or(LIGHTSAIL_KEYS_PER_BUCKET_MAX))
        }
        _ => settings.keys_per_owner_max,
    };
    let Some(max) = max else { return Ok(()) };
    let found = ask.state.count_of(&OwnerRef::of(org.org, &draft.owner));
    if found < max as usize {
        return Ok(());
    }
    Err(Refusal::KeyLimitReached { of: draft.owner_name.clone(), found, max })
}

/// A change of a key that is there.
pub(super) fn change(ask: Ask<'_>, command: &Command) -> Events {
    let (state, now) = (ask.state, ask.fresh.now);
    let super::Subject::Key(id) = command.subject() else { return Ok(Vec::new()) };
    let found = find::key(state, id)?;
    let key = id.uid(World::Live);
    let more = found.more();
    match command {
        Command::LabelKey { label, .. } => {
            limits::label(label)?;
            let (before, after) = (found.label.clone(), label.clone());
            Ok(if_changed(&found.label, label, || Event::KeyLabelled { key, before, after }))
        }
        Command::DescribeKey { description, .. } => {
            limits::description(description)?;
            let (before, after) = (more.description.clone(), description.clone());
            Ok(if_changed(&more.description, description, || Event::KeyDescribed { key, before, after }))
        }
        Command::TagKey { set, remove, .. } => {
            let delta = tag_delta(id.as_str(), &more.tags, set, remove)?;
            Ok(delta.map(|(set, removed)| Event::KeyTagged { key, set, removed }).into_iter().collect())
        }
        Command::SetKeyGrants { grants, .. } => {
            let (after, rights) = (normal(grants)?, found.rights());
            if after == rights.grants {
                return Ok(Vec::new());
            }
            refuse_revoked(&found, "given rights")?;
            Ok(vec![Event::KeyGrantsSet { key, before: rights.grants.clone(), after }])
        }
        Command::SetKeyDefaultAllow { default_allow: after, .. } => {
            let before = found.marks.has(Marks::DEFAULT_ALLOW);
            if before == *after {
                return Ok(Vec::new());
            }
            refuse_revoked(&found, "given rights")?;
            Ok(vec![Event::KeyDefaultAllowSet { key, before, after: *after }])
        }
        Command::SetKeyExpiry { expires_at, .. } => set_expiry(ask, key, &found, *expires_at),
        Command::SuspendKey { .. } => {
            refuse_revoked(&found, "suspended")?;
            let by_admin = ask.authority.is_admin();
            // An Admin's word weighs more: it also says so on a key its owner suspended.
            let is_so = found.marks.has(Marks::SUSPENDED) && (found.marks.has(Marks::SUSPENDED_BY_ADMIN) || !by_admin);
            Ok(if is_so { Vec::new() } else { vec![Event::KeySuspended { key, by_admin }] })
        }
        Command::ResumeKey { .. } => {
            refuse_revoked(&found, "active again")?;
            refuse_expired(&found, now, "active again")?;
            if !found.marks.has(Marks::SUSPENDED) {
                return Ok(Vec::new());
            }
            if found.marks.has(Marks::SUSPENDED_BY_ADMIN) && !ask.authority.is_admin() {
                return Err(Refusal::Forbidden { why: "an administrator suspended this key, and only one resumes it" });
            }
            Ok(vec![Event::KeyResumed { key }])
        }
        Command::RevokeKey { .. } => {
            let is_so = found.marks.has(Marks::REVOKED);
            Ok(if is_so { Vec::new() } else { vec![Event::KeyRevoked { key }] })
        }
        Command::DeleteKey { .. } => {
            let unrevoked = state.status(&found, now).is_usable();
            Ok(vec![Event::KeyDeleted { key, access_key_id: found.id.clone(), unrevoked }])
        }
        Command::FlagKey { quarantine, note, .. } => {
            limits::reason(note)?;
            let is_so = more.flag.as_ref().is_some_and(|flag| flag.quarantine == *quarantine && flag.note == *note);
            let event = Event::KeyFlagged { key, quarantine: *quarantine, note: note.clone() };
            Ok(if is_so { Vec::new() } else { vec![event] })
        }
        Command::ClearKey { .. } => Ok(if more.flag.is_some() { vec![Event::KeyCleared { key }] } else { Vec::new() }),
        _ => Ok(Vec::new()),
    }
}

fn set_expiry(ask: Ask<'_>, key: KeyUid, found: &KeyRecord, after: Option<Time>) -> Events {
    let (now, before) = (ask.fresh.now, found.expires_at());
    if before == after {
        return Ok(Vec::new());
    }
    refuse_revoked(found, "given another expiry")?;
    refuse_expired(found, now, "active again")?;
    let later = after.unwrap_or(Time::MAX) > found.expires_at;
    if later && !ask.authority.is_admin() {
        return Err(Refusal::Forbidden { why: "only an administrator extends an expiry" });
    }
    let org = find::org(ask.state, found.org)?;
    let latest = org.settings.key_lifetime_max_ns.map(|ns| found.created_at.plus_ns(ns));
    match after {
        Some(after) => check_expiry(after, now, latest.filter(|_| later))?,
        None if latest.is_some() => {
            return Err(Invalid::new("expiry", "never", "no later than the org's longest key lifetime").into());
        }
        None => {}
    }
    Ok(vec![Event::KeyExpirySet { key, before, after }])
}

/// What is wrong with a key that was revoked.
pub(super) fn revoked(key: &KeyRecord, wanted: &'static str) -> Refusal {
    let next = "revoke is for ever: create another key";
    Refusal::InvalidTransition { key: shown(&key.id), status: KeyStatus::Revoked, wanted, next }
}

pub(super) fn refuse_revoked(key: &KeyRecord, wanted: &'static str) -> Result<(), Refusal> {
    if key.marks.has(Marks::REVOKED) { Err(revoked(key, wanted)) } else { Ok(()) }
}

pub(super) fn refuse_expired(key: &KeyRecord, now: Time, wanted: &'static str) -> Result<(), Refusal> {
    if now < key.expires_at {
        return Ok(());
    }
    let next = "its time is over for ever: create another key";
    Err(Refusal::InvalidTransition { key: shown(&key.id), status: KeyStatus::Expired, wanted, next })
}
