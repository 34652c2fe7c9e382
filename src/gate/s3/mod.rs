//! The API of S3, as far as rights are concerned.
//!
//! Not here: bodies and answers.

mod operation;
pub(crate) mod param;
pub(crate) mod table;

pub use operation::{Class, Operation};
