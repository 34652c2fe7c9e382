//! AWS IAM policy documents: parsed, checked and compiled when they are stored.
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
//! Not here: who holds a document (`state::access`), its name and versions (`ledger::decide`), and whether a
//! request is allowed by it.

mod condition;
mod document;
mod error;
mod json;
pub mod managed;
mod operator;
mod pattern;
mod summary;
mod value;

pub use condition::{Condition, ConditionKey, Values};
pub use document::{Document, DocumentKind, Effect, Language, Listed, Statement, size_non_blank};
pub use error::DocumentError;
pub use operator::{Family, Operator, OperatorUse, Quantifier};
pub use pattern::{ActionPattern, ArnPattern, Part, Pattern, ResourcePattern, Variable};
pub use summary::Grant;
pub use value::{Cidr, Number};
