//! What is answered for dialects that this build has not, each in the shape its clients read.
//!
//! Not here: any of them.

use super::super::{Fault, Incoming, Reply, reply};
use serde_json::json;

/// JSON 1.1 of AWS (CloudTrail).
pub fn json_rpc(_: &Incoming) -> Reply {
    let body = json!({ "__type": "UnknownOperationException", "message": "This operation is not offered here." });
    reply(400, "application/x-amz-json-1.1", body.to_string())
}

/// A path that nobody has.
pub fn page(_: &Incoming) -> Reply {
    reply(404, "text/plain; charset=utf-8", "not found\n")
}

pub fn text_fault(fault: Fault) -> Reply {
    reply(fault.status(), "text/plain; charset=utf-8", format!("{}\n", fault.message()))
}
