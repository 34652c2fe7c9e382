//! `audit rotation`: which keys are old, idle, too wide, orphaned or badly rotated, as of any day.
//!
//! Live orgs and evidence orgs are checked alike. What evidence cannot say (a creation before it begins, an expiry, a label) is
//! not held against a key. Temporary keys (`ASIA…`) end by themselves and are left out.
//!
//! Sources of the defaults: 90 days CIS AWS 2.12 (v7.0.0) and AWS Config `access-keys-rotated`; 45 days CIS 1.12; one active key a user
//! CIS 1.13; no root keys CIS 1.4.
//!
//! Not here: what a key did (`compromise`).

mod checks;
mod effect;
mod exercised;
mod rotations;
mod trail;

pub use rotations::{RotationRow, StillUsing};

use super::access::widened::{Period, Widening, widened};
use super::at::AsOf;
use super::listing::{ListingOptions, digest, listing};
use super::names::Worlds;
use super::query::Query;
use super::report::{ActorRow, EventRef, FactRow, Finding, Stamp, org_kind};
use super::{AuditError, History};
use crate::model::{EventKind, OrgUid, Seq, Time, When};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use trail::Trails;

/// The questions that are answered here.
pub const QUESTIONS: [&str; 14] =
    ["R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R10", "R11", "R12", "R13", "R14"];

/// What counts as a grant or a revoke, for the population of a period (R10).
pub const GRANTS_AND_REVOKES: [EventKind; 27] = [
    EventKind::OrgSuspended,
    EventKind::OrgResumed,
    EventKind::UserCreated,
    EventKind::UserRoleSet,
    EventKind::UserBoundarySet,
    EventKind::UserDeleted,
    EventKind::GroupMemberAdded,
    EventKind::GroupMemberRemoved,
    EventKind::KeyCreated,
    EventKind::KeyImported,
    EventKind::KeyGrantsSet,
    EventKind::KeyDefaultAllowSet,
    EventKind::KeyExpirySet,
    EventKind::KeySuspended,
    EventKind::KeyResumed,
    EventKind::KeyRevoked,
    EventKind::KeyDeleted,
    EventKind::KeyRotated,
    EventKind::KeyFlagged,
    EventKind::KeyCleared,
    EventKind::PolicyVersionCreated,
    EventKind::PolicyDefaultSet,
    EventKind::PolicyAttached,
    EventKind::PolicyDetached,
    EventKind::PolicyDetachedFromAll,
    EventKind::InlinePolicyPut,
    EventKind::InlinePolicyDeleted,
];

/// Thresholds and scope.
#[derive(Debug, Clone)]
pub struct RotationOptions {
    /// The day that is asked about; ages and statuses are told at it.
    pub as_of: AsOf,
    /// Days after which a secret is old. `None`: the org's own setting, else 90.
    pub max_age_days: Option<u32>,
    /// Days without use after which a key is idle.
    pub unused_days: u32,
    /// Days two keys of one user may both be usable before that is no rotation any more.
    pub overlap_days: u32,
    /// A key used from more networks, or by more user agents, is shared by several programs.
    pub shared_networks: usize,
    pub shared_agents: usize,
    /// The period of R2, R3, R8, R10, R11 and R13; `None` on a side: no bound, for R8 90 days before the day. R10 and R11 are
    /// listed only when `since` is given.
    pub since: Option<Time>,
    pub until: Option<Time>,
    /// Only these orgs.
    pub orgs: Option<BTreeSet<OrgUid>>,
    /// Only these questions; empty: all.
    pub questions: BTreeSet<String>,
    /// Who made and last changed each usable key (R9): a row a key.
    pub attribution: bool,
}

impl RotationOptions {
    #[must_use]
    pub fn at(as_of: AsOf) -> Self {
        Self {
            as_of,
            max_age_days: None,
            unused_days: 45,
            overlap_days: 30,
            shared_networks: 5,
            shared_agents: 5,
            since: None,
            until: None,
            orgs: None,
            questions: BTreeSet::new(),
            attribution: true,
        }
    }

    fn asks(&self, question: &str) -> bool {
        self.questions.is_empty() || self.questions.contains(question)
    }

    fn in_period(&self, at: Time) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }

    /// In which time rights count as exercised (R8).
    fn used_in(&self, now: Time) -> (Time, Time) {
        let until = self.until.map_or(now, |until| until.plus_ns(-1).min(now));
        (self.since.unwrap_or_else(|| until.plus_ns(-exercised::DAYS * 86_400_000_000_000)), until)
    }

    fn has_org(&self, org: OrgUid) -> bool {
        self.orgs.as_ref().is_none_or(|orgs| orgs.contains(&org))
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct RotationReport {
    pub questions: Vec<&'static str>,
    /// The moment ages and statuses are told at.
    pub as_of: Stamp,
    /// The last commit that was looked at.
    #[cfg_attr(feature = "server", schemars(with = "u64"))]
    pub seq: Seq,
    pub keys: KeyCounts,
    /// Findings by check.
    pub counts: BTreeMap<&'static str, usize>,
    /// Worst first.
    pub findings: Vec<Finding>,
    /// R3.
    pub rotations: Vec<RotationRow>,
    /// R9.
    pub attribution: Vec<KeyAttribution>,
    /// R10.
    pub population: Option<Population>,
    /// R11: what widened rights in the period, with what could be done before and after.
    pub widened: Option<Vec<Widening>>,
    /// R14.
    pub snapshot: SnapshotDigest,
}

/// How many keys there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct KeyCounts {
    pub total: usize,
    pub usable: usize,
    pub deleted: usize,
    /// Left out: they end by themselves.
    pub temporary: usize,
}

/// Who made a key and who changed it last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct KeyAttribution {
    pub access_key_id: String,
    pub org: String,
    pub org_kind: &'static str,
    pub owner: String,
    pub status: &'static str,
    pub created: Option<BriefAttribution>,
    pub last_changed: Option<BriefAttribution>,
}

/// Who, when, whence, why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct BriefAttribution {
    pub event: EventRef,
    pub at: Stamp,
    pub actor: ActorRow,
    pub dialect: Option<&'static str>,
    pub source_ip: Option<String>,
    pub user_agent: Option<String>,
    pub reason: Option<String>,
}

/// Every grant and revoke of a period, in the order of recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Population {
    pub since: Option<Stamp>,
    pub until: Option<Stamp>,
    pub events: u64,
    /// The commits they lie between, with their frame hashes: what a proof of completeness starts from.
    pub first: Option<FrameRef>,
    pub last: Option<FrameRef>,
    pub rows: Vec<FactRow>,
}

/// A commit and the hash that binds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct FrameRef {
    #[cfg_attr(feature = "server", schemars(with = "u64"))]
    pub seq: Seq,
    pub frame_hash: String,
}

/// What names the state of the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct SnapshotDigest {
    /// BLAKE3 over the listing of every noun, without statuses.
    pub digest: String,
    pub rows: usize,
}

/// Audits the keys of `worlds`, which are those of `options.as_of`.
///
/// # Errors
/// Whatever keeps the log from being read.
pub fn rotation(
    history: &dyn History,
    worlds: &Worlds,
    options: &RotationOptions,
) -> Result<RotationReport, AuditError> {
    let now = options.as_of.now(worlds);
    let trails = Trails::read(history, options, now)?;
    let mut keys = KeyCounts::default();
    let mut findings = Vec::new();
    let mut attribution = Vec::new();
    let mut checks = checks::Checks::new(worlds, &trails, options, now);
    worlds.for_each_key(|_, uid, key| {
        if !options.has_org(key.org) {
            return;
        }
        keys.total += 1;
        if key.id.is_temporary() {
            keys.temporary += 1;
            return;
        }
        let status = worlds.status(key, now);
        keys.usable += usize::from(status.is_usable());
        keys.deleted += usize::from(key.is_deleted());
        checks.key(uid, key, status, &mut findings);
        if options.attribution && options.asks("R9") && status.is_usable() {
            let trail = trails.of(uid);
            attribution.push(KeyAttribution {
                access_key_id: key.id.to_string(),
                org: worlds.account(key.org),
                org_kind: org_kind(worlds.kind_of(key.org)),
                owner: worlds.owner_name(&key.owner),
                status: status.as_str(),
                created: trail.and_then(|trail| trail.created).map(|brief| trails.attribution(brief)),
                last_changed: trail.and_then(|trail| trail.last_changed).map(|brief| trails.attribution(brief)),
            });
        }
    });
    checks.owners(&mut findings);
    checks.cut(&mut findings);
    let rotations = rotations::rotations(worlds, &trails, options, now, &mut findings);
    findings.retain(|finding| options.asks(finding.question));
    findings.sort_by(|a, b| {
        let by_rank = (b.severity, a.question, b.days).cmp(&(a.severity, b.question, a.days));
        by_rank.then_with(|| (&a.access_key_id, a.check, &a.detail).cmp(&(&b.access_key_id, b.check, &b.detail)))
    });
    attribution.sort_by(|a, b| (&a.org, &a.access_key_id).cmp(&(&b.org, &b.access_key_id)));
    let mut counts = BTreeMap::new();
    for finding in &findings {
        *counts.entry(finding.check).or_default() += 1;
    }
    let population = match options.since {
        Some(_) if options.asks("R10") => Some(population(history, worlds, options)?),
        _ => None,
    };
    let widened = match options.since {
        Some(since) if options.asks("R11") => {
            let (from, to) = (since.plus_ns(-1), options.used_in(now).1);
            let orgs = options.orgs.as_ref();
            Some(widened(history, worlds, &Period { since: from, to, as_of: options.as_of, key: None, orgs })?)
        }
        _ => None,
    };
    let rows =
        listing(worlds, now, &ListingOptions { orgs: options.orgs.clone(), deleted: true, ..Default::default() });
    let questions = QUESTIONS.into_iter().filter(|question| options.asks(question)).collect();
    Ok(RotationReport {
        questions,
        as_of: now.into(),
        seq: match options.as_of.when {
            When::Seq(seq) => seq,
            When::At(_) => history.last_seq(),
        },
        keys,
        counts,
        findings,
        rotations: if options.asks("R3") { rotations } else { Vec::new() },
        attribution,
        population,
        widened,
        snapshot: SnapshotDigest { digest: hex(&digest(&rows)), rows: rows.len() },
    })
}

fn population(history: &dyn History, worlds: &Worlds, options: &RotationOptions) -> Result<Population, AuditError> {
    let query = Query {
        kinds: GRANTS_AND_REVOKES.to_vec(),
        since: options.since,
        until: options.until,
        known_at: options.as_of.known_at,
        orgs: options.orgs.clone(),
        ..Query::default()
    };
    let mut rows = Vec::new();
    let (mut first, mut last) = (None, None);
    history.select(&query.plan(), &|commit| query.matches_any(commit), &mut |commit| {
        let before = rows.len();
        let shown = commit.facts().filter(|fact| query.matches(fact) && options.as_of.shows(fact));
        rows.extend(shown.map(|fact| FactRow::of(&fact, worlds)));
        if rows.len() > before {
            let frame = FrameRef { seq: commit.seq, frame_hash: hex(&commit.frame_hash) };
            first.get_or_insert_with(|| frame.clone());
            last = Some(frame);
        }
        ControlFlow::Continue(())
    })?;
    Ok(Population {
        since: options.since.map(Stamp),
        until: options.until.map(Stamp),
        events: rows.len() as u64,
        first,
        last,
        rows,
    })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
