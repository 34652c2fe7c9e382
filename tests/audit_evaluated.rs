//! tests/audit_evaluated.rs: whether the audits say what rights are worth: taken away, never exercised, widened by whom.
#![allow(clippy::unwrap_used, reason = "a story that does not parse is the test's own fault")]

mod audit_story;

use audit_story::{ACCOUNT, DAY, Story, at, grant, iam_user};
use keyledger::audit::access::May;
use keyledger::audit::access::compare::CellChange;
use keyledger::audit::access::table::{DecisionTable, Kind};
use keyledger::audit::access::widened::Widening;
use keyledger::audit::at::AsOf;
use keyledger::audit::compromise::{CompromiseOptions, compromise};
use keyledger::audit::rotation::{RotationOptions, RotationReport, rotation};
use keyledger::audit::{Finding, Severity, Worlds};
use keyledger::model::{BucketName, Event, GrantRole, Holder, KeyOwner, Rank, Seq, uids};

const ALICE: &str = "NQAKAAAAAAAAAAAAALIC";
const BOB: &str = "NQAKBBBBBBBBBBBBBBOB";
const ALL: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;
const NONE: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:*","Resource":"*"}}"#;
const READ: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}}"#;

fn with_buckets(start: &str) -> Story {
    let mut story = Story::new(start);
    for name in ["films", "photos"] {
        story.commit(vec![Event::BucketRegistered { bucket: BucketName::parse(name).unwrap() }]);
    }
    story
}

fn asked(story: &Story, f: impl FnOnce(&mut RotationOptions)) -> RotationReport {
    let mut options = RotationOptions::at(AsOf::time(story.now));
    f(&mut options);
    rotation(&story.commits, &Worlds::of(&story.state()), &options).unwrap()
}

fn finding<'a>(report: &'a RotationReport, check: &str, key: &str) -> &'a Finding {
    let found = report.findings.iter().find(|it| it.check == check && it.access_key_id.as_deref() == Some(key));
    found.unwrap_or_else(|| panic!("{check} of {key} in {:?}", report.findings))
}

#[test]
fn a_wide_right_that_a_deny_takes_away_everywhere_is_told_as_such() {
    let mut story = with_buckets("2026-01-01T00:00:00Z");
    let (alice, bob) = (story.user("alice"), story.user("bob"));
    let (all, none) = (story.policy("all", ALL), story.policy("none", NONE));
    story.key(ALICE, KeyOwner::User(alice));
    story.key(BOB, KeyOwner::User(bob));
    story.attach(all, Holder::User(alice));
    story.attach(all, Holder::User(bob));
    story.attach(none, Holder::User(bob));
    let report = asked(&story, |_| {});
    let wide = finding(&report, "wide-rights", ALICE);
    assert_eq!(
        (wide.severity, wide.detail.as_str()),
        (Severity::Medium, "wildcard actions, all buckets, by policy `all`")
    );
    let taken = finding(&report, "wide-rights", BOB);
    assert_eq!(taken.severity, Severity::Info);
    assert!(taken.detail.contains("taken away everywhere: a Deny in policy `none` of user `bob`"), "{}", taken.detail);
}

#[test]
fn what_was_granted_and_never_used_is_named_by_kind_and_bucket() {
    let mut story = with_buckets("2026-01-01T00:00:00Z");
    let key = story.key_with(ALICE, KeyOwner::Org, vec![grant(None, GrantRole::Editor)], None);
    story.key_with(BOB, KeyOwner::Org, vec![grant(None, GrantRole::Editor)], None);
    let long_ago = story.used("delete", "10.0.0.1", "app", "ok", 5);
    story.use_key(key, &[long_ago]);
    story.pass(100 * DAY);
    let recent = [
        story.used("read", "10.0.0.1", "app", "ok", 9),
        story.used("list", "10.0.0.1", "app", "NoSuchKey", 1),
        story.used("write", "10.0.0.1", "app", "AccessDenied", 3),
    ];
    story.use_key(key, &recent);
    story.pass(DAY);
    let report = asked(&story, |_| {});
    let unused = finding(&report, "unused-rights", ALICE);
    assert!(unused.detail.starts_with("not used in 90 days and could go: write, delete"), "{}", unused.detail);
    assert!(unused.detail.contains("everything in `films`"), "{}", unused.detail);
    assert!(!unused.detail.contains("read in"), "{}", unused.detail);
    assert_eq!((unused.severity, unused.events[0].0.seq), (Severity::Low, Seq(4)), "what gave the rights");
    assert!(!report.findings.iter().any(|it| it.check == "unused-rights" && it.access_key_id.as_deref() == Some(BOB)));
    // Within a longer period the deletes count.
    let longer = asked(&story, |options| options.since = Some(at("2026-01-01T00:00:00Z")));
    assert!(!finding(&longer, "unused-rights", ALICE).detail.contains("delete"), "{longer:?}");
}

fn widened(story: &Story) -> Vec<Widening> {
    asked(story, |options| options.since = Some(at("2026-02-01T00:00:00Z"))).widened.unwrap()
}

fn opened(cells: &[CellChange], place: &str) -> Vec<&'static str> {
    assert!(cells.iter().all(CellChange::is_wider));
    cells.iter().filter(|cell| cell.place == place).map(|cell| cell.action).collect()
}

#[test]
fn an_edit_is_told_with_both_documents_if_and_only_if_it_widened_rights() {
    let mut story = with_buckets("2026-01-01T00:00:00Z");
    let (alice, bob) = (story.user("alice"), story.user("bob"));
    let (reader, all, none) = (story.policy("reader", READ), story.policy("all", ALL), story.policy("none", NONE));
    story.key(ALICE, KeyOwner::User(alice));
    story.key(BOB, KeyOwner::User(bob));
    story.attach(reader, Holder::User(alice));
    story.until("2026-02-01T00:00:00Z");
    let version = |document: &str| Event::PolicyVersionCreated {
        policy: reader,
        version: 2,
        document: document.into(),
        is_default: false,
    };
    // Alone it changes nothing.
    story.commit(vec![version(ALL)]);
    let made = story.commit(vec![Event::PolicyDefaultSet { policy: reader, before: 1, after: 2 }]);
    // She has it all already; and a Deny gives nothing, but its end does.
    story.attach(all, Holder::User(alice));
    story.attach(none, Holder::User(alice));
    let detached = story.commit(vec![Event::PolicyDetached { policy: none, holder: Holder::User(alice) }]);
    let bounded = Event::UserBoundarySet { user: alice, before: None, after: Some(none) };
    story.commit(vec![bounded]);
    let freed = story.commit(vec![Event::UserBoundarySet { user: alice, before: Some(none), after: None }]);
    let inline = |document: &str, before: Option<&str>| Event::InlinePolicyPut {
        holder: Holder::User(bob),
        name: "own".into(),
        before: before.map(Into::into),
        document: document.into(),
    };
    let put = story.commit(vec![inline(READ, None)]);
    story.commit(vec![inline(NONE, Some(READ))]);

    let rows = widened(&story);
    let told: Vec<_> = rows.iter().map(|row| (row.event.0.seq, row.keys[0].access_key_id.as_str())).collect();
    assert_eq!(told, [(made, ALICE), (detached, ALICE), (freed, ALICE), (put, BOB)]);
    assert_eq!((rows[0].document_before.as_deref(), rows[0].document_after.as_deref()), (Some(READ), Some(ALL)));
    assert_eq!((rows[0].policy.as_deref(), rows[0].actor.name.as_str()), (Some("reader"), "root@host"));
    assert!(!opened(&rows[0].keys[0].cells, "photos").contains(&"s3:GetObject"), "she could read before");
    assert!(opened(&rows[0].keys[0].cells, "photos").contains(&"s3:DeleteObject"));
    assert_eq!((rows[1].document_before.as_deref(), rows[1].document_after.as_deref()), (Some(NONE), None));
    assert_eq!(rows[2].policy.as_deref(), Some("none"));
    assert_eq!(opened(&rows[3].keys[0].cells, "films"), ["s3:GetObject"]);
    assert_eq!(rows[3].document_after.as_deref(), Some(READ));
    serde_json::to_string(&rows).unwrap();
}

#[test]
fn of_one_edit_twenty_keys_are_decided_and_the_rest_counted() {
    let mut story = with_buckets("2026-01-01T00:00:00Z");
    let alice = story.user("alice");
    for n in 0..25 {
        story.key(&format!("NQAK{n:016}"), KeyOwner::User(alice));
    }
    let reader = story.policy("reader", READ);
    story.until("2026-02-01T00:00:00Z").attach(reader, Holder::User(alice));
    let rows = widened(&story);
    assert_eq!((rows.len(), rows[0].keys.len(), rows[0].keys_not_asked), (1, 20, 5));
}

#[test]
fn in_evidence_what_widened_is_found_in_the_order_it_took_effect() {
    let mut story = Story::evidence("2026-03-01T00:00:00Z");
    let admin = iam_user("admin", "AKIADMINADMINADMIN00");
    let arn = "arn:aws:iam::123456789012:policy/data";
    let policy = |document: &str| Event::PolicyCreated {
        policy: uids::policy(arn),
        name: "data".into(),
        path: "/".into(),
        description: "".into(),
        tags: Default::default(),
        document: document.into(),
    };
    let document = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}}"#;
    let attached = story.record("2026-02-03T00:00:00Z", &admin, "AttachUserPolicy", Rank::PutOrAttach, "10.0.0.1");
    let seq = story.changed(attached, vec![Story::mention_user("carol"), Story::evidence_attach("carol", arn)]);
    let made = story.record("2026-02-02T00:00:00Z", &admin, "CreatePolicy", Rank::CreateNoun, "10.0.0.1");
    story.changed(made, vec![policy(document)]);
    let key = story.record("2026-02-01T12:00:00Z", &admin, "CreateAccessKey", Rank::CreateKey, "10.0.0.1");
    story.changed(key, vec![Story::mention_user("carol"), Story::evidence_key("AKIACAROLCAROLCAROL0", "carol")]);
    let rows = widened(&story);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((rows[0].event.0.seq, rows[0].org.as_str()), (seq, ACCOUNT.to_string().as_str()));
    assert_eq!((rows[0].org_kind, rows[0].actor.name.as_str()), ("evidence", "admin"));
    assert_eq!(opened(&rows[0].keys[0].cells, "photos"), ["s3:GetObject"]);
}

#[test]
fn an_investigation_says_what_stopped_the_key_what_it_could_do_and_who_breaks() {
    let mut story = with_buckets("2026-01-01T00:00:00Z");
    let alice = story.user("alice");
    let (reader, all) = (story.policy("reader", READ), story.policy("all", ALL));
    let key = story.key(ALICE, KeyOwner::User(alice));
    story.attach(reader, Holder::User(alice));
    let old = story.used("read", "10.0.0.1", "old", "ok", 7);
    story.use_key(key, &[old]);
    story.until("2026-02-25T00:00:00Z");
    let backup = story.used("read", "10.0.7.1", "backup", "ok", 3);
    story.use_key(key, &[backup]);
    story.until("2026-02-27T00:00:00Z");
    let before = story.attach(all, Holder::User(alice));
    story.until("2026-03-01T00:00:00Z");
    let leak = story.now;
    story.pass(DAY);
    let detached = story.commit(vec![Event::PolicyDetached { policy: all, holder: Holder::User(alice) }]);
    story.pass(DAY);
    let revoked = story.commit(vec![Event::KeyRevoked { key }]);
    story.pass(DAY);

    let worlds = Worlds::of(&story.state());
    let mut options = CompromiseOptions::at(AsOf::time(story.now));
    options.since = Some(leak);
    let report = compromise(&story.commits, &worlds, ALICE, &options).unwrap();
    let [usable] = report.usable.as_slice() else { panic!("{:?}", report.usable) };
    assert_eq!((usable.usable, usable.status, usable.seq), (false, "Revoked", Some(revoked)));
    assert_eq!(usable.stopped_by.as_ref().unwrap().actor.name, "root@host");

    let clients: Vec<_> = report.clients.iter().map(|it| (it.user_agent.as_str(), it.tally.ok)).collect();
    assert_eq!(clients, [("backup", 3)], "what was used two months before breaks no more");
    assert_eq!(report.clients[0].network, "10.0.7.0/24");

    let [opened] = report.opened.as_slice() else { panic!("{:?}", report.opened) };
    assert_eq!(opened.event.0.seq, before, "two days before the leak");
    let told = report.findings.iter().find(|it| it.check == "rights-widened").unwrap();
    assert!(told.detail.contains("s3:DeleteObject") && told.detail.contains("photos"), "{}", told.detail);

    let [course] = report.courses.as_slice() else { panic!("{:?}", report.courses) };
    let row = |table: &DecisionTable| table.rows.iter().find(|row| row.bucket == "photos").unwrap().clone();
    assert_eq!(row(course.table.as_ref().unwrap()).may(Kind::Delete), May::Always);
    let turns: Vec<_> = course.turns.iter().map(|turn| (turn.event.unwrap().0.seq, turn.status)).collect();
    assert_eq!(turns, [(detached, "Active"), (revoked, "Revoked")]);
    let reading = |cells: &[CellChange]| cells.iter().any(|it| it.place == "photos" && it.action == "s3:GetObject");
    assert!(!reading(&course.turns[0].cells), "reading stayed");
    assert!(reading(&course.turns[1].cells), "until the revoke");
    assert_eq!(course.status_after, Some("Revoked"));

    let [radius] = report.blast_radius.as_slice() else { panic!("{:?}", report.blast_radius) };
    assert_eq!((radius.at.0, row(&radius.radius.table).may(Kind::Write)), (leak, May::Always));
    serde_json::to_string(&report).unwrap();
}

#[test]
fn without_a_time_of_the_leak_the_course_of_rights_begins_with_the_key() {
    let mut story = with_buckets("2026-01-01T00:00:00Z");
    let key = story.key_with(ALICE, KeyOwner::Org, vec![grant(Some("photos"), GrantRole::ReadOnly)], None);
    for n in 0..12 {
        let (before, after) = if n % 2 == 0 { ("photos", "films") } else { ("films", "photos") };
        let [before, after] = [before, after].map(|bucket| vec![grant(Some(bucket), GrantRole::ReadOnly)]);
        story.pass(DAY);
        story.commit(vec![Event::KeyGrantsSet { key, before, after }]);
    }
    let worlds = Worlds::of(&story.state());
    let report = compromise(&story.commits, &worlds, ALICE, &CompromiseOptions::at(AsOf::time(story.now))).unwrap();
    let course = &report.courses[0];
    assert!(course.table.is_none() && course.turns.iter().all(|turn| !turn.cells.is_empty()));
    // Its making and twelve edits, of which ten moments are told: the tenth left it in `films`, the last in `photos`.
    assert_eq!((course.turns.len(), course.turns_more), (10, 3));
    assert!(course.later.iter().any(|cell| cell.place == "photos"), "{:?}", course.later);
    assert!(report.usable[0].usable && report.usable[0].stopped_at.is_none());
}
