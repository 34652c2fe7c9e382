//! Payloads of commits: whatever decodes must encode to something that decodes to the same, and apply without panic.
#![no_main]

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

fuzz_target!(|input: &[u8]| {
    let Some((&cut, bytes)) = input.split_first() else { return };
    if let Ok(commit) = decode_whole(SCHEMA, bytes) {
        again(&commit);
    }
    let parts = bytes.chunks(usize::from(cut).max(17));
    if let Ok(commit) = decode_parts(SCHEMA, parts) {
        again(&commit);
    }
});
