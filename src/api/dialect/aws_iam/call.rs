//! One call: who asks what of which org, and the ways to look and to order.
//!
//! Not here: single actions.

use super::super::super::authenticate::Signed;
use super::super::super::{Api, Incoming};
use super::ACTIONS;
use super::error::IamError;
use super::form::{Form, Shape};
use super::names::{AnyPolicy, group_arn, root_arn, user_arn};
use super::xml::Xml;
use crate::ledger::{Command, Done, Refusal, Token};
use crate::model::{AccountId, KeyOwner, OrgUid, Time};
use crate::state::{GroupRecord, State, UserRecord};
use std::sync::Arc;

/// What an action answers: its result's elements, or none.
pub type Answer = Result<Option<Xml>, IamError>;

/// See the module.
pub struct Call<'a> {
    pub api: &'a Api,
    pub signed: &'a Signed,
    pub form: Form,
    /// One of [`ACTIONS`].
    pub action: &'static str,
    pub org: OrgUid,
    pub account: AccountId,
    token: Option<Token>,
}

/// NoSuchEntity.
pub fn no_such_user(name: &str) -> IamError {
    IamError::no_such(format!("The user with name {name} cannot be found."))
}

impl<'a> Call<'a> {
    /// # Errors
    /// MissingAction, InvalidAction.
    pub fn of(api: &'a Api, incoming: &Incoming, signed: &'a Signed, form: Form) -> Result<Self, IamError> {
        let missing =
            || IamError::new(400, "MissingAction", "The request is missing an action or a required parameter.");
        let asked = form.raw("Action").filter(|action| !action.is_empty()).ok_or_else(missing)?;
        let version = form.raw("Version").unwrap_or("2010-05-08");
        let known = ACTIONS.iter().find(|action| **action == asked && version == "2010-05-08");
        let action = *known.ok_or_else(|| IamError::unknown_action(asked))?;
        let org = signed.state.org(signed.key.org);
        let (org, account) = org.map(|org| (org.org, org.account)).ok_or_else(|| {
            IamError::new(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
        })?;
        // The same in every attempt of one call (AWS SDKs, "retry behavior").
        let token = incoming.header("amz-sdk-invocation-id").and_then(|id| Token::parse(id).ok());
        Ok(Self { api, signed, form, action, org, account, token })
    }

    pub fn state(&self) -> &State {
        &self.signed.state
    }

    pub fn now(&self) -> Time {
        self.signed.now
    }

    /// The caller's ARN.
    pub fn caller_arn(&self) -> String {
        match self.state().standing(&self.signed.key).user() {
            Some(user) => user_arn(self.account, &user.path, &user.name),
            None => root_arn(self.account),
        }
    }

    /// Whether the caller may do this to `resource`.
    ///
    /// # Errors
    /// AccessDenied.
    pub fn authorize(&self, resource: &str) -> Result<(), IamError> {
        let action = format!("iam:{}", self.action);
        let access = self.signed.may(&action, resource, &[]);
        if access.is_allow() { Ok(()) } else { Err(self.denied(resource, Some(access.reason))) }
    }

    fn denied(&self, resource: &str, reason: Option<crate::state::access::Reason>) -> IamError {
        use crate::state::access::Reason;
        let because = match reason {
            Some(Reason::Denied { .. }) => "with an explicit deny in an identity-based policy",
            Some(Reason::Boundary { by: Some(_) }) => "with an explicit deny in a permissions boundary",
            Some(Reason::Boundary { by: None }) => "because no permissions boundary allows the action",
            Some(Reason::Quarantined) => "with an explicit deny: the access key is quarantined",
            _ => "because no identity-based policy allows the action",
        };
        let (caller, action) = (self.caller_arn(), self.action);
        let resource = crate::model::text::excerpt(resource, 512);
        let text =
            format!("User: {caller} is not authorized to perform: iam:{action} on resource: {resource} {because}");
        IamError::new(403, "AccessDenied", text)
    }

    /// Orders a command about `resource`, and waits until it is durable.
    ///
    /// # Errors
    /// In AWS's words.
    pub async fn execute(&self, resource: &str, command: Command) -> Result<Done, IamError> {
        let done = self.api.ledger.execute(&self.signed.caller, command, self.token.clone()).await;
        done.map_err(|error| match error {
            crate::ledger::ExecuteError::Refused(Refusal::Forbidden { why }) => {
                let mut denied = self.denied(resource, None);
                denied.message = format!("{} ({why})", denied.message).into();
                denied
            }
            error => error.into(),
        })
    }

    /// Orders a command that answers nothing.
    ///
    /// # Errors
    /// In AWS's words.
    pub async fn order(&self, resource: &str, command: Command) -> Answer {
        self.execute(resource, command).await.map(|_| None)
    }

    /// [`Signed::was_done`]
    pub fn was_done(&self) -> bool {
        self.signed.was_done(self.api, self.org, self.token.as_ref())
    }

    /// The state in which what was just done can be seen.
    pub fn newest(&self) -> State {
        self.api.ledger.state()
    }

    /// The ARN of the user of this name, whether it is there or not.
    pub fn arn_of_user(&self, name: &str) -> String {
        match self.state().user_by_name(self.org, name) {
            Some(user) => user_arn(self.account, &user.path, &user.name),
            None => user_arn(self.account, "/", name),
        }
    }

    /// The ARN of the group of this name, whether it is there or not.
    pub fn arn_of_group(&self, name: &str) -> String {
        match self.state().group_by_name(self.org, name) {
            Some(group) => group_arn(self.account, &group.path, &group.name),
            None => group_arn(self.account, "/", name),
        }
    }

    /// The user of this name, for whoever may know of it.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub fn user(&self, name: &str) -> Result<&Arc<UserRecord>, IamError> {
        self.state().user_by_name(self.org, name).ok_or_else(|| no_such_user(name))
    }

    /// The group of this name, for whoever may know of it.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub fn group(&self, name: &str) -> Result<&Arc<GroupRecord>, IamError> {
        let missing = || IamError::no_such(format!("The group with name {name} cannot be found."));
        self.state().group_by_name(self.org, name).ok_or_else(missing)
    }

    /// The policy of this ARN, for whoever may know of it.
    ///
    /// # Errors
    /// NoSuchEntity.
    pub fn policy(&self, arn: &str) -> Result<AnyPolicy, IamError> {
        AnyPolicy::by_arn(self.state(), self.org, self.account, arn).ok_or_else(|| {
            IamError::no_such(format!("Policy {} was not found.", crate::model::text::excerpt(arn, 128)))
        })
    }

    /// `PolicyArn`.
    ///
    /// # Errors
    /// ValidationError, InvalidInput for what is no ARN of a policy.
    pub fn policy_arn(&self) -> Result<&str, IamError> {
        let arn = self.form.required("PolicyArn", Shape::ARN)?;
        arn_of_policy(arn)
    }

    /// `PermissionsBoundary`, which may be left out.
    ///
    /// # Errors
    /// ValidationError, InvalidInput for what is no ARN of a policy.
    pub fn boundary_arn(&self) -> Result<Option<&str>, IamError> {
        self.form.optional("PermissionsBoundary", Shape::ARN)?.map(arn_of_policy).transpose()
    }

    /// The user that `UserName` names, or else the one that owns the signing key; `None` for the account root.
    ///
    /// # Errors
    /// ValidationError.
    pub fn user_name(&self) -> Result<Option<String>, IamError> {
        if let Some(name) = self.form.optional("UserName", Shape::NAME)? {
            return Ok(Some(name.to_owned()));
        }
        match &self.signed.key.owner {
            KeyOwner::User(uid) => {
                let user = self.state().user(*uid).ok_or_else(|| IamError::no_such("The user cannot be found."))?;
                Ok(Some(user.name.to_string()))
            }
            KeyOwner::Org | KeyOwner::Bucket(_) => Ok(None),
        }
    }
}

fn arn_of_policy(arn: &str) -> Result<&str, IamError> {
    if arn.starts_with("arn:") && arn.contains(":policy/") { Ok(arn) } else { Err(IamError::bad_arn(arn)) }
}
