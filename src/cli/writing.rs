//! The ledger, to write: one command at a time, by the person at this machine.
//!
//! Not here: what may be done (`ledger::decide`).

use super::context::Context;
use super::exit::{Done, Exit, Failure};
use super::view::live_org_named;
use crate::ledger::{Command, Done as LedgerDone, InitOptions, Ledger, LedgerOptions, OsDice, Outcome, Ticket};
use crate::log::LogReader;
use crate::model::{Caller, Time};
use crate::state::{OrgRecord, State};
use crate::vault::{Rekeyed, SecretKey, VaultKey, VaultKeySource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An open ledger and who writes to it.
#[derive(Debug)]
pub struct Writing {
    ledger: Ledger,
    caller: Caller,
}

impl Writing {
    /// Opens the ledger, as its only writer.
    ///
    /// # Errors
    /// Exit 5 naming the holder when another process writes, 3 for a damaged ledger.
    pub fn open(cx: &mut Context) -> Result<Self, Failure> {
        let options = options(cx);
        Self::open_with(cx, &cx.dir(), options)
    }

    /// The same, of another folder or in another way.
    pub fn open_with(cx: &mut Context, dir: &Path, options: LedgerOptions) -> Result<Self, Failure> {
        let caller = caller(cx)?;
        let ledger = Ledger::open_with(cx.io.clone(), cx.clock.clone(), Box::<OsDice>::default(), dir, options)?;
        Ok(Self::of(cx, ledger, caller))
    }

    /// The same, giving up what the end of the log may have lost, with a note of it in the log.
    pub fn open_accepting_tail(cx: &mut Context, dir: &Path, note: &str) -> Result<Self, Failure> {
        let caller = caller(cx)?;
        let dice = Box::<OsDice>::default();
        let (io, clock, options) = (cx.io.clone(), cx.clock.clone(), options(cx));
        let ledger = Ledger::open_accepting_tail(io, clock, dice, dir, options, (&caller, note))?;
        Ok(Self::of(cx, ledger, caller))
    }

    fn of(cx: &mut Context, ledger: Ledger, caller: Caller) -> Self {
        let report = ledger.report();
        if let Some(cut) = report.recovery.as_ref().and_then(|recovery| recovery.cut.as_ref()) {
            let kept = cut.quarantined.as_ref().map(|path| format!("; it is kept as {}", path.display()));
            let kept = kept.unwrap_or_default();
            cx.note(&format!("a torn end of {} bytes, never acknowledged, was cut{kept}", cut.bytes));
        }
        for (key, version) in &report.reconciled.missing {
            let name = ledger.state().key_by_uid(*key).map_or_else(|| key.to_string(), |key| key.id.to_string());
            cx.note(&format!("secret v{version} of key {name} is not in the keystore, so it denies; rotate the key"));
        }
        for passed in &report.passed_over {
            tracing::warn!("snapshot `{}` is passed over: {}", passed.path.display(), passed.why);
        }
        Self { ledger, caller }
    }

    pub fn state(&self) -> State {
        self.ledger.state()
    }

    /// The moment that status and ages are told for.
    pub fn now(&self) -> Time {
        self.ledger.now()
    }

    /// The live org that `asked` names, or the only one.
    pub fn org(&self, asked: Option<&str>) -> Result<Arc<OrgRecord>, Failure> {
        live_org_named(&self.state(), asked)
    }

    /// Executes one command: durable when this returns.
    ///
    /// # Errors
    /// Exit 4 when a rule said no, 6 when it is unknown what became of it.
    pub fn execute(&self, command: Command) -> Result<Wrote, Failure> {
        Ok(Wrote::here(self.ledger.execute_blocking(&self.caller, command, None)?))
    }

    /// Hands a command in; commands are done in the order they were handed in.
    pub fn submit(&self, command: Command) -> Ticket {
        self.ledger.submit(self.caller.clone(), command, None)
    }

    /// Seals every secret anew.
    pub fn rekey(&self, key: &VaultKey) -> Result<Rekeyed, Failure> {
        Ok(self.ledger.rekey(key)?)
    }

    /// The log, as far as it is durable.
    pub fn log(&self) -> LogReader {
        self.ledger.reader().clone()
    }

    /// Ends in good order: the next open has nothing to recover.
    pub fn close(mut self) -> Result<(), Failure> {
        Ok(self.ledger.finish()?)
    }
}

impl Drop for Writing {
    /// A command that said what it did ends in good order too: secrets that are over are destroyed now, and not when
    /// somebody opens the ledger next.
    fn drop(&mut self) {
        use crate::ledger::error::{ExecuteError, OpenError};
        match self.ledger.finish() {
            Ok(()) | Err(OpenError::Execute(ExecuteError::Closed | ExecuteError::Poisoned)) => {}
            Err(error) => {
                tracing::warn!("the ledger was not closed in good order, so the next open recovers it: {error}");
            }
        }
    }
}

/// What a command did.
#[derive(Debug)]
pub struct Wrote {
    /// The commit; none when nothing was appended.
    seq: Option<u64>,
    key_made: Option<String>,
    secret: Option<SecretKey>,
    /// There was a secret, in an answer that never came.
    secret_is_lost: bool,
    /// What a server told of the target.
    told: Option<Value>,
}

#[derive(Serialize)]
struct Said<'a, T: Serialize> {
    #[serde(flatten)]
    row: &'a T,
    /// Whether anything was appended.
    changed: bool,
    /// The commit.
    seq: Option<u64>,
}

impl Wrote {
    pub fn nothing() -> Self {
        Self { seq: None, key_made: None, secret: None, secret_is_lost: false, told: None }
    }

    fn here(done: LedgerDone) -> Self {
        let LedgerDone { seq, mut outcome, .. } = done;
        let changed = !matches!(outcome, Outcome::Nothing);
        let key_made = match &outcome {
            Outcome::KeyCreated(made) | Outcome::KeyRotated { new: made, .. } => Some(made.access_key_id.to_string()),
            _ => None,
        };
        let secret = outcome.take_secret();
        Self { seq: changed.then_some(seq.0), key_made, secret, ..Self::nothing() }
    }

    /// What a server says it did.
    pub fn there(seq: Option<u64>, secret: Option<SecretKey>, secret_is_lost: bool, told: Value) -> Self {
        let key_made = told["access_key_id"].as_str().map(str::to_owned);
        Self { seq, key_made, secret, secret_is_lost, told: Some(told) }
    }

    /// What a server told of the target.
    ///
    /// # Errors
    /// Exit 2 when that is not what this version knows.
    pub fn told<R: DeserializeOwned>(&self) -> Result<R, Failure> {
        let told = self.told.clone().unwrap_or_default();
        serde_json::from_value(told)
            .map_err(|error| Failure::usage(format!("it was done, and the answer is strange: {error}")))
    }

    pub fn secret_is_lost(&self) -> bool {
        self.secret_is_lost
    }

    /// This, or when it changed nothing, the other.
    #[must_use]
    pub fn or(self, other: Wrote) -> Self {
        if other.changed() { other } else { self }
    }

    pub fn changed(&self) -> bool {
        self.seq.is_some()
    }

    pub fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// The id of the key that was made.
    pub fn key_made(&self) -> Option<&str> {
        self.key_made.as_deref()
    }

    /// The secret, once.
    pub fn take_secret(&mut self) -> Option<SecretKey> {
        self.secret.take()
    }

    /// Says what was done, or shows how it is now.
    pub fn say<T: Serialize>(&self, cx: &mut Context, noun: &str, name: &str, what: &str, row: &T) -> Done {
        if cx.out.json {
            cx.out.json(&Said { row, changed: self.changed(), seq: self.seq })?;
        } else if self.changed() {
            cx.out.line(format!("{noun} {name} {what}"))?;
        } else {
            cx.out.line(format!("{noun} {name}: nothing to change"))?;
        }
        Ok(Exit::Done)
    }
}

/// How the command line opens a ledger.
pub fn options(cx: &Context) -> LedgerOptions {
    LedgerOptions { vault_key: Some(vault_key_source(cx)), ..LedgerOptions::default() }
}

/// Makes an empty ledger.
pub fn create(cx: &mut Context, dir: &Path) -> Result<Writing, Failure> {
    let caller = caller(cx)?;
    let init = InitOptions { ledger: options(cx), ..InitOptions::default() };
    let ledger = Ledger::init_with(cx.io.clone(), dir, cx.clock.clone(), Box::<OsDice>::default(), &init)?;
    Ok(Writing::of(cx, ledger, caller))
}

/// The file of the vault key.
pub fn vault_key_path(cx: &Context) -> PathBuf {
    cx.global.vault_key.clone().unwrap_or_else(|| cx.dir().join("vault.key"))
}

/// Where the vault key is.
pub fn vault_key_source(cx: &Context) -> VaultKeySource {
    VaultKeySource::File(vault_key_path(cx))
}

/// The vault key, for questions that need it.
pub fn vault_key(cx: &Context) -> Result<VaultKey, Failure> {
    VaultKey::read(cx.io.as_ref(), &vault_key_source(cx)).map_err(|error| Failure::of(Exit::Usage, &error))
}

/// The person at this machine, with the reason given.
pub fn caller(cx: &Context) -> Result<Caller, Failure> {
    let mut caller = Caller::operator(&operator(cx));
    if let Some(reason) = &cx.global.reason {
        crate::model::limits::reason(reason)?;
        caller.reason = Some(reason.as_str().into());
    }
    Ok(caller)
}

/// `user@host`, by the system's own account of both, not by what the environment claims.
fn operator(cx: &Context) -> String {
    let uid = rustix::process::getuid().as_raw();
    let passwd = cx.io.read(Path::new("/etc/passwd"), 16 << 20).unwrap_or_default();
    let named = String::from_utf8_lossy(&passwd).lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let clean = |text: String| text.chars().filter(char::is_ascii_graphic).take(100).collect::<String>();
    format!("{}@{}", clean(named.unwrap_or_else(|| format!("uid{uid}"))), clean(host))
}
