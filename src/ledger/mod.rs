//! Writes: the only module that appends to the log.
//!
//! A command is decided against the very state that its events will extend, by a pure function; what it decides becomes one frame, is
//! made durable, applied and published, and only then acknowledged.
//!
//! Invariants
//! - Nothing else in the crate appends, and there is one writer (`LOCK`).
//! - INVARIANT: what is published is durable. A state that readers see never goes back, whatever the disk does next.
//!
//! Not here: signatures and HTTP (`gate`, `api`), answers about the past (`audit`).

pub mod command;
pub mod decide;
mod dice;
pub mod error;
mod execute;
pub mod fresh;
mod guarded_clock;
pub mod import;
mod open;
pub mod outcome;
mod pace;
mod ticket;
mod upkeep;
mod usage;
mod vault;
mod writer;

pub use command::{
    Command, CreateAccessKey, CreateKeyWith, ImportAccessKey, NewPolicy, OwnerName, PolicyRef, Target, UpdateKeyRights,
};
pub use decide::{Decided, decide};
pub use dice::{Dice, OsDice, SeededDice};
pub use error::{ExecuteError, Noun, OpenError, Refusal};
pub use execute::{Done, Ledger, Token};
pub use fresh::Fresh;
pub use guarded_clock::{Leap, Stamp};
pub use open::{InitOptions, LedgerOptions, OpenReport};
pub use outcome::{KeyMade, Outcome};
pub use ticket::Ticket;
