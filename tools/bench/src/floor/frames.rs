//! The floor of a verification: the hashes that the format names, computed once over bytes in memory.
//!
//! Frames as on disk: an 80-byte header (magic, payload length, seq, time, kind, schema, flags, prev hash at 32, group,
//! payload CRC at 72, header CRC at 76), the payload, zeros to 8 bytes, and the 32-byte hash of header `0..64` and
//! payload. The tree is RFC 6962 with SHA-256 over leaves of header `0..64` and hash.

use crate::workload::History;
use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::path::Path;

/// First bytes of a frame.
pub const MAGIC: [u8; 4] = *b"KLF1";
const HEADER: usize = 80;
const HASH: usize = 32;
/// What a frame adds to its payload: header, hash, and 3.5 bytes of padding on average.
pub const OVERHEAD: usize = HEADER + HASH + 4;

/// A frame in a buffer.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    pub header: &'a [u8],
    pub payload: &'a [u8],
    pub hash: &'a [u8],
}

impl Frame<'_> {
    pub fn seq(&self) -> u64 {
        u64::from_le_bytes(self.header[8..16].try_into().unwrap_or_default())
    }
}

/// Walks frames from the start of `bytes` to the first that is none.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Frames<'a> {
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next frame begins.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Begins at `offset` instead.
    pub fn from(bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, at: offset }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        prefetch(self.bytes, self.at + 4096);
        let rest = self.bytes.get(self.at..)?;
        let header = rest.get(..HEADER)?;
        if header[..4] != MAGIC {
            return None;
        }
        let len = u32::from_le_bytes(header[4..8].try_into().ok()?) as usize;
        let padded = len.next_multiple_of(8);
        let frame = Frame {
            header,
            payload: rest.get(HEADER..HEADER + len)?,
            hash: rest.get(HEADER + padded..HEADER + padded + HASH)?,
        };
        self.at += HEADER + padded + HASH;
        Some(frame)
    }
}

/// Asks for a cache line; out of bounds is nothing.
pub fn prefetch<T>(slice: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(element) = slice.get(at) {
        // SAFETY: a hint about an address that is in bounds; it reads nothing.
        unsafe { std::arch::x86_64::_mm_prefetch(std::ptr::from_ref(element).cast(), std::arch::x86_64::_MM_HINT_T0) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, at);
}

/// The key of the frame hash in the floor's own files.
pub fn chain_key() -> [u8; 32] {
    blake3::derive_key("keyledger benchmark floor", b"frames")
}

/// Writes `history` as one file of frames, a frame an event. Returns its length.
pub fn write(history: &History, path: &Path) -> Result<u64> {
    use std::io::Write;
    let mut out = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let (key, mut prev, mut written) = (chain_key(), [0; 32], 0);
    for entry in history.entries() {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&MAGIC);
        header[4..8].copy_from_slice(&(entry.payload.len() as u32).to_le_bytes());
        header[8..16].copy_from_slice(&entry.seq.to_le_bytes());
        header[16..24].copy_from_slice(&entry.op.at_ns.to_le_bytes());
        header[24] = 1;
        header[32..64].copy_from_slice(&prev);
        header[64..72].copy_from_slice(&entry.seq.to_le_bytes());
        header[72..76].copy_from_slice(&crc32fast::hash(entry.payload).to_le_bytes());
        let crc = crc32fast::hash(&header[..76]);
        header[76..].copy_from_slice(&crc.to_le_bytes());
        prev = *blake3::Hasher::new_keyed(&key).update(&header[..64]).update(entry.payload).finalize().as_bytes();
        let padding = entry.payload.len().next_multiple_of(8) - entry.payload.len();
        out.write_all(&header)?;
        out.write_all(entry.payload)?;
        out.write_all(&[0; 8][..padding])?;
        out.write_all(&prev)?;
        written += (HEADER + entry.payload.len() + padding + HASH) as u64;
    }
    out.into_inner().map_err(|error| error.to_string())?.sync_all()?;
    Ok(written)
}

/// What a verification found.
#[derive(Debug, PartialEq, Eq)]
pub struct Verified {
    pub frames: u64,
    /// Subtree roots, largest first; the tree's frontier.
    pub frontier: Vec<(u64, [u8; 32])>,
}

/// Checks both CRCs, the hash and the chain of each frame in `bytes`, and builds the tree over its leaves.
///
/// A frame of several parts is hashed as one: the same bytes, the same work.
pub fn verify(bytes: &[u8], key: &[u8; 32]) -> Result<Verified> {
    let (mut frames, mut frontier) = (0, Vec::new());
    let mut prev: Option<&[u8]> = None;
    for frame in Frames::of(bytes) {
        let stored = |at: usize| u32::from_le_bytes(frame.header[at..at + 4].try_into().unwrap_or_default());
        let hash = blake3::Hasher::new_keyed(key).update(&frame.header[..64]).update(frame.payload).finalize();
        let good = crc32fast::hash(&frame.header[..76]) == stored(76)
            && crc32fast::hash(frame.payload) == stored(72)
            && hash.as_bytes() == frame.hash
            && prev.is_none_or(|prev| prev == &frame.header[32..64]);
        if !good {
            return Err(Error::from(format!("the floor's own frame {} is damaged", frame.seq())));
        }
        push_leaf(&mut frontier, leaf(frame));
        prev = Some(frame.hash);
        frames += 1;
    }
    Ok(Verified { frames, frontier })
}

/// The same hashes as [`verify`] over frames whose key or parts the floor does not know: computed, not compared.
pub fn hash_as_verify_does(bytes: &[u8]) -> u64 {
    let (key, mut frontier, mut frames, mut sum) = (chain_key(), Vec::new(), 0, 0_u32);
    for frame in Frames::of(bytes) {
        let hash = blake3::Hasher::new_keyed(&key).update(&frame.header[..64]).update(frame.payload).finalize();
        sum ^= crc32fast::hash(&frame.header[..76]) ^ crc32fast::hash(frame.payload);
        sum ^= u32::from(hash.as_bytes()[0]);
        push_leaf(&mut frontier, leaf(frame));
        frames += 1;
    }
    std::hint::black_box((sum, frontier));
    frames
}

/// The bytes of `frame`s from `start` on cut at a frame's border near the middle, for two cores.
pub fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut frames = Frames::of(bytes);
    while frames.offset() < bytes.len() / 2 && frames.next().is_some() {}
    bytes.split_at(frames.offset())
}

fn leaf(frame: Frame<'_>) -> [u8; 32] {
    Sha256::new().chain_update([0]).chain_update(&frame.header[..64]).chain_update(frame.hash).finalize().into()
}

fn push_leaf(frontier: &mut Vec<(u64, [u8; 32])>, leaf: [u8; 32]) {
    let (mut size, mut node) = (1, leaf);
    while let Some((left_size, left)) = frontier.last()
        && *left_size == size
    {
        node = Sha256::new().chain_update([1]).chain_update(left).chain_update(node).finalize().into();
        size *= 2;
        frontier.pop();
    }
    frontier.push((size, node));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_frames_verify_and_a_flipped_bit_does_not() -> Result<()> {
        let history = History::generate(3, 1000)?;
        let path = std::env::temp_dir().join(format!("keyledger-floor-{}", std::process::id()));
        let written = write(&history, &path)?;
        let mut bytes = std::fs::read(&path)?;
        std::fs::remove_file(&path)?;
        assert_eq!(bytes.len() as u64, written);
        let verified = verify(&bytes, &chain_key())?;
        assert_eq!(verified.frames, 1000);
        assert_eq!(verified.frontier.iter().map(|(size, _)| size).sum::<u64>(), 1000);
        let (left, right) = halves(&bytes);
        assert_eq!(hash_as_verify_does(left) + hash_as_verify_does(right), 1000);
        bytes[5000] ^= 1;
        assert!(verify(&bytes, &chain_key()).is_err());
        Ok(())
    }
}
