//! `audit`: questions about the past, answered from the log alone.
//!
//! Not here: the answers (`crate::audit`); here they are asked for and printed.

mod ask;
mod blast_radius;
mod compromise;
mod contain;
mod diff;
mod identify;
mod key;
mod log;
mod rights;
mod rotation;
mod show;
mod who_could;
mod widened;

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
    /// What a key could do then, place by place, or one question with what decided it
    #[command(after_help = "Example:  keyledger audit rights NQAK7Q2M4T8XW1PC5DRE --at 2026-03-01T09:00Z
          keyledger audit rights NQAK7Q2M4T8XW1PC5DRE --action s3:GetObject --resource arn:aws:s3:::photos/a.jpg")]
    Rights(rights::Rights),
    /// What a leaked key reaches, and what it could make itself into
    #[command(after_help = "Example:  keyledger audit blast-radius NQAK7Q2M4T8XW1PC5DRE --at 7d")]
    BlastRadius(blast_radius::Blast),
    /// Every key that could do something, at a moment or between two
    #[command(
        after_help = "Example:  keyledger audit who-could --action s3:DeleteObject --resource arn:aws:s3:::photos/a.jpg --at 7d
          keyledger audit who-could --action s3:GetObject --resource 'arn:aws:s3:::photos/a' --between 30d 7d"
    )]
    WhoCould(who_could::Who),
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
            Audit::Rights(rights) => rights.run(cx),
            Audit::BlastRadius(blast) => blast.run(cx),
            Audit::WhoCould(who) => who.run(cx),
            Audit::Diff(diff) => diff.run(cx),
            Audit::Identify(identify) => identify.run(cx),
        }
    }
}
