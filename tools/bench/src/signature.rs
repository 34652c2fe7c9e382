//! S1: is this request signed by that secret? From a request's parts, beside floors and what a node would use instead.
//!
//! A floor is given the canonical request and hashes, signs and compares. keyledger is given the request's parts.

use crate::Result;
use crate::plan::Plan;
use crate::table::{Bound, Lane, Race, Report, Sample};
use hmac::{Hmac, KeyInit, Mac};
use keyledger::model::Time;
use keyledger::sigv4::{Candidate, Request, Rules, Scratch, Signer, SigningKey, amz_date, parse, sign_headers};
use sha2::{Digest, Sha256};
use std::hint::black_box;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub const ID: &str = "NQAKP9KGWNTD0GP5RENV";
pub const SECRET: &str = "rz9nBempcvb0UA09ty3ZSlAHkjDNgnGe5hh7hYuE";
pub const REGION: &str = "us-east-1";
const REGIONS: &[&str] = &[REGION];
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// Different requests that a lane takes in turns.
const REQUESTS: usize = 256;
const FLOOR: &str = "floor: hash, one HMAC, compare (cached key)";
const FLOOR_DERIVED: &str = "floor: with the four steps of derivation";
const OURS: &str = "keyledger, cached signing key";
const OURS_DERIVED: &str = "keyledger, from the secret";
const OURS_UNKNOWN: &str = "keyledger, unknown key";

/// A signed HEAD request, and its canonical form.
#[derive(Debug)]
pub struct Signed {
    pub target: String,
    /// In the order in which a client sends them.
    pub headers: Vec<(String, String)>,
    canonical: String,
    /// The string to sign up to the hash.
    head: String,
    signature: [u8; 32],
}

/// Runs the stage.
pub fn run(plan: &Plan, report: &mut Report) -> Result<()> {
    if !plan.wants(&["S1"]) {
        return Ok(());
    }
    // The peers read the clock themselves.
    let now = Time(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?);
    let requests: Vec<Signed> = (0..REQUESTS).map(|number| signed(number, now)).collect::<Result<_>>()?;
    report.say(&format!("\nS1: a HEAD request whose canonical form has {} B", requests[0].canonical.len()));
    let checks = plan.lookups / 5;
    let date = amz_date(now)[..8].to_owned();
    let key = SigningKey::derive(SECRET.as_bytes(), &date, REGION, "s3");
    let raw = derive(&date);
    let mut scratch = Scratch::new();
    let ours = |scratch: &mut Scratch, request: &Signed, candidates: &[Candidate<'_>]| {
        // As a gate has them: borrowed from what an HTTP library has read.
        let mut headers: [(&str, &[u8]); 8] = [("", b""); 8];
        for (place, (name, value)) in headers.iter_mut().zip(&request.headers) {
            *place = (name, value.as_bytes());
        }
        let request =
            Request { method: "HEAD", target: request.target.as_bytes(), headers: &headers[..request.headers.len()] };
        parse(&request, &Rules::s3(REGIONS), now, scratch).and_then(|parsed| parsed.verify(None, candidates)).is_ok()
    };
    let (mut second, mut third) = (Scratch::new(), Scratch::new());
    let mut lanes = vec![
        Lane::new(FLOOR, || timed(checks, &requests, |request| floor(request, &raw))),
        Lane::new(FLOOR_DERIVED, || timed(checks, &requests, |request| floor(request, &derive(black_box(&date))))),
    ];
    lanes.push(Lane::new(OURS, || {
        timed(checks, &requests, |request| ours(&mut scratch, request, &[Candidate::Key(&key)]))
    }));
    lanes.push(Lane::new(OURS_DERIVED, || {
        timed(checks, &requests, |request| ours(&mut second, request, &[Candidate::Secret(SECRET.as_bytes())]))
    }));
    lanes.push(Lane::new(OURS_UNKNOWN, || timed(checks, &requests, |request| !ours(&mut third, request, &[]))));
    #[cfg(feature = "peers")]
    lanes.extend(crate::peers::signature::lanes(checks, &requests)?);
    let race = Race::run(plan, "ns", lanes)?;
    report.lanes("S1 one signature check", &race);
    let what = "signature check from a request's parts, cached signing key";
    report.goal("S1", what, &race, OURS, FLOOR, Bound::AtMost(2.0));
    report.goal("S1", "the same from the secret", &race, OURS_DERIVED, FLOOR_DERIVED, Bound::AtMost(1.3));
    let what = "an unknown key id costs what a known one does";
    report.goal("S1", what, &race, OURS_UNKNOWN, OURS_DERIVED, Bound::AtMost(1.1));
    let what = "s3s' check of the same request, against ours";
    report.goal("S1", what, &race, PEER, OURS, Bound::AtLeast(3.0));
    Ok(())
}

/// s3s' lane.
pub const PEER: &str = "s3s, with its check less without";

/// Mean ns of a check; each must find the request good.
pub fn timed(checks: usize, requests: &[Signed], mut check: impl FnMut(&Signed) -> bool) -> Result<Sample> {
    let began = Instant::now();
    let good = requests.iter().cycle().take(checks).filter(|request| check(black_box(request))).count();
    let mean = began.elapsed().as_nanos() as f64 / checks as f64;
    crate::replay::same("good signatures", good, checks)?;
    Ok(Sample::of(mean))
}

impl Signed {
    /// A request without a body, signed.
    pub fn make(method: &str, target: String, id: &str, secret: &str, now: Time) -> Result<Self> {
        make(method, target, id, secret, now)
    }
}

fn signed(number: usize, now: Time) -> Result<Signed> {
    make("HEAD", format!("/photos-archive/2026/11/holiday/IMG_{number:05}.jpeg"), ID, SECRET, now)
}

fn make(method: &str, target: String, id: &str, secret: &str, now: Time) -> Result<Signed> {
    let mut headers: Vec<(String, String)> = [
        ("host", "storage.example.com"),
        ("user-agent", "aws-sdk-rust/1.3.9 os/linux lang/rust/1.95.0"),
        ("accept", "*/*"),
        ("x-amz-content-sha256", EMPTY),
        ("x-amz-date", &amz_date(now)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    let rules = Rules::s3(REGIONS);
    let lend = |headers: &[(String, String)], only: Option<&[&str]>| -> Vec<(String, Vec<u8>)> {
        let kept = headers.iter().filter(|(name, _)| only.is_none_or(|only| only.contains(&name.as_str())));
        kept.map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect()
    };
    let own = lend(&headers, Some(&["host", "x-amz-content-sha256", "x-amz-date"]));
    let borrowed: Vec<(&str, &[u8])> = own.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let request = Request { method, target: target.as_bytes(), headers: &borrowed };
    let signer = Signer { access_key_id: id, secret: secret.as_bytes(), rules };
    let authorization = sign_headers(&request, &signer, EMPTY, now)?;
    headers.push(("authorization".to_owned(), authorization));
    let own = lend(&headers, None);
    let borrowed: Vec<(&str, &[u8])> = own.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let request = Request { method, target: target.as_bytes(), headers: &borrowed };
    let mut scratch = Scratch::new();
    let (canonical, to_sign) = parse(&request, &rules, now, &mut scratch)?.explain(None)?;
    let (head, _) = to_sign.rsplit_once('\n').ok_or("a string to sign has four lines")?;
    let signature = SigningKey::derive(secret.as_bytes(), &amz_date(now)[..8], REGION, "s3").sign(to_sign.as_bytes());
    Ok(Signed { head: format!("{head}\n"), target, headers, canonical, signature })
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(text);
    mac.finalize().into_bytes().into()
}

fn derive(date: &str) -> [u8; 32] {
    derive_from(SECRET, date)
}

/// A signing key, step by step.
pub fn derive_from(secret: &str, date: &str) -> [u8; 32] {
    let first = hmac(&[b"AWS4", secret.as_bytes()].concat(), date.as_bytes());
    [REGION, "s3", "aws4_request"].iter().fold(first, |key, part| hmac(&key, part.as_bytes()))
}

/// The least that must be done, given the canonical request.
pub fn floor(request: &Signed, key: &[u8; 32]) -> bool {
    let hash = Sha256::digest(request.canonical.as_bytes());
    let mut text = [0_u8; 256];
    let head = request.head.as_bytes();
    text[..head.len()].copy_from_slice(head);
    for (pair, byte) in text[head.len()..].chunks_exact_mut(2).zip(hash) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    let signature = hmac(key, &text[..head.len() + 64]);
    signature.iter().zip(&request.signature).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
