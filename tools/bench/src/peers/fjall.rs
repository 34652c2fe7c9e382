//! fjall: events by seq, and seqs by key, in one batch flushed with `SyncAll`.

use crate::Result;
use crate::durable::Store;
use crate::floor::fold;
use crate::workload::{Entry, key_id};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::path::Path;

pub struct Fjall {
    database: Database,
    events: Keyspace,
    by_key: Keyspace,
}

impl Fjall {
    pub fn create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let database = Database::builder(folder.join("events.fjall")).open()?;
        let events = database.keyspace("events", KeyspaceCreateOptions::default)?;
        let by_key = database.keyspace("by_key", KeyspaceCreateOptions::default)?;
        Ok(Self { database, events, by_key })
    }

    /// Every event folded the plain way.
    pub fn fold(&self) -> Result<fold::PlainState> {
        let mut state = fold::PlainState::new();
        for row in self.events.iter() {
            fold::apply_plain(&mut state, &row.value()?)?;
        }
        Ok(state)
    }
}

impl Store for Fjall {
    fn commit(&mut self, batch: &[Entry<'_>]) -> Result<()> {
        let mut write = self.database.batch().durability(Some(PersistMode::SyncAll));
        for entry in batch {
            write.insert(&self.events, entry.seq.to_be_bytes(), entry.payload);
            let mut key = [0; 28];
            key[..20].copy_from_slice(&key_id(entry.op.key));
            key[20..].copy_from_slice(&entry.seq.to_be_bytes());
            write.insert(&self.by_key, key, []);
        }
        Ok(write.commit()?)
    }
}
