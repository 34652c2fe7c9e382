//! Targets of the native API, of any text: path and query are read or refused, and what is read once is read again.
#![no_main]

use keyledger::api::native::reads_as_target;
use libfuzzer_sys::fuzz_target;

const METHODS: [&str; 4] = ["GET", "POST", "PATCH", "DELETE"];
/// Routes with a query of their own; the rest of the input is theirs.
const BEGINNINGS: [&str; 6] =
    ["/api/v1/", "/api/v1/keys?", "/api/v1/audit/log?", "/api/v1/audit/diff?", "/api/v1/events?", ""];

fuzz_target!(|input: &[u8]| {
    let Some((&choice, rest)) = input.split_first() else { return };
    let Ok(rest) = std::str::from_utf8(rest) else { return };
    let choice = usize::from(choice);
    let target = format!("{}{rest}", BEGINNINGS[choice % BEGINNINGS.len()]);
    let method = METHODS[choice / BEGINNINGS.len() % METHODS.len()];
    let is_read = reads_as_target(method, &target);
    assert_eq!(is_read, reads_as_target(method, &target));
    assert!(!is_read || target.starts_with("/api/v1"), "{target}");
});
