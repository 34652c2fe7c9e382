//! Where a document is wrong: the JSON path, what stands there, what should.
//!
//! Not here: which rules there are (`document`, `condition`, `pattern`).

use crate::model::text::{excerpt, is_deceptive};
use std::fmt;

/// Characters of the document repeated in an error.
const FOUND_CHARS_MAX: usize = 64;

/// Why a policy document was refused. Nothing of it was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("policy `{path}`: found {found}, expected {expected}")]
#[non_exhaustive]
pub struct DocumentError {
    /// JSON path such as `Statement[2].Condition.IpAddress["aws:SourceIp"][0]`; `document` for the whole.
    pub path: String,
    /// What stands there, escaped for a terminal, at most 64 characters of it.
    pub found: String,
    /// What may stand there.
    pub expected: String,
}

impl DocumentError {
    pub(super) fn new(path: &Path<'_>, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { path: path.to_string(), found: found.into(), expected: expected.into() }
    }

    /// The text at `path` is not what it should be.
    pub(super) fn text(path: &Path<'_>, found: &str, expected: impl Into<String>) -> Self {
        Self::new(path, quoted(found), expected)
    }
}

/// `text` in back quotes, cut to 64 characters; what could move a cursor or hide text is escaped.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", excerpt(text, FOUND_CHARS_MAX))
}

/// A place in a document. Lives on the stack beside the walk that it follows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Name(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(super) fn name(&'a self, name: &'a str) -> Path<'a> {
        Path::Name(self, name)
    }

    pub(super) fn index(&'a self, index: usize) -> Path<'a> {
        Path::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Path::Root => f.write_str("document"),
            Path::Index(&Path::Root, index) => write!(f, "[{index}]"),
            Path::Index(above, index) => write!(f, "{above}[{index}]"),
            Path::Name(above, name) => {
                if !matches!(above, Path::Root) {
                    fmt::Display::fmt(above, f)?;
                }
                let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
                    && name.len() <= FOUND_CHARS_MAX
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if plain {
                    let dot = if matches!(above, Path::Root) { "" } else { "." };
                    return write!(f, "{dot}{name}");
                }
                f.write_str("[\"")?;
                for (count, c) in name.chars().enumerate() {
                    match c {
                        _ if count == FOUND_CHARS_MAX => {
                            f.write_str("…")?;
                            break;
                        }
                        '"' | '\\' => write!(f, "\\{c}")?,
                        _ if is_deceptive(c) => write!(f, "{}", c.escape_unicode())?,
                        _ => write!(f, "{c}")?,
                    }
                }
                f.write_str("\"]")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_javascript() {
        let statement = Path::Root.name("Statement");
        let second = statement.index(2);
        let condition = second.name("Condition");
        let operator = condition.name("ForAnyValue:StringLike");
        let key = operator.name("aws:SourceIp");
        let text = key.index(0).to_string();
        assert_eq!(text, r#"Statement[2].Condition["ForAnyValue:StringLike"]["aws:SourceIp"][0]"#);
        assert_eq!(Path::Root.name("a\"\u{1b}").to_string(), r#"["a\"\u{1b}"]"#);
        assert_eq!(Path::Root.to_string(), "document");
    }

    #[test]
    fn an_error_repeats_little_and_nothing_that_moves_a_cursor() {
        let error = DocumentError::text(&Path::Root, &"\u{1b}[2J".repeat(99), "an object");
        assert!(error.found.chars().count() < 64 * 8 && !error.found.contains('\u{1b}') && error.found.ends_with("…`"));
        assert_eq!(
            DocumentError::text(&Path::Root, "x", "an object").to_string(),
            "policy `document`: found `x`, expected an object"
        );
    }
}
