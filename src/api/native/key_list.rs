//! The list of access keys: an org's, an owner's, or those that fit a search.
//!
//! A page costs what it shows, or what it passes over in search of it, and that is bounded.
//!
//! Not here: single keys (`keys`).

use super::call::{Answer, Call};
use super::page::{Page, Paging, bad_cursor, cursor_of};
use super::problem::Problem;
use super::rights::Sight;
use crate::audit::rows::{KeyRow, View};
use crate::model::id::World;
use crate::model::{AccessKeyId, KeyOwner};
use crate::state::{KeyRecord, KeyView, OwnerRef};
use std::ops::ControlFlow;

/// Keys that one page looks at while it searches; what fits no more comes with the next.
const LOOKED_AT_MAX: usize = 20_000;

pub fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    let (view, paging) = (call.view(), Paging::of(call.query)?);
    // Keys are listed in an order of this process, so a cursor of another one says nothing.
    let epoch = &call.api.native.epoch;
    let after = match paging.after.as_deref().map(|cursor| cursor.split_once('/')) {
        None => None,
        Some(Some((of, id))) if of == epoch => Some(AccessKeyId::uid_of(id, World::Live)),
        Some(_) => return Err(bad_cursor()),
    };
    let filter = Filter::of(call, &view);
    let mut keys: Vec<KeyRecord> = Vec::new();
    let (mut looked_at, mut last, mut more) = (0, None, false);
    let mut look = |key: &KeyView<'_>| {
        if keys.len() == paging.items_max || looked_at == LOOKED_AT_MAX {
            more = true;
            return ControlFlow::Break(());
        }
        looked_at += 1;
        last = Some(key.id());
        if filter.fits(&view, key) {
            keys.push(key.to_record());
        }
        ControlFlow::Continue(())
    };
    match filter.owner(call, &view)? {
        Of::Nobody => {}
        Of::Owner(owner) => {
            for key in view.state.keys_after(&owner, after).ok_or_else(bad_cursor)? {
                if view.state.with_key(key.id.as_str(), &mut look) == Some(ControlFlow::Break(())) {
                    break;
                }
            }
        }
        Of::Org => view.state.for_keys_of_org(call.org_uid(), after, look),
    }
    let next_cursor = last.filter(|_| more).map(|last| cursor_of(&format!("{epoch}/{last}")));
    let items: Vec<KeyRow> = keys.iter().map(|key| KeyRow::of(&view, key)).collect();
    Answer::json(&Page { items, next_cursor, seq: view.state.seq().0 })
}

/// Which keys are asked for.
struct Filter<'a> {
    user: Option<&'a str>,
    bucket: Option<&'a str>,
    status: Option<&'a str>,
    label: Option<&'a str>,
    suspended: bool,
}

/// Whose keys are looked at.
enum Of {
    Org,
    Owner(OwnerRef),
    Nobody,
}

impl<'a> Filter<'a> {
    fn of(call: &'a Call<'_>, view: &View) -> Self {
        let query = call.query;
        Self {
            user: query.text("user"),
            bucket: query.text("bucket"),
            status: query.text("status"),
            label: query.text("label"),
            suspended: view.org.suspended,
        }
    }

    fn owner(&self, call: &Call<'_>, view: &View) -> Result<Of, Problem> {
        let asked = self.user.map(|name| view.user(name).map(|user| user.user));
        Ok(match (call.sight, asked) {
            // A Member asking for somebody else's is not told whether that one is there.
            (Sight::Own(own), Some(asked)) if asked != Ok(own) => Of::Nobody,
            (Sight::Own(own), _) => Of::Owner(OwnerRef::User(own)),
            (Sight::Org, Some(asked)) => Of::Owner(OwnerRef::User(asked?)),
            (Sight::Org, None) => Of::Org,
        })
    }

    fn fits(&self, view: &View, key: &KeyView<'_>) -> bool {
        let bucket_fits = |bucket: &str| {
            matches!(key.owner(), KeyOwner::Bucket(of) if of.as_str() == bucket)
                || key.rights().grants.iter().any(|grant| grant.bucket.as_ref().is_some_and(|of| of.as_str() == bucket))
        };
        self.status.is_none_or(|status| key.status(view.now, self.suspended).as_str() == status)
            && self.label.is_none_or(|label| key.label().contains(label))
            && self.bucket.is_none_or(bucket_fits)
    }
}
