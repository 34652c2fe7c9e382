//! Text from outside, made safe to show.
//!
//! Not here: what may stand in a field (`limits`).

use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_cuts() {
        assert_eq!(Shown("a\u{1b}[31mb").to_string(), "a\\u{1b}[31mb");
        assert_eq!(excerpt("ünïcode", 3), "ünï…");
        assert_eq!(excerpt("x\u{202e}y", 9), "x\\u{202e}y");
    }
}
