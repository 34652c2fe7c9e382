//! `repair`: going on with a log whose end cannot be vouched for.
//!
//! A human act: what was acknowledged and is missing stays missing, and the log says that somebody accepted it.
//!
//! Not here: torn tails, which every open cuts by itself, and damage inside the log, which no repair undoes.

use super::confirm::confirm;
use super::writing::Writing;
use super::{Context, Done};
use clap::Args;
use serde::Serialize;

#[derive(Debug, Args)]
pub struct Repair {
    /// Go on with the log as far as it can be read, and give up what was acknowledged behind that
    #[arg(long, required = true)]
    accept_tail: bool,
}

#[derive(Serialize)]
struct Row {
    ledger: String,
    last_seq: u64,
}

impl Repair {
    pub fn run(self, cx: &mut Context) -> Done {
        // The flag is there so that the command says what it does; clap insists on it.
        let Repair { accept_tail: _ } = self;
        let dir = cx.dir();
        let name = dir.display().to_string();
        confirm(cx.global.yes, "giving up the end of", &name)?;
        let note = cx.global.reason.clone().unwrap_or_else(|| "accepted by keyledger repair".to_owned());
        let writing = Writing::open_accepting_tail(cx, &dir, &note)?;
        let row = Row { ledger: name.clone(), last_seq: writing.state().seq().0 };
        writing.close()?;
        if cx.out.json {
            cx.out.json(&row)?;
        } else {
            cx.out.line(format!("the log goes on after seq {}; what was cut lies in quarantine/", row.last_seq))?;
        }
        Ok(super::Exit::Done)
    }
}
