//! Rights that were granted and not exercised (R8): what a key may, by the decision table, without what it did.
//!
//! A use counts when it was not denied. Our own rollups name classes of actions, imported records name calls; both are told as the
//! table's kinds. A trail that holds no calls on objects says nothing about objects, so these are left out of an evidence org's
//! answer then.
//!
//! Not here: keys that were not used at all (R4).

use super::super::access::May;
use super::super::access::table::{Kind, table_of};
use super::super::names::Worlds;
use super::trail::{Trail, Trails};
use crate::model::{OrgKind, Time};
use crate::state::KeyRecord;
use std::collections::{BTreeMap, BTreeSet};

/// Days before the day that is asked about in which a right must have been used, unless a period is given.
pub(super) const DAYS: i64 = 90;
/// Keys that are asked about, and buckets of each besides those it names or used.
pub(super) const KEYS_MAX: usize = 10_000;
const BUCKETS_MAX: usize = 50;
/// Buckets a finding names.
const NAMED_MAX: usize = 5;

/// What a use was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exercised {
    Kinds(&'static [Kind]),
    /// Of users, keys, policies.
    Management,
    /// Many uses at once, of which only the number is known.
    Untold,
    Other,
}

/// What a call, or a rollup's class of calls, exercises.
pub(super) fn exercised(service: &str, action: &str) -> Exercised {
    match (service, action) {
        ("", "") => Exercised::Untold,
        ("iam" | "keyledger", _) => Exercised::Management,
        ("s3", _) => of_s3(action),
        _ => Exercised::Other,
    }
}

fn of_s3(action: &str) -> Exercised {
    let kinds: &'static [Kind] = match action {
        "read" | "SelectObjectContent" => &[Kind::Read],
        "write"
        | "DeleteObjectTagging"
        | "CopyObject"
        | "CompleteMultipartUpload"
        | "CreateMultipartUpload"
        | "AbortMultipartUpload"
        | "RestoreObject"
        | "PostObject" => &[Kind::Write],
        "delete" => &[Kind::Delete],
        "list" | "HeadBucket" => &[Kind::List],
        "acl" => &[Kind::Acl],
        // The class does not say which.
        "manage" => &[Kind::Configure, Kind::Policy, Kind::Remove],
        "DeleteBucket" => &[Kind::Remove],
        "ListBuckets" => return Exercised::Other,
        call if call.ends_with("Acl") => &[Kind::Acl],
        call if call.ends_with("BucketPolicy") => &[Kind::Policy],
        call if call.starts_with("GetObject") || call.starts_with("HeadObject") => &[Kind::Read],
        call if call.starts_with("PutObject") || call.starts_with("UploadPart") => &[Kind::Write],
        call if call.starts_with("DeleteObject") => &[Kind::Delete],
        call if call.starts_with("List") => &[Kind::List],
        call if call.contains("Bucket") => &[Kind::Configure],
        _ => return Exercised::Other,
    };
    Exercised::Kinds(kinds)
}

/// What of a key's rights could go, in words, if anything; and how many buckets were not asked about.
pub(super) fn unexercised(
    worlds: &Worlds,
    trails: &Trails,
    key: &KeyRecord,
    trail: &Trail,
    now: Time,
) -> (Option<String>, usize) {
    let mut used: BTreeMap<&str, BTreeSet<Kind>> = BTreeMap::new();
    for (bucket, kind) in trails.exercised(trail) {
        used.entry(bucket).or_default().insert(kind);
    }
    let used_buckets: BTreeSet<String> =
        used.keys().filter(|bucket| !bucket.is_empty()).take(BUCKETS_MAX).map(|bucket| (*bucket).to_owned()).collect();
    let table = table_of(worlds, key, now, BUCKETS_MAX, &used_buckets);
    let is_told = worlds.kind_of(key.org) == OrgKind::Live || trails.tells_of_objects(key.org);
    let mut may: BTreeMap<&str, BTreeSet<Kind>> = BTreeMap::new();
    for row in &table.rows {
        let kinds = Kind::ALL.into_iter().filter(|kind| row.may(*kind) != May::Never);
        let kinds = kinds.filter(|kind| is_told || matches!(kind, Kind::Configure | Kind::Policy | Kind::Remove));
        may.entry(&row.bucket).or_default().extend(kinds);
    }
    let anywhere: BTreeSet<Kind> = used.values().flatten().copied().collect();
    let granted: BTreeSet<Kind> = may.values().flatten().copied().collect();
    let nowhere: Vec<&str> = granted.difference(&anywhere).map(|kind| kind.as_str()).collect();
    let (mut untouched, mut elsewhere) = (Vec::new(), Vec::new());
    for (bucket, kinds) in &may {
        match used.get(bucket) {
            None if kinds.iter().any(|kind| anywhere.contains(kind)) => untouched.push(format!("`{bucket}`")),
            None => {}
            Some(used) => {
                let idle = kinds.iter().filter(|kind| anywhere.contains(kind) && !used.contains(kind));
                let idle: Vec<&str> = idle.map(|kind| kind.as_str()).collect();
                if !idle.is_empty() {
                    elsewhere.push(format!("{} in `{bucket}`", idle.join(", ")));
                }
            }
        }
    }
    let managing = table.org.iter().any(|cell| !cell.action.starts_with("s3:") && cell.power.may != May::Never);
    let mut words = Vec::new();
    if !nowhere.is_empty() {
        words.push(nowhere.join(", "));
    }
    if !untouched.is_empty() {
        words.push(format!("everything in {}", some(&untouched)));
    }
    if !elsewhere.is_empty() {
        words.push(some(&elsewhere));
    }
    if managing && !trail.managed {
        words.push("management of users, keys and policies".to_owned());
    }
    if words.is_empty() {
        return (None, table.not_asked);
    }
    if trail.uses_untold > 0 {
        words.push(format!("unless among {} uses that were not told apart", trail.uses_untold));
    }
    (Some(words.join("; ")), table.not_asked)
}

fn some(names: &[String]) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let shown = names.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_counted_as_the_kind_that_its_right_is_asked_by() {
        let kinds = |action| exercised("s3", action);
        for call in ["read", "GetObject", "HeadObject"] {
            assert_eq!(kinds(call), Exercised::Kinds(&[Kind::Read]), "{call}");
        }
        for call in ["write", "PutObject", "UploadPartCopy", "CopyObject"] {
            assert_eq!(kinds(call), Exercised::Kinds(&[Kind::Write]), "{call}");
        }
        for call in ["list", "ListObjects", "HeadBucket"] {
            assert_eq!(kinds(call), Exercised::Kinds(&[Kind::List]), "{call}");
        }
        for call in ["acl", "PutBucketAcl", "GetObjectAcl"] {
            assert_eq!(kinds(call), Exercised::Kinds(&[Kind::Acl]), "{call}");
        }
        assert_eq!(kinds("DeleteBucketPolicy"), Exercised::Kinds(&[Kind::Policy]));
        assert_eq!(kinds("PutBucketVersioning"), Exercised::Kinds(&[Kind::Configure]));
        assert_eq!(kinds("ListBuckets"), Exercised::Other);
        assert_eq!(exercised("iam", "CreateUser"), Exercised::Management);
        assert_eq!(exercised("", ""), Exercised::Untold);
    }
}
