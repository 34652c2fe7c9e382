//! Requests with any method, target and headers, unsigned and signed: a key that may only read `photos/public/` reads nothing
//! else, and nobody else anything.
//!
//! Input: lines; the first is the method, the second the target, each other `name:value`.
#![no_main]

use keyledger::gate::{Gate, GateOptions, Operation, Pending, RequestView};
use keyledger::ledger::{
    Command, CreateAccessKey, ImportAccessKey, InitOptions, Ledger, LedgerOptions, Outcome, SeededDice, Target,
};
use keyledger::model::{AccessKeyId, BucketName, Caller, OrgOwner, Time};
use keyledger::sigv4::{Request, Rules, Signer, amz_date, sign_headers};
use keyledger::sys::{ScriptedClock, SimDisk};
use keyledger::vault::{KeystoreReader, SecretKey, VaultKey, VaultKeySource};
use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};

const NOW: Time = Time(1_796_000_000_000_000_000);
const SECRET: &str = "rz9nBempcvb0UA09ty3ZSlAHkjDNgnGe5hh7hYuE";
const LIVE: &str = "NQAKP9KGWNTD0GP5RENV";
const DEAD: &str = "NQAKP9KGWNTD0GP5DEAD";
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/public/*"}}"#;

/// The gate, and the ledger that keeps its files alive.
static GATE: LazyLock<(Gate, Ledger)> = LazyLock::new(|| {
    let (disk, folder) = (SimDisk::new(), Path::new("/ledger"));
    let options = LedgerOptions { segment_bytes: 1 << 20, background: false, ..LedgerOptions::default() };
    let options = InitOptions { ledger: options, ..InitOptions::default() };
    let clock = Arc::new(ScriptedClock::at(NOW.0));
    let dice = Box::new(SeededDice::new(1));
    let ledger = Ledger::init_with(disk.io(), folder, clock, dice, &options).expect("a ledger in memory");
    let done = |command| ledger.execute_blocking(&Caller::operator("fuzz"), command, None).expect("accepted").outcome;
    let create =
        Command::CreateOrg { name: "acme".into(), account: None, owner: OrgOwner::Operator, settings: Box::default() };
    let Outcome::OrgCreated { org, .. } = done(create) else { unreachable!("an org was created") };
    for bucket in ["photos", "backups"] {
        done(Command::RegisterBucket { org, bucket: BucketName::parse(bucket).expect("a name") });
    }
    for id in [LIVE, DEAD] {
        let access_key_id = AccessKeyId::parse(id).expect("an id");
        let secret = Arc::new(SecretKey::import(SECRET).expect("a secret"));
        let key = CreateAccessKey::default();
        let imported = ImportAccessKey { access_key_id: access_key_id.clone(), secret, key };
        done(Command::ImportKey { org, key: Box::new(imported) });
        let holder = Target::Key(access_key_id);
        done(Command::PutInlinePolicy { org, holder, name: "own".into(), document: POLICY.into() });
    }
    done(Command::RevokeKey { key: AccessKeyId::parse(DEAD).expect("an id") });
    let source = VaultKeySource::File(folder.join("vault.key"));
    let vault_key = Arc::new(VaultKey::read(&*disk.io(), &source).expect("a vault key"));
    let id = ledger.meta().ledger_id;
    let secrets = KeystoreReader::open(disk.io(), &folder.join("keys"), id, vault_key).expect("a keystore");
    let options = GateOptions { base_domains: vec!["h".into()], ..GateOptions::default() };
    (Gate::new(ledger.handle(), Arc::new(secrets.into()), options).expect("a gate"), ledger)
});

fuzz_target!(|input: &[u8]| {
    let (gate, _) = &*GATE;
    let mut lines = input.split(|byte| *byte == b'\n');
    let Some(Ok(method)) = lines.next().map(std::str::from_utf8) else { return };
    let target = lines.next().unwrap_or_default();
    let headers: Vec<(&str, &[u8])> = lines
        .filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b':')?;
            Some((std::str::from_utf8(&line[..at]).ok()?, &line[at + 1..]))
        })
        .collect();
    let peer = IpAddr::from([192, 0, 2, 1]);
    let check =
        |headers: &[(&str, &[u8])]| gate.check(&RequestView { method, target, headers, peer, tls: None }, NOW, None);
    assert!(check(&headers).is_err(), "nobody signed this");
    // The same headers but those that authentication reads, signed.
    let date = amz_date(NOW);
    let read = ["authorization", "x-amz-date", "x-amz-content-sha256"];
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    for id in [LIVE, DEAD] {
        let mut own: Vec<(&str, &[u8])> = headers
            .iter()
            .filter(|(name, _)| !name.is_empty() && name.bytes().all(is_token))
            .filter(|(name, _)| !read.iter().any(|read| name.eq_ignore_ascii_case(read)))
            .copied()
            .collect();
        if !own.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            own.push(("host", b"photos.h"));
        }
        own.extend([("x-amz-date", date.as_bytes()), ("x-amz-content-sha256", b"UNSIGNED-PAYLOAD")]);
        let regions = ["us-east-1"];
        let signer = Signer { access_key_id: id, secret: SECRET.as_bytes(), rules: Rules::s3(&regions) };
        let request = Request { method, target, headers: &own };
        let Ok(authorization) = sign_headers(&request, &signer, "UNSIGNED-PAYLOAD", NOW) else { continue };
        own.push(("Authorization", authorization.as_bytes()));
        let Ok(admitted) = check(&own) else { continue };
        assert_eq!(id, LIVE, "a revoked key was let through");
        if admitted.pending() == Pending::EachKey {
            assert!(gate.may_delete(&admitted, "public/a", None, NOW).is_err());
            continue;
        }
        assert_eq!(admitted.pending(), Pending::Nothing);
        let reads = [Operation::GetObject, Operation::HeadObject, Operation::SelectObjectContent];
        assert!(reads.contains(&admitted.operation()), "{:?}", admitted.operation());
        let key = admitted.object_key().expect("an object");
        assert_eq!(admitted.bucket(), Some("photos"));
        assert!(key.starts_with("public/") && !key.split('/').any(|part| part == ".."), "{key:?}");
    }
});
