//! The states a report reads from, and the names of what stands in them.
//!
//! Not here: states of the past (`at`).

use super::AuditError;
use crate::model::id::World;
use crate::model::{
    AccessKeyId, AccountId, GroupUid, Holder, KeyOwner, KeyUid, OrgKind, OrgUid, PolicyUid, Seq, Time, UserUid, uids,
};
use crate::policy::managed;
use crate::state::{KeyRecord, KeyStatus, OwnerRef, State, UserRecord};
use std::collections::BTreeMap;

/// Live orgs and evidence orgs of one moment.
#[derive(Debug)]
pub struct Worlds {
    live: State,
    evidence: BTreeMap<OrgUid, Folded>,
}

/// An evidence org, folded.
#[derive(Debug)]
struct Folded {
    account: AccountId,
    state: State,
    span: Option<(Time, Time)>,
}

/// A key, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyPlace {
    pub uid: KeyUid,
    pub world: World,
    pub record: KeyRecord,
}

impl Worlds {
    /// The worlds of a state; its evidence is folded here, once.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let mut worlds = Self::live(state.share());
        for (org, evidence) in state.all_evidence() {
            if let Some(account) = state.org(org).map(|org| org.account) {
                worlds.add_evidence(org, account, evidence);
            }
        }
        worlds
    }

    /// A state without its evidence.
    #[must_use]
    pub fn live(live: State) -> Self {
        Self { live, evidence: BTreeMap::new() }
    }

    /// The worlds of one evidence org, whose state is at hand.
    pub(super) fn evidence(org: OrgUid, account: AccountId, state: State) -> Self {
        Self { live: State::empty(), evidence: BTreeMap::from([(org, Folded { account, state, span: None })]) }
    }

    /// Adds what was imported for one account.
    pub fn add_evidence(&mut self, org: OrgUid, account: AccountId, evidence: &crate::state::Evidence) {
        let folded = Folded { account, state: evidence.fold(account), span: evidence.span() };
        self.evidence.insert(org, folded);
    }

    pub fn seq(&self) -> Seq {
        self.live.seq()
    }

    /// The one state that a replay holds: the live orgs', or that of its evidence org.
    pub(super) fn only_state(&self) -> &State {
        self.evidence.values().next().map_or(&self.live, |folded| &folded.state)
    }

    /// The live orgs' state, to be replayed on.
    pub(super) fn live_mut(&mut self) -> &mut State {
        &mut self.live
    }

    /// The live orgs' state.
    pub fn live_state(&self) -> &State {
        &self.live
    }

    /// The state that holds an org.
    pub fn state_of(&self, org: OrgUid) -> &State {
        self.evidence.get(&org).map_or(&self.live, |folded| &folded.state)
    }

    /// Every state with the kind of org in it: the live one, then each evidence org's.
    pub fn states(&self) -> impl Iterator<Item = (OrgKind, &State)> {
        let evidence = self.evidence.values().map(|folded| (OrgKind::Evidence, &folded.state));
        std::iter::once((OrgKind::Live, &self.live)).chain(evidence)
    }

    /// The evidence orgs with the times of their first and last record.
    pub fn evidence_orgs(&self) -> impl Iterator<Item = (OrgUid, AccountId, Option<(Time, Time)>)> {
        self.evidence.iter().map(|(org, folded)| (*org, folded.account, folded.span))
    }

    /// When an evidence org's records begin and end.
    pub fn span_of(&self, org: OrgUid) -> Option<(Time, Time)> {
        self.evidence.get(&org)?.span
    }

    pub fn kind_of(&self, org: OrgUid) -> OrgKind {
        if self.evidence.contains_key(&org) { OrgKind::Evidence } else { OrgKind::Live }
    }

    /// An org's account id, as people write it.
    pub fn account(&self, org: OrgUid) -> String {
        match self.evidence.get(&org) {
            Some(folded) => folded.account.to_string(),
            None => self.live.org(org).map_or_else(|| org.to_string(), |org| org.account.to_string()),
        }
    }

    /// The orgs that a person means: by account id, name or alias, live and evidence.
    ///
    /// # Errors
    /// [`AuditError::Unknown`].
    pub fn orgs_named(&self, name: &str) -> Result<Vec<OrgUid>, AuditError> {
        let named = |org: &&std::sync::Arc<crate::state::OrgRecord>| {
            org.account.to_string() == name || org.name == name || org.alias.as_deref() == Some(name)
        };
        let mut orgs: Vec<OrgUid> = self.live.orgs().filter(named).map(|org| org.org).collect();
        orgs.extend(self.evidence.iter().filter(|(_, f)| f.account.to_string() == name).map(|(org, _)| *org));
        orgs.sort_unstable();
        orgs.dedup();
        if orgs.is_empty() { Err(AuditError::Unknown { noun: "org", name: name.to_owned() }) } else { Ok(orgs) }
    }

    // Keys

    /// Every key of this id: at most one live, and one an evidence org.
    pub fn keys_of_id(&self, id: &str) -> Vec<KeyPlace> {
        let place = |world| {
            let uid = AccessKeyId::uid_of(id, world);
            move |state: &State| {
                let record = state.key_by_uid(uid).filter(|key| key.id.as_str() == id)?;
                Some(KeyPlace { uid, world, record })
            }
        };
        let mut places: Vec<_> = place(World::Live)(&self.live).into_iter().collect();
        places.extend(self.evidence.values().filter_map(|folded| place(World::Evidence)(&folded.state)));
        places
    }

    /// The key of a uid, wherever it stands.
    pub fn key(&self, uid: KeyUid) -> Option<KeyPlace> {
        if let Some(record) = self.live.key_by_uid(uid) {
            return Some(KeyPlace { uid, world: World::Live, record });
        }
        let mut evidence = self.evidence.values();
        evidence.find_map(|folded| folded.state.key_by_uid(uid)).map(|record| KeyPlace {
            uid,
            world: World::Evidence,
            record,
        })
    }

    /// Every key, deleted ones included, in no order.
    pub fn for_each_key(&self, mut f: impl FnMut(OrgKind, KeyUid, &KeyRecord)) {
        for (kind, state) in self.states() {
            state.for_each_key(|key| f(kind, key.uid(), &key.to_record()));
        }
    }

    /// The status of a key at `now`.
    pub fn status(&self, key: &KeyRecord, now: Time) -> KeyStatus {
        self.state_of(key.org).status(key, now)
    }

    /// An access key id, or the uid where no key of it is known.
    pub fn key_name(&self, uid: KeyUid) -> String {
        self.key(uid).map_or_else(|| uid.to_string(), |place| place.record.id.to_string())
    }

    // Owners

    pub fn user(&self, uid: UserUid) -> Option<&std::sync::Arc<UserRecord>> {
        self.states().find_map(|(_, state)| state.user(uid))
    }

    /// A user's present or last name.
    pub fn user_name(&self, uid: UserUid) -> String {
        self.user(uid).map_or_else(|| uid.to_string(), |user| user.name.to_string())
    }

    pub fn group_name(&self, uid: GroupUid) -> String {
        let group = self.states().find_map(|(_, state)| state.group(uid));
        group.map_or_else(|| uid.to_string(), |group| group.name.to_string())
    }

    pub fn policy_name(&self, uid: PolicyUid) -> String {
        if let Some(policy) = self.states().find_map(|(_, state)| state.policy(uid)) {
            return policy.name.to_string();
        }
        // One of AWS's own, which no event creates.
        let known = managed::ALL.iter().find(|known| uids::policy(known.arn) == uid);
        known.map_or_else(|| uid.to_string(), |known| known.name.to_owned())
    }

    /// ``user `alice` ``, ``group `admins` ``, ``key `NQAK…` ``.
    pub fn holder_name(&self, holder: Holder) -> String {
        match holder {
            Holder::User(uid) => format!("user `{}`", self.user_name(uid)),
            Holder::Group(uid) => format!("group `{}`", self.group_name(uid)),
            Holder::Key(uid) => format!("key `{}`", self.key_name(uid)),
        }
    }

    /// `alice`, `bucket:photos`, `org`.
    pub fn owner_name(&self, owner: &KeyOwner) -> String {
        match owner {
            KeyOwner::Org => "org".to_owned(),
            KeyOwner::User(uid) => self.user_name(*uid),
            KeyOwner::Bucket(bucket) => format!("bucket:{bucket}"),
        }
    }

    /// The owner's user name, where it is a user.
    pub fn owner_user(&self, owner: &KeyOwner) -> Option<String> {
        match owner {
            KeyOwner::User(uid) => Some(self.user_name(*uid)),
            KeyOwner::Org | KeyOwner::Bucket(_) => None,
        }
    }

    /// Keys of the same owner that are not deleted.
    pub fn keys_of_owner(&self, key: &KeyRecord) -> Vec<KeyPlace> {
        let owned = self.state_of(key.org).keys_of(&OwnerRef::of(key.org, &key.owner));
        owned.iter().filter_map(|uid| self.key(*uid)).collect()
    }
}
