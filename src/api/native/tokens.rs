//! API tokens: each stands for one access key where a client cannot sign, and dies with it.
//!
//! Not here: which requests a token is taken for (the Tigris IAM dialect); here everything is signed.

use super::super::{OnceShown, draw_token, token_hash};
use super::body::{CloseToken, OpenToken, ns};
use super::call::{Answer, Call, Changed, changed};
use super::problem::Problem;
use super::table::{Route, schema};
use crate::ledger::{Command, Done};
use crate::model::AccessKeyId;
use schemars::JsonSchema;
use serde::Serialize;

/// An hour.
const LIFETIME_SECONDS: u32 = 3_600;

pub const ROUTES: &[Route] = &[
    Route::change(
        "POST",
        "/tokens",
        "Make an API token; it is in this answer alone",
        open,
        schema::<Changed<OpenedToken<'static>>>,
        opened,
    )
    .takes(schema::<OpenToken>)
    .creates(),
    Route::change("POST", "/tokens/close", "Close an API token", close, schema::<Changed<ClosedToken>>, closed)
        .takes(schema::<CloseToken>),
];

/// A token that was just made. A retry is answered 409: it is not shown twice.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OpenedToken")]
struct OpenedToken<'a> {
    access_key_id: String,
    #[schemars(with = "Option<String>")]
    token: Option<OnceShown<'a>>,
    expires_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ClosedToken {
    access_key_id: String,
    closed: bool,
}

fn open(call: &Call<'_>) -> Result<Command, Problem> {
    let OpenToken { access_key_id, lifetime_seconds } = call.body()?;
    let key = AccessKeyId::parse(&access_key_id);
    let key = key.map_err(|invalid| Problem::invalid("access_key_id", invalid.expected))?;
    let token = draw_token().map_err(|_| Problem::failed())?;
    let token = call.drawn.get_or_init(|| token);
    let token_hash = token_hash(token.expose_secret());
    Ok(Command::OpenToken { key, token_hash, lifetime_ns: ns(lifetime_seconds.unwrap_or(LIFETIME_SECONDS)) })
}

fn opened(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    let access_key_id = call.body::<OpenToken>()?.access_key_id;
    let token = call.drawn.get();
    let record = token.and_then(|token| {
        call.newest().state.api_token(&token_hash(token.expose_secret())).map(|record| record.expires_at.to_string())
    });
    changed(done, OpenedToken { access_key_id, token: token.map(OnceShown), expires_at: record })
}

/// The key of the token in the body, by the state from before the change: a token of another org and one that never was are the same.
fn token_key(call: &Call<'_>) -> Result<AccessKeyId, Problem> {
    let asked: CloseToken = call.body()?;
    let state = &call.state;
    let key = state.api_token(&token_hash(asked.token.expose())).and_then(|token| state.key_by_uid(token.key));
    let key = key.filter(|key| key.org == call.org_uid()).ok_or_else(|| Problem::no_such("open token"))?;
    Ok(key.id)
}

fn close(call: &Call<'_>) -> Result<Command, Problem> {
    let asked: CloseToken = call.body()?;
    Ok(Command::CloseToken { key: token_key(call)?, token_hash: token_hash(asked.token.expose()) })
}

fn closed(call: &Call<'_>, done: &Done) -> Result<Answer, Problem> {
    let key = token_key(call)?;
    changed(done, ClosedToken { access_key_id: key.to_string(), closed: true })
}
