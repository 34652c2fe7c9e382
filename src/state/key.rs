//! What a state holds of an access key, and the status that follows from it.
//!
//! A [`KeyView`] is a key as it stands in the table, borrowed: what a request looks at. A [`KeyRecord`] is a copy of one's own with
//! every field by name. Both are at one seq and never change.
//!
//! Not here: how a key is packed (`packed`), kept (`table`) and changed (`apply`).

use super::cell::{Cell, Cold, Copied, Words};
use super::document::PolicyText;
use super::packed::{KeyCold, KeyWords, NO_COLD};
use super::table::KeyTable;
use crate::model::id::World;
use crate::model::{
    AccessKeyId, BucketName, Grant, KeyOrigin, KeyOwner, KeyUid, OrgUid, PolicyUid, Seq, Tags, Time, UserUid,
};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// One usable or once usable secret of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRecord {
    pub version: u32,
    pub set_at: Time,
    /// Unusable from this moment on; `Time::MAX` while it is the current one.
    pub deadline: Time,
    pub retired: bool,
    pub shredded: bool,
}

/// When and for what a key was last used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LastUsed {
    pub at: Time,
    pub service: CompactString,
    pub region: CompactString,
}

/// How a key hangs together with another by rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RotationLinks {
    pub replaces: Option<KeyUid>,
    pub replaced_by: Option<KeyUid>,
}

/// A compromise flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    pub quarantine: bool,
    pub note: CompactString,
    pub at: Time,
}

/// What a key may do by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KeyRights {
    /// Sorted, each bucket once.
    pub grants: Vec<Grant>,
    /// Sorted, each once.
    pub attached: Vec<PolicyUid>,
    pub inline: BTreeMap<CompactString, PolicyText>,
}

impl KeyRights {
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty() && self.attached.is_empty() && self.inline.is_empty()
    }
}

/// What is rare or only shown of a key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KeyMore {
    pub description: CompactString,
    pub tags: Tags,
    /// Secrets before the current one, oldest first.
    pub older_secrets: Vec<SecretRecord>,
    pub links: RotationLinks,
    pub flag: Option<Flag>,
    pub suspended_at: Option<Time>,
    pub first_used: Option<Time>,
    pub last_used: Option<LastUsed>,
    pub made_by: Option<KeyUid>,
}

/// Yes-or-no facts of a key, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marks(pub u16);

impl Marks {
    pub const SUSPENDED: u16 = 1;
    pub const SUSPENDED_BY_ADMIN: u16 = 1 << 1;
    pub const REVOKED: u16 = 1 << 2;
    pub const DELETED: u16 = 1 << 3;
    pub const QUARANTINED: u16 = 1 << 4;
    pub const DEFAULT_ALLOW: u16 = 1 << 5;
    /// It was usable when it was deleted.
    pub const DELETED_UNREVOKED: u16 = 1 << 6;
    pub const IMPORTED: u16 = 1 << 7;
    pub const EVIDENCE: u16 = 1 << 8;
    /// Its current secret was taken back by hand.
    pub const SECRET_RETIRED: u16 = 1 << 9;
    pub const SECRET_SHREDDED: u16 = 1 << 10;

    #[must_use]
    pub fn has(self, mark: u16) -> bool {
        self.0 & mark != 0
    }

    pub fn set(&mut self, mark: u16, on: bool) {
        if on { self.0 |= mark } else { self.0 &= !mark }
    }
}

/// Whose a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnerOf {
    pub org: OrgUid,
    pub owner: KeyOwner,
}

static NO_MORE: LazyLock<KeyMore> = LazyLock::new(KeyMore::default);

/// An access key as the table has it, borrowed for as long as it is looked at.
pub struct KeyView<'a> {
    table: &'a KeyTable,
    words: &'a Words,
    cold: ColdFrom<'a>,
}

/// Where the rare part of a key comes from, when it is asked for.
enum ColdFrom<'a> {
    Copy(&'a Copied),
    Cell(&'a Cell, OnceCell<Option<Cold>>),
}

impl std::fmt::Debug for KeyView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyView").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl<'a> KeyView<'a> {
    /// Of a record that may change while it is looked at.
    #[inline]
    pub(super) fn shared(table: &'a KeyTable, cell: &'a Cell) -> Self {
        Self { table, words: &cell.words, cold: ColdFrom::Cell(cell, OnceCell::new()) }
    }

    pub(super) fn copied(table: &'a KeyTable, copied: &'a Copied) -> Self {
        Self { table, words: &copied.words, cold: ColdFrom::Copy(copied) }
    }

    fn cold_arc(&self) -> Option<&Arc<KeyCold>> {
        let cold = match &self.cold {
            ColdFrom::Copy(copied) => copied.cold.as_ref(),
            ColdFrom::Cell(cell, loaded) => {
                loaded.get_or_init(|| self.words.has_cold().then(|| cell.cold()).flatten()).as_ref()
            }
        };
        cold.and_then(|cold| cold.as_ref())
    }

    fn cold_part(&self) -> Option<&KeyCold> {
        self.cold_arc().map(|cold| &**cold)
    }

    fn cold(&self) -> &KeyCold {
        self.cold_part().unwrap_or(&NO_COLD)
    }

    pub fn id(&self) -> AccessKeyId {
        self.words.id(self.cold_part())
    }

    pub fn uid(&self) -> KeyUid {
        self.words.uid(self.cold_part())
    }

    pub fn label(&self) -> CompactString {
        self.words.label(self.cold_part())
    }

    #[inline]
    pub fn org(&self) -> OrgUid {
        self.table.owner(self.owner_number()).map_or(OrgUid([0; 16]), |of| of.org)
    }

    pub fn owner(&self) -> &KeyOwner {
        self.table.owner(self.owner_number()).map_or(&KeyOwner::Org, |of| &of.owner)
    }

    #[inline]
    pub(super) fn owner_number(&self) -> u32 {
        self.words.owner()
    }

    #[inline]
    pub fn marks(&self) -> Marks {
        self.words.marks()
    }

    /// `Time::MIN`: older than the evidence.
    #[inline]
    pub fn created_at(&self) -> Time {
        self.words.created_at()
    }

    /// `Time::MAX`: never.
    #[inline]
    pub fn expires_at(&self) -> Time {
        self.words.expires_at()
    }

    #[inline]
    pub fn secret_set_at(&self) -> Time {
        self.words.secret_set_at()
    }

    /// `Time::MAX`: never.
    #[inline]
    pub fn revoked_at(&self) -> Time {
        self.words.revoked_at()
    }

    /// `Time::MAX`: never.
    #[inline]
    pub fn deleted_at(&self) -> Time {
        self.words.deleted_at()
    }

    /// The current secret's version; 0 when its secret was never here.
    #[inline]
    pub fn secret_version(&self) -> u32 {
        self.words.secret_version()
    }

    /// The commit that made it.
    #[inline]
    pub fn first(&self) -> Seq {
        Seq(self.words.first())
    }

    /// The commit that changed it last.
    #[inline]
    pub fn changed(&self) -> Seq {
        Seq(self.words.since())
    }

    #[inline]
    pub fn is_deleted(&self) -> bool {
        self.marks().has(Marks::DELETED)
    }

    /// Grants, attached and inline policies of its own.
    pub fn rights(&self) -> &KeyRights {
        &self.cold().rights
    }

    pub fn more(&self) -> &KeyMore {
        self.cold().more.as_deref().unwrap_or(&NO_MORE)
    }

    /// Whether only its own grants and policies allow (`product.md` §8).
    pub fn is_scoped(&self) -> bool {
        !self.rights().is_empty()
    }

    /// Every secret version, oldest first, the current one last.
    pub fn secrets(&self) -> impl Iterator<Item = SecretRecord> + '_ {
        let current = current_secret(self.secret_version(), self.secret_set_at(), self.marks());
        self.more().older_secrets.iter().copied().chain(current)
    }

    /// The versions that may sign at `now`, the newest first: at most two.
    pub fn live_secrets(&self, now: Time) -> impl Iterator<Item = SecretRecord> + '_ {
        let secret = current_secret(self.secret_version(), self.secret_set_at(), self.marks());
        live_secrets(secret, self.more(), now)
    }

    /// The status at `now`: see [`KeyRecord::status`].
    pub fn status(&self, now: Time, org_suspended: bool) -> KeyStatus {
        status(self.marks(), self.expires_at(), || self.more(), now, org_suspended)
    }

    /// A copy of one's own.
    pub fn to_record(&self) -> KeyRecord {
        KeyRecord {
            id: self.id(),
            label: self.label(),
            org: self.org(),
            owner: self.owner().clone(),
            created_at: self.created_at(),
            expires_at: self.expires_at(),
            secret_set_at: self.secret_set_at(),
            revoked_at: self.revoked_at(),
            deleted_at: self.deleted_at(),
            secret_version: self.secret_version(),
            marks: self.marks(),
            first: self.first(),
            changed: self.changed(),
            cold: self.cold_arc().cloned(),
        }
    }
}

/// An access key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    pub id: AccessKeyId,
    pub label: CompactString,
    pub org: OrgUid,
    pub owner: KeyOwner,
    /// `Time::MIN`: older than the evidence.
    pub created_at: Time,
    /// `Time::MAX`: never. A rotation by pair sets the old key's deadline here.
    pub expires_at: Time,
    pub secret_set_at: Time,
    /// `Time::MAX`: never.
    pub revoked_at: Time,
    /// `Time::MAX`: never.
    pub deleted_at: Time,
    /// The current secret's version; 0 when its secret was never here.
    pub secret_version: u32,
    pub marks: Marks,
    /// The commit that made it.
    pub first: Seq,
    pub changed: Seq,
    cold: Option<Arc<KeyCold>>,
}

impl KeyRecord {
    /// A key of an owner with nothing of its own, to be asked about as if it were there.
    #[must_use]
    pub fn supposed(org: OrgUid, owner: KeyOwner, world: World) -> Self {
        let mut marks = Marks::default();
        marks.set(Marks::EVIDENCE, world == World::Evidence);
        Self {
            id: AccessKeyId::supposed(),
            label: CompactString::default(),
            org,
            owner,
            created_at: Time::MIN,
            expires_at: Time::MAX,
            secret_set_at: Time::MIN,
            revoked_at: Time::MAX,
            deleted_at: Time::MAX,
            secret_version: 0,
            marks,
            first: Seq(0),
            changed: Seq(0),
            cold: None,
        }
    }

    /// The same key as if it were usable: not suspended, revoked, deleted, expired or quarantined.
    #[must_use]
    pub fn if_usable(&self) -> Self {
        let mut key = Self { expires_at: Time::MAX, ..self.if_resumed() };
        for mark in [Marks::REVOKED, Marks::DELETED, Marks::QUARANTINED] {
            key.marks.set(mark, false);
        }
        key
    }

    /// The same key as if it were not suspended.
    #[must_use]
    pub fn if_resumed(&self) -> Self {
        let mut key = self.clone();
        key.marks.set(Marks::SUSPENDED, false);
        key
    }

    /// The uid: it follows from the id and the world the key stands in.
    pub fn uid(&self) -> KeyUid {
        self.id.uid(self.world())
    }

    pub fn world(&self) -> World {
        if self.marks.has(Marks::EVIDENCE) { World::Evidence } else { World::Live }
    }

    pub fn more(&self) -> &KeyMore {
        self.cold().more.as_deref().unwrap_or(&NO_MORE)
    }

    /// Grants, attached and inline policies of its own.
    pub fn rights(&self) -> &KeyRights {
        &self.cold().rights
    }

    fn cold(&self) -> &KeyCold {
        self.cold.as_deref().unwrap_or(&NO_COLD)
    }

    pub fn created_at(&self) -> Option<Time> {
        (self.created_at != Time::MIN).then_some(self.created_at)
    }

    pub fn expires_at(&self) -> Option<Time> {
        (self.expires_at != Time::MAX).then_some(self.expires_at)
    }

    pub fn revoked_at(&self) -> Option<Time> {
        (self.revoked_at != Time::MAX).then_some(self.revoked_at)
    }

    pub fn deleted_at(&self) -> Option<Time> {
        (self.deleted_at != Time::MAX).then_some(self.deleted_at)
    }

    pub fn origin(&self) -> KeyOrigin {
        if self.marks.has(Marks::EVIDENCE) {
            KeyOrigin::Evidence
        } else if self.marks.has(Marks::IMPORTED) {
            KeyOrigin::Imported
        } else {
            KeyOrigin::Created
        }
    }

    pub fn is_deleted(&self) -> bool {
        self.marks.has(Marks::DELETED)
    }

    /// Whether only its own grants and policies allow (`product.md` §8).
    pub fn is_scoped(&self) -> bool {
        !self.rights().is_empty()
    }

    /// Every secret version, oldest first, the current one last.
    pub fn secrets(&self) -> impl Iterator<Item = SecretRecord> + '_ {
        let current = current_secret(self.secret_version, self.secret_set_at, self.marks);
        self.more().older_secrets.iter().copied().chain(current)
    }

    /// The versions that may sign at `now`, the newest first: at most two.
    pub fn live_secrets(&self, now: Time) -> impl Iterator<Item = SecretRecord> + '_ {
        let secret = current_secret(self.secret_version, self.secret_set_at, self.marks);
        live_secrets(secret, self.more(), now)
    }

    /// The status at `now` (`product.md` §3): the first that holds of Deleted, Revoked, `OrgSuspended`, Inactive,
    /// Expired, Rotating, Active.
    pub fn status(&self, now: Time, org_suspended: bool) -> KeyStatus {
        status(self.marks, self.expires_at, || self.more(), now, org_suspended)
    }
}

fn current_secret(version: u32, set_at: Time, marks: Marks) -> Option<SecretRecord> {
    (version > 0).then(|| SecretRecord {
        version,
        set_at,
        deadline: Time::MAX,
        retired: marks.has(Marks::SECRET_RETIRED),
        shredded: marks.has(Marks::SECRET_SHREDDED),
    })
}

fn live_secrets(current: Option<SecretRecord>, more: &KeyMore, now: Time) -> impl Iterator<Item = SecretRecord> + '_ {
    let newest_first = current.into_iter().chain(more.older_secrets.iter().rev().copied());
    newest_first.filter(move |s| !s.retired && !s.shredded && now < s.deadline)
}

fn status<'a>(
    marks: Marks,
    expires_at: Time,
    more: impl FnOnce() -> &'a KeyMore,
    now: Time,
    org_suspended: bool,
) -> KeyStatus {
    if marks.has(Marks::DELETED) {
        KeyStatus::Deleted
    } else if marks.has(Marks::REVOKED) {
        KeyStatus::Revoked
    } else if org_suspended {
        KeyStatus::OrgSuspended
    } else if marks.has(Marks::SUSPENDED) {
        KeyStatus::Inactive
    } else if now >= expires_at {
        KeyStatus::Expired
    } else if is_rotating(expires_at, more(), now) {
        KeyStatus::Rotating
    } else {
        KeyStatus::Active
    }
}

/// Whether a rotation's grace window is open: a successor exists and the deadline has not passed, or two secrets are live.
fn is_rotating(expires_at: Time, more: &KeyMore, now: Time) -> bool {
    (more.links.replaced_by.is_some() && expires_at != Time::MAX)
        || more.older_secrets.iter().any(|s| !s.retired && !s.shredded && now < s.deadline)
}

/// The derived status of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum KeyStatus {
    Active,
    Rotating,
    Expired,
    Inactive,
    OrgSuspended,
    Revoked,
    Deleted,
}

impl KeyStatus {
    pub fn is_usable(self) -> bool {
        matches!(self, KeyStatus::Active | KeyStatus::Rotating)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            KeyStatus::Active => "Active",
            KeyStatus::Rotating => "Rotating",
            KeyStatus::Expired => "Expired",
            KeyStatus::Inactive => "Inactive",
            KeyStatus::OrgSuspended => "OrgSuspended",
            KeyStatus::Revoked => "Revoked",
            KeyStatus::Deleted => "Deleted",
        }
    }
}

/// Whose keys: the key of the owner index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OwnerRef {
    Org(OrgUid),
    User(UserUid),
    Bucket(OrgUid, BucketName),
}

impl OwnerRef {
    #[must_use]
    pub fn of(org: OrgUid, owner: &KeyOwner) -> Self {
        match owner {
            KeyOwner::Org => OwnerRef::Org(org),
            KeyOwner::User(user) => OwnerRef::User(*user),
            KeyOwner::Bucket(bucket) => OwnerRef::Bucket(org, bucket.clone()),
        }
    }
}
