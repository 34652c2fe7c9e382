//! What the tests of decisions share: `given(commands).when(command).then(events)` or `.refused(refusal)`, with scripted
//! time and dice.
#![allow(dead_code, reason = "each test file uses its part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "a test says what it means, and stops where it is wrong"
)]

use keyledger::ledger::command::OwnerName;
use keyledger::ledger::decide::{actor_of, decide};
use keyledger::ledger::fresh::draw;
use keyledger::ledger::{Command, CreateAccessKey, Decided, ImportAccessKey, Noun, Outcome, Refusal};
use keyledger::ledger::{SeededDice, Stamp};
use keyledger::model::{
    AccessKeyId, AccountId, Caller, Commit, Dialect, Envelope, Event, EventKind, OrgOwner, OrgUid, Time,
};
use keyledger::state::{KeyRecord, Recorded, State};
use keyledger::sys::RealIo;
use keyledger::vault::{Keystore, Sealer, SecretKey, VaultKey};
use std::sync::Arc;

pub const SECOND: i64 = 1_000_000_000;
pub const HOUR: i64 = 3_600 * SECOND;
pub const DAY: i64 = 24 * HOUR;
/// 2026-03-01T00:00:00Z
pub const START: Time = Time(1_772_323_200 * SECOND);
pub const ALLOW: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;
pub const READ: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}}"#;
pub const DENY: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:*","Resource":"*"}}"#;
pub const FULL: &str = "arn:aws:iam::aws:policy/AmazonS3FullAccess";

/// A state, the time, and dice that fall the same way every time.
pub struct Given {
    pub state: State,
    pub now: Time,
    /// Every commit so far.
    pub history: Vec<Recorded>,
    dice: SeededDice,
    sealer: Sealer,
}

/// What seals secrets in tests that never look at one.
fn a_sealer() -> Sealer {
    static SEALER: std::sync::LazyLock<Sealer> = std::sync::LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut dice = |bytes: &mut [u8]| bytes.fill(7);
        let key = VaultKey::from_bytes([7; 32].into());
        Keystore::create(Arc::new(RealIo), folder.path(), [7; 16], &key, &mut dice).unwrap().sealer()
    });
    SEALER.clone()
}

/// An org `123456789012` with nothing in it.
pub fn an_org() -> Given {
    let mut given =
        Given { state: State::empty(), now: START, history: Vec::new(), dice: SeededDice::new(7), sealer: a_sealer() };
    given.done(Command::CreateOrg {
        name: "acme".into(),
        account: Some(AccountId(123_456_789_012)),
        owner: OrgOwner::Operator,
        settings: Box::default(),
    });
    given
}

/// The org with users `alice` and `bob`, a policy `reader`, a group `staff`, a bucket `photos` and a key of alice's.
pub fn a_busy_org() -> Given {
    let mut given = an_org();
    let org = given.org();
    given.user("alice").user("bob");
    given.done(Command::CreateGroup { org, name: "staff".into(), path: "".into() });
    given.policy("reader", READ);
    given.done(Command::RegisterBucket { org, bucket: bucket("photos") });
    given.key_of("alice");
    given
}

pub fn bucket(name: &str) -> keyledger::model::BucketName {
    keyledger::model::BucketName::parse(name).unwrap()
}

pub fn operator() -> Caller {
    Caller::operator("ops@host")
}

pub fn id(text: &str) -> AccessKeyId {
    AccessKeyId::parse(text).unwrap()
}

pub fn secret(text: &str) -> Arc<SecretKey> {
    Arc::new(SecretKey::import(text).unwrap())
}

pub fn imported(org: OrgUid, text: &str, key: CreateAccessKey) -> Command {
    let key = ImportAccessKey { access_key_id: id(text), secret: secret("wJalrXUtnFEMIK7MDENG"), key };
    Command::ImportKey { org, key: Box::new(key) }
}

impl Given {
    pub fn org(&self) -> OrgUid {
        self.state.org_by_account(AccountId(123_456_789_012)).unwrap().org
    }

    pub fn after(&mut self, ns: i64) -> &mut Self {
        self.now = self.now.plus_ns(ns);
        self
    }

    pub fn user(&mut self, name: &str) -> &mut Self {
        let org = self.org();
        self.done(Command::CreateUser {
            org,
            name: name.into(),
            path: "".into(),
            external_id: None,
            tags: Default::default(),
            boundary: None,
        });
        self
    }

    pub fn policy(&mut self, name: &str, document: &str) -> &mut Self {
        let org = self.org();
        self.done(Command::CreatePolicy {
            org,
            name: name.into(),
            path: "".into(),
            description: "".into(),
            tags: Default::default(),
            document: document.into(),
        });
        self
    }

    pub fn key(&mut self, key: CreateAccessKey) -> KeyRecord {
        let org = self.org();
        match self.done(Command::CreateKey { org, key: Box::new(key) }) {
            Outcome::KeyCreated(made) => self.state.key(made.access_key_id.as_str()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub fn key_of(&mut self, user: &str) -> KeyRecord {
        self.key(CreateAccessKey { owner: OwnerName::User(user.into()), ..Default::default() })
    }

    /// The record as it is now.
    pub fn again(&self, key: &KeyRecord) -> KeyRecord {
        self.state.key(key.id.as_str()).unwrap()
    }

    /// The operator's command, which must be accepted.
    #[track_caller]
    pub fn done(&mut self, command: Command) -> Outcome {
        self.done_by(&operator(), command)
    }

    #[track_caller]
    pub fn done_by(&mut self, caller: &Caller, command: Command) -> Outcome {
        let decided = self.decide(caller, &command).unwrap_or_else(|refusal| panic!("{command:?}: {refusal}"));
        self.apply(caller, &decided);
        decided.outcome
    }

    pub fn decide(&mut self, caller: &Caller, command: &Command) -> Result<Decided, Refusal> {
        self.now = self.now.max(self.state.recorded_at().plus_ns(1));
        let stamp = Stamp { at: self.now, regressed: false, leap: None };
        let (fresh, _) = draw(&mut self.dice, &self.sealer, &self.state, caller, command, &stamp);
        decide(&self.state, caller, command, &fresh)
    }

    fn apply(&mut self, caller: &Caller, decided: &Decided) {
        if decided.events.is_empty() {
            return;
        }
        let envelope = Envelope {
            org: decided.org,
            actor: actor_of(&self.state, caller),
            dialect: caller.dialect,
            request_id: None,
            source_ip: None,
            user_agent: None,
            reason: None,
            causation: None,
            token: None,
        };
        let commit = Commit { envelope, events: decided.events.clone() };
        let seq = self.state.seq().next();
        self.state.apply(seq, self.now, &commit);
        let (recorded_at, clock_regressed, frame_hash) = (self.now, false, [0; 32]);
        self.history.push(Recorded { seq, recorded_at, clock_regressed, frame_hash, commit });
    }

    /// The operator asks.
    pub fn when(&mut self, command: Command) -> When<'_> {
        self.when_by(&operator(), command)
    }

    pub fn when_by(&mut self, caller: &Caller, command: Command) -> When<'_> {
        let result = self.decide(caller, &command);
        When { given: self, caller: caller.clone(), what: format!("{command:?}"), result }
    }
}

/// A caller by one of the org's keys, over the native API.
pub fn by(key: &KeyRecord) -> Caller {
    Caller::key(key.id.clone(), Dialect::Native)
}

pub struct When<'a> {
    given: &'a mut Given,
    caller: Caller,
    what: String,
    pub result: Result<Decided, Refusal>,
}

impl When<'_> {
    /// It is accepted with events of these kinds, and applied.
    #[track_caller]
    pub fn then(self, kinds: &[EventKind]) -> Vec<Event> {
        let decided = self.result.unwrap_or_else(|refusal| panic!("{}: {refusal}", self.what));
        let found: Vec<_> = decided.events.iter().map(Event::kind).collect();
        assert_eq!(found, kinds, "{}", self.what);
        self.given.apply(&self.caller, &decided);
        decided.events
    }

    #[track_caller]
    pub fn refused(self, refusal: &Refusal) {
        match self.result {
            Err(found) => assert_eq!(&found, refusal, "{}", self.what),
            Ok(decided) => panic!("{} was accepted: {:?}", self.what, decided.events),
        }
    }

    #[track_caller]
    pub fn refusal(self) -> Refusal {
        match self.result {
            Err(found) => found,
            Ok(decided) => panic!("{} was accepted: {:?}", self.what, decided.events),
        }
    }

    #[track_caller]
    pub fn forbidden(self) {
        let what = self.what.clone();
        let refusal = self.refusal();
        assert!(matches!(refusal, Refusal::Forbidden { .. }), "{what}: {refusal}");
    }

    #[track_caller]
    pub fn not_found(self, noun: Noun) {
        let what = self.what.clone();
        match self.refusal() {
            Refusal::NotFound { noun: found, .. } if found == noun => {}
            other => panic!("{what}: {other}"),
        }
    }
}
