//! The concurrent table of keys: the one part of a state that is shared in place between its versions.
//!
//! One writer installs a commit's records, readers see them once the commit's seq is published (`handle`). Each cell holds its
//! newest record, the seq it is true since, and a link to the record before as long as somebody may need it: a reader
//! takes the newest record that is not younger than its own seq.
//!
//! Invariants
//! - Only one `State` writes to a table, and never a seq at or below the published one.
//! - INVARIANT: a link is cut only when every reader's seq, published and pinned, is at or above the younger record's.
//!
//! Not here: users, groups, policies and all else, which are persistent maps in `root`.

use super::keys::OwnKeys;
use super::record::KeyRecord;
use crate::model::{KeyUid, Seq};
use arc_swap::ArcSwapOption;
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

struct Cell {
    since: u64,
    record: KeyRecord,
    older: ArcSwapOption<Older>,
}

struct Older {
    since: u64,
    record: KeyRecord,
    before: Option<Arc<Older>>,
}

/// Keys by uid, with as many past records as pinned readers need.
pub(super) struct KeyTable {
    map: papaya::HashMap<KeyUid, Cell, RandomState>,
    /// Keys at the newest installed seq.
    len: AtomicUsize,
    pins: Arc<Pins>,
    /// Cells that may hold a link, with the seq of their younger record.
    linked: Mutex<VecDeque<(u64, KeyUid)>>,
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
    fn lowest(&self) -> u64 {
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

impl KeyTable {
    /// The table of these keys, all of them true since before anybody reads.
    pub(super) fn from_keys(keys: OwnKeys, pins: Arc<Pins>) -> Self {
        let map = papaya::HashMap::builder().capacity(keys.len()).hasher(RandomState::default()).build();
        let len = AtomicUsize::new(keys.len());
        {
            let map = map.pin();
            for (uid, record) in keys {
                // At the seq of its last change, so that whoever asks for an earlier one gets no wrong answer.
                map.insert(uid, Cell { since: record.changed.0, record, older: ArcSwapOption::const_empty() });
            }
        }
        Self { map, len, pins, linked: Mutex::new(VecDeque::new()) }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Calls `f` with the record of `uid` at `seq`. `None` when there was none, or when the reader was overtaken and
    /// the record of its seq is gone (`overtaken` is then true: load a newer seq and ask again).
    pub(super) fn with<R>(&self, uid: KeyUid, seq: Seq, f: impl FnOnce(&KeyRecord) -> R) -> Found<R> {
        let map = self.map.pin();
        let Some(cell) = map.get(&uid) else { return Found::No };
        if cell.since <= seq.0 {
            return Found::Yes(f(&cell.record));
        }
        let older = cell.older.load();
        let mut next = older.as_ref();
        let mut oldest = cell.record.created_by_seq(cell.since);
        while let Some(version) = next {
            if version.since <= seq.0 {
                return Found::Yes(f(&version.record));
            }
            oldest = version.record.created_by_seq(version.since);
            next = version.before.as_ref();
        }
        // The chain ends above our seq: either the key was made later, or the link was cut.
        if oldest { Found::No } else { Found::Overtaken }
    }

    /// Adds a key that is not there yet; says whether it was added.
    pub(super) fn insert(&self, uid: KeyUid, seq: Seq, record: KeyRecord) -> bool {
        let cell = Cell { since: seq.0, record, older: ArcSwapOption::const_empty() };
        let added = self.map.pin().try_insert(uid, cell).is_ok();
        if added {
            self.len.fetch_add(1, Ordering::Relaxed);
        }
        added
    }

    /// Changes a key that is there, as of `seq`; the record before stays for readers that may need it.
    pub(super) fn change(&self, uid: KeyUid, seq: Seq, f: impl FnOnce(&mut KeyRecord)) {
        let map = self.map.pin();
        let Some(cell) = map.get(&uid) else { return };
        let mut record = cell.record.clone();
        f(&mut record);
        let older = if cell.since < seq.0 {
            let lowest = self.pins.lowest();
            self.linked().push_back((seq.0, uid));
            let chain = if cell.since <= lowest { None } else { cell.older.load_full() };
            let before = trimmed(chain.as_ref(), lowest);
            Some(Arc::new(Older { since: cell.since, record: cell.record.clone(), before }))
        } else {
            // The same commit changes it twice: what was before it stays before it.
            cell.older.load_full()
        };
        map.insert(uid, Cell { since: seq.0, record, older: ArcSwapOption::new(older) });
    }

    /// Cuts the links nobody needs any more. Called by the writer after it published.
    pub(super) fn forget_old(&self) {
        let lowest = self.pins.lowest();
        let mut linked = self.linked();
        let map = self.map.pin();
        while let Some(&(since, uid)) = linked.front() {
            if since > lowest {
                break;
            }
            linked.pop_front();
            if let Some(cell) = map.get(&uid) {
                if cell.since <= lowest {
                    cell.older.store(None);
                } else if let Some(older) = cell.older.load_full() {
                    // A younger change stands before it: keep what it needs.
                    cell.older.store(trimmed(Some(&older), lowest));
                }
            }
        }
    }

    /// Calls `f` with every record at `seq`, in no order.
    pub(super) fn for_each(&self, seq: Seq, mut f: impl FnMut(KeyUid, &KeyRecord)) {
        let map = self.map.pin();
        for (uid, cell) in &map {
            if cell.since <= seq.0 {
                f(*uid, &cell.record);
                continue;
            }
            let older = cell.older.load();
            let mut next = older.as_ref();
            while let Some(version) = next {
                if version.since <= seq.0 {
                    f(*uid, &version.record);
                    break;
                }
                next = version.before.as_ref();
            }
        }
    }

    fn linked(&self) -> std::sync::MutexGuard<'_, VecDeque<(u64, KeyUid)>> {
        self.linked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a lookup at a seq met.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<R> {
    Yes(R),
    No,
    Overtaken,
}

/// The chain without what lies below the newest record not above `lowest`.
fn trimmed(chain: Option<&Arc<Older>>, lowest: u64) -> Option<Arc<Older>> {
    let version = chain?;
    if version.since <= lowest {
        if version.before.is_none() {
            return Some(Arc::clone(version));
        }
        return Some(Arc::new(Older { since: version.since, record: version.record.clone(), before: None }));
    }
    let before = trimmed(version.before.as_ref(), lowest);
    Some(Arc::new(Older { since: version.since, record: version.record.clone(), before }))
}

impl KeyRecord {
    /// Whether the record that is true since `since` is the key's first.
    fn created_by_seq(&self, since: u64) -> bool {
        self.first.0 == since
    }
}
