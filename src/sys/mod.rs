//! The world: files and clocks, behind two small traits, real and simulated.
//!
//! Everything above reaches the operating system through [`Io`] and [`Clock`] alone, so that a test can
//! lose, tear and reorder what was not yet synced, fail the N-th call and set the clock back.
//!
//! Invariants
//! - Nothing else in the crate opens a file or reads a clock (`clippy.toml` forbids it; the command line
//!   may read what a person names on it: documents, import files).
//! - A path given to an `Io` is used as it is; there is no working directory to change.
//!
//! Not here: what the bytes mean, and the memory map itself (`log::map`, the one place with `unsafe`).

mod clock;
mod io;
mod real;
mod sim;

pub use clock::{Clock, Now, ScriptedClock, SystemClock};
pub use io::{Entry, FileId, Io, IoFile, LockHeld, LockToken, OpenMode};
pub use real::RealIo;
pub use sim::{CrashImages, CrashLimits, CrashPoint, Fault, Fill, HeldSyncs, SimDisk};
