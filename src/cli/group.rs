//! `group`: users together, with policies that all of them have.
//!
//! Not here: attaching managed policies (`policy attach`).

use super::args::AtArgs;
use super::confirm::confirm;
use super::input::{INPUT_BYTES_MAX, text_of};
use super::key::none_found;
use super::print::{Cell, Paint, Table, moment_or};
use super::view::View;
use super::{Context, Done, Exit, ordered};
use crate::audit::rows::GroupRow;
use crate::ledger::{Command as Order, Target};
use crate::model::OrgUid;
use crate::state::GroupRecord;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde::de::IgnoredAny;

#[derive(Debug, Subcommand)]
pub enum Group {
    /// Make a group
    #[command(after_help = "Example:  keyledger group create auditors")]
    Create(Create),
    /// List groups
    List(List),
    /// Show one: members and policies
    Show(Which),
    /// Give another name or path
    Update(Update),
    /// Put a user into the group
    AddMember(Member),
    /// Take a user out of the group
    RemoveMember(Member),
    /// Put an inline policy
    PutPolicy(PutPolicy),
    /// Delete an inline policy
    DeletePolicy(DeletePolicy),
    /// Delete a group that has no members or policies
    Delete(Delete),
}

#[derive(Debug, Args)]
pub struct Create {
    /// 1 to 128 of letters, digits and _+=,.@-
    name: String,
    /// For instance /apps/
    #[arg(long, default_value = "/")]
    path: String,
}

#[derive(Debug, Args)]
pub struct List {
    /// Of every org, imported evidence included
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    at: AtArgs,
}

#[derive(Debug, Args)]
pub struct Which {
    name: String,
    #[command(flatten)]
    at: AtArgs,
}

#[derive(Debug, Args)]
pub struct Update {
    name: String,
    /// The new name
    #[arg(long = "name", value_name = "NAME", required_unless_present = "path")]
    new_name: Option<String>,
    /// The new path
    #[arg(long)]
    path: Option<String>,
}

#[derive(Debug, Args)]
pub struct Member {
    group: String,
    user: String,
}

#[derive(Debug, Args)]
pub struct PutPolicy {
    name: String,
    policy: String,
    /// A file, - for standard input, or the document itself
    #[arg(long, value_name = "FILE")]
    document: String,
}

#[derive(Debug, Args)]
pub struct DeletePolicy {
    name: String,
    policy: String,
}

#[derive(Debug, Args)]
pub struct Delete {
    name: String,
}

#[derive(Serialize)]
struct Gone<'a> {
    group_name: &'a str,
    deleted: bool,
}

impl Group {
    pub fn run(self, cx: &mut Context) -> Done {
        match self {
            Group::Create(Create { name, path }) => {
                let (group, path) = (name.as_str().into(), path.as_str().into());
                change(cx, &name, "created", |org| Order::CreateGroup { org, name: group, path })
            }
            Group::List(list) => list.run(cx),
            Group::Show(which) => {
                let reading = cx.reading_at(which.at.at.as_deref())?;
                let view = reading.org(cx.global.org.as_deref())?;
                let group = view.group(&which.name)?;
                show(cx, &view, &group)
            }
            Group::Update(Update { name, new_name, path }) => {
                let shown = new_name.clone().unwrap_or_else(|| name.clone());
                let (group, new_name, path) = (name.as_str().into(), new_name.map(Into::into), path.map(Into::into));
                change(cx, &shown, "changed", |org| Order::UpdateGroup { org, group, name: new_name, path })
            }
            Group::AddMember(Member { group, user }) => {
                let (name, user) = (group.as_str().into(), user.as_str().into());
                change(cx, &group, "changed", |org| Order::AddGroupMember { org, group: name, user })
            }
            Group::RemoveMember(Member { group, user }) => {
                let (name, user) = (group.as_str().into(), user.as_str().into());
                change(cx, &group, "changed", |org| Order::RemoveGroupMember { org, group: name, user })
            }
            Group::PutPolicy(PutPolicy { name, policy, document }) => {
                let document = text_of(cx.io.as_ref(), &document, INPUT_BYTES_MAX)?.into();
                let (holder, policy) = (Target::Group(name.as_str().into()), policy.as_str().into());
                change(cx, &name, "changed", |org| Order::PutInlinePolicy { org, holder, name: policy, document })
            }
            Group::DeletePolicy(DeletePolicy { name, policy }) => {
                let (holder, policy) = (Target::Group(name.as_str().into()), policy.as_str().into());
                change(cx, &name, "changed", |org| Order::DeleteInlinePolicy { org, holder, name: policy })
            }
            Group::Delete(Delete { name }) => {
                confirm(cx.global.yes, "deleting group", &name)?;
                let group = name.as_str().into();
                let (wrote, _) = ordered(cx, |org| Order::DeleteGroup { org, group }, |_| Ok(IgnoredAny))?;
                wrote.say(cx, "group", &name, "deleted", &Gone { group_name: &name, deleted: true })
            }
        }
    }
}

/// Executes what `order` makes of the org, and says how the group is then.
fn change(cx: &mut Context, name: &str, what: &str, order: impl FnOnce(OrgUid) -> Order) -> Done {
    let (wrote, row) = ordered(cx, order, |view| Ok(GroupRow::of(view, &*view.group(name)?)))?;
    wrote.say(cx, "group", name, what, &row)
}

impl List {
    fn run(self, cx: &mut Context) -> Done {
        let reading = cx.reading_at(self.at.at.as_deref())?;
        let views = if self.all { reading.every_org() } else { vec![reading.org(cx.global.org.as_deref())?] };
        let mut table = Table::new(&["group", "path", "created", "members", "policies"]);
        let mut found = false;
        for view in &views {
            for group in view.state.groups(view.org.org, None) {
                found = true;
                let row = GroupRow::of(view, group);
                if cx.out.json {
                    cx.out.json(&row)?;
                    continue;
                }
                table.row(vec![
                    Cell::new(&row.group_name, Paint::Bold),
                    Cell::from(&row.path),
                    Cell::from(moment_or(group.created_at, "before the evidence")),
                    Cell::from(row.members.join(", ")),
                    Cell::from(
                        row.policies.iter().chain(row.inline_policies.keys()).cloned().collect::<Vec<_>>().join(", "),
                    ),
                ]);
            }
        }
        if !found {
            return none_found(&mut cx.out, "groups");
        }
        cx.out.table(&table)?;
        Ok(Exit::Done)
    }
}

fn show(cx: &mut Context, view: &View, group: &GroupRecord) -> Done {
    let row = GroupRow::of(view, group);
    if cx.out.json {
        cx.out.json(&row)?;
        return Ok(Exit::Done);
    }
    cx.out.fields(&[
        ("group", Cell::new(&row.group_name, Paint::Bold)),
        ("id", Cell::from(&row.group_id)),
        ("path", Cell::from(&row.path)),
        ("created", Cell::from(moment_or(group.created_at, "before the evidence begins"))),
        ("members", Cell::from(row.members.join(", "))),
        ("policies", Cell::from(row.policies.join(", "))),
    ])?;
    for (name, document) in &row.inline_policies {
        cx.out.line(format!("inline policy {name}: {document}"))?;
    }
    Ok(Exit::Done)
}
