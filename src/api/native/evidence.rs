//! What imported records say of an access key, also of one that was never here.
//!
//! Not here: reading them (`audit::evidence`), and which orgs are told of them (`api::past`).

use super::audit::{READ, SINCE, UNTIL, count, time};
use super::call::{Answer, Call, Report};
use super::problem::Problem;
use super::table::{Param, Route, schema};
use crate::api::past::evidence_of;
use crate::audit::evidence::{Evidence, EvidenceOptions};

/// Rows unless it is said.
const ROWS: usize = 20;

pub const ROUTES: &[Route] = &[Route::dig(
    "/audit/evidence/{key}",
    "What imported records of the org's account say of an access key, also of one that was never here",
    READ,
    schema::<Report<Evidence>>,
    imported,
)
.query(&[SINCE, UNTIL, Param::number("rows", 0, 1_000, "Rows of the newest records; 20 unless given")])];

/// Whoever may not be told of any evidence is answered as where no record speaks of the key.
fn imported(call: &Call<'_>) -> Result<Answer, Problem> {
    let id = call.key_id()?;
    let rows_max = count(call, "rows").unwrap_or(ROWS);
    let options = EvidenceOptions { since: time(call, "since")?, until: time(call, "until")?, rows_max };
    let told = evidence_of(call.api, &call.state, &call.org, &id, &options)?;
    let told = told.ok_or_else(|| Problem::no_such("access key"))?;
    call.told(told)
}
