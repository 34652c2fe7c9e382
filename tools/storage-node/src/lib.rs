//! An S3 server over a folder of files, with keyledger's gate in front of it, as a program of its own.
//!
//! Not here: the node itself (`keyledger::node`); `keyledger serve --s3-listen` runs the same beside the dialects.
#![forbid(unsafe_code)]

mod options;

pub use options::{Options, Stale};

use keyledger::node::{self, Keys, Node, NodeError, told_to_stop};
use std::io::Write as _;
use std::sync::Arc;

/// Why the node does not run: what, and what to do.
#[derive(Debug)]
pub struct Failure(String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        Self(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Serves until SIGTERM or SIGINT. Says on stdout what it made and where it listens.
pub fn run(options: &Options) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let (node, keys) = start(options).await?;
        let mut out = std::io::stdout();
        if let Some(root) = keys.take_made() {
            writeln!(out, "made a ledger in {} with org {}", options.ledger.display(), root.account)?;
            writeln!(out, "access key id      {}", root.id)?;
            if let Some(secret) = &root.secret {
                writeln!(out, "secret access key  {}", secret.expose_secret())?;
            }
            writeln!(out, "the secret is shown this once; keep it now")?;
        }
        writeln!(out, "listening on {}", node.url())?;
        out.flush()?;
        let gate = node.gate();
        let flushing = tokio::spawn(node::flush_often(Arc::clone(&keys), Arc::clone(&gate)));
        node.serve(told_to_stop()).await;
        flushing.abort();
        // It was told to end, and that is how it ended.
        let _ = flushing.await;
        node::flush_all(&keys, &gate).await;
        Ok(keys.close()?)
    })
}

/// Opens the ledger and the folder of objects, and begins to listen.
pub async fn start(options: &Options) -> Result<(Node, Arc<Keys>), Failure> {
    let report_to = options.report_to()?;
    let options = options.node()?;
    let keys = Arc::new(Keys::open(&options, report_to)?);
    let node = node::start(&options, Arc::clone(&keys)).await?;
    Ok((node, keys))
}
