//! `audit diff`: what changed between two moments.

use crate::audit::at::{AsOf, worlds_at};
use crate::audit::diff::{Became, diff};
use crate::audit::listing::{ListingOptions, Noun};
use crate::cli::args::when;
use crate::cli::key::none_found;
use crate::cli::print::Paint;
use crate::cli::{Context, Done, Exit};
use clap::Args;

#[derive(Debug, Args)]
pub struct Diff {
    /// 2026-03-01T09:00Z, 7d (ago), or seq:1234
    from: String,
    /// The same [default: now]
    to: Option<String>,
    /// Only these: org, user, group, policy, bucket or key; may be repeated
    #[arg(long = "noun", value_name = "NOUN", value_parser = noun)]
    nouns: Vec<Noun>,
}

pub fn noun(text: &str) -> Result<Noun, String> {
    let named = Noun::ALL.into_iter().find(|noun| noun.as_str() == text.trim_end_matches('s'));
    named.ok_or_else(|| "expected org, user, group, policy, bucket or key".to_owned())
}

impl Diff {
    pub fn run(self, cx: &mut Context) -> Done {
        let reading = cx.reading()?;
        let history = reading.whole_history(cx);
        let from = AsOf { when: when(&self.from, reading.now)?, known_at: None };
        let before = worlds_at(&history, from)?;
        let (after, now) = match &self.to {
            None => (reading.worlds, reading.now),
            Some(to) => {
                let to = AsOf { when: when(to, reading.now)?, known_at: None };
                let worlds = worlds_at(&history, to)?;
                let now = to.now(&worlds);
                (worlds, now)
            }
        };
        let orgs = cx.global.org.as_deref().map(|org| after.orgs_named(org)).transpose()?;
        let options = ListingOptions {
            nouns: self.nouns,
            orgs: orgs.map(|orgs| orgs.into_iter().collect()),
            ..ListingOptions::default()
        };
        let rows = diff((&before, from.now(&before)), (&after, now), &options);
        if rows.is_empty() {
            return none_found(&mut cx.out, "changes");
        }
        for row in &rows {
            if cx.out.json {
                cx.out.json(row)?;
                continue;
            }
            let paint = match row.became {
                Became::Added => Paint::Good,
                Became::Removed => Paint::Bad,
                Became::Changed => Paint::Warn,
            };
            let name = format!(" {} {}", row.name.noun.as_str(), row.name.name);
            let org = format!("  ({} {})", row.name.org_kind, row.name.org);
            let became = format!("{:<8}", row.became.as_str());
            cx.out.pieces(&[(paint, &became), (Paint::Bold, &name), (Paint::Dim, &org)])?;
            for field in &row.fields {
                let line = match row.became {
                    Became::Added => format!("        {}: {}", field.field, shown(&field.after)),
                    Became::Removed => format!("        {}: {}", field.field, shown(&field.before)),
                    Became::Changed => {
                        format!("        {}: {} → {}", field.field, shown(&field.before), shown(&field.after))
                    }
                };
                cx.out.line(line)?;
            }
        }
        Ok(Exit::Done)
    }
}

/// A value for people.
pub fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "nothing".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
