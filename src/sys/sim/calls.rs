//! The simulated disk as [`Io`], [`IoFile`] and lock.
//!
//! Not here: what a call changes (`nodes`).

use super::nodes::{EDQUOT, EIO, ENOSPC, FileNode, Node, os};
use super::{Fault, SimDisk};
use crate::sys::io::{Entry, FileId, Io, IoFile, LockHeld, LockToken, OpenMode};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: u64,
}

impl IoFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.lock();
        state.plain_call()?;
        Ok(state.file(self.inode)?.current.read(buf, offset))
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        match state.call() {
            None => state.write(self.inode, bytes, offset),
            Some(Fault::Enospc) => Err(os(ENOSPC)),
            Some(Fault::Edquot) => Err(os(EDQUOT)),
            Some(Fault::ShortWrite) => {
                state.write(self.inode, &bytes[..bytes.len() / 2], offset)?;
                Err(os(EIO))
            }
            Some(Fault::Eio | Fault::SyncForgets | Fault::SyncReverts) => Err(os(EIO)),
        }
    }

    fn datasync(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.note_crash_point();
        let fault = state.call();
        let held = state.is_held();
        let file = state.file_mut(self.inode)?;
        match fault {
            None if held => return Ok(()),
            None => {
                file.synced = file.current.clone();
                file.pending.clear();
                return Ok(());
            }
            Some(Fault::SyncForgets) => file.pending.clear(),
            Some(Fault::SyncReverts) => {
                file.current = file.synced.clone();
                file.pending.clear();
            }
            Some(Fault::Enospc) => return Err(os(ENOSPC)),
            Some(Fault::Edquot) => return Err(os(EDQUOT)),
            Some(Fault::Eio | Fault::ShortWrite) => {}
        }
        Err(os(EIO))
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.lock();
        state.plain_call()?;
        Ok(state.file(self.inode)?.current.len())
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(FileId { device: 0, inode: self.inode })
    }

    fn as_std(&self) -> Option<&std::fs::File> {
        None
    }
}

impl Io for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn IoFile>> {
        let mut state = self.lock();
        state.plain_call()?;
        let inode = match (state.find(path), mode) {
            (Ok(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Ok(inode), _) => inode,
            (Err(error), OpenMode::CreateNew) if error.kind() == io::ErrorKind::NotFound => {
                let inode = state.add(Node::File(FileNode::default()));
                state.name(path, Some(inode))?;
                inode
            }
            (Err(error), _) => return Err(error),
        };
        state.file(inode)?;
        Ok(Arc::new(SimFile { disk: self.clone(), inode }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.plain_call()?;
        state.make_folders(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut state = self.lock();
        state.plain_call()?;
        let folder = state.folder(state.find(path)?)?;
        let entry = |(name, inode): (&String, &u64)| match state.file(*inode) {
            Ok(file) => Entry { name: name.clone(), is_dir: false, len: file.current.len() },
            Err(_) => Entry { name: name.clone(), is_dir: true, len: 0 },
        };
        Ok(folder.current.iter().map(entry).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.plain_call()?;
        let inode = state.find(from)?;
        state.name(to, Some(inode))?;
        state.name(from, None)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.plain_call()?;
        let inode = state.find(from)?;
        if state.find(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.name(to, Some(inode))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.plain_call()?;
        state.find(path)?;
        state.name(path, None)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.note_crash_point();
        state.plain_call()?;
        let inode = state.find(path)?;
        state.folder(inode)?;
        if !state.is_held()
            && let Some(Node::Folder(folder)) = state.nodes.get_mut(&inode).map(Arc::make_mut)
        {
            folder.synced.clone_from(&folder.current);
            folder.pending.clear();
        }
        Ok(())
    }

    fn lock(&self, path: &Path, note: &str) -> Result<Box<dyn LockToken>, LockHeld> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.plain_call()?;
        if let Some(note) = state.locks.get(path) {
            return Err(LockHeld::Held { note: note.clone() });
        }
        state.locks.insert(path.to_path_buf(), note.to_owned());
        Ok(Box::new(SimLock { disk: self.clone(), path: path.to_path_buf() }))
    }

    fn lock_holder(&self, path: &Path) -> io::Result<Option<String>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.plain_call()?;
        Ok(state.locks.get(path).cloned())
    }
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

impl LockToken for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.lock().locks.remove(&self.path);
    }
}
