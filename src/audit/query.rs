//! Which facts are meant: filters as a person gives them, and as they are compared.
//!
//! Every filter that is given must hold. A name is resolved first, through the present and every earlier name, so that `--user
//! alice` finds what alice did under the name she had then.
//!
//! Not here: finding the commits (`source`), rows (`log`).

use super::address::AddressFilter;
use super::known;
use super::mention::{Mention, actor_key, is_made, mentions, subjects, world_of};
use super::names::Worlds;
use super::{AuditError, Glance, History, Plan, Term};
use crate::model::id::World;
use crate::model::{
    AccessKeyId, Dialect, Event, EventKind, Invalid, KeyUid, OrgUid, PolicyUid, Time, UserUid, When, uids,
};
use crate::state::{Fact, Recorded};
use std::collections::BTreeSet;

/// How a fact must hang together with the key asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyPart {
    /// It is about the key, or the key caused it.
    #[default]
    Either,
    About,
    Caused,
}

/// A question as it is asked: names and texts.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// An access key id.
    pub key: Option<String>,
    pub key_part: KeyPart,
    /// A user's name, present or earlier: about it or by it.
    pub user: Option<String>,
    /// A policy's name.
    pub policy: Option<String>,
    pub bucket: Option<String>,
    /// A user's name, an operator's `user@host`, or an access key id: whoever caused it.
    pub actor: Option<String>,
    /// An IP address or a network (`203.0.113.0/24`).
    pub address: Option<String>,
    /// `key-created`, …: any of these.
    pub kinds: Vec<String>,
    /// Of evidence: the API call, `CreateAccessKey`.
    pub call: Option<String>,
    pub dialect: Option<String>,
    /// An account id, an org's name or alias.
    pub org: Option<String>,
    pub since: Option<When>,
    /// Exclusive.
    pub until: Option<When>,
    /// Hides what was recorded later.
    pub known_at: Option<Time>,
    /// At most so many rows.
    pub limit: Option<usize>,
    /// Newest first.
    pub reverse: bool,
}

/// A question as facts are compared with it.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The uid of the id in each world.
    pub key: Option<(KeyUid, KeyUid)>,
    pub key_id: Option<String>,
    pub key_part: KeyPart,
    pub user: Option<UserNames>,
    pub policies: Option<BTreeSet<PolicyUid>>,
    pub bucket: Option<String>,
    pub actor: Option<ActorFilter>,
    pub address: Option<AddressFilter>,
    pub kinds: Vec<EventKind>,
    pub call: Option<String>,
    pub dialect: Option<Dialect>,
    pub orgs: Option<BTreeSet<OrgUid>>,
    pub since: Option<Time>,
    pub until: Option<Time>,
    pub known_at: Option<Time>,
    pub from_seq: Option<u64>,
    pub to_seq: Option<u64>,
    pub limit: Option<usize>,
    pub reverse: bool,
}

/// A user under every name it had.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserNames {
    pub uids: BTreeSet<UserUid>,
    pub names: BTreeSet<String>,
}

/// Who caused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActorFilter {
    Names(BTreeSet<String>),
    Key(KeyUid, KeyUid, String),
}

impl Query {
    /// Resolves the names in `asked` through the worlds of now and the renames in the history.
    ///
    /// # Errors
    /// [`AuditError::Unknown`] for a user, policy or org that never was here; [`AuditError::Invalid`] for a kind, dialect,
    /// bucket or address that cannot be one. An access key id is never unknown: whether it was ever here is an answer.
    pub fn of(asked: &Asked, history: &dyn History, worlds: &Worlds) -> Result<Self, AuditError> {
        let mut query = Query {
            key_part: asked.key_part,
            call: asked.call.clone(),
            known_at: asked.known_at,
            limit: asked.limit,
            reverse: asked.reverse,
            ..Query::default()
        };
        if let Some(id) = &asked.key {
            AccessKeyId::parse(id)?;
            query.key = Some(both_uids(id));
            query.key_id = Some(id.clone());
        }
        if let Some(name) = &asked.user {
            query.user = Some(users_named(history, worlds, name)?);
        }
        if let Some(name) = &asked.policy {
            query.policies = Some(policies_named(history, worlds, name)?);
        }
        if let Some(name) = &asked.bucket {
            query.bucket = Some(crate::model::BucketName::parse(name)?.0.to_string());
        }
        if let Some(name) = &asked.actor {
            query.actor = Some(actor_named(history, worlds, name)?);
        }
        if let Some(text) = &asked.address {
            query.address = Some(AddressFilter::parse(text)?);
        }
        for name in &asked.kinds {
            let kind = EventKind::ALL.iter().find(|kind| kind.as_str() == name);
            let unknown =
                || Invalid::new("event kind", name, "a kind such as key-created, key-revoked, policy-attached");
            query.kinds.push(*kind.ok_or_else(unknown)?);
        }
        if let Some(name) = &asked.dialect {
            let dialect = Dialect::ALL.iter().find(|dialect| dialect.as_str() == name);
            let unknown = || Invalid::new("dialect", name, "cli, native, console, aws-iam, lightsail, partner, …");
            query.dialect = Some(*dialect.ok_or_else(unknown)?);
        }
        if let Some(name) = &asked.org {
            query.orgs = Some(worlds.orgs_named(name)?.into_iter().collect());
        }
        query.between(asked.since, asked.until);
        Ok(query)
    }

    /// Only facts from `since` on and before `until`.
    pub fn between(&mut self, since: Option<When>, until: Option<When>) {
        match since {
            Some(When::At(time)) => self.since = Some(time),
            Some(When::Seq(seq)) => self.from_seq = Some(seq.0),
            None => {}
        }
        match until {
            Some(When::At(time)) => self.until = Some(time),
            Some(When::Seq(seq)) => self.to_seq = Some(seq.0.saturating_sub(1)),
            None => {}
        }
    }

    /// Whether a fact is meant.
    pub fn matches(&self, fact: &Fact<'_>) -> bool {
        // What a record merely mentions did not happen in it.
        if !self.in_time(fact) || !is_made(fact) {
            return false;
        }
        if self.orgs.as_ref().is_some_and(|orgs| !fact.org.is_some_and(|org| orgs.contains(&org)))
            || self.dialect.is_some_and(|dialect| fact.dialect != Some(dialect))
            || !self.kind_fits(fact)
        {
            return false;
        }
        if let Some(call) = &self.call
            && !fact.record.is_some_and(|record| record.event_name.eq_ignore_ascii_case(call))
        {
            return false;
        }
        if let Some(actor) = &self.actor
            && !actor.fits(fact)
        {
            return false;
        }
        if self.key.is_none()
            && self.user.is_none()
            && self.policies.is_none()
            && self.bucket.is_none()
            && self.address.is_none()
        {
            return true;
        }
        let mut found = Found::default();
        mentions(fact, &mut |mention| self.note(mention, &mut found));
        (self.key.is_none() || found.key)
            && (self.user.is_none() || found.user)
            && (self.policies.is_none() || found.policy)
            && (self.bucket.is_none() || found.bucket)
            && (self.address.is_none() || found.address)
    }

    /// Whether any fact of a commit is meant.
    pub fn matches_any(&self, commit: &Recorded) -> bool {
        commit.facts().any(|fact| self.matches(&fact))
    }

    fn in_time(&self, fact: &Fact<'_>) -> bool {
        let seq = fact.id.seq.0;
        self.since.is_none_or(|since| fact.effective_at >= since)
            && self.until.is_none_or(|until| fact.effective_at < until)
            && self.known_at.is_none_or(|known_at| fact.recorded_at <= known_at)
            && self.from_seq.is_none_or(|from| seq >= from)
            && self.to_seq.is_none_or(|to| seq <= to)
    }

    fn kind_fits(&self, fact: &Fact<'_>) -> bool {
        let kind = fact.event.kind();
        self.kinds.is_empty()
            || self.kinds.contains(&kind)
            || (fact.record.is_some()
                && kind != EventKind::EvidenceObserved
                && self.kinds.contains(&EventKind::EvidenceChanged))
    }

    fn note(&self, mention: Mention<'_>, found: &mut Found) {
        match mention {
            Mention::Key(uid) => found.key |= self.key_part != KeyPart::Caused && self.is_key(uid),
            Mention::ActorKey(uid) => found.key |= self.key_part != KeyPart::About && self.is_key(uid),
            Mention::User(uid) => found.user |= self.user.as_ref().is_some_and(|user| user.uids.contains(&uid)),
            Mention::Actor(name) => found.user |= self.user.as_ref().is_some_and(|user| user.names.contains(name)),
            Mention::Policy(uid) => {
                found.policy |= self.policies.as_ref().is_some_and(|policies| policies.contains(&uid));
            }
            Mention::Bucket(name) => found.bucket |= self.bucket.as_deref() == Some(name),
            Mention::Address(text) => found.address |= self.address.as_ref().is_some_and(|a| a.contains(text)),
            Mention::Group(_) | Mention::Kind(_) | Mention::Org(_) | Mention::Call(_) => {}
        }
    }

    fn is_key(&self, uid: KeyUid) -> bool {
        self.key.is_some_and(|(live, evidence)| uid == live || uid == evidence)
    }

    /// What may be skipped.
    pub fn plan(&self) -> Plan {
        let mut plan = Plan::range(self.from_seq.unwrap_or(1)..=self.to_seq.unwrap_or(u64::MAX));
        plan.reverse = self.reverse;
        (plan.since, plan.until, plan.known_at) = (self.since, self.until, self.known_at);
        plan.glance = Glance {
            dialect: self.dialect,
            orgs: self.orgs.clone(),
            kinds: self.kinds.clone(),
            address: self.address.clone(),
        };
        let mut either = |terms: Vec<Term>, needles: Option<Vec<Vec<u8>>>| {
            plan.terms.push(terms);
            plan.needles.extend(needles);
        };
        if let Some((live, evidence)) = self.key {
            let mut terms = Vec::new();
            if self.key_part != KeyPart::Caused {
                terms.extend([Mention::Key(live).term(), Mention::Key(evidence).term()]);
            }
            if self.key_part != KeyPart::About {
                terms.extend([Mention::ActorKey(live).term(), Mention::ActorKey(evidence).term()]);
            }
            let mut needles = vec![live.0.to_vec(), evidence.0.to_vec()];
            needles.extend(self.key_id.iter().map(|text| text.as_bytes().to_vec()));
            either(terms, Some(needles));
        }
        if let Some(user) = &self.user {
            let terms = user.uids.iter().map(|uid| Mention::User(*uid).term());
            let terms = terms.chain(user.names.iter().map(|name| Mention::Actor(name).term())).collect();
            let needles = user.uids.iter().map(|uid| uid.0.to_vec());
            let needles = needles.chain(user.names.iter().map(|name| name.as_bytes().to_vec())).collect();
            either(terms, Some(needles));
        }
        if let Some(policies) = &self.policies {
            let terms = policies.iter().map(|uid| Mention::Policy(*uid).term()).collect();
            either(terms, Some(policies.iter().map(|uid| uid.0.to_vec()).collect()));
        }
        if let Some(bucket) = &self.bucket {
            either(vec![Mention::Bucket(bucket).term()], Some(vec![bucket.as_bytes().to_vec()]));
        }
        match &self.actor {
            Some(ActorFilter::Names(names)) => {
                let terms = names.iter().map(|name| Mention::Actor(name).term()).collect();
                either(terms, Some(names.iter().map(|name| name.as_bytes().to_vec()).collect()));
            }
            Some(ActorFilter::Key(live, evidence, text)) => {
                let terms = vec![Mention::ActorKey(*live).term(), Mention::ActorKey(*evidence).term()];
                // A maker is named by uid in what it made.
                let needles = vec![text.as_bytes().to_vec(), live.0.to_vec(), evidence.0.to_vec()];
                either(terms, Some(needles));
            }
            None => {}
        }
        if let Some(AddressFilter::One(_, texts)) = &self.address {
            let terms = texts.iter().map(|text| Mention::Address(text).term()).collect();
            either(terms, Some(texts.iter().map(|text| text.as_bytes().to_vec()).collect()));
        }
        if !self.kinds.is_empty() {
            either(self.kinds.iter().map(|kind| Mention::Kind(*kind).term()).collect(), None);
        }
        if let Some(call) = self.call.as_deref().and_then(known::notable) {
            either(vec![Mention::Call(call).term()], Some(vec![call.as_bytes().to_vec()]));
        }
        if let Some(orgs) = &self.orgs {
            either(orgs.iter().map(|org| Mention::Org(*org).term()).collect(), None);
        }
        plan
    }
}

#[derive(Default)]
struct Found {
    key: bool,
    user: bool,
    policy: bool,
    bucket: bool,
    address: bool,
}

impl ActorFilter {
    fn fits(&self, fact: &Fact<'_>) -> bool {
        match self {
            ActorFilter::Names(names) => names.contains(fact.actor.name),
            ActorFilter::Key(live, evidence, _) => {
                let wanted = if world_of(fact) == World::Live { live } else { evidence };
                actor_key(fact) == Some(*wanted)
            }
        }
    }
}

/// The uids an id has in the two worlds.
pub(super) fn both_uids(id: &str) -> (KeyUid, KeyUid) {
    (AccessKeyId::uid_of(id, World::Live), AccessKeyId::uid_of(id, World::Evidence))
}

/// The user, or users, of this name, present or earlier, with every name they had.
///
/// # Errors
/// [`AuditError::Unknown`] when nobody ever had it.
pub fn users_named(history: &dyn History, worlds: &Worlds, name: &str) -> Result<UserNames, AuditError> {
    let mut found = UserNames::default();
    for (_, state) in worlds.states() {
        for user in state.all_users().filter(|user| user.name.eq_ignore_ascii_case(name)) {
            found.uids.insert(user.user);
        }
    }
    for (_, account, _) in worlds.evidence_orgs() {
        // Evidence names a user by its name of that moment, so the name alone gives a uid its facts may bear.
        let uid = uids::user(account, name);
        if worlds.user(uid).is_some() {
            found.uids.insert(uid);
        }
    }
    let renames = renames(history)?;
    // A rename joins two names, and in evidence two uids; follow them until nothing is new.
    loop {
        let before = (found.uids.len(), found.names.len());
        for rename in &renames {
            let by_name = rename.before.eq_ignore_ascii_case(name) || rename.after.eq_ignore_ascii_case(name);
            if by_name || rename.uids.iter().any(|uid| found.uids.contains(uid)) {
                found.uids.extend(&rename.uids);
                found.names.insert(rename.before.clone());
                found.names.insert(rename.after.clone());
            }
        }
        if before == (found.uids.len(), found.names.len()) {
            break;
        }
    }
    for uid in &found.uids {
        found.names.extend(worlds.user(*uid).map(|user| user.name.to_string()));
    }
    if found.uids.is_empty() {
        return Err(AuditError::Unknown { noun: "user", name: name.to_owned() });
    }
    Ok(found)
}

struct Rename {
    uids: Vec<UserUid>,
    before: String,
    after: String,
}

fn renames(history: &dyn History) -> Result<Vec<Rename>, AuditError> {
    let mut renames = Vec::new();
    each_fact_of_kinds(history, &[EventKind::UserRenamed], &mut |fact| {
        if let Event::UserRenamed { user, before, after } = fact.event {
            let mut uids = vec![*user];
            if let Some(account) = fact.record.and_then(|record| record.identity.account) {
                uids.push(uids::user(account, after));
            }
            renames.push(Rename { uids, before: before.to_string(), after: after.to_string() });
        }
    })?;
    Ok(renames)
}

/// The policies of this name, deleted ones included.
///
/// # Errors
/// [`AuditError::Unknown`] when there never was one.
pub fn policies_named(history: &dyn History, worlds: &Worlds, name: &str) -> Result<BTreeSet<PolicyUid>, AuditError> {
    let mut found: BTreeSet<PolicyUid> = BTreeSet::new();
    for (_, state) in worlds.states() {
        for org in state.orgs() {
            found.extend(state.policy_by_name(org.org, name).map(|policy| policy.policy));
        }
    }
    each_fact_of_kinds(history, &[EventKind::PolicyCreated], &mut |fact| {
        if let Event::PolicyCreated { policy, name: created, .. } = fact.event
            && created.eq_ignore_ascii_case(name)
        {
            found.insert(*policy);
        }
    })?;
    if found.is_empty() { Err(AuditError::Unknown { noun: "policy", name: name.to_owned() }) } else { Ok(found) }
}

fn actor_named(history: &dyn History, worlds: &Worlds, name: &str) -> Result<ActorFilter, AuditError> {
    match users_named(history, worlds, name) {
        Ok(user) => Ok(ActorFilter::Names(user.names)),
        Err(AuditError::Unknown { .. }) => {
            let (live, evidence) = both_uids(name);
            if AccessKeyId::parse(name).is_ok() && (worlds.key(live).is_some() || worlds.key(evidence).is_some()) {
                return Ok(ActorFilter::Key(live, evidence, name.to_owned()));
            }
            // An operator, a provider, a role's session: known by name alone.
            Ok(ActorFilter::Names([name.to_owned()].into()))
        }
        Err(other) => Err(other),
    }
}

/// Calls `f` with every fact of some kinds.
pub(super) fn each_fact_of_kinds(
    history: &dyn History,
    kinds: &[EventKind],
    f: &mut dyn FnMut(&Fact<'_>),
) -> Result<(), AuditError> {
    let mut plan = Plan::mentioning(kinds.iter().map(|kind| Mention::Kind(*kind).term()).collect());
    plan.glance.kinds = kinds.to_vec();
    let fits = |commit: &Recorded| commit.facts().any(|fact| kinds.contains(&fact.event.kind()));
    history.select(&plan, &fits, &mut |commit| {
        commit.facts().filter(|fact| kinds.contains(&fact.event.kind())).for_each(|fact| f(&fact));
        std::ops::ControlFlow::Continue(())
    })
}

/// Whether an event is about a key.
pub(super) fn is_about_key(event: &Event, uid: KeyUid) -> bool {
    let mut about = false;
    subjects(event, &mut |mention| about |= mention == Mention::Key(uid));
    about
}
