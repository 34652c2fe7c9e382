//! `audit log`: what happened, event by event.

use super::show;
use crate::audit::query::KeyPart;
use crate::audit::{Asked, Query, log as facts};
use crate::cli::args::when;
use crate::cli::key::none_found;
use crate::cli::reading::time_of;
use crate::cli::{Context, Done, Exit, Failure};
use crate::model::{Seq, When};
use clap::{Args, ValueEnum};
use std::ops::ControlFlow;
use std::time::Duration;

/// How long a follower sleeps at most before it looks again.
const FOLLOW_WAIT: Duration = Duration::from_secs(1);

/// How an event hangs together with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Either,
    About,
    Caused,
}

#[derive(Debug, Args)]
pub struct Log {
    /// About this access key, or caused by it
    #[arg(long, value_name = "ID", help_heading = "Which events (all that are given must hold)")]
    key: Option<String>,
    /// Only what is about the key, or only what it caused
    #[arg(
        long,
        value_name = "PART",
        default_value = "either",
        hide_short_help = true,
        help_heading = "Which events (all that are given must hold)"
    )]
    key_part: Part,
    /// About this user or caused by it, under any name it had
    #[arg(long, value_name = "NAME", help_heading = "Which events (all that are given must hold)")]
    user: Option<String>,
    /// About this policy
    #[arg(long, value_name = "NAME", help_heading = "Which events (all that are given must hold)")]
    policy: Option<String>,
    /// About this bucket
    #[arg(long, value_name = "NAME", help_heading = "Which events (all that are given must hold)")]
    bucket: Option<String>,
    /// Caused by this user, operator or access key
    #[arg(long, value_name = "USER", help_heading = "Which events (all that are given must hold)")]
    actor: Option<String>,
    /// From this address or network (203.0.113.0/24)
    #[arg(long, value_name = "IP", help_heading = "Which events (all that are given must hold)")]
    address: Option<String>,
    /// Of this kind: key-created, policy-attached, …; may be repeated
    #[arg(long = "kind", value_name = "KIND", help_heading = "Which events (all that are given must hold)")]
    kinds: Vec<String>,
    /// Imported: this API call, for instance CreateAccessKey
    #[arg(long, value_name = "NAME", help_heading = "Which events (all that are given must hold)")]
    call: Option<String>,
    /// By this surface: cli, native, console, aws-iam, …
    #[arg(
        long,
        value_name = "NAME",
        hide_short_help = true,
        help_heading = "Which events (all that are given must hold)"
    )]
    dialect: Option<String>,
    /// 2026-03-01T09:00Z, 7d for the last seven days, or seq:1234
    #[arg(long, value_name = "WHEN", help_heading = "Which events (all that are given must hold)")]
    since: Option<String>,
    /// Exclusive
    #[arg(long, value_name = "WHEN", help_heading = "Which events (all that are given must hold)")]
    until: Option<String>,
    /// Hide what was recorded later
    #[arg(long, value_name = "WHEN", help_heading = "What to print")]
    known_at: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", help_heading = "What to print")]
    limit: Option<usize>,
    /// Newest first
    #[arg(long, help_heading = "What to print")]
    reverse: bool,
    /// Each event on one line, without what it changed
    #[arg(long, help_heading = "What to print")]
    brief: bool,
    /// Go on with what is recorded from now on, until interrupted
    #[arg(long, short, conflicts_with_all = ["reverse", "limit", "known_at"], help_heading = "What to print")]
    follow: bool,
}

impl Log {
    pub fn run(self, cx: &mut Context) -> Done {
        let mut reading = cx.reading()?;
        let now = reading.now;
        let moment = |text: &Option<String>| text.as_deref().map(|text| when(text, now)).transpose();
        let mut asked = Asked {
            key: self.key.clone(),
            key_part: match self.key_part {
                Part::Either => KeyPart::Either,
                Part::About => KeyPart::About,
                Part::Caused => KeyPart::Caused,
            },
            user: self.user.clone(),
            policy: self.policy.clone(),
            bucket: self.bucket.clone(),
            actor: self.actor.clone(),
            address: self.address.clone(),
            kinds: self.kinds.clone(),
            call: self.call.clone(),
            dialect: self.dialect.clone(),
            org: cx.global.org.clone(),
            since: moment(&self.since)?,
            until: moment(&self.until)?,
            known_at: moment(&self.known_at)?.map(|known| time_of(known, &reading.log)).transpose()?,
            limit: self.limit,
            reverse: self.reverse,
        };
        let mut shown = 0;
        loop {
            let last = Seq(reading.log.last_seq());
            shown += self.print(cx, &reading, &asked)?;
            if !self.follow {
                break;
            }
            cx.out.flush()?;
            // What comes later was not seen yet, whatever its time.
            while reading.log.refresh()? <= last.0 {
                reading.log.wait(FOLLOW_WAIT)?;
            }
            asked.since = Some(When::Seq(last.next()));
            reading = cx.reading()?;
        }
        if shown == 0 { none_found(&mut cx.out, "events") } else { Ok(Exit::Done) }
    }

    fn print(&self, cx: &mut Context, reading: &crate::cli::reading::Reading, asked: &Asked) -> Result<u64, Failure> {
        let history = reading.history(cx)?;
        let query = Query::of(asked, &history, &reading.worlds)?;
        let mut failed = None;
        let shown = facts::rows(&history, &reading.worlds, &query, &mut |row| {
            let printed = if cx.out.json { cx.out.json(&row) } else { show::fact(&mut cx.out, &row, !self.brief) };
            match printed {
                Ok(()) => ControlFlow::Continue(()),
                Err(failure) => {
                    failed = Some(failure);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(shown), Err)
    }
}
