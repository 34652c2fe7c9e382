//! What one key could do over a stretch of time: the decision table at its beginning, and what changed at each moment after (I7).
//!
//! Every event that can bear on the key is looked at, and between events the time itself: expiry, and dates in policies.
//!
//! Not here: who else got more rights (`widened`).

use super::compare::{CellChange, changes};
use super::replay::{Moment, Stands, Stretch, each_told, replay};
use super::table::{DecisionTable, table_of};
use super::ties::{Ties, is_of_whole_org};
use super::widened::BUCKETS_MAX;
use crate::audit::at::AsOf;
use crate::audit::describe::describe;
use crate::audit::names::{KeyPlace, Worlds};
use crate::audit::report::{ActorRow, EventRef, Stamp, org_kind};
use crate::audit::{AuditError, History};
use crate::model::{KeyUid, OrgKind, Time};
use crate::state::{KeyRecord, KeyStatus};
use serde::Serialize;
use std::collections::BTreeSet;

/// Moments that are told; what more there are is counted.
pub const TURNS_MAX: usize = 10;

/// A key's rights over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Course {
    pub org: String,
    pub org_kind: &'static str,
    /// The beginning. None: the key's own.
    pub from: Option<Stamp>,
    /// None: it was not there yet.
    pub status: Option<&'static str>,
    /// What it could do then. None: it was not there yet.
    pub table: Option<DecisionTable>,
    pub turns: Vec<Turn>,
    /// Moments more than are told.
    pub turns_more: usize,
    /// What these changed, all together.
    pub later: Vec<CellChange>,
    /// At the end.
    pub status_after: Option<&'static str>,
}

/// A moment at which its rights changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Turn {
    pub at: Stamp,
    /// None: no event did, but the time.
    pub event: Option<EventRef>,
    pub actor: Option<ActorRow>,
    pub what: String,
    pub status: &'static str,
    pub cells: Vec<CellChange>,
}

/// The course of a key's rights from `from` to `to`; `worlds` are those of `as_of`.
///
/// # Errors
/// Whatever keeps the log from being read.
pub fn course(
    history: &dyn History,
    worlds: &Worlds,
    place: &KeyPlace,
    from: Option<Time>,
    to: Time,
    as_of: AsOf,
) -> Result<Course, AuditError> {
    let org = place.record.org;
    let kind = worlds.kind_of(org);
    let evidence: BTreeSet<_> = (kind == OrgKind::Evidence).then_some(org).into_iter().collect();
    let start = from.unwrap_or(Time::MIN);
    let live = kind == OrgKind::Live;
    let stretch = Stretch { from: start, to, as_of, live, evidence: Some(&evidence) };
    let course = Course {
        org: worlds.account(org),
        org_kind: org_kind(kind),
        from: from.map(Stamp),
        status: None,
        table: None,
        turns: Vec::new(),
        turns_more: 0,
        later: Vec::new(),
        status_after: None,
    };
    let mut walk =
        Walk { place, uid: place.uid, to, ties: Ties::default(), last: None, told: None, course, ids: Vec::new() };
    replay(history, &stretch, &mut |_, stands, then| walk.step(stands, then, start))?;
    walk.tell(history, worlds)
}

/// What a key could at some moment.
#[derive(Clone)]
struct Could {
    at: Time,
    status: KeyStatus,
    table: DecisionTable,
    expires_at: Time,
}

struct Walk<'a> {
    place: &'a KeyPlace,
    uid: KeyUid,
    to: Time,
    ties: Ties,
    last: Option<Could>,
    /// The table after the last turn that is told.
    told: Option<DecisionTable>,
    course: Course,
    ids: Vec<Option<(EventRef, u16)>>,
}

impl Walk<'_> {
    fn step(&mut self, stands: Stands<'_>, then: &Worlds, start: Time) {
        match stands {
            Stands::Begin => {
                self.ties = Ties::of(then.only_state());
                self.ties.own(&self.place.record.owner, self.uid);
                // Before everything there is nothing to decide.
                if start > Time::MIN {
                    self.last = self.look(then, start);
                }
                self.course.table = self.last.as_ref().map(|last| last.table.clone());
                self.course.status = self.last.as_ref().map(|last| last.status.as_str());
                self.told.clone_from(&self.course.table);
            }
            Stands::Before(moment) => {
                if self.touches(moment, then) {
                    self.pass(then, moment.at);
                }
            }
            Stands::After(moment) => {
                let touches = self.touches(moment, then);
                moment.events.iter().for_each(|bears| self.ties.note(bears.event));
                if touches {
                    let first =
                        moment.events.iter().find(|bears| self.bears(bears.event, then)).or(moment.events.first());
                    self.turn(then, moment.at, first.map(|bears| (bears.id, bears.change)));
                }
            }
            Stands::End => {
                self.pass(then, self.to);
                self.course.status_after = self.last.as_ref().map(|last| last.status.as_str());
                if self.course.turns_more > 0
                    && let Some(last) = &self.last
                {
                    self.course.later = changes(self.told.as_ref(), &last.table);
                }
            }
        }
    }

    fn touches(&self, moment: &Moment<'_>, then: &Worlds) -> bool {
        moment.org == Some(self.place.record.org) && moment.events.iter().any(|bears| self.bears(bears.event, then))
    }

    fn bears(&self, event: &crate::model::Event, then: &Worlds) -> bool {
        let mut touched = is_of_whole_org(event);
        self.ties.touched(then.only_state(), event, &mut |key| touched |= key == self.uid);
        touched
    }

    /// The key as it was then. One that nobody was seen to make was always there.
    fn record(&self, then: &Worlds) -> Option<KeyRecord> {
        let known = then.key(self.uid).map(|place| place.record);
        known.or_else(|| self.place.record.created_at().is_none().then(|| self.place.record.if_usable()))
    }

    fn look(&self, then: &Worlds, at: Time) -> Option<Could> {
        let key = self.record(then)?;
        let table = table_of(then, &key, at, BUCKETS_MAX, &BTreeSet::new());
        Some(Could { at, status: then.status(&key, at), table, expires_at: key.expires_at })
    }

    /// What the time alone changed up to `at`.
    fn pass(&mut self, then: &Worlds, at: Time) {
        let Some(last) = &self.last else { return };
        let (from, expires_at) = (last.at, last.expires_at);
        if expires_at > from && expires_at < at {
            self.turn(then, expires_at, None);
        }
        self.turn(then, at, None);
    }

    /// Notes what is otherwise than before.
    fn turn(&mut self, then: &Worlds, at: Time, id: Option<(EventRef, u16)>) {
        let Some(now) = self.look(then, at) else { return };
        let cells = changes(self.last.as_ref().map(|last| &last.table), &now.table);
        let status_turned = self.last.as_ref().is_none_or(|last| last.status.is_usable() != now.status.is_usable());
        if !cells.is_empty() || (status_turned && id.is_some()) {
            if self.course.turns.len() < TURNS_MAX {
                let what = if now.status == KeyStatus::Expired { "it expired" } else { "a date in a policy came" };
                let what = if id.is_some() { String::new() } else { what.to_owned() };
                let (at, event) = (Stamp(at), id.map(|(event, _)| event));
                self.course.turns.push(Turn { at, event, actor: None, what, status: now.status.as_str(), cells });
                self.ids.push(id);
                self.told = Some(now.table.clone());
            } else {
                self.course.turns_more += 1;
            }
        }
        self.last = Some(now);
    }

    /// Says of each turn who made it.
    fn tell(self, history: &dyn History, worlds: &Worlds) -> Result<Course, AuditError> {
        let mut course = self.course;
        let ids = self.ids.iter().flatten().copied().collect();
        each_told(history, &ids, &mut |id, fact| {
            for (turn, _) in course.turns.iter_mut().zip(&self.ids).filter(|(_, of)| **of == Some(id)) {
                turn.actor = Some(ActorRow::of(fact));
                turn.what = describe(fact, worlds).summary;
            }
        })?;
        Ok(course)
    }
}
