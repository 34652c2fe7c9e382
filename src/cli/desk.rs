//! Where changes are made: in the ledger's folder by this process, or by a server (`--endpoint`). Commands say the same either way.
//!
//! Not here: opening the ledger (`writing`), speaking to a server (`remote`).

use super::context::Context;
use super::exit::Failure;
use super::remote::Remote;
use super::view::View;
use super::writing::{Writing, Wrote};
use crate::audit::rows::KeyDetail;
use crate::ledger::Command;
use crate::model::{AccessKeyId, OrgUid};
use serde::de::DeserializeOwned;

/// The org that a command names when a server knows better.
const ITS_OWN: OrgUid = OrgUid([0; 16]);

#[derive(Debug)]
pub enum Desk {
    Here(Box<Writing>),
    There(Box<Remote>),
}

impl Desk {
    /// # Errors
    /// As [`Writing::open`] and [`Remote::open`].
    pub fn open(cx: &mut Context) -> Result<Self, Failure> {
        match cx.endpoint() {
            Some(endpoint) => Ok(Desk::There(Box::new(Remote::open(cx, &endpoint)?))),
            None => Ok(Desk::Here(Box::new(Writing::open(cx)?))),
        }
    }

    /// The live org that `asked` names, or the only one.
    pub fn org(&self, asked: Option<&str>) -> Result<OrgUid, Failure> {
        match self {
            Desk::Here(writing) => Ok(writing.org(asked)?.org),
            Desk::There(_) => Ok(ITS_OWN),
        }
    }

    /// Executes one command: durable when this returns.
    ///
    /// # Errors
    /// Exit 4 when a rule said no, 6 when it is unknown what became of it.
    pub fn execute(&self, command: Command) -> Result<Wrote, Failure> {
        match self {
            Desk::Here(writing) => writing.execute(command),
            Desk::There(remote) => remote.execute(&command),
        }
    }

    /// What a command was about as it is now: `here` says how in the ledger's folder, a server said it in its answer.
    pub fn row<R: DeserializeOwned>(
        &self,
        wrote: &Wrote,
        here: impl FnOnce(&Writing) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        match self {
            Desk::Here(writing) => here(writing),
            Desk::There(_) => wrote.told(),
        }
    }
}

/// Executes what `order` makes of the org that is meant, and tells its target as `here` reads it.
pub fn ordered<R: DeserializeOwned>(
    cx: &mut Context,
    order: impl FnOnce(OrgUid) -> Command,
    here: impl FnOnce(&View) -> Result<R, Failure>,
) -> Result<(Wrote, R), Failure> {
    let desk = Desk::open(cx)?;
    let org = desk.org(cx.global.org.as_deref())?;
    let wrote = desk.execute(order(org))?;
    let row = desk.row(&wrote, |writing| {
        let state = writing.state();
        let gone = || Failure::nothing("the org is not there any more");
        here(&View::of(&state, state.org(org).ok_or_else(gone)?, writing.now()))
    })?;
    Ok((wrote, row))
}

/// Executes what `order` makes of a key's org, and tells the key: the one that was made, where one was.
pub fn ordered_key(
    cx: &mut Context,
    id: &AccessKeyId,
    order: impl FnOnce(OrgUid) -> Command,
) -> Result<(Wrote, KeyDetail), Failure> {
    let desk = Desk::open(cx)?;
    let named = match &desk {
        Desk::Here(writing) => writing.state().key(id.as_str()).map(|key| key.org),
        Desk::There(_) => None,
    };
    // Of an unknown key the ledger says so, whichever org is meant.
    let org = named.or_else(|| desk.org(cx.global.org.as_deref()).ok()).unwrap_or(ITS_OWN);
    let wrote = desk.execute(order(org))?;
    let made = wrote.key_made().unwrap_or(id.as_str()).to_owned();
    let row = desk.row(&wrote, |writing| key_here(writing, &made))?;
    Ok((wrote, row))
}

/// A live key in the ledger's folder.
pub fn key_here(writing: &Writing, id: &str) -> Result<KeyDetail, Failure> {
    let state = writing.state();
    let gone = || Failure::nothing(format!("there is no key `{id}` here"));
    let key = state.key(id).ok_or_else(gone)?;
    let org = state.org(key.org).ok_or_else(gone)?;
    Ok(KeyDetail::of(&View::of(&state, org, writing.now()), &key))
}
