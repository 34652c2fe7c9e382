//! Commands: what may be asked for. Commands order, events report.
//!
//! Targets are named as people name them: an org by its uid (whoever reads the request knows it), users, groups and policies by
//! name, keys by access key id. A command changes one org, or the ledger as a whole.
//!
//! Invariants
//! - No secret is ever encoded: an imported one is skipped, so the digest of an idempotent command says nothing about it
//!   (`execute` compares the secrets themselves).
//!
//! Not here: what a new key shall be (`key`), whom a command is about (`subject`), whether a command is allowed and what it does (`decide`), what it answers (`outcome`).

mod key;
mod subject;

pub use key::{CreateAccessKey, CreateKeyWith, ImportAccessKey, NewPolicy, OwnerName, UpdateKeyRights};
pub use subject::Subject;

use super::fresh::Need;
use crate::model::{
    AccessKeyId, AccountId, BucketName, Event, Grant, KeyUsage, OrgOwner, OrgSettings, OrgUid, Rejected, Role, Seq,
    Tags, Time,
};
use compact_str::CompactString;
use serde::Serialize;
use std::sync::Arc;

/// A policy by its name, or by its ARN; `arn:aws:iam::aws:policy/AmazonS3FullAccess` and `…ReadOnlyAccess` exist in
/// every org.
pub type PolicyRef = CompactString;

/// What a policy is attached to, or an inline policy belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Target {
    User(CompactString),
    Group(CompactString),
    Key(AccessKeyId),
}

/// What somebody wants done. [`super::decide()`] says what becomes of it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub enum Command {
    /// `command`, if what it changes was last changed by the commit `changed`; else it is refused.
    Expecting {
        changed: Seq,
        command: Box<Command>,
    },

    // Orgs and providers
    CreateOrg {
        name: CompactString,
        /// `None`: one is drawn.
        account: Option<AccountId>,
        owner: OrgOwner,
        settings: Box<OrgSettings>,
    },
    SuspendOrg {
        org: OrgUid,
    },
    ResumeOrg {
        org: OrgUid,
    },
    SetOrgSettings {
        org: OrgUid,
        settings: Box<OrgSettings>,
    },
    SetOrgAlias {
        org: OrgUid,
        alias: Option<CompactString>,
    },
    CreateProvider {
        provider: CompactString,
        /// BLAKE3 of the provider's signing key.
        key_hash: [u8; 32],
        explicit_orgs: bool,
    },
    ChangeProviderKey {
        provider: CompactString,
        key_hash: [u8; 32],
    },

    // Users
    CreateUser {
        org: OrgUid,
        name: CompactString,
        /// Empty is `/`.
        path: CompactString,
        external_id: Option<CompactString>,
        tags: Tags,
        boundary: Option<PolicyRef>,
    },
    UpdateUser {
        org: OrgUid,
        user: CompactString,
        name: Option<CompactString>,
        path: Option<CompactString>,
    },
    SetUserRole {
        org: OrgUid,
        user: CompactString,
        role: Role,
    },
    TagUser {
        org: OrgUid,
        user: CompactString,
        set: Tags,
        remove: Vec<CompactString>,
    },
    SetUserBoundary {
        org: OrgUid,
        user: CompactString,
        policy: Option<PolicyRef>,
    },
    /// Refused while anything hangs on the user: keys, policies, groups.
    DeleteUser {
        org: OrgUid,
        user: CompactString,
    },

    // Groups
    CreateGroup {
        org: OrgUid,
        name: CompactString,
        /// Empty is `/`.
        path: CompactString,
    },
    UpdateGroup {
        org: OrgUid,
        group: CompactString,
        name: Option<CompactString>,
        path: Option<CompactString>,
    },
    /// Refused while it has members or policies.
    DeleteGroup {
        org: OrgUid,
        group: CompactString,
    },
    AddGroupMember {
        org: OrgUid,
        group: CompactString,
        user: CompactString,
    },
    RemoveGroupMember {
        org: OrgUid,
        group: CompactString,
        user: CompactString,
    },

    // Keys
    CreateKey {
        org: OrgUid,
        key: Box<CreateAccessKey>,
    },
    /// A key with its owner, policies and bucket, in one commit.
    CreateKeyWith {
        org: OrgUid,
        with: Box<CreateKeyWith>,
    },
    ImportKey {
        org: OrgUid,
        key: Box<ImportAccessKey>,
    },
    LabelKey {
        key: AccessKeyId,
        label: CompactString,
    },
    DescribeKey {
        key: AccessKeyId,
        description: CompactString,
    },
    TagKey {
        key: AccessKeyId,
        set: Tags,
        remove: Vec<CompactString>,
    },
    /// Replaces all grants.
    SetKeyGrants {
        key: AccessKeyId,
        grants: Vec<Grant>,
    },
    SetKeyDefaultAllow {
        key: AccessKeyId,
        default_allow: bool,
    },
    /// Grants, default rights and policies at once.
    UpdateKeyRights {
        key: AccessKeyId,
        change: Box<UpdateKeyRights>,
    },
    SetKeyExpiry {
        key: AccessKeyId,
        expires_at: Option<Time>,
    },
    /// Reversible.
    SuspendKey {
        key: AccessKeyId,
    },
    ResumeKey {
        key: AccessKeyId,
    },
    /// For ever; the key stays in lists.
    RevokeKey {
        key: AccessKeyId,
    },
    /// For ever, with its secret; its history stays.
    DeleteKey {
        key: AccessKeyId,
    },
    /// By pair: a successor with the same rights; the old key stops at the deadline.
    RotateKey {
        key: AccessKeyId,
        /// How long the old key goes on; `None` is 24 h, at most 90 days.
        grace_ns: Option<i64>,
        /// The successor's expiry; `None` is the old key's own.
        expires_at: Option<Time>,
    },
    /// In place: same id, a second secret; the first stops at the deadline.
    RotateSecret {
        key: AccessKeyId,
        /// How long the old secret goes on; `None` is 24 h, 0 is not at all, at most 7 days.
        grace_ns: Option<i64>,
    },
    /// Stops one of two live secrets now.
    RetireSecret {
        key: AccessKeyId,
        /// `None`: the older one.
        version: Option<u32>,
    },
    FlagKey {
        key: AccessKeyId,
        quarantine: bool,
        note: CompactString,
    },
    ClearKey {
        key: AccessKeyId,
    },
    /// An API token that stands for the key until it expires, is closed, or the key is not usable any more.
    OpenToken {
        key: AccessKeyId,
        /// BLAKE3 of the token.
        token_hash: [u8; 32],
        /// At most 30 days: our choice.
        lifetime_ns: i64,
    },
    CloseToken {
        key: AccessKeyId,
        token_hash: [u8; 32],
    },

    // Policies
    CreatePolicy {
        org: OrgUid,
        name: CompactString,
        /// Empty is `/`.
        path: CompactString,
        description: CompactString,
        tags: Tags,
        document: Arc<str>,
    },
    TagPolicy {
        org: OrgUid,
        policy: PolicyRef,
        set: Tags,
        remove: Vec<CompactString>,
    },
    CreatePolicyVersion {
        org: OrgUid,
        policy: PolicyRef,
        document: Arc<str>,
        set_default: bool,
    },
    /// A new version that is the default at once; when there are five, the oldest other one goes.
    ReplacePolicyDocument {
        org: OrgUid,
        policy: PolicyRef,
        document: Arc<str>,
    },
    /// [`Command::ReplacePolicyDocument`] together with the description; `None` stays as it is.
    UpdatePolicy {
        org: OrgUid,
        policy: PolicyRef,
        document: Arc<str>,
        description: Option<CompactString>,
    },
    SetDefaultPolicyVersion {
        org: OrgUid,
        policy: PolicyRef,
        version: u32,
    },
    DeletePolicyVersion {
        org: OrgUid,
        policy: PolicyRef,
        version: u32,
    },
    /// Refused while it is attached or has other versions; `force` detaches it from all first.
    DeletePolicy {
        org: OrgUid,
        policy: PolicyRef,
        force: bool,
    },
    AttachPolicy {
        org: OrgUid,
        policy: PolicyRef,
        to: Target,
    },
    DetachPolicy {
        org: OrgUid,
        policy: PolicyRef,
        from: Target,
    },
    PutInlinePolicy {
        org: OrgUid,
        holder: Target,
        name: CompactString,
        document: Arc<str>,
    },
    DeleteInlinePolicy {
        org: OrgUid,
        holder: Target,
        name: CompactString,
    },

    // Buckets
    RegisterBucket {
        org: OrgUid,
        bucket: BucketName,
    },
    ForgetBucket {
        org: OrgUid,
        bucket: BucketName,
    },

    /// What a storage node or the server saw of an org's keys since it told last (`product.md` §9). Over the org's budget of
    /// bytes a day nothing is written, and the next that is says how much was dropped.
    RecordUse {
        org: OrgUid,
        usage: Vec<KeyUsage>,
        attempts: Vec<Rejected>,
        /// Uses and attempts that could not be counted.
        dropped: u64,
    },

    // The ledger as a whole
    /// After a jump of the clock: it is right, go on with it.
    AcceptClock {},
    /// After a restore: the keys may be used again.
    AcceptRestore {},
    RecordRestore {
        from: CompactString,
        backup_seq: Seq,
    },
    RecordTailAccepted {
        durable_seq_lost: Option<Seq>,
        note: CompactString,
    },
    /// Imported records of one account, [`Event::EvidenceChanged`] and [`Event::EvidenceObserved`] alone, with how many of
    /// the source were not imported. Makes the account's evidence org when it is not there.
    ImportEvidence {
        account: AccountId,
        /// The file, or the first and the last of several; at most 512 characters.
        source: CompactString,
        events: Vec<Event>,
        duplicates: u64,
        rejected: u64,
    },

    // Sessions of the console
    /// Its key signs in: what it does stands on the key until the session ends.
    OpenSession {
        key: AccessKeyId,
        /// BLAKE3 of what the browser holds.
        session_hash: [u8; 32],
        /// At most 12 h: our choice.
        lifetime_ns: i64,
    },
    CloseSession {
        key: AccessKeyId,
        session_hash: [u8; 32],
        why: CompactString,
    },
    /// Somebody did not sign in. `key`: one that is or was there; what else was typed may be a secret, and is not kept.
    RefuseSignIn {
        key: Option<AccessKeyId>,
        source_ip: CompactString,
    },
}

impl Command {
    /// This command, if what it changes was last changed by the commit `changed`.
    #[must_use]
    pub fn expecting(self, changed: Seq) -> Self {
        Command::Expecting { changed, command: Box::new(self) }
    }

    /// The command without its precondition.
    #[must_use]
    pub fn bare(&self) -> &Command {
        match self {
            Command::Expecting { command, .. } => command.bare(),
            command => command,
        }
    }

    /// Whether it takes rights away in an emergency: such commands go on while the clock is in doubt, and use the reserve
    /// when the disk is full.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        matches!(
            self.bare(),
            Command::SuspendKey { .. }
                | Command::RevokeKey { .. }
                | Command::FlagKey { .. }
                | Command::SuspendOrg { .. }
        )
    }

    /// What must be drawn before it is decided.
    #[must_use]
    pub fn need(&self) -> Need {
        match self.bare() {
            Command::CreateOrg { .. } => Need::OrgIds,
            Command::CreateUser { .. } | Command::CreateGroup { .. } | Command::CreatePolicy { .. } => Need::Uid,
            Command::CreateKey { .. } | Command::RotateKey { .. } => Need::KeyAndSecret,
            Command::CreateKeyWith { .. } => Need::KeyAndUid,
            Command::RotateSecret { .. } => Need::Secret,
            Command::ImportKey { .. } => Need::BroughtSecret,
            _ => Need::Nothing,
        }
    }
}
