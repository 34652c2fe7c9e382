//! The list of keys: search, filter, and pages by cursor.
//!
//! Keys stand in the order they were made; a page costs what it looks at, and a search looks at a bounded number at a time.
//!
//! Not here: one key (`key`).

use super::page::{self, Tab};
use super::refused::Refused;
use super::visitor::Role;
use super::{Call, show};
use crate::api::Reply;
use crate::model::{KeyOwner, KeyUid};
use crate::state::{KeyRecord, KeyStatus, KeyView, OwnerRef};
use maud::{Markup, html};
use std::ops::ControlFlow;

/// Keys of a page.
const PAGE: usize = 50;
/// Keys that one page of a search looks at.
const LOOKED_AT_MAX: usize = 200_000;

const STATUSES: [KeyStatus; 5] =
    [KeyStatus::Active, KeyStatus::Rotating, KeyStatus::Inactive, KeyStatus::Expired, KeyStatus::Revoked];

/// What is looked for.
struct Wanted {
    /// In the label, the id or a tag, in any case.
    text: String,
    status: Option<KeyStatus>,
    bucket: String,
}

/// A page of keys.
struct Found {
    keys: Vec<KeyRecord>,
    /// The last key that was looked at, when there may be more.
    next: Option<KeyUid>,
}

impl Wanted {
    fn of(call: &Call<'_>) -> Self {
        let named = call.query.text("status");
        Self {
            text: call.query.text("q").to_lowercase(),
            status: STATUSES.into_iter().find(|status| status.as_str() == named),
            bucket: call.query.text("bucket").to_owned(),
        }
    }

    fn is_all(&self) -> bool {
        self.text.is_empty() && self.status.is_none() && self.bucket.is_empty()
    }

    fn fits(&self, call: &Call<'_>, key: &KeyView<'_>) -> bool {
        let has = |text: &str| text.to_lowercase().contains(&self.text);
        let in_tags = || key.more().tags.iter().any(|(name, value)| has(name) || has(value));
        let of_bucket = || {
            let named =
                key.rights().grants.iter().any(|grant| grant.bucket.as_ref().is_none_or(|b| b.as_str() == self.bucket));
            named || matches!(key.owner(), KeyOwner::Bucket(bucket) if bucket.as_str() == self.bucket)
        };
        (self.text.is_empty() || has(&key.label()) || has(key.id().as_str()) || in_tags())
            && self.status.is_none_or(|status| call.visitor.state.status_of(key, call.visitor.now) == status)
            && (self.bucket.is_empty() || of_bucket())
    }
}

/// # Errors
/// 400 for a cursor that was not given out.
pub fn page(call: &Call<'_>) -> Result<Reply, Refused> {
    let wanted = Wanted::of(call);
    let after = match call.query.some("after") {
        None => None,
        Some(id) => {
            let unknown = || Refused::input("This page’s place in the list is gone. Begin at the first page.");
            Some(call.visitor.key(id).map_err(|_| unknown())?.uid())
        }
    };
    let found = crate::api::past::at_length(|| find(call, &wanted, after))?;
    let rows: Vec<Markup> = found.keys.iter().map(|key| row(call, key)).collect();
    let next = found.next.and_then(|uid| call.visitor.state.key_by_uid(uid)).map(|key| key.id);
    let body = html! {
        div.title-row {
            h1 { "Access keys" }
            @if call.visitor.role.changes() { a.button.primary href="/console/keys/new" { "Create access key" } }
        }
        (page::done(&call.query))
        (filters(call, &wanted))
        @if rows.is_empty() {
            div.empty {
                @if wanted.is_all() && after.is_none() {
                    p { strong { "No access keys yet." } }
                    p.quiet { "Create one, give it to the program that needs it, and this list will say when it was used." }
                } @else {
                    p { strong { "No key fits." } }
                    p.quiet { a href="/console/keys" { "Show all keys" } }
                }
            }
        } @else {
            div.card.flush {
                table.rows {
                    caption.hidden { "Access keys" }
                    thead {
                        tr {
                            th scope="col" { "Label and id" } th scope="col" { "Status" } th scope="col" { "Buckets" }
                            th scope="col" { "Created" } th scope="col" { "Created by" } th scope="col" { "Last used" }
                            th scope="col" { "Expires" }
                        }
                    }
                    tbody { @for row in &rows { (row) } }
                }
            }
        }
        nav.pages aria-label="Pages" {
            @if after.is_some() { a.button href={ "/console/keys" (call.query.with("after", "")) } { "First page" } }
            @if let Some(next) = next {
                a.button href={ "/console/keys" (call.query.with("after", next.as_str())) } {
                    @if rows.len() < PAGE { "Search on" } @else { "Next page" }
                }
            }
        }
    };
    Ok(page::whole(200, "Access keys", Some(Tab::Keys), &call.visitor, &body))
}

fn find(call: &Call<'_>, wanted: &Wanted, after: Option<KeyUid>) -> Result<Found, Refused> {
    let state = &call.visitor.state;
    let mut found = Found { keys: Vec::new(), next: None };
    if let Role::Member(user) = call.visitor.role {
        let gone = || Refused::input("This page’s place in the list is gone. Begin at the first page.");
        for key in state.keys_after(&OwnerRef::User(user), after).ok_or_else(gone)? {
            if found.keys.len() == PAGE {
                found.next = found.keys.last().map(KeyRecord::uid);
                break;
            }
            if state.with_key(key.id.as_str(), |view| wanted.fits(call, view)) == Some(true) {
                found.keys.push(key);
            }
        }
        return Ok(found);
    }
    let (mut looked_at, mut last) = (0, None);
    state.for_keys_of_org(call.visitor.org.org, after, |key| {
        if found.keys.len() == PAGE || looked_at == LOOKED_AT_MAX {
            found.next = last;
            return ControlFlow::Break(());
        }
        looked_at += 1;
        last = Some(key.uid());
        if wanted.fits(call, key) {
            found.keys.push(key.to_record());
        }
        ControlFlow::Continue(())
    });
    Ok(found)
}

fn filters(call: &Call<'_>, wanted: &Wanted) -> Markup {
    html! {
        form.filters method="get" action="/console/keys" role="search" {
            div.field.grow {
                label for="q" { "Search" }
                input id="q" name="q" type="search" value=(call.query.text("q")) placeholder="Label, id or tag" maxlength="256";
            }
            div.field {
                label for="status" { "Status" }
                select id="status" name="status" {
                    option value="" { "Any" }
                    @for status in STATUSES {
                        option value=(status.as_str()) selected[wanted.status == Some(status)] { (show::word(status).0) }
                    }
                }
            }
            div.field {
                label for="bucket" { "Bucket" }
                input id="bucket" name="bucket" type="text" value=(wanted.bucket) placeholder="Any" maxlength="63";
            }
            button type="submit" { "Search" }
        }
    }
}

fn row(call: &Call<'_>, key: &KeyRecord) -> Markup {
    let (state, now) = (&call.visitor.state, call.visitor.now);
    let id = key.id.as_str();
    let more = key.more();
    html! {
        tr {
            td.lead data-label="Key" {
                a.label href={ "/console/keys/" (id) } {
                    (show::label(state, key))
                }
                div.id { code id={ "id-" (id) } { (id) } (show::copy(&format!("id-{id}"), "the access key id")) }
            }
            td data-label="Status" {
                (show::status(state.status(key, now)))
                @if more.flag.is_some() { " " span.pill.flagged { "Flagged" } }
            }
            td data-label="Buckets" { (show::buckets(&key.rights().grants, key.is_scoped(), &key.owner)) }
            td data-label="Created" { (show::moment_or(key.created_at(), "unknown")) }
            td data-label="Created by" { (show::text(&call.maker(key).unwrap_or_default())) }
            td data-label="Last used" { (show::ago(more.last_used.as_ref().map(|used| used.at), now)) }
            td data-label="Expires" { (show::expiry(key.expires_at(), now)) }
        }
    }
}
