//! One state, however it is reached: from zero, from each snapshot and the tail behind it, through the log as of each seq.

#![expect(clippy::cast_possible_truncation, reason = "a few thousand commits")]

#[path = "samples/history.rs"]
mod history;
mod samples;

use history::{EVIDENCE, History, evidence};
use keyledger::log::{Body, KIND_COMMIT, LogOptions, LogParams, LogWriter, NewFrame};
use keyledger::model::codec::{self, Encoded};
use keyledger::model::{Commit, Event, SCHEMA, Seq};
use keyledger::state::{Evidence, State, StateHandle, at};
use keyledger::sys::{Io, RealIo};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::path::Path;
use std::sync::Arc;

const SEEDS: [u64; 3] = [1, 20_261_121, 77];
const COMMITS: u64 = 2_000;

fn apply(state: &mut State, n: u64, commit: &Commit) {
    state.apply(Seq(n), History::time(n), commit);
}

#[test]
fn from_zero_from_each_snapshot_and_after_publishing_the_hashes_are_equal() {
    let mut comparisons = 0;
    for seed in SEEDS {
        let commits: Vec<Commit> = History::seeded(seed).take(COMMITS as usize).collect();
        let mut state = State::empty();
        let mut hashes = vec![state.hash()];
        let mut snapshots = vec![];
        for (n, commit) in (1..).zip(&commits) {
            apply(&mut state, n, commit);
            hashes.push(state.hash());
            if n % 50 == 0 {
                snapshots.push((n, state.to_snapshot([1; 16], [2; 32], [3; 32]).0));
            }
        }
        for (at, bytes) in &snapshots {
            let header = State::snapshot_header(bytes, [1; 16]).expect("whole");
            let mut from = State::from_snapshot(bytes, &header).expect("readable");
            assert_eq!(from.hash(), hashes[*at as usize], "seed {seed}, snapshot at {at}");
            // The tail by steps near the snapshot, then the end: every seq of the history is reached from some snapshot.
            for n in at + 1..=COMMITS {
                apply(&mut from, n, &commits[n as usize - 1]);
                if n <= at + 50 || n == COMMITS {
                    assert_eq!(from.hash(), hashes[n as usize], "seed {seed}, from {at}, at {n}");
                    comparisons += 1;
                }
            }
        }
        // Through the shared table, with readers that hold old states.
        let (handle, mut shared) = StateHandle::publish_first(State::empty());
        let mut held = vec![];
        for (n, commit) in (1..).zip(&commits) {
            apply(&mut shared, n, commit);
            handle.publish(&shared);
            if n % 97 == 0 {
                held.push((n, handle.state()));
            }
        }
        for (n, state) in held {
            assert_eq!(state.hash(), hashes[n as usize], "seed {seed}, held at {n}");
            comparisons += 1;
        }
    }
    println!("{comparisons} comparisons over seeds {SEEDS:?}, all equal");
}

fn write_log(dir: &Path, commits: &[Commit]) -> LogWriter {
    let io: Arc<dyn Io> = Arc::new(RealIo);
    let params = LogParams {
        ledger_id: [7; 16],
        frame_salt: [8; 32],
        origin: "test".to_owned(),
        created_ns: History::time(0).0,
    };
    let options = LogOptions { segment_bytes: 64 << 10, background: false, ..LogOptions::default() };
    let mut log = LogWriter::create(io, dir, &params, &options).expect("creates");
    for (n, commit) in (1..).zip(commits) {
        let encoded = codec::encode(commit, |_| [0; 16]).expect("fits");
        let parts: Vec<&[u8]>;
        let body = match &encoded {
            Encoded::Whole(bytes) => Body::Whole(bytes),
            Encoded::Parts(all) => {
                parts = all.iter().map(Vec::as_slice).collect();
                Body::Parts(&parts)
            }
        };
        let recorded_at_ns = History::time(n).0;
        let frame = NewFrame { recorded_at_ns, kind: KIND_COMMIT, schema: SCHEMA, flags: 0, body, urgent: false };
        if !log.group_has_room(body.payload_len()) {
            log.commit(recorded_at_ns).expect("commits");
        }
        log.append(frame).expect("appends");
    }
    log.commit(History::time(commits.len() as u64).0).expect("commits");
    log
}

#[test]
fn the_log_gives_the_same_state_as_of_any_seq() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let commits: Vec<Commit> = History::seeded(SEEDS[0]).take(COMMITS as usize).collect();
    let log = write_log(dir.path(), &commits);
    let reader = log.reader();
    let mut state = State::empty();
    for (n, commit) in (1..).zip(&commits) {
        apply(&mut state, n, commit);
        if n % 53 == 0 || n == COMMITS {
            let replayed = at::at(&RealIo, dir.path(), &reader, Seq(n), &mut |_| {}).expect("replays");
            assert_eq!(replayed.state.hash(), state.hash(), "at {n}");
        }
    }
    let ahead = at::at(&RealIo, dir.path(), &reader, Seq(COMMITS + 1), &mut |_| {}).expect_err("is not there yet");
    assert_eq!(ahead.to_string(), format!("seq {} is not there yet; the newest is {COMMITS}", COMMITS + 1));
}

#[test]
fn a_snapshot_that_no_commit_attests_is_passed_over_and_the_answer_is_the_same() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let commits: Vec<Commit> = History::seeded(SEEDS[1]).take(300).collect();
    let log = write_log(dir.path(), &commits);
    let reader = log.reader();
    // A forgery in good shape: of the right seq and chain, but of another state.
    let mut forged = State::empty();
    for (n, commit) in (1..).zip(&commits) {
        let skipped = Commit { events: vec![Event::OrgSuspended {}], ..commit.clone() };
        apply(&mut forged, n, if n == 150 { &skipped } else { commit });
    }
    at::write_snapshot(&RealIo, dir.path(), &forged, [7; 16], log.chain_head(), log.tree_root()).expect("writes");
    let replayed = at::current(&RealIo, dir.path(), &reader).expect("replays");
    assert_eq!(replayed.from, Seq(0));
    assert_eq!(replayed.passed_over.len(), 1);
    assert!(replayed.passed_over[0].why.contains("no commit of the log attests"), "{:?}", replayed.passed_over);
    assert_ne!(replayed.state.hash(), forged.hash());
}

#[test]
fn evidence_adds_up_to_the_same_state_in_whatever_order_it_came() {
    let mut dice = StdRng::seed_from_u64(5);
    let mut events: Vec<Event> = (0..400).map(|_| evidence(&mut dice)).collect();
    let folded = |events: &[Event]| {
        let mut collected = Evidence::default();
        for (n, event) in (1..).zip(events) {
            collected.collect(Seq(n), event);
        }
        collected.fold(EVIDENCE)
    };
    let first = folded(&events);
    assert!(first.key_count() > 0 && first.all_users().count() > 0);
    for round in 0..20 {
        events.shuffle(&mut dice);
        assert_eq!(folded(&events).hash(), first.hash(), "round {round}");
    }
}
