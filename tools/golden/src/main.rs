//! Makes the golden ledger of a format version: `tools/golden/run DIR`.
//!
//! Run once for each version, by hand. What stands in `fixtures/golden` is never made anew: it must open for ever
//! (`tests/formats.rs`).

#[path = "../../../tests/samples/mod.rs"]
mod samples;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1) else {
        eprintln!("usage: golden DIR (a folder that does not exist yet)");
        return ExitCode::from(2);
    };
    let dir = Path::new(&dir);
    if dir.exists() {
        eprintln!("{} is there already; a golden ledger is never made anew", dir.display());
        return ExitCode::from(2);
    }
    let made = samples::golden::write(dir).and_then(|expected| {
        let mut text = serde_json::to_string_pretty(&expected)?;
        text.push('\n');
        std::fs::write(dir.join("expected.json"), &text)?;
        Ok(text)
    });
    match made {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
