//! Groups: users together, with policies that all of them have.
#![expect(clippy::unnecessary_wraps, reason = "what a table calls has one shape")]

use super::body::{CreateGroup, DocumentBody, UpdateGroup};
use super::call::{Answer, Call, Changed, Gone, Shown, changed};
use super::held;
use super::page::{Page, Paging};
use super::problem::Problem;
use super::table::{Route, schema};
use crate::audit::rows::GroupRow;
use crate::ledger::{Command, Done};

const READ: &str = "keyledger:ReadGroups";

pub const ROUTES: &[Route] = &[
    Route::look("/groups", "List groups", READ, schema::<Page<GroupRow>>, list).paged(),
    Route::change("POST", "/groups", "Make a group", create, schema::<Changed<GroupRow>>, made)
        .takes(schema::<CreateGroup>)
        .creates(),
    Route::look("/groups/{group}", "Show a group", READ, schema::<Shown<GroupRow>>, show),
    Route::change(
        "PATCH",
        "/groups/{group}",
        "Give a group another name or path",
        update,
        schema::<Changed<GroupRow>>,
        renamed,
    )
    .takes(schema::<UpdateGroup>),
    Route::change(
        "DELETE",
        "/groups/{group}",
        "Delete a group without members or policies",
        delete,
        schema::<Changed<Gone>>,
        gone,
    ),
    Route::change(
        "PUT",
        "/groups/{group}/members/{user}",
        "Put a user into a group",
        add,
        schema::<Changed<GroupRow>>,
        shown,
    ),
    Route::change(
        "DELETE",
        "/groups/{group}/members/{user}",
        "Take a user out of a group",
        remove,
        schema::<Changed<GroupRow>>,
        shown,
    ),
    Route::change(
        "PUT",
        "/groups/{group}/policies/{policy}",
        "Attach a policy to a group",
        held::attach,
        schema::<Changed<GroupRow>>,
        shown,
    ),
    Route::change(
        "DELETE",
        "/groups/{group}/policies/{policy}",
        "Detach a policy from a group",
        held::detach,
        schema::<Changed<GroupRow>>,
        shown,
    ),
    Route::change(
        "PUT",
        "/groups/{group}/inline-policies/{policy}",
        "Put an inline policy of a group",
        held::put_inline,
        schema::<Changed<GroupRow>>,
        shown,
    )
    .takes(schema::<DocumentBody>),
    Route::change(
        "DELETE",
        "/groups/{group}/inline-policies/{policy}",
        "Delete an inline policy of a group",
        held::delete_inline,
        schema::<Changed<GroupRow>>,
        shown,
    ),
];

fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    let (view, paging) = (call.view(), Paging::of(call.query)?);
    let groups = view.state.groups(call.org_uid(), paging.after.as_deref());
    let page =
        paging.page(view.state.seq().0, groups, |group| group.name.to_string(), |group| GroupRow::of(&view, group));
    Answer::json(&page)
}

fn show(call: &Call<'_>) -> Result<Answer, Problem> {
    let view = call.view();
    let row = GroupRow::of(&view, &*view.group(call.name("group"))?);
    let version = row.changed_seq;
    Ok(call.shown(row)?.version(version))
}

/// The group of this name, as it is after what was done.
fn named(call: &Call<'_>, done: &Done, name: &str) -> Result<Answer, Problem> {
    let view = call.newest();
    let row = view.group(name).map(|group| GroupRow::of(&view, &group)).map_err(|_| Problem::gone_meanwhile())?;
    let version = row.changed_seq;
    Ok(changed(done, row)?.version(version))
}

fn shown(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    named(call, done, call.name("group"))
}

fn made(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    named(call, done, &call.body::<CreateGroup>()?.group_name)
}

fn renamed(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    let name = call.body::<UpdateGroup>()?.group_name;
    named(call, done, name.as_deref().unwrap_or(call.name("group")))
}

fn gone(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    changed(done, Gone { name: call.name("group").to_owned(), deleted: true })
}

fn create(call: &Call<'_>) -> Result<Command, Problem> {
    let CreateGroup { group_name, path } = call.body()?;
    Ok(Command::CreateGroup { org: call.org_uid(), name: group_name.into(), path: path.into() })
}

fn update(call: &Call<'_>) -> Result<Command, Problem> {
    let UpdateGroup { group_name, path } = call.body()?;
    let (org, group) = (call.org_uid(), call.name("group").into());
    Ok(Command::UpdateGroup { org, group, name: group_name.map(Into::into), path: path.map(Into::into) })
}

fn delete(call: &Call<'_>) -> Result<Command, Problem> {
    Ok(Command::DeleteGroup { org: call.org_uid(), group: call.name("group").into() })
}

fn add(call: &Call<'_>) -> Result<Command, Problem> {
    let (group, user) = (call.name("group").into(), call.name("user").into());
    Ok(Command::AddGroupMember { org: call.org_uid(), group, user })
}

fn remove(call: &Call<'_>) -> Result<Command, Problem> {
    let (group, user) = (call.name("group").into(), call.name("user").into());
    Ok(Command::RemoveGroupMember { org: call.org_uid(), group, user })
}
