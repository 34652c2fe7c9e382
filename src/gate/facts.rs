//! What a request brings that policies ask for, kept as long as the request lasts.
//!
//! Not here: what is answered for which key (`context`).

use compact_str::CompactString;
use std::net::IpAddr;

/// What of a request outlives its bytes.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub source_ip: IpAddr,
    pub user_agent: Option<CompactString>,
}
