//! Signing keys: a secret narrowed to one day, region and service.
//!
//! Not here: the cache of them (`gate`), which dies with the key.

use super::TERMINATOR;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// Signs for one secret, day, region and service. Wiped when dropped; `Debug` prints `***`; no `Clone`, no `Serialize`.
///
/// Keep it no longer than its day, the seven days of a presigned URL, and the life of its access key.
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// `HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request")` (IAM User Guide, "Create a
    /// signed AWS API request"). `date` is the credential scope's `20130524`.
    #[must_use]
    pub fn derive(secret: &[u8], date: &str, region: &str, service: &str) -> Self {
        let mut first = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(secret);
        let mut key = Zeroizing::new(hmac(&first, date.as_bytes()));
        for part in [region, service, TERMINATOR] {
            *key = hmac(&*key, part.as_bytes());
        }
        Self(keyed(&*key))
    }

    /// The signature of a string to sign.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(text);
        mac.finalize().into_bytes().into()
    }

    /// A second one, for the chunks of a body that is read after the key was looked up.
    pub(super) fn again(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length; the error is another MAC's")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = keyed(key);
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigv4::encode::hex;

    #[test]
    fn the_example_of_the_documentation_comes_out() {
        // IAM User Guide, "Examples of how to derive a signing key".
        let secret = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let key = hmac(&hmac(b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", b"20120215"), b"us-east-1");
        let key = hmac(&hmac(&key, b"iam"), b"aws4_request");
        assert_eq!(hex(&key), *b"f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
        let derived = SigningKey::derive(secret, "20120215", "us-east-1", "iam");
        assert_eq!(derived.sign(b"text"), hmac(&key, b"text"));
        assert_eq!(derived.again().sign(b"text"), hmac(&key, b"text"));
        assert_eq!(format!("{derived:?}"), "***");
    }
}
