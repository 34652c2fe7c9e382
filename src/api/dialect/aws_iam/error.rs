//! What went wrong, in AWS IAM's words: code, HTTP status, message (botocore 1.44.5; AWS, "Common errors").
//!
//! Not here: rules; a [`Refusal`] says which one, and this says how AWS would.

use super::super::super::Fault;
use crate::gate::ServiceDenied;
use crate::ledger::{ExecuteError, Noun, Refusal};
use crate::model::limits;
use crate::sigv4::SigError;
use std::borrow::Cow;

/// An error as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IamError {
    pub status: u16,
    pub code: &'static str,
    pub message: Cow<'static, str>,
}

impl IamError {
    pub fn new(status: u16, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub fn validation(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    /// The request is no form.
    pub fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "MalformedInput", message)
    }

    pub fn input(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "InvalidInput", message)
    }

    /// What should name something is no ARN of its kind.
    pub fn bad_arn(arn: &str) -> Self {
        Self::input(format!("ARN {} is not valid.", crate::model::text::excerpt(arn, 128)))
    }

    pub fn no_such(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(404, "NoSuchEntity", message)
    }

    pub fn unknown_action(action: &str) -> Self {
        let action = crate::model::text::excerpt(action, 64);
        Self::new(400, "InvalidAction", format!("Could not find operation {action} for version 2010-05-08"))
    }

    /// What the server refuses.
    pub fn of_fault(fault: Fault) -> Self {
        let code = match fault {
            Fault::TooLarge => "RequestEntityTooLarge",
            Fault::TooSlow => "RequestTimeout",
            Fault::Broken => "MalformedInput",
            Fault::Busy => "ServiceUnavailable",
            Fault::Failed => "ServiceFailure",
        };
        Self::new(fault.status(), code, fault.message())
    }
}

impl From<ServiceDenied> for IamError {
    fn from(denied: ServiceDenied) -> Self {
        match denied {
            ServiceDenied::Token => {
                Self::new(403, "InvalidClientTokenId", "The security token included in the request is invalid")
            }
            ServiceDenied::ForwardedFor => Self::validation("X-Forwarded-For has an entry that is no address"),
            ServiceDenied::Unavailable => Self::new(503, "ServiceUnavailable", "The service cannot answer now"),
            ServiceDenied::Signature(error) => Self::of_signature(&error),
        }
    }
}

impl IamError {
    fn of_signature(error: &SigError) -> Self {
        match error {
            SigError::NotSigned => {
                Self::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
            }
            SigError::UnknownKey => {
                Self::new(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
            }
            SigError::Mismatch | SigError::PayloadMismatch => Self::new(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                 Access Key and signing method. Consult the service documentation for details.",
            ),
            SigError::Skewed | SigError::NotYetValid => Self::new(
                403,
                "SignatureDoesNotMatch",
                "Signature not current: the request's time is too far from ours",
            ),
            SigError::Expired => Self::new(400, "RequestExpired", "Request has expired"),
            SigError::Scope { part, expected, .. } => {
                let text = format!(
                    "Credential should be scoped to a valid {}, not to another than '{expected}'.",
                    part.as_str()
                );
                Self::new(403, "SignatureDoesNotMatch", text)
            }
            SigError::UnsignedHeader(name) => {
                Self::new(403, "SignatureDoesNotMatch", format!("Header '{name}' must be a signed header"))
            }
            // Its texts are ours; what they repeat of the request is escaped.
            other => Self::new(400, "IncompleteSignature", other.to_string()),
        }
    }
}

impl From<ExecuteError> for IamError {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Refused(refusal) => refusal.into(),
            ExecuteError::QueueFull { .. } => Self::of_fault(Fault::Busy),
            ExecuteError::Indeterminate => Self::new(
                500,
                "ServiceFailure",
                "Whether this was done is unknown. List what there is before you try again.",
            ),
            // The log, the keystore, or the end of the server: nothing was written. The text may name files.
            error => {
                tracing::warn!(%error, "a command could not be written");
                Self::new(503, "ServiceUnavailable", "Nothing can be written now; reads go on.")
            }
        }
    }
}

fn not_found(noun: Noun, name: &str) -> IamError {
    IamError::no_such(match noun {
        Noun::User => format!("The user with name {name} cannot be found."),
        Noun::Group => format!("The group with name {name} cannot be found."),
        Noun::Key => format!("The Access Key with id {name} cannot be found."),
        Noun::Policy => format!("Policy {name} does not exist or is not attachable."),
        Noun::PolicyVersion => format!("Policy version {name} does not exist or is not attachable."),
        Noun::InlinePolicy => format!("The policy with name {name} cannot be found."),
        Noun::Attachment => format!("Policy {name} was not found."),
        Noun::Member => format!("The user with name {name} is not in the group."),
        noun => format!("The {noun} {name} cannot be found."),
    })
}

fn limit(what: &str, max: usize) -> IamError {
    let quota = match what {
        "users" => "UsersPerAccount",
        "groups" if max == limits::GROUPS_PER_USER_MAX => "GroupsPerUser",
        "groups" => "GroupsPerAccount",
        "policies" => "PoliciesPerAccount",
        "attached policies" => "PoliciesPerUser",
        "tags" => "TagsPerResource",
        "characters of inline policies" => "MaximumPolicySize",
        "versions" => {
            let text = format!(
                "A managed policy can have up to {max} versions. Before you create a new version, you must delete an \
                 existing version."
            );
            return IamError::new(409, "LimitExceeded", text);
        }
        what => return IamError::new(409, "LimitExceeded", format!("Cannot exceed {max} {what}")),
    };
    IamError::new(409, "LimitExceeded", format!("Cannot exceed quota for {quota}: {max}"))
}

fn conflict(noun: Noun, what: &str) -> IamError {
    let text = match (noun, what) {
        (Noun::PolicyVersion, _) => "Cannot delete the default version of a policy.".to_owned(),
        (Noun::Policy, "other versions") => {
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. \
             The default version is deleted with the policy."
                .to_owned()
        }
        (Noun::Policy, _) => "Cannot delete a policy attached to entities.".to_owned(),
        (_, "access keys") => "Cannot delete entity, must delete access keys first.".to_owned(),
        (_, "attached policies") => "Cannot delete entity, must detach all policies first.".to_owned(),
        (_, "inline policies") => "Cannot delete entity, must delete policies first.".to_owned(),
        (_, "members" | "groups it is in") => "Cannot delete entity, must remove users from group first.".to_owned(),
        (_, what) => format!("Cannot delete entity, must remove {what} first."),
    };
    IamError::new(409, "DeleteConflict", text)
}

impl From<Refusal> for IamError {
    fn from(refusal: Refusal) -> Self {
        match &refusal {
            Refusal::NotFound { noun, name } => not_found(*noun, name),
            Refusal::AlreadyExists { noun, name } => {
                let noun = match noun {
                    Noun::User => "User",
                    Noun::Group => "Group",
                    Noun::Policy => "A policy",
                    Noun::Alias => "The account alias",
                    noun => noun.as_str(),
                };
                Self::new(409, "EntityAlreadyExists", format!("{noun} with name {name} already exists."))
            }
            Refusal::KeyLimitReached { max, .. } => {
                Self::new(409, "LimitExceeded", format!("Cannot exceed quota for AccessKeysPerUser: {max}"))
            }
            Refusal::LimitReached { what, max, .. } => limit(what, *max),
            Refusal::DeleteConflict { noun, what, .. } => conflict(*noun, what),
            Refusal::Unmodifiable { name, .. } => {
                Self::new(403, "AccessDenied", format!("Policy {name} is outside your own account."))
            }
            Refusal::BadDocument(error) if error.path == "document" && error.found.ends_with(" characters") => {
                let max: String = error.expected.chars().filter(char::is_ascii_digit).collect();
                Self::new(409, "LimitExceeded", format!("Cannot exceed quota for PolicySize: {max}"))
            }
            Refusal::BadDocument(error) => Self::new(400, "MalformedPolicyDocument", error.to_string()),
            Refusal::InvalidField(error) => Self::validation(error.to_string()),
            Refusal::InvalidTransition { .. } | Refusal::TooManySecrets { .. } | Refusal::LastSecret { .. } => {
                Self::input(refusal.to_string())
            }
            Refusal::PreconditionFailed { .. } | Refusal::TokenConflict { .. } => {
                Self::new(409, "ConcurrentModification", refusal.to_string())
            }
            Refusal::Forbidden { why } => Self::new(403, "AccessDenied", *why),
            Refusal::TooLarge { .. } => Self::new(409, "LimitExceeded", refusal.to_string()),
            // The clock leapt.
            _ => Self::new(503, "ServiceUnavailable", refusal.to_string()),
        }
    }
}
