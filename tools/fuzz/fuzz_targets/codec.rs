//! Payloads of commits: whatever decodes must encode to something that decodes to the same, apply without panic, and be read alike
//! by a replay.
#![no_main]

use keyledger::model::brief::{self, EventBrief};
use keyledger::model::codec::{Encoded, decode_parts, decode_whole, encode};
use keyledger::model::{Commit, SCHEMA, Seq, Time};
use keyledger::state::State;
use libfuzzer_sys::fuzz_target;

fn again(commit: &Commit) {
    let Ok(encoded) = encode(commit, |_| [0; 16]) else { return };
    let decoded = match &encoded {
        Encoded::Whole(bytes) => decode_whole(SCHEMA, bytes),
        Encoded::Parts(parts) => decode_parts(SCHEMA, parts.iter().map(Vec::as_slice)),
    };
    assert_eq!(decoded.as_ref().ok(), Some(commit));
    let mut state = State::empty();
    state.apply(Seq(1), Time(1), commit);
    std::hint::black_box(state.hash());
}

/// What a replay reads is what the decoder reads, or both refuse. Only an actor's key id is not looked at by a replay.
fn replayed(bytes: &[u8]) {
    let mut events = Vec::new();
    let brief = brief::decode(SCHEMA, std::iter::once(bytes), true, &mut events);
    match decode_whole(SCHEMA, bytes) {
        Ok(commit) => {
            assert_eq!(brief.ok(), Some(commit.envelope.brief()));
            assert_eq!(events, commit.events.iter().map(EventBrief::of).collect::<Vec<_>>());
        }
        Err(error) => assert!(brief.is_err() || error.to_string().contains("access key id")),
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&cut, bytes)) = input.split_first() else { return };
    replayed(bytes);
    if let Ok(commit) = decode_whole(SCHEMA, bytes) {
        again(&commit);
    }
    let parts = bytes.chunks(usize::from(cut).max(17));
    if let Ok(commit) = decode_parts(SCHEMA, parts) {
        again(&commit);
    }
});
