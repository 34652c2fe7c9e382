//! What readers see while a writer publishes: whole commits, never half of one, never an older one than before.

use keyledger::model::id::World;
use keyledger::model::{
    AccessKeyId, AccountId, Actor, Commit, Dialect, Envelope, Event, KeyCreated, KeyOwner, KeyUid, OrgKind, OrgOwner,
    OrgSettings, OrgUid, Seq, Time,
};
use keyledger::state::{State, StateHandle};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const ORG: OrgUid = OrgUid([1; 16]);

fn commit(events: Vec<Event>) -> Commit {
    let envelope = Envelope {
        org: Some(ORG),
        actor: Actor::operator("ann@host"),
        dialect: Dialect::Library,
        request_id: None,
        source_ip: None,
        user_agent: None,
        reason: None,
        causation: None,
        token: None,
    };
    Commit { envelope, events }
}

fn id(n: usize) -> AccessKeyId {
    AccessKeyId::parse(&format!("NQAK{n:016}")).expect("a valid id")
}

fn created(n: usize) -> Event {
    Event::KeyCreated(Box::new(KeyCreated {
        key: id(n).uid(World::Live),
        access_key_id: id(n),
        owner: KeyOwner::Org,
        label: "0".into(),
        description: "".into(),
        tags: Default::default(),
        grants: vec![],
        default_allow: false,
        expires_at: None,
        secret: None,
        made_by: None,
    }))
}

/// Labels every key with the number of the commit, all in one commit.
fn relabelled(keys: &[KeyUid], seq: Seq) -> Commit {
    let label = |key: &KeyUid| Event::KeyLabelled { key: *key, before: "".into(), after: seq.to_string().into() };
    commit(keys.iter().map(label).collect())
}

fn start(keys: usize) -> (StateHandle, State, Vec<KeyUid>) {
    let mut state = State::empty();
    let org = Event::OrgCreated {
        org: ORG,
        account: AccountId(1),
        kind: OrgKind::Live,
        name: "acme".into(),
        owner: OrgOwner::Operator,
        settings: OrgSettings::default(),
    };
    let mut events = vec![org];
    events.extend((0..keys).map(created));
    state.apply(Seq(1), Time(1), &commit(events));
    let (handle, state) = StateHandle::publish_first(state);
    (handle, state, (0..keys).map(|n| id(n).uid(World::Live)).collect())
}

#[test]
fn a_pinned_state_stays_at_its_seq_while_the_writer_goes_on() {
    let (handle, mut writer, keys) = start(4);
    let mut pinned = vec![];
    for n in 2..200 {
        writer.apply(Seq(n), Time(n.cast_signed()), &relabelled(&keys, Seq(n)));
        // Applied but not published: nobody sees it.
        assert_eq!(handle.seq(), Seq(n - 1));
        assert_ne!(handle.with_key(id(0).as_str(), |key| key.label().to_string()), Some(n.to_string()));
        handle.publish(&writer);
        if n % 7 == 0 {
            pinned.push((Seq(n), handle.state()));
        }
        if n % 21 == 0 {
            pinned.remove(0);
        }
    }
    for (seq, state) in &pinned {
        assert_eq!(state.seq(), *seq);
        for n in 0..keys.len() {
            assert_eq!(state.key(id(n).as_str()).unwrap().label, seq.to_string(), "key {n}");
        }
        let mut seen = 0;
        state.for_each_key(|key| {
            assert_eq!(key.label(), seq.to_string());
            seen += 1;
        });
        assert_eq!(seen, keys.len());
    }
}

#[test]
fn a_key_made_after_a_state_was_pinned_is_not_in_it() {
    let (handle, mut writer, _) = start(1);
    let before = handle.state();
    writer.apply(Seq(2), Time(2), &commit(vec![created(9)]));
    handle.publish(&writer);
    let label = Event::KeyLabelled { key: id(9).uid(World::Live), before: "".into(), after: "x".into() };
    writer.apply(Seq(3), Time(3), &commit(vec![label]));
    handle.publish(&writer);
    assert!(before.key(id(9).as_str()).is_none());
    assert_eq!(handle.state().key(id(9).as_str()).unwrap().label, "x");
}

#[test]
fn readers_never_see_half_a_commit_and_never_go_back() {
    let (handle, mut writer, keys) = start(8);
    let stop = AtomicBool::new(false);
    let reads = AtomicU64::new(0);
    let commits = 20_000;
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (handle, stop, reads) = (&handle, &stop, &reads);
            let keys = keys.len();
            scope.spawn(move || {
                let mut newest = 0;
                while !stop.load(Ordering::Relaxed) {
                    // Half of the readers pin whole states, half take single keys as a request does.
                    if reader == 0 {
                        let state = handle.state();
                        let labels: Vec<_> = (0..keys).map(|n| state.key(id(n).as_str()).unwrap().label).collect();
                        assert!(labels.iter().all(|label| *label == labels[0]), "half a commit: {labels:?}");
                        assert!(state.seq().0 >= newest, "went back to {}", state.seq());
                        newest = state.seq().0;
                    } else {
                        let floor = handle.seq().0;
                        let label: u64 =
                            handle.with_key(id(3).as_str(), |key| key.label().parse().unwrap()).expect("is there");
                        assert!(label == 0 || label >= floor, "label {label} is older than {floor}");
                    }
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for n in 2..commits {
            writer.apply(Seq(n), Time(n.cast_signed()), &relabelled(&keys, Seq(n)));
            handle.publish(&writer);
        }
        stop.store(true, Ordering::Relaxed);
    });
    println!("{} reads over {commits} commits, none torn", reads.load(Ordering::Relaxed));
}

/// A label that says its number twice, and is long every second time, so that it moves between a record's words and what stands behind
/// its pointer.
fn telling(number: u64) -> String {
    if number.is_multiple_of(2) { format!("{number}/{number}") } else { format!("{number}/{}{number}", " ".repeat(40)) }
}

#[test]
fn a_record_is_never_half_old_and_half_new_even_where_it_is_read_in_place() {
    let (handle, mut writer, keys) = start(3);
    let stop = AtomicBool::new(false);
    let (reads, commits) = (AtomicU64::new(0), 60_000);
    let first = Commit { events: vec![label(&keys, &telling(2))], ..commit(vec![]) };
    writer.apply(Seq(2), Time(2), &first);
    handle.publish(&writer);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let (mut newest, mut pinned) = (0, handle.state());
                while !stop.load(Ordering::Relaxed) {
                    let floor = handle.seq().0;
                    let seen = handle.with_key(id(1).as_str(), |key| (key.label(), key.changed().0)).expect("is there");
                    let (one, other) = seen.0.split_once('/').expect("says it twice");
                    assert_eq!(one, other.trim_start(), "a torn label");
                    let number: u64 = one.parse().expect("a number");
                    assert_eq!(number, seen.1, "label and seq are of different records");
                    assert!(number >= floor.max(newest), "{number} is older than {floor} or {newest}");
                    newest = number;
                    let kept = pinned.key(id(1).as_str()).expect("is there").label;
                    assert_eq!(kept, telling(pinned.seq().0), "what is pinned stays");
                    if reads.fetch_add(1, Ordering::Relaxed).is_multiple_of(64) {
                        pinned = handle.state();
                    }
                }
            });
        }
        for n in 3..commits {
            writer.apply(Seq(n), Time(n.cast_signed()), &commit(vec![label(&keys, &telling(n))]));
            handle.publish(&writer);
        }
        stop.store(true, Ordering::Relaxed);
    });
    println!("{} reads over {commits} commits in place, none torn", reads.load(Ordering::Relaxed));
}

fn label(keys: &[KeyUid], text: &str) -> Event {
    Event::KeyLabelled { key: keys[1], before: "".into(), after: text.into() }
}
