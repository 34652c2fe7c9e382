//! What is on a simulated disk: files and folders with their synced images and the changes since.
//!
//! Not here: the disk's handle and its faults (`sim`), the calls of `Io` (`calls`), crashes (`crash`).

use super::Fault;
use super::crash::CrashPoint;
use super::image::{Image, SECTOR};
use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

pub(super) const ROOT: u64 = 1;
pub(super) const EIO: i32 = 5;
pub(super) const ENOSPC: i32 = 28;
pub(super) const EDQUOT: i32 = 122;

/// Everything a crash, a fork or a crash point copies: cheap, since nodes are shared until they change.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) nodes: BTreeMap<u64, Arc<Node>>,
    pub(super) next_inode: u64,
    pub(super) locks: BTreeMap<PathBuf, String>,
    pub(super) capacity: Option<u64>,
    pub(super) calls: u64,
    pub(super) fault: Option<(u64, Fault, bool)>,
    pub(super) held: Held,
    pub(super) points: Option<Vec<CrashPoint>>,
    pub(super) mark: u64,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    File(FileNode),
    Folder(FolderNode),
}

#[derive(Debug, Clone, Default)]
pub(super) struct FileNode {
    pub(super) synced: Image,
    pub(super) current: Image,
    pub(super) pending: Vec<Change>,
}

/// One change to a file that may or may not survive.
#[derive(Debug, Clone)]
pub(super) enum Change {
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
pub(super) struct FolderNode {
    pub(super) synced: BTreeMap<String, u64>,
    pub(super) current: BTreeMap<String, u64>,
    pub(super) pending: Vec<NameChange>,
}

#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Set(String, u64),
    Remove(String),
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            NameChange::Set(name, inode) => drop(names.insert(name.clone(), *inode)),
            NameChange::Remove(name) => drop(names.remove(name)),
        }
    }
}

/// Whether syncs are held, and what a crash at the first of them finds.
#[derive(Debug, Clone)]
pub(super) enum Held {
    No,
    Waiting,
    At(Box<CrashPoint>),
}

pub(super) fn os(error: i32) -> io::Error {
    io::Error::from_raw_os_error(error)
}

pub(super) fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

/// The names on the way to `path`, from the root; `.` and a leading `/` are nothing.
pub(super) fn parts(path: &Path) -> impl Iterator<Item = &str> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    })
}

impl State {
    /// Counts a call; the fault planned for it, if any.
    pub(super) fn call(&mut self) -> Option<Fault> {
        self.calls += 1;
        let (at, fault, lasting) = self.fault?;
        (self.calls == at || lasting && self.calls > at).then_some(fault)
    }

    /// Counts a call that fails in one way only.
    pub(super) fn plain_call(&mut self) -> io::Result<()> {
        match self.call() {
            None => Ok(()),
            Some(Fault::Enospc) => Err(os(ENOSPC)),
            Some(Fault::Edquot) => Err(os(EDQUOT)),
            Some(_) => Err(os(EIO)),
        }
    }

    pub(super) fn bare(&self) -> State {
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

    pub(super) fn crash_point(&self) -> CrashPoint {
        CrashPoint::new(self.bare(), self.mark)
    }

    pub(super) fn note_crash_point(&mut self) {
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

    pub(super) fn is_held(&self) -> bool {
        !matches!(self.held, Held::No)
    }

    pub(super) fn folder(&self, inode: u64) -> io::Result<&FolderNode> {
        match self.nodes.get(&inode).map(AsRef::as_ref) {
            Some(Node::Folder(folder)) => Ok(folder),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(not_found()),
        }
    }

    pub(super) fn file(&self, inode: u64) -> io::Result<&FileNode> {
        match self.nodes.get(&inode).map(AsRef::as_ref) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Folder(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(not_found()),
        }
    }

    pub(super) fn file_mut(&mut self, inode: u64) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(&inode).map(Arc::make_mut) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Folder(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(not_found()),
        }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        parts(path).try_fold(ROOT, |inode, name| self.folder(inode)?.current.get(name).copied().ok_or_else(not_found))
    }

    pub(super) fn add(&mut self, node: Node) -> u64 {
        let inode = self.next_inode;
        self.next_inode += 1;
        self.nodes.insert(inode, Arc::new(node));
        inode
    }

    /// Sets or removes the name `path`.
    pub(super) fn name(&mut self, path: &Path, inode: Option<u64>) -> io::Result<()> {
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

    pub(super) fn make_folders(&mut self, path: &Path) -> io::Result<()> {
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
    pub(super) fn settle_names(&mut self) {
        for node in self.nodes.values_mut() {
            if matches!(node.as_ref(), Node::Folder(folder) if !folder.pending.is_empty())
                && let Node::Folder(folder) = Arc::make_mut(node)
            {
                folder.synced.clone_from(&folder.current);
                folder.pending.clear();
            }
        }
    }

    pub(super) fn walk(&self, inode: u64, path: &Path, found: &mut Vec<(PathBuf, u64)>) {
        match self.nodes.get(&inode).map(AsRef::as_ref) {
            Some(Node::File(file)) => found.push((path.to_path_buf(), file.current.len())),
            Some(Node::Folder(folder)) => {
                folder.current.iter().for_each(|(name, inode)| self.walk(*inode, &path.join(name), found));
            }
            None => {}
        }
    }

    pub(super) fn used(&self) -> u64 {
        let mut named = std::collections::BTreeSet::new();
        for node in self.nodes.values() {
            if let Node::Folder(folder) = node.as_ref() {
                named.extend(folder.current.values().copied());
            }
        }
        named.iter().filter_map(|inode| self.file(*inode).ok()).map(|file| file.current.len()).sum()
    }

    pub(super) fn write(&mut self, inode: u64, bytes: &[u8], offset: u64) -> io::Result<()> {
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
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
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
