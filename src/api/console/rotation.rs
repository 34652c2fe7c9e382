//! The rotation audit: how old the secrets are, and what is held against which key.
//!
//! Not here: the checks (`audit::rotation`).

use super::page::{self, Tab};
use super::refused::Refused;
use super::{Call, picture, show};
use crate::api::Reply;
use crate::audit::at::AsOf;
use crate::audit::rotation::{RotationOptions, RotationReport, rotation};
use crate::audit::{Finding, Severity};
use crate::model::Time;
use crate::state::{KeyRecord, State};
use maud::{Markup, html};
use std::cmp::Reverse;

/// Findings, keys and rotations that are shown.
const FINDINGS_SHOWN: usize = 100;
const OLDEST_SHOWN: usize = 15;
const ROTATIONS_SHOWN: usize = 20;
/// Days after which a secret is old, where the org says nothing.
const AGE_DAYS_MAX: u32 = 90;

/// The ages of the secrets of usable keys.
struct Ages {
    limit: i64,
    /// At most so many days, and how many there are.
    groups: Vec<(&'static str, i64, u64)>,
    oldest: Vec<(KeyRecord, i64)>,
}

/// # Errors
/// 403 for a Member.
pub fn page(call: &Call<'_>) -> Result<Reply, Refused> {
    call.visitor.sees_all()?;
    let now = call.visitor.now;
    let mut options = RotationOptions::at(AsOf::time(now));
    options.orgs = Some([call.visitor.org.org].into());
    options.attribution = false;
    let report = call.past(|history, worlds| rotation(history, worlds, &options))?;
    let ages = crate::api::past::at_length(|| ages(call, now));
    let body = html! {
        h1 { "Rotation" }
        p.quiet {
            "A secret is old after " (ages.limit) " days. Make a new key, switch the program over, revoke the old one."
        }
        section.card {
            dl.numbers {
                div { dt { "Keys" } dd { (show::grouped(report.keys.total as u64)) } }
                div { dt { "Usable" } dd { (show::grouped(report.keys.usable as u64)) } }
                div { dt { "Findings" } dd { (show::grouped(report.findings.len() as u64)) } }
                div { dt { "Older than " (ages.limit) " d" } dd { (show::grouped(too_old(&ages))) } }
            }
        }
        section.card {
            h2 { "Ages of the secrets of usable keys" }
            div.columns {
                (picture::ages(&ages.groups.iter().map(|(name, days, count)| (*name, *count, *days > ages.limit)).collect::<Vec<_>>()))
                (oldest(&call.visitor.state, &ages))
            }
        }
        (findings_card(&report.findings))
        (rotations(&report))
    };
    Ok(page::whole(200, "Rotation", Some(Tab::Rotation), &call.visitor, &body))
}

fn too_old(ages: &Ages) -> u64 {
    ages.groups.iter().filter(|(_, days, _)| *days > ages.limit).map(|(.., count)| count).sum()
}

fn ages(call: &Call<'_>, now: Time) -> Ages {
    let state = &call.visitor.state;
    let limit = i64::from(call.visitor.org.settings.rotation_days_max.unwrap_or(AGE_DAYS_MAX));
    let mut groups = vec![
        ("to 30 d", 30, 0),
        ("to 60 d", 60, 0),
        ("to 90 d", 90, 0),
        ("to 180 d", 180, 0),
        ("to a year", 365, 0),
        ("older", i64::MAX, 0),
    ];
    let mut oldest: Vec<(Reverse<i64>, KeyRecord)> = Vec::new();
    state.for_keys_of_org(call.visitor.org.org, None, |key| {
        if state.status_of(key, now).is_usable() {
            let days = now.days_since(key.secret_set_at());
            if let Some((.., count)) = groups.iter_mut().find(|(_, most, _)| days <= *most) {
                *count += 1;
            }
            if oldest.len() < OLDEST_SHOWN || oldest.last().is_some_and(|(Reverse(least), _)| days > *least) {
                let place = oldest.partition_point(|(Reverse(own), _)| *own >= days);
                oldest.insert(place, (Reverse(days), key.to_record()));
                oldest.truncate(OLDEST_SHOWN);
            }
        }
        std::ops::ControlFlow::Continue(())
    });
    Ages { limit, groups, oldest: oldest.into_iter().map(|(Reverse(days), key)| (key, days)).collect() }
}

fn oldest(state: &State, ages: &Ages) -> Markup {
    html! {
        div {
            h3 { "The oldest" }
            @if ages.oldest.is_empty() { p.quiet { "There is no usable key." } }
            ul.ages-list {
                @for (key, days) in &ages.oldest {
                    li {
                        a href={ "/console/keys/" (key.id) } { (show::label(state, key)) }
                        (picture::age(*days, ages.limit))
                        span class=(if *days > ages.limit { "bad-text" } else { "quiet" }) { (days) " d" }
                    }
                }
            }
        }
    }
}

fn findings_card(found: &[Finding]) -> Markup {
    html! {
        section.card {
            h2 { "Findings" }
            @if found.is_empty() { p { "Nothing is held against any key." } } @else { (findings(found)) }
        }
    }
}

/// Findings, worst first.
pub fn findings(found: &[Finding]) -> Markup {
    let class = |severity| match severity {
        Severity::High => "revoked",
        Severity::Medium => "suspended",
        Severity::Low | Severity::Info => "expired",
    };
    html! {
        table.rows {
            thead {
                tr { th scope="col" { "Severity" } th scope="col" { "Key" } th scope="col" { "What" } th scope="col" { "Rests on" } }
            }
            tbody {
                @for finding in found.iter().take(FINDINGS_SHOWN) {
                    tr {
                        td data-label="Severity" { span class={ "pill " (class(finding.severity)) } { (finding.severity.as_str()) } }
                        td data-label="Key" {
                            @if let Some(id) = &finding.access_key_id { a href={ "/console/keys/" (id) } { code.small.nowrap { (id) } } }
                            @if let Some(owner) = &finding.owner { br; span.quiet { (show::text(owner)) } }
                        }
                        td data-label="What" { (show::words(&finding.detail)) br; span.quiet.small { (finding.check) " · " (finding.question) } }
                        td.small data-label="Rests on" {
                            @for (at, event) in finding.events.iter().take(3).enumerate() { @if at > 0 { ", " } (event) }
                            @if finding.events.len() > 3 { ", …" }
                        }
                    }
                }
            }
        }
        @if found.len() > FINDINGS_SHOWN { p.quiet { "and " (found.len() - FINDINGS_SHOWN) " more" } }
    }
}

fn rotations(report: &RotationReport) -> Markup {
    html! {
        @if !report.rotations.is_empty() {
            section.card {
                h2 { "Rotations" }
                table.rows {
                    thead {
                        tr {
                            th scope="col" { "When" } th scope="col" { "How" } th scope="col" { "Old" } th scope="col" { "New" } th.num scope="col" { "Late by" }
                        }
                    }
                    tbody {
                        @for row in report.rotations.iter().rev().take(ROTATIONS_SHOWN) {
                            tr {
                                td data-label="When" { (show::moment(row.switched_at.0)) }
                                td data-label="How" { (row.kind) }
                                td data-label="Old" { code.small.nowrap { (row.old) } }
                                td data-label="New" { code.small.nowrap { (row.new) } }
                                td.num data-label="Late by" {
                                    @match row.late_by_days { Some(days) if days > 0 => { (days) " d" } _ => { "in time" } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
