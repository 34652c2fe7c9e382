//! What a person names on the command line and we read: documents, key lists.
//!
//! Not here: the ledger's own files, and import files (`ledger::import` streams them).

use super::exit::Failure;
use crate::model::text::Shown;
use crate::sys::Io;
use std::io::Read;
use std::path::Path;

/// Bytes of a document or of a list read whole.
pub const INPUT_BYTES_MAX: u64 = 64 << 20;

/// Reads `source`: a file, `-` for standard input, or JSON right there (it starts with `{`).
///
/// # Errors
/// A usage failure naming the file; also when it is longer than `bytes_max` or not UTF-8.
pub fn text_of(io: &dyn Io, source: &str, bytes_max: u64) -> Result<String, Failure> {
    if source.trim_start().starts_with('{') {
        return Ok(source.to_owned());
    }
    let name = if source == "-" { "standard input" } else { source };
    let path = source.strip_prefix("file://").unwrap_or(source);
    let bytes = if source == "-" { stdin(bytes_max) } else { io.read(Path::new(path), bytes_max) };
    let bytes = bytes.map_err(|error| Failure::usage(format!("could not read `{}`: {error}", Shown(name))))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::usage(format!("`{}` is not UTF-8 (byte {at})", Shown(name)))
    })
}

fn stdin(bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        let text = format!("longer than the {bytes_max} bytes allowed");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, text));
    }
    Ok(bytes)
}

/// The line a row begins on, and its fields in the order of the columns asked for.
pub type Row = (usize, Vec<Option<String>>);

/// A table as text: JSON lines when it starts with `{`, else CSV with a header (RFC 4180).
///
/// Column names are folded: `Access key ID` is `access_key_id`. Rows are (line, fields in the order of `columns`).
///
/// # Errors
/// A usage failure naming the line.
pub fn rows(text: &str, columns: &[&str]) -> Result<Vec<Row>, Failure> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') { json_rows(text, columns) } else { csv_rows(text, columns) }
}

fn json_rows(text: &str, columns: &[&str]) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        // The error's own text could quote what stands there, and a secret may stand there.
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line)
            .map_err(|error| Failure::usage(format!("line {}, column {}: no JSON object", at + 1, error.column())))?;
        let mut fields = vec![None; columns.len()];
        for (name, value) in object {
            let Some(place) = columns.iter().position(|column| *column == folded(&name)) else { continue };
            fields[place] = match value {
                serde_json::Value::Null => None,
                serde_json::Value::String(text) => Some(text),
                serde_json::Value::Array(items) => Some(items.iter().map(listed).collect::<Vec<_>>().join(" ")),
                other => Some(other.to_string()),
            };
        }
        rows.push((at + 1, fields));
    }
    Ok(rows)
}

/// An item of a list: a text, or a bucket with its role as `key list --json` shows it.
fn listed(item: &serde_json::Value) -> String {
    match (item.as_str(), item["bucket"].as_str(), item["role"].as_str()) {
        (Some(text), ..) => text.to_owned(),
        (_, Some(bucket), Some(role)) => format!("{bucket}={role}"),
        _ => item.to_string(),
    }
}

fn csv_rows(text: &str, columns: &[&str]) -> Result<Vec<Row>, Failure> {
    let mut records = csv_records(text)?.into_iter();
    let Some((_, header)) = records.next() else { return Ok(Vec::new()) };
    let places: Vec<Option<usize>> =
        header.iter().map(|name| columns.iter().position(|column| *column == folded(name))).collect();
    if places.iter().all(Option::is_none) {
        let text = format!("line 1 names none of the columns {}", columns.join(", "));
        return Err(Failure::usage(text));
    }
    let mut rows = Vec::new();
    for (line, record) in records {
        if record.len() > header.len() {
            let text = format!("line {line} has {} fields, the header {}", record.len(), header.len());
            return Err(Failure::usage(text));
        }
        let mut fields = vec![None; columns.len()];
        for (value, place) in record.into_iter().zip(&places) {
            if let Some(place) = place {
                fields[*place] = (!value.is_empty()).then_some(value);
            }
        }
        rows.push((line, fields));
    }
    Ok(rows)
}

/// Records with the line they start on; empty lines are none.
fn csv_records(text: &str) -> Result<Vec<(usize, Vec<String>)>, Failure> {
    let mut records = Vec::new();
    let mut record = Vec::new();
    let mut field = String::new();
    let (mut quoted, mut line, mut start) = (false, 1, 1);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        line += usize::from(letter == '\n');
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\r' if !quoted && letters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                end_record(&mut records, &mut record, start);
                start = line;
            }
            other => field.push(other),
        }
    }
    if quoted {
        return Err(Failure::usage(format!("line {start}: a quoted field never ends")));
    }
    record.push(field);
    end_record(&mut records, &mut record, start);
    Ok(records)
}

fn end_record(records: &mut Vec<(usize, Vec<String>)>, record: &mut Vec<String>, line: usize) {
    let fields = std::mem::take(record);
    if fields.len() > 1 || fields.iter().any(|field| !field.is_empty()) {
        records.push((line, fields));
    }
}

fn folded(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace([' ', '-'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_and_json_lines_say_the_same() {
        let columns = ["access_key_id", "secret_access_key", "label"];
        let csv = "\u{feff}Access key ID,Secret access key,Label\r\nAKIA1,\"s,\"\"1\",\r\n\r\nAKIA2,s2,x\n";
        let json = "{\"access_key_id\":\"AKIA1\",\"secret_access_key\":\"s,\\\"1\"}\n\n\
                    {\"label\":\"x\",\"access_key_id\":\"AKIA2\",\"secret_access_key\":\"s2\",\"other\":1}\n";
        let fields = |text| rows(text, &columns).unwrap().into_iter().map(|(_, fields)| fields).collect::<Vec<_>>();
        assert_eq!(fields(csv), fields(json));
        assert_eq!(rows(csv, &columns).unwrap()[1].0, 4, "a row knows its line");
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line_and_never_quoted() {
        let broken = rows("{\"access_key_id\": hunter2secret}", &["access_key_id"]).unwrap_err().to_string();
        assert!(broken.contains("line 1") && !broken.contains("hunter2"), "{broken}");
        assert!(rows("a,b\n1,2", &["access_key_id"]).is_err());
        assert!(rows("access_key_id\n\"x", &["access_key_id"]).is_err());
        assert!(rows("access_key_id\n1,2", &["access_key_id"]).is_err());
    }
}
