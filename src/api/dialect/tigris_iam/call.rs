//! One call: who asks what of which org, and the ways to look and to order.
//!
//! Not here: single actions.

use super::super::super::Api;
use super::failure::Failure;
use super::form::Form;
use super::who::Who;
use crate::ledger::{Command, Done, Token};
use crate::model::{AccountId, OrgUid};
use crate::state::{KeyRecord, State};

/// See the module.
pub struct Call<'a> {
    pub api: &'a Api,
    pub who: &'a Who,
    pub form: &'a Form,
    pub org: OrgUid,
    pub account: AccountId,
}

impl<'a> Call<'a> {
    /// # Errors
    /// 403 when the key's org is gone.
    pub fn of(api: &'a Api, who: &'a Who, form: &'a Form) -> Result<Self, Failure> {
        let org = who.state().org(who.key().org).ok_or_else(Failure::unknown_caller)?;
        Ok(Self { api, who, form, org: org.org, account: org.account })
    }

    pub fn state(&self) -> &'a State {
        self.who.state()
    }

    /// The state in which what was just done can be seen.
    pub fn newest(&self) -> State {
        self.api.ledger.state()
    }

    /// # Errors
    /// AccessDenied.
    pub fn authorize(&self, action: &'static str, resource: &str) -> Result<(), Failure> {
        if self.who.may(action, resource) { Ok(()) } else { Err(Failure::denied(action)) }
    }

    /// A key of the org, for whoever may know of it.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub fn key(&self, id: &str) -> Result<KeyRecord, Failure> {
        self.state().key(id).filter(|key| key.org == self.org && !key.is_deleted()).ok_or_else(Failure::no_key)
    }

    pub fn policy_arn(&self, path: &str, name: &str) -> String {
        format!("arn:aws:iam::{}:policy{path}{name}", self.account)
    }

    /// Orders a command, and waits until it is durable. `token`: the client's own id of the call.
    ///
    /// # Errors
    /// In the dialect's words.
    pub async fn execute(&self, command: Command, token: Option<&str>) -> Result<Done, Failure> {
        let token = match token {
            None => None,
            Some(text) => {
                Some(Token::parse(text).map_err(|_| Failure::input("The request's id is not 1 to 64 characters."))?)
            }
        };
        Ok(self.api.ledger.execute(self.who.caller(), command, token).await?)
    }
}
