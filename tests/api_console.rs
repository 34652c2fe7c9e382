//! The console, asked over real TCP as a browser asks it, and attacked as a browser can be made to attack it.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "a test says what it means, and stops where it is wrong")]
#![allow(clippy::disallowed_methods, reason = "a test stands outside and looks at real files")]

use keyledger::api::{Api, ApiOptions, Server, ServerOptions, start};
use keyledger::ledger::{
    Command, CreateAccessKey, InitOptions, Ledger, LedgerOptions, OsDice, Outcome, OwnerName, Target,
};
use keyledger::model::{
    AccessKeyId, AccountId, BucketName, Caller, Event, EventKind, EvidenceRecord, Grant, GrantRole, Identity,
    IdentityKind, Observed, OrgOwner, OrgUid, Outcome as Ended, Rank, Role, Time,
};
use keyledger::state::{KeyStatus, Recorded};
use keyledger::sys::{RealIo, ScriptedClock, SystemClock};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const MINUTE: i64 = 60 * 1_000_000_000;

/// An id and its secret, as a person has them.
#[derive(Debug, Clone)]
struct Key {
    id: AccessKeyId,
    secret: String,
}

/// A server over a ledger with the org `123456789012`, its buckets and its root key, and another org.
struct Served {
    ledger: Arc<Ledger>,
    clock: Arc<ScriptedClock>,
    address: SocketAddr,
    org: OrgUid,
    other: OrgUid,
    root: Key,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
    folder: TempDir,
}

async fn served() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let now = keyledger::sys::Clock::now(&SystemClock).wall_ns;
    let clock = Arc::new(ScriptedClock::at(now));
    let options = InitOptions {
        ledger: LedgerOptions { segment_bytes: 1 << 20, ..LedgerOptions::default() },
        ..InitOptions::default()
    };
    let dice = Box::<OsDice>::default();
    let ledger = Ledger::init_with(Arc::new(RealIo), folder.path(), clock.clone(), dice, &options).unwrap();
    let ledger = Arc::new(ledger);
    let operator = Caller::operator("ops@host");
    let made = start::first(&ledger, &operator, AccountId(123_456_789_012), None).unwrap().unwrap();
    let root = Key { id: made.id, secret: made.secret.unwrap().expose_secret().to_owned() };
    let org = ledger.state().org_by_account(AccountId(123_456_789_012)).unwrap().org;
    let create = Command::CreateOrg {
        name: "others".into(),
        account: Some(AccountId(210_987_654_321)),
        owner: OrgOwner::Operator,
        settings: Box::default(),
    };
    let other = match ledger.execute_blocking(&operator, create, None).unwrap().outcome {
        Outcome::OrgCreated { org, .. } => org,
        other => panic!("{other:?}"),
    };
    for (org, name) in [(org, "photos"), (org, "backups"), (org, "logs"), (other, "theirs")] {
        let bucket = BucketName::parse(name).unwrap();
        ledger.execute_blocking(&operator, Command::RegisterBucket { org, bucket }, None).unwrap();
    }
    let api_options = ApiOptions {
        region: "us-east-1".to_owned(),
        trusted_proxies: Vec::new(),
        dir: folder.path().to_owned(),
        public_url: None,
        provider_key: None,
    };
    let api = Api::new(Arc::clone(&ledger), api_options, Arc::new(RealIo), clock.clone()).unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = ServerOptions { listen, metrics_listen: None, ..ServerOptions::default() };
    let server = Server::bind(Arc::new(api), options).await.unwrap();
    let address = server.address().unwrap();
    let (stop, told) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = told.await;
    }));
    Served { ledger, clock, address, org, other, root, stop, running, folder }
}

impl Served {
    fn done(&self, command: Command) -> Outcome {
        self.ledger.execute_blocking(&Caller::operator("ops@host"), command, None).expect("accepted").outcome
    }

    fn user(&self, name: &str, role: Role) -> Key {
        let (org, user) = (self.org, name.into());
        self.done(Command::CreateUser {
            org,
            name: name.into(),
            path: "".into(),
            external_id: None,
            tags: BTreeMap::new(),
            boundary: None,
        });
        self.done(Command::SetUserRole { org, user, role });
        self.key(org, CreateAccessKey { owner: OwnerName::User(name.into()), ..CreateAccessKey::default() })
    }

    fn key(&self, org: OrgUid, key: CreateAccessKey) -> Key {
        match self.done(Command::CreateKey { org, key: Box::new(key) }) {
            Outcome::KeyCreated(made) => {
                Key { id: made.access_key_id, secret: made.secret.unwrap().expose_secret().to_owned() }
            }
            other => panic!("{other:?}"),
        }
    }

    fn status(&self, id: &AccessKeyId) -> KeyStatus {
        let state = self.ledger.state();
        let key = state.key(id.as_str()).unwrap();
        state.status(&key, self.now())
    }

    fn now(&self) -> keyledger::model::Time {
        keyledger::model::Time(keyledger::sys::Clock::now(&*self.clock).wall_ns)
    }

    fn kinds(&self) -> Vec<EventKind> {
        let frames = self.ledger.reader().frames(1);
        let commits = frames.map(|frame| Recorded::decode(&frame.unwrap()).unwrap());
        commits.flat_map(|commit| commit.commit.events.iter().map(|event| event.kind()).collect::<Vec<_>>()).collect()
    }

    fn count(&self, kind: EventKind) -> usize {
        self.kinds().into_iter().filter(|own| *own == kind).count()
    }

    fn browser(&self) -> Browser {
        Browser { address: self.address, cookies: BTreeMap::new(), agent: "Browser/1.0".to_owned() }
    }

    async fn signed_in(&self, key: &Key) -> Browser {
        let mut browser = self.browser();
        let reply = browser.sign_in(key.id.as_str(), &key.secret).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/console/keys"), "{}", reply.body);
        browser
    }

    /// Stops; what is left is the ledger's folder.
    async fn end(self) -> TempDir {
        self.stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(20), self.running).await.expect("it ends").unwrap();
        self.folder
    }
}

/// Keeps cookies, and sends forms as a page of the console does.
struct Browser {
    address: SocketAddr,
    cookies: BTreeMap<String, String>,
    agent: String,
}

#[derive(Debug)]
struct Page {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    first_byte: Duration,
}

impl Page {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// The value of a hidden field.
    fn hidden(&self, name: &str) -> String {
        let at =
            self.body.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {}", self.body));
        let rest = &self.body[at..];
        rest.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn form(fields: &[(&str, &str)]) -> String {
    fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect::<Vec<_>>().join("&")
}

impl Browser {
    async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Page {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nUser-Agent: {}\r\nContent-Length: {}\r\n",
            self.address,
            self.agent,
            body.len()
        );
        if !self.cookies.is_empty() {
            let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            head = format!("{head}Cookie: {}\r\n", cookies.join("; "));
        }
        for (name, value) in headers {
            head = format!("{head}{name}: {value}\r\n");
        }
        let began = Instant::now();
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
        let mut bytes = vec![0; 1];
        stream.read_exact(&mut bytes).await.unwrap();
        let first_byte = began.elapsed();
        let read = tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut bytes)).await;
        read.expect("it answers in time").unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> =
            lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
        for (_, cookie) in headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Page { status, headers, body: body.to_owned(), first_byte }
    }

    async fn get(&mut self, path: &str) -> Page {
        self.send("GET", path, &[], "").await
    }

    /// A form, as a page of the console's own sends it.
    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let headers = [
            ("Sec-Fetch-Site", "same-origin"),
            ("Origin", "null"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        self.send("POST", path, &headers, &form(fields)).await
    }

    /// [`Browser::post`] with the session's token.
    async fn act(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let csrf = self.get("/console/keys").await.hidden("csrf");
        let fields = [&[("csrf", csrf.as_str())], fields].concat();
        self.post(path, &fields).await
    }

    async fn sign_in(&mut self, id: &str, secret: &str) -> Page {
        let csrf = self.get("/console/sign-in").await.hidden("csrf");
        self.post("/console/sign-in", &[("csrf", &csrf), ("id", id), ("secret", secret)]).await
    }

    /// Makes a key; the page that shows it, and the form that was sent.
    async fn create(&mut self, fields: &[(&str, &str)]) -> (Page, Vec<(String, String)>) {
        let page = self.get("/console/keys/new").await;
        let mut all = vec![("csrf".to_owned(), page.hidden("csrf")), ("token".to_owned(), page.hidden("token"))];
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        (self.again(&all).await, all)
    }

    async fn again(&mut self, fields: &[(String, String)]) -> Page {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post("/console/keys/new", &fields).await
    }
}

/// The text of the element with this id.
fn text_of<'a>(page: &'a Page, id: &str) -> &'a str {
    let at = page.body.find(&format!("id=\"{id}\">")).unwrap_or_else(|| panic!("{id}: {}", page.body));
    page.body[at..].split('>').nth(1).unwrap().split('<').next().unwrap()
}

/// What ends a session.
type End = fn(&Served, &Key);

const PAGES: [&str; 9] = [
    "/console/keys",
    "/console/keys/new",
    "/console/usage",
    "/console/policies",
    "/console/policies/new",
    "/console/simulate",
    "/console/audit",
    "/console/rotation",
    "/console/health",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_key_signs_in_sees_every_page_and_signs_out() {
    let served = served().await;
    let mut browser = served.browser();
    assert_eq!(browser.get("/console/keys").await.header("location"), "/console/sign-in");
    let reply = browser.sign_in(served.root.id.as_str(), &served.root.secret).await;
    assert_eq!((reply.status, reply.header("location")), (303, "/console/keys"));
    let cookie =
        reply.headers.iter().find(|(name, value)| name == "set-cookie" && value.starts_with("keyledger_console="));
    assert!(cookie.unwrap().1.ends_with("; Path=/console; HttpOnly; SameSite=Strict"), "{cookie:?}");
    assert_eq!(served.count(EventKind::SessionOpened), 1);
    for path in PAGES {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"), "{policy}");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("x-frame-options"), "DENY");
        assert_eq!(page.header("cache-control"), "no-store");
        assert!(!page.body.contains(" style=") && !page.body.contains("<style"), "{path}");
        assert_eq!(page.body.matches("<script").count(), 1, "{path}");
    }
    let key = browser.get(&format!("/console/keys/{}", served.root.id)).await;
    assert!(key.status == 200 && key.body.contains("Its life"), "{}", key.body);
    let cookies = browser.cookies.clone();
    assert_eq!(browser.act("/console/sign-out", &[]).await.header("location"), "/console/sign-in");
    assert_eq!(served.count(EventKind::SessionClosed), 1);
    browser.cookies = cookies;
    assert_eq!(browser.get("/console/keys").await.status, 303, "the cookie is nobody's any more");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn styles_and_script_are_sent_once() {
    let served = served().await;
    let mut browser = served.browser();
    for (path, kind) in [("/console/console.css", "text/css"), ("/console/console.js", "text/javascript")] {
        let first = browser.get(path).await;
        assert!(first.status == 200 && first.header("content-type").starts_with(kind), "{first:?}");
        let tag = first.header("etag").to_owned();
        let again = browser.send("GET", path, &[("If-None-Match", &tag)], "").await;
        assert_eq!((again.status, again.body.as_str()), (304, ""));
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_why_a_sign_in_failed_and_what_was_typed_is_not_kept() {
    let served = served().await;
    let revoked = served.user("rose", Role::Admin);
    served.done(Command::RevokeKey { key: revoked.id.clone() });
    let grants = vec![Grant { bucket: None, role: GrantRole::Editor }];
    let scoped = served.key(served.org, CreateAccessKey { grants, ..CreateAccessKey::default() });
    let never = Key { id: AccessKeyId::parse("NQAK0000000000000000").unwrap(), secret: scoped.secret.clone() };
    let wrong = Key { id: served.root.id.clone(), secret: scoped.secret.clone() };
    let swapped = Key { id: AccessKeyId::parse(&scoped.secret).unwrap(), secret: scoped.id.to_string() };
    let mut answers = Vec::new();
    for key in [&revoked, &scoped, &never, &wrong, &swapped] {
        let mut browser = served.browser();
        let began = Instant::now();
        let page = browser.sign_in(key.id.as_str(), &key.secret).await;
        assert!(began.elapsed() >= Duration::from_millis(100), "none is answered sooner than another");
        assert_eq!(page.status, 403);
        assert!(!page.body.contains(key.secret.as_str()) && !page.body.contains(key.id.as_str()));
        answers.push(page.body.replace(&page.hidden("csrf"), ""));
        assert!(!browser.cookies.contains_key("keyledger_console"));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
    assert_eq!(served.count(EventKind::SignInRefused), 5);
    let secret = scoped.secret.clone();
    let folder = served.end().await;
    let mut left = vec![folder.path().to_owned()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{}", path.display());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_is_limited_by_address() {
    let served = served().await;
    let mut browser = served.browser();
    let csrf = browser.get("/console/sign-in").await.hidden("csrf");
    let mut last = 0;
    for n in 0..21 {
        let id = format!("NQAK{n:016}");
        let page = browser.post("/console/sign-in", &[("csrf", &csrf), ("id", &id), ("secret", "x")]).await;
        last = page.status;
        if n == 20 {
            assert_eq!(page.header("retry-after"), "900");
        }
    }
    assert_eq!(last, 429);
    assert_eq!(browser.sign_in(served.root.id.as_str(), &served.root.secret).await.status, 429, "the right secret too");
    served.clock.advance(15 * MINUTE);
    served.signed_in(&served.root).await;
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_dies_with_its_key_its_secret_its_role_its_org_and_by_itself() {
    let served = served().await;
    let ends: [(&str, End); 7] = [
        ("revoke", |served, key| drop(served.done(Command::RevokeKey { key: key.id.clone() }))),
        ("suspend", |served, key| drop(served.done(Command::SuspendKey { key: key.id.clone() }))),
        ("delete", |served, key| drop(served.done(Command::DeleteKey { key: key.id.clone() }))),
        ("secret", |served, key| {
            drop(served.done(Command::RotateSecret { key: key.id.clone(), grace_ns: Some(0) }));
        }),
        ("quarantine", |served, key| {
            drop(served.done(Command::FlagKey { key: key.id.clone(), quarantine: true, note: "".into() }));
        }),
        ("role", |served, _| {
            drop(served.done(Command::SetUserRole { org: served.org, user: "role".into(), role: Role::Member }));
        }),
        ("deny", |served, _| {
            let document =
                r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"keyledger:*","Resource":"*"}}"#;
            let holder = Target::User("deny".into());
            drop(served.done(Command::PutInlinePolicy {
                org: served.org,
                holder,
                name: "no".into(),
                document: document.into(),
            }));
        }),
    ];
    for (name, end) in ends {
        let key = served.user(name, Role::Admin);
        let mut browser = served.signed_in(&key).await;
        assert_eq!(browser.get("/console/keys").await.status, 200);
        let closed = served.count(EventKind::SessionClosed);
        end(&served, &key);
        assert_eq!(browser.get("/console/keys").await.header("location"), "/console/sign-in", "{name}");
        assert_eq!(served.count(EventKind::SessionClosed), closed + 1, "{name}");
    }
    let mut idle = served.signed_in(&served.root).await;
    served.clock.advance(29 * MINUTE);
    assert_eq!(idle.get("/console/keys").await.status, 200);
    served.clock.advance(30 * MINUTE);
    assert_eq!(idle.get("/console/keys").await.status, 303, "idle for half an hour");
    let mut busy = served.signed_in(&served.root).await;
    for _ in 0..47 {
        served.clock.advance(15 * MINUTE);
        assert_eq!(busy.get("/console/keys").await.status, 200);
    }
    served.clock.advance(15 * MINUTE);
    assert_eq!(busy.get("/console/keys").await.status, 303, "twelve hours are over");
    let mut of_org = served.signed_in(&served.root).await;
    served.done(Command::SuspendOrg { org: served.org });
    assert_eq!(of_org.get("/console/keys").await.status, 303);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_once_and_a_form_sent_again_makes_no_second_key() {
    let served = served().await;
    let mut browser = served.signed_in(&served.root).await;
    let fields = [
        ("label", "billing export"),
        ("reach", "some"),
        ("role.photos", "Editor"),
        ("role.logs", "ReadOnly"),
        ("expires", ""),
    ];
    let (made, sent) = browser.create(&fields).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let (id, secret) = (text_of(&made, "made-id").to_owned(), text_of(&made, "made-secret").to_owned());
    assert_eq!((id.len(), secret.len()), (20, 40));
    let endpoint = format!("http://{}", served.address);
    assert!(text_of(&made, "snippet-cli").contains(&secret) && text_of(&made, "snippet-cli").contains(&endpoint));
    let keys = served.ledger.state().key_count();
    let again = browser.again(&sent).await;
    assert_eq!(again.status, 200);
    assert!(again.body.contains(&id) && !again.body.contains(&secret), "the same key, without its secret");
    assert_eq!(served.ledger.state().key_count(), keys);
    for path in ["/console/keys".to_owned(), format!("/console/keys/{id}"), "/console/audit".to_owned()] {
        assert!(!browser.get(&path).await.body.contains(&secret), "{path}");
    }
    let (all, _) = browser.create(&[("label", "everything"), ("reach", "all"), ("all_role", "Editor")]).await;
    assert_eq!(all.status, 200, "{}", all.body);
    let state = served.ledger.state();
    let (two, all) = (state.key(&id).unwrap(), state.key(text_of(&all, "made-id")).unwrap());
    let grant =
        |bucket: Option<&str>, role| Grant { bucket: bucket.map(|name| BucketName::parse(name).unwrap()), role };
    assert_eq!(
        two.rights().grants,
        [grant(Some("logs"), GrantRole::ReadOnly), grant(Some("photos"), GrantRole::Editor)]
    );
    assert_eq!(all.rights().grants, [grant(None, GrantRole::Editor)]);
    let missing = browser.create(&[("label", "nothing"), ("reach", "some")]).await.0;
    assert!(missing.status == 400 && missing.body.contains("Choose at least one bucket."), "{}", missing.body);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_found_paged_revoked_rotated_and_deleted() {
    let served = served().await;
    let mut browser = served.signed_in(&served.root).await;
    for n in 0..120 {
        let label = format!("worker {n:03}").as_str().into();
        served.key(served.org, CreateAccessKey { label, ..CreateAccessKey::default() });
    }
    let mut seen = Vec::new();
    let mut path = "/console/keys?q=worker".to_owned();
    loop {
        let page = browser.get(&path).await;
        seen.extend(page.body.match_indices(">worker ").map(|(at, _)| page.body[at + 8..at + 11].to_owned()));
        let Some(at) = page.body.find("after=NQAK") else { break };
        path = format!("/console/keys?q=worker&after={}", &page.body[at + 6..at + 26]);
    }
    assert_eq!(seen, (0..120).map(|n| format!("{n:03}")).collect::<Vec<_>>(), "no gap, no double");
    assert_eq!(browser.get("/console/keys?after=NQAK0000000000000000").await.status, 400);

    let key = served.key(served.org, CreateAccessKey { label: "ci".into(), ..CreateAccessKey::default() });
    let at = format!("/console/keys/{}", key.id);
    assert_eq!(browser.act(&format!("{at}/suspend"), &[]).await.header("location"), format!("{at}?done=suspended"));
    assert_eq!(served.status(&key.id), KeyStatus::Inactive);
    browser.act(&format!("{at}/resume"), &[]).await;
    let rotated = browser.act(&format!("{at}/rotate"), &[("token", "t-1"), ("grace_hours", "24")]).await;
    assert_eq!(text_of(&rotated, "made-secret").len(), 40);
    assert_eq!(served.status(&key.id), KeyStatus::Rotating);
    let again = browser.act(&format!("{at}/rotate"), &[("token", "t-1"), ("grace_hours", "24")]).await;
    assert!(again.status == 200 && again.body.contains("cannot be shown again"), "{}", again.body);
    browser.act(&format!("{at}/revoke"), &[]).await;
    assert_eq!(served.status(&key.id), KeyStatus::Revoked);
    assert!(
        browser.get("/console/keys?q=ci&status=Revoked").await.body.contains(key.id.as_str()),
        "it stays in the list"
    );
    assert_eq!(browser.act(&format!("{at}/delete"), &[("confirm", "yes")]).await.status, 400);
    assert_eq!(browser.act(&format!("{at}/delete"), &[("confirm", key.id.as_str())]).await.status, 303);
    assert_eq!(served.status(&key.id), KeyStatus::Deleted);
    assert!(!browser.get("/console/keys?q=ci").await.body.contains(key.id.as_str()));
    let gone = browser.get(&at).await;
    assert!(gone.status == 200 && gone.body.contains("key-") && gone.body.contains("Deleted"), "its history is there");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_another_site_sends_changes_nothing() {
    let served = served().await;
    let mut browser = served.signed_in(&served.root).await;
    let victim = served.key(served.org, CreateAccessKey::default());
    let path = format!("/console/keys/{}/revoke", victim.id);
    let csrf = browser.get("/console/keys").await.hidden("csrf");
    let other = served.user("eve", Role::Admin);
    let stolen = served.signed_in(&other).await.get("/console/keys").await.hidden("csrf");
    let host = served.address.to_string();
    let own = format!("http://{host}");
    let good = form(&[("csrf", &csrf)]);
    for (headers, body) in [
        (vec![("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")], good.as_str()),
        (vec![("Sec-Fetch-Site", "same-site"), ("Origin", "null")], &good),
        (vec![("Sec-Fetch-Site", "none")], &good),
        (vec![("Sec-Fetch-Site", "same-origin"), ("Origin", "https://evil.example")], &good),
        (vec![("Origin", "https://evil.example")], &good),
        (vec![("Origin", "null")], &good),
        (vec![("Origin", "http://127.0.0.1.evil.example")], &good),
        (vec![("Origin", own.as_str())], ""),
        (vec![("Origin", own.as_str())], "csrf="),
        (vec![("Origin", own.as_str())], &form(&[("csrf", &stolen)])),
    ] {
        let page = browser.send("POST", &path, &headers, body).await;
        assert_eq!(page.status, 403, "{headers:?} {body}");
    }
    assert_eq!(browser.get(&path).await.status, 404, "a link does nothing");
    assert_eq!(served.status(&victim.id), KeyStatus::Active);
    assert_eq!(browser.send("POST", &path, &[("Origin", &own)], &good).await.status, 303);
    assert_eq!(served.status(&victim.id), KeyStatus::Revoked);
    // A sign-in that another site sends would give a browser somebody else's session.
    let mut fresh = served.browser();
    let fields = form(&[("id", other.id.as_str()), ("secret", &other.secret)]);
    assert_eq!(fresh.send("POST", "/console/sign-in", &[("Origin", &own)], &fields).await.status, 403);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_was_planted_is_nobodys_and_signing_in_replaces_it() {
    let served = served().await;
    let planted = "A".repeat(43);
    let mut browser = served.browser();
    browser.cookies.insert("keyledger_console".to_owned(), planted.clone());
    assert_eq!(browser.get("/console/keys").await.status, 303);
    browser.sign_in(served.root.id.as_str(), &served.root.secret).await;
    let own = browser.cookies["keyledger_console"].clone();
    assert_ne!(own, planted);
    let mut thief = served.browser();
    thief.cookies.insert("keyledger_console".to_owned(), planted);
    assert_eq!(thief.get("/console/keys").await.status, 303);
    browser.sign_in(served.root.id.as_str(), &served.root.secret).await;
    thief.cookies.insert("keyledger_console".to_owned(), own);
    assert_eq!(thief.get("/console/keys").await.status, 303, "signing in anew ends the session before");
    thief.cookies.insert("keyledger_console".to_owned(), "x".repeat(5_000));
    assert_eq!(thief.get("/console/keys").await.status, 303);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_from_outside_is_text_on_every_page() {
    let served = served().await;
    let bad = r#"<script>alert(1)</script>"><img src=x onerror=alert(2)>'"#;
    let tags = BTreeMap::from([(bad.into(), bad.into())]);
    let key = CreateAccessKey { label: bad.into(), description: bad.into(), tags, ..CreateAccessKey::default() };
    let key = served.key(served.org, key);
    served.done(Command::FlagKey { key: key.id.clone(), quarantine: false, note: bad.into() });
    let document = r#"{"Version":"2012-10-17","Id":"</textarea><script>alert(1)</script>","Statement":{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::photos/</pre><script>alert(1)</script>"}}"#;
    served.done(Command::CreatePolicy {
        org: served.org,
        name: "bad".into(),
        path: "/".into(),
        description: bad.into(),
        tags: BTreeMap::new(),
        document: document.into(),
    });
    served.done(Command::AttachPolicy { org: served.org, policy: "bad".into(), to: Target::Key(key.id.clone()) });
    let mut browser = served.browser();
    browser.agent = bad.to_owned();
    browser.sign_in(served.root.id.as_str(), &served.root.secret).await;
    browser.act(&format!("/console/keys/{}/label", key.id), &[("label", &format!("{bad}!"))]).await;
    let (at, query) = (format!("/console/keys/{}", key.id), encoded(bad));
    let mut paths: Vec<String> = PAGES.map(str::to_owned).to_vec();
    paths.extend([
        at.clone(),
        format!("{at}/investigation"),
        format!("/console/keys/{}/investigation", served.root.id),
        "/console/policies/bad".to_owned(),
        format!("/console/keys?q={query}&bucket={query}"),
        format!("{at}?at={query}&done={query}"),
        format!("/console/audit?key={query}&address={query}&user={query}"),
        format!("/console/audit?key={}", key.id),
        format!("/console/simulate?action={query}&resource={query}&document={query}&context={query}&key={query}"),
        format!("/console/simulate?action=s3%3AGetObject&resource={query}&policy=bad"),
        format!("/console/simulate?action=s3%3AGetObject&resource=arn%3Aaws%3As3%3A%3A%3Aphotos%2Fa&key={}", key.id),
        format!("/console/keys/{query}"),
        format!("/console/policies/{query}"),
        format!("/console/{query}"),
    ]);
    for path in paths {
        let page = browser.get(&path).await;
        assert!(page.status < 500, "{path}: {}", page.body);
        let body = page.body.to_lowercase();
        for raw in ["<script>", "<img", "</textarea><script", "</pre><script"] {
            assert!(!body.contains(raw), "{path} has {raw}: {body}");
        }
        assert_eq!(body.matches("<script").count(), 1, "{path}");
    }
    let list = browser.get("/console/keys").await.body;
    assert!(list.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "it is shown as what it is");
    let checked = browser.act("/console/policies/new", &[("name", bad), ("do", "check"), ("document", bad)]).await;
    assert!(checked.status == 400 && !checked.body.contains("<img"), "{}", checked.body);
    let said = browser
        .act(
            "/console/policies/new",
            &[("name", "p"), ("do", "check"), ("document", &document.replace("Allow", "Perhaps"))],
        )
        .await;
    assert!(
        said.body.contains("Statement.Effect") && said.body.contains("Perhaps"),
        "path, found, expected: {}",
        said.body
    );
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_leads_a_browser_away() {
    let served = served().await;
    let mut browser = served.signed_in(&served.root).await;
    let mut nobody = served.browser();
    for path in [
        "/console//evil.example",
        "/console/sign-in?next=https://evil.example",
        "/console/keys?done=https://evil.example",
        "/console/%2f%2fevil.example",
        "/console/\\evil.example",
        "/console",
    ] {
        for browser in [&mut browser, &mut nobody] {
            let page = browser.get(path).await;
            let to = page.header("location");
            assert!(to.is_empty() || to.starts_with("/console/"), "{path} leads to {to}");
            assert!(!page.body.contains("href=\"https://evil") && !page.body.contains("href=\"//"), "{path}");
        }
    }
    let key = served.key(served.org, CreateAccessKey::default());
    let act = format!("/console/keys/{}/suspend", key.id);
    let page = browser.act(&act, &[("next", "https://evil.example"), ("done", "//evil.example")]).await;
    assert!(page.header("location").starts_with("/console/keys/"));
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_another_org_looks_as_if_it_never_was() {
    let served = served().await;
    let theirs =
        served.key(served.other, CreateAccessKey { label: "theirs alone".into(), ..CreateAccessKey::default() });
    served.done(Command::CreatePolicy {
        org: served.other,
        name: "their-policy".into(),
        path: "/".into(),
        description: "theirs alone".into(),
        tags: BTreeMap::new(),
        document: r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#.into(),
    });
    let mut browser = served.signed_in(&served.root).await;
    let never = "NQAK0000000000000000";
    let plain = |page: &Page, id: &str| (page.status, page.body.replace(id, "ID"));
    for tail in ["", "/investigation", "?at=7d"] {
        let foreign = browser.get(&format!("/console/keys/{}{tail}", theirs.id)).await;
        let unknown = browser.get(&format!("/console/keys/{never}{tail}")).await;
        assert_eq!(foreign.status, 404);
        assert_eq!(plain(&foreign, theirs.id.as_str()), plain(&unknown, never), "{tail}");
    }
    for act in ["revoke", "suspend", "delete", "rotate", "rotate-secret", "label", "flag", "clear", "retire", "nothing"]
    {
        let fields = [("confirm", theirs.id.as_str()), ("token", "t"), ("label", "mine")];
        let foreign = browser.act(&format!("/console/keys/{}/{act}", theirs.id), &fields).await;
        let unknown = browser.act(&format!("/console/keys/{never}/{act}"), &fields).await;
        assert_eq!((foreign.status, unknown.status), (404, 404), "{act}");
        assert_eq!(plain(&foreign, theirs.id.as_str()), plain(&unknown, never), "{act}");
    }
    assert_eq!(browser.get("/console/policies/their-policy").await.status, 404);
    let attach = [("label", "x"), ("reach", "policies"), ("policy", "their-policy")];
    assert_eq!(browser.create(&attach).await.0.status, 404);
    assert_eq!(served.status(&theirs.id), KeyStatus::Active);
    for path in [
        "/console/keys".to_owned(),
        "/console/keys?q=theirs".to_owned(),
        "/console/keys/new".to_owned(),
        "/console/audit".to_owned(),
        format!("/console/audit?key={}", theirs.id),
        "/console/rotation".to_owned(),
        "/console/usage".to_owned(),
        "/console/policies".to_owned(),
        format!("/console/keys/{}/investigation", served.root.id),
    ] {
        let body = browser.get(&path).await.body;
        let shown = if path.contains("?key=") { body.replacen(theirs.id.as_str(), "", 1) } else { body };
        for word in [theirs.id.as_str(), "theirs alone", "their-policy", "210987654321", ">theirs<"] {
            assert!(!shown.contains(word), "{path} has {word}");
        }
    }
    served.end().await;
}

/// What CloudTrail recorded: one call a second by a key, from two addresses, every tenth of them denied.
fn import(served: &Served, account: u64, key: &AccessKeyId, records: u32) {
    let began = Time::parse("2026-03-01T00:00:00Z").unwrap();
    let record = |n: u32| EvidenceRecord {
        event_id: [&[0; 12][..], &n.to_le_bytes()].concat().try_into().unwrap(),
        effective_at: began.plus_ns(i64::from(n) * 1_000_000_000),
        rank: Rank::Observed,
        identity: Identity {
            kind: IdentityKind::User,
            name: "backup-<robot>".into(),
            arn: None,
            account: Some(AccountId(account)),
            key: Some(key.clone()),
        },
        event_source: "s3.amazonaws.com".into(),
        event_name: if n.is_multiple_of(4) { "ListBuckets" } else { "GetObject" }.into(),
        region: "eu-west-1".into(),
        source_ip: if n.is_multiple_of(3) { "203.0.113.9" } else { "198.51.100.23" }.into(),
        user_agent: "aws-cli/2.1".into(),
        request_id: "".into(),
        read_only: true,
        outcome: if n.is_multiple_of(10) { Ended::Denied { code: "AccessDenied".into() } } else { Ended::Ok },
    };
    let call = |n| {
        Event::EvidenceObserved(Arc::new(Observed {
            record: record(n),
            bucket: BucketName::parse("imported-bucket").ok(),
            resource: None,
            issued_key: None,
            issued_for: None,
            bytes_in: 0,
            bytes_out: 0,
            error_message: None,
        }))
    };
    for from in (0..records).step_by(500) {
        let events = (from..records.min(from + 500)).map(call).collect();
        let (account, source) = (AccountId(account), "trail/2026.json.gz".into());
        served.done(Command::ImportEvidence { account, source, events, duplicates: 0, rejected: 0 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_records_are_told_beside_a_keys_own_life_to_those_who_see_all_of_its_account() {
    let served = served().await;
    let key = served.user("alice", Role::Member);
    let outside = AccessKeyId::parse("AKIAIMPORTEDONLY0001").unwrap();
    import(&served, 123_456_789_012, &key.id, 40);
    import(&served, 123_456_789_012, &outside, 3);
    import(&served, 999_999_999_999, &AccessKeyId::parse("AKIAOFANOTHERACCOUNT").unwrap(), 3);
    let mut root = served.signed_in(&served.root).await;
    for tail in ["", "/investigation"] {
        let page = root.get(&format!("/console/keys/{}{tail}", key.id)).await.body;
        for said in [
            "In imported records",
            "Not seen by this server",
            "account 123456789012",
            "s3:GetObject",
            "user backup-&lt;robot&gt;",
            "203.0.113.9",
            "aws-cli/2.1",
            "imported-bucket",
            "The newest 20 of 40",
        ] {
            assert!(page.contains(said), "{tail} says nothing of {said}: {page}");
        }
        assert!(
            page.contains("Never used") || page.contains("never used"),
            "{tail}: they are not uses of ours: {page}"
        );
    }
    let page = root.get(&format!("/console/keys/{}/investigation?since=2026-03-01T00:00:30Z", key.id)).await.body;
    assert!(page.contains("<dt>Records</dt><dd>10</dd>"), "{page}");
    let page = root.get(&format!("/console/keys/{outside}")).await;
    assert!(
        page.status == 200 && page.body.contains("no key of this org") && page.body.contains("s3:ListBuckets"),
        "{page:?}"
    );
    assert!(!page.body.contains("Revoke this key"), "{}", page.body);

    let page = served.signed_in(&key).await.get(&format!("/console/keys/{}", key.id)).await.body;
    assert!(page.contains("Its life") && !page.contains("imported records"), "a Member is told: {page}");
    let never = root.get("/console/keys/NQAK0000000000000000").await.status;
    let theirs = served.key(
        served.other,
        CreateAccessKey { grants: vec![Grant { bucket: None, role: GrantRole::Admin }], ..CreateAccessKey::default() },
    );
    for (key, id) in [(&served.root, "AKIAOFANOTHERACCOUNT"), (&theirs, outside.as_str()), (&theirs, key.id.as_str())] {
        assert_eq!(served.signed_in(key).await.get(&format!("/console/keys/{id}")).await.status, never, "{id}");
    }

    // An account id that a provider's org was given says nothing of AWS.
    served.done(Command::CreateProvider { provider: "acme".into(), key_hash: [7; 32], explicit_orgs: true });
    let owner = OrgOwner::Provider { provider: "acme".into(), external_id: "x".into() };
    let create = Command::CreateOrg {
        name: "provided".into(),
        account: Some(AccountId(999_999_999_999)),
        owner,
        settings: Box::default(),
    };
    let Outcome::OrgCreated { org, .. } = served.done(create) else { panic!() };
    let provided = served.key(
        org,
        CreateAccessKey { grants: vec![Grant { bucket: None, role: GrantRole::Admin }], ..CreateAccessKey::default() },
    );
    let page = served.signed_in(&provided).await.get("/console/keys/AKIAOFANOTHERACCOUNT").await;
    assert_eq!(page.status, never, "{}", page.body);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_sees_and_changes_its_own_keys_and_an_auditor_changes_nothing() {
    let served = served().await;
    let (ann, max) = (served.user("ann", Role::Member), served.user("max", Role::Auditor));
    let others = served.key(served.org, CreateAccessKey { label: "not hers".into(), ..CreateAccessKey::default() });
    let mut member = served.signed_in(&ann).await;
    let list = member.get("/console/keys").await.body;
    assert!(list.contains(ann.id.as_str()) && !list.contains(others.id.as_str()));
    for path in [
        "/console/usage",
        "/console/policies",
        "/console/audit",
        "/console/rotation",
        "/console/health",
        "/console/simulate",
    ] {
        assert_eq!(member.get(path).await.status, 403, "{path}");
    }
    assert_eq!(member.get(&format!("/console/keys/{}", others.id)).await.status, 404);
    assert_eq!(member.act(&format!("/console/keys/{}/revoke", others.id), &[]).await.status, 404);
    assert_eq!(member.get(&format!("/console/keys/{}", ann.id)).await.status, 200);
    let label = member.act(&format!("/console/keys/{}/label", ann.id), &[("label", "laptop")]).await;
    assert_eq!(label.status, 303, "{}", label.body);
    let mut auditor = served.signed_in(&max).await;
    for path in ["/console/usage", "/console/policies", "/console/audit", "/console/rotation", "/console/health"] {
        assert_eq!(auditor.get(path).await.status, 200, "{path}");
    }
    assert_eq!(auditor.get("/console/keys/new").await.status, 403);
    assert_eq!(auditor.act(&format!("/console/keys/{}/revoke", others.id), &[]).await.status, 403);
    assert_eq!(auditor.act("/console/policies/new", &[("name", "p"), ("document", "{}")]).await.status, 403);
    assert_eq!(served.status(&others.id), KeyStatus::Active);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_checked_stored_changed_simulated_and_deleted() {
    let served = served().await;
    let mut browser = served.signed_in(&served.root).await;
    let read = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
    let checked =
        browser.act("/console/policies/new", &[("name", "reader"), ("do", "check"), ("document", read)]).await;
    assert!(checked.status == 200 && checked.body.contains("The document is good"), "{}", checked.body);
    assert_eq!(browser.get("/console/policies/reader").await.status, 404, "checking keeps nothing");
    let made = browser.act("/console/policies/new", &[("name", "reader"), ("do", "save"), ("document", read)]).await;
    assert_eq!(made.header("location"), "/console/policies/reader?done=policy-created", "{}", made.body);
    let twice = browser.act("/console/policies/new", &[("name", "reader"), ("do", "save"), ("document", read)]).await;
    assert!(twice.status == 400 && twice.body.contains("already exists"), "{}", twice.body);
    let write = read.replace("s3:GetObject", "s3:PutObject");
    let changed = browser.act("/console/policies/reader/version", &[("do", "save"), ("document", &write)]).await;
    assert_eq!(changed.status, 303, "{}", changed.body);
    let asked = "/console/simulate?action=s3%3APutObject&resource=arn%3Aaws%3As3%3A%3A%3Aphotos%2Fa&policy=reader";
    assert!(browser.get(asked).await.body.contains(">Allow<"));
    browser.act("/console/policies/reader/default", &[("version", "1")]).await;
    assert!(browser.get(asked).await.body.contains(">ImplicitDeny<"));
    assert_eq!(browser.act("/console/policies/reader/delete", &[("confirm", "no")]).await.status, 400);
    assert_eq!(browser.act("/console/policies/reader/delete", &[("confirm", "reader")]).await.status, 303);
    assert_eq!(browser.get("/console/policies/reader").await.status, 404);
    served.end().await;
}

/// The health page once what was asked for has ended.
async fn verified(served: &Served, browser: &mut Browser) -> String {
    let reply = browser.act("/console/health/verify", &[]).await;
    assert_eq!((reply.status, reply.header("location")), (303, "/console/health?done=verifying"), "{}", reply.body);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let page = browser.get("/console/health").await.body;
        if page.contains("Last verified") && !page.contains("Running") {
            return page;
        }
        assert!(Instant::now() < deadline, "{page} {}", served.address);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_verified_when_it_is_asked_for_and_damage_is_shown_while_changes_go_on() {
    let served = served().await;
    let (auditor, member) = (served.user("audra", Role::Auditor), served.user("mel", Role::Member));
    let mut browser = served.signed_in(&auditor).await;
    assert!(browser.get("/console/health").await.body.contains("Not verified since the server started"));
    let page = verified(&served, &mut browser).await;
    assert!(page.contains("Whole") && page.contains("Up to commit"), "{page}");
    let refused = served.signed_in(&member).await.act("/console/health/verify", &[]).await;
    assert_eq!(refused.status, 403);
    let forged = browser.post("/console/health/verify", &[("csrf", "guess")]).await;
    assert_eq!(forged.status, 403);

    // A bit of the first commit, which nobody reads any more.
    let segment = served.folder.path().join("log");
    let segment = std::fs::read_dir(segment).unwrap().map(|file| file.unwrap().path()).min().unwrap();
    let file = std::fs::File::options().read(true).write(true).open(&segment).unwrap();
    let mut byte = [0];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut byte, 4096 + 90).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[byte[0] ^ 1], 4096 + 90).unwrap();
    let page = verified(&served, &mut browser).await;
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert!(page.contains("The ledger is not whole") && page.contains("Damaged"), "{page}");
    assert!(page.contains(&format!("log/{name}")), "{page}");
    assert!(!page.contains(served.folder.path().to_str().unwrap()), "it says where the ledger is: {page}");
    assert!(page.contains("The ledger takes changes"), "{page}");
    served.user("later", Role::Member);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_refused_in_a_page() {
    let served = served().await;
    let mut browser = served.signed_in(&served.root).await;
    let large = browser.post("/console/keys/new", &[("label", &"x".repeat(2 << 20))]).await;
    assert!(large.status == 413 && large.body.contains("<!DOCTYPE html>"), "{}", large.status);
    let fields: Vec<(String, String)> = (0..2_000).map(|n| (format!("f{n}"), "x".to_owned())).collect();
    assert_eq!(browser.again(&fields).await.status, 400);
    let long = browser.create(&[("label", &"x".repeat(257)), ("reach", "all"), ("all_role", "Editor")]).await.0;
    assert!(long.status == 400 && long.body.contains("at most 256 characters"), "{}", long.body);
    let headers = [("Sec-Fetch-Site", "same-origin")];
    assert_eq!(browser.send("POST", "/console/keys/new", &headers, "csrf=%ff").await.status, 400);
    assert_eq!(browser.send("PUT", "/console/keys", &headers, "").await.status, 405);
    for path in [
        "/console/audit?before=x",
        "/console/audit?since=yesterday",
        "/console/audit?kind=nope",
        "/console/keys?after=%00",
    ] {
        assert_eq!(browser.get(path).await.status, 400, "{path}");
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_key_with_ten_thousand_events_are_small_and_tell_of_all() {
    let served = served().await;
    let key = served.user("busy", Role::Admin);
    let caller = Caller::operator("ops@host");
    let tickets: Vec<_> = (0..10_000)
        .map(|n: u32| {
            let set = BTreeMap::from([("n".into(), n.to_string().as_str().into())]);
            let command = Command::TagKey { key: key.id.clone(), set, remove: Vec::new() };
            let ticket = served.ledger.submit(caller.clone(), command, None);
            if n % 512 == 511 {
                Some(ticket)
            } else {
                drop(ticket);
                None
            }
        })
        .collect();
    tickets.into_iter().flatten().for_each(|ticket| drop(ticket.wait()));
    import(&served, 123_456_789_012, &key.id, 10_000);
    let mut browser = served.signed_in(&served.root).await;
    for tail in ["", "/investigation"] {
        let path = format!("/console/keys/{}{tail}", key.id);
        let page = browser.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.body);
        assert!(page.body.len() <= 200_000, "{} bytes", page.body.len());
        assert!(page.body.contains("of 10,00"), "all of them are told of: {}", page.body);
        assert!(page.body.contains("The newest 20 of 10,000"), "and of all that was imported: {}", page.body);
        println!("{path}: {} bytes, first byte after {:?}", page.body.len(), page.first_byte);
    }
    served.end().await;
}
