//! A ledger in a folder, a gate over it, and clients that sign: shared by the tests of the gate.
//!
//! Real parts: a real ledger on real files, real signatures; only the clock is scripted.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test stops where it is wrong")]

use keyledger::gate::{Admitted, Denied, Gate, GateOptions, RequestView};
use keyledger::ledger::{
    Command, CreateAccessKey, ImportAccessKey, InitOptions, Ledger, LedgerOptions, Outcome, OwnerName, SeededDice,
    Target,
};
use keyledger::model::{AccessKeyId, AccountId, BucketName, Caller, OrgOwner, OrgUid, Time};
use keyledger::sigv4::{Request, Rules, Signer, amz_date, sign_headers};
use keyledger::sys::{RealIo, ScriptedClock};
use keyledger::vault::{KeystoreReader, SecretKey, SecretSource, VaultKey, VaultKeySource};
use std::net::IpAddr;
use std::sync::Arc;
use tempfile::TempDir;

pub const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
pub const REGION: &str = "eu-central-1";
pub const HOST: &str = "storage.example.com:9000";
pub const SECOND: i64 = 1_000_000_000;
pub const ALL: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;

/// 2026-11-25T20:00:00Z, when every world begins.
pub fn noon() -> Time {
    Time::parse("2026-11-25T20:00:00Z").unwrap()
}

/// An id and its secret, as a client has them.
#[derive(Debug, Clone)]
pub struct Key {
    pub id: AccessKeyId,
    pub secret: String,
}

impl Key {
    pub fn new(id: &str, secret: &str) -> Self {
        Self { id: AccessKeyId::parse(id).unwrap(), secret: secret.into() }
    }
}

/// A ledger with the org `123456789012`, its buckets `photos` and `backups`, and another org's bucket `theirs`.
pub struct World {
    pub dir: TempDir,
    pub clock: Arc<ScriptedClock>,
    pub ledger: Ledger,
    pub org: OrgUid,
    pub other: OrgUid,
    pub gate: Gate,
    pub peer: IpAddr,
    pub tls: Option<&'static str>,
}

pub fn options() -> GateOptions {
    GateOptions {
        regions: vec![REGION.to_owned()],
        base_domains: vec!["storage.example.com".to_owned()],
        ..GateOptions::default()
    }
}

fn secrets(dir: &TempDir, ledger: &Ledger) -> Arc<SecretSource> {
    let source = VaultKeySource::File(dir.path().join("vault.key"));
    let vault_key = Arc::new(VaultKey::read(&RealIo, &source).unwrap());
    let (folder, id) = (dir.path().join("keys"), ledger.meta().ledger_id);
    Arc::new(KeystoreReader::open(Arc::new(RealIo), &folder, id, vault_key).unwrap().into())
}

impl World {
    pub fn new() -> Self {
        Self::with(options())
    }

    /// Without an org: nobody has a key.
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ScriptedClock::at(noon().0));
        let ledger = LedgerOptions { segment_bytes: 1 << 20, ..LedgerOptions::default() };
        let init = InitOptions { ledger, ..InitOptions::default() };
        let dice = Box::new(SeededDice::new(7));
        let ledger = Ledger::init_with(Arc::new(RealIo), dir.path(), clock.clone(), dice, &init).unwrap();
        let gate = Gate::new(ledger.handle(), secrets(&dir, &ledger), options()).unwrap();
        let (org, peer) = (OrgUid([0; 16]), IpAddr::from([192, 0, 2, 10]));
        Self { dir, clock, ledger, org, other: org, gate, peer, tls: None }
    }

    pub fn with(options: GateOptions) -> Self {
        let mut world = Self::empty();
        world.gate = world.another_gate(options);
        let mut org = |name: &str, account| {
            let create = Command::CreateOrg {
                name: name.into(),
                account: Some(AccountId(account)),
                owner: OrgOwner::Operator,
                settings: Box::default(),
            };
            match world.done(create) {
                Outcome::OrgCreated { org, .. } => org,
                other => panic!("{other:?}"),
            }
        };
        (world.org, world.other) = (org("acme", 123_456_789_012), org("others", 210_987_654_321));
        for (org, bucket) in [(world.org, "photos"), (world.org, "backups"), (world.other, "theirs")] {
            world.done(Command::RegisterBucket { org, bucket: BucketName::parse(bucket).unwrap() });
        }
        world
    }

    pub fn another_gate(&self, options: GateOptions) -> Gate {
        Gate::new(self.ledger.handle(), secrets(&self.dir, &self.ledger), options).unwrap()
    }

    pub fn done(&mut self, command: Command) -> Outcome {
        self.ledger.execute_blocking(&Caller::operator("ops@host"), command, None).expect("accepted").outcome
    }

    /// Now, for the ledger and for whoever asks the gate.
    pub fn now(&self) -> Time {
        Time(keyledger::sys::Clock::now(&*self.clock).wall_ns)
    }

    pub fn after(&mut self, ns: i64) -> &mut Self {
        self.clock.advance(ns);
        self
    }

    /// A key of the org with this inline policy and nothing else.
    pub fn key(&mut self, policy: &str) -> Key {
        let key = self.made(Command::CreateKey { org: self.org, key: Box::default() });
        self.put_policy(&key, policy);
        key
    }

    pub fn put_policy(&mut self, key: &Key, policy: &str) {
        let holder = Target::Key(key.id.clone());
        self.done(Command::PutInlinePolicy { org: self.org, holder, name: "own".into(), document: policy.into() });
    }

    pub fn made(&mut self, command: Command) -> Key {
        match self.done(command) {
            Outcome::KeyCreated(made) => {
                Key { id: made.access_key_id, secret: made.secret.expect("shown once").expose_secret().to_owned() }
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn user(&mut self, name: &str) -> Key {
        let org = self.org;
        self.done(Command::CreateUser {
            org,
            name: name.into(),
            path: "".into(),
            external_id: None,
            tags: Default::default(),
            boundary: None,
        });
        let owner = OwnerName::User(name.into());
        self.made(Command::CreateKey { org, key: Box::new(CreateAccessKey { owner, ..Default::default() }) })
    }

    /// A key of the org made elsewhere, with this inline policy.
    pub fn import(&mut self, id: &str, secret: &str, policy: &str) -> Key {
        let key = Key::new(id, secret);
        let imported = ImportAccessKey {
            access_key_id: key.id.clone(),
            secret: Arc::new(SecretKey::import(secret).unwrap()),
            key: CreateAccessKey::default(),
        };
        self.done(Command::ImportKey { org: self.org, key: Box::new(imported) });
        self.put_policy(&key, policy);
        key
    }

    /// What the gate says to a call that is signed now.
    pub fn check(&self, key: &Key, call: &Call) -> Result<Admitted, Denied> {
        self.send(&call.clone().signed(key, self.now()))
    }

    /// What the gate says to a call as it is.
    pub fn send(&self, call: &Call) -> Result<Admitted, Denied> {
        self.send_to(&self.gate, call)
    }

    pub fn send_to(&self, gate: &Gate, call: &Call) -> Result<Admitted, Denied> {
        self.view(call, |view| gate.check(view, self.now(), None))
    }

    pub fn view<T>(&self, call: &Call, f: impl FnOnce(&RequestView<'_>) -> T) -> T {
        let headers: Vec<(&str, &[u8])> =
            call.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        f(&RequestView {
            method: &call.method,
            target: call.target.as_bytes(),
            headers: &headers,
            peer: self.peer,
            tls: self.tls,
        })
    }

    /// S3's code, or `ok`.
    pub fn code(&self, key: &Key, call: &Call) -> &'static str {
        code(&self.check(key, call))
    }
}

pub fn code(result: &Result<Admitted, Denied>) -> &'static str {
    result.as_ref().map_or_else(Denied::code, |_| "ok")
}

/// A request that owns its parts.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Call {
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.into(), target: target.into(), headers: vec![("Host".into(), HOST.into())] }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub fn put(target: &str) -> Self {
        Self::new("PUT", target)
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.headers[0].1 = host.into();
        self
    }

    /// With the headers of a signature over all others.
    #[must_use]
    pub fn signed(self, key: &Key, at: Time) -> Self {
        self.try_signed(key, at).expect("it can be signed")
    }

    /// None when it is nothing that can be signed.
    pub fn try_signed(self, key: &Key, at: Time) -> Option<Self> {
        let rules = Rules::s3(&[REGION]);
        let has_hash = self.headers.iter().any(|(name, _)| name == "x-amz-content-sha256");
        let call = if has_hash { self } else { self.header("x-amz-content-sha256", EMPTY) };
        let mut call = call.header("x-amz-date", &amz_date(at));
        let hash = call.headers.iter().find(|(name, _)| name == "x-amz-content-sha256").unwrap().1.clone();
        let signer = Signer { access_key_id: key.id.as_str(), secret: key.secret.as_bytes(), rules };
        let headers: Vec<(&str, &[u8])> =
            call.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let request = Request { method: &call.method, target: call.target.as_bytes(), headers: &headers };
        let value = sign_headers(&request, &signer, std::str::from_utf8(&hash).ok()?, at).ok()?;
        call.headers.push(("Authorization".into(), value.into_bytes()));
        Some(call)
    }
}

/// A policy that allows these actions on everything.
pub fn allow(actions: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":[{actions}],"Resource":"*"}}}}"#)
}
