//! Whom each command is about.
//!
//! Not here: whether the caller may (`decide`).

use super::{Command, Target};
use crate::model::{AccessKeyId, AccountId, BucketName, OrgUid};

/// Whom a command is about, as far as rights and preconditions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The ledger as a whole.
    Ledger,
    Org(OrgUid),
    Provider(&'a str),
    User(OrgUid, &'a str),
    Group(OrgUid, &'a str),
    Policy(OrgUid, &'a str),
    Bucket(OrgUid, &'a BucketName),
    Key(&'a AccessKeyId),
    Evidence(AccountId),
}

impl Command {
    /// Whom it is about.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        match self {
            Command::Expecting { command, .. } => command.subject(),
            Command::CreateOrg { .. }
            | Command::AcceptClock {}
            | Command::AcceptRestore {}
            | Command::RecordRestore { .. }
            | Command::RecordTailAccepted { .. }
            | Command::RefuseSignIn { key: None, .. } => Subject::Ledger,
            Command::CreateProvider { provider, .. } | Command::ChangeProviderKey { provider, .. } => {
                Subject::Provider(provider)
            }
            Command::SuspendOrg { org }
            | Command::ResumeOrg { org }
            | Command::SetOrgSettings { org, .. }
            | Command::SetOrgAlias { org, .. }
            | Command::RecordUse { org, .. }
            | Command::CreateUser { org, .. }
            | Command::CreateGroup { org, .. }
            | Command::CreateKey { org, .. }
            | Command::CreateKeyWith { org, .. }
            | Command::ImportKey { org, .. }
            | Command::CreatePolicy { org, .. } => Subject::Org(*org),
            Command::UpdateUser { org, user, .. }
            | Command::SetUserRole { org, user, .. }
            | Command::TagUser { org, user, .. }
            | Command::SetUserBoundary { org, user, .. }
            | Command::DeleteUser { org, user } => Subject::User(*org, user),
            Command::UpdateGroup { org, group, .. }
            | Command::DeleteGroup { org, group }
            | Command::AddGroupMember { org, group, .. }
            | Command::RemoveGroupMember { org, group, .. } => Subject::Group(*org, group),
            Command::TagPolicy { org, policy, .. }
            | Command::CreatePolicyVersion { org, policy, .. }
            | Command::ReplacePolicyDocument { org, policy, .. }
            | Command::UpdatePolicy { org, policy, .. }
            | Command::SetDefaultPolicyVersion { org, policy, .. }
            | Command::DeletePolicyVersion { org, policy, .. }
            | Command::DeletePolicy { org, policy, .. } => Subject::Policy(*org, policy),
            // The right that changes is the holder's.
            Command::PutInlinePolicy { org, holder, .. }
            | Command::DeleteInlinePolicy { org, holder, .. }
            | Command::AttachPolicy { org, to: holder, .. }
            | Command::DetachPolicy { org, from: holder, .. } => match holder {
                Target::User(user) => Subject::User(*org, user),
                Target::Group(group) => Subject::Group(*org, group),
                Target::Key(key) => Subject::Key(key),
            },
            Command::RegisterBucket { org, bucket } | Command::ForgetBucket { org, bucket } => {
                Subject::Bucket(*org, bucket)
            }
            Command::ImportEvidence { account, .. } => Subject::Evidence(*account),
            Command::LabelKey { key, .. }
            | Command::DescribeKey { key, .. }
            | Command::TagKey { key, .. }
            | Command::SetKeyGrants { key, .. }
            | Command::SetKeyDefaultAllow { key, .. }
            | Command::UpdateKeyRights { key, .. }
            | Command::SetKeyExpiry { key, .. }
            | Command::SuspendKey { key }
            | Command::ResumeKey { key }
            | Command::RevokeKey { key }
            | Command::DeleteKey { key }
            | Command::RotateKey { key, .. }
            | Command::RotateSecret { key, .. }
            | Command::RetireSecret { key, .. }
            | Command::FlagKey { key, .. }
            | Command::ClearKey { key }
            | Command::OpenToken { key, .. }
            | Command::CloseToken { key, .. }
            | Command::OpenSession { key, .. }
            | Command::CloseSession { key, .. }
            | Command::RefuseSignIn { key: Some(key), .. } => Subject::Key(key),
        }
    }
}
