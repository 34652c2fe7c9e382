//! `policy simulate`: what policies say to one request, and why.
//!
//! The request has what is given and nothing else: no address, no time, no name is added.
//!
//! Not here: many requests at once (`cases`), and what a key may do with all that it holds.

use super::cases;
use crate::cli::args::AtArgs;
use crate::cli::input::{INPUT_BYTES_MAX, text_of};
use crate::cli::print::{Cell, Paint, Table};
use crate::cli::{Context, Done, Exit, Failure};
use crate::model::text::excerpt;
use crate::policy::{ConditionKey, Document, DocumentKind, Explained, Explanation, Outcome, Request, Value, Verdict};
use crate::policy::{explain, managed};
use clap::Args;
use serde::Serialize;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:  keyledger policy simulate read-logs --action s3:GetObject --resource arn:aws:s3:::logs/a \\
                     --context aws:SourceIp=203.0.113.7
          keyledger policy simulate --cases cases.jsonl --json
A case is a line {\"id\":…, \"policies\":[DOCUMENT…], \"request\":{\"action\":…, \"resource\":…, \"context\":{KEY: VALUE or [VALUES]}}}
and is answered by a line {\"id\":…, \"decision\":\"Allow\"|\"ExplicitDeny\"|\"ImplicitDeny\"}; exit code 2 when some could not be."
)]
pub struct Simulate {
    /// Policies of the ledger, by name or ARN
    #[arg(value_name = "POLICY")]
    policies: Vec<String>,
    /// A document: a file, - for standard input, or the document itself; may be repeated
    #[arg(long = "document", value_name = "FILE")]
    documents: Vec<String>,
    /// What is asked, such as s3:GetObject
    #[arg(long, required_unless_present = "cases")]
    action: Option<String>,
    /// Of what, such as arn:aws:s3:::bucket/key
    #[arg(long, required_unless_present = "cases")]
    resource: Option<String>,
    /// A condition key of the request; repeat a key to give it several values
    #[arg(long, value_name = "KEY=VALUE")]
    context: Vec<String>,
    /// Many requests with their documents, one a line; needs no ledger
    #[arg(long, value_name = "FILE", conflicts_with_all = ["policies", "documents", "action", "resource", "context", "at"])]
    cases: Option<String>,
    #[command(flatten)]
    at: AtArgs,
}

/// A document and what it is called here.
struct Named {
    name: String,
    document: Document,
}

#[derive(Serialize)]
struct Answer<'a> {
    decision: Verdict,
    action: &'a str,
    resource: &'a str,
    statements: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    policy: &'a str,
    #[serde(flatten)]
    statement: &'a Explained,
}

impl Simulate {
    pub fn run(self, cx: &mut Context) -> Done {
        if let Some(cases) = &self.cases {
            return cases::run(cx, cases);
        }
        let (action, resource) = (self.action.unwrap_or_default(), self.resource.unwrap_or_default());
        let documents = documents(cx, &self.policies, &self.documents, &self.at)?;
        let keys = keys(&self.context)?;
        let entries: Vec<_> = keys.iter().map(|(name, values)| (*name, values.as_slice())).collect();
        let request = Request::new(&action, &resource, entries.as_slice());
        let explanation = explain(documents.iter().map(|named| &named.document), &request);
        show(cx, &documents, &explanation, &action, &resource)?;
        Ok(Exit::Done)
    }
}

/// Those named, first the ledger's.
fn documents(cx: &mut Context, names: &[String], files: &[String], at: &AtArgs) -> Result<Vec<Named>, Failure> {
    if names.is_empty() && files.is_empty() {
        return Err(Failure::usage("name a policy of the ledger, or give a document with --document"));
    }
    let parse = |name: &str, text: &str| {
        Document::parse(text, DocumentKind::Simulated)
            .map(|document| Named { name: name.to_owned(), document })
            .map_err(|error| Failure::new(Exit::Refused, excerpt(&format!("`{name}`: {error}"), 2_000)))
    };
    let mut named = Vec::with_capacity(names.len() + files.len());
    if !names.is_empty() {
        let reading = cx.reading_at(at.at.as_deref())?;
        let view = reading.org(cx.global.org.as_deref())?;
        for name in names {
            let text = match (view.policy(name), managed::lookup(name)) {
                (Ok(policy), _) => policy.document().filter(|text| !text.is_empty()).map(ToString::to_string),
                (Err(_), Some(managed)) => managed.document.map(str::to_owned),
                (Err(missing), None) => return Err(missing.into()),
            };
            let text = text.ok_or_else(|| Failure::nothing(format!("the document of `{name}` is not in evidence")))?;
            named.push(parse(name, &text)?);
        }
    }
    for file in files {
        let text = text_of(cx.io.as_ref(), file, INPUT_BYTES_MAX)?;
        let name = if file.trim_start().starts_with('{') { "the document given" } else { file };
        named.push(parse(name, &text)?);
    }
    Ok(named)
}

/// Each key once, with all values given for it.
fn keys(given: &[String]) -> Result<Vec<(&str, Vec<Value<'_>>)>, Failure> {
    let mut keys: Vec<(&str, Vec<Value<'_>>)> = Vec::new();
    for text in given {
        let wrong = || Failure::usage(format!("`{text}` is no KEY=VALUE, for instance aws:SourceIp=203.0.113.7"));
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let key = ConditionKey::parse(name).ok_or_else(wrong)?;
        match keys.iter_mut().find(|(earlier, _)| key.is(earlier)) {
            Some((_, values)) => values.push(Value::Text(value)),
            None => keys.push((name, vec![Value::Text(value)])),
        }
    }
    Ok(keys)
}

fn show(
    cx: &mut Context,
    documents: &[Named],
    explanation: &Explanation,
    action: &str,
    resource: &str,
) -> Result<(), Failure> {
    let name_of = |statement: &Explained| {
        let named = usize::try_from(statement.at.document).ok().and_then(|at| documents.get(at));
        named.map_or("", |named| named.name.as_str())
    };
    let decision = explanation.decision.verdict;
    if cx.out.json {
        let rows = explanation.statements.iter().map(|statement| Row { policy: name_of(statement), statement });
        return cx.out.json(&Answer { decision, action, resource, statements: rows.collect() });
    }
    let paint = if decision.is_allow() { Paint::Good } else { Paint::Bad };
    let because = match decision {
        Verdict::Allow => "",
        Verdict::ExplicitDeny => ": a deny matched",
        Verdict::ImplicitDeny => ": nothing allows it",
    };
    cx.out.pieces(&[(paint, decision.as_str()), (Paint::Plain, because)])?;
    let mut table = Table::new(&["policy", "statement", "effect", "decided", "why"]);
    for statement in &explanation.statements {
        let number = format!("Statement[{}]", statement.at.statement);
        let label = statement.sid.as_ref().map_or_else(|| number.clone(), |sid| format!("{number} {sid}"));
        let why = match &statement.outcome {
            // An allow beside a deny.
            Outcome::Matched if !statement.decided => "matched, but a deny wins".to_owned(),
            outcome => outcome.to_string(),
        };
        table.row(vec![
            Cell::from(name_of(statement)),
            Cell::from(label),
            Cell::from(statement.effect),
            Cell::new(if statement.decided { "yes" } else { "" }, Paint::Bold),
            Cell::from(why),
        ]);
    }
    cx.out.table(&table)
}
