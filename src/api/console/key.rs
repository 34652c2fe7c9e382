//! One key: what it is, what became of it, where it is used from, what it may do now and could do then, and what can be done with it.
//!
//! Not here: doing it (`change`).

use super::page::{self, Tab};
use super::refused::Refused;
use super::{Call, audit, evidence, picture, show};
use crate::api::Reply;
use crate::audit::access::May;
use crate::audit::access::table::{DecisionTable, Kind, table_of};
use crate::audit::rights::{InForce, in_force};
use crate::audit::story::{Story, story};
use crate::audit::uses::{Profile, TallyRow};
use crate::audit::{Asked, FactRow, Query, log};
use crate::model::Time;
use crate::model::text::excerpt;
use crate::state::{KeyRecord, KeyStatus};
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Events, addresses and buckets that are shown.
const EVENTS_SHOWN: usize = 50;
const ROWS_SHOWN: usize = 10;
const BUCKETS_SHOWN: usize = 50;
/// Characters of an address, a program's name, a bucket.
const VALUE_CHARS_SHOWN: usize = 70;

/// What the key could do at a moment.
struct Could {
    at: Time,
    status: KeyStatus,
    table: DecisionTable,
    in_force: Vec<InForce>,
}

/// # Errors
/// 404 for a key of somebody else, and for one that nobody has and no imported record of the account speaks of; 400 for what is no moment.
pub fn page(call: &Call<'_>, id: &str) -> Result<Reply, Refused> {
    let Ok(key) = call.visitor.key(id) else { return evidence::page(call, id) };
    let now = call.visitor.now;
    let own = || {
        call.past(|history, worlds| {
            let told = story(history, &key, None, now)?;
            let asked =
                Asked { key: Some(key.id.to_string()), limit: Some(EVENTS_SHOWN), reverse: true, ..Asked::default() };
            let mut newest: Vec<FactRow> = Vec::new();
            log::rows(history, worlds, &Query::of(&asked, history, worlds)?, &mut |row| {
                newest.push(row);
                ControlFlow::Continue(())
            })?;
            Ok((told, newest))
        })
    };
    let (imported, (story, newest)) = evidence::beside(call, &key.id, (None, None), own)?;
    let asked = call.query.some("at");
    let could = call.at(asked, |_, worlds, at| {
        let then = worlds.key(key.uid()).map(|place| place.record);
        Ok(then.map(|then| Could {
            at,
            status: worlds.status(&then, at),
            table: table_of(worlds, &then, at, BUCKETS_SHOWN, &BTreeSet::new()),
            in_force: in_force(worlds, then.uid(), &then),
        }))
    })?;
    let state = &call.visitor.state;
    let status = state.status(&key, now);
    let body = html! {
        p.crumbs { a href="/console/keys" { "Access keys" } " / " span { (key.id) } }
        div.title-row {
            h1 { (show::label(state, &key)) " " (show::status(status)) }
            @if call.visitor.role.sees_all() {
                a.button href={ "/console/keys/" (key.id) "/investigation" } { "Investigate" }
            }
        }
        (page::done(&call.query))
        @if let Some(flag) = &key.more().flag {
            div.banner.bad role="status" {
                p {
                    strong { @if flag.quarantine { "Flagged and quarantined." } @else { "Flagged." } }
                    " " (show::text(&flag.note)) " " span.quiet { (show::moment(flag.at)) }
                }
            }
        }
        (facts(call, &key))
        section.card { h2 { "Its life" } (picture::life(&story)) }
        (used_from(&story))
        @if let Some(told) = &imported { (evidence::section(call, told)) }
        (rights(call, &key, could.as_ref(), asked))
        @if call.visitor.role.changes() && !key.is_deleted() { (acts(call, &key, status)) }
        section.card {
            div.title-row {
                h2 { "Events" }
                @if call.visitor.role.sees_all() { a href={ "/console/audit?key=" (key.id) } { "Search them all" } }
            }
            (audit::list(&newest, true))
            @if story.events > newest.len() as u64 {
                p.quiet { "The newest " (newest.len()) " of " (show::grouped(story.events)) "." }
            }
        }
    };
    Ok(page::whole(200, "Access key", Some(Tab::Keys), &call.visitor, &body))
}

fn facts(call: &Call<'_>, key: &KeyRecord) -> Markup {
    let (state, now) = (&call.visitor.state, call.visitor.now);
    let more = key.more();
    let key_link = |uid| {
        let name = show::key_name(state, uid);
        html! { a href={ "/console/keys/" (name) } { code { (name) } } }
    };
    html! {
        section.card {
            dl.facts {
                div.wide-fact { dt { "Access key id" } dd { code id="key-id" { (key.id) } " " (show::copy("key-id", "the access key id")) } }
                div { dt { "Buckets" } dd { (show::buckets(&key.rights().grants, key.is_scoped(), &key.owner)) } }
                div { dt { "Owner" } dd { (show::text(&show::owner(state, &key.owner))) } }
                div { dt { "Created" } dd { (show::moment_or(key.created_at(), "unknown")) " by " (show::text(&call.maker(key).unwrap_or_default())) } }
                div { dt { "Expires" } dd { (show::expiry(key.expires_at(), now)) } }
                div {
                    dt { "Last used" }
                    dd {
                        (show::ago(more.last_used.as_ref().map(|used| used.at), now))
                        @if let Some(used) = &more.last_used { span.quiet { " · " (used.service) } }
                    }
                }
                div {
                    dt { "Secrets" }
                    dd {
                        @for (at, secret) in key.live_secrets(now).enumerate() {
                            @if at > 0 { br; }
                            "v" (secret.version) span.quiet { " set " (show::moment(secret.set_at)) }
                            @if secret.deadline != Time::MAX { span.warn-text { " until " (show::moment(secret.deadline)) } }
                        }
                    }
                }
                @if let Some(uid) = more.made_by { div { dt { "Made by" } dd { (key_link(uid)) } } }
                @if let Some(uid) = more.links.replaces { div { dt { "Replaces" } dd { (key_link(uid)) } } }
                @if let Some(uid) = more.links.replaced_by { div { dt { "Replaced by" } dd { (key_link(uid)) } } }
                @if let Some(at) = key.revoked_at() { div { dt { "Revoked" } dd { (show::moment(at)) } } }
                @if let Some(at) = key.deleted_at() { div { dt { "Deleted" } dd { (show::moment(at)) } } }
                @if !more.description.is_empty() { div.wide-fact { dt { "Description" } dd { (show::text(&more.description)) } } }
                @if !more.tags.is_empty() {
                    div.wide-fact {
                        dt { "Tags" }
                        dd { @for (name, value) in &more.tags { span.tag { (show::text(name)) ": " (show::text(value)) } " " } }
                    }
                }
            }
        }
    }
}

fn used_from(story: &Story) -> Markup {
    let sides: [(&str, &BTreeMap<String, _>); 3] =
        [("Addresses", &story.uses.addresses), ("Programs", &story.uses.agents), ("Buckets", &story.uses.buckets)];
    html! {
        @if story.uses.all.total() > 0 {
            section.card {
                h2 { "Where it was used from" }
                div.columns {
                    @for (title, side) in sides {
                        @if !side.is_empty() {
                            div { h3 { (title) } (tallies(&Profile::rows(side, None))) }
                        }
                    }
                }
            }
        }
    }
}

/// The most used of one side.
pub fn tallies(rows: &[TallyRow]) -> Markup {
    html! {
        table.plain {
            thead { tr { th scope="col" { "Which" } th.num scope="col" { "Uses" } th scope="col" { "Last" } } }
            tbody {
                @for row in rows.iter().take(ROWS_SHOWN) {
                    tr {
                        td.break title=(show::text(&row.value)) { (excerpt(&row.value, VALUE_CHARS_SHOWN)) @if row.is_new { " " span.pill.flagged { "new" } } }
                        td.num {
                            (show::grouped(row.tally.total()))
                            @if row.tally.denied > 0 { span.bad-text { " (" (show::grouped(row.tally.denied)) " denied)" } }
                        }
                        td { @if let Some(last) = row.tally.last { (show::moment(last.0)) } }
                    }
                }
            }
        }
        @if rows.len() > ROWS_SHOWN { p.quiet { "and " (rows.len() - ROWS_SHOWN) " more" } }
    }
}

fn rights(call: &Call<'_>, key: &KeyRecord, could: Option<&Could>, asked: Option<&str>) -> Markup {
    html! {
        section.card id="rights" {
            div.title-row {
                h2 { @if asked.is_some() { "What it could do then" } @else { "What it may do now" } }
                form.inline method="get" action={ "/console/keys/" (key.id) "#rights" } {
                    label for="at" { "at" }
                    input id="at" name="at" type="text" value=(asked.unwrap_or_default()) placeholder="7d, 2026-11-01T09:00Z" maxlength="40";
                    button type="submit" { "Show" }
                    @if asked.is_some() { a.button href={ "/console/keys/" (key.id) "#rights" } { "Now" } }
                }
            }
            @match could {
                None => { p { "The key was not there yet." } }
                Some(could) => {
                    p.quiet {
                        "At " (show::moment(could.at)) " it " @if could.at == call.visitor.now { "is" } @else { "was" } " "
                        (show::status(could.status))
                        @if !could.status.is_usable() { ": requests with it are turned away." }
                    }
                    (decisions(&could.table))
                    (documents(&could.in_force))
                }
            }
        }
    }
}

/// What may be done, place by place.
pub fn decisions(table: &DecisionTable) -> Markup {
    let cell = |may: May| match may {
        May::Always => html! { span.yes { "yes" } },
        May::Sometimes => html! { span.some title="For some requests" { "some" } },
        May::Never => html! { span.no { "no" } },
    };
    let of_org: Vec<_> = table.org.iter().filter(|cell| cell.power.may != May::Never).collect();
    html! {
        @if table.rows.is_empty() {
            p { "Nothing in any bucket." }
        } @else {
            div.scroll tabindex="0" role="group" aria-label="Rights by bucket" {
                table.plain.grid {
                    thead { tr { th scope="col" { "Bucket" } @for kind in Kind::ALL { th scope="col" { (kind.as_str()) } } } }
                    tbody {
                        @for row in &table.rows {
                            tr {
                                th scope="row" { (show::text(&row.bucket)) @if !row.prefix.is_empty() { "/" (show::text(&row.prefix)) } }
                                @for kind in Kind::ALL { td { (cell(row.may(kind))) } }
                            }
                        }
                    }
                }
            }
        }
        @if table.closed > 0 { p.quiet { "Closed to it: " (table.closed) " more buckets." } }
        @if table.not_asked > 0 { p.quiet { "Not asked about: " (table.not_asked) " more buckets." } }
        @if !of_org.is_empty() {
            p {
                "In the org: "
                @for (at, cell) in of_org.iter().enumerate() {
                    @if at > 0 { ", " }
                    code { (cell.action) } @if cell.power.may == May::Sometimes { span.quiet { " (some)" } }
                }
            }
        }
    }
}

fn documents(in_force: &[InForce]) -> Markup {
    html! {
        @if !in_force.is_empty() {
            details {
                summary { "What it comes from" }
                ul.plain-list {
                    @for right in in_force {
                        li {
                            strong { (right.kind) @if let Some(policy) = &right.policy { " " (show::text(policy)) } }
                            span.quiet { " of " (show::words(&right.held_by)) @if let Some(note) = right.note { " (" (note) ")" } }
                            ul { @for says in &right.says { li { (show::words(says)) } } }
                        }
                    }
                }
            }
        }
    }
}

/// A form of one button.
fn act(call: &Call<'_>, key: &KeyRecord, act: &str, class: &str, words: &str, more: &Markup) -> Markup {
    html! {
        form method="post" action={ "/console/keys/" (key.id) "/" (act) } {
            (page::csrf(&call.visitor))
            (more)
            button class=(class) type="submit" { (words) }
        }
    }
}

fn acts(call: &Call<'_>, key: &KeyRecord, status: KeyStatus) -> Markup {
    let nothing = html! {};
    let token = html! { input type="hidden" name="token" value=(call.api.console.sessions.random()); };
    let grace = |id: &str, longest: &str| {
        html! {
            (token)
            div.field {
                label for=(id) { "The old one goes on for" }
                select id=(id) name="grace_hours" {
                    option value="1" { "an hour" }
                    option value="24" selected { "a day" }
                    option value=(longest) { (longest.parse::<u32>().unwrap_or(24) / 24) " days" }
                }
            }
        }
    };
    let is_usable = status.is_usable();
    let label = html! {
        div.field {
            label for="label" { "Label" }
            input id="label" name="label" type="text" maxlength="256" value=(key.label) autocomplete="off";
        }
    };
    let flag = html! {
        div.field { label for="note" { "Why" } input id="note" name="note" type="text" maxlength="200" autocomplete="off"; }
        label.choice { input type="checkbox" name="quarantine" value="yes" checked; span { "Quarantine it: it may read, and no more" } }
    };
    html! {
        section.card id="acts" {
            h2 { "Change it" }
            div.acts {
                @if is_usable {
                    details {
                        summary { "Rotate" }
                        p.quiet { "A new key with the same rights; this one stops at the end of the time below. Switch the program over meanwhile." }
                        (act(call, key, "rotate", "primary", "Make the new key", &grace("grace-pair", "168")))
                        p.quiet { "Or keep the id: the key gets a second secret." }
                        (act(call, key, "rotate-secret", "", "Make a new secret", &grace("grace-place", "72")))
                    }
                }
                @if status == KeyStatus::Rotating && key.live_secrets(call.visitor.now).count() > 1 {
                    (act(call, key, "retire", "", "Stop the older secret now", &nothing))
                }
                @if is_usable { (act(call, key, "suspend", "", "Suspend", &nothing)) }
                @if status == KeyStatus::Inactive { (act(call, key, "resume", "primary", "Resume", &nothing)) }
                details { summary { "Label" } (act(call, key, "label", "", "Save", &label)) }
                @if call.visitor.role.sees_all() {
                    @if key.more().flag.is_some() {
                        (act(call, key, "clear", "", "Clear the flag", &nothing))
                    } @else {
                        details { summary { "Flag as compromised" } (act(call, key, "flag", "revoke", "Flag it", &flag)) }
                    }
                }
                @if !matches!(status, KeyStatus::Revoked) {
                    details {
                        summary.revoke-text { "Revoke" }
                        p { "For ever: requests with it get 403 at once. The key stays in the list, with its history." }
                        (act(call, key, "revoke", "revoke", "Revoke this key", &nothing))
                    }
                }
                details.danger {
                    summary.delete-text { "Delete" }
                    p {
                        "For ever: its secret is destroyed and it leaves the list. The audit keeps its history."
                        @if !matches!(status, KeyStatus::Revoked) { " Revoke it first, and see that nothing breaks." }
                    }
                    (act(call, key, "delete", "delete", "Delete this key", &html! {
                        div.field {
                            label for="confirm" { "Type " code { (key.id) } " to confirm" }
                            input id="confirm" name="confirm" type="text" required autocomplete="off" spellcheck="false"
                                autocapitalize="off" data-must-be=(key.id);
                        }
                    }))
                }
            }
        }
    }
}
