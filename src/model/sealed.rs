//! What the log may say of a secret: which version, a commitment, a fingerprint, how thoroughly it was destroyed.
//!
//! Not here: the secret, its cipher text and its key (`vault`).

use super::time::Time;
use serde::{Deserialize, Serialize};

/// One version of a key's secret, as an event tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretVersion {
    /// 1 for a key's first secret, then one more each.
    pub version: u32,
    /// Keyed BLAKE3 of the secret under a random blinding that is sealed with it: hides the secret, binds to it.
    #[serde(with = "super::bytes")]
    pub commitment: [u8; 32],
    /// For secrets generated here (238 random bits) alone: follows from the secret, so that a leaked one can be told.
    #[serde(with = "super::bytes::option")]
    pub fingerprint: Option<[u8; 16]>,
    pub set_at: Time,
}

/// How thoroughly a secret was destroyed (`format.md`, "Keystore").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ShredLevel {
    /// The live files no longer contain it.
    L0,
    /// Rekeyed under a new vault key: old copies of the files are useless.
    L1,
    /// An external key service destroyed the old key.
    L2,
}

impl ShredLevel {
    pub fn as_str(self) -> &'static str {
        match self {
            ShredLevel::L0 => "L0",
            ShredLevel::L1 => "L1",
            ShredLevel::L2 => "L2",
        }
    }
}
