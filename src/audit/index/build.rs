//! Building a run: from commits, and from smaller runs.
//!
//! Not here: when that is done (`super`).

use super::bits::{BitWriter, PAD, rice_k, write_gaps};
use super::run::{GROUP, HEADER_BYTES, PREFIX_BITS, Run, RunHeader, Stretch, Terms, UNKNOWN, prefix_of};
use crate::audit::mention::terms_of;
use crate::model::Time;
use crate::state::Recorded;
use std::collections::BinaryHeap;

/// Commits up to which a term's are kept as entries; a list takes less from here on.
const ENTRIES_MAX: usize = 4;
/// Entries a bucket holds on average.
const BUCKET_ENTRIES: u64 = 32;

/// Collects the terms of commits in the order of their seqs.
#[derive(Debug)]
pub(super) struct Builder {
    first_seq: u64,
    last_seq: u64,
    recorded: (Time, Time),
    effective: (Time, Time),
    pairs: Vec<(u64, u32)>,
    frames: FramePlaces,
    terms: Vec<crate::audit::Term>,
}

impl Builder {
    pub fn new(first_seq: u64) -> Self {
        Self {
            first_seq,
            last_seq: first_seq.saturating_sub(1),
            recorded: (Time::MAX, Time::MIN),
            effective: (Time::MAX, Time::MIN),
            pairs: Vec::new(),
            frames: FramePlaces::default(),
            terms: Vec::new(),
        }
    }

    /// Adds the next commit, whose frame stands at `offset` of the segment that begins with `base_seq`.
    pub fn add(&mut self, commit: &Recorded, base_seq: u64, offset: u64, stored_len: usize) {
        self.frames.add(commit.seq.0, base_seq, offset, stored_len);
        let number = u32::try_from(commit.seq.0 - self.first_seq).unwrap_or(u32::MAX);
        terms_of(commit, &mut self.terms);
        self.pairs.extend(self.terms.iter().map(|term| (prefix_of(*term), number)));
        self.last_seq = commit.seq.0;
        self.recorded = widened(self.recorded, commit.recorded_at);
        for fact in commit.facts() {
            self.effective = widened(self.effective, fact.effective_at);
        }
    }

    /// The run's bytes; `None` when there was no commit.
    pub fn finish(mut self, ledger_id: [u8; 16], source: [u8; 32]) -> Option<Vec<u8>> {
        if self.last_seq < self.first_seq {
            return None;
        }
        self.pairs.sort_unstable();
        self.pairs.dedup();
        let header = RunHeader {
            ledger_id,
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            source,
            recorded: self.recorded,
            effective: self.effective,
            bucket_bits: 0,
            value_bits: 0,
            entries: 0,
            lists: 0,
            stretches: 0,
            groups: 0,
        };
        let groups = self.pairs.chunk_by(|(a, _), (b, _)| a == b);
        let entries = groups.map(|group| entries_of(group.len())).sum();
        let lists = groups_over(&self.pairs);
        let mut packer = Packer::new(header, entries, lists, self.frames);
        let mut numbers = Vec::new();
        for group in self.pairs.chunk_by(|(a, _), (b, _)| a == b) {
            numbers.clear();
            numbers.extend(group.iter().map(|(_, number)| *number));
            packer.add(group[0].0, &numbers);
        }
        Some(packer.finish())
    }
}

/// Merges runs that follow each other into one; `None` when they do not.
pub(super) fn merge(runs: &[&Run], source: [u8; 32]) -> Option<Vec<u8>> {
    let (first, last) = (runs.first()?, runs.last()?);
    if runs.windows(2).any(|pair| pair[0].header.last_seq + 1 != pair[1].header.first_seq) {
        return None;
    }
    let mut header = RunHeader { last_seq: last.header.last_seq, source, ..first.header };
    for run in runs {
        header.recorded = both(header.recorded, run.header.recorded);
        header.effective = both(header.effective, run.header.effective);
    }
    // At most; a directory that is a little too large costs nothing else.
    let entries: u64 = runs.iter().map(|run| run.header.entries).sum();
    let lists = runs.iter().map(|run| run.header.lists).sum::<u64>() + entries / (ENTRIES_MAX as u64 + 1);
    let mut packer = Packer::new(header, entries, lists, FramePlaces::joined(runs));
    let mut sources: Vec<(Terms<'_>, Vec<u64>)> = runs.iter().map(|run| (run.each_term(), Vec::new())).collect();
    // The least prefix first, then the earliest run.
    let mut heap = BinaryHeap::new();
    for (index, (terms, seqs)) in sources.iter_mut().enumerate() {
        heap.extend(terms.next(seqs).map(|prefix| std::cmp::Reverse((prefix, index))));
    }
    let mut numbers: Vec<u32> = Vec::new();
    while let Some(std::cmp::Reverse((prefix, index))) = heap.pop() {
        let (terms, seqs) = &mut sources[index];
        numbers.extend(seqs.drain(..).map(|seq| u32::try_from(seq - header.first_seq).unwrap_or(u32::MAX)));
        heap.extend(terms.next(seqs).map(|prefix| std::cmp::Reverse((prefix, index))));
        if heap.peek().is_none_or(|std::cmp::Reverse((next, _))| *next != prefix) {
            packer.add(prefix, &numbers);
            numbers.clear();
        }
    }
    Some(packer.finish())
}

/// How many terms get a list.
fn groups_over(pairs: &[(u64, u32)]) -> u64 {
    pairs.chunk_by(|(a, _), (b, _)| a == b).filter(|group| group.len() > ENTRIES_MAX).count() as u64
}

/// Where the frames of a run's commits begin, as `run` keeps it.
#[derive(Debug, Default)]
struct FramePlaces {
    stretches: Vec<Stretch>,
    groups: Vec<u32>,
    lens: Vec<u8>,
}

impl FramePlaces {
    fn add(&mut self, seq: u64, base_seq: u64, offset: u64, stored_len: usize) {
        if self.stretches.last().is_none_or(|stretch| stretch.base_seq != base_seq) {
            self.stretches.push(Stretch { base_seq, first: seq, group: self.groups.len() });
        }
        let first = self.stretches.last().map_or(seq, |stretch| stretch.first);
        if (seq - first).is_multiple_of(GROUP) {
            self.groups.push(u32::try_from(offset / 8).unwrap_or(UNKNOWN));
        }
        let len = u8::try_from(stored_len / 8).ok().filter(|_| stored_len.is_multiple_of(8));
        if let (None, Some(begin)) = (len, self.groups.last_mut()) {
            *begin = UNKNOWN;
        }
        self.lens.push(len.unwrap_or(0));
    }

    fn joined(runs: &[&Run]) -> Self {
        let mut all = Self::default();
        for run in runs {
            let (stretches, groups, lens) = run.frames();
            let before = all.groups.len();
            all.stretches
                .extend(stretches.into_iter().map(|stretch| Stretch { group: stretch.group + before, ..stretch }));
            all.groups.extend(groups.as_chunks::<4>().0.iter().map(|four| u32::from_le_bytes(*four)));
            all.lens.extend(lens);
        }
        all
    }
}

fn entries_of(commits: usize) -> u64 {
    if commits > ENTRIES_MAX { 1 } else { commits as u64 }
}

/// Puts terms, in order, into the bytes of a run.
struct Packer {
    header: RunHeader,
    directory: Vec<u32>,
    frames: FramePlaces,
    entries: BitWriter,
    places: Vec<u8>,
    lists: Vec<u8>,
}

impl Packer {
    /// `entries`: how many there will be, about; `lists`: at most.
    fn new(mut header: RunHeader, entries: u64, lists: u64, frames: FramePlaces) -> Self {
        header.bucket_bits = (entries / BUCKET_ENTRIES).max(1).ilog2().min(24);
        // A value is a commit's number or a list's.
        let values = (header.commits() - 1).max(lists);
        header.value_bits = (u64::BITS - values.leading_zeros()).min(32);
        header.entries = 0;
        header.lists = 0;
        header.stretches = frames.stretches.len() as u32;
        header.groups = frames.groups.len() as u32;
        Self {
            header,
            directory: Vec::new(),
            frames,
            entries: BitWriter::default(),
            places: Vec::new(),
            lists: Vec::new(),
        }
    }

    fn add(&mut self, prefix: u64, numbers: &[u32]) {
        let rest_bits = PREFIX_BITS - self.header.bucket_bits;
        let bucket = (prefix >> rest_bits) as usize;
        while self.directory.len() <= bucket {
            self.directory.push(self.header.entries as u32);
        }
        let rest = prefix & ((1 << rest_bits) - 1);
        if numbers.len() > ENTRIES_MAX {
            let list = self.header.lists;
            self.list(numbers);
            self.entry(rest, true, list);
        } else {
            for number in numbers {
                self.entry(rest, false, u64::from(*number));
            }
        }
    }

    fn entry(&mut self, rest: u64, is_list: bool, value: u64) {
        self.entries.push(rest, PREFIX_BITS - self.header.bucket_bits);
        self.entries.push((value << 1) | u64::from(is_list), self.header.value_bits + 1);
        self.header.entries += 1;
    }

    fn list(&mut self, numbers: &[u32]) {
        self.places.extend((self.lists.len() as u32).to_le_bytes());
        self.header.lists += 1;
        let mut count = numbers.len();
        while count >= 0x80 {
            self.lists.push((count & 0x7f) as u8 | 0x80);
            count >>= 7;
        }
        self.lists.push(count as u8);
        let k = rice_k(self.header.commits(), numbers.len() as u64);
        self.lists.push(k as u8);
        self.lists.extend(write_gaps(numbers.iter().copied(), k));
    }

    fn finish(mut self) -> Vec<u8> {
        let buckets = 1_usize << self.header.bucket_bits;
        self.directory.resize(buckets + 1, self.header.entries as u32);
        let mut bytes = Vec::with_capacity(HEADER_BYTES + 4 * buckets + self.lists.len() + 8 * self.frames.lens.len());
        bytes.extend(self.header.encode());
        bytes.extend(self.directory.iter().flat_map(|first| first.to_le_bytes()));
        for stretch in &self.frames.stretches {
            bytes
                .extend([stretch.base_seq, stretch.first, stretch.group as u64].into_iter().flat_map(u64::to_le_bytes));
        }
        bytes.extend(self.frames.groups.iter().flat_map(|begin| begin.to_le_bytes()));
        bytes.extend(&self.frames.lens);
        bytes.extend(self.entries.finish());
        bytes.extend([0; PAD]);
        bytes.extend(self.places);
        bytes.extend(self.lists);
        bytes.extend([0; PAD]);
        let hash = blake3::hash(&bytes);
        bytes.extend(hash.as_bytes());
        bytes
    }
}

fn widened((low, high): (Time, Time), time: Time) -> (Time, Time) {
    (low.min(time), high.max(time))
}

fn both(a: (Time, Time), b: (Time, Time)) -> (Time, Time) {
    (a.0.min(b.0), a.1.max(b.1))
}
