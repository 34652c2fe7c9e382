//! One raw record into one event.
//!
//! The JSON is read into borrowed fields ([`RawRecord`]); what a service answered stays raw text until somebody needs it. Text of the record is bounded, and characters that could deceive a terminal are escaped, before
//! it enters an event.
//!
//! - `event_id` is the `eventID` as a UUID; one that is no UUID counts by its digest; without one, the record's own digest.
//! - The account is `recipientAccountId`, else that of `userIdentity`.
//! - `read_only` where the record does not say (before CloudTrail 1.01): by the verb of the event's name.
//!
//! Not here: what a successful call changed (`change`), the details of any other (`observe`).

use super::asked::{Asked, Transferred};
use super::fields::{Flag, Obj, Text};
use super::scan::fits_depth;
use super::{Reject, change, observe};
use crate::model::event::EvidenceChange;
use crate::model::text::{Shown, excerpt};
use crate::model::{
    AccessKeyId, AccountId, Event, EvidenceRecord, Identity, IdentityKind, Invalid, Observed, Outcome, Rank, Time,
};
use compact_str::CompactString;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// A record as CloudTrail writes it; fields that nobody asks for are skipped.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RawRecord<'a> {
    #[serde(borrow, rename = "eventID")]
    pub event_id: Text<'a>,
    #[serde(borrow)]
    pub event_time: Text<'a>,
    #[serde(borrow)]
    pub event_source: Text<'a>,
    #[serde(borrow)]
    pub event_name: Text<'a>,
    #[serde(borrow)]
    pub aws_region: Text<'a>,
    #[serde(borrow, rename = "sourceIPAddress")]
    pub source_ip: Text<'a>,
    #[serde(borrow)]
    pub user_agent: Text<'a>,
    #[serde(borrow, rename = "requestID")]
    pub request_id: Text<'a>,
    pub read_only: Flag,
    #[serde(borrow)]
    pub error_code: Text<'a>,
    #[serde(borrow)]
    pub error_message: Text<'a>,
    #[serde(borrow)]
    pub recipient_account_id: Text<'a>,
    #[serde(borrow)]
    pub user_identity: Obj<RawIdentity<'a>>,
    #[serde(borrow)]
    pub request_parameters: Obj<Asked<'a>>,
    #[serde(borrow)]
    pub response_elements: Option<&'a RawValue>,
    pub additional_event_data: Obj<Transferred>,
    #[serde(borrow)]
    pub resources: Option<&'a RawValue>,
    /// In the answers of `lookup-events`: the record itself, as text.
    #[serde(borrow, rename = "CloudTrailEvent")]
    pub cloud_trail_event: Text<'a>,
}

/// `userIdentity`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RawIdentity<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub user_name: Text<'a>,
    #[serde(borrow)]
    pub principal_id: Text<'a>,
    #[serde(borrow)]
    pub arn: Text<'a>,
    #[serde(borrow)]
    pub account_id: Text<'a>,
    #[serde(borrow)]
    pub access_key_id: Text<'a>,
    #[serde(borrow)]
    pub invoked_by: Text<'a>,
    #[serde(borrow)]
    pub session_context: Obj<RawSession<'a>>,
}

/// `userIdentity.sessionContext`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RawSession<'a> {
    #[serde(borrow)]
    pub session_issuer: Obj<RawIssuer<'a>>,
}

/// `userIdentity.sessionContext.sessionIssuer`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RawIssuer<'a> {
    #[serde(borrow)]
    pub user_name: Text<'a>,
}

/// A record as an event of its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    pub account: AccountId,
    pub event: Event,
}

impl Parsed {
    /// The id that tells records apart.
    #[must_use]
    pub fn event_id(&self) -> [u8; 16] {
        match &self.event {
            Event::EvidenceChanged(change) => change.record.event_id,
            Event::EvidenceObserved(observed) => observed.record.event_id,
            _ => [0; 16],
        }
    }
}

/// Reads the JSON of one record and does nothing with it.
///
/// # Errors
/// [`Reject`] when the bytes are not a JSON object.
pub fn parse_only(bytes: &[u8]) -> Result<RawRecord<'_>, Reject> {
    // One look at the whole is cheaper than the parser's look at each string.
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Reject { reason: "broken JSON: not UTF-8".to_owned(), at: Some(error.valid_up_to()) })?;
    serde_json::from_str(text).map_err(|error| broken(&error, bytes))
}

/// Reads one record: a CloudTrail record, or an element of `lookup-events` output around one.
///
/// # Errors
/// [`Reject`] naming the field, or the byte where the JSON is broken.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Reject> {
    let raw = parse_only(bytes)?;
    match raw.cloud_trail_event.get("CloudTrailEvent")? {
        None => event_of(&raw, bytes),
        Some(inner) => {
            let inside = |reject: Reject| Reject::new(format!("in `CloudTrailEvent`: {}", reject.reason));
            if !fits_depth(inner.as_bytes()) {
                return Err(Reject::new("`CloudTrailEvent` is nested too deep"));
            }
            let raw = parse_only(inner.as_bytes()).map_err(inside)?;
            event_of(&raw, inner.as_bytes()).map_err(inside)
        }
    }
}

fn event_of(raw: &RawRecord<'_>, bytes: &[u8]) -> Result<Parsed, Reject> {
    let time = raw.event_time.need("eventTime")?;
    let effective_at = Time::parse(time).map_err(|invalid| invalid_field("eventTime", &invalid))?;
    let source = raw.event_source.need("eventSource")?;
    let name = raw.event_name.need("eventName")?;
    let nobody = RawIdentity::default();
    let raw_identity = raw.user_identity.get("userIdentity")?.unwrap_or(&nobody);
    let identity = identity_of(raw_identity)?;
    let account = match raw.recipient_account_id.get("recipientAccountId")? {
        Some(text) => AccountId::parse(text).map_err(|invalid| invalid_field("recipientAccountId", &invalid))?,
        None => identity
            .account
            .ok_or_else(|| Reject::new("no account: neither `recipientAccountId` nor `userIdentity.accountId`"))?,
    };
    let mut record = EvidenceRecord {
        event_id: event_id(raw.event_id.get("eventID")?, bytes),
        effective_at,
        rank: Rank::Observed,
        identity,
        event_source: clean(source, 128),
        event_name: clean(name, 128),
        region: clean(raw.aws_region.get("awsRegion")?.unwrap_or_default(), 64),
        source_ip: clean(raw.source_ip.get("sourceIPAddress")?.unwrap_or_default(), 128),
        user_agent: clean(raw.user_agent.get("userAgent")?.unwrap_or_default(), 256),
        request_id: clean(raw.request_id.get("requestID")?.unwrap_or_default(), 128),
        read_only: raw.read_only.get("readOnly")?.unwrap_or_else(|| reads_by_name(name)),
        outcome: outcome_of(raw.error_code.get("errorCode")?),
    };
    if record.outcome == Outcome::Ok
        && let Some((rank, changes)) = change::changes(account, source, name, &record.identity, raw)?
    {
        record.rank = rank;
        return Ok(Parsed { account, event: Event::EvidenceChanged(Arc::new(EvidenceChange { record, changes })) });
    }
    let details = observe::details(source, &record.identity, raw)?;
    if record.outcome == Outcome::Ok && details.sign_in_failed {
        record.outcome = Outcome::Failed { code: "Failure".into() };
    }
    let observed = Observed {
        record,
        bucket: details.bucket,
        resource: details.resource,
        issued_key: details.issued_key,
        issued_for: details.issued_for,
        bytes_in: details.bytes_in,
        bytes_out: details.bytes_out,
        error_message: raw.error_message.get("errorMessage")?.map(|text| clean(text, 256)),
    };
    Ok(Parsed { account, event: Event::EvidenceObserved(Arc::new(observed)) })
}

fn identity_of(raw: &RawIdentity<'_>) -> Result<Identity, Reject> {
    let kind = raw.kind.get("userIdentity.type")?.unwrap_or_default();
    let user_name = raw.user_name.get("userIdentity.userName")?;
    let principal = raw.principal_id.get("userIdentity.principalId")?.unwrap_or_default();
    let arn = raw.arn.get("userIdentity.arn")?;
    let invoked_by = raw.invoked_by.get("userIdentity.invokedBy")?;
    let account_text = raw.account_id.get("userIdentity.accountId")?;
    // Not always a number: an anonymous S3 call has ANONYMOUS_PRINCIPAL here.
    let account = account_text.and_then(|text| AccountId::parse(text).ok());
    let key = match raw.access_key_id.get("userIdentity.accessKeyId")? {
        Some(text) => {
            Some(AccessKeyId::parse(text).map_err(|invalid| invalid_field("userIdentity.accessKeyId", &invalid))?)
        }
        None => None,
    };
    let last_of_arn = || arn.and_then(|arn| arn.rsplit('/').next());
    let session = principal.split_once(':').map(|(_, session)| session);
    let (kind, name): (_, CompactString) = match kind {
        "Root" => (IdentityKind::Root, "root".into()),
        "IAMUser" => (IdentityKind::User, clean(user_name.or_else(last_of_arn).unwrap_or(principal), 128)),
        "AssumedRole" => {
            let context = raw.session_context.get("userIdentity.sessionContext")?;
            let issuer = match context {
                Some(context) => context.session_issuer.get("userIdentity.sessionContext.sessionIssuer")?,
                None => None,
            };
            let role = match issuer {
                Some(issuer) => issuer.user_name.get("userIdentity.sessionContext.sessionIssuer.userName")?,
                None => None,
            };
            let role = role.or_else(|| arn.and_then(|arn| arn.rsplit('/').nth(1))).unwrap_or(principal);
            let session = session.or_else(last_of_arn).unwrap_or_default();
            (IdentityKind::AssumedRole, clean(&format!("{role}/{session}"), 256))
        }
        "FederatedUser" => (IdentityKind::FederatedUser, clean(last_of_arn().or(session).unwrap_or(principal), 128)),
        "AWSService" | "AWSAccount" => {
            let name = invoked_by.or(account_text).unwrap_or(principal);
            (IdentityKind::Service, clean(name, 128))
        }
        other => (
            IdentityKind::Unknown,
            clean(user_name.or(invoked_by).unwrap_or(if principal.is_empty() { other } else { principal }), 128),
        ),
    };
    Ok(Identity { kind, name, arn: arn.map(|arn| clean(arn, 1_024)), account, key })
}

fn event_id(text: Option<&str>, record: &[u8]) -> [u8; 16] {
    if let Some(uuid) = text.and_then(uuid) {
        return uuid;
    }
    let mut id = [0; 16];
    let digest = match text {
        Some(text) => blake3::derive_key("keyledger 2026-11 event id", text.as_bytes()),
        None => blake3::derive_key("keyledger 2026-11 record without event id", record),
    };
    id.copy_from_slice(&digest[..16]);
    id
}

/// The 16 bytes of `8-4-4-4-12` hexadecimal digits.
fn uuid(text: &str) -> Option<[u8; 16]> {
    /// Where each byte's two digits stand.
    const DIGITS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    /// The value of each digit, more than 15 for any other byte. Digits and letters come at random: to tell them apart by
    /// branches costs more than the whole of the rest.
    const VALUES: [u8; 256] = {
        let mut values = [0xff; 256];
        let mut value = 0;
        while value < 16 {
            values[b"0123456789abcdef"[value as usize] as usize] = value;
            values[b"0123456789ABCDEF"[value as usize] as usize] = value;
            value += 1;
        }
        values
    };
    let bytes: &[u8; 36] = text.as_bytes().try_into().ok()?;
    if [8, 13, 18, 23].iter().any(|at| bytes[*at] != b'-') {
        return None;
    }
    let (mut uuid, mut all) = ([0; 16], 0);
    for (byte, at) in uuid.iter_mut().zip(DIGITS) {
        let (high, low) = (VALUES[usize::from(bytes[at])], VALUES[usize::from(bytes[at + 1])]);
        all |= high | low;
        *byte = high << 4 | low & 15;
    }
    (all < 16).then_some(uuid)
}

fn outcome_of(code: Option<&str>) -> Outcome {
    const DENIALS: [&str; 5] =
        ["AccessDenied", "UnauthorizedOperation", "NotAuthorized", "UnauthorizedAccess", "Forbidden"];
    match code {
        None => Outcome::Ok,
        Some(code) if DENIALS.iter().any(|denial| code.contains(denial)) => Outcome::Denied { code: clean(code, 128) },
        Some(code) => Outcome::Failed { code: clean(code, 128) },
    }
}

fn reads_by_name(name: &str) -> bool {
    ["Get", "List", "Describe", "Head", "Lookup", "BatchGet"].iter().any(|verb| name.starts_with(verb))
}

/// Text fit for an event: at most `chars_max` characters, deceptive ones escaped.
pub(super) fn clean(text: &str, chars_max: usize) -> CompactString {
    // Without an early exit, so that it is done many bytes at a time.
    let plain = text.len() <= chars_max && text.bytes().fold(true, |plain, byte| plain & (0x20..0x7f).contains(&byte));
    if plain { CompactString::new(text) } else { CompactString::from(excerpt(text, chars_max)) }
}

pub(super) fn invalid_field(field: &str, invalid: &Invalid) -> Reject {
    Reject::new(format!("`{field}`: {invalid}"))
}

/// A parser's error with its place as a byte of `text`, and without what the text holds.
pub(super) fn broken(error: &serde_json::Error, text: &[u8]) -> Reject {
    let line_start = match error.line().checked_sub(2) {
        None => 0,
        Some(breaks) => {
            let mut ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
            ends.nth(breaks).unwrap_or(0)
        }
    };
    let at = (line_start + error.column().saturating_sub(1)).min(text.len());
    let message = error.to_string();
    let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
    Reject { reason: format!("broken JSON: {}", Shown(what)), at: Some(at) }
}
