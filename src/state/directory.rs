//! From a hash to the numbers of the keys that have it: extendible hashing, read without a lock while one writer adds.
//!
//! A directory of 2^depth entries, picked by the hash's upper bits, names segments of [`CHUNK`] slots; a slot is hash and number.
//! A hash has a bucket of four slots in its segment, and what does not fit stands in the next.
//! A segment that fills up is split into two fresh ones, so no add ever moves more than one segment's slots and memory
//! follows the number of keys. Nothing is ever taken out.
//!
//! Invariants
//! - Only one thread adds.
//! - INVARIANT: a directory entry never has the same value twice, and a segment is used anew only after its entries led elsewhere: a
//!   reader that finds nothing, and then sees the entry unchanged, has looked in the right place.
//!
//! Not here: the keys themselves; a number found here is a candidate whose id is still to be compared (`table`).

#![allow(clippy::cast_possible_truncation, reason = "halves and fields of words")]

use super::slab::{CHUNK, Slab};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Bits of the hash the directory may use: 2^26 segments of 128 slots are more than there are numbers.
const DEPTH_MAX: u32 = 26;
/// Slots of a segment that are used before it is split: linear probing stays short.
const FILL_MAX: u32 = CHUNK * 3 / 4;
/// Slots looked at together: half a cache line.
const BUCKET: usize = 4;
const BUCKETS: usize = CHUNK as usize / BUCKET;

pub(super) struct Directory {
    depth: AtomicU32,
    /// By depth; those of smaller depths stay for readers that are still in them.
    /// An entry is a count of changes in the upper half, a segment in the lower.
    roots: [OnceLock<Box<[AtomicU64]>>; DEPTH_MAX as usize + 1],
    /// A chunk is a segment: hash in the upper half, number + 1 in the lower; 0 is free.
    slots: Slab<AtomicU64>,
    segments: Slab<Segment>,
    made: AtomicU32,
    /// Entries ever changed.
    changes: AtomicU32,
    /// Split segments, to be used anew.
    spare: Mutex<Vec<u32>>,
}

#[derive(Default)]
struct Segment {
    /// How many upper bits its hashes share, and how many slots are used. The writer's alone.
    depth: AtomicU32,
    used: AtomicU32,
}

impl Default for Directory {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl Directory {
    /// With room for `keys` without a split, if hashes spread well.
    pub(super) fn with_capacity(keys: usize) -> Self {
        // Well below what splits a segment, since segments fill unevenly.
        let segments = keys.div_ceil(CHUNK as usize * 6 / 10).next_power_of_two();
        let depth = segments.trailing_zeros().min(DEPTH_MAX);
        let directory = Self {
            depth: AtomicU32::new(depth),
            roots: [const { OnceLock::new() }; DEPTH_MAX as usize + 1],
            slots: Slab::default(),
            segments: Slab::default(),
            made: AtomicU32::new(0),
            changes: AtomicU32::new(0),
            spare: Mutex::default(),
        };
        let root =
            (0..1_u32 << depth).map(|_| AtomicU64::new(directory.fresh(depth).unwrap_or_default().into())).collect();
        let _ = directory.roots[depth as usize].set(root);
        directory
    }

    /// The first answer of `fits` among the numbers that have this hash.
    #[inline]
    pub(super) fn find<R>(&self, hash: u32, mut fits: impl FnMut(u32) -> Option<R>) -> Option<R> {
        loop {
            let depth = self.depth.load(Ordering::Acquire);
            let entry = self.entry(hash, depth)?;
            let before = entry.load(Ordering::Acquire);
            let buckets = self.slots.chunk(before as u32)?.as_chunks::<BUCKET>().0;
            let mut place = hash as usize % BUCKETS;
            for _ in 0..BUCKETS {
                let bucket = buckets.get(place)?;
                // All slots at once, without a branch: one that is guessed wrong would wait for the cache line.
                let mut same = 0_u32;
                for (slot, bit) in bucket.iter().zip(0..) {
                    same |= u32::from((slot.load(Ordering::Acquire) >> 32) as u32 == hash) << bit;
                }
                while same != 0 {
                    let slot = bucket.get(same.trailing_zeros() as usize)?.load(Ordering::Acquire);
                    if let Some(found) = fits((slot as u32).wrapping_sub(1)) {
                        return Some(found);
                    }
                    same &= same - 1;
                }
                if bucket.iter().any(|slot| slot.load(Ordering::Acquire) == 0) {
                    break;
                }
                place = (place + 1) % BUCKETS;
            }
            fence(Ordering::Acquire);
            if entry.load(Ordering::Relaxed) == before && self.depth.load(Ordering::Relaxed) == depth {
                return None;
            }
        }
    }

    /// Adds a number. Says whether there was room, which only 2^32 numbers or hashes that are all alike can exhaust.
    pub(super) fn add(&self, hash: u32, number: u32) -> bool {
        loop {
            let depth = self.depth.load(Ordering::Relaxed);
            let Some(entry) = self.entry(hash, depth) else { return false };
            let segment = entry.load(Ordering::Relaxed) as u32;
            let (Some(about), Some(slots)) = (self.segments.get(segment), self.slots.chunk(segment)) else {
                return false;
            };
            let used = about.used.load(Ordering::Relaxed);
            if used >= FILL_MAX {
                if !self.split(segment, hash) {
                    return false;
                }
                continue;
            }
            put(slots, hash, number);
            about.used.store(used + 1, Ordering::Relaxed);
            return true;
        }
    }

    #[inline]
    fn entry(&self, hash: u32, depth: u32) -> Option<&AtomicU64> {
        let place = (u64::from(hash) << depth) >> 32;
        self.roots.get(depth as usize)?.get()?.get(place as usize)
    }

    /// Puts two fresh segments in the place of a full one.
    fn split(&self, full: u32, hash: u32) -> bool {
        let Some(about) = self.segments.get(full) else { return false };
        let shared = about.depth.load(Ordering::Relaxed);
        let mut depth = self.depth.load(Ordering::Relaxed);
        if shared == depth && !self.double(&mut depth) {
            return false;
        }
        let (Some(low), Some(high)) = (self.fresh(shared + 1), self.fresh(shared + 1)) else { return false };
        let (Some(old), Some(lows), Some(highs)) =
            (self.slots.chunk(full), self.slots.chunk(low), self.slots.chunk(high))
        else {
            return false;
        };
        let mut used = [0, 0];
        for slot in old {
            let slot = slot.load(Ordering::Relaxed);
            if slot != 0 {
                let hash = (slot >> 32) as u32;
                let upper = (hash >> (31 - shared)) & 1;
                put(if upper == 0 { lows } else { highs }, hash, (slot as u32).wrapping_sub(1));
                used[upper as usize] += 1;
            }
        }
        for (segment, used) in [(low, used[0]), (high, used[1])] {
            if let Some(about) = self.segments.get(segment) {
                about.used.store(used, Ordering::Relaxed);
            }
        }
        let Some(root) = self.roots.get(depth as usize).and_then(OnceLock::get) else { return false };
        let change = self.changes.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let entries = 1_usize << (depth - shared);
        let first = (((u64::from(hash) << shared) >> 32) as usize) * entries;
        for (offset, entry) in root.iter().skip(first).take(entries).enumerate() {
            let segment = if offset < entries / 2 { low } else { high };
            entry.store(u64::from(change) << 32 | u64::from(segment), Ordering::Release);
        }
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(full);
        true
    }

    fn double(&self, depth: &mut u32) -> bool {
        if *depth == DEPTH_MAX {
            return false;
        }
        let Some(root) = self.roots[*depth as usize].get() else { return false };
        let doubled = root.iter().flat_map(|entry| {
            let segment = entry.load(Ordering::Relaxed);
            [AtomicU64::new(segment), AtomicU64::new(segment)]
        });
        let _ = self.roots[*depth as usize + 1].set(doubled.collect());
        *depth += 1;
        self.depth.store(*depth, Ordering::Release);
        true
    }

    /// An empty segment.
    fn fresh(&self, depth: u32) -> Option<u32> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let segment = spare.unwrap_or_else(|| self.made.fetch_add(1, Ordering::Relaxed));
        let about = self.segments.grow_to(segment, Segment::default)?;
        self.slots.grow_to(segment.checked_mul(CHUNK)?, || AtomicU64::new(0))?;
        if spare.is_some() {
            fence(Ordering::Release);
            for slot in self.slots.chunk(segment)? {
                slot.store(0, Ordering::Relaxed);
            }
        }
        about.depth.store(depth, Ordering::Relaxed);
        about.used.store(0, Ordering::Relaxed);
        Some(segment)
    }
}

/// Puts a number into the first free slot from its bucket on; there is one.
fn put(slots: &[AtomicU64], hash: u32, number: u32) {
    let first = hash as usize % BUCKETS * BUCKET;
    let (behind, from) = slots.split_at(first.min(slots.len()));
    if let Some(free) = from.iter().chain(behind).find(|slot| slot.load(Ordering::Relaxed) == 0) {
        free.store(u64::from(hash) << 32 | u64::from(number.wrapping_add(1)), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    fn hash(number: u32) -> u32 {
        (u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }

    #[test]
    fn everything_added_is_found_and_nothing_else() {
        for capacity in [0, 1, 5_000, 100_000] {
            let directory = Directory::with_capacity(capacity);
            for number in 0..60_000 {
                assert!(directory.find(hash(number), |found| (found == number).then_some(())).is_none());
                assert!(directory.add(hash(number), number));
            }
            for number in 0..60_000 {
                assert_eq!(directory.find(hash(number), |found| (found == number).then_some(found)), Some(number));
            }
        }
    }

    #[test]
    fn equal_hashes_fill_a_segment_and_then_are_refused() {
        let directory = Directory::with_capacity(0);
        let added = (0..CHUNK).take_while(|number| directory.add(7, *number)).count();
        assert_eq!(added, FILL_MAX as usize);
        assert_eq!(directory.find(7, |found| (found == 50).then_some(found)), Some(50));
    }

    #[test]
    fn a_reader_finds_what_was_added_before_it_looked_while_segments_split() {
        let directory = Directory::with_capacity(0);
        let (added, stop) = (AtomicU32::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut looked = 0_u32;
                while !stop.load(Ordering::Relaxed) {
                    let until = added.load(Ordering::Acquire);
                    if until > 0 {
                        looked = looked.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        let number = looked % until;
                        assert!(directory.find(hash(number), |found| (found == number).then_some(())).is_some());
                    }
                }
            });
            for number in 0..400_000 {
                assert!(directory.add(hash(number), number));
                added.store(number + 1, Ordering::Release);
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}
