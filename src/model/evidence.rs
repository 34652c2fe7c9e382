//! Evidence: what outside records (CloudTrail) say that somebody did.
//!
//! A record carries its own time, actor and address; the commit that holds it says only when and from which file it
//! was recorded. The state of an evidence org is the fold of its records sorted by [`EvidenceRecord::order`],
//! whatever the order of import (`product.md` §6).
//!
//! Not here: reading the files (`ledger::import`), the fold (`state::evidence`).

use super::id::{AccessKeyId, AccountId, BucketName};
use super::time::Time;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// What kind of identity CloudTrail names (`userIdentity.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IdentityKind {
    Root,
    User,
    /// A role's session, by STS.
    AssumedRole,
    FederatedUser,
    /// An AWS service, or another account.
    Service,
    Unknown,
}

/// Who made a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    pub kind: IdentityKind,
    /// User name, `role/session`, a service's host name, `root`.
    pub name: CompactString,
    /// The ARN, when the record has one.
    pub arn: Option<CompactString>,
    pub account: Option<AccountId>,
    /// The key that signed; `ASIA…` for temporary ones.
    pub key: Option<AccessKeyId>,
}

/// Order among records of one moment (`product.md` §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Rank {
    /// A user, group or policy is made.
    CreateNoun,
    CreateKey,
    PutOrAttach,
    Update,
    Detach,
    Delete,
    /// Changes nothing.
    Observed,
}

/// What every imported record says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceRecord {
    /// The record's `eventID` as 16 bytes (its UUID), or a digest of the record when it has none.
    #[serde(with = "super::bytes")]
    pub event_id: [u8; 16],
    /// The record's `eventTime`.
    pub effective_at: Time,
    pub rank: Rank,
    pub identity: Identity,
    /// `iam.amazonaws.com` and so on.
    pub event_source: CompactString,
    pub event_name: CompactString,
    pub region: CompactString,
    pub source_ip: CompactString,
    pub user_agent: CompactString,
    pub request_id: CompactString,
    pub read_only: bool,
    pub outcome: Outcome,
}

impl EvidenceRecord {
    /// What sorts records into the order they are folded in.
    #[must_use]
    pub fn order(&self) -> (Time, Rank, [u8; 16]) {
        (self.effective_at, self.rank, self.event_id)
    }

    /// The service as `last_used` shows it: the event source up to its first dot.
    #[must_use]
    pub fn service(&self) -> &str {
        self.event_source.split('.').next().unwrap_or_default()
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    Ok,
    /// Refused for want of rights (`AccessDenied`, `UnauthorizedOperation`, `Client.UnauthorizedOperation`, …).
    Denied {
        code: CompactString,
    },
    /// Failed for another reason.
    Failed {
        code: CompactString,
    },
}

impl Outcome {
    /// `ok`, or the error code.
    pub fn as_str(&self) -> &str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Denied { code } | Outcome::Failed { code } => code,
        }
    }
}

/// A call that changed no key, user, group or policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    pub record: EvidenceRecord,
    pub bucket: Option<BucketName>,
    /// What it was about: an object's key, a user's name, an ARN; at most 256 characters.
    pub resource: Option<CompactString>,
    /// A temporary key, or another thing that this call's answer gave out.
    pub issued_key: Option<AccessKeyId>,
    /// The role or federated user the issued key acts as.
    pub issued_for: Option<CompactString>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Where the record says more about what failed; at most 256 characters.
    pub error_message: Option<CompactString>,
}
