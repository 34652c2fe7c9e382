//! Histories written by hand, so that a test knows the truth an audit must find.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part of it, and what does not parse is the test's fault"
)]

use keyledger::model::event::EvidenceChange;
use keyledger::model::id::World;
use keyledger::model::usage::{KeyUsage, Rejected, UsageTuple};
use keyledger::model::{
    AccessKeyId, AccountId, Actor, ActorKind, BucketName, Commit, Dialect, Envelope, Event, EvidenceRecord, Grant,
    Holder, Identity, IdentityKind, KeyCreated, KeyOwner, KeyUid, Observed, OrgKind, OrgOwner, OrgSettings, OrgUid,
    Outcome, PolicyUid, Rank, SecretVersion, Seq, Tags, Time, UserUid, uids,
};
use keyledger::state::{Recorded, State};
use std::sync::Arc;

pub const ACCOUNT: AccountId = AccountId(123_456_789_012);
pub const DAY: i64 = 86_400_000_000_000;
pub const HOUR: i64 = 3_600_000_000_000;
pub const MINUTE: i64 = 60_000_000_000;

/// A history in the making.
pub struct Story {
    pub commits: Vec<Recorded>,
    pub now: Time,
    pub org: OrgUid,
    pub actor: Actor,
    pub address: Option<String>,
    pub agent: Option<String>,
    pub dialect: Dialect,
}

pub fn at(text: &str) -> Time {
    Time::parse(text).unwrap()
}

impl Story {
    /// A live org that begins at `start`.
    pub fn new(start: &str) -> Self {
        let mut story = Self::bare(start);
        story.commit(vec![Event::OrgCreated {
            org: story.org,
            account: ACCOUNT,
            kind: OrgKind::Live,
            name: "acme".into(),
            owner: OrgOwner::Operator,
            settings: OrgSettings::default(),
        }]);
        story
    }

    /// An evidence org; `start` is when its records were imported.
    pub fn evidence(start: &str) -> Self {
        let mut story = Self::bare(start);
        story.org = OrgUid::evidence(ACCOUNT);
        story.commit(vec![Event::OrgCreated {
            org: story.org,
            account: ACCOUNT,
            kind: OrgKind::Evidence,
            name: "evidence".into(),
            owner: OrgOwner::Operator,
            settings: OrgSettings::default(),
        }]);
        story
    }

    fn bare(start: &str) -> Self {
        Self {
            commits: Vec::new(),
            now: at(start),
            org: OrgUid([1; 16]),
            actor: Actor::operator("root@host"),
            address: Some("192.0.2.1".to_owned()),
            agent: Some("keyledger/0.1".to_owned()),
            dialect: Dialect::Cli,
        }
    }

    pub fn pass(&mut self, ns: i64) -> &mut Self {
        self.now = self.now.plus_ns(ns);
        self
    }

    pub fn until(&mut self, time: &str) -> &mut Self {
        assert!(at(time) >= self.now);
        self.now = at(time);
        self
    }

    pub fn by(&mut self, actor: Actor, address: &str) -> &mut Self {
        self.actor = actor;
        self.address = Some(address.to_owned());
        self
    }

    pub fn commit(&mut self, events: Vec<Event>) -> Seq {
        let seq = Seq(self.commits.len() as u64 + 1);
        let envelope = Envelope {
            org: Some(self.org),
            actor: self.actor.clone(),
            dialect: self.dialect,
            request_id: Some(format!("req-{seq}").into()),
            source_ip: self.address.as_deref().map(Into::into),
            user_agent: self.agent.as_deref().map(Into::into),
            reason: None,
            causation: None,
            token: None,
        };
        self.commits.push(Recorded {
            seq,
            recorded_at: self.now,
            clock_regressed: false,
            frame_hash: *blake3::hash(&seq.0.to_le_bytes()).as_bytes(),
            commit: Commit { envelope, events },
        });
        self.now = self.now.plus_ns(1_000_000);
        seq
    }

    pub fn recorded_at(&self, seq: Seq) -> Time {
        self.commits.iter().find(|commit| commit.seq == seq).unwrap().recorded_at
    }

    pub fn state(&self) -> State {
        let mut state = State::empty();
        for commit in &self.commits {
            state.apply(commit.seq, commit.recorded_at, &commit.commit);
        }
        state
    }

    // Live nouns

    pub fn user(&mut self, name: &str) -> UserUid {
        let user = UserUid::derived(&[name.as_bytes(), &self.commits.len().to_le_bytes()]);
        self.commit(vec![Event::UserCreated {
            user,
            name: name.into(),
            path: "/".into(),
            external_id: None,
            tags: Tags::new(),
        }]);
        user
    }

    pub fn policy(&mut self, name: &str, document: &str) -> PolicyUid {
        let policy = PolicyUid::derived(&[name.as_bytes()]);
        self.commit(vec![Event::PolicyCreated {
            policy,
            name: name.into(),
            path: "/".into(),
            description: "".into(),
            tags: Tags::new(),
            document: document.into(),
        }]);
        policy
    }

    pub fn attach(&mut self, policy: PolicyUid, holder: Holder) -> Seq {
        self.commit(vec![Event::PolicyAttached { policy, holder }])
    }

    pub fn key(&mut self, id: &str, owner: KeyOwner) -> KeyUid {
        self.key_with(id, owner, Vec::new(), None)
    }

    pub fn key_with(&mut self, id: &str, owner: KeyOwner, grants: Vec<Grant>, made_by: Option<KeyUid>) -> KeyUid {
        let created = self.created(id, owner, grants, made_by);
        let uid = created.key;
        self.commit(vec![Event::KeyCreated(Box::new(created))]);
        uid
    }

    pub fn created(&self, id: &str, owner: KeyOwner, grants: Vec<Grant>, made_by: Option<KeyUid>) -> KeyCreated {
        let access_key_id = AccessKeyId::parse(id).unwrap();
        KeyCreated {
            key: access_key_id.uid(World::Live),
            access_key_id,
            owner,
            label: "".into(),
            description: "".into(),
            tags: Tags::new(),
            grants,
            default_allow: false,
            expires_at: None,
            secret: Some(secret(1, id, self.now)),
            made_by,
        }
    }

    pub fn use_key(&mut self, key: KeyUid, uses: &[UsageTuple]) -> Seq {
        let usage = KeyUsage { key, tuples: uses.to_vec(), other: 0 };
        let actor = std::mem::replace(
            &mut self.actor,
            Actor { kind: ActorKind::Node, name: "node-1".into(), user: None, key: None },
        );
        let seq = self.commit(vec![Event::UsageRolledUp { keys: vec![usage], dropped: 0 }]);
        self.actor = actor;
        seq
    }

    pub fn used(&self, class: &str, address: &str, agent: &str, outcome: &str, count: u64) -> UsageTuple {
        UsageTuple {
            secret_version: 1,
            service: "s3".into(),
            region: "us-east-1".into(),
            bucket: Some(BucketName::parse("photos").unwrap()),
            action_class: class.into(),
            source_ip: address.into(),
            user_agent: agent.into(),
            signature: "v4".into(),
            outcome: outcome.into(),
            count,
            bytes_in: 0,
            bytes_out: 0,
            first_at: self.now,
            last_at: self.now,
        }
    }

    pub fn rejected(&mut self, key: KeyUid, status: &str, address: &str, count: u64) -> Seq {
        let attempt = Rejected {
            key,
            status: status.into(),
            source_ip: address.into(),
            user_agent: "boto3".into(),
            count,
            first_at: self.now,
            last_at: self.now,
        };
        self.commit(vec![Event::AttemptsRolledUp { attempts: vec![attempt], dropped: 0 }])
    }

    // Evidence

    pub fn record(&self, time: &str, by: &Identity, call: &str, rank: Rank, address: &str) -> EvidenceRecord {
        let service = match call {
            "StopLogging" | "DeleteTrail" => "cloudtrail.amazonaws.com",
            "GetCallerIdentity" | "AssumeRole" | "GetFederationToken" => "sts.amazonaws.com",
            "GetObject" | "ListBuckets" | "DeleteObject" => "s3.amazonaws.com",
            "DescribeInstances" => "ec2.amazonaws.com",
            _ => "iam.amazonaws.com",
        };
        let mut event_id = [0; 16];
        let name = format!("{time}{call}{by:?}{}", self.commits.len());
        event_id.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..16]);
        EvidenceRecord {
            event_id,
            effective_at: at(time),
            rank,
            identity: by.clone(),
            event_source: service.into(),
            event_name: call.into(),
            region: "us-east-1".into(),
            source_ip: address.into(),
            user_agent: "aws-cli/2".into(),
            request_id: "r".into(),
            read_only: false,
            outcome: Outcome::Ok,
        }
    }

    pub fn changed(&mut self, record: EvidenceRecord, changes: Vec<Event>) -> Seq {
        self.commit(vec![Event::EvidenceChanged(Arc::new(EvidenceChange { record, changes }))])
    }

    pub fn observed(&mut self, record: EvidenceRecord) -> Seq {
        self.observed_with(record, |_| {})
    }

    pub fn observed_with(&mut self, record: EvidenceRecord, f: impl FnOnce(&mut Observed)) -> Seq {
        let mut observed = Observed {
            record,
            bucket: None,
            resource: None,
            issued_key: None,
            issued_for: None,
            bytes_in: 0,
            bytes_out: 0,
            error_message: None,
        };
        f(&mut observed);
        self.commit(vec![Event::EvidenceObserved(Arc::new(observed))])
    }

    pub fn evidence_user(name: &str) -> Event {
        Event::UserCreated {
            user: uids::user(ACCOUNT, name),
            name: name.into(),
            path: "/".into(),
            external_id: None,
            tags: Tags::new(),
        }
    }

    /// What an importer puts before a change that speaks of a user.
    pub fn mention_user(name: &str) -> Event {
        Event::UserRenamed { user: uids::user(ACCOUNT, name), before: name.into(), after: name.into() }
    }

    pub fn mention_key(id: &str, user: &str) -> Event {
        match Self::evidence_key(id, user) {
            Event::KeyCreated(key) => Event::KeyImported(key),
            other => other,
        }
    }

    pub fn evidence_key(id: &str, user: &str) -> Event {
        let access_key_id = AccessKeyId::parse(id).unwrap();
        Event::KeyCreated(Box::new(KeyCreated {
            key: access_key_id.uid(World::Evidence),
            access_key_id,
            owner: KeyOwner::User(uids::user(ACCOUNT, user)),
            label: "".into(),
            description: "".into(),
            tags: Tags::new(),
            grants: Vec::new(),
            default_allow: false,
            expires_at: None,
            secret: None,
            made_by: None,
        }))
    }

    pub fn evidence_attach(user: &str, arn: &str) -> Event {
        Event::PolicyAttached { policy: uids::policy(arn), holder: Holder::User(uids::user(ACCOUNT, user)) }
    }
}

pub fn iam_user(name: &str, key: &str) -> Identity {
    Identity {
        kind: IdentityKind::User,
        name: name.into(),
        arn: None,
        account: Some(ACCOUNT),
        key: (!key.is_empty()).then(|| AccessKeyId::parse(key).unwrap()),
    }
}

pub fn secret(version: u32, text: &str, set_at: Time) -> SecretVersion {
    let digest = blake3::hash(format!("{text}/{version}").as_bytes());
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&digest.as_bytes()[..16]);
    SecretVersion { version, commitment: *digest.as_bytes(), fingerprint: Some(fingerprint), set_at }
}

pub fn grant(bucket: Option<&str>, role: keyledger::model::GrantRole) -> Grant {
    Grant { bucket: bucket.map(|name| BucketName::parse(name).unwrap()), role }
}
