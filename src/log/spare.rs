//! Segments made ready ahead, so that a roll only renames and a full disk is met here and nowhere else.
//!
//! Two files, zero-filled and flushed: `log/next.tmp` for the next roll and `log/reserve.tmp`, which stays behind it
//! so that a revoke can be written when the disk is full. A roll takes either; both are then made again. On real
//! files a thread does that; without one (the simulated disk) it happens where it is asked for.
//!
//! A file that could not be filled for want of room is kept, so that the room it has is not lost to others before
//! the next try.
//!
//! Invariants
//! - Out of space can only happen here: a spare that counts as present has all its blocks.
//! - A spare is written and flushed by this writer before it is taken, whoever made it.
//!
//! Not here: headers, names and seals of segments (`segment`, `writer`), and who may use the reserve (`writer`).

use super::error::{LogError, is_full};
use super::segment::FOLDER;
use crate::sys::{Io, IoFile, OpenMode};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

const NAMES: [&str; 2] = ["next.tmp", "reserve.tmp"];
const STEP: usize = 64 << 10;
static ZEROS: [u8; STEP] = [0; STEP];

/// The spare files of one ledger.
#[derive(Debug)]
pub(crate) struct Spares {
    shared: Arc<Shared>,
    thread: Option<(SyncSender<()>, JoinHandle<()>)>,
}

#[derive(Debug)]
struct Shared {
    io: Arc<dyn Io>,
    dir: PathBuf,
    size: u64,
    wanted: usize,
    /// Spares that have all their blocks. Changed only with `files` held.
    present: AtomicUsize,
    /// Owned by whoever works on the files: the thread, or the writer when it cannot wait.
    files: Mutex<[Spare; 2]>,
    stop: AtomicBool,
}

#[derive(Debug, Clone)]
enum Spare {
    /// Not there, or not whole.
    Missing,
    /// As long as it should be; made by an earlier writer and not yet sure.
    Found,
    Ready(Arc<dyn IoFile>),
}

impl Spares {
    /// Looks for what an earlier writer left. `wanted` is 1, or 2 with a reserve.
    pub fn open(io: &Arc<dyn Io>, dir: &Path, size: u64, wanted: usize, background: bool) -> Result<Self, LogError> {
        let folder = dir.join(FOLDER);
        let entries = io.read_dir(&folder).map_err(LogError::io("list", &folder))?;
        let found = NAMES.map(|name| {
            let whole = entries.iter().any(|entry| entry.name == name && entry.len == size);
            if whole { Spare::Found } else { Spare::Missing }
        });
        let present = found.iter().filter(|spare| !matches!(spare, Spare::Missing)).count();
        let shared = Arc::new(Shared {
            io: Arc::clone(io),
            dir: dir.to_path_buf(),
            size,
            wanted,
            present: AtomicUsize::new(present),
            files: Mutex::new(found),
            stop: AtomicBool::new(false),
        });
        let thread = if background { Some(spawn(&shared)?) } else { None };
        Ok(Self { shared, thread })
    }

    /// How many could be taken at once.
    pub fn present(&self) -> usize {
        self.shared.present.load(Ordering::Acquire)
    }

    /// Has whatever is missing made, in the background if there is one; a failure shows in [`Self::ensure`].
    pub fn kick(&self) {
        match &self.thread {
            // A full channel means that the thread will look once more anyway.
            Some((wake, _)) => match wake.try_send(()) {
                Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
            },
            None => drop(self.shared.make_all(false)),
        }
    }

    /// Returns once `count` are present.
    ///
    /// # Errors
    /// [`LogError::DiskFull`], or what else kept a file from being made. Nothing but spares was touched.
    pub fn ensure(&self, count: usize) -> Result<(), LogError> {
        if self.present() >= count {
            return Ok(());
        }
        let mut files = self.shared.lock();
        for place in 0..self.shared.wanted.max(count) {
            if self.present() >= count {
                break;
            }
            self.shared.make(&mut files, place)?;
        }
        Ok(())
    }

    /// Takes one out: `begin` gets an open file of zeros, flushed, and its path, and gives it another name.
    ///
    /// INVARIANT: the lock is held until `begin` has returned. Before the rename the file still has a spare's name, and a
    /// thread that found that name missing from its list would fill it with zeros again, under the segment's own frames.
    pub fn take<T>(&self, begin: impl FnOnce(Arc<dyn IoFile>, &Path) -> Result<T, LogError>) -> Result<T, LogError> {
        let mut files = self.shared.lock();
        let place = files.iter().position(|file| !matches!(file, Spare::Missing)).unwrap_or(0);
        self.shared.check(&mut files, place)?;
        let Spare::Ready(file) = std::mem::replace(&mut files[place], Spare::Missing) else {
            return Err(LogError::DiskFull { dir: self.shared.dir.clone() });
        };
        self.shared.count(&files);
        begin(file, &self.shared.path(place))
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some((wake, thread)) = self.thread.take() {
            drop(wake);
            // A panic there has been printed; there is nothing to hand on.
            let _ = thread.join();
        }
    }
}

fn spawn(shared: &Arc<Shared>) -> Result<(SyncSender<()>, JoinHandle<()>), LogError> {
    let (wake, woken): (SyncSender<()>, Receiver<()>) = sync_channel(1);
    let worker = Arc::clone(shared);
    let work = move || {
        while woken.recv().is_ok() {
            // Failures are found again, and reported, by whoever needs the file.
            drop(worker.make_all(true));
        }
    };
    let thread = std::thread::Builder::new().name("keyledger-spare".into()).spawn(work);
    let thread = thread.map_err(LogError::io("start the thread that prepares segments of", &shared.dir))?;
    Ok((wake, thread))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, [Spare; 2]> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, place: usize) -> PathBuf {
        self.dir.join(FOLDER).join(NAMES[place])
    }

    fn count(&self, files: &[Spare; 2]) {
        let present = files.iter().filter(|file| !matches!(file, Spare::Missing)).count();
        self.present.store(present, Ordering::Release);
    }

    /// Makes every wanted file; with `check`, also makes sure of those that were found.
    fn make_all(&self, check: bool) -> Result<(), LogError> {
        for place in 0..self.wanted {
            // Locked anew for each, so that a writer that waits for one gets it before the other is begun.
            let mut files = self.lock();
            self.make(&mut files, place)?;
            if check {
                self.check(&mut files, place)?;
            }
        }
        Ok(())
    }

    /// Makes the file at `place` if it is missing: zero-filled to its size, and flushed.
    fn make(&self, files: &mut [Spare; 2], place: usize) -> Result<(), LogError> {
        if !matches!(files[place], Spare::Missing) {
            return Ok(());
        }
        let path = self.path(place);
        let file = match self.io.open(&path, OpenMode::CreateNew) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let file = self.io.open(&path, OpenMode::ReadWrite).map_err(LogError::io("open", &path))?;
                if file.len().map_err(LogError::io("measure", &path))? > self.size {
                    drop(file);
                    self.io.remove_file(&path).map_err(LogError::io("remove", &path))?;
                    self.io.open(&path, OpenMode::CreateNew)
                } else {
                    Ok(file)
                }
            }
            result => result,
        };
        let file = file.map_err(|error| self.full_or("make", &path, error))?;
        if self.fill(&file, &path)? {
            files[place] = Spare::Ready(file);
            self.count(files);
        }
        Ok(())
    }

    /// Makes sure of a file that was found: written and flushed anew, which needs no room.
    fn check(&self, files: &mut [Spare; 2], place: usize) -> Result<(), LogError> {
        if matches!(files[place], Spare::Found) {
            let path = self.path(place);
            let file = self.io.open(&path, OpenMode::ReadWrite).map_err(LogError::io("open", &path))?;
            if self.fill(&file, &path)? {
                files[place] = Spare::Ready(file);
            }
        }
        Ok(())
    }

    /// Writes zeros over all of `file` and flushes it. `false` if told to stop before the end.
    ///
    /// What an earlier try wrote is written again: after a failed flush it may look zero and not be so on the disk.
    fn fill(&self, file: &Arc<dyn IoFile>, path: &Path) -> Result<bool, LogError> {
        let mut at = 0;
        while at < self.size {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let step = (self.size - at).min(STEP as u64) as usize;
            file.write_all_at(&ZEROS[..step], at).map_err(|error| self.full_or("write", path, error))?;
            at += step as u64;
        }
        file.datasync().map_err(|error| self.full_or("flush", path, error))?;
        Ok(true)
    }

    fn full_or(&self, doing: &'static str, path: &Path, error: io::Error) -> LogError {
        if is_full(&error) {
            return LogError::DiskFull { dir: self.dir.clone() };
        }
        LogError::Io { doing, path: path.to_path_buf(), source: error }
    }
}
