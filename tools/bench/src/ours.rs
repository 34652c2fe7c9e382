//! keyledger's side: the same history as commits, its log, its state.
//!
//! Not here: commands (`commands`), which decide before they write.

use crate::durable::Store;
use crate::workload::{
    ACTORS, Entry, History, Kind, OWNERS, Op, POLICIES, actor_name, address_text, key_id, owner_name, policy_name,
    request_id,
};
use crate::{Error, Result};
use keyledger::log::{Body, KIND_ATTESTATION, KIND_COMMIT, LogOptions, LogParams, LogWriter, NewFrame, WitnessMode};
use keyledger::model::codec::{Encoded, encode};
use keyledger::model::id::World;
use keyledger::model::{
    AccessKeyId, AccountId, Actor, Commit, Dialect, Envelope, Event, Holder, KeyCreated, KeyOwner, KeyUid, OrgKind,
    OrgOwner, OrgSettings, OrgUid, PolicyUid, SCHEMA, SecretVersion, Seq, Tags, Time, UserUid,
};
use keyledger::state::State;
use keyledger::sys::{Io, RealIo};
use std::path::Path;
use std::sync::Arc;

pub const ORG: OrgUid = OrgUid([7; 16]);
/// Of the ledgers made here.
pub const LEDGER_ID: [u8; 16] = [1; 16];
const SALT: [u8; 32] = [2; 32];

/// The machine's own files.
pub fn io() -> Arc<dyn Io> {
    Arc::new(RealIo)
}

/// The key of the frame hash in logs made here, for the floor that computes the same.
pub fn frame_key() -> [u8; 32] {
    let material = [&LEDGER_ID[..], &SALT, &[1]].concat();
    blake3::derive_key("keyledger v1 frame hash", &material)
}

fn envelope(actor: Actor, address: &str, request: &str, reason: Option<&str>) -> Envelope {
    Envelope {
        org: Some(ORG),
        actor,
        dialect: Dialect::AwsIam,
        request_id: Some(request.into()),
        source_ip: Some(address.into()),
        user_agent: Some("aws-cli/2.15.30 Python/3".into()),
        reason: reason.map(Into::into),
        causation: None,
        token: None,
    }
}

/// What must be there before the first key: the org, its users and its policies.
pub fn prelude() -> Vec<Commit> {
    let org = Event::OrgCreated {
        org: ORG,
        account: AccountId(123_456_789_012),
        kind: OrgKind::Live,
        name: "benchmark".into(),
        owner: OrgOwner::Operator,
        settings: OrgSettings::default(),
    };
    let owners = (0..OWNERS).map(|owner| user_created(&owner_name(owner)));
    let actors = (0..ACTORS).map(|actor| user_created(&actor_name(actor)));
    let policies = (0..POLICIES).map(|policy| Event::PolicyCreated {
        policy: policy_uid(policy),
        name: policy_name(policy).as_str().into(),
        path: "/".into(),
        description: "".into(),
        tags: Tags::new(),
        document: document(policy).into(),
    });
    let one = |event| Commit {
        envelope: envelope(Actor::operator("root@bench"), "127.0.0.1", "prelude", None),
        events: vec![event],
    };
    std::iter::once(org).chain(owners).chain(actors).chain(policies).map(one).collect()
}

/// A policy document that allows reading one bucket.
pub fn document(policy: u8) -> String {
    format!(
        "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\",\
         \"Resource\":\"arn:aws:s3:::data-{policy}/*\"}}]}}"
    )
}

fn user_created(name: &str) -> Event {
    let (user, path) = (user_uid(name), "/".into());
    Event::UserCreated { user, name: name.into(), path, external_id: None, tags: Tags::new() }
}

fn user_uid(name: &str) -> UserUid {
    UserUid::derived(&[b"bench", name.as_bytes()])
}

fn policy_uid(policy: u8) -> PolicyUid {
    PolicyUid::derived(&[b"bench", &[policy]])
}

/// The id of key number `key` as keyledger has it.
pub fn access_key(key: u32) -> Result<AccessKeyId> {
    Ok(AccessKeyId::parse(std::str::from_utf8(&key_id(key))?)?)
}

/// One operation of the workload as a commit. `number` counts operations from 0.
pub fn commit(op: &Op, seed: u64, number: u64) -> Result<Commit> {
    let id = access_key(op.key)?;
    let key = id.uid(World::Live);
    let actor = Actor::operator(&actor_name(op.actor));
    let (policy, holder) = (policy_uid(op.policy), Holder::Key(key));
    let (event, reason) = match op.kind {
        Kind::Create => (created(op, id, key), None),
        Kind::Attach => (Event::PolicyAttached { policy, holder }, None),
        Kind::Revoke => (Event::KeyRevoked { key }, Some("seen in a public repository")),
        Kind::Detach => (Event::PolicyDetached { policy, holder }, None),
        Kind::Delete => (Event::KeyDeleted { key, access_key_id: id, unrevoked: false }, Some("no longer used")),
    };
    let envelope = envelope(actor, &address_text(op.address), &request_id(seed, number), reason);
    Ok(Commit { envelope, events: vec![event] })
}

fn created(op: &Op, access_key_id: AccessKeyId, key: KeyUid) -> Event {
    let mut commitment = [0; 32];
    commitment[..4].copy_from_slice(&op.key.to_le_bytes());
    let fingerprint = Some(crate::rng::letters(u64::from(op.key)));
    Event::KeyCreated(Box::new(KeyCreated {
        key,
        access_key_id,
        owner: KeyOwner::User(user_uid(&owner_name(op.owner))),
        label: format!("nightly backup {}", op.key).into(),
        description: "".into(),
        tags: Tags::new(),
        grants: Vec::new(),
        default_allow: false,
        expires_at: None,
        secret: Some(SecretVersion { version: 1, commitment, fingerprint, set_at: Time(op.at_ns) }),
        made_by: None,
    }))
}

/// The payload of a commit of one event.
pub fn payload(commit: &Commit) -> Result<Vec<u8>> {
    match encode(commit, |_| [0; 16])? {
        Encoded::Whole(bytes) => Ok(bytes),
        Encoded::Parts(_) => Err("a commit of one event has no parts".into()),
    }
}

fn frame(recorded_at_ns: i64, payload: &[u8]) -> NewFrame<'_> {
    let body = Body::Whole(payload);
    NewFrame { recorded_at_ns, kind: KIND_COMMIT, schema: SCHEMA, flags: 0, body, urgent: false }
}

fn create(folder: &Path, witness: WitnessMode) -> Result<LogWriter> {
    let _ = std::fs::remove_dir_all(folder);
    let (ledger_id, frame_salt, origin) = (LEDGER_ID, SALT, "bench.example/log".into());
    let params = LogParams { ledger_id, frame_salt, origin, created_ns: crate::workload::BEGIN_NS };
    Ok(LogWriter::create(io(), folder, &params, &LogOptions { witness, ..LogOptions::default() })?)
}

/// Writes the prelude and the whole history as a log. Returns how many commits the prelude took.
pub fn write_log(folder: &Path, history: &History, seed: u64) -> Result<u64> {
    let mut writing = Writing::create(folder)?;
    writing.prelude()?;
    let prelude = writing.last_seq();
    for (number, op) in history.ops.iter().enumerate() {
        writing.append(op.at_ns, &commit(op, seed, number as u64)?)?;
    }
    writing.close()?;
    Ok(prelude)
}

/// A log being written in large groups, and on request its state and snapshots of it.
pub struct Writing {
    writer: LogWriter,
    /// Kept up only when snapshots are wanted.
    pub state: Option<State>,
}

impl Writing {
    pub fn create(folder: &Path) -> Result<Self> {
        Ok(Self { writer: create(folder, WitnessMode::Lazy)?, state: None })
    }

    pub fn last_seq(&self) -> u64 {
        self.writer.last_seq()
    }

    pub fn prelude(&mut self) -> Result<()> {
        prelude().iter().try_for_each(|commit| self.append(crate::workload::BEGIN_NS, commit))
    }

    pub fn append(&mut self, at_ns: i64, commit: &Commit) -> Result<()> {
        self.append_kind(at_ns, commit, KIND_COMMIT)
    }

    fn append_kind(&mut self, at_ns: i64, commit: &Commit, kind: u16) -> Result<()> {
        let payload = payload(commit)?;
        if !self.writer.group_has_room(payload.len()) {
            self.writer.commit(at_ns)?;
        }
        let seq = self.writer.append(NewFrame { kind, ..frame(at_ns, &payload) })?;
        if let Some(state) = &mut self.state {
            state.apply(Seq(seq), Time(at_ns), commit);
        }
        Ok(())
    }

    /// A snapshot of the state, and its attestation in the log.
    pub fn snapshot(&mut self, at_ns: i64) -> Result<(Seq, Vec<u8>)> {
        self.writer.commit(at_ns)?;
        let state = self.state.as_ref().ok_or("no state was kept")?;
        let at = state.seq();
        let (bytes, state_hash) = state.to_snapshot(LEDGER_ID, self.writer.chain_head(), self.writer.tree_root());
        let event = Event::StateAttested { at, projection: keyledger::state::PROJECTION, state_hash };
        let mut envelope = envelope(Actor::system("snapshot"), "127.0.0.1", "snapshot", None);
        envelope.org = None;
        self.append_kind(at_ns, &Commit { envelope, events: vec![event] }, KIND_ATTESTATION)?;
        Ok((at, bytes))
    }

    pub fn close(mut self) -> Result<()> {
        self.writer.commit(0)?;
        Ok(self.writer.close()?)
    }
}

/// Puts a snapshot where a replay finds it.
pub fn put_snapshot(folder: &Path, at: Seq, bytes: &[u8]) -> Result<()> {
    let path = keyledger::state::at::snapshot_path(folder, at);
    std::fs::create_dir_all(path.parent().ok_or("a snapshot has a folder")?)?;
    Ok(std::fs::write(path, bytes)?)
}

/// The log alone, without deciding, state or keystore.
#[derive(Debug)]
pub struct LogAlone {
    writer: LogWriter,
    at_ns: i64,
}

impl LogAlone {
    pub fn create(folder: &Path, witness: WitnessMode) -> Result<Self> {
        Ok(Self { writer: create(folder, witness)?, at_ns: crate::workload::BEGIN_NS })
    }
}

impl Store for LogAlone {
    fn commit(&mut self, batch: &[Entry<'_>]) -> Result<()> {
        for entry in batch {
            self.at_ns += 1;
            self.writer.append(frame(self.at_ns, entry.payload))?;
        }
        let durable = self.writer.commit(self.at_ns)?;
        if durable.seq() == self.writer.last_seq() { Ok(()) } else { Err(Error::from("a group was not durable")) }
    }
}

/// A state of `keys` keys, none with policies, for lookups.
pub fn state_of(keys: usize) -> Result<State> {
    let mut state = State::with_capacity(keys);
    let mut seq = 0;
    let mut apply = |state: &mut State, commit: &Commit| {
        seq += 1;
        state.apply(Seq(seq), Time(crate::workload::BEGIN_NS), commit);
    };
    for commit in prelude() {
        apply(&mut state, &commit);
    }
    for key in 0..keys as u32 {
        let (kind, owner) = (Kind::Create, key % OWNERS);
        let op = Op { kind, key, policy: 0, owner, actor: 0, address: 0, at_ns: crate::workload::BEGIN_NS };
        apply(&mut state, &commit(&op, 0, u64::from(key))?);
    }
    Ok(state)
}

/// A change of a key's label, as a writer under load makes it.
pub fn relabelled(key: u32, label: u64) -> Result<Commit> {
    let key = access_key(key)?.uid(World::Live);
    let label = format!("nightly backup {label}");
    let event = Event::KeyLabelled { key, before: "nightly backup".into(), after: label.into() };
    let envelope = envelope(Actor::operator("root@bench"), "127.0.0.1", "relabel", None);
    Ok(Commit { envelope, events: vec![event] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyledger::log::LogReader;

    #[test]
    fn the_log_holds_the_history_and_replays_to_as_many_keys() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("keyledger-ours-{}", std::process::id()));
        let history = History::generate(5, 3000)?;
        let prelude = write_log(&folder, &history, 5)?;
        let reader = LogReader::open(io(), &folder)?;
        assert_eq!(reader.last_seq(), prelude + 3000);
        let state = keyledger::state::at::current(&RealIo, &folder, &reader)?.state;
        std::fs::remove_dir_all(&folder)?;
        let created = history.ops.iter().filter(|op| op.kind == Kind::Create).count();
        let mut seen = 0;
        state.for_each_key(|_| seen += 1);
        assert_eq!(seen, created);
        Ok(())
    }
}
