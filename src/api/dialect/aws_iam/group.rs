//! Groups and their members.
//!
//! Not here: their policies (`user_policy`).

use super::call::{Answer, Call};
use super::error::IamError;
use super::form::Shape;
use super::names::group_arn;
use super::page::Paging;
use super::user;
use super::xml::Xml;
use crate::ledger::Command;
use crate::model::AccountId;
use crate::state::GroupRecord;

pub fn write(xml: &mut Xml, account: AccountId, group: &GroupRecord) {
    xml.text("Path", &group.path);
    xml.text("GroupName", &group.name);
    xml.text("GroupId", &group.group.aws_id());
    xml.text("Arn", &group_arn(account, &group.path, &group.name));
    if let Some(at) = group.created_at {
        xml.date("CreateDate", at);
    }
}

pub async fn create(call: &Call<'_>) -> Answer {
    let name = call.form.required("GroupName", Shape::NAME)?;
    let path = call.form.path("Path")?.unwrap_or("/");
    let resource = group_arn(call.account, path, name);
    call.authorize(&resource)?;
    let command = Command::CreateGroup { org: call.org, name: name.into(), path: path.into() };
    call.execute(&resource, command).await?;
    let state = call.newest();
    let group = state.group_by_name(call.org, name);
    let group = group.ok_or_else(|| IamError::no_such("The group was deleted meanwhile."))?;
    let mut xml = Xml::default();
    xml.element("Group", |xml| write(xml, call.account, group));
    Ok(Some(xml))
}

pub fn get(call: &Call<'_>) -> Answer {
    let name = call.form.required("GroupName", Shape::NAME)?;
    let paging = Paging::read(&call.form)?;
    call.authorize(&call.arn_of_group(name))?;
    let group = call.group(name)?;
    let mut members: Vec<_> = group.members.iter().filter_map(|member| call.state().user(*member)).collect();
    members.sort_by_key(|user| user.name.to_ascii_lowercase());
    let page = paging.page_of_all(members, |user| user.name.to_ascii_lowercase().to_string());
    let mut xml = Xml::default();
    xml.element("Group", |xml| write(xml, call.account, group));
    xml.list("Users", &page.items, |xml, member| user::write(xml, call.account, member));
    page.write_end(&mut xml);
    Ok(Some(xml))
}

pub fn list(call: &Call<'_>) -> Answer {
    let prefix = call.form.path_prefix()?;
    let paging = Paging::read(&call.form)?;
    call.authorize(&format!("arn:aws:iam::{}:group{prefix}", call.account))?;
    let groups = call.state().groups(call.org, paging.after.as_deref());
    let page = paging.page(groups.filter(|group| group.path.starts_with(prefix)), |group| group.name.to_string());
    let mut xml = Xml::default();
    xml.list("Groups", &page.items, |xml, group| write(xml, call.account, group));
    page.write_end(&mut xml);
    Ok(Some(xml))
}

pub async fn update(call: &Call<'_>) -> Answer {
    let group = call.form.required("GroupName", Shape::NAME)?;
    let name = call.form.optional("NewGroupName", Shape::NAME)?.map(Into::into);
    let path = call.form.path("NewPath")?.map(Into::into);
    let resource = call.arn_of_group(group);
    call.authorize(&resource)?;
    call.order(&resource, Command::UpdateGroup { org: call.org, group: group.into(), name, path }).await
}

pub async fn delete(call: &Call<'_>) -> Answer {
    let group = call.form.required("GroupName", Shape::NAME)?;
    let resource = call.arn_of_group(group);
    call.authorize(&resource)?;
    call.order(&resource, Command::DeleteGroup { org: call.org, group: group.into() }).await
}

pub async fn add_user(call: &Call<'_>) -> Answer {
    let group = call.form.required("GroupName", Shape::NAME)?;
    let user = call.form.required("UserName", Shape::NAME)?;
    let resource = call.arn_of_group(group);
    call.authorize(&resource)?;
    let (group, user) = (group.into(), user.into());
    call.order(&resource, Command::AddGroupMember { org: call.org, group, user }).await
}

pub async fn remove_user(call: &Call<'_>) -> Answer {
    let group = call.form.required("GroupName", Shape::NAME)?;
    let user = call.form.required("UserName", Shape::NAME)?;
    let resource = call.arn_of_group(group);
    call.authorize(&resource)?;
    let (group, user) = (group.into(), user.into());
    call.order(&resource, Command::RemoveGroupMember { org: call.org, group, user }).await
}

pub fn list_for_user(call: &Call<'_>) -> Answer {
    let name = call.form.required("UserName", Shape::NAME)?;
    let paging = Paging::read(&call.form)?;
    call.authorize(&call.arn_of_user(name))?;
    let user = call.user(name)?;
    let mut groups: Vec<_> = user.groups.iter().filter_map(|group| call.state().group(*group)).collect();
    groups.sort_by_key(|group| group.name.to_ascii_lowercase());
    let page = paging.page_of_all(groups, |group| group.name.to_ascii_lowercase().to_string());
    let mut xml = Xml::default();
    xml.list("Groups", &page.items, |xml, group| write(xml, call.account, group));
    page.write_end(&mut xml);
    Ok(Some(xml))
}
