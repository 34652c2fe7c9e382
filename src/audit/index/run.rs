//! A run: the index of some sealed segments in a row, as one immutable file.
//!
//! ```text
//!  off  size  field
//!    0     8  magic 4B 4C 49 44 58 0D 0A 1A ("KLIDX" CR LF SUB)
//!    8   2+2  format major 2, minor 0
//!   12     2  version of the terms (`mention`): another one is not used
//!   14     1  bucket bits b       15  1  reserved
//!   16    16  ledger id
//!   32   8+8  first seq, last seq
//!   48    32  BLAKE3 of the seals of the segments it was made from
//!   80   8+8  first and last recorded_at, ns
//!   96   8+8  first and last effective_at, ns
//!  112   8+8  terms, bytes of all buckets
//!  128   4+4  stretches, groups
//!  136   116  reserved
//!  252     4  CRC of 0..252
//!  256        directory: (2^b + 1) × u32, where each bucket begins, counted from the first
//!             stretches: 24 B each: base_seq of a segment, the first seq here that stands in it, its first group, 0
//!             groups: u32 each: where 64 frames of a stretch begin in their segment, in units of 8 B; 2^32 − 1: unknown
//!             frame lengths: u8 each, in units of 8 B
//!             buckets: nothing where a bucket has no term, else a varint of how many it has, then bits: the low 28 − b bits of
//!             each term, ascending, then of each its postings: a count; if it is 1, the commit's number in as many bits as the
//!             run's last commit has; up to 16, Rice-coded gaps; above, 32 bits that say where its list begins; 8 bytes of zeros
//!             lists: Rice-coded gaps; 8 bytes of zeros
//!          32 BLAKE3 of everything before it
//! ```
//!
//! A term is known here by the upper 28 bits of its hash: b of them choose a bucket, the rest stand in it. A commit's number is its
//! seq less the first. So a lookup touches one word of the directory, one bucket and at most one list; where the run does not have
//! the term, which is the rule, it compares a few fixed-width numbers and decodes nothing.
//!
//! Two terms may share 28 bits: whoever asks looks at the commits. (More bits are half a byte a commit each four; at a million
//! terms one lookup in 256 reads a commit in vain.)
//!
//! Frames are found by adding up at most 63 lengths, without touching the frames before them. A run is derived: one that does not
//! match is built anew.
//!
//! Not here: which runs there are (`super`), how they are built and merged (`build`).

use super::bits::{BitReader, PAD, bits_at, rice_k};
use crate::audit::Term;
use crate::log::{DerivedFile, prefetch};
use crate::model::Time;
use std::path::Path;

pub(super) const MAGIC: [u8; 8] = [0x4b, 0x4c, 0x49, 0x44, 0x58, 0x0d, 0x0a, 0x1a];
pub(super) const MAJOR: u16 = 2;
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
/// Postings of a term that stand in its bucket; more are a list of their own, which nobody reads who looks for another term.
pub(super) const INLINE_MAX: u64 = 16;
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
    pub terms: u64,
    pub bucket_bytes: u64,
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
        put(14, &[self.bucket_bits as u8]);
        put(16, &self.ledger_id);
        put(32, &self.first_seq.to_le_bytes());
        put(40, &self.last_seq.to_le_bytes());
        put(48, &self.source);
        for (at, time) in
            [(80, self.recorded.0), (88, self.recorded.1), (96, self.effective.0), (104, self.effective.1)]
        {
            put(at, &time.0.to_le_bytes());
        }
        put(112, &self.terms.to_le_bytes());
        put(120, &self.bucket_bytes.to_le_bytes());
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
            && header[15] == 0
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
            terms: number(112),
            bucket_bytes: number(120),
            stretches: number(128) as u32,
            groups: (number(128) >> 32) as u32,
        };
        let is_bounded = decoded.bucket_bits <= PREFIX_BITS
            && decoded.first_seq > 0
            && decoded.first_seq <= decoded.last_seq
            && decoded.last_seq - decoded.first_seq < COMMITS_MAX
            && u32::try_from(decoded.terms).is_ok()
            && u32::try_from(decoded.bucket_bytes).is_ok();
        (is_known && is_bounded).then_some(decoded)
    }

    pub fn commits(&self) -> u64 {
        self.last_seq - self.first_seq + 1
    }

    /// The bits of a term that stand in its bucket.
    pub fn rest_bits(&self) -> u32 {
        PREFIX_BITS - self.bucket_bits
    }

    /// The bits of a commit's number.
    pub fn number_bits(&self) -> u32 {
        u64::BITS - (self.commits() - 1).leading_zeros()
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
    buckets_at: usize,
    lists_at: usize,
    end: usize,
}

/// Commits in a row whose frames stand in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Of the segment.
    pub base_seq: u64,
    pub first: u64,
    /// Read from the run; the writer knows it by the next stretch.
    pub last: u64,
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
        let mut run =
            Self { bytes, header, stretches_at: 0, groups_at: 0, lens_at: 0, buckets_at: 0, lists_at: 0, end: 0 };
        let len = run.bytes().len();
        let directory = 4 * ((1_usize << header.bucket_bits) + 1);
        run.stretches_at = HEADER_BYTES + directory;
        run.groups_at = run.stretches_at + STRETCH_BYTES * header.stretches as usize;
        run.lens_at = run.groups_at + 4 * header.groups as usize;
        run.buckets_at = run.lens_at.checked_add(usize::try_from(header.commits()).ok()?)?;
        run.lists_at = run.buckets_at.checked_add(usize::try_from(header.bucket_bytes).ok()? + PAD)?;
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
        let rest_bits = self.header.rest_bits();
        let bucket = (prefix >> rest_bits) as usize;
        prefetch(self.bytes(), HEADER_BYTES + 4 * bucket);
        Probe { bucket, rest: prefix & ((1 << rest_bits) - 1) }
    }

    /// Where a bucket stands among the bytes.
    fn place_of_bucket(&self, bucket: usize) -> (usize, usize) {
        let at = HEADER_BYTES + 4 * bucket;
        let most = self.header.bucket_bytes as usize;
        let from = self.word(at).min(most);
        (self.buckets_at + from, self.buckets_at + self.word(at + 4).clamp(from, most))
    }

    /// The second step: asks for the first cache lines of the bucket, where its terms are.
    #[inline]
    pub fn approach(&self, probe: Probe) {
        let (from, to) = self.place_of_bucket(probe.bucket);
        for at in (from..to.min(from + 192)).step_by(64) {
            prefetch(self.bytes(), at);
        }
    }

    fn bucket(&self, number: usize) -> Bucket<'_> {
        let (from, to) = self.place_of_bucket(number);
        if from == to {
            return Bucket { terms: 0, bits: &[] };
        }
        let bytes = self.bytes().get(from..self.lists_at).unwrap_or_default();
        let (mut terms, mut used) = (0_usize, 0);
        for byte in bytes.iter().take(5) {
            terms |= usize::from(byte & 0x7f) << (7 * used);
            used += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        // Each takes a bit at least.
        Bucket { terms: terms.min(8 * (to - from)), bits: bytes.get(used..).unwrap_or_default() }
    }

    /// Where the postings of a term begin, if it is here.
    #[inline]
    fn find(&self, probe: Probe) -> Option<BitReader<'_>> {
        let Bucket { terms, bits } = self.bucket(probe.bucket);
        let rest_bits = self.header.rest_bits();
        let rest = |index: usize| bits_at(bits, index * rest_bits as usize, rest_bits);
        let (mut low, mut high) = (0, terms);
        while low < high {
            let middle = low.midpoint(high);
            if rest(middle) < probe.rest { low = middle + 1 } else { high = middle }
        }
        if low == terms || rest(low) != probe.rest {
            return None;
        }
        let mut reader = BitReader::new(bits, terms * rest_bits as usize);
        for _ in 0..low {
            self.skip(&mut reader)?;
        }
        Some(reader)
    }

    /// The last step: hands every seq of the term to `f`, ascending.
    #[inline]
    pub fn seqs(&self, probe: Probe, f: impl FnMut(u64)) {
        if let Some(mut reader) = self.find(probe) {
            let _ = self.postings(&mut reader, f);
        }
    }

    /// Hands the postings that `reader` stands at to `f`. `None`: nothing was written here.
    fn postings(&self, reader: &mut BitReader<'_>, mut f: impl FnMut(u64)) -> Option<()> {
        let (first, commits) = (self.header.first_seq, self.header.commits());
        let count = reader.count()?;
        if count == 1 {
            let number = reader.number(self.header.number_bits());
            return (number < commits).then(|| f(first + number));
        }
        let k = rice_k(commits, count);
        if count <= INLINE_MAX {
            return reader.gaps(count, k, commits, |number| f(first + number));
        }
        let list = self.bytes().get(self.lists_at + reader.number(32) as usize..self.end)?;
        BitReader::new(list, 0).gaps(count, k, commits, |number| f(first + number))
    }

    fn skip(&self, reader: &mut BitReader<'_>) -> Option<()> {
        let commits = self.header.commits();
        match reader.count()? {
            1 => _ = reader.number(self.header.number_bits()),
            count if count <= INLINE_MAX => reader.gaps(count, rice_k(commits, count), commits, |_| {})?,
            _ => _ = reader.number(32),
        }
        Some(())
    }

    fn stretch(&self, index: usize) -> Stretch {
        let at = self.stretches_at + STRETCH_BYTES * index;
        let number = |at: usize| {
            let eight = self.bytes().get(at..at + 8).and_then(|eight| eight.try_into().ok());
            eight.map_or(0, u64::from_le_bytes)
        };
        let next = if index + 1 < self.header.stretches as usize { number(at + STRETCH_BYTES + 8) } else { u64::MAX };
        let last = next.saturating_sub(1).min(self.header.last_seq);
        Stretch { base_seq: number(at), first: number(at + 8), last, group: number(at + 16) as usize }
    }

    /// The stretch that has a commit of this run.
    pub fn stretch_of(&self, seq: u64) -> Option<Stretch> {
        let (mut low, mut high) = (0, self.header.stretches as usize);
        while low < high {
            let middle = low.midpoint(high);
            if self.stretch(middle).first <= seq { low = middle + 1 } else { high = middle }
        }
        Some(self.stretch(low.checked_sub(1)?)).filter(|stretch| seq <= stretch.last)
    }

    /// Asks for the cache lines that [`Run::place_of`] will read.
    #[inline]
    pub fn approach_place(&self, seq: u64, stretch: &Stretch) {
        let within = seq.saturating_sub(stretch.first);
        let group = stretch.group.saturating_add((within / GROUP) as usize);
        prefetch(self.bytes(), self.groups_at.saturating_add(4 * group));
        let end = self.lens_at + seq.saturating_sub(self.header.first_seq) as usize;
        prefetch(self.bytes(), end.saturating_sub((within % GROUP) as usize));
        prefetch(self.bytes(), end);
    }

    /// The segment and offset of a frame of `stretch`; `None` where that is not known.
    #[inline]
    pub fn place_of(&self, seq: u64, stretch: &Stretch) -> Option<(u64, u64)> {
        let number = seq.checked_sub(self.header.first_seq)? as usize;
        let within = seq.checked_sub(stretch.first)?;
        let group = stretch.group.checked_add((within / GROUP) as usize)?;
        if group >= self.header.groups as usize {
            return None;
        }
        let begin = u32::try_from(self.word(self.groups_at + 4 * group)).ok().filter(|at| *at != UNKNOWN)?;
        let before = (within % GROUP) as usize;
        let end = self.lens_at + number.min(self.header.commits() as usize);
        let lens = self.bytes().get(end.checked_sub(before)?..end)?;
        let sum: u32 = lens.iter().map(|len| u32::from(*len)).sum();
        Some((stretch.base_seq, 8 * (u64::from(begin) + u64::from(sum))))
    }

    /// What a merge takes over as it is: stretches, groups and lengths.
    pub fn frames(&self) -> (Vec<Stretch>, &[u8], &[u8]) {
        let stretches = (0..self.header.stretches as usize).map(|index| self.stretch(index)).collect();
        let bytes = self.bytes();
        let groups = bytes.get(self.groups_at..self.lens_at).unwrap_or_default();
        (stretches, groups, bytes.get(self.lens_at..self.buckets_at).unwrap_or_default())
    }

    /// How many commits have the term.
    pub fn count(&self, prefix: u64) -> usize {
        let count = self.find(self.probe(prefix)).and_then(|mut reader| reader.count());
        count.unwrap_or(0).min(self.header.commits()) as usize
    }

    /// Every term with its commits, in order of the terms: for a merge.
    pub fn each_term(&self) -> Terms<'_> {
        let none = Bucket { terms: 0, bits: &[] };
        Terms { run: self, next_bucket: 0, bucket: none, index: 0, reader: BitReader::new(&[], 0) }
    }
}

/// Some terms in a row, which share their upper bits.
#[derive(Debug, Clone, Copy)]
struct Bucket<'a> {
    terms: usize,
    bits: &'a [u8],
}

/// Walks the terms of a run.
pub(super) struct Terms<'a> {
    run: &'a Run,
    next_bucket: usize,
    bucket: Bucket<'a>,
    /// The next term of the bucket, and where its postings begin.
    index: usize,
    reader: BitReader<'a>,
}

impl Terms<'_> {
    /// The prefix of the next term, its seqs appended to `seqs`. `None` at the end.
    pub fn next(&mut self, seqs: &mut Vec<u64>) -> Option<u64> {
        let rest_bits = self.run.header.rest_bits();
        while self.index == self.bucket.terms {
            if self.next_bucket == 1 << self.run.header.bucket_bits {
                return None;
            }
            self.bucket = self.run.bucket(self.next_bucket);
            self.next_bucket += 1;
            self.index = 0;
            self.reader = BitReader::new(self.bucket.bits, self.bucket.terms * rest_bits as usize);
        }
        let rest = bits_at(self.bucket.bits, self.index * rest_bits as usize, rest_bits);
        self.index += 1;
        self.run.postings(&mut self.reader, |seq| seqs.push(seq))?;
        Some(((self.next_bucket as u64 - 1) << rest_bits) | rest)
    }
}
