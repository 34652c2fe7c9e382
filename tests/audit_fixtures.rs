//! tests/audit_fixtures.rs: whether the invented incident of `fixtures/cloudtrail` is found out, as its README tells it.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be read is the test's end")]

use keyledger::audit::at::{AsOf, worlds_at};
use keyledger::audit::biography::{BiographyOptions, biography};
use keyledger::audit::compromise::{CompromiseOptions, CompromiseReport, Node, compromise};
use keyledger::audit::rotation::{RotationOptions, rotation};
use keyledger::ledger::import::{EvidenceSink, ImportOptions, import_cloudtrail};
use keyledger::model::{
    AccountId, Actor, Commit, Dialect, Envelope, Event, OrgKind, OrgOwner, OrgSettings, OrgUid, Seq, Time,
};
use keyledger::state::Recorded;
use keyledger::sys::RealIo;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::{Path, PathBuf};

const LEAKED: &str = "AKIA4VQ2H7M9TX5RWLE3";
const MONITOR: &str = "AKIA4VQ2ZC8K1YJ6NQ0B";
const REPORTS: &str = "AKIA4VQ2P5D3SGU7HVM1";
const FORGOTTEN: &str = "AKIA4VQ2R9F6BWX2KTE8";
const SESSION: &str = "ASIA4VQ2K6Q8DZT1JCF5";

#[derive(Default)]
struct Sink(Vec<Recorded>);

impl Sink {
    fn commit(&mut self, account: AccountId, events: Vec<Event>) {
        let seq = Seq(self.0.len() as u64 + 1);
        let envelope = Envelope {
            org: Some(OrgUid::evidence(account)),
            actor: Actor::operator("root@host"),
            dialect: Dialect::Cli,
            request_id: None,
            source_ip: None,
            user_agent: None,
            reason: None,
            causation: None,
            token: None,
        };
        self.0.push(Recorded {
            seq,
            recorded_at: Time::parse("2026-03-20").unwrap().plus_ns(seq.0.cast_signed()),
            clock_regressed: false,
            frame_hash: [0; 32],
            commit: Commit { envelope, events },
        });
    }
}

impl EvidenceSink for Sink {
    type Error = Infallible;

    fn known_ids(&mut self, _: &mut dyn FnMut([u8; 16])) -> Result<(), Infallible> {
        Ok(())
    }

    fn batch(&mut self, account: AccountId, _: &str, events: Vec<Event>) -> Result<(), Infallible> {
        if self.0.is_empty() {
            self.commit(
                account,
                vec![Event::OrgCreated {
                    org: OrgUid::evidence(account),
                    account,
                    kind: OrgKind::Evidence,
                    name: "evidence".into(),
                    owner: OrgOwner::Operator,
                    settings: OrgSettings::default(),
                }],
            );
        }
        self.commit(account, events);
        Ok(())
    }
}

fn incident() -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cloudtrail");
    let paths: Vec<PathBuf> =
        ["AWSLogs", "night-of-the-14th.jsonl", "lookup-events.json"].iter().map(|name| folder.join(name)).collect();
    let mut sink = Sink::default();
    let counts = import_cloudtrail(&RealIo, &paths, ImportOptions::default(), &mut sink, &mut |_| {}).expect("imports");
    assert_eq!((counts.imported, counts.rejected), (340, 0));
    sink.0
}

fn until() -> Time {
    Time::parse("2026-03-16").unwrap()
}

#[expect(clippy::ptr_arg, reason = "a history in memory is a Vec")]
fn investigate(history: &Vec<Recorded>) -> CompromiseReport {
    let as_of = AsOf::time(until());
    let worlds = worlds_at(history, as_of).unwrap();
    let options = CompromiseOptions { since: Some(Time::parse("2026-03-14").unwrap()), ..CompromiseOptions::at(as_of) };
    compromise(history, &worlds, LEAKED, &options).unwrap()
}

fn child<'a>(node: &'a Node, name: &str) -> &'a Node {
    node.children.iter().find(|child| child.name == name).unwrap_or_else(|| panic!("{name} below {}", node.name))
}

#[test]
fn the_night_of_the_14th_is_told_as_it_was() {
    let history = incident();
    let report = investigate(&history);
    assert_eq!(report.places[0].owner, "ci-deploy");
    assert_eq!(report.places[0].status, "Inactive");

    let addresses: Vec<_> = report.addresses.iter().filter(|row| row.is_new).map(|row| row.value.as_str()).collect();
    assert!(addresses.contains(&"192.0.2.66"), "{addresses:?}");
    assert!(report.denials.len() >= 11, "{:?}", report.denials);

    // What it made, down to the key that nobody found.
    let [root] = report.tree.as_slice() else { panic!("one root") };
    assert_eq!(child(root, "svc-monitor").alive, Some(false));
    let monitor = child(root, MONITOR);
    assert_eq!((monitor.alive, monitor.acts_as.as_deref()), (Some(false), Some("svc-monitor")));
    assert_eq!(child(root, REPORTS).alive, Some(false));
    let session = child(root, SESSION);
    assert_eq!(session.kind, "temporary-key");
    assert!(session.acts_as.as_deref().is_some_and(|name| name.contains("customer-export")), "{session:?}");
    let read = |node: &Node| (node.uses.tally.ok, node.uses.tally.denied, node.uses.actions.clone());
    let of = |actions: &[&str]| actions.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(read(session), (73, 0, of(&["s3:GetObject", "s3:ListObjects"])), "72 exports, found by one list");
    let forgotten = child(monitor, FORGOTTEN);
    assert_eq!((forgotten.alive, forgotten.acts_as.as_deref()), (Some(true), Some("legacy-etl")));
    let seen = of(&["s3:GetObject", "s3:ListObjects", "sts:GetCallerIdentity"]);
    assert_eq!(read(forgotten), (10, 0, seen), "eight backups, one list, one look at itself");
    assert!(monitor.acts.iter().any(|act| act.kind == "anti-forensics"), "{:?}", monitor.acts);

    let keys: Vec<_> = report.alive.iter().filter(|alive| alive.kind == "key").collect();
    assert_eq!(keys.len(), 1, "{:?}", report.alive);
    assert!(keys[0].what.starts_with(FORGOTTEN));
    assert_eq!(keys[0].path, [LEAKED, MONITOR]);

    let found: BTreeSet<_> = report.findings.iter().map(|finding| finding.check).collect();
    for check in ["made-user", "made-key", "logging-attacked", "new-network", "tried-after-stop", "rights-widened"] {
        assert!(found.contains(check), "{check} in {found:?}");
    }
    assert!(!found.contains("still-usable"));
    assert!(report.widened.iter().any(|row| row.summary.contains("deploy")), "{:?}", report.widened);
    assert!(report.after_stop.iter().any(|row| row.address == "192.0.2.66"), "the intruder tries again");
    assert!(report.findings.iter().all(|finding| !finding.events.is_empty()));
}

#[test]
fn the_rotation_audit_names_the_keys_of_the_readme() {
    let history = incident();
    let as_of = AsOf::time(until());
    let worlds = worlds_at(&history, as_of).unwrap();
    let report = rotation(&history, &worlds, &RotationOptions::at(as_of)).unwrap();
    let has = |check: &str, id: &str| {
        report.findings.iter().any(|finding| finding.check == check && finding.access_key_id.as_deref() == Some(id))
    };
    assert!(has("secret-too-old", "AKIA4VQ2F9R4CSM6HLJ8"));
    assert!(has("unused", "AKIA4VQ2F9R4CSM6HLJ8"));
    assert!(has("never-used", "AKIA4VQ2T7E3VNK5XGW1"));
    assert!(has("never-used", "AKIA4VQ2N0X5IWE2RYU6"), "the Lightsail key");
    assert!(has("secret-too-old", "AKIA4VQ2L1S6OFG8MBC9"), "older than the evidence, so at least as old");
    assert!(report.findings.iter().any(|f| f.check == "several-usable-keys" && f.owner.as_deref() == Some("backup")));
    let rotated = report.rotations.iter().find(|row| row.new == "AKIA4VQ2W8T5KHD3IRX0").expect("web-app's");
    assert_eq!((rotated.kind, rotated.old.as_str()), ("inferred", "AKIA4VQ2C2J7QNU4EVO6"));
    assert_eq!(rotated.overlap_seconds / 86_400, 2, "from the 3rd to the 5th: {rotated:?}");
    assert!(!has("deleted-without-revoke", "AKIA4VQ2C2J7QNU4EVO6"), "it was made inactive first");
    assert!(report.findings.iter().all(|finding| !finding.events.is_empty()), "{:?}", report.findings);

    // Half a year earlier the same log knows nothing of the leak.
    let before = AsOf::time(Time::parse("2025-09-15").unwrap());
    let then = worlds_at(&history, before).unwrap();
    let early = rotation(&history, &then, &RotationOptions::at(before)).unwrap();
    assert!(early.keys.total < report.keys.total);
    assert!(!early.findings.iter().any(|f| f.access_key_id.as_deref() == Some("AKIA4VQ2T7E3VNK5XGW1")));
}

#[test]
fn the_biography_of_the_forgotten_key_says_who_made_it_whence() {
    let history = incident();
    let as_of = AsOf::time(until());
    let worlds = worlds_at(&history, as_of).unwrap();
    let told = biography(&history, &worlds, FORGOTTEN, &BiographyOptions { as_of, with_rights: true }).unwrap();
    let [life] = told.lives.as_slice() else { panic!("one life") };
    let created = life.created.as_ref().expect("it was seen made");
    assert_eq!(created.actor.access_key_id.as_deref(), Some(MONITOR));
    assert_eq!(created.source_ip.as_deref(), Some("192.0.2.66"));
    assert!(life.usable);
    assert_eq!(life.uses.addresses, 2, "{:?}", life.uses);
}
