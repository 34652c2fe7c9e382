//! What grew out of a key, as a tree: who made whom, what each did, and what of that still stands.
//!
//! Not here: finding it (`audit::compromise`).

use super::show;
use crate::audit::compromise::Node;
use maud::{Markup, html};

/// Acts of one node, and nodes of a page.
const ACTS_SHOWN: usize = 8;
const NODES_SHOWN: usize = 120;

/// The trees of all places where the key stands.
pub fn trees(roots: &[Node]) -> Markup {
    let mut left = NODES_SHOWN;
    html! {
        ul.tree { @for root in roots { (node(root, &mut left)) } }
        @if left == 0 { p.quiet { "There are more than " (NODES_SHOWN) "; the command line tells of all." } }
    }
}

fn node(it: &Node, left: &mut usize) -> Markup {
    if *left == 0 {
        return html! {};
    }
    *left -= 1;
    let (class, alive) = match it.alive {
        Some(true) => ("revoked", "alive"),
        Some(false) => ("active", "dead"),
        None => ("expired", "cannot be told"),
    };
    let is_root = it.how.is_none();
    html! {
        li {
            div.node {
                span.quiet { (it.kind) } " "
                @if it.kind == "key" { a href={ "/console/keys/" (it.name) } { code { (it.name) } } } @else { strong { (show::text(&it.name)) } }
                @if let Some(owner) = &it.acts_as { " of " (show::text(owner)) }
                " " (show::status_named(it.status))
                @if !is_root { " " span class={ "pill " (class) } { (alive) } }
                @if let Some(how) = &it.how { br; span.quiet.small { (show::second(how.at.0)) " · event " (how.event) } }
                @if !it.acts.is_empty() {
                    ul.acts-list {
                        @for act in it.acts.iter().take(ACTS_SHOWN) {
                            li {
                                span.quiet.small { (show::second(act.row.effective_at.0)) } " " (show::words(&act.row.summary))
                                @match act.stands {
                                    Some(true) => { " " span.pill.suspended { "stands" } }
                                    Some(false) => { " " span.quiet { "(undone)" } }
                                    None => {}
                                }
                            }
                        }
                        @if it.acts.len() > ACTS_SHOWN { li.quiet { "and " (it.acts.len() - ACTS_SHOWN) " more" } }
                    }
                }
            }
            @if !it.children.is_empty() { ul { @for child in &it.children { (node(child, left)) } } }
            @if it.truncated { p.quiet { "The limits of depth or number stopped here." } }
        }
    }
}
