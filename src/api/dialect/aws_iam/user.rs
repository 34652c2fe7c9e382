//! Users, their tags and boundaries.
//!
//! Not here: their keys (`key`), groups (`group`) and policies (`user_policy`).

use super::call::{Answer, Call};
use super::error::IamError;
use super::form::{Shape, missing};
use super::names::{AnyPolicy, root_arn, user_arn};
use super::page::Paging;
use super::xml::Xml;
use crate::ledger::Command;
use crate::model::{AccountId, Tags};
use crate::state::{State, UserRecord};

/// A user's members. Lists leave tags and boundary out, as AWS does.
pub fn write(xml: &mut Xml, account: AccountId, user: &UserRecord) {
    xml.text("Path", &user.path);
    xml.text("UserName", &user.name);
    xml.text("UserId", &user.user.aws_id());
    xml.text("Arn", &user_arn(account, &user.path, &user.name));
    if let Some(at) = user.created_at {
        xml.date("CreateDate", at);
    }
}

pub fn write_tags(xml: &mut Xml, tags: &Tags) {
    xml.list("Tags", tags, |xml, (key, value)| {
        xml.text("Key", key);
        xml.text("Value", value);
    });
}

/// The boundary, and the tags, where there are any.
pub fn write_more(xml: &mut Xml, state: &State, account: AccountId, user: &UserRecord) {
    if let Some(policy) = user.boundary.and_then(|uid| AnyPolicy::by_uid(state, uid)) {
        xml.element("PermissionsBoundary", |xml| {
            xml.text("PermissionsBoundaryType", "Policy");
            xml.text("PermissionsBoundaryArn", &policy.arn(account));
        });
    }
    if !user.tags.is_empty() {
        write_tags(xml, &user.tags);
    }
}

pub async fn create(call: &Call<'_>) -> Answer {
    let name = call.form.required("UserName", Shape::NEW_USER)?;
    let path = call.form.path("Path")?.unwrap_or("/");
    let boundary = call.boundary_arn()?;
    let tags = call.form.tags()?;
    let resource = user_arn(call.account, path, name);
    call.authorize(&resource)?;
    let command = Command::CreateUser {
        org: call.org,
        name: name.into(),
        path: path.into(),
        external_id: None,
        tags,
        boundary: boundary.map(Into::into),
    };
    call.execute(&resource, command).await?;
    let state = call.newest();
    let user =
        state.user_by_name(call.org, name).ok_or_else(|| IamError::no_such("The user was deleted meanwhile."))?;
    let mut xml = Xml::default();
    xml.element("User", |xml| {
        write(xml, call.account, user);
        write_more(xml, &state, call.account, user);
    });
    Ok(Some(xml))
}

pub fn get(call: &Call<'_>) -> Answer {
    let mut xml = Xml::default();
    let Some(name) = call.user_name()? else {
        let arn = root_arn(call.account);
        call.authorize(&arn)?;
        let org = call.state().org(call.org);
        xml.element("User", |xml| {
            xml.text("Path", "/");
            let alias = org.and_then(|org| org.alias.as_deref());
            xml.text("UserName", alias.unwrap_or("root"));
            xml.text("UserId", &call.account.to_string());
            xml.text("Arn", &arn);
            if let Some(org) = org {
                xml.date("CreateDate", org.created_at);
            }
        });
        return Ok(Some(xml));
    };
    call.authorize(&call.arn_of_user(&name))?;
    let user = call.user(&name)?;
    xml.element("User", |xml| {
        write(xml, call.account, user);
        write_more(xml, call.state(), call.account, user);
    });
    Ok(Some(xml))
}

pub fn list(call: &Call<'_>) -> Answer {
    let prefix = call.form.path_prefix()?;
    let paging = Paging::read(&call.form)?;
    call.authorize(&format!("arn:aws:iam::{}:user{prefix}", call.account))?;
    let users = call.state().users(call.org, paging.after.as_deref());
    let page = paging.page(users.filter(|user| user.path.starts_with(prefix)), |user| user.name.to_string());
    let mut xml = Xml::default();
    xml.list("Users", &page.items, |xml, user| write(xml, call.account, user));
    page.write_end(&mut xml);
    Ok(Some(xml))
}

pub async fn update(call: &Call<'_>) -> Answer {
    let name = call.form.required("UserName", Shape::NAME)?;
    let new_name = call.form.optional("NewUserName", Shape::NEW_USER)?;
    let new_path = call.form.path("NewPath")?;
    let resource = call.arn_of_user(name);
    call.authorize(&resource)?;
    let (name, path) = (new_name.map(Into::into), new_path.map(Into::into));
    let user = call.form.required("UserName", Shape::NAME)?.into();
    call.order(&resource, Command::UpdateUser { org: call.org, user, name, path }).await
}

pub async fn delete(call: &Call<'_>) -> Answer {
    let name = call.form.required("UserName", Shape::NAME)?;
    let resource = call.arn_of_user(name);
    call.authorize(&resource)?;
    call.order(&resource, Command::DeleteUser { org: call.org, user: name.into() }).await
}

pub async fn tag(call: &Call<'_>) -> Answer {
    let name = call.form.required("UserName", Shape::NAME)?;
    let set = call.form.tags()?;
    let resource = call.arn_of_user(name);
    call.authorize(&resource)?;
    call.order(&resource, Command::TagUser { org: call.org, user: name.into(), set, remove: Vec::new() }).await
}

pub async fn untag(call: &Call<'_>) -> Answer {
    let name = call.form.required("UserName", Shape::NAME)?;
    let keys = call.form.list("TagKeys", Shape::TAG_KEY)?.ok_or_else(|| missing("TagKeys"))?;
    let remove = keys.into_iter().map(Into::into).collect();
    let resource = call.arn_of_user(name);
    call.authorize(&resource)?;
    call.order(&resource, Command::TagUser { org: call.org, user: name.into(), set: Tags::new(), remove }).await
}

pub fn list_tags(call: &Call<'_>) -> Answer {
    let name = call.form.required("UserName", Shape::NAME)?;
    call.authorize(&call.arn_of_user(name))?;
    tags_page(call, &call.user(name)?.tags)
}

/// A page of tags.
pub fn tags_page(call: &Call<'_>, tags: &Tags) -> Answer {
    let page = Paging::read(&call.form)?.page_of_all(tags, |(key, _)| key.to_string());
    let mut xml = Xml::default();
    xml.list("Tags", &page.items, |xml, (key, value)| {
        xml.text("Key", key);
        xml.text("Value", value);
    });
    page.write_end(&mut xml);
    Ok(Some(xml))
}

pub async fn put_boundary(call: &Call<'_>) -> Answer {
    let name = call.form.required("UserName", Shape::NAME)?;
    let policy = call.boundary_arn()?.ok_or_else(|| missing("PermissionsBoundary"))?;
    let resource = call.arn_of_user(name);
    call.authorize(&resource)?;
    let policy = Some(policy.into());
    call.order(&resource, Command::SetUserBoundary { org: call.org, user: name.into(), policy }).await
}

pub async fn delete_boundary(call: &Call<'_>) -> Answer {
    let name = call.form.required("UserName", Shape::NAME)?;
    let resource = call.arn_of_user(name);
    call.authorize(&resource)?;
    call.order(&resource, Command::SetUserBoundary { org: call.org, user: name.into(), policy: None }).await
}
