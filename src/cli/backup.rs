//! `backup`: a consistent copy, while a writer may be at work.
//!
//! ```text
//!  META ─▶ tail.wit ─▶ log (up to where a reader that opened afterwards reads) ─▶ keys ─▶ verify the copy
//! ```
//!
//! The order is what makes the copy whole: the witness is older than the log beside it, so it never tells of commits that
//! are not there; the keystore is newer, so no key of the log lacks its secret. Of a segment that is still written only the durable
//! part is copied, zeros behind it.
//!
//! Not here: indexes and snapshots (derived, left out), restoring (`restore`).

use super::print::{Cell, Paint, counted, grouped};
use super::progress::Progress;
use super::{Context, Done, Exit, Failure};
use crate::log::{LogReader, VerifyOptions, verify};
use crate::sys::{Io, OpenMode};
use clap::Args;
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes copied at a time.
const CHUNK: usize = 1 << 20;
/// META, witness and keys are far smaller.
const SMALL_BYTES_MAX: u64 = 1 << 20;
/// A rekey or restart of the writer in the middle spoils a copy; then another one is made.
const TRIES: usize = 3;

#[derive(Debug, Args)]
pub struct Backup {
    /// An empty or new folder
    to: PathBuf,
    /// Copy vault.key too: whoever has the copy then has the secrets
    #[arg(long)]
    with_vault_key: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    to: String,
    last_seq: u64,
    chain_head: String,
    tree_root: String,
    files: u64,
    bytes: u64,
    with_vault_key: bool,
}

/// What was copied.
#[derive(Debug, Clone, Copy, Default)]
pub struct Copied {
    pub files: u64,
    pub bytes: u64,
}

impl Backup {
    pub fn run(self, cx: &mut Context) -> Done {
        let from = cx.dir();
        let io = cx.io.clone();
        empty_folder(io.as_ref(), &self.to)?;
        let mut tries = 1;
        let (copied, report) = loop {
            let copied = copy(cx, &from, &self.to)?;
            match verify(&cx.io, &self.to, VerifyOptions::default()) {
                Ok(report) => break (copied, report),
                Err(error) if tries < TRIES => {
                    tracing::warn!("the copy is not whole ({error}); it is made again");
                    tries += 1;
                }
                Err(error) => {
                    return Err(Failure::from_log(&error).hint("so the copy is no backup; verify the ledger itself"));
                }
            }
        };
        let mut copied = copied;
        let key = from.join("vault.key");
        if self.with_vault_key {
            copied.add(small(io.as_ref(), &key, &self.to.join("vault.key"))?);
        }
        let row = Row {
            to: self.to.display().to_string(),
            last_seq: report.last_seq,
            chain_head: super::state::hex(&report.chain_head),
            tree_root: super::state::hex(&report.tree_root),
            files: copied.files,
            bytes: copied.bytes,
            with_vault_key: self.with_vault_key,
        };
        if cx.out.json {
            cx.out.json(&row)?;
            return Ok(Exit::Done);
        }
        let size = format!("{}, {} bytes", counted(row.files, "file", "files"), grouped(row.bytes));
        cx.out.fields(&[
            ("backup", Cell::new(&row.to, Paint::Bold)),
            ("commits", Cell::from(grouped(row.last_seq))),
            ("chain head", Cell::from(&row.chain_head)),
            ("copied", Cell::from(size)),
        ])?;
        if !self.with_vault_key {
            cx.note("the vault key is not in it; keep that one elsewhere, no secret can be read without it");
        }
        Ok(Exit::Done)
    }
}

impl Copied {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// Refuses a folder that has something in it; makes one that is not there.
pub fn empty_folder(io: &dyn Io, dir: &Path) -> Result<(), Failure> {
    match io.read_dir(dir) {
        Ok(entries) if entries.is_empty() => Ok(()),
        Ok(_) => Err(Failure::new(Exit::Refused, format!("`{}` is not empty; choose another folder", dir.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => io.create_dir_all(dir).map_err(at("make", dir)),
        Err(error) => Err(at("read", dir)(error)),
    }
}

/// Copies log and keys of the ledger in `from` into `to`, consistently, over what an earlier try left.
pub fn copy(cx: &mut Context, from: &Path, to: &Path) -> Result<Copied, Failure> {
    let io = cx.io.clone();
    let io = io.as_ref();
    let mut copied = Copied::default();
    for folder in ["log", "keys"] {
        let folder = to.join(folder);
        io.create_dir_all(&folder).map_err(at("make", &folder))?;
        for entry in io.read_dir(&folder).map_err(at("read", &folder))? {
            let path = folder.join(&entry.name);
            io.remove_file(&path).map_err(at("remove", &path))?;
        }
    }
    for name in ["META", "tail.wit"] {
        copied.add(small(io, &from.join(name), &to.join(name))?);
    }
    let log = LogReader::open(cx.io.clone(), from)?;
    let segments = log.segments();
    let bar = Progress::bytes("copying", segments.iter().map(|segment| segment.bytes).sum());
    for segment in &segments {
        let name = segment.path.file_name().map(PathBuf::from).unwrap_or_default();
        // A closed segment is copied with its seal, of the open one only what no writer changes any more.
        let end = if segment.sealed { segment.bytes } else { segment.end_offset };
        stream(io, &segment.path, &to.join("log").join(name), end, segment.bytes)?;
        copied.add(segment.bytes);
        bar.at(copied.bytes);
    }
    bar.finish();
    keys(io, &from.join("keys"), &to.join("keys"), &mut copied)?;
    for folder in [to.join("log"), to.join("keys"), to.to_path_buf()] {
        io.sync_dir(&folder).map_err(at("sync", &folder))?;
    }
    Ok(copied)
}

/// Copies every file of the keystore's folder that is not half made.
fn keys(io: &dyn Io, from: &Path, to: &Path, copied: &mut Copied) -> Result<(), Failure> {
    for entry in io.read_dir(from).map_err(at("read", from))? {
        if entry.is_dir || Path::new(&entry.name).extension().is_some_and(|extension| extension == "tmp") {
            continue;
        }
        let path = from.join(&entry.name);
        match stream(io, &path, &to.join(&entry.name), u64::MAX, 0) {
            Ok(bytes) => copied.add(bytes),
            // A rekey took it away in between; the newer generation is in the listing or in the next try.
            Err(_) if io.open(&path, OpenMode::Read).is_err() => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// Copies a small file in one read.
fn small(io: &dyn Io, from: &Path, to: &Path) -> Result<u64, Failure> {
    let bytes = io.read(from, SMALL_BYTES_MAX).map_err(at("read", from))?;
    io.replace(to, &bytes).map_err(at("write", to))?;
    Ok(bytes.len() as u64)
}

/// Copies the first `end` bytes of a file into a new one, with zeros up to `size`; returns how many bytes it then has.
fn stream(io: &dyn Io, from: &Path, to: &Path, end: u64, size: u64) -> Result<u64, Failure> {
    let source = io.open(from, OpenMode::Read).map_err(at("open", from))?;
    let target = io.open(to, OpenMode::CreateNew).map_err(at("make", to))?;
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0;
    while offset < end {
        let wanted = usize::try_from(end - offset).unwrap_or(CHUNK).min(CHUNK);
        let read = source.read_at(&mut buffer[..wanted], offset).map_err(at("read", from))?;
        if read == 0 {
            break;
        }
        target.write_all_at(&buffer[..read], offset).map_err(at("write", to))?;
        offset += read as u64;
    }
    buffer.fill(0);
    while offset < size {
        let wanted = usize::try_from(size - offset).unwrap_or(CHUNK).min(CHUNK);
        target.write_all_at(&buffer[..wanted], offset).map_err(at("write", to))?;
        offset += wanted as u64;
    }
    target.datasync().map_err(at("sync", to))?;
    Ok(offset)
}

/// For `map_err`: what was being done to which file.
pub fn at<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Failure + 'a {
    move |error| Failure::usage(format!("could not {doing} `{}`: {error}", path.display()))
}
