//! The canonical request: the one text that client and server both make of a request, and hash.
//!
//! ```text
//!   GET                                          method
//!   /photos/%C3%A4.jpg                           path, encoded once (S3) or twice
//!   prefix=a%20b&versionId=                      parameters, encoded once, sorted by name, then value
//!   host:examplebucket.s3.amazonaws.com          signed headers: lowercase names, sorted; values trimmed, their
//!   x-amz-date:20130524T000000Z                  inner spaces collapsed, equal names joined by commas
//!                                                (empty line)
//!   host;x-amz-date                              names of the signed headers
//!   e3b0c442…                                    what was signed of the body
//! ```
//!
//! Invariants
//! - A header's value adds no line: whatever breaks lines collapses to a space.
//! - Nothing is allocated once the buffers have grown to the size of the requests that come.
//!
//! Not here: which headers must be signed, and who says so (`parse`).

use super::encode::{pairs, push_path_encoded, push_path_reencoded, push_query_reencoded, query_name_is};
use super::{ALGORITHM, HEADERS_MAX, QUERY_PAIRS_MAX, Request, Rules, SigError, TERMINATOR};

/// Signed headers up to this many are found by comparing with each.
const FEW: usize = 12;

/// Buffers that one request after another is made canonical in. Keep one a thread or a connection.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The canonical request.
    pub(super) text: Vec<u8>,
    /// The string to sign.
    pub(super) to_sign: Vec<u8>,
    /// Begin and end of each name in the list of signed headers.
    names: Vec<(u32, u32)>,
    /// Signed headers that arrived: rank in the list and place in the request, sorted.
    arrived: Vec<(u32, u32)>,
    /// Parameters, encoded one after the other.
    encoded: Vec<u8>,
    /// Begin, end of name, end of value of each parameter in `encoded`.
    params: Vec<[u32; 3]>,
}

/// How the two things are read on which services differ and a request does not say which it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// `+` in a query is a space, as in a form; otherwise itself.
    pub plus_is_space: bool,
    /// `X-Amz-Security-Token` in a query was signed; otherwise it was added after signing.
    pub token_signed: bool,
}

/// Why a list of signed headers, or the headers that arrived, cannot be taken.
pub(super) enum HeaderFault {
    /// Not lowercase, not sorted, twice the same, or empty.
    List,
    HostNotSigned,
    /// Place in the request.
    NotSigned(usize),
    /// As above.
    Duplicate(usize),
}

impl Scratch {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Finds the signed headers among those that arrived, and refuses what must not be.
    ///
    /// `lenient_token`: an `x-amz-security-token` may be unsigned, as some services take it (IAM User Guide).
    pub(super) fn match_headers(
        &mut self,
        headers: &[(&str, &[u8])],
        signed: &str,
        lenient_token: bool,
    ) -> Result<(), HeaderFault> {
        let list = signed.as_bytes();
        self.names.clear();
        self.arrived.clear();
        let (mut begin, mut last): (usize, &[u8]) = (0, b"");
        for name in list.split(|byte| *byte == b';') {
            // Sorted and each once: strictly ascending, so none is empty either.
            let fits = name > last && name.iter().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase());
            if !fits || self.names.len() == HEADERS_MAX {
                return Err(HeaderFault::List);
            }
            let end = begin + name.len();
            self.names.push((place(begin), place(end)));
            (begin, last) = (end + 1, name);
        }
        let names = &self.names;
        let name_at = |rank: usize| &list[names[rank].0 as usize..names[rank].1 as usize];
        let is_listed =
            |name: &str| names.binary_search_by(|(b, e)| list[*b as usize..*e as usize].cmp(name.as_bytes()));
        if is_listed("host").is_err() {
            return Err(HeaderFault::HostNotSigned);
        }
        for (index, (name, _)) in headers.iter().enumerate() {
            let rank = if names.len() <= FEW {
                (0..names.len()).find(|rank| name_at(*rank).eq_ignore_ascii_case(name.as_bytes()))
            } else {
                is_listed(&name.to_ascii_lowercase()).ok()
            };
            match rank {
                Some(rank) => self.arrived.push((place(rank), place(index))),
                None if !is_amz(name) => {}
                None if lenient_token && name.eq_ignore_ascii_case("x-amz-security-token") => {}
                None => return Err(HeaderFault::NotSigned(index)),
            }
        }
        self.arrived.sort_unstable();
        // Two headers of one name are signed as one, joined by a comma. Whoever reads only the first of two that were
        // made of one would obey what was never signed.
        for pair in self.arrived.windows(2) {
            let index = pair[1].1 as usize;
            let name = headers[index].0;
            if pair[0].0 == pair[1].0 && (is_amz(name) || name.eq_ignore_ascii_case("host")) {
                return Err(HeaderFault::Duplicate(index));
            }
        }
        Ok(())
    }

    /// Writes the canonical request of headers that [`Self::match_headers`] took.
    pub(super) fn canonical(
        &mut self,
        request: &Request<'_>,
        rules: &Rules<'_>,
        signed: &str,
        payload: &[u8],
        reading: Reading,
    ) -> Result<(), SigError> {
        let (path, query) = request.path_and_query();
        self.text.clear();
        self.text.extend_from_slice(request.method.as_bytes());
        self.text.push(b'\n');
        if !push_path(&mut self.text, path, rules) {
            return Err(SigError::BadTarget);
        }
        self.text.push(b'\n');
        self.push_query(query, reading)?;
        self.text.push(b'\n');
        let mut arrived = self.arrived.iter().peekable();
        for (rank, (begin, end)) in self.names.iter().enumerate() {
            self.text.extend_from_slice(&signed.as_bytes()[*begin as usize..*end as usize]);
            self.text.push(b':');
            let mut first = true;
            while let Some((_, index)) = arrived.next_if(|(of, _)| *of as usize == rank) {
                if !first {
                    self.text.push(b',');
                }
                first = false;
                push_value(&mut self.text, request.headers[*index as usize].1);
            }
            self.text.push(b'\n');
        }
        self.text.push(b'\n');
        self.text.extend_from_slice(signed.as_bytes());
        self.text.push(b'\n');
        self.text.extend_from_slice(payload);
        Ok(())
    }

    fn push_query(&mut self, query: &[u8], reading: Reading) -> Result<(), SigError> {
        if query.is_empty() {
            return Ok(());
        }
        self.encoded.clear();
        self.params.clear();
        for (name, value) in pairs(query) {
            if query_name_is(name, "X-Amz-Signature")
                || (!reading.token_signed && query_name_is(name, "X-Amz-Security-Token"))
            {
                continue;
            }
            if self.params.len() == QUERY_PAIRS_MAX {
                return Err(SigError::BadTarget);
            }
            let begin = place(self.encoded.len());
            push_query_reencoded(&mut self.encoded, name, reading.plus_is_space);
            let middle = place(self.encoded.len());
            push_query_reencoded(&mut self.encoded, value, reading.plus_is_space);
            self.params.push([begin, middle, place(self.encoded.len())]);
        }
        let encoded = &self.encoded;
        let split = |[begin, middle, end]: &[u32; 3]| {
            (&encoded[*begin as usize..*middle as usize], &encoded[*middle as usize..*end as usize])
        };
        self.params.sort_unstable_by(|one, other| split(one).cmp(&split(other)));
        for (at, param) in self.params.iter().enumerate() {
            let (name, value) = split(param);
            if at > 0 {
                self.text.push(b'&');
            }
            self.text.extend_from_slice(name);
            self.text.push(b'=');
            self.text.extend_from_slice(value);
        }
        Ok(())
    }

    /// Writes the string to sign of a canonical request with this hash.
    pub(super) fn write_to_sign(&mut self, stamp: &[u8; 16], region: &str, service: &str, hash: &[u8; 64]) {
        self.to_sign.clear();
        push_to_sign_head(&mut self.to_sign, ALGORITHM, stamp, region, service);
        self.to_sign.extend_from_slice(hash);
    }
}

/// Appends the lines that every string to sign begins with: kind, time and scope.
pub(super) fn push_to_sign_head(out: &mut Vec<u8>, kind: &str, stamp: &[u8; 16], region: &str, service: &str) {
    out.extend_from_slice(kind.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(stamp);
    out.push(b'\n');
    push_scope(out, stamp, region, service);
    out.push(b'\n');
}

/// Appends `20130524/us-east-1/s3/aws4_request`.
pub(super) fn push_scope(out: &mut Vec<u8>, stamp: &[u8; 16], region: &str, service: &str) {
    out.extend_from_slice(&stamp[..8]);
    for part in [region, service, TERMINATOR] {
        out.push(b'/');
        out.extend_from_slice(part.as_bytes());
    }
}

/// Whether a header is one that S3 obeys and that must therefore be signed.
pub(super) fn is_amz(name: &str) -> bool {
    name.as_bytes().get(..6).is_some_and(|head| head.eq_ignore_ascii_case(b"x-amz-"))
}

/// Everything here is bounded far below 4 GiB.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Appends a header's value, trimmed, with one space for each run of blanks.
fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    // The least byte, without an early exit, so that the compiler looks at many bytes at once.
    if value.iter().fold(u8::MAX, |least, byte| least.min(*byte)) > b' ' {
        out.extend_from_slice(value);
        return;
    }
    let mut first = true;
    for word in value.split(|byte| is_blank(*byte)).filter(|word| !word.is_empty()) {
        if !first {
            out.push(b' ');
        }
        first = false;
        out.extend_from_slice(word);
    }
}

/// The path of a request as its canonical request has it under these rules; none when it cannot be decoded.
#[must_use]
pub fn canonical_path(request: &Request<'_>, rules: &Rules<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    push_path(&mut out, request.path_and_query().0, rules).then_some(out)
}

/// Appends a canonical path; false when the path cannot be decoded.
fn push_path(out: &mut Vec<u8>, path: &[u8], rules: &Rules<'_>) -> bool {
    let odd = |pair: &[u8]| pair[0] == b'/' && (pair[1] == b'/' || pair[1] == b'.');
    let normal;
    let path = if rules.normalize_path && (path.first() != Some(&b'/') || path.windows(2).any(odd)) {
        let mut whole = Vec::with_capacity(path.len());
        push_normalized(&mut whole, path);
        normal = whole;
        &normal
    } else {
        path
    };
    if rules.encode_path_twice {
        push_path_encoded(out, path);
        return true;
    }
    push_path_reencoded(out, path)
}

/// Appends a path without empty, `.` and `..` segments (RFC 3986, 5.2.4); a trailing slash stays.
fn push_normalized(out: &mut Vec<u8>, path: &[u8]) {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    for segment in &kept {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    let ends_open = [&b"/"[..], b"/.", b"/.."].iter().any(|end| path.ends_with(end));
    if kept.is_empty() || ends_open {
        out.push(b'/');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_trimmed_and_their_blanks_collapsed() {
        for (value, expected) in [
            ("abc", "abc"),
            ("  a   b \t c  ", "a b c"),
            ("value1\n  value2\r\n     value3", "value1 value2 value3"),
            ("\"a   b\"", "\"a b\""),
            (" ", ""),
            ("", ""),
        ] {
            let mut out = Vec::new();
            push_value(&mut out, value.as_bytes());
            assert_eq!(out, expected.as_bytes(), "{value:?}");
        }
    }

    #[test]
    fn paths_lose_their_detours() {
        for (path, expected) in [
            ("/", "/"),
            ("//", "/"),
            ("/./", "/"),
            ("/a/..", "/"),
            ("/a/b/../..", "/"),
            ("/./a", "/a"),
            ("//a//", "/a/"),
            ("/a/./b", "/a/b"),
            ("/../../a", "/a"),
            ("/a/b/..", "/a/"),
            ("/.a/..b", "/.a/..b"),
        ] {
            for (normalize_path, expected) in [(true, expected), (false, path)] {
                let rules = Rules { normalize_path, ..Rules::service("iam", &[]) };
                let request = Request { method: "GET", target: path.as_bytes(), headers: &[] };
                let out = canonical_path(&request, &rules).unwrap();
                assert_eq!(String::from_utf8(out).unwrap(), expected, "{path}");
            }
        }
    }
}
