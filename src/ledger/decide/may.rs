//! Who may command what: one function, before anything else is looked at.
//!
//! | who | may |
//! |---|---|
//! | operator, keyledger itself | everything |
//! | the root: a key of the org with Admin on `*` | everything in its org but the org's own life (suspend, resume, settings) |
//! | an unscoped key of an Admin user, by the native API, console or library | the same, less what a Deny or boundary takes |
//! | an unscoped key of a Member, by the same | its own keys: create, label, describe, tag, rotate, shorten, suspend, revoke, delete |
//! | a key whose policies allow the command, by an AWS dialect | that command; keys it makes have no more than a scoped maker |
//! | a provider | its own orgs and what is in them, by the role it claims |
//! | any key | opening and closing its own session of the console |
//! | a storage node | registering and forgetting buckets, telling of use |
//!
//! Invariants
//! - Not denied is never allowed: each line above allows, and what no line allows is refused.
//! - INVARIANT: a quarantined, suspended, expired, revoked or deleted key commands nothing, whatever else it has.
//! - A role of a user never outweighs a Deny or a permissions boundary that bears on it.
//!
//! Not here: what a command is called in policies (`action`), and what a new key may have (`key`).

use super::super::command::{Command, OwnerName, Subject};
use super::super::error::{Noun, Refusal};
use super::action::{action_of, resource_of};
use super::{find, is_quarantined};
use crate::model::{Caller, Dialect, GrantRole, KeyOwner, OrgOwner, OrgUid, Principal, Role, Time, UserUid};
use crate::policy::{Request, Value};
use crate::state::access::Reason;
use crate::state::{Access, KeyRecord, State};
use std::net::IpAddr;

/// What a caller was found to be, for the rules that depend on it.
#[derive(Debug, Clone)]
pub enum Authority {
    /// Operator or keyledger itself.
    Whole,
    /// Everything in one org. `maker`: the key it stands on, which needs no bounding.
    Admin {
        maker: Option<Box<KeyRecord>>,
    },
    /// Its own keys; what it makes is bounded by `maker`. A provider speaks for its members without a key.
    Member {
        user: UserUid,
        maker: Option<Box<KeyRecord>>,
    },
    /// One command that the policies of `maker` allow. What a scoped key makes is bounded by it.
    Policy {
        maker: Box<KeyRecord>,
    },
    Node,
}

impl Authority {
    /// Whether it stands above the owners of keys: what it suspends only its like resumes.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        matches!(self, Authority::Whole | Authority::Admin { .. })
    }
}

/// What a command asks for, as far as rights go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The ledger as a whole, or the life of an org.
    Ledger,
    /// An org's life: its operator's, or its provider's.
    OrgLife,
    /// Anything in an org that only Admin does.
    Org,
    /// What a Member may do with a key of its own.
    OwnKey,
    /// Creating a key.
    NewKey,
    Bucket,
    /// Telling what was seen of keys: a node's, and nobody's by a key.
    Use,
    /// A session of the console: its own key's.
    Session,
}

fn reach(command: &Command) -> Reach {
    match command.bare() {
        Command::CreateOrg { .. } | Command::SuspendOrg { .. } | Command::ResumeOrg { .. } => Reach::OrgLife,
        Command::CreateKey { .. } => Reach::NewKey,
        Command::LabelKey { .. }
        | Command::DescribeKey { .. }
        | Command::TagKey { .. }
        | Command::SetKeyExpiry { .. }
        | Command::SuspendKey { .. }
        | Command::ResumeKey { .. }
        | Command::RevokeKey { .. }
        | Command::DeleteKey { .. }
        | Command::RotateKey { .. }
        | Command::RotateSecret { .. }
        | Command::RetireSecret { .. } => Reach::OwnKey,
        Command::RegisterBucket { .. } | Command::ForgetBucket { .. } => Reach::Bucket,
        Command::RecordUse { .. } => Reach::Use,
        Command::SetOrgAlias { .. }
        | Command::CreateUser { .. }
        | Command::UpdateUser { .. }
        | Command::SetUserRole { .. }
        | Command::TagUser { .. }
        | Command::SetUserBoundary { .. }
        | Command::DeleteUser { .. }
        | Command::CreateGroup { .. }
        | Command::UpdateGroup { .. }
        | Command::DeleteGroup { .. }
        | Command::AddGroupMember { .. }
        | Command::RemoveGroupMember { .. }
        | Command::ImportKey { .. }
        | Command::SetKeyGrants { .. }
        | Command::SetKeyDefaultAllow { .. }
        | Command::CreateKeyWith { .. }
        | Command::UpdateKeyRights { .. }
        | Command::OpenToken { .. }
        | Command::CloseToken { .. }
        | Command::FlagKey { .. }
        | Command::ClearKey { .. }
        | Command::CreatePolicy { .. }
        | Command::TagPolicy { .. }
        | Command::CreatePolicyVersion { .. }
        | Command::ReplacePolicyDocument { .. }
        | Command::UpdatePolicy { .. }
        | Command::SetDefaultPolicyVersion { .. }
        | Command::DeletePolicyVersion { .. }
        | Command::DeletePolicy { .. }
        | Command::AttachPolicy { .. }
        | Command::DetachPolicy { .. }
        | Command::PutInlinePolicy { .. }
        | Command::DeleteInlinePolicy { .. } => Reach::Org,
        Command::OpenSession { .. } | Command::CloseSession { .. } => Reach::Session,
        Command::Expecting { .. }
        | Command::RefuseSignIn { .. }
        | Command::SetOrgSettings { .. }
        | Command::CreateProvider { .. }
        | Command::ChangeProviderKey { .. }
        | Command::AcceptClock {}
        | Command::AcceptRestore {}
        | Command::RecordRestore { .. }
        | Command::RecordTailAccepted { .. }
        | Command::ImportEvidence { .. } => Reach::Ledger,
    }
}

/// Whether `caller` may command this at `now`, and as what.
///
/// # Errors
/// [`Refusal::Forbidden`], the same whether the target exists or not; [`Refusal::NotFound`] for what belongs to another org,
/// which does not exist for the caller.
pub fn may(state: &State, caller: &Caller, command: &Command, now: Time) -> Result<Authority, Refusal> {
    match &caller.principal {
        Principal::Operator { .. } | Principal::System { .. } => Ok(Authority::Whole),
        Principal::Node { .. } => match reach(command) {
            Reach::Bucket | Reach::Use => Ok(Authority::Node),
            _ => Err(forbidden("a storage node registers and forgets buckets and tells of use, no more")),
        },
        Principal::Provider { provider, role, user } => provider_may(state, command, provider, *role, user.as_deref()),
        Principal::Key { id } => {
            let key = state.key(id.as_str()).ok_or_else(|| forbidden("the access key is not usable"))?;
            key_may(state, caller, command, key, now)
        }
    }
}

fn forbidden(why: &'static str) -> Refusal {
    Refusal::Forbidden { why }
}

const NOT_MANAGING: Refusal =
    Refusal::Forbidden { why: "this access key has no management rights; ask an administrator of the org" };

fn key_may(state: &State, caller: &Caller, command: &Command, key: KeyRecord, now: Time) -> Result<Authority, Refusal> {
    if !state.status(&key, now).is_usable() {
        return Err(forbidden("the access key is not usable"));
    }
    if is_quarantined(state, &key) {
        return Err(forbidden("the access key is quarantined: it reads, and commands nothing"));
    }
    let reach = reach(command);
    if matches!(reach, Reach::Ledger | Reach::OrgLife | Reach::Use) {
        return Err(forbidden("only the operator of this ledger may do that"));
    }
    if reach == Reach::Session {
        return match command.subject() {
            Subject::Key(own) if *own == key.id => Ok(Authority::Policy { maker: Box::new(key) }),
            _ => Err(forbidden("a session is opened and closed by its own key")),
        };
    }
    let is_admin_grant = |key: &KeyRecord| {
        key.rights().grants.iter().any(|grant| grant.bucket.is_none() && grant.role == GrantRole::Admin)
    };
    match &key.owner {
        KeyOwner::Org if is_admin_grant(&key) => admin(state, command, key),
        KeyOwner::User(uid) if !key.is_scoped() && roles_count(caller.dialect) => {
            let user = state.user(*uid).filter(|user| user.deleted_at.is_none()).ok_or(NOT_MANAGING)?;
            let reason = access(state, caller, command, &key, now).reason;
            match reason {
                Reason::Denied { .. } => return Err(forbidden("a policy that bears on this user denies it")),
                Reason::Boundary { .. } => return Err(forbidden("the user's permissions boundary does not allow it")),
                Reason::Unreadable { .. } => return Err(forbidden("a policy that bears on this user cannot be read")),
                _ => {}
            }
            match user.role {
                Role::Admin => admin(state, command, key),
                Role::Member => member(state, command, reach, *uid, Some(Box::new(key))),
                Role::Auditor => Err(forbidden("an auditor reads and writes nothing")),
            }
        }
        _ if !roles_count(caller.dialect) && access(state, caller, command, &key, now).is_allow() => {
            own_org(state, command, key.org)?;
            Ok(Authority::Policy { maker: Box::new(key) })
        }
        _ => Err(NOT_MANAGING),
    }
}

/// What policies say of `command`.
fn access(state: &State, caller: &Caller, command: &Command, key: &KeyRecord, now: Time) -> Access {
    let resource = resource_of(state, command);
    let source = caller.source_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok());
    let mut context = Vec::with_capacity(2);
    context.extend(source.map(|address| ("aws:SourceIp", Value::Address(address))));
    context.extend(caller.user_agent.as_deref().map(|agent| ("aws:UserAgent", Value::Text(agent))));
    let action = action_of(command, caller.dialect);
    state.standing(key).decide(&Request { action, resource: &resource, context: &context[..] }, now)
}

/// The AWS dialects know only the root and policies, as AWS does.
fn roles_count(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Native | Dialect::Console | Dialect::Library | Dialect::Cli)
}

/// Everything in the key's org.
fn admin(state: &State, command: &Command, key: KeyRecord) -> Result<Authority, Refusal> {
    own_org(state, command, key.org)?;
    Ok(Authority::Admin { maker: Some(Box::new(key)) })
}

/// What belongs to another org does not exist.
fn own_org(state: &State, command: &Command, own: OrgUid) -> Result<(), Refusal> {
    let missing = match command.subject() {
        Subject::Org(org) => (org != own).then(|| Refusal::not_found(Noun::Org, &org)),
        Subject::User(org, name) => (org != own).then(|| Refusal::not_found(Noun::User, name)),
        Subject::Group(org, name) => (org != own).then(|| Refusal::not_found(Noun::Group, name)),
        Subject::Policy(org, name) => (org != own).then(|| Refusal::not_found(Noun::Policy, name)),
        Subject::Bucket(org, name) => (org != own).then(|| Refusal::not_found(Noun::Bucket, name)),
        // A key of another org and one that never was look alike.
        Subject::Key(id) => {
            (state.with_key(id.as_str(), |key| key.org()) != Some(own)).then(|| Refusal::not_found(Noun::Key, id))
        }
        Subject::Ledger | Subject::Provider(_) | Subject::Evidence(_) => {
            Some(forbidden("only the operator of this ledger may do that"))
        }
    };
    missing.map_or(Ok(()), Err)
}

fn member(
    state: &State,
    command: &Command,
    reach: Reach,
    user: UserUid,
    maker: Option<Box<KeyRecord>>,
) -> Result<Authority, Refusal> {
    let own = match (reach, command.bare(), command.subject()) {
        (Reach::OwnKey, _, Subject::Key(id)) => state
            .with_key(id.as_str(), |key| !key.is_deleted() && *key.owner() == KeyOwner::User(user))
            .unwrap_or(false),
        (Reach::NewKey, Command::CreateKey { org, key }, _) => match &key.owner {
            OwnerName::User(name) => state.user_by_name(*org, name).is_some_and(|found| found.user == user),
            OwnerName::External(id) => state.user_by_external_id(*org, id).is_some_and(|found| found.user == user),
            OwnerName::Org | OwnerName::Bucket(_) => false,
        },
        _ => false,
    };
    if own {
        Ok(Authority::Member { user, maker })
    } else {
        Err(forbidden("a Member manages its own access keys only"))
    }
}

fn provider_may(
    state: &State,
    command: &Command,
    provider: &str,
    role: Role,
    user: Option<&str>,
) -> Result<Authority, Refusal> {
    let is_own = |owner: &OrgOwner| matches!(owner, OrgOwner::Provider { provider: of, .. } if of == provider);
    let reach = reach(command);
    if state.provider(provider).is_none() || matches!(reach, Reach::Ledger | Reach::Use | Reach::Session) {
        return Err(forbidden("only the operator of this ledger may do that"));
    }
    let org = match command.bare() {
        Command::CreateOrg { owner, .. } if is_own(owner) => return Ok(Authority::Admin { maker: None }),
        Command::CreateOrg { .. } => return Err(forbidden("a provider makes orgs of its own")),
        command => match command.subject() {
            Subject::Key(id) => {
                state.with_key(id.as_str(), |key| key.org()).ok_or_else(|| Refusal::not_found(Noun::Key, id))?
            }
            _ => super::org_of(state, command).ok_or_else(|| forbidden("a provider manages its own orgs"))?,
        },
    };
    // An org of another owner does not exist.
    let found = find::org(state, org).ok().filter(|found| is_own(&found.owner));
    if found.is_none() {
        return Err(match command.subject() {
            Subject::Key(id) => Refusal::not_found(Noun::Key, id),
            _ => Refusal::not_found(Noun::Org, &org),
        });
    }
    match role {
        Role::Admin => Ok(Authority::Admin { maker: None }),
        Role::Auditor => Err(forbidden("an auditor reads and writes nothing")),
        Role::Member => provider_member(state, command, reach, org, user),
    }
}

/// A provider answers for what its members' keys may do, so it gives rights to a Member's own keys too.
fn provider_member(
    state: &State,
    command: &Command,
    reach: Reach,
    org: OrgUid,
    external_id: Option<&str>,
) -> Result<Authority, Refusal> {
    let not_own = || forbidden("a Member manages its own access keys only");
    let external_id = external_id.ok_or_else(not_own)?;
    let found = state.user_by_external_id(org, external_id);
    match command.bare() {
        // The user may be made by this very command.
        Command::CreateKeyWith { with, .. } => match &with.key.owner {
            OwnerName::External(id) if id == external_id => {
                let user = found.map_or(UserUid([0; 16]), |user| user.user);
                Ok(Authority::Member { user, maker: None })
            }
            _ => Err(not_own()),
        },
        Command::UpdateKeyRights { .. } => member(state, command, Reach::OwnKey, found.ok_or_else(not_own)?.user, None),
        _ => member(state, command, reach, found.ok_or_else(not_own)?.user, None),
    }
}
