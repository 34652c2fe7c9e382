//! AWS's own policies that are known here by their documents.
//!
//! Any other policy of `arn:aws:iam::aws:policy/…` has an empty document: not in evidence.
//!
//! Not here: `AmazonS3FullAccess` and `AmazonS3ReadOnlyAccess`, which exist in every org.

/// The document behind the ARN of an AWS-managed policy, and what to say about it.
pub(super) fn document(arn: &str) -> Option<(&'static str, &'static str)> {
    let (_, name) = arn.split_once(":iam::aws:policy/")?;
    Some(match name {
        "AdministratorAccess" => {
            (r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#, "AWS managed")
        }
        "PowerUserAccess" => (
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},{"Effect":"Allow","Action":["account:GetAccountInformation","account:GetPrimaryEmail","account:ListRegions","iam:CreateServiceLinkedRole","iam:DeleteServiceLinkedRole","iam:ListRoles","organizations:DescribeEffectivePolicy","organizations:DescribeOrganization"],"Resource":"*"}]}"#,
            "AWS managed",
        ),
        "IAMFullAccess" => (
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:*","organizations:DescribeAccount","organizations:DescribeOrganization","organizations:DescribeOrganizationalUnit","organizations:DescribePolicy","organizations:ListChildren","organizations:ListParents","organizations:ListPoliciesForTarget","organizations:ListRoots","organizations:ListPolicies","organizations:ListTargetsForPolicy"],"Resource":"*"}]}"#,
            "AWS managed",
        ),
        "ReadOnlyAccess" => (
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["cloudtrail:Describe*","cloudtrail:Get*","cloudtrail:List*","cloudtrail:LookupEvents","iam:Generate*","iam:Get*","iam:List*","iam:Simulate*","lightsail:Get*","s3:DescribeJob","s3:Get*","s3:List*","sts:GetAccessKeyInfo","sts:GetCallerIdentity","sts:GetSessionToken"],"Resource":"*"}]}"#,
            "AWS managed; abridged to CloudTrail, IAM, Lightsail, S3 and STS",
        ),
        _ => return None,
    })
}
