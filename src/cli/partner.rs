//! `partner`: providers of the Partner API, each with a signing key that is shown once.
//!
//! The ledger keeps only a hash of a signing key: `serve` is given the key itself, by KEYLEDGER_PARTNER_PROVIDER and
//! KEYLEDGER_PARTNER_SIGNING_KEY (or …_FILE).
//!
//! Not here: what a provider may do (`ledger::decide`), checking signatures (`api`).

use super::key::{OnceShown, none_found};
use super::print::{Cell, Paint, Table, moment};
use super::{Context, Done, Exit};
use crate::ledger::{Command as Order, Dice as _, OsDice};
use crate::state::ProviderRecord;
use crate::vault::SecretKey;
use clap::{Args, Subcommand};
use serde::Serialize;

#[derive(Debug, Subcommand)]
pub enum Partner {
    /// Make a provider; its signing key is shown this once
    #[command(after_help = "Example:  keyledger partner create acme --json")]
    Create(Create),
    /// List providers
    List,
    /// Give a provider another signing key, shown this once; the old one is refused at once
    Rotate(Which),
}

#[derive(Debug, Args)]
pub struct Create {
    name: String,
    /// The provider makes its orgs itself: none is made on first use
    #[arg(long)]
    explicit_orgs: bool,
}

#[derive(Debug, Args)]
pub struct Which {
    name: String,
}

#[derive(Serialize)]
struct Made<'a> {
    provider: &'a str,
    signing_key: OnceShown<'a>,
    seq: Option<u64>,
}

#[derive(Serialize)]
struct Row<'a> {
    provider: &'a str,
    explicit_orgs: bool,
    orgs: usize,
    created_at: String,
}

impl Partner {
    pub fn run(self, cx: &mut Context) -> Done {
        match self {
            Partner::Create(create) => {
                let explicit_orgs = create.explicit_orgs;
                change(cx, &create.name, |provider, key_hash| Order::CreateProvider {
                    provider,
                    key_hash,
                    explicit_orgs,
                })
            }
            Partner::Rotate(which) => {
                change(cx, &which.name, |provider, key_hash| Order::ChangeProviderKey { provider, key_hash })
            }
            Partner::List => list(cx),
        }
    }
}

fn change(cx: &mut Context, name: &str, order: impl FnOnce(compact_str::CompactString, [u8; 32]) -> Order) -> Done {
    let mut dice = OsDice::default();
    let key = SecretKey::generate(&mut |bytes: &mut [u8]| dice.fill(bytes));
    let hash = *blake3::hash(key.expose_secret().as_bytes()).as_bytes();
    let wrote = cx.writing()?.execute(order(name.into(), hash))?;
    if cx.out.json {
        cx.out.json_once(&Made { provider: name, signing_key: OnceShown(&key), seq: wrote.seq() })?;
        return Ok(Exit::Done);
    }
    cx.out.line(format!("provider     {name}"))?;
    cx.out.secret_line("signing key  ", key.expose_secret())?;
    cx.note("the signing key is shown this once; keep it now, and give it to the server (KEYLEDGER_PARTNER_SIGNING_KEY_FILE)");
    Ok(Exit::Done)
}

fn list(cx: &mut Context) -> Done {
    let reading = cx.reading()?;
    let state = reading.worlds.live_state();
    let row =
        |provider: &ProviderRecord| (state.orgs_of_provider(&provider.provider, None).count(), provider.created_at);
    let mut table = Table::new(&["provider", "orgs", "makes its orgs", "created"]);
    let mut found = false;
    for provider in state.providers() {
        found = true;
        let (orgs, created_at) = row(provider);
        if cx.out.json {
            cx.out.json(&Row {
                provider: &provider.provider,
                explicit_orgs: provider.explicit_orgs,
                orgs,
                created_at: created_at.to_string(),
            })?;
            continue;
        }
        table.row(vec![
            Cell::new(&provider.provider, Paint::Bold),
            Cell::from(orgs.to_string()),
            Cell::from(if provider.explicit_orgs { "itself" } else { "on first use" }),
            Cell::from(moment(created_at)),
        ]);
    }
    if !found {
        return none_found(&mut cx.out, "providers");
    }
    cx.out.table(&table)?;
    Ok(Exit::Done)
}
