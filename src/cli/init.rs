//! `init`: a new ledger, with its vault key and its first org.
//!
//! Not here: what lies in the folder (`log`, `vault`).

use super::backup::at;
use super::org::Settings;
use super::print::{Cell, Paint};
use super::writing::{Writing, create};
use super::{Context, Done, Exit, Failure};
use crate::ledger::Command as Order;
use crate::model::{AccountId, OrgOwner, OrgSettings};
use clap::Args;
use serde::Serialize;
use std::io::ErrorKind;
use std::path::Path;

/// The account of AWS's own documentation: every tool takes it.
pub const ACCOUNT: &str = "123456789012";

#[derive(Debug, Args)]
pub struct Init {
    /// The account id of the first org: 12 digits
    #[arg(long, value_name = "ACCOUNT", default_value = ACCOUNT)]
    account_id: String,
    /// Its name, for people
    #[arg(long, default_value = "main")]
    name: String,
    /// Make no org
    #[arg(long, conflicts_with_all = ["account_id", "name"])]
    no_org: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Serialize)]
struct Row {
    ledger: String,
    ledger_id: String,
    vault_key: String,
    account_id: Option<String>,
}

impl Init {
    pub fn run(self, cx: &mut Context) -> Done {
        let account = AccountId::parse(&self.account_id)?;
        let dir = cx.dir();
        let writing = make(cx, &dir)?;
        if !self.no_org {
            writing.execute(Order::CreateOrg {
                name: self.name.as_str().into(),
                account: Some(account),
                owner: OrgOwner::Operator,
                settings: Box::new(self.settings.over(&OrgSettings::default())),
            })?;
        }
        let row = Row {
            ledger: dir.display().to_string(),
            ledger_id: super::state::hex(&writing.log().meta().ledger_id),
            vault_key: super::writing::vault_key_path(cx).display().to_string(),
            account_id: (!self.no_org).then(|| account.to_string()),
        };
        writing.close()?;
        if cx.out.json {
            cx.out.json(&row)?;
            return Ok(Exit::Done);
        }
        cx.out.fields(&[
            ("ledger", Cell::new(&row.ledger, Paint::Bold)),
            ("id", Cell::from(&row.ledger_id)),
            ("org", Cell::from(row.account_id.as_deref().unwrap_or_default())),
            ("vault key", Cell::from(&row.vault_key)),
        ])?;
        cx.note("in production keep the vault key elsewhere (--vault-key); without it no secret can be read");
        Ok(Exit::Done)
    }
}

/// Whether there is a ledger in `dir`, or what is left of one.
pub fn is_ledger(cx: &Context, dir: &Path) -> Result<bool, Failure> {
    match cx.io.read_dir(dir) {
        Ok(entries) => Ok(entries.iter().any(|entry| ["META", "log", "tail.wit"].contains(&entry.name.as_str()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at("read", dir)(error)),
    }
}

/// Makes an empty ledger in `dir`, with its vault key.
///
/// # Errors
/// Exit 4 when there is one already.
pub fn make(cx: &mut Context, dir: &Path) -> Result<Writing, Failure> {
    if is_ledger(cx, dir)? {
        let text =
            format!("`{}` holds a ledger already (or what is left of one); choose another folder", dir.display());
        return Err(Failure::new(Exit::Refused, text));
    }
    create(cx, dir)
}
