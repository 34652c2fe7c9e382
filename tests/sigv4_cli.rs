//! tests/sigv4_cli.rs: `keyledger sigv4 verify`, as a person or a script uses it.
//!
//! Not here: which requests are accepted (`sigv4`).
#![cfg(feature = "cli")]
#![allow(clippy::disallowed_methods, reason = "a test stands outside and writes real files")]

use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const GET: &str = "GET /test.txt HTTP/1.1\r\nHost: examplebucket.s3.amazonaws.com\r\n\
    Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
    SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
    Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41\r\nRange: bytes=0-9\r\n\
    x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\r\n\
    x-amz-date: 20130524T000000Z\r\n\r\n";

fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keyledger"))
        .args(["sigv4", "verify"])
        .args(arguments)
        .env("KEYLEDGER_SECRET_ACCESS_KEY", SECRET)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn one(request: &str) -> (i32, Value) {
    let done = run(&["--now", "2013-05-24T00:00:00Z", "--json"], request);
    let code = done.status.code().expect("it exits");
    (code, serde_json::from_slice(&done.stdout).expect("one JSON object"))
}

#[test]
fn a_good_signature_ends_with_0_and_a_bad_one_with_4_and_its_step() {
    let (code, answer) = one(GET);
    assert_eq!((code, &answer["result"], &answer["code"]), (0, &json!("accept"), &Value::Null));
    for (from, to, expected, step) in [
        ("GET /test.txt", "HEAD /test.txt", "SignatureDoesNotMatch", "method"),
        ("GET /test.txt", "GET /test.txt/../test.txt", "SignatureDoesNotMatch", "path"),
        (
            "Host: examplebucket.s3.amazonaws.com",
            "Host: examplebucket.s3.amazonaws.com:9000",
            "SignatureDoesNotMatch",
            "headers",
        ),
        ("x-amz-date: 20130524T000000Z", "x-amz-date: 20130524T001600Z", "RequestTimeTooSkewed", "time"),
        ("Range: bytes=0-9", "Range: bytes=0-9\r\nx-amz-acl: public-read", "AccessDenied", "headers"),
        ("\r\n\r\n", "\r\n\r\nbody", "XAmzContentSHA256Mismatch", "body"),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA512 ", "InvalidRequest", "algorithm"),
        ("Signature=f0", "Signature=F0", "SignatureDoesNotMatch", "signature"),
    ] {
        let (code, answer) = one(&GET.replacen(from, to, 1));
        assert_eq!((code, &answer["code"], &answer["step"]), (4, &json!(expected), &json!(step)), "{to}: {answer}");
    }
    let (_, answer) = one(&GET.replacen("GET /test.txt", "GET /test.txt?", 1));
    assert_eq!(answer["result"], "accept", "an empty query is none");
}

#[test]
fn people_see_both_texts_beside_what_was_sent_and_never_the_secret() {
    let done = run(&["--now", "2013-05-24T00:00:00Z"], &GET.replacen("GET", "PUT", 1));
    let text = String::from_utf8(done.stdout).unwrap();
    for part in [
        "Canonical request",
        "String to sign",
        "Range: bytes=0-9",
        "range:bytes=0-9",
        "SignatureDoesNotMatch",
        "signed as GET",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains(SECRET) && !text.contains("f0e8bdb8"), "{text}");
    let done = run(&["--access-key", "AKIAOTHER00000000000", "--now", "2013-05-24T00:00:00Z", "--json"], GET);
    assert!(String::from_utf8(done.stdout).unwrap().contains("InvalidAccessKeyId"));
    let done = run(&["--secret-file", "/nonexistent"], GET);
    assert_eq!(done.status.code(), Some(2));
}

#[test]
fn cases_are_answered_in_order_and_bad_lines_too() {
    let good = include_str!("../fixtures/sigv4/documentation.jsonl");
    let lines: Vec<&str> = good.lines().collect();
    let spoilt = lines[0].replace("Range\", \"bytes=0-9", "Range\", \"bytes=0-8");
    let unknown =
        lines[0].replace("\"access_key\": \"AKIAIOSFODNN7EXAMPLE\"", "\"access_key\": \"AKIAOTHER00000000000\"");
    let no_secret = lines[0].replace("\"secret_key\"", "\"other\"");
    let wrong_type = lines[0].replace(&format!("\"{SECRET}\""), &format!("[\"{SECRET}\"]"));
    let input = [
        lines.join("\n"),
        spoilt,
        unknown,
        no_secret,
        wrong_type,
        String::new(),
        format!("{{\"id\": 7, \"x\": \"{SECRET}"),
    ]
    .join("\n");
    let done = run(&["--cases", "-", "--json"], &input);
    assert_eq!(done.status.code(), Some(2), "not every line was a case");
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(!text.contains(SECRET), "{text}");
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let results: Vec<_> = answers
        .iter()
        .map(|answer| (answer["result"].as_str().unwrap(), answer["code"].as_str().unwrap_or("")))
        .collect();
    let mut expected = vec![("accept", ""); lines.len()];
    expected.extend([
        ("reject", "SignatureDoesNotMatch"),
        ("reject", "InvalidAccessKeyId"),
        ("reject", "InvalidRequest"),
        ("reject", "InvalidRequest"),
        ("reject", "InvalidRequest"),
    ]);
    assert_eq!(results, expected);
    assert_eq!(answers[0], json!({"id": "doc get object", "result": "accept", "code": null}));
    assert_eq!(answers[10]["id"], "doc get object", "a bad line keeps its id where it has one");
    assert!(answers[10]["error"].as_str().unwrap().contains("`secret_key` is missing"));
    let suite = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/sigv4/suite.jsonl");
    let done = run(&["--cases", suite, "--json"], "");
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(String::from_utf8(done.stdout).unwrap().matches("\"accept\"").count(), 76);
}

#[test]
fn a_form_upload_is_a_case_too() {
    let post: Value = serde_json::from_str(include_str!("../fixtures/sigv4/post.json")).unwrap();
    let part = |field: &Value| {
        let (name, value) = (field[0].as_str().unwrap(), field[1].as_str().unwrap());
        ["--xyz\r\nContent-Disposition: form-data; name=\"", name, "\"\r\n\r\n", value, "\r\n"].concat()
    };
    let mut body: String = post["fields"].as_array().unwrap().iter().map(part).collect();
    body += "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\r\nimage\r\n--xyz--\r\n";
    let head = "Host: sigv4examplebucket.s3.amazonaws.com\r\nContent-Type: multipart/form-data; boundary=xyz\r\n\r\n";
    let ask = |body: &str| {
        let arguments = ["--now", "2015-12-29T00:00:00Z", "--region", "us-east-1", "--service", "s3", "--json"];
        let done = run(&arguments, &format!("POST / HTTP/1.1\r\n{head}{body}"));
        serde_json::from_slice::<Value>(&done.stdout).unwrap()["code"].as_str().map(str::to_owned)
    };
    assert_eq!(ask(&body), None);
    assert_eq!(ask(&body.replace("user/user1/", "user/user2/")), Some("AccessDenied".into()));
    assert_eq!(ask(&body.replace("8afdbf", "8afdb0")), Some("SignatureDoesNotMatch".into()));
    assert_eq!(ask(&body.replace("--xyz--", "")), Some("MalformedPOSTRequest".into()));
}
