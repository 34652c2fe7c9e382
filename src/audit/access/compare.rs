//! What became different between two decision tables.
//!
//! A place that only one of them tells of is, in the other, like its whole bucket.
//!
//! Not here: since when, and by which event (`course`, `widened`).

use super::May;
use super::table::{DecisionTable, Kind, Row};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a key may otherwise than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct CellChange {
    /// `bucket`, `bucket/prefix`, or the resource of what is asked of the org.
    pub place: String,
    pub action: &'static str,
    pub before: May,
    pub after: May,
    /// Why it is so after.
    pub why: String,
}

impl CellChange {
    #[must_use]
    pub fn is_wider(&self) -> bool {
        self.after > self.before
    }
}

/// The cells that are not what they were; without a table before, everything was forbidden.
#[must_use]
pub fn changes(before: Option<&DecisionTable>, after: &DecisionTable) -> Vec<CellChange> {
    let places = before.into_iter().chain([after]).flat_map(|table| &table.rows);
    // By place, as it is sorted: (bucket, prefix).
    let mut cells: BTreeMap<(&str, &str), Vec<Kind>> = BTreeMap::new();
    for row in places {
        let kinds = cells.entry((&row.bucket, &row.prefix)).or_default();
        for cell in row.cells.iter().filter(|cell| !kinds.contains(&cell.kind)).collect::<Vec<_>>() {
            kinds.push(cell.kind);
        }
    }
    let mut changed = Vec::new();
    for ((bucket, prefix), kinds) in cells {
        for kind in kinds {
            let was = before.map_or(May::Never, |table| at(table, bucket, prefix, kind).0);
            let (may, why) = at(after, bucket, prefix, kind);
            if was != may {
                let place = if prefix.is_empty() { bucket.to_owned() } else { format!("{bucket}/{prefix}") };
                let (action, why) = (kind.probe().0, why.unwrap_or("nothing allows it").to_owned());
                changed.push(CellChange { place, action, before: was, after: may, why });
            }
        }
    }
    for cell in &after.org {
        let was = before.and_then(|table| table.org.iter().find(|it| it.action == cell.action));
        let was = was.map_or(May::Never, |it| it.power.may);
        if was != cell.power.may {
            changed.push(CellChange {
                place: cell.resource.clone(),
                action: cell.action,
                before: was,
                after: cell.power.may,
                why: cell.power.why.clone(),
            });
        }
    }
    changed
}

/// What may be done in a place, and why.
fn at<'a>(table: &'a DecisionTable, bucket: &str, prefix: &str, kind: Kind) -> (May, Option<&'a str>) {
    let row = |prefix: &str| table.rows.iter().find(|row: &&Row| row.bucket == bucket && row.prefix == prefix);
    let cell = row(prefix).or_else(|| row("")).and_then(|row| row.cells.iter().find(|cell| cell.kind == kind));
    cell.map_or((May::Never, None), |cell| (cell.power.may, Some(&cell.power.why)))
}

/// Changes in a few words: `read, list never → always in photos, films`.
#[must_use]
pub fn in_words(changes: &[CellChange], places_max: usize) -> String {
    // By what turned into what, then by where.
    let mut by_turn: BTreeMap<(May, May, Vec<&str>), Vec<&str>> = BTreeMap::new();
    let mut by_place: BTreeMap<(&str, May, May), Vec<&str>> = BTreeMap::new();
    for change in changes {
        by_place.entry((&change.place, change.before, change.after)).or_default().push(change.action);
    }
    for ((place, before, after), actions) in by_place {
        by_turn.entry((before, after, actions)).or_default().push(place);
    }
    let words: Vec<String> = by_turn
        .into_iter()
        .map(|((before, after, actions), places)| {
            let more = places.len().saturating_sub(places_max);
            let shown = places.iter().take(places_max).copied().collect::<Vec<_>>().join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{} {} → {} in {shown}{more}", actions.join(", "), before.as_str(), after.as_str())
        })
        .collect();
    words.join("; ")
}
