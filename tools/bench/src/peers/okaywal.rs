//! okaywal: a log alone, without an index; it forgets segments once they are checkpointed, as it is made to.

use crate::Result;
use crate::durable::{SharedStore, Store};
use crate::workload::Entry;
use okaywal::{Configuration, LogVoid, WriteAheadLog};
use std::path::Path;

#[derive(Debug)]
pub struct Wal(WriteAheadLog);

impl Wal {
    pub fn create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        // Segments as large as a ledger's, not the default of 1 MiB, which would cost it a roll every 3,000 events.
        let configuration = Configuration::default_for(folder.join("wal"))
            .preallocate_bytes(8 << 20)
            .checkpoint_after_bytes((8 << 20) - (512 << 10));
        Ok(Self(configuration.open(LogVoid)?))
    }
}

impl Store for Wal {
    fn commit(&mut self, batch: &[Entry<'_>]) -> Result<()> {
        let mut write = self.0.begin_entry()?;
        for entry in batch {
            write.write_chunk(entry.payload)?;
        }
        write.commit()?;
        Ok(())
    }
}

impl SharedStore for Wal {
    fn append(&self, entry: &Entry<'_>) -> Result<()> {
        let mut write = self.0.begin_entry()?;
        write.write_chunk(entry.payload)?;
        write.commit()?;
        Ok(())
    }
}
