//! Upkeep: what the writer does besides commands: destroying secrets that are over, snapshots and their attestation, the clock's
//! mark while idle, the end.
//!
//! A secret that is over (its key deleted, itself retired or past its deadline) is destroyed with the next group: its slot is
//! zeroed and flushed before the commit that says so is written. A snapshot is written beside the writer, and a later group
//! attests its hash.
//!
//! Not here: when an idle ledger does this (`execute`).

use super::guarded_clock::Reading;
use super::writer::{Append, Writer, failed};
use crate::log::{KIND_ATTESTATION, KIND_COMMIT};
use crate::model::{Actor, Commit, Dialect, Envelope, Event, KeyUid, OrgUid, Seq, ShredLevel, Time};
use crate::state::at::write_snapshot;
use crate::state::{PROJECTION, SecretRecord};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Secret versions of one key that are over.
#[derive(Debug, Clone)]
pub(super) struct Over {
    pub org: OrgUid,
    pub key: KeyUid,
    pub versions: Vec<u32>,
    pub causation: Option<Seq>,
}

/// Keys whose secrets one commit says are destroyed.
const SHREDDED_MAX: usize = 4_096;
/// Groups a close writes at most: what a full disk turns away again and again is left to the next open.
const ROUNDS_MAX: usize = 1_000;

/// Snapshots written beside the writer, one at a time.
#[derive(Debug, Default)]
pub(super) struct Snapshots(Option<JoinHandle<Option<Written>>>);

/// A snapshot's seq and state hash.
type Written = (Seq, [u8; 32]);

impl Snapshots {
    fn begin(&mut self, write: impl FnOnce() -> Option<(Seq, [u8; 32])> + Send + 'static) {
        match std::thread::Builder::new().name("keyledger-snapshot".to_owned()).spawn(write) {
            Ok(thread) => self.0 = Some(thread),
            Err(error) => tracing::warn!(%error, "no snapshot was begun"),
        }
    }

    fn is_running(&self) -> bool {
        self.0.is_some()
    }

    fn is_done(&self) -> bool {
        self.0.as_ref().is_some_and(JoinHandle::is_finished)
    }

    fn take_done(&mut self) -> Option<(Seq, [u8; 32])> {
        if self.is_done() { self.wait() } else { None }
    }

    fn wait(&mut self) -> Option<(Seq, [u8; 32])> {
        self.0.take()?.join().ok().flatten()
    }
}

impl Writer {
    /// Whether there is something to do without any command.
    pub(super) fn has_work(&self) -> bool {
        !self.failed && (!self.over.is_empty() || !self.attest.is_empty() || self.snapshots.is_done())
    }

    /// Notes which secrets a commit made an end of.
    pub(super) fn note_over(&mut self, commit: &Commit, seq: Seq, now: Time) {
        for event in &commit.events {
            let (Event::KeyDeleted { key, .. }
            | Event::KeySecretRetired { key, .. }
            | Event::KeySecretRotated { key, .. }) = event
            else {
                continue;
            };
            let Some(record) = self.state.key_by_uid(*key) else { continue };
            let versions = over_of(record.secrets(), record.is_deleted(), now);
            if !versions.is_empty() {
                self.over.push(Over { org: record.org, key: *key, versions, causation: Some(seq) });
            }
        }
    }

    /// Appends the commits that say which secrets are destroyed; their slots are zeroed before the flush. One commit an org.
    pub(super) fn append_over(&mut self, reading: Reading) -> Vec<(KeyUid, u32)> {
        if self.over.is_empty() {
            return Vec::new();
        }
        let mut by_org: BTreeMap<OrgUid, Vec<Over>> = BTreeMap::new();
        for over in std::mem::take(&mut self.over) {
            by_org.entry(over.org).or_default().push(over);
        }
        let mut slots = Vec::new();
        for (org, mut all) in by_org {
            // Bounded, so that it fits a commit whatever was deleted at once.
            let rest = all.split_off(all.len().min(SHREDDED_MAX));
            self.over.extend(rest);
            let events = all.iter().map(|over| Event::KeySecretShredded {
                key: over.key,
                versions: over.versions.clone(),
                level: ShredLevel::L0,
            });
            let commit = Commit { envelope: own_envelope(Some(org), causation(&all)), events: events.collect() };
            let stamp = self.guard.stamp(reading, false);
            match self.append(&commit, &stamp, KIND_COMMIT, false) {
                // No room for the word: the secrets go all the same, and the next open says so.
                Ok(_) | Err(Append::Turned(_)) => {}
                Err(Append::Full) => {
                    self.over.extend(all);
                    continue;
                }
                Err(Append::Failed) => self.failed = true,
            }
            slots.extend(all.iter().flat_map(|over| over.versions.iter().map(|version| (over.key, *version))));
        }
        slots
    }

    pub(super) fn append_attestations(&mut self, reading: Reading) {
        self.attest.extend(self.snapshots.take_done());
        for (at, state_hash) in std::mem::take(&mut self.attest) {
            let event = Event::StateAttested { at, projection: PROJECTION, state_hash };
            let commit = Commit { envelope: own_envelope(None, None), events: vec![event] };
            let stamp = self.guard.stamp(reading, false);
            match self.append(&commit, &stamp, KIND_ATTESTATION, false) {
                Ok(_) => {}
                Err(Append::Full) => self.attest.push((at, state_hash)),
                // A snapshot that nothing attests is passed over, no more.
                Err(Append::Turned(error)) => {
                    tracing::warn!(%error, seq = at.0, "a snapshot stays without attestation");
                }
                Err(Append::Failed) => self.failed = true,
            }
        }
    }

    /// Begins a snapshot when enough frames have been written since the last one. A later group attests it.
    pub(super) fn snapshot_if_due(&mut self) {
        let since = self.state.seq().0 - self.snapshot_seq.0;
        let every = self.options.snapshot_every;
        if !self.failed && every > 0 && since >= every && !self.snapshots.is_running() {
            self.snapshot(self.options.background);
        }
    }

    /// Writes a snapshot of the published state, which is what the log holds now; in a thread of its own or here.
    fn snapshot(&mut self, in_background: bool) {
        let (at, state) = (self.state.seq(), self.handle.state());
        self.snapshot_seq = at;
        let (head, root, id) = (self.log.chain_head(), self.log.tree_root(), self.log.meta().ledger_id);
        let (io, dir) = (Arc::clone(&self.io), self.dir.clone());
        let write = move || match write_snapshot(&*io, &dir, &state, id, head, root) {
            Ok(hash) => Some((at, hash)),
            Err(error) => {
                // Derived: the next open replays more, and that is all.
                tracing::warn!(%error, seq = at.0, "no snapshot was written");
                None
            }
        };
        if in_background {
            self.snapshots.begin(write);
        } else {
            self.attest.extend(write());
        }
    }

    /// The last group of an orderly close: what is over is destroyed, and the state attested when replaying to it would take
    /// long.
    pub(super) fn finish(&mut self) {
        self.attest.extend(self.snapshots.wait());
        let since = self.state.seq().0 - self.snapshot_seq.0;
        if !self.failed && since >= self.options.snapshot_at_close {
            self.snapshot(false);
        }
        let mut rounds = 0;
        while self.has_work() && rounds < ROUNDS_MAX {
            self.run_own_group();
            rounds += 1;
        }
    }

    /// While idle: keeps the clock's high-water mark in the witness, and flushes a lazy one.
    pub(super) fn idle(&mut self) {
        let now = self.guard.now(self.clock.now());
        if !self.failed
            && let Err(error) = self.log.refresh_witness(now.0)
        {
            failed("refresh the witness", &error);
            self.failed = true;
        }
    }
}

/// Versions of a key that may never sign again and are not destroyed yet.
pub(super) fn over_of(secrets: impl Iterator<Item = SecretRecord>, is_deleted: bool, now: Time) -> Vec<u32> {
    secrets
        .filter(|secret| !secret.shredded && (is_deleted || secret.retired || secret.deadline <= now))
        .map(|secret| secret.version)
        .collect()
}

fn causation(over: &[Over]) -> Option<Seq> {
    match over {
        [only] => only.causation,
        // Several commits caused it; each event names its key.
        _ => None,
    }
}

fn own_envelope(org: Option<OrgUid>, causation: Option<Seq>) -> Envelope {
    Envelope {
        org,
        actor: Actor::system("keyledger"),
        dialect: Dialect::Library,
        request_id: None,
        source_ip: None,
        user_agent: None,
        reason: None,
        causation,
        token: None,
    }
}
