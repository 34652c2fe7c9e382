//! The one writer of a log: groups of frames, made durable together.
//!
//! [`LogWriter::append`] encodes, hashes and chains a frame into the group in memory; [`LogWriter::commit`] makes the
//! group durable and lets readers see it. No frame holds anything of the tree, so its leaves are hashed while the disk
//! already writes the group.
//!
//! Invariants
//! - INVARIANT: a group is written only after the flush of the group before has returned.
//! - INVARIANT: no [`Durable`] without both flushes (with a lazy witness: without the log's).
//! - A group lies in one segment.
//! - The first failed write or flush poisons the writer: nothing is retried, nothing more is written.
//!
//! Not here: beginning to write (`open`), flushes and rolls (`commit`), what is in a payload, when a group ends (the
//! caller's queue), the wall clock.

use super::commit::{Flight, Flusher};
use super::error::LogError;
use super::frame::{self, Body, CLOCK_REGRESSED, NewFrame, PARTS_MAX, PAYLOAD_BYTES_MAX, Place};
use super::meta::Meta;
use super::reader::LogReader;
use super::segment::{self, HEADER, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, SealHasher};
use super::shared::Published;
use super::spare::Spares;
use super::tree::{Hash, Tree};
use super::witness::WitnessFile;
use crate::sys::{IoFile, LockToken};
use std::path::PathBuf;
use std::sync::Arc;

/// Most frames in a group.
pub const GROUP_FRAMES_MAX: usize = 256;
/// Most bytes in a group of more than one frame.
pub const GROUP_BYTES_MAX: usize = 256 << 10;

/// What a new ledger is. All randomness is passed in.
#[derive(Debug, Clone)]
pub struct LogParams {
    pub ledger_id: [u8; 16],
    pub frame_salt: [u8; 32],
    /// The ledger's name in checkpoints, at most 256 bytes without control characters.
    pub origin: String,
    pub created_ns: i64,
}

/// When the witness is flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WitnessMode {
    /// With every group, before the acknowledgement.
    #[default]
    Strict,
    /// Written with every group, flushed when idle, at a roll and at close: for bulk imports. One flush less a group;
    /// until then damage to exactly the last groups would read as a torn tail.
    Lazy,
}

/// How a log is written.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Size of new segments: a power of two, 1 MiB to 1 GiB (tests: from 16 KiB).
    pub segment_bytes: u64,
    pub witness: WitnessMode,
    /// Keep a spare segment for urgent frames on a full disk.
    pub reserve: bool,
    /// Make segments ready in a thread. Never done where there are no real files.
    pub background: bool,
    /// Written into LOCK for whoever finds it held: process id and address.
    pub holder: String,
    /// At open, sealed segments are compared with their seals up to so many bytes, the newest first.
    pub seal_check_bytes_max: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 8 << 20,
            witness: WitnessMode::Strict,
            reserve: true,
            background: true,
            holder: format!("process {}", std::process::id()),
            seal_check_bytes_max: 256 << 20,
        }
    }
}

impl LogOptions {
    pub(super) fn check(&self) -> Result<(), LogError> {
        let bounds = SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX;
        if self.segment_bytes.is_power_of_two() && bounds.contains(&self.segment_bytes) {
            return Ok(());
        }
        let what = format!("a segment of {} bytes is not a power of two up to 1 GiB", self.segment_bytes);
        Err(LogError::InvalidOptions { what })
    }
}

/// Proof that every frame up to its seq is on the disk. Only [`LogWriter::commit`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Durable(u64);

impl Durable {
    pub(super) fn new(seq: u64) -> Self {
        Self(seq)
    }

    #[must_use]
    pub fn seq(self) -> u64 {
        self.0
    }
}

/// The chain behind some frame.
#[derive(Debug)]
pub(super) struct Mark {
    pub seq: u64,
    pub group_first_seq: u64,
    pub head: Hash,
    pub recorded_at_ns: i64,
    pub tree: Tree,
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Active {
    pub file: Arc<dyn IoFile>,
    pub path: PathBuf,
    pub index: u64,
    pub base_seq: u64,
    pub size: u64,
    /// Where the next group goes.
    pub end: usize,
    pub first_at_ns: i64,
    pub hasher: SealHasher,
}

impl Active {
    pub fn limit(&self) -> usize {
        segment::limit(self.size)
    }
}

/// Appends to a log. One exists per ledger; dropping it without [`LogWriter::close`] is like a crash.
#[derive(Debug)]
pub struct LogWriter {
    pub(super) published: Arc<Published>,
    pub(super) options: LogOptions,
    pub(super) meta: Meta,
    pub(super) active: Active,
    pub(super) spares: Spares,
    /// `None` while a group in flight has it.
    pub(super) witness: Option<WitnessFile>,
    pub(super) flight: Option<Flight>,
    pub(super) flusher: Option<Flusher>,
    pub(super) epoch: u32,
    pub(super) clock_high_ns: i64,
    /// The last frame that is durable and published.
    pub(super) durable_seq: u64,
    /// Behind the last group handed to the disk.
    pub(super) base: Mark,
    // The group in hand, and the chain behind its last frame.
    pub(super) last_seq: u64,
    pub(super) last_at_ns: i64,
    pub(super) head: Hash,
    pub(super) group: Vec<u8>,
    /// Where each frame begins in `group`.
    pub(super) group_starts: Vec<usize>,
    pub(super) group_first_at_ns: i64,
    pub(super) poisoned: bool,
    /// Last, so that everything else is gone when the lock is let go.
    pub(super) _lock: Box<dyn LockToken>,
}

impl LogWriter {
    /// The last frame appended, durable or not.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The last frame that is durable.
    pub fn durable_seq(&self) -> u64 {
        self.durable_seq
    }

    /// Of the last frame appended; `i64::MIN` before the first.
    pub fn last_recorded_at(&self) -> i64 {
        self.last_at_ns
    }

    /// The latest guarded time known, from frames and witness.
    pub fn clock_high_ns(&self) -> i64 {
        self.clock_high_ns
    }

    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Counts the writers this ledger has had.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// `frame_hash` of the last frame appended; zeros before the first.
    pub fn chain_head(&self) -> [u8; 32] {
        self.head
    }

    /// RFC 6962 root over all frames appended.
    pub fn tree_root(&self) -> [u8; 32] {
        if self.group_starts.is_empty() {
            return self.base.tree.root();
        }
        let mut tree = self.base.tree.clone();
        self.grow(&mut tree);
        tree.root()
    }

    /// Frames in the group in hand.
    pub fn group_frames(&self) -> usize {
        self.group_starts.len()
    }

    /// Bytes of the group in hand.
    pub fn group_bytes(&self) -> usize {
        self.group.len()
    }

    /// Whether a write failed; then only a reopen helps.
    pub fn poisoned(&self) -> bool {
        self.poisoned
    }

    /// A reader that sees each group as soon as it is durable.
    pub fn reader(&self) -> LogReader {
        LogReader::beside_writer(Arc::clone(&self.published))
    }

    /// Most bytes a payload may have in segments of this size.
    pub fn payload_bytes_max(&self) -> usize {
        let area = segment::limit(self.options.segment_bytes) - HEADER;
        PAYLOAD_BYTES_MAX.min(area - frame::frame_len(0))
    }

    /// Whether a payload of this length still goes into the group in hand.
    pub fn group_has_room(&self, payload_len: usize) -> bool {
        let area = segment::limit(self.options.segment_bytes) - HEADER;
        self.group_starts.is_empty()
            || self.group_starts.len() < GROUP_FRAMES_MAX
                && self.group.len() + frame::frame_len(payload_len) <= GROUP_BYTES_MAX.min(area)
    }

    /// Adds a frame to the group in hand: encoded, hashed and chained, not yet written. Returns its seq.
    ///
    /// # Errors
    /// The group is as before after any of them.
    /// - [`LogError::GroupFull`]: commit, then append again.
    /// - [`LogError::DiskFull`]: no room for another segment (urgent frames may still go).
    /// - [`LogError::PayloadTooLarge`], [`LogError::InvalidFrame`]: the caller's mistake.
    /// - [`LogError::Poisoned`], after which only a reopen helps.
    pub fn append(&mut self, frame: NewFrame<'_>) -> Result<u64, LogError> {
        if self.poisoned {
            return Err(self.poisoned_error());
        }
        let payload_len = self.check_frame(&frame)?;
        if !self.group_has_room(payload_len) {
            return Err(LogError::GroupFull { frames: self.group_starts.len() });
        }
        self.secure_room(frame::frame_len(payload_len), frame.urgent)?;
        let seq = self.last_seq + 1;
        if self.group_starts.is_empty() {
            self.group_first_at_ns = frame.recorded_at_ns;
        }
        let place = Place { seq, group_first_seq: self.base.seq + 1, prev_hash: self.head };
        self.group_starts.push(self.group.len());
        self.head = frame::encode(&mut self.group, &self.published.keys, &frame, &place);
        self.last_seq = seq;
        self.last_at_ns = frame.recorded_at_ns;
        Ok(seq)
    }

    fn check_frame(&self, frame: &NewFrame<'_>) -> Result<usize, LogError> {
        let invalid = |what| Err(LogError::InvalidFrame { what });
        let (bytes, bytes_max) = (frame.body.payload_len(), self.payload_bytes_max());
        if bytes > bytes_max {
            return Err(LogError::PayloadTooLarge { bytes, bytes_max });
        }
        match frame.body {
            Body::Whole([]) => return invalid("its payload is empty"),
            Body::Parts(parts) if parts.is_empty() || parts.len() > PARTS_MAX => {
                return invalid("it has no parts or too many");
            }
            _ => {}
        }
        if frame.recorded_at_ns < self.last_at_ns {
            return invalid("its time lies before that of the last frame");
        }
        if !matches!(frame.kind, frame::KIND_COMMIT | frame::KIND_ATTESTATION) {
            return invalid("its kind is unknown");
        }
        if frame.flags & !CLOCK_REGRESSED != 0 {
            return invalid("it has a flag that is not the caller's");
        }
        Ok(bytes)
    }

    /// Makes sure that the group with another `len` bytes can be committed whatever the disk says. A frame that is not
    /// urgent must leave a spare segment behind it.
    fn secure_room(&self, len: usize, urgent: bool) -> Result<(), LogError> {
        let fits = self.active.end + self.group.len() + len <= self.active.limit();
        let spares = usize::from(!fits) + usize::from(self.options.reserve && !urgent);
        if spares == 0 || self.spares.present() >= spares { Ok(()) } else { self.spares.ensure(spares) }
    }

    /// Drops the group in hand, as if it had never been appended.
    pub fn discard_group(&mut self) {
        self.group.clear();
        self.group_starts.clear();
        self.last_seq = self.base.seq;
        self.last_at_ns = self.base.recorded_at_ns;
        self.head = self.base.head;
    }

    /// Adds the leaves of the group in hand to `tree`.
    fn grow(&self, tree: &mut Tree) {
        let ends = self.group_starts.iter().skip(1).copied().chain([self.group.len()]);
        for (start, end) in self.group_starts.iter().zip(ends) {
            tree.push(frame::leaf_of(&self.group[*start..end]));
        }
    }

    /// Takes the leaves of the group in hand, which was written, into the tree.
    pub(super) fn grow_tree(&mut self) {
        let mut tree = std::mem::take(&mut self.base.tree);
        self.grow(&mut tree);
        self.base.tree = tree;
    }

    pub(super) fn poison_on_error<T>(&mut self, result: Result<T, LogError>) -> Result<T, LogError> {
        self.poisoned |= result.is_err();
        result
    }

    pub(super) fn poisoned_error(&self) -> LogError {
        LogError::Poisoned { segment: self.active.path.clone() }
    }
}
