//! Answers about one key's rights as they are told: whose, where, when, in which status.
//!
//! Not here: finding the answers (`table`, `compare`, `blast`), tables for people (`cli`).

use super::blast::BlastRadius;
use super::compare::CellChange;
use super::table::DecisionTable;
use super::{Answer, Power, Question};
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
    /// 12 digits.
    pub account_id: String,
    pub org_kind: &'static str,
    pub at: Stamp,
    pub status: &'static str,
    #[serde(flatten)]
    told: Told<'a>,
}

/// An answer to one question, all of them, or what became different.
#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// With what is not given left open, in general.
    Answer {
        question: &'a Question,
        answer: &'a Answer,
        in_general: &'a Power,
    },
    Table(&'a DecisionTable),
    Changes {
        since: Stamp,
        changes: &'a [CellChange],
    },
}

/// [`What`] as it is written. `org` is the account id too, but of a table: that has an `org` of its own.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(untagged)]
enum Told<'a> {
    Answer {
        /// The account id.
        org: String,
        action: &'a str,
        resource: &'a str,
        #[serde(flatten)]
        answer: &'a Answer,
        /// With what is not given left open.
        in_general: &'a Power,
    },
    Table(&'a DecisionTable),
    Changes {
        /// The account id.
        org: String,
        since: Stamp,
        changes: &'a [CellChange],
    },
}

impl<'a> ToldRights<'a> {
    pub fn of(worlds: &Worlds, key: &'a KeyRecord, now: Time, what: What<'a>) -> Self {
        let account_id = worlds.account(key.org);
        let org = account_id.clone();
        let told = match what {
            What::Answer { question, answer, in_general } => {
                Told::Answer { org, action: &question.action, resource: &question.resource, answer, in_general }
            }
            What::Table(table) => Told::Table(table),
            What::Changes { since, changes } => Told::Changes { org, since, changes },
        };
        Self {
            access_key_id: key.id.as_str(),
            account_id,
            org_kind: org_kind(worlds.kind_of(key.org)),
            at: now.into(),
            status: worlds.status(key, now).as_str(),
            told,
        }
    }
}

/// A blast radius with whose it is.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct ToldRadius<'a> {
    pub access_key_id: &'a str,
    /// 12 digits; `org` is a table's.
    pub account_id: String,
    pub org_kind: &'static str,
    pub at: Stamp,
    #[serde(flatten)]
    pub radius: &'a BlastRadius,
}

impl<'a> ToldRadius<'a> {
    pub fn of(worlds: &Worlds, key: &'a KeyRecord, now: Time, radius: &'a BlastRadius) -> Self {
        let org_kind = org_kind(worlds.kind_of(key.org));
        Self { access_key_id: key.id.as_str(), account_id: worlds.account(key.org), org_kind, at: now.into(), radius }
    }
}
