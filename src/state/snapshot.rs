//! A state as bytes: for its hash, and saved so that an open need not replay everything.
//!
//! The body is canonical: every noun in the order of its uid, indexes left out (they follow from the nouns), integers as
//! `model::codec` writes them. The state hash is BLAKE3 of the body; it holds tokens and usage and nothing that depends on now.
//!
//! ```text
//!  off  size  field
//!    0     8  magic 4B 4C 53 4E 50 0D 0A 1A ("KLSNP" CR LF SUB)
//!    8   2+2  format major 1, minor 0
//!   12     2  projection version
//!   14     2  reserved
//!   16    16  ledger id
//!   32     8  seq
//!   40    32  chain head: frame_hash of seq
//!   72    32  tree root at size seq
//!  104    32  state hash
//!  136     8  body length
//!  144   108  reserved
//!  252     4  CRC of 0..252
//!  256     n  body: sections in the order of their tags, each: tag u8, count u64, entries
//!          32 BLAKE3 of everything before it
//! ```
//!
//! A snapshot is derived: one that does not match is ignored, and the log replayed. Its hash must be attested in the log
//! (`Event::StateAttested`), so that a forged one is not believed.
//!
//! Not here: which snapshot to load, and when to write one (`ledger::open`).

use super::evidence::{Evidence, KeyUse};
use super::key::{KeyMore, KeyRights, KeyView, Marks};
use super::keys::{KeyHasher, Keys};
use super::packed::{KeyDraft, KeyWords, Packed};
use super::record::{
    FindingRecord, GroupRecord, OrgRecord, PolicyRecord, ProviderRecord, TokenRecord, TokenSeen, UserRecord,
};
use super::root::{Root, folded};
use super::{PROJECTION, State};
use crate::model::brief::OwnerBrief;
use crate::model::codec::{CodecError, decode_value, encode_value};
use crate::model::cursor::Cursor;
use crate::model::event::EvidenceChange;
use crate::model::{AccessKeyId, BucketName, Holder, KeyOwner, KeyUid, OrgKind, OrgOwner, OrgUid, Seq, Time};
use compact_str::CompactString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

const MAGIC: [u8; 8] = [0x4b, 0x4c, 0x53, 0x4e, 0x50, 0x0d, 0x0a, 0x1a];
const MAJOR: u16 = 1;
const HEADER_BYTES: usize = 256;
const HASH_BYTES: usize = 32;

/// What a snapshot says it is, beside its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotHeader {
    pub ledger_id: [u8; 16],
    pub seq: Seq,
    pub chain_head: [u8; 32],
    pub tree_root: [u8; 32],
    pub state_hash: [u8; 32],
}

/// Why bytes are not a snapshot that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    #[error("a snapshot is damaged ({why}); it is ignored and the log replayed")]
    Damaged { why: &'static str },
    #[error("a snapshot of projection {found} is not used by projection {PROJECTION}; the log is replayed")]
    OtherProjection { found: u16 },
    #[error("a snapshot of another ledger is ignored; remove it")]
    Foreign,
    #[error("a snapshot's body cannot be read; it is ignored and the log replayed")]
    Body(#[from] CodecError),
}

impl State {
    /// BLAKE3 of the canonical body: equal states have equal hashes on any machine.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.body()).as_bytes()
    }

    /// The bytes of a snapshot of this state.
    #[must_use]
    pub fn to_snapshot(&self, ledger_id: [u8; 16], chain_head: [u8; 32], tree_root: [u8; 32]) -> (Vec<u8>, [u8; 32]) {
        let body = self.body();
        let state_hash = *blake3::hash(&body).as_bytes();
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len() + HASH_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&MAJOR.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&PROJECTION.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&ledger_id);
        bytes.extend_from_slice(&self.seq().0.to_le_bytes());
        bytes.extend_from_slice(&chain_head);
        bytes.extend_from_slice(&tree_root);
        bytes.extend_from_slice(&state_hash);
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.resize(HEADER_BYTES - 4, 0);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes.extend_from_slice(&body);
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        (bytes, state_hash)
    }

    /// Reads a snapshot's header and checks that its bytes are whole. The state behind it is not read yet.
    ///
    /// # Errors
    /// [`SnapshotError`]; the log is then replayed instead.
    pub fn snapshot_header(bytes: &[u8], ledger_id: [u8; 16]) -> Result<SnapshotHeader, SnapshotError> {
        let damaged = |why| SnapshotError::Damaged { why };
        let header = bytes.get(..HEADER_BYTES).ok_or(damaged("shorter than its header"))?;
        let crc = u32::from_le_bytes(array(header, HEADER_BYTES - 4));
        if header[..8] != MAGIC {
            return Err(damaged("no snapshot at all"));
        }
        if crc32fast::hash(&header[..HEADER_BYTES - 4]) != crc {
            return Err(damaged("header checksum"));
        }
        if u16::from_le_bytes(array(header, 8)) != MAJOR {
            return Err(damaged("unknown format version"));
        }
        let projection = u16::from_le_bytes(array(header, 12));
        if projection != PROJECTION {
            return Err(SnapshotError::OtherProjection { found: projection });
        }
        if header[144..HEADER_BYTES - 4].iter().any(|byte| *byte != 0) {
            return Err(damaged("reserved bytes are not zero"));
        }
        if array::<16>(header, 16) != ledger_id {
            return Err(SnapshotError::Foreign);
        }
        let body_len = u64::from_le_bytes(array(header, 136));
        let expected = (bytes.len() - HEADER_BYTES).checked_sub(HASH_BYTES).ok_or(damaged("cut short"))?;
        if body_len != expected as u64 {
            return Err(damaged("body length"));
        }
        let (content, hash) = bytes.split_at(bytes.len() - HASH_BYTES);
        if blake3::hash(content).as_bytes() != hash {
            return Err(damaged("body checksum"));
        }
        Ok(SnapshotHeader {
            ledger_id,
            seq: Seq(u64::from_le_bytes(array(header, 32))),
            chain_head: array(header, 40),
            tree_root: array(header, 72),
            state_hash: array(header, 104),
        })
    }

    /// Reads a snapshot that [`State::snapshot_header`] found whole.
    ///
    /// # Errors
    /// [`SnapshotError`]; the log is then replayed instead.
    pub fn from_snapshot(bytes: &[u8], header: &SnapshotHeader) -> Result<State, SnapshotError> {
        let body = bytes
            .get(HEADER_BYTES..bytes.len().saturating_sub(HASH_BYTES))
            .ok_or(SnapshotError::Damaged { why: "cut short" })?;
        let (state, is_right) = std::thread::scope(|scope| {
            let hashed = scope.spawn(|| blake3::hash(body).as_bytes() == &header.state_hash);
            (Self::from_body(body), hashed.join().unwrap_or(false))
        });
        if !is_right {
            return Err(SnapshotError::Damaged { why: "state hash" });
        }
        let state = state?;
        if state.seq() != header.seq {
            return Err(SnapshotError::Damaged { why: "seq of the body" });
        }
        Ok(state)
    }

    fn body(&self) -> Vec<u8> {
        let root = &self.root;
        let table = self.keys.table();
        let numbers = 0..u32::try_from(table.len()).unwrap_or(u32::MAX);
        let uid_of = |number| table.with_number(number, self.seq(), |key| (key.uid(), number));
        let mut keys: Vec<(KeyUid, u32)> = numbers.filter_map(uid_of).collect();
        keys.sort_unstable();
        let mut out = Body { bytes: Vec::with_capacity(4096 + keys.len() * 128) };
        out.section(b'0', 1, [(root.seq, root.recorded_at, root.restored)].iter());
        out.section(b'O', root.orgs.len(), root.orgs.values());
        out.section(b'V', root.providers.len(), root.providers.values());
        out.section(b'U', root.users.len(), root.users.values());
        out.section(b'G', root.groups.len(), root.groups.values());
        out.section(b'P', root.policies.len(), root.policies.values());
        out.section(b'B', root.buckets.len(), root.buckets.iter());
        out.start(b'K', keys.len());
        for (uid, number) in keys {
            table.with_number(number, self.seq(), |key| out.value(&(uid, KeyRow::of(key))));
        }
        out.section(b'T', root.tokens.len(), root.tokens.iter());
        out.section(b'S', root.sessions.len(), root.sessions.iter());
        out.section(b'I', root.seen.len(), root.seen.iter());
        out.section(b'F', root.findings.len(), root.findings.values());
        out.start(b'E', root.evidence.len());
        for (org, evidence) in &root.evidence {
            out.value(&(org, evidence.records, evidence.first_at, evidence.last_at));
            out.section(b'C', evidence.changes.len(), evidence.changes.values());
            out.section(b'X', evidence.uses.len(), evidence.uses.iter());
        }
        out.bytes
    }

    fn from_body(body: &[u8]) -> Result<State, SnapshotError> {
        let mut body = Input { rest: body };
        let mut root = Root::default();
        body.section(b'0', |(seq, at, restored): (Seq, Time, Option<Seq>)| {
            root.seq = seq;
            root.recorded_at = at;
            root.restored = restored;
        })?;
        body.section(b'O', |org: OrgRecord| root.index_org(org))?;
        body.section(b'V', |p: ProviderRecord| drop(root.providers.insert(p.provider.clone(), Arc::new(p))))?;
        body.section(b'U', |user: UserRecord| root.index_user(user))?;
        body.section(b'G', |group: GroupRecord| root.index_group(group))?;
        body.section(b'P', |policy: PolicyRecord| root.index_policy(policy))?;
        body.section(b'B', |(bucket, org): (BucketName, OrgUid)| _ = root.buckets.insert(bucket, org))?;
        let keys = body.keys(&mut root)?;
        body.section(b'T', |(hash, token): ([u8; 32], TokenRecord)| _ = root.tokens.insert(hash, token))?;
        body.section(b'S', |(hash, session): ([u8; 32], TokenRecord)| _ = root.sessions.insert(hash, session))?;
        body.section(b'I', |(name, seen): ((CompactString, CompactString), TokenSeen)| {
            root.seen_until.insert((seen.forget_at, name.0.clone(), name.1.clone()));
            root.seen.insert(name, seen);
        })?;
        body.section(b'F', |f: FindingRecord| drop(root.findings.insert((f.finding.clone(), f.key), f)))?;
        for _ in 0..body.start(b'E')? {
            type Head = (OrgUid, u64, Option<Time>, Option<Time>);
            let (org, records, first_at, last_at): Head = body.value()?;
            let mut evidence = Evidence { records, first_at, last_at, ..Evidence::default() };
            body.section(b'C', |c: EvidenceChange| drop(evidence.changes.insert(c.record.order(), Arc::new(c))))?;
            body.section(b'X', |(uid, used): (KeyUid, KeyUse)| drop(evidence.uses.insert(uid, Arc::new(used))))?;
            root.evidence.insert(org, Arc::new(evidence));
        }
        if !body.rest.is_empty() {
            return Err(SnapshotError::Damaged { why: "bytes behind the last section" });
        }
        Ok(State::of(keys, root))
    }
}

impl Root {
    fn index_org(&mut self, org: OrgRecord) {
        if org.kind == OrgKind::Live {
            self.accounts.insert(org.account, org.org);
        }
        if let OrgOwner::Provider { provider, external_id } = &org.owner {
            self.provider_orgs.insert((provider.clone(), external_id.clone()), org.org);
        }
        self.orgs.insert(org.org, Arc::new(org));
    }

    fn index_user(&mut self, user: UserRecord) {
        if user.deleted_at.is_none() {
            self.user_names.insert((user.org, folded(&user.name)), user.user);
            if let Some(external) = &user.external_id {
                self.external_users.insert((user.org, external.clone()), user.user);
            }
        }
        for policy in &user.attached {
            self.hold(*policy, Holder::User(user.user), true);
        }
        self.users.insert(user.user, Arc::new(user));
    }

    fn index_group(&mut self, group: GroupRecord) {
        if group.deleted_at.is_none() {
            self.group_names.insert((group.org, folded(&group.name)), group.group);
        }
        for policy in &group.attached {
            self.hold(*policy, Holder::Group(group.group), true);
        }
        self.groups.insert(group.group, Arc::new(group));
    }

    fn index_policy(&mut self, policy: PolicyRecord) {
        if policy.deleted_at.is_none() {
            self.policy_names.insert((policy.org, folded(&policy.name)), policy.policy);
        }
        self.policies.insert(policy.policy, Arc::new(policy));
    }
}

/// A key in the body.
#[derive(Serialize)]
struct KeyRow<'a> {
    id: AccessKeyId,
    label: CompactString,
    org: OrgUid,
    owner: &'a KeyOwner,
    created_at: Time,
    expires_at: Time,
    secret_set_at: Time,
    revoked_at: Time,
    deleted_at: Time,
    secret_version: u32,
    marks: Marks,
    first: Seq,
    changed: Seq,
    rights: Option<&'a KeyRights>,
    more: Option<&'a KeyMore>,
}

impl<'a> KeyRow<'a> {
    fn of(key: &'a KeyView<'_>) -> Self {
        Self {
            id: key.id(),
            label: key.label(),
            org: key.org(),
            owner: key.owner(),
            created_at: key.created_at(),
            expires_at: key.expires_at(),
            secret_set_at: key.secret_set_at(),
            revoked_at: key.revoked_at(),
            deleted_at: key.deleted_at(),
            secret_version: key.secret_version(),
            marks: key.marks(),
            first: key.first(),
            changed: key.changed(),
            rights: Some(key.rights()).filter(|rights| !rights.is_empty()),
            more: Some(key.more()).filter(|more| **more != KeyMore::default()),
        }
    }
}

/// Keys handed over at once between the two threads of a load.
const BATCH: usize = 512;

/// A key as it was read; its owner has no number yet.
struct KeyRead<'a> {
    uid: KeyUid,
    hash: u32,
    org: OrgUid,
    owner: OwnerBrief<'a>,
    draft: KeyDraft,
}

/// Reads a [`KeyRow`] but for its last field.
fn read_key<'a>(input: &mut Cursor<'a>) -> Option<KeyRead<'a>> {
    let uid = KeyUid(input.exactly()?);
    let (id, label) = (input.access_key_id()?, input.text()?);
    let (org, owner) = (OrgUid(input.exactly()?), input.owner()?);
    let created_at = input.time()?;
    let (expires_at, secret_set_at) = (input.time()?, input.time()?);
    let (revoked_at, deleted_at) = (input.time()?, input.time()?);
    let secret_version = input.number32()?;
    let marks = Marks(u16::try_from(input.number()?).ok()?);
    let (first, changed) = (Seq(input.number()?), Seq(input.number()?));
    let mut draft = KeyDraft::new(Packed::new(first, 0, created_at));
    draft.set_id(id, uid);
    draft.set_label(label);
    draft.packed.set_expires_at(expires_at);
    draft.packed.set_secret_set_at(secret_set_at);
    draft.packed.set_revoked_at(revoked_at);
    draft.packed.set_deleted_at(deleted_at);
    draft.packed.set_secret_version(secret_version);
    draft.packed.set_marks(marks);
    draft.packed.set_since(changed);
    if input.flag()? {
        let rights = draft.rights_mut();
        rights.grants = input.grants()?;
        rights.attached = input.policies()?;
        for _ in 0..input.number()? {
            let name = CompactString::from(input.text()?);
            // As it is written: in the order of names, and nothing that says nothing.
            if rights.inline.last_key_value().is_some_and(|(before, _)| *before >= name) {
                return None;
            }
            rights.inline.insert(name, Arc::<str>::from(input.text()?).into());
        }
        if rights.is_empty() {
            return None;
        }
    }
    Some(KeyRead { uid, hash: 0, org, owner, draft })
}

/// Writes sections.
struct Body {
    bytes: Vec<u8>,
}

impl Body {
    fn start(&mut self, tag: u8, count: usize) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&(count as u64).to_le_bytes());
    }

    fn section<T: Serialize>(&mut self, tag: u8, count: usize, entries: impl Iterator<Item = T>) {
        self.start(tag, count);
        for entry in entries {
            self.value(&entry);
        }
    }

    fn value<T: Serialize>(&mut self, value: &T) {
        // Plain records of strings, numbers and maps into memory: there is nothing that could fail.
        let encoded = encode_value(value, &mut self.bytes);
        debug_assert!(encoded.is_ok(), "{encoded:?}");
    }
}

/// Reads sections.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn start(&mut self, tag: u8) -> Result<usize, SnapshotError> {
        let damaged = SnapshotError::Damaged { why: "sections" };
        let Some((head, rest)) = self.rest.split_first_chunk::<9>() else { return Err(damaged) };
        let count = usize::try_from(u64::from_le_bytes(array(head, 1)));
        match count {
            // Every entry takes a byte at least.
            Ok(count) if head[0] == tag && count <= rest.len() => {
                self.rest = rest;
                Ok(count)
            }
            _ => Err(damaged),
        }
    }

    fn section<T: DeserializeOwned>(&mut self, tag: u8, mut entry: impl FnMut(T)) -> Result<(), SnapshotError> {
        for _ in 0..self.start(tag)? {
            entry(self.value()?);
        }
        Ok(())
    }

    /// Reads the keys on one thread and puts them into the table on another, in batches.
    fn keys(&mut self, root: &mut Root) -> Result<Keys, SnapshotError> {
        let count = self.start(b'K')?;
        // A key takes at least 60 bytes, so a forged count cannot ask for more memory than the file has bytes.
        let mut keys = Keys::with_capacity(count.min(self.rest.len() / 60));
        let hasher = keys.hasher();
        std::thread::scope(|scope| {
            let (send, receive) = crossbeam_channel::bounded::<Vec<KeyRead<'_>>>(8);
            let reader = scope.spawn(move || {
                let (mut before, mut left) = (None, count);
                while left > 0 {
                    let mut batch = Vec::with_capacity(left.min(BATCH));
                    for _ in 0..left.min(BATCH) {
                        let key = self.key(&hasher)?;
                        if before.is_some_and(|before| before >= key.uid) {
                            return Err(SnapshotError::Damaged { why: "the order of keys" });
                        }
                        before = Some(key.uid);
                        batch.push(key);
                    }
                    left -= batch.len();
                    if send.send(batch).is_err() {
                        break;
                    }
                }
                Ok(())
            });
            for batch in receive {
                keys.approach(batch.iter().map(|key| key.hash));
                for KeyRead { hash, org, owner, mut draft, .. } in batch {
                    draft.packed.set_owner(keys.owner(&mut root.numbers, org, owner));
                    if !draft.packed.marks().has(Marks::DELETED) {
                        for policy in &draft.cold().rights.attached {
                            keys.count_held(root.numbers.policy(*policy), true);
                        }
                    }
                    keys.insert_new(hash, draft);
                }
            }
            reader.join().unwrap_or(Err(SnapshotError::Damaged { why: "keys" }))
        })?;
        Ok(keys)
    }

    fn key(&mut self, hasher: &KeyHasher) -> Result<KeyRead<'a>, SnapshotError> {
        let damaged = SnapshotError::Damaged { why: "a key" };
        let mut cursor = Cursor(self.rest);
        let Some(mut key) = read_key(&mut cursor) else { return Err(damaged) };
        let Some(has_more) = cursor.flag() else { return Err(damaged) };
        self.rest = cursor.0;
        if has_more {
            let more: KeyMore = self.value()?;
            if more == KeyMore::default() {
                return Err(damaged);
            }
            *key.draft.more_mut() = more;
        }
        key.hash = hasher.hash(key.uid);
        Ok(key)
    }

    fn value<T: DeserializeOwned>(&mut self) -> Result<T, SnapshotError> {
        let (value, used) = decode_value(self.rest)?;
        self.rest = &self.rest[used..];
        Ok(value)
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::World;
    use crate::model::{
        AccessKeyId, AccountId, Actor, Commit, Dialect, Envelope, Event, KeyCreated, KeyOwner, OrgSettings,
        SecretVersion, UserUid,
    };
    use crate::state::OwnerRef;

    fn commit(events: Vec<Event>) -> Commit {
        Commit {
            envelope: Envelope {
                org: Some(OrgUid([1; 16])),
                actor: Actor::operator("ann@host"),
                dialect: Dialect::Cli,
                request_id: None,
                source_ip: None,
                user_agent: None,
                reason: None,
                causation: None,
                token: None,
            },
            events,
        }
    }

    fn history() -> Vec<Commit> {
        let id = AccessKeyId::parse("NQAK000000000000TEST").unwrap();
        let key = id.uid(World::Live);
        let user = UserUid([2; 16]);
        let secret = SecretVersion { version: 1, commitment: [3; 32], fingerprint: Some([4; 16]), set_at: Time(5) };
        vec![
            commit(vec![Event::OrgCreated {
                org: OrgUid([1; 16]),
                account: AccountId(123_456_789_012),
                kind: OrgKind::Live,
                name: "acme".into(),
                owner: OrgOwner::Operator,
                settings: OrgSettings::default(),
            }]),
            commit(vec![Event::UserCreated {
                user,
                name: "Alice".into(),
                path: "/".into(),
                external_id: None,
                tags: Default::default(),
            }]),
            commit(vec![Event::KeyCreated(Box::new(KeyCreated {
                key,
                access_key_id: id,
                owner: KeyOwner::User(user),
                label: "ci".into(),
                description: "".into(),
                tags: Default::default(),
                grants: vec![],
                default_allow: true,
                expires_at: None,
                secret: Some(secret),
                made_by: None,
            }))]),
            commit(vec![Event::KeySuspended { key, by_admin: true }]),
        ]
    }

    fn replayed(commits: &[Commit]) -> State {
        let mut state = State::empty();
        for (index, commit) in commits.iter().enumerate() {
            let seq = Seq(index as u64 + 1);
            state.apply(seq, Time(seq.0.cast_signed() * 1_000), commit);
        }
        state
    }

    #[test]
    fn a_state_read_from_its_snapshot_is_the_same_and_goes_on_the_same() {
        let commits = history();
        for cut in 0..=commits.len() {
            let state = replayed(&commits[..cut]);
            let (bytes, hash) = state.to_snapshot([9; 16], [1; 32], [2; 32]);
            assert_eq!(hash, state.hash());
            let header = State::snapshot_header(&bytes, [9; 16]).unwrap();
            let mut loaded = State::from_snapshot(&bytes, &header).unwrap();
            assert_eq!(loaded.hash(), hash, "cut {cut}");
            for (index, commit) in commits.iter().enumerate().skip(cut) {
                let seq = Seq(index as u64 + 1);
                loaded.apply(seq, Time(seq.0.cast_signed() * 1_000), commit);
            }
            assert_eq!(loaded.hash(), replayed(&commits).hash(), "cut {cut}");
        }
    }

    #[test]
    fn no_flipped_byte_of_a_snapshot_is_believed() {
        let (bytes, _) = replayed(&history()).to_snapshot([9; 16], [1; 32], [2; 32]);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(State::snapshot_header(&bad, [9; 16]).is_err(), "byte {at}");
        }
        assert!(matches!(State::snapshot_header(&bytes, [8; 16]), Err(SnapshotError::Foreign)));
        for len in 0..bytes.len() {
            assert!(State::snapshot_header(&bytes[..len], [9; 16]).is_err(), "length {len}");
        }
    }

    #[test]
    fn lookups_find_what_the_events_made() {
        let state = replayed(&history());
        let key = state.key("NQAK000000000000TEST").unwrap();
        let org = state.org_by_account(AccountId(123_456_789_012)).unwrap().org;
        assert_eq!(state.user_by_name(org, "aLICE").unwrap().name, "Alice");
        assert_eq!(state.status(&key, Time(9)), super::super::KeyStatus::Inactive);
        assert_eq!(state.keys_of(&OwnerRef::User(UserUid([2; 16]))).len(), 1);
        assert!(state.key("NQAK000000000000NONE").is_none());
    }
}
