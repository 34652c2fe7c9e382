//! The request that `s3s` is given: what the gate understood, and nothing that would be read a second time.
//!
//! Invariants
//! - Bucket and key come from the gate's reading, as a path: a virtual host or an odd encoding is not read twice.
//! - No part of the authentication goes on, and of a chunked body nothing that speaks of its frames.
//!
//! Not here: the body (`body`).

use super::form::encode;
use crate::gate::Admitted;
use http::Uri;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{InvalidUri, PathAndQuery};

/// Headers that stay here. `x-amz-sdk-checksum-algorithm` alone makes `s3s-fs` compare with a checksum that nobody sent,
/// after the commit.
const NOT_PASSED: [HeaderName; 9] = [
    header::AUTHORIZATION,
    header::TRANSFER_ENCODING,
    header::EXPECT,
    HeaderName::from_static("x-amz-content-sha256"),
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-decoded-content-length"),
    HeaderName::from_static("x-amz-sdk-checksum-algorithm"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-amz-trailer"),
];

/// Path and query for `s3s`. `query`: as sent.
///
/// An empty `delimiter` is left out: `s3s-fs` would list nothing by it.
pub fn uri(admitted: &Admitted, query: Option<&str>) -> Result<Uri, InvalidUri> {
    let mut target = String::with_capacity(64);
    target.push('/');
    if let Some(bucket) = admitted.bucket() {
        target.push_str(bucket);
        if let Some(key) = admitted.object_key() {
            target.push('/');
            target.push_str(&encode(key, b"/"));
        }
    }
    let mut first = true;
    for pair in query.unwrap_or_default().split('&').filter(|pair| is_passed(pair)) {
        target.push(if first { '?' } else { '&' });
        target.push_str(pair);
        first = false;
    }
    Ok(Uri::from(PathAndQuery::try_from(target)?))
}

fn is_passed(pair: &str) -> bool {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let signs = name.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("x-amz-")) || name.contains('%');
    !(pair.is_empty() || signs || (name == "delimiter" && value.is_empty()))
}

/// Headers for `s3s`. `length`: bytes of the object or document, where known.
pub fn headers(mut headers: HeaderMap, length: Option<u64>) -> HeaderMap {
    for name in &NOT_PASSED {
        headers.remove(name);
    }
    headers.remove(header::CONTENT_LENGTH);
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    let encodings: Vec<_> = headers.get_all(header::CONTENT_ENCODING).iter().cloned().collect();
    if !encodings.is_empty() {
        headers.remove(header::CONTENT_ENCODING);
        let tokens = encodings.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        let kept: Vec<&str> = tokens
            .map(str::trim)
            .filter(|token| !token.is_empty() && !token.eq_ignore_ascii_case("aws-chunked"))
            .collect();
        if let (false, Ok(value)) = (kept.is_empty(), HeaderValue::from_str(&kept.join(","))) {
            headers.insert(header::CONTENT_ENCODING, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_query_only_what_speaks_of_the_operation_goes_on() {
        for pair in ["list-type=2", "delimiter=%2F", "encoding-type=url", "uploads", "partNumber=1", "x-id=PutObject"] {
            assert!(is_passed(pair), "{pair}");
        }
        for pair in
            ["", "delimiter=", "delimiter", "X-Amz-Signature=0", "x-amz-acl=private", "X-Amz-Expires", "%58-Amz-Date=1"]
        {
            assert!(!is_passed(pair), "{pair}");
        }
    }

    #[test]
    fn of_a_chunked_body_no_header_speaks_of_its_frames() {
        let mut given = HeaderMap::new();
        for (name, value) in [
            ("content-encoding", "aws-chunked, gzip"),
            ("content-length", "200"),
            ("x-amz-decoded-content-length", "100"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
            ("x-amz-meta-a", "b"),
            ("authorization", "AWS4-HMAC-SHA256 …"),
        ] {
            given.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let passed = headers(given, Some(100));
        let mut names: Vec<_> = passed.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        names.sort_unstable();
        assert_eq!(names, [("content-encoding", &b"gzip"[..]), ("content-length", b"100"), ("x-amz-meta-a", b"b")]);
    }
}
