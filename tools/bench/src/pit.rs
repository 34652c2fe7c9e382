//! T1 and T2: the whole state, and one key, as of a moment in the past.

use crate::Result;
use crate::data::Data;
use crate::floor::fold;
use crate::floor::frames::Frames;
use crate::floor::postings::Postings;
use crate::plan::Plan;
use crate::replay::same;
use crate::rng::Rng;
use crate::table::{Bound, Lane, Race, Report, Sample};
use crate::workload::key_id;
use std::time::Instant;

const SQLITE: &str = "SQLite, fold of seq <= k";
const OURS: &str = "keyledger, snapshots and tail";
const KEY_FLOOR: &str = "floor: offsets of each key in memory";
const KEY_SQLITE: &str = "SQLite, index on (key, seq)";
const KEY_OURS: &str = "keyledger, one key";

/// Runs the stage.
pub fn run(plan: &Plan, report: &mut Report, data: &Data) -> Result<()> {
    if plan.wants(&["T1"]) {
        whole_state(plan, report, data)?;
    }
    if plan.wants(&["T2"]) {
        one_key(plan, report, data)?;
    }
    Ok(())
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Sample> {
    let began = Instant::now();
    work()?;
    Ok(Sample::of(began.elapsed().as_secs_f64() * 1e3))
}

fn whole_state(plan: &Plan, report: &mut Report, data: &Data) -> Result<()> {
    let middle = data.history.len() / 2;
    let mut frames = Frames::of(&data.flat);
    frames.by_ref().take(middle).for_each(drop);
    let bytes = &data.flat[..frames.offset()];
    let expected = fold::digest(&fold::plain(bytes)?);
    #[allow(unused_mut, reason = "peers add lanes")]
    let mut lanes = vec![
        Lane::new("floor: pipelined fold from the start", || {
            timed(|| same("the past state", fold::pipelined(bytes)?.digest(), expected))
        }),
        Lane::new("plain fold from the start", || {
            timed(|| same("the past state", fold::digest(&fold::plain(bytes)?), expected))
        }),
    ];
    #[cfg(feature = "peers")]
    lanes.push(Lane::new(SQLITE, || {
        timed(|| same("SQLite's past state", fold::digest(&data.sqlite.fold(middle as u64)?), expected))
    }));
    let race = Race::run(plan, "ms", lanes)?;
    report.lanes(&format!("T1 whole state as of event {middle}"), &race);
    report.goal("T1", "worst moment, ≤ 25% more disk", &race, OURS, SQLITE, Bound::AtMost(1.0 / 4.0));
    report.goal("T1", "worst moment, ≤ 60% more disk", &race, OURS, SQLITE, Bound::AtMost(1.0 / 10.0));
    Ok(())
}

/// Keys and moments to ask for.
pub fn questions(plan: &Plan, data: &Data) -> Vec<([u8; 20], u64)> {
    let mut rng = Rng::seeded(plan.seed ^ 0x7A);
    let len = data.history.len();
    let ask = |_| (key_id(data.history.ops[rng.index(len)].key), 1 + rng.index(len) as u64);
    (0..20_000).map(ask).collect()
}

/// Asks all, times each; the value is the mean in µs.
fn ask_all(
    questions: &[([u8; 20], u64)],
    expected: &[Option<(bool, i32)>],
    ask: impl Fn(&[u8; 20], u64) -> Result<Option<(bool, i32)>>,
) -> Result<Sample> {
    let mut nanos = Vec::with_capacity(questions.len());
    for ((id, seq), expected) in questions.iter().zip(expected) {
        let start = Instant::now();
        let answer = ask(id, *seq)?;
        nanos.push(start.elapsed().as_nanos() as u32);
        same("a past key", &answer, expected)?;
    }
    let mean = nanos.iter().map(|n| f64::from(*n)).sum::<f64>() / nanos.len().max(1) as f64;
    Ok(Sample::of(mean / 1e3).with_nanos(&mut nanos))
}

fn one_key(plan: &Plan, report: &mut Report, data: &Data) -> Result<()> {
    let bytes = &data.flat[..];
    let (postings, questions) = (Postings::of(bytes)?, questions(plan, data));
    let expected: Vec<_> = questions.iter().map(|(id, seq)| postings.key_at(bytes, id, *seq)).collect::<Result<_>>()?;
    #[allow(unused_mut, reason = "peers add lanes")]
    let mut lanes =
        vec![Lane::new(KEY_FLOOR, || ask_all(&questions, &expected, |id, seq| postings.key_at(bytes, id, seq)))];
    #[cfg(feature = "peers")]
    lanes.push(Lane::new(KEY_SQLITE, || ask_all(&questions, &expected, |id, seq| data.sqlite.key_at(id, seq))));
    let race = Race::run(plan, "µs", lanes)?;
    report.lanes("T2 one key as of any event", &race);
    report.goal_p50("T2", "one key, p50", &race, KEY_OURS, KEY_FLOOR, Bound::AtMost(2.0));
    report.goal_p50("T2", "one key, p50", &race, KEY_OURS, KEY_SQLITE, Bound::AtMost(1.0 / 2.5));
    Ok(())
}
