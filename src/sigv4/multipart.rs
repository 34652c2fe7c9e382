//! The fields of an HTML form before its file: as much of `multipart/form-data` (RFC 7578) as an upload needs.
//!
//! Reading stops where the file begins, so that a form is judged before its file is read.
//!
//! Not here: the file itself (it goes on until [`FormHead::delimiter`]), and parts after it, which S3 ignores.

use super::form::FormField;
use super::{HEADER_BYTES_MAX, SigError};
use memchr::memmem;

/// Bytes of a boundary (RFC 2046).
const BOUNDARY_BYTES_MAX: usize = 70;

/// What stands before a form's file.
#[derive(Debug)]
pub struct FormHead<'a> {
    pub fields: Vec<FormField<'a>>,
    /// The name that the file part gives its file, for `${filename}`.
    pub file_name: Option<&'a str>,
    /// Where in the body the file begins.
    pub file_at: usize,
    /// What ends the file: a line's end and the boundary.
    pub delimiter: Vec<u8>,
}

/// Whether a Content-Type is a form's.
#[must_use]
pub fn is_form(content_type: &str) -> bool {
    content_type.get(..19).is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data"))
}

/// Reads the fields from the beginning of a form's body; `None` when the file has not begun yet: come again with more.
///
/// # Errors
/// - [`SigError::FormMalformed`]: no boundary, or no form; also when there is no part `file`.
/// - [`SigError::HeadersTooLarge`]: more than 64 KiB before the file.
pub fn form_head<'a>(content_type: &str, body: &'a [u8]) -> Result<Option<FormHead<'a>>, SigError> {
    let delimiter = [b"\r\n--", boundary(content_type)?.as_bytes()].concat();
    let parsed = parts(body, &delimiter);
    match parsed {
        Ok(None) if body.len() > HEADER_BYTES_MAX => Err(SigError::HeadersTooLarge),
        Ok(Some((_, _, file_at))) if file_at > HEADER_BYTES_MAX => Err(SigError::HeadersTooLarge),
        Ok(found) => Ok(found.map(|(fields, file_name, file_at)| FormHead { fields, file_name, file_at, delimiter })),
        Err(what) => Err(SigError::FormMalformed(what)),
    }
}

fn boundary(content_type: &str) -> Result<&str, SigError> {
    let malformed = SigError::FormMalformed("its content type names no boundary");
    if !is_form(content_type) {
        return Err(malformed);
    }
    let named = content_type.split(';').map(str::trim).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"'))
    });
    let fits = |text: &&str| {
        (1..=BOUNDARY_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
    };
    named.filter(fits).ok_or(malformed)
}

type Parts<'a> = (Vec<FormField<'a>>, Option<&'a str>, usize);

fn parts<'a>(body: &'a [u8], delimiter: &[u8]) -> Result<Option<Parts<'a>>, &'static str> {
    let mut fields = Vec::new();
    // The first boundary has no line before it.
    let first = &delimiter[2..];
    if body.len() < first.len() {
        return Ok(None);
    }
    if !body.starts_with(first) {
        return Err("it does not begin with its boundary");
    }
    let mut at = first.len();
    loop {
        let Some(after) = body.get(at..at + 2) else { return Ok(None) };
        match after {
            b"\r\n" => at += 2,
            b"--" => return Err("it has no part `file`"),
            _ => return Err("something follows a boundary"),
        }
        let Some(end) = memmem::find(&body[at..], b"\r\n\r\n") else { return Ok(None) };
        let head = std::str::from_utf8(&body[at..at + end]).map_err(|_| "a part's headers are not UTF-8")?;
        let content = at + end + 4;
        let (name, file_name) = disposition(head).ok_or("a part has no `Content-Disposition: form-data; name=…`")?;
        if name.eq_ignore_ascii_case("file") {
            return Ok(Some((fields, file_name, content)));
        }
        let Some(length) = memmem::find(&body[content..], delimiter) else { return Ok(None) };
        fields.push(FormField { name, value: &body[content..content + length] });
        at = content + length + delimiter.len();
    }
}

/// `name` and `filename` of a part's Content-Disposition.
fn disposition(head: &str) -> Option<(&str, Option<&str>)> {
    let line = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then(|| value.trim())
    })?;
    let (kind, mut rest) = line.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return None;
    }
    let (mut name, mut file_name) = (None, None);
    while !rest.trim().is_empty() {
        let (key, value) = rest.split_once('=')?;
        let value = value.trim_start();
        let (value, after) = match value.strip_prefix('"') {
            // Browsers escape a quote as %22, never with a backslash.
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_at(value.find(';').unwrap_or(value.len())),
        };
        let place = match key.trim() {
            key if key.eq_ignore_ascii_case("name") => &mut name,
            key if key.eq_ignore_ascii_case("filename") => &mut file_name,
            _ => &mut None,
        };
        if place.replace(value).is_some() {
            return None;
        }
        rest = after.trim_start().strip_prefix(';').unwrap_or(after);
        if !after.trim().is_empty() && !after.trim_start().starts_with(';') {
            return None;
        }
    }
    Some((name?, file_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"9431149156168\"";
    const BODY: &str = "--9431149156168\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nuser/a;b\r\n\
        --9431149156168\r\ncontent-type: text/plain\r\nContent-Disposition: form-data; name=acl\r\n\r\n\r\n\
        --9431149156168\r\nContent-Disposition: form-data; name=\"file\"; filename=\"My;File.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n\
        data\r\n--9431149156168--\r\n";

    #[test]
    fn fields_are_read_up_to_the_file_however_it_arrives() {
        let begins = BODY.find("\r\n\r\ndata").unwrap() + 4;
        for end in 0..=BODY.len() {
            let head = form_head(TYPE, &BODY.as_bytes()[..end]).unwrap();
            assert_eq!(head.is_some(), end >= begins, "{end}");
            let Some(head) = head else { continue };
            let fields: Vec<_> = head.fields.iter().map(|field| (field.name, field.value)).collect();
            assert_eq!(fields, [("key", b"user/a;b".as_slice()), ("acl", b"")]);
            assert_eq!((head.file_name, head.file_at), (Some("My;File.jpg"), begins));
            assert_eq!(head.delimiter, b"\r\n--9431149156168");
        }
    }

    #[test]
    fn what_is_no_form_is_refused() {
        let code =
            |content_type: &str, body: &str| form_head(content_type, body.as_bytes()).map(|_| ()).unwrap_err().code();
        for content_type in ["", "multipart/form-data", "multipart/form-data; boundary=", "text/plain; boundary=x"] {
            assert_eq!(code(content_type, BODY), "MalformedPOSTRequest");
        }
        assert_eq!(code("multipart/form-data; boundary=other0123456789", BODY), "MalformedPOSTRequest");
        assert_eq!(code(TYPE, &BODY.replace("name=\"file\"", "name=\"data\"")), "MalformedPOSTRequest");
        assert_eq!(code(TYPE, &BODY.replace("name=acl", "name=acl; name=x")), "MalformedPOSTRequest");
        assert_eq!(code(TYPE, &BODY.replace("name=acl", "x")), "MalformedPOSTRequest");
        assert_eq!(code(TYPE, &BODY.replace("user/a;b", &"x".repeat(65 << 10))), "RequestHeaderSectionTooLarge");
        assert_eq!(code(TYPE, &format!("--9431149156168\r\n{}", "x".repeat(65 << 10))), "RequestHeaderSectionTooLarge");
    }
}
