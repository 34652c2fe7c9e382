//! A bucket as it is shown.

use super::View;
use crate::model::{BucketName, KeyOwner};
use crate::state::KeyView;
use serde::{Deserialize, Serialize};

/// A bucket in a list that costs no look at the keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct BucketEntry {
    pub bucket: String,
    /// 12 digits.
    pub account_id: String,
    pub registered: bool,
}

/// A bucket with the keys that name it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
pub struct BucketRow {
    #[serde(flatten)]
    pub entry: BucketEntry,
    /// Keys that are not deleted and belong to it or have a grant on it.
    pub keys: Vec<String>,
}

impl BucketEntry {
    pub fn of(view: &View, bucket: &BucketName, registered: bool) -> Self {
        Self { bucket: bucket.as_str().to_owned(), account_id: view.org.account.to_string(), registered }
    }
}

impl BucketRow {
    /// Looks at every key there is.
    pub fn of(view: &View, bucket: &BucketName, registered: bool) -> Self {
        let names = |key: &KeyView<'_>| {
            key.org() == view.org.org
                && !key.is_deleted()
                && (key.rights().grants.iter().any(|grant| grant.bucket.as_ref() == Some(bucket))
                    || matches!(key.owner(), KeyOwner::Bucket(of) if of == bucket))
        };
        let keys = view.state.keys_where(names);
        let keys = keys.iter().map(|key| key.id.to_string()).collect();
        Self { entry: BucketEntry::of(view, bucket, registered), keys }
    }
}
