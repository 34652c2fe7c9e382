//! Secrets that come by the environment: read once, and gone from it.
//!
//! What a process was started with stays readable beside it (`/proc/PID/environ`) whatever it does, so it starts itself anew without
//! them: each secret goes into a file in memory that the new one inherits, reads by `NAME_FILE` and wipes.
//!
//! Not here: which variables there are, and what they are for (`serve`).

use super::context::Context;
use super::exit::Failure;
use crate::sys::OpenMode;
use std::ffi::OsString;
use std::path::Path;
use zeroize::Zeroizing;

/// Where inherited files in memory are.
const INHERITED: &str = "/proc/self/fd/";
/// Bytes of a secret, or of a file that holds one.
const BYTES_MAX: u64 = 1 << 20;

/// Starts this process anew without `names` in its environment; returns when none of them is set.
///
/// # Errors
/// When it cannot.
#[cfg(target_os = "linux")]
pub fn clear(names: &[&str]) -> Result<(), Failure> {
    use rustix::fs::{MemfdFlags, memfd_create};
    use std::os::fd::AsRawFd as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::process::CommandExt as _;
    let failed =
        |error: std::io::Error| Failure::usage(format!("could not take secrets out of the environment: {error}"));
    let is_set = |name: &&&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let set: Vec<&&str> = names.iter().filter(is_set).collect();
    if set.is_empty() {
        return Ok(());
    }
    let mut anew = std::process::Command::new(std::env::current_exe().map_err(failed)?);
    anew.args(std::env::args_os().skip(1));
    // Open until the new process has them.
    let mut kept = Vec::new();
    for name in set {
        let secret = std::env::var_os(name).unwrap_or_default();
        // Inherited: it is not closed when the new process begins.
        let file = memfd_create(*name, MemfdFlags::empty()).map_err(|error| failed(error.into()))?;
        rustix::io::write(&file, secret.as_bytes()).map_err(|error| failed(error.into()))?;
        anew.env_remove(name).env(format!("{name}_FILE"), format!("{INHERITED}{}", file.as_raw_fd()));
        kept.push(file);
    }
    Err(failed(anew.exec()))
}

/// Elsewhere they stay.
#[cfg(not(target_os = "linux"))]
pub fn clear(_: &[&str]) -> Result<(), Failure> {
    Ok(())
}

/// A variable, or the contents of the file that `NAME_FILE` names.
///
/// # Errors
/// When it is not UTF-8, or the file cannot be read.
pub fn secret(cx: &Context, name: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    if let Some(value) = set(name) {
        let value = value.into_string().map_err(|_| Failure::usage(format!("{name} is not UTF-8")))?;
        return Ok(Some(Zeroizing::new(value)));
    }
    let Some(path) = set(&format!("{name}_FILE")) else { return Ok(None) };
    let path = Path::new(&path);
    let at = |what| super::backup::at(what, path);
    let bytes = Zeroizing::new(cx.io.read(path, BYTES_MAX).map_err(at("read"))?);
    if path.starts_with(INHERITED) {
        let file = cx.io.open(path, OpenMode::ReadWrite).map_err(at("wipe"))?;
        file.write_all_at(&vec![0; bytes.len()], 0).map_err(at("wipe"))?;
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| Failure::usage(format!("the file of {name} is not UTF-8")))?;
    Ok(Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())))
}

fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
