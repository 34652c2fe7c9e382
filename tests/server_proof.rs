//! What other systems let in without a proof, and this server does not: calls without a signature, credentials that everybody
//! knows, and the signature of another request.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "a test says what it means, and stops where it is wrong")]

mod served;

use keyledger::api::{ServerOptions, start};
use keyledger::model::{AccountId, Caller, Time};
use keyledger::sigv4::{Request, Rules, Signer, amz_date, sign_headers};
use keyledger::sys::{Clock as _, SystemClock};
use served::{Served, served};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

const FORM: &str = "application/x-www-form-urlencoded";
const CREATE: &str = "Action=CreateUser&Version=2010-05-08&UserName=eve";

struct Key {
    id: String,
    secret: String,
}

/// A server after its first start, with the root's key.
async fn started() -> (Served, Key) {
    let served = served(ServerOptions::default()).await;
    let account = AccountId(123_456_789_012);
    let ledger = served.ledger.clone();
    let first = move || start::first(&ledger, &Caller::operator("test"), account, None);
    let root = tokio::task::spawn_blocking(first).await.unwrap().unwrap().expect("a root key is made");
    let secret = root.secret.expect("and its secret told").expose_secret().to_owned();
    (served, Key { id: root.id.to_string(), secret })
}

/// What is sent, with the signature of `signed`, which may be another request.
struct Sent<'a> {
    method: &'a str,
    target: &'a str,
    body: &'a str,
}

impl Served {
    async fn send(&self, sent: &Sent<'_>, signed: &Sent<'_>, key: &Key, service: &str) -> u16 {
        let now = Time(SystemClock.now().wall_ns);
        let (host, date) = (self.address.to_string(), amz_date(now));
        let headers: [(&str, &[u8]); 3] =
            [("content-type", FORM.as_bytes()), ("host", host.as_bytes()), ("x-amz-date", date.as_bytes())];
        let request = Request { method: signed.method, target: signed.target.as_bytes(), headers: &headers };
        let rules = Rules::of(service, &["us-east-1"]);
        let signer = Signer { access_key_id: &key.id, secret: key.secret.as_bytes(), rules };
        let hash = Sha256::digest(signed.body).iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let authorization = sign_headers(&request, &signer, &hash, now).unwrap();
        self.status(sent, &format!("x-amz-date: {date}\r\nauthorization: {authorization}\r\n")).await
    }

    async fn status(&self, sent: &Sent<'_>, headers: &str) -> u16 {
        let Sent { method, target, body } = sent;
        let (host, length) = (self.address, body.len());
        // A content type of its own comes first, and is the only one that is read.
        let kind = if headers.contains("content-type: ") { String::new() } else { format!("content-type: {FORM}\r\n") };
        let text = format!(
            "{method} {target} HTTP/1.1\r\nhost: {host}\r\n{kind}content-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
        );
        let reply = self.ask(&text).await;
        reply.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{reply}"))
    }
}

/// SeaweedFS CVE-2026-72920: an administrative surface that asked for no credentials.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_not_signed_changes_anything_on_any_surface() {
    let (served, _) = started().await;
    let before = served.ledger.state().seq();
    let json = "content-type: application/json\r\n";
    let rpc = |target: &str| format!("content-type: application/x-amz-json-1.1\r\nx-amz-target: {target}\r\n");
    let lightsail = rpc("Lightsail_20161128.CreateBucketAccessKey");
    let bucket = r#"{"bucketName":"photos"}"#;
    let partner = r#"{"user_id":"eve"}"#;
    for (method, target, headers, body) in [
        ("POST", "/", "", CREATE),
        ("GET", "/?Action=CreateUser&Version=2010-05-08&UserName=eve", "", ""),
        ("POST", "/", lightsail.as_str(), bucket),
        ("POST", "/v1/providers/acme/orgs/one/key", json, partner),
        ("POST", "/v1/providers/acme/orgs/one/provision", json, partner),
        (
            "POST",
            "/?Action=CreateAccessKeyWithBucketsRole",
            "accept: application/json\r\n",
            "Req=%7B%22name%22%3A%22eve%22%7D",
        ),
        ("POST", "/console/keys", "", "label=eve"),
    ] {
        let status = served.status(&Sent { method, target, body }, headers).await;
        assert!((300..500).contains(&status), "{method} {target}: {status}");
    }
    // Every route of the native API, by its own list.
    let reply = served.ask("GET /api/v1/openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let document: serde_json::Value = serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap();
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|method| *method != "parameters") {
            let target = path.replace(['{', '}'], "");
            let sent = Sent { method: &method.to_uppercase(), target: &target, body: "{}" };
            let status = served.status(&sent, json).await;
            assert!(status == 401 || target.ends_with("openapi.json"), "{method} {target}: {status}");
            asked += 1;
        }
    }
    assert!(asked > 40, "{asked}");
    assert_eq!(served.ledger.state().seq(), before, "nothing was written");
    served.end().await;
}

/// RustFS CVE-2025-68926 and CVE-2026-45039: a credential that is the same everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_makes_a_credential_of_its_own_and_knows_no_other() {
    let ((served, root), (other, other_root)) = (started().await, started().await);
    assert!(root.id != other_root.id && root.secret != other_root.secret);
    let ask = Sent { method: "POST", target: "/", body: "Action=ListUsers&Version=2010-05-08" };
    assert_eq!(served.send(&ask, &ask, &root, "iam").await, 200);
    let known = [
        ("minioadmin", "minioadmin"),
        ("rustfsadmin", "rustfsadmin"),
        ("admin", "admin"),
        ("root", "root"),
        ("keyledger", "keyledger"),
        ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ("0555b35654ad1656d804", "h7GhxuBLTrlhVUyxSPUKUV8r/2EI4ngqJxD7iBdBYLhwluN30JaT3Q=="),
        (root.id.as_str(), ""),
        (root.id.as_str(), &other_root.secret),
        (&other_root.id, &other_root.secret),
    ];
    for (id, secret) in known {
        let key = Key { id: id.to_owned(), secret: secret.to_owned() };
        let status = served.send(&ask, &ask, &key, "iam").await;
        assert!((400..500).contains(&status), "{id}: {status}");
    }
    served.end().await;
    other.end().await;
}

/// RustFS GHSA-c667: a signature that was good for another call.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_good_for_its_own_method_target_body_and_service_alone() {
    let (served, root) = started().await;
    let before = served.ledger.state().seq();
    let list = Sent { method: "GET", target: "/?Action=ListUsers&Version=2010-05-08", body: "" };
    let post = Sent { method: "POST", target: "/", body: "Action=ListUsers&Version=2010-05-08" };
    for (sent, signed, service) in [
        (Sent { method: "POST", ..list }, &list, "iam"),
        (Sent { target: "/?Action=CreateUser&Version=2010-05-08&UserName=eve", ..list }, &list, "iam"),
        (Sent { body: CREATE, ..post }, &post, "iam"),
        (Sent { target: "/?UserName=eve", ..post }, &post, "iam"),
        (Sent { body: CREATE, ..post }, &Sent { body: CREATE, ..post }, "s3"),
        (
            Sent { method: "POST", target: "/api/v1/users", body: "" },
            &Sent { method: "GET", target: "/api/v1/users", body: "" },
            "keyledger",
        ),
    ] {
        let status = served.send(&sent, signed, &root, service).await;
        assert!(matches!(status, 401 | 403), "{} {} {}: {status}", sent.method, sent.target, sent.body);
    }
    assert_eq!(served.ledger.state().seq(), before, "nothing was written");
    assert_eq!(served.send(&list, &list, &root, "iam").await, 200, "each as it was signed");
    let create = Sent { body: CREATE, ..post };
    assert_eq!(served.send(&create, &create, &root, "iam").await, 200);
    served.end().await;
}
