//! One record that a single writer changes in place while others read it: words under a version, and a link to the
//! record before.
//!
//! A reader copies the words and believes them only if the version is even and the same after as before. While the writer is at
//! work the version is odd, and the link already leads to the record before, which is then the one that is published:
//! so a reader never waits for the writer.
//!
//! ```text
//!  head: version u32, odd while words are written │ link u32: number of the record before + 1, 0 without
//! ```
//!
//! Not here: whose record it is and which version a reader may see (`table`).

#![allow(clippy::cast_possible_truncation, reason = "halves and fields of words")]

use super::packed::{KeyCold, KeyDraft, KeyWords, Packed, WORDS};
use arc_swap::{ArcSwapOption, Guard};
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};

pub(super) struct Cell {
    head: AtomicU64,
    pub(super) words: Words,
    /// Made when it is first needed: giving up an empty one would cost a walk over all threads that ever read.
    cold: OnceLock<Box<ArcSwapOption<KeyCold>>>,
}

/// Version and link, as loaded once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head(u64);

impl Head {
    #[inline]
    pub(super) fn link(self) -> Option<u32> {
        (self.0 as u32).checked_sub(1)
    }

    #[inline]
    pub(super) fn is_writing(self) -> bool {
        self.0 >> 32 & 1 == 1
    }

    fn with(version: u64, link: Option<u32>) -> u64 {
        version << 32 | u64::from(link.map_or(0, |link| link + 1))
    }
}

/// The rare part of a record, kept while it is read.
pub(super) type Cold = Guard<Option<Arc<KeyCold>>>;

/// A copy of a record.
#[derive(Default)]
pub(super) struct Copied {
    pub words: Words,
    pub cold: Option<Cold>,
}

/// The words behind the head, shared or copied.
pub(super) type Words = [AtomicU64; WORDS - 1];

impl KeyWords for Words {
    #[inline]
    fn word(&self, place: usize) -> u64 {
        self[place - 1].load(Ordering::Relaxed)
    }
}

impl Copied {
    /// An owned copy, to be changed.
    pub(super) fn into_draft(self) -> KeyDraft {
        KeyDraft { packed: packed(&self.words), cold: self.cold.and_then(Guard::into_inner) }
    }
}

fn packed(words: &Words) -> Packed {
    let mut packed = Packed::default();
    for (to, from) in packed.0[1..].iter_mut().zip(words) {
        *to = from.load(Ordering::Relaxed);
    }
    packed
}

impl Default for Cell {
    fn default() -> Self {
        Self { head: AtomicU64::new(0), words: [const { AtomicU64::new(0) }; WORDS - 1], cold: OnceLock::new() }
    }
}

impl Cell {
    #[inline]
    pub(super) fn head(&self) -> Head {
        Head(self.head.load(Ordering::Acquire))
    }

    /// Whether nothing was written since `head` was loaded.
    #[inline]
    pub(super) fn is_still(&self, head: Head) -> bool {
        fence(Ordering::Acquire);
        self.head.load(Ordering::Relaxed) == head.0
    }

    /// The rare part as it stands now.
    pub(super) fn cold(&self) -> Option<Cold> {
        self.cold.get().map(|shared| shared.load())
    }

    /// Asks for its cache lines.
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        self.words[0].load(Ordering::Relaxed) ^ self.words[WORDS - 2].load(Ordering::Relaxed)
    }

    /// The record, unless it is being written or was overwritten since `head` was loaded.
    #[inline]
    pub(super) fn copy(&self, head: Head) -> Option<Copied> {
        if head.is_writing() {
            return None;
        }
        let copied = self.own();
        self.is_still(head).then_some(copied)
    }

    /// The record as its only writer sees it; for others, word by word what stands there now.
    pub(super) fn own(&self) -> Copied {
        let copied = Copied::default();
        for (to, from) in copied.words.iter().zip(&self.words) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let cold = copied.words.has_cold().then(|| self.cold()).flatten();
        Copied { cold, ..copied }
    }

    /// Writes a whole record. The link stands before the words change and after.
    pub(super) fn write(&self, draft: KeyDraft, link: Option<u32>) {
        let version = self.head.load(Ordering::Relaxed) >> 32;
        self.head.store(Head::with(version | 1, link), Ordering::Relaxed);
        fence(Ordering::Release);
        self.put(draft);
        self.head.store(Head::with((version | 1).wrapping_add(1) & u64::from(u32::MAX), link), Ordering::Release);
    }

    /// Writes a whole record that nobody else can see.
    pub(super) fn write_unseen(&self, draft: KeyDraft) {
        self.put(draft);
    }

    /// Changes words that nobody else can see.
    #[inline]
    pub(super) fn change_words(&self, f: impl FnOnce(&mut Packed)) {
        let mut packed = packed(&self.words);
        f(&mut packed);
        for (to, from) in self.words.iter().zip(&packed.0[1..]) {
            to.store(*from, Ordering::Relaxed);
        }
    }

    fn put(&self, draft: KeyDraft) {
        let had_cold = self.words.has_cold();
        for (to, from) in self.words.iter().zip(&draft.packed.0[1..]) {
            to.store(*from, Ordering::Relaxed);
        }
        if had_cold || draft.cold.is_some() {
            let shared = self.cold.get_or_init(|| Box::new(ArcSwapOption::empty()));
            let is_same = match (shared.load().as_ref(), &draft.cold) {
                (Some(before), Some(after)) => Arc::ptr_eq(before, after),
                (None, None) => true,
                _ => false,
            };
            if !is_same {
                shared.store(draft.cold);
            }
        }
    }

    /// Leads elsewhere. Readers in between look again.
    pub(super) fn relink(&self, link: Option<u32>) {
        let version = self.head.load(Ordering::Relaxed) >> 32;
        fence(Ordering::Release);
        self.head.store(Head::with(version.wrapping_add(2) & u64::from(u32::MAX), link), Ordering::Release);
    }
}
