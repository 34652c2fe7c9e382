//! The policies of AWS's own that exist everywhere, or that evidence names.
//!
//! `AmazonS3FullAccess` and `AmazonS3ReadOnlyAccess` exist in every org and cannot be changed; the others are known
//! when imported evidence attaches them. Documents: AWS managed policy reference, versions of each as noted.
//!
//! Not here: attaching them; any other AWS-managed policy is "document not in evidence".

/// A policy of AWS's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Managed {
    pub name: &'static str,
    pub arn: &'static str,
    /// In one line, what it grants.
    pub about: &'static str,
    /// The text, where it is short enough to be kept here.
    pub document: Option<&'static str>,
    /// It can be attached in every org, not only be met in evidence.
    pub is_in_every_org: bool,
}

/// Every policy known here.
pub const ALL: &[Managed] = &[
    Managed {
        name: "AmazonS3FullAccess",
        arn: "arn:aws:iam::aws:policy/AmazonS3FullAccess",
        about: "everything in S3",
        // v2
        document: Some(
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","s3-object-lambda:*"],"Resource":"*"}]}"#,
        ),
        is_in_every_org: true,
    },
    Managed {
        name: "AmazonS3ReadOnlyAccess",
        arn: "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
        about: "reading and listing everything in S3",
        // v3
        document: Some(
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Get*","s3:List*","s3:Describe*","s3-object-lambda:Get*","s3-object-lambda:List*"],"Resource":"*"}]}"#,
        ),
        is_in_every_org: true,
    },
    Managed {
        name: "AdministratorAccess",
        arn: "arn:aws:iam::aws:policy/AdministratorAccess",
        about: "everything in every service",
        // v1
        document: Some(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#),
        is_in_every_org: false,
    },
    Managed {
        name: "PowerUserAccess",
        arn: "arn:aws:iam::aws:policy/PowerUserAccess",
        about: "everything but users, rights, organizations and the account",
        // v12
        document: Some(
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},{"Effect":"Allow","Action":["account:GetAccountInformation","account:GetGovCloudAccountInformation","account:GetPrimaryEmail","account:ListRegions","iam:CreateServiceLinkedRole","iam:DeleteServiceLinkedRole","iam:ListRoles","organizations:DescribeEffectivePolicy","organizations:DescribeOrganization"],"Resource":"*"}]}"#,
        ),
        is_in_every_org: false,
    },
    Managed {
        name: "IAMFullAccess",
        arn: "arn:aws:iam::aws:policy/IAMFullAccess",
        about: "everything about users, rights and keys",
        // v2
        document: Some(
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:*","organizations:DescribeAccount","organizations:DescribeOrganization","organizations:DescribeOrganizationalUnit","organizations:DescribePolicy","organizations:ListChildren","organizations:ListParents","organizations:ListPoliciesForTarget","organizations:ListRoots","organizations:ListPolicies","organizations:ListTargetsForPolicy"],"Resource":"*"}]}"#,
        ),
        is_in_every_org: false,
    },
    Managed {
        name: "ReadOnlyAccess",
        arn: "arn:aws:iam::aws:policy/ReadOnlyAccess",
        about: "reading in every service (well over a thousand actions, changed monthly: the text is not kept here)",
        document: None,
        is_in_every_org: false,
    },
];

/// The policy of this ARN, in whatever partition it is written (`arn:aws-cn:iam::aws:policy/…`).
#[must_use]
pub fn lookup(arn: &str) -> Option<&'static Managed> {
    let (partition, path) = arn.strip_prefix("arn:")?.split_once(":iam::aws:policy/")?;
    if !(partition == "aws" || partition.starts_with("aws-")) || partition.contains(':') {
        return None;
    }
    ALL.iter().find(|managed| managed.name == path)
}

#[cfg(test)]
mod tests {
    use super::super::document::{Document, DocumentKind};
    use super::*;

    #[test]
    fn every_document_here_is_one_that_would_be_accepted() {
        for managed in ALL {
            assert_eq!(lookup(managed.arn), Some(managed));
            assert_eq!(managed.arn, format!("arn:aws:iam::aws:policy/{}", managed.name));
            if let Some(text) = managed.document {
                let document = Document::parse(text, DocumentKind::Managed).expect(managed.name);
                assert_eq!(document.minified(), text);
                assert_eq!(document.allows_all_buckets(), managed.name != "IAMFullAccess", "{}", managed.name);
            }
        }
    }

    #[test]
    fn only_policies_of_aws_itself_are_found() {
        assert_eq!(lookup("arn:aws-us-gov:iam::aws:policy/AmazonS3FullAccess").unwrap().name, "AmazonS3FullAccess");
        for arn in [
            "",
            "AmazonS3FullAccess",
            "arn:aws:iam::123456789012:policy/AmazonS3FullAccess",
            "arn:aws:iam::aws:policy/amazons3fullaccess",
            "arn:evil:iam::aws:policy/AmazonS3FullAccess",
            "arn:aws:iam::aws:policy/aws-service-role/AmazonS3FullAccess",
        ] {
            assert_eq!(lookup(arn), None, "{arn}");
        }
    }
}
