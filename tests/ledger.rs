//! tests/ledger.rs: commands on a real folder, from many threads, across restarts.

mod given;

use given::{DAY, HOUR, READ, SECOND, START, id, imported, operator, secret};
use keyledger::ledger::command::{OwnerName, Target};
use keyledger::ledger::{
    Command, CreateAccessKey, Done, ExecuteError, ImportAccessKey, InitOptions, Ledger, LedgerOptions, Outcome,
    Refusal, SeededDice, Token,
};
use keyledger::model::id::World;
use keyledger::model::{
    AccessKeyId, AccountId, Caller, Dialect, Event, EventKind, OrgOwner, OrgUid, Seq, ShredLevel, Time,
};
use keyledger::state::{KeyStatus, Recorded, State};
use keyledger::sys::{Io as _, RealIo, ScriptedClock};
use keyledger::vault::{KeystoreReader, SecretKey, VaultKey, VaultKeySource};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

struct Place {
    dir: TempDir,
    clock: Arc<ScriptedClock>,
    seed: u64,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder"), clock: Arc::new(ScriptedClock::at(START.0)), seed: 0 }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn options() -> LedgerOptions {
        LedgerOptions { segment_bytes: 1 << 20, ..LedgerOptions::default() }
    }

    fn dice(&mut self) -> Box<SeededDice> {
        self.seed += 1;
        Box::new(SeededDice::new(self.seed))
    }

    fn init(&mut self) -> (Ledger, OrgUid) {
        let options = InitOptions { ledger: Self::options(), ..InitOptions::default() };
        let dice = self.dice();
        let ledger =
            Ledger::init_with(Arc::new(RealIo), self.path(), self.clock.clone(), dice, &options).expect("init");
        let create = Command::CreateOrg {
            name: "acme".into(),
            account: Some(AccountId(123_456_789_012)),
            owner: OrgOwner::Operator,
            settings: Box::default(),
        };
        match done(&ledger, create).outcome {
            Outcome::OrgCreated { org, .. } => (ledger, org),
            other => panic!("{other:?}"),
        }
    }

    fn open(&mut self) -> Ledger {
        self.open_with(Self::options())
    }

    fn open_with(&mut self, options: LedgerOptions) -> Ledger {
        let dice = self.dice();
        Ledger::open_with(Arc::new(RealIo), self.clock.clone(), dice, self.path(), options).expect("open")
    }

    /// The secret as another process reads it.
    fn secret(&self, ledger: &Ledger, key: &AccessKeyId, version: u32) -> Option<SecretKey> {
        let source = VaultKeySource::File(self.path().join("vault.key"));
        let vault_key = Arc::new(VaultKey::read(&RealIo, &source).expect("a vault key"));
        let folder = self.path().join("keys");
        let id = ledger.meta().ledger_id;
        let mut reader = KeystoreReader::open(Arc::new(RealIo), &folder, id, vault_key).expect("a keystore");
        reader.secret(key.uid(World::Live), version, key).ok()
    }
}

#[track_caller]
fn done(ledger: &Ledger, command: Command) -> Done {
    ledger.execute_blocking(&operator(), command, None).expect("accepted")
}

fn user(org: OrgUid, name: &str) -> Command {
    Command::CreateUser {
        org,
        name: name.into(),
        path: "".into(),
        external_id: None,
        tags: Default::default(),
        boundary: None,
    }
}

fn key_of(org: OrgUid, name: &str) -> Command {
    let key = CreateAccessKey { owner: OwnerName::User(name.into()), ..Default::default() };
    Command::CreateKey { org, key: key.into() }
}

fn made(outcome: Outcome) -> (AccessKeyId, Option<SecretKey>) {
    match outcome {
        Outcome::KeyCreated(made) => (made.access_key_id, made.secret),
        other => panic!("{other:?}"),
    }
}

fn events(ledger: &Ledger) -> Vec<(Seq, Event)> {
    let frames = ledger.reader().frames(1);
    let commits = frames.map(|frame| Recorded::decode(&frame.expect("a frame")).expect("a commit"));
    commits.flat_map(|commit| commit.commit.events.into_iter().map(move |event| (commit.seq, event))).collect()
}

fn kinds(ledger: &Ledger) -> Vec<EventKind> {
    events(ledger).iter().map(|(_, event)| event.kind()).collect()
}

/// Rebuilt from the log alone.
fn replayed(ledger: &Ledger) -> State {
    let mut state = State::empty();
    for frame in ledger.reader().frames(1) {
        let recorded = Recorded::decode(&frame.expect("a frame")).expect("a commit");
        state.apply(recorded.seq, recorded.recorded_at, &recorded.commit);
    }
    state
}

#[test]
fn what_was_acknowledged_is_there_after_a_close_and_after_a_drop() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    let first = done(&ledger, user(org, "alice"));
    assert_eq!((first.seq, ledger.state().seq()), (Seq(2), Seq(2)));
    let (key, secret) = made(done(&ledger, key_of(org, "alice")).outcome);
    let shown = secret.expect("shown once");
    assert_eq!(shown.expose_secret().len(), 40);
    ledger.close().expect("close");
    let ledger = place.open();
    assert!(ledger.report().recovery.as_ref().is_some_and(|recovery| recovery.clean));
    assert!(ledger.state().user_by_name(org, "ALICE").is_some());
    assert!(place.secret(&ledger, &key, 1).expect("its secret").same_as(&shown));
    done(&ledger, user(org, "bob"));
    // No close: as if the process had ended here.
    drop(ledger);
    let ledger = place.open();
    assert!(ledger.state().user_by_name(org, "bob").is_some());
    assert!(ledger.report().reconciled.missing.is_empty());
    assert_eq!(ledger.state().hash(), replayed(&ledger).hash());
}

#[test]
fn sixty_four_threads_creating_keys_for_a_user_with_a_limit_of_two_make_two() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    done(&ledger, user(org, "alice"));
    let iam = Caller { dialect: Dialect::AwsIam, ..operator() };
    let results: Vec<_> = std::thread::scope(|scope| {
        let create = || ledger.execute_blocking(&iam, key_of(org, "alice"), None);
        let threads: Vec<_> = (0..64).map(|_| scope.spawn(create)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let accepted = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(accepted, 2);
    for refused in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(
            matches!(refused, ExecuteError::Refused(Refusal::KeyLimitReached { found: 2, max: 2, .. })),
            "{refused}"
        );
    }
    assert_eq!(kinds(&ledger).iter().filter(|kind| **kind == EventKind::KeyCreated).count(), 2);
}

#[test]
fn sixty_four_tasks_are_all_answered_each_by_a_commit_of_its_own() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let ledger = Arc::new(ledger);
    runtime.block_on(async {
        let tasks: Vec<_> = (0..64)
            .map(|task| {
                let ledger = Arc::clone(&ledger);
                tokio::spawn(async move {
                    for round in 0..20 {
                        let name = format!("u{task}-{round}");
                        let done = ledger.execute(&operator(), user(org, &name), None).await.expect("accepted");
                        // Read your own write.
                        assert!(ledger.state().seq() >= done.seq);
                        assert!(ledger.state().user_by_name(org, &name).is_some());
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
    assert_eq!(ledger.state().seq(), Seq(1 + 64 * 20));
    assert_eq!(ledger.state().hash(), replayed(&ledger).hash());
}

#[test]
fn a_retry_gets_the_first_outcome_again_and_never_the_secret() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    done(&ledger, user(org, "alice"));
    let token = |text: &str| Some(Token::parse(text).expect("a token"));
    let first = ledger.execute_blocking(&operator(), key_of(org, "alice"), token("t1")).expect("accepted");
    let again = ledger.execute_blocking(&operator(), key_of(org, "alice"), token("t1")).expect("accepted");
    assert!(!first.replayed && again.replayed && first.seq == again.seq);
    let ((a, shown), (b, hidden)) = (made(first.outcome), made(again.outcome));
    assert!(a == b && shown.is_some() && hidden.is_none());
    // Another body, another caller, another time.
    let other = ledger.execute_blocking(&operator(), user(org, "bob"), token("t1"));
    assert!(matches!(other, Err(ExecuteError::Refused(Refusal::TokenConflict { .. }))));
    let someone = Caller::operator("else@host");
    let theirs = ledger.execute_blocking(&someone, key_of(org, "alice"), token("t1")).expect("accepted");
    assert!(!theirs.replayed);
    ledger.close().expect("close");
    let ledger = place.open();
    let after_restart = ledger.execute_blocking(&operator(), key_of(org, "alice"), token("t1")).expect("accepted");
    assert!(after_restart.replayed);
    place.clock.advance(DAY + SECOND);
    let next_day = ledger.execute_blocking(&operator(), key_of(org, "alice"), token("t1")).expect("accepted");
    assert!(!next_day.replayed);
}

#[test]
fn retries_that_race_make_one_key() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    done(&ledger, user(org, "alice"));
    let dones: Vec<Done> = std::thread::scope(|scope| {
        let retry = || {
            let token = Token::parse("same").expect("a token");
            ledger.execute_blocking(&operator(), key_of(org, "alice"), Some(token)).expect("accepted")
        };
        let threads: Vec<_> = (0..32).map(|_| scope.spawn(retry)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(dones.iter().filter(|done| !done.replayed).count(), 1);
    let secrets = dones.into_iter().filter_map(|done| made(done.outcome).1).count();
    assert_eq!(secrets, 1, "the secret is shown once");
}

#[test]
fn a_retried_import_with_another_secret_is_another_command() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    let token = || Some(Token::parse("t").expect("a token"));
    let import = |text: &str| {
        let access_key_id = id("AKIAIOSFODNN7EXAMPLE");
        let key = ImportAccessKey { access_key_id, secret: secret(text), key: CreateAccessKey::default() };
        ledger.execute_blocking(&operator(), Command::ImportKey { org, key: key.into() }, token())
    };
    assert!(!import("first-secret").expect("accepted").replayed);
    assert!(import("first-secret").expect("accepted").replayed);
    assert!(matches!(import("other-secret"), Err(ExecuteError::Refused(Refusal::TokenConflict { .. }))));
    // The digest in the log tells nothing of a weak secret.
    let digest = |text: &str| {
        let key = ImportAccessKey {
            access_key_id: id("AKIAIOSFODNN7EXAMPLE"),
            secret: secret(text),
            key: CreateAccessKey::default(),
        };
        keyledger::model::codec::digest_of(&Command::ImportKey { org, key: key.into() }).expect("a digest")
    };
    assert_eq!(digest("a"), digest("b"));
}

#[test]
fn what_changes_nothing_and_what_is_refused_appends_nothing() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    let (key, _) = made(done(&ledger, Command::CreateKey { org, key: Box::default() }).outcome);
    let before = ledger.state().seq();
    let nothing = done(&ledger, Command::ResumeKey { key: key.clone() });
    assert!(matches!(nothing.outcome, Outcome::Nothing) && nothing.seq == before);
    let refused = ledger.execute_blocking(&operator(), key_of(org, "nobody"), None);
    assert!(matches!(refused, Err(ExecuteError::Refused(Refusal::NotFound { .. }))));
    assert_eq!((ledger.state().seq(), ledger.reader().last_seq()), (before, before.0));
}

#[test]
fn a_deleted_keys_secret_is_destroyed_and_the_log_says_so_after_the_deny() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    let (key, shown) = made(done(&ledger, Command::CreateKey { org, key: Box::default() }).outcome);
    let shown = shown.expect("shown once");
    let deleted = done(&ledger, Command::DeleteKey { key: key.clone() }).seq;
    assert_eq!(ledger.state().key(key.as_str()).map(|found| found.is_deleted()), Some(true));
    ledger.close().expect("close");
    let ledger = place.open();
    let (shredded, event) =
        events(&ledger).into_iter().find(|(_, event)| event.kind() == EventKind::KeySecretShredded).expect("shredded");
    assert!(shredded > deleted);
    let expected = Event::KeySecretShredded { key: key.uid(World::Live), versions: vec![1], level: ShredLevel::L0 };
    assert_eq!(event, expected);
    assert!(place.secret(&ledger, &key, 1).is_none());
    assert_eq!(files_with(place.path(), shown.expose_secret().as_bytes()), Vec::<String>::new());
}

#[test]
fn an_idle_ledger_destroys_secrets_by_itself() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    let (key, _) = made(done(&ledger, Command::CreateKey { org, key: Box::default() }).outcome);
    done(&ledger, Command::DeleteKey { key: key.clone() });
    for _ in 0..500 {
        if kinds(&ledger).contains(&EventKind::KeySecretShredded) {
            assert!(place.secret(&ledger, &key, 1).is_none());
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the secret is still there");
}

#[test]
fn a_crash_between_delete_and_shred_is_made_good_by_the_next_open() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    let keys: Vec<_> =
        (0..3).map(|_| made(done(&ledger, Command::CreateKey { org, key: Box::default() }).outcome).0).collect();
    done(&ledger, Command::RotateSecret { key: keys[1].clone(), grace_ns: Some(HOUR) });
    done(&ledger, Command::DeleteKey { key: keys[0].clone() });
    drop(ledger);
    // The old secret of the second key is past its deadline by the next open.
    place.clock.advance(2 * HOUR);
    let ledger = place.open();
    for _ in 0..500 {
        if [(&keys[0], 1), (&keys[1], 1)].iter().all(|(key, version)| place.secret(&ledger, key, *version).is_none()) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    ledger.close().expect("close");
    let ledger = place.open();
    assert_eq!(ledger.report().shredded, 0, "nothing is left to do");
    let state = ledger.state();
    let shredded = |key: &AccessKeyId, version: u32| {
        let found = state.key(key.as_str()).expect("the key");
        found.secrets().any(|secret| secret.version == version && secret.shredded)
    };
    assert!(shredded(&keys[0], 1) && shredded(&keys[1], 1));
    assert!(!shredded(&keys[1], 2) && !shredded(&keys[2], 1));
    assert!(place.secret(&ledger, &keys[1], 2).is_some() && place.secret(&ledger, &keys[2], 1).is_some());
}

#[test]
fn a_leap_of_the_clock_stops_all_but_what_takes_rights_away_until_it_is_accepted() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    let (key, _) = made(done(&ledger, Command::CreateKey { org, key: Box::default() }).outcome);
    let expires_at = Some(START.plus_ns(10 * DAY));
    done(&ledger, Command::SetKeyExpiry { key: key.clone(), expires_at });
    place.clock.set_wall(START.plus_ns(400 * DAY).0);
    let stopped = ledger.execute_blocking(&operator(), user(org, "alice"), None);
    assert!(matches!(stopped, Err(ExecuteError::Refused(Refusal::ClockStopped { .. }))));
    // The key has not expired: time stands still.
    assert!(ledger.now() < START.plus_ns(DAY));
    done(&ledger, Command::SuspendKey { key: key.clone() });
    let found = ledger.state().key(key.as_str()).expect("the key");
    assert_eq!(ledger.state().status(&found, ledger.now()), KeyStatus::Inactive);
    assert!(ledger.state().recorded_at() < START.plus_ns(DAY));
    // Set right again, it goes on by itself.
    place.clock.set_wall(START.plus_ns(HOUR).0);
    done(&ledger, user(org, "alice"));
    // Or the leap is accepted.
    place.clock.set_wall(START.plus_ns(400 * DAY).0);
    done(&ledger, Command::AcceptClock {});
    assert_eq!(ledger.state().recorded_at(), START.plus_ns(400 * DAY));
    done(&ledger, user(org, "bob"));
    let found = ledger.state().key(key.as_str()).expect("the key");
    assert_eq!(ledger.state().status(&found, ledger.now()), KeyStatus::Inactive);
    assert!(matches!(
        ledger.execute_blocking(&operator(), Command::ResumeKey { key }, None),
        Err(ExecuteError::Refused(Refusal::InvalidTransition { status: KeyStatus::Expired, .. }))
    ));
}

#[test]
fn a_clock_set_back_revives_nothing_also_not_across_a_restart() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    let expires_at = Some(START.plus_ns(HOUR));
    let create = Command::CreateKey { org, key: CreateAccessKey { expires_at, ..Default::default() }.into() };
    let (key, _) = made(done(&ledger, create).outcome);
    place.clock.advance(2 * HOUR);
    done(&ledger, user(org, "alice"));
    place.clock.set_wall(START.0);
    assert!(ledger.now() >= START.plus_ns(2 * HOUR));
    ledger.close().expect("close");
    let ledger = place.open();
    assert!(ledger.now() >= START.plus_ns(2 * HOUR));
    let done = done(&ledger, user(org, "bob"));
    let frame = ledger.reader().frame(done.seq.0).expect("readable").expect("there");
    assert!(Recorded::decode(&frame).expect("a commit").clock_regressed);
    let found = ledger.state().key(key.as_str()).expect("the key");
    assert_eq!(ledger.state().status(&found, ledger.now()), KeyStatus::Expired);
}

#[test]
fn snapshots_are_attested_and_shorten_the_next_open() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    ledger.close().expect("close");
    let options = LedgerOptions { snapshot_every: 100, snapshot_at_close: 10, ..Place::options() };
    let ledger = place.open_with(options.clone());
    for number in 0..250 {
        done(&ledger, user(org, &format!("u{number}")));
    }
    let hash = |ledger: &Ledger| ledger.state().hash();
    ledger.close().expect("close");
    let ledger = place.open_with(options);
    assert!(ledger.report().replayed_from > Seq(200), "{:?}", ledger.report());
    assert!(ledger.report().passed_over.is_empty(), "{:?}", ledger.report().passed_over);
    assert_eq!(hash(&ledger), replayed(&ledger).hash());
    for (_, event) in events(&ledger) {
        if let Event::StateAttested { at, state_hash, .. } = event {
            let mut state = State::empty();
            for frame in ledger.reader().frames(1).take(usize::try_from(at.0).expect("small")) {
                let recorded = Recorded::decode(&frame.expect("a frame")).expect("a commit");
                state.apply(recorded.seq, recorded.recorded_at, &recorded.commit);
            }
            assert_eq!(state.hash(), state_hash, "attested at {at}");
        }
    }
    assert!(kinds(&ledger).contains(&EventKind::StateAttested));
}

#[test]
fn a_second_writer_is_told_who_holds_the_ledger() {
    let mut place = Place::new();
    let (ledger, _) = place.init();
    let second = Ledger::open(place.path(), Place::options());
    let text = second.expect_err("held").to_string();
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    drop(ledger);
    assert!(Ledger::open(place.path(), Place::options()).is_ok());
}

#[test]
fn an_interrupted_init_is_finished_by_the_next_open() {
    let mut place = Place::new();
    let options = InitOptions { ledger: Place::options(), ..InitOptions::default() };
    let dice = place.dice();
    let ledger = Ledger::init_with(Arc::new(RealIo), place.path(), place.clock.clone(), dice, &options).expect("init");
    drop(ledger);
    std::fs::remove_dir_all(place.path().join("keys")).expect("removed");
    std::fs::remove_file(place.path().join("vault.key")).expect("removed");
    let ledger = place.open();
    let create =
        Command::CreateOrg { name: "a".into(), account: None, owner: OrgOwner::Operator, settings: Box::default() };
    done(&ledger, create);
    drop(ledger);
    // Once there is a frame, a lost vault key is no beginning.
    std::fs::remove_file(place.path().join("vault.key")).expect("removed");
    assert!(Ledger::open(place.path(), Place::options()).is_err());
}

#[test]
fn rekey_seals_everything_anew_and_the_ledger_goes_on() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    let (key, shown) = made(done(&ledger, Command::CreateKey { org, key: Box::default() }).outcome);
    let new = VaultKey::from_bytes([9; 32].into());
    let new_path = place.path().join("new.key");
    new.create(&RealIo, &new_path).expect("written");
    assert_eq!(ledger.rekey(&new).expect("rekeyed").resealed, 1);
    let (other, other_shown) = made(done(&ledger, Command::CreateKey { org, key: Box::default() }).outcome);
    ledger.close().expect("close");
    assert!(Ledger::open(place.path(), Place::options()).is_err(), "the old vault key opens nothing");
    RealIo.rename(&new_path, &place.path().join("vault.key")).expect("renamed");
    let ledger = place.open();
    for (key, shown) in [(key, shown), (other, other_shown)] {
        assert!(place.secret(&ledger, &key, 1).expect("its secret").same_as(&shown.expect("shown once")));
    }
}

#[test]
fn a_queue_has_an_end_and_a_closed_ledger_takes_nothing_in() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    ledger.close().expect("close");
    let ledger = place.open_with(LedgerOptions { queue_max: 0, ..Place::options() });
    let full = ledger.execute_blocking(&operator(), user(org, "alice"), None);
    assert!(matches!(full, Err(ExecuteError::QueueFull { queued: 0 })));
}

#[test]
fn a_command_too_large_for_one_commit_is_refused_and_the_rest_of_the_group_goes_on() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    let large: Vec<Event> = (0..5_000_u64).map(observed).collect();
    let import = |events| Command::ImportEvidence {
        account: AccountId(111_122_223_333),
        source: "logs/a.json".into(),
        events,
        duplicates: 0,
        rejected: 0,
    };
    let refused = ledger.execute_blocking(&operator(), import(large), None);
    assert!(matches!(refused, Err(ExecuteError::Refused(Refusal::TooLarge { .. }))), "{refused:?}");
    let tickets: Vec<_> = (0..40)
        .map(|n| ledger.submit(operator(), import((n * 200..n * 200 + 200).map(observed).collect()), None))
        .collect();
    for ticket in tickets {
        let done = ticket.wait().expect("accepted");
        assert!(matches!(done.outcome, Outcome::EvidenceImported { imported: 200, .. }));
    }
    done(&ledger, user(org, "alice"));
    let evidence = OrgUid::evidence(AccountId(111_122_223_333));
    assert_eq!(ledger.state().evidence(evidence).expect("evidence").records(), 8_000);
    assert_eq!(ledger.state().hash(), replayed(&ledger).hash());
}

fn observed(number: u64) -> Event {
    use keyledger::model::{EvidenceRecord, Identity, IdentityKind, Observed, Rank};
    let mut event_id = [0; 16];
    event_id[..8].copy_from_slice(&number.to_le_bytes());
    let identity = Identity { kind: IdentityKind::User, name: "mallory".into(), arn: None, account: None, key: None };
    let outcome = keyledger::model::Outcome::Ok;
    Event::EvidenceObserved(Arc::new(Observed {
        record: EvidenceRecord {
            event_id,
            effective_at: Time(number.cast_signed()),
            rank: Rank::Observed,
            identity,
            event_source: "s3.amazonaws.com".into(),
            event_name: "GetObject".into(),
            region: "us-east-1".into(),
            source_ip: "203.0.113.7".into(),
            user_agent: "x".repeat(200).into(),
            request_id: "r".into(),
            read_only: true,
            outcome,
        },
        bucket: None,
        resource: None,
        issued_key: None,
        issued_for: None,
        bytes_in: 0,
        bytes_out: 0,
        error_message: None,
    }))
}

#[test]
fn an_imported_secret_is_in_no_file_in_the_clear() {
    let mut place = Place::new();
    let (ledger, org) = place.init();
    done(&ledger, imported(org, "AKIAIOSFODNN7EXAMPLE", CreateAccessKey::default()));
    let policy = Command::CreatePolicy {
        org,
        name: "reader".into(),
        path: "".into(),
        description: "".into(),
        tags: Default::default(),
        document: READ.into(),
    };
    done(&ledger, policy);
    let to = Target::Key(id("AKIAIOSFODNN7EXAMPLE"));
    done(&ledger, Command::AttachPolicy { org, policy: "reader".into(), to });
    ledger.close().expect("close");
    assert_eq!(files_with(place.path(), b"wJalrXUtnFEMIK7MDENG"), Vec::<String>::new());
    // Things that are no secret are found, so the search works.
    assert!(!files_with(place.path(), b"AKIAIOSFODNN7EXAMPLE").is_empty());
}

/// Files below `dir` that hold `needle`.
fn files_with(dir: &Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
            continue;
        }
        #[expect(clippy::disallowed_methods, reason = "a test looks at the raw bytes")]
        let bytes = std::fs::read(&path).expect("readable");
        if bytes.windows(needle.len()).any(|window| window == needle) {
            found.push(path.display().to_string());
        }
    }
    found
}
