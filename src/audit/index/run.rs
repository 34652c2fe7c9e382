//! A run: the index of some sealed segments in a row, as one immutable file.
//!
//! ```text
//!  off  size  field
//!    0     8  magic 4B 4C 49 44 58 0D 0A 1A ("KLIDX" CR LF SUB)
//!    8   2+2  format major 1, minor 0
//!   12     2  version of the terms (`mention`): another one is not used
//!   14     1  bucket bits b       15  1  value bits w
//!   16    16  ledger id
//!   32   8+8  first seq, last seq
//!   48    32  BLAKE3 of the seals of the segments it was made from
//!   80   8+8  first and last recorded_at, ns
//!   96   8+8  first and last effective_at, ns
//!  112   8+8  entries, lists
//!  128   4+4  stretches, groups
//!  136   116  reserved
//!  252     4  CRC of 0..252
//!  256        directory: (2^b + 1) × u32, the first entry of each bucket
//!             stretches: 24 B each: base_seq of a segment, the first seq here that stands in it, its first group, 0
//!             groups: u32 each: where 64 frames of a stretch begin in their segment, in units of 8 B; 2^32 − 1: unknown
//!             frame lengths: u8 each, in units of 8 B
//!             entries: 28 − b bits of hash, 1 bit "is a list", w bits of value; then 8 bytes of zeros
//!             list places: lists × u32, counted from the first list
//!             lists: count varint, k u8, Rice-coded gaps; then 8 bytes of zeros
//!          32 BLAKE3 of everything before it
//! ```
//!
//! A term is known here by the upper 28 bits of its hash: b of them choose a bucket, the rest stand in the entry, in order. A term in
//! few commits has an entry for each, whose value is the seq less the first; any other has one entry whose value is the number of
//! its list. So a lookup touches one word of the directory, one bucket and at most one list.
//!
//! Two terms may share 28 bits: whoever asks looks at the commits. (More bits are half a byte a commit each four; at a million
//! entries one lookup in 256 reads a commit in vain.)
//!
//! Frames are found by adding up at most 63 lengths, without touching the frames before them. A run is derived: one that does not match is built anew.
//!
//! Not here: which runs there are (`super`), how they are built and merged (`build`).

use super::bits::{PAD, bits_at, read_gaps};
use crate::audit::Term;
use crate::log::{DerivedFile, prefetch};
use crate::model::Time;
use std::path::Path;

pub(super) const MAGIC: [u8; 8] = [0x4b, 0x4c, 0x49, 0x44, 0x58, 0x0d, 0x0a, 0x1a];
pub(super) const MAJOR: u16 = 1;
/// Goes up whenever `mention` gives other terms for the same commit.
pub(super) const TERMS_VERSION: u16 = 1;
pub(super) const HEADER_BYTES: usize = 256;
pub(super) const HASH_BYTES: usize = 32;
/// Bits of a term's hash that are kept.
pub(super) const PREFIX_BITS: u32 = 28;
/// Frames whose place is found from one offset.
pub(super) const GROUP: u64 = 64;
/// The place of a group that holds a frame too long for a byte.
pub(super) const UNKNOWN: u32 = u32::MAX;
pub(super) const STRETCH_BYTES: usize = 24;
/// Most commits of one run.
pub(super) const COMMITS_MAX: u64 = 1 << 30;

/// The kept bits of a term.
pub(super) fn prefix_of(term: Term) -> u64 {
    term.0 >> (64 - PREFIX_BITS)
}

/// What a run says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunHeader {
    pub ledger_id: [u8; 16],
    pub first_seq: u64,
    pub last_seq: u64,
    pub source: [u8; 32],
    pub recorded: (Time, Time),
    pub effective: (Time, Time),
    pub bucket_bits: u32,
    pub value_bits: u32,
    pub entries: u64,
    pub lists: u64,
    pub stretches: u32,
    pub groups: u32,
}

impl RunHeader {
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC);
        put(8, &MAJOR.to_le_bytes());
        put(12, &TERMS_VERSION.to_le_bytes());
        put(14, &[self.bucket_bits as u8, self.value_bits as u8]);
        put(16, &self.ledger_id);
        put(32, &self.first_seq.to_le_bytes());
        put(40, &self.last_seq.to_le_bytes());
        put(48, &self.source);
        for (at, time) in
            [(80, self.recorded.0), (88, self.recorded.1), (96, self.effective.0), (104, self.effective.1)]
        {
            put(at, &time.0.to_le_bytes());
        }
        put(112, &self.entries.to_le_bytes());
        put(120, &self.lists.to_le_bytes());
        put(128, &self.stretches.to_le_bytes());
        put(132, &self.groups.to_le_bytes());
        let crc = crc32fast::hash(&header[..252]);
        header[252..].copy_from_slice(&crc.to_le_bytes());
        header
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        let number = |at: usize| header[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or_default();
        let time = |at: usize| Time(number(at).cast_signed());
        let crc = u32::from_le_bytes(header[252..].try_into().ok()?);
        let is_known = header[..8] == MAGIC
            && header[8..12] == [MAJOR.to_le_bytes(), [0; 2]].concat()
            && header[12..14] == TERMS_VERSION.to_le_bytes()
            && header[136..252].iter().all(|byte| *byte == 0)
            && crc32fast::hash(&header[..252]) == crc;
        let decoded = Self {
            ledger_id: header[16..32].try_into().ok()?,
            first_seq: number(32),
            last_seq: number(40),
            source: header[48..80].try_into().ok()?,
            recorded: (time(80), time(88)),
            effective: (time(96), time(104)),
            bucket_bits: u32::from(header[14]),
            value_bits: u32::from(header[15]),
            entries: number(112),
            lists: number(120),
            stretches: number(128) as u32,
            groups: (number(128) >> 32) as u32,
        };
        let is_bounded = decoded.bucket_bits <= 30
            && decoded.value_bits <= 32
            && decoded.first_seq > 0
            && decoded.first_seq <= decoded.last_seq
            && decoded.last_seq - decoded.first_seq < COMMITS_MAX
            && u32::try_from(decoded.entries).is_ok()
            && decoded.lists <= decoded.entries;
        (is_known && is_bounded).then_some(decoded)
    }

    pub fn commits(&self) -> u64 {
        self.last_seq - self.first_seq + 1
    }

    fn entry_bits(&self) -> usize {
        (PREFIX_BITS - self.bucket_bits + 1 + self.value_bits) as usize
    }
}

#[derive(Debug)]
enum Bytes {
    Owned(Vec<u8>),
    Mapped(DerivedFile),
}

/// One run, checked and ready to be asked.
#[derive(Debug)]
pub(super) struct Run {
    bytes: Bytes,
    pub header: RunHeader,
    stretches_at: usize,
    groups_at: usize,
    lens_at: usize,
    entries_at: usize,
    places_at: usize,
    lists_at: usize,
    end: usize,
}

/// Commits in a row whose frames stand in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Of the segment.
    pub base_seq: u64,
    pub first: u64,
    /// The group that begins with `first`.
    pub group: usize,
}

/// Where a lookup of one term stands; see [`Run::probe`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    bucket: usize,
    rest: u64,
}

impl Run {
    /// Takes bytes that were built here.
    pub fn owned(bytes: Vec<u8>) -> Option<Self> {
        let header = RunHeader::decode(&bytes)?;
        Self::checked(Bytes::Owned(bytes), header)
    }

    /// Opens a file if it is whole and of this ledger; `None` otherwise, whatever is wrong with it.
    pub fn open(io: &dyn crate::sys::Io, path: &Path, ledger_id: &[u8; 16]) -> Option<Self> {
        let file = DerivedFile::open(io, path).ok()?;
        let bytes = file.bytes().ok()?;
        let header = RunHeader::decode(bytes).filter(|header| header.ledger_id == *ledger_id)?;
        let body = bytes.len().checked_sub(HASH_BYTES)?;
        if blake3::hash(&bytes[..body]).as_bytes() != &bytes[body..] {
            return None;
        }
        Self::checked(Bytes::Mapped(file), header)
    }

    fn checked(bytes: Bytes, header: RunHeader) -> Option<Self> {
        let mut run = Self {
            bytes,
            header,
            stretches_at: 0,
            groups_at: 0,
            lens_at: 0,
            entries_at: 0,
            places_at: 0,
            lists_at: 0,
            end: 0,
        };
        let len = run.bytes().len();
        let directory = 4 * ((1_usize << header.bucket_bits) + 1);
        run.stretches_at = HEADER_BYTES + directory;
        run.groups_at = run.stretches_at + STRETCH_BYTES * header.stretches as usize;
        run.lens_at = run.groups_at + 4 * header.groups as usize;
        run.entries_at = run.lens_at.checked_add(usize::try_from(header.commits()).ok()?)?;
        let entries = (usize::try_from(header.entries).ok()? * header.entry_bits()).div_ceil(8) + PAD;
        run.places_at = run.entries_at.checked_add(entries)?;
        run.lists_at = run.places_at.checked_add(4 * usize::try_from(header.lists).ok()?)?;
        run.end = len.checked_sub(HASH_BYTES)?;
        (run.lists_at + PAD <= run.end).then_some(run)
    }

    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Owned(bytes) => bytes,
            // It was read whole when it was opened.
            Bytes::Mapped(file) => file.bytes().unwrap_or_default(),
        }
    }

    fn word(&self, at: usize) -> usize {
        let four = self.bytes().get(at..at + 4).and_then(|four| four.try_into().ok());
        four.map_or(0, |four| u32::from_le_bytes(four) as usize)
    }

    /// The first step of a lookup: asks for the directory's cache line. Done for all runs before any goes on, the misses
    /// are waited for together.
    #[inline]
    pub fn probe(&self, prefix: u64) -> Probe {
        let rest_bits = PREFIX_BITS - self.header.bucket_bits;
        let bucket = (prefix >> rest_bits) as usize;
        prefetch(self.bytes(), HEADER_BYTES + 4 * bucket);
        Probe { bucket, rest: prefix & ((1 << rest_bits) - 1) }
    }

    fn bucket(&self, probe: Probe) -> (usize, usize) {
        let at = HEADER_BYTES + 4 * probe.bucket;
        let most = self.header.entries as usize;
        let from = self.word(at).min(most);
        (from, self.word(at + 4).clamp(from, most))
    }

    /// The second step: asks for the bucket's cache lines.
    #[inline]
    pub fn approach(&self, probe: Probe) {
        let (from, to) = self.bucket(probe);
        let bits = self.header.entry_bits();
        let (start, end) = (self.entries_at + from * bits / 8, self.entries_at + to * bits / 8);
        for at in (start..=end).step_by(64) {
            prefetch(self.bytes(), at);
        }
    }

    fn entry(&self, index: usize) -> (u64, bool, u64) {
        let header = &self.header;
        let bytes = self.bytes().get(self.entries_at..self.places_at).unwrap_or_default();
        let rest_bits = PREFIX_BITS - header.bucket_bits;
        let at = index * header.entry_bits();
        let rest = bits_at(bytes, at, rest_bits);
        let value = bits_at(bytes, at + rest_bits as usize, header.value_bits + 1);
        (rest, value & 1 == 1, value >> 1)
    }

    fn list(&self, number: u64) -> (usize, u32, &[u8]) {
        let none: (usize, u32, &[u8]) = (0, 0, &[]);
        if number >= self.header.lists {
            return none;
        }
        let at = self.lists_at + self.word(self.places_at + 4 * number as usize);
        let Some(bytes) = self.bytes().get(at..self.end) else { return none };
        let (mut count, mut used) = (0_usize, 0);
        for byte in bytes.iter().take(5) {
            count |= usize::from(byte & 0x7f) << (7 * used);
            used += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let k = bytes.get(used).map_or(0, |k| u32::from(*k).min(31));
        (count.min(self.header.commits() as usize), k, bytes.get(used + 1..).unwrap_or_default())
    }

    /// The entries of a term: from, to.
    fn entries_of(&self, probe: Probe) -> (usize, usize) {
        let (from, to) = self.bucket(probe);
        let (mut low, mut high) = (from, to);
        while low < high {
            let middle = low.midpoint(high);
            if self.entry(middle).0 < probe.rest { low = middle + 1 } else { high = middle }
        }
        let mut end = low;
        while end < to && self.entry(end).0 == probe.rest {
            end += 1;
        }
        (low, end)
    }

    /// The last step: hands every seq of the term to `f`, ascending.
    #[inline]
    pub fn seqs(&self, probe: Probe, mut f: impl FnMut(u64)) {
        let (from, to) = self.entries_of(probe);
        for index in from..to {
            let (_, is_list, value) = self.entry(index);
            self.postings(is_list, value, &mut f);
        }
    }

    fn postings(&self, is_list: bool, value: u64, f: &mut impl FnMut(u64)) {
        let first = self.header.first_seq;
        if is_list {
            let (count, k, bits) = self.list(value);
            read_gaps(bits, count, k, self.header.commits(), |number| f(first + number));
        } else if value < self.header.commits() {
            f(first + value);
        }
    }

    fn stretch(&self, index: usize) -> Stretch {
        let at = self.stretches_at + STRETCH_BYTES * index;
        let number = |at: usize| {
            let eight = self.bytes().get(at..at + 8).and_then(|eight| eight.try_into().ok());
            eight.map_or(0, u64::from_le_bytes)
        };
        Stretch { base_seq: number(at), first: number(at + 8), group: number(at + 16) as usize }
    }

    /// The segment and offset of a frame of this run; `None` where that is not known.
    pub fn place_of(&self, seq: u64) -> Option<(u64, u64)> {
        let number = seq.checked_sub(self.header.first_seq).filter(|number| *number < self.header.commits())?;
        let (mut low, mut high) = (0, self.header.stretches as usize);
        while low < high {
            let middle = low.midpoint(high);
            if self.stretch(middle).first <= seq { low = middle + 1 } else { high = middle }
        }
        let Stretch { base_seq, first, group } = self.stretch(low.checked_sub(1)?);
        let within = seq - first;
        let group = group + (within / GROUP) as usize;
        if group >= self.header.groups as usize {
            return None;
        }
        let begin = u32::try_from(self.word(self.groups_at + 4 * group)).ok().filter(|at| *at != UNKNOWN)?;
        let before = (within % GROUP) as usize;
        let end = self.lens_at + number as usize;
        let lens = self.bytes().get(end.checked_sub(before)?..end)?;
        let sum: u64 = lens.iter().map(|len| u64::from(*len)).sum();
        Some((base_seq, 8 * (u64::from(begin) + sum)))
    }

    /// What a merge takes over as it is: stretches, groups and lengths.
    pub fn frames(&self) -> (Vec<Stretch>, &[u8], &[u8]) {
        let stretches = (0..self.header.stretches as usize).map(|index| self.stretch(index)).collect();
        let bytes = self.bytes();
        let groups = bytes.get(self.groups_at..self.lens_at).unwrap_or_default();
        (stretches, groups, bytes.get(self.lens_at..self.entries_at).unwrap_or_default())
    }

    /// How many commits have the term.
    pub fn count(&self, prefix: u64) -> usize {
        let (from, to) = self.entries_of(self.probe(prefix));
        let of = |index| match self.entry(index) {
            (_, true, value) => self.list(value).0,
            _ => 1,
        };
        (from..to).map(of).sum()
    }

    /// Every term with its commits, in order of the terms: for a merge. Calls `f` with a prefix and its seqs.
    pub fn each_term(&self) -> Terms<'_> {
        Terms { run: self, bucket: 0, bucket_end: self.word(HEADER_BYTES + 4), next: 0 }
    }
}

/// Walks the terms of a run.
pub(super) struct Terms<'a> {
    run: &'a Run,
    bucket: u64,
    bucket_end: usize,
    next: usize,
}

impl Terms<'_> {
    /// The prefix of the next term, its seqs appended to `seqs`. `None` at the end.
    pub fn next(&mut self, seqs: &mut Vec<u64>) -> Option<u64> {
        let header = &self.run.header;
        let entries = header.entries as usize;
        let last_bucket = (1_u64 << header.bucket_bits) - 1;
        while self.next >= self.bucket_end.min(entries) {
            if self.bucket == last_bucket {
                return None;
            }
            self.bucket += 1;
            self.bucket_end = self.run.word(HEADER_BYTES + 4 * (self.bucket as usize + 1));
        }
        let (rest, ..) = self.run.entry(self.next);
        while self.next < self.bucket_end.min(entries) {
            let (of, is_list, value) = self.run.entry(self.next);
            if of != rest {
                break;
            }
            self.run.postings(is_list, value, &mut |seq| seqs.push(seq));
            self.next += 1;
        }
        Some((self.bucket << (PREFIX_BITS - header.bucket_bits)) | rest)
    }
}
