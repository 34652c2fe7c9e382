//! Making a group durable, closing a segment, and closing the log.
//!
//! 1. (only if the group does not fit) seal flushed → header of the next segment flushed → rename → folder flushed
//! 2. group pwrite → fdatasync
//! 3. witness pwrite → fdatasync (strict), or its flush waits for [`LogWriter::refresh_witness`] (lazy)
//! 4. publish → return [`Durable`]
//!
//! [`LogWriter::commit`] does it all. [`LogWriter::commit_start`] hands 2 (from the flush on) and 3 to a thread, so that
//! the next group can be hashed meanwhile, and [`LogWriter::commit_finish`] waits for it and does 4. There is never more
//! than one group in flight, and nothing else is written while one is.
//!
//! Not here: what a group holds (`writer`).

use super::error::LogError;
use super::meta;
use super::open::begin_segment;
use super::segment::{Seal, SealHasher, SegmentHeader};
use super::shared::Segment;
use super::witness::{Witness, WitnessFile};
use super::writer::{Durable, GROUP_BYTES_MAX, LogWriter, WitnessMode};
use crate::sys::IoFile;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// What is left to do for a group that was written.
#[derive(Debug)]
struct Job {
    file: Arc<dyn IoFile>,
    path: PathBuf,
    witness: WitnessFile,
    record: Witness,
    strict: bool,
}

impl Job {
    /// INVARIANT: the witness is written after the flush of what it witnesses has returned.
    fn run(mut self) -> (WitnessFile, Result<(), LogError>) {
        let flushed = self.file.datasync().map_err(LogError::io("flush", &self.path));
        let done = flushed.and_then(|()| {
            self.witness.write(&mut self.record)?;
            if self.strict { self.witness.flush() } else { Ok(()) }
        });
        (self.witness, done)
    }
}

/// A group that was written and not yet published.
#[derive(Debug)]
pub(super) struct Flight {
    seq: u64,
    end: usize,
    first_at_ns: i64,
    recorded_at_ns: i64,
    /// `None` while the thread has it.
    landed: Option<Result<(), LogError>>,
}

/// The thread that flushes.
#[derive(Debug)]
pub(super) struct Flusher {
    jobs: Option<SyncSender<Job>>,
    done: Receiver<(WitnessFile, Result<(), LogError>)>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    fn spawn() -> std::io::Result<Self> {
        let (jobs, work) = sync_channel::<Job>(1);
        let (report, done) = sync_channel(1);
        let run = move || {
            while let Ok(job) = work.recv() {
                if report.send(job.run()).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("keyledger-flush".into()).spawn(run)?;
        Ok(Self { jobs: Some(jobs), done, thread: Some(thread) })
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; there is nothing to hand on.
            let _ = thread.join();
        }
    }
}

impl LogWriter {
    /// Writes the group in hand, flushes it and the witness, and lets readers see it. Of an empty group there is
    /// nothing to write. A group still in flight is finished first.
    ///
    /// # Errors
    /// Any error poisons the writer; whether the group is on the disk is unknown then.
    pub fn commit(&mut self, clock_high_ns: i64) -> Result<Durable, LogError> {
        self.begin(clock_high_ns, false)?;
        self.commit_finish()
    }

    /// Begins to make the group in hand durable, and returns; frames appended from now on belong to the next group.
    /// For callers who have a next group to build: it takes a hand-over to a thread more than [`LogWriter::commit`].
    ///
    /// # Errors
    /// As [`LogWriter::commit`], also for the group before, if it was still in flight.
    pub fn commit_start(&mut self, clock_high_ns: i64) -> Result<(), LogError> {
        self.begin(clock_high_ns, true)
    }

    /// Waits for the group that [`LogWriter::commit_start`] began, and lets readers see it. Without one, returns at once.
    ///
    /// # Errors
    /// As [`LogWriter::commit`]. Frames appended meanwhile are lost with it.
    pub fn commit_finish(&mut self) -> Result<Durable, LogError> {
        if self.poisoned {
            return Err(self.poisoned_error());
        }
        let landed = self.land();
        self.poison_on_error(landed)?;
        Ok(Durable::new(self.durable_seq))
    }

    fn begin(&mut self, clock_high_ns: i64, in_thread: bool) -> Result<(), LogError> {
        self.commit_finish()?;
        self.clock_high_ns = self.clock_high_ns.max(clock_high_ns).max(self.last_at_ns);
        if self.group_starts.is_empty() {
            return Ok(());
        }
        let begun = self.write_group(in_thread);
        self.poison_on_error(begun)
    }

    /// Writes the group and has it flushed, here or in the thread.
    fn write_group(&mut self, in_thread: bool) -> Result<(), LogError> {
        if self.active.end + self.group.len() > self.active.limit() {
            self.roll()?;
        }
        let active = &mut self.active;
        let at = active.end as u64;
        active.file.write_all_at(&self.group, at).map_err(LogError::io("write", &active.path))?;
        // What follows costs about as much as hashing the frames did, and nobody needs to wait for it.
        active.file.begin_writing(at, self.group.len() as u64);
        active.hasher.update(&self.group);
        if self.base.seq + 1 == active.base_seq {
            active.first_at_ns = self.group_first_at_ns;
        }
        active.end += self.group.len();
        self.base.group_first_seq = self.base.seq + 1;
        self.base.seq = self.last_seq;
        self.base.head = self.head;
        self.base.recorded_at_ns = self.last_at_ns;
        self.grow_tree();
        let record = self.record(false);
        let Some(witness) = self.witness.take() else { return Err(self.poisoned_error()) };
        let active = &mut self.active;
        let (file, path) = (Arc::clone(&active.file), active.path.clone());
        let job = Job { file, path, witness, record, strict: self.options.witness == WitnessMode::Strict };
        let mut flight = Flight {
            seq: self.base.seq,
            end: active.end,
            first_at_ns: active.first_at_ns,
            recorded_at_ns: self.base.recorded_at_ns,
            landed: None,
        };
        // Simulated files have no thread: their tests want one order of events.
        if in_thread && active.file.as_std().is_some() {
            self.hand_over(job)?;
        } else {
            let (witness, done) = job.run();
            self.witness = Some(witness);
            flight.landed = Some(done);
        }
        self.flight = Some(flight);
        let active = &self.active;
        self.group.clear();
        self.group_starts.clear();
        let half = active.limit() / 2;
        if active.end > half && active.end - half < GROUP_BYTES_MAX {
            self.spares.kick();
        }
        Ok(())
    }

    fn hand_over(&mut self, job: Job) -> Result<(), LogError> {
        let flusher = match &mut self.flusher {
            Some(flusher) => flusher,
            none => none.insert(Flusher::spawn().map_err(LogError::io("start the flushing thread for", &job.path))?),
        };
        let sent = match &flusher.jobs {
            Some(jobs) => jobs.send(job).is_ok(),
            None => false,
        };
        if sent { Ok(()) } else { Err(self.poisoned_error()) }
    }

    /// Waits for the group in flight and publishes it.
    fn land(&mut self) -> Result<(), LogError> {
        let Some(flight) = self.flight.take() else { return Ok(()) };
        let landed = match flight.landed {
            Some(landed) => landed,
            None => match self.flusher.as_ref().and_then(|flusher| flusher.done.recv().ok()) {
                Some((witness, landed)) => {
                    self.witness = Some(witness);
                    landed
                }
                None => Err(self.poisoned_error()),
            },
        };
        landed?;
        self.durable_seq = flight.seq;
        if let Some(segment) = self.published.segments.last() {
            segment.extend(flight.end, flight.seq, flight.first_at_ns, flight.recorded_at_ns);
        }
        self.published.publish(flight.seq);
        Ok(())
    }

    /// Closes the active segment and goes on in a spare one. No group is in flight.
    fn roll(&mut self) -> Result<(), LogError> {
        let old = &mut self.active;
        let hasher = std::mem::replace(&mut old.hasher, SealHasher::new());
        let seal = Seal {
            ledger_id: self.meta.ledger_id,
            base_seq: old.base_seq,
            last_seq: self.base.seq,
            end_offset: old.end as u64,
            head: self.base.head,
            tree_size: self.base.tree.size(),
            tree_root: self.base.tree.root(),
            first_recorded_at_ns: old.first_at_ns,
            last_recorded_at_ns: self.base.recorded_at_ns,
            blake3: hasher.finish(old.limit() as u64),
        };
        old.file.write_all_at(&seal.encode(), old.limit() as u64).map_err(LogError::io("seal", &old.path))?;
        old.file.datasync().map_err(LogError::io("flush", &old.path))?;
        let header = SegmentHeader {
            ledger_id: self.meta.ledger_id,
            index: old.index + 1,
            base_seq: self.base.seq + 1,
            segment_size: self.options.segment_bytes,
            created_ns: self.group_first_at_ns,
            prev_hash: self.base.head,
            tree: self.base.tree.clone(),
            epoch: self.epoch,
            frame_salt: self.meta.frame_salt,
        };
        // A lazy witness of what is sealed now becomes durable with it.
        self.witness()?.flush()?;
        self.active = begin_segment(self.published.io.as_ref(), &self.published.dir, &self.spares, &header)?;
        if let Some(segment) = self.published.segments.last() {
            let _ = segment.seal.set(seal);
        }
        self.published.segments.push(Segment::new(self.active.path.clone(), &header));
        self.spares.kick();
        Ok(())
    }

    /// What the witness is to say of everything up to `base`.
    fn record(&self, clean: bool) -> Witness {
        Witness {
            generation: 0,
            durable_seq: self.base.seq,
            group_first_seq: self.base.group_first_seq,
            base_seq: self.active.base_seq,
            end_offset: self.active.end as u64,
            head: self.base.head,
            tree_size: self.base.tree.size(),
            tree_root: self.base.tree.root(),
            epoch: self.epoch,
            clean,
            clock_high_ns: self.clock_high_ns,
        }
    }

    /// The witness's file, which a group in flight takes along and a failed one may not bring back.
    fn witness(&mut self) -> Result<&mut WitnessFile, LogError> {
        match &mut self.witness {
            Some(witness) => Ok(witness),
            None => Err(LogError::Poisoned { segment: self.active.path.clone() }),
        }
    }

    /// Writes the witness as things stand. No group is in flight.
    pub(super) fn write_witness(&mut self, clean: bool) -> Result<(), LogError> {
        let mut record = self.record(clean);
        self.witness()?.write(&mut record)
    }

    pub(super) fn flush_witness(&mut self) -> Result<(), LogError> {
        self.witness()?.flush()
    }

    /// When idle: flushes a lazy witness and keeps the clock's mark. A group in flight is finished first, the one in hand
    /// left alone.
    ///
    /// # Errors
    /// Any error poisons the writer.
    pub fn refresh_witness(&mut self, clock_high_ns: i64) -> Result<(), LogError> {
        self.commit_finish()?;
        let newer = clock_high_ns > self.clock_high_ns;
        self.clock_high_ns = self.clock_high_ns.max(clock_high_ns);
        let written = if newer { self.write_witness(false) } else { Ok(()) };
        let flushed = written.and_then(|()| self.flush_witness());
        self.poison_on_error(flushed)
    }

    /// Keeps another checkpoint key in META, durably. At most 64.
    ///
    /// # Errors
    /// [`LogError::InvalidOptions`] beyond that; an I/O error poisons the writer and leaves one copy of META whole.
    pub fn add_checkpoint_key(&mut self, key: [u8; 32]) -> Result<(), LogError> {
        self.commit_finish()?;
        let mut meta = self.meta.clone();
        meta.generation += 1;
        meta.checkpoint_keys.push(key);
        meta.check()?;
        let updated = meta::update(self.published.io.as_ref(), &self.published.dir, &meta, [0, 1]);
        self.poison_on_error(updated)?;
        self.meta = meta;
        Ok(())
    }

    /// Closes in order, so that the next open has nothing to recover. A group in flight is finished; one in hand was never
    /// acknowledged and is dropped.
    ///
    /// # Errors
    /// [`LogError::Poisoned`] after a failed write; the next open recovers.
    pub fn close(mut self) -> Result<(), LogError> {
        self.commit_finish()?;
        self.discard_group();
        self.write_witness(true)?;
        self.flush_witness()
    }
}
