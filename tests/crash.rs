//! What survives when the machine stops in the middle of a write: of everything acknowledged, all; of the rest, a
//! prefix; and a log that goes on.
//!
//! For each moment before a sync (of a file or a folder) in each workload, every subset of the changes still in flight is
//! a disk that the crash could leave (a large sample where there are more than twelve). On each: no refusal, a prefix
//! of what was submitted, everything acknowledged in it, the same chain head and root; the same again after another
//! recovery, after a crash inside recovery, inside that one's recovery, and after appending and crashing once more.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may stop where it fails")]

use keyledger::log::{
    Body, Hash, KIND_ATTESTATION, KIND_COMMIT, LogError, LogOptions, LogParams, LogReader, LogWriter, NewFrame,
    WitnessMode,
};
use keyledger::sys::{CrashLimits, CrashPoint, Fill, SimDisk};
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const DIR: &str = "/data/ledger";
const SEED: u64 = 20_260_301;

fn params() -> LogParams {
    LogParams { ledger_id: [1; 16], frame_salt: [2; 32], origin: "crash.example".into(), created_ns: 1_000 }
}

/// What was submitted, and what the chain is behind each frame.
#[derive(Clone, Default)]
struct Model {
    payloads: Vec<Vec<u8>>,
    /// Index 0 is before the first frame.
    heads: Vec<(Hash, Hash)>,
}

impl Model {
    fn cut(&self, last: u64) -> Model {
        let last = usize::try_from(last).unwrap();
        Model { payloads: self.payloads[..last].to_vec(), heads: self.heads[..=last].to_vec() }
    }
}

/// A ledger on a simulated disk and what it should hold.
struct Run {
    disk: SimDisk,
    options: LogOptions,
    writer: Option<LogWriter>,
    model: Model,
}

impl Run {
    fn new(options: LogOptions) -> Self {
        let disk = SimDisk::new();
        disk.record_crash_points();
        let writer = LogWriter::create(disk.io(), Path::new(DIR), &params(), &options).unwrap();
        // A mark of 0: not even made yet. Otherwise 1 + the last acknowledged seq.
        disk.set_mark(1);
        let heads = vec![(writer.chain_head(), writer.tree_root())];
        Self { disk, options, writer: Some(writer), model: Model { payloads: Vec::new(), heads } }
    }

    /// One group of frames with these payload lengths, acknowledged.
    fn group(&mut self, lens: &[usize]) -> &mut Self {
        let writer = self.writer.as_mut().unwrap();
        append(writer, &mut self.model, lens);
        let acknowledged = writer.commit(0).unwrap().seq();
        self.disk.set_mark(1 + acknowledged);
        self
    }

    fn idle(&mut self, clock_ns: i64) -> &mut Self {
        self.writer.as_mut().unwrap().refresh_witness(clock_ns).unwrap();
        self
    }

    fn reopen(&mut self, orderly: bool) -> &mut Self {
        let writer = self.writer.take().unwrap();
        if orderly {
            writer.close().unwrap();
        } else {
            drop(writer);
        }
        self.writer = Some(LogWriter::open(self.disk.io(), Path::new(DIR), &self.options).unwrap().0);
        self
    }
}

fn append(writer: &mut LogWriter, model: &mut Model, lens: &[usize]) {
    for len in lens {
        let seq = writer.last_seq() + 1;
        let payload: Vec<u8> = (0..*len).map(|at| (seq as usize * 31 + at * 7 + at / 256 + 1) as u8).collect();
        let halves = payload.split_at(len / 2);
        let parts = [halves.0, halves.1];
        let body = if seq.is_multiple_of(3) { Body::Parts(&parts) } else { Body::Whole(&payload) };
        let frame = NewFrame {
            recorded_at_ns: 1_000 + seq.cast_signed() * 10,
            kind: if seq.is_multiple_of(5) { KIND_ATTESTATION } else { KIND_COMMIT },
            schema: 1,
            flags: 0,
            body,
            urgent: false,
        };
        assert_eq!(writer.append(frame).unwrap(), seq);
        model.payloads.push(payload);
        model.heads.push((writer.chain_head(), writer.tree_root()));
    }
}

fn small(witness: WitnessMode, reserve: bool) -> LogOptions {
    LogOptions { segment_bytes: 16 << 10, witness, reserve, ..LogOptions::default() }
}

/// Opens what the crash left and checks it. Returns the writer and the last seq, or `None` if the ledger had not even
/// been made.
fn open_and_check(image: &SimDisk, model: &Model, mark: u64, options: &LogOptions) -> Option<(LogWriter, u64)> {
    let (mut writer, recovery) = match LogWriter::open(image.io(), Path::new(DIR), options) {
        Ok(opened) => opened,
        Err(LogError::NotALedger { .. }) if mark == 0 => {
            let made = LogWriter::create(image.io(), Path::new(DIR), &params(), options);
            let made = made.unwrap_or_else(|error| panic!("{image:?}: an interrupted init cannot go on: {error}"));
            assert_eq!(made.last_seq(), 0);
            return None;
        }
        Err(error) => panic!("{image:?}: refused after a crash alone: {error} ({error:?})"),
    };
    let last = writer.last_seq();
    assert!(last < model.heads.len() as u64, "{image:?}: more than was submitted: {last}");
    assert!(last + 1 >= mark, "{image:?}: acknowledged up to {}, found {last}", mark - 1);
    assert_eq!((writer.chain_head(), writer.tree_root()), model.heads[last as usize], "{image:?}: another history");
    assert_eq!(recovery.last_seq, last);
    check_frames(image, &writer.reader(), model, last);
    // The clock's mark is never behind the last frame.
    assert!(last == 0 || writer.clock_high_ns() >= 1_000 + last.cast_signed() * 10);
    writer.discard_group();
    Some((writer, last))
}

fn check_frames(image: &SimDisk, reader: &LogReader, model: &Model, last: u64) {
    let mut seq = 0;
    for frame in reader.frames(1) {
        let frame = frame.unwrap_or_else(|error| panic!("{image:?}: {error}"));
        seq += 1;
        let parts: Vec<u8> = frame.parts().collect::<Vec<_>>().concat();
        assert_eq!((frame.seq, &parts), (seq, &model.payloads[seq as usize - 1]), "{image:?}");
    }
    assert_eq!(seq, last, "{image:?}");
}

#[derive(Default)]
struct Counts {
    states: AtomicU64,
    recoveries_crashed: AtomicU64,
    appended_and_crashed: AtomicU64,
}

const INNER: CrashLimits =
    CrashLimits { exhaustive_max: 4, random: 6, pairs_max: 6, fills: &[Fill::Old, Fill::Garbage] };

/// Everything that must hold of one disk after a crash. `depth`: how many more crashes are tried inside.
fn check_image(image: &SimDisk, model: &Model, mark: u64, options: &LogOptions, depth: u32, counts: &Counts) {
    counts.states.fetch_add(1, Ordering::Relaxed);
    if depth > 0 {
        image.record_crash_points();
        image.set_mark(mark);
    }
    let Some((mut writer, last)) = open_and_check(image, model, mark, options) else { return };
    // What recovery gave is what it gives again.
    let recovered = image.fork();
    drop(writer);
    let again = open_and_check(&recovered, model, mark, options).map(|(_, last)| last);
    assert_eq!(again, Some(last), "{image:?}: another recovery gave something else");
    if depth > 0 {
        let inners = image.take_crash_points().into_iter().flat_map(|point| point.images(SEED, INNER));
        for (count, inner) in inners.enumerate() {
            counts.recoveries_crashed.fetch_add(1, Ordering::Relaxed);
            // Of these only some are crashed into again, or there would be no end.
            let depth = if count.is_multiple_of(41) { depth - 1 } else { 0 };
            check_image(&inner, model, mark, options, depth, counts);
        }
        image.record_crash_points();
    }
    // Append, crash again, recover again.
    let mut longer = model.cut(last);
    writer = LogWriter::open(image.io(), Path::new(DIR), options).unwrap().0;
    append(&mut writer, &mut longer, &[300, 40]);
    image.set_mark(1 + writer.commit(0).unwrap().seq());
    append(&mut writer, &mut longer, &[700]);
    if depth > 0 {
        writer.commit(0).unwrap();
        for point in image.take_crash_points() {
            for inner in point.images(SEED, INNER) {
                counts.appended_and_crashed.fetch_add(1, Ordering::Relaxed);
                check_image(&inner, &longer, point.mark.max(mark), options, 0, counts);
            }
        }
    } else {
        // One crash of many: only the first of the changes in flight survives.
        let held = image.hold_syncs();
        writer.commit(0).unwrap();
        let one = CrashLimits { exhaustive_max: 0, random: 0, pairs_max: 0, fills: &[Fill::Garbage] };
        let inner = held.crash_point().images(SEED, one).nth(1).unwrap();
        counts.states.fetch_add(1, Ordering::Relaxed);
        let (_, now) = open_and_check(&inner, &longer, last + 3, options).unwrap();
        assert!(now >= last + 2, "{inner:?}");
        counts.appended_and_crashed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Every crash of every moment of a workload, over two threads.
fn try_all(name: &str, run: Run, limits: CrashLimits, deep_every: u64, counts: &Counts) {
    let (model, options) = (run.model.clone(), run.options.clone());
    let points: Vec<CrashPoint> = run.disk.take_crash_points();
    drop(run);
    let (next, images, most) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    most.fetch_max(point.changes(), Ordering::Relaxed);
                    for image in point.images(SEED, limits) {
                        let count = images.fetch_add(1, Ordering::Relaxed);
                        let depth = if count.is_multiple_of(deep_every) { 2 } else { 0 };
                        check_image(&image, &model, point.mark, &options, depth, counts);
                    }
                }
            });
        }
    });
    let states = counts.states.load(Ordering::Relaxed);
    println!("  {name}: {} moments, at most {most:?} changes in flight, {images:?} disks, {states}", points.len());
}

#[test]
fn after_any_crash_all_that_was_acknowledged_is_there_and_the_log_goes_on() {
    let started = std::time::Instant::now();
    let counts = Counts::default();
    let all = CrashLimits { pairs_max: 300, random: 128, ..CrashLimits::default() };

    let mut run = Run::new(small(WitnessMode::Strict, false));
    run.group(&[50]).group(&[200, 90, 300]).group(&[1]).group(&[1200, 700]).group(&[3000]).idle(9_000);
    try_all("groups of frames, strict witness", run, all, 401, &counts);

    let mut run = Run::new(small(WitnessMode::Strict, false));
    run.group(&[10]).group(&[900, 2200, 1400]).group(&[20]);
    try_all("one large group, every subset of its sectors", run, all, 4001, &counts);

    let mut run = Run::new(small(WitnessMode::Lazy, false));
    run.group(&[50]).group(&[200, 90]).group(&[400]).idle(9_000).group(&[100]).group(&[30, 30]);
    try_all("groups of frames, lazy witness", run, all, 401, &counts);

    let mut run = Run::new(small(WitnessMode::Strict, true));
    for _ in 0..5 {
        run.group(&[1500]).group(&[900, 900]);
    }
    try_all("rolls, with a reserve", run, all, 1201, &counts);

    let mut run = Run::new(small(WitnessMode::Lazy, false));
    for _ in 0..4 {
        run.group(&[2500]).group(&[1500]);
    }
    try_all("rolls, lazy witness", run, all, 1201, &counts);

    let mut run = Run::new(small(WitnessMode::Strict, false));
    run.group(&[100]).reopen(true).group(&[200, 10]).reopen(false).group(&[60]).reopen(true).reopen(true).reopen(false);
    run.group(&[4000]).group(&[3500]).reopen(false).group(&[10]);
    try_all("closing, killing and opening again", run, all, 1201, &counts);

    let (states, seconds) = (counts.states.load(Ordering::Relaxed), started.elapsed().as_secs_f64());
    println!(
        "crash: {states} crash states ({:?} inside recovery, {:?} after appending again), 0 acknowledged frames lost, \
         0 refused, seed {SEED}, {seconds:.1} s",
        counts.recoveries_crashed, counts.appended_and_crashed
    );
    assert!(states >= 200_000, "only {states} states");
}

#[test]
fn an_unacknowledged_group_torn_by_a_crash_is_cut_kept_in_quarantine_and_reported() {
    let mut run = Run::new(small(WitnessMode::Strict, false));
    run.group(&[100, 200]);
    let held = run.disk.hold_syncs();
    run.group(&[600, 600, 600]);
    let (mut cut, mut whole, mut lost) = (0, 0, 0);
    for image in held.crash_images(SEED) {
        let (writer, recovery) = LogWriter::open(image.io(), Path::new(DIR), &run.options).unwrap();
        assert!((2..=5).contains(&writer.last_seq()), "{image:?}");
        match recovery.cut {
            Some(torn) => {
                cut += 1;
                assert!(
                    image.peek(&torn.quarantined.unwrap()).is_some_and(|bytes| bytes.len() == 16 << 10),
                    "{image:?}"
                );
                assert!(torn.segment.ends_with("log/00000000000000000001.seg"));
            }
            None if writer.last_seq() == 5 => whole += 1,
            None => lost += 1,
        }
    }
    assert!(cut > 100 && whole > 0 && lost > 0, "{cut} {whole} {lost}");
}
