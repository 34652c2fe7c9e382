//! Who asks: whoever signed, or whoever holds a token that stands for a key.
//!
//! The Tigris CLI does not sign in its "OAuth" mode: its token is the only credential. Here it must be one of `keyledger token create`,
//! which stands for one access key and dies with it; `X-Tigris-Namespace` must then name that key's org.
//!
//! Invariants
//! - A token that expired, was closed, was never given out, or whose key cannot be used gets the answer that an unknown key gets.
//!
//! Not here: what the key may do (`state::access`).

use super::super::super::authenticate::{Signed, authenticate};
use super::super::super::{Api, Incoming};
use super::failure::Failure;
use crate::model::{Caller, Dialect, OrgOwner, Principal, Time};
use crate::policy::{Request, Value};
use crate::sigv4;
use crate::state::{KeyRecord, OrgRecord, State};
use compact_str::ToCompactString as _;
use std::net::IpAddr;

/// Longest token that is looked up.
const TOKEN_BYTES_MAX: usize = 128;

/// Somebody proven, with the key it stands on.
#[derive(Debug)]
pub enum Who {
    Signed(Box<Signed>),
    Token(Box<Holder>),
}

/// Whoever holds a token.
#[derive(Debug)]
pub struct Holder {
    caller: Caller,
    key: KeyRecord,
    state: State,
    now: Time,
    source_ip: IpAddr,
}

impl Who {
    /// # Errors
    /// 403; 400 for a request that cannot be read.
    pub fn prove(api: &Api, incoming: &Incoming) -> Result<Self, Failure> {
        let who = if incoming.headers.contains_key("authorization") || incoming.query().contains("X-Amz-Signature=") {
            Self::Signed(Box::new(signer(api, incoming)?))
        } else {
            Self::Token(Box::new(holder(api, incoming)?))
        };
        let org = who.state().org(who.key().org).ok_or_else(Failure::unknown_caller)?;
        match incoming.header("x-tigris-namespace") {
            Some(named) if is_named(org, named) => Ok(who),
            None if matches!(who, Self::Signed(_)) => Ok(who),
            _ => Err(Failure::unknown_caller()),
        }
    }

    pub fn caller(&self) -> &Caller {
        match self {
            Self::Signed(signed) => &signed.caller,
            Self::Token(holder) => &holder.caller,
        }
    }

    pub fn key(&self) -> &KeyRecord {
        match self {
            Self::Signed(signed) => &signed.key,
            Self::Token(holder) => &holder.key,
        }
    }

    /// The state the request is answered by.
    pub fn state(&self) -> &State {
        match self {
            Self::Signed(signed) => &signed.state,
            Self::Token(holder) => &holder.state,
        }
    }

    pub fn now(&self) -> Time {
        match self {
            Self::Signed(signed) => signed.now,
            Self::Token(holder) => holder.now,
        }
    }

    /// Whether the key may do `action` to `resource`.
    pub fn may(&self, action: &str, resource: &str) -> bool {
        match self {
            Self::Signed(signed) => signed.may(action, resource, &[]).is_allow(),
            Self::Token(holder) => {
                let mut context = Vec::with_capacity(2);
                context.push(("aws:SourceIp", Value::Address(holder.source_ip)));
                let agent = holder.caller.user_agent.as_deref();
                context.extend(agent.map(|agent| ("aws:UserAgent", Value::Text(agent))));
                let standing = holder.state.standing(&holder.key);
                standing.decide(&Request::new(action, resource, &context[..]), holder.now).is_allow()
            }
        }
    }

    /// Counts this call as a use of the key, when it is over.
    pub fn used(&self, api: &Api, incoming: &Incoming, is_write: bool, outcome: &str, bytes_out: u64) {
        match self {
            Self::Signed(signed) => signed.used(api, incoming, is_write, outcome, bytes_out),
            Self::Token(holder) => {
                let agent = holder.caller.user_agent.as_deref().unwrap_or_default();
                let call = crate::gate::ServiceUse {
                    class: if is_write { "manage" } else { "read" },
                    user_agent: agent,
                    outcome,
                    bytes_in: incoming.body.len() as u64,
                    bytes_out,
                };
                api.gate.used_by_token(&holder.key, holder.source_ip, call, holder.now);
            }
        }
    }
}

fn signer(api: &Api, incoming: &Incoming) -> Result<Signed, Failure> {
    let headers = incoming.header_pairs();
    let request =
        sigv4::Request { method: incoming.method.as_str(), target: incoming.target.as_bytes(), headers: &headers };
    let is_iam = sigv4::scope_of(&request).is_some_and(|(_, service)| service == "iam");
    let region = api.options.region.as_str();
    let signed = if is_iam {
        authenticate(api, incoming, Dialect::TigrisIam, "iam", &["us-east-1", "auto", region])
    } else {
        authenticate(api, incoming, Dialect::TigrisIam, "s3", &["auto"])
    };
    Ok(signed?)
}

fn holder(api: &Api, incoming: &Incoming) -> Result<Holder, Failure> {
    let mut tokens = incoming.headers.get_all("x-amz-security-token").iter();
    let (Some(token), None) = (tokens.next(), tokens.next()) else { return Err(Failure::unknown_caller()) };
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Failure::unknown_caller());
    }
    let headers = incoming.header_pairs();
    let source_ip = api.gate.source_ip(&incoming.view(&headers))?;
    let state = api.ledger.state();
    let now = api.now().max(state.recorded_at());
    let hash = blake3::hash(token.as_bytes());
    let found = state.api_token(hash.as_bytes()).filter(|token| now < token.expires_at);
    let key = found.and_then(|token| state.key_by_uid(token.key));
    let key = key.filter(|key| state.status(key, now).is_usable()).ok_or_else(Failure::unknown_caller)?;
    let caller = incoming.caller(Principal::Key { id: key.id.clone() }, Dialect::TigrisIam, source_ip);
    Ok(Holder { caller, key, state, now, source_ip })
}

/// Whether a namespace is this org: its account id, its alias, or its provider's id for it.
fn is_named(org: &OrgRecord, named: &str) -> bool {
    let external = match &org.owner {
        OrgOwner::Provider { external_id, .. } => Some(external_id.as_str()),
        OrgOwner::Operator => None,
    };
    org.account.to_compact_string() == named || org.alias.as_deref() == Some(named) || external == Some(named)
}
