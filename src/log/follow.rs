//! A reader in another process: opening without a lock, and keeping up with a writer that rolls, restarts and dies.
//!
//! The witness is read first, then the log up to what it says; bytes beyond are neither read nor judged while LOCK is
//! held. On a new epoch the last segment is opened again by name (recovery may have put a copy in its place), and what
//! was read before must still end in the same hash. Otherwise the reader fails closed.
//!
//! Not here: the questions a reader answers (`reader`).

use super::error::LogError;
use super::reader::LogReader;
use super::recovery::{self, Depth, Survey};
use super::sealed::{Sealed, check_follows};
use super::segment::{self, BadRecord, HEADER, SEAL, Seal};
use super::shared::{Published, Segment};
use super::walk::Position;
use super::watch::Watch;
use super::witness::{self, Witness};
use crate::sys::{FileId, Io, OpenMode};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const SEAL_CHECK_BYTES_MAX: u64 = 256 << 20;
/// Tries to read a witness that is being written, or a log that is just changing under us.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(1);

/// What a reader in another process remembers between looks.
#[derive(Debug)]
pub(crate) struct Follow {
    last: Mutex<Last>,
    watch: Mutex<Option<Watch>>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    witness_file: FileId,
    generation: u64,
    epoch: u32,
}

pub(crate) fn open(io: &Arc<dyn Io>, dir: &Path) -> Result<LogReader, LogError> {
    let (survey, live) = survey_unlocked(io.as_ref(), dir, SEAL_CHECK_BYTES_MAX)?;
    match survey.refusal(dir) {
        Some(error) => Err(error),
        None => reader_of(io, dir, survey, live),
    }
}

/// A survey without the lock, and whether a writer was at work. Whatever seems wrong while one is may be a change in
/// progress, and is looked at again.
pub(crate) fn survey_unlocked(io: &dyn Io, dir: &Path, seal_bytes_max: u64) -> Result<(Survey, bool), LogError> {
    let lock = dir.join("LOCK");
    let held = || io.lock_holder(&lock).map(|it| it.is_some()).map_err(LogError::io("ask for the holder of", &lock));
    let mut tries = 0;
    loop {
        let live = held()?;
        let survey = recovery::survey(io, dir, Depth { live, seal_bytes_max });
        let fine = survey.as_ref().is_ok_and(|survey| survey.refusal(dir).is_none());
        let changing = if live { !fine } else { held()? };
        tries += 1;
        if !changing || tries == TRIES {
            return Ok((survey?, live));
        }
        std::thread::sleep(PAUSE);
    }
}

fn reader_of(io: &Arc<dyn Io>, dir: &Path, survey: Survey, live: bool) -> Result<LogReader, LogError> {
    let witness_file = witness_id(io.as_ref(), dir)?;
    let published = Published::new(Arc::clone(io), dir, survey.meta.meta.clone());
    for sealed in &survey.sealed {
        push_sealed(&published, sealed);
    }
    let last = survey.last;
    let entry = Segment::new(last.path, &last.header);
    match last.seal {
        Some(seal) if !live => entry.close(seal),
        _ => {
            let first_at_ns = last.first_at_ns.unwrap_or(last.end.recorded_at_ns);
            entry.extend(last.end.offset, last.end.seq, first_at_ns, last.end.recorded_at_ns);
        }
    }
    published.segments.push(entry);
    published.publish(last.end.seq);
    let newest = survey.witness.newest.as_ref();
    let follow = Follow {
        last: Mutex::new(Last {
            witness_file,
            generation: newest.map_or(0, |newest| newest.generation),
            epoch: newest.map_or(0, |newest| newest.epoch),
        }),
        watch: Mutex::new(None),
    };
    Ok(LogReader::following(Arc::new(published), follow))
}

fn push_sealed(published: &Published, sealed: &Sealed) {
    let entry = Segment::new(sealed.path.clone(), &sealed.header);
    entry.close(sealed.seal.clone());
    published.segments.push(entry);
}

fn witness_id(io: &dyn Io, dir: &Path) -> Result<FileId, LogError> {
    let path = witness::path(dir);
    match io.open(&path, OpenMode::Read).and_then(|file| file.id()) {
        Ok(id) => Ok(id),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(FileId { device: 0, inode: 0 }),
        Err(source) => Err(LogError::Io { doing: "open", path, source }),
    }
}

pub(crate) fn open_up_to_damage(io: &Arc<dyn Io>, dir: &Path) -> Result<(LogReader, Option<LogError>), LogError> {
    let error = match open(io, dir) {
        Ok(reader) => return Ok((reader, None)),
        Err(error) => error,
    };
    let meta = recovery::read_meta(io.as_ref(), dir)?.meta;
    let published = Published::new(Arc::clone(io), dir, meta);
    let names = segment::list(io.as_ref(), dir)?;
    // Everything is walked, since it is not known which seals may be believed.
    let mut before: Option<Sealed> = None;
    for (base_seq, _) in names {
        let Ok((entry, next)) = walk_segment(io.as_ref(), &published, base_seq, before.as_ref()) else { break };
        published.segments.push(entry);
        before = next;
        if before.is_none() {
            break;
        }
    }
    let Some(last) = published.segments.last() else { return Err(error) };
    published.publish(last.last_seq());
    let last = Last { witness_file: FileId { device: 0, inode: 0 }, generation: u64::MAX, epoch: u32::MAX };
    let follow = Follow { last: Mutex::new(last), watch: Mutex::new(None) };
    Ok((LogReader::following(Arc::new(published), follow), Some(error)))
}

/// The good prefix of one segment; and itself as sealed, if all of it is good and it is closed.
fn walk_segment(
    io: &dyn Io,
    published: &Published,
    base_seq: u64,
    before: Option<&Sealed>,
) -> Result<(Segment, Option<Sealed>), LogError> {
    let path = segment::path(&published.dir, base_seq);
    let bytes = segment::read_whole(io, &path)?;
    let header = segment::check_header(&bytes, bytes.len() as u64, &path, base_seq, &published.meta.ledger_id)?;
    check_follows(&published.dir, before, &header, &path)?;
    let mut at = Position::start_of(&header, before.map_or(i64::MIN, |it| it.seal.last_recorded_at_ns));
    let mut first_at_ns = None;
    while let Ok(frame) = at.step(&published.keys, &bytes, header.limit()) {
        first_at_ns.get_or_insert(frame.recorded_at_ns);
    }
    let entry = Segment::new(path.clone(), &header);
    entry.extend(at.offset, at.seq, first_at_ns.unwrap_or(at.recorded_at_ns), at.recorded_at_ns);
    let seal = Seal::decode(&bytes[header.limit()..]).ok();
    let seal = seal.filter(|seal| seal.last_seq == at.seq && seal.head == at.head);
    Ok((entry, seal.map(|seal| Sealed { path, header, seal })))
}

impl Follow {
    /// Reads the witness and lets the reader see as far as it says.
    pub fn refresh(&self, published: &Published) -> Result<(), LogError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.epoch == u32::MAX {
            return Ok(());
        }
        let (newest, witness_file) = newest_witness(published)?;
        let known = *last;
        let same_file = witness_file == known.witness_file;
        // Older than known: the newer slot was just being written.
        if same_file && newest.generation <= known.generation {
            return Ok(());
        }
        let seen = published.durable_seq();
        if newest.durable_seq < seen {
            let segment = witness::path(&published.dir);
            return Err(LogError::Fork { segment, seq: seen });
        }
        let restarted = !same_file || newest.epoch != known.epoch;
        extend(published, &newest, restarted)?;
        *last = Last { witness_file, generation: newest.generation, epoch: newest.epoch };
        Ok(())
    }

    pub fn wait(&self, published: &Published, timeout: Duration) -> Result<(), LogError> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = &*watch {
            return watch.wait(timeout);
        }
        let path = witness::path(&published.dir);
        let file = published.io.open(&path, OpenMode::Read).map_err(LogError::io("open", &path))?;
        if file.as_std().is_some() {
            *watch = Some(Watch::on(&published.dir)?);
        }
        // What came before the watch was set is found by the refresh that follows.
        Ok(())
    }
}

/// The newest record, read again while both slots seem bad: a slot that is being written does.
fn newest_witness(published: &Published) -> Result<(Witness, FileId), LogError> {
    let path = witness::path(&published.dir);
    for _ in 0..TRIES {
        let file = published.io.open(&path, OpenMode::Read).map_err(LogError::io("open", &path))?;
        let id = file.id().map_err(LogError::io("identify", &path))?;
        let found = witness::read_open(file.as_ref(), &path, &published.meta.ledger_id, &published.keys)?;
        if let Some(newest) = found.newest {
            return Ok((newest, id));
        }
        std::thread::sleep(PAUSE);
    }
    Err(LogError::WitnessLost { path })
}

/// Goes on to where `newest` says, segment by segment.
fn extend(published: &Published, newest: &Witness, restarted: bool) -> Result<(), LogError> {
    let io = published.io.as_ref();
    let lost = || LogError::MissingSegment { segment: segment::path(&published.dir, newest.base_seq) };
    let mut segment = published.segments.last().ok_or_else(lost)?;
    if restarted {
        check_same_history(published, segment)?;
    }
    while segment.base_seq < newest.base_seq {
        let next_base = close_segment(published, segment)?;
        let path = segment::path(&published.dir, next_base);
        let file = io.open(&path, OpenMode::Read).map_err(LogError::io("open", &path))?;
        let header = segment::read_header(file.as_ref(), &path, next_base, &published.meta.ledger_id)?;
        let head = segment.seal.get().map(|seal| seal.head);
        if head != Some(header.prev_hash) || header.index != segment.index + 1 {
            return Err(LogError::Fork { segment: path, seq: next_base - 1 });
        }
        published.segments.push(Segment::new(path, &header));
        segment = published.segments.last().ok_or_else(lost)?;
    }
    if segment.base_seq > newest.base_seq {
        return Err(LogError::Fork { segment: segment.path.clone(), seq: newest.durable_seq });
    }
    let end = newest.end_offset as usize;
    let (first, last) = (segment.base_seq, newest.durable_seq);
    let bytes = segment.bytes(io, end)?;
    if last < first {
        let as_before = end == HEADER && newest.head == segment.prev_hash;
        return if as_before { Ok(()) } else { Err(LogError::Fork { segment: segment.path.clone(), seq: last }) };
    }
    let first_frame = segment.frame_at(bytes, HEADER, first)?;
    let offset = segment.offset_of(bytes, last)?;
    let last_frame = segment.frame_at(bytes, offset, last)?;
    if last_frame.frame_hash != newest.head || offset + last_frame.stored_len() != end {
        return Err(LogError::Fork { segment: segment.path.clone(), seq: last });
    }
    segment.extend(end, last, first_frame.recorded_at_ns, last_frame.recorded_at_ns);
    published.publish(last);
    Ok(())
}

/// Opens the segment by name again; what was read of it before must be there as it was.
fn check_same_history(published: &Published, segment: &Segment) -> Result<(), LogError> {
    let io = published.io.as_ref();
    let end = segment.end();
    let tail = |bytes: &[u8]| if end > HEADER { bytes[end - 32..end].to_vec() } else { bytes[..HEADER].to_vec() };
    let before = tail(segment.bytes(io, end)?);
    if segment.reopen(io)? && tail(segment.bytes(io, end)?) != before {
        return Err(LogError::Fork { segment: segment.path.clone(), seq: segment.last_seq() });
    }
    Ok(())
}

/// Reads the seal of a segment that was closed since, and lets the reader see all of it. Returns the next base_seq.
fn close_segment(published: &Published, segment: &Segment) -> Result<u64, LogError> {
    if let Some(seal) = segment.seal.get() {
        return Ok(seal.last_seq + 1);
    }
    let io = published.io.as_ref();
    let file = io.open(&segment.path, OpenMode::Read).map_err(LogError::io("open", &segment.path))?;
    let mut bytes = [0; SEAL];
    let limit = segment::limit(segment.size);
    let read = file.read_at(&mut bytes, limit as u64).map_err(LogError::io("read", &segment.path))?;
    let damaged = |offset| LogError::damaged(&segment.path, offset, segment.last_seq());
    let seal = match Seal::decode(&bytes[..read]) {
        Ok(seal) => seal,
        Err(BadRecord::Bytes) => return Err(damaged(limit)),
        Err(BadRecord::Unknown(what)) => return Err(LogError::UnknownVersion { path: segment.path.clone(), what }),
    };
    let end = usize::try_from(seal.end_offset).unwrap_or(usize::MAX);
    if seal.base_seq != segment.base_seq || seal.last_seq < segment.last_seq() || end > limit || end <= HEADER {
        return Err(damaged(limit));
    }
    let seen = segment.bytes(io, end)?;
    if seen[end - 32..] != seal.head {
        return Err(LogError::Fork { segment: segment.path.clone(), seq: seal.last_seq });
    }
    let next_base = seal.last_seq + 1;
    segment.close(seal);
    Ok(next_base)
}
