//! What a key could do: decided by the very function that decides requests, for any moment.
//!
//! A question of the past often lacks what the request brought: its address, its headers. So there are two answers. [`decide`] takes the
//! question as a request that has what is given and nothing else. [`power`] leaves open what is not given, and says
//! *always*, *sometimes* (with the conditions) or *never*.
//!
//! Not here: the moments (`at`), and the documents as they stand (`rights`).

pub mod blast;
pub mod compare;
pub mod course;
pub mod intervals;
mod power;
mod replay;
pub mod table;
mod ties;
pub mod told;
pub mod who;
pub mod widened;

pub use power::{Because, May, Power, power};

use super::names::Worlds;
use crate::model::{Holder, Invalid, KeyOwner, Time};
use crate::policy::{ConditionKey, Context, Found, Request, Value, Verdict};
use crate::state::access::{Access, Bearer, Bearing, By, Held, Origin, Reason};
use crate::state::{KeyRecord, Standing};
use serde::Serialize;

/// What is asked of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// `s3:GetObject`
    pub action: String,
    /// `arn:aws:s3:::bucket/key`
    pub resource: String,
    /// Condition keys of the request, each once, with their values.
    pub context: Vec<(ConditionKey, Vec<String>)>,
}

impl Question {
    #[must_use]
    pub fn new(action: &str, resource: &str) -> Self {
        Self { action: action.to_owned(), resource: resource.to_owned(), context: Vec::new() }
    }

    /// The question with condition keys as people write them: `KEY=VALUE`, a key as often as it has values.
    ///
    /// # Errors
    /// [`Invalid`] for what is none.
    pub fn with_context(mut self, given: &[impl AsRef<str>]) -> Result<Self, Invalid> {
        for text in given {
            let text = text.as_ref();
            let wrong = || Invalid::new("context", text, "KEY=VALUE, for instance aws:SourceIp=203.0.113.7");
            let (name, value) = text.split_once('=').ok_or_else(wrong)?;
            let key = ConditionKey::parse(name).ok_or_else(wrong)?;
            match self.context.iter_mut().find(|(earlier, _)| earlier.is(key.as_str())) {
                Some((_, values)) => values.push(value.to_owned()),
                None => self.context.push((key, vec![value.to_owned()])),
            }
        }
        Ok(self)
    }

    /// Asks `f` with the question as a request.
    pub fn with_request<R>(&self, f: impl FnOnce(&Request<'_, Given<'_>>) -> R) -> R {
        let keys = self.context.iter();
        let keys = keys.map(|(key, values)| (key, values.iter().map(|value| Value::Text(value)).collect()));
        let given = Given { keys: keys.collect() };
        f(&Request::new(&self.action, &self.resource, &given))
    }
}

/// The condition keys of a question.
pub struct Given<'a> {
    keys: Vec<(&'a ConditionKey, Vec<Value<'a>>)>,
}

impl Context for Given<'_> {
    fn find(&self, key: &ConditionKey) -> Found<'_> {
        let named = |(given, _): &&(&ConditionKey, Vec<Value<'_>>)| given.is(key.as_str());
        self.keys.iter().find(named).map_or(Found::Absent, |(_, values)| Found::Many(values))
    }
}

/// An answer, with what decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Answer {
    pub allowed: bool,
    pub verdict: Verdict,
    /// In words.
    pub why: String,
    /// The statement that decided, where one did.
    pub by: Option<Because>,
    /// A document that is not in evidence, and could have decided otherwise.
    pub not_in_evidence: Option<String>,
}

/// Decides `question` for `key` at `now`, in the worlds of that moment.
#[must_use]
pub fn decide(worlds: &Worlds, key: &KeyRecord, question: &Question, now: Time) -> Answer {
    let state = worlds.state_of(key.org);
    let standing = state.standing(key);
    let access = question.with_request(|request| standing.decide(request, now));
    Answer {
        allowed: access.is_allow(),
        verdict: access.reason.verdict(),
        why: why(&access, key),
        by: access.reason.by().and_then(|by| Because::of(worlds, &standing, key, by)),
        not_in_evidence: missing(worlds, key, &access),
    }
}

fn missing(worlds: &Worlds, key: &KeyRecord, access: &Access) -> Option<String> {
    let origin = match access.reason {
        Reason::Unreadable { document } => Some(document),
        _ => access.unread,
    };
    origin.map(|origin| origin_name(worlds, key, origin))
}

/// Why, in words.
fn why(access: &Access, key: &KeyRecord) -> String {
    match access.reason {
        Reason::Unusable { status } => format!("the key is {}", status.as_str()),
        Reason::OtherBucket => "the bucket is not the org's".to_owned(),
        Reason::Quarantined => "the key is quarantined: it may read, and no more".to_owned(),
        Reason::Admin => "Admin on everything".to_owned(),
        Reason::Denied { .. } => "a Deny".to_owned(),
        Reason::Boundary { by: Some(_) } => "a Deny in the permissions boundary".to_owned(),
        Reason::Boundary { by: None } => "the permissions boundary does not allow it".to_owned(),
        Reason::Role { grant } => {
            let grants = &key.rights().grants;
            let grant = usize::try_from(grant).ok().and_then(|place| grants.get(place));
            grant.map_or_else(String::new, |grant| {
                let bucket = grant.bucket.as_ref().map_or("*", |bucket| bucket.as_str());
                format!("role {} on {bucket}", grant.role.as_str())
            })
        }
        Reason::Allowed { .. } => "an Allow".to_owned(),
        Reason::Default => "allowed by default".to_owned(),
        Reason::Unreadable { .. } => "a document that bears on it cannot be read".to_owned(),
        Reason::Implicit if key.owner == KeyOwner::Org && !key.is_scoped() => {
            "the org's own key, without grants or policies".to_owned()
        }
        Reason::Implicit => "nothing allows it".to_owned(),
    }
}

/// ``policy `reader` of user `alice` ``
fn origin_name(worlds: &Worlds, key: &KeyRecord, origin: Origin) -> String {
    let standing = worlds.state_of(key.org).standing(key);
    format!("{} of {}", document_name(worlds, &standing, origin), bearer_name(worlds, key, origin.holder))
}

fn bearer_name(worlds: &Worlds, key: &KeyRecord, bearer: Bearer) -> String {
    match bearer {
        Bearer::Key => worlds.holder_name(Holder::Key(key.uid())),
        Bearer::Owner => match &key.owner {
            KeyOwner::User(user) => worlds.holder_name(Holder::User(*user)),
            KeyOwner::Org | KeyOwner::Bucket(_) => worlds.owner_name(&key.owner),
        },
        Bearer::Group(group) => worlds.holder_name(Holder::Group(group)),
        Bearer::Boundary => match &key.owner {
            KeyOwner::User(user) => format!("the boundary of {}", worlds.holder_name(Holder::User(*user))),
            KeyOwner::Org | KeyOwner::Bucket(_) => "the boundary".to_owned(),
        },
    }
}

/// ``policy `reader` ``, ``inline policy `home` ``
fn document_name(worlds: &Worlds, standing: &Standing<'_>, origin: Origin) -> String {
    match origin.document {
        Held::Attached(policy) => format!("policy `{}`", worlds.policy_name(policy)),
        Held::Inline(place) => {
            let name = standing.inline_name(origin.holder, place);
            format!("inline policy `{}`", name.unwrap_or_default())
        }
    }
}

/// The document that an answer names.
fn bearing_of<'a>(standing: &Standing<'a>, origin: Origin) -> Option<Bearing<'a>> {
    standing.documents().into_iter().find(|bearing| bearing.origin == origin)
}

/// The statement that an answer names.
fn statement_of<'a>(standing: &Standing<'a>, by: By) -> Option<&'a crate::policy::Statement> {
    let document = bearing_of(standing, by.document)?.text?.document()?;
    document.statements().get(usize::try_from(by.statement).ok()?)
}
