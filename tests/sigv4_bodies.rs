//! tests/sigv4_bodies.rs: chunked bodies and form uploads: what of them is accepted, and when.
//!
//! Not here: the requests around them (`sigv4`).

mod signing;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyledger::model::Time;
use keyledger::sigv4::{
    CHUNK_BYTES_MAX, Candidate, ChunkDecoder, Form, FormField, Kind, LengthRange, Payload, Rules, SigError, SigningKey,
    Trailer, amz_date,
};
use proptest::prelude::*;
use serde::Deserialize;
use signing::{EMPTY, ID, REGION, SECRET, Sent, hex, noon, s3, seconds, sha256};

const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const CHECKSUM: &str = "x-amz-checksum-crc32:AAAAAA==";

/// A chunked upload as a client would make it.
struct Upload {
    sent: Sent,
    key: SigningKey,
    previous: String,
    body: Vec<u8>,
}

impl Upload {
    fn new(kind: &str, length: usize) -> Self {
        let mut sent = Sent::new("PUT", "/b/k")
            .header("host", "h")
            .header("content-encoding", "aws-chunked")
            .header("x-amz-content-sha256", kind)
            .header("x-amz-date", &amz_date(noon()))
            .header("x-amz-decoded-content-length", &length.to_string());
        if kind.ends_with("TRAILER") {
            sent = sent.header("x-amz-trailer", "X-Amz-Checksum-Crc32");
        }
        let sent = sent.signed(&s3(), kind, noon());
        let previous = sent.value("authorization").rsplit_once('=').expect("Signature=").1.to_owned();
        Self { sent, key: SigningKey::derive(SECRET, "20261125", REGION, "s3"), previous, body: Vec::new() }
    }

    fn sign(&mut self, kind: &str, rest: &str) -> String {
        let scope = format!("20261125/{REGION}/s3/aws4_request");
        let text = format!("{kind}\n{}\n{scope}\n{}\n{rest}", amz_date(noon()), self.previous);
        self.previous = hex(&self.key.sign(text.as_bytes()));
        self.previous.clone()
    }

    fn chunk(mut self, data: &[u8]) -> Self {
        let signature = self.sign("AWS4-HMAC-SHA256-PAYLOAD", &format!("{EMPTY}\n{}", hex(&sha256(data))));
        self.body.extend(format!("{:x};chunk-signature={signature}\r\n", data.len()).bytes());
        self.body.extend(data);
        self.body.extend(if data.is_empty() { b"".as_slice() } else { b"\r\n" });
        self
    }

    fn bare(mut self, data: &[u8]) -> Self {
        self.body.extend(format!("{:X}\r\n", data.len()).bytes());
        self.body.extend(data);
        self.body.extend(if data.is_empty() { b"".as_slice() } else { b"\r\n" });
        self
    }

    fn text(mut self, text: &str) -> Self {
        self.body.extend(text.bytes());
        self
    }

    fn trailer(mut self, line: &str) -> Self {
        let signature = self.sign("AWS4-HMAC-SHA256-TRAILER", &hex(&sha256(format!("{line}\n").as_bytes())));
        self.text(&format!("{line}\r\nx-amz-trailer-signature:{signature}\r\n\r\n"))
    }

    fn decoder(&self) -> ChunkDecoder {
        self.sent.verified(&s3(), noon()).expect("the request itself is signed").chunks().expect("it is chunked")
    }

    fn read(&self, step: usize) -> Result<(Vec<u8>, Vec<Trailer>), SigError> {
        read(self.decoder(), &self.body, step)
    }
}

fn read(mut decoder: ChunkDecoder, body: &[u8], step: usize) -> Result<(Vec<u8>, Vec<Trailer>), SigError> {
    let mut out = Vec::new();
    for piece in body.chunks(step.max(1)) {
        decoder.feed(piece, &mut out)?;
    }
    Ok((out, decoder.finish()?))
}

fn signed() -> Upload {
    Upload::new(SIGNED, 11).chunk(b"hello").chunk(b" world").chunk(b"").text("\r\n")
}

fn trailed() -> Upload {
    Upload::new(SIGNED_TRAILER, 11).chunk(b"hello world").chunk(b"").trailer(CHECKSUM)
}

fn bare() -> Upload {
    Upload::new(UNSIGNED_TRAILER, 11).bare(b"hello").bare(b" world").bare(b"").text(CHECKSUM).text("\r\n\r\n")
}

#[test]
fn chunks_are_read_however_they_arrive() {
    let checksum = vec![Trailer { name: "x-amz-checksum-crc32".into(), value: "AAAAAA==".into() }];
    for step in 1..=300 {
        assert_eq!(signed().read(step), Ok((b"hello world".to_vec(), vec![])), "{step}");
        assert_eq!(trailed().read(step), Ok((b"hello world".to_vec(), checksum.clone())), "{step}");
        assert_eq!(bare().read(step), Ok((b"hello world".to_vec(), checksum.clone())), "{step}");
    }
    let empty = Upload::new(SIGNED, 0).chunk(b"").text("\r\n");
    assert_eq!(empty.read(9), Ok((vec![], vec![])));
    let verified = bare().sent.verified(&s3(), noon()).unwrap();
    assert_eq!(verified.payload(), Payload::Chunked { signed: false, trailer: true, decoded_length: 11 });
}

#[test]
fn a_chunk_gives_nothing_out_before_its_signature_was_good() {
    let body = signed().body;
    let first = body.windows(5).position(|text| text == b"hello").unwrap();
    for end in 0..body.len() {
        let (mut decoder, mut out) = (signed().decoder(), Vec::new());
        decoder.feed(&body[..end], &mut out).unwrap();
        assert!(out.len() == usize::from(end >= first + 5) * 5 || out == b"hello world", "{end}: {out:?}");
        assert!(decoder.finish().is_err(), "{end}: a body that ends early is no body");
    }
    // Any bit of a signed chunk: not a byte of it comes out.
    for at in 0..body.len() - 2 {
        let mut spoilt = body.clone();
        spoilt[at] ^= 1;
        let (mut decoder, mut out) = (signed().decoder(), Vec::new());
        let fed = decoder.feed(&spoilt, &mut out);
        let done = fed.and_then(|()| decoder.finish());
        assert!(done.is_err(), "byte {at}");
        assert!(
            b"hello world".starts_with(&out) && (out.len() == 5 || out.is_empty() || out.len() == 11),
            "byte {at}: {out:?}"
        );
    }
}

#[test]
fn every_spoilt_byte_of_a_signed_trailer_is_noticed() {
    let body = trailed().body;
    for at in 0..body.len() {
        let mut spoilt = body.clone();
        spoilt[at] ^= 1;
        // The line ends between and after the trailers carry nothing.
        let carries = !matches!(body[at], b'\r' | b'\n');
        if carries {
            assert!(read(trailed().decoder(), &spoilt, 64).is_err(), "byte {at}");
        }
    }
}

#[test]
fn chunk_signatures_chain() {
    let code = |upload: Upload| upload.read(64).unwrap_err().code();
    // Chunks swapped, left out, repeated, from another upload.
    let two = |first: &[u8], second: &[u8]| {
        let good = Upload::new(SIGNED, 10).chunk(b"aaaaa").chunk(b"bbbbb").chunk(b"").text("\r\n");
        let at = |data: &[u8]| {
            let end = good.body.windows(5).position(|text| text == data).unwrap() + 7;
            &good.body[end - 7 - 84..end]
        };
        let tail = &good.body[good.body.len() - 86..];
        let body = [at(first), at(second), tail].concat();
        read(good.decoder(), &body, 50)
    };
    assert!(two(b"aaaaa", b"bbbbb").is_ok());
    assert_eq!(two(b"bbbbb", b"aaaaa").unwrap_err(), SigError::ChunkMismatch);
    assert_eq!(two(b"aaaaa", b"aaaaa").unwrap_err(), SigError::ChunkMismatch);
    let mut foreign = signed();
    foreign.previous = "0".repeat(64);
    foreign.body.clear();
    assert_eq!(code(foreign.chunk(b"hello world").chunk(b"").text("\r\n")), "SignatureDoesNotMatch");
    let error = SigError::ChunkMismatch;
    assert_eq!((error.code(), error.status()), ("SignatureDoesNotMatch", 403));
}

#[test]
fn the_decoded_length_is_the_announced_one_and_the_last_chunk_is_there() {
    let code = |upload: Upload| upload.read(64).unwrap_err().code();
    assert_eq!(code(Upload::new(SIGNED, 12).chunk(b"hello world").chunk(b"").text("\r\n")), "IncompleteBody");
    assert_eq!(code(Upload::new(SIGNED, 10).chunk(b"hello world").chunk(b"").text("\r\n")), "IncompleteBody");
    assert_eq!(code(Upload::new(SIGNED, 11).chunk(b"hello world")), "IncompleteBody");
    assert_eq!(code(Upload::new(SIGNED, 11).chunk(b"hello world").chunk(b"")), "IncompleteBody");
    assert_eq!(code(Upload::new(SIGNED, 11)), "IncompleteBody");
    assert_eq!(code(Upload::new(SIGNED, 11).chunk(b"hello world").chunk(b"").text("\r\nmore")), "IncompleteBody");
    assert_eq!(code(Upload::new(UNSIGNED_TRAILER, 11).bare(b"hello world").bare(b"")), "IncompleteBody");
    for length in ["", "-1", "1e3", "99999999999999999999"] {
        let sent = Sent::new("PUT", "/b/k")
            .header("host", "h")
            .header("x-amz-content-sha256", SIGNED)
            .header("x-amz-date", &amz_date(noon()))
            .header("x-amz-decoded-content-length", length)
            .signed(&s3(), SIGNED, noon());
        let error = sent.verified(&s3(), noon()).unwrap_err();
        assert_eq!((error.code(), error.status()), ("MissingContentLength", 411), "{length}");
        assert_eq!(sent.without("x-amz-decoded-content-length").code(&s3(), noon()), "MissingContentLength");
    }
}

#[test]
fn trailers_are_signed_and_exactly_the_announced_ones() {
    let code = |upload: Upload| upload.read(64).unwrap_err().code();
    let begun = || Upload::new(SIGNED_TRAILER, 5).chunk(b"hello").chunk(b"");
    assert!(begun().trailer(CHECKSUM).read(64).is_ok());
    assert!(begun().text("\r\n").trailer(CHECKSUM).read(64).is_ok(), "an empty line before, as some clients send");
    assert_eq!(code(begun().text(CHECKSUM).text("\r\n\r\n")), "MalformedTrailerError");
    assert_eq!(code(begun().text("\r\n")), "MalformedTrailerError");
    assert_eq!(code(begun().trailer("x-amz-checksum-sha1:AAAAAA==")), "MalformedTrailerError");
    assert_eq!(code(begun().trailer("content-type:text/html")), "MalformedTrailerError");
    assert_eq!(code(begun().trailer(CHECKSUM).text(CHECKSUM).text("\r\n")), "MalformedTrailerError");
    assert_eq!(
        code(begun().text(&format!("{CHECKSUM}\r\nx-amz-trailer-signature:{}\r\n\r\n", "0".repeat(64)))),
        "SignatureDoesNotMatch"
    );
    assert_eq!(
        code(begun().text(&format!("{CHECKSUM}\r\nx-amz-trailer-signature:none\r\n\r\n"))),
        "SignatureDoesNotMatch"
    );
    assert_eq!(code(begun().text(&format!("x-amz-{}\r\n", "x".repeat(17 << 10)))), "MalformedTrailerError");
    let bare = || Upload::new(UNSIGNED_TRAILER, 5).bare(b"hello").bare(b"");
    assert_eq!(code(bare().text("\r\n")), "MalformedTrailerError", "the announced one is missing");
    assert_eq!(code(bare().text("no colon\r\n\r\n")), "MalformedTrailerError");
    assert_eq!(code(bare().text(CHECKSUM).text("\r\n").text(CHECKSUM).text("\r\n\r\n")), "MalformedTrailerError");
}

#[test]
fn one_kind_of_chunks_does_not_pass_for_another() {
    // MinIO CVE-2025-31489: bodies of another kind than the request says, without a signature.
    let body = |kind: &str, of: Upload| read(Upload::new(kind, 11).decoder(), &of.body, 64).unwrap_err().code();
    assert_eq!(body(SIGNED, bare()), "IncompleteBody");
    assert_eq!(body(SIGNED_TRAILER, bare()), "IncompleteBody");
    assert_eq!(body(UNSIGNED_TRAILER, signed()), "IncompleteBody");
    assert_eq!(body(SIGNED, trailed()), "SignatureDoesNotMatch", "signed after another request");
    // Announced as another kind than was signed.
    for kind in [UNSIGNED_TRAILER, "UNSIGNED-PAYLOAD", SIGNED_TRAILER] {
        let sent = signed().sent.changed("x-amz-content-sha256", |_| kind.into());
        assert_eq!(sent.code(&s3(), noon()), "SignatureDoesNotMatch", "{kind}");
    }
    let strict = Rules { unsigned_payload: false, ..s3() };
    assert_eq!(bare().sent.verified(&strict, noon()).unwrap_err(), SigError::UnsignedPayload);
    // A wrong or absent signature of the request itself never reaches the body.
    assert_eq!(bare().sent.without("authorization").code(&s3(), noon()), "AccessDenied");
    assert_eq!(
        bare().sent.verified_by(&s3(), noon(), &[Candidate::Secret(b"other")], None).unwrap_err(),
        SigError::Mismatch
    );
}

#[test]
fn chunk_lines_are_short_and_chunks_bounded() {
    let error = |kind: &str, body: &str| read(Upload::new(kind, 1 << 40).decoder(), body.as_bytes(), 7).unwrap_err();
    let signature = "0".repeat(64);
    for line in [
        format!("g;chunk-signature={signature}\r\n"),
        format!(";chunk-signature={signature}\r\n"),
        format!("-1;chunk-signature={signature}\r\n"),
        format!("+1;chunk-signature={signature}\r\n"),
        format!("0x1;chunk-signature={signature}\r\n"),
        format!("5;chunk-signature={signature}\n"),
        format!("5;signature={signature}\r\n"),
        "5\r\n".into(),
        "5;\r\n".into(),
        "f".repeat(300),
        "\r\n".into(),
    ] {
        assert_eq!(error(SIGNED, &line).code(), "IncompleteBody", "{line:?}");
    }
    let most = format!("{CHUNK_BYTES_MAX:x};chunk-signature={signature}\r\n");
    assert_eq!(error(SIGNED, &most), SigError::IncompleteBody, "waits for its bytes, and holds none of them");
    let more = format!("{:x};chunk-signature={signature}\r\n", CHUNK_BYTES_MAX + 1);
    assert_eq!(error(SIGNED, &more), SigError::ChunkTooLarge);
    assert_eq!(error(SIGNED, &format!("ffffffffffffffff;chunk-signature={signature}\r\n")), SigError::IncompleteBody);
    assert_eq!(error(SIGNED, "5;chunk-signature=short\r\n"), SigError::ChunkMismatch);
    assert_eq!(error(UNSIGNED_TRAILER, "5;chunk-signature=x\r\n").code(), "IncompleteBody");
    assert_eq!(error(UNSIGNED_TRAILER, "5\r\nhelloo\r\n").code(), "IncompleteBody");
    // What went wrong once stays wrong.
    let (mut decoder, mut out) = (signed().decoder(), Vec::new());
    let first = decoder.feed(b"x\r\n", &mut out).unwrap_err();
    assert_eq!(decoder.feed(&signed().body, &mut out), Err(first.clone()));
    assert_eq!((decoder.finish(), out), (Err(first), vec![]));
}

proptest! {
    #[test]
    fn any_body_in_any_chunks_comes_back(data in prop::collection::vec(any::<u8>(), 0..2_000), sizes in prop::collection::vec(1_usize..700, 1..9), step in 1_usize..900) {
        let mut uploads = [Upload::new(SIGNED_TRAILER, data.len()), Upload::new(UNSIGNED_TRAILER, data.len())];
        let mut rest = &data[..];
        for size in sizes.iter().cycle() {
            let (chunk, after) = rest.split_at((*size).min(rest.len()));
            let [one, other] = uploads;
            uploads = [one.chunk(chunk), other.bare(chunk)];
            if chunk.is_empty() { break; }
            rest = after;
        }
        let [one, other] = uploads;
        prop_assert_eq!(one.trailer(CHECKSUM).read(step).unwrap().0, data.clone());
        prop_assert_eq!(other.text(CHECKSUM).text("\r\n\r\n").read(step).unwrap().0, data);
    }

    #[test]
    fn no_body_panics(body in prop::collection::vec(prop_oneof![Just(b'0'), Just(b'\r'), Just(b'\n'), Just(b';'), any::<u8>()], 0..300), step in 1_usize..50) {
        for kind in [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER] {
            let _ = read(Upload::new(kind, 100).decoder(), &body, step);
        }
    }
}

// Forms.

#[derive(Deserialize, Clone)]
struct Post {
    bucket: String,
    now: String,
    region: String,
    access_key: String,
    secret_key: String,
    fields: Vec<(String, String)>,
}

impl Post {
    fn aws() -> Self {
        serde_json::from_str(include_str!("../fixtures/sigv4/post.json")).expect("the fixture is JSON")
    }

    /// A form of our own with these conditions, signed at noon and valid for an hour.
    fn ours(conditions: &str, fields: &[(&str, &str)]) -> Self {
        let date = amz_date(noon());
        let credential = format!("{ID}/{}/{REGION}/s3/aws4_request", &date[..8]);
        let policy = STANDARD.encode(format!(
            r#"{{"expiration": "2026-11-25T21:00:00Z", "conditions": [{{"bucket": "photos"}}, ["starts-with", "$key", "user/"],
                {{"x-amz-credential": "{credential}"}}, {{"x-amz-algorithm": "AWS4-HMAC-SHA256"}}, {{"x-amz-date": "{date}"}}{conditions}]}}"#
        ));
        let signature = hex(&SigningKey::derive(SECRET, &date[..8], REGION, "s3").sign(policy.as_bytes()));
        let mut all = vec![
            ("key", "user/a.jpg"),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &date),
            ("Policy", &policy),
            ("X-Amz-Signature", &signature),
        ];
        all.extend(fields);
        Self {
            bucket: "photos".into(),
            now: "2026-11-25T20:00:00Z".into(),
            region: REGION.into(),
            access_key: ID.into(),
            secret_key: String::from_utf8(SECRET.to_vec()).expect("ASCII"),
            fields: all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    fn changed(mut self, name: &str, change: impl FnOnce(&str) -> String) -> Self {
        let field = self.fields.iter_mut().find(|(given, _)| given.eq_ignore_ascii_case(name)).expect("it is there");
        field.1 = change(&field.1);
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(given, _)| !given.eq_ignore_ascii_case(name));
        self
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    fn verified_at(&self, now: Time) -> Result<(Kind, LengthRange), SigError> {
        let fields: Vec<_> =
            self.fields.iter().map(|(name, value)| FormField { name, value: value.as_bytes() }).collect();
        let regions = [self.region.as_str()];
        let form = Form::parse(&fields, &self.bucket, &Rules::s3(&regions), now)?;
        let candidates = [Candidate::Secret(self.secret_key.as_bytes())];
        let known = form.access_key_id() == self.access_key;
        form.verify(if known { &candidates } else { &[] }).map(|(verified, range)| (verified.kind(), range))
    }

    fn verified(&self) -> Result<(Kind, LengthRange), SigError> {
        self.verified_at(Time::parse(&self.now).expect("a time"))
    }

    fn code(&self) -> &'static str {
        self.verified().map_or_else(|error| error.code(), |_| "accept")
    }
}

#[test]
fn the_form_of_awss_documentation_is_accepted() {
    let (kind, range) = Post::aws().verified().unwrap();
    assert_eq!((kind, range), (Kind::Form, LengthRange { least: 0, most: u64::MAX }));
    assert_eq!(Post::aws().changed("key", |_| "user/user2/photo.jpg".into()).code(), "AccessDenied");
    assert_eq!(Post::aws().changed("acl", |_| "private".into()).code(), "AccessDenied");
    assert_eq!(Post::aws().changed("Content-Type", |_| "text/html".into()).code(), "AccessDenied");
    assert_eq!(
        Post::aws().changed("X-Amz-Credential", |value| value.replace("EXAMPLE/", "EXAMPLF/")).code(),
        "InvalidAccessKeyId"
    );
    assert_eq!(Post::aws().changed("Policy", |value| value.replacen("eyA", "eyB", 1)).code(), "InvalidPolicyDocument");
    assert_eq!(Post { bucket: "other".into(), ..Post::aws() }.code(), "AccessDenied");
}

#[test]
fn a_form_holds_until_its_policy_expires() {
    let form = Post::ours("", &[]);
    let at = |off: i64| form.verified_at(noon().plus_ns(seconds(off))).map(|_| ());
    assert_eq!(at(3_600), Ok(()));
    assert_eq!(at(3_601), Err(SigError::PolicyExpired));
    assert_eq!(at(-900), Ok(()));
    assert_eq!(at(-901), Err(SigError::NotYetValid));
    assert_eq!(SigError::PolicyExpired.message(), "Invalid according to Policy: Policy expired.");
}

#[test]
fn every_field_is_covered_by_a_condition_that_holds() {
    let acl = r#", {"acl": "private"}"#;
    assert_eq!(Post::ours(acl, &[("acl", "private")]).code(), "accept");
    assert_eq!(Post::ours(acl, &[("ACL", "private")]).code(), "accept", "names have no case");
    assert_eq!(Post::ours(acl, &[("acl", "public-read")]).code(), "AccessDenied");
    assert_eq!(Post::ours(acl, &[]).code(), "AccessDenied", "the field is missing");
    assert_eq!(Post::ours(acl, &[("acl", "private"), ("acl", "public-read")]).code(), "AccessDenied");
    assert_eq!(Post::ours("", &[("acl", "private")]).code(), "AccessDenied", "no condition");
    assert_eq!(Post::ours("", &[("x-amz-meta-a", "1")]).code(), "AccessDenied");
    assert_eq!(Post::ours("", &[("X-Ignore-Me", "1"), ("file", "x")]).code(), "accept");
    assert_eq!(Post::ours(r#", ["eq", "$acl", "private"]"#, &[("acl", "private")]).code(), "accept");
    assert_eq!(
        Post::ours(r#", ["starts-with", "$x-amz-meta-tag", ""]"#, &[("x-amz-meta-tag", "any")]).code(),
        "accept"
    );
    assert_eq!(Post::ours("", &[]).changed("key", |_| "other/a.jpg".into()).code(), "AccessDenied");
    let extra = Post::ours("", &[("acl", "private")]).verified().unwrap_err();
    assert_eq!(extra.message(), "Invalid according to Policy: Extra input fields: acl");
    let failed = Post { bucket: "other".into(), ..Post::ours("", &[]) }.verified().unwrap_err();
    assert_eq!(failed, SigError::PolicyRefused("Policy Condition failed: \"bucket\"".into()));
}

#[test]
fn the_files_length_is_bounded_by_the_narrowest_range() {
    let (_, range) = Post::ours(r#", ["content-length-range", 1, 100], ["content-length-range", "10", "1000"]"#, &[])
        .verified()
        .unwrap();
    assert_eq!(range, LengthRange { least: 10, most: 100 });
    assert_eq!(
        [9, 10, 100, 101].map(|bytes| range.check(bytes)),
        [Err(SigError::TooSmall), Ok(()), Ok(()), Err(SigError::TooLarge)]
    );
    assert_eq!((SigError::TooSmall.code(), SigError::TooLarge.code()), ("EntityTooSmall", "EntityTooLarge"));
}

#[test]
fn a_form_is_signed_once_and_completely() {
    for name in ["X-Amz-Credential", "X-Amz-Date", "X-Amz-Signature", "Policy", "key", "X-Amz-Algorithm"] {
        assert_eq!(Post::ours("", &[]).without(name).code(), "InvalidArgument", "without {name}");
        assert_eq!(Post::ours("", &[]).with(name, "x").code(), "InvalidArgument", "{name} twice");
    }
    let bare = Post::ours("", &[]);
    let bare = Post { fields: vec![("key".into(), "a".into())], ..bare };
    assert_eq!(bare.verified().unwrap_err(), SigError::NotSigned);
    let old = bare.with("AWSAccessKeyId", "A").with("signature", "x").verified().unwrap_err();
    assert_eq!(old, SigError::OtherAlgorithm);
    assert_eq!(Post::ours("", &[]).with("AWSAccessKeyId", "A").verified().unwrap_err(), SigError::Ambiguous);
    assert_eq!(Post::ours("", &[]).changed("X-Amz-Algorithm", |_| "AWS4-HMAC-SHA1".into()).code(), "InvalidRequest");
    assert_eq!(Post::ours("", &[]).changed("X-Amz-Signature", str::to_uppercase).code(), "SignatureDoesNotMatch");
    assert_eq!(
        Post::ours("", &[]).changed("X-Amz-Date", |_| "20261125T200001Z".into()).code(),
        "AccessDenied",
        "the policy fixes it"
    );
    for scope in [
        "20261124/eu-central-1/s3/aws4_request",
        "20261125/eu/s3/aws4_request",
        "20261125/eu-central-1/iam/aws4_request",
        "20261125/eu-central-1/s3/x",
    ] {
        let form = Post::ours("", &[]).changed("X-Amz-Credential", |_| format!("{ID}/{scope}"));
        assert_eq!(form.code(), "AuthorizationQueryParametersError", "{scope}");
    }
}

#[test]
fn malformed_policies_are_refused_whoever_signed_them() {
    let policy = |text: &str| {
        let policy = STANDARD.encode(text);
        let signature = hex(&SigningKey::derive(SECRET, "20261125", REGION, "s3").sign(policy.as_bytes()));
        Post::ours("", &[]).changed("Policy", |_| policy).changed("X-Amz-Signature", |_| signature).code()
    };
    for bad in [
        "",
        "x",
        "[]",
        r#"{"conditions": []}"#,
        r#"{"expiration": "2026-11-25T21:00:00Z"}"#,
        r#"{"expiration": "soon", "conditions": []}"#,
        r#"{"expiration": "2026-11-25T21:00:00Z", "conditions": [], "more": 1}"#,
        r#"{"expiration": "2026-11-25T21:00:00Z", "conditions": [{}]}"#,
        r#"{"expiration": "2026-11-25T21:00:00Z", "conditions": [{"acl": 1}]}"#,
        r#"{"expiration": "2026-11-25T21:00:00Z", "conditions": [["eq", "acl", "private"]]}"#,
        r#"{"expiration": "2026-11-25T21:00:00Z", "conditions": [["ends-with", "$acl", "private"]]}"#,
        r#"{"expiration": "2026-11-25T21:00:00Z", "conditions": [["content-length-range", -1, 2]]}"#,
        r#"{"expiration": "2026-11-25T21:00:00Z", "conditions": ["acl"]}"#,
        &format!(r#"{{"expiration": "2026-11-25T21:00:00Z", "conditions": {}}}"#, "[".repeat(500)),
    ] {
        assert_eq!(policy(bad), if bad.is_empty() { "InvalidArgument" } else { "InvalidPolicyDocument" }, "{bad}");
    }
    // Good for any bucket, if it were taken.
    assert_eq!(policy(r#"{"expiration": "2026-11-25T21:00:00Z", "conditions": []}"#), "AccessDenied");
}
