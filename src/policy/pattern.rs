//! Patterns: wildcards, policy variables, and the shapes of actions.
//!
//! `*` stands for any run of characters, `?` for one. `${aws:username}` stands for a value of the request,
//! `${aws:PrincipalTag/team, 'none'}` has a default, and `${*}`, `${?}`, `${$}` are the characters themselves.
//! Variables exist since language version 2012-10-17; before it they are plain text. A variable's value is
//! never read as a wildcard.
//!
//! Not here: ARNs (`arn`), and the matching, which needs a request (`matching`).

use super::key::ConditionKey;
use std::fmt;

/// One piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    Text(Box<str>),
    /// `*`
    AnyRun,
    /// `?`
    AnyOne,
    Variable(Variable),
}

/// A policy variable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Variable {
    pub key: ConditionKey,
    /// Taken when the request has no such key; without one the statement then matches nothing.
    pub default: Option<Box<str>>,
}

/// How a pattern is matched, decided once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Shape {
    /// Text alone, or nothing.
    Exact,
    /// `*`
    Any,
    /// Text and one `*` behind it.
    Prefix,
    /// Wildcards elsewhere, no variables.
    Glob,
    /// Needs values of the request.
    Variables,
}

/// Text with wildcards and variables, as far as its place allows them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    source: Box<str>,
    parts: Box<[Part]>,
    shape: Shape,
}

const VARIABLE_EXPECTED: &str = "a policy variable such as `${aws:username}` or `${aws:username, 'default'}`";

impl Pattern {
    /// Reads a pattern. Without `wildcards`, `*` and `?` are text; without `variables`, `${` is.
    ///
    /// # Errors
    /// A variable that is not closed or has no `prefix:name`: what was expected.
    pub(super) fn parse(text: &str, wildcards: bool, variables: bool) -> Result<Self, &'static str> {
        if !(wildcards && text.contains(['*', '?']) || variables && text.contains("${")) {
            let parts = if text.is_empty() { Box::default() } else { Box::from([Part::Text(text.into())]) };
            return Ok(Self { source: text.into(), parts, shape: Shape::Exact });
        }
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if variables && let Some(inside) = rest.strip_prefix("${") {
                let (variable, after) = inside.split_once('}').ok_or(VARIABLE_EXPECTED)?;
                if matches!(variable, "*" | "?" | "$") {
                    plain.push_str(variable);
                } else {
                    flush(&mut plain, &mut parts);
                    parts.push(Part::Variable(Variable::parse(variable)?));
                }
                rest = after;
                continue;
            }
            rest = &rest[c.len_utf8()..];
            match c {
                '*' if wildcards => {
                    flush(&mut plain, &mut parts);
                    // Two stars say what one says, and cost more to match.
                    if parts.last() != Some(&Part::AnyRun) {
                        parts.push(Part::AnyRun);
                    }
                }
                '?' if wildcards => {
                    flush(&mut plain, &mut parts);
                    parts.push(Part::AnyOne);
                }
                _ => plain.push(c),
            }
        }
        flush(&mut plain, &mut parts);
        let shape = match parts.as_slice() {
            parts if parts.iter().any(|part| matches!(part, Part::Variable(_))) => Shape::Variables,
            [] | [Part::Text(_)] => Shape::Exact,
            [Part::AnyRun] => Shape::Any,
            [Part::Text(_), Part::AnyRun] => Shape::Prefix,
            _ => Shape::Glob,
        };
        Ok(Self { source: text.into(), parts: parts.into(), shape })
    }

    #[inline]
    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// The text it begins with, before any wildcard or variable.
    #[inline]
    pub(super) fn literal(&self) -> &str {
        if let Some(Part::Text(text)) = self.parts.first() { text } else { "" }
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The variables it needs from a request.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.parts.iter().filter_map(|part| if let Part::Variable(variable) = part { Some(variable) } else { None })
    }
}

fn flush(plain: &mut String, parts: &mut Vec<Part>) {
    if !plain.is_empty() {
        parts.push(Part::Text(std::mem::take(plain).into()));
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}

impl Variable {
    /// Reads what stands between the braces.
    fn parse(inside: &str) -> Result<Self, &'static str> {
        let (key, default) = match inside.split_once(',') {
            None => (inside, None),
            Some((key, default)) => {
                let quoted = default.trim_matches(' ').strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
                let default = quoted.filter(|text| !text.contains('\'')).ok_or(VARIABLE_EXPECTED)?;
                (key.trim_end_matches(' '), Some(default.into()))
            }
        };
        let key = ConditionKey::parse(key).ok_or(VARIABLE_EXPECTED)?;
        Ok(Self { key, default })
    }
}

/// `service:Name` with wildcards in the name, or `*`. Case does not matter.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ActionPattern(Box<str>);

impl ActionPattern {
    pub(super) const EXPECTED: &'static str =
        "`*` or an action such as `s3:GetObject` or `s3:Get*`, the service without wildcards";

    /// Reads an action; `None` when it has not that shape.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if matches!(text, "*" | "*:*") {
            return Some(Self(text.into()));
        }
        let (service, name) = text.split_once(':')?;
        let service_fits = !service.is_empty() && service.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let in_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'*' | b'?');
        (service_fits && !name.is_empty() && name.bytes().all(in_name)).then(|| Self(text.into()))
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0
    }

    /// Whether `action`, such as `s3:GetObject`, is one of those meant.
    #[must_use]
    pub fn matches(&self, action: &str) -> bool {
        wildcard_match(self.0.as_bytes(), action.as_bytes())
    }

    /// Whether it means every action there is, or every one of a service.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.0.split_once(':').map_or(&*self.0, |(_, name)| name).bytes().all(|byte| byte == b'*')
    }
}

impl fmt::Debug for ActionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Without regard to ASCII case. Returns to the last `*` only: at most pattern × text steps, no recursion.
fn wildcard_match(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                last_star = Some((p + 1, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte.eq_ignore_ascii_case(&text[t]) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after_star, from)) = last_star else { return false };
                last_star = Some((after_star, from + 1));
                p = after_star;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(key: &str, default: Option<&str>) -> Part {
        Part::Variable(Variable { key: ConditionKey::parse(key).unwrap(), default: default.map(Into::into) })
    }

    #[test]
    fn patterns_fall_into_text_wildcards_and_variables() {
        let parts = |text| Pattern::parse(text, true, true).unwrap().parts().to_vec();
        assert_eq!(parts("a**b?"), [Part::Text("a".into()), Part::AnyRun, Part::Text("b".into()), Part::AnyOne]);
        assert_eq!(
            parts("home/${aws:username}/${aws:PrincipalTag/team, 'all of us'}"),
            [
                Part::Text("home/".into()),
                variable("aws:username", None),
                Part::Text("/".into()),
                variable("aws:PrincipalTag/team", Some("all of us"))
            ]
        );
        assert_eq!(parts("${*}${?}${$}{aws:username}$"), [Part::Text("*?${aws:username}$".into())]);
        assert_eq!(Pattern::parse("a*${b}", false, false).unwrap().parts(), [Part::Text("a*${b}".into())]);
        assert_eq!(parts(""), []);
    }

    #[test]
    fn a_malformed_variable_is_refused() {
        for text in [
            "${",
            "${aws:username",
            "${}",
            "${username}",
            "${aws:}",
            "${:x}",
            "${ aws:username}",
            "${aws:username,}",
            "${aws:username, default}",
            "${aws:username, 'x}",
            "${aws:username, 'it's'}",
            "${aws:${aws:username}}",
            "${**}",
        ] {
            assert_eq!(Pattern::parse(text, true, true), Err(VARIABLE_EXPECTED), "{text}");
        }
    }

    #[test]
    fn actions_match_by_wildcard_without_regard_to_case() {
        let matches = |pattern, action| ActionPattern::parse(pattern).unwrap().matches(action);
        for (pattern, action) in [
            ("*", "s3:GetObject"),
            ("*:*", "s3:GetObject"),
            ("s3:*", "S3:GetObject"),
            ("S3:get*", "s3:GetObject"),
            ("s3:*Object*", "s3:GetObjectAcl"),
            ("s3:?etObject", "s3:GetObject"),
            ("s3:*a*a*b", "s3:aaaaab"),
        ] {
            assert!(matches(pattern, action), "{pattern} {action}");
        }
        for (pattern, action) in
            [("s3:Get", "s3:GetObject"), ("s3:GetObject", "s3:Get"), ("s3:*a*b", "s3:aaa"), ("s3:?", "s3:")]
        {
            assert!(!matches(pattern, action), "{pattern} {action}");
        }
        let hard = ActionPattern::parse(&format!("s3:{}b", "a*".repeat(2_000))).unwrap();
        assert!(!hard.matches(&format!("s3:{}", "a".repeat(4_000))), "no exponential time");
    }

    #[test]
    fn actions_need_a_service_without_wildcards() {
        for text in
            ["", "s3", "s3:", ":Get", "s*:Get", "*:Get", "s3:Get Object", "s3:Get:Object", "s3:${aws:username}", "s3:é"]
        {
            assert_eq!(ActionPattern::parse(text), None, "{text}");
        }
        for (text, wild) in [("*", true), ("s3:*", true), ("s3:**", true), ("s3:Get*", false), ("s3:GetObject", false)]
        {
            assert_eq!(ActionPattern::parse(text).unwrap().is_wildcard(), wild, "{text}");
        }
    }
}
