//! The simulated disk: files in memory that can be lost, torn, reordered and failed, all of it repeatable.
//!
//! Every file has a synced image and the changes since: 512-byte sectors written, and the length. Every folder has its
//! synced names and the changes since; a rename is two of them. A crash keeps any subset of all these changes (see
//! [`CrashPoint`]), in the order they were made; so effects on two files, or on a file and its name, can be swapped in
//! time. `datasync` makes the changes of one file lasting, `sync_dir` those of one folder, and nothing else does:
//! syncing a new file does not make its name lasting.
//!
//! Assumed of a disk: a sector that a crash catches is old or new, never torn inside, where it held lasting bytes that
//! the write repeats (an append into a half-full sector). Sectors that were blank or overwritten whole may come out as
//! anything.
//!
//! Not here: time (`clock`), holes in files, permissions, and which crash is likely.

mod crash;
mod image;

pub use crash::{CrashImages, CrashLimits, CrashPoint, Fill};

use super::io::{Entry, FileId, Io, IoFile, LockHeld, LockToken, OpenMode};
use image::{Image, SECTOR};
use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const ROOT: u64 = 1;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EDQUOT: i32 = 122;

/// A disk in memory. A clone is the same disk; [`SimDisk::fork`] makes another with the same content.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    label: Arc<str>,
}

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimDisk({})", self.label)
    }
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// EIO; of a write, nothing was written.
    Eio,
    /// ENOSPC; of a write, nothing was written.
    Enospc,
    /// EDQUOT; of a write, nothing was written.
    Edquot,
    /// Of a write the first half is written, then EIO. Any other call: EIO.
    ShortWrite,
    /// Of a sync: EIO, and the changes stay readable but are forgotten as changes, as ext4 does with pages it could not
    /// write; a later sync succeeds and does not write them. Any other call: EIO.
    SyncForgets,
    /// Of a sync: EIO, and the content goes back to what was synced last. Any other call: EIO.
    SyncReverts,
}

/// Everything a crash, a fork or a crash point copies: cheap, since nodes are shared until they change.
#[derive(Debug, Clone)]
struct State {
    nodes: BTreeMap<u64, Arc<Node>>,
    next_inode: u64,
    locks: BTreeMap<PathBuf, String>,
    capacity: Option<u64>,
    calls: u64,
    fault: Option<(u64, Fault, bool)>,
    held: Held,
    points: Option<Vec<CrashPoint>>,
    mark: u64,
}

#[derive(Debug, Clone)]
enum Node {
    File(FileNode),
    Folder(FolderNode),
}

#[derive(Debug, Clone, Default)]
struct FileNode {
    synced: Image,
    current: Image,
    pending: Vec<Change>,
}

/// One change to a file that may or may not survive.
#[derive(Debug, Clone)]
enum Change {
    /// `blank`: the whole sector was written, or there was nothing in it, so that losing it may leave anything.
    Sector {
        index: u64,
        bytes: Arc<[u8; SECTOR]>,
        blank: bool,
    },
    /// A run of sectors written with zeros where there was nothing.
    Zeros {
        first: u64,
        count: u64,
    },
    Len(u64),
}

#[derive(Debug, Clone, Default)]
struct FolderNode {
    synced: BTreeMap<String, u64>,
    current: BTreeMap<String, u64>,
    pending: Vec<NameChange>,
}

#[derive(Debug, Clone)]
enum NameChange {
    Set(String, u64),
    Remove(String),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            NameChange::Set(name, inode) => drop(names.insert(name.clone(), *inode)),
            NameChange::Remove(name) => drop(names.remove(name)),
        }
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// An empty disk without limit.
    #[must_use]
    pub fn new() -> Self {
        let state = State {
            nodes: BTreeMap::from([(ROOT, Arc::new(Node::Folder(FolderNode::default())))]),
            next_inode: ROOT + 1,
            locks: BTreeMap::new(),
            capacity: None,
            calls: 0,
            fault: None,
            held: Held::No,
            points: None,
            mark: 0,
        };
        Self::of(state, "new")
    }

    fn of(state: State, label: &str) -> Self {
        Self { state: Arc::new(Mutex::new(state)), label: label.into() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What [`Io`] wants.
    #[must_use]
    pub fn io(&self) -> Arc<dyn Io> {
        Arc::new(self.clone())
    }

    /// Another disk with the same content, synced and not; nobody holds a lock there and nothing is planned to fail.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::of(self.lock().bare(), &self.label)
    }

    /// Room for all files together, in bytes of their lengths.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// Bytes of all files that have a name.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// Calls so far to any operation of [`Io`] and [`IoFile`].
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Lets call number `call` (counted from 1) fail, and with `lasting` every one after it.
    pub fn fail_at(&self, call: u64, fault: Fault, lasting: bool) {
        self.lock().fault = Some((call, fault, lasting));
    }

    /// Nothing is planned to fail any more.
    pub fn heal(&self) {
        self.lock().fault = None;
    }

    /// From now on every sync notes what a crash right before it would find, with the last mark set.
    pub fn record_crash_points(&self) {
        self.lock().points = Some(Vec::new());
    }

    /// What the caller knows to be promised at this moment, for instance the last acknowledged seq.
    pub fn set_mark(&self, mark: u64) {
        self.lock().mark = mark;
    }

    /// The points noted so far, and the present moment; recording ends.
    #[must_use]
    pub fn take_crash_points(&self) -> Vec<CrashPoint> {
        let mut state = self.lock();
        let mut points = state.points.take().unwrap_or_default();
        points.push(state.crash_point());
        points
    }

    /// A crash now.
    #[must_use]
    pub fn crash_point(&self) -> CrashPoint {
        self.lock().crash_point()
    }

    /// Until the guard is dropped no sync makes anything lasting: what is written meanwhile is written and never
    /// synced. The crashes of that are those at the first sync held; the sync returns, so that the caller can go on, but
    /// whatever is done after it is of no consequence.
    #[must_use]
    pub fn hold_syncs(&self) -> HeldSyncs {
        self.lock().held = Held::Waiting;
        HeldSyncs { disk: self.clone() }
    }

    /// Paths and lengths of all files, by name.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let state = self.lock();
        let mut found = Vec::new();
        state.walk(ROOT, Path::new("/"), &mut found);
        found
    }

    /// The whole content of a file, not counted as a call.
    #[must_use]
    pub fn peek(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.lock();
        let Node::File(file) = state.nodes.get(&state.find(path).ok()?)?.as_ref() else { return None };
        let mut bytes = vec![0; usize::try_from(file.current.len()).ok()?];
        file.current.read(&mut bytes, 0);
        Some(bytes)
    }

    /// Changes bytes under everybody's feet, lastingly: damage. Nothing happens to a file that is not there.
    pub fn damage(&self, path: &Path, offset: u64, bytes: &[u8]) {
        self.change_image(path, |image| image.write(bytes, offset));
    }

    /// Cuts or stretches a file under everybody's feet.
    pub fn damage_len(&self, path: &Path, len: u64) {
        self.change_image(path, |image| image.set_len(len));
    }

    fn change_image(&self, path: &Path, change: impl Fn(&mut Image)) {
        let mut state = self.lock();
        let Ok(inode) = state.find(path) else { return };
        if let Some(Node::File(file)) = state.nodes.get_mut(&inode).map(Arc::make_mut) {
            change(&mut file.current);
            change(&mut file.synced);
        }
    }

    /// Puts a whole file there, lastingly, with the folders above it: a restore from somewhere else.
    ///
    /// # Errors
    /// When a part of the path is a file.
    pub fn put(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        if let Some(above) = path.parent() {
            state.make_folders(above)?;
        }
        let mut image = Image::default();
        image.write(bytes, 0);
        image.set_len(bytes.len() as u64);
        let node = Node::File(FileNode { synced: image.clone(), current: image, pending: Vec::new() });
        let inode = state.add(node);
        state.name(path, Some(inode))?;
        state.settle_names();
        Ok(())
    }

    /// Takes a file away, lastingly.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.find(path)?;
        state.name(path, None)?;
        state.settle_names();
        Ok(())
    }
}

/// Whether syncs are held, and what a crash at the first of them finds.
#[derive(Debug, Clone)]
enum Held {
    No,
    Waiting,
    At(Box<CrashPoint>),
}

/// Keeps syncs from working. See [`SimDisk::hold_syncs`].
#[derive(Debug)]
pub struct HeldSyncs {
    disk: SimDisk,
}

impl HeldSyncs {
    /// The moment of the first sync that was held, or now if there was none.
    #[must_use]
    pub fn crash_point(&self) -> CrashPoint {
        let state = self.disk.lock();
        if let Held::At(point) = &state.held { point.as_ref().clone() } else { state.crash_point() }
    }

    /// Every disk that a crash then could leave (a large sample, if there are too many).
    #[must_use]
    pub fn crash_images(&self, seed: u64) -> CrashImages {
        self.crash_point().images(seed, CrashLimits::default())
    }
}

impl Drop for HeldSyncs {
    fn drop(&mut self) {
        self.disk.lock().held = Held::No;
    }
}

fn os(error: i32) -> io::Error {
    io::Error::from_raw_os_error(error)
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

/// The names on the way to `path`, from the root; `.` and a leading `/` are nothing.
fn parts(path: &Path) -> impl Iterator<Item = &str> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    })
}

impl State {
    /// Counts a call; the fault planned for it, if any.
    fn call(&mut self) -> Option<Fault> {
        self.calls += 1;
        let (at, fault, lasting) = self.fault?;
        (self.calls == at || lasting && self.calls > at).then_some(fault)
    }

    /// Counts a call that fails in one way only.
    fn plain_call(&mut self) -> io::Result<()> {
        match self.call() {
            None => Ok(()),
            Some(Fault::Enospc) => Err(os(ENOSPC)),
            Some(Fault::Edquot) => Err(os(EDQUOT)),
            Some(_) => Err(os(EIO)),
        }
    }

    fn bare(&self) -> State {
        State {
            nodes: self.nodes.clone(),
            next_inode: self.next_inode,
            locks: BTreeMap::new(),
            capacity: self.capacity,
            calls: 0,
            fault: None,
            held: Held::No,
            points: None,
            mark: self.mark,
        }
    }

    fn crash_point(&self) -> CrashPoint {
        CrashPoint::new(self.bare(), self.mark)
    }

    fn note_crash_point(&mut self) {
        if self.points.is_some() || matches!(self.held, Held::Waiting) {
            let point = self.crash_point();
            if let Held::Waiting = self.held {
                self.held = Held::At(Box::new(point.clone()));
            }
            if let Some(points) = &mut self.points {
                points.push(point);
            }
        }
    }

    fn is_held(&self) -> bool {
        !matches!(self.held, Held::No)
    }

    fn folder(&self, inode: u64) -> io::Result<&FolderNode> {
        match self.nodes.get(&inode).map(AsRef::as_ref) {
            Some(Node::Folder(folder)) => Ok(folder),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(not_found()),
        }
    }

    fn file(&self, inode: u64) -> io::Result<&FileNode> {
        match self.nodes.get(&inode).map(AsRef::as_ref) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Folder(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(not_found()),
        }
    }

    fn file_mut(&mut self, inode: u64) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(&inode).map(Arc::make_mut) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Folder(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(not_found()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        parts(path).try_fold(ROOT, |inode, name| self.folder(inode)?.current.get(name).copied().ok_or_else(not_found))
    }

    fn add(&mut self, node: Node) -> u64 {
        let inode = self.next_inode;
        self.next_inode += 1;
        self.nodes.insert(inode, Arc::new(node));
        inode
    }

    /// Sets or removes the name `path`.
    fn name(&mut self, path: &Path, inode: Option<u64>) -> io::Result<()> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        let above = self.find(path.parent().unwrap_or(Path::new("")))?;
        self.folder(above)?;
        if let Some(Node::Folder(folder)) = self.nodes.get_mut(&above).map(Arc::make_mut) {
            let change = match inode {
                Some(inode) => NameChange::Set(name, inode),
                None => NameChange::Remove(name),
            };
            change.apply(&mut folder.current);
            folder.pending.push(change);
        }
        Ok(())
    }

    fn make_folders(&mut self, path: &Path) -> io::Result<()> {
        let mut so_far = PathBuf::from("/");
        for name in parts(path) {
            so_far.push(name);
            match self.find(&so_far) {
                Ok(inode) => drop(self.folder(inode)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let inode = self.add(Node::Folder(FolderNode::default()));
                    self.name(&so_far, Some(inode))?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes all names lasting.
    fn settle_names(&mut self) {
        for node in self.nodes.values_mut() {
            if matches!(node.as_ref(), Node::Folder(folder) if !folder.pending.is_empty())
                && let Node::Folder(folder) = Arc::make_mut(node)
            {
                folder.synced.clone_from(&folder.current);
                folder.pending.clear();
            }
        }
    }

    fn walk(&self, inode: u64, path: &Path, found: &mut Vec<(PathBuf, u64)>) {
        match self.nodes.get(&inode).map(AsRef::as_ref) {
            Some(Node::File(file)) => found.push((path.to_path_buf(), file.current.len())),
            Some(Node::Folder(folder)) => {
                folder.current.iter().for_each(|(name, inode)| self.walk(*inode, &path.join(name), found));
            }
            None => {}
        }
    }

    fn used(&self) -> u64 {
        let mut named = std::collections::BTreeSet::new();
        for node in self.nodes.values() {
            if let Node::Folder(folder) = node.as_ref() {
                named.extend(folder.current.values().copied());
            }
        }
        named.iter().filter_map(|inode| self.file(*inode).ok()).map(|file| file.current.len()).sum()
    }

    fn write(&mut self, inode: u64, bytes: &[u8], offset: u64) -> io::Result<()> {
        let old_len = self.file(inode)?.current.len();
        let growth = (offset + bytes.len() as u64).saturating_sub(old_len);
        let room = self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()));
        if growth > room {
            // As much as fits is written, as a real disk would.
            let fits = usize::try_from(bytes.len() as u64 + room - growth).unwrap_or(0) / SECTOR * SECTOR;
            self.file_mut(inode)?.write(&bytes[..fits.min(bytes.len())], offset);
            return Err(os(ENOSPC));
        }
        self.file_mut(inode)?.write(bytes, offset);
        Ok(())
    }
}

impl FileNode {
    fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len() as u64;
        let old_len = self.current.len();
        let sectors = offset / SECTOR as u64..end.div_ceil(SECTOR as u64);
        // Whether there was anything before is asked before it is overwritten.
        let was_zero: Vec<bool> = sectors.clone().map(|index| self.current.sector_is_zero(index)).collect();
        self.current.write(bytes, offset);
        for (index, was_zero) in sectors.zip(was_zero) {
            let start = index * SECTOR as u64;
            let whole = start >= offset && start + SECTOR as u64 <= end;
            if was_zero && self.current.sector_is_zero(index) {
                match self.pending.last_mut() {
                    Some(Change::Zeros { first, count }) if *first + *count == index => *count += 1,
                    _ => self.pending.push(Change::Zeros { first: index, count: 1 }),
                }
            } else {
                let bytes = Arc::new(self.current.sector(index));
                self.pending.push(Change::Sector { index, bytes, blank: whole || was_zero });
            }
        }
        if end > old_len {
            self.pending.push(Change::Len(end));
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn file(disk: &SimDisk, path: &str) -> Arc<dyn IoFile> {
        disk.open(Path::new(path), OpenMode::CreateNew).unwrap()
    }

    #[test]
    fn only_what_was_synced_survives_every_crash() {
        let disk = SimDisk::new();
        let a = file(&disk, "/a");
        a.write_all_at(&[1; 700], 0).unwrap();
        a.datasync().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        a.write_all_at(&[2; 600], 600).unwrap();
        file(&disk, "/b");
        let mut seen = std::collections::BTreeSet::new();
        for image in disk.crash_point().images(1, CrashLimits::default()) {
            let bytes = image.peek(Path::new("/a")).unwrap();
            assert_eq!(bytes[..600], [1; 600], "{image:?}");
            seen.insert((bytes.len(), bytes.get(700) == Some(&2), image.peek(Path::new("/b")).is_some()));
        }
        for len in [700, 1200] {
            assert!(seen.contains(&(len, false, true)) && seen.contains(&(len, false, false)), "{seen:?}");
        }
        assert!(seen.contains(&(1200, true, false)));
    }

    #[test]
    fn a_rename_can_be_done_undone_or_half_done_until_the_folder_is_synced() {
        let disk = SimDisk::new();
        file(&disk, "/old").write_all_at(b"x", 0).unwrap();
        file(&disk, "/other");
        disk.sync_dir(Path::new("/")).unwrap();
        disk.rename(Path::new("/old"), Path::new("/new")).unwrap();
        let names = |disk: &SimDisk| ["/old", "/new"].map(|name| disk.peek(Path::new(name)).is_some());
        let seen: std::collections::BTreeSet<_> =
            disk.crash_point().images(1, CrashLimits::default()).map(|image| names(&image)).collect();
        assert_eq!(seen.len(), 4, "{seen:?}");
        disk.sync_dir(Path::new("/")).unwrap();
        assert!(disk.crash_point().images(1, CrashLimits::default()).all(|image| names(&image) == [false, true]));
    }

    #[test]
    fn a_forgotten_sync_stays_readable_and_is_lost_and_a_reverted_one_is_gone_at_once() {
        for (fault, readable) in [(Fault::SyncForgets, b"new"), (Fault::SyncReverts, b"old")] {
            let disk = SimDisk::new();
            let a = file(&disk, "/a");
            a.write_all_at(b"old", 0).unwrap();
            a.datasync().unwrap();
            disk.sync_dir(Path::new("/")).unwrap();
            a.write_all_at(b"new", 0).unwrap();
            disk.fail_at(disk.calls() + 1, fault, false);
            assert!(a.datasync().is_err());
            assert_eq!(disk.peek(Path::new("/a")).unwrap(), readable);
            a.datasync().unwrap();
            let held = disk.hold_syncs();
            assert!(held.crash_images(1).all(|image| image.peek(Path::new("/a")).unwrap() == *readable
                || image.peek(Path::new("/a")).unwrap() == b"old"));
        }
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_then_nothing() {
        let disk = SimDisk::new();
        disk.set_capacity(Some(1024));
        let a = file(&disk, "/a");
        assert_eq!(a.write_all_at(&[1; 2000], 0).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.used(), 1024);
        a.write_all_at(&[2; 1024], 0).unwrap();
        disk.remove_file(Path::new("/a")).unwrap();
        assert_eq!(disk.used(), 0);
    }

    #[test]
    fn the_planned_call_fails_and_the_others_do_not() {
        let disk = SimDisk::new();
        let a = file(&disk, "/a");
        disk.fail_at(3, Fault::ShortWrite, false);
        a.write_all_at(&[1; 100], 0).unwrap();
        assert!(a.write_all_at(&[2; 100], 0).is_err());
        assert_eq!(disk.peek(Path::new("/a")).unwrap(), [[2; 50], [1; 50]].concat());
        a.write_all_at(&[3; 100], 0).unwrap();
    }

    #[test]
    fn a_lock_is_held_once_and_let_go_with_its_token() {
        let disk = SimDisk::new();
        let path = Path::new("/LOCK");
        let token = Io::lock(&disk, path, "me").unwrap();
        assert!(matches!(Io::lock(&disk, path, "you"), Err(LockHeld::Held { note }) if note == "me"));
        drop(token);
        assert!(disk.lock_holder(path).unwrap().is_none());
    }
}
