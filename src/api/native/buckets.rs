//! Buckets: which of them are the org's.
//!
//! Not here: objects, and making the bucket itself (the storage node).

use super::call::{Answer, Call, Changed, Shown, changed};
use super::page::{Page, Paging, bad_cursor};
use super::problem::Problem;
use super::table::{Route, schema};
use crate::audit::rows::{BucketEntry, BucketRow};
use crate::ledger::{Command, Done};
use crate::model::BucketName;

const READ: &str = "keyledger:ReadBuckets";

pub const ROUTES: &[Route] = &[
    Route::look("/buckets", "List the org's buckets", READ, schema::<Page<BucketEntry>>, list).paged(),
    Route::dig("/buckets/{bucket}", "Show a bucket with the keys that name it", READ, schema::<Shown<BucketRow>>, show),
    Route::change(
        "PUT",
        "/buckets/{bucket}",
        "Register a bucket to the org",
        register,
        schema::<Changed<BucketRow>>,
        registered,
    ),
    Route::change("DELETE", "/buckets/{bucket}", "Forget a bucket", forget, schema::<Changed<BucketRow>>, forgotten),
];

fn list(call: &Call<'_>) -> Result<Answer, Problem> {
    let (view, paging) = (call.view(), Paging::of(call.query)?);
    let after = paging.after.as_deref().map(BucketName::parse).transpose().map_err(|_| bad_cursor())?;
    let buckets = view.state.buckets_of(call.org_uid(), after.as_ref());
    let page = paging.page(view.state.seq().0, buckets, |it| it.to_string(), |it| BucketEntry::of(&view, it, true));
    Answer::json(&page)
}

fn bucket(call: &Call<'_>) -> Result<BucketName, Problem> {
    BucketName::parse(call.name("bucket")).map_err(|invalid| Problem::invalid("bucket", invalid.expected))
}

fn show(call: &Call<'_>) -> Result<Answer, Problem> {
    let (view, missing) = (call.view(), || Problem::no_such("bucket"));
    let bucket = BucketName::parse(call.name("bucket")).map_err(|_| missing())?;
    if view.state.bucket_org(&bucket) != Some(call.org_uid()) {
        return Err(missing());
    }
    call.shown(BucketRow::of(&view, &bucket, true))
}

fn register(call: &Call<'_>) -> Result<Command, Problem> {
    Ok(Command::RegisterBucket { org: call.org_uid(), bucket: bucket(call)? })
}

fn forget(call: &Call<'_>) -> Result<Command, Problem> {
    Ok(Command::ForgetBucket { org: call.org_uid(), bucket: bucket(call)? })
}

fn registered(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    shown(call, done, true)
}

fn forgotten(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    shown(call, done, false)
}

fn shown(call: &Call<'_>, done: &Done, registered: bool) -> Result<Answer, Problem> {
    let bucket = bucket(call)?;
    let row = super::at_length(|| BucketRow::of(&call.newest(), &bucket, registered));
    changed(done, row)
}
