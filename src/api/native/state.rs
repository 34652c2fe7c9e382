//! What is true of the org now, or was true at a past moment.
//!
//! Not here: what changed between two (`audit`).

use super::audit::Reading;
use super::call::{Answer, Call, Report};
use super::page::{Page, Paging};
use super::problem::Problem;
use super::table::{Param, Route, schema};
use crate::audit::listing::{ListingOptions, Noun, NounRow, listing};
use crate::audit::rows::MomentRow;
use std::collections::BTreeSet;

const READ: &str = "keyledger:ReadState";

const AT: Param = Param::when("at", "As it was then: RFC 3339, an age such as 7d, or seq:1234");
const NOUNS: Param = Param::many("noun", "Only these: org, user, group, policy, bucket or key; may be repeated");
const DELETED: Param = Param::flag("deleted", "Deleted ones too");

pub const ROUTES: &[Route] = &[
    Route::dig("/state", "A moment of the org in a few numbers", READ, schema::<Report<MomentRow>>, summary)
        .query(&[AT, NOUNS, DELETED]),
    Route::dig("/state/nouns", "Every noun of a moment of the org", READ, schema::<Page<NounRow>>, nouns)
        .query(&[AT, NOUNS, DELETED])
        .paged(),
];

/// The nouns of the query.
pub fn asked_nouns(call: &Call<'_>) -> Result<Vec<Noun>, Problem> {
    let named = |text: &String| {
        let noun = Noun::ALL.into_iter().find(|noun| noun.as_str() == text);
        noun.ok_or_else(|| Problem::invalid("noun", "org, user, group, policy, bucket or key"))
    };
    call.query.all("noun").iter().map(named).collect()
}

fn rows(call: &Call<'_>, reading: &Reading) -> Result<Vec<NounRow>, Problem> {
    let options = ListingOptions {
        nouns: asked_nouns(call)?,
        orgs: Some(BTreeSet::from([call.org_uid()])),
        deleted: call.query.flag("deleted"),
    };
    Ok(listing(&reading.worlds, reading.now, &options))
}

fn summary(call: &Call<'_>) -> Result<Answer, Problem> {
    let reading = Reading::at(call, call.when("at")?)?;
    let rows = rows(call, &reading)?;
    // The hash is of the whole ledger, so it says nothing of one org.
    call.told(MomentRow::of(&reading.worlds, reading.now, &rows, false))
}

fn nouns(call: &Call<'_>) -> Result<Answer, Problem> {
    let paging = Paging::of(call.query)?;
    let reading = Reading::at(call, call.when("at")?)?;
    let name = |row: &NounRow| {
        let name = &row.name;
        format!("{}/{}/{}", name.noun.as_str(), name.name, name.uid.as_deref().unwrap_or_default())
    };
    let order = |row: &NounRow| (row.name.noun, row.name.name.clone(), row.name.uid.clone());
    let mut rows = rows(call, &reading)?;
    rows.sort_by_cached_key(order);
    if let Some(after) = &paging.after {
        let mut parts = after.splitn(3, '/');
        let (noun, of) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let uid = parts.next().filter(|uid| !uid.is_empty());
        let noun = Noun::ALL.into_iter().find(|known| known.as_str() == noun).ok_or_else(super::page::bad_cursor)?;
        let after = (noun, of.to_owned(), uid.map(str::to_owned));
        rows.retain(|row| order(row) > after);
    }
    let page = paging.page(call.state.seq().0, rows, name, Clone::clone);
    Answer::json(&page)
}
