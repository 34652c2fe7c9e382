//! `audit identify`: which key a leaked secret belongs to.
//!
//! The secret comes by standard input or a file, never by the command line, which others can read.

use super::show;
use crate::audit::identify::{Identified, identify};
use crate::cli::key::none_found;
use crate::cli::print::{Cell, Paint, moment};
use crate::cli::writing::vault_key;
use crate::cli::{Context, Done, Exit, Failure};
use crate::model::{AccessKeyId, KeyUid, SecretVersion};
use crate::vault::{KeystoreReader, SecretKey, fingerprints_equal};
use clap::Args;
use std::cell::RefCell;
use std::io::{BufRead, IsTerminal, Read};
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes of a secret with whatever stands around it.
const SECRET_BYTES_MAX: u64 = 4 << 10;

#[derive(Debug, Args)]
pub struct Identify {
    /// The file with the secret alone in it [default: standard input]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

impl Identify {
    pub fn run(self, cx: &mut Context) -> Done {
        let secret = self.secret(cx)?;
        let reading = cx.reading()?;
        let history = reading.history(cx)?;
        let fingerprint = secret.fingerprint();
        // An imported secret has no fingerprint in the log; while its slot lives, the vault key can tell.
        let keystore = RefCell::new(keystore(cx, reading.log.meta().ledger_id));
        let is_it = |key: KeyUid, version: &SecretVersion| {
            if let Some(known) = &version.fingerprint {
                return fingerprints_equal(known, &fingerprint);
            }
            let record = reading.worlds.live_state().key_by_uid(key);
            let mut keystore = keystore.borrow_mut();
            let (Some(record), Some(keystore)) = (record, keystore.as_mut()) else { return false };
            opened(keystore, key, version.version, &record.id).is_some_and(|known| known.same_as(&secret))
        };
        let found = identify(&history, &reading.worlds, reading.now, &is_it)?;
        if keystore.borrow().is_none() {
            cx.note("without the vault key only secrets that were made here are compared, not imported ones");
        }
        if found.is_empty() {
            return none_found(&mut cx.out, "key with this secret");
        }
        for row in &found {
            print(cx, row)?;
        }
        Ok(Exit::Done)
    }

    fn secret(&self, cx: &Context) -> Result<SecretKey, Failure> {
        let text = if let Some(path) = &self.secret_file {
            let failed = |error| Failure::usage(format!("could not read `{}`: {error}", path.display()));
            Zeroizing::new(cx.io.read(path, SECRET_BYTES_MAX).map_err(failed)?)
        } else {
            line_of_stdin()?
        };
        let text = std::str::from_utf8(&text).unwrap_or_default().trim();
        SecretKey::import(text).map_err(|error| Failure::usage(error.to_string()))
    }
}

/// The first line of standard input.
fn line_of_stdin() -> Result<Zeroizing<Vec<u8>>, Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprint!("The secret (it will be seen here): ");
    }
    let mut line = Zeroizing::new(Vec::new());
    let mut input = Read::take(stdin.lock(), SECRET_BYTES_MAX);
    let read = input.read_until(b'\n', &mut line);
    read.map_err(|error| Failure::usage(format!("no secret could be read: {error}")))?;
    Ok(line)
}

fn keystore(cx: &Context, ledger_id: [u8; 16]) -> Option<KeystoreReader> {
    let key = vault_key(cx).ok()?;
    KeystoreReader::open(cx.io.clone(), &cx.dir().join("keys"), ledger_id, Arc::new(key)).ok()
}

fn opened(keystore: &mut KeystoreReader, uid: KeyUid, version: u32, id: &AccessKeyId) -> Option<SecretKey> {
    keystore.secret(uid, version, id).ok()
}

fn print(cx: &mut Context, row: &Identified) -> Result<(), Failure> {
    if cx.out.json {
        return cx.out.json(row);
    }
    let paint = if row.usable { Paint::Bad } else { Paint::Good };
    let usable = if row.usable { "this secret is usable now" } else { "this secret is not usable" };
    cx.out.fields(&[
        ("access key id", Cell::new(&row.access_key_id, Paint::Bold)),
        ("status", Cell::from(row.status.unwrap_or("unknown"))),
        ("owner", Cell::from(row.owner.as_deref().unwrap_or_default())),
        ("org", Cell::from(row.org.as_deref().unwrap_or_default())),
        ("secret", Cell::from(format!("v{}, set {}", row.version, moment(row.set_at.0)))),
        ("usable", Cell::new(usable, paint)),
        ("made", Cell::from(show::attribution(&row.made))),
    ])
}
