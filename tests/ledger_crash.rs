//! tests/ledger_crash.rs: log, keystore and state together, when the machine stops, a call fails, or the disk is full.
//!
//! The log alone is taken apart in `crash`, `damage` and `io_faults`; here the question is whether secrets and events agree.

mod given;

use given::{HOUR, START, id, imported, operator};
use keyledger::ledger::command::OwnerName;
use keyledger::ledger::{
    Command, CreateAccessKey, ExecuteError, InitOptions, Ledger, LedgerOptions, Outcome, SeededDice,
};
use keyledger::log::LogError;
use keyledger::model::id::World;
use keyledger::model::{AccessKeyId, AccountId, OrgOwner, OrgUid, Seq};
use keyledger::state::{KeyStatus, Recorded};
use keyledger::sys::{CrashLimits, Fault, Fill, ScriptedClock, SimDisk};
use keyledger::vault::{KeystoreReader, VaultError, VaultKey, VaultKeySource};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const DIR: &str = "/data/ledger";
const IMPORTED: &str = "AKIAIOSFODNN7EXAMPLE";

fn options() -> LedgerOptions {
    LedgerOptions { segment_bytes: 16 << 10, snapshot_every: 8, snapshot_at_close: 4, ..LedgerOptions::default() }
}

fn init(disk: &SimDisk) -> Ledger {
    let options = InitOptions { ledger: options(), ..InitOptions::default() };
    let clock = Arc::new(ScriptedClock::at(START.0));
    Ledger::init_with(disk.io(), Path::new(DIR), clock, Box::new(SeededDice::new(1)), &options).expect("init")
}

fn open(disk: &SimDisk, seed: u64) -> Result<Ledger, keyledger::ledger::OpenError> {
    let clock = Arc::new(ScriptedClock::at(START.plus_ns(HOUR).0));
    Ledger::open_with(disk.io(), clock, Box::new(SeededDice::new(seed)), Path::new(DIR), options())
}

/// What was shown and acknowledged.
#[derive(Default, Clone)]
struct Told {
    org: Option<OrgUid>,
    keys: Vec<AccessKeyId>,
    /// (key, version) → secret.
    secrets: BTreeMap<(AccessKeyId, u32), String>,
    acknowledged: Seq,
}

impl Told {
    fn note(&mut self, seq: Seq, mut outcome: Outcome) {
        self.acknowledged = self.acknowledged.max(seq);
        let secret = outcome.take_secret().map(|secret| secret.expose_secret().to_owned());
        match outcome {
            Outcome::OrgCreated { org, .. } => self.org = Some(org),
            Outcome::KeyCreated(made) => {
                self.keys.push(made.access_key_id.clone());
                let secret = secret.unwrap_or_else(|| "wJalrXUtnFEMIK7MDENG".to_owned());
                self.secrets.insert((made.access_key_id, 1), secret);
            }
            Outcome::KeyRotated { new, .. } => {
                self.keys.push(new.access_key_id.clone());
                self.secrets.insert((new.access_key_id, 1), secret.expect("shown"));
            }
            Outcome::SecretRotated { key, version, .. } => {
                let id = self.keys.iter().find(|id| id.uid(World::Live) == key).expect("a key").clone();
                self.secrets.insert((id, version), secret.expect("shown"));
            }
            _ => {}
        }
    }
}

/// A step of the workload, by what was told so far.
type Step = fn(&Told) -> Command;

const STEPS: &[Step] = &[
    |_| Command::CreateOrg {
        name: "acme".into(),
        account: Some(AccountId(123_456_789_012)),
        owner: OrgOwner::Operator,
        settings: Box::default(),
    },
    |told| Command::CreateKey { org: told.org.expect("an org"), key: Box::default() },
    |told| Command::CreateKey { org: told.org.expect("an org"), key: Box::default() },
    |told| imported(told.org.expect("an org"), IMPORTED, CreateAccessKey::default()),
    |told| Command::RotateSecret { key: told.keys[1].clone(), grace_ns: Some(2 * HOUR) },
    |told| Command::DeleteKey { key: told.keys[0].clone() },
    |told| Command::RotateKey { key: told.keys[1].clone(), grace_ns: None, expires_at: None },
    |told| Command::RetireSecret { key: told.keys[1].clone(), version: None },
    |told| Command::RevokeKey { key: told.keys[3].clone() },
    |told| Command::CreateKey { org: told.org.expect("an org"), key: Box::default() },
];

/// Runs the steps until one fails otherwise than by a rule.
fn run(ledger: &Ledger, told: &mut Told, mut after: impl FnMut(&Told)) -> Option<ExecuteError> {
    for step in STEPS {
        match ledger.execute_blocking(&operator(), step(told), None) {
            Ok(done) => told.note(done.seq, done.outcome),
            Err(error) => return Some(error),
        }
        after(told);
    }
    None
}

fn frame_hashes(ledger: &Ledger) -> Vec<[u8; 32]> {
    ledger.reader().frames(1).map(|frame| frame.expect("a frame").frame_hash).collect()
}

/// Opens a disk that a crash or a fault left, and holds it to everything that was told. `agree`: every key that the
/// log says is live has its secret, every deleted one has none, and everything goes on.
fn check(disk: &SimDisk, told: &Told, hashes: &[[u8; 32]], seed: u64) {
    let ledger = open(disk, seed).unwrap_or_else(|error| panic!("{disk:?}: {error}"));
    let recovery = ledger.report().recovery.as_ref().expect("recovered");
    assert!(recovery.last_seq >= told.acknowledged.0, "{disk:?}: acknowledged {} of {recovery:?}", told.acknowledged);
    // What was there is a prefix of what was written.
    let found = frame_hashes(&ledger);
    let old = usize::try_from(recovery.last_seq).expect("small").min(hashes.len());
    assert_eq!(found[..old], hashes[..old], "{disk:?}");
    assert!(ledger.report().reconciled.missing.is_empty(), "{disk:?}: {:?}", ledger.report().reconciled);
    // It goes on.
    if let Some(org) = told.org {
        let create = Command::CreateKey { org, key: Box::default() };
        ledger.execute_blocking(&operator(), create, None).expect("goes on");
    }
    let id_of_ledger = ledger.meta().ledger_id;
    ledger.close().expect("closes");
    let ledger = open(disk, seed + 1).expect("opens again");
    assert_eq!(ledger.report().shredded, 0, "{disk:?}: nothing is left to destroy");
    let mut state = keyledger::state::State::empty();
    for frame in ledger.reader().frames(1) {
        let recorded = Recorded::decode(&frame.expect("a frame")).expect("a commit");
        state.apply(recorded.seq, recorded.recorded_at, &recorded.commit);
    }
    assert_eq!(state.hash(), ledger.state().hash(), "{disk:?}");
    let source = VaultKeySource::File(Path::new(DIR).join("vault.key"));
    let vault_key = Arc::new(VaultKey::read(&*disk.io(), &source).expect("a vault key"));
    let folder = Path::new(DIR).join("keys");
    let mut keystore = KeystoreReader::open(disk.io(), &folder, id_of_ledger, vault_key).expect("a keystore");
    let mut over = Vec::new();
    state.for_each_key(|key| {
        let key = (key.uid(), key.to_record());
        let (uid, key) = (key.0, &key.1);
        for secret in key.secrets() {
            let stored = keystore.secret(uid, secret.version, &key.id);
            let shown = told.secrets.get(&(key.id.clone(), secret.version));
            if secret.shredded {
                assert!(stored.is_err(), "{disk:?}: {} {} was destroyed", key.id, secret.version);
                over.extend(shown.cloned());
            } else {
                let stored = stored.unwrap_or_else(|error| panic!("{disk:?}: {error}"));
                assert!(shown.is_none_or(|shown| stored.expose_secret() == shown), "{disk:?}: {}", key.id);
            }
        }
        if key.is_deleted() {
            assert!(key.secrets().all(|secret| secret.shredded), "{disk:?}: {}", key.id);
        }
    });
    drop(ledger);
    for (path, _) in disk.files() {
        let bytes = disk.peek(&path).expect("there");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!told.secrets.values().any(|secret| text.contains(secret)), "{disk:?}: {}", path.display());
    }
}

#[test]
fn after_every_crash_secrets_and_events_agree_and_everything_acknowledged_is_there() {
    let disk = SimDisk::new();
    let ledger = init(&disk);
    disk.record_crash_points();
    let told = std::cell::RefCell::new(vec![Told::default()]);
    let mut all = Told::default();
    run(&ledger, &mut all, |told_now| {
        let mut told = told.borrow_mut();
        told.push(told_now.clone());
        disk.set_mark(told.len() as u64 - 1);
    });
    let hashes = frame_hashes(&ledger);
    let told = told.into_inner();
    assert_eq!(told.len(), STEPS.len() + 1);
    drop(ledger);
    let points = disk.take_crash_points();
    let limits = CrashLimits { exhaustive_max: 5, random: 12, pairs_max: 8, fills: &[Fill::Old, Fill::Garbage] };
    let (count, mut seed) = (points.len(), 20_260_301);
    let mut images = 0;
    for point in points {
        let told = &told[usize::try_from(point.mark).expect("small")];
        for image in point.images(seed, limits) {
            check(&image, told, &hashes, seed);
            images += 1;
            seed += 2;
        }
    }
    println!("{images} disks from {count} crash points, seed 20260301: all agree");
    assert!(images > 300, "{images}");
}

#[test]
fn whichever_call_fails_what_was_acknowledged_is_there_and_the_rest_is_not_half_done() {
    let base = SimDisk::new();
    drop(init(&base));
    let calls = |disk: &SimDisk| {
        let ledger = open(disk, 3).expect("opens");
        let mut told = Told::default();
        assert!(run(&ledger, &mut told, |_| {}).is_none());
        let hashes = frame_hashes(&ledger);
        drop(ledger);
        (disk.calls(), hashes)
    };
    let (total, _) = calls(&base.fork());
    let mut stopped = 0;
    for fault in [Fault::Eio, Fault::ShortWrite, Fault::SyncForgets, Fault::SyncReverts] {
        for call in base.calls() + 1..total {
            let disk = base.fork();
            disk.fail_at(call, fault, false);
            let Ok(ledger) = open(&disk, 3) else { continue };
            let mut told = Told::default();
            let mut refused = None;
            if let Some(error) = run(&ledger, &mut told, |_| {}) {
                stopped += 1;
                // After a failure the state that readers see is that of the last acknowledgement.
                assert_eq!(ledger.state().seq().0, ledger.reader().last_seq(), "{fault:?} at {call}");
                refused = Some(error);
            }
            disk.heal();
            let hashes = frame_hashes(&ledger);
            if ledger.is_poisoned() {
                assert!(
                    matches!(refused, None | Some(ExecuteError::Indeterminate | ExecuteError::Poisoned)),
                    "{fault:?} at {call}: {refused:?}"
                );
                let more = ledger.execute_blocking(&operator(), Command::AcceptRestore {}, None);
                assert!(matches!(more, Err(ExecuteError::Poisoned)), "{fault:?} at {call}: {more:?}");
            }
            drop(ledger);
            check(&disk, &told, &hashes, call);
        }
    }
    println!("{stopped} workloads were stopped by a fault");
    assert!(stopped > 60, "{stopped}");
}

#[test]
fn a_full_disk_refuses_creates_and_lets_revokes_through_and_goes_on_once_there_is_room() {
    let disk = SimDisk::new();
    let ledger = init(&disk);
    let mut told = Told::default();
    assert!(run(&ledger, &mut told, |_| {}).is_none());
    let org = told.org.expect("an org");
    disk.set_capacity(Some(disk.used()));
    let create = || {
        let key = CreateAccessKey { owner: OwnerName::Org, label: "x".repeat(200).into(), ..Default::default() };
        ledger.execute_blocking(&operator(), Command::CreateKey { org, key: key.into() }, None)
    };
    let mut made = Vec::new();
    let refused = loop {
        match create() {
            Ok(done) => match done.outcome {
                Outcome::KeyCreated(new) => made.push(new.access_key_id),
                other => panic!("{other:?}"),
            },
            Err(error) => break error,
        }
        assert!(made.len() < 2_000, "the disk is never full");
    };
    assert!(
        matches!(refused, ExecuteError::Log(LogError::DiskFull { .. }) | ExecuteError::Vault(VaultError::Io { .. })),
        "{refused:?}"
    );
    assert!(ledger.is_full() && !ledger.is_poisoned());
    // The reserve is for these.
    for key in &made {
        let done = ledger.execute_blocking(&operator(), Command::RevokeKey { key: key.clone() }, None);
        done.unwrap_or_else(|error| panic!("{error}"));
        let found = ledger.state().key(key.as_str()).expect("the key");
        assert_eq!(ledger.state().status(&found, ledger.now()), KeyStatus::Revoked);
    }
    assert!(create().is_err());
    disk.set_capacity(None);
    create().expect("room again");
    assert!(!ledger.is_full());
    ledger.close().expect("closes");
    let ledger = open(&disk, 9).expect("opens");
    assert!(ledger.report().reconciled.missing.is_empty());
    let state = ledger.state();
    assert!(made.iter().all(|key| state.key(key.as_str()).is_some()));
    assert!(state.key(id(IMPORTED).as_str()).is_some());
}
