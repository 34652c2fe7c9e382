//! Disk: what the log and its index take, beside SQLite's table and index for the same events.

use crate::Result;
use crate::data::Data;
use crate::plan::Plan;
use crate::table::{Bound, Report};

/// Runs the stage.
pub fn run(plan: &Plan, report: &mut Report, data: &Data) -> Result<()> {
    if !plan.wants(&["disk"]) {
        return Ok(());
    }
    let per_event = |bytes: u64| bytes as f64 / data.history.len() as f64;
    report.say(&format!(
        "\ndisk: payloads {:.0} B an event, the floor's frames {:.0} B",
        data.history.payload_mean(),
        per_event(data.flat.len() as u64)
    ));
    // The log's files are zero-filled to their full size ahead; what counts is how far they are written.
    let reader = keyledger::log::LogReader::open(crate::ours::io(), &data.log)?;
    let written: u64 = reader.segments().iter().map(|it| if it.sealed { it.bytes } else { it.end_offset }).sum();
    let (archive, _) = keyledger::audit::Archive::open(crate::ours::io(), &data.log, reader)?;
    drop(archive);
    let index = folder_bytes(&data.log.join("idx"))?;
    let ours = per_event(written + index);
    #[cfg(feature = "peers")]
    let sqlite = Some(per_event(sqlite_of_our_payloads(data)?));
    #[cfg(not(feature = "peers"))]
    let sqlite = None;
    report.say(&format!(
        "disk: keyledger's log {:.0} B an event, its index {:.1} B",
        per_event(written),
        per_event(index)
    ));
    let what = "index, bytes an event";
    report.number("L2", what, "B", Some(per_event(index)), "10 B", Some(10.0), Bound::AtMost(1.0));
    let what = "log and index, bytes an event";
    report.number("disk", what, "B", Some(ours), "SQLite, table + key index", sqlite, Bound::AtMost(1.4));
    Ok(())
}

fn folder_bytes(folder: &std::path::Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// SQLite's file when it keeps the payloads that keyledger keeps.
#[cfg(feature = "peers")]
fn sqlite_of_our_payloads(data: &Data) -> Result<u64> {
    use crate::durable::Store;
    let reader = keyledger::log::LogReader::open(crate::ours::io(), &data.log)?;
    let mut table = crate::peers::sqlite::Table::create(&data.folder.join("sqlite-ours"), false)?;
    let mut frames = reader.frames(data.prelude + 1);
    for chunk in data.history.ops.chunks(10_000) {
        let mut batch = Vec::with_capacity(chunk.len());
        for op in chunk {
            let frame = frames.next().ok_or("the log is shorter than the history")??;
            batch.push(crate::workload::Entry { seq: frame.seq, op: *op, payload: frame.payload() });
        }
        table.commit(&batch)?;
    }
    table.bytes()
}
