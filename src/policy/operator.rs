//! The condition operators of IAM and what each compares.
//!
//! Source: IAM User Guide, "Condition operators". Names are exact, case included.
//!
//! Not here: the values (`value`, `pattern`) and the comparing.

use std::fmt;

/// How many of the request's values a condition speaks of, for keys that have several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantifier {
    /// `ForAnyValue:`, at least one; false without any.
    AnyValue,
    /// `ForAllValues:`, each one; true without any.
    AllValues,
}

/// What kind of value an operator takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    String,
    Numeric,
    Date,
    Bool,
    Binary,
    IpAddress,
    Arn,
    Null,
}

macro_rules! operators {
    ($($name:ident $family:ident,)*) => {
        /// A comparison.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Operator {
            $(#[doc = concat!("`", stringify!($name), "`")] $name,)*
        }

        impl Operator {
            /// Every operator there is.
            pub const ALL: &'static [Operator] = &[$(Operator::$name,)*];

            /// As it is written in a document.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Operator::$name => stringify!($name),)* }
            }

            #[must_use]
            pub fn family(self) -> Family {
                match self { $(Operator::$name => Family::$family,)* }
            }
        }
    };
}

operators! {
    StringEquals String, StringNotEquals String, StringEqualsIgnoreCase String, StringNotEqualsIgnoreCase String,
    StringLike String, StringNotLike String,
    NumericEquals Numeric, NumericNotEquals Numeric, NumericLessThan Numeric, NumericLessThanEquals Numeric,
    NumericGreaterThan Numeric, NumericGreaterThanEquals Numeric,
    DateEquals Date, DateNotEquals Date, DateLessThan Date, DateLessThanEquals Date,
    DateGreaterThan Date, DateGreaterThanEquals Date,
    Bool Bool,
    BinaryEquals Binary,
    IpAddress IpAddress, NotIpAddress IpAddress,
    ArnEquals Arn, ArnLike Arn, ArnNotEquals Arn, ArnNotLike Arn,
    Null Null,
}

impl Operator {
    /// Whether `*` and `?` in its values are wildcards. For ARNs they always are.
    #[must_use]
    pub fn has_wildcards(self) -> bool {
        matches!(self, Operator::StringLike | Operator::StringNotLike) || self.family() == Family::Arn
    }

    /// Whether it holds when the values do *not* match: true, too, for a key the request does not have.
    #[must_use]
    pub fn is_negated(self) -> bool {
        matches!(
            self,
            Operator::StringNotEquals
                | Operator::StringNotEqualsIgnoreCase
                | Operator::StringNotLike
                | Operator::NumericNotEquals
                | Operator::DateNotEquals
                | Operator::NotIpAddress
                | Operator::ArnNotEquals
                | Operator::ArnNotLike
        )
    }
}

/// An operator with the prefix and suffix it was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperatorUse {
    pub quantifier: Option<Quantifier>,
    pub operator: Operator,
    /// `…IfExists`: also true for a key the request does not have.
    pub if_exists: bool,
}

impl OperatorUse {
    /// Reads `StringLike`, `IpAddressIfExists`, `ForAllValues:StringEquals`.
    ///
    /// # Errors
    /// What was expected instead. `Null` takes neither prefix nor suffix: it asks for the key itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (quantifier, rest) = if let Some(rest) = text.strip_prefix("ForAnyValue:") {
            (Some(Quantifier::AnyValue), rest)
        } else if let Some(rest) = text.strip_prefix("ForAllValues:") {
            (Some(Quantifier::AllValues), rest)
        } else {
            (None, text)
        };
        let (name, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |name| (name, true));
        let known = Operator::ALL.iter().find(|operator| operator.name() == name);
        let Some(&operator) = known else {
            let close = Operator::ALL.iter().find(|operator| {
                operator.name().eq_ignore_ascii_case(name)
                    || rest.to_ascii_lowercase().strip_suffix("ifexists")
                        == Some(operator.name().to_ascii_lowercase().as_str())
            });
            return Err(match close {
                Some(operator) => format!("`{}`, with its case", operator.name()),
                None => "a condition operator such as `StringEquals`, `NumericLessThan`, `DateGreaterThan`, `Bool`, \
                         `IpAddress`, `ArnLike` or `Null`, alone, with `IfExists` behind or `ForAnyValue:` or \
                         `ForAllValues:` before it"
                    .to_owned(),
            });
        };
        if operator == Operator::Null && (if_exists || quantifier.is_some()) {
            return Err("`Null` alone: it asks whether the key is there".to_owned());
        }
        Ok(Self { quantifier, operator, if_exists })
    }
}

impl fmt::Display for OperatorUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.quantifier {
            Some(Quantifier::AnyValue) => "ForAnyValue:",
            Some(Quantifier::AllValues) => "ForAllValues:",
            None => "",
        })?;
        f.write_str(self.operator.name())?;
        f.write_str(if self.if_exists { "IfExists" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_reads_back_with_every_prefix_and_suffix() {
        let mut read = 0;
        for operator in Operator::ALL {
            for prefix in ["", "ForAnyValue:", "ForAllValues:"] {
                for suffix in ["", "IfExists"] {
                    let text = format!("{prefix}{}{suffix}", operator.name());
                    match OperatorUse::parse(&text) {
                        Ok(used) => assert_eq!(used.to_string(), text),
                        Err(_) => assert!(*operator == Operator::Null && text != "Null", "{text}"),
                    }
                    read += 1;
                }
            }
        }
        assert_eq!((Operator::ALL.len(), read), (27, 162));
    }

    #[test]
    fn a_near_miss_is_named() {
        assert_eq!(OperatorUse::parse("stringequals").unwrap_err(), "`StringEquals`, with its case");
        assert_eq!(OperatorUse::parse("BoolIfexists").unwrap_err(), "`Bool`, with its case");
        for text in ["", "StringMatches", "ForAnyValue:", "IfExists", "ForAllvalues:Bool", "BoolIfExistsIfExists"] {
            assert!(OperatorUse::parse(text).is_err(), "{text}");
        }
    }
}
