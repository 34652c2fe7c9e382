//! What can go wrong with secrets on disk, and what to do then. No error holds a secret or a part of one.

use crate::model::text::Shown;
use std::io;
use std::path::{Path, PathBuf};

/// Why the keystore or the vault key could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    #[error("could not {doing} `{path}`", path = path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    /// There is no complete pair of files.
    #[error("no keystore in `{folder}`; run `keyledger init`, or restore the folder from a backup", folder = folder.display())]
    NoKeystore { folder: PathBuf },
    #[error("`{path}` is there already; it is never overwritten", path = path.display())]
    AlreadyThere { path: PathBuf },
    #[error("no vault key at `{path}`; name the file with `--vault-key`", path = path.display())]
    KeyFileMissing { path: PathBuf },
    /// Others than the owner could read the vault key, or have.
    #[error("vault key `{path}` may be read or changed by others (mode {mode:04o}); `chmod 600` it, and run \
             `keyledger vault rekey` if somebody has", path = path.display())]
    KeyFilePermissions { path: PathBuf, mode: u32 },
    #[error("`{path}` holds no vault key: 64 hexadecimal digits were expected; restore it from where you keep it", path = path.display())]
    KeyFileMalformed { path: PathBuf },
    /// The files were sealed under another vault key.
    #[error("`{path}` is sealed under vault key {expected}, not under {given}; give that key with `--vault-key`", path = path.display())]
    WrongVaultKey { path: PathBuf, expected: String, given: String },
    /// The files belong to another ledger.
    #[error("`{path}` belongs to ledger {found}, this is ledger {expected}; restore the keys folder of this ledger", path = path.display())]
    ForeignKeystore { path: PathBuf, found: String, expected: String },
    #[error("`{path}` has format {major}.{minor}, newer than this keyledger; upgrade keyledger to read it", path = path.display())]
    UnknownFormat { path: PathBuf, major: u16, minor: u16 },
    /// A header no longer matches its checksum, or bytes that must be zero are not.
    #[error("`{path}` is damaged at byte {offset} ({what}); restore the file from a backup", path = path.display())]
    Damaged { path: PathBuf, offset: u64, what: &'static str },
    /// One secret is lost; its key denies, all others work.
    #[error("the slot at byte {offset} of `{path}` is damaged, so secret {version} of `{key}` cannot be read; rotate \
             the key, or restore the file from a backup", path = path.display(), key = Shown(access_key_id))]
    SlotDamaged { path: PathBuf, offset: u64, access_key_id: String, version: u32 },
    /// No slot holds it: it was shredded, or never stored here.
    #[error("the keystore has no secret {version} of `{key}`; if the key is not deleted, rotate it", key = Shown(access_key_id))]
    UnknownVersion { access_key_id: String, version: u32 },
    #[error("the keystore already has secret {version} of `{key}`; reopen the ledger to clear what a crash left behind", key = Shown(access_key_id))]
    AlreadyStored { access_key_id: String, version: u32 },
    /// Sealed before a rekey. Seal again with a new [`super::Sealer`].
    #[error("a secret was sealed for keystore generation {sealed}, the current one is {current}; repeat the command")]
    StaleSeal { sealed: u64, current: u64 },
    /// A write or sync failed, so what is on disk is unknown. Reads go on; reopen to write again.
    #[error("an earlier write to `{path}` failed; restart keyledger to recover what is on disk", path = path.display())]
    Poisoned { path: PathBuf },
}

impl VaultError {
    /// Wraps what the system said while `doing` something to `path`.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> VaultError {
        let path = path.to_path_buf();
        move |source| VaultError::Io { doing, path, source }
    }
}

/// Bytes as small hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
