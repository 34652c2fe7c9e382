//! What a fact mentions: the one list that filters and index share, so that both always agree.
//!
//! Not here: how a term is stored (`index`).

use super::known;
use crate::model::id::World;
use crate::model::{
    AccessKeyId, Event, EventKind, Grant, GroupUid, Holder, IdentityKind, KeyCreated, KeyOwner, KeyUid, OrgUid,
    PolicyUid, UserUid, uids,
};
use crate::state::{Fact, Recorded};

/// Something a fact is about, or whom or whence it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mention<'a> {
    /// It is about this key.
    Key(KeyUid),
    User(UserUid),
    Group(GroupUid),
    Policy(PolicyUid),
    Bucket(&'a str),
    /// This key caused it.
    ActorKey(KeyUid),
    /// Somebody of this name caused it.
    Actor(&'a str),
    Address(&'a str),
    Kind(EventKind),
    Org(OrgUid),
    /// An API call that investigations look for by name (`known::notable`).
    Call(&'a str),
}

/// A mention as the index knows it: 64 bits that follow from what is mentioned. Two mentions may share one, so whoever finds a
/// commit by a term looks at the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

impl Term {
    /// Commits whose frame says that the clock had gone back.
    pub const CLOCK_REGRESSED: Term = Term(0x636c_6f63_6b2d_2d2d);
}

impl Mention<'_> {
    /// The term of this mention.
    pub fn term(&self) -> Term {
        let (tag, bytes): (u64, &[u8]) = match self {
            Mention::Key(uid) => (1, &uid.0),
            Mention::User(uid) => (2, &uid.0),
            Mention::Group(uid) => (3, &uid.0),
            Mention::Policy(uid) => (4, &uid.0),
            Mention::Bucket(name) => (5, name.as_bytes()),
            Mention::ActorKey(uid) => (6, &uid.0),
            Mention::Actor(name) => (8, name.as_bytes()),
            Mention::Address(address) => (9, address.as_bytes()),
            Mention::Kind(kind) => (10, &(*kind as u16).to_le_bytes()),
            Mention::Org(uid) => (11, &uid.0),
            Mention::Call(name) => (12, name.as_bytes()),
        };
        Term(xxhash_rust::xxh3::xxh3_64_with_seed(bytes, tag))
    }
}

/// The world a fact's keys stand in.
pub fn world_of(fact: &Fact<'_>) -> World {
    if fact.record.is_some() { World::Evidence } else { World::Live }
}

/// The uid of the key that caused a fact.
pub fn actor_key(fact: &Fact<'_>) -> Option<KeyUid> {
    fact.actor.key.map(|key| key.uid(world_of(fact)))
}

/// The user of a fact's evidence record, by the name it had.
pub fn actor_user(fact: &Fact<'_>) -> Option<UserUid> {
    let identity = &fact.record?.identity;
    (identity.kind == IdentityKind::User && !identity.name.is_empty())
        .then(|| identity.account.map(|account| uids::user(account, &identity.name)))?
}

/// Whether a fact changed something, and is not only a record's mention of what it speaks of.
pub fn is_made(fact: &Fact<'_>) -> bool {
    !fact.record.is_some_and(|record| uids::is_mention(record, fact.event))
}

/// Calls `f` with everything that `fact` mentions; some of it perhaps twice.
pub fn mentions<'a>(fact: &Fact<'a>, f: &mut impl FnMut(Mention<'a>)) {
    f(Mention::Kind(fact.event.kind()));
    if fact.record.is_some() && fact.observed().is_none() {
        f(Mention::Kind(EventKind::EvidenceChanged));
    }
    if let Some(org) = fact.org {
        f(Mention::Org(org));
    }
    if !fact.actor.name.is_empty() {
        f(Mention::Actor(fact.actor.name));
    }
    if let Some(key) = actor_key(fact) {
        f(Mention::ActorKey(key));
    }
    if let Some(address) = fact.source_ip {
        f(Mention::Address(address));
    }
    if let Some(call) = fact.record.and_then(|record| known::notable(&record.event_name)) {
        f(Mention::Call(call));
    }
    subjects(fact.event, f);
}

/// What an event is about, without who did it and whence.
pub fn subjects<'a>(event: &'a Event, f: &mut impl FnMut(Mention<'a>)) {
    match event {
        Event::OrgCreated { org, .. } => f(Mention::Org(*org)),
        Event::UserCreated { user, .. }
        | Event::UserRenamed { user, .. }
        | Event::UserMoved { user, .. }
        | Event::UserRoleSet { user, .. }
        | Event::UserTagged { user, .. }
        | Event::UserDeleted { user, .. } => f(Mention::User(*user)),
        Event::UserBoundarySet { user, before, after } => {
            f(Mention::User(*user));
            before.iter().chain(after).for_each(|policy| f(Mention::Policy(*policy)));
        }
        Event::GroupCreated { group, .. }
        | Event::GroupRenamed { group, .. }
        | Event::GroupMoved { group, .. }
        | Event::GroupDeleted { group, .. } => f(Mention::Group(*group)),
        Event::GroupMemberAdded { group, user } | Event::GroupMemberRemoved { group, user } => {
            f(Mention::Group(*group));
            f(Mention::User(*user));
        }
        Event::BucketRegistered { bucket } | Event::BucketForgotten { bucket } => f(Mention::Bucket(bucket.as_str())),
        Event::KeyCreated(created) | Event::KeyImported(created) => created_key(created, f),
        Event::KeyLabelled { key, .. }
        | Event::KeyDescribed { key, .. }
        | Event::KeyTagged { key, .. }
        | Event::KeyDefaultAllowSet { key, .. }
        | Event::KeyExpirySet { key, .. }
        | Event::KeySuspended { key, .. }
        | Event::KeyResumed { key }
        | Event::KeyRevoked { key }
        | Event::KeyDeleted { key, .. }
        | Event::KeySecretRotated { key, .. }
        | Event::KeySecretRetired { key, .. }
        | Event::KeySecretShredded { key, .. }
        | Event::KeyFlagged { key, .. }
        | Event::KeyCleared { key }
        | Event::TokenOpened { key, .. }
        | Event::SessionOpened { key, .. } => f(Mention::Key(*key)),
        Event::KeyGrantsSet { key, before, after } => {
            f(Mention::Key(*key));
            granted(before, f);
            granted(after, f);
        }
        Event::KeyRotated { old, new, .. } => {
            f(Mention::Key(*old));
            f(Mention::Key(*new));
        }
        Event::PolicyCreated { policy, .. }
        | Event::PolicyTagged { policy, .. }
        | Event::PolicyDescribed { policy, .. }
        | Event::PolicyVersionCreated { policy, .. }
        | Event::PolicyDefaultSet { policy, .. }
        | Event::PolicyVersionDeleted { policy, .. }
        | Event::PolicyDeleted { policy, .. } => f(Mention::Policy(*policy)),
        Event::PolicyAttached { policy, holder: by } | Event::PolicyDetached { policy, holder: by } => {
            f(Mention::Policy(*policy));
            f(holder(*by));
        }
        Event::PolicyDetachedFromAll { policy, holders } => {
            f(Mention::Policy(*policy));
            for by in holders {
                f(holder(*by));
            }
        }
        Event::InlinePolicyPut { holder: by, .. } | Event::InlinePolicyDeleted { holder: by, .. } => f(holder(*by)),
        Event::SignInRefused { access_key_id, source_ip } => {
            f(Mention::Key(AccessKeyId::uid_of(access_key_id, World::Live)));
            f(Mention::Address(source_ip));
        }
        Event::UsageRolledUp { keys, .. } => {
            for usage in keys {
                f(Mention::Key(usage.key));
                for tuple in &usage.tuples {
                    f(Mention::Address(&tuple.source_ip));
                    tuple.bucket.iter().for_each(|bucket| f(Mention::Bucket(bucket.as_str())));
                }
            }
        }
        Event::AttemptsRolledUp { attempts, .. } => {
            for attempt in attempts {
                f(Mention::Key(attempt.key));
                f(Mention::Address(&attempt.source_ip));
            }
        }
        // Its changes are facts of their own.
        Event::EvidenceChanged(change) => change.changes.iter().for_each(|event| subjects(event, f)),
        Event::EvidenceObserved(observed) => {
            observed.bucket.iter().for_each(|bucket| f(Mention::Bucket(bucket.as_str())));
            observed.issued_key.iter().for_each(|key| f(Mention::Key(key.uid(World::Evidence))));
        }
        Event::FindingRaised { key, .. } | Event::FindingClosed { key, .. } => {
            if let Some(key) = key {
                f(Mention::Key(*key));
            }
        }
        // About an org or the ledger as a whole.
        _ => {}
    }
}

fn created_key<'a>(created: &'a KeyCreated, f: &mut impl FnMut(Mention<'a>)) {
    f(Mention::Key(created.key));
    match &created.owner {
        KeyOwner::Org => {}
        KeyOwner::User(user) => f(Mention::User(*user)),
        KeyOwner::Bucket(bucket) => f(Mention::Bucket(bucket.as_str())),
    }
    created.made_by.iter().for_each(|maker| f(Mention::ActorKey(*maker)));
    granted(&created.grants, f);
}

fn granted<'a>(grants: &'a [Grant], f: &mut impl FnMut(Mention<'a>)) {
    grants.iter().filter_map(|grant| grant.bucket.as_ref()).for_each(|bucket| f(Mention::Bucket(bucket.as_str())));
}

fn holder<'a>(holder: Holder) -> Mention<'a> {
    match holder {
        Holder::User(uid) => Mention::User(uid),
        Holder::Group(uid) => Mention::Group(uid),
        Holder::Key(uid) => Mention::Key(uid),
    }
}

/// Every term of a commit, each once, sorted. `terms` is emptied first.
pub fn terms_of(commit: &Recorded, terms: &mut Vec<Term>) {
    terms.clear();
    for fact in commit.facts() {
        mentions(&fact, &mut |mention| terms.push(mention.term()));
    }
    if commit.clock_regressed {
        terms.push(Term::CLOCK_REGRESSED);
    }
    terms.sort_unstable();
    terms.dedup();
}
