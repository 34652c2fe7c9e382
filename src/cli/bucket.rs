//! `bucket`: which bucket belongs to which org, so that "all buckets" has a meaning at every past moment.
//!
//! Not here: objects, and making the bucket itself (the storage node).

use super::args::AtArgs;
use super::key::{none_found, row};
use super::print::{Cell, Paint, Table};
use super::view::View;
use super::{Context, Done, Exit, Failure, ordered};
use crate::audit::rows::BucketRow;
use crate::ledger::Command as Order;
use crate::model::BucketName;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Bucket {
    /// Register a bucket to the org
    #[command(visible_alias = "register", after_help = "Example:  keyledger bucket create logs")]
    Create(Which),
    /// List registered buckets
    List(List),
    /// Show one: its org and the keys that name it
    Show(Which),
    /// Forget a bucket; its name may then be registered again
    #[command(visible_alias = "forget")]
    Delete(Which),
}

#[derive(Debug, Args)]
pub struct Which {
    name: String,
}

#[derive(Debug, Args)]
pub struct List {
    /// Of every org
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    at: AtArgs,
}

impl Bucket {
    pub fn run(self, cx: &mut Context) -> Done {
        match self {
            Bucket::Create(which) => change(cx, &which, true),
            Bucket::Delete(which) => change(cx, &which, false),
            Bucket::List(list) => list.run(cx),
            Bucket::Show(which) => which.show(cx),
        }
    }
}

fn change(cx: &mut Context, which: &Which, register: bool) -> Done {
    let bucket = BucketName::parse(&which.name)?;
    let (name, what) = (bucket.clone(), if register { "registered" } else { "forgotten" });
    let order = |org| {
        if register { Order::RegisterBucket { org, bucket: name } } else { Order::ForgetBucket { org, bucket: name } }
    };
    let (wrote, row) = ordered(cx, order, |view| Ok(BucketRow::of(view, &bucket, register)))?;
    wrote.say(cx, "bucket", bucket.as_str(), what, &row)
}

impl List {
    fn run(self, cx: &mut Context) -> Done {
        let reading = cx.reading_at(self.at.at.as_deref())?;
        let only = if self.all { None } else { Some(reading.org(cx.global.org.as_deref())?.org.org) };
        let mut table = Table::new(&["bucket", "account", "keys"]);
        let mut found = false;
        for view in reading.every_org().iter().filter(|view| only.is_none_or(|only| view.org.org == only)) {
            for (bucket, _) in view.state.buckets().filter(|(_, of)| *of == view.org.org) {
                found = true;
                let row = BucketRow::of(view, bucket, true);
                if cx.out.json {
                    cx.out.json(&row)?;
                } else {
                    table.row(vec![
                        Cell::new(&row.entry.bucket, Paint::Bold),
                        Cell::from(&row.entry.account_id),
                        Cell::from(row.keys.join(", ")),
                    ]);
                }
            }
        }
        if !found {
            return none_found(&mut cx.out, "buckets");
        }
        cx.out.table(&table)?;
        Ok(Exit::Done)
    }
}

impl Which {
    fn show(&self, cx: &mut Context) -> Done {
        let bucket = BucketName::parse(&self.name)?;
        let reading = cx.reading()?;
        let views = reading.every_org();
        let of = |view: &&View| view.state.bucket_org(&bucket) == Some(view.org.org);
        let Some(view) = views.iter().find(of) else {
            let text = format!("bucket `{}` is registered to no org", bucket.as_str());
            return Err(Failure::nothing(text));
        };
        let row = BucketRow::of(view, &bucket, true);
        if cx.out.json {
            cx.out.json(&row)?;
            return Ok(Exit::Done);
        }
        cx.out.fields(&[
            ("bucket", Cell::new(&row.entry.bucket, Paint::Bold)),
            ("account", Cell::from(&row.entry.account_id)),
        ])?;
        for id in &row.keys {
            if let Some(key) = view.key(id) {
                let grants = row::grants(&key.rights().grants);
                cx.out.line(format!("key {id} {} {grants}", view.status(&key).as_str()))?;
            }
        }
        Ok(Exit::Done)
    }
}
