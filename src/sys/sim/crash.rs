//! What a crash may leave: every subset of the changes that were not yet synced, and what stands where one was lost.
//!
//! Up to [`CrashLimits::exhaustive_max`] changes, every subset. Beyond that: every prefix in order of time, every loss of
//! one, every survival of one, pairs lost, and random subsets. Each with every [`Fill`], where something was lost
//! that may come out as anything.
//!
//! Not here: which of these a journal would rule out; a log that survives them all needs no journal.
#![expect(clippy::cast_possible_truncation, reason = "simulated files are small")]

use super::SimDisk;
use super::image::{Image, SECTOR};
use super::nodes::{Change, FileNode, Node, State};
use std::sync::Arc;

/// What a lost sector reads as, if nothing lasting was in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    Old,
    Zero,
    Garbage,
    /// A sector of this or another file.
    Stale,
}

/// How many crashes of one moment are tried.
#[derive(Debug, Clone, Copy)]
pub struct CrashLimits {
    /// Up to so many changes every subset is tried.
    pub exhaustive_max: usize,
    pub random: usize,
    pub pairs_max: usize,
    pub fills: &'static [Fill],
}

impl Default for CrashLimits {
    fn default() -> Self {
        let fills = &[Fill::Old, Fill::Zero, Fill::Garbage, Fill::Stale];
        Self { exhaustive_max: 12, random: 256, pairs_max: 2_000, fills }
    }
}

/// A moment at which a machine may stop.
#[derive(Debug, Clone)]
pub struct CrashPoint {
    state: State,
    /// What the caller had set last: see [`SimDisk::set_mark`].
    pub mark: u64,
    /// Node and place in its pending list, roughly in order of time (by node, then by time).
    items: Vec<(u64, usize)>,
}

impl CrashPoint {
    pub(super) fn new(state: State, mark: u64) -> Self {
        let mut items = Vec::new();
        for (inode, node) in &state.nodes {
            let pending = match node.as_ref() {
                Node::File(file) => file.pending.len(),
                Node::Folder(folder) => folder.pending.len(),
            };
            items.extend((0..pending).map(|place| (*inode, place)));
        }
        Self { state, mark, items }
    }

    /// Changes that may or may not survive.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.items.len()
    }

    /// The disks that this crash may leave.
    #[must_use]
    pub fn images(&self, seed: u64, limits: CrashLimits) -> CrashImages {
        CrashImages { plan: plan(self.items.len(), seed, &limits), point: self.clone(), limits, next: 0, fill: 0, seed }
    }

    /// The disk on which exactly the `kept` changes survived.
    fn image(&self, kept: &[bool], fill: Fill, seed: u64) -> SimDisk {
        let mut state = self.state.clone();
        let mut dice = Dice(seed);
        let stale = if fill == Fill::Stale { self.stale_sectors() } else { Vec::new() };
        let mut from = 0;
        while from < self.items.len() {
            let inode = self.items[from].0;
            let until = from + self.items[from..].iter().take_while(|item| item.0 == inode).count();
            if let Some(node) = state.nodes.get_mut(&inode) {
                match Arc::make_mut(node) {
                    Node::File(file) => {
                        file.current = survivor(file, &kept[from..until], fill, &mut dice, &stale);
                        file.synced = file.current.clone();
                        file.pending.clear();
                    }
                    Node::Folder(folder) => {
                        let pending = std::mem::take(&mut folder.pending);
                        for (change, _) in pending.iter().zip(&kept[from..until]).filter(|(_, kept)| **kept) {
                            change.apply(&mut folder.synced);
                        }
                        folder.current.clone_from(&folder.synced);
                    }
                }
            }
            from = until;
        }
        let kept_text: String = kept.iter().map(|kept| if *kept { '1' } else { '0' }).collect();
        SimDisk::of(state, &format!("kept {kept_text} fill {fill:?} seed {seed}"))
    }

    /// Some sectors that are on the disk somewhere.
    fn stale_sectors(&self) -> Vec<Arc<[u8; SECTOR]>> {
        let mut found = Vec::new();
        for node in self.state.nodes.values() {
            if let Node::File(file) = node.as_ref() {
                found.extend(file.current.full_sectors().take(64).map(|index| Arc::new(file.current.sector(index))));
            }
        }
        found
    }
}

/// A file after the crash.
fn survivor(file: &FileNode, kept: &[bool], fill: Fill, dice: &mut Dice, stale: &[Arc<[u8; SECTOR]>]) -> Image {
    let mut image = file.synced.clone();
    let mut len = image.len();
    let mut lost = |image: &mut Image, index: u64| match fill {
        Fill::Old => {}
        Fill::Zero => image.write(&[0; SECTOR], index * SECTOR as u64),
        Fill::Garbage => {
            let mut bytes = [0; SECTOR];
            bytes.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&dice.roll().to_le_bytes()));
            image.write(&bytes, index * SECTOR as u64);
        }
        Fill::Stale => {
            if let Some(bytes) = stale.get(dice.below(stale.len().max(1))) {
                image.write(bytes.as_slice(), index * SECTOR as u64);
            }
        }
    };
    for (change, kept) in file.pending.iter().zip(kept) {
        match (change, *kept) {
            (Change::Sector { index, bytes, .. }, true) => image.write(bytes.as_slice(), index * SECTOR as u64),
            (Change::Sector { index, blank: true, .. }, false) => lost(&mut image, *index),
            (Change::Zeros { first, count }, true) => {
                for index in *first..*first + *count {
                    image.write(&[0; SECTOR], index * SECTOR as u64);
                }
            }
            (Change::Zeros { first, count }, false) => {
                for index in *first..*first + *count {
                    lost(&mut image, index);
                }
            }
            (Change::Len(new), true) => len = len.max(*new),
            (Change::Sector { blank: false, .. } | Change::Len(_), false) => {}
        }
    }
    image.set_len(len);
    image
}

/// An iterator over disks. See [`CrashPoint::images`].
#[derive(Debug)]
pub struct CrashImages {
    point: CrashPoint,
    limits: CrashLimits,
    plan: Plan,
    next: usize,
    fill: usize,
    seed: u64,
}

#[derive(Debug)]
enum Plan {
    All(usize),
    Chosen(Vec<Vec<bool>>),
}

fn plan(changes: usize, seed: u64, limits: &CrashLimits) -> Plan {
    if changes <= limits.exhaustive_max.min(20) {
        return Plan::All(changes);
    }
    let mut chosen = Vec::new();
    chosen.extend((0..=changes).map(|first| (0..changes).map(|place| place < first).collect()));
    chosen.extend((0..changes).map(|lost| (0..changes).map(|place| place != lost).collect()));
    chosen.extend((0..changes).map(|only| (0..changes).map(|place| place == only).collect()));
    let mut dice = Dice(seed ^ changes as u64);
    let mut pair = |a: usize, b: usize| chosen.push((0..changes).map(|place| place != a && place != b).collect());
    if changes * (changes - 1) / 2 <= limits.pairs_max {
        (0..changes).for_each(|a| (0..a).for_each(|b| pair(a, b)));
    } else {
        (0..limits.pairs_max).for_each(|_| pair(dice.below(changes), dice.below(changes)));
    }
    chosen.extend((0..limits.random).map(|_| (0..changes).map(|_| dice.roll() & 1 == 1).collect()));
    Plan::Chosen(chosen)
}

impl CrashImages {
    /// Whether a lost change of this subset may come out as anything.
    fn fill_matters(&self, kept: &[bool]) -> bool {
        self.point.items.iter().zip(kept).any(|((inode, place), kept)| {
            let node = self.point.state.nodes.get(inode).map(AsRef::as_ref);
            let Some(Node::File(file)) = node else { return false };
            !kept && matches!(file.pending.get(*place), Some(Change::Sector { blank: true, .. } | Change::Zeros { .. }))
        })
    }
}

impl Iterator for CrashImages {
    type Item = SimDisk;

    fn next(&mut self) -> Option<SimDisk> {
        let kept = match &self.plan {
            Plan::All(changes) if self.next < 1 << changes => {
                // Counted down, so that the whole and the likely come first.
                let subset = (1_usize << changes) - 1 - self.next;
                (0..*changes).map(|place| subset >> place & 1 == 1).collect()
            }
            Plan::All(_) => return None,
            Plan::Chosen(chosen) => chosen.get(self.next)?.clone(),
        };
        let fill = self.limits.fills.get(self.fill).copied().unwrap_or(Fill::Old);
        let seed = self.seed ^ (self.next as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ self.fill as u64;
        self.fill += 1;
        if self.fill >= self.limits.fills.len() || !self.fill_matters(&kept) {
            (self.fill, self.next) = (0, self.next + 1);
        }
        Some(self.point.image(&kept, fill, seed))
    }
}

/// SplitMix64.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }
}
