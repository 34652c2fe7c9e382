//! What a key draws its rights from: the grants and documents in force, and the events that changed them.
//!
//! Not here: evaluating them (`access`).

use super::describe::grants;
use super::gather::{Kept, gather};
use super::mention::{Mention, is_made};
use super::names::Worlds;
use super::{AuditError, History, Plan};
use crate::model::{
    Event, EventKind, GrantRole, GroupUid, Holder, KeyOwner, KeyUid, OrgUid, PolicyUid, Role, UserUid, uids,
};
use crate::policy::{Document, DocumentKind, managed};
use crate::state::{Fact, KeyRecord, Marks, PolicyText};
use compact_str::CompactString;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One source of rights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct InForce {
    /// `grant`, `default_allow`, `attached`, `inline`, `boundary`, `role`, `root`.
    pub kind: &'static str,
    /// ``key `NQAK…` ``, ``user `alice` ``, ``group `admins` ``.
    pub held_by: String,
    pub policy: Option<String>,
    pub version: Option<u32>,
    /// Statements in words.
    pub says: Vec<String>,
    pub document: Option<String>,
    /// Every action, or every action of a service.
    pub wildcard_action: bool,
    pub all_buckets: bool,
    /// Why a document could not be read.
    pub note: Option<&'static str>,
}

impl InForce {
    fn new(kind: &'static str, held_by: String) -> Self {
        Self {
            kind,
            held_by,
            policy: None,
            version: None,
            says: Vec::new(),
            document: None,
            wildcard_action: false,
            all_buckets: false,
            note: None,
        }
    }

    fn document(mut self, name: String, text: &str) -> Self {
        self.policy = Some(name);
        if text.is_empty() {
            self.note = Some("document not in evidence");
            return self;
        }
        match Document::parse(text, DocumentKind::Evidence) {
            Ok(document) => {
                self.says = document.summary().iter().map(ToString::to_string).collect();
                self.wildcard_action = document.allows_wildcard_action();
                self.all_buckets = document.allows_all_buckets();
            }
            Err(_) => self.note = Some("document is not understood here; read it as it stands"),
        }
        self.document = Some(text.to_owned());
        self
    }
}

/// Everything a key's rights come from at the moment of `worlds`, before a request is known.
#[must_use]
pub fn in_force(worlds: &Worlds, uid: KeyUid, key: &KeyRecord) -> Vec<InForce> {
    let state = worlds.state_of(key.org);
    let mut found = Vec::new();
    let by_key = worlds.holder_name(Holder::Key(uid));
    let rights = key.rights();
    if !rights.grants.is_empty() {
        let mut row = InForce::new("grant", by_key.clone());
        row.says = vec![grants(&rights.grants)];
        row.all_buckets = rights.grants.iter().any(|grant| grant.bucket.is_none());
        row.wildcard_action = rights.grants.iter().any(|grant| grant.role != GrantRole::ReadOnly);
        found.push(row);
    }
    if key.marks.has(Marks::DEFAULT_ALLOW) {
        let mut row = InForce::new("default_allow", by_key.clone());
        row.says = vec!["may create buckets and list them".to_owned()];
        found.push(row);
    }
    let policies = |kind, held_by: &str, attached: &mut dyn Iterator<Item = PolicyUid>, found: &mut Vec<InForce>| {
        for policy in attached {
            found.push(attached_row(worlds, key.org, kind, held_by.to_owned(), policy));
        }
    };
    policies("attached", &by_key, &mut rights.attached.iter().copied(), &mut found);
    for (name, text) in &rights.inline {
        found.push(InForce::new("inline", by_key.clone()).document(name.to_string(), text));
    }
    match &key.owner {
        KeyOwner::Org
            if key.rights().grants.is_empty() && worlds.kind_of(key.org) == crate::model::OrgKind::Evidence =>
        {
            let mut row = InForce::new("root", by_key);
            row.note = Some("no user in evidence: a role's, a federated user's or the account root's");
            found.push(row);
        }
        KeyOwner::User(owner) => {
            let Some(user) = state.user(*owner) else { return found };
            let by_user = worlds.holder_name(Holder::User(*owner));
            if user.role != Role::Member {
                let mut row = InForce::new("role", by_user.clone());
                row.says = vec![user.role.as_str().to_owned()];
                row.wildcard_action = user.role == Role::Admin;
                found.push(row);
            }
            policies("attached", &by_user, &mut user.attached.iter().copied(), &mut found);
            for (name, text) in &user.inline {
                found.push(InForce::new("inline", by_user.clone()).document(name.to_string(), text));
            }
            policies("boundary", &by_user, &mut user.boundary.into_iter(), &mut found);
            for group in user.groups.iter().filter_map(|group| state.group(*group)) {
                let by_group = worlds.holder_name(Holder::Group(group.group));
                policies("attached", &by_group, &mut group.attached.iter().copied(), &mut found);
                for (name, text) in &group.inline {
                    found.push(InForce::new("inline", by_group.clone()).document(name.to_string(), text));
                }
            }
        }
        KeyOwner::Org | KeyOwner::Bucket(_) => {}
    }
    found
}

fn attached_row(worlds: &Worlds, org: OrgUid, kind: &'static str, held_by: String, uid: PolicyUid) -> InForce {
    let row = InForce::new(kind, held_by);
    if let Some(policy) = worlds.state_of(org).policy(uid) {
        let text = policy.document().map_or("", |text| &**text);
        let mut row = row.document(policy.name.to_string(), text);
        row.version = Some(policy.default_version);
        return row;
    }
    // One of AWS's own, which no event creates.
    let known = managed::ALL.iter().find(|known| {
        // In a live org `ledger` names them so.
        uids::policy(known.arn) == uid
    });
    if let Some(known) = known {
        return row.document(known.name.to_owned(), known.document.unwrap_or_default());
    }
    InForce { policy: Some(uid.to_string()), note: Some("document not in evidence"), ..row }
}

/// How an event bears on a key's rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Bearing {
    /// It is about the key itself.
    Key,
    /// About the user that owns it.
    Owner,
    /// About a group the owner was in at some time.
    Group,
    /// About a policy that one of these held at some time.
    Policy,
    /// About the org.
    Org,
}

/// The facts that bear on a key's rights without being about the key: its owner's, the groups', the policies', the org's. In the
/// order they took effect.
///
/// # Errors
/// Whatever keeps the log from being read.
pub fn bearing_facts(
    history: &dyn History,
    org: OrgUid,
    uid: KeyUid,
    owner: &KeyOwner,
) -> Result<Vec<(Bearing, Kept)>, AuditError> {
    let mut found = Vec::new();
    let mut policies = BTreeSet::new();
    let mut groups = BTreeSet::new();
    let key_facts = gather(history, &Plan::mentioning(vec![Mention::Key(uid).term()]), &|fact| {
        attachment(fact.event).is_some_and(|(_, holder)| holder == Some(Holder::Key(uid)))
    })?;
    for kept in &key_facts {
        kept.with(|fact| policies.extend(attachment(fact.event).map(|(policy, _)| policy)));
    }
    if let KeyOwner::User(user) = owner {
        let facts = gather(history, &Plan::mentioning(vec![Mention::User(*user).term()]), &|fact| {
            fact.org == Some(org) && is_about_user(fact, *user)
        })?;
        for kept in facts {
            kept.with(|fact| {
                policies.extend(attachment(fact.event).map(|(policy, _)| policy));
                if let Event::GroupMemberAdded { group, .. } = fact.event {
                    groups.insert(*group);
                }
                if let Event::UserBoundarySet { before, after, .. } = fact.event {
                    policies.extend(before.iter().chain(after));
                }
            });
            found.push((Bearing::Owner, kept));
        }
    }
    if !groups.is_empty() {
        let terms = groups.iter().map(|group| Mention::Group(*group).term()).collect();
        let facts = gather(history, &Plan::mentioning(terms), &|fact| is_about_group(fact.event, &groups))?;
        for kept in facts {
            kept.with(|fact| policies.extend(attachment(fact.event).map(|(policy, _)| policy)));
            found.push((Bearing::Group, kept));
        }
    }
    if !policies.is_empty() {
        let terms = policies.iter().map(|policy| Mention::Policy(*policy).term()).collect();
        let facts = gather(history, &Plan::mentioning(terms), &|fact| changes_policy(fact.event, &policies))?;
        found.extend(facts.into_iter().map(|kept| (Bearing::Policy, kept)));
    }
    let kinds = [EventKind::OrgSuspended, EventKind::OrgResumed];
    let terms = kinds.iter().map(|kind| Mention::Kind(*kind).term()).collect();
    let facts =
        gather(history, &Plan::mentioning(terms), &|fact| fact.org == Some(org) && kinds.contains(&fact.event.kind()))?;
    found.extend(facts.into_iter().map(|kept| (Bearing::Org, kept)));
    found.sort_by_key(|(_, kept)| kept.order());
    Ok(found)
}

/// The policy that an event attaches or detaches, and from whom, where it is one.
fn attachment(event: &Event) -> Option<(PolicyUid, Option<Holder>)> {
    match event {
        Event::PolicyAttached { policy, holder } | Event::PolicyDetached { policy, holder } => {
            Some((*policy, Some(*holder)))
        }
        Event::PolicyDetachedFromAll { policy, .. } => Some((*policy, None)),
        _ => None,
    }
}

fn is_about_user(fact: &Fact<'_>, user: UserUid) -> bool {
    match fact.event {
        // The keys of the same user have biographies of their own.
        Event::KeyCreated(_) | Event::KeyImported(_) => false,
        _ if !is_made(fact) => false,
        event => {
            let mut about = false;
            super::mention::subjects(event, &mut |mention| about |= mention == Mention::User(user));
            about
        }
    }
}

fn is_about_group(event: &Event, groups: &BTreeSet<GroupUid>) -> bool {
    match event {
        // Told by the user's own facts.
        Event::GroupMemberAdded { .. } | Event::GroupMemberRemoved { .. } => false,
        event => {
            let mut about = false;
            super::mention::subjects(event, &mut |mention| {
                about |= matches!(mention, Mention::Group(group) if groups.contains(&group));
            });
            about
        }
    }
}

fn changes_policy(event: &Event, policies: &BTreeSet<PolicyUid>) -> bool {
    match event {
        Event::PolicyVersionCreated { policy, .. }
        | Event::PolicyDefaultSet { policy, .. }
        | Event::PolicyVersionDeleted { policy, .. }
        | Event::PolicyDeleted { policy, .. }
        | Event::PolicyCreated { policy, .. } => policies.contains(policy),
        _ => false,
    }
}

/// Whether an event gave its holder more than it had, as far as the event alone tells.
#[must_use]
pub fn widens(event: &Event) -> bool {
    match event {
        Event::PolicyAttached { .. }
        | Event::InlinePolicyPut { .. }
        | Event::GroupMemberAdded { .. }
        | Event::PolicyDefaultSet { .. }
        | Event::KeyResumed { .. }
        | Event::KeyCleared { .. }
        | Event::OrgResumed {} => true,
        Event::PolicyVersionCreated { is_default, .. } => *is_default,
        // Detaching may widen too: a Deny goes, a boundary falls.
        Event::UserBoundarySet { before, .. } => before.is_some(),
        Event::UserRoleSet { before, after, .. } => *after == Role::Admin && before != after,
        Event::KeyGrantsSet { before, after, .. } => after.iter().any(|grant| !before.contains(grant)),
        Event::KeyDefaultAllowSet { after, .. } => *after,
        Event::KeyExpirySet { before, after, .. } => match (before, after) {
            (Some(before), Some(after)) => after > before,
            (Some(_), None) => true,
            (None, _) => false,
        },
        _ => false,
    }
}

/// How wide a key's rights are, without the documents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Breadth {
    pub admin: bool,
    pub wildcard_action: bool,
    pub all_buckets: bool,
    /// What makes them so.
    pub sources: Vec<String>,
}

/// Breadths of many keys: each policy's document is read once.
pub(super) struct BreadthCache<'a> {
    worlds: &'a Worlds,
    documents: HashMap<(OrgUid, PolicyUid), (bool, bool, String)>,
}

impl<'a> BreadthCache<'a> {
    pub fn new(worlds: &'a Worlds) -> Self {
        Self { worlds, documents: HashMap::new() }
    }

    /// What a key has of its own, or of its owner where it has nothing of its own.
    pub fn of(&mut self, key: &KeyRecord) -> Breadth {
        let mut breadth = Breadth::default();
        let worlds = self.worlds;
        let rights = key.rights();
        for grant in rights.grants.iter().filter(|grant| grant.bucket.is_none()) {
            breadth.all_buckets = true;
            breadth.admin |= grant.role == GrantRole::Admin;
            breadth.wildcard_action |= grant.role != GrantRole::ReadOnly;
            breadth.sources.push(format!("{} on *", grant.role.as_str()));
        }
        self.attached(key.org, &mut rights.attached.iter().copied(), &mut breadth);
        inline(&rights.inline, &mut breadth);
        let KeyOwner::User(owner) = key.owner else { return breadth };
        let Some(user) = worlds.state_of(key.org).user(owner).filter(|_| !key.is_scoped()) else { return breadth };
        if user.role == Role::Admin {
            breadth.admin = true;
            breadth.sources.push(format!("role Admin of user `{}`", user.name));
        }
        self.attached(key.org, &mut user.attached.iter().copied(), &mut breadth);
        inline(&user.inline, &mut breadth);
        for group in user.groups.iter().filter_map(|group| worlds.state_of(key.org).group(*group)) {
            self.attached(key.org, &mut group.attached.iter().copied(), &mut breadth);
            inline(&group.inline, &mut breadth);
        }
        breadth
    }

    fn attached(&mut self, org: OrgUid, policies: &mut dyn Iterator<Item = PolicyUid>, breadth: &mut Breadth) {
        for policy in policies {
            let worlds = self.worlds;
            let (wild, all, name) = self.documents.entry((org, policy)).or_insert_with(|| {
                let row = attached_row(worlds, org, "attached", String::new(), policy);
                (row.wildcard_action, row.all_buckets, row.policy.unwrap_or_default())
            });
            breadth.wildcard_action |= *wild;
            breadth.all_buckets |= *all;
            if *wild || *all {
                breadth.sources.push(format!("policy `{name}`"));
            }
        }
    }
}

fn inline(documents: &BTreeMap<CompactString, PolicyText>, breadth: &mut Breadth) {
    for (name, text) in documents {
        let row = InForce::new("inline", String::new()).document(name.to_string(), text);
        breadth.wildcard_action |= row.wildcard_action;
        breadth.all_buckets |= row.all_buckets;
        if row.wildcard_action || row.all_buckets {
            breadth.sources.push(format!("inline policy `{name}`"));
        }
    }
}
