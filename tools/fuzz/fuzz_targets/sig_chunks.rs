//! Chunked bodies of any bytes, in any pieces: the same answer whatever the pieces, and nothing unsigned comes out.
//!
//! Input: which kind, the pieces' size, the body.
#![no_main]

use keyledger::model::Time;
use keyledger::sigv4::{Candidate, ChunkDecoder, Request, Rules, Scratch, Signer, amz_date, parse, sign_headers};
use libfuzzer_sys::fuzz_target;

const SECRET: &[u8] = b"rz9nBempcvb0UA09ty3ZSlAHkjDNgnGe5hh7hYuE";
const KINDS: [&str; 3] = [
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
];

fn decoder(kind: &str) -> ChunkDecoder {
    let now = Time(1_796_000_000_000_000_000);
    let (date, rules) = (amz_date(now), Rules::s3(&["us-east-1"]));
    let mut headers: Vec<(&str, &[u8])> = vec![
        ("host", b"h"),
        ("x-amz-content-sha256", kind.as_bytes()),
        ("x-amz-date", date.as_bytes()),
        ("x-amz-decoded-content-length", b"64"),
        ("x-amz-trailer", b"x-amz-checksum-crc32"),
    ];
    let signer = Signer { access_key_id: "NQAKP9KGWNTD0GP5RENV", secret: SECRET, rules };
    let request = Request { method: "PUT", target: b"/b/k", headers: &headers };
    let authorization = sign_headers(&request, &signer, kind, now).expect("it can be signed");
    headers.push(("authorization", authorization.as_bytes()));
    let request = Request { method: "PUT", target: b"/b/k", headers: &headers };
    let mut scratch = Scratch::new();
    let parsed = parse(&request, &rules, now, &mut scratch).expect("it is whole");
    parsed.verify(None, &[Candidate::Secret(SECRET)]).expect("it is signed").chunks().expect("it is chunked")
}

fuzz_target!(|input: &[u8]| {
    let [kind, size, body @ ..] = input else { return };
    let kind = KINDS[usize::from(*kind) % KINDS.len()];
    let read = |size: usize| {
        let (mut decoder, mut out) = (decoder(kind), Vec::new());
        for piece in body.chunks(size.max(1)) {
            if decoder.feed(piece, &mut out).is_err() {
                break;
            }
        }
        (out, decoder.finish())
    };
    let (out, done) = read(usize::from(*size));
    assert!(out.len() <= 64);
    assert!(kind.contains("UNSIGNED") || out.is_empty(), "nobody signed a chunk");
    assert_eq!((out, done), read(body.len()));
});
