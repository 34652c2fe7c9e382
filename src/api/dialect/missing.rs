//! What is answered for dialects that this build has not, each in the shape its clients read.
//!
//! Not here: any of them.

use super::super::{Fault, Incoming, Reply, reply};
use serde_json::json;

const JSON: &str = "application/json";

/// Native API.
pub fn problem(_: &Incoming) -> Reply {
    let body = json!({ "type": "about:blank", "title": "Not Found", "status": 404 });
    reply(404, "application/problem+json", body.to_string())
}

/// A path that nobody has.
pub fn page(_: &Incoming) -> Reply {
    reply(404, "text/plain; charset=utf-8", "not found\n")
}

pub fn json_fault(fault: Fault) -> Reply {
    reply(fault.status(), JSON, json!({ "message": fault.message() }).to_string())
}

pub fn text_fault(fault: Fault) -> Reply {
    reply(fault.status(), "text/plain; charset=utf-8", format!("{}\n", fault.message()))
}
