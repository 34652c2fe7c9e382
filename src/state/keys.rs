//! The keys of a state: its own map while it is replayed, the shared table once it is published.
//!
//! A replay changes records in place and keeps nothing of the past; a published table keeps what readers may still need.
//!
//! Not here: how the shared table does that (`table`).

use super::record::KeyRecord;
use super::table::{Found, KeyTable, Pins};
use crate::model::{KeyUid, Seq};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::Arc;

pub(super) type OwnKeys = HashMap<KeyUid, KeyRecord, RandomState>;

/// Where a state's keys are.
#[derive(Clone)]
pub(super) enum Keys {
    /// Of one state alone; copied before it is changed if another state shares it.
    Own(Arc<OwnKeys>),
    /// Of a ledger's writer and all its readers.
    Shared(Arc<KeyTable>),
}

impl Keys {
    pub(super) fn with_capacity(keys: usize) -> Self {
        Keys::Own(Arc::new(HashMap::with_capacity_and_hasher(keys, RandomState::default())))
    }

    /// Lets readers in: from now on past records are kept for them.
    pub(super) fn publish(self, pins: &Arc<Pins>) -> Arc<KeyTable> {
        match self {
            Keys::Shared(table) => table,
            Keys::Own(keys) => {
                let keys = Arc::try_unwrap(keys).unwrap_or_else(|shared| (*shared).clone());
                Arc::new(KeyTable::from_keys(keys, Arc::clone(pins)))
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Keys::Own(keys) => keys.len(),
            Keys::Shared(table) => table.len(),
        }
    }

    pub(super) fn with<R>(&self, uid: KeyUid, seq: Seq, f: impl FnOnce(&KeyRecord) -> R) -> Option<R> {
        match self {
            Keys::Own(keys) => keys.get(&uid).map(f),
            Keys::Shared(table) => match table.with(uid, seq, f) {
                Found::Yes(value) => Some(value),
                // A pinned reader is never overtaken.
                Found::No | Found::Overtaken => None,
            },
        }
    }

    /// Adds a key that is not there yet; says whether it was added.
    pub(super) fn insert(&mut self, uid: KeyUid, seq: Seq, record: KeyRecord) -> bool {
        match self {
            Keys::Own(keys) => match Arc::make_mut(keys).entry(uid) {
                std::collections::hash_map::Entry::Occupied(_) => false,
                std::collections::hash_map::Entry::Vacant(vacant) => {
                    vacant.insert(record);
                    true
                }
            },
            Keys::Shared(table) => table.insert(uid, seq, record),
        }
    }

    /// Changes a key that is there.
    pub(super) fn change(&mut self, uid: KeyUid, seq: Seq, f: impl FnOnce(&mut KeyRecord)) {
        match self {
            Keys::Own(keys) => {
                if let Some(record) = Arc::make_mut(keys).get_mut(&uid) {
                    f(record);
                }
            }
            Keys::Shared(table) => table.change(uid, seq, f),
        }
    }

    pub(super) fn for_each(&self, seq: Seq, mut f: impl FnMut(KeyUid, &KeyRecord)) {
        match self {
            Keys::Own(keys) => keys.iter().for_each(|(uid, record)| f(*uid, record)),
            Keys::Shared(table) => table.for_each(seq, f),
        }
    }
}
