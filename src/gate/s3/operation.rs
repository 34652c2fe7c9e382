//! The operations of S3, by the names its API Reference gives them.
//!
//! Not here: how a request shows which one it is (`table`).

use std::fmt;

/// What a use is counted as (`action_class` of a rollup).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    Read,
    Write,
    Delete,
    List,
    Acl,
    Manage,
}

impl Class {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Read => "read",
            Class::Write => "write",
            Class::Delete => "delete",
            Class::List => "list",
            Class::Acl => "acl",
            Class::Manage => "manage",
        }
    }
}

macro_rules! operations {
    ($($class:ident: $($name:ident)*;)*) => {
        /// An operation of S3.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $($($name,)*)*
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &'static [Operation] = &[$($(Operation::$name,)*)*];

            /// As in the S3 API Reference: `GetObject`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($(Operation::$name => stringify!($name),)*)* }
            }

            #[must_use]
            pub fn class(self) -> Class {
                match self { $($(Operation::$name)|* => Class::$class,)* }
            }
        }
    };
}

operations! {
    Read:
        GetObject HeadObject GetObjectAttributes GetObjectLegalHold GetObjectRetention GetObjectTagging GetObjectTorrent
        SelectObjectContent;
    Write:
        PutObject CopyObject CreateMultipartUpload UploadPart UploadPartCopy CompleteMultipartUpload PostObject
        PutObjectTagging PutObjectLegalHold PutObjectRetention RestoreObject UpdateObjectEncryption;
    Delete:
        DeleteObject DeleteObjects DeleteObjectTagging AbortMultipartUpload DeleteBucket;
    List:
        ListBuckets ListObjects ListObjectsV2 ListObjectVersions ListMultipartUploads ListParts HeadBucket;
    Acl:
        GetObjectAcl PutObjectAcl GetBucketAcl PutBucketAcl GetBucketPolicy PutBucketPolicy DeleteBucketPolicy
        GetBucketPolicyStatus GetPublicAccessBlock PutPublicAccessBlock DeletePublicAccessBlock
        GetBucketOwnershipControls PutBucketOwnershipControls DeleteBucketOwnershipControls;
    Manage:
        CreateBucket GetBucketLocation GetBucketVersioning PutBucketVersioning
        GetBucketLifecycleConfiguration PutBucketLifecycleConfiguration DeleteBucketLifecycle
        GetBucketCors PutBucketCors DeleteBucketCors
        GetBucketWebsite PutBucketWebsite DeleteBucketWebsite
        GetBucketEncryption PutBucketEncryption DeleteBucketEncryption
        GetBucketReplication PutBucketReplication DeleteBucketReplication
        GetBucketNotificationConfiguration PutBucketNotificationConfiguration
        GetBucketLogging PutBucketLogging
        GetBucketAccelerateConfiguration PutBucketAccelerateConfiguration
        GetBucketRequestPayment PutBucketRequestPayment
        GetBucketTagging PutBucketTagging DeleteBucketTagging
        GetObjectLockConfiguration PutObjectLockConfiguration
        GetBucketAnalyticsConfiguration ListBucketAnalyticsConfigurations PutBucketAnalyticsConfiguration
        DeleteBucketAnalyticsConfiguration
        GetBucketIntelligentTieringConfiguration ListBucketIntelligentTieringConfigurations
        PutBucketIntelligentTieringConfiguration DeleteBucketIntelligentTieringConfiguration
        GetBucketInventoryConfiguration ListBucketInventoryConfigurations PutBucketInventoryConfiguration
        DeleteBucketInventoryConfiguration
        GetBucketMetricsConfiguration ListBucketMetricsConfigurations PutBucketMetricsConfiguration
        DeleteBucketMetricsConfiguration
        GetBucketMetadataTableConfiguration CreateBucketMetadataTableConfiguration
        DeleteBucketMetadataTableConfiguration GetBucketMetadataConfiguration CreateBucketMetadataConfiguration
        DeleteBucketMetadataConfiguration UpdateBucketMetadataInventoryTableConfiguration
        UpdateBucketMetadataJournalTableConfiguration GetBucketAbac PutBucketAbac;
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
