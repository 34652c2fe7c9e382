//! Matching patterns with the text of a request.
//!
//! Nothing is allocated but for a variable whose value is no text. A variable without a single value matches nothing, unless it
//! has a default (IAM User Guide, "Policy variables with no value": "there is no equal or like value"). ARNs are
//! matched part by part, so that no wildcard before the resource reaches across a colon into an object's name.
//!
//! Invariants
//! - Time is at most pattern × text, without recursion: only the last `*` is ever gone back to.
//!
//! Not here: which patterns a statement has, and what a match means.

use super::arn::{ArnPattern, ResourcePattern, Whole};
use super::key::{ConditionKey, same_ignoring_case};
use super::pattern::{Part, Pattern, Shape, Variable};
use super::request::{Context, Found, Value};
use std::borrow::Cow;

/// A part once its variable is known.
#[derive(Clone, Copy)]
enum Piece<'a> {
    Text(&'a str),
    AnyRun,
    AnyOne,
}

impl Pattern {
    /// Whether `text` is meant, case included.
    #[inline]
    pub(super) fn matches<C: Context + ?Sized>(&self, text: &str, context: &C) -> bool {
        match self.shape() {
            Shape::Exact => self.literal() == text,
            Shape::Any => true,
            Shape::Prefix => text.starts_with(self.literal()),
            Shape::Glob => glob(self.parts().len(), |at| piece(&self.parts()[at]), text),
            Shape::Variables => self.resolved(context, |pieces| glob(pieces.len(), |at| pieces[at], text)),
        }
    }

    /// Whether `text` is meant but for case. Of patterns without wildcards.
    pub(super) fn matches_ignoring_case<C: Context + ?Sized>(&self, text: &str, context: &C) -> bool {
        if self.shape() == Shape::Exact {
            return same_ignoring_case(self.literal(), text);
        }
        self.resolved(context, |pieces| {
            let text_of =
                |piece: &Piece<'_>| if let Piece::Text(text) = *piece { text.to_owned() } else { String::new() };
            same_ignoring_case(&pieces.iter().map(text_of).collect::<String>(), text)
        })
    }

    /// Gives `test` the parts with the values of the request; false if a variable has none.
    fn resolved<C: Context + ?Sized>(&self, context: &C, test: impl FnOnce(&[Piece<'_>]) -> bool) -> bool {
        let mut values = Vec::new();
        for variable in self.variables() {
            match value_of(variable, context) {
                Some(value) => values.push(value),
                None => return false,
            }
        }
        let mut values = values.iter();
        let pieces: Vec<Piece<'_>> = self
            .parts()
            .iter()
            .map(|part| match part {
                Part::Variable(_) => Piece::Text(values.next().map_or("", |value| value)),
                part => piece(part),
            })
            .collect();
        test(&pieces)
    }
}

/// The one value of a variable, or its default. A key with several values has none to give.
fn value_of<'c, C: Context + ?Sized>(variable: &'c Variable, context: &'c C) -> Option<Cow<'c, str>> {
    match context.find(&variable.key).plain() {
        Found::One(Value::Text(text)) => Some(Cow::Borrowed(text)),
        Found::One(value) => Some(Cow::Owned(value.to_string())),
        Found::Absent => variable.default.as_deref().map(Cow::Borrowed),
        Found::Many(_) => None,
    }
}

/// Of a pattern without variables.
fn piece(part: &Part) -> Piece<'_> {
    match part {
        Part::Text(text) => Piece::Text(text),
        Part::AnyRun => Piece::AnyRun,
        Part::AnyOne => Piece::AnyOne,
        Part::Variable(_) => Piece::Text(""),
    }
}

/// Whether the `len` pieces make up all of `text`.
fn glob<'a>(len: usize, piece: impl Fn(usize) -> Piece<'a>, text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut at, mut from) = (0, 0);
    // Behind the last `*`: the piece that follows it and where that was tried.
    let mut again: Option<(usize, usize)> = None;
    loop {
        let stepped = if at == len {
            if from == bytes.len() {
                return true;
            }
            None
        } else {
            match piece(at) {
                Piece::AnyRun if at + 1 == len => return true,
                Piece::AnyRun => {
                    again = Some((at + 1, from));
                    at += 1;
                    continue;
                }
                Piece::AnyOne => text[from..].chars().next().map(|c| from + c.len_utf8()),
                Piece::Text(wanted) => bytes[from..].starts_with(wanted.as_bytes()).then_some(from + wanted.len()),
            }
        };
        if let Some(to) = stepped {
            at += 1;
            from = to;
            continue;
        }
        let Some((after, tried)) = again else { return false };
        // The run takes one more character, or as many as bring the next text.
        let Some(first) = text[tried..].chars().next() else { return false };
        let mut next = tried + first.len_utf8();
        if let Piece::Text(wanted) = piece(after) {
            let found = if after + 1 == len {
                let end = bytes.len().checked_sub(wanted.len()).filter(|end| *end >= next);
                return end.is_some_and(|end| bytes[end..] == *wanted.as_bytes());
            } else {
                find(&bytes[next..], wanted.as_bytes())
            };
            match found {
                Some(skip) => next += skip,
                None => return false,
            }
        }
        again = Some((after, next));
        (at, from) = (after, next);
    }
}

/// Where `wanted` first stands. Names are short: preparing a search would cost more than the search.
fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let Some((&first, rest)) = wanted.split_first() else { return Some(0) };
    memchr::memchr_iter(first, text).find(|at| text[at + 1..].starts_with(rest))
}

impl ArnPattern {
    /// Whether `arn` is meant: all six parts, case included.
    #[inline]
    pub(super) fn matches<C: Context + ?Sized>(&self, arn: &str, context: &C) -> bool {
        match self.whole() {
            Whole::Exact(text) => **text == *arn,
            Whole::Prefix(text) => arn.starts_with(&**text),
            Whole::Head(head, resource) => {
                arn.strip_prefix(&**head).is_some_and(|rest| resource.matches(rest, context))
            }
            Whole::Parts(parts) => matches_by_part(parts, arn, context),
        }
    }
}

fn matches_by_part<C: Context + ?Sized>(parts: &[Pattern; 5], arn: &str, context: &C) -> bool {
    let Some(mut rest) = arn.strip_prefix("arn:") else { return false };
    let [head @ .., resource] = parts;
    for pattern in head {
        let Some((part, after)) = rest.split_once(':') else { return false };
        if !pattern.matches(part, context) {
            return false;
        }
        rest = after;
    }
    resource.matches(rest, context)
}

impl ResourcePattern {
    /// Whether `resource`, an ARN or `*`, is meant.
    #[inline]
    pub(super) fn matches<C: Context + ?Sized>(&self, resource: &str, context: &C) -> bool {
        match self {
            ResourcePattern::Any => true,
            ResourcePattern::Arn(arn) => arn.matches(resource, context),
        }
    }
}

impl Variable {
    /// The key it stands for.
    pub fn key(&self) -> &ConditionKey {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let context = [("aws:username", Value::Text("a*b")), ("aws:SourceIp", Value::Text("x"))];
        Pattern::parse(pattern, true, true).unwrap().matches(text, &context[..])
    }

    #[test]
    fn wildcards_stand_for_characters_not_bytes() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("a*", "a"),
            ("?", "ü"),
            ("a?c", "a\u{1f511}c"),
            ("*ü", "xüü"),
            ("a*b*c", "abbc"),
            ("a*bc", "abcbc"),
            ("*?", "x"),
            ("*a?b*", "xaayb-"),
            ("**a", "a"),
            ("a*a", "aa"),
            ("*ab*ab", "abab"),
            ("?*?", "xy"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "x"),
            ("?", ""),
            ("?", "xy"),
            ("a*a", "a"),
            ("*ab*ab", "ab"),
            ("?*?", "x"),
            ("a*b", "abc"),
            ("A", "a"),
            ("*a?b", "ab"),
            ("*aab", "aaa"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_value_is_never_a_wildcard_and_a_missing_one_matches_nothing() {
        assert!(matches("${aws:username}/*", "a*b/c"));
        assert!(!matches("${aws:username}/*", "axb/c"));
        assert!(matches("${*}?${$}", "*x$") && !matches("${*}", "x"));
        assert!(!matches("*${aws:userid}*", "anything"), "no value, no match");
        assert!(matches("${aws:userid, 'nobody'}", "nobody") && matches("*${aws:userid, ''}*", "anything"));
        assert!(matches("${AWS:UserName, 'nobody'}", "a*b"), "a default gives way to the value");
    }

    #[test]
    fn a_match_takes_polynomial_time() {
        let pattern = format!("{}b", "a*".repeat(1_000));
        assert!(!matches(&pattern, &"a".repeat(2_000)));
        assert!(!matches(&"?*a".repeat(500), &"ab".repeat(1_000)[1..]));
    }
}
