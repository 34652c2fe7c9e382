//! What Lightsail calls operations: a record of each change, which clients look up by id until it is terminal. Ours are done when
//! they are told.
//!
//! The newest are kept, in this process; the log has what was done for ever.
//!
//! Not here: doing it (`actions`).

use crate::model::{OrgUid, Time};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Operations that are remembered.
const KEPT_MAX: usize = 4_096;
/// Operations of a page.
pub const PAGE: usize = 200;

#[derive(Debug, Clone)]
pub struct Operation {
    pub id: String,
    pub org: OrgUid,
    pub bucket: String,
    pub kind: &'static str,
    pub details: String,
    pub at: Time,
    pub region: String,
}

/// The newest operations, the oldest first.
#[derive(Debug, Default)]
pub struct Operations(Mutex<VecDeque<Operation>>);

impl Operations {
    pub fn keep(&self, operation: Operation) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(operation);
    }

    pub fn find(&self, org: OrgUid, id: &str) -> Option<Operation> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|operation| operation.org == org && operation.id == id).cloned()
    }

    /// A page of an org's, the newest first, from behind the operation `after` on; of one bucket, or of all.
    pub fn page(&self, org: OrgUid, bucket: Option<&str>, after: Option<&str>) -> Option<(Vec<Operation>, bool)> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own =
            |operation: &&Operation| operation.org == org && bucket.is_none_or(|bucket| operation.bucket == bucket);
        let mut all = kept.iter().rev().filter(own);
        if let Some(after) = after {
            all.by_ref().find(|operation| operation.id == after)?;
        }
        let page: Vec<_> = all.by_ref().take(PAGE).cloned().collect();
        let more = all.next().is_some();
        Some((page, more))
    }
}

/// Seconds since 1970, as JSON 1.1 has times.
pub fn seconds(time: Time) -> Value {
    let ms = time.0.div_euclid(1_000_000);
    let (whole, part) = (ms.div_euclid(1_000), ms.rem_euclid(1_000));
    let number = format!("{whole}.{part:03}").parse::<serde_json::Number>();
    number.map_or(Value::Null, Value::Number)
}

impl Operation {
    pub fn json(&self) -> Value {
        json!({
            "id": self.id,
            "resourceName": self.bucket,
            "resourceType": "Bucket",
            "createdAt": seconds(self.at),
            "location": { "availabilityZone": "all", "regionName": self.region },
            "isTerminal": true,
            "operationDetails": self.details,
            "operationType": self.kind,
            "status": "Succeeded",
            "statusChangedAt": seconds(self.at),
        })
    }
}
