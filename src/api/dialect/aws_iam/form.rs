//! The Query protocol's parameters: a form, from the query or the body, read strictly.
//!
//! Invariants
//! - Text is UTF-8, a name stands once, and there are at most [`PAIRS_MAX`] of them: two readers never see two requests.
//! - What does not fit its constraint is a ValidationError in AWS's words, `1 validation error detected: Value … at …`.
//!
//! Not here: what a parameter means (the actions), and the body's length (`server`).

use super::error::IamError;
use crate::model::Tags;
use crate::model::text::excerpt;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Parameters of one request: twice the longest list that is taken, with room.
const PAIRS_MAX: usize = 4_096;
/// Members of a list.
const LIST_MAX: usize = 1_000;
/// Characters of a value repeated in an error.
const SHOWN_CHARS_MAX: usize = 128;

/// Parameters by name.
#[derive(Debug, Default)]
pub struct Form(BTreeMap<String, String>);

/// A constraint on a text, of the model (botocore 1.44.5, iam service model).
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub chars_min: usize,
    pub chars_max: usize,
    /// As AWS writes it, for the error.
    pub pattern: &'static str,
    pub fits: fn(char) -> bool,
}

const fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '=' | ',' | '.' | '@' | '-')
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

const fn is_document(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}')
}

const fn is_any(_: char) -> bool {
    true
}

const fn is_printable(c: char) -> bool {
    matches!(c, '!'..='\u{7e}')
}

const fn is_marker(c: char) -> bool {
    matches!(c, ' '..='\u{ff}')
}

impl Shape {
    const fn new(chars_min: usize, chars_max: usize, pattern: &'static str, fits: fn(char) -> bool) -> Self {
        Self { chars_min, chars_max, pattern, fits }
    }

    pub const NEW_USER: Shape = Shape::new(1, 64, r"[\w+=,.@-]+", is_name);
    /// Of an existing user; also of groups and policies.
    pub const NAME: Shape = Shape::new(1, 128, r"[\w+=,.@-]+", is_name);
    pub const KEY_ID: Shape = Shape::new(16, 128, r"[\w]+", is_word);
    pub const DOCUMENT: Shape = Shape::new(1, 131_072, r"[\u0009\u000A\u000D\u0020-\u00FF]+", is_document);
    pub const ARN: Shape = Shape::new(20, 2_048, "", is_any);
    pub const PATH: Shape = Shape::new(1, 512, r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)", is_printable);
    pub const PREFIX: Shape = Shape::new(1, 512, r"\u002F[\u0021-\u007F]*", is_printable);
    pub const MARKER: Shape = Shape::new(1, 320, r"[\u0020-\u00FF]+", is_marker);
    pub const DESCRIPTION: Shape = Shape::new(0, 1_000, "", is_any);
    pub const TAG_KEY: Shape = Shape::new(1, 128, "", is_any);
    pub const TAG_VALUE: Shape = Shape::new(0, 256, "", is_any);
    pub const ACTION: Shape = Shape::new(3, 128, "", is_any);
    pub const RESOURCE: Shape = Shape::new(1, 2_048, "", is_any);
    pub const CONTEXT_KEY: Shape = Shape::new(5, 256, "", is_any);
    pub const JOB: Shape = Shape::new(36, 36, "", is_any);
    pub const ALIAS: Shape = Shape::new(3, 63, "^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$", is_any);

    /// `value`, if it fits.
    ///
    /// # Errors
    /// ValidationError, naming `name` as AWS does.
    pub fn check<'v>(&self, name: &str, value: &'v str) -> Result<&'v str, IamError> {
        // Bytes first, so that a long text is not counted character by character.
        let chars = if value.len() > self.chars_max * 4 { usize::MAX } else { value.chars().count() };
        if chars > self.chars_max {
            let what = format!("Member must have length less than or equal to {}", self.chars_max);
            return Err(invalid(name, value, &what));
        }
        if chars < self.chars_min {
            let what = format!("Member must have length greater than or equal to {}", self.chars_min);
            return Err(invalid(name, value, &what));
        }
        if !value.chars().all(self.fits) {
            let what = format!("Member must satisfy regular expression pattern: {}", self.pattern);
            return Err(invalid(name, value, &what));
        }
        Ok(value)
    }
}

/// `UserName` as AWS's errors write it: `userName`.
fn member(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + chars.as_str())
}

/// ValidationError about one parameter.
pub fn invalid(name: &str, value: &str, what: &str) -> IamError {
    let (name, value) = (member(name), excerpt(value, SHOWN_CHARS_MAX));
    IamError::validation(format!(
        "1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: {what}"
    ))
}

fn decode(text: &str) -> Result<Cow<'_, str>, IamError> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = |at: usize| bytes.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let (Some(high), Some(low)) = (hex(at + 1), hex(at + 2)) else {
                    return Err(IamError::malformed(
                        "The request's parameters are not well formed: a % begins no escape",
                    ));
                };
                out.push(u8::try_from(high << 4 | low).unwrap_or_default());
                at += 2;
            }
            byte => out.push(byte),
        }
        at += 1;
    }
    let text = String::from_utf8(out).map_err(|_| IamError::malformed("The request's parameters are not UTF-8"))?;
    Ok(Cow::Owned(text))
}

impl Form {
    /// Reads the query, and the body behind it, as forms. The query's `X-Amz-*` parameters are the signature's.
    ///
    /// # Errors
    /// What is not a form: doubled names, more than is taken, text that is not UTF-8.
    pub fn parse(query: &str, body: &[u8]) -> Result<Self, IamError> {
        let body = std::str::from_utf8(body).map_err(|_| IamError::malformed("The request's body is not UTF-8"))?;
        let mut form = BTreeMap::new();
        let pairs = query.split('&').map(|pair| (pair, true)).chain(body.split('&').map(|pair| (pair, false)));
        for (pair, in_query) in pairs.filter(|(pair, _)| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name)?;
            if in_query && name.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("x-amz-")) {
                continue;
            }
            if form.len() >= PAIRS_MAX {
                return Err(IamError::malformed("The request has more parameters than are taken"));
            }
            let value = decode(value.trim_end_matches(['\r', '\n']))?.into_owned();
            if form.contains_key(&*name) {
                let text = format!("Parameter {} is given more than once", excerpt(&name, 64));
                return Err(IamError::malformed(text));
            }
            form.insert(name.into_owned(), value);
        }
        Ok(Self(form))
    }

    /// A parameter as it is.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that may be left out.
    ///
    /// # Errors
    /// ValidationError when it does not fit.
    pub fn optional(&self, name: &str, shape: Shape) -> Result<Option<&str>, IamError> {
        self.raw(name).map(|value| shape.check(name, value)).transpose()
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    /// ValidationError when it is not, or does not fit.
    pub fn required(&self, name: &str, shape: Shape) -> Result<&str, IamError> {
        self.optional(name, shape)?.ok_or_else(|| missing(name))
    }

    /// `/` or `/…/`.
    ///
    /// # Errors
    /// ValidationError.
    pub fn path(&self, name: &str) -> Result<Option<&str>, IamError> {
        let path = self.optional(name, Shape::PATH)?;
        match path {
            Some(path) if !(path.starts_with('/') && path.ends_with('/')) => {
                let what = format!("Member must satisfy regular expression pattern: {}", Shape::PATH.pattern);
                Err(invalid(name, path, &what))
            }
            path => Ok(path),
        }
    }

    /// `/…`; without one, `/`.
    ///
    /// # Errors
    /// ValidationError.
    pub fn path_prefix(&self) -> Result<&str, IamError> {
        match self.optional("PathPrefix", Shape::PREFIX)? {
            Some(prefix) if !prefix.starts_with('/') => {
                let what = format!("Member must satisfy regular expression pattern: {}", Shape::PREFIX.pattern);
                Err(invalid("PathPrefix", prefix, &what))
            }
            prefix => Ok(prefix.unwrap_or("/")),
        }
    }

    /// One of `values`.
    ///
    /// # Errors
    /// ValidationError.
    pub fn one_of(&self, name: &str, values: &[&'static str]) -> Result<Option<&'static str>, IamError> {
        let Some(given) = self.raw(name) else { return Ok(None) };
        values.iter().find(|value| **value == given).map(|value| Some(*value)).ok_or_else(|| {
            invalid(name, given, &format!("Member must satisfy enum value set: [{}]", values.join(", ")))
        })
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// ValidationError.
    pub fn flag(&self, name: &str) -> Result<bool, IamError> {
        match self.raw(name) {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(invalid(name, text, "Member must be true or false")),
        }
    }

    /// `Name.member.1`, `Name.member.2`, … from 1 on without a gap; `None` when it is not there.
    ///
    /// # Errors
    /// ValidationError: too many, one that does not fit.
    pub fn list(&self, name: &str, shape: Shape) -> Result<Option<Vec<&str>>, IamError> {
        let mut items = Vec::new();
        for number in 1..=LIST_MAX + 1 {
            let Some(item) = self.raw(&format!("{name}.member.{number}")) else { break };
            if number > LIST_MAX {
                return Err(invalid(name, "", &format!("Member must have length less than or equal to {LIST_MAX}")));
            }
            items.push(shape.check(name, item)?);
        }
        // An empty list is written `Name=`.
        Ok(if items.is_empty() && self.raw(name).is_none() { None } else { Some(items) })
    }

    /// Whether `Name.member.N` has any part.
    pub fn has_member(&self, name: &str, number: usize) -> bool {
        let prefix = format!("{name}.member.{number}.");
        self.0.range(prefix.clone()..).next().is_some_and(|(key, _)| key.starts_with(&prefix))
    }

    /// `Tags.member.N.Key` and `.Value`.
    ///
    /// # Errors
    /// ValidationError: more than 50, one that does not fit; InvalidInput: a key twice.
    pub fn tags(&self) -> Result<Tags, IamError> {
        let mut tags = Tags::new();
        for number in 1.. {
            if !self.has_member("Tags", number) {
                break;
            }
            if number > crate::model::limits::TAGS_MAX {
                return Err(invalid("Tags", "", "Member must have length less than or equal to 50"));
            }
            let part = |part: &str| format!("Tags.member.{number}.{part}");
            let key = self.required(&part("Key"), Shape::TAG_KEY)?;
            let value = self.required(&part("Value"), Shape::TAG_VALUE)?;
            if tags.insert(key.into(), value.into()).is_some() {
                return Err(IamError::input(
                    "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
                ));
            }
        }
        Ok(tags)
    }
}

/// ValidationError about a parameter that is not there.
pub fn missing(name: &str) -> IamError {
    let name = member(name);
    IamError::validation(format!(
        "1 validation error detected: Value null at '{name}' failed to satisfy constraint: Member must not be null"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_and_body_are_one_form_and_nothing_stands_twice() {
        let form = Form::parse("Action=ListUsers&X-Amz-Date=1", b"PathPrefix=%2Fa%2F&MaxItems=3").unwrap();
        assert_eq!(
            (form.raw("Action"), form.raw("PathPrefix"), form.raw("X-Amz-Date")),
            (Some("ListUsers"), Some("/a/"), None)
        );
        for (query, body) in
            [("Action=A", &b"Action=A"[..]), ("", b"a=1&a=1"), ("", b"a=%ff"), ("", b"a=%g0"), ("", b"\xff")]
        {
            assert!(Form::parse(query, body).is_err(), "{query} {body:?}");
        }
        assert_eq!(Form::parse("", b"a=b+c%2B").unwrap().raw("a"), Some("b c+"));
        let many = (0..=PAIRS_MAX).map(|n| format!("&p{n}=")).collect::<Vec<_>>().concat();
        assert!(Form::parse("", many.as_bytes()).is_err());
    }

    #[test]
    fn a_constraint_is_told_in_aws_s_words() {
        let form = Form::parse("", b"UserName=a%20b&Status=On&Path=x").unwrap();
        let error = form.required("UserName", Shape::NAME).unwrap_err();
        assert_eq!(
            error.message,
            r"1 validation error detected: Value 'a b' at 'userName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]+"
        );
        assert_eq!((error.status, error.code), (400, "ValidationError"));
        assert!(form.one_of("Status", &["Active", "Inactive"]).unwrap_err().message.contains("[Active, Inactive]"));
        assert!(form.path("Path").is_err());
        assert!(form.required("PolicyArn", Shape::ARN).unwrap_err().message.contains("Value null at 'policyArn'"));
        assert!(Shape::NAME.check("n", &"a".repeat(129)).unwrap_err().message.contains("equal to 128"));
    }

    #[test]
    fn lists_and_tags_end_at_their_first_gap() {
        let form =
            Form::parse("", b"A.member.1=x&A.member.2=y&A.member.4=z&B=&Tags.member.1.Key=k&Tags.member.1.Value=v")
                .unwrap();
        let shape = Shape::RESOURCE;
        assert_eq!(form.list("A", shape).unwrap(), Some(vec!["x", "y"]));
        assert_eq!((form.list("B", shape).unwrap(), form.list("C", shape).unwrap()), (Some(vec![]), None));
        assert_eq!(form.tags().unwrap().len(), 1);
        let twice =
            Form::parse("", b"Tags.member.1.Key=k&Tags.member.1.Value=v&Tags.member.2.Key=k&Tags.member.2.Value=w");
        assert_eq!(twice.unwrap().tags().unwrap_err().code, "InvalidInput");
    }
}
