//! `import cloudtrail`: records become evidence; every one ends as imported, duplicate or rejected, and the totals are printed.

use crate::audit::Worlds;
use crate::audit::rows::KeyRow;
use crate::cli::print::{Cell, Paint, Table, grouped};
use crate::cli::progress::Progress;
use crate::cli::view::views;
use crate::cli::writing::{Writing, options};
use crate::cli::{Context, Done, Exit, Failure, init};
use crate::ledger::import::{
    EvidenceSink, ImportCounts, ImportError, ImportOptions, Progress as Far, Rejection, import_cloudtrail,
};
use crate::ledger::{Command, LedgerOptions, Ticket};
use crate::log::{LogReader, WitnessMode};
use crate::model::{AccountId, Event};
use crate::state::Recorded;
use clap::Args;
use serde::Serialize;
use std::collections::VecDeque;
use std::path::PathBuf;

/// Batches handed to the ledger and not durable yet: records are parsed while others are written.
const BATCHES_WAITING: usize = 16;
/// Rejected records shown to people; programs get all.
const REJECTED_SHOWN: usize = 20;

#[derive(Debug, Args)]
pub struct Cloudtrail {
    /// Files, folders and patterns
    #[arg(required = true, value_name = "PATHS")]
    paths: Vec<PathBuf>,
    /// Then list the temporary keys (ASIA…) of the evidence
    #[arg(long)]
    temporary: bool,
    /// Parser threads [default: as many as there are processors]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
}

#[derive(Serialize)]
struct RejectedRow<'a> {
    kind: &'static str,
    file: String,
    offset: u64,
    record: u64,
    reason: &'a str,
}

/// The last line.
#[derive(Serialize)]
struct Totals {
    records: u64,
    imported: u64,
    duplicates: u64,
    rejected: u64,
}

impl Cloudtrail {
    pub fn run(self, cx: &mut Context) -> Done {
        let dir = cx.dir();
        if !init::is_ledger(cx, &dir)? {
            init::make(cx, &dir)?.close()?;
            cx.note(&format!("made a ledger in {}", dir.display()));
        }
        let mut rejections: Vec<Rejection> = Vec::new();
        let mut unsaid = None;
        // The witness is flushed when idle; what a crash could take is imported again by repeating the command.
        let options = LedgerOptions { witness: WitnessMode::Lazy, ..options(cx) };
        let writing = Writing::open_with(cx, &dir, options)?;
        let counts = import(&writing, cx, &self.paths, self.threads, &mut |cx, rejection| {
            if cx.out.json {
                let row = RejectedRow {
                    kind: "rejected",
                    file: rejection.file.display().to_string(),
                    offset: rejection.offset,
                    record: rejection.record,
                    reason: &rejection.reason,
                };
                // The import goes on, whoever listens.
                if let Err(failure) = cx.out.json(&row) {
                    unsaid.get_or_insert(failure);
                }
            } else if rejections.len() < REJECTED_SHOWN {
                rejections.push(rejection);
            }
        })?;
        let worlds = self.temporary.then(|| Worlds::of(&writing.state()));
        let now = writing.now();
        writing.close()?;
        if let Some(failure) = unsaid {
            return Err(failure);
        }
        if let Some(worlds) = worlds {
            temporary(cx, &worlds, now)?;
        }
        if !cx.out.json {
            rejected(cx, &rejections, counts.rejected)?;
        }
        print_counts(cx, &counts)?;
        Ok(Exit::Done)
    }
}

/// Imports, telling `on_rejection` of every record that is not taken.
pub fn import(
    writing: &Writing,
    cx: &mut Context,
    paths: &[PathBuf],
    threads: usize,
    on_rejection: &mut dyn FnMut(&mut Context, Rejection),
) -> Result<ImportCounts, Failure> {
    let bar = Progress::bytes("importing", 0);
    let mut tell = |far: Far| bar.set(far.bytes_done, far.bytes_total);
    let options = ImportOptions { threads, progress: Some(&mut tell), ..ImportOptions::default() };
    let io = cx.io.clone();
    let mut sink = Sink { log: writing.log(), writing, waiting: VecDeque::new() };
    let mut rejected = |rejection: Rejection| on_rejection(cx, rejection);
    let counts = import_cloudtrail(io.as_ref(), paths, options, &mut sink, &mut rejected);
    let counts = counts.map_err(|error| match error {
        ImportError::Sink(SinkError(failure)) => failure,
        other => Failure::of(Exit::Usage, &other),
    })?;
    // What was handed in counts as imported when it is durable.
    sink.settle(0)?;
    bar.finish();
    Ok(counts)
}

/// The totals: for programs the last line.
pub fn print_counts(cx: &mut Context, counts: &ImportCounts) -> Result<(), Failure> {
    let ImportCounts { records, imported, duplicates, rejected } = *counts;
    if cx.out.json {
        return cx.out.json(&Totals { records, imported, duplicates, rejected });
    }
    let numbers = [records, imported, duplicates, rejected].map(grouped);
    let [records, imported, duplicates, rejected] = numbers;
    cx.out.line(format!("{records} records: {imported} imported, {duplicates} duplicates, {rejected} rejected"))
}

fn rejected(cx: &mut Context, rejections: &[Rejection], total: u64) -> Result<(), Failure> {
    if rejections.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["rejected", "record", "byte", "reason"]);
    for rejection in rejections {
        table.row(vec![
            Cell::from(rejection.file.display()),
            Cell::from(rejection.record),
            Cell::from(rejection.offset),
            Cell::new(&rejection.reason, Paint::Warn),
        ]);
    }
    cx.out.table(&table)?;
    let more = total.saturating_sub(rejections.len() as u64);
    if more > 0 {
        cx.out.line(format!("… and {} more; --json lists all", grouped(more)))?;
    }
    Ok(())
}

/// The temporary keys of the evidence.
fn temporary(cx: &mut Context, worlds: &Worlds, now: crate::model::Time) -> Result<(), Failure> {
    let mut table = Table::new(&["temporary key", "acts as", "got by", "last used"]);
    for view in views(worlds, now).iter().filter(|view| view.is_evidence()) {
        for key in view.keys().iter().filter(|key| key.id.is_temporary()) {
            if cx.out.json {
                cx.out.json(&KeyRow::of(view, key))?;
                continue;
            }
            table.row(vec![
                Cell::new(&key.id, Paint::Bold),
                Cell::from(crate::cli::key::row::owner(view, key)),
                Cell::from(key.more().made_by.map(|uid| view.key_name(uid)).unwrap_or_default()),
                Cell::from(crate::cli::key::row::last_used(key.more().last_used.as_ref())),
            ]);
        }
    }
    cx.out.table(&table)
}

/// Events go to the ledger as commands of their own.
struct Sink<'a> {
    log: LogReader,
    writing: &'a Writing,
    waiting: VecDeque<Ticket>,
}

impl Sink<'_> {
    /// Waits until at most `left` commands are not durable yet.
    fn settle(&mut self, left: usize) -> Result<(), Failure> {
        while self.waiting.len() > left {
            if let Some(ticket) = self.waiting.pop_front() {
                ticket.wait()?;
            }
        }
        Ok(())
    }
}

/// A failure on the way through the importer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct SinkError(Failure);

impl<E: Into<Failure>> From<E> for SinkError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl EvidenceSink for Sink<'_> {
    type Error = SinkError;

    fn known_ids(&mut self, add: &mut dyn FnMut([u8; 16])) -> Result<(), SinkError> {
        for frame in self.log.frames(1) {
            let frame = frame?;
            for event in Recorded::decode(&frame)?.commit.events {
                match event {
                    Event::EvidenceChanged(change) => add(change.record.event_id),
                    Event::EvidenceObserved(observed) => add(observed.record.event_id),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn batch(&mut self, account: AccountId, source: &str, events: Vec<Event>) -> Result<(), SinkError> {
        let source = crate::model::text::excerpt(source, 500).into();
        let order = Command::ImportEvidence { account, source, events, duplicates: 0, rejected: 0 };
        self.waiting.push_back(self.writing.submit(order));
        Ok(self.settle(BATCHES_WAITING)?)
    }
}
