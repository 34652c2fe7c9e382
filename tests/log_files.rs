//! The log on real files: what was written is read back, beside the writer and from another opener.
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use keyledger::log::{
    Body, KIND_COMMIT, LogError, LogOptions, LogParams, LogReader, LogWriter, NewFrame, VerifyOptions, WitnessMode,
    verify,
};
use keyledger::sys::{Io, RealIo};
use std::path::Path;
use std::sync::Arc;

fn io() -> Arc<dyn Io> {
    Arc::new(RealIo)
}

fn params() -> LogParams {
    LogParams { ledger_id: [1; 16], frame_salt: [2; 32], origin: "test.example/log".into(), created_ns: 1_000 }
}

fn small() -> LogOptions {
    LogOptions { segment_bytes: 64 << 10, ..LogOptions::default() }
}

fn payload(seq: u64) -> Vec<u8> {
    format!("payload of {seq} ").repeat(1 + (seq % 13) as usize).into_bytes()
}

fn frame(seq: u64, body: &[u8]) -> NewFrame<'_> {
    NewFrame {
        recorded_at_ns: 1_000 + seq.cast_signed() * 10,
        kind: KIND_COMMIT,
        schema: 1,
        flags: 0,
        body: Body::Whole(body),
        urgent: false,
    }
}

/// Appends `count` frames in groups of `group`.
fn write(writer: &mut LogWriter, count: u64, group: u64) {
    for _ in 0..count {
        let seq = writer.last_seq() + 1;
        writer.append(frame(seq, &payload(seq))).unwrap();
        if seq.is_multiple_of(group) {
            assert_eq!(writer.commit(0).unwrap().seq(), seq);
        }
    }
    writer.commit(0).unwrap();
}

fn check(reader: &LogReader, last: u64) {
    assert_eq!(reader.last_seq(), last);
    let mut seq = 0;
    for frame in reader.frames(1) {
        let frame = frame.unwrap();
        seq += 1;
        assert_eq!((frame.seq, frame.payload()), (seq, &payload(seq)[..]));
    }
    assert_eq!(seq, last);
    for seq in [1, last / 3, last / 2, last] {
        assert_eq!(reader.frame(seq).unwrap().unwrap().payload(), &payload(seq)[..]);
        assert_eq!(reader.seq_at_time(1_000 + seq.cast_signed() * 10 + 9).unwrap(), seq);
    }
    assert!(reader.frame(last + 1).unwrap().is_none() && reader.frame(0).unwrap().is_none());
    assert_eq!(reader.seq_at_time(1_009).unwrap(), 0);
    for segment in reader.segments() {
        let check = reader.verify_segment(segment.base_seq).unwrap();
        assert_eq!(check.last_seq, segment.last_seq);
        assert_eq!(
            reader.segment_frames(segment.base_seq).unwrap().count() as u64,
            segment.last_seq + 1 - segment.base_seq
        );
    }
}

#[test]
fn frames_over_many_segments_read_back_in_both_witness_modes_and_after_reopening() {
    for witness in [WitnessMode::Strict, WitnessMode::Lazy] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("ledger");
        let options = LogOptions { witness, ..small() };
        let mut writer = LogWriter::create(io(), &dir, &params(), &options).unwrap();
        let beside = writer.reader();
        let other = LogReader::open(io(), &dir).unwrap();
        write(&mut writer, 2_000, 7);
        check(&beside, 2_000);
        assert_eq!(other.refresh().unwrap(), 2_000);
        check(&other, 2_000);
        assert!(beside.segments().len() > 5);
        let (head, root) = (writer.chain_head(), writer.tree_root());
        assert!(
            matches!(LogWriter::open(io(), &dir, &options), Err(LogError::Held { note, .. }) if note.contains("process"))
        );
        writer.close().unwrap();

        let (mut writer, recovery) = LogWriter::open(io(), &dir, &options).unwrap();
        assert!(recovery.clean && recovery.cut.is_none(), "{recovery:?}");
        assert_eq!((writer.chain_head(), writer.tree_root()), (head, root));
        write(&mut writer, 500, 3);
        drop(writer);
        let (mut writer, recovery) = LogWriter::open(io(), &dir, &options).unwrap();
        assert!(!recovery.clean && recovery.cut.is_none() && recovery.last_seq == 2_500, "{recovery:?}");
        write(&mut writer, 100, 100);
        assert_eq!(other.refresh().unwrap(), 2_600);
        check(&other, 2_600);
        for quick in [false, true] {
            let report = verify(&io(), &dir, VerifyOptions { quick, threads: 2, ..VerifyOptions::default() }).unwrap();
            assert_eq!((report.last_seq, report.tree_root, report.live), (2_600, writer.tree_root(), true));
        }
        writer.close().unwrap();
        let reader = LogReader::open(io(), &dir).unwrap();
        check(&reader, 2_600);
    }
}

#[test]
fn an_empty_folder_is_no_ledger_and_a_ledger_is_not_made_twice() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(LogWriter::open(io(), folder.path(), &small()), Err(LogError::NotALedger { .. })));
    assert!(matches!(LogReader::open(io(), Path::new("/nonexistent/x")), Err(LogError::NotALedger { .. })));
    LogWriter::create(io(), folder.path(), &params(), &small()).unwrap().close().unwrap();
    assert!(matches!(LogWriter::create(io(), folder.path(), &params(), &small()), Err(LogError::AlreadyExists { .. })));
}

#[test]
fn a_group_in_flight_is_published_when_it_is_finished_and_the_next_one_is_built_meanwhile() {
    for witness in [WitnessMode::Strict, WitnessMode::Lazy] {
        let folder = tempfile::tempdir().unwrap();
        let options = LogOptions { witness, ..small() };
        let mut writer = LogWriter::create(io(), folder.path(), &params(), &options).unwrap();
        let reader = writer.reader();
        let mut last = 0;
        for group in 0..200 {
            for _ in 0..=(group % 5) {
                let seq = writer.last_seq() + 1;
                writer.append(frame(seq, &payload(seq))).unwrap();
            }
            assert_eq!(writer.commit_finish().unwrap().seq(), last);
            assert_eq!((reader.last_seq(), writer.durable_seq()), (last, last));
            last = writer.last_seq();
            writer.commit_start(0).unwrap();
        }
        // A group built and dropped while another is in flight.
        writer.append(frame(last + 1, b"never mind")).unwrap();
        writer.discard_group();
        assert_eq!(writer.last_seq(), last);
        assert_eq!(writer.commit(0).unwrap().seq(), last);
        check(&reader, last);
        writer.append(frame(last + 1, &payload(last + 1))).unwrap();
        writer.commit_start(0).unwrap();
        writer.close().unwrap();
        let (writer, recovery) = LogWriter::open(io(), folder.path(), &options).unwrap();
        assert!(recovery.clean && writer.last_seq() == last + 1);
        check(&writer.reader(), last + 1);
    }
}
