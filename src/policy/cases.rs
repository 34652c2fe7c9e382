//! Cases: documents and a request in one line of JSON, decided for themselves.
//!
//! `{"id":…, "policies":[DOCUMENT…], "request":{"action":…, "resource":…, "context":{KEY: VALUE or [VALUES]}}}`. Nothing is
//! added to a request. Documents come back again and again, so each is parsed once for its text and kept, within a bound;
//! they are read as AWS reads them ([`DocumentKind::Simulated`]).
//!
//! Not here: where lines come from and go to (`cli`).

use super::decision::Verdict;
use super::document::{Document, DocumentKind};
use super::evaluate::evaluate;
use super::request::{Request, Value};
use crate::model::text::is_deceptive;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::hash::BuildHasher as _;
use std::rc::Rc;

/// Bytes of document text kept beside what they were parsed to.
const KEPT_BYTES_MAX: usize = 32 << 20;
/// How many texts are remembered to have been met.
const MET: usize = 1 << 16;
/// Documents in one case: more than anybody may hold.
const DOCUMENTS_MAX: usize = 1_000;

/// Parsed documents by their text, once a text was met twice: in a stream of ever new documents keeping each would cost more
/// than parsing it.
#[derive(Debug)]
struct Kept {
    documents: HashMap<Box<str>, Rc<Parsed>, foldhash::fast::RandomState>,
    bytes: usize,
    /// Hashes of texts met lately.
    met: Box<[u64]>,
}

type Parsed = Result<Document, String>;

impl Default for Kept {
    fn default() -> Self {
        Self { documents: HashMap::default(), bytes: 0, met: vec![0; MET].into() }
    }
}

impl Kept {
    fn document(&mut self, text: &str) -> Rc<Parsed> {
        if let Some(document) = self.documents.get(text) {
            return Rc::clone(document);
        }
        let parsed = Document::parse(text, DocumentKind::Simulated).map_err(|error| error.to_string());
        let parsed = Rc::new(parsed);
        let hash = self.documents.hasher().hash_one(text);
        let met = usize::try_from(hash % MET as u64).ok().and_then(|slot| self.met.get_mut(slot));
        let again = met.is_some_and(|met| std::mem::replace(met, hash) == hash);
        if again {
            if self.bytes + text.len() > KEPT_BYTES_MAX {
                self.documents.clear();
                self.bytes = 0;
            }
            self.bytes += text.len();
            self.documents.insert(text.into(), Rc::clone(&parsed));
        }
        parsed
    }
}

#[derive(Deserialize)]
struct Case<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    policies: Vec<&'a RawValue>,
    #[serde(borrow)]
    request: Asked<'a>,
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    resource: Cow<'a, str>,
    #[serde(borrow, default)]
    context: Keys<'a>,
}

/// Only the id: of a line that cannot be read as a case.
#[derive(Deserialize)]
struct OnlyId<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

/// Why a line has no verdict.
#[derive(Debug)]
pub struct Unanswered<'a> {
    /// As in [`Cases::answer`]; `null` when the line has none that can be read.
    pub id: Cow<'a, str>,
    pub error: String,
}

/// A case's id and verdict.
pub type Answered<'a> = Result<(Cow<'a, str>, Verdict), Unanswered<'a>>;

/// Answers cases; keeps what it parsed.
#[derive(Debug, Default)]
pub struct Cases {
    kept: Kept,
}

impl Cases {
    /// Decides the case in `line`, the `number`th. The id is given back as the JSON it was, escaped for a terminal.
    ///
    /// # Errors
    /// What is wrong with the line and where; other lines are not concerned.
    pub fn answer<'a>(&mut self, line: &'a [u8], number: u64) -> Answered<'a> {
        answer(line, number, &mut self.kept)
    }
}

fn answer<'a>(line: &'a [u8], number: u64, kept: &mut Kept) -> Answered<'a> {
    let no_id = |error: String| Unanswered { id: Cow::Borrowed("null"), error };
    let text = std::str::from_utf8(line)
        .map_err(|error| no_id(format!("line {number} is not UTF-8 (byte {})", error.valid_up_to())))?;
    let case: Case<'_> = serde_json::from_str(text).map_err(|error| {
        let id = serde_json::from_str::<OnlyId<'_>>(text).ok().and_then(|line| line.id);
        let id = id.and_then(|id| scalar(id).ok()).unwrap_or(Cow::Borrowed("null"));
        Unanswered { id, error: format!("line {number} is no case: {error}") }
    })?;
    let id = match case.id {
        None => Cow::Borrowed("null"),
        Some(id) => scalar(id).map_err(|()| no_id(format!("line {number}: the `id` is neither text nor a number")))?,
    };
    if case.policies.len() > DOCUMENTS_MAX {
        let error = format!("line {number}: {} policies, at most {DOCUMENTS_MAX} are taken", case.policies.len());
        return Err(Unanswered { id, error });
    }
    let mut documents = Vec::with_capacity(case.policies.len());
    for (at, text) in case.policies.iter().enumerate() {
        let document = kept.document(text.get());
        if let Err(error) = &*document {
            return Err(Unanswered { id, error: format!("line {number}: `policies[{at}]`: {error}") });
        }
        documents.push(document);
    }
    let documents = documents.iter().filter_map(|document| document.as_ref().as_ref().ok());
    let Asked { action, resource, context } = case.request;
    let values = context.values();
    let entries = context.entries(&values);
    let decision = evaluate(documents, &Request::new(&action, &resource, entries.as_slice()));
    Ok((id, decision.verdict))
}

/// A JSON scalar as it was written, with everything escaped that a terminal might obey.
fn scalar(id: &RawValue) -> Result<Cow<'_, str>, ()> {
    let text = id.get();
    if text.starts_with(['{', '[']) {
        return Err(());
    }
    if text.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
        return Ok(Cow::Borrowed(text));
    }
    let mut safe = String::with_capacity(text.len() + 8);
    let mut units = [0; 2];
    for c in text.chars() {
        match c {
            c if is_deceptive(c) => {
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(safe, "\\u{unit:04x}");
                }
            }
            c => safe.push(c),
        }
    }
    Ok(Cow::Owned(safe))
}

/// The context of a case: keys in the order they were written, each with its values.
#[derive(Default)]
struct Keys<'a>(Vec<(Text<'a>, Given<'a>)>);

/// Borrowed from the line, unless something in it was escaped.
struct Text<'a>(Cow<'a, str>);

enum One<'a> {
    Text(Text<'a>),
    Integer(i64),
    Bool(bool),
}

enum Given<'a> {
    One(One<'a>),
    Many(Vec<One<'a>>),
}

impl Keys<'_> {
    /// All values, one key's beside one another, and how many each key has.
    fn values(&self) -> Vec<Value<'_>> {
        self.0.iter().flat_map(|(_, given)| given.all()).map(One::value).collect()
    }

    fn entries<'v>(&'v self, mut values: &'v [Value<'v>]) -> Vec<(&'v str, &'v [Value<'v>])> {
        let mut entries = Vec::with_capacity(self.0.len());
        for (name, given) in &self.0 {
            let (own, others) = values.split_at(given.all().len().min(values.len()));
            entries.push((&*name.0, own));
            values = others;
        }
        entries
    }
}

impl<'a> Given<'a> {
    fn all(&self) -> &[One<'a>] {
        match self {
            Given::One(one) => std::slice::from_ref(one),
            Given::Many(many) => many,
        }
    }
}

impl One<'_> {
    fn value(&self) -> Value<'_> {
        match self {
            One::Text(text) => Value::Text(&text.0),
            One::Integer(number) => Value::Integer(*number),
            One::Bool(value) => Value::Bool(*value),
        }
    }
}

struct ReadKeys;

impl<'de: 'a, 'a> Deserialize<'de> for Keys<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadKeys)
    }
}

impl<'de> Visitor<'de> for ReadKeys {
    type Value = Keys<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of condition keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Keys<'de>, A::Error> {
        let mut keys = Vec::new();
        while let Some(key) = access.next_key()? {
            keys.push((key, access.next_value()?));
        }
        Ok(Keys(keys))
    }
}

struct ReadText;
struct ReadOne;
struct ReadGiven;

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ReadText)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for One<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadOne)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Given<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadGiven)
    }
}

impl<'de> Visitor<'de> for ReadText {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a condition key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

impl<'de> Visitor<'de> for ReadOne {
    type Value = One<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number or a boolean")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<One<'de>, E> {
        ReadText.visit_borrowed_str(text).map(One::Text)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<One<'de>, E> {
        ReadText.visit_str(text).map(One::Text)
    }

    fn visit_i64<E>(self, number: i64) -> Result<One<'de>, E> {
        Ok(One::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<One<'de>, E> {
        // Beyond an i64 it is still the text of a number.
        Ok(i64::try_from(number).map_or_else(|_| One::Text(Text(Cow::Owned(number.to_string()))), One::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<One<'de>, E> {
        Ok(One::Text(Text(Cow::Owned(number.to_string()))))
    }

    fn visit_bool<E>(self, value: bool) -> Result<One<'de>, E> {
        Ok(One::Bool(value))
    }
}

impl<'de> Visitor<'de> for ReadGiven {
    type Value = Given<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, a boolean or a list of them")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Given<'de>, E> {
        ReadOne.visit_borrowed_str(text).map(Given::One)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Given<'de>, E> {
        ReadOne.visit_str(text).map(Given::One)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Given<'de>, E> {
        ReadOne.visit_i64(number).map(Given::One)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Given<'de>, E> {
        ReadOne.visit_u64(number).map(Given::One)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Given<'de>, E> {
        ReadOne.visit_f64(number).map(Given::One)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Given<'de>, E> {
        ReadOne.visit_bool(value).map(Given::One)
    }

    /// A key that is null is a key the request does not have.
    fn visit_unit<E>(self) -> Result<Given<'de>, E> {
        Ok(Given::Many(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Given<'de>, A::Error> {
        let mut many = Vec::new();
        while let Some(one) = access.next_element()? {
            many.push(one);
        }
        Ok(Given::Many(many))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;

    fn said(line: &str) -> String {
        match Cases::default().answer(line.as_bytes(), 7) {
            Ok((id, verdict)) => format!("{id} {verdict}"),
            Err(unanswered) => format!("{} {}", unanswered.id, unanswered.error),
        }
    }

    #[test]
    fn a_case_is_answered_under_its_id_as_written() {
        let request = r#""request":{"action":"s3:GetObject","resource":"*"}"#;
        for id in ["1", "-2.50", "\"a\\u0062\"", "true", "null"] {
            assert_eq!(said(&format!(r#"{{"id":{id},"policies":[{ALL}],{request}}}"#)), format!("{id} Allow"));
        }
        assert_eq!(said(&format!(r#"{{"policies":[],{request}, "more": [1]}}"#)), "null ImplicitDeny");
        assert_eq!(said(&format!("{{\"id\":\"\u{202e}x\",\"policies\":[],{request}}}")), "\"\\u202ex\" ImplicitDeny");
    }

    #[test]
    fn a_context_may_hold_any_scalar_alone_or_in_a_list() {
        let ask = |condition: &str, context: &str| {
            said(&format!(
                r#"{{"id":0,"policies":[{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"*","Resource":"*",
                "Condition":{condition}}}}}],"request":{{"action":"a:B","resource":"*","context":{context}}}}}"#
            )
            .replace('\n', ""))
        };
        for (condition, context) in [
            (r#"{"NumericEquals":{"s3:max-keys":"10"}}"#, r#"{"S3:MAX-KEYS":10}"#),
            (r#"{"NumericEquals":{"s3:max-keys":"2.5"}}"#, r#"{"s3:max-keys":2.50}"#),
            (r#"{"StringEquals":{"s3:max-keys":"18446744073709551615"}}"#, r#"{"s3:max-keys":18446744073709551615}"#),
            (r#"{"Bool":{"aws:SecureTransport":"true"}}"#, r#"{"aws:SecureTransport":[true]}"#),
            (r#"{"Null":{"aws:username":"true","aws:userid":"true"}}"#, r#"{"aws:username":null,"aws:userid":[]}"#),
            (r#"{"StringEquals":{"aws:username":"a\"b"}}"#, r#"{"aws:user\u006eame":"a\u0022b"}"#),
            (
                r#"{"ForAllValues:StringLike":{"aws:TagKeys":["a*"]}}"#,
                r#"{"x":1,"aws:TagKeys":["a","a\u0062"],"y":[1,2]}"#,
            ),
        ] {
            assert_eq!(ask(condition, context), "0 Allow", "{condition} {context}");
        }
        assert!(ask("{}", r#"{"aws:username":{"a":1}}"#).starts_with("0 line 7 is no case: "));
    }

    #[test]
    fn a_line_that_cannot_be_answered_says_what_is_wrong_with_it() {
        for (line, error) in [
            ("nonsense", "null line 7 is no case: "),
            (r#"{"id":"x"}"#, "\"x\" line 7 is no case: missing field `policies`"),
            (r#"{"id":{},"policies":[],"request":{"action":"a","resource":"r"}}"#, "null line 7: the `id` is neither"),
            (
                r#"{"id":3,"policies":[{}],"request":{"action":"a","resource":"r"}}"#,
                "3 line 7: `policies[0]`: policy `Statement`",
            ),
            (r#"{"id":3,"policies":[],"request":{"action":1,"resource":"r"}}"#, "3 line 7 is no case: "),
        ] {
            assert!(said(line).starts_with(error), "{line}: {}", said(line));
        }
        assert!(Cases::default().answer(b"\xff", 1).is_err_and(|unanswered| unanswered.error.contains("UTF-8")));
    }

    #[test]
    fn what_is_kept_changes_no_answer() {
        let mut cases = Cases::default();
        for round in 0..3 {
            for n in 0..50 {
                let line = format!(
                    r#"{{"id":{n},"policies":[{{"Statement":{{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b{n}"}}}}],
                    "request":{{"action":"s3:ListBucket","resource":"arn:aws:s3:::b{}"}}}}"#,
                    n + round
                );
                let (_, verdict) = cases.answer(line.replace('\n', " ").as_bytes(), 1).unwrap();
                assert_eq!(verdict.is_allow(), round == 0, "{line}");
            }
        }
    }
}
