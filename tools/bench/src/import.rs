//! Import of CloudTrail JSON, beside parsing alone with serde_json into the same struct with as many threads.

use crate::cloudtrail::{self, Output};
use crate::plan::Plan;
use crate::replay::same;
use crate::table::{Bound, Lane, Race, Report, Sample};
use crate::{Error, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const FLOOR: &str = "floor: serde_json into the record struct, two threads";
const OURS: &str = "keyledger import cloudtrail";

/// What an importer reads of a record; the rest is skipped.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record<'a> {
    #[serde(borrow, rename = "eventID")]
    pub event_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub event_time: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub event_source: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub event_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub aws_region: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "sourceIPAddress")]
    pub source_ip_address: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub user_agent: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub error_code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub user_identity: Option<Identity<'a>>,
    #[serde(borrow)]
    pub request_parameters: Option<&'a RawValue>,
    #[serde(borrow)]
    pub response_elements: Option<&'a RawValue>,
    #[serde(borrow)]
    pub recipient_account_id: Option<Cow<'a, str>>,
}

/// Who called.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub arn: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub account_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub access_key_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub user_name: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct File<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<Record<'a>>,
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

fn race(plan: &Plan, report: &mut Report, files: &[PathBuf], bytes: u64) -> Result<()> {
    let lanes = vec![Lane::new(FLOOR, || {
        let began = Instant::now();
        same("records parsed", parse_only(files, 2)?, plan.records)?;
        Ok(Sample::of(plan.records as f64 / began.elapsed().as_secs_f64()))
    })];
    let race = Race::run(plan, "records/s", lanes)?;
    let mean = bytes / plan.records.max(1) as u64;
    report.lanes(&format!("import of {} CloudTrail records of {mean} B", plan.records), &race);
    report.goal("import", "CloudTrail JSON, two threads", &race, OURS, FLOOR, Bound::AtLeast(0.5));
    Ok(())
}
