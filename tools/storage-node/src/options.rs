//! The command line.
//!
//! Not here: what comes of it.

use clap::Parser;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// An S3 server over a folder, whose access keys are a keyledger's
#[derive(Debug, Clone, Parser)]
#[command(
    version,
    after_help = "Example:  storage-node --ledger ./keyledger-data --root ./objects --listen 127.0.0.1:9000"
)]
pub struct Options {
    /// The ledger's folder; made, with an org and a root key, when it is empty
    #[arg(long, value_name = "DIR", env = "KEYLEDGER_DIR", default_value = "./keyledger-data")]
    pub ledger: PathBuf,
    /// Where objects are kept: a folder a bucket
    #[arg(long, value_name = "DIR")]
    pub root: PathBuf,
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub listen: SocketAddr,
    /// Another process writes the ledger: follow it. Keys are then managed beside it (`keyledger key …`), and buckets too
    /// (`keyledger bucket register`) unless `--report-to` says where to register them
    #[arg(long)]
    pub follow: bool,
    /// The server of the ledger that is followed: it is told of buckets, uses and how far the node is, signed with a key that may do
    /// that alone (`keyledger:Report*`), from the AWS variables or profile
    #[arg(long, value_name = "URL", requires = "follow")]
    pub report_to: Option<String>,
    /// When the ledger could not be followed for a while: deny at once, or serve on for so long
    #[arg(long, value_name = "deny|serve:30s", default_value = "serve:30s", requires = "follow")]
    pub stale: Stale,
    /// Certificates in PEM, the server's first: serve TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// The regions that requests may be signed for; the first is the node's
    #[arg(long, value_name = "REGION", default_value = "us-east-1")]
    pub region: Vec<String>,
    /// Hosts before which a bucket's name may stand: `s3.example.com` serves `bucket.s3.example.com`
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Vec<String>,
    /// The ledger's vault key; `vault.key` in its folder
    #[arg(long, value_name = "FILE")]
    pub vault_key: Option<PathBuf>,
}

/// How long requests are decided by a state that is no longer being followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale(pub Duration);

/// Contact is proved every half second, so this is as soon as its loss is known.
const AT_ONCE: Duration = Duration::from_secs(2);

impl FromStr for Stale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = match text.strip_prefix("serve:").map(|time| time.strip_suffix('s').unwrap_or(time)) {
            None if text == "deny" => return Ok(Self(AT_ONCE)),
            Some(seconds) => seconds.parse().ok().filter(|seconds| (1..=86_400).contains(seconds)),
            None => None,
        };
        seconds
            .map(Duration::from_secs)
            .map(Self)
            .ok_or_else(|| "expected `deny` or `serve:30s` (1 to 86400 s)".to_owned())
    }
}
