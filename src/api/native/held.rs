//! Policies that a user, a group or an access key holds: attached ones, and inline documents. Whose they are stands in the path.
//!
//! Not here: the policies themselves (`policies`), and what is answered (`users`, `groups`, `keys`).

use super::body::DocumentBody;
use super::call::Call;
use super::problem::Problem;
use crate::ledger::{Command, Target};

/// Whoever stands in the path.
fn holder(call: &Call<'_>) -> Result<Target, Problem> {
    Ok(match (call.name("user"), call.name("group")) {
        ("", "") => Target::Key(call.key_id()?),
        ("", group) => Target::Group(group.into()),
        (user, _) => Target::User(user.into()),
    })
}

pub fn attach(call: &Call<'_>) -> Result<Command, Problem> {
    Ok(Command::AttachPolicy { org: call.org_uid(), policy: call.name("policy").into(), to: holder(call)? })
}

pub fn detach(call: &Call<'_>) -> Result<Command, Problem> {
    Ok(Command::DetachPolicy { org: call.org_uid(), policy: call.name("policy").into(), from: holder(call)? })
}

pub fn put_inline(call: &Call<'_>) -> Result<Command, Problem> {
    let document = call.body::<DocumentBody>()?.document.into();
    let (org, holder, name) = (call.org_uid(), holder(call)?, call.name("policy").into());
    Ok(Command::PutInlinePolicy { org, holder, name, document })
}

pub fn delete_inline(call: &Call<'_>) -> Result<Command, Problem> {
    let (org, holder, name) = (call.org_uid(), holder(call)?, call.name("policy").into());
    Ok(Command::DeleteInlinePolicy { org, holder, name })
}
