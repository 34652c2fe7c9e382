//! A key's life in a picture's worth of numbers: statuses, changes and uses over time, however many events there were.
//!
//! One walk over the commits that mention the key, and memory that does not grow with them: time is cut into bins of one length.
//!
//! Not here: the events themselves (`biography`, `log`), drawing (`api::console`).

use super::gather::each_fact;
use super::mention::{Mention, actor_key, is_made};
use super::query::is_about_key;
use super::uses::{Ended, Profile, uses_in};
use super::{AuditError, History, Plan};
use crate::model::{Event, KeyUid, Time};
use crate::state::{KeyRecord, KeyStatus};

/// Bins of a story.
pub const BINS: usize = 96;

/// How grave a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// Labels, tags, sessions.
    Note,
    /// Rights, expiry.
    Rights,
    /// Made, rotated, resumed.
    Life,
    /// Suspended, revoked, deleted, flagged.
    End,
}

/// What happened in one stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bin {
    /// What happened to the key.
    pub changes: u64,
    /// The gravest of them, and its kind.
    pub gravest: Option<(Weight, &'static str)>,
    /// What the key did to others.
    pub acts: u64,
    pub ok: u64,
    pub denied: u64,
    /// Failed, or turned away because of the key.
    pub failed: u64,
}

/// A stretch in which the status was the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub status: KeyStatus,
    pub from: Time,
    pub to: Time,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Story {
    pub from: Time,
    /// Exclusive.
    pub to: Time,
    /// [`BINS`] of them, all of one length.
    pub bins: Vec<Bin>,
    /// In order; the org's own suspensions are not among them.
    pub spans: Vec<Span>,
    /// Where and how it was used, and what for.
    pub uses: Profile,
    /// Events about the key or by it.
    pub events: u64,
}

impl Story {
    /// The bin a moment lies in.
    #[must_use]
    pub fn bin_of(&self, at: Time) -> usize {
        let length = i128::from(self.to.ns_since(self.from)).max(1);
        let into = i128::from(at.ns_since(self.from)).max(0);
        usize::try_from(into * BINS as i128 / length).unwrap_or(BINS).min(BINS - 1)
    }

    /// When a bin begins.
    #[must_use]
    pub fn begins(&self, bin: usize) -> Time {
        let length = i128::from(self.to.ns_since(self.from));
        let into = length * i128::try_from(bin).unwrap_or_default() / BINS as i128;
        self.from.plus_ns(i64::try_from(into).unwrap_or(i64::MAX))
    }
}

/// Tells the story of `key` between two moments; from its making on without a first one.
///
/// # Errors
/// Whatever keeps the log from being read.
pub fn story(history: &dyn History, key: &KeyRecord, from: Option<Time>, to: Time) -> Result<Story, AuditError> {
    let uid = key.uid();
    let made = key.created_at().unwrap_or(to);
    let from = from.unwrap_or(made);
    // A life of no length is drawn as one of a second.
    let to = to.max(from.plus_ns(1_000_000_000));
    let mut story =
        Story { from, to, bins: vec![Bin::default(); BINS], spans: Vec::new(), uses: Profile::default(), events: 0 };
    let mut life = Life { status: KeyStatus::Active, since: made, spans: Vec::new() };
    let plan = Plan::mentioning(vec![Mention::Key(uid).term(), Mention::ActorKey(uid).term()]);
    let wanted = |fact: &crate::state::Fact<'_>| is_about_key(fact.event, uid) || actor_key(fact) == Some(uid);
    let mut last_id = None;
    each_fact(history, &plan, &wanted, &mut |fact, _, _| {
        if fact.effective_at > to {
            return;
        }
        let is_inside = fact.effective_at >= from;
        story.events += u64::from(is_inside);
        let is_first = last_id != Some(fact.id);
        last_id = Some(fact.id);
        let mut used_here = false;
        uses_in(fact, is_first, uid, &mut |used| {
            used_here = true;
            if used.last < from {
                return;
            }
            story.uses.add(&used);
            let bin = story.bin_of(used.last);
            let Some(bin) = story.bins.get_mut(bin) else { return };
            let count = match used.ended {
                Ended::Ok => &mut bin.ok,
                Ended::Denied => &mut bin.denied,
                Ended::Failed | Ended::Rejected => &mut bin.failed,
            };
            *count = count.saturating_add(used.count);
        });
        if used_here || !is_made(fact) {
            return;
        }
        let about = is_about_key(fact.event, uid);
        if about {
            life.meets(fact.event, uid, fact.effective_at);
        }
        let bin = story.bin_of(fact.effective_at);
        let Some(bin) = story.bins.get_mut(bin).filter(|_| is_inside) else { return };
        if about {
            bin.changes += 1;
            let weight = weight(fact.event);
            if bin.gravest.is_none_or(|(gravest, _)| gravest < weight) {
                bin.gravest = Some((weight, fact.event.kind().as_str()));
            }
        } else {
            bin.acts += 1;
        }
    })?;
    story.spans = life.end(key, from, to);
    Ok(story)
}

/// Statuses one after another.
struct Life {
    status: KeyStatus,
    since: Time,
    spans: Vec<Span>,
}

impl Life {
    fn meets(&mut self, event: &Event, uid: KeyUid, at: Time) {
        let status = match event {
            Event::KeySuspended { .. } => KeyStatus::Inactive,
            Event::KeyResumed { .. } => KeyStatus::Active,
            Event::KeyRevoked { .. } => KeyStatus::Revoked,
            Event::KeyDeleted { .. } => KeyStatus::Deleted,
            Event::KeyRotated { old, .. } if *old == uid => KeyStatus::Rotating,
            Event::KeySecretRotated { .. } => KeyStatus::Rotating,
            Event::KeySecretRetired { .. } | Event::KeySecretShredded { .. } if self.status == KeyStatus::Rotating => {
                KeyStatus::Active
            }
            _ => return,
        };
        self.becomes(status, at);
    }

    fn becomes(&mut self, status: KeyStatus, at: Time) {
        if status != self.status {
            self.spans.push(Span { status: self.status, from: self.since, to: at });
            (self.status, self.since) = (status, at);
        }
    }

    fn end(mut self, key: &KeyRecord, from: Time, to: Time) -> Vec<Span> {
        let ended = matches!(self.status, KeyStatus::Revoked | KeyStatus::Deleted);
        if let Some(expired) = key.expires_at().filter(|at| !ended && *at < to) {
            self.becomes(KeyStatus::Expired, expired.max(self.since));
        }
        self.spans.push(Span { status: self.status, from: self.since, to });
        let inside = self.spans.into_iter().filter(|span| span.to > from);
        inside.map(|span| Span { from: span.from.max(from), ..span }).collect()
    }
}

fn weight(event: &Event) -> Weight {
    match event {
        Event::KeySuspended { .. } | Event::KeyRevoked { .. } | Event::KeyDeleted { .. } | Event::KeyFlagged { .. } => {
            Weight::End
        }
        Event::KeyCreated(_)
        | Event::KeyImported(_)
        | Event::KeyResumed { .. }
        | Event::KeyRotated { .. }
        | Event::KeySecretRotated { .. }
        | Event::KeyCleared { .. } => Weight::Life,
        Event::KeyGrantsSet { .. }
        | Event::KeyDefaultAllowSet { .. }
        | Event::KeyExpirySet { .. }
        | Event::PolicyAttached { .. }
        | Event::PolicyDetached { .. }
        | Event::PolicyDetachedFromAll { .. }
        | Event::InlinePolicyPut { .. }
        | Event::InlinePolicyDeleted { .. } => Weight::Rights,
        _ => Weight::Note,
    }
}
