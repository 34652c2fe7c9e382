//! Why a question could not be answered.

use crate::log::LogError;
use crate::model::Invalid;
use crate::state::HistoryError;
use crate::state::at::ReplayError;

/// Why a question could not be answered. Finding nothing is no error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The question names something nobody here ever heard of.
    #[error("no {noun} named `{name}` was ever here; `keyledger {noun} list --all` shows those that were")]
    Unknown { noun: &'static str, name: String },
    #[error("{noun} `{name}` is not unique: {candidates}; name one of them by its id or add --org")]
    Ambiguous { noun: &'static str, name: String, candidates: String },
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The moment asked for lies behind the end of the log.
    #[error("commit {asked} is not there yet; the newest is {newest}")]
    AheadOfLog { asked: u64, newest: u64 },
}
