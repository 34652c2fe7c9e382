//! A storage node: an S3 server over a folder of files (`s3s`, `s3s-fs`), with the gate in front of it.
//!
//! ```text
//!   TCP, TLS ──server──▶ front ──▶ s3s ──▶ files ──▶ s3s-fs
//!                          │
//!                        keys: a ledger of its own (the writer), this process's, or another process's, followed
//! ```
//!
//! Not here: who may do what (`gate`), which requests `s3s` sees (`front`).

mod files;
mod keys;
mod report;
mod server;
mod usage;

pub use keys::Keys;
pub use report::{ReportTo, Reporter};
pub use server::{Node, told_to_stop};
pub use usage::{flush_all, flush_often};

use crate::api::Tls;
use crate::front::{Front, FrontOptions, OBJECT_BYTES_MAX};
use crate::gate::{Gate, GateOptions};
use crate::ledger::{Dice as _, OsDice};
use crate::sys::{Io, OpenMode, RealIo, SystemClock};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How a node is set up.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// The ledger's folder; made, with an org and a root key, when it is empty.
    pub ledger: PathBuf,
    /// Where objects are kept: a folder a bucket.
    pub root: PathBuf,
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Another process writes the ledger.
    pub follow: bool,
    /// How long requests are decided by a state that is no longer being followed.
    pub stale: Duration,
    pub tls: Option<Tls>,
    /// The regions that requests may be signed for; the first is the node's.
    pub regions: Vec<String>,
    /// Hosts before which a bucket's name may stand: `s3.example.com` serves `bucket.s3.example.com`.
    pub domains: Vec<String>,
    /// The ledger's vault key; `vault.key` in its folder.
    pub vault_key: Option<PathBuf>,
}

/// How long and how much a client may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; further ones wait to be accepted.
    pub connections: usize,
    /// From accepting a connection to its end of TLS handshake, and for the headers of a request.
    pub head: Duration,
    /// Between two pieces of a body.
    pub body_idle: Duration,
    /// For requests under way, when the node is told to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connections: 1_024, head: seconds(30), body_idle: seconds(60), drain: seconds(25) }
    }
}

/// Why the node does not run: what, and what to do.
#[derive(Debug)]
pub struct NodeError(String);

impl NodeError {
    fn new(doing: impl std::fmt::Display, error: &dyn std::error::Error) -> Self {
        let mut text = format!("{doing}: {error}");
        let mut source = error.source();
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        Self(text)
    }
}

impl std::fmt::Display for NodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NodeError {}

/// Opens the folder of objects and begins to listen, for the keys of `keys`.
///
/// # Errors
/// [`NodeError`]: the folder, the upload key or the address cannot be had.
pub async fn start(options: &NodeOptions, keys: Arc<Keys>) -> Result<Node, NodeError> {
    let root = &options.root;
    let making = |error| NodeError::new(format!("could not make `{}`", root.display()), &error);
    RealIo.create_dir_all(root).map_err(making)?;
    let store = files::Files::open(root)?;
    let gate_options = GateOptions {
        regions: options.regions.clone(),
        base_domains: options.domains.clone(),
        ..GateOptions::default()
    };
    let gate = Gate::new(keys.handle(), keys.secrets(), gate_options);
    let gate = Arc::new(gate.map_err(|error| NodeError::new("could not make the gate", &error))?);
    let front_options = FrontOptions { upload_key: upload_key(root)?, object_bytes_max: OBJECT_BYTES_MAX };
    let front = Front::new(Arc::clone(&gate), Arc::new(SystemClock), store, keys.buckets(), &front_options);
    Node::listen(front, gate, keys, options.listen, options.tls.as_ref(), Limits::default()).await
}

/// The key that binds upload ids, kept beside the objects: uploads under way survive a restart. No bucket has such a name.
fn upload_key(root: &Path) -> Result<[u8; 32], NodeError> {
    let path = root.join(".upload.key");
    let failed = |error| NodeError::new(format!("could not keep `{}`", path.display()), &error);
    match RealIo.read(&path, 64) {
        Ok(bytes) => {
            return bytes.try_into().map_err(|_| NodeError(format!("`{}` is not 32 bytes; remove it", path.display())));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut key = [0; 32];
    OsDice::default().fill(&mut key);
    let file = RealIo.open(&path, OpenMode::CreateNew).map_err(failed)?;
    file.write_all_at(&key, 0).and_then(|()| file.datasync()).map_err(failed)?;
    Ok(key)
}
