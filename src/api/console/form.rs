//! A form's fields, or a query's: names and values, as a browser sends them.
//!
//! Invariants
//! - Text is UTF-8, and there is no more of it than a form of ours has.
//!
//! Not here: what a field means (the pages).

use super::refused::Refused;
use crate::model::limits::GRANTS_MAX;
pub use crate::model::text::percent_encoded as encoded;
use crate::sigv4::{query_pairs, query_text};

/// A role a bucket, and what else a form has.
const FIELDS_MAX: usize = GRANTS_MAX + 100;

/// Fields in order; a name may stand more than once.
#[derive(Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// # Errors
    /// 400 for what no browser sends.
    pub fn parse(text: &[u8]) -> Result<Self, Refused> {
        let mut fields = Vec::new();
        for (name, value) in query_pairs(text) {
            let (Some(name), Some(value)) = (query_text(name), query_text(value)) else {
                return Err(Refused::input("The form is not UTF-8."));
            };
            if fields.len() == FIELDS_MAX {
                return Err(Refused::input("The form has too many fields."));
            }
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(fields))
    }

    /// The first field of that name, without the space around it; empty when there is none.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value.trim())
    }

    /// [`Form::text`], if there is any.
    pub fn some(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// As it was typed, line ends as `\n`.
    pub fn verbatim(&self, name: &str) -> String {
        let found = self.0.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.replace("\r\n", "\n")).unwrap_or_default()
    }

    /// Every value of that name that is not empty.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, value)| own == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Fields whose names begin with `prefix`: the rest of the name, and a value that is not empty.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let fields = self.0.iter().filter(|(_, value)| !value.is_empty());
        fields.filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// A query with the same fields but `name`, which becomes `value`; empty: it is left out.
    pub fn with(&self, name: &str, value: &str) -> String {
        let kept = self.0.iter().filter(|(own, value)| own != name && !value.is_empty());
        let mut query = String::new();
        let changed = (name.to_owned(), value.to_owned());
        for (name, value) in kept.chain(Some(&changed).filter(|_| !value.is_empty())) {
            query.push(if query.is_empty() { '?' } else { '&' });
            query.push_str(&encoded(name));
            query.push('=');
            query.push_str(&encoded(value));
        }
        query
    }
}

/// A part of a path, decoded; `None` when it is not UTF-8.
pub fn decoded(part: &str) -> Option<String> {
    // In a path a plus is a plus.
    query_text(part.replace('+', "%2B").as_bytes()).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_browsers_send_them() {
        let form = Form::parse(b"label=+a+%26+b+&role.photos=Editor&role.x=&policy=p&policy=q&text=a%0D%0Ab").unwrap();
        assert_eq!(form.text("label"), "a & b");
        assert_eq!(form.below("role.").collect::<Vec<_>>(), [("photos", "Editor")]);
        assert_eq!(form.all("policy").collect::<Vec<_>>(), ["p", "q"]);
        assert_eq!(form.verbatim("text"), "a\nb");
        assert!(Form::parse(b"x=%ff").is_err());
        assert!(Form::parse("a=1&".repeat(FIELDS_MAX + 1).as_bytes()).is_err());
    }

    #[test]
    fn a_query_is_written_with_one_field_changed() {
        let form = Form::parse(b"q=a%20b&after=X&status=").unwrap();
        assert_eq!(form.with("after", "Y/&"), "?q=a%20b&after=Y%2F%26");
        assert_eq!(form.with("after", ""), "?q=a%20b");
        assert_eq!(decoded("a%2Fb+c").as_deref(), Some("a/b+c"));
    }
}
