//! What every page has: its frame, its headers, and the words around it.
//!
//! Not here: single pages.

use super::form::Form;
use super::visitor::{Role, Visitor};
use crate::api::incoming::set_header;
use crate::api::{Reply, reply};
use maud::{DOCTYPE, Markup, html};

/// What a page may load and do: its own style sheet, its own script, its own forms.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// Which part of the console a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    Keys,
    Usage,
    Policies,
    Audit,
    Rotation,
    Health,
}

const TABS: [(Tab, &str, &str); 6] = [
    (Tab::Keys, "/console/keys", "Keys"),
    (Tab::Usage, "/console/usage", "Usage"),
    (Tab::Policies, "/console/policies", "Policies"),
    (Tab::Audit, "/console/audit", "Audit"),
    (Tab::Rotation, "/console/rotation", "Rotation"),
    (Tab::Health, "/console/health", "Health"),
];

/// The mark: a ring of the chain, and a key's bit.
pub fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" aria-hidden="true" {
            rect.mark-ground width="32" height="32" rx="8" {}
            circle.mark-line cx="12" cy="16" r="5" {}
            path.mark-line d="M17 16h9M22 16v4M26 16v3" {}
        }
    }
}

fn frame(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · keyledger" }
                link rel="stylesheet" href="/console/console.css";
                link rel="icon" href="data:,";
                script src="/console/console.js" defer {}
            }
            body { (body) }
        }
    }
}

fn sent(status: u16, text: Markup) -> Reply {
    let mut reply = reply(status, "text/html; charset=utf-8", text.into_string());
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        set_header(&mut reply, name, value);
    }
    reply
}

/// A page of somebody who is signed in.
pub fn whole(status: u16, title: &str, tab: Option<Tab>, visitor: &Visitor, body: &Markup) -> Reply {
    let seen = |tab: Tab| tab == Tab::Keys || visitor.role.sees_all();
    let who = match visitor.role {
        Role::Root => "root".to_owned(),
        Role::Admin(user) | Role::Auditor(user) | Role::Member(user) => {
            visitor.state.user(user).map(|user| user.name.to_string()).unwrap_or_default()
        }
    };
    let text = html! {
        a.skip href="#main" { "Skip to the page" }
        header.top {
            a.brand href="/console/keys" { (mark()) span { "keyledger" } }
            nav aria-label="Console" {
                @for (own, href, name) in TABS {
                    @if seen(own) {
                        a href=(href) aria-current=[(Some(own) == tab).then_some("page")] { (name) }
                    }
                }
            }
            div.who {
                span.who-name title=(visitor.key.id) { (who) }
                span.who-org { (visitor.org.name) " · " (visitor.org.account) " · " (visitor.role.as_str()) }
                form method="post" action="/console/sign-out" {
                    (csrf(visitor))
                    button.link type="submit" { "Sign out" }
                }
            }
        }
        main id="main" { (body) }
        footer.foot { "Told for commit " (visitor.state.seq()) ". Times are UTC." }
    };
    sent(status, frame(title, &text))
}

/// A page of nobody in particular.
pub fn framed(status: u16, title: &str, body: &Markup) -> Reply {
    sent(status, frame(title, body))
}

/// A page that says one thing.
pub fn bare(status: u16, title: &str, text: &str) -> Reply {
    let body = html! {
        main.sign-in id="main" {
            div.brand { (mark()) span { "keyledger" } }
            h1 { (title) }
            p { (text) }
            p { a href="/console" { "To the console" } }
        }
    };
    framed(status, title, &body)
}

/// Sends the browser to a page of ours.
pub fn go(to: &str) -> Reply {
    let mut reply = sent(303, html! {});
    set_header(&mut reply, "location", to);
    reply
}

/// The token that a form of this session carries.
pub fn csrf(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="csrf" value=(visitor.form_token()); }
}

/// What the page before did, of the few things it can say.
pub fn done(query: &Form) -> Markup {
    let text = match query.text("done") {
        "revoked" => "The key is revoked: requests with it get 403 from now on. It stays in this list.",
        "deleted" => "The key is deleted, and its secret destroyed. Its history stays in the audit.",
        "suspended" => "The key is suspended: requests with it get 403 until it is resumed.",
        "resumed" => "The key can be used again.",
        "labelled" => "The label is changed.",
        "retired" => "The older secret is dead.",
        "flagged" => "The key is flagged.",
        "cleared" => "The flag is cleared.",
        "verifying" => "The ledger is being verified. Load this page again to see what was found.",
        "policy-created" => "The policy is stored.",
        "policy-changed" => "The policy is changed, for every key that holds it, from now on.",
        "policy-deleted" => "The policy is deleted and taken from whoever held it.",
        _ => return html! {},
    };
    html! { div.banner.good role="status" { p { (text) } } }
}
