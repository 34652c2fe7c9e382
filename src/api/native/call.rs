//! One call: who asks what of its org, and the ways to look, to dig and to order.
//!
//! Invariants
//! - Every answer says the seq it is as of; of a change it is the commit's own.
//! - The org is the caller's own: nothing of another is ever looked up for it.
//!
//! Not here: single routes.

use super::super::authenticate::Signed;
use super::super::{Api, Incoming, Reply, reply};
use super::problem::Problem;
use super::query::Query;
use super::rights::Sight;
use super::table::Names;
use crate::audit::rows::View;
use crate::ledger::{Command, Done, Outcome, Token};
use crate::model::text::excerpt;
use crate::model::{AccessKeyId, OrgUid, Principal, Seq, Time, When};
use crate::state::{OrgRecord, State};
use crate::vault::SecretKey;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long a read waits for the commit it must see: 2 s.
const SEQ_WITHIN: Duration = Duration::from_secs(2);
/// How often it looks.
const SEQ_EVERY: Duration = Duration::from_millis(5);

/// See the module.
pub struct Call<'a> {
    pub api: &'a Api,
    pub incoming: &'a Incoming,
    pub signed: &'a Signed,
    pub state: State,
    pub org: Arc<OrgRecord>,
    pub names: &'a Names,
    pub query: &'a Query,
    /// Of a read.
    pub sight: Sight,
    /// A token that was drawn for this call.
    pub drawn: OnceLock<SecretKey>,
}

/// A good answer.
#[derive(Debug)]
pub struct Answer {
    body: Bytes,
    /// The target's version.
    version: Option<u64>,
}

/// Something, and the commit that the answer is as of.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Shown")]
pub struct Shown<T> {
    #[serde(flatten)]
    row: T,
    /// The commit that the answer is as of.
    seq: u64,
}

/// What a change did, and its target as it is then.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Changed")]
#[expect(clippy::struct_field_names, reason = "a word of the answer's")]
pub struct Changed<T> {
    #[serde(flatten)]
    row: T,
    /// Whether anything was appended.
    changed: bool,
    /// Whether this is the answer of an earlier request with the same Idempotency-Key.
    replayed: bool,
    /// The commit; of what changed nothing, the newest one.
    seq: u64,
}

/// A report of the audit: its fields are those that the command line prints as JSON.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ReportOf{T}")]
pub struct Report<T> {
    /// The commit that the answer is as of.
    pub seq: u64,
    pub report: T,
}

/// What was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Gone {
    pub name: String,
    pub deleted: bool,
}

impl Answer {
    pub fn json<T: Serialize>(body: &T) -> Result<Self, Problem> {
        let body = serde_json::to_vec(body).map_err(|error| {
            tracing::error!(%error, "an answer is no JSON");
            Problem::failed()
        })?;
        Ok(Self { body: body.into(), version: None })
    }

    /// With the target's version as its ETag.
    #[must_use]
    pub fn version(mut self, changed: u64) -> Self {
        self.version = Some(changed);
        self
    }

    pub fn len(&self) -> u64 {
        self.body.len() as u64
    }

    pub fn reply(self, status: u16) -> Reply {
        let mut reply = reply(status, "application/json", self.body);
        if let Some(version) = self.version {
            super::super::incoming::set_header(&mut reply, "etag", &format!("\"{version}\""));
        }
        // A secret may stand in it.
        super::super::incoming::set_header(&mut reply, "cache-control", "no-store");
        reply
    }
}

impl<'a> Call<'a> {
    pub fn org_uid(&self) -> OrgUid {
        self.org.org
    }

    pub fn now(&self) -> Time {
        self.signed.now.max(self.state.recorded_at())
    }

    pub fn view(&self) -> View {
        View::of(&self.state, &self.org, self.now())
    }

    /// The org as it is in the state in which what was just done can be seen.
    pub fn newest(&self) -> View {
        let state = self.api.ledger.state();
        let org = state.org(self.org.org).cloned().unwrap_or_else(|| Arc::clone(&self.org));
        View::of(&state, &org, self.api.now().max(state.recorded_at()))
    }

    /// What stands in the path for `{name}`.
    pub fn name(&self, name: &str) -> &'a str {
        self.names.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str()).unwrap_or_default()
    }

    /// The access key id in the path.
    ///
    /// # Errors
    /// 404 for what is none: nobody has it.
    pub fn key_id(&self) -> Result<AccessKeyId, Problem> {
        AccessKeyId::parse(self.name("key")).map_err(|_| Problem::no_such("access key"))
    }

    /// A moment of the query.
    ///
    /// # Errors
    /// 400 naming the parameter.
    pub fn when(&self, name: &'static str) -> Result<Option<When>, Problem> {
        let parse = |text| When::parse(text, self.now()).map_err(|invalid| Problem::invalid(name, invalid.expected));
        self.query.text(name).map(parse).transpose()
    }

    /// The body.
    ///
    /// # Errors
    /// 415 for another content type, 400 for what is not what the route takes; it names the member and never what stands there.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let is_json = |kind: &str| {
            kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
        };
        if !self.incoming.header("content-type").is_some_and(is_json) {
            return Err(Problem::new(415, "not-json", "Send the body as application/json."));
        }
        // serde takes an array for an object, member by member.
        if self.incoming.body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::new(400, "bad-json", "The body is not a JSON object."));
        }
        let mut reader = serde_json::Deserializer::from_slice(&self.incoming.body);
        let body = serde_path_to_error::deserialize(&mut reader).map_err(|error| bad_body(&error))?;
        reader.end().map_err(|_| Problem::new(400, "bad-json", "Something stands behind the body's JSON."))?;
        Ok(body)
    }

    /// A body that may be left out.
    ///
    /// # Errors
    /// As [`Call::body`].
    pub fn body_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Problem> {
        if self.incoming.body.is_empty() { Ok(T::default()) } else { self.body() }
    }

    /// Orders a command, and waits until it is durable.
    ///
    /// # Errors
    /// What the ledger refuses; 400 for an Idempotency-Key or an expected version that is none.
    pub async fn order(&self, command: Command) -> Result<Done, Problem> {
        let token = self.incoming.header("idempotency-key").map(unquoted);
        let token = token.map(Token::parse).transpose();
        let token = token.map_err(|_| Problem::invalid("Idempotency-Key", "1 to 64 visible characters"))?;
        let command = match self.expected()? {
            Some(changed) => command.expecting(changed),
            None => command,
        };
        let mut caller = self.signed.caller.clone();
        if self.incoming.headers.contains_key("keyledger-reason") {
            let reason = self.incoming.header("keyledger-reason").unwrap_or("\u{0}");
            crate::model::limits::reason(reason)
                .map_err(|invalid| Problem::invalid("Keyledger-Reason", invalid.expected))?;
            caller.reason = Some(reason.into());
        }
        Ok(self.api.ledger.execute(&caller, command, token).await?)
    }

    /// Orders a command in the name of a storage node, which the caller's key is.
    ///
    /// # Errors
    /// What the ledger refuses.
    pub async fn report(&self, command: Command, token: Option<&str>) -> Result<Done, Problem> {
        let mut caller = self.signed.caller.clone();
        caller.principal = Principal::Node { name: self.signed.key.id.as_str().into() };
        let token = token.map(Token::parse).transpose()?;
        Ok(self.api.ledger.execute(&caller, command, token).await?)
    }

    /// The version that the target must have.
    fn expected(&self) -> Result<Option<Seq>, Problem> {
        let by_query = self.query.number("expected_version");
        let by_header = match self.incoming.header("if-match") {
            None => None,
            Some(text) => {
                let bad = || Problem::invalid("If-Match", "the ETag of the target, such as \"12\"");
                Some(unquoted(text).parse().map_err(|_| bad())?)
            }
        };
        match (by_query, by_header) {
            (Some(one), Some(other)) if one != other => {
                Err(Problem::invalid("If-Match", "the same as expected_version"))
            }
            (one, other) => Ok(one.or(other).map(Seq)),
        }
    }

    /// `row` as the answer to a read.
    pub fn shown<T: Serialize>(&self, row: T) -> Result<Answer, Problem> {
        Answer::json(&Shown { row, seq: self.state.seq().0 })
    }

    /// `report` as the answer to a question of the audit.
    pub fn told<T: Serialize>(&self, report: T) -> Result<Answer, Problem> {
        Answer::json(&Report { seq: self.state.seq().0, report })
    }
}

/// What was done, with `row` as it is then.
pub fn changed<T: Serialize>(done: &Done, row: T) -> Result<Answer, Problem> {
    Answer::json(&Changed {
        row,
        changed: !matches!(done.outcome, Outcome::Nothing),
        replayed: done.replayed,
        seq: done.seq.0,
    })
}

/// The published state once it has commit `seq`, or what there is when that takes too long.
///
/// # Errors
/// 409 with the newest commit.
pub async fn state_with(api: &Api, seq: u64) -> Result<State, Problem> {
    let handle = api.ledger.handle();
    let reached = async {
        while handle.seq().0 < seq {
            tokio::time::sleep(SEQ_EVERY).await;
        }
    };
    match tokio::time::timeout(SEQ_WITHIN, reached).await {
        Ok(()) => Ok(api.ledger.state()),
        Err(_) => Err(Problem::behind(handle.seq())),
    }
}

/// `"a"` and `a` are the same.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// serde's words for what is wrong, as far as they are ours: what stands in the body may be a secret.
fn bad_body(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let inner = error.inner();
    if inner.is_syntax() || inner.is_eof() || inner.is_io() {
        return Problem::new(400, "bad-json", "The body is not JSON, or nested too deep.");
    }
    let path = error.path().to_string();
    let text = inner.to_string();
    for (words, code, says) in [
        ("unknown field `", "unknown-member", "is not taken here"),
        ("missing field `", "missing-member", "is missing"),
        ("duplicate field `", "duplicate-member", "is given more than once"),
    ] {
        if let Some((member, _)) = text.strip_prefix(words).and_then(|rest| rest.split_once('`')) {
            // The path of an unknown member ends with it already.
            let parent = path.strip_suffix(member).unwrap_or(&path).trim_end_matches('.');
            let parent = if parent == "." { "" } else { parent };
            let member = if parent.is_empty() { member.to_owned() } else { format!("{parent}.{member}") };
            let member = excerpt(&member, 128);
            return Problem::new(400, code, format!("`{member}` {says}.")).at(member);
        }
    }
    let expected = text.rsplit_once("expected ").map_or("something else", |(_, expected)| expected);
    let expected = expected.split(" at line ").next().unwrap_or_default();
    Problem::invalid(excerpt(&path, 128), excerpt(expected, 200))
}
