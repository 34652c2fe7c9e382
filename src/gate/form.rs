//! Uploads by HTML form: the fields say what other requests say in headers, and all of them are under the signed policy.
//!
//! Invariants
//! - A field is there once. A header `x-amz-…`, a signature in header or query, and a query are refused: nothing signs them here.
//!
//! Not here: reading the form (`sigv4::form_head`), the file.

use super::admitted::Pending;
use super::authenticate::Scope;
use super::decide::Proven;
use super::path;
use super::request::{Asked, Headers};
use super::s3::param::Query;
use super::s3::table::{POST_OBJECT, Place};
use super::{Admitted, Denied, Gate, RequestView};
use crate::model::{Seq, Time};
use crate::sigv4::{Form, FormField, FormHead, LengthRange, SigError, Verified};
use compact_str::CompactString;
use std::borrow::Cow;

/// Fields that authenticate, which are no headers.
const OF_SIGNATURE: [&str; 5] =
    ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token"];

impl Gate {
    /// As [`Gate::check`], of an upload by HTML form: `POST` to the bucket, the signature among its fields. `${filename}` in
    /// the key stands for the file's name; the object's key is [`Admitted::object_key`]. The file's length has to lie in the
    /// range. Tags are in a field of XML: with such a field the answer is [`Pending::Body`].
    ///
    /// # Errors
    /// [`Denied`]: S3's own error.
    pub fn check_form(
        &self,
        view: &RequestView<'_>,
        head: &FormHead<'_>,
        now: Time,
        min_seq: Option<Seq>,
    ) -> Result<(Admitted, LengthRange), Denied> {
        self.checked_form(view, head, now, min_seq).map_err(|denied| denied.of(view.target))
    }

    fn checked_form(
        &self,
        view: &RequestView<'_>,
        head: &FormHead<'_>,
        now: Time,
        min_seq: Option<Seq>,
    ) -> Result<(Admitted, LengthRange), Denied> {
        self.is_fresh(min_seq)?;
        let bucket = self.form_bucket(view)?;
        let key = field(head, "key").ok_or(SigError::FormField("key"))?;
        let key = std::str::from_utf8(key).map_err(|_| SigError::FormField("key"))?;
        let key = with_file_name(key, head.file_name.unwrap_or_default());
        let fields: Vec<FormField<'_>> = head
            .fields
            .iter()
            .map(|field| {
                let is_key = field.name.eq_ignore_ascii_case("key");
                FormField { name: field.name, value: if is_key { key.as_bytes() } else { field.value } }
            })
            .collect();
        let mut regions = [""; super::REGIONS_MAX];
        let form = Form::parse(&fields, bucket.as_str(), &self.rules(&mut regions), now)?;
        if field(head, "x-amz-security-token").is_some() {
            return Err(super::invalid_token());
        }
        let looked = self.look(form.access_key_id(), now);
        let (date, region) = (CompactString::new(form.date()), CompactString::new(form.region()));
        let scope = Scope { date: &date, region: &region, service: super::SERVICE };
        let proven = self.prove(
            looked.as_ref(),
            scope,
            |candidates| form.verify(candidates),
            |(verified, _): &(Verified, LengthRange)| verified.candidate(),
        );
        let ((verified, range), secret_version) = match (proven, looked.as_ref()) {
            (Ok(proven), _) => proven,
            (Err(unproven), Some(dead)) if !dead.status.is_usable() => {
                self.count_rejected(dead, view, now);
                return Err(unproven.into());
            }
            (Err(unproven), _) => return Err(unproven.into()),
        };
        let looked = looked.ok_or_else(Denied::unknown_key)?;
        let headers = form_headers(view, &fields)?;
        path::check_key(&key)?;
        let pending = if headers.tags_in_body { Pending::Body } else { Pending::Nothing };
        let named = path::Named { bucket: Some(bucket), key: Some(Cow::Borrowed(&key)) };
        let asked = Asked { row: &POST_OBJECT, named, query: Query::default(), headers, copy_source: None };
        let proven = Proven { verified, looked, secret_version };
        let admitted = self.admit(view, proven, asked, pending, now, &mut String::new())?;
        Ok((admitted, range))
    }

    /// The bucket that a form is sent to; nothing but the fields may say more.
    fn form_bucket(&self, view: &RequestView<'_>) -> Result<crate::model::BucketName, Denied> {
        let has = |name: &str| view.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let (path, query) = view.path_and_query();
        if has("authorization") {
            return Err(SigError::Ambiguous.into());
        }
        let amz =
            view.headers.iter().find(|(name, _)| name.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("x-amz-")));
        if let Some((name, _)) = amz {
            return Err(SigError::UnsignedHeader(name.to_ascii_lowercase()).into());
        }
        if crate::sigv4::query_pairs(query).next().is_some() {
            return Err(Denied::invalid_argument("An upload by form takes no query"));
        }
        let host = view.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = host.map(|(_, value)| value.trim_ascii()).unwrap_or_default();
        let named = path::read(path, host, &self.options.base_domains)?;
        match (named.place(), named.bucket) {
            (Place::Bucket, Some(bucket)) if view.method == "POST" => Ok(bucket),
            _ => {
                Err(Denied::new("MethodNotAllowed", 405, "The specified method is not allowed against this resource."))
            }
        }
    }
}

fn field<'a>(head: &FormHead<'a>, name: &str) -> Option<&'a [u8]> {
    head.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

/// `${filename}` stands for the last part of the name that the browser gave.
fn with_file_name<'a>(key: &'a str, file_name: &str) -> Cow<'a, str> {
    if !key.contains("${filename}") {
        return Cow::Borrowed(key);
    }
    let last = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    Cow::Owned(key.replace("${filename}", last))
}

/// The fields as the headers they stand for, and what the request's own headers say of the client.
fn form_headers<'a>(view: &RequestView<'a>, fields: &[FormField<'a>]) -> Result<Headers<'a>, Denied> {
    let mut names: Vec<String> = fields.iter().map(|field| field.name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    let same = |pair: &'_ [String]| matches!(pair, [one, next] if one == next);
    if let Some([twice, ..]) = names.windows(2).find(|pair| same(pair)) {
        return Err(Denied::invalid_argument(format!(
            "POST requires exactly one field {}",
            crate::model::text::excerpt(twice, 64)
        )));
    }
    let mut as_headers: Vec<(&str, &[u8])> = Vec::new();
    for field in fields {
        let is_of = |list: &[&str]| list.iter().any(|name| field.name.eq_ignore_ascii_case(name));
        if field.name.eq_ignore_ascii_case("acl") {
            as_headers.push(("x-amz-acl", field.value));
        } else if !is_of(&OF_SIGNATURE) && field.name.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("x-amz-")) {
            as_headers.push((field.name, field.value));
        }
    }
    let read = Headers::read(&as_headers)?;
    if read.has("x-amz-copy-source") {
        return Err(Denied::invalid_argument("An upload by form does not accept x-amz-copy-source"));
    }
    let own = Headers::read(view.headers)?;
    let tags_in_body = names.iter().any(|name| name == "tagging");
    Ok(Headers { host: own.host, user_agent: own.user_agent, referer: own.referer, tags_in_body, ..read })
}
