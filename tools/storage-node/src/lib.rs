//! An S3 server over a folder of files (`s3s`, `s3s-fs`), with keyledger's gate in front of it.
//!
//! ```text
//!   TCP, TLS ──server──▶ keyledger::front ──▶ s3s ──▶ files ──▶ s3s-fs
//!                            │
//!                          ledger: its own (the writer), or another process's, followed
//! ```
//!
//! Not here: who may do what (`keyledger::gate`).
#![forbid(unsafe_code)]

mod files;
mod ledger;
mod options;
mod report;
mod server;
mod usage;

pub use ledger::Keys;
pub use options::{Options, Stale};
pub use server::{Limits, Node};

use keyledger::front::{Front, FrontOptions, OBJECT_BYTES_MAX};
use keyledger::gate::{Gate, GateOptions};
use keyledger::sys::SystemClock;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Why the node does not run: what, and what to do.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    pub(crate) fn new(doing: impl std::fmt::Display, error: &dyn std::error::Error) -> Self {
        let mut text = format!("{doing}: {error}");
        let mut source = error.source();
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        Self(text)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Serves until SIGTERM or SIGINT. Says on stdout what it made and where it listens.
pub fn run(options: &Options) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::new("could not start", &error))?;
    runtime.block_on(async {
        let (node, keys) = start(options).await?;
        let mut out = std::io::stdout();
        for line in keys.made() {
            writeln!(out, "{line}").map_err(|error| Failure::new("could not print", &error))?;
        }
        writeln!(out, "listening on {}", node.url()).map_err(|error| Failure::new("could not print", &error))?;
        out.flush().map_err(|error| Failure::new("could not print", &error))?;
        let gate = node.gate();
        let flushing = tokio::spawn(usage::flush_often(Arc::clone(&keys), Arc::clone(&gate)));
        node.serve(server::told_to_stop()).await;
        flushing.abort();
        // It was told to end, and that is how it ended.
        let _ = flushing.await;
        usage::flush(&keys, &gate).await;
        usage::tell(&keys).await;
        keys.close()
    })
}

/// Opens the ledger and the folder of objects, and begins to listen.
pub async fn start(options: &Options) -> Result<(Node, Arc<Keys>), Failure> {
    let keys = Arc::new(Keys::open(options)?);
    std::fs::create_dir_all(&options.root)
        .map_err(|error| Failure::new(format!("could not make `{}`", options.root.display()), &error))?;
    let store = files::Files::open(&options.root)?;
    let gate_options =
        GateOptions { regions: options.region.clone(), base_domains: options.domain.clone(), ..GateOptions::default() };
    let gate = Gate::new(keys.handle(), keys.secrets(), gate_options);
    let gate = Arc::new(gate.map_err(|error| Failure::new("could not make the gate", &error))?);
    let front_options = FrontOptions { upload_key: upload_key(&options.root)?, object_bytes_max: OBJECT_BYTES_MAX };
    let front = Front::new(Arc::clone(&gate), Arc::new(SystemClock), store, keys.buckets(), &front_options);
    let node = Node::listen(front, gate, Arc::clone(&keys), options, Limits::default()).await?;
    Ok((node, keys))
}

/// The key that binds upload ids, kept beside the objects: uploads under way survive a restart. No bucket has such a name.
fn upload_key(root: &Path) -> Result<[u8; 32], Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = root.join(".upload.key");
    let failed = |error| Failure::new(format!("could not keep `{}`", path.display()), &error);
    if let Ok(bytes) = std::fs::read(&path) {
        return bytes.try_into().map_err(|_| Failure(format!("`{}` is not 32 bytes; remove it", path.display())));
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| Failure(format!("no random bytes: {error}")))?;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
    file.write_all(&key).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(key)
}
