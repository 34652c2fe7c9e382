//! Users: identities, their role, boundary and policies.
//!
//! Not here: their keys (`keys`).
#![expect(clippy::unnecessary_wraps, reason = "what a table calls has one shape")]

use super::body::{self, ChangeTags, CreateUser, DocumentBody, SetBoundary, SetRole, UpdateUser, UserRole};
use super::call::{Answer, Call, Changed, Gone, Shown, changed};
use super::held;
use super::page::{Page, Paging};
use super::problem::Problem;
use super::rights::Sight;
use super::table::{Param, Route, schema};
use crate::audit::rows::UserRow;
use crate::ledger::{Command, Done};
use crate::model::Role;

const READ: &str = "keyledger:ReadUsers";

pub const ROUTES: &[Route] = &[
    Route::look("/users", "List users", READ, schema::<Page<UserRow>>, list)
        .query(&[Param::text("path_prefix", "Whose path begins so")])
        .paged(),
    Route::change("POST", "/users", "Make a user", create, schema::<Changed<UserRow>>, made)
        .takes(schema::<CreateUser>)
        .creates(),
    Route::look_own("/users/{user}", "Show a user", READ, schema::<Shown<UserRow>>, show),
    Route::change(
        "PATCH",
        "/users/{user}",
        "Give a user another name or path",
        update,
        schema::<Changed<UserRow>>,
        renamed,
    )
    .takes(schema::<UpdateUser>),
    Route::change(
        "DELETE",
        "/users/{user}",
        "Delete a user without keys, policies or groups",
        delete,
        schema::<Changed<Gone>>,
        gone,
    ),
    Route::change("PUT", "/users/{user}/role", "Set a user's role", set_role, schema::<Changed<UserRow>>, shown)
        .takes(schema::<SetRole>),
    Route::change(
        "PATCH",
        "/users/{user}/tags",
        "Set and remove tags of a user",
        tag,
        schema::<Changed<UserRow>>,
        shown,
    )
    .takes(schema::<ChangeTags>),
    Route::change(
        "PUT",
        "/users/{user}/boundary",
        "Set a user's permissions boundary",
        set_boundary,
        schema::<Changed<UserRow>>,
        shown,
    )
    .takes(schema::<SetBoundary>),
    Route::change(
        "DELETE",
        "/users/{user}/boundary",
        "Take a user's permissions boundary away",
        no_boundary,
        schema::<Changed<UserRow>>,
        shown,
    ),
    Route::change(
        "PUT",
        "/users/{user}/policies/{policy}",
        "Attach a policy to a user",
        held::attach,
        schema::<Changed<UserRow>>,
        shown,
    ),
    Route::change(
        "DELETE",
        "/users/{user}/policies/{policy}",
        "Detach a policy from a user",
        held::detach,
        schema::<Changed<UserRow>>,
        shown,
    ),
    Route::change(
        "PUT",
        "/users/{user}/inline-policies/{policy}",
        "Put an inline policy of a user",
        held::put_inline,
        schema::<Changed<UserRow>>,
        shown,
    )
    .takes(schema::<DocumentBody>),
    Route::change(
        "DELETE",
        "/users/{user}/inline-policies/{policy}",
        "Delete an inline policy of a user",
        held::delete_inline,
        schema::<Changed<UserRow>>,
        shown,
    ),
];

fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    let (view, paging) = (call.view(), Paging::of(call.query)?);
    let prefix = call.query.text("path_prefix").unwrap_or_default();
    let users = view.state.users(call.org_uid(), paging.after.as_deref()).filter(|user| user.path.starts_with(prefix));
    let page = paging.page(view.state.seq().0, users, |user| user.name.to_string(), |user| UserRow::of(&view, user));
    Answer::json(&page)
}

fn show(call: &Call<'_>) -> Result<Answer, Problem> {
    let view = call.view();
    let found = view.user(call.name("user"));
    if let Sight::Own(own) = call.sight
        && !found.as_ref().is_ok_and(|user| user.user == own)
    {
        return Err(Problem::forbidden("a Member sees itself and its own access keys only"));
    }
    let row = UserRow::of(&view, &*found?);
    let version = row.changed_seq;
    Ok(call.shown(row)?.version(version))
}

/// The user of this name, as it is after what was done.
fn named(call: &Call<'_>, done: &Done, name: &str) -> Result<Answer, Problem> {
    let view = call.newest();
    let row = view.user(name).map(|user| UserRow::of(&view, &user)).map_err(|_| Problem::gone_meanwhile())?;
    let version = row.changed_seq;
    Ok(changed(done, row)?.version(version))
}

fn shown(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    named(call, done, call.name("user"))
}

fn made(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    named(call, done, &call.body::<CreateUser>()?.user_name)
}

fn renamed(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    let name = call.body::<UpdateUser>()?.user_name;
    named(call, done, name.as_deref().unwrap_or(call.name("user")))
}

fn gone(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    changed(done, Gone { name: call.name("user").to_owned(), deleted: true })
}

fn create(call: &Call<'_>) -> Result<Command, Problem> {
    let asked: CreateUser = call.body()?;
    Ok(Command::CreateUser {
        org: call.org_uid(),
        name: asked.user_name.into(),
        path: asked.path.into(),
        external_id: asked.external_id.map(Into::into),
        tags: body::tags(asked.tags),
        boundary: asked.permissions_boundary.map(Into::into),
    })
}

fn update(call: &Call<'_>) -> Result<Command, Problem> {
    let UpdateUser { user_name, path } = call.body()?;
    let (org, user) = (call.org_uid(), call.name("user").into());
    Ok(Command::UpdateUser { org, user, name: user_name.map(Into::into), path: path.map(Into::into) })
}

fn delete(call: &Call<'_>) -> Result<Command, Problem> {
    Ok(Command::DeleteUser { org: call.org_uid(), user: call.name("user").into() })
}

fn set_role(call: &Call<'_>) -> Result<Command, Problem> {
    let role = match call.body::<SetRole>()?.role {
        UserRole::Admin => Role::Admin,
        UserRole::Member => Role::Member,
        UserRole::Auditor => Role::Auditor,
    };
    Ok(Command::SetUserRole { org: call.org_uid(), user: call.name("user").into(), role })
}

fn tag(call: &Call<'_>) -> Result<Command, Problem> {
    let ChangeTags { set, remove } = call.body()?;
    let (org, user) = (call.org_uid(), call.name("user").into());
    Ok(Command::TagUser { org, user, set: body::tags(set), remove: remove.into_iter().map(Into::into).collect() })
}

fn set_boundary(call: &Call<'_>) -> Result<Command, Problem> {
    let policy = Some(call.body::<SetBoundary>()?.policy.into());
    Ok(Command::SetUserBoundary { org: call.org_uid(), user: call.name("user").into(), policy })
}

fn no_boundary(call: &Call<'_>) -> Result<Command, Problem> {
    Ok(Command::SetUserBoundary { org: call.org_uid(), user: call.name("user").into(), policy: None })
}
