//! From when to when: the intervals in which keys could do something, and the events that opened and closed each.
//!
//! The log is replayed once over the window. After each commit only the keys that it can have touched are decided again: the key
//! itself, the keys of a user, of a group's members, of a policy's holders, or all of an org. Expiry, and dates that a
//! policy names, close and open intervals without any event.
//!
//! Of evidence the records are followed in the order they took effect, whenever they were recorded.
//!
//! Not here: one moment (`who`).

use super::Question;
use super::replay::record_events;
use super::ties::{Ties, bears_on_rights, is_of_whole_org};
use crate::audit::at::{AsOf, apply_live, worlds_at};
use crate::audit::describe::describe;
use crate::audit::names::Worlds;
use crate::audit::report::{EventRef, Stamp, org_kind};
use crate::audit::{AuditError, History, Plan};
use crate::model::{EventKind, KeyUid, OrgKind, OrgUid, Seq, Time};
use crate::state::{KeyRecord, State};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::ops::ControlFlow;

/// A stretch of time in which a key could.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Interval {
    pub access_key_id: String,
    pub org: String,
    pub org_kind: &'static str,
    pub owner: String,
    pub from: Stamp,
    pub opened: Turn,
    /// None: it still could at the end of the window.
    pub until: Option<Stamp>,
    pub closed: Option<Turn>,
}

/// What began or ended an interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Turn {
    /// None: no event did, but the window's edge or the time.
    pub event: Option<EventRef>,
    pub what: String,
}

/// The intervals in which keys could do what `question` asks, between two times.
#[derive(Debug, Clone)]
pub struct Window<'a> {
    pub question: &'a Question,
    pub from: Time,
    pub to: Time,
    /// Only this key.
    pub key: Option<KeyUid>,
    pub orgs: Option<&'a BTreeSet<OrgUid>>,
}

/// Finds them, by key and time.
///
/// # Errors
/// Whatever keeps the log from being read.
pub fn intervals(history: &dyn History, window: &Window<'_>) -> Result<Vec<Interval>, AuditError> {
    let mut found = live(history, window)?;
    found.extend(evidence(history, window)?);
    found.sort_by(|a, b| {
        (a.org_kind, &a.org, &a.access_key_id, a.from).cmp(&(b.org_kind, &b.org, &b.access_key_id, b.from))
    });
    Ok(found)
}

fn live(history: &dyn History, window: &Window<'_>) -> Result<Vec<Interval>, AuditError> {
    let (first, last) = (history.seq_at(window.from)?, history.seq_at(window.to)?);
    let mut state = history.state_at(first)?;
    let mut track = Track::new(window, OrgKind::Live);
    let mut ties = Ties::of(&state);
    let edge = Turn { event: None, what: "it could already".to_owned() };
    state.for_each_key(|key| track.look(&state, &key.to_record(), window.from, &edge));
    let mut plan = Plan::range(first.0 + 1..=last.0);
    plan.glance.kinds = EventKind::ALL.iter().copied().filter(|kind| bears_on_rights(*kind)).collect();
    history.walk(&plan, &mut |commit| {
        track.pass(&state, commit.recorded_at);
        apply_live(&mut state, commit);
        let mut touched: BTreeMap<KeyUid, EventRef> = BTreeMap::new();
        let mut whole_org = None;
        for fact in commit.facts().filter(|fact| fact.record.is_none() && bears_on_rights(fact.event.kind())) {
            ties.note(fact.event);
            let event = EventRef(fact.id);
            ties.touched(&state, fact.event, &mut |key| _ = touched.entry(key).or_insert(event));
            if is_of_whole_org(fact.event) {
                whole_org = fact.org.map(|org| (org, event));
            }
        }
        let turn = |event: EventRef| Turn { event: Some(event), what: String::new() };
        if let Some((org, event)) = whole_org {
            let turn = turn(event);
            state.for_each_key(|key| {
                if key.org() == org {
                    track.look(&state, &key.to_record(), commit.recorded_at, &turn);
                }
            });
        }
        for (key, event) in touched {
            if let Some(record) = state.key_by_uid(key) {
                track.look(&state, &record, commit.recorded_at, &turn(event));
            }
        }
        ControlFlow::Continue(())
    })?;
    track.pass(&state, window.to);
    let worlds = Worlds::live(state);
    let mut found = track.finish(&worlds);
    tell(history, &worlds, &mut found)?;
    Ok(found)
}

/// Says in words what the events did that opened and closed the intervals.
fn tell(history: &dyn History, worlds: &Worlds, found: &mut [Interval]) -> Result<(), AuditError> {
    let turns = |it: &Interval| [it.opened.event, it.closed.as_ref().and_then(|turn| turn.event)];
    let mut told: BTreeMap<EventRef, String> =
        found.iter().flat_map(turns).flatten().map(|event| (event, String::new())).collect();
    let seqs: BTreeSet<Seq> = told.keys().map(|event| event.0.seq).collect();
    for seq in seqs {
        history.walk(&Plan::range(seq.0..=seq.0), &mut |commit| {
            for fact in commit.facts() {
                if let Some(text) = told.get_mut(&EventRef(fact.id)) {
                    *text = describe(&fact, worlds).summary;
                }
            }
            ControlFlow::Continue(())
        })?;
    }
    for turn in found.iter_mut().flat_map(|it| std::iter::once(&mut it.opened).chain(&mut it.closed)) {
        if let Some(text) = turn.event.and_then(|event| told.get(&event)) {
            turn.what.clone_from(text);
        }
    }
    Ok(())
}

fn evidence(history: &dyn History, window: &Window<'_>) -> Result<Vec<Interval>, AuditError> {
    let worlds = worlds_at(history, AsOf::time(window.to))?;
    if worlds.evidence_orgs().next().is_none() {
        return Ok(Vec::new());
    }
    let events = record_events(history)?;
    let whole = history.state_at(history.last_seq())?;
    let mut found = Vec::new();
    for (org, evidence) in whole.all_evidence().filter(|(org, _)| window.orgs.is_none_or(|it| it.contains(org))) {
        let Some(account) = whole.org(org).map(|org| org.account) else { continue };
        let end = worlds.state_of(org);
        // Keys that were there before the evidence begins have no event that makes them.
        let older = end.keys_where(|key| key.created_at() == Time::MIN);
        let mut track = Track::new(window, OrgKind::Evidence);
        let mut begun = false;
        evidence.follow(account, &mut |change, state| {
            let at = change.map_or(window.from, |change| change.record.effective_at);
            if at > window.to {
                return;
            }
            let begins = !begun && (change.is_none() || at > window.from);
            if !begins && !begun {
                return;
            }
            let turn = match change.filter(|_| begun) {
                Some(change) => Turn { event: events.get(&change.record.event_id).copied(), what: String::new() },
                None => Turn { event: None, what: "it could already".to_owned() },
            };
            track.pass(state, at);
            let at = at.max(window.from);
            for key in state.keys_where(|_| true) {
                track.look(state, &key, at, &turn);
            }
            for key in older.iter().filter(|key| !state.has_key(key.uid())) {
                track.look(state, key, at, &turn);
            }
            begun = true;
        });
        track.pass(end, window.to);
        found.extend(track.finish(&worlds));
    }
    tell(history, &worlds, &mut found)?;
    Ok(found)
}

/// From when, to when; without an end it goes on.
struct Span {
    from: (Time, Turn),
    to: Option<(Time, Turn)>,
}

/// What is known of each key so far.
struct Track<'a> {
    window: &'a Window<'a>,
    kind: OrgKind,
    open: HashMap<KeyUid, (Time, Turn)>,
    closed: Vec<(KeyUid, Span)>,
    records: HashMap<KeyUid, KeyRecord>,
    /// When a key must be looked at without an event.
    due: BinaryHeap<Reverse<(Time, KeyUid)>>,
}

impl<'a> Track<'a> {
    fn new(window: &'a Window<'a>, kind: OrgKind) -> Self {
        Self { window, kind, open: HashMap::new(), closed: Vec::new(), records: HashMap::new(), due: BinaryHeap::new() }
    }

    /// Decides a key at a moment and notes what turned.
    fn look(&mut self, state: &State, key: &KeyRecord, at: Time, turn: &Turn) {
        let uid = key.uid();
        let wanted = self.window.key.is_none_or(|only| only == uid)
            && self.window.orgs.is_none_or(|orgs| orgs.contains(&key.org));
        if !wanted {
            return;
        }
        let standing = state.standing(key);
        let (allowed, dates) = self
            .window
            .question
            .with_request(|request| (standing.decide(request, at).is_allow(), standing.turning_points(request, at)));
        for date in dates.into_iter().filter(|date| *date > at && *date <= self.window.to) {
            self.due.push(Reverse((date, uid)));
        }
        match (allowed, self.open.contains_key(&uid)) {
            (true, false) => {
                self.records.insert(uid, key.clone());
                self.open.insert(uid, (at, turn.clone()));
            }
            (false, true) => {
                if let Some(from) = self.open.remove(&uid) {
                    self.closed.push((uid, Span { from, to: Some((at, turn.clone())) }));
                }
            }
            _ => {}
        }
        if !self.due.is_empty() {
            self.records.insert(uid, key.clone());
        }
    }

    /// Looks at what time alone turned up to `to`, while `state` was in force.
    fn pass(&mut self, state: &State, to: Time) {
        while let Some(Reverse((at, uid))) = self.due.peek().copied() {
            if at > to {
                return;
            }
            self.due.pop();
            let key = state.key_by_uid(uid).or_else(|| self.records.get(&uid).cloned());
            if let Some(key) = key {
                let what = if key.expires_at == at { "it expired" } else { "a date in a policy came" };
                self.look(state, &key, at, &Turn { event: None, what: what.to_owned() });
            }
        }
    }

    fn finish(mut self, worlds: &Worlds) -> Vec<Interval> {
        let still = self.open.drain().map(|(uid, from)| (uid, Span { from, to: None }));
        let all: Vec<_> = self.closed.drain(..).chain(still).collect();
        all.into_iter()
            .filter_map(|(uid, Span { from: (from, opened), to })| {
                let key = self.records.get(&uid)?;
                let (until, closed) = to.map_or((None, None), |(at, turn)| (Some(Stamp(at)), Some(turn)));
                Some(Interval {
                    access_key_id: key.id.to_string(),
                    org: worlds.account(key.org),
                    org_kind: org_kind(self.kind),
                    owner: worlds.owner_name(&key.owner),
                    from: Stamp(from),
                    opened,
                    until,
                    closed,
                })
            })
            .collect()
    }
}
