//! `restore`: a ledger from a backup, which waits to be accepted.
//!
//! Yesterday's copy must not silently revive a key that was revoked since: the first event of a restored ledger says that it was
//! restored, and until `restore accept` every key is quarantined. The copy gets its name only when that event is durable.
//!
//! Not here: making backups (`backup`).

use super::backup::{at, copy, empty_folder};
use super::confirm::confirm;
use super::print::{Cell, Paint, grouped};
use super::writing::{Writing, options};
use super::{Context, Done, Exit, Failure};
use crate::ledger::Command as Order;
use crate::log::{VerifyOptions, verify};
use crate::model::Seq;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Restore {
    /// The folder of the backup
    #[arg(required = true)]
    from: Option<PathBuf>,
    #[command(subcommand)]
    then: Option<Then>,
}

#[derive(Debug, Subcommand)]
pub enum Then {
    /// Let the keys of a restored ledger be used again
    Accept,
}

#[derive(Serialize)]
struct Row {
    ledger: String,
    from: String,
    last_seq: u64,
    accepted: bool,
}

impl Restore {
    pub fn run(self, cx: &mut Context) -> Done {
        match (self.then, self.from) {
            (Some(Then::Accept), _) => accept(cx),
            (None, Some(from)) => restore(cx, &from),
            (None, None) => Err(Failure::usage("name the folder of the backup")),
        }
    }
}

fn restore(cx: &mut Context, from: &Path) -> Done {
    let report = verify(&cx.io, from, VerifyOptions::default())?;
    let dir = cx.dir();
    let io = cx.io.clone();
    let io = io.as_ref();
    empty_folder(io, &dir)?;
    // A folder of another name until the first event is durable: a crash before that leaves no ledger that could be used.
    let mut name = dir.as_os_str().to_owned();
    name.push(".restoring");
    let making = PathBuf::from(name);
    empty_folder(io, &making)?;
    copy(cx, from, &making)?;
    let key = from.join("vault.key");
    if let Ok(bytes) = io.read(&key, 4096) {
        io.replace(&making.join("vault.key"), &bytes).map_err(at("write", &making))?;
    }
    let wanted = cx.global.ledger.replace(making.clone());
    let order = Order::RecordRestore {
        from: crate::model::text::excerpt(&from.display().to_string(), 200).into(),
        backup_seq: Seq(report.last_seq),
    };
    let written = Writing::open_with(cx, &making, options(cx)).and_then(|writing| {
        writing.execute(order)?;
        writing.close()
    });
    cx.global.ledger = wanted;
    written?;
    // The folder was empty: a rename replaces it.
    io.rename(&making, &dir).map_err(at("rename", &making))?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    io.sync_dir(parent).map_err(at("sync", parent))?;
    let row = Row {
        ledger: dir.display().to_string(),
        from: from.display().to_string(),
        last_seq: report.last_seq,
        accepted: false,
    };
    if cx.out.json {
        cx.out.json(&row)?;
        return Ok(Exit::Done);
    }
    cx.out.fields(&[
        ("ledger", Cell::new(&row.ledger, Paint::Bold)),
        ("from", Cell::from(&row.from)),
        ("commits", Cell::from(grouped(row.last_seq))),
    ])?;
    cx.note(
        "every key is quarantined: reads go on, nothing else; revoke what was revoked since the backup, then \
         `keyledger restore accept`",
    );
    Ok(Exit::Done)
}

fn accept(cx: &mut Context) -> Done {
    let name = cx.dir().display().to_string();
    confirm(cx.global.yes, "accepting the restored keys of", &name)?;
    let writing = cx.writing()?;
    let wrote = writing.execute(Order::AcceptRestore {})?;
    let last_seq = writing.state().seq().0;
    let row = Row { ledger: name.clone(), from: String::new(), last_seq, accepted: true };
    wrote.say(cx, "restored ledger", &name, "accepted", &row)
}
