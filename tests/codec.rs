//! What a commit's bytes promise: they come back as they went in, and other bytes are refused.

mod samples;

use keyledger::model::brief::{self, EventBrief};
use keyledger::model::codec::{self, CodecError, Encoded};
use keyledger::model::{Commit, SCHEMA};

fn round_trip(commit: &Commit) -> Commit {
    match codec::encode(commit, |part| [u8::try_from(part % 251).expect("small"); 16]).expect("fits") {
        Encoded::Whole(bytes) => codec::decode_whole(SCHEMA, &bytes).expect("was encoded"),
        Encoded::Parts(parts) => codec::decode_parts(SCHEMA, parts.iter().map(Vec::as_slice)).expect("was encoded"),
    }
}

#[test]
fn every_kind_of_event_comes_back_as_it_went_in() {
    for commit in samples::every_commit() {
        assert_eq!(round_trip(&commit), commit);
    }
}

#[test]
fn what_a_replay_reads_of_a_commit_is_what_was_written() {
    for commit in samples::every_commit() {
        let mut events = Vec::new();
        let expected: Vec<EventBrief> = commit.events.iter().map(EventBrief::of).collect();
        match codec::encode(&commit, |_| [7; 16]).expect("fits") {
            Encoded::Whole(bytes) => {
                let envelope = brief::decode(SCHEMA, [bytes.as_slice()].into_iter(), true, &mut events);
                assert_eq!(envelope.expect("was encoded"), commit.envelope.brief());
                assert_eq!(events, expected);
            }
            Encoded::Parts(parts) => {
                let envelope = brief::decode(SCHEMA, parts.iter().map(Vec::as_slice), false, &mut events);
                assert_eq!(envelope.expect("was encoded"), commit.envelope.brief());
                assert_eq!(events, expected);
            }
        }
    }
}

#[test]
fn a_replay_refuses_what_the_decoder_refuses_and_reads_the_same_of_all_else() {
    let (mut read, mut refused) = (0_u32, 0_u32);
    for commit in samples::every_commit() {
        let Encoded::Whole(bytes) = codec::encode(&commit, |_| [0; 16]).expect("fits") else { continue };
        for at in 0..bytes.len() {
            for value in [0x00, 0x01, 0x7f, 0xff, 0xfb, 0xfc, 0xfd, bytes[at] ^ 1, bytes[at].wrapping_add(1)] {
                let mut flipped = bytes.clone();
                flipped[at] = value;
                let mut events = Vec::new();
                let brief = brief::decode(SCHEMA, [flipped.as_slice()].into_iter(), true, &mut events);
                // The decoder checks an actor's key id, which a replay does not look at.
                match codec::decode_whole(SCHEMA, &flipped) {
                    Ok(whole) => {
                        assert_eq!(brief.expect("the decoder read it"), whole.envelope.brief());
                        assert_eq!(events, whole.events.iter().map(EventBrief::of).collect::<Vec<_>>());
                        read += 1;
                    }
                    Err(error) => {
                        assert!(brief.is_err() || error.to_string().contains("access key id"), "{error}: {events:?}");
                        refused += 1;
                    }
                }
            }
        }
    }
    println!("{read} changed commits read alike, {refused} refused alike");
    assert!(read > 0 && refused > 0);
}

#[test]
fn bytes_that_were_cut_or_lengthened_are_refused() {
    for commit in samples::every_commit() {
        let Encoded::Whole(bytes) = codec::encode(&commit, |_| [0; 16]).expect("fits") else { continue };
        for len in 0..bytes.len() {
            assert!(codec::decode_whole(SCHEMA, &bytes[..len]).is_err(), "{:?} cut to {len}", commit.events[0].kind());
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(codec::decode_whole(SCHEMA, &longer), Err(CodecError::TrailingBytes { extra: 1 })));
        assert!(matches!(codec::decode_whole(9, &bytes), Err(CodecError::UnknownSchema { found: 9 })));
    }
}

#[test]
fn flipped_bytes_never_panic_and_never_ask_for_much_memory() {
    let mut refused = 0_u32;
    for commit in samples::every_commit() {
        let Encoded::Whole(bytes) = codec::encode(&commit, |_| [0; 16]).expect("fits") else { continue };
        for at in 0..bytes.len() {
            for value in [0x00, 0xff, 0xfc, 0xfd, bytes[at] ^ 1] {
                let mut bad = bytes.clone();
                bad[at] = value;
                refused += u32::from(codec::decode_whole(SCHEMA, &bad).is_err());
            }
        }
    }
    assert!(refused > 1_000, "only {refused} of the flips were refused");
}

#[test]
fn evidence_inside_evidence_is_refused_before_the_stack_ends() {
    use keyledger::model::Event;
    let Some(Event::EvidenceChanged(change)) =
        samples::every_event().into_iter().find(|event| matches!(event, Event::EvidenceChanged(_)))
    else {
        panic!("the samples hold an imported change");
    };
    let mut nested = Event::EvidenceChanged(change.clone());
    for _ in 0..3 {
        let mut outer = change.clone();
        std::sync::Arc::make_mut(&mut outer).changes = vec![nested];
        nested = Event::EvidenceChanged(outer);
    }
    let mut commit = samples::every_commit().remove(0);
    commit.events = vec![nested];
    let Encoded::Whole(bytes) = codec::encode(&commit, |_| [0; 16]).expect("fits") else { panic!("one event") };
    assert!(matches!(codec::decode_whole(SCHEMA, &bytes), Err(CodecError::Malformed { .. })));
}
