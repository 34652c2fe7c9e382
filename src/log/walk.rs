//! Walking a segment frame by frame with everything checked: the one place that says what a good next frame is.
//!
//! In order: header CRC, length, payload CRC, frame hash, seq = last + 1, prev_hash, time, group rule. The group rule:
//! a frame's `group_first_seq` is its own seq, or that of the frame before in the same segment.
//!
//! Not here: what a bad frame means (`recovery`, `verify`).

use super::bytes::nonzero_end;
use super::frame::{self, Bad, Frame, Keys};
use super::map::prefetch;
use super::segment::{HEADER, SegmentHeader};
use super::tree::{Hash, Tree};

/// The state of the chain behind some frame.
#[derive(Debug, Clone)]
pub(crate) struct Position {
    /// Where the next frame begins.
    pub offset: usize,
    /// Seq of the last good frame.
    pub seq: u64,
    pub head: Hash,
    pub recorded_at_ns: i64,
    /// Of the last good frame; 0 at the start of a segment, since no group spans two.
    pub group_first_seq: u64,
    pub tree: Tree,
}

impl Position {
    /// Before the first frame of a segment. `recorded_at_ns` is that of the frame before it.
    pub fn start_of(header: &SegmentHeader, recorded_at_ns: i64) -> Self {
        Self {
            offset: HEADER,
            seq: header.base_seq - 1,
            head: header.prev_hash,
            recorded_at_ns,
            group_first_seq: 0,
            tree: header.tree.clone(),
        }
    }

    /// The next good frame, and this position behind it; or why there is none, and nothing changed.
    pub fn step<'a>(&mut self, keys: &Keys, bytes: &'a [u8], limit: usize) -> Result<Frame<'a>, Bad> {
        prefetch(bytes, self.offset + 4096);
        let frame = match frame::parse(bytes, self.offset, limit) {
            Ok(frame) => frame,
            // Rests on CRCs alone, which torn writes can match by chance and clients by design: ask the hash too.
            Err(Bad::Unknown(what)) if frame::unknown_is_whole(keys, bytes, self.offset, limit) => {
                return Err(Bad::Unknown(what));
            }
            Err(_) => return Err(Bad::Bytes),
        };
        let follows = frame.seq == self.seq + 1
            && frame.prev_hash == self.head
            && frame.recorded_at_ns >= self.recorded_at_ns
            && (frame.group_first_seq == frame.seq || frame.group_first_seq == self.group_first_seq)
            && frame.computed_hash(keys) == frame.frame_hash;
        if !follows {
            return Err(Bad::Bytes);
        }
        self.tree.push(frame.leaf());
        self.offset += frame.stored_len();
        self.seq = frame.seq;
        self.head = frame.frame_hash;
        self.recorded_at_ns = frame.recorded_at_ns;
        self.group_first_seq = frame.group_first_seq;
        Ok(frame)
    }
}

/// Whether a frame whose hash verifies stands at some multiple of 8 in `from..limit` and began its group later than
/// `seq`: proof that the group holding `seq` was on the disk, since a group starts only after the one before.
pub(crate) fn later_group_behind(keys: &Keys, bytes: &[u8], from: usize, limit: usize, seq: u64) -> bool {
    let end = from + nonzero_end(&bytes[from..limit]);
    let mut at = from;
    while at + frame::HEADER <= end {
        if bytes[at..at + 4] == frame::MAGIC {
            match frame::parse(bytes, at, limit) {
                Ok(frame) if frame.group_first_seq > seq && frame.computed_hash(keys) == frame.frame_hash => {
                    return true;
                }
                Err(Bad::Unknown(_)) if frame::unknown_is_whole(keys, bytes, at, limit) => return true,
                _ => {}
            }
        }
        at += 8;
    }
    false
}
