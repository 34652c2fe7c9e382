//! Folding events into the current state: the plain way a user would write, and the least the machine needs.
//!
//! Both, and every peer's fold, end in the same [`digest`], so a fast fold that forgot something shows.

use crate::Result;
use crate::floor::frames::{Frames, prefetch};
use crate::rng::mix;
use crate::workload::{Detail, decode};
use std::collections::HashMap;

/// A key as a plain program keeps it.
#[derive(Debug, Default)]
pub struct Plain {
    pub owner: String,
    pub label: String,
    pub sealed: Vec<u8>,
    pub policies: Vec<String>,
    pub revoked: bool,
    pub created_ns: i64,
    pub changed_seq: u64,
}

/// Key id to key; deleted keys are gone.
pub type PlainState = HashMap<String, Plain>;

/// Applies one encoded event to a plain state.
pub fn apply_plain(state: &mut PlainState, payload: &[u8]) -> Result<()> {
    let event = decode(payload)?;
    match event.detail {
        Detail::Created { owner, label, sealed } => {
            let key = Plain {
                owner: owner.to_owned(),
                label: label.to_owned(),
                sealed: sealed.to_vec(),
                created_ns: event.at_ns,
                changed_seq: event.seq,
                ..Plain::default()
            };
            state.insert(event.key_id.to_owned(), key);
        }
        Detail::Deleted { .. } => drop(state.remove(event.key_id)),
        ref change => {
            let key = state.get_mut(event.key_id).ok_or("a change of a key that was never created")?;
            match change {
                Detail::Attached { policy } => key.policies.push((*policy).to_owned()),
                Detail::Detached { policy } => key.policies.retain(|held| held != policy),
                _ => key.revoked = true,
            }
            key.changed_seq = event.seq;
        }
    }
    Ok(())
}

/// Folds every frame of `bytes` the plain way.
pub fn plain(bytes: &[u8]) -> Result<PlainState> {
    let mut state = PlainState::new();
    for frame in Frames::of(bytes) {
        apply_plain(&mut state, frame.payload)?;
    }
    Ok(state)
}

/// One number for a plain state, whatever its order.
pub fn digest(state: &PlainState) -> u64 {
    let one = |(id, key): (&String, &Plain)| {
        let policies = key.policies.iter().fold(0, |mask, policy| mask | policy_bit(policy));
        one_digest(id_hash(id.as_bytes()), policies, key.revoked, key.changed_seq)
    };
    state.iter().map(one).fold(0, u64::wrapping_add)
}

fn one_digest(id: u64, policies: u8, revoked: bool, changed_seq: u64) -> u64 {
    mix(id ^ mix(changed_seq << 9 | u64::from(policies) << 1 | u64::from(revoked)))
}

fn policy_bit(policy: &str) -> u8 {
    1 << (policy.as_bytes().last().copied().unwrap_or(b'0') & 7)
}

fn id_hash(id: &[u8]) -> u64 {
    let word = |at: usize| u64::from_le_bytes(id[at..at + 8].try_into().unwrap_or_default());
    mix(word(4) ^ word(12).rotate_left(29))
}

/// A key in one cache line: what is only shown stays in the log, at `created_at`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
struct Compact {
    id: [u8; 20],
    policies: u8,
    /// 0 usable, 1 revoked, 2 deleted.
    status: u8,
    created_ns: i64,
    changed_seq: u64,
    created_at: u64,
    id_hash: u64,
}

/// The compact state: an open-addressed table of record numbers, records in order of creation.
#[derive(Debug, Default)]
pub struct CompactState {
    table: Vec<u32>,
    records: Vec<Compact>,
}

const EMPTY: u32 = u32::MAX;
const BATCH: usize = 64;

impl CompactState {
    fn slot(&self, hash: u64) -> usize {
        hash as usize & (self.table.len() - 1)
    }

    fn find(&self, hash: u64, id: &[u8]) -> Option<usize> {
        let mut slot = self.slot(hash);
        while self.table[slot] != EMPTY {
            let at = self.table[slot] as usize;
            if self.records[at].id_hash == hash && self.records[at].id == id {
                return Some(at);
            }
            slot = (slot + 1) & (self.table.len() - 1);
        }
        None
    }

    fn grow(&mut self) {
        let len = (self.table.len() * 2).max(1 << 12);
        self.table.clear();
        self.table.resize(len, EMPTY);
        for at in 0..self.records.len() {
            self.link(at);
        }
    }

    fn link(&mut self, at: usize) {
        let mut slot = self.slot(self.records[at].id_hash);
        while self.table[slot] != EMPTY {
            slot = (slot + 1) & (self.table.len() - 1);
        }
        self.table[slot] = at as u32;
    }

    /// As [`digest`] of the plain state.
    pub fn digest(&self) -> u64 {
        let live = self.records.iter().filter(|key| key.status < 2);
        live.map(|key| one_digest(key.id_hash, key.policies, key.status == 1, key.changed_seq))
            .fold(0, u64::wrapping_add)
    }

    /// Keys not deleted.
    pub fn live(&self) -> usize {
        self.records.iter().filter(|key| key.status < 2).count()
    }
}

/// Folds every frame of `bytes` in batches: headers first, then table slots, then records, each asked for ahead.
pub fn pipelined(bytes: &[u8]) -> Result<CompactState> {
    let mut state = CompactState::default();
    state.grow();
    let mut frames = Frames::of(bytes);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        batch.clear();
        while batch.len() < BATCH {
            let offset = frames.offset();
            let Some(frame) = frames.next() else { break };
            let event = decode(frame.payload)?;
            let hash = id_hash(event.key_id.as_bytes());
            prefetch(&state.table, state.slot(hash));
            batch.push((offset as u64, hash, event));
        }
        if batch.is_empty() {
            return Ok(state);
        }
        for (_, hash, _) in &batch {
            prefetch(&state.records, state.table[state.slot(*hash)] as usize);
        }
        for (offset, hash, event) in &batch {
            let id = event.key_id.as_bytes();
            if let Detail::Created { .. } = event.detail {
                if (state.records.len() + 1) * 2 > state.table.len() {
                    state.grow();
                }
                let mut key = Compact { id_hash: *hash, created_at: *offset, ..Compact::default() };
                key.id.copy_from_slice(id);
                (key.created_ns, key.changed_seq) = (event.at_ns, event.seq);
                state.records.push(key);
                state.link(state.records.len() - 1);
                continue;
            }
            let at = state.find(*hash, id).ok_or("a change of a key that was never created")?;
            let key = &mut state.records[at];
            match &event.detail {
                Detail::Attached { policy } => key.policies |= policy_bit(policy),
                Detail::Detached { policy } => key.policies &= !policy_bit(policy),
                Detail::Revoked { .. } => key.status = 1,
                _ => key.status = 2,
            }
            key.changed_seq = event.seq;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::frames;
    use crate::workload::History;

    #[test]
    fn the_pipelined_fold_ends_where_the_plain_one_does() -> Result<()> {
        let history = History::generate(11, 20_000)?;
        let path = std::env::temp_dir().join(format!("keyledger-fold-{}", std::process::id()));
        frames::write(&history, &path)?;
        let bytes = std::fs::read(&path)?;
        std::fs::remove_file(&path)?;
        let (plain, compact) = (plain(&bytes)?, pipelined(&bytes)?);
        assert_eq!(plain.len(), compact.live());
        assert_eq!(digest(&plain), compact.digest());
        Ok(())
    }
}
