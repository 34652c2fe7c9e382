//! `audit`: questions about the past, answered from the log alone.
//!
//! Not here: the answers (`crate::audit`); here they are asked for and printed.

mod diff;
mod identify;
mod key;
mod log;
mod show;

pub use diff::{noun, shown};

use super::{Context, Done};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// What happened, event by event
    #[command(after_help = "Example:  keyledger audit log --key NQAK7Q2M4T8XW1PC5DRE --since 7d --json")]
    Log(log::Log),
    /// Everything that ever happened to a key, and what each event changed
    #[command(after_help = "Example:  keyledger audit key NQAK7Q2M4T8XW1PC5DRE")]
    Key(key::Key),
    /// What changed between two moments
    #[command(after_help = "Example:  keyledger audit diff 2026-03-01 2026-04-01")]
    Diff(diff::Diff),
    /// Which key, even a deleted one, a leaked secret belongs to
    #[command(after_help = "Example:  keyledger audit identify < leaked.txt")]
    Identify(identify::Identify),
}

impl Audit {
    pub fn run(self, cx: &mut Context) -> Done {
        match self {
            Audit::Log(log) => log.run(cx),
            Audit::Key(key) => key.run(cx),
            Audit::Diff(diff) => diff.run(cx),
            Audit::Identify(identify) => identify.run(cx),
        }
    }
}
