//! `vault`: the key that seals every secret.
//!
//! A rekey writes the new key beside the old one before it is used, so a crash on the way leaves both; running the command again
//! goes on from there.
//!
//! Not here: sealing (`vault::keystore`).

use super::backup::at;
use super::confirm::confirm;
use super::print::{Cell, Paint};
use super::writing::{Writing, options, vault_key_path};
use super::{Context, Done, Exit, Failure};
use crate::ledger::{Dice, OsDice};
use crate::log::LogReader;
use crate::vault::{VaultKey, VaultKeySource, inspect};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

#[derive(Debug, Subcommand)]
pub enum Vault {
    /// Seal every secret anew under a new vault key; old copies are then useless
    #[command(after_help = "Example:  keyledger vault rekey --new-key /etc/keyledger/vault-2026.key")]
    Rekey(Rekey),
}

#[derive(Debug, Args)]
pub struct Rekey {
    /// Where to write the new key [default: in place of the old one]
    #[arg(long, value_name = "FILE")]
    new_key: Option<PathBuf>,
}

#[derive(Serialize)]
struct Row {
    generation: u64,
    resealed: u64,
    lost: u64,
    vault_key: String,
    vault_key_id: String,
    old_destroyed: bool,
}

impl Vault {
    pub fn run(self, cx: &mut Context) -> Done {
        let Vault::Rekey(rekey) = self;
        rekey.run(cx)
    }
}

impl Rekey {
    fn run(self, cx: &mut Context) -> Done {
        let dir = cx.dir();
        let old = vault_key_path(cx);
        confirm(cx.global.yes, "making all backups of secrets useless for", &dir.display().to_string())?;
        let new = self.new_key.clone().unwrap_or_else(|| beside(&old));
        if self.new_key.is_none() && go_on(cx, &dir, &old, &new)? {
            cx.note("an earlier rekey was cut off; it is finished now, and another one follows");
        }
        let writing = Writing::open_with(cx, &dir, options(cx))?;
        let mut bytes = Zeroizing::new([0; 32]);
        OsDice::default().fill(&mut *bytes);
        let key = VaultKey::from_bytes(bytes);
        key.create(cx.io.as_ref(), &new)?;
        let rekeyed = writing.rekey(&key)?;
        let kept = if self.new_key.is_none() {
            put_in_place(cx, &new, &old)?;
            old
        } else {
            new
        };
        writing.close()?;
        let row = Row {
            generation: rekeyed.generation,
            resealed: rekeyed.resealed.into(),
            lost: rekeyed.lost.len() as u64,
            vault_key: kept.display().to_string(),
            vault_key_id: key.id().to_string(),
            old_destroyed: rekeyed.old_destroyed.is_ok(),
        };
        if cx.out.json {
            cx.out.json(&row)?;
        } else {
            cx.out.fields(&[
                ("vault key", Cell::new(&row.vault_key, Paint::Bold)),
                ("id", Cell::from(&row.vault_key_id)),
                ("generation", Cell::from(row.generation)),
                ("secrets sealed", Cell::from(row.resealed)),
                ("lost", Cell::new(if row.lost > 0 { row.lost.to_string() } else { String::new() }, Paint::Bad)),
            ])?;
        }
        if let Err(error) = &rekeyed.old_destroyed {
            let failure = Failure::of(Exit::Usage, error);
            cx.note(&format!("the old keystore is still there ({failure}); the next writer destroys it"));
        }
        if self.new_key.is_some() {
            cx.note("name the new key with --vault-key from now on, and destroy the old one");
        }
        Ok(Exit::Done)
    }
}

/// Where the new key waits until it takes the old one's place.
fn beside(old: &Path) -> PathBuf {
    let mut name = old.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Finishes a rekey that was cut off: whichever key the keystore is sealed under stays. Whether that was the new one.
fn go_on(cx: &Context, dir: &Path, old: &Path, new: &Path) -> Result<bool, Failure> {
    let Ok(waiting) = VaultKey::read(cx.io.as_ref(), &VaultKeySource::File(new.to_path_buf())) else {
        return Ok(false);
    };
    let ledger_id = LogReader::open(cx.io.clone(), dir)?.meta().ledger_id;
    if inspect(cx.io.as_ref(), &dir.join("keys"), ledger_id)?.vault_key == waiting.id() {
        put_in_place(cx, new, old)?;
        return Ok(true);
    }
    cx.io.remove_file(new).map_err(at("remove", new))?;
    Ok(false)
}

fn put_in_place(cx: &Context, new: &Path, old: &Path) -> Result<(), Failure> {
    cx.io.rename(new, old).map_err(at("rename", new))?;
    let folder = old.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    cx.io.sync_dir(folder).map_err(at("sync", folder))
}
