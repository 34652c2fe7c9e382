//! tests/audit_rights.rs: what a key could do then is what it was told then, and every way of asking agrees.

mod given;

use given::{DAY, FULL, Given, HOUR, START, a_busy_org, bucket};
use keyledger::audit::Worlds;
use keyledger::audit::access::blast::blast_radius;
use keyledger::audit::access::intervals::{Window, intervals};
use keyledger::audit::access::table::{Kind, table};
use keyledger::audit::access::who::who_could;
use keyledger::audit::access::{May, Question, decide, power};
use keyledger::audit::at::{AsOf, worlds_at};
use keyledger::ledger::command::{OwnerName, Target};
use keyledger::ledger::{Command, CreateAccessKey};
use keyledger::model::{Grant, GrantRole, Role, Seq, Time};
use keyledger::policy::{ConditionKey, Verdict};
use keyledger::state::KeyRecord;
use proptest::prelude::*;
use std::collections::BTreeMap;

const PHOTO: &str = "arn:aws:s3:::photos/a.jpg";
/// Documents that the random histories hand out.
const DOCUMENTS: [&str; 7] = [
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#,
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::photos/*"}}"#,
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:PutObject","Resource":"*"}}"#,
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*",
        "Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}}"#,
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:*","Resource":"*",
        "Condition":{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}}"#,
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*",
        "Condition":{"DateGreaterThan":{"aws:CurrentTime":"2026-03-02T00:00:00Z"},
                     "DateLessThan":{"aws:CurrentTime":"2026-03-03T12:00:00Z"}}}}"#,
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::photos/${aws:username}/*"}}"#,
];
const QUESTIONS: [(&str, &str); 5] = [
    ("s3:GetObject", PHOTO),
    ("s3:PutObject", PHOTO),
    ("s3:GetObject", "arn:aws:s3:::photos/bob/x"),
    ("s3:GetObject", "arn:aws:s3:::films/a"),
    ("s3:CreateBucket", "arn:aws:s3:::new"),
];

fn question(action: &str, resource: &str, ip: Option<&str>) -> Question {
    let mut question = Question::new(action, resource);
    let key = ConditionKey::parse("aws:SourceIp").expect("a condition key");
    question.context.extend(ip.map(|ip| (key, vec![ip.to_owned()])));
    question
}

/// One random change.
#[derive(Debug, Clone)]
enum Move {
    Key { user: bool, grant: Option<(bool, bool)>, policy: Option<usize>, default_allow: bool, hours: Option<i64> },
    Attach { policy: usize, to: usize },
    Detach { policy: usize, from: usize },
    Replace { policy: usize, document: usize },
    Inline { on: usize, document: usize },
    NoInline { on: usize },
    Member { on: bool },
    Boundary(Option<usize>),
    Suspend(usize),
    Resume(usize),
    Revoke(usize),
    Delete(usize),
    Flag(usize, bool),
    Expire { key: usize, hours: i64 },
    Org { suspend: bool },
    Forget,
    Register,
}

fn a_move() -> impl Strategy<Value = Move> {
    let (policy, document, key, on) = (0..4_usize, 0..7_usize, 0..6_usize, 0..4_usize);
    prop_oneof![
        4 => (any::<bool>(), prop::option::of(any::<(bool, bool)>()), prop::option::of(policy.clone()), any::<bool>(),
              prop::option::of(1..90_i64))
            .prop_map(|(user, grant, policy, default_allow, hours)| Move::Key { user, grant, policy, default_allow, hours }),
        3 => (policy.clone(), on.clone()).prop_map(|(policy, to)| Move::Attach { policy, to }),
        2 => (policy.clone(), on.clone()).prop_map(|(policy, from)| Move::Detach { policy, from }),
        3 => (policy.clone(), document.clone()).prop_map(|(policy, document)| Move::Replace { policy, document }),
        2 => (on.clone(), document).prop_map(|(on, document)| Move::Inline { on, document }),
        1 => on.prop_map(|on| Move::NoInline { on }),
        2 => any::<bool>().prop_map(|on| Move::Member { on }),
        1 => prop::option::of(policy).prop_map(Move::Boundary),
        1 => key.clone().prop_map(Move::Suspend),
        1 => key.clone().prop_map(Move::Resume),
        1 => key.clone().prop_map(Move::Revoke),
        1 => key.clone().prop_map(Move::Delete),
        1 => (key.clone(), any::<bool>()).prop_map(|(key, on)| Move::Flag(key, on)),
        1 => (key, 1..90_i64).prop_map(|(key, hours)| Move::Expire { key, hours }),
        1 => any::<bool>().prop_map(|suspend| Move::Org { suspend }),
        1 => Just(Move::Forget),
        1 => Just(Move::Register),
    ]
}

fn keys(given: &Given) -> Vec<KeyRecord> {
    given.state.keys_where(|_| true)
}

fn play(given: &mut Given, step: &Move) {
    let org = given.org();
    let all = keys(given);
    let key = |at: usize| all[at % all.len()].id.clone();
    let target = |at: usize| match at {
        0 => Target::User("bob".into()),
        1 => Target::Group("staff".into()),
        at => Target::Key(key(at)),
    };
    let policy = |number: usize| format!("p{number}").as_str().into();
    let document = |number: usize| DOCUMENTS[number].into();
    let command = match *step {
        Move::Key { user, grant, policy: own, default_allow, hours } => {
            let grant = grant.map(|(any, editor)| Grant {
                bucket: (!any).then(|| bucket("photos")),
                role: if editor { GrantRole::Editor } else { GrantRole::ReadOnly },
            });
            let owner = if user { OwnerName::User("bob".into()) } else { OwnerName::Org };
            let key = CreateAccessKey {
                owner,
                grants: grant.into_iter().collect(),
                policies: own.into_iter().map(policy).collect(),
                default_allow,
                expires_at: hours.map(|hours| given.now.plus_ns(hours * HOUR)),
                ..Default::default()
            };
            Command::CreateKey { org, key: key.into() }
        }
        Move::Attach { policy: it, to } => Command::AttachPolicy { org, policy: policy(it), to: target(to) },
        Move::Detach { policy: it, from } => Command::DetachPolicy { org, policy: policy(it), from: target(from) },
        Move::Replace { policy: it, document: text } => {
            Command::ReplacePolicyDocument { org, policy: policy(it), document: document(text) }
        }
        Move::Inline { on, document: text } => {
            Command::PutInlinePolicy { org, holder: target(on), name: "i".into(), document: document(text) }
        }
        Move::NoInline { on } => Command::DeleteInlinePolicy { org, holder: target(on), name: "i".into() },
        Move::Member { on: true } => Command::AddGroupMember { org, group: "staff".into(), user: "bob".into() },
        Move::Member { on: false } => Command::RemoveGroupMember { org, group: "staff".into(), user: "bob".into() },
        Move::Boundary(it) => Command::SetUserBoundary { org, user: "bob".into(), policy: it.map(policy) },
        Move::Suspend(at) => Command::SuspendKey { key: key(at) },
        Move::Resume(at) => Command::ResumeKey { key: key(at) },
        Move::Revoke(at) => Command::RevokeKey { key: key(at) },
        Move::Delete(at) => Command::DeleteKey { key: key(at) },
        Move::Flag(at, true) => Command::FlagKey { key: key(at), quarantine: true, note: "".into() },
        Move::Flag(at, false) => Command::ClearKey { key: key(at) },
        Move::Expire { key: at, hours } => {
            Command::SetKeyExpiry { key: key(at), expires_at: Some(given.now.plus_ns(hours * HOUR)) }
        }
        Move::Org { suspend: true } => Command::SuspendOrg { org },
        Move::Org { suspend: false } => Command::ResumeOrg { org },
        Move::Forget => Command::ForgetBucket { org, bucket: bucket("photos") },
        Move::Register => Command::RegisterBucket { org, bucket: bucket("photos") },
    };
    // What a rule refuses changes nothing, and is no less random for it.
    if given.decide(&given::operator(), &command).is_ok() {
        given.done(command);
    }
}

fn begin() -> Given {
    let mut given = a_busy_org();
    given.user("carl");
    for (number, document) in DOCUMENTS.iter().take(4).enumerate() {
        given.policy(&format!("p{number}"), document);
    }
    given.key_of("bob");
    given
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// The live evaluator's decisions are written down as they are given; the audit is asked for each of them later.
    #[test]
    fn a_decision_of_then_is_the_decision_that_was_given_then(moves in prop::collection::vec(a_move(), 1..25)) {
        let mut given = begin();
        let mut told: Vec<(Seq, Time, KeyRecord, Question, bool, Verdict)> = Vec::new();
        for step in &moves {
            given.after(5 * HOUR);
            play(&mut given, step);
            let now = given.now.plus_ns(HOUR);
            for key in keys(&given) {
                for (number, (action, resource)) in QUESTIONS.into_iter().enumerate() {
                    let ip = [None, Some("10.1.2.3"), Some("192.0.2.1")][(number + told.len()) % 3];
                    let question = question(action, resource, ip);
                    let worlds = Worlds::of(&given.state);
                    let live = decide(&worlds, &key, &question, now);
                    told.push((given.state.seq(), now, key.clone(), question, live.allowed, live.verdict));
                }
            }
        }
        let mut worlds: BTreeMap<Seq, Worlds> = BTreeMap::new();
        for (seq, now, key, question, allowed, verdict) in told {
            let at = |as_of| worlds_at(&given.history, as_of).unwrap();
            let by_seq = worlds.entry(seq).or_insert_with(|| at(AsOf::seq(seq)));
            let record = by_seq.key(key.uid()).unwrap().record;
            let then = decide(by_seq, &record, &question, now);
            prop_assert_eq!((then.allowed, then.verdict), (allowed, verdict), "{:?} of {:?}", question, record);
        }
        // By time too, once a history.
        let middle = given.history[given.history.len() / 2].recorded_at;
        let by_time = worlds_at(&given.history, AsOf::time(middle)).unwrap();
        let seq = given.history[given.history.len() / 2].seq;
        let by_seq = worlds_at(&given.history, AsOf::seq(seq)).unwrap();
        prop_assert_eq!(by_time.live_state().hash(), by_seq.live_state().hash());
    }

    #[test]
    fn the_intervals_hold_exactly_the_moments_at_which_a_key_could(moves in prop::collection::vec(a_move(), 1..25)) {
        let mut given = begin();
        for step in &moves {
            given.after(5 * HOUR);
            play(&mut given, step);
        }
        let (from, to) = (given.history[0].recorded_at, given.now.plus_ns(2 * DAY));
        for (action, resource) in QUESTIONS {
            let question = question(action, resource, Some("10.1.2.3"));
            let window = Window { question: &question, from, to, key: None, orgs: None };
            let found = intervals(&given.history, &window).unwrap();
            let mut at = from;
            while at < to {
                let worlds = worlds_at(&given.history, AsOf::time(at)).unwrap();
                let could = |key: &KeyRecord| decide(&worlds, key, &question, at).allowed;
                let now: Vec<String> =
                    worlds.live_state().keys_where(|_| true).iter().filter(|key| could(key)).map(|key| key.id.to_string()).collect();
                let mut told: Vec<String> = found
                    .iter()
                    .filter(|it| it.from.0 <= at && it.until.is_none_or(|until| at < until.0))
                    .map(|it| it.access_key_id.clone())
                    .collect();
                told.sort();
                prop_assert_eq!(&now, &told, "{} {} at {}", action, resource, at);
                at = at.plus_ns(7 * HOUR);
            }
            for interval in &found {
                let end = interval.closed.as_ref();
                prop_assert!(interval.opened.event.is_some() || !interval.opened.what.is_empty());
                prop_assert!(end.is_none_or(|turn| turn.event.is_some() || !turn.what.is_empty()));
                prop_assert!(interval.until.is_none_or(|until| until.0 > interval.from.0));
            }
        }
    }

    #[test]
    fn always_never_and_sometimes_are_true_of_every_request_and_who_could_tells_the_same(
        moves in prop::collection::vec(a_move(), 1..25),
    ) {
        let mut given = begin();
        for step in &moves {
            play(&mut given, step);
        }
        let (worlds, now) = (Worlds::of(&given.state), given.now);
        for (action, resource) in QUESTIONS {
            let open = question(action, resource, None);
            let who = who_could(&worlds, &open, now, None);
            for key in keys(&given) {
                let power = power(&worlds, &key, &open, now);
                let able = who.able.iter().find(|able| able.access_key_id == key.id.as_str());
                prop_assert_eq!(able.map_or(May::Never, |able| able.power.may), power.may);
                for ip in [None, Some("10.1.2.3"), Some("192.0.2.1"), Some("::1")] {
                    let allowed = decide(&worlds, &key, &question(action, resource, ip), now).allowed;
                    let fits = match power.may {
                        May::Always => allowed,
                        May::Never => !allowed,
                        May::Sometimes => true,
                    };
                    prop_assert!(fits, "{action} {resource} from {ip:?}: {allowed}, but {power:?}");
                    let given = question(action, resource, ip);
                    let known = keyledger::audit::access::power(&worlds, &key, &given, now);
                    if ip.is_some() {
                        prop_assert_eq!(known.may == May::Always, allowed, "with all that is asked given: {:?}", known);
                    }
                }
            }
        }
    }
}

#[test]
fn the_table_shows_buckets_prefixes_and_what_depends_on_the_request() {
    let mut given = a_busy_org();
    let org = given.org();
    given.done(Command::RegisterBucket { org, bucket: bucket("films") });
    let document = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::photos/${aws:username}/*"},
        {"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::photos",
         "Condition":{"StringLike":{"s3:prefix":"${aws:username}/*"}}}]}"#;
    given.policy("home", document);
    given.done(Command::AttachPolicy { org, policy: "home".into(), to: Target::User("bob".into()) });
    let key = given.key_of("bob");
    let found = table(&Worlds::of(&given.state), &key, given.now);
    let row =
        |bucket: &str, prefix: &str| found.rows.iter().find(|it| it.bucket == bucket && it.prefix == prefix).unwrap();
    assert_eq!(row("photos", "bob/*").may(Kind::Read), May::Always);
    assert_eq!(row("photos", "bob/*").may(Kind::Delete), May::Never);
    assert_eq!(row("photos", "").may(Kind::List), May::Sometimes);
    assert_eq!(row("photos", "").may(Kind::Read), May::Never);
    assert_eq!((found.rows.len(), found.closed), (2, 1));
    let listed = &row("photos", "").cells.iter().find(|cell| cell.kind == Kind::List).unwrap().power;
    assert_eq!(listed.allows[0].conditions, ["s3:prefix StringLike ${aws:username}/*"]);
}

#[test]
fn the_blast_radius_follows_every_step_to_more_rights() {
    let mut given = a_busy_org();
    let org = given.org();
    given.user("deploy").user("boss");
    let own = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:CreateAccessKey","Resource":"arn:aws:iam::*:user/deploy"}}"#;
    let escalate =
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:AttachUserPolicy","Resource":"*"}}"#;
    given.policy("make", own).policy("escalate", escalate);
    given.done(Command::AttachPolicy { org, policy: "make".into(), to: Target::User("bob".into()) });
    let key = given.key_of("bob");
    let radius = |given: &Given, key: &KeyRecord| blast_radius(&Worlds::of(&given.state), &given.again(key), given.now);
    let first = radius(&given, &key);
    assert_eq!(first.steps.len(), 1, "{:?}", first.steps);
    assert!(!first.everything && first.steps[0].gains.contains("deploy"));
    given.done(Command::AttachPolicy { org, policy: "escalate".into(), to: Target::User("deploy".into()) });
    let second = radius(&given, &key);
    assert!(second.everything, "{:?}", second.steps);
    assert_eq!(second.steps.last().unwrap().from, "user `deploy`");
    // A revoked key is asked as if it were usable.
    given.done(Command::RevokeKey { key: key.id.clone() });
    let third = radius(&given, &key);
    assert!(third.everything && !third.usable && third.status == "Revoked");
    // A scoped key with S3 alone becomes nothing else.
    let s3 = given.key(CreateAccessKey {
        policies: vec![FULL.into()],
        owner: OwnerName::User("bob".into()),
        ..Default::default()
    });
    let fourth = radius(&given, &s3);
    assert!(fourth.steps.is_empty() && !fourth.everything);
    assert_eq!(fourth.table.rows.iter().find(|row| row.bucket == "photos").unwrap().may(Kind::Delete), May::Always);
    // The unscoped key of an Admin is everything by the native API.
    given.done(Command::SetUserRole { org, user: "boss".into(), role: Role::Admin });
    let boss = given.key_of("boss");
    assert!(radius(&given, &boss).everything);
    assert!(given.now > START);
}
