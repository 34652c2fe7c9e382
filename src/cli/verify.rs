//! `verify`: is every byte as it was written, and does the state follow from it?
//!
//! Not here: the checks themselves (`log::verify`, `state::at`, `vault`).

use super::print::{Cell, Paint, counted, grouped};
use super::progress::Progress;
use super::state::hex;
use super::{Context, Done, Exit, Failure};
use crate::log::{KIND_ATTESTATION, LogError, LogReader, VerifyOptions, VerifyReport, verify};
use crate::model::{Event, Seq};
use crate::state::{PROJECTION, Recorded, State};
use crate::vault;
use clap::Args;
use serde::Serialize;
use std::path::Path;

#[derive(Debug, Args)]
pub struct Verify {
    /// Compare closed segments with their seals alone: finds rot, not tampering
    #[arg(long)]
    quick: bool,
    /// Segments checked at a time [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// A ledger that is whole.
#[derive(Debug, Serialize)]
struct Whole {
    ok: bool,
    quick: bool,
    last_seq: u64,
    segments: u64,
    bytes: u64,
    frames_walked: u64,
    chain_head: String,
    tree_root: String,
    witnessed_seq: u64,
    /// A writer was at work: checked up to the witness.
    live: bool,
    torn_tail_bytes: Option<u64>,
    witness_slots_bad: u32,
    meta_copy_bad: bool,
    /// State hashes in the log that a replay from zero reached, too.
    attestations_checked: u64,
    /// Of another projection.
    attestations_unchecked: u64,
    /// Secrets that cannot be read.
    keystore_slots_damaged: u64,
    /// Why the keystore was not looked at, when it was not.
    keystore: Option<String>,
}

/// A ledger that is not.
#[derive(Debug, Serialize)]
struct Broken {
    ok: bool,
    error: String,
    file: Option<String>,
    offset: Option<u64>,
    seq: Option<u64>,
}

impl Verify {
    pub fn run(self, cx: &mut Context) -> Done {
        let dir = cx.dir();
        let progress = Progress::bytes("verifying", 0);
        let tell = |done: u64, total: u64| progress.set(done, total);
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let options = VerifyOptions { quick: self.quick, threads: threads.max(1), progress: &tell };
        let report = verify(&cx.io, &dir, options);
        progress.finish();
        let report = match report {
            Ok(report) => report,
            Err(error) => return broken(cx, &error),
        };
        let (checked, unchecked) = if self.quick { (0, 0) } else { attestations(cx, &dir, report.last_seq)? };
        let (slots_damaged, keystore) = match keystore(cx, &dir) {
            Ok(damaged) => (damaged, None),
            Err(why) => (0, Some(why)),
        };
        let whole = Whole {
            ok: slots_damaged == 0,
            quick: self.quick,
            last_seq: report.last_seq,
            segments: report.segments,
            bytes: report.bytes,
            frames_walked: report.frames_walked,
            chain_head: hex(&report.chain_head),
            tree_root: hex(&report.tree_root),
            witnessed_seq: report.witnessed_seq,
            live: report.live,
            torn_tail_bytes: report.torn_tail.as_ref().map(|tail| tail.bytes),
            witness_slots_bad: report.witness_slots_bad,
            meta_copy_bad: report.meta_copy_bad,
            attestations_checked: checked,
            attestations_unchecked: unchecked,
            keystore_slots_damaged: slots_damaged,
            keystore,
        };
        if cx.out.json {
            cx.out.json(&whole)?;
        } else {
            print(cx, &whole, &report)?;
        }
        Ok(if whole.ok { Exit::Done } else { Exit::Damaged })
    }
}

fn print(cx: &mut Context, whole: &Whole, report: &VerifyReport) -> Result<(), Failure> {
    let verdict = if whole.ok { Cell::new("whole", Paint::Good) } else { Cell::new("damaged", Paint::Bad) };
    let attested = match (whole.attestations_checked, whole.attestations_unchecked) {
        (0, 0) => String::new(),
        (checked, 0) => format!("{checked} state hashes reached by replay"),
        (checked, unchecked) => format!("{checked} state hashes reached by replay, {unchecked} of another version"),
    };
    let tail = report.torn_tail.as_ref().map(|tail| {
        let (path, offset, bytes) = (tail.segment.display(), tail.offset, tail.bytes);
        format!("{bytes} bytes at {offset} of {path}, never acknowledged; the next writer cuts them")
    });
    let slots = match &whole.keystore {
        Some(why) => why.clone(),
        None if whole.keystore_slots_damaged > 0 => format!("{} slots are damaged", whole.keystore_slots_damaged),
        None => "every slot is whole".to_owned(),
    };
    cx.out.fields(&[
        ("ledger", verdict),
        ("commits", Cell::from(grouped(whole.last_seq))),
        (
            "segments",
            Cell::from(format!("{}, {} bytes", counted(whole.segments, "file", "files"), grouped(whole.bytes))),
        ),
        (
            "walked",
            Cell::from(if whole.quick {
                "seals alone: finds rot, not tampering".to_owned()
            } else {
                format!("{} frames", grouped(whole.frames_walked))
            }),
        ),
        ("chain head", Cell::from(&whole.chain_head)),
        ("tree root", Cell::from(&whole.tree_root)),
        ("witness", Cell::from(format!("acknowledged up to seq {}", whole.witnessed_seq))),
        ("writer", Cell::from(if whole.live { "at work: checked up to the witness" } else { "" })),
        ("torn tail", Cell::from(tail.unwrap_or_default())),
        ("attested", Cell::from(attested)),
        ("keystore", Cell::from(slots)),
    ])?;
    if report.witness_slots_bad > 0 {
        cx.note("one witness slot cannot be read, as after a crash; the next writer mends it");
    }
    if report.meta_copy_bad {
        cx.note("one copy in META cannot be read; the next writer mends it");
    }
    Ok(())
}

fn broken(cx: &mut Context, error: &LogError) -> Done {
    let failure = Failure::from_log(error);
    if failure.exit != Exit::Damaged || !cx.out.json {
        return Err(failure);
    }
    let (file, offset, seq) = match error {
        LogError::Damaged { segment, offset, seq } => (Some(segment), Some(*offset), Some(*seq)),
        LogError::Fork { segment, seq } => (Some(segment), None, Some(*seq)),
        LogError::MissingAcknowledged { segment, found, .. } => (Some(segment), None, Some(*found)),
        LogError::MissingSegment { segment }
        | LogError::ForeignSegment { segment }
        | LogError::MisplacedSegment { segment, .. } => (Some(segment), None, None),
        LogError::WitnessLost { path } | LogError::MetaDamaged { path } => (Some(path), None, None),
        _ => (None, None, None),
    };
    let file = file.map(|path| path.display().to_string());
    cx.out.json(&Broken { ok: false, error: failure.to_string(), file, offset, seq })?;
    Err(failure)
}

/// Replays from zero and compares with every state hash in the log. Returns how many agreed, and how many are of another
/// projection.
fn attestations(cx: &mut Context, dir: &Path, last_seq: u64) -> Result<(u64, u64), Failure> {
    let log = LogReader::open(cx.io.clone(), dir)?;
    let progress = Progress::count("replaying", last_seq);
    let mut state = State::empty();
    let mut wanted: Vec<(Seq, [u8; 32])> = Vec::new();
    let mut unchecked = 0;
    for frame in log.frames(1) {
        let frame = frame?;
        if frame.seq > last_seq {
            break;
        }
        if frame.kind != KIND_ATTESTATION {
            continue;
        }
        for event in Recorded::decode(&frame)?.commit.events {
            match event {
                Event::StateAttested { at, projection, state_hash } if projection == PROJECTION => {
                    wanted.push((at, state_hash));
                }
                Event::StateAttested { .. } => unchecked += 1,
                _ => {}
            }
        }
    }
    wanted.sort_unstable();
    for (at, state_hash) in &wanted {
        state = crate::state::at::replay(&log, state, *at, &mut |seq| progress.at(seq.0))?;
        if state.hash() != *state_hash {
            let text = format!(
                "the state at seq {at} is not the one that the log attests; this ledger was written by another program, \
                 or somebody rewrote it: compare with a copy from elsewhere"
            );
            return Err(Failure::new(Exit::Damaged, text));
        }
    }
    // What is behind the last attestation must decode, too.
    crate::state::at::replay(&log, state, Seq(last_seq), &mut |seq| progress.at(seq.0))?;
    Ok((wanted.len() as u64, unchecked))
}

fn keystore(cx: &Context, dir: &Path) -> Result<u64, String> {
    let ledger_id = LogReader::open(cx.io.clone(), dir).map_err(|error| error.to_string())?.meta().ledger_id;
    match vault::inspect(cx.io.as_ref(), &dir.join("keys"), ledger_id) {
        Ok(report) => Ok(report.damaged.len() as u64),
        Err(error) => Err(error.to_string()),
    }
}
