//! Why a command was not done: a rule said no, or something failed.
//!
//! A [`Refusal`] is a rule: nothing was written, and the answer stays the same until the state changes. Everything else is
//! machinery. Each text says what to do next.
//!
//! Not here: status codes and the words of a dialect (`api::dialect`), exit codes (`cli::exit`).

use crate::log::LogError;
use crate::model::{Invalid, Seq, Time};
use crate::policy::DocumentError;
use crate::state::KeyStatus;
use crate::state::at::ReplayError;
use crate::vault::VaultError;
use compact_str::CompactString;
use std::fmt;

/// What kind of thing a refusal names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Noun {
    Org,
    Account,
    Alias,
    Provider,
    User,
    ExternalId,
    Group,
    Member,
    Key,
    Policy,
    PolicyVersion,
    InlinePolicy,
    Attachment,
    Bucket,
    Secret,
    Ledger,
}

impl Noun {
    pub fn as_str(self) -> &'static str {
        match self {
            Noun::Org => "org",
            Noun::Account => "account id",
            Noun::Alias => "org alias",
            Noun::Provider => "provider",
            Noun::User => "user",
            Noun::ExternalId => "external id",
            Noun::Group => "group",
            Noun::Member => "group member",
            Noun::Key => "access key",
            Noun::Policy => "policy",
            Noun::PolicyVersion => "policy version",
            Noun::InlinePolicy => "inline policy",
            Noun::Attachment => "attached policy",
            Noun::Bucket => "bucket",
            Noun::Secret => "secret version",
            Noun::Ledger => "ledger",
        }
    }
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A rule that said no. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    #[error("there is no {noun} `{name}` here; check the name, or list what there is")]
    NotFound { noun: Noun, name: CompactString },

    /// An access key id is never used again, not even after delete.
    #[error("{noun} `{name}` already exists; choose another")]
    AlreadyExists { noun: Noun, name: CompactString },

    #[error("`{of}` already has {max} {what}, the most there may be; remove one first")]
    LimitReached { what: &'static str, of: CompactString, max: usize },

    /// Every key of the owner that is not deleted counts, whichever surface made it.
    #[error("`{of}` already has {found} of {max} access keys; delete one first (suspended ones count too)")]
    KeyLimitReached { of: CompactString, found: usize, max: u32 },

    /// What is asked does not follow from the status the key has.
    #[error("access key `{key}` is {}, so it cannot be {wanted}; {next}", .status.as_str())]
    InvalidTransition { key: CompactString, status: KeyStatus, wanted: &'static str, next: &'static str },

    /// Two secrets of one key are live already.
    #[error("access key `{key}` already has two live secrets (the older one until {until}); retire one first")]
    TooManySecrets { key: CompactString, until: Time },

    #[error("version {version} is the only live secret of access key `{key}`; rotate first, or revoke the key")]
    LastSecret { key: CompactString, version: u32 },

    /// Something still hangs on it.
    #[error("{noun} `{name}` still has {what}; remove them first")]
    DeleteConflict { noun: Noun, name: CompactString, what: &'static str },

    /// It is the same in every org.
    #[error("{noun} `{name}` cannot be changed; make one of your own")]
    Unmodifiable { noun: Noun, name: CompactString },

    #[error(transparent)]
    InvalidField(#[from] Invalid),

    #[error(transparent)]
    BadDocument(#[from] DocumentError),

    /// Somebody changed it in between.
    #[error("{noun} `{name}` was changed last by commit {found}, not {expected}; read it again and decide anew")]
    PreconditionFailed { noun: Noun, name: CompactString, expected: Seq, found: Seq },

    /// The token stands for another command.
    #[error("the idempotency token `{token}` was used for another command; choose a new one")]
    TokenConflict { token: CompactString },

    /// The caller may not. Says the same whether the target exists or not.
    #[error("not allowed: {why}")]
    Forbidden { why: &'static str },

    /// The clock jumped forward, and one bad reading must not expire everything for ever.
    #[error(
        "the clock jumped from {from} to {to}; until `keyledger clock accept` only suspend, revoke and flag are done \
         (set the clock right first if it is wrong)"
    )]
    ClockStopped { from: Time, to: Time },

    /// More than one frame may hold.
    #[error("the command takes {bytes} bytes, more than the {bytes_max} one commit may have; split it")]
    TooLarge { bytes: usize, bytes_max: usize },
}

/// Why a command has no outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteError {
    /// A rule said no; nothing was written.
    #[error(transparent)]
    Refused(#[from] Refusal),

    /// The log turned it away (a full disk); nothing was written.
    #[error(transparent)]
    Log(#[from] LogError),

    /// The keystore turned it away (a full disk); nothing was written.
    #[error(transparent)]
    Vault(#[from] VaultError),

    /// A write or flush failed under way: it may be done and it may not.
    #[error("whether the command was done is unknown; restart keyledger, then send it again with the same token")]
    Indeterminate,

    /// A write or flush failed earlier. Nothing was written; reads go on.
    #[error("an earlier write failed, so nothing more is written; restart keyledger to recover what is on disk")]
    Poisoned,

    /// Nothing was written; slow down.
    #[error("{queued} commands are waiting already; try again in a moment")]
    QueueFull { queued: usize },

    /// The ledger is being closed; nothing was written.
    #[error("the ledger is closed; open it again")]
    Closed,
}

/// Why a ledger could not be made, opened or closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// What opening itself had to write could not be written.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    #[error("could not start a thread")]
    Thread(#[source] std::io::Error),
}

impl Refusal {
    pub(crate) fn not_found(noun: Noun, name: &(impl fmt::Display + ?Sized)) -> Self {
        Refusal::NotFound { noun, name: shown(name) }
    }

    pub(crate) fn exists(noun: Noun, name: &(impl fmt::Display + ?Sized)) -> Self {
        Refusal::AlreadyExists { noun, name: shown(name) }
    }
}

/// A name as an error repeats it: escaped, at most 128 characters.
pub(crate) fn shown(name: &(impl fmt::Display + ?Sized)) -> CompactString {
    crate::model::text::excerpt(&name.to_string(), 128).into()
}
