//! keyledger: an event-sourced access-key ledger for S3-compatible object storage.
//!
//! Every create, revoke, attach and delete of an access key is an appended, checksummed event in a log that is
//! read through memory maps; the current state and every past one are projections of it. Modules in layer order,
//! highest first; a module names only modules with a smaller number (`tests/layers.rs`).
#![deny(unsafe_code)]

pub mod audit;
/// 1: the nouns.
pub mod model;
/// 2: IAM policy documents.
pub mod policy;
/// 3: what the events add up to.
pub mod state;
/// 0: files and clocks, real and simulated.
pub mod sys;
