//! What a state holds of each noun, and the status that follows from it.
//!
//! Records are immutable: a change makes a new one. A key's record is small, because there are millions; what is only
//! shown of it, or rare, stands behind one pointer ([`KeyMore`]) or stays in the log (commitments, fingerprints, actors).
//!
//! Not here: changing them (`apply`).

use crate::model::{
    AccessKeyId, AccountId, BucketName, EventId, Grant, GroupUid, Holder, KeyOrigin, KeyOwner, KeyUid, OrgKind,
    OrgOwner, OrgSettings, OrgUid, PolicyUid, Role, SecretVersion, Seq, Tags, Time, UserUid,
};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

/// An org.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgRecord {
    pub org: OrgUid,
    pub account: AccountId,
    pub kind: OrgKind,
    pub name: CompactString,
    pub alias: Option<CompactString>,
    pub owner: OrgOwner,
    pub suspended: bool,
    pub settings: OrgSettings,
    pub created_at: Time,
    /// The commit that changed it last: what an expected-version precondition is compared with.
    pub changed: Seq,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    pub user: UserUid,
    pub org: OrgUid,
    pub name: CompactString,
    pub path: CompactString,
    pub role: Role,
    pub external_id: Option<CompactString>,
    pub tags: Tags,
    pub inline: BTreeMap<CompactString, Arc<str>>,
    pub attached: BTreeSet<PolicyUid>,
    pub boundary: Option<PolicyUid>,
    pub groups: BTreeSet<GroupUid>,
    /// None: older than the evidence.
    pub created_at: Option<Time>,
    pub deleted_at: Option<Time>,
    pub changed: Seq,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    pub group: GroupUid,
    pub org: OrgUid,
    pub name: CompactString,
    pub path: CompactString,
    pub members: BTreeSet<UserUid>,
    pub inline: BTreeMap<CompactString, Arc<str>>,
    pub attached: BTreeSet<PolicyUid>,
    pub created_at: Option<Time>,
    pub deleted_at: Option<Time>,
    pub changed: Seq,
}

/// One version of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// 1 is shown as `v1`.
    pub version: u32,
    /// The document as it was given; empty when it is not in evidence.
    pub document: Arc<str>,
    pub created_at: Option<Time>,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    pub policy: PolicyUid,
    pub org: OrgUid,
    pub name: CompactString,
    pub path: CompactString,
    pub description: CompactString,
    pub tags: Tags,
    /// In order of version; deleted ones are gone.
    pub versions: Vec<PolicyVersion>,
    pub default_version: u32,
    /// What the next version will be called; versions are never reused.
    pub next_version: u32,
    pub created_at: Option<Time>,
    pub updated_at: Option<Time>,
    pub deleted_at: Option<Time>,
    pub changed: Seq,
}

impl PolicyRecord {
    /// The document in force.
    pub fn document(&self) -> Option<&Arc<str>> {
        self.versions.iter().find(|v| v.version == self.default_version).map(|v| &v.document)
    }
}

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
    pub inline: BTreeMap<CompactString, Arc<str>>,
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

/// An access key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    pub rights: Option<Arc<KeyRights>>,
    pub more: Option<Arc<KeyMore>>,
}

static NO_MORE: LazyLock<KeyMore> = LazyLock::new(KeyMore::default);
static NO_RIGHTS: LazyLock<KeyRights> = LazyLock::new(KeyRights::default);

impl KeyRecord {
    pub fn more(&self) -> &KeyMore {
        self.more.as_deref().unwrap_or(&NO_MORE)
    }

    /// Grants, attached and inline policies of its own.
    pub fn rights(&self) -> &KeyRights {
        self.rights.as_deref().unwrap_or(&NO_RIGHTS)
    }

    pub(super) fn rights_mut(&mut self) -> &mut KeyRights {
        Arc::make_mut(self.rights.get_or_insert_default())
    }

    pub(super) fn more_mut(&mut self) -> &mut KeyMore {
        Arc::make_mut(self.more.get_or_insert_default())
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
        let rights = self.rights();
        !(rights.grants.is_empty() && rights.attached.is_empty() && rights.inline.is_empty())
    }

    /// Every secret version, oldest first, the current one last.
    pub fn secrets(&self) -> impl Iterator<Item = SecretRecord> + '_ {
        let current = (self.secret_version > 0).then(|| SecretRecord {
            version: self.secret_version,
            set_at: self.secret_set_at,
            deadline: Time::MAX,
            retired: self.marks.has(Marks::SECRET_RETIRED),
            shredded: self.marks.has(Marks::SECRET_SHREDDED),
        });
        self.more().older_secrets.iter().copied().chain(current)
    }

    /// The versions that may sign at `now`, the newest first: at most two.
    pub fn live_secrets(&self, now: Time) -> impl Iterator<Item = SecretRecord> + '_ {
        let mut live: Vec<_> = self.secrets().filter(move |s| !s.retired && !s.shredded && now < s.deadline).collect();
        live.reverse();
        live.into_iter()
    }

    /// The status at `now` (`product.md` §3): the first that holds of Deleted, Revoked, `OrgSuspended`, Inactive,
    /// Expired, Rotating, Active.
    pub fn status(&self, now: Time, org_suspended: bool) -> KeyStatus {
        let marks = self.marks;
        if marks.has(Marks::DELETED) {
            KeyStatus::Deleted
        } else if marks.has(Marks::REVOKED) {
            KeyStatus::Revoked
        } else if org_suspended {
            KeyStatus::OrgSuspended
        } else if marks.has(Marks::SUSPENDED) {
            KeyStatus::Inactive
        } else if now >= self.expires_at {
            KeyStatus::Expired
        } else if self.is_rotating(now) {
            KeyStatus::Rotating
        } else {
            KeyStatus::Active
        }
    }

    /// Whether a rotation's grace window is open: a successor exists and the deadline has not passed, or two secrets
    /// are live.
    fn is_rotating(&self, now: Time) -> bool {
        let Some(more) = &self.more else { return false };
        (more.links.replaced_by.is_some() && self.expires_at != Time::MAX)
            || more.older_secrets.iter().any(|s| !s.retired && !s.shredded && now < s.deadline)
    }
}

/// The derived status of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// A provider (Partner API).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderRecord {
    pub provider: CompactString,
    #[serde(with = "crate::model::bytes")]
    pub key_hash: [u8; 32],
    pub explicit_orgs: bool,
    pub created_at: Time,
}

/// An opened API token or console session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    pub key: KeyUid,
    pub expires_at: Time,
}

/// An idempotency token seen in the last 24 h.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSeen {
    pub seq: Seq,
    #[serde(with = "crate::model::bytes")]
    pub body_hash: [u8; 16],
    pub forget_at: Time,
}

/// A finding that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingRecord {
    pub finding: CompactString,
    pub key: Option<KeyUid>,
    pub detail: CompactString,
    pub raised: EventId,
    pub at: Time,
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

/// Builds a key's record from the event that made it.
pub(super) fn key_record(org: OrgUid, created: &crate::model::KeyCreated, at: Time, seq: Seq) -> KeyRecord {
    let mut marks = Marks::default();
    marks.set(Marks::DEFAULT_ALLOW, created.default_allow);
    let (secret_version, secret_set_at) =
        created.secret.as_ref().map_or((0, at), |secret: &SecretVersion| (secret.version, secret.set_at));
    let more = KeyMore {
        description: created.description.clone(),
        tags: created.tags.clone(),
        made_by: created.made_by,
        ..KeyMore::default()
    };
    let more = (more != KeyMore::default()).then(|| Arc::new(more));
    KeyRecord {
        id: created.access_key_id.clone(),
        label: created.label.clone(),
        org,
        owner: created.owner.clone(),
        created_at: at,
        expires_at: created.expires_at.unwrap_or(Time::MAX),
        secret_set_at,
        revoked_at: Time::MAX,
        deleted_at: Time::MAX,
        secret_version,
        marks,
        first: seq,
        changed: seq,
        rights: (!created.grants.is_empty())
            .then(|| Arc::new(KeyRights { grants: created.grants.clone(), ..KeyRights::default() })),
        more,
    }
}

/// A policy's holders, sorted.
pub type Holders = imbl::OrdSet<Holder>;
