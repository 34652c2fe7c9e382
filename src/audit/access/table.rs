//! The decision table of a key: for every place it might reach, what it may do there.
//!
//! Places are the org's buckets, the buckets and prefixes that documents and grants name, and the org itself. Each kind of
//! action is asked by one action that stands for it ([`Kind::probe`]).
//!
//! Not here: what the key could become (`blast`).

use super::power::{May, Power, power};
use super::{Question, bearing_of};
use crate::audit::names::Worlds;
use crate::model::{KeyOwner, Time};
use crate::policy::Effect;
use crate::state::KeyRecord;
use serde::Serialize;
use std::collections::BTreeSet;

/// Buckets in a table; what more there are is counted.
const BUCKETS_MAX: usize = 1_000;

/// A kind of action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Read,
    List,
    Write,
    Delete,
    /// Who may read what.
    Acl,
    /// The bucket's own settings: versioning, lifecycle, encryption.
    Configure,
    /// The bucket's policy.
    Policy,
    /// The bucket itself.
    Remove,
}

impl Kind {
    pub const ALL: [Kind; 8] =
        [Kind::Read, Kind::List, Kind::Write, Kind::Delete, Kind::Acl, Kind::Configure, Kind::Policy, Kind::Remove];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Read => "read",
            Kind::List => "list",
            Kind::Write => "write",
            Kind::Delete => "delete",
            Kind::Acl => "acl",
            Kind::Configure => "configure",
            Kind::Policy => "policy",
            Kind::Remove => "remove",
        }
    }

    /// The action that stands for it, and whether it is asked of objects.
    #[must_use]
    pub fn probe(self) -> (&'static str, bool) {
        match self {
            Kind::Read => ("s3:GetObject", true),
            Kind::List => ("s3:ListBucket", false),
            Kind::Write => ("s3:PutObject", true),
            Kind::Delete => ("s3:DeleteObject", true),
            Kind::Acl => ("s3:PutObjectAcl", true),
            Kind::Configure => ("s3:PutLifecycleConfiguration", false),
            Kind::Policy => ("s3:PutBucketPolicy", false),
            Kind::Remove => ("s3:DeleteBucket", false),
        }
    }
}

/// One place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Row {
    pub bucket: String,
    /// Of objects: what their keys begin with; empty for any.
    pub prefix: String,
    pub registered: bool,
    pub cells: Vec<Cell>,
}

/// What may be done there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct Cell {
    pub kind: Kind,
    pub action: &'static str,
    #[serde(flatten)]
    pub power: Power,
}

impl Row {
    pub fn may(&self, kind: Kind) -> May {
        self.cells.iter().find(|cell| cell.kind == kind).map_or(May::Never, |cell| cell.power.may)
    }
}

/// What a key may do, place by place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct DecisionTable {
    /// Buckets and prefixes in which something is possible, in order.
    pub rows: Vec<Row>,
    /// Buckets of the org in which nothing is.
    pub closed: usize,
    /// Buckets that were not asked about, because there are so many.
    pub not_asked: usize,
    /// What it may ask of the org: list and create buckets, and manage users, keys and policies.
    pub org: Vec<OrgCell>,
}

/// What may be asked of the org as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct OrgCell {
    pub action: &'static str,
    pub resource: String,
    #[serde(flatten)]
    pub power: Power,
}

/// What is asked of the org as a whole.
const OF_ORG: &[&str] = &[
    "s3:ListAllMyBuckets",
    "s3:CreateBucket",
    "iam:ListUsers",
    "iam:CreateUser",
    "iam:CreateAccessKey",
    "iam:UpdateAccessKey",
    "iam:DeleteAccessKey",
    "iam:AttachUserPolicy",
    "iam:PutUserPolicy",
    "iam:CreatePolicy",
    "iam:CreatePolicyVersion",
    "iam:DeleteUser",
    "keyledger:SetKeyGrants",
];

/// Makes the table of `key` at `now`, in the worlds of that moment.
#[must_use]
pub fn table(worlds: &Worlds, key: &KeyRecord, now: Time) -> DecisionTable {
    table_of(worlds, key, now, BUCKETS_MAX, &BTreeSet::new())
}

/// [`table`] of at most so many of the org's buckets, besides those that are named by what the key holds, and `also`.
#[must_use]
pub fn table_of(
    worlds: &Worlds,
    key: &KeyRecord,
    now: Time,
    buckets_max: usize,
    also: &BTreeSet<String>,
) -> DecisionTable {
    let state = worlds.state_of(key.org);
    let registered: BTreeSet<&str> =
        state.buckets().filter(|(_, org)| *org == key.org).map(|(bucket, _)| bucket.as_str()).collect();
    let named = named_places(worlds, key);
    let mut places: BTreeSet<(&str, &str)> = registered.iter().take(buckets_max).map(|bucket| (*bucket, "")).collect();
    places.extend(also.iter().map(|bucket| (bucket.as_str(), "")));
    for (bucket, prefix) in &named {
        match bucket {
            Some(bucket) => _ = places.insert((bucket, prefix)),
            // Of any bucket: asked of each that there is.
            None if !prefix.is_empty() => places.extend(registered.iter().take(buckets_max).map(|it| (*it, &**prefix))),
            None => {}
        }
    }
    let (mut rows, mut closed) = (Vec::new(), 0);
    for (bucket, prefix) in places {
        let cells: Vec<Cell> = Kind::ALL
            .into_iter()
            .filter(|kind| prefix.is_empty() || kind.probe().1)
            .map(|kind| {
                let (action, of_objects) = kind.probe();
                let object = if prefix.is_empty() { "any-object" } else { prefix };
                let object = object.replace(['*', '?'], "x");
                let resource = if of_objects {
                    format!("arn:aws:s3:::{bucket}/{object}")
                } else {
                    format!("arn:aws:s3:::{bucket}")
                };
                Cell { kind, action, power: power(worlds, key, &Question::new(action, &resource), now) }
            })
            .collect();
        if cells.iter().any(|cell| cell.power.may != May::Never) {
            let registered = registered.contains(bucket);
            rows.push(Row { bucket: bucket.to_owned(), prefix: prefix.to_owned(), registered, cells });
        } else if prefix.is_empty() && registered.contains(bucket) {
            closed += 1;
        }
    }
    // A prefix that may no more than the whole bucket says nothing.
    let whole: Vec<Row> = rows.iter().filter(|row| row.prefix.is_empty()).cloned().collect();
    rows.retain(|row| {
        let bucket = whole.iter().find(|it| it.bucket == row.bucket);
        row.prefix.is_empty()
            || bucket.is_none_or(|it| row.cells.iter().any(|cell| cell.power.may != it.may(cell.kind)))
    });
    let not_asked = registered.len().saturating_sub(buckets_max);
    DecisionTable { rows, closed, not_asked, org: of_org(worlds, key, now) }
}

fn of_org(worlds: &Worlds, key: &KeyRecord, now: Time) -> Vec<OrgCell> {
    let account = worlds.account(key.org);
    OF_ORG
        .iter()
        .map(|action| {
            let resource = match *action {
                "s3:ListAllMyBuckets" => "*".to_owned(),
                "s3:CreateBucket" => "arn:aws:s3:::a-new-bucket".to_owned(),
                "iam:CreatePolicy" | "iam:CreatePolicyVersion" => format!("arn:aws:iam::{account}:policy/any"),
                _ => format!("arn:aws:iam::{account}:user/any"),
            };
            let power = power(worlds, key, &Question::new(action, &resource), now);
            OrgCell { action, resource, power }
        })
        .collect()
}

/// The buckets and prefixes that the key's grants and documents name. `None`: any bucket.
fn named_places(worlds: &Worlds, key: &KeyRecord) -> BTreeSet<(Option<String>, String)> {
    let standing = worlds.state_of(key.org).standing(key);
    let mut places: BTreeSet<(Option<String>, String)> = BTreeSet::new();
    for grant in &key.rights().grants {
        places.extend(grant.bucket.as_ref().map(|bucket| (Some(bucket.to_string()), String::new())));
    }
    if let KeyOwner::Bucket(bucket) = &key.owner {
        places.insert((Some(bucket.to_string()), String::new()));
    }
    let user = standing.user().map(|user| user.name.as_str());
    for bearing in standing.documents() {
        let Some(document) = bearing_of(&standing, bearing.origin).and_then(|it| it.text?.document()) else { continue };
        for statement in document.statements().iter().filter(|it| it.effect == Effect::Allow) {
            for resource in statement.grant().resources {
                let resource = resource.replace("${aws:username}", user.unwrap_or("${aws:username}"));
                places.extend(place(&resource));
            }
        }
    }
    places
}

/// What a resource pattern is about, if it is about S3.
fn place(resource: &str) -> Option<(Option<String>, String)> {
    let path = resource.strip_prefix("arn:")?.split_once(':')?.1.strip_prefix("s3:::")?;
    let (bucket, object) = path.split_once('/').unwrap_or((path, ""));
    let bucket = (!bucket.contains(['*', '?', '$'])).then(|| bucket.to_owned());
    let prefix = if object == "*" { "" } else { object };
    Some((bucket, prefix.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_a_bucket_and_a_prefix_or_neither() {
        let found = |text| place(text).map(|(bucket, prefix)| (bucket.unwrap_or_default(), prefix));
        assert_eq!(found("arn:aws:s3:::photos/*"), Some(("photos".into(), String::new())));
        assert_eq!(found("arn:aws:s3:::photos"), Some(("photos".into(), String::new())));
        assert_eq!(found("arn:aws:s3:::photos/a/*"), Some(("photos".into(), "a/*".into())));
        assert_eq!(found("arn:aws:s3:::*/a/*"), Some((String::new(), "a/*".into())));
        assert_eq!(found("*"), None);
        assert_eq!(found("arn:aws:iam::1:user/x"), None);
    }
}
