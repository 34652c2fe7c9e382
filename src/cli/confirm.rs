//! Confirmation of what cannot be undone: typing the name again, or `--yes`.
//!
//! Not here: which commands ask. Those that stop a leak (suspend, revoke, flag) never do.

use super::exit::Failure;
use crate::model::text::Shown;
use std::io::{self, BufRead, IsTerminal, Write};

/// Longest answer read.
const ANSWER_BYTES_MAX: u64 = 1 << 10;

/// Asks to type `name` again before `what` is done to it.
///
/// # Errors
/// A usage failure when the answer is another one, or when there is nobody to ask and `yes` was not given.
pub fn confirm(yes: bool, what: &str, name: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        let text = format!("{what} `{}` cannot be undone; say --yes to go on without a question", Shown(name));
        return Err(Failure::usage(text));
    }
    eprint!("{what} `{0}` cannot be undone. Type `{0}` to go on: ", Shown(name));
    let _ = io::stderr().flush();
    let mut answer = String::new();
    let mut line = io::Read::take(stdin.lock(), ANSWER_BYTES_MAX);
    line.read_line(&mut answer).map_err(|error| Failure::usage(format!("no answer could be read: {error}")))?;
    if answer.trim() == name { Ok(()) } else { Err(Failure::usage("the answer was another one; nothing was done")) }
}
