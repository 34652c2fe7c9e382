//! `audit who-could`: every key that could do something, at a moment or between two.

use super::ask::question;
use super::rights::print_because;
use crate::audit::access::intervals::{Window, intervals};
use crate::audit::access::who::{WhoCould, who_could};
use crate::audit::access::{May, Question};
use crate::cli::args::when;
use crate::cli::key::none_found;
use crate::cli::print::{Cell, Paint, Table, moment};
use crate::cli::reading::time_of;
use crate::cli::{Context, Done, Exit, Failure};
use crate::model::OrgUid;
use clap::Args;
use std::collections::BTreeSet;

#[derive(Debug, Args)]
pub struct Who {
    /// What is asked, such as s3:DeleteObject
    #[arg(long)]
    action: String,
    /// Of what, such as arn:aws:s3:::bucket/key
    #[arg(long)]
    resource: String,
    /// A condition key of the request; what is not given stays open
    #[arg(long, value_name = "KEY=VALUE")]
    context: Vec<String>,
    /// As it was then: 2026-03-01T09:00Z, 7d (ago), or seq:1234
    #[arg(long, value_name = "WHEN")]
    at: Option<String>,
    /// From when to when each key could, with the events that opened and closed each interval
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"], conflicts_with = "at")]
    between: Option<Vec<String>>,
    /// Only this key
    #[arg(long, value_name = "ID", requires = "between")]
    key: Option<String>,
    /// Also say which statements allow and deny
    #[arg(long, short)]
    verbose: bool,
}

impl Who {
    pub fn run(self, cx: &mut Context) -> Done {
        let question = question(&self.action, &self.resource, &self.context)?;
        match &self.between {
            Some(span) => self.run_between(cx, &question, span),
            None => self.run_at(cx, &question),
        }
    }

    fn run_at(&self, cx: &mut Context, question: &Question) -> Done {
        let reading = cx.reading_at(self.at.as_deref())?;
        let orgs = orgs(cx, &reading.worlds)?;
        let found = who_could(&reading.worlds, question, reading.now, orgs.as_ref());
        if cx.out.json {
            for able in &found.able {
                cx.out.json(able)?;
            }
        } else {
            self.print(cx, &found)?;
        }
        if found.able.is_empty() { none_found(&mut cx.out, "keys that could") } else { Ok(Exit::Done) }
    }

    fn print(&self, cx: &mut Context, found: &WhoCould) -> Result<(), Failure> {
        let mut table = Table::new(&["access key id", "owner", "label", "status", "could", "why", "org"]);
        for able in &found.able {
            let paint = if able.power.may == May::Always { Paint::Good } else { Paint::Warn };
            table.row(vec![
                Cell::new(&able.access_key_id, Paint::Bold),
                Cell::from(&able.owner),
                Cell::from(&able.label),
                Cell::from(able.status),
                Cell::new(able.power.may.as_str(), paint),
                Cell::from(&able.power.why),
                Cell::from(format!("{} ({})", able.org, able.org_kind)),
            ]);
        }
        if !table.is_empty() {
            cx.out.table(&table)?;
        }
        if self.verbose {
            for able in &found.able {
                cx.out.heading(&able.access_key_id)?;
                for because in able.power.allows.iter().chain(&able.power.denies) {
                    print_because(&mut cx.out, because)?;
                }
            }
        }
        cx.note(&format!("{} keys were asked", found.asked));
        if found.uncertain > 0 {
            cx.note(&format!("of {} a document is not in evidence, so they may have been able to", found.uncertain));
        }
        Ok(())
    }

    fn run_between(&self, cx: &mut Context, question: &Question, span: &[String]) -> Done {
        let reading = cx.reading()?;
        let history = reading.history(cx)?;
        let bound = |text: &String| time_of(when(text, reading.now)?, &reading.log);
        let [from, to] = span else { return Err(Failure::usage("give two moments: --between FROM TO")) };
        let (from, to) = (bound(from)?, bound(to)?);
        if from >= to {
            return Err(Failure::usage("the second moment must be later than the first"));
        }
        let orgs = orgs(cx, &reading.worlds)?;
        let keys = match &self.key {
            Some(id) => {
                let places = super::ask::key_places(&reading.worlds, id, cx.global.org.as_deref())?;
                if places.is_empty() {
                    return Err(Failure::nothing(format!("no key {id} was ever here")));
                }
                places.iter().map(|key| Some(key.uid())).collect()
            }
            None => vec![None],
        };
        let mut found = Vec::new();
        for key in keys {
            found.extend(intervals(&history, &Window { question, from, to, key, orgs: orgs.as_ref() })?);
        }
        let mut table = Table::new(&["access key id", "owner", "from", "opened by", "until", "closed by"]);
        for it in &found {
            if cx.out.json {
                cx.out.json(it)?;
                continue;
            }
            let turn = |turn: &crate::audit::access::intervals::Turn| match turn.event {
                Some(event) => format!("{event} {}", turn.what),
                None => turn.what.clone(),
            };
            table.row(vec![
                Cell::new(&it.access_key_id, Paint::Bold),
                Cell::from(&it.owner),
                Cell::from(moment(it.from.0)),
                Cell::from(turn(&it.opened)),
                Cell::from(it.until.map_or_else(|| "it still could".to_owned(), |at| moment(at.0))),
                Cell::from(it.closed.as_ref().map(turn).unwrap_or_default()),
            ]);
        }
        if !table.is_empty() {
            cx.out.table(&table)?;
        }
        if found.is_empty() { none_found(&mut cx.out, "keys that could") } else { Ok(Exit::Done) }
    }
}

fn orgs(cx: &Context, worlds: &crate::audit::Worlds) -> Result<Option<BTreeSet<OrgUid>>, Failure> {
    let named = cx.global.org.as_deref().map(|org| worlds.orgs_named(org.trim_start_matches("evidence:")));
    Ok(named.transpose()?.map(|orgs| orgs.into_iter().collect()))
}
