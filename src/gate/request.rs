//! What a request asks for: its headers, read in one pass, and with path and query its operation.
//!
//! Invariants
//! - A header that rights follow from is there once and is text, or the request is refused.
//!
//! Not here: who asks (`authenticate`), and which rights it takes (`rights`).

use super::admitted::{CopySource, Pending};
use super::facts::{self, Facts};
use super::path::{self, Named};
use super::s3::param::{Param, Query};
use super::s3::table::Row;
use super::{Denied, GateOptions, Operation, RequestView};
use compact_str::CompactString;

/// Headers that policies ask for by name, or that rights follow from; names in small letters.
pub(super) const ASKED: [&str; 20] = [
    "x-amz-acl",
    "x-amz-copy-source",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-metadata-directive",
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-ownership",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
    "x-amz-copy-source-if-match",
    "if-match",
    "if-none-match",
];

/// Headers of a request, as far as they matter here.
#[derive(Debug, Default)]
pub(super) struct Headers<'a> {
    pub host: Option<&'a [u8]>,
    pub user_agent: Option<&'a [u8]>,
    pub referer: Option<&'a [u8]>,
    pub copy_source: Option<&'a [u8]>,
    pub tagging: Option<&'a str>,
    pub copies_tags: bool,
    pub expected_owner: Option<&'a str>,
    pub expected_source_owner: Option<&'a str>,
    /// Also when its value is none that is known.
    pub bypasses_governance: bool,
    pub locks_bucket: bool,
    /// A form's field.
    pub tags_in_body: bool,
    /// It says so: `content-length: 0`.
    pub has_no_body: bool,
    /// Those of [`ASKED`] that are there.
    pub asked: Vec<(&'static str, CompactString)>,
}

impl<'a> Headers<'a> {
    /// # Errors
    /// [`Denied`]: a header that matters is there twice, or is no text.
    pub fn read(headers: &[(&'a str, &'a [u8])]) -> Result<Self, Denied> {
        let mut read = Self { copies_tags: true, ..Self::default() };
        for (name, value) in headers {
            let value = value.trim_ascii();
            if name.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("x-amz-")) {
                if !name.get(..11).is_some_and(|head| head.eq_ignore_ascii_case("x-amz-meta-")) {
                    read.amz(name, value)?;
                }
                continue;
            }
            let place = match name.len() {
                4 if name.eq_ignore_ascii_case("host") => &mut read.host,
                10 if name.eq_ignore_ascii_case("user-agent") => &mut read.user_agent,
                7 if name.eq_ignore_ascii_case("referer") => &mut read.referer,
                8 | 13 if name.eq_ignore_ascii_case("if-match") || name.eq_ignore_ascii_case("if-none-match") => {
                    read.ask(name, text(name, value)?)?;
                    continue;
                }
                14 if name.eq_ignore_ascii_case("content-length") => {
                    read.has_no_body = value == b"0";
                    continue;
                }
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(twice(name));
            }
        }
        Ok(read)
    }

    fn amz(&mut self, name: &str, value: &'a [u8]) -> Result<(), Denied> {
        let value = text(name, value)?;
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("x-amz-tagging") {
            self.tagging = Some(value);
        } else if is("x-amz-tagging-directive") {
            self.copies_tags = !value.eq_ignore_ascii_case("REPLACE");
        } else if is("x-amz-bypass-governance-retention") {
            self.bypasses_governance = !value.eq_ignore_ascii_case("false");
        } else if is("x-amz-bucket-object-lock-enabled") {
            self.locks_bucket = !value.eq_ignore_ascii_case("false");
        } else if is("x-amz-expected-bucket-owner") {
            self.expected_owner = Some(value);
        } else if is("x-amz-source-expected-bucket-owner") {
            self.expected_source_owner = Some(value);
        } else {
            if is("x-amz-copy-source") {
                self.copy_source = Some(value.as_bytes());
            }
            self.ask(name, value)?;
        }
        Ok(())
    }

    fn ask(&mut self, name: &str, value: &str) -> Result<(), Denied> {
        let Some(asked) = ASKED.iter().find(|asked| asked.eq_ignore_ascii_case(name)) else { return Ok(()) };
        if self.asked.iter().any(|(given, _)| given == asked) {
            return Err(twice(name));
        }
        self.asked.push((asked, value.into()));
        Ok(())
    }

    pub fn has(&self, name: &str) -> bool {
        self.asked.iter().any(|(asked, _)| *asked == name)
    }
}

fn text<'a>(name: &str, value: &'a [u8]) -> Result<&'a str, Denied> {
    std::str::from_utf8(value).map_err(|_| Denied::invalid_argument(format!("Header {name} is not UTF-8")))
}

fn twice(name: &str) -> Denied {
    Denied::invalid_argument(format!("Header {} is given more than once", name.to_ascii_lowercase()))
}

/// What a request asks for.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub row: &'static Row,
    pub named: Named<'a>,
    pub query: Query<'a>,
    pub headers: Headers<'a>,
    pub copy_source: Option<Box<CopySource>>,
}

impl<'a> Asked<'a> {
    /// # Errors
    /// [`Denied`]: what is malformed, unknown, or fits no operation.
    pub fn read(view: &RequestView<'a>, headers: Headers<'a>, options: &GateOptions) -> Result<Self, Denied> {
        let (path, query) = view.path_and_query();
        let named = path::read(path, headers.host.unwrap_or_default(), &options.base_domains)?;
        let query = Query::read(query)?;
        let row = Row::find(view.method, named.place(), &query, headers.copy_source.is_some())?;
        let copy_source = match headers.copy_source.filter(|_| row.copy) {
            Some(source) => Some(Box::new(path::copy_source(source)?)),
            None => None,
        };
        Ok(Self { row, named, query, headers, copy_source })
    }

    pub fn version_id(&self) -> Option<&str> {
        self.query.value(Param::VersionId)
    }

    /// What only the body can say.
    pub fn pending(&self) -> Pending {
        match self.row.operation {
            Operation::DeleteObjects => Pending::EachKey,
            Operation::PutObjectTagging
            | Operation::PutBucketTagging
            | Operation::PutObjectRetention
            | Operation::PutObjectLegalHold => Pending::Body,
            Operation::CreateBucket if !self.headers.has_no_body => Pending::Body,
            _ => Pending::Nothing,
        }
    }

    /// What policies may ask of the request.
    ///
    /// # Errors
    /// [`Denied`]: tags that are malformed, addresses of a proxy that are none.
    pub fn facts(&mut self, view: &RequestView<'_>, options: &GateOptions) -> Result<Facts, Denied> {
        let owned = |bytes: &[u8]| CompactString::from_utf8_lossy(bytes);
        Ok(Facts {
            source_ip: facts::source_ip(view, &options.trusted_proxies)?,
            tls: view.tls.map(CompactString::new),
            user_agent: self.headers.user_agent.map(owned),
            referer: self.headers.referer.map(owned),
            headers: std::mem::take(&mut self.headers.asked),
            prefix: self.query.value(Param::Prefix).map(CompactString::new),
            delimiter: self.query.value(Param::Delimiter).map(CompactString::new),
            max_keys: self.query.value(Param::MaxKeys).and_then(|text| text.parse().ok()),
            tags: facts::tags(self.headers.tagging.unwrap_or_default())?,
            tags_in_body: self.headers.tags_in_body,
            bypasses_governance: self.headers.bypasses_governance,
            locks_bucket: self.headers.locks_bucket,
            copies_tags: self.headers.copies_tags,
        })
    }
}
