//! Which keys hang on what: from an event to the keys whose rights it can change.
//!
//! Not here: what changed (`intervals`, `widened`, `course`).

use crate::audit::mention::{Mention, subjects};
use crate::model::{Event, EventKind, Holder, KeyOwner, KeyUid, PolicyUid, UserUid};
use crate::state::{State, UserRecord};
use std::collections::{BTreeSet, HashMap};

/// Whether events of a kind can change what a key may.
pub(super) fn bears_on_rights(kind: EventKind) -> bool {
    !matches!(
        kind,
        EventKind::UsageRolledUp
            | EventKind::AttemptsRolledUp
            | EventKind::EvidenceBatchImported
            | EventKind::EvidenceChanged
            | EventKind::EvidenceObserved
            | EventKind::KeyLabelled
            | EventKind::KeyDescribed
            | EventKind::KeyTagged
            | EventKind::KeySecretRotated
            | EventKind::KeySecretRetired
            | EventKind::KeySecretShredded
            | EventKind::PolicyTagged
            | EventKind::PolicyDescribed
            | EventKind::StateAttested
            | EventKind::CheckpointPublished
            | EventKind::AuditDone
            | EventKind::FindingRaised
            | EventKind::FindingClosed
            | EventKind::SessionOpened
            | EventKind::SessionClosed
            | EventKind::SignInRefused
            | EventKind::TokenOpened
            | EventKind::TokenClosed
            | EventKind::ClockAccepted
            | EventKind::TailAccepted
    )
}

pub(super) fn is_of_whole_org(event: &Event) -> bool {
    matches!(
        event,
        Event::OrgSuspended {}
            | Event::OrgResumed {}
            | Event::OrgSettingsSet { .. }
            | Event::BucketRegistered { .. }
            | Event::BucketForgotten { .. }
            | Event::LedgerRestored { .. }
            | Event::RestoreAccepted { .. }
    )
}

/// Which keys hang on which users and policies; never fewer than do.
#[derive(Default)]
pub(super) struct Ties {
    of_user: HashMap<UserUid, Vec<KeyUid>>,
    of_policy: HashMap<PolicyUid, BTreeSet<KeyUid>>,
}

impl Ties {
    pub fn of(state: &State) -> Self {
        let mut ties = Self::default();
        state.for_each_key(|key| {
            let uid = key.uid();
            ties.own(key.owner(), uid);
            for policy in &key.rights().attached {
                ties.of_policy.entry(*policy).or_default().insert(uid);
            }
        });
        ties
    }

    /// Notes whose a key is.
    pub fn own(&mut self, owner: &KeyOwner, key: KeyUid) {
        if let KeyOwner::User(user) = owner {
            self.of_user.entry(*user).or_default().push(key);
        }
    }

    pub fn note(&mut self, event: &Event) {
        match event {
            Event::KeyCreated(made) | Event::KeyImported(made) => {
                self.own(&made.owner, made.key);
            }
            Event::PolicyAttached { policy, holder: Holder::Key(key) } => {
                self.of_policy.entry(*policy).or_default().insert(*key);
            }
            _ => {}
        }
    }

    /// Calls `f` with every key that `event` may touch.
    pub fn touched(&self, state: &State, event: &Event, f: &mut dyn FnMut(KeyUid)) {
        let mut users: BTreeSet<UserUid> = BTreeSet::new();
        subjects(event, &mut |mention| match mention {
            Mention::Key(key) => f(key),
            Mention::User(user) => _ = users.insert(user),
            Mention::Group(group) => {
                users.extend(state.group(group).into_iter().flat_map(|group| group.members.iter().copied()));
            }
            Mention::Policy(policy) => self.holders(state, policy, f),
            _ => {}
        });
        for user in users {
            self.of_user(user).for_each(&mut *f);
        }
    }

    /// Calls `f` with every key that an edit of rights changes the rights of.
    pub fn edited(&self, state: &State, event: &Event, f: &mut dyn FnMut(KeyUid)) {
        match event {
            Event::PolicyVersionCreated { policy, is_default: true, .. } | Event::PolicyDefaultSet { policy, .. } => {
                self.holders(state, *policy, f);
            }
            Event::PolicyAttached { holder, .. }
            | Event::PolicyDetached { holder, .. }
            | Event::InlinePolicyPut { holder, .. }
            | Event::InlinePolicyDeleted { holder, .. } => self.of_holder(state, *holder, f),
            Event::PolicyDetachedFromAll { holders, .. } => {
                for holder in holders {
                    self.of_holder(state, *holder, f);
                }
            }
            Event::UserBoundarySet { user, .. }
            | Event::GroupMemberAdded { user, .. }
            | Event::GroupMemberRemoved { user, .. } => self.of_user(*user).for_each(f),
            Event::KeyGrantsSet { key, .. } | Event::KeyDefaultAllowSet { key, .. } | Event::KeyCleared { key } => {
                f(*key);
            }
            _ => {}
        }
    }

    fn of_user(&self, user: UserUid) -> impl Iterator<Item = KeyUid> {
        self.of_user.get(&user).into_iter().flatten().copied()
    }

    fn of_holder(&self, state: &State, holder: Holder, f: &mut dyn FnMut(KeyUid)) {
        match holder {
            Holder::Key(key) => f(key),
            Holder::User(user) => self.of_user(user).for_each(f),
            Holder::Group(group) => {
                let members = state.group(group).into_iter().flat_map(|group| group.members.iter());
                members.for_each(|user| self.of_user(*user).for_each(&mut *f));
            }
        }
    }

    /// Every key that a policy bears on: held by it, by its owner or a group of that one, or the owner's boundary.
    fn holders(&self, state: &State, policy: PolicyUid, f: &mut dyn FnMut(KeyUid)) {
        self.of_policy.get(&policy).into_iter().flatten().copied().for_each(&mut *f);
        // Of users the holders are few, and known by what they hold or are bounded by.
        let holds = |user: &UserRecord| {
            user.attached.contains(&policy)
                || user.boundary == Some(policy)
                || user.groups.iter().any(|it| state.group(*it).is_some_and(|it| it.attached.contains(&policy)))
        };
        for user in state.all_users().filter(|user| holds(user)) {
            self.of_user(user.user).for_each(&mut *f);
        }
    }
}

/// Whether an event edits rights: what a document, a grant, a membership or a boundary gives or takes.
pub(super) fn is_edit(event: &Event) -> bool {
    match event {
        Event::PolicyVersionCreated { is_default, .. } => *is_default,
        Event::PolicyDefaultSet { .. }
        | Event::PolicyAttached { .. }
        | Event::PolicyDetached { .. }
        | Event::PolicyDetachedFromAll { .. }
        | Event::InlinePolicyPut { .. }
        | Event::InlinePolicyDeleted { .. }
        | Event::UserBoundarySet { .. }
        | Event::GroupMemberAdded { .. }
        | Event::GroupMemberRemoved { .. }
        | Event::KeyGrantsSet { .. }
        | Event::KeyDefaultAllowSet { .. }
        | Event::KeyCleared { .. } => true,
        _ => false,
    }
}
