//! tests/audit.rs: whether the past answers what was planted in it.
#![allow(clippy::unwrap_used, reason = "a story that does not parse is the test's own fault")]

mod audit_story;

use audit_story::{DAY, HOUR, MINUTE, Story, at, grant, iam_user, secret};
use keyledger::audit::at::{AsOf, KeyPast, worlds_at};
use keyledger::audit::biography::{BiographyOptions, biography, uids_of};
use keyledger::audit::compromise::{CompromiseOptions, compromise};
use keyledger::audit::diff::{Became, diff};
use keyledger::audit::identify::identify;
use keyledger::audit::listing::{ListingOptions, Noun, digest, listing};
use keyledger::audit::query::KeyPart;
use keyledger::audit::rotation::{RotationOptions, rotation};
use keyledger::audit::{Asked, AuditError, FactRow, Held, History, Mention, Query, Severity, Worlds, log};
use keyledger::model::id::World;
use keyledger::model::{
    AccessKeyId, Actor, ActorKind, Event, GrantRole, Holder, KeyOwner, Outcome, Rank, Seq, Time, When, uids,
};
use std::ops::ControlFlow;

const ALICE: &str = "NQAKAAAAAAAAAAAAALIC";
const BOB: &str = "NQAKBBBBBBBBBBBBBBOB";
const NEXT: &str = "NQAKNEXTNEXTNEXTNEXT";

fn rows(story: &Story, asked: &Asked) -> Vec<FactRow> {
    let worlds = Worlds::of(&story.state());
    let query = Query::of(asked, &story.commits, &worlds).unwrap();
    let mut rows = Vec::new();
    log::rows(&story.commits, &worlds, &query, &mut |row| {
        rows.push(row);
        ControlFlow::Continue(())
    })
    .unwrap();
    rows
}

fn kinds(rows: &[FactRow]) -> Vec<&'static str> {
    rows.iter().map(|row| row.kind).collect()
}

/// The story with a key's own commits held in memory, and no others among them.
fn held<'a>(story: &'a Story, id: &str) -> Held<'a, Vec<keyledger::state::Recorded>> {
    let (live, evidence) = uids_of(id);
    let terms = [live, evidence].into_iter().flat_map(|uid| [Mention::Key(uid).term(), Mention::ActorKey(uid).term()]);
    Held::of(&story.commits, terms.collect()).unwrap()
}

fn now_options(story: &Story) -> AsOf {
    AsOf::time(story.now)
}

#[test]
fn filters_hold_together_and_a_name_is_found_through_its_renames() {
    let mut story = Story::new("2026-01-01T00:00:00Z");
    let alice = story.user("alice");
    let bob = story.user("bob");
    let key = story.key(ALICE, KeyOwner::User(alice));
    story.key(BOB, KeyOwner::User(bob));
    let by_alice = Actor {
        kind: ActorKind::User,
        name: "alice".into(),
        user: Some(alice),
        key: Some(AccessKeyId::parse(ALICE).unwrap()),
    };
    story.by(by_alice, "203.0.113.9");
    story.commit(vec![Event::KeyLabelled { key, before: "".into(), after: "laptop".into() }]);
    story.by(Actor::operator("root@host"), "192.0.2.1");
    story.commit(vec![Event::UserRenamed { user: alice, before: "alice".into(), after: "alicia".into() }]);
    story.commit(vec![Event::KeyRevoked { key }]);

    let asked = |f: fn(&mut Asked)| {
        let mut asked = Asked::default();
        f(&mut asked);
        asked
    };
    let about_key = rows(&story, &asked(|a| a.key = Some(ALICE.into())));
    assert_eq!(kinds(&about_key), ["key-created", "key-labelled", "key-revoked"]);
    let by_new_name = rows(&story, &asked(|a| a.actor = Some("alicia".into())));
    assert_eq!(kinds(&by_new_name), ["key-labelled"], "what alice did before she was alicia");
    let about_old_name = rows(&story, &asked(|a| a.user = Some("ALICE".into())));
    assert_eq!(kinds(&about_old_name), ["user-created", "key-created", "key-labelled", "user-renamed"]);
    let from = rows(&story, &asked(|a| a.address = Some("203.0.113.0/24".into())));
    assert_eq!(kinds(&from), ["key-labelled"]);
    let caused = rows(&story, &asked(|a| (a.key, a.key_part) = (Some(ALICE.into()), KeyPart::Caused)));
    assert_eq!(kinds(&caused), ["key-labelled"]);
    let newest = rows(&story, &asked(|a| (a.reverse, a.limit) = (true, Some(2))));
    assert_eq!(kinds(&newest), ["key-revoked", "user-renamed"]);
    let some = rows(&story, &asked(|a| (a.since, a.until) = (Some(When::Seq(Seq(4))), Some(When::Seq(Seq(6))))));
    assert_eq!(some.iter().map(|row| row.event.to_string()).collect::<Vec<_>>(), ["4.0", "5.0"], "until is exclusive");
    let nobody = Query::of(&asked(|a| a.user = Some("carol".into())), &story.commits, &Worlds::of(&story.state()));
    assert!(matches!(nobody, Err(AuditError::Unknown { noun: "user", .. })), "{nobody:?}");
}

#[test]
fn one_key_as_of_any_moment_is_what_a_whole_replay_gives() {
    let mut story = Story::new("2026-01-01T00:00:00Z");
    let alice = story.user("alice");
    let mut keys = Vec::new();
    for n in 0..20 {
        keys.push(story.key(&format!("NQAK{n:016}"), KeyOwner::User(alice)));
        let key = keys[n / 2];
        let event = match n % 4 {
            0 => Event::KeySuspended { key, by_admin: false },
            1 => Event::KeyResumed { key },
            2 => Event::KeyLabelled { key, before: "".into(), after: format!("n{n}").into() },
            _ => Event::KeyRevoked { key },
        };
        story.commit(vec![event]);
        if n == 10 {
            story.commit(vec![Event::OrgSuspended {}]);
        }
    }
    story.commit(vec![Event::OrgResumed {}]);
    let past = KeyPast::new(&story.commits).unwrap();
    for seq in 0..=story.commits.len() as u64 {
        let whole = worlds_at(&story.commits, AsOf::seq(Seq(seq))).unwrap();
        let now = whole.live_state().recorded_at();
        for uid in &keys {
            let record = past.key_at(*uid, When::Seq(Seq(seq))).unwrap();
            assert_eq!(record, whole.live_state().key_by_uid(*uid), "seq {seq}");
            if let Some(record) = record {
                let status = past.status_at(&record, When::Seq(Seq(seq)), now);
                assert_eq!(status, whole.status(&record, now), "seq {seq}");
            }
        }
    }
    let ahead = worlds_at(&story.commits, AsOf::seq(Seq(1_000)));
    assert!(matches!(ahead, Err(AuditError::AheadOfLog { asked: 1_000, .. })));
}

#[test]
fn a_biography_tells_each_change_with_its_status_before_and_after() {
    let mut story = Story::new("2026-01-01T00:00:00Z");
    let alice = story.user("alice");
    let key = story.key_with(ALICE, KeyOwner::User(alice), vec![grant(Some("photos"), GrantRole::ReadOnly)], None);
    let after = vec![grant(None, GrantRole::Editor)];
    let before = vec![grant(Some("photos"), GrantRole::ReadOnly)];
    story.pass(DAY).commit(vec![Event::KeyGrantsSet { key, before, after }]);
    story.commit(vec![Event::UserRenamed { user: alice, before: "alice".into(), after: "alicia".into() }]);
    story.commit(vec![Event::OrgSuspended {}]);
    story.commit(vec![Event::OrgResumed {}]);
    let used = story.used("read", "198.51.100.4", "rclone", "ok", 7);
    story.use_key(key, &[used]);
    let by_key = Actor {
        kind: ActorKind::User,
        name: "alicia".into(),
        user: Some(alice),
        key: Some(AccessKeyId::parse(ALICE).unwrap()),
    };
    story.by(by_key, "198.51.100.4").key_with(NEXT, KeyOwner::User(alice), Vec::new(), Some(key));
    story.by(Actor::operator("root@host"), "192.0.2.1");
    story.commit(vec![Event::KeyRevoked { key }]);
    story.commit(vec![Event::KeyDeleted { key, access_key_id: AccessKeyId::parse(ALICE).unwrap(), unrevoked: false }]);

    let worlds = Worlds::of(&story.state());
    let options = BiographyOptions { as_of: now_options(&story), with_rights: true };
    let told = biography(&story.commits, &worlds, ALICE, &options).unwrap();
    let life = &told.lives[0];
    assert_eq!((life.status, life.owner.as_str(), life.uses.tally.ok), ("Deleted", "alicia", 7));
    assert_eq!(life.created.as_ref().unwrap().event.to_string(), "3.0");
    assert_eq!(life.made.iter().map(|made| made.access_key_id.as_str()).collect::<Vec<_>>(), [NEXT]);
    assert_eq!(life.earlier_names.iter().map(|n| (n.of, n.name.as_str())).collect::<Vec<_>>(), [("owner", "alice")]);
    assert_eq!(life.secrets[0].uses, 7);
    assert_eq!(life.secrets[0].last_used_from.as_deref(), Some("198.51.100.4"));
    let steps: Vec<_> = life
        .history
        .iter()
        .map(|c| (c.row.kind, c.status_before.unwrap_or("-"), c.status_after.unwrap_or("-")))
        .collect();
    assert_eq!(
        steps,
        [
            ("user-created", "-", "-"),
            ("key-created", "-", "Active"),
            ("key-grants-set", "Active", "Active"),
            ("user-renamed", "Active", "Active"),
            ("org-suspended", "Active", "OrgSuspended"),
            ("org-resumed", "OrgSuspended", "Active"),
            ("key-created", "Active", "Active"),
            ("key-revoked", "Active", "Revoked"),
            ("key-deleted", "Revoked", "Deleted"),
        ]
    );
    let change = &life.history[2].row.changes[0];
    assert_eq!(change.before.as_deref(), Some("ReadOnly on photos"));
    assert_eq!(change.after.as_deref(), Some("Editor on *"));
    assert!(life.history[6].caused, "it made the other key");
    let nobody = biography(&story.commits, &worlds, "NQAKNOBODYEVERHADIT0", &options).unwrap();
    assert!(nobody.lives.is_empty());
    let json = serde_json::to_value(&told).unwrap();
    assert_eq!(json["lives"][0]["history"][1]["event"], "3.0");
    assert_eq!(json["lives"][0]["created_at"], life.created_at.unwrap().to_string());
}

fn checks(report: &keyledger::audit::rotation::RotationReport) -> Vec<(&'static str, &'static str, Option<&str>)> {
    report.findings.iter().map(|f| (f.question, f.check, f.access_key_id.as_deref())).collect()
}

#[test]
fn the_rotation_audit_finds_every_planted_sin_and_nothing_else() {
    let mut story = Story::new("2025-01-01T00:00:00Z");
    let admin =
        story.policy("admin", r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#);
    let alice = story.user("alice");
    let bob = story.user("bob");
    let carol = story.user("carol");
    let label = |story: &mut Story, key| {
        story.commit(vec![
            Event::KeyLabelled { key, before: "".into(), after: "app".into() },
            Event::KeyExpirySet { key, before: None, after: Some(at("2030-01-01T00:00:00Z")) },
        ])
    };
    // Old, and idle since February.
    let old = story.key("NQAKOLDOLDOLDOLDOLD0", KeyOwner::User(alice));
    label(&mut story, old);
    story.until("2025-02-01T00:00:00Z");
    let used = story.used("read", "198.51.100.4", "rclone", "ok", 1);
    story.use_key(old, &[used]);
    // Two at once, made in August; one never used, the other used yesterday.
    story.until("2025-08-01T00:00:00Z");
    let first = story.key("NQAKFIRSTFIRSTFIRST0", KeyOwner::User(bob));
    let second = story.key("NQAKSECONDSECONDSEC0", KeyOwner::User(bob));
    label(&mut story, first);
    label(&mut story, second);
    // Wide, and shared by seven programs from seven networks.
    story.until("2025-08-20T00:00:00Z");
    let wide = story.key("NQAKWIDEWIDEWIDEWIDE", KeyOwner::User(carol));
    label(&mut story, wide);
    let attached = story.attach(admin, Holder::Key(wide));
    for n in 0..7 {
        let used = story.used("read", &format!("10.{n}.0.1"), &format!("app-{n}"), "ok", 1);
        story.use_key(wide, &[used]);
    }
    // Deleted while it was usable.
    story.until("2025-08-25T00:00:00Z");
    let gone = story.key("NQAKGONEGONEGONEGONE", KeyOwner::Org);
    let deleted = Event::KeyDeleted {
        key: gone,
        access_key_id: AccessKeyId::parse("NQAKGONEGONEGONEGONE").unwrap(),
        unrevoked: true,
    };
    story.commit(vec![deleted]);
    story.until("2025-08-31T00:00:00Z");
    for key in [second, wide] {
        let used = story.used("read", "10.0.0.1", "app-0", "ok", 1);
        story.use_key(key, &[used]);
    }
    story.until("2025-09-01T00:00:00Z");

    let worlds = Worlds::of(&story.state());
    let mut options = RotationOptions::at(AsOf::time(story.now));
    options.overlap_days = 20;
    let report = rotation(&story.commits, &worlds, &options).unwrap();
    let mut found = checks(&report);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("R1", "secret-too-old", Some("NQAKOLDOLDOLDOLDOLD0")),
            ("R13", "deleted-without-revoke", Some("NQAKGONEGONEGONEGONE")),
            ("R4", "unused", Some("NQAKOLDOLDOLDOLDOLD0")),
            ("R6", "several-usable-keys", None),
            ("R7", "shared-key", Some("NQAKWIDEWIDEWIDEWIDE")),
            ("R7", "wide-rights", Some("NQAKWIDEWIDEWIDEWIDE")),
            ("R8", "unused-rights", Some("NQAKWIDEWIDEWIDEWIDE")),
        ]
    );
    assert_eq!(report.findings[0].check, "secret-too-old", "worst first: {:?}", report.findings[0]);
    let wide_finding = report.findings.iter().find(|f| f.check == "wide-rights").unwrap();
    assert_eq!(wide_finding.events[0].0.seq, attached, "it names the attachment");
    let old_finding = report.findings.iter().find(|f| f.check == "secret-too-old").unwrap();
    assert_eq!(old_finding.days, Some(242 - 90));
    assert_eq!(old_finding.severity, Severity::High);
    assert_eq!(report.keys.usable, 4);
    let of_old = report.attribution.iter().find(|row| row.access_key_id == "NQAKOLDOLDOLDOLDOLD0").unwrap();
    assert_eq!(of_old.created.as_ref().unwrap().actor.name, "root@host");

    // Later: never used becomes a finding of its own, and the same day asked again gives the same answer.
    story.until("2025-10-15T00:00:00Z").user("late");
    let later = Worlds::of(&story.state());
    let report_later = rotation(&story.commits, &later, &RotationOptions::at(AsOf::time(story.now))).unwrap();
    assert!(checks(&report_later).contains(&("R4", "never-used", Some("NQAKFIRSTFIRSTFIRST0"))));
    let day = AsOf::time(at("2025-09-01T00:00:00Z"));
    let again =
        rotation(&story.commits, &worlds_at(&story.commits, day).unwrap(), &RotationOptions { as_of: day, ..options })
            .unwrap();
    assert_eq!(again.findings, report.findings);
    assert_eq!(again.snapshot, report.snapshot, "byte for byte (R14)");
}

#[test]
fn rotations_are_told_with_overlap_and_use_after_the_switch() {
    let mut story = Story::new("2025-01-01T00:00:00Z");
    let alice = story.user("alice");
    let old = story.key(ALICE, KeyOwner::User(alice));
    story.until("2025-06-01T00:00:00Z");
    let new = story.created(NEXT, KeyOwner::User(alice), Vec::new(), Some(old));
    let successor = new.key;
    let deadline = at("2025-06-08T00:00:00Z");
    story.commit(vec![Event::KeyCreated(Box::new(new)), Event::KeyRotated { old, new: successor, deadline }]);
    story.until("2025-06-03T00:00:00Z");
    let used = story.used("read", "198.51.100.4", "rclone", "ok", 3);
    story.use_key(old, &[used]);
    // In place: version 2, in time; the old version is still used.
    let bob = story.user("bob");
    let in_place = story.key(BOB, KeyOwner::User(bob));
    story.until("2025-07-03T00:00:00Z");
    story.commit(vec![Event::KeySecretRotated {
        key: in_place,
        secret: secret(2, BOB, story.now),
        old_version: 1,
        old_deadline: at("2027-01-01T00:00:00Z"),
    }]);
    story.pass(DAY);
    let used = story.used("read", "198.51.100.9", "s3cmd", "ok", 2);
    story.use_key(in_place, &[used]);
    story.until("2025-09-01T00:00:00Z");

    let worlds = Worlds::of(&story.state());
    let report = rotation(&story.commits, &worlds, &RotationOptions::at(AsOf::time(story.now))).unwrap();
    let [pair, placed] = report.rotations.as_slice() else { panic!("{:?}", report.rotations) };
    assert_eq!((pair.kind, pair.old.as_str(), pair.new.as_str()), ("pair", ALICE, NEXT));
    assert_eq!(pair.age_days, Some(150));
    assert_eq!(pair.late_by_days, Some(60));
    assert_eq!(pair.overlap_seconds, 7 * 86_400);
    assert_eq!((pair.old_uses_after, pair.old_stopped_at.map(|s| s.0)), (3, Some(deadline)));
    assert_eq!((placed.kind, placed.old_version, placed.new_version), ("in-place", Some(1), Some(2)));
    assert_eq!((placed.late_by_days, placed.old_uses_after), (Some(29 - 90), 2));
    let [by] = placed.old_used_by.as_slice() else { panic!("{:?}", placed.old_used_by) };
    assert_eq!((by.address.as_str(), by.user_agent.as_str(), by.uses), ("198.51.100.9", "s3cmd", 2));
    let in_use = report.findings.iter().find(|finding| finding.check == "old-secret-in-use").unwrap();
    assert!(in_use.detail.contains("s3cmd from 198.51.100.9 (2 times"), "{}", in_use.detail);
    let found = checks(&report);
    assert!(found.contains(&("R2", "rotated-late", Some(ALICE))));
    assert!(found.contains(&("R3", "rotation-not-finished", Some(BOB))), "{found:?}");
    assert!(found.contains(&("R3", "old-secret-in-use", Some(BOB))));
    assert!(!found.contains(&("R2", "rotated-late", Some(BOB))));
}

const LEAKED: &str = "AKIALEAKEDLEAKEDLEAK";
const CHILD: &str = "AKIACHILDCHILDCHILD0";
const GRANDCHILD: &str = "AKIAGRANDCHILDGRAND0";
const TEMPORARY: &str = "ASIATEMPORARYTEMPOR0";
const ADMIN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// christophe's key leaks on 1 August; the thief makes a user, a key for it, and through that a third key and a session.
fn leak() -> Story {
    let mut story = Story::evidence("2024-09-01T00:00:00Z");
    let owner = iam_user("christophe", LEAKED);
    let (home, thief) = ("198.51.100.7", "203.0.113.66");
    for day in 1..=20 {
        let record = story.record(&format!("2024-07-{day:02}T09:00:00Z"), &owner, "ListBuckets", Rank::Observed, home);
        story.observed(record);
    }
    let made = story.record("2024-08-01T13:33:28Z", &owner, "CreateUser", Rank::CreateNoun, thief);
    let key = story.record("2024-08-01T13:33:28Z", &owner, "CreateAccessKey", Rank::CreateKey, thief);
    let attached = story.record("2024-08-01T13:33:28Z", &owner, "AttachUserPolicy", Rank::PutOrAttach, thief);
    // Imported out of order, as the files have them.
    story.changed(
        attached,
        vec![
            policy_named(ADMIN, "AdministratorAccess"),
            Story::mention_user("mallory"),
            Story::evidence_attach("mallory", ADMIN),
        ],
    );
    story.changed(key, vec![Story::mention_user("mallory"), Story::evidence_key(CHILD, "mallory")]);
    story.changed(made, vec![Story::evidence_user("mallory")]);
    let child = iam_user("mallory", CHILD);
    let third = story.record("2024-08-01T14:00:00Z", &child, "CreateAccessKey", Rank::CreateKey, thief);
    story.changed(third, vec![Story::mention_user("innocent"), Story::evidence_key(GRANDCHILD, "innocent")]);
    let session = story.record("2024-08-01T14:05:00Z", &child, "AssumeRole", Rank::Observed, thief);
    story.observed_with(session, |observed| {
        observed.issued_key = Some(AccessKeyId::parse(TEMPORARY).unwrap());
        observed.issued_for = Some("deploy/x".into());
    });
    let by_session = iam_user("deploy", TEMPORARY);
    let stopped = story.record("2024-08-01T14:06:00Z", &by_session, "StopLogging", Rank::Observed, thief);
    story.observed(stopped);
    let grandchild = iam_user("innocent", GRANDCHILD);
    let deleted = story.record("2024-08-01T14:10:00Z", &grandchild, "DeleteObject", Rank::Observed, "203.0.113.99");
    story.observed(deleted);
    let mut denied = story.record("2024-08-01T13:30:00Z", &owner, "DescribeInstances", Rank::Observed, thief);
    denied.outcome = Outcome::Denied { code: "Client.UnauthorizedOperation".into() };
    story.observed(denied);
    // Another key of the owner, and one the thief used too.
    let other = story.record(
        "2024-08-02T00:00:00Z",
        &iam_user("dora", "AKIADORADORADORADOR0"),
        "ListBuckets",
        Rank::Observed,
        thief,
    );
    story.observed(other);
    // The child key is found and deactivated, then tried again.
    let admin = iam_user("root-admin", "AKIADMINADMINADMIN00");
    let suspended = story.record("2024-08-03T00:00:00Z", &admin, "UpdateAccessKey", Rank::Update, "198.51.100.1");
    let child_uid = AccessKeyId::uid_of(CHILD, World::Evidence);
    story.changed(
        suspended,
        vec![Story::mention_key(CHILD, "mallory"), Event::KeySuspended { key: child_uid, by_admin: false }],
    );
    story
}

fn policy_named(arn: &str, name: &str) -> Event {
    Event::PolicyCreated {
        policy: uids::policy(arn),
        name: name.into(),
        path: "/".into(),
        description: "AWS managed".into(),
        tags: Default::default(),
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#.into(),
    }
}

#[test]
fn an_investigation_follows_what_the_leaked_key_made_to_the_third_generation() {
    let story = leak();
    let worlds = Worlds::of(&story.state());
    let mut options = CompromiseOptions::at(AsOf::time(story.now));
    options.since = Some(at("2024-08-01T00:00:00Z"));
    let report = compromise(&story.commits, &worlds, LEAKED, &options).unwrap();

    assert!(report.known);
    assert_eq!(report.places[0].owner, "christophe");
    assert_eq!(report.places[0].created_at, None, "older than the evidence");
    assert_eq!((report.baseline.tally.ok, report.window.tally.ok, report.window.tally.denied), (20, 3, 1));
    let address = &report.addresses[0];
    assert_eq!((address.value.as_str(), address.is_new), ("203.0.113.66", true));
    assert!(!report.agents[0].is_new, "the same program as ever");
    assert_eq!(report.denials[0].action, "ec2:DescribeInstances");

    // The tree: user mallory, whose key made a third key and a session; the session blinded the trail.
    let root = &report.tree[0];
    let names = |nodes: &[keyledger::audit::compromise::Node]| {
        nodes.iter().map(|n| (n.kind, n.name.clone(), n.alive)).collect::<Vec<_>>()
    };
    let children = names(&root.children);
    assert!(children.contains(&("user", "mallory".to_owned(), Some(true))), "{children:?}");
    assert!(children.contains(&("key", CHILD.to_owned(), Some(false))), "{children:?}");
    let child = root.children.iter().find(|node| node.name == CHILD).unwrap();
    let grown = names(&child.children);
    assert!(grown.contains(&("key", GRANDCHILD.to_owned(), Some(true))), "{grown:?}");
    assert!(grown.contains(&("temporary-key", TEMPORARY.to_owned(), Some(false))), "36 h are over: {grown:?}");
    let grandchild = child.children.iter().find(|node| node.name == GRANDCHILD).unwrap();
    assert_eq!(grandchild.uses.actions, ["s3:DeleteObject"]);
    let session = child.children.iter().find(|node| node.name == TEMPORARY).unwrap();
    assert_eq!(session.acts_as.as_deref(), Some("deploy/x"));
    assert_eq!(session.acts[0].kind, "anti-forensics");

    let alive: Vec<_> = report.alive.iter().map(|a| (a.kind, a.what.as_str())).collect();
    assert!(alive.iter().any(|(kind, what)| *kind == "user" && what.starts_with("mallory")), "{alive:?}");
    assert!(alive.iter().any(|(kind, what)| *kind == "key" && what.starts_with(GRANDCHILD)), "{alive:?}");
    assert!(alive.iter().any(|(kind, what)| *kind == "right" && what.contains("AdministratorAccess")), "{alive:?}");
    assert!(!alive.iter().any(|(_, what)| what.starts_with(CHILD)), "deactivated");
    let third = report.alive.iter().find(|a| a.what.starts_with(GRANDCHILD)).unwrap();
    assert_eq!(third.path, [LEAKED, CHILD]);

    let siblings: Vec<_> = report.siblings.iter().map(|s| s.access_key_id.as_str()).collect();
    assert_eq!(siblings, ["AKIADORADORADORADOR0"], "used from the thief's address; the tree is no sibling");
    let found: Vec<_> = report.findings.iter().map(|f| f.check).collect();
    for check in ["still-usable", "new-network", "made-user", "made-key", "widened-rights", "logging-attacked"] {
        assert!(found.contains(&check), "{check} in {found:?}");
    }
    assert!(report.findings.iter().all(|f| !f.events.is_empty() || f.check == "still-usable"));
    assert_eq!(report.timeline[0].call.as_deref(), Some("ec2:DescribeInstances"), "in the order it took effect");
    assert!(report.timeline.is_sorted_by_key(|row| row.effective_at));
    assert!(report.unanswered.iter().any(|u| u.question == "I16"));
    serde_json::to_string(&report).unwrap();
    let again = compromise(&held(&story, LEAKED), &worlds, LEAKED, &options).unwrap();
    assert_eq!(again, report, "whatever is held in memory");
}

#[test]
fn the_same_records_in_another_order_give_the_same_investigation() {
    let story = leak();
    let mut other = Story::evidence("2024-09-01T00:00:00Z");
    let mut rest: Vec<_> = story.commits[1..].to_vec();
    rest.reverse();
    for commit in rest {
        other.commit(commit.commit.events);
    }
    other.now = story.now;
    let told = |story: &Story| {
        let worlds = Worlds::of(&story.state());
        let mut options = CompromiseOptions::at(AsOf::time(story.now));
        options.since = Some(at("2024-08-01T00:00:00Z"));
        let report = compromise(&story.commits, &worlds, LEAKED, &options).unwrap();
        let alive: Vec<_> = report.alive.iter().map(|a| (a.kind, a.what.clone(), a.path.clone())).collect();
        let timeline: Vec<_> = report.timeline.iter().map(|row| (row.effective_at, row.summary.clone())).collect();
        let found: Vec<_> = report.findings.iter().map(|f| (f.check, f.detail.clone())).collect();
        (alive, timeline, found, report.window, report.baseline)
    };
    let (a, b) = (told(&story), told(&other));
    assert_eq!(a.0, b.0);
    assert_eq!(a.1, b.1);
    assert_eq!(a.2, b.2);
    let digests = [&story, &other].map(|story| {
        digest(&listing(
            &Worlds::of(&story.state()),
            story.now,
            &ListingOptions { deleted: true, ..Default::default() },
        ))
    });
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_live_key_is_investigated_from_rollups_and_its_own_commands() {
    let mut story = Story::new("2026-01-01T00:00:00Z");
    let alice = story.user("alice");
    let key = story.key_with(ALICE, KeyOwner::User(alice), vec![grant(None, GrantRole::Admin)], None);
    for _ in 0..30 {
        story.pass(DAY);
        let used = story.used("read", "198.51.100.4", "rclone", "ok", 10);
        story.use_key(key, &[used]);
    }
    let leak = story.now;
    story.pass(HOUR);
    let thief = [
        story.used("delete", "203.0.113.66", "boto3", "ok", 400),
        story.used("manage", "203.0.113.66", "boto3", "AccessDenied", 4),
    ];
    story.use_key(key, &thief);
    let by_key = Actor {
        kind: ActorKind::User,
        name: "alice".into(),
        user: Some(alice),
        key: Some(AccessKeyId::parse(ALICE).unwrap()),
    };
    let operator = std::mem::replace(&mut story.actor, by_key);
    let child = story.key_with(NEXT, KeyOwner::Org, vec![grant(None, GrantRole::Editor)], Some(key));
    story.actor = operator;
    story.pass(HOUR);
    let revoked = story.commit(vec![Event::KeyRevoked { key }]);
    story.pass(HOUR).rejected(key, "Revoked", "203.0.113.66", 12);
    story.commits.last_mut().unwrap().clock_regressed = true;
    let used = story.pass(MINUTE).used("read", "203.0.113.77", "boto3", "ok", 1);
    story.use_key(child, &[used]);

    let worlds = Worlds::of(&story.state());
    let mut options = CompromiseOptions::at(AsOf::time(story.now));
    options.since = Some(leak);
    let report = compromise(&story.commits, &worlds, ALICE, &options).unwrap();
    assert_eq!((report.baseline.tally.ok, report.window.tally.ok, report.window.tally.denied), (300, 400, 4));
    assert_eq!(
        report.addresses.iter().map(|a| (a.value.as_str(), a.is_new)).collect::<Vec<_>>(),
        [("203.0.113.66", true)]
    );
    assert_eq!(report.after_stop.len(), 1);
    assert_eq!((report.after_stop[0].code.as_str(), report.after_stop[0].tally.rejected), ("Revoked", 12));
    assert!(report.ransom[0].looks_like_ransom);
    assert_eq!(report.tree[0].children[0].name, NEXT);
    assert_eq!(report.alive[0].what, format!("{NEXT} of org (Active)"));
    assert!(!report.exposure.still_usable);
    assert_eq!(report.exposure.stopped_at.unwrap().0, story.recorded_at(revoked));
    let found: Vec<_> = report.findings.iter().map(|f| f.check).collect();
    for check in ["ransom-pattern", "made-key", "tried-after-stop", "new-agent", "clock-regressed", "reconnaissance"] {
        assert!(found.contains(&check), "{check} in {found:?}");
    }
    assert!(!found.contains(&"still-usable"));
    assert!(report.rights.iter().any(|r| r.in_force.iter().any(|f| f.says == ["Admin on *"])), "{:?}", report.rights);

    assert_eq!(compromise(&held(&story, ALICE), &worlds, ALICE, &options).unwrap(), report);
    let nobody = compromise(&story.commits, &worlds, "NQAKNOBODYEVERHADIT0", &options).unwrap();
    assert!(!nobody.known);
}

#[test]
fn a_diff_names_what_came_went_and_changed() {
    let mut story = Story::new("2026-01-01T00:00:00Z");
    let alice = story.user("alice");
    let key = story.key(ALICE, KeyOwner::User(alice));
    let before = story.now;
    story.pass(DAY);
    story.user("bob");
    story.commit(vec![Event::UserRenamed { user: alice, before: "alice".into(), after: "alicia".into() }]);
    story.commit(vec![Event::KeyRevoked { key }]);
    let options = ListingOptions::default();
    let side = |time: Time| (worlds_at(&story.commits, AsOf::time(time)).unwrap(), time);
    let (from, to) = (side(before), side(story.now));
    let rows = diff((&from.0, from.1), (&to.0, to.1), &options);
    let told: Vec<_> = rows.iter().map(|r| (r.name.noun, r.name.name.as_str(), r.became)).collect();
    assert_eq!(
        told,
        [
            (Noun::User, "alicia", Became::Changed),
            (Noun::User, "bob", Became::Added),
            (Noun::Key, ALICE, Became::Changed),
        ]
    );
    let name = &rows[0].fields[0];
    assert_eq!((name.field, name.before.as_str(), name.after.as_str()), ("name", Some("alice"), Some("alicia")));
    let fields: Vec<_> = rows[2].fields.iter().map(|f| f.field).collect();
    assert_eq!(fields, ["owner", "revoked_at", "status", "user_name"]);
    assert!(diff((&to.0, to.1), (&to.0, to.1), &options).is_empty());
}

#[test]
fn a_leaked_secret_is_told_even_of_a_deleted_key() {
    let mut story = Story::new("2026-01-01T00:00:00Z");
    let key = story.key(ALICE, KeyOwner::Org);
    story.key(BOB, KeyOwner::Org);
    story.commit(vec![Event::KeySecretRotated {
        key,
        secret: secret(2, ALICE, story.now),
        old_version: 1,
        old_deadline: story.now.plus_ns(DAY),
    }]);
    story.commit(vec![Event::KeyDeleted { key, access_key_id: AccessKeyId::parse(ALICE).unwrap(), unrevoked: true }]);
    let leaked = secret(2, ALICE, Time(0)).fingerprint;
    let worlds = Worlds::of(&story.state());
    let found = identify(&story.commits, &worlds, story.now, &|_, secret| secret.fingerprint == leaked).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].access_key_id.as_str(), found[0].version, found[0].status), (ALICE, 2, Some("Deleted")));
    assert!(!found[0].usable);
    assert_eq!(found[0].event.to_string(), "4.0");
}

#[test]
fn evidence_is_asked_as_of_what_took_effect_and_of_what_was_known() {
    let mut story = Story::evidence("2024-09-01T00:00:00Z");
    let admin = iam_user("admin", "AKIADMINADMINADMIN00");
    let made = story.record("2024-03-01T00:00:00Z", &admin, "CreateAccessKey", Rank::CreateKey, "198.51.100.1");
    story.changed(made, vec![Story::mention_user("alice"), Story::evidence_key(CHILD, "alice")]);
    let known_then = story.now;
    // A record that arrives a month later, of a thing that had happened long before.
    story.until("2024-10-01T00:00:00Z");
    let stopped = story.record("2024-06-01T00:00:00Z", &admin, "UpdateAccessKey", Rank::Update, "198.51.100.1");
    let uid = AccessKeyId::uid_of(CHILD, World::Evidence);
    story.changed(stopped, vec![Event::KeySuspended { key: uid, by_admin: false }]);
    let status = |when: &str, known_at: Option<Time>| {
        let time = at(when);
        let worlds = worlds_at(&story.commits, AsOf { when: When::At(time), known_at }).unwrap();
        worlds.keys_of_id(CHILD).first().map(|place| worlds.status(&place.record, time).as_str())
    };
    assert_eq!(status("2024-02-01T00:00:00Z", None), None);
    assert_eq!(status("2024-04-01T00:00:00Z", None), Some("Active"));
    assert_eq!(status("2024-07-01T00:00:00Z", None), Some("Inactive"));
    assert_eq!(status("2024-07-01T00:00:00Z", Some(known_then)), Some("Active"), "that was not known yet");
    assert_eq!(story.commits.last_seq(), Seq(3));
}
