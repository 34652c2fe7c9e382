//! The bytes of one input file, inflated when they are gzip, read in pieces of a fixed size.
//!
//! Whether a file is gzip is told by its first two bytes, not by its name. Several gzip members in a row are one text,
//! as `cat a.gz b.gz` makes them.
//!
//! Not here: what the text holds (`reader`).

use crate::sys::{Io, IoFile, OpenMode};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::Arc;

/// Bytes asked of the file system at a time, and text handed on at a time.
pub(super) const PIECE_BYTES: usize = 256 << 10;

/// A file from its front to its end.
struct Raw {
    file: Arc<dyn IoFile>,
    /// Of the byte after `buffer`.
    offset: u64,
    buffer: Vec<u8>,
    used: usize,
    filled: usize,
    at_end: bool,
}

impl Raw {
    /// Reads without the detour through the buffer, once that is used up.
    fn read_past_buffer(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.used < self.filled {
            return self.read(into);
        }
        let read = self.file.read_at(into, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl BufRead for Raw {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.filled && !self.at_end {
            self.filled = self.file.read_at(&mut self.buffer, self.offset)?;
            self.used = 0;
            self.offset += self.filled as u64;
            self.at_end = self.filled == 0;
        }
        Ok(&self.buffer[self.used..self.filled])
    }

    fn consume(&mut self, amount: usize) {
        self.used += amount;
    }
}

impl Read for Raw {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut buffered = self.fill_buf()?;
        let read = buffered.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

enum Kind {
    Plain(Raw),
    Gzip(Box<MultiGzDecoder<Raw>>),
}

/// What follows a piece of text.
pub(super) enum Then {
    More,
    End,
    /// Nothing, though the file should go on: the reason.
    Early(String),
}

/// The text of one file.
pub(super) struct Source {
    kind: Kind,
    told: u64,
}

impl Source {
    pub(super) fn open(io: &dyn Io, path: &Path) -> io::Result<Self> {
        let file = io.open(path, OpenMode::Read)?;
        let buffer = vec![0; PIECE_BYTES];
        let mut raw = Raw { file, offset: 0, buffer, used: 0, filled: 0, at_end: false };
        let kind = if raw.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
            Kind::Gzip(Box::new(MultiGzDecoder::new(raw)))
        } else {
            Kind::Plain(raw)
        };
        Ok(Self { kind, told: 0 })
    }

    /// Fills `text` from its front; tells how much came, and whether there is more.
    pub(super) fn fill(&mut self, text: &mut [u8]) -> (usize, Then) {
        let mut filled = 0;
        while filled < text.len() {
            let read = match &mut self.kind {
                Kind::Plain(raw) => raw.read_past_buffer(&mut text[filled..]),
                Kind::Gzip(inflater) => inflater.read(&mut text[filled..]),
            };
            match read {
                Ok(0) => return (filled, Then::End),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (filled, Then::Early(self.explain(&error))),
            }
        }
        (filled, Then::More)
    }

    /// Bytes of the file used since the last time this was asked.
    pub(super) fn consumed(&mut self) -> u64 {
        let raw = match &self.kind {
            Kind::Plain(raw) => raw,
            Kind::Gzip(inflater) => inflater.get_ref(),
        };
        let used = raw.offset - (raw.filled - raw.used) as u64;
        used - std::mem::replace(&mut self.told, used)
    }

    fn explain(&self, error: &io::Error) -> String {
        match (&self.kind, error.kind()) {
            (Kind::Gzip(_), io::ErrorKind::UnexpectedEof) => "the gzip data ends early".to_owned(),
            (Kind::Gzip(_), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other) => {
                format!("the gzip data is damaged ({error})")
            }
            _ => format!("the file could not be read on ({error})"),
        }
    }
}
