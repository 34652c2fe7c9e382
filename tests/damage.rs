//! What a changed byte does: it is refused or reported with its place, and never believed.
//!
//! A ledger of 200 frames in four segments of 16 KiB. Every bit of every file flipped, every byte made 00 and FF, every
//! truncation, sectors zeroed, swapped, doubled and shifted; files missing, foreign, older, under another's name.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may stop where it fails")]

use keyledger::log::{
    Body, Hash, KIND_COMMIT, LogError, LogOptions, LogParams, LogReader, LogWriter, NewFrame, Verdict, VerifyOptions,
    VerifyReport, verify,
};
use keyledger::sys::{Io, SimDisk};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const DIR: &str = "/ledger";
const SECTOR: usize = 512;

fn dir() -> &'static Path {
    Path::new(DIR)
}

fn options() -> LogOptions {
    LogOptions { segment_bytes: 16 << 10, reserve: false, ..LogOptions::default() }
}

fn params(id: u8) -> LogParams {
    LogParams { ledger_id: [id; 16], frame_salt: [id; 32], origin: "damage.example".into(), created_ns: 0 }
}

fn payload(seq: u64, salt: u8) -> Vec<u8> {
    (0..20 + seq as usize % 23).map(|at| (seq as usize * 31 + at * 7) as u8 ^ salt).collect()
}

fn append(writer: &mut LogWriter, count: u64, salt: u8) {
    for _ in 0..count {
        let seq = writer.last_seq() + 1;
        let payload = payload(seq, salt);
        let frame = NewFrame {
            recorded_at_ns: seq.cast_signed(),
            kind: KIND_COMMIT,
            schema: 1,
            flags: 0,
            body: Body::Whole(&payload),
            urgent: false,
        };
        writer.append(frame).unwrap();
        if seq.is_multiple_of(3) {
            writer.commit(0).unwrap();
        }
    }
    writer.commit(0).unwrap();
}

/// A closed ledger of `count` frames.
fn ledger(id: u8, count: u64) -> SimDisk {
    let disk = SimDisk::new();
    let mut writer = LogWriter::create(disk.io(), dir(), &params(id), &options()).unwrap();
    append(&mut writer, count, 0);
    writer.close().unwrap();
    disk
}

fn reopened(disk: &SimDisk, salt: u8, count: u64) {
    let (mut writer, _) = LogWriter::open(disk.io(), dir(), &options()).unwrap();
    append(&mut writer, count, salt);
    writer.close().unwrap();
}

fn segment(base_seq: u64) -> PathBuf {
    dir().join(format!("log/{base_seq:020}.seg"))
}

fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    let files = disk.files().into_iter().map(|(path, _)| path);
    files.filter(|path| path.extension().is_some_and(|it| it == "seg") && path.starts_with("/ledger/log")).collect()
}

/// An undamaged ledger, to compare with.
struct Good {
    disk: SimDisk,
    report: VerifyReport,
    /// Path, offset and length of each frame, by seq − 1.
    frames: Vec<(PathBuf, usize, usize)>,
}

impl Good {
    fn new() -> Self {
        let disk = ledger(1, 200);
        let report = check(&disk).unwrap();
        let reader = LogReader::open(disk.io(), dir()).unwrap();
        let mut frames = Vec::new();
        for info in reader.segments() {
            let mut offset = 4096;
            for frame in reader.segment_frames(info.base_seq).unwrap() {
                let len = 80 + frame.unwrap().payload().len().next_multiple_of(8) + 32;
                frames.push((info.path.clone(), offset, len));
                offset += len;
            }
        }
        assert_eq!((report.last_seq, frames.len(), report.segments), (200, 200, 4));
        Self { disk, report, frames }
    }

    fn frame_at(&self, path: &Path, offset: usize) -> Option<(u64, usize)> {
        let found =
            self.frames.iter().position(|(of, start, len)| of == path && (*start..start + len).contains(&offset));
        found.map(|place| (place as u64 + 1, self.frames[place].1))
    }
}

fn check(disk: &SimDisk) -> Result<VerifyReport, LogError> {
    let io: Arc<dyn Io> = disk.io();
    verify(&io, dir(), VerifyOptions::default())
}

/// Every frame's hash in the order they are read; refused or damaged logs give the error.
fn history(disk: &SimDisk) -> Result<(u64, Hash), LogError> {
    let reader = LogReader::open(disk.io(), dir())?;
    let mut head = [0; 32];
    for frame in reader.frames(1) {
        let frame = frame?;
        assert_eq!(frame.payload(), payload(frame.seq, 0), "frame {} was changed", frame.seq);
        head = frame.frame_hash;
    }
    Ok((reader.last_seq(), head))
}

#[derive(Default)]
struct Counts {
    mutations: AtomicU64,
    refused: AtomicU64,
    reported: AtomicU64,
    opened: AtomicU64,
}

/// One changed disk: `verify` refuses it, or tells what is wrong beside an unchanged history. With `open`, so do both
/// ways of opening.
fn try_one(good: &Good, disk: &SimDisk, what: &str, open: bool, counts: &Counts) -> Option<LogError> {
    counts.mutations.fetch_add(1, Ordering::Relaxed);
    let verdict = check(disk);
    let error = match verdict {
        Err(error) => {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            Some(error)
        }
        Ok(report) => {
            let told = report.torn_tail.is_some() || report.witness_slots_bad > 0 || report.meta_copy_bad;
            assert!(told, "{what}: silent: {report:?}");
            let same = report.last_seq == 200 && report.chain_head == good.report.chain_head;
            assert!(same && report.tree_root == good.report.tree_root, "{what}: another history: {report:?}");
            counts.reported.fetch_add(1, Ordering::Relaxed);
            None
        }
    };
    if open {
        counts.opened.fetch_add(1, Ordering::Relaxed);
        if let Ok(found) = history(disk) {
            assert_eq!(found, (200, good.report.chain_head), "{what}: a reader believed it");
            assert!(error.is_none(), "{what}: only verify refused: {error:?}");
        }
        if let Ok((writer, recovery)) = LogWriter::open(disk.io(), dir(), &options()) {
            assert_eq!((writer.last_seq(), writer.chain_head()), (200, good.report.chain_head), "{what}: {recovery:?}");
            assert!(error.is_none(), "{what}: only verify refused: {error:?}");
            let told = recovery.cut.is_some() || recovery.witness_slots_bad > 0 || recovery.meta_mended;
            assert!(told, "{what}: silent: {recovery:?}");
        }
    }
    error
}

/// Runs `work(n)` for every `n` below `count` on two threads.
fn on_two_threads(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let from = next.fetch_add(64, Ordering::Relaxed);
                    (from..count.min(from + 64)).for_each(&work);
                    if from >= count {
                        return;
                    }
                }
            });
        }
    });
}

fn mutate_every_byte(good: &Good, path: &Path, counts: &Counts) {
    let bytes = good.disk.peek(path).unwrap();
    on_two_threads(bytes.len(), |offset| {
        let old = bytes[offset];
        let flips = (0..8).map(|bit| old ^ (1 << bit));
        for (place, new) in flips.chain([0x00, 0xFF]).enumerate().filter(|(_, new)| *new != old) {
            let what = format!("{} byte {offset} {old:02x} → {new:02x}", path.display());
            let disk = good.disk.fork();
            disk.damage(path, offset as u64, &[new]);
            let error = try_one(good, &disk, &what, place == offset % 10, counts);
            if let (Some((seq, start)), Some(error)) = (good.frame_at(path, offset), error) {
                let named = matches!(&error, LogError::Damaged { segment, offset, seq: at }
                    if segment == path && *offset == start as u64 && *at == seq);
                assert!(named, "{what} (frame {seq} at {start}): {error:?}");
            }
        }
    });
}

fn truncate_everywhere(good: &Good, path: &Path, counts: &Counts) {
    let len = good.disk.peek(path).unwrap().len();
    on_two_threads(len, |new| {
        let disk = good.disk.fork();
        disk.damage_len(path, new as u64);
        let what = format!("{} cut to {new}", path.display());
        try_one(good, &disk, &what, new % 16 == 0, counts);
    });
}

fn mutate_sectors(good: &Good, path: &Path, counts: &Counts) {
    let bytes = good.disk.peek(path).unwrap();
    let sectors = bytes.len() / SECTOR;
    let sector = |index: usize| &bytes[index * SECTOR..(index + 1) * SECTOR];
    let changed = |what: String, changes: &[(usize, &[u8])]| {
        let disk = good.disk.fork();
        let mut real = false;
        for (index, new) in changes {
            real |= sector(*index) != *new;
            disk.damage(path, (index * SECTOR) as u64, new);
        }
        if real {
            try_one(good, &disk, &what, true, counts);
        }
    };
    on_two_threads(sectors, |a| {
        changed(format!("{} sector {a} zeroed", path.display()), &[(a, &[0; SECTOR])]);
        changed(format!("{} sector {a} all FF", path.display()), &[(a, &[0xFF; SECTOR])]);
        for b in 0..sectors {
            changed(format!("{} sector {a} written over {b}", path.display()), &[(b, sector(a))]);
            if a < b {
                changed(format!("{} sectors {a} and {b} swapped", path.display()), &[(a, sector(b)), (b, sector(a))]);
            }
        }
        let rest: Vec<(usize, &[u8])> = (a + 1..sectors).map(|index| (index, sector(index - 1))).collect();
        changed(format!("{} shifted by a sector from {a} on", path.display()), &rest);
    });
}

#[test]
fn no_single_fault_of_the_media_changes_the_history_silently() {
    let started = std::time::Instant::now();
    let good = Good::new();
    let counts = Counts::default();
    let mut files = segments(&good.disk);
    files.extend([dir().join("tail.wit"), dir().join("META")]);
    for path in &files {
        mutate_every_byte(&good, path, &counts);
        truncate_everywhere(&good, path, &counts);
        mutate_sectors(&good, path, &counts);
    }
    let mutations = counts.mutations.load(Ordering::Relaxed);
    println!(
        "damage: {mutations} single faults of {} files: {:?} refused, {:?} reported beside a whole history, 0 silent \
         ({:?} also opened for reading and writing), {:.1} s",
        files.len(),
        counts.refused,
        counts.reported,
        counts.opened,
        started.elapsed().as_secs_f64()
    );
    assert!(mutations >= 800_000, "only {mutations}");
}

/// Both ways of opening, and `verify`, refuse in the same way.
fn refused(disk: &SimDisk) -> LogError {
    let verified = check(disk).expect_err("verify takes it");
    let read = LogReader::open(disk.io(), dir()).map(drop).expect_err("a reader takes it");
    let before = disk.files();
    let written = LogWriter::open(disk.io(), dir(), &options()).map(drop).expect_err("a writer takes it");
    assert_eq!(disk.files(), before, "a refusal changed something");
    assert_eq!(verified.to_string(), written.to_string());
    assert_eq!(read.to_string(), written.to_string());
    written
}

#[test]
fn a_missing_segment_is_named_wherever_it_was() {
    let good = Good::new();
    let paths = segments(&good.disk);
    for (place, path) in paths.iter().enumerate() {
        let disk = good.disk.fork();
        disk.remove(path).unwrap();
        match refused(&disk) {
            LogError::MissingSegment { segment } => assert_eq!(&segment, path),
            LogError::MissingAcknowledged { acknowledged: 200, .. } if place + 1 == paths.len() => {}
            error => panic!("{error:?}"),
        }
    }
    let disk = good.disk.fork();
    for path in &paths {
        disk.remove(path).unwrap();
    }
    assert!(matches!(refused(&disk), LogError::MissingSegment { segment: path } if path == segment(1)));
}

#[test]
fn a_segment_of_another_ledger_is_called_foreign() {
    let good = Good::new();
    let other = ledger(9, 200);
    for path in segments(&good.disk) {
        let disk = good.disk.fork();
        disk.put(&path, &other.peek(&path).unwrap()).unwrap();
        assert!(matches!(refused(&disk), LogError::ForeignSegment { segment } if segment == path));
    }
}

#[test]
fn one_segment_under_two_names_is_misplaced() {
    let good = Good::new();
    let paths = segments(&good.disk);
    for from in &paths {
        let bytes = good.disk.peek(from).unwrap();
        for to in paths.iter().filter(|to| *to != from).cloned().chain([segment(201), segment(500)]) {
            let disk = good.disk.fork();
            disk.put(&to, &bytes).unwrap();
            let error = refused(&disk);
            let named = matches!(&error, LogError::MisplacedSegment { segment, .. } if *segment == to)
                // The one before it, if it was the last one, has no seal.
                || matches!(&error, LogError::Damaged { segment, .. } if Some(segment) == paths.last());
            assert!(named, "{} as {}: {error:?}", from.display(), to.display());
        }
    }
}

#[test]
fn an_older_copy_of_a_segment_is_refused_as_missing_acknowledged_frames_or_as_unsealed() {
    let disk = ledger(1, 100);
    let old = disk.fork();
    reopened(&disk, 0, 100);
    for path in segments(&old) {
        let (before, now) = (old.peek(&path).unwrap(), disk.peek(&path).unwrap());
        if before != now {
            let mixed = disk.fork();
            mixed.put(&path, &before).unwrap();
            assert!(matches!(refused(&mixed), LogError::Damaged { segment, .. } if segment == path));
        }
    }
    let disk = ledger(1, 10);
    let old = disk.fork();
    reopened(&disk, 0, 5);
    disk.put(&segment(1), &old.peek(&segment(1)).unwrap()).unwrap();
    assert!(matches!(refused(&disk), LogError::MissingAcknowledged { acknowledged: 15, found: 10, .. }));
}

/// Every mixture of old and new files. Only an old witness together with old log files can hide what was lost, and
/// that is a rollback of everything that knows: an anchor outside notices it, nothing here can.
#[test]
fn every_partial_restore_is_refused_unless_everything_that_knows_is_old() {
    let disk = ledger(1, 150);
    let old = disk.fork();
    reopened(&disk, 0, 50);
    let files: Vec<PathBuf> = segments(&disk).into_iter().chain([dir().join("tail.wit"), dir().join("META")]).collect();
    let (mut opened, mut refusals) = (0, 0);
    for choice in 0..1_u32 << files.len() {
        let mixed = disk.fork();
        let is_old = |place: usize| choice >> place & 1 == 1;
        for (place, path) in files.iter().enumerate().filter(|(place, _)| is_old(*place)) {
            match old.peek(path) {
                Some(bytes) => mixed.put(path, &bytes).unwrap(),
                None => mixed.remove(path).unwrap(),
            }
            let _ = place;
        }
        let old_witness = is_old(files.len() - 2);
        match history(&mixed) {
            Ok((200, _)) => opened += 1,
            Ok((150..200, _)) if old_witness => opened += 1,
            Ok(found) => panic!("{choice:b}: {found:?} was believed"),
            Err(_) => refusals += 1,
        }
    }
    assert!(opened >= 4 && refusals > 0, "{opened} {refusals}");
}

#[test]
fn a_log_with_another_history_than_the_witness_is_a_fork() {
    let disk = ledger(1, 10);
    let other = disk.fork();
    reopened(&disk, 0, 5);
    reopened(&other, 7, 8);
    // The other branch is longer, so nothing seems to be missing.
    disk.put(&segment(1), &other.peek(&segment(1)).unwrap()).unwrap();
    let error = LogWriter::open(disk.io(), dir(), &options()).map(drop).unwrap_err();
    assert!(matches!(error, LogError::Fork { seq: 15, .. }), "{error:?}");
}

#[test]
fn a_newer_format_is_named_in_every_kind_of_file() {
    let good = Good::new();
    let last = segments(&good.disk).last().unwrap().clone();
    // Path, where the record begins, where its version is, where its CRC.
    let records = [
        (dir().join("META"), 0, 8, 4092),
        (dir().join("tail.wit"), 0, 8, 4092),
        (segment(1), 0, 8, 4092),
        (last, 0, 8, 4092),
        (segment(1), (16 << 10) - 4096, 4, 4092),
    ];
    for (path, start, version, crc) in records {
        let disk = good.disk.fork();
        let mut bytes = disk.peek(&path).unwrap();
        bytes[start + version] = 2;
        let sum = crc32fast::hash(&bytes[start..start + crc]);
        bytes[start + crc..start + crc + 4].copy_from_slice(&sum.to_le_bytes());
        disk.put(&path, &bytes).unwrap();
        let error = refused(&disk);
        assert!(matches!(&error, LogError::UnknownVersion { path: named, .. } if *named == path), "{error:?}");
    }
}

#[test]
fn two_bad_witness_slots_are_refused_until_a_person_accepts_the_tail() {
    let good = Good::new();
    for (what, change) in [("gone", None), ("empty", Some(Vec::new())), ("zero", Some(vec![0; 8192]))] {
        let disk = good.disk.fork();
        match change {
            None => disk.remove(&dir().join("tail.wit")).unwrap(),
            Some(bytes) => disk.put(&dir().join("tail.wit"), &bytes).unwrap(),
        }
        assert!(matches!(refused(&disk), LogError::WitnessLost { .. }), "{what}");
        let (mut writer, recovery) = LogWriter::open_accepting_tail(disk.io(), dir(), &options()).unwrap();
        assert_eq!((recovery.accepted, recovery.last_seq), (Some(Verdict::WitnessLost), 200));
        append(&mut writer, 5, 0);
        drop(writer);
        let (writer, recovery) = LogWriter::open(disk.io(), dir(), &options()).unwrap();
        assert_eq!((writer.last_seq(), recovery.accepted), (205, None));
    }
}

#[test]
fn a_damaged_last_group_is_refused_and_what_lies_before_it_can_still_be_read_and_accepted() {
    let good = Good::new();
    let (path, offset, _) = good.frames[197].clone();
    let disk = good.disk.fork();
    disk.damage(&path, offset as u64 + 85, b"!");
    assert!(matches!(refused(&disk), LogError::Damaged { seq: 198, .. }));
    let (reader, damage) = LogReader::open_up_to_damage(disk.io(), dir()).unwrap();
    assert!(matches!(damage, Some(LogError::Damaged { seq: 198, .. })));
    assert_eq!((reader.last_seq(), reader.frames(1).flatten().count()), (197, 197));
    let (writer, recovery) = LogWriter::open_accepting_tail(disk.io(), dir(), &options()).unwrap();
    assert_eq!((writer.last_seq(), recovery.accepted), (197, Some(Verdict::AcknowledgedMissing)));
    let cut = recovery.cut.unwrap();
    assert!(disk.peek(&cut.quarantined.unwrap()).is_some() && cut.offset == offset as u64);
}

#[test]
fn damage_in_the_middle_leaves_what_lies_before_it_readable_and_is_not_accepted() {
    let good = Good::new();
    let (path, offset, _) = good.frames[80].clone();
    let disk = good.disk.fork();
    disk.damage(&path, offset as u64 + 85, b"!");
    let (reader, damage) = LogReader::open_up_to_damage(disk.io(), dir()).unwrap();
    assert!(matches!(damage, Some(LogError::Damaged { seq: 81, segment, .. }) if segment == path));
    assert_eq!(reader.last_seq(), 80);
    let accepted = LogWriter::open_accepting_tail(disk.io(), dir(), &options()).map(drop);
    assert!(matches!(accepted, Err(LogError::Damaged { seq: 81, .. })));
}

#[test]
fn a_second_writer_is_told_who_holds_the_ledger() {
    let disk = ledger(1, 3);
    let held = LogOptions { holder: "process 42 on 127.0.0.1:9400".into(), ..options() };
    let (_writer, _) = LogWriter::open(disk.io(), dir(), &held).unwrap();
    let error = LogWriter::open(disk.io(), dir(), &options()).map(drop).unwrap_err();
    assert!(matches!(&error, LogError::Held { note, .. } if note.contains("42 on 127.0.0.1:9400")), "{error}");
}
