//! What the log says of each key that its record does not: who made it, when each secret was used, how it was rotated.
//!
//! One pass over the log fills one small trail a key; names are kept once however often they occur.
//!
//! Not here: judging it (`checks`, `rotations`).

use super::super::gather::each_fact;
use super::super::mention::{is_made, subjects};
use super::super::report::{ActorRow, EventRef};
use super::super::uses::{Ended, each_use};
use super::super::{AuditError, History, Mention, Plan};
use super::exercised::{Exercised, exercised};
use super::{BriefAttribution, RotationOptions};
use crate::audit::access::table::Kind;
use crate::model::{Dialect, Event, EventId, Holder, KeyUid, OrgUid, Seq, Time};
use crate::state::Fact;
use std::collections::{BTreeSet, HashMap, HashSet};

/// How many networks and agents of a key are told apart; more than any threshold.
const PLACES_MAX: usize = 32;

/// Who did something, once for all that they did from one place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Who {
    actor: ActorRow,
    dialect: Option<Dialect>,
    source_ip: Option<String>,
    user_agent: Option<String>,
    reason: Option<String>,
}

/// An event with who did it, small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Brief {
    pub event: EventId,
    pub at: Time,
    who: u32,
}

/// Use of one secret version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VersionUse {
    pub version: u32,
    pub last: Time,
    pub event: EventId,
}

/// Who used the old one after a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UsedBy {
    address: u32,
    agent: u32,
    pub uses: u64,
    pub last: Time,
}

/// One rotation as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Switch {
    pub at: Time,
    pub event: EventId,
    pub deadline: Time,
    /// By pair: the successor. In place: the version before.
    pub to: SwitchTo,
    /// Uses of the old one after the switch.
    pub used_after: u64,
    pub last_used_after: Option<Time>,
    /// The first [`PLACES_MAX`] that were seen.
    pub used_by: Vec<UsedBy>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SwitchTo {
    Key(KeyUid),
    Version { old: u32, new: u32 },
}

/// What is known of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Trail {
    pub created: Option<Brief>,
    pub last_changed: Option<Brief>,
    /// What set the current secret.
    pub secret: Option<EventId>,
    pub first_used: Option<(Time, EventId)>,
    pub last_used: Option<(Time, EventId)>,
    pub versions: Vec<VersionUse>,
    pub switches: Vec<Switch>,
    /// What made it unusable: suspend, revoke, retire.
    pub stops: Vec<(Time, EventId)>,
    pub deleted: Option<EventId>,
    /// What gave it rights of its own.
    pub rights: Vec<EventId>,
    networks: Vec<u32>,
    agents: Vec<u32>,
    /// Used by the account root.
    pub is_root: bool,
    /// What it used in the period of R8: kinds by bucket.
    exercised: BTreeSet<(u32, Kind)>,
    /// It managed something: users, keys, policies.
    pub managed: bool,
    /// Uses in that period, and those of them that were not told apart.
    pub uses: u64,
    pub uses_untold: u64,
}

impl Trail {
    pub fn networks(&self) -> usize {
        self.networks.len()
    }

    pub fn agents(&self) -> usize {
        self.agents.len()
    }
}

/// Every key's trail.
#[derive(Debug, Default)]
pub(super) struct Trails {
    keys: HashMap<KeyUid, Trail>,
    /// What gave users and groups rights.
    given: HashMap<Holder, Vec<EventId>>,
    whos: Interned<Who>,
    places: Interned<String>,
    /// Evidence orgs whose trail holds calls on objects.
    objects_told: HashSet<OrgUid>,
}

#[derive(Debug)]
struct Interned<T> {
    numbers: HashMap<T, u32>,
    values: Vec<T>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), values: Vec::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Interned<T> {
    fn number(&mut self, value: T) -> u32 {
        if let Some(number) = self.numbers.get(&value) {
            return *number;
        }
        let number = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }
}

impl Trails {
    pub fn of(&self, key: KeyUid) -> Option<&Trail> {
        self.keys.get(&key)
    }

    /// What gave a user or group its rights.
    pub fn given(&self, holder: Holder) -> impl Iterator<Item = EventId> {
        self.given.get(&holder).into_iter().flatten().copied()
    }

    /// What a key used in the period, kinds by bucket.
    pub fn exercised<'a>(&'a self, trail: &'a Trail) -> impl Iterator<Item = (&'a str, Kind)> {
        let told = |(place, kind): &(u32, Kind)| Some((self.places.values.get(*place as usize)?.as_str(), *kind));
        trail.exercised.iter().filter_map(told)
    }

    /// Address and user agent, as they came.
    pub fn who_used(&self, by: UsedBy) -> (&str, &str) {
        let place = |number: u32| self.places.values.get(number as usize).map_or("", String::as_str);
        (place(by.address), place(by.agent))
    }

    /// Whether calls on objects are in an evidence org's records at all; a trail of management calls has none.
    pub fn tells_of_objects(&self, org: OrgUid) -> bool {
        self.objects_told.contains(&org)
    }

    pub fn attribution(&self, brief: Brief) -> BriefAttribution {
        let who = self.whos.values.get(brief.who as usize);
        BriefAttribution {
            event: brief.event.into(),
            at: brief.at.into(),
            actor: who.map_or_else(
                || ActorRow { kind: "unknown", name: String::new(), access_key_id: None },
                |who| who.actor.clone(),
            ),
            dialect: who.and_then(|who| who.dialect).map(Dialect::as_str),
            source_ip: who.and_then(|who| who.source_ip.clone()),
            user_agent: who.and_then(|who| who.user_agent.clone()),
            reason: who.and_then(|who| who.reason.clone()),
        }
    }

    /// Reads the log once.
    pub fn read(history: &dyn History, options: &RotationOptions, now: Time) -> Result<Self, AuditError> {
        let mut trails = Self::default();
        let wanted = |fact: &Fact<'_>| options.as_of.shows(fact) && fact.org.is_none_or(|org| options.has_org(org));
        let mut plan = Plan::all();
        if let crate::model::When::Seq(Seq(seq)) = options.as_of.when {
            plan.range = 1..=seq;
        }
        each_fact(history, &plan, &wanted, &mut |fact, change, _| {
            trails.note_uses(fact, change == 0, options.used_in(now));
            trails.note_change(fact);
        })?;
        Ok(trails)
    }

    fn note_uses(&mut self, fact: &Fact<'_>, is_first: bool, (from, to): (Time, Time)) {
        let is_root = fact.record.is_some() && fact.actor.kind == "root";
        each_use(fact, is_first, &mut |key, used| {
            let trail = self.keys.entry(key).or_default();
            trail.is_root |= is_root;
            if used.ended == Ended::Rejected {
                return;
            }
            let EventRef(event) = used.event;
            if trail.first_used.is_none_or(|(at, _)| used.first < at) {
                trail.first_used = Some((used.first, event));
            }
            if trail.last_used.is_none_or(|(at, _)| used.last > at) {
                trail.last_used = Some((used.last, event));
            }
            for (places, text) in [
                (&mut trail.networks, super::super::address::network_of(used.address)),
                (&mut trail.agents, used.agent.to_owned()),
            ] {
                if !text.is_empty() && places.len() < PLACES_MAX {
                    let place = self.places.number(text);
                    if !places.contains(&place) {
                        places.push(place);
                    }
                }
            }
            if used.last >= from && used.first <= to && used.ended != Ended::Denied {
                trail.uses = trail.uses.saturating_add(used.count);
                match exercised(used.service, used.action) {
                    Exercised::Kinds(kinds) => {
                        let place = self.places.number(used.bucket.unwrap_or_default().to_owned());
                        trail.exercised.extend(kinds.iter().map(|kind| (place, *kind)));
                        if let Some(org) = fact.org.filter(|_| kinds.iter().any(|kind| kind.probe().1)) {
                            self.objects_told.insert(org);
                        }
                    }
                    Exercised::Management => trail.managed = true,
                    Exercised::Untold => trail.uses_untold = trail.uses_untold.saturating_add(used.count),
                    Exercised::Other => {}
                }
            }
            for switch in &mut trail.switches {
                let is_old = match switch.to {
                    SwitchTo::Key(_) => true,
                    SwitchTo::Version { old, .. } => used.secret_version == Some(old),
                };
                if is_old && used.last > switch.at {
                    switch.used_after = switch.used_after.saturating_add(used.count);
                    switch.last_used_after = switch.last_used_after.max(Some(used.last));
                    let address = self.places.number(used.address.to_owned());
                    let agent = self.places.number(used.agent.to_owned());
                    let is_full = switch.used_by.len() >= PLACES_MAX;
                    match switch.used_by.iter_mut().find(|by| (by.address, by.agent) == (address, agent)) {
                        Some(by) => {
                            by.uses = by.uses.saturating_add(used.count);
                            by.last = by.last.max(used.last);
                        }
                        None if is_full => {}
                        None => switch.used_by.push(UsedBy { address, agent, uses: used.count, last: used.last }),
                    }
                }
            }
            if let Some(version) = used.secret_version {
                match trail.versions.iter_mut().find(|known| known.version == version) {
                    Some(known) if known.last < used.last => {
                        (known.last, known.event) = (used.last, event);
                    }
                    Some(_) => {}
                    None => trail.versions.push(VersionUse { version, last: used.last, event }),
                }
            }
        });
    }

    fn note_change(&mut self, fact: &Fact<'_>) {
        if !is_made(fact) {
            return;
        }
        if matches!(
            fact.event,
            Event::UsageRolledUp { .. }
                | Event::AttemptsRolledUp { .. }
                | Event::EvidenceObserved(_)
                | Event::TokenOpened { .. }
                | Event::SessionOpened { .. }
                | Event::SignInRefused { .. }
        ) {
            return;
        }
        match fact.event {
            Event::PolicyAttached { holder, .. } | Event::InlinePolicyPut { holder, .. } => {
                self.given.entry(*holder).or_default().push(fact.id);
            }
            Event::UserRoleSet { user, .. } => self.given.entry(Holder::User(*user)).or_default().push(fact.id),
            _ => {}
        }
        let mut brief = None;
        subjects(fact.event, &mut |mention| {
            let Mention::Key(key) = mention else { return };
            let brief = *brief.get_or_insert_with(|| self.brief(fact));
            let trail = self.keys.entry(key).or_default();
            if trail.last_changed.is_none_or(|last| last.at <= brief.at) {
                trail.last_changed = Some(brief);
            }
            note_life(trail, key, fact, brief);
        });
    }

    fn brief(&mut self, fact: &Fact<'_>) -> Brief {
        let who = Who {
            actor: ActorRow::of(fact),
            dialect: fact.dialect,
            source_ip: fact.source_ip.map(str::to_owned),
            user_agent: fact.user_agent.map(str::to_owned),
            reason: fact.reason.map(str::to_owned),
        };
        Brief { event: fact.id, at: fact.effective_at, who: self.whos.number(who) }
    }
}

fn note_life(trail: &mut Trail, key: KeyUid, fact: &Fact<'_>, brief: Brief) {
    let (at, event) = (fact.effective_at, fact.id);
    let switch =
        |deadline, to| Switch { at, event, deadline, to, used_after: 0, last_used_after: None, used_by: Vec::new() };
    match fact.event {
        Event::KeyCreated(created) | Event::KeyImported(created) if is_made(fact) => {
            trail.created = Some(brief);
            trail.secret.get_or_insert(event);
            if !created.grants.is_empty() {
                trail.rights.push(event);
            }
        }
        Event::KeySuspended { .. } | Event::KeyRevoked { .. } => trail.stops.push((at, event)),
        Event::KeyDeleted { .. } => {
            trail.stops.push((at, event));
            trail.deleted = Some(event);
        }
        Event::KeyRotated { old, new, deadline } if *old == key => {
            trail.switches.push(switch(*deadline, SwitchTo::Key(*new)));
        }
        Event::KeySecretRotated { secret, old_version, old_deadline, .. } => {
            trail.secret = Some(event);
            let to = SwitchTo::Version { old: *old_version, new: secret.version };
            trail.switches.push(switch(*old_deadline, to));
        }
        Event::KeyGrantsSet { .. }
        | Event::KeyDefaultAllowSet { .. }
        | Event::PolicyAttached { .. }
        | Event::InlinePolicyPut { .. } => trail.rights.push(event),
        _ => {}
    }
}
