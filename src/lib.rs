//! keyledger: an event-sourced access-key ledger for S3-compatible object storage.
//!
//! Every create, revoke, attach and delete of an access key is an appended, checksummed event in a log that is
//! read through memory maps; the current state and every past one are projections of it. Modules in layer order,
//! highest first; a module names only modules with a smaller number (`tests/layers.rs`).
#![deny(unsafe_code)]

#[cfg(feature = "server")]
pub mod api;
pub mod audit;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "s3s")]
pub mod front;
pub mod gate;
pub mod ledger;
pub mod log;
pub mod model;
#[cfg(feature = "node")]
pub mod node;
pub mod policy;
pub mod sigv4;
pub mod state;
pub mod sys;
pub mod vault;

/// The README's example, compiled and run as a documentation test.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
