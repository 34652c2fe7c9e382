//! The command line: for people and scripts.
//!
//! A command parses its arguments, asks a layer below, prints what came back and ends with an exit code. Nouns come first
//! (`key create`), every file is one command with its arguments, its run and its printing.
//!
//! Invariants
//! - Answers go to stdout, everything else to stderr; `--json` answers are one object a line.
//! - Whatever a command knows of rights and rules, it knows from below: nothing is decided here.
//!
//! Not here: rules (`ledger::decide`), questions about the past (`audit`), HTTP (`api`).

mod args;
mod audit;
mod backup;
mod bucket;
mod clock;
mod confirm;
mod context;
mod demo;
mod desk;
mod environment;
mod exercise;
mod exit;
mod group;
mod import;
mod init;
mod input;
mod key;
mod org;
mod partner;
mod policy;
mod print;
mod progress;
mod reading;
mod remote;
mod repair;
mod restore;
mod serve;
mod sigv4;
mod state;
mod token;
mod user;
mod vault;
mod verify;
mod view;
mod writing;

use args::Global;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use context::Context;
use desk::{Desk, ordered, ordered_key};
use exit::{Done, Exit, Failure};
use std::process::ExitCode;
use writing::Wrote;

/// Access keys as an event-sourced ledger: who made a key, what it could do, what it did, and is it dead.
#[derive(Debug, Parser)]
#[command(
    name = "keyledger",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 110,
    after_help = "Exit codes: 0 done or found, 1 nothing found, 2 usage or could not ask, 3 damaged, 4 refused by a rule, \
                  5 held by another writer, 6 unknown whether it survived, 7 findings (with --fail-on-finding)"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve every dialect over HTTP; makes the ledger on the first start
    Serve(serve::Serve),
    /// Make a ledger: its folder, its vault key, its first org
    Init(init::Init),
    /// Investigate an invented incident: the main job in one command
    Demo(demo::Demo),
    /// Orgs: the accounts that everything else belongs to
    #[command(subcommand)]
    Org(org::Org),
    /// Users
    #[command(subcommand)]
    User(user::User),
    /// Groups of users
    #[command(subcommand)]
    Group(group::Group),
    /// Access keys
    #[command(subcommand)]
    Key(key::Key),
    /// Policies: IAM documents with versions
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Why a request's signature does or does not match
    #[command(subcommand)]
    Sigv4(sigv4::Sigv4),
    /// Buckets and whose they are
    #[command(subcommand)]
    Bucket(bucket::Bucket),
    /// Providers of the Partner API and their signing keys
    #[command(subcommand)]
    Partner(partner::Partner),
    /// API tokens, for clients that cannot sign
    #[command(subcommand)]
    Token(token::Token),
    /// Questions about the past, answered from the log alone
    #[command(subcommand)]
    Audit(audit::Audit),
    /// What is true now, or was true at a past moment
    State(state::State),
    /// Check that every byte is as it was written
    Verify(verify::Verify),
    /// Bring in what was made or recorded elsewhere
    #[command(subcommand)]
    Import(import::Import),
    /// Copy the ledger, also while it is written
    Backup(backup::Backup),
    /// Make a ledger from a backup, quarantined until it is accepted
    Restore(restore::Restore),
    /// Go on with a log whose end cannot be vouched for
    Repair(repair::Repair),
    /// The clock, after it leapt forward
    #[command(subcommand)]
    Clock(clock::Clock),
    /// The vault key, which seals every secret
    #[command(subcommand)]
    Vault(vault::Vault),
    #[command(hide = true)]
    Exercise(exercise::Exercise),
    /// Print completions for a shell
    Completions { shell: Shell },
}

/// Parses the command line, runs the command and says how it ended.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let mut cx = Context::new(cli.global);
    diagnostics(cx.global.log.as_deref());
    let done = cli.command.run(&mut cx).and_then(|exit| cx.out.flush().map(|()| exit));
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if !failure.is_silent() {
                // What was answered before it went wrong comes first.
                let _ = cx.out.flush();
                print::aside(format_args!("keyledger: {failure}"));
            }
            failure.exit.into()
        }
    }
}

impl Command {
    fn run(self, cx: &mut Context) -> Done {
        match self {
            Command::Org(org) => org.run(cx),
            Command::User(user) => user.run(cx),
            Command::Group(group) => group.run(cx),
            Command::Key(key) => key.run(cx),
            Command::Policy(policy) => policy.run(cx),
            Command::Bucket(bucket) => bucket.run(cx),
            Command::Partner(partner) => partner.run(cx),
            Command::Token(token) => token.run(cx),
            Command::Sigv4(sigv4) => sigv4.run(cx),
            Command::Audit(audit) => audit.run(cx),
            Command::State(state) => state.run(cx),
            Command::Verify(verify) => verify.run(cx),
            Command::Import(import) => import.run(cx),
            Command::Backup(backup) => backup.run(cx),
            Command::Serve(serve) => serve.run(cx),
            Command::Init(init) => init.run(cx),
            Command::Demo(demo) => demo.run(cx),
            Command::Restore(restore) => restore.run(cx),
            Command::Repair(repair) => repair.run(cx),
            Command::Clock(clock) => clock.run(cx),
            Command::Vault(vault) => vault.run(cx),
            Command::Exercise(exercise) => exercise.run(cx),
            Command::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "keyledger", &mut script);
                cx.out.raw(&script)?;
                Ok(Exit::Done)
            }
        }
    }
}

/// Diagnostics go to stderr: warnings, unless `--log` or RUST_LOG says otherwise.
fn diagnostics(level: Option<&str>) {
    use tracing_subscriber::EnvFilter;
    let filter = match level {
        Some(level) => EnvFilter::try_new(level).ok(),
        None => EnvFilter::try_from_default_env().ok(),
    };
    let filter = filter.unwrap_or_else(|| EnvFilter::new("warn"));
    // A line that cannot be written, on a full disk for instance, is lost: to complain of it on stderr would panic.
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // A second subscriber in one process (a test) is refused, which is fine.
    let _ = subscriber.log_internal_errors(false).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_holds_together() {
        Cli::command().debug_assert();
    }
}
