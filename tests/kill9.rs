//! tests/kill9.rs: a real process is killed under load, again and again, and everything that it acknowledged is there.
//!
//! The writer (`keyledger exercise`) makes, labels, revokes and deletes keys from several threads and prints each step when
//! the ledger has acknowledged it; what was read from its pipe before the kill must be true after the reopen.
//!
//! Not here: what a lost machine does to files that were not flushed (`crash`).
#![cfg(feature = "cli")]

mod common;

use common::Ledger;
use keyledger::log::LogReader;
use keyledger::state::{KeyRecord, State, at};
use keyledger::sys::RealIo;
use std::collections::BTreeMap;
use std::io::Read;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Kills in all; `KEYLEDGER_KILLS` asks for another number.
const KILLS: u32 = 300;
/// Kills of one ledger before the next begins, so that replaying it stays short.
const KILLS_A_LEDGER: u32 = 30;
/// Threads that write.
const THREADS: &str = "8";

/// A small generator, so that the kills fall on the same moments of a run as far as the machine allows.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % bound
    }
}

#[test]
fn every_acknowledged_event_survives_three_hundred_kills() {
    let seed = 0x6b65_7973;
    let kills = std::env::var("KEYLEDGER_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let began = Instant::now();
    let mut dice = Dice(seed);
    let (mut done, mut acknowledged) = (0, 0);
    while done < kills {
        let ledger = Ledger::new();
        // The last step acknowledged of each key.
        let mut steps = BTreeMap::new();
        for _ in 0..KILLS_A_LEDGER.min(kills - done) {
            acknowledged += run_and_kill(&ledger, &mut dice, &mut steps);
            check(&ledger, &steps);
            done += 1;
        }
        let verified = ledger.run(&["verify"]);
        assert_eq!(verified.code, 0, "{}\n{}", verified.stdout, verified.stderr);
    }
    let seconds = began.elapsed().as_secs();
    println!("{done} kills, {acknowledged} acknowledged events, 0 lost, seed {seed:#x}, {seconds} s");
    assert!(acknowledged > u64::from(kills), "the writer hardly wrote: {acknowledged} events in {kills} runs");
}

/// Starts a writer, kills it somewhere in its work, and notes what it said; returns how many events that were.
fn run_and_kill(ledger: &Ledger, dice: &mut Dice, steps: &mut BTreeMap<String, String>) -> u64 {
    let mut command = ledger.command(&["exercise", "--threads", THREADS]);
    let mut writer =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().expect("a start");
    let mut stdout = writer.stdout.take().expect("a pipe");
    // Every tenth is killed while it opens, recovering from the kill before.
    if dice.below(10) == 0 {
        std::thread::sleep(Duration::from_micros(dice.below(20_000)));
    } else {
        let mut ready = [0; 6];
        if stdout.read_exact(&mut ready).is_err() {
            let mut said = String::new();
            let _ = writer.stderr.take().expect("a pipe").read_to_string(&mut said);
            panic!("the writer could not open the ledger: {said}");
        }
        std::thread::sleep(Duration::from_micros(dice.below(60_000)));
    }
    // On Unix this is SIGKILL.
    writer.kill().expect("a kill");
    writer.wait().expect("an end");
    let mut said = String::new();
    stdout.read_to_string(&mut said).expect("text");
    let mut events = 0;
    for line in said.split_inclusive('\n') {
        // A line cut short was not said.
        let Some((step, id)) = line.strip_suffix('\n').and_then(|line| line.split_once(' ')) else { continue };
        steps.insert(id.to_owned(), step.to_owned());
        events += 1;
    }
    events
}

/// Every key has got at least as far as its last acknowledged step.
fn check(ledger: &Ledger, steps: &BTreeMap<String, String>) {
    let log = LogReader::open(Arc::new(RealIo), &ledger.dir()).expect("a killed writer leaves a ledger that opens");
    let state: State = at::current(&RealIo, &ledger.dir(), &log).expect("the log replays").state;
    for (id, step) in steps {
        let key = state.key(id).unwrap_or_else(|| panic!("{step} {id} was acknowledged and is gone"));
        let reached = match step.as_str() {
            "created" => true,
            "labelled" => key.label == "labelled",
            "revoked" => is_revoked(&key),
            "deleted" => key.is_deleted(),
            other => panic!("what is {other}?"),
        };
        assert!(reached, "{step} {id} was acknowledged and is not so");
    }
}

fn is_revoked(key: &KeyRecord) -> bool {
    key.revoked_at().is_some()
}
