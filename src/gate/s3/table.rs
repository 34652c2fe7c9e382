//! Which operation a request is, and which rights it takes: one row for each way to ask.
//!
//! | column | |
//! |---|---|
//! | method, place, selector, copy | what a request must be: place is service, bucket or object; copy says that `x-amz-copy-source` is there |
//! | action | what is asked of the resource (Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3") |
//! | version | the action instead when a `versionId` is named; without one here a `versionId` is refused unless `params` takes it |
//! | params | the other parameters it takes |
//! | needs | parameters without which it is another operation, or none |
//!
//! Invariants
//! - A request that fits no row is refused; no two rows fit the same request.
//!
//! Not here: rights that follow from headers (`rights`).

use super::Operation;
use super::param::{Param, Query};
use crate::gate::Denied;
use crate::policy::Action;

/// What a path is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Service,
    Bucket,
    Object,
}

/// A way to ask for an operation.
#[derive(Debug)]
pub(crate) struct Row {
    pub operation: Operation,
    method: &'static str,
    place: Place,
    selector: Option<Param>,
    pub copy: bool,
    /// None where each key of the body is asked for instead.
    pub action: Option<Action<'static>>,
    pub version: Option<Action<'static>>,
    params: &'static [Param],
    needs: &'static [Param],
}

const NO_PARAMS: &[Param] = &[];
const RESPONSE: &[Param] = &[
    Param::VersionId,
    Param::PartNumber,
    Param::ResponseCacheControl,
    Param::ResponseContentDisposition,
    Param::ResponseContentEncoding,
    Param::ResponseContentLanguage,
    Param::ResponseContentType,
    Param::ResponseExpires,
];
const LIST: &[Param] = &[Param::Prefix, Param::Delimiter, Param::MaxKeys, Param::Marker, Param::EncodingType];
const LIST_V2: &[Param] = &[
    Param::Prefix,
    Param::Delimiter,
    Param::MaxKeys,
    Param::ContinuationToken,
    Param::StartAfter,
    Param::FetchOwner,
    Param::EncodingType,
];
const VERSIONS: &[Param] =
    &[Param::Prefix, Param::Delimiter, Param::MaxKeys, Param::KeyMarker, Param::VersionIdMarker, Param::EncodingType];
const UPLOADS: &[Param] =
    &[Param::Prefix, Param::Delimiter, Param::MaxUploads, Param::KeyMarker, Param::UploadIdMarker, Param::EncodingType];
const BUCKETS: &[Param] = &[Param::MaxBuckets, Param::ContinuationToken, Param::Prefix, Param::BucketRegion];
const PARTS: &[Param] = &[Param::MaxParts, Param::PartNumberMarker, Param::EncodingType];
const VERSION: &[Param] = &[Param::VersionId];
const PART: &[Param] = &[Param::PartNumber];
const ID: &[Param] = &[Param::Id];
const PAGE: &[Param] = &[Param::ContinuationToken];
const SELECT: &[Param] = &[Param::SelectType];

macro_rules! rows {
    ($($method:ident $place:ident { $(
        $operation:ident $([$selector:ident])? $(copy $copy:literal)? $(: $action:literal $(/ $version:literal)?)?
        $(, takes $params:ident)? $(, needs $needs:ident)?;
    )* })*) => {
        /// The ones that come most often first.
        pub(crate) static ROWS: &[Row] = &[$($(Row {
            operation: Operation::$operation,
            method: stringify!($method),
            place: Place::$place,
            selector: rows!(@option $(Param::$selector)?),
            copy: rows!(@copy $($copy)?),
            action: rows!(@option $(Action::new($action))?),
            version: rows!(@option $($(Action::new($version))?)?),
            params: rows!(@params $($params)?),
            needs: rows!(@params $($needs)?),
        },)*)*];
    };
    (@option) => { None };
    (@option $($some:tt)+) => { Some($($some)+) };
    (@copy) => { false };
    (@copy $copy:literal) => { $copy };
    (@params) => { NO_PARAMS };
    (@params $params:ident) => { $params };
}

rows! {
    GET Object {
        GetObject: "s3:GetObject" / "s3:GetObjectVersion", takes RESPONSE;
        GetObjectAcl [Acl]: "s3:GetObjectAcl" / "s3:GetObjectVersionAcl", takes VERSION;
        GetObjectAttributes [Attributes]: "s3:GetObjectAttributes" / "s3:GetObjectVersionAttributes", takes VERSION;
        GetObjectLegalHold [LegalHold]: "s3:GetObjectLegalHold", takes VERSION;
        GetObjectRetention [Retention]: "s3:GetObjectRetention", takes VERSION;
        GetObjectTagging [Tagging]: "s3:GetObjectTagging" / "s3:GetObjectVersionTagging", takes VERSION;
        GetObjectTorrent [Torrent]: "s3:GetObjectTorrent" / "s3:GetObjectVersionTorrent", takes VERSION;
        ListParts [UploadId]: "s3:ListMultipartUploadParts", takes PARTS;
    }
    HEAD Object {
        HeadObject: "s3:GetObject" / "s3:GetObjectVersion", takes RESPONSE;
    }
    PUT Object {
        PutObject: "s3:PutObject";
        CopyObject copy true: "s3:PutObject";
        UploadPart [UploadId]: "s3:PutObject", needs PART;
        UploadPartCopy [UploadId] copy true: "s3:PutObject", needs PART;
        PutObjectAcl [Acl]: "s3:PutObjectAcl" / "s3:PutObjectVersionAcl", takes VERSION;
        PutObjectLegalHold [LegalHold]: "s3:PutObjectLegalHold", takes VERSION;
        PutObjectRetention [Retention]: "s3:PutObjectRetention", takes VERSION;
        PutObjectTagging [Tagging]: "s3:PutObjectTagging" / "s3:PutObjectVersionTagging", takes VERSION;
        UpdateObjectEncryption [Encryption]: "s3:UpdateObjectEncryption", takes VERSION;
    }
    DELETE Object {
        DeleteObject: "s3:DeleteObject" / "s3:DeleteObjectVersion", takes VERSION;
        DeleteObjectTagging [Tagging]: "s3:DeleteObjectTagging" / "s3:DeleteObjectVersionTagging", takes VERSION;
        AbortMultipartUpload [UploadId]: "s3:AbortMultipartUpload";
    }
    POST Object {
        CreateMultipartUpload [Uploads]: "s3:PutObject";
        CompleteMultipartUpload [UploadId]: "s3:PutObject";
        RestoreObject [Restore]: "s3:RestoreObject", takes VERSION;
        SelectObjectContent [Select]: "s3:GetObject", needs SELECT;
    }
    GET Service {
        ListBuckets: "s3:ListAllMyBuckets", takes BUCKETS;
    }
    HEAD Bucket {
        HeadBucket: "s3:ListBucket";
    }
    GET Bucket {
        ListObjectsV2 [ListType]: "s3:ListBucket", takes LIST_V2;
        ListObjects: "s3:ListBucket", takes LIST;
        ListObjectVersions [Versions]: "s3:ListBucketVersions", takes VERSIONS;
        ListMultipartUploads [Uploads]: "s3:ListBucketMultipartUploads", takes UPLOADS;
        GetBucketLocation [Location]: "s3:GetBucketLocation";
        GetBucketVersioning [Versioning]: "s3:GetBucketVersioning";
        GetBucketAcl [Acl]: "s3:GetBucketAcl";
        GetBucketPolicy [Policy]: "s3:GetBucketPolicy";
        GetBucketPolicyStatus [PolicyStatus]: "s3:GetBucketPolicyStatus";
        GetPublicAccessBlock [PublicAccessBlock]: "s3:GetBucketPublicAccessBlock";
        GetBucketOwnershipControls [OwnershipControls]: "s3:GetBucketOwnershipControls";
        GetBucketLifecycleConfiguration [Lifecycle]: "s3:GetLifecycleConfiguration";
        GetBucketCors [Cors]: "s3:GetBucketCORS";
        GetBucketWebsite [Website]: "s3:GetBucketWebsite";
        GetBucketEncryption [Encryption]: "s3:GetEncryptionConfiguration";
        GetBucketReplication [Replication]: "s3:GetReplicationConfiguration";
        GetBucketNotificationConfiguration [Notification]: "s3:GetBucketNotification";
        GetBucketLogging [Logging]: "s3:GetBucketLogging";
        GetBucketAccelerateConfiguration [Accelerate]: "s3:GetAccelerateConfiguration";
        GetBucketRequestPayment [RequestPayment]: "s3:GetBucketRequestPayment";
        GetBucketTagging [Tagging]: "s3:GetBucketTagging";
        GetObjectLockConfiguration [ObjectLock]: "s3:GetBucketObjectLockConfiguration";
        GetBucketAnalyticsConfiguration [Analytics]: "s3:GetAnalyticsConfiguration", needs ID;
        ListBucketAnalyticsConfigurations [Analytics]: "s3:GetAnalyticsConfiguration", takes PAGE;
        GetBucketIntelligentTieringConfiguration [IntelligentTiering]: "s3:GetIntelligentTieringConfiguration", needs ID;
        ListBucketIntelligentTieringConfigurations [IntelligentTiering]:
            "s3:GetIntelligentTieringConfiguration", takes PAGE;
        GetBucketInventoryConfiguration [Inventory]: "s3:GetInventoryConfiguration", needs ID;
        ListBucketInventoryConfigurations [Inventory]: "s3:GetInventoryConfiguration", takes PAGE;
        GetBucketMetricsConfiguration [Metrics]: "s3:GetMetricsConfiguration", needs ID;
        ListBucketMetricsConfigurations [Metrics]: "s3:GetMetricsConfiguration", takes PAGE;
        GetBucketMetadataTableConfiguration [MetadataTable]: "s3:GetBucketMetadataTableConfiguration";
        GetBucketMetadataConfiguration [MetadataConfiguration]: "s3:GetBucketMetadataTableConfiguration";
        GetBucketAbac [Abac]: "s3:GetBucketAbac";
    }
    PUT Bucket {
        CreateBucket: "s3:CreateBucket";
        PutBucketAcl [Acl]: "s3:PutBucketAcl";
        PutBucketPolicy [Policy]: "s3:PutBucketPolicy";
        PutPublicAccessBlock [PublicAccessBlock]: "s3:PutBucketPublicAccessBlock";
        PutBucketOwnershipControls [OwnershipControls]: "s3:PutBucketOwnershipControls";
        PutBucketVersioning [Versioning]: "s3:PutBucketVersioning";
        PutBucketLifecycleConfiguration [Lifecycle]: "s3:PutLifecycleConfiguration";
        PutBucketCors [Cors]: "s3:PutBucketCORS";
        PutBucketWebsite [Website]: "s3:PutBucketWebsite";
        PutBucketEncryption [Encryption]: "s3:PutEncryptionConfiguration";
        PutBucketReplication [Replication]: "s3:PutReplicationConfiguration";
        PutBucketNotificationConfiguration [Notification]: "s3:PutBucketNotification";
        PutBucketLogging [Logging]: "s3:PutBucketLogging";
        PutBucketAccelerateConfiguration [Accelerate]: "s3:PutAccelerateConfiguration";
        PutBucketRequestPayment [RequestPayment]: "s3:PutBucketRequestPayment";
        PutBucketTagging [Tagging]: "s3:PutBucketTagging";
        PutObjectLockConfiguration [ObjectLock]: "s3:PutBucketObjectLockConfiguration";
        PutBucketAnalyticsConfiguration [Analytics]: "s3:PutAnalyticsConfiguration", needs ID;
        PutBucketIntelligentTieringConfiguration [IntelligentTiering]: "s3:PutIntelligentTieringConfiguration", needs ID;
        PutBucketInventoryConfiguration [Inventory]: "s3:PutInventoryConfiguration", needs ID;
        PutBucketMetricsConfiguration [Metrics]: "s3:PutMetricsConfiguration", needs ID;
        UpdateBucketMetadataInventoryTableConfiguration [MetadataInventoryTable]:
            "s3:UpdateBucketMetadataInventoryTableConfiguration";
        UpdateBucketMetadataJournalTableConfiguration [MetadataJournalTable]:
            "s3:UpdateBucketMetadataJournalTableConfiguration";
        PutBucketAbac [Abac]: "s3:PutBucketAbac";
    }
    DELETE Bucket {
        DeleteBucket: "s3:DeleteBucket";
        DeleteBucketPolicy [Policy]: "s3:DeleteBucketPolicy";
        DeletePublicAccessBlock [PublicAccessBlock]: "s3:PutBucketPublicAccessBlock";
        DeleteBucketOwnershipControls [OwnershipControls]: "s3:PutBucketOwnershipControls";
        DeleteBucketLifecycle [Lifecycle]: "s3:PutLifecycleConfiguration";
        DeleteBucketCors [Cors]: "s3:PutBucketCORS";
        DeleteBucketWebsite [Website]: "s3:DeleteBucketWebsite";
        DeleteBucketEncryption [Encryption]: "s3:PutEncryptionConfiguration";
        DeleteBucketReplication [Replication]: "s3:PutReplicationConfiguration";
        DeleteBucketTagging [Tagging]: "s3:PutBucketTagging";
        DeleteBucketAnalyticsConfiguration [Analytics]: "s3:PutAnalyticsConfiguration", needs ID;
        DeleteBucketIntelligentTieringConfiguration [IntelligentTiering]:
            "s3:PutIntelligentTieringConfiguration", needs ID;
        DeleteBucketInventoryConfiguration [Inventory]: "s3:PutInventoryConfiguration", needs ID;
        DeleteBucketMetricsConfiguration [Metrics]: "s3:PutMetricsConfiguration", needs ID;
        DeleteBucketMetadataTableConfiguration [MetadataTable]: "s3:DeleteBucketMetadataTableConfiguration";
        DeleteBucketMetadataConfiguration [MetadataConfiguration]: "s3:DeleteBucketMetadataTableConfiguration";
    }
    POST Bucket {
        DeleteObjects [Delete];
        CreateBucketMetadataTableConfiguration [MetadataTable]: "s3:CreateBucketMetadataTableConfiguration";
        CreateBucketMetadataConfiguration [MetadataConfiguration]: "s3:CreateBucketMetadataTableConfiguration";
    }
}

/// An upload by form has no signature in method, path or query, so no request finds it in [`ROWS`].
pub(crate) static POST_OBJECT: Row = Row {
    operation: Operation::PostObject,
    method: "POST",
    place: Place::Bucket,
    selector: None,
    copy: false,
    action: Some(Action::new("s3:PutObject")),
    version: None,
    params: NO_PARAMS,
    needs: NO_PARAMS,
};

impl Row {
    /// The row of an operation, to ask for it under another request's proof.
    pub fn of(operation: Operation) -> Option<&'static Row> {
        ROWS.iter().chain([&POST_OBJECT]).find(|row| row.operation == operation)
    }

    /// The row that a request fits.
    ///
    /// # Errors
    /// [`Denied`]: MethodNotAllowed, NotImplemented, or InvalidArgument when a parameter is missing, out of place or not one of
    /// its values.
    pub fn find(method: &str, place: Place, query: &Query<'_>, copy: bool) -> Result<&'static Row, Denied> {
        let asked = |row: &&Row| {
            row.place == place
                && row.selector == query.selector
                && row.method == method
                && row.copy == copy
                && row.needs.iter().all(|need| query.has(*need))
        };
        let Some(row) = ROWS.iter().find(asked) else { return Err(fits_none(method, place, query, copy)) };
        let takes = |param: &Param| row.params.contains(param) || row.needs.contains(param);
        if let Some(odd) = query.plain().find(|param| !takes(param)) {
            return Err(Denied::invalid_argument(format!("This operation does not accept {}", odd.as_str())));
        }
        values_fit(query)?;
        Ok(row)
    }

    /// The action it takes on its resource.
    pub fn action(&self, has_version: bool) -> Option<Action<'static>> {
        self.version.filter(|_| has_version).or(self.action)
    }

    /// Whether it is about a bucket, or an object in one.
    pub fn is_about(&self, bucket: bool, key: bool) -> bool {
        match self.place {
            // A form is sent to the bucket, and makes an object.
            _ if self.operation == Operation::PostObject => bucket && key,
            Place::Service => !bucket && !key,
            Place::Bucket => bucket && !key,
            Place::Object => bucket && key,
        }
    }

    #[cfg(test)]
    pub fn key(&self) -> (&'static str, Place, Option<Param>, bool, &'static [Param]) {
        (self.method, self.place, self.selector, self.copy, self.needs)
    }
}

fn fits_none(method: &str, place: Place, query: &Query<'_>, copy: bool) -> Denied {
    let same = |row: &&Row| row.place == place && row.selector == query.selector;
    let close = |row: &&Row| same(row) && row.method == method;
    if copy && ROWS.iter().any(|row| close(&row)) {
        return Denied::invalid_argument("This operation does not accept x-amz-copy-source");
    }
    if let Some(need) = ROWS.iter().filter(close).flat_map(|row| row.needs).find(|need| !query.has(**need)) {
        return Denied::invalid_argument(format!("This operation needs {}", need.as_str()));
    }
    if ROWS.iter().any(|row| same(&row)) || query.selector.is_none() {
        return Denied::new("MethodNotAllowed", 405, "The specified method is not allowed against this resource.");
    }
    Denied::new("NotImplemented", 501, "A header or query you provided implies functionality that is not implemented.")
}

/// Values that decide what is done; all others are the node's to read.
fn values_fit(query: &Query<'_>) -> Result<(), Denied> {
    let bad = |what: &'static str| Err(Denied::invalid_argument(what));
    match query.selector {
        Some(Param::ListType) if query.value(Param::ListType) != Some("2") => return bad("Invalid List Type"),
        Some(Param::UploadId) if query.value(Param::UploadId) == Some("") => {
            return bad("This operation does not accept an empty uploadId");
        }
        Some(Param::Select) if query.value(Param::SelectType) != Some("2") => return bad("Invalid select-type"),
        _ => {}
    }
    if query.value(Param::VersionId) == Some("") {
        return bad("Version id cannot be the empty string");
    }
    if let Some(part) = query.value(Param::PartNumber) {
        let digits = part.len() <= 5 && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || !part.parse().is_ok_and(|part: u32| (1..=10_000).contains(&part)) {
            return bad("Part number must be an integer between 1 and 10000, inclusive");
        }
    }
    if let Some(keys) = query.value(Param::MaxKeys)
        && !(keys.len() <= 10 && !keys.is_empty() && keys.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return bad("Provided max-keys not an integer or within integer range");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_rows_are_for_the_same_request_and_none_has_a_wrong_place() {
        let mut keys = HashSet::new();
        for row in ROWS {
            let (method, place, selector, copy, needs) = row.key();
            let key = (method, format!("{place:?}{needs:?}"), selector, copy);
            assert!(keys.insert(key), "{:?}", row.operation);
            assert!(selector.is_none_or(Param::is_selector), "{:?}", row.operation);
            assert!(row.params.iter().chain(row.needs).all(|param| !param.is_selector()), "{:?}", row.operation);
            assert_eq!(row.action.is_none(), row.operation == Operation::DeleteObjects, "{:?}", row.operation);
        }
        // Of two rows that fit, the one that needs more comes first.
        for (at, row) in ROWS.iter().enumerate() {
            let (method, place, selector, copy, _) = row.key();
            let later = |other: &&Row| {
                let (m, p, s, c, needs) = other.key();
                (m, p, s, c) == (method, place, selector, copy) && needs.len() > row.needs.len()
            };
            assert!(!ROWS[at + 1..].iter().any(|other| later(&other)), "{:?}", row.operation);
        }
    }

    #[test]
    fn every_operation_has_one_row_and_every_action_is_one_of_s3() {
        for operation in Operation::ALL {
            let count = ROWS.iter().chain([&POST_OBJECT]).filter(|row| row.operation == *operation).count();
            assert_eq!(count, 1, "{operation}");
        }
        for row in ROWS {
            for action in row.action.iter().chain(&row.version) {
                assert!(action.is_known(), "{}", action.as_str());
                let about_object = action.as_str().contains("Object")
                    && row.operation != Operation::GetObjectLockConfiguration
                    && row.operation != Operation::PutObjectLockConfiguration;
                let exempt = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"].contains(&action.as_str());
                assert_eq!(row.place == Place::Object, about_object || exempt, "{}", action.as_str());
            }
        }
    }

    #[test]
    fn every_selector_chooses_an_operation() {
        for param in Param::ALL.iter().filter(|param| param.is_selector()) {
            assert!(ROWS.iter().any(|row| row.selector == Some(*param)), "{param:?}");
        }
        let taken = |param: &Param| ROWS.iter().any(|row| row.params.contains(param) || row.needs.contains(param));
        for param in Param::ALL.iter().filter(|param| !param.is_selector()) {
            assert!(taken(param), "{param:?}");
        }
    }
}
