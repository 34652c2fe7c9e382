//! Answers: tables for people, JSON lines for programs, both safe for a terminal.
//!
//! Invariants
//! - Every text that came from outside is escaped here, on its way out: table cells and lines by `model::text::Shown`, JSON by
//!   escaping what a terminal would obey (which JSON allows and every parser undoes).
//! - Colour is only ever added around escaped text, and only when wanted.
//! - A reader that closes the pipe ends the command without an error.
//!
//! Not here: what is shown of which noun (one file a command).

use super::exit::Failure;
use crate::model::Time;
pub use crate::model::text::grouped;
use crate::model::text::{Shown, is_deceptive};
use comfy_table::{Attribute, Cell as TableCell, Color, ContentArrangement, Table as ComfyTable, TableStyle};
use serde::Serialize;
use std::fmt::{Display, Write as _};
use std::io::{self, BufWriter, IsTerminal, Write};
use zeroize::Zeroizing;

/// How a piece of text is marked for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paint {
    #[default]
    Plain,
    Bold,
    /// Less important.
    Dim,
    Good,
    Warn,
    Bad,
}

/// One cell of a table, not escaped yet.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    paint: Paint,
}

impl Cell {
    pub fn new(text: impl Display, paint: Paint) -> Self {
        Self { text: text.to_string(), paint }
    }
}

impl<T: Display> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Paint::Plain)
    }
}

/// Rows under a header.
#[derive(Debug)]
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    #[must_use]
    pub fn new(header: &[&'static str]) -> Self {
        Self { header: header.to_vec(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Where answers go.
pub struct Out {
    writer: BufWriter<Box<dyn Write>>,
    pub json: bool,
    color: bool,
    /// The terminal's width; none when the answer goes elsewhere, so that no line is ever folded there.
    width: Option<u16>,
}

impl Out {
    /// The process's standard output.
    pub fn stdout(json: bool, color: bool) -> Self {
        let stdout = io::stdout();
        let width = stdout.is_terminal().then(|| ComfyTable::new().width()).flatten();
        Self { writer: BufWriter::with_capacity(64 << 10, Box::new(stdout)), json, color, width }
    }

    /// One line; escaped.
    pub fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        let text = text.to_string();
        self.write(format_args!("{}\n", Shown(&text)))
    }

    /// One line of pieces, each escaped and painted.
    pub fn pieces(&mut self, pieces: &[(Paint, &str)]) -> Result<(), Failure> {
        let mut line = String::new();
        for (paint, text) in pieces {
            let _ = write!(line, "{}", self.painted(*paint, text));
        }
        line.push('\n');
        self.write(format_args!("{line}"))
    }

    /// A heading with an empty line before it, unless it is the first thing shown.
    pub fn heading(&mut self, text: &str) -> Result<(), Failure> {
        self.write(format_args!("\n"))?;
        self.pieces(&[(Paint::Bold, text)])
    }

    /// One JSON object on one line.
    pub fn json<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::usage(format!("the answer cannot be written as JSON: {error}")))?;
        self.write(format_args!("{}\n", SafeJson(&text)))
    }

    /// One JSON object with a secret in it: past every buffer of ours, and wiped.
    pub fn json_once<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        let mut text = Zeroizing::new(Vec::with_capacity(4 << 10));
        serde_json::to_writer(&mut *text, value)
            .map_err(|error| Failure::usage(format!("the answer cannot be written as JSON: {error}")))?;
        let text = std::str::from_utf8(&text).unwrap_or_default();
        let safe = Zeroizing::new(format!("{}\n", SafeJson(text)));
        self.past_buffers(&safe)
    }

    /// One line that ends with a secret: past every buffer of ours, and wiped.
    pub fn secret_line(&mut self, before: &str, secret: &str) -> Result<(), Failure> {
        let line = Zeroizing::new(format!("{before}{}\n", Shown(secret)));
        self.past_buffers(&line)
    }

    fn past_buffers(&mut self, text: &str) -> Result<(), Failure> {
        self.flush()?;
        let writer = self.writer.get_mut();
        writer.write_all(text.as_bytes()).and_then(|()| writer.flush()).map_err(|error| unwritten(&error))
    }

    /// A table; nothing when it has no rows.
    pub fn table(&mut self, table: &Table) -> Result<(), Failure> {
        if table.is_empty() {
            return Ok(());
        }
        let mut shown = ComfyTable::new();
        shown.load_style(TableStyle::new());
        match self.width {
            Some(width) => shown.set_width(width).set_content_arrangement(ContentArrangement::Dynamic),
            None => shown.set_content_arrangement(ContentArrangement::Disabled),
        };
        if self.color {
            shown.enforce_styling()
        } else {
            shown.force_no_tty()
        };
        let header = table.header.iter().map(|name| {
            let cell = TableCell::new(name.to_uppercase());
            if self.color { cell.add_attribute(Attribute::Bold) } else { cell }
        });
        shown.set_header(header.collect::<Vec<_>>());
        for row in &table.rows {
            shown.add_row(row.iter().map(|cell| self.table_cell(cell)).collect::<Vec<_>>());
        }
        for column in shown.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let text: Vec<String> = shown.lines().collect();
        for line in text {
            // Padding of the last column is nobody's answer.
            self.write(format_args!("{}\n", line.trim_end()))?;
        }
        Ok(())
    }

    /// Text of our own making, as it is.
    pub fn raw(&mut self, text: &[u8]) -> Result<(), Failure> {
        self.writer.write_all(text).map_err(|error| unwritten(&error))
    }

    /// Names and values below each other; empty values are left out.
    pub fn fields(&mut self, fields: &[(&str, Cell)]) -> Result<(), Failure> {
        let shown: Vec<_> = fields.iter().filter(|(_, cell)| !cell.text.is_empty()).collect();
        let width = shown.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, cell) in shown {
            let name = format!("{name:width$}");
            let line = format!("{}  {}\n", self.painted(Paint::Dim, &name), self.painted(cell.paint, &cell.text));
            self.write(format_args!("{line}"))?;
        }
        Ok(())
    }

    /// Puts what was said so far before whoever reads it.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.writer.flush().map_err(|error| unwritten(&error))
    }

    fn painted(&self, paint: Paint, text: &str) -> String {
        let shown = Shown(text);
        let code = match paint {
            Paint::Plain => return shown.to_string(),
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Good => "32",
            Paint::Warn => "33",
            Paint::Bad => "31",
        };
        if self.color { format!("\u{1b}[{code}m{shown}\u{1b}[0m") } else { shown.to_string() }
    }

    fn table_cell(&self, cell: &Cell) -> TableCell {
        let shown = TableCell::new(Shown(&cell.text));
        if !self.color {
            return shown;
        }
        match cell.paint {
            Paint::Plain => shown,
            Paint::Bold => shown.add_attribute(Attribute::Bold),
            Paint::Dim => shown.add_attribute(Attribute::Dim),
            Paint::Good => shown.fg(Color::Green),
            Paint::Warn => shown.fg(Color::Yellow),
            Paint::Bad => shown.fg(Color::Red),
        }
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) -> Result<(), Failure> {
        self.writer.write_fmt(text).map_err(|error| unwritten(&error))
    }
}

fn unwritten(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::closed()
    } else {
        Failure::usage(format!("the answer could not be written: {error}"))
    }
}

/// JSON text with everything that a terminal might obey written as `\u…`; the value is the same.
struct SafeJson<'a>(&'a str);

impl Display for SafeJson<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Such characters stand in strings alone, where JSON lets them be escaped.
        for c in self.0.chars() {
            if is_deceptive(c) {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    write!(f, "\\u{unit:04x}")?;
                }
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Something beside the answers, on stderr. That nobody can take it (a closed pipe, a full disk) stops nothing.
pub fn aside(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A time to the second, for tables.
#[must_use]
pub fn moment(time: Time) -> String {
    let whole = Time(time.0.div_euclid(1_000_000_000).saturating_mul(1_000_000_000));
    whole.to_string()
}

/// [`moment`], or nothing.
#[must_use]
pub fn moment_or(time: Option<Time>, otherwise: &str) -> String {
    time.map_or_else(|| otherwise.to_owned(), moment)
}

/// `1 key`, `2 keys`: numbers with thousands separated.
#[must_use]
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_for_a_terminal_is_the_same_value() {
        let value = "a\u{202e}b\u{9b}31m\u{e0041}ü";
        let text = SafeJson(&serde_json::to_string(value).unwrap()).to_string();
        assert!(text.is_ascii() || !text.chars().any(is_deceptive), "{text}");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
    }

    #[test]
    fn numbers_and_times_are_shown_for_people() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(12), "12");
        assert_eq!(counted(1, "key", "keys"), "1 key");
        assert_eq!(moment(Time(1_999_999_999)), "1970-01-01T00:00:01Z");
    }
}
