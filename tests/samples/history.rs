//! Seeded histories of an org's life: users, groups, keys, policies, rotation, revocation, evidence, and some nonsense.

use crate::samples::{ORG, START, secret};
use keyledger::model::commit::TokenUsed;
use keyledger::model::event::EvidenceChange;
use keyledger::model::id::World;
use keyledger::model::usage::{KeyUsage, UsageTuple};
use keyledger::model::{
    AccessKeyId, AccountId, Actor, BucketName, Commit, Dialect, Envelope, Event, EvidenceRecord, Grant, GrantRole,
    GroupUid, Holder, Identity, IdentityKind, KeyCreated, KeyOwner, KeyUid, Observed, OrgKind, OrgOwner, OrgSettings,
    OrgUid, Outcome, PolicyUid, Rank, Role, SecretVersion, ShredLevel, Tags, Time, UserUid, uids,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use std::sync::Arc;

const EVIDENCE_ACCOUNT: AccountId = AccountId(999_988_887_777);

/// Draws commits one after the other.
pub struct History {
    dice: StdRng,
    drawn: u64,
    users: Vec<UserUid>,
    groups: Vec<GroupUid>,
    policies: Vec<PolicyUid>,
    keys: Vec<(KeyUid, AccessKeyId)>,
}

impl History {
    pub fn seeded(seed: u64) -> Self {
        Self {
            dice: StdRng::seed_from_u64(seed),
            drawn: 0,
            users: vec![],
            groups: vec![],
            policies: vec![],
            keys: vec![],
        }
    }

    /// The time of the n-th commit, from 1: an hour apart.
    pub fn time(n: u64) -> Time {
        START.plus_ns(n.cast_signed() * 3_600_000_000_000)
    }

    fn uid(&mut self) -> [u8; 16] {
        let mut uid = [0; 16];
        self.dice.fill_bytes(&mut uid);
        uid
    }

    fn now(&self) -> Time {
        Self::time(self.drawn)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        of.choose(&mut self.dice).copied()
    }

    fn key(&mut self) -> Option<(KeyUid, AccessKeyId)> {
        self.keys.choose(&mut self.dice).cloned()
    }

    fn new_key(&mut self) -> KeyCreated {
        let n = self.keys.len();
        let access_key_id = AccessKeyId::parse(&format!("NQAK{n:016}")).expect("valid");
        let owner = match (self.dice.random_range(0..4), self.users.choose(&mut self.dice)) {
            (0, _) | (_, None) => KeyOwner::Org,
            (1, _) => KeyOwner::Bucket(bucket(n % 5)),
            (_, Some(user)) => KeyOwner::User(*user),
        };
        let grants = match self.dice.random_range(0..3) {
            0 => vec![Grant { bucket: None, role: GrantRole::Editor }],
            1 => vec![Grant { bucket: Some(bucket(n % 5)), role: GrantRole::ReadOnly }],
            _ => vec![],
        };
        let key = access_key_id.uid(World::Live);
        self.keys.push((key, access_key_id.clone()));
        KeyCreated {
            key,
            access_key_id,
            owner,
            label: format!("app-{n}").into(),
            description: "".into(),
            tags: Tags::new(),
            grants,
            default_allow: self.dice.random(),
            expires_at: self.dice.random_bool(0.2).then(|| self.now().plus_ns(86_400_000_000_000)),
            secret: Some(SecretVersion { set_at: self.now(), ..secret(1) }),
            made_by: None,
        }
    }

    fn event(&mut self) -> Event {
        let (users, groups, policies) = (self.users.clone(), self.groups.clone(), self.policies.clone());
        let now = self.now();
        loop {
            let drawn = match self.dice.random_range(0..30) {
                0..=1 => {
                    let user = UserUid(self.uid());
                    self.users.push(user);
                    let name = format!("User{}", self.users.len());
                    Some(Event::UserCreated {
                        user,
                        name: name.into(),
                        path: "/".into(),
                        external_id: None,
                        tags: Tags::new(),
                    })
                }
                2 => {
                    let group = GroupUid(self.uid());
                    self.groups.push(group);
                    let name = format!("group{}", self.groups.len());
                    Some(Event::GroupCreated { group, name: name.into(), path: "/".into() })
                }
                3 => {
                    let policy = PolicyUid(self.uid());
                    self.policies.push(policy);
                    Some(Event::PolicyCreated {
                        policy,
                        name: format!("policy{}", self.policies.len()).into(),
                        path: "/".into(),
                        description: "".into(),
                        tags: Tags::new(),
                        document: "{}".into(),
                    })
                }
                4..=9 => Some(Event::KeyCreated(Box::new(self.new_key()))),
                10..=13 => self
                    .pick(&policies)
                    .zip(self.holder())
                    .map(|(policy, holder)| Event::PolicyAttached { policy, holder }),
                14 => self
                    .pick(&policies)
                    .zip(self.holder())
                    .map(|(policy, holder)| Event::PolicyDetached { policy, holder }),
                15 => self.key().map(|(key, _)| Event::KeySuspended { key, by_admin: true }),
                16 => self.key().map(|(key, _)| Event::KeyResumed { key }),
                17 => self.key().map(|(key, _)| Event::KeyRevoked { key }),
                18 => self.key().map(|(key, access_key_id)| Event::KeyDeleted { key, access_key_id, unrevoked: true }),
                19 => self.key().map(|(key, _)| Event::KeySecretRotated {
                    key,
                    secret: SecretVersion { version: 2, set_at: now, ..secret(2) },
                    old_version: 1,
                    old_deadline: now.plus_ns(86_400_000_000_000),
                }),
                20 => self.key().map(|(key, _)| Event::KeySecretShredded {
                    key,
                    versions: vec![1],
                    level: ShredLevel::L0,
                }),
                21 => {
                    self.key().zip(self.key()).map(|((old, _), (new, _))| Event::KeyRotated { old, new, deadline: now })
                }
                22 => {
                    self.pick(&users).map(|user| Event::UserRoleSet { user, before: Role::Member, after: Role::Admin })
                }
                23 => self.pick(&users).map(|user| Event::UserDeleted { user, name: "".into() }),
                24 => self
                    .pick(&users)
                    .zip(self.pick(&groups))
                    .map(|(user, group)| Event::GroupMemberAdded { group, user }),
                25 => self.pick(&policies).map(|policy| Event::PolicyVersionCreated {
                    policy,
                    version: 2,
                    document: "{ }".into(),
                    is_default: true,
                }),
                26 => self.holder().map(|holder| Event::InlinePolicyPut {
                    holder,
                    name: "inline".into(),
                    before: None,
                    document: "{}".into(),
                }),
                27 => Some(Event::BucketRegistered { bucket: bucket(self.dice.random_range(0..5)) }),
                28 => self.key().map(|(key, _)| usage(key, now)),
                // About a key that never was: it must change nothing.
                _ => Some(Event::KeyRevoked { key: KeyUid(self.uid()) }),
            };
            if let Some(event) = drawn {
                return event;
            }
        }
    }

    fn holder(&mut self) -> Option<Holder> {
        match self.dice.random_range(0..3) {
            0 => self.users.choose(&mut self.dice).map(|user| Holder::User(*user)),
            1 => self.groups.choose(&mut self.dice).map(|group| Holder::Group(*group)),
            _ => self.keys.choose(&mut self.dice).map(|(key, _)| Holder::Key(*key)),
        }
    }
}

impl Iterator for History {
    type Item = Commit;

    fn next(&mut self) -> Option<Commit> {
        self.drawn += 1;
        let mut envelope = Envelope {
            org: Some(ORG),
            actor: Actor::operator("ann@host"),
            dialect: Dialect::Library,
            request_id: None,
            source_ip: None,
            user_agent: None,
            reason: None,
            causation: None,
            token: None,
        };
        let events = match self.drawn {
            1 => vec![Event::OrgCreated {
                org: ORG,
                account: AccountId(123_456_789_012),
                kind: OrgKind::Live,
                name: "acme".into(),
                owner: OrgOwner::Operator,
                settings: OrgSettings::default(),
            }],
            2 => {
                let org = OrgUid::evidence(EVIDENCE_ACCOUNT);
                envelope.org = Some(org);
                vec![Event::OrgCreated {
                    org,
                    account: EVIDENCE_ACCOUNT,
                    kind: OrgKind::Evidence,
                    name: "evidence".into(),
                    owner: OrgOwner::Operator,
                    settings: OrgSettings::default(),
                }]
            }
            _ if self.dice.random_bool(0.1) => {
                envelope.org = Some(OrgUid::evidence(EVIDENCE_ACCOUNT));
                (0..self.dice.random_range(1..4)).map(|_| evidence(&mut self.dice)).collect()
            }
            n => {
                if self.dice.random_bool(0.1) {
                    envelope.token = Some(TokenUsed { token: format!("t{n}").into(), body_hash: [9; 16] });
                }
                (0..self.dice.random_range(1..4)).map(|_| self.event()).collect()
            }
        };
        Some(Commit { envelope, events })
    }
}

fn bucket(n: usize) -> BucketName {
    BucketName::parse(&format!("bucket-{n}")).expect("valid")
}

fn usage(key: KeyUid, now: Time) -> Event {
    let tuple = UsageTuple {
        secret_version: 1,
        service: "s3".into(),
        region: "us-east-1".into(),
        bucket: None,
        action_class: "read".into(),
        source_ip: "192.0.2.1".into(),
        user_agent: "boto3".into(),
        signature: "header".into(),
        outcome: "ok".into(),
        count: 1,
        bytes_in: 0,
        bytes_out: 0,
        first_at: now.plus_ns(-1_000),
        last_at: now,
    };
    Event::UsageRolledUp { keys: vec![KeyUsage { key, tuples: vec![tuple], other: 0 }], dropped: 0 }
}

/// One imported record, at a time of its own.
pub fn evidence(dice: &mut StdRng) -> Event {
    let mut event_id = [0; 16];
    dice.fill_bytes(&mut event_id);
    let name = format!("user{}", dice.random_range(0..6));
    let id = AccessKeyId::parse(&format!("AKIA{:016}", dice.random_range(0..9))).expect("valid");
    let user = uids::user(EVIDENCE_ACCOUNT, &name);
    let mention = Event::UserRenamed { user, before: name.clone().into(), after: name.clone().into() };
    let (rank, event_name, changes) = match dice.random_range(0..6) {
        0 => {
            let created = Event::UserCreated {
                user,
                name: name.clone().into(),
                path: "/".into(),
                external_id: None,
                tags: Tags::new(),
            };
            (Rank::CreateNoun, "CreateUser", vec![created])
        }
        1 => {
            let created = KeyCreated {
                key: uids::key(&id),
                access_key_id: id.clone(),
                owner: KeyOwner::User(user),
                label: "".into(),
                description: "".into(),
                tags: Tags::new(),
                grants: vec![],
                default_allow: false,
                expires_at: None,
                secret: None,
                made_by: None,
            };
            (Rank::CreateKey, "CreateAccessKey", vec![mention, Event::KeyCreated(Box::new(created))])
        }
        2 => (Rank::Delete, "DeleteUser", vec![mention, Event::UserDeleted { user, name: name.clone().into() }]),
        3 => {
            let gone = Event::KeyDeleted { key: uids::key(&id), access_key_id: id.clone(), unrevoked: false };
            (Rank::Delete, "DeleteAccessKey", vec![mention, gone])
        }
        _ => (Rank::Observed, "GetObject", vec![]),
    };
    let record = EvidenceRecord {
        event_id,
        effective_at: START.plus_ns(dice.random_range(0..1_000) * 1_000_000_000),
        rank,
        identity: Identity {
            kind: IdentityKind::User,
            name: name.into(),
            arn: None,
            account: Some(EVIDENCE_ACCOUNT),
            key: Some(id),
        },
        event_source: "iam.amazonaws.com".into(),
        event_name: event_name.into(),
        region: "us-east-1".into(),
        source_ip: "198.51.100.1".into(),
        user_agent: "boto3".into(),
        request_id: "".into(),
        read_only: false,
        outcome: Outcome::Ok,
    };
    if changes.is_empty() {
        return Event::EvidenceObserved(Arc::new(Observed {
            record,
            bucket: Some(bucket(0)),
            resource: None,
            issued_key: None,
            issued_for: None,
            bytes_in: 0,
            bytes_out: 0,
            error_message: None,
        }));
    }
    Event::EvidenceChanged(Arc::new(EvidenceChange { record, changes }))
}

pub const EVIDENCE: AccountId = EVIDENCE_ACCOUNT;
