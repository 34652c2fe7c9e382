//! `policy`: IAM documents with versions, and whom they are attached to.
//!
//! Not here: inline policies (`user put-policy`, `group put-policy`).

mod attach;
mod cases;
mod list;
mod simulate;
mod version;

use super::args::{tag, tags};
use super::confirm::confirm;
use super::input::{INPUT_BYTES_MAX, text_of};
use super::{Context, Done, Exit, ordered};
use crate::audit::rows::PolicyRow;
use crate::ledger::Command as Order;
use crate::model::text::excerpt;
use crate::model::{OrgUid, Tags};
use crate::policy::{Document, DocumentKind};
use clap::{Args, Subcommand};
use compact_str::CompactString;
use serde::Serialize;
use serde::de::IgnoredAny;

#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Make a policy from an IAM document
    #[command(after_help = "Example:  keyledger policy create read-logs --document read-logs.json")]
    Create(Create),
    /// Check a document without storing it
    Check(Check),
    /// Ask what policies say to a request, or to many
    Simulate(simulate::Simulate),
    /// List policies
    List(list::List),
    /// Show one: its document in force and whom it is attached to
    Show(list::Show),
    /// List the versions of a policy, or print one
    Versions(version::Versions),
    /// Add a version
    NewVersion(version::NewVersion),
    /// Put another version in force
    SetDefault(version::SetDefault),
    /// Delete a version that is not in force
    DeleteVersion(version::DeleteVersion),
    /// Attach to a user, a group or a key
    #[command(after_help = "Example:  keyledger policy attach read-logs --user alice")]
    Attach(attach::Attach),
    /// Detach from a user, a group or a key
    Detach(attach::Attach),
    /// Set tags
    Tag(Tag),
    /// Remove tags
    Untag(Untag),
    /// Delete a policy; --force detaches it from everybody first
    Delete(Delete),
}

#[derive(Debug, Args)]
pub struct Create {
    /// 1 to 128 of letters, digits and +=,.@_-
    name: String,
    /// A file, - for standard input, or the document itself
    #[arg(long, value_name = "FILE")]
    document: String,
    /// For instance /apps/
    #[arg(long, default_value = "/")]
    path: String,
    #[arg(long, default_value = "")]
    description: String,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(CompactString, CompactString)>,
}

#[derive(Debug, Args)]
pub struct Check {
    /// A file, - for standard input, or the document itself
    document: String,
}

#[derive(Debug, Args)]
pub struct Tag {
    name: String,
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(CompactString, CompactString)>,
}

#[derive(Debug, Args)]
pub struct Untag {
    name: String,
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Delete {
    name: String,
    /// Detach it from everybody and delete its other versions first
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Gone<'a> {
    policy_name: &'a str,
    deleted: bool,
}

#[derive(Serialize)]
struct Checked {
    valid: bool,
    statements: usize,
    characters: usize,
}

impl Policy {
    pub fn run(self, cx: &mut Context) -> Done {
        match self {
            Policy::Create(create) => {
                let document = text_of(cx.io.as_ref(), &create.document, INPUT_BYTES_MAX)?.into();
                let (name, path) = (CompactString::from(create.name.as_str()), create.path.as_str().into());
                let (description, tags) = (create.description.as_str().into(), tags(&create.tags));
                change(cx, &create.name, "created", |org| Order::CreatePolicy {
                    org,
                    name,
                    path,
                    description,
                    tags,
                    document,
                })
            }
            Policy::Check(check) => check.run(cx),
            Policy::Simulate(simulate) => simulate.run(cx),
            Policy::List(list) => list.run(cx),
            Policy::Show(show) => show.run(cx),
            Policy::Versions(versions) => versions.run(cx),
            Policy::NewVersion(version) => version.run(cx),
            Policy::SetDefault(version) => version.run(cx),
            Policy::DeleteVersion(version) => version.run(cx),
            Policy::Attach(attach) => attach.run(cx, true),
            Policy::Detach(attach) => attach.run(cx, false),
            Policy::Tag(Tag { name, tags: given }) => {
                let (policy, set) = (name.as_str().into(), tags(&given));
                change(cx, &name, "tagged", |org| Order::TagPolicy { org, policy, set, remove: Vec::new() })
            }
            Policy::Untag(Untag { name, keys }) => {
                let (policy, remove) = (name.as_str().into(), keys.iter().map(Into::into).collect());
                change(cx, &name, "untagged", |org| Order::TagPolicy { org, policy, set: Tags::new(), remove })
            }
            Policy::Delete(Delete { name, force }) => {
                confirm(cx.global.yes, "deleting policy", &name)?;
                let policy = name.as_str().into();
                let (wrote, _) = ordered(cx, |org| Order::DeletePolicy { org, policy, force }, |_| Ok(IgnoredAny))?;
                wrote.say(cx, "policy", &name, "deleted", &Gone { policy_name: &name, deleted: true })
            }
        }
    }
}

/// Executes what `order` makes of the org, and says how the policy is then.
fn change(cx: &mut Context, name: &str, what: &str, order: impl FnOnce(OrgUid) -> Order) -> Done {
    let (wrote, row) = ordered(cx, order, |view| Ok(PolicyRow::of(view, &*view.policy(name)?)))?;
    wrote.say(cx, "policy", name, what, &row)
}

impl Check {
    fn run(self, cx: &mut Context) -> Done {
        let text = text_of(cx.io.as_ref(), &self.document, INPUT_BYTES_MAX)?;
        match Document::parse(&text, DocumentKind::Managed) {
            Ok(document) => {
                let (statements, characters) = (document.statements().len(), document.size_non_blank());
                if cx.out.json {
                    cx.out.json(&Checked { valid: true, statements, characters })?;
                } else {
                    cx.out.line(format!("valid: {statements} statements, {characters} characters"))?;
                }
                Ok(Exit::Done)
            }
            Err(error) => Err(super::Failure::new(Exit::Refused, excerpt(&error.to_string(), 2_000))),
        }
    }
}
