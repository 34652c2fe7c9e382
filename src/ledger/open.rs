//! Making and opening a ledger: log, state, keystore, in this order.
//!
//! 1. The log recovers (`log::recovery`): lock, decision table, torn tail cut, a new epoch.
//! 2. The newest snapshot that the log attests, and the log from there, make the state.
//! 3. The keystore opens; slots the log does not know are zeroed, and secrets that are over but were not destroyed yet are.
//! 4. The clock goes on behind the last frame and the witness's mark.
//! 5. The state is published and commands are taken in.
//!
//! `init` makes META last but one and the keystore last, so a ledger without a frame and without a keystore is one whose `init`
//! was interrupted: opening it goes on.
//!
//! Not here: deciding and appending (`execute`, `writer`).

use super::command::Command;
use super::dice::{Dice, OsDice, SharedDice};
use super::error::OpenError;
use super::execute::Ledger;
use super::guarded_clock::GuardedClock;
use super::pace::Pace;
use super::upkeep::{Over, Snapshots, over_of};
use super::usage::UsageBudget;
use super::writer::Writer;
use crate::log::{LogOptions, LogParams, LogWriter, Recovery, WitnessMode};
use crate::model::{Caller, KeyUid, Seq, Time};
use crate::state::at::{self, PassedOver};
use crate::state::{State, StateHandle};
use crate::sys::{Clock, Io, OpenMode, RealIo, SystemClock};
use crate::vault::{Keystore, KeystoreReport, Reconciled, VaultError, VaultKey, VaultKeySource};
use compact_str::CompactString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// How a ledger is written.
#[derive(Debug, Clone)]
pub struct LedgerOptions {
    /// Bytes of new segments: a power of two, 1 MiB to 1 GiB; 8 MiB.
    pub segment_bytes: u64,
    /// Flush the witness with every group (strict), or when idle (lazy, for bulk imports).
    pub witness: WitnessMode,
    /// Keep a spare segment so that revoke, suspend and flag go on when the disk is full.
    pub reserve: bool,
    /// Where the vault key is; `vault.key` in the ledger's folder.
    pub vault_key: Option<VaultKeySource>,
    /// Frames between snapshots; 500,000. 0: none.
    pub snapshot_every: u64,
    /// An orderly close writes a snapshot when so many frames are behind the last one; 10,000. Fewer replay in no time.
    pub snapshot_at_close: u64,
    /// Commands that may wait; 65,536.
    pub queue_max: usize,
    /// Snapshots and segments to come are made in threads of their own. Never where there are no real files.
    pub background: bool,
    /// Written into LOCK for whoever finds the ledger held: process id, and the address to send commands to.
    pub holder: String,
    /// At open, sealed segments are compared with their seals up to so many bytes, the newest first; 256 MiB.
    pub seal_check_bytes_max: u64,
}

impl Default for LedgerOptions {
    fn default() -> Self {
        let log = LogOptions::default();
        Self {
            segment_bytes: log.segment_bytes,
            witness: log.witness,
            reserve: log.reserve,
            vault_key: None,
            snapshot_every: 500_000,
            snapshot_at_close: 10_000,
            queue_max: 65_536,
            background: log.background,
            holder: log.holder,
            seal_check_bytes_max: log.seal_check_bytes_max,
        }
    }
}

impl LedgerOptions {
    fn log(&self) -> LogOptions {
        LogOptions {
            segment_bytes: self.segment_bytes,
            witness: self.witness,
            reserve: self.reserve,
            background: self.background,
            holder: self.holder.clone(),
            seal_check_bytes_max: self.seal_check_bytes_max,
        }
    }

    fn vault_key(&self, dir: &Path) -> VaultKeySource {
        self.vault_key.clone().unwrap_or_else(|| VaultKeySource::File(dir.join("vault.key")))
    }
}

/// What a new ledger is.
#[derive(Debug, Clone, Default)]
pub struct InitOptions {
    /// The ledger's name in checkpoints, at most 256 bytes; `keyledger/` and its id.
    pub origin: Option<String>,
    pub ledger: LedgerOptions,
}

/// What opening found and did.
#[derive(Debug)]
pub struct OpenReport {
    pub recovery: Option<Recovery>,
    pub keystore: KeystoreReport,
    /// `missing` names keys that deny, because their secret is not there.
    pub reconciled: Reconciled,
    /// The seq of the snapshot the state began with; 0 without one.
    pub replayed_from: Seq,
    pub passed_over: Vec<PassedOver>,
    /// Secret versions that were over and are destroyed now.
    pub shredded: usize,
}

/// What a ledger reaches the world by.
#[derive(Debug)]
struct World {
    io: Arc<dyn Io>,
    clock: Arc<dyn Clock>,
}

impl Ledger {
    /// Makes a ledger in `dir` (made if missing) and opens it: log, vault key if there is none, keystore. It has no org yet.
    /// With the machine's own files, clock and random source.
    ///
    /// # Errors
    /// [`OpenError::Log`] unless the folder is empty, [`OpenError::Vault`].
    pub fn init(dir: &Path, options: &InitOptions) -> Result<Ledger, OpenError> {
        Self::init_with(Arc::new(RealIo), dir, Arc::new(SystemClock), Box::<OsDice>::default(), options)
    }

    /// [`Ledger::init`] in a world of the caller's choice.
    ///
    /// # Errors
    /// As [`Ledger::init`].
    pub fn init_with(
        io: Arc<dyn Io>,
        dir: &Path,
        clock: Arc<dyn Clock>,
        mut dice: Box<dyn Dice>,
        options: &InitOptions,
    ) -> Result<Ledger, OpenError> {
        let mut ledger_id = [0; 16];
        let mut frame_salt = [0; 32];
        dice.fill(&mut ledger_id);
        dice.fill(&mut frame_salt);
        let named = || format!("keyledger/{}", crate::model::bytes::Hex(&ledger_id));
        let params = LogParams {
            ledger_id,
            frame_salt,
            origin: options.origin.clone().unwrap_or_else(named),
            created_ns: clock.now().wall_ns,
        };
        let log = LogWriter::create(Arc::clone(&io), dir, &params, &options.ledger.log())?;
        start(World { io, clock }, dice, dir, options.ledger.clone(), log, None)
    }

    /// Opens the ledger in `dir` for writing, with the machine's own files, clock and random source.
    ///
    /// # Errors
    /// - [`OpenError::Log`]: held by another writer, damaged, or missing what was acknowledged. Nothing was changed.
    /// - [`OpenError::Vault`]: the vault key or the keystore does not fit.
    /// - [`OpenError::Replay`]: a commit cannot be read.
    pub fn open(dir: &Path, options: LedgerOptions) -> Result<Ledger, OpenError> {
        Self::open_with(Arc::new(RealIo), Arc::new(SystemClock), Box::<OsDice>::default(), dir, options)
    }

    /// [`Ledger::open`] in a world of the caller's choice.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn open_with(
        io: Arc<dyn Io>,
        clock: Arc<dyn Clock>,
        dice: Box<dyn Dice>,
        dir: &Path,
        options: LedgerOptions,
    ) -> Result<Ledger, OpenError> {
        let (log, recovery) = LogWriter::open(Arc::clone(&io), dir, &options.log())?;
        start(World { io, clock }, dice, dir, options, log, Some(recovery))
    }

    /// Opens a ledger whose end cannot be trusted as it stands, and records who decided that and what may be missing
    /// (`keyledger repair --accept-tail`).
    ///
    /// # Errors
    /// As [`Ledger::open`]; damage before the last segment is not accepted.
    pub fn open_accepting_tail(
        io: Arc<dyn Io>,
        clock: Arc<dyn Clock>,
        dice: Box<dyn Dice>,
        dir: &Path,
        options: LedgerOptions,
        (caller, note): (&Caller, &str),
    ) -> Result<Ledger, OpenError> {
        let (log, recovery) = LogWriter::open_accepting_tail(Arc::clone(&io), dir, &options.log())?;
        let lost = recovery.witnessed_seq.filter(|witnessed| *witnessed > recovery.last_seq).map(Seq);
        let accepted = recovery.accepted.is_some();
        let ledger = start(World { io, clock }, dice, dir, options, log, Some(recovery))?;
        if accepted {
            let note = CompactString::from(note);
            ledger.execute_blocking(caller, Command::RecordTailAccepted { durable_seq_lost: lost, note }, None)?;
        }
        Ok(ledger)
    }
}

fn start(
    world: World,
    mut dice: Box<dyn Dice>,
    dir: &Path,
    mut options: LedgerOptions,
    log: LogWriter,
    recovery: Option<Recovery>,
) -> Result<Ledger, OpenError> {
    let World { io, clock } = world;
    let reader = log.reader();
    let replayed = at::current(&*io, dir, &reader)?;
    let source = options.vault_key(dir);
    let (mut keystore, keystore_report, vault_key) = open_keystore(&io, dir, &source, &log, &mut *dice)?;
    let created = Time(log.meta().created_ns);
    let last = created.max(Time(log.clock_high_ns())).max(replayed.state.recorded_at());
    let mut guard = GuardedClock::open(last, clock.now());
    let (over, referenced) = secrets(&replayed.state, guard.now(clock.now()));
    let reconciled = keystore.reconcile(referenced)?;
    options.background &= has_real_files(&*io, dir);
    let (handle, state) = StateHandle::publish_first(replayed.state);
    let report = OpenReport {
        recovery,
        keystore: keystore_report,
        reconciled,
        replayed_from: replayed.from,
        passed_over: replayed.passed_over,
        shredded: over.iter().map(|over| over.versions.len()).sum(),
    };
    let writer = Writer {
        sealer: keystore.sealer(),
        snapshot_seq: replayed.from,
        snapshots: Snapshots::default(),
        io,
        dir: dir.to_path_buf(),
        options,
        clock,
        dice: SharedDice::new(dice),
        log,
        reader,
        keystore,
        state,
        handle,
        guard,
        over,
        attest: Vec::new(),
        pace: Pace::default(),
        usage: UsageBudget::default(),
        failed: false,
        is_full: false,
    };
    Ledger::start(writer, vault_key, report)
}

fn open_keystore(
    io: &Arc<dyn Io>,
    dir: &Path,
    source: &VaultKeySource,
    log: &LogWriter,
    dice: &mut dyn Dice,
) -> Result<(Keystore, KeystoreReport, VaultKey), OpenError> {
    let folder: PathBuf = dir.join("keys");
    let id = log.meta().ledger_id;
    // Before the first frame nothing can refer to a secret: make what `init` did not get to.
    let is_new = log.last_seq() == 0;
    let vault_key = match VaultKey::read(&**io, source) {
        Err(VaultError::KeyFileMissing { path }) if is_new => {
            let mut bytes = Zeroizing::new([0; 32]);
            dice.fill(&mut *bytes);
            let vault_key = VaultKey::from_bytes(bytes);
            vault_key.create(&**io, &path)?;
            vault_key
        }
        other => other?,
    };
    let (keystore, report) = match Keystore::open(Arc::clone(io), &folder, id, &vault_key) {
        Err(VaultError::NoKeystore { .. } | VaultError::Io { .. }) if is_new => {
            let mut pour = |bytes: &mut [u8]| dice.fill(bytes);
            drop(Keystore::create(Arc::clone(io), &folder, id, &vault_key, &mut pour)?);
            lasting_folder(&**io, dir)?;
            Keystore::open(Arc::clone(io), &folder, id, &vault_key)?
        }
        other => {
            // Whoever made the folder may have ended before its name was lasting.
            if is_new {
                lasting_folder(&**io, dir)?;
            }
            other?
        }
    };
    Ok((keystore, report, vault_key))
}

/// Makes the name of the keystore's folder durable, before anything is acknowledged that needs it.
fn lasting_folder(io: &dyn Io, dir: &Path) -> Result<(), VaultError> {
    io.sync_dir(dir).map_err(|source| VaultError::Io { doing: "sync", path: dir.to_path_buf(), source })
}

/// The secrets that are over and not destroyed yet, and those that must be there.
fn secrets(state: &State, now: Time) -> (Vec<Over>, Vec<(KeyUid, u32)>) {
    let mut over = Vec::new();
    let mut referenced = Vec::with_capacity(state.key_count());
    state.for_each_key(|record| {
        let (key, versions) = (record.uid(), over_of(record.secrets(), record.is_deleted(), now));
        let live = record.secrets().filter(|secret| !secret.shredded && !versions.contains(&secret.version));
        referenced.extend(live.map(|secret| (key, secret.version)));
        if !versions.is_empty() {
            over.push(Over { org: record.org(), key, versions, causation: None });
        }
    });
    over.sort_by_key(|over| over.key);
    (over, referenced)
}

fn has_real_files(io: &dyn Io, dir: &Path) -> bool {
    io.open(&dir.join("META"), OpenMode::Read).is_ok_and(|file| file.as_std().is_some())
}
