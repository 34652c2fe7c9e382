//! AWS IAM: the Query protocol.
use super::super::{Api, Fault, Incoming, Reply, reply};
/// Reports.
#[derive(Debug, Default)]
pub struct Kept;
pub async fn answer(_: &Api, _: &Incoming) -> Reply {
    reply(400, "text/xml", "")
}
pub fn fault(fault: Fault, _: &str) -> Reply {
    reply(fault.status(), "text/xml", "")
}
