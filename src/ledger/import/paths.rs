//! Which files the PATHS of an import mean.
//!
//! - A file is itself, whatever its name.
//! - A folder is all files in and under it whose names end in `.json`, `.jsonl`, `.ndjson` or `.gz`, whatever their case,
//!   but none whose name starts with a dot. Links to folders inside it are not followed.
//! - A pattern (`*`, `?`, `[…]`, `**` for folders) is the files and folders it matches; a file that has this very name
//!   goes before.
//!
//! Files come in the order of PATHS, within a folder by name, each folder before the names after it. A path named twice is
//! read twice. Folders are listed when they are reached, so the list of files is never held.
//!
//! Not here: what the files hold (`reader`).

use super::ImportError;
use crate::sys::{Entry, Io, OpenMode};
use glob::{MatchOptions, Pattern};
use std::io;
use std::path::{Path, PathBuf};
use std::vec::IntoIter;

/// Folders within folders that are followed.
const FOLDERS_DEEP_MAX: usize = 64;

const MATCHING: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// A file to read, or a folder that could not be listed.
pub(super) enum Found {
    File { path: PathBuf, bytes: u64 },
    Unreadable { path: PathBuf, error: io::Error },
}

/// What a path on the command line turned out to be.
#[derive(Debug, Clone)]
enum Root {
    File { path: PathBuf, bytes: u64 },
    Folder(PathBuf),
    Pattern { base: PathBuf, pattern: Pattern },
}

/// All files of some paths, one after another.
pub(super) struct Walk<'a> {
    io: &'a dyn Io,
    roots: IntoIter<Root>,
    /// Folders being walked, the innermost last.
    open: Vec<(PathBuf, IntoIter<Entry>)>,
    pattern: Option<Pattern>,
    /// How many of `open`, counted from the outermost, stand above the folder that a pattern matched as a whole.
    whole_from: Option<usize>,
}

/// The paths, looked at once: what exists, and how much there is to read.
pub(super) struct Paths {
    roots: Vec<Root>,
    pub files: u64,
    pub bytes: u64,
}

impl Paths {
    /// # Errors
    /// [`ImportError`] for a path that does not exist, and for a pattern that is wrong or matches nothing.
    pub(super) fn look<E: std::error::Error + 'static>(io: &dyn Io, paths: &[PathBuf]) -> Result<Self, ImportError<E>> {
        let mut found = Self { roots: Vec::new(), files: 0, bytes: 0 };
        for path in paths {
            let root = Root::of(io, path)?;
            let files_before = found.files;
            for file in Walk::over(io, vec![root.clone()]) {
                found.files += 1;
                if let Found::File { bytes, .. } = file {
                    found.bytes += bytes;
                }
            }
            if matches!(root, Root::Pattern { .. }) && found.files == files_before {
                return Err(ImportError::NothingMatches { pattern: path.display().to_string() });
            }
            found.roots.push(root);
        }
        Ok(found)
    }

    pub(super) fn walk<'a>(&self, io: &'a dyn Io) -> Walk<'a> {
        Walk::over(io, self.roots.clone())
    }
}

impl Root {
    fn of<E: std::error::Error + 'static>(io: &dyn Io, path: &Path) -> Result<Self, ImportError<E>> {
        let failed = |source| ImportError::Io { doing: "read", path: path.to_owned(), source };
        match io.read_dir(path) {
            Ok(_) => return Ok(Root::Folder(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(failed(error)),
            Err(_) => {
                let bytes = io.open(path, OpenMode::Read).and_then(|file| file.len()).map_err(failed)?;
                return Ok(Root::File { path: path.to_owned(), bytes });
            }
        }
        // Not every `Io` tells a file from a missing folder.
        if let Ok(bytes) = io.open(path, OpenMode::Read).and_then(|file| file.len()) {
            return Ok(Root::File { path: path.to_owned(), bytes });
        }
        let text = path.to_string_lossy();
        let magic = |text: &str| text.contains(['*', '?', '[']);
        if !magic(&text) {
            return Err(ImportError::NotFound { path: path.to_owned() });
        }
        let base: PathBuf = path.components().take_while(|part| !magic(&part.as_os_str().to_string_lossy())).collect();
        let text = path.components().collect::<PathBuf>();
        let pattern = Pattern::new(&text.to_string_lossy()).map_err(|error| ImportError::BadPattern {
            pattern: path.display().to_string(),
            why: error.msg.to_owned(),
        })?;
        Ok(Root::Pattern { base, pattern })
    }
}

impl<'a> Walk<'a> {
    fn over(io: &'a dyn Io, roots: Vec<Root>) -> Self {
        Self { io, roots: roots.into_iter(), open: Vec::new(), pattern: None, whole_from: None }
    }

    /// Lists a folder and goes into it.
    fn enter(&mut self, path: PathBuf) -> Option<Found> {
        // An empty base means the working folder.
        let listed = if path.as_os_str().is_empty() { Path::new(".") } else { &path };
        match self.io.read_dir(listed) {
            Ok(entries) => {
                self.open.push((path, entries.into_iter()));
                None
            }
            Err(error) => Some(Found::Unreadable { path, error }),
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let Some((folder, entries)) = self.open.last_mut() else {
                self.whole_from = None;
                self.pattern = None;
                match self.roots.next()? {
                    Root::File { path, bytes } => return Some(Found::File { path, bytes }),
                    Root::Folder(path) => {
                        if let Some(unreadable) = self.enter(path) {
                            return Some(unreadable);
                        }
                    }
                    Root::Pattern { base, pattern } => {
                        self.pattern = Some(pattern);
                        // A base that is not there matches nothing.
                        self.enter(base);
                    }
                }
                continue;
            };
            let Some(entry) = entries.next() else {
                self.open.pop();
                if self.whole_from.is_some_and(|depth| depth >= self.open.len()) {
                    self.whole_from = None;
                }
                continue;
            };
            let path = folder.join(&entry.name);
            let in_pattern = self.pattern.as_ref().filter(|_| self.whole_from.is_none());
            let matched = in_pattern.is_some_and(|pattern| pattern.matches_path_with(&path, MATCHING));
            let takes = if in_pattern.is_some() { matched } else { is_records(&entry.name) };
            if !entry.is_dir {
                if takes {
                    return Some(Found::File { path, bytes: entry.len });
                }
            } else if self.open.len() < FOLDERS_DEEP_MAX && !entry.name.starts_with('.') {
                let depth = self.open.len();
                if let Some(unreadable) = self.enter(path) {
                    return Some(unreadable);
                }
                if matched {
                    self.whole_from = Some(depth);
                }
            }
        }
    }
}

fn is_records(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !name.starts_with('.') && [".json", ".jsonl", ".ndjson", ".gz"].iter().any(|end| name.ends_with(end))
}
