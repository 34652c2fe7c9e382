//! Amazon Lightsail.
use super::super::{Api, Fault, Incoming, Reply, reply};
pub async fn answer(_: &Api, _: &Incoming) -> Reply {
    reply(400, "application/x-amz-json-1.1", "")
}
pub fn fault(fault: Fault) -> Reply {
    reply(fault.status(), "application/x-amz-json-1.1", "")
}
