//! The dice: random bytes that nobody can foresee, and ones that fall the same way every time.
//!
//! Invariants
//! - The only user of `rand` in the crate.
//!
//! Not here: what is drawn with them (`fresh`).

use rand::rngs::{StdRng, SysRng};
use rand::{Rng as _, SeedableRng as _, TryRng as _};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroize as _;

/// Bytes asked of the operating system at once.
const POOL_BYTES: usize = 4096;

/// Random bytes.
pub trait Dice: Send {
    /// Fills all of `bytes` with bytes that nobody can foresee.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// The operating system's random source, asked for 4 KiB at a time; what was given out is wiped.
pub struct OsDice {
    pool: Box<[u8; POOL_BYTES]>,
    used: usize,
}

impl std::fmt::Debug for OsDice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OsDice")
    }
}

impl Default for OsDice {
    fn default() -> Self {
        Self { pool: Box::new([0; POOL_BYTES]), used: POOL_BYTES }
    }
}

impl Drop for OsDice {
    fn drop(&mut self) {
        self.pool.zeroize();
    }
}

impl Dice for OsDice {
    /// # Panics
    /// When the operating system has no random bytes to give: going on would make secrets that can be foreseen.
    fn fill(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.used == POOL_BYTES {
                if let Err(error) = SysRng.try_fill_bytes(&mut *self.pool) {
                    panic!("the operating system gave no random bytes: {error}");
                }
                self.used = 0;
            }
            let take = rest.len().min(POOL_BYTES - self.used);
            let (head, tail) = rest.split_at_mut(take);
            let given = &mut self.pool[self.used..self.used + take];
            head.copy_from_slice(given);
            given.zeroize();
            self.used += take;
            rest = tail;
        }
    }
}

/// Dice that several threads throw in turn.
#[derive(Clone)]
pub(super) struct SharedDice(Arc<Mutex<Box<dyn Dice>>>);

impl SharedDice {
    pub(super) fn new(dice: Box<dyn Dice>) -> Self {
        Self(Arc::new(Mutex::new(dice)))
    }
}

impl Dice for SharedDice {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
    }
}

/// Dice that fall the same way every time. For tests and simulations: whoever knows the seed knows the secrets.
#[derive(Debug)]
pub struct SeededDice(StdRng);

impl SeededDice {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }
}

impl Dice for SeededDice {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_gives_every_byte_once_and_wipes_it() {
        let mut dice = OsDice::default();
        let mut bytes = [0; 3 * POOL_BYTES + 7];
        dice.fill(&mut bytes);
        assert!(bytes.chunks(16).all(|chunk| chunk.len() < 16 || chunk.iter().any(|byte| *byte != 0)));
        assert!(dice.pool[..dice.used].iter().all(|byte| *byte == 0));
    }
}
