//! `policy simulate --cases`: one case a line, one verdict a line, for as many lines as there are.
//!
//! No ledger is read. A line that cannot be answered is told as such, with its number, and the rest goes on.
//!
//! Not here: what a case looks like, and deciding it (`policy::cases`).

use crate::cli::print::Out;
use crate::cli::{Context, Done, Exit, Failure};
use crate::model::text::Shown;
use crate::policy::{Cases, Unanswered, Verdict};
use crate::sys::{IoFile, OpenMode};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// Bytes of a line: room for some dozen documents of the longest kind.
const LINE_BYTES_MAX: usize = 4 << 20;
/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// Answers every line of `source`, a file or `-`.
pub fn run(cx: &mut Context, source: &str) -> Done {
    let name = if source == "-" { "standard input" } else { source };
    let unread = |error: &io::Error| Failure::usage(format!("could not read `{}`: {error}", Shown(name)));
    let input: Box<dyn Read> = if source == "-" {
        Box::new(io::stdin().lock())
    } else {
        let file = cx.io.open(Path::new(source), OpenMode::Read).map_err(|error| unread(&error))?;
        Box::new(InOrder { file, offset: 0 })
    };
    let mut lines = Lines::of(input);
    let mut cases = Cases::default();
    let (mut number, mut bad) = (0_u64, 0_u64);
    while let Some(line) = lines.next().map_err(|error| unread(&error))? {
        number += 1;
        let answered = match line {
            Line::Blank => continue,
            Line::TooLong => {
                let text = format!("line {number} is longer than {LINE_BYTES_MAX} bytes");
                Err(Unanswered { id: Cow::Borrowed("null"), error: text })
            }
            Line::Text(bytes) => cases.answer(bytes, number),
        };
        match answered {
            Ok((id, verdict)) => say(&mut cx.out, &id, verdict)?,
            Err(unanswered) => {
                bad += 1;
                refuse(&mut cx.out, number, &unanswered)?;
            }
        }
    }
    if bad == 0 {
        return Ok(Exit::Done);
    }
    cx.note(&format!("{bad} of {number} lines could not be answered; each says why"));
    Ok(Exit::Usage)
}

/// A file, or whatever else has a name (a pipe), read from its beginning on.
struct InOrder {
    file: Arc<dyn IoFile>,
    offset: u64,
}

impl Read for InOrder {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(mut file) = self.file.as_std() {
            return file.read(buf);
        }
        let read = self.file.read_at(buf, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// Lines in a buffer that never grows beyond the longest line allowed.
struct Lines {
    input: Box<dyn Read>,
    buffer: Vec<u8>,
    /// What was read and not yet given out.
    from: usize,
    to: usize,
    at_end: bool,
}

enum Line<'a> {
    Text(&'a [u8]),
    Blank,
    TooLong,
}

impl Lines {
    fn of(input: Box<dyn Read>) -> Self {
        Self { input, buffer: vec![0; READ_BYTES], from: 0, to: 0, at_end: false }
    }

    /// The next line without its end; none at the end of the input.
    fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut searched = 0;
        let mut too_long = false;
        let (start, end) = loop {
            let unread = &self.buffer[self.from..self.to];
            if let Some(at) = memchr::memchr(b'\n', &unread[searched..]) {
                let start = self.from;
                self.from += searched + at + 1;
                break (start, start + searched + at);
            }
            if self.at_end {
                if unread.is_empty() && !too_long {
                    return Ok(None);
                }
                let start = self.from;
                self.from = self.to;
                break (start, self.to);
            }
            searched = unread.len();
            if searched >= LINE_BYTES_MAX {
                // Let go of its beginning and look for its end.
                (too_long, searched, self.from, self.to) = (true, 0, 0, 0);
            }
            self.fill()?;
        };
        let line = &self.buffer[start..end];
        Ok(Some(match line {
            _ if too_long => Line::TooLong,
            line if line.iter().all(u8::is_ascii_whitespace) => Line::Blank,
            line => Line::Text(line),
        }))
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.from > 0 {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        if self.buffer.len() - self.to < READ_BYTES / 2 {
            self.buffer.resize(self.buffer.len() + READ_BYTES, 0);
        }
        let read = loop {
            match self.input.read(&mut self.buffer[self.to..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.to += read;
        self.at_end = read == 0;
        Ok(())
    }
}

fn say(out: &mut Out, id: &str, verdict: Verdict) -> Result<(), Failure> {
    let pieces: [&str; 5] = if out.json {
        ["{\"id\":", id, ",\"decision\":\"", verdict.as_str(), "\"}\n"]
    } else {
        [id, "  ", verdict.as_str(), "\n", ""]
    };
    pieces.into_iter().try_for_each(|piece| out.raw(piece.as_bytes()))
}

fn refuse(out: &mut Out, line: u64, unanswered: &Unanswered<'_>) -> Result<(), Failure> {
    #[derive(serde::Serialize)]
    struct Shape<'a> {
        id: &'a RawValue,
        line: u64,
        error: &'a str,
    }
    let Unanswered { id, error } = unanswered;
    if !out.json {
        return out.line(format!("{id}  {error}"));
    }
    let id = RawValue::from_string(id.clone().into_owned())
        .map_err(|error| Failure::usage(format!("line {line}: {error}")))?;
    out.json(&Shape { id: &id, line, error })
}
