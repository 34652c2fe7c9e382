//! storage-node: an S3 server that keeps objects in a folder and asks a keyledger about every request.
//!
//! Not here: what it does (`lib.rs`).
#![forbid(unsafe_code)]

use clap::Parser as _;
use std::process::ExitCode;
use storage_node::{Options, run};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let filter =
        EnvFilter::try_from_env("STORAGE_NODE_LOG").unwrap_or_else(|_| EnvFilter::new("warn,s3s=off,s3s_fs=off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("storage-node: {failure}");
            ExitCode::from(2)
        }
    }
}
