//! Secrets that are shown once: a key's on its way to the one answer, and API tokens as they are drawn.
//!
//! Not here: keys' secrets being drawn (`ledger::fresh`), what a token may do.

use crate::ledger::{Dice as _, OsDice};
use crate::model::bytes::Hex;
use crate::vault::{SecretKey, SecretRefused};
use serde::{Serialize, Serializer};
use zeroize::{Zeroize as _, Zeroizing};

/// Serializes the secret itself: for the one answer to whoever had it made.
#[derive(Debug)]
pub struct OnceShown<'a>(pub &'a SecretKey);

impl Serialize for OnceShown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

/// A new API token: 256 random bits, with letters before them by which scanners for leaked secrets can tell what it is.
///
/// # Errors
/// None that could be met: what is drawn is visible ASCII.
pub fn draw_token() -> Result<SecretKey, SecretRefused> {
    let mut bytes = Zeroizing::new([0; 32]);
    OsDice::default().fill(&mut *bytes);
    let mut text = format!("klt_{}", Hex(&*bytes));
    let token = SecretKey::import(&text);
    text.zeroize();
    token
}

/// What the ledger keeps of a token.
#[must_use]
pub fn token_hash(token: &str) -> [u8; 32] {
    *blake3::hash(token.as_bytes()).as_bytes()
}
