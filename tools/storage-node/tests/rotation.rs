//! In-place rotation at a node: both secrets sign during the grace, the audit names who still uses the old one, and that one dies on
//! time.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::{Client, Inside, Prepared};
use keyledger::audit::at::AsOf;
use keyledger::audit::rotation::{RotationOptions, RotationReport, rotation};
use keyledger::audit::{Archive, Worlds};
use keyledger::ledger::{Command, Ledger, Outcome};
use keyledger::model::{GrantRole, Time};
use keyledger::sys::{Clock as _, RealIo, SystemClock};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const GRACE: Duration = Duration::from_secs(4);
/// Whoever was told of the new secret, and whoever was forgotten.
const TOLD: &str = "deploy/2.0";
const FORGOTTEN: &str = "nightly-backup/1.4";

fn now() -> Time {
    Time(SystemClock.now().wall_ns)
}

fn report(ledger: &Ledger, dir: &Path) -> RotationReport {
    let (archive, _) = Archive::open(Arc::new(RealIo), dir, ledger.reader().clone()).unwrap();
    let worlds = Worlds::live(ledger.state());
    rotation(&archive, &worlds, &RotationOptions::at(AsOf::time(now()))).unwrap()
}

#[test]
fn both_secrets_work_in_the_grace_the_report_names_who_uses_the_old_one_and_it_dies_on_time() {
    let dir = tempfile::tempdir().unwrap();
    let ledger_dir = dir.path().join("ledger");
    let node = Inside::start(dir.path());
    let given = node.given();
    let address = given.address;

    let (id, old_secret) = given.key(GrantRole::ReadOnly);
    let rotated = now();
    let grace_ns = i64::try_from(GRACE.as_nanos()).unwrap();
    let mut done = given.execute(Command::RotateSecret { key: id.clone(), grace_ns: Some(grace_ns) });
    let new_secret = done.outcome.take_secret().unwrap().expose_secret().to_owned();
    let Outcome::SecretRotated { old_deadline, .. } = done.outcome else { panic!("{:?}", done.outcome) };
    assert!(old_deadline.ns_since(rotated) >= grace_ns);

    let by = |agent, secret: &str| Prepared::by(agent, address, (id.as_str(), secret), "GET", "/fire/a");
    let (told, forgotten) = (by(TOLD, &new_secret), by(FORGOTTEN, &old_secret));
    let mut client = Client::connect(address);
    assert_eq!((client.ask(&told, None), client.ask(&forgotten, None)), (200, 200), "both in the grace");

    // What a node counted is written within a second or two.
    let until = Instant::now() + Duration::from_secs(3);
    let in_use = loop {
        let report = report(given.ledger, &ledger_dir);
        if let Some(found) = report.findings.into_iter().find(|finding| finding.check == "old-secret-in-use") {
            break found.detail;
        }
        assert!(Instant::now() < until, "no finding in time: {:?}", report.rotations);
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(in_use.contains("nightly-backup/1.4 from 127.0.0.1 (1 times"), "{in_use}");
    assert!(!in_use.contains(TOLD), "{in_use}");

    let refused = loop {
        let asked = now();
        if client.ask(&forgotten, None) != 200 {
            break asked;
        }
        assert!(asked < old_deadline, "allowed {} ms after its deadline", asked.ns_since(old_deadline) / 1_000_000);
        std::thread::sleep(Duration::from_millis(2));
    };
    let late_ms = refused.ns_since(old_deadline) / 1_000_000;
    assert!((-5..500).contains(&late_ms), "first refused {late_ms} ms after its deadline");
    assert_eq!((client.ask(&forgotten, None), client.ask(&told, None)), (403, 200), "the new one goes on");
    println!("old secret first refused {late_ms} ms after its deadline; while it lived: {in_use}");

    let row = report(given.ledger, &ledger_dir).rotations.remove(0);
    assert_eq!(row.old_stopped_at.map(|at| at.0), Some(old_deadline));
    assert_eq!(row.old_used_by.first().map(|by| by.user_agent.as_str()), Some(FORGOTTEN));
}
