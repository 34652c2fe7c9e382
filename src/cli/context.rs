//! What every command runs in: the shared arguments, the answer's way out, files and clocks.
//!
//! Not here: the state that is read (`reading`), the ledger that is written (`writing`).

use super::args::{ColorWhen, Global};
use super::exit::Failure;
use super::print::{Out, aside};
use super::reading::Reading;
use super::writing::Writing;
use crate::model::Time;
use crate::model::text::Shown;
use crate::sys::{Clock, Io, RealIo, SystemClock};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a ledger is when nobody says so.
pub const DEFAULT_DIR: &str = "./keyledger-data";

/// What a command runs in.
pub struct Context {
    pub global: Global,
    pub out: Out,
    pub io: Arc<dyn Io>,
    pub clock: Arc<dyn Clock>,
}

impl Context {
    pub fn new(global: Global) -> Self {
        let color = match global.color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => {
                std::io::stdout().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        };
        let out = Out::stdout(global.json, color);
        Self { global, out, io: Arc::new(RealIo), clock: Arc::new(SystemClock) }
    }

    /// The ledger's folder: --ledger, else KEYLEDGER_DIR, else the default.
    pub fn dir(&self) -> PathBuf {
        let from_env = || std::env::var_os("KEYLEDGER_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        self.global.ledger.clone().or_else(from_env).unwrap_or_else(|| PathBuf::from(DEFAULT_DIR))
    }

    /// The server that changes are sent to: --endpoint, else KEYLEDGER_ENDPOINT.
    pub fn endpoint(&self) -> Option<String> {
        let from_env = || std::env::var("KEYLEDGER_ENDPOINT").ok().filter(|url| !url.is_empty());
        self.global.endpoint.clone().or_else(from_env)
    }

    /// # Errors
    /// Exit 2 when a server was named on the command line for what is done in the ledger's folder.
    fn only_here(&self, what: &str) -> Result<(), Failure> {
        match &self.global.endpoint {
            Some(_) => Err(Failure::usage(format!("{what} in the ledger's folder, so it takes no --endpoint"))),
            None => Ok(()),
        }
    }

    /// The wall clock.
    pub fn now(&self) -> Time {
        Time(self.clock.now().wall_ns)
    }

    /// Something beside the answer, on stderr.
    pub fn note(&mut self, text: &str) {
        // In the order it was said, when both go to one terminal. A closed pipe is noticed by the next answer.
        let _ = self.out.flush();
        aside(Shown(text));
    }

    /// The present, to read.
    pub fn reading(&mut self) -> Result<Reading, Failure> {
        self.only_here("this reads")?;
        Reading::open(self)
    }

    /// A past moment, to read; the present without one.
    pub fn reading_at(&mut self, at: Option<&str>) -> Result<Reading, Failure> {
        match at {
            Some(at) => self.reading()?.at(self, at),
            None => self.reading(),
        }
    }

    /// The ledger, to write.
    pub fn writing(&mut self) -> Result<Writing, Failure> {
        self.only_here("only the operator does this,")?;
        Writing::open(self)
    }
}
