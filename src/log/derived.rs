//! Derived files: made whole, replaced whole, never changed in place, and so safe to read through a map.
//!
//! Not here: what stands in them (`audit::index`), and when they are thrown away.

use super::map::View;
use crate::sys::{Io, OpenMode};
use std::io;
use std::path::Path;

/// One derived file, mapped where there is something to map.
#[derive(Debug)]
pub struct DerivedFile {
    view: View,
    len: usize,
}

impl DerivedFile {
    /// Opens a file that was written by [`Io::replace`] and is only ever replaced by it: the bytes under a map then
    /// neither change nor vanish, whatever its name comes to mean.
    ///
    /// # Errors
    /// Whatever the system reports; an empty file is `UnexpectedEof`.
    pub fn open(io: &dyn Io, path: &Path) -> io::Result<Self> {
        let file = io.open(path, OpenMode::Read)?;
        let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self { view: View::open(&file, len)?, len })
    }

    /// All of it.
    ///
    /// # Errors
    /// Of a file that cannot be mapped: whatever reading it gave.
    pub fn bytes(&self) -> io::Result<&[u8]> {
        self.view.bytes(self.len)
    }
}
