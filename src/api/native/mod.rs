//! The native API, `/api/v1`: all that the command line can do with an org, as JSON, signed with SigV4 for service `keyledger`.
//!
//! ```text
//!   path ──table──▶ Route ──query──▶ authenticate ──▶ rights ──▶ Look │ Dig │ Change → Command │ Stream ──▶ Answer │ Problem
//! ```
//!
//! Invariants
//! - One table of routes ([`table`]) says what there is; the OpenAPI document and the tests are made from it.
//! - Who may not is told so before anything is looked up; what another org has does not exist.
//! - A change is retried safely with an `Idempotency-Key`, and its answer never shows a secret twice.
//!
//! Not here, and why: what no key that signs may do, so it is done on the ledger's own machine (`init`, `serve`, `partner`, `import cloudtrail`,
//! `clock accept`, and of `org` all but `show` and the alias); what works on the ledger's files (`backup`, `restore`, `repair`, `vault rekey`, and of
//! `verify` the replay); what needs no ledger (`demo`, `completions`, `policy simulate --cases`, and `sigv4 verify`, which is given a secret).

mod audit;
mod body;
mod buckets;
mod call;
mod events;
mod evidence;
mod groups;
mod health;
mod held;
mod key_list;
mod keys;
mod node;
mod openapi;
mod org;
mod page;
mod policies;
mod problem;
mod query;
mod rights;
mod simulate;
mod state;
mod table;
mod tokens;
mod users;

use super::authenticate::{Signed, authenticate};
use super::past::at_length;
use super::{Api, Fault, Incoming, Reply};
use crate::model::bytes::Hex;
use crate::model::{Dialect, Time};
use call::{Answer, Call};
use problem::Problem;
use query::Query;
use rights::Sight;
use std::sync::{Arc, OnceLock};
use table::{Does, Found, Names, Route};
use tokio::sync::Semaphore;

/// The service in a signature's scope.
pub const SERVICE: &str = "keyledger";
/// Reads of the log, or of every key, at a time; more are turned away.
const DIGS_MAX: usize = 8;
/// Streams of events at a time; more are turned away.
const STREAMS_MAX: usize = 256;

/// What the native API keeps between requests.
#[derive(Debug)]
pub struct Kept {
    digs: Semaphore,
    streams: Arc<Semaphore>,
    nodes: node::Nodes,
    /// In cursors that no other process understands.
    epoch: String,
}

impl Kept {
    pub fn new(started: Time) -> Self {
        let hash = blake3::hash(&started.0.to_le_bytes());
        Self {
            epoch: Hex(&hash.as_bytes()[..4]).to_string(),
            digs: Semaphore::new(DIGS_MAX),
            nodes: node::Nodes::default(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        }
    }
}

/// Answers one request.
pub async fn answer(api: &Api, incoming: &Incoming) -> Reply {
    answered(api, incoming).await.unwrap_or_else(|problem| problem.reply())
}

/// Reading a request's target and no more, to be fuzzed.
#[doc(hidden)]
pub fn reads_as_target(method: &str, target: &str) -> bool {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Found::Route(route, _) = table::find(method, path) else { return false };
    Query::parse(route, query).is_ok_and(|query| page::Paging::of(&query).is_ok())
}

/// What the server refuses.
pub fn fault(fault: Fault) -> Reply {
    Problem::fault(fault).reply()
}

async fn answered(api: &Api, incoming: &Incoming) -> Result<Reply, Problem> {
    let (route, names) = match table::find(incoming.method.as_str(), incoming.path()) {
        Found::Route(route, names) => (route, names),
        Found::Method(allow) => return Err(Problem::method(allow)),
        Found::Nothing => return Err(Problem::no_such("resource")),
    };
    incoming.is_about(route.about);
    if matches!(route.does, Does::Document) {
        Query::parse(route, incoming.query())?;
        return Ok(openapi::reply());
    }
    let region = api.options.region.as_str();
    let signed = authenticate(api, incoming, Dialect::Native, SERVICE, &[region])?;
    let answer = asked(api, incoming, &signed, route, &names).await;
    let (outcome, bytes) = match &answer {
        Ok(Asked::Answer(answer)) => ("ok", answer.len()),
        Ok(Asked::Stream(_)) => ("ok", 0),
        Err(problem) => (problem.code(), 0),
    };
    signed.used(api, incoming, route.is_change(), outcome, bytes);
    match answer? {
        Asked::Answer(answer) => Ok(answer.reply(route.status)),
        Asked::Stream(reply) => Ok(reply),
    }
}

enum Asked {
    Answer(Answer),
    Stream(Reply),
}

async fn asked(
    api: &Api,
    incoming: &Incoming,
    signed: &Signed,
    route: &'static Route,
    names: &Names,
) -> Result<Asked, Problem> {
    let query = Query::parse(route, incoming.query())?;
    let sight_of = |action| Sight::of(&signed.state, &signed.key, &signed.caller, action, signed.now);
    let sight = match route.does {
        Does::Look { action, own, .. } => match sight_of(action)? {
            Sight::Own(_) if !own => {
                return Err(Problem::forbidden("a Member sees its own access keys only"));
            }
            sight => sight,
        },
        Does::Dig { action, .. } | Does::Stream { action } => match sight_of(action)? {
            Sight::Own(_) => return Err(Problem::forbidden("a Member sees its own access keys only")),
            sight @ Sight::Org => sight,
        },
        Does::Report { action, .. } => {
            rights::may_report(&signed.state, &signed.key, &signed.caller, action, signed.now)?;
            Sight::Org
        }
        Does::Change { .. } | Does::Document => Sight::Org,
    };
    let state = match query.number("min_seq") {
        Some(seq) if signed.state.seq().0 < seq => call::state_with(api, seq).await?,
        _ => signed.state.share(),
    };
    let org = state.org(signed.key.org).cloned().ok_or_else(|| Problem::no_such("org"))?;
    let call = Call { api, incoming, signed, state, org, names, query: &query, sight, drawn: OnceLock::new() };
    Ok(match route.does {
        Does::Look { run, .. } => Asked::Answer(run(&call)?),
        Does::Dig { run, .. } => {
            let _place = api.native.digs.try_acquire().map_err(|_| Problem::busy())?;
            Asked::Answer(at_length(|| run(&call))?)
        }
        Does::Change { command, shows } => {
            let command = command(&call)?;
            let done = call.order(command).await?;
            Asked::Answer(shows(&call, &done)?)
        }
        Does::Report { command, shows, .. } => {
            let command = command(&call)?;
            let done = call.report(command, node::token(&call)?.as_deref()).await?;
            Asked::Answer(shows(&call, &done)?)
        }
        Does::Stream { action } => Asked::Stream(events::reply(&call, action)?),
        Does::Document => return Err(Problem::failed()),
    })
}
