//! Sealing one secret into one slot, and opening it again.
//!
//! XChaCha20-Poly1305 under a key that follows from the generation's file key, the key uid and the version; the
//! associated data names ledger, key uid, access key id and version. Nonces are 24 random bytes.
//!
//! Not here: the file key's own wrapping (`generation`) and where slots lie (`slots`).

use super::layout::{PLAIN_BYTES, SLOT_BYTES, Slot};
use super::secret::{SECRET_BYTES_MAX, SecretKey};
use super::{LedgerId, VaultDice};
use crate::model::{AccessKeyId, KeyUid};
use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use std::fmt;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

const SECRET_AT: usize = 8;
const BLINDING_AT: usize = SECRET_AT + SECRET_BYTES_MAX;
const _: () = assert!(BLINDING_AT + 32 == PLAIN_BYTES);

/// Encrypts in place; the tag.
pub(super) fn encrypt(key: &[u8; 32], nonce: &[u8; 24], aad: &[u8], text: &mut [u8]) -> [u8; 16] {
    let cipher = XChaCha20Poly1305::new(key.into());
    let tag = cipher.encrypt_inout_detached(nonce.into(), aad, text.into());
    tag.expect("less than 256 bytes are within the cipher's limits").into()
}

/// Decrypts in place; whether the tag fits. If it does not, `text` is of no use.
#[must_use]
pub(super) fn decrypt(key: &[u8; 32], nonce: &[u8; 24], aad: &[u8], text: &mut [u8], tag: &[u8; 16]) -> bool {
    let cipher = XChaCha20Poly1305::new(key.into());
    cipher.decrypt_inout_detached(nonce.into(), aad, text.into(), tag.into()).is_ok()
}

/// Whether two identification fingerprints are the same, in constant time.
#[must_use]
pub fn fingerprints_equal(a: &[u8; 16], b: &[u8; 16]) -> bool {
    a.ct_eq(b).into()
}

/// Seals secrets for one generation of the keystore. Cheap to clone; needs no lock on the keystore.
#[derive(Clone)]
pub struct Sealer {
    file_key: Arc<Zeroizing<[u8; 32]>>,
    ledger_id: LedgerId,
    generation: u64,
}

/// A secret as it will lie in the keystore, and what the log may say of it.
#[derive(Clone)]
pub struct SealedSlot {
    pub(super) bytes: [u8; SLOT_BYTES],
    pub(super) generation: u64,
    pub uid: KeyUid,
    pub access_key_id: AccessKeyId,
    pub version: u32,
    /// For the event that tells of this version.
    pub commitment: [u8; 32],
}

impl SealedSlot {
    /// The generation of the keystore it was sealed for.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl fmt::Debug for SealedSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedSlot({} version {})", self.access_key_id, self.version)
    }
}

/// A secret taken out of its slot.
#[derive(Debug)]
pub struct Opened {
    pub secret: SecretKey,
    /// What the event of this version must say.
    pub commitment: [u8; 32],
}

impl Sealer {
    pub(super) fn new(file_key: Zeroizing<[u8; 32]>, ledger_id: LedgerId, generation: u64) -> Self {
        Self { file_key: Arc::new(file_key), ledger_id, generation }
    }

    /// Which generation of the keystore takes what this seals.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Seals `secret` as `version` of a key. Draws 56 bytes.
    #[must_use]
    pub fn seal(
        &self,
        uid: KeyUid,
        access_key_id: &AccessKeyId,
        version: u32,
        secret: &SecretKey,
        dice: &mut dyn VaultDice,
    ) -> SealedSlot {
        let mut blinding = Zeroizing::new([0; 32]);
        dice.fill(&mut *blinding);
        self.seal_with(uid, access_key_id, version, secret, &blinding, dice)
    }

    fn seal_with(
        &self,
        uid: KeyUid,
        access_key_id: &AccessKeyId,
        version: u32,
        secret: &SecretKey,
        blinding: &[u8; 32],
        dice: &mut dyn VaultDice,
    ) -> SealedSlot {
        let mut nonce = [0; 24];
        dice.fill(&mut nonce);
        let mut plain = Zeroizing::new([0; PLAIN_BYTES]);
        let bytes = secret.bytes();
        plain[0] = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        plain[SECRET_AT..SECRET_AT + bytes.len()].copy_from_slice(bytes);
        plain[BLINDING_AT..].copy_from_slice(blinding);
        let mut slot = Slot::new(uid, version, access_key_id.as_str(), nonce);
        let aad = self.associated_data(&slot);
        slot.tag = encrypt(&self.slot_key(&slot), &nonce, &aad, &mut *plain);
        slot.cipher = *plain;
        SealedSlot {
            bytes: slot.encode(),
            generation: self.generation,
            uid,
            access_key_id: access_key_id.clone(),
            version,
            commitment: secret.commitment(blinding),
        }
    }

    /// The secret in `slot`, with its blinding; `None` when anything about it is not as it was sealed.
    fn open_whole(&self, slot: &Slot) -> Option<(SecretKey, Zeroizing<[u8; 32]>)> {
        let mut plain = Zeroizing::new(slot.cipher);
        let aad = self.associated_data(slot);
        if !decrypt(&self.slot_key(slot), &slot.nonce, &aad, &mut *plain, &slot.tag) {
            return None;
        }
        let len = usize::from(plain[0]);
        let secret = SecretKey::from_bytes(plain.get(SECRET_AT..SECRET_AT + len.min(SECRET_BYTES_MAX))?).ok()?;
        let mut blinding = Zeroizing::new([0; 32]);
        blinding.copy_from_slice(&plain[BLINDING_AT..]);
        Some((secret, blinding))
    }

    pub(super) fn open(&self, slot: &Slot) -> Option<Opened> {
        let (secret, blinding) = self.open_whole(slot)?;
        Some(Opened { commitment: secret.commitment(&blinding), secret })
    }

    /// The same secret and blinding sealed for the generation of `to`; `None` when `slot` does not open.
    pub(super) fn reseal(&self, slot: &Slot, to: &Sealer, dice: &mut dyn VaultDice) -> Option<SealedSlot> {
        let (secret, blinding) = self.open_whole(slot)?;
        let id = AccessKeyId::parse(std::str::from_utf8(slot.access_key_id()).ok()?).ok()?;
        Some(to.seal_with(slot.uid, &id, slot.version, &secret, &blinding, dice))
    }

    /// The MAC that ties a keystore header to its file key.
    pub(super) fn header_mac(&self, header: &[u8]) -> [u8; 32] {
        let key = Zeroizing::new(blake3::derive_key("keyledger 2026-11 keystore header", &**self.file_key));
        *blake3::keyed_hash(&key, header).as_bytes()
    }

    fn slot_key(&self, slot: &Slot) -> Zeroizing<[u8; 32]> {
        let mut hasher = blake3::Hasher::new_keyed(&self.file_key);
        hasher.update(b"keyledger 2026-11 slot key").update(&slot.uid.0).update(&slot.version.to_le_bytes());
        let key = Zeroizing::new(*hasher.finalize().as_bytes());
        hasher.zeroize();
        key
    }

    /// Ledger id ‖ key uid ‖ version ‖ length and text of the access key id.
    fn associated_data(&self, slot: &Slot) -> Vec<u8> {
        let id = slot.access_key_id();
        let mut aad = Vec::with_capacity(40 + id.len());
        aad.extend_from_slice(&self.ledger_id);
        aad.extend_from_slice(&slot.uid.0);
        aad.extend_from_slice(&slot.version.to_le_bytes());
        aad.extend_from_slice(&(id.len() as u64).to_le_bytes());
        aad.extend_from_slice(id);
        aad
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer(generation {})", self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Read;
    use super::*;

    fn sealer(file_key: u8, ledger: u8) -> Sealer {
        Sealer::new(Zeroizing::new([file_key; 32]), [ledger; 16], 1)
    }

    fn slot(sealed: &SealedSlot) -> Slot {
        let Read::Sealed(slot) = Slot::decode(&sealed.bytes) else { panic!("not a slot") };
        *slot
    }

    #[test]
    fn a_slot_opens_only_where_it_was_sealed() {
        let mut dice = |bytes: &mut [u8]| bytes.fill(0x5c);
        let id = AccessKeyId::parse("NQAK7Q2M4T8XW1PC5DRE").unwrap();
        let secret = SecretKey::import("the-secret").unwrap();
        let sealed = sealer(1, 1).seal(KeyUid([9; 16]), &id, 3, &secret, &mut dice);
        let opened = sealer(1, 1).open(&slot(&sealed)).unwrap();
        assert!(opened.secret.same_as(&secret) && opened.commitment == sealed.commitment);
        assert!(sealer(2, 1).open(&slot(&sealed)).is_none(), "another file key");
        assert!(sealer(1, 2).open(&slot(&sealed)).is_none(), "another ledger");
        let moved = |uid, version, id: &str| {
            let mut moved = Slot::new(uid, version, id, [0; 24]);
            let original = slot(&sealed);
            (moved.nonce, moved.cipher, moved.tag) = (original.nonce, original.cipher, original.tag);
            sealer(1, 1).open(&moved).is_some()
        };
        assert!(moved(KeyUid([9; 16]), 3, id.as_str()));
        assert!(!moved(KeyUid([8; 16]), 3, id.as_str()) && !moved(KeyUid([9; 16]), 2, id.as_str()));
        assert!(!moved(KeyUid([9; 16]), 3, "NQAK7Q2M4T8XW1PC5DRF"));
        assert!(!sealed.bytes.windows(10).any(|window| window == b"the-secret"));
    }

    #[test]
    fn every_length_of_secret_survives_and_shows_the_same_size() {
        let mut dice = |bytes: &mut [u8]| bytes.fill(0x5c);
        let id = AccessKeyId::parse("NQAK7Q2M4T8XW1PC5DRE").unwrap();
        for len in 1..=128 {
            let secret = SecretKey::import(&"s".repeat(len)).unwrap();
            let sealed = sealer(1, 1).seal(KeyUid([9; 16]), &id, 1, &secret, &mut dice);
            assert!(sealer(1, 1).open(&slot(&sealed)).unwrap().secret.same_as(&secret), "{len}");
        }
    }

    #[test]
    fn resealing_keeps_the_commitment() {
        let mut next = 0_u8;
        let mut dice = |bytes: &mut [u8]| {
            next += 1;
            bytes.fill(next);
        };
        let id = AccessKeyId::parse("NQAK7Q2M4T8XW1PC5DRE").unwrap();
        let sealed = sealer(1, 1).seal(KeyUid([9; 16]), &id, 1, &SecretKey::import("s").unwrap(), &mut dice);
        let again = sealer(1, 1).reseal(&slot(&sealed), &sealer(2, 1), &mut dice).unwrap();
        assert_eq!(again.commitment, sealed.commitment);
        assert_ne!(again.bytes, sealed.bytes);
        assert!(sealer(2, 1).reseal(&slot(&sealed), &sealer(1, 1), &mut dice).is_none());
    }
}
