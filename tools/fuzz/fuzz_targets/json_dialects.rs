//! Bodies of the Partner dialect and of LookupEvents, and forms of Tigris IAM, of any bytes: reading them never panics and never asks for the stack.
#![no_main]

use keyledger::api::dialect::{cloudtrail, partner, tigris_iam};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = partner::reads_as_body(input);
    let _ = cloudtrail::reads_as_question(input);
    let _ = tigris_iam::reads_as_form("Action=CreateAccessKeyWithBucketsRole", input);
    if let Ok(query) = std::str::from_utf8(input) {
        let _ = tigris_iam::reads_as_form(query, b"");
    }
    // As the value of the one parameter that holds JSON.
    let escaped: String = input.iter().map(|byte| format!("%{byte:02x}")).collect();
    let _ = tigris_iam::reads_as_form("", format!("Req={escaped}").as_bytes());
});
