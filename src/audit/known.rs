//! API calls that an investigation looks for by name.
//!
//! Sources: AWS Customer Playbook Framework (`Compromised_IAM_Credentials.md`, `Ransom_Response_S3.md`), AWS incident response
//! playbook `IRP-CredCompromise.md` and its queries, MITRE ATT&CK for AWS as Stratus Red Team records it.
//!
//! Not here: calls whose effect is an event of our own (`CreateAccessKey`, `AttachUserPolicy`): those are found as events.

/// What a call is looked for as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Notable {
    /// Blinds or stops the record of what happens.
    AntiForensics,
    /// Leaves a way back in.
    Persistence,
    /// Gives out temporary credentials.
    Credentials,
    /// Takes data away, or the means to restore it.
    Impact,
}

impl Notable {
    pub fn as_str(self) -> &'static str {
        match self {
            Notable::AntiForensics => "anti-forensics",
            Notable::Persistence => "persistence",
            Notable::Credentials => "credentials",
            Notable::Impact => "impact",
        }
    }
}

/// Sorted by name.
const CALLS: &[(&str, Notable)] = &[
    ("AddRoleToInstanceProfile", Notable::Persistence),
    ("AssumeRole", Notable::Credentials),
    ("AssumeRoleWithSAML", Notable::Credentials),
    ("AssumeRoleWithWebIdentity", Notable::Credentials),
    ("AttachRolePolicy", Notable::Persistence),
    ("AuthorizeSecurityGroupIngress", Notable::Persistence),
    ("CreateFunction20150331", Notable::Persistence),
    ("CreateLoginProfile", Notable::Persistence),
    ("CreateOpenIDConnectProvider", Notable::Persistence),
    ("CreateProfile", Notable::Persistence),
    ("CreateRole", Notable::Persistence),
    ("CreateSAMLProvider", Notable::Persistence),
    ("CreateServiceSpecificCredential", Notable::Persistence),
    ("CreateTrustAnchor", Notable::Persistence),
    ("CreateVirtualMFADevice", Notable::Persistence),
    ("DeactivateMFADevice", Notable::Persistence),
    ("DeleteBucket", Notable::Impact),
    ("DeleteConfigRule", Notable::AntiForensics),
    ("DeleteConfigurationRecorder", Notable::AntiForensics),
    ("DeleteDetector", Notable::AntiForensics),
    ("DeleteFlowLogs", Notable::AntiForensics),
    ("DeleteLogGroup", Notable::AntiForensics),
    ("DeleteLogStream", Notable::AntiForensics),
    ("DeleteQueryLoggingConfig", Notable::AntiForensics),
    ("DeleteResolverQueryLogConfig", Notable::AntiForensics),
    ("DeleteRolePermissionsBoundary", Notable::Persistence),
    ("DeleteTrail", Notable::AntiForensics),
    ("DisableKey", Notable::Impact),
    ("DisassociateResolverQueryLogConfig", Notable::AntiForensics),
    ("EnableMFADevice", Notable::Persistence),
    ("GetFederationToken", Notable::Credentials),
    ("GetSessionToken", Notable::Credentials),
    ("LeaveOrganization", Notable::AntiForensics),
    ("PutBucketAcl", Notable::Persistence),
    ("PutBucketEncryption", Notable::Impact),
    ("PutBucketLifecycle", Notable::Impact),
    ("PutBucketLifecycleConfiguration", Notable::Impact),
    ("PutBucketLogging", Notable::AntiForensics),
    ("PutBucketPolicy", Notable::Persistence),
    ("PutBucketReplication", Notable::Impact),
    ("PutBucketVersioning", Notable::Impact),
    ("PutEventSelectors", Notable::AntiForensics),
    ("PutInsightSelectors", Notable::AntiForensics),
    ("PutRolePolicy", Notable::Persistence),
    ("ScheduleKeyDeletion", Notable::Impact),
    ("StopConfigurationRecorder", Notable::AntiForensics),
    ("StopLogging", Notable::AntiForensics),
    ("UpdateAssumeRolePolicy", Notable::Persistence),
    ("UpdateDetector", Notable::AntiForensics),
    ("UpdateFunctionCode20150331v2", Notable::Persistence),
    ("UpdateFunctionConfiguration20150331v2", Notable::Persistence),
    ("UpdateLoginProfile", Notable::Persistence),
    ("UpdateTrail", Notable::AntiForensics),
];

/// The name as it is kept, if investigations look for this call.
#[must_use]
pub fn notable(call: &str) -> Option<&'static str> {
    find(call).map(|(name, _)| *name)
}

/// What a call is looked for as.
#[must_use]
pub fn what(call: &str) -> Option<Notable> {
    find(call).map(|(_, what)| *what)
}

/// Every call of a kind.
pub fn calls(what: Notable) -> impl Iterator<Item = &'static str> {
    CALLS.iter().filter(move |(_, is)| *is == what).map(|(name, _)| *name)
}

fn find(call: &str) -> Option<&'static (&'static str, Notable)> {
    CALLS.binary_search_by(|(name, _)| (*name).cmp(call)).ok().map(|index| &CALLS[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_so_that_a_search_finds_everything() {
        assert!(CALLS.is_sorted_by(|(a, _), (b, _)| a < b));
        assert_eq!(what("StopLogging"), Some(Notable::AntiForensics));
        assert_eq!(what("GetObject"), None);
    }
}
