//! The floor of an indexed question: where the events of each key, actor and address stand, kept in memory.

use crate::Result;
use crate::floor::frames::Frames;
use crate::workload::{Event, decode};
use std::collections::HashMap;

/// Offsets of frames, in order, by what the event mentions.
#[derive(Debug, Default)]
pub struct Postings {
    keys: HashMap<[u8; 20], Vec<u64>, foldhash::fast::RandomState>,
    actors: HashMap<String, Vec<u64>>,
    addresses: HashMap<String, Vec<u64>>,
}

impl Postings {
    /// Reads every frame once.
    pub fn of(bytes: &[u8]) -> Result<Self> {
        let mut postings = Self::default();
        let mut frames = Frames::of(bytes);
        loop {
            let offset = frames.offset() as u64;
            let Some(frame) = frames.next() else { return Ok(postings) };
            let event = decode(frame.payload)?;
            let mut id = [0; 20];
            id.copy_from_slice(event.key_id.as_bytes());
            postings.keys.entry(id).or_default().push(offset);
            for (map, name) in [(&mut postings.actors, event.actor), (&mut postings.addresses, event.address)] {
                match map.get_mut(name) {
                    Some(offsets) => offsets.push(offset),
                    None => drop(map.insert(name.to_owned(), vec![offset])),
                }
            }
        }
    }

    /// A key as of event `seq`: whether it is revoked, and how many policies it holds; `None` if it was not there.
    pub fn key_at(&self, bytes: &[u8], id: &[u8; 20], seq: u64) -> Result<Option<(bool, i32)>> {
        let mut key = None;
        for offset in self.keys.get(id).map_or(&[][..], Vec::as_slice) {
            let Some(frame) = Frames::from(bytes, *offset as usize).next() else { break };
            if frame.seq() > seq {
                break;
            }
            key = step(key, &decode(frame.payload)?);
        }
        Ok(key)
    }

    /// Decodes every event of an actor. Returns how many there are.
    pub fn by_actor(&self, bytes: &[u8], actor: &str) -> Result<u64> {
        read_all(bytes, self.actors.get(actor))
    }

    /// Decodes every event from an address. Returns how many there are.
    pub fn by_address(&self, bytes: &[u8], address: &str) -> Result<u64> {
        read_all(bytes, self.addresses.get(address))
    }
}

/// What one event makes of a key.
pub fn step(key: Option<(bool, i32)>, event: &Event<'_>) -> Option<(bool, i32)> {
    use crate::workload::Detail::{Attached, Created, Deleted, Detached, Revoked};
    match (&event.detail, key) {
        (Created { .. }, _) => Some((false, 0)),
        (Attached { .. }, Some((revoked, held))) => Some((revoked, held + 1)),
        (Detached { .. }, Some((revoked, held))) => Some((revoked, held - 1)),
        (Revoked { .. }, Some((_, held))) => Some((true, held)),
        (Deleted { .. }, _) | (_, None) => None,
    }
}

fn read_all(bytes: &[u8], offsets: Option<&Vec<u64>>) -> Result<u64> {
    let mut found = 0;
    for offset in offsets.map_or(&[][..], Vec::as_slice) {
        let Some(frame) = Frames::from(bytes, *offset as usize).next() else { break };
        std::hint::black_box(decode(frame.payload)?);
        found += 1;
    }
    Ok(found)
}

/// Decodes every event and counts those of an actor or from an address.
pub fn scan(bytes: &[u8], actor: Option<&str>, address: Option<&str>) -> Result<u64> {
    let mut found = 0;
    for frame in Frames::of(bytes) {
        let event = decode(frame.payload)?;
        let same = |wanted: Option<&str>, is: &str| wanted.is_none_or(|wanted| wanted == is);
        found += u64::from(same(actor, event.actor) && same(address, event.address));
    }
    Ok(found)
}
