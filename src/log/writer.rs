//! The one writer of a log: groups of frames, made durable together.
//!
//! `append` encodes, hashes and chains a frame into the group in memory; `commit` writes the group with one pwrite,
//! flushes it, writes and flushes the witness, and lets readers see it. In that order:
//!
//! 1. (only if the group does not fit) seal flushed → header of the next segment flushed → rename → folder flushed
//! 2. group pwrite → fdatasync
//! 3. witness pwrite → fdatasync (strict), or the flush waits for [`LogWriter::refresh_witness`] (lazy)
//! 4. publish → return [`Durable`]
//!
//! Invariants
//! - INVARIANT: a group is written only after the flush of the group before has returned.
//! - INVARIANT: no [`Durable`] without both flushes (with a lazy witness: without the log's).
//! - A group lies in one segment.
//! - The first failed write or flush poisons the writer: nothing is retried, nothing more is written.
//!
//! Not here: what is in a payload, when a group ends (the caller's queue), the wall clock.

use super::error::LogError;
use super::frame::{self, Body, CLOCK_REGRESSED, NewFrame, PARTS_MAX, PAYLOAD_BYTES_MAX, Place};
use super::meta::{self, Meta};
use super::reader::LogReader;
use super::recovery::{self, Depth, Recovery, Survey};
use super::segment::{self, FOLDER, HEADER, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, Seal, SealHasher, SegmentHeader};
use super::shared::{Published, Segment};
use super::spare::Spares;
use super::tree::{Hash, Tree};
use super::witness::{self, FoundWitness, Witness, WitnessFile};
use crate::sys::{Io, IoFile, LockHeld, LockToken, OpenMode};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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
    fn check(&self) -> Result<(), LogError> {
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
    #[must_use]
    pub fn seq(self) -> u64 {
        self.0
    }
}

/// The chain behind the last durable frame.
#[derive(Debug)]
struct Mark {
    seq: u64,
    group_first_seq: u64,
    head: Hash,
    recorded_at_ns: i64,
    tree: Tree,
}

/// The segment that is written to.
#[derive(Debug)]
struct Active {
    file: Arc<dyn IoFile>,
    path: PathBuf,
    index: u64,
    base_seq: u64,
    size: u64,
    /// Where the next group goes.
    end: usize,
    first_at_ns: i64,
    hasher: SealHasher,
}

impl Active {
    fn limit(&self) -> usize {
        segment::limit(self.size)
    }
}

/// Appends to a log. One exists per ledger; dropping it without [`LogWriter::close`] is like a crash.
#[derive(Debug)]
pub struct LogWriter {
    published: Arc<Published>,
    options: LogOptions,
    meta: Meta,
    active: Active,
    spares: Spares,
    witness: WitnessFile,
    epoch: u32,
    clock_high_ns: i64,
    durable: Mark,
    // The chain behind the last frame of the group in hand.
    last_seq: u64,
    last_at_ns: i64,
    head: Hash,
    tree: Tree,
    group: Vec<u8>,
    group_frames: usize,
    group_first_at_ns: i64,
    poisoned: bool,
    /// Last, so that everything else is gone when the lock is let go.
    _lock: Box<dyn LockToken>,
}

impl LogWriter {
    /// Makes a ledger in `dir` (made if missing) and opens it.
    ///
    /// # Errors
    /// [`LogError::AlreadyExists`] unless the folder holds no ledger, or only what an interrupted `create` left.
    pub fn create(
        io: Arc<dyn Io>,
        dir: &Path,
        params: &LogParams,
        options: &LogOptions,
    ) -> Result<LogWriter, LogError> {
        options.check()?;
        let meta = Meta {
            generation: 1,
            ledger_id: params.ledger_id,
            frame_salt: params.frame_salt,
            origin: params.origin.clone(),
            created_ns: params.created_ns,
            checkpoint_keys: Vec::new(),
        };
        meta.check()?;
        let folder = dir.join(FOLDER);
        make_folder(io.as_ref(), &folder)?;
        let lock = lock(io.as_ref(), dir, &options.holder)?;
        refuse_what_is_there(io.as_ref(), dir)?;
        let keys = meta.keys();
        let first = Witness {
            generation: 1,
            durable_seq: 0,
            group_first_seq: 0,
            base_seq: 1,
            end_offset: HEADER as u64,
            head: [0; 32],
            tree_size: 0,
            tree_root: Tree::default().root(),
            epoch: 1,
            clean: false,
            clock_high_ns: params.created_ns,
        };
        witness::create(io.as_ref(), dir, &meta.ledger_id, &keys, &first)?;
        let spares = open_spares(&io, dir, options)?;
        let header = SegmentHeader {
            ledger_id: meta.ledger_id,
            index: 0,
            base_seq: 1,
            segment_size: options.segment_bytes,
            created_ns: params.created_ns,
            prev_hash: [0; 32],
            tree: Tree::default(),
            epoch: 1,
            frame_salt: meta.frame_salt,
        };
        let active = begin_segment(io.as_ref(), dir, &spares, &header)?;
        // META last: a folder without it is no ledger yet.
        meta::create(io.as_ref(), dir, &meta)?;
        spares.kick();
        let found = FoundWitness { newest: Some(Witness { generation: 2, ..first }), slot: 1, bad_slots: 0 };
        let witness = WitnessFile::open(io.as_ref(), dir, meta.ledger_id, keys, &found)?;
        let published = Published::new(io, dir, meta.clone());
        published.segments.push(Segment::new(active.path.clone(), &header));
        Ok(Self {
            published: Arc::new(published),
            options: options.clone(),
            meta,
            active,
            spares,
            witness,
            epoch: 1,
            clock_high_ns: params.created_ns,
            durable: Mark {
                seq: 0,
                group_first_seq: 0,
                head: [0; 32],
                recorded_at_ns: i64::MIN,
                tree: Tree::default(),
            },
            last_seq: 0,
            last_at_ns: i64::MIN,
            head: [0; 32],
            tree: Tree::default(),
            group: Vec::new(),
            group_frames: 0,
            group_first_at_ns: 0,
            poisoned: false,
            _lock: lock,
        })
    }

    /// Opens a ledger to write: takes the lock, checks what is there, cuts a torn tail, begins a new epoch.
    ///
    /// # Errors
    /// See [`LogError`]: whatever may mean that acknowledged frames are missing is refused, and nothing is changed then.
    #[expect(clippy::needless_pass_by_value, reason = "callers hand over their `Io`, here as in `create`")]
    pub fn open(io: Arc<dyn Io>, dir: &Path, options: &LogOptions) -> Result<(LogWriter, Recovery), LogError> {
        Self::open_as(&io, dir, options, false)
    }

    /// As [`LogWriter::open`], but takes the log as it stands where the end of it cannot be trusted: what a person
    /// decides with `keyledger repair --accept-tail`. [`Recovery::accepted`] says what there was to accept; the caller
    /// records it as an event. Damage before the last segment is not accepted.
    ///
    /// # Errors
    /// As [`LogWriter::open`], without the refusals by the decision table.
    #[expect(clippy::needless_pass_by_value, reason = "as `open`")]
    pub fn open_accepting_tail(
        io: Arc<dyn Io>,
        dir: &Path,
        options: &LogOptions,
    ) -> Result<(LogWriter, Recovery), LogError> {
        Self::open_as(&io, dir, options, true)
    }

    fn open_as(
        io: &Arc<dyn Io>,
        dir: &Path,
        options: &LogOptions,
        accept: bool,
    ) -> Result<(LogWriter, Recovery), LogError> {
        options.check()?;
        // Before the lock, which would make a file in a folder that is no ledger.
        recovery::read_meta(io.as_ref(), dir)?;
        let lock = lock(io.as_ref(), dir, &options.holder)?;
        let depth = Depth { live: false, seal_bytes_max: options.seal_check_bytes_max };
        let mut survey = recovery::survey(io.as_ref(), dir, depth)?;
        let refusal = survey.refusal(dir);
        let accepted = match refusal {
            Some(error) if !accept => return Err(error),
            Some(_) => Some(survey.last.verdict),
            None => None,
        };
        let mut recovery = Recovery {
            last_seq: survey.last.end.seq,
            witnessed_seq: survey.witness.newest.as_ref().map(|newest| newest.durable_seq),
            epoch: survey.next_epoch(),
            clean: survey.is_clean(),
            cut: None,
            witness_slots_bad: survey.witness.bad_slots,
            meta_mended: survey.meta.stale.contains(&true),
            clock_high_ns: survey.clock_high_ns(),
            sealed_checked: survey.sealed_checked,
            sealed_unchecked: survey.sealed.len() - survey.sealed_checked,
            accepted,
        };
        if recovery.meta_mended {
            let order = if survey.meta.stale[0] { [0, 1] } else { [1, 0] };
            meta::update(io.as_ref(), dir, &survey.meta.meta, order)?;
        }
        if !recovery.clean {
            recovery.cut = survey.mend(io.as_ref(), dir)?;
        }
        // Names seen here may not be durable yet: the process that gave them may have ended before it flushed them.
        for folder in [&dir.join(FOLDER), dir] {
            io.sync_dir(folder).map_err(LogError::io("flush", folder))?;
        }
        let writer = Self::resume(io, dir, options, survey, &recovery, lock)?;
        Ok((writer, recovery))
    }

    /// Goes on behind the last good frame of a log that is whole now.
    fn resume(
        io: &Arc<dyn Io>,
        dir: &Path,
        options: &LogOptions,
        survey: Survey,
        recovery: &Recovery,
        lock: Box<dyn LockToken>,
    ) -> Result<LogWriter, LogError> {
        let Survey { meta, keys, witness: found, sealed, last, .. } = survey;
        let meta = meta.meta;
        let published = Published::new(Arc::clone(io), dir, meta.clone());
        for segment in sealed {
            let entry = Segment::new(segment.path, &segment.header);
            entry.close(segment.seal);
            published.segments.push(entry);
        }
        let spares = open_spares(io, dir, options)?;
        let entry = Segment::new(last.path.clone(), &last.header);
        let end = last.end;
        let first_at_ns = last.first_at_ns.unwrap_or(end.recorded_at_ns);
        let active = if let Some(seal) = last.seal {
            entry.close(seal);
            published.segments.push(entry);
            let header = SegmentHeader {
                ledger_id: meta.ledger_id,
                index: last.header.index + 1,
                base_seq: end.seq + 1,
                segment_size: options.segment_bytes,
                created_ns: end.recorded_at_ns,
                prev_hash: end.head,
                tree: end.tree.clone(),
                epoch: recovery.epoch,
                frame_salt: meta.frame_salt,
            };
            let active = begin_segment(io.as_ref(), dir, &spares, &header)?;
            published.segments.push(Segment::new(active.path.clone(), &header));
            active
        } else {
            entry.extend(end.offset, end.seq, first_at_ns, end.recorded_at_ns);
            published.segments.push(entry);
            let file = io.open(&last.path, OpenMode::ReadWrite).map_err(LogError::io("open", &last.path))?;
            let mut hasher = SealHasher::new();
            hasher.update(&last.bytes[..end.offset]);
            Active {
                file,
                path: last.path,
                index: last.header.index,
                base_seq: last.header.base_seq,
                size: last.header.segment_size,
                end: end.offset,
                first_at_ns,
                hasher,
            }
        };
        if spares.present() < wanted_spares(options) {
            spares.kick();
        }
        if found.newest.is_none() {
            let first = Witness {
                generation: 0,
                durable_seq: end.seq,
                group_first_seq: end.group_first_seq,
                base_seq: active.base_seq,
                end_offset: active.end as u64,
                head: end.head,
                tree_size: end.seq,
                tree_root: end.tree.root(),
                epoch: recovery.epoch,
                clean: false,
                clock_high_ns: recovery.clock_high_ns,
            };
            witness::create(io.as_ref(), dir, &meta.ledger_id, &keys, &first)?;
        }
        let witness = WitnessFile::open(io.as_ref(), dir, meta.ledger_id, keys, &found)?;
        published.publish(end.seq);
        let mut writer = Self {
            published: Arc::new(published),
            options: options.clone(),
            meta,
            active,
            spares,
            witness,
            epoch: recovery.epoch,
            clock_high_ns: recovery.clock_high_ns,
            last_seq: end.seq,
            last_at_ns: end.recorded_at_ns,
            head: end.head,
            tree: end.tree.clone(),
            durable: Mark {
                seq: end.seq,
                group_first_seq: end.group_first_seq,
                head: end.head,
                recorded_at_ns: end.recorded_at_ns,
                tree: end.tree,
            },
            group: Vec::new(),
            group_frames: 0,
            group_first_at_ns: 0,
            poisoned: false,
            _lock: lock,
        };
        writer.write_witness(false)?;
        writer.witness.flush()?;
        Ok(writer)
    }

    /// The last frame appended, durable or not.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The last frame that is durable.
    pub fn durable_seq(&self) -> u64 {
        self.durable.seq
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
        self.tree.root()
    }

    /// Frames in the group in hand.
    pub fn group_frames(&self) -> usize {
        self.group_frames
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
        self.group_frames == 0
            || self.group_frames < GROUP_FRAMES_MAX
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
            return Err(LogError::GroupFull { frames: self.group_frames });
        }
        self.secure_room(frame::frame_len(payload_len), frame.urgent)?;
        let seq = self.last_seq + 1;
        if self.group_frames == 0 {
            self.group_first_at_ns = frame.recorded_at_ns;
        }
        let place = Place { seq, group_first_seq: self.durable.seq + 1, prev_hash: self.head };
        let start = self.group.len();
        self.head = frame::encode(&mut self.group, &self.published.keys, &frame, &place);
        self.tree.push(frame::leaf_of(&self.group[start..], &self.head));
        self.last_seq = seq;
        self.last_at_ns = frame.recorded_at_ns;
        self.group_frames += 1;
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
        self.group_frames = 0;
        self.last_seq = self.durable.seq;
        self.last_at_ns = self.durable.recorded_at_ns;
        self.head = self.durable.head;
        self.tree.copy_from(&self.durable.tree);
    }

    /// Writes the group in hand, flushes it and the witness, and lets readers see it. Of an empty group there is
    /// nothing to write.
    ///
    /// # Errors
    /// Any error poisons the writer; whether the group is on the disk is unknown then.
    pub fn commit(&mut self, clock_high_ns: i64) -> Result<Durable, LogError> {
        if self.poisoned {
            return Err(self.poisoned_error());
        }
        self.clock_high_ns = self.clock_high_ns.max(clock_high_ns).max(self.last_at_ns);
        if self.group_frames > 0 {
            let written = self.write_group();
            self.poison_on_error(written)?;
        }
        Ok(Durable(self.durable.seq))
    }

    fn write_group(&mut self) -> Result<(), LogError> {
        if self.active.end + self.group.len() > self.active.limit() {
            self.roll()?;
        }
        let active = &mut self.active;
        active.file.write_all_at(&self.group, active.end as u64).map_err(LogError::io("write", &active.path))?;
        active.file.datasync().map_err(LogError::io("flush", &active.path))?;
        if self.durable.seq + 1 == active.base_seq {
            active.first_at_ns = self.group_first_at_ns;
        }
        active.end += self.group.len();
        self.durable.group_first_seq = self.durable.seq + 1;
        self.durable.seq = self.last_seq;
        self.durable.head = self.head;
        self.durable.recorded_at_ns = self.last_at_ns;
        self.durable.tree.copy_from(&self.tree);
        self.write_witness(false)?;
        if self.options.witness == WitnessMode::Strict {
            self.witness.flush()?;
        }
        let active = &mut self.active;
        if let Some(segment) = self.published.segments.last() {
            segment.extend(active.end, self.durable.seq, active.first_at_ns, self.durable.recorded_at_ns);
        }
        self.published.publish(self.durable.seq);
        active.hasher.update(&self.group);
        self.group.clear();
        self.group_frames = 0;
        if active.end > active.limit() / 2 && active.end - active.limit() / 2 < GROUP_BYTES_MAX {
            self.spares.kick();
        }
        Ok(())
    }

    /// Closes the active segment and goes on in a spare one.
    fn roll(&mut self) -> Result<(), LogError> {
        let old = &mut self.active;
        let hasher = std::mem::replace(&mut old.hasher, SealHasher::new());
        let seal = Seal {
            ledger_id: self.meta.ledger_id,
            base_seq: old.base_seq,
            last_seq: self.durable.seq,
            end_offset: old.end as u64,
            head: self.durable.head,
            tree_size: self.durable.tree.size(),
            tree_root: self.durable.tree.root(),
            first_recorded_at_ns: old.first_at_ns,
            last_recorded_at_ns: self.durable.recorded_at_ns,
            blake3: hasher.finish(old.limit() as u64),
        };
        old.file.write_all_at(&seal.encode(), old.limit() as u64).map_err(LogError::io("seal", &old.path))?;
        old.file.datasync().map_err(LogError::io("flush", &old.path))?;
        // Lazy: what follows must not outlive the witness of what is sealed.
        self.witness.flush()?;
        let header = SegmentHeader {
            ledger_id: self.meta.ledger_id,
            index: old.index + 1,
            base_seq: self.durable.seq + 1,
            segment_size: self.options.segment_bytes,
            created_ns: self.group_first_at_ns,
            prev_hash: self.durable.head,
            tree: self.durable.tree.clone(),
            epoch: self.epoch,
            frame_salt: self.meta.frame_salt,
        };
        let io = self.published.io.as_ref();
        self.active = begin_segment(io, &self.published.dir, &self.spares, &header)?;
        if let Some(segment) = self.published.segments.last() {
            let _ = segment.seal.set(seal);
        }
        self.published.segments.push(Segment::new(self.active.path.clone(), &header));
        self.spares.kick();
        Ok(())
    }

    fn write_witness(&mut self, clean: bool) -> Result<(), LogError> {
        let mut witness = Witness {
            generation: 0,
            durable_seq: self.durable.seq,
            group_first_seq: self.durable.group_first_seq,
            base_seq: self.active.base_seq,
            end_offset: self.active.end as u64,
            head: self.durable.head,
            tree_size: self.durable.tree.size(),
            tree_root: self.durable.tree.root(),
            epoch: self.epoch,
            clean,
            clock_high_ns: self.clock_high_ns,
        };
        self.witness.write(&mut witness)
    }

    /// When idle: flushes a lazy witness and keeps the clock's mark. The group in hand is left alone.
    ///
    /// # Errors
    /// Any error poisons the writer.
    pub fn refresh_witness(&mut self, clock_high_ns: i64) -> Result<(), LogError> {
        if self.poisoned {
            return Err(self.poisoned_error());
        }
        let newer = clock_high_ns > self.clock_high_ns;
        self.clock_high_ns = self.clock_high_ns.max(clock_high_ns);
        let written = if newer { self.write_witness(false) } else { Ok(()) };
        let flushed = written.and_then(|()| self.witness.flush());
        self.poison_on_error(flushed)
    }

    /// Keeps another checkpoint key in META, durably. At most 64.
    ///
    /// # Errors
    /// [`LogError::InvalidOptions`] beyond that; an I/O error leaves one copy of META whole.
    pub fn add_checkpoint_key(&mut self, key: [u8; 32]) -> Result<(), LogError> {
        let mut meta = self.meta.clone();
        meta.generation += 1;
        meta.checkpoint_keys.push(key);
        meta.check()?;
        let updated = meta::update(self.published.io.as_ref(), &self.published.dir, &meta, [0, 1]);
        self.poison_on_error(updated)?;
        self.meta = meta;
        Ok(())
    }

    /// Closes in order, so that the next open has nothing to recover. A group in hand was never acknowledged and is
    /// dropped.
    ///
    /// # Errors
    /// [`LogError::Poisoned`] after a failed write; the next open recovers.
    pub fn close(mut self) -> Result<(), LogError> {
        if self.poisoned {
            return Err(self.poisoned_error());
        }
        self.discard_group();
        self.write_witness(true)?;
        self.witness.flush()
    }

    fn poison_on_error<T>(&mut self, result: Result<T, LogError>) -> Result<T, LogError> {
        self.poisoned |= result.is_err();
        result
    }

    fn poisoned_error(&self) -> LogError {
        LogError::Poisoned { segment: self.active.path.clone() }
    }
}

/// A segment made of a spare, with its header and name durable.
fn begin_segment(io: &dyn Io, dir: &Path, spares: &Spares, header: &SegmentHeader) -> Result<Active, LogError> {
    spares.ensure(1)?;
    let path = segment::path(dir, header.base_seq);
    let bytes = header.encode();
    let file = spares.take(|file, spare| {
        file.write_all_at(&bytes, 0).map_err(LogError::io("write", spare))?;
        file.datasync().map_err(LogError::io("flush", spare))?;
        io.rename(spare, &path).map_err(LogError::io("rename a spare segment to", &path))?;
        Ok(file)
    })?;
    let folder = dir.join(FOLDER);
    io.sync_dir(&folder).map_err(LogError::io("flush", &folder))?;
    let mut hasher = SealHasher::new();
    hasher.update(&bytes);
    Ok(Active {
        file,
        path,
        index: header.index,
        base_seq: header.base_seq,
        size: header.segment_size,
        end: HEADER,
        first_at_ns: header.created_ns,
        hasher,
    })
}

fn wanted_spares(options: &LogOptions) -> usize {
    if options.reserve { 2 } else { 1 }
}

fn open_spares(io: &Arc<dyn Io>, dir: &Path, options: &LogOptions) -> Result<Spares, LogError> {
    // Where files are not the operating system's there is no point in a thread, and tests want one order of events.
    let path = witness::path(dir);
    let real = io.open(&path, OpenMode::Read).is_ok_and(|file| file.as_std().is_some());
    Spares::open(io, dir, options.segment_bytes, wanted_spares(options), options.background && real)
}

/// Takes the lock. A reader that asks who holds it can be in the way for a moment, so it is asked for a few times.
fn lock(io: &dyn Io, dir: &Path, holder: &str) -> Result<Box<dyn LockToken>, LogError> {
    let path = dir.join("LOCK");
    let mut tries = 0;
    loop {
        match io.lock(&path, holder) {
            Ok(token) => return Ok(token),
            Err(LockHeld::Held { note }) if tries == 5 => {
                return Err(LogError::Held { dir: dir.to_path_buf(), note });
            }
            Err(LockHeld::Held { .. }) => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(LockHeld::Io(source)) => return Err(LogError::Io { doing: "lock", path, source }),
        }
    }
}

/// Makes a folder and those above it, each durably named in the one above. All of them are flushed, since an earlier
/// `create` may have made some and been stopped before the flush.
fn make_folder(io: &dyn Io, folder: &Path) -> Result<(), LogError> {
    io.create_dir_all(folder).map_err(LogError::io("make", folder))?;
    for above in folder.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()) {
        match io.sync_dir(above) {
            // A folder that may be passed through but not read was there before.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            result => result.map_err(LogError::io("flush", above))?,
        }
    }
    Ok(())
}

/// `create` goes on where an interrupted one stopped, and nowhere else: before META there can be a witness that has
/// acknowledged nothing and one segment without a frame.
fn refuse_what_is_there(io: &dyn Io, dir: &Path) -> Result<(), LogError> {
    let exists = || LogError::AlreadyExists { dir: dir.to_path_buf() };
    match io.open(&meta::path(dir), OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(LogError::Io { doing: "open", path: meta::path(dir), source }),
        Ok(_) => return Err(exists()),
    }
    if !recovery::was_never_made(io, dir)? {
        return Err(exists());
    }
    for (base_seq, _) in segment::list(io, dir)? {
        let path = segment::path(dir, base_seq);
        io.remove_file(&path).map_err(LogError::io("remove", &path))?;
    }
    Ok(())
}
