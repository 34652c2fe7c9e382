//! Files to batches, by several threads, with one result whatever their number.
//!
//! Readers take one file after another and cut it into blocks of records; parsers take any block; the caller's thread
//! puts blocks back into the order of files, drops known ids, batches events by account and hands them to the sink.
//!
//! Invariants
//! - A reader has a fixed number of buffers and gets one back only when the caller's thread is done with its block, so a
//!   reader that runs ahead of the order waits, and what is in flight is bounded. The reader of the file whose turn it is
//!   always gets its buffers back: nothing waits for ever.
//! - Batches are handed on in an order that depends on the input alone.
//!
//! Not here: finding records (`reader`), reading them (`record`), writing commits (the sink).

use super::dedupe::IdSet;
use super::paths::{Found, Paths, Walk};
use super::reader::{Block, Item, Reader};
use super::record::{self, Parsed};
use super::{
    BATCH_BYTES_MAX, BATCH_EVENTS_MAX, EvidenceSink, ImportCounts, ImportError, ImportOptions, Progress, Rejection,
};
use crate::model::{AccountId, Event, EvidenceRecord, codec};
use crate::sys::Io;
use compact_str::CompactString;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Encoded bytes that may wait in batches of all accounts together, by estimate.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// A block on its way through the threads.
struct Unit {
    file: u64,
    block: u64,
    reader: usize,
    path: Arc<Path>,
    content: Block,
    outcomes: Vec<Outcome>,
}

enum Outcome {
    Read { parsed: Parsed, bytes: usize },
    Rejected { offset: u64, reason: String },
}

/// Imports CloudTrail records from files, folders and patterns into `sink`.
///
/// Records whose id the sink knows, or that came before in the same import, are duplicates: an import that was cut off is
/// resumed by repeating it. A record or file that cannot be read is told to `on_rejection`, and the import goes on. The
/// counts add up: `records = imported + duplicates + rejected`.
///
/// # Errors
/// - [`ImportError::NotFound`], [`ImportError::NothingMatches`], [`ImportError::BadPattern`], [`ImportError::Io`]: a path
///   means nothing; nothing was imported.
/// - [`ImportError::Sink`]: the sink failed; what it took before stays. Repeat the import to go on.
pub fn import_cloudtrail<S: EvidenceSink>(
    io: &dyn Io,
    paths: &[PathBuf],
    mut options: ImportOptions<'_>,
    sink: &mut S,
    on_rejection: &mut dyn FnMut(Rejection),
) -> Result<ImportCounts, ImportError<S::Error>> {
    let paths = Paths::look(io, paths)?;
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        threads => threads,
    }
    .min(256);
    let readers = (threads / 2).clamp(1, 4);
    let mut ids = IdSet::default();
    sink.known_ids(&mut |id| {
        ids.insert(id);
    })
    .map_err(ImportError::Sink)?;

    let walk = Mutex::new((0, paths.walk(io)));
    let record_bytes_max = options.record_bytes_max;
    let mut end = End {
        sink,
        on_rejection,
        ids,
        block_ids: Vec::new(),
        block_new: VecDeque::new(),
        counts: ImportCounts::default(),
        progress: Progress { bytes_total: paths.bytes, files_total: paths.files, ..Progress::default() },
        batches: BTreeMap::new(),
        waiting_bytes: 0,
    };
    std::thread::scope(|scope| {
        let buffers_each = threads.div_ceil(readers) + 2;
        let (to_parsers, blocks) = bounded::<Unit>(threads + readers);
        // Bounded by the buffers of the readers.
        let (to_end, units) = unbounded::<Unit>();
        let mut returns = Vec::new();
        for reader in 0..readers {
            let (give_back, buffers) = bounded::<Vec<u8>>(buffers_each);
            for _ in 0..buffers_each {
                let _ = give_back.send(Vec::new());
            }
            returns.push(give_back);
            let (walk, to_parsers) = (&walk, to_parsers.clone());
            scope.spawn(move || read_files(io, walk, record_bytes_max, reader, &buffers, &to_parsers));
        }
        drop(to_parsers);
        for _ in 0..threads {
            let (blocks, to_end) = (blocks.clone(), to_end.clone());
            scope.spawn(move || {
                for unit in blocks {
                    if to_end.send(parse_block(unit)).is_err() {
                        return;
                    }
                }
            });
        }
        drop((blocks, to_end));
        // On an error the channels are dropped on the way out, and all threads end with them.
        end.take_in_order(units, &returns, options.progress.as_deref_mut())
    })?;
    end.flush_all().map_err(ImportError::Sink)?;
    Ok(end.counts)
}

/// A reader's work: files from `walk` until there are none, or until nobody listens.
fn read_files(
    io: &dyn Io,
    walk: &Mutex<(u64, Walk<'_>)>,
    record_bytes_max: usize,
    reader: usize,
    buffers: &Receiver<Vec<u8>>,
    to_parsers: &Sender<Unit>,
) {
    loop {
        let (file, found) = {
            let mut walk = walk.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(found) = walk.1.next() else { return };
            walk.0 += 1;
            (walk.0 - 1, found)
        };
        let (path, mut content): (Arc<Path>, _) = match found {
            Found::File { path, .. } => {
                let content = Reader::open(io, &path, record_bytes_max);
                (path.into(), content)
            }
            Found::Unreadable { path, error } => {
                (path.into(), Reader::unreadable(format!("the folder could not be listed ({error})")))
            }
        };
        for block in 0.. {
            let Ok(buffer) = buffers.recv() else { return };
            let Some(content) = content.next_block(buffer) else { break };
            let last = content.last;
            let unit = Unit { file, block, reader, path: Arc::clone(&path), content, outcomes: Vec::new() };
            if to_parsers.send(unit).is_err() {
                return;
            }
            if last {
                break;
            }
        }
    }
}

fn parse_block(mut unit: Unit) -> Unit {
    let block = &mut unit.content;
    unit.outcomes.reserve(block.items.len());
    for item in block.items.drain(..) {
        unit.outcomes.push(match item {
            Item::Rejected { offset, reason } => Outcome::Rejected { offset, reason },
            Item::Record { start, end } => {
                let offset = block.base + start as u64;
                match record::parse(&block.data[start..end]) {
                    Ok(parsed) => Outcome::Read { bytes: bytes_of(&parsed.event), parsed },
                    Err(reject) => {
                        let place = reject.at.map(|at| format!(" at byte {}", offset + at as u64));
                        Outcome::Rejected { offset, reason: reject.reason + &place.unwrap_or_default() }
                    }
                }
            }
        });
    }
    unit
}

/// Events of one account on their way to the sink.
#[derive(Default)]
struct Batch {
    events: Vec<Event>,
    bytes: usize,
    first: Option<Arc<Path>>,
    last: Option<Arc<Path>>,
}

/// The caller's end of the pipeline.
struct End<'a, S> {
    sink: &'a mut S,
    on_rejection: &'a mut dyn FnMut(Rejection),
    ids: IdSet,
    /// Of the block in hand: the ids of its records, and which of them are new.
    block_ids: Vec<[u8; 16]>,
    block_new: VecDeque<bool>,
    counts: ImportCounts,
    progress: Progress,
    batches: BTreeMap<AccountId, Batch>,
    waiting_bytes: usize,
}

impl<S: EvidenceSink> End<'_, S> {
    fn take_in_order(
        &mut self,
        units: Receiver<Unit>,
        returns: &[Sender<Vec<u8>>],
        mut on_progress: Option<&mut (dyn FnMut(Progress) + '_)>,
    ) -> Result<(), ImportError<S::Error>> {
        let mut early = HashMap::new();
        let mut turn = (0, 0);
        for unit in units {
            early.insert((unit.file, unit.block), unit);
            while let Some(mut unit) = early.remove(&turn) {
                let content = std::mem::take(&mut unit.content);
                turn = if content.last { (turn.0 + 1, 0) } else { (turn.0, turn.1 + 1) };
                self.take(&unit.path, content.first_record, unit.outcomes).map_err(ImportError::Sink)?;
                // A reader that has finished wants nothing back.
                let _ = returns[unit.reader].send(content.data);
                self.progress.bytes_done += content.consumed;
                self.progress.files_done += u64::from(content.last);
                self.progress.records = self.counts.records;
                if let Some(tell) = &mut on_progress {
                    tell(self.progress);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, path: &Arc<Path>, first_record: u64, outcomes: Vec<Outcome>) -> Result<(), S::Error> {
        let read =
            |outcome: &Outcome| if let Outcome::Read { parsed, .. } = outcome { Some(parsed.event_id()) } else { None };
        self.block_ids.clear();
        self.block_ids.extend(outcomes.iter().filter_map(read));
        self.block_new.clear();
        self.ids.insert_all(&self.block_ids, |new| self.block_new.push_back(new));
        for (record, outcome) in (first_record..).zip(outcomes) {
            self.counts.records += 1;
            match outcome {
                Outcome::Rejected { offset, reason } => {
                    self.counts.rejected += 1;
                    (self.on_rejection)(Rejection { file: path.to_path_buf(), offset, record, reason });
                }
                Outcome::Read { .. } if self.block_new.pop_front() != Some(true) => self.counts.duplicates += 1,
                Outcome::Read { parsed, bytes } => {
                    self.counts.imported += 1;
                    self.add(path, parsed, bytes)?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Arc<Path>, parsed: Parsed, bytes: usize) -> Result<(), S::Error> {
        let account = parsed.account;
        let batch = self.batches.entry(account).or_default();
        if batch.bytes + bytes > BATCH_BYTES_MAX && !batch.events.is_empty() {
            self.waiting_bytes -= batch.bytes;
            hand_on(self.sink, account, batch)?;
        }
        if batch.first.is_none() {
            batch.first = Some(Arc::clone(path));
        }
        if batch.last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, path)) {
            batch.last = Some(Arc::clone(path));
        }
        batch.events.push(parsed.event);
        batch.bytes += bytes;
        self.waiting_bytes += bytes;
        if batch.events.len() == BATCH_EVENTS_MAX {
            self.waiting_bytes -= batch.bytes;
            hand_on(self.sink, account, batch)?;
        }
        if self.waiting_bytes > WAITING_BYTES_MAX {
            self.flush_all()?;
        }
        Ok(())
    }

    fn flush_all(&mut self) -> Result<(), S::Error> {
        self.waiting_bytes = 0;
        for (account, mut batch) in std::mem::take(&mut self.batches) {
            if !batch.events.is_empty() {
                hand_on(self.sink, account, &mut batch)?;
            }
        }
        Ok(())
    }
}

fn hand_on<S: EvidenceSink>(sink: &mut S, account: AccountId, batch: &mut Batch) -> Result<(), S::Error> {
    let batch = std::mem::take(batch);
    let name = |path: &Option<Arc<Path>>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let (first, last) = (name(&batch.first), name(&batch.last));
    let source = if first == last { first } else { format!("{first} … {last}") };
    sink.batch(account, &source, batch.events)
}

/// About how long the event is when encoded, never much too little.
fn bytes_of(event: &Event) -> usize {
    // A salt, times, numbers, lengths and tags of a record.
    const FIXED: usize = 80;
    let of_record = |record: &EvidenceRecord| {
        let identity = &record.identity;
        identity.name.len()
            + identity.arn.as_ref().map_or(0, CompactString::len)
            + identity.key.as_ref().map_or(0, |key| key.as_str().len())
            + record.event_source.len()
            + record.event_name.len()
            + record.region.len()
            + record.source_ip.len()
            + record.user_agent.len()
            + record.request_id.len()
            + record.outcome.as_str().len()
    };
    if let Event::EvidenceObserved(observed) = event {
        let text = |text: &Option<CompactString>| text.as_ref().map_or(0, CompactString::len);
        return FIXED
            + of_record(&observed.record)
            + observed.bucket.as_ref().map_or(0, |bucket| bucket.as_str().len())
            + observed.issued_key.as_ref().map_or(0, |key| key.as_str().len())
            + text(&observed.resource)
            + text(&observed.issued_for)
            + text(&observed.error_message);
    }
    // Rare, and of many shapes: encode it and see.
    let mut bytes = Vec::new();
    codec::encode_value(event, &mut bytes).map_or(BATCH_BYTES_MAX, |()| FIXED + bytes.len())
}
