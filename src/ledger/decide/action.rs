//! What a management command is called in policies, and the resource it is about.
//!
//! Where AWS has an action it is AWS's (Service Authorization Reference); what only keyledger knows is `keyledger:…`. One table, so
//! that no command is without a name: the `match` is exhaustive.
//!
//! | about | resource |
//! |---|---|
//! | a user, group, policy | its ARN, `arn:aws:iam::ACCOUNT:user/PATH/NAME` |
//! | a key | its owner's: the user, `arn:aws:iam::ACCOUNT:root`, or the bucket |
//! | anything else of an org | `*` |
//!
//! Not here: who may (`may`).

use super::super::command::{Command, OwnerName, Subject, Target};
use crate::model::{Dialect, KeyOwner, OrgUid};
use crate::policy::Action;
use crate::state::State;

/// The action of `command` in the words of `dialect`.
pub(super) fn action_of(command: &Command, dialect: Dialect) -> Action<'static> {
    let in_lightsail = dialect == Dialect::Lightsail;
    let by_target = |target: &Target, user, group| match target {
        Target::User(_) => user,
        Target::Group(_) => group,
        Target::Key(_) => "keyledger:ChangeKeyPolicies",
    };
    Action::new(match command.bare() {
        Command::CreateKey { .. } if in_lightsail => "lightsail:CreateBucketAccessKey",
        Command::DeleteKey { .. } if in_lightsail => "lightsail:DeleteBucketAccessKey",
        Command::RegisterBucket { .. } if in_lightsail => "lightsail:CreateBucket",
        Command::ForgetBucket { .. } if in_lightsail => "lightsail:DeleteBucket",
        Command::CreateKey { .. } => "iam:CreateAccessKey",
        Command::DeleteKey { .. } => "iam:DeleteAccessKey",
        Command::SuspendKey { .. } | Command::ResumeKey { .. } => "iam:UpdateAccessKey",
        Command::RegisterBucket { .. } => "keyledger:RegisterBucket",
        Command::ForgetBucket { .. } => "keyledger:ForgetBucket",
        Command::RecordUse { .. } => "keyledger:RecordUse",
        Command::SetOrgAlias { alias: Some(_), .. } => "iam:CreateAccountAlias",
        Command::SetOrgAlias { alias: None, .. } => "iam:DeleteAccountAlias",
        Command::CreateUser { .. } => "iam:CreateUser",
        Command::UpdateUser { .. } => "iam:UpdateUser",
        Command::TagUser { remove, set, .. } if set.is_empty() && !remove.is_empty() => "iam:UntagUser",
        Command::TagUser { .. } => "iam:TagUser",
        Command::SetUserBoundary { policy: Some(_), .. } => "iam:PutUserPermissionsBoundary",
        Command::SetUserBoundary { policy: None, .. } => "iam:DeleteUserPermissionsBoundary",
        Command::DeleteUser { .. } => "iam:DeleteUser",
        Command::CreateGroup { .. } => "iam:CreateGroup",
        Command::UpdateGroup { .. } => "iam:UpdateGroup",
        Command::DeleteGroup { .. } => "iam:DeleteGroup",
        Command::AddGroupMember { .. } => "iam:AddUserToGroup",
        Command::RemoveGroupMember { .. } => "iam:RemoveUserFromGroup",
        Command::CreatePolicy { .. } => "iam:CreatePolicy",
        Command::TagPolicy { remove, set, .. } if set.is_empty() && !remove.is_empty() => "iam:UntagPolicy",
        Command::TagPolicy { .. } => "iam:TagPolicy",
        Command::CreatePolicyVersion { .. } | Command::ReplacePolicyDocument { .. } | Command::UpdatePolicy { .. } => {
            "iam:CreatePolicyVersion"
        }
        Command::SetDefaultPolicyVersion { .. } => "iam:SetDefaultPolicyVersion",
        Command::DeletePolicyVersion { .. } => "iam:DeletePolicyVersion",
        Command::DeletePolicy { .. } => "iam:DeletePolicy",
        Command::AttachPolicy { to, .. } => by_target(to, "iam:AttachUserPolicy", "iam:AttachGroupPolicy"),
        Command::DetachPolicy { from, .. } => by_target(from, "iam:DetachUserPolicy", "iam:DetachGroupPolicy"),
        Command::PutInlinePolicy { holder, .. } => by_target(holder, "iam:PutUserPolicy", "iam:PutGroupPolicy"),
        Command::DeleteInlinePolicy { holder, .. } => {
            by_target(holder, "iam:DeleteUserPolicy", "iam:DeleteGroupPolicy")
        }
        Command::SetUserRole { .. } => "keyledger:SetUserRole",
        Command::ImportKey { .. } => "keyledger:ImportKey",
        Command::LabelKey { .. } => "keyledger:LabelKey",
        Command::DescribeKey { .. } => "keyledger:DescribeKey",
        Command::TagKey { .. } => "keyledger:TagKey",
        Command::SetKeyGrants { .. } => "keyledger:SetKeyGrants",
        Command::SetKeyDefaultAllow { .. } => "keyledger:SetKeyDefaultAllow",
        Command::CreateKeyWith { .. } => "keyledger:CreateKeyWith",
        Command::UpdateKeyRights { .. } => "keyledger:UpdateKeyRights",
        Command::OpenToken { .. } => "keyledger:OpenToken",
        Command::CloseToken { .. } => "keyledger:CloseToken",
        Command::SetKeyExpiry { .. } => "keyledger:SetKeyExpiry",
        Command::RevokeKey { .. } => "keyledger:RevokeKey",
        Command::RotateKey { .. } | Command::RotateSecret { .. } => "keyledger:RotateKey",
        Command::RetireSecret { .. } => "keyledger:RetireSecret",
        Command::FlagKey { .. } => "keyledger:FlagKey",
        Command::ClearKey { .. } => "keyledger:ClearKey",
        Command::CreateOrg { .. } => "keyledger:CreateOrg",
        Command::SuspendOrg { .. } => "keyledger:SuspendOrg",
        Command::ResumeOrg { .. } => "keyledger:ResumeOrg",
        Command::SetOrgSettings { .. } => "keyledger:SetOrgSettings",
        Command::CreateProvider { .. } => "keyledger:CreateProvider",
        Command::ChangeProviderKey { .. } => "keyledger:ChangeProviderKey",
        Command::AcceptClock {} => "keyledger:AcceptClock",
        Command::AcceptRestore {} => "keyledger:AcceptRestore",
        Command::RecordRestore { .. } => "keyledger:RecordRestore",
        Command::RecordTailAccepted { .. } => "keyledger:RecordTailAccepted",
        Command::ImportEvidence { .. } => "keyledger:ImportEvidence",
        Command::OpenSession { .. } => "keyledger:OpenSession",
        Command::CloseSession { .. } => "keyledger:CloseSession",
        Command::RefuseSignIn { .. } => "keyledger:RefuseSignIn",
        // `bare` has taken it off.
        Command::Expecting { .. } => "keyledger:Expecting",
    })
}

/// The ARN that `command` is about.
pub(super) fn resource_of(state: &State, command: &Command) -> String {
    let account = |org: OrgUid| state.org(org).map(|org| org.account.to_string()).unwrap_or_default();
    let arn = |org, kind: &str, path: &str, name: &str| {
        let path = if path.is_empty() { "/" } else { path };
        format!("arn:aws:iam::{}:{kind}{path}{name}", account(org))
    };
    let user_arn = |org, name: &str| match state.user_by_name(org, name) {
        Some(user) => arn(org, "user", &user.path, &user.name),
        None => arn(org, "user", "/", name),
    };
    let root = |org| format!("arn:aws:iam::{}:root", account(org));
    let bucket = |name: &crate::model::BucketName| format!("arn:aws:s3:::{name}");
    let owner_arn = |org, owner: &OwnerName| match owner {
        OwnerName::User(name) => user_arn(org, name),
        OwnerName::Org => root(org),
        OwnerName::Bucket(name) => bucket(name),
        OwnerName::External(id) => match state.user_by_external_id(org, id) {
            Some(user) => arn(org, "user", &user.path, &user.name),
            None => "*".to_owned(),
        },
    };
    match command.bare() {
        Command::CreateUser { org, name, path, .. } => return arn(*org, "user", path, name),
        Command::CreateGroup { org, name, path } => return arn(*org, "group", path, name),
        Command::CreatePolicy { org, name, path, .. } => return arn(*org, "policy", path, name),
        Command::CreateKey { org, key } => return owner_arn(*org, &key.owner),
        Command::CreateKeyWith { org, with } => return owner_arn(*org, &with.key.owner),
        Command::ImportKey { org, key } => return owner_arn(*org, &key.key.owner),
        _ => {}
    }
    match command.subject() {
        Subject::User(org, name) => user_arn(org, name),
        Subject::Group(org, name) => {
            let path = state.group_by_name(org, name).map(|group| group.path.clone());
            arn(org, "group", path.as_deref().unwrap_or("/"), name)
        }
        Subject::Policy(_, name) if name.starts_with("arn:") => name.to_owned(),
        Subject::Policy(org, name) => {
            let path = state.policy_by_name(org, name).map(|policy| policy.path.clone());
            arn(org, "policy", path.as_deref().unwrap_or("/"), name)
        }
        Subject::Bucket(_, name) => bucket(name),
        Subject::Key(id) => {
            let owner = state.with_key(id.as_str(), |key| (key.org(), key.owner().clone()));
            match owner {
                Some((org, KeyOwner::User(user))) => {
                    state.user(user).map_or_else(|| "*".to_owned(), |user| arn(org, "user", &user.path, &user.name))
                }
                Some((org, KeyOwner::Org)) => root(org),
                Some((_, KeyOwner::Bucket(name))) => bucket(&name),
                None => "*".to_owned(),
            }
        }
        Subject::Ledger | Subject::Org(_) | Subject::Provider(_) | Subject::Evidence(_) => "*".to_owned(),
    }
}
