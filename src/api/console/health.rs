//! The ledger's health: how far it is, what binds it, and whether it takes changes.
//!
//! Not here: what other orgs have in it; the operator's own metrics (`api::metrics`).

use super::page::{self, Tab};
use super::refused::Refused;
use super::{Call, show};
use crate::api::Reply;
use crate::model::Time;
use crate::model::bytes::Hex;
use maud::html;

/// # Errors
/// 403 for a Member; 500 when the log cannot be read.
pub fn page(call: &Call<'_>) -> Result<Reply, Refused> {
    call.visitor.sees_all()?;
    let (reader, state) = (call.api.ledger.reader(), &call.visitor.state);
    let (head, tree) = crate::api::past::at_length(|| reader.tree()).map_err(crate::audit::AuditError::from)?;
    let is_poisoned = call.api.ledger.is_poisoned();
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
        @if is_poisoned {
            div.banner.bad role="alert" {
                p { strong { "An earlier write failed." } " Reads go on, changes do not. Restarting the server recovers what is on disk." }
            }
        } @else {
            div.banner.good role="status" { p { strong { "The ledger takes changes." } " Each is on disk before it is acknowledged." } }
        }
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
                div.wide-fact { dt { "Chain head" } dd { code.break id="head" { (Hex(&head).to_string()) } " " (show::copy("head", "the chain head")) } }
                div.wide-fact { dt { "Tree root" } dd { code.break id="root" { (Hex(&tree.root()).to_string()) } " " (show::copy("root", "the tree root")) } }
                div { dt { "Tree size" } dd { (show::grouped(tree.size())) } }
                @if let Some(seq) = state.restored() { div { dt { "Restored" } dd.bad-text { "at commit " (seq) ", not accepted yet" } } }
            }
        }
        section.card {
            h2 { "Verification" }
            p {
                "Each commit holds the hash of the one before, and the tree’s root binds them all. Note head and root elsewhere: whoever alters the "
                "past can then no longer hide it. The server checks what it reads; the whole is checked by"
            }
            div.snippet { div.snippet-top { h3 { "Beside the server" } (show::copy("verify", "the command")) } pre { code id="verify" { "keyledger verify" } } }
            p.quiet { "When that was last done is not recorded in the ledger." }
        }
    };
    Ok(page::whole(200, "Ledger", Some(Tab::Health), &call.visitor, &body))
}
