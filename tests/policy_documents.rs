//! tests/policy_documents.rs: which policy documents are stored, and what a refused one is told.
//!
//! The cases are data in `fixtures/policies/`.

use keyledger::policy::{Document, DocumentKind};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Managed,
    UserInline,
    GroupInline,
    Evidence,
}

impl Kind {
    fn document_kind(self) -> DocumentKind {
        match self {
            Kind::Managed => DocumentKind::Managed,
            Kind::UserInline => DocumentKind::UserInline,
            Kind::GroupInline => DocumentKind::GroupInline,
            Kind::Evidence => DocumentKind::Evidence,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    claim: String,
    #[serde(default)]
    kind: Kind,
    document: Box<RawValue>,
    grants: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    claim: String,
    #[serde(default)]
    kind: Kind,
    document: Option<Box<RawValue>>,
    text: Option<String>,
    path: String,
    /// Null where only the path matters.
    found: Option<String>,
    expected: String,
}

impl Refused {
    fn text(&self) -> &str {
        match (&self.document, &self.text) {
            (Some(document), None) => document.get(),
            (None, Some(text)) => text,
            _ => panic!("{}: give either `document` or `text`", self.claim),
        }
    }
}

fn accepted() -> Vec<Accepted> {
    serde_json::from_str(include_str!("../fixtures/policies/accepted.json")).expect("accepted.json")
}

fn refused() -> Vec<Refused> {
    serde_json::from_str(include_str!("../fixtures/policies/refused.json")).expect("refused.json")
}

#[test]
fn what_iam_allows_is_accepted_and_its_summary_says_what_it_grants() {
    for case in accepted() {
        let document = match Document::parse(case.document.get(), case.kind.document_kind()) {
            Ok(document) => document,
            Err(error) => panic!("{}: {error}", case.claim),
        };
        let grants: Vec<_> = document.summary().iter().map(ToString::to_string).collect();
        assert_eq!(grants, case.grants, "{}", case.claim);
    }
}

#[test]
fn a_refused_document_is_told_where_what_and_what_instead() {
    for case in refused() {
        let Err(error) = Document::parse(case.text(), case.kind.document_kind()) else {
            panic!("{}: accepted", case.claim);
        };
        assert_eq!(error.path, case.path, "{}: {error}", case.claim);
        if let Some(found) = &case.found {
            assert_eq!(error.found, *found, "{}: {error}", case.claim);
        }
        assert!(error.expected.contains(&case.expected), "{}: {error}", case.claim);
        assert!(!error.to_string().contains(char::is_control), "{}", case.claim);
    }
}

#[test]
fn what_was_accepted_reads_the_same_from_its_minified_text() {
    for case in accepted() {
        let document = Document::parse(case.document.get(), DocumentKind::Evidence).expect(&case.claim);
        let again = Document::parse(document.minified(), DocumentKind::Evidence).expect(&case.claim);
        assert_eq!(document, again, "{}", case.claim);
        assert_eq!(document.hash(), again.hash());
    }
}

/// Every single character of every accepted document: removed, doubled, or replaced by one that means something.
#[test]
fn a_document_with_one_character_changed_is_read_or_refused_but_never_half_read() {
    let (mut read, mut refused) = (0, 0);
    for case in accepted() {
        let chars: Vec<char> = case.document.get().chars().collect();
        for at in 0..chars.len() {
            for with in [vec![], vec![chars[at]; 2]].into_iter().chain("\"{}[],:\\*?$ 0\u{1}".chars().map(|c| vec![c]))
            {
                let text: String = chars[..at].iter().chain(&with).chain(&chars[at + 1..]).collect();
                match Document::parse(&text, DocumentKind::Managed) {
                    Ok(document) => {
                        let again = Document::parse(document.minified(), DocumentKind::Managed);
                        assert_eq!(again.as_ref(), Ok(&document), "{text}");
                        read += 1;
                    }
                    Err(error) => {
                        assert!(!error.path.is_empty() && !error.to_string().contains(char::is_control), "{text}");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(read > 1_000 && refused > 10_000, "{read} read, {refused} refused");
}

proptest! {
    #[test]
    fn no_text_does_more_than_be_refused(text in r#"[{}\[\]",:a-zA-Z$*? \\u0-9]{0,200}"#) {
        let _ = Document::parse(&text, DocumentKind::Managed);
    }

    #[test]
    fn no_resource_or_condition_value_breaks_the_parser(value in any::<String>(), operator in 0usize..27) {
        use keyledger::policy::Operator;
        let text = serde_json::json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "s3:*", "Resource": format!("arn:aws:s3:::{value}"),
            "Condition": {Operator::ALL[operator].name(): {"aws:SourceIp": value}}}});
        if let Ok(document) = Document::parse(&text.to_string(), DocumentKind::Managed) {
            let again = Document::parse(document.minified(), DocumentKind::Managed);
            prop_assert_eq!(again, Ok(document));
        }
    }
}
