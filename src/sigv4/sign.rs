//! Signing, for clients: the Authorization header of a request about to be sent.
//!
//! Not here: sending, and which headers a service wants; every header given is signed.

use super::canonical::{Reading, Scratch, push_scope};
use super::date::Stamp;
use super::encode::hex;
use super::{ALGORITHM, Request, Rules, SigError, SigningKey};
use crate::model::Time;
use sha2::{Digest, Sha256};

/// Whose signature, and for what.
pub struct Signer<'a> {
    pub access_key_id: &'a str,
    pub secret: &'a [u8],
    /// The first region counts.
    pub rules: Rules<'a>,
}

/// `20130524T000000Z`: the value of `x-amz-date` for a request signed now.
#[must_use]
pub fn amz_date(now: Time) -> String {
    String::from_utf8_lossy(&Stamp::of(now).text).into_owned()
}

/// The value of the Authorization header for `request`, all of whose headers are signed.
///
/// Put `host`, `x-amz-date` (of `now`, see [`amz_date`]) and, for S3, `x-amz-content-sha256` among them first.
/// `payload` is what the canonical request ends with: the body's SHA-256 in hex, or `x-amz-content-sha256`.
///
/// # Errors
/// [`SigError::Header`] when `host` is missing or an `x-amz-*` header is given twice; [`SigError::BadTarget`].
pub fn sign_headers(request: &Request<'_>, signer: &Signer<'_>, payload: &str, now: Time) -> Result<String, SigError> {
    let mut names: Vec<String> = request.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    let signed = names.join(";");
    let mut scratch = Scratch::new();
    scratch
        .match_headers(request.headers, &signed, false)
        .map_err(|_| SigError::Header("host is missing, or an x-amz header is given twice"))?;
    let reading = Reading { plus_is_space: true, token_signed: true };
    scratch.canonical(request, &signer.rules, &signed, payload.as_bytes(), reading)?;
    let hash = hex(&Sha256::digest(&scratch.text).into());
    let stamp = Stamp::of(now);
    let (region, service) = (signer.rules.regions.first().copied().unwrap_or_default(), signer.rules.service);
    scratch.write_to_sign(&stamp.text, region, service, &hash);
    let date = String::from_utf8_lossy(stamp.date());
    let signature = SigningKey::derive(signer.secret, &date, region, service).sign(&scratch.to_sign);
    let mut scope = Vec::new();
    push_scope(&mut scope, &stamp.text, region, service);
    Ok(format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={signed}, Signature={}",
        signer.access_key_id,
        String::from_utf8_lossy(&scope),
        String::from_utf8_lossy(&hex(&signature)),
    ))
}
