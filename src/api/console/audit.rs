//! The audit's search: what happened, event by event, in the org.
//!
//! Pages go back in time by the event's own number, so that what is recorded meanwhile moves nothing.
//!
//! Not here: finding the events (`crate::audit`).

use super::page::{self, Tab};
use super::refused::Refused;
use super::{Call, show};
use crate::api::Reply;
use crate::audit::{Asked, FactRow, Query, log};
use crate::model::{Dialect, EventKind, Seq, When};
use maud::{Markup, html};
use std::ops::ControlFlow;

/// Events of a page.
const PAGE: usize = 50;

/// # Errors
/// 403 for a Member; 400 for a filter that cannot be one.
pub fn page(call: &Call<'_>) -> Result<Reply, Refused> {
    call.visitor.sees_all()?;
    let found = search(call);
    let (rows, next, wrong) = match found {
        Ok((rows, next)) => (rows, next, None),
        Err(refused) if refused.status() == 400 => (Vec::new(), None, Some(refused)),
        Err(refused) => return Err(refused),
    };
    let body = html! {
        h1 { "Audit" }
        p.quiet { "Everything that was done in this org, newest first. Each event is a commit of the log, and bound to all before it." }
        (filters(call))
        @if let Some(wrong) = &wrong { div.banner.bad role="alert" { p { (wrong.text()) } } }
        @if rows.is_empty() && wrong.is_none() {
            div.empty { p { strong { "No event fits." } } p.quiet { a href="/console/audit" { "Show all events" } } }
        }
        @if !rows.is_empty() { section.card { (list(&rows, true)) } }
        nav.pages aria-label="Pages" {
            @if call.query.some("before").is_some() { a.button href={ "/console/audit" (call.query.with("before", "")) } { "Newest" } }
            @if let Some(next) = next { a.button href={ "/console/audit" (call.query.with("before", &next)) } { "Older events" } }
        }
    };
    let status = wrong.map_or(200, |wrong| wrong.status());
    Ok(page::whole(status, "Audit", Some(Tab::Audit), &call.visitor, &body))
}

/// The rows of a page, and the event that the next begins behind.
fn search(call: &Call<'_>) -> Result<(Vec<FactRow>, Option<String>), Refused> {
    let query = &call.query;
    let own = |name| query.some(name).map(str::to_owned);
    let moment = |name: &str| query.some(name).map(|text| call.when(text)).transpose();
    let before = query.some("before").map(event).transpose()?;
    // The commit of the event is asked for too: its earlier events may not have been shown.
    let until = match before {
        Some((seq, _)) => Some(When::Seq(Seq(seq.saturating_add(1)))),
        None => moment("until")?,
    };
    let asked = Asked {
        key: own("key"),
        user: own("user"),
        policy: own("policy"),
        bucket: own("bucket"),
        actor: own("actor"),
        address: own("address"),
        kinds: query.all("kind").map(str::to_owned).collect(),
        dialect: own("dialect"),
        since: moment("since")?,
        until,
        reverse: true,
        ..Asked::default()
    };
    let later = moment("until")?;
    call.past(|history, worlds| {
        let mut query = Query::of(&asked, history, worlds)?;
        query.between(None, later.filter(|_| before.is_some() && matches!(later, Some(When::At(_)))));
        let mut rows = Vec::new();
        let mut more = false;
        log::rows(history, worlds, &query, &mut |row| {
            let id = (row.event.0.seq.0, row.event.0.index);
            if before.is_some_and(|(seq, index)| id >= (seq, index)) {
                return ControlFlow::Continue(());
            }
            if rows.len() == PAGE {
                more = true;
                return ControlFlow::Break(());
            }
            rows.push(row);
            ControlFlow::Continue(())
        })?;
        let next = rows.last().filter(|_| more).map(|last: &FactRow| last.event.to_string());
        Ok((rows, next))
    })
}

/// `seq.index`.
fn event(text: &str) -> Result<(u64, u16), Refused> {
    let parts = text.split_once('.').and_then(|(seq, index)| Some((seq.parse().ok()?, index.parse().ok()?)));
    parts.ok_or_else(|| Refused::input("This page’s place in the list is not one that was given out."))
}

fn filters(call: &Call<'_>) -> Markup {
    let chosen = |name: &str| call.query.text(name).to_owned();
    let fields = [
        ("key", "Key", "NQAK…"),
        ("user", "User", "alice"),
        ("policy", "Policy", "reader"),
        ("bucket", "Bucket", "photos"),
        ("actor", "By", "user, key or operator"),
        ("address", "From address", "203.0.113.0/24"),
        ("since", "Since", "7d, 2026-11-01"),
        ("until", "Until", "2026-11-20T09:00Z"),
    ];
    let is_open =
        fields.iter().skip(1).any(|(name, ..)| call.query.some(name).is_some()) || call.query.some("dialect").is_some();
    html! {
        form.filters method="get" action="/console/audit" role="search" {
            div.field.grow {
                label for="key" { "Key" }
                input id="key" name="key" type="text" value=(chosen("key")) placeholder="NQAK…" maxlength="128" spellcheck="false";
            }
            div.field {
                label for="kind" { "Kind" }
                select id="kind" name="kind" {
                    option value="" { "Any" }
                    @for kind in EventKind::ALL {
                        option value=(kind.as_str()) selected[call.query.text("kind") == kind.as_str()] { (kind.as_str()) }
                    }
                }
            }
            button type="submit" { "Search" }
            details.more-filters open[is_open] {
                summary { "More filters" }
                div.filter-grid {
                    @for (name, label, example) in fields.into_iter().skip(1) {
                        div.field {
                            label for=(name) { (label) }
                            input id=(name) name=(name) type="text" value=(chosen(name)) placeholder=(example) maxlength="128";
                        }
                    }
                    div.field {
                        label for="dialect" { "By surface" }
                        select id="dialect" name="dialect" {
                            option value="" { "Any" }
                            @for dialect in Dialect::ALL {
                                option value=(dialect.as_str()) selected[call.query.text("dialect") == dialect.as_str()] { (dialect.as_str()) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Events, each with who, whence and what changed.
pub fn list(rows: &[FactRow], with_changes: bool) -> Markup {
    html! {
        ol.events {
            @for row in rows {
                li {
                    div.when { (show::second(row.effective_at.0)) }
                    div.what {
                        p { (show::words(&row.summary)) @if row.outcome != "ok" { " " span.pill.revoked { (show::text(&row.outcome)) } } }
                        p.quiet.small {
                            (show::text(&row.actor.to_string()))
                            @if let Some(address) = &row.source_ip { " from " (show::text(address)) }
                            @if let Some(dialect) = row.dialect { " by " (dialect) }
                            " · event " (row.event)
                            @if let Some(reason) = &row.reason { " · " (show::text(reason)) }
                        }
                        @if with_changes && !row.changes.is_empty() {
                            details {
                                summary { "What changed" }
                                dl.changes {
                                    @for change in &row.changes {
                                        div {
                                            dt { (show::text(&change.field)) }
                                            dd {
                                                @if let Some(before) = &change.before { del { (show::text(before)) } " " }
                                                @if let Some(after) = &change.after { ins { (show::text(after)) } }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
