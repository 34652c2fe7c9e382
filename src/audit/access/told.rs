//! Answers about one key's rights as they are told: whose, where, when, in which status.
//!
//! Not here: finding the answers (`table`, `compare`, `blast`), tables for people (`cli`).

use super::blast::BlastRadius;
use super::compare::CellChange;
use super::table::DecisionTable;
use super::{Answer, Power};
use crate::audit::names::Worlds;
use crate::audit::report::{Stamp, org_kind};
use crate::model::Time;
use crate::state::KeyRecord;
use serde::Serialize;

/// What is said of a key's rights at a moment.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct ToldRights<'a> {
    pub access_key_id: &'a str,
    /// The account id.
    pub org: String,
    pub org_kind: &'static str,
    pub at: Stamp,
    pub status: &'static str,
    #[serde(flatten)]
    pub what: What<'a>,
}

/// An answer to one question, all of them, or what became different.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum What<'a> {
    Answer {
        action: &'a str,
        resource: &'a str,
        #[serde(flatten)]
        answer: &'a Answer,
        /// With what is not given left open.
        in_general: &'a Power,
    },
    Table(&'a DecisionTable),
    Changes {
        since: Stamp,
        changes: &'a [CellChange],
    },
}

impl<'a> ToldRights<'a> {
    pub fn of(worlds: &Worlds, key: &'a KeyRecord, now: Time, what: What<'a>) -> Self {
        Self {
            access_key_id: key.id.as_str(),
            org: worlds.account(key.org),
            org_kind: org_kind(worlds.kind_of(key.org)),
            at: now.into(),
            status: worlds.status(key, now).as_str(),
            what,
        }
    }
}

/// A blast radius with whose it is.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct ToldRadius<'a> {
    pub access_key_id: &'a str,
    /// The account id.
    pub org: String,
    pub org_kind: &'static str,
    pub at: Stamp,
    #[serde(flatten)]
    pub radius: &'a BlastRadius,
}

impl<'a> ToldRadius<'a> {
    pub fn of(worlds: &Worlds, key: &'a KeyRecord, now: Time, radius: &'a BlastRadius) -> Self {
        let org_kind = org_kind(worlds.kind_of(key.org));
        Self { access_key_id: key.id.as_str(), org: worlds.account(key.org), org_kind, at: now.into(), radius }
    }
}
