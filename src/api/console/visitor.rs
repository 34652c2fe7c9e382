//! Whoever is signed in, checked against the state of this very request.
//!
//! | role | sees | changes |
//! |---|---|---|
//! | Root: a key of the org with Admin on `*` | all of its org | what the ledger lets it |
//! | Admin: an unscoped key of such a user | the same | the same |
//! | Auditor | the same | nothing |
//! | Member | its own keys | its own keys |
//!
//! Invariants
//! - A session ends with its key, the secret it was opened with, its owner's role, or the org; and with quarantine, a Deny or a
//!   permissions boundary that bears on reading here.
//!
//! Not here: what a command is allowed (`ledger::decide`).

use super::refused::Refused;
use super::session::{self, COOKIE, Seen, Session};
use crate::api::{Api, Incoming};
use crate::gate::ServiceUse;
use crate::ledger::{Command, Done, Token};
use crate::model::{AccessKeyId, Caller, Dialect, GrantRole, KeyOwner, Principal, Time, UserUid};
use crate::policy::{Request, Value};
use crate::state::access::Reason;
use crate::state::{KeyRecord, Marks, OrgRecord, State};
use compact_str::CompactString;
use std::net::IpAddr;
use std::sync::Arc;

/// What a person reads here, in policies.
const READS: &str = "keyledger:ReadConsole";

/// As what somebody is signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Root,
    Admin(UserUid),
    Auditor(UserUid),
    Member(UserUid),
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Root => "Root",
            Role::Admin(_) => "Admin",
            Role::Auditor(_) => "Auditor",
            Role::Member(_) => "Member",
        }
    }

    pub fn sees_all(self) -> bool {
        !matches!(self, Role::Member(_))
    }

    pub fn changes(self) -> bool {
        !matches!(self, Role::Auditor(_))
    }

    /// As what a key that can be used signs in; `None`: it does not.
    pub fn of(state: &State, key: &KeyRecord, source_ip: IpAddr, now: Time) -> Option<Self> {
        if key.marks.has(Marks::QUARANTINED) || state.restored().is_some() {
            return None;
        }
        let uid = match &key.owner {
            KeyOwner::Org => {
                let is_root = |grant: &crate::model::Grant| grant.bucket.is_none() && grant.role == GrantRole::Admin;
                return key.rights().grants.iter().any(is_root).then_some(Role::Root);
            }
            KeyOwner::User(uid) if !key.is_scoped() => *uid,
            KeyOwner::User(_) | KeyOwner::Bucket(_) => return None,
        };
        let user = state.user(uid).filter(|user| user.deleted_at.is_none())?;
        let context = [("aws:SourceIp", Value::Address(source_ip))];
        let asked = Request::new(READS, "*", &context[..]);
        match state.standing(key).decide(&asked, now).reason {
            Reason::Denied { .. } | Reason::Boundary { .. } | Reason::Unreadable { .. } | Reason::Quarantined => None,
            _ => Some(match user.role {
                crate::model::Role::Admin => Role::Admin(uid),
                crate::model::Role::Auditor => Role::Auditor(uid),
                crate::model::Role::Member => Role::Member(uid),
            }),
        }
    }
}

/// Somebody signed in, and the state its request is answered by.
#[derive(Debug)]
pub struct Visitor {
    pub state: State,
    pub org: Arc<OrgRecord>,
    /// The key it signed in with.
    pub key: KeyRecord,
    pub role: Role,
    /// The wall clock, or the newest commit where that is later.
    pub now: Time,
    pub caller: Caller,
    pub hash: [u8; 32],
    source_ip: IpAddr,
    form_token: CompactString,
}

impl Visitor {
    /// Whose the request's cookie is. A session that is found to be over is closed.
    pub async fn of(api: &Api, incoming: &Incoming) -> Option<Self> {
        let cookie = session::cookie(incoming, COOKIE)?;
        let hash = session::hash_of(cookie);
        let headers = incoming.header_pairs();
        let source_ip = api.gate.source_ip(&incoming.view(&headers)).ok()?;
        let state = api.ledger.state();
        let now = api.now().max(state.recorded_at());
        let (session, why) = match api.console.sessions.seen(&hash, now)? {
            Seen::Live(session) => match Self::still(&state, &session, &hash, source_ip, now) {
                Ok((key, org)) => {
                    let caller = caller(incoming, &key.id, source_ip);
                    let form_token = session::form_token(cookie);
                    let role = session.role;
                    return Some(Self { state, org, key, role, now, caller, hash, source_ip, form_token });
                }
                Err(why) => (session, why),
            },
            Seen::Over(session, why) => (session, why),
        };
        api.console.sessions.close(&hash);
        close(api, session.key, hash, why).await;
        None
    }

    /// The session's key and org, as they are now.
    ///
    /// # Errors
    /// What it died with.
    fn still(
        state: &State,
        session: &Session,
        hash: &[u8; 32],
        source_ip: IpAddr,
        now: Time,
    ) -> Result<(KeyRecord, Arc<OrgRecord>), &'static str> {
        let key = state.key(session.key.as_str()).ok_or("the key")?;
        if !state.status(&key, now).is_usable() {
            return Err("the key cannot be used");
        }
        state.session(hash).filter(|known| now < known.expires_at && known.key == key.uid()).ok_or("closed")?;
        if !key.live_secrets(now).any(|secret| secret.version == session.secret_version) {
            return Err("the secret it was opened with ended");
        }
        let role = Role::of(state, &key, source_ip, now).filter(|role| *role == session.role);
        role.ok_or("the role of its owner changed")?;
        let org = state.org(key.org).cloned().ok_or("the org")?;
        Ok((key, org))
    }

    /// What the session's forms carry.
    pub fn form_token(&self) -> &str {
        &self.form_token
    }

    /// The org's key of this id, for whoever may see it; deleted ones too.
    ///
    /// # Errors
    /// 404, the same for what is another's and what nobody has.
    pub fn key(&self, id: &str) -> Result<KeyRecord, Refused> {
        let found = self.state.key(id).filter(|key| key.org == self.org.org);
        found.filter(|key| self.sees(&key.owner)).ok_or_else(Refused::missing)
    }

    pub fn sees(&self, owner: &KeyOwner) -> bool {
        match self.role {
            Role::Member(own) => *owner == KeyOwner::User(own),
            _ => true,
        }
    }

    /// # Errors
    /// 403 for a Member.
    pub fn sees_all(&self) -> Result<(), Refused> {
        if self.role.sees_all() {
            return Ok(());
        }
        Err(Refused::forbidden("A Member sees its own keys alone. Ask an Admin of the org."))
    }

    /// Orders a command, and waits until it is durable. `token`: of the form, so that sending it twice does it once.
    ///
    /// # Errors
    /// In words for people.
    pub async fn execute(&self, api: &Api, command: Command, token: Option<&str>) -> Result<Done, Refused> {
        if !self.role.changes() {
            return Err(Refused::forbidden("An Auditor reads and changes nothing."));
        }
        let token = token.map(Token::parse).transpose()?;
        Ok(api.ledger.execute(&self.caller, command, token).await?)
    }

    /// Counts this call as a use of the key.
    pub fn used(&self, api: &Api, incoming: &Incoming, is_write: bool, outcome: &str) {
        let call = ServiceUse {
            class: if is_write { "manage" } else { "read" },
            user_agent: self.caller.user_agent.as_deref().unwrap_or_default(),
            outcome,
            bytes_in: incoming.body.len() as u64,
            bytes_out: 0,
        };
        api.gate.used_by_session(&self.key, self.source_ip, call, self.now);
    }
}

/// Whoever stands behind a session, for the ledger.
pub fn caller(incoming: &Incoming, key: &AccessKeyId, source_ip: IpAddr) -> Caller {
    incoming.caller(Principal::Key { id: key.clone() }, Dialect::Console, source_ip)
}

/// Tells the log that a session is over. By keyledger itself: its key may be dead.
pub async fn close(api: &Api, key: AccessKeyId, session_hash: [u8; 32], why: &str) {
    let command = Command::CloseSession { key, session_hash, why: why.into() };
    if let Err(error) = api.ledger.execute(&Caller::system("console"), command, None).await {
        tracing::warn!(%error, "the end of a session could not be written");
    }
}
