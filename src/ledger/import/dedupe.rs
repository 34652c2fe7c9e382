//! The ids of all records seen so far, in 18 to 24 bytes each.
//!
//! 16-byte ids stand in open-addressed tables with linear probing, 1,024 of them, picked by the upper bits of a hash. A
//! table that is nine tenths full grows to 21/16 of its size, so between growths it is 0.686 to 0.9 full: 17.8 to 23.3
//! bytes an id. Only the one table that grows stands twice for a moment, a thousandth of the whole: that is why there are
//! many. A table that doubled would need 36 bytes an id, and 54 while it grows.
//!
//! The hash is seeded anew for each set, so that ids cannot be chosen to collide.
//!
//! Not here: where the ids come from (`record`), what a duplicate means (`pipeline`).

use foldhash::fast::RandomState;
use std::hash::BuildHasher;

const TABLES_LOG2: u32 = 10;
/// Marks an empty slot; the id of all zeros is kept apart.
const EMPTY: u128 = 0;

/// A set of record ids.
pub struct IdSet {
    tables: Vec<Table>,
    zero: bool,
    len: u64,
    hash: RandomState,
}

#[derive(Default)]
struct Table {
    slots: Box<[u128]>,
    used: usize,
}

impl Default for IdSet {
    fn default() -> Self {
        let tables = (0..1 << TABLES_LOG2).map(|_| Table::default()).collect();
        Self { tables, zero: false, len: 0, hash: RandomState::default() }
    }
}

impl IdSet {
    /// Adds an id; `false` when it was there.
    pub fn insert(&mut self, id: [u8; 16]) -> bool {
        let id = u128::from_le_bytes(id);
        let new = if id == EMPTY {
            !std::mem::replace(&mut self.zero, true)
        } else {
            let hash = self.hash.hash_one(id);
            let table = (hash >> (64 - TABLES_LOG2)) as usize;
            self.tables[table].insert(id, hash, &self.hash)
        };
        self.len += u64::from(new);
        new
    }

    /// Adds ids in their order, and tells `new` of each whether it was not there: as [`IdSet::insert`], but the memory that
    /// several will be found in is asked for together. In a large set one after the other waits for each.
    pub fn insert_all(&mut self, ids: &[[u8; 16]], mut new: impl FnMut(bool)) {
        const TOGETHER: usize = 32;
        for ids in ids.chunks(TOGETHER) {
            // Independent loads, so the processor has all of them under way at once.
            let first_slots = ids.iter().map(|id| self.first_slot(u128::from_le_bytes(*id)));
            std::hint::black_box(first_slots.fold(0, |all, slot| all ^ slot));
            for id in ids {
                new(self.insert(*id));
            }
        }
    }

    /// What stands where the search for an id begins.
    fn first_slot(&self, id: u128) -> u128 {
        let hash = self.hash.hash_one(id);
        let table = &self.tables[(hash >> (64 - TABLES_LOG2)) as usize];
        table.slots.get(table.first(hash)).copied().unwrap_or(EMPTY)
    }

    /// How many ids there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of all tables.
    pub fn bytes(&self) -> u64 {
        let slots: usize = self.tables.iter().map(|table| table.slots.len()).sum();
        (slots * size_of::<u128>() + self.tables.len() * size_of::<Table>()) as u64
    }
}

impl Table {
    fn insert(&mut self, id: u128, hash: u64, hasher: &RandomState) -> bool {
        if (self.used + 1) * 10 > self.slots.len() * 9 {
            self.grow(hasher);
        }
        let slot = self.slot_of(id, hash);
        let new = self.slots[slot] == EMPTY;
        self.slots[slot] = id;
        self.used += usize::from(new);
        new
    }

    /// Where the search for an id of this hash begins.
    #[expect(clippy::cast_possible_truncation, reason = "below the number of slots")]
    fn first(&self, hash: u64) -> usize {
        // The hash below the bits that picked the table, scaled to the number of slots.
        let below = hash << TABLES_LOG2;
        ((u128::from(below) * self.slots.len() as u128) >> 64) as usize
    }

    /// The slot that holds `id`, or the empty one where it belongs. There is always an empty one.
    fn slot_of(&self, id: u128, hash: u64) -> usize {
        let mut slot = self.first(hash);
        while self.slots[slot] != EMPTY && self.slots[slot] != id {
            slot += 1;
            if slot == self.slots.len() {
                slot = 0;
            }
        }
        slot
    }

    fn grow(&mut self, hasher: &RandomState) {
        let slots = (self.slots.len() * 21 / 16).max(self.slots.len() + 2).max(4);
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; slots].into_boxed_slice());
        for id in old.into_iter().filter(|id| *id != EMPTY) {
            let slot = self.slot_of(id, hasher.hash_one(id));
            self.slots[slot] = id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_new_once() {
        let mut set = IdSet::default();
        let id = |n: u64| (u128::from(n) << 64 | u128::from(n % 7)).to_le_bytes();
        for n in 0..50_000 {
            assert!(set.insert(id(n)), "{n}");
        }
        for n in 0..50_000 {
            assert!(!set.insert(id(n)), "{n}");
        }
        assert_eq!(set.len(), 50_000);
    }

    #[test]
    fn ids_added_together_are_judged_as_one_after_the_other() {
        let ids: Vec<[u8; 16]> = (0..1_000_u64).map(|n| u128::from(n * n % 701).to_le_bytes()).collect();
        let (mut one, mut all) = (IdSet::default(), IdSet::default());
        let expected: Vec<bool> = ids.iter().map(|id| one.insert(*id)).collect();
        let mut judged = Vec::new();
        all.insert_all(&ids, |new| judged.push(new));
        assert_eq!(judged, expected);
        assert!(judged.contains(&false) && judged.contains(&true));
    }

    #[test]
    fn an_id_costs_at_most_24_bytes_at_every_size() {
        let mut set = IdSet::default();
        for n in 1..=400_000_u64 {
            set.insert(u128::from(n).to_le_bytes());
            if n > 200_000 && n % 1_000 == 0 {
                assert!(set.bytes() <= 24 * n, "{} bytes for {n} ids", set.bytes());
            }
        }
    }
}
