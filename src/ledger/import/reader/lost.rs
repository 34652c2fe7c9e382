//! Where to go on after a fault: at the next place where a record plainly begins.
//!
//! - Outside lists: at a line that starts with `{`.
//! - Inside a list: at an object whose first key is that of the record before it, or one that records are written with
//!   first. Such a key cannot stand in a string, where its quotes would be escaped.
//!
//! Not here: noticing faults (`reader`, `scan`).

use super::{Level, Reader};

/// How far a `{` is looked behind to tell whether a record begins there.
pub(super) const LOOK_BYTES: usize = 96;

/// First keys of records: CloudTrail's own, the alphabet's, `lookup-events`'.
const FIRST_KEYS: [&[u8]; 3] = [b"eventVersion", b"awsRegion", b"EventId"];

impl Reader {
    /// Looks for the next place where a record plainly begins.
    pub(super) fn lost(&mut self, data: &[u8], at_end: bool) -> bool {
        loop {
            let Some(found) = data[self.pos..].iter().position(|byte| *byte == b'{') else {
                self.pos = data.len();
                return false;
            };
            self.pos += found;
            if data.len() - self.pos < LOOK_BYTES && !at_end {
                return false;
            }
            if let Some(level) = self.begins_record(data, self.pos) {
                self.resume(level);
                return true;
            }
            self.pos += 1;
        }
    }

    pub(super) fn resume(&mut self, level: Level) {
        if level == Level::Top {
            self.level = Level::Top;
            self.envelope = None;
        }
        self.begin();
    }

    /// Whether a record (or, on a line of its own, a new list of them) begins at the `{` at `at`, and where that is.
    pub(super) fn begins_record(&self, data: &[u8], at: usize) -> Option<Level> {
        let line_begins = match at.checked_sub(1) {
            Some(before) => data[before] == b'\n',
            None => self.base == 0,
        };
        let key = first_key(&data[at..(at + LOOK_BYTES).min(data.len())]);
        match self.level {
            Level::Top if line_begins => Some(Level::Top),
            Level::Top => (key == Some(FIRST_KEYS[0])).then_some(Level::Top),
            Level::List => match key? {
                b"Records" | b"Events" if line_begins => Some(Level::Top),
                key if key == self.first_key || FIRST_KEYS.contains(&key) => Some(Level::List),
                _ => None,
            },
        }
    }

    pub(super) fn remember_first_key(&mut self, record: &[u8]) {
        if let Some(key) = first_key(&record[..record.len().min(LOOK_BYTES)])
            && key != self.first_key
        {
            self.first_key.clear();
            self.first_key.extend_from_slice(key);
        }
    }
}

/// The first key of the object that `text` begins with, as it is written.
fn first_key(text: &[u8]) -> Option<&[u8]> {
    let inside = text.strip_prefix(b"{")?.trim_ascii_start().strip_prefix(b"\"")?;
    let length = inside.iter().position(|byte| *byte == b'"')?;
    Some(&inside[..length])
}
