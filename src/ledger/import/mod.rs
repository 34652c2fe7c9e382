//! Outside evidence into events: CloudTrail records, from files as AWS and its tools write them.
//!
//! ```text
//!  paths ──▶ reader (1–4 threads)         ──▶ record, change (N threads)  ──▶ pipeline's end (the caller's thread)
//!  files     inflate, find the records        JSON to one Event a record      restore the order of the files, drop
//!            (source, scan)                                                   known ids (dedupe), batch, hand to the sink
//! ```
//!
//! A call that changed users, groups, keys, policies or buckets and succeeded becomes `EvidenceChanged` with the events
//! a command would have made; every other call becomes `EvidenceObserved` (`change`, `observe`). One record is one event.
//! The floor for its speed is `serde_json::from_slice::<`[`record::RawRecord`]`>` over the same records.
//!
//! Invariants
//! - Every record ends as imported, duplicate or rejected with its file, place and reason; the three add up.
//! - Whatever the files hold, nothing here panics, and memory stays flat but for ≤ 24 bytes a distinct event id.
//! - The same files in the same order give the same events, batches and rejections in the same order, with any number of
//!   threads. Which of two records with one event id counts as the duplicate is the only thing the order of files decides.
//!
//! Not here: writing commits (the sink's), what the events add up to (`state::evidence`), uids of nouns (`model::uids`).

mod asked;
mod call;
mod change;
mod dedupe;
mod fields;
mod managed;
mod observe;
mod paths;
mod pipeline;
pub mod reader;
pub mod record;
mod scan;
mod source;

pub use crate::model::uids;
pub use asked::{Asked, Transferred};
pub use dedupe::IdSet;
pub use fields::{Count, Flag, Obj, Text};
pub use pipeline::import_cloudtrail;

use crate::model::{AccountId, Event};
use std::io;
use std::path::PathBuf;

/// Where imported events go: a ledger, or a list in a test.
pub trait EvidenceSink {
    type Error: std::error::Error + Send + Sync + 'static;

    /// Gives `add` the id of every record that is already there, so that an import can be repeated or resumed.
    ///
    /// # Errors
    /// The sink's own; the import ends with it.
    fn known_ids(&mut self, add: &mut dyn FnMut([u8; 16])) -> Result<(), Self::Error>;

    /// Takes events of one account: 1 to [`BATCH_EVENTS_MAX`], together at most about [`BATCH_BYTES_MAX`] encoded or a
    /// single larger one below 600 KB, so that they fit one commit. `source` names the file they came from, or the first
    /// and the last of several.
    ///
    /// # Errors
    /// The sink's own; the import ends with it.
    fn batch(&mut self, account: AccountId, source: &str, events: Vec<Event>) -> Result<(), Self::Error>;
}

/// Events a batch holds at most.
pub const BATCH_EVENTS_MAX: usize = 512;
/// Encoded bytes a batch holds at most, by estimate, unless one event alone is larger.
pub const BATCH_BYTES_MAX: usize = 200_000;

/// How an import is done.
pub struct ImportOptions<'a> {
    /// Parser threads; 0 is as many as the machine runs at once.
    pub threads: usize,
    /// Told after every block of records, on the caller's thread.
    pub progress: Option<&'a mut dyn FnMut(Progress)>,
    /// Bytes a record may take, at most [`reader::RECORD_BYTES_MAX`].
    pub record_bytes_max: usize,
}

impl Default for ImportOptions<'_> {
    fn default() -> Self {
        Self { threads: 0, progress: None, record_bytes_max: reader::RECORD_BYTES_MAX }
    }
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Of all files, as they lie on the disk.
    pub bytes_done: u64,
    pub bytes_total: u64,
    pub files_done: u64,
    pub files_total: u64,
    pub records: u64,
}

/// What became of the records: `records` is the sum of the other three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportCounts {
    pub records: u64,
    pub imported: u64,
    pub duplicates: u64,
    pub rejected: u64,
}

/// A record that was not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    pub file: PathBuf,
    /// Where the record begins in the file's text; of a gzip file, in its inflated text.
    pub offset: u64,
    /// The number of the record in its file, from 1.
    pub record: u64,
    /// Safe to show on a terminal.
    pub reason: String,
}

/// Why an import could not be done at all. A bad record or file is a [`Rejection`] instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError<E: std::error::Error + 'static> {
    #[error("`{path}` does not exist")]
    NotFound { path: PathBuf },
    #[error("no file matches `{pattern}`")]
    NothingMatches { pattern: String },
    #[error("`{pattern}` is not a pattern: {why}")]
    BadPattern { pattern: String, why: String },
    #[error("could not {doing} `{path}`")]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Sink(E),
}

/// Why a record is rejected, before its place is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    pub reason: String,
    /// Where in the record's bytes, when the JSON itself is at fault.
    pub at: Option<usize>,
}

impl Reject {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), at: None }
    }

    fn wrong(field: &str, expected: &str, found: &str) -> Self {
        Self::new(format!("`{field}` should be {expected} but is {found}"))
    }
}
