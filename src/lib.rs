//! keyledger: an event-sourced access-key ledger for S3-compatible object storage.
//!
//! Every create, revoke, attach and delete of an access key is an appended, checksummed event in a log that is
//! read through memory maps; the current state and every past one are projections of it. Modules in layer order,
//! lowest first; a module names only modules above it in this list (`tests/layers.rs`).
#![deny(unsafe_code)]

pub mod audit;
pub mod model;
pub mod state;
pub mod sys;
