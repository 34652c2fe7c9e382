//! A request as it was sent, and what the endpoint takes.
//!
//! Not here: HTTP itself; whoever has parsed it lends its parts.

/// A borrowed view of a request, before anything in it was decoded.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// As sent: `GET`.
    pub method: &'a str,
    /// Path and query as sent, still percent-encoded: `/bucket/key?versionId=1`.
    pub target: &'a [u8],
    /// In the order they arrived; names in any case. For HTTP/2 put `:authority` here as `host`.
    pub headers: &'a [(&'a str, &'a [u8])],
}

impl<'a> Request<'a> {
    /// The path, and the query without its `?`.
    pub(super) fn path_and_query(&self) -> (&'a [u8], &'a [u8]) {
        let (path, query) = match self.target.iter().position(|byte| *byte == b'?') {
            Some(at) => (&self.target[..at], &self.target[at + 1..]),
            None => (self.target, &self.target[self.target.len()..]),
        };
        (if path.is_empty() { b"/" } else { path }, query)
    }

    /// The first header of that lowercase name, trimmed.
    pub(super) fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim_ascii())
    }
}

/// What an endpoint takes: its service, its regions, and how that service makes a request canonical.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Compared exactly with the credential's.
    pub service: &'a str,
    /// Any of these, compared exactly.
    pub regions: &'a [&'a str],
    /// The path is encoded a second time: every service but S3.
    pub encode_path_twice: bool,
    /// `..`, `.` and `//` are taken out of the path first: every service but S3.
    pub normalize_path: bool,
    /// As in S3: `x-amz-content-sha256` says what was signed of the body. Otherwise the body's hash itself is signed.
    pub payload_header: bool,
    /// With `payload_header`: whether a signed header may say UNSIGNED-PAYLOAD. A presigned URL always may.
    pub unsigned_payload: bool,
}

impl<'a> Rules<'a> {
    /// S3: one encoding, no normalisation, `x-amz-content-sha256`; unsigned payloads allowed, as S3 does.
    #[must_use]
    pub fn s3(regions: &'a [&'a str]) -> Self {
        Self {
            service: "s3",
            regions,
            encode_path_twice: false,
            normalize_path: false,
            payload_header: true,
            unsigned_payload: true,
        }
    }

    /// The rules that go with a service's name: S3's for `s3` and its kin, else those of any other service.
    #[must_use]
    pub fn of(service: &'a str, regions: &'a [&'a str]) -> Self {
        match service {
            "s3" | "s3express" | "s3-outposts" | "s3-object-lambda" => Self { service, ..Self::s3(regions) },
            _ => Self::service(service, regions),
        }
    }

    /// Any other service: the normalised path encoded twice, the body's own hash.
    #[must_use]
    pub fn service(service: &'a str, regions: &'a [&'a str]) -> Self {
        Self {
            service,
            regions,
            encode_path_twice: true,
            normalize_path: true,
            payload_header: false,
            unsigned_payload: false,
        }
    }
}
