//! Actions a request can ask for: known ones have a number, so that a statement's actions are a set of bits.
//!
//! The numbers live in memory only and may change with the table: nothing stored or sent holds one. An action that is
//! not in the table is matched by its text and gets the same answer, more slowly.
//!
//! Not here: patterns (`pattern`), and which S3 request asks for which action (the gate's work).

/// Every action of S3 and IAM, in order, ignoring case (Service Authorization Reference).
#[rustfmt::skip]
pub(super) const KNOWN: [&str; 370] = [
    "iam:AcceptDelegationRequest", "iam:AddClientIDToOpenIDConnectProvider", "iam:AddRoleToInstanceProfile",
    "iam:AddUserToGroup", "iam:AssociateDelegationRequest", "iam:AttachGroupPolicy", "iam:AttachRolePolicy",
    "iam:AttachUserPolicy", "iam:ChangePassword", "iam:CreateAccessKey", "iam:CreateAccountAlias",
    "iam:CreateDelegationRequest", "iam:CreateGroup", "iam:CreateInstanceProfile", "iam:CreateLoginProfile",
    "iam:CreateOpenIDConnectProvider", "iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:CreateRole",
    "iam:CreateSAMLProvider", "iam:CreateServiceLinkedRole", "iam:CreateServiceSpecificCredential", "iam:CreateUser",
    "iam:CreateVirtualMFADevice", "iam:DeactivateMFADevice", "iam:DeleteAccessKey", "iam:DeleteAccountAlias",
    "iam:DeleteAccountPasswordPolicy", "iam:DeleteCloudFrontPublicKey", "iam:DeleteGroup", "iam:DeleteGroupPolicy",
    "iam:DeleteInstanceProfile", "iam:DeleteLoginProfile", "iam:DeleteOpenIDConnectProvider", "iam:DeletePolicy",
    "iam:DeletePolicyVersion", "iam:DeleteRole", "iam:DeleteRolePermissionsBoundary", "iam:DeleteRolePolicy",
    "iam:DeleteSAMLProvider", "iam:DeleteServerCertificate", "iam:DeleteServiceLinkedRole",
    "iam:DeleteServiceSpecificCredential", "iam:DeleteSigningCertificate", "iam:DeleteSSHPublicKey", "iam:DeleteUser",
    "iam:DeleteUserPermissionsBoundary", "iam:DeleteUserPolicy", "iam:DeleteVirtualMFADevice", "iam:DetachGroupPolicy",
    "iam:DetachRolePolicy", "iam:DetachUserPolicy", "iam:DisableOrganizationsRootCredentialsManagement",
    "iam:DisableOrganizationsRootSessions", "iam:DisableOutboundWebIdentityFederation", "iam:EnableMFADevice",
    "iam:EnableOrganizationsRootCredentialsManagement", "iam:EnableOrganizationsRootSessions",
    "iam:EnableOutboundWebIdentityFederation", "iam:GenerateCredentialReport", "iam:GenerateOrganizationsAccessReport",
    "iam:GenerateServiceLastAccessedDetails", "iam:GetAccessKeyLastUsed", "iam:GetAccountAuthorizationDetails",
    "iam:GetAccountEmailAddress", "iam:GetAccountName", "iam:GetAccountPasswordPolicy", "iam:GetAccountProperties",
    "iam:GetAccountSummary", "iam:GetCloudFrontPublicKey", "iam:GetContextKeysForCustomPolicy",
    "iam:GetContextKeysForPrincipalPolicy", "iam:GetCredentialReport", "iam:GetDelegationRequest", "iam:GetGroup",
    "iam:GetGroupPolicy", "iam:GetHumanReadableSummary", "iam:GetInstanceProfile", "iam:GetLoginProfile",
    "iam:GetMFADevice", "iam:GetOpenIDConnectProvider", "iam:GetOrganizationsAccessReport",
    "iam:GetOutboundWebIdentityFederationInfo", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole",
    "iam:GetRolePolicy", "iam:GetRoleTemplateVersion", "iam:GetSAMLProvider", "iam:GetServerCertificate",
    "iam:GetServiceLastAccessedDetails", "iam:GetServiceLastAccessedDetailsWithEntities",
    "iam:GetServiceLinkedRoleDeletionStatus", "iam:GetSSHPublicKey", "iam:GetUser", "iam:GetUserPolicy",
    "iam:ListAccessKeys", "iam:ListAccountAliases", "iam:ListAttachedGroupPolicies", "iam:ListAttachedRolePolicies",
    "iam:ListAttachedUserPolicies", "iam:ListCloudFrontPublicKeys", "iam:ListDelegationRequests",
    "iam:ListEntitiesForPolicy", "iam:ListGroupPolicies", "iam:ListGroups", "iam:ListGroupsForUser",
    "iam:ListInstanceProfiles", "iam:ListInstanceProfilesForRole", "iam:ListInstanceProfileTags", "iam:ListMFADevices",
    "iam:ListMFADeviceTags", "iam:ListOpenIDConnectProviders", "iam:ListOpenIDConnectProviderTags",
    "iam:ListOrganizationsFeatures", "iam:ListPolicies", "iam:ListPoliciesGrantingServiceAccess", "iam:ListPolicyTags",
    "iam:ListPolicyVersions", "iam:ListRolePolicies", "iam:ListRoles", "iam:ListRoleTags", "iam:ListSAMLProviders",
    "iam:ListSAMLProviderTags", "iam:ListServerCertificates", "iam:ListServerCertificateTags",
    "iam:ListServiceSpecificCredentials", "iam:ListSigningCertificates", "iam:ListSSHPublicKeys",
    "iam:ListSTSRegionalEndpointsStatus", "iam:ListUserPolicies", "iam:ListUsers", "iam:ListUserTags",
    "iam:ListVirtualMFADevices", "iam:PassRole", "iam:PutAccountProperties", "iam:PutGroupPolicy",
    "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:PutUserPermissionsBoundary", "iam:PutUserPolicy",
    "iam:RejectDelegationRequest", "iam:RemoveClientIDFromOpenIDConnectProvider", "iam:RemoveRoleFromInstanceProfile",
    "iam:RemoveUserFromGroup", "iam:ResetServiceSpecificCredential", "iam:ResyncMFADevice", "iam:SendDelegationToken",
    "iam:SetDefaultPolicyVersion", "iam:SetSecurityTokenServicePreferences", "iam:SetSTSRegionalEndpointStatus",
    "iam:SimulateCustomPolicy", "iam:SimulatePrincipalPolicy", "iam:TagInstanceProfile", "iam:TagMFADevice",
    "iam:TagOpenIDConnectProvider", "iam:TagPolicy", "iam:TagRole", "iam:TagSAMLProvider", "iam:TagServerCertificate",
    "iam:TagUser", "iam:UntagInstanceProfile", "iam:UntagMFADevice", "iam:UntagOpenIDConnectProvider",
    "iam:UntagPolicy", "iam:UntagRole", "iam:UntagSAMLProvider", "iam:UntagServerCertificate", "iam:UntagUser",
    "iam:UpdateAccessKey", "iam:UpdateAccountEmailAddress", "iam:UpdateAccountName", "iam:UpdateAccountPasswordPolicy",
    "iam:UpdateAssumeRolePolicy", "iam:UpdateCloudFrontPublicKey", "iam:UpdateGroup", "iam:UpdateLoginProfile",
    "iam:UpdateOpenIDConnectProviderThumbprint", "iam:UpdateRole", "iam:UpdateRoleDescription",
    "iam:UpdateSAMLProvider", "iam:UpdateServerCertificate", "iam:UpdateServiceSpecificCredential",
    "iam:UpdateSigningCertificate", "iam:UpdateSSHPublicKey", "iam:UpdateUser", "iam:UploadCloudFrontPublicKey",
    "iam:UploadServerCertificate", "iam:UploadSigningCertificate", "iam:UploadSSHPublicKey", "s3:AbortMultipartUpload",
    "s3:AllowVendedLogDeliveryForResource", "s3:AssociateAccessGrantsIdentityCenter", "s3:BypassGovernanceRetention",
    "s3:CreateAccessGrant", "s3:CreateAccessGrantsInstance", "s3:CreateAccessGrantsLocation", "s3:CreateAccessPoint",
    "s3:CreateAccessPointForObjectLambda", "s3:CreateBucket", "s3:CreateBucketMetadataTableConfiguration",
    "s3:CreateJob", "s3:CreateMultiRegionAccessPoint", "s3:CreateStorageLensGroup", "s3:DeleteAccessGrant",
    "s3:DeleteAccessGrantsInstance", "s3:DeleteAccessGrantsInstanceResourcePolicy", "s3:DeleteAccessGrantsLocation",
    "s3:DeleteAccessPoint", "s3:DeleteAccessPointForObjectLambda", "s3:DeleteAccessPointPolicy",
    "s3:DeleteAccessPointPolicyForObjectLambda", "s3:DeleteBucket", "s3:DeleteBucketMetadataTableConfiguration",
    "s3:DeleteBucketPolicy", "s3:DeleteBucketWebsite", "s3:DeleteJobTagging", "s3:DeleteMultiRegionAccessPoint",
    "s3:DeleteObject", "s3:DeleteObjectAnnotation", "s3:DeleteObjectTagging", "s3:DeleteObjectVersion",
    "s3:DeleteObjectVersionAnnotation", "s3:DeleteObjectVersionTagging", "s3:DeleteStorageLensConfiguration",
    "s3:DeleteStorageLensConfigurationTagging", "s3:DeleteStorageLensGroup", "s3:DescribeJob",
    "s3:DescribeMultiRegionAccessPointOperation", "s3:DissociateAccessGrantsIdentityCenter",
    "s3:GetAccelerateConfiguration", "s3:GetAccessGrant", "s3:GetAccessGrantsInstance",
    "s3:GetAccessGrantsInstanceForPrefix", "s3:GetAccessGrantsInstanceResourcePolicy", "s3:GetAccessGrantsLocation",
    "s3:GetAccessPoint", "s3:GetAccessPointConfigurationForObjectLambda", "s3:GetAccessPointForObjectLambda",
    "s3:GetAccessPointPolicy", "s3:GetAccessPointPolicyForObjectLambda", "s3:GetAccessPointPolicyStatus",
    "s3:GetAccessPointPolicyStatusForObjectLambda", "s3:GetAccountPublicAccessBlock", "s3:GetAnalyticsConfiguration",
    "s3:GetBucketAbac", "s3:GetBucketAcl", "s3:GetBucketCORS", "s3:GetBucketLocation", "s3:GetBucketLogging",
    "s3:GetBucketMetadataTableConfiguration", "s3:GetBucketNotification", "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketOwnershipControls", "s3:GetBucketPolicy", "s3:GetBucketPolicyStatus", "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketRequestPayment", "s3:GetBucketTagging", "s3:GetBucketVersioning", "s3:GetBucketWebsite",
    "s3:GetDataAccess", "s3:GetEncryptionConfiguration", "s3:GetIntelligentTieringConfiguration",
    "s3:GetInventoryConfiguration", "s3:GetJobTagging", "s3:GetLifecycleConfiguration", "s3:GetMetricsConfiguration",
    "s3:GetMultiRegionAccessPoint", "s3:GetMultiRegionAccessPointPolicy", "s3:GetMultiRegionAccessPointPolicyStatus",
    "s3:GetMultiRegionAccessPointRoutes", "s3:GetObject", "s3:GetObjectAcl", "s3:GetObjectAnnotation",
    "s3:GetObjectAttributes", "s3:GetObjectLegalHold", "s3:GetObjectRetention", "s3:GetObjectTagging",
    "s3:GetObjectTorrent", "s3:GetObjectVersion", "s3:GetObjectVersionAcl", "s3:GetObjectVersionAnnotation",
    "s3:GetObjectVersionAnnotationForReplication", "s3:GetObjectVersionAttributes", "s3:GetObjectVersionForReplication",
    "s3:GetObjectVersionTagging", "s3:GetObjectVersionTorrent", "s3:GetReplicationConfiguration",
    "s3:GetStorageLensConfiguration", "s3:GetStorageLensConfigurationTagging", "s3:GetStorageLensDashboard",
    "s3:GetStorageLensGroup", "s3:InitiateReplication", "s3:ListAccessGrants", "s3:ListAccessGrantsInstances",
    "s3:ListAccessGrantsLocations", "s3:ListAccessPoints", "s3:ListAccessPointsForObjectLambda", "s3:ListAllMyBuckets",
    "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions", "s3:ListCallerAccessGrants",
    "s3:ListJobs", "s3:ListMultipartUploadParts", "s3:ListMultiRegionAccessPoints", "s3:ListObjectAnnotations",
    "s3:ListObjectVersionAnnotations", "s3:ListStorageLensConfigurations", "s3:ListStorageLensGroups",
    "s3:ListTagsForResource", "s3:ObjectOwnerOverrideToBucketOwner", "s3:PauseReplication",
    "s3:PutAccelerateConfiguration", "s3:PutAccessGrantsInstanceResourcePolicy",
    "s3:PutAccessPointConfigurationForObjectLambda", "s3:PutAccessPointPolicy",
    "s3:PutAccessPointPolicyForObjectLambda", "s3:PutAccessPointPublicAccessBlock", "s3:PutAccountPublicAccessBlock",
    "s3:PutAnalyticsConfiguration", "s3:PutBucketAbac", "s3:PutBucketAcl", "s3:PutBucketCORS", "s3:PutBucketLogging",
    "s3:PutBucketNotification", "s3:PutBucketObjectLockConfiguration", "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock", "s3:PutBucketRequestPayment", "s3:PutBucketTagging",
    "s3:PutBucketVersioning", "s3:PutBucketWebsite", "s3:PutEncryptionConfiguration",
    "s3:PutIntelligentTieringConfiguration", "s3:PutInventoryConfiguration", "s3:PutJobTagging",
    "s3:PutLifecycleConfiguration", "s3:PutMetricsConfiguration", "s3:PutMultiRegionAccessPointPolicy", "s3:PutObject",
    "s3:PutObjectAcl", "s3:PutObjectAnnotation", "s3:PutObjectLegalHold", "s3:PutObjectRetention",
    "s3:PutObjectTagging", "s3:PutObjectVersionAcl", "s3:PutObjectVersionAnnotation", "s3:PutObjectVersionTagging",
    "s3:PutReplicationConfiguration", "s3:PutStorageLensConfiguration", "s3:PutStorageLensConfigurationTagging",
    "s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateObjectAnnotation", "s3:ReplicateTags", "s3:RestoreObject",
    "s3:SubmitMultiRegionAccessPointRoutes", "s3:TagResource", "s3:UntagResource", "s3:UpdateAccessGrantsLocation",
    "s3:UpdateBucketMetadataAnnotationTableConfiguration", "s3:UpdateBucketMetadataInventoryTableConfiguration",
    "s3:UpdateBucketMetadataJournalTableConfiguration", "s3:UpdateJobPriority", "s3:UpdateJobStatus",
    "s3:UpdateObjectEncryption", "s3:UpdateStorageLensGroup",
];

/// Slots of the table by hash: a power of two, less than half of them used.
const SLOTS: usize = 1024;
const EMPTY: u16 = u16::MAX;

static SLOT_OF: [u16; SLOTS] = slots();

/// FNV-1a of the text in small letters.
const fn hash(text: &[u8]) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let mut at = 0;
    while at < text.len() {
        hash = (hash ^ text[at].to_ascii_lowercase() as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    (hash ^ (hash >> 15)) as usize % SLOTS
}

#[allow(clippy::cast_possible_truncation)] // the table has 370 entries
const fn slots() -> [u16; SLOTS] {
    let mut slots = [EMPTY; SLOTS];
    let mut number = 0;
    while number < KNOWN.len() {
        let mut slot = hash(KNOWN[number].as_bytes());
        while slots[slot] != EMPTY {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = number as u16;
        number += 1;
    }
    slots
}

/// The number of `action`, whatever its case.
pub(super) const fn number_of(action: &str) -> Option<u16> {
    let mut slot = hash(action.as_bytes());
    while SLOT_OF[slot] != EMPTY {
        if KNOWN[SLOT_OF[slot] as usize].eq_ignore_ascii_case(action) {
            return Some(SLOT_OF[slot]);
        }
        slot = (slot + 1) % SLOTS;
    }
    None
}

/// Numbers of the known actions that begin with `prefix`, whatever its case.
pub(super) fn numbers_with_prefix(prefix: &str) -> std::ops::Range<usize> {
    let head = |known: &str| {
        let known = known.bytes().take(prefix.len()).map(|b| b.to_ascii_lowercase());
        known.cmp(prefix.bytes().map(|b| b.to_ascii_lowercase()))
    };
    let from = KNOWN.partition_point(|known| head(known).is_lt());
    let to = KNOWN.partition_point(|known| head(known).is_le());
    from..to
}

/// Whether a pattern is about any action that is known.
pub(super) fn is_about_known(pattern: &super::pattern::ActionPattern) -> bool {
    KNOWN.iter().any(|action| pattern.matches(action))
}

/// An action such as `s3:GetObject`, looked up once. Case does not matter.
#[derive(Debug, Clone, Copy)]
pub struct Action<'a> {
    text: &'a str,
    known: Option<u16>,
}

impl<'a> Action<'a> {
    /// Any text will do; one that is no action of a service matches nothing but `*`. Some 20 ns; a constant costs nothing.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text, known: number_of(text) }
    }

    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The same action without its number: what the fast path must agree with.
    #[must_use]
    pub fn unnumbered(self) -> Self {
        Self { known: None, ..self }
    }

    /// Whether it is an action that AWS documents.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known.is_some()
    }

    #[inline]
    pub(super) fn number(&self) -> Option<u16> {
        self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_every_action_is_found_in_it() {
        assert!(KNOWN.is_sorted_by_key(|known| known.to_ascii_lowercase()));
        for (number, known) in KNOWN.iter().enumerate() {
            for text in [(*known).to_owned(), known.to_ascii_uppercase()] {
                assert_eq!(number_of(&text).map(usize::from), Some(number), "{text}");
            }
            assert_eq!(number_of(&format!("{known}x")), None);
        }
        for text in ["", "s3", "s3:", "ec2:RunInstances", "s3:GetObjectX", "é"] {
            assert_eq!(number_of(text), None, "{text}");
        }
    }

    #[test]
    fn a_prefix_is_a_range_of_the_table() {
        for prefix in ["s3:Get", "S3:GET", "s3:", "iam:List", "s3:GetObject", "ec2:", "", "zzz", "iam:a"] {
            let small = prefix.to_ascii_lowercase();
            let range = numbers_with_prefix(prefix);
            for (number, known) in KNOWN.iter().enumerate() {
                assert_eq!(range.contains(&number), known.to_ascii_lowercase().starts_with(&small), "{prefix} {known}");
            }
        }
    }
}
