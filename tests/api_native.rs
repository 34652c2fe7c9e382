//! The native API over real connections: who is answered what, and what a client may rely on.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "a test says what it means, and stops where it is wrong")]

use keyledger::api::{Api, ApiOptions, Server, ServerOptions};
use keyledger::ledger::{Command, CreateAccessKey, InitOptions, Ledger, Outcome, OwnerName};
use keyledger::model::bytes::Hex;
use keyledger::model::{
    AccessKeyId, AccountId, BucketName, Caller, Event, EvidenceRecord, Grant, GrantRole, Identity, IdentityKind,
    Observed, OrgOwner, OrgSettings, OrgUid, Outcome as Ended, Rank, Role, Time,
};
use keyledger::sigv4::{Request, Rules, Signer, amz_date, sign_headers};
use keyledger::sys::{Clock, RealIo, SystemClock};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const REGION: &str = "us-east-1";
const READ_ALL: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"keyledger:Read*","Resource":"*"}}"#;

/// A server with two orgs, and what was made in them.
struct Served {
    runtime: Runtime,
    ledger: Arc<Ledger>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<()>>,
    one: Org,
    other: Org,
    _folder: tempfile::TempDir,
}

struct Org {
    uid: OrgUid,
    root: Key,
}

#[derive(Clone)]
struct Key {
    id: AccessKeyId,
    secret: String,
}

struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{} {}", self.head, self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The problem's status and code.
    fn problem(&self) -> (u16, String) {
        assert!(self.head.contains("application/problem+json"), "{} {}", self.head, self.text());
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["type"], format!("urn:keyledger:problem:{}", problem["code"].as_str().unwrap()));
        (self.status, problem["code"].as_str().unwrap().to_owned())
    }

    fn done(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        let body = self.json();
        assert!(body["seq"].is_u64(), "every answer says its seq: {body}");
        body
    }
}

fn operator() -> Caller {
    Caller::operator("test@here")
}

fn execute(ledger: &Ledger, command: Command) -> Outcome {
    ledger.execute_blocking(&operator(), command, None).unwrap().outcome
}

fn make_key(ledger: &Ledger, org: OrgUid, key: CreateAccessKey) -> Key {
    let Outcome::KeyCreated(made) = execute(ledger, Command::CreateKey { org, key: Box::new(key) }) else { panic!() };
    Key { id: made.access_key_id.clone(), secret: made.secret.as_ref().unwrap().expose_secret().to_owned() }
}

fn make_org(ledger: &Ledger, account: &str) -> Org {
    let Outcome::OrgCreated { org, .. } = execute(
        ledger,
        Command::CreateOrg {
            name: account.into(),
            account: Some(AccountId::parse(account).unwrap()),
            owner: OrgOwner::Operator,
            settings: Box::new(OrgSettings::default()),
        },
    ) else {
        panic!()
    };
    let grants = vec![Grant { bucket: None, role: GrantRole::Admin }];
    Org { uid: org, root: make_key(ledger, org, CreateAccessKey { grants, ..CreateAccessKey::default() }) }
}

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::init(folder.path(), &InitOptions::default()).unwrap());
        let (one, other) = (make_org(&ledger, "111111111111"), make_org(&ledger, "222222222222"));
        let options = ApiOptions {
            region: REGION.to_owned(),
            trusted_proxies: Vec::new(),
            dir: folder.path().to_owned(),
            public_url: None,
            provider_key: None,
        };
        let api = Api::new(Arc::clone(&ledger), options, Arc::new(RealIo), Arc::new(SystemClock)).unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let options = ServerOptions { listen, metrics_listen: None, ..ServerOptions::default() };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let server = runtime.block_on(Server::bind(Arc::new(api), options)).unwrap();
        let address = server.address().unwrap();
        let (stop, told) = oneshot::channel::<()>();
        let running = runtime.spawn(server.run(async {
            let _ = told.await;
        }));
        let (stop, running) = (Some(stop), Some(running));
        Self { runtime, ledger, address, stop, running, one, other, _folder: folder }
    }

    fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        let running = self.running.take().unwrap();
        self.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), running).await }).unwrap().unwrap();
    }

    fn send(&self, key: Option<&Key>, method: &str, path: &str, more: &[(&str, &str)], body: &[u8]) -> TcpStream {
        let now = Time(SystemClock.now().wall_ns);
        let (host, date) = (self.address.to_string(), amz_date(now));
        let mut headers: Vec<(&str, &[u8])> = vec![("host", host.as_bytes()), ("x-amz-date", date.as_bytes())];
        headers.extend(more.iter().map(|(name, value)| (*name, value.as_bytes())));
        let target = format!("/api/v1{path}");
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        for (name, value) in &headers {
            write!(head, "{name}: {}\r\n", String::from_utf8_lossy(value)).unwrap();
        }
        if let Some(key) = key {
            let request = Request { method, target: target.as_bytes(), headers: &headers };
            let rules = Rules::service("keyledger", &[REGION]);
            let signer = Signer { access_key_id: key.id.as_str(), secret: key.secret.as_bytes(), rules };
            let hash = Hex(&Sha256::digest(body)).to_string();
            write!(head, "authorization: {}\r\n", sign_headers(&request, &signer, &hash, now).unwrap()).unwrap();
        }
        write!(head, "content-length: {}\r\nconnection: close\r\n\r\n", body.len()).unwrap();
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        stream
    }

    fn raw(&self, key: Option<&Key>, method: &str, path: &str, more: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut stream = self.send(key, method, path, more, body);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let at = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head, body: bytes[at + 4..].to_vec() }
    }

    fn get(&self, key: &Key, path: &str) -> Reply {
        self.raw(Some(key), "GET", path, &[], b"")
    }

    fn ask(&self, key: &Key, method: &str, path: &str, body: &Value) -> Reply {
        self.ask_with(key, method, path, &[], body)
    }

    fn ask_with(&self, key: &Key, method: &str, path: &str, more: &[(&str, &str)], body: &Value) -> Reply {
        if body.is_null() {
            return self.raw(Some(key), method, path, more, b"");
        }
        let headers: Vec<_> = [("content-type", "application/json")].into_iter().chain(more.iter().copied()).collect();
        self.raw(Some(key), method, path, &headers, body.to_string().as_bytes())
    }

    /// A user's key, without anything of its own.
    fn user_key(&self, name: &str, role: Role) -> Key {
        let org = self.one.uid;
        execute(
            &self.ledger,
            Command::CreateUser {
                org,
                name: name.into(),
                path: "".into(),
                external_id: None,
                tags: keyledger::model::Tags::new(),
                boundary: None,
            },
        );
        execute(&self.ledger, Command::SetUserRole { org, user: name.into(), role });
        self.key_of(name)
    }

    fn key_of(&self, user: &str) -> Key {
        let owner = OwnerName::User(user.into());
        make_key(&self.ledger, self.one.uid, CreateAccessKey { owner, ..CreateAccessKey::default() })
    }
}

#[test]
fn whoever_does_not_sign_learns_what_there_is_and_nothing_more() {
    let served = Served::start();
    let ask = |method, path| served.raw(None, method, path, &[], b"");
    assert_eq!(ask("GET", "/users").problem(), (401, "not-signed".into()));
    assert!(ask("GET", "/users").head.contains("www-authenticate: AWS4-HMAC-SHA256"));
    assert_eq!(ask("GET", "/nothing").problem(), (404, "not-found".into()));
    let refused = ask("PUT", "/users");
    assert_eq!(refused.problem(), (405, "method-not-allowed".into()));
    assert!(refused.head.contains("allow: GET, POST"), "{}", refused.head);
    let document = ask("GET", "/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let nobody = Key { id: AccessKeyId::parse("NQAKXXXXXXXXXXXXXXXX").unwrap(), secret: "x".repeat(40) };
    assert_eq!(served.get(&nobody, "/users").problem(), (401, "unknown-key".into()));
    let wrong = Key { secret: "x".repeat(40), ..served.one.root.clone() };
    assert_eq!(served.get(&wrong, "/users").problem(), (401, "bad-signature".into()));
    let revoked = served.user_key("gone", Role::Admin);
    execute(&served.ledger, Command::RevokeKey { key: revoked.id.clone() });
    assert_eq!(served.get(&revoked, "/users").problem(), (401, "unknown-key".into()), "like one that never was");
}

#[test]
fn a_retry_makes_one_key_and_never_shows_its_secret_again() {
    let served = Served::start();
    let root = &served.one.root;
    let token = [("idempotency-key", "make-1")];
    let body = json!({ "label": "ci", "buckets": [{ "bucket": "logs", "role": "ReadOnly" }] });
    let first = served.ask_with(root, "POST", "/keys", &token, &body);
    assert_eq!(first.status, 201);
    assert!(first.head.contains("cache-control: no-store"));
    let (first, again) = (first.done(), served.ask_with(root, "POST", "/keys", &token, &body).done());
    assert_eq!(first["secret_access_key"].as_str().unwrap().len(), 40);
    assert_eq!((&again["secret_access_key"], &again["replayed"]), (&Value::Null, &json!(true)));
    assert_eq!((&first["access_key_id"], &first["seq"]), (&again["access_key_id"], &again["seq"]));
    let other = served.ask_with(root, "POST", "/keys", &token, &json!({ "label": "another" }));
    assert_eq!(other.problem(), (409, "idempotency-conflict".into()));
    let keys = served.get(root, "/keys?label=ci").done();
    assert_eq!(keys["items"].as_array().unwrap().len(), 1);
    assert_eq!(served.ask_with(root, "POST", "/keys", &[("idempotency-key", &"x".repeat(65))], &body).problem().0, 400);

    let id = first["access_key_id"].as_str().unwrap();
    let rotated = served.ask_with(root, "POST", &format!("/keys/{id}/rotate-secret"), &token, &json!({}));
    assert_eq!(rotated.problem(), (409, "idempotency-conflict".into()), "a token stands for one command");
    let token = [("idempotency-key", "rotate-1")];
    let rotate = || served.ask_with(root, "POST", &format!("/keys/{id}/rotate-secret"), &token, &json!({})).done();
    assert!(rotate()["secret_access_key"].is_string());
    assert!(rotate()["secret_access_key"].is_null());
}

#[test]
fn a_change_on_condition_is_done_only_to_the_version_that_was_read() {
    let served = Served::start();
    let root = &served.one.root;
    served.ask(root, "POST", "/users", &json!({ "user_name": "alice" })).done();
    let read = served.get(root, "/users/alice");
    let version = read.done()["changed_seq"].as_u64().unwrap();
    assert!(read.head.contains(&format!("etag: \"{version}\"")), "{}", read.head);
    let tag = |etag: &str, query: &str| {
        let body = json!({ "set": { "team": "storage" } });
        served.ask_with(root, "PATCH", &format!("/users/alice/tags{query}"), &[("if-match", etag)], &body)
    };
    let etag = format!("\"{version}\"");
    tag(&etag, "").done();
    let late = tag(&etag, "");
    assert_eq!(late.problem(), (412, "version-changed".into()));
    let now = late.json()["seq"].as_u64().unwrap();
    assert!(now > version);
    tag(&format!("\"{now}\""), &format!("?expected_version={now}")).done();
    assert_eq!(tag("\"x\"", "").problem(), (400, "invalid-input".into()));
    assert_eq!(tag("\"1\"", "?expected_version=2").problem(), (400, "invalid-input".into()));
}

#[test]
fn a_read_sees_the_commit_it_asks_for_or_says_how_far_the_log_is() {
    let served = Served::start();
    let root = &served.one.root;
    let seq = served.ask(root, "PUT", "/buckets/photos", &Value::Null).done()["seq"].as_u64().unwrap();
    let read = served.get(root, &format!("/buckets?min_seq={seq}")).done();
    assert_eq!(read["items"][0]["bucket"], "photos");
    let began = Instant::now();
    let ahead = served.get(root, &format!("/buckets?min_seq={}", seq + 1_000));
    assert_eq!(ahead.problem(), (409, "seq-not-reached".into()));
    assert!(ahead.json()["seq"].as_u64().unwrap() >= seq);
    assert!((Duration::from_secs(1)..Duration::from_secs(10)).contains(&began.elapsed()), "it waits, and not for ever");
}

#[test]
fn pages_leave_nothing_out_and_give_nothing_twice_while_keys_are_made() {
    let served = Served::start();
    let root = &served.one.root;
    let before: BTreeSet<String> =
        (0..60).map(|_| make_key(&served.ledger, served.one.uid, CreateAccessKey::default()).id.to_string()).collect();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        make_key(&served.ledger, served.one.uid, CreateAccessKey::default());
        let page = served.get(root, &format!("/keys?limit=7{cursor}")).done();
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|key| key["access_key_id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let all: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!(all.len(), seen.len(), "none twice");
    assert!(before.is_subset(&all), "none left out");
    assert_eq!(served.get(root, "/keys?cursor=AAAA").problem(), (400, "bad-cursor".into()));

    for n in 0..12 {
        served.ask(root, "PUT", &format!("/buckets/bucket-{n:02}"), &Value::Null).done();
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = served.get(root, &format!("/audit/log?kind=bucket-registered&limit=5{cursor}")).done();
        names.extend(page["items"].as_array().unwrap().iter().map(|row| row["event"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let mut reversed = names.clone();
    reversed.reverse();
    assert_eq!(names.len(), 12);
    let newest = served.get(root, "/audit/log?kind=bucket-registered&reverse=true").done();
    let newest: Vec<_> =
        newest["items"].as_array().unwrap().iter().map(|row| row["event"].as_str().unwrap().to_owned()).collect();
    assert_eq!(newest, reversed);
}

/// RustFS GHSA-gw2x: members that nobody knows were taken.
#[test]
fn a_body_that_does_not_fit_is_named_and_never_repeated() {
    let served = Served::start();
    let root = &served.one.root;
    let json = [("content-type", "application/json")];
    let secret = "hunter2secret";
    for (body, code, field) in [
        (r#"{"user_name":"a","nothing":1}"#.to_owned(), "unknown-member", "nothing"),
        ("{}".to_owned(), "missing-member", "user_name"),
        (r#"{"user_name":"a","user_name":"b"}"#.to_owned(), "duplicate-member", "user_name"),
        (format!(r#"{{"user_name":["{secret}"]}}"#), "invalid-input", "user_name"),
        (format!(r#"{{"user_name":"a","tags":{{"x":{{"{secret}":1}}}}}}"#), "invalid-input", "tags.x"),
        (format!(r#"{{"user_name": {secret}}}"#), "bad-json", ""),
        (r#"{"user_name":"a"} x"#.to_owned(), "bad-json", ""),
        ("[".repeat(100_000), "bad-json", ""),
        (String::new(), "bad-json", ""),
        ("\u{feff}{}".to_owned(), "bad-json", ""),
    ] {
        let refused = served.raw(Some(root), "POST", "/users", &json, body.as_bytes());
        assert_eq!(refused.problem(), (400, code.into()), "{body:.80} {}", refused.text());
        assert_eq!(refused.json()["field"].as_str().unwrap_or_default(), field, "{body:.80}");
        assert!(!refused.text().contains(secret), "{}", refused.text());
    }
    let text = served.raw(Some(root), "POST", "/users", &[("content-type", "text/plain")], b"{}");
    assert_eq!(text.problem(), (415, "not-json".into()));
    let bad = served.ask(root, "POST", "/users", &json!({ "user_name": "no spaces" }));
    assert_eq!(bad.problem(), (400, "invalid-input".into()));
    assert!(bad.json()["expected"].as_str().unwrap().contains("letters"));
    let document = json!({ "policy_name": "p", "document": r#"{"Version":"2012-10-17","Statement":[{}]}"# });
    assert_eq!(served.ask(root, "POST", "/policies", &document).problem(), (400, "bad-document".into()));
    let import =
        json!({ "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": format!("{secret} with spaces") });
    let refused = served.ask(root, "POST", "/keys/import", &import);
    assert_eq!(refused.problem(), (400, "invalid-input".into()));
    assert!(!refused.text().contains(secret));
    assert_eq!(served.get(root, "/users").done()["items"], json!([]), "nothing was made");
}

#[test]
fn what_another_org_has_is_answered_as_what_nobody_has() {
    let served = Served::start();
    let (root, other) = (&served.one.root, &served.other.root);
    let make = |method: &str, path: &str, body: Value| served.ask(other, method, path, &body).done();
    make("POST", "/users", json!({ "user_name": "theirs" }));
    make("POST", "/groups", json!({ "group_name": "theirs" }));
    make("POST", "/policies", json!({ "policy_name": "theirs", "document": READ_ALL }));
    make("PUT", "/buckets/theirs", Value::Null);
    let key = make("POST", "/keys", json!({ "label": "theirs" }))["access_key_id"].as_str().unwrap().to_owned();
    let before = served.ledger.state().seq();
    let document = served.raw(None, "GET", "/openapi.json", &[], b"").json();
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/api/v1").unwrap();
        if !path.contains('{') {
            continue;
        }
        let filled = |key: &str, name: &str| {
            let path = path.replace("{key}", key).replace("{version}", "1");
            ["{user}", "{group}", "{policy}", "{bucket}"].iter().fold(path, |path, part| path.replace(part, name))
        };
        for (method, operation) in methods.as_object().unwrap() {
            let body = match &operation["requestBody"] {
                Value::Null => Value::Null,
                _ => body_for(path),
            };
            let method = method.to_uppercase();
            let theirs = served.ask(root, &method, &filled(&key, "theirs"), &body);
            let nobodys = served.ask(root, &method, &filled("NQAKNNNNNNNNNNNNNNNN", "nobodys"), &body);
            if path == "/buckets/{bucket}" && method == "PUT" {
                assert_eq!(theirs.status, 409, "a bucket's name is everybody's");
                continue;
            }
            if (200..300).contains(&theirs.status) {
                assert_eq!(theirs.status, nobodys.status, "{method} {path}");
                assert_eq!(theirs.json()["changed"], false, "{method} {path}: {}", theirs.text());
                continue;
            }
            assert_eq!(theirs.problem(), nobodys.problem(), "{method} {path}");
            assert_ne!(theirs.json()["code"], "invalid-input", "{method} {path}: {}", theirs.text());
            asked += 1;
        }
    }
    assert!(asked > 40, "{asked} were asked");
    let seq = served.ledger.state().seq();
    assert!(seq.0 <= before.0 + 1, "only the bucket nobody had was registered");
    for path in ["/audit/log", "/state/nouns", "/keys", "/users", "/audit/rotation", "/audit/diff?from=seq:1"] {
        let told = served.get(root, path).done().to_string();
        assert!(!told.contains("theirs") && !told.contains(&key) && !told.contains("222222222222"), "{path}: {told}");
    }
    let who =
        served.get(root, "/audit/who-could?action=s3:GetObject&resource=arn:aws:s3:::theirs/x").done().to_string();
    assert!(!who.contains(&key), "{who}");
    let leaked = json!({ "secret_access_key": served.other.root.secret });
    assert_eq!(served.ask(root, "POST", "/audit/identify", &leaked).done()["report"]["rows"], json!([]));
    let found = served.ask(other, "POST", "/audit/identify", &leaked).done();
    assert_eq!(found["report"]["rows"][0]["access_key_id"], served.other.root.id.as_str());
}

/// A body that each route of such a path takes.
fn body_for(path: &str) -> Value {
    match path.rsplit('/').next().unwrap() {
        "role" => json!({ "role": "Admin" }),
        "tags" => json!({ "set": { "a": "b" } }),
        "boundary" => json!({ "policy": "AmazonS3FullAccess" }),
        "label" => json!({ "label": "x" }),
        "description" => json!({ "description": "x" }),
        "grants" => json!({ "buckets": [] }),
        "default-allow" => json!({ "default_allow": true }),
        "expiry" => json!({ "expires_at": null }),
        "versions" => json!({ "document": READ_ALL }),
        "default-version" => json!({ "version": 1 }),
        _ if path.contains("inline-policies") => json!({ "document": READ_ALL }),
        "{user}" | "{group}" => json!({ "path": "/x/" }),
        _ => json!({}),
    }
}

#[test]
fn a_member_sees_its_own_keys_an_auditor_reads_all_and_writes_nothing() {
    let served = Served::start();
    let (admin, member, auditor) = (
        served.user_key("ada", Role::Admin),
        served.user_key("max", Role::Member),
        served.user_key("uma", Role::Auditor),
    );
    let ids = |key: &Key| -> Vec<String> {
        let keys = served.get(key, "/keys").done();
        keys["items"].as_array().unwrap().iter().map(|key| key["access_key_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&admin).len(), 4);
    assert_eq!(ids(&auditor).len(), 4);
    assert_eq!(ids(&member), [member.id.as_str()]);
    let path = |key: &Key| format!("/keys/{}", key.id);
    served.get(&member, &path(&member)).done();
    served.get(&member, "/users/max").done();
    assert_eq!(served.get(&member, &path(&admin)).problem(), (404, "not-found".into()));
    assert_eq!(served.get(&member, "/keys?user=ada").done()["items"], json!([]));
    assert_eq!(served.get(&member, "/users/ada").problem(), served.get(&member, "/users/nobody").problem());
    for closed in ["/users", "/groups", "/audit/log", "/state", "/org", "/audit/keys/NQAKNNNNNNNNNNNNNNNN", "/events"] {
        assert_eq!(served.get(&member, closed).problem(), (403, "forbidden".into()), "{closed}");
        if closed != "/events" && !closed.contains("NQAK") {
            served.get(&auditor, closed).done();
        }
    }
    let made = served.ask(&member, "POST", "/keys", &json!({ "user_name": "max", "label": "second" })).done();
    assert_eq!(made["label"], "second");
    assert_eq!(
        served.ask(&member, "POST", "/keys", &json!({ "user_name": "ada" })).problem(),
        (403, "forbidden".into())
    );
    for (method, path) in [("POST", "/users"), ("POST", "/keys")] {
        let body = if path == "/users" { json!({ "user_name": "x" }) } else { json!({ "user_name": "uma" }) };
        assert_eq!(served.ask(&auditor, method, path, &body).problem(), (403, "forbidden".into()));
    }

    // What a policy allows a scoped key to read, it reads; a quarantined key reads nothing here.
    let root = &served.one.root;
    served.ask(root, "POST", "/policies", &json!({ "policy_name": "reader", "document": READ_ALL })).done();
    let made = served.ask(root, "POST", "/keys", &json!({ "policies": ["reader"] })).done();
    let id = AccessKeyId::parse(made["access_key_id"].as_str().unwrap()).unwrap();
    let reader = Key { id, secret: made["secret_access_key"].as_str().unwrap().to_owned() };
    served.get(&reader, "/users").done();
    let plain = make_key(&served.ledger, served.one.uid, CreateAccessKey::default());
    assert_eq!(served.get(&plain, "/users").problem(), (403, "forbidden".into()));
    served.ask(root, "POST", &format!("/keys/{}/flag", admin.id), &json!({ "quarantine": true })).done();
    assert_eq!(served.get(&admin, "/users").problem(), (403, "forbidden".into()));
}

#[test]
fn policies_are_asked_about_a_request_as_they_are_and_as_they_were() {
    let served = Served::start();
    let root = &served.one.root;
    let deny =
        r#"{"Version":"2012-10-17","Statement":{"Sid":"No","Effect":"Deny","Action":"keyledger:*","Resource":"*"}}"#;
    let home = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*",
                  "Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}}}"#;
    let made = served.ask(root, "POST", "/policies", &json!({ "policy_name": "reader", "document": READ_ALL })).done();
    served.ask(root, "POST", "/policies/reader/versions", &json!({ "document": deny, "set_default": true })).done();
    let ask = |path: &str, body: Value| served.ask(root, "POST", path, &body);
    let reads = |more: Value| {
        let mut body = json!({ "action": "keyledger:ReadUsers", "resource": "*" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let now = ask("/policies/simulate", reads(json!({ "policies": ["reader"] }))).done();
    assert_eq!((&now["decision"], &now["statements"][0]["decided"]), (&json!("ExplicitDeny"), &json!(true)), "{now}");
    assert_eq!((&now["statements"][0]["policy"], &now["statements"][0]["sid"]), (&json!("reader"), &json!("No")));
    let then = format!("/policies/simulate?at=seq:{}", made["seq"]);
    assert_eq!(ask(&then, reads(json!({ "policies": ["reader"] }))).done()["decision"], "Allow");
    let both = reads(json!({ "policies": ["reader"], "documents": [READ_ALL] }));
    assert_eq!(ask("/policies/simulate", both).done()["statements"][1]["policy"], "the document given 1");
    let from = |address: &str| {
        let context = json!({ "aws:SourceIp": [address] });
        let body = json!({ "documents": [home], "action": "s3:GetObject", "resource": "arn:aws:s3:::b/k", "context": context });
        ask("/policies/simulate", body).done()
    };
    assert_eq!(from("203.0.113.9")["decision"], "Allow");
    let outside = from("198.51.100.1");
    assert_eq!(
        (&outside["decision"], &outside["statements"][0]["outcome"]),
        (&json!("ImplicitDeny"), &json!("conditions"))
    );
    assert_eq!(ask("/policies/simulate", reads(json!({}))).problem(), (400, "invalid-input".into()));
    assert_eq!(
        ask("/policies/simulate", reads(json!({ "policies": ["nobodys"] }))).problem(),
        (404, "not-found".into())
    );
    let aws = reads(json!({ "policies": ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"] }));
    assert_eq!(ask("/policies/simulate", aws).done()["decision"], "ImplicitDeny");
    assert_eq!(
        served.ask(&served.other.root, "POST", "/policies/simulate", &reads(json!({ "policies": ["reader"] }))).status,
        404
    );
}

/// What CloudTrail recorded: a call by a key of the org's account, `hour` hours into March.
fn recorded(key: &AccessKeyId, hour: u8) -> Event {
    let record = EvidenceRecord {
        event_id: [hour; 16],
        effective_at: Time::parse("2026-03-01T00:00:00Z").unwrap().plus_ns(i64::from(hour) * 3_600_000_000_000),
        rank: Rank::Observed,
        identity: Identity {
            kind: IdentityKind::User,
            name: "robot".into(),
            arn: None,
            account: AccountId::parse("111111111111").ok(),
            key: Some(key.clone()),
        },
        event_source: "s3.amazonaws.com".into(),
        event_name: "GetObject".into(),
        region: "eu-west-1".into(),
        source_ip: "203.0.113.9".into(),
        user_agent: "aws-cli/2.1".into(),
        request_id: "".into(),
        read_only: true,
        outcome: Ended::Ok,
    };
    let bucket = BucketName::parse("photos").ok();
    let (resource, issued_key, issued_for, error_message) = (None, None, None, None);
    let (bytes_in, bytes_out) = (0, 0);
    Event::EvidenceObserved(Arc::new(Observed {
        record,
        bucket,
        resource,
        issued_key,
        issued_for,
        bytes_in,
        bytes_out,
        error_message,
    }))
}

#[test]
fn imported_records_are_told_to_the_org_of_their_account_alone() {
    let served = Served::start();
    let (root, key) = (&served.one.root, AccessKeyId::parse("AKIAIMPORTEDONLY0001").unwrap());
    let (account, source) = (AccountId::parse("111111111111").unwrap(), "trail.json".into());
    let events = (0..5).map(|hour| recorded(&key, hour)).collect();
    execute(&served.ledger, Command::ImportEvidence { account, source, events, duplicates: 0, rejected: 0 });
    let path = format!("/audit/evidence/{key}");
    let report = &served.get(root, &path).done()["report"];
    assert_eq!((&report["records"], &report["all"]["ok"]), (&json!(5), &json!(5)), "{report}");
    assert_eq!(report["calls"][0]["value"], "s3:GetObject");
    assert_eq!(report["identities"][0]["value"], "user robot");
    assert_eq!(report["newest"][0]["at"], "2026-03-01T04:00:00Z");
    let later = &served.get(root, &format!("{path}?since=2026-03-01T03:00Z&rows=1")).done()["report"];
    assert_eq!((&later["records"], later["newest"].as_array().unwrap().len()), (&json!(2), 1));
    assert_eq!(served.get(&served.other.root, &path).problem(), (404, "not-found".into()));
    assert_eq!(served.get(root, "/audit/evidence/NQAKNNNNNNNNNNNNNNNN").problem(), (404, "not-found".into()));
    let log = served.get(root, &format!("/audit/log?key={key}")).done();
    assert_eq!(log["items"], json!([]), "they are not the org's own events");
}

#[test]
fn whoever_reads_the_ledgers_health_can_have_it_verified() {
    let served = Served::start();
    let (auditor, member) = (served.user_key("audra", Role::Auditor), served.user_key("mel", Role::Member));
    let before = served.get(&auditor, "/health").done();
    assert_eq!(
        (&before["writer"], &before["verification"]),
        (&json!("ready"), &json!({ "running": false, "last": null }))
    );
    let begun = served.raw(Some(&auditor), "POST", "/verify", &[], b"");
    assert_eq!(begun.status, 202, "{}", begun.text());
    for (method, path) in [("GET", "/health"), ("POST", "/verify")] {
        assert_eq!(served.raw(Some(&member), method, path, &[], b"").problem(), (403, "forbidden".into()), "{path}");
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let health = served.get(&auditor, "/health").done();
        let verification = &health["verification"];
        if verification["running"] == json!(false) {
            let last = &verification["last"];
            assert_eq!((&last["ok"], &last["findings"]), (&json!(true), &json!([])), "{last}");
            // What was counted of the keys may have been written meanwhile.
            assert!(last["last_seq"].as_u64() >= before["seq"].as_u64(), "{last} {before}");
            assert!(last["last_seq"] != before["seq"] || last["chain_head"] == before["chain_head"], "{last} {before}");
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{health}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_key_lives_its_whole_life_and_the_audit_tells_it() {
    let served = Served::start();
    let root = &served.one.root;
    let ask = |method: &str, path: &str, body: Value| served.ask(root, method, path, &body).done();
    ask("POST", "/users", json!({ "user_name": "alice", "tags": { "team": "storage" } }));
    ask("POST", "/policies", json!({ "policy_name": "read", "document": READ_ALL }));
    ask("POST", "/groups", json!({ "group_name": "readers" }));
    ask("PUT", "/groups/readers/members/alice", Value::Null);
    ask("PUT", "/groups/readers/policies/read", Value::Null);
    ask("PUT", "/users/alice/policies/arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FAmazonS3ReadOnlyAccess", Value::Null);
    ask("PUT", "/buckets/logs", Value::Null);
    let made = ask("POST", "/keys", json!({ "user_name": "alice" }));
    let id = made["access_key_id"].as_str().unwrap();
    let key = |verb: &str| format!("/keys/{id}/{verb}");
    let before = made["seq"].as_u64().unwrap();
    assert_eq!(ask("PUT", &key("label"), json!({ "label": "laptop" }))["label"], "laptop");
    assert_eq!(ask("PUT", &key("label"), json!({ "label": "laptop" }))["changed"], false);
    assert_eq!(ask("POST", &key("suspend"), Value::Null)["status"], "Inactive");
    assert_eq!(ask("POST", &key("resume"), json!({}))["status"], "Active");
    assert_eq!(
        ask("PUT", &key("grants"), json!({ "buckets": [{ "bucket": "logs", "role": "Editor" }] }))["buckets"][0]["role"],
        "Editor"
    );
    let rights = ask("PATCH", &key("rights"), json!({ "buckets": [], "attach": ["read"] }));
    assert_eq!((&rights["buckets"], &rights["policies"]), (&json!([]), &json!(["read"])));
    let rotated = ask("POST", &key("rotate"), json!({ "grace_seconds": 60 }));
    assert_eq!(rotated["replaces"], id);
    assert_eq!(ask("POST", &key("revoke"), Value::Null)["status"], "Revoked");
    assert_eq!(served.ask(root, "POST", &key("resume"), &Value::Null).problem(), (409, "invalid-transition".into()));
    let deleted = ask("DELETE", &format!("/keys/{id}"), Value::Null);
    assert_eq!(deleted["status"], "Deleted");
    assert_eq!(served.get(root, &format!("/keys/{id}")).done()["status"], "Deleted");

    let get = |path: &str| served.get(root, path).done();
    let kinds = |log: &Value| -> Vec<String> {
        log["items"].as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap().to_owned()).collect()
    };
    let log = get(&format!("/audit/log?key={id}&key_part=about"));
    assert!(kinds(&log).starts_with(&["key-created".to_owned(), "key-labelled".to_owned()]), "{:?}", kinds(&log));
    let life = get(&format!("/audit/keys/{id}"));
    assert_eq!(life["report"]["lives"][0]["status"], "Deleted");
    assert_eq!(get(&format!("/audit/keys/{id}?at=seq:{before}"))["report"]["lives"][0]["status"], "Active");
    assert_eq!(get(&format!("/state?at=seq:{before}&noun=key"))["report"]["keys"]["Active"], 2);
    let asked = get(&format!("/audit/rights/{id}?at=seq:{before}&action=s3:GetObject&resource=arn:aws:s3:::logs/x"));
    assert_eq!(asked["report"]["allowed"], true);
    assert!(get(&format!("/audit/compromise/{id}"))["report"]["known"].as_bool().unwrap());
    assert!(get(&format!("/audit/blast-radius/{id}"))["report"]["status"].is_string());
    assert!(get("/audit/rotation")["report"]["findings"].is_array());
    let diff = get(&format!("/audit/diff?from=seq:{before}&noun=key"));
    assert!(diff["report"]["rows"].as_array().unwrap().len() >= 2, "{diff}");
    let could = get(&format!(
        "/audit/who-could?action=s3:GetObject&resource=arn:aws:s3:::logs/x&from=seq:1&to=seq:{}&key={id}",
        log["seq"]
    ));
    assert!(!could["report"]["rows"].as_array().unwrap().is_empty(), "{could}");
    assert_eq!(served.get(root, "/audit/keys/x?at=seq:999999").problem(), (409, "seq-not-reached".into()));
    let secret = made["secret_access_key"].as_str().unwrap();
    let found = ask("POST", "/audit/identify", json!({ "secret_access_key": secret }));
    assert_eq!(found["report"]["rows"][0]["access_key_id"], id);
}

/// A stream of events, line by line.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(served: &Served, key: &Key, path: &str, more: &[(&str, &str)]) -> Self {
        let mut events = Self(BufReader::new(served.send(Some(key), "GET", path, more, b"")));
        let head = events.line().unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        events
    }

    /// The next line, chunk sizes among them; `None` at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.0.read_line(&mut line).unwrap() > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event, its id and its data; rollups of use come when they are due, so they are passed over.
    fn next(&mut self) -> Option<(String, Value)> {
        let mut id = String::new();
        loop {
            let line = self.line()?;
            if let Some(found) = line.strip_prefix("id: ") {
                found.clone_into(&mut id);
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let data: Value = serde_json::from_str(data).unwrap();
                if data["kind"] != "usage-rolled-up" {
                    return Some((id, data));
                }
            }
        }
    }
}

#[test]
fn events_come_as_they_are_recorded_and_go_on_where_a_client_left_off() {
    let mut served = Served::start();
    let root = served.one.root.clone();
    served.ask(&root, "POST", "/users", &json!({ "user_name": "alice" })).done();
    let mut events = Events::open(&served, &root, "/events?from=1", &[]);
    let mut kinds = Vec::new();
    let mut last = String::new();
    while kinds.last().is_none_or(|kind| kind != "user-created") {
        let (id, row) = events.next().unwrap();
        assert_eq!(row["org"], "111111111111", "of its own org alone");
        assert_eq!(row["event"], id);
        kinds.push(row["kind"].as_str().unwrap().to_owned());
        last = id;
    }
    assert_eq!(kinds, ["key-created", "user-created"], "making the org was the operator's act, not one of the org's");
    served.ask(&served.other.root, "PUT", "/buckets/theirs", &Value::Null).done();
    served.ask(&root, "PUT", "/buckets/ours", &Value::Null).done();
    let (_, row) = events.next().unwrap();
    assert_eq!(row["kind"], "bucket-registered");
    let mut again = Events::open(&served, &root, "/events", &[("last-event-id", &last)]);
    assert_eq!(again.next().unwrap().1, row, "nothing is missed and nothing told twice");
    assert_eq!(served.raw(Some(&root), "GET", "/events", &[("last-event-id", "x")], b"").problem().0, 400);

    let reader = served.user_key("uma", Role::Auditor);
    let mut dying = Events::open(&served, &reader, "/events", &[]);
    execute(&served.ledger, Command::RevokeKey { key: reader.id.clone() });
    assert!(dying.next().is_none(), "it ends with its key, before it tells of that");
    served.stop();
    while again.next().is_some() {}
}

#[test]
fn a_storage_nodes_key_tells_what_it_saw_once_and_does_nothing_else() {
    let served = Served::start();
    let root = &served.one.root;
    let document = READ_ALL.replace("Read*", "Report*");
    served.ask(root, "POST", "/policies", &json!({ "policy_name": "node", "document": document })).done();
    let made = served.ask(root, "POST", "/keys", &json!({ "policies": ["node"] })).done();
    let id = AccessKeyId::parse(made["access_key_id"].as_str().unwrap()).unwrap();
    let node = Key { id, secret: made["secret_access_key"].as_str().unwrap().to_owned() };

    assert_eq!(served.ask(&node, "PUT", "/node/buckets/photos", &Value::Null).done()["registered"], true);
    assert_eq!(served.get(root, "/buckets/photos").done()["bucket"], "photos");
    let at = "2026-11-26T06:00:00Z";
    let tuple = |count: u64| {
        json!({
            "secret_version": 1, "service": "s3", "region": "us-east-1", "bucket": "photos", "action_class": "read",
            "source_ip": "203.0.113.7", "user_agent": "rclone", "signature": "header", "outcome": "ok",
            "count": count, "bytes_in": 0, "bytes_out": 9, "first_at": at, "last_at": at,
        })
    };
    let report = |batch: u64, count: u64| {
        json!({
            "node": "node-1", "batch": batch, "applied_seq": 7, "dropped": 2,
            "usage": [
                { "access_key_id": root.id.as_str(), "tuples": [tuple(count)] },
                { "access_key_id": served.other.root.id.as_str(), "tuples": [tuple(40)] },
            ],
            "attempts": [{
                "access_key_id": node.id.as_str(), "status": "Revoked", "source_ip": "203.0.113.8", "user_agent": "x",
                "count": 3, "first_at": at, "last_at": at,
            }],
        })
    };
    let told = |body: &Value| served.ask(&node, "POST", "/node/reports", body);
    let first = told(&report(1, 5)).done();
    let again = told(&report(1, 5)).done();
    assert_eq!((&again["replayed"], &again["seq"]), (&json!(true), &first["seq"]));
    assert_eq!(told(&report(1, 6)).problem(), (409, "idempotency-conflict".into()));
    let log = served.get(root, "/audit/log?kind=usage-rolled-up&address=203.0.113.7").done();
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "it was written once: {log}");
    assert_eq!(log["items"][0]["actor"]["kind"], "node");
    let theirs = served.get(&served.other.root, "/audit/log?address=203.0.113.7").done();
    assert_eq!(theirs["items"], json!([]), "of keys of another org nothing is written");
    let nodes = served.get(root, "/node/reports").done();
    assert_eq!((&nodes["items"][0]["node"], &nodes["items"][0]["applied_seq"]), (&json!("node-1"), &json!(7)));
    assert_eq!(served.get(&served.other.root, "/node/reports").done()["items"], json!([]));

    for (method, path) in [("GET", "/keys"), ("GET", "/audit/log"), ("GET", "/node/reports"), ("PUT", "/buckets/mine")]
    {
        assert_eq!(served.ask(&node, method, path, &Value::Null).problem(), (403, "forbidden".into()), "{path}");
    }
    let create = json!({ "label": "x" });
    assert_eq!(served.ask(&node, "POST", "/keys", &create).problem(), (403, "forbidden".into()));
    assert_eq!(served.ask(root, "POST", "/node/reports", &report(2, 1)).problem(), (403, "forbidden".into()));
    served.ask(&node, "DELETE", "/node/buckets/photos", &Value::Null).done();
    let bad = json!({ "node": "a b", "batch": 1, "applied_seq": 1 });
    assert_eq!(told(&bad).problem(), (400, "invalid-input".into()));
}
