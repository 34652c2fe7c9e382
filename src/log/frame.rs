//! Frames: the unit the log writes, checks and can lose.
//!
//! One frame is one commit: all the events of one command, in order. A crash can lose frames that were not yet
//! acknowledged, never half a command. Integers are little-endian, a frame starts at a multiple of 8.
//!
//! ```text
//!  +0         +4          +8      +16           +24   +26     +28    +30  +32        +64              +72   +76   +80
//!  ┌──────────┬───────────┬───────┬─────────────┬──────┬───────┬──────┬────┬──────────┬────────────────┬─────┬─────┬─────────┬──────┬───────────┐
//!  │ magic u32│ len u32   │ seq   │ recorded_at │ kind │ schema│ flags│ 0  │ prev 32  │ group_first_seq│ pcrc│ hcrc│ payload │ pad≤7│ hash 32   │
//!  └──────────┴───────────┴───────┴─────────────┴──────┴───────┴──────┴────┴──────────┴────────────────┴─────┴─────┴─────────┴──────┴───────────┘
//!   └──────────────── canonical: what `hash` covers, with the payload ────────────┘  └────── this node's own ──────┘
//!
//!  payload with PARTS:   count u32 │ len u32 × count │ part 0 │ part 1 │ …
//! ```
//!
//! `hash` is keyed BLAKE3 over the canonical header and the payload; with PARTS, over the canonical header and the
//! plain BLAKE3 of each part, so that some parts can be shown and of the others only the digest. (Whoever fills the
//! parts puts random bytes into each, or a digest could be guessed.) `pcrc` covers the payload, `hcrc` bytes 0..76:
//! the length is trusted before it is used.
//!
//! Invariants
//! - `seq` is one more than the frame before, across segments; a ledger's first frame is 1.
//! - `len` is in `1..=PAYLOAD_BYTES_MAX`, so a run of zeros never reads as a frame.
//! - The fields behind `prev` are in no hash: two nodes with one history have one chain, whatever their flush groups.
//!
//! Not here: what a payload means (`model::codec`), which file holds a frame (`segment`), and what to do about a bad
//! one (`recovery`).

use super::bytes::{array, i64_at, is_zero, put, u16_at, u32_at, u64_at};
use super::tree::Hash;

/// Most a frame's payload may hold.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Most parts one frame may have.
pub const PARTS_MAX: usize = 1 << 16;
/// `kind` of an ordinary commit.
pub const KIND_COMMIT: u16 = 1;
/// `kind` of a state attestation.
pub const KIND_ATTESTATION: u16 = 2;
/// Flag: the wall clock stood before the last frame's time when this one was recorded.
pub const CLOCK_REGRESSED: u16 = 1;
/// Flag: the payload is a list of parts. Set by the log itself for [`Body::Parts`].
pub const PARTS: u16 = 2;

pub(crate) const MAGIC: [u8; 4] = *b"KLF1";
pub(crate) const HEADER: usize = 80;
pub(crate) const CANONICAL: usize = 64;
const HASH: usize = 32;

const LEN: usize = 4;
const SEQ: usize = 8;
const RECORDED_AT: usize = 16;
const KIND: usize = 24;
const SCHEMA: usize = 26;
const FLAGS: usize = 28;
const RESERVED: usize = 30;
const PREV: usize = 32;
const GROUP_FIRST: usize = 64;
const PAYLOAD_CRC: usize = 72;
const HEADER_CRC: usize = 76;
const _: () = assert!(PREV + 32 == CANONICAL && GROUP_FIRST == CANONICAL && HEADER_CRC + 4 == HEADER);
const _: () = assert!(HEADER.is_multiple_of(8) && HASH.is_multiple_of(8));

/// What the chain and the witness of one ledger are keyed with. Domain separation, not authentication: it keeps a
/// client from choosing a payload that poses as a frame after a torn write.
#[derive(Clone)]
pub struct Keys {
    pub(crate) frame: Hash,
    pub(crate) witness: Hash,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

impl Keys {
    /// Derives the keys from what META (and each segment header) says.
    #[must_use]
    pub fn derive(ledger_id: &[u8; 16], frame_salt: &[u8; 32], suite: u8) -> Self {
        let mut material = [0; 49];
        put(&mut material, 0, ledger_id);
        put(&mut material, 16, frame_salt);
        material[48] = suite;
        Self {
            frame: blake3::derive_key("keyledger v1 frame hash", &material),
            witness: blake3::derive_key("keyledger v1 witness", &material),
        }
    }
}

/// A frame to append. Everything the log does not know itself.
#[derive(Debug, Clone, Copy)]
pub struct NewFrame<'a> {
    /// Guarded time, never smaller than the frame before.
    pub recorded_at_ns: i64,
    /// [`KIND_COMMIT`] or [`KIND_ATTESTATION`].
    pub kind: u16,
    /// Version of the payload's own format.
    pub schema: u16,
    /// [`CLOCK_REGRESSED`] or 0.
    pub flags: u16,
    pub body: Body<'a>,
    /// May use the reserve on a full disk: revoke, suspend, flag.
    pub urgent: bool,
}

/// The payload of a frame, borrowed.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    Whole(&'a [u8]),
    /// Stored with their lengths and hashed one by one. Each part should hold random bytes (see above).
    Parts(&'a [&'a [u8]]),
}

impl Body<'_> {
    /// Bytes the payload takes in the frame.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        match self {
            Body::Whole(bytes) => bytes.len(),
            Body::Parts(parts) => parts.iter().fold(4, |sum, part| sum.saturating_add(4).saturating_add(part.len())),
        }
    }
}

/// One frame, borrowed from the log.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    pub seq: u64,
    pub recorded_at_ns: i64,
    pub kind: u16,
    pub schema: u16,
    pub flags: u16,
    pub prev_hash: Hash,
    pub frame_hash: Hash,
    /// First seq of the fdatasync group this frame was written in, on this node.
    pub group_first_seq: u64,
    pub(crate) canonical: &'a [u8; CANONICAL],
    pub(crate) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The payload as stored.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The parts of a frame with [`PARTS`]; of any other the whole payload as the only one.
    #[must_use]
    pub fn parts(&self) -> Parts<'a> {
        if self.flags & PARTS == 0 {
            return Parts { lens: &[], rest: self.payload, whole: true };
        }
        // `parse` has checked the list.
        parts_of(self.payload).unwrap_or(Parts { lens: &[], rest: &[], whole: false })
    }

    /// The first 64 bytes of the frame: with `frame_hash`, the leaf of the tree.
    #[must_use]
    pub fn canonical_header(&self) -> &'a [u8; 64] {
        self.canonical
    }

    /// The frame's hash computed anew, to compare with `frame_hash`.
    #[must_use]
    pub fn computed_hash(&self, keys: &Keys) -> Hash {
        frame_hash(keys, self.canonical, self.payload, self.flags)
    }

    /// The tree's leaf for this frame.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        super::tree::leaf_hash(self.canonical, &self.frame_hash)
    }

    /// Length of the whole frame in its segment.
    #[must_use]
    pub fn stored_len(&self) -> usize {
        frame_len(self.payload.len())
    }
}

/// The parts of one frame, in order.
#[derive(Debug, Clone)]
pub struct Parts<'a> {
    lens: &'a [u8],
    rest: &'a [u8],
    whole: bool,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.whole {
            self.whole = false;
            return Some(std::mem::take(&mut self.rest));
        }
        let (len, lens) = self.lens.split_first_chunk::<4>()?;
        let (part, rest) = self.rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        (self.lens, self.rest) = (lens, rest);
        Some(part)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = if self.whole { 1 } else { self.lens.len() / 4 };
        (left, Some(left))
    }
}

impl ExactSizeIterator for Parts<'_> {}

/// The list of parts, if its count and lengths add up to the payload exactly.
fn parts_of(payload: &[u8]) -> Option<Parts<'_>> {
    let (count, rest) = payload.split_first_chunk::<4>()?;
    let count = u32::from_le_bytes(*count) as usize;
    if count == 0 || count > PARTS_MAX {
        return None;
    }
    let (lens, rest) = rest.split_at_checked(count * 4)?;
    let sum: u64 = lens.as_chunks::<4>().0.iter().map(|len| u64::from(u32::from_le_bytes(*len))).sum();
    (sum == rest.len() as u64).then_some(Parts { lens, rest, whole: false })
}

/// Bytes a frame with this payload takes in a segment.
pub(crate) const fn frame_len(payload_len: usize) -> usize {
    HEADER + payload_len.next_multiple_of(8) + HASH
}

/// What the writer knows of a frame beside what it was given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub seq: u64,
    pub group_first_seq: u64,
    pub prev_hash: Hash,
}

/// Appends the frame to `out` and returns its hash. The caller has checked the bounds of the payload.
pub(crate) fn encode(out: &mut Vec<u8>, keys: &Keys, frame: &NewFrame<'_>, place: &Place) -> Hash {
    let start = out.len();
    let payload_len = frame.body.payload_len();
    out.resize(start + HEADER, 0);
    let flags = match frame.body {
        Body::Whole(bytes) => {
            out.extend_from_slice(bytes);
            frame.flags
        }
        Body::Parts(parts) => {
            // Bounded by PARTS_MAX and PAYLOAD_BYTES_MAX, both far below u32::MAX.
            out.extend_from_slice(&(parts.len() as u32).to_le_bytes());
            for part in parts {
                out.extend_from_slice(&(part.len() as u32).to_le_bytes());
            }
            for part in parts {
                out.extend_from_slice(part);
            }
            frame.flags | PARTS
        }
    };
    // The canonical header is built right before the payload, so that both are hashed in one go, and then moved to
    // its place; hashing them as two pieces costs more than this move.
    let shift = HEADER - CANONICAL;
    let header = &mut out[start + shift..start + HEADER];
    put(header, 0, &MAGIC);
    put(header, LEN, &(payload_len as u32).to_le_bytes());
    put(header, SEQ, &place.seq.to_le_bytes());
    put(header, RECORDED_AT, &frame.recorded_at_ns.to_le_bytes());
    put(header, KIND, &frame.kind.to_le_bytes());
    put(header, SCHEMA, &frame.schema.to_le_bytes());
    put(header, FLAGS, &flags.to_le_bytes());
    put(header, PREV, &place.prev_hash);
    let canonical: [u8; CANONICAL] = array(header, 0);
    let payload = &out[start + HEADER..];
    let hash = if flags & PARTS == 0 {
        *blake3::keyed_hash(&keys.frame, &out[start + shift..]).as_bytes()
    } else {
        frame_hash(keys, &canonical, payload, flags)
    };
    let payload_crc = crc32fast::hash(payload);
    put(out, start, &canonical);
    put(out, start + GROUP_FIRST, &place.group_first_seq.to_le_bytes());
    put(out, start + PAYLOAD_CRC, &payload_crc.to_le_bytes());
    let header_crc = crc32fast::hash(&out[start..start + HEADER_CRC]);
    put(out, start + HEADER_CRC, &header_crc.to_le_bytes());
    out.resize(start + HEADER + payload_len.next_multiple_of(8), 0);
    out.extend_from_slice(&hash);
    hash
}

/// Keyed BLAKE3 over the canonical header and the payload, or the digests of its parts.
fn frame_hash(keys: &Keys, canonical: &[u8; CANONICAL], payload: &[u8], flags: u16) -> Hash {
    const SMALL: usize = 960;
    if flags & PARTS != 0 {
        let mut hasher = blake3::Hasher::new_keyed(&keys.frame);
        hasher.update(canonical);
        for part in parts_of(payload).into_iter().flatten() {
            hasher.update(blake3::hash(part).as_bytes());
        }
        return *hasher.finalize().as_bytes();
    }
    if payload.len() <= SMALL {
        // One call over one piece is faster than an incremental hasher over two.
        let mut bytes = [0; CANONICAL + SMALL];
        put(&mut bytes, 0, canonical);
        put(&mut bytes, CANONICAL, payload);
        return *blake3::keyed_hash(&keys.frame, &bytes[..CANONICAL + payload.len()]).as_bytes();
    }
    *blake3::Hasher::new_keyed(&keys.frame).update(canonical).update(payload).finalize().as_bytes()
}

/// Why the bytes at some place are no frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bad {
    /// A checksum, length or padding is wrong, or there is nothing.
    Bytes,
    /// All checksums are right, but it says something this version does not know.
    Unknown(String),
}

/// Reads the frame at `offset`, which must end at or before `limit`: header CRC, then length, then payload CRC.
/// The frame's hash is not computed here.
pub(crate) fn parse(bytes: &[u8], offset: usize, limit: usize) -> Result<Frame<'_>, Bad> {
    let area = bytes.get(offset..limit).ok_or(Bad::Bytes)?;
    let (header, rest) = area.split_first_chunk::<HEADER>().ok_or(Bad::Bytes)?;
    if header[..4] != MAGIC || crc32fast::hash(&header[..HEADER_CRC]) != u32_at(header, HEADER_CRC) {
        return Err(Bad::Bytes);
    }
    let payload_len = u32_at(header, LEN) as usize;
    if payload_len == 0 || payload_len > PAYLOAD_BYTES_MAX || frame_len(payload_len) > area.len() {
        return Err(Bad::Bytes);
    }
    let (payload, rest) = rest.split_at(payload_len);
    let (padding, rest) = rest.split_at(payload_len.next_multiple_of(8) - payload_len);
    if crc32fast::hash(payload) != u32_at(header, PAYLOAD_CRC) || !is_zero(padding) {
        return Err(Bad::Bytes);
    }
    let (kind, flags) = (u16_at(header, KIND), u16_at(header, FLAGS));
    if !matches!(kind, KIND_COMMIT | KIND_ATTESTATION) {
        return Err(Bad::Unknown(format!("a frame of kind {kind}")));
    }
    if flags & !(CLOCK_REGRESSED | PARTS) != 0 || header[RESERVED..PREV] != [0, 0] {
        return Err(Bad::Unknown(format!("a frame with flags {flags:#x}")));
    }
    if flags & PARTS != 0 && parts_of(payload).is_none() {
        return Err(Bad::Bytes);
    }
    let Some(canonical) = header.first_chunk::<CANONICAL>() else { return Err(Bad::Bytes) };
    Ok(Frame {
        seq: u64_at(header, SEQ),
        recorded_at_ns: i64_at(header, RECORDED_AT),
        kind,
        schema: u16_at(header, SCHEMA),
        flags,
        prev_hash: array(header, PREV),
        frame_hash: array(rest, 0),
        group_first_seq: u64_at(header, GROUP_FIRST),
        canonical,
        payload,
    })
}

/// The tree's leaf for the one frame in `encoded`, which [`encode`] wrote.
pub(crate) fn leaf_of(encoded: &[u8]) -> Hash {
    super::tree::leaf_hash(&array(encoded, 0), &array(encoded, encoded.len() - HASH))
}

/// Length of the frame at `offset` if its header is whole and says `seq`; the payload is not looked at.
pub(crate) fn stored_len(bytes: &[u8], offset: usize, seq: u64) -> Option<usize> {
    let header = bytes.get(offset..)?.first_chunk::<HEADER>()?;
    let payload_len = u32_at(header, LEN) as usize;
    let good = header[..4] == MAGIC
        && u64_at(header, SEQ) == seq
        && (1..=PAYLOAD_BYTES_MAX).contains(&payload_len)
        && crc32fast::hash(&header[..HEADER_CRC]) == u32_at(header, HEADER_CRC);
    good.then(|| frame_len(payload_len))
}

/// [`stored_len`] without the header's checksum: for a walk that checks the frame it arrives at.
#[inline]
pub(crate) fn likely_len(bytes: &[u8], offset: usize, seq: u64) -> Option<usize> {
    let header = bytes.get(offset..)?.first_chunk::<HEADER>()?;
    let payload_len = u32_at(header, LEN) as usize;
    let good = header[..4] == MAGIC && u64_at(header, SEQ) == seq && (1..=PAYLOAD_BYTES_MAX).contains(&payload_len);
    good.then(|| frame_len(payload_len))
}

/// Whether a frame that `parse` called unknown has a right hash, and so was written by a (newer) writer.
pub(crate) fn unknown_is_whole(keys: &Keys, bytes: &[u8], offset: usize, limit: usize) -> bool {
    let whole = || {
        let area = bytes.get(offset..limit)?;
        let len = u32_at(area.get(..HEADER)?, LEN) as usize;
        let payload = area.get(HEADER..HEADER.checked_add(len)?)?;
        let stored = area.get(HEADER + len.next_multiple_of(8)..)?.first_chunk::<HASH>()?;
        // Whether flags change what is hashed is not known; these two ways are.
        let canonical = area.first_chunk::<CANONICAL>()?;
        Some([0, PARTS].iter().any(|flags| frame_hash(keys, canonical, payload, *flags) == *stored))
    };
    whole().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::derive(&[1; 16], &[2; 32], 1)
    }

    fn one(body: Body<'_>) -> (Vec<u8>, Hash) {
        let mut out = Vec::new();
        let frame = NewFrame { recorded_at_ns: 5, kind: KIND_COMMIT, schema: 3, flags: 0, body, urgent: false };
        let hash = encode(&mut out, &keys(), &frame, &Place { seq: 9, group_first_seq: 8, prev_hash: [6; 32] });
        (out, hash)
    }

    #[test]
    fn a_frame_reads_back_as_it_was_written() {
        for len in [1, 7, 8, 9, 63, 64, 200, 959, 960, 961, 5000] {
            let payload = vec![0xAB; len];
            let (bytes, hash) = one(Body::Whole(&payload));
            assert_eq!(bytes.len(), frame_len(len));
            let frame = parse(&bytes, 0, bytes.len()).unwrap();
            assert_eq!((frame.seq, frame.group_first_seq, frame.schema, frame.flags), (9, 8, 3, 0));
            assert_eq!((frame.payload(), frame.frame_hash), (&payload[..], hash));
            assert_eq!(frame.computed_hash(&keys()), hash, "{len}");
            assert_eq!(frame.parts().collect::<Vec<_>>(), [&payload[..]]);
        }
    }

    #[test]
    fn parts_read_back_one_by_one_and_are_hashed_by_their_digests() {
        let parts: [&[u8]; 3] = [b"envelope", b"", b"event"];
        let (bytes, hash) = one(Body::Parts(&parts));
        let frame = parse(&bytes, 0, bytes.len()).unwrap();
        assert_eq!(frame.parts().collect::<Vec<_>>(), parts);
        assert_eq!(frame.computed_hash(&keys()), hash);
        let mut covered = frame.canonical_header().to_vec();
        for part in parts {
            covered.extend_from_slice(blake3::hash(part).as_bytes());
        }
        assert_eq!(*blake3::keyed_hash(&keys().frame, &covered).as_bytes(), hash);
    }

    #[test]
    fn no_flipped_bit_reads_as_a_frame_with_a_right_hash() {
        let parts: [&[u8]; 2] = [b"envelope", b"event"];
        for body in [Body::Whole(b"some payload"), Body::Parts(&parts)] {
            let (bytes, _) = one(body);
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let fine = parse(&flipped, 0, flipped.len()).is_ok_and(|it| it.computed_hash(&keys()) == it.frame_hash);
                assert!(!fine, "bit {bit}");
            }
        }
    }

    #[test]
    fn a_frame_of_an_unknown_kind_or_flag_is_known_to_be_unknown() {
        let mut out = Vec::new();
        let mut frame =
            NewFrame { recorded_at_ns: 5, kind: 9, schema: 3, flags: 0, body: Body::Whole(b"x"), urgent: false };
        let place = Place { seq: 1, group_first_seq: 1, prev_hash: [0; 32] };
        encode(&mut out, &keys(), &frame, &place);
        assert!(matches!(parse(&out, 0, out.len()), Err(Bad::Unknown(_))));
        (frame.kind, frame.flags) = (KIND_COMMIT, 4);
        out.clear();
        encode(&mut out, &keys(), &frame, &place);
        assert!(matches!(parse(&out, 0, out.len()), Err(Bad::Unknown(_))));
    }

    #[test]
    fn zeros_and_every_truncation_are_no_frame() {
        assert_eq!(parse(&[0; 4096], 0, 4096).unwrap_err(), Bad::Bytes);
        let (bytes, _) = one(Body::Whole(b"some payload"));
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len], 0, len).is_err());
        }
        assert!(parse(&bytes, 8, 4).is_err() && parse(&bytes, 0, bytes.len() + 1).is_err());
    }
}
