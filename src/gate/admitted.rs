//! A request that may go on: the proof of who signed it, what it asks for, and the decision.
//!
//! Invariants
//! - Only the gate makes an [`Admitted`], after signature and rights.
//! - What is in it was decoded once. Whoever goes on with the request takes bucket, key, version and copy source from
//!   here, and does not read the request's path a second time.
//!
//! Not here: how it came about (`authenticate`, `decide`).

use super::facts::Facts;
use super::s3::Operation;
use crate::model::{BucketName, KeyUid, OrgUid, Seq, Time};
use crate::sigv4::{ChunkDecoder, Verified};
use crate::state::Access;
use compact_str::CompactString;
use std::net::IpAddr;

/// Where an object is copied from, decoded and checked like the request's own path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySource {
    pub bucket: BucketName,
    pub key: String,
    pub version_id: Option<String>,
}

/// What of a request can be decided only when its body has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// All is decided.
    Nothing,
    /// DeleteObjects: ask [`super::Gate::may_delete`] for each key of the list; one that is refused is an error of its own in the
    /// answer.
    EachKey,
    /// A policy of the key asks for what only the body says (tags, a location, a retention), or a bucket may be created with tags:
    /// ask [`super::Gate::may_with`] once. When no policy asks, the request is decided without its body.
    Body,
}

/// What a request's body says that policies ask for. What is not given counts as absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct FromBody<'a> {
    /// Of PutObjectTagging, PutBucketTagging, CreateBucket and a form's field `tagging`.
    pub tags: &'a [(&'a str, &'a str)],
    /// Of CreateBucket.
    pub location_constraint: Option<&'a str>,
    /// Of PutObjectRetention: `GOVERNANCE` or `COMPLIANCE`.
    pub lock_mode: Option<&'a str>,
    /// Of PutObjectRetention.
    pub retain_until: Option<Time>,
    /// Of PutObjectLegalHold: `ON` or `OFF`.
    pub legal_hold: Option<&'a str>,
}

/// Another question under the same proof.
#[derive(Debug, Clone, Copy)]
pub struct Further<'a> {
    pub operation: Operation,
    /// None for ListBuckets.
    pub bucket: Option<&'a str>,
    /// Decoded.
    pub key: Option<&'a str>,
    pub version_id: Option<&'a str>,
}

/// A request that is authentic and, but for what is [`Admitted::pending`], allowed.
#[derive(Debug)]
pub struct Admitted {
    pub(super) verified: Verified,
    pub(super) key_uid: KeyUid,
    pub(super) org: OrgUid,
    pub(super) secret_version: u32,
    pub(super) operation: Operation,
    pub(super) bucket: Option<BucketName>,
    pub(super) object_key: Option<CompactString>,
    pub(super) version_id: Option<CompactString>,
    pub(super) copy_source: Option<Box<CopySource>>,
    pub(super) pending: Pending,
    pub(super) access: Option<Access>,
    pub(super) seq: Seq,
    pub(super) facts: Facts,
}

impl Admitted {
    /// The proof that the key signed. What it says of the body is still to be checked.
    #[must_use]
    pub fn verified(&self) -> &Verified {
        &self.verified
    }

    /// Reads the body of a chunked upload; `None` for any other, and the second time.
    #[must_use]
    pub fn take_chunks(&mut self) -> Option<ChunkDecoder> {
        self.verified.take_chunks()
    }

    #[must_use]
    pub fn access_key_id(&self) -> &str {
        self.verified.access_key_id()
    }

    #[must_use]
    pub fn key_uid(&self) -> KeyUid {
        self.key_uid
    }

    #[must_use]
    pub fn org(&self) -> OrgUid {
        self.org
    }

    /// Which of the key's secrets signed.
    #[must_use]
    pub fn secret_version(&self) -> u32 {
        self.secret_version
    }

    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    #[must_use]
    pub fn bucket(&self) -> Option<&str> {
        self.bucket.as_ref().map(BucketName::as_str)
    }

    /// Decoded: UTF-8, no NUL, no segment `.` or `..`, no leading slash, at most 1,024 bytes.
    #[must_use]
    pub fn object_key(&self) -> Option<&str> {
        self.object_key.as_deref()
    }

    #[must_use]
    pub fn version_id(&self) -> Option<&str> {
        self.version_id.as_deref()
    }

    /// Of CopyObject and UploadPartCopy: reading it is allowed.
    #[must_use]
    pub fn copy_source(&self) -> Option<&CopySource> {
        self.copy_source.as_deref()
    }

    /// What has to be asked yet, before anything is done.
    #[must_use]
    pub fn pending(&self) -> Pending {
        self.pending
    }

    /// The decision on the operation itself; `None` as long as it is [`Self::pending`].
    #[must_use]
    pub fn access(&self) -> Option<&Access> {
        self.access.as_ref()
    }

    /// The state by which it was decided.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The client's address: the peer's, or what trusted proxies say.
    #[must_use]
    pub fn source_ip(&self) -> IpAddr {
        self.facts.source_ip
    }

    /// As sent; empty without one.
    #[must_use]
    pub fn user_agent(&self) -> &str {
        self.facts.user_agent.as_deref().unwrap_or_default()
    }
}
