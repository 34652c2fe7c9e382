//! `audit identify`: which key, even a deleted one, a leaked secret belonged to.
//!
//! The log holds a hiding commitment of every secret, and a fingerprint of those drawn here. Whoever has the secret compares; this
//! only hands over what there is to compare with.
//!
//! Not here: fingerprints and commitments (`vault`).

use super::names::Worlds;
use super::query::each_fact_of_kinds;
use super::report::{Attribution, EventRef, Stamp};
use super::{AuditError, History};
use crate::model::{Event, EventKind, KeyUid, SecretVersion, Time};
use serde::Serialize;

/// A secret version that is the leaked one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Identified {
    pub questions: [&'static str; 1],
    pub access_key_id: String,
    /// The account id.
    pub org: Option<String>,
    pub owner: Option<String>,
    pub version: u32,
    pub set_at: Stamp,
    /// The key's status now; this secret's own end is in `usable`.
    pub status: Option<&'static str>,
    /// Whether this very secret may still sign.
    pub usable: bool,
    pub event: EventRef,
    pub made: Attribution,
}

/// Every secret version for which `is_it` says yes, oldest first: one, unless a secret was imported twice.
///
/// # Errors
/// Whatever keeps the log from being read.
pub fn identify(
    history: &dyn History,
    worlds: &Worlds,
    now: Time,
    is_it: &dyn Fn(KeyUid, &SecretVersion) -> bool,
) -> Result<Vec<Identified>, AuditError> {
    let mut found = Vec::new();
    let kinds = [EventKind::KeyCreated, EventKind::KeyImported, EventKind::KeySecretRotated];
    each_fact_of_kinds(history, &kinds, &mut |fact| {
        let (key, secret) = match fact.event {
            Event::KeyCreated(created) | Event::KeyImported(created) => match &created.secret {
                Some(secret) => (created.key, secret),
                None => return,
            },
            Event::KeySecretRotated { key, secret, .. } => (*key, secret),
            _ => return,
        };
        if !is_it(key, secret) {
            return;
        }
        let place = worlds.key(key);
        let status = place.as_ref().map(|place| worlds.status(&place.record, now));
        let is_live =
            |place: &super::KeyPlace| place.record.live_secrets(now).any(|live| live.version == secret.version);
        found.push(Identified {
            questions: ["I1"],
            access_key_id: worlds.key_name(key),
            org: fact.org.map(|org| worlds.account(org)),
            owner: place.as_ref().map(|place| worlds.owner_name(&place.record.owner)),
            version: secret.version,
            set_at: secret.set_at.into(),
            status: status.map(crate::state::KeyStatus::as_str),
            usable: status.is_some_and(crate::state::KeyStatus::is_usable) && place.as_ref().is_some_and(is_live),
            event: fact.id.into(),
            made: Attribution::of(fact),
        });
    })?;
    Ok(found)
}
