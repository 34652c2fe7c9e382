//! AWS Signature Version 4: a request as it was sent, and which secret signed it.
//!
//! Two steps, so that a caller can look the key up between them. [`parse`] reads who claims to have signed what, and
//! when, and refuses everything that no key could make right. [`Parsed::verify`] takes the key's live secrets, or signing
//! keys derived from them earlier, and gives a [`Verified`], which nothing else can make.
//!
//! ```text
//!   Request ──parse──▶ Parsed ──(look the key up)──▶ verify ──▶ Verified ──▶ check_body │ chunks
//!   form_head ──fields──▶ Form::parse ──(look the key up)──▶ verify ──▶ Verified, LengthRange
//! ```
//!
//! Invariants
//! - Pure functions over values: no files, clocks or network. Sizes are checked before anything is allocated.
//! - Exactly one reading of the authentication: a request that is signed twice (header and query) is refused.
//! - Every `x-amz-*` header that arrives is signed, and arrives once.
//! - An unknown id costs what a known one with an uncached key costs: pass no candidates and a dummy chain is computed.
//! - No error holds a secret or the signature that was expected.
//!
//! Not here: which keys exist and whether they are alive, what the request asks for (`gate`), HTTP, and the
//! checksums that trailers carry (the storage node compares them).

mod canonical;
mod chunked;
mod date;
mod encode;
mod error;
mod form;
mod key;
mod multipart;
mod parse;
mod presign;
mod request;
mod sign;
mod verify;

pub use canonical::{Scratch, canonical_path};
pub use chunked::{CHUNK_BYTES_MAX, ChunkDecoder, Trailer};
pub use encode::{pairs as query_pairs, path_text, query_text};
pub use error::{ScopePart, SigError};
pub use form::{Form, FormField, LengthRange};
pub use key::SigningKey;
pub use multipart::{FormHead, form_head, is_form};
pub use parse::{Kind, Parsed, Payload, parse, scope_of};
pub use request::{Request, Rules};
pub use sign::{Signer, amz_date, sign_headers};
pub use verify::{Candidate, Verified};

/// How far a request's time may be from ours, either way: 15 minutes (S3 API Reference, "RequestTimeTooSkewed").
pub const SKEW_NS_MAX: i64 = 15 * 60 * 1_000_000_000;
/// How long a presigned URL may be valid: 7 days (S3 API Reference, "Authenticating requests: using query parameters").
pub const EXPIRES_S_MAX: u32 = 604_800;
/// Headers of a request.
pub const HEADERS_MAX: usize = 512;
/// Names and values of all headers together.
pub const HEADER_BYTES_MAX: usize = 64 << 10;
/// Path and query as sent.
pub const TARGET_BYTES_MAX: usize = 32 << 10;
/// Parameters of a query.
pub const QUERY_PAIRS_MAX: usize = 1_024;

/// The only algorithm there is: no field of a request ever chooses another.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
