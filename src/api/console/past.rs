//! The past, for the pages that tell of it, cut to the visitor's org.
//!
//! Not here: the questions (`crate::audit`).

use super::Call;
use super::refused::Refused;
use crate::audit::at::{AsOf, worlds_at};
use crate::audit::report::ActorRow;
use crate::audit::{AuditError, History, Worlds};
use crate::model::{Event, Time, When};
use crate::state::{KeyRecord, Recorded};

impl Call<'_> {
    /// Asks the log of the visitor's org, and the present.
    ///
    /// # Errors
    /// In words for people.
    pub fn past<R>(&self, f: impl FnOnce(&dyn History, &Worlds) -> Result<R, AuditError>) -> Result<R, Refused> {
        let worlds = Worlds::live(self.visitor.state.share());
        Ok(self.api.past.ask(self.api, self.visitor.org.org, |history| f(history, &worlds))?)
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
