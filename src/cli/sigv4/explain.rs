//! Why a signature does not match: what was sent beside what it becomes, and the step at which the signer went another way.
//!
//! The signer's own canonical request never arrives, only its hash under a key. So each known way to go wrong is tried
//! with the secret at hand: the one whose signature is the one that was sent names the step.
//!
//! Not here: checking (`check`).

use super::super::print::{Cell, Paint, Table};
use super::super::{Context, Failure};
use super::check::Check;
use crate::model::Time;
use crate::sigv4::{Parsed, Request, Rules, Scratch, SigError, SigningKey, parse};
use serde::Serialize;
use sha2::{Digest, Sha256};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What is known of one request.
#[derive(Serialize)]
pub struct Explained {
    result: &'static str,
    code: Option<&'static str>,
    /// In S3's words.
    message: Option<String>,
    /// The step that differs, and how.
    step: Option<&'static str>,
    hint: Option<String>,
    canonical_request: Option<String>,
    string_to_sign: Option<String>,
    #[serde(skip)]
    lines: Vec<Line>,
}

/// A line of the canonical request or of the string to sign.
struct Line {
    step: &'static str,
    sent: String,
    becomes: String,
}

impl Explained {
    pub fn of(
        request: &Request<'_>,
        body: &[u8],
        rules: &Rules<'_>,
        now: Time,
        access_key: Option<&str>,
        secret: &[u8],
    ) -> Self {
        let mut scratch = Scratch::new();
        let check = Check { request: *request, body, rules: *rules, now, access_key, secret };
        let done = check.run(&mut scratch);
        let mut explained = Self {
            result: if done.is_ok() { "accept" } else { "reject" },
            code: done.as_ref().err().map(SigError::code),
            message: done.as_ref().err().map(|error| error.message().into_owned()),
            step: done.as_ref().err().map(step_of),
            hint: done.as_ref().err().map(ToString::to_string),
            canonical_request: None,
            string_to_sign: None,
            lines: Vec::new(),
        };
        let hash: [u8; 32] = Sha256::digest(body).into();
        let Ok(mut parsed) = parse(request, rules, now, &mut scratch) else { return explained };
        let key = SigningKey::derive(secret, parsed.date(), parsed.region(), parsed.service());
        let Ok((canonical, to_sign)) = parsed.explain(Some(&hash)) else { return explained };
        explained.lines = lines(request, &canonical, &to_sign, &hex(&hash));
        if matches!(done, Err(SigError::Mismatch)) {
            let tried = Tried {
                request,
                canonical: &canonical,
                to_sign: &to_sign,
                key: &key,
                sent: sent_part(request, "Signature="),
            };
            let (step, hint) = tried.step(&hex(&hash), secret, &parsed);
            (explained.step, explained.hint) = (Some(step), Some(hint));
        }
        (explained.canonical_request, explained.string_to_sign) = (Some(canonical), Some(to_sign));
        explained
    }

    pub fn is_accepted(&self) -> bool {
        self.code.is_none()
    }

    pub fn print(&self, cx: &mut Context) -> Result<(), Failure> {
        if cx.out.json {
            return cx.out.json(self);
        }
        for (title, first) in [("Canonical request", true), ("String to sign", false)] {
            let mut table = Table::new(&["step", "as sent", "becomes"]);
            for line in self.lines.iter().filter(|line| is_canonical(line.step) == first) {
                let paint = if Some(line.step) == self.step { Paint::Bad } else { Paint::Plain };
                table.row(vec![
                    Cell::new(line.step, Paint::Dim),
                    Cell::new(&line.sent, Paint::Plain),
                    Cell::new(&line.becomes, paint),
                ]);
            }
            if !table.is_empty() {
                cx.out.pieces(&[(Paint::Bold, title)])?;
                cx.out.table(&table)?;
                cx.out.line("")?;
            }
        }
        match (self.code, &self.step, &self.hint) {
            (Some(code), step, hint) => {
                let (step, hint) = (step.unwrap_or("signature"), hint.as_deref().unwrap_or_default());
                cx.out.pieces(&[(Paint::Bad, "rejected"), (Paint::Plain, ": "), (Paint::Bold, code)])?;
                cx.out.line(format!("step that differs: {step}: {hint}"))
            }
            (None, ..) => {
                cx.out.pieces(&[(Paint::Good, "accepted"), (Paint::Plain, ": the signature is this secret's")])
            }
        }
    }
}

fn is_canonical(step: &str) -> bool {
    !matches!(step, "algorithm" | "time" | "scope" | "hash" | "signature")
}

/// Where in the making of a signature an error stands.
fn step_of(error: &SigError) -> &'static str {
    match error {
        SigError::NoDate | SigError::BadDate | SigError::Skewed | SigError::Expired | SigError::NotYetValid => "time",
        SigError::Scope { .. } => "scope",
        SigError::UnsignedHeader(_) | SigError::DuplicateHeader(_) => "headers",
        SigError::OtherAlgorithm | SigError::OtherScheme => "algorithm",
        SigError::BadTarget => "path",
        SigError::NoContentSha256
        | SigError::BadContentSha256
        | SigError::UnsignedPayload
        | SigError::PayloadMismatch
        | SigError::NoDecodedLength => "body",
        SigError::UnknownKey => "access key",
        SigError::ChunkMismatch | SigError::Chunk(_) | SigError::ChunkTooLarge | SigError::IncompleteBody => "chunks",
        SigError::Trailer(_) => "trailers",
        SigError::Mismatch => "signature",
        _ => "authorization",
    }
}

fn lines(request: &Request<'_>, canonical: &str, to_sign: &str, body_hash: &str) -> Vec<Line> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let (path, query) = split(request.target);
    let arrived = |name: &str| -> Vec<_> {
        request.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name)).collect()
    };
    let first = |name: &str| arrived(name).first().map(|(_, value)| text(value));
    let mut found = Vec::new();
    let mut push = |step, sent: String, becomes: &str| found.push(Line { step, sent, becomes: becomes.to_owned() });
    let mut rest = canonical.lines();
    let mut next = || rest.next().unwrap_or_default();
    push("method", request.method.to_owned(), next());
    push("path", text(path), next());
    push("query", text(query), next());
    loop {
        let line = next();
        let Some((name, _)) = line.split_once(':') else { break };
        let sent: Vec<_> =
            arrived(name).iter().map(|(given, value)| format!("{given}:{}", String::from_utf8_lossy(value))).collect();
        push("headers", if sent.is_empty() { "(did not arrive)".into() } else { sent.join(" | ") }, line);
    }
    push("signed headers", sent_part(request, "SignedHeaders="), next());
    let announced = first("x-amz-content-sha256").unwrap_or_default();
    push("body", if announced.is_empty() { format!("hash of the body: {body_hash}") } else { announced }, next());
    let part = |name| sent_part(request, name);
    let time = first("x-amz-date").or_else(|| first("date")).unwrap_or_else(|| part("X-Amz-Date="));
    let algorithm = first("authorization")
        .map_or_else(|| part("X-Amz-Algorithm="), |text| text.split(' ').next().unwrap_or_default().to_owned());
    let sent = [algorithm, time, part("Credential="), "SHA-256 of the canonical request".into()];
    for ((step, sent), becomes) in ["algorithm", "time", "scope", "hash"].into_iter().zip(sent).zip(to_sign.lines()) {
        push(step, sent, becomes);
    }
    found
}

/// A mismatch, and what can be tried to find its cause.
struct Tried<'a> {
    request: &'a Request<'a>,
    canonical: &'a str,
    to_sign: &'a str,
    key: &'a SigningKey,
    sent: String,
}

impl Tried<'_> {
    fn is_signed(&self, key: &SigningKey, canonical: &str) -> bool {
        let head = self.to_sign.rsplit_once('\n').map_or("", |(head, _)| head);
        let hash: [u8; 32] = Sha256::digest(canonical).into();
        hex(&key.sign(format!("{head}\n{}", hex(&hash)).as_bytes())) == self.sent
    }

    /// The canonical request with another line in its place.
    fn with_line(&self, at: usize, line: &str) -> String {
        let mut lines: Vec<&str> = self.canonical.split('\n').collect();
        if let Some(place) = lines.get_mut(at) {
            *place = line;
        }
        lines.join("\n")
    }

    fn step(&self, body_hash: &str, secret: &[u8], parsed: &Parsed<'_>) -> (&'static str, String) {
        let signed = |canonical: &str| self.is_signed(self.key, canonical);
        if self.sent.len() != 64 || !self.sent.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return ("signature", "the signature sent is not 64 lowercase hex digits".into());
        }
        let (path, query) = split(self.request.target);
        let (path, query) = (String::from_utf8_lossy(path), String::from_utf8_lossy(query));
        let payload = self.canonical.rsplit('\n').next().unwrap_or_default();
        for method in ["GET", "HEAD", "PUT", "POST", "DELETE"] {
            if signed(&self.with_line(0, method)) {
                return ("method", format!("it was signed as {method}"));
            }
        }
        for (how, line) in self.paths(&path) {
            if signed(&self.with_line(1, &line)) {
                return ("path", format!("the signer had the path {how}: `{line}`"));
            }
        }
        for (how, line) in queries(&query) {
            if signed(&self.with_line(2, &line)) {
                return ("query", format!("the signer had the query {how}: `{line}`"));
            }
        }
        let last = self.canonical.split('\n').count() - 1;
        for other in ["UNSIGNED-PAYLOAD", EMPTY, body_hash] {
            if other != payload && signed(&self.with_line(last, other)) {
                return ("body", format!("the signer ended the canonical request with `{other}`, not `{payload}`"));
            }
        }
        for (at, line) in self.canonical.split('\n').enumerate().skip(3).take_while(|(_, line)| !line.is_empty()) {
            let Some((name, value)) = line.split_once(':') else { break };
            for (how, other) in values(name, value, self.request) {
                if signed(&self.with_line(at, &format!("{name}:{other}"))) {
                    return ("headers", format!("the signer had `{name}` {how}: `{other}`"));
                }
            }
        }
        let trimmed = SigningKey::derive(secret.trim_ascii(), parsed.date(), parsed.region(), parsed.service());
        if self.is_signed(&trimmed, self.canonical) {
            return ("secret", "the secret given here has spaces around it that the signer's has not".into());
        }
        let other = "it is none of the usual slips: another secret, or something changed on the way (compare `as sent` with the client)";
        ("signature", other.into())
    }

    /// Other canonical paths.
    fn paths(&self, path: &str) -> Vec<(&'static str, String)> {
        let once = self.request_line(Rules { encode_path_twice: false, normalize_path: false, ..Rules::s3(&[]) });
        let twice = |normalize_path| {
            self.request_line(Rules { encode_path_twice: true, normalize_path, ..Rules::service("", &[]) })
        };
        let mut paths = vec![("as it was sent", path.to_owned())];
        paths.extend(once.map(|line| ("encoded once", line)));
        paths.extend(twice(false).map(|line| ("encoded twice", line)));
        paths.extend(twice(true).map(|line| ("normalised and encoded twice", line)));
        paths.push(("with a slash at its end", format!("{}/", self.canonical.split('\n').nth(1).unwrap_or_default())));
        paths
    }

    fn request_line(&self, rules: Rules<'_>) -> Option<String> {
        crate::sigv4::canonical_path(self.request, &rules).map(|path| String::from_utf8_lossy(&path).into_owned())
    }
}

/// Other canonical queries.
fn queries(query: &str) -> Vec<(&'static str, String)> {
    let kept: Vec<&str> =
        query.split('&').filter(|pair| !pair.starts_with("X-Amz-Signature=") && !pair.is_empty()).collect();
    let mut sorted = kept.clone();
    sorted.sort_unstable();
    let full = |pairs: &[&str]| {
        let pairs: Vec<_> =
            pairs.iter().map(|pair| if pair.contains('=') { (*pair).to_owned() } else { format!("{pair}=") }).collect();
        pairs.join("&")
    };
    vec![
        ("as it was sent", kept.join("&")),
        ("unsorted", full(&kept)),
        ("sorted, not encoded again", full(&sorted)),
        ("without `=` after a bare name", sorted.join("&")),
        ("with `+` as itself", full(&sorted).replace('+', "%2B")),
        ("left out", String::new()),
    ]
}

/// Other values that a signer may have had of a header.
fn values(name: &str, value: &str, request: &Request<'_>) -> Vec<(&'static str, String)> {
    let sent: Vec<_> = request.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name)).collect();
    let raw: Vec<_> = sent.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect();
    let mut values = vec![
        ("with its spaces as sent", raw.join(",").trim().to_owned()),
        ("untrimmed", raw.join(",")),
        ("joined by `, `", raw.iter().map(|value| value.trim()).collect::<Vec<_>>().join(", ")),
        ("empty", String::new()),
        ("in lowercase", value.to_ascii_lowercase()),
    ];
    if name == "host" {
        let bare = value.rsplit_once(':').map_or(value, |(host, _)| host);
        values.push(("without its port", bare.to_owned()));
        values.extend(["80", "443"].map(|port| ("with a port", format!("{bare}:{port}"))));
    }
    values
}

fn split(target: &[u8]) -> (&[u8], &[u8]) {
    match target.iter().position(|byte| *byte == b'?') {
        Some(at) => (&target[..at], &target[at + 1..]),
        None => (target, &[]),
    }
}

/// A part of the claim as it stands in the request, such as `Signature=`.
fn sent_part(request: &Request<'_>, name: &str) -> String {
    let header = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let text = match header {
        Some((_, value)) => String::from_utf8_lossy(value),
        None => String::from_utf8_lossy(request.target),
    };
    let after = text.split_once(name).map_or("", |(_, after)| after);
    after.split([',', '&', ' ']).next().unwrap_or_default().to_owned()
}

fn hex(bytes: &[u8; 32]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
