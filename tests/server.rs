//! What the server does when clients are many, slow or large, when its log has failed, and when time passes: it says so, and goes on.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "a test says what it means, and stops where it is wrong")]

mod served;

use keyledger::api::{ServerOptions, start};
use keyledger::ledger::{Command, CreateAccessKey, InitOptions, Ledger, OsDice, Outcome};
use keyledger::model::{AccountId, Caller, OrgOwner, Time};
use keyledger::sigv4::{Request, Rules, Signer, amz_date, sign_headers};
use keyledger::sys::{Clock as _, RealIo, ScriptedClock, SimDisk, SystemClock};
use served::{reply, serve, served};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const ASK: &str = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
/// A body that does not come.
const SLOW: &str = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_are_taken_are_turned_away_and_told_when_to_come_back() {
    let served = served(ServerOptions { requests_max: 1, ..ServerOptions::default() }).await;
    // The slow one may come second and be turned away itself: then another one tries.
    let (mut first, busy) = loop {
        let first = served.connect(SLOW).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let answer = served.ask(ASK).await;
        if answer.starts_with("HTTP/1.1 503") {
            break (first, answer);
        }
    };
    assert!(busy.contains("retry-after: 1") && busy.contains("<Code>ServiceUnavailable</Code>"), "{busy}");
    let health = served.ask("GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(health.starts_with("HTTP/1.1 200"), "health is answered all the same: {health}");
    first.write_all(b"Action=x&").await.unwrap();
    let first = reply(first).await;
    assert!(first.starts_with("HTTP/1.1 403") && first.contains("MissingAuthenticationToken"), "{first}");
    assert!(served.ask(ASK).await.starts_with("HTTP/1.1 403"), "there is room again");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_large_bodies_end_in_the_words_of_their_dialect() {
    let body_within = Duration::from_millis(200);
    let served = served(ServerOptions { body_within, body_bytes_max: 100, ..ServerOptions::default() }).await;
    let slow = served.ask(SLOW).await;
    assert!(slow.starts_with("HTTP/1.1 408") && slow.contains("<Code>RequestTimeout</Code>"), "{slow}");
    let large = served.ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n").await;
    assert!(large.starts_with("HTTP/1.1 413") && large.contains("x-amzn-requestid: "), "{large}");
    let chunked = format!("65\r\n{}\r\n0\r\n\r\n", "a".repeat(0x65));
    let head = "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: Lightsail_20161128.GetBuckets\r\nTransfer-Encoding: chunked\r\n\r\n";
    let large = served.ask(&format!("{head}{chunked}")).await;
    assert!(large.starts_with("HTTP/1.1 413") && large.contains(r#""__type":"SerializationException""#), "{large}");
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(70_000));
    assert!(served.ask(&head).await.starts_with("HTTP/1.1 431"));
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_end_costs_its_own_connection_alone() {
    let head_within = Duration::from_millis(200);
    let served = served(ServerOptions { head_within, ..ServerOptions::default() }).await;
    let slow = served.connect("POST / HTTP/1.1\r\nHost: ").await;
    assert!(served.ask(ASK).await.starts_with("HTTP/1.1 403"));
    let answer = reply(slow).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_turns_readiness_red_while_reads_and_revokes_go_on() {
    let (disk, dir) = (SimDisk::new(), Path::new("/ledger"));
    let (clock, dice) = (Arc::new(SystemClock), Box::<OsDice>::default());
    let ledger = Ledger::init_with(disk.io(), dir, clock, dice, &InitOptions::default()).unwrap();
    let ledger = Arc::new(ledger);
    let me = Caller::operator("test");
    let org =
        Command::CreateOrg { name: "a".into(), account: None, owner: OrgOwner::Operator, settings: Box::default() };
    let Outcome::OrgCreated { org, .. } = ledger.execute_blocking(&me, org, None).unwrap().outcome else { panic!() };
    let create = || {
        let key = CreateAccessKey { label: "x".repeat(200).into(), ..CreateAccessKey::default() };
        ledger.execute_blocking(&me, Command::CreateKey { org, key: key.into() }, None)
    };
    let Outcome::KeyCreated(key) = create().unwrap().outcome else { panic!() };
    let (address, stop, running) =
        serve(Arc::clone(&ledger), Arc::new(SystemClock), dir, ServerOptions::default()).await;
    let ask = |path: &'static str| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
        reply(stream).await
    };
    assert!(ask("/readyz").await.starts_with("HTTP/1.1 200"));
    disk.set_capacity(Some(disk.used()));
    while create().is_ok() {}
    let red = ask("/readyz").await;
    assert!(red.starts_with("HTTP/1.1 503") && red.contains("the disk is full"), "{red}");
    assert!(ask("/healthz").await.starts_with("HTTP/1.1 200"));
    ledger.execute_blocking(&me, Command::RevokeKey { key: key.access_key_id }, None).unwrap();
    assert!(ask("/readyz").await.starts_with("HTTP/1.1 503"), "a revoke needs no room");
    disk.set_capacity(None);
    create().unwrap();
    assert!(ask("/readyz").await.starts_with("HTTP/1.1 200"));
    stop.send(()).unwrap();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_was_accepted_and_takes_nothing_more_in() {
    let served = served(ServerOptions::default()).await;
    let mut under_way = served.connect(SLOW).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let address = served.address;
    let stopping = tokio::spawn(served.end());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(TcpStream::connect(address).await.is_err(), "nothing more is accepted");
    under_way.write_all(b"Action=x&").await.unwrap();
    assert!(reply(under_way).await.starts_with("HTTP/1.1 403"), "what was accepted is answered");
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_report_is_answered_for_four_hours() {
    const SECOND: i64 = 1_000_000_000;
    const NO_BODY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ScriptedClock::at(SystemClock.now().wall_ns));
    let (io, dice) = (Arc::new(RealIo), Box::<OsDice>::default());
    let ledger = Ledger::init_with(io, folder.path(), clock.clone(), dice, &InitOptions::default()).unwrap();
    let account = AccountId(123_456_789_012);
    let root = start::first(&ledger, &Caller::operator("test"), account, None).unwrap().unwrap();
    let secret = root.secret.unwrap();
    let (address, stop, running) =
        serve(Arc::new(ledger), clock.clone(), folder.path(), ServerOptions::default()).await;
    let ask = |action: &str| {
        let now = Time(clock.now().wall_ns);
        let (target, date) = (format!("/?Action={action}&Version=2010-05-08"), amz_date(now));
        let headers = [("host", b"x".as_slice()), ("x-amz-date", date.as_bytes())];
        let request = Request { method: "GET", target: target.as_bytes(), headers: &headers };
        let rules = Rules::service("iam", &["us-east-1"]);
        let signer = Signer { access_key_id: root.id.as_str(), secret: secret.expose_secret().as_bytes(), rules };
        let signature = sign_headers(&request, &signer, NO_BODY, now).unwrap();
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: x\r\nX-Amz-Date: {date}\r\nAuthorization: {signature}\r\nConnection: close\r\n\r\n"
        );
        async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            reply(stream).await
        }
    };
    let refused = |answer: &str, code: &str| {
        assert!(answer.starts_with("HTTP/1.1 410") && answer.contains(&format!("<Code>{code}</Code>")), "{answer}");
    };
    refused(&ask("GetCredentialReport").await, "ReportNotPresent");
    assert!(ask("GenerateCredentialReport").await.contains("<State>STARTED</State>"));
    clock.advance(4 * 3_600 * SECOND);
    assert!(ask("GetCredentialReport").await.contains("<Content>"));
    clock.advance(SECOND);
    refused(&ask("GetCredentialReport").await, "ReportExpired");
    assert!(ask("GenerateCredentialReport").await.contains("<State>COMPLETE</State>"));
    assert!(ask("GetCredentialReport").await.contains("<Content>"));
    stop.send(()).unwrap();
    running.await.unwrap();
}
