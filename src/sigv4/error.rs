//! Why a request is not authentic, and S3's word for it.
//!
//! Not here: other dialects' words for the same (`api::dialect`), and refusals for want of rights (`gate`).

use std::borrow::Cow;

/// A part of the credential scope `date/region/service/aws4_request`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopePart {
    Date,
    Region,
    Service,
    Terminator,
}

impl ScopePart {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ScopePart::Date => "date",
            ScopePart::Region => "region",
            ScopePart::Service => "service",
            ScopePart::Terminator => "terminator",
        }
    }
}

/// Why a request was not accepted. Never holds a secret, nor the signature that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigError {
    #[error("the request is not signed; sign it with AWS4-HMAC-SHA256")]
    NotSigned,
    #[error("the authorization mechanism is not supported; please use AWS4-HMAC-SHA256")]
    OtherAlgorithm,
    #[error("the authorization type is not supported; please use AWS4-HMAC-SHA256")]
    OtherScheme,
    #[error("the request is signed more than once (header, query or form); sign it in one place")]
    Ambiguous,
    /// What is wrong with the Authorization header.
    #[error("the authorization header is malformed: {0}")]
    Header(&'static str),
    /// What is wrong with the query's authentication parameters.
    #[error("the query's authentication parameters are malformed: {0}")]
    Query(&'static str),
    #[error("the credential's {} is not `{expected}`", part.as_str())]
    Scope { part: ScopePart, expected: String, in_query: bool },
    #[error("the request has no time: send x-amz-date or date")]
    NoDate,
    #[error("the request's time is not in a known form: send x-amz-date as 20130524T000000Z")]
    BadDate,
    #[error("the request's time is more than 15 minutes from ours; set the clock")]
    Skewed,
    #[error("the presigned request has expired; sign a new one")]
    Expired,
    #[error("the presigned request is not valid yet; set the clock")]
    NotYetValid,
    #[error("header `{0}` arrived and is not signed; name it in SignedHeaders")]
    UnsignedHeader(String),
    #[error("header `{0}` arrived more than once")]
    DuplicateHeader(String),
    #[error("header `x-amz-content-sha256` is missing")]
    NoContentSha256,
    #[error(
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, \
         STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-UNSIGNED-PAYLOAD-TRAILER or 64 lowercase hex digits"
    )]
    BadContentSha256,
    #[error("an unsigned payload is not allowed here; sign its hash")]
    UnsignedPayload,
    #[error(
        "header `x-amz-decoded-content-length` is missing or no number; send the body's length without its chunk frames"
    )]
    NoDecodedLength,
    #[error("the path is not valid percent-encoding, or is too long")]
    BadTarget,
    #[error("the request has more headers than are taken, or longer ones")]
    HeadersTooLarge,
    #[error("the access key id is not known")]
    UnknownKey,
    #[error("the signature does not match; check the secret key and how the request was signed")]
    Mismatch,
    #[error("the body does not have the hash that was signed")]
    PayloadMismatch,
    #[error("a chunk's signature does not match")]
    ChunkMismatch,
    /// What is wrong with the chunk frames.
    #[error("the chunked body is malformed: {0}")]
    Chunk(&'static str),
    #[error("a chunk is longer than is taken; send chunks of at most 16 MiB")]
    ChunkTooLarge,
    #[error("the body does not have the decoded length that was announced, or its last chunk is missing")]
    IncompleteBody,
    /// What is wrong with the trailing headers.
    #[error("the trailing headers are malformed: {0}")]
    Trailer(&'static str),
    /// What is wrong with the form around its fields.
    #[error("the form is malformed: {0}")]
    FormMalformed(&'static str),
    /// The form field that is missing, or there twice.
    #[error("the form must have one field `{0}`")]
    FormField(&'static str),
    /// What is wrong with the policy.
    #[error("the form's policy is malformed: {0}")]
    PolicyMalformed(&'static str),
    #[error("the form's policy has expired")]
    PolicyExpired,
    /// The condition, or the field that no condition covers.
    #[error("the form is not what its policy allows: {0}")]
    PolicyRefused(String),
    #[error("the file is smaller than the form's policy allows")]
    TooSmall,
    #[error("the file is larger than the form's policy allows")]
    TooLarge,
}

impl SigError {
    /// S3's error code (S3 API Reference, "Error responses").
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            SigError::NotSigned
            | SigError::NoDate
            | SigError::BadDate
            | SigError::Expired
            | SigError::NotYetValid
            | SigError::UnsignedHeader(_)
            | SigError::UnsignedPayload
            | SigError::PolicyExpired
            | SigError::PolicyRefused(_) => "AccessDenied",
            SigError::OtherAlgorithm | SigError::DuplicateHeader(_) | SigError::NoContentSha256 => "InvalidRequest",
            SigError::OtherScheme | SigError::Ambiguous | SigError::BadContentSha256 | SigError::FormField(_) => {
                "InvalidArgument"
            }
            SigError::Header(_) | SigError::Scope { in_query: false, .. } => "AuthorizationHeaderMalformed",
            SigError::Query(_) | SigError::Scope { in_query: true, .. } => "AuthorizationQueryParametersError",
            SigError::Skewed => "RequestTimeTooSkewed",
            SigError::NoDecodedLength => "MissingContentLength",
            SigError::BadTarget => "InvalidURI",
            SigError::HeadersTooLarge => "RequestHeaderSectionTooLarge",
            SigError::UnknownKey => "InvalidAccessKeyId",
            SigError::Mismatch | SigError::ChunkMismatch => "SignatureDoesNotMatch",
            SigError::PayloadMismatch => "XAmzContentSHA256Mismatch",
            SigError::Chunk(_) | SigError::IncompleteBody => "IncompleteBody",
            SigError::ChunkTooLarge => "InvalidChunkSizeError",
            SigError::Trailer(_) => "MalformedTrailerError",
            SigError::FormMalformed(_) => "MalformedPOSTRequest",
            SigError::PolicyMalformed(_) => "InvalidPolicyDocument",
            SigError::TooSmall => "EntityTooSmall",
            SigError::TooLarge => "EntityTooLarge",
        }
    }

    /// The HTTP status that goes with [`Self::code`].
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.code() {
            "AccessDenied" | "RequestTimeTooSkewed" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" => 403,
            "MissingContentLength" => 411,
            _ => 400,
        }
    }

    /// For the client, in S3's own words where it has any.
    #[must_use]
    pub fn message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            SigError::NotSigned => "Access Denied",
            SigError::OtherAlgorithm => {
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
            }
            SigError::OtherScheme => "Unsupported Authorization Type",
            SigError::Ambiguous => {
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
                 parameter or the Authorization header should be specified"
            }
            SigError::NoDate | SigError::BadDate => "AWS authentication requires a valid Date or x-amz-date header",
            SigError::Skewed => "The difference between the request time and the server's time is too large.",
            SigError::Expired => "Request has expired",
            SigError::NotYetValid => "Request is not yet valid",
            SigError::UnsignedHeader(_) => "There were headers present in the request which were not signed",
            SigError::NoContentSha256 => "Missing required header for this request: x-amz-content-sha256",
            SigError::NoDecodedLength => "You must provide the Content-Length HTTP header.",
            SigError::BadTarget => "Couldn't parse the specified URI.",
            SigError::UnknownKey => "The AWS Access Key Id you provided does not exist in our records.",
            SigError::Mismatch | SigError::ChunkMismatch => {
                "The request signature we calculated does not match the signature you provided. Check your key and \
                 signing method."
            }
            SigError::PayloadMismatch => "The provided 'x-amz-content-sha256' header does not match what was computed.",
            SigError::IncompleteBody => {
                "You did not provide the number of bytes specified by the Content-Length HTTP header."
            }
            SigError::PolicyExpired => "Invalid according to Policy: Policy expired.",
            SigError::PolicyRefused(what) => return Cow::Owned(format!("Invalid according to Policy: {what}")),
            SigError::TooSmall => "Your proposed upload is smaller than the minimum allowed size",
            SigError::TooLarge => "Your proposed upload exceeds the maximum allowed size",
            _ => return Cow::Owned(self.to_string()),
        })
    }
}
