//! Whether a condition holds for a request.
//!
//! Source: IAM User Guide, "Condition operators" and "Set operators for multivalued context keys". Where AWS leaves a case
//! open, the answer here and its reason:
//! - a key with several values and an operator without `ForAnyValue:` or `ForAllValues:` does not match, negated or not:
//!   AWS demands the prefix there;
//! - a value an operator cannot read (`ten` for `NumericEquals`) equals nothing, so a negated operator holds;
//! - an empty list of values is no key.
//!
//! Not here: reading a document's values (`condition`) and a request's (`request`).

use super::condition::{Condition, Values};
use super::operator::{Operator, Quantifier};
use super::request::{Context, Found, Value};
use std::cmp::Ordering;

impl Condition {
    /// Whether it holds. Typed values of the two keys that gates meet most are compared here, all else out of the way.
    /// Whether it holds for a request that has `context`.
    #[inline]
    pub fn holds<C: Context + ?Sized>(&self, context: &C) -> bool {
        let operator = self.operator.operator;
        let found = context.find(&self.key);
        if self.operator.quantifier.is_none()
            && let Found::One(value) = found
        {
            match (&self.values, value) {
                (Values::Address(ranges), Value::Address(address)) => {
                    let address = address.to_canonical();
                    return ranges.iter().any(|range| range.contains(address)) != operator.is_negated();
                }
                (Values::Date(dates), Value::Time(time)) => {
                    let moment = i128::from(time.0);
                    let one_of = dates.iter().any(|date| compares(operator, moment.cmp(&date.as_nanosecond())));
                    return one_of != operator.is_negated();
                }
                _ => {}
            }
        }
        self.holds_in_general(found.plain(), context)
    }

    #[inline(never)]
    fn holds_in_general<C: Context + ?Sized>(&self, found: Found<'_>, context: &C) -> bool {
        let operator = self.operator.operator;
        if let (Operator::Null, Values::Bool(absent)) = (operator, &self.values) {
            return absent.contains(&(found == Found::Absent));
        }
        let negated = operator.is_negated();
        let test = |value: &Value<'_>| self.values.have(operator, value, context) != negated;
        match (self.operator.quantifier, found) {
            (_, Found::Absent) if self.operator.if_exists => true,
            (None, Found::Absent) => negated,
            (None, Found::One(value)) => test(&value),
            (None, Found::Many(_)) => false,
            (Some(Quantifier::AnyValue), found) => found.each().any(test),
            (Some(Quantifier::AllValues), found) => found.each().all(test),
        }
    }
}

impl Values {
    /// Whether `value` is one of these in the sense of `operator`, its negation left out.
    #[inline]
    fn have<C: Context + ?Sized>(&self, operator: Operator, value: &Value<'_>, context: &C) -> bool {
        match self {
            Values::Text(patterns) => value.with_text(|text| match operator {
                Operator::StringEqualsIgnoreCase | Operator::StringNotEqualsIgnoreCase => {
                    patterns.iter().any(|pattern| pattern.matches_ignoring_case(text, context))
                }
                _ => patterns.iter().any(|pattern| pattern.matches(text, context)),
            }),
            Values::Address(ranges) => {
                value.address().is_some_and(|address| ranges.iter().any(|range| range.contains(address)))
            }
            Values::Date(dates) => {
                let one_of =
                    |moment: i128| dates.iter().any(|date| compares(operator, moment.cmp(&date.as_nanosecond())));
                value.moment().is_some_and(one_of)
            }
            Values::Number(numbers) => {
                value.number().is_some_and(|number| numbers.iter().any(|wanted| compares(operator, number.cmp(wanted))))
            }
            Values::Bool(wanted) => value.boolean().is_some_and(|value| wanted.contains(&value)),
            Values::Bytes(wanted) => value.with_text(|text| {
                super::value::bytes(text).is_some_and(|bytes| wanted.iter().any(|wanted| **wanted == *bytes))
            }),
            Values::Arn(patterns) => {
                value.with_text(|text| patterns.iter().any(|pattern| pattern.matches(text, context)))
            }
        }
    }
}

/// Whether a request's value that compares so with a policy's is what `operator` asks for, its negation left out.
#[inline]
fn compares(operator: Operator, value: Ordering) -> bool {
    use Operator as O;
    match operator {
        O::NumericLessThan | O::DateLessThan => value.is_lt(),
        O::NumericLessThanEquals | O::DateLessThanEquals => value.is_le(),
        O::NumericGreaterThan | O::DateGreaterThan => value.is_gt(),
        O::NumericGreaterThanEquals | O::DateGreaterThanEquals => value.is_ge(),
        _ => value.is_eq(),
    }
}
