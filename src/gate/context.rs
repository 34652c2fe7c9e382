//! What a request answers for the condition keys of policies (Service Authorization Reference, "Condition keys for Amazon S3").
//!
//! | keys | answered |
//! |---|---|
//! | `aws:SourceIp`, `aws:SecureTransport`, `aws:UserAgent`, `aws:Referer`, `aws:RequestedRegion`, `s3:TlsVersion` | always |
//! | `s3:authType`, `s3:signatureversion`, `s3:signatureAge` (ms), `s3:x-amz-content-sha256` | always, from the proof |
//! | `s3:prefix`, `s3:delimiter`, `s3:max-keys` | lists of objects and versions, where the query has them |
//! | `s3:VersionId` | where a version is named, of the object that is asked about |
//! | `s3:x-amz-…`, `s3:object-lock-…`, `s3:if-match`, `s3:if-none-match` | of the request's own resource |
//! | `s3:RequestObjectTag/…`, `s3:RequestObjectTagKeys`, `aws:RequestTag/…`, `aws:TagKeys` | what is written with tags |
//! | `s3:ExistingObjectTag/…` | of an object that is there, where the node says which tags it has |
//! | `s3:locationconstraint` | CreateBucket, from its body |
//!
//! Not here: who asks and when (`state::access` answers that itself).

use super::admitted::FromBody;
use super::facts::Facts;
use super::rights::Target;
use super::{ObjectTags, Operation};
use crate::model::Time;
use crate::policy::{ConditionKey, Context, Found, KnownKey, Value};
use crate::sigv4::{Kind, Payload, Verified};
use std::cell::{Cell, OnceCell};

/// Actions that AWS gives `s3:ExistingObjectTag/…` for.
const EXISTING: [&str; 14] = [
    "s3:DeleteObjectTagging",
    "s3:DeleteObjectVersionTagging",
    "s3:GetObject",
    "s3:GetObjectAcl",
    "s3:GetObjectAttributes",
    "s3:GetObjectTagging",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionAcl",
    "s3:GetObjectVersionAttributes",
    "s3:GetObjectVersionTagging",
    "s3:PutObjectAcl",
    "s3:PutObjectTagging",
    "s3:PutObjectVersionAcl",
    "s3:PutObjectVersionTagging",
];

/// One right of a request, as policies see it.
pub(super) struct Asking<'a> {
    pub facts: &'a Facts,
    pub verified: &'a Verified,
    /// None: not read yet.
    pub body: Option<&'a FromBody<'a>>,
    /// Set when a policy asks what only the body can say, and it is not read yet.
    pub asked_body: &'a Cell<bool>,
    pub tags: Option<&'a dyn ObjectTags>,
    pub operation: Operation,
    pub action: &'a str,
    pub target: Target<'a>,
    pub now: Time,
    /// What is worked out when it is asked for.
    pub lazy: Lazy<'a>,
}

#[derive(Default)]
pub(super) struct Lazy<'a> {
    existing: OnceCell<Vec<(String, String)>>,
    keys: OnceCell<Vec<Value<'a>>>,
    sha256: OnceCell<String>,
}

impl<'a> Asking<'a> {
    fn lists_objects(&self) -> bool {
        let lists =
            matches!(self.operation, Operation::ListObjects | Operation::ListObjectsV2 | Operation::ListObjectVersions);
        lists && self.target.own
    }

    /// What the body says. Whoever asks before it was read is remembered.
    fn body(&self) -> FromBody<'a> {
        match self.body {
            _ if !self.target.own => FromBody::default(),
            Some(body) => *body,
            None => {
                self.asked_body.set(true);
                FromBody::default()
            }
        }
    }

    /// The tags that are written: of the header or of the body.
    fn written(&self) -> Vec<(&'a str, &'a str)> {
        if !self.target.own {
            return Vec::new();
        }
        let header = self.facts.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        header.chain(self.body().tags.iter().copied()).collect()
    }

    fn existing(&self) -> &[(String, String)] {
        self.lazy.existing.get_or_init(|| match (self.tags, self.target.bucket, self.target.key) {
            (Some(tags), Some(bucket), Some(key)) if EXISTING.contains(&self.action) => {
                tags.tags(bucket, key, self.target.version_id)
            }
            _ => Vec::new(),
        })
    }

    fn tag_keys(&self) -> Found<'_> {
        Found::Many(self.lazy.keys.get_or_init(|| self.written().iter().map(|(key, _)| Value::Text(key)).collect()))
    }

    fn header(&self, name: &str) -> Found<'_> {
        text(self.facts.header(name).filter(|_| self.target.own))
    }

    fn content_sha256(&self) -> &str {
        match self.verified.payload() {
            Payload::Unsigned => "UNSIGNED-PAYLOAD",
            Payload::Chunked { signed: true, trailer: false, .. } => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Payload::Chunked { signed: true, trailer: true, .. } => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            Payload::Chunked { signed: false, .. } => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            Payload::Announced(hash) => self.lazy.sha256.get_or_init(|| crate::model::bytes::Hex(&hash).to_string()),
            Payload::Hashed => "",
        }
    }

    fn lock_mode(&self) -> Found<'_> {
        match self.body().lock_mode {
            Some(mode) => text(Some(mode)),
            None => self.header("x-amz-object-lock-mode"),
        }
    }

    fn retain_until(&self) -> Option<Time> {
        let header = || self.facts.header("x-amz-object-lock-retain-until-date").filter(|_| self.target.own);
        self.body().retain_until.or_else(|| Time::parse(header()?).ok())
    }

    /// Keys that [`KnownKey`] does not tell apart, in small letters.
    fn other(&self, key: &str) -> Found<'_> {
        match key {
            "s3:object-lock-legal-hold" => match self.body().legal_hold {
                Some(hold) => text(Some(hold)),
                None => self.header("x-amz-object-lock-legal-hold"),
            },
            "s3:object-lock-retain-until-date" => one(self.retain_until().map(Value::Time)),
            "s3:object-lock-remaining-retention-days" => {
                one(self.retain_until().map(|until| Value::Integer(until.days_since(self.now).max(0))))
            }
            // Deny statements ask whether an operation makes a whole object (User Guide, "conditional writes").
            "s3:objectcreationoperation" => match self.action {
                "s3:PutObject" => {
                    let part = matches!(self.operation, Operation::UploadPart | Operation::UploadPartCopy);
                    Found::One(Value::Bool(!part && self.operation != Operation::CreateMultipartUpload))
                }
                _ => Found::Absent,
            },
            _ => match key.strip_prefix("s3:") {
                Some(name) if name.starts_with("x-amz-") || name.starts_with("if-") => self.header(name),
                _ => Found::Absent,
            },
        }
    }
}

fn one(value: Option<Value<'_>>) -> Found<'_> {
    value.map_or(Found::Absent, Found::One)
}

fn text(value: Option<&str>) -> Found<'_> {
    one(value.map(Value::Text))
}

/// What stands under a tag: under its very spelling if possible, else under one that differs in case alone.
fn tag<'t>(tags: &[(&'t str, &'t str)], wanted: &str) -> Found<'t> {
    let exact = tags.iter().find(|(key, _)| *key == wanted);
    let lower = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>();
    let close = || tags.iter().find(|(key, _)| lower(key) == lower(wanted));
    text(exact.or_else(close).map(|(_, value)| *value))
}

impl Context for Asking<'_> {
    fn find(&self, key: &ConditionKey) -> Found<'_> {
        let facts = self.facts;
        let Some(known) = key.known() else { return self.other(key.as_str()) };
        match known {
            KnownKey::SourceIp => Found::One(Value::Address(facts.source_ip)),
            KnownKey::SecureTransport => Found::One(Value::Bool(facts.tls.is_some())),
            KnownKey::S3TlsVersion => text(facts.tls.as_deref()),
            KnownKey::UserAgent => text(facts.user_agent.as_deref()),
            KnownKey::Referer => text(facts.referer.as_deref()),
            KnownKey::RequestedRegion => text(Some(self.verified.region())),
            KnownKey::S3SignatureVersion => text(Some("AWS4-HMAC-SHA256")),
            KnownKey::S3AuthType => text(Some(auth_type(self.verified.kind()))),
            KnownKey::S3SignatureAge => {
                Found::One(Value::Integer(self.now.ns_since(self.verified.time()).max(0) / 1_000_000))
            }
            KnownKey::S3ContentSha256 => text(Some(self.content_sha256()).filter(|text| !text.is_empty())),
            KnownKey::S3Prefix if self.lists_objects() => text(facts.prefix.as_deref()),
            KnownKey::S3Delimiter if self.lists_objects() => text(facts.delimiter.as_deref()),
            KnownKey::S3MaxKeys if self.lists_objects() => one(facts.max_keys.map(Value::Integer)),
            KnownKey::S3VersionId => text(self.target.version_id),
            KnownKey::S3Acl => self.header("x-amz-acl"),
            KnownKey::S3CopySource => self.header("x-amz-copy-source"),
            KnownKey::S3MetadataDirective => self.header("x-amz-metadata-directive"),
            KnownKey::S3Encryption => self.header("x-amz-server-side-encryption"),
            KnownKey::S3StorageClass => self.header("x-amz-storage-class"),
            KnownKey::S3ObjectLockMode => self.lock_mode(),
            KnownKey::S3LocationConstraint => text(self.body().location_constraint),
            KnownKey::S3RequestObjectTag if self.target.key.is_some() => tag(&self.written(), key.tag()),
            KnownKey::S3RequestObjectTagKeys if self.target.key.is_some() => self.tag_keys(),
            KnownKey::RequestTag if self.target.key.is_none() => tag(&self.written(), key.tag()),
            KnownKey::TagKeys if self.target.key.is_none() => self.tag_keys(),
            KnownKey::S3ExistingObjectTag => {
                let existing: Vec<_> =
                    self.existing().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
                tag(&existing, key.tag())
            }
            _ => Found::Absent,
        }
    }
}

/// `s3:authType`'s word for where a signature stands.
pub(super) fn auth_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Header => "REST-HEADER",
        Kind::Presigned { .. } => "REST-QUERY-STRING",
        Kind::Form => "POST",
    }
}
