//! The ledger's health: how far it is, what binds it, whether it takes changes, and when it was last verified.
//!
//! Not here: what other orgs have in it; the operator's own metrics (`api::metrics`); verifying (`api::health`).

use super::page::{self, Tab};
use super::refused::Refused;
use super::{Call, show};
use crate::api::Reply;
use crate::api::health::{self, Verifications, Verified, Writer};
use crate::model::Time;
use crate::model::bytes::Hex;
use maud::{Markup, html};
use std::time::Duration;

/// # Errors
/// 403 for a Member.
pub fn page(call: &Call<'_>) -> Result<Reply, Refused> {
    call.visitor.sees_all()?;
    let (reader, state) = (call.api.ledger.reader(), &call.visitor.state);
    let binding = health::binding(call.api);
    let org = call.visitor.org.org;
    let (mut keys, mut usable) = (0_u64, 0_u64);
    crate::api::past::at_length(|| {
        state.for_keys_of_org(org, None, |key| {
            keys += 1;
            usable += u64::from(state.status_of(key, call.visitor.now).is_usable());
            std::ops::ControlFlow::Continue(())
        });
    });
    let body = html! {
        h1 { "Ledger" }
        (page::done(&call.query))
        (writer(Writer::of(&call.api.ledger)))
        section.card {
            dl.numbers {
                div { dt { "Commits" } dd { (show::grouped(reader.last_seq())) } }
                div { dt { "Keys of this org" } dd { (show::grouped(keys)) } }
                div { dt { "Usable" } dd { (show::grouped(usable)) } }
            }
            dl.facts {
                div { dt { "Newest commit" } dd { (show::moment(state.recorded_at())) } }
                div { dt { "Ledger made" } dd { (show::moment(Time(reader.meta().created_ns))) } }
                div.wide-fact { dt { "Ledger id" } dd { code.break { (Hex(&reader.meta().ledger_id).to_string()) } } }
                @match &binding {
                    Ok((head, tree)) => {
                        div.wide-fact { dt { "Chain head" } dd { code.break id="head" { (Hex(head).to_string()) } " " (show::copy("head", "the chain head")) } }
                        div.wide-fact { dt { "Tree root" } dd { code.break id="root" { (Hex(&tree.root()).to_string()) } " " (show::copy("root", "the tree root")) } }
                        div { dt { "Tree size" } dd { (show::grouped(tree.size())) } }
                    }
                    Err(why) => { div.wide-fact { dt { "Chain head" } dd.bad-text { "The log cannot be read: " (show::words(why)) } } }
                }
                @if let Some(seq) = state.restored() { div { dt { "Restored" } dd.bad-text { "at commit " (seq) ", not accepted yet" } } }
            }
        }
        (verification(call))
    };
    Ok(page::whole(200, "Ledger", Some(Tab::Health), &call.visitor, &body))
}

/// # Errors
/// 403 for a Member. An Auditor may: verifying writes nothing.
pub fn verify(call: &Call<'_>) -> Result<Reply, Refused> {
    call.visitor.sees_all()?;
    call.api.verifications.begin();
    Ok(page::go("/console/health?done=verifying"))
}

fn writer(writer: Writer) -> Markup {
    let (words, helps) = match writer {
        Writer::Ready => {
            return html! {
                div.banner.good role="status" { p { strong { "The ledger takes changes." } " Each is on disk before it is acknowledged." } }
            };
        }
        Writer::Full => {
            ("The disk is full.", "Reads go on, and so do revoke, suspend and flag; other changes do not. Make room.")
        }
        Writer::Poisoned => {
            ("An earlier write failed.", "Reads go on, changes do not. Restarting the server recovers what is on disk.")
        }
    };
    html! { div.banner.bad role="alert" { p { strong { (words) } " " (helps) } } }
}

fn verification(call: &Call<'_>) -> Markup {
    let verifications: &Verifications = &call.api.verifications;
    let (is_running, last) = (verifications.is_running(), verifications.last());
    html! {
        section.card id="verification" {
            div.title-row {
                h2 { "Verification" }
                @if is_running {
                    span.pill.rotating { "Running" }
                } @else {
                    form method="post" action="/console/health/verify" {
                        (page::csrf(&call.visitor))
                        button type="submit" { "Verify now" }
                    }
                }
            }
            @match &last {
                Some(last) => { (found(last, call.visitor.now)) }
                None => { p { "Not verified since the server started." } }
            }
            p.quiet {
                "Each commit holds the hash of the one before, and the tree’s root binds them all. Note head and root elsewhere: whoever alters the "
                "past can then no longer hide it. The server reads every byte soon after it starts and then from time to time; this command "
                "also replays the log and compares every state it attests:"
            }
            div.snippet { div.snippet-top { h3 { "Beside the server" } (show::copy("verify", "the command")) } pre { code id="verify" { "keyledger verify" } } }
        }
    }
}

fn found(last: &Verified, now: Time) -> Markup {
    html! {
        @if !last.is_ok() {
            div.banner.bad role="alert" {
                p { strong { "The ledger is not whole." } " Keep what is there, and compare with a copy." }
                ul.plain-list { @for line in &last.findings { li.break { (show::words(line)) } } }
            }
        }
        dl.facts {
            div { dt { "Last verified" } dd { (show::moment(last.ended_at)) span.quiet { " · " (show::ago(Some(last.ended_at), now)) } } }
            div { dt { "Found" } dd { @if last.is_ok() { span.pill.active { "Whole" } } @else { span.pill.flagged { "Damaged" } } } }
            div { dt { "Took" } dd { (took(last.took)) } }
            @if let Some(log) = &last.log {
                div { dt { "Up to commit" } dd { (show::grouped(log.last_seq)) } }
                div { dt { "Read" } dd { (show::grouped(log.bytes)) " bytes" } }
                div.wide-fact { dt { "Head then" } dd { code.break { (Hex(&log.chain_head).to_string()) } } }
            }
        }
    }
}

/// `340 ms`, `12 s`, and in minutes what is longer.
fn took(took: Duration) -> String {
    match took.as_secs() {
        0 => format!("{} ms", took.as_millis()),
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}
