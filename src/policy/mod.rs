//! AWS IAM policy documents: parsed, checked and compiled when they are stored, and evaluated against requests.
//!
//! A stored document is one that can be evaluated without a further question: every pattern, date, number and
//! address range in it has been understood. What is not understood is refused with its JSON path, what was
//! found there and what was expected; nothing is dropped or guessed, since a condition that is silently lost
//! widens what a key may do.
//!
//! Invariants
//! - Pure functions over values: no files, clocks or network.
//! - Sizes are checked before parsing and nesting while parsing, so no document can exhaust memory or stack.
//! - A [`Document`] parsed from another's [`Document::minified`] text is equal to it.
//!
//! [`evaluate`] answers a [`Request`] by any number of documents, as a [`Decision`]. What a request has is asked for through
//! [`Context`], key by key.
//!
//! Not here: who holds a document (`state::access`), its name and versions (`ledger::decide`), and how a request of S3
//! becomes an action, a resource and keys (the request gate).

mod action;
mod arn;
mod cases;
mod compare;
mod condition;
mod decision;
mod document;
mod error;
mod evaluate;
mod explain;
mod json;
mod key;
pub mod managed;
mod matching;
mod operator;
mod pattern;
mod program;
mod request;
mod summary;
mod value;

pub use action::Action;
pub use arn::{ArnPattern, ResourcePattern};
pub use cases::{Answered, Cases, Unanswered};
pub use condition::{Condition, Values};
pub use decision::{Decision, StatementAt, Verdict};
pub use document::{Document, DocumentKind, Effect, Language, Listed, Statement, size_non_blank};
pub use error::DocumentError;
pub use evaluate::{evaluate, first_deny};
pub use explain::{Explained, Explanation, FailedCondition, Outcome, explain};
pub use key::{ConditionKey, KnownKey};
pub use operator::{Family, Operator, OperatorUse, Quantifier};
pub use pattern::{ActionPattern, Part, Pattern, Variable};
pub use request::{Context, Found, Request, Value};
pub use summary::Grant;
pub use value::{Cidr, Number};
