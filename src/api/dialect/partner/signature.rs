//! Signatures of a provider: HMAC-SHA256 over method, whole URL, time and nonce (Tigris Partner API).
//!
//! ```text
//!   X-Tigris-Signature = hex(HMAC(signing key, METHOD \n URL \n X-Tigris-Time \n X-Tigris-Nonce [\n X-Tigris-Content-Sha256]))
//! ```
//!
//! The body is not signed by the API's own rules, so whoever sits between could swap it. A client that sends
//! `X-Tigris-Content-Sha256` (our addition) signs the body's hash too: it is then the fifth line, and leaving it out again breaks the
//! signature.
//!
//! Invariants
//! - The ledger has only the key's BLAKE3; what the server was given must hash to it at every request, so another key, set by
//!   `keyledger partner rotate`, ends this one at once.
//! - Every failure is one 401, found in constant time; a nonce is remembered only of a request that was signed.
//!
//! Not here: what a provider may do (`ledger::decide`).

use super::super::super::{Api, Incoming};
use super::nonces::{NONCES_MAX, Nonces, NotTaken};
use super::path;
use super::refused::Refused;
use crate::model::bytes::from_hex;
use crate::model::{Invalid, limits};
use crate::sys::Now;
use crate::vault::SecretKey;
use compact_str::CompactString;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::sync::{Arc, Mutex, PoisonError};

/// How far a request's time may be from ours: 5 min, our choice.
const WINDOW_MS: i64 = 5 * 60 * 1_000;
const NONCE_CHARS_MAX: usize = 128;

/// A provider's name and signing key, as the server was given them.
#[derive(Debug, Clone)]
pub struct ProviderKey {
    provider: CompactString,
    key: Arc<SecretKey>,
}

impl ProviderKey {
    /// # Errors
    /// [`Invalid`] name.
    pub fn new(provider: &str, key: SecretKey) -> Result<Self, Invalid> {
        limits::provider_id(provider)?;
        Ok(Self { provider: provider.into(), key: Arc::new(key) })
    }

    pub fn provider(&self) -> &CompactString {
        &self.provider
    }

    /// What the ledger has of the key.
    pub fn hash(&self) -> [u8; 32] {
        hash_of(&self.key)
    }
}

/// What the ledger has of a signing key.
#[must_use]
pub fn hash_of(key: &SecretKey) -> [u8; 32] {
    *blake3::hash(key.expose_secret().as_bytes()).as_bytes()
}

/// Nonces that were used.
#[derive(Debug)]
pub struct Kept(Mutex<Nonces>);

impl Kept {
    pub fn new(started: Now) -> Self {
        Self(Mutex::new(Nonces::new(started.wall_ns / 1_000_000, NONCES_MAX)))
    }
}

/// Who signed: the provider.
///
/// # Errors
/// 401; 503 when no more nonces can be remembered.
pub fn prove(api: &Api, incoming: &Incoming) -> Result<CompactString, Refused> {
    let unsigned =
        || Refused::new(401, "The request is not signed as X-Tigris-Signature says, or its provider is unknown.");
    let headers = Headers::read(incoming)?;
    let Some(own) = &api.options.provider_key else { return Err(unsigned()) };
    let now = api.clock.now();
    let far = headers.time_ms.abs_diff(now.wall_ns / 1_000_000) > WINDOW_MS.unsigned_abs();
    if far {
        return Err(Refused::new(401, "X-Tigris-Time is more than 5 minutes from the server's clock."));
    }
    let named = path::provider_of(incoming.path());
    let is_known = named.as_deref() == Some(own.provider.as_str())
        && api.ledger.state().provider(&own.provider).is_some_and(|known| known.key_hash == own.hash());
    let url = url_of(api.options.public_url.as_deref(), incoming).ok_or_else(unsigned)?;
    let is_signed = verify(&own.key, incoming.method.as_str(), &url, &headers);
    let is_whole = headers.body_hash.is_none_or(|(_, hash)| hash == incoming.body_sha256());
    if !(is_known && is_signed && is_whole) {
        return Err(unsigned());
    }
    let mut nonces = api.partner.0.lock().unwrap_or_else(PoisonError::into_inner);
    match nonces.take(headers.nonce, headers.time_ms, now.boot_ns) {
        Ok(()) => Ok(own.provider.clone()),
        Err(NotTaken::Used) => Err(Refused::new(401, "X-Tigris-Nonce was used before.")),
        Err(NotTaken::TooOld) => {
            Err(Refused::new(401, "X-Tigris-Time is before the server's start; sign the request again."))
        }
        Err(NotTaken::Full) => Err(Refused::new(503, "Too many requests of this provider; try again in a moment.")),
    }
}

/// The four headers, each there once.
struct Headers<'a> {
    time: &'a str,
    time_ms: i64,
    nonce: &'a str,
    signature: [u8; 32],
    body_hash: Option<(&'a str, [u8; 32])>,
}

impl<'a> Headers<'a> {
    fn read(incoming: &'a Incoming) -> Result<Self, Refused> {
        let wrong = |name: &str, what: &str| Refused::new(401, format!("{name} {what}."));
        let once = |name: &'static str| -> Result<Option<&'a str>, Refused> {
            let mut values = incoming.headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (None, _) => Ok(None),
                (Some(value), None) => match value.to_str() {
                    Ok(text) if !text.is_empty() => Ok(Some(text)),
                    _ => Err(wrong(name, "is not text")),
                },
                (Some(_), Some(_)) => Err(wrong(name, "is given more than once")),
            }
        };
        let needed = |name: &'static str| once(name)?.ok_or_else(|| wrong(name, "is missing"));
        let (time, nonce) = (needed("x-tigris-time")?, needed("x-tigris-nonce")?);
        let is_number = time.len() <= 15 && time.bytes().all(|byte| byte.is_ascii_digit());
        let time_ms = time.parse().ok().filter(|_| is_number);
        let time_ms = time_ms.ok_or_else(|| wrong("X-Tigris-Time", "is no number of milliseconds since 1970"))?;
        if nonce.len() > NONCE_CHARS_MAX || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("X-Tigris-Nonce", "is not 1 to 128 visible characters"));
        }
        let hash = |name, text: &str| from_hex::<32>(text).ok_or_else(|| wrong(name, "is not 64 hexadecimal digits"));
        let signature = hash("X-Tigris-Signature", needed("x-tigris-signature")?)?;
        let body_hash = match once("x-tigris-content-sha256")? {
            Some(text) => Some((text, hash("X-Tigris-Content-Sha256", text)?)),
            None => None,
        };
        Ok(Self { time, time_ms, nonce, signature, body_hash })
    }
}

fn verify(key: &SecretKey, method: &str, url: &str, headers: &Headers<'_>) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()) else { return false };
    let lines =
        [Some(method), Some(url), Some(headers.time), Some(headers.nonce), headers.body_hash.map(|(text, _)| text)];
    for (place, line) in lines.into_iter().flatten().enumerate() {
        if place > 0 {
            mac.update(b"\n");
        }
        mac.update(line.as_bytes());
    }
    // In constant time.
    mac.verify_slice(&headers.signature).is_ok()
}

/// The URL as the client knows it: behind a proxy the server is told its own.
fn url_of(public: Option<&str>, incoming: &Incoming) -> Option<String> {
    if let Some(base) = public {
        return Some(format!("{}{}", base.trim_end_matches('/'), incoming.target));
    }
    let mut hosts = incoming.headers.get_all("host").iter();
    let host = hosts.next()?.to_str().ok()?;
    let scheme = if incoming.tls.is_some() { "https" } else { "http" };
    hosts.next().is_none().then(|| format!("{scheme}://{host}{}", incoming.target))
}

/// Whether `url` can stand before a path: a scheme, a host, no query.
#[must_use]
pub fn is_public_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers<'a>(time: &'a str, nonce: &'a str, signature: &str, body: Option<&'a str>) -> Headers<'a> {
        let body_hash = body.map(|text| (text, from_hex(text).unwrap()));
        Headers { time, time_ms: time.parse().unwrap(), nonce, signature: from_hex(signature).unwrap(), body_hash }
    }

    #[test]
    fn a_signature_made_elsewhere_is_taken_and_covers_every_line() {
        // printf 'POST\nhttps://mgmt.example.com/v1/providers/tig/orgs/o/key?x=1\n1795651200000\nnonce-1' |
        //   openssl dgst -sha256 -hmac 'SigningKeyOfTheTestsABCDEFGHIJKLMNOPQRST'
        let key = SecretKey::import("SigningKeyOfTheTestsABCDEFGHIJKLMNOPQRST").unwrap();
        let url = "https://mgmt.example.com/v1/providers/tig/orgs/o/key?x=1";
        let good = "14a985453fa68d1a51fc714c544cf5fc3b209042c0920a34b2972672eba21351";
        assert!(verify(&key, "POST", url, &headers("1795651200000", "nonce-1", good, None)));
        assert!(!verify(&key, "PUT", url, &headers("1795651200000", "nonce-1", good, None)));
        assert!(!verify(&key, "POST", &url[..url.len() - 1], &headers("1795651200000", "nonce-1", good, None)));
        assert!(!verify(&key, "POST", url, &headers("1795651200001", "nonce-1", good, None)));
        assert!(!verify(&key, "POST", url, &headers("1795651200000", "nonce-2", good, None)));
        // The same with a fifth line, the SHA-256 of `{}`.
        let body = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let whole = "f89f95ad99f7b523b00e4195baef873c74c35061f13fd427384c3e238d0fc4bf";
        assert!(verify(&key, "POST", url, &headers("1795651200000", "nonce-1", whole, Some(body))));
        assert!(!verify(&key, "POST", url, &headers("1795651200000", "nonce-1", whole, None)), "left out again");
        assert!(!verify(&key, "POST", url, &headers("1795651200000", "nonce-1", good, Some(body))), "put in");
    }

    #[test]
    fn a_public_url_is_a_scheme_and_a_host() {
        for good in ["https://mgmt.example.com", "http://127.0.0.1:9400", "https://example.com/keys/"] {
            assert!(is_public_url(good), "{good}");
        }
        for bad in ["mgmt.example.com", "https://", "https://a b", "https://a?x", "ftp://a", "https://user@a"] {
            assert!(!is_public_url(bad), "{bad}");
        }
    }
}
