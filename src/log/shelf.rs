//! A list that only grows and whose items never move, so that readers borrow from it without a lock.
//!
//! Not here: removal. What is put on a shelf stays until the shelf goes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Bucket `k` holds 2^k items, made when first needed.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    buckets: [OnceLock<Box<[OnceLock<T>]>>; 32],
    len: AtomicUsize,
    pushing: Mutex<()>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { buckets: [const { OnceLock::new() }; 32], len: AtomicUsize::new(0), pushing: Mutex::new(()) }
    }
}

impl<T> Shelf<T> {
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    pub fn get(&self, index: usize) -> Option<&T> {
        if index >= self.len() {
            return None;
        }
        let (bucket, place) = place_of(index);
        self.buckets[bucket].get()?.get(place)?.get()
    }

    pub fn last(&self) -> Option<&T> {
        self.get(self.len().checked_sub(1)?)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    pub fn push(&self, item: T) {
        let _guard = self.pushing.lock().unwrap_or_else(PoisonError::into_inner);
        let index = self.len();
        let (bucket, place) = place_of(index);
        let items = self.buckets[bucket].get_or_init(|| (0..1_usize << bucket).map(|_| OnceLock::new()).collect());
        // Nobody else sets this place: `pushing` is held and `len` not yet moved.
        let _ = items[place].set(item);
        self.len.store(index + 1, Ordering::Release);
    }

    /// Index of the first item for which `before` is false, when it is true for a prefix only.
    pub fn partition_point(&self, before: impl Fn(&T) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle).is_some_and(&before) { low = middle + 1 } else { high = middle }
        }
        low
    }
}

fn place_of(index: usize) -> (usize, usize) {
    let bucket = (index + 1).ilog2() as usize;
    (bucket, index + 1 - (1 << bucket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stay_where_they_are_while_the_shelf_grows() {
        let shelf = Shelf::default();
        shelf.push(0_u64);
        let first = shelf.get(0).unwrap();
        (1..1000).for_each(|item| shelf.push(item));
        assert_eq!((*first, shelf.len(), shelf.last()), (0, 1000, Some(&999)));
        assert!(shelf.iter().copied().eq(0..1000));
        assert_eq!(shelf.get(1000), None);
        assert_eq!(shelf.partition_point(|item| *item < 700), 700);
    }
}
