//! Making a torn log whole: what is good of the last segment is written anew.
//!
//! [`Survey::mend`] copies the good prefix into a new file, flushes it and renames it over the old one. That
//! writes every byte again (after a failed fsync the page cache can hold frames that never reached the disk), leaves
//! nothing stale behind the end, and can be cut short anywhere and begun again.
//!
//! Not here: what is good (`recovery`).

use super::bytes::nonzero_end;
use super::error::{LogError, is_full};
use super::recovery::Survey;
use super::segment::FOLDER;
use crate::sys::{Io, OpenMode};
use std::io;
use std::path::{Path, PathBuf};

const QUARANTINE: &str = "quarantine";
const COPY_NAME: &str = "recover.tmp";
/// Files kept in quarantine; the oldest go first.
const QUARANTINE_FILES_MAX: usize = 16;

/// A torn tail that was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    pub segment: PathBuf,
    /// Where the good frames end.
    pub offset: u64,
    /// Bytes from there to the last one that was not zero; 0 if only a torn seal was cut.
    pub bytes: u64,
    /// The old file, kept as evidence; `None` if the disk was too full for that.
    pub quarantined: Option<PathBuf>,
}

impl Survey {
    /// Makes the last segment whole by copy, and says what was cut. The witness is left as it is.
    ///
    /// On a full disk without a spare segment the same bytes are written in place instead, or the reserve would be
    /// of no use after a restart: every sector then keeps or gets its good bytes, whenever that is cut short.
    pub fn mend(&mut self, io: &dyn Io, dir: &Path) -> Result<Option<Cut>, LogError> {
        let last = &mut self.last;
        let folder = dir.join(FOLDER);
        let behind = nonzero_end(&last.bytes[last.end.offset..last.header.limit()]);
        let torn = behind > 0 || last.torn_seal;
        last.bytes[last.end.offset..last.end.offset + behind].fill(0);
        if last.seal.is_none() {
            last.bytes[last.header.limit()..].fill(0);
        }
        let copy = folder.join(COPY_NAME);
        let mut quarantined = None;
        if write_copy(io, &folder, &copy, &last.bytes)? {
            if torn {
                quarantined = keep_in_quarantine(io, dir, &last.path, last.end.seq)?;
            }
            io.rename(&copy, &last.path).map_err(LogError::io("rename a recovered copy to", &last.path))?;
        } else {
            write_all(io, &last.path, OpenMode::ReadWrite, &last.bytes).map_err(LogError::io("write", &last.path))?;
        }
        io.sync_dir(&folder).map_err(LogError::io("flush", &folder))?;
        last.torn_seal = false;
        let offset = last.end.offset as u64;
        Ok(torn.then(|| Cut { segment: last.path.clone(), offset, bytes: behind as u64, quarantined }))
    }
}

/// Writes `bytes` into a file of its own and flushes it. On a full disk a spare segment gives its room; `false` if
/// there is none.
fn write_copy(io: &dyn Io, folder: &Path, copy: &Path, bytes: &[u8]) -> Result<bool, LogError> {
    remove_if_there(io, copy)?;
    match write_all(io, copy, OpenMode::CreateNew, bytes) {
        Ok(()) => return Ok(true),
        Err(error) if is_full(&error) => {}
        Err(error) => return Err(LogError::io("write", copy)(error)),
    }
    remove_if_there(io, copy)?;
    for spare in ["next.tmp", "reserve.tmp"] {
        let spare = folder.join(spare);
        let as_long = io.open(&spare, OpenMode::Read).and_then(|file| file.len());
        if as_long.is_ok_and(|len| len == bytes.len() as u64) {
            io.rename(&spare, copy).map_err(LogError::io("rename", &spare))?;
            write_all(io, copy, OpenMode::ReadWrite, bytes).map_err(LogError::io("write", copy))?;
            return Ok(true);
        }
    }
    Ok(false)
}

fn write_all(io: &dyn Io, path: &Path, mode: OpenMode, bytes: &[u8]) -> io::Result<()> {
    const STEP: usize = 256 << 10;
    let file = io.open(path, mode)?;
    for (place, chunk) in bytes.chunks(STEP).enumerate() {
        file.write_all_at(chunk, (place * STEP) as u64)?;
    }
    file.datasync()
}

fn remove_if_there(io: &dyn Io, path: &Path) -> Result<(), LogError> {
    match io.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LogError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Gives the file a second name in quarantine, under the first number free, and lets the oldest go. `None` if there is
/// no room even for that.
fn keep_in_quarantine(io: &dyn Io, dir: &Path, path: &Path, seq: u64) -> Result<Option<PathBuf>, LogError> {
    let folder = dir.join(QUARANTINE);
    let kept = || -> Result<PathBuf, (&'static str, io::Error)> {
        io.create_dir_all(&folder).map_err(|error| ("make", error))?;
        let listed = io.read_dir(&folder).map_err(|error| ("list", error))?;
        // Numbered in order of arrival; the name says which segment it was and behind which frame it was cut.
        let number = |name: &str| name.split('-').next().and_then(|digits| digits.parse::<u64>().ok());
        let next = listed.iter().filter_map(|entry| number(&entry.name)).max().unwrap_or(0) + 1;
        let segment = path.file_stem().unwrap_or_default().to_string_lossy();
        let kept = folder.join(format!("{next:06}-{segment}-cut-after-{seq}.seg"));
        io.hard_link(path, &kept).map_err(|error| ("keep the old segment in", error))?;
        let excess = (listed.len() + 1).saturating_sub(QUARANTINE_FILES_MAX);
        for entry in listed.iter().filter(|entry| number(&entry.name).is_some()).take(excess) {
            io.remove_file(&folder.join(&entry.name)).map_err(|error| ("remove the oldest file in", error))?;
        }
        io.sync_dir(&folder).map_err(|error| ("flush", error))?;
        io.sync_dir(dir).map_err(|error| ("flush", error))?;
        Ok(kept)
    };
    match kept() {
        Ok(kept) => Ok(Some(kept)),
        Err((_, error)) if is_full(&error) => Ok(None),
        Err((doing, source)) => Err(LogError::Io { doing, path: folder.clone(), source }),
    }
}
