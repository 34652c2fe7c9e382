//! The golden ledger: one small ledger with every event kind, made the same byte for byte every time.

use super::{START, commits_of, every_event};
use keyledger::log::{
    Body, KIND_ATTESTATION, KIND_COMMIT, LogOptions, LogParams, LogReader, LogWriter, NewFrame, WitnessMode,
};
use keyledger::model::codec::{self, Encoded};
use keyledger::model::id::World;
use keyledger::model::{AccessKeyId, Actor, Commit, Dialect, Envelope, Event, SCHEMA, Seq};
use keyledger::state::{PROJECTION, at};
use keyledger::sys::{Io, RealIo};
use keyledger::vault::{Keystore, SecretKey, VaultKey};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

pub const LEDGER_ID: [u8; 16] = *b"golden-ledger-v1";
/// How many kinds of event there were when this ledger was made; those that came later stand in `formats.rs`.
pub const KINDS: usize = 70;
const SALT: [u8; 32] = [0x5a; 32];

/// What the golden ledger is known by.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    pub commits: u64,
    pub chain_head: String,
    pub tree_root: String,
    pub state_hash: String,
    pub files: Vec<(String, String)>,
}

type Failure = Box<dyn std::error::Error>;

/// Makes the golden ledger in `dir`, which must not exist.
///
/// # Errors
/// Whatever the disk says.
pub fn write(dir: &Path) -> Result<Expected, Failure> {
    let io: Arc<dyn Io> = Arc::new(RealIo);
    io.create_dir_all(dir)?;
    let params = LogParams {
        ledger_id: LEDGER_ID,
        frame_salt: SALT,
        origin: "golden.example/keyledger".to_owned(),
        created_ns: START.0,
    };
    let options = LogOptions {
        segment_bytes: 32 << 10,
        witness: WitnessMode::Strict,
        reserve: false,
        background: false,
        holder: "golden".to_owned(),
        ..LogOptions::default()
    };
    let mut log = LogWriter::create(Arc::clone(&io), dir, &params, &options)?;
    let mut at_ns = START.0;
    let mut append = |log: &mut LogWriter, kind: u16, commit: &Commit| -> Result<(), Failure> {
        at_ns += 1_000_000_000;
        let salt = |part: usize| [u8::try_from(part % 251).unwrap_or(0); 16];
        let encoded = codec::encode(commit, salt)?;
        let parts: Vec<&[u8]>;
        let body = match &encoded {
            Encoded::Whole(bytes) => Body::Whole(bytes),
            Encoded::Parts(all) => {
                parts = all.iter().map(Vec::as_slice).collect();
                Body::Parts(&parts)
            }
        };
        let frame = NewFrame { recorded_at_ns: at_ns, kind, schema: SCHEMA, flags: 0, body, urgent: false };
        log.append(frame)?;
        log.commit(at_ns)?;
        Ok(())
    };
    // Twice, so that the log rolls into a second segment.
    let commits = commits_of(every_event().into_iter().take(KINDS).collect());
    for commit in commits.iter().chain(&commits) {
        append(&mut log, KIND_COMMIT, commit)?;
    }
    let state = at::current(io.as_ref(), dir, &log.reader())?.state;
    let state_hash = at::write_snapshot(io.as_ref(), dir, &state, LEDGER_ID, log.chain_head(), log.tree_root())?;
    let attestation = Commit {
        envelope: Envelope {
            org: None,
            actor: Actor::system("snapshot"),
            dialect: Dialect::Library,
            request_id: None,
            source_ip: None,
            user_agent: None,
            reason: None,
            causation: None,
            token: None,
        },
        events: vec![Event::StateAttested { at: state.seq(), projection: PROJECTION, state_hash }],
    };
    append(&mut log, KIND_ATTESTATION, &attestation)?;
    log.close()?;

    let mut dice = Counting(0);
    let vault_key = VaultKey::from_bytes(zeroize::Zeroizing::new([0x6b; 32]));
    vault_key.create(io.as_ref(), &dir.join("vault.key"))?;
    let mut keystore = Keystore::create(Arc::clone(&io), &dir.join("keys"), LEDGER_ID, &vault_key, &mut dice)?;
    let id = AccessKeyId::parse("NQAKGOLDEN0000000001")?;
    let sealed = keystore.sealer().seal(id.uid(World::Live), &id, 1, &golden_secret()?, &mut dice);
    keystore.put(&sealed)?;
    keystore.sync()?;
    expected(dir)
}

/// The one secret in the golden keystore.
///
/// # Errors
/// Never: it fits.
pub fn golden_secret() -> Result<SecretKey, Failure> {
    Ok(SecretKey::import("GoldenSecret00000000000000000000000000000")?)
}

/// What a ledger in `dir` is.
///
/// # Errors
/// Whatever keeps it from being read.
pub fn expected(dir: &Path) -> Result<Expected, Failure> {
    let io: Arc<dyn Io> = Arc::new(RealIo);
    let reader = LogReader::open(Arc::clone(&io), dir)?;
    let state = at::replay(&reader, keyledger::state::State::empty(), Seq(reader.last_seq()), &mut |_| {})?;
    let (chain_head, tree) = reader.tree()?;
    let mut files = Vec::new();
    for folder in ["", "log", "keys", "snap"] {
        for entry in io.read_dir(&dir.join(folder))? {
            let temporary = Path::new(&entry.name).extension().is_some_and(|extension| extension == "tmp");
            if entry.is_dir || temporary || ["LOCK", "expected.json"].contains(&entry.name.as_str()) {
                continue;
            }
            let bytes = io.read(&dir.join(folder).join(&entry.name), 16 << 20)?;
            files.push((format!("{folder}/{}", entry.name), blake3::hash(&bytes).to_hex().to_string()));
        }
    }
    let hex = |bytes: [u8; 32]| keyledger::model::bytes::Hex(&bytes).to_string();
    Ok(Expected {
        commits: reader.last_seq(),
        chain_head: hex(chain_head),
        tree_root: hex(tree.root()),
        state_hash: hex(state.hash()),
        files,
    })
}

/// Dice that count: for files that must come out the same.
pub struct Counting(pub u8);

impl keyledger::vault::VaultDice for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
    }
}
