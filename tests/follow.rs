//! Readers in other processes: they see every frame in order while the writer rolls, is killed and starts again.
//!
//! The writer is this same test program started as a process of its own, and killed with SIGKILL. (That says nothing
//! of power loss, since the page cache survives; `crash` does.)
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may stop where it fails")]

use keyledger::log::{
    Body, KIND_COMMIT, LogError, LogOptions, LogParams, LogReader, LogWriter, NewFrame, VerifyOptions, WitnessMode,
    verify,
};
use keyledger::sys::{Io, RealIo, SimDisk};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const RESTARTS: u64 = 100;

fn io() -> Arc<dyn Io> {
    Arc::new(RealIo)
}

fn options(witness: WitnessMode) -> LogOptions {
    LogOptions { segment_bytes: 64 << 10, witness, ..LogOptions::default() }
}

fn params() -> LogParams {
    LogParams { ledger_id: [1; 16], frame_salt: [2; 32], origin: "follow.example".into(), created_ns: 0 }
}

fn payload(seq: u64) -> Vec<u8> {
    (0..40 + seq as usize % 900).map(|at| (seq as usize * 31 + at * 7) as u8).collect()
}

fn append(writer: &mut LogWriter, count: u64) -> Result<u64, LogError> {
    for _ in 0..count {
        let seq = writer.last_seq() + 1;
        let body = payload(seq);
        writer.append(NewFrame {
            recorded_at_ns: seq.cast_signed(),
            kind: KIND_COMMIT,
            schema: 1,
            flags: 0,
            body: Body::Whole(&body),
            urgent: false,
        })?;
    }
    Ok(writer.commit(0)?.seq())
}

/// The process that is killed: appends until it has no more to do, and tells what was acknowledged. Started by the test
/// below; on its own it does nothing.
#[test]
fn writer_process() {
    let Ok(dir) = std::env::var("KEYLEDGER_TEST_WRITER") else { return };
    let round: u64 = std::env::var("KEYLEDGER_TEST_ROUND").unwrap().parse().unwrap();
    let witness = if round.is_multiple_of(3) { WitnessMode::Lazy } else { WitnessMode::Strict };
    let (mut writer, _) = LogWriter::open(io(), Path::new(&dir), &options(witness)).unwrap();
    let groups = if round.is_multiple_of(5) { 7 } else { u64::MAX };
    let mut out = std::io::stdout();
    for group in 0..groups {
        let acknowledged = append(&mut writer, 1 + (round + group) % 9).unwrap();
        writeln!(out, "acknowledged {acknowledged}").unwrap();
        out.flush().unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn a_reader_in_another_process_follows_across_restarts_kills_and_rolls() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    LogWriter::create(io(), dir, &params(), &options(WitnessMode::Strict)).unwrap().close().unwrap();
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    let followed = std::thread::scope(|scope| {
        let follower = scope.spawn(|| follow(dir, &stop, &acknowledged));
        for round in 0..RESTARTS {
            run_writer(dir, round, &acknowledged);
        }
        stop.store(true, Ordering::SeqCst);
        follower.join().unwrap()
    });
    let acknowledged = acknowledged.load(Ordering::SeqCst);
    let reader = LogReader::open(io(), dir).unwrap();
    assert!(reader.last_seq() >= acknowledged && followed >= acknowledged);
    let report = verify(&io(), dir, VerifyOptions { threads: 2, ..VerifyOptions::default() }).unwrap();
    println!(
        "follow: {followed} frames in {} segments followed across {RESTARTS} writers (kill -9 four in five), all \
         {acknowledged} acknowledged there, {:.1} s",
        report.segments,
        started.elapsed().as_secs_f64()
    );
}

/// Runs one writer process for a few milliseconds, or until it closes in order, and notes what it acknowledged.
fn run_writer(dir: &Path, round: u64, acknowledged: &AtomicU64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["writer_process", "--exact", "--nocapture"])
        .env("KEYLEDGER_TEST_WRITER", dir)
        .env("KEYLEDGER_TEST_ROUND", round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut groups, limit) = (0, 3 + round * 7 % 25);
    for line in lines.map_while(Result::ok) {
        if let Some(seq) = line.rsplit_once("acknowledged ") {
            acknowledged.fetch_max(seq.1.trim().parse().unwrap(), Ordering::SeqCst);
            groups += 1;
            if groups == limit && !round.is_multiple_of(5) {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    assert!(groups > 0, "round {round}: the writer did not even open");
}

/// Reads every frame once, in order, and checks that each continues the one before. Ends when told to and caught up.
fn follow(dir: &Path, stop: &AtomicBool, acknowledged: &AtomicU64) -> u64 {
    let reader = LogReader::open(io(), dir).unwrap();
    let (mut seen, mut head) = (0, [0; 32]);
    loop {
        let stopping = stop.load(Ordering::SeqCst);
        let promised = acknowledged.load(Ordering::SeqCst);
        let last = reader.refresh().unwrap_or_else(|error| panic!("after {seen}: {error} ({error:?})"));
        assert!(last >= promised, "the witness of what is acknowledged is written before: {last} of {promised}");
        for frame in reader.frames(seen + 1) {
            let frame = frame.unwrap_or_else(|error| panic!("after {seen}: {error}"));
            assert_eq!((frame.seq, frame.prev_hash), (seen + 1, head));
            assert_eq!(frame.payload(), payload(frame.seq));
            (seen, head) = (frame.seq, frame.frame_hash);
        }
        if stopping && seen >= promised {
            return seen;
        }
        reader.wait(Duration::from_millis(200)).unwrap();
    }
}

#[test]
fn a_waiting_reader_is_woken_by_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LogWriter::create(io(), folder.path(), &params(), &options(WitnessMode::Strict)).unwrap();
    append(&mut writer, 1).unwrap();
    for reader in [LogReader::open(io(), folder.path()).unwrap(), writer.reader()] {
        let last = reader.refresh().unwrap();
        // The first call may only set the watch.
        reader.wait(Duration::from_millis(1)).unwrap();
        let woken = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let began = Instant::now();
                while reader.refresh().unwrap() == last {
                    reader.wait(Duration::from_secs(20)).unwrap();
                }
                began.elapsed()
            });
            std::thread::sleep(Duration::from_millis(30));
            append(&mut writer, 1).unwrap();
            waiting.join().unwrap()
        });
        assert!(woken < Duration::from_secs(15), "{woken:?}");
    }
}

#[test]
fn a_reader_whose_history_was_replaced_fails_closed() {
    let disk = SimDisk::new();
    let dir = Path::new("/ledger");
    let small = LogOptions { segment_bytes: 16 << 10, ..LogOptions::default() };
    let mut writer = LogWriter::create(disk.io(), dir, &params(), &small).unwrap();
    append(&mut writer, 3).unwrap();
    drop(writer);
    let other = disk.fork();
    let (mut writer, _) = LogWriter::open(disk.io(), dir, &small).unwrap();
    append(&mut writer, 2).unwrap();
    let reader = LogReader::open(disk.io(), dir).unwrap();
    assert_eq!(reader.last_seq(), 5);
    drop(writer);
    // Someone puts back the other branch, which went on differently and further.
    let (mut writer, _) = LogWriter::open(other.io(), dir, &small).unwrap();
    for _ in 0..6 {
        append(&mut writer, 1).unwrap();
    }
    drop(writer);
    for file in ["tail.wit", "log/00000000000000000001.seg"] {
        disk.put(&dir.join(file), &other.peek(&dir.join(file)).unwrap()).unwrap();
    }
    // The same payloads in other groups are the same history; a changed one is not.
    assert_eq!(reader.refresh().unwrap(), 9);
    let (mut writer, _) = LogWriter::open(other.io(), dir, &small).unwrap();
    let body = b"something else";
    let new =
        NewFrame { recorded_at_ns: 10, kind: KIND_COMMIT, schema: 1, flags: 0, body: Body::Whole(body), urgent: false };
    writer.append(new).unwrap();
    writer.commit(0).unwrap();
    append(&mut writer, 3).unwrap();
    drop(writer);
    let (mut writer, _) = LogWriter::open(disk.io(), dir, &small).unwrap();
    append(&mut writer, 2).unwrap();
    assert_eq!(reader.refresh().unwrap(), 11);
    drop(writer);
    for file in ["tail.wit", "log/00000000000000000001.seg"] {
        disk.put(&dir.join(file), &other.peek(&dir.join(file)).unwrap()).unwrap();
    }
    assert!(matches!(reader.refresh(), Err(LogError::Fork { .. } | LogError::Damaged { .. })));
    assert_eq!(reader.last_seq(), 11);
}

#[test]
fn a_reader_beside_a_torn_log_without_a_writer_sees_what_recovery_would_keep() {
    let disk = SimDisk::new();
    let dir = Path::new("/ledger");
    let small = LogOptions { segment_bytes: 16 << 10, ..LogOptions::default() };
    let mut writer = LogWriter::create(disk.io(), dir, &params(), &small).unwrap();
    append(&mut writer, 4).unwrap();
    let held = disk.hold_syncs();
    append(&mut writer, 5).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for image in held.crash_images(3) {
        let files = image.files();
        let reader = LogReader::open(image.io(), dir).unwrap();
        assert_eq!(image.files(), files, "a reader wrote something");
        let (writer, _) = LogWriter::open(image.io(), dir, &small).unwrap();
        assert_eq!(writer.last_seq(), reader.last_seq());
        assert_eq!(reader.refresh().unwrap(), writer.last_seq());
        seen.insert(reader.last_seq());
    }
    assert!(seen.len() >= 3 && seen.first() == Some(&4) && seen.last() == Some(&9), "{seen:?}");
}
