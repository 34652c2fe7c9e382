//! The first start: an org and its root access key, so that a newcomer has something to sign with.
//!
//! Nothing else is ever made by starting. A start that was cut off between the two goes on with the second.
//!
//! Not here: making the ledger itself (`ledger::open`), printing (`cli::serve`).

use crate::ledger::{Command, CreateAccessKey, ExecuteError, ImportAccessKey, Ledger, Outcome};
use crate::model::{AccessKeyId, AccountId, Caller, Grant, GrantRole, KeyOwner, OrgOwner, OrgSettings};
use crate::state::State;
use crate::vault::{SecretKey, SecretSource};
use std::sync::Arc;

/// The root access key that whoever starts the server brings.
#[derive(Debug, Clone)]
pub struct Brought {
    pub id: AccessKeyId,
    pub secret: Arc<SecretKey>,
}

/// A root access key that was made just now.
#[derive(Debug)]
pub struct Root {
    pub account: AccountId,
    pub id: AccessKeyId,
    /// To be shown once; none of one that was brought.
    pub secret: Option<SecretKey>,
}

/// Makes the org `account` and its root access key in a ledger that has neither. `None`: it has.
///
/// # Errors
/// As [`Ledger::execute`].
pub fn first(
    ledger: &Ledger,
    caller: &Caller,
    account: AccountId,
    brought: Option<&Brought>,
) -> Result<Option<Root>, ExecuteError> {
    let state = ledger.state();
    let mut orgs = state.live_orgs();
    let org = match (orgs.next(), orgs.next()) {
        (None, _) => {
            let command = Command::CreateOrg {
                name: "main".into(),
                account: Some(account),
                owner: OrgOwner::Operator,
                settings: Box::new(OrgSettings::default()),
            };
            match ledger.execute_blocking(caller, command, None)?.outcome {
                Outcome::OrgCreated { org, account } => (org, account),
                _ => return Ok(None),
            }
        }
        // An org without any key ever: a start was cut off, or `init` made it.
        (Some(org), None) if state.key_count() == 0 => (org.org, org.account),
        _ => return Ok(None),
    };
    let key = CreateAccessKey {
        label: "root".into(),
        grants: vec![Grant { bucket: None, role: GrantRole::Admin }],
        ..CreateAccessKey::default()
    };
    let (org, account) = org;
    let command = match brought {
        Some(Brought { id, secret }) => {
            let key = ImportAccessKey { access_key_id: id.clone(), secret: Arc::clone(secret), key };
            Command::ImportKey { org, key: Box::new(key) }
        }
        None => Command::CreateKey { org, key: Box::new(key) },
    };
    match ledger.execute_blocking(caller, command, None)?.outcome {
        Outcome::KeyCreated(made) => Ok(Some(Root { account, id: made.access_key_id, secret: made.secret })),
        _ => Ok(None),
    }
}

/// Whether a root access key that is brought to a ledger that has its own is one of the org's, with that secret.
#[must_use]
pub fn is_known(state: &State, secrets: &SecretSource, brought: &Brought) -> bool {
    let Some(key) = state.key(brought.id.as_str()).filter(|key| key.owner == KeyOwner::Org) else { return false };
    key.secrets().filter(|secret| !secret.shredded).any(|version| {
        secrets.secret(key.uid(), version.version, &key.id).is_ok_and(|own| own.same_as(&brought.secret))
    })
}
