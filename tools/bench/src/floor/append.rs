//! The floor of a durable append: pwrite and fdatasync on prewritten files, as many flushes as the ledger makes.

use crate::Result;
use crate::durable::Store;
use crate::workload::Entry;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file written with zeros and flushed before it is used; begins again at its start when full.
#[derive(Debug)]
pub struct Prewritten {
    file: File,
    len: u64,
    at: u64,
}

impl Prewritten {
    /// Makes a file of `len` bytes.
    pub fn create(path: &Path, len: u64) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        let zeros = vec![0; 64 << 10];
        let mut at = 0;
        while at < len {
            let part = zeros.len().min((len - at) as usize);
            file.write_all_at(&zeros[..part], at)?;
            at += part as u64;
        }
        file.sync_all()?;
        Ok(Self { file, len, at: 0 })
    }

    /// Writes behind what was written last.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        if self.at + bytes.len() as u64 > self.len {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    pub fn flush(&self) -> Result<()> {
        Ok(self.file.sync_data()?)
    }
}

/// Appends each batch to a log; with two files a witness is flushed after it, with three key slots before it.
#[derive(Debug)]
pub struct FloorLog {
    log: Prewritten,
    witness: Option<Prewritten>,
    slots: Option<Prewritten>,
    /// What a frame adds to its payload, in bytes.
    frame_overhead: usize,
    buffer: Vec<u8>,
}

impl FloorLog {
    /// `files` is 1 (log), 2 (and witness) or 3 (and key slots).
    pub fn create(folder: &Path, files: usize, frame_overhead: usize) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let more = |wanted: usize, name: &str, len: u64| {
            (files >= wanted).then(|| Prewritten::create(&folder.join(name), len)).transpose()
        };
        Ok(Self {
            log: Prewritten::create(&folder.join("log"), 64 << 20)?,
            // Two slots of 4 KiB, used in turn.
            witness: more(2, "witness", 8192)?,
            slots: more(3, "slots", 8 << 20)?,
            frame_overhead,
            buffer: Vec::new(),
        })
    }
}

impl Store for FloorLog {
    fn commit(&mut self, batch: &[Entry<'_>]) -> Result<()> {
        if let Some(slots) = &mut self.slots {
            self.buffer.clear();
            self.buffer.resize(192 * batch.len(), 1);
            slots.append(&self.buffer)?;
            slots.flush()?;
        }
        self.buffer.clear();
        for entry in batch {
            self.buffer.resize(self.buffer.len() + self.frame_overhead, 1);
            self.buffer.extend_from_slice(entry.payload);
        }
        self.log.append(&self.buffer)?;
        self.log.flush()?;
        if let Some(witness) = &mut self.witness {
            witness.append(&[1; 4096])?;
            witness.flush()?;
        }
        Ok(())
    }
}
