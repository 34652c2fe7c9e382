//! Every edit of rights that gave a key more than it had, with what it could do before and after (R11, I13).
//!
//! Edits are of documents, attachments, memberships, boundaries, grants and flags. Not each of them widens: attaching a policy to
//! someone who may all of it already does not, detaching a Deny does. So the keys an edit bears on are decided before and
//! after it. A key counts as it would be if it were usable, unless it is gone for good.
//!
//! Not here: a key's making, roles of users (the native API's rights), suspending and resuming.

use super::compare::{CellChange, changes};
use super::replay::{Bears, Stands, Stretch, each_told, replay};
use super::table::{DecisionTable, table_of};
use super::ties::{Ties, is_edit};
use crate::audit::at::AsOf;
use crate::audit::describe::describe;
use crate::audit::names::Worlds;
use crate::audit::report::{ActorRow, EventRef, Stamp, org_kind};
use crate::audit::{AuditError, History};
use crate::model::{Event, KeyUid, OrgKind, OrgUid, PolicyUid, Time};
use crate::state::{KeyRecord, KeyStatus};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Keys that are decided for one edit; what more there are is counted.
pub const KEYS_MAX: usize = 20;
/// Buckets that are asked about for one key, besides those its documents name.
pub const BUCKETS_MAX: usize = 50;

/// The period, and whose rights.
#[derive(Debug, Clone)]
pub struct Period<'a> {
    pub since: Time,
    /// Inclusive.
    pub to: Time,
    pub as_of: AsOf,
    /// Only this key.
    pub key: Option<KeyUid>,
    pub orgs: Option<&'a BTreeSet<OrgUid>>,
}

/// An edit that gave somebody more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Widening {
    pub event: EventRef,
    pub at: Stamp,
    pub kind: &'static str,
    pub org: String,
    pub org_kind: &'static str,
    pub actor: ActorRow,
    pub source_ip: Option<String>,
    pub reason: Option<String>,
    /// One sentence without time and actor.
    pub summary: String,
    /// Of an edit of a document: its name, and its text before and after.
    pub policy: Option<String>,
    pub document_before: Option<String>,
    pub document_after: Option<String>,
    /// The keys that may more.
    pub keys: Vec<WidenedKey>,
    /// Keys it bears on that were not decided, because there are so many.
    pub keys_not_asked: usize,
}

/// A key that may more than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct WidenedKey {
    pub access_key_id: String,
    pub owner: String,
    pub status: &'static str,
    pub cells: Vec<CellChange>,
}

/// Finds them, in the order they took effect; `worlds` are those of `period.as_of`.
///
/// # Errors
/// Whatever keeps the log from being read.
pub fn widened(history: &dyn History, worlds: &Worlds, period: &Period<'_>) -> Result<Vec<Widening>, AuditError> {
    let evidence: BTreeSet<OrgUid> = worlds.evidence_orgs().map(|(org, ..)| org).collect();
    let wanted = |org: OrgUid| period.orgs.is_none_or(|orgs| orgs.contains(&org));
    let evidence: BTreeSet<OrgUid> = evidence.into_iter().filter(|org| wanted(*org)).collect();
    let live = period.orgs.is_none_or(|orgs| orgs.iter().any(|org| worlds.kind_of(*org) == OrgKind::Live));
    let stretch = Stretch { from: period.since, to: period.to, as_of: period.as_of, live, evidence: Some(&evidence) };
    let mut search = Search { worlds, period, ties: Ties::default(), before: Vec::new(), found: Vec::new() };
    replay(history, &stretch, &mut |kind, stands, then| search.step(kind, stands, then))?;
    search.tell(history)
}

struct Search<'a> {
    worlds: &'a Worlds,
    period: &'a Period<'a>,
    ties: Ties,
    /// Of the moment that comes next.
    before: Vec<Edit>,
    found: Vec<((EventRef, u16), Widening)>,
}

/// An edit before it was applied.
struct Edit {
    place: usize,
    policy: Option<String>,
    document: Option<String>,
    keys: Vec<(KeyRecord, DecisionTable)>,
    keys_not_asked: usize,
}

impl Search<'_> {
    fn step(&mut self, kind: OrgKind, stands: Stands<'_>, then: &Worlds) {
        match stands {
            Stands::Begin => {
                self.ties = Ties::of(then.only_state());
                if kind == OrgKind::Evidence {
                    // Keys that nobody was seen to make are in no change.
                    self.worlds.for_each_key(|of, uid, key| {
                        if of == OrgKind::Evidence && key.created_at().is_none() {
                            self.ties.own(&key.owner, uid);
                        }
                    });
                }
            }
            Stands::Before(moment) => {
                let org = moment.org.filter(|org| self.period.orgs.is_none_or(|orgs| orgs.contains(org)));
                self.before = match org {
                    Some(org) => self.edits(&moment.events, org, moment.at, then),
                    None => Vec::new(),
                };
            }
            Stands::After(moment) => {
                for edit in std::mem::take(&mut self.before) {
                    if let Some(bears) = moment.events.get(edit.place) {
                        self.compare(kind, edit, bears, moment.at, then);
                    }
                }
                moment.events.iter().for_each(|bears| self.ties.note(bears.event));
            }
            Stands::End => {}
        }
    }

    /// What a moment's edits find before they are applied. A key belongs to the first edit that touches it.
    fn edits(&self, events: &[Bears<'_>], org: OrgUid, at: Time, then: &Worlds) -> Vec<Edit> {
        let state = then.state_of(org);
        let mut taken: BTreeSet<KeyUid> = BTreeSet::new();
        let mut edits = Vec::new();
        for (place, bears) in events.iter().enumerate().filter(|(_, bears)| is_edit(bears.event)) {
            let mut touched: BTreeSet<KeyUid> = BTreeSet::new();
            self.ties.edited(state, bears.event, &mut |key| {
                if self.period.key.is_none_or(|only| only == key) && taken.insert(key) {
                    touched.insert(key);
                }
            });
            let mut keys: Vec<KeyRecord> = touched.into_iter().filter_map(|key| self.key(then, key, at)).collect();
            keys.sort_by(|a, b| (!is_usable(then, a, at), &a.id).cmp(&(!is_usable(then, b, at), &b.id)));
            let keys_not_asked = keys.len().saturating_sub(KEYS_MAX);
            keys.truncate(KEYS_MAX);
            if keys.is_empty() {
                continue;
            }
            let (policy, document) = document(then, bears.event, false);
            let keys = keys.into_iter().map(|key| (key.clone(), decided(then, &key, at))).collect();
            edits.push(Edit { place, policy, document, keys, keys_not_asked });
        }
        edits
    }

    /// A key that may be usable again.
    fn key(&self, then: &Worlds, uid: KeyUid, at: Time) -> Option<KeyRecord> {
        let place = then.key(uid).or_else(|| self.worlds.key(uid).filter(|key| key.record.created_at().is_none()));
        let key = place?.record;
        let gone = matches!(then.status(&key, at), KeyStatus::Revoked | KeyStatus::Deleted | KeyStatus::Expired);
        (!gone).then_some(key)
    }

    fn compare(&mut self, kind: OrgKind, edit: Edit, bears: &Bears<'_>, at: Time, then: &Worlds) {
        let mut keys = Vec::new();
        for (key, before) in edit.keys {
            let now = then.key(key.uid()).map_or(key, |place| place.record);
            let cells: Vec<CellChange> =
                changes(Some(&before), &decided(then, &now, at)).into_iter().filter(CellChange::is_wider).collect();
            if !cells.is_empty() {
                keys.push(WidenedKey {
                    access_key_id: now.id.to_string(),
                    owner: then.owner_name(&now.owner),
                    status: then.status(&now, at).as_str(),
                    cells,
                });
            }
        }
        if keys.is_empty() {
            return;
        }
        let (policy, document_after) = document(then, bears.event, true);
        let row = Widening {
            event: bears.id,
            at: at.into(),
            kind: bears.event.kind().as_str(),
            org: String::new(),
            org_kind: org_kind(kind),
            actor: ActorRow { kind: "unknown", name: String::new(), access_key_id: None },
            source_ip: None,
            reason: None,
            summary: String::new(),
            policy: policy.or(edit.policy),
            document_before: edit.document,
            document_after,
            keys,
            keys_not_asked: edit.keys_not_asked,
        };
        self.found.push(((bears.id, bears.change), row));
    }

    /// Says of each who did it.
    fn tell(self, history: &dyn History) -> Result<Vec<Widening>, AuditError> {
        let mut rows: BTreeMap<(EventRef, u16), Widening> = self.found.into_iter().collect();
        let ids = rows.keys().copied().collect();
        each_told(history, &ids, &mut |id, fact| {
            if let Some(row) = rows.get_mut(&id) {
                row.org = fact.org.map(|org| self.worlds.account(org)).unwrap_or_default();
                row.actor = ActorRow::of(fact);
                row.source_ip = fact.source_ip.map(str::to_owned);
                row.reason = fact.reason.map(str::to_owned);
                row.summary = describe(fact, self.worlds).summary;
            }
        })?;
        let mut rows: Vec<Widening> = rows.into_values().collect();
        rows.sort_by_key(|row| (row.at, row.event));
        Ok(rows)
    }
}

fn is_usable(then: &Worlds, key: &KeyRecord, at: Time) -> bool {
    then.status(key, at).is_usable()
}

/// A key's table as if it were usable; its quarantine counts, since lifting that widens.
fn decided(then: &Worlds, key: &KeyRecord, at: Time) -> DecisionTable {
    table_of(then, &key.if_resumed(), at, BUCKETS_MAX, &BTreeSet::new())
}

/// The document an edit is about, by name and text, before or after it.
fn document(then: &Worlds, event: &Event, is_after: bool) -> (Option<String>, Option<String>) {
    let text = |policy: PolicyUid| {
        let document = then.states().find_map(|(_, state)| state.document_of(policy));
        (Some(then.policy_name(policy)), document.map(|text| text.text().to_string()).filter(|text| !text.is_empty()))
    };
    let held = |policy: PolicyUid, is_held: bool| {
        let (name, document) = text(policy);
        (name, document.filter(|_| is_held))
    };
    match event {
        Event::PolicyVersionCreated { policy, .. } | Event::PolicyDefaultSet { policy, .. } => text(*policy),
        Event::PolicyAttached { policy, .. } => held(*policy, is_after),
        Event::PolicyDetached { policy, .. } | Event::PolicyDetachedFromAll { policy, .. } => held(*policy, !is_after),
        Event::UserBoundarySet { before, after, .. } => {
            (if is_after { after } else { before }).map_or((None, None), text)
        }
        Event::InlinePolicyPut { name, before, document, .. } => {
            let text = if is_after { Some(document) } else { before.as_ref() };
            (Some(name.to_string()), text.map(|text| text.to_string()))
        }
        Event::InlinePolicyDeleted { name, before, .. } => {
            (Some(name.to_string()), (!is_after).then(|| before.to_string()))
        }
        _ => (None, None),
    }
}
