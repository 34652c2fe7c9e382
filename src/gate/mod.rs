//! The request gate: what a storage node asks on every S3 request. Who is this, may it do that, at which seq was that decided.
//!
//! ```text
//!   RequestView ──authenticate──▶ Verified ──s3──▶ operation, resource, condition keys ──state::access──▶ Admitted │ Denied
//! ```
//!
//! Order: form of the signature → its time → the key → the key's status → signature → what is asked → rights. Rights are
//! decided on the state that is there *after* the signature was checked, all of a request's at one seq.
//!
//! Invariants
//! - Nothing is allowed that was not understood: an operation, parameter or combination that is not in the table is refused.
//! - A key that cannot be used looks like one that never was, and costs the same.
//! - No lock, no wait, no disk on the path of a request whose signing key is cached; what is counted never holds it up.
//! - A state older than the caller has seen (`min_seq`) decides nothing.
//!
//! Not here: HTTP, bodies (their hash is in the proof, their checksums are the node's), and whether buckets and objects
//! exist.

mod admitted;
mod denied;
mod facts;
pub mod s3;

pub use admitted::{Admitted, CopySource, FromBody, Further, Pending};
pub use denied::Denied;
pub use s3::{Class, Operation};

use crate::model::Seq as Access;
use crate::model::event::{KeyUsage, Rejected};
use crate::model::{OrgUid, Seq, Time};
use crate::policy::Cidr;
use crate::sigv4::{FormHead, LengthRange};
use crate::state::StateHandle;
use crate::vault::SecretSource;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// A request as it came in, borrowed from whoever read it.
#[derive(Debug, Clone, Copy)]
pub struct RequestView<'a> {
    /// As sent: `GET`.
    pub method: &'a str,
    /// Path and query as sent, still percent-encoded: `/bucket/key?versionId=1`. Not a whole URL.
    pub target: &'a [u8],
    /// In the order they arrived; names in any case. For HTTP/2 put `:authority` here as `host`.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Who is at the other end of the connection.
    pub peer: IpAddr,
    /// The version of TLS, as policies write it (`1.2`, `1.3`); `None` without TLS.
    pub tls: Option<&'a str>,
}

/// What policies may ask of objects that are there already (`s3:ExistingObjectTag/…`).
///
/// Asked only when a policy with such a condition bears on the request: may read a disk, should not take long.
pub trait ObjectTags: Send + Sync {
    /// Keys and values of an object's tags; empty when it has none or is not there.
    fn tags(&self, bucket: &str, key: &str, version_id: Option<&str>) -> Vec<(String, String)>;
}

/// How a gate reads requests and how much it remembers.
#[derive(Clone)]
pub struct GateOptions {
    /// The regions that a signature may be for, 1 to 16; `us-east-1`.
    pub regions: Vec<String>,
    /// Hosts under which a bucket's name may stand (`bucket.s3.example.com`): `s3.example.com`, without a port. None: paths
    /// only.
    pub base_domains: Vec<String>,
    /// Peers whose `X-Forwarded-For` is believed. None: the address is always the peer's.
    pub trusted_proxies: Vec<Cidr>,
    /// Whether a signed header may leave the body unsigned (`UNSIGNED-PAYLOAD`, `STREAMING-UNSIGNED-PAYLOAD-TRAILER`), as
    /// S3 allows; true. Presigned URLs always do.
    pub unsigned_payload: bool,
    /// Where tags of existing objects are looked up. None: such conditions find nothing.
    pub object_tags: Option<Arc<dyn ObjectTags>>,
    /// Derived signing keys that are kept, about 150 bytes each; 65,536.
    pub signing_keys_max: usize,
    /// Keys whose uses are counted between two rollups; 65,536. Uses of more are counted as dropped.
    pub metered_keys_max: usize,
}

impl Default for GateOptions {
    fn default() -> Self {
        Self {
            regions: vec!["us-east-1".to_owned()],
            base_domains: Vec::new(),
            trusted_proxies: Vec::new(),
            unsigned_payload: true,
            object_tags: None,
            signing_keys_max: 65_536,
            metered_keys_max: 65_536,
        }
    }
}

impl fmt::Debug for GateOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateOptions")
            .field("regions", &self.regions)
            .field("base_domains", &self.base_domains)
            .field("trusted_proxies", &self.trusted_proxies)
            .field("unsigned_payload", &self.unsigned_payload)
            .field("object_tags", &self.object_tags.is_some())
            .field("signing_keys_max", &self.signing_keys_max)
            .field("metered_keys_max", &self.metered_keys_max)
            .finish()
    }
}

/// Options that do not make a gate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("gate option `{option}` is not valid: expected {expected}")]
pub struct OptionsRefused {
    pub option: &'static str,
    pub expected: &'static str,
}

/// Use and rejected attempts of one org's keys, to be written as one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollup {
    pub org: OrgUid,
    /// By key.
    pub usage: Vec<KeyUsage>,
    /// Uses that could not be counted by key.
    pub usage_dropped: u64,
    pub attempts: Vec<Rejected>,
    pub attempts_dropped: u64,
}

/// Decides requests by the newest published state. Share it behind an `Arc`; every method takes `&self`.
#[derive(Debug)]
pub struct Gate {
    state: StateHandle,
    secrets: Arc<SecretSource>,
    options: GateOptions,
}

impl Gate {
    /// # Errors
    /// [`OptionsRefused`]: no region or more than 16, or a base domain that is no host name.
    pub fn new(state: StateHandle, secrets: Arc<SecretSource>, options: GateOptions) -> Result<Self, OptionsRefused> {
        Ok(Self { state, secrets, options })
    }

    /// Authenticates a request that arrived at `now`, reads what it asks for, and decides.
    ///
    /// `min_seq`: what the caller has seen elsewhere; a state that has not come so far decides nothing (503). The signature
    /// covers what [`sigv4::Payload`](crate::sigv4::Payload) of the proof says; the body is the node's to check before it commits. A request to
    /// upload by form goes to [`Gate::check_form`].
    ///
    /// # Errors
    /// [`Denied`]: S3's own error.
    pub fn check(&self, view: &RequestView<'_>, now: Time, min_seq: Option<Seq>) -> Result<Admitted, Denied> {
        let _ = (&self.state, &self.secrets, &self.options, now, min_seq);
        Err(Denied::access_denied().of(view.target))
    }

    /// As [`Gate::check`], of an upload by HTML form: `POST` to the bucket, the signature among its fields. `${filename}` in
    /// the key stands for the file's name; the object's key is [`Admitted::object_key`]. The file's length has to lie in the range.
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
        let _ = (head, now, min_seq);
        Err(Denied::access_denied().of(view.target))
    }

    /// Whether another thing may be done under the same proof. Reads the state anew.
    ///
    /// # Errors
    /// [`Denied`]: `AccessDenied`, or `InvalidAccessKeyId` when the key has died meanwhile.
    pub fn may(&self, admitted: &Admitted, further: &Further<'_>, now: Time) -> Result<Access, Denied> {
        let _ = (admitted, further, now);
        Err(Denied::access_denied())
    }

    /// Whether DeleteObjects may delete one of its keys ([`Pending::EachKey`]): `s3:DeleteObject`, or with a version
    /// `s3:DeleteObjectVersion`, and `s3:BypassGovernanceRetention` where the request asks for that.
    ///
    /// # Errors
    /// As [`Gate::may`], and `InvalidArgument` for a key that is refused in a path too.
    pub fn may_delete(
        &self,
        admitted: &Admitted,
        key: &str,
        version_id: Option<&str>,
        now: Time,
    ) -> Result<Access, Denied> {
        let _ = (admitted, key, version_id, now);
        Err(Denied::access_denied())
    }

    /// Decides the request itself, now that its body has been read ([`Pending::Body`]).
    ///
    /// # Errors
    /// As [`Gate::may`].
    pub fn may_with(&self, admitted: &Admitted, body: &FromBody<'_>, now: Time) -> Result<Access, Denied> {
        let _ = (admitted, body, now);
        Err(Denied::access_denied())
    }

    /// Whether key and secret version can still be used: ask before a body that took long is committed. The seq by which they can.
    ///
    /// # Errors
    /// [`Denied`] as for an unknown key.
    pub fn still_usable(&self, admitted: &Admitted, now: Time) -> Result<Seq, Denied> {
        let _ = (admitted, now);
        Err(Denied::unknown_key())
    }

    /// Counts a use, when it is over. `outcome`: `ok` or an error code. Never waits. What the gate itself refuses for want of rights
    /// it has counted already.
    pub fn used(&self, admitted: &Admitted, outcome: &str, bytes_in: u64, bytes_out: u64, now: Time) {
        let _ = (admitted, outcome, bytes_in, bytes_out, now);
    }

    /// What is due to be written, by org (`product.md` §9). Call it every second or so, from one place: it also forgets signing keys
    /// that are over.
    pub fn take_rollups(&self, now: Time) -> Vec<Rollup> {
        let _ = now;
        Vec::new()
    }
}
