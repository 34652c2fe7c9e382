//! Q1 and Q2: every event of an actor or from an address, with an index and without.

use crate::data::Data;
use crate::floor::postings::{Postings, scan};
use crate::plan::Plan;
use crate::replay::same;
use crate::table::{Bound, Lane, Race, Report, Sample};
use crate::workload::{actor_name, address_text, decode};
use crate::{Result, floor::frames, ours};
use keyledger::audit::address::AddressFilter;
use keyledger::audit::query::ActorFilter;
use keyledger::audit::{Archive, Query};
use keyledger::log::LogReader;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const INDEX_FLOOR: &str = "floor: posting list, events decoded";
const INDEX_SQLITE: &str = "SQLite, index";
const INDEX_OURS: &str = "keyledger, index";
const SCAN_FLOOR: &str = "floor: decode every event, two threads";
const SCAN_SQLITE: &str = "SQLite, no index";
const SCAN_OURS: &str = "keyledger, scan, two threads";
const RIPGREP: &str = "ripgrep over JSON lines (counts)";

/// Runs the stage.
pub fn run(plan: &Plan, report: &mut Report, data: &Data) -> Result<()> {
    let actor = actor_name(7);
    let address = address_text(1234);
    let bytes = &data.flat[..];
    let by_actor = scan(bytes, Some(&actor), None)?;
    let by_address = scan(bytes, None, Some(&address))?;
    if plan.wants(&["Q1"]) {
        let postings = Postings::of(bytes)?;
        let (archive, _) = Archive::open(ours::io(), &data.log, LogReader::open(ours::io(), &data.log)?)?;
        let (actor_query, address_query) = (actor_query(&actor), address_query(&address)?);
        #[cfg(feature = "peers")]
        data.sqlite.index_actors_and_addresses()?;
        let mut lanes =
            vec![Lane::new(INDEX_FLOOR, || timed(|| same("matches", postings.by_actor(bytes, &actor)?, by_actor)))];
        #[cfg(feature = "peers")]
        lanes.push(Lane::new(INDEX_SQLITE, || {
            timed(|| same("SQLite's matches", data.sqlite.matching("actor", &actor, false)?, by_actor))
        }));
        lanes.push(Lane::new(INDEX_OURS, || timed(|| same("matches", ask(&archive, &actor_query)?, by_actor))));
        let race = Race::run(plan, "ms", lanes)?;
        report.lanes(&format!("Q1 all {by_actor} events of one actor of {}", data.history.len()), &race);
        report.goal("Q1", "by actor, many matches", &race, INDEX_OURS, INDEX_SQLITE, Bound::AtMost(1.0 / 3.0));

        let mut lanes = vec![Lane::new(INDEX_FLOOR, || {
            timed(|| same("matches", postings.by_address(bytes, &address)?, by_address))
        })];
        #[cfg(feature = "peers")]
        lanes.push(Lane::new(INDEX_SQLITE, || {
            timed(|| same("SQLite's matches", data.sqlite.matching("address", &address, false)?, by_address))
        }));
        lanes.push(Lane::new(INDEX_OURS, || timed(|| same("matches", ask(&archive, &address_query)?, by_address))));
        let race = Race::run(plan, "ms", lanes)?;
        report.lanes(&format!("Q1 all {by_address} events from one address"), &race);
    }
    if plan.wants(&["Q2"]) {
        unindexed(plan, report, data, &actor, by_actor)?;
    }
    Ok(())
}

fn unindexed(plan: &Plan, report: &mut Report, data: &Data, actor: &str, expected: u64) -> Result<()> {
    let bytes = &data.flat[..];
    let (left, right) = frames::halves(bytes);
    let json = json_lines(data)?;
    let archive = Archive::without_index(ours::io(), LogReader::open(ours::io(), &data.log)?);
    let query = actor_query(actor);
    let mut lanes = vec![
        Lane::new(SCAN_FLOOR, || {
            timed(|| {
                let (one, other) = std::thread::scope(|scope| {
                    let other = scope.spawn(|| scan(right, Some(actor), None));
                    (scan(left, Some(actor), None), other.join())
                });
                let other = other.map_err(|_| "the other half panicked")??;
                same("matches", one? + other, expected)
            })
        }),
        Lane::new("floor: decode every event, one thread", || {
            timed(|| same("matches", scan(bytes, Some(actor), None)?, expected))
        }),
        Lane::new("floor: byte search over the map", || {
            timed(|| {
                let found = memchr::memmem::find_iter(bytes, actor.as_bytes()).count() as u64;
                same("matches", found, expected)
            })
        }),
    ];
    lanes.push(Lane::new(SCAN_OURS, || timed(|| same("matches", ask(&archive, &query)?, expected))));
    #[cfg(feature = "peers")]
    lanes.push(Lane::new(SCAN_SQLITE, || {
        timed(|| same("SQLite's matches", data.sqlite.matching("actor", actor, true)?, expected))
    }));
    let ripgrep = Command::new("rg").arg("--version").output().is_ok_and(|output| output.status.success());
    if ripgrep {
        lanes.push(Lane::new(RIPGREP, || timed(|| same("ripgrep's matches", rg_count(&json, actor)?, expected))));
    } else {
        report.say("\n`rg` is not on this machine (`apt-get install ripgrep`): no comparison with it");
    }
    let race = Race::run(plan, "ms", lanes)?;
    report.lanes("Q2 all events of one actor, no index", &race);
    report.goal("Q2", "unindexed, two cores", &race, SCAN_OURS, SCAN_SQLITE, Bound::AtMost(1.0 / 2.5));
    report.goal("Q2", "unindexed, two cores", &race, SCAN_OURS, RIPGREP, Bound::AtMost(1.0));
    Ok(())
}

fn actor_query(actor: &str) -> Query {
    let names = std::iter::once(actor.to_owned()).collect();
    Query { actor: Some(ActorFilter::Names(names)), ..Query::default() }
}

fn address_query(address: &str) -> Result<Query> {
    Ok(Query { address: Some(AddressFilter::parse(address)?), ..Query::default() })
}

/// Reads every fact that a query means. Returns how many.
fn ask(archive: &Archive, query: &Query) -> Result<u64> {
    let each = &mut |fact: &keyledger::state::Fact<'_>| {
        std::hint::black_box(fact.actor);
        ControlFlow::Continue(())
    };
    Ok(keyledger::audit::log::facts(archive, query, each)?)
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Sample> {
    let began = Instant::now();
    work()?;
    Ok(Sample::of(began.elapsed().as_secs_f64() * 1e3))
}

fn rg_count(path: &Path, actor: &str) -> Result<u64> {
    let output = Command::new("rg").args(["--count", "--fixed-strings", actor]).arg(path).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

/// The history as a program would log it: a JSON object a line.
fn json_lines(data: &Data) -> Result<PathBuf> {
    let path = data.folder.join("events.jsonl");
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(&path)?);
    for entry in data.history.entries() {
        let event = decode(entry.payload)?;
        let line = serde_json::json!({
            "seq": event.seq, "at": event.at_ns, "org": event.org, "actor": event.actor, "address": event.address,
            "agent": event.agent, "request": event.request, "key": event.key_id, "detail": format!("{:?}", event.detail),
        });
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(path)
}
