//! `demo`: the main job in one command, over an invented incident.
//!
//! The records are those of `fixtures/cloudtrail`, kept in the program; they are written into a folder and imported like any others, then
//! the two audits that an investigation begins with are printed.
//!
//! Not here: the incident itself (`fixtures/cloudtrail/README.md`).

use super::audit::{print_compromise, print_rotation};
use super::import::{import, print_counts};
use super::print::Paint;
use super::reading::Reading;
use super::{Context, Done, Exit, Failure, backup, init};
use crate::audit::at::{AsOf, worlds_at};
use crate::audit::compromise::{CompromiseOptions, CompromiseReport, Node, compromise};
use crate::audit::rotation::{RotationOptions, rotation};
use crate::model::Time;
use clap::Args;
use std::path::{Path, PathBuf};

/// The key that leaked, and when.
const LEAKED: &str = "AKIA4VQ2H7M9TX5RWLE3";
const SINCE: &str = "2026-03-14";
const UNTIL: &str = "2026-03-16";

macro_rules! records {
    ($($path:literal),+ $(,)?) => {
        /// Every record of the incident: path below the folder, content.
        const RECORDS: &[(&str, &[u8])] =
            &[$(($path, include_bytes!(concat!("../../fixtures/cloudtrail/", $path)))),+];
    };
}

records! {
    "AWSLogs/111122223333/CloudTrail/eu-west-1/2025/09/02/111122223333_CloudTrail_eu-west-1_20250902T1403Z_a081ef1e94fbd3a0.json.gz",
    "AWSLogs/111122223333/CloudTrail/eu-west-1/2025/10/20/111122223333_CloudTrail_eu-west-1_20251020T0304Z_7d9b65c5ec560982.json.gz",
    "AWSLogs/111122223333/CloudTrail/eu-west-1/2025/11/03/111122223333_CloudTrail_eu-west-1_20251103T0304Z_728cf1799f6a5a21.json.gz",
    "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/01/12/111122223333_CloudTrail_eu-west-1_20260112T1305Z_2d4fcaee49a0a36b.json.gz",
    "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/02/28/111122223333_CloudTrail_eu-west-1_20260228T0200Z_93d8122610e8b826.json.gz",
    "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/13/111122223333_CloudTrail_eu-west-1_20260313T2223Z_33e1bd3ea696bf85.json.gz",
    "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/14/111122223333_CloudTrail_eu-west-1_20260314T0714Z_cd96250cba27072f.json.gz",
    "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/15/111122223333_CloudTrail_eu-west-1_20260315T2211Z_adf2d9fee3f5c144.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2025/08/01/111122223333_CloudTrail_us-east-1_20250801T0913Z_6bc94e9bd643f950.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2025/09/03/111122223333_CloudTrail_us-east-1_20250903T0830Z_cbf1372068405c0d.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2025/10/15/111122223333_CloudTrail_us-east-1_20251015T1020Z_e3f228616dd7b21f.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2025/11/20/111122223333_CloudTrail_us-east-1_20251120T1645Z_1fc985b2c2073275.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2025/12/01/111122223333_CloudTrail_us-east-1_20251201T1100Z_3b00e7abff9d64ad.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2026/02/24/111122223333_CloudTrail_us-east-1_20260224T1034Z_4f552fe58fb9b656.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/10/111122223333_CloudTrail_us-east-1_20260310T1522Z_7698bb6a34eecf25.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/14/111122223333_CloudTrail_us-east-1_20260314T0613Z_b5a71975672b7847.json.gz",
    "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/15/111122223333_CloudTrail_us-east-1_20260315T2210Z_0b491669b0283e67.json.gz",
    "lookup-events.json",
    "night-of-the-14th.jsonl",
}

#[derive(Debug, Args)]
pub struct Demo {}

impl Demo {
    #[expect(clippy::unused_self, reason = "every command is run alike")]
    pub fn run(self, cx: &mut Context) -> Done {
        // Never the ledger of KEYLEDGER_DIR or of the working directory: the demo's is its own.
        let folder = match &cx.global.ledger {
            Some(dir) => dir.clone(),
            None => fresh_folder(cx)?,
        };
        cx.global.ledger = Some(folder.clone());
        if init::is_ledger(cx, &folder)? {
            let text = format!("`{}` holds a ledger already; name another folder", folder.display());
            return Err(Failure::new(Exit::Refused, text));
        }
        let writing = init::make(cx, &folder)?;
        let records = folder.join("demo-records");
        write_records(cx, &records)?;
        said(cx, "1. Importing CloudTrail records of an invented incident")?;
        let counts = import(&writing, cx, &[records], 0, &mut |_, _| {})?;
        writing.close()?;
        print_counts(cx, &counts)?;

        let until = Time::parse(UNTIL)?;
        let reading = Reading::open(cx)?;
        let history = reading.history(cx)?;
        let as_of = AsOf::time(until);
        let worlds = worlds_at(&history, as_of)?;
        said(cx, "2. Audit of keys: who should have rotated, and who has too much")?;
        let mut options = RotationOptions::at(as_of);
        options.attribution = false;
        let report = rotation(&history, &worlds, &options)?;
        print_rotation(&mut cx.out, &report)?;

        said(cx, "3. The key of ci-deploy is said to have leaked on 14 March: what did it do, make, leave behind?")?;
        let options =
            CompromiseOptions { since: Some(Time::parse(SINCE)?), until: Some(until), ..CompromiseOptions::at(as_of) };
        let report = compromise(&history, &worlds, LEAKED, &options)?;
        print_compromise(&mut cx.out, &report, false)?;
        in_short(cx, &report)?;
        go_on(cx, &folder, &report)?;
        Ok(Exit::Done)
    }
}

/// Which key leaked, what it created, which of those are still alive.
fn in_short(cx: &mut Context, report: &CompromiseReport) -> Result<(), Failure> {
    said(cx, "In short")?;
    let owner = report.places.first().map_or("nobody", |place| &place.owner);
    cx.out.line(format!("leaked      key {LEAKED} of {owner}"))?;
    let mut made: Vec<&Node> = Vec::new();
    report.tree.iter().for_each(|node| below(node, &mut made));
    for (at, node) in made.iter().enumerate() {
        let acts_as = node.acts_as.as_deref().map(|name| format!(" of {name}")).unwrap_or_default();
        let title = if at == 0 { "created   " } else { "          " };
        cx.out.line(format!("{title}  {} {}{acts_as} ({})", node.kind, node.name, node.status))?;
    }
    for (at, alive) in report.alive.iter().enumerate() {
        let title = if at == 0 { "still alive" } else { "           " };
        cx.out.pieces(&[
            (Paint::Plain, title),
            (Paint::Plain, " "),
            (Paint::Bad, alive.kind),
            (Paint::Plain, " "),
            (Paint::Bold, &alive.what),
        ])?;
    }
    Ok(())
}

/// Everything that grew out of a node, top down.
fn below<'a>(node: &'a Node, found: &mut Vec<&'a Node>) {
    for child in &node.children {
        found.push(child);
        below(child, found);
    }
}

/// Three commands to go on with.
fn go_on(cx: &mut Context, folder: &Path, report: &CompromiseReport) -> Result<(), Failure> {
    let alive = report.alive.iter().find(|alive| alive.kind == "key");
    let alive = alive.and_then(|alive| alive.what.split_whitespace().next()).unwrap_or(LEAKED);
    said(cx, "Go on with")?;
    let program = std::env::args().next().unwrap_or_else(|| "keyledger".to_owned());
    let start = format!("{} --ledger {}", quoted(&program), quoted(&folder.display().to_string()));
    for command in [
        format!("audit key {alive}"),
        format!("audit compromise {LEAKED} --since {SINCE} --until {UNTIL}"),
        format!("key list --all --at {UNTIL}"),
    ] {
        cx.out.line(format!("  {start} {command}"))?;
    }
    Ok(())
}

fn said(cx: &mut Context, what: &str) -> Result<(), Failure> {
    cx.out.line("")?;
    cx.out.pieces(&[(Paint::Bold, what)])?;
    cx.out.line("")
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// A folder that nobody else has, below the system's folder for temporary files.
fn fresh_folder(cx: &Context) -> Result<PathBuf, Failure> {
    let base = std::env::temp_dir();
    let mut number = cx.now().0 / 1_000_000_000;
    loop {
        let folder = base.join(format!("keyledger-demo-{number}"));
        match cx.io.read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(folder),
            _ => number += 1,
        }
    }
}

fn write_records(cx: &Context, folder: &Path) -> Result<(), Failure> {
    for (name, bytes) in RECORDS {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        cx.io.create_dir_all(parent).map_err(backup::at("make", parent))?;
        cx.io.replace(&path, bytes).map_err(backup::at("write", &path))?;
    }
    Ok(())
}
