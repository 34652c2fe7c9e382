//! The values of an investigation. Field names are what `--json` shows.

use super::super::access::blast::BlastRadius;
use super::super::access::course::Course;
use super::super::access::widened::Widening;
use super::super::report::{Attribution, EventRef, FactRow, Finding, Stamp};
use super::super::rights::InForce;
use super::super::uses::{Ended, Tally, TallyRow, UseSummary};
use crate::model::Seq;
use serde::Serialize;

/// The whole investigation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct CompromiseReport {
    pub questions: [&'static str; 17],
    pub access_key_id: String,
    /// Whether anything is known of this id (I1).
    pub known: bool,
    pub since: Option<Stamp>,
    pub until: Option<Stamp>,
    /// The moment that "alive" is told at.
    pub as_of: Stamp,
    #[cfg_attr(feature = "server", schemars(with = "u64"))]
    pub seq: Seq,
    /// Where the id stands: whose, since when, by whom (I1, I3).
    pub places: Vec<Place>,
    pub exposure: Exposure,
    /// Uses before the window.
    pub baseline: UseSummary,
    /// Uses in it (I5).
    pub window: UseSummary,
    /// I6.
    pub addresses: Vec<TallyRow>,
    pub networks: Vec<TallyRow>,
    pub agents: Vec<TallyRow>,
    /// I8.
    pub actions: Vec<TallyRow>,
    pub regions: Vec<TallyRow>,
    pub buckets: Vec<TallyRow>,
    pub hours: Vec<HourRow>,
    /// I9.
    pub denials: Vec<DenialRow>,
    /// I14.
    pub after_stop: Vec<AfterStop>,
    /// I10, I11: what it made, and what that made.
    pub tree: Vec<Node>,
    /// Of the tree, what still stands.
    pub alive: Vec<Alive>,
    /// I12.
    pub siblings: Vec<Sibling>,
    /// I13.
    pub widened: Vec<FactRow>,
    /// I13: which of these gave it more than it had, and what.
    pub opened: Vec<Widening>,
    /// The grants and documents in force.
    pub rights: Vec<RightsAt>,
    /// I7: what it could do when the window began, and each change of that.
    pub courses: Vec<Course>,
    /// I2: whether it is usable, and what stopped it.
    pub usable: Vec<Usable>,
    /// I15: who used it before, and breaks when it is revoked.
    pub clients: Vec<Client>,
    /// What it reached when the window began, or now.
    pub blast_radius: Vec<RadiusAt>,
    /// I18.
    pub ransom: Vec<RansomRow>,
    /// Worst first.
    pub findings: Vec<Finding>,
    pub timeline: Vec<FactRow>,
    /// How many rows the timeline would have.
    pub timeline_total: usize,
    pub unanswered: Vec<Unanswered>,
}

/// One org in which the id is a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Place {
    pub org: String,
    pub org_kind: &'static str,
    pub owner: String,
    pub label: String,
    pub status: &'static str,
    pub usable: bool,
    /// None: older than the evidence.
    pub created_at: Option<Stamp>,
    pub stopped_at: Option<Stamp>,
    pub created: Option<Attribution>,
    /// Each time a secret of it was given out.
    pub secrets_shown: Vec<Attribution>,
}

/// Whether it can be used, and if not, why not and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Usable {
    pub org: String,
    pub org_kind: &'static str,
    pub usable: bool,
    pub status: &'static str,
    pub stopped_at: Option<Stamp>,
    /// None: it is usable, or the time stopped it.
    pub stopped_by: Option<Attribution>,
    /// A node that stands at this seq or later turns it away.
    #[cfg_attr(feature = "server", schemars(with = "Option<u64>"))]
    pub seq: Option<Seq>,
    pub nodes: &'static str,
}

/// A program somewhere that used the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Client {
    pub user_agent: String,
    /// A /24 or /48.
    pub network: String,
    #[serde(flatten)]
    pub tally: Tally,
}

/// The blast radius at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct RadiusAt {
    pub at: Stamp,
    pub account_id: String,
    pub org_kind: &'static str,
    #[serde(flatten)]
    pub radius: BlastRadius,
}

/// How long it lay open (I4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Exposure {
    pub leaked_at: Option<Stamp>,
    pub first_use: Option<Stamp>,
    pub last_use: Option<Stamp>,
    pub last_successful_use: Option<Stamp>,
    pub stopped_at: Option<Stamp>,
    pub still_usable: bool,
    /// From the leak to the stop, or to now.
    pub usable_after_leak_seconds: Option<i64>,
    /// From the leak to the last use that succeeded.
    pub in_use_after_leak_seconds: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct HourRow {
    pub hour: Stamp,
    pub uses: u64,
}

/// What was tried in vain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct DenialRow {
    pub action: String,
    pub code: String,
    pub address: String,
    #[serde(flatten)]
    pub tally: Tally,
}

/// Use after it had stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct AfterStop {
    pub address: String,
    pub ended: Ended,
    /// The key's status as it was turned away, or how the call ended.
    pub code: String,
    #[serde(flatten)]
    pub tally: Tally,
}

/// A key or user that grew out of the leaked key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Node {
    /// `key`, `temporary-key`, `user`.
    pub kind: &'static str,
    pub name: String,
    pub org: String,
    pub org_kind: &'static str,
    /// The role or user a key acts as, or the owner.
    pub acts_as: Option<String>,
    /// How it came about; none of the key that is asked about.
    pub how: Option<Attribution>,
    pub status: &'static str,
    /// None: the log cannot say.
    pub alive: Option<bool>,
    pub uses: UseSummary,
    /// What it changed, and the calls worth a look.
    pub acts: Vec<Act>,
    pub children: Vec<Node>,
    /// The limits of depth or number stopped here.
    pub truncated: bool,
}

/// One thing a node did that may last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Act {
    /// `change`, `persistence`, `credentials`, `anti-forensics`, `impact`.
    pub kind: &'static str,
    /// Whether what it did still stands; none where the log cannot say.
    pub stands: Option<bool>,
    #[serde(flatten)]
    pub row: FactRow,
}

/// Something of the tree that still stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Alive {
    /// `key`, `temporary-key`, `user`, or `right` for what was attached or granted.
    pub kind: &'static str,
    pub what: String,
    /// From the leaked key down to its maker.
    pub path: Vec<String>,
    pub event: EventRef,
}

/// Another key that has something in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Sibling {
    pub access_key_id: String,
    pub org: String,
    pub org_kind: &'static str,
    pub owner: String,
    pub status: &'static str,
    pub usable: bool,
    /// `same owner`, `address 203.0.113.7`, …
    pub why: Vec<String>,
    pub events: Vec<EventRef>,
}

/// What its rights came from at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct RightsAt {
    pub at: Stamp,
    pub org: String,
    pub in_force: Vec<InForce>,
}

/// Data taken or destroyed from one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct RansomRow {
    pub address: String,
    pub deletes: u64,
    pub writes: u64,
    pub reads: u64,
    /// Calls that take away the means to restore.
    pub calls: Vec<String>,
    pub looks_like_ransom: bool,
    pub events: Vec<EventRef>,
}

/// A question this report cannot answer, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Unanswered {
    pub question: &'static str,
    pub why: &'static str,
}
