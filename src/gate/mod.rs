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
//! Services other than S3 (the server's own) are authenticated here too, by the same rules, keys and counters (`service`); what they
//! ask for is theirs to decide.
//!
//! Not here: HTTP, bodies (their hash is in the proof, their checksums are the node's), and whether buckets and objects
//! exist.

mod admitted;
mod authenticate;
mod cache;
mod context;
mod decide;
mod denied;
mod facts;
mod form;
mod meter;
mod path;
mod request;
mod rights;
pub mod s3;
mod secret;
mod service;

pub use admitted::{Admitted, CopySource, FromBody, Further, Pending};
pub use denied::Denied;
pub use s3::{Class, Operation};
pub use secret::SecretProof;
pub use service::{ServiceDenied, ServiceRules, ServiceSigner, ServiceUse};

use crate::model::usage::{KeyUsage, Rejected};
use crate::model::{OrgUid, Seq, Time};
use crate::policy::Cidr;
use crate::sigv4::{self, Request, Rules, Scratch, Verified};
use crate::state::StateHandle;
use crate::vault::SecretSource;
use authenticate::Scope;
use cache::SigningKeys;
use compact_str::CompactString;
use decide::Proven;
use meter::{Meter, Use};
use request::{Asked, Headers};
use std::cell::Cell;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

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

impl<'a> RequestView<'a> {
    /// The path, and the query without its `?`.
    fn path_and_query(&self) -> (&'a [u8], &'a [u8]) {
        match self.target.iter().position(|byte| *byte == b'?') {
            Some(at) => (&self.target[..at], &self.target[at + 1..]),
            None => (self.target, &[]),
        }
    }
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

/// The service that signatures are for.
const SERVICE: &str = "s3";
/// Regions of one gate.
const REGIONS_MAX: usize = 16;
/// Signing keys of dead secrets are taken out so often: 10 s. None is used meanwhile.
const SWEEP_EVERY_NS: i64 = 10 * 1_000_000_000;
/// A signing key serves for the 7 days of a presigned URL, and for clocks that differ.
const SIGNING_KEY_DAYS: i64 = 8;

/// Decides requests by the newest published state. Share it behind an `Arc`; every method takes `&self`.
///
/// ```
/// use keyledger::gate::{Gate, GateOptions, RequestView};
/// use keyledger::ledger::{InitOptions, Ledger};
/// use keyledger::model::Time;
/// use keyledger::sys::RealIo;
/// use keyledger::vault::{KeystoreReader, SecretSource, VaultKey, VaultKeySource};
/// use std::sync::Arc;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let ledger = Ledger::init(dir.path(), &InitOptions::default())?;
/// let vault_key = VaultKey::read(&RealIo, &VaultKeySource::File(dir.path().join("vault.key")))?;
/// let (keys, id) = (dir.path().join("keys"), ledger.meta().ledger_id);
/// let secrets = SecretSource::new(KeystoreReader::open(Arc::new(RealIo), &keys, id, Arc::new(vault_key))?);
/// let gate = Gate::new(ledger.handle(), Arc::new(secrets), GateOptions::default())?;
/// let headers = [("host", b"localhost".as_slice()), ("user-agent", b"a client")];
/// let view = RequestView {
///     method: "GET",
///     target: b"/photos/cat.jpg",
///     headers: &headers,
///     peer: [192, 0, 2, 1].into(),
///     tls: Some("1.3"),
/// };
/// let denied = gate.check(&view, Time::from_seconds(1_795_000_000), None).unwrap_err();
/// assert_eq!((denied.code(), denied.status()), ("AccessDenied", 403), "nobody signed this");
/// # Ok(())
/// # }
/// ```
pub struct Gate {
    state: StateHandle,
    secrets: Arc<SecretSource>,
    options: GateOptions,
    keys: SigningKeys,
    meter: Meter,
    swept_at: AtomicI64,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("state", &self.state).field("options", &self.options).finish_non_exhaustive()
    }
}

/// What one request after another is read in, one a thread.
#[derive(Default)]
struct Pad {
    scratch: Scratch,
    arn: String,
}

thread_local! {
    static PAD: Cell<Pad> = Cell::default();
}

impl Gate {
    /// # Errors
    /// [`OptionsRefused`]: no region, more than 16, or a base domain that is no host name in small letters.
    pub fn new(state: StateHandle, secrets: Arc<SecretSource>, options: GateOptions) -> Result<Self, OptionsRefused> {
        let is_region = |region: &String| (1..=64).contains(&region.len()) && !region.contains('/');
        if !(1..=REGIONS_MAX).contains(&options.regions.len()) || !options.regions.iter().all(is_region) {
            return Err(OptionsRefused { option: "regions", expected: "1 to 16 names without a slash" });
        }
        let of_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        let is_domain = |domain: &String| !domain.is_empty() && !domain.starts_with('.') && domain.bytes().all(of_host);
        if !options.base_domains.iter().all(is_domain) {
            return Err(OptionsRefused {
                option: "base_domains",
                expected: "host names in small letters, without a port",
            });
        }
        let threads = std::thread::available_parallelism().map_or(4, usize::from);
        Ok(Self {
            keys: SigningKeys::new(options.signing_keys_max),
            meter: Meter::new(options.metered_keys_max, (2 * threads).min(64)),
            swept_at: AtomicI64::new(i64::MIN),
            state,
            secrets,
            options,
        })
    }

    fn rules<'a>(&'a self, regions: &'a mut [&'a str; REGIONS_MAX]) -> Rules<'a> {
        let count = self.options.regions.len();
        for (place, region) in regions.iter_mut().zip(&self.options.regions) {
            *place = region;
        }
        Rules { unsigned_payload: self.options.unsigned_payload, ..Rules::s3(&regions[..count]) }
    }

    /// Authenticates a request that arrived at `now`, reads what it asks for, and decides.
    ///
    /// `min_seq`: what the caller has seen elsewhere; a state that has not come so far decides nothing (503). The signature
    /// covers what [`Verified::payload`](crate::sigv4::Verified::payload) says; the body is the node's to check before it
    /// commits. A request to upload by form goes to [`Gate::check_form`].
    ///
    /// # Errors
    /// [`Denied`]: S3's own error.
    pub fn check(&self, view: &RequestView<'_>, now: Time, min_seq: Option<Seq>) -> Result<Admitted, Denied> {
        // Taken and put back, so that whoever is asked for tags meanwhile could check a request of its own.
        let mut pad = PAD.take();
        let checked = self.checked(view, now, min_seq, &mut pad);
        PAD.set(pad);
        checked.map_err(|denied| denied.of(view.target))
    }

    fn checked(
        &self,
        view: &RequestView<'_>,
        now: Time,
        min_seq: Option<Seq>,
        pad: &mut Pad,
    ) -> Result<Admitted, Denied> {
        self.is_fresh(min_seq)?;
        let mut regions = [""; REGIONS_MAX];
        let rules = self.rules(&mut regions);
        let request = Request { method: view.method, target: view.target, headers: view.headers };
        let parsed = sigv4::parse(&request, &rules, now, &mut pad.scratch)?;
        // No session is ever made here, so no token can be anybody's.
        if parsed.session_token().is_some() {
            return Err(invalid_token());
        }
        let looked = self.look(parsed.access_key_id(), now);
        let date = CompactString::new(parsed.date());
        let scope = Scope { date: &date, region: parsed.region(), service: SERVICE };
        let proven =
            self.prove(looked.as_ref(), scope, |candidates| parsed.verify(None, candidates), Verified::candidate);
        let (verified, secret_version) = match (proven, looked.as_ref()) {
            (Ok(proven), _) => proven,
            (Err(unproven), Some(dead)) if !dead.status.is_usable() => {
                self.count_rejected(dead, view, now);
                return Err(unproven.into());
            }
            (Err(unproven), _) => return Err(unproven.into()),
        };
        let looked = looked.ok_or_else(Denied::unknown_key)?;
        let headers = Headers::read(view.headers)?;
        let asked = Asked::read(view, headers, &self.options)?;
        let pending = asked.pending();
        let proven = Proven { verified, looked, secret_version };
        self.admit(view, proven, asked, pending, now, &mut pad.arn)
    }

    /// Counts a use, when it is over. `outcome`: `ok` or an error code. Never waits. What [`Gate::check`] itself refuses for want
    /// of rights it has counted already.
    pub fn used(&self, admitted: &Admitted, outcome: &str, bytes_in: u64, bytes_out: u64, now: Time) {
        self.count(admitted, outcome, bytes_in, bytes_out, now);
    }

    fn count(&self, admitted: &Admitted, outcome: &str, bytes_in: u64, bytes_out: u64, now: Time) {
        let one = Use {
            key: admitted.key_uid,
            org: admitted.org,
            secret_version: admitted.secret_version,
            service: SERVICE,
            region: admitted.verified.region(),
            bucket: admitted.bucket.as_ref(),
            class: admitted.operation.class().as_str(),
            source_ip: admitted.facts.source_ip,
            user_agent: admitted.user_agent(),
            signature: context::auth_type(admitted.verified.kind()),
            outcome,
            bytes_in,
            bytes_out,
        };
        self.meter.used(&one, now);
    }

    /// What is due to be written, by org (`product.md` §9). Call it every second or so, from one place: it also forgets signing
    /// keys that are over. What is taken is the caller's to write, or to count as dropped.
    pub fn take_rollups(&self, now: Time) -> Vec<Rollup> {
        let swept_at = Time(self.swept_at.load(Ordering::Relaxed));
        if now.ns_since(swept_at) >= SWEEP_EVERY_NS || now < swept_at {
            self.swept_at.store(now.0, Ordering::Relaxed);
            self.sweep(now);
        }
        self.meter.take(now)
    }

    fn sweep(&self, now: Time) {
        let oldest = sigv4::amz_date(now.plus_ns(-SIGNING_KEY_DAYS * 24 * 3_600 * 1_000_000_000));
        self.keys.sweep(|entry| {
            entry.date.as_str() >= &oldest[..8]
                && self.state.with_standing(entry.id.as_str(), |standing, _| {
                    standing.status(now).is_usable()
                        && standing.live_secrets(now).any(|secret| secret.version == entry.version)
                }) == Some(true)
        });
    }
}

fn invalid_token() -> Denied {
    Denied::new("InvalidToken", 400, "The provided token is malformed or otherwise invalid.")
}
