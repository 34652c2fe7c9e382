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
    #[cfg(feature = "peers")]
    let sqlite = Some(per_event(data.sqlite.bytes()?));
    #[cfg(not(feature = "peers"))]
    let sqlite = None;
    report.number(
        "disk",
        "log + index, bytes an event",
        "B",
        None,
        "SQLite, table + index",
        sqlite,
        Bound::AtMost(1.4),
    );
    Ok(())
}
