//! `clock`: after the machine's clock leapt forward, only an operator can say that it is right.

use super::confirm::confirm;
use super::{Context, Done};
use crate::ledger::Command as Order;
use clap::Subcommand;
use serde::Serialize;

#[derive(Debug, Subcommand)]
pub enum Clock {
    /// The clock is right: go on with it
    ///
    /// A leap of more than an hour, or of more than 30 days since the last commit, stops everything but suspend, revoke and
    /// flag: one bad reading must not expire every key for ever. Look at the machine's clock before you accept it.
    Accept,
}

#[derive(Serialize)]
struct Row {
    recorded_at: String,
}

impl Clock {
    pub fn run(self, cx: &mut Context) -> Done {
        let Clock::Accept = self;
        let now = cx.now().to_string();
        confirm(cx.global.yes, "accepting the clock at", &now)?;
        let writing = cx.writing()?;
        let wrote = writing.execute(Order::AcceptClock {})?;
        let row = Row { recorded_at: writing.state().recorded_at().to_string() };
        wrote.say(cx, "clock", &now, "accepted", &row)
    }
}
