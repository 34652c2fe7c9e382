//! A state that follows another process's log: it becomes the writer's own, commit by commit, and a revoke reaches it at once.
//!
//! The writer is this same test program started as a process of its own.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may stop where it fails")]

use keyledger::ledger::{Command, CreateAccessKey, Ledger, LedgerOptions, Outcome};
use keyledger::log::LogReader;
use keyledger::model::{AccountId, Caller, Event, Grant, GrantRole, KeyUsage, OrgOwner, Rejected, Time};
use keyledger::policy::Request;
use keyledger::state::{Follower, at};
use keyledger::sys::{RealIo, SystemClock};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const KEYS: usize = 300;

fn caller() -> Caller {
    Caller::operator("ops@host")
}

/// Makes a ledger with one org.
fn new_ledger(dir: &Path) -> Ledger {
    let ledger = Ledger::init(dir, &Default::default()).unwrap();
    let create = Command::CreateOrg {
        name: "acme".into(),
        account: Some(AccountId(1)),
        owner: OrgOwner::Operator,
        settings: Box::default(),
    };
    ledger.execute_blocking(&caller(), create, None).unwrap();
    ledger
}

fn admin_key(ledger: &Ledger) -> String {
    let org = ledger.state().org_by_account(AccountId(1)).unwrap().org;
    let grants = vec![Grant { bucket: None, role: GrantRole::Admin }];
    let key = CreateAccessKey { grants, ..Default::default() };
    let done = ledger.execute_blocking(&caller(), Command::CreateKey { org, key: key.into() }, None).unwrap();
    let Outcome::KeyCreated(made) = done.outcome else { panic!() };
    made.access_key_id.to_string()
}

fn follow(dir: &Path) -> Result<Follower, at::ReplayError> {
    let io: Arc<dyn keyledger::sys::Io> = Arc::new(RealIo);
    Follower::open(&io, Arc::new(SystemClock), dir)
}

fn is_allowed(follower: &Follower, id: &str) -> bool {
    let request = Request::new("s3:ListAllMyBuckets", "*", &());
    follower.handle().with_standing(id, |key, _| key.decide(&request, Time(0)).is_allow()).unwrap_or(false)
}

/// The other process: makes keys, then revokes each when it is told its id. On its own it does nothing.
#[test]
fn writer_process() {
    let Ok(dir) = std::env::var("KEYLEDGER_TEST_LEDGER") else { return };
    let ledger = Ledger::open(Path::new(&dir), LedgerOptions::default()).unwrap();
    let mut out = std::io::stdout();
    let mut say = |text: &str| writeln!(out, "{text}").and_then(|()| out.flush()).unwrap();
    for _ in 0..KEYS {
        say(&format!("key {}", admin_key(&ledger)));
    }
    say("made");
    for id in std::io::stdin().lock().lines().map_while(Result::ok) {
        let key = keyledger::model::AccessKeyId::parse(&id).unwrap();
        ledger.execute_blocking(&caller(), Command::RevokeKey { key }, None).unwrap();
        say(&format!("revoked {id}"));
    }
    ledger.close().unwrap();
}

fn start_writer(dir: &Path) -> Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["writer_process", "--exact", "--nocapture"])
        .env("KEYLEDGER_TEST_LEDGER", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_revoke_in_another_process_reaches_a_follower_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("ledger");
    new_ledger(&dir).close().unwrap();
    let follower = follow(&dir).unwrap();
    let mut writer = start_writer(&dir);
    let mut told = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
    let keys: Vec<String> = told
        .by_ref()
        .take_while(|line| line != "made")
        .filter_map(|line| line.strip_prefix("key ").map(str::to_owned))
        .collect();
    assert_eq!(keys.len(), KEYS);
    let mut ask = writer.stdin.take().unwrap();
    let mut took = Vec::new();
    for id in &keys {
        wait_until(|| is_allowed(&follower, id));
        writeln!(ask, "{id}").unwrap();
        let revoked = format!("revoked {id}");
        assert!(told.by_ref().any(|line| line == revoked));
        let began = Instant::now();
        wait_until(|| !is_allowed(&follower, id));
        took.push(began.elapsed());
    }
    drop(ask);
    assert!(writer.wait().unwrap().success());
    took.sort();
    let (p50, p99) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("{KEYS} revokes in another process: the follower refuses after p50 {p50:?}, p99 {p99:?}");
    let reader = LogReader::open(Arc::new(RealIo), &dir).unwrap();
    wait_until(|| follower.applied().0 == reader.last_seq());
    let own = at::current(&RealIo, &dir, &reader).unwrap().state;
    assert_eq!(follower.handle().state().hash(), own.hash(), "what is followed is what a replay gives");
    assert!(!follower.contact().lost && follower.contact().failure.is_none(), "{:?}", follower.contact());
}

#[test]
fn a_follower_of_another_history_stops_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, old) = (folder.path().join("ledger"), folder.path().join("old.wit"));
    new_ledger(&dir).close().unwrap();
    std::fs::copy(dir.join("tail.wit"), &old).unwrap();
    let ledger = Ledger::open(&dir, LedgerOptions::default()).unwrap();
    let key = admin_key(&ledger);
    ledger.close().unwrap();
    let follower = follow(&dir).unwrap();
    assert!(is_allowed(&follower, &key));
    // Somebody puts yesterday's copy in its place.
    std::fs::rename(&old, dir.join("tail.wit")).unwrap();
    wait_until(|| follower.contact().lost);
    assert!(follower.contact().failure.is_some());
    assert!(is_allowed(&follower, &key), "the state stays as it was: whether to serve from it is the node's choice");
}

#[test]
fn use_is_recorded_for_the_keys_of_an_org_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = new_ledger(&folder.path().join("ledger"));
    let id = admin_key(&ledger);
    let (org, key) = (ledger.state().org_by_account(AccountId(1)).unwrap().org, ledger.state().key(&id).unwrap().uid());
    let attempt = Rejected {
        key,
        status: "Revoked".into(),
        source_ip: "192.0.2.1".into(),
        user_agent: "curl".into(),
        count: 3,
        first_at: Time(1),
        last_at: Time(2),
    };
    let usage = vec![KeyUsage { key, tuples: vec![], other: 7 }];
    let record = Command::RecordUse { org, usage, attempts: vec![attempt], dropped: 1 };
    // A key cannot speak of use, whatever it may.
    let by_key = Caller::key(keyledger::model::AccessKeyId::parse(&id).unwrap(), keyledger::model::Dialect::Native);
    ledger.execute_blocking(&by_key, record.clone(), None).unwrap_err();
    let done = ledger.execute_blocking(&Caller::system("node"), record, None).unwrap();
    let frame = ledger.reader().frame(done.seq.0).unwrap().unwrap();
    let events = keyledger::state::Recorded::decode(&frame).unwrap().commit.events;
    assert!(
        matches!(&events[..], [
        Event::UsageRolledUp { keys, dropped: 1 },
        Event::AttemptsRolledUp { attempts, dropped: 0 },
    ] if keys[0].other == 7 && attempts[0].count == 3),
        "{events:?}"
    );
    let unknown = vec![KeyUsage { key: keyledger::model::KeyUid([9; 16]), tuples: vec![], other: 1 }];
    let record = Command::RecordUse { org, usage: unknown, attempts: vec![], dropped: 0 };
    ledger.execute_blocking(&Caller::system("node"), record, None).unwrap_err();
}

#[test]
fn a_secret_is_there_for_the_gate_until_it_is_destroyed_and_after_a_rekey() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = new_ledger(&folder.path().join("ledger"));
    let secrets = ledger.secrets().unwrap();
    let id = admin_key(&ledger);
    let key = ledger.state().key(&id).unwrap();
    let found = || secrets.secret(key.uid(), 1, &key.id);
    let first = found().unwrap();
    ledger.rekey(&keyledger::vault::VaultKey::from_bytes([5; 32].into())).unwrap();
    assert!(found().unwrap().same_as(&first));
    ledger.execute_blocking(&caller(), Command::DeleteKey { key: key.id.clone() }, None).unwrap();
    wait_until(|| found().is_err());
}

/// Waits for what another process or thread does; a minute at most.
fn wait_until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_mins(1), "it did not come to pass");
        std::thread::yield_now();
    }
}
