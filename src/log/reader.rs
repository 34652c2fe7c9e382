//! Reading a log: frame by frame, from any seq or time, beside the writer or in another process.
//!
//! Frames are borrowed from the maps. Each is checked by its two CRCs when it is read; hash, chain and tree are
//! checked when a log is opened (the last segment), by [`LogReader::verify_segment`] and by [`super::verify()`].
//!
//! Not here: how a reader in another process keeps up (`follow`), and what payloads mean.

use super::error::LogError;
use super::follow::Follow;
use super::frame::{Bad, Frame};
use super::map::prefetch;
use super::meta::Meta;
use super::segment::HEADER;
use super::shared::{Published, Segment};
use super::tree::{Hash, Tree};
use super::walk::Position;
use crate::sys::Io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Reads what is durable. Cheap to clone; clones share maps and offsets.
#[derive(Debug)]
pub struct LogReader {
    pub(super) published: Arc<Published>,
    /// None beside the writer, which publishes by itself.
    pub(super) follow: Option<Arc<Follow>>,
    /// What `refresh` last returned, so that `wait` misses nothing.
    seen: AtomicU64,
}

impl Clone for LogReader {
    fn clone(&self) -> Self {
        Self {
            published: Arc::clone(&self.published),
            follow: self.follow.clone(),
            seen: AtomicU64::new(self.seen.load(Ordering::Relaxed)),
        }
    }
}

/// One segment, as far as it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    pub path: PathBuf,
    pub index: u64,
    pub base_seq: u64,
    /// base_seq − 1 while it is empty.
    pub last_seq: u64,
    pub sealed: bool,
    /// None while it is empty.
    pub first_recorded_at_ns: Option<i64>,
    pub last_recorded_at_ns: Option<i64>,
    /// Size of the file.
    pub bytes: u64,
    /// Where the frames end.
    pub end_offset: u64,
    /// BLAKE3 of everything before the seal, as the seal has it.
    pub seal_blake3: Option<Hash>,
}

/// What the walk over one whole segment gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentCheck {
    pub base_seq: u64,
    pub last_seq: u64,
    /// Chain head and tree root behind its last frame.
    pub chain_head: Hash,
    pub tree_root: Hash,
}

impl LogReader {
    /// Opens a log to read, in any process. Takes no lock and writes nothing. While a writer is at work it reads as
    /// far as the witness says; otherwise as far as a recovery would keep.
    ///
    /// # Errors
    /// As [`super::LogWriter::open`], without [`LogError::Held`].
    #[expect(clippy::needless_pass_by_value, reason = "as the writer's")]
    pub fn open(io: Arc<dyn Io>, dir: &Path) -> Result<LogReader, LogError> {
        super::follow::open(&io, dir)
    }

    /// As [`LogReader::open`], but of a damaged log gives what lies before the damage, and the damage.
    ///
    /// # Errors
    /// When META cannot be read, or not even the first segment begins well.
    #[expect(clippy::needless_pass_by_value, reason = "as the writer's")]
    pub fn open_up_to_damage(io: Arc<dyn Io>, dir: &Path) -> Result<(LogReader, Option<LogError>), LogError> {
        super::follow::open_up_to_damage(&io, dir)
    }

    pub(super) fn beside_writer(published: Arc<Published>) -> Self {
        let seen = AtomicU64::new(published.durable_seq());
        Self { published, follow: None, seen }
    }

    pub(super) fn following(published: Arc<Published>, follow: Follow) -> Self {
        let seen = AtomicU64::new(published.durable_seq());
        Self { published, follow: Some(Arc::new(follow)), seen }
    }

    /// Looks for what was written since, across rolls and restarts of the writer. Returns the last seq.
    ///
    /// # Errors
    /// [`LogError::Fork`] or [`LogError::MissingAcknowledged`] when what was read before is no longer part of the
    /// log: the reader must be opened anew, and whoever relied on it told.
    pub fn refresh(&self) -> Result<u64, LogError> {
        if let Some(follow) = &self.follow {
            follow.refresh(&self.published)?;
        }
        let last = self.published.durable_seq();
        self.seen.store(last, Ordering::Relaxed);
        Ok(last)
    }

    /// Returns when there may be something that the last [`LogReader::refresh`] did not see, or after `timeout`.
    /// On the simulated disk at once.
    ///
    /// # Errors
    /// When the folder cannot be watched.
    pub fn wait(&self, timeout: Duration) -> Result<(), LogError> {
        if let Some(follow) = &self.follow {
            return follow.wait(&self.published, timeout);
        }
        self.published.wait_beyond(self.seen.load(Ordering::Relaxed), timeout);
        Ok(())
    }

    /// Always 1: segments are kept.
    pub fn first_seq(&self) -> u64 {
        1
    }

    /// 0 while the log is empty.
    pub fn last_seq(&self) -> u64 {
        self.published.durable_seq()
    }

    pub fn meta(&self) -> &Meta {
        &self.published.meta
    }

    /// Frame `seq`, or `None` outside `first_seq..=last_seq`. Its CRCs are checked.
    ///
    /// # Errors
    /// [`LogError::Damaged`].
    pub fn frame(&self, seq: u64) -> Result<Option<Frame<'_>>, LogError> {
        if seq == 0 || seq > self.last_seq() {
            return Ok(None);
        }
        let Some((_, segment)) = self.published.segment_of(seq) else { return Ok(None) };
        let bytes = segment.bytes(self.published.io.as_ref(), segment.end())?;
        let offset = segment.offset_of(bytes, seq)?;
        segment.frame_at(bytes, offset, seq).map(Some)
    }

    /// Frame `seq` at a known offset of the segment that begins with `base_seq`: for indexes, which keep both.
    ///
    /// # Errors
    /// [`LogError::Damaged`] unless that very frame begins there.
    pub fn frame_at(&self, base_seq: u64, offset: u64, seq: u64) -> Result<Frame<'_>, LogError> {
        let segment = self.segment(base_seq)?;
        let bytes = segment.bytes(self.published.io.as_ref(), segment.end())?;
        segment.frame_at(bytes, usize::try_from(offset).unwrap_or(usize::MAX), seq)
    }

    /// Asks for the cache lines of a frame that [`LogReader::frame_at`] will read soon.
    pub(crate) fn approach(&self, base_seq: u64, offset: u64) {
        /// A header, an envelope and a short event.
        const LINES: usize = 6;
        let Ok(segment) = self.segment(base_seq) else { return };
        let Ok(bytes) = segment.bytes(self.published.io.as_ref(), segment.end()) else { return };
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        for line in 0..LINES {
            prefetch(bytes, offset.saturating_add(64 * line));
        }
    }

    /// The frames from `from_seq` up to what is the last one now, in order.
    pub fn frames(&self, from_seq: u64) -> Frames<'_> {
        Frames::new(&self.published, from_seq.max(1), self.last_seq())
    }

    /// The frames of the segment that begins with `base_seq`, as far as they are durable.
    ///
    /// # Errors
    /// [`LogError::MissingSegment`] if no segment begins there.
    pub fn segment_frames(&self, base_seq: u64) -> Result<Frames<'_>, LogError> {
        let last = self.segment(base_seq)?.last_seq().min(self.last_seq());
        Ok(Frames::new(&self.published, base_seq, last))
    }

    /// All segments, in order.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.published.segments.iter().map(info).collect()
    }

    /// The last seq recorded at `recorded_at_ns` or before; 0 if there is none.
    ///
    /// # Errors
    /// [`LogError::Damaged`].
    pub fn seq_at_time(&self, recorded_at_ns: i64) -> Result<u64, LogError> {
        let last = self.last_seq();
        let begun = |segment: &Segment| segment.recorded_at_ns().is_some_and(|(first, _)| first <= recorded_at_ns);
        let Some(place) = self.published.segments.partition_point(begun).checked_sub(1) else { return Ok(0) };
        let Some(segment) = self.published.segments.get(place) else { return Ok(0) };
        let bytes = segment.bytes(self.published.io.as_ref(), segment.end())?;
        // The frame at `low` is early enough, the one at `high` (if there is one) is not.
        let (mut low, mut high) = (segment.base_seq, segment.last_seq().min(last) + 1);
        while high - low > 1 {
            let middle = low.midpoint(high);
            let frame = segment.frame_at(bytes, segment.offset_of(bytes, middle)?, middle)?;
            if frame.recorded_at_ns <= recorded_at_ns { low = middle } else { high = middle }
        }
        Ok(low.min(last))
    }

    /// Walks one segment with everything checked: CRCs, hash, chain, tree, times, groups, and its seal if it has
    /// one. For callers that rebuild from the log on one core and verify on another.
    ///
    /// # Errors
    /// [`LogError::Damaged`] with the first place that is wrong.
    pub fn verify_segment(&self, base_seq: u64) -> Result<SegmentCheck, LogError> {
        let segment = self.segment(base_seq)?;
        let end = segment.end();
        let last_seq = segment.last_seq();
        let bytes = segment.bytes(self.published.io.as_ref(), end)?;
        let header = super::segment::check_header(
            bytes.get(..HEADER).unwrap_or_default(),
            segment.size,
            &segment.path,
            base_seq,
            &self.published.meta.ledger_id,
        )?;
        let mut at = Position::start_of(&header, i64::MIN);
        while at.seq < last_seq {
            match at.step(&self.published.keys, bytes, end) {
                Ok(_) => {}
                Err(Bad::Bytes) => return Err(LogError::damaged(&segment.path, at.offset, at.seq + 1)),
                Err(Bad::Unknown(what)) => return Err(LogError::UnknownVersion { path: segment.path.clone(), what }),
            }
        }
        let tree_root = at.tree.root();
        if segment.seal.get().is_some_and(|seal| seal.head != at.head || seal.tree_root != tree_root) {
            return Err(LogError::damaged(&segment.path, super::segment::limit(segment.size), last_seq));
        }
        Ok(SegmentCheck { base_seq, last_seq, chain_head: at.head, tree_root })
    }

    /// Chain head and RFC 6962 tree behind the last frame: from the last segment's header on.
    ///
    /// # Errors
    /// [`LogError::Damaged`].
    pub fn tree(&self) -> Result<(Hash, Tree), LogError> {
        let last = self.last_seq();
        let Some((_, segment)) = self.published.segment_of(last.max(1)) else { return Ok(([0; 32], Tree::default())) };
        let bytes = segment.bytes(self.published.io.as_ref(), segment.end())?;
        let header = super::segment::SegmentHeader::decode(bytes.get(..HEADER).unwrap_or_default())
            .map_err(|_| LogError::damaged(&segment.path, 0, segment.base_seq))?;
        let (mut head, mut tree) = (header.prev_hash, header.tree);
        for frame in Frames::new(&self.published, segment.base_seq, last) {
            let frame = frame?;
            head = frame.frame_hash;
            tree.push(frame.leaf());
        }
        Ok((head, tree))
    }

    fn segment(&self, base_seq: u64) -> Result<&Segment, LogError> {
        let found = self.published.segment_of(base_seq).map(|(_, segment)| segment);
        found
            .filter(|segment| segment.base_seq == base_seq)
            .ok_or_else(|| LogError::MissingSegment { segment: super::segment::path(&self.published.dir, base_seq) })
    }
}

fn info(segment: &Segment) -> SegmentInfo {
    let times = segment.recorded_at_ns();
    SegmentInfo {
        path: segment.path.clone(),
        index: segment.index,
        base_seq: segment.base_seq,
        last_seq: segment.last_seq(),
        sealed: segment.seal.get().is_some(),
        first_recorded_at_ns: times.map(|(first, _)| first),
        last_recorded_at_ns: times.map(|(_, last)| last),
        bytes: segment.size,
        end_offset: segment.end() as u64,
        seal_blake3: segment.seal.get().map(|seal| seal.blake3),
    }
}

/// Frames in order. After an error it ends.
#[derive(Debug)]
pub struct Frames<'a> {
    published: &'a Published,
    /// Place of the segment in hand; its bytes are empty before the first frame and after an error.
    place: usize,
    segment: Option<&'a Segment>,
    bytes: &'a [u8],
    offset: usize,
    next_seq: u64,
    last_seq: u64,
}

impl<'a> Frames<'a> {
    fn new(published: &'a Published, from_seq: u64, last_seq: u64) -> Self {
        Self { published, place: 0, segment: None, bytes: &[], offset: 0, next_seq: from_seq, last_seq }
    }

    /// Where the frame that `next` gives begins: base_seq of its segment and the offset there, for indexes.
    pub fn position(&self) -> Option<(u64, u64)> {
        Some((self.segment?.base_seq, self.offset as u64))
    }

    fn advance(&mut self) -> Result<Frame<'a>, LogError> {
        let io = self.published.io.as_ref();
        let segment = match self.segment {
            Some(segment) if self.next_seq <= segment.last_seq() => segment,
            before => {
                let found = match before {
                    Some(_) => self.published.segments.get(self.place + 1).map(|next| (self.place + 1, next)),
                    None => self.published.segment_of(self.next_seq),
                };
                let (place, segment) = found.ok_or_else(|| LogError::MissingSegment {
                    segment: super::segment::path(&self.published.dir, self.next_seq),
                })?;
                self.bytes = segment.bytes(io, segment.end())?;
                self.offset = segment.offset_of(self.bytes, self.next_seq)?;
                (self.place, self.segment) = (place, Some(segment));
                segment
            }
        };
        prefetch(self.bytes, self.offset + 4096);
        let frame = segment.frame_at(self.bytes, self.offset, self.next_seq)?;
        self.offset += frame.stored_len();
        self.next_seq += 1;
        Ok(frame)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next_seq > self.last_seq {
            return None;
        }
        let frame = self.advance();
        if frame.is_err() {
            self.next_seq = u64::MAX;
        }
        Some(frame)
    }
}
