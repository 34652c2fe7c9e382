//! Requests to sign, spoil and verify: shared by the tests of `sigv4`.
#![allow(dead_code, reason = "each test file uses its part")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyledger::model::Time;
use keyledger::sigv4::{
    Candidate, Payload, Request, Rules, Scratch, SigError, Signer, SigningKey, Trailer, Verified, amz_date, parse,
    sign_headers,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};

pub const ID: &str = "NQAKP9KGWNTD0GP5RENV";
pub const SECRET: &[u8] = b"rz9nBempcvb0UA09ty3ZSlAHkjDNgnGe5hh7hYuE";
pub const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
pub const REGION: &str = "eu-central-1";
pub const REGIONS: &[&str] = &[REGION];

/// 2026-11-25T20:00:00Z, at which every request here is signed unless it says otherwise.
pub fn noon() -> Time {
    Time::parse("2026-11-25T20:00:00Z").expect("a time")
}

pub fn seconds(count: i64) -> i64 {
    count * 1_000_000_000
}

pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).expect("four bits");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A request that owns its parts, so that tests can spoil them.
#[derive(Debug, Clone)]
pub struct Sent {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
}

impl Sent {
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new() }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Replaces the value of the first header of that name.
    #[must_use]
    pub fn changed(mut self, name: &str, change: impl FnOnce(&str) -> String) -> Self {
        let found = self.headers.iter_mut().find(|(given, _)| given.eq_ignore_ascii_case(name));
        let (_, value) = found.unwrap_or_else(|| panic!("no header {name}"));
        *value = change(value);
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(given, _)| !given.eq_ignore_ascii_case(name));
        self
    }

    #[must_use]
    pub fn target(mut self, change: impl FnOnce(&str) -> String) -> Self {
        self.target = change(&self.target);
        self
    }

    pub fn value(&self, name: &str) -> &str {
        &self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).expect("it is there").1
    }

    pub fn with<T>(&self, ask: impl FnOnce(&Request<'_>) -> T) -> T {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        ask(&Request { method: &self.method, target: self.target.as_bytes(), headers: &headers })
    }

    /// With the Authorization header of a signature over all headers.
    #[must_use]
    pub fn signed(self, rules: &Rules<'_>, payload: &str, at: Time) -> Self {
        let signer = Signer { access_key_id: ID, secret: SECRET, rules: *rules };
        let value = self.with(|request| sign_headers(request, &signer, payload, at)).expect("it can be signed");
        self.header("authorization", &value)
    }

    pub fn verified(&self, rules: &Rules<'_>, now: Time) -> Result<Verified, SigError> {
        self.verified_by(rules, now, &[Candidate::Secret(SECRET)], None)
    }

    pub fn verified_by(
        &self,
        rules: &Rules<'_>,
        now: Time,
        candidates: &[Candidate<'_>],
        body: Option<&[u8; 32]>,
    ) -> Result<Verified, SigError> {
        let mut scratch = Scratch::new();
        self.with(|request| parse(request, rules, now, &mut scratch)?.verify(body, candidates))
    }

    /// S3's code for it, or `accept`.
    pub fn code(&self, rules: &Rules<'_>, now: Time) -> &'static str {
        self.verified(rules, now).map_or_else(|error| error.code(), |_| "accept")
    }
}

pub fn s3() -> Rules<'static> {
    Rules::s3(REGIONS)
}

/// `GET /bucket/key` with the headers that S3 wants, signed at `at`.
pub fn get_at(at: Time) -> Sent {
    Sent::new("GET", "/bucket/key")
        .header("host", "storage.example.com:9000")
        .header("x-amz-content-sha256", EMPTY)
        .header("x-amz-date", &amz_date(at))
        .signed(&s3(), EMPTY, at)
}

pub fn get() -> Sent {
    get_at(noon())
}

/// A URL presigned at `at`, valid so many seconds; `signed` are the headers that are signed too.
pub fn presigned(target: &str, at: Time, expires: &str, signed: &[(&str, &str)]) -> Sent {
    let mut sent = Sent::new("GET", target).header("host", "storage.example.com");
    let mut names = vec!["host"];
    for (name, value) in signed {
        sent = sent.header(name, value);
        names.push(name);
    }
    let date = amz_date(at);
    let mark = if target.contains('?') { '&' } else { '?' };
    let sent = sent.target(|target| {
        format!(
            "{target}{mark}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={ID}%2F{}%2F{REGION}%2Fs3%2Faws4_request\
             &X-Amz-Date={date}&X-Amz-Expires={expires}&X-Amz-SignedHeaders={}",
            &date[..8],
            names.join("%3B"),
        )
    });
    resigned(sent, at)
}

/// Signs the query as it stands. The time that it is valid is not looked at, so that tests can spoil it.
pub fn resigned(sent: Sent, at: Time) -> Sent {
    let bare = sent.target(|target| target.split("&X-Amz-Signature=").next().unwrap_or_default().to_owned());
    // A signature that parses, to be shown the string to sign, which does not depend on it.
    let probe = bare.clone().target(|target| {
        let expires = |text: &str| {
            text.split('&')
                .map(|pair| if pair.starts_with("X-Amz-Expires=") { "X-Amz-Expires=60" } else { pair })
                .collect::<Vec<_>>()
                .join("&")
        };
        format!("{}&X-Amz-Signature={EMPTY}", expires(target))
    });
    let mut scratch = Scratch::new();
    let (canonical, to_sign) =
        probe.with(|request| parse(request, &s3(), at, &mut scratch)?.explain(None)).expect("it can be made canonical");
    // The canonical request with the expiry that is really meant.
    let meant = bare.target.split('&').find(|pair| pair.starts_with("X-Amz-Expires=")).unwrap_or_default();
    let canonical = canonical.replace("X-Amz-Expires=60", meant);
    let head = to_sign.rsplit_once('\n').expect("four lines").0;
    let to_sign = format!("{head}\n{}", hex(&sha256(canonical.as_bytes())));
    let key = SigningKey::derive(SECRET, &amz_date(at)[..8], REGION, "s3");
    bare.target(|target| format!("{target}&X-Amz-Signature={}", hex(&key.sign(to_sign.as_bytes()))))
}

/// A line of `fixtures/sigv4/*.jsonl`.
#[derive(Debug, Deserialize)]
pub struct Case {
    pub id: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    access_key: String,
    secret_key: String,
    region: String,
    service: String,
    now: String,
    normalize_path: bool,
}

impl Case {
    pub fn all(text: &str) -> Vec<Self> {
        text.lines().map(|line| serde_json::from_str(line).expect("a case a line")).collect()
    }

    /// The proof, and the trailers of a chunked body.
    pub fn verified(&self) -> Result<Vec<Trailer>, SigError> {
        let regions = [self.region.as_str()];
        let rules = Rules { normalize_path: self.normalize_path, ..Rules::of(&self.service, &regions) };
        let sent = Sent { method: self.method.clone(), target: self.target.clone(), headers: self.headers.clone() };
        let now = Time::parse(&self.now).expect("a time");
        let body = STANDARD.decode(&self.body).expect("base64");
        let known = sent.with(|request| {
            let mut scratch = Scratch::new();
            Ok::<_, SigError>(parse(request, &rules, now, &mut scratch)?.access_key_id() == self.access_key)
        })?;
        let candidates = [Candidate::Secret(self.secret_key.as_bytes())];
        let hash = sha256(&body);
        let verified = sent.verified_by(&rules, now, if known { &candidates } else { &[] }, Some(&hash))?;
        match verified.payload() {
            Payload::Chunked { .. } => {
                let mut decoder = verified.chunks().expect("its payload is chunked");
                let mut out = Vec::new();
                for piece in body.chunks(1_000) {
                    decoder.feed(piece, &mut out)?;
                }
                decoder.finish()
            }
            _ => Ok(Vec::new()),
        }
    }
}
