//! What grew out of a key: the keys, users and temporary credentials it made, and what those made in turn.
//!
//! Generation by generation: the acts of everything found so far are read in one pass, and what they made is the next generation. A key
//! belongs to whoever made it; the keys of a user that was made belong to that user, whoever made them.
//!
//! Not here: acts that change no rights and leave nothing behind; they are counted as uses.

use super::super::gather::{Kept, gather};
use super::super::known;
use super::super::mention::{Mention, actor_key, actor_user, is_made};
use super::super::names::{KeyPlace, Worlds};
use super::super::report::{Attribution, EventRef, FactRow, org_kind};
use super::super::rights::widens;
use super::super::uses::{Profile, UseSummary, each_use};
use super::super::{AuditError, History, Plan, Term};
use super::CompromiseOptions;
use super::report::{Act, Alive, Node};
use super::undone::{stands, undoing};
use crate::model::id::World;
use crate::model::{AccessKeyId, Event, KeyOwner, KeyUid, OrgKind, OrgUid, Time, UserUid};
use crate::state::Fact;
use std::collections::HashMap;

/// The longest that temporary credentials can live: 36 h, of GetSessionToken and GetFederationToken (STS API reference).
const TEMPORARY_NS_MAX: i64 = 36 * 3_600_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Key(KeyUid),
    User(UserUid),
}

struct Grown {
    who: Who,
    parent: Option<usize>,
    depth: usize,
    kind: &'static str,
    name: String,
    org: OrgUid,
    org_kind: OrgKind,
    acts_as: Option<String>,
    how: Option<Attribution>,
    /// Its acts count from here on.
    from: Option<Time>,
    status: &'static str,
    alive: Option<bool>,
    uses: Profile,
    acts: Vec<Told>,
    facts: Vec<Kept>,
    truncated: bool,
}

/// An act, and what it is besides what its row says.
struct Told {
    act: Act,
    /// It made a node, which tells of itself.
    makes_node: bool,
    widens: bool,
}

/// The tree, as a list; parents stand before their children.
pub(super) struct Tree {
    nodes: Vec<Grown>,
}

/// Something that a key left behind.
pub(super) struct Left {
    pub check: &'static str,
    pub what: String,
    pub alive: Option<bool>,
    pub event: EventRef,
}

struct Growing<'a> {
    worlds: &'a Worlds,
    options: &'a CompromiseOptions,
    now: Time,
    nodes: Vec<Grown>,
    known: HashMap<Who, usize>,
}

/// Follows what grew out of `roots`.
pub(super) fn grow(
    history: &dyn History,
    worlds: &Worlds,
    roots: &[KeyPlace],
    options: &CompromiseOptions,
    now: Time,
) -> Result<Tree, AuditError> {
    let mut growing = Growing { worlds, options, now, nodes: Vec::new(), known: HashMap::new() };
    for place in roots {
        growing.add_key(place.uid, place.world, place.record.id.as_str(), place.record.org, None, None);
    }
    for node in &mut growing.nodes {
        node.from = options.since;
    }
    let mut generation = 0..growing.nodes.len();
    while !generation.is_empty() {
        let end = generation.end;
        growing.follow(history, generation)?;
        generation = end..growing.nodes.len();
    }
    Ok(Tree { nodes: growing.nodes })
}

impl Growing<'_> {
    /// Reads the acts of some nodes and adds what they made.
    fn follow(&mut self, history: &dyn History, generation: std::ops::Range<usize>) -> Result<(), AuditError> {
        let mut terms: Vec<Term> = Vec::new();
        for node in &self.nodes[generation.clone()] {
            match node.who {
                Who::Key(uid) => terms.push(Mention::ActorKey(uid).term()),
                Who::User(uid) => {
                    terms.push(Mention::User(uid).term());
                    terms.push(Mention::Actor(&node.name).term());
                }
            }
        }
        let members: HashMap<Who, usize> = self
            .known
            .iter()
            .filter(|(_, index)| generation.contains(index))
            .map(|(who, index)| (*who, *index))
            .collect();
        let as_of = self.options.as_of;
        let facts =
            gather(history, &Plan::mentioning(terms), &|fact| as_of.shows(fact) && actor_of(fact, &members).is_some())?;
        let mut last_id = None;
        for kept in facts {
            let is_first = last_id != Some(kept.id());
            last_id = Some(kept.id());
            let found = kept.with(|fact| {
                let index = actor_of(fact, &members)?;
                if self.counts(index, fact) { self.act(index, fact, is_first).then_some(index) } else { None }
            });
            if let Some(Some(index)) = found {
                self.nodes[index].facts.push(kept);
            }
        }
        Ok(())
    }

    /// Whether an act lies in the time a node's acts count.
    fn counts(&self, index: usize, fact: &Fact<'_>) -> bool {
        let node = &self.nodes[index];
        let at = fact.effective_at;
        // Only the leaked key's own acts end with the window: what it made is never innocent.
        let ends = if node.parent.is_none() { self.options.until } else { None };
        node.from.is_none_or(|from| at >= from) && ends.is_none_or(|until| at < until)
    }

    /// Takes one act of a node; says whether it is one that is told.
    fn act(&mut self, index: usize, fact: &Fact<'_>, is_first: bool) -> bool {
        let profile = &mut self.nodes[index].uses;
        if fact.record.is_some() {
            each_use(fact, is_first, &mut |_, used| profile.add(&used));
        }
        let world = super::super::mention::world_of(fact);
        let org = fact.org.unwrap_or(self.nodes[index].org);
        match fact.event {
            Event::KeyCreated(made) | Event::KeyImported(made) if is_made(fact) => {
                let how = Attribution::of(fact);
                self.add_key(made.key, world, made.access_key_id.as_str(), org, Some(index), Some(how));
            }
            Event::UserCreated { user, name, .. } if is_made(fact) => {
                self.add_user(*user, name, org, index, Attribution::of(fact));
            }
            Event::EvidenceObserved(observed) => {
                if let Some(issued) = &observed.issued_key {
                    let how = Attribution::of(fact);
                    let uid = issued.uid(World::Evidence);
                    if let Some(child) =
                        self.add_key(uid, World::Evidence, issued.as_str(), org, Some(index), Some(how))
                    {
                        self.nodes[child].acts_as = observed.issued_for.as_ref().map(ToString::to_string);
                    }
                }
            }
            _ => {}
        }
        let call = fact.record.and_then(|record| known::what(&record.event_name));
        let failed = *fact.outcome() != crate::model::Outcome::Ok;
        let kind = match call {
            Some(_) if failed => return false,
            Some(notable) => notable.as_str(),
            None if fact.observed().is_some() || is_upkeep(fact.event) || !is_made(fact) => return false,
            None => "change",
        };
        let makes_node = match fact.event {
            Event::KeyCreated(_) | Event::KeyImported(_) | Event::UserCreated { .. } => true,
            Event::EvidenceObserved(observed) => observed.issued_key.is_some(),
            _ => false,
        };
        let widens = widens(fact.event) || matches!(fact.event, Event::PolicyCreated { .. });
        let act = Act { kind, stands: stands(self.worlds, fact, self.now), row: FactRow::of(fact, self.worlds) };
        self.nodes[index].acts.push(Told { act, makes_node, widens });
        true
    }

    fn add_key(
        &mut self,
        uid: KeyUid,
        world: World,
        id: &str,
        org: OrgUid,
        parent: Option<usize>,
        how: Option<Attribution>,
    ) -> Option<usize> {
        let record = self.worlds.key(uid).map(|place| place.record);
        let temporary = AccessKeyId::parse(id).is_ok_and(|id| id.is_temporary());
        let from = how.as_ref().map(|how| how.at.0);
        let (status, alive) = match &record {
            _ if temporary && from.is_some_and(|from| self.now.ns_since(from) > TEMPORARY_NS_MAX) => {
                ("Expired", Some(false))
            }
            _ if temporary => ("Temporary", None),
            Some(key) => {
                let status = self.worlds.status(key, self.now);
                (status.as_str(), Some(status.is_usable()))
            }
            None => ("Unknown", None),
        };
        self.add(Grown {
            who: Who::Key(uid),
            parent,
            depth: 0,
            kind: if temporary { "temporary-key" } else { "key" },
            name: id.to_owned(),
            org,
            org_kind: if world == World::Evidence { OrgKind::Evidence } else { OrgKind::Live },
            acts_as: record.as_ref().map(|key| self.worlds.owner_name(&key.owner)),
            how,
            from,
            status,
            alive,
            uses: Profile::default(),
            acts: Vec::new(),
            facts: Vec::new(),
            truncated: false,
        })
    }

    fn add_user(&mut self, uid: UserUid, name: &str, org: OrgUid, parent: usize, how: Attribution) {
        let gone = self.worlds.user(uid).is_none_or(|user| user.deleted_at.is_some());
        let from = how.at.0;
        self.add(Grown {
            who: Who::User(uid),
            parent: Some(parent),
            depth: 0,
            kind: "user",
            name: name.to_owned(),
            org,
            org_kind: self.worlds.kind_of(org),
            acts_as: None,
            how: Some(how),
            from: Some(from),
            status: if gone { "Deleted" } else { "Active" },
            alive: Some(!gone),
            uses: Profile::default(),
            acts: Vec::new(),
            facts: Vec::new(),
            truncated: false,
        });
    }

    fn add(&mut self, mut node: Grown) -> Option<usize> {
        if self.known.contains_key(&node.who) {
            return None;
        }
        node.depth = node.parent.map_or(0, |parent| self.nodes[parent].depth + 1);
        if node.depth > self.options.depth_max || self.nodes.len() >= self.options.nodes_max {
            if let Some(parent) = node.parent {
                self.nodes[parent].truncated = true;
            }
            return None;
        }
        let index = self.nodes.len();
        self.known.insert(node.who, index);
        self.nodes.push(node);
        Some(index)
    }
}

/// Which of the nodes did it: by its key; a user's node also what the user did without a key of its own in the tree, and the keys
/// that were made for it.
fn actor_of(fact: &Fact<'_>, nodes: &HashMap<Who, usize>) -> Option<usize> {
    if let Some(index) = actor_key(fact).and_then(|key| nodes.get(&Who::Key(key))) {
        return Some(*index);
    }
    if let Event::KeyCreated(made) | Event::KeyImported(made) = fact.event {
        if let Some(index) = made.made_by.and_then(|maker| nodes.get(&Who::Key(maker))) {
            return Some(*index);
        }
        if let KeyOwner::User(owner) = made.owner
            && let Some(index) = nodes.get(&Who::User(owner))
        {
            return Some(*index);
        }
    }
    // Long-lived keys of a user are nodes of their own; sessions of the console and the like are not.
    let by_own_key = fact.actor.key.is_some_and(|key| !key.is_temporary());
    actor_user(fact).filter(|_| !by_own_key).and_then(|user| nodes.get(&Who::User(user))).copied()
}

/// Events that give nobody anything.
fn is_upkeep(event: &Event) -> bool {
    matches!(
        event,
        Event::UsageRolledUp { .. }
            | Event::AttemptsRolledUp { .. }
            | Event::AuditDone { .. }
            | Event::TokenOpened { .. }
            | Event::TokenClosed { .. }
            | Event::SessionOpened { .. }
            | Event::SessionClosed { .. }
            | Event::EvidenceBatchImported { .. }
    )
}

impl Tree {
    /// Every key of the tree, the roots included.
    pub fn keys(&self) -> impl Iterator<Item = KeyUid> {
        self.nodes.iter().filter_map(|node| match node.who {
            Who::Key(uid) => Some(uid),
            Who::User(_) => None,
        })
    }

    /// What is told of the acts, in no order.
    pub fn facts(&self) -> impl Iterator<Item = &Kept> {
        self.nodes.iter().flat_map(|node| &node.facts)
    }

    /// Names of the nodes from the root down to this one.
    fn path(&self, index: usize) -> Vec<String> {
        let mut path = Vec::new();
        let mut next = Some(index);
        while let Some(index) = next {
            path.push(self.nodes[index].name.clone());
            next = self.nodes[index].parent;
        }
        path.reverse();
        path
    }

    /// What still stands of all that was made, granted and attached.
    pub fn alive(&self) -> Vec<Alive> {
        let mut alive = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            if let (Some(how), Some(parent), true) = (&node.how, node.parent, node.alive != Some(false)) {
                let acts_as = node.acts_as.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
                alive.push(Alive {
                    kind: node.kind,
                    what: format!("{}{acts_as} ({})", node.name, node.status),
                    path: self.path(parent),
                    event: how.event,
                });
            }
            for Told { act, .. } in node.acts.iter().filter(|told| told.act.stands == Some(true) && !told.makes_node) {
                let (kind, what, event) = ("right", act.row.summary.clone(), act.row.event);
                alive.push(Alive { kind, what, path: self.path(index), event });
            }
        }
        alive
    }

    /// What was left behind, for the findings: each once.
    pub fn left_behind(&self) -> Vec<Left> {
        let mut left = Vec::new();
        for node in &self.nodes {
            if let Some(how) = &node.how {
                let by = how.actor.access_key_id.clone().unwrap_or_else(|| how.actor.name.clone());
                left.push(Left {
                    check: match node.kind {
                        "user" => "made-user",
                        "temporary-key" => "made-temporary-key",
                        _ => "made-key",
                    },
                    what: format!("{} `{}` was made by {by} at {}", node.kind, node.name, how.at),
                    alive: node.alive,
                    event: how.event,
                });
            }
            for Told { act, widens, .. } in node.acts.iter().filter(|told| !told.makes_node) {
                let check = match act.kind {
                    "persistence" => "persistence-call",
                    "change" if *widens => "widened-rights",
                    _ => continue,
                };
                let what = format!("{} {}", node.name, act.row.summary);
                left.push(Left { check, what, alive: act.stands, event: act.row.event });
            }
        }
        left
    }

    /// Changes of the tree that were taken back within it: (done, undone, what).
    pub fn reverted(&self, worlds: &Worlds) -> Vec<(EventRef, EventRef, String)> {
        let mut facts: Vec<&Kept> = self.facts().collect();
        facts.sort_by_key(|kept| kept.order());
        let mut done: HashMap<String, EventRef> = HashMap::new();
        let mut reverted = Vec::new();
        for kept in facts {
            kept.with(|fact| match undoing(fact.event, worlds) {
                Some((key, false)) => drop(done.insert(key, fact.id.into())),
                Some((key, true)) => {
                    if let Some(before) = done.remove(&key) {
                        reverted.push((before, fact.id.into(), key));
                    }
                }
                None => {}
            });
        }
        reverted
    }

    /// The tree as nodes within nodes.
    pub fn nested(&self, worlds: &Worlds) -> Vec<Node> {
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        let mut roots = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            match node.parent {
                Some(parent) => children[parent].push(index),
                None => roots.push(index),
            }
        }
        roots.iter().map(|root| self.node(*root, &children, worlds)).collect()
    }

    /// Depth is bounded by [`CompromiseOptions::depth_max`].
    fn node(&self, index: usize, children: &[Vec<usize>], worlds: &Worlds) -> Node {
        let grown = &self.nodes[index];
        Node {
            kind: grown.kind,
            name: grown.name.clone(),
            org: worlds.account(grown.org),
            org_kind: org_kind(grown.org_kind),
            acts_as: grown.acts_as.clone(),
            how: grown.how.clone(),
            status: grown.status,
            alive: grown.alive,
            uses: UseSummary::from(&grown.uses),
            acts: grown.acts.iter().map(|told| told.act.clone()).collect(),
            children: children[index].iter().map(|child| self.node(*child, children, worlds)).collect(),
            truncated: grown.truncated,
        }
    }
}
