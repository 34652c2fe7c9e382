//! What was done with the org's keys: operations and bytes, by bucket and by key.
//!
//! Not here: counting (`gate::meter`); what was counted within the last minute or so is not written yet.

use super::page::{self, Tab};
use super::refused::Refused;
use super::{Call, picture, show};
use crate::api::Reply;
use crate::audit::uses::{Tally, each_use};
use crate::audit::{Query, log};
use crate::model::{EventKind, KeyUid, Time};
use maud::{Markup, html};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Rows of a table.
const ROWS_SHOWN: usize = 100;
const DAY_NS: i64 = 86_400_000_000_000;
const DAYS: [i64; 4] = [1, 7, 30, 90];

#[derive(Default)]
struct Used {
    keys: BTreeMap<KeyUid, Tally>,
    buckets: BTreeMap<String, Tally>,
    all: Tally,
    over_time: BTreeMap<Time, u64>,
}

/// # Errors
/// 403 for a Member.
pub fn page(call: &Call<'_>) -> Result<Reply, Refused> {
    call.visitor.sees_all()?;
    let asked: i64 = call.query.text("days").parse().unwrap_or(7);
    let days = if DAYS.contains(&asked) { asked } else { 7 };
    let now = call.visitor.now;
    let from = now.plus_ns(-days * DAY_NS);
    let used = call.past(|history, _| {
        let mut used = Used::default();
        let query = Query {
            kinds: vec![EventKind::UsageRolledUp, EventKind::AttemptsRolledUp],
            since: Some(from),
            ..Query::default()
        };
        log::facts(history, &query, &mut |fact| {
            each_use(fact, true, &mut |key, one| {
                used.keys.entry(key).or_default().add(&one);
                used.all.add(&one);
                if let Some(bucket) = one.bucket {
                    used.buckets.entry(bucket.to_owned()).or_default().add(&one);
                }
                let count = used.over_time.entry(one.last).or_default();
                *count = count.saturating_add(one.count);
            });
            ControlFlow::Continue(())
        })?;
        Ok(used)
    })?;
    let over_time: Vec<(Time, u64)> = used.over_time.into_iter().collect();
    let buckets = rows(used.buckets.into_iter().map(|(name, tally)| (html! { (show::text(&name)) }, tally)).collect());
    let keys = used.keys.into_iter().map(|(uid, tally)| (key(call, uid), tally)).collect();
    let body = html! {
        div.title-row {
            h1 { "Usage" }
            nav.segments aria-label="Period" {
                @for choice in DAYS {
                    a href={ "/console/usage?days=" (choice) } aria-current=[(choice == days).then_some("true")] { (choice) " d" }
                }
            }
        }
        section.card {
            dl.numbers {
                div { dt { "Operations" } dd { (show::grouped(used.all.total())) } }
                div { dt { "Denied" } dd { (show::grouped(used.all.denied)) } }
                div { dt { "Failed or turned away" } dd { (show::grouped(used.all.failed.saturating_add(used.all.rejected))) } }
                div { dt { "Received" } dd { (show::bytes(used.all.bytes_in)) } }
                div { dt { "Sent" } dd { (show::bytes(used.all.bytes_out)) } }
            }
            (picture::uses(from, now, &over_time))
        }
        section.card { h2 { "By bucket" } (table("Bucket", &buckets)) }
        section.card { h2 { "By key" } (table("Key", &rows(keys))) }
    };
    Ok(page::whole(200, "Usage", Some(Tab::Usage), &call.visitor, &body))
}

fn key(call: &Call<'_>, uid: KeyUid) -> Markup {
    let found = call.visitor.state.key_by_uid(uid).filter(|key| key.org == call.visitor.org.org);
    let Some(key) = found else { return html! { span.quiet { "unknown" } } };
    html! {
        a href={ "/console/keys/" (key.id) } { (show::label(&call.visitor.state, &key)) }
        br;
        code.small { (key.id) }
    }
}

/// The most used first.
fn rows(mut rows: Vec<(Markup, Tally)>) -> Vec<(Markup, Tally)> {
    rows.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.total()));
    rows
}

fn table(what: &str, rows: &[(Markup, Tally)]) -> Markup {
    html! {
        @if rows.is_empty() {
            p.quiet { "Nothing in this period. Use is written within minutes." }
        } @else {
            table.rows {
                thead {
                    tr {
                        th scope="col" { (what) } th.num scope="col" { "Operations" } th.num scope="col" { "Denied" }
                        th.num scope="col" { "Failed" } th.num scope="col" { "Received" } th.num scope="col" { "Sent" } th scope="col" { "Last" }
                    }
                }
                tbody {
                    @for (name, tally) in rows.iter().take(ROWS_SHOWN) {
                        tr {
                            td.lead data-label=(what) { (name) }
                            td.num data-label="Operations" { (show::grouped(tally.total())) }
                            td.num data-label="Denied" { (show::grouped(tally.denied)) }
                            td.num data-label="Failed" { (show::grouped(tally.failed.saturating_add(tally.rejected))) }
                            td.num data-label="Received" { (show::bytes(tally.bytes_in)) }
                            td.num data-label="Sent" { (show::bytes(tally.bytes_out)) }
                            td data-label="Last" { @if let Some(last) = tally.last { (show::moment(last.0)) } }
                        }
                    }
                }
            }
            @if rows.len() > ROWS_SHOWN { p.quiet { "and " (rows.len() - ROWS_SHOWN) " more" } }
        }
    }
}
