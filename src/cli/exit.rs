//! Exit codes, and the failure that ends a command.
//!
//! A failure says what, where and what next, once, on stderr; its code tells a script which kind it is (`product.md` §10).
//!
//! Not here: what each layer calls an error; its `From` stands here because only the command line knows exit codes.

use crate::audit::AuditError;
use crate::audit::rows::Missing;
use crate::ledger::{ExecuteError, OpenError};
use crate::log::LogError;
use crate::model::Invalid;
use crate::model::text::Shown;
use crate::state::HistoryError;
use crate::state::at::ReplayError;
use crate::vault::VaultError;
use std::fmt;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or something was found.
    Done = 0,
    /// The question was answered: there is nothing.
    Nothing = 1,
    /// Usage, or the question could not be asked.
    Usage = 2,
    /// The ledger is damaged.
    Damaged = 3,
    /// A rule said no; nothing was written.
    Refused = 4,
    /// Another writer holds the ledger.
    Held = 5,
    /// A write failed on the way: whether it survived is unknown.
    Indeterminate = 6,
    /// There are findings, and `--fail-on-finding` was given.
    Findings = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// The whole message with its causes; empty when nothing is to be said (a closed pipe).
    text: String,
}

/// What commands return.
pub type Done = Result<Exit, Failure>;

impl Failure {
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into() }
    }

    /// The command cannot be asked this way.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    /// There is no such thing.
    pub fn nothing(text: impl Into<String>) -> Self {
        Self::new(Exit::Nothing, text)
    }

    /// Whoever read our answers went away. No error: what was asked is done.
    pub fn closed() -> Self {
        Self::new(Exit::Done, String::new())
    }

    /// An error of a layer below, with its causes.
    pub fn of(exit: Exit, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let more = error.to_string();
            // A transparent error repeats its cause.
            if !text.contains(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            cause = error.source();
        }
        Self::new(exit, text)
    }

    /// The same failure with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        self.text.push_str("; ");
        self.text.push_str(hint);
        self
    }

    /// Whether there is anything to say.
    pub fn is_silent(&self) -> bool {
        self.text.is_empty()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Lines are ours; what stands in them may not be.
        for (n, line) in self.text.lines().enumerate() {
            if n > 0 {
                f.write_str("\n  ")?;
            }
            write!(f, "{}", Shown(line))?;
        }
        Ok(())
    }
}

impl From<Invalid> for Failure {
    fn from(error: Invalid) -> Self {
        Self::usage(error.to_string())
    }
}

impl Failure {
    /// What a log error means for a script.
    pub fn from_log(error: &LogError) -> Self {
        let exit = match error {
            LogError::Held { .. } => Exit::Held,
            LogError::AlreadyExists { .. } => Exit::Refused,
            LogError::Poisoned { .. } => Exit::Indeterminate,
            LogError::MetaDamaged { .. }
            | LogError::ForeignSegment { .. }
            | LogError::MissingSegment { .. }
            | LogError::MisplacedSegment { .. }
            | LogError::Damaged { .. }
            | LogError::Fork { .. }
            | LogError::MissingAcknowledged { .. }
            | LogError::WitnessLost { .. } => Exit::Damaged,
            _ => Exit::Usage,
        };
        let failure = Self::of(exit, error);
        if exit == Exit::Held {
            failure.hint("reading goes on meanwhile, and --endpoint URL sends changes to a server")
        } else {
            failure
        }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::from_log(&error)
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        Self::of(Exit::Damaged, &error)
    }
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Log(error) => error.into(),
            ReplayError::History(error) => error.into(),
            other => Self::of(Exit::Usage, &other),
        }
    }
}

impl From<AuditError> for Failure {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Log(error) => error.into(),
            AuditError::History(error) => error.into(),
            AuditError::Unknown { .. } => Self::of(Exit::Nothing, &error),
            other => Self::of(Exit::Usage, &other),
        }
    }
}

impl From<Missing> for Failure {
    fn from(missing: Missing) -> Self {
        Self::nothing(missing.to_string())
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        let exit = match &error {
            VaultError::Damaged { .. } | VaultError::ForeignKeystore { .. } | VaultError::NoKeystore { .. } => {
                Exit::Damaged
            }
            VaultError::AlreadyThere { .. } => Exit::Refused,
            VaultError::Poisoned { .. } => Exit::Indeterminate,
            _ => Exit::Usage,
        };
        Self::of(exit, &error)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Log(error) => error.into(),
            OpenError::Vault(error) => error.into(),
            OpenError::Replay(error) => error.into(),
            OpenError::Execute(error) => error.into(),
            other => Self::of(Exit::Usage, &other),
        }
    }
}

impl From<ExecuteError> for Failure {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Refused(refusal) => Self::of(Exit::Refused, &refusal),
            ExecuteError::Log(error) => error.into(),
            ExecuteError::Vault(error) => error.into(),
            ExecuteError::Indeterminate => Self::of(Exit::Indeterminate, &error),
            other => Self::of(Exit::Usage, &other),
        }
    }
}
