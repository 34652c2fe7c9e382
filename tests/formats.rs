//! What is on disk stays readable: every released format opens and hashes the same for ever, and the writer still
//! writes it byte for byte.

mod samples;

use keyledger::log::{VerifyOptions, verify};
use keyledger::model::id::World;
use keyledger::model::{AccessKeyId, EventKind};
use keyledger::state::{Recorded, at};
use keyledger::sys::{Io, RealIo};
use keyledger::vault::{Keystore, VaultKey, VaultKeySource};
use samples::golden::{self, Expected};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/v1")
}

/// A copy that may be opened for writing.
fn copied(to: &Path) {
    for folder in ["", "log", "keys", "snap"] {
        std::fs::create_dir_all(to.join(folder)).expect("a temporary folder");
        for entry in RealIo.read_dir(&golden_folder().join(folder)).expect("the golden ledger is there") {
            if !entry.is_dir {
                let (from, to) = (golden_folder().join(folder).join(&entry.name), to.join(folder).join(&entry.name));
                std::fs::copy(from, to).expect("copies");
            }
        }
    }
}

fn written_down() -> Expected {
    let bytes = RealIo.read(&golden_folder().join("expected.json"), 1 << 20).expect("is there");
    serde_json::from_slice(&bytes).expect("is JSON")
}

#[test]
fn the_golden_ledger_opens_and_hashes_the_same() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    copied(dir.path());
    assert_eq!(golden::expected(dir.path()).expect("opens"), written_down());

    let io: Arc<dyn Io> = Arc::new(RealIo);
    let report = verify(&io, dir.path(), VerifyOptions::default()).expect("verifies");
    println!("{report:?}");
    let reader = keyledger::log::LogReader::open(Arc::clone(&io), dir.path()).expect("opens");
    let from_snapshot = at::current(io.as_ref(), dir.path(), &reader).expect("replays");
    assert!(from_snapshot.from.0 > 0, "the snapshot is used: {:?}", from_snapshot.passed_over);
    let mut kinds = BTreeSet::new();
    for frame in reader.frames(1) {
        let recorded = Recorded::decode(&frame.expect("reads")).expect("decodes");
        kinds.extend(recorded.commit.events.iter().map(keyledger::model::Event::kind));
    }
    // A kind added later is not in a ledger written earlier.
    let missing: Vec<_> = EventKind::ALL.iter().take(golden::KINDS).filter(|kind| !kinds.contains(kind)).collect();
    assert!(missing.is_empty(), "not in the golden ledger: {missing:?}");
}

#[test]
fn the_golden_keystore_still_gives_its_secret() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    copied(dir.path());
    let io: Arc<dyn Io> = Arc::new(RealIo);
    let file = dir.path().join("vault.key");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("may");
    let key = VaultKey::read(io.as_ref(), &VaultKeySource::File(file)).expect("reads");
    let (keystore, _) = Keystore::open(io, &dir.path().join("keys"), golden::LEDGER_ID, &key).expect("opens");
    let id = AccessKeyId::parse("NQAKGOLDEN0000000001").expect("valid");
    let secret = keystore.secret(id.uid(World::Live), 1, &id).expect("is there");
    assert!(secret.same_as(&golden::golden_secret().expect("fits")));
}

#[test]
fn the_writer_still_writes_the_same_bytes() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let again = golden::write(&dir.path().join("again")).expect("writes");
    assert_eq!(again, written_down());
}

#[test]
fn a_kind_that_came_later_keeps_its_bytes() {
    use keyledger::model::bytes::Hex;
    use keyledger::model::codec::{self, Encoded};
    let commits = samples::commits_of(samples::every_event().split_off(golden::KINDS));
    let Encoded::Whole(bytes) = codec::encode(&commits[0], |_| [0; 16]).expect("fits") else { panic!("it is small") };
    let text = Hex(&bytes).to_string();
    let (_, event) = text.split_at(text.len() - 60);
    assert_eq!(event, "461044444444444444444444444444444444000a7265616473206c6f6773");
}
