//! Questions about the past, answered from the log alone.
//!
//! A [`History`] hands over commits: a log with its indexes, or commits in memory. A [`Query`] says which facts are meant; the
//! reports turn facts and states into values that a command line prints and a program reads. Each report names
//! the questions it answers (`R1`, `I10`, …) and each finding the events it rests on, as `seq.index`.
//!
//! Invariants
//! - Answers do not depend on an index being there: it only says which commits can be skipped.
//! - Nothing here writes to the log, and nothing needs the vault key.
//! - Evidence and live orgs are asked the same way and never mixed: every row says which org it is of.
//!
//! Not here: printing (`cli`), deciding a request (`state::access`), proofs and bundles.

pub mod access;
pub mod address;
mod archive;
pub mod at;
pub mod biography;
pub mod cloudtrail;
pub mod compromise;
mod cut;
pub mod describe;
pub mod diff;
mod error;
pub mod evidence;
pub mod gather;
mod held;
pub mod identify;
mod index;
mod known;
pub mod listing;
pub mod log;
mod mention;
mod names;
pub mod query;
pub mod report;
pub mod rights;
pub mod rotation;
pub mod rows;
mod scan;
mod source;
pub mod story;
pub mod uses;

pub use archive::Archive;
pub use cut::OrgCut;
pub use error::AuditError;
pub use held::Held;
pub use index::IndexReport;
pub use mention::{Mention, Term, mentions, terms_of};
pub use names::{KeyPlace, Worlds};
pub use query::{Asked, Query};
pub use report::{EventRef, FactRow, Finding, Severity, Stamp};
pub use source::{Glance, History, Plan, SeqRange, Visit};
