//! Who may read what: told before anything is looked up.
//!
//! | who | sees |
//! |---|---|
//! | the account root; whoever's policies allow the action | all of its org |
//! | an unscoped key of an Admin or Auditor, unless a Deny or boundary bears on the action | all of its org |
//! | an unscoped key of a Member, by the same | itself and its own keys |
//! | anybody else, and every quarantined key | nothing |
//!
//! Actions are `keyledger:Read…` (`product.md` §8), so that `keyledger:Read*` is an auditor.
//!
//! Not here: who may change what (`ledger::decide`), other orgs: nobody who signs sees any.

use super::problem::Problem;
use crate::model::{Caller, KeyOwner, Role, Time, UserUid};
use crate::policy::{Request, Value};
use crate::state::access::Reason;
use crate::state::{KeyRecord, State};
use std::net::IpAddr;

/// What of its org a caller sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    Org,
    /// This user and its keys.
    Own(UserUid),
}

/// Whether a policy allows a storage node's key to tell what `action` names. What the root and roles may do besides does not count:
/// a node's key is made for it.
///
/// # Errors
/// 403.
pub fn may_report(
    state: &State,
    key: &KeyRecord,
    caller: &Caller,
    action: &'static str,
    now: Time,
) -> Result<(), Problem> {
    match reason(state, key, caller, action, now) {
        Reason::Allowed { .. } => Ok(()),
        _ => Err(denied(action)),
    }
}

fn denied(action: &str) -> Problem {
    Problem::forbidden(&format!("this access key may not do {action}"))
}

fn reason(state: &State, key: &KeyRecord, caller: &Caller, action: &'static str, now: Time) -> Reason {
    let source = caller.source_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok());
    let mut context = Vec::with_capacity(2);
    context.extend(source.map(|address| ("aws:SourceIp", Value::Address(address))));
    context.extend(caller.user_agent.as_deref().map(|agent| ("aws:UserAgent", Value::Text(agent))));
    state.standing(key).decide(&Request::new(action, "*", &context[..]), now).reason
}

impl Sight {
    /// What whoever signed with `key` sees by `action`, in this state.
    ///
    /// # Errors
    /// 403.
    pub fn of(
        state: &State,
        key: &KeyRecord,
        caller: &Caller,
        action: &'static str,
        now: Time,
    ) -> Result<Self, Problem> {
        let denied = || denied(action);
        match reason(state, key, caller, action, now) {
            reason if reason.allows() => return Ok(Sight::Org),
            Reason::Implicit => {}
            _ => return Err(denied()),
        }
        let KeyOwner::User(user) = &key.owner else { return Err(denied()) };
        if key.is_scoped() {
            return Err(denied());
        }
        match state.user(*user).map(|user| user.role) {
            Some(Role::Admin | Role::Auditor) => Ok(Sight::Org),
            Some(Role::Member) => Ok(Sight::Own(*user)),
            None => Err(denied()),
        }
    }
}
