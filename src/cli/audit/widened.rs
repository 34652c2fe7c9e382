//! Edits that widened rights, for `audit rotation` and `audit compromise`.
//!
//! Not here: finding them (`crate::audit::access::widened`).

use crate::audit::access::compare::in_words;
use crate::audit::access::widened::Widening;
use crate::cli::Failure;
use crate::cli::print::{Out, Paint, moment};

/// Places named of each key; `--json` has all.
const PLACES_SHOWN: usize = 3;

pub(super) fn print(out: &mut Out, widened: &[Widening]) -> Result<(), Failure> {
    if widened.is_empty() {
        return out.line("nothing did");
    }
    for row in widened {
        let (at, event) = (moment(row.at.0), format!("  (event {}, {})", row.event, row.actor));
        out.pieces(&[(Paint::Dim, &at), (Paint::Plain, "  "), (Paint::Plain, &row.summary), (Paint::Dim, &event)])?;
        for key in &row.keys {
            let owner = format!(" of {}: ", key.owner);
            let words = in_words(&key.cells, PLACES_SHOWN);
            out.pieces(&[
                (Paint::Plain, "    "),
                (Paint::Bold, &key.access_key_id),
                (Paint::Plain, &owner),
                (Paint::Warn, &words),
            ])?;
        }
        if row.keys_not_asked > 0 {
            out.line(format!("    and {} more keys that were not asked about", row.keys_not_asked))?;
        }
        for (mark, document) in [("-", &row.document_before), ("+", &row.document_after)] {
            if let Some(document) = document {
                let text: String = document.split_whitespace().collect::<Vec<_>>().join(" ");
                out.pieces(&[(Paint::Dim, &format!("    {mark} {text}"))])?;
            }
        }
    }
    Ok(())
}
