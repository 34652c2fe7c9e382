//! `policy simulate --cases`: one case a line, one verdict a line, for as many lines as there are.
//!
//! A line holds its own documents and request; nothing is added and no ledger is read. Documents come back again and again,
//! so each is parsed once for its text and kept, within a bound. A line that cannot be answered is told as such, with its
//! number, and the rest goes on.
//!
//! Not here: deciding (`policy`).

use crate::cli::print::Out;
use crate::cli::{Context, Done, Exit, Failure};
use crate::model::text::{Shown, is_deceptive};
use crate::policy::{self, Document, DocumentKind, Request, Value};
use crate::sys::{IoFile, OpenMode};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// Bytes of a line: room for some dozen documents of the longest kind.
const LINE_BYTES_MAX: usize = 4 << 20;
/// Bytes of document text kept beside what they were parsed to.
const KEPT_BYTES_MAX: usize = 32 << 20;
/// Documents in one case: more than anybody may hold.
const DOCUMENTS_MAX: usize = 1_000;
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
    let mut kept = Kept::default();
    let (mut number, mut bad) = (0_u64, 0_u64);
    while let Some(line) = lines.next().map_err(|error| unread(&error))? {
        number += 1;
        let answered = match line {
            Line::Blank => continue,
            Line::TooLong => {
                let text = format!("line {number} is longer than {LINE_BYTES_MAX} bytes");
                Err(Unanswered { id: Cow::Borrowed("null"), error: text })
            }
            Line::Text(bytes) => answer(bytes, number, &mut kept),
        };
        match answered {
            Ok((id, verdict)) => say(&mut cx.out, &id, verdict)?,
            Err(unanswered) => {
                bad += 1;
                unanswered.say(&mut cx.out, number)?;
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

/// Parsed documents by their text.
#[derive(Default)]
struct Kept {
    documents: HashMap<Box<str>, Rc<Result<Document, String>>, foldhash::fast::RandomState>,
    bytes: usize,
}

impl Kept {
    fn document(&mut self, text: &str) -> Rc<Result<Document, String>> {
        if let Some(document) = self.documents.get(text) {
            return Rc::clone(document);
        }
        let parsed = Document::parse(text, DocumentKind::Simulated).map_err(|error| error.to_string());
        let parsed = Rc::new(parsed);
        if self.bytes + text.len() > KEPT_BYTES_MAX {
            self.documents.clear();
            self.bytes = 0;
        }
        self.bytes += text.len();
        self.documents.insert(text.into(), Rc::clone(&parsed));
        parsed
    }
}

#[derive(Deserialize)]
struct Case<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    policies: Vec<&'a RawValue>,
    #[serde(borrow)]
    request: Asked<'a>,
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    resource: Cow<'a, str>,
    #[serde(borrow, default)]
    context: Keys<'a>,
}

/// Only the id: of a line that cannot be read as a case.
#[derive(Deserialize)]
struct OnlyId<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

struct Unanswered<'a> {
    id: Cow<'a, str>,
    error: String,
}

type Answered<'a> = Result<(Cow<'a, str>, policy::Verdict), Unanswered<'a>>;

fn answer<'a>(line: &'a [u8], number: u64, kept: &mut Kept) -> Answered<'a> {
    let no_id = |error: String| Unanswered { id: Cow::Borrowed("null"), error };
    let text = std::str::from_utf8(line)
        .map_err(|error| no_id(format!("line {number} is not UTF-8 (byte {})", error.valid_up_to())))?;
    let case: Case<'_> = serde_json::from_str(text).map_err(|error| {
        let id = serde_json::from_str::<OnlyId<'_>>(text).ok().and_then(|line| line.id);
        let id = id.and_then(|id| scalar(id).ok()).unwrap_or(Cow::Borrowed("null"));
        Unanswered { id, error: format!("line {number} is no case: {error}") }
    })?;
    let id = match case.id {
        None => Cow::Borrowed("null"),
        Some(id) => scalar(id).map_err(|()| no_id(format!("line {number}: the `id` is neither text nor a number")))?,
    };
    if case.policies.len() > DOCUMENTS_MAX {
        let error = format!("line {number}: {} policies, at most {DOCUMENTS_MAX} are taken", case.policies.len());
        return Err(Unanswered { id, error });
    }
    let mut documents = Vec::with_capacity(case.policies.len());
    for (at, text) in case.policies.iter().enumerate() {
        let document = kept.document(text.get());
        if let Err(error) = &*document {
            return Err(Unanswered { id, error: format!("line {number}: `policies[{at}]`: {error}") });
        }
        documents.push(document);
    }
    let documents = documents.iter().filter_map(|document| document.as_ref().as_ref().ok());
    let Asked { action, resource, context } = case.request;
    let values = context.values();
    let entries = context.entries(&values);
    let decision = policy::evaluate(documents, &Request::new(&action, &resource, entries.as_slice()));
    Ok((id, decision.verdict))
}

/// A JSON scalar as it was written, with everything escaped that a terminal might obey.
fn scalar(id: &RawValue) -> Result<Cow<'_, str>, ()> {
    let text = id.get();
    if text.starts_with(['{', '[']) {
        return Err(());
    }
    if text.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
        return Ok(Cow::Borrowed(text));
    }
    let mut safe = String::with_capacity(text.len() + 8);
    let mut units = [0; 2];
    for c in text.chars() {
        match c {
            c if is_deceptive(c) => {
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(safe, "\\u{unit:04x}");
                }
            }
            c => safe.push(c),
        }
    }
    Ok(Cow::Owned(safe))
}

fn say(out: &mut Out, id: &str, verdict: policy::Verdict) -> Result<(), Failure> {
    let pieces: [&str; 5] = if out.json {
        ["{\"id\":", id, ",\"decision\":\"", verdict.as_str(), "\"}\n"]
    } else {
        [id, "  ", verdict.as_str(), "\n", ""]
    };
    pieces.into_iter().try_for_each(|piece| out.raw(piece.as_bytes()))
}

impl Unanswered<'_> {
    fn say(&self, out: &mut Out, line: u64) -> Result<(), Failure> {
        #[derive(serde::Serialize)]
        struct Shape<'a> {
            id: &'a RawValue,
            line: u64,
            error: &'a str,
        }
        if !out.json {
            return out.line(format!("{}  {}", self.id, self.error));
        }
        let id = RawValue::from_string(self.id.clone().into_owned())
            .map_err(|error| Failure::usage(format!("line {line}: {error}")))?;
        out.json(&Shape { id: &id, line, error: &self.error })
    }
}

/// The context of a case: keys in the order they were written, each with its values.
#[derive(Default)]
struct Keys<'a>(Vec<(Text<'a>, Given<'a>)>);

/// Borrowed from the line, unless something in it was escaped.
struct Text<'a>(Cow<'a, str>);

enum One<'a> {
    Text(Text<'a>),
    Integer(i64),
    Bool(bool),
}

enum Given<'a> {
    One(One<'a>),
    Many(Vec<One<'a>>),
}

impl Keys<'_> {
    /// All values, one key's beside one another, and how many each key has.
    fn values(&self) -> Vec<Value<'_>> {
        self.0.iter().flat_map(|(_, given)| given.all()).map(One::value).collect()
    }

    fn entries<'v>(&'v self, mut values: &'v [Value<'v>]) -> Vec<(&'v str, &'v [Value<'v>])> {
        let mut entries = Vec::with_capacity(self.0.len());
        for (name, given) in &self.0 {
            let (own, others) = values.split_at(given.all().len().min(values.len()));
            entries.push((&*name.0, own));
            values = others;
        }
        entries
    }
}

impl<'a> Given<'a> {
    fn all(&self) -> &[One<'a>] {
        match self {
            Given::One(one) => std::slice::from_ref(one),
            Given::Many(many) => many,
        }
    }
}

impl One<'_> {
    fn value(&self) -> Value<'_> {
        match self {
            One::Text(text) => Value::Text(&text.0),
            One::Integer(number) => Value::Integer(*number),
            One::Bool(value) => Value::Bool(*value),
        }
    }
}

struct ReadKeys;

impl<'de: 'a, 'a> Deserialize<'de> for Keys<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ReadKeys)
    }
}

impl<'de> Visitor<'de> for ReadKeys {
    type Value = Keys<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of condition keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Keys<'de>, A::Error> {
        let mut keys = Vec::new();
        while let Some(key) = access.next_key()? {
            keys.push((key, access.next_value()?));
        }
        Ok(Keys(keys))
    }
}

struct ReadText;
struct ReadOne;
struct ReadGiven;

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ReadText)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for One<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadOne)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Given<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadGiven)
    }
}

impl<'de> Visitor<'de> for ReadText {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a condition key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

impl<'de> Visitor<'de> for ReadOne {
    type Value = One<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number or a boolean")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<One<'de>, E> {
        ReadText.visit_borrowed_str(text).map(One::Text)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<One<'de>, E> {
        ReadText.visit_str(text).map(One::Text)
    }

    fn visit_i64<E>(self, number: i64) -> Result<One<'de>, E> {
        Ok(One::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<One<'de>, E> {
        // Beyond an i64 it is still the text of a number.
        Ok(i64::try_from(number).map_or_else(|_| One::Text(Text(Cow::Owned(number.to_string()))), One::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<One<'de>, E> {
        Ok(One::Text(Text(Cow::Owned(number.to_string()))))
    }

    fn visit_bool<E>(self, value: bool) -> Result<One<'de>, E> {
        Ok(One::Bool(value))
    }
}

impl<'de> Visitor<'de> for ReadGiven {
    type Value = Given<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, a boolean or a list of them")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Given<'de>, E> {
        ReadOne.visit_borrowed_str(text).map(Given::One)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Given<'de>, E> {
        ReadOne.visit_str(text).map(Given::One)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Given<'de>, E> {
        ReadOne.visit_i64(number).map(Given::One)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Given<'de>, E> {
        ReadOne.visit_u64(number).map(Given::One)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Given<'de>, E> {
        ReadOne.visit_f64(number).map(Given::One)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Given<'de>, E> {
        ReadOne.visit_bool(value).map(Given::One)
    }

    /// A key that is null is a key the request does not have.
    fn visit_unit<E>(self) -> Result<Given<'de>, E> {
        Ok(Given::Many(Vec::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Given<'de>, A::Error> {
        let mut many = Vec::new();
        while let Some(one) = access.next_element()? {
            many.push(one);
        }
        Ok(Given::Many(many))
    }
}
