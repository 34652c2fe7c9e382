//! Bodies of requests: what a client may say, member by member. An unknown member is refused.
//!
//! Not here: what is done with it (one file a noun).

use crate::model::{BucketName, Grant, GrantRole, Invalid, Tags, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use zeroize::Zeroize as _;

/// Nothing but `{}`, or no body at all.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Tags as JSON: a name with its value.
pub type TagMap = BTreeMap<String, String>;

pub fn tags(given: TagMap) -> Tags {
    given.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// Tags to set and names of tags to take away.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeTags {
    #[serde(default)]
    pub set: TagMap,
    #[serde(default)]
    pub remove: Vec<String>,
}

/// A policy document.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentBody {
    /// The IAM document as text; it is kept as it is.
    pub document: String,
}

/// A request that policies are asked about. It has what is given and nothing else: no address, no time, no name is added.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Simulate {
    /// Policies of the org, by name or ARN.
    #[serde(default)]
    pub policies: Vec<String>,
    /// IAM documents as text.
    #[serde(default)]
    pub documents: Vec<String>,
    /// What is asked, such as `s3:GetObject`.
    pub action: String,
    /// Of what, such as `arn:aws:s3:::bucket/key`.
    pub resource: String,
    /// The request's condition keys, each with its values.
    #[serde(default)]
    pub context: BTreeMap<String, Vec<String>>,
}

// Orgs

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAlias {
    /// 3 to 63 lower-case letters, digits and `-`; null takes it away.
    #[serde(deserialize_with = "required")]
    #[schemars(required)]
    pub alias: Option<String>,
}

// Users

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// 1 to 64 of letters, digits and `_+=,.@-`.
    pub user_name: String,
    /// `/` unless given.
    #[serde(default)]
    pub path: String,
    /// Your own id for it.
    pub external_id: Option<String>,
    #[serde(default)]
    pub tags: TagMap,
    /// A policy that its rights never go beyond.
    pub permissions_boundary: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateUser {
    pub user_name: Option<String>,
    pub path: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    pub role: UserRole,
}

/// A user's role for management calls.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum UserRole {
    Admin,
    Member,
    Auditor,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetBoundary {
    /// The policy's name or ARN.
    pub policy: String,
}

// Groups

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGroup {
    /// 1 to 128 of letters, digits and `_+=,.@-`.
    pub group_name: String,
    /// `/` unless given.
    #[serde(default)]
    pub path: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateGroup {
    pub group_name: Option<String>,
    pub path: Option<String>,
}

// Keys

/// A bucket, or `*` for all of the org's, and what may be done with it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantBody {
    pub bucket: String,
    pub role: BucketRole,
}

/// `Admin` only on `*`.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum BucketRole {
    ReadOnly,
    Editor,
    Admin,
}

impl GrantBody {
    /// # Errors
    /// [`Invalid`] for what is no bucket's name.
    pub fn all(given: Vec<Self>) -> Result<Vec<Grant>, Invalid> {
        let grant = |given: Self| {
            let bucket = match given.bucket.as_str() {
                "*" => None,
                name => Some(BucketName::parse(name)?),
            };
            let role = match given.role {
                BucketRole::ReadOnly => GrantRole::ReadOnly,
                BucketRole::Editor => GrantRole::Editor,
                BucketRole::Admin => GrantRole::Admin,
            };
            Ok(Grant { bucket, role })
        };
        given.into_iter().map(grant).collect()
    }
}

/// A key of a user, of a bucket, or of the org itself when neither is named.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// Its owner, a user.
    pub user_name: Option<String>,
    /// Its owner, a bucket, as in Lightsail; it gets Editor there unless buckets are named.
    pub owner_bucket: Option<String>,
    #[serde(default)]
    pub label: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub tags: TagMap,
    #[serde(default)]
    pub buckets: Vec<GrantBody>,
    /// Attached in the same commit; one unknown name refuses the key.
    #[serde(default)]
    pub policies: Vec<String>,
    /// Create and list buckets without a policy that says so.
    #[serde(default)]
    pub default_allow: bool,
    /// RFC 3339; the org's default unless given.
    pub expires_at: Option<String>,
}

/// A key made elsewhere, with its secret. Its members beside the two are those of a new key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportKey {
    pub access_key_id: String,
    pub secret_access_key: SecretText,
    pub user_name: Option<String>,
    pub owner_bucket: Option<String>,
    #[serde(default)]
    pub label: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub tags: TagMap,
    #[serde(default)]
    pub buckets: Vec<GrantBody>,
    #[serde(default)]
    pub policies: Vec<String>,
    #[serde(default)]
    pub default_allow: bool,
    pub expires_at: Option<String>,
}

/// A secret in a body: wiped, and never shown.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLabel {
    /// At most 256 characters.
    pub label: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetDescription {
    /// At most 1000 characters.
    pub description: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetGrants {
    /// They replace those it has.
    pub buckets: Vec<GrantBody>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetDefaultAllow {
    /// Create and list buckets without a policy that says so.
    pub default_allow: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetExpiry {
    /// RFC 3339; null is never.
    #[serde(deserialize_with = "required")]
    #[schemars(required)]
    pub expires_at: Option<String>,
}

/// What is left out stays as it is; all of it in one commit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateRights {
    /// They replace those it has.
    pub buckets: Option<Vec<GrantBody>>,
    pub default_allow: Option<bool>,
    /// Policies to attach.
    #[serde(default)]
    pub attach: Vec<String>,
    /// Policies to detach, before any is attached.
    #[serde(default)]
    pub detach: Vec<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// Seconds that the old key goes on: 86400 unless given, at most 90 days.
    pub grace_seconds: Option<u32>,
    /// When the successor ends, as RFC 3339; as the old key unless given.
    pub expires_at: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateSecret {
    /// Seconds that the old secret goes on: 86400 unless given, at most 7 days.
    pub grace_seconds: Option<u32>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireSecret {
    /// Which of the two; the older one unless given.
    pub version: Option<u32>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagKey {
    /// Deny everything but reading.
    #[serde(default)]
    pub quarantine: bool,
    /// Why, for whoever looks at it later.
    #[serde(default)]
    pub note: String,
}

// Policies

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePolicy {
    /// 1 to 128 of letters, digits and `+=,.@_-`.
    pub policy_name: String,
    /// `/` unless given.
    #[serde(default)]
    pub path: String,
    /// At most 1000 characters.
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub tags: TagMap,
    /// The IAM document as text; it is kept as it is.
    pub document: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateVersion {
    /// The IAM document as text; it is kept as it is.
    pub document: String,
    /// Put it in force at once.
    #[serde(default)]
    pub set_default: bool,
    /// Put it in force, and delete the oldest other version when there are five.
    #[serde(default)]
    pub replace: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetDefaultVersion {
    /// 2 for `v2`.
    pub version: u32,
}

// Tokens

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenToken {
    /// The access key it stands for.
    pub access_key_id: String,
    /// Seconds it lives: 3600 unless given, at most 30 days and no longer than its key.
    pub lifetime_seconds: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseToken {
    pub token: SecretText,
}

// Audit

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentifySecret {
    pub secret_access_key: SecretText,
}

/// A moment in a body.
///
/// # Errors
/// [`Invalid`] unless it is RFC 3339.
pub fn moment(text: Option<&str>) -> Result<Option<Time>, Invalid> {
    text.map(Time::parse).transpose()
}

/// Seconds as the ledger counts them.
pub fn ns(seconds: u32) -> i64 {
    i64::from(seconds) * 1_000_000_000
}

/// `null` is a value here, and leaving it out is none.
fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer)
}
