//! Why a log could not be made, opened, read or appended to.
//!
//! Every text names the file, what is known about it and what to do next. Nothing here is ever repaired by
//! guessing: an error that means "acknowledged data may be missing" is always returned, never logged and passed over.
//!
//! Not here: refusals by rule (`ledger`), and exit codes (`cli`).

use std::io;
use std::path::{Path, PathBuf};

/// Why a log could not be made, opened, read or appended to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// There is no META in the folder and no segment either.
    #[error("`{dir}` holds no ledger; `keyledger init` makes one")]
    NotALedger { dir: PathBuf },

    /// `init` was asked to make a ledger where one is.
    #[error("`{dir}` already holds a ledger (or what is left of one); choose an empty folder")]
    AlreadyExists { dir: PathBuf },

    /// Another process writes to this ledger, or another opener in this one.
    #[error("`{dir}` is in use by another writer ({note}); stop it, or send the command to it")]
    Held { dir: PathBuf, note: String },

    /// Written by a version of keyledger that knows more than this one.
    #[error("`{path}` has {what}, which this version of keyledger does not know; use a newer one")]
    UnknownVersion { path: PathBuf, what: String },

    /// Both copies of META are unreadable although segments are there.
    #[error(
        "both copies in `{path}` are damaged or missing; restore that file from a copy, or rebuild it from the segment \
         headers with `keyledger repair --accept-tail`"
    )]
    MetaDamaged { path: PathBuf },

    /// A segment of another ledger lies among ours.
    #[error("`{segment}` belongs to another ledger; move it away and put back the one of this ledger")]
    ForeignSegment { segment: PathBuf },

    /// The log has a hole.
    #[error("`{segment}` is missing; restore it from a copy")]
    MissingSegment { segment: PathBuf },

    /// A segment whose header does not follow from the one before it: an older copy, or one file under two names.
    #[error("`{segment}` does not continue the log at this place ({why}); restore it from a copy")]
    MisplacedSegment { segment: PathBuf, why: &'static str },

    /// Durable bytes no longer match their checksum. Nothing is repaired by guessing.
    #[error(
        "`{segment}` is damaged at byte {offset} (frame {seq}); run `keyledger verify` to see how far the damage \
         reaches, then restore that file from a copy"
    )]
    Damaged { segment: PathBuf, offset: u64, seq: u64 },

    /// The log and the witness tell two histories, or a reader saw another one before.
    #[error(
        "`{segment}` holds another history than the one acknowledged: frame {seq} differs; restore the whole ledger \
         from one copy"
    )]
    Fork { segment: PathBuf, seq: u64 },

    /// The witness knows of acknowledged frames that the log does not have: damage, or an older copy of the log.
    #[error(
        "frames up to {acknowledged} were acknowledged but `{segment}` ends with frame {found}; restore the newest \
         copy of the log"
    )]
    MissingAcknowledged { segment: PathBuf, acknowledged: u64, found: u64 },

    /// Neither witness slot can be read, so nothing tells how far the log must reach.
    #[error(
        "both slots of `{path}` are damaged or missing, so a missing end of the log would not be noticed; restore that \
         file, or accept the log as it stands with `keyledger repair --accept-tail`"
    )]
    WitnessLost { path: PathBuf },

    /// A write or fsync failed earlier, so what reached the disk is unknown. Reads go on; writes stop until a reopen
    /// replays what survived.
    #[error("an earlier write to `{segment}` failed; restart keyledger to recover what is on disk")]
    Poisoned { segment: PathBuf },

    /// No room for another segment. Nothing was written and nothing is broken; revoke, suspend and flag still work
    /// as long as the reserve lasts.
    #[error("the disk of `{dir}` is full; free some space and try again (revoke and suspend still work)")]
    DiskFull { dir: PathBuf },

    /// The group in hand is full: commit it, then append again.
    #[error("the group is full with {frames} frames; commit it first")]
    GroupFull { frames: usize },

    /// More than one frame may hold.
    #[error("a payload of {bytes} bytes is over the {bytes_max} allowed here")]
    PayloadTooLarge { bytes: usize, bytes_max: usize },

    /// A caller's mistake: it broke a rule of the log that no file can break.
    #[error("the frame was not appended: {what}")]
    InvalidFrame { what: &'static str },

    /// Options or parameters out of bounds.
    #[error("{what}")]
    InvalidOptions { what: String },

    /// The operating system said no.
    #[error("could not {doing} `{path}`")]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
}

impl LogError {
    /// For `map_err`: keeps what was being done to which file.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
        move |source| LogError::Io { doing, path: path.to_path_buf(), source }
    }

    pub(crate) fn damaged(segment: &Path, offset: usize, seq: u64) -> LogError {
        LogError::Damaged { segment: segment.to_path_buf(), offset: offset as u64, seq }
    }
}

/// Whether the disk, or somebody's share of it, is used up.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
