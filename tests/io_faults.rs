//! What a failing disk does: the N-th call fails, for every N, in every way, in six workloads.
//!
//! Nothing is acknowledged that a power loss right after could take; the first failed write or sync poisons the
//! writer; the next open has everything that was acknowledged, with the page cache as it was left and without.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may stop where it fails")]

use keyledger::log::{Body, KIND_COMMIT, LogError, LogOptions, LogParams, LogWriter, NewFrame, WitnessMode};
use keyledger::sys::{CrashLimits, Fault, Fill, SimDisk};
use std::path::Path;

const DIR: &str = "/ledger";
const SEED: u64 = 7;
const FAULTS: [Fault; 6] =
    [Fault::Eio, Fault::Enospc, Fault::Edquot, Fault::ShortWrite, Fault::SyncForgets, Fault::SyncReverts];

fn options(witness: WitnessMode, reserve: bool) -> LogOptions {
    LogOptions { segment_bytes: 16 << 10, witness, reserve, ..LogOptions::default() }
}

fn params() -> LogParams {
    LogParams { ledger_id: [1; 16], frame_salt: [2; 32], origin: "faults.example".into(), created_ns: 0 }
}

fn payload(seq: u64, len: usize) -> Vec<u8> {
    (0..len).map(|at| (seq as usize * 31 + at * 7) as u8).collect()
}

fn frame(seq: u64, body: &[u8], urgent: bool) -> NewFrame<'_> {
    NewFrame {
        recorded_at_ns: seq.cast_signed(),
        kind: KIND_COMMIT,
        schema: 1,
        flags: 0,
        body: Body::Whole(body),
        urgent,
    }
}

/// What a workload does with a ledger.
#[derive(Debug, Clone, Copy)]
enum Step {
    Group(&'static [usize]),
    Idle,
    Kill,
    Close,
}
use Step::{Close, Group, Idle, Kill};

const WORKLOADS: [(&str, WitnessMode, bool, &[Step]); 6] = [
    ("groups", WitnessMode::Strict, false, &[Group(&[100]), Group(&[50, 300, 20]), Idle, Group(&[900])]),
    ("lazy", WitnessMode::Lazy, false, &[Group(&[100]), Group(&[50, 300]), Idle, Group(&[90]), Group(&[10])]),
    (
        "rolls with a reserve",
        WitnessMode::Strict,
        true,
        &[Group(&[3000]), Group(&[3000]), Group(&[3000]), Group(&[3000, 9])],
    ),
    ("rolls, lazy", WitnessMode::Lazy, false, &[Group(&[5000]), Group(&[5000]), Group(&[5000])]),
    (
        "kills",
        WitnessMode::Strict,
        false,
        &[Group(&[100]), Kill, Group(&[200]), Kill, Group(&[10]), Kill, Group(&[700])],
    ),
    ("orderly closes", WitnessMode::Strict, true, &[Group(&[100]), Close, Group(&[7000]), Close, Group(&[2000])]),
];

/// What was promised before the fault.
#[derive(Debug, Default)]
struct Promised {
    made: bool,
    acknowledged: u64,
    submitted: u64,
    lens: Vec<usize>,
    failed: bool,
}

fn run(disk: &SimDisk, options: &LogOptions, steps: &[Step]) -> Promised {
    let mut promised = Promised::default();
    if let Err(error) = run_steps(disk, options, steps, &mut promised) {
        promised.failed = true;
        let telling = matches!(
            error,
            LogError::Io { .. } | LogError::DiskFull { .. } | LogError::WitnessLost { .. } | LogError::Damaged { .. }
        );
        assert!(telling, "{error:?}");
    }
    promised
}

fn run_steps(disk: &SimDisk, options: &LogOptions, steps: &[Step], so_far: &mut Promised) -> Result<(), LogError> {
    let mut writer = LogWriter::create(disk.io(), Path::new(DIR), &params(), options)?;
    so_far.made = true;
    for step in steps {
        match step {
            Group(lens) => {
                for len in *lens {
                    let seq = writer.last_seq() + 1;
                    let body = payload(seq, *len);
                    if let Err(error) = writer.append(frame(seq, &body, false)) {
                        // Nothing was written for this frame; the group is as before.
                        assert!(!writer.poisoned(), "{error:?}");
                        assert_eq!(writer.last_seq() + 1, seq);
                        writer.discard_group();
                        return Err(error);
                    }
                    so_far.lens.push(*len);
                    so_far.submitted = seq;
                }
                match writer.commit(0) {
                    Ok(durable) => so_far.acknowledged = durable.seq(),
                    Err(error) => return Err(poisoned(&mut writer, error)),
                }
            }
            Idle => {
                if let Err(error) = writer.refresh_witness(1_000_000) {
                    return Err(poisoned(&mut writer, error));
                }
            }
            Kill => {
                drop(writer);
                writer = LogWriter::open(disk.io(), Path::new(DIR), options)?.0;
            }
            Close => {
                writer.close()?;
                writer = LogWriter::open(disk.io(), Path::new(DIR), options)?.0;
            }
        }
    }
    Ok(())
}

/// After a failed write nothing more is written, whatever is asked; what was published can still be read.
fn poisoned(writer: &mut LogWriter, error: LogError) -> LogError {
    assert!(writer.poisoned(), "{error:?}");
    assert!(matches!(writer.append(frame(99, b"x", true)), Err(LogError::Poisoned { .. })));
    assert!(matches!(writer.commit(0), Err(LogError::Poisoned { .. })));
    assert!(matches!(writer.refresh_witness(i64::MAX), Err(LogError::Poisoned { .. })));
    assert!(writer.reader().last_seq() <= writer.last_seq());
    error
}

/// Opens, checks that what was promised is there, appends a group and returns the last seq.
fn open_and_go_on(disk: &SimDisk, options: &LogOptions, promised: &Promised, what: &str) -> u64 {
    let opened = LogWriter::open(disk.io(), Path::new(DIR), options);
    let mut writer = match opened {
        Ok((writer, _)) => writer,
        Err(LogError::NotALedger { .. }) if !promised.made => {
            LogWriter::create(disk.io(), Path::new(DIR), &params(), options).unwrap_or_else(|e| panic!("{what}: {e}"))
        }
        Err(error) => panic!("{what}: {error} ({error:?})"),
    };
    let last = writer.last_seq();
    assert!(last >= promised.acknowledged && last <= promised.submitted, "{what}: {last} of {promised:?}");
    for frame in writer.reader().frames(1) {
        let frame = frame.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(frame.payload(), payload(frame.seq, promised.lens[frame.seq as usize - 1]), "{what}");
    }
    writer.append(frame(last + 1, &payload(last + 1, 44), false)).unwrap_or_else(|error| panic!("{what}: {error}"));
    writer.commit(0).unwrap_or_else(|error| panic!("{what}: {error}")).seq()
}

fn must_have(disk: &SimDisk, options: &LogOptions, last: u64, what: &str) {
    let (writer, _) =
        LogWriter::open(disk.io(), Path::new(DIR), options).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(writer.last_seq(), last, "{what}");
}

#[test]
fn whichever_call_fails_nothing_acknowledged_is_lost_and_the_next_open_is_right() {
    const LOSSES: CrashLimits =
        CrashLimits { exhaustive_max: 3, random: 4, pairs_max: 2, fills: &[Fill::Old, Fill::Garbage] };
    let (mut points, mut opens, mut failures) = (0_u64, 0_u64, 0_u64);
    for (name, witness, reserve, steps) in WORKLOADS {
        let options = options(witness, reserve);
        let disk = SimDisk::new();
        assert!(!run(&disk, &options, steps).failed);
        let calls = disk.calls();
        for call in 1..=calls {
            for fault in FAULTS {
                for lasting in [false, true] {
                    points += 1;
                    let what = format!("{name}: call {call} of {calls}, {fault:?}, lasting {lasting}");
                    let disk = SimDisk::new();
                    disk.fail_at(call, fault, lasting);
                    let promised = run(&disk, &options, steps);
                    failures += u64::from(promised.failed);
                    disk.heal();
                    // The power goes: what the failed calls left in flight survives or does not.
                    for image in disk.crash_point().images(SEED, LOSSES) {
                        open_and_go_on(&image, &options, &promised, &format!("{what}, {image:?}"));
                        opens += 1;
                    }
                    // The process is started again over the page cache as it was left, goes on, and then the power goes.
                    let same = disk.fork();
                    let last = open_and_go_on(&same, &options, &promised, &what);
                    for image in same.crash_point().images(SEED, LOSSES) {
                        must_have(&image, &options, last, &format!("{what}, reopened, {image:?}"));
                        opens += 1;
                    }
                }
            }
        }
    }
    println!(
        "io_faults: {points} fault points in {} workloads ({failures} ended in an error), {opens} opens after them, 0 \
         acknowledged frames lost, seed {SEED}",
        WORKLOADS.len()
    );
    assert!(points >= 5_000);
}

#[test]
fn on_a_full_disk_creates_are_refused_cleanly_and_revokes_still_go() {
    let options = options(WitnessMode::Strict, true);
    let disk = SimDisk::new();
    let mut writer = LogWriter::create(disk.io(), Path::new(DIR), &params(), &options).unwrap();
    disk.set_capacity(Some(disk.used()));
    let body = payload(1, 500);
    let go = |writer: &mut LogWriter, urgent: bool| {
        let seq = writer.last_seq() + 1;
        writer.append(frame(seq, &body, urgent)).and_then(|_| writer.commit(0)).map(keyledger::log::Durable::seq)
    };
    // The first segment and one spare go to creates; the last spare is the reserve.
    let mut created = 0;
    let refused = loop {
        match go(&mut writer, false) {
            Ok(seq) => created = seq,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, LogError::DiskFull { .. }) && !writer.poisoned(), "{refused:?}");
    assert!(created > 20);
    // In the reserve there is room for as many revokes as a segment holds; creates stay refused.
    for _ in 0..10 {
        go(&mut writer, true).unwrap();
        assert!(matches!(go(&mut writer, false), Err(LogError::DiskFull { .. })));
    }
    let revoked = writer.last_seq();
    assert_eq!(revoked, created + 10);
    // Killed and opened on the full disk: still so, though recovery copies a segment.
    drop(writer);
    let (mut writer, recovery) = LogWriter::open(disk.io(), Path::new(DIR), &options).unwrap();
    assert_eq!((recovery.last_seq, recovery.cut), (revoked, None));
    assert!(matches!(go(&mut writer, false), Err(LogError::DiskFull { .. })));
    go(&mut writer, true).unwrap();
    // Room again: creates work again without a restart.
    disk.set_capacity(None);
    let last = go(&mut writer, false).unwrap();
    assert_eq!(last, revoked + 2);
    assert_eq!(writer.reader().frames(1).flatten().count() as u64, last);
}
