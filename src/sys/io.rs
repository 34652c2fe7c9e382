//! The file operations the ledger needs, and no more.
//!
//! Not here: paths of the ledger's own files (`log::segment`, `vault::keystore`).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, to read.
    Read,
    /// An existing file, to read and write.
    ReadWrite,
    /// A new file, to read and write; an existing one is an error (`AlreadyExists`).
    CreateNew,
}

/// What tells two files apart under one name: device and inode (the simulated disk counts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The last part of the path. Names that are not UTF-8 are left out by [`Io::read_dir`].
    pub name: String,
    pub is_dir: bool,
    /// Length in bytes; 0 for a folder.
    pub len: u64,
}

/// Keeps a lock until it is dropped.
pub trait LockToken: Send + Sync + fmt::Debug {}

/// Why a lock was not granted.
#[derive(Debug, thiserror::Error)]
pub enum LockHeld {
    /// Another process, or another opener in this one, holds it. `note` is what the holder wrote into the file.
    #[error("held by another writer ({note})")]
    Held { note: String },
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An open file. Reads and writes name their offset; there is no cursor.
#[expect(clippy::len_without_is_empty, reason = "an empty file is nothing special here")]
pub trait IoFile: Send + Sync + fmt::Debug {
    /// Reads up to `buf.len()` bytes at `offset`; fewer only at the end of the file. Retries interruptions.
    ///
    /// # Errors
    /// Whatever the system reports, for instance `EIO` for a bad sector.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. Retries interruptions and short writes.
    ///
    /// # Errors
    /// Any error leaves unknown how much was written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// `fdatasync`: the data, and the metadata needed to read it, are on the disk when this returns.
    ///
    /// # Errors
    /// After an error nothing is known of what reached the disk, and a second call proves nothing.
    fn datasync(&self) -> io::Result<()>;

    /// A hint: the disk may begin now with what was written there, and [`IoFile::datasync`], which is still needed, then waits
    /// for less. Nothing is promised and nothing can fail.
    fn begin_writing(&self, offset: u64, len: u64) {
        let _ = (offset, len);
    }

    /// Length in bytes.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn len(&self) -> io::Result<u64>;

    /// Which file this is, whatever its name has become.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn id(&self) -> io::Result<FileId>;

    /// The operating system's file, for a memory map; `None` on the simulated disk, whose callers read instead.
    fn as_std(&self) -> Option<&std::fs::File>;
}

/// A file system.
pub trait Io: Send + Sync + fmt::Debug {
    /// Opens `path`. New files get mode 0600.
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists`, `PermissionDenied` and whatever else the system reports.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn IoFile>>;

    /// Makes `path` and the folders above it, mode 0700. An existing folder is fine.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The names in a folder, sorted.
    ///
    /// # Errors
    /// `NotFound` and whatever else the system reports.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<Entry>>;

    /// Renames over whatever stands at `to`. Durable only after [`Io::sync_dir`] of both folders.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives the file a second name.
    ///
    /// # Errors
    /// `AlreadyExists` and whatever else the system reports.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name.
    ///
    /// # Errors
    /// `NotFound` and whatever else the system reports.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes the advisory write lock in the file `path` (made if missing) and writes `note` into it for whoever
    /// finds it held. Released when the token is dropped or the process ends.
    ///
    /// # Errors
    /// [`LockHeld::Held`] with the holder's note.
    fn lock(&self, path: &Path, note: &str) -> Result<Box<dyn LockToken>, LockHeld>;

    /// Whether some process holds the lock in `path`, and its note.
    ///
    /// # Errors
    /// Whatever the system reports; a missing file is `Ok(None)`.
    fn lock_holder(&self, path: &Path) -> io::Result<Option<String>>;

    /// Reads a whole file of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// `InvalidData` when it is longer, else as [`Io::open`] and [`IoFile::read_at`].
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let len = file.len()?;
        if len > bytes_max {
            let text = format!("{len} bytes, more than the {bytes_max} allowed");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Writes a whole file so that its name shows either the old or the new content: a temporary beside it,
    /// fsync, rename, fsync of the folder.
    ///
    /// # Errors
    /// Whatever the system reports; the old content then still stands.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        match self.remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.open(&temporary, OpenMode::CreateNew)?;
        file.write_all_at(bytes, 0)?;
        file.datasync()?;
        drop(file);
        self.rename(&temporary, path)?;
        self.sync_dir(&folder)
    }
}
