//! Uploads from HTML forms: a signed policy says what the form's fields may be and until when.
//!
//! `conditions` are `{"acl": "public-read"}`, `["eq", "$acl", "public-read"]`, `["starts-with", "$key", "user/"]` and
//! `["content-length-range", 1, 1048576]`. Every field but the signature, the policy, the file and `x-ignore-*` must be
//! covered by one, and the bucket too (S3 API Reference, "POST policy").
//!
//! Not here: multipart bodies (`multipart` reads the fields; put `${filename}` in before), and the file's length, which
//! is known when the file has been read: ask [`LengthRange::check`] then.

use super::date::Stamp;
use super::encode::unhex;
use super::parse::{Credential, Kind, Payload, in_scope};
use super::verify::{Candidate, Verified, signer};
use super::{ALGORITHM, EXPIRES_S_MAX, HEADER_BYTES_MAX, Rules, SKEW_NS_MAX, SigError};
use crate::model::Time;
use crate::model::text::excerpt;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use compact_str::CompactString;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use subtle::Choice;

/// Fields of a form.
const FIELDS_MAX: usize = 256;
/// Conditions of a policy.
const CONDITIONS_MAX: usize = 512;

/// A field of a form: its name in any case, its value as sent.
#[derive(Debug, Clone, Copy)]
pub struct FormField<'a> {
    pub name: &'a str,
    pub value: &'a [u8],
}

/// How many bytes the file may have, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LengthRange {
    pub least: u64,
    pub most: u64,
}

impl LengthRange {
    /// # Errors
    /// [`SigError::TooSmall`] or [`SigError::TooLarge`]
    pub fn check(&self, bytes: u64) -> Result<(), SigError> {
        match bytes {
            _ if bytes < self.least => Err(SigError::TooSmall),
            _ if bytes > self.most => Err(SigError::TooLarge),
            _ => Ok(()),
        }
    }
}

/// A form whose claim is well formed and timely, but not yet proven.
#[derive(Debug)]
pub struct Form<'a> {
    fields: &'a [FormField<'a>],
    bucket: &'a str,
    credential: Credential<'a>,
    region: &'a str,
    service: &'a str,
    stamp: Stamp,
    /// As sent, in base64: this is what was signed.
    policy: &'a [u8],
    conditions: Vec<Condition>,
    length: LengthRange,
    signature: Option<[u8; 32]>,
}

#[derive(Debug, PartialEq, Eq)]
struct Condition {
    /// Lowercase, without its `$`.
    field: String,
    value: String,
    is_prefix: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    expiration: String,
    conditions: Vec<Value>,
}

impl<'a> Form<'a> {
    /// Reads the claim of a form sent to `bucket`. The fields are those before the file.
    ///
    /// # Errors
    /// [`SigError::NotSigned`] without any of the authentication fields; otherwise what is wrong with them.
    pub fn parse(fields: &'a [FormField<'a>], bucket: &'a str, rules: &Rules<'a>, now: Time) -> Result<Self, SigError> {
        let bytes: usize = fields.iter().map(|field| field.name.len() + field.value.len()).sum();
        if fields.len() > FIELDS_MAX || bytes > HEADER_BYTES_MAX {
            return Err(SigError::HeadersTooLarge);
        }
        let has = |name: &str| fields.iter().any(|field| field.name.eq_ignore_ascii_case(name));
        if !["policy", "x-amz-signature", "x-amz-credential", "x-amz-algorithm"].into_iter().any(has) {
            let old = has("AWSAccessKeyId") || has("signature");
            return Err(if old { SigError::OtherAlgorithm } else { SigError::NotSigned });
        }
        if has("AWSAccessKeyId") || has("signature") {
            return Err(if has("x-amz-signature") { SigError::Ambiguous } else { SigError::OtherAlgorithm });
        }
        let one = |name: &'static str| {
            let mut found = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
            match (found.next(), found.next()) {
                (Some(field), None) if !field.value.is_empty() => Ok(field.value),
                _ => Err(SigError::FormField(name)),
            }
        };
        let text = |name| std::str::from_utf8(one(name)?).map_err(|_| SigError::FormField(name));
        if text("x-amz-algorithm")? != ALGORITHM {
            return Err(SigError::OtherAlgorithm);
        }
        let credential = Credential::of(Cow::Borrowed(text("x-amz-credential")?))
            .ok_or(SigError::Query("x-amz-credential is not ID/DATE/REGION/SERVICE/aws4_request"))?;
        let stamp = Stamp::basic(one("x-amz-date")?).ok_or(SigError::BadDate)?;
        // A signing key serves for seven days at most; clocks differ by 15 minutes at most.
        if stamp.time.ns_since(now) > SKEW_NS_MAX {
            return Err(SigError::NotYetValid);
        }
        if now.ns_since(stamp.time) > i64::from(EXPIRES_S_MAX) * 1_000_000_000 {
            return Err(SigError::PolicyExpired);
        }
        let region = in_scope(&credential, rules, stamp.date(), true)?;
        one("key")?;
        let policy = one("policy")?;
        let (expiration, conditions, length) = read(policy)?;
        if now > expiration {
            return Err(SigError::PolicyExpired);
        }
        let signature = unhex(one("x-amz-signature")?);
        let service = rules.service;
        Ok(Self { fields, bucket, credential, region, service, stamp, policy, conditions, length, signature })
    }

    /// Who claims to have signed, as [`super::Parsed::access_key_id`].
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.credential.id
    }

    /// `20130524`: the day that a signing key for this form is derived for.
    #[must_use]
    pub fn date(&self) -> &str {
        &self.credential.date
    }

    #[must_use]
    pub fn region(&self) -> &'a str {
        self.region
    }

    /// Finds the candidate that signed the policy, then holds the fields against it. The proof comes with the length
    /// that the file may have.
    ///
    /// # Errors
    /// As [`super::Parsed::verify`]; [`SigError::PolicyRefused`] names the condition or the field without one.
    pub fn verify(&self, candidates: &[Candidate<'_>]) -> Result<(Verified, LengthRange), SigError> {
        let sent = self.signature.unwrap_or_default();
        let well_formed = Choice::from(u8::from(self.signature.is_some()));
        let scope = (self.date(), self.region, self.service);
        let Some(candidate) = signer(&sent, well_formed, candidates, scope, self.policy) else {
            return Err(if candidates.is_empty() { SigError::UnknownKey } else { SigError::Mismatch });
        };
        self.check()?;
        let verified = Verified {
            access_key_id: CompactString::new(self.access_key_id()),
            region: CompactString::new(self.region),
            service: CompactString::new(self.service),
            candidate,
            time: self.stamp.time,
            kind: Kind::Form,
            payload: Payload::Unsigned,
            seed: None,
        };
        Ok((verified, self.length))
    }

    fn check(&self) -> Result<(), SigError> {
        for condition in &self.conditions {
            let holds = |value: &[u8]| {
                let wanted = condition.value.as_bytes();
                if condition.is_prefix { value.starts_with(wanted) } else { value == wanted }
            };
            let named = |field: &&FormField<'_>| field.name.eq_ignore_ascii_case(&condition.field);
            let fulfilled = if condition.field == "bucket" {
                holds(self.bucket.as_bytes())
            } else {
                let mut values = self.fields.iter().filter(named).map(|field| field.value).peekable();
                values.peek().is_some() && values.all(holds)
            };
            if !fulfilled {
                let field = excerpt(&condition.field, 64);
                return Err(SigError::PolicyRefused(format!("Policy Condition failed: \"{field}\"")));
            }
        }
        let covered = |name: &str| self.conditions.iter().any(|condition| condition.field.eq_ignore_ascii_case(name));
        let free = |name: &str| {
            let exempt = ["x-amz-signature", "policy", "file"];
            exempt.iter().any(|exempt| name.eq_ignore_ascii_case(exempt))
                || name.as_bytes().get(..9).is_some_and(|head| head.eq_ignore_ascii_case(b"x-ignore-"))
        };
        let names = self.fields.iter().map(|field| field.name).chain(["bucket"]);
        match names.into_iter().find(|name| !free(name) && !covered(name)) {
            Some(name) => Err(SigError::PolicyRefused(format!("Extra input fields: {}", excerpt(name, 64)))),
            None => Ok(()),
        }
    }
}

/// Expiration, conditions and length of a policy in base64.
fn read(policy: &[u8]) -> Result<(Time, Vec<Condition>, LengthRange), SigError> {
    let json = STANDARD.decode(policy).map_err(|_| SigError::PolicyMalformed("it is not base64"))?;
    let document: Document = serde_json::from_slice(&json)
        .map_err(|_| SigError::PolicyMalformed("it is not JSON with `expiration` and `conditions`"))?;
    if document.conditions.len() > CONDITIONS_MAX {
        return Err(SigError::PolicyMalformed("it has too many conditions"));
    }
    let expiration = Time::parse(&document.expiration)
        .map_err(|_| SigError::PolicyMalformed("`expiration` is not in the form 2013-05-24T00:00:00Z"))?;
    let malformed =
        SigError::PolicyMalformed("a condition is none of exact match, eq, starts-with, content-length-range");
    let mut length = LengthRange { least: 0, most: u64::MAX };
    let mut conditions = Vec::new();
    for condition in document.conditions {
        match condition {
            Value::Object(fields) if !fields.is_empty() => {
                for (field, value) in fields {
                    let Value::String(value) = value else { return Err(malformed) };
                    conditions.push(Condition { field: field.to_ascii_lowercase(), value, is_prefix: false });
                }
            }
            Value::Array(parts) => match &parts[..] {
                [Value::String(kind), least, most] if kind.eq_ignore_ascii_case("content-length-range") => {
                    let number = |value: &Value| match value {
                        Value::String(text) => text.parse().ok(),
                        value => value.as_u64(),
                    };
                    let (Some(least), Some(most)) = (number(least), number(most)) else { return Err(malformed) };
                    // The narrowest of several counts.
                    length = LengthRange { least: least.max(length.least), most: most.min(length.most) };
                }
                [Value::String(kind), Value::String(field), Value::String(value)] => {
                    let is_prefix = kind.eq_ignore_ascii_case("starts-with");
                    let field = field.strip_prefix('$').filter(|_| is_prefix || kind.eq_ignore_ascii_case("eq"));
                    let field = field.ok_or_else(|| malformed.clone())?.to_ascii_lowercase();
                    conditions.push(Condition { field, value: value.clone(), is_prefix });
                }
                _ => return Err(malformed),
            },
            _ => return Err(malformed),
        }
    }
    Ok((expiration, conditions, length))
}
