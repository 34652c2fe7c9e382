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

mod calls;
mod crash;
mod image;
mod nodes;

pub use crash::{CrashImages, CrashLimits, CrashPoint, Fill};

use super::io::Io;
use image::Image;
use nodes::{FileNode, FolderNode, Held, Node, ROOT, State};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

#[cfg(test)]
mod tests {
    use super::super::io::{IoFile, LockHeld, OpenMode};
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
