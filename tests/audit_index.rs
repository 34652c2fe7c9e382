//! tests/audit_index.rs: whether an index is only ever faster, never different.

#[path = "samples/history.rs"]
mod history;
mod samples;

use history::{EVIDENCE, History as Seeded};
use keyledger::audit::at::KeyPast;
use keyledger::audit::{Archive, Asked, History, Mention, Plan, Query, Worlds, log};
use keyledger::log::{Body, KIND_COMMIT, LogOptions, LogParams, LogReader, LogWriter, NewFrame};
use keyledger::model::codec::{self, Encoded};
use keyledger::model::{Commit, EventKind, SCHEMA, Seq, When};
use keyledger::state::{Recorded, State};
use keyledger::sys::{Io, RealIo};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

fn io() -> Arc<dyn Io> {
    Arc::new(RealIo)
}

/// Small segments, so that a few thousand commits fill many and runs are merged.
fn options() -> LogOptions {
    LogOptions { segment_bytes: 16 << 10, background: false, reserve: false, ..LogOptions::default() }
}

fn append(log: &mut LogWriter, commits: &[Commit]) {
    for commit in commits {
        let encoded = codec::encode(commit, |_| [0; 16]).expect("fits");
        let parts: Vec<&[u8]>;
        let body = match &encoded {
            Encoded::Whole(bytes) => Body::Whole(bytes),
            Encoded::Parts(all) => {
                parts = all.iter().map(Vec::as_slice).collect();
                Body::Parts(&parts)
            }
        };
        let recorded_at_ns = Seeded::time(log.last_seq() + 1).0;
        let frame = NewFrame { recorded_at_ns, kind: KIND_COMMIT, schema: SCHEMA, flags: 0, body, urgent: false };
        if !log.group_has_room(body.payload_len()) {
            log.commit(recorded_at_ns).expect("commits");
        }
        log.append(frame).expect("appends");
    }
    log.commit(Seeded::time(log.last_seq()).0).expect("commits");
}

fn new_log(dir: &Path) -> LogWriter {
    let params =
        LogParams { ledger_id: [7; 16], frame_salt: [8; 32], origin: "test".to_owned(), created_ns: Seeded::time(0).0 };
    LogWriter::create(io(), dir, &params, &options()).expect("creates")
}

fn recorded(reader: &LogReader) -> Vec<Recorded> {
    reader.frames(1).map(|frame| Recorded::decode(&frame.expect("whole")).expect("decodes")).collect()
}

fn seqs(history: &dyn History, query: &Query) -> Vec<String> {
    let mut found = Vec::new();
    log::facts(history, query, &mut |fact| {
        found.push(format!("{} {}", fact.id, fact.event.kind().as_str()));
        ControlFlow::Continue(())
    })
    .expect("reads");
    found
}

/// Questions of every sort, about things that are there.
fn questions(commits: &[Recorded], worlds: &Worlds) -> Vec<Asked> {
    let mut ids = BTreeSet::new();
    let mut users = BTreeSet::new();
    let mut actors = BTreeSet::new();
    let mut addresses = BTreeSet::new();
    worlds.for_each_key(|_, _, key| _ = ids.insert(key.id.to_string()));
    for (_, state) in worlds.states() {
        users.extend(state.all_users().map(|user| user.name.to_string()));
    }
    for commit in commits {
        for fact in commit.facts() {
            actors.insert(fact.actor.name.to_owned());
            addresses.extend(fact.source_ip.map(str::to_owned));
        }
    }
    let mut asked = Vec::new();
    let base = Asked::default;
    asked.extend(ids.iter().step_by(7).map(|id| Asked { key: Some(id.clone()), ..base() }));
    asked.extend(users.iter().step_by(3).map(|name| Asked { user: Some(name.clone()), ..base() }));
    asked.extend(actors.iter().take(10).map(|name| Asked { actor: Some(name.clone()), ..base() }));
    asked.extend(addresses.iter().take(10).map(|text| Asked { address: Some(text.clone()), ..base() }));
    asked.extend(EventKind::ALL.iter().map(|kind| Asked { kinds: vec![kind.as_str().to_owned()], ..base() }));
    asked.push(Asked { org: Some(EVIDENCE.to_string()), limit: Some(100), ..base() });
    asked.push(Asked { bucket: Some("bucket-1".to_owned()), ..base() });
    for seq in [1, 50, 700, 1_200] {
        asked.push(Asked { since: Some(When::Seq(Seq(seq))), limit: Some(40), ..base() });
        asked.push(Asked {
            until: Some(When::At(Seeded::time(seq))),
            kinds: vec!["key-created".to_owned(), "key-revoked".to_owned()],
            reverse: true,
            ..base()
        });
        asked.push(Asked { known_at: Some(Seeded::time(seq)), reverse: true, limit: Some(9), ..base() });
    }
    if let Some(id) = ids.first() {
        asked.push(Asked { key: Some(id.clone()), kinds: vec!["key-created".to_owned()], ..base() });
    }
    asked
}

/// Asks everything of the archive and of the commits in memory.
fn agree(archive: &Archive, commits: &Vec<Recorded>) -> usize {
    let mut state = State::empty();
    for commit in commits {
        state.apply(commit.seq, commit.recorded_at, &commit.commit);
    }
    let worlds = Worlds::of(&state);
    let mut found = 0;
    for asked in questions(commits, &worlds) {
        let Ok(query) = Query::of(&asked, commits, &worlds) else { continue };
        let expected = seqs(commits, &query);
        assert_eq!(seqs(archive, &query), expected, "{asked:?}");
        found += expected.len();
    }
    found
}

#[test]
fn index_and_scan_find_the_same_over_random_histories() {
    for seed in [3, 20_261_121] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut log = new_log(dir.path());
        let commits: Vec<Commit> = Seeded::seeded(seed).take(2_000).collect();
        append(&mut log, &commits);
        let reader = log.reader();
        let all = recorded(&reader);
        let sealed = reader.segments().iter().filter(|segment| segment.sealed).count();
        assert!(sealed > 20, "{sealed} segments");

        let (archive, report) = Archive::open(io(), dir.path(), reader.clone()).expect("opens");
        // Four runs become one, and four of those.
        let merged: usize = (1..=4).map(|level| sealed / 4_usize.pow(level)).sum();
        assert_eq!((report.built, report.read, report.merged), (sealed, 0, merged));
        assert_eq!((report.commits, report.unwritten), (2_000, 0));
        let found = agree(&archive, &all);
        assert!(found > 2_000, "{found}");

        // From the files this time, and by walking.
        let (again, report) = Archive::open(io(), dir.path(), reader.clone()).expect("opens");
        assert_eq!((report.built, report.wrong), (0, 0));
        assert_eq!(agree(&again, &all), found);
        assert_eq!(agree(&Archive::without_index(io(), reader), &all), found);
    }
}

#[test]
fn what_is_written_later_is_found_after_a_refresh() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut log = new_log(dir.path());
    let commits: Vec<Commit> = Seeded::seeded(11).take(1_500).collect();
    append(&mut log, &commits[..100]);
    let (mut archive, _) = Archive::open(io(), dir.path(), log.reader()).expect("opens");
    for piece in commits[100..].chunks(70) {
        append(&mut log, piece);
        assert_eq!(archive.last_seq().0 + piece.len() as u64, log.last_seq(), "not before the refresh");
        assert_eq!(archive.refresh().expect("refreshes").0, log.last_seq());
        let created = Query { kinds: vec![EventKind::KeyCreated], ..Query::default() };
        assert_eq!(seqs(&archive, &created), seqs(&recorded(&log.reader()), &created));
    }
    agree(&archive, &recorded(&log.reader()));
}

#[test]
fn a_lost_torn_or_foreign_index_is_built_anew_and_the_answers_are_the_same() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut log = new_log(dir.path());
    let commits: Vec<Commit> = Seeded::seeded(5).take(900).collect();
    append(&mut log, &commits);
    let reader = log.reader();
    let all = recorded(&reader);
    let open = || Archive::open(io(), dir.path(), reader.clone()).expect("opens");
    let (archive, _) = open();
    let found = agree(&archive, &all);
    drop(archive);
    let folder = dir.path().join("idx");
    let files: Vec<String> = RealIo.read_dir(&folder).expect("lists").into_iter().map(|entry| entry.name).collect();
    assert!(files.len() > 1, "{files:?}");
    let bytes = |name: &str| RealIo.read(&folder.join(name), 1 << 30).expect("reads");
    let first = bytes(&files[0]);
    let damages: Vec<(&str, Option<Vec<u8>>)> = vec![
        ("lost", None),
        ("empty", Some(Vec::new())),
        ("torn", Some(first[..first.len() / 2].to_vec())),
        ("a flipped bit", Some(first.iter().enumerate().map(|(at, b)| if at == 500 { b ^ 4 } else { *b }).collect())),
        ("another's", Some(bytes(&files[1]))),
        ("zeros", Some(vec![0; first.len()])),
    ];
    for (damage, content) in damages {
        match content {
            None => RealIo.remove_file(&folder.join(&files[0])).expect("removes"),
            Some(content) => RealIo.replace(&folder.join(&files[0]), &content).expect("writes"),
        }
        let (archive, report) = open();
        assert!(report.built > 0, "{damage}: {report:?}");
        assert_eq!(agree(&archive, &all), found, "{damage}");
        drop(archive);
        assert_eq!(bytes(&files[0]), first, "{damage}: built as it was");
    }
    // Every single byte of a small index, flipped: never another answer.
    let key = all.iter().flat_map(Recorded::facts).find(|fact| fact.event.kind() == EventKind::KeyRevoked);
    let mut term = None;
    if let Some(fact) = key {
        keyledger::audit::mentions(&fact, &mut |mention| {
            if let Mention::Key(_) = mention {
                term = Some(mention.term());
            }
        });
    }
    let plan = Plan::mentioning(vec![term.expect("a key was revoked")]);
    let seqs_of = |archive: &Archive| {
        let mut seqs = Vec::new();
        archive
            .walk(&plan, &mut |commit| {
                seqs.push(commit.seq);
                ControlFlow::Continue(())
            })
            .expect("reads");
        seqs
    };
    let expected = seqs_of(&open().0);
    for at in (0..first.len()).step_by(97) {
        let mut flipped = first.clone();
        flipped[at] ^= 1 << (at % 8);
        RealIo.replace(&folder.join(&files[0]), &flipped).expect("writes");
        let (archive, report) = open();
        assert_eq!(report.wrong, 1, "byte {at}");
        assert_eq!(seqs_of(&archive), expected, "byte {at}");
    }
}

#[test]
fn an_index_that_cannot_be_written_stays_in_memory() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut log = new_log(dir.path());
    let commits: Vec<Commit> = Seeded::seeded(6).take(500).collect();
    append(&mut log, &commits);
    // A file where the folder should be.
    RealIo.replace(&dir.path().join("idx"), b"x").expect("writes");
    let (archive, report) = Archive::open(io(), dir.path(), log.reader()).expect("opens");
    assert_eq!(report.unwritten, report.built + report.merged);
    agree(&archive, &recorded(&log.reader()));
}

#[test]
fn a_key_as_of_any_seq_through_the_index_is_what_the_replay_gives() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut log = new_log(dir.path());
    let commits: Vec<Commit> = Seeded::seeded(8).take(1_200).collect();
    append(&mut log, &commits);
    let reader = log.reader();
    let (archive, _) = Archive::open(io(), dir.path(), reader.clone()).expect("opens");
    let past = KeyPast::new(&archive).expect("reads");
    let mut state = State::empty();
    let mut compared = 0;
    for commit in recorded(&reader) {
        state.apply(commit.seq, commit.recorded_at, &commit.commit);
        if commit.seq.0 % 61 == 0 {
            let mut keys = Vec::new();
            state.for_each_key(|key| keys.push((key.uid(), key.to_record())));
            for (uid, key) in keys {
                let record = past.key_at(uid, When::Seq(commit.seq)).expect("reads");
                assert_eq!(record.as_ref(), Some(&key), "at {}", commit.seq);
                compared += 1;
            }
        }
    }
    assert!(compared > 1_000, "{compared}");
}
