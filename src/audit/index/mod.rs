//! Which commits mention a key, a user, a policy, a bucket, an actor, an address, a kind or an org.
//!
//! Every sealed segment gets a run; four runs in a row become one, four of those one again, and so on, so that a lookup asks few of
//! them. What is not sealed yet has runs in memory. All of it follows from the log: a run that is missing, torn, of another
//! ledger or of other segments is built anew, and an index that cannot be written is kept in memory.
//!
//! ```text
//!  idx/<first seq, 20 digits>-<last seq, 20 digits>.idx        a run
//! ```
//!
//! Invariants
//! - The runs follow each other from commit 1 without a gap, up to the last one that was seen.
//! - A run names the seals it was made from; it is used for these segments only.
//!
//! Not here: what a commit mentions (`mention`), reading the commits (`archive`).
#![expect(
    clippy::cast_possible_truncation,
    reason = "counts and offsets of a run are bounded by its commits, at most 2^30"
)]

mod bits;
mod build;
mod run;

use super::AuditError;
use super::source::{Plan, SeqRange, Term};
use crate::log::{Frames, LogReader, SegmentInfo};
use crate::model::Time;
use crate::state::Recorded;
use crate::sys::Io;
use build::{Builder, merge};
use run::{COMMITS_MAX, Run, Stretch, prefix_of};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Runs that become one.
const FAN: usize = 4;
/// Levels of runs: one of the highest covers 256 segments.
const LEVELS: u32 = 4;
/// Runs in memory behind the sealed segments, before they become one.
const TAIL_RUNS_MAX: usize = 8;
const FOLDER: &str = "idx";

/// How an index came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IndexReport {
    /// Runs read from files.
    pub read: usize,
    /// Segments whose run was missing or wrong.
    pub built: usize,
    /// Files that did not match and were thrown away.
    pub wrong: usize,
    pub merged: usize,
    /// Runs that could not be written, and stay in memory.
    pub unwritten: usize,
    /// Bytes of all runs over commits; the tail in memory counts.
    pub bytes: u64,
    pub commits: u64,
}

/// The index of a log.
#[derive(Debug)]
pub(super) struct Index {
    folder: PathBuf,
    /// Over sealed segments.
    sealed: Vec<Arc<Run>>,
    /// Over what is behind them.
    tail: Vec<Arc<Run>>,
}

impl Index {
    /// Reads what there is, builds what is missing.
    pub fn open(io: &dyn Io, dir: &Path, reader: &LogReader) -> Result<(Self, IndexReport), AuditError> {
        let mut report = IndexReport::default();
        let mut index = Self { folder: dir.join(FOLDER), sealed: Vec::new(), tail: Vec::new() };
        index.refresh_counted(io, reader, &mut report)?;
        Ok((index, report))
    }

    /// Takes in what was written since.
    pub fn refresh(&mut self, io: &dyn Io, reader: &LogReader) -> Result<(), AuditError> {
        self.refresh_counted(io, reader, &mut IndexReport::default())
    }

    fn refresh_counted(&mut self, io: &dyn Io, reader: &LogReader, report: &mut IndexReport) -> Result<(), AuditError> {
        let segments: Vec<SegmentInfo> = reader.segments().into_iter().filter(|segment| segment.sealed).collect();
        let sealed_to = segments.last().map_or(0, |segment| segment.last_seq);
        if self.sealed.last().map_or(0, |run| run.header.last_seq) < sealed_to {
            let work = Work { io, folder: &self.folder, reader, segments: &segments };
            self.sealed = work.runs(report)?;
            self.tail.retain(|run| run.header.first_seq > sealed_to);
            if self.tail.first().is_some_and(|run| run.header.first_seq != sealed_to + 1) {
                self.tail.clear();
            }
        }
        self.extend_tail(reader, sealed_to)?;
        let runs = || self.sealed.iter().chain(&self.tail);
        report.bytes = runs().map(|run| run.bytes().len() as u64).sum();
        report.commits = runs().map(|run| run.header.commits()).sum();
        Ok(())
    }

    fn extend_tail(&mut self, reader: &LogReader, sealed_to: u64) -> Result<(), AuditError> {
        let from = self.tail.last().map_or(sealed_to, |run| run.header.last_seq) + 1;
        let ledger_id = reader.meta().ledger_id;
        let mut builder = Builder::new(from);
        add_all(&mut builder, reader.frames(from), u64::MAX)?;
        let run = builder.finish(ledger_id, [0; 32]).and_then(Run::owned);
        self.tail.extend(run.map(Arc::new));
        if self.tail.len() > TAIL_RUNS_MAX {
            let runs: Vec<&Run> = self.tail.iter().map(Arc::as_ref).collect();
            if let Some(one) = merge(&runs, [0; 32]).and_then(Run::owned) {
                self.tail = vec![Arc::new(one)];
            }
        }
        Ok(())
    }

    fn runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.sealed.iter().chain(&self.tail).map(Arc::as_ref)
    }

    /// Finds frames of commits, best in the order of their seqs.
    pub fn places(&self) -> Places<'_> {
        Places { index: self, run: None, stretch: None }
    }

    fn run_of(&self, seq: u64) -> Option<&Run> {
        let after = self.sealed.partition_point(|run| run.header.first_seq <= seq);
        let sealed = after.checked_sub(1).and_then(|place| self.sealed.get(place));
        let in_sealed = sealed.filter(|run| seq <= run.header.last_seq);
        in_sealed.or_else(|| self.tail.iter().find(|run| seq <= run.header.last_seq)).map(Arc::as_ref)
    }

    /// The last commit that is indexed.
    pub fn last_seq(&self) -> u64 {
        self.runs().next_back().map_or(0, |run| run.header.last_seq)
    }

    /// Ranges of commits that a plan without terms must walk: all but the runs that lie outside its times.
    pub fn ranges(&self, plan: &Plan, range: &SeqRange) -> Vec<SeqRange> {
        let mut ranges: Vec<SeqRange> = Vec::new();
        for run in self.runs().filter(|run| may_hold(run, plan, range)) {
            let from = run.header.first_seq.max(*range.start());
            let to = run.header.last_seq.min(*range.end());
            match ranges.last_mut() {
                Some(last) if last.end() + 1 == from => *last = *last.start()..=to,
                _ => ranges.push(from..=to),
            }
        }
        ranges
    }

    /// The commits that may fit `plan`, ascending. A term may be shared, so some do not.
    pub fn candidates(&self, plan: &Plan, range: &SeqRange) -> Vec<u64> {
        let runs: Vec<&Run> = self.runs().filter(|run| may_hold(run, plan, range)).collect();
        let mut seqs = Vec::new();
        match plan.terms.as_slice() {
            [terms] => {
                for (index, term) in terms.iter().enumerate() {
                    let before = seqs.len();
                    lookup(&runs, prefix_of(*term), range, &mut seqs);
                    if index > 0 && before > 0 && seqs.len() > before {
                        seqs.sort_unstable();
                        seqs.dedup();
                    }
                }
            }
            lists => {
                for run in runs {
                    in_run(run, lists, range, &mut seqs);
                }
            }
        }
        seqs
    }
}

/// Where commits' frames stand. It remembers the run and the segment of the last one, since the next is often there too.
#[derive(Debug)]
pub(super) struct Places<'a> {
    index: &'a Index,
    run: Option<&'a Run>,
    stretch: Option<Stretch>,
}

impl Places<'_> {
    /// Asks for what [`Places::of`] will read.
    #[inline]
    pub fn approach(&mut self, seq: u64) {
        if let Some((run, stretch)) = self.go_to(seq) {
            run.approach_place(seq, &stretch);
        }
    }

    /// base_seq of a frame's segment, and its offset there. `None`: ask the log.
    #[inline]
    pub fn of(&mut self, seq: u64) -> Option<(u64, u64)> {
        let (run, stretch) = self.go_to(seq)?;
        run.place_of(seq, &stretch)
    }

    #[inline]
    fn go_to(&mut self, seq: u64) -> Option<(&Run, Stretch)> {
        if !self.run.is_some_and(|run| (run.header.first_seq..=run.header.last_seq).contains(&seq)) {
            self.run = self.index.run_of(seq);
            self.stretch = None;
        }
        let run = self.run?;
        if !self.stretch.is_some_and(|stretch| (stretch.first..=stretch.last).contains(&seq)) {
            self.stretch = run.stretch_of(seq);
        }
        self.stretch.map(|stretch| (run, stretch))
    }
}

/// Adds the commits of `frames` up to `last`.
fn add_all(builder: &mut Builder, mut frames: Frames<'_>, last: u64) -> Result<(), AuditError> {
    while let Some(frame) = frames.next() {
        let frame = frame?;
        if frame.seq > last {
            break;
        }
        // Where the next one begins, which is where this one ends.
        let (base_seq, end) = frames.position().unwrap_or_default();
        let len = frame.stored_len();
        builder.add(&Recorded::decode(&frame)?, base_seq, end.saturating_sub(len as u64), len);
    }
    Ok(())
}

/// Whether a run can hold anything of a plan's range and times.
fn may_hold(run: &Run, plan: &Plan, range: &SeqRange) -> bool {
    let header = &run.header;
    let (first, last): (Time, Time) = header.effective;
    header.first_seq <= *range.end()
        && header.last_seq >= *range.start()
        && plan.since.is_none_or(|since| last >= since)
        && plan.until.is_none_or(|until| first < until)
        && plan.known_at.is_none_or(|known_at| header.recorded.0 <= known_at)
}

/// One term in every run, step by step so that the runs' cache misses are waited for together.
fn lookup(runs: &[&Run], prefix: u64, range: &SeqRange, seqs: &mut Vec<u64>) {
    const AT_ONCE: usize = 32;
    for runs in runs.chunks(AT_ONCE) {
        let mut probes = [None; AT_ONCE];
        for (run, probe) in runs.iter().zip(&mut probes) {
            *probe = Some(run.probe(prefix));
        }
        for (run, probe) in runs.iter().zip(probes) {
            if let Some(probe) = probe {
                run.approach(probe);
            }
        }
        for (run, probe) in runs.iter().zip(probes) {
            if let Some(probe) = probe {
                run.seqs(probe, |seq| {
                    if range.contains(&seq) {
                        seqs.push(seq);
                    }
                });
            }
        }
    }
}

/// The commits of one run that have a term of each list: the rarest list first, and none that would not narrow it.
fn in_run(run: &Run, lists: &[Vec<Term>], range: &SeqRange, seqs: &mut Vec<u64>) {
    let mut counted: Vec<(usize, &Vec<Term>)> =
        lists.iter().map(|terms| (terms.iter().map(|term| run.count(prefix_of(*term))).sum(), terms)).collect();
    counted.sort_by_key(|(count, _)| *count);
    let mut found: Option<Vec<u64>> = None;
    for (count, terms) in counted {
        let before = found.as_ref().map_or(usize::MAX, Vec::len);
        // Reading a commit costs about as much as a hundred postings.
        if count / 100 > before {
            break;
        }
        let mut one = Vec::with_capacity(count);
        for term in terms {
            run.seqs(run.probe(prefix_of(*term)), |seq| {
                if range.contains(&seq) {
                    one.push(seq);
                }
            });
        }
        if terms.len() > 1 {
            one.sort_unstable();
            one.dedup();
        }
        found = Some(match found {
            None => one,
            Some(found) => intersection(&found, &one),
        });
    }
    seqs.extend(found.unwrap_or_default());
}

fn intersection(a: &[u64], b: &[u64]) -> Vec<u64> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut both = Vec::new();
    while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
        match x.cmp(y) {
            std::cmp::Ordering::Less => drop(a.next()),
            std::cmp::Ordering::Greater => drop(b.next()),
            std::cmp::Ordering::Equal => {
                both.push(**x);
                a.next();
                b.next();
            }
        }
    }
    both
}

/// Making the runs of sealed segments.
struct Work<'a> {
    io: &'a dyn Io,
    folder: &'a Path,
    reader: &'a LogReader,
    segments: &'a [SegmentInfo],
}

/// A run, and whether it stands in a file.
type Kept = (Arc<Run>, bool);

/// What came of one segment, by its place.
type Built = (usize, Result<Option<Kept>, AuditError>);

/// Segments that one run covers, by their numbers.
type Covered = std::ops::Range<usize>;

impl Work<'_> {
    fn runs(&self, report: &mut IndexReport) -> Result<Vec<Arc<Run>>, AuditError> {
        let mut found: Vec<(Covered, Option<Arc<Run>>)> = Vec::new();
        let mut place = 0;
        while place < self.segments.len() {
            let (places, run) = self.find(place, report);
            place = places.end;
            found.push((places, run));
        }
        self.build(&mut found, report)?;
        for level in 1..=LEVELS {
            found = self.merged(found, FAN.pow(level), report);
        }
        self.clean(&found);
        Ok(found.into_iter().filter_map(|(_, run)| run).collect())
    }

    /// The largest run on disk that begins with the segment at `place`, or the place of that segment alone.
    fn find(&self, place: usize, report: &mut IndexReport) -> (Covered, Option<Arc<Run>>) {
        for level in (0..=LEVELS).rev() {
            let places = place..place + FAN.pow(level);
            if !place.is_multiple_of(FAN.pow(level)) || places.end > self.segments.len() {
                continue;
            }
            let path = self.path(&places);
            let run = Run::open(self.io, &path, &self.reader.meta().ledger_id);
            if let Some(run) = run.filter(|run| self.is_of(run, &places)) {
                report.read += 1;
                return (places, Some(Arc::new(run)));
            }
            if self.io.open(&path, crate::sys::OpenMode::Read).is_ok() {
                report.wrong += 1;
            }
        }
        (place..place + 1, None)
    }

    fn is_of(&self, run: &Run, places: &Covered) -> bool {
        let (first, last) = self.seqs(places);
        run.header.first_seq == first && run.header.last_seq == last && run.header.source == self.source(places)
    }

    fn seqs(&self, places: &Covered) -> (u64, u64) {
        (self.segments[places.start].base_seq, self.segments[places.end - 1].last_seq)
    }

    /// What the seals of some segments come to.
    fn source(&self, places: &Covered) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for segment in &self.segments[places.clone()] {
            hasher.update(&segment.seal_blake3.unwrap_or_default());
        }
        *hasher.finalize().as_bytes()
    }

    fn path(&self, places: &Covered) -> PathBuf {
        let (first, last) = self.seqs(places);
        self.folder.join(format!("{first:020}-{last:020}.idx"))
    }

    /// Builds the runs that are missing, segments side by side.
    fn build(&self, found: &mut [(Covered, Option<Arc<Run>>)], report: &mut IndexReport) -> Result<(), AuditError> {
        let missing: Vec<usize> = (0..found.len()).filter(|index| found[*index].1.is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let next = AtomicUsize::new(0);
        let built: Mutex<Vec<Built>> = Mutex::new(Vec::new());
        let places: Vec<Covered> = missing.iter().map(|index| found[*index].0.clone()).collect();
        std::thread::scope(|scope| {
            for _ in 0..super::scan::threads().min(missing.len()) {
                scope.spawn(|| {
                    while let Some(places) = places.get(next.fetch_add(1, Ordering::Relaxed)).cloned() {
                        let run = self.build_one(&places);
                        built.lock().unwrap_or_else(PoisonError::into_inner).push((places.start, run));
                    }
                });
            }
        });
        for (place, run) in built.into_inner().unwrap_or_else(PoisonError::into_inner) {
            if let Some((run, written)) = run? {
                report.built += 1;
                report.unwritten += usize::from(!written);
                if let Some((_, slot)) = found.iter_mut().find(|(places, _)| places.start == place) {
                    *slot = Some(run);
                }
            }
        }
        Ok(())
    }

    fn build_one(&self, places: &Covered) -> Result<Option<Kept>, AuditError> {
        let (first, last) = self.seqs(places);
        let mut builder = Builder::new(first);
        add_all(&mut builder, self.reader.segment_frames(first)?, last)?;
        let bytes = builder.finish(self.reader.meta().ledger_id, self.source(places));
        Ok(bytes.and_then(|bytes| self.keep(places, bytes)))
    }

    /// Writes a run and reads it back as a file; where that fails it stays in memory.
    fn keep(&self, places: &Covered, bytes: Vec<u8>) -> Option<Kept> {
        let path = self.path(places);
        let written = self.io.create_dir_all(self.folder).is_ok() && self.io.replace(&path, &bytes).is_ok();
        let mapped = written.then(|| Run::open(self.io, &path, &self.reader.meta().ledger_id)).flatten();
        match mapped {
            Some(run) => Some((Arc::new(run), true)),
            None => Run::owned(bytes).map(|run| (Arc::new(run), false)),
        }
    }

    /// Replaces every four runs in a row that fill an aligned place of `size` segments by one.
    fn merged(
        &self,
        found: Vec<(Covered, Option<Arc<Run>>)>,
        size: usize,
        report: &mut IndexReport,
    ) -> Vec<(Covered, Option<Arc<Run>>)> {
        let mut merged: Vec<(Covered, Option<Arc<Run>>)> = Vec::new();
        let mut found = found.into_iter().peekable();
        while let Some((places, run)) = found.next() {
            let mut group = vec![(places, run)];
            let start = group[0].0.start;
            if start.is_multiple_of(size) {
                while let Some((places, _)) = found.peek() {
                    if places.end > start + size {
                        break;
                    }
                    group.extend(found.next());
                }
            }
            let end = group.last().map_or(start, |(places, _)| places.end);
            let runs: Option<Vec<Arc<Run>>> = group.iter().map(|(_, run)| run.clone()).collect();
            let one = match runs {
                Some(runs) if group.len() > 1 && end - start == size => self.merge(&(start..end), &runs),
                _ => None,
            };
            if let Some((run, written)) = one {
                report.merged += 1;
                report.unwritten += usize::from(!written);
                merged.push((start..end, Some(run)));
            } else {
                merged.extend(group);
            }
        }
        merged
    }

    fn merge(&self, places: &Covered, runs: &[Arc<Run>]) -> Option<Kept> {
        let (first, last) = self.seqs(places);
        if last - first >= COMMITS_MAX {
            return None;
        }
        let runs: Vec<&Run> = runs.iter().map(Arc::as_ref).collect();
        merge(&runs, self.source(places)).and_then(|bytes| self.keep(places, bytes))
    }

    /// Removes files that no run in use stands in. What cannot be removed does no harm.
    fn clean(&self, found: &[(Covered, Option<Arc<Run>>)]) {
        let used: Vec<PathBuf> = found.iter().map(|(places, _)| self.path(places)).collect();
        for entry in self.io.read_dir(self.folder).unwrap_or_default() {
            let path = self.folder.join(&entry.name);
            if !entry.is_dir && !used.contains(&path) {
                let _ = self.io.remove_file(&path);
            }
        }
    }
}
