//! A1: a whole request, from its parts to the answer: whose signature, which rights. And `revoke`, how soon a revoke in another
//! process is refused here; `rights`, who could do something among all keys.
//!
//! The floor finds a record in a concurrent map, checks a signature with a cached key over a canonical request that it is given,
//! and decides by compiled statements. keyledger is given the request's parts and does all that a storage node needs.
//!
//! Not here: each part alone (`lookup`, `signature`, `policy`).

use crate::Result;
use crate::floor::policy as floor;
use crate::plan::Plan;
use crate::replay::same;
use crate::rng::Rng;
use crate::signature::{self, Signed};
use crate::table::{Bound, Lane, Race, Report, Sample};
use keyledger::audit::Worlds;
use keyledger::audit::access::Question;
use keyledger::audit::access::who::who_could;
use keyledger::gate::{Gate, GateOptions, RequestView};
use keyledger::ledger::{Command, CreateAccessKey, InitOptions, Ledger, LedgerOptions, Outcome};
use keyledger::log::WitnessMode;
use keyledger::model::{AccessKeyId, AccountId, BucketName, Caller, Grant, GrantRole, OrgOwner, OrgUid, Time};
use keyledger::state::Follower;
use keyledger::sys::{Io, RealIo, SystemClock};
use keyledger::vault::SecretSource;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Requests that are signed ahead and taken in turns.
const REQUESTS: usize = 32_768;
const POLICIES: usize = 1_000;
const BUCKETS: usize = 4;
/// Revokes that are timed.
const REVOKES: usize = 300;
const FLOOR: &str = "floor: papaya, cached key, compiled policy";
const OURS: &str = "keyledger Gate::check";
/// The stack that a node would be built from otherwise.
pub const PEER: &str = "SQLite + aws-sigv4 + iam-rs";

/// A key, its secret, and the place of its policy.
#[derive(Debug, Clone)]
pub struct Key {
    pub id: String,
    pub secret: String,
    pub policy: usize,
}

/// A request and what must be said to it.
#[derive(Debug)]
pub struct Asked {
    pub signed: Signed,
    /// Of the key that signed.
    pub key: usize,
    pub resource: String,
    pub address: Ipv4Addr,
    pub allowed: bool,
}

/// What the lanes share.
#[derive(Debug)]
pub struct Bench {
    pub keys: Vec<Key>,
    pub requests: Vec<Asked>,
    pub now: Time,
}

/// Runs the stages.
pub fn run(plan: &Plan, report: &mut Report) -> Result<()> {
    if plan.wants(&["revoke"]) {
        revoke(plan, report)?;
    }
    if !plan.wants(&["A1", "rights"]) {
        return Ok(());
    }
    let folder = plan.folder.join("gate");
    let keys = if plan.name == "full" { 1_000_000 } else { 100_000 };
    let (ledger, keys) = ledger_of(&folder, keys)?;
    if plan.wants(&["rights"]) {
        rights(report, &ledger)?;
    }
    if plan.wants(&["A1"]) {
        whole_request(plan, report, &ledger, keys)?;
    }
    ledger.close()?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn caller() -> Caller {
    Caller::operator("root@bench")
}

/// A document of five statements about bucket `policy % BUCKETS`, and the same compiled.
pub fn document(policy: usize) -> String {
    let bucket = policy % BUCKETS;
    let allow = |action: &str, path: &str| {
        json!({
            "Effect": "Allow", "Action": [action], "Resource": format!("arn:aws:s3:::bucket-{bucket}/{path}"),
            "Condition": {"IpAddress": {"aws:SourceIp": format!("10.{bucket}.0.0/16")},
                          "DateLessThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}},
        })
    };
    let deny = json!({"Effect": "Deny", "Action": ["s3:Delete*", "s3:PutObjectAcl"],
                      "Resource": format!("arn:aws:s3:::bucket-{bucket}/*")});
    let statements = [
        allow("s3:List*", "*"),
        allow("s3:PutObject", "in/*"),
        allow("s3:RestoreObject", "old/*"),
        deny,
        allow("s3:Get*", "data/*"),
    ];
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

const GET: u32 = 0;

fn compiled(policy: usize) -> Vec<floor::Statement> {
    let bucket = policy % BUCKETS;
    let one = |allow, bit: u32, path: &str| floor::Statement {
        allow,
        actions: 1 << bit,
        resource: floor::Resource::Prefix(format!("arn:aws:s3:::bucket-{bucket}/{path}").into_bytes().into()),
        net: u32::from(Ipv4Addr::new(10, bucket as u8, 0, 0)),
        mask: 0xffff_0000,
        before: 4_070_908_800,
    };
    vec![one(true, 1, ""), one(true, 2, "in/"), one(true, 3, "old/"), one(false, 4, ""), one(true, GET, "data/")]
}

fn ledger_of(folder: &Path, keys: usize) -> Result<(Ledger, Vec<Key>)> {
    let options = LedgerOptions { witness: WitnessMode::Lazy, ..LedgerOptions::default() };
    let ledger = Ledger::init(folder, &InitOptions { ledger: options, ..InitOptions::default() })?;
    let org = org(&ledger)?;
    for bucket in 0..BUCKETS {
        let bucket = BucketName::parse(&format!("bucket-{bucket}"))?;
        ledger.execute_blocking(&caller(), Command::RegisterBucket { org, bucket }, None)?;
    }
    for policy in 0..POLICIES {
        let create = Command::CreatePolicy {
            org,
            name: format!("p{policy}").as_str().into(),
            path: "/".into(),
            description: "".into(),
            tags: Default::default(),
            document: document(policy).into(),
        };
        ledger.execute_blocking(&caller(), create, None)?;
    }
    let mut made = Vec::with_capacity(keys);
    for first in (0..keys).step_by(4_096) {
        let tickets: Vec<_> = (first..keys.min(first + 4_096))
            .map(|key| {
                let policies = vec![format!("p{}", key % POLICIES).as_str().into()];
                let create = CreateAccessKey { policies, ..CreateAccessKey::default() };
                ledger.submit(caller(), Command::CreateKey { org, key: create.into() }, None)
            })
            .collect();
        for (key, ticket) in (first..).zip(tickets) {
            let Outcome::KeyCreated(created) = ticket.wait()?.outcome else { return Err("no key was made".into()) };
            let secret = created.secret.as_ref().ok_or("a new key shows its secret")?;
            let secret = secret.expose_secret().to_owned();
            made.push(Key { id: created.access_key_id.to_string(), secret, policy: key % POLICIES });
        }
    }
    Ok((ledger, made))
}

fn org(ledger: &Ledger) -> Result<OrgUid> {
    let account = Some(AccountId(123_456_789_012));
    let create =
        Command::CreateOrg { name: "bench".into(), account, owner: OrgOwner::Operator, settings: Box::default() };
    match ledger.execute_blocking(&caller(), create, None)?.outcome {
        Outcome::OrgCreated { org, .. } => Ok(org),
        other => Err(format!("no org was made: {other:?}").into()),
    }
}

/// Requests of which 60% are allowed; the others miss by their path or address.
fn requests(plan: &Plan, keys: &[Key], now: Time) -> Result<Vec<Asked>> {
    let mut rng = Rng::seeded(plan.seed);
    (0..REQUESTS)
        .map(|number| {
            let at = rng.index(keys.len());
            let key = &keys[at];
            let bucket = key.policy % BUCKETS;
            let allowed = number % 5 < 3;
            let folder = if allowed || number % 5 == 3 { "data" } else { "else" };
            let net = if number % 5 == 3 { 192 } else { 10 };
            let target = format!("/bucket-{bucket}/{folder}/{:08x}/object-{}", rng.bits() as u32, rng.below(1_000));
            let resource = format!("arn:aws:s3:::{}", &target[1..]);
            let address = Ipv4Addr::new(net, bucket as u8, rng.below(256) as u8, rng.below(256) as u8);
            let signed = Signed::make("HEAD", target, &key.id, &key.secret, now)?;
            Ok(Asked { signed, key: at, resource, address, allowed })
        })
        .collect()
}

fn whole_request(plan: &Plan, report: &mut Report, ledger: &Ledger, keys: Vec<Key>) -> Result<()> {
    let now = Time(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?);
    let bench = Bench { requests: requests(plan, &keys, now)?, keys, now };
    let checks = plan.lookups / 5;
    report.say(&format!(
        "\nA1: {} keys, {POLICIES} policies of 5 statements, {REQUESTS} requests in turns, 60% allowed",
        bench.keys.len()
    ));
    let signing_keys_max = 2 * bench.keys.len();
    let gate =
        Gate::new(ledger.handle(), ledger.secrets()?, GateOptions { signing_keys_max, ..GateOptions::default() })?;
    let ours = |asked: &Asked| {
        let mut headers: [(&str, &[u8]); 8] = [("", b""); 8];
        for (place, (name, value)) in headers.iter_mut().zip(&asked.signed.headers) {
            *place = (name, value.as_bytes());
        }
        let view = RequestView {
            method: "HEAD",
            target: asked.signed.target.as_bytes(),
            headers: &headers[..asked.signed.headers.len()],
            peer: IpAddr::V4(asked.address),
            tls: Some("1.3"),
        };
        gate.check(&view, now, None).is_ok() == asked.allowed
    };
    let map: papaya::HashMap<&str, ([u8; 32], usize), foldhash::fast::RandomState> = papaya::HashMap::default();
    let date = &keyledger::sigv4::amz_date(now)[..8];
    for key in &bench.keys {
        map.pin().insert(&key.id, (signature::derive_from(&key.secret, date), key.policy));
    }
    let policies: Vec<_> = (0..POLICIES).map(compiled).collect();
    let least = |asked: &Asked| {
        let pin = map.pin();
        let Some((key, policy)) = pin.get(bench.keys[asked.key].id.as_str()) else { return false };
        let request = floor::Request {
            action: GET,
            resource: asked.resource.as_bytes().into(),
            address: u32::from(asked.address),
            now: now.0 / 1_000_000_000,
        };
        signature::floor(&asked.signed, key) && floor::decide(&policies[*policy], &request) == asked.allowed
    };
    // Every signing key is derived once before anything is timed.
    same("right answers", bench.requests.iter().filter(|asked| ours(asked)).count(), REQUESTS)?;
    let mut lanes = vec![
        Lane::new(FLOOR, || timed(checks, &bench.requests, 1, &least)),
        Lane::new(OURS, || timed(checks, &bench.requests, 1, &ours)),
        Lane::new(two(OURS), || timed(checks, &bench.requests, 2, &ours)),
    ];
    #[cfg(feature = "peers")]
    lanes.push(crate::peers::stack::lane(&bench, checks / 20, &plan.folder)?);
    let race = Race::run(plan, "ns", std::mem::take(&mut lanes))?;
    report.lanes("A1 a whole request", &race);
    // By rates, so that a bound of 0.5 means half as fast.
    let rate = |name: &str| race.median(name).map(|ns| 1e9 / ns);
    report.number("A1", "whole request, one thread", "/s", rate(OURS), FLOOR, rate(FLOOR), Bound::AtLeast(0.5));
    report.number("A1", "whole request, one thread", "/s", rate(OURS), PEER, rate(PEER), Bound::AtLeast(10.0));
    let doubled = rate(&two(OURS)).map(|each| 2.0 * each);
    report.number("A1", "whole request, two threads", "/s", doubled, OURS, rate(OURS), Bound::AtLeast(1.8));
    Ok(())
}

fn two(name: &str) -> String {
    format!("{name}, 2 threads")
}

/// Mean ns of a check on each of `threads`; each must be answered rightly.
pub fn timed(
    checks: usize,
    requests: &[Asked],
    threads: usize,
    check: &(impl Fn(&Asked) -> bool + Sync),
) -> Result<Sample> {
    let began = Instant::now();
    let run = |offset: usize| requests.iter().cycle().skip(offset).take(checks).filter(|asked| check(asked)).count();
    let right: usize = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|n| scope.spawn(move || run(n * requests.len() / threads))).collect();
        run(0) + others.into_iter().map(|other| other.join().unwrap_or(0)).sum::<usize>()
    });
    let mean = began.elapsed().as_nanos() as f64 / checks as f64;
    same("right answers", right, checks * threads)?;
    Ok(Sample::of(mean))
}

fn rights(report: &mut Report, ledger: &Ledger) -> Result<()> {
    let state = ledger.state();
    let (worlds, now) = (Worlds::of(&state), ledger.now());
    let question = Question::new("s3:GetObject", "arn:aws:s3:::bucket-3/data/x");
    let mut took = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        let found = who_could(&worlds, &question, now, None);
        took.push(began.elapsed().as_secs_f64());
        same("keys that could", found.able.len(), found.asked / BUCKETS)?;
    }
    let what = format!("who-could over {} keys and {POLICIES} policies", state.key_count());
    let seconds = crate::table::median(took.into_iter());
    report.number("rights", &what, "s", Some(seconds), "1 s", Some(1.0), Bound::AtMost(1.0));
    Ok(())
}

/// The other process: makes keys, then revokes each that it is told.
pub fn revoker(folder: &Path) -> Result<()> {
    let ledger = Ledger::open(folder, LedgerOptions::default())?;
    let state = ledger.state();
    let org = state.org_by_account(AccountId(123_456_789_012)).ok_or("the org is there")?.org;
    let mut out = std::io::stdout();
    for _ in 0..REVOKES {
        let grants = vec![Grant { bucket: None, role: GrantRole::Admin }];
        let key = CreateAccessKey { grants, ..CreateAccessKey::default() };
        let done = ledger.execute_blocking(&caller(), Command::CreateKey { org, key: key.into() }, None)?;
        let Outcome::KeyCreated(made) = done.outcome else { return Err("no key was made".into()) };
        let secret = made.secret.as_ref().ok_or("a new key shows its secret")?;
        writeln!(out, "{} {}", made.access_key_id, secret.expose_secret())?;
    }
    writeln!(out, "made")?;
    for id in std::io::stdin().lock().lines() {
        ledger.execute_blocking(&caller(), Command::RevokeKey { key: AccessKeyId::parse(&id?)? }, None)?;
        writeln!(out, "revoked")?;
    }
    Ok(ledger.close()?)
}

/// From the revoke's return in another process to the first refusal here.
fn revoke(plan: &Plan, report: &mut Report) -> Result<()> {
    let folder = plan.folder.join("revoke");
    let ledger = Ledger::init(&folder, &InitOptions::default())?;
    org(&ledger)?;
    ledger.close()?;
    let io: Arc<dyn Io> = Arc::new(RealIo);
    let follower = Follower::open(&io, Arc::new(SystemClock), &folder)?;
    let vault_key = keyledger::vault::VaultKeySource::File(folder.join("vault.key"));
    let vault_key = Arc::new(keyledger::vault::VaultKey::read(&RealIo, &vault_key)?);
    let ledger_id = follower.reader().meta().ledger_id;
    let reader = keyledger::vault::KeystoreReader::open(io, &folder.join("keys"), ledger_id, vault_key)?;
    let gate = Gate::new(follower.handle(), Arc::new(SecretSource::new(reader)), GateOptions::default())?;
    let mut writer = std::process::Command::new(std::env::current_exe()?)
        .arg("revoker")
        .arg(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut told = BufReader::new(writer.stdout.take().ok_or("piped")?).lines();
    let mut ask = writer.stdin.take().ok_or("piped")?;
    let mut keys = Vec::new();
    for line in told.by_ref() {
        let line = line?;
        if line == "made" {
            break;
        }
        let (id, secret) = line.split_once(' ').ok_or("an id and a secret")?;
        keys.push((id.to_owned(), secret.to_owned()));
    }
    let now = Time(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?);
    let mut micros = Vec::with_capacity(keys.len());
    for (id, secret) in &keys {
        let signed = Signed::make("GET", "/".to_owned(), id, secret, now)?;
        let headers: Vec<(&str, &[u8])> =
            signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let view =
            RequestView { method: "GET", target: b"/", headers: &headers, peer: [127, 0, 0, 1].into(), tls: None };
        let allowed = || gate.check(&view, now, None).is_ok();
        while !allowed() {
            std::thread::yield_now();
        }
        writeln!(ask, "{id}")?;
        told.next().ok_or("the revoke is told")??;
        let began = Instant::now();
        while allowed() {
            std::thread::yield_now();
        }
        micros.push(began.elapsed().as_nanos() as f64 / 1e3);
    }
    drop(ask);
    writer.wait()?;
    micros.sort_by(f64::total_cmp);
    let at = |share: usize| micros[(micros.len() - 1) * share / 100];
    report.say(&format!(
        "\nrevoke in another process to the first refusal here: p50 {:.1} µs, p99 {:.1} µs",
        at(50),
        at(99)
    ));
    report.number(
        "revoke",
        "revoke elsewhere to first refusal, p99",
        "µs",
        Some(at(99)),
        "10 ms",
        Some(10_000.0),
        Bound::AtMost(1.0),
    );
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
