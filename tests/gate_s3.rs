//! tests/gate_s3.rs: which right each operation of S3 takes, of what, and under which conditions.
//!
//! Each row is tried with a key that has just that right, and with one that has every other.

mod gated;

use gated::{ALL, Call, EMPTY, HOST, Key, REGION, SECOND, World, allow, code, options};
use keyledger::gate::{
    Admitted, Denied, FromBody, Further, Gate, GateOptions, ObjectTags, Operation, Pending, RequestView,
};
use keyledger::model::bytes::Hex;
use keyledger::sigv4::{SigningKey, amz_date, form_head};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Method, target, operation, action, resource behind `arn:aws:s3:::`.
const ROWS: &[(&str, &str, &str, &str, &str)] = &[
    ("GET", "/", "ListBuckets", "s3:ListAllMyBuckets", "*"),
    ("GET", "/?max-buckets=5&prefix=a", "ListBuckets", "s3:ListAllMyBuckets", "*"),
    ("HEAD", "/photos", "HeadBucket", "s3:ListBucket", "photos"),
    ("GET", "/photos", "ListObjects", "s3:ListBucket", "photos"),
    ("GET", "/photos?prefix=a&delimiter=/&marker=b&max-keys=9", "ListObjects", "s3:ListBucket", "photos"),
    ("GET", "/photos/?list-type=2&start-after=a&fetch-owner=true", "ListObjectsV2", "s3:ListBucket", "photos"),
    ("GET", "/photos?versions&key-marker=a", "ListObjectVersions", "s3:ListBucketVersions", "photos"),
    ("GET", "/photos?uploads", "ListMultipartUploads", "s3:ListBucketMultipartUploads", "photos"),
    ("GET", "/photos?location", "GetBucketLocation", "s3:GetBucketLocation", "photos"),
    ("GET", "/photos?versioning", "GetBucketVersioning", "s3:GetBucketVersioning", "photos"),
    ("PUT", "/photos?versioning", "PutBucketVersioning", "s3:PutBucketVersioning", "photos"),
    ("GET", "/photos?acl", "GetBucketAcl", "s3:GetBucketAcl", "photos"),
    ("PUT", "/photos?acl", "PutBucketAcl", "s3:PutBucketAcl", "photos"),
    ("GET", "/photos?policy", "GetBucketPolicy", "s3:GetBucketPolicy", "photos"),
    ("PUT", "/photos?policy", "PutBucketPolicy", "s3:PutBucketPolicy", "photos"),
    ("DELETE", "/photos?policy", "DeleteBucketPolicy", "s3:DeleteBucketPolicy", "photos"),
    ("GET", "/photos?policyStatus", "GetBucketPolicyStatus", "s3:GetBucketPolicyStatus", "photos"),
    ("GET", "/photos?publicAccessBlock", "GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock", "photos"),
    ("PUT", "/photos?publicAccessBlock", "PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock", "photos"),
    ("DELETE", "/photos?publicAccessBlock", "DeletePublicAccessBlock", "s3:PutBucketPublicAccessBlock", "photos"),
    ("GET", "/photos?ownershipControls", "GetBucketOwnershipControls", "s3:GetBucketOwnershipControls", "photos"),
    ("PUT", "/photos?ownershipControls", "PutBucketOwnershipControls", "s3:PutBucketOwnershipControls", "photos"),
    ("DELETE", "/photos?ownershipControls", "DeleteBucketOwnershipControls", "s3:PutBucketOwnershipControls", "photos"),
    ("GET", "/photos?lifecycle", "GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration", "photos"),
    ("PUT", "/photos?lifecycle", "PutBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration", "photos"),
    ("DELETE", "/photos?lifecycle", "DeleteBucketLifecycle", "s3:PutLifecycleConfiguration", "photos"),
    ("GET", "/photos?cors", "GetBucketCors", "s3:GetBucketCORS", "photos"),
    ("PUT", "/photos?cors", "PutBucketCors", "s3:PutBucketCORS", "photos"),
    ("DELETE", "/photos?cors", "DeleteBucketCors", "s3:PutBucketCORS", "photos"),
    ("GET", "/photos?website", "GetBucketWebsite", "s3:GetBucketWebsite", "photos"),
    ("PUT", "/photos?website", "PutBucketWebsite", "s3:PutBucketWebsite", "photos"),
    ("DELETE", "/photos?website", "DeleteBucketWebsite", "s3:DeleteBucketWebsite", "photos"),
    ("GET", "/photos?encryption", "GetBucketEncryption", "s3:GetEncryptionConfiguration", "photos"),
    ("PUT", "/photos?encryption", "PutBucketEncryption", "s3:PutEncryptionConfiguration", "photos"),
    ("DELETE", "/photos?encryption", "DeleteBucketEncryption", "s3:PutEncryptionConfiguration", "photos"),
    ("GET", "/photos?replication", "GetBucketReplication", "s3:GetReplicationConfiguration", "photos"),
    ("PUT", "/photos?replication", "PutBucketReplication", "s3:PutReplicationConfiguration", "photos"),
    ("DELETE", "/photos?replication", "DeleteBucketReplication", "s3:PutReplicationConfiguration", "photos"),
    ("GET", "/photos?notification", "GetBucketNotificationConfiguration", "s3:GetBucketNotification", "photos"),
    ("PUT", "/photos?notification", "PutBucketNotificationConfiguration", "s3:PutBucketNotification", "photos"),
    ("GET", "/photos?logging", "GetBucketLogging", "s3:GetBucketLogging", "photos"),
    ("PUT", "/photos?logging", "PutBucketLogging", "s3:PutBucketLogging", "photos"),
    ("GET", "/photos?accelerate", "GetBucketAccelerateConfiguration", "s3:GetAccelerateConfiguration", "photos"),
    ("PUT", "/photos?accelerate", "PutBucketAccelerateConfiguration", "s3:PutAccelerateConfiguration", "photos"),
    ("GET", "/photos?requestPayment", "GetBucketRequestPayment", "s3:GetBucketRequestPayment", "photos"),
    ("PUT", "/photos?requestPayment", "PutBucketRequestPayment", "s3:PutBucketRequestPayment", "photos"),
    ("GET", "/photos?tagging", "GetBucketTagging", "s3:GetBucketTagging", "photos"),
    ("PUT", "/photos?tagging", "PutBucketTagging", "s3:PutBucketTagging", "photos"),
    ("DELETE", "/photos?tagging", "DeleteBucketTagging", "s3:PutBucketTagging", "photos"),
    ("GET", "/photos?object-lock", "GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration", "photos"),
    ("PUT", "/photos?object-lock", "PutObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration", "photos"),
    ("GET", "/photos?analytics&id=a", "GetBucketAnalyticsConfiguration", "s3:GetAnalyticsConfiguration", "photos"),
    ("GET", "/photos?analytics", "ListBucketAnalyticsConfigurations", "s3:GetAnalyticsConfiguration", "photos"),
    ("PUT", "/photos?analytics&id=a", "PutBucketAnalyticsConfiguration", "s3:PutAnalyticsConfiguration", "photos"),
    (
        "DELETE",
        "/photos?analytics&id=a",
        "DeleteBucketAnalyticsConfiguration",
        "s3:PutAnalyticsConfiguration",
        "photos",
    ),
    (
        "GET",
        "/photos?intelligent-tiering&id=a",
        "GetBucketIntelligentTieringConfiguration",
        "s3:GetIntelligentTieringConfiguration",
        "photos",
    ),
    (
        "GET",
        "/photos?intelligent-tiering",
        "ListBucketIntelligentTieringConfigurations",
        "s3:GetIntelligentTieringConfiguration",
        "photos",
    ),
    (
        "PUT",
        "/photos?intelligent-tiering&id=a",
        "PutBucketIntelligentTieringConfiguration",
        "s3:PutIntelligentTieringConfiguration",
        "photos",
    ),
    (
        "DELETE",
        "/photos?intelligent-tiering&id=a",
        "DeleteBucketIntelligentTieringConfiguration",
        "s3:PutIntelligentTieringConfiguration",
        "photos",
    ),
    ("GET", "/photos?inventory&id=a", "GetBucketInventoryConfiguration", "s3:GetInventoryConfiguration", "photos"),
    (
        "GET",
        "/photos?inventory&continuation-token=a",
        "ListBucketInventoryConfigurations",
        "s3:GetInventoryConfiguration",
        "photos",
    ),
    ("PUT", "/photos?inventory&id=a", "PutBucketInventoryConfiguration", "s3:PutInventoryConfiguration", "photos"),
    (
        "DELETE",
        "/photos?inventory&id=a",
        "DeleteBucketInventoryConfiguration",
        "s3:PutInventoryConfiguration",
        "photos",
    ),
    ("GET", "/photos?metrics&id=a", "GetBucketMetricsConfiguration", "s3:GetMetricsConfiguration", "photos"),
    ("GET", "/photos?metrics", "ListBucketMetricsConfigurations", "s3:GetMetricsConfiguration", "photos"),
    ("PUT", "/photos?metrics&id=a", "PutBucketMetricsConfiguration", "s3:PutMetricsConfiguration", "photos"),
    ("DELETE", "/photos?metrics&id=a", "DeleteBucketMetricsConfiguration", "s3:PutMetricsConfiguration", "photos"),
    (
        "GET",
        "/photos?metadataTable",
        "GetBucketMetadataTableConfiguration",
        "s3:GetBucketMetadataTableConfiguration",
        "photos",
    ),
    (
        "POST",
        "/photos?metadataTable",
        "CreateBucketMetadataTableConfiguration",
        "s3:CreateBucketMetadataTableConfiguration",
        "photos",
    ),
    (
        "DELETE",
        "/photos?metadataTable",
        "DeleteBucketMetadataTableConfiguration",
        "s3:DeleteBucketMetadataTableConfiguration",
        "photos",
    ),
    (
        "GET",
        "/photos?metadataConfiguration",
        "GetBucketMetadataConfiguration",
        "s3:GetBucketMetadataTableConfiguration",
        "photos",
    ),
    (
        "POST",
        "/photos?metadataConfiguration",
        "CreateBucketMetadataConfiguration",
        "s3:CreateBucketMetadataTableConfiguration",
        "photos",
    ),
    (
        "DELETE",
        "/photos?metadataConfiguration",
        "DeleteBucketMetadataConfiguration",
        "s3:DeleteBucketMetadataTableConfiguration",
        "photos",
    ),
    (
        "PUT",
        "/photos?metadataInventoryTable",
        "UpdateBucketMetadataInventoryTableConfiguration",
        "s3:UpdateBucketMetadataInventoryTableConfiguration",
        "photos",
    ),
    (
        "PUT",
        "/photos?metadataJournalTable",
        "UpdateBucketMetadataJournalTableConfiguration",
        "s3:UpdateBucketMetadataJournalTableConfiguration",
        "photos",
    ),
    ("GET", "/photos?abac", "GetBucketAbac", "s3:GetBucketAbac", "photos"),
    ("PUT", "/photos?abac", "PutBucketAbac", "s3:PutBucketAbac", "photos"),
    ("PUT", "/newbucket", "CreateBucket", "s3:CreateBucket", "newbucket"),
    ("DELETE", "/photos", "DeleteBucket", "s3:DeleteBucket", "photos"),
    ("GET", "/photos/a/b", "GetObject", "s3:GetObject", "photos/a/b"),
    ("GET", "/photos/a?partNumber=1&response-content-type=x", "GetObject", "s3:GetObject", "photos/a"),
    ("GET", "/photos/a?versionId=3", "GetObject", "s3:GetObjectVersion", "photos/a"),
    ("GET", "/photos/a?versionId=null", "GetObject", "s3:GetObjectVersion", "photos/a"),
    ("HEAD", "/photos/a", "HeadObject", "s3:GetObject", "photos/a"),
    ("HEAD", "/photos/a?versionId=3", "HeadObject", "s3:GetObjectVersion", "photos/a"),
    ("GET", "/photos/a?acl", "GetObjectAcl", "s3:GetObjectAcl", "photos/a"),
    ("GET", "/photos/a?acl&versionId=3", "GetObjectAcl", "s3:GetObjectVersionAcl", "photos/a"),
    ("GET", "/photos/a?legal-hold", "GetObjectLegalHold", "s3:GetObjectLegalHold", "photos/a"),
    ("GET", "/photos/a?retention&versionId=3", "GetObjectRetention", "s3:GetObjectRetention", "photos/a"),
    ("GET", "/photos/a?tagging", "GetObjectTagging", "s3:GetObjectTagging", "photos/a"),
    ("GET", "/photos/a?tagging&versionId=3", "GetObjectTagging", "s3:GetObjectVersionTagging", "photos/a"),
    ("GET", "/photos/a?torrent", "GetObjectTorrent", "s3:GetObjectTorrent", "photos/a"),
    ("GET", "/photos/a?torrent&versionId=3", "GetObjectTorrent", "s3:GetObjectVersionTorrent", "photos/a"),
    ("GET", "/photos/a?uploadId=u&max-parts=5", "ListParts", "s3:ListMultipartUploadParts", "photos/a"),
    ("PUT", "/photos/a", "PutObject", "s3:PutObject", "photos/a"),
    ("PUT", "/photos/a?x-id=PutObject", "PutObject", "s3:PutObject", "photos/a"),
    ("PUT", "/photos/a?uploadId=u&partNumber=10000", "UploadPart", "s3:PutObject", "photos/a"),
    ("PUT", "/photos/a?acl", "PutObjectAcl", "s3:PutObjectAcl", "photos/a"),
    ("PUT", "/photos/a?acl&versionId=3", "PutObjectAcl", "s3:PutObjectVersionAcl", "photos/a"),
    ("PUT", "/photos/a?legal-hold", "PutObjectLegalHold", "s3:PutObjectLegalHold", "photos/a"),
    ("PUT", "/photos/a?retention", "PutObjectRetention", "s3:PutObjectRetention", "photos/a"),
    ("PUT", "/photos/a?tagging", "PutObjectTagging", "s3:PutObjectTagging", "photos/a"),
    ("PUT", "/photos/a?tagging&versionId=3", "PutObjectTagging", "s3:PutObjectVersionTagging", "photos/a"),
    ("PUT", "/photos/a?encryption", "UpdateObjectEncryption", "s3:UpdateObjectEncryption", "photos/a"),
    ("DELETE", "/photos/a", "DeleteObject", "s3:DeleteObject", "photos/a"),
    ("DELETE", "/photos/a?versionId=3", "DeleteObject", "s3:DeleteObjectVersion", "photos/a"),
    ("DELETE", "/photos/a?tagging", "DeleteObjectTagging", "s3:DeleteObjectTagging", "photos/a"),
    ("DELETE", "/photos/a?tagging&versionId=3", "DeleteObjectTagging", "s3:DeleteObjectVersionTagging", "photos/a"),
    ("DELETE", "/photos/a?uploadId=u", "AbortMultipartUpload", "s3:AbortMultipartUpload", "photos/a"),
    ("POST", "/photos/a?uploads", "CreateMultipartUpload", "s3:PutObject", "photos/a"),
    ("POST", "/photos/a?uploadId=u", "CompleteMultipartUpload", "s3:PutObject", "photos/a"),
    ("POST", "/photos/a?restore", "RestoreObject", "s3:RestoreObject", "photos/a"),
    ("POST", "/photos/a?select&select-type=2", "SelectObjectContent", "s3:GetObject", "photos/a"),
];

/// Operations that more than one right makes, tested apart.
const ELSEWHERE: &[Operation] = &[
    Operation::CopyObject,
    Operation::UploadPartCopy,
    Operation::GetObjectAttributes,
    Operation::DeleteObjects,
    Operation::PostObject,
];

fn statement(effect: &str, action: &str, resource: &str) -> String {
    format!(r#"{{"Effect":"{effect}","Action":"{action}","Resource":"arn:aws:s3:::{resource}"}}"#)
}

fn policy(statements: &[String]) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","))
}

#[test]
fn each_operation_takes_its_right_and_no_other() {
    let mut world = World::new();
    let (just, but) = (world.key(ALL), world.key(ALL));
    for (method, target, operation, action, resource) in ROWS {
        world.put_policy(&just, &policy(&[statement("Allow", action, resource)]));
        world.put_policy(&but, &policy(&[statement("Allow", "s3:*", "*"), statement("Deny", action, resource)]));
        let call = Call::new(method, target).header("content-length", "0");
        let admitted = world.check(&just, &call).unwrap_or_else(|denied| panic!("{method} {target}: {denied}"));
        assert_eq!(admitted.operation().as_str(), *operation, "{method} {target}");
        assert_eq!(admitted.pending(), Pending::Nothing, "{method} {target}");
        assert_eq!(world.code(&but, &call), "AccessDenied", "{method} {target} without {action}");
    }
    let tried: BTreeSet<&str> = ROWS.iter().map(|row| row.2).chain(ELSEWHERE.iter().map(|o| o.as_str())).collect();
    let all: BTreeSet<&str> = Operation::ALL.iter().map(|operation| operation.as_str()).collect();
    assert_eq!(tried, all, "every operation is tried");
}

#[test]
fn what_fits_no_operation_is_refused_even_to_whoever_may_do_everything() {
    let mut world = World::new();
    let key = world.key(ALL);
    for (method, target, expected) in [
        ("POST", "/", "MethodNotAllowed"),
        ("PUT", "/", "MethodNotAllowed"),
        ("POST", "/photos", "MethodNotAllowed"),
        ("POST", "/photos/a", "MethodNotAllowed"),
        ("PATCH", "/photos/a", "MethodNotAllowed"),
        ("get", "/photos/a", "MethodNotAllowed"),
        ("OPTIONS", "/photos/a", "MethodNotAllowed"),
        ("DELETE", "/photos?acl", "MethodNotAllowed"),
        ("HEAD", "/photos?acl", "MethodNotAllowed"),
        ("PUT", "/photos?location", "MethodNotAllowed"),
        ("GET", "/photos?delete", "MethodNotAllowed"),
        ("GET", "/photos/a?restore", "MethodNotAllowed"),
        ("GET", "/photos/a?lifecycle", "NotImplemented"),
        ("GET", "/?acl", "NotImplemented"),
        ("GET", "/photos?session", "NotImplemented"),
        ("PUT", "/photos/a?renameObject", "NotImplemented"),
        ("GET", "/photos/a?Acl", "NotImplemented"),
        ("PUT", "/photos/a?x-amz-acl=public-read", "NotImplemented"),
        ("GET", "/photos?acl&policy", "InvalidArgument"),
        ("GET", "/photos/a?versionId=1&versionId=2", "InvalidArgument"),
        ("GET", "/photos/a?versionId=", "InvalidArgument"),
        ("PUT", "/photos/a?versionId=1", "InvalidArgument"),
        ("GET", "/photos?versionId=1", "InvalidArgument"),
        ("PUT", "/photos/a?uploadId=u", "InvalidArgument"),
        ("PUT", "/photos/a?partNumber=1", "InvalidArgument"),
        ("PUT", "/photos/a?uploadId=&partNumber=1", "InvalidArgument"),
        ("PUT", "/photos/a?uploadId=u&partNumber=0", "InvalidArgument"),
        ("PUT", "/photos/a?uploadId=u&partNumber=10001", "InvalidArgument"),
        ("PUT", "/photos/a?uploadId=u&partNumber=+1", "InvalidArgument"),
        ("PUT", "/photos?analytics", "InvalidArgument"),
        ("GET", "/photos?list-type=1", "InvalidArgument"),
        ("GET", "/photos?max-keys=-1", "InvalidArgument"),
        ("GET", "/photos/a?prefix=b", "InvalidArgument"),
        ("POST", "/photos/a?select", "InvalidArgument"),
        ("GET", "/Photos/a", "InvalidBucketName"),
    ] {
        assert_eq!(world.code(&key, &Call::new(method, target)), expected, "{method} {target}");
    }
    let copy = |call: Call| call.header("x-amz-copy-source", "photos/b");
    for call in [
        Call::get("/photos/a"),
        Call::put("/photos/a?acl"),
        Call::put("/photos"),
        Call::new("POST", "/photos/a?uploads"),
    ] {
        assert_eq!(world.code(&key, &copy(call.clone())), "InvalidArgument", "{call:?}");
    }
    assert_eq!(
        world.code(&key, &Call::get("/photos/a").header("referer", "a").header("Referer", "b")),
        "InvalidArgument"
    );
}

#[test]
fn a_copy_needs_to_read_its_source() {
    let mut world = World::new();
    let key = world.key(ALL);
    let put = statement("Allow", "s3:PutObject", "photos/a");
    for (target, source, action, resource) in [
        ("/photos/a", "backups/b%20c", "s3:GetObject", "backups/b c"),
        ("/photos/a", "/backups/b?versionId=3", "s3:GetObjectVersion", "backups/b"),
        ("/photos/a?uploadId=u&partNumber=1", "backups/b", "s3:GetObject", "backups/b"),
    ] {
        let call = Call::put(target).header("x-amz-copy-source", source);
        world.put_policy(&key, &policy(std::slice::from_ref(&put)));
        assert_eq!(world.code(&key, &call), "AccessDenied", "{source}");
        world.put_policy(&key, &policy(&[statement("Allow", action, resource)]));
        assert_eq!(world.code(&key, &call), "AccessDenied", "{source}");
        world.put_policy(&key, &policy(&[put.clone(), statement("Allow", action, resource)]));
        let admitted = world.check(&key, &call).unwrap();
        let found = admitted.copy_source().expect("a copy");
        assert_eq!(format!("{}/{}", found.bucket, found.key), resource);
        assert_eq!(found.version_id.is_some(), source.contains('?'));
    }
}

#[test]
fn headers_that_ask_for_more_take_the_rights_for_it() {
    let mut world = World::new();
    let key = world.key(ALL);
    for (method, target, own, header, value, action) in [
        ("PUT", "/photos/a", "s3:PutObject", "x-amz-tagging", "team=red", "s3:PutObjectTagging"),
        ("PUT", "/photos/a", "s3:PutObject", "x-amz-acl", "public-read", "s3:PutObjectAcl"),
        ("PUT", "/photos/a", "s3:PutObject", "x-amz-grant-read", "id=\"1\"", "s3:PutObjectAcl"),
        ("PUT", "/photos/a", "s3:PutObject", "x-amz-object-lock-mode", "GOVERNANCE", "s3:PutObjectRetention"),
        ("PUT", "/photos/a", "s3:PutObject", "x-amz-object-lock-legal-hold", "ON", "s3:PutObjectLegalHold"),
        ("POST", "/photos/a?uploads", "s3:PutObject", "x-amz-tagging", "team=red", "s3:PutObjectTagging"),
        ("POST", "/photos/a?uploads", "s3:PutObject", "x-amz-acl", "private", "s3:PutObjectAcl"),
        (
            "DELETE",
            "/photos/a",
            "s3:DeleteObject",
            "x-amz-bypass-governance-retention",
            "true",
            "s3:BypassGovernanceRetention",
        ),
        (
            "DELETE",
            "/photos/a",
            "s3:DeleteObject",
            "x-amz-bypass-governance-retention",
            "yes",
            "s3:BypassGovernanceRetention",
        ),
        (
            "PUT",
            "/photos/a?retention",
            "s3:PutObjectRetention",
            "x-amz-bypass-governance-retention",
            "true",
            "s3:BypassGovernanceRetention",
        ),
        ("GET", "/photos/a?attributes", "s3:GetObjectAttributes", "x-amz-object-attributes", "ETag", "s3:GetObject"),
        ("PUT", "/newbucket", "s3:CreateBucket", "x-amz-acl", "public-read", "s3:PutBucketAcl"),
        ("PUT", "/newbucket", "s3:CreateBucket", "x-amz-grant-write", "id=\"1\"", "s3:PutBucketAcl"),
        (
            "PUT",
            "/newbucket",
            "s3:CreateBucket",
            "x-amz-object-ownership",
            "ObjectWriter",
            "s3:PutBucketOwnershipControls",
        ),
    ] {
        let call = Call::new(method, target).header("content-length", "0").header(header, value);
        world.put_policy(&key, &allow(&format!(r#""{own}""#)));
        assert_eq!(world.code(&key, &call), "AccessDenied", "{method} {target} {header}");
        world.put_policy(&key, &allow(&format!(r#""{own}","{action}""#)));
        assert_eq!(world.code(&key, &call), "ok", "{method} {target} {header}");
    }
    let lock = Call::put("/newbucket").header("content-length", "0").header("x-amz-bucket-object-lock-enabled", "true");
    world.put_policy(&key, &allow(r#""s3:CreateBucket","s3:PutBucketObjectLockConfiguration""#));
    assert_eq!(world.code(&key, &lock), "AccessDenied");
    world.put_policy(
        &key,
        &allow(r#""s3:CreateBucket","s3:PutBucketObjectLockConfiguration","s3:PutBucketVersioning""#),
    );
    assert_eq!(world.code(&key, &lock), "ok");
    world.put_policy(&key, &allow(r#""s3:CreateBucket""#));
    let private = Call::put("/newbucket").header("content-length", "0").header("x-amz-acl", "private");
    assert_eq!(world.code(&key, &private), "ok", "what a bucket is anyway");
}

#[test]
fn each_key_of_a_list_is_decided_by_itself() {
    let mut world = World::new();
    let key = world.key(&policy(&[statement("Allow", "s3:DeleteObject", "photos/own/*")]));
    let call = Call::new("POST", "/photos?delete");
    let admitted = world.check(&key, &call).unwrap();
    assert_eq!((admitted.operation(), admitted.pending()), (Operation::DeleteObjects, Pending::EachKey));
    assert!(admitted.access().is_none(), "nothing is allowed yet");
    let may = |admitted: &Admitted, key: &str, version: Option<&str>| {
        world.gate.may_delete(admitted, key, version, world.now()).map_or_else(|denied| denied.code(), |_| "ok")
    };
    assert_eq!(may(&admitted, "own/a", None), "ok");
    assert_eq!(may(&admitted, "other/a", None), "AccessDenied");
    assert_eq!(may(&admitted, "own/a", Some("3")), "AccessDenied", "that is s3:DeleteObjectVersion");
    assert_eq!(may(&admitted, "own/a", Some("")), "InvalidArgument");
    assert_eq!(may(&admitted, "own/../../backups/a", None), "InvalidArgument");
    let bypassing = world.check(&key, &call.header("x-amz-bypass-governance-retention", "true")).unwrap();
    assert_eq!(may(&bypassing, "own/a", None), "AccessDenied");
    let further = |bucket, key, operation| {
        let further = Further { operation, bucket, key, version_id: None };
        world.gate.may(&admitted, &further, world.now()).map_or_else(|denied| denied.code(), |_| "ok")
    };
    assert_eq!(further(Some("photos"), Some("own/a"), Operation::DeleteObject), "ok");
    assert_eq!(further(Some("theirs"), Some("own/a"), Operation::DeleteObject), "AccessDenied");
    assert_eq!(further(Some("photos"), None, Operation::DeleteObject), "InvalidArgument");
    assert_eq!(further(Some("photos"), None, Operation::DeleteObjects), "AccessDenied", "it has no right of its own");
}

fn under(action: &str, condition: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"{action}","Resource":"*","Condition":{condition}}}}}"#
    )
}

#[test]
fn conditions_are_answered_from_the_request() {
    let mut world = World::new();
    world.tls = Some("1.3");
    let key = world.key(ALL);
    let get = || Call::get("/photos/a").header("User-Agent", "aws-cli/2.9").header("Referer", "https://example.com/x");
    for (condition, call, expected) in [
        (r#"{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}"#, get(), true),
        (r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#, get(), false),
        (r#"{"Bool":{"aws:SecureTransport":"true"}}"#, get(), true),
        (r#"{"NumericGreaterThanEquals":{"s3:TlsVersion":"1.2"}}"#, get(), true),
        (r#"{"StringLike":{"aws:UserAgent":"aws-cli/*"}}"#, get(), true),
        (r#"{"StringLike":{"aws:Referer":"https://example.com/*"}}"#, get(), true),
        (r#"{"StringLike":{"aws:Referer":"https://example.com/*"}}"#, Call::get("/photos/a"), false),
        (r#"{"StringEquals":{"aws:RequestedRegion":"eu-central-1"}}"#, get(), true),
        (r#"{"StringEquals":{"s3:authType":"REST-HEADER","s3:signatureversion":"AWS4-HMAC-SHA256"}}"#, get(), true),
        (r#"{"NumericLessThan":{"s3:signatureAge":"600000"}}"#, get(), true),
        (r#"{"StringEquals":{"s3:x-amz-content-sha256":"UNSIGNED-PAYLOAD"}}"#, get(), false),
        (
            r#"{"StringEquals":{"s3:x-amz-content-sha256":"UNSIGNED-PAYLOAD"}}"#,
            get().header("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            true,
        ),
        (r#"{"StringLike":{"s3:prefix":"home/*"}}"#, Call::get("/photos?list-type=2&prefix=home%2Fme"), true),
        (r#"{"StringLike":{"s3:prefix":"home/*"}}"#, Call::get("/photos?list-type=2"), false),
        (r#"{"StringEquals":{"s3:prefix":""}}"#, Call::get("/photos?prefix="), true),
        (r#"{"StringEquals":{"s3:delimiter":"/"}}"#, Call::get("/photos?versions&delimiter=%2f"), true),
        (r#"{"NumericLessThanEquals":{"s3:max-keys":"10"}}"#, Call::get("/photos?max-keys=10"), true),
        (r#"{"NumericLessThanEquals":{"s3:max-keys":"10"}}"#, Call::get("/photos?max-keys=11"), false),
        (r#"{"StringEquals":{"s3:VersionId":"3"}}"#, Call::get("/photos/a?versionId=3"), true),
        (r#"{"StringEquals":{"s3:x-amz-acl":"private"}}"#, Call::put("/photos/a").header("x-amz-acl", "private"), true),
        (
            r#"{"StringEquals":{"s3:x-amz-acl":"private"}}"#,
            Call::put("/photos/a").header("x-amz-acl", "public-read"),
            false,
        ),
        (
            r#"{"StringEquals":{"s3:x-amz-server-side-encryption":"aws:kms"}}"#,
            Call::put("/photos/a").header("x-amz-server-side-encryption", "aws:kms"),
            true,
        ),
        (
            r#"{"StringEquals":{"s3:x-amz-storage-class":"GLACIER"}}"#,
            Call::put("/photos/a").header("X-Amz-Storage-Class", "GLACIER"),
            true,
        ),
        (
            r#"{"Null":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"false"}}"#,
            Call::put("/photos/a").header("x-amz-server-side-encryption-aws-kms-key-id", "k"),
            true,
        ),
        (r#"{"Null":{"s3:x-amz-grant-read":"true"}}"#, Call::put("/photos/a"), true),
        (r#"{"Null":{"s3:if-none-match":"false"}}"#, Call::put("/photos/a").header("If-None-Match", "*"), true),
        (
            r#"{"StringEquals":{"s3:RequestObjectTag/team":"red"}}"#,
            Call::put("/photos/a").header("x-amz-tagging", "team=red&a=b"),
            true,
        ),
        (
            r#"{"StringEquals":{"s3:RequestObjectTag/team":"red"}}"#,
            Call::put("/photos/a").header("x-amz-tagging", "team=blue"),
            false,
        ),
        (
            r#"{"ForAllValues:StringEquals":{"s3:RequestObjectTagKeys":["team","cost"]}}"#,
            Call::put("/photos/a").header("x-amz-tagging", "team=1&cost=2"),
            true,
        ),
        (
            r#"{"ForAllValues:StringEquals":{"s3:RequestObjectTagKeys":["team","cost"]}}"#,
            Call::put("/photos/a").header("x-amz-tagging", "team=1&x=2"),
            false,
        ),
        (
            r#"{"NumericLessThanEquals":{"s3:object-lock-remaining-retention-days":"10"}}"#,
            Call::put("/photos/a").header("x-amz-object-lock-retain-until-date", "2026-12-01T00:00:00Z"),
            true,
        ),
        (
            r#"{"NumericLessThanEquals":{"s3:object-lock-remaining-retention-days":"10"}}"#,
            Call::put("/photos/a").header("x-amz-object-lock-retain-until-date", "2027-12-01T00:00:00Z"),
            false,
        ),
        (r#"{"StringEquals":{"s3:ResourceAccount":"123456789012"}}"#, get(), true),
    ] {
        world.put_policy(&key, &under("s3:*", condition));
        assert_eq!(world.code(&key, &call) == "ok", expected, "{condition} {call:?}");
    }
}

#[test]
fn headers_of_a_copy_say_nothing_about_its_source() {
    let mut world = World::new();
    let key = world.key(ALL);
    let statements = [
        statement("Allow", "s3:Put*", "*"),
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"s3:x-amz-acl":"private"}}}"#
            .to_owned(),
    ];
    world.put_policy(&key, &policy(&statements));
    let call = Call::put("/photos/a").header("x-amz-copy-source", "photos/b").header("x-amz-acl", "private");
    assert_eq!(world.code(&key, &call), "AccessDenied");
}

#[test]
fn what_only_the_body_says_is_asked_of_it_when_a_policy_asks() {
    let mut world = World::new();
    let key = world.key(&under("s3:PutObjectTagging", r#"{"StringEquals":{"s3:RequestObjectTag/team":"red"}}"#));
    let call = Call::put("/photos/a?tagging");
    let admitted = world.check(&key, &call).unwrap();
    assert_eq!((admitted.pending(), admitted.access()), (Pending::Body, None));
    let with = |admitted: &Admitted, body: FromBody<'_>| {
        world.gate.may_with(admitted, &body, world.now()).map_or_else(|denied| denied.code(), |_| "ok")
    };
    let tags = |tags| FromBody { tags, ..FromBody::default() };
    assert_eq!(with(&admitted, tags(&[("team", "red")])), "ok");
    assert_eq!(with(&admitted, tags(&[("team", "blue")])), "AccessDenied");
    assert_eq!(with(&admitted, FromBody::default()), "AccessDenied");
    let mut denying = World::new();
    let key = denying.key(&policy(&[
        statement("Allow", "s3:*", "*"),
        r#"{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"s3:RequestObjectTag/secret":"yes"}}}"#
            .to_owned(),
    ]));
    let admitted = denying.check(&key, &call).unwrap();
    assert_eq!(admitted.pending(), Pending::Body, "not to be allowed before it is read");
    let denied = denying.gate.may_with(&admitted, &tags(&[("secret", "yes")]), denying.now());
    assert_eq!(denied.unwrap_err().code(), "AccessDenied");
    assert_eq!(denying.check(&key, &Call::put("/photos/a")).unwrap().pending(), Pending::Nothing);
}

#[test]
fn a_bucket_is_created_where_and_with_what_its_body_says() {
    let mut world = World::new();
    let key = world.key(&under("s3:CreateBucket", r#"{"StringEquals":{"s3:locationconstraint":"eu-central-1"}}"#));
    let call = Call::put("/newbucket").header("content-length", "100");
    let admitted = world.check(&key, &call).unwrap();
    assert_eq!(admitted.pending(), Pending::Body);
    let with = |world: &World, admitted: &Admitted, body: FromBody<'_>| {
        world.gate.may_with(admitted, &body, world.now()).map_or_else(|denied| denied.code(), |_| "ok")
    };
    let there = |place| FromBody { location_constraint: Some(place), ..FromBody::default() };
    assert_eq!(with(&world, &admitted, there("eu-central-1")), "ok");
    assert_eq!(with(&world, &admitted, there("us-west-2")), "AccessDenied");
    assert_eq!(world.code(&key, &Call::put("/newbucket").header("content-length", "0")), "AccessDenied");
    world.put_policy(&key, &allow(r#""s3:CreateBucket""#));
    let admitted = world.check(&key, &call).unwrap();
    assert_eq!(admitted.pending(), Pending::Body, "it may have tags");
    assert_eq!(with(&world, &admitted, FromBody::default()), "ok");
    assert_eq!(with(&world, &admitted, FromBody { tags: &[("a", "b")], ..FromBody::default() }), "AccessDenied");
    world.put_policy(&key, &allow(r#""s3:GetObject""#));
    assert_eq!(world.code(&key, &call), "AccessDenied", "whatever the body says");
}

struct Tagged;

impl ObjectTags for Tagged {
    fn tags(&self, bucket: &str, key: &str, version_id: Option<&str>) -> Vec<(String, String)> {
        match (bucket, key, version_id) {
            ("photos", "red", None) => vec![("team".into(), "red".into())],
            _ => Vec::new(),
        }
    }
}

#[test]
fn tags_of_an_object_that_is_there_come_from_whoever_has_it() {
    let mut world = World::new();
    let policy_of_red = under("s3:*", r#"{"StringEquals":{"s3:ExistingObjectTag/team":"red"}}"#);
    let key = world.key(&policy_of_red);
    let tagged = world.another_gate(GateOptions { object_tags: Some(Arc::new(Tagged)), ..options() });
    let at =
        |world: &World, gate: &Gate, call: &Call| code(&world.send_to(gate, &call.clone().signed(&key, world.now())));
    assert_eq!(at(&world, &tagged, &Call::get("/photos/red")), "ok");
    assert_eq!(at(&world, &tagged, &Call::get("/photos/blue")), "AccessDenied");
    assert_eq!(at(&world, &world.gate, &Call::get("/photos/red")), "AccessDenied", "nobody says which tags it has");
    assert_eq!(at(&world, &tagged, &Call::put("/photos/red")), "AccessDenied", "not a key of s3:PutObject");
    world.put_policy(&key, &allow(r#""s3:PutObject","s3:GetObject""#));
    let copy = |source: &str| Call::put("/photos/b").header("x-amz-copy-source", source);
    assert_eq!(at(&world, &tagged, &copy("photos/blue")), "ok");
    assert_eq!(at(&world, &tagged, &copy("photos/red")), "AccessDenied", "its tags go along");
    assert_eq!(at(&world, &tagged, &copy("photos/red").header("x-amz-tagging-directive", "REPLACE")), "ok");
    world.put_policy(&key, &allow(r#""s3:PutObject","s3:GetObject","s3:GetObjectTagging","s3:PutObjectTagging""#));
    assert_eq!(at(&world, &tagged, &copy("photos/red")), "ok");
}

// Forms.

fn form(key: &Key, at: keyledger::model::Time, fields: &[(&str, &str)], file_name: &str) -> String {
    let scope = format!("{}/{REGION}/s3/aws4_request", &amz_date(at)[..8]);
    let credential = format!("{}/{scope}", key.id);
    let date = amz_date(at);
    let mut all =
        vec![("x-amz-algorithm", "AWS4-HMAC-SHA256"), ("x-amz-credential", &credential), ("x-amz-date", &date)];
    all.extend(fields);
    let conditions: Vec<String> = all
        .iter()
        .map(|(name, _)| format!(r#"["starts-with","${name}",""]"#))
        .chain([r#"{"bucket":"photos"}"#.into(), r#"["content-length-range",1,100]"#.into()])
        .collect();
    let document = format!(r#"{{"expiration":"2026-11-25T21:00:00Z","conditions":[{}]}}"#, conditions.join(","));
    let policy = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, document);
    let signature = SigningKey::derive(key.secret.as_bytes(), &date[..8], REGION, "s3").sign(policy.as_bytes());
    let signature = Hex(&signature).to_string();
    all.extend([("policy", policy.as_str()), ("x-amz-signature", &signature)]);
    let part = |(name, value): &(&str, &str)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let parts: Vec<String> = all.iter().map(part).collect();
    parts.concat()
        + &format!(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file_name}\"\r\n\r\nhello\r\n--b--\r\n"
        )
}

fn post(world: &World, call: &Call, body: &str) -> Result<Admitted, Denied> {
    let head =
        form_head("multipart/form-data; boundary=b", body.as_bytes()).expect("a form").expect("the file has begun");
    world.view(call, |view| world.gate.check_form(view, &head, world.now(), None)).map(|(admitted, range)| {
        assert_eq!((range.least, range.most), (1, 100));
        admitted
    })
}

#[test]
fn an_upload_by_form_is_decided_like_a_put() {
    let mut world = World::new();
    let key = world.key(&policy(&[statement("Allow", "s3:PutObject", "photos/user/*")]));
    let now = world.now();
    let call = Call::new("POST", "/photos");
    let admitted = post(&world, &call, &form(&key, now, &[("key", "user/${filename}")], "C:\\pics\\cat.jpg")).unwrap();
    assert_eq!((admitted.operation(), admitted.object_key()), (Operation::PostObject, Some("user/cat.jpg")));
    assert!(admitted.access().is_some());
    let code_of = |call: &Call, fields: &[(&str, &str)]| code(&post(&world, call, &form(&key, now, fields, "f")));
    assert_eq!(code_of(&call, &[("key", "other/a")]), "AccessDenied");
    assert_eq!(code_of(&call, &[("key", "user/../a")]), "InvalidArgument");
    assert_eq!(code_of(&call, &[("key", "/a")]), "InvalidArgument");
    assert_eq!(code_of(&call, &[("key", "user/a"), ("acl", "public-read")]), "AccessDenied", "s3:PutObjectAcl");
    assert_eq!(code_of(&call, &[("key", "user/a"), ("x-amz-tagging", "a=b")]), "AccessDenied");
    assert_eq!(code_of(&call, &[("key", "user/a"), ("tagging", "<Tagging/>")]), "AccessDenied");
    assert_eq!(code_of(&call, &[("key", "user/a"), ("x-amz-copy-source", "photos/b")]), "InvalidArgument");
    assert_eq!(code_of(&call, &[("key", "user/a"), ("x-amz-security-token", "t")]), "InvalidToken");
    assert_eq!(code_of(&Call::new("POST", "/photos?acl"), &[("key", "user/a")]), "InvalidArgument");
    assert_eq!(code_of(&Call::new("POST", "/photos/a"), &[("key", "user/a")]), "MethodNotAllowed");
    assert_eq!(code_of(&Call::put("/photos"), &[("key", "user/a")]), "MethodNotAllowed");
    assert_eq!(code_of(&call.clone().header("x-amz-acl", "public-read"), &[("key", "user/a")]), "AccessDenied");
    assert_eq!(code_of(&call.clone().header("authorization", "x"), &[("key", "user/a")]), "InvalidArgument");
    assert_eq!(
        code_of(&Call::new("POST", "/backups"), &[("key", "user/a")]),
        "AccessDenied",
        "the policy names photos"
    );
    let wrong = Key { secret: "wrong".into(), ..key.clone() };
    assert_eq!(code(&post(&world, &call, &form(&wrong, now, &[("key", "user/a")], "f"))), "SignatureDoesNotMatch");
    let nobody = Key::new("NQAKP9KGWNTD0GP5RENV", "x");
    assert_eq!(code(&post(&world, &call, &form(&nobody, now, &[("key", "user/a")], "f"))), "InvalidAccessKeyId");
}

#[test]
fn a_presigned_url_is_decided_like_any_request() {
    let mut world = World::new();
    let (id, secret) = ("NQAKP9KGWNTD0GP5RENV", "rz9nBempcvb0UA09ty3ZSlAHkjDNgnGe5hh7hYuE");
    let key = world.import(id, secret, &under("s3:*", r#"{"StringEquals":{"s3:authType":"REST-QUERY-STRING"}}"#));
    let target = presigned(&key, "/photos/a?versionId=3", world.now());
    let call = Call::get(&target);
    let admitted = world.send(&call).unwrap();
    assert_eq!((admitted.operation(), admitted.version_id()), (Operation::GetObject, Some("3")));
    assert_eq!(code(&world.send(&Call::get(&format!("{target}&acl")))), "SignatureDoesNotMatch");
    assert_eq!(code(&world.send(&call.clone().header("x-amz-copy-source", "photos/b"))), "AccessDenied");
    assert_eq!(world.code(&key, &Call::get("/photos/a")), "AccessDenied", "the policy asks for a URL");
    world.after(61 * SECOND);
    assert_eq!(code(&world.send(&call)), "AccessDenied", "it has expired");
}

/// A URL valid for 60 s, made with the library's own explanation of what has to be signed.
fn presigned(key: &Key, target: &str, at: keyledger::model::Time) -> String {
    let date = amz_date(at);
    let target = format!(
        "{target}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}%2F{}%2F{REGION}%2Fs3%2Faws4_request&X-Amz-Date={date}&X-Amz-Expires=60&X-Amz-SignedHeaders=host",
        key.id,
        &date[..8]
    );
    let probe = format!("{target}&X-Amz-Signature={EMPTY}");
    let headers = [("host", HOST.as_bytes())];
    let request = keyledger::sigv4::Request { method: "GET", target: probe.as_bytes(), headers: &headers };
    let mut scratch = keyledger::sigv4::Scratch::new();
    let regions = [REGION];
    let rules = keyledger::sigv4::Rules::s3(&regions);
    let (_, to_sign) =
        keyledger::sigv4::parse(&request, &rules, at, &mut scratch).expect("a claim").explain(None).expect("canonical");
    let signature = SigningKey::derive(key.secret.as_bytes(), &date[..8], REGION, "s3").sign(to_sign.as_bytes());
    let signature = Hex(&signature).to_string();
    format!("{target}&X-Amz-Signature={signature}")
}

// Anything at all.

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        Just("versionId".to_owned()),
        Just("uploadId".to_owned()),
        Just("acl".to_owned()),
        Just("delete".to_owned()),
        Just("..".to_owned()),
        Just("%2e%2e".to_owned()),
        Just("%2F".to_owned()),
        Just("%".to_owned()),
        "\\PC{0,6}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_request_panics_and_none_is_allowed_that_no_policy_allows(
        method in prop_oneof![Just("GET"), Just("PUT"), Just("POST"), Just("DELETE"), Just("HEAD"), Just("X")],
        path in prop::collection::vec(any_text(), 0..5),
        query in prop::collection::vec((any_text(), any_text()), 0..4),
        headers in prop::collection::vec((any_text(), prop::collection::vec(any::<u8>(), 0..20)), 0..4),
    ) {
        thread_local! {
            static WORLDS: (World, World, Key) = {
                let mut world = World::new();
                let key = world.key(&policy(&[statement("Deny", "s3:DeleteObject", "*")]));
                (World::empty(), world, key)
            };
        }
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let target = format!("/{}?{}", path.join("/"), query.join("&"));
        let mut call = Call::new(method, &target);
        for (name, value) in headers {
            call.headers.push((format!("x-amz-{}", name.replace(|c: char| !c.is_ascii_alphanumeric(), "")), value));
        }
        WORLDS.with(|(empty, world, key)| {
            prop_assert!(empty.send(&call).is_err());
            if let Some(signed) = call.clone().try_signed(key, world.now()) {
                prop_assert!(empty.send(&signed).is_err());
                match world.send(&signed) {
                    // A list of keys has no right of its own; each key is asked for.
                    Ok(admitted) => {
                        prop_assert_eq!(admitted.pending(), Pending::EachKey);
                        prop_assert!(world.gate.may_delete(&admitted, "a", None, world.now()).is_err());
                    }
                    Err(denied) => prop_assert!((400..=503).contains(&denied.status())),
                }
            }
            Ok(())
        })?;
    }
}

#[test]
fn a_view_needs_no_headers() {
    let world = World::new();
    let view = RequestView { method: "GET", target: b"", headers: &[], peer: world.peer, tls: None };
    assert_eq!(world.gate.check(&view, world.now(), None).unwrap_err().code(), "AccessDenied");
}
