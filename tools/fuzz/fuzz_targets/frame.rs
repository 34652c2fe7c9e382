//! Frames of the last segment, spoilt, with and without their checksums mended.
#![no_main]

use keyledger_fuzz::{exercise, patched, small_ledger};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static LEDGER: LazyLock<keyledger_fuzz::Memory> = LazyLock::new(small_ledger);

fuzz_target!(|input: &[u8]| {
    let memory = LEDGER.fork();
    let Some(path) = memory.ending(".seg").pop() else { return };
    let mut bytes = memory.get(&path);
    // Behind the header: that is the target `segment`.
    let frames = patched(bytes.split_off(4096), input);
    bytes.extend(frames);
    memory.put(&path, bytes);
    exercise(&memory);
});
