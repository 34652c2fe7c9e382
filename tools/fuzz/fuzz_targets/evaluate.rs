//! Deciding requests: a document and a request from the same bytes. Both ways to decide must agree, and no text may panic.
#![no_main]

use keyledger::policy::{Action, Document, DocumentKind, Request, Value, Verdict, evaluate, explain};
use libfuzzer_sys::fuzz_target;

// The document, a line each for action and resource, then keys and values: `key=value`, a key again for one more value.
fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let (Some(document), Some(action), Some(resource)) = (lines.next(), lines.next(), lines.next()) else { return };
    let Ok(document) = Document::parse(document, DocumentKind::Simulated) else { return };
    let mut keys: Vec<(&str, Vec<Value<'_>>)> = Vec::new();
    for (name, value) in lines.filter_map(|line| line.split_once('=')) {
        let value = value.parse().map_or(Value::Text(value), Value::Integer);
        match keys.iter_mut().find(|(earlier, _)| *earlier == name) {
            Some((_, values)) => values.push(value),
            None => keys.push((name, vec![value])),
        }
    }
    let entries: Vec<_> = keys.iter().map(|(name, values)| (*name, values.as_slice())).collect();
    let request = Request::new(action, resource, entries.as_slice());
    let decision = evaluate([&document], &request);
    let unnumbered = Request { action: Action::new(action).unnumbered(), ..request };
    assert_eq!(decision, evaluate([&document], &unnumbered));
    let explanation = explain([&document], &request);
    assert_eq!(explanation.decision, decision);
    assert_eq!(explanation.deciding().next().map(|first| first.at), decision.by);
    assert_eq!(decision.by.is_none(), decision.verdict == Verdict::ImplicitDeny);
    for statement in &explanation.statements {
        let _ = statement.outcome.to_string();
    }
});
