//! What the fuzz targets share: files in memory, a small ledger in them, and ways to spoil it.
//!
//! A random byte rarely passes a checksum, so [`patched`] reads the input as patches and can mend the CRC behind them:
//! then the parser behind the checksum is reached too.
//!
//! Not here: what a spoilt ledger has to answer. The targets ask only that nothing panics, hangs or grows, and that
//! whatever is accepted reads the same again.

use keyledger::log::{Body, KIND_COMMIT, LogOptions, LogParams, LogReader, LogWriter, NewFrame, VerifyOptions, verify};
use keyledger::sys::{Entry, FileId, Io, IoFile, LockHeld, LockToken, OpenMode};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The folder of the ledger in [`Memory`].
pub const FOLDER: &str = "/ledger";
/// Of the ledger made here.
pub const LEDGER_ID: [u8; 16] = [1; 16];
const SALT: [u8; 32] = [2; 32];

type Bytes = Arc<Mutex<Vec<u8>>>;

/// Files in memory. Every write is durable at once.
#[derive(Clone, Default)]
pub struct Memory {
    files: Arc<Mutex<BTreeMap<PathBuf, (u64, Bytes)>>>,
    next: Arc<AtomicU64>,
    locked: Arc<AtomicBool>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

impl Memory {
    /// A copy that goes its own way.
    #[must_use]
    pub fn fork(&self) -> Memory {
        let copy = |(path, (id, bytes)): (&PathBuf, &(u64, Bytes))| {
            (path.clone(), (*id, Arc::new(Mutex::new(locked(bytes).clone()))))
        };
        let files = locked(&self.files).iter().map(copy).collect();
        let next = AtomicU64::new(self.next.load(Ordering::Relaxed));
        Memory { files: Arc::new(Mutex::new(files)), next: Arc::new(next), locked: Arc::default() }
    }

    /// Replaces a file's bytes. Makes it if it is not there.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        locked(&self.files).insert(path.to_owned(), (id, Arc::new(Mutex::new(bytes))));
    }

    /// A file's bytes; empty if it is not there.
    #[must_use]
    pub fn get(&self, path: &Path) -> Vec<u8> {
        locked(&self.files).get(path).map(|(_, bytes)| locked(bytes).clone()).unwrap_or_default()
    }

    /// Paths that end so.
    #[must_use]
    pub fn ending(&self, end: &str) -> Vec<PathBuf> {
        locked(&self.files).keys().filter(|path| path.to_string_lossy().ends_with(end)).cloned().collect()
    }
}

#[derive(Debug)]
struct MemoryFile(u64, Bytes);

impl IoFile for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = locked(&self.1);
        let rest = bytes.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_all_at(&self, new: &[u8], offset: u64) -> io::Result<()> {
        let mut bytes = locked(&self.1);
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start + new.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(new);
        Ok(())
    }

    fn datasync(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(locked(&self.1).len() as u64)
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(FileId { device: 1, inode: self.0 })
    }

    fn as_std(&self) -> Option<&std::fs::File> {
        None
    }
}

#[derive(Debug)]
struct MemoryLock(Arc<AtomicBool>);

impl LockToken for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Io for Memory {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn IoFile>> {
        let mut files = locked(&self.files);
        match (files.get(path), mode) {
            (Some(_), OpenMode::CreateNew) => Err(ErrorKind::AlreadyExists.into()),
            (Some((id, bytes)), _) => Ok(Arc::new(MemoryFile(*id, Arc::clone(bytes)))),
            (None, OpenMode::CreateNew) => {
                let id = self.next.fetch_add(1, Ordering::Relaxed);
                let bytes = Bytes::default();
                files.insert(path.to_owned(), (id, Arc::clone(&bytes)));
                Ok(Arc::new(MemoryFile(id, bytes)))
            }
            (None, _) => Err(ErrorKind::NotFound.into()),
        }
    }

    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = BTreeMap::new();
        for (file, (_, bytes)) in locked(&self.files).iter() {
            let Ok(below) = file.strip_prefix(path) else { continue };
            let mut parts = below.components();
            let Some(name) = parts.next().and_then(|part| part.as_os_str().to_str()) else { continue };
            let is_dir = parts.next().is_some();
            let len = if is_dir { 0 } else { locked(bytes).len() as u64 };
            entries.insert(name.to_owned(), Entry { name: name.to_owned(), is_dir, len });
        }
        Ok(entries.into_values().collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = locked(&self.files);
        let file = files.remove(from).ok_or(ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = locked(&self.files);
        if files.contains_key(to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let (id, bytes) = files.get(from).ok_or(ErrorKind::NotFound)?;
        let file = (*id, Arc::clone(bytes));
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        locked(&self.files).remove(path).map(drop).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _: &Path, note: &str) -> Result<Box<dyn LockToken>, LockHeld> {
        if self.locked.swap(true, Ordering::SeqCst) {
            return Err(LockHeld::Held { note: note.to_owned() });
        }
        Ok(Box::new(MemoryLock(Arc::clone(&self.locked))))
    }

    fn lock_holder(&self, _: &Path) -> io::Result<Option<String>> {
        Ok(self.locked.load(Ordering::SeqCst).then(|| "fuzz".to_owned()))
    }
}

fn options() -> LogOptions {
    LogOptions { segment_bytes: 16 << 10, background: false, reserve: false, ..LogOptions::default() }
}

/// A ledger of 40 frames in segments of 16 KiB, closed in order.
///
/// # Panics
/// When it cannot be made, which no input decides.
#[must_use]
pub fn small_ledger() -> Memory {
    let memory = Memory::default();
    let params = LogParams { ledger_id: LEDGER_ID, frame_salt: SALT, origin: "fuzz.example/log".into(), created_ns: 1 };
    let io: Arc<dyn Io> = Arc::new(memory.clone());
    let mut writer = LogWriter::create(io, Path::new(FOLDER), &params, &options()).expect("a ledger in memory");
    for at in 1..=40_i64 {
        append(&mut writer, at).expect("room in memory");
    }
    writer.close().expect("a close in memory");
    memory
}

fn append(writer: &mut LogWriter, at: i64) -> Result<(), keyledger::log::LogError> {
    let payload = vec![b'x'; 1 + usize::try_from(at).unwrap_or(1) * 37 % 700];
    let first: &[u8] = &payload;
    let parts = [first, b"second part"];
    let body = if at % 5 == 0 { Body::Parts(&parts) } else { Body::Whole(&payload) };
    let recorded_at_ns = writer.last_recorded_at().saturating_add(1).max(at);
    writer.append(NewFrame { recorded_at_ns, kind: KIND_COMMIT, schema: 1, flags: 0, body, urgent: false })?;
    writer.commit(recorded_at_ns).map(drop)
}

/// Reads, verifies, recovers and appends to a ledger that may be spoilt. What is accepted must read the same again.
pub fn exercise(memory: &Memory) {
    let (io, folder): (Arc<dyn Io>, _) = (Arc::new(memory.clone()), Path::new(FOLDER));
    let mut whole = None;
    if let Ok(reader) = LogReader::open(Arc::clone(&io), folder) {
        let frames = reader.frames(1).take_while(Result::is_ok).count() as u64;
        whole = (frames == reader.last_seq()).then_some(frames);
    }
    let _ = LogReader::open_up_to_damage(Arc::clone(&io), folder);
    for quick in [true, false] {
        let _ = verify(&io, folder, VerifyOptions { quick, ..VerifyOptions::default() });
    }
    let Ok((mut writer, _)) = LogWriter::open(Arc::clone(&io), folder, &options()) else { return };
    let recovered = writer.last_seq();
    if let Some(frames) = whole {
        assert_eq!(recovered, frames, "a reader and the recovery disagree");
    }
    if append(&mut writer, 41).is_ok() && writer.close().is_ok() {
        let reader = LogReader::open(io, folder).expect("what was recovered and appended to opens");
        assert_eq!(reader.last_seq(), recovered + 1);
    }
}

/// Applies `input` to `bytes`: patches of offset (2 bytes, scaled to the file), length (1) and bytes. The first byte says
/// what is mended afterwards: bit 0, the CRC of the frame at `frame_at`; bit 1, the CRC at the end of each 4 KiB block
/// patched.
#[must_use]
pub fn patched(mut bytes: Vec<u8>, input: &[u8]) -> Vec<u8> {
    let Some((&mend, mut rest)) = input.split_first() else { return bytes };
    let mut touched = Vec::new();
    while let [low, high, len, tail @ ..] = rest {
        let at = usize::from(u16::from_le_bytes([*low, *high])) % bytes.len().max(1);
        let len = usize::from(*len % 32).min(tail.len()).min(bytes.len() - at);
        bytes[at..at + len].copy_from_slice(&tail[..len]);
        touched.push(at);
        rest = &tail[len..];
    }
    for at in touched {
        if mend & 1 != 0 {
            mend_frame(&mut bytes, at);
        }
        if mend & 2 != 0 {
            let block = at / 4096 * 4096;
            if let Some(block) = bytes.get_mut(block..block + 4096) {
                let crc = crc32fast::hash(&block[..4092]);
                block[4092..].copy_from_slice(&crc.to_le_bytes());
            }
        }
    }
    bytes
}

/// Recomputes CRCs and hash of the frame that `at` lies in, if one begins before it.
pub fn mend_frame(bytes: &mut [u8], at: usize) {
    let before = bytes.get(..(at + 4).min(bytes.len())).unwrap_or_default();
    let Some(start) = before.windows(4).rposition(|four| four == b"KLF1") else { return };
    let Some(frame) = bytes.get_mut(start..) else { return };
    let Some(len) = frame.get(4..8).and_then(|len| len.try_into().ok()).map(u32::from_le_bytes) else { return };
    let len = len as usize;
    let hash_at = 80_usize.saturating_add(len.next_multiple_of(8));
    if len > 1 << 20 || hash_at + 32 > frame.len() {
        return;
    }
    let crc = crc32fast::hash(&frame[80..80 + len]);
    frame[72..76].copy_from_slice(&crc.to_le_bytes());
    let crc = crc32fast::hash(&frame[..76]);
    frame[76..80].copy_from_slice(&crc.to_le_bytes());
    let key = blake3::derive_key("keyledger v1 frame hash", &[&LEDGER_ID[..], &SALT, &[1]].concat());
    let hash = blake3::Hasher::new_keyed(&key).update(&frame[..64]).update(&frame[80..80 + len]).finalize();
    frame[hash_at..hash_at + 32].copy_from_slice(hash.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspoilt_ledger_opens_and_grows() {
        let ledger = small_ledger();
        let io: Arc<dyn Io> = Arc::new(ledger.clone());
        let reader = LogReader::open(io, Path::new(FOLDER)).expect("whole");
        assert_eq!(reader.last_seq(), 40);
        exercise(&ledger);
    }
}
