//! The history every store is given: half creates, the rest attach, revoke, detach and delete.
//!
//! Operations always make sense (nothing attaches to a deleted key), so a ledger that refuses nonsense accepts them all.
//!
//! Invariants
//! - The same seed and length give the same history; a longer one begins with the shorter.
//! - A key holds a policy at most once and at most [`POLICIES`] of them.

use crate::rng::{Rng, letters};
use bincode::config::{Configuration, standard};

/// Policies that may be attached to a key.
pub const POLICIES: u8 = 8;
/// Users who cause events.
pub const ACTORS: u32 = 500;
/// Addresses they come from.
pub const ADDRESSES: u32 = 4096;
/// Users who own keys.
pub const OWNERS: u32 = 2000;
/// When the history begins: 2026-01-01T00:00:00Z, in ns.
pub const BEGIN_NS: i64 = 1_767_225_600_000_000_000;

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    Create,
    Attach,
    Revoke,
    Detach,
    Delete,
}

/// One operation on one key.
#[derive(Debug, Clone, Copy)]
pub struct Op {
    pub kind: Kind,
    /// Keys are numbered in the order of their creation.
    pub key: u32,
    /// The policy of an attach or detach.
    pub policy: u8,
    pub owner: u32,
    pub actor: u32,
    pub address: u32,
    pub at_ns: i64,
}

/// Draws operations without end.
#[derive(Debug)]
pub struct Stream {
    rng: Rng,
    /// Attached policies of each key as bits; `None` once it is revoked or deleted.
    usable: Vec<Option<u8>>,
    /// Usable keys, some no longer so.
    candidates: Vec<u32>,
    revoked: Vec<u32>,
    attached: Vec<(u32, u8)>,
    at_ns: i64,
}

impl Stream {
    pub fn seeded(seed: u64) -> Self {
        let rng = Rng::seeded(seed);
        let (usable, candidates, revoked, attached) = Default::default();
        Self { rng, usable, candidates, revoked, attached, at_ns: BEGIN_NS }
    }

    /// A usable key that `fits`; forgets candidates that are no longer usable.
    fn candidate(&mut self, fits: impl Fn(u8) -> bool) -> Option<u32> {
        for _ in 0..16 {
            if self.candidates.is_empty() {
                return None;
            }
            let at = self.rng.index(self.candidates.len());
            let key = self.candidates[at];
            match self.usable[key as usize] {
                None => drop(self.candidates.swap_remove(at)),
                Some(held) if fits(held) => return Some(key),
                Some(_) => {}
            }
        }
        None
    }

    fn draw(&mut self) -> (Kind, u32, u8) {
        match self.rng.below(100) {
            50..70 => {
                if let Some(key) = self.candidate(|held| held.count_ones() < 4) {
                    let held = self.usable[key as usize].unwrap_or(0);
                    let free = (0..POLICIES).filter(|policy| held >> policy & 1 == 0);
                    let nth = self.rng.index(free.clone().count());
                    let policy = free.clone().nth(nth).unwrap_or(0);
                    self.usable[key as usize] = Some(held | 1 << policy);
                    self.attached.push((key, policy));
                    return (Kind::Attach, key, policy);
                }
            }
            70..85 => {
                if let Some(key) = self.candidate(|_| true) {
                    self.usable[key as usize] = None;
                    self.revoked.push(key);
                    return (Kind::Revoke, key, 0);
                }
            }
            85..95 => {
                while !self.attached.is_empty() {
                    let at = self.rng.index(self.attached.len());
                    let (key, policy) = self.attached.swap_remove(at);
                    if let Some(held) = self.usable[key as usize] {
                        self.usable[key as usize] = Some(held & !(1 << policy));
                        return (Kind::Detach, key, policy);
                    }
                }
            }
            95..100 if !self.revoked.is_empty() => {
                let at = self.rng.index(self.revoked.len());
                return (Kind::Delete, self.revoked.swap_remove(at), 0);
            }
            _ => {}
        }
        let key = self.usable.len() as u32;
        self.usable.push(Some(0));
        self.candidates.push(key);
        (Kind::Create, key, 0)
    }
}

impl Iterator for Stream {
    type Item = Op;

    fn next(&mut self) -> Option<Op> {
        let (kind, key, policy) = self.draw();
        self.at_ns += 1_000_000 + self.rng.below(10_000_000_000).cast_signed();
        Some(Op {
            kind,
            key,
            policy,
            owner: (crate::rng::mix(u64::from(key)) % u64::from(OWNERS)) as u32,
            actor: self.rng.below(u64::from(ACTORS)) as u32,
            address: self.rng.below(u64::from(ADDRESSES)) as u32,
            at_ns: self.at_ns,
        })
    }
}

/// The id of the key with that number.
pub fn key_id(key: u32) -> [u8; 20] {
    let mut id = *b"NQAK0000000000000000";
    id[4..].copy_from_slice(&letters::<16>(u64::from(key)));
    id
}

pub fn actor_name(actor: u32) -> String {
    format!("operator-{actor:03}")
}

pub fn owner_name(owner: u32) -> String {
    format!("service-{owner:04}")
}

pub fn address_text(address: u32) -> String {
    format!("198.51.{}.{}", address / 256, address % 256)
}

pub fn policy_name(policy: u8) -> String {
    format!("team-storage-policy-{policy}")
}

/// What a store keeps of an event: enough to explain itself, about 200 B encoded.
#[derive(Debug, PartialEq, Eq, bincode::Encode, bincode::BorrowDecode)]
pub struct Event<'a> {
    pub seq: u64,
    pub at_ns: i64,
    pub org: u64,
    pub actor: &'a str,
    pub address: &'a str,
    pub agent: &'a str,
    pub request: &'a str,
    pub key_id: &'a str,
    pub detail: Detail<'a>,
}

#[derive(Debug, PartialEq, Eq, bincode::Encode, bincode::BorrowDecode)]
pub enum Detail<'a> {
    Created { owner: &'a str, label: &'a str, sealed: &'a [u8] },
    Attached { policy: &'a str },
    Revoked { reason: &'a str },
    Detached { policy: &'a str },
    Deleted { reason: &'a str },
}

/// A history, encoded.
#[derive(Debug)]
pub struct History {
    pub ops: Vec<Op>,
    payloads: Vec<u8>,
    ends: Vec<u64>,
}

/// One event as a store is given it: what it may index, and the payload it must keep.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub seq: u64,
    pub op: Op,
    pub payload: &'a [u8],
}

impl History {
    /// Draws and encodes `len` events.
    pub fn generate(seed: u64, len: usize) -> crate::Result<Self> {
        let mut history = Self { ops: Vec::with_capacity(len), payloads: Vec::new(), ends: Vec::with_capacity(len) };
        for (at, op) in Stream::seeded(seed).take(len).enumerate() {
            let id = key_id(op.key);
            let request = request_id(seed, at as u64);
            let (actor, address) = (actor_name(op.actor), address_text(op.address));
            let (owner, policy) = (owner_name(op.owner), policy_arn(op.policy));
            let label = format!("nightly backup {}", op.key);
            let sealed: [u8; 88] = letters(u64::from(op.key) << 8);
            let event = Event {
                seq: at as u64 + 1,
                at_ns: op.at_ns,
                org: 123_456_789_012,
                actor: &actor,
                address: &address,
                agent: "aws-cli/2.15.30 Python/3",
                request: &request,
                key_id: std::str::from_utf8(&id)?,
                detail: match op.kind {
                    Kind::Create => Detail::Created { owner: &owner, label: &label, sealed: &sealed },
                    Kind::Attach => Detail::Attached { policy: &policy },
                    Kind::Revoke => Detail::Revoked { reason: "seen in a public repository" },
                    Kind::Detach => Detail::Detached { policy: &policy },
                    Kind::Delete => Detail::Deleted { reason: "no longer used" },
                },
            };
            bincode::encode_into_std_write(&event, &mut history.payloads, config())?;
            history.ends.push(history.payloads.len() as u64);
            history.ops.push(op);
        }
        Ok(history)
    }

    pub fn len(&self) -> usize {
        self.ops.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Event number `at`, counted from 0.
    pub fn entry(&self, at: usize) -> Entry<'_> {
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        Entry { seq: at as u64 + 1, op: self.ops[at], payload: &self.payloads[start..self.ends[at] as usize] }
    }

    /// All entries in order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.len()).map(|at| self.entry(at))
    }

    /// Average payload length.
    pub fn payload_mean(&self) -> f64 {
        self.payloads.len() as f64 / self.len().max(1) as f64
    }
}

/// Decodes a payload without copying its strings.
pub fn decode(payload: &[u8]) -> crate::Result<Event<'_>> {
    Ok(bincode::borrow_decode_from_slice(payload, config())?.0)
}

fn config() -> Configuration {
    standard()
}

fn policy_arn(policy: u8) -> String {
    format!("arn:aws:iam::123456789012:policy/{}", policy_name(policy))
}

pub fn request_id(seed: u64, at: u64) -> String {
    let (a, b) = (crate::rng::mix(seed ^ at.wrapping_mul(31)), crate::rng::mix(at ^ 0xABCD));
    format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", a >> 32, a >> 16 & 0xffff, a & 0xffff, b >> 48, b & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_operation_makes_sense_and_the_mix_is_as_promised() {
        let (mut live, mut revoked, mut held) = (HashSet::new(), HashSet::new(), HashSet::new());
        let mut counts = [0; 5];
        for op in Stream::seeded(7).take(100_000) {
            counts[op.kind as usize] += 1;
            match op.kind {
                Kind::Create => assert!(live.insert(op.key)),
                Kind::Attach => assert!(live.contains(&op.key) && held.insert((op.key, op.policy))),
                Kind::Detach => assert!(live.contains(&op.key) && held.remove(&(op.key, op.policy))),
                Kind::Revoke => assert!(live.remove(&op.key) && revoked.insert(op.key)),
                Kind::Delete => assert!(revoked.remove(&op.key)),
            }
        }
        for (count, percent) in counts.iter().zip([50, 20, 15, 10, 5]) {
            assert!((*count - percent * 1000_i32).abs() < 1000, "{counts:?}");
        }
    }

    #[test]
    fn payloads_decode_to_what_was_encoded_and_are_near_202_bytes() -> crate::Result<()> {
        let history = History::generate(7, 10_000)?;
        for entry in history.entries() {
            let event = decode(entry.payload)?;
            assert_eq!((event.seq, event.key_id.as_bytes()), (entry.seq, &key_id(entry.op.key)[..]));
        }
        assert!((190.0..215.0).contains(&history.payload_mean()), "{}", history.payload_mean());
        Ok(())
    }
}
