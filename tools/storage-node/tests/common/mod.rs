//! What the node's tests share: signed requests, one connection that sends them, and an org to begin with,
//! and the program itself.
#![allow(dead_code, reason = "each test file uses its part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use keyledger::ledger::{Command, CreateAccessKey, InitOptions, Ledger, Outcome};
use keyledger::model::{
    AccessKeyId, AccountId, BucketName, Caller, Event, Grant, GrantRole, OrgOwner, OrgUid, Seq, Time,
};
use keyledger::sigv4::{Request, Rules, Signer, amz_date, sign_headers};
use keyledger::state::Recorded;
use keyledger::sys::{Clock as _, SystemClock};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command as Process, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use storage_node::{Options, Stale};

/// The hash of no body.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// A signed request, ready to be sent again and again.
pub struct Prepared {
    text: String,
}

impl Prepared {
    pub fn new(address: SocketAddr, key: (&str, &str), method: &str, target: &str) -> Self {
        Self::by("under-fire/1", address, key, method, target)
    }

    /// By a client of that name.
    pub fn by(agent: &str, address: SocketAddr, (id, secret): (&str, &str), method: &str, target: &str) -> Self {
        let now = Time(SystemClock.now().wall_ns);
        let (host, date) = (address.to_string(), amz_date(now));
        let headers: [(&str, &[u8]); 3] =
            [("host", host.as_bytes()), ("x-amz-date", date.as_bytes()), ("x-amz-content-sha256", EMPTY.as_bytes())];
        let signer = Signer { access_key_id: id, secret: secret.as_bytes(), rules: Rules::s3(&["us-east-1"]) };
        let request = Request { method, target: target.as_bytes(), headers: &headers };
        let authorization = sign_headers(&request, &signer, EMPTY, now).unwrap();
        let text = format!(
            "{method} {target} HTTP/1.1\r\nhost: {host}\r\nx-amz-date: {date}\r\nx-amz-content-sha256: {EMPTY}\r\n\
             content-length: 0\r\nuser-agent: {agent}\r\nauthorization: {authorization}\r\n"
        );
        Self { text }
    }
}

/// One connection that is kept.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    /// Sends a request and gives its status.
    pub fn ask(&mut self, prepared: &Prepared, min_seq: Option<Seq>) -> u16 {
        let more = min_seq.map_or(String::new(), |seq| format!("x-keyledger-min-seq: {}\r\n", seq.0));
        self.stream.get_mut().write_all(format!("{}{more}\r\n", prepared.text).as_bytes()).unwrap();
        let (mut line, mut status, mut length) = (String::new(), 0, 0);
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            if let Some(rest) = text.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(value) = text.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        status
    }
}

/// A node in this process, over a ledger of its own that the test may write to.
pub struct Inside {
    _runtime: tokio::runtime::Runtime,
    keys: Arc<keyledger::node::Keys>,
    org: OrgUid,
    address: SocketAddr,
}

impl Inside {
    /// Makes the ledger in `dir`, with an org and its bucket, and starts the node.
    pub fn start(dir: &Path) -> Self {
        let ledger_dir = dir.join("ledger");
        let ledger = Ledger::init(&ledger_dir, &InitOptions::default()).unwrap();
        let org = new_org(&ledger);
        ledger.close().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (node, keys) = runtime.block_on(storage_node::start(&options(&ledger_dir, &dir.join("root")))).unwrap();
        let address = node.address();
        runtime.spawn(keyledger::node::flush_often(Arc::clone(&keys), node.gate()));
        runtime.spawn(node.serve(std::future::pending()));
        Self { _runtime: runtime, keys, org, address }
    }

    pub fn given(&self) -> Given<'_> {
        let given = Given { ledger: self.keys.ledger().unwrap(), org: self.org, address: self.address };
        given.prepare_bucket();
        given
    }
}

/// The node's own program; it ends with the test.
pub struct Running {
    node: Child,
    pub address: SocketAddr,
}

impl Running {
    /// Starts it on `ledger`, with `more` arguments and variables.
    pub fn start<'a>(
        ledger: &Path,
        root: &Path,
        more: impl IntoIterator<Item = &'a str>,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut node = Process::new(env!("CARGO_BIN_EXE_storage-node"));
        node.arg("--ledger").arg(ledger).arg("--root").arg(root).args(["--listen", "127.0.0.1:0"]).args(more);
        let mut node = node.envs(variables.iter().copied()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(node.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").expect("it listens").parse().unwrap();
        Self { node, address }
    }

    /// Asks it to end, as a service manager does, and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        let told = Process::new("kill").args(["-TERM", &self.node.id().to_string()]).status().unwrap();
        assert!(told.success());
        self.node.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}

/// Uses of S3 with a key, by the log. An attempt that was refused with a key not known yet is no use of it.
pub fn uses(ledger: &Ledger, id: &AccessKeyId) -> u64 {
    let uid = ledger.state().key(id.as_str()).unwrap().uid();
    let mut found = 0;
    for frame in ledger.reader().frames(1) {
        let Ok(recorded) = Recorded::decode(&frame.unwrap()) else { continue };
        for event in &recorded.commit.events {
            if let Event::UsageRolledUp { keys, .. } = event {
                let tuples = keys.iter().filter(|key| key.key == uid).flat_map(|key| &key.tuples);
                found += tuples.filter(|tuple| tuple.service == "s3").map(|tuple| tuple.count).sum::<u64>();
            }
        }
    }
    found
}

/// An org with a bucket that has one object, and the writer's side of it.
pub struct Given<'a> {
    pub ledger: &'a Ledger,
    pub org: OrgUid,
    pub address: SocketAddr,
}

impl Given<'_> {
    pub fn execute(&self, command: Command) -> keyledger::ledger::Done {
        self.ledger.execute_blocking(&Caller::operator("test"), command, None).unwrap()
    }

    pub fn key(&self, role: GrantRole) -> (AccessKeyId, String) {
        let grants = vec![Grant { bucket: None, role }];
        let key = CreateAccessKey { grants, ..CreateAccessKey::default() };
        let mut done = self.execute(Command::CreateKey { org: self.org, key: key.into() });
        let secret = done.outcome.take_secret().unwrap().expose_secret().to_owned();
        let Outcome::KeyCreated(made) = done.outcome else { panic!("no key was made") };
        (made.access_key_id, secret)
    }

    pub fn prepare_bucket(&self) {
        let (id, secret) = self.key(GrantRole::Admin);
        let ask = |method, target| {
            let prepared = Prepared::new(self.address, (id.as_str(), &secret), method, target);
            let mut client = Client::connect(self.address);
            let until = Instant::now() + Duration::from_secs(5);
            // A follower takes a moment to hear of the key.
            while client.ask(&prepared, None) != 200 {
                assert!(Instant::now() < until, "{method} {target}");
            }
        };
        ask("PUT", "/fire");
        ask("PUT", "/fire/a");
    }
}

pub fn new_org(ledger: &Ledger) -> OrgUid {
    let account = Some(AccountId(123_456_789_012));
    let org = Command::CreateOrg { name: "fire".into(), account, owner: OrgOwner::Operator, settings: Box::default() };
    let done = ledger.execute_blocking(&Caller::operator("test"), org, None).unwrap();
    let Outcome::OrgCreated { org, .. } = done.outcome else { panic!("no org was made") };
    let bucket = BucketName::parse("fire").unwrap();
    ledger.execute_blocking(&Caller::operator("test"), Command::RegisterBucket { org, bucket }, None).unwrap();
    org
}

fn options(ledger: &Path, root: &Path) -> Options {
    Options {
        ledger: ledger.to_path_buf(),
        root: root.to_path_buf(),
        listen: "127.0.0.1:0".parse().unwrap(),
        follow: false,
        report_to: None,
        stale: Stale(Duration::from_secs(30)),
        tls_cert: None,
        tls_key: None,
        region: vec!["us-east-1".to_owned()],
        domain: Vec::new(),
        vault_key: None,
    }
}
