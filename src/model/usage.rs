//! What was counted of keys: uses, and attempts that were turned away.
//!
//! Invariants
//! - Part of what is encoded: an order of members is never edited.
//!
//! Not here: counting (`gate::meter`).

use super::id::{BucketName, KeyUid};
use super::time::Time;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// One (service, region, bucket, action class, source, outcome) of a key within a rollup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageTuple {
    pub secret_version: u32,
    pub service: CompactString,
    pub region: CompactString,
    pub bucket: Option<BucketName>,
    /// read, write, delete, list, acl, manage.
    pub action_class: CompactString,
    pub source_ip: CompactString,
    pub user_agent: CompactString,
    pub signature: CompactString,
    /// `ok` or an error code.
    pub outcome: CompactString,
    pub count: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub first_at: Time,
    pub last_at: Time,
}

/// Use of one key since the last rollup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUsage {
    pub key: KeyUid,
    pub tuples: Vec<UsageTuple>,
    /// Uses that did not fit the tuples.
    pub other: u64,
}

/// Why an attempt with a known key was turned away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    pub key: KeyUid,
    /// Revoked, Deleted, Expired, …
    pub status: CompactString,
    pub source_ip: CompactString,
    pub user_agent: CompactString,
    pub count: u64,
    pub first_at: Time,
    pub last_at: Time,
}
