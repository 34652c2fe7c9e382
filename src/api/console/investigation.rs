//! The investigation of a key that leaked: what it did, what it made, what of that still lives, and what it could reach.
//!
//! Made to be printed: it says for which moment and which commit it was told.
//!
//! Not here: finding any of it (`audit::compromise`).

use super::page::{self, Tab};
use super::refused::Refused;
use super::{Call, audit, evidence, key, picture, rotation, show, tree};
use crate::api::Reply;
use crate::audit::at::AsOf;
use crate::audit::biography::uids_of;
use crate::audit::compromise::{CompromiseOptions, CompromiseReport, compromise};
use crate::audit::story::story;
use crate::audit::{Held, Mention, Stamp};
use crate::model::{Seq, Time, When};
use maud::{Markup, html};

/// Events, and rows of a side, that are shown.
const TIMELINE_SHOWN: usize = 100;
const SIDE_SHOWN: usize = 20;
/// Keys and users that are followed.
const NODES_MAX: usize = 2_000;

/// # Errors
/// 403 for a Member, 404 for a key of somebody else, 400 for what is no moment.
pub fn page(call: &Call<'_>, id: &str) -> Result<Reply, Refused> {
    call.visitor.sees_all()?;
    let found = call.visitor.key(id)?;
    let now = call.visitor.now;
    let time = |name: &str| call.query.some(name).map(|text| moment(call, text)).transpose();
    let (since, until) = (time("since")?, time("until")?);
    let options = CompromiseOptions {
        since,
        until,
        timeline_max: TIMELINE_SHOWN,
        nodes_max: NODES_MAX,
        ..CompromiseOptions::at(AsOf::time(now))
    };
    let own = || {
        call.past(|history, worlds| {
            let (live, evidence) = uids_of(found.id.as_str());
            let terms =
                [live, evidence].into_iter().flat_map(|uid| [Mention::Key(uid).term(), Mention::ActorKey(uid).term()]);
            let held = Held::of(history, terms.collect())?;
            let report = compromise(&held, worlds, found.id.as_str(), &options)?;
            Ok((report, story(&held, &found, since, until.map_or(now, |until| until.min(now)))?))
        })
    };
    let (imported, (report, story)) = evidence::beside(call, &found.id, (since, until), own)?;
    let body = html! {
        p.crumbs { a href="/console/keys" { "Access keys" } " / " a href={ "/console/keys/" (found.id) } { (found.id) } " / " span { "Investigation" } }
        div.title-row {
            h1 { "Investigation" }
            button.print type="button" data-print="yes" hidden { "Print" }
        }
        p { code { (found.id) } " " (show::text(&found.label)) " " (show::status(call.visitor.state.status(&found, now))) }
        (window(call, &found.id))
        (numbers(&report))
        section.card { h2 { "Timeline" } (picture::life(&story)) }
        section.card {
            h2 { "What grew out of it" }
            (tree::trees(&report.tree))
            h3 { "Still alive" }
            @if report.alive.is_empty() { p { "Nothing that it made is alive." } }
            ul.plain-list {
                @for alive in &report.alive {
                    li { span.pill.revoked { (alive.kind) } " " strong { (show::words(&alive.what)) } span.quiet { " by " (show::text(&alive.path.join(" → "))) " · event " (alive.event) } }
                }
            }
        }
        @if !report.findings.is_empty() { section.card { h2 { "Findings" } (rotation::findings(&report.findings)) } }
        (radius(&report))
        (sides(&report))
        @if let Some(told) = &imported { (evidence::section(call, told)) }
        (in_vain(&report))
        (others(&report))
        section.card {
            h2 { "Events" }
            (audit::list(&report.timeline, false))
            @if report.timeline_total > report.timeline.len() {
                p.quiet { "The first " (report.timeline.len()) " of " (show::grouped(report.timeline_total as u64)) "; the audit’s search has all." }
            }
        }
        p.quiet.small {
            "Told for " (show::short(report.as_of.0)) " UTC, by the log up to commit " (report.seq) ". Answers " (report.questions.join(", "))
            @for open in &report.unanswered { ". Not answered: " (open.question) ", " (open.why) }
            "."
        }
    };
    Ok(page::whole(200, "Investigation", Some(Tab::Keys), &call.visitor, &body))
}

/// A moment as a time; of a commit, when it was recorded.
fn moment(call: &Call<'_>, text: &str) -> Result<Time, Refused> {
    let Seq(seq) = match call.when(text)? {
        When::At(time) => return Ok(time),
        When::Seq(seq) => seq,
    };
    let frame = call.api.ledger.reader().frame(seq).ok().flatten();
    frame.map(|frame| Time(frame.recorded_at_ns)).ok_or_else(|| Refused::input("That commit is not there yet."))
}

fn window(call: &Call<'_>, id: &crate::model::AccessKeyId) -> Markup {
    html! {
        form.filters.no-print method="get" action={ "/console/keys/" (id) "/investigation" } {
            div.field {
                label for="since" { "Leaked at" }
                input id="since" name="since" type="text" value=(call.query.text("since")) placeholder="7d, 2026-11-20T09:00Z" maxlength="40";
            }
            div.field {
                label for="until" { "Stopped at" }
                input id="until" name="until" type="text" value=(call.query.text("until")) placeholder="now" maxlength="40";
            }
            button type="submit" { "Investigate" }
        }
    }
}

fn numbers(report: &CompromiseReport) -> Markup {
    let stamp = |at: Option<Stamp>| show::moment_or(at.map(|at| at.0), "never");
    let seconds = |seconds: Option<i64>| seconds.map(|s| show::length(s.saturating_mul(1_000_000_000)));
    let (exposure, used) = (&report.exposure, &report.window.tally);
    html! {
        section.card {
            dl.numbers {
                div { dt { "Uses in the window" } dd { (show::grouped(used.total())) } }
                div { dt { "Denied" } dd { (show::grouped(used.denied)) } }
                div { dt { "Addresses" } dd { (report.window.addresses) } }
                div { dt { "Still alive" } dd class=[(!report.alive.is_empty()).then_some("bad-text")] { (report.alive.len()) } }
            }
            dl.facts {
                div { dt { "Leaked" } dd { (show::moment_or(report.since.map(|at| at.0), "not said")) } }
                div { dt { "First use" } dd { (stamp(exposure.first_use)) } }
                div { dt { "Last use" } dd { (stamp(exposure.last_use)) } }
                div { dt { "Last that worked" } dd { (stamp(exposure.last_successful_use)) } }
                div { dt { "Stopped" } dd { @if exposure.still_usable { span.bad-text { "it is still usable" } } @else { (stamp(exposure.stopped_at)) } } }
                @if let Some(length) = seconds(exposure.usable_after_leak_seconds) { div { dt { "Usable after the leak" } dd { (length) } } }
                @if let Some(length) = seconds(exposure.in_use_after_leak_seconds) { div { dt { "Used after the leak" } dd { (length) } } }
            }
        }
    }
}

fn radius(report: &CompromiseReport) -> Markup {
    html! {
        @for at in &report.blast_radius {
            section.card {
                h2 { "Blast radius" }
                p.quiet { "What it reached at " (show::moment(at.at.0)) @if !at.radius.usable { ", had it been usable" } "." }
                @if at.radius.everything { p.bad-text { strong { "Everything in the org is within its reach." } } }
                (key::decisions(&at.radius.table))
                @if !at.radius.steps.is_empty() {
                    h3 { "What it could become" }
                    ul.plain-list {
                        @for step in at.radius.steps.iter().take(SIDE_SHOWN) {
                            li { (show::words(&step.from)) " by " code { (step.action) } " on " code.break { (show::text(&step.resource)) } ": " (show::words(&step.gains)) }
                        }
                    }
                    @if at.radius.steps.len() > SIDE_SHOWN { p.quiet { "and " (at.radius.steps.len() - SIDE_SHOWN) " more" } }
                }
            }
        }
    }
}

fn sides(report: &CompromiseReport) -> Markup {
    let sides = [
        ("Addresses", &report.addresses),
        ("Programs", &report.agents),
        ("Calls", &report.actions),
        ("Buckets", &report.buckets),
    ];
    html! {
        @if sides.iter().any(|(_, rows)| !rows.is_empty()) {
            section.card {
                h2 { "How it was used" }
                div.columns { @for (title, rows) in sides { @if !rows.is_empty() { div { h3 { (title) } (key::tallies(rows)) } } } }
            }
        }
    }
}

fn in_vain(report: &CompromiseReport) -> Markup {
    html! {
        @if !report.denials.is_empty() || !report.after_stop.is_empty() {
            section.card {
                h2 { "Tried in vain" }
                ul.plain-list {
                    @for row in report.denials.iter().take(SIDE_SHOWN) {
                        li { (show::grouped(row.tally.total())) " × " code { (show::text(&row.action)) } " from " (show::text(&row.address)) span.quiet { " " (show::text(&row.code)) } }
                    }
                    @for row in report.after_stop.iter().take(SIDE_SHOWN) {
                        li { (show::grouped(row.tally.total())) " after it was stopped, from " (show::text(&row.address)) span.quiet { " " (show::text(&row.code)) } }
                    }
                }
            }
        }
    }
}

fn others(report: &CompromiseReport) -> Markup {
    html! {
        @if !report.siblings.is_empty() {
            section.card {
                h2 { "Other keys to look at" }
                ul.plain-list {
                    @for sibling in report.siblings.iter().take(SIDE_SHOWN) {
                        li {
                            a href={ "/console/keys/" (sibling.access_key_id) } { code { (sibling.access_key_id) } } " of " (show::text(&sibling.owner)) " "
                            (show::status_named(sibling.status)) span.quiet { " " (show::words(&sibling.why.join("; "))) }
                        }
                    }
                }
                @if report.siblings.len() > SIDE_SHOWN { p.quiet { "and " (report.siblings.len() - SIDE_SHOWN) " more" } }
            }
        }
        @if !report.widened.is_empty() {
            section.card {
                h2 { "What widened its rights, in the window and shortly before" }
                (audit::list(report.widened.get(..SIDE_SHOWN).unwrap_or(&report.widened), true))
            }
        }
    }
}
