//! Hex and percent-encoding, exactly as SigV4 wants them.
//!
//! Not here: what is encoded in which order (`canonical`).

use std::borrow::Cow;

const HEX_LOWER: &[u8; 16] = b"0123456789abcdef";
const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";

/// Which bytes stand for themselves: RFC 3986's unreserved ones.
const UNRESERVED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        byte += 1;
    }
    table
};

/// 64 lowercase digits.
pub fn hex(bytes: &[u8; 32]) -> [u8; 64] {
    let mut out = [0; 64];
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = HEX_LOWER[usize::from(byte >> 4)];
        pair[1] = HEX_LOWER[usize::from(byte & 15)];
    }
    out
}

/// What each lowercase hex digit counts; of anything else the upper half is not zero.
const DIGITS: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut digit = 0_u8;
    while digit < 16 {
        table[HEX_LOWER[digit as usize] as usize] = digit;
        digit += 1;
    }
    table
};

/// Exactly 64 lowercase digits; nothing else is a signature or a hash.
pub fn unhex(text: &[u8]) -> Option<[u8; 32]> {
    let text: &[u8; 64] = text.try_into().ok()?;
    let (mut out, mut seen) = ([0; 32], 0);
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (DIGITS[usize::from(pair[0])], DIGITS[usize::from(pair[1])]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    (seen < 16).then_some(out)
}

/// The byte that `%XX` at `at` stands for.
fn escaped(text: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    let value = digit(at + 1)? << 4 | digit(at + 2)?;
    u8::try_from(value).ok()
}

fn push_encoded(out: &mut Vec<u8>, byte: u8) {
    if UNRESERVED[usize::from(byte)] {
        out.push(byte);
    } else {
        out.extend_from_slice(&[b'%', HEX_UPPER[usize::from(byte >> 4)], HEX_UPPER[usize::from(byte & 15)]]);
    }
}

/// Appends `path` encoded as it stands, `/` apart: what is `%41` becomes `%2541`.
pub fn push_path_encoded(out: &mut Vec<u8>, path: &[u8]) {
    for &byte in path {
        if byte == b'/' { out.push(byte) } else { push_encoded(out, byte) }
    }
}

/// Appends `path` with every byte encoded once, however it was sent; false when a `%` begins no escape.
#[must_use]
pub fn push_path_reencoded(out: &mut Vec<u8>, path: &[u8]) -> bool {
    let mut at = 0;
    while at < path.len() {
        // What stands for itself in one piece: most paths are nothing else.
        let plain = path[at..].iter().take_while(|byte| **byte == b'/' || UNRESERVED[usize::from(**byte)]).count();
        out.extend_from_slice(&path[at..at + plain]);
        at += plain;
        let Some(&byte) = path.get(at) else { break };
        if byte == b'%' {
            match escaped(path, at) {
                Some(b'/') => out.push(b'/'),
                Some(decoded) => push_encoded(out, decoded),
                None => return false,
            }
            at += 3;
        } else {
            push_encoded(out, byte);
            at += 1;
        }
    }
    true
}

/// The bytes that a name or value of a query stands for. A `%` that begins no escape stands for itself.
fn decoded(text: &[u8], plus_is_space: bool) -> impl Iterator<Item = u8> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let byte = *text.get(at)?;
        at += 1;
        Some(match byte {
            b'%' => match escaped(text, at - 1) {
                Some(decoded) => {
                    at += 2;
                    decoded
                }
                None => byte,
            },
            b'+' if plus_is_space => b' ',
            _ => byte,
        })
    })
}

/// Appends a name or value of a query with every byte encoded once.
pub fn push_query_reencoded(out: &mut Vec<u8>, text: &[u8], plus_is_space: bool) {
    for byte in decoded(text, plus_is_space) {
        push_encoded(out, byte);
    }
}

/// Whether a query's name, however it is encoded, is `name`.
pub fn query_name_is(text: &[u8], name: &str) -> bool {
    text == name.as_bytes() || (text.contains(&b'%') && decoded(text, true).eq(name.bytes()))
}

/// A path as text, as it was signed; `None` when a `%` begins no escape, or it is not UTF-8.
#[must_use]
pub fn path_text(path: &[u8]) -> Option<Cow<'_, str>> {
    if !path.contains(&b'%') {
        return std::str::from_utf8(path).ok().map(Cow::Borrowed);
    }
    let mut out = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        let (byte, length) = if byte == b'%' { (escaped(path, at)?, 3) } else { (byte, 1) };
        out.push(byte);
        at += length;
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// A query's name or value as text; `None` when it is not UTF-8.
#[must_use]
pub fn query_text(text: &[u8]) -> Option<Cow<'_, str>> {
    if text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        String::from_utf8(decoded(text, true).collect()).ok().map(Cow::Owned)
    } else {
        std::str::from_utf8(text).ok().map(Cow::Borrowed)
    }
}

/// Names and values of a query as sent, in order; parts without a name and value (`&&`) are left out.
pub fn pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|byte| *byte == b'&').filter(|part| !part.is_empty()).map(|part| {
        match part.iter().position(|byte| *byte == b'=') {
            Some(at) => (&part[..at], &part[at + 1..]),
            None => (part, &part[part.len()..]),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_strict() {
        let bytes: [u8; 32] = std::array::from_fn(|n| u8::try_from(n * 8).unwrap());
        let text = hex(&bytes);
        assert_eq!(unhex(&text), Some(bytes));
        assert_eq!(unhex(&text.to_ascii_uppercase()), None, "uppercase is another text");
        assert_eq!(unhex(&text[..63]), None);
        assert_eq!(unhex(&[b'0'; 65]), None);
        let mut bad = text;
        bad[10] = b'g';
        assert_eq!(unhex(&bad), None);
    }

    #[test]
    fn paths_are_encoded_once_or_twice() {
        let path = b"/a%2fb/\xc3\xa4%C3%A4 ~(x)";
        let mut out = Vec::new();
        assert!(push_path_reencoded(&mut out, path));
        assert_eq!(out, b"/a/b/%C3%A4%C3%A4%20~%28x%29");
        out.clear();
        push_path_encoded(&mut out, path);
        assert_eq!(out, b"/a%252fb/%C3%A4%25C3%25A4%20~%28x%29");
        for bad in ["/%", "/%4", "/%zz", "/%%41"] {
            assert!(!push_path_reencoded(&mut out, bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn queries_are_encoded_once_whatever_was_sent() {
        let encoded = |text: &str, plus| {
            let mut out = Vec::new();
            push_query_reencoded(&mut out, text.as_bytes(), plus);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(encoded("a+b%2Bc%20d/%zz%", true), "a%20b%2Bc%20d%2F%25zz%25");
        assert_eq!(encoded("a+b", false), "a%2Bb");
        assert!(query_name_is(b"X%2dAmz-Date", "X-Amz-Date") && !query_name_is(b"x-amz-date", "X-Amz-Date"));
        assert_eq!(query_text(b"a%2Fb").unwrap(), "a/b");
        assert_eq!(query_text(b"%ff"), None);
        let all: Vec<_> = pairs(b"a=1&&b&=x&c==").collect();
        let expected: [(&[u8], &[u8]); 4] = [(b"a", b"1"), (b"b", b""), (b"", b"x"), (b"c", b"=")];
        assert_eq!(all, expected);
    }
}
