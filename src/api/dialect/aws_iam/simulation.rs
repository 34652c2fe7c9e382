//! One simulation: documents, a boundary, a context, and what they say of an action on a resource.
//!
//! As AWS's simulator, this asks policies alone: not whether a bucket is the org's, nor whether a key is alive.
//!
//! Not here: where the documents come from (`simulate`); deciding (`policy`).

use super::error::IamError;
use super::form::Form;
use super::form::{Shape, invalid};
use super::position::{position, spans};
use super::xml::Xml;
use crate::model::{AccountId, Time};
use crate::policy::{
    ConditionKey, Context, Document, DocumentKind, Explained, Found, KnownKey, Outcome, Request, Value, Verdict,
    explain,
};
use crate::state::UserRecord;
use std::net::IpAddr;

/// Context entries of a call.
const ENTRIES_MAX: usize = 256;
/// The context key that asks about the past.
pub const AS_OF: &str = "keyledger:AsOf";

/// A document that takes part, and where it is from.
pub struct Source {
    /// `PolicyInputList.1`, a policy's name, `user_alice_inline`.
    pub id: String,
    /// Of botocore's `PolicySourceType`.
    pub kind: &'static str,
    pub text: String,
    document: Document,
}

impl Source {
    /// # Errors
    /// InvalidInput, saying what is wrong where.
    pub fn new(id: String, kind: &'static str, text: &str) -> Result<Self, IamError> {
        let document = Document::parse(text, DocumentKind::Simulated)
            .map_err(|error| IamError::input(format!("The policy {id} is not valid: {error}")))?;
        Ok(Self { id, kind, text: text.to_owned(), document })
    }

    pub fn document(&self) -> &Document {
        &self.document
    }
}

/// `PolicyInputList.member.N` and its like.
///
/// # Errors
/// ValidationError, InvalidInput.
pub fn inputs(form: &Form, list: &str) -> Result<Vec<Source>, IamError> {
    let texts = form.list(list, Shape::DOCUMENT)?.unwrap_or_default();
    (1..).zip(texts).map(|(number, text)| Source::new(format!("{list}.{number}"), "none", text)).collect()
}

/// A value of a context entry, of its type.
enum Typed {
    Text(String),
    Integer(i64),
    Bool(bool),
    Address(IpAddr),
    Time(Time),
}

impl Typed {
    fn parse(kind: &str, text: &str) -> Option<Self> {
        Some(match kind {
            "numeric" | "numericList" => match text.parse() {
                Ok(number) => Typed::Integer(number),
                // With a fraction it is compared as it is written.
                Err(_) => text.parse::<f64>().ok().map(|_| Typed::Text(text.to_owned()))?,
            },
            "boolean" | "booleanList" => Typed::Bool(text.to_ascii_lowercase().parse().ok()?),
            // A range is written as one.
            "ip" | "ipList" => text.parse().map_or_else(|_| Typed::Text(text.to_owned()), Typed::Address),
            "date" | "dateList" => match text.parse::<i64>() {
                Ok(seconds) => Typed::Time(Time::from_seconds(seconds)),
                Err(_) => Typed::Time(Time::parse(text).ok()?),
            },
            _ => Typed::Text(text.to_owned()),
        })
    }

    fn value(&self) -> Value<'_> {
        match self {
            Typed::Text(text) => Value::Text(text),
            Typed::Integer(number) => Value::Integer(*number),
            Typed::Bool(value) => Value::Bool(*value),
            Typed::Address(address) => Value::Address(*address),
            Typed::Time(time) => Value::Time(*time),
        }
    }
}

/// What the caller says of the request.
#[derive(Default)]
pub struct Entries {
    entries: Vec<(ConditionKey, Vec<Typed>)>,
    /// `keyledger:AsOf`.
    pub as_of: Option<Time>,
}

const KINDS: [&str; 12] = [
    "string",
    "stringList",
    "numeric",
    "numericList",
    "boolean",
    "booleanList",
    "ip",
    "ipList",
    "binary",
    "binaryList",
    "date",
    "dateList",
];

impl Entries {
    /// # Errors
    /// ValidationError, InvalidInput: a key twice, a value that is not of its type.
    pub fn read(form: &Form) -> Result<Self, IamError> {
        let mut read = Self::default();
        for number in 1.. {
            if !form.has_member("ContextEntries", number) {
                break;
            }
            if number > ENTRIES_MAX {
                return Err(invalid("ContextEntries", "", "Member must have length less than or equal to 256"));
            }
            let part = |part: &str| format!("ContextEntries.member.{number}.{part}");
            let name = form.required(&part("ContextKeyName"), Shape::CONTEXT_KEY)?;
            let kind = form.one_of(&part("ContextKeyType"), &KINDS)?.unwrap_or("string");
            let texts = form.list(&part("ContextKeyValues"), Shape::DESCRIPTION)?.unwrap_or_default();
            let bad = |text: &str| {
                let (name, text) = (crate::model::text::excerpt(name, 64), crate::model::text::excerpt(text, 64));
                IamError::input(format!("Invalid value '{text}' of context key {name}: it is no {kind}"))
            };
            if name.eq_ignore_ascii_case(AS_OF) {
                let [text] = texts[..] else { return Err(bad("")) };
                match Typed::parse("date", text) {
                    Some(Typed::Time(time)) if kind == "date" => read.as_of = Some(time),
                    _ => return Err(bad(text)),
                }
                continue;
            }
            let key = ConditionKey::parse(name).ok_or_else(|| bad(""))?;
            if read.entries.iter().any(|(other, _)| other.is(name)) {
                return Err(IamError::input(format!(
                    "Context key {} is given twice",
                    crate::model::text::excerpt(name, 64)
                )));
            }
            let values = texts.into_iter().map(|text| Typed::parse(kind, text).ok_or_else(|| bad(text)));
            read.entries.push((key, values.collect::<Result<_, _>>()?));
        }
        Ok(read)
    }
}

/// Who is supposed to ask.
#[derive(Default)]
pub struct Supposed<'a> {
    pub user: Option<&'a UserRecord>,
    pub account: String,
    pub arn: String,
}

impl<'a> Supposed<'a> {
    pub fn user(account: AccountId, user: &'a UserRecord) -> Self {
        let arn = super::names::user_arn(account, &user.path, &user.name);
        Self { user: Some(user), account: account.to_string(), arn }
    }
}

/// Everything that is asked of a request. What the entries say goes before what is known of the caller.
pub struct Asked<'a> {
    entries: Vec<(&'a ConditionKey, Vec<Value<'a>>)>,
    who: &'a Supposed<'a>,
    user_id: String,
    now: Time,
}

impl<'a> Asked<'a> {
    pub fn new(entries: &'a Entries, who: &'a Supposed<'a>, now: Time) -> Self {
        let values = |values: &'a Vec<Typed>| values.iter().map(Typed::value).collect();
        let entries = entries.entries.iter().map(|(key, all)| (key, values(all))).collect();
        let user_id = who.user.map(|user| user.user.aws_id().to_string()).unwrap_or_default();
        Self { entries, who, user_id, now }
    }
}

impl Context for Asked<'_> {
    fn find(&self, key: &ConditionKey) -> Found<'_> {
        if let Some((_, values)) = self.entries.iter().find(|(other, _)| other.is(key.as_str())) {
            return Found::Many(values);
        }
        let text = |text| Found::One(Value::Text(text));
        match (key.known(), self.who.user) {
            (Some(KnownKey::CurrentTime), _) => Found::One(Value::Time(self.now)),
            (Some(KnownKey::EpochTime), _) => Found::One(Value::Integer(self.now.0.div_euclid(1_000_000_000))),
            (Some(KnownKey::UserName), Some(user)) => text(&user.name),
            (Some(KnownKey::UserId), Some(_)) => text(&self.user_id),
            (Some(KnownKey::PrincipalArn), _) if !self.who.arn.is_empty() => text(&self.who.arn),
            (Some(KnownKey::PrincipalAccount), _) if !self.who.account.is_empty() => text(&self.who.account),
            (Some(KnownKey::PrincipalType), Some(_)) => text("User"),
            (Some(KnownKey::PrincipalTag), Some(user)) => {
                user.tags.get(key.tag()).map_or(Found::Absent, |value| text(value))
            }
            _ => Found::Absent,
        }
    }
}

/// What came of one action on one resource.
pub struct Simulated {
    pub action: String,
    pub resource: String,
    decision: &'static str,
    matched: Vec<Matched>,
    missing: Vec<String>,
    boundary: Option<bool>,
}

struct Matched {
    id: String,
    kind: &'static str,
    start: super::position::Position,
    end: super::position::Position,
}

/// Simulates `action` on `resource`.
pub fn simulate(sources: &[Source], boundary: &[Source], asked: &Asked<'_>, action: &str, resource: &str) -> Simulated {
    let request = Request::new(action, resource, asked);
    let explained = explain(sources.iter().map(Source::document), &request);
    let bounded = (!boundary.is_empty()).then(|| explain(boundary.iter().map(Source::document), &request));
    let verdict = match (explained.decision.verdict, bounded.as_ref().map(|bounded| bounded.decision.verdict)) {
        (Verdict::ExplicitDeny, _) | (_, Some(Verdict::ExplicitDeny)) => Verdict::ExplicitDeny,
        (Verdict::Allow, None | Some(Verdict::Allow)) => Verdict::Allow,
        _ => Verdict::ImplicitDeny,
    };
    let effect = match verdict {
        Verdict::Allow => Some("Allow"),
        Verdict::ExplicitDeny => Some("Deny"),
        Verdict::ImplicitDeny => None,
    };
    let is_matched = |it: &&Explained| it.outcome == Outcome::Matched && Some(it.effect) == effect;
    let matched = |all: &[Source], statements: &[Explained]| -> Vec<Matched> {
        statements.iter().filter(is_matched).filter_map(|it| place_of(all, it)).collect()
    };
    let mut found = matched(sources, &explained.statements);
    found.extend(bounded.iter().flat_map(|bounded| matched(boundary, &bounded.statements)));
    let mut missing: Vec<String> = Vec::new();
    for source in sources.iter().chain(boundary) {
        for (_, statement) in source.document.about(&request) {
            let absent = statement.conditions.iter().filter(|it| asked.find(&it.key) == Found::Absent);
            missing.extend(absent.map(|condition| key_name(&condition.key)));
        }
    }
    missing.sort_unstable();
    missing.dedup();
    Simulated {
        action: action.to_owned(),
        resource: resource.to_owned(),
        decision: match verdict {
            Verdict::Allow => "allowed",
            Verdict::ExplicitDeny => "explicitDeny",
            Verdict::ImplicitDeny => "implicitDeny",
        },
        matched: found,
        missing,
        boundary: bounded.map(|bounded| bounded.decision.verdict == Verdict::Allow),
    }
}

fn place_of(sources: &[Source], explained: &Explained) -> Option<Matched> {
    let source = sources.get(usize::try_from(explained.at.document).ok()?)?;
    let span = spans(&source.text).into_iter().nth(usize::try_from(explained.at.statement).ok()?)?;
    let (start, end) = (position(&source.text, span.start), position(&source.text, span.end));
    Some(Matched { id: source.id.clone(), kind: source.kind, start, end })
}

/// A key as AWS writes it.
pub fn key_name(key: &ConditionKey) -> String {
    match key.known() {
        Some(known) if known.has_tag() => format!("{}/{}", known.as_str(), key.tag()),
        Some(known) => known.as_str().to_owned(),
        None => key.as_str().to_owned(),
    }
}

impl Simulated {
    pub fn write(&self, xml: &mut Xml) {
        xml.text("EvalActionName", &self.action);
        xml.text("EvalResourceName", &self.resource);
        xml.text("EvalDecision", self.decision);
        xml.list("MatchedStatements", &self.matched, |xml, matched| {
            xml.text("SourcePolicyId", &matched.id);
            xml.text("SourcePolicyType", matched.kind);
            for (name, at) in [("StartPosition", matched.start), ("EndPosition", matched.end)] {
                xml.element(name, |xml| {
                    xml.number("Line", at.line);
                    xml.number("Column", at.column);
                });
            }
        });
        xml.texts("MissingContextValues", &self.missing);
        if let Some(allowed) = self.boundary {
            xml.element("PermissionsBoundaryDecisionDetail", |xml| {
                xml.flag("AllowedByPermissionsBoundary", allowed);
            });
        }
    }
}
