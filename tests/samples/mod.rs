//! One commit for every event kind, with fixed values: what the golden ledger holds, and what codec tests go through.

#![allow(dead_code, reason = "each user takes what it needs")]

pub mod golden;

use keyledger::model::event::EvidenceChange;
use keyledger::model::id::World;
use keyledger::model::usage::{KeyUsage, Rejected, UsageTuple};
use keyledger::model::{
    AccessKeyId, AccountId, Actor, ActorKind, BucketName, Commit, Dialect, Envelope, Event, EventKind, EvidenceRecord,
    Grant, GrantRole, GroupUid, Holder, Identity, IdentityKind, KeyCreated, KeyOwner, KeyUid, Observed, OrgKind,
    OrgOwner, OrgSettings, OrgUid, Outcome, PolicyUid, Rank, Role, SecretVersion, Seq, ShredLevel, Tags, Time, UserUid,
};
use std::sync::Arc;

pub const ORG: OrgUid = OrgUid([0x11; 16]);
pub const USER: UserUid = UserUid([0x22; 16]);
pub const GROUP: GroupUid = GroupUid([0x33; 16]);
pub const POLICY: PolicyUid = PolicyUid([0x44; 16]);
/// 2026-03-01T00:00:00Z.
pub const START: Time = Time(1_772_323_200_000_000_000);

const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}"#;

fn id(text: &str) -> AccessKeyId {
    AccessKeyId::parse(text).expect("a valid id")
}

fn bucket() -> BucketName {
    BucketName::parse("golden-bucket").expect("a valid name")
}

fn tags() -> Tags {
    Tags::from([("env".into(), "prod".into()), ("größe".into(), "".into())])
}

pub fn secret(version: u32) -> SecretVersion {
    SecretVersion { version, commitment: [0x55; 32], fingerprint: Some([0x66; 16]), set_at: START }
}

fn key(access_key_id: &str) -> KeyCreated {
    let access_key_id = id(access_key_id);
    KeyCreated {
        key: access_key_id.uid(World::Live),
        access_key_id,
        owner: KeyOwner::User(USER),
        label: "ci deploy".into(),
        description: "the build's key".into(),
        tags: tags(),
        grants: vec![
            Grant { bucket: None, role: GrantRole::ReadOnly },
            Grant { bucket: Some(bucket()), role: GrantRole::Editor },
        ],
        default_allow: true,
        expires_at: Some(START.plus_ns(90 * 86_400 * 1_000_000_000)),
        secret: Some(secret(1)),
        made_by: None,
    }
}

fn record(rank: Rank, name: &str, outcome: Outcome) -> EvidenceRecord {
    EvidenceRecord {
        event_id: [0x77; 16],
        effective_at: START,
        rank,
        identity: Identity {
            kind: IdentityKind::User,
            name: "mallory".into(),
            arn: Some("arn:aws:iam::123456789012:user/mallory".into()),
            account: Some(AccountId(123_456_789_012)),
            key: Some(id("AKIAGOLDEN0000000001")),
        },
        event_source: "iam.amazonaws.com".into(),
        event_name: name.into(),
        region: "us-east-1".into(),
        source_ip: "203.0.113.9".into(),
        user_agent: "aws-cli/2.9.19".into(),
        request_id: "11111111-2222-3333-4444-555555555555".into(),
        read_only: false,
        outcome,
    }
}

/// Every event kind once, in the order of their numbers.
pub fn every_event() -> Vec<Event> {
    let first = key("NQAKGOLDEN0000000001");
    let second = key("NQAKGOLDEN0000000002");
    let bucket_key = KeyCreated { owner: KeyOwner::Bucket(bucket()), made_by: Some(first.key), ..second.clone() };
    let (one, two): (KeyUid, KeyUid) = (first.key, second.key);
    let document: Arc<str> = DOCUMENT.into();
    let later = START.plus_ns(3_600_000_000_000);
    let holder = Holder::Key(one);
    let events = vec![
        Event::OrgCreated {
            org: ORG,
            account: AccountId(123_456_789_012),
            kind: OrgKind::Live,
            name: "golden".into(),
            owner: OrgOwner::Provider { provider: "acme".into(), external_id: "org-1".into() },
            settings: OrgSettings { key_prefix: Some("AKIA".into()), open_buckets: true, ..OrgSettings::default() },
        },
        Event::OrgSuspended {},
        Event::OrgResumed {},
        Event::OrgSettingsSet {
            before: Box::default(),
            after: Box::new(OrgSettings { rotation_days_max: Some(30), ..OrgSettings::default() }),
        },
        Event::OrgAliasSet { before: None, after: Some("golden-alias".into()) },
        Event::ProviderCreated { provider: "acme".into(), key_hash: [1; 32], explicit_orgs: true },
        Event::ProviderKeyChanged { provider: "acme".into(), key_hash: [2; 32] },
        Event::UserCreated {
            user: USER,
            name: "Alice".into(),
            path: "/".into(),
            external_id: Some("u-1".into()),
            tags: tags(),
        },
        Event::UserRenamed { user: USER, before: "Alice".into(), after: "alice.b".into() },
        Event::UserMoved { user: USER, before: "/".into(), after: "/eng/".into() },
        Event::UserRoleSet { user: USER, before: Role::Member, after: Role::Admin },
        Event::UserTagged { user: USER, set: tags(), removed: vec!["old".into()] },
        Event::UserBoundarySet { user: USER, before: None, after: Some(POLICY) },
        Event::UserDeleted { user: UserUid([0x23; 16]), name: "bob".into() },
        Event::GroupCreated { group: GROUP, name: "devs".into(), path: "/".into() },
        Event::GroupRenamed { group: GROUP, before: "devs".into(), after: "makers".into() },
        Event::GroupMoved { group: GROUP, before: "/".into(), after: "/eng/".into() },
        Event::GroupDeleted { group: GroupUid([0x34; 16]), name: "old".into() },
        Event::GroupMemberAdded { group: GROUP, user: USER },
        Event::GroupMemberRemoved { group: GROUP, user: USER },
        Event::BucketRegistered { bucket: bucket() },
        Event::BucketForgotten { bucket: BucketName::parse("forgotten").expect("a valid name") },
        Event::KeyCreated(Box::new(first)),
        Event::KeyImported(Box::new(bucket_key)),
        Event::KeyLabelled { key: one, before: "ci deploy".into(), after: "ci".into() },
        Event::KeyDescribed { key: one, before: "the build's key".into(), after: "".into() },
        Event::KeyTagged { key: one, set: tags(), removed: vec![] },
        Event::KeyGrantsSet { key: one, before: vec![], after: vec![Grant { bucket: None, role: GrantRole::Admin }] },
        Event::KeyDefaultAllowSet { key: one, before: true, after: false },
        Event::KeyExpirySet { key: one, before: None, after: Some(later) },
        Event::KeySuspended { key: one, by_admin: true },
        Event::KeyResumed { key: one },
        Event::KeyRevoked { key: two },
        Event::KeyDeleted { key: two, access_key_id: id("NQAKGOLDEN0000000002"), unrevoked: false },
        Event::KeyRotated { old: one, new: two, deadline: later },
        Event::KeySecretRotated { key: one, secret: secret(2), old_version: 1, old_deadline: later },
        Event::KeySecretRetired { key: one, version: 1 },
        Event::KeySecretShredded { key: two, versions: vec![1], level: ShredLevel::L0 },
        Event::KeyFlagged { key: one, quarantine: true, note: "seen in a paste".into() },
        Event::KeyCleared { key: one },
        Event::PolicyCreated {
            policy: POLICY,
            name: "read".into(),
            path: "/".into(),
            description: "reads".into(),
            tags: tags(),
            document: Arc::clone(&document),
        },
        Event::PolicyTagged { policy: POLICY, set: tags(), removed: vec!["x".into()] },
        Event::PolicyVersionCreated { policy: POLICY, version: 2, document: Arc::clone(&document), is_default: true },
        Event::PolicyDefaultSet { policy: POLICY, before: 2, after: 1 },
        Event::PolicyVersionDeleted { policy: POLICY, version: 2 },
        Event::PolicyDeleted { policy: PolicyUid([0x45; 16]), name: "gone".into(), forced: true },
        Event::PolicyAttached { policy: POLICY, holder },
        Event::PolicyDetached { policy: POLICY, holder },
        Event::PolicyDetachedFromAll {
            policy: POLICY,
            holders: vec![Holder::User(USER), Holder::Group(GROUP), holder],
        },
        Event::InlinePolicyPut { holder, name: "inline".into(), before: None, document: Arc::clone(&document) },
        Event::InlinePolicyDeleted { holder, name: "inline".into(), before: Arc::clone(&document) },
        Event::TokenOpened { token_hash: [3; 32], key: one, expires_at: later },
        Event::TokenClosed { token_hash: [3; 32] },
        Event::SessionOpened { session_hash: [4; 32], key: one, expires_at: later },
        Event::SessionClosed { session_hash: [4; 32], why: "signed out".into() },
        Event::SignInRefused { access_key_id: "NQAKGOLDEN0000000009".into(), source_ip: "192.0.2.1".into() },
        Event::UsageRolledUp {
            keys: vec![KeyUsage {
                key: one,
                tuples: vec![UsageTuple {
                    secret_version: 1,
                    service: "s3".into(),
                    region: "us-east-1".into(),
                    bucket: Some(bucket()),
                    action_class: "read".into(),
                    source_ip: "192.0.2.7".into(),
                    user_agent: "rclone/1.60".into(),
                    signature: "header".into(),
                    outcome: "ok".into(),
                    count: 12,
                    bytes_in: 0,
                    bytes_out: 4_096,
                    first_at: START,
                    last_at: later,
                }],
                other: 3,
            }],
            dropped: 1,
        },
        Event::AttemptsRolledUp {
            attempts: vec![Rejected {
                key: two,
                status: "Deleted".into(),
                source_ip: "203.0.113.9".into(),
                user_agent: "curl/8".into(),
                count: 2,
                first_at: START,
                last_at: later,
            }],
            dropped: 0,
        },
        Event::EvidenceBatchImported {
            source: "trail.json.gz".into(),
            records: 4,
            imported: 2,
            duplicates: 1,
            rejected: 1,
        },
        Event::EvidenceChanged(Arc::new(EvidenceChange {
            record: record(Rank::CreateNoun, "CreateUser", Outcome::Ok),
            changes: vec![Event::UserCreated {
                user: USER,
                name: "backdoor".into(),
                path: "/".into(),
                external_id: None,
                tags: Tags::new(),
            }],
        })),
        Event::EvidenceObserved(Arc::new(Observed {
            record: record(Rank::Observed, "GetObject", Outcome::Denied { code: "AccessDenied".into() }),
            bucket: Some(bucket()),
            resource: Some("a/b".into()),
            issued_key: Some(id("ASIAGOLDEN0000000001")),
            issued_for: Some("arn:aws:iam::123456789012:role/r".into()),
            bytes_in: 1,
            bytes_out: 2,
            error_message: Some("no".into()),
        })),
        Event::FindingRaised { finding: "unused".into(), key: Some(one), detail: "200 days".into() },
        Event::FindingClosed { finding: "unused".into(), key: Some(one), why: "used".into() },
        Event::AuditDone { question: "rotation".into(), exported: true, digest: [5; 32] },
        Event::ClockAccepted { before: START, after: later },
        Event::TailAccepted { durable_seq_lost: Some(Seq(7)), note: "both witness slots were lost".into() },
        Event::LedgerRestored { from: "backup".into(), backup_seq: Seq(6) },
        Event::RestoreAccepted {},
        Event::StateAttested { at: Seq(5), projection: 1, state_hash: [6; 32] },
        Event::CheckpointPublished { tree_size: 5, root: [7; 32] },
        Event::PolicyDescribed { policy: POLICY, before: "".into(), after: "reads logs".into() },
    ];
    let kinds: Vec<EventKind> = events.iter().map(Event::kind).collect();
    assert_eq!(kinds, EventKind::ALL, "every kind once, in order");
    events
}

/// Commits that hold every kind: each alone, and all of them in one.
pub fn every_commit() -> Vec<Commit> {
    commits_of(every_event())
}

/// Each alone, and all of them in one.
pub fn commits_of(events: Vec<Event>) -> Vec<Commit> {
    let envelope = Envelope {
        org: Some(ORG),
        actor: Actor {
            kind: ActorKind::User,
            name: "alice".into(),
            user: Some(USER),
            key: Some(id("NQAKGOLDEN0000000001")),
        },
        dialect: Dialect::AwsIam,
        request_id: Some("req-1".into()),
        source_ip: Some("192.0.2.7".into()),
        user_agent: Some("aws-cli/2.9.19".into()),
        reason: Some("TICKET-1".into()),
        causation: Some(Seq(1)),
        token: None,
    };
    let bare = Envelope {
        org: None,
        actor: Actor::operator("ann@host"),
        dialect: Dialect::Cli,
        request_id: None,
        source_ip: None,
        user_agent: None,
        reason: None,
        causation: None,
        token: Some(keyledger::model::commit::TokenUsed { token: "token-1".into(), body_hash: [8; 16] }),
    };
    let mut commits: Vec<Commit> =
        events.iter().map(|event| Commit { envelope: envelope.clone(), events: vec![event.clone()] }).collect();
    commits.push(Commit { envelope: Envelope { org: Some(ORG), ..bare }, events });
    commits
}
