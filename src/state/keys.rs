//! The keys of a state: a table of its own while it is replayed, shared with readers once it is published.
//!
//! A replay changes records in place and keeps nothing of the past; a published table keeps what readers may still need.
//!
//! Not here: how the table does that (`table`).

use super::index::Numbers;
use super::key::KeyView;
use super::packed::{KeyDraft, Packed};
pub(super) use super::table::KeyHasher;
use super::table::{Found, KeyTable, Pins};
use crate::model::brief::OwnerBrief;
use crate::model::{KeyUid, OrgUid, Seq, UserUid};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::Arc;

/// Where a state's keys are.
#[derive(Clone, Default)]
pub(super) struct Keys {
    table: Arc<KeyTable>,
    /// Of a table that readers are in; without, it is this state's alone and copied before it is changed if another shares it.
    pins: Option<Arc<Pins>>,
    /// Of a table of its own: how many keys hold each policy, by its number.
    held: Vec<u32>,
    users: Users,
}

/// Numbers of users that were asked for lately, so that a replay need not look each up in a persistent map.
#[derive(Default)]
struct Users(HashMap<UserUid, (OrgUid, u32), RandomState>);

/// Users remembered before all are forgotten.
const USERS_MAX: usize = 1 << 16;

impl Clone for Users {
    /// A copy begins without memories.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Keys {
    pub(super) fn with_capacity(keys: usize) -> Self {
        Self { table: Arc::new(KeyTable::with_capacity(keys)), pins: None, held: Vec::new(), users: Users::default() }
    }

    /// What readers and writer share.
    pub(super) fn shared(table: Arc<KeyTable>, pins: Arc<Pins>) -> Self {
        Self { table, pins: Some(pins), held: Vec::new(), users: Users::default() }
    }

    /// What hashes uids for this table, for another thread.
    pub(super) fn hasher(&self) -> KeyHasher {
        self.table.hasher()
    }

    /// Loads where keys of these hashes are or will be, so that cache misses overlap.
    pub(super) fn approach(&self, hashes: impl Iterator<Item = u32>) {
        std::hint::black_box(hashes.filter_map(|hash| self.table.approach(hash)).fold(0, |all, number| all ^ number));
    }

    /// Lets readers in: from now on past records are kept for them.
    pub(super) fn publish(mut self) -> Arc<KeyTable> {
        if self.pins.is_none() {
            self.make_own();
        }
        self.table
    }

    pub(super) fn table(&self) -> &KeyTable {
        &self.table
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Calls `f` with the live key of this id.
    pub(super) fn with_id<R>(&self, id: &str, seq: Seq, f: impl FnMut(&KeyView<'_>) -> R) -> Option<R> {
        match self.table.with_id(id, seq, f) {
            Found::Yes(value) => Some(value),
            // A pinned reader is never overtaken.
            Found::No | Found::Overtaken => None,
        }
    }

    pub(super) fn with<R>(&self, uid: KeyUid, seq: Seq, f: impl FnOnce(&KeyView<'_>) -> R) -> Option<R> {
        match self.table.with(uid, seq, f) {
            Found::Yes(value) => Some(value),
            Found::No | Found::Overtaken => None,
        }
    }

    /// The number of an owner, a new one if it has none.
    pub(super) fn owner(&mut self, numbers: &mut Numbers, org: OrgUid, owner: OwnerBrief<'_>) -> u32 {
        let OwnerBrief::User(user) = owner else { return numbers.owner(&self.table, org, owner) };
        if let Some((of, number)) = self.users.0.get(&user)
            && *of == org
        {
            return *number;
        }
        let number = numbers.owner(&self.table, org, owner);
        if self.users.0.len() >= USERS_MAX {
            self.users.0.clear();
        }
        self.users.0.insert(user, (org, number));
        number
    }

    /// To be called before anything is changed.
    pub(super) fn make_own(&mut self) {
        if self.pins.is_none() && Arc::strong_count(&self.table) > 1 {
            self.table = Arc::new(self.table.duplicate());
            self.users = Users::default();
        }
    }

    /// Adds a key that is not there yet; returns its number if it was added.
    pub(super) fn insert(&mut self, uid: KeyUid, draft: KeyDraft) -> Option<u32> {
        self.table.insert(uid, draft)
    }

    /// Adds a key that is known not to be there, by the hash of its uid.
    pub(super) fn insert_new(&mut self, hash: u32, draft: KeyDraft) {
        self.table.insert_new(hash, draft);
    }

    pub(super) fn number(&self, uid: KeyUid) -> Option<u32> {
        self.table.number(uid)
    }

    /// Changes a key by number, as of `seq`; returns what `f` does.
    pub(super) fn change<R>(&mut self, number: u32, seq: Seq, f: impl FnOnce(&mut KeyDraft) -> R) -> Option<R> {
        let mut draft = self.table.draft(number)?;
        let result = f(&mut draft);
        draft.packed.set_since(seq);
        self.table.put(number, draft, self.pins.as_deref());
        Some(result)
    }

    /// Changes only words of a key, as of `seq`.
    pub(super) fn change_words(&mut self, number: u32, seq: Seq, f: impl FnOnce(&mut Packed)) {
        if self.pins.is_some() {
            self.change(number, seq, |draft| f(&mut draft.packed));
            return;
        }
        self.table.change_words(number, |packed| {
            f(packed);
            packed.set_since(seq);
        });
    }

    /// Notes that one more key, or one less, holds a policy.
    pub(super) fn count_held(&mut self, policy: u32, more: bool) {
        if self.pins.is_some() {
            return;
        }
        let place = policy as usize;
        if place >= self.held.len() {
            self.held.resize(place + 1, 0);
        }
        let held = &mut self.held[place];
        *held = if more { held.saturating_add(1) } else { held.saturating_sub(1) };
    }

    /// Whether any key may hold a policy.
    pub(super) fn is_held(&self, policy: u32) -> bool {
        self.pins.is_some() || self.held.get(policy as usize).is_some_and(|held| *held > 0)
    }
}
