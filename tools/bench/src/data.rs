//! The history that replay, past states and audits read, kept as a flat file of frames, and by the peers.

use crate::Result;
use crate::floor::frames;
use crate::plan::Plan;
use crate::workload::History;
use std::path::PathBuf;

/// Built once a run.
pub struct Data {
    pub history: History,
    /// The floor's file of frames, mapped.
    pub flat: memmap2::Mmap,
    pub folder: PathBuf,
    /// The same events as keyledger's own log, behind a prelude of so many commits.
    pub log: PathBuf,
    pub prelude: u64,
    /// The same events in SQLite, with a key index.
    #[cfg(feature = "peers")]
    pub sqlite: crate::peers::sqlite::Table,
}

impl Data {
    /// The frames of keyledger's own segments, in order, read into memory.
    pub fn segments(&self) -> Result<Vec<Vec<u8>>> {
        let reader = keyledger::log::LogReader::open(crate::ours::io(), &self.log)?;
        let read = |info: keyledger::log::SegmentInfo| std::fs::read(&info.path).map_err(Into::into);
        reader.segments().into_iter().map(read).collect()
    }
}

impl Data {
    pub fn build(plan: &Plan) -> Result<Self> {
        let folder = plan.folder.join("data");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        let history = History::generate(plan.seed, plan.events)?;
        let path = folder.join("flat");
        frames::write(&history, &path)?;
        let file = std::fs::File::open(&path)?;
        // SAFETY: the file was just written by this process and nobody writes it again.
        let flat = unsafe { memmap2::Mmap::map(&file)? };
        let log = folder.join("ledger");
        let prelude = crate::ours::write_log(&log, &history, plan.seed)?;
        #[cfg(feature = "peers")]
        let sqlite = {
            let mut table = crate::peers::sqlite::Table::create(&folder.join("sqlite"), false)?;
            fill(&mut table, &history)?;
            table.settle()?;
            table
        };
        Ok(Self {
            history,
            flat,
            folder,
            log,
            prelude,
            #[cfg(feature = "peers")]
            sqlite,
        })
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Gives a store the whole history in large batches.
pub fn fill(store: &mut dyn crate::durable::Store, history: &History) -> Result<()> {
    let mut batch = Vec::with_capacity(10_000);
    for entry in history.entries() {
        batch.push(entry);
        if batch.len() == batch.capacity() {
            store.commit(&batch)?;
            batch.clear();
        }
    }
    store.commit(&batch)
}
