//! What the events add up to: the [`State`] at one [`Seq`], with its lookups.
//!
//! A state is a projection of the log and nothing else: from zero, from a snapshot and a tail, or as of a past moment it is the
//! same, and its hash says so. Keys stand in a concurrent table (`table`), all other nouns in persistent
//! maps (`root`); both are read at the state's own seq, so a reader never sees half a commit and takes no lock.
//!
//! Invariants
//! - Applying a commit never depends on who decided it, and never fails: what makes no sense changes nothing.
//! - Evidence is kept apart: no lookup of a live key, user or policy ever returns something imported (`evidence`).
//!
//! Not here: what may happen (`ledger::decide`), secrets in the clear, the log's files.

pub mod access;
mod apply;
pub mod at;
mod cell;
mod directory;
mod document;
pub mod evidence;
mod follow;
pub mod handle;
pub mod history;
mod index;
pub mod key;
mod keys;
mod nouns;
mod packed;
mod pairs;
pub mod record;
mod root;
mod slab;
pub mod snapshot;
mod table;

pub use access::{Access, Standing};
pub use document::PolicyText;
pub use evidence::Evidence;
pub use follow::{Contact, Follower};
pub use handle::StateHandle;
pub use history::{Fact, FactActor, HistoryError, Recorded};
pub use key::{KeyMore, KeyRecord, KeyRights, KeyStatus, KeyView, LastUsed, Marks, OwnerRef, SecretRecord};
pub use record::{
    FindingRecord, GroupRecord, OrgRecord, PolicyRecord, PolicyVersion, ProviderRecord, TokenRecord, TokenSeen,
    UserRecord,
};

use crate::model::commit::ActorBrief;
use crate::model::{
    AccountId, Actor, BucketName, GroupUid, Holder, KeyUid, OrgKind, OrgUid, PolicyUid, Seq, Time, UserUid,
};
use compact_str::CompactString;
use index::KeyIndex;
use keys::Keys;
use root::Root;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, OnceLock};
use table::Pin;

/// The number of this projection: a snapshot or attestation of another one is not used. 1 told empty rights and details of a key
/// from absent ones.
pub const PROJECTION: u16 = 2;

/// The state at one seq.
///
/// Cheap to clone. A state from [`handle::StateHandle::state`] holds the past records it needs until it is dropped,
/// so do not keep one for hours on a busy ledger.
pub struct State {
    keys: Keys,
    root: Arc<Root>,
    pin: Option<Arc<Pin>>,
    /// Of a state that is not published, once it is asked for.
    own_index: OnceLock<Arc<KeyIndex>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("seq", &self.root.seq).field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl State {
    /// The state before the first commit, for a replay.
    #[must_use]
    pub fn empty() -> Self {
        Self::with_capacity(0)
    }

    /// [`State::empty`] with room for `keys`.
    #[must_use]
    pub fn with_capacity(keys: usize) -> Self {
        Self::of(Keys::with_capacity(keys), Root::default())
    }

    fn of(keys: Keys, root: Root) -> Self {
        Self { keys, root: Arc::new(root), pin: None, own_index: OnceLock::new() }
    }

    pub fn seq(&self) -> Seq {
        self.root.seq
    }

    /// The guarded time of the newest commit.
    pub fn recorded_at(&self) -> Time {
        self.root.recorded_at
    }

    /// Set when this ledger came from a backup and nobody has accepted that yet: every key is quarantined.
    pub fn restored(&self) -> Option<Seq> {
        self.root.restored
    }

    // Keys

    /// The live key of this id, deleted ones included.
    pub fn key(&self, id: &str) -> Option<KeyRecord> {
        self.with_key(id, |key| key.to_record())
    }

    /// Calls `f` with the live key of this id; no copy, no lock. See [`StateHandle::with_key`].
    pub fn with_key<R>(&self, id: &str, f: impl FnMut(&KeyView<'_>) -> R) -> Option<R> {
        self.keys.with_id(id, self.seq(), f)
    }

    /// The key of this uid, deleted ones included.
    pub fn key_by_uid(&self, uid: KeyUid) -> Option<KeyRecord> {
        self.keys.with(uid, self.seq(), |key| key.to_record())
    }

    /// Whether there is a key of this uid, deleted ones included.
    pub fn has_key(&self, uid: KeyUid) -> bool {
        self.keys.with(uid, self.seq(), |_| ()).is_some()
    }

    /// Calls `f` with every key, deleted ones included, in no order that means anything.
    pub fn for_each_key(&self, f: impl FnMut(&KeyView<'_>)) {
        self.keys.table().for_each(self.seq(), f);
    }

    /// Every key that fits, sorted by id.
    pub fn keys_where(&self, mut fits: impl FnMut(&KeyView<'_>) -> bool) -> Vec<KeyRecord> {
        let mut keys = Vec::new();
        self.for_each_key(|key| {
            if fits(key) {
                keys.push(key.to_record());
            }
        });
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        keys
    }

    /// Keys of an owner that are not deleted, by uid.
    pub fn keys_of(&self, owner: &OwnerRef) -> Vec<KeyUid> {
        let numbers = self.index().keys_of(&self.root.numbers, owner);
        let mut keys: Vec<KeyUid> = numbers.filter_map(|number| self.uid_of(number)).collect();
        keys.sort_unstable();
        keys
    }

    /// Calls `f` with the keys of an org that are not deleted, in the order they were made, from the one after `after` on, until it
    /// breaks. Keys made meanwhile come at the end. Costs as much as the keys that are passed over, those of other orgs too.
    pub fn for_keys_of_org(
        &self,
        org: OrgUid,
        after: Option<KeyUid>,
        mut f: impl FnMut(&KeyView<'_>) -> ControlFlow<()>,
    ) {
        let table = self.keys.table();
        let first = after.and_then(|uid| table.number(uid)).map_or(0, |number| number.saturating_add(1));
        for number in first..u32::try_from(table.len()).unwrap_or(u32::MAX) {
            let told = table.with_number(number, self.seq(), |key| {
                if key.is_deleted() || key.org() != org { ControlFlow::Continue(()) } else { f(key) }
            });
            if told == Some(ControlFlow::Break(())) {
                return;
            }
        }
    }

    /// Keys of an owner that are not deleted, from behind the key `after` on (deleted or not; `None` for one that never was).
    ///
    /// In the order that this process got to know them, which no later state of it changes: what is made between two pages comes
    /// last. Costs what is taken, whatever the owner has.
    pub fn keys_after<'a>(
        &'a self,
        owner: &OwnerRef,
        after: Option<KeyUid>,
    ) -> Option<impl Iterator<Item = KeyRecord> + 'a> {
        self.keys_after_as(owner, after, |key| key.to_record())
    }

    /// [`State::keys_after`], each as `f` shows it; nothing else of it is copied.
    pub fn keys_after_as<'a, T: 'a>(
        &'a self,
        owner: &OwnerRef,
        after: Option<KeyUid>,
        mut f: impl FnMut(&KeyView<'_>) -> T + 'a,
    ) -> Option<impl Iterator<Item = T> + 'a> {
        let after = match after {
            Some(uid) => Some(self.keys.number(uid)?),
            None => None,
        };
        let numbers = self.index().keys_after(&self.root.numbers, owner, after);
        Some(numbers.filter_map(move |number| self.keys.table().with_number(number, self.seq(), &mut f)))
    }

    /// How many keys of an owner are not deleted.
    pub fn count_of(&self, owner: &OwnerRef) -> usize {
        self.index().count_of(&self.root.numbers, owner)
    }

    fn uid_of(&self, number: u32) -> Option<KeyUid> {
        self.keys.table().with_number(number, self.seq(), |key| key.uid())
    }

    fn index(&self) -> &KeyIndex {
        self.root.index.as_ref().unwrap_or_else(|| {
            let make = || Arc::new(KeyIndex::of(self.keys.table(), &self.root.numbers, self.seq()));
            self.own_index.get_or_init(make)
        })
    }

    /// How many keys there are, deleted ones included. Of a shared state: at the newest seq.
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// The status of a key at `now`.
    pub fn status(&self, key: &KeyRecord, now: Time) -> KeyStatus {
        key.status(now, self.org(key.org).is_some_and(|org| org.suspended))
    }

    /// [`State::status`] of a key that is only looked at.
    pub fn status_of(&self, key: &KeyView<'_>, now: Time) -> KeyStatus {
        key.status(now, self.org(key.org()).is_some_and(|org| org.suspended))
    }

    // Orgs and providers

    pub fn org(&self, org: OrgUid) -> Option<&Arc<OrgRecord>> {
        self.root.orgs.get(&org)
    }

    /// The live org of an account id.
    pub fn org_by_account(&self, account: AccountId) -> Option<&Arc<OrgRecord>> {
        self.org(*self.root.accounts.get(&account)?)
    }

    /// A provider's org by the provider's own id for it.
    pub fn org_by_external_id(&self, provider: &str, external_id: &str) -> Option<&Arc<OrgRecord>> {
        self.org(*self.root.provider_orgs.get(&(provider.into(), external_id.into()))?)
    }

    /// Every org, by uid; evidence orgs included.
    pub fn orgs(&self) -> impl Iterator<Item = &Arc<OrgRecord>> {
        self.root.orgs.values()
    }

    /// The live orgs.
    pub fn live_orgs(&self) -> impl Iterator<Item = &Arc<OrgRecord>> {
        self.orgs().filter(|org| org.kind == OrgKind::Live)
    }

    /// A provider's orgs in the order of its own ids for them, from the one after `after` on.
    pub fn orgs_of_provider(&self, provider: &str, after: Option<&str>) -> impl Iterator<Item = &Arc<OrgRecord>> {
        let provider = CompactString::from(provider);
        let from = match after {
            Some(id) => Bound::Excluded((provider.clone(), id.into())),
            None => Bound::Included((provider.clone(), CompactString::const_new(""))),
        };
        let all = self.root.provider_orgs.range((from, Bound::Unbounded));
        all.take_while(move |((of, _), _)| *of == provider).filter_map(|(_, org)| self.org(*org))
    }

    pub fn provider(&self, name: &str) -> Option<&Arc<ProviderRecord>> {
        self.root.providers.get(name)
    }

    pub fn providers(&self) -> impl Iterator<Item = &Arc<ProviderRecord>> {
        self.root.providers.values()
    }

    // Users

    /// A user by uid, deleted ones included.
    pub fn user(&self, user: UserUid) -> Option<&Arc<UserRecord>> {
        self.root.users.get(&user)
    }

    /// The user of this name, in any case; deleted ones have none.
    pub fn user_by_name(&self, org: OrgUid, name: &str) -> Option<&Arc<UserRecord>> {
        self.user(*self.root.user_names.get(&(org, root::folded(name)))?)
    }

    pub fn user_by_external_id(&self, org: OrgUid, external_id: &str) -> Option<&Arc<UserRecord>> {
        self.user(*self.root.external_users.get(&(org, external_id.into()))?)
    }

    /// The users of an org in the order of their folded names, from the one after `after` on.
    pub fn users(&self, org: OrgUid, after: Option<&str>) -> impl Iterator<Item = &Arc<UserRecord>> {
        named(&self.root.user_names, org, after).filter_map(|uid| self.user(*uid))
    }

    /// Whether an org has `count` users or more. Costs a step for each, and no look at any.
    pub fn has_users(&self, org: OrgUid, count: usize) -> bool {
        has(&self.root.user_names, org, count)
    }

    /// Whether an org has `count` groups or more.
    pub fn has_groups(&self, org: OrgUid, count: usize) -> bool {
        has(&self.root.group_names, org, count)
    }

    /// Whether an org has `count` policies of its own or more.
    pub fn has_policies(&self, org: OrgUid, count: usize) -> bool {
        has(&self.root.policy_names, org, count)
    }

    /// Every user that is in the maps, deleted ones included, by uid.
    pub fn all_users(&self) -> impl Iterator<Item = &Arc<UserRecord>> {
        self.root.users.values()
    }

    // Groups

    pub fn group(&self, group: GroupUid) -> Option<&Arc<GroupRecord>> {
        self.root.groups.get(&group)
    }

    pub fn group_by_name(&self, org: OrgUid, name: &str) -> Option<&Arc<GroupRecord>> {
        self.group(*self.root.group_names.get(&(org, root::folded(name)))?)
    }

    /// The groups of an org in the order of their folded names.
    pub fn groups(&self, org: OrgUid, after: Option<&str>) -> impl Iterator<Item = &Arc<GroupRecord>> {
        named(&self.root.group_names, org, after).filter_map(|uid| self.group(*uid))
    }

    // Policies

    pub fn policy(&self, policy: PolicyUid) -> Option<&Arc<PolicyRecord>> {
        self.root.policies.get(&policy)
    }

    pub fn policy_by_name(&self, org: OrgUid, name: &str) -> Option<&Arc<PolicyRecord>> {
        self.policy(*self.root.policy_names.get(&(org, root::folded(name)))?)
    }

    /// The policies of an org in the order of their folded names.
    pub fn policies(&self, org: OrgUid, after: Option<&str>) -> impl Iterator<Item = &Arc<PolicyRecord>> {
        named(&self.root.policy_names, org, after).filter_map(|uid| self.policy(*uid))
    }

    /// Whom a policy is attached to, sorted.
    pub fn holders(&self, policy: PolicyUid) -> Vec<Holder> {
        let mut holders = self.few_holders(policy);
        if let Some(policy) = self.root.numbers.of_policy(policy) {
            let keys = self.index().holding.seconds(policy).filter_map(|number| self.uid_of(number));
            holders.extend(keys.map(Holder::Key));
        }
        holders.sort_unstable();
        holders
    }

    /// How many hold a policy.
    pub fn holder_count(&self, policy: PolicyUid) -> usize {
        let few = self.root.attached.get(&policy).map_or(0, record::FewHolders::len);
        let keys = self.root.numbers.of_policy(policy).map_or(0, |policy| self.index().holding.count(policy));
        few + keys
    }

    /// The users and groups that hold a policy.
    fn few_holders(&self, policy: PolicyUid) -> Vec<Holder> {
        self.root.attached.get(&policy).map(|holders| holders.iter().copied().collect()).unwrap_or_default()
    }

    // Buckets

    /// The org a bucket is registered to.
    pub fn bucket_org(&self, bucket: &BucketName) -> Option<OrgUid> {
        self.root.buckets.get(bucket).copied()
    }

    /// Every registered bucket with its org, by name.
    pub fn buckets(&self) -> impl Iterator<Item = (&BucketName, OrgUid)> {
        self.root.buckets.iter().map(|(bucket, org)| (bucket, *org))
    }

    /// The buckets of an org by name, from the one after `after` on.
    pub fn buckets_of(&self, org: OrgUid, after: Option<&BucketName>) -> impl Iterator<Item = &BucketName> {
        let from = after.map_or(Bound::Unbounded, |bucket| Bound::Excluded(bucket.clone()));
        let all = self.root.buckets.range((from, Bound::Unbounded));
        all.filter(move |(_, of)| **of == org).map(|(bucket, _)| bucket)
    }

    // Tokens, findings, evidence

    /// The idempotency token, if it was seen in the last 24 h before `now`.
    pub fn token_seen(&self, org: Option<OrgUid>, actor: &Actor, token: &str, now: Time) -> Option<&TokenSeen> {
        self.root.seen.get(&(token_scope(org, &actor.brief()), token.into())).filter(|seen| now < seen.forget_at)
    }

    /// An API token by its hash.
    pub fn api_token(&self, hash: &[u8; 32]) -> Option<&TokenRecord> {
        self.root.tokens.get(hash)
    }

    /// Every API token that was not closed, expired ones included, by hash.
    pub fn api_tokens(&self) -> impl Iterator<Item = (&[u8; 32], &TokenRecord)> {
        self.root.tokens.iter()
    }

    pub fn session(&self, hash: &[u8; 32]) -> Option<&TokenRecord> {
        self.root.sessions.get(hash)
    }

    /// Every session that was not closed, expired ones included, by hash.
    pub fn sessions(&self) -> impl Iterator<Item = (&[u8; 32], &TokenRecord)> {
        self.root.sessions.iter()
    }

    /// Findings that are open.
    pub fn findings(&self) -> impl Iterator<Item = &FindingRecord> {
        self.root.findings.values()
    }

    /// What was imported for an evidence org.
    pub fn evidence(&self, org: OrgUid) -> Option<&Arc<Evidence>> {
        self.root.evidence.get(&org)
    }

    /// Every evidence org's evidence.
    pub fn all_evidence(&self) -> impl Iterator<Item = (OrgUid, &Arc<Evidence>)> {
        self.root.evidence.iter().map(|(org, evidence)| (*org, evidence))
    }

    /// A copy that shares everything. Holds the same pin.
    #[must_use]
    pub fn share(&self) -> State {
        State {
            keys: self.keys.clone(),
            root: Arc::clone(&self.root),
            pin: self.pin.clone(),
            own_index: self.own_index.clone(),
        }
    }
}

/// The scope an idempotency token is unique in: org and caller.
pub(crate) fn token_scope(org: Option<OrgUid>, actor: &ActorBrief<'_>) -> CompactString {
    let org = org.map_or_else(String::new, |org| org.to_string());
    let key = actor.key.unwrap_or("");
    CompactString::from(format!("{org}/{}/{}/{key}", actor.kind.as_str(), actor.name))
}

/// Whether an org has `count` of these names or more.
fn has<U>(names: &imbl::OrdMap<root::NameKey, U>, org: OrgUid, count: usize) -> bool {
    count.checked_sub(1).is_none_or(|others| named(names, org, None).nth(others).is_some())
}

fn named<'a, U>(
    names: &'a imbl::OrdMap<root::NameKey, U>,
    org: OrgUid,
    after: Option<&str>,
) -> impl Iterator<Item = &'a U> {
    let from = match after {
        Some(name) => Bound::Excluded((org, root::folded(name))),
        None => Bound::Included((org, CompactString::const_new(""))),
    };
    names.range((from, Bound::Unbounded)).take_while(move |((of, _), _)| *of == org).map(|(_, uid)| uid)
}
