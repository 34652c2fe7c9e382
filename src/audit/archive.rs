//! A log with its index: the history that every report is asked of.
//!
//! Not here: the index's files (`index`), walking without one (`scan`).

use super::index::{Index, IndexReport};
use super::source::{History, Plan, Visit};
use super::{AuditError, scan};
use crate::log::LogReader;
use crate::model::{Seq, Time};
use crate::state::{Recorded, State, at};
use crate::sys::Io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A log, read with its index.
#[derive(Debug)]
pub struct Archive {
    reader: LogReader,
    io: Arc<dyn Io>,
    /// Where its snapshots are; none of an archive without an index.
    dir: Option<PathBuf>,
    index: Option<Index>,
    /// What is shown: commits behind it are for the next refresh.
    last_seq: u64,
}

impl Archive {
    /// Opens a log with its index in `dir/idx`; what of it is missing or wrong is built, and written where that is allowed.
    ///
    /// # Errors
    /// Whatever keeps the log from being read. A folder that cannot be written is no error.
    pub fn open(io: Arc<dyn Io>, dir: &Path, reader: LogReader) -> Result<(Self, IndexReport), AuditError> {
        let (index, report) = Index::open(io.as_ref(), dir, &reader)?;
        let last_seq = index.last_seq();
        Ok((Self { reader, io, dir: Some(dir.to_owned()), index: Some(index), last_seq }, report))
    }

    /// Opens a log to be walked, without an index: for a question that needs every commit anyway.
    #[must_use]
    pub fn without_index(io: Arc<dyn Io>, reader: LogReader) -> Self {
        let last_seq = reader.last_seq();
        Self { reader, io, dir: None, index: None, last_seq }
    }

    pub fn reader(&self) -> &LogReader {
        &self.reader
    }

    /// Whether questions are answered from an index.
    pub fn is_indexed(&self) -> bool {
        self.index.is_some()
    }

    /// Takes in what was written since; returns the last seq.
    ///
    /// # Errors
    /// As [`LogReader::refresh`], and whatever keeps the log from being read.
    pub fn refresh(&mut self) -> Result<Seq, AuditError> {
        self.reader.refresh()?;
        match &mut self.index {
            Some(index) => {
                index.refresh(self.io.as_ref(), &self.reader)?;
                self.last_seq = index.last_seq();
            }
            None => self.last_seq = self.reader.last_seq(),
        }
        Ok(Seq(self.last_seq))
    }

    /// Waits until there may be more, then [`Archive::refresh`]: `audit log --follow` asks from the old last seq on.
    ///
    /// # Errors
    /// As [`LogReader::wait`] and [`Archive::refresh`].
    pub fn wait(&mut self, timeout: Duration) -> Result<Seq, AuditError> {
        self.reader.wait(timeout)?;
        self.refresh()
    }
}

impl History for Archive {
    fn last_seq(&self) -> Seq {
        Seq(self.last_seq)
    }

    fn seq_at(&self, time: Time) -> Result<Seq, AuditError> {
        Ok(Seq(self.reader.seq_at_time(time.0)?.min(self.last_seq)))
    }

    fn state_at(&self, seq: Seq) -> Result<State, AuditError> {
        let replayed = match &self.dir {
            Some(dir) => at::at(self.io.as_ref(), dir, &self.reader, seq, &mut |_| {})?.state,
            None => at::replay(&self.reader, State::empty(), seq, &mut |_| {})?,
        };
        Ok(replayed)
    }

    fn select(
        &self,
        plan: &Plan,
        fits: &(dyn Fn(&Recorded) -> bool + Sync),
        each: &mut Visit<'_>,
    ) -> Result<(), AuditError> {
        let range = (*plan.range.start()).max(1)..=(*plan.range.end()).min(self.last_seq);
        if range.is_empty() {
            return Ok(());
        }
        match &self.index {
            None => scan::walk(&self.reader, &[range], plan, fits, each),
            Some(index) if plan.terms.is_empty() => {
                scan::walk(&self.reader, &index.ranges(plan, &range), plan, fits, each)
            }
            Some(index) => {
                let chosen = scan::Chosen { reader: &self.reader, index };
                scan::read(&chosen, index.candidates(plan, &range), plan, fits, each)
            }
        }
    }
}
