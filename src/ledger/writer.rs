//! The writer: groups of commands, decided one after the other and made durable together.
//!
//! For each command of a group: draw → decide → encode → append → put the sealed secret into its slot → apply to the writer's own
//! state, which nobody sees yet. Then, once for the group: keystore flush (if it changed) → log flush and witness → publish →
//! answer. So a secret is on the disk before the log speaks of it, and what readers see is durable.
//!
//! Invariants
//! - INVARIANT: an answer is given after the flush of the last commit it may depend on; that a command changes nothing, or is
//!   refused, may follow from one of the same group.
//! - INVARIANT: after the first failure behind `append` nothing more is written and nothing of the group is published; what was
//!   asked is *indeterminate*, for its commit may be on the disk.
//!
//! Not here: queues and threads (`execute`), the order of recovery (`open`), secrets that are over and snapshots (`upkeep`).

use super::decide::{actor_of, decide, org_of};
use super::dice::{Dice, SharedDice};
use super::error::{ExecuteError, Refusal};
use super::execute::{Done, Token};
use super::fresh::{Drawn, DrawnKey, draw};
use super::guarded_clock::{GuardedClock, Reading, Stamp};
use super::outcome::Outcome;
use super::pace::Pace;
use super::ticket::{Reply, Woken};
use super::upkeep::{Over, Snapshots};
use super::usage::UsageBudget;
use super::{Command, LedgerOptions};
use crate::log::{
    Body, CLOCK_REGRESSED, GROUP_BYTES_MAX, GROUP_FRAMES_MAX, KIND_COMMIT, LogError, LogReader, LogWriter, NewFrame,
};
use crate::model::codec::{self, COMMIT_BYTES_MAX, CodecError, Encoded, SCHEMA};
use crate::model::commit::TokenUsed;
use crate::model::{Caller, Commit, Envelope, KeyUid, Seq, limits};
use crate::state::{Recorded, State, StateHandle};
use crate::sys::{Clock, Io};
use crate::vault::{Keystore, Rekeyed, Sealer, VaultError, VaultKey};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// A command on its way.
pub(super) struct Job {
    pub caller: Caller,
    pub command: Command,
    pub token: Option<Token>,
    /// Drawn before its turn, for a command that makes a key.
    pub ahead: Option<Box<DrawnKey>>,
    pub reply: Reply,
}

/// Everything that only one thread at a time may touch.
pub(super) struct Writer {
    pub io: Arc<dyn Io>,
    pub dir: PathBuf,
    pub options: LedgerOptions,
    pub clock: Arc<dyn Clock>,
    pub dice: SharedDice,
    pub log: LogWriter,
    pub reader: LogReader,
    pub keystore: Keystore,
    pub sealer: Sealer,
    pub state: State,
    pub handle: StateHandle,
    pub guard: GuardedClock,
    /// Secrets that are over, to be destroyed with the next group.
    pub over: Vec<Over>,
    /// States whose hash is to be attested with the next group.
    pub attest: Vec<(Seq, [u8; 32])>,
    /// The newest seq with a snapshot that was written or begun.
    pub snapshot_seq: Seq,
    pub snapshots: Snapshots,
    pub pace: Pace,
    pub usage: UsageBudget,
    pub failed: bool,
    /// The newest command that takes room found none.
    pub is_full: bool,
}

/// The group being put together.
#[derive(Default)]
pub(super) struct Group {
    pending: Vec<Pending>,
    /// The look at the clock it began with, until commands are recorded by it.
    reading: Option<Reading>,
    /// What was asked and is decided; let go of once the answers are given, since that takes time too.
    decided: Vec<(Caller, Command)>,
    /// Secrets that this group destroys.
    over: Vec<(KeyUid, u32)>,
    keystore_changed: bool,
}

impl Group {
    /// Commands in it.
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    fn take(&mut self, job: Job, seq: Option<Seq>, answer: Result<Done, ExecuteError>) {
        let Job { caller, command, reply, .. } = job;
        self.pending.push(Pending { reply, seq, answer });
        self.decided.push((caller, command));
    }

    /// Lets go of what was asked.
    pub(super) fn forget(&mut self) {
        self.decided.clear();
    }
}

/// An answer that waits for the group's flush.
struct Pending {
    reply: Reply,
    seq: Option<Seq>,
    answer: Result<Done, ExecuteError>,
}

/// What became of one command while the group was put together.
enum Step {
    Answer(Option<Seq>, Result<Done, ExecuteError>),
    /// It does not fit this group; the next one takes it.
    Later,
    /// Something failed that leaves the disk unknown.
    Failed,
}

impl Writer {
    /// Begins a group with what the ledger itself has to say.
    pub(super) fn begin_group(&mut self, group: &mut Group) {
        if self.failed {
            return;
        }
        let now = self.clock.now();
        self.pace.begin(now.boot_ns);
        let reading = self.guard.read(now);
        group.reading = Some(reading);
        group.over = self.append_over(reading);
        self.append_attestations(reading);
    }

    /// Decides and appends as many of `jobs` as fit, in order; true while there is room for more. Jobs that did not fit stay.
    pub(super) fn fill(&mut self, group: &mut Group, jobs: &mut VecDeque<Job>) -> bool {
        let mut reading = group.reading.take().unwrap_or_else(|| self.guard.read(self.clock.now()));
        while self.has_room() {
            let Some(mut job) = jobs.pop_front() else { return true };
            match self.step(&mut job, &mut reading, &group.pending, &mut group.keystore_changed) {
                Step::Answer(seq, answer) => group.take(job, seq, answer),
                Step::Later => {
                    jobs.push_front(job);
                    return false;
                }
                Step::Failed => {
                    self.failed = true;
                    group.take(job, None, Err(ExecuteError::Indeterminate));
                }
            }
        }
        false
    }

    fn has_room(&self) -> bool {
        !self.failed && self.log.group_frames() < GROUP_FRAMES_MAX && self.log.group_bytes() < GROUP_BYTES_MAX
    }

    /// Makes the group durable and gives its answers; `woken` are to be woken. Meanwhile `queued()` commands came.
    pub(super) fn end_group(&mut self, group: &mut Group, queued: impl FnOnce() -> usize, woken: &mut Woken) {
        let began = self.clock.now().boot_ns;
        let durable = !self.failed && self.make_durable(&group.over, group.keystore_changed);
        self.failed |= !durable;
        let ended = self.clock.now().boot_ns;
        self.pace.ended(group.len(), queued(), ended.saturating_sub(began), ended);
        if durable && self.state.seq() != self.handle.seq() {
            self.handle.publish(&self.state);
        }
        for Pending { reply, answer, .. } in group.pending.drain(..) {
            let answer = if durable || is_certain(&answer) { answer } else { Err(ExecuteError::Indeterminate) };
            reply.answer(answer, woken);
        }
        group.keystore_changed = false;
    }

    /// Runs a group of what the ledger itself has to do.
    pub(super) fn run_own_group(&mut self) {
        let mut group = Group::default();
        self.begin_group(&mut group);
        self.end_group(&mut group, || 0, &mut Woken::default());
    }

    fn step(&mut self, job: &mut Job, reading: &mut Reading, pending: &[Pending], keystore_changed: &mut bool) -> Step {
        let accepting = matches!(job.command.bare(), Command::AcceptClock {});
        let stamp = self.guard.stamp(*reading, accepting);
        let used = match self.seen(job, &stamp, pending) {
            Ok(Seen::New(used)) => used,
            Ok(Seen::Before(done)) => return Step::Answer(None, Ok(done)),
            Err(error) => return Step::Answer(None, Err(error)),
        };
        match self.decided(job, &stamp, used) {
            Ok(None) => {
                let done = Done { seq: self.state.seq(), outcome: Outcome::Nothing, replayed: false };
                Step::Answer(None, Ok(done))
            }
            Ok(Some(Made { commit, mut outcome, drawn })) => {
                let urgent = job.command.is_urgent();
                let seq = match self.append(&commit, &stamp, KIND_COMMIT, urgent) {
                    Ok(seq) => seq,
                    Err(Append::Full) => return Step::Later,
                    Err(Append::Turned(error)) => return Step::Answer(None, Err(error)),
                    Err(Append::Failed) => return Step::Failed,
                };
                if let Some(Drawn { secret, sealed }) = drawn {
                    if self.keystore.put(&sealed).is_err() {
                        return Step::Failed;
                    }
                    *keystore_changed = true;
                    if let Some(secret) = secret {
                        outcome = outcome.with_secret(secret);
                    }
                }
                if accepting {
                    let now = self.clock.now();
                    self.guard.accept(now);
                    *reading = self.guard.read(now);
                }
                self.note_over(&commit, seq, stamp.at);
                Step::Answer(Some(seq), Ok(Done { seq, outcome, replayed: false }))
            }
            Err(error) => Step::Answer(None, Err(error)),
        }
    }

    /// Whether the job's token was seen before, and what then.
    fn seen(&self, job: &Job, stamp: &Stamp, pending: &[Pending]) -> Result<Seen, ExecuteError> {
        let Some(token) = &job.token else { return Ok(Seen::New(None)) };
        let body_hash = codec::digest_of(&job.command).map_err(|_| too_large(COMMIT_BYTES_MAX))?;
        let org = org_of(&self.state, &job.command);
        let actor = actor_of(&self.state, &job.caller);
        let Some(seen) = self.state.token_seen(org, &actor, token.as_str(), stamp.at) else {
            return Ok(Seen::New(Some(TokenUsed { token: token.as_str().into(), body_hash })));
        };
        let conflict = || ExecuteError::Refused(Refusal::TokenConflict { token: token.as_str().into() });
        if seen.body_hash != body_hash || !self.brings_the_same_secret(&job.command) {
            return Err(conflict());
        }
        let seq = seen.seq;
        // The first may be a commit of this very group, which the log does not show yet.
        let first = pending.iter().find(|pending| pending.seq == Some(seq));
        let outcome = match first.map(|pending| &pending.answer) {
            Some(Ok(done)) => done.outcome.without_secret(),
            Some(Err(_)) => return Err(ExecuteError::Indeterminate),
            None => {
                let frame = self.reader.frame(seq.0)?.ok_or(ExecuteError::Indeterminate)?;
                let recorded = Recorded::decode(&frame).map_err(|_| ExecuteError::Indeterminate)?;
                Outcome::of(&recorded.commit.events)
            }
        };
        Ok(Seen::Before(Done { seq, outcome, replayed: true }))
    }

    /// The digest of a command says nothing of the secret it brings, so the secrets themselves are compared. One that
    /// is destroyed by now tells nothing any more.
    fn brings_the_same_secret(&self, command: &Command) -> bool {
        let Command::ImportKey { key, .. } = command.bare() else { return true };
        let uid = key.access_key_id.uid(crate::model::id::World::Live);
        self.keystore.secret(uid, 1, &key.access_key_id).map_or(true, |first| first.same_as(&key.secret))
    }

    fn decided(
        &mut self,
        job: &mut Job,
        stamp: &Stamp,
        token: Option<TokenUsed>,
    ) -> Result<Option<Made>, ExecuteError> {
        let Job { caller, command, ahead, .. } = job;
        self.usage.take(&self.state, command, stamp.at);
        // Room for a secret is made before anything is appended: a full disk then refuses, and breaks nothing.
        if command.need().is_a_secret() {
            self.keystore.reserve(1).inspect_err(|_| self.is_full = true)?;
        }
        let ahead = ahead.take().filter(|ahead| ahead.holds(&self.sealer, &self.state, caller, command));
        let (fresh, drawn) = match ahead {
            Some(ahead) => ahead.at(stamp),
            None => draw(&mut self.dice, &self.sealer, &self.state, caller, command, stamp),
        };
        let decided = decide(&self.state, caller, command, &fresh)?;
        if decided.events.is_empty() {
            return Ok(None);
        }
        if decided.events.len() > limits::COMMIT_EVENTS_MAX {
            return Err(too_large(COMMIT_BYTES_MAX));
        }
        let envelope = Envelope {
            org: decided.org,
            actor: actor_of(&self.state, caller),
            dialect: caller.dialect,
            request_id: caller.request_id.clone(),
            source_ip: caller.source_ip.clone(),
            user_agent: caller.user_agent.clone(),
            reason: caller.reason.clone(),
            causation: caller.causation,
            token,
        };
        let commit = Commit { envelope, events: decided.events };
        Ok(Some(Made { commit, outcome: decided.outcome, drawn }))
    }

    /// Encodes, appends and applies a commit.
    pub(super) fn append(&mut self, commit: &Commit, stamp: &Stamp, kind: u16, urgent: bool) -> Result<Seq, Append> {
        let dice = &mut self.dice;
        let salt = |_| {
            let mut salt = [0; codec::PART_SALT_BYTES];
            dice.fill(&mut salt);
            salt
        };
        let encoded = codec::encode(commit, salt).map_err(|error| match error {
            CodecError::TooLarge { bytes } => Append::Turned(too_large(bytes)),
            // Plain values into memory: nothing else can fail.
            _ => Append::Turned(too_large(COMMIT_BYTES_MAX)),
        })?;
        let parts: Vec<&[u8]>;
        let body = match &encoded {
            Encoded::Whole(bytes) => Body::Whole(bytes),
            Encoded::Parts(owned) => {
                parts = owned.iter().map(Vec::as_slice).collect();
                Body::Parts(&parts)
            }
        };
        let flags = if stamp.regressed { CLOCK_REGRESSED } else { 0 };
        let frame = NewFrame { recorded_at_ns: stamp.at.0, kind, schema: SCHEMA, flags, body, urgent };
        let seq = match self.log.append(frame) {
            Ok(seq) => Seq(seq),
            Err(LogError::GroupFull { .. }) => return Err(Append::Full),
            Err(LogError::PayloadTooLarge { bytes, bytes_max }) => {
                return Err(Append::Turned(Refusal::TooLarge { bytes, bytes_max }.into()));
            }
            Err(error @ LogError::DiskFull { .. }) => {
                self.is_full = true;
                return Err(Append::Turned(error.into()));
            }
            Err(_) => return Err(Append::Failed),
        };
        self.state.apply(seq, stamp.at, commit);
        commit.events.iter().for_each(|event| self.state.compile(event));
        self.guard.recorded(stamp.at);
        // What is urgent has room of its own.
        self.is_full &= urgent;
        Ok(seq)
    }

    /// Makes the group durable: secrets first, then the log that speaks of them.
    fn make_durable(&mut self, over: &[(KeyUid, u32)], mut keystore_changed: bool) -> bool {
        if !over.is_empty() {
            match self.keystore.shred(over) {
                // Shredding flushed the whole file.
                Ok(zeroed) => keystore_changed &= zeroed == 0,
                Err(error) => return failed("shred", &error),
            }
        }
        if keystore_changed && let Err(error) = self.keystore.sync() {
            return failed("flush the keystore", &error);
        }
        if self.log.group_frames() == 0 {
            return true;
        }
        match self.log.commit(self.guard.last().0) {
            Ok(_) => true,
            Err(error) => failed("commit", &error),
        }
    }

    /// Seals everything anew under another vault key (`format.md`, level L1).
    pub(super) fn rekey(&mut self, vault_key: &VaultKey) -> Result<Rekeyed, VaultError> {
        let dice = &mut self.dice;
        let rekeyed = self.keystore.rekey(vault_key, &mut |bytes: &mut [u8]| dice.fill(bytes))?;
        self.sealer = self.keystore.sealer();
        Ok(rekeyed)
    }
}

enum Seen {
    New(Option<TokenUsed>),
    Before(Done),
}

/// An accepted command.
struct Made {
    commit: Commit,
    outcome: Outcome,
    drawn: Option<Drawn>,
}

/// Why a commit was not appended. Nothing changed, but after `Failed` nothing more is written.
pub(super) enum Append {
    Full,
    Turned(ExecuteError),
    Failed,
}

/// Whether an answer holds even though the group it was found in did not become durable.
fn is_certain(answer: &Result<Done, ExecuteError>) -> bool {
    matches!(answer, Err(ExecuteError::Log(_) | ExecuteError::Vault(_)))
}

fn too_large(bytes: usize) -> ExecuteError {
    Refusal::TooLarge { bytes, bytes_max: COMMIT_BYTES_MAX }.into()
}

/// Says on the diagnostics what stopped the writer; answers tell the callers.
pub(super) fn failed(doing: &'static str, error: &dyn std::error::Error) -> bool {
    tracing::error!(%error, doing, "the writer stops: what reached the disk is unknown");
    false
}
