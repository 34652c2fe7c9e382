//! Form uploads of any bytes, whole and with any policy: nothing panics, and none is accepted that nobody signed.
#![no_main]

use keyledger::model::Time;
use keyledger::sigv4::{Candidate, Form, FormField, Rules, form_head};
use libfuzzer_sys::fuzz_target;

/// Base64 with padding, so that the fuzzer reaches the policy itself.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let word = three.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

fuzz_target!(|input: &[u8]| {
    let now = Time(1_796_000_000_000_000_000);
    let rules = Rules::s3(&["us-east-1"]);
    let judge = |fields: &[FormField<'_>]| {
        if let Ok(form) = Form::parse(fields, "bucket", &rules, now) {
            assert!(form.verify(&[Candidate::Secret(b"secret")]).is_err(), "nobody signed this");
        }
    };
    if let Ok(Some(head)) = form_head("multipart/form-data; boundary=x", input) {
        assert!(head.file_at <= input.len());
        judge(&head.fields);
    }
    let policy = base64(input);
    let field = |name, value| FormField { name, value };
    judge(&[
        field("key", b"k".as_slice()),
        field("x-amz-algorithm", b"AWS4-HMAC-SHA256"),
        field("x-amz-credential", b"NQAKP9KGWNTD0GP5RENV/20261130/us-east-1/s3/aws4_request"),
        field("x-amz-date", b"20261130T005320Z"),
        field("x-amz-signature", b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        field("policy", policy.as_bytes()),
    ]);
});
