//! The bytes of `keystore-<gen>.ks` and `filekey-<gen>.key`. Integers are little-endian, reserved bytes zero.
//!
//! ```text
//!  keystore header, 4096 B, never changed in a generation
//!  +0      +8        +12        +16        +32         +40       +44  +48           +64   +96          +4092
//!  ┌───────┬─────────┬──────────┬──────────┬───────────┬─────────┬────┬─────────────┬─────┬────────────┬─────┐
//!  │ magic │ version │ 4096 u32 │ ledger   │ generation│ 512 u32 │ 0  │ vault key id│ mac │ 0 …        │ crc │
//!  │ 8     │ 2+2     │          │ id 16    │ u64       │         │    │ 16          │ 32  │            │     │
//!  └───────┴─────────┴──────────┴──────────┴───────────┴─────────┴────┴─────────────┴─────┴────────────┴─────┘
//!   └──────────────── what `mac` covers, under a key that follows from the file key ─┘
//!
//!  slot, 512 B; all zero is free
//!  +0     +4   +5     +6      +7  +8       +24       +28  +32             +160      +184            +352  +368   +508
//!  ┌──────┬────┬──────┬───────┬───┬────────┬─────────┬────┬───────────────┬─────────┬───────────────┬─────┬──────┬─────┐
//!  │ magic│ 1  │ state│ id len│ 0 │ key uid│ version │ 0  │ access key id │ nonce 24│ cipher text   │ tag │ 0 …  │ crc │
//!  │ 4    │    │ 1    │       │   │ 16     │ u32     │    │ 128, 0-padded │         │ 168           │ 16  │      │     │
//!  └──────┴────┴──────┴───────┴───┴────────┴─────────┴────┴───────────────┴─────────┴───────────────┴─────┴──────┴─────┘
//!   plain text: length u8 │ 0 ×7 │ secret 128, 0-padded │ blinding 32: the same length for every secret
//!
//!  file key, 256 B
//!  +0      +8        +12       +16         +32         +40           +56      +80          +112  +128   +252
//!  ┌───────┬─────────┬─────────┬───────────┬───────────┬─────────────┬────────┬────────────┬─────┬──────┬─────┐
//!  │ magic │ version │ 256 u32 │ ledger id │ generation│ vault key id│ nonce  │ wrapped 32 │ tag │ 0 …  │ crc │
//!  └───────┴─────────┴─────────┴───────────┴───────────┴─────────────┴────────┴────────────┴─────┴──────┴─────┘
//!   └───────────────────────── associated data ──────────────────────┘
//! ```
//!
//! Not here: encryption (`seal`, `generation`), which file is current (`generation`), which slot is whose (`slots`).

use super::LedgerId;
use super::error::{VaultError, hex};
use super::keyring::VaultKeyId;
use crate::model::KeyUid;
use std::path::Path;

pub(super) const HEADER_BYTES: usize = 4096;
pub(super) const SLOT_BYTES: usize = 512;
pub(super) const FILE_KEY_BYTES: usize = 256;
pub(super) const PLAIN_BYTES: usize = 168;
pub(super) const ACCESS_KEY_ID_BYTES_MAX: usize = 128;

const KEYSTORE_MAGIC: [u8; 8] = *b"KLKST\r\n\x1a";
const FILE_KEY_MAGIC: [u8; 8] = *b"KLFKY\r\n\x1a";
const SLOT_MAGIC: [u8; 4] = *b"KLV1";
const FORMAT: (u16, u16) = (1, 0);
const SLOT_FORMAT: u8 = 1;
/// The one state there is: a sealed secret. A shredded slot is free.
const STATE_SEALED: u8 = 1;

const COMMON_END: usize = 40;
/// The part of the header that its MAC covers.
pub(super) const HEADER_MAC_AT: usize = 64;
const HEADER_CRC_AT: usize = HEADER_BYTES - 4;
pub(super) const FILE_KEY_AAD_END: usize = 56;
const FILE_KEY_CRC_AT: usize = FILE_KEY_BYTES - 4;
const ID_AT: usize = 32;
const NONCE_AT: usize = ID_AT + ACCESS_KEY_ID_BYTES_MAX;
const CIPHER_AT: usize = NONCE_AT + 24;
const TAG_AT: usize = CIPHER_AT + PLAIN_BYTES;
const SLOT_RESERVED_AT: usize = TAG_AT + 16;
const SLOT_CRC_AT: usize = SLOT_BYTES - 4;
const _: () = assert!(NONCE_AT == 160 && CIPHER_AT == 184 && TAG_AT == 352 && SLOT_RESERVED_AT == 368);

/// Copies `N` bytes out. `at + N` lies inside every caller's fixed-size block.
fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut taken = [0; N];
    taken.copy_from_slice(&bytes[at..at + N]);
    taken
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(take(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(take(bytes, at))
}

fn seal_crc(bytes: &mut [u8], at: usize) {
    let crc = crc32fast::hash(&bytes[..at]);
    bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// What both files begin with.
fn common(magic: [u8; 8], len: usize, ledger_id: LedgerId, generation: u64) -> [u8; COMMON_END] {
    let mut bytes = [0; COMMON_END];
    bytes[..8].copy_from_slice(&magic);
    bytes[8..10].copy_from_slice(&FORMAT.0.to_le_bytes());
    bytes[10..12].copy_from_slice(&FORMAT.1.to_le_bytes());
    bytes[12..16].copy_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    bytes[16..32].copy_from_slice(&ledger_id);
    bytes[32..40].copy_from_slice(&generation.to_le_bytes());
    bytes
}

/// Checks a whole fixed block: magic, version, checksum, then ledger and generation.
fn check_common(
    bytes: &[u8],
    magic: [u8; 8],
    crc_at: usize,
    path: &Path,
    ledger_id: LedgerId,
    generation: u64,
) -> Result<(), VaultError> {
    let damaged = |offset: usize, what| VaultError::Damaged { path: path.to_path_buf(), offset: offset as u64, what };
    if bytes[..8] != magic {
        return Err(damaged(0, "the magic is not there"));
    }
    let (major, minor) = (u16_at(bytes, 8), u16_at(bytes, 10));
    let crc_holds = crc32fast::hash(&bytes[..crc_at]) == u32_at(bytes, crc_at);
    if (major, minor) != FORMAT && crc_holds {
        return Err(VaultError::UnknownFormat { path: path.to_path_buf(), major, minor });
    }
    if !crc_holds {
        return Err(damaged(crc_at, "the checksum does not match"));
    }
    if u32_at(bytes, 12) as usize != bytes.len() {
        return Err(damaged(12, "the header length is wrong"));
    }
    let found: LedgerId = take(bytes, 16);
    if found != ledger_id {
        let (found, expected) = (hex(&found), hex(&ledger_id));
        return Err(VaultError::ForeignKeystore { path: path.to_path_buf(), found, expected });
    }
    if u64::from_le_bytes(take(bytes, 32)) != generation {
        return Err(damaged(32, "the generation is not that of the file name"));
    }
    Ok(())
}

/// A keystore header without its MAC, which needs the file key; [`finish_header`] completes it.
pub(super) fn header(ledger_id: LedgerId, generation: u64, vault_key: VaultKeyId) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..COMMON_END].copy_from_slice(&common(KEYSTORE_MAGIC, HEADER_BYTES, ledger_id, generation));
    bytes[40..44].copy_from_slice(&u32::try_from(SLOT_BYTES).unwrap_or(u32::MAX).to_le_bytes());
    bytes[48..64].copy_from_slice(&vault_key.0);
    bytes
}

pub(super) fn finish_header(bytes: &mut [u8; HEADER_BYTES], mac: [u8; 32]) {
    bytes[HEADER_MAC_AT..HEADER_MAC_AT + 32].copy_from_slice(&mac);
    seal_crc(bytes, HEADER_CRC_AT);
}

/// Checks all of a header but its MAC, and returns the vault key's id and the MAC.
pub(super) fn check_header(
    bytes: &[u8; HEADER_BYTES],
    path: &Path,
    ledger_id: LedgerId,
    generation: u64,
) -> Result<(VaultKeyId, [u8; 32]), VaultError> {
    check_common(bytes, KEYSTORE_MAGIC, HEADER_CRC_AT, path, ledger_id, generation)?;
    let damaged = |offset, what| Err(VaultError::Damaged { path: path.to_path_buf(), offset, what });
    if u32_at(bytes, 40) as usize != SLOT_BYTES || !is_zero(&bytes[44..48]) {
        return damaged(40, "the slot length is not 512");
    }
    if !is_zero(&bytes[HEADER_MAC_AT + 32..HEADER_CRC_AT]) {
        return damaged(96, "reserved bytes are not zero");
    }
    Ok((VaultKeyId(take(bytes, 48)), take(bytes, HEADER_MAC_AT)))
}

/// The parts of a file key file that the cipher needs.
pub(super) struct WrappedKey {
    pub(super) vault_key: VaultKeyId,
    pub(super) nonce: [u8; 24],
    pub(super) wrapped: [u8; 32],
    pub(super) tag: [u8; 16],
}

/// The associated data: the file's first 56 bytes.
pub(super) fn file_key_aad(ledger_id: LedgerId, generation: u64, vault_key: VaultKeyId) -> [u8; FILE_KEY_AAD_END] {
    let mut bytes = [0; FILE_KEY_AAD_END];
    bytes[..COMMON_END].copy_from_slice(&common(FILE_KEY_MAGIC, FILE_KEY_BYTES, ledger_id, generation));
    bytes[40..56].copy_from_slice(&vault_key.0);
    bytes
}

pub(super) fn file_key(aad: &[u8; FILE_KEY_AAD_END], key: &WrappedKey) -> [u8; FILE_KEY_BYTES] {
    let mut bytes = [0; FILE_KEY_BYTES];
    bytes[..FILE_KEY_AAD_END].copy_from_slice(aad);
    bytes[56..80].copy_from_slice(&key.nonce);
    bytes[80..112].copy_from_slice(&key.wrapped);
    bytes[112..128].copy_from_slice(&key.tag);
    seal_crc(&mut bytes, FILE_KEY_CRC_AT);
    bytes
}

pub(super) fn check_file_key(
    bytes: &[u8; FILE_KEY_BYTES],
    path: &Path,
    ledger_id: LedgerId,
    generation: u64,
) -> Result<WrappedKey, VaultError> {
    check_common(bytes, FILE_KEY_MAGIC, FILE_KEY_CRC_AT, path, ledger_id, generation)?;
    if !is_zero(&bytes[128..FILE_KEY_CRC_AT]) {
        let what = "reserved bytes are not zero";
        return Err(VaultError::Damaged { path: path.to_path_buf(), offset: 128, what });
    }
    Ok(WrappedKey {
        vault_key: VaultKeyId(take(bytes, 40)),
        nonce: take(bytes, 56),
        wrapped: take(bytes, 80),
        tag: take(bytes, 112),
    })
}

/// A slot's fields, as they stand on disk.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) uid: KeyUid,
    pub(super) version: u32,
    id: [u8; ACCESS_KEY_ID_BYTES_MAX],
    id_len: u8,
    pub(super) nonce: [u8; 24],
    pub(super) cipher: [u8; PLAIN_BYTES],
    pub(super) tag: [u8; 16],
}

/// What 512 bytes turned out to be.
#[derive(Debug)]
pub(super) enum Read {
    Free,
    Sealed(Box<Slot>),
    /// Torn or rotten; whom it claims to belong to, if that much can be read.
    Damaged(Option<(KeyUid, u32)>),
}

impl Slot {
    /// `access_key_id` has at most 128 bytes: its type sees to that.
    pub(super) fn new(uid: KeyUid, version: u32, access_key_id: &str, nonce: [u8; 24]) -> Self {
        let mut id = [0; ACCESS_KEY_ID_BYTES_MAX];
        let id_len = access_key_id.len().min(ACCESS_KEY_ID_BYTES_MAX);
        id[..id_len].copy_from_slice(&access_key_id.as_bytes()[..id_len]);
        let id_len = u8::try_from(id_len).unwrap_or(u8::MAX);
        Self { uid, version, id, id_len, nonce, cipher: [0; PLAIN_BYTES], tag: [0; 16] }
    }

    pub(super) fn access_key_id(&self) -> &[u8] {
        &self.id[..usize::from(self.id_len).min(ACCESS_KEY_ID_BYTES_MAX)]
    }

    pub(super) fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[..4].copy_from_slice(&SLOT_MAGIC);
        (bytes[4], bytes[5], bytes[6]) = (SLOT_FORMAT, STATE_SEALED, self.id_len);
        bytes[8..24].copy_from_slice(&self.uid.0);
        bytes[24..28].copy_from_slice(&self.version.to_le_bytes());
        bytes[ID_AT..NONCE_AT].copy_from_slice(&self.id);
        bytes[NONCE_AT..CIPHER_AT].copy_from_slice(&self.nonce);
        bytes[CIPHER_AT..TAG_AT].copy_from_slice(&self.cipher);
        bytes[TAG_AT..SLOT_RESERVED_AT].copy_from_slice(&self.tag);
        seal_crc(&mut bytes, SLOT_CRC_AT);
        bytes
    }

    pub(super) fn decode(bytes: &[u8; SLOT_BYTES]) -> Read {
        if is_zero(bytes) {
            return Read::Free;
        }
        let magic_holds = bytes[..4] == SLOT_MAGIC;
        let (uid, version) = (KeyUid(take(bytes, 8)), u32_at(bytes, 24));
        let id_len = usize::from(bytes[6]);
        let whole = magic_holds
            && crc32fast::hash(&bytes[..SLOT_CRC_AT]) == u32_at(bytes, SLOT_CRC_AT)
            && bytes[4] == SLOT_FORMAT
            && bytes[5] == STATE_SEALED
            && (1..=ACCESS_KEY_ID_BYTES_MAX).contains(&id_len)
            && bytes[7] == 0
            && is_zero(&bytes[28..32])
            && is_zero(&bytes[ID_AT + id_len..NONCE_AT])
            && is_zero(&bytes[SLOT_RESERVED_AT..SLOT_CRC_AT]);
        if !whole {
            return Read::Damaged(magic_holds.then_some((uid, version)));
        }
        Read::Sealed(Box::new(Slot {
            uid,
            version,
            id: take(bytes, ID_AT),
            id_len: bytes[6],
            nonce: take(bytes, NONCE_AT),
            cipher: take(bytes, CIPHER_AT),
            tag: take(bytes, TAG_AT),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_reads_back_and_no_flipped_bit_goes_unseen() {
        let mut slot = Slot::new(KeyUid([3; 16]), 7, &"K".repeat(128), [5; 24]);
        slot.cipher = [9; PLAIN_BYTES];
        slot.tag = [11; 16];
        let bytes = slot.encode();
        let Read::Sealed(read) = Slot::decode(&bytes) else { panic!() };
        assert_eq!(read.encode(), bytes);
        assert_eq!((read.uid, read.version, read.access_key_id()), (slot.uid, 7, slot.access_key_id()));
        for bit in 0..SLOT_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(Slot::decode(&flipped), Read::Damaged(_)), "bit {bit}");
        }
        assert!(matches!(Slot::decode(&[0; SLOT_BYTES]), Read::Free));
    }
}
