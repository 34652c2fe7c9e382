//! What a user would pick instead: SQLite, redb, fjall, okaywal, and for policies iam-rs and Cedar. Without the feature `peers` the lists are empty.
//!
//! Every peer keeps the same payload, durably acknowledged, and an index from key to events where it has indexes.

use crate::Result;
use crate::durable::{SharedStore, Store};
use std::path::Path;

#[cfg(feature = "peers")]
pub mod fjall;
#[cfg(feature = "peers")]
pub mod okaywal;
#[cfg(feature = "peers")]
pub mod policy;
#[cfg(feature = "peers")]
pub mod redb;
#[cfg(feature = "peers")]
pub mod signature;
#[cfg(feature = "peers")]
pub mod sqlite;
#[cfg(feature = "peers")]
pub mod stack;

/// A peer that commits batches.
#[derive(Debug)]
pub struct Peer {
    pub name: &'static str,
    pub open: fn(&Path) -> Result<Box<dyn Store>>,
}

/// A peer that many threads use at once.
#[derive(Debug)]
pub struct SharedPeer {
    pub name: &'static str,
    pub open: fn(&Path) -> Result<Box<dyn SharedStore>>,
}

#[cfg(feature = "peers")]
pub const STORES: &[Peer] = &[
    Peer { name: "SQLite WAL FULL", open: |folder| Ok(Box::new(sqlite::Table::create(folder, true)?)) },
    Peer { name: "redb", open: |folder| Ok(Box::new(redb::Redb::create(folder)?)) },
    Peer { name: "fjall", open: |folder| Ok(Box::new(fjall::Fjall::create(folder)?)) },
    Peer { name: "okaywal", open: |folder| Ok(Box::new(okaywal::Wal::create(folder)?)) },
];
#[cfg(not(feature = "peers"))]
pub const STORES: &[Peer] = &[];

#[cfg(feature = "peers")]
pub const SHARED: &[SharedPeer] = &[
    SharedPeer { name: "SQLite, a transaction each", open: |folder| Ok(Box::new(sqlite::InTurns::create(folder)?)) },
    SharedPeer { name: "okaywal, its own grouping", open: |folder| Ok(Box::new(okaywal::Wal::create(folder)?)) },
];
#[cfg(not(feature = "peers"))]
pub const SHARED: &[SharedPeer] = &[];
