//! The ledger, to read: its log, the state it adds up to, and moments of its past.
//!
//! Takes no lock and writes nothing but the index, which anybody may delete, so it works while another process writes.
//!
//! Invariants
//! - Needs no vault key.
//!
//! Not here: questions about the past (`audit`), writing (`writing`).

use super::args::when;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::view::{View, org_named, views};
use crate::audit::Archive;
use crate::audit::Worlds;
use crate::audit::at::{AsOf, worlds_at};
use crate::log::LogReader;
use crate::model::{Time, When};
use crate::state::at;

/// A moment of the ledger, and the log behind it.
#[derive(Debug)]
pub struct Reading {
    pub log: LogReader,
    pub worlds: Worlds,
    /// The moment that status and ages are told for.
    pub now: Time,
}

impl Reading {
    /// The present.
    ///
    /// # Errors
    /// Exit 3 for a damaged ledger (unless `--up-to-damage`), 2 when there is none.
    pub fn open(cx: &mut Context) -> Result<Self, Failure> {
        let dir = cx.dir();
        let log = open_log(cx)?;
        let replayed = at::current(cx.io.as_ref(), &dir, &log)?;
        for passed in &replayed.passed_over {
            let path = passed.path.display();
            tracing::warn!("snapshot `{path}` is passed over: {}", passed.why);
        }
        let now = cx.now().max(replayed.state.recorded_at());
        Ok(Self { log, worlds: Worlds::of(&replayed.state), now })
    }

    /// A past moment of the same ledger.
    ///
    /// # Errors
    /// Usage for what is no moment, and for one that is not there yet.
    pub fn at(self, cx: &Context, text: &str) -> Result<Self, Failure> {
        let history = self.whole_history(cx);
        let as_of = AsOf { when: when(text, self.now)?, known_at: None };
        let worlds = worlds_at(&history, as_of)?;
        let now = as_of.now(&worlds);
        Ok(Self { worlds, now, log: self.log })
    }

    /// The log as reports read it, with its index.
    ///
    /// # Errors
    /// Exit 3 for a damaged log. A folder that cannot be written only costs the index.
    pub fn history(&self, cx: &Context) -> Result<Archive, Failure> {
        let (archive, report) = Archive::open(cx.io.clone(), &cx.dir(), self.log.clone())?;
        tracing::debug!(?report, "index");
        Ok(archive)
    }

    /// The log to be walked from end to end, for what needs every commit anyway.
    pub fn whole_history(&self, cx: &Context) -> Archive {
        Archive::without_index(cx.io.clone(), self.log.clone())
    }

    /// The org that `asked` names, or the only one.
    pub fn org(&self, asked: Option<&str>) -> Result<View, Failure> {
        org_named(&self.worlds, asked, self.now)
    }

    /// Every org, live ones first, by account.
    pub fn every_org(&self) -> Vec<View> {
        views(&self.worlds, self.now)
    }
}

/// The log, to read.
pub fn open_log(cx: &mut Context) -> Result<LogReader, Failure> {
    let dir = cx.dir();
    if !cx.global.up_to_damage {
        return Ok(LogReader::open(cx.io.clone(), &dir)?);
    }
    let (log, damage) = LogReader::open_up_to_damage(cx.io.clone(), &dir)?;
    if let Some(damage) = damage {
        let damage = Failure::of(Exit::Damaged, &damage);
        cx.note(&format!("read up to the damage, which is seq {}: {damage}", log.last_seq()));
    }
    Ok(log)
}

/// The end of a span of time that a person named, as a time.
pub fn time_of(when: When, log: &LogReader) -> Result<Time, Failure> {
    Ok(crate::audit::at::time_of(when, log)?)
}
