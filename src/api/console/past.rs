//! The past, for the pages that tell of it: the log with its index, shared by all of them and cut to the visitor's org.
//!
//! Not here: the questions (`crate::audit`).

use super::Call;
use super::refused::Refused;
use crate::api::Api;
use crate::audit::at::{AsOf, worlds_at};
use crate::audit::report::ActorRow;
use crate::audit::{Archive, AuditError, History, OwnOrg, Worlds};
use crate::model::{Event, OrgUid, Time, When};
use crate::state::{KeyRecord, Recorded};
use std::sync::{Arc, PoisonError, RwLock};

/// The log's index, once somebody has asked.
#[derive(Debug, Default)]
pub struct Past(RwLock<Option<Archive>>);

impl Past {
    /// Asks `f` with the history of one org up to the newest commit. It may take a while: the thread is given over to it.
    ///
    /// # Errors
    /// What `f` says, and whatever keeps the log from being read.
    fn ask<R>(
        &self,
        api: &Api,
        org: OrgUid,
        f: impl FnOnce(&dyn History) -> Result<R, AuditError>,
    ) -> Result<R, AuditError> {
        self.renew(api)?;
        let archive = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match archive.as_ref() {
            Some(archive) => f(&OwnOrg::new(archive, org)),
            None => f(&OwnOrg::new(&Archive::without_index(Arc::clone(&api.io), api.ledger.reader().clone()), org)),
        }
    }

    fn renew(&self, api: &Api) -> Result<(), AuditError> {
        let newest = api.ledger.reader().last_seq();
        let is_new = |archive: &Archive| archive.last_seq().0 >= newest;
        if self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(is_new) {
            return Ok(());
        }
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(archive) = kept.as_mut() {
            archive.refresh()?;
        } else {
            let reader = api.ledger.reader().clone();
            *kept = Some(Archive::open(Arc::clone(&api.io), &api.options.dir, reader)?.0);
        }
        Ok(())
    }
}

/// Does what takes a while without holding up other requests of the same thread.
pub fn at_length<R>(f: impl FnOnce() -> R) -> R {
    tokio::task::block_in_place(f)
}

impl Call<'_> {
    /// Asks the log of the visitor's org, and the present.
    ///
    /// # Errors
    /// In words for people.
    pub fn past<R>(&self, f: impl FnOnce(&dyn History, &Worlds) -> Result<R, AuditError>) -> Result<R, Refused> {
        let worlds = Worlds::live(self.visitor.state.share());
        let asked = || self.api.console.past.ask(self.api, self.visitor.org.org, |history| f(history, &worlds));
        Ok(at_length(asked)?)
    }

    /// [`Call::past`] with the worlds of a moment that a person wrote, and that moment; the present without one.
    ///
    /// # Errors
    /// 400 for what is no moment, or not there yet.
    pub fn at<R>(
        &self,
        when: Option<&str>,
        f: impl FnOnce(&dyn History, &Worlds, Time) -> Result<R, AuditError>,
    ) -> Result<R, Refused> {
        let now = self.visitor.now;
        let Some(when) = when.map(|text| self.when(text)).transpose()? else {
            return self.past(|history, worlds| f(history, worlds, now));
        };
        let as_of = AsOf { when, known_at: None };
        self.past(|history, _| {
            let worlds = worlds_at(history, as_of)?;
            f(history, &worlds, as_of.now(&worlds))
        })
    }

    /// A moment as a person writes one, or a browser's field does: `2026-11-26T04:53` is UTC.
    ///
    /// # Errors
    /// 400.
    pub fn when(&self, text: &str) -> Result<When, Refused> {
        let padded = format!("{text}Z");
        let text = if text.len() == 16 && text.contains('T') { padded.as_str() } else { text };
        Ok(When::parse(text, self.visitor.now)?)
    }

    /// Who made a key: from the commit that did.
    pub fn maker(&self, key: &KeyRecord) -> Option<String> {
        let frame = self.api.ledger.reader().frame(key.first.0).ok()??;
        let commit = Recorded::decode(&frame).ok()?;
        let uid = key.uid();
        let is_its =
            |event: &Event| matches!(event, Event::KeyCreated(made) | Event::KeyImported(made) if made.key == uid);
        let made = commit.facts().find(|fact| is_its(fact.event))?;
        let actor = ActorRow::of(&made);
        Some(match actor.kind {
            "root" => "root".to_owned(),
            _ if actor.name.is_empty() => actor.kind.to_owned(),
            _ => actor.name,
        })
    }
}
