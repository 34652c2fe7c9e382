//! ARNs, and what ARNs name.
//!
//! Not here: unique ids (`model::id`).

use crate::ledger::decide::{ManagedIn, managed};
use crate::model::{AccountId, OrgUid, PolicyUid};
use crate::state::{GroupRecord, PolicyRecord, State, UserRecord};
use std::sync::Arc;

pub fn user_arn(account: AccountId, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:user{path}{name}")
}

pub fn group_arn(account: AccountId, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:group{path}{name}")
}

pub fn policy_arn(account: AccountId, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:policy{path}{name}")
}

pub fn root_arn(account: AccountId) -> String {
    format!("arn:aws:iam::{account}:root")
}

/// A policy that can be asked about.
#[derive(Debug, Clone)]
pub enum AnyPolicy {
    Own(Arc<PolicyRecord>),
    /// One that exists in every org.
    Managed(ManagedIn),
}

impl AnyPolicy {
    /// The policy of this ARN in an org.
    pub fn by_arn(state: &State, org: OrgUid, account: AccountId, arn: &str) -> Option<Self> {
        if let Some(found) = managed(arn) {
            return Some(AnyPolicy::Managed(found));
        }
        let path = arn.strip_prefix(&format!("arn:aws:iam::{account}:policy/"))?;
        let name = path.rsplit('/').next()?;
        let found = state.policy_by_name(org, name)?;
        let same = policy_arn(account, &found.path, &found.name).eq_ignore_ascii_case(arn);
        same.then(|| AnyPolicy::Own(Arc::clone(found)))
    }

    /// The policy of this uid.
    pub fn by_uid(state: &State, uid: PolicyUid) -> Option<Self> {
        if let Some(found) = state.policy(uid) {
            return Some(AnyPolicy::Own(Arc::clone(found)));
        }
        in_every_org().find(|managed| managed.uid == uid).map(AnyPolicy::Managed)
    }

    pub fn uid(&self) -> PolicyUid {
        match self {
            AnyPolicy::Own(policy) => policy.policy,
            AnyPolicy::Managed(managed) => managed.uid,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            AnyPolicy::Own(policy) => &policy.name,
            AnyPolicy::Managed(managed) => managed.policy.name,
        }
    }

    pub fn path(&self) -> &str {
        match self {
            AnyPolicy::Own(policy) => &policy.path,
            AnyPolicy::Managed(_) => "/",
        }
    }

    pub fn arn(&self, account: AccountId) -> String {
        match self {
            AnyPolicy::Own(policy) => policy_arn(account, &policy.path, &policy.name),
            AnyPolicy::Managed(managed) => managed.policy.arn.to_owned(),
        }
    }

    /// The document in force.
    pub fn document(&self) -> &str {
        match self {
            AnyPolicy::Own(policy) => policy.document().map_or("", |text| text),
            AnyPolicy::Managed(managed) => managed.policy.document.unwrap_or_default(),
        }
    }
}

/// The policies that exist in every org, by name.
pub fn in_every_org() -> impl Iterator<Item = ManagedIn> {
    crate::policy::managed::ALL.iter().filter_map(|policy| managed(policy.arn))
}

/// The user of this ARN in an org.
pub fn user_by_arn<'a>(state: &'a State, org: OrgUid, account: AccountId, arn: &str) -> Option<&'a Arc<UserRecord>> {
    let path = arn.strip_prefix(&format!("arn:aws:iam::{account}:user/"))?;
    let found = state.user_by_name(org, path.rsplit('/').next()?)?;
    user_arn(account, &found.path, &found.name).eq_ignore_ascii_case(arn).then_some(found)
}

/// The group of this ARN in an org.
pub fn group_by_arn<'a>(state: &'a State, org: OrgUid, account: AccountId, arn: &str) -> Option<&'a Arc<GroupRecord>> {
    let path = arn.strip_prefix(&format!("arn:aws:iam::{account}:group/"))?;
    let found = state.group_by_name(org, path.rsplit('/').next()?)?;
    group_arn(account, &found.path, &found.name).eq_ignore_ascii_case(arn).then_some(found)
}
