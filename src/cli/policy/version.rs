//! `policy versions`, `new-version`, `set-default`, `delete-version`.

use super::list::print_document;
use crate::audit::rows::VersionRow;
use crate::cli::args::{AtArgs, version};
use crate::cli::confirm::confirm;
use crate::cli::input::{INPUT_BYTES_MAX, text_of};
use crate::cli::print::{Cell, Paint, Table, moment_or};
use crate::cli::{Context, Done, Exit, Failure};
use crate::ledger::Command as Order;
use clap::Args;

#[derive(Debug, Args)]
pub struct Versions {
    name: String,
    /// Print the document of this version
    #[arg(value_parser = version)]
    version: Option<u32>,
    #[command(flatten)]
    at: AtArgs,
}

#[derive(Debug, Args)]
pub struct NewVersion {
    name: String,
    /// A file, - for standard input, or the document itself
    #[arg(long, value_name = "FILE")]
    document: String,
    /// Put it in force at once
    #[arg(long = "default")]
    set_default: bool,
    /// Put it in force, and delete the oldest other version when there are five
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Args)]
pub struct SetDefault {
    name: String,
    /// For instance v2
    #[arg(value_parser = version)]
    version: u32,
}

#[derive(Debug, Args)]
pub struct DeleteVersion {
    name: String,
    /// For instance v2
    #[arg(value_parser = version)]
    version: u32,
}

impl Versions {
    pub fn run(self, cx: &mut Context) -> Done {
        let reading = cx.reading_at(self.at.at.as_deref())?;
        let view = reading.org(cx.global.org.as_deref())?;
        let policy = view.policy(&self.name)?;
        let mut table = Table::new(&["version", "in force", "created", "characters"]);
        let mut found = false;
        for version in policy.versions.iter().filter(|v| self.version.is_none_or(|asked| asked == v.version)) {
            found = true;
            let is_default = version.version == policy.default_version;
            let document = Some(&*version.document).filter(|text| !text.is_empty());
            if cx.out.json {
                cx.out.json(&VersionRow::of(&policy, version))?;
            } else if self.version.is_some() {
                print_document(cx, document)?;
            } else {
                table.row(vec![
                    Cell::new(format!("v{}", version.version), Paint::Bold),
                    Cell::from(if is_default { "yes" } else { "" }),
                    Cell::from(moment_or(version.created_at, "before the evidence")),
                    Cell::from(document.map_or_else(|| "not in evidence".to_owned(), |text| text.len().to_string())),
                ]);
            }
        }
        if !found {
            let versions: Vec<String> = policy.versions.iter().map(|v| format!("v{}", v.version)).collect();
            let text = format!("policy `{}` has no such version; it has {}", policy.name, versions.join(", "));
            return Err(Failure::nothing(text));
        }
        cx.out.table(&table)?;
        Ok(Exit::Done)
    }
}

impl NewVersion {
    pub fn run(self, cx: &mut Context) -> Done {
        let document = text_of(cx.io.as_ref(), &self.document, INPUT_BYTES_MAX)?.into();
        let policy = self.name.as_str().into();
        let (replace, set_default) = (self.replace, self.set_default);
        super::change(cx, &self.name, "changed", |org| {
            if replace {
                Order::ReplacePolicyDocument { org, policy, document }
            } else {
                Order::CreatePolicyVersion { org, policy, document, set_default }
            }
        })
    }
}

impl SetDefault {
    pub fn run(self, cx: &mut Context) -> Done {
        let (policy, version) = (self.name.as_str().into(), self.version);
        super::change(cx, &self.name, "changed", |org| Order::SetDefaultPolicyVersion { org, policy, version })
    }
}

impl DeleteVersion {
    pub fn run(self, cx: &mut Context) -> Done {
        confirm(cx.global.yes, "deleting policy version", &format!("v{}", self.version))?;
        let (policy, version) = (self.name.as_str().into(), self.version);
        super::change(cx, &self.name, "changed", |org| Order::DeletePolicyVersion { org, policy, version })
    }
}
