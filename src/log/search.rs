//! Looking for bytes in the log, without reading the frames that do not hold them.
//!
//! A segment is searched whole, at the speed of memory; frames are walked by their lengths alone up to the next hit, and only a
//! frame that holds one is checked and handed over.
//!
//! Not here: what the bytes mean (`audit::scan`).

use super::error::LogError;
use super::frame::{Frame, likely_len};
use super::map::prefetch;
use super::reader::LogReader;
use memchr::memmem::Finder;
use std::ops::RangeInclusive;

/// One of several texts, each searched for by itself.
struct Hits<'a> {
    finder: &'a Finder<'a>,
    /// Where it stands next, if that is known.
    next: Option<usize>,
}

impl LogReader {
    /// Calls `f` with every frame of `range` whose payload holds one of the needles of each list, in order, until it says
    /// `false`. Without lists: with every frame.
    ///
    /// # Errors
    /// [`LogError::Damaged`], and what `f` gives.
    pub(crate) fn search<E: From<LogError>>(
        &self,
        range: &RangeInclusive<u64>,
        needles: &[Vec<Finder<'_>>],
        f: &mut dyn FnMut(&Frame<'_>) -> Result<bool, E>,
    ) -> Result<(), E> {
        let (mut seq, last) = ((*range.start()).max(1), (*range.end()).min(self.last_seq()));
        let Some((first_list, rest)) = needles.split_first() else {
            for frame in self.frames(seq) {
                let frame = frame?;
                if frame.seq > last || !f(&frame)? {
                    break;
                }
            }
            return Ok(());
        };
        while seq <= last {
            let Some((_, segment)) = self.published.segment_of(seq) else { break };
            let segment_last = segment.last_seq().min(last);
            let bytes = segment.bytes(self.published.io.as_ref(), segment.end())?;
            let mut offset = segment.offset_of(bytes, seq)?;
            let mut hits: Vec<Hits<'_>> = first_list.iter().map(|finder| Hits { finder, next: Some(offset) }).collect();
            // The next hit at or behind `from`; each text is searched for once over every byte.
            let mut hit_from = |from: usize| {
                for hit in &mut hits {
                    if hit.next.is_some_and(|next| next <= from) {
                        hit.next = bytes.get(from..).and_then(|rest| hit.finder.find(rest)).map(|at| from + at);
                    }
                }
                hits.iter().filter_map(|hit| hit.next).min()
            };
            let mut hit = hit_from(offset);
            while let Some(at) = hit {
                // Walk to the frame that holds it.
                let mut len = likely_len(bytes, offset, seq);
                while let Some(step) = len.filter(|step| offset + step <= at) {
                    offset += step;
                    seq += 1;
                    if seq > segment_last {
                        break;
                    }
                    prefetch(bytes, offset + 4096);
                    len = likely_len(bytes, offset, seq);
                }
                if seq > segment_last {
                    break;
                }
                let frame = segment.frame_at(bytes, offset, seq)?;
                let in_payload = |list: &Vec<Finder<'_>>| list.iter().any(|n| n.find(frame.payload()).is_some());
                if in_payload(first_list) && rest.iter().all(in_payload) && !f(&frame)? {
                    return Ok(());
                }
                offset += frame.stored_len();
                seq += 1;
                if seq > segment_last {
                    break;
                }
                hit = hit_from(offset);
            }
            seq = segment_last + 1;
        }
        Ok(())
    }
}
