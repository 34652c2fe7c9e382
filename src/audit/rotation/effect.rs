//! Whether a right that documents make wide really is: a Deny, the boundary or the quarantine may take it away everywhere (R7).
//!
//! Asked by probes on the org's buckets and of its management; what gives something somewhere, or for some requests, is left standing.
//!
//! Not here: how wide the documents are (`audit::rights`).

use super::super::access::table::{Kind, table_of};
use super::super::access::{May, Power, Question, power};
use super::super::names::Worlds;
use super::super::rights::Breadth;
use crate::model::{OrgKind, OrgUid, Time};
use crate::state::{KeyRecord, Marks};
use std::collections::{BTreeSet, HashMap};

/// Buckets of an org that are asked about.
const BUCKETS_MAX: usize = 20;

pub(super) struct Effects<'a> {
    worlds: &'a Worlds,
    buckets: HashMap<OrgUid, Vec<String>>,
}

impl<'a> Effects<'a> {
    pub fn new(worlds: &'a Worlds) -> Self {
        Self { worlds, buckets: HashMap::new() }
    }

    /// What takes all of a breadth away. `None`: something of it stays.
    pub fn taken_away(&mut self, key: &KeyRecord, breadth: &Breadth, now: Time) -> Option<String> {
        let quarantined = key.marks.has(Marks::QUARANTINED);
        if breadth.admin {
            return quarantined.then(|| "the key is quarantined: it may read, and no more".to_owned());
        }
        let worlds = self.worlds;
        let mut why = None;
        // Whether an answer leaves something standing; if not, why.
        let mut stays = |power: Power| {
            if power.taken_away {
                let policy = power.denies.first().map(|it| format!(" in {} of {}", it.policy, it.held_by));
                why.get_or_insert_with(|| format!("{}{}", power.why, policy.unwrap_or_default()));
            }
            power.may != May::Never
        };
        // Reading alone is no wildcard, and management is in no bucket.
        let kinds =
            Kind::ALL.into_iter().filter(|kind| breadth.all_buckets || !matches!(kind, Kind::Read | Kind::List));
        let kinds: Vec<Kind> = kinds.collect();
        for bucket in self.buckets.entry(key.org).or_insert_with(|| some_buckets(worlds, key.org)) {
            for kind in &kinds {
                let (action, of_objects) = kind.probe();
                let object = if of_objects { "/any-object" } else { "" };
                let question = Question::new(action, &format!("arn:aws:s3:::{bucket}{object}"));
                if stays(power(worlds, key, &question, now)) {
                    return None;
                }
            }
        }
        if breadth.wildcard_action {
            let table = table_of(worlds, key, now, 0, &BTreeSet::new());
            let of_rows = table.rows.into_iter().flat_map(|row| row.cells).filter(|cell| kinds.contains(&cell.kind));
            let management = table.org.into_iter().filter(|cell| !cell.action.starts_with("s3:"));
            let mut powers = of_rows.map(|cell| cell.power).chain(management.map(|cell| cell.power));
            if powers.any(stays) {
                return None;
            }
        }
        why
    }
}

/// Of evidence no bucket is registered, so one stands for all.
fn some_buckets(worlds: &Worlds, org: OrgUid) -> Vec<String> {
    if worlds.kind_of(org) == OrgKind::Evidence {
        return vec!["any-bucket".to_owned()];
    }
    let buckets = worlds.state_of(org).buckets().filter(|(_, of)| *of == org);
    buckets.take(BUCKETS_MAX).map(|(bucket, _)| bucket.to_string()).collect()
}
