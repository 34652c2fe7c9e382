//! ARNs with wildcards and variables: what a statement is about, and what a condition compares with.
//!
//! Not here: text with wildcards and variables itself (`pattern`), the matching (`matching`).

use super::document::Reading;
use super::pattern::{Pattern, Shape};
use std::borrow::Cow;
use std::fmt;

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
            match resource.shape() {
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
