//! Orgs as a command sees them: one org at a time, with the state it stands in and its names.
//!
//! A live org stands in the ledger's own state, an evidence org in the fold of its records; a view makes both alike, so that no
//! list forgets what was imported.
//!
//! Not here: reading the log (`reading`), and what is shown of a noun (its own file).

use super::exit::{Exit, Failure};
use crate::audit::Worlds;
use crate::model::text::excerpt;
use crate::model::{AccountId, KeyOwner, KeyUid, OrgKind, PolicyUid, Time, uids};
use crate::policy::managed;
use crate::state::{GroupRecord, KeyRecord, OrgRecord, PolicyRecord, State, UserRecord};
use std::sync::Arc;

/// One org and the state that holds it.
#[derive(Debug)]
pub struct View {
    pub state: State,
    pub org: Arc<OrgRecord>,
    /// The moment that status and ages are told for.
    pub now: Time,
}

impl View {
    /// The view of a live org.
    pub fn of(state: &State, org: &Arc<OrgRecord>, now: Time) -> Self {
        Self { state: state.share(), org: Arc::clone(org), now }
    }

    pub fn is_evidence(&self) -> bool {
        self.org.kind == OrgKind::Evidence
    }

    /// The org's keys, deleted ones included, by id.
    pub fn keys(&self) -> Vec<KeyRecord> {
        self.state.keys_where(|key| key.org() == self.org.org)
    }

    /// The org's key of this id.
    pub fn key(&self, id: &str) -> Option<KeyRecord> {
        if self.is_evidence() {
            let uid = crate::model::AccessKeyId::uid_of(id, crate::model::id::World::Evidence);
            return self.state.key_by_uid(uid).filter(|key| key.id.as_str() == id);
        }
        self.state.key(id).filter(|key| key.org == self.org.org)
    }

    /// The name of a user's key's owner.
    pub fn user_name(&self, key: &KeyRecord) -> Option<String> {
        match &key.owner {
            KeyOwner::User(user) => self.state.user(*user).map(|user| user.name.to_string()),
            _ => None,
        }
    }

    pub fn key_name(&self, key: KeyUid) -> String {
        self.state.key_by_uid(key).map_or_else(|| key.to_string(), |key| key.id.to_string())
    }

    pub fn policy_name(&self, policy: PolicyUid) -> String {
        if let Some(policy) = self.state.policy(policy) {
            return policy.name.to_string();
        }
        // One of those that exist in every org is in no state.
        let managed = managed::ALL.iter().find(|managed| uids::policy(managed.arn) == policy);
        managed.map_or_else(|| policy.to_string(), |managed| managed.name.to_owned())
    }

    pub fn policy_names<'a>(&self, policies: impl IntoIterator<Item = &'a PolicyUid>) -> Vec<String> {
        policies.into_iter().map(|policy| self.policy_name(*policy)).collect()
    }

    /// The user of this name.
    ///
    /// # Errors
    /// A failure that found nothing, naming the org.
    pub fn user(&self, name: &str) -> Result<Arc<UserRecord>, Failure> {
        self.state.user_by_name(self.org.org, name).cloned().ok_or_else(|| self.no("user", name))
    }

    pub fn group(&self, name: &str) -> Result<Arc<GroupRecord>, Failure> {
        self.state.group_by_name(self.org.org, name).cloned().ok_or_else(|| self.no("group", name))
    }

    /// The policy of this name or ARN.
    pub fn policy(&self, name: &str) -> Result<Arc<PolicyRecord>, Failure> {
        let short = name.rsplit('/').next().filter(|_| name.starts_with("arn:")).unwrap_or(name);
        self.state.policy_by_name(self.org.org, short).cloned().ok_or_else(|| self.no("policy", name))
    }

    fn no(&self, noun: &str, name: &str) -> Failure {
        let (name, account) = (excerpt(name, 128), self.org.account);
        Failure::nothing(format!("org {account} has no {noun} `{name}`; `keyledger {noun} list` shows those it has"))
    }
}

/// Every org with its state, live ones first, by account.
pub fn views(worlds: &Worlds, now: Time) -> Vec<View> {
    let live = worlds.live_state();
    let mut views: Vec<View> = live.live_orgs().map(|org| View::of(live, org, now)).collect();
    for (org, _, _) in worlds.evidence_orgs() {
        let folded = worlds.state_of(org);
        views.extend(folded.org(org).map(|record| View::of(folded, record, now)));
    }
    views.sort_by_key(|view| (view.org.kind, view.org.account));
    views
}

/// The org that `asked` names: an account id, `evidence:` and one, or nothing when there is only one.
pub fn org_named(worlds: &Worlds, asked: Option<&str>, now: Time) -> Result<View, Failure> {
    let mut all = views(worlds, now);
    if let Some(asked) = asked {
        let (account, kinds) = account_named(asked)?;
        let fits = |view: &View, kind: OrgKind| view.org.account == account && view.org.kind == kind;
        let found = kinds.iter().find_map(|kind| all.iter().position(|view| fits(view, *kind)));
        return match found {
            Some(place) => Ok(all.swap_remove(place)),
            None => Err(no_such_org(account)),
        };
    }
    let live = all.iter().filter(|view| !view.is_evidence()).count();
    match (live, all.len()) {
        (0, 0) => Err(Failure::nothing("the ledger has no org yet; `keyledger org create ACCOUNT` makes one")),
        // Live orgs come first.
        (1, _) | (0, 1) => Ok(all.swap_remove(0)),
        _ => Err(several(all.iter().map(|view| org_label(&view.org)))),
    }
}

fn account_named(asked: &str) -> Result<(AccountId, &'static [OrgKind]), Failure> {
    let (account, kinds): (&str, &[OrgKind]) = match asked.split_once(':') {
        Some(("evidence", account)) => (account, &[OrgKind::Evidence]),
        Some(("live", account)) => (account, &[OrgKind::Live]),
        _ => (asked, &[OrgKind::Live, OrgKind::Evidence]),
    };
    Ok((AccountId::parse(account)?, kinds))
}

fn no_such_org(account: AccountId) -> Failure {
    Failure::nothing(format!("there is no org {account}; `keyledger org list` shows those that are there"))
}

fn several(names: impl Iterator<Item = String>) -> Failure {
    let names = names.collect::<Vec<_>>().join(", ");
    Failure::usage(format!("the ledger has several orgs; name one with --org: {}", excerpt(&names, 400)))
}

/// The live org that `asked` names: the one a command may change.
pub fn live_org_named(state: &State, asked: Option<&str>) -> Result<Arc<OrgRecord>, Failure> {
    let live: Vec<_> = state.live_orgs().collect();
    let Some(asked) = asked else {
        return match live.as_slice() {
            [org] => Ok(Arc::clone(org)),
            [] => {
                let text = "the ledger has no org of its own yet; `keyledger org create ACCOUNT` makes one";
                Err(Failure::new(Exit::Refused, text))
            }
            several_orgs => Err(several(several_orgs.iter().map(|org| org_label(org)))),
        };
    };
    let (account, kinds) = account_named(asked)?;
    let named = live.into_iter().find(|org| org.account == account && kinds.contains(&OrgKind::Live));
    if let Some(org) = named {
        return Ok(Arc::clone(org));
    }
    if state.orgs().any(|org| org.account == account) {
        let text = format!("org {account} holds imported evidence, which only imports write to");
        return Err(Failure::new(Exit::Refused, text));
    }
    Err(no_such_org(account))
}

/// How `--org` would name it.
pub fn org_label(org: &OrgRecord) -> String {
    match org.kind {
        OrgKind::Live => org.account.to_string(),
        OrgKind::Evidence => format!("evidence:{}", org.account),
    }
}
