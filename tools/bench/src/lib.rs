//! What keyledger's benchmark is made of: workloads, floors, peers, and the stages that race them.
//!
//! A *floor* is the least work the machine could do for the same answer, a *peer* is what a user would pick instead.
//! Both are measured in the same run as keyledger, in turns, because figures move with the machine and its neighbours
//! and ratios far less.
//!
//! Invariants
//! - Nothing is printed that this run did not measure; what was not measured is a dash.
//! - Every path that answers is checked against another: rebuilt states by digest, audits by count.
//!
//! Not here: the goals' reasons (ARCHITECTURE.md) and tests of correctness (`tests/` of the crate).

pub mod audit;
pub mod cloudtrail;
pub mod commands;
pub mod console;
pub mod data;
pub mod disk;
pub mod durable;
pub mod floor;
pub mod gate;
pub mod http;
pub mod import;
pub mod lookup;
pub mod noise;
pub mod ours;
pub mod peers;
pub mod pit;
pub mod plan;
pub mod policy;
pub mod replay;
pub mod rng;
pub mod shim;
pub mod signature;
pub mod table;
pub mod workload;

/// Whatever went wrong, for a person to read.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// A result that any failure ends.
pub type Result<T> = std::result::Result<T, Error>;
