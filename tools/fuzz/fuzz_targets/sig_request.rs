//! Requests with any method, target and headers: none is accepted that nobody signed, and what is signed from the same
//! parts is.
//!
//! Input: lines; the first is the method, the second the target, each other `name:value`.
#![no_main]

use keyledger::model::Time;
use keyledger::sigv4::{Candidate, Request, Rules, Scratch, Signer, amz_date, parse, scope_of, sign_headers};
use libfuzzer_sys::fuzz_target;

const SECRET: &[u8] = b"rz9nBempcvb0UA09ty3ZSlAHkjDNgnGe5hh7hYuE";

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|byte| *byte == b'\n');
    let Some(Ok(method)) = lines.next().map(std::str::from_utf8) else { return };
    let target = lines.next().unwrap_or_default();
    let headers: Vec<(&str, &[u8])> = lines
        .filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b':')?;
            Some((std::str::from_utf8(&line[..at]).ok()?, &line[at + 1..]))
        })
        .collect();
    let now = Time(1_796_000_000_000_000_000);
    let mut scratch = Scratch::new();
    let request = Request { method, target, headers: &headers };
    let _ = scope_of(&request);
    for rules in [Rules::s3(&["us-east-1"]), Rules::service("iam", &["us-east-1"])] {
        if let Ok(parsed) = parse(&request, &rules, now, &mut scratch) {
            assert!(parsed.verify(None, &[Candidate::Secret(SECRET)]).is_err(), "nobody signed this");
        }
        // The same headers but those that authentication reads, signed.
        let date = amz_date(now);
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let read = ["authorization", "host", "date", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"];
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let mut own: Vec<(&str, &[u8])> = headers
            .iter()
            .filter(|(name, _)| !name.is_empty() && name.bytes().all(is_token))
            .filter(|(name, _)| !read.iter().any(|read| name.eq_ignore_ascii_case(read)))
            .copied()
            .collect();
        own.extend([
            ("host", b"h".as_slice()),
            ("x-amz-date", date.as_bytes()),
            ("x-amz-content-sha256", empty.as_bytes()),
        ]);
        let signer = Signer { access_key_id: "NQAKP9KGWNTD0GP5RENV", secret: SECRET, rules };
        let signed = sign_headers(&Request { method, target, headers: &own }, &signer, empty, now);
        let Ok(authorization) = signed else { continue };
        own.push(("Authorization", authorization.as_bytes()));
        let request = Request { method, target, headers: &own };
        if let Ok(parsed) = parse(&request, &rules, now, &mut scratch) {
            assert!(parsed.verify(None, &[Candidate::Secret(SECRET)]).is_ok(), "signed from the same parts");
        }
    }
});
