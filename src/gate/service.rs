//! Requests to services other than a bucket's: who signed, by the same keys, the same cache and the same counters.
//!
//! Order: form of the signature → its time → the key → its status → signature → the key once more, in the state that is there by
//! then. The body's hash is given, so that nothing of it is left to check.
//!
//! Not here: what the request asks for, and whether it is allowed (`api`, by `state::access`).

use super::authenticate::{Looked, Scope, Unproven};
use super::meter::Use;
use super::{Gate, PAD, RequestView, context, facts};
use crate::model::{AccessKeyId, KeyUid, OrgUid, Time};
use crate::sigv4::{self, Request, Rules, SigError, Verified};
use crate::state::KeyRecord;
use compact_str::CompactString;
use std::net::IpAddr;

/// What signatures a service takes.
#[derive(Debug, Clone, Copy)]
pub struct ServiceRules<'a> {
    /// `iam`, `lightsail`; with `s3` the rules of S3 hold.
    pub service: &'static str,
    /// Compared exactly.
    pub regions: &'a [&'a str],
}

/// Whoever signed, proven by a state that was there after the signature was checked.
#[derive(Debug)]
pub struct ServiceSigner {
    pub access_key_id: AccessKeyId,
    pub key: KeyUid,
    pub org: OrgUid,
    /// Which of its secrets signed.
    pub secret_version: u32,
    /// The client's address: the peer's, or what trusted proxies say.
    pub source_ip: IpAddr,
    verified: Verified,
    service: &'static str,
}

impl ServiceSigner {
    /// The proof.
    #[must_use]
    pub fn verified(&self) -> &Verified {
        &self.verified
    }
}

/// Why nobody is proven to have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceDenied {
    /// [`SigError::UnknownKey`] also for a key that cannot be used.
    Signature(SigError),
    /// It brings a session token, and none was ever given out.
    Token,
    /// A trusted proxy gives no address that can be read.
    ForwardedFor,
    /// The key's secret cannot be read now.
    Unavailable,
}

impl From<SigError> for ServiceDenied {
    fn from(error: SigError) -> Self {
        ServiceDenied::Signature(error)
    }
}

impl Gate {
    /// Authenticates a request to a service that arrived at `now`, whose body has this SHA-256.
    ///
    /// # Errors
    /// [`ServiceDenied`]; an attempt with a key that cannot be used is counted.
    pub fn authenticate(
        &self,
        view: &RequestView<'_>,
        rules: ServiceRules<'_>,
        body_sha256: &[u8; 32],
        now: Time,
    ) -> Result<ServiceSigner, ServiceDenied> {
        let mut pad = PAD.take();
        let proven = self.prove_signer(view, rules, body_sha256, now, &mut pad);
        PAD.set(pad);
        proven
    }

    fn prove_signer(
        &self,
        view: &RequestView<'_>,
        rules: ServiceRules<'_>,
        body_sha256: &[u8; 32],
        now: Time,
        pad: &mut super::Pad,
    ) -> Result<ServiceSigner, ServiceDenied> {
        let ServiceRules { service, regions } = rules;
        let source_ip = facts::source_ip(view, &self.options.trusted_proxies);
        let source_ip = source_ip.map_err(|_| ServiceDenied::ForwardedFor)?;
        let request = Request { method: view.method, target: view.target, headers: view.headers };
        let parsed = sigv4::parse(&request, &Rules::of(service, regions), now, &mut pad.scratch)?;
        if parsed.session_token().is_some() {
            return Err(ServiceDenied::Token);
        }
        let looked = self.look(parsed.access_key_id(), now);
        let date = CompactString::new(parsed.date());
        let scope = Scope { date: &date, region: parsed.region(), service };
        let verify = |candidates: &[sigv4::Candidate<'_>]| parsed.verify(Some(body_sha256), candidates);
        let proven = self.prove(looked.as_ref(), scope, verify, Verified::candidate);
        let (verified, secret_version) = proven.map_err(|unproven| {
            if let Some(dead) = looked.as_ref().filter(|looked| !looked.status.is_usable()) {
                self.count_rejected(dead, view, now);
            }
            match unproven {
                Unproven::Signature(error) => ServiceDenied::Signature(error),
                Unproven::Unreadable => ServiceDenied::Unavailable,
            }
        })?;
        let Some(looked) = looked else { return Err(SigError::UnknownKey.into()) };
        self.signer_still_usable(&looked, secret_version, view, now)?;
        let Looked { id: access_key_id, uid: key, org, .. } = looked;
        Ok(ServiceSigner { access_key_id, key, org, secret_version, source_ip, verified, service })
    }

    /// The state is read again: what died while the signature was checked is not used.
    pub(super) fn signer_still_usable(
        &self,
        signer: &Looked,
        version: u32,
        view: &RequestView<'_>,
        now: Time,
    ) -> Result<(), SigError> {
        let status = self.state.with_standing(signer.id.as_str(), |standing, _| {
            let lives = standing.live_secrets(now).any(|secret| secret.version == version);
            (standing.status(now), lives)
        });
        match status {
            Some((status, true)) if status.is_usable() => Ok(()),
            found => {
                self.keys.forget(signer.uid);
                if let Some((status, _)) = found.filter(|(status, _)| !status.is_usable()) {
                    self.count_rejected(&Looked { status, ..signer.clone() }, view, now);
                }
                Err(SigError::UnknownKey)
            }
        }
    }

    /// The client's address: the peer's, or what trusted proxies say.
    ///
    /// # Errors
    /// [`ServiceDenied::ForwardedFor`].
    pub fn source_ip(&self, view: &RequestView<'_>) -> Result<IpAddr, ServiceDenied> {
        facts::source_ip(view, &self.options.trusted_proxies).map_err(|_| ServiceDenied::ForwardedFor)
    }

    /// Counts a use of a service by whoever holds a token that stands for `key`. Never waits.
    pub fn used_by_token(&self, key: &KeyRecord, source_ip: IpAddr, call: ServiceUse<'_>, now: Time) {
        let one = Use {
            key: key.uid(),
            org: key.org,
            secret_version: key.secret_version,
            service: "iam",
            region: "auto",
            bucket: None,
            class: call.class,
            source_ip,
            user_agent: call.user_agent,
            signature: "token",
            outcome: call.outcome,
            bytes_in: call.bytes_in,
            bytes_out: call.bytes_out,
        };
        self.meter.used(&one, now);
    }

    /// Counts a use of the console by whoever signed in with `key`. Never waits.
    pub fn used_by_session(&self, key: &KeyRecord, source_ip: IpAddr, call: ServiceUse<'_>, now: Time) {
        let one = Use {
            key: key.uid(),
            org: key.org,
            secret_version: key.secret_version,
            service: "console",
            region: "",
            bucket: None,
            class: call.class,
            source_ip,
            user_agent: call.user_agent,
            signature: "session",
            outcome: call.outcome,
            bytes_in: call.bytes_in,
            bytes_out: call.bytes_out,
        };
        self.meter.used(&one, now);
    }

    /// Counts a use of a service, when it is over. `class`: `read` or `write`; `outcome`: `ok` or an error code. Never waits.
    pub fn used_service(&self, signer: &ServiceSigner, call: ServiceUse<'_>, now: Time) {
        let one = Use {
            key: signer.key,
            org: signer.org,
            secret_version: signer.secret_version,
            service: signer.service,
            region: signer.verified.region(),
            bucket: None,
            class: call.class,
            source_ip: signer.source_ip,
            user_agent: call.user_agent,
            signature: context::auth_type(signer.verified.kind()),
            outcome: call.outcome,
            bytes_in: call.bytes_in,
            bytes_out: call.bytes_out,
        };
        self.meter.used(&one, now);
    }
}

/// A call of a service, as it is counted.
#[derive(Debug, Clone, Copy)]
pub struct ServiceUse<'a> {
    /// `read` or `write`.
    pub class: &'static str,
    pub user_agent: &'a str,
    /// `ok` or an error code.
    pub outcome: &'a str,
    pub bytes_in: u64,
    pub bytes_out: u64,
}
