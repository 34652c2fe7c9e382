//! redb: events by seq, and seqs by key; each commit durable at once.

use crate::Result;
use crate::durable::Store;
use crate::floor::fold;
use crate::workload::{Entry, key_id};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::path::Path;

const EVENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("events");
const BY_KEY: TableDefinition<(&[u8], u64), ()> = TableDefinition::new("by_key");

#[derive(Debug)]
pub struct Redb(Database);

impl Redb {
    pub fn create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self(Database::create(folder.join("events.redb"))?))
    }

    /// Every event folded the plain way.
    pub fn fold(&self) -> Result<fold::PlainState> {
        let mut state = fold::PlainState::new();
        let read = self.0.begin_read()?;
        for row in read.open_table(EVENTS)?.iter()? {
            fold::apply_plain(&mut state, row?.1.value())?;
        }
        Ok(state)
    }
}

impl Store for Redb {
    fn commit(&mut self, batch: &[Entry<'_>]) -> Result<()> {
        // A commit of redb is flushed unless it is asked otherwise.
        let write = self.0.begin_write()?;
        {
            let mut events = write.open_table(EVENTS)?;
            let mut by_key = write.open_table(BY_KEY)?;
            for entry in batch {
                events.insert(entry.seq, entry.payload)?;
                by_key.insert((&key_id(entry.op.key)[..], entry.seq), ())?;
            }
        }
        Ok(write.commit()?)
    }
}
