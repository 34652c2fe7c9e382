//! Why a request was decided as it was: each statement, and what in it did not match.
//!
//! The slow path, for people: it looks at every statement, where `evaluate` stops at the first that decides, and allocates.
//! Its decision is `evaluate`'s own.
//!
//! Not here: deciding.

use super::arn::{ArnPattern, ResourcePattern};
use super::condition::{Condition, Values};
use super::decision::{Decision, StatementAt, Verdict};
use super::document::{Document, Effect, Listed, Statement};
use super::evaluate::evaluate;
use super::pattern::{ActionPattern, Pattern};
use super::request::{Context, Found, Request};
use super::value::{Cidr, Number};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::fmt;

/// A decision, and what each statement had to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub decision: Decision,
    /// All statements of all documents, in order.
    pub statements: Vec<Explained>,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Explained {
    #[serde(flatten)]
    pub at: StatementAt,
    pub sid: Option<String>,
    /// `Allow` or `Deny`.
    pub effect: &'static str,
    /// It matched, and its effect is the verdict.
    pub decided: bool,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Whether a statement matched, and if not, what in it did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    Matched,
    /// It is about other actions.
    OtherAction {
        asked: String,
        wanted: Vec<String>,
        all_but: bool,
    },
    /// It is about other resources.
    OtherResource {
        asked: String,
        wanted: Vec<String>,
        all_but: bool,
    },
    /// These conditions do not hold.
    Conditions {
        failed: Vec<FailedCondition>,
    },
}

/// A condition that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct FailedCondition {
    /// As written, prefix and suffix included.
    pub operator: String,
    pub key: String,
    /// What the request has; empty when it has no such key.
    pub found: Vec<String>,
    pub wanted: Vec<String>,
}

impl Explanation {
    /// The statements whose effect is the verdict.
    pub fn deciding(&self) -> impl Iterator<Item = &Explained> {
        self.statements.iter().filter(|statement| statement.decided)
    }
}

/// Decides `request` as [`evaluate`] does and says of every statement what came of it.
pub fn explain<'d, C: Context + ?Sized>(
    documents: impl IntoIterator<Item = &'d Document>,
    request: &Request<'_, C>,
) -> Explanation {
    let documents: Vec<_> = documents.into_iter().collect();
    let decision = evaluate(documents.iter().copied(), request);
    let deciding = match decision.verdict {
        Verdict::Allow => Some(Effect::Allow),
        Verdict::ExplicitDeny => Some(Effect::Deny),
        Verdict::ImplicitDeny => None,
    };
    let numbered = |document: &'d Document| (0..).zip(document.statements());
    let statements = (0..).zip(documents).flat_map(|(document, d)| numbered(d).map(move |(s, of)| (document, s, of)));
    let statements = statements
        .map(|(document, statement, of)| {
            let outcome = of.outcome(request);
            Explained {
                at: StatementAt { document, statement },
                sid: of.sid.as_deref().filter(|sid| !sid.is_empty()).map(str::to_owned),
                effect: of.effect.as_str(),
                decided: outcome == Outcome::Matched && Some(of.effect) == deciding,
                outcome,
            }
        })
        .collect();
    Explanation { decision, statements }
}

impl Statement {
    fn outcome<C: Context + ?Sized>(&self, request: &Request<'_, C>) -> Outcome {
        if !self.matches_action(request.action.as_str()) {
            let asked = request.action.as_str().to_owned();
            let wanted = self.actions.items().iter().map(|action: &ActionPattern| action.source().to_owned()).collect();
            return Outcome::OtherAction { asked, wanted, all_but: self.actions.is_all_but() };
        }
        if !self.matches_resource(request.resource, request.context) {
            let asked = request.resource.to_owned();
            let wanted = self.resources.items().iter().map(ResourcePattern::source).collect();
            return Outcome::OtherResource { asked, wanted, all_but: matches!(self.resources, Listed::AllBut(_)) };
        }
        let failed: Vec<_> = self
            .conditions
            .iter()
            .filter(|condition| !condition.holds(request.context))
            .map(|condition| FailedCondition::of(condition, request.context))
            .collect();
        if failed.is_empty() { Outcome::Matched } else { Outcome::Conditions { failed } }
    }
}

impl FailedCondition {
    fn of<C: Context + ?Sized>(condition: &Condition, context: &C) -> Self {
        let found: Found<'_> = context.find(&condition.key);
        Self {
            operator: condition.operator.to_string(),
            key: condition.key.as_str().to_owned(),
            found: found.each().map(ToString::to_string).collect(),
            wanted: condition.values.as_written(),
        }
    }
}

impl Values {
    /// Each as it may be written in a document.
    pub fn as_written(&self) -> Vec<String> {
        match self {
            Values::Text(patterns) => patterns.iter().map(|pattern: &Pattern| pattern.source().to_owned()).collect(),
            Values::Number(numbers) => numbers.iter().map(Number::to_string).collect(),
            Values::Date(dates) => dates.iter().map(ToString::to_string).collect(),
            Values::Bool(values) => values.iter().map(ToString::to_string).collect(),
            Values::Bytes(values) => values.iter().map(|bytes| STANDARD.encode(bytes)).collect(),
            Values::Address(ranges) => ranges.iter().map(Cidr::to_string).collect(),
            Values::Arn(patterns) => patterns.iter().map(|arn: &ArnPattern| arn.source().to_owned()).collect(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let but = |all_but: &bool| if *all_but { "all but " } else { "" };
        match self {
            Outcome::Matched => f.write_str("matched"),
            Outcome::OtherAction { asked, wanted, all_but } => {
                write!(f, "action {asked} is not among {}{}", but(all_but), wanted.join(", "))
            }
            Outcome::OtherResource { asked, wanted, all_but } => {
                write!(f, "resource {asked} is not among {}{}", but(all_but), wanted.join(", "))
            }
            Outcome::Conditions { failed } => {
                for (at, condition) in failed.iter().enumerate() {
                    let FailedCondition { operator, key, found, wanted } = condition;
                    let then = if at > 0 { "; " } else { "" };
                    let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
                    write!(f, "{then}{key}: found {found}, wanted {operator} {}", wanted.join(" or "))?;
                }
                Ok(())
            }
        }
    }
}
