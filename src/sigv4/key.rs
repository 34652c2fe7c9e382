//! Signing keys: a secret narrowed to one day, region and service.
//!
//! HMAC-SHA-256 (RFC 2104) over the `sha2` crate's compression function: a key is kept as the two states that begin
//! every signature with it, so that signing costs two blocks less, and deriving one needs no buffer on the heap.
//!
//! Not here: the cache of them (`gate`), which dies with the key.

use super::TERMINATOR;
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Signs for one secret, day, region and service. Wiped when dropped; `Debug` prints `***`; no `Clone`, no `Serialize`.
///
/// Keep it no longer than its day, the seven days of a presigned URL, and the life of its access key.
pub struct SigningKey(Keyed);

impl SigningKey {
    /// `HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request")` (IAM User Guide, "Create a
    /// signed AWS API request"). `date` is the credential scope's `20130524`.
    #[must_use]
    pub fn derive(secret: &[u8], date: &str, region: &str, service: &str) -> Self {
        let mut block = [0; BLOCK];
        if secret.len() <= BLOCK - 4 {
            block[..4].copy_from_slice(b"AWS4");
            block[4..4 + secret.len()].copy_from_slice(secret);
        } else {
            block[..32].copy_from_slice(&Sha256::new_with_prefix(b"AWS4").chain_update(secret).finalize());
        }
        let mut keyed = Keyed::of(block);
        block.zeroize();
        for part in [date, region, service, TERMINATOR] {
            let mut key = keyed.sign(part.as_bytes());
            block[..32].copy_from_slice(&key);
            keyed = Keyed::of(block);
            key.zeroize();
        }
        block.zeroize();
        Self(keyed)
    }

    /// The signature of a string to sign.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> [u8; 32] {
        self.0.sign(text)
    }

    /// A second one, for the chunks of a body that is read after the key was looked up.
    pub(super) fn again(&self) -> Self {
        Self(Keyed { inner: self.0.inner, outer: self.0.outer })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Bytes that SHA-256 takes at a time.
const BLOCK: usize = 64;
/// Where SHA-256 begins (FIPS 180-4, 5.3.3).
const BEGIN: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A key of HMAC: the states of both hashes after their first block.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Keyed {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl Keyed {
    /// From a key of at most 64 bytes, filled up with zeros.
    fn of(mut block: [u8; BLOCK]) -> Self {
        let (mut inner, mut outer) = (BEGIN, BEGIN);
        for byte in &mut block {
            *byte ^= 0x36;
        }
        compress256(&mut inner, &[block]);
        for byte in &mut block {
            *byte ^= 0x36 ^ 0x5c;
        }
        compress256(&mut outer, &[block]);
        block.zeroize();
        Self { inner, outer }
    }

    fn sign(&self, text: &[u8]) -> [u8; 32] {
        after_a_block(self.outer, &after_a_block(self.inner, text))
    }
}

/// The hash of a block that led to `state`, and `text`.
fn after_a_block(mut state: [u32; 8], text: &[u8]) -> [u8; 32] {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    if !blocks.is_empty() {
        compress256(&mut state, blocks);
    }
    // The rest, a one bit, zeros, and how many bits there were in all.
    let mut tail = [[0; BLOCK]; 2];
    let used = if rest.len() < BLOCK - 8 { 1 } else { 2 };
    tail[0][..rest.len()].copy_from_slice(rest);
    tail[0][rest.len()] = 0x80;
    let bits = (BLOCK + text.len()) as u64 * 8;
    tail[used - 1][BLOCK - 8..].copy_from_slice(&bits.to_be_bytes());
    compress256(&mut state, &tail[..used]);
    let mut hash = [0; 32];
    for (bytes, word) in hash.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigv4::encode::hex;
    use hmac::{Hmac, KeyInit, Mac};

    fn reference(key: &[u8], text: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text);
        mac.finalize().into_bytes().into()
    }

    #[test]
    fn the_example_of_the_documentation_comes_out() {
        // IAM User Guide, "Examples of how to derive a signing key".
        let secret = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let key = reference(&reference(b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", b"20120215"), b"us-east-1");
        let key = reference(&reference(&key, b"iam"), b"aws4_request");
        assert_eq!(hex(&key), *b"f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
        let derived = SigningKey::derive(secret, "20120215", "us-east-1", "iam");
        assert_eq!(derived.sign(b"text"), reference(&key, b"text"));
        assert_eq!(derived.again().sign(b"text"), reference(&key, b"text"));
        assert_eq!(format!("{derived:?}"), "***");
    }

    #[test]
    fn every_length_of_secret_and_text_agrees_with_the_hmac_crate() {
        let bytes: Vec<u8> = (0..=250).cycle().take(400).collect();
        for length in 0..=140 {
            let secret = &bytes[..length];
            let chain = [&b"20261125"[..], b"eu", b"s3", b"aws4_request"];
            let key = chain.iter().fold([b"AWS4", secret].concat(), |key, part| reference(&key, part).to_vec());
            let derived = SigningKey::derive(secret, "20261125", "eu", "s3");
            for text in [&bytes[..length], &bytes[..2 * length], b""] {
                assert_eq!(derived.sign(text), reference(&key, text), "{length}");
            }
        }
    }
}
