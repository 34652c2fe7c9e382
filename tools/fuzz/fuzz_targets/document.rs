//! Policy documents: whatever parses must parse again from its minified text to the same.
#![no_main]

use keyledger::policy::{Document, DocumentKind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for kind in [DocumentKind::Managed, DocumentKind::Evidence, DocumentKind::Simulated] {
        if let Ok(document) = Document::parse(text, kind) {
            let again = Document::parse(document.minified(), kind).expect("its own text");
            assert_eq!(again.minified(), document.minified());
            assert_eq!(again.hash(), document.hash());
        }
    }
});
