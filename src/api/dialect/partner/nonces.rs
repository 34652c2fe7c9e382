//! Nonces that were used: a request is taken once, under any clock.
//!
//! A nonce is remembered for 10 min of the boot clock, which nobody sets. What is forgotten leaves its request's time as a floor:
//! whatever is timed before it is refused, so a wall clock that is set back brings no old request to life. In good order the floor
//! lies behind the window of times that are taken. The first floor is the start: what was remembered before it is gone.
//!
//! Not here: which times are taken (`signature`).

use std::collections::{HashSet, VecDeque};

/// How long a nonce is remembered: 10 min, our choice.
const KEPT_NS: i64 = 10 * 60 * 1_000_000_000;
/// Nonces remembered at a time: 436 requests a second, at most 16 MiB.
pub const NONCES_MAX: usize = 1 << 18;

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// The nonce was used.
    Used,
    /// It is timed before what is remembered.
    TooOld,
    /// As many are remembered as may be: try again in a moment.
    Full,
}

/// See the module.
#[derive(Debug)]
pub struct Nonces {
    used: HashSet<[u8; 16]>,
    /// When it was used by the boot clock, its request's time in ms, and itself; oldest first.
    order: VecDeque<(i64, i64, [u8; 16])>,
    /// Requests timed at it or before are refused.
    floor_ms: i64,
    max: usize,
}

impl Nonces {
    /// Nothing is remembered of before `started_ms`.
    pub fn new(started_ms: i64, max: usize) -> Self {
        Self { used: HashSet::new(), order: VecDeque::new(), floor_ms: started_ms.saturating_sub(1), max }
    }

    /// Takes a nonce that was proven to come from the provider.
    ///
    /// # Errors
    /// [`NotTaken`]; then nothing is remembered.
    pub fn take(&mut self, nonce: &str, time_ms: i64, boot_ns: i64) -> Result<(), NotTaken> {
        while let Some((at, time_ms, nonce)) = self.order.front().copied()
            && boot_ns.saturating_sub(at) > KEPT_NS
        {
            self.order.pop_front();
            self.used.remove(&nonce);
            self.floor_ms = self.floor_ms.max(time_ms);
        }
        if time_ms <= self.floor_ms {
            return Err(NotTaken::TooOld);
        }
        let mut short = [0; 16];
        short.copy_from_slice(&blake3::hash(nonce.as_bytes()).as_bytes()[..16]);
        if self.used.contains(&short) {
            return Err(NotTaken::Used);
        }
        if self.order.len() >= self.max {
            return Err(NotTaken::Full);
        }
        self.used.insert(short);
        self.order.push_back((boot_ns, time_ms, short));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60 * 1_000_000_000;

    #[test]
    fn a_nonce_is_taken_once() {
        let mut nonces = Nonces::new(1_000, 8);
        assert_eq!(nonces.take("a", 1_000, 0), Ok(()));
        assert_eq!(nonces.take("a", 1_001, 1), Err(NotTaken::Used));
        assert_eq!(nonces.take("b", 1_000, 1), Ok(()));
        assert_eq!(nonces.take("c", 999, 1), Err(NotTaken::TooOld), "timed before the start");
    }

    #[test]
    fn what_is_forgotten_is_too_old_for_ever_whatever_the_wall_clock_says() {
        let mut nonces = Nonces::new(0, 8);
        nonces.take("a", 5_000, 0).unwrap();
        assert_eq!(nonces.take("a", 5_000, 10 * MINUTE), Err(NotTaken::Used));
        assert_eq!(nonces.take("a", 5_000, 10 * MINUTE + 1), Err(NotTaken::TooOld));
        assert_eq!(nonces.take("a", 5_001, 10 * MINUTE + 1), Ok(()), "a later request may use the word again");
    }

    #[test]
    fn memory_has_an_end_and_room_comes_back() {
        let mut nonces = Nonces::new(0, 2);
        nonces.take("a", 1, 0).unwrap();
        nonces.take("b", 1, 0).unwrap();
        assert_eq!(nonces.take("c", 1, 0), Err(NotTaken::Full));
        assert_eq!(nonces.take("c", 700_000, 10 * MINUTE + 1), Ok(()));
        assert_eq!(nonces.used.len(), nonces.order.len());
    }
}
