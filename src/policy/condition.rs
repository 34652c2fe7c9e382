//! Conditions: an operator, a key, and the values it is compared with, all understood when stored.
//!
//! A condition block is a list of conditions that must all hold; the values of one are alternatives.
//!
//! Not here: the request's values and the comparing.

use super::arn::ArnPattern;
use super::document::Reading;
use super::error::{DocumentError, Path};
use super::json::Json;
use super::key::ConditionKey;
use super::operator::{Family, OperatorUse};
use super::pattern::Pattern;
use super::value::{self, Cidr, Number};
use crate::model::Time;
use jiff::Timestamp;

/// What a key is compared with: one kind of value, at least one of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    Text(Vec<Pattern>),
    Number(Vec<Number>),
    Date(Vec<Timestamp>),
    /// Of `Bool`, and of `Null`, where `true` means that the key is absent.
    Bool(Vec<bool>),
    Bytes(Vec<Box<[u8]>>),
    Address(Vec<Cidr>),
    Arn(Vec<ArnPattern>),
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub operator: OperatorUse,
    pub key: ConditionKey,
    pub values: Values,
}

impl Values {
    /// The moments among them, for conditions that compare dates; whole seconds where a number stands for one.
    pub fn moments(&self) -> impl Iterator<Item = Time> + '_ {
        let (dates, numbers): (&[Timestamp], &[Number]) = match self {
            Values::Date(dates) => (dates, &[]),
            Values::Number(numbers) => (&[], numbers),
            _ => (&[], &[]),
        };
        let seconds = numbers.iter().filter_map(|number| number.to_string().parse::<i64>().ok());
        let dates = dates.iter().filter_map(|date| i64::try_from(date.as_nanosecond()).ok().map(Time));
        dates.chain(seconds.filter_map(|seconds| seconds.checked_mul(1_000_000_000).map(Time)))
    }
}

/// Reads a `Condition` block. An empty one is no condition, as AWS has it; an empty operator or list says
/// something that nobody can have meant, and is refused.
pub(super) fn parse_block(json: &Json<'_>, path: &Path<'_>, reading: Reading) -> Result<Vec<Condition>, DocumentError> {
    let Json::Map(operators) = json else {
        return Err(DocumentError::new(path, json.describe(), "an object of condition operators"));
    };
    let mut conditions: Vec<Condition> = Vec::new();
    for (name, keys) in operators {
        let path = path.name(name);
        let operator = OperatorUse::parse(name).map_err(|expected| DocumentError::text(&path, name, expected))?;
        let keys = match keys {
            Json::Map(keys) if !keys.is_empty() || reading.as_aws => keys,
            other => return Err(DocumentError::new(&path, other.describe(), "an object of condition keys")),
        };
        for (name, value) in keys {
            let path = path.name(name);
            let key =
                ConditionKey::parse(name).ok_or_else(|| DocumentError::text(&path, name, ConditionKey::EXPECTED))?;
            if conditions.iter().any(|earlier| earlier.operator == operator && earlier.key == key) {
                return Err(DocumentError::new(
                    &path,
                    "the same condition key twice",
                    "each key once, whatever its case",
                ));
            }
            let values = parse_values(operator, value, &path, reading)?;
            conditions.push(Condition { operator, key, values });
        }
    }
    Ok(conditions)
}

fn parse_values(
    operator: OperatorUse,
    json: &Json<'_>,
    path: &Path<'_>,
    reading: Reading,
) -> Result<Values, DocumentError> {
    let operator = operator.operator;
    let Reading { variables, as_aws } = reading;
    match operator.family() {
        Family::String => {
            let wildcards = operator.has_wildcards();
            each(json, path, as_aws, |text| Pattern::parse(text, wildcards, variables)).map(Values::Text)
        }
        Family::Arn if as_aws => {
            // What is no ARN equals none: AWS takes it, and it never matches.
            let arns = each(json, path, as_aws, |text| Ok(ArnPattern::in_condition(text, variables).ok()))?;
            Ok(Values::Arn(arns.into_iter().flatten().collect()))
        }
        Family::Arn => each(json, path, as_aws, |text| ArnPattern::in_condition(text, variables)).map(Values::Arn),
        Family::Numeric => {
            each(json, path, as_aws, |text| Number::parse(text).ok_or(Number::EXPECTED)).map(Values::Number)
        }
        Family::Date => {
            each(json, path, as_aws, |text| value::date(text).ok_or(value::DATE_EXPECTED)).map(Values::Date)
        }
        Family::Bool | Family::Null => each(json, path, as_aws, |text| {
            let small = if as_aws { text.to_ascii_lowercase() } else { text.to_owned() };
            value::boolean(&small).ok_or("`true` or `false`")
        })
        .map(Values::Bool),
        Family::Binary => {
            each(json, path, as_aws, |text| value::bytes(text).ok_or("base64 with its padding")).map(Values::Bytes)
        }
        Family::IpAddress => {
            each(json, path, as_aws, |text| Cidr::parse(text).ok_or(Cidr::EXPECTED)).map(Values::Address)
        }
    }
}

/// One value or a list of them; numbers and booleans without quotes are read as their text.
fn each<T>(
    json: &Json<'_>,
    path: &Path<'_>,
    may_be_empty: bool,
    parse: impl Fn(&str) -> Result<T, &'static str>,
) -> Result<Vec<T>, DocumentError> {
    let one = |json: &Json<'_>, path: &Path<'_>| {
        let text = match json {
            Json::Text(text) => &**text,
            Json::Number(text) => text,
            Json::Bool(true) => "true",
            Json::Bool(false) => "false",
            other => return Err(DocumentError::new(path, other.describe(), "text, a number or a boolean")),
        };
        parse(text).map_err(|expected| DocumentError::text(path, text, expected))
    };
    match json {
        Json::List(list) if list.is_empty() && !may_be_empty => {
            Err(DocumentError::new(path, json.describe(), "at least one value"))
        }
        Json::List(list) => list.iter().enumerate().map(|(index, json)| one(json, &path.index(index))).collect(),
        json => one(json, path).map(|value| vec![value]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Result<Vec<Condition>, DocumentError> {
        let reading = Reading { variables: true, as_aws: false };
        parse_block(&Json::parse(text).unwrap(), &Path::Root.name("Condition"), reading)
    }

    #[test]
    fn a_block_becomes_conditions_that_must_all_hold() {
        let text = r#"{"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "::1"]},
                       "NumericLessThanIfExists": {"s3:max-keys": 10, "S3:SignatureAge": "600000"},
                       "Bool": {"aws:SecureTransport": true}}"#;
        let conditions = block(text).unwrap();
        let keys: Vec<_> = conditions.iter().map(|condition| condition.key.as_str()).collect();
        assert_eq!(keys, ["aws:sourceip", "s3:max-keys", "s3:signatureage", "aws:securetransport"]);
        assert!(conditions[1].operator.if_exists);
        assert_eq!(conditions[3].values, Values::Bool(vec![true]));
        assert_eq!(block("{}").unwrap(), []);
    }

    #[test]
    fn a_bad_value_is_refused_at_its_path() {
        for (text, path) in [
            (r#"{"IpAddress": {"aws:SourceIp": ["::1", "10.0.0.0/33"]}}"#, r#"Condition.IpAddress["aws:SourceIp"][1]"#),
            (r#"{"IpAddress": {"aws:SourceIp": "${aws:x}"}}"#, r#"Condition.IpAddress["aws:SourceIp"]"#),
            (r#"{"Bool": {"aws:SecureTransport": "yes"}}"#, r#"Condition.Bool["aws:SecureTransport"]"#),
            (r#"{"BinaryEquals": {"k:v": "QQ"}}"#, r#"Condition.BinaryEquals["k:v"]"#),
            (r#"{"DateLessThan": {"aws:CurrentTime": 2026}}"#, r#"Condition.DateLessThan["aws:CurrentTime"]"#),
            (r#"{"NumericEquals": {"s3:max-keys": "ten"}}"#, r#"Condition.NumericEquals["s3:max-keys"]"#),
            (r#"{"ArnLike": {"aws:PrincipalArn": "alice"}}"#, r#"Condition.ArnLike["aws:PrincipalArn"]"#),
            (r#"{"StringLike": {"s3:prefix": "${aws:username"}}"#, r#"Condition.StringLike["s3:prefix"]"#),
            (r#"{"StringEquals": {"s3:prefix": []}}"#, r#"Condition.StringEquals["s3:prefix"]"#),
            (r#"{"StringEquals": {"s3:prefix": [["a"]]}}"#, r#"Condition.StringEquals["s3:prefix"][0]"#),
            (r#"{"StringEquals": {"s3:prefix": null}}"#, r#"Condition.StringEquals["s3:prefix"]"#),
            (r#"{"StringEquals": {"prefix": "a"}}"#, "Condition.StringEquals.prefix"),
            (r#"{"StringEquals": {"s3:prefix": "a", "S3:PREFIX": "b"}}"#, r#"Condition.StringEquals["S3:PREFIX"]"#),
            (r#"{"StringEquals": {}}"#, "Condition.StringEquals"),
            (r#"{"StringMatches": {"s3:prefix": "a"}}"#, "Condition.StringMatches"),
            (r#"{"NullIfExists": {"s3:prefix": "true"}}"#, "Condition.NullIfExists"),
            ("[]", "Condition"),
        ] {
            assert_eq!(block(text).expect_err(text).path, path, "{text}");
        }
    }
}
