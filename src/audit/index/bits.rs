//! Bits one after the other, lowest first: numbers of a fixed width, counts as Elias gamma codes, and ascending numbers as
//! Rice-coded gaps.
//!
//! A count `c` is ⌊log2 c⌋ zeros, a one, and the bits of `c` below its highest. A gap `g` (less one) is `g >> k` zeros, a one, and
//! the low `k` bits of `g`: of postings that are spread evenly this takes log2(mean gap) + 1.5 bits each.

/// Bytes behind every run of bits, so that eight can always be loaded at once.
pub(super) const PAD: usize = 8;

#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    held: u64,
    used: u32,
}

impl BitWriter {
    /// Adds the low `count` bits of `value`; at most 56.
    pub fn push(&mut self, value: u64, count: u32) {
        debug_assert!(count <= 56 && (value >> count) == 0);
        self.held |= value << self.used;
        self.used += count;
        while self.used >= 8 {
            self.bytes.push((self.held & 0xff) as u8);
            self.held >>= 8;
            self.used -= 8;
        }
    }

    /// `count` zeros.
    fn push_zeros(&mut self, mut count: u64) {
        while count > 0 {
            let step = count.min(48);
            self.push(0, step as u32);
            count -= step;
        }
    }

    /// A count of at least 1, below 2^32.
    pub fn push_count(&mut self, count: u64) {
        debug_assert!((1..1 << 32).contains(&count));
        let below = count.max(1).ilog2();
        self.push_zeros(u64::from(below));
        self.push(1, 1);
        self.push(count & ((1 << below) - 1), below);
    }

    /// Ascending numbers, each once.
    pub fn push_gaps(&mut self, numbers: &[u32], k: u32) {
        let mut next = 0_u64;
        for number in numbers {
            let gap = u64::from(*number).saturating_sub(next);
            self.push_zeros(gap >> k);
            self.push(1, 1);
            self.push(gap & ((1 << k) - 1), k);
            next = u64::from(*number) + 1;
        }
    }

    /// The bytes, the last one filled with zeros.
    pub fn finish(mut self) -> Vec<u8> {
        if self.used > 0 {
            self.bytes.push((self.held & 0xff) as u8);
        }
        self.bytes
    }
}

/// `count` bits at a bit offset, at most 56; zeros behind the end.
#[inline]
pub(super) fn bits_at(bytes: &[u8], at: usize, count: u32) -> u64 {
    let byte = at / 8;
    let word = bytes.get(byte..byte + 8).and_then(|eight| eight.try_into().ok()).map_or_else(
        || {
            let mut eight = [0; 8];
            let rest = bytes.get(byte..).unwrap_or_default();
            let rest = &rest[..rest.len().min(8)];
            eight[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(eight)
        },
        u64::from_le_bytes,
    );
    (word >> (at % 8)) & ((1_u64 << count) - 1)
}

/// The best `k` for `count` numbers below `below`.
pub(super) fn rice_k(below: u64, count: u64) -> u32 {
    // The mean of geometric gaps times ln 2.
    let scaled = below.saturating_mul(710) / count.max(1) / 1_024;
    scaled.max(1).ilog2().min(31)
}

/// Reads what a [`BitWriter`] wrote. Bytes that none wrote give other numbers, never more than there are bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    /// From the bit `at` of `bytes` on.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// A number of `count` bits, at most 56.
    #[inline]
    pub fn number(&mut self, count: u32) -> u64 {
        let number = bits_at(self.bytes, self.at, count);
        self.at += count as usize;
        number
    }

    /// A count; `None` where none stands.
    #[inline]
    pub fn count(&mut self) -> Option<u64> {
        let below = bits_at(self.bytes, self.at, 56).trailing_zeros();
        if below >= 32 {
            return None;
        }
        self.at += below as usize + 1;
        Some((1 << below) | self.number(below))
    }

    /// Hands `count` ascending numbers to `f`; `None` when one is not below `below`: then the bytes were not written here.
    #[inline]
    pub fn gaps(&mut self, count: u64, k: u32, below: u64, mut f: impl FnMut(u64)) -> Option<()> {
        let mut next = 0_u64;
        for _ in 0..count {
            let word = bits_at(self.bytes, self.at, 56);
            let zeros = word.trailing_zeros();
            let number = if zeros + 1 + k <= 56 {
                self.at += (zeros + 1 + k) as usize;
                next + ((u64::from(zeros) << k) | ((word >> (zeros + 1)) & ((1 << k) - 1)))
            } else {
                let zeros = self.zeros(below)?;
                next + ((zeros << k) | self.number(k))
            };
            if number >= below {
                return None;
            }
            f(number);
            next = number + 1;
        }
        Some(())
    }

    /// The zeros before the next one, which is taken too; `None` above `most` and at the end.
    fn zeros(&mut self, most: u64) -> Option<u64> {
        let mut zeros = 0_u64;
        loop {
            let run = bits_at(self.bytes, self.at, 56).trailing_zeros().min(56);
            zeros += u64::from(run);
            self.at += run as usize;
            if run < 56 {
                self.at += 1;
                return Some(zeros);
            }
            if zeros > most || self.at / 8 >= self.bytes.len() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_whatever_their_gaps() {
        for (below, step) in [(10, 1), (1_000, 7), (4_000_000, 999_983), (100_000, 1), (1 << 31, 1 << 27)] {
            let numbers: Vec<u32> = (0..below).step_by(step).map(|n| n as u32).collect();
            for k in [rice_k(below, numbers.len() as u64), 0, 20] {
                if (below >> k) > 1 << 22 {
                    continue;
                }
                let mut bits = BitWriter::default();
                bits.push(5, 3);
                bits.push_count(numbers.len() as u64);
                bits.push_gaps(&numbers, k);
                bits.push_count(1);
                let bytes = bits.finish();
                let mut reader = BitReader::new(&bytes, 0);
                assert_eq!(reader.number(3), 5);
                assert_eq!(reader.count(), Some(numbers.len() as u64));
                let mut back = Vec::new();
                let read = reader.gaps(numbers.len() as u64, k, below, |number| back.push(number as u32));
                assert_eq!((read, &back), (Some(()), &numbers), "below {below}, step {step}, k {k}");
                assert_eq!(reader.count(), Some(1));
            }
        }
    }

    #[test]
    fn counts_come_back() {
        for count in [1, 2, 3, 4, 7, 8, 1_000, u64::from(u32::MAX)] {
            let mut bits = BitWriter::default();
            bits.push_count(count);
            assert_eq!(BitReader::new(&bits.finish(), 0).count(), Some(count));
        }
    }

    #[test]
    fn foreign_bytes_end_and_give_nothing_out_of_bounds() {
        for bytes in [&[0_u8; 64][..], &[0xff; 64], &[]] {
            for k in [0, 3, 31] {
                let mut found = 0;
                let mut reader = BitReader::new(bytes, 0);
                let _ = reader.gaps(1_000, k, 500, |number| {
                    assert!(number < 500);
                    found += 1;
                });
                assert!(found <= 512, "{found}");
            }
        }
        assert_eq!(BitReader::new(&[0; 64], 0).count(), None);
        assert_eq!(BitReader::new(&[], 0).count(), None);
    }
}
