//! Presigned URLs: a signature in the query, with the time until which it is valid.
//!
//! Names are compared as they decode, so that no spelling of one hides it from here and shows it to a handler.
//!
//! Not here: what the query looks like in the canonical request (`canonical`).

use super::date::Stamp;
use super::encode::{pairs, query_name_is, query_text, unhex};
use super::parse::{Claim, Credential};
use super::{ALGORITHM, EXPIRES_S_MAX, SKEW_NS_MAX, SigError};
use crate::model::Time;
use std::borrow::Cow;

/// What of a signature stands in a query.
pub(super) enum InQuery<'a> {
    Nothing,
    /// Parameters of Signature Version 2.
    OldSignature,
    /// In a box, so that a request without costs nothing.
    Signed(Box<Found<'a>>),
}

/// The authentication parameters of a query, decoded.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    algorithm: Option<Cow<'a, str>>,
    credential: Option<Cow<'a, str>>,
    date: Option<Cow<'a, str>>,
    expires: Option<Cow<'a, str>>,
    signed_headers: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
    pub token: Option<Cow<'a, str>>,
    /// As it stands in the query: its values have nothing to decode.
    pub content_sha256: Option<&'a [u8]>,
}

/// Finds the authentication parameters of a query.
pub(super) fn find(query: &[u8]) -> Result<InQuery<'_>, SigError> {
    if query.is_empty() {
        return Ok(InQuery::Nothing);
    }
    let mut found = Found::default();
    let (mut signed, mut old_id, mut old_signature) = (false, false, false);
    for (name, value) in pairs(query) {
        // No name that matters begins otherwise, unless it is escaped.
        if !matches!(name[..], [b'X' | b'%' | b'A' | b'S', ..]) {
            continue;
        }
        let is = |expected| query_name_is(name, expected);
        let place = if is("X-Amz-Algorithm") {
            &mut found.algorithm
        } else if is("X-Amz-Credential") {
            &mut found.credential
        } else if is("X-Amz-Date") {
            &mut found.date
        } else if is("X-Amz-Expires") {
            &mut found.expires
        } else if is("X-Amz-SignedHeaders") {
            &mut found.signed_headers
        } else if is("X-Amz-Signature") {
            &mut found.signature
        } else if is("X-Amz-Security-Token") {
            &mut found.token
        } else {
            if is("X-Amz-Content-Sha256") && found.content_sha256.replace(value).is_some() {
                return Err(SigError::Query("a parameter is given twice"));
            }
            old_id |= is("AWSAccessKeyId");
            old_signature |= is("Signature");
            continue;
        };
        signed |= is("X-Amz-Algorithm") || is("X-Amz-Credential") || is("X-Amz-SignedHeaders") || is("X-Amz-Signature");
        let value = query_text(value).ok_or(SigError::Query("a parameter is not UTF-8"))?;
        if place.replace(value).is_some() {
            return Err(SigError::Query("a parameter is given twice"));
        }
    }
    Ok(match (signed, old_id || old_signature) {
        (true, true) => return Err(SigError::Ambiguous),
        (true, false) => InQuery::Signed(Box::new(found)),
        (false, _) if old_id && old_signature => InQuery::OldSignature,
        (false, _) => InQuery::Nothing,
    })
}

/// The claim that the parameters make, its time, and the seconds it is valid.
pub(super) fn claim<'a>(found: &Found<'a>) -> Result<(Claim<'a>, Stamp, u32), SigError> {
    fn given<'f, 'a>(text: Option<&'f Cow<'a, str>>, missing: &'static str) -> Result<&'f Cow<'a, str>, SigError> {
        text.filter(|text| !text.is_empty()).ok_or(SigError::Query(missing))
    }
    if given(found.algorithm.as_ref(), "X-Amz-Algorithm is missing")? != ALGORITHM {
        return Err(SigError::Query("X-Amz-Algorithm is not AWS4-HMAC-SHA256"));
    }
    let credential = given(found.credential.as_ref(), "X-Amz-Credential is missing")?;
    let credential = Credential::of(credential.clone())
        .ok_or(SigError::Query("X-Amz-Credential is not ID/DATE/REGION/SERVICE/aws4_request"))?;
    let signed_headers = given(found.signed_headers.as_ref(), "X-Amz-SignedHeaders is missing")?.clone();
    let signature = given(found.signature.as_ref(), "X-Amz-Signature is missing")?;
    let date = given(found.date.as_ref(), "X-Amz-Date is missing")?;
    let stamp =
        Stamp::basic(date.as_bytes()).ok_or(SigError::Query("X-Amz-Date is not in the form 20130524T000000Z"))?;
    let expires = given(found.expires.as_ref(), "X-Amz-Expires is missing")?;
    let digits = expires.len() <= 10 && expires.bytes().all(|byte| byte.is_ascii_digit());
    let expires_s = if digits { expires.parse().ok() } else { None };
    let expires_s = expires_s
        .filter(|expires_s| (1..=EXPIRES_S_MAX).contains(expires_s))
        .ok_or(SigError::Query("X-Amz-Expires is not a number of seconds from 1 to 604800"))?;
    Ok((Claim { credential, signed_headers, signature: unhex(signature.as_bytes()) }, stamp, expires_s))
}

/// From 15 minutes before `signed` (clocks differ) until `expires_s` after it, both ends included.
pub(super) fn in_time(signed: Time, expires_s: u32, now: Time) -> Result<(), SigError> {
    if signed.ns_since(now) > SKEW_NS_MAX {
        return Err(SigError::NotYetValid);
    }
    if now.ns_since(signed) > i64::from(expires_s) * 1_000_000_000 {
        return Err(SigError::Expired);
    }
    Ok(())
}
