//! `audit`: questions about the past, answered from the log alone.
//!
//! Not here: the answers (`crate::audit`); here they are asked for and printed.

mod compromise;
mod diff;
mod identify;
mod key;
mod log;
mod rotation;
mod show;

pub use compromise::print_report as print_compromise;
pub use diff::{noun, shown};
pub use rotation::print_report as print_rotation;

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
    /// Which keys are too old, unused, doubled, too mighty or were deleted unrevoked
    #[command(after_help = "Example:  keyledger audit rotation --max-age 90 --fail-on-finding")]
    Rotation(rotation::Rotation),
    /// What a leaked key did, what it made, and what of that is still alive
    #[command(
        after_help = "Example:  keyledger audit compromise AKIAIOSFODNN7EXAMPLE --since 2026-03-01 --until 2026-03-08"
    )]
    Compromise(compromise::Compromise),
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
            Audit::Rotation(rotation) => rotation.run(cx),
            Audit::Compromise(compromise) => compromise.run(cx),
            Audit::Diff(diff) => diff.run(cx),
            Audit::Identify(identify) => identify.run(cx),
        }
    }
}
