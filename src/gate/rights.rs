//! Which rights a request takes, and whether its key has them.
//!
//! The operation's own action first (`s3::table`), then what its headers ask for beside it:
//!
//! | request | rights beside its own |
//! |---|---|
//! | CopyObject, UploadPartCopy | `s3:GetObject` or `s3:GetObjectVersion` of the source |
//! | CopyObject of a source with tags | `s3:GetObjectTagging` of the source and `s3:PutObjectTagging` |
//! | a new object with tags, an ACL, a retention, a legal hold | `s3:PutObjectTagging`, `…Acl`, `…Retention`, `…LegalHold` |
//! | GetObjectAttributes | `s3:GetObject` or `s3:GetObjectVersion` |
//! | `x-amz-bypass-governance-retention` | `s3:BypassGovernanceRetention` |
//! | CreateBucket with an ACL, a lock, ownership, tags | `s3:PutBucketAcl`, `s3:PutBucketObjectLockConfiguration`, … |
//!
//! Invariants
//! - All rights of a request are decided at one seq, and one that is missing denies it.
//!
//! Not here: the rules of rights (`state::access`).

use super::admitted::{CopySource, FromBody};
use super::context::{Asking, Lazy};
use super::facts::Facts;
use super::s3::table::Row;
use super::{ObjectTags, Operation};
use crate::model::Time;
use crate::policy::{Action, Request};
use crate::sigv4::Verified;
use crate::state::{Access, Standing};
use std::cell::Cell;

/// What a right is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    /// None: no bucket in particular.
    pub bucket: Option<&'a str>,
    pub key: Option<&'a str>,
    pub version_id: Option<&'a str>,
    /// Whether it is what the request itself names; otherwise its headers say nothing about it.
    pub own: bool,
}

impl Target<'_> {
    fn push_arn(&self, arn: &mut String) {
        arn.clear();
        arn.push_str("arn:aws:s3:::");
        // What is about no bucket in particular is matched by `*` and by `arn:aws:s3:::*`, as in S3.
        arn.push_str(self.bucket.unwrap_or("*"));
        if let Some(key) = self.key {
            arn.push('/');
            arn.push_str(key);
        }
    }
}

/// What is to be decided.
pub(super) struct Question<'a> {
    pub row: &'static Row,
    pub target: Target<'a>,
    pub copy_source: Option<&'a CopySource>,
    pub facts: &'a Facts,
    pub verified: &'a Verified,
    /// None: there is one, and it is not read yet.
    pub body: Option<&'a FromBody<'a>>,
    pub tags: Option<&'a dyn ObjectTags>,
    pub now: Time,
}

/// What came of a question.
pub(super) struct Answer {
    /// The decision on the operation's own action, or the first one that denies.
    pub result: Result<Option<Access>, Access>,
    /// Whether it could be another one when the body is read. A policy that asked nothing of the body does not change its mind.
    pub asked_body: bool,
}

impl Question<'_> {
    /// Decides all its rights. `arn` is overwritten.
    pub fn decide(&self, standing: &Standing<'_>, arn: &mut String) -> Answer {
        let mut own = None;
        let asked_body = Cell::new(false);
        let result = self.each_right(&mut |action, target| {
            target.push_arn(arn);
            let context = Asking {
                facts: self.facts,
                verified: self.verified,
                body: self.body,
                asked_body: &asked_body,
                tags: self.tags,
                operation: self.row.operation,
                action: action.as_str(),
                target,
                now: standing.guarded(self.now),
                lazy: Lazy::default(),
            };
            let request = Request { action, resource: arn, context: &context };
            let access = if self.row.operation == Operation::CreateBucket {
                standing.decide_of_new_bucket(&request, self.now)
            } else {
                standing.decide(&request, self.now)
            };
            if !access.is_allow() {
                return Err(access);
            }
            own.get_or_insert(access);
            Ok(())
        });
        Answer { result: result.map(|()| own), asked_body: asked_body.get() }
    }

    fn each_right(&self, ask: &mut dyn FnMut(Action<'static>, Target<'_>) -> Result<(), Access>) -> Result<(), Access> {
        const fn known(text: &'static str) -> Action<'static> {
            Action::new(text)
        }
        const GET: Action<'static> = known("s3:GetObject");
        const GET_VERSION: Action<'static> = known("s3:GetObjectVersion");
        const GET_TAGS: Action<'static> = known("s3:GetObjectTagging");
        const GET_VERSION_TAGS: Action<'static> = known("s3:GetObjectVersionTagging");
        const PUT_TAGS: Action<'static> = known("s3:PutObjectTagging");
        const PUT_ACL: Action<'static> = known("s3:PutObjectAcl");
        const PUT_RETENTION: Action<'static> = known("s3:PutObjectRetention");
        const PUT_HOLD: Action<'static> = known("s3:PutObjectLegalHold");
        const BYPASS: Action<'static> = known("s3:BypassGovernanceRetention");
        const BUCKET_ACL: Action<'static> = known("s3:PutBucketAcl");
        const BUCKET_LOCK: Action<'static> = known("s3:PutBucketObjectLockConfiguration");
        const BUCKET_VERSIONING: Action<'static> = known("s3:PutBucketVersioning");
        const BUCKET_OWNERSHIP: Action<'static> = known("s3:PutBucketOwnershipControls");
        const TAG_BUCKET: Action<'static> = known("s3:TagResource");

        let (own, facts) = (self.target, self.facts);
        let versioned = own.version_id.is_some();
        if let Some(action) = self.row.action(versioned) {
            ask(action, own)?;
        }
        if let Some(source) = self.copy_source {
            let version_id = source.version_id.as_deref();
            let source =
                Target { bucket: Some(source.bucket.as_str()), key: Some(&source.key), version_id, own: false };
            ask(if version_id.is_some() { GET_VERSION } else { GET }, source)?;
            if self.row.operation == Operation::CopyObject && facts.copies_tags && self.has_tags(&source) {
                ask(if version_id.is_some() { GET_VERSION_TAGS } else { GET_TAGS }, source)?;
                ask(PUT_TAGS, own)?;
            }
        }
        match self.row.operation {
            Operation::PutObject | Operation::CopyObject | Operation::CreateMultipartUpload | Operation::PostObject => {
                if !facts.tags.is_empty() || facts.tags_in_body {
                    ask(PUT_TAGS, own)?;
                }
                if facts.has("x-amz-acl") || facts.has_grants() {
                    ask(PUT_ACL, own)?;
                }
                if facts.has("x-amz-object-lock-mode") || facts.has("x-amz-object-lock-retain-until-date") {
                    ask(PUT_RETENTION, own)?;
                }
                if facts.has("x-amz-object-lock-legal-hold") {
                    ask(PUT_HOLD, own)?;
                }
            }
            Operation::GetObjectAttributes => ask(if versioned { GET_VERSION } else { GET }, own)?,
            Operation::DeleteObject | Operation::PutObjectRetention if facts.bypasses_governance => ask(BYPASS, own)?,
            Operation::CreateBucket => {
                // S3 takes `private` for what a bucket is anyway (API Reference, CreateBucket, "Permissions").
                if facts.header("x-amz-acl").is_some_and(|acl| acl != "private") || facts.has_grants() {
                    ask(BUCKET_ACL, own)?;
                }
                if facts.locks_bucket {
                    ask(BUCKET_LOCK, own)?;
                    ask(BUCKET_VERSIONING, own)?;
                }
                if facts.has("x-amz-object-ownership") {
                    ask(BUCKET_OWNERSHIP, own)?;
                }
                if self.body.is_some_and(|body| !body.tags.is_empty()) {
                    ask(TAG_BUCKET, own)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn has_tags(&self, target: &Target<'_>) -> bool {
        match (self.tags, target.bucket, target.key) {
            (Some(tags), Some(bucket), Some(key)) => !tags.tags(bucket, key, target.version_id).is_empty(),
            _ => false,
        }
    }
}
