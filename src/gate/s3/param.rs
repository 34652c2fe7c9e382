//! The parameters a query may have.
//!
//! A *selector* chooses the operation (`?acl`); any other belongs to some operations and changes what they do. A parameter that
//! nobody knows could be one to whoever serves the request, so it is refused; only `x-…` is free, as S3 leaves it to clients.
//!
//! Not here: which operation takes which (`table`).

use crate::gate::Denied;
use crate::model::text::excerpt;
use crate::sigv4::{query_pairs, query_text};
use std::borrow::Cow;

macro_rules! params {
    ($($kind:ident: $($name:ident $text:literal)*;)*) => {
        /// A parameter that S3 knows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Param {
            $($(#[doc = $text] $name,)*)*
        }

        impl Param {
            #[cfg(test)]
            pub const ALL: &'static [Param] = &[$($(Param::$name,)*)*];

            pub const fn as_str(self) -> &'static str {
                match self { $($(Param::$name => $text,)*)* }
            }

            pub const fn is_selector(self) -> bool {
                matches!(Kind::of(self), Kind::Selector)
            }

            fn find(text: &str) -> Option<Self> {
                match text {
                    $($($text => Some(Param::$name),)*)*
                    _ => None,
                }
            }
        }

        enum Kind {
            Selector,
            Plain,
        }

        impl Kind {
            const fn of(param: Param) -> Self {
                match param { $($(Param::$name)|* => Kind::$kind,)* }
            }
        }
    };
}

params! {
    Selector:
        Abac "abac" Accelerate "accelerate" Acl "acl" Analytics "analytics" Attributes "attributes" Cors "cors"
        Delete "delete" Encryption "encryption" IntelligentTiering "intelligent-tiering" Inventory "inventory"
        LegalHold "legal-hold" Lifecycle "lifecycle" ListType "list-type" Location "location" Logging "logging"
        MetadataConfiguration "metadataConfiguration" MetadataInventoryTable "metadataInventoryTable"
        MetadataJournalTable "metadataJournalTable" MetadataTable "metadataTable" Metrics "metrics"
        Notification "notification" ObjectLock "object-lock" OwnershipControls "ownershipControls" Policy "policy"
        PolicyStatus "policyStatus" PublicAccessBlock "publicAccessBlock" Replication "replication"
        RequestPayment "requestPayment" Restore "restore" Retention "retention" Select "select" Tagging "tagging"
        Torrent "torrent" UploadId "uploadId" Uploads "uploads" Versioning "versioning" Versions "versions"
        Website "website";
    Plain:
        BucketRegion "bucket-region" ContinuationToken "continuation-token" Delimiter "delimiter"
        EncodingType "encoding-type" FetchOwner "fetch-owner" Id "id" KeyMarker "key-marker" Marker "marker"
        MaxBuckets "max-buckets" MaxKeys "max-keys" MaxParts "max-parts" MaxUploads "max-uploads"
        PartNumber "partNumber" PartNumberMarker "part-number-marker" Prefix "prefix"
        ResponseCacheControl "response-cache-control" ResponseContentDisposition "response-content-disposition"
        ResponseContentEncoding "response-content-encoding" ResponseContentLanguage "response-content-language"
        ResponseContentType "response-content-type" ResponseExpires "response-expires" SelectType "select-type"
        StartAfter "start-after" UploadIdMarker "upload-id-marker" VersionId "versionId"
        VersionIdMarker "version-id-marker";
}

/// A query, read once.
#[derive(Debug, Default)]
pub(crate) struct Query<'a> {
    /// Parameters other than those of the signature, in order.
    given: Vec<(Param, Cow<'a, str>)>,
    pub selector: Option<Param>,
}

impl<'a> Query<'a> {
    /// # Errors
    /// [`Denied`]: what is given twice, unknown, contradictory or no UTF-8.
    pub fn read(query: &'a [u8]) -> Result<Self, Denied> {
        let mut read = Self::default();
        for (name, value) in query_pairs(query) {
            let name = query_text(name).ok_or_else(|| Denied::invalid_argument("A query parameter is not UTF-8"))?;
            let Some(param) = Param::find(&name) else {
                foreign(&name)?;
                continue;
            };
            if read.has(param) {
                return Err(twice(&name));
            }
            if param.is_selector() && read.selector.replace(param).is_some() {
                return Err(Denied::invalid_argument("Conflicting query parameters"));
            }
            let value = query_text(value)
                .ok_or_else(|| Denied::invalid_argument(format!("The value of {} is not UTF-8", param.as_str())))?;
            read.given.push((param, value));
        }
        Ok(read)
    }

    pub fn value(&self, param: Param) -> Option<&str> {
        self.given.iter().find(|(given, _)| *given == param).map(|(_, value)| &**value)
    }

    pub fn has(&self, param: Param) -> bool {
        self.value(param).is_some()
    }

    /// Those that choose nothing.
    pub fn plain(&self) -> impl Iterator<Item = Param> {
        self.given.iter().map(|(param, _)| *param).filter(|param| !param.is_selector())
    }
}

/// A parameter of the signature, or one that S3 leaves to clients; anything else is refused.
fn foreign(name: &str) -> Result<(), Denied> {
    const SIGNATURE: [&str; 8] = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
        "X-Amz-Content-Sha256",
    ];
    let begins = |head: &str| name.get(..head.len()).is_some_and(|start| start.eq_ignore_ascii_case(head));
    // Some SDKs move headers into presigned URLs. Those that ask for rights (ACL, tags, a copy source) would have to be decided, so
    // only what speaks of the body's checksum and of the client is let through.
    let harmless = || begins("x-amz-checksum-") || begins("x-amz-sdk-") || begins("x-amz-user-agent");
    match name {
        _ if SIGNATURE.contains(&name) => Ok(()),
        _ if begins("x-amz-") && !harmless() => Err(not_implemented(name)),
        _ if begins("x-") => Ok(()),
        _ => Err(not_implemented(name)),
    }
}

fn twice(name: &str) -> Denied {
    Denied::invalid_argument(format!("Query parameter {} is given more than once", excerpt(name, 64)))
}

fn not_implemented(name: &str) -> Denied {
    Denied::new(
        "NotImplemented",
        501,
        format!("A header or query you provided implies functionality that is not implemented: {}", excerpt(name, 64)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(query: &str) -> &'static str {
        Query::read(query.as_bytes()).map_or_else(|denied| denied.code(), |_| "ok")
    }

    #[test]
    fn every_parameter_is_found_by_its_name_and_in_no_other_case() {
        for param in Param::ALL {
            assert_eq!(Param::find(param.as_str()), Some(*param));
            assert_eq!(Param::find(&param.as_str().to_ascii_uppercase()), None);
        }
    }

    #[test]
    fn a_parameter_is_given_once_and_one_operation_chosen() {
        assert_eq!(code("prefix=a&delimiter=%2F&list-type=2&x-id=ListObjectsV2"), "ok");
        assert_eq!(code("acl&tagging"), "InvalidArgument");
        assert_eq!(code("acl&acl"), "InvalidArgument");
        assert_eq!(code("acl&%61cl"), "InvalidArgument");
        assert_eq!(code("versionId=1&versionId=1"), "InvalidArgument");
        assert_eq!(code("prefix=%ff"), "InvalidArgument");
        assert_eq!(code("%ff"), "InvalidArgument");
    }

    #[test]
    fn what_nobody_knows_is_refused_but_for_what_s3_leaves_to_clients() {
        for known in ["X-Amz-Signature=a&X-Amz-Date=b", "x-id=a", "x-custom=1", "x-amz-checksum-mode=ENABLED", ""] {
            assert_eq!(code(known), "ok", "{known}");
        }
        for unknown in [
            "Acl",
            "foo=1",
            "session",
            "renameObject",
            "x-amz-acl=public-read",
            "X-Amz-Copy-Source=b/k",
            "=",
            "uploadid=1",
        ] {
            assert_eq!(code(unknown), "NotImplemented", "{unknown}");
        }
    }
}
