//! tests/audit_speed.rs: how fast the past answers. Run with
//! `cargo test --release --test audit_speed -- --ignored --nocapture`; `EVENTS=5000000` for the size of the goals.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "printed figures")]

use keyledger::audit::at::KeyPast;
use keyledger::audit::{Archive, History, Query, Worlds, log};
use keyledger::log::{Body, KIND_COMMIT, LogOptions, LogParams, LogReader, LogWriter, NewFrame, WitnessMode};
use keyledger::model::codec::{self, Encoded};
use keyledger::model::id::World;
use keyledger::model::{
    AccessKeyId, AccountId, Actor, ActorKind, Commit, Dialect, Envelope, Event, Holder, KeyCreated, KeyOwner, KeyUid,
    OrgKind, OrgOwner, OrgSettings, OrgUid, PolicyUid, SCHEMA, SecretVersion, Seq, Tags, Time, UserUid, When,
};
use keyledger::state::{Recorded, State};
use keyledger::sys::RealIo;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// Half creates, the rest attaches, revokes, detaches and deletes; 500 actors, 4,000 addresses.
fn write(dir: &Path, events: u64) -> (LogReader, Vec<KeyUid>) {
    let params =
        LogParams { ledger_id: [7; 16], frame_salt: [8; 32], origin: "bench".to_owned(), created_ns: 1_000_000_000 };
    let options = LogOptions { witness: WitnessMode::Lazy, ..LogOptions::default() };
    let mut log = LogWriter::create(Arc::new(RealIo), dir, &params, &options).expect("creates");
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut keys: Vec<KeyUid> = Vec::new();
    let mut live: Vec<KeyUid> = Vec::new();
    let policies: Vec<PolicyUid> = (0..1_000_u32).map(|n| PolicyUid::derived(&[&n.to_le_bytes()])).collect();
    for n in 1..=events {
        let pick = |dice: &mut Dice, live: &[KeyUid]| live[dice.below(live.len() as u64) as usize];
        let event = if n == 1 {
            Event::OrgCreated {
                org: OrgUid([1; 16]),
                account: AccountId(1),
                kind: OrgKind::Live,
                name: "acme".into(),
                owner: OrgOwner::Operator,
                settings: OrgSettings::default(),
            }
        } else {
            match dice.below(100) {
                0..50 => {
                    let id = AccessKeyId::parse(&format!("NQAK{n:016}")).expect("valid");
                    let key = id.uid(World::Live);
                    keys.push(key);
                    live.push(key);
                    Event::KeyCreated(Box::new(KeyCreated {
                        key,
                        access_key_id: id,
                        owner: KeyOwner::User(UserUid::derived(&[&dice.below(100_000).to_le_bytes()])),
                        label: "app".into(),
                        description: "".into(),
                        tags: Tags::new(),
                        grants: Vec::new(),
                        default_allow: false,
                        expires_at: None,
                        secret: Some(SecretVersion {
                            version: 1,
                            commitment: [3; 32],
                            fingerprint: Some([4; 16]),
                            set_at: Time(0),
                        }),
                        made_by: None,
                    }))
                }
                _ if live.is_empty() => continue,
                50..70 => Event::PolicyAttached {
                    policy: policies[dice.below(1_000) as usize],
                    holder: Holder::Key(pick(&mut dice, &live)),
                },
                70..85 => Event::KeyRevoked { key: pick(&mut dice, &live) },
                85..95 => Event::PolicyDetached {
                    policy: policies[dice.below(1_000) as usize],
                    holder: Holder::Key(pick(&mut dice, &live)),
                },
                _ => {
                    let at = dice.below(live.len() as u64) as usize;
                    let key = live.swap_remove(at);
                    let access_key_id = AccessKeyId::parse("NQAKDELETEDDELETED00").expect("valid");
                    Event::KeyDeleted { key, access_key_id, unrevoked: false }
                }
            }
        };
        let who = dice.below(500);
        let envelope = Envelope {
            org: Some(OrgUid([1; 16])),
            actor: Actor { kind: ActorKind::User, name: format!("user-{who:04}").into(), user: None, key: None },
            dialect: Dialect::AwsIam,
            request_id: Some(format!("0d3c1e5a-{n:012}").into()),
            source_ip: Some(format!("10.20.{}.{}", dice.below(16), dice.below(250)).into()),
            user_agent: Some("aws-sdk-rust/1.0".into()),
            reason: None,
            causation: None,
            token: None,
        };
        let Ok(Encoded::Whole(bytes)) = codec::encode(&Commit { envelope, events: vec![event] }, |_| [0; 16]) else {
            unreachable!("one event")
        };
        let recorded_at_ns = (n * 1_000_000_000).cast_signed();
        let body = Body::Whole(&bytes);
        if !log.group_has_room(body.payload_len()) {
            log.commit(recorded_at_ns).expect("commits");
        }
        let frame = NewFrame { recorded_at_ns, kind: KIND_COMMIT, schema: SCHEMA, flags: 0, body, urgent: false };
        log.append(frame).expect("appends");
    }
    log.commit(i64::MAX / 2).expect("commits");
    (log.reader(), keys)
}

fn ms(from: Instant) -> f64 {
    from.elapsed().as_secs_f64() * 1e3
}

fn count(history: &dyn History, query: &Query) -> u64 {
    log::facts(history, query, &mut |_| ControlFlow::Continue(())).expect("reads")
}

#[test]
#[ignore = "minutes"]
fn figures() {
    let events = std::env::var("EVENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let from = Instant::now();
    let (reader, keys) = write(dir.path(), events);
    println!("{} commits written in {:.0} ms", reader.last_seq(), ms(from));
    let from = Instant::now();
    let mut bytes = 0;
    for frame in reader.frames(1) {
        bytes += frame.expect("whole").payload().len();
    }
    println!("frames walked in {:.0} ms, {:.0} B a payload", ms(from), bytes as f64 / reader.last_seq() as f64);
    let from = Instant::now();
    for frame in reader.frames(1) {
        Recorded::decode(&frame.expect("whole")).expect("decodes");
    }
    println!("decoded in {:.0} ms on one thread", ms(from));
    let from = Instant::now();
    let (archive, report) = Archive::open(Arc::new(RealIo), dir.path(), reader.clone()).expect("opens");
    println!(
        "index built in {:.0} ms: {report:?}, {:.2} B a commit",
        ms(from),
        report.bytes as f64 / report.commits as f64
    );
    drop(archive);
    let from = Instant::now();
    let (archive, report) = Archive::open(Arc::new(RealIo), dir.path(), reader.clone()).expect("opens");
    println!("index opened in {:.0} ms: {report:?}", ms(from));

    let past = KeyPast::new(&archive).expect("reads");
    let mut dice = Dice(12);
    for round in 0..2 {
        let mut times = Vec::new();
        let mut found = 0;
        for _ in 0..20_000 {
            let key = keys[dice.below(keys.len() as u64 / 2) as usize];
            let when = When::Seq(Seq(events / 2));
            let from = Instant::now();
            found += usize::from(past.key_at(key, when).expect("reads").is_some());
            times.push(from.elapsed().as_nanos());
        }
        times.sort_unstable();
        println!(
            "round {round}: one key as of the middle: p50 {} ns, p99 {} ns, found {found}",
            times[times.len() / 2],
            times[times.len() * 99 / 100]
        );
    }
    let worlds = Worlds::live(State::empty());
    let walked = Archive::without_index(Arc::new(RealIo), reader);
    for (name, asked) in [
        ("actor", keyledger::audit::Asked { actor: Some("user-0123".to_owned()), ..Default::default() }),
        ("address", keyledger::audit::Asked { address: Some("10.20.3.77".to_owned()), ..Default::default() }),
        ("dialect", keyledger::audit::Asked { dialect: Some("console".to_owned()), ..Default::default() }),
    ] {
        let query = Query::of(&asked, &archive, &worlds).expect("resolves");
        let expected = count(&archive, &query);
        let best = |history: &dyn History| {
            let once = || {
                let from = Instant::now();
                assert_eq!(count(history, &query), expected);
                ms(from)
            };
            (0..3).map(|_| once()).fold(f64::MAX, f64::min)
        };
        println!("by {name}: {expected} facts, indexed {:.2} ms, walked {:.0} ms", best(&archive), best(&walked));
    }
}
