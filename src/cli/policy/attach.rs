//! `policy attach` and `policy detach`.

use crate::cli::view::View;
use crate::cli::{Context, Done, ordered};
use crate::ledger::{Command as Order, Target};
use crate::model::AccessKeyId;
use clap::Args;
use serde::{Deserialize, Serialize};

#[derive(Debug, Args)]
pub struct Attach {
    /// The name, or an ARN such as arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess
    policy: String,
    #[command(flatten)]
    holder: HolderArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct HolderArgs {
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    #[arg(long, value_name = "ID")]
    key: Option<String>,
}

#[derive(Serialize)]
struct AttachedRow<'a> {
    policy: &'a str,
    user: Option<&'a str>,
    group: Option<&'a str>,
    key: Option<&'a str>,
    attached: bool,
    account_id: String,
}

/// Of a holder's row: whose it is.
#[derive(Deserialize)]
struct Account {
    account_id: String,
}

impl Attach {
    pub fn run(self, cx: &mut Context, attach: bool) -> Done {
        let HolderArgs { user, group, key } = &self.holder;
        let (target, name) = match (user, group, key) {
            (Some(user), ..) => (Target::User(user.as_str().into()), user),
            (_, Some(group), _) => (Target::Group(group.as_str().into()), group),
            (_, _, Some(key)) => (Target::Key(AccessKeyId::parse(key)?), key),
            _ => return Err(crate::cli::Failure::usage("name one of --user, --group and --key")),
        };
        let policy = self.policy.as_str().into();
        let what = if attach { format!("attached to {name}") } else { format!("detached from {name}") };
        let order = |org| {
            if attach {
                Order::AttachPolicy { org, policy, to: target }
            } else {
                Order::DetachPolicy { org, policy, from: target }
            }
        };
        let here = |view: &View| Ok(Account { account_id: view.org.account.to_string() });
        let (wrote, Account { account_id }) = ordered(cx, order, here)?;
        let row = AttachedRow {
            policy: &self.policy,
            user: user.as_deref(),
            group: group.as_deref(),
            key: key.as_deref(),
            attached: attach,
            account_id,
        };
        wrote.say(cx, "policy", &self.policy, &what, &row)
    }
}
