//! Who claims to have signed a request, when and how; and the refusal of what no key could make right.
//!
//! Order: where the signature stands → its form → the request's time → its scope → which headers are signed → what
//! was signed of the body. The key is looked up after that, by whoever has keys.
//!
//! Not here: the query's parameters (`presign`), the signature itself (`verify`), form uploads (`form`).

use super::canonical::{HeaderFault, Scratch};
use super::date::Stamp;
use super::encode::unhex;
use super::presign::{self, InQuery};
use super::{
    ALGORITHM, HEADER_BYTES_MAX, HEADERS_MAX, Request, Rules, SKEW_NS_MAX, ScopePart, SigError, TARGET_BYTES_MAX,
};
use super::{TERMINATOR, verify};
use crate::model::Time;
use std::borrow::Cow;

/// Bytes of an access key id.
const ID_BYTES_MAX: usize = 128;
/// Bytes of a method.
const METHOD_BYTES_MAX: usize = 32;

/// Where a signature stands (`s3:authType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In the Authorization header: `REST-HEADER`.
    Header,
    /// In the query, valid so many seconds from its time: `REST-QUERY-STRING`.
    Presigned { expires_s: u32 },
    /// In the fields of an HTML form: `POST`.
    Form,
}

/// What was signed of the body, and so what is still to be checked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// Its SHA-256, as the request announces it: compare the body before anything is committed.
    Announced([u8; 32]),
    /// Its SHA-256, as given to [`Parsed::verify`]: nothing is left to check.
    Hashed,
    /// Nothing.
    Unsigned,
    /// It comes in chunks: read it through [`super::ChunkDecoder`].
    Chunked {
        /// Whether chunks are signed. Otherwise only the trailer's checksums speak for the body: a weaker proof.
        signed: bool,
        /// Whether headers follow the last chunk.
        trailer: bool,
        /// Bytes of the body without its frames.
        decoded_length: u64,
    },
}

/// A request whose claim is well formed, timely and complete, but not yet proven.
#[derive(Debug)]
pub struct Parsed<'a> {
    pub(super) request: Request<'a>,
    pub(super) rules: Rules<'a>,
    pub(super) scratch: &'a mut Scratch,
    pub(super) claim: Claim<'a>,
    pub(super) stamp: Stamp,
    /// Of the rules' regions, the one that the credential names.
    pub(super) region: &'a str,
    pub(super) payload: Payload,
    /// As `x-amz-content-sha256` stands in the request.
    pub(super) payload_text: &'a [u8],
    pub(super) token: Option<Cow<'a, str>>,
    pub(super) kind: Kind,
}

/// What a signature says of itself, from wherever it stands.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    pub credential: Credential<'a>,
    pub signed_headers: Cow<'a, str>,
    /// None when it is not 64 lowercase hex digits: then it matches nothing.
    pub signature: Option<[u8; 32]>,
}

/// `AKIDEXAMPLE/20130524/us-east-1/s3/aws4_request`, in parts.
#[derive(Debug)]
pub(super) struct Credential<'a> {
    pub id: Cow<'a, str>,
    pub date: Cow<'a, str>,
    pub region: Cow<'a, str>,
    pub service: Cow<'a, str>,
    pub terminator: Cow<'a, str>,
}

/// Headers that authentication reads, found in one pass.
#[derive(Debug, Default)]
pub(super) struct Special<'a> {
    authorization: Option<&'a [u8]>,
    amz_date: Option<&'a [u8]>,
    date: Option<&'a [u8]>,
    pub content_sha256: Option<&'a [u8]>,
    decoded_length: Option<&'a [u8]>,
    token: Option<&'a [u8]>,
}

/// Reads the claim of a request that arrived at `now`.
///
/// Nothing is looked up and no secret is needed. The answer borrows the request and `scratch`.
///
/// # Errors
/// [`SigError`] with S3's code; sizes first, then the order that this module's documentation gives.
pub fn parse<'a>(
    request: &Request<'a>,
    rules: &Rules<'a>,
    now: Time,
    scratch: &'a mut Scratch,
) -> Result<Parsed<'a>, SigError> {
    if request.target.len() > TARGET_BYTES_MAX || request.method.len() > METHOD_BYTES_MAX || bad_line(request) {
        return Err(SigError::BadTarget);
    }
    let special = Special::of(request)?;
    let in_query = presign::find(request.path_and_query().1)?;
    let (claim, stamp, kind, query) = match (special.authorization, in_query) {
        (Some(_), InQuery::Signed(_) | InQuery::OldSignature) => return Err(SigError::Ambiguous),
        (None, InQuery::OldSignature) => return Err(SigError::OtherAlgorithm),
        (None, InQuery::Nothing) => return Err(SigError::NotSigned),
        (Some(header), InQuery::Nothing) => {
            let claim = authorization(header)?;
            let stamp = special.stamp()?;
            if stamp.time.ns_since(now).saturating_abs() > SKEW_NS_MAX {
                return Err(SigError::Skewed);
            }
            (claim, stamp, Kind::Header, None)
        }
        (None, InQuery::Signed(found)) => {
            let (claim, stamp, expires_s) = presign::claim(&found)?;
            presign::in_time(stamp.time, expires_s, now)?;
            (claim, stamp, Kind::Presigned { expires_s }, Some(found))
        }
    };
    let region = in_scope(&claim.credential, rules, stamp.date(), query.is_some())?;
    // S3 wants the token signed; some other services have it added afterwards (IAM User Guide).
    scratch.match_headers(request.headers, &claim.signed_headers, !rules.payload_header).map_err(|fault| {
        let name = |index: usize| crate::model::text::excerpt(&request.headers[index].0.to_ascii_lowercase(), 64);
        match fault {
            HeaderFault::List if query.is_some() => {
                SigError::Query("X-Amz-SignedHeaders is not sorted lowercase names")
            }
            HeaderFault::List => SigError::Header("SignedHeaders is not sorted lowercase names"),
            HeaderFault::HostNotSigned => SigError::UnsignedHeader("host".to_owned()),
            HeaderFault::NotSigned(index) => SigError::UnsignedHeader(name(index)),
            HeaderFault::Duplicate(index) => SigError::DuplicateHeader(name(index)),
        }
    })?;
    let (payload, payload_text) = special.payload(rules, query.as_deref())?;
    let token = match (&query, special.token) {
        (Some(found), _) if found.token.is_some() => found.token.clone(),
        (_, token) => token.map(String::from_utf8_lossy),
    };
    Ok(Parsed { request: *request, rules: *rules, scratch, claim, stamp, region, payload, payload_text, token, kind })
}

/// The region and service that a request's credential names, to choose an endpoint's [`Rules`] by. Nothing is proven.
#[must_use]
pub fn scope_of<'a>(request: &Request<'a>) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    if request.target.len() > TARGET_BYTES_MAX || request.headers.len() > HEADERS_MAX {
        return None;
    }
    let claim = match request.header("authorization") {
        Some(header) => authorization(header).ok()?,
        None => match presign::find(request.path_and_query().1).ok()? {
            InQuery::Signed(found) => presign::claim(&found).ok()?.0,
            _ => return None,
        },
    };
    Some((claim.credential.region, claim.credential.service))
}

impl<'a> Parsed<'a> {
    /// Who claims to have signed: 1 to 128 bytes without `/`, nothing else promised. Look it up exactly as it is.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.claim.credential.id
    }

    /// `20130524`: the day that a [`super::SigningKey`] for this request is derived for. Equals the day of its time.
    #[must_use]
    pub fn date(&self) -> &str {
        &self.claim.credential.date
    }

    /// One of the rules' regions.
    #[must_use]
    pub fn region(&self) -> &'a str {
        self.region
    }

    /// The rules' service.
    #[must_use]
    pub fn service(&self) -> &'a str {
        self.rules.service
    }

    /// When it says it was signed, to the second.
    #[must_use]
    pub fn time(&self) -> Time {
        self.stamp.time
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What will have been signed of the body, once the request is verified.
    #[must_use]
    pub fn payload(&self) -> Payload {
        self.payload
    }

    /// `x-amz-security-token`, of a session. With services other than S3 it may be unsigned: believe it only as far as
    /// it proves itself.
    #[must_use]
    pub fn session_token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The canonical request, the string to sign and the signature as sent, to show to a person. `body_sha256` as in
    /// [`Self::verify`].
    ///
    /// # Errors
    /// [`SigError::BadTarget`] when the path cannot be made canonical.
    pub fn explain(&mut self, body_sha256: Option<&[u8; 32]>) -> Result<(String, String), SigError> {
        verify::prepare(self, body_sha256, verify::FIRST_READING)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((text(&self.scratch.text), text(&self.scratch.to_sign)))
    }
}

/// Whether method or target could not have stood in a request line.
fn bad_line(request: &Request<'_>) -> bool {
    let method_fits = !request.method.is_empty() && request.method.bytes().all(|byte| byte.is_ascii_graphic());
    let target_fits = matches!(request.target.first(), None | Some(b'/' | b'?'))
        && request.target.iter().fold(true, |fits, byte| fits & !matches!(byte, 0 | b'\r' | b'\n'));
    !method_fits || !target_fits
}

impl<'a> Special<'a> {
    fn of(request: &Request<'a>) -> Result<Self, SigError> {
        if request.headers.len() > HEADERS_MAX {
            return Err(SigError::HeadersTooLarge);
        }
        let mut special = Self::default();
        let mut bytes = 0;
        for (name, value) in request.headers {
            bytes += name.len() + value.len();
            let place = match name.len() {
                4 if name.eq_ignore_ascii_case("date") => &mut special.date,
                10 if name.eq_ignore_ascii_case("x-amz-date") => &mut special.amz_date,
                13 if name.eq_ignore_ascii_case("authorization") => &mut special.authorization,
                20 if name.eq_ignore_ascii_case("x-amz-content-sha256") => &mut special.content_sha256,
                20 if name.eq_ignore_ascii_case("x-amz-security-token") => &mut special.token,
                28 if name.eq_ignore_ascii_case("x-amz-decoded-content-length") => &mut special.decoded_length,
                _ => continue,
            };
            if place.replace(value.trim_ascii()).is_some() {
                return Err(SigError::DuplicateHeader(name.to_ascii_lowercase()));
            }
        }
        if bytes > HEADER_BYTES_MAX {
            return Err(SigError::HeadersTooLarge);
        }
        Ok(special)
    }

    /// The request's time: x-amz-date, or else date.
    fn stamp(&self) -> Result<Stamp, SigError> {
        match (self.amz_date, self.date) {
            (Some(text), _) => Stamp::basic(text).ok_or(SigError::BadDate),
            (None, Some(text)) => Stamp::header(text).ok_or(SigError::BadDate),
            (None, None) => Err(SigError::NoDate),
        }
    }

    fn payload(&self, rules: &Rules<'_>, query: Option<&presign::Found<'a>>) -> Result<(Payload, &'a [u8]), SigError> {
        if !rules.payload_header {
            return Ok((Payload::Hashed, b""));
        }
        let text = match (self.content_sha256, query) {
            (Some(text), _) => text,
            (None, Some(found)) => found.content_sha256.unwrap_or(UNSIGNED_PAYLOAD),
            (None, None) => return Err(SigError::NoContentSha256),
        };
        let chunked = |signed, trailer| {
            let digits = self.decoded_length.filter(|text| text.len() <= 19 && text.iter().all(u8::is_ascii_digit));
            let length = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
            let decoded_length = length.ok_or(SigError::NoDecodedLength)?;
            Ok(Payload::Chunked { signed, trailer, decoded_length })
        };
        let payload = match text {
            UNSIGNED_PAYLOAD if query.is_some() || rules.unsigned_payload => Payload::Unsigned,
            UNSIGNED_PAYLOAD => return Err(SigError::UnsignedPayload),
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => chunked(true, false)?,
            b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => chunked(true, true)?,
            b"STREAMING-UNSIGNED-PAYLOAD-TRAILER" if rules.unsigned_payload => chunked(false, true)?,
            b"STREAMING-UNSIGNED-PAYLOAD-TRAILER" => return Err(SigError::UnsignedPayload),
            _ => Payload::Announced(unhex(text).ok_or(SigError::BadContentSha256)?),
        };
        Ok((payload, text))
    }
}

pub(super) const UNSIGNED_PAYLOAD: &[u8] = b"UNSIGNED-PAYLOAD";

/// `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`, each part once, in any order.
fn authorization(header: &[u8]) -> Result<Claim<'_>, SigError> {
    let text = std::str::from_utf8(header).map_err(|_| SigError::Header("it is not UTF-8"))?;
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    match scheme {
        ALGORITHM => {}
        "AWS" => return Err(SigError::OtherAlgorithm),
        _ if scheme.starts_with("AWS4-") => return Err(SigError::OtherAlgorithm),
        _ => return Err(SigError::OtherScheme),
    }
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for part in rest.split(',') {
        let (name, value) = part.trim().split_once('=').ok_or(SigError::Header("a part has no `=`"))?;
        let place = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed_headers,
            "Signature" => &mut signature,
            _ => return Err(SigError::Header("it has a part that is none of Credential, SignedHeaders and Signature")),
        };
        if place.replace(value).is_some() {
            return Err(SigError::Header("a part is given twice"));
        }
    }
    let credential = credential.ok_or(SigError::Header("Credential is missing"))?;
    let signed_headers = signed_headers.ok_or(SigError::Header("SignedHeaders is missing"))?;
    let signature = signature.filter(|text| !text.is_empty()).ok_or(SigError::Header("Signature is missing"))?;
    Ok(Claim {
        credential: Credential::of(Cow::Borrowed(credential))
            .ok_or(SigError::Header("Credential is not ID/DATE/REGION/SERVICE/aws4_request"))?,
        signed_headers: Cow::Borrowed(signed_headers),
        signature: unhex(signature.as_bytes()),
    })
}

impl<'a> Credential<'a> {
    /// Five parts, the first of 1 to 128 visible ASCII characters.
    pub(super) fn of(text: Cow<'a, str>) -> Option<Self> {
        let parts = |text: &str| {
            let mut ends = text.match_indices('/').map(|(at, _)| at);
            let four = [ends.next()?, ends.next()?, ends.next()?, ends.next()?];
            let fits =
                (1..=ID_BYTES_MAX).contains(&four[0]) && text[..four[0]].bytes().all(|byte| byte.is_ascii_graphic());
            (ends.next().is_none() && fits).then_some(four)
        };
        let [a, b, c, d] = parts(&text)?;
        Some(match text {
            Cow::Borrowed(text) => Self {
                id: Cow::Borrowed(&text[..a]),
                date: Cow::Borrowed(&text[a + 1..b]),
                region: Cow::Borrowed(&text[b + 1..c]),
                service: Cow::Borrowed(&text[c + 1..d]),
                terminator: Cow::Borrowed(&text[d + 1..]),
            },
            Cow::Owned(text) => Self {
                id: Cow::Owned(text[..a].to_owned()),
                date: Cow::Owned(text[a + 1..b].to_owned()),
                region: Cow::Owned(text[b + 1..c].to_owned()),
                service: Cow::Owned(text[c + 1..d].to_owned()),
                terminator: Cow::Owned(text[d + 1..].to_owned()),
            },
        })
    }
}

/// The rules' region that a credential names, when all of its scope is exactly what it has to be.
pub(super) fn in_scope<'a>(
    credential: &Credential<'_>,
    rules: &Rules<'a>,
    date: &[u8],
    in_query: bool,
) -> Result<&'a str, SigError> {
    let wrong = |part, expected: &str| Err(SigError::Scope { part, expected: expected.to_owned(), in_query });
    if credential.date.as_bytes() != date {
        return wrong(ScopePart::Date, &String::from_utf8_lossy(date));
    }
    let Some(region) = rules.regions.iter().find(|region| **region == credential.region) else {
        return wrong(ScopePart::Region, rules.regions.first().unwrap_or(&""));
    };
    if credential.service != rules.service {
        return wrong(ScopePart::Service, rules.service);
    }
    if credential.terminator != TERMINATOR {
        return wrong(ScopePart::Terminator, TERMINATOR);
    }
    Ok(region)
}
