//! Segments seen as bytes: through a read-only memory map, or a growing copy where there is nothing to map.
//!
//! This is the only file of the crate with `unsafe`. A map never hands out a byte at or past the `end` its caller
//! knows to be durable, because those bytes may still be written.
//!
//! Not here: which bytes are durable (`shared`), and reads during recovery and `verify`, which use pread so that a
//! bad sector is an error with an offset rather than a signal.
#![allow(unsafe_code)]

use crate::sys::{FileId, IoFile};
use memmap2::{MmapOptions, MmapRaw};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One file's bytes, readable from the start up to where they are durable.
#[derive(Debug)]
pub(crate) struct View {
    id: FileId,
    len: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Mapped(MmapRaw),
    Copied(Copied),
}

impl View {
    /// Maps the first `len` bytes of `file`, which must be at least that long.
    pub fn open(file: &Arc<dyn IoFile>, len: usize) -> io::Result<Self> {
        if file.len()? < len as u64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than its header says"));
        }
        let id = file.id()?;
        let kind = match file.as_std() {
            // Creating the map is safe; looking at its bytes is what `bytes` answers for.
            Some(std) => Kind::Mapped(MmapOptions::new().len(len).map_raw_read_only(std)?),
            None => Kind::Copied(Copied::new(Arc::clone(file), len)),
        };
        Ok(Self { id, len, kind })
    }

    /// Which file this is a view of.
    pub fn id(&self) -> FileId {
        self.id
    }

    /// The first `end` bytes.
    ///
    /// INVARIANT: the caller has seen `end` published as durable, so none of these bytes changes any more.
    pub fn bytes(&self, end: usize) -> io::Result<&[u8]> {
        if end > self.len {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "an offset behind the end of the file"));
        }
        match &self.kind {
            // SAFETY: the map is at least `len >= end` bytes long and lives as long as `self`. A shared reference to
            // mapped bytes is sound while they neither change nor vanish. They do neither: recovery copies the good
            // prefix into a new file before anything is published, a named file is never shortened, the writer
            // writes only past `end`, which was synced before it was published, and the directory lock keeps a
            // second writer out.
            Kind::Mapped(map) => Ok(unsafe { std::slice::from_raw_parts(map.as_ptr(), end) }),
            Kind::Copied(copied) => copied.bytes(end),
        }
    }
}

/// A buffer as long as the file, filled from the front as more of it becomes durable.
#[derive(Debug)]
struct Copied {
    file: Arc<dyn IoFile>,
    start: *mut u8,
    len: usize,
    filled: AtomicUsize,
    /// Held while `filled` moves on.
    filling: Mutex<()>,
}

// SAFETY: `start` is owned by this value alone. Bytes below `filled` are only read, bytes from it on are only touched
// by whoever holds `filling`, and `filled` is stored with Release after they were written.
unsafe impl Send for Copied {}
// SAFETY: as above.
unsafe impl Sync for Copied {}

impl Copied {
    fn new(file: Arc<dyn IoFile>, len: usize) -> Self {
        let start = Box::into_raw(vec![0_u8; len].into_boxed_slice()).cast::<u8>();
        Self { file, start, len, filled: AtomicUsize::new(0), filling: Mutex::new(()) }
    }

    fn bytes(&self, end: usize) -> io::Result<&[u8]> {
        debug_assert!(end <= self.len);
        if self.filled.load(Ordering::Acquire) < end {
            let _guard = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
            let filled = self.filled.load(Ordering::Acquire);
            if filled < end {
                // SAFETY: in bounds of the allocation (`end <= len`); nobody else refers to bytes from `filled` on,
                // since slices handed out end at or before it and `filling` is held.
                let target = unsafe { std::slice::from_raw_parts_mut(self.start.add(filled), end - filled) };
                if self.file.read_at(target, filled as u64)? < target.len() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.filled.store(end, Ordering::Release);
            }
        }
        // SAFETY: `end <= filled <= len`, and bytes below `filled` are never written again.
        Ok(unsafe { std::slice::from_raw_parts(self.start, end) })
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        // SAFETY: `start` and `len` came from `Box::into_raw` in `new` and no slice outlives `self`.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(self.start, self.len)) });
    }
}

/// Asks for the cache line at `offset` ahead of its use. A walk over frames is a chain of dependent loads that the
/// hardware does not foresee; without this it is an order of magnitude slower.
#[inline]
pub(crate) fn prefetch(bytes: &[u8], offset: usize) {
    #[cfg(target_arch = "x86_64")]
    if offset < bytes.len() {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the address lies inside `bytes`; a prefetch reads nothing that the program could see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().add(offset).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, offset);
}
