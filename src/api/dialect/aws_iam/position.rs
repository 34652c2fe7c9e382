//! Where the statements of a document stand in its text, so that an answer can point at them.
//!
//! The document was accepted before, so its JSON is well formed; of anything else nothing is found, and nothing goes wrong.
//!
//! Not here: what the statements say (`policy`).

use std::ops::Range;

/// A place in a text: line and column, both counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// The place of a byte. An end is the place behind the last character.
pub fn position(text: &str, at: usize) -> Position {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Position { line, column }
}

/// The bytes of each statement, in order.
pub fn spans(text: &str) -> Vec<Range<usize>> {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    let Some(value) = reader.member("Statement") else { return Vec::new() };
    reader.at = value;
    if reader.peek() == Some(b'[') { reader.items() } else { reader.value().into_iter().collect() }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    /// A string, with its quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        self.eat(b'"')?;
        let from = self.at - 1;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(from..self.at)
    }

    /// Any value: brackets are counted, strings passed over.
    fn value(&mut self) -> Option<Range<usize>> {
        let first = self.peek()?;
        let from = self.at;
        match first {
            b'"' => return self.string(),
            b'{' | b'[' => {
                let mut depth = 0_usize;
                loop {
                    match self.peek()? {
                        b'"' => {
                            self.string()?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth = depth.checked_sub(1)?,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        break;
                    }
                }
            }
            _ => {
                let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
                while self.bytes.get(self.at).is_some_and(|byte| !is_end(byte)) {
                    self.at += 1;
                }
            }
        }
        Some(from..self.at)
    }

    /// Where the value of a member of the outermost object begins.
    fn member(&mut self, name: &str) -> Option<usize> {
        self.eat(b'{')?;
        loop {
            let key = self.string()?;
            // A name may be written with escapes.
            let key = serde_json::from_slice::<String>(self.bytes.get(key)?).ok()?;
            self.eat(b':')?;
            self.peek()?;
            if key == name {
                return Some(self.at);
            }
            self.value()?;
            self.eat(b',')?;
        }
    }

    fn items(&mut self) -> Vec<Range<usize>> {
        let mut items = Vec::new();
        if self.eat(b'[').is_none() {
            return items;
        }
        while self.peek().is_some_and(|byte| byte != b']') {
            let Some(item) = self.value() else { break };
            if item.is_empty() {
                break;
            }
            items.push(item);
            if self.eat(b',').is_none() {
                break;
            }
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_slice_each_statement_out_of_its_text() {
        let one = r#"{"Sid":"a}\"","Effect":"Allow","Action":["s3:*"],"Resource":"*"}"#;
        let two = "{\n  \"Effect\": \"Deny\" }";
        let text = format!(
            "{{\"Version\":\"2012-10-17\", \"Id\": \"Statement\",\n \"Statem\\u0065nt\" : [ {one} ,\n {two}]}}"
        );
        let found: Vec<_> = spans(&text).into_iter().map(|span| &text[span]).collect();
        assert_eq!(found, [one, two]);
        let single = format!("{{\"Statement\":{one}}}");
        assert_eq!(spans(&single).first(), Some(&(13..13 + one.len())));
        assert_eq!(position(&single, 13), Position { line: 1, column: 14 });
        assert_eq!(position("ä\nüx", 5), Position { line: 2, column: 2 });
    }

    #[test]
    fn what_is_no_document_has_no_spans() {
        for text in [
            "",
            "{",
            "[]",
            r#"{"Statement""#,
            r#"{"Statement":["#,
            r#"{"Statement":[,]}"#,
            r#"{"Statement":[{]"#,
            r#"{"a":"\"#,
        ] {
            assert!(spans(text).len() <= 1, "{text}");
        }
    }
}
