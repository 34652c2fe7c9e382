//! What is held against a key as it stands: age, idleness, breadth, a gone owner, a delete without a revoke.
//!
//! Not here: how keys were rotated (`rotations`).

use super::super::describe::count;
use super::super::names::Worlds;
use super::super::report::{EventRef, Finding, Severity, Stamp, org_kind};
use super::super::rights::{Breadth, BreadthCache};
use super::effect::Effects;
use super::trail::{Trail, Trails};
use super::{RotationOptions, exercised};
use crate::model::{EventId, Holder, KeyOwner, KeyUid, OrgKind, Time, UserUid};
use crate::state::{KeyRecord, KeyStatus, Marks};
use std::collections::BTreeMap;

const DAY_NS: i64 = 86_400_000_000_000;

pub(super) struct Checks<'a> {
    worlds: &'a Worlds,
    trails: &'a Trails,
    options: &'a RotationOptions,
    now: Time,
    breadth: BreadthCache<'a>,
    effects: Effects<'a>,
    exercised: Asked,
    /// Usable keys by user (R6).
    usable: BTreeMap<UserUid, Vec<UsableKey>>,
}

/// How far R8 was asked.
#[derive(Default)]
struct Asked {
    keys: usize,
    keys_left: usize,
    buckets_left: usize,
}

struct UsableKey {
    uid: KeyUid,
    id: String,
    org: crate::model::OrgUid,
    created_at: Option<Time>,
    /// A rotation's deadline ends it.
    is_ending: bool,
}

impl<'a> Checks<'a> {
    pub fn new(worlds: &'a Worlds, trails: &'a Trails, options: &'a RotationOptions, now: Time) -> Self {
        let (breadth, effects) = (BreadthCache::new(worlds), Effects::new(worlds));
        let (exercised, usable) = (Asked::default(), BTreeMap::new());
        Self { worlds, trails, options, now, breadth, effects, exercised, usable }
    }

    /// Checks one key.
    pub fn key(&mut self, uid: KeyUid, key: &KeyRecord, status: KeyStatus, findings: &mut Vec<Finding>) {
        let empty = Trail::default();
        let trail = self.trails.of(uid).unwrap_or(&empty);
        self.deleted(key, trail, findings);
        self.leavers(key, trail, status, findings);
        if !status.is_usable() {
            return;
        }
        self.age(key, trail, findings);
        self.idle(key, trail, findings);
        self.wide(key, trail, findings);
        self.exercised(key, trail, findings);
        if let KeyOwner::User(user) = key.owner {
            let is_ending = status == KeyStatus::Rotating && key.more().links.replaced_by.is_some();
            self.usable.entry(user).or_default().push(UsableKey {
                uid,
                id: key.id.to_string(),
                org: key.org,
                created_at: key.created_at(),
                is_ending,
            });
        }
    }

    /// R1.
    fn age(&self, key: &KeyRecord, trail: &Trail, findings: &mut Vec<Finding>) {
        let max = max_age_days(self.worlds, self.options, key);
        let (since, known) = match key.secret_set_at {
            // Nobody saw it made, so it is older than the evidence.
            Time::MIN => match self.worlds.span_of(key.org) {
                Some((first, _)) => (first, false),
                None => return,
            },
            at => (at, true),
        };
        let days = self.now.days_since(since);
        if days <= i64::from(max) {
            return;
        }
        let severity = if days > 2 * i64::from(max) { Severity::High } else { Severity::Medium };
        let detail = if known {
            format!("its secret is {days} days old; {max} are allowed")
        } else {
            format!("older than the evidence, so at least {days} days; {max} are allowed")
        };
        let event = trail.secret.or(trail.first_used.map(|(_, event)| event));
        findings.push(Finding {
            days: Some(days - i64::from(max)),
            since: Some(Stamp(Time(since.0.saturating_add(i64::from(max) * DAY_NS)))),
            ..self.finding("R1", "secret-too-old", severity, key, detail, event)
        });
    }

    /// R4 and R5.
    fn idle(&self, key: &KeyRecord, trail: &Trail, findings: &mut Vec<Finding>) {
        let unused = i64::from(self.options.unused_days);
        let last = key.more().last_used.as_ref().map(|used| used.at);
        let Some(last) = last else {
            let Some(created) = key.created_at() else { return };
            let days = self.now.days_since(created);
            if days >= unused {
                let detail = format!("never used in the {days} days since it was made");
                let event = trail.created.map(|brief| brief.event);
                findings.push(Finding {
                    days: Some(days),
                    since: Some(created.into()),
                    ..self.finding("R4", "never-used", Severity::Medium, key, detail, event)
                });
            }
            return;
        };
        let days = self.now.days_since(last);
        let event = trail.last_used.map(|(_, event)| event);
        if days >= unused {
            let severity = if days >= 2 * unused { Severity::High } else { Severity::Medium };
            let detail = format!("not used for {days} days");
            findings.push(Finding {
                days: Some(days),
                since: Some(last.into()),
                ..self.finding("R4", "unused", severity, key, detail, event)
            });
        }
        if key.secret_version > 1 && last < key.secret_set_at {
            let detail = format!("used until {last}, but not since its secret was rotated at {}", key.secret_set_at);
            findings.push(Finding {
                since: Some(key.secret_set_at.into()),
                ..self.finding("R5", "unused-since-rotation", Severity::Low, key, detail, trail.secret)
            });
        }
    }

    /// R7.
    fn wide(&mut self, key: &KeyRecord, trail: &Trail, findings: &mut Vec<Finding>) {
        let is_live = self.worlds.kind_of(key.org) == OrgKind::Live;
        if trail.is_root && !is_live {
            let detail = "an access key of the account root".to_owned();
            let event = trail.first_used.map(|(_, event)| event);
            findings.push(self.finding("R7", "root-key", Severity::High, key, detail, event));
        }
        self.breadth(key, trail, findings);
        let (networks, agents) = (trail.networks(), trail.agents());
        if networks > self.options.shared_networks || agents > self.options.shared_agents {
            let detail = format!(
                "used from {} by {}: probably shared by several programs",
                count(networks, "network"),
                count(agents, "user agent")
            );
            let event = trail.last_used.map(|(_, event)| event);
            findings.push(self.finding("R7", "shared-key", Severity::Medium, key, detail, event));
        }
        // CloudTrail knows neither labels nor expiries.
        if is_live {
            let event = trail.created.map(|brief| brief.event);
            if key.expires_at().is_none() {
                findings.push(self.finding("R7", "no-expiry", Severity::Info, key, "never expires".to_owned(), event));
            }
            if key.label.is_empty() {
                findings.push(self.finding("R7", "no-label", Severity::Info, key, "has no label".to_owned(), event));
            }
        }
    }

    /// What documents make wide, and what of that really is.
    fn breadth(&mut self, key: &KeyRecord, trail: &Trail, findings: &mut Vec<Finding>) {
        let breadth = self.breadth.of(key);
        if !breadth.admin && !breadth.wildcard_action && !breadth.all_buckets {
            return;
        }
        let taken = self.effects.taken_away(key, &breadth, self.now);
        let Breadth { admin, wildcard_action, all_buckets, sources } = breadth;
        let words = [(admin, "Admin"), (wildcard_action, "wildcard actions"), (all_buckets, "all buckets")];
        let words: Vec<&str> = words.into_iter().filter(|(on, _)| *on).map(|(_, word)| word).collect();
        let severity = if taken.is_some() {
            Severity::Info
        } else if admin || (wildcard_action && all_buckets) {
            Severity::Medium
        } else {
            Severity::Low
        };
        let taken = taken.map_or_else(String::new, |why| format!("; taken away everywhere: {why}"));
        let detail = format!("{}, by {}{taken}", words.join(", "), sources.join("; "));
        let mut finding = self.finding("R7", "wide-rights", severity, key, detail, None);
        finding.events = self.gave(key, trail).into_iter().map(EventRef).collect();
        findings.push(finding);
    }

    /// R8.
    fn exercised(&mut self, key: &KeyRecord, trail: &Trail, findings: &mut Vec<Finding>) {
        // Without any use it is idle, which R4 tells.
        if trail.uses == 0 || !self.options.asks("R8") {
            return;
        }
        if self.exercised.keys == exercised::KEYS_MAX {
            self.exercised.keys_left += 1;
            return;
        }
        self.exercised.keys += 1;
        let (detail, buckets_left) = exercised::unexercised(self.worlds, self.trails, key, trail, self.now);
        self.exercised.buckets_left += buckets_left;
        if let Some(detail) = detail {
            let (from, to) = self.options.used_in(self.now);
            let detail = format!("not used in {} days and could go: {detail}", to.days_since(from));
            let event = trail.last_used.map(|(_, event)| event);
            let mut finding = self.finding("R8", "unused-rights", Severity::Low, key, detail, event);
            let gave: Vec<EventRef> = self.gave(key, trail).into_iter().map(EventRef).collect();
            if !gave.is_empty() {
                finding.events = gave;
            }
            finding.since = Some(from.into());
            findings.push(finding);
        }
    }

    /// What R8 left out.
    pub fn cut(&self, findings: &mut Vec<Finding>) {
        let cut = &self.exercised;
        if cut.keys_left == 0 && cut.buckets_left == 0 {
            return;
        }
        findings.push(Finding {
            question: "R8",
            check: "not-all-asked",
            severity: Severity::Info,
            org: None,
            org_kind: None,
            access_key_id: None,
            owner: None,
            days: None,
            since: None,
            detail: format!(
                "unused rights: {} were asked about, {} not; of those that were, {} not",
                count(cut.keys, "key"),
                cut.keys_left,
                count(cut.buckets_left, "bucket")
            ),
            events: Vec::new(),
        });
    }

    /// What gave a key its rights: its own, or its owner's and that one's groups'.
    fn gave(&self, key: &KeyRecord, trail: &Trail) -> Vec<EventId> {
        let mut events = trail.rights.clone();
        if let KeyOwner::User(owner) = key.owner
            && let Some(user) = self.worlds.state_of(key.org).user(owner)
            && !key.is_scoped()
        {
            events.extend(self.trails.given(Holder::User(owner)));
            events.extend(user.groups.iter().flat_map(|group| self.trails.given(Holder::Group(*group))));
        }
        events
    }

    /// R12.
    fn leavers(&self, key: &KeyRecord, trail: &Trail, status: KeyStatus, findings: &mut Vec<Finding>) {
        if let KeyOwner::User(user) = key.owner
            && status.is_usable()
            && let Some(deleted_at) = self.worlds.user(user).and_then(|user| user.deleted_at)
        {
            let detail = format!("its owner was deleted at {deleted_at}");
            let event = trail.last_changed.map(|brief| brief.event);
            findings.push(Finding {
                since: Some(deleted_at.into()),
                ..self.finding("R12", "owner-deleted", Severity::High, key, detail, event)
            });
        }
        if status == KeyStatus::OrgSuspended && key.status(self.now, false).is_usable() {
            let detail = "usable again as soon as its suspended org is resumed".to_owned();
            let event = trail.last_changed.map(|brief| brief.event);
            findings.push(self.finding("R12", "org-suspended", Severity::Info, key, detail, event));
        }
    }

    /// R13.
    fn deleted(&self, key: &KeyRecord, trail: &Trail, findings: &mut Vec<Finding>) {
        let Some(at) = key.deleted_at().filter(|at| self.options.in_period(*at)) else { return };
        let skipped = if self.worlds.kind_of(key.org) == OrgKind::Evidence {
            // IAM has no revoke; deactivating first is the same care.
            !key.marks.has(Marks::SUSPENDED)
        } else {
            key.marks.has(Marks::DELETED_UNREVOKED)
        };
        if skipped {
            let detail = format!("deleted at {at} while it was usable: nobody waited to see who still used it");
            findings.push(Finding {
                since: Some(at.into()),
                ..self.finding("R13", "deleted-without-revoke", Severity::Low, key, detail, trail.deleted)
            });
        }
    }

    /// R6, when every key was seen.
    pub fn owners(&self, findings: &mut Vec<Finding>) {
        for (user, keys) in &self.usable {
            let mut staying: Vec<&UsableKey> = keys.iter().filter(|key| !key.is_ending).collect();
            staying.sort_by(|a, b| a.id.cmp(&b.id));
            if staying.len() < 2 {
                continue;
            }
            let newest = staying.iter().filter_map(|key| key.created_at).max();
            let days = newest.map(|newest| self.now.days_since(newest));
            let may_be_rotation = days.is_some_and(|days| days <= i64::from(self.options.overlap_days));
            let ids: Vec<&str> = staying.iter().map(|key| key.id.as_str()).collect();
            let detail = if may_be_rotation {
                format!(
                    "{} usable keys at once: {}; the newest is young, perhaps a rotation",
                    ids.len(),
                    ids.join(", ")
                )
            } else {
                format!("{} usable keys at once: {}", ids.len(), ids.join(", "))
            };
            let event = |key: &&UsableKey| self.trails.of(key.uid)?.created.map(|brief| EventRef(brief.event));
            let first = staying[0];
            findings.push(Finding {
                question: "R6",
                check: "several-usable-keys",
                severity: if may_be_rotation { Severity::Info } else { Severity::Medium },
                org: Some(self.worlds.account(first.org)),
                org_kind: Some(org_kind(self.worlds.kind_of(first.org))),
                access_key_id: None,
                owner: Some(self.worlds.user_name(*user)),
                days,
                since: newest.map(Stamp),
                detail,
                events: staying.iter().filter_map(event).collect(),
            });
        }
    }

    fn finding(
        &self,
        question: &'static str,
        check: &'static str,
        severity: Severity,
        key: &KeyRecord,
        detail: String,
        event: Option<EventId>,
    ) -> Finding {
        finding(self.worlds, question, check, severity, key, detail, event)
    }
}

/// A finding about one key.
pub(super) fn finding(
    worlds: &Worlds,
    question: &'static str,
    check: &'static str,
    severity: Severity,
    key: &KeyRecord,
    detail: String,
    event: Option<EventId>,
) -> Finding {
    Finding {
        question,
        check,
        severity,
        org: Some(worlds.account(key.org)),
        org_kind: Some(org_kind(worlds.kind_of(key.org))),
        access_key_id: Some(key.id.to_string()),
        owner: Some(worlds.owner_name(&key.owner)),
        days: None,
        since: None,
        detail,
        events: event.into_iter().map(EventRef).collect(),
    }
}

/// Days a secret of this key may be old.
pub(super) fn max_age_days(worlds: &Worlds, options: &RotationOptions, key: &KeyRecord) -> u32 {
    let of_org = || worlds.state_of(key.org).org(key.org)?.settings.rotation_days_max;
    options.max_age_days.or_else(of_org).unwrap_or(90)
}
