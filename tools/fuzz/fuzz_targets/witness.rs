//! The tail witness, spoilt.
#![no_main]

use keyledger_fuzz::{FOLDER, exercise, patched, small_ledger};
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::LazyLock;

static LEDGER: LazyLock<keyledger_fuzz::Memory> = LazyLock::new(small_ledger);

fuzz_target!(|input: &[u8]| {
    let memory = LEDGER.fork();
    let path = Path::new(FOLDER).join("tail.wit");
    memory.put(&path, patched(memory.get(&path), input));
    exercise(&memory);
});
