//! `audit log`: the facts that a question means, one row each.
//!
//! Not here: filters (`query`), waiting for new commits (`follow` of the caller: ask again from the last seq).

use super::names::Worlds;
use super::query::Query;
use super::report::FactRow;
use super::{AuditError, History};
use crate::state::Fact;
use std::ops::ControlFlow;

/// Calls `each` with every fact that `query` means, in the order of recording or the reverse, at most `query.limit` of them.
/// Returns how many there were.
///
/// # Errors
/// Whatever keeps the log from being read.
pub fn facts(
    history: &dyn History,
    query: &Query,
    each: &mut dyn FnMut(&Fact<'_>) -> ControlFlow<()>,
) -> Result<u64, AuditError> {
    let mut shown = 0;
    let limit = query.limit.map_or(u64::MAX, |limit| limit as u64);
    if limit == 0 {
        return Ok(0);
    }
    history.select(&query.plan(), &|commit| query.matches_any(commit), &mut |commit| {
        let mut one = |fact: &Fact<'_>| {
            shown += 1;
            each(fact)?;
            if shown == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let mut matching = commit.facts().filter(|fact| query.matches(fact));
        if query.reverse {
            let facts: Vec<Fact<'_>> = matching.collect();
            facts.iter().rev().try_for_each(one)
        } else {
            matching.try_for_each(|fact| one(&fact))
        }
    })?;
    Ok(shown)
}

/// [`facts`] as rows.
///
/// # Errors
/// As [`facts`].
pub fn rows(
    history: &dyn History,
    worlds: &Worlds,
    query: &Query,
    each: &mut dyn FnMut(FactRow) -> ControlFlow<()>,
) -> Result<u64, AuditError> {
    facts(history, query, &mut |fact| each(FactRow::of(fact, worlds)))
}
