//! JSON as a policy needs it: keys in order, no key twice, bounded depth, no hidden characters.
//!
//! Two readers of one document must never see two meanings, so a doubled key is refused rather than the last
//! one taken.
//!
//! Not here: which keys there are (`document`); how long a text may be (checked before this is called).

use super::error::{DocumentError, Path, quoted};
use crate::model::text::is_deceptive;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

/// Objects and lists within one another. The deepest valid policy has 6 levels.
const DEPTH_MAX: usize = 32;

/// A JSON value with its keys in the order they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    /// As serde_json writes it back.
    Number(String),
    /// Borrowed, unless something in it was escaped.
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Map(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// Parses a whole text.
    ///
    /// # Errors
    /// Names the place of the first syntax error, doubled key, control character or too deep nesting.
    pub(super) fn parse(text: &'a str) -> Result<Self, DocumentError> {
        let refused = RefCell::new(None);
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let walk = Walk { path: &Path::Root, depth: 0, refused: &refused };
        let parsed = walk.deserialize(&mut deserializer).and_then(|json| deserializer.end().map(|()| json));
        parsed.map_err(|error| {
            let syntax = |path: String| DocumentError {
                path,
                found: format!("bad JSON at line {}, column {}", error.line(), error.column()),
                expected: format!("one JSON object ({})", reason(&error)),
            };
            match refused.into_inner() {
                Some(Refused::Rule(error)) => error,
                Some(Refused::SyntaxAt(path)) => syntax(path),
                None => syntax(Path::Root.to_string()),
            }
        })
    }

    /// What stands here, for an error.
    pub(super) fn describe(&self) -> String {
        match self {
            Json::Null => "null".into(),
            Json::Bool(value) => value.to_string(),
            Json::Number(text) => text.clone(),
            Json::Text(text) => quoted(text),
            Json::List(list) if list.is_empty() => "an empty list".into(),
            Json::List(_) => "a list".into(),
            Json::Map(map) if map.is_empty() => "an empty object".into(),
            Json::Map(_) => "an object".into(),
        }
    }

    /// Appends the value without white space between its parts.
    pub(super) fn minify(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(text) => out.push_str(text),
            Json::Text(text) => minify_text(text, out),
            Json::List(list) => {
                out.push('[');
                for (index, value) in list.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    value.minify(out);
                }
                out.push(']');
            }
            Json::Map(map) => {
                out.push('{');
                for (index, (key, value)) in map.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    minify_text(key, out);
                    out.push(':');
                    value.minify(out);
                }
                out.push('}');
            }
        }
    }
}

/// Texts hold no control characters, so quotes and backslashes are all there is to escape.
fn minify_text(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\\']) {
        out.push_str(&rest[..at]);
        out.push('\\');
        out.push_str(&rest[at..=at]);
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// serde_json's words without the position, which is told apart.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split_once(" at line ").map_or(text.as_str(), |(reason, _)| reason).to_owned()
}

/// What went wrong at the deepest place that noticed.
enum Refused {
    Rule(DocumentError),
    SyntaxAt(String),
}

/// Reads one value at `path`.
#[derive(Clone, Copy)]
struct Walk<'a> {
    path: &'a Path<'a>,
    /// Containers around this value.
    depth: usize,
    refused: &'a RefCell<Option<Refused>>,
}

impl Walk<'_> {
    /// Remembers a broken rule and gives serde something to unwind with.
    fn refuse<E: serde::de::Error>(&self, error: DocumentError) -> E {
        self.refused.borrow_mut().get_or_insert(Refused::Rule(error));
        E::custom("refused")
    }

    /// Remembers where a syntax error was met, unless something deeper already did.
    fn at<T, E>(&self, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() {
            self.refused.borrow_mut().get_or_insert_with(|| Refused::SyntaxAt(self.path.to_string()));
        }
        result
    }

    fn enter<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.depth < DEPTH_MAX {
            return Ok(());
        }
        let found = format!("more than {DEPTH_MAX} objects and lists within one another");
        Err(self.refuse(DocumentError::new(self.path, found, "a policy document, which needs 6")))
    }

    fn checked<E: serde::de::Error>(&self, text: &str, what: &str) -> Result<(), E> {
        // Most texts are plain ASCII, which a look at the bytes shows.
        if text.bytes().all(|byte| (b' '..0x7f).contains(&byte)) || !text.contains(is_deceptive) {
            return Ok(());
        }
        let expected = format!("{what} without control or invisible characters");
        Err(self.refuse(DocumentError::text(self.path, text, expected)))
    }
}

/// A key, borrowed unless something in it was escaped.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ReadKey)
    }
}

struct ReadKey;

impl<'de> Visitor<'de> for ReadKey {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(text.to_owned())))
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        let result = deserializer.deserialize_any(self);
        self.at(result)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json<'de>, E> {
        let number = serde_json::Number::from_f64(value).ok_or_else(|| E::custom("not a number"))?;
        Ok(Json::Number(number.to_string()))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Json<'de>, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Json<'de>, E> {
        self.checked(&text, "text")?;
        Ok(Json::Text(Cow::Owned(text)))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        self.checked(text, "text")?;
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        self.enter()?;
        let mut list = Vec::new();
        loop {
            let path = self.path.index(list.len());
            match access.next_element_seed(Walk { path: &path, depth: self.depth + 1, ..self })? {
                Some(value) => list.push(value),
                None => return Ok(Json::List(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        self.enter()?;
        let mut map: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        while let Some(Key(key)) = access.next_key()? {
            let path = self.path.name(&key);
            let walk = Walk { path: &path, depth: self.depth + 1, ..self };
            self.checked(&key, "a key")?;
            // Quadratic in the keys of one object, of which the size limit leaves at most some two thousand.
            if map.iter().any(|(earlier, _)| *earlier == key) {
                return Err(walk.refuse(DocumentError::new(&path, "the same key twice", "each key once")));
            }
            let value = access.next_value_seed(walk)?;
            map.push((key, value));
        }
        Ok(Json::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (String, String) {
        let error = Json::parse(text).expect_err(text);
        (error.path, error.found)
    }

    #[test]
    fn keys_keep_their_order_and_white_space_goes() {
        let json = Json::parse(" {\"b\" : [1, 2.50, true, null],\n\"a\":\"x \\\" \\u00fc\\\\\"} ").unwrap();
        let mut text = String::new();
        json.minify(&mut text);
        assert_eq!(text, r#"{"b":[1,2.5,true,null],"a":"x \" ü\\"}"#);
        assert_eq!(Json::parse(&text).unwrap(), json);
    }

    #[test]
    fn a_doubled_key_is_refused_where_it_stands_again() {
        assert_eq!(refused(r#"{"a":[{"b":1,"c":2,"b":3}]}"#), ("a[0].b".into(), "the same key twice".into()));
        assert_eq!(refused("{\"a\":1,\"\\u0061\":2}").0, "a", "escapes do not hide it");
    }

    #[test]
    fn nesting_stops_at_32() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Json::parse(&nested(32)).is_ok());
        assert!(refused(&nested(33)).1.starts_with("more than 32"));
        assert!(refused(&"[".repeat(100_000)).1.starts_with("more than 32"), "and does not wait for the end");
        assert!(refused(&"{\"a\":".repeat(100_000)).1.starts_with("more than 32"));
    }

    #[test]
    fn syntax_errors_name_the_deepest_place_and_the_position() {
        assert_eq!(refused("{\"a\":[1,\n2,}").0, "a[2]");
        assert_eq!(refused("{\"a\":[1,\n2,}").1, "bad JSON at line 2, column 3");
        for text in ["", "{", "{} {}", "nul", "{\"a\":1,}", "\u{feff}{}", "{'a':1}", "[1e999]", "\"\\ud800\""] {
            assert!(refused(text).1.starts_with("bad JSON at"), "{text}");
        }
    }

    #[test]
    fn control_and_invisible_characters_are_refused_however_they_are_written() {
        for text in [r#"["\u0000"]"#, r#"["\n"]"#, "[\"a\u{202e}b\"]", r#"{"\u001b":1}"#, "[\"\u{85}\"]"] {
            assert!(Json::parse(text).unwrap_err().expected.ends_with("invisible characters"), "{text}");
        }
    }
}
