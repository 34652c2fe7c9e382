//! Import of CloudTrail JSON, beside parsing alone with serde_json into the same struct with as many threads.

use crate::cloudtrail::{self, Output};
use crate::plan::Plan;
use crate::replay::same;
use crate::table::{Bound, Lane, Race, Report, Sample};
use crate::{Error, Result, ours};
use keyledger::ledger::import::record::RawRecord;
use keyledger::ledger::import::{EvidenceSink, ImportOptions, import_cloudtrail};
use keyledger::ledger::{Command, ExecuteError, InitOptions, Ledger, LedgerOptions, Ticket};
use keyledger::log::WitnessMode;
use keyledger::model::{AccountId, Caller, Event};
use serde::Deserialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const FLOOR: &str = "floor: serde_json into the record struct, two threads";
const OURS: &str = "keyledger import cloudtrail";

#[derive(Debug, Deserialize)]
struct File<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<RawRecord<'a>>,
}

/// Parses every file with `threads` threads. Returns how many records there were.
pub fn parse_only(files: &[PathBuf], threads: usize) -> Result<usize> {
    let (next, records) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let parse = || -> Result<()> {
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let text = std::fs::read(path)?;
            let file: File<'_> = serde_json::from_slice(&text)?;
            records.fetch_add(file.records.len(), Ordering::Relaxed);
            std::hint::black_box(file);
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(parse)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| Error::from("a parser panicked"))?)
    })?;
    Ok(records.into_inner())
}

/// Runs the stage.
pub fn run(plan: &Plan, report: &mut Report) -> Result<()> {
    if !plan.wants(&["import"]) {
        return Ok(());
    }
    let folder = plan.folder.join("cloudtrail");
    let output = Output { records: plan.records, seed: plan.seed, folder: folder.clone(), per_file: 5000, gzip: false };
    let (files, bytes) = cloudtrail::write(&output)?;
    let result = race(plan, report, &files, bytes);
    let _ = std::fs::remove_dir_all(&folder);
    result
}

/// Takes events and forgets them.
#[derive(Debug, Default)]
struct Nowhere;

impl EvidenceSink for Nowhere {
    type Error = Infallible;

    fn known_ids(&mut self, _: &mut dyn FnMut([u8; 16])) -> std::result::Result<(), Infallible> {
        Ok(())
    }

    fn batch(&mut self, _: AccountId, _: &str, events: Vec<Event>) -> std::result::Result<(), Infallible> {
        std::hint::black_box(events);
        Ok(())
    }
}

/// Hands events to a ledger as the command line does.
struct Into<'a> {
    ledger: &'a Ledger,
    waiting: VecDeque<Ticket>,
}

impl EvidenceSink for Into<'_> {
    type Error = ExecuteError;

    fn known_ids(&mut self, _: &mut dyn FnMut([u8; 16])) -> std::result::Result<(), ExecuteError> {
        // A new ledger knows none.
        Ok(())
    }

    fn batch(&mut self, account: AccountId, source: &str, events: Vec<Event>) -> std::result::Result<(), ExecuteError> {
        let order = Command::ImportEvidence { account, source: source.into(), events, duplicates: 0, rejected: 0 };
        self.waiting.push_back(self.ledger.submit(Caller::operator("bench@host"), order, None));
        while self.waiting.len() > 32 {
            if let Some(ticket) = self.waiting.pop_front() {
                ticket.wait()?;
            }
        }
        Ok(())
    }
}

/// Imports into a new ledger; the sample ends when everything is durable.
fn into_ledger(folder: &Path, files: &[PathBuf]) -> Result<usize> {
    let _ = std::fs::remove_dir_all(folder);
    let ledger = LedgerOptions { witness: WitnessMode::Lazy, ..LedgerOptions::default() };
    let options = InitOptions { ledger, ..InitOptions::default() };
    let ledger = Ledger::init(folder, &options)?;
    let mut sink = Into { ledger: &ledger, waiting: VecDeque::new() };
    let options = ImportOptions { threads: 2, ..ImportOptions::default() };
    let counts = import_cloudtrail(&*ours::io(), files, options, &mut sink, &mut |_| {})?;
    for ticket in sink.waiting {
        ticket.wait()?;
    }
    Ok(counts.imported as usize)
}

fn race(plan: &Plan, report: &mut Report, files: &[PathBuf], bytes: u64) -> Result<()> {
    let rate = |work: &dyn Fn() -> Result<usize>| -> Result<Sample> {
        let began = Instant::now();
        same("records", work()?, plan.records)?;
        Ok(Sample::of(plan.records as f64 / began.elapsed().as_secs_f64()))
    };
    let into_nowhere = || -> Result<usize> {
        let options = ImportOptions { threads: 2, ..ImportOptions::default() };
        let counts = import_cloudtrail(&*ours::io(), files, options, &mut Nowhere, &mut |_| {})?;
        Ok(counts.imported as usize)
    };
    let lanes = vec![
        Lane::new(FLOOR, || rate(&|| parse_only(files, 2))),
        Lane::new(OURS, || rate(&|| into_ledger(&plan.folder.join("imported"), files))),
        Lane::new("keyledger import, events made and dropped", || rate(&into_nowhere)),
    ];
    let race = Race::run(plan, "records/s", lanes)?;
    let mean = bytes / plan.records.max(1) as u64;
    report.lanes(&format!("import of {} CloudTrail records of {mean} B", plan.records), &race);
    report.goal("import", "CloudTrail JSON, two threads", &race, OURS, FLOOR, Bound::AtLeast(0.5));
    Ok(())
}
