//! Who could: every key that may do something at a moment, with what allows it.
//!
//! Every key of every org is decided by the same function; most of them in about a microsecond, so a hundred thousand take a
//! fraction of a second. Only for those that may, or might, are reasons written out.
//!
//! Not here: since when and until when (`intervals`).

use super::Question;
use super::power::{May, Power, power};
use crate::audit::names::Worlds;
use crate::audit::report::org_kind;
use crate::model::{OrgUid, Time};
use crate::state::KeyRecord;
use serde::Serialize;
use std::collections::BTreeSet;

/// A key that may, or might.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Able {
    pub access_key_id: String,
    pub org: String,
    pub org_kind: &'static str,
    /// `alice`, `bucket:photos`, `org`
    pub owner: String,
    pub label: String,
    pub status: &'static str,
    #[serde(flatten)]
    pub power: Power,
}

/// What was asked and found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct WhoCould {
    pub able: Vec<Able>,
    /// Keys that were asked.
    pub asked: usize,
    /// Keys of which a document is not in evidence.
    pub uncertain: usize,
}

/// Every key that may do what `question` asks at `now`, in the worlds of that moment, by org and id.
#[must_use]
pub fn who_could(worlds: &Worlds, question: &Question, now: Time, orgs: Option<&BTreeSet<OrgUid>>) -> WhoCould {
    let (mut asked, mut uncertain) = (0, 0);
    let mut candidates: Vec<KeyRecord> = Vec::new();
    for (_, state) in worlds.states() {
        question.with_request(|request| {
            state.for_each_key(|view| {
                if orgs.is_some_and(|orgs| !orgs.contains(&view.org())) || view.is_deleted() {
                    return;
                }
                asked += 1;
                let standing = state.standing_of(view);
                let access = standing.decide(request, now);
                uncertain += usize::from(access.unread.is_some());
                if access.is_allow() || access.unread.is_some() || standing.might(request, &access, now) {
                    candidates.push(view.to_record());
                }
            });
        });
    }
    let mut able: Vec<Able> = candidates
        .iter()
        .filter_map(|key| {
            let power = power(worlds, key, question, now);
            (power.may != May::Never).then(|| Able {
                access_key_id: key.id.to_string(),
                org: worlds.account(key.org),
                org_kind: org_kind(worlds.kind_of(key.org)),
                owner: worlds.owner_name(&key.owner),
                label: key.label.to_string(),
                status: worlds.status(key, now).as_str(),
                power,
            })
        })
        .collect();
    able.sort_by(|a, b| (a.org_kind, &a.org, &a.access_key_id).cmp(&(b.org_kind, &b.org, &b.access_key_id)));
    WhoCould { able, asked, uncertain }
}
