//! Whether one of a key's secrets signed a request, and the proof of it.
//!
//! Invariants
//! - Only this module and `form` make a [`Verified`], and only after the comparison.
//! - Every candidate is tried, and compared in constant time on 32 raw bytes: how long it takes says how many there were.
//! - Without candidates the same work is done for a secret that nobody has.
//!
//! Not here: whether the key is alive (look it up between `parse` and this), and its rights.

use super::canonical::{Reading, push_scope};
use super::chunked::{ChunkDecoder, Seed};
use super::encode::{hex, pairs, query_name_is};
use super::parse::{Kind, Parsed, Payload};
use super::{SigError, SigningKey};
use crate::model::Time;
use compact_str::CompactString;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// What may have signed: one for each live secret version of the key that the request names.
#[derive(Clone, Copy)]
pub enum Candidate<'k> {
    /// A secret access key, to derive a signing key from: 4 HMACs more.
    Secret(&'k [u8]),
    /// A signing key derived for this request's date, region and service. Deriving it for another makes it match nothing.
    Key(&'k SigningKey),
}

impl fmt::Debug for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Proof that a request was signed by a secret of the access key it names. Nothing outside `sigv4` can make one.
///
/// It says nothing of the body where [`Self::payload`] still asks for a check, and nothing of rights.
#[derive(Debug)]
pub struct Verified {
    pub(super) access_key_id: CompactString,
    pub(super) region: CompactString,
    pub(super) service: CompactString,
    pub(super) candidate: usize,
    pub(super) time: Time,
    pub(super) kind: Kind,
    pub(super) payload: Payload,
    pub(super) seed: Option<Box<Seed>>,
}

impl Verified {
    /// Who signed.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Which candidate signed: its place in what was given to [`Parsed::verify`].
    #[must_use]
    pub fn candidate(&self) -> usize {
        self.candidate
    }

    /// When it was signed, to the second, by the signer's clock.
    #[must_use]
    pub fn time(&self) -> Time {
        self.time
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What was signed of the body, and so what is still to be checked.
    #[must_use]
    pub fn payload(&self) -> Payload {
        self.payload
    }

    /// Compares the body's SHA-256 with the one that was signed, where one was announced. Before anything is committed.
    ///
    /// # Errors
    /// [`SigError::PayloadMismatch`]
    pub fn check_body(&self, body_sha256: &[u8; 32]) -> Result<(), SigError> {
        match self.payload {
            Payload::Announced(announced) if !bool::from(announced.ct_eq(body_sha256)) => {
                Err(SigError::PayloadMismatch)
            }
            _ => Ok(()),
        }
    }

    /// Reads the body of a chunked upload; `None` for any other.
    #[must_use]
    pub fn chunks(mut self) -> Option<ChunkDecoder> {
        self.take_chunks()
    }

    /// As [`Self::chunks`], once, where the proof is needed on: `None` the second time, too.
    #[must_use]
    pub fn take_chunks(&mut self) -> Option<ChunkDecoder> {
        match (self.payload, self.seed.take()) {
            (Payload::Chunked { signed, trailer, decoded_length }, Some(seed)) => {
                Some(ChunkDecoder::new(*seed, signed, trailer, decoded_length))
            }
            _ => None,
        }
    }
}

/// How a request is read first, and with S3 only so: as S3 and every form parser read it.
pub(super) const FIRST_READING: Reading = Reading { plus_is_space: true, token_signed: true };

impl Parsed<'_> {
    /// Finds the candidate that signed this request.
    ///
    /// `body_sha256`: for a service other than S3 the hash of the body, which is what was signed (`None`: no body). With
    /// S3 it is compared with the announced one when given; otherwise [`Verified::check_body`] does that later. Pass no
    /// candidates for a key that is unknown or dead. Allocates nothing for ids, regions and services of up to 24 bytes
    /// unless the body comes in chunks.
    ///
    /// # Errors
    /// - [`SigError::UnknownKey`] without candidates, whatever the signature.
    /// - [`SigError::Mismatch`] when none of them signed it.
    /// - [`SigError::PayloadMismatch`] when one did, but for another body.
    pub fn verify(
        mut self,
        body_sha256: Option<&[u8; 32]>,
        candidates: &[Candidate<'_>],
    ) -> Result<Verified, SigError> {
        let mut found = None;
        for reading in self.readings() {
            prepare(&mut self, body_sha256, reading)?;
            found = self.signer_of(candidates);
            if found.is_some() {
                break;
            }
        }
        let Some(candidate) = found else {
            return Err(if candidates.is_empty() { SigError::UnknownKey } else { SigError::Mismatch });
        };
        let seed = match self.payload {
            Payload::Chunked { .. } => Some(Box::new(self.seed(&candidates[candidate]))),
            _ => None,
        };
        let verified = Verified {
            access_key_id: CompactString::new(self.access_key_id()),
            region: CompactString::new(self.region),
            service: CompactString::new(self.rules.service),
            candidate,
            time: self.stamp.time,
            kind: self.kind,
            payload: self.payload,
            seed,
        };
        if let Some(body_sha256) = body_sha256 {
            verified.check_body(body_sha256)?;
        }
        Ok(verified)
    }

    /// The ways to read this request, the usual one first. Only services other than S3 have more than one: AWS's own
    /// test suite has a `+` that is none and a session token that was added after signing.
    fn readings(&self) -> impl Iterator<Item = Reading> + use<> {
        let query = self.request.path_and_query().1;
        let other = !self.rules.payload_header;
        let plus = other && query.contains(&b'+');
        let token = other
            && matches!(self.kind, Kind::Presigned { .. })
            && pairs(query).any(|(name, _)| query_name_is(name, "X-Amz-Security-Token"));
        [(true, true), (false, true), (true, false), (false, false)]
            .into_iter()
            .filter(move |(plus_is_space, token_signed)| (*plus_is_space || plus) && (*token_signed || token))
            .map(|(plus_is_space, token_signed)| Reading { plus_is_space, token_signed })
    }

    /// The candidate whose signature of the prepared string is the one that was sent.
    fn signer_of(&self, candidates: &[Candidate<'_>]) -> Option<usize> {
        // What is not a signature is compared with zeros and then refused: the same work for every answer.
        let sent = self.claim.signature.unwrap_or_default();
        let well_formed = Choice::from(u8::from(self.claim.signature.is_some()));
        signer(&sent, well_formed, candidates, self.scope(), &self.scratch.to_sign)
    }

    fn scope(&self) -> (&str, &str, &str) {
        (self.date(), self.region, self.rules.service)
    }

    fn seed(&self, candidate: &Candidate<'_>) -> Seed {
        let mut scope = Vec::with_capacity(64);
        push_scope(&mut scope, &self.stamp.text, self.region, self.rules.service);
        let trailers = self.request.header("x-amz-trailer").unwrap_or_default();
        Seed {
            key: match candidate {
                Candidate::Secret(secret) => {
                    let (date, region, service) = self.scope();
                    SigningKey::derive(secret, date, region, service)
                }
                Candidate::Key(key) => key.again(),
            },
            stamp: self.stamp.text,
            scope,
            previous: self.claim.signature.unwrap_or_default(),
            announced: String::from_utf8_lossy(trailers).to_ascii_lowercase(),
        }
    }
}

/// Writes canonical request and string to sign into the scratch buffers.
pub(super) fn prepare(
    parsed: &mut Parsed<'_>,
    body_sha256: Option<&[u8; 32]>,
    reading: Reading,
) -> Result<(), SigError> {
    let hash;
    let payload = if parsed.rules.payload_header {
        parsed.payload_text
    } else {
        hash = hex(body_sha256.unwrap_or(&NO_BODY));
        &hash
    };
    let scratch = &mut *parsed.scratch;
    scratch.canonical(&parsed.request, &parsed.rules, &parsed.claim.signed_headers, payload, reading)?;
    let hash = hex(&Sha256::digest(&scratch.text).into());
    scratch.write_to_sign(&parsed.stamp.text, parsed.region, parsed.rules.service, &hash);
    Ok(())
}

/// SHA-256 of nothing.
const NO_BODY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41,
    0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// A secret that nobody has, for ids that nobody has.
const NOBODY: &[u8] = b"................no such secret..........";

/// The place of the first candidate whose signature of `text` is `sent`.
pub(super) fn signer(
    sent: &[u8; 32],
    well_formed: Choice,
    candidates: &[Candidate<'_>],
    (date, region, service): (&str, &str, &str),
    text: &[u8],
) -> Option<usize> {
    let sign = |candidate: &Candidate<'_>| match candidate {
        Candidate::Key(key) => key.sign(text),
        Candidate::Secret(secret) => SigningKey::derive(secret, date, region, service).sign(text),
    };
    if candidates.is_empty() {
        let _ = std::hint::black_box(sign(&Candidate::Secret(NOBODY)).ct_eq(sent));
        return None;
    }
    let mut found = Choice::from(0);
    let mut place = 0_u32;
    for (at, candidate) in (0_u32..).zip(candidates) {
        let same = sign(candidate).ct_eq(sent) & well_formed & !found;
        place.conditional_assign(&at, same);
        found |= same;
    }
    bool::from(found).then_some(place as usize)
}
