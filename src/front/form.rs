//! Uploads from HTML forms (S3 API Reference, "POST Object"): a form's fields, its file as a stream, and the reply it asked for.
//!
//! Invariants
//! - At most 64 KiB are held of what stands before the file, and of the file no more than one piece and a boundary.
//! - A file that does not end with its boundary does not end well: the stream fails.
//!
//! Not here: the form's policy and signature (`gate`), checks of the file (`body`).

use super::reply::{Fault, escape};
use crate::sigv4::{FormField, FormHead, SigError, form_head};
use bytes::{Bytes, BytesMut};
use http::header::{ETAG, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use memchr::memmem;
use s3s::StdError;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A form up to its file.
pub struct Head {
    /// All that has arrived of the body.
    text: Bytes,
}

impl Head {
    /// Reads a form's body as far as its file.
    ///
    /// # Errors
    /// `MalformedPOSTRequest`, `RequestHeaderSectionTooLarge`, `IncompleteBody`.
    pub async fn read<B>(content_type: &str, body: &mut B) -> Result<Self, Fault>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut text = BytesMut::new();
        while form_head(content_type, &text).map_err(|error| Fault::from(&error))?.is_none() {
            match body.frame().await {
                Some(Ok(frame)) => text.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(_)) | None => return Err(Fault::from(&SigError::IncompleteBody)),
            }
        }
        Ok(Self { text: text.freeze() })
    }

    /// Its fields and where its file begins.
    ///
    /// # Errors
    /// None that [`Head::read`] has not seen.
    pub fn parts(&self, content_type: &str) -> Result<FormHead<'_>, Fault> {
        let head = form_head(content_type, &self.text).map_err(|error| Fault::from(&error))?;
        head.ok_or_else(|| Fault::from(&SigError::IncompleteBody))
    }

    /// The file: what had arrived of it, and what comes.
    pub fn file<B>(&self, head: &FormHead<'_>, rest: B) -> File<B> {
        let held = BytesMut::from(&self.text[head.file_at..]);
        File { rest, held, delimiter: head.delimiter.clone(), state: FileState::Reading }
    }
}

/// A field's text; the name in any case.
fn field<'a>(head: &FormHead<'a>, name: &str) -> Option<&'a str> {
    let field = head.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(field.value).ok().filter(|text| !text.is_empty())
}

/// The fields that PutObject takes as headers. What is no field of an object's is left out.
///
/// # Errors
/// `InvalidArgument` for a value that no header can hold, `NotImplemented` for a field that would be lost silently.
pub fn headers(head: &FormHead<'_>) -> Result<HeaderMap, Fault> {
    const KEPT: [&str; 7] = [
        "cache-control",
        "content-type",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-md5",
        "expires",
    ];
    const NOT_KEPT: [&str; 5] =
        ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token"];
    let mut headers = HeaderMap::new();
    for FormField { name, value } in &head.fields {
        let name = name.to_ascii_lowercase();
        let header = match name.as_str() {
            "acl" => "x-amz-acl",
            "tagging" => return Err(Fault::new(501, "NotImplemented", "Tags in a form are not implemented.")),
            name if KEPT.contains(&name) || (name.starts_with("x-amz-") && !NOT_KEPT.contains(&name)) => name,
            _ => continue,
        };
        let invalid = || Fault::new(400, "InvalidArgument", "A field of the form holds what no header can.");
        let value = HeaderValue::from_bytes(value).map_err(|_| invalid())?;
        headers.append(HeaderName::from_bytes(header.as_bytes()).map_err(|_| invalid())?, value);
    }
    Ok(headers)
}

/// The reply that a form asked for.
#[derive(Debug)]
pub struct Wanted {
    redirect: Option<String>,
    status: Option<String>,
}

impl Wanted {
    pub fn of(head: &FormHead<'_>) -> Self {
        let redirect = field(head, "success_action_redirect").or_else(|| field(head, "redirect"));
        Self { redirect: redirect.map(str::to_owned), status: field(head, "success_action_status").map(str::to_owned) }
    }

    /// Turns PutObject's reply into the form's. A `redirect` that no header can hold is ignored, as S3 does.
    pub fn reply(&self, put: Response<s3s::Body>, bucket: &str, key: &str, location: &str) -> Response<s3s::Body> {
        if !put.status().is_success() {
            return put;
        }
        let etag = put.headers().get(ETAG).cloned();
        let etag_text = etag.as_ref().and_then(|etag| etag.to_str().ok()).unwrap_or_default();
        let mut reply = Response::new(s3s::Body::empty());
        *reply.status_mut() = StatusCode::NO_CONTENT;
        if let Some(etag) = etag.clone() {
            reply.headers_mut().insert(ETAG, etag);
        }
        if let Ok(location) = HeaderValue::from_str(location) {
            reply.headers_mut().insert(LOCATION, location);
        }
        let target = self.redirect.as_deref().filter(|url| url.starts_with("http://") || url.starts_with("https://"));
        let target = target.and_then(|url| {
            let join = if url.contains('?') { '&' } else { '?' };
            let (bucket, key, etag) = (encode(bucket, b""), encode(key, b""), encode(etag_text, b""));
            HeaderValue::from_str(&format!("{url}{join}bucket={bucket}&key={key}&etag={etag}")).ok()
        });
        if let Some(target) = target {
            *reply.status_mut() = StatusCode::SEE_OTHER;
            reply.headers_mut().insert(LOCATION, target);
            return reply;
        }
        match self.status.as_deref() {
            Some("200") => *reply.status_mut() = StatusCode::OK,
            Some("201") => {
                *reply.status_mut() = StatusCode::CREATED;
                let text = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse><Location>{}</Location><Bucket>{}</Bucket>\
                     <Key>{}</Key><ETag>{}</ETag></PostResponse>",
                    escape(location),
                    escape(bucket),
                    escape(key),
                    escape(etag_text)
                );
                reply.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
                *reply.body_mut() = s3s::Body::from(text);
            }
            _ => {}
        }
        reply
    }
}

/// Percent-encodes all but `[A-Za-z0-9-._~]` and `also`.
pub(super) fn encode(text: &str, also: &[u8]) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || also.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble & 15)]);
            out.extend(['%', digit(byte >> 4), digit(byte)]);
        }
    }
    out
}

/// The file of a form: what comes before its boundary.
pub struct File<B> {
    rest: B,
    /// What came and could still be the beginning of the boundary.
    held: BytesMut,
    delimiter: Vec<u8>,
    state: FileState,
}

#[derive(PartialEq, Eq)]
enum FileState {
    Reading,
    /// The boundary was found: what follows is read and ignored, as S3 does.
    Found,
    Ended,
}

impl<B: Body<Data = Bytes> + Unpin> Body for File<B> {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let this = &mut *self;
        loop {
            match this.state {
                FileState::Ended => return Poll::Ready(None),
                FileState::Reading => {
                    if let Some(at) = memmem::find(&this.held, &this.delimiter) {
                        this.state = FileState::Found;
                        let file = this.held.split_to(at).freeze();
                        this.held = BytesMut::new();
                        if !file.is_empty() {
                            return Poll::Ready(Some(Ok(Frame::data(file))));
                        }
                        continue;
                    }
                    let sure = this.held.len().saturating_sub(this.delimiter.len() - 1);
                    if sure > 0 {
                        return Poll::Ready(Some(Ok(Frame::data(this.held.split_to(sure).freeze()))));
                    }
                }
                FileState::Found => {}
            }
            match ready!(Pin::new(&mut this.rest).poll_frame(cx)) {
                Some(Ok(frame)) if this.state == FileState::Reading => {
                    this.held.extend_from_slice(&frame.into_data().unwrap_or_default());
                }
                Some(Ok(_)) => {}
                None if this.state == FileState::Found => this.state = FileState::Ended,
                Some(Err(_)) | None => {
                    this.state = FileState::Ended;
                    return Poll::Ready(Some(Err("the form ends before its file does".into())));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.state == FileState::Ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::StreamBody;
    use std::convert::Infallible;

    const TYPE: &str = "multipart/form-data; boundary=b0";

    /// A form with this file, in pieces of so many bytes.
    async fn file_of(body: &[u8], piece: usize) -> Result<Vec<u8>, String> {
        let frames: Vec<Result<Frame<Bytes>, Infallible>> =
            body.chunks(piece).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        let mut body = StreamBody::new(Pieces(frames.into_iter()));
        let head = Head::read(TYPE, &mut body).await.map_err(|fault| fault.code.to_owned())?;
        let parts = head.parts(TYPE).map_err(|fault| fault.code.to_owned())?;
        assert_eq!(parts.fields[0].value, b"k");
        let file = head.file(&parts, body).collect().await.map_err(|error| error.to_string())?;
        Ok(file.to_bytes().to_vec())
    }

    struct Pieces(std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>);

    impl futures_core::Stream for Pieces {
        type Item = Result<Frame<Bytes>, Infallible>;

        fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.0.next())
        }
    }

    #[tokio::test]
    async fn the_file_is_what_stands_before_its_boundary_however_it_arrives() {
        let form = |file: &str, end: &str| {
            format!(
                "--b0\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--b0\r\nContent-Disposition: form-data; \
                 name=\"file\"; filename=\"x\"\r\n\r\n{file}{end}"
            )
            .into_bytes()
        };
        for file in ["", "a", "\r\n--b", "\r\n--b\r\n--b1 and \r\n-", "\r"] {
            for piece in [1, 2, 3, 7, 1_000] {
                let found = file_of(&form(file, "\r\n--b0--\r\n"), piece).await;
                assert_eq!(found.as_deref(), Ok(file.as_bytes()), "{file:?} in pieces of {piece}");
                let found = file_of(&form(file, "\r\n--b0\r\nContent-Disposition: …"), piece).await;
                assert_eq!(found.as_deref(), Ok(file.as_bytes()), "what follows the file is ignored");
                assert!(
                    file_of(&form(file, "\r\n--b"), piece).await.is_err(),
                    "a file without an end does not end well"
                );
            }
        }
    }

    #[test]
    fn all_that_is_not_unreserved_is_encoded() {
        assert_eq!(encode("a b/ü+%~", b"/"), "a%20b/%C3%BC%2B%25~");
        assert_eq!(encode("a/b", b""), "a%2Fb");
    }
}
