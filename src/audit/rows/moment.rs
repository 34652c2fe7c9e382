//! A moment in a few numbers.
//!
//! Not here: its nouns one by one (`listing`).

use super::Word;
use crate::audit::Worlds;
use crate::audit::listing::{Noun, NounRow, digest};
use crate::model::bytes::Hex;
use crate::model::{OrgKind, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A moment in a few numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct MomentRow {
    /// The newest commit that counts.
    pub seq: u64,
    pub recorded_at: String,
    /// The moment that statuses are told for.
    pub at: String,
    /// BLAKE3 over the nouns as JSON lines: equal for equal nouns on any machine, whenever it is taken.
    pub digest: String,
    /// BLAKE3 of the canonical state body, as attestations in the log have it; only of the present.
    pub state_hash: Option<String>,
    pub nouns: BTreeMap<Word, u64>,
    /// Keys by status.
    pub keys: BTreeMap<String, u64>,
    pub evidence_orgs: u64,
    pub quarantined_by_restore: bool,
}

impl MomentRow {
    /// Of `rows`, which were listed from `worlds` at `now`; `is_present` adds the hash of the whole state.
    pub fn of(worlds: &Worlds, now: Time, rows: &[NounRow], is_present: bool) -> Self {
        let state = worlds.live_state();
        let (mut nouns, mut keys) = (BTreeMap::new(), BTreeMap::new());
        for row in rows {
            *nouns.entry(row.name.noun.as_str().into()).or_default() += 1;
            if row.name.noun == Noun::Key {
                let status = row.fields.get("status").and_then(|status| status.as_str()).unwrap_or("unknown");
                *keys.entry(status.to_owned()).or_default() += 1;
            }
        }
        Self {
            seq: state.seq().0,
            recorded_at: state.recorded_at().to_string(),
            at: now.to_string(),
            digest: Hex(&digest(rows)).to_string(),
            state_hash: is_present.then(|| Hex(&state.hash()).to_string()),
            nouns,
            keys,
            evidence_orgs: worlds.states().filter(|(kind, _)| *kind == OrgKind::Evidence).count() as u64,
            quarantined_by_restore: state.restored().is_some(),
        }
    }
}
