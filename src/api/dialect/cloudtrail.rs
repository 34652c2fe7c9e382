//! AWS CloudTrail's LookupEvents over the caller's own history, so that `aws cloudtrail lookup-events` is an audit query.
//!
//! JSON 1.1, `X-Amz-Target: …CloudTrail_20131101.LookupEvents`, SigV4 service `cloudtrail` (source: botocore 1.44.5, cloudtrail
//! service model). Unlike AWS: every event since the org began, no limit of 90 days or two calls a second, and any number of
//! attributes, all of which must hold.
//!
//! Invariants
//! - Events of another org are never shown, whatever is asked.
//! - Newest first; a token names the last event shown, so what is recorded meanwhile moves nothing.
//!
//! Not here: the records themselves (`audit::cloudtrail`).

use super::super::authenticate::{Signed, authenticate};
use super::super::{Api, Fault, Incoming, Reply, reply};
use super::json_rpc::{self, JSON, RpcError};
use crate::audit::cloudtrail::{Resource, TrailRecord, event_of_uuid, name_of};
use crate::audit::query::{ActorFilter, KeyPart};
use crate::audit::{Asked, AuditError, History, Query, Worlds, log};
use crate::model::{AccessKeyId, Dialect, Event, EventId, Seq, Time};
use crate::state::Fact;
use serde::Deserialize;
use serde_json::{Value, json};
use std::ops::ControlFlow;

/// Events of one answer, and how many where nobody says (botocore: `MaxResults` 1 to 50).
const RESULTS_MAX: i64 = 50;
/// Attributes of one question.
const ATTRIBUTES_MAX: usize = 8;
/// Characters of an attribute's value (botocore: at most 2000).
const VALUE_MAX: usize = 2_000;
const ATTRIBUTE: &str = "InvalidLookupAttributesException";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Question {
    #[serde(default)]
    lookup_attributes: Vec<Attribute>,
    start_time: Option<f64>,
    end_time: Option<f64>,
    event_category: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Attribute {
    attribute_key: String,
    attribute_value: String,
}

/// A question that was understood.
struct Lookup {
    filter: Filter,
    since: Option<Time>,
    /// Exclusive.
    until: Option<Time>,
    /// The last event of the page before.
    before: Option<EventId>,
    /// Events of the answer.
    wanted: usize,
}

impl Question {
    fn read(self, ledger_id: &[u8; 16]) -> Result<Lookup, RpcError> {
        let count = self.max_results.unwrap_or(RESULTS_MAX);
        if !(1..=RESULTS_MAX).contains(&count) {
            return Err(refused("InvalidMaxResultsException", "MaxResults must be between 1 and 50."));
        }
        if self.event_category.is_some_and(|category| category != "insight") {
            return Err(refused("InvalidEventCategoryException", "EventCategory may only be insight."));
        }
        let filter = Filter::of(&self.lookup_attributes, ledger_id)?;
        let (since, until) = (time(self.start_time)?, time(self.end_time)?.map(|until| until.plus_ns(1)));
        if matches!((since, until), (Some(since), Some(until)) if since >= until) {
            return Err(refused("InvalidTimeRangeException", "EndTime must not be earlier than StartTime."));
        }
        let before = self.next_token.as_deref().map(read_token).transpose()?;
        Ok(Lookup { filter, since, until, before, wanted: usize::try_from(count).unwrap_or_default() })
    }
}

/// Reading a question and no more, to be fuzzed.
#[doc(hidden)]
#[must_use]
pub fn reads_as_question(body: &[u8]) -> bool {
    json_rpc::read::<Question>(body).and_then(|asked| asked.read(&[0; 16])).is_ok()
}

/// Answers one request.
pub fn answer(api: &Api, incoming: &Incoming) -> Reply {
    let region = api.options.region.as_str();
    let signed = match authenticate(api, incoming, Dialect::CloudTrail, "cloudtrail", &[region]) {
        Ok(signed) => signed,
        Err(denied) => return RpcError::from(denied).reply(),
    };
    let result = if incoming.method == "POST" && json_rpc::operation(incoming) == "LookupEvents" {
        incoming.is_about("LookupEvents");
        lookup(api, incoming, &signed).map(|body| body.to_string())
    } else {
        Err(RpcError::unknown_operation())
    };
    let outcome = result.as_ref().err().map_or("ok", |error| error.kind);
    let bytes = result.as_ref().map_or(0, |body| body.len() as u64);
    signed.used(api, incoming, false, outcome, bytes);
    result.map_or_else(|error| error.reply(), |body| reply(200, JSON, body))
}

/// What the server refuses.
#[must_use]
pub fn fault(fault: Fault) -> Reply {
    RpcError::of_fault(fault, "InternalFailure").reply()
}

fn refused(kind: &'static str, message: &'static str) -> RpcError {
    RpcError::new(400, kind, message)
}

impl From<AuditError> for RpcError {
    fn from(error: AuditError) -> Self {
        tracing::error!(%error, "a question about the past failed");
        Self::new(500, "InternalFailure", "The history could not be read.")
    }
}

fn lookup(api: &Api, incoming: &Incoming, signed: &Signed) -> Result<Value, RpcError> {
    if !signed.may("cloudtrail:LookupEvents", "*", &[]).is_allow() {
        return Err(refused("AccessDeniedException", "You are not authorized to perform: cloudtrail:LookupEvents"));
    }
    let ledger_id = api.ledger.meta().ledger_id;
    let Lookup { filter, since, until, before, wanted } = json_rpc::parse::<Question>(incoming)?.read(&ledger_id)?;
    let worlds = Worlds::live(signed.state.share());
    api.past.ask(api, signed.key.org, |history| {
        let mut query = filter.query(history, &worlds)?;
        (query.since, query.until) = (since, until);
        if let Some(before) = before {
            query.to_seq = Some(query.to_seq.map_or(before.seq.0, |to| to.min(before.seq.0)));
        }
        let (mut events, mut last, mut more) = (Vec::new(), None, false);
        if filter.nothing {
            return Ok(json!({ "Events": events }));
        }
        log::facts(history, &query, &mut |fact| {
            let is_shown = before.is_some_and(|before| (fact.id.seq, fact.id.index) >= (before.seq, before.index));
            if is_shown || !filter.fits(fact) {
                return ControlFlow::Continue(());
            }
            let record = TrailRecord::of(fact, &worlds, &ledger_id, &api.options.region);
            if !filter.fits_resources(&record.resources) {
                return ControlFlow::Continue(());
            }
            if events.len() == wanted {
                more = true;
                return ControlFlow::Break(());
            }
            last = Some(fact.id);
            events.push(event_of(&record, fact.effective_at));
            ControlFlow::Continue(())
        })?;
        Ok(match last.filter(|_| more) {
            Some(last) => json!({ "Events": events, "NextToken": format!("{}.{}", last.seq.0, last.index) }),
            None => json!({ "Events": events }),
        })
    })
}

/// The attributes that were asked for.
#[derive(Debug, Default)]
struct Filter {
    key: Option<String>,
    username: Option<String>,
    event: Option<EventId>,
    event_name: Option<String>,
    event_source: Option<String>,
    read_only: Option<bool>,
    resource_type: Option<String>,
    resource_name: Option<String>,
    /// No event can be meant.
    nothing: bool,
}

impl Filter {
    fn of(attributes: &[Attribute], ledger_id: &[u8; 16]) -> Result<Self, RpcError> {
        if attributes.len() > ATTRIBUTES_MAX {
            return Err(refused(ATTRIBUTE, "At most 8 lookup attributes."));
        }
        let mut filter = Self::default();
        for Attribute { attribute_key, attribute_value } in attributes {
            let value = attribute_value.clone();
            if value.is_empty() || value.chars().count() > VALUE_MAX {
                return Err(refused(ATTRIBUTE, "AttributeValue has 1 to 2000 characters."));
            }
            let slot = match attribute_key.as_str() {
                "AccessKeyId" => {
                    // No key has another id, so nothing was done with one.
                    filter.nothing |= AccessKeyId::parse(&value).is_err();
                    &mut filter.key
                }
                "EventId" => {
                    let event = event_of_uuid(ledger_id, &value);
                    filter.nothing |= event.is_none() || filter.event.is_some_and(|other| Some(other) != event);
                    filter.event = event;
                    continue;
                }
                "ReadOnly" => {
                    let read_only = value.parse().map_err(|_| refused(ATTRIBUTE, "ReadOnly is true or false."))?;
                    filter.nothing |= filter.read_only.is_some_and(|other| other != read_only);
                    filter.read_only = Some(read_only);
                    continue;
                }
                "EventName" => &mut filter.event_name,
                "EventSource" => &mut filter.event_source,
                "ResourceType" => &mut filter.resource_type,
                "ResourceName" => &mut filter.resource_name,
                "Username" => &mut filter.username,
                _ => {
                    return Err(refused(
                        ATTRIBUTE,
                        "AttributeKey is EventId, EventName, ReadOnly, Username, ResourceType, ResourceName, EventSource or AccessKeyId.",
                    ));
                }
            };
            filter.nothing |= slot.as_ref().is_some_and(|other| *other != value);
            *slot = Some(value);
        }
        Ok(filter)
    }

    /// What of it an index knows.
    fn query(&self, history: &dyn History, worlds: &Worlds) -> Result<Query, AuditError> {
        let key = self.key.clone().filter(|_| !self.nothing);
        let asked = Asked { key, key_part: KeyPart::Caused, reverse: true, ..Asked::default() };
        let mut query = Query::of(&asked, history, worlds)?;
        query.actor = self.username.clone().map(|name| ActorFilter::Names([name].into()));
        if let Some(event) = self.event {
            (query.from_seq, query.to_seq) = (Some(event.seq.0), Some(event.seq.0));
        }
        Ok(query)
    }

    /// What of it an event says at once. Use is not a management call, and imported records are another account's.
    fn fits(&self, fact: &Fact<'_>) -> bool {
        let is_use = matches!(fact.event, Event::UsageRolledUp { .. } | Event::AttemptsRolledUp { .. });
        if is_use || fact.record.is_some() || self.event.is_some_and(|event| event != fact.id) {
            return false;
        }
        let (source, name) = name_of(fact.event, fact.dialect);
        self.event_source.as_deref().is_none_or(|wanted| wanted == source)
            && self.event_name.as_deref().is_none_or(|wanted| wanted == name)
            // What only reads leaves no event.
            && self.read_only != Some(true)
    }

    fn fits_resources(&self, resources: &[Resource]) -> bool {
        let any = |fits: &dyn Fn(&Resource) -> bool| resources.iter().any(fits);
        self.resource_type.as_ref().is_none_or(|kind| any(&|it| it.kind == kind))
            && self.resource_name.as_ref().is_none_or(|name| any(&|it| it.name == *name))
    }
}

/// Seconds since 1970, as JSON 1.1 has them.
#[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
fn time(seconds: Option<f64>) -> Result<Option<Time>, RpcError> {
    let Some(seconds) = seconds else { return Ok(None) };
    if !(0.0..=9.0e9).contains(&seconds) {
        return Err(refused("InvalidTimeRangeException", "A time is out of range."));
    }
    Ok(Some(Time((seconds * 1e9) as i64)))
}

fn read_token(token: &str) -> Result<EventId, RpcError> {
    let read = || {
        let (seq, index) = token.split_once('.')?;
        Some(EventId { seq: Seq(seq.parse().ok()?), index: index.parse().ok()? })
    };
    read().ok_or_else(|| refused("InvalidNextTokenException", "NextToken is not one that was given here."))
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit 53 bits")]
fn event_of(record: &TrailRecord, at: Time) -> Value {
    let resources: Vec<Value> = record
        .resources
        .iter()
        .map(|resource| json!({ "ResourceType": resource.kind, "ResourceName": resource.name }))
        .collect();
    json!({
        "EventId": record.event_id,
        "EventName": record.event_name,
        "ReadOnly": record.read_only.to_string(),
        "AccessKeyId": record.user_identity.access_key_id,
        "EventTime": (at.0 / 1_000_000) as f64 / 1e3,
        "EventSource": record.event_source,
        "Username": record.user_identity.user_name.as_deref().unwrap_or("root"),
        "Resources": resources,
        "CloudTrailEvent": serde_json::to_string(record).unwrap_or_default(),
    })
}
