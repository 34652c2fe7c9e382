//! A generation: one file key and the keystore sealed under it. The newest complete pair is the current one.
//!
//! The file key is durable before the keystore that needs it, so the order of a new generation is: file key,
//! keystore, end of the old pair. A crash between any two leaves the old pair or the new one, each whole.
//!
//! Not here: the slots (`slots`) and what is resealed into a new generation (`keystore`).

use super::error::VaultError;
use super::keyring::{VaultKey, VaultKeyId};
use super::layout::{self, FILE_KEY_BYTES, HEADER_BYTES, HEADER_MAC_AT, SLOT_BYTES, WrappedKey};
use super::seal::{Sealer, decrypt, encrypt};
use super::{LedgerId, VaultDice};
use crate::sys::{Io, IoFile, OpenMode};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Bytes written at once.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// An open keystore file and what opens its slots.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn IoFile>,
    pub(super) sealer: Sealer,
    pub(super) vault_key: VaultKeyId,
}

pub(super) fn keystore_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("keystore-{number}.ks"))
}

pub(super) fn file_key_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("filekey-{number}.key"))
}

/// The generations in a folder, by what is there of each.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Number → (keystore there, file key there).
    found: BTreeMap<u64, (bool, bool)>,
    temporary: Vec<PathBuf>,
}

impl Listing {
    pub(super) fn read(io: &dyn Io, folder: &Path) -> Result<Self, VaultError> {
        let entries = match io.read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(VaultError::io("list", folder)(error)),
        };
        let mut listing = Self::default();
        for name in entries.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.name) {
            let number = |prefix, suffix| -> Option<u64> {
                let digits = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
                digits.parse().ok().filter(|number: &u64| number.to_string() == digits)
            };
            if let Some(number) = number("keystore-", ".ks") {
                listing.found.entry(number).or_default().0 = true;
            } else if let Some(number) = number("filekey-", ".key") {
                listing.found.entry(number).or_default().1 = true;
            } else if number("keystore-", ".ks.tmp").or(number("filekey-", ".key.tmp")).is_some() {
                listing.temporary.push(folder.join(&name));
            }
        }
        Ok(listing)
    }

    /// The newest generation of which both files are there.
    ///
    /// # Errors
    /// A newer keystore without its file key is no crash: somebody removed a file, and older secrets would come back.
    pub(super) fn current(&self, folder: &Path) -> Result<u64, VaultError> {
        match self.found.iter().rev().find(|(_, (keystore, _))| *keystore) {
            Some((&number, (_, true))) => Ok(number),
            Some((&number, _)) => {
                let what = "the file is missing, and the keystore beside it cannot be read without it";
                Err(VaultError::Damaged { path: file_key_path(folder, number), offset: 0, what })
            }
            None => Err(VaultError::NoKeystore { folder: folder.to_path_buf() }),
        }
    }

    /// Every file that is not of generation `current`: what a crash or a finished rekey left.
    pub(super) fn leftovers(&self, folder: &Path, current: Option<u64>) -> Vec<PathBuf> {
        let mut paths = self.temporary.clone();
        for (&number, &(keystore, file_key)) in self.found.iter().filter(|(number, _)| Some(**number) != current) {
            paths.extend(keystore.then(|| keystore_path(folder, number)));
            paths.extend(file_key.then(|| file_key_path(folder, number)));
        }
        paths
    }
}

impl Generation {
    /// Opens generation `number` and proves with its MAC that `vault_key` is the right one.
    pub(super) fn open(
        io: &dyn Io,
        folder: &Path,
        ledger_id: LedgerId,
        number: u64,
        vault_key: &VaultKey,
        mode: OpenMode,
    ) -> Result<Self, VaultError> {
        let path = keystore_path(folder, number);
        let (file, id, mac, header) = open_header(io, &path, ledger_id, number, mode)?;
        let key_path = file_key_path(folder, number);
        let key_file = io.open(&key_path, OpenMode::Read).map_err(VaultError::io("open", &key_path))?;
        let bytes: [u8; FILE_KEY_BYTES] = read_exactly(&*key_file, &key_path)?;
        let wrapped = layout::check_file_key(&bytes, &key_path, ledger_id, number)?;
        if wrapped.vault_key != vault_key.id() {
            let (expected, given) = (wrapped.vault_key.to_string(), vault_key.id().to_string());
            return Err(VaultError::WrongVaultKey { path: key_path, expected, given });
        }
        let mut file_key = Zeroizing::new(wrapped.wrapped);
        let aad = layout::file_key_aad(ledger_id, number, wrapped.vault_key);
        if !decrypt(&vault_key.wrapping_key(), &wrapped.nonce, &aad, &mut *file_key, &wrapped.tag) {
            return Err(VaultError::Damaged { path: key_path, offset: 56, what: "the file key does not open" });
        }
        let sealer = Sealer::new(file_key, ledger_id, number);
        let expected_mac = sealer.header_mac(&header[..HEADER_MAC_AT]);
        if id != wrapped.vault_key || !bool::from(mac.ct_eq(&expected_mac)) {
            let what = "the header does not belong to the file key beside it";
            return Err(VaultError::Damaged { path, offset: HEADER_MAC_AT as u64, what });
        }
        Ok(Self { number, path, file, sealer, vault_key: id })
    }

    /// Makes the file key of a new generation, durable under its name.
    pub(super) fn make_file_key(
        io: &dyn Io,
        folder: &Path,
        ledger_id: LedgerId,
        number: u64,
        vault_key: &VaultKey,
        dice: &mut dyn VaultDice,
    ) -> Result<Sealer, VaultError> {
        let mut file_key = Zeroizing::new([0; 32]);
        dice.fill(&mut *file_key);
        let mut nonce = [0; 24];
        dice.fill(&mut nonce);
        let id = vault_key.id();
        let aad = layout::file_key_aad(ledger_id, number, id);
        let mut wrapped = *file_key;
        let tag = encrypt(&vault_key.wrapping_key(), &nonce, &aad, &mut wrapped);
        let bytes = layout::file_key(&aad, &WrappedKey { vault_key: id, nonce, wrapped, tag });
        let path = file_key_path(folder, number);
        io.replace(&path, &bytes).map_err(VaultError::io("write", &path))?;
        Ok(Sealer::new(file_key, ledger_id, number))
    }

    /// Makes the keystore of a new generation from `slots` and `spare` free ones, durable under its name.
    pub(super) fn make_keystore(
        io: &dyn Io,
        folder: &Path,
        sealer: Sealer,
        ledger_id: LedgerId,
        vault_key: VaultKeyId,
        slots: impl Iterator<Item = Result<[u8; SLOT_BYTES], VaultError>>,
        spare: u32,
    ) -> Result<Self, VaultError> {
        let number = sealer.generation();
        let path = keystore_path(folder, number);
        let mut temporary = path.clone().into_os_string();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        destroy(io, &temporary)?;
        let mut header = layout::header(ledger_id, number, vault_key);
        let mac = sealer.header_mac(&header[..HEADER_MAC_AT]);
        layout::finish_header(&mut header, mac);
        let file = io.open(&temporary, OpenMode::CreateNew).map_err(VaultError::io("create", &temporary))?;
        let mut written = 0;
        let mut buffer = header.to_vec();
        let mut flush = |buffer: &mut Vec<u8>| -> Result<(), VaultError> {
            file.write_all_at(buffer, written).map_err(VaultError::io("write", &temporary))?;
            written += buffer.len() as u64;
            buffer.clear();
            Ok(())
        };
        let spare = std::iter::repeat_n([0; SLOT_BYTES], spare as usize).map(Ok);
        for slot in slots.chain(spare) {
            buffer.extend_from_slice(&slot?);
            if buffer.len() >= CHUNK_BYTES {
                flush(&mut buffer)?;
            }
        }
        flush(&mut buffer)?;
        file.datasync().map_err(VaultError::io("sync", &temporary))?;
        io.rename(&temporary, &path).map_err(VaultError::io("rename", &temporary))?;
        io.sync_dir(folder).map_err(VaultError::io("sync", folder))?;
        Ok(Self { number, path, file, sealer, vault_key })
    }
}

/// The keystore of generation `number` without any key: file, vault key id, MAC, header.
#[expect(clippy::type_complexity, reason = "four parts of one thing, taken apart at once by both callers")]
pub(super) fn open_header(
    io: &dyn Io,
    path: &Path,
    ledger_id: LedgerId,
    number: u64,
    mode: OpenMode,
) -> Result<(Arc<dyn IoFile>, VaultKeyId, [u8; 32], [u8; HEADER_BYTES]), VaultError> {
    let file = io.open(path, mode).map_err(VaultError::io("open", path))?;
    let header: [u8; HEADER_BYTES] = read_exactly(&*file, path)?;
    let (id, mac) = layout::check_header(&header, path, ledger_id, number)?;
    Ok((file, id, mac, header))
}

/// The first `N` bytes of a file.
fn read_exactly<const N: usize>(file: &dyn IoFile, path: &Path) -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    let read = file.read_at(&mut bytes, 0).map_err(VaultError::io("read", path))?;
    if read < N {
        let what = "the file ends inside its header";
        return Err(VaultError::Damaged { path: path.to_path_buf(), offset: read as u64, what });
    }
    Ok(bytes)
}

/// Overwrites a file with zeros, flushes them, and removes its name; a missing file is fine. The caller syncs the
/// folder. What a disk keeps in spare sectors or snapshots is out of reach: that is what a new vault key is for.
pub(super) fn destroy(io: &dyn Io, path: &Path) -> Result<(), VaultError> {
    let file = match io.open(path, OpenMode::ReadWrite) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(VaultError::io("open", path)(error)),
    };
    let len = file.len().map_err(VaultError::io("look at", path))?;
    write_zeros(&*file, path, 0, len)?;
    file.datasync().map_err(VaultError::io("sync", path))?;
    drop(file);
    io.remove_file(path).map_err(VaultError::io("remove", path))
}

/// Writes `len` zero bytes at `offset`.
pub(super) fn write_zeros(file: &dyn IoFile, path: &Path, offset: u64, len: u64) -> Result<(), VaultError> {
    let zeros = vec![0; CHUNK_BYTES];
    let mut done = 0;
    while done < len {
        let next = usize::try_from(len - done).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        file.write_all_at(&zeros[..next], offset + done).map_err(VaultError::io("write", path))?;
        done += next as u64;
    }
    Ok(())
}
