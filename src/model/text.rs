//! Text from outside, made safe to show or to stand in a path; and how numbers are written for people.
//!
//! Not here: what may stand in a field (`limits`).

use std::fmt::{self, Write as _};

/// Shows text with every character escaped that could move a cursor, hide or reorder what is shown.
///
/// Control characters, bidirectional marks, zero-width characters and U+FEFF become `\u{…}`; letters of any
/// script stay as they are.
#[derive(Clone, Copy)]
pub struct Shown<'a>(pub &'a str);

/// Whether a character is left out of names, and escaped when shown.
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if is_deceptive(c) {
                write!(f, "\\u{{{:x}}}", c as u32)?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// At most `chars_max` characters of `text`, escaped, with `…` where something was cut.
#[must_use]
pub fn excerpt(text: &str, chars_max: usize) -> String {
    let mut cut: String = text.chars().take(chars_max).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    Shown(&cut).to_string()
}

/// A number with its thousands separated by commas: `12,345`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Percent-encoded, as one segment of a path or a part of a query (RFC 3986: unreserved characters stand).
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_cuts() {
        assert_eq!(Shown("a\u{1b}[31mb").to_string(), "a\\u{1b}[31mb");
        assert_eq!(excerpt("ünïcode", 3), "ünï…");
        assert_eq!(excerpt("x\u{202e}y", 9), "x\\u{202e}y");
        assert_eq!(percent_encoded("{\"a b\"}/ü~"), "%7B%22a%20b%22%7D%2F%C3%BC~");
    }
}
