//! What the writer publishes and readers borrow from: the segments and how far each is durable.
//!
//! Order of publication: a segment's end, then `durable_seq`. A reader loads `durable_seq` first, so whatever it finds
//! below that is whole. Nothing that was published is taken back or moved.
//!
//! Not here: how another process learns of new frames (`follow`), the questions readers ask (`reader`).

use super::error::LogError;
use super::frame::{self, Bad, Frame, Keys};
use super::map::View;
use super::meta::Meta;
use super::segment::{HEADER, Seal, SegmentHeader};
use super::shelf::Shelf;
use super::tree::Hash;
use crate::sys::{FileId, Io, OpenMode};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

/// A known offset is kept for each so many frames.
const STRIDE: u64 = 8;

/// The part of a log that is durable.
#[derive(Debug)]
pub(crate) struct Published {
    pub io: Arc<dyn Io>,
    pub dir: PathBuf,
    pub meta: Meta,
    pub keys: Keys,
    /// In order of `base_seq`.
    pub segments: Shelf<Segment>,
    durable_seq: AtomicU64,
    /// For readers beside the writer that have seen everything.
    waiting: AtomicUsize,
    sleep: Mutex<()>,
    woken: Condvar,
}

impl Published {
    pub fn new(io: Arc<dyn Io>, dir: &Path, meta: Meta) -> Self {
        let keys = meta.keys();
        Self {
            io,
            dir: dir.to_path_buf(),
            meta,
            keys,
            segments: Shelf::default(),
            durable_seq: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            woken: Condvar::new(),
        }
    }

    pub fn durable_seq(&self) -> u64 {
        self.durable_seq.load(Ordering::Acquire)
    }

    /// After the segment was extended: readers see everything up to `seq`.
    pub fn publish(&self, seq: u64) {
        self.durable_seq.store(seq, Ordering::SeqCst);
        // SeqCst on both: either this sees the waiter, or the waiter sees the new seq.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            drop(self.sleep.lock().unwrap_or_else(PoisonError::into_inner));
            self.woken.notify_all();
        }
    }

    /// Returns when there is more than `seen`, or after `timeout`.
    pub fn wait_beyond(&self, seen: u64, timeout: Duration) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let guard = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing_new = |(): &mut ()| self.durable_seq.load(Ordering::SeqCst) <= seen;
        drop(self.woken.wait_timeout_while(guard, timeout, nothing_new));
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    /// The segment that holds `seq`, with its place in order.
    pub fn segment_of(&self, seq: u64) -> Option<(usize, &Segment)> {
        let after = self.segments.partition_point(|segment| segment.base_seq <= seq);
        let place = after.checked_sub(1)?;
        Some((place, self.segments.get(place)?))
    }
}

/// One segment file and how much of it may be read.
#[derive(Debug)]
pub(crate) struct Segment {
    pub path: PathBuf,
    pub index: u64,
    pub base_seq: u64,
    pub size: u64,
    /// `frame_hash` of the frame before the first.
    pub prev_hash: Hash,
    /// First byte that may not be read.
    end: AtomicU64,
    last_seq: AtomicU64,
    first_at_ns: OnceLock<i64>,
    last_at_ns: AtomicI64,
    pub seal: OnceLock<Seal>,
    /// The newest is in use; older ones (of a file that recovery replaced) stay for who still borrows from them.
    views: Shelf<View>,
    /// Offset of the frames base_seq, base_seq + STRIDE, …, as far as somebody has walked.
    offsets: RwLock<Vec<u32>>,
}

impl Segment {
    pub fn new(path: PathBuf, header: &SegmentHeader) -> Self {
        Self {
            path,
            index: header.index,
            base_seq: header.base_seq,
            size: header.segment_size,
            prev_hash: header.prev_hash,
            end: AtomicU64::new(HEADER as u64),
            last_seq: AtomicU64::new(header.base_seq - 1),
            first_at_ns: OnceLock::new(),
            last_at_ns: AtomicI64::new(i64::MIN),
            seal: OnceLock::new(),
            views: Shelf::default(),
            offsets: RwLock::new(vec![HEADER as u32]),
        }
    }

    /// Lets readers see more. `end` and `last_seq` never go back.
    pub fn extend(&self, end: usize, last_seq: u64, first_at_ns: i64, last_at_ns: i64) {
        if last_seq >= self.base_seq {
            let _ = self.first_at_ns.set(first_at_ns);
            self.last_at_ns.store(last_at_ns, Ordering::Release);
        }
        self.last_seq.store(last_seq, Ordering::Release);
        self.end.store(end as u64, Ordering::Release);
    }

    /// Marks it closed, with what the seal says.
    pub fn close(&self, seal: Seal) {
        self.extend(seal.end_offset as usize, seal.last_seq, seal.first_recorded_at_ns, seal.last_recorded_at_ns);
        let _ = self.seal.set(seal);
    }

    pub fn end(&self) -> usize {
        self.end.load(Ordering::Acquire) as usize
    }

    /// base_seq − 1 while it is empty.
    pub fn last_seq(&self) -> u64 {
        self.last_seq.load(Ordering::Acquire)
    }

    pub fn recorded_at_ns(&self) -> Option<(i64, i64)> {
        Some((*self.first_at_ns.get()?, self.last_at_ns.load(Ordering::Acquire)))
    }

    /// The bytes up to `end`.
    pub fn bytes(&self, io: &dyn Io, end: usize) -> Result<&[u8], LogError> {
        let view = match self.views.last() {
            Some(view) => view,
            None => self.open_view(io)?,
        };
        view.bytes(end).map_err(LogError::io("read", &self.path))
    }

    fn open_view(&self, io: &dyn Io) -> Result<&View, LogError> {
        static OPENING: Mutex<()> = Mutex::new(());
        let _guard = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
        if self.views.last().is_none() {
            self.reopen(io)?;
        }
        self.views.last().ok_or_else(|| LogError::damaged(&self.path, 0, self.base_seq))
    }

    /// Looks at the file that has the name now, if it is another one; `true` if so.
    pub fn reopen(&self, io: &dyn Io) -> Result<bool, LogError> {
        let file = io.open(&self.path, OpenMode::Read).map_err(LogError::io("open", &self.path))?;
        let id: FileId = file.id().map_err(LogError::io("identify", &self.path))?;
        if self.views.last().is_some_and(|view| view.id() == id) {
            return Ok(false);
        }
        let view = View::open(&file, self.size as usize).map_err(LogError::io("map", &self.path))?;
        self.views.push(view);
        Ok(true)
    }

    /// Where frame `seq` begins in `bytes`, which hold it.
    pub fn offset_of(&self, bytes: &[u8], seq: u64) -> Result<usize, LogError> {
        let wanted = ((seq - self.base_seq) / STRIDE) as usize;
        let known = {
            let offsets = self.offsets.read().unwrap_or_else(PoisonError::into_inner);
            offsets.get(wanted).copied()
        };
        let offset = match known {
            Some(offset) => offset,
            None => self.learn_offsets(bytes, wanted)?,
        };
        let from = self.base_seq + wanted as u64 * STRIDE;
        self.skip(bytes, offset as usize, seq - from, from)
    }

    /// Walks on from the last known offset to entry `wanted`.
    fn learn_offsets(&self, bytes: &[u8], wanted: usize) -> Result<u32, LogError> {
        let mut offsets = self.offsets.write().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(offset) = offsets.get(wanted) {
                return Ok(*offset);
            }
            let Some(last) = offsets.last().copied() else {
                return Err(LogError::damaged(&self.path, HEADER, self.base_seq));
            };
            let from = self.base_seq + (offsets.len() as u64 - 1) * STRIDE;
            let next = self.skip(bytes, last as usize, STRIDE, from)?;
            offsets.push(next as u32);
        }
    }

    /// The offset `count` frames on from the one at `offset`, which is number `seq`.
    fn skip(&self, bytes: &[u8], mut offset: usize, count: u64, mut seq: u64) -> Result<usize, LogError> {
        for _ in 0..count {
            let len =
                frame::stored_len(bytes, offset, seq).ok_or_else(|| LogError::damaged(&self.path, offset, seq))?;
            offset += len;
            seq += 1;
        }
        Ok(offset)
    }

    /// The frame at `offset`, which must be number `seq`.
    pub fn frame_at<'a>(&self, bytes: &'a [u8], offset: usize, seq: u64) -> Result<Frame<'a>, LogError> {
        match frame::parse(bytes, offset, bytes.len()) {
            Ok(frame) if frame.seq == seq => Ok(frame),
            Err(Bad::Unknown(what)) => Err(LogError::UnknownVersion { path: self.path.clone(), what }),
            Ok(_) | Err(Bad::Bytes) => Err(LogError::damaged(&self.path, offset, seq)),
        }
    }
}
