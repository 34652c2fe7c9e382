//! What a node that follows tells the server of its ledger: it arrives once, and nothing of it is lost while the server is away.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::{Client, Prepared, Running, uses};
use keyledger::api::{Api, ApiOptions, Server, ServerOptions};
use keyledger::ledger::{Command, CreateAccessKey, InitOptions, Ledger, Outcome};
use keyledger::model::{AccessKeyId, AccountId, Caller, Grant, GrantRole, OrgOwner, OrgUid};
use keyledger::sys::{RealIo, SystemClock};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

const NODE: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"keyledger:Report*","Resource":"*"}}"#;

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

fn key(ledger: &Ledger, org: OrgUid, key: CreateAccessKey) -> (AccessKeyId, String) {
    let mut outcome = execute(ledger, Command::CreateKey { org, key: key.into() });
    let secret = outcome.take_secret().unwrap().expose_secret().to_owned();
    let Outcome::KeyCreated(made) = outcome else { panic!("no key was made") };
    (made.access_key_id, secret)
}

/// The status of one signed S3 request, over a connection of its own.
fn ask(address: SocketAddr, key: (&str, &str), method: &str, target: &str) -> u16 {
    Client::connect(address).ask(&Prepared::new(address, key, method, target), None)
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
    let to = format!("http://{endpoint}");
    let signing = [("AWS_ACCESS_KEY_ID", node_id.as_str()), ("AWS_SECRET_ACCESS_KEY", &node_secret)];
    let node = Running::start(&ledger_dir, &dir.path().join("root"), ["--follow", "--report-to", &to], &signing);
    let address = node.address;

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
    assert_eq!(ask(address, (node_id.as_str(), &node_secret), "GET", "/photos"), 403);
}
