//! The blast radius of a key: what it reaches, and what it could make itself into.
//!
//! The closure of privilege: a key that may make a key of another user can do what that user can; one that may attach policies to
//! itself can do everything. Followed step by step, each with the action that opens it.
//!
//! Not here: what was done with the key (`compromise`).

use super::Question;
use super::power::{May, Power, power};
use super::table::{DecisionTable, table};
use crate::audit::names::Worlds;
use crate::model::{GrantRole, GroupUid, KeyOwner, OrgKind, OrgUid, PolicyUid, Role, Time, UserUid};
use crate::policy::Effect;
use crate::state::{KeyRecord, State, UserRecord};
use serde::Serialize;
use std::collections::BTreeSet;

/// Users that the closure follows; more are told as cut off.
const STEPS_MAX: usize = 500;

/// What a key reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct BlastRadius {
    pub status: &'static str,
    /// Whether it can be used at all; the rest then says what it could do if it were.
    pub usable: bool,
    /// It can do everything in its org, by itself or by the steps below.
    pub everything: bool,
    #[serde(flatten)]
    pub table: DecisionTable,
    /// What it could become, each step from what was reached before.
    pub steps: Vec<Step>,
    /// The closure was not followed to its end.
    pub cut_off: bool,
}

/// One way to more rights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Step {
    /// Who takes it: `the key`, ``user `bob` ``.
    pub from: String,
    pub action: &'static str,
    pub resource: String,
    /// For all requests, or for some.
    pub may: May,
    /// ``the rights of user `admin` ``, `everything in the org`
    pub gains: String,
}

/// Actions that let somebody give rights to whom they are about.
const ON_USER: &[&str] = &["iam:AttachUserPolicy", "iam:PutUserPolicy", "keyledger:SetUserRole"];
const ON_GROUP: &[&str] = &["iam:AttachGroupPolicy", "iam:PutGroupPolicy"];
const ON_POLICY: &[&str] = &["iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion"];

/// The blast radius of `key` at `now`, in the worlds of that moment. A key that is not usable is asked as if it were.
#[must_use]
pub fn blast_radius(worlds: &Worlds, key: &KeyRecord, now: Time) -> BlastRadius {
    let status = worlds.status(key, now);
    let live = key.if_usable();
    let mut closure = Closure { worlds, now, org: key.org, steps: Vec::new(), everything: false, cut_off: false };
    closure.follow(&live);
    BlastRadius {
        status: status.as_str(),
        usable: status.is_usable(),
        everything: closure.everything,
        table: table(worlds, &live, now),
        steps: closure.steps,
        cut_off: closure.cut_off,
    }
}

struct Closure<'a> {
    worlds: &'a Worlds,
    now: Time,
    org: OrgUid,
    steps: Vec<Step>,
    everything: bool,
    cut_off: bool,
}

impl Closure<'_> {
    fn follow(&mut self, key: &KeyRecord) {
        let mut reached: BTreeSet<UserUid> = BTreeSet::new();
        let mut next = vec![("the key".to_owned(), key.clone())];
        if let KeyOwner::User(user) = key.owner
            && !key.is_scoped()
        {
            reached.insert(user);
        }
        while let Some((from, by)) = next.pop() {
            self.look(&from, &by);
            if self.everything || self.steps.len() >= STEPS_MAX {
                self.cut_off = !self.everything;
                return;
            }
            if !manages(self.state(), &by) {
                continue;
            }
            for user in self.state().users(self.org, None).cloned().collect::<Vec<_>>() {
                let resource = self.arn("user", &user.path, &user.name);
                let power = self.power(&by, "iam:CreateAccessKey", &resource);
                if power.may == May::Never || !reached.insert(user.user) {
                    continue;
                }
                self.step(
                    &from,
                    "iam:CreateAccessKey",
                    resource,
                    &power,
                    format!("the rights of user `{}`", user.name),
                );
                let unscoped = KeyRecord::supposed(self.org, KeyOwner::User(user.user), by.world());
                next.push((format!("user `{}`", user.name), unscoped));
                if self.steps.len() >= STEPS_MAX {
                    break;
                }
            }
        }
    }

    /// Whether somebody can do everything, or make that so.
    fn look(&mut self, from: &str, by: &KeyRecord) {
        let is_admin = by.rights().grants.iter().any(|it| it.bucket.is_none() && it.role == GrantRole::Admin);
        let owner = match by.owner {
            KeyOwner::User(user) => self.state().user(user).cloned(),
            KeyOwner::Org | KeyOwner::Bucket(_) => None,
        };
        if by.owner == KeyOwner::Org && is_admin {
            self.everything = true;
            return;
        }
        let Some(user) = owner else { return };
        if !by.is_scoped() && user.role == Role::Admin && self.worlds.kind_of(self.org) == OrgKind::Live {
            let gains = "everything in the org, as an Admin user over the native API".to_owned();
            let resource = self.arn("user", &user.path, &user.name);
            self.steps.push(Step { from: from.to_owned(), action: "keyledger:*", resource, may: May::Always, gains });
            self.everything = true;
            return;
        }
        if !manages(self.state(), by) {
            return;
        }
        for (action, resource) in self.openings(by, &user) {
            let power = self.power(by, action, &resource);
            if power.may != May::Never {
                let gains = "everything in the org: it can give itself any right".to_owned();
                self.step(from, action, resource, &power, gains);
                self.everything |= power.may == May::Always;
                if self.everything {
                    return;
                }
            }
        }
    }

    /// What would give more rights to whoever holds `by`.
    fn openings(&self, by: &KeyRecord, user: &UserRecord) -> Vec<(&'static str, String)> {
        let state = self.state();
        let own = self.arn("user", &user.path, &user.name);
        let mut openings: Vec<(&'static str, String)> = ON_USER.iter().map(|it| (*it, own.clone())).collect();
        let mut policies: BTreeSet<PolicyUid> = by.rights().attached.iter().copied().collect();
        policies.extend(user.attached.iter().copied());
        let groups: Vec<GroupUid> = user.groups.iter().copied().collect();
        for group in groups.into_iter().filter_map(|group| state.group(group)) {
            let arn = self.arn("group", &group.path, &group.name);
            openings.extend(ON_GROUP.iter().map(|action| (*action, arn.clone())));
            policies.extend(group.attached.iter().copied());
        }
        for group in state.groups(self.org, None).filter(|group| !user.groups.contains(&group.group)) {
            if !group.attached.is_empty() || !group.inline.is_empty() {
                openings.push(("iam:AddUserToGroup", self.arn("group", &group.path, &group.name)));
            }
        }
        for policy in policies.into_iter().filter_map(|policy| state.policy(policy)) {
            let arn = self.arn("policy", &policy.path, &policy.name);
            openings.extend(ON_POLICY.iter().map(|action| (*action, arn.clone())));
        }
        openings
    }

    fn step(&mut self, from: &str, action: &'static str, resource: String, power: &Power, gains: String) {
        self.steps.push(Step { from: from.to_owned(), action, resource, may: power.may, gains });
    }

    fn power(&self, by: &KeyRecord, action: &str, resource: &str) -> Power {
        power(self.worlds, by, &Question::new(action, resource), self.now)
    }

    fn state(&self) -> &State {
        self.worlds.state_of(self.org)
    }

    fn arn(&self, kind: &str, path: &str, name: &str) -> String {
        format!("arn:aws:iam::{}:{kind}{path}{name}", self.worlds.account(self.org))
    }
}

/// Whether anything that allows `key` is about management at all.
fn manages(state: &State, key: &KeyRecord) -> bool {
    let standing = state.standing(key);
    if standing.rights().grants.iter().any(|grant| grant.role == GrantRole::Admin) {
        return true;
    }
    standing.documents().iter().filter_map(|bearing| bearing.text?.document()).any(|document| {
        document.statements().iter().filter(|it| it.effect == Effect::Allow).any(|statement| {
            let grant = statement.grant();
            grant.actions_excluded
                || grant.actions.iter().any(|action| {
                    let service = action.split_once(':').map_or("*", |(service, _)| service);
                    service.contains(['*', '?'])
                        || ["iam", "keyledger"].iter().any(|own| service.eq_ignore_ascii_case(own))
                })
        })
    })
}
