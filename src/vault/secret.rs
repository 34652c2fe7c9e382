//! A secret access key in memory: wiped when dropped, never printed, never copied by accident.
//!
//! Not here: how it is sealed (`seal`) and where it lies (`keystore`).

use super::VaultDice;
use std::fmt;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Characters of a generated secret: 62⁴⁰ is 238 bits, the form every dialect takes.
const GENERATED_CHARS: usize = 40;
/// Characters of an imported secret.
pub(super) const SECRET_BYTES_MAX: usize = 128;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Why a text cannot be a secret. Does not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret must have 1 to 128 printable ASCII characters without spaces; check that it was copied whole")]
pub struct SecretRefused;

/// A secret access key: 40 of `[A-Za-z0-9]` when made here, 1 to 128 printable ASCII characters when imported.
///
/// No `Clone`, no `Serialize`, no `Display`; `Debug` prints `***`. Compare with [`SecretKey::same_as`].
pub struct SecretKey(Zeroizing<Box<[u8]>>);

impl SecretKey {
    /// Draws a new secret. Each character is equally likely: bytes that would favour some are drawn again.
    #[must_use]
    pub fn generate(dice: &mut dyn VaultDice) -> Self {
        let mut secret = Zeroizing::new(vec![0; GENERATED_CHARS].into_boxed_slice());
        let mut drawn = Zeroizing::new([0; 64]);
        let mut filled = 0;
        while filled < GENERATED_CHARS {
            dice.fill(&mut *drawn);
            // 248 is the largest multiple of 62 that a byte holds.
            for byte in drawn.iter().filter(|byte| **byte < 248).take(GENERATED_CHARS - filled) {
                secret[filled] = ALPHABET[usize::from(byte % 62)];
                filled += 1;
            }
        }
        Self(secret)
    }

    /// Takes a secret made elsewhere. The caller wipes its own copy.
    ///
    /// # Errors
    /// [`SecretRefused`] when it is empty, longer than 128, or has a space, a control or a non-ASCII character.
    pub fn import(text: &str) -> Result<Self, SecretRefused> {
        Self::from_bytes(text.as_bytes())
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, SecretRefused> {
        let fits = (1..=SECRET_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        if fits { Ok(Self(Zeroizing::new(bytes.into()))) } else { Err(SecretRefused) }
    }

    /// THE SECRET ITSELF. For the one answer that may show it and for deriving signing keys; nothing else.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        // Only ASCII ever gets in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether both are the same secret, in time that depends on the lengths alone.
    #[must_use]
    pub fn same_as(&self, other: &SecretKey) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Keyed BLAKE3 under `blinding`: tells nothing to whoever lacks the blinding, and fits no other secret.
    #[must_use]
    pub fn commitment(&self, blinding: &[u8; 32]) -> [u8; 32] {
        *blake3::keyed_hash(blinding, &self.0).as_bytes()
    }

    /// Follows from the secret alone, so that a leaked one can be told. Only for secrets generated here: a weak
    /// one could be guessed from it.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 16] {
        let whole = blake3::derive_key("keyledger 2026-11 secret fingerprint", &self.0);
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&whole[..16]);
        fingerprint
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_secrets_have_40_characters_each_as_likely_as_another() {
        let mut seed = 0_u64;
        let mut dice = |bytes: &mut [u8]| {
            seed += 1;
            blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(bytes);
        };
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..1_550 {
            let secret = SecretKey::generate(&mut dice);
            assert_eq!(secret.expose_secret().len(), 40);
            for byte in secret.expose_secret().bytes() {
                *counts.entry(byte).or_insert(0) += 1;
            }
        }
        // 1,000 of each on average, standard deviation 31; taking bytes modulo 62 would give 8 of them a quarter more.
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|count| (850..=1_150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        let secret = SecretKey::import("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap();
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "*** Some(\n    ***,\n)");
        assert!(!format!("{SecretRefused} {SecretRefused:?}").contains("wJalr"));
    }

    #[test]
    fn imported_secrets_have_bounds() {
        for text in ["a", "+/=%&", &"x".repeat(128)] {
            assert_eq!(SecretKey::import(text).unwrap().expose_secret(), text);
        }
        for text in ["", " a", "a\n", "ä", "a\u{7f}", &"x".repeat(129)] {
            assert_eq!(SecretKey::import(text).err(), Some(SecretRefused));
        }
    }

    #[test]
    fn commitment_needs_the_blinding_and_fingerprint_does_not() {
        let [a, b] = ["secret-a", "secret-b"].map(|text| SecretKey::import(text).unwrap());
        assert_ne!(a.commitment(&[1; 32]), a.commitment(&[2; 32]));
        assert_ne!(a.commitment(&[1; 32]), b.commitment(&[1; 32]));
        assert_eq!(a.fingerprint(), SecretKey::import("secret-a").unwrap().fingerprint());
        assert_ne!(a.fingerprint(), b.fingerprint());
        assert!(!a.same_as(&b) && a.same_as(&SecretKey::import("secret-a").unwrap()));
        assert!(!a.same_as(&SecretKey::import("secret").unwrap()));
    }
}
