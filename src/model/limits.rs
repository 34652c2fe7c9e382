//! What fits: the bounds of every field, with their sources.
//!
//! Not here: bounds that depend on what is already there (`ledger::decide`), and policy documents (`policy`).

use super::text::{excerpt, is_deceptive};

/// Events a commit may hold.
pub const COMMIT_EVENTS_MAX: usize = 65_535;
/// Holders or keys one command may touch.
pub const BULK_TARGETS_MAX: usize = 50_000;
/// Keys a user, counting inactive ones (IAM User Guide, "quotas").
pub const IAM_KEYS_PER_USER_MAX: u32 = 2;
/// Keys a bucket (botocore 1.44.5, Lightsail CreateBucketAccessKey).
pub const LIGHTSAIL_KEYS_PER_BUCKET_MAX: u32 = 2;
/// Versions a policy (IAM User Guide, "quotas").
pub const POLICY_VERSIONS_MAX: usize = 5;
/// Managed policies attached to a user, group or key (IAM User Guide, "quotas").
pub const ATTACHED_POLICIES_MAX: usize = 10;
/// Customer managed policies an account (IAM User Guide, "quotas").
pub const POLICIES_PER_ORG_MAX: usize = 1_500;
/// Users an account (IAM User Guide, "quotas").
pub const USERS_PER_ORG_MAX: usize = 5_000;
/// Groups an account (IAM User Guide, "quotas").
pub const GROUPS_PER_ORG_MAX: usize = 300;
/// Groups a user (IAM User Guide, "quotas").
pub const GROUPS_PER_USER_MAX: usize = 10;
/// Tags a user, policy or key (botocore 1.44.5, `tagListType`).
pub const TAGS_MAX: usize = 50;
/// Bucket grants a key: our choice.
pub const GRANTS_MAX: usize = 1_000;
/// Bytes of an idempotency token.
pub const TOKEN_BYTES_MAX: usize = 64;
/// How long an idempotency token is kept: 24 h.
pub const TOKEN_KEPT_NS: i64 = 24 * 3_600 * 1_000_000_000;
/// Secret versions of one key that may be usable at once.
pub const LIVE_SECRETS_MAX: usize = 2;

/// A field that does not fit its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} `{found}` is not valid: expected {expected}")]
pub struct Invalid {
    pub field: &'static str,
    /// What was given, escaped, at most 64 characters.
    pub found: String,
    pub expected: &'static str,
}

impl Invalid {
    #[must_use]
    pub fn new(field: &'static str, found: &str, expected: &'static str) -> Self {
        Self { field, found: excerpt(found, 64), expected }
    }
}

fn check(ok: bool, field: &'static str, found: &str, expected: &'static str) -> Result<(), Invalid> {
    if ok { Ok(()) } else { Err(Invalid::new(field, found, expected)) }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
}

/// 16 to 128 of `[A-Za-z0-9_]`.
pub fn access_key_id(text: &str) -> Result<(), Invalid> {
    let ok = (16..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    check(ok, "access key id", text, "16 to 128 of letters, digits and _")
}

/// 1 to 64 of `[\w+=,.@-]` (botocore 1.44.5, `userNameType`).
pub fn user_name(text: &str) -> Result<(), Invalid> {
    let ok = (1..=64).contains(&text.len()) && text.chars().all(is_name_char);
    check(ok, "user name", text, "1 to 64 of letters, digits and _+=,.@-")
}

/// 1 to 128 of `[\w+=,.@-]` (botocore 1.44.5, `groupNameType`).
pub fn group_name(text: &str) -> Result<(), Invalid> {
    let ok = (1..=128).contains(&text.len()) && text.chars().all(is_name_char);
    check(ok, "group name", text, "1 to 128 of letters, digits and _+=,.@-")
}

/// 1 to 128 of `[A-Za-z0-9+=,.@_-]` (botocore 1.44.5, `policyNameType`).
pub fn policy_name(text: &str) -> Result<(), Invalid> {
    let ok = (1..=128).contains(&text.len()) && text.chars().all(is_name_char);
    check(ok, "policy name", text, "1 to 128 of letters, digits and +=,.@_-")
}

/// `/` or `/…/`, at most 512 printable ASCII characters (botocore 1.44.5, `pathType`).
pub fn path(text: &str) -> Result<(), Invalid> {
    let ok = text.len() <= 512
        && text.starts_with('/')
        && text.ends_with('/')
        && text.bytes().all(|b| (0x21..=0x7e).contains(&b));
    check(ok, "path", text, "/ or /…/ of at most 512 printable characters")
}

/// An org's name: 1 to 128 characters, none of them a control character.
pub fn org_name(text: &str) -> Result<(), Invalid> {
    free_text("org name", text, 1, 128, "1 to 128 characters without control characters")
}

/// 3 to 63 of `[a-z0-9-]`, not starting or ending with `-` (botocore 1.44.5, IAM `accountAliasType`).
pub fn org_alias(text: &str) -> Result<(), Invalid> {
    let ok = (3..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--");
    check(ok, "alias", text, "3 to 63 of lower-case letters, digits and single inner -")
}

/// A key's label: at most 256 characters, none of them a control character: our choice.
pub fn label(text: &str) -> Result<(), Invalid> {
    free_text("label", text, 0, 256, "at most 256 characters without control characters")
}

/// A description: at most 1,000 characters (botocore 1.44.5, `policyDescriptionType`).
pub fn description(text: &str) -> Result<(), Invalid> {
    free_text("description", text, 0, 1_000, "at most 1000 characters without control characters")
}

/// A reason or ticket in an envelope: at most 512 characters: our choice.
pub fn reason(text: &str) -> Result<(), Invalid> {
    free_text("reason", text, 0, 512, "at most 512 characters without control characters")
}

/// A user's external id: 1 to 256 characters.
pub fn external_id(text: &str) -> Result<(), Invalid> {
    free_text("external id", text, 1, 256, "1 to 256 characters without control characters")
}

/// A provider's name or its id for an org: 1 to 128 printable characters.
pub fn provider_id(text: &str) -> Result<(), Invalid> {
    free_text("provider id", text, 1, 128, "1 to 128 printable characters")
}

/// A tag: key 1 to 128 characters, value 0 to 256 (botocore 1.44.5, `tagKeyType`, `tagValueType`).
pub fn tag(key: &str, value: &str) -> Result<(), Invalid> {
    free_text("tag key", key, 1, 128, "1 to 128 characters without control characters")?;
    free_text("tag value", value, 0, 256, "at most 256 characters without control characters")
}

/// The four letters before a generated id's sixteen: 4 of `[A-Z]`.
pub fn key_prefix(text: &str) -> Result<(), Invalid> {
    let ok = text.len() == 4 && text.bytes().all(|b| b.is_ascii_uppercase());
    check(ok, "key prefix", text, "4 upper-case letters")
}

/// An idempotency token: 1 to 64 bytes without control characters.
pub fn token(text: &str) -> Result<(), Invalid> {
    let ok = (1..=TOKEN_BYTES_MAX).contains(&text.len()) && !text.chars().any(is_deceptive);
    check(ok, "idempotency token", text, "1 to 64 bytes without control characters")
}

/// 3 to 63 of `[a-z0-9.-]`, starting and ending with a letter or digit, no `..`, not an IPv4 address (Amazon S3 User
/// Guide, "General purpose bucket naming rules").
pub fn bucket_name(text: &str) -> Result<(), Invalid> {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    let ok = (3..=63).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-' || *b == b'.')
        && edge(bytes.first())
        && edge(bytes.last())
        && !text.contains("..")
        && text.parse::<std::net::Ipv4Addr>().is_err();
    check(ok, "bucket name", text, "3 to 63 of lower-case letters, digits, - and ., and not an address")
}

fn free_text(
    field: &'static str,
    text: &str,
    chars_min: usize,
    chars_max: usize,
    expected: &'static str,
) -> Result<(), Invalid> {
    // The byte test comes first, so that a huge text is not counted character by character.
    let ok = text.len() <= chars_max * 4
        && (chars_min..=chars_max).contains(&text.chars().count())
        && !text.chars().any(is_deceptive);
    check(ok, field, text, expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_at_their_edges() {
        assert!(user_name(&"a".repeat(64)).is_ok());
        assert!(user_name(&"a".repeat(65)).is_err());
        assert!(user_name("").is_err());
        assert!(user_name("a b").is_err());
        assert!(label(&"ü".repeat(256)).is_ok());
        assert!(label(&"ü".repeat(257)).is_err());
        assert!(label("a\u{7}").is_err());
        assert!(bucket_name("192.168.0.1").is_err());
        assert!(bucket_name("my-bucket.v2").is_ok());
        assert!(bucket_name("-b-").is_err());
        assert!(path("/").is_ok());
        assert!(path("/a/b/").is_ok());
        assert!(path("a/").is_err());
        assert!(token(&"t".repeat(65)).is_err());
    }

    #[test]
    fn an_error_names_field_bound_and_what_was_found() {
        let error = user_name("a\u{1b}b").unwrap_err();
        assert_eq!(
            error.to_string(),
            "user name `a\\u{1b}b` is not valid: expected 1 to 64 of letters, digits and _+=,.@-"
        );
    }
}
