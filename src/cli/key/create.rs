//! `key create`, and showing a secret once.
//!
//! Invariants
//! - A secret is written to standard output alone, by the one command that made it, past every buffer of ours.
//!
//! Not here: drawing and sealing it (`ledger::fresh`, `vault`).

use super::row::print_detail;
use crate::api::OnceShown;
use crate::audit::rows::{KeyDetail, KeyFacts};
use crate::cli::args::{grant, span, tag, tags, when};
use crate::cli::desk::key_here;
use crate::cli::print::aside;
use crate::cli::{Context, Desk, Done, Exit, Failure, Wrote};
use crate::ledger::command::OwnerName;
use crate::ledger::{Command as Order, CreateAccessKey};
use crate::model::{BucketName, Grant, Time, When};
use clap::Args;
use compact_str::CompactString;
use serde::Serialize;

#[derive(Debug, Args)]
pub struct Create {
    /// Its owner, a user [default: the org itself]
    #[arg(long, value_name = "NAME", conflicts_with = "bucket")]
    user: Option<String>,
    /// Its owner, a bucket, as in Lightsail; it gets Editor there
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
    /// What it is for
    #[arg(long, default_value = "", hide_default_value = true)]
    label: String,
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(CompactString, CompactString)>,
    /// BUCKET=ROLE or *=ROLE; ReadOnly, Editor or Admin; may be repeated
    #[arg(long = "grant", value_name = "BUCKET=ROLE", value_parser = grant)]
    grants: Vec<Grant>,
    /// A policy to attach; may be repeated
    #[arg(long = "policy", value_name = "POLICY")]
    policies: Vec<String>,
    /// Create and list buckets without a policy that says so
    #[arg(long)]
    default_allow: bool,
    /// When it ends, as RFC 3339
    #[arg(long, value_name = "WHEN", conflicts_with = "expires_in")]
    expires_at: Option<String>,
    /// How long it lives: 90d, 12h
    #[arg(long, value_name = "SPAN", value_parser = span)]
    expires_in: Option<i64>,
}

/// A key that was just made or got another secret.
#[derive(Serialize)]
struct MadeRow<'a> {
    access_key_id: &'a str,
    /// Null when the answer is repeated.
    secret_access_key: Option<OnceShown<'a>>,
    #[serde(flatten)]
    facts: &'a KeyFacts,
    changed: bool,
    seq: Option<u64>,
}

impl Create {
    pub fn run(self, cx: &mut Context) -> Done {
        let now = cx.now();
        let expires_at = match (&self.expires_at, self.expires_in) {
            (Some(text), _) => Some(moment(text, now)?),
            (None, Some(ns)) => Some(now.plus_ns(ns)),
            (None, None) => None,
        };
        let owner = match (&self.user, &self.bucket) {
            (Some(user), _) => OwnerName::User(user.as_str().into()),
            (None, Some(bucket)) => OwnerName::Bucket(BucketName::parse(bucket)?),
            (None, None) => OwnerName::Org,
        };
        let key = CreateAccessKey {
            owner,
            label: self.label.as_str().into(),
            description: self.description.as_str().into(),
            tags: tags(&self.tags),
            grants: self.grants,
            policies: self.policies.iter().map(Into::into).collect(),
            default_allow: self.default_allow,
            expires_at,
        };
        let desk = Desk::open(cx)?;
        let org = desk.org(cx.global.org.as_deref())?;
        let mut wrote = desk.execute(Order::CreateKey { org, key: Box::new(key) })?;
        let Some(id) = wrote.key_made().map(str::to_owned) else { return Err(Failure::usage("no key was made")) };
        let detail = desk.row(&wrote, |writing| key_here(writing, &id))?;
        show_once(cx, &detail, &mut wrote)
    }
}

/// A moment as RFC 3339.
pub fn moment(text: &str, now: Time) -> Result<Time, Failure> {
    match when(text, now)? {
        When::At(at) => Ok(at),
        When::Seq(_) => Err(Failure::usage("a commit is no moment here; give a time as RFC 3339")),
    }
}

/// Shows a key with its new secret, this once.
pub fn show_once(cx: &mut Context, key: &KeyDetail, wrote: &mut Wrote) -> Done {
    let secret = wrote.take_secret();
    let id = key.row.access_key_id.as_str();
    if cx.out.json {
        let row = MadeRow {
            access_key_id: id,
            secret_access_key: secret.as_ref().map(OnceShown),
            facts: &key.row.facts,
            changed: wrote.changed(),
            seq: wrote.seq(),
        };
        unlost(cx.out.json_once(&row), id)?;
    } else {
        print_detail(&mut cx.out, key)?;
        if let Some(secret) = &secret {
            let shown = cx.out.secret_line("secret access key  ", secret.expose_secret());
            unlost(shown, id)?;
            cx.note("the secret is shown this once; keep it now");
        }
    }
    if wrote.secret_is_lost() {
        cx.note(
            "the answer with the secret was lost on its way, and it is not shown again: rotate the key or delete it",
        );
    }
    Ok(Exit::Done)
}

/// A closed pipe is no error, but a secret that nobody saw is lost, which somebody should know.
fn unlost(shown: Result<(), Failure>, id: &str) -> Result<(), Failure> {
    if let Err(failure) = &shown
        && failure.is_silent()
    {
        aside(format_args!("keyledger: the secret of `{id}` was made but nobody read it; rotate or delete the key"));
    }
    shown
}
