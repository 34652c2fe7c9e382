//! Managed policies and their versions: the org's own, and the two of AWS that exist in every org.
//!
//! Not here: attaching them, and inline policies (`user_policy`).

use super::call::{Answer, Call};
use super::error::IamError;
use super::form::{Shape, invalid, missing};
use super::names::{AnyPolicy, in_every_org, policy_arn};
use super::page::Paging;
use super::user::{tags_page, write_tags};
use super::xml::Xml;
use crate::ledger::{Command, Outcome};
use crate::model::text::percent_encoded;
use crate::model::{AccountId, Holder, PolicyUid, Tags, Time};
use crate::state::{PolicyRecord, State};
use std::collections::HashMap;

/// When AWS made the policies that exist in every org (AWS managed policy reference): 2015-02-06.
const MANAGED_SINCE: Time = Time(1_423_248_041 * 1_000_000_000);

/// How many users have each policy as their boundary.
pub fn boundaries(call: &Call<'_>) -> HashMap<PolicyUid, usize> {
    let mut used = HashMap::new();
    for policy in call.state().users(call.org, None).filter_map(|user| user.boundary) {
        *used.entry(policy).or_insert(0) += 1;
    }
    used
}

/// A policy's members.
pub fn write(xml: &mut Xml, state: &State, account: AccountId, policy: &AnyPolicy, boundaries: usize) {
    xml.text("PolicyName", policy.name());
    xml.text("PolicyId", &policy.uid().aws_id());
    xml.text("Arn", &policy.arn(account));
    xml.text("Path", policy.path());
    let version = if let AnyPolicy::Own(policy) = policy { policy.default_version } else { 1 };
    xml.text("DefaultVersionId", &format!("v{version}"));
    xml.number("AttachmentCount", state.holders(policy.uid()).len());
    xml.number("PermissionsBoundaryUsageCount", boundaries);
    xml.flag("IsAttachable", true);
    match policy {
        AnyPolicy::Own(policy) => {
            let created = policy.created_at.unwrap_or(Time::MIN);
            xml.date("CreateDate", created);
            xml.date("UpdateDate", policy.updated_at.unwrap_or(created));
        }
        AnyPolicy::Managed(_) => {
            xml.date("CreateDate", MANAGED_SINCE);
            xml.date("UpdateDate", MANAGED_SINCE);
        }
    }
}

/// What only single policies show.
fn write_more(xml: &mut Xml, policy: &AnyPolicy) {
    match policy {
        AnyPolicy::Own(policy) => {
            if !policy.description.is_empty() {
                xml.text("Description", &policy.description);
            }
            if !policy.tags.is_empty() {
                write_tags(xml, &policy.tags);
            }
        }
        AnyPolicy::Managed(managed) => xml.text("Description", managed.policy.about),
    }
}

pub async fn create(call: &Call<'_>) -> Answer {
    let name = call.form.required("PolicyName", Shape::NAME)?;
    let path = call.form.path("Path")?.unwrap_or("/");
    let document = call.form.required("PolicyDocument", Shape::DOCUMENT)?;
    let description = call.form.optional("Description", Shape::DESCRIPTION)?.unwrap_or_default();
    let tags = call.form.tags()?;
    let resource = policy_arn(call.account, path, name);
    call.authorize(&resource)?;
    let command = Command::CreatePolicy {
        org: call.org,
        name: name.into(),
        path: path.into(),
        description: description.into(),
        tags,
        document: document.into(),
    };
    call.execute(&resource, command).await?;
    let state = call.newest();
    let policy = AnyPolicy::by_arn(&state, call.org, call.account, &resource);
    let policy = policy.ok_or_else(|| IamError::no_such("The policy was deleted meanwhile."))?;
    let mut xml = Xml::default();
    xml.element("Policy", |xml| {
        write(xml, &state, call.account, &policy, 0);
        write_more(xml, &policy);
    });
    Ok(Some(xml))
}

pub fn get(call: &Call<'_>) -> Answer {
    let arn = call.policy_arn()?;
    call.authorize(arn)?;
    let policy = call.policy(arn)?;
    let mut xml = Xml::default();
    xml.element("Policy", |xml| {
        let used = boundaries(call).get(&policy.uid()).copied().unwrap_or_default();
        write(xml, call.state(), call.account, &policy, used);
        write_more(xml, &policy);
    });
    Ok(Some(xml))
}

pub fn list(call: &Call<'_>) -> Answer {
    let scope = call.form.one_of("Scope", &["All", "AWS", "Local"])?.unwrap_or("All");
    let only_attached = call.form.flag("OnlyAttached")?;
    let prefix = call.form.path_prefix()?;
    let usage = call.form.one_of("PolicyUsageFilter", &["PermissionsPolicy", "PermissionsBoundary"])?;
    let paging = Paging::read(&call.form)?;
    call.authorize(&format!("arn:aws:iam::{}:policy{prefix}", call.account))?;
    let boundaries = boundaries(call);
    let state = call.state();
    // The org's own first, then those of AWS: a marker says in which it stands.
    let (own_after, aws_after) = match paging.after.as_deref().map(|after| after.split_once('/')) {
        None => (Some(None), None),
        Some(Some(("own", name))) => (Some(Some(name)), None),
        Some(Some(("aws", name))) => (None, Some(name)),
        Some(_) => return Err(IamError::validation("Invalid Marker.")),
    };
    let own = own_after.filter(|_| scope != "AWS").into_iter().flat_map(|after| state.policies(call.org, after));
    let own = own.map(|policy| AnyPolicy::Own(policy.clone()));
    let aws = in_every_org().filter(|policy| aws_after.is_none_or(|after| policy.policy.name > after));
    let aws = aws.filter(|_| scope != "Local").map(AnyPolicy::Managed);
    let fits = |policy: &AnyPolicy| {
        let used = |as_boundary: bool| {
            if as_boundary { boundaries.contains_key(&policy.uid()) } else { !state.holders(policy.uid()).is_empty() }
        };
        let in_use = match usage {
            Some("PermissionsPolicy") => !only_attached || used(false),
            Some(_) => used(true),
            None => !only_attached || used(false) || used(true),
        };
        policy.path().starts_with(prefix) && in_use
    };
    let marker = |policy: &AnyPolicy| match policy {
        AnyPolicy::Own(policy) => format!("own/{}", policy.name),
        AnyPolicy::Managed(managed) => format!("aws/{}", managed.policy.name),
    };
    let page = paging.page(own.chain(aws).filter(fits), marker);
    let mut xml = Xml::default();
    xml.list("Policies", &page.items, |xml, policy| {
        write(xml, state, call.account, policy, boundaries.get(&policy.uid()).copied().unwrap_or_default());
    });
    page.write_end(&mut xml);
    Ok(Some(xml))
}

pub async fn delete(call: &Call<'_>) -> Answer {
    let arn = call.policy_arn()?;
    call.authorize(arn)?;
    call.order(arn, Command::DeletePolicy { org: call.org, policy: arn.into(), force: false }).await
}

/// `v3`.
fn version(call: &Call<'_>) -> Result<u32, IamError> {
    let text = call.form.raw("VersionId").ok_or_else(|| missing("VersionId"))?;
    let number = text.strip_prefix('v').filter(|digits| !digits.starts_with(['0', '+']));
    number.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
        let what = r"Member must satisfy regular expression pattern: v[1-9][0-9]*(\.[A-Za-z0-9-]*)?";
        invalid("VersionId", text, what)
    })
}

fn write_version(xml: &mut Xml, version: u32, is_default: bool, created: Option<Time>) {
    xml.text("VersionId", &format!("v{version}"));
    xml.flag("IsDefaultVersion", is_default);
    if let Some(at) = created {
        xml.date("CreateDate", at);
    }
}

pub async fn create_version(call: &Call<'_>) -> Answer {
    let arn = call.policy_arn()?;
    let document = call.form.required("PolicyDocument", Shape::DOCUMENT)?;
    let set_default = call.form.flag("SetAsDefault")?;
    call.authorize(arn)?;
    let document = document.into();
    let command = Command::CreatePolicyVersion { org: call.org, policy: arn.into(), document, set_default };
    let done = call.execute(arn, command).await?;
    let Outcome::PolicyVersionCreated { policy, version, is_default } = done.outcome else {
        return Err(IamError::new(500, "ServiceFailure", "The version was made, and cannot be told."));
    };
    let state = call.newest();
    let made = state.policy(policy).and_then(|policy| policy.versions.iter().find(|made| made.version == version));
    let mut xml = Xml::default();
    xml.element("PolicyVersion", |xml| {
        write_version(xml, version, is_default, made.and_then(|made| made.created_at));
    });
    Ok(Some(xml))
}

pub fn get_version(call: &Call<'_>) -> Answer {
    let arn = call.policy_arn()?;
    let version = version(call)?;
    call.authorize(arn)?;
    let policy = call.policy(arn)?;
    let none = || IamError::no_such(format!("Policy {arn} version v{version} does not exist or is not attachable."));
    let mut xml = Xml::default();
    let (document, is_default, created) = match &policy {
        AnyPolicy::Own(own) => {
            let found = own.versions.iter().find(|found| found.version == version).ok_or_else(none)?;
            (found.document.text().to_string(), own.default_version == version, found.created_at)
        }
        AnyPolicy::Managed(_) if version == 1 => (policy.document().to_owned(), true, Some(MANAGED_SINCE)),
        AnyPolicy::Managed(_) => return Err(none()),
    };
    xml.element("PolicyVersion", |xml| {
        xml.text("Document", &percent_encoded(&document));
        write_version(xml, version, is_default, created);
    });
    Ok(Some(xml))
}

/// Newest first, as AWS lists them.
fn versions_of(policy: &PolicyRecord) -> impl Iterator<Item = (u32, bool, Option<Time>)> + '_ {
    let is_default = |version| policy.default_version == version;
    policy.versions.iter().rev().map(move |it| (it.version, is_default(it.version), it.created_at))
}

pub fn list_versions(call: &Call<'_>) -> Answer {
    let arn = call.policy_arn()?;
    let paging = Paging::read(&call.form)?;
    call.authorize(arn)?;
    let policy = call.policy(arn)?;
    let versions: Vec<_> = match &policy {
        AnyPolicy::Own(own) => versions_of(own).collect(),
        AnyPolicy::Managed(_) => vec![(1, true, Some(MANAGED_SINCE))],
    };
    // The higher a version, the earlier it is listed.
    let page = paging.page_of_all(versions, |(version, ..)| format!("{:010}", u32::MAX - version));
    let mut xml = Xml::default();
    xml.list("Versions", &page.items, |xml, (version, is_default, created)| {
        write_version(xml, *version, *is_default, *created);
    });
    page.write_end(&mut xml);
    Ok(Some(xml))
}

pub async fn delete_version(call: &Call<'_>) -> Answer {
    let arn = call.policy_arn()?;
    let version = version(call)?;
    call.authorize(arn)?;
    call.order(arn, Command::DeletePolicyVersion { org: call.org, policy: arn.into(), version }).await
}

pub async fn set_default(call: &Call<'_>) -> Answer {
    let arn = call.policy_arn()?;
    let version = version(call)?;
    call.authorize(arn)?;
    call.order(arn, Command::SetDefaultPolicyVersion { org: call.org, policy: arn.into(), version }).await
}

pub async fn tag(call: &Call<'_>) -> Answer {
    let arn = call.policy_arn()?;
    let set = call.form.tags()?;
    call.authorize(arn)?;
    call.order(arn, Command::TagPolicy { org: call.org, policy: arn.into(), set, remove: Vec::new() }).await
}

pub async fn untag(call: &Call<'_>) -> Answer {
    let arn = call.policy_arn()?;
    let keys = call.form.list("TagKeys", Shape::TAG_KEY)?.ok_or_else(|| missing("TagKeys"))?;
    let remove = keys.into_iter().map(Into::into).collect();
    call.authorize(arn)?;
    call.order(arn, Command::TagPolicy { org: call.org, policy: arn.into(), set: Tags::new(), remove }).await
}

pub fn list_tags(call: &Call<'_>) -> Answer {
    let arn = call.policy_arn()?;
    call.authorize(arn)?;
    match call.policy(arn)? {
        AnyPolicy::Own(policy) => tags_page(call, &policy.tags),
        AnyPolicy::Managed(_) => tags_page(call, &Tags::new()),
    }
}

pub fn list_entities(call: &Call<'_>) -> Answer {
    let arn = call.policy_arn()?;
    let kinds = ["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"];
    let kind = call.form.one_of("EntityFilter", &kinds)?;
    let prefix = call.form.path_prefix()?;
    let usage = call.form.one_of("PolicyUsageFilter", &["PermissionsPolicy", "PermissionsBoundary"])?;
    let paging = Paging::read(&call.form)?;
    call.authorize(arn)?;
    let policy = call.policy(arn)?;
    let state = call.state();
    let (mut groups, mut users) = (Vec::new(), Vec::new());
    if usage != Some("PermissionsBoundary") {
        for holder in state.holders(policy.uid()) {
            match holder {
                Holder::Group(group) => groups.extend(state.group(group).filter(|group| group.org == call.org)),
                Holder::User(user) => users.extend(state.user(user).filter(|user| user.org == call.org)),
                // A key that has a policy of its own is no entity of IAM.
                Holder::Key(_) => {}
            }
        }
    }
    if usage != Some("PermissionsPolicy") {
        users.extend(state.users(call.org, None).filter(|user| user.boundary == Some(policy.uid())));
    }
    let mut entities: Vec<(String, Entity<'_>)> = Vec::new();
    if kind.is_none_or(|kind| kind == "Group") {
        let groups = groups.into_iter().filter(|group| group.path.starts_with(prefix));
        entities
            .extend(groups.map(|group| (format!("group/{}", group.name.to_ascii_lowercase()), Entity::Group(group))));
    }
    if kind.is_none_or(|kind| kind == "User") {
        let users = users.into_iter().filter(|user| user.path.starts_with(prefix));
        entities.extend(users.map(|user| (format!("user/{}", user.name.to_ascii_lowercase()), Entity::User(user))));
    }
    entities.sort_by(|a, b| a.0.cmp(&b.0));
    entities.dedup_by(|a, b| a.0 == b.0);
    let page = paging.page_of_all(entities, |(name, _)| name.clone());
    let mut xml = Xml::default();
    let groups = page.items.iter().filter_map(|(_, it)| if let Entity::Group(group) = it { Some(group) } else { None });
    xml.list("PolicyGroups", groups, |xml, group| {
        xml.text("GroupName", &group.name);
        xml.text("GroupId", &group.group.aws_id());
    });
    let users = page.items.iter().filter_map(|(_, it)| if let Entity::User(user) = it { Some(user) } else { None });
    xml.list("PolicyUsers", users, |xml, user| {
        xml.text("UserName", &user.name);
        xml.text("UserId", &user.user.aws_id());
    });
    xml.element("PolicyRoles", |_| {});
    page.write_end(&mut xml);
    Ok(Some(xml))
}

enum Entity<'a> {
    Group(&'a crate::state::GroupRecord),
    User(&'a crate::state::UserRecord),
}
