//! Presigned URLs of any query: whatever parses is explained, and never accepted unsigned.
#![no_main]

use keyledger::model::Time;
use keyledger::sigv4::{Candidate, Request, Rules, Scratch, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let now = Time(1_796_000_000_000_000_000);
    let begun =
        b"/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=NQAKP9KGWNTD0GP5RENV%2F20261130%2Fus-east-1%2Fs3%2F\
                  aws4_request&X-Amz-Date=20261130T005320Z&X-Amz-Expires=600&";
    let mut scratch = Scratch::new();
    for target in [input.to_vec(), [begun, input].concat()] {
        for rules in [Rules::s3(&["us-east-1"]), Rules::service("s3", &["us-east-1"])] {
            let request = Request { method: "GET", target: &target, headers: &[("host", b"h")] };
            if let Ok(mut parsed) = parse(&request, &rules, now, &mut scratch) {
                let _ = parsed.explain(None);
                assert!(parsed.verify(None, &[Candidate::Secret(b"secret")]).is_err(), "nobody signed this");
            }
        }
    }
});
