//! Forms of the Query protocol and documents of any bytes: nothing panics, and what is said to be a statement's text stands in the document.
#![no_main]

use keyledger::api::dialect::aws_iam::{reads_as_form, statement_texts};
use keyledger::policy::{Document, DocumentKind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (query, body) = input.split_at(input.len() / 2);
    if let Ok(query) = std::str::from_utf8(query) {
        reads_as_form(query, body);
    }
    reads_as_form("Action=SimulateCustomPolicy&Version=2010-05-08", input);
    let Ok(text) = std::str::from_utf8(input) else { return };
    let texts = statement_texts(text);
    if let Ok(document) = Document::parse(text, DocumentKind::Simulated) {
        assert_eq!(texts.len(), document.statements().len(), "each statement is found");
        assert!(texts.iter().all(|statement| statement.starts_with('{') && statement.ends_with('}')));
    }
});
