//! What policies say to one request, and why: stored ones, or documents that are sent along.
//!
//! Not here: what a key may do with all that it holds (`/audit/rights/{key}`).

use super::audit::Reading;
use super::body;
use super::call::{Answer, Call, Shown};
use super::problem::Problem;
use super::table::{Param, Route, schema};
use crate::audit::access::Question;
use crate::audit::rows::View;
use crate::ledger::Refusal;
use crate::policy::{Document, DocumentKind, Explained, Verdict, explain, managed};
use schemars::JsonSchema;
use serde::Serialize;

const READ: &str = "keyledger:ReadPolicies";
/// Documents of one question.
const DOCUMENTS_MAX: usize = 64;
/// What a document that was sent along is called.
const GIVEN: &str = "the document given";

pub const ROUTES: &[Route] =
    &[Route::dig("/policies/simulate", "Ask policies about a request", READ, schema::<Shown<Simulated>>, simulate)
        .asked_by_post()
        .query(&[Param::when("at", "With the policies as they were then: RFC 3339, an age such as 7d, or seq:1234")])
        .takes(schema::<body::Simulate>)];

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
struct Simulated {
    decision: Verdict,
    action: String,
    resource: String,
    /// Every statement, in the order of the documents: first those of the policies named.
    statements: Vec<StatementRow>,
}

/// A statement, and what it had to do with the decision.
#[derive(Debug, Serialize, JsonSchema)]
struct StatementRow {
    /// The policy as it was named; of the Nth document, `the document given N`.
    policy: String,
    #[serde(flatten)]
    statement: Explained,
}

fn simulate(call: &Call<'_>) -> Result<Answer, Problem> {
    let body::Simulate { policies, documents, action, resource, context } = call.body()?;
    if policies.is_empty() && documents.is_empty() {
        return Err(Problem::invalid("policies", "a policy of the org, or a document"));
    }
    if policies.len().saturating_add(documents.len()) > DOCUMENTS_MAX {
        return Err(Problem::invalid("documents", "at most 64 policies and documents"));
    }
    let given: Vec<String> =
        context.iter().flat_map(|(key, values)| values.iter().map(move |value| format!("{key}={value}"))).collect();
    let question = Question::new(&action, &resource).with_context(&given);
    let question = question.map_err(|invalid| Problem::invalid("context", invalid.expected))?;
    let (mut names, mut parsed) = (Vec::new(), Vec::new());
    if !policies.is_empty() {
        let reading = Reading::at(call, call.when("at")?)?;
        let view = View::of(reading.worlds.live_state(), &call.org, reading.now);
        for name in policies {
            let own = view.policy(&name).ok().and_then(|policy| policy.document().map(ToString::to_string));
            let text = own.or_else(|| managed::lookup(&name)?.document.map(str::to_owned));
            parsed.push(parse(&text.ok_or_else(|| Problem::no_such("policy"))?)?);
            names.push(name);
        }
    }
    for (text, number) in documents.iter().zip(1..) {
        parsed.push(parse(text)?);
        names.push(format!("{GIVEN} {number}"));
    }
    let explanation = question.with_request(|request| explain(&parsed, request));
    let name_of = |statement: &Explained| {
        let name = usize::try_from(statement.at.document).ok().and_then(|at| names.get(at));
        name.cloned().unwrap_or_default()
    };
    let row = |statement: Explained| StatementRow { policy: name_of(&statement), statement };
    let statements = explanation.statements.into_iter().map(row).collect();
    call.shown(Simulated { decision: explanation.decision.verdict, action, resource, statements })
}

fn parse(text: &str) -> Result<Document, Problem> {
    Ok(Document::parse(text, DocumentKind::Simulated).map_err(Refusal::from)?)
}
