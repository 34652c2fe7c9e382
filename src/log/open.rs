//! Beginning to write: making a ledger, opening one, taking the lock.
//!
//! Not here: what is judged and mended at open (`recovery`), groups and rolls (`commit`).

use super::error::LogError;
use super::meta::{self, Meta};
use super::recovery::{self, Depth, Recovery, Survey};
use super::segment::{self, FOLDER, HEADER, SealHasher, SegmentHeader};
use super::shared::{Published, Segment};
use super::spare::Spares;
use super::tree::Tree;
use super::witness::{self, FoundWitness, Witness, WitnessFile};
use super::writer::{Active, LogOptions, LogParams, LogWriter, Mark};
use crate::sys::{Io, LockHeld, LockToken, OpenMode};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

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
            witness: Some(witness),
            flight: None,
            flusher: None,
            epoch: 1,
            clock_high_ns: params.created_ns,
            base: Mark { seq: 0, group_first_seq: 0, head: [0; 32], recorded_at_ns: i64::MIN, tree: Tree::default() },
            durable_seq: 0,
            last_seq: 0,
            last_at_ns: i64::MIN,
            head: [0; 32],
            group: Vec::new(),
            group_starts: Vec::new(),
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
            witness: Some(witness),
            flight: None,
            flusher: None,
            epoch: recovery.epoch,
            clock_high_ns: recovery.clock_high_ns,
            last_seq: end.seq,
            last_at_ns: end.recorded_at_ns,
            head: end.head,
            base: Mark {
                seq: end.seq,
                group_first_seq: end.group_first_seq,
                head: end.head,
                recorded_at_ns: end.recorded_at_ns,
                tree: end.tree,
            },
            durable_seq: end.seq,
            group: Vec::new(),
            group_starts: Vec::new(),
            group_first_at_ns: 0,
            poisoned: false,
            _lock: lock,
        };
        writer.write_witness(false)?;
        writer.flush_witness()?;
        Ok(writer)
    }
}

/// A segment made of a spare, with its header and name durable.
pub(super) fn begin_segment(
    io: &dyn Io,
    dir: &Path,
    spares: &Spares,
    header: &SegmentHeader,
) -> Result<Active, LogError> {
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
