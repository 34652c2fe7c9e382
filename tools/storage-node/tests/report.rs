//! What a node that follows tells the server of its ledger: it arrives once, and nothing of it is lost while the server is away.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use keyledger::api::{Api, ApiOptions, Server, ServerOptions};
use keyledger::ledger::{Command, CreateAccessKey, InitOptions, Ledger, Outcome};
use keyledger::model::{AccountId, Caller, Event, Grant, GrantRole, OrgOwner, OrgUid, Time};
use keyledger::sigv4::{Request, Rules, Signer, amz_date, sign_headers};
use keyledger::state::Recorded;
use keyledger::sys::{Clock as _, RealIo, SystemClock};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const NODE: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"keyledger:Report*","Resource":"*"}}"#;

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<()>,
}

fn serve(runtime: &Runtime, ledger: &Arc<Ledger>, dir: &Path, listen: SocketAddr) -> Served {
    let options = ApiOptions {
        region: "us-east-1".to_owned(),
        trusted_proxies: Vec::new(),
        dir: dir.to_owned(),
        public_url: None,
        provider_key: None,
    };
    let api = Api::new(Arc::clone(ledger), options, Arc::new(RealIo), Arc::new(SystemClock)).unwrap();
    let options = ServerOptions { listen, metrics_listen: None, ..ServerOptions::default() };
    let until = Instant::now() + Duration::from_secs(10);
    let api = Arc::new(api);
    let server = loop {
        match runtime.block_on(Server::bind(Arc::clone(&api), options.clone())) {
            Ok(server) => break server,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
    };
    let address = server.address().unwrap();
    let (stop, told) = oneshot::channel::<()>();
    let running = runtime.spawn(server.run(async {
        let _ = told.await;
    }));
    Served { address, stop, running }
}

fn execute(ledger: &Ledger, command: Command) -> Outcome {
    ledger.execute_blocking(&Caller::operator("test"), command, None).unwrap().outcome
}

fn key(ledger: &Ledger, org: OrgUid, key: CreateAccessKey) -> (String, String) {
    let mut outcome = execute(ledger, Command::CreateKey { org, key: key.into() });
    let secret = outcome.take_secret().unwrap().expose_secret().to_owned();
    let Outcome::KeyCreated(made) = outcome else { panic!("no key was made") };
    (made.access_key_id.to_string(), secret)
}

/// The status of one signed S3 request.
fn ask(address: SocketAddr, (id, secret): (&str, &str), method: &str, target: &str) -> u16 {
    let now = Time(SystemClock.now().wall_ns);
    let (host, date) = (address.to_string(), amz_date(now));
    let headers: [(&str, &[u8]); 3] =
        [("host", host.as_bytes()), ("x-amz-date", date.as_bytes()), ("x-amz-content-sha256", EMPTY.as_bytes())];
    let signer = Signer { access_key_id: id, secret: secret.as_bytes(), rules: Rules::s3(&["us-east-1"]) };
    let request = Request { method, target: target.as_bytes(), headers: &headers };
    let authorization = sign_headers(&request, &signer, EMPTY, now).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let text = format!(
        "{method} {target} HTTP/1.1\r\nhost: {host}\r\nx-amz-date: {date}\r\nx-amz-content-sha256: {EMPTY}\r\n\
         content-length: 0\r\nconnection: close\r\nauthorization: {authorization}\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Uses of S3 with a key, by the log. An attempt that was refused with a key not known yet is no use of it.
fn uses(ledger: &Ledger, id: &str) -> u64 {
    let uid = ledger.state().key(id).unwrap().uid();
    let mut found = 0;
    for frame in ledger.reader().frames(1) {
        let Ok(recorded) = Recorded::decode(&frame.unwrap()) else { continue };
        for event in &recorded.commit.events {
            if let Event::UsageRolledUp { keys, .. } = event {
                let tuples = keys
                    .iter()
                    .filter(|key| key.key == uid)
                    .flat_map(|key| &key.tuples)
                    .filter(|it| it.service == "s3");
                found += tuples.map(|tuple| tuple.count).sum::<u64>();
            }
        }
    }
    found
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_mins(1);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn buckets_and_uses_reach_the_servers_ledger_once_also_over_a_time_without_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let ledger_dir = dir.path().join("ledger");
    let ledger = Arc::new(Ledger::init(&ledger_dir, &InitOptions::default()).unwrap());
    let account = Some(AccountId(123_456_789_012));
    let org = Command::CreateOrg { name: "main".into(), account, owner: OrgOwner::Operator, settings: Box::default() };
    let Outcome::OrgCreated { org, .. } = execute(&ledger, org) else { panic!("no org was made") };
    let policy = Command::CreatePolicy {
        org,
        name: "node".into(),
        path: "".into(),
        description: "".into(),
        tags: keyledger::model::Tags::new(),
        document: NODE.into(),
    };
    execute(&ledger, policy);
    let (node_id, node_secret) =
        key(&ledger, org, CreateAccessKey { policies: vec!["node".into()], ..CreateAccessKey::default() });
    let grants = vec![Grant { bucket: None, role: GrantRole::Admin }];
    let (id, secret) = key(&ledger, org, CreateAccessKey { grants, ..CreateAccessKey::default() });
    let client = (id.as_str(), secret.as_str());

    let runtime = Runtime::new().unwrap();
    let served = serve(&runtime, &ledger, &ledger_dir, SocketAddr::from(([127, 0, 0, 1], 0)));
    let endpoint = served.address;
    let mut node = std::process::Command::new(env!("CARGO_BIN_EXE_storage-node"));
    node.arg("--ledger").arg(&ledger_dir).arg("--root").arg(dir.path().join("root"));
    node.args(["--listen", "127.0.0.1:0", "--follow", "--report-to", &format!("http://{endpoint}")]);
    node.env("AWS_ACCESS_KEY_ID", &node_id).env("AWS_SECRET_ACCESS_KEY", &node_secret);
    let mut node = Running(node.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(node.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://").expect("it listens").parse().unwrap();

    // A bucket made at the node is the org's in the server's ledger before the client is answered, and gone when it is removed.
    let bucket = keyledger::model::BucketName::parse("photos").unwrap();
    assert_eq!(ask(address, client, "PUT", "/photos"), 200);
    assert_eq!(ledger.state().bucket_org(&bucket), Some(org));
    assert_eq!(ask(address, client, "PUT", "/other"), 200);
    assert_eq!(ask(address, client, "DELETE", "/other"), 204);
    assert_eq!(ask(address, client, "GET", "/photos"), 200);
    wait_for("uses arrive", || uses(&ledger, &id) > 0);

    // The server goes away; the node goes on, and tells what it saw once there is one again.
    let _ = served.stop.send(());
    runtime.block_on(served.running).unwrap();
    let grants = vec![Grant { bucket: None, role: GrantRole::ReadOnly }];
    let (late_id, late_secret) = key(&ledger, org, CreateAccessKey { grants, ..CreateAccessKey::default() });
    let late = (late_id.as_str(), late_secret.as_str());
    wait_for("the node hears of the key", || ask(address, late, "GET", "/photos?list-type=2") == 200);
    assert_eq!(ask(address, client, "PUT", "/late"), 503, "nobody could register it");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(uses(&ledger, &late_id), 0);
    let _served = serve(&runtime, &ledger, &ledger_dir, endpoint);
    wait_for("what was kept arrives", || uses(&ledger, &late_id) > 0);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(uses(&ledger, &late_id), 1, "and once");
    assert_eq!(ask(address, client, "PUT", "/late"), 200);

    // The key may do nothing else, anywhere.
    assert_eq!(ask(address, (&node_id, &node_secret), "GET", "/photos"), 403);
}
