//! The log: bytes in seq order, durable before they are acknowledged, and refused rather than forgotten.
//!
//! ```text
//!  <ledger>/
//!    LOCK                        held by the writer; its note names it
//!    META                        what the ledger is, twice                                (meta)
//!    tail.wit                    how far the log was acknowledged, two slots in turn      (witness)
//!    log/<base_seq>.seg          frames, appended with pwrite, read through maps          (segment, frame)
//!    log/next.tmp, reserve.tmp   zero-filled segments to come                             (spare)
//!    quarantine/                 what recovery cut off                                    (mend)
//! ```
//!
//! To the log a payload is bytes. [`LogWriter`] appends groups of frames; [`LogReader`] reads what is durable, in the
//! same process or another; [`verify()`] checks every byte.
//!
//! Invariants
//! - R1 nothing is acknowledged before the log's flush and the witness. R2 a group begins after the flush of the one
//!   before. R3 bytes below the durable end never change. R4 the first failed write poisons the writer.
//! - R5 a named file is never shortened. R6 no rename without a flush before it and a flush of the folder behind it.
//!   R7 out of space can only happen where a segment is made. R8 an unknown kind, version or flag is refused.
//! - Little-endian; CRC is CRC-32/ISO-HDLC; bytes without a meaning are zero, and checked to be.
//!
//! Not here: what payloads mean (`model`), secrets (`vault`), when a group ends and what time it is (`ledger`).
#![expect(
    clippy::cast_possible_truncation,
    reason = "offsets lie within segments, which are at most 1 GiB, and lengths are bounded before they are stored"
)]

mod bytes;
mod commit;
mod derived;
mod error;
mod follow;
mod frame;
mod judge;
mod map;
mod mend;
mod meta;
mod open;
mod reader;
mod recovery;
mod sealed;
mod search;
mod segment;
mod shared;
mod shelf;
mod spare;
mod tree;
mod verify;
mod walk;
mod watch;
mod witness;
mod writer;

pub use derived::DerivedFile;
pub use error::LogError;
pub use frame::{
    Body, CLOCK_REGRESSED, Frame, KIND_ATTESTATION, KIND_COMMIT, Keys, NewFrame, PARTS, PARTS_MAX, PAYLOAD_BYTES_MAX,
    Parts,
};
pub use judge::Verdict;
pub(crate) use map::prefetch;
pub use mend::Cut;
pub use meta::{CHECKPOINT_KEYS_MAX, Meta, ORIGIN_BYTES_MAX};
pub use reader::{Frames, LogReader, SegmentCheck, SegmentInfo};
pub use recovery::Recovery;
pub use segment::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
pub use tree::{Hash, Tree, leaf_hash, node_hash};
pub use verify::{TornTail, VerifyOptions, VerifyReport, verify};
pub use writer::{Durable, GROUP_BYTES_MAX, GROUP_FRAMES_MAX, LogOptions, LogParams, LogWriter, WitnessMode};
