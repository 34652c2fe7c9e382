//! Patterns: wildcards, policy variables, and the shapes of actions and ARNs.
//!
//! `*` stands for any run of characters, `?` for one. `${aws:username}` stands for a value of the request,
//! `${aws:PrincipalTag/team, 'none'}` has a default, and `${*}`, `${?}`, `${$}` are the characters themselves.
//! Variables exist since language version 2012-10-17; before it they are plain text. A variable's value is
//! never read as a wildcard.
//!
//! Not here: the matching, which needs a request (`matching`).

use super::document::Reading;
use super::key::ConditionKey;
use std::borrow::Cow;
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

/// `arn:partition:service:region:account:resource`, six parts; the resource may hold further colons.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ArnPattern {
    source: Box<str>,
    /// Where the parts behind `arn:` begin in it.
    begins: [u32; 5],
    whole: Whole,
}

/// The longest text that every ARN meant begins with, and what may follow: most need no more than this.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Whole {
    /// This ARN alone.
    Exact(Box<str>),
    /// Whatever begins so.
    Prefix(Box<str>),
    /// Whatever begins so and goes on as the pattern of the resource says: the text ends at the fifth colon.
    Head(Box<str>, Box<Pattern>),
    /// Wildcards or variables before the fifth colon: a pattern for each part.
    Parts(Box<[Pattern; 5]>),
}

impl ArnPattern {
    pub(super) const EXPECTED: &'static str = "an ARN of six parts such as `arn:aws:s3:::bucket/*`: \
         `arn:partition:service:region:account:resource`, variables only in the last part, the service without wildcards";
    pub(super) const IN_CONDITION_EXPECTED: &'static str =
        "`*` or an ARN pattern of six parts such as `arn:aws:iam::*:user/alice`";

    /// An ARN for `Resource`.
    fn of_resource(text: &str, reading: Reading) -> Result<Self, &'static str> {
        let Reading { variables, as_aws } = reading;
        let colons = text.bytes().filter(|byte| *byte == b':').count();
        let completed = match colons {
            // AWS completes an incomplete ARN with wildcards (IAM User Guide, "Resource").
            2..5 if as_aws => Cow::Owned(format!("{text}{}", &":*:*:*"[..2 * (5 - colons)])),
            _ => Cow::Borrowed(text),
        };
        let [partition, service, region, account, resource] = split(&completed, false).ok_or(Self::EXPECTED)?;
        let small = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let wild = |b: u8| matches!(b, b'*' | b'?');
        let fits = !partition.is_empty()
            && partition.bytes().all(|b| small(b) || wild(b))
            && !service.is_empty()
            && service.bytes().all(small)
            && region.bytes().all(|b| small(b) || wild(b))
            && account.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || wild(b))
            && !resource.is_empty();
        if !fits {
            return Err(Self::EXPECTED);
        }
        if !as_aws && !account.is_empty() && account.len() != 12 && account.bytes().all(|b| b.is_ascii_digit()) {
            return Err("an ARN whose account is empty, `*` or 12 digits");
        }
        Self::compile([partition, service, region, account, resource], false, variables)
    }

    /// An ARN to compare a request's value with: any part may hold wildcards and variables.
    pub(super) fn in_condition(text: &str, variables: bool) -> Result<Self, &'static str> {
        if text == "*" {
            return Self::compile(["*"; 5], variables, variables);
        }
        let [partition, service, region, account, resource] =
            split(text, variables).ok_or(Self::IN_CONDITION_EXPECTED)?;
        if partition.is_empty() || service.is_empty() || resource.is_empty() {
            return Err(Self::IN_CONDITION_EXPECTED);
        }
        Self::compile([partition, service, region, account, resource], variables, variables)
    }

    fn compile(parts: [&str; 5], in_head: bool, in_resource: bool) -> Result<Self, &'static str> {
        let [partition, service, region, account, resource] = parts;
        let source = format!("arn:{partition}:{service}:{region}:{account}:{resource}");
        let mut begins = [4; 5];
        for at in 1..5 {
            // A document has less than 2^17 bytes.
            begins[at] = begins[at - 1] + u32::try_from(parts[at - 1].len() + 1).map_err(|_| Self::EXPECTED)?;
        }
        let plain = |text: &&str| !(text.contains(['*', '?']) || in_head && text.contains("${"));
        let whole = if parts[..4].iter().all(plain) {
            let resource_at = begins[4] as usize;
            let resource = Pattern::parse(resource, true, in_resource)?;
            let until = |text: &str| Box::from(format!("{}{text}", &source[..resource_at]));
            match resource.shape {
                Shape::Exact => Whole::Exact(until(resource.literal())),
                Shape::Prefix | Shape::Any => Whole::Prefix(until(resource.literal())),
                Shape::Glob | Shape::Variables => Whole::Head(source[..resource_at].into(), Box::new(resource)),
            }
        } else {
            let part = |text| Pattern::parse(text, true, in_head);
            let head = [part(partition)?, part(service)?, part(region)?, part(account)?];
            let [partition, service, region, account] = head;
            let resource = Pattern::parse(resource, true, in_resource)?;
            Whole::Parts(Box::new([partition, service, region, account, resource]))
        };
        Ok(Self { source: source.into(), begins, whole })
    }

    #[inline]
    pub(super) fn whole(&self) -> &Whole {
        &self.whole
    }

    /// The partition, service, region, account and resource, as they were written.
    #[must_use]
    pub fn parts(&self) -> [&str; 5] {
        let begin = |at: usize| self.begins[at] as usize;
        let end = |at: usize| self.begins.get(at + 1).map_or(self.source.len(), |next| *next as usize - 1);
        [0, 1, 2, 3, 4].map(|at| &self.source[begin(at)..end(at)])
    }

    /// The patterns of its parts, where one has wildcards or variables.
    pub fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let (one, all) = match &self.whole {
            Whole::Exact(_) | Whole::Prefix(_) => (None, &[][..]),
            Whole::Head(_, resource) => (Some(&**resource), &[][..]),
            Whole::Parts(parts) => (None, &parts[..]),
        };
        one.into_iter().chain(all)
    }

    /// The whole ARN, as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for ArnPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}

/// The five parts behind `arn:`. With `variables`, a colon inside `${…}` parts nothing.
fn split(text: &str, variables: bool) -> Option<[&str; 5]> {
    let mut rest = text.strip_prefix("arn:")?;
    let mut parts = [""; 5];
    for part in parts.iter_mut().take(4) {
        let mut in_variable = false;
        let mut before = '\0';
        let end = rest.char_indices().find_map(|(at, c)| {
            in_variable = (in_variable || variables && before == '$' && c == '{') && c != '}';
            before = c;
            (c == ':' && !in_variable).then_some(at)
        })?;
        (*part, rest) = (&rest[..end], &rest[end + 1..]);
    }
    parts[4] = rest;
    Some(parts)
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ResourcePattern {
    /// `*`
    Any,
    Arn(ArnPattern),
}

impl ResourcePattern {
    /// Reads `*` or an ARN. Shortened ARNs (`arn:aws:s3`) are refused in what is stored: what is left out would mean
    /// "all of it".
    ///
    /// # Errors
    /// What was expected.
    pub(super) fn parse(text: &str, reading: Reading) -> Result<Self, &'static str> {
        if text == "*" { Ok(Self::Any) } else { ArnPattern::of_resource(text, reading).map(Self::Arn) }
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> String {
        match self {
            Self::Any => "*".to_owned(),
            Self::Arn(arn) => arn.source().to_owned(),
        }
    }

    /// Whether it reaches into every bucket: `*`, or an S3 ARN whose bucket is nothing but wildcards.
    #[must_use]
    pub fn names_all_buckets(&self) -> bool {
        match self {
            Self::Any => true,
            Self::Arn(arn) => {
                let [_, service, _, _, resource] = arn.parts();
                let bucket = resource.split_once('/').map_or(resource, |(bucket, _)| bucket);
                service == "s3" && bucket.contains('*') && bucket.bytes().all(|b| matches!(b, b'*' | b'?'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READING: Reading = Reading { variables: true, as_aws: false };

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

    #[test]
    fn resources_are_star_or_six_parts() {
        for text in [
            "*",
            "arn:aws:s3:::b",
            "arn:aws:s3:::b/*",
            "arn:*:s3:::*",
            "arn:aws-cn:sns:eu-*:123456789012:t:x:y",
            "arn:aws:iam::aws:policy/X",
            "arn:aws:s3:::b/${aws:username}/*",
            "arn:aws:s3:::${aws:PrincipalTag/b, 'c:d'}",
        ] {
            assert_eq!(ResourcePattern::parse(text, READING).expect(text).source(), text);
        }
        for text in [
            "",
            "b",
            "s3:::b",
            "arn:",
            "arn:aws:s3",
            "arn:aws:s3:::",
            "arn:aws:*:::b",
            "arn:aws::::b",
            "arn::s3:::b",
            "arn:aws:s?:::b",
            "arn:aws:s3::12345:b",
            "ARN:aws:s3:::b",
            "arn:aws:s3:${aws:RequestedRegion}::b",
            "arn:aws:s3:::${aws:username",
            "**",
            "arn:aws:s3:eu west::b",
        ] {
            assert!(ResourcePattern::parse(text, READING).is_err(), "{text}");
        }
        assert!(
            ResourcePattern::parse("arn:aws:s3:::${aws:username", Reading { variables: false, ..READING }).is_ok(),
            "plain text in 2008-10-17"
        );
    }

    #[test]
    fn an_arn_in_a_condition_may_hold_variables_anywhere() {
        let arn =
            ArnPattern::in_condition("arn:aws:sns:*:${aws:PrincipalAccount}:${aws:username, 'a:b'}", true).unwrap();
        assert_eq!(arn.parts(), ["aws", "sns", "*", "${aws:PrincipalAccount}", "${aws:username, 'a:b'}"]);
        let Whole::Parts(parts) = arn.whole() else { panic!("{arn:?}") };
        assert_eq!(parts[3].variables().count(), 1);
        assert!(ArnPattern::in_condition("*", true).is_ok());
        for text in ["", "alice", "arn:aws:iam", "arn:aws:iam::1:", "arn:aws:iam::${aws:x:user/y"] {
            assert!(ArnPattern::in_condition(text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn what_reaches_into_every_bucket_is_told() {
        let all = |text| ResourcePattern::parse(text, READING).unwrap().names_all_buckets();
        for text in ["*", "arn:aws:s3:::*", "arn:aws:s3:::*/*", "arn:aws:s3:::?*/logs"] {
            assert!(all(text), "{text}");
        }
        for text in [
            "arn:aws:s3:::b",
            "arn:aws:s3:::b/*",
            "arn:aws:s3:::b*",
            "arn:aws:sqs:::*",
            "arn:aws:s3:::${aws:username}",
            "arn:aws:s3:::???",
        ] {
            assert!(!all(text), "{text}");
        }
    }
}
