//! The list of policies.
//!
//! Not here: one policy (`policy`), asking what policies say (`simulate`).

use super::form::encoded;
use super::page::{self, Tab};
use super::refused::Refused;
use super::{Call, show};
use crate::api::Reply;
use crate::policy::managed;
use maud::html;

/// Policies of a page.
const PAGE: usize = 100;

/// # Errors
/// 403 for a Member.
pub fn page(call: &Call<'_>) -> Result<Reply, Refused> {
    call.visitor.sees_all()?;
    let state = &call.visitor.state;
    let mut all = state.policies(call.visitor.org.org, call.query.some("after"));
    let own: Vec<_> = all.by_ref().take(PAGE).collect();
    let next = own.last().filter(|_| all.next().is_some()).map(|last| last.name.clone());
    let body = html! {
        div.title-row {
            h1 { "Policies" }
            div.actions {
                a.button href="/console/simulate" { "Simulate" }
                @if call.visitor.role.changes() { a.button.primary href="/console/policies/new" { "Create policy" } }
            }
        }
        (page::done(&call.query))
        @if own.is_empty() {
            div.empty { p { strong { "No policies of your own yet." } } p.quiet { "A policy says what may be done, by whom it is attached to." } }
        } @else {
            div.card.flush {
                table.rows {
                    caption.hidden { "Policies" }
                    thead {
                        tr {
                            th scope="col" { "Name" } th.num scope="col" { "Holders" } th scope="col" { "Version" } th scope="col" { "Changed" }
                        }
                    }
                    tbody {
                        @for policy in &own {
                            tr {
                                td.lead data-label="Name" {
                                    a.label href={ "/console/policies/" (encoded(&policy.name)) } { (policy.name) }
                                    @if !policy.description.is_empty() { br; span.quiet { (show::text(&policy.description)) } }
                                }
                                td.num data-label="Holders" { (state.holder_count(policy.policy)) }
                                td data-label="Version" { "v" (policy.default_version) span.quiet { " of " (policy.versions.len()) } }
                                td data-label="Changed" { (show::moment_or(policy.updated_at.or(policy.created_at), "unknown")) }
                            }
                        }
                    }
                }
            }
        }
        nav.pages aria-label="Pages" {
            @if let Some(next) = next { a.button href={ "/console/policies?after=" (encoded(&next)) } { "Next page" } }
        }
        section.card {
            h2 { "In every org" }
            ul.plain-list {
                @for managed in managed::ALL.iter().filter(|managed| managed.is_in_every_org) {
                    li { strong { (managed.name) } " " span.quiet { (managed.about) } }
                }
            }
        }
    };
    Ok(page::whole(200, "Policies", Some(Tab::Policies), &call.visitor, &body))
}
