//! What is answered for paths that nobody has.
//!
//! Not here: any dialect.

use super::super::{Fault, Incoming, Reply, reply};

/// A path that nobody has.
pub fn page(_: &Incoming) -> Reply {
    reply(404, "text/plain; charset=utf-8", "not found\n")
}

pub fn text_fault(fault: Fault) -> Reply {
    reply(fault.status(), "text/plain; charset=utf-8", format!("{}\n", fault.message()))
}
