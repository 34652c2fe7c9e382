//! Condition keys: their spelling, and the documented ones that a request gate can tell apart without comparing text.
//!
//! Case counts for nothing in a key, tag included (IAM User Guide, "AWS global condition context keys": `aws:ResourceTag/TagKey1`
//! matches "a resource tag key named either TagKey1 or tagkey1"). Object tags do differ by case, so a context that
//! has both gives the one written like the policy's first: [`ConditionKey::tag`] keeps the spelling.
//!
//! Not here: the values a request has (`request`).

use std::fmt;

/// Characters of a condition key, tag included. AWS tag keys have at most 128.
const KEY_CHARS_MAX: usize = 256;

macro_rules! known {
    ($($key:ident $text:literal,)*) => {
        /// A documented key. Those of tags (`s3:ExistingObjectTag/…`) say which family; the tag is apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum KnownKey {
            $(#[doc = concat!("`", $text, "`")] $key,)*
        }

        impl KnownKey {
            /// Every known key.
            pub const ALL: &'static [KnownKey] = &[$(KnownKey::$key,)*];

            /// As AWS writes it, without a tag.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(KnownKey::$key => $text,)* }
            }
        }
    };
}

known! {
    CurrentTime "aws:CurrentTime", EpochTime "aws:EpochTime", PrincipalAccount "aws:PrincipalAccount",
    PrincipalArn "aws:PrincipalArn", PrincipalIsAwsService "aws:PrincipalIsAWSService", PrincipalTag "aws:PrincipalTag",
    PrincipalType "aws:PrincipalType", Referer "aws:Referer", RequestedRegion "aws:RequestedRegion",
    RequestTag "aws:RequestTag", ResourceAccount "aws:ResourceAccount", ResourceTag "aws:ResourceTag",
    SecureTransport "aws:SecureTransport", SourceIp "aws:SourceIp", TagKeys "aws:TagKeys",
    TokenIssueTime "aws:TokenIssueTime", UserAgent "aws:UserAgent", UserId "aws:userid", UserName "aws:username",
    ViaAwsService "aws:ViaAWSService", PolicyArn "iam:PolicyARN", PermissionsBoundary "iam:PermissionsBoundary",
    S3AuthType "s3:authType", S3Delimiter "s3:delimiter", S3ExistingObjectTag "s3:ExistingObjectTag",
    S3LocationConstraint "s3:locationconstraint", S3MaxKeys "s3:max-keys", S3ObjectLockMode "s3:object-lock-mode",
    S3Prefix "s3:prefix", S3RequestObjectTag "s3:RequestObjectTag", S3RequestObjectTagKeys "s3:RequestObjectTagKeys",
    S3ResourceAccount "s3:ResourceAccount", S3SignatureAge "s3:signatureAge", S3SignatureVersion "s3:signatureversion",
    S3TlsVersion "s3:TlsVersion", S3VersionId "s3:VersionId", S3Acl "s3:x-amz-acl",
    S3ContentSha256 "s3:x-amz-content-sha256", S3CopySource "s3:x-amz-copy-source",
    S3MetadataDirective "s3:x-amz-metadata-directive", S3Encryption "s3:x-amz-server-side-encryption",
    S3StorageClass "s3:x-amz-storage-class",
}

impl KnownKey {
    /// Whether a tag follows, behind a slash.
    #[must_use]
    pub fn has_tag(self) -> bool {
        use KnownKey::{PrincipalTag, RequestTag, ResourceTag, S3ExistingObjectTag, S3RequestObjectTag};
        matches!(self, PrincipalTag | RequestTag | ResourceTag | S3ExistingObjectTag | S3RequestObjectTag)
    }

    fn find(named: &str, has_tag: bool) -> Option<Self> {
        // Told apart by length first: most keys are looked at once or twice.
        let same = |key: &&KnownKey| {
            let text = key.as_str();
            text.len() == named.len() && text.eq_ignore_ascii_case(named) && key.has_tag() == has_tag
        };
        Self::ALL.iter().find(same).copied()
    }
}

/// A condition key, `prefix:name` or `prefix:name/tag`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ConditionKey {
    /// Small letters up to the slash, then as written.
    canonical: Box<str>,
    /// Where the tag begins; the whole length without one.
    tag_at: u16,
    known: Option<KnownKey>,
}

impl ConditionKey {
    pub(super) const EXPECTED: &'static str = "a condition key such as `aws:SourceIp` or `s3:ExistingObjectTag/team`";

    /// Reads a key; `None` when it has not that shape.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (named, tag) = text.split_once('/').map_or((text, None), |(named, tag)| (named, Some(tag)));
        let (prefix, name) = named.split_once(':')?;
        let in_prefix = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
        let in_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':');
        let in_tag = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
        let fits = !prefix.is_empty()
            && prefix.bytes().all(in_prefix)
            && !name.is_empty()
            && name.bytes().all(in_name)
            && tag.is_none_or(|tag| !tag.is_empty() && tag.chars().all(in_tag))
            && text.chars().count() <= KEY_CHARS_MAX;
        if !fits {
            return None;
        }
        let mut canonical = named.to_ascii_lowercase();
        canonical.push_str(&text[named.len()..]);
        let tag_at = if tag.is_some() { named.len() + 1 } else { named.len() };
        Some(Self {
            canonical: canonical.into(),
            tag_at: u16::try_from(tag_at).ok()?,
            known: KnownKey::find(named, tag.is_some()),
        })
    }

    /// In small letters up to the slash: `aws:sourceip`, `s3:existingobjecttag/Team`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.canonical
    }

    /// Which documented key it is; `None` for any other.
    #[must_use]
    pub fn known(&self) -> Option<KnownKey> {
        self.known
    }

    /// What stands behind the slash, as written; empty without one.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.canonical[usize::from(self.tag_at)..]
    }

    /// Whether `name` names it, whatever the case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        same_ignoring_case(&self.canonical, name)
    }
}

/// Equal but for case, in any script.
pub(super) fn same_ignoring_case(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    one.chars().flat_map(char::to_lowercase).eq(other.chars().flat_map(char::to_lowercase))
}

impl fmt::Debug for ConditionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.canonical, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_the_spelling_of_a_tag_and_of_nothing_else() {
        let key = |text| ConditionKey::parse(text);
        assert_eq!(key("AWS:SourceIP"), key("aws:sourceip"));
        assert_eq!(key("s3:ExistingObjectTag/Team").unwrap().tag(), "Team");
        assert_eq!(key("aws:SourceIp").unwrap().tag(), "");
        assert!(key("kms:EncryptionContext:App").is_some() && key("aws:RequestTag/größe 2").is_some());
        for text in [
            "",
            "aws",
            "aws:",
            ":x",
            "aws:x/",
            "aws:a b",
            "a/b:c",
            "aws:RequestTag/${aws:username}",
            "aws:RequestTag/a*",
        ] {
            assert_eq!(key(text), None, "{text}");
        }
        assert_eq!(key(&format!("aws:RequestTag/{}", "x".repeat(256))), None);
    }

    #[test]
    fn a_documented_key_is_known_whatever_its_case() {
        for known in KnownKey::ALL {
            let text = if known.has_tag() { format!("{}/a", known.as_str()) } else { known.as_str().to_owned() };
            for text in [text.to_ascii_uppercase(), text.clone()] {
                let key = ConditionKey::parse(&text).unwrap();
                assert_eq!(key.known(), Some(*known), "{text}");
                assert!(key.is(&text.to_ascii_uppercase()) && !key.is(&format!("{text}x")));
            }
        }
        assert_eq!(ConditionKey::parse("aws:RequestTag").unwrap().known(), None, "a tag key without its tag");
        assert_eq!(ConditionKey::parse("aws:SourceIp/x").unwrap().known(), None);
    }

    #[test]
    fn tags_are_one_in_any_case_and_any_script() {
        let key = ConditionKey::parse("aws:PrincipalTag/Größe").unwrap();
        assert!(key.is("AWS:principaltag/GRÖSSE") != key.is("aws:principaltag/GRÖßE"));
        assert!(key.is("aws:PrincipalTag/grÖße"));
    }
}
