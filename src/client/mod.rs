//! A client of the native API: signs what it sends, and knows whether an answer that did not come may have been for something done.
//!
//! ```text
//!   Ask ──sign (SigV4, service `keyledger`)──▶ HTTP or HTTPS ──▶ Told: status and JSON │ Unanswered
//! ```
//!
//! Invariants
//! - A change that may have arrived is sent again with the token it was first sent with, and with no other.
//! - No error and no diagnostic holds a secret, a body or a signature.
//!
//! Not here: what is asked (`cli::remote`, a storage node), and the routes (`api::native`).

mod credentials;

pub use credentials::{Credentials, CredentialsError};

use crate::model::Time;
pub use crate::model::text::percent_encoded as segment;
use crate::sigv4::{Request, Rules, Signer, amz_date, sign_headers};
use crate::sys::Clock;
use crate::vault::SecretKey;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use zeroize::Zeroizing;

/// For one attempt: 30 s.
const WITHIN: Duration = Duration::from_secs(30);
/// Before the second, third and fourth attempt.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];
/// Bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// The service in a signature's scope.
const SERVICE: &str = "keyledger";

/// A server, and whose key signs.
pub struct Client {
    /// `http://127.0.0.1:9400`, without a slash at the end.
    endpoint: String,
    /// As it stands in the Host header.
    host: String,
    region: String,
    credentials: Credentials,
    clock: Arc<dyn Clock>,
    agent: ureq::Agent,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// One request.
#[derive(Debug)]
pub struct Ask {
    pub method: &'static str,
    /// Below the endpoint, percent-encoded: `/api/v1/users/alice`.
    pub path: String,
    /// JSON; it may hold a secret. None: no body.
    pub body: Option<Body>,
    /// Makes a retry safe: 1 to 64 visible characters.
    pub token: Option<String>,
    /// Why, for the event.
    pub reason: Option<String>,
}

/// A body: wiped when it was sent, and never shown.
pub struct Body(pub Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}

/// An answer, good or bad.
pub struct Told {
    pub status: u16,
    pub body: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Told").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unanswered {
    #[error("`{endpoint}` is no endpoint such as http://127.0.0.1:9400")]
    Endpoint { endpoint: String },
    #[error("the certificates to trust are not PEM")]
    Certificates,
    #[error("the request cannot be signed: {why}")]
    Unsigned { why: String },
    /// Nothing arrived there.
    #[error("no server answers at {endpoint}: {why}")]
    Unreached { endpoint: String, why: String },
    /// It may have arrived, and may have been done.
    #[error("the answer of {endpoint} was lost: {why}")]
    Lost { endpoint: String, why: String },
}

impl Client {
    /// `trust`: PEM certificates that a server's must come from, instead of those of the public web.
    ///
    /// # Errors
    /// [`Unanswered::Endpoint`], [`Unanswered::Certificates`].
    pub fn new(
        endpoint: &str,
        region: &str,
        credentials: Credentials,
        trust: Option<&[u8]>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Unanswered> {
        let endpoint = endpoint.trim_end_matches('/');
        let bad = || Unanswered::Endpoint { endpoint: crate::model::text::excerpt(endpoint, 200) };
        let uri: ureq::http::Uri = endpoint.parse().map_err(|_| bad())?;
        let is_root = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let host = uri.authority().filter(|it| !it.as_str().contains('@')).ok_or_else(bad)?.as_str().to_owned();
        if !is_root || !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(bad());
        }
        let mut tls = TlsConfig::builder();
        if let Some(pem) = trust {
            let found: Result<Vec<_>, _> = ureq::tls::parse_pem(pem)
                .filter_map(|item| match item {
                    Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(Ok(certificate)),
                    Ok(_) => None,
                    Err(error) => Some(Err(error)),
                })
                .collect::<Result<Vec<Certificate<'static>>, _>>();
            let found = found.ok().filter(|found| !found.is_empty()).ok_or(Unanswered::Certificates)?;
            tls = tls.root_certs(RootCerts::from(found));
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(WITHIN))
            .user_agent(concat!("keyledger/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls.build())
            .build();
        let (endpoint, region) = (endpoint.to_owned(), region.to_owned());
        Ok(Self { endpoint, host, region, credentials, clock, agent: config.into() })
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Asks, and asks again while nothing answers or the server is busy, as long as that is safe.
    ///
    /// # Errors
    /// [`Unanswered`]; of a change, [`Unanswered::Lost`] when any attempt may have arrived.
    pub fn ask(&self, ask: &Ask) -> Result<Told, Unanswered> {
        let may_repeat = ask.token.is_some() || ask.method == "GET";
        let is_passing = |told: &Told| matches!(told.status, 502..=504);
        let mut lost = None;
        for pause in PAUSES {
            match self.ask_once(ask) {
                Ok(told) if !is_passing(&told) => return Ok(told),
                Ok(_) | Err(Unanswered::Unreached { .. }) => {}
                Err(error @ Unanswered::Lost { .. }) if may_repeat => lost = Some(error),
                Err(error) => return Err(error),
            }
            std::thread::sleep(pause);
        }
        match (self.ask_once(ask), lost) {
            (Err(Unanswered::Unreached { .. }), Some(lost)) => Err(lost),
            (Ok(told), Some(lost)) if is_passing(&told) => Err(lost),
            (answer, _) => answer,
        }
    }

    /// Asks once.
    ///
    /// # Errors
    /// [`Unanswered`].
    pub fn ask_once(&self, ask: &Ask) -> Result<Told, Unanswered> {
        let now = Time(self.clock.now().wall_ns);
        let body: &[u8] = ask.body.as_ref().map_or(&[], |body| &body.0);
        let date = amz_date(now);
        let mut headers: Vec<(&str, &[u8])> = vec![("host", self.host.as_bytes()), ("x-amz-date", date.as_bytes())];
        headers.extend(ask.body.is_some().then_some(("content-type", b"application/json".as_slice())));
        headers.extend(ask.token.as_ref().map(|token| ("idempotency-key", token.as_bytes())));
        headers.extend(ask.reason.as_ref().map(|reason| ("keyledger-reason", reason.as_bytes())));
        headers.extend(self.credentials.session_token.as_ref().map(|it| ("x-amz-security-token", it.as_bytes())));
        let request = Request { method: ask.method, target: ask.path.as_bytes(), headers: &headers };
        let regions = [self.region.as_str()];
        let signer = Signer {
            access_key_id: &self.credentials.access_key_id,
            secret: self.credentials.secret.expose_secret().as_bytes(),
            rules: Rules::service(SERVICE, &regions),
        };
        let hash = Sha256::digest(body).iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let authorization = sign_headers(&request, &signer, &hash, now);
        let authorization = authorization.map_err(|error| Unanswered::Unsigned { why: error.to_string() })?;
        let mut builder =
            ureq::http::Request::builder().method(ask.method).uri(format!("{}{}", self.endpoint, ask.path));
        for (name, value) in &headers {
            builder = builder.header(*name, *value);
        }
        let builder = builder.header("authorization", authorization);
        let sent = match ask.method {
            "GET" | "DELETE" => builder.body(()).map(|request| self.agent.run(request)),
            _ => builder.body(body).map(|request| self.agent.run(request)),
        };
        let answer = sent.map_err(|error| Unanswered::Unsigned { why: error.to_string() })?;
        let mut answer = answer.map_err(|error| self.unanswered(&error))?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        Ok(Told { status, body: Zeroizing::new(body.map_err(|error| self.lost(&error))?) })
    }

    /// What never reached a server is told apart from what may have.
    fn unanswered(&self, error: &ureq::Error) -> Unanswered {
        use ureq::{Error, Timeout};
        let unreached = match error {
            Error::HostNotFound
            | Error::ConnectionFailed
            | Error::Tls(_)
            | Error::Rustls(_)
            | Error::BadUri(_)
            | Error::Timeout(Timeout::Resolve | Timeout::Connect) => true,
            Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
            _ => false,
        };
        if unreached {
            return Unanswered::Unreached { endpoint: self.endpoint.clone(), why: error.to_string() };
        }
        self.lost(error)
    }

    fn lost(&self, error: &ureq::Error) -> Unanswered {
        Unanswered::Lost { endpoint: self.endpoint.clone(), why: error.to_string() }
    }
}

/// The secret in an answer, taken out of it.
#[must_use]
pub fn take_secret(answer: &mut serde_json::Value, member: &str) -> Option<SecretKey> {
    let serde_json::Value::String(text) = answer.get_mut(member)?.take() else { return None };
    SecretKey::import(&Zeroizing::new(text)).ok()
}
