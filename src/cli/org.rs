//! `org`: the accounts that everything else belongs to.
//!
//! Not here: evidence orgs, which imports make and `org list` shows.

use super::args::span;
use super::key::none_found;
use super::print::{Cell, Out, Paint, Table, counted};
use super::view::{View, org_label};
use super::{Context, Done, Exit, Wrote, ordered};
use crate::audit::rows::OrgRow;
use crate::ledger::Command as Order;
use crate::model::{AccountId, OrgOwner, OrgSettings};
use crate::state::OrgRecord;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Org {
    /// Make an org
    #[command(after_help = "Example:  keyledger org create 123456789012 --name acme")]
    Create(Create),
    /// List orgs, imported evidence included
    List,
    /// Show one
    Show(Which),
    /// Change settings; what is not named stays
    Update(Update),
    /// Make all its keys unusable at once
    Suspend(Which),
    /// Make the keys usable again that were
    Resume(Which),
}

#[derive(Debug, Args)]
pub struct Which {
    /// The account id [default: the only org]
    account: Option<String>,
}

#[derive(Debug, Args)]
pub struct Create {
    /// 12 digits [default: drawn]
    account: Option<String>,
    /// A name for people
    #[arg(long, default_value = "main")]
    name: String,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
pub struct Update {
    #[command(flatten)]
    which: Which,
    /// Another name for the account: 3 to 63 lower-case letters, digits and -
    #[arg(long, conflicts_with = "no_alias")]
    alias: Option<String>,
    /// Take the alias away
    #[arg(long)]
    no_alias: bool,
    #[command(flatten)]
    settings: Settings,
}

/// Settings of an org; each only when named.
#[derive(Debug, Args, Default)]
pub struct Settings {
    /// Four letters before new key ids [default: NQAK]
    #[arg(long, value_name = "LETTERS")]
    key_prefix: Option<String>,
    /// Keys a user by the IAM dialect [default: 2]
    #[arg(long, value_name = "N")]
    iam_keys_per_user: Option<u32>,
    /// Keys a bucket by the Lightsail dialect [default: 2]
    #[arg(long, value_name = "N")]
    lightsail_keys_per_bucket: Option<u32>,
    /// Keys a user, bucket or the org by any other way [default: unlimited]
    #[arg(long, value_name = "N")]
    keys_per_owner: Option<u32>,
    /// Longest life of a new key [default: unlimited]
    #[arg(long, value_name = "SPAN", value_parser = span)]
    key_lifetime_max: Option<i64>,
    /// Life of a new key that names none [default: for ever]
    #[arg(long, value_name = "SPAN", value_parser = span)]
    key_lifetime: Option<i64>,
    /// Days after which the audits call a secret old [default: 90]
    #[arg(long, value_name = "DAYS")]
    rotation_days: Option<u32>,
    /// Bytes of usage rollups a day [default: 256 MiB]
    #[arg(long, value_name = "BYTES")]
    usage_bytes_per_day: Option<u64>,
    /// Unregistered buckets belong to this org
    #[arg(long, value_name = "YES", num_args = 0..=1, default_missing_value = "true")]
    open_buckets: Option<bool>,
}

impl Settings {
    fn are_none(&self) -> bool {
        let default = OrgSettings::default();
        self.open_buckets.is_none() && self.over(&default) == default
    }

    /// `before` with what was named.
    pub fn over(&self, before: &OrgSettings) -> OrgSettings {
        let mut after = before.clone();
        if let Some(prefix) = &self.key_prefix {
            after.key_prefix = Some(prefix.as_str().into());
        }
        after.iam_keys_per_user_max = self.iam_keys_per_user.or(after.iam_keys_per_user_max);
        after.lightsail_keys_per_bucket_max = self.lightsail_keys_per_bucket.or(after.lightsail_keys_per_bucket_max);
        after.keys_per_owner_max = self.keys_per_owner.or(after.keys_per_owner_max);
        after.key_lifetime_max_ns = self.key_lifetime_max.or(after.key_lifetime_max_ns);
        after.key_lifetime_default_ns = self.key_lifetime.or(after.key_lifetime_default_ns);
        after.rotation_days_max = self.rotation_days.or(after.rotation_days_max);
        after.usage_bytes_per_day = self.usage_bytes_per_day.or(after.usage_bytes_per_day);
        after.open_buckets = self.open_buckets.unwrap_or(after.open_buckets);
        after
    }
}

impl Org {
    pub fn run(self, cx: &mut Context) -> Done {
        match self {
            Org::Create(create) => create.run(cx),
            Org::List => list(cx),
            Org::Show(which) => {
                let reading = cx.reading()?;
                let view = reading.org(which.named(cx))?;
                show(&mut cx.out, &view, reading.worlds.live_state())
            }
            Org::Update(update) => update.run(cx),
            Org::Suspend(which) => switch(cx, &which, true),
            Org::Resume(which) => switch(cx, &which, false),
        }
    }
}

impl Which {
    fn named<'a>(&'a self, cx: &'a Context) -> Option<&'a str> {
        self.account.as_deref().or(cx.global.org.as_deref())
    }
}

impl Create {
    fn run(self, cx: &mut Context) -> Done {
        let account = self.account.as_deref().map(AccountId::parse).transpose()?;
        let writing = cx.writing()?;
        let before: Vec<_> = writing.state().live_orgs().map(|org| org.org).collect();
        let wrote = writing.execute(Order::CreateOrg {
            name: self.name.as_str().into(),
            account,
            owner: OrgOwner::Operator,
            settings: Box::new(self.settings.over(&OrgSettings::default())),
        })?;
        let state = writing.state();
        let made = state.live_orgs().find(|org| match account {
            Some(account) => org.account == account,
            None => !before.contains(&org.org),
        });
        let Some(org) = made.cloned() else { return Ok(Exit::Done) };
        said(cx, &wrote, &View::of(&state, &org, writing.now()), &state, "made")
    }
}

impl Update {
    fn run(self, cx: &mut Context) -> Done {
        if cx.endpoint().is_some() && self.which.account.is_none() && self.settings.are_none() {
            let alias = self.alias.as_deref().map(Into::into);
            let order = |org| Order::SetOrgAlias { org, alias };
            let (wrote, row) = ordered(cx, order, |view| Ok(OrgRow::of(view, &view.state)))?;
            return wrote.say(cx, "org", &row.account_id, "changed", &row);
        }
        let writing = cx.writing()?;
        let org = writing.org(self.which.named(cx))?;
        let after = self.settings.over(&org.settings);
        let mut wrote = Wrote::nothing();
        if after != org.settings {
            wrote = writing.execute(Order::SetOrgSettings { org: org.org, settings: Box::new(after) })?;
        }
        if self.alias.is_some() || self.no_alias {
            let alias = self.alias.as_deref().map(Into::into);
            wrote = wrote.or(writing.execute(Order::SetOrgAlias { org: org.org, alias })?);
        }
        let state = writing.state();
        let org = state.org(org.org).cloned().unwrap_or(org);
        said(cx, &wrote, &View::of(&state, &org, writing.now()), &state, "changed")
    }
}

fn switch(cx: &mut Context, which: &Which, suspend: bool) -> Done {
    let writing = cx.writing()?;
    let org = writing.org(which.named(cx))?;
    let order = if suspend { Order::SuspendOrg { org: org.org } } else { Order::ResumeOrg { org: org.org } };
    let wrote = writing.execute(order)?;
    let state = writing.state();
    let org = state.org(org.org).cloned().unwrap_or(org);
    said(cx, &wrote, &View::of(&state, &org, writing.now()), &state, if suspend { "suspended" } else { "resumed" })
}

fn said(cx: &mut Context, wrote: &Wrote, view: &View, whole: &crate::state::State, what: &str) -> Done {
    wrote.say(cx, "org", org_label(&view.org).as_str(), what, &OrgRow::of(view, whole))
}

fn list(cx: &mut Context) -> Done {
    let reading = cx.reading()?;
    let mut table = Table::new(&["account", "org", "name", "status", "users", "keys", "usable", "since"]);
    let views = reading.every_org();
    if views.is_empty() {
        return none_found(&mut cx.out, "orgs");
    }
    for view in &views {
        let row = OrgRow::of(view, reading.worlds.live_state());
        if cx.out.json {
            cx.out.json(&row)?;
            continue;
        }
        let since = row.created_at.as_ref().or(row.first_record_at.as_ref());
        table.row(vec![
            Cell::new(&row.account_id, Paint::Bold),
            Cell::from(&row.org),
            Cell::from(&row.name),
            status(&view.org),
            Cell::from(row.users),
            Cell::from(row.keys),
            Cell::from(row.usable_keys),
            Cell::from(since.map(String::as_str).unwrap_or_default()),
        ]);
    }
    cx.out.table(&table)?;
    Ok(Exit::Done)
}

fn status(org: &OrgRecord) -> Cell {
    if org.suspended { Cell::new("Suspended", Paint::Bad) } else { Cell::new("Active", Paint::Good) }
}

fn show(out: &mut Out, view: &View, whole: &crate::state::State) -> Done {
    let row = OrgRow::of(view, whole);
    if out.json {
        out.json(&row)?;
        return Ok(Exit::Done);
    }
    let settings = &row.settings;
    let days = |ns: Option<i64>| ns.map(|ns| format!("{} h", ns / 3_600_000_000_000)).unwrap_or_default();
    let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    out.fields(&[
        ("account", Cell::new(&row.account_id, Paint::Bold)),
        ("org", Cell::from(&row.org)),
        ("name", Cell::from(&row.name)),
        ("alias", Cell::from(row.alias.as_deref().unwrap_or_default())),
        ("status", status(&view.org)),
        ("owner", Cell::from(&row.owner)),
        ("created", Cell::from(row.created_at.as_deref().unwrap_or_default())),
        ("users", Cell::from(row.users)),
        ("groups", Cell::from(row.groups)),
        ("policies", Cell::from(row.policies)),
        ("buckets", Cell::from(row.buckets)),
        ("keys", Cell::from(format!("{}, {} usable", counted(row.keys, "key", "keys"), row.usable_keys))),
        ("records", Cell::from(row.records.map(|n| n.to_string()).unwrap_or_default())),
        ("first record", Cell::from(row.first_record_at.as_deref().unwrap_or_default())),
        ("last record", Cell::from(row.last_record_at.as_deref().unwrap_or_default())),
        ("key prefix", Cell::from(settings.key_prefix.as_deref().unwrap_or_default())),
        ("IAM keys a user", Cell::from(number(settings.iam_keys_per_user_max))),
        ("Lightsail keys a bucket", Cell::from(number(settings.lightsail_keys_per_bucket_max))),
        ("keys an owner", Cell::from(number(settings.keys_per_owner_max))),
        ("longest key life", Cell::from(days(settings.key_lifetime_max_ns))),
        ("key life", Cell::from(days(settings.key_lifetime_default_ns))),
        ("rotation days", Cell::from(number(settings.rotation_days_max))),
        ("open buckets", Cell::from(if settings.open_buckets { "yes" } else { "" })),
    ])?;
    Ok(Exit::Done)
}
