//! Policies of users and groups: attached managed ones, and inline ones.
//!
//! Not here: managed policies themselves (`policy`).

use super::call::{Answer, Call};
use super::error::IamError;
use super::form::Shape;
use super::names::AnyPolicy;
use super::page::Paging;
use super::xml::Xml;
use crate::ledger::{Command, Target};
use crate::model::text::percent_encoded;
use crate::model::{AccountId, PolicyUid};
use crate::state::{PolicyText, State};
use compact_str::CompactString;
use std::collections::{BTreeMap, BTreeSet};

/// The user or group that a call names: `AttachUserPolicy` or `AttachGroupPolicy`.
struct Named<'a> {
    name: &'a str,
    is_group: bool,
    /// The element it is called by.
    element: &'static str,
    arn: String,
}

impl Named<'_> {
    fn target(&self) -> Target {
        if self.is_group { Target::Group(self.name.into()) } else { Target::User(self.name.into()) }
    }
}

fn named<'a>(call: &'a Call<'_>) -> Result<Named<'a>, IamError> {
    let is_group = call.action.contains("Group");
    let element = if is_group { "GroupName" } else { "UserName" };
    let name = call.form.required(element, Shape::NAME)?;
    let arn = if is_group { call.arn_of_group(name) } else { call.arn_of_user(name) };
    Ok(Named { name, is_group, element, arn })
}

/// What they have, for whoever may know.
fn held<'a>(
    call: &'a Call<'_>,
    named: &Named<'_>,
) -> Result<(&'a BTreeSet<PolicyUid>, &'a BTreeMap<CompactString, PolicyText>), IamError> {
    if named.is_group {
        call.group(named.name).map(|group| (&group.attached, &group.inline))
    } else {
        call.user(named.name).map(|user| (&user.attached, &user.inline))
    }
}

pub async fn attach(call: &Call<'_>) -> Answer {
    let (named, policy) = (named(call)?, call.policy_arn()?.into());
    call.authorize(&named.arn)?;
    call.order(&named.arn, Command::AttachPolicy { org: call.org, policy, to: named.target() }).await
}

pub async fn detach(call: &Call<'_>) -> Answer {
    let (named, policy) = (named(call)?, call.policy_arn()?.into());
    call.authorize(&named.arn)?;
    call.order(&named.arn, Command::DetachPolicy { org: call.org, policy, from: named.target() }).await
}

/// Attached policies by name.
pub fn attached(state: &State, uids: &BTreeSet<PolicyUid>) -> Vec<AnyPolicy> {
    let mut policies: Vec<_> = uids.iter().filter_map(|uid| AnyPolicy::by_uid(state, *uid)).collect();
    policies.sort_by_cached_key(place);
    policies
}

fn place(policy: &AnyPolicy) -> String {
    let kind = if matches!(policy, AnyPolicy::Own(_)) { 'o' } else { 'a' };
    format!("{}/{kind}", policy.name().to_ascii_lowercase())
}

pub fn write_attached(xml: &mut Xml, account: AccountId, policy: &AnyPolicy) {
    xml.text("PolicyName", policy.name());
    xml.text("PolicyArn", &policy.arn(account));
}

pub fn list_attached(call: &Call<'_>) -> Answer {
    let named = named(call)?;
    let prefix = call.form.path_prefix()?;
    let paging = Paging::read(&call.form)?;
    call.authorize(&named.arn)?;
    let policies = attached(call.state(), held(call, &named)?.0).into_iter();
    let page = paging.page_of_all(policies.filter(|policy| policy.path().starts_with(prefix)), place);
    let mut xml = Xml::default();
    xml.list("AttachedPolicies", &page.items, |xml, policy| write_attached(xml, call.account, policy));
    page.write_end(&mut xml);
    Ok(Some(xml))
}

pub async fn put(call: &Call<'_>) -> Answer {
    let named = named(call)?;
    let name = call.form.required("PolicyName", Shape::NAME)?.into();
    let document = call.form.required("PolicyDocument", Shape::DOCUMENT)?.into();
    call.authorize(&named.arn)?;
    let holder = named.target();
    call.order(&named.arn, Command::PutInlinePolicy { org: call.org, holder, name, document }).await
}

pub fn get(call: &Call<'_>) -> Answer {
    let named = named(call)?;
    let name = call.form.required("PolicyName", Shape::NAME)?;
    call.authorize(&named.arn)?;
    let kind = if named.is_group { "group" } else { "user" };
    let none = || IamError::no_such(format!("The {kind} policy with name {name} cannot be found."));
    let document = held(call, &named)?.1.get(name).ok_or_else(none)?;
    let mut xml = Xml::default();
    xml.text(named.element, named.name);
    xml.text("PolicyName", name);
    xml.text("PolicyDocument", &percent_encoded(document));
    Ok(Some(xml))
}

pub fn list(call: &Call<'_>) -> Answer {
    let named = named(call)?;
    let paging = Paging::read(&call.form)?;
    call.authorize(&named.arn)?;
    let page = paging.page_of_all(held(call, &named)?.1.keys(), |name| name.to_string());
    let mut xml = Xml::default();
    xml.texts("PolicyNames", &page.items);
    page.write_end(&mut xml);
    Ok(Some(xml))
}

pub async fn delete(call: &Call<'_>) -> Answer {
    let named = named(call)?;
    let name = call.form.required("PolicyName", Shape::NAME)?.into();
    call.authorize(&named.arn)?;
    let holder = named.target();
    call.order(&named.arn, Command::DeleteInlinePolicy { org: call.org, holder, name }).await
}
