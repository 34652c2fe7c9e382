//! Evidence orgs: what was imported, and the state it adds up to.
//!
//! Records arrive in any order, twice, years late. So an evidence org is not applied event by event: the changes are kept sorted by
//! [`EvidenceRecord::order`], uses are summed up by key in a way that does not care about order, and [`Evidence::fold`]
//! makes the state when somebody asks. Equal sets of records give equal states.
//!
//! A record may name nouns that were made before the evidence begins; it mentions them first (`model::uids`).
//!
//! Not here: reading records (`ledger::import`). The gate never sees any of this.

use super::State;
use super::apply::{At, note_use};
use super::key::{KeyView, LastUsed, Marks};
use super::packed::Packed;
use crate::model::event::EvidenceChange;
use crate::model::id::World;
use crate::model::{
    AccessKeyId, AccountId, Event, EvidenceRecord, GroupUid, Holder, Identity, IdentityKind, KeyCreated, KeyOwner,
    KeyUid, Observed, OrgKind, OrgOwner, OrgSettings, OrgUid, Rank, Seq, Tags, Time, UserUid, uids,
};
use compact_str::CompactString;
use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

type Order = (Time, Rank, [u8; 16]);

/// Gets a change, its events as they are applied, whether they were, and the state.
pub type Follow<'a> = dyn FnMut(&EvidenceChange, &[Event], bool, &State) + 'a;

/// What was imported for one account.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    pub(super) changes: OrdMap<Order, Arc<EvidenceChange>>,
    /// Shared with the states before: a commit touches few keys, and a node of the map holds many.
    pub(super) uses: OrdMap<KeyUid, Arc<KeyUse>>,
    /// Records collected: changes and observed calls.
    pub(super) records: u64,
    pub(super) first_at: Option<Time>,
    pub(super) last_at: Option<Time>,
}

/// A key's use, whatever the order it became known in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUse {
    pub id: AccessKeyId,
    pub first: Time,
    pub last: LastUsed,
    /// Who used it, by its earliest record.
    pub seen: (Time, [u8; 16], Identity),
    /// Where it came from, when a record says that it was issued: the earliest.
    pub issued: Option<Issued>,
}

/// How a temporary key came into the world.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Issued {
    pub at: Time,
    pub event_id: [u8; 16],
    pub by: Identity,
    /// The role or federated user it acts as.
    pub acts_as: Option<CompactString>,
}

impl Evidence {
    /// How many records were collected.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The times of the earliest and the latest record.
    pub fn span(&self) -> Option<(Time, Time)> {
        Some((self.first_at?, self.last_at?))
    }

    /// Uses by key, temporary keys included.
    pub fn uses(&self) -> impl Iterator<Item = &KeyUse> {
        self.uses.values().map(Arc::as_ref)
    }

    /// Adds one event of an evidence org. Duplicates of a change are one; duplicate uses change nothing but the count.
    pub fn collect(&mut self, _seq: Seq, event: &Event) {
        match event {
            Event::EvidenceChanged(change) => {
                self.note_record(&change.record);
                self.changes.insert(change.record.order(), Arc::new((**change).clone()));
            }
            Event::EvidenceObserved(observed) => {
                self.note_record(&observed.record);
                self.note_issued(observed);
            }
            _ => {}
        }
    }

    fn note_record(&mut self, record: &EvidenceRecord) {
        self.records += 1;
        let at = record.effective_at;
        self.first_at = Some(self.first_at.map_or(at, |first| first.min(at)));
        self.last_at = Some(self.last_at.map_or(at, |last| last.max(at)));
        let Some(id) = &record.identity.key else { return };
        let last = LastUsed { at, service: record.service().into(), region: record.region.clone() };
        let is_before =
            |seen: &(Time, [u8; 16], Identity)| (at, &record.event_id, &record.identity) < (seen.0, &seen.1, &seen.2);
        let seen = || (at, record.event_id, record.identity.clone());
        let uid = id.uid(World::Evidence);
        let Some(used) = self.uses.get_mut(&uid) else {
            let used = KeyUse { id: id.clone(), first: at, last, seen: seen(), issued: None };
            self.uses.insert(uid, Arc::new(used));
            return;
        };
        if at >= used.first && last <= used.last && !is_before(&used.seen) {
            return;
        }
        let used = Arc::make_mut(used);
        used.first = used.first.min(at);
        if used.last < last {
            used.last = last;
        }
        if is_before(&used.seen) {
            used.seen = seen();
        }
    }

    fn note_issued(&mut self, observed: &Observed) {
        let Some(id) = &observed.issued_key else { return };
        let record = &observed.record;
        let issued = Issued {
            at: record.effective_at,
            event_id: record.event_id,
            by: record.identity.clone(),
            acts_as: observed.issued_for.clone(),
        };
        let uid = id.uid(World::Evidence);
        if let Some(used) = self.uses.get_mut(&uid) {
            if used.issued.as_ref().is_none_or(|before| issued < *before) {
                Arc::make_mut(used).issued = Some(issued);
            }
            return;
        }
        // Issued but not (yet) seen in use: it has no use of its own.
        let identity = Identity {
            kind: IdentityKind::Unknown,
            name: observed.issued_for.clone().unwrap_or_default(),
            arn: None,
            account: record.identity.account,
            key: Some(id.clone()),
        };
        let never = LastUsed { at: Time::MIN, service: CompactString::default(), region: CompactString::default() };
        let seen = (Time::MAX, [0xff; 16], identity);
        let used = KeyUse { id: id.clone(), first: Time::MAX, last: never, seen, issued: Some(issued) };
        self.uses.insert(uid, Arc::new(used));
    }

    /// Calls `f` with the state before the first change, then after each, in the order they took effect. Uses are not noted.
    pub fn follow(&self, account: AccountId, f: &mut dyn FnMut(Option<&EvidenceChange>, &State)) {
        let mut fold = Fold::begin(account);
        f(None, &fold.state);
        for change in self.changes.values() {
            fold.change(change);
            f(Some(change), &fold.state);
        }
    }

    /// As [`Evidence::follow`], and before each change too.
    pub fn follow_each(&self, account: AccountId, f: &mut Follow<'_>) {
        let mut fold = Fold::begin(account);
        for change in self.changes.values() {
            let events: Vec<Event> = change.changes.iter().map(|event| fold.resolved(event)).collect();
            f(change, &events, false, &fold.state);
            fold.change(change);
            f(change, &events, true, &fold.state);
        }
    }

    /// The state these records add up to: one org of kind evidence with its users, groups, policies and keys. Its seqs are
    /// all 0, so that equal records give equal states whenever they were recorded.
    #[must_use]
    pub fn fold(&self, account: AccountId) -> State {
        let mut fold = Fold::begin(account);
        for change in self.changes.values() {
            fold.change(change);
        }
        for (uid, used) in &self.uses {
            fold.used(*uid, used);
        }
        fold.state
    }
}

struct Fold {
    state: State,
    org: OrgUid,
    account: AccountId,
    /// Users by the uid their present name would give, where a rename made that another one.
    users: HashMap<UserUid, UserUid>,
    groups: HashMap<GroupUid, GroupUid>,
}

impl Fold {
    /// The org, with nothing in it.
    fn begin(account: AccountId) -> Self {
        let org = OrgUid::evidence(account);
        let mut fold = Self { state: State::empty(), org, account, users: HashMap::new(), groups: HashMap::new() };
        let event = Event::OrgCreated {
            org,
            account,
            kind: OrgKind::Evidence,
            name: CompactString::from(format!("evidence of {account}")),
            owner: OrgOwner::Operator,
            settings: OrgSettings::default(),
        };
        fold.state.apply_event(fold.at(Time::MIN), &event);
        fold
    }

    fn at(&self, time: Time) -> At {
        At { seq: Seq(0), index: 0, time, org: Some(self.org) }
    }

    fn change(&mut self, change: &EvidenceChange) {
        let at = self.at(change.record.effective_at);
        for event in &change.changes {
            let mut event = self.resolved(event);
            if let Event::KeyDeleted { key, unrevoked, .. } = &mut event {
                // The record cannot know it.
                let usable = |k: &KeyView<'_>| k.status(at.time, false).is_usable();
                *unrevoked = self.state.keys.with(*key, self.state.seq(), usable).unwrap_or(false);
            }
            if uids::is_mention(&change.record, &event) {
                self.mention(at, &event);
                continue;
            }
            match &event {
                Event::UserRenamed { user, after, .. } => {
                    self.users.insert(uids::user(self.account, after), *user);
                }
                Event::GroupRenamed { group, after, .. } => {
                    self.groups.insert(uids::group(self.account, after), *group);
                }
                // Made again under a name that is taken: the delete between the two is not in evidence.
                Event::UserCreated { user, name, .. } if self.has_user(*user) => {
                    self.state.apply_event(at, &Event::UserDeleted { user: *user, name: name.clone() });
                }
                Event::GroupCreated { group, name, .. } if self.has_group(*group) => {
                    self.state.apply_event(at, &Event::GroupDeleted { group: *group, name: name.clone() });
                }
                _ => {}
            }
            self.state.apply_event(at, &event);
            if let Event::KeyCreated(key) = &event {
                self.state.change_words(at, key.key, |k| k.set_mark(Marks::EVIDENCE, true));
            }
        }
    }

    /// Makes a noun known that a record speaks of, as older than the evidence, if it is not known.
    fn mention(&mut self, at: At, event: &Event) {
        match event {
            Event::UserRenamed { user, after, .. } if !self.has_user(*user) => {
                let (name, path) = (after.clone(), "/".into());
                let created = Event::UserCreated { user: *user, name, path, external_id: None, tags: Tags::new() };
                self.state.apply_event(at, &created);
                Arc::make_mut(&mut self.state.root).change_user(at, *user, |u| u.created_at = None);
            }
            Event::GroupRenamed { group, after, .. } if !self.has_group(*group) => {
                let created = Event::GroupCreated { group: *group, name: after.clone(), path: "/".into() };
                self.state.apply_event(at, &created);
                Arc::make_mut(&mut self.state.root).change_group(at, *group, |g| g.created_at = None);
            }
            Event::PolicyCreated { policy, document, .. } => {
                let known = self.state.policy(*policy).is_some_and(|p| p.deleted_at.is_none());
                if !known {
                    self.state.apply_event(at, event);
                }
                if let Some(record) = Arc::make_mut(&mut self.state.root).policies.get_mut(policy) {
                    let record = Arc::make_mut(record);
                    if !known {
                        (record.created_at, record.updated_at) = (None, None);
                    }
                    for version in &mut record.versions {
                        if version.document.is_empty() {
                            version.document = Arc::clone(document).into();
                        }
                        if !known {
                            version.created_at = None;
                        }
                    }
                }
            }
            Event::KeyImported(key) if !self.state.has_key(key.key) => {
                self.state.apply_event(at, event);
                self.state.change_words(at, key.key, |k| {
                    k.set_mark(Marks::EVIDENCE, true);
                    k.set_mark(Marks::IMPORTED, false);
                    since(k, Time::MIN);
                });
            }
            _ => {}
        }
    }

    fn has_user(&self, user: UserUid) -> bool {
        self.state.user(user).is_some_and(|user| user.deleted_at.is_none())
    }

    fn has_group(&self, group: GroupUid) -> bool {
        self.state.group(group).is_some_and(|group| group.deleted_at.is_none())
    }

    /// The event with the uids that renamed users and groups have kept.
    fn resolved(&self, event: &Event) -> Event {
        let mut event = event.clone();
        let user = |uid: &mut UserUid| {
            if let Some(kept) = self.users.get(uid) {
                *uid = *kept;
            }
        };
        let group = |uid: &mut GroupUid| {
            if let Some(kept) = self.groups.get(uid) {
                *uid = *kept;
            }
        };
        let holder = |holder: &mut Holder| match holder {
            Holder::User(uid) => user(uid),
            Holder::Group(uid) => group(uid),
            Holder::Key(_) => {}
        };
        match &mut event {
            Event::UserCreated { user: uid, .. }
            | Event::UserRenamed { user: uid, .. }
            | Event::UserMoved { user: uid, .. }
            | Event::UserRoleSet { user: uid, .. }
            | Event::UserTagged { user: uid, .. }
            | Event::UserBoundarySet { user: uid, .. }
            | Event::UserDeleted { user: uid, .. } => user(uid),
            Event::GroupCreated { group: uid, .. }
            | Event::GroupRenamed { group: uid, .. }
            | Event::GroupMoved { group: uid, .. }
            | Event::GroupDeleted { group: uid, .. } => group(uid),
            Event::GroupMemberAdded { group: g, user: u } | Event::GroupMemberRemoved { group: g, user: u } => {
                group(g);
                user(u);
            }
            Event::PolicyAttached { holder: h, .. }
            | Event::PolicyDetached { holder: h, .. }
            | Event::InlinePolicyPut { holder: h, .. }
            | Event::InlinePolicyDeleted { holder: h, .. } => holder(h),
            Event::KeyCreated(key) | Event::KeyImported(key) => {
                if let KeyOwner::User(uid) = &mut key.owner {
                    user(uid);
                }
            }
            _ => {}
        }
        event
    }

    /// Notes a key's use; a key nobody created in the evidence is older than it, unless a record says that it was issued.
    fn used(&mut self, uid: KeyUid, used: &KeyUse) {
        let at = self.at(used.issued.as_ref().map_or(used.first, |issued| issued.at));
        if !self.state.has_key(uid) {
            let owner = self.owner_of(at, &used.seen.2);
            let issued = used.issued.as_ref();
            let created = KeyCreated {
                key: uid,
                access_key_id: used.id.clone(),
                owner,
                label: CompactString::default(),
                description: issued.and_then(|i| i.acts_as.clone()).unwrap_or_default(),
                tags: Tags::new(),
                grants: Vec::new(),
                default_allow: false,
                expires_at: None,
                secret: None,
                made_by: issued.and_then(|i| i.by.key.as_ref()).map(uids::key),
            };
            self.mention(at, &Event::KeyImported(Box::new(created)));
            if issued.is_some() {
                self.state.change_words(at, uid, |k| since(k, at.time));
            }
        }
        if used.first != Time::MAX {
            self.state.change_key(at, uid, |key| note_use(key, used.first, used.last.clone()));
        }
    }

    /// The owner of a key by who used it.
    fn owner_of(&mut self, at: At, identity: &Identity) -> KeyOwner {
        if identity.kind != IdentityKind::User || identity.name.is_empty() {
            return KeyOwner::Org;
        }
        let derived = uids::user(self.account, &identity.name);
        let user = self.users.get(&derived).copied().unwrap_or(derived);
        // A user deleted since then stays deleted.
        if self.state.user(user).is_none() {
            let (before, after) = (identity.name.clone(), identity.name.clone());
            self.mention(at, &Event::UserRenamed { user, before, after });
        }
        KeyOwner::User(user)
    }
}

/// Sets when a key and its secret came into the world.
fn since(key: &mut Packed, at: Time) {
    key.set_created_at(at);
    key.set_secret_set_at(at);
}
