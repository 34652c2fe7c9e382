//! The caller's own org.
//!
//! Not here: other orgs, and what only the ledger's operator does with one.

use super::body::SetAlias;
use super::call::{Answer, Call, Changed, Shown, changed};
use super::problem::Problem;
use super::table::{Route, schema};
use crate::audit::rows::{OrgRow, View};
use crate::ledger::{Command, Done};

const READ: &str = "keyledger:ReadOrg";

pub const ROUTES: &[Route] = &[
    Route::dig("/org", "Show the org", READ, schema::<Shown<OrgRow>>, show),
    Route::change("PATCH", "/org", "Give the org another alias", set_alias, schema::<Changed<OrgRow>>, shown)
        .takes(schema::<SetAlias>),
];

fn row(view: &View) -> OrgRow {
    OrgRow::of(view, &view.state)
}

fn show(call: &Call<'_>) -> Result<Answer, Problem> {
    let row = row(&call.view());
    let version = row.changed_seq;
    Ok(call.shown(row)?.version(version))
}

fn set_alias(call: &Call<'_>) -> Result<Command, Problem> {
    let alias = call.body::<SetAlias>()?.alias.map(Into::into);
    Ok(Command::SetOrgAlias { org: call.org_uid(), alias })
}

fn shown(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    let row = row(&call.newest());
    let version = row.changed_seq;
    Ok(changed(done, row)?.version(version))
}
