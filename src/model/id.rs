//! Every id: what names a commit, an org, a user, a group, a policy, a key, a bucket.
//!
//! Invariants
//! - An `AccessKeyId` is 16 to 128 of `[A-Za-z0-9_]` (botocore 1.44.5, IAM `accessKeyIdType`); parsed once, trusted after.
//! - A `KeyUid` follows from its access key id and from whether it is live or evidence, so the same id has the same
//!   uid on every machine, and an id cannot be used twice in one of the two worlds.
//!
//! Not here: drawing new ids (`ledger::fresh`).

use super::limits::{self, Invalid};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a commit: 1 for a ledger's first, then one more each; 0 means "before the first".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The next one.
    #[must_use]
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! uid {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(#[serde(with = "super::bytes")] pub [u8; 16]);

        impl $name {
            /// The uid that follows from `parts` alone: evidence gets the same uids in whatever order it arrives.
            #[must_use]
            pub fn derived(parts: &[&[u8]]) -> Self {
                Self(derive(concat!("keyledger 2026-11 ", stringify!($name)), parts))
            }
        }

        impl std::hash::Hash for $name {
            /// A uid is drawn or hashed, so half of it spreads as well as all of it; a table's own seed does the rest.
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                let [a, b, c, d, e, f, g, h, ..] = self.0;
                state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                super::bytes::Hex(&self.0).fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

uid!(
    /// An org, live or evidence.
    OrgUid
);
uid!(
    /// A user; survives renames.
    UserUid
);
uid!(
    /// A group; survives renames.
    GroupUid
);
uid!(
    /// A policy.
    PolicyUid
);
uid!(
    /// An access key: see [`AccessKeyId::uid`].
    KeyUid
);

/// A uid in the form of an AWS unique id: four letters, and 16 of `[A-Z2-7]` that are the uid's first 80 bits (IAM User Guide, "Unique
/// identifiers").
fn aws_id(prefix: &str, uid: &[u8; 16]) -> CompactString {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits = uid.iter().take(10).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let mut id = CompactString::new(prefix);
    for place in (0..16).rev() {
        let digit = usize::try_from(bits >> (5 * place) & 31).unwrap_or_default();
        id.push(char::from(DIGITS[digit]));
    }
    id
}

impl UserUid {
    /// `AIDA…`: what `aws:userid` and `UserId` say.
    #[must_use]
    pub fn aws_id(&self) -> CompactString {
        aws_id("AIDA", &self.0)
    }
}

impl GroupUid {
    /// `AGPA…`
    #[must_use]
    pub fn aws_id(&self) -> CompactString {
        aws_id("AGPA", &self.0)
    }
}

impl PolicyUid {
    /// `ANPA…`
    #[must_use]
    pub fn aws_id(&self) -> CompactString {
        aws_id("ANPA", &self.0)
    }
}

fn derive(context: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut uid = [0; 16];
    hasher.finalize_xof().fill(&mut uid);
    uid
}

impl OrgUid {
    /// The evidence org of an account.
    #[must_use]
    pub fn evidence(account: AccountId) -> Self {
        Self::derived(&[b"evidence", &account.0.to_le_bytes()])
    }
}

/// The two worlds an access key id can stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    Live,
    Evidence,
}

/// An access key id: 16 to 128 of `[A-Za-z0-9_]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct AccessKeyId(CompactString);

impl AccessKeyId {
    /// What stands for a key that nobody has made.
    pub(crate) fn supposed() -> Self {
        Self(CompactString::const_new("a-supposed-key"))
    }

    /// # Errors
    /// [`Invalid`] when the text is too short, too long or has another character.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        limits::access_key_id(text)?;
        Ok(Self(CompactString::new(text)))
    }

    /// An id that was parsed before.
    pub(crate) fn known(text: &str) -> Self {
        Self(CompactString::new(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key's uid: XXH3-128 of the id, seeded by its world. Not secret and not collision-proof against whoever
    /// chooses ids, so the record behind a uid names its id and is compared before it is believed; a create whose
    /// uid is taken by another id is refused.
    #[must_use]
    pub fn uid(&self, world: World) -> KeyUid {
        Self::uid_of(&self.0, world)
    }

    /// [`AccessKeyId::uid`] of text that was not parsed yet.
    #[must_use]
    pub fn uid_of(text: &str, world: World) -> KeyUid {
        KeyUid(Self::uid_number(text, world).to_le_bytes())
    }

    /// [`AccessKeyId::uid_of`], its bytes as a little-endian number.
    #[inline]
    pub(crate) fn uid_number(text: &str, world: World) -> u128 {
        let seed = match world {
            World::Live => 0x6b65_796c_6564_6765,
            World::Evidence => 0x6576_6964_656e_6365,
        };
        xxhash_rust::xxh3::xxh3_128_with_seed(text.as_bytes(), seed)
    }

    /// Whether this is a temporary AWS key (`ASIA…`).
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.0.starts_with("ASIA")
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AccessKeyId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = CompactString::deserialize(deserializer)?;
        limits::access_key_id(&text).map_err(serde::de::Error::custom)?;
        Ok(Self(text))
    }
}

/// A 12-digit account id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub u64);

impl AccountId {
    /// # Errors
    /// [`Invalid`] unless the text is 12 digits.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() == 12
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(number) = text.parse()
        {
            return Ok(Self(number));
        }
        Err(Invalid::new("account id", text, "12 digits"))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

/// A bucket's name: 3 to 63 of `[a-z0-9.-]`, starting and ending with a letter or digit; see [`limits::bucket_name`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BucketName(pub CompactString);

impl BucketName {
    /// # Errors
    /// [`Invalid`] when the name breaks S3's rules for general purpose buckets.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        limits::bucket_name(text)?;
        Ok(Self(CompactString::new(text)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Ordered and equal as its text is.
impl std::borrow::Borrow<str> for BucketName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_another_uid_in_each_world() {
        let id = AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap();
        assert_ne!(id.uid(World::Live), id.uid(World::Evidence));
        assert_eq!(id.uid(World::Live), AccessKeyId::uid_of("AKIAIOSFODNN7EXAMPLE", World::Live));
    }

    #[test]
    fn uids_have_the_form_of_aws_s_unique_ids() {
        let mut uid = [0xff; 16];
        assert_eq!(UserUid(uid).aws_id(), "AIDA7777777777777777");
        uid[0] = 0;
        assert_eq!(GroupUid(uid).aws_id(), "AGPAAD77777777777777");
        assert_eq!(PolicyUid([0; 16]).aws_id(), "ANPAAAAAAAAAAAAAAAAA");
    }

    #[test]
    fn ids_out_of_bounds_are_refused() {
        for bad in ["", "short", "AKIAIOSFODNN7EXAMPL\n", &"A".repeat(129), "AKIAIOSFODNN7EX/MPLE"] {
            assert!(AccessKeyId::parse(bad).is_err(), "{bad:?}");
        }
        assert!(AccessKeyId::parse(&"A".repeat(128)).is_ok());
        assert!(AccountId::parse("12345678901").is_err());
        assert_eq!(AccountId::parse("000000000012").unwrap().to_string(), "000000000012");
    }
}
