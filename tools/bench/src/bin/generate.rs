//! `generate cloudtrail --records N --seed S --out DIR [--per-file N] [--gzip]`: realistic CloudTrail files.

use keyledger_bench::{Result, cloudtrail};
use std::path::PathBuf;

const USAGE: &str = "usage: generate cloudtrail --records N --seed S --out DIR [--per-file N] [--gzip]

Writes N made-up CloudTrail records into DIR as files of {\"Records\": […]}; the same seed gives the same bytes.";

fn main() -> std::process::ExitCode {
    match run() {
        Ok(text) => {
            println!("{text}");
            std::process::ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::from(2)
        }
    }
}

fn run() -> Result<String> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some("cloudtrail") {
        return Err(USAGE.into());
    }
    let mut output = cloudtrail::Output { records: 0, seed: 1, folder: PathBuf::new(), per_file: 5000, gzip: false };
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("`{name}` wants a value\n\n{USAGE}"));
        match name.as_str() {
            "--records" => output.records = value()?.parse()?,
            "--seed" => output.seed = value()?.parse()?,
            "--per-file" => output.per_file = value()?.parse()?,
            "--out" => output.folder = value()?.into(),
            "--gzip" => output.gzip = true,
            _ => return Err(format!("`{name}` is not an option\n\n{USAGE}").into()),
        }
    }
    if output.records == 0 || output.folder.as_os_str().is_empty() {
        return Err(USAGE.into());
    }
    let (files, bytes) = cloudtrail::write(&output)?;
    Ok(format!("{} records, {bytes} bytes of JSON, in {} files", output.records, files.len()))
}
