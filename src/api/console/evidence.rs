//! What imported records say of a key: beside what this server saw of it, and never mixed with it.
//!
//! Whoever sees all of an org sees what was imported for its account.
//!
//! Not here: reading the records (`audit::evidence`), whose it is (`api::past`).

use super::page::{self, Tab};
use super::refused::Refused;
use super::{Call, key, show};
use crate::api::Reply;
use crate::api::past::{at_length, evidence_of, evidence_org_of};
use crate::audit::evidence::{Evidence, EvidenceOptions, EvidenceRow, RECORDS_MAX};
use crate::audit::uses::TallyRow;
use crate::model::text::excerpt;
use crate::model::{AccessKeyId, Time};
use maud::{Markup, html};

/// Records and calls that are shown.
const RECORDS_SHOWN: usize = 20;
const CALLS_SHOWN: usize = 20;
/// Characters of what a record was about.
const RESOURCE_CHARS_SHOWN: usize = 120;

/// What the evidence of the visitor's account says of an id between two moments; `None`: nothing, or it is not the visitor's to see.
///
/// # Errors
/// 500 when the log cannot be read.
pub fn of(
    call: &Call<'_>,
    id: &AccessKeyId,
    since: Option<Time>,
    until: Option<Time>,
) -> Result<Option<Evidence>, Refused> {
    let visitor = &call.visitor;
    if !visitor.role.sees_all() {
        return Ok(None);
    }
    let options = EvidenceOptions { since, until, rows_max: RECORDS_SHOWN };
    Ok(evidence_of(call.api, &visitor.state, &visitor.org, id, &options)?)
}

/// [`of`], read while `meanwhile` goes on: a page tells of both, and each takes a walk over the log.
///
/// # Errors
/// As [`of`], and what `meanwhile` says.
pub fn beside<R>(
    call: &Call<'_>,
    id: &AccessKeyId,
    (since, until): (Option<Time>, Option<Time>),
    meanwhile: impl FnOnce() -> Result<R, Refused>,
) -> Result<(Option<Evidence>, R), Refused> {
    let visitor = &call.visitor;
    if !visitor.role.sees_all() || evidence_org_of(&visitor.state, &visitor.org).is_none() {
        return Ok((None, meanwhile()?));
    }
    let (told, own) = at_length(|| {
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| of(call, id, since, until));
            let own = meanwhile();
            (reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), own)
        })
    });
    Ok((told?, own?))
}

/// The page of a key that imported records alone know.
///
/// # Errors
/// 404 when they do not.
pub fn page(call: &Call<'_>, id: &str) -> Result<Reply, Refused> {
    let id = AccessKeyId::parse(id).map_err(|_| Refused::missing())?;
    let told = of(call, &id, None, None)?.ok_or_else(Refused::missing)?;
    let body = html! {
        p.crumbs { a href="/console/keys" { "Access keys" } " / " span { (id) } }
        h1 { code { (id) } " " span.pill.expired { "Imported records" } }
        p.quiet { "It is no key of this org’s: it stands in imported records alone." }
        (section(call, &told))
    };
    Ok(page::whole(200, "Imported records", Some(Tab::Keys), &call.visitor, &body))
}

/// The part of a page that tells of them.
pub fn section(call: &Call<'_>, told: &Evidence) -> Markup {
    let sides = [
        ("Used by", &told.identities),
        ("Addresses", &told.addresses),
        ("Programs", &told.agents),
        ("Buckets", &told.buckets),
    ];
    html! {
        section.card id="evidence" {
            div.title-row { h2 { "In imported records" } span.pill.expired { "Not seen by this server" } }
            p.quiet {
                "From the AWS CloudTrail records of account " (call.visitor.org.account) " that were imported into this ledger; times are the records’ own."
                @if told.is_cut { " Read are the " (show::grouped(RECORDS_MAX)) " of the key that were imported last." }
            }
            dl.facts {
                div { dt { "Records" } dd { (show::grouped(told.records)) } }
                div { dt { "Calls by the key" } dd { (show::grouped(told.all.total())) } }
                div { dt { "Denied" } dd { (show::grouped(told.all.denied)) } }
                div { dt { "First" } dd { (show::moment_or(told.all.first.map(|at| at.0), "never")) } }
                div { dt { "Last" } dd { (show::moment_or(told.all.last.map(|at| at.0), "never")) } }
            }
            @if !told.calls.is_empty() { h3 { "Calls" } (calls(&told.calls)) }
            div.columns {
                @for (title, rows) in sides {
                    @if !rows.is_empty() { div { h3 { (title) } (key::tallies(rows)) } }
                }
            }
            h3 { "Newest records" }
            ol.events { @for row in &told.newest { (record(row)) } }
            @if told.records > told.newest.len() as u64 {
                p.quiet { "The newest " (told.newest.len()) " of " (show::grouped(told.records)) "." }
            }
        }
    }
}

fn calls(rows: &[TallyRow]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Calls in imported records" {
            table.plain {
                thead { tr { th scope="col" { "Call" } th.num scope="col" { "Count" } th scope="col" { "First" } th scope="col" { "Last" } } }
                tbody {
                    @for row in rows.iter().take(CALLS_SHOWN) {
                        tr {
                            td.break { (show::text(&row.value)) }
                            td.num {
                                (show::grouped(row.tally.total()))
                                @if row.tally.denied > 0 { span.bad-text { " (" (show::grouped(row.tally.denied)) " denied)" } }
                            }
                            td { @if let Some(first) = row.tally.first { (show::moment(first.0)) } }
                            td { @if let Some(last) = row.tally.last { (show::moment(last.0)) } }
                        }
                    }
                }
            }
        }
        @if rows.len() > CALLS_SHOWN { p.quiet { "and " (rows.len() - CALLS_SHOWN) " more" } }
    }
}

fn record(row: &EvidenceRow) -> Markup {
    html! {
        li {
            div.when { (show::second(row.at.0)) }
            div.what {
                p {
                    code { (show::text(&row.call)) }
                    @if let Some(resource) = &row.resource { " " span.break { (show::text(&excerpt(resource, RESOURCE_CHARS_SHOWN))) } }
                    @if row.outcome != "ok" { " " span.pill.revoked { (show::text(&row.outcome)) } }
                }
                p.quiet.small {
                    @if row.is_by_another {
                        "about the key, by " (show::text(&row.actor.to_string()))
                    } @else {
                        (row.actor.kind) " " (show::text(&row.actor.name))
                    }
                    " from " (show::text(&row.address))
                    @if !row.region.is_empty() { " in " (show::text(&row.region)) }
                    " · imported as event " (row.event)
                }
            }
        }
    }
}
