//! Bits one after the other, lowest first, and ascending numbers as Rice-coded gaps.
//!
//! A gap `g` (less one) is `g >> k` zeros, a one, and the low `k` bits of `g`. Of postings that are spread evenly this takes
//! log2(mean gap) + 1.5 bits each.

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

/// Encodes ascending numbers, each once.
pub(super) fn write_gaps(numbers: impl Iterator<Item = u32>, k: u32) -> Vec<u8> {
    let mut bits = BitWriter::default();
    let mut next = 0_u64;
    for number in numbers {
        let gap = u64::from(number).saturating_sub(next);
        bits.push_zeros(gap >> k);
        bits.push(1, 1);
        bits.push(gap & ((1 << k) - 1), k);
        next = u64::from(number) + 1;
    }
    bits.finish()
}

/// Decodes `count` numbers and hands each to `f`, until one is not below `below`: then the bytes were not written here.
#[inline]
pub(super) fn read_gaps(bytes: &[u8], count: usize, k: u32, below: u64, mut f: impl FnMut(u64)) {
    let (mut at, mut next) = (0_usize, 0_u64);
    for _ in 0..count {
        let mut zeros = 0_u64;
        loop {
            let word = bits_at(bytes, at, 56);
            let run = word.trailing_zeros().min(56);
            zeros += u64::from(run);
            at += run as usize;
            if run < 56 {
                break;
            }
            if zeros > below {
                return;
            }
        }
        at += 1;
        let number = next + ((zeros << k) | bits_at(bytes, at, k));
        at += k as usize;
        if number >= below {
            return;
        }
        f(number);
        next = number + 1;
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
                let bytes = write_gaps(numbers.iter().copied(), k);
                let mut back = Vec::new();
                read_gaps(&bytes, numbers.len(), k, below, |number| back.push(number as u32));
                assert_eq!(back, numbers, "below {below}, step {step}, k {k}");
            }
        }
    }

    #[test]
    fn foreign_bytes_end_and_give_nothing_out_of_bounds() {
        for bytes in [&[0_u8; 64][..], &[0xff; 64], &[]] {
            read_gaps(bytes, 1_000, 3, 500, |number| assert!(number < 500));
        }
    }
}
