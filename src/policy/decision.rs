//! What came of a question: the verdict, and the statement that decided.
//!
//! Not here: why the others did not match (`explain`).

use serde::Serialize;
use std::fmt;

/// May it be done?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub enum Verdict {
    /// Some statement allows it and none denies it.
    Allow,
    /// Some statement denies it, whatever allows it.
    ExplicitDeny,
    /// No statement speaks of it.
    ImplicitDeny,
}

impl Verdict {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Allow => "Allow",
            Verdict::ExplicitDeny => "ExplicitDeny",
            Verdict::ImplicitDeny => "ImplicitDeny",
        }
    }

    #[must_use]
    pub fn is_allow(self) -> bool {
        self == Verdict::Allow
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A statement among the documents that were asked, both counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct StatementAt {
    pub document: u32,
    pub statement: u32,
}

/// The verdict and the first statement that brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decision {
    pub verdict: Verdict,
    /// The first deny that matched, else the first allow; none when it is denied implicitly.
    pub by: Option<StatementAt>,
}

impl Decision {
    /// No statement speaks of it.
    pub const IMPLICIT_DENY: Decision = Decision { verdict: Verdict::ImplicitDeny, by: None };

    #[must_use]
    pub fn is_allow(self) -> bool {
        self.verdict.is_allow()
    }
}
