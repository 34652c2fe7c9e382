//! Commits to bytes and back.
//!
//! The encoding is bincode 2.0.1 (`config::standard`: little-endian, variable-length integers, no type names), through
//! serde. The project that made bincode has ended, so the crate is pinned, stays in this file, its rules are written down in
//! ARCHITECTURE.md, and `fixtures/golden` holds it: it can be replaced without the format noticing.
//!
//! - A commit of one event is one payload: envelope, then event.
//! - A commit of several is a list of parts: the envelope, then each event, each behind 16 random bytes, so that the digest
//!   of a part that is withheld says nothing of its content.
//!
//! Invariants
//! - What is decoded was encoded here or is refused: trailing bytes are an error, and no length is believed beyond
//!   [`COMMIT_BYTES_MAX`].
//!
//! Not here: frames and checksums (`log::frame`).

use super::commit::{Commit, Envelope, EnvelopeBrief};
use super::event::{Event, EventKind};
use bincode::config::{self, Configuration, Fixint, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The number of this encoding, in every frame. A change gets a new number and keeps the old decoder.
pub const SCHEMA: u16 = 1;

/// Bytes a commit may take: a frame's payload.
pub const COMMIT_BYTES_MAX: usize = 1 << 20;

/// Random bytes before each part.
pub const PART_SALT_BYTES: usize = 16;

/// Why bytes are not a commit, or a commit does not fit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    #[error("schema {found} is not known here (this keyledger reads up to {SCHEMA}); use a newer keyledger")]
    UnknownSchema { found: u16 },
    #[error("bytes are not a commit: {why}")]
    Malformed { why: String },
    #[error("{extra} bytes stand behind the end of a commit")]
    TrailingBytes { extra: usize },
    #[error("a commit of {bytes} bytes is larger than {COMMIT_BYTES_MAX}; split the command")]
    TooLarge { bytes: usize },
}

fn bounded() -> Configuration<LittleEndian, Varint, Limit<COMMIT_BYTES_MAX>> {
    config::standard().with_limit::<COMMIT_BYTES_MAX>()
}

fn fixed() -> Configuration<LittleEndian, Fixint> {
    config::standard().with_fixed_int_encoding()
}

/// A commit's bytes: one payload, or parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoded {
    Whole(Vec<u8>),
    Parts(Vec<Vec<u8>>),
}

/// Encodes a commit. `salt` gives 16 random bytes for part `n`; it is asked only when there are parts.
///
/// # Errors
/// [`CodecError::TooLarge`] above 1 MiB.
pub fn encode(commit: &Commit, mut salt: impl FnMut(usize) -> [u8; PART_SALT_BYTES]) -> Result<Encoded, CodecError> {
    if let [event] = commit.events.as_slice() {
        let mut bytes = Vec::with_capacity(256);
        append(&mut bytes, &commit.envelope)?;
        append(&mut bytes, event)?;
        return fits(bytes.len()).map(|()| Encoded::Whole(bytes));
    }
    let mut parts = Vec::with_capacity(1 + commit.events.len());
    let mut total = 0;
    let mut part = |bytes: Vec<u8>| {
        total += bytes.len() + 8;
        parts.push(bytes);
        fits(total)
    };
    let mut bytes = salt(0).to_vec();
    append(&mut bytes, &commit.envelope)?;
    part(bytes)?;
    for (index, event) in commit.events.iter().enumerate() {
        // Room for most events at once: growing by doubling costs more than encoding.
        let mut bytes = Vec::with_capacity(512);
        bytes.extend(salt(index + 1));
        append(&mut bytes, event)?;
        part(bytes)?;
    }
    Ok(Encoded::Parts(parts))
}

/// Decodes a payload without parts.
///
/// # Errors
/// [`CodecError`] for an unknown schema and for anything that [`encode`] did not make.
pub fn decode_whole(schema: u16, bytes: &[u8]) -> Result<Commit, CodecError> {
    known(schema)?;
    let (envelope, used) = take::<Envelope>(bytes)?;
    let event = exactly::<Event>(&bytes[used..])?;
    Ok(Commit { envelope, events: vec![event] })
}

/// Decodes a payload of parts: the envelope's, then each event's.
///
/// # Errors
/// As [`decode_whole`].
pub fn decode_parts<'a>(schema: u16, parts: impl IntoIterator<Item = &'a [u8]>) -> Result<Commit, CodecError> {
    known(schema)?;
    let mut parts = parts.into_iter().map(|part| {
        part.get(PART_SALT_BYTES..)
            .ok_or_else(|| CodecError::Malformed { why: format!("a part of {} bytes has no salt", part.len()) })
    });
    let envelope = match parts.next() {
        Some(part) => exactly::<Envelope>(part?)?,
        None => return Err(CodecError::Malformed { why: "no parts".to_owned() }),
    };
    let mut events = Vec::new();
    for part in parts {
        events.push(exactly::<Event>(part?)?);
    }
    if events.len() < 2 {
        return Err(CodecError::Malformed { why: format!("{} events in parts", events.len()) });
    }
    Ok(Commit { envelope, events })
}

/// Decodes an envelope, borrowed, from the front of `bytes`; returns what stands behind it.
pub(super) fn envelope_brief(bytes: &[u8]) -> Result<(EnvelopeBrief<'_>, &[u8]), CodecError> {
    let (envelope, used) = borrow::<EnvelopeBrief<'_>>(bytes)?;
    Ok((envelope, &bytes[used..]))
}

/// Decodes an event that takes all of `bytes`.
pub(super) fn event(bytes: &[u8]) -> Result<Event, CodecError> {
    exactly::<Event>(bytes)
}

/// Decodes of a payload only who and how, borrowed, and the kind of each event, told to `kinds`: for a walk that looks for
/// few commits among many.
///
/// # Errors
/// As [`decode_whole`], as far as it looks.
pub fn glance<'a>(
    schema: u16,
    mut parts: impl Iterator<Item = &'a [u8]>,
    whole: bool,
    kinds: &mut dyn FnMut(EventKind),
) -> Result<EnvelopeBrief<'a>, CodecError> {
    known(schema)?;
    let mut kind = |bytes: &[u8]| -> Result<(), CodecError> {
        let (number, _) = take::<u32>(bytes)?;
        let kind = usize::try_from(number).ok().and_then(|number| EventKind::ALL.get(number));
        kinds(*kind.ok_or_else(|| CodecError::Malformed { why: format!("event kind {number}") })?);
        Ok(())
    };
    let first = parts.next().unwrap_or_default();
    if whole {
        let (envelope, used) = borrow::<EnvelopeBrief<'a>>(first)?;
        kind(&first[used..])?;
        return Ok(envelope);
    }
    let salted = |part: &'a [u8]| part.get(PART_SALT_BYTES..).unwrap_or_default();
    let (envelope, _) = borrow::<EnvelopeBrief<'a>>(salted(first))?;
    for part in parts {
        kind(salted(part))?;
    }
    Ok(envelope)
}

/// Encodes a value of a derived file (snapshot, index).
///
/// # Errors
/// [`CodecError::Malformed`] when the value cannot be encoded.
pub fn encode_value<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
    append(bytes, value)
}

/// Decodes one value of a derived file from the front of `bytes`; returns it and how many bytes it took. At most
/// 1 MiB of `bytes` is believed for one value.
///
/// # Errors
/// [`CodecError::Malformed`].
pub fn decode_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), CodecError> {
    take(bytes)
}

/// The digest of a command for idempotency: fixed-length integers, so that equal commands have equal bytes.
///
/// # Errors
/// [`CodecError::Malformed`] when the value cannot be encoded.
pub fn digest_of<T: Serialize>(value: &T) -> Result<[u8; 16], CodecError> {
    let bytes = bincode::serde::encode_to_vec(value, fixed()).map_err(|e| malformed(&e))?;
    let mut digest = [0; 16];
    digest.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..16]);
    Ok(digest)
}

fn append<T: Serialize>(bytes: &mut Vec<u8>, value: &T) -> Result<(), CodecError> {
    bincode::serde::encode_into_std_write(value, bytes, config::standard()).map(|_| ()).map_err(|e| malformed(&e))
}

fn take<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), CodecError> {
    bincode::serde::decode_from_slice(bytes, bounded())
        .map_err(|error| CodecError::Malformed { why: error.to_string() })
}

fn borrow<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<(T, usize), CodecError> {
    bincode::serde::borrow_decode_from_slice(bytes, bounded())
        .map_err(|error| CodecError::Malformed { why: error.to_string() })
}

fn exactly<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) = take(bytes)?;
    match bytes.len() - used {
        0 => Ok(value),
        extra => Err(CodecError::TrailingBytes { extra }),
    }
}

fn known(schema: u16) -> Result<(), CodecError> {
    if schema == SCHEMA { Ok(()) } else { Err(CodecError::UnknownSchema { found: schema }) }
}

fn fits(bytes: usize) -> Result<(), CodecError> {
    if bytes <= COMMIT_BYTES_MAX { Ok(()) } else { Err(CodecError::TooLarge { bytes }) }
}

fn malformed(error: &bincode::error::EncodeError) -> CodecError {
    CodecError::Malformed { why: error.to_string() }
}
