//! Orgs as a command sees them: one org at a time, with the state it stands in and its names.
//!
//! A live org stands in the ledger's own state, an evidence org in the fold of its records; a view makes both alike, so that no
//! list forgets what was imported.
//!
//! Not here: reading the log (`reading`), and what is shown of a noun (its own file).

use super::exit::{Exit, Failure};
use crate::model::text::excerpt;
use crate::model::{AccountId, KeyOwner, KeyUid, OrgKind, PolicyUid, Time};
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
    /// The view of one org of `state`.
    pub fn of(state: &State, org: &Arc<OrgRecord>, now: Time) -> Self {
        if org.kind == OrgKind::Evidence
            && let Some(evidence) = state.evidence(org.org)
        {
            let folded = evidence.fold(org.account);
            return Self { state: folded, org: Arc::clone(org), now };
        }
        Self { state: state.share(), org: Arc::clone(org), now }
    }

    pub fn is_evidence(&self) -> bool {
        self.org.kind == OrgKind::Evidence
    }

    /// The org's keys, deleted ones included, by id.
    pub fn keys(&self) -> Vec<KeyRecord> {
        self.state.keys_where(|key| key.org == self.org.org)
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
        self.state.policy(policy).map_or_else(|| policy.to_string(), |policy| policy.name.to_string())
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

/// The org that `asked` names: an account id, `evidence:` and one, or nothing when there is only one.
pub fn org_named(state: &State, asked: Option<&str>) -> Result<Arc<OrgRecord>, Failure> {
    let of_kind = |account: AccountId, kind: OrgKind| {
        state.orgs().find(|org| org.account == account && org.kind == kind).map(Arc::clone)
    };
    if let Some(asked) = asked {
        let (account, kinds): (&str, &[OrgKind]) = match asked.split_once(':') {
            Some(("evidence", account)) => (account, &[OrgKind::Evidence]),
            Some(("live", account)) => (account, &[OrgKind::Live]),
            _ => (asked, &[OrgKind::Live, OrgKind::Evidence]),
        };
        let account = AccountId::parse(account)?;
        let found = kinds.iter().find_map(|kind| of_kind(account, *kind));
        return found.ok_or_else(|| {
            Failure::nothing(format!("there is no org {account}; `keyledger org list` shows those that are there"))
        });
    }
    let live: Vec<_> = state.live_orgs().collect();
    let all: Vec<_> = state.orgs().collect();
    match (live.as_slice(), all.as_slice()) {
        ([org], _) | ([], [org]) => Ok(Arc::clone(org)),
        ([], []) => {
            Err(Failure::new(Exit::Nothing, "the ledger has no org yet; `keyledger org create ACCOUNT` makes one"))
        }
        _ => {
            let mut names: Vec<String> = all.iter().map(|org| org_label(org)).collect();
            names.sort();
            let names = names.join(", ");
            Err(Failure::usage(format!("the ledger has several orgs; name one with --org: {}", excerpt(&names, 400))))
        }
    }
}

/// The live org that `asked` names: the one a command may change.
pub fn live_org_named(state: &State, asked: Option<&str>) -> Result<Arc<OrgRecord>, Failure> {
    let org = if asked.is_none() {
        let mut live = state.live_orgs();
        match (live.next(), live.next()) {
            (Some(org), None) => Arc::clone(org),
            (None, _) => {
                let text = "the ledger has no org of its own yet; `keyledger org create ACCOUNT` makes one";
                return Err(Failure::new(Exit::Refused, text));
            }
            _ => return org_named(state, None),
        }
    } else {
        org_named(state, asked)?
    };
    if org.kind == OrgKind::Evidence {
        let text = format!("org {} holds imported evidence, which only imports write to", org.account);
        return Err(Failure::new(Exit::Refused, text));
    }
    Ok(org)
}

/// How `--org` would name it.
pub fn org_label(org: &OrgRecord) -> String {
    match org.kind {
        OrgKind::Live => org.account.to_string(),
        OrgKind::Evidence => format!("evidence:{}", org.account),
    }
}

/// Every org with its state, live ones first, by account.
pub fn every_org(state: &State, now: Time) -> Vec<View> {
    let mut orgs: Vec<_> = state.orgs().collect();
    orgs.sort_by_key(|org| (org.kind, org.account));
    orgs.into_iter().map(|org| View::of(state, org, now)).collect()
}
