//! The cell a writer publishes its state to, read without locks.
//!
//! One publish point: the writer applies a commit's events to records nobody can see yet, makes the commit durable, and then
//! stores the new root; a reader loads the root once and reads everything at that root's seq.
//!
//! Invariants
//! - INVARIANT: the root is stored before `published`, so a link in the table is cut only when every root a reader can still
//!   load is at or above it.
//!
//! Not here: when to publish (`ledger::execute`).

use super::keys::Keys;
use super::root::Root;
use super::table::{Found, KeyTable, Pins};
use super::{KeyView, State};
use crate::model::Seq;
use arc_swap::ArcSwap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

/// A published state: cheap to clone, shared by all readers.
#[derive(Clone)]
pub struct StateHandle {
    shared: Arc<Shared>,
}

struct Shared {
    keys: Arc<KeyTable>,
    root: ArcSwap<Root>,
    pins: Arc<Pins>,
}

impl std::fmt::Debug for StateHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateHandle").field("seq", &self.seq()).finish_non_exhaustive()
    }
}

impl StateHandle {
    /// Publishes a replayed state; returns the handle for readers and the state the writer goes on with.
    #[must_use]
    pub fn publish_first(state: State) -> (StateHandle, State) {
        let pins = Arc::new(Pins::default());
        pins.published.store(state.seq().0, Ordering::Release);
        let index = state.index().clone();
        let State { keys, mut root, .. } = state;
        let table = keys.publish();
        Arc::make_mut(&mut root).index.get_or_insert(index);
        let keys = Keys::shared(Arc::clone(&table), Arc::clone(&pins));
        let shared = Shared { keys: table, root: ArcSwap::new(Arc::clone(&root)), pins };
        (StateHandle { shared: Arc::new(shared) }, State { keys, root, pin: None, own_index: OnceLock::new() })
    }

    /// Makes the writer's state what readers see. The writer's alone to call.
    pub fn publish(&self, state: &State) {
        self.shared.root.store(Arc::clone(&state.root));
        self.shared.pins.published.store(state.root.seq.0, Ordering::Release);
        self.shared.keys.forget_old(&self.shared.pins);
    }

    /// The published seq.
    pub fn seq(&self) -> Seq {
        Seq(self.shared.pins.published.load(Ordering::Acquire))
    }

    /// The published state, pinned at its seq until it is dropped. Takes a short lock; not for the path of a request
    /// ([`StateHandle::with_key`]).
    pub fn state(&self) -> State {
        let (root, pin) = self.shared.pins.pin_with(|| {
            let root = self.shared.root.load_full();
            let seq = root.seq;
            (root, seq)
        });
        let keys = Keys::shared(Arc::clone(&self.shared.keys), Arc::clone(&self.shared.pins));
        State { keys, root, pin: Some(Arc::new(pin)), own_index: OnceLock::new() }
    }

    /// Calls `f` with the newest root and the key of this id at that root's seq: no lock, no copy, no wait. `f` may be asked again.
    pub(super) fn with_root_and_key<R>(&self, id: &str, mut f: impl FnMut(&Root, &KeyView<'_>) -> R) -> Option<R> {
        loop {
            let root = self.shared.root.load();
            match self.shared.keys.with_id(id, root.seq, |key| f(&root, key)) {
                Found::Yes(answer) => return Some(answer),
                Found::No => return None,
                Found::Overtaken => std::hint::spin_loop(),
            }
        }
    }

    /// Calls `f` with the key of this id at the published seq: no lock, no copy, no wait.
    ///
    /// `f` reads the record where readers and writer share it. If it was changed meanwhile, `f` is asked again and only its last
    /// answer counts, so it should look and not act.
    #[inline]
    pub fn with_key<R>(&self, id: &str, mut f: impl FnMut(&KeyView<'_>) -> R) -> Option<R> {
        loop {
            match self.shared.keys.with_id(id, self.seq(), &mut f) {
                Found::Yes(answer) => return Some(answer),
                Found::No => return None,
                // The writer went past us between the two loads: the newer seq is there by now.
                Found::Overtaken => std::hint::spin_loop(),
            }
        }
    }
}
