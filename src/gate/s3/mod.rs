//! The API of S3, as far as rights are concerned.
//!
//! Not here: bodies and answers.

mod operation;

pub use operation::{Class, Operation};
