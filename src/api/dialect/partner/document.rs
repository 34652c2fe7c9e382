//! Policy documents as the API takes them: Version 2012-10-17, and no action that the engine does not know, since one that can never
//! match is a mistake somebody should hear of (Tigris documentation, "Supported actions").
//!
//! Not here: the language itself (`policy`).

use crate::ledger::Refusal;
use crate::model::text::excerpt;
use crate::policy::{Document, DocumentKind, Language};
use serde_json::value::RawValue;
use std::sync::Arc;

/// A document as its author wrote it, checked.
///
/// # Errors
/// What is wrong with it, and where.
pub fn checked(text: &str) -> Result<Arc<str>, String> {
    let document = Document::parse(text, DocumentKind::Managed).map_err(|error| Refusal::from(error).to_string())?;
    if document.language() != Language::V2012 {
        return Err("Version: expected \"2012-10-17\"".to_owned());
    }
    match document.unknown_action() {
        Some(action) => {
            Err(format!("the action `{}` is not known here, so it would never match", excerpt(action, 128)))
        }
        None => Ok(text.into()),
    }
}

/// The text of a document that stands in a body: an object as it is, or a string that holds one.
pub fn text_of(raw: &RawValue) -> Result<String, String> {
    if raw.get().starts_with('"') {
        return serde_json::from_str(raw.get()).map_err(|_| "the document is no text".to_owned());
    }
    Ok(raw.get().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(action: &str, version: &str) -> String {
        format!(r#"{{"Version":"{version}","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#)
    }

    #[test]
    fn an_action_that_nothing_has_is_an_error_and_so_is_an_old_version() {
        for good in ["s3:GetObject", "s3:getobject", "s3:Get*", "s3:*", "*", "s3:PutObject"] {
            assert!(checked(&with(good, "2012-10-17")).is_ok(), "{good}");
        }
        // What Tigris lists as supported.
        for action in [
            "AbortMultipartUpload",
            "CreateBucket",
            "DeleteBucket",
            "DeleteObject",
            "DeleteObjectTagging",
            "GetAccelerateConfiguration",
            "GetBucketAcl",
            "GetBucketCORS",
            "GetBucketOwnershipControls",
            "GetBucketPolicyStatus",
            "GetBucketRequestPayment",
            "GetBucketTagging",
            "GetLifecycleConfiguration",
            "GetObject",
            "GetObjectAcl",
            "GetObjectTagging",
            "ListAllMyBuckets",
            "ListBucket",
            "ListBucketMultipartUploads",
            "ListMultipartUploadParts",
            "PutAccelerateConfiguration",
            "PutBucketAcl",
            "PutBucketCORS",
            "PutLifecycleConfiguration",
            "PutBucketOwnershipControls",
            "PutBucketTagging",
            "PutObject",
            "PutObjectAcl",
            "PutObjectTagging",
            "RestoreObject",
        ] {
            assert!(checked(&with(&format!("s3:{action}"), "2012-10-17")).is_ok(), "{action}");
        }
        for bad in ["s3:GetObjekt", "s4:*", "s3:Grab*"] {
            let error = checked(&with(bad, "2012-10-17")).unwrap_err();
            assert!(error.contains(bad), "{error}");
        }
        assert!(checked(&with("s3:*", "2008-10-17")).unwrap_err().contains("2012-10-17"));
        assert!(checked("{}").is_err());
    }
}
