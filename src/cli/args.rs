//! Arguments that every command shares, and how people write values on a command line.
//!
//! Not here: what a command asks for beside them (one file a command).

use super::exit::Failure;
use crate::model::time::duration_ns;
use crate::model::{BucketName, Grant, GrantRole, Tags, Time, When};
use clap::{Args, ValueEnum};
use compact_str::CompactString;
use std::path::PathBuf;

const EVERYWHERE: &str = "Everywhere";

/// When answers are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

/// What may be said with any command.
#[derive(Debug, Args)]
pub struct Global {
    /// The ledger's folder (or KEYLEDGER_DIR) [default: ./keyledger-data]
    #[arg(long, global = true, value_name = "DIR", help_heading = EVERYWHERE)]
    pub ledger: Option<PathBuf>,
    /// Send changes to this server, signed with the AWS variables or profile (or KEYLEDGER_ENDPOINT)
    #[arg(long, global = true, value_name = "URL", help_heading = EVERYWHERE)]
    pub endpoint: Option<String>,
    /// One JSON object a line; fields are added, never renamed or removed
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub json: bool,
    /// The org, by account id [default: the only one]; `evidence:ACCOUNT` for what was imported
    #[arg(long, global = true, value_name = "ACCOUNT", help_heading = EVERYWHERE, hide_short_help = true)]
    pub org: Option<String>,
    /// Why this is done: a sentence or a ticket, kept with the event
    #[arg(long, global = true, value_name = "TEXT", help_heading = EVERYWHERE, hide_short_help = true)]
    pub reason: Option<String>,
    /// Do not ask before what cannot be undone
    #[arg(long, global = true, help_heading = EVERYWHERE, hide_short_help = true)]
    pub yes: bool,
    /// The file with the vault key [default: vault.key in the ledger's folder]
    #[arg(long, global = true, value_name = "FILE", help_heading = EVERYWHERE, hide_short_help = true)]
    pub vault_key: Option<PathBuf>,
    /// Of a damaged ledger, read what lies before the damage
    #[arg(long, global = true, help_heading = EVERYWHERE, hide_short_help = true)]
    pub up_to_damage: bool,
    /// Colour in answers
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = EVERYWHERE, hide_short_help = true)]
    pub color: ColorWhen,
    /// Diagnostics on stderr: error, warn, info, debug or trace (or RUST_LOG)
    #[arg(long, global = true, value_name = "LEVEL", help_heading = EVERYWHERE, hide_short_help = true)]
    pub log: Option<String>,
}

/// A question about the past.
#[derive(Debug, Args)]
pub struct AtArgs {
    /// As it was then: 2026-03-01T09:00Z, 7d (ago), or seq:1234
    #[arg(long, value_name = "WHEN")]
    pub at: Option<String>,
}

/// A moment, read when it is needed, since `7d` depends on now.
pub fn when(text: &str, now: Time) -> Result<When, Failure> {
    Ok(When::parse(text, now)?)
}

/// `KEY=VALUE`, for clap.
pub fn tag(text: &str) -> Result<(CompactString, CompactString), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    crate::model::limits::tag(key, value).map_err(|error| error.to_string())?;
    Ok((key.into(), value.into()))
}

/// Tags given one by one; the last of a key counts.
pub fn tags(given: &[(CompactString, CompactString)]) -> Tags {
    given.iter().cloned().collect()
}

/// `BUCKET`, `BUCKET=ROLE` or `*=ROLE`; without a role: Editor.
pub fn grant(text: &str) -> Result<Grant, String> {
    let (bucket, role) = text.split_once('=').unwrap_or((text, "Editor"));
    let role = role_named(role).ok_or("expected a role: ReadOnly, Editor or Admin")?;
    let bucket = match bucket {
        "*" => None,
        name => Some(BucketName::parse(name).map_err(|error| error.to_string())?),
    };
    Ok(Grant { bucket, role })
}

fn role_named(text: &str) -> Option<GrantRole> {
    [GrantRole::ReadOnly, GrantRole::Editor, GrantRole::Admin]
        .into_iter()
        .find(|role| role.as_str().eq_ignore_ascii_case(text))
}

/// `90d`, `36h`: a length of time in nanoseconds, for clap.
pub fn span(text: &str) -> Result<i64, String> {
    duration_ns(text).filter(|ns| *ns > 0).ok_or_else(|| "expected a length of time such as 90d, 36h or 15m".to_owned())
}

/// `3` or `v3`: the number of a version, for clap.
pub fn version(text: &str) -> Result<u32, String> {
    text.strip_prefix('v').unwrap_or(text).parse().map_err(|_| "expected a version such as v2".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_people_write_them() {
        assert_eq!(grant("*=admin").unwrap(), Grant { bucket: None, role: GrantRole::Admin });
        assert_eq!(grant("logs").unwrap().role, GrantRole::Editor);
        assert!(grant("logs=owner").is_err());
        assert!(grant("LOGS").is_err());
        assert_eq!(tag("team=a=b").unwrap(), ("team".into(), "a=b".into()));
        assert!(tag("team").is_err());
        assert_eq!(version("v2").unwrap(), 2);
        assert_eq!(span("90d").unwrap(), 90 * 86_400_000_000_000);
        assert!(span("0d").is_err());
        assert!(span("x").is_err());
    }
}
