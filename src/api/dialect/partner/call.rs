//! One call: which provider asks, for whom, of which org, and the ways to look and to order.
//!
//! Not here: single operations.

use super::super::super::{Api, Incoming};
use super::body::UserRole;
use super::refused::Refused;
use crate::ledger::{Command, Done, ExecuteError, Noun, Outcome, Refusal, Token};
use crate::model::{Caller, Dialect, KeyOwner, OrgOwner, OrgSettings, Principal, Role, Time, limits};
use crate::state::{KeyRecord, OrgRecord, State};
use compact_str::{CompactString, format_compact};
use std::net::IpAddr;
use std::sync::Arc;

/// See the module.
pub struct Call<'a> {
    pub api: &'a Api,
    pub incoming: &'a Incoming,
    pub provider: CompactString,
    source_ip: IpAddr,
    token: Option<Token>,
}

/// Whom a call is for, as the provider claims.
#[derive(Debug, Clone)]
pub struct Claim {
    pub role: Role,
    pub user_id: CompactString,
}

impl Claim {
    /// # Errors
    /// 400 for a `user_id` that is none.
    pub fn new(user_id: &str, role: Option<UserRole>) -> Result<Self, Refused> {
        limits::external_id(user_id).map_err(|_| {
            Refused::input("user_id is not valid: expected 1 to 256 characters without control characters.")
        })?;
        Ok(Self { role: role.unwrap_or_default().role(), user_id: user_id.into() })
    }

    /// A key of the org that the claim gives sight of.
    ///
    /// # Errors
    /// 404, the same whatever the reason.
    pub fn key(&self, state: &State, org: &OrgRecord, id: &str) -> Result<KeyRecord, Refused> {
        let user = state.user_by_external_id(org.org, &self.user_id).map(|user| user.user);
        let is_seen = |key: &KeyRecord| {
            key.org == org.org
                && !key.is_deleted()
                && (self.role == Role::Admin || user.is_some_and(|user| key.owner == KeyOwner::User(user)))
        };
        state.key(id).filter(is_seen).ok_or_else(Refused::no_key)
    }
}

impl<'a> Call<'a> {
    /// # Errors
    /// 400 for an `Idempotency-Key` that is none.
    pub fn of(api: &'a Api, incoming: &'a Incoming, provider: CompactString) -> Result<Self, Refused> {
        let token = match incoming.headers.get("idempotency-key") {
            None => None,
            Some(value) => {
                let token = value.to_str().ok().and_then(|text| Token::parse(text).ok());
                Some(token.ok_or_else(|| Refused::input("Idempotency-Key is not 1 to 64 visible characters."))?)
            }
        };
        let headers = incoming.header_pairs();
        let source_ip = api.gate.source_ip(&incoming.view(&headers));
        let source_ip = source_ip.map_err(|_| Refused::input("X-Forwarded-For has an entry that is no address."))?;
        Ok(Self { api, incoming, provider, source_ip, token })
    }

    /// The newest state.
    pub fn state(&self) -> State {
        self.api.ledger.state()
    }

    /// What statuses are told by.
    pub fn now(&self, state: &State) -> Time {
        self.api.now().max(state.recorded_at())
    }

    /// The provider's org of this id.
    ///
    /// # Errors
    /// 404.
    pub fn org(&self, state: &State, id: &str) -> Result<Arc<OrgRecord>, Refused> {
        state.org_by_external_id(&self.provider, id).cloned().ok_or_else(Refused::no_org)
    }

    /// The provider's org of this id, made if it is not there and the provider has not said that it makes its orgs itself.
    ///
    /// # Errors
    /// 404; 400 for an id or name that is none.
    pub async fn org_or_new(&self, id: &str, name: Option<&str>) -> Result<Arc<OrgRecord>, Refused> {
        let state = self.state();
        if let Ok(org) = self.org(&state, id) {
            return Ok(org);
        }
        if state.provider(&self.provider).is_none_or(|provider| provider.explicit_orgs) {
            return Err(Refused::no_org());
        }
        match self.make_org(id, name).await {
            // Somebody was faster: that is the org then.
            Ok(_) | Err(OrgNotMade::IsThere) => self.org(&self.state(), id),
            Err(OrgNotMade::Refused(refused)) => Err(refused),
        }
    }

    /// Makes an org.
    pub async fn make_org(&self, id: &str, name: Option<&str>) -> Result<Arc<OrgRecord>, OrgNotMade> {
        let owner = OrgOwner::Provider { provider: self.provider.clone(), external_id: id.into() };
        let name = name.unwrap_or(id).into();
        let command = Command::CreateOrg { name, account: None, owner, settings: Box::<OrgSettings>::default() };
        let caller = self.caller(None);
        // The token is the call's own command's.
        match self.api.ledger.execute(&caller, command, None).await {
            Ok(Done { outcome: Outcome::OrgCreated { org, .. }, .. }) => {
                self.state().org(org).cloned().ok_or_else(|| OrgNotMade::Refused(Refused::no_org()))
            }
            Ok(_) | Err(ExecuteError::Refused(Refusal::AlreadyExists { noun: Noun::Org, .. })) => {
                Err(OrgNotMade::IsThere)
            }
            Err(error) => Err(OrgNotMade::Refused(error.into())),
        }
    }

    /// Who the log will say it was. Without a claim the provider speaks for itself.
    pub fn caller(&self, claim: Option<&Claim>) -> Caller {
        let role = claim.map_or(Role::Admin, |claim| claim.role);
        let user = claim.map(|claim| claim.user_id.clone());
        let principal = Principal::Provider { provider: self.provider.clone(), role, user };
        let mut caller = self.incoming.caller(principal, Dialect::Partner, self.source_ip);
        caller.reason = claim.map(|claim| format_compact!("for user {} as {}", claim.user_id, claim.role.as_str()));
        caller
    }

    /// Orders a command, and waits until it is durable.
    ///
    /// # Errors
    /// In the API's words.
    pub async fn execute(&self, claim: Option<&Claim>, command: Command) -> Result<Done, Refused> {
        Ok(self.api.ledger.execute(&self.caller(claim), command, self.token.clone()).await?)
    }
}

/// Why an org was not made.
#[derive(Debug)]
pub enum OrgNotMade {
    IsThere,
    Refused(Refused),
}
