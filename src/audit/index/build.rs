//! Building a run: from commits, and from smaller runs.
//!
//! Not here: when that is done (`super`).

use super::bits::{BitWriter, PAD, rice_k};
use super::run::{GROUP, HEADER_BYTES, INLINE_MAX, PREFIX_BITS, Run, RunHeader, Stretch, Terms, UNKNOWN, prefix_of};
use crate::audit::mention::terms_of;
use crate::model::Time;
use crate::state::Recorded;
use std::collections::BinaryHeap;

/// Terms a bucket holds at least, on average; at most twice as many.
const BUCKET_TERMS: u64 = 16;

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
            terms: 0,
            bucket_bytes: 0,
            stretches: 0,
            groups: 0,
        };
        let terms = self.pairs.chunk_by(|(a, _), (b, _)| a == b).count() as u64;
        let mut packer = Packer::new(header, terms, self.frames);
        let mut numbers = Vec::new();
        for group in self.pairs.chunk_by(|(a, _), (b, _)| a == b) {
            numbers.clear();
            numbers.extend(group.iter().map(|(_, number)| *number));
            packer.add(group[0].0, &numbers);
        }
        packer.finish()
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
    let terms: u64 = runs.iter().map(|run| run.header.terms).sum();
    let mut packer = Packer::new(header, terms, FramePlaces::joined(runs));
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
    packer.finish()
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
            self.stretches.push(Stretch { base_seq, first: seq, last: u64::MAX, group: self.groups.len() });
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

/// Puts terms, in order, into the bytes of a run.
struct Packer {
    header: RunHeader,
    directory: Vec<u32>,
    frames: FramePlaces,
    buckets: Vec<u8>,
    lists: Vec<u8>,
    /// The terms of the bucket in hand: the bits that stand in it, and how many of `numbers` are the term's.
    waiting: Vec<(u64, usize)>,
    numbers: Vec<u32>,
}

impl Packer {
    /// `terms`: how many there will be, about.
    fn new(mut header: RunHeader, terms: u64, frames: FramePlaces) -> Self {
        header.bucket_bits = (terms / BUCKET_TERMS).max(1).ilog2().min(PREFIX_BITS - 4);
        header.terms = 0;
        header.stretches = frames.stretches.len() as u32;
        header.groups = frames.groups.len() as u32;
        Self {
            header,
            directory: vec![0],
            frames,
            buckets: Vec::new(),
            lists: Vec::new(),
            waiting: Vec::new(),
            numbers: Vec::new(),
        }
    }

    fn add(&mut self, prefix: u64, numbers: &[u32]) {
        let rest_bits = self.header.rest_bits();
        self.go_to((prefix >> rest_bits) as usize);
        self.waiting.push((prefix & ((1 << rest_bits) - 1), numbers.len()));
        self.numbers.extend_from_slice(numbers);
        self.header.terms += 1;
    }

    /// Ends the buckets before `bucket`.
    fn go_to(&mut self, bucket: usize) {
        while self.directory.len() <= bucket {
            self.end_bucket();
            self.directory.push(self.buckets.len() as u32);
        }
    }

    fn end_bucket(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut terms = self.waiting.len();
        while terms >= 0x80 {
            self.buckets.push((terms & 0x7f) as u8 | 0x80);
            terms >>= 7;
        }
        self.buckets.push(terms as u8);
        let commits = self.header.commits();
        let mut bits = BitWriter::default();
        for (rest, _) in &self.waiting {
            bits.push(*rest, self.header.rest_bits());
        }
        let mut numbers = self.numbers.as_slice();
        for (_, count) in self.waiting.drain(..) {
            let (own, others) = numbers.split_at(count);
            numbers = others;
            let count = count as u64;
            bits.push_count(count);
            match own {
                [number] => bits.push(u64::from(*number), self.header.number_bits()),
                _ if count <= INLINE_MAX => bits.push_gaps(own, rice_k(commits, count)),
                _ => {
                    bits.push(self.lists.len() as u64 & u64::from(u32::MAX), 32);
                    let mut list = BitWriter::default();
                    list.push_gaps(own, rice_k(commits, count));
                    self.lists.extend(list.finish());
                }
            }
        }
        self.numbers.clear();
        self.buckets.extend(bits.finish());
    }

    /// `None` when there is more than offsets of 32 bits can tell, which a run of segments within their bounds is far from.
    fn finish(mut self) -> Option<Vec<u8>> {
        self.go_to(1 << self.header.bucket_bits);
        if self.buckets.len().max(self.lists.len()) > u32::MAX as usize {
            return None;
        }
        self.header.bucket_bytes = self.buckets.len() as u64;
        let frames = 28 * self.frames.stretches.len() + 4 * self.frames.groups.len() + self.frames.lens.len();
        let room = HEADER_BYTES + 4 * self.directory.len() + frames + self.buckets.len() + self.lists.len() + 64;
        let mut bytes = Vec::with_capacity(room);
        bytes.extend(self.header.encode());
        bytes.extend(self.directory.iter().flat_map(|begin| begin.to_le_bytes()));
        for stretch in &self.frames.stretches {
            bytes
                .extend([stretch.base_seq, stretch.first, stretch.group as u64].into_iter().flat_map(u64::to_le_bytes));
        }
        bytes.extend(self.frames.groups.iter().flat_map(|begin| begin.to_le_bytes()));
        bytes.extend(&self.frames.lens);
        bytes.extend(self.buckets);
        bytes.extend([0; PAD]);
        bytes.extend(self.lists);
        bytes.extend([0; PAD]);
        let hash = blake3::hash(&bytes);
        bytes.extend(hash.as_bytes());
        Some(bytes)
    }
}

fn widened((low, high): (Time, Time), time: Time) -> (Time, Time) {
    (low.min(time), high.max(time))
}

fn both(a: (Time, Time), b: (Time, Time)) -> (Time, Time) {
    (a.0.min(b.0), a.1.max(b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: u64 = 101;
    const COMMITS: u32 = 3_000;

    /// Terms of every frequency, two of them in one bucket's last place, one in every commit.
    fn terms() -> Vec<(u64, Vec<u32>)> {
        let spread = |prefix: u64, step: u32| (prefix << 12 | 7, (step / 3..COMMITS).step_by(step as usize).collect());
        let mut terms: Vec<(u64, Vec<u32>)> = [1, 2, 3, 50, 150, 190, 700, 2_999]
            .into_iter()
            .enumerate()
            .map(|(n, step)| spread(n as u64, step))
            .collect();
        terms.extend((100..900_u32).map(|n| (u64::from(n) << 15, vec![n * 3])));
        terms.push(((1 << PREFIX_BITS) - 2, vec![0, COMMITS - 1]));
        terms.push(((1 << PREFIX_BITS) - 1, vec![COMMITS - 1]));
        terms.sort();
        terms
    }

    fn packed(terms: &[(u64, Vec<u32>)]) -> Vec<u8> {
        let mut frames = FramePlaces::default();
        for number in 0..u64::from(COMMITS) {
            frames.add(FIRST + number, FIRST, 4_096 + 320 * number, 320);
        }
        let header = RunHeader {
            ledger_id: [3; 16],
            first_seq: FIRST,
            last_seq: FIRST + u64::from(COMMITS) - 1,
            source: [4; 32],
            recorded: (Time(5), Time(6)),
            effective: (Time(5), Time(6)),
            bucket_bits: 0,
            terms: 0,
            bucket_bytes: 0,
            stretches: 0,
            groups: 0,
        };
        let mut packer = Packer::new(header, terms.len() as u64, frames);
        for (prefix, numbers) in terms {
            packer.add(*prefix, numbers);
        }
        packer.finish().expect("small")
    }

    fn seqs(run: &Run, prefix: u64) -> Vec<u64> {
        let mut seqs = Vec::new();
        run.seqs(run.probe(prefix), |seq| seqs.push(seq));
        seqs
    }

    #[test]
    fn every_term_comes_back_with_its_commits_and_no_other_does() {
        let terms = terms();
        let run = Run::owned(packed(&terms)).expect("whole");
        let mut walk = run.each_term();
        for (prefix, numbers) in &terms {
            let expected: Vec<u64> = numbers.iter().map(|number| FIRST + u64::from(*number)).collect();
            assert_eq!(seqs(&run, *prefix), expected, "{prefix:#x}");
            assert_eq!(run.count(*prefix), expected.len(), "{prefix:#x}");
            let mut walked = Vec::new();
            assert_eq!((walk.next(&mut walked), walked), (Some(*prefix), expected));
            assert!(seqs(&run, prefix ^ 0x55).is_empty(), "{prefix:#x}");
        }
        assert_eq!(walk.next(&mut Vec::new()), None);
        let merged = merge(&[&run], [4; 32]).and_then(Run::owned).expect("merges");
        assert!(terms.iter().all(|(prefix, _)| seqs(&merged, *prefix) == seqs(&run, *prefix)));
    }

    #[test]
    fn forged_bytes_give_no_seq_that_is_not_there() {
        let terms = terms();
        let whole = packed(&terms);
        // The header has a CRC; what follows may say anything.
        for at in (HEADER_BYTES..whole.len()).step_by(3) {
            let mut forged = whole.clone();
            forged[at] ^= 0xff;
            let Some(run) = Run::owned(forged) else { continue };
            let last = run.header.last_seq;
            for (prefix, _) in terms.iter().step_by(29) {
                assert!(seqs(&run, *prefix).iter().all(|seq| (FIRST..=last).contains(seq)), "byte {at}");
            }
            let (mut walk, mut found) = (run.each_term(), Vec::new());
            while walk.next(&mut found).is_some() {
                assert!(found.drain(..).all(|seq| (FIRST..=last).contains(&seq)), "byte {at}");
            }
        }
    }
}
