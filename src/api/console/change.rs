//! What may be done with a key that is there.
//!
//! Not here: whether it may (`ledger::decide`).

use super::form::Form;
use super::page;
use super::refused::Refused;
use super::{Call, once};
use crate::api::Reply;
use crate::ledger::{Command, Outcome};

const HOUR_NS: i64 = 3_600_000_000_000;

/// # Errors
/// 404 for a key of somebody else, 400, and what the ledger refuses.
pub async fn post(call: &Call<'_>, id: &str, act: &str, form: &Form) -> Result<Reply, Refused> {
    let key = call.visitor.key(id)?;
    let key = key.id;
    let grace_ns = || form.text("grace_hours").parse().ok().map(|hours: i64| hours.saturating_mul(HOUR_NS));
    let (command, done) = match act {
        "revoke" => (Command::RevokeKey { key: key.clone() }, "revoked"),
        "suspend" => (Command::SuspendKey { key: key.clone() }, "suspended"),
        "resume" => (Command::ResumeKey { key: key.clone() }, "resumed"),
        "retire" => (Command::RetireSecret { key: key.clone(), version: None }, "retired"),
        "label" => {
            let label = form.text("label").into();
            (Command::LabelKey { key: key.clone(), label }, "labelled")
        }
        "flag" => {
            let (quarantine, note) = (form.text("quarantine") == "yes", form.text("note").into());
            (Command::FlagKey { key: key.clone(), quarantine, note }, "flagged")
        }
        "clear" => (Command::ClearKey { key: key.clone() }, "cleared"),
        "delete" => {
            if form.text("confirm") != key.as_str() {
                return Err(Refused::input("The key was not deleted: what was typed is not its id."));
            }
            (Command::DeleteKey { key: key.clone() }, "deleted")
        }
        "rotate" => {
            let command = Command::RotateKey { key, grace_ns: grace_ns(), expires_at: None };
            return rotated(call, command, form).await;
        }
        "rotate-secret" => return rotated(call, Command::RotateSecret { key, grace_ns: grace_ns() }, form).await,
        _ => return Err(Refused::missing()),
    };
    call.visitor.execute(call.api, command, None).await?;
    let to = match done {
        "deleted" => "/console/keys?done=deleted".to_owned(),
        done => format!("/console/keys/{key}?done={done}"),
    };
    Ok(page::go(&to))
}

/// By pair or in place: either way there is a new secret.
async fn rotated(call: &Call<'_>, command: Command, form: &Form) -> Result<Reply, Refused> {
    let done = call.visitor.execute(call.api, command, Some(form.text("token"))).await?;
    match &done.outcome {
        Outcome::KeyRotated { new, .. } => Ok(once::page(call, new, "A new key takes over")),
        Outcome::SecretRotated { key, secret, .. } => {
            let key = call.visitor.state.key_by_uid(*key).ok_or_else(Refused::missing)?;
            Ok(once::shown(call, &key.id, secret.as_ref(), "A new secret for the key"))
        }
        _ => Err(Refused::missing()),
    }
}
