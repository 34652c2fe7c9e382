//! The vault key: 32 bytes that wrap the file key, read from a file of the owner's alone, a descriptor, or a
//! systemd credential. Never from the command line or the environment.
//!
//! On disk it is one line, `keyledger-vault-key-1:` and 64 hexadecimal digits; the digits alone are read too
//! (`openssl rand -hex 32`).
//!
//! Not here: what it wraps (`generation`) and drawing it (`ledger::fresh`).

use super::error::{VaultError, hex};
use crate::sys::{Io, IoFile, OpenMode};
use std::fmt;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::{Zeroize as _, Zeroizing};

const LABEL: &str = "keyledger-vault-key-1:";
/// More than the longest form with its line end.
const FILE_BYTES_MAX: usize = 256;

/// Tells vault keys apart without telling anything of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VaultKeyId(pub [u8; 16]);

impl fmt::Display for VaultKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for VaultKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where the vault key is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultKeySource {
    /// A file that only its owner may read (0600 or 0400).
    File(PathBuf),
    /// An open file descriptor, such as a pipe from a secret store; read to its end.
    Descriptor(u32),
    /// The name of a systemd credential in this folder (`$CREDENTIALS_DIRECTORY`), whose access systemd guards.
    Credential { folder: PathBuf, name: String },
}

/// The vault key. Wiped when dropped; `Debug` shows its id alone.
pub struct VaultKey(Zeroizing<[u8; 32]>);

impl VaultKey {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// A second one, for a reader beside the writer.
    #[must_use]
    pub(crate) fn again(&self) -> Self {
        Self(self.0.clone())
    }

    #[must_use]
    pub fn id(&self) -> VaultKeyId {
        let whole = blake3::derive_key("keyledger 2026-11 vault key id", &*self.0);
        let mut id = [0; 16];
        id.copy_from_slice(&whole[..16]);
        VaultKeyId(id)
    }

    /// The key that wraps file keys.
    pub(super) fn wrapping_key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key("keyledger 2026-11 file key wrap", &*self.0))
    }

    /// Writes the key to a new file with mode 0600, whole or not at all.
    ///
    /// # Errors
    /// [`VaultError::AlreadyThere`] when something stands there: a vault key is never overwritten.
    pub fn create(&self, io: &dyn Io, path: &Path) -> Result<(), VaultError> {
        let mut line = Zeroizing::new(String::with_capacity(LABEL.len() + 65));
        line.push_str(LABEL);
        let mut digits = hex(&*self.0);
        line.push_str(&digits);
        digits.zeroize();
        line.push('\n');
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        match io.remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(VaultError::io("remove", &temporary)(error));
            }
            _ => {}
        }
        let file = io.open(&temporary, OpenMode::CreateNew).map_err(VaultError::io("create", &temporary))?;
        file.write_all_at(line.as_bytes(), 0).map_err(VaultError::io("write", &temporary))?;
        file.datasync().map_err(VaultError::io("sync", &temporary))?;
        // A link, unlike a rename, refuses to replace what stands there.
        let linked = io.hard_link(&temporary, path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => VaultError::AlreadyThere { path: path.to_path_buf() },
            _ => VaultError::io("create", path)(error),
        });
        io.remove_file(&temporary).map_err(VaultError::io("remove", &temporary))?;
        linked?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        io.sync_dir(folder).map_err(VaultError::io("sync", folder))
    }

    /// Reads the key.
    ///
    /// # Errors
    /// - [`VaultError::KeyFileMissing`], [`VaultError::KeyFileMalformed`]: name the right file.
    /// - [`VaultError::KeyFilePermissions`]: others may read a key *file*, or anybody may read a credential.
    pub fn read(io: &dyn Io, source: &VaultKeySource) -> Result<Self, VaultError> {
        let (path, forbidden) = match source {
            VaultKeySource::File(path) => (path.clone(), 0o077),
            VaultKeySource::Descriptor(number) => (PathBuf::from(format!("/dev/fd/{number}")), 0),
            // systemd lets a service's user in by an access list, which shows as group bits.
            VaultKeySource::Credential { folder, name } => (folder.join(name), 0o037),
        };
        let file = io.open(&path, OpenMode::Read).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => VaultError::KeyFileMissing { path: path.clone() },
            _ => VaultError::io("open vault key", &path)(error),
        })?;
        if let Some(file) = file.as_std() {
            let metadata = file.metadata().map_err(VaultError::io("look at", &path))?;
            let mode = metadata.permissions().mode() & 0o7777;
            if mode & forbidden != 0 {
                return Err(VaultError::KeyFilePermissions { path, mode });
            }
        }
        let text = read_small(&*file).map_err(VaultError::io("read", &path))?;
        let bytes = parse(&text).ok_or(VaultError::KeyFileMalformed { path })?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultKey({})", self.id())
    }
}

/// Reads at most [`FILE_BYTES_MAX`] bytes from the front, also from a pipe, which has no offsets.
fn read_small(file: &dyn IoFile) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; FILE_BYTES_MAX]);
    let read = match file.as_std() {
        None => file.read_at(&mut bytes, 0)?,
        Some(mut file) => {
            let mut read = 0;
            while read < bytes.len() {
                match file.read(&mut bytes[read..]) {
                    Ok(0) => break,
                    Ok(more) => read += more,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            read
        }
    };
    bytes.truncate(read);
    Ok(bytes)
}

fn parse(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let digits = line.strip_prefix(LABEL.as_bytes()).unwrap_or(line);
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 32]);
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let nibble = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(nibble(pair[0])? << 4 | nibble(pair[1])?).ok()?;
    }
    // A file of zeros is an accident.
    (*bytes != [0; 32]).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::RealIo;

    fn write(path: &Path, text: &[u8], mode: u32) {
        let file = RealIo.open(path, OpenMode::CreateNew).unwrap();
        file.write_all_at(text, 0).unwrap();
        file.as_std().unwrap().set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_key_reads_back_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.key");
        let key = VaultKey::from_bytes(Zeroizing::new([7; 32]));
        key.create(&RealIo, &path).unwrap();
        let source = VaultKeySource::File(path.clone());
        assert_eq!(VaultKey::read(&RealIo, &source).unwrap().id(), key.id());
        let other = VaultKey::from_bytes(Zeroizing::new([8; 32]));
        assert!(matches!(other.create(&RealIo, &path), Err(VaultError::AlreadyThere { .. })));
        assert_eq!(VaultKey::read(&RealIo, &source).unwrap().id(), key.id());
        assert_eq!(RealIo.read_dir(folder.path()).unwrap().len(), 1, "no temporary stays");
        assert!(!format!("{key:?}").contains("0707"));
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let digits = "5a".repeat(32);
        for (mode, file, credential) in [
            (0o600, true, true),
            (0o400, true, true),
            (0o440, false, true),
            (0o640, false, true),
            (0o644, false, false),
            (0o620, false, false),
        ] {
            let name = format!("{mode:o}");
            let path = folder.path().join(&name);
            write(&path, digits.as_bytes(), mode);
            let source = VaultKeySource::Credential { folder: folder.path().into(), name };
            assert_eq!(VaultKey::read(&RealIo, &source).is_ok(), credential, "{mode:o}");
            match VaultKey::read(&RealIo, &VaultKeySource::File(path)) {
                Ok(_) => assert!(file, "{mode:o}"),
                Err(VaultError::KeyFilePermissions { mode: found, .. }) => assert!(!file && found == mode),
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn a_key_comes_through_a_pipe() {
        let (reader, mut writer) = io::pipe().unwrap();
        io::Write::write_all(&mut writer, format!("{LABEL}{}\r\n", "a5".repeat(32)).as_bytes()).unwrap();
        drop(writer);
        let number = u32::try_from(std::os::fd::AsRawFd::as_raw_fd(&reader)).unwrap();
        let key = VaultKey::read(&RealIo, &VaultKeySource::Descriptor(number)).unwrap();
        assert_eq!(key.id(), VaultKey::from_bytes(Zeroizing::new([0xa5; 32])).id());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "",
            "\n",
            &"5".repeat(63),
            &"5".repeat(65),
            &"g5".repeat(32),
            &"00".repeat(32),
            &" 5".repeat(32),
            &"5".repeat(300),
        ] {
            assert!(parse(text.as_bytes()).is_none(), "{text}");
        }
        let folder = tempfile::tempdir().unwrap();
        let missing = VaultKeySource::File(folder.path().join("none"));
        assert!(matches!(VaultKey::read(&RealIo, &missing), Err(VaultError::KeyFileMissing { .. })));
    }
}
