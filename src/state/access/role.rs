//! Bucket roles, and the actions that rights treat by their kind.
//!
//! | role | allows, on the bucket and its objects |
//! |---|---|
//! | ReadOnly | `s3:Get*`, `s3:List*` |
//! | Editor | `s3:*` |
//! | Admin, on `*` alone | everything |
//!
//! Roles are decided here without a document; [`role_document`] writes the same down as one, and a test holds the two together.

use crate::model::{Grant, GrantRole};

/// Whether it is one of S3's actions.
pub(super) fn is_of_s3(action: &str) -> bool {
    begins(action, "s3:")
}

fn is_read(action: &str) -> bool {
    begins(action, "s3:Get") || begins(action, "s3:List")
}

/// A read of S3 that shows no ACL and no policy: what a quarantined key goes on doing.
pub(super) fn is_plain_read(action: &str) -> bool {
    let has = |word: &str| action.as_bytes().windows(word.len()).any(|at| at.eq_ignore_ascii_case(word.as_bytes()));
    is_read(action) && !has("Acl") && !has("Policy")
}

/// What `default_allow` keys may do by default.
pub(super) fn is_default(action: &str) -> bool {
    ["s3:CreateBucket", "s3:ListAllMyBuckets"].iter().any(|allowed| action.eq_ignore_ascii_case(allowed))
}

fn begins(action: &str, prefix: &str) -> bool {
    action.as_bytes().get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// Whether one of the grants is Admin on `*`.
pub(super) fn is_admin(grants: &[Grant]) -> bool {
    grants.iter().any(|grant| grant.bucket.is_none() && grant.role == GrantRole::Admin)
}

/// The place of the first grant that allows `action` on `bucket`; no bucket: on none in particular.
pub(super) fn grant_for(grants: &[Grant], action: &str, bucket: Option<&str>) -> Option<u32> {
    if grants.is_empty() || !is_of_s3(action) {
        return None;
    }
    let allows = |grant: &Grant| {
        let about = grant.bucket.as_ref().is_none_or(|own| bucket == Some(own.as_str()));
        about && (grant.role != GrantRole::ReadOnly || is_read(action))
    };
    (0..).zip(grants).find(|(_, grant)| allows(grant)).map(|(place, _)| place)
}

/// A grant as the policy document it stands for.
#[must_use]
pub fn role_document(grant: &Grant) -> String {
    let action = match grant.role {
        GrantRole::ReadOnly => r#"["s3:Get*","s3:List*"]"#,
        GrantRole::Editor => r#""s3:*""#,
        GrantRole::Admin => r#""*""#,
    };
    let resource = match &grant.bucket {
        Some(bucket) => format!(r#"["arn:aws:s3:::{bucket}","arn:aws:s3:::{bucket}/*"]"#),
        None => r#""*""#.to_owned(),
    };
    format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":{action},"Resource":{resource}}}]}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BucketName;
    use crate::policy::{Document, DocumentKind, Request, evaluate};

    #[test]
    fn a_role_is_what_its_document_says() {
        let actions = [
            "s3:GetObject",
            "s3:getobject",
            "s3:ListBucket",
            "s3:ListAllMyBuckets",
            "s3:PutObject",
            "s3:DeleteBucket",
            "s3:Ge",
            "s3:CreateBucket",
            "iam:CreateUser",
            "s3-object-lambda:GetObject",
        ];
        let resources =
            ["*", "arn:aws:s3:::own", "arn:aws:s3:::own/a/b", "arn:aws:s3:::owner", "arn:aws:s3:::other/own"];
        let mut allowed = 0;
        for bucket in [None, Some(BucketName("own".into()))] {
            for role in [GrantRole::ReadOnly, GrantRole::Editor] {
                let grant = Grant { bucket: bucket.clone(), role };
                let document = Document::parse(&role_document(&grant), DocumentKind::Managed).unwrap();
                for action in actions {
                    for resource in resources {
                        let said = evaluate([&document], &Request::new(action, resource, &())).is_allow();
                        let found = grant_for(std::slice::from_ref(&grant), action, super::super::bucket_of(resource));
                        assert_eq!(found.is_some(), said, "{grant:?} {action} {resource}");
                        allowed += usize::from(said);
                    }
                }
            }
        }
        assert!(allowed > 20);
    }

    #[test]
    fn quarantine_lets_reads_through_and_nothing_about_rights() {
        for action in ["s3:GetObject", "s3:ListBucket", "S3:GETOBJECTVERSION", "s3:ListAllMyBuckets"] {
            assert!(is_plain_read(action), "{action}");
        }
        for action in
            ["s3:GetBucketAcl", "s3:GetBucketPolicy", "s3:GetObjectVersionAcl", "s3:PutObject", "iam:GetUser", "s3"]
        {
            assert!(!is_plain_read(action), "{action}");
        }
    }
}
