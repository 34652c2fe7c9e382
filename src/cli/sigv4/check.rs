//! One request against one key: header, query, chunked body and form alike.
//!
//! Not here: many (`cases`), and why not (`explain`).

use crate::model::Time;
use crate::sigv4::{Candidate, Form, Payload, Request, Rules, Scratch, SigError, form_head, is_form, parse};
use memchr::memmem;
use sha2::{Digest, Sha256};

/// A key and the request that is to be its.
pub struct Check<'a> {
    pub request: Request<'a>,
    pub body: &'a [u8],
    pub rules: Rules<'a>,
    pub now: Time,
    /// The only id that is known; none: whichever the request names.
    pub access_key: Option<&'a str>,
    pub secret: &'a [u8],
}

impl Check<'_> {
    /// # Errors
    /// What a server would answer.
    pub fn run(&self, scratch: &mut Scratch) -> Result<(), SigError> {
        let candidate = [Candidate::Secret(self.secret)];
        let known = |id: &str| -> &[Candidate<'_>] {
            if self.access_key.is_none_or(|known| known == id) { &candidate } else { &[] }
        };
        let parsed = match parse(&self.request, &self.rules, self.now, scratch) {
            Err(SigError::NotSigned) if self.form_type().is_some() => return self.form(known),
            parsed => parsed?,
        };
        let candidates = known(parsed.access_key_id());
        let hash: [u8; 32] = match parsed.payload() {
            Payload::Announced(_) | Payload::Hashed => Sha256::digest(self.body).into(),
            Payload::Unsigned | Payload::Chunked { .. } => [0; 32],
        };
        let verified = parsed.verify(Some(&hash), candidates)?;
        if let Some(mut chunks) = verified.chunks() {
            chunks.feed(self.body, &mut Vec::with_capacity(self.body.len()))?;
            chunks.finish()?;
        }
        Ok(())
    }

    fn form_type(&self) -> Option<&str> {
        let named = self.request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let content_type = std::str::from_utf8(named?.1).ok()?.trim();
        (self.request.method == "POST" && is_form(content_type)).then_some(content_type)
    }

    fn form<'k>(&self, known: impl Fn(&str) -> &'k [Candidate<'k>]) -> Result<(), SigError> {
        let malformed = SigError::FormMalformed("it ends before its file");
        let head = form_head(self.form_type().unwrap_or_default(), self.body)?.ok_or_else(|| malformed.clone())?;
        let file = &self.body[head.file_at..];
        let length = memmem::find(file, &head.delimiter).ok_or(malformed)?;
        let form = Form::parse(&head.fields, self.bucket(), &self.rules, self.now)?;
        let (_, range) = form.verify(known(form.access_key_id()))?;
        range.check(length as u64)
    }

    /// The bucket that a form is sent to: the first part of the path, or else of the host.
    fn bucket(&self) -> &str {
        let path = self.request.target.split(|byte| *byte == b'?').next().unwrap_or_default();
        let first = path.split(|byte| *byte == b'/').nth(1).unwrap_or_default();
        let host = self.request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = host.map(|(_, value)| value.trim_ascii()).unwrap_or_default();
        let label = host.split(|byte| *byte == b'.').next().unwrap_or_default();
        std::str::from_utf8(if first.is_empty() { label } else { first }).unwrap_or_default()
    }
}
