//! The one style sheet and the one script, kept in the program.
//!
//! Not here: pages.

use crate::api::incoming::set_header;
use crate::api::{Incoming, Reply, reply};
use crate::model::bytes::Hex;
use std::sync::LazyLock;

const STYLE: &str = include_str!("console.css");
const SCRIPT: &str = include_str!("console.js");

static STYLE_TAG: LazyLock<String> = LazyLock::new(|| tag(STYLE));
static SCRIPT_TAG: LazyLock<String> = LazyLock::new(|| tag(SCRIPT));

fn tag(text: &str) -> String {
    format!("\"{}\"", Hex(&blake3::hash(text.as_bytes()).as_bytes()[..8]))
}

/// An asset of this path below `/console`.
pub fn answer(incoming: &Incoming, path: &str) -> Option<Reply> {
    let (kind, text, tag) = match path {
        "/console.css" => ("text/css; charset=utf-8", STYLE, &*STYLE_TAG),
        "/console.js" => ("text/javascript; charset=utf-8", SCRIPT, &*SCRIPT_TAG),
        _ => return None,
    };
    incoming.is_about("Asset");
    let has_it = incoming.header("if-none-match").is_some_and(|known| known.split(',').any(|one| one.trim() == tag));
    let mut reply = if has_it { reply(304, "", "") } else { reply(200, kind, text) };
    set_header(&mut reply, "etag", tag);
    set_header(&mut reply, "cache-control", "no-cache");
    set_header(&mut reply, "x-content-type-options", "nosniff");
    Some(reply)
}
