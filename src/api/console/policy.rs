//! One policy: its document and versions, who holds it, and a form that checks a document before it is kept.
//!
//! Not here: checking (`crate::policy`), and what becomes of a command (`ledger::decide`).

use super::form::{Form, decoded, encoded};
use super::page::{self, Tab};
use super::refused::Refused;
use super::{Call, show};
use crate::api::Reply;
use crate::ledger::{Command, ExecuteError, Refusal};
use crate::model::{Holder, Tags};
use crate::policy::{Document, DocumentError, DocumentKind};
use crate::state::PolicyRecord;
use maud::{Markup, html};
use std::sync::Arc;

/// Holders that are named.
const HOLDERS_SHOWN: usize = 50;

const EXAMPLE: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["s3:GetObject", "s3:ListBucket"],
      "Resource": ["arn:aws:s3:::photos", "arn:aws:s3:::photos/*"]
    }
  ]
}"#;

/// What came of a form.
enum Said {
    Nothing,
    /// The document can be kept: how many statements it has.
    Good(usize),
    Bad(DocumentError),
    Other(String),
}

fn checked(text: &str) -> Said {
    match Document::parse(text, DocumentKind::Managed) {
        Ok(document) => Said::Good(document.statements().len()),
        Err(error) => Said::Bad(error),
    }
}

fn said(said: &Said) -> Markup {
    html! {
        @match said {
            Said::Nothing => {}
            Said::Good(1) => { div.banner.good role="status" { p { "The document is good: 1 statement." } } }
            Said::Good(count) => { div.banner.good role="status" { p { "The document is good: " (count) " statements." } } }
            Said::Bad(error) => {
                div.banner.bad role="alert" {
                    p { strong { "The document cannot be kept." } }
                    dl.changes {
                        div { dt { "Where" } dd { code { (show::text(&error.path)) } } }
                        div { dt { "Found" } dd { (show::text(&error.found)) } }
                        div { dt { "Expected" } dd { (show::text(&error.expected)) } }
                    }
                }
            }
            Said::Other(text) => { div.banner.bad role="alert" { p { (text) } } }
        }
    }
}

/// What the ledger said no to, for the form; what is no fault of the form goes on.
fn refusal(error: ExecuteError) -> Result<Said, Refused> {
    match error {
        ExecuteError::Refused(Refusal::BadDocument(error)) => Ok(Said::Bad(error)),
        error => {
            let refused = Refused::from(error);
            if refused.status() < 500 { Ok(Said::Other(refused.text().to_owned())) } else { Err(refused) }
        }
    }
}

fn document_field(text: &str) -> Markup {
    html! {
        div.field {
            label for="document" { "Document" }
            textarea.code id="document" name="document" rows="16" spellcheck="false" required { (text) }
        }
    }
}

fn buttons(save: &str, back: &str) -> Markup {
    html! {
        div.actions {
            button.primary type="submit" name="do" value="save" { (save) }
            button type="submit" name="do" value="check" { "Check" }
            a.button href=(back) { "Cancel" }
        }
    }
}

/// # Errors
/// 403 for a Member and an Auditor.
pub fn new(call: &Call<'_>) -> Result<Reply, Refused> {
    call.visitor.sees_all()?;
    Ok(new_page(call, ("", "", EXAMPLE), &Said::Nothing))
}

fn new_page(call: &Call<'_>, (name, description, document): (&str, &str, &str), about: &Said) -> Reply {
    let body = html! {
        p.crumbs { a href="/console/policies" { "Policies" } " / " span { "New" } }
        h1 { "Create policy" }
        (said(about))
        form.stack.card method="post" action="/console/policies/new" {
            (page::csrf(&call.visitor))
            div.field {
                label for="name" { "Name" }
                input id="name" name="name" type="text" required maxlength="128" value=(name) autocomplete="off" spellcheck="false";
            }
            div.field {
                label for="description" { "Description " span.quiet { "optional" } }
                input id="description" name="description" type="text" maxlength="1000" value=(description) autocomplete="off";
            }
            (document_field(document))
            (buttons("Create policy", "/console/policies"))
        }
    };
    let status = if matches!(about, Said::Bad(_) | Said::Other(_)) { 400 } else { 200 };
    page::whole(status, "Create policy", Some(Tab::Policies), &call.visitor, &body)
}

/// # Errors
/// 403, and what is no fault of the form.
pub async fn create(call: &Call<'_>, form: &Form) -> Result<Reply, Refused> {
    call.visitor.sees_all()?;
    let (name, description, document) = (form.text("name"), form.text("description"), form.verbatim("document"));
    let typed = (name, description, document.as_str());
    if form.text("do") == "check" {
        return Ok(new_page(call, typed, &checked(&document)));
    }
    let command = Command::CreatePolicy {
        org: call.visitor.org.org,
        name: name.into(),
        path: "/".into(),
        description: description.into(),
        tags: Tags::new(),
        document: Arc::from(document.as_str()),
    };
    match ordered(call, command).await? {
        None => Ok(page::go(&format!("/console/policies/{}?done=policy-created", encoded(name)))),
        Some(about) => Ok(new_page(call, typed, &about)),
    }
}

/// Orders a command of a form; `Some`: what is wrong with the form.
async fn ordered(call: &Call<'_>, command: Command) -> Result<Option<Said>, Refused> {
    if !call.visitor.role.changes() {
        return Err(Refused::forbidden("An Auditor reads and changes nothing."));
    }
    match call.api.ledger.execute(&call.visitor.caller, command, None).await {
        Ok(_) => Ok(None),
        Err(error) => refusal(error).map(Some),
    }
}

fn found(call: &Call<'_>, name: &str) -> Result<Arc<PolicyRecord>, Refused> {
    let name = decoded(name).ok_or_else(Refused::missing)?;
    call.visitor.state.policy_by_name(call.visitor.org.org, &name).cloned().ok_or_else(Refused::missing)
}

/// # Errors
/// 403 for a Member, 404.
pub fn page(call: &Call<'_>, name: &str) -> Result<Reply, Refused> {
    call.visitor.sees_all()?;
    let policy = found(call, name)?;
    let document = policy.document().map(|text| show::json(text)).unwrap_or_default();
    Ok(shown(call, &policy, &document, &Said::Nothing))
}

/// # Errors
/// 403, 404, and what the ledger refuses.
pub async fn change(call: &Call<'_>, name: &str, act: &str, form: &Form) -> Result<Reply, Refused> {
    call.visitor.sees_all()?;
    let policy = found(call, name)?;
    let (org, own) = (call.visitor.org.org, policy.name.clone());
    let version = || form.text("version").parse::<u32>().map_err(|_| Refused::input("Name a version."));
    let document = form.verbatim("document");
    let (command, done) = match act {
        "version" if form.text("do") == "check" => return Ok(shown(call, &policy, &document, &checked(&document))),
        "version" => {
            let document = Arc::from(document.as_str());
            (Command::ReplacePolicyDocument { org, policy: own.clone(), document }, "policy-changed")
        }
        "default" => {
            (Command::SetDefaultPolicyVersion { org, policy: own.clone(), version: version()? }, "policy-changed")
        }
        "delete" if form.text("confirm") != policy.name => {
            let text = "The policy was not deleted: what was typed is not its name.";
            return Ok(shown(call, &policy, &document, &Said::Other(text.to_owned())));
        }
        "delete" => (Command::DeletePolicy { org, policy: own.clone(), force: true }, "policy-deleted"),
        _ => return Err(Refused::missing()),
    };
    match (ordered(call, command).await?, done) {
        (Some(about), _) => Ok(shown(call, &policy, &document, &about)),
        (None, "policy-deleted") => Ok(page::go("/console/policies?done=policy-deleted")),
        (None, done) => Ok(page::go(&format!("/console/policies/{}?done={done}", encoded(&own)))),
    }
}

fn shown(call: &Call<'_>, policy: &PolicyRecord, document: &str, about: &Said) -> Reply {
    let state = &call.visitor.state;
    let at = format!("/console/policies/{}", encoded(&policy.name));
    let holders = state.holders(policy.policy);
    let body = html! {
        p.crumbs { a href="/console/policies" { "Policies" } " / " span { (policy.name) } }
        div.title-row {
            h1 { (policy.name) }
            a.button href={ "/console/simulate?policy=" (encoded(&policy.name)) } { "Simulate" }
        }
        (page::done(&call.query))
        (said(about))
        section.card {
            dl.facts {
                div.wide-fact {
                    dt { "ARN" }
                    dd { code.break { "arn:aws:iam::" (call.visitor.org.account) ":policy" (policy.path) (policy.name) } }
                }
                div { dt { "In force" } dd { "v" (policy.default_version) } }
                div { dt { "Created" } dd { (show::moment_or(policy.created_at, "unknown")) } }
                div { dt { "Changed" } dd { (show::moment_or(policy.updated_at, "never")) } }
                @if !policy.description.is_empty() { div.wide-fact { dt { "Description" } dd { (show::text(&policy.description)) } } }
            }
        }
        section.card {
            h2 { "Document" }
            @if call.visitor.role.changes() {
                form.stack method="post" action={ (at) "/version" } {
                    (page::csrf(&call.visitor))
                    (document_field(document))
                    (buttons("Save as the new version", &at))
                }
            } @else {
                pre { code { (show::lines(document)) } }
            }
        }
        section.card {
            h2 { "Versions" }
            ul.plain-list {
                @for version in policy.versions.iter().rev() {
                    li {
                        details {
                            summary {
                                "v" (version.version)
                                @if version.version == policy.default_version { " " span.pill.active { "in force" } }
                                span.quiet { " " (show::moment_or(version.created_at, "unknown")) }
                            }
                            pre { code { (show::lines(&show::json(&version.document))) } }
                            @if call.visitor.role.changes() && version.version != policy.default_version {
                                form method="post" action={ (at) "/default" } {
                                    (page::csrf(&call.visitor))
                                    input type="hidden" name="version" value=(version.version);
                                    button type="submit" { "Put it in force" }
                                }
                            }
                        }
                    }
                }
            }
        }
        section.card {
            h2 { "Held by" }
            @if holders.is_empty() { p.quiet { "Nobody." } }
            ul.plain-list {
                @for holder in holders.iter().take(HOLDERS_SHOWN) { li { (holder_name(call, *holder)) } }
            }
            @if holders.len() > HOLDERS_SHOWN { p.quiet { "and " (holders.len() - HOLDERS_SHOWN) " more" } }
        }
        @if call.visitor.role.changes() {
            section.card {
                details.danger {
                    summary.delete-text { "Delete" }
                    p { "It is taken from all who hold it, each of whom has that in its history, and deleted for ever." }
                    form method="post" action={ (at) "/delete" } {
                        (page::csrf(&call.visitor))
                        div.field {
                            label for="confirm" { "Type " code { (policy.name) } " to confirm" }
                            input id="confirm" name="confirm" type="text" required autocomplete="off" spellcheck="false" data-must-be=(policy.name);
                        }
                        button.delete type="submit" { "Delete this policy" }
                    }
                }
            }
        }
    };
    let status = if matches!(about, Said::Bad(_) | Said::Other(_)) { 400 } else { 200 };
    page::whole(status, &policy.name, Some(Tab::Policies), &call.visitor, &body)
}

fn holder_name(call: &Call<'_>, holder: Holder) -> Markup {
    let state = &call.visitor.state;
    match holder {
        Holder::Key(uid) => {
            let name = show::key_name(state, uid);
            html! { "key " a href={ "/console/keys/" (name) } { code { (name) } } }
        }
        Holder::User(uid) => html! { "user " (state.user(uid).map(|user| user.name.to_string()).unwrap_or_default()) },
        Holder::Group(uid) => {
            html! { "group " (state.group(uid).map(|group| group.name.to_string()).unwrap_or_default()) }
        }
    }
}
