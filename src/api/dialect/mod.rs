//! One file or folder a dialect: bytes → command or question, outcome → bytes, and its error codes.
//!
//! Not here: rules, and which dialect owns a request (`route`).

pub mod aws_iam;
pub mod cloudtrail;
pub mod json_rpc;
pub mod lightsail;
pub(super) mod missing;
pub mod partner;
pub mod tigris_iam;
