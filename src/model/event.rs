//! Events: what happened, in the past tense, with enough to explain itself.
//!
//! Invariants
//! - The order of the variants is their number on disk: kinds are only added at the end, and an encoded shape is
//!   never edited (`fixtures/golden` opens for ever).
//! - An event that changes a value holds both sides or the delta, so that one key's history reads without the rest.
//!
//! Not here: what events speak of (`noun`, `usage`), what an event does to a state (`state::apply`), and its bytes (`codec`).

use super::evidence::{EvidenceRecord, Observed};
use super::id::{AccessKeyId, AccountId, BucketName, GroupUid, KeyUid, OrgUid, PolicyUid, Seq, UserUid};
use super::noun::{Grant, Holder, KeyOwner, OrgKind, OrgOwner, OrgSettings, Role, Tags};
use super::sealed::{SecretVersion, ShredLevel};
use super::time::Time;
use super::usage::{KeyUsage, Rejected};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A new access key, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCreated {
    pub key: KeyUid,
    pub access_key_id: AccessKeyId,
    pub owner: KeyOwner,
    pub label: CompactString,
    pub description: CompactString,
    pub tags: Tags,
    pub grants: Vec<Grant>,
    pub default_allow: bool,
    pub expires_at: Option<Time>,
    /// None for evidence, whose secret was never here.
    pub secret: Option<SecretVersion>,
    /// The key that asked for it and stays answerable for it: its maker.
    pub made_by: Option<KeyUid>,
}

/// What happened. The number of a kind is its place here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Event {
    // Orgs and providers
    OrgCreated {
        org: OrgUid,
        account: AccountId,
        kind: OrgKind,
        name: CompactString,
        owner: OrgOwner,
        settings: OrgSettings,
    },
    OrgSuspended {},
    OrgResumed {},
    OrgSettingsSet {
        before: Box<OrgSettings>,
        after: Box<OrgSettings>,
    },
    OrgAliasSet {
        before: Option<CompactString>,
        after: Option<CompactString>,
    },
    ProviderCreated {
        provider: CompactString,
        #[serde(with = "super::bytes")]
        key_hash: [u8; 32],
        explicit_orgs: bool,
    },
    ProviderKeyChanged {
        provider: CompactString,
        #[serde(with = "super::bytes")]
        key_hash: [u8; 32],
    },

    // Users
    UserCreated {
        user: UserUid,
        name: CompactString,
        path: CompactString,
        external_id: Option<CompactString>,
        tags: Tags,
    },
    UserRenamed {
        user: UserUid,
        before: CompactString,
        after: CompactString,
    },
    UserMoved {
        user: UserUid,
        before: CompactString,
        after: CompactString,
    },
    UserRoleSet {
        user: UserUid,
        before: Role,
        after: Role,
    },
    UserTagged {
        user: UserUid,
        set: Tags,
        removed: Vec<CompactString>,
    },
    UserBoundarySet {
        user: UserUid,
        before: Option<PolicyUid>,
        after: Option<PolicyUid>,
    },
    UserDeleted {
        user: UserUid,
        name: CompactString,
    },

    // Groups
    GroupCreated {
        group: GroupUid,
        name: CompactString,
        path: CompactString,
    },
    GroupRenamed {
        group: GroupUid,
        before: CompactString,
        after: CompactString,
    },
    GroupMoved {
        group: GroupUid,
        before: CompactString,
        after: CompactString,
    },
    GroupDeleted {
        group: GroupUid,
        name: CompactString,
    },
    GroupMemberAdded {
        group: GroupUid,
        user: UserUid,
    },
    GroupMemberRemoved {
        group: GroupUid,
        user: UserUid,
    },

    // Buckets
    BucketRegistered {
        bucket: BucketName,
    },
    BucketForgotten {
        bucket: BucketName,
    },

    // Keys
    KeyCreated(Box<KeyCreated>),
    KeyImported(Box<KeyCreated>),
    KeyLabelled {
        key: KeyUid,
        before: CompactString,
        after: CompactString,
    },
    KeyDescribed {
        key: KeyUid,
        before: CompactString,
        after: CompactString,
    },
    KeyTagged {
        key: KeyUid,
        set: Tags,
        removed: Vec<CompactString>,
    },
    KeyGrantsSet {
        key: KeyUid,
        before: Vec<Grant>,
        after: Vec<Grant>,
    },
    KeyDefaultAllowSet {
        key: KeyUid,
        before: bool,
        after: bool,
    },
    KeyExpirySet {
        key: KeyUid,
        before: Option<Time>,
        after: Option<Time>,
    },
    KeySuspended {
        key: KeyUid,
        by_admin: bool,
    },
    KeyResumed {
        key: KeyUid,
    },
    KeyRevoked {
        key: KeyUid,
    },
    /// `unrevoked`: it was usable until this moment.
    KeyDeleted {
        key: KeyUid,
        access_key_id: AccessKeyId,
        unrevoked: bool,
    },
    /// By pair: `old` stops at `deadline`, `new` takes over.
    KeyRotated {
        old: KeyUid,
        new: KeyUid,
        deadline: Time,
    },
    /// In place: the version before stops at `old_deadline`.
    KeySecretRotated {
        key: KeyUid,
        secret: SecretVersion,
        old_version: u32,
        old_deadline: Time,
    },
    KeySecretRetired {
        key: KeyUid,
        version: u32,
    },
    KeySecretShredded {
        key: KeyUid,
        versions: Vec<u32>,
        level: ShredLevel,
    },
    KeyFlagged {
        key: KeyUid,
        quarantine: bool,
        note: CompactString,
    },
    KeyCleared {
        key: KeyUid,
    },

    // Policies
    PolicyCreated {
        policy: PolicyUid,
        name: CompactString,
        path: CompactString,
        description: CompactString,
        tags: Tags,
        document: Arc<str>,
    },
    PolicyTagged {
        policy: PolicyUid,
        set: Tags,
        removed: Vec<CompactString>,
    },
    PolicyVersionCreated {
        policy: PolicyUid,
        version: u32,
        document: Arc<str>,
        is_default: bool,
    },
    PolicyDefaultSet {
        policy: PolicyUid,
        before: u32,
        after: u32,
    },
    PolicyVersionDeleted {
        policy: PolicyUid,
        version: u32,
    },
    PolicyDeleted {
        policy: PolicyUid,
        name: CompactString,
        forced: bool,
    },
    PolicyAttached {
        policy: PolicyUid,
        holder: Holder,
    },
    PolicyDetached {
        policy: PolicyUid,
        holder: Holder,
    },
    /// A forced delete took it from all of these.
    PolicyDetachedFromAll {
        policy: PolicyUid,
        holders: Vec<Holder>,
    },
    InlinePolicyPut {
        holder: Holder,
        name: CompactString,
        before: Option<Arc<str>>,
        document: Arc<str>,
    },
    InlinePolicyDeleted {
        holder: Holder,
        name: CompactString,
        before: Arc<str>,
    },

    // Tokens and sessions
    TokenOpened {
        #[serde(with = "super::bytes")]
        token_hash: [u8; 32],
        key: KeyUid,
        expires_at: Time,
    },
    TokenClosed {
        #[serde(with = "super::bytes")]
        token_hash: [u8; 32],
    },
    SessionOpened {
        #[serde(with = "super::bytes")]
        session_hash: [u8; 32],
        key: KeyUid,
        expires_at: Time,
    },
    SessionClosed {
        #[serde(with = "super::bytes")]
        session_hash: [u8; 32],
        why: CompactString,
    },
    SignInRefused {
        access_key_id: CompactString,
        source_ip: CompactString,
    },

    // Use
    UsageRolledUp {
        keys: Vec<KeyUsage>,
        dropped: u64,
    },
    AttemptsRolledUp {
        attempts: Vec<Rejected>,
        dropped: u64,
    },

    // Evidence: stands in evidence orgs alone
    EvidenceBatchImported {
        source: CompactString,
        records: u64,
        imported: u64,
        duplicates: u64,
        rejected: u64,
    },
    /// An API call that changed keys, users, groups or policies: the events a command would have made.
    EvidenceChanged(Arc<EvidenceChange>),
    /// Any other API call of a key or identity.
    EvidenceObserved(Arc<Observed>),

    // Audit, clock, recovery
    FindingRaised {
        finding: CompactString,
        key: Option<KeyUid>,
        detail: CompactString,
    },
    FindingClosed {
        finding: CompactString,
        key: Option<KeyUid>,
        why: CompactString,
    },
    AuditDone {
        question: CompactString,
        exported: bool,
        #[serde(with = "super::bytes")]
        digest: [u8; 32],
    },
    ClockAccepted {
        before: Time,
        after: Time,
    },
    TailAccepted {
        durable_seq_lost: Option<Seq>,
        note: CompactString,
    },
    LedgerRestored {
        from: CompactString,
        backup_seq: Seq,
    },
    RestoreAccepted {},
    StateAttested {
        at: Seq,
        projection: u16,
        #[serde(with = "super::bytes")]
        state_hash: [u8; 32],
    },
    CheckpointPublished {
        tree_size: u64,
        #[serde(with = "super::bytes")]
        root: [u8; 32],
    },

    // Later kinds
    PolicyDescribed {
        policy: PolicyUid,
        before: CompactString,
        after: CompactString,
    },
}

/// An imported record that changed something, with the changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceChange {
    pub record: EvidenceRecord,
    /// Never another [`Event::EvidenceChanged`].
    #[serde(deserialize_with = "one_level")]
    pub changes: Vec<Event>,
}

/// Decodes the changes of a record, refusing to go a second level down: bytes from outside could otherwise nest until the
/// stack ends.
fn one_level<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Event>, D::Error> {
    thread_local!(static INSIDE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });
    if INSIDE.replace(true) {
        return Err(serde::de::Error::custom("evidence inside evidence"));
    }
    let changes = Vec::deserialize(deserializer);
    INSIDE.set(false);
    changes
}

macro_rules! kinds {
    ($($variant:ident $name:literal),+ $(,)?) => {
        /// The kind of an event, for filters and the index.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum EventKind { $($variant),+ }

        impl EventKind {
            /// Every kind, in the order of their numbers.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$variant),+];

            /// The name people use: `key-created`.
            pub fn as_str(self) -> &'static str {
                match self { $(EventKind::$variant => $name),+ }
            }
        }

        impl Event {
            /// Which kind this is.
            pub fn kind(&self) -> EventKind {
                match self { $(Event::$variant { .. } => EventKind::$variant),+ }
            }
        }
    };
}

kinds! {
    OrgCreated "org-created", OrgSuspended "org-suspended", OrgResumed "org-resumed",
    OrgSettingsSet "org-settings-set", OrgAliasSet "org-alias-set",
    ProviderCreated "provider-created", ProviderKeyChanged "provider-key-changed",
    UserCreated "user-created", UserRenamed "user-renamed", UserMoved "user-moved", UserRoleSet "user-role-set",
    UserTagged "user-tagged", UserBoundarySet "user-boundary-set", UserDeleted "user-deleted",
    GroupCreated "group-created", GroupRenamed "group-renamed", GroupMoved "group-moved", GroupDeleted "group-deleted",
    GroupMemberAdded "group-member-added", GroupMemberRemoved "group-member-removed",
    BucketRegistered "bucket-registered", BucketForgotten "bucket-forgotten",
    KeyCreated "key-created", KeyImported "key-imported", KeyLabelled "key-labelled", KeyDescribed "key-described",
    KeyTagged "key-tagged", KeyGrantsSet "key-grants-set", KeyDefaultAllowSet "key-default-allow-set",
    KeyExpirySet "key-expiry-set", KeySuspended "key-suspended", KeyResumed "key-resumed", KeyRevoked "key-revoked",
    KeyDeleted "key-deleted", KeyRotated "key-rotated", KeySecretRotated "key-secret-rotated",
    KeySecretRetired "key-secret-retired", KeySecretShredded "key-secret-shredded", KeyFlagged "key-flagged",
    KeyCleared "key-cleared",
    PolicyCreated "policy-created", PolicyTagged "policy-tagged", PolicyVersionCreated "policy-version-created",
    PolicyDefaultSet "policy-default-set", PolicyVersionDeleted "policy-version-deleted",
    PolicyDeleted "policy-deleted", PolicyAttached "policy-attached", PolicyDetached "policy-detached",
    PolicyDetachedFromAll "policy-detached-from-all", InlinePolicyPut "inline-policy-put",
    InlinePolicyDeleted "inline-policy-deleted",
    TokenOpened "token-opened", TokenClosed "token-closed", SessionOpened "session-opened",
    SessionClosed "session-closed", SignInRefused "sign-in-refused",
    UsageRolledUp "usage-rolled-up", AttemptsRolledUp "attempts-rolled-up",
    EvidenceBatchImported "evidence-batch-imported", EvidenceChanged "evidence-changed",
    EvidenceObserved "evidence-observed",
    FindingRaised "finding-raised", FindingClosed "finding-closed", AuditDone "audit-done",
    ClockAccepted "clock-accepted", TailAccepted "tail-accepted", LedgerRestored "ledger-restored",
    RestoreAccepted "restore-accepted", StateAttested "state-attested", CheckpointPublished "checkpoint-published",
    PolicyDescribed "policy-described",
}
