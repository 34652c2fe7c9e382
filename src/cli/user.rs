//! `user`: identities, their role, groups and policies.
//!
//! Not here: their keys (`key`), attaching managed policies (`policy attach`).

use super::args::{AtArgs, tag, tags};
use super::confirm::confirm;
use super::input::{INPUT_BYTES_MAX, text_of};
use super::key::{none_found, row};
use super::print::{Cell, Out, Paint, Table, moment_or};
use super::view::{View, org_label};
use super::{Context, Done, Exit, ordered};
use crate::audit::rows::UserRow;
use crate::ledger::{Command as Order, Target};
use crate::model::{OrgUid, Role, Tags};
use crate::state::UserRecord;
use clap::{Args, Subcommand};
use compact_str::CompactString;
use serde::Serialize;
use serde::de::IgnoredAny;

#[derive(Debug, Subcommand)]
pub enum User {
    /// Make a user
    #[command(after_help = "Example:  keyledger user create alice --tag team=storage")]
    Create(Create),
    /// List users
    List(List),
    /// Show one: role, groups, policies, keys
    Show(Which),
    /// Give another name or path
    Update(Update),
    /// Set the role for management calls
    SetRole(SetRole),
    /// Set tags
    Tag(Tag),
    /// Remove tags
    Untag(Untag),
    /// Set or take away the permissions boundary
    Boundary(Boundary),
    /// Put an inline policy
    PutPolicy(PutPolicy),
    /// Delete an inline policy
    DeletePolicy(DeletePolicy),
    /// Delete a user that has no keys, policies or groups
    Delete(Delete),
}

#[derive(Debug, Args)]
pub struct Create {
    /// 1 to 64 of letters, digits and _+=,.@-
    name: String,
    /// For instance /apps/
    #[arg(long, default_value = "/")]
    path: String,
    /// Your own id for it
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// A tag; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(CompactString, CompactString)>,
    /// A policy that its rights never go beyond
    #[arg(long, value_name = "POLICY")]
    boundary: Option<String>,
}

#[derive(Debug, Args)]
pub struct List {
    /// Of every org, imported evidence included, and deleted ones too
    #[arg(long)]
    all: bool,
    /// Whose path begins so
    #[arg(long, value_name = "PATH")]
    path_prefix: Option<String>,
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
pub struct SetRole {
    name: String,
    /// Admin, Member or Auditor
    #[arg(value_parser = role_named)]
    role: Role,
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
pub struct Boundary {
    name: String,
    #[arg(required_unless_present = "none")]
    policy: Option<String>,
    /// Take it away
    #[arg(long, conflicts_with = "policy")]
    none: bool,
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

fn role_named(text: &str) -> Result<Role, String> {
    [Role::Admin, Role::Member, Role::Auditor]
        .into_iter()
        .find(|role| role.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| "expected Admin, Member or Auditor".to_owned())
}

impl User {
    pub fn run(self, cx: &mut Context) -> Done {
        match self {
            User::Create(create) => create.run(cx),
            User::List(list) => list.run(cx),
            User::Show(which) => {
                let reading = cx.reading_at(which.at.at.as_deref())?;
                let view = reading.org(cx.global.org.as_deref())?;
                let user = view.user(&which.name)?;
                show(&mut cx.out, &view, &user)
            }
            User::Update(update) => {
                let (name, path) = (update.new_name.as_deref().map(Into::into), update.path.as_deref().map(Into::into));
                let shown = update.new_name.clone().unwrap_or_else(|| update.name.clone());
                let user = update.name.as_str().into();
                change(cx, &shown, "changed", |org| Order::UpdateUser { org, user, name, path })
            }
            User::SetRole(SetRole { name, role }) => {
                let user = name.as_str().into();
                change(cx, &name, "changed", |org| Order::SetUserRole { org, user, role })
            }
            User::Tag(Tag { name, tags: given }) => {
                let (user, set) = (name.as_str().into(), tags(&given));
                change(cx, &name, "tagged", |org| Order::TagUser { org, user, set, remove: Vec::new() })
            }
            User::Untag(Untag { name, keys }) => {
                let (user, remove) = (name.as_str().into(), keys.iter().map(Into::into).collect());
                change(cx, &name, "untagged", |org| Order::TagUser { org, user, set: Tags::new(), remove })
            }
            User::Boundary(Boundary { name, policy, .. }) => {
                let (user, policy) = (name.as_str().into(), policy.map(Into::into));
                change(cx, &name, "changed", |org| Order::SetUserBoundary { org, user, policy })
            }
            User::PutPolicy(PutPolicy { name, policy, document }) => {
                let document = text_of(cx.io.as_ref(), &document, INPUT_BYTES_MAX)?.into();
                let holder = Target::User(name.as_str().into());
                let policy = policy.as_str().into();
                change(cx, &name, "changed", |org| Order::PutInlinePolicy { org, holder, name: policy, document })
            }
            User::DeletePolicy(DeletePolicy { name, policy }) => {
                let holder = Target::User(name.as_str().into());
                let policy = policy.as_str().into();
                change(cx, &name, "changed", |org| Order::DeleteInlinePolicy { org, holder, name: policy })
            }
            User::Delete(Delete { name }) => {
                confirm(cx.global.yes, "deleting user", &name)?;
                let user = name.as_str().into();
                let (wrote, _) = ordered(cx, |org| Order::DeleteUser { org, user }, |_| Ok(IgnoredAny))?;
                wrote.say(cx, "user", &name, "deleted", &Gone { user_name: &name, deleted: true })
            }
        }
    }
}

#[derive(Serialize)]
struct Gone<'a> {
    user_name: &'a str,
    deleted: bool,
}

/// Executes what `order` makes of the org, and says how the user is then.
fn change(cx: &mut Context, name: &str, what: &str, order: impl FnOnce(OrgUid) -> Order) -> Done {
    let (wrote, row) = ordered(cx, order, |view| Ok(UserRow::of(view, &*view.user(name)?)))?;
    wrote.say(cx, "user", name, what, &row)
}

impl Create {
    fn run(self, cx: &mut Context) -> Done {
        let name = self.name;
        let user = CompactString::from(name.as_str());
        let (path, tags) = (self.path.as_str().into(), tags(&self.tags));
        let (external_id, boundary) = (self.external_id.map(Into::into), self.boundary.map(Into::into));
        change(cx, &name, "created", |org| Order::CreateUser { org, name: user, path, external_id, tags, boundary })
    }
}

impl List {
    fn run(self, cx: &mut Context) -> Done {
        let reading = cx.reading_at(self.at.at.as_deref())?;
        let views = if self.all { reading.every_org() } else { vec![reading.org(cx.global.org.as_deref())?] };
        let mut table = Table::new(&["user", "path", "role", "created", "groups", "policies", "keys"]);
        let mut found = false;
        for view in &views {
            let mut users: Vec<_> = if self.all {
                view.state.all_users().filter(|user| user.org == view.org.org).collect()
            } else {
                view.state.users(view.org.org, None).collect()
            };
            users.sort_by(|a, b| a.name.cmp(&b.name));
            users.retain(|user| self.path_prefix.as_ref().is_none_or(|prefix| user.path.starts_with(prefix.as_str())));
            for user in users {
                found = true;
                let row = UserRow::of(view, user);
                if cx.out.json {
                    cx.out.json(&row)?;
                    continue;
                }
                let created = moment_or(user.created_at, "before the evidence");
                table.row(vec![
                    Cell::new(&row.user_name, if row.deleted_at.is_some() { Paint::Dim } else { Paint::Bold }),
                    Cell::from(&row.path),
                    Cell::from(&row.role),
                    Cell::from(if row.deleted_at.is_some() { format!("{created}, deleted") } else { created }),
                    Cell::from(row.groups.join(", ")),
                    Cell::from(
                        row.policies.iter().chain(row.inline_policies.keys()).cloned().collect::<Vec<_>>().join(", "),
                    ),
                    Cell::from(row.keys.join(", ")),
                ]);
            }
        }
        if !found {
            return none_found(&mut cx.out, "users");
        }
        cx.out.table(&table)?;
        Ok(Exit::Done)
    }
}

fn show(out: &mut Out, view: &View, user: &UserRecord) -> Done {
    let row = UserRow::of(view, user);
    if out.json {
        out.json(&row)?;
        return Ok(Exit::Done);
    }
    out.fields(&[
        ("user", Cell::new(&row.user_name, Paint::Bold)),
        ("id", Cell::from(&row.user_id)),
        ("org", Cell::from(org_label(&view.org))),
        ("path", Cell::from(&row.path)),
        ("role", Cell::from(&row.role)),
        ("created", Cell::from(moment_or(user.created_at, "before the evidence begins"))),
        ("deleted", Cell::new(row.deleted_at.as_deref().unwrap_or_default(), Paint::Bad)),
        ("external id", Cell::from(row.external_id.as_deref().unwrap_or_default())),
        ("tags", Cell::from(row::tags(&row.tags))),
        ("groups", Cell::from(row.groups.join(", "))),
        ("policies", Cell::from(row.policies.join(", "))),
        ("boundary", Cell::from(row.permissions_boundary.as_deref().unwrap_or_default())),
    ])?;
    for (name, document) in &row.inline_policies {
        out.line(format!("inline policy {name}: {document}"))?;
    }
    for key in &row.keys {
        if let Some(key) = view.key(key) {
            let status = view.status(&key).as_str();
            let used = row::last_used(key.more().last_used.as_ref());
            out.line(format!("key {} {status}, last used {used}", key.id))?;
        }
    }
    Ok(Exit::Done)
}
