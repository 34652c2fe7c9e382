//! Policies: IAM documents with versions, and a check of one that is not stored.
//!
//! Not here: attaching them (`users`, `groups`, `keys`).
#![expect(clippy::unnecessary_wraps, reason = "what a table calls has one shape")]

use super::body::{self, ChangeTags, CreatePolicy, CreateVersion, DocumentBody, SetDefaultVersion};
use super::call::{Answer, Call, Changed, Gone, Shown, changed};
use super::page::{Page, Paging};
use super::problem::Problem;
use super::table::{Param, Route, schema};
use crate::audit::rows::{ManagedRow, PolicyRow, VersionRow};
use crate::ledger::{Command, Done, Refusal};
use crate::policy::{Document, DocumentKind, managed};
use schemars::JsonSchema;
use serde::Serialize;

const READ: &str = "keyledger:ReadPolicies";

pub const ROUTES: &[Route] = &[
    Route::look("/policies", "List policies", READ, schema::<Page<PolicyRow>>, list).paged(),
    Route::change("POST", "/policies", "Make a policy", create, schema::<Changed<PolicyRow>>, made)
        .takes(schema::<CreatePolicy>)
        .creates(),
    Route::look(
        "/policies/managed",
        "List the policies that exist in every org",
        READ,
        schema::<Page<ManagedRow>>,
        list_managed,
    )
    .paged(),
    Route::look("/policies/check", "Check a document without storing it", READ, schema::<Shown<Checked>>, check)
        .asked_by_post()
        .takes(schema::<DocumentBody>),
    Route::look("/policies/{policy}", "Show a policy", READ, schema::<Shown<PolicyRow>>, show),
    Route::change("DELETE", "/policies/{policy}", "Delete a policy", delete, schema::<Changed<Gone>>, gone)
        .query(&[Param::flag("force", "Detach it from everybody and delete its other versions first")]),
    Route::change(
        "PATCH",
        "/policies/{policy}/tags",
        "Set and remove tags of a policy",
        tag,
        schema::<Changed<PolicyRow>>,
        shown,
    )
    .takes(schema::<ChangeTags>),
    Route::look(
        "/policies/{policy}/versions",
        "List the versions of a policy",
        READ,
        schema::<Page<VersionRow>>,
        versions,
    )
    .paged(),
    Route::change(
        "POST",
        "/policies/{policy}/versions",
        "Add a version to a policy",
        create_version,
        schema::<Changed<PolicyRow>>,
        shown,
    )
    .takes(schema::<CreateVersion>)
    .creates(),
    Route::look(
        "/policies/{policy}/versions/{version}",
        "Show a version of a policy",
        READ,
        schema::<Shown<VersionRow>>,
        version,
    ),
    Route::change(
        "DELETE",
        "/policies/{policy}/versions/{version}",
        "Delete a version of a policy",
        delete_version,
        schema::<Changed<PolicyRow>>,
        shown,
    ),
    Route::change(
        "PUT",
        "/policies/{policy}/default-version",
        "Put another version of a policy in force",
        set_default,
        schema::<Changed<PolicyRow>>,
        shown,
    )
    .takes(schema::<SetDefaultVersion>),
];

/// What was found of a document that is good; one that is not is a problem.
#[derive(Debug, Serialize, JsonSchema)]
struct Checked {
    valid: bool,
    statements: usize,
    /// Without white space.
    characters: usize,
}

fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    let (view, paging) = (call.view(), Paging::of(call.query)?);
    let policies = view.state.policies(call.org_uid(), paging.after.as_deref());
    let page = paging.page(view.state.seq().0, policies, |it| it.name.to_string(), |it| PolicyRow::of(&view, it));
    Answer::json(&page)
}

fn list_managed(call: &Call<'_>) -> Result<Answer, Problem> {
    let paging = Paging::of(call.query)?;
    let after = paging.after.as_deref();
    let known = managed::ALL.iter().filter(|it| it.is_in_every_org);
    let behind = known.skip_while(|it| after.is_some_and(|after| it.name != after)).skip(usize::from(after.is_some()));
    let page = paging.page(call.state.seq().0, behind, |it| it.name.to_owned(), |it| ManagedRow::of(it));
    Answer::json(&page)
}

fn check(call: &Call<'_>) -> Result<Answer, Problem> {
    let asked: DocumentBody = call.body()?;
    let document = Document::parse(&asked.document, DocumentKind::Managed).map_err(Refusal::from)?;
    let (statements, characters) = (document.statements().len(), document.size_non_blank());
    call.shown(Checked { valid: true, statements, characters })
}

fn show(call: &Call<'_>) -> Result<Answer, Problem> {
    let view = call.view();
    let row = PolicyRow::of(&view, &*view.policy(call.name("policy"))?);
    let version = row.changed_seq;
    Ok(call.shown(row)?.version(version))
}

fn versions(call: &Call<'_>) -> Result<Answer, Problem> {
    let (view, paging) = (call.view(), Paging::of(call.query)?);
    let policy = view.policy(call.name("policy"))?;
    let after = match &paging.after {
        Some(after) => after.parse().map_err(|_| super::page::bad_cursor())?,
        None => 0,
    };
    let behind = policy.versions.iter().filter(|version| version.version > after);
    let page = paging.page(
        view.state.seq().0,
        behind,
        |version| version.version.to_string(),
        |version| VersionRow::of(&policy, version),
    );
    Answer::json(&page)
}

fn version(call: &Call<'_>) -> Result<Answer, Problem> {
    let view = call.view();
    let policy = view.policy(call.name("policy"))?;
    let number = number(call)?;
    let found = policy.versions.iter().find(|version| version.version == number);
    call.shown(VersionRow::of(&policy, found.ok_or_else(|| Problem::no_such("policy version"))?))
}

/// `2` or `v2` in the path.
fn number(call: &Call<'_>) -> Result<u32, Problem> {
    let text = call.name("version");
    text.strip_prefix('v').unwrap_or(text).parse().map_err(|_| Problem::no_such("policy version"))
}

/// The policy of this name, as it is after what was done.
fn named(call: &Call<'_>, done: &Done, name: &str) -> Result<Answer, Problem> {
    let view = call.newest();
    let row = view.policy(name).map(|policy| PolicyRow::of(&view, &policy)).map_err(|_| Problem::gone_meanwhile())?;
    let version = row.changed_seq;
    Ok(changed(done, row)?.version(version))
}

fn shown(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    named(call, done, call.name("policy"))
}

fn made(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    named(call, done, &call.body::<CreatePolicy>()?.policy_name)
}

fn gone(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    changed(done, Gone { name: call.name("policy").to_owned(), deleted: true })
}

fn create(call: &Call<'_>) -> Result<Command, Problem> {
    let asked: CreatePolicy = call.body()?;
    Ok(Command::CreatePolicy {
        org: call.org_uid(),
        name: asked.policy_name.into(),
        path: asked.path.into(),
        description: asked.description.into(),
        tags: body::tags(asked.tags),
        document: asked.document.into(),
    })
}

fn delete(call: &Call<'_>) -> Result<Command, Problem> {
    let policy = call.name("policy").into();
    Ok(Command::DeletePolicy { org: call.org_uid(), policy, force: call.query.flag("force") })
}

fn tag(call: &Call<'_>) -> Result<Command, Problem> {
    let ChangeTags { set, remove } = call.body()?;
    let (org, policy) = (call.org_uid(), call.name("policy").into());
    Ok(Command::TagPolicy { org, policy, set: body::tags(set), remove: remove.into_iter().map(Into::into).collect() })
}

fn create_version(call: &Call<'_>) -> Result<Command, Problem> {
    let CreateVersion { document, set_default, replace } = call.body()?;
    let (org, policy, document) = (call.org_uid(), call.name("policy").into(), document.into());
    Ok(if replace {
        Command::ReplacePolicyDocument { org, policy, document }
    } else {
        Command::CreatePolicyVersion { org, policy, document, set_default }
    })
}

fn set_default(call: &Call<'_>) -> Result<Command, Problem> {
    let version = call.body::<SetDefaultVersion>()?.version;
    Ok(Command::SetDefaultPolicyVersion { org: call.org_uid(), policy: call.name("policy").into(), version })
}

fn delete_version(call: &Call<'_>) -> Result<Command, Problem> {
    let (policy, version) = (call.name("policy").into(), number(call)?);
    Ok(Command::DeletePolicyVersion { org: call.org_uid(), policy, version })
}
