//! tests/endpoint.rs: the command line through a server says what it says in the ledger's folder, and loses nothing with an answer.
//!
//! Not here: the routes themselves (`api_native`).
#![cfg(feature = "cli")]
#![allow(clippy::disallowed_methods, reason = "a test stands outside and starts real programs")]

mod common;

use common::{Ledger, Ran, program, ran, text};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

/// `keyledger serve`, until the test ends.
struct Server {
    process: Child,
    endpoint: String,
    id: String,
    secret: String,
    ledger: Ledger,
}

impl Server {
    fn start() -> Self {
        let ledger = Ledger::none();
        let serve = ["--json", "serve", "--listen", "127.0.0.1:0", "--metrics-listen", "off"];
        let mut process =
            ledger.command(&serve).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the server starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let started: Value = serde_json::from_str(&line).expect("JSON");
        let field = |name| text(&started, name);
        let (endpoint, id, secret) = (field("endpoint"), field("access_key_id"), field("secret_access_key"));
        Self { process, endpoint, id, secret, ledger }
    }

    /// The program, with the root's key in its environment and no ledger of its own.
    fn command(&self, endpoint: &str, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(["--ledger", "/nowhere", "--endpoint", endpoint]).args(arguments);
        command.env("AWS_ACCESS_KEY_ID", &self.id).env("AWS_SECRET_ACCESS_KEY", &self.secret);
        command
    }

    fn run(&self, arguments: &[&str], input: &str) -> Ran {
        said(self.command(&self.endpoint, arguments), input)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn said(mut command: Command, input: &str) -> Ran {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the program starts");
    // A program that does not read is no failure of the test's.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    ran(child.wait_with_output().expect("the program ends"))
}

/// An answer without what differs from run to run: ids, times and commits.
fn comparable(value: &Value, ids: &[String]) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| {
                let passing = ["date", "seq", "changed_seq", "user_id", "group_id", "policy_id", "keys", "usable_keys"];
                !name.ends_with("_at") && !passing.contains(&name.as_str())
            });
            kept.map(|(name, value)| (name.clone(), comparable(value, ids))).collect()
        }
        Value::Array(items) => items.iter().map(|item| comparable(item, ids)).collect(),
        Value::String(text) if text.len() == 40 => "a secret".into(),
        Value::String(text) if text.starts_with("klt_") => "a token".into(),
        Value::String(text) => ids.iter().fold(text.clone(), |text, id| text.replace(id, "KEY")).into(),
        other => other.clone(),
    }
}

#[test]
fn every_change_says_through_a_server_what_it_says_in_the_folder() {
    let (server, here) = (Server::start(), Ledger::new());
    let document = here.file("policy.json", POLICY);
    let mut ids = [Vec::new(), Vec::new()];
    // `{0}` is the first key that was made, `{1}` the second, and so on.
    let commands: Vec<Vec<&str>> = vec![
        vec!["user", "create", "alice", "--tag", "team=storage", "--path", "/apps/"],
        vec!["user", "create", "alice"],
        vec!["user", "update", "alice", "--name", "alicia"],
        vec!["user", "set-role", "alicia", "Admin"],
        vec!["user", "tag", "alicia", "a=b"],
        vec!["user", "untag", "alicia", "a"],
        vec!["user", "put-policy", "alicia", "home", "--document", &document],
        vec!["user", "delete-policy", "alicia", "home"],
        vec!["user", "set-role", "nobody", "Admin"],
        vec!["group", "create", "readers"],
        vec!["group", "add-member", "readers", "alicia"],
        vec!["group", "put-policy", "readers", "shared", "--document", &document],
        vec!["policy", "create", "read", "--document", &document, "--tag", "x=y"],
        vec!["policy", "new-version", "read", "--document", &document, "--default"],
        vec!["policy", "set-default", "read", "v1"],
        vec!["policy", "delete-version", "read", "v2", "--yes"],
        vec!["policy", "tag", "read", "a=b"],
        vec!["policy", "attach", "read", "--group", "readers"],
        vec!["policy", "attach", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess", "--user", "alicia"],
        vec!["user", "boundary", "alicia", "read"],
        vec!["bucket", "create", "logs"],
        vec!["key", "create", "--user", "alicia", "--label", "laptop", "--tag", "a=b", "--expires-in", "90d"],
        vec!["key", "create", "--grant", "logs=ReadOnly", "--policy", "read", "--default-allow"],
        vec!["key", "create", "--bucket", "logs"],
        vec!["key", "create", "--policy", "nothing"],
        vec!["key", "label", "{0}", "phone"],
        vec!["key", "label", "{0}", "phone"],
        vec!["key", "describe", "{0}", "the one in the drawer"],
        vec!["key", "tag", "{0}", "c=d"],
        vec!["key", "untag", "{0}", "c"],
        vec!["key", "grant", "{0}", "*=Editor", "logs=ReadOnly"],
        vec!["key", "attach", "{0}", "read"],
        vec!["key", "detach", "{0}", "read"],
        vec!["key", "default-allow", "{0}", "yes"],
        vec!["key", "expire", "{0}", "--never"],
        vec!["key", "suspend", "{0}"],
        vec!["key", "resume", "{0}"],
        vec!["key", "flag", "{0}", "--quarantine", "--note", "seen"],
        vec!["key", "clear", "{0}"],
        vec!["key", "rotate", "{0}", "--in-place", "--grace", "1h"],
        vec!["key", "retire", "{0}"],
        vec!["key", "rotate", "{0}", "--grace", "0s"],
        vec!["token", "create", "--key", "{1}"],
        vec!["key", "revoke", "{0}"],
        vec!["key", "resume", "{0}"],
        vec!["key", "delete", "{0}", "--yes"],
        vec!["key", "suspend", "NQAKNNNNNNNNNNNNNNNN"],
        vec!["bucket", "delete", "logs"],
        vec!["policy", "detach", "read", "--group", "readers"],
        vec!["policy", "delete", "read", "--yes"],
        vec!["policy", "delete", "read", "--force", "--yes"],
        vec!["group", "delete", "readers", "--yes"],
        vec!["group", "remove-member", "readers", "alicia"],
        vec!["org", "update", "--alias", "acme"],
    ];
    for command in &commands {
        let [there, local] = [0, 1].map(|side| {
            let known: &Vec<String> = &ids[side];
            let filled = command.iter().map(|word| {
                known.iter().enumerate().fold((*word).to_owned(), |word, (n, id)| word.replace(&format!("{{{n}}}"), id))
            });
            let filled: Vec<String> = filled.chain(["--json".to_owned()]).collect();
            let words: Vec<&str> = filled.iter().map(String::as_str).collect();
            if side == 0 { server.run(&words, "") } else { here.run(&words) }
        });
        assert_eq!(there.code, local.code, "{command:?}\n{}\n{}", there.stderr, local.stderr);
        assert!(!there.stderr.contains(&server.secret));
        if there.code != 0 {
            continue;
        }
        let (there, local) = (&there.lines()[0], &local.lines()[0]);
        for (side, row) in [there, local].into_iter().enumerate() {
            let id = row["access_key_id"].as_str().filter(|id| !ids[side].iter().any(|known| known == id));
            ids[side].extend(id.map(str::to_owned));
        }
        assert_eq!(comparable(there, &ids[0]), comparable(local, &ids[1]), "{command:?}");
    }
    assert!(ids[0].len() >= 4);

    let csv = "access_key_id,secret_access_key,label,status\nAKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY,old,inactive\n";
    let imported = server.run(&["import", "keys", "-", "--json"], csv);
    assert_eq!(imported.code, 0, "{}", imported.stderr);
    assert_eq!(imported.lines()[0]["result"], "imported");
    let again = server.run(&["import", "keys", "-", "--json"], csv);
    assert_eq!((again.code, &again.lines()[0]["result"]), (4, &"rejected".into()), "an id is never used again");
    let opened = server.run(&["token", "create", "--key", "AKIAIOSFODNN7EXAMPLE"], "");
    assert_eq!(opened.code, 4, "it is suspended: {}", opened.stderr);
    let opened = server.run(&["token", "create", "--key", &server.id, "--json"], "");
    let token = text(&opened.lines()[0], "token");
    let closed = server.run(&["token", "close", "--json"], &token);
    assert_eq!((closed.code, text(&closed.lines()[0], "access_key_id")), (0, server.id.clone()), "{}", closed.stderr);
    let log = server.ledger.json(&["audit", "log", "--kind", "user-created", "--dialect", "native"]);
    assert_eq!(log.len(), 1);
}

#[test]
fn a_held_ledger_names_the_way_and_what_only_the_operator_does_is_not_sent() {
    let server = Server::start();
    let held = server.ledger.run(&["user", "create", "bob"]);
    assert_eq!(held.code, 5);
    assert!(held.stderr.contains("--endpoint") && held.stderr.contains("http://127.0.0.1"), "{}", held.stderr);
    for command in
        [&["org", "create", "222222222222"][..], &["partner", "create", "acme"], &["org", "suspend"], &["key", "list"]]
    {
        let refused = server.run(command, "");
        assert_eq!(refused.code, 2, "{command:?} {}", refused.stderr);
        assert!(refused.stderr.contains("--endpoint"), "{}", refused.stderr);
    }
    assert_eq!(server.run(&["--reason", "ticket 7", "user", "create", "bob"], "").code, 0);
    let log = server.ledger.json(&["audit", "log", "--kind", "user-created"]);
    assert_eq!(log[0]["reason"], "ticket 7");
}

#[test]
fn credentials_are_found_as_aws_tools_find_them() {
    let server = Server::start();
    let file = server.ledger.file(
        "credentials",
        &format!(
            "[default]\nregion=x\n[work]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            server.id, server.secret
        ),
    );
    let run = |variables: &[(&str, &str)], name: &str| {
        let mut command = program();
        command.args(["--ledger", "/nowhere", "user", "create", name]).env("KEYLEDGER_ENDPOINT", &server.endpoint);
        command.env("HOME", "/nowhere").envs(variables.iter().copied());
        said(command, "")
    };
    assert_eq!(run(&[("AWS_SHARED_CREDENTIALS_FILE", &file), ("AWS_PROFILE", "work")], "ada").code, 0);
    for variables in
        [&[][..], &[("AWS_ACCESS_KEY_ID", "NQAKNNNNNNNNNNNNNNNN")], &[("AWS_SHARED_CREDENTIALS_FILE", &file)]]
    {
        let refused = run(variables, "bob");
        assert_eq!(refused.code, 2, "{variables:?} {}", refused.stderr);
        assert!(!refused.stderr.contains(&server.secret), "{}", refused.stderr);
    }
    let wrong = [("AWS_ACCESS_KEY_ID", server.id.as_str()), ("AWS_SECRET_ACCESS_KEY", "hunter2")];
    let refused = run(&wrong, "bob");
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
}

/// A way to a server that loses the first `losing` answers: each request arrives, and the connection breaks off before its answer.
struct Losing {
    endpoint: String,
    carrying: JoinHandle<usize>,
}

impl Losing {
    fn to(server: &Server, losing: usize, connections: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let there = server.endpoint.strip_prefix("http://").expect("HTTP").to_owned();
        let carrying = std::thread::spawn(move || {
            for number in 0..connections {
                let (mut here, _) = listener.accept().expect("a client");
                let mut there = TcpStream::connect(&there).expect("the server");
                there.write_all(&message(&mut here)).expect("the request goes on");
                let answer = message(&mut there);
                assert!(answer.starts_with(b"HTTP/1.1 20"), "{}", String::from_utf8_lossy(&answer));
                if number >= losing {
                    here.write_all(&answer).expect("the answer arrives");
                }
            }
            connections
        });
        Self { endpoint, carrying }
    }
}

/// One HTTP message with its body.
fn message(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).expect("a head"), 1);
        bytes.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let mut body = vec![0; length.and_then(|text| text.parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut body).expect("a body");
    [bytes, body].concat()
}

#[test]
fn an_answer_that_is_lost_makes_no_second_key_and_is_said_to_be_lost() {
    let server = Server::start();
    let way = Losing::to(&server, 1, 2);
    let made = said(server.command(&way.endpoint, &["key", "create", "--label", "once", "--json"]), "");
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert_eq!(way.carrying.join().expect("both were carried"), 2);
    assert_eq!(made.lines()[0]["secret_access_key"], Value::Null);
    assert!(made.stderr.contains("rotate the key or delete it"), "{}", made.stderr);
    let all = Losing::to(&server, 4, 4);
    let lost = said(server.command(&all.endpoint, &["user", "create", "bob"]), "");
    assert_eq!(lost.code, 6, "{}", lost.stderr);
    assert!(lost.stderr.contains("unknown"), "{}", lost.stderr);
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let refused = said(server.command(&format!("http://{nobody}"), &["user", "create", "carol"]), "");
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let named = |kind| server.ledger.json(&["audit", "log", "--kind", kind, "--dialect", "native"]).len();
    assert_eq!((named("key-created"), named("user-created")), (1, 1), "each was done once");
}
