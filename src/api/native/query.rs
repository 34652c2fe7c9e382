//! The query of a request, read by what its route takes: a parameter that is unknown, doubled or out of bounds is refused.
//!
//! Not here: what a parameter does.

use super::problem::Problem;
use super::table::{Kind, Route};
use crate::model::text::excerpt;
use crate::sigv4::{query_pairs, query_text};
use std::collections::BTreeMap;

/// Characters of a value.
const VALUE_CHARS_MAX: usize = 2_048;
/// Values of one parameter that may be given several times.
const VALUES_MAX: usize = 64;

/// Values by name, each as its route takes it.
#[derive(Debug, Default)]
pub struct Query(BTreeMap<&'static str, Vec<String>>);

impl Query {
    /// # Errors
    /// 400 naming the parameter.
    pub fn parse(route: &Route, query: &str) -> Result<Self, Problem> {
        let mut values: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        for (name, value) in query_pairs(query.as_bytes()) {
            let (Some(name), Some(value)) = (query_text(name), query_text(value)) else {
                return Err(Problem::new(400, "invalid-input", "The query is not UTF-8."));
            };
            let Some(param) = route.params().find(|param| param.name == name) else {
                let name = excerpt(&name, 64);
                return Err(
                    Problem::new(400, "unknown-parameter", format!("`{name}` is no parameter of this.")).at(name)
                );
            };
            let given = values.entry(param.name).or_default();
            if !given.is_empty() && !matches!(param.kind, Kind::Many) {
                let detail = format!("`{}` is given more than once.", param.name);
                return Err(Problem::new(400, "duplicate-parameter", detail).at(param.name));
            }
            if given.len() >= VALUES_MAX || value.chars().count() > VALUE_CHARS_MAX {
                return Err(Problem::invalid(param.name, "at most 64 values of at most 2048 characters"));
            }
            check(param.kind, &value).map_err(|expected| Problem::invalid(param.name, expected))?;
            given.push(value.into_owned());
        }
        if let Some(missing) = route.params().find(|param| param.required && !values.contains_key(param.name)) {
            let detail = format!("`{}` is missing.", missing.name);
            return Err(Problem::new(400, "missing-parameter", detail).at(missing.name));
        }
        Ok(Self(values))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str)
    }

    pub fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// It was looked at when the query was read.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    pub fn flag(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }
}

/// What is expected instead.
fn check(kind: Kind, value: &str) -> Result<(), String> {
    match kind {
        Kind::Text | Kind::When | Kind::Many if value.is_empty() => Err("a value".to_owned()),
        Kind::Text | Kind::When | Kind::Many => Ok(()),
        Kind::Number(min, max) => {
            let digits = value.bytes().all(|byte| byte.is_ascii_digit());
            let number = value.parse().ok().filter(|number| digits && (min..=max).contains(number));
            number.map(drop).ok_or_else(|| format!("a number from {min} to {max}"))
        }
        Kind::Flag if matches!(value, "true" | "false") => Ok(()),
        Kind::Flag => Err("true or false".to_owned()),
        Kind::OneOf(words) if words.contains(&value) => Ok(()),
        Kind::OneOf(words) => Err(format!("one of {}", words.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::{Found, find, routes};
    use super::*;

    fn parsed(path: &str, query: &str) -> Result<Query, &'static str> {
        let Found::Route(route, _) = find("GET", &format!("/api/v1{path}")) else { panic!("no route {path}") };
        Query::parse(route, query).map_err(|problem| problem.code())
    }

    #[test]
    fn what_a_route_does_not_take_is_refused() {
        assert_eq!(parsed("/users", "limit=7&path_prefix=%2Fapps%2F").unwrap().number("limit"), Some(7));
        assert_eq!(parsed("/users", "").unwrap().number("limit"), None);
        for (query, code) in [
            ("nothing=1", "unknown-parameter"),
            ("limit=1&limit=1", "duplicate-parameter"),
            ("limit=0", "invalid-input"),
            ("limit=%2B1", "invalid-input"),
            ("limit=1001", "invalid-input"),
            ("limit=18446744073709551616", "invalid-input"),
            ("min_seq=-1", "invalid-input"),
            ("cursor=", "invalid-input"),
            ("cursor=%ff", "invalid-input"),
        ] {
            assert_eq!(parsed("/users", query).unwrap_err(), code, "{query}");
        }
        assert_eq!(parsed("/audit/diff", "").unwrap_err(), "missing-parameter");
    }

    #[test]
    fn no_route_takes_a_parameter_without_looking_at_it() {
        for route in routes() {
            let long = "x".repeat(VALUE_CHARS_MAX + 1);
            for param in route.params() {
                assert!(Query::parse(route, &format!("{}={long}", param.name)).is_err(), "{route:?} {}", param.name);
            }
        }
    }
}
