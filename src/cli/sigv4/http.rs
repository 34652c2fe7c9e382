//! A raw HTTP/1.1 request, as a proxy's log or `nc` has it.
//!
//! Lines may end in LF alone; a folded header goes on. Not here: transfer encodings, and HTTP/2.

use crate::sigv4::Request;
use std::borrow::Cow;

/// A request as text, cut into its parts.
#[derive(Debug)]
pub struct RawRequest<'a> {
    method: &'a str,
    target: &'a [u8],
    headers: Vec<(&'a str, Cow<'a, [u8]>)>,
    pub body: &'a [u8],
}

impl<'a> RawRequest<'a> {
    /// # Errors
    /// What is wrong, for a person.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let mut rest = bytes;
        let first = line(&mut rest).ok_or("the request is empty")?;
        let text = std::str::from_utf8(first);
        let parts = text.ok().and_then(|text| {
            let (method, rest) = text.split_once(' ')?;
            // A space may stand in a target that was sent raw.
            let target = rest.rsplit_once(" HTTP/").map_or(rest, |(target, _)| target);
            Some((method, target))
        });
        let (method, target) = parts.ok_or("line 1 is no request line such as `GET /bucket/key HTTP/1.1`")?;
        let mut headers: Vec<(&str, Cow<'_, [u8]>)> = Vec::new();
        let mut number = 1;
        while let Some(line) = line(&mut rest) {
            number += 1;
            if line.is_empty() {
                break;
            }
            if line[0] == b' ' || line[0] == b'\t' {
                let (_, last) = headers.last_mut().ok_or("line 2 goes on with a header that never began")?;
                last.to_mut().push(b'\n');
                last.to_mut().extend_from_slice(line);
                continue;
            }
            let at = line.iter().position(|byte| *byte == b':');
            let at = at.ok_or_else(|| format!("line {number} is no header: it has no colon"))?;
            let name = std::str::from_utf8(&line[..at]).map_err(|_| format!("line {number} is no header"))?;
            headers.push((name.trim(), Cow::Borrowed(&line[at + 1..])));
        }
        Ok(Self { method, target: origin(target), headers, body: rest })
    }

    pub fn headers(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (*name, &**value)).collect()
    }

    pub fn view<'b>(&'b self, headers: &'b [(&'b str, &'b [u8])]) -> Request<'b> {
        Request { method: self.method, target: self.target, headers }
    }
}

/// The next line without its end; `None` at the end of the text.
fn line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    if rest.is_empty() {
        return None;
    }
    let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    let found = &rest[..end];
    *rest = rest.get(end + 1..).unwrap_or_default();
    Some(found.strip_suffix(b"\r").unwrap_or(found))
}

/// Path and query of a target that names its scheme and host too, as requests to a proxy do.
fn origin(target: &str) -> &[u8] {
    let after = ["http://", "https://"].iter().find_map(|scheme| target.strip_prefix(scheme));
    let path = after.map(|after| after.find(['/', '?']).map_or("/", |at| &after[at..]));
    path.unwrap_or(target).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_are_pasted() {
        let text = "GET http://h/a b?x=1 HTTP/1.1\r\nHost: h\r\nMy-Header: a\r\n  b\r\n\r\nbody\n";
        let request = RawRequest::parse(text.as_bytes()).unwrap();
        let headers = request.headers();
        assert_eq!(
            (request.method, request.target, request.body),
            ("GET", "/a b?x=1".as_bytes(), b"body\n".as_slice())
        );
        assert_eq!(headers, [("Host", b" h".as_slice()), ("My-Header", b" a\n  b")]);
        assert_eq!(RawRequest::parse(b"GET /\nA:1").unwrap().target, b"/");
        for bad in ["", "GET", "GET / HTTP/1.1\nno header\n", "GET / HTTP/1.1\n folded\n"] {
            assert!(RawRequest::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
