//! tests/policy_evaluate.rs: what policies say to a request, which statement says it, and why the others do not.
//!
//! The cases are data in `fixtures/policies/`; a random document is compared with itself, differently asked.

use keyledger::policy::{
    Action, Context, Decision, Document, DocumentKind, Found, KnownKey, Outcome, Request, StatementAt, Value, Verdict,
    evaluate, explain, first_deny,
};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A key's value in a fixture: text, a number, a boolean, null or a list.
#[derive(Deserialize, Clone, Debug)]
#[serde(untagged)]
enum Given {
    Bool(bool),
    Integer(i64),
    Fraction(f64),
    Text(String),
    List(Vec<Given>),
    Null,
}

type Keys = BTreeMap<String, Given>;

/// Keys and values in the shape that is asked.
struct Asked(Vec<(String, Vec<String>, Vec<Option<Value<'static>>>)>);

impl Asked {
    fn of(keys: &Keys) -> Self {
        let one = |given: &Given| match given {
            Given::Bool(value) => (String::new(), Some(Value::Bool(*value))),
            Given::Integer(number) => (String::new(), Some(Value::Integer(*number))),
            Given::Fraction(number) => (number.to_string(), None),
            Given::Text(text) => (text.clone(), None),
            Given::List(_) | Given::Null => panic!("no list in a list"),
        };
        let all = keys.iter().map(|(name, given)| {
            let list = match given {
                Given::List(list) => list.clone(),
                Given::Null => Vec::new(),
                given => vec![given.clone()],
            };
            let (texts, typed) = list.iter().map(one).unzip();
            (name.clone(), texts, typed)
        });
        Self(all.collect())
    }

    fn with<R>(&self, ask: impl FnOnce(&[(&str, &[Value<'_>])]) -> R) -> R {
        let values: Vec<Vec<Value<'_>>> = self
            .0
            .iter()
            .map(|(_, texts, typed)| {
                texts.iter().zip(typed).map(|(text, typed)| typed.unwrap_or(Value::Text(text))).collect()
            })
            .collect();
        let entries: Vec<_> = self.0.iter().zip(&values).map(|((name, ..), values)| (&**name, &**values)).collect();
        ask(&entries)
    }
}

fn document(text: &str) -> Document {
    Document::parse(text, DocumentKind::Simulated).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionCase {
    claim: String,
    condition: Box<RawValue>,
    holds: Vec<Keys>,
    fails: Vec<Keys>,
}

#[test]
fn every_condition_holds_and_fails_where_it_should() {
    let cases: Vec<ConditionCase> =
        serde_json::from_str(include_str!("../fixtures/policies/conditions.json")).expect("conditions.json");
    let mut asked = 0;
    for case in &cases {
        for effect in ["Allow", "Deny"] {
            let document = document(&format!(
                r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "{effect}", "Action": "*", "Resource": "*", "Condition": {}}}}}"#,
                case.condition
            ));
            let matched = if effect == "Allow" { Verdict::Allow } else { Verdict::ExplicitDeny };
            let holding = case.holds.iter().map(|keys| (keys, matched));
            let failing = case.fails.iter().map(|keys| (keys, Verdict::ImplicitDeny));
            for (keys, verdict) in holding.chain(failing) {
                let found = Asked::of(keys).with(|context| {
                    let request = Request::new("s3:GetObject", "arn:aws:s3:::b/k", context);
                    let explanation = explain([&document], &request);
                    assert_eq!(explanation.decision, evaluate([&document], &request));
                    explanation
                });
                assert_eq!(found.decision.verdict, verdict, "{}: {keys:?}", case.claim);
                let outcome = &found.statements[0].outcome;
                assert_eq!(*outcome == Outcome::Matched, verdict == matched, "{}: {keys:?}: {outcome}", case.claim);
                asked += 1;
            }
        }
    }
    println!("{asked} comparisons of conditions with contexts");
    assert!(asked > 300);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecidedCase {
    claim: String,
    documents: Vec<Box<RawValue>>,
    requests: Vec<DecidedRequest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecidedRequest {
    action: String,
    resource: String,
    #[serde(default)]
    context: Keys,
    verdict: String,
    /// Document, statement, Sid.
    by: Option<(u32, u32, Option<String>)>,
}

#[test]
fn each_request_is_decided_as_documented_and_by_the_statement_named() {
    let cases: Vec<DecidedCase> =
        serde_json::from_str(include_str!("../fixtures/policies/decided.json")).expect("decided.json");
    for case in &cases {
        let documents: Vec<Document> = case.documents.iter().map(|text| document(text.get())).collect();
        for asked in &case.requests {
            let context = Asked::of(&asked.context);
            context.with(|context| {
                let request = Request::new(&asked.action, &asked.resource, context);
                let at = format!("{}: {} {}", case.claim, asked.action, asked.resource);
                let decision = evaluate(&documents, &request);
                assert_eq!(decision.verdict.as_str(), asked.verdict, "{at}");
                let by = asked
                    .by
                    .as_ref()
                    .map(|(document, statement, _)| StatementAt { document: *document, statement: *statement });
                assert_eq!(decision.by, by, "{at}");
                let explanation = explain(&documents, &request);
                assert_eq!(explanation.decision, decision, "{at}");
                let first = explanation.deciding().next();
                assert_eq!(first.map(|statement| statement.at), by, "{at}");
                let sid = asked.by.as_ref().and_then(|(.., sid)| sid.clone());
                assert_eq!(first.and_then(|statement| statement.sid.clone()), sid, "{at}");
                let denied = decision.by.filter(|_| decision.verdict == Verdict::ExplicitDeny);
                assert_eq!(first_deny(&documents, &request), denied, "{at}");
            });
        }
    }
}

#[test]
fn a_statement_that_did_not_match_says_what_was_found_and_what_was_wanted() {
    let document = document(
        r#"{"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:PutObject", "s3:Delete*"], "Resource": "*"},
            {"Effect": "Allow", "Action": "s3:Get*", "NotResource": "arn:aws:s3:::b/*"},
            {"Effect": "Deny", "Action": "s3:Get*", "Resource": "*", "Condition": {
                "IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "::1"]}, "NumericLessThanIfExists": {"s3:max-keys": 5},
                "StringEquals": {"s3:prefix": "${aws:username}"}}},
            {"Sid": "Yes", "Effect": "Allow", "Action": "*", "Resource": "*"}]}"#,
    );
    let context = [("aws:SourceIp", Value::Text("203.0.113.7")), ("s3:max-keys", Value::Integer(9))];
    let request = Request::new("s3:GetObject", "arn:aws:s3:::b/k", &context[..]);
    let explanation = explain([&document], &request);
    let said: Vec<String> = explanation.statements.iter().map(|statement| statement.outcome.to_string()).collect();
    assert_eq!(
        said,
        [
            "action s3:GetObject is not among s3:PutObject, s3:Delete*",
            "resource arn:aws:s3:::b/k is not among all but arn:aws:s3:::b/*",
            "aws:sourceip: found 203.0.113.7, wanted IpAddress 192.0.2.0/24 or ::1/128; \
             s3:max-keys: found 9, wanted NumericLessThanIfExists 5; \
             s3:prefix: found nothing, wanted StringEquals ${aws:username}",
            "matched",
        ]
    );
    assert_eq!(explanation.decision.by, Some(StatementAt { document: 0, statement: 3 }));
    assert_eq!(explanation.deciding().count(), 1);
}

/// A gate's context: typed values, given only when asked for.
struct Gate {
    address: std::net::IpAddr,
    now: keyledger::model::Time,
    asked: std::cell::Cell<u32>,
}

impl Context for Gate {
    fn find(&self, key: &keyledger::policy::ConditionKey) -> Found<'_> {
        self.asked.set(self.asked.get() + 1);
        match key.known() {
            Some(KnownKey::SourceIp) => Found::One(Value::Address(self.address)),
            Some(KnownKey::CurrentTime) => Found::One(Value::Time(self.now)),
            Some(KnownKey::EpochTime) => Found::One(Value::Integer(self.now.0 / 1_000_000_000)),
            Some(KnownKey::S3ExistingObjectTag) if key.tag() == "Team" => Found::One(Value::Text("blue")),
            _ => Found::Absent,
        }
    }
}

#[test]
fn typed_values_mean_what_their_text_means() {
    let gate = Gate {
        address: "::ffff:203.0.113.7".parse().expect("an address"),
        now: keyledger::model::Time::parse("2026-03-01T09:00:00Z").expect("a time"),
        asked: 0.into(),
    };
    for (condition, holds) in [
        (r#"{"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}"#, true),
        (r#"{"StringEquals": {"aws:SourceIp": "203.0.113.7"}}"#, true),
        (
            r#"{"DateEquals": {"aws:CurrentTime": "2026-03-01T09:00:00Z", "aws:EpochTime": "2026-03-01T09:00:00Z"}}"#,
            true,
        ),
        (r#"{"StringEquals": {"aws:CurrentTime": "2026-03-01T09:00:00Z", "aws:EpochTime": "1772355600"}}"#, true),
        (r#"{"NumericEquals": {"aws:EpochTime": "1772355600", "aws:CurrentTime": "1772355600"}}"#, true),
        (r#"{"StringLike": {"aws:SourceIp": "${aws:SourceIp}", "aws:EpochTime": "17*"}}"#, true),
        (r#"{"StringEquals": {"s3:ExistingObjectTag/Team": "blue"}}"#, true),
        (r#"{"NumericEquals": {"aws:SourceIp": "203"}}"#, false),
        (r#"{"Bool": {"aws:CurrentTime": "true"}}"#, false),
        (r#"{"IpAddress": {"aws:CurrentTime": "0.0.0.0/0"}}"#, false),
    ] {
        let document = document(&format!(
            r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {condition}}}}}"#
        ));
        let request = Request::new("s3:GetObject", "arn:aws:s3:::b/k", &gate);
        assert_eq!(evaluate([&document], &request).is_allow(), holds, "{condition}");
    }
    let unasked = document(
        r#"{"Statement": {"Effect": "Deny", "Action": "s3:Put*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}}"#,
    );
    let before = gate.asked.get();
    assert_eq!(evaluate([&unasked], &Request::new("s3:GetObject", "*", &gate)), Decision::IMPLICIT_DENY);
    assert_eq!(gate.asked.get(), before, "a key is asked for only when a statement comes down to it");
}

const ACTIONS: &[&str] = &["s3:GetObject", "s3:PutObject", "s3:ListBucket", "iam:CreateUser", "ec2:RunInstances"];
const RESOURCES: &[&str] = &["arn:aws:s3:::a", "arn:aws:s3:::a/x", "arn:aws:s3:::b/home/alice/k", "*"];

fn statement() -> impl Strategy<Value = serde_json::Value> {
    let effect = prop_oneof![Just("Allow"), Just("Deny")];
    let action = prop::sample::select(vec!["*", "s3:*", "s3:Get*", "s3:*Object", "s3:ListBucket", "iam:*", "ec2:*"]);
    let resource = prop::sample::select(vec![
        "*",
        "arn:aws:s3:::a",
        "arn:aws:s3:::a*",
        "arn:aws:s3:::*/x",
        "arn:aws:s3:::b/home/${aws:username}/*",
        "arn:*:s3:::b/*",
    ]);
    let operator = prop::sample::select(vec![
        "StringEquals",
        "StringNotEquals",
        "StringLikeIfExists",
        "ForAnyValue:StringEquals",
        "ForAllValues:StringNotLike",
    ]);
    let condition = prop::option::of((operator, prop::sample::select(vec!["alice", "a*", "bob"])));
    (effect, action, resource, condition, any::<bool>(), any::<bool>()).prop_map(
        |(effect, action, resource, condition, not_action, not_resource)| {
            let (a, r) = (
                if not_action { "NotAction" } else { "Action" },
                if not_resource { "NotResource" } else { "Resource" },
            );
            let mut statement = serde_json::json!({"Effect": effect, a: action, r: resource});
            if let Some((operator, value)) = condition {
                statement["Condition"] = serde_json::json!({operator: {"aws:username": value}});
            }
            statement
        },
    )
}

fn of(statements: &[serde_json::Value]) -> Document {
    document(&serde_json::json!({"Version": "2012-10-17", "Statement": statements}).to_string())
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["alice", "bob", "a*", ""]), 0..3)
}

proptest! {
    #[test]
    fn order_and_grouping_of_statements_do_not_matter(
        statements in prop::collection::vec(statement(), 1..6),
        action in prop::sample::select(ACTIONS), resource in prop::sample::select(RESOURCES), names in names(),
    ) {
        let names: Vec<Value<'_>> = names.into_iter().map(Value::Text).collect();
        let context = [("aws:username", names.as_slice())];
        let request = Request::new(action, resource, &context[..]);
        let together = evaluate([&of(&statements)], &request).verdict;
        let mut turned = statements.clone();
        turned.reverse();
        prop_assert_eq!(evaluate([&of(&turned)], &request).verdict, together);
        let apart: Vec<Document> = statements.iter().map(|one| of(std::slice::from_ref(one))).collect();
        prop_assert_eq!(evaluate(&apart, &request).verdict, together);
        let explanation = explain(&apart, &request);
        prop_assert_eq!(explanation.decision, evaluate(&apart, &request));
        prop_assert_eq!(explanation.deciding().next().map(|first| first.at), explanation.decision.by);
    }

    #[test]
    fn adding_a_deny_never_allows_more_and_adding_an_allow_never_denies_explicitly(
        statements in prop::collection::vec(statement(), 1..5), more in statement(),
        action in prop::sample::select(ACTIONS), resource in prop::sample::select(RESOURCES), names in names(),
    ) {
        let names: Vec<Value<'_>> = names.into_iter().map(Value::Text).collect();
        let context = [("aws:username", names.as_slice())];
        let request = Request::new(action, resource, &context[..]);
        let before = evaluate([&of(&statements)], &request).verdict;
        let denies = more["Effect"] == "Deny";
        let after = evaluate([&of(&statements), &of(&[more])], &request).verdict;
        if denies {
            prop_assert!(!after.is_allow() || before.is_allow());
        } else {
            prop_assert!(after != Verdict::ExplicitDeny || before == Verdict::ExplicitDeny);
            prop_assert!(!before.is_allow() || after.is_allow());
        }
    }

    #[test]
    fn an_action_without_its_number_gets_the_same_answer(
        statements in prop::collection::vec(statement(), 1..5),
        action in prop::sample::select(ACTIONS), resource in prop::sample::select(RESOURCES),
    ) {
        let document = of(&statements);
        let fast = Request::new(action, resource, &());
        let slow = Request { action: Action::new(action).unnumbered(), ..fast };
        prop_assert_eq!(evaluate([&document], &fast), evaluate([&document], &slow));
    }

    #[test]
    fn if_exists_is_the_operator_or_the_absence_of_its_key(
        operator in prop::sample::select(vec!["StringEquals", "StringNotLike", "NumericLessThan", "IpAddress", "ArnLike"]),
        quantifier in prop::sample::select(vec!["", "ForAnyValue:", "ForAllValues:"]),
        wanted in prop::sample::select(vec!["10", "10.0.0.0"]),
        found in prop::collection::vec(prop::sample::select(vec!["10", "9", "10.0.0.0", "arn:aws:s3:::b"]), 0..3),
    ) {
        let with = |operator: String| document(&serde_json::json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {operator: {"aws:SourceIp": wanted}}}}).to_string());
        let usable = operator != "NumericLessThan" || wanted == "10";
        let usable = usable && (operator != "IpAddress" || wanted == "10.0.0.0");
        prop_assume!(usable);
        let plain = with(format!("{quantifier}{operator}"));
        let if_exists = with(format!("{quantifier}{operator}IfExists"));
        let absent = found.is_empty();
        let found: Vec<Value<'_>> = found.into_iter().map(Value::Text).collect();
        let context = [("aws:SourceIp", found.as_slice())];
        let request = Request::new("s3:GetObject", "*", &context[..]);
        prop_assert_eq!(
            evaluate([&if_exists], &request).is_allow(),
            absent || evaluate([&plain], &request).is_allow()
        );
    }

    #[test]
    fn no_request_does_more_than_be_decided(action in any::<String>(), resource in any::<String>(), value in any::<String>()) {
        let document = document(r#"{"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:*a?*", "iam:G*"], "Resource": ["arn:*:s3:*:*:*a?b*${aws:username}*", "arn:aws:s3:::*"],
             "Condition": {"StringLike": {"aws:username": "*?a*"}, "DateNotEquals": {"aws:username": "2026-03"},
               "NotIpAddress": {"aws:username": "::1"}, "NumericNotEquals": {"aws:username": 3}, "ArnNotLike": {"aws:username": "arn:*:*:?:*:*x"}}}]}"#);
        let context = [("aws:username", Value::Text(value.as_str()))];
        let request = Request::new(&action, &resource, &context[..]);
        prop_assert_eq!(evaluate([&document], &request).by.is_some(), evaluate([&document], &request).is_allow());
    }
}
