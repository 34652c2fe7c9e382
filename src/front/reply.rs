//! What the front answers itself: S3's errors as XML, each with the request's id.
//!
//! Not here: what is wrong (`gate`, `body`, `form`), and the replies of operations that were let through.

use crate::gate::Denied;
use crate::sigv4::SigError;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use s3s::Body;
use std::borrow::Cow;
use std::fmt::Write as _;

/// An S3 error: status, code and message (S3 API Reference, "Error responses").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub status: u16,
    pub code: &'static str,
    /// For the client. Holds no secret and no signature that was expected.
    pub message: Cow<'static, str>,
    /// With `AuthorizationHeaderMalformed`: the region to sign for. Clients try again with it.
    pub region: Option<String>,
}

impl Fault {
    #[must_use]
    pub const fn new(status: u16, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message: Cow::Borrowed(message), region: None }
    }

    /// One whose message depends on the request.
    #[must_use]
    pub fn of(status: u16, code: &'static str, message: String) -> Self {
        Self { status, code, message: Cow::Owned(message), region: None }
    }

    /// As a reply. One to HEAD has no body, as HTTP wants it.
    #[must_use]
    pub fn reply(&self, method: &Method, resource: &str, request_id: &str) -> Response<Body> {
        let mut text = String::with_capacity(256);
        text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
        let region = self.region.as_deref().map(|region| ("Region", region));
        let fields =
            [("Code", self.code), ("Message", &self.message), ("Resource", resource), ("RequestId", request_id)];
        for (name, value) in fields.into_iter().chain(region) {
            // Writing to a string cannot fail.
            let _ = write!(text, "<{name}>{}</{name}>", escape(value));
        }
        text.push_str("</Error>");
        let body = if method == Method::HEAD { Body::empty() } else { Body::from(text) };
        let mut reply = Response::new(body);
        *reply.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        if let Some(region) = self.region.as_deref().and_then(|region| HeaderValue::from_str(region).ok()) {
            reply.headers_mut().insert("x-amz-bucket-region", region);
        }
        reply
    }
}

impl From<&Denied> for Fault {
    fn from(denied: &Denied) -> Self {
        let message = Cow::Owned(denied.message().to_owned());
        Self { status: denied.status(), code: denied.code(), message, region: denied.region().map(str::to_owned) }
    }
}

impl From<&SigError> for Fault {
    fn from(error: &SigError) -> Self {
        Self { status: error.status(), code: error.code(), message: error.message(), region: None }
    }
}

/// The code of an error reply, as far as its body tells.
pub(super) fn code_of(reply: &Response<Body>) -> Option<String> {
    let body = reply.body().bytes()?;
    let text = std::str::from_utf8(&body).ok()?;
    let (_, rest) = text.split_once("<Code>")?;
    rest.split_once("</Code>").map(|(code, _)| code.to_owned())
}

/// Puts the request's id into an error that `s3s` wrote, and takes the body off one to HEAD.
pub(super) fn finish(mut reply: Response<Body>, method: &Method, request_id: &str) -> Response<Body> {
    if reply.status().as_u16() < 400 {
        return reply;
    }
    if method == Method::HEAD {
        reply.headers_mut().remove(CONTENT_LENGTH);
        *reply.body_mut() = Body::empty();
        return reply;
    }
    let Some(text) = reply.body().bytes().as_ref().and_then(|bytes| with_id(bytes, request_id)) else { return reply };
    reply.headers_mut().remove(CONTENT_LENGTH);
    *reply.body_mut() = Body::from(Bytes::from(text));
    reply
}

fn with_id(body: &[u8], request_id: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (head, tail) = text.rsplit_once("</Error>")?;
    let named = text.contains("<RequestId>");
    (!named).then(|| format!("{head}<RequestId>{}</RequestId></Error>{tail}", escape(request_id)))
}

/// Text in XML: the five characters that mean something there, and no control characters, which XML cannot hold.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    let special = |letter: char| matches!(letter, '<' | '>' | '&' | '"' | '\'') || letter.is_control();
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            letter if letter.is_control() => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_xml_with_its_request_id_and_one_to_head_has_no_body() {
        let fault = Fault::new(403, "AccessDenied", "Access <Denied> & so on");
        let reply = fault.reply(&Method::GET, "/b/\u{1}k", "7");
        assert_eq!(reply.status(), 403);
        let body = reply.body().bytes().unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.contains("<Message>Access &lt;Denied&gt; &amp; so on</Message><Resource>/b/\u{fffd}k</Resource>"));
        assert!(text.ends_with("<RequestId>7</RequestId></Error>"));
        assert!(fault.reply(&Method::HEAD, "/", "7").body().bytes().unwrap().is_empty());
    }

    #[test]
    fn an_error_that_s3s_wrote_gets_the_request_id_once() {
        let reply = || {
            let mut reply = Response::new(Body::from("<Error><Code>NoSuchKey</Code></Error>".to_owned()));
            *reply.status_mut() = StatusCode::NOT_FOUND;
            reply
        };
        let once = finish(reply(), &Method::GET, "7");
        assert_eq!(&once.body().bytes().unwrap()[..], b"<Error><Code>NoSuchKey</Code><RequestId>7</RequestId></Error>");
        let twice = finish(once, &Method::GET, "8");
        assert!(!twice.body().bytes().unwrap().ends_with(b"<RequestId>8</RequestId></Error>"));
    }
}
