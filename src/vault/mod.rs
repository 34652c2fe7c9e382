//! Secrets: sealed slots on disk, wiped values in memory.
//!
//! ```text
//!   vault key (32 B, kept elsewhere in production)
//!      │ wraps                          keys/filekey-<gen>.key
//!   file key (32 random B, one a generation)
//!      │ BLAKE3, per key and version
//!   slot key ── XChaCha20-Poly1305 ──▶  keys/keystore-<gen>.ks, one 512-B slot a secret version
//! ```
//!
//! Invariants
//! - No file holds a secret in plain text, and none is ever in an error, in `Debug` output or in a log line.
//! - A slot opens only for the ledger, key uid, access key id and version it was sealed for, so slots cannot be
//!   swapped, and a changed byte gives an error, never another secret.
//! - What cannot be opened denies: there is no fallback to an older generation or an unsealed copy.
//! - No dice and no clock here: whoever calls brings a [`VaultDice`].
//!
//! Not here: which secrets a key has and until when they work (`state`), the order of slot, log and shred
//! (`ledger::execute`), and the checkpoint's signing key.

mod error;
mod generation;
mod keyring;
mod keystore;
mod layout;
mod reader;
mod seal;
mod secret;
mod slots;
mod source;

pub use error::VaultError;
pub use keyring::{VaultKey, VaultKeyId, VaultKeySource};
pub use keystore::{Keystore, KeystoreReport, Reconciled, Rekeyed, inspect};
pub use reader::KeystoreReader;
pub use seal::{Opened, SealedSlot, Sealer, fingerprints_equal};
pub use secret::{SecretKey, SecretRefused};
pub use slots::DamagedSlot;
pub use source::SecretSource;

/// A ledger's random id.
pub type LedgerId = [u8; 16];

/// Where random bytes come from. The real one is the operating system's, in `ledger::fresh`.
pub trait VaultDice {
    /// Fills all of `bytes` with bytes that nobody can foresee.
    fn fill(&mut self, bytes: &mut [u8]);
}

impl<F: FnMut(&mut [u8])> VaultDice for F {
    fn fill(&mut self, bytes: &mut [u8]) {
        self(bytes);
    }
}
