//! The table of keys: every key ever made, by number, found by the hash of its uid.
//!
//! One writer changes a commit's keys in place, readers see that once the commit's seq is published (`handle`). A key that readers
//! may still need as it was keeps the record before in a spare cell, linked from its own: a reader takes the newest record
//! that is not younger than its own seq. Before anybody reads (a replay), records are changed without keeping anything.
//!
//! Invariants
//! - Only one `State` writes to a table, and never a seq at or below the published one.
//! - INVARIANT: a link is cut, and its cell used anew, only when every reader's seq, published and pinned, is at or above the younger
//!   record's; whoever still reads there sees the link changed and looks again.
//! - A key's number is its place in the order of creation in this process; it is in no file.
//!
//! Not here: users, groups, policies and all else, which are persistent maps in `root`.

#![allow(clippy::cast_possible_truncation, reason = "halves and fields of words")]

use super::cell::{Cell, Copied, Head};
use super::directory::Directory;
use super::key::{KeyView, OwnerOf};
use super::packed::{KeyDraft, KeyWords, Packed, WantedId};
use super::slab::Slab;
use crate::model::id::World;
use crate::model::{AccessKeyId, KeyUid, Seq};
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Numbers there are.
const KEYS_MAX: u32 = u32::MAX - 1;

#[derive(Default)]
pub(super) struct KeyTable {
    directory: Directory,
    cells: Slab<Cell>,
    len: AtomicU32,
    hasher: KeyHasher,
    owners: Slab<OnceLock<OwnerOf>>,
    owners_len: AtomicU32,
    history: Mutex<History>,
    olds: Slab<Cell>,
}

/// The writer's book of old records.
#[derive(Default)]
struct History {
    /// Keys with a link, and the seq of their younger record.
    linked: VecDeque<(u64, u32)>,
    spare: Vec<u32>,
    made: u32,
}

/// Hashes uids; drawn anew for each table, so that nobody can choose ids that meet in it.
#[derive(Clone, Default)]
pub(super) struct KeyHasher(RandomState);

impl KeyHasher {
    pub(super) fn hash(&self, uid: KeyUid) -> u32 {
        self.hash_number(u128::from_le_bytes(uid.0))
    }

    #[inline]
    fn hash_number(&self, uid: u128) -> u32 {
        (self.0.hash_one(uid) >> 32) as u32
    }
}

/// Which seqs readers stand at.
#[derive(Debug, Default)]
pub(super) struct Pins {
    pub(super) published: AtomicU64,
    pinned: Mutex<BTreeMap<u64, usize>>,
}

impl Pins {
    /// Loads what is published and pins its seq, in one step as seen by the writer.
    pub(super) fn pin_with<T>(self: &Arc<Self>, load: impl FnOnce() -> (T, Seq)) -> (T, Pin) {
        let mut pinned = self.lock();
        let (loaded, seq) = load();
        *pinned.entry(seq.0).or_insert(0) += 1;
        (loaded, Pin { pins: Arc::clone(self), seq: seq.0 })
    }

    /// The lowest seq some reader may still stand at.
    pub(super) fn lowest(&self) -> u64 {
        let published = self.published.load(Ordering::Acquire);
        self.lock().keys().next().map_or(published, |pinned| published.min(*pinned))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, usize>> {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the records of one seq until it is dropped.
#[derive(Debug)]
pub(super) struct Pin {
    pins: Arc<Pins>,
    seq: u64,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pinned = self.pins.lock();
        if let Some(count) = pinned.get_mut(&self.seq) {
            *count -= 1;
            if *count == 0 {
                pinned.remove(&self.seq);
            }
        }
    }
}

/// What a lookup at a seq met.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<R> {
    Yes(R),
    No,
    /// The record of that seq is gone: load a newer seq and ask again. Never met by a pinned reader.
    Overtaken,
}

impl KeyTable {
    pub(super) fn with_capacity(keys: usize) -> Self {
        Self { directory: Directory::with_capacity(keys), ..Self::default() }
    }

    /// A table of its own with the same keys.
    pub(super) fn duplicate(&self) -> Self {
        let twin = Self::with_capacity(self.len());
        for number in 0..self.owners_len.load(Ordering::Acquire) {
            if let Some(owner) = self.owner(number) {
                twin.add_owner(owner.clone());
            }
        }
        for number in 0..self.len.load(Ordering::Acquire) {
            if let Some(cell) = self.cells.get(number) {
                let draft = cell.own().into_draft();
                twin.insert(draft.packed.uid(draft.cold.as_deref()), draft);
            }
        }
        twin
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire) as usize
    }

    pub(super) fn hash(&self, uid: KeyUid) -> u32 {
        self.hash_number(u128::from_le_bytes(uid.0))
    }

    #[inline]
    fn hash_number(&self, uid: u128) -> u32 {
        self.hasher.hash_number(uid)
    }

    pub(super) fn hasher(&self) -> KeyHasher {
        self.hasher.clone()
    }

    // Owners

    #[inline]
    pub(super) fn owner(&self, number: u32) -> Option<&OwnerOf> {
        self.owners.get(number)?.get()
    }

    /// Gives an owner the next number.
    pub(super) fn add_owner(&self, owner: OwnerOf) -> u32 {
        let number = self.owners_len.fetch_add(1, Ordering::AcqRel);
        if let Some(cell) = self.owners.grow_to(number, OnceLock::new) {
            let _ = cell.set(owner);
        }
        number
    }

    // Readers

    /// Calls `f` with the record at `seq` of the live key of this id: on the way of a request, so nothing is copied. `f` looks
    /// at the shared record itself and is asked again if that changed meanwhile; only its last answer counts.
    #[inline]
    pub(super) fn with_id<R>(&self, id: &str, seq: Seq, mut f: impl FnMut(&KeyView<'_>) -> R) -> Found<R> {
        let wanted = WantedId::new(id);
        let hash = self.hash_number(AccessKeyId::uid_number(id, World::Live));
        let found = self.directory.find(hash, |number| {
            let cell = self.cells.get(number)?;
            let head = cell.head();
            // Whose record it is never changes, so that needs no second look.
            let is_it = if wanted.is_long() {
                cell.words.is_long_id(&wanted, cell.cold().as_ref().and_then(|cold| cold.as_deref()))
            } else {
                cell.words.is_short_id(&wanted)
            };
            if !is_it {
                return None;
            }
            if !head.is_writing() && cell.words.since() <= seq.0 {
                let answer = f(&KeyView::shared(self, cell));
                if cell.is_still(head) {
                    return Some(Found::Yes(answer));
                }
            }
            Some(match self.at(number, seq) {
                Found::Yes(copied) => Found::Yes(f(&KeyView::copied(self, &copied))),
                Found::No => Found::No,
                Found::Overtaken => Found::Overtaken,
            })
        });
        found.unwrap_or(Found::No)
    }

    /// Calls `f`, once, with the record of `uid` at `seq`.
    pub(super) fn with<R>(&self, uid: KeyUid, seq: Seq, f: impl FnOnce(&KeyView<'_>) -> R) -> Found<R> {
        match self.number(uid).map(|number| self.at(number, seq)) {
            Some(Found::Yes(copied)) => Found::Yes(f(&KeyView::copied(self, &copied))),
            Some(Found::Overtaken) => Found::Overtaken,
            Some(Found::No) | None => Found::No,
        }
    }

    /// A copy of the record of a key by number at `seq`: `No` if it was made later.
    pub(super) fn at(&self, number: u32, seq: Seq) -> Found<Copied> {
        let Some(cell) = self.cells.get(number) else { return Found::No };
        loop {
            let head = cell.head();
            if let Some(copied) = cell.copy(head) {
                if copied.words.since() <= seq.0 {
                    return Found::Yes(copied);
                }
                if copied.words.first() > seq.0 {
                    return Found::No;
                }
            } else if !cell.is_still(head) {
                continue;
            }
            // Younger than we ask for, or being written right now, which is the same: what is published is linked.
            if let Some(found) = self.before(cell, head, seq) {
                return found;
            }
        }
    }

    /// Follows the links. `None` when somebody wrote meanwhile.
    #[cold]
    fn before(&self, cell: &Cell, head: Head, seq: Seq) -> Option<Found<Copied>> {
        let (mut parent, mut parent_head) = (cell, head);
        while let Some(number) = parent_head.link() {
            let old = self.olds.get(number)?;
            let old_head = old.head();
            let copied = old.copy(old_head)?;
            // As long as its parent leads here, it was not used anew.
            if !parent.is_still(parent_head) {
                return None;
            }
            if copied.words.since() <= seq.0 {
                return Some(Found::Yes(copied));
            }
            if copied.words.first() > seq.0 {
                return Some(Found::No);
            }
            (parent, parent_head) = (old, old_head);
        }
        // Without a link it is being changed by the very commit that made it, which is not published.
        Some(if head.is_writing() && head.link().is_none() { Found::No } else { Found::Overtaken })
    }

    /// Calls `f` with every record at `seq`, in the order of creation.
    pub(super) fn for_each(&self, seq: Seq, mut f: impl FnMut(&KeyView<'_>)) {
        for number in 0..self.len.load(Ordering::Acquire) {
            self.with_number(number, seq, &mut f);
        }
    }

    /// Calls `f` with the record of key `number` at `seq`, if there was one and the reader was not overtaken.
    pub(super) fn with_number<R>(&self, number: u32, seq: Seq, f: impl FnOnce(&KeyView<'_>) -> R) -> Option<R> {
        match self.at(number, seq) {
            Found::Yes(copied) => Some(f(&KeyView::copied(self, &copied))),
            Found::No | Found::Overtaken => None,
        }
    }

    // The writer

    /// The number of a key, for its writer.
    pub(super) fn number(&self, uid: KeyUid) -> Option<u32> {
        self.number_hashed(self.hash(uid), uid)
    }

    pub(super) fn number_hashed(&self, hash: u32, uid: KeyUid) -> Option<u32> {
        self.directory.find(hash, |number| {
            let cell = self.cells.get(number)?;
            let cold = cell.words.has_cold().then(|| cell.cold()).flatten();
            let cold = cold.as_ref().and_then(|cold| cold.as_deref());
            (cell.words.uid(cold) == uid).then_some(number)
        })
    }

    /// The first number that has this hash, perhaps another key's: to ask for its cache lines ahead.
    #[inline]
    pub(super) fn approach(&self, hash: u32) -> Option<u32> {
        self.directory.find(hash, Some)
    }

    /// Loads from a record, so that it is in the cache when it is changed.
    #[inline]
    pub(super) fn touch(&self, number: u32) -> u64 {
        self.cells.get(number).map_or(0, Cell::touch)
    }

    /// Adds a key that is not there yet; returns its number, or `None` if there is one of this uid.
    pub(super) fn insert(&self, uid: KeyUid, draft: KeyDraft) -> Option<u32> {
        let hash = self.hash(uid);
        if self.number_hashed(hash, uid).is_some() { None } else { self.insert_new(hash, draft) }
    }

    /// Adds a key that is known not to be there.
    pub(super) fn insert_new(&self, hash: u32, mut draft: KeyDraft) -> Option<u32> {
        let number = self.len.load(Ordering::Relaxed);
        if number >= KEYS_MAX {
            return None;
        }
        draft.settle();
        self.cells.grow_to(number, Cell::default)?.write_unseen(draft);
        if !self.directory.add(hash, number) {
            return None;
        }
        self.len.store(number + 1, Ordering::Release);
        Some(number)
    }

    /// The newest record of a key, to be changed and given back ([`KeyTable::put`]).
    pub(super) fn draft(&self, number: u32) -> Option<KeyDraft> {
        Some(self.cells.get(number)?.own().into_draft())
    }

    /// Changes words of a key that nobody else reads yet, in place.
    #[inline]
    pub(super) fn change_words(&self, number: u32, f: impl FnOnce(&mut Packed)) {
        if let Some(cell) = self.cells.get(number) {
            cell.change_words(f);
        }
    }

    /// Installs a changed record. With `pins`, the record before stays for readers that may need it.
    pub(super) fn put(&self, number: u32, mut draft: KeyDraft, pins: Option<&Pins>) {
        let Some(cell) = self.cells.get(number) else { return };
        draft.settle();
        let Some(pins) = pins else {
            cell.write_unseen(draft);
            return;
        };
        let (before, link) = (cell.own(), cell.head().link());
        if before.words.since() >= draft.packed.since() {
            // The same commit changes it twice: what was before it stays before it.
            cell.write(draft, link);
            return;
        }
        let mut history = self.history();
        history.linked.push_back((draft.packed.since(), number));
        let number = history.spare.pop().unwrap_or_else(|| {
            history.made += 1;
            history.made - 1
        });
        let Some(old) = self.olds.grow_to(number, Cell::default) else { return };
        let is_enough = before.words.since() <= pins.lowest();
        old.write(before.into_draft(), if is_enough { None } else { link });
        cell.write(draft, Some(number));
        if is_enough {
            self.free(&mut history, link);
        }
    }

    /// Cuts the links nobody needs any more. Called by the writer after it published.
    pub(super) fn forget_old(&self, pins: &Pins) {
        let mut history = self.history();
        if history.linked.is_empty() {
            return;
        }
        let lowest = pins.lowest();
        while let Some(&(since, number)) = history.linked.front() {
            if since > lowest {
                break;
            }
            history.linked.pop_front();
            let mut next = self.cells.get(number);
            while let Some(cell) = next {
                let link = cell.head().link();
                if cell.words.since() <= lowest {
                    if link.is_some() {
                        cell.relink(None);
                        self.free(&mut history, link);
                    }
                    break;
                }
                // A younger change stands before it: keep what it needs.
                next = link.and_then(|link| self.olds.get(link));
            }
        }
    }

    /// Takes a chain of old records back for later use. Its parent no longer leads to it, or will not before it is used anew.
    fn free(&self, history: &mut History, mut link: Option<u32>) {
        while let Some(number) = link {
            let Some(cell) = self.olds.get(number) else { return };
            link = cell.head().link();
            cell.relink(None);
            history.spare.push(number);
        }
    }

    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
