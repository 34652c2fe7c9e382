//! What changed between two moments, noun by noun.
//!
//! Not here: the way from one to the other (`log`), and the moments (`at`).

use super::listing::{ListingOptions, NounRow, RowName, listing};
use super::names::Worlds;
use crate::model::Time;
use serde::Serialize;
use std::collections::BTreeMap;

/// What became of a noun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Became {
    Added,
    Removed,
    Changed,
}

impl Became {
    pub fn as_str(self) -> &'static str {
        match self {
            Became::Added => "added",
            Became::Removed => "removed",
            Became::Changed => "changed",
        }
    }
}

/// One field on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct FieldChange {
    pub field: &'static str,
    pub before: serde_json::Value,
    pub after: serde_json::Value,
}

/// One noun that is not the same at both moments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct DiffRow {
    #[serde(flatten)]
    pub name: RowName,
    pub became: Became,
    /// Of what was added or removed: every field that is set.
    pub fields: Vec<FieldChange>,
}

/// Compares two moments. Deleted nouns count as gone, but for keys: their record stays, and says Deleted.
#[must_use]
pub fn diff(from: (&Worlds, Time), to: (&Worlds, Time), options: &ListingOptions) -> Vec<DiffRow> {
    let options = ListingOptions { deleted: true, ..options.clone() };
    let side = |(worlds, now): (&Worlds, Time)| -> BTreeMap<RowKey, NounRow> {
        listing(worlds, now, &options).into_iter().map(|row| (RowKey::of(&row.name), row)).collect()
    };
    let mut before = side(from);
    let mut rows = Vec::new();
    for (key, after) in side(to) {
        let (became, fields) = match before.remove(&key) {
            None => (Became::Added, fields(None, Some(&after))),
            Some(was) => (Became::Changed, fields(Some(&was), Some(&after))),
        };
        if !fields.is_empty() {
            rows.push(DiffRow { name: after.name, became, fields });
        }
    }
    for (_, was) in before {
        let fields = fields(Some(&was), None);
        rows.push(DiffRow { name: was.name, became: Became::Removed, fields });
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows
}

/// What makes two rows the same noun: the uid where there is one, since a name may change.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct RowKey {
    noun: super::listing::Noun,
    org: String,
    org_kind: &'static str,
    id: String,
}

impl RowKey {
    fn of(name: &RowName) -> Self {
        let id = name.uid.clone().unwrap_or_else(|| name.name.clone());
        Self { noun: name.noun, org: name.org.clone(), org_kind: name.org_kind, id }
    }
}

fn fields(before: Option<&NounRow>, after: Option<&NounRow>) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    if let (Some(was), Some(is)) = (before, after)
        && was.name.name != is.name.name
    {
        let name = |row: &NounRow| serde_json::Value::from(row.name.name.clone());
        changes.push(FieldChange { field: "name", before: name(was), after: name(is) });
    }
    let names = [before, after].into_iter().flatten().flat_map(|row| row.fields.keys());
    let mut names: Vec<&'static str> = names.copied().collect();
    names.sort_unstable();
    names.dedup();
    for field in names {
        let value = |row: Option<&NounRow>| row.and_then(|row| row.fields.get(field)).cloned().unwrap_or_default();
        let (was, is) = (value(before), value(after));
        if was != is && !(is_unset(&was) && is_unset(&is)) {
            changes.push(FieldChange { field, before: was, after: is });
        }
    }
    changes
}

/// Null, and an empty text or list: nothing worth a line when a noun appears or goes.
fn is_unset(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null => true,
        serde_json::Value::Bool(on) => !on,
        serde_json::Value::String(text) => text.is_empty(),
        serde_json::Value::Array(list) => list.is_empty(),
        serde_json::Value::Object(map) => map.is_empty(),
        serde_json::Value::Number(_) => false,
    }
}
