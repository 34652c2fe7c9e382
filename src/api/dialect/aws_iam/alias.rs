//! The account's alias: one, unique among all orgs.
//!
//! Not here: signing in by it.

use super::call::{Answer, Call};
use super::error::IamError;
use super::form::Shape;
use super::page::Paging;
use super::xml::Xml;
use crate::ledger::Command;

pub fn list(call: &Call<'_>) -> Answer {
    let paging = Paging::read(&call.form)?;
    call.authorize("*")?;
    let alias = call.state().org(call.org).and_then(|org| org.alias.as_deref());
    let page = paging.page_of_all(alias, |alias| (*alias).to_owned());
    let mut xml = Xml::default();
    xml.texts("AccountAliases", &page.items);
    page.write_end(&mut xml);
    Ok(Some(xml))
}

pub async fn create(call: &Call<'_>) -> Answer {
    let alias = call.form.required("AccountAlias", Shape::ALIAS)?;
    call.authorize("*")?;
    let command = Command::SetOrgAlias { org: call.org, alias: Some(alias.into()) };
    call.order("*", command).await
}

pub async fn delete(call: &Call<'_>) -> Answer {
    let alias = call.form.required("AccountAlias", Shape::ALIAS)?;
    call.authorize("*")?;
    let is_own = call.state().org(call.org).and_then(|org| org.alias.as_deref()) == Some(alias);
    if !is_own && !call.was_done() {
        return Err(IamError::no_such(format!("The account alias {alias} cannot be found.")));
    }
    call.order("*", Command::SetOrgAlias { org: call.org, alias: None }).await
}
