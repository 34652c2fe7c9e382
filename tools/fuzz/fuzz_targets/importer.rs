//! CloudTrail files of any bytes: every record is imported, a duplicate or rejected, and a second import adds nothing.
#![no_main]

use keyledger::ledger::import::{EvidenceSink, ImportOptions, import_cloudtrail};
use keyledger::model::{AccountId, Event};
use keyledger_fuzz::Memory;
use libfuzzer_sys::fuzz_target;
use std::convert::Infallible;
use std::path::Path;

#[derive(Default)]
struct Kept(Vec<Event>);

impl EvidenceSink for Kept {
    type Error = Infallible;

    fn known_ids(&mut self, add: &mut dyn FnMut([u8; 16])) -> Result<(), Infallible> {
        for event in &self.0 {
            match event {
                Event::EvidenceChanged(change) => add(change.record.event_id),
                Event::EvidenceObserved(observed) => add(observed.record.event_id),
                _ => {}
            }
        }
        Ok(())
    }

    fn batch(&mut self, _: AccountId, _: &str, events: Vec<Event>) -> Result<(), Infallible> {
        self.0.extend(events);
        Ok(())
    }
}

fuzz_target!(|input: &[u8]| {
    let memory = Memory::default();
    let path = Path::new("/trail/file.json");
    memory.put(path, input.to_vec());
    let mut sink = Kept::default();
    let import = |sink: &mut Kept| {
        let options = ImportOptions { threads: 1, ..ImportOptions::default() };
        let mut rejections = 0;
        let counts = import_cloudtrail(&memory, &[path.to_owned()], options, sink, &mut |_| rejections += 1);
        let counts = counts.expect("the file is there and the sink takes everything");
        assert_eq!(counts.records, counts.imported + counts.duplicates + counts.rejected);
        assert_eq!(rejections, counts.rejected);
        counts
    };
    let first = import(&mut sink);
    assert_eq!(sink.0.len() as u64, first.imported);
    let second = import(&mut sink);
    assert_eq!((second.imported, second.records), (0, first.records));
});
