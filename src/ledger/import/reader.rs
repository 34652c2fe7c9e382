//! One file as blocks of raw records, each with its place.
//!
//! The shape is told by content: `{"Records": […]}` and `{"Events": […]}` (also after other fields, also several in a
//! row), lists, JSON lines, single objects, any of them one after another. Only the text between the last whole record and
//! the end of a piece is carried on, so memory does not grow with the file: a record longer than the bound, or nested
//! deeper than 64 levels, is scanned past and rejected.
//!
//! After a fault the scan goes on where a record plainly begins (`lost`).
//!
//! Invariants
//! - Every record of the file, whole or not, is one [`Item`], in the order of the file.
//! - A file that ends early, for whatever reason, gives a rejection that says so, at the record it cut or at its end.
//!
//! Not here: what stands in a record (`record`), which files there are (`paths`).

mod lost;

use self::lost::LOOK_BYTES;
use super::scan::{DEPTH_MAX, LOOK_BACK_BYTES, Scan, Step};
use super::source::{PIECE_BYTES, Source, Then};
use crate::sys::Io;
use std::path::Path;

/// Bytes a record may take. CloudTrail's own bound is 256 KB an event.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// A record, or what stood in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// These bytes of the block are an object.
    Record { start: usize, end: usize },
    /// `offset` counts in the file's text, inflated.
    Rejected { offset: u64, reason: String },
}

/// Some records of one file.
#[derive(Debug, Default)]
pub struct Block {
    /// Where `data` begins in the file's text, inflated.
    pub base: u64,
    /// Text that the items point into; what stands behind the last of them may be left from earlier.
    pub data: Vec<u8>,
    pub items: Vec<Item>,
    /// The number of the first item in the file, from 1.
    pub first_record: u64,
    /// Bytes of the file, as it lies on the disk, that were used for this block.
    pub consumed: u64,
    /// Whether the file has ended.
    pub last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Top,
    List,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doom {
    TooLong,
    TooDeep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Before a record, or after the last.
    Between,
    Record,
    /// In a record that will be rejected when it ends.
    Doomed(Doom),
    /// In the object around a list of records.
    Envelope,
    /// In a number or word where a record should be.
    Word,
    /// After a fault.
    Lost,
}

/// Reads one file.
pub struct Reader {
    source: Option<Source>,
    record_bytes_max: usize,
    /// Carried on from the last block; `base` is the place of its first byte.
    tail: Vec<u8>,
    base: u64,
    records: u64,
    /// Why the file ended early.
    fault: Option<String>,
    mode: Mode,
    level: Level,
    scan: Scan,
    envelope: Option<Scan>,
    /// Into `tail`, then into the block's data.
    pos: usize,
    start: usize,
    /// Where the record now read began, in the file's text.
    record_at: u64,
    first_key: Vec<u8>,
    ended: bool,
}

impl Reader {
    /// Opens a file. One that cannot be opened is a file with one rejection.
    pub fn open(io: &dyn Io, path: &Path, record_bytes_max: usize) -> Self {
        let (source, fault) = match Source::open(io, path) {
            Ok(source) => (Some(source), None),
            Err(error) => (None, Some(format!("the file could not be opened ({error})"))),
        };
        Self::new(source, fault, record_bytes_max)
    }

    /// A file of which only this is known.
    pub(super) fn unreadable(reason: String) -> Self {
        Self::new(None, Some(reason), RECORD_BYTES_MAX)
    }

    fn new(source: Option<Source>, fault: Option<String>, record_bytes_max: usize) -> Self {
        Self {
            source,
            record_bytes_max: record_bytes_max.clamp(1, RECORD_BYTES_MAX),
            tail: Vec::new(),
            base: 0,
            records: 0,
            fault,
            mode: Mode::Between,
            level: Level::Top,
            scan: Scan::new(true),
            envelope: None,
            pos: 0,
            start: 0,
            record_at: 0,
            first_key: Vec::new(),
            ended: false,
        }
    }

    /// The next records, in `buffer`'s memory; `None` after the block that was the last.
    pub fn next_block(&mut self, buffer: Vec<u8>) -> Option<Block> {
        if self.ended {
            return None;
        }
        let mut buffer = buffer;
        let carried = self.tail.len();
        let room = carried + PIECE_BYTES;
        if buffer.len() < room {
            buffer.resize(room, 0);
        }
        // One record of a megabyte should not make every buffer as large for ever.
        if buffer.len() > 2 * room {
            buffer.truncate(room);
            buffer.shrink_to_fit();
        }
        buffer[..carried].copy_from_slice(&self.tail);
        self.tail.clear();
        let mut filled = carried;
        let mut consumed = 0;
        let mut at_end = true;
        if let Some(source) = &mut self.source {
            let (read, then) = source.fill(&mut buffer[carried..room]);
            filled += read;
            at_end = !matches!(then, Then::More);
            if let Then::Early(reason) = then {
                self.fault = Some(reason);
            }
            consumed = source.consumed();
        }
        let data = &buffer[..filled];
        if self.base == 0 && self.pos == 0 && data.starts_with(b"\xef\xbb\xbf") {
            self.pos = 3;
        }
        let base = self.base;
        let mut items = Vec::new();
        self.run(data, at_end, &mut items);
        if at_end {
            self.end(data, &mut items);
        } else {
            self.carry(data);
        }
        let first_record = self.records + 1;
        self.records += items.len() as u64;
        Some(Block { base, data: buffer, items, first_record, consumed, last: at_end })
    }

    /// Keeps what the next block needs of this one.
    fn carry(&mut self, data: &[u8]) {
        let keep = match self.mode {
            Mode::Record => self.start,
            // Enough to look back on.
            Mode::Doomed(_) | Mode::Lost | Mode::Envelope => self.pos.saturating_sub(LOOK_BACK_BYTES),
            Mode::Between | Mode::Word => self.pos,
        };
        self.tail.extend_from_slice(&data[keep..]);
        self.base += keep as u64;
        self.pos -= keep;
        self.start = self.start.saturating_sub(keep);
    }

    /// Judges what the end of the file cut off.
    fn end(&mut self, data: &[u8], items: &mut Vec<Item>) {
        self.ended = true;
        self.source = None;
        let here = self.base + self.pos as u64;
        match self.mode {
            Mode::Doomed(doom) => self.reject_doomed(doom, items),
            Mode::Between if self.level == Level::Top && self.envelope.is_none() => {}
            Mode::Lost | Mode::Record => {}
            Mode::Between | Mode::Word | Mode::Envelope => {
                let reason = self.fault.take().unwrap_or_else(|| "the file ends before its list does".to_owned());
                items.push(Item::Rejected { offset: here, reason });
            }
        }
        if let Some(reason) = self.fault.take() {
            items.push(Item::Rejected { offset: self.base + data.len() as u64, reason });
        }
    }

    /// Goes through `data` until more is needed.
    fn run(&mut self, data: &[u8], at_end: bool, items: &mut Vec<Item>) {
        loop {
            let go_on = match self.mode {
                Mode::Between => self.between(data, items),
                Mode::Record => self.record(data, at_end, items),
                Mode::Doomed(doom) => self.doomed(doom, data, at_end, items),
                Mode::Envelope => self.in_envelope(data, items),
                Mode::Word => self.word(data),
                Mode::Lost => self.lost(data, at_end),
            };
            if !go_on {
                return;
            }
        }
    }

    fn between(&mut self, data: &[u8], items: &mut Vec<Item>) -> bool {
        let rest = &data[self.pos..];
        let blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',');
        let Some(skipped) = rest.iter().position(|byte| !blank(byte)) else {
            self.pos = data.len();
            return false;
        };
        self.pos += skipped;
        let byte = rest[skipped];
        match (self.level, byte) {
            (_, b'{') | (Level::List, b'[' | b'"') => self.begin(),
            (Level::Top, b'[') => {
                self.level = Level::List;
                self.pos += 1;
            }
            (Level::List, b']') => {
                self.pos += 1;
                self.level = Level::Top;
                if let Some(envelope) = &mut self.envelope {
                    envelope.leave_list();
                    self.mode = Mode::Envelope;
                }
            }
            (Level::List, b'0'..=b'9' | b'-' | b'a'..=b'z' | b'A'..=b'Z') => {
                let kind = if byte == b'n' { "null" } else { "a number or a word" };
                items.push(Self::not_an_object(self.base + self.pos as u64, kind));
                self.mode = Mode::Word;
            }
            _ => {
                let found = crate::model::text::excerpt(&String::from_utf8_lossy(&rest[skipped..=skipped]), 1);
                let offset = self.base + self.pos as u64;
                items.push(Item::Rejected { offset, reason: format!("not a record: found `{found}`") });
                self.mode = Mode::Lost;
                self.pos += 1;
            }
        }
        true
    }

    fn begin(&mut self) {
        self.start = self.pos;
        self.record_at = self.base + self.pos as u64;
        self.scan = Scan::new(self.level == Level::Top);
        self.mode = Mode::Record;
    }

    fn record(&mut self, data: &[u8], at_end: bool, items: &mut Vec<Item>) -> bool {
        match self.scan.feed::<false>(data, self.pos) {
            Step::More => {
                self.pos = data.len();
                if self.pos - self.start > self.record_bytes_max {
                    self.mode = Mode::Doomed(Doom::TooLong);
                } else if at_end {
                    let reason = match self.fault.take() {
                        Some(fault) => format!("{fault}, in the middle of this record"),
                        None => "the file ends in the middle of this record".to_owned(),
                    };
                    items.push(Item::Rejected { offset: self.record_at, reason });
                    // Perhaps the record lost its end and swallowed others.
                    self.mode = Mode::Lost;
                    self.pos = self.start + 1;
                    return true;
                }
                false
            }
            Step::Done(end) => {
                self.pos = end;
                self.mode = Mode::Between;
                items.push(match data[self.start] {
                    _ if end - self.start > self.record_bytes_max => self.doomed_item(Doom::TooLong),
                    b'{' => {
                        self.remember_first_key(&data[self.start..end]);
                        Item::Record { start: self.start, end }
                    }
                    b'[' => Self::not_an_object(self.record_at, "a list"),
                    _ => Self::not_an_object(self.record_at, "text"),
                });
                true
            }
            Step::Enters(at) => {
                self.enter(at);
                true
            }
            Step::Broken(at, fault) => {
                self.broken(at, fault, items);
                self.pos = self.start + 1;
                true
            }
            Step::TooDeep(at) | Step::Brace(at) => {
                self.pos = at;
                self.mode = Mode::Doomed(Doom::TooDeep);
                true
            }
        }
    }

    fn enter(&mut self, at: usize) {
        self.pos = at;
        self.envelope = Some(self.scan.clone());
        self.level = Level::List;
        self.mode = Mode::Between;
    }

    fn broken(&mut self, at: usize, fault: &str, items: &mut Vec<Item>) {
        let reason = format!("broken JSON at byte {}: {fault}", self.base + at as u64);
        items.push(Item::Rejected { offset: self.record_at, reason });
        self.mode = Mode::Lost;
    }

    fn doomed(&mut self, doom: Doom, data: &[u8], at_end: bool, items: &mut Vec<Item>) -> bool {
        match self.scan.feed::<true>(data, self.pos) {
            Step::More => {
                self.pos = data.len();
                false
            }
            Step::Done(end) => {
                self.pos = end;
                self.mode = Mode::Between;
                self.reject_doomed(doom, items);
                true
            }
            Step::Enters(at) => {
                self.enter(at);
                true
            }
            Step::Broken(at, _) => {
                self.pos = at;
                self.mode = Mode::Lost;
                self.reject_doomed(doom, items);
                true
            }
            Step::TooDeep(at) => {
                self.pos = at;
                true
            }
            Step::Brace(at) => {
                self.pos = at;
                if data.len() - at < LOOK_BYTES && !at_end {
                    return false;
                }
                if let Some(level) = self.begins_record(data, at) {
                    self.reject_doomed(doom, items);
                    self.resume(level);
                } else if self.scan.brace().is_err() {
                    self.reject_doomed(doom, items);
                    self.mode = Mode::Lost;
                } else {
                    self.pos += 1;
                }
                true
            }
        }
    }

    fn in_envelope(&mut self, data: &[u8], items: &mut Vec<Item>) -> bool {
        let Some(envelope) = &mut self.envelope else {
            self.mode = Mode::Between;
            return true;
        };
        match envelope.feed::<false>(data, self.pos) {
            Step::More => {
                self.pos = data.len();
                false
            }
            Step::Done(end) => {
                self.pos = end;
                self.envelope = None;
                self.mode = Mode::Between;
                true
            }
            Step::Enters(at) => {
                self.pos = at;
                self.level = Level::List;
                self.mode = Mode::Between;
                true
            }
            Step::TooDeep(at) => {
                self.pos = at;
                true
            }
            Step::Broken(at, fault) => {
                self.record_at = self.base + at as u64;
                self.envelope = None;
                self.pos = at;
                self.broken(at, fault, items);
                true
            }
            Step::Brace(_) => false,
        }
    }

    fn word(&mut self, data: &[u8]) -> bool {
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b'{' | b'[' | b' ' | b'\n' | b'\r' | b'\t');
        let found = data[self.pos..].iter().position(ends);
        self.pos = found.map_or(data.len(), |length| self.pos + length);
        if found.is_some() {
            self.mode = Mode::Between;
        }
        found.is_some()
    }

    fn not_an_object(offset: u64, kind: &str) -> Item {
        Item::Rejected { offset, reason: format!("not a record: {kind} where an object should be") }
    }

    fn doomed_item(&self, doom: Doom) -> Item {
        let reason = match doom {
            Doom::TooLong => format!("longer than {} bytes", self.record_bytes_max),
            Doom::TooDeep => format!("nested deeper than {DEPTH_MAX} levels"),
        };
        Item::Rejected { offset: self.record_at, reason }
    }

    fn reject_doomed(&self, doom: Doom, items: &mut Vec<Item>) {
        items.push(self.doomed_item(doom));
    }
}
