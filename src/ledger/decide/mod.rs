//! Deciding: `(&State, &Caller, &Command, &Fresh)` → events, or a [`Refusal`]. No I/O, no clock, no dice.
//!
//! The state is the one that the events will extend: the writer decides one command after the other, so a limit that holds
//! here holds under any concurrency. Same arguments, same answer.
//!
//! Invariants
//! - Rights come first (`may`): who may not act learns nothing of what exists.
//! - A command that would change nothing has no events.
//! - Every event explains itself: it holds what was before and after, or the delta.
//!
//! Not here: appending, secrets in the clear and tokens (`execute`); evaluating policies (`state::access`).

mod action;
mod bucket;
mod find;
mod group;
mod key;
mod may;
mod org;
mod policy;
mod rotate;
mod session;
mod token;
mod usage;
mod user;
mod whole;
mod with;

pub use may::{Authority, may};
pub use policy::{ManagedIn, managed, managed_uid};
pub use rotate::{GRACE_DEFAULT_NS, PAIR_GRACE_MAX_NS, SECRET_GRACE_MAX_NS};
pub use token::TOKEN_LIFETIME_MAX_NS;

use super::command::{Command, Subject};
use super::error::{Noun, Refusal, shown};
use super::fresh::Fresh;
use super::outcome::Outcome;
use crate::model::limits::{BULK_TARGETS_MAX, TAGS_MAX};
use crate::model::{Actor, ActorKind, Caller, Event, Invalid, OrgUid, Principal, Seq, Tags, limits};
use crate::state::{KeyRecord, State};
use compact_str::CompactString;

/// What a command becomes.
#[derive(Debug)]
pub struct Decided {
    /// The org the events belong to; `None` for what concerns the whole ledger.
    pub org: Option<OrgUid>,
    /// None at all when nothing changes.
    pub events: Vec<Event>,
    /// Without its secret.
    pub outcome: Outcome,
}

/// Everything a noun's rules look at.
#[derive(Clone, Copy)]
struct Ask<'a> {
    state: &'a State,
    caller: &'a Caller,
    fresh: &'a Fresh,
    authority: &'a Authority,
}

type Events = Result<Vec<Event>, Refusal>;

/// Decides `command`: rights, precondition, then the noun's own rules.
///
/// # Errors
/// A [`Refusal`]; nothing changes, and the answer stays the same until the state does.
pub fn decide(state: &State, caller: &Caller, command: &Command, fresh: &Fresh) -> Result<Decided, Refusal> {
    let authority = may(state, caller, command, fresh.now)?;
    if let Some(reason) = &caller.reason {
        limits::reason(reason)?;
    }
    if let Some(leap) = fresh.leap
        && !command.is_urgent()
        && !matches!(command.bare(), Command::AcceptClock {})
    {
        return Err(Refusal::ClockStopped { from: leap.from, to: leap.to });
    }
    check_expected(state, command)?;
    let ask = Ask { state, caller, fresh, authority: &authority };
    let events = dispatch(ask, command.bare())?;
    let org = org_of(state, command);
    let outcome = Outcome::of(&events);
    Ok(Decided { org, events, outcome })
}

/// The one `match` over [`Command`]: to the noun's file.
fn dispatch(ask: Ask<'_>, command: &Command) -> Events {
    match command {
        Command::Expecting { command, .. } => dispatch(ask, command),
        Command::CreateOrg { .. }
        | Command::SuspendOrg { .. }
        | Command::ResumeOrg { .. }
        | Command::SetOrgSettings { .. }
        | Command::SetOrgAlias { .. }
        | Command::CreateProvider { .. }
        | Command::ChangeProviderKey { .. } => org::decide(ask, command),
        Command::CreateUser { .. }
        | Command::UpdateUser { .. }
        | Command::SetUserRole { .. }
        | Command::TagUser { .. }
        | Command::SetUserBoundary { .. }
        | Command::DeleteUser { .. } => user::decide(ask, command),
        Command::CreateGroup { .. }
        | Command::UpdateGroup { .. }
        | Command::DeleteGroup { .. }
        | Command::AddGroupMember { .. }
        | Command::RemoveGroupMember { .. } => group::decide(ask, command),
        Command::CreateKey { org, key } => key::create(ask, *org, key),
        Command::CreateKeyWith { org, with } => with::create(ask, *org, with),
        Command::UpdateKeyRights { key, change } => with::update(ask, key, change),
        Command::OpenToken { key, token_hash, lifetime_ns } => token::open(ask, key, token_hash, *lifetime_ns),
        Command::CloseToken { key, token_hash } => token::close(ask, key, token_hash),
        Command::OpenSession { key, session_hash, lifetime_ns } => session::open(ask, key, session_hash, *lifetime_ns),
        Command::CloseSession { key, session_hash, why } => Ok(session::close(ask, key, session_hash, why)),
        Command::RefuseSignIn { key, source_ip } => Ok(session::refuse(ask, key.as_ref(), source_ip)),
        Command::ImportKey { org, key } => key::import(ask, *org, key),
        Command::RotateKey { .. } | Command::RotateSecret { .. } | Command::RetireSecret { .. } => {
            rotate::decide(ask, command)
        }
        Command::LabelKey { .. }
        | Command::DescribeKey { .. }
        | Command::TagKey { .. }
        | Command::SetKeyGrants { .. }
        | Command::SetKeyDefaultAllow { .. }
        | Command::SetKeyExpiry { .. }
        | Command::SuspendKey { .. }
        | Command::ResumeKey { .. }
        | Command::RevokeKey { .. }
        | Command::DeleteKey { .. }
        | Command::FlagKey { .. }
        | Command::ClearKey { .. } => key::change(ask, command),
        Command::CreatePolicy { .. }
        | Command::TagPolicy { .. }
        | Command::CreatePolicyVersion { .. }
        | Command::ReplacePolicyDocument { .. }
        | Command::UpdatePolicy { .. }
        | Command::SetDefaultPolicyVersion { .. }
        | Command::DeletePolicyVersion { .. }
        | Command::DeletePolicy { .. } => policy::decide(ask, command),
        Command::AttachPolicy { org, policy, to } => policy::attach(ask, *org, policy, to),
        Command::DetachPolicy { org, policy, from } => policy::detach(ask, *org, policy, from),
        Command::PutInlinePolicy { org, holder, name, document } => {
            policy::put_inline(ask, *org, holder, name, document)
        }
        Command::DeleteInlinePolicy { org, holder, name } => policy::delete_inline(ask, *org, holder, name),
        Command::RegisterBucket { .. } | Command::ForgetBucket { .. } => bucket::decide(ask, command),
        Command::RecordUse { org, usage, attempts, dropped } => usage::decide(ask, *org, usage, attempts, *dropped),
        Command::AcceptClock {}
        | Command::AcceptRestore {}
        | Command::RecordRestore { .. }
        | Command::RecordTailAccepted { .. }
        | Command::ImportEvidence { .. } => whole::decide(ask, command),
    }
}

/// The org a command's events belong to, as far as the state knows. An org's own creation belongs to the whole ledger, so that
/// a retry with the same token finds it.
#[must_use]
pub fn org_of(state: &State, command: &Command) -> Option<OrgUid> {
    match command.subject() {
        Subject::Ledger | Subject::Provider(_) => None,
        Subject::Org(org)
        | Subject::User(org, _)
        | Subject::Group(org, _)
        | Subject::Policy(org, _)
        | Subject::Bucket(org, _) => Some(org),
        Subject::Key(key) => state.with_key(key.as_str(), |key| key.org()),
        Subject::Evidence(account) => Some(OrgUid::evidence(account)),
    }
}

/// How the log will remember a caller.
#[must_use]
pub fn actor_of(state: &State, caller: &Caller) -> Actor {
    use crate::model::KeyOwner;
    match &caller.principal {
        Principal::Operator { name } => Actor::operator(name),
        Principal::System { name } => Actor::system(name),
        Principal::Provider { provider, .. } => {
            Actor { kind: ActorKind::Provider, name: provider.clone(), user: None, key: None }
        }
        Principal::Node { name } => Actor { kind: ActorKind::Node, name: name.clone(), user: None, key: None },
        Principal::Key { id } => {
            let owner = state.with_key(id.as_str(), |key| key.owner().clone());
            let (kind, name, user) = match &owner {
                Some(KeyOwner::User(user)) => {
                    let name = state.user(*user).map_or_else(CompactString::default, |user| user.name.clone());
                    (ActorKind::User, name, Some(*user))
                }
                Some(KeyOwner::Bucket(bucket)) => (ActorKind::User, bucket.0.clone(), None),
                Some(KeyOwner::Org) | None => (ActorKind::Root, CompactString::const_new("root"), None),
            };
            Actor { kind, name, user, key: Some(id.clone()) }
        }
    }
}

/// Whether what the command changes was changed last by the commit it expects.
fn check_expected(state: &State, command: &Command) -> Result<(), Refusal> {
    let Command::Expecting { changed: expected, command } = command else { return Ok(()) };
    let (noun, name, found): (Noun, CompactString, Seq) = match command.subject() {
        Subject::Org(org) => (Noun::Org, shown(&org), find::org(state, org)?.changed),
        Subject::User(org, user) => (Noun::User, shown(user), find::user(state, org, user)?.changed),
        Subject::Group(org, group) => (Noun::Group, shown(group), find::group(state, org, group)?.changed),
        Subject::Policy(org, policy) => (Noun::Policy, shown(policy), find::policy(state, org, policy)?.changed),
        Subject::Key(key) => (Noun::Key, shown(key), find::key(state, key)?.changed),
        // Nothing of these counts its changes: what they expect is the ledger's newest commit.
        Subject::Ledger | Subject::Provider(_) | Subject::Bucket(..) | Subject::Evidence(_) => {
            (Noun::Ledger, CompactString::default(), state.seq())
        }
    };
    if found != *expected {
        return Err(Refusal::PreconditionFailed { noun, name, expected: *expected, found });
    }
    check_expected(state, command)
}

/// One event, or none when nothing changes.
fn if_changed<T: PartialEq>(before: &T, after: &T, event: impl FnOnce() -> Event) -> Vec<Event> {
    if before == after { Vec::new() } else { vec![event()] }
}

/// What of `set` and `remove` changes `current`; `None` when nothing does.
fn tag_delta(
    of: &str,
    current: &Tags,
    set: &Tags,
    remove: &[CompactString],
) -> Result<Option<(Tags, Vec<CompactString>)>, Refusal> {
    if remove.len() > BULK_TARGETS_MAX {
        return Err(Invalid::new("tags to remove", &remove.len().to_string(), "at most 50000").into());
    }
    check_tags(set)?;
    let mut removed: Vec<CompactString> =
        remove.iter().filter(|key| current.contains_key(*key) && !set.contains_key(*key)).cloned().collect();
    removed.sort();
    removed.dedup();
    let added: Tags = set
        .iter()
        .filter(|(key, value)| current.get(*key) != Some(value))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    let new = added.keys().filter(|key| !current.contains_key(*key)).count();
    if current.len() - removed.len() + new > TAGS_MAX {
        return Err(Refusal::LimitReached { what: "tags", of: shown(of), max: TAGS_MAX });
    }
    Ok((!added.is_empty() || !removed.is_empty()).then_some((added, removed)))
}

fn check_tags(tags: &Tags) -> Result<(), Refusal> {
    if tags.len() > TAGS_MAX {
        return Err(Invalid::new("tags", &tags.len().to_string(), "at most 50").into());
    }
    for (key, value) in tags {
        limits::tag(key, value)?;
    }
    Ok(())
}

/// A path as given, or `/` for an empty one.
fn path_or_root(path: &CompactString) -> Result<CompactString, Refusal> {
    if path.is_empty() {
        return Ok(CompactString::const_new("/"));
    }
    limits::path(path)?;
    Ok(path.clone())
}

/// Whether the key, or the whole ledger with it, is quarantined.
fn is_quarantined(state: &State, key: &KeyRecord) -> bool {
    key.marks.has(crate::state::Marks::QUARANTINED) || state.restored().is_some()
}
