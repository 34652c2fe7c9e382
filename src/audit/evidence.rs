//! What imported records say of one key: who used it, from where, for what and when.
//!
//! Read from the records alone: it costs what the key's own records cost, and not, as a fold does, what its account's do.
//!
//! Not here: what became of users, policies and other keys by it (`biography`, `compromise`, which fold the evidence).

use super::mention::{Mention, actor_key};
use super::query::is_about_key;
use super::report::{ActorRow, EventRef, Stamp};
use super::uses::{Profile, Tally, TallyRow, uses_in};
use super::{AuditError, History, Plan};
use crate::model::id::World;
use crate::model::{AccessKeyId, EventId, Time};
use crate::state::Fact;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Records of a key that are read, the last recorded first.
pub const RECORDS_MAX: u64 = 50_000;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct EvidenceOptions {
    /// Records of this time and later; `None`: from the first on.
    pub since: Option<Time>,
    /// Exclusive.
    pub until: Option<Time>,
    /// Rows of the newest records.
    pub rows_max: usize,
}

/// See the module.
#[derive(Debug, Clone, Default, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Evidence {
    /// Records by the key or about it.
    pub records: u64,
    /// Calls that the key signed.
    pub all: Tally,
    /// Each side with the most used first.
    pub identities: Vec<TallyRow>,
    pub addresses: Vec<TallyRow>,
    pub agents: Vec<TallyRow>,
    /// `s3:GetObject`.
    pub calls: Vec<TallyRow>,
    pub buckets: Vec<TallyRow>,
    /// Newest first.
    pub newest: Vec<EvidenceRow>,
    /// There are more records than are read.
    pub is_cut: bool,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct EvidenceRow {
    pub event: EventRef,
    pub at: Stamp,
    /// `iam:CreateUser`.
    pub call: String,
    pub actor: ActorRow,
    pub address: String,
    pub region: String,
    /// `ok`, or an error code.
    pub outcome: String,
    /// What it was about, as the record says it.
    pub resource: Option<String>,
    /// Somebody else's call that is about the key.
    pub is_by_another: bool,
}

/// Reads what the evidence of `history` says of an id. Empty where it says nothing.
///
/// # Errors
/// Whatever keeps the log from being read.
pub fn evidence(history: &dyn History, id: &AccessKeyId, options: &EvidenceOptions) -> Result<Evidence, AuditError> {
    let uid = id.uid(World::Evidence);
    let terms = vec![Mention::Key(uid).term(), Mention::ActorKey(uid).term()];
    let plan = Plan { reverse: true, ..Plan::mentioning(terms) };
    let is_its =
        |fact: &Fact<'_>| fact.record.is_some() && (actor_key(fact) == Some(uid) || is_about_key(fact.event, uid));
    let is_asked = |fact: &Fact<'_>| {
        options.since.is_none_or(|since| fact.effective_at >= since)
            && options.until.is_none_or(|until| fact.effective_at < until)
    };
    let mut told = Evidence::default();
    let mut sides: [BTreeMap<String, Tally>; 5] = Default::default();
    let mut newest: BTreeMap<(Time, EventId), EvidenceRow> = BTreeMap::new();
    history.select(&plan, &|commit| commit.facts().any(|fact| is_its(&fact)), &mut |commit| {
        let mut last = None;
        for fact in commit.facts().filter(|fact| is_its(fact) && is_asked(fact)) {
            // A record that changed several things is one call.
            if last == Some(fact.id) {
                continue;
            }
            last = Some(fact.id);
            told.records += 1;
            uses_in(&fact, true, uid, &mut |used| {
                told.all.add(&used);
                let call =
                    if used.action.is_empty() { String::new() } else { format!("{}:{}", used.service, used.action) };
                let who = format!("{} {}", fact.actor.kind, fact.actor.name);
                let values = [who.trim(), used.address, used.agent, &call, used.bucket.unwrap_or_default()];
                for (side, value) in sides.iter_mut().zip(values).filter(|(_, value)| !value.is_empty()) {
                    match side.get_mut(value) {
                        Some(tally) => tally.add(&used),
                        None => side.entry(value.to_owned()).or_default().add(&used),
                    }
                }
            });
            let place = (fact.effective_at, fact.id);
            let is_newer = newest.first_key_value().is_none_or(|(first, _)| place > *first);
            if newest.len() < options.rows_max || is_newer {
                newest.extend(row(&fact, actor_key(&fact) != Some(uid)).map(|row| (place, row)));
            }
            if newest.len() > options.rows_max {
                newest.pop_first();
            }
        }
        told.is_cut = told.records >= RECORDS_MAX;
        if told.is_cut { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let [identities, addresses, agents, calls, buckets] = sides.map(|side| Profile::rows(&side, None));
    Ok(Evidence { identities, addresses, agents, calls, buckets, newest: newest.into_values().rev().collect(), ..told })
}

fn row(fact: &Fact<'_>, is_by_another: bool) -> Option<EvidenceRow> {
    let record = fact.record?;
    Some(EvidenceRow {
        event: fact.id.into(),
        at: fact.effective_at.into(),
        call: format!("{}:{}", record.service(), record.event_name),
        actor: ActorRow::of(fact),
        address: record.source_ip.to_string(),
        region: record.region.to_string(),
        outcome: record.outcome.as_str().to_owned(),
        resource: fact.observed().and_then(|observed| {
            let bucket = observed.bucket.as_ref().map(crate::model::BucketName::as_str);
            observed.resource.as_deref().or(bucket).map(str::to_owned)
        }),
        is_by_another,
    })
}
