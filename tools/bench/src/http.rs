//! H1 to H4: the server over HTTP. Creates and reads of access keys beside a handler that only checks the same signature, what an
//! idle server holds in memory beside the library alone, and how soon it is ready.
//!
//! The floor is an axum handler that verifies the same SigV4 signature with a cached signing key and answers fixed XML. Both are asked by
//! the same 64 connections, in the same process.
//!
//! Not here: pages of the console (`console`), the gate's own path (`gate`).

use crate::Result;
use crate::plan::Plan;
use crate::table::{Bound, Lane, Race, Report, Sample};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use keyledger::api::{Api, ApiOptions, Server, ServerOptions};
use keyledger::ledger::command::OwnerName;
use keyledger::ledger::{Command, CreateAccessKey, InitOptions, Ledger, LedgerOptions, Outcome};
use keyledger::log::WitnessMode;
use keyledger::model::{AccountId, Caller, Grant, GrantRole, OrgOwner, OrgSettings, OrgUid, Time};
use keyledger::sigv4::{Candidate, Request, Rules, Scratch, Signer, SigningKey, amz_date, parse, sign_headers};
use keyledger::sys::{RealIo, SystemClock};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const CONNECTIONS: usize = 64;
/// Who has the keys; an org has 5,000 users at most.
const USERS: usize = 4_000;
/// Users who get new keys while creates are timed.
const MAKERS: usize = 256;
const REGIONS: &[&str] = &["us-east-1"];
const FLOOR: &str = "floor: axum, the signature, fixed XML";
const CREATE: &str = "keyledger, CreateAccessKey";
const LIST: &str = "keyledger, ListAccessKeys";
const USED: &str = "keyledger, GetAccessKeyLastUsed";
const MOTO: &str = "moto, CreateAccessKey";
/// A reply like that to CreateAccessKey.
const FIXED: &str = "<CreateAccessKeyResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><CreateAccessKeyResult><AccessKey>\
<UserName>maker-0</UserName><AccessKeyId>NQAKXXXXXXXXXXXXXXXX</AccessKeyId><Status>Active</Status><SecretAccessKey>\
xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx</SecretAccessKey><CreateDate>2026-11-26T00:00:00Z</CreateDate></AccessKey>\
</CreateAccessKeyResult><ResponseMetadata><RequestId>00000000-0000-4000-a000-000000000000</RequestId></ResponseMetadata>\
</CreateAccessKeyResponse>";

/// The account's root key.
#[derive(Debug, Clone)]
pub struct Root {
    pub id: String,
    pub secret: String,
}

/// Runs the stage.
pub fn run(plan: &Plan, report: &mut Report) -> Result<()> {
    if !plan.wants(&["H1", "H2", "H3", "H4"]) {
        return Ok(());
    }
    let folder = plan.folder.join("http");
    let keys = if plan.name == "full" { 1_000_000 } else { 100_000 };
    let (root, ids) = build(&folder, keys)?;
    report.say(&format!("\nH: {keys} keys of {USERS} users, {CONNECTIONS} connections"));
    if plan.wants(&["H3", "H4"]) {
        idle(report, &folder)?;
    }
    if plan.wants(&["H1", "H2"]) {
        over_http(plan, report, &folder, &root, &ids)?;
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn caller() -> Caller {
    Caller::operator("root@bench")
}

/// A new ledger with an org and its root's key.
pub fn begin(folder: &Path) -> Result<(Ledger, OrgUid, Root)> {
    let options = LedgerOptions { witness: WitnessMode::Lazy, ..LedgerOptions::default() };
    let ledger = Ledger::init(folder, &InitOptions { ledger: options, ..InitOptions::default() })?;
    let settings = OrgSettings { iam_keys_per_user_max: Some(10_000_000), ..OrgSettings::default() };
    let create = Command::CreateOrg {
        name: "bench".into(),
        account: Some(AccountId(123_456_789_012)),
        owner: OrgOwner::Operator,
        settings: Box::new(settings),
    };
    let Outcome::OrgCreated { org, .. } = ledger.execute_blocking(&caller(), create, None)?.outcome else {
        return Err("no org was made".into());
    };
    let grants = vec![Grant { bucket: None, role: GrantRole::Admin }];
    let root = CreateAccessKey { grants, ..CreateAccessKey::default() };
    let mut done = ledger.execute_blocking(&caller(), Command::CreateKey { org, key: root.into() }, None)?;
    let secret = done.outcome.take_secret().ok_or("a new key shows its secret")?.expose_secret().to_owned();
    let Outcome::KeyCreated(made) = done.outcome else { return Err("no key was made".into()) };
    Ok((ledger, org, Root { id: made.access_key_id.to_string(), secret }))
}

/// A ledger with `keys` keys and the root's; some of their ids.
fn build(folder: &Path, keys: usize) -> Result<(Root, Vec<String>)> {
    let (ledger, org, root) = begin(folder)?;
    let names = (0..USERS).map(|user| format!("user-{user}"));
    in_groups(&ledger, names.chain((0..MAKERS).map(|maker| format!("maker-{maker}"))), |name| user(org, &name))?;
    let mut ids = Vec::new();
    let each = (0..keys).map(|key| key % USERS);
    for outcome in in_groups(&ledger, each, |user| key(org, user))? {
        let Outcome::KeyCreated(made) = outcome else { return Err("no key was made".into()) };
        if ids.len() < 4_096 {
            ids.push(made.access_key_id.to_string());
        }
    }
    ledger.close()?;
    Ok((root, ids))
}

fn user(org: OrgUid, name: &str) -> Command {
    Command::CreateUser {
        org,
        name: name.into(),
        path: "/".into(),
        external_id: None,
        tags: Default::default(),
        boundary: None,
    }
}

fn key(org: OrgUid, user: usize) -> Command {
    let owner = OwnerName::User(format!("user-{user}").as_str().into());
    Command::CreateKey { org, key: CreateAccessKey { owner, ..CreateAccessKey::default() }.into() }
}

pub fn in_groups<T>(
    ledger: &Ledger,
    what: impl Iterator<Item = T>,
    command: impl Fn(T) -> Command,
) -> Result<Vec<Outcome>> {
    let (mut outcomes, mut what) = (Vec::new(), what.peekable());
    while what.peek().is_some() {
        let tickets: Vec<_> =
            what.by_ref().take(4_096).map(|one| ledger.submit(caller(), command(one), None)).collect();
        for ticket in tickets {
            outcomes.push(ticket.wait()?.outcome);
        }
    }
    Ok(outcomes)
}

pub fn api(folder: &Path) -> Result<Arc<Api>> {
    let ledger = Arc::new(Ledger::open(folder, LedgerOptions::default())?);
    let options = ApiOptions {
        region: REGIONS[0].to_owned(),
        trusted_proxies: Vec::new(),
        public_url: None,
        provider_key: None,
        dir: folder.to_owned(),
    };
    Ok(Arc::new(Api::new(ledger, options, Arc::new(RealIo), Arc::new(SystemClock))?))
}

pub fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// The other process: a server, or the library alone, that says when it is ready and what it holds, and ends when its stdin does.
pub fn held(folder: &Path, what: &str) -> Result<()> {
    let resident = || -> Result<u64> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
    };
    let say = || -> Result<()> {
        println!("ready");
        // What opening took and gave back is settled by then.
        std::thread::sleep(Duration::from_millis(1_500));
        println!("{}", resident()?);
        std::io::stdin().read_to_end(&mut Vec::new())?;
        Ok(())
    };
    if what == "library" {
        let ledger = Ledger::open(folder, LedgerOptions::default())?;
        say()?;
        return Ok(ledger.close()?);
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let api = api(folder)?;
    let options = ServerOptions { listen: local(), metrics_listen: Some(local()), ..ServerOptions::default() };
    let server = runtime.block_on(Server::bind(api, options))?;
    let address = server.address()?;
    runtime.spawn(server.run(std::future::pending()));
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    if !reply.starts_with("HTTP/1.1 200") {
        return Err(format!("not ready: {reply}").into());
    }
    say()
}

/// Resident kB, and the time to ready.
fn hold(folder: &Path, what: &str) -> Result<(f64, f64)> {
    let began = Instant::now();
    let mut child = std::process::Command::new(std::env::current_exe()?)
        .args(["held", what])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("piped")?).lines();
    let said = lines.next().ok_or("the other process ended early")??;
    let ready = began.elapsed().as_secs_f64();
    crate::replay::same("its first word", said.as_str(), "ready")?;
    let resident = lines.next().ok_or("the other process ended early")??.parse()?;
    drop(child.stdin.take());
    child.wait()?;
    Ok((resident, ready))
}

fn idle(report: &mut Report, folder: &Path) -> Result<()> {
    let (mut library, mut server, mut ready) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        library.push(hold(folder, "library")?.0);
        let (resident, seconds) = hold(folder, "server")?;
        server.push(resident);
        ready.push(seconds);
    }
    let median = |values: Vec<f64>| Some(crate::table::median(values.into_iter()));
    let (library, server) = (median(library), median(server));
    report.number("H3", "idle server, resident", "kB", server, "the library alone", library, Bound::AtMost(1.3));
    report.number("H4", "start to ready, from a snapshot", "s", median(ready), "2 s", Some(2.0), Bound::AtMost(1.0));
    Ok(())
}

/// What the floor knows.
struct Floor {
    key: SigningKey,
    xml: &'static str,
}

/// The same signature, and nothing else.
async fn floor(
    State(floor): State<Arc<Floor>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let pairs: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let request = Request { method: method.as_str(), target: target.as_bytes(), headers: &pairs };
    let mut scratch = Scratch::new();
    let hash: [u8; 32] = Sha256::digest(&body).into();
    let now =
        Time(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |at| i64::try_from(at.as_nanos()).unwrap_or(0)));
    let verified = parse(&request, &Rules::of("iam", REGIONS), now, &mut scratch)
        .and_then(|parsed| parsed.verify(Some(&hash), &[Candidate::Key(&floor.key)]));
    match verified {
        Ok(_) => (StatusCode::OK, floor.xml),
        Err(_) => (StatusCode::FORBIDDEN, ""),
    }
}

/// Requests that are signed once and sent again and again.
fn prepared(address: SocketAddr, root: &Root, bodies: impl Iterator<Item = String>, now: Time) -> Result<Vec<Vec<u8>>> {
    let (host, date) = (address.to_string(), amz_date(now));
    bodies
        .map(|body| {
            let kind = "application/x-www-form-urlencoded; charset=utf-8";
            let headers: [(&str, &[u8]); 3] =
                [("content-type", kind.as_bytes()), ("host", host.as_bytes()), ("x-amz-date", date.as_bytes())];
            let request = Request { method: "POST", target: b"/", headers: &headers };
            let signer = Signer { access_key_id: &root.id, secret: root.secret.as_bytes(), rules: Rules::of("iam", REGIONS) };
            let hash = Sha256::digest(body.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let authorization = sign_headers(&request, &signer, &hash, now)?;
            let length = body.len();
            let text = format!(
                "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-type: {kind}\r\nx-amz-date: {date}\r\nauthorization: {authorization}\r\n\
                 content-length: {length}\r\n\r\n{body}"
            );
            Ok(text.into_bytes())
        })
        .collect()
}

/// Sends requests over `CONNECTIONS` connections for a while; requests a second, with percentiles.
fn load(address: SocketAddr, requests: &[Vec<u8>], during: Duration) -> Result<Sample> {
    let began = Instant::now();
    let until = began + during;
    let each = |connection: usize| -> std::io::Result<Vec<u32>> {
        let mut stream = BufReader::new(TcpStream::connect(address)?);
        stream.get_ref().set_nodelay(true)?;
        let (mut nanos, mut line, mut body) = (Vec::new(), String::new(), Vec::new());
        for request in requests.iter().cycle().skip(connection * requests.len() / CONNECTIONS) {
            let asked = Instant::now();
            if asked >= until {
                break;
            }
            stream.get_mut().write_all(request)?;
            let mut length = 0;
            let mut is_ok = false;
            loop {
                line.clear();
                stream.read_line(&mut line)?;
                let text = line.trim_end();
                if text.is_empty() {
                    break;
                }
                is_ok |= text.starts_with("HTTP/1.1 200");
                if let Some((name, value)) = text.split_once(':')
                    && name.eq_ignore_ascii_case("content-length")
                {
                    length = value.trim().parse().map_err(std::io::Error::other)?;
                }
            }
            body.resize(length, 0);
            stream.read_exact(&mut body)?;
            if !is_ok {
                return Err(std::io::Error::other(String::from_utf8_lossy(&body).into_owned()));
            }
            nanos.push(u32::try_from(asked.elapsed().as_nanos()).unwrap_or(u32::MAX));
        }
        Ok(nanos)
    };
    let mut nanos: Vec<u32> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|connection| scope.spawn(move || each(connection))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Ok(Vec::new())))
            .collect::<std::io::Result<Vec<_>>>()
    })?
    .concat();
    let rate = nanos.len() as f64 / began.elapsed().as_secs_f64();
    Ok(Sample::of(rate).with_nanos(&mut nanos))
}

/// moto's server, when `MOTO_SERVER` names its program.
struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    fn start() -> Result<Option<Self>> {
        let Some(program) = std::env::var_os("MOTO_SERVER") else { return Ok(None) };
        let free = std::net::TcpListener::bind(local())?.local_addr()?;
        let child = std::process::Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &free.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let moto = Self { child, address: free };
        let until = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(free).is_err() {
            if Instant::now() > until {
                return Err("moto did not start".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Some(moto))
    }
}

fn over_http(plan: &Plan, report: &mut Report, folder: &Path, root: &Root, ids: &[String]) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let options = ServerOptions { listen: local(), metrics_listen: None, ..ServerOptions::default() };
    let server = runtime.block_on(Server::bind(api(folder)?, options))?;
    let ours = server.address()?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = runtime.spawn(server.run(async {
        let _ = stopped.await;
    }));
    let now = Time(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?);
    let key = SigningKey::derive(root.secret.as_bytes(), &amz_date(now)[..8], REGIONS[0], "iam");
    let router = axum::Router::new().fallback(floor).with_state(Arc::new(Floor { key, xml: FIXED }));
    let listener = runtime.block_on(tokio::net::TcpListener::bind(local()))?;
    let least = listener.local_addr()?;
    runtime.spawn(async move { axum::serve(listener, router).await });

    let creates = |address| {
        let bodies =
            (0..MAKERS).map(|maker| format!("Action=CreateAccessKey&Version=2010-05-08&UserName=maker-{maker}"));
        prepared(address, root, bodies, now)
    };
    let (floor_requests, create) = (creates(least)?, creates(ours)?);
    let users =
        (0..USERS).map(|user| format!("Action=ListAccessKeys&Version=2010-05-08&MaxItems=2&UserName=user-{user}"));
    let list = prepared(ours, root, users, now)?;
    let used = ids.iter().map(|id| format!("Action=GetAccessKeyLastUsed&Version=2010-05-08&AccessKeyId={id}"));
    let used = prepared(ours, root, used, now)?;
    let moto = Moto::start()?;
    let moto_requests = moto.as_ref().map(|moto| creates(moto.address)).transpose()?.unwrap_or_default();
    let cell = plan.cell.max(Duration::from_millis(700));
    let mut lanes = vec![
        Lane::new(FLOOR, || load(least, &floor_requests, cell)),
        Lane::new(CREATE, || load(ours, &create, cell)),
        Lane::new(LIST, || load(ours, &list, cell)),
        Lane::new(USED, || load(ours, &used, cell)),
    ];
    if let Some(moto) = &moto {
        // moto has AWS's limit of two keys a user and no user until it is made, so what it refuses counts, too.
        lanes.push(Lane::new(MOTO, || refusals_count(moto.address, &moto_requests, cell)));
    }
    let race = Race::run(plan, "/s", lanes)?;
    report.lanes("H1, H2 over HTTP", &race);
    report.goal("H1", "CreateAccessKey, durable, 64 connections", &race, CREATE, FLOOR, Bound::AtLeast(0.5));
    report.goal("H1", "the same, beside moto", &race, CREATE, MOTO, Bound::AtLeast(20.0));
    report.goal("H2", "ListAccessKeys, a page of two", &race, LIST, FLOOR, Bound::AtLeast(0.7));
    report.goal("H2", "GetAccessKeyLastUsed", &race, USED, FLOOR, Bound::AtLeast(0.7));
    let _ = stop.send(());
    runtime.block_on(serving)?;
    Ok(())
}

/// [`load`] over one connection at a time, whatever is answered: requests a second.
fn refusals_count(address: SocketAddr, requests: &[Vec<u8>], during: Duration) -> Result<Sample> {
    let began = Instant::now();
    let mut count = 0_u32;
    for request in requests.iter().cycle() {
        if began.elapsed() >= during {
            break;
        }
        let mut stream = TcpStream::connect(address)?;
        // It closes after each.
        let text = String::from_utf8_lossy(request).replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
        stream.write_all(text.as_bytes())?;
        stream.read_to_end(&mut Vec::new())?;
        count += 1;
    }
    Ok(Sample::of(f64::from(count) / began.elapsed().as_secs_f64()))
}
