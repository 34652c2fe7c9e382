//! `policy list` and `policy show`.

use crate::audit::rows::{ManagedRow, PolicyRow};
use crate::cli::args::AtArgs;
use crate::cli::key::none_found;
use crate::cli::print::{Cell, Paint, Table, moment_or};
use crate::cli::{Context, Done, Exit, Failure};
use crate::policy::managed;
use clap::Args;

#[derive(Debug, Args)]
pub struct List {
    /// Of every org, imported evidence included
    #[arg(long)]
    all: bool,
    /// Also those of AWS's own that exist in every org
    #[arg(long)]
    managed: bool,
    #[command(flatten)]
    at: AtArgs,
}

#[derive(Debug, Args)]
pub struct Show {
    /// The name, or the ARN
    name: String,
    #[command(flatten)]
    at: AtArgs,
}

impl List {
    pub fn run(self, cx: &mut Context) -> Done {
        let reading = cx.reading_at(self.at.at.as_deref())?;
        let views = if self.all { reading.every_org() } else { vec![reading.org(cx.global.org.as_deref())?] };
        let mut table = Table::new(&["policy", "path", "version", "changed", "attached to", "description"]);
        let mut found = false;
        for view in &views {
            for policy in view.state.policies(view.org.org, None) {
                found = true;
                let row = PolicyRow::of(view, policy);
                if cx.out.json {
                    cx.out.json(&row)?;
                    continue;
                }
                table.row(vec![
                    Cell::new(&row.policy_name, Paint::Bold),
                    Cell::from(&row.path),
                    Cell::from(format!("{} of {}", row.default_version, row.versions.len())),
                    Cell::from(moment_or(policy.updated_at, "before the evidence")),
                    Cell::from(attached(&row)),
                    Cell::from(&row.description),
                ]);
            }
        }
        for managed in managed::ALL.iter().filter(|managed| self.managed && managed.is_in_every_org) {
            found = true;
            if cx.out.json {
                cx.out.json(&ManagedRow::of(managed))?;
                continue;
            }
            let cells = [managed.arn, "", "", "", "", managed.about];
            table.row(cells.into_iter().map(Cell::from).collect());
        }
        if !found {
            return none_found(&mut cx.out, "policies");
        }
        cx.out.table(&table)?;
        Ok(Exit::Done)
    }
}

/// Whom a policy is attached to, for people.
fn attached(row: &PolicyRow) -> String {
    let named = |kind: &str, names: &[String]| match names {
        [] => None,
        names => Some(format!("{kind} {}", names.join(", "))),
    };
    let parts = [named("user", &row.users), named("group", &row.groups), named("key", &row.keys)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

impl Show {
    pub fn run(self, cx: &mut Context) -> Done {
        let reading = cx.reading_at(self.at.at.as_deref())?;
        let view = reading.org(cx.global.org.as_deref())?;
        let policy = match (view.policy(&self.name), managed::lookup(&self.name)) {
            (Ok(policy), _) => policy,
            (Err(_), Some(managed)) => return show_managed(cx, managed),
            (Err(missing), None) => return Err(missing.into()),
        };
        let row = PolicyRow::of(&view, &policy);
        if cx.out.json {
            cx.out.json(&row)?;
            return Ok(Exit::Done);
        }
        cx.out.fields(&[
            ("policy", Cell::new(&row.policy_name, Paint::Bold)),
            ("id", Cell::from(&row.policy_id)),
            ("path", Cell::from(&row.path)),
            ("description", Cell::from(&row.description)),
            ("created", Cell::from(moment_or(policy.created_at, "before the evidence begins"))),
            ("versions", Cell::from(row.versions.join(", "))),
            ("in force", Cell::from(&row.default_version)),
            ("attached to", Cell::from(attached(&row))),
        ])?;
        print_document(cx, row.document.as_deref())?;
        Ok(Exit::Done)
    }
}

fn show_managed(cx: &mut Context, managed: &managed::Managed) -> Done {
    if cx.out.json {
        cx.out.json(&ManagedRow::of(managed))?;
        return Ok(Exit::Done);
    }
    cx.out.fields(&[("policy", Cell::new(managed.arn, Paint::Bold)), ("grants", Cell::from(managed.about))])?;
    print_document(cx, managed.document)?;
    Ok(Exit::Done)
}

/// A document with its JSON laid out, as far as it is JSON.
pub fn print_document(cx: &mut Context, document: Option<&str>) -> Result<(), Failure> {
    let Some(document) = document else { return cx.out.line("the document is not in evidence") };
    let laid_out = serde_json::from_str::<serde_json::Value>(document)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| document.to_owned());
    laid_out.lines().try_for_each(|line| cx.out.line(line))
}
