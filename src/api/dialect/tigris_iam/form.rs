//! The dialect's parameters: a form in the body, the action also in the query.
//!
//! Invariants
//! - Text is UTF-8, and a name stands once; `Action` may stand in both places when it is the same.
//!
//! Not here: what a parameter means (the actions).

use super::failure::Failure;
use crate::model::text::excerpt;
use crate::sigv4::{query_pairs, query_text};
use std::collections::BTreeMap;

const PAIRS_MAX: usize = 64;

/// Parameters by name.
#[derive(Debug)]
pub struct Form(BTreeMap<String, String>);

impl Form {
    /// # Errors
    /// 400 for what no client sends.
    pub fn parse(query: &str, body: &[u8]) -> Result<Self, Failure> {
        let mut form: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in query_pairs(query.as_bytes()).chain(query_pairs(body)) {
            let (Some(name), Some(value)) = (query_text(name), query_text(value)) else {
                return Err(Failure::input("The form is not UTF-8."));
            };
            match form.get(&*name) {
                Some(first) if name == "Action" && *first == *value => {}
                Some(_) => {
                    return Err(Failure::input(format!("`{}` is given more than once.", excerpt(&name, 64))));
                }
                None if form.len() >= PAIRS_MAX => return Err(Failure::input("The form has too many parameters.")),
                None => drop(form.insert(name.into_owned(), value.into_owned())),
            }
        }
        Ok(Self(form))
    }

    /// # Errors
    /// 400 without one.
    pub fn action(&self) -> Result<&str, Failure> {
        let missing = || Failure::new(400, "MissingAction", "The request names no Action.");
        self.optional("Action").ok_or_else(missing)
    }

    /// A parameter that is there and not empty.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// # Errors
    /// 400 when it is missing.
    pub fn needed(&self, name: &'static str) -> Result<&str, Failure> {
        self.optional(name).ok_or_else(|| Failure::input(format!("`{name}` is missing.")))
    }

    /// `MaxItems`.
    ///
    /// # Errors
    /// 400 outside 1 to 1000.
    pub fn items_max(&self) -> Result<usize, Failure> {
        let Some(text) = self.optional("MaxItems") else { return Ok(1_000) };
        let number = text.parse().ok().filter(|number| (1..=1_000).contains(number));
        number.ok_or_else(|| Failure::input("`MaxItems` is not valid: expected 1 to 1000."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_stands_in_the_query_or_the_body_or_in_both_alike() {
        let action = |query: &str, body: &str| {
            Form::parse(query, body.as_bytes()).and_then(|form| form.action().map(str::to_owned)).map_err(|f| f.code)
        };
        assert_eq!(action("Action=RotateAccessKey", "AccessKeyId=x").unwrap(), "RotateAccessKey");
        assert_eq!(action("Detailed", "Action=ListAccessKeys").unwrap(), "ListAccessKeys");
        assert_eq!(action("Action=A", "Action=A").unwrap(), "A");
        assert_eq!(action("Action=A", "Action=B"), Err("ValidationError"));
        assert_eq!(action("", "x=1&x=1"), Err("ValidationError"));
        assert_eq!(action("", "x=%ff"), Err("ValidationError"));
        assert_eq!(action("", ""), Err("MissingAction"));
    }

    #[test]
    fn a_plus_is_a_space_and_escapes_are_read() {
        let form = Form::parse("", b"Description=a+b%2B%C3%BC").unwrap();
        assert_eq!(form.optional("Description"), Some("a b+ü"));
        assert!(Form::parse("", b"MaxItems=0").unwrap().items_max().is_err());
    }
}
