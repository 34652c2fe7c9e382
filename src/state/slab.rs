//! Items by number, in chunks that never move: grown by one writer while others read, without a lock.
//!
//! Chunks of [`CHUNK`] items hang in tables that double, so a number is found by three loads, of which only the last is likely to
//! miss the cache.
//!
//! Invariants
//! - An item stays where it is until the slab is dropped; a chunk is made whole before anybody can see it.
//! - Only one thread grows a slab.
//!
//! Not here: what the items are, and how they change under readers (`cell`, `directory`).

use std::sync::OnceLock;

/// Items a chunk.
pub(super) const CHUNK: u32 = 1 << SHIFT;
const SHIFT: u32 = 7;
const MASK: u32 = CHUNK - 1;
/// Tables of chunks: the l-th holds 2^l of them, so this many hold every number of 32 bits.
const TABLES: usize = 32 - SHIFT as usize + 1;

type Chunk<T> = OnceLock<Box<[T]>>;

pub(super) struct Slab<T> {
    tables: [OnceLock<Box<[Chunk<T>]>>; TABLES],
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { tables: [const { OnceLock::new() }; TABLES] }
    }
}

impl<T> Slab<T> {
    /// The item, if its chunk was made.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.chunk(number >> SHIFT)?.get((number & MASK) as usize)
    }

    /// A whole chunk, if it was made.
    #[inline]
    pub(super) fn chunk(&self, chunk: u32) -> Option<&[T]> {
        let (table, place) = split(chunk);
        self.tables.get(table)?.get()?.get(place)?.get().map(|items| &**items)
    }

    /// Makes the chunk that `number` stands in, unless it is there, and returns the item.
    pub(super) fn grow_to(&self, number: u32, item: impl Fn() -> T) -> Option<&T> {
        if let Some(found) = self.get(number) {
            return Some(found);
        }
        let (table, place) = split(number >> SHIFT);
        let chunks = self.tables.get(table)?.get_or_init(|| (0..1_usize << table).map(|_| OnceLock::new()).collect());
        let items = chunks.get(place)?.get_or_init(|| (0..CHUNK).map(|_| item()).collect());
        items.get((number & MASK) as usize)
    }
}

/// In which table a chunk stands, and where there.
#[inline]
fn split(chunk: u32) -> (usize, usize) {
    let one_based = chunk + 1;
    let table = one_based.ilog2();
    (table as usize, (one_based - (1 << table)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_own_place() {
        let slab = Slab::<std::sync::atomic::AtomicU32>::default();
        for number in 0..5 * CHUNK {
            assert!(slab.get(number).is_none() || number & MASK != 0);
            slab.grow_to(number, Default::default).unwrap().store(number, std::sync::atomic::Ordering::Relaxed);
        }
        for number in 0..5 * CHUNK {
            assert_eq!(slab.get(number).unwrap().load(std::sync::atomic::Ordering::Relaxed), number);
        }
        assert!(slab.get(5 * CHUNK).is_none());
        let (table, place) = split(u32::MAX >> SHIFT);
        assert!(table < TABLES && place < 1 << table, "the last number has a place too");
    }
}
