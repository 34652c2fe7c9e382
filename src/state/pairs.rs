//! A persistent sorted set of pairs of numbers: which keys an owner has, which keys hold a policy.
//!
//! A pair is one word, so that all seconds of a first stand together. Words stand in leaves of at most [`LEAF_MAX`], and the leaves in
//! a persistent map by their first word: a copy costs nothing, a change copies one leaf, a set is built from sorted words at
//! the speed of memory, and a pair takes about eleven bytes.
//!
//! Not here: what the numbers mean (`index`).

#![allow(clippy::cast_possible_truncation, reason = "halves and fields of words")]

use imbl::OrdMap;
use std::sync::Arc;

/// Words a leaf holds at most: 2 KiB.
const LEAF_MAX: usize = 256;

#[derive(Debug, Clone, Default)]
pub(super) struct PairSet {
    leaves: OrdMap<u64, Arc<[u64]>>,
    len: usize,
}

fn word(first: u32, second: u32) -> u64 {
    u64::from(first) << 32 | u64::from(second)
}

impl PairSet {
    /// The set of these words, in whatever order, each once.
    pub(super) fn of(mut words: Vec<u64>) -> Self {
        words.sort_unstable();
        words.dedup();
        // Room for what comes.
        let leaves = words.chunks(LEAF_MAX * 3 / 4).map(|leaf| (leaf[0], Arc::from(leaf))).collect();
        Self { leaves, len: words.len() }
    }

    pub(super) fn word(first: u32, second: u32) -> u64 {
        word(first, second)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.len
    }

    /// Says whether it was not there yet.
    pub(super) fn insert(&mut self, first: u32, second: u32) -> bool {
        let word = word(first, second);
        let Some((begin, leaf)) = self.leaf_of(word) else {
            self.leaves.insert(word, Arc::from([word]));
            self.len += 1;
            return true;
        };
        let Err(place) = leaf.binary_search(&word) else { return false };
        let mut words = Vec::with_capacity(leaf.len() + 1);
        words.extend_from_slice(&leaf[..place]);
        words.push(word);
        words.extend_from_slice(&leaf[place..]);
        self.replace(begin, &words);
        self.len += 1;
        true
    }

    /// Says whether it was there.
    pub(super) fn remove(&mut self, first: u32, second: u32) -> bool {
        let word = word(first, second);
        let Some((begin, leaf)) = self.leaf_of(word) else { return false };
        let Ok(place) = leaf.binary_search(&word) else { return false };
        let words: Vec<u64> = leaf[..place].iter().chain(&leaf[place + 1..]).copied().collect();
        self.replace(begin, &words);
        self.len -= 1;
        true
    }

    /// The seconds of `first`, rising.
    pub(super) fn seconds(&self, first: u32) -> impl Iterator<Item = u32> + '_ {
        self.seconds_from(first, 0)
    }

    /// The seconds of `first` from `second` on, rising.
    pub(super) fn seconds_from(&self, first: u32, second: u32) -> impl Iterator<Item = u32> + '_ {
        let from = word(first, second);
        let begin = self.leaf_of(from).map_or(from, |(begin, _)| begin);
        let words = self.leaves.range(begin..).flat_map(|(_, leaf)| leaf.iter().copied());
        words
            .skip_while(move |word| *word < from)
            .take_while(move |word| (*word >> 32) as u32 == first)
            .map(|word| word as u32)
    }

    /// How many seconds `first` has: counted leaf by leaf.
    pub(super) fn count(&self, first: u32) -> usize {
        let (from, to) = (word(first, 0), word(first, u32::MAX));
        let begin = self.leaf_of(from).map_or(from, |(begin, _)| begin);
        let within =
            |leaf: &Arc<[u64]>| leaf.partition_point(|word| *word <= to) - leaf.partition_point(|word| *word < from);
        self.leaves.range(begin..=to).map(|(_, leaf)| within(leaf)).sum()
    }

    /// The leaf a word stands in, or would: the last that begins at or below it, else the first.
    fn leaf_of(&self, word: u64) -> Option<(u64, Arc<[u64]>)> {
        let found = self.leaves.get_prev(&word).or_else(|| self.leaves.get_min().map(|(begin, leaf)| (begin, leaf)));
        found.map(|(begin, leaf)| (*begin, Arc::clone(leaf)))
    }

    fn replace(&mut self, begin: u64, words: &[u64]) {
        if words.first() != Some(&begin) {
            self.leaves.remove(&begin);
        }
        // A leaf that grew by words that only ever rise stays full: the next one begins behind it.
        let halves = if words.len() > LEAF_MAX { words.len() / 2 } else { LEAF_MAX };
        for leaf in words.chunks(halves.max(1)) {
            self.leaves.insert(leaf[0], Arc::from(leaf));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_the_set_a_tree_would_be(
            start in prop::collection::vec((0_u32..5, 0_u32..4_000), 0..2_000),
            changes in prop::collection::vec((any::<bool>(), 0_u32..5, 0_u32..4_000), 0..2_000),
        ) {
            let mut model: BTreeSet<(u32, u32)> = start.iter().copied().collect();
            let mut set = PairSet::of(start.iter().map(|(a, b)| PairSet::word(*a, *b)).collect());
            let before = (set.clone(), model.clone());
            for (add, first, second) in changes {
                if add {
                    prop_assert_eq!(set.insert(first, second), model.insert((first, second)));
                } else {
                    prop_assert_eq!(set.remove(first, second), model.remove(&(first, second)));
                }
            }
            for (set, model) in [(&set, &model), (&before.0, &before.1)] {
                prop_assert_eq!(set.len(), model.len());
                for first in 0..6 {
                    let seconds: Vec<u32> = model.range((first, 0)..=(first, u32::MAX)).map(|pair| pair.1).collect();
                    prop_assert_eq!(set.count(first), seconds.len());
                    prop_assert_eq!(set.seconds(first).collect::<Vec<_>>(), seconds.clone());
                    let from: Vec<u32> = seconds.into_iter().filter(|second| *second >= 1_234).collect();
                    prop_assert_eq!(set.seconds_from(first, 1_234).collect::<Vec<_>>(), from);
                }
            }
        }
    }

    #[test]
    fn rising_words_fill_the_leaves() {
        let mut set = PairSet::default();
        (0..100_000).for_each(|n| assert!(set.insert(3, n)));
        let leaves = set.leaves.len();
        assert!(leaves < 100_000 / (LEAF_MAX / 2) + 2, "{leaves} leaves");
        (0..100_000).for_each(|n| assert!(set.remove(3, n)));
        assert_eq!((set.len(), set.leaves.len()), (0, 0));
    }
}
