//! Snapshots: the header, and bodies whose checksums hold.
#![no_main]

use keyledger::state::State;
use keyledger_fuzz::{LEDGER_ID, patched};
use libfuzzer_sys::fuzz_target;

fn read(bytes: &[u8]) {
    let Ok(header) = State::snapshot_header(bytes, LEDGER_ID) else { return };
    if let Ok(state) = State::from_snapshot(bytes, &header) {
        // Accepted: then it is the state that its hash names.
        assert_eq!(state.hash(), header.state_hash);
    }
}

fuzz_target!(|input: &[u8]| {
    read(input);
    let (bytes, _) = State::empty().to_snapshot(LEDGER_ID, [3; 32], [4; 32]);
    read(&patched(bytes.clone(), input));
    // The input as a body, under a header and a checksum that fit.
    let mut made = bytes[..256].to_vec();
    made[104..136].copy_from_slice(blake3::hash(input).as_bytes());
    made[136..144].copy_from_slice(&(input.len() as u64).to_le_bytes());
    let crc = crc32fast::hash(&made[..252]);
    made[252..256].copy_from_slice(&crc.to_le_bytes());
    made.extend_from_slice(input);
    let sum = blake3::hash(&made);
    made.extend_from_slice(sum.as_bytes());
    read(&made);
});
