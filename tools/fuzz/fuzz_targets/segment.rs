//! Headers and seals of segments, spoilt, cut or grown.
#![no_main]

use keyledger_fuzz::{exercise, patched, small_ledger};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static LEDGER: LazyLock<keyledger_fuzz::Memory> = LazyLock::new(small_ledger);

fuzz_target!(|input: &[u8]| {
    let Some((&which, input)) = input.split_first() else { return };
    let memory = LEDGER.fork();
    let segments = memory.ending(".seg");
    let path = &segments[usize::from(which) % segments.len()];
    let bytes = memory.get(path);
    let ends = bytes.len() - 4096;
    // The first and the last block hold header and seal; one patch program for both.
    let mut spoilt = patched(bytes[..4096].to_vec(), input);
    spoilt.extend_from_slice(&bytes[4096..ends]);
    spoilt.extend(patched(bytes[ends..].to_vec(), input.get(8..).unwrap_or_default()));
    match which >> 6 {
        1 => spoilt.truncate(spoilt.len() / 2),
        2 => spoilt.resize(spoilt.len() * 2, 0),
        _ => {}
    }
    memory.put(path, spoilt);
    exercise(&memory);
});
