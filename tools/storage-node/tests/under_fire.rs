//! Revoke under fire: two clients hammer the node with a key while it is revoked, a thousand times.
//!
//! Through the node's own ledger no request that began after the revoke returned may be allowed. When another process writes (here:
//! this test, beside the node's program) none may be that names the revoke's seq; for the others the time until the first 403 is
//! printed. `REVOKES` names another number of keys.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test that cannot go on says so"
)]

mod common;

use common::{Client, Given, Inside, Prepared, Running, new_org};
use keyledger::ledger::{Command, InitOptions, Ledger};
use keyledger::model::GrantRole;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const CLIENTS: usize = 2;

/// One at a time: each takes all cores.
static ALONE: Mutex<()> = Mutex::new(());

/// What was seen of one request.
struct Seen {
    began: Instant,
    ended: Instant,
    status: u16,
}

/// What came of all revokes.
#[derive(Default)]
struct Tally {
    requests: usize,
    allowed_after: usize,
    allowed_with_seq: usize,
    first_403: Vec<Duration>,
}

impl Tally {
    fn say(&mut self, what: &str) {
        self.first_403.sort();
        let at =
            |part: f64| self.first_403[((self.first_403.len() - 1) as f64 * part).round() as usize].as_secs_f64() * 1e3;
        println!(
            "{} revokes {what}: {} requests over {CLIENTS} clients, {} that began after the revoke returned were allowed, {} of \
             those that named its seq; first 403 after it returned p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            self.first_403.len(),
            self.requests,
            self.allowed_after,
            self.allowed_with_seq,
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
}

fn revokes() -> usize {
    std::env::var("REVOKES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000)
}

impl Given<'_> {
    /// Makes a key, hammers with it, revokes it, and looks at what was answered.
    fn revoke_under_fire(&self, tally: &mut Tally) {
        let (id, secret) = self.key(GrantRole::ReadOnly);
        let prepared = Prepared::new(self.address, (id.as_str(), &secret), "GET", "/fire/a");
        let (allowed, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let hammer = || {
            let (mut client, mut seen, mut own) = (Client::connect(self.address), Vec::new(), 0);
            while !stop.load(Ordering::Acquire) {
                let began = Instant::now();
                let status = client.ask(&prepared, None);
                seen.push(Seen { began, ended: Instant::now(), status });
                if status == 200 {
                    own += 1;
                    if own == 3 {
                        allowed.fetch_add(1, Ordering::AcqRel);
                    }
                } else if own >= 3 && seen.iter().rev().take_while(|seen| seen.status == 403).count() >= 3 {
                    break;
                }
            }
            seen
        };
        let mut after = Client::connect(self.address);
        let (seen, returned) = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(hammer)).collect();
            let until = Instant::now() + Duration::from_secs(10);
            while allowed.load(Ordering::Acquire) < CLIENTS {
                assert!(Instant::now() < until, "the key never worked");
                std::thread::sleep(Duration::from_micros(200));
            }
            let seq = self.execute(Command::RevokeKey { key: id.clone() }).seq;
            let returned = Instant::now();
            if after.ask(&prepared, Some(seq)) == 200 {
                tally.allowed_with_seq += 1;
            }
            while clients.iter().any(|client| !client.is_finished()) && returned.elapsed() < Duration::from_secs(5) {
                std::thread::sleep(Duration::from_micros(200));
            }
            stop.store(true, Ordering::Release);
            let seen: Vec<Seen> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
            (seen, returned)
        });
        tally.requests += seen.len();
        tally.allowed_after += seen.iter().filter(|seen| seen.began > returned && seen.status == 200).count();
        // The first that was refused may have been on its way when the revoke returned.
        let last_allowed = seen.iter().filter(|seen| seen.status == 200).map(|seen| seen.ended).max().unwrap();
        let refused = seen.iter().filter(|seen| seen.status == 403 && seen.began > last_allowed.min(returned));
        let first = refused.map(|seen| seen.ended).min().expect("it was refused in the end");
        tally.first_403.push(first.saturating_duration_since(returned));
    }
}

#[test]
fn no_request_that_began_after_a_revoke_through_the_nodes_own_ledger_returned_is_allowed() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let node = Inside::start(dir.path());
    let given = node.given();
    let mut tally = Tally::default();
    for _ in 0..revokes() {
        given.revoke_under_fire(&mut tally);
    }
    tally.say("through the node's own ledger");
    assert_eq!((tally.allowed_after, tally.allowed_with_seq), (0, 0));
}

#[test]
fn no_request_that_names_the_seq_of_a_revoke_by_another_process_is_allowed_and_the_others_end_soon() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let ledger_dir = dir.path().join("ledger");
    let ledger = Ledger::init(&ledger_dir, &InitOptions::default()).unwrap();
    let org = new_org(&ledger);
    let node = Running::start(&ledger_dir, &dir.path().join("root"), ["--follow"], &[]);
    let given = Given { ledger: &ledger, org, address: node.address };
    given.prepare_bucket();
    let mut tally = Tally::default();
    for _ in 0..revokes() {
        given.revoke_under_fire(&mut tally);
    }
    tally.say("by another process");
    assert_eq!(tally.allowed_with_seq, 0);
    let p99 = tally.first_403[tally.first_403.len() * 99 / 100];
    assert!(p99 < Duration::from_millis(100), "p99 {p99:?}; the goal is 10 ms on a quiet machine");
}
