//! Every command that changes one key.
//!
//! Those that stop a leak (suspend, revoke, flag) ask nothing; delete destroys the secret, so it asks.

use super::create::{moment, show_once};
use crate::cli::args::{grant, span, tag, tags, version};
use crate::cli::confirm::confirm;
use crate::cli::{Context, Done, ordered_key};
use crate::ledger::{Command as Order, Target};
use crate::model::{AccessKeyId, Grant, Tags};
use clap::{ArgAction, Args};
use compact_str::CompactString;

#[derive(Debug, Args)]
pub struct Which {
    /// The access key id
    #[arg(value_parser = id)]
    id: AccessKeyId,
}

#[derive(Debug, Args)]
pub struct Label {
    #[command(flatten)]
    key: Which,
    /// At most 256 characters
    label: String,
}

#[derive(Debug, Args)]
pub struct Describe {
    #[command(flatten)]
    key: Which,
    /// At most 1000 characters
    description: String,
}

#[derive(Debug, Args)]
pub struct Tag {
    #[command(flatten)]
    key: Which,
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(CompactString, CompactString)>,
}

#[derive(Debug, Args)]
pub struct Untag {
    #[command(flatten)]
    key: Which,
    #[arg(required = true, value_name = "KEY")]
    tags: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Grants {
    #[command(flatten)]
    key: Which,
    /// BUCKET=ROLE or *=ROLE; they replace those it has
    #[arg(value_name = "BUCKET=ROLE", value_parser = grant, required_unless_present = "none")]
    all: Vec<Grant>,
    /// Take all away
    #[arg(long, conflicts_with = "all")]
    none: bool,
}

#[derive(Debug, Args)]
pub struct Attach {
    #[command(flatten)]
    key: Which,
    /// The name, or an ARN
    policy: String,
}

#[derive(Debug, Args)]
pub struct DefaultAllow {
    #[command(flatten)]
    key: Which,
    /// yes or no
    #[arg(value_name = "YES|NO", value_parser = yes_or_no, action = ArgAction::Set)]
    allow: bool,
}

#[derive(Debug, Args)]
pub struct Expire {
    #[command(flatten)]
    key: Which,
    #[command(flatten)]
    end: End,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct End {
    /// At this moment, as RFC 3339
    #[arg(long, value_name = "WHEN")]
    at: Option<String>,
    /// So long from now: 90d, 12h
    #[arg(long = "in", value_name = "SPAN", value_parser = span)]
    after: Option<i64>,
    /// Never
    #[arg(long)]
    never: bool,
}

#[derive(Debug, Args)]
pub struct Rotate {
    #[command(flatten)]
    key: Which,
    /// Keep the id and give it a second secret
    #[arg(long)]
    in_place: bool,
    /// How long the old one goes on: 24h, 0s for not at all [default: 24h]
    #[arg(long, value_name = "SPAN", value_parser = grace)]
    grace: Option<i64>,
    /// When the successor ends [default: as the old key]
    #[arg(long, value_name = "WHEN", conflicts_with = "in_place")]
    expires_at: Option<String>,
}

#[derive(Debug, Args)]
pub struct Retire {
    #[command(flatten)]
    key: Which,
    /// Which secret, for instance v1 [default: the older one]
    #[arg(long, value_parser = version)]
    version: Option<u32>,
}

#[derive(Debug, Args)]
pub struct FlagArgs {
    #[command(flatten)]
    key: Which,
    /// Deny everything but reading
    #[arg(long)]
    quarantine: bool,
    /// Why, for whoever looks at it later
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
}

fn id(text: &str) -> Result<AccessKeyId, String> {
    AccessKeyId::parse(text).map_err(|error| error.to_string())
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("expected yes or no".to_owned()),
    }
}

fn grace(text: &str) -> Result<i64, String> {
    crate::model::time::duration_ns(text).ok_or_else(|| "expected a length of time such as 24h or 0s".to_owned())
}

/// Executes `order` and says how the key is then.
fn change(cx: &mut Context, id: &AccessKeyId, what: &str, order: Order) -> Done {
    let (wrote, key) = ordered_key(cx, id, |_| order)?;
    wrote.say(cx, "key", id.as_str(), what, &key.row)
}

impl Which {
    pub fn suspend(self, cx: &mut Context) -> Done {
        change(cx, &self.id, "suspended", Order::SuspendKey { key: self.id.clone() })
    }

    pub fn resume(self, cx: &mut Context) -> Done {
        change(cx, &self.id, "resumed", Order::ResumeKey { key: self.id.clone() })
    }

    pub fn revoke(self, cx: &mut Context) -> Done {
        change(cx, &self.id, "revoked", Order::RevokeKey { key: self.id.clone() })
    }

    pub fn delete(self, cx: &mut Context) -> Done {
        confirm(cx.global.yes, "deleting key", self.id.as_str())?;
        change(cx, &self.id, "deleted", Order::DeleteKey { key: self.id.clone() })
    }

    pub fn clear(self, cx: &mut Context) -> Done {
        change(cx, &self.id, "cleared", Order::ClearKey { key: self.id.clone() })
    }
}

impl Label {
    pub fn run(self, cx: &mut Context) -> Done {
        let (key, label) = (self.key.id.clone(), self.label.as_str().into());
        change(cx, &self.key.id, "labelled", Order::LabelKey { key, label })
    }
}

impl Describe {
    pub fn run(self, cx: &mut Context) -> Done {
        let (key, description) = (self.key.id.clone(), self.description.as_str().into());
        change(cx, &self.key.id, "described", Order::DescribeKey { key, description })
    }
}

impl Tag {
    pub fn run(self, cx: &mut Context) -> Done {
        let (key, set) = (self.key.id.clone(), tags(&self.tags));
        change(cx, &self.key.id, "tagged", Order::TagKey { key, set, remove: Vec::new() })
    }
}

impl Untag {
    pub fn run(self, cx: &mut Context) -> Done {
        let (key, remove) = (self.key.id.clone(), self.tags.iter().map(Into::into).collect());
        change(cx, &self.key.id, "untagged", Order::TagKey { key, set: Tags::new(), remove })
    }
}

impl Grants {
    pub fn run(self, cx: &mut Context) -> Done {
        let key = self.key.id.clone();
        change(cx, &self.key.id, "granted", Order::SetKeyGrants { key, grants: self.all })
    }
}

impl Attach {
    pub fn run(self, cx: &mut Context, attach: bool) -> Done {
        let id = self.key.id;
        let (policy, target) = (self.policy.as_str().into(), Target::Key(id.clone()));
        let order = |org| {
            if attach {
                Order::AttachPolicy { org, policy, to: target }
            } else {
                Order::DetachPolicy { org, policy, from: target }
            }
        };
        let (wrote, key) = ordered_key(cx, &id, order)?;
        wrote.say(cx, "key", id.as_str(), "changed", &key.row)
    }
}

impl DefaultAllow {
    pub fn run(self, cx: &mut Context) -> Done {
        let key = self.key.id.clone();
        change(cx, &self.key.id, "changed", Order::SetKeyDefaultAllow { key, default_allow: self.allow })
    }
}

impl Expire {
    pub fn run(self, cx: &mut Context) -> Done {
        let now = cx.now();
        let expires_at = match (&self.end.at, self.end.after) {
            (Some(text), _) => Some(moment(text, now)?),
            (None, Some(ns)) => Some(now.plus_ns(ns)),
            (None, None) => None,
        };
        let key = self.key.id.clone();
        change(cx, &self.key.id, "changed", Order::SetKeyExpiry { key, expires_at })
    }
}

impl Rotate {
    pub fn run(self, cx: &mut Context) -> Done {
        let key = self.key.id.clone();
        let expires_at = self.expires_at.as_deref().map(|text| moment(text, cx.now())).transpose()?;
        let order = if self.in_place {
            Order::RotateSecret { key, grace_ns: self.grace }
        } else {
            Order::RotateKey { key, grace_ns: self.grace, expires_at }
        };
        // By pair, what was made is the successor.
        let (mut wrote, key) = ordered_key(cx, &self.key.id, |_| order)?;
        show_once(cx, &key, &mut wrote)
    }
}

impl Retire {
    pub fn run(self, cx: &mut Context) -> Done {
        let (key, version) = (self.key.id.clone(), self.version);
        change(cx, &self.key.id, "changed", Order::RetireSecret { key, version })
    }
}

impl FlagArgs {
    pub fn run(self, cx: &mut Context) -> Done {
        let (key, note) = (self.key.id.clone(), self.note.as_str().into());
        change(cx, &self.key.id, "flagged", Order::FlagKey { key, quarantine: self.quarantine, note })
    }
}
