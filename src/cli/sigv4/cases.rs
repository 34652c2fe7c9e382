//! `sigv4 verify --cases`: many requests, one JSON line each, answered in order as they are read.
//!
//! A line that cannot be read is answered too (reject, with an `error`), and the command ends with exit code 2. One
//! line is held at a time, of at most [`LINE_BYTES_MAX`].

use super::super::{Context, Done, Exit, Failure};
use super::check::Check;
use crate::model::Time;
use crate::model::text::excerpt;
use crate::sigv4::{Request, Rules, Scratch};
use crate::sys::OpenMode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use zeroize::Zeroizing;

/// Bytes of a line.
const LINE_BYTES_MAX: u64 = 64 << 20;

#[derive(Deserialize)]
struct Case<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    target: Cow<'a, str>,
    #[serde(borrow)]
    headers: Vec<Header<'a>>,
    #[serde(borrow, default)]
    body: Cow<'a, str>,
    #[serde(borrow)]
    access_key: Cow<'a, str>,
    // It lies in the line, which is wiped.
    #[serde(borrow)]
    secret_key: Cow<'a, str>,
    #[serde(borrow)]
    region: Cow<'a, str>,
    #[serde(borrow)]
    service: Cow<'a, str>,
    #[serde(borrow)]
    now: Cow<'a, str>,
    normalize_path: Option<bool>,
}

#[derive(Deserialize)]
struct Header<'a>(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Cow<'a, str>);

/// Of a line that is no case: perhaps it has an id at least.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
}

#[derive(Serialize)]
struct Answer<'a> {
    id: Option<&'a RawValue>,
    result: &'static str,
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub fn run(cx: &mut Context, source: &str) -> Done {
    let file;
    let reader: Box<dyn Read + '_> = if source == "-" {
        Box::new(io::stdin().lock())
    } else {
        file = cx.io.open(Path::new(source), OpenMode::Read).map_err(|error| unread(source, &error))?;
        // Read in order, so that a pipe will do.
        Box::new(file.as_std().ok_or_else(|| Failure::usage(format!("`{source}` is no file")))?)
    };
    let mut reader = BufReader::with_capacity(1 << 20, reader);
    let (mut line, mut scratch) = (Zeroizing::new(Vec::new()), Scratch::new());
    let (mut number, mut unreadable) = (0_u64, 0_u64);
    loop {
        line.clear();
        let read = (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if read.map_err(|error| unread(source, &error))? == 0 {
            break;
        }
        number += 1;
        let answer = if line.len() as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n") {
            skip_line(&mut reader).map_err(|error| unread(source, &error))?;
            Err((None, format!("line {number} is longer than the {LINE_BYTES_MAX} bytes allowed")))
        } else if line.trim_ascii().is_empty() {
            continue;
        } else {
            verdict(&line, &mut scratch).map_err(|(id, what)| (id, format!("line {number}: {what}")))
        };
        let answer = answer.unwrap_or_else(|(id, error)| {
            unreadable += 1;
            Answer { id, result: "reject", code: Some("InvalidRequest"), error: Some(error) }
        });
        print(cx, &answer)?;
    }
    if unreadable > 0 {
        cx.note(&format!("{unreadable} of {number} lines could not be read as a case"));
        return Ok(Exit::Usage);
    }
    Ok(Exit::Done)
}

fn print(cx: &mut Context, answer: &Answer<'_>) -> Result<(), Failure> {
    if cx.out.json {
        return cx.out.json(answer);
    }
    let id = answer.id.map_or("null", RawValue::get);
    let code = answer.code.unwrap_or_default();
    cx.out.line(format!(
        "{}  {}  {}{}",
        answer.result,
        id,
        code,
        answer.error.as_deref().map(|e| format!(": {e}")).unwrap_or_default()
    ))
}

type Unreadable<'a> = (Option<&'a RawValue>, String);

fn verdict<'a>(line: &'a [u8], scratch: &mut Scratch) -> Result<Answer<'a>, Unreadable<'a>> {
    let case: Case<'a> = serde_json::from_slice(line).map_err(|error| {
        let id = serde_json::from_slice::<Named<'a>>(line).ok().map(|named| named.id);
        // The error's own text could quote what stands there, and a secret stands there.
        (id, format!("column {}: no case ({})", error.column(), shape(&error)))
    })?;
    let told = |what: String| (Some(case.id), what);
    let body = STANDARD.decode(case.body.as_bytes()).map_err(|_| told("`body` is not base64".into()))?;
    let now = Time::parse(&case.now).map_err(|error| told(error.to_string()))?;
    let regions = [&*case.region];
    let rules = Rules::of(&case.service, &regions);
    let headers: Vec<(&str, &[u8])> =
        case.headers.iter().map(|Header(name, value)| (&**name, value.as_bytes())).collect();
    let check = Check {
        request: Request { method: &case.method, target: case.target.as_bytes(), headers: &headers },
        body: &body,
        rules: Rules { normalize_path: case.normalize_path.unwrap_or(rules.normalize_path), ..rules },
        now,
        access_key: Some(&case.access_key),
        secret: case.secret_key.as_bytes(),
    };
    let code = check.run(scratch).err().map(|error| error.code());
    Ok(Answer { id: Some(case.id), result: if code.is_none() { "accept" } else { "reject" }, code, error: None })
}

/// What kind of mistake it is, and the field's name where serde says one; never a value.
fn shape(error: &serde_json::Error) -> String {
    if !error.is_data() {
        return "it is not JSON".into();
    }
    let text = error.to_string();
    match text.split_once("missing field `").and_then(|(_, rest)| rest.split_once('`')) {
        Some((field, _)) => format!("`{}` is missing", excerpt(field, 32)),
        None => "a field has the wrong type".into(),
    }
}

fn skip_line(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let held = reader.fill_buf()?;
        let (length, ends) = match memchr::memchr(b'\n', held) {
            Some(at) => (at + 1, true),
            None => (held.len(), held.is_empty()),
        };
        reader.consume(length);
        if ends {
            return Ok(());
        }
    }
}

fn unread(source: &str, error: &io::Error) -> Failure {
    Failure::usage(format!("could not read `{source}`: {error}"))
}
