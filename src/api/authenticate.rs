//! Who signed a request to the server: a [`Signed`], the caller with the key it stands on.
//!
//! SigV4 only, through the one verifier and the gate's cache of signing keys; a dead key is answered as an unknown one is. The words
//! for a refusal are each dialect's own.
//!
//! Not here: the Partner dialect's signatures, and tokens of the Tigris dialect.

use super::{Api, Incoming};
use crate::gate::{ServiceDenied, ServiceRules, ServiceSigner, ServiceUse};
use crate::ledger::Token;
use crate::model::{Caller, Dialect, OrgUid, Principal, Time};
use crate::policy::{Request, Value};
use crate::state::{Access, KeyRecord, State};

/// A request that was signed by a key that is alive.
#[derive(Debug)]
pub struct Signed {
    /// For commands: names key, dialect, address, agent and request id.
    pub caller: Caller,
    /// The key, in `state`.
    pub key: KeyRecord,
    /// The published state by which the request is answered.
    pub state: State,
    /// When the request arrived, or the newest commit if that is later.
    pub now: Time,
    signer: ServiceSigner,
}

/// Proves who signed `incoming` for `service`, in one of `regions`.
///
/// # Errors
/// [`ServiceDenied`]; it is counted where the key is known.
pub fn authenticate(
    api: &Api,
    incoming: &Incoming,
    dialect: Dialect,
    service: &'static str,
    regions: &[&str],
) -> Result<Signed, ServiceDenied> {
    let now = api.now();
    let headers = incoming.header_pairs();
    let view = incoming.view(&headers);
    let rules = ServiceRules { service, regions };
    let signer = api.gate.authenticate(&view, rules, &incoming.body_sha256(), now)?;
    let state = api.ledger.state();
    let unknown = || ServiceDenied::Signature(crate::sigv4::SigError::UnknownKey);
    let key = state.key(signer.access_key_id.as_str()).ok_or_else(unknown)?;
    let principal = Principal::Key { id: signer.access_key_id.clone() };
    let caller = incoming.caller(principal, dialect, signer.source_ip);
    let now = now.max(state.recorded_at());
    Ok(Signed { caller, key, state, now, signer })
}

impl Signed {
    /// Whether the caller may do `action` to `resource`, by the state it was authenticated in: the account root, or policies
    /// that allow it. `more`: condition keys of the request beside the caller's address and agent.
    pub fn may<'a>(&'a self, action: &'a str, resource: &'a str, more: &[(&'a str, Value<'a>)]) -> Access {
        let mut context = Vec::with_capacity(2 + more.len());
        context.push(("aws:SourceIp", Value::Address(self.signer.source_ip)));
        context.extend(self.caller.user_agent.as_deref().map(|agent| ("aws:UserAgent", Value::Text(agent))));
        context.extend_from_slice(more);
        let standing = self.state.standing(&self.key);
        standing.decide(&Request::new(action, resource, &context[..]), self.now)
    }

    /// Whether an earlier attempt of this call was done: a command now finds its outcome, though its target may be gone.
    pub fn was_done(&self, api: &Api, org: OrgUid, token: Option<&Token>) -> bool {
        token.is_some_and(|token| api.ledger.was_done(&self.caller, org, token, self.now))
    }

    /// Counts this call as a use of the key, when it is over.
    pub fn used(&self, api: &Api, incoming: &Incoming, is_write: bool, outcome: &str, bytes_out: u64) {
        let call = ServiceUse {
            class: if is_write { "manage" } else { "read" },
            user_agent: self.caller.user_agent.as_deref().unwrap_or_default(),
            outcome,
            bytes_in: incoming.body.len() as u64,
            bytes_out,
        };
        api.gate.used_service(&self.signer, call, self.now);
    }
}
