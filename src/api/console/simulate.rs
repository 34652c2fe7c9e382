//! The simulator: may this key do that, or what do these policies say to it, and why.
//!
//! A key is asked with all that bears on it, at any moment; documents are asked as they stand, with what the request is given.
//!
//! Not here: deciding (`state::access`, `crate::policy`).

use super::page::{self, Tab};
use super::refused::Refused;
use super::{Call, show};
use crate::api::Reply;
use crate::audit::access::{Answer, Power, Question, decide, power};
use crate::policy::{Document, DocumentError, DocumentKind, Explanation, Verdict, explain, managed};
use maud::{Markup, html};

/// Policies that are offered.
const OFFERED_MAX: usize = 200;

enum Said {
    OfKey(Answer, Power),
    OfDocuments(Vec<String>, Explanation),
    Bad(String, DocumentError),
    Nothing,
}

/// # Errors
/// 403 for a Member.
pub fn page(call: &Call<'_>) -> Result<Reply, Refused> {
    call.visitor.sees_all()?;
    let (said, wrong) = match asked(call) {
        Ok(said) => (said, None),
        Err(refused) if refused.status() < 500 => (Said::Nothing, Some(refused)),
        Err(refused) => return Err(refused),
    };
    let body = html! {
        p.crumbs { a href="/console/policies" { "Policies" } " / " span { "Simulator" } }
        h1 { "Simulator" }
        p.quiet { "By the very function that decides requests." }
        @if let Some(wrong) = &wrong { div.banner.bad role="alert" { p { (wrong.text()) } } }
        (answer(&said))
        (form(call))
    };
    let status = wrong.map_or(200, |wrong| wrong.status());
    Ok(page::whole(status, "Simulator", Some(Tab::Policies), &call.visitor, &body))
}

fn asked(call: &Call<'_>) -> Result<Said, Refused> {
    let query = &call.query;
    let (Some(action), Some(resource)) = (query.some("action"), query.some("resource")) else {
        return Ok(Said::Nothing);
    };
    let context = query.verbatim("context");
    let context = context.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    let question = Question::new(action, resource).with_context(&context)?;
    if let Some(id) = query.some("key") {
        let uid = call.visitor.key(id)?.uid();
        let said = call.at(query.some("at"), |_, worlds, at| {
            let key = worlds.key(uid).map(|place| place.record);
            Ok(key.map(|key| Said::OfKey(decide(worlds, &key, &question, at), power(worlds, &key, &question, at))))
        })?;
        return said.ok_or_else(|| Refused::input("The key was not there yet."));
    }
    let mut documents = Vec::new();
    for name in query.all("policy") {
        let own = call.visitor.state.policy_by_name(call.visitor.org.org, name);
        let text = own.and_then(|policy| policy.document().map(ToString::to_string));
        let text = text.or_else(|| managed::lookup(name)?.document.map(str::to_owned)).ok_or_else(Refused::missing)?;
        documents.push((name.to_owned(), text));
    }
    let given = query.verbatim("document");
    if !given.trim().is_empty() {
        documents.push(("the document given".to_owned(), given));
    }
    if documents.is_empty() {
        return Err(Refused::input("Name a key, choose a policy, or give a document."));
    }
    let (mut names, mut parsed) = (Vec::new(), Vec::new());
    for (name, text) in documents {
        match Document::parse(&text, DocumentKind::Simulated) {
            Ok(document) => parsed.push(document),
            Err(error) => return Ok(Said::Bad(name, error)),
        }
        names.push(name);
    }
    Ok(Said::OfDocuments(names, question.with_request(|request| explain(&parsed, request))))
}

fn verdict(verdict: Verdict) -> Markup {
    let class = if verdict.is_allow() { "active" } else { "revoked" };
    html! { span class={ "pill big " (class) } { (verdict.as_str()) } }
}

fn answer(said: &Said) -> Markup {
    html! {
        @match said {
            Said::Nothing => {}
            Said::Bad(name, error) => {
                div.banner.bad role="alert" {
                    p { strong { (show::text(name)) " cannot be read." } }
                    dl.changes {
                        div { dt { "Where" } dd { code { (show::text(&error.path)) } } }
                        div { dt { "Found" } dd { (show::text(&error.found)) } }
                        div { dt { "Expected" } dd { (show::text(&error.expected)) } }
                    }
                }
            }
            Said::OfKey(answer, power) => {
                section.card {
                    p { (verdict(answer.verdict)) " " (show::text(&answer.why)) }
                    @if let Some(by) = &answer.by { (because(by)) }
                    @if let Some(missing) = &answer.not_in_evidence { p.warn-text { "Not in evidence: " (show::text(missing)) } }
                    p.quiet { "With what is not given left open: " strong { (power.may.as_str()) } ", " (show::text(&power.why)) }
                }
            }
            Said::OfDocuments(names, explanation) => {
                section.card {
                    p { (verdict(explanation.decision.verdict)) }
                    table.rows {
                        thead { tr { th scope="col" { "Statement" } th scope="col" { "Effect" } th scope="col" { "What came of it" } } }
                        tbody {
                            @for row in &explanation.statements {
                                @let name = usize::try_from(row.at.document).ok().and_then(|at| names.get(at));
                                tr {
                                    td.lead data-label="Statement" {
                                        (show::text(name.map_or("", String::as_str))) " [" (row.at.statement) "]"
                                        @if let Some(sid) = &row.sid { " " (show::text(sid)) }
                                        @if row.decided { " " span.pill.rotating { "decided" } }
                                    }
                                    td data-label="Effect" { (row.effect) }
                                    td.break data-label="What came of it" { (show::text(&row.outcome.to_string())) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn because(by: &crate::audit::access::Because) -> Markup {
    html! {
        p {
            "By statement " (by.statement) @if let Some(sid) = &by.sid { " (" (show::text(sid)) ")" } " of " (show::words(&by.policy)) " of "
            (show::words(&by.held_by)) ": " (show::words(&by.says))
        }
    }
}

fn form(call: &Call<'_>) -> Markup {
    let text = |name: &str| call.query.text(name).to_owned();
    let chosen: Vec<&str> = call.query.all("policy").collect();
    let own =
        call.visitor.state.policies(call.visitor.org.org, None).take(OFFERED_MAX).map(|policy| policy.name.to_string());
    let everywhere =
        managed::ALL.iter().filter(|managed| managed.is_in_every_org).map(|managed| managed.arn.to_owned());
    html! {
        form.stack.card method="get" action="/console/simulate" {
            div.pair {
                div.field {
                    label for="action" { "Action" }
                    input id="action" name="action" type="text" required value=(text("action")) placeholder="s3:GetObject" maxlength="200" spellcheck="false";
                }
                div.field {
                    label for="resource" { "Resource" }
                    input id="resource" name="resource" type="text" required value=(text("resource")) placeholder="arn:aws:s3:::photos/a.jpg" maxlength="2048" spellcheck="false";
                }
            }
            div.pair {
                div.field {
                    label for="key" { "As this key " span.quiet { "or by the policies below" } }
                    input id="key" name="key" type="text" value=(text("key")) placeholder="NQAK…" maxlength="128" spellcheck="false";
                }
                div.field {
                    label for="at" { "At " span.quiet { "optional, of a key" } }
                    input id="at" name="at" type="text" value=(text("at")) placeholder="now, 7d, 2026-11-01T09:00Z" maxlength="40";
                }
            }
            div.field {
                label for="policy" { "Policies" }
                select id="policy" name="policy" multiple size="4" {
                    @for name in own.chain(everywhere) { option value=(name) selected[chosen.contains(&name.as_str())] { (name) } }
                }
            }
            div.field {
                label for="document" { "A document " span.quiet { "optional" } }
                textarea.code id="document" name="document" rows="6" spellcheck="false" { (call.query.verbatim("document")) }
            }
            div.field {
                label for="context" { "What the request brings " span.quiet { "a line each, optional" } }
                textarea.code id="context" name="context" rows="3" spellcheck="false" placeholder="aws:SourceIp=203.0.113.7" { (call.query.verbatim("context")) }
            }
            div.actions { button.primary type="submit" { "Ask" } }
        }
    }
}
