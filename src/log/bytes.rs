//! Little-endian fields in fixed-size records. Offsets are consts inside the record, so nothing here can fail.
//!
//! Not here: which offset means what (each record's own module).

/// Reads `N` bytes at `at`.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

pub(crate) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(array(bytes, at))
}

/// Writes `field` at `at`.
pub(crate) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

/// Whether every byte is zero. Compared by machine words, since it runs over whole segments.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    let mut chunks = bytes.chunks_exact(64);
    chunks.all(|chunk| chunk == [0; 64]) && chunks.remainder().iter().all(|byte| *byte == 0)
}

/// Position after the last byte that is not zero; 0 if there is none.
pub(crate) fn nonzero_end(bytes: &[u8]) -> usize {
    let mut end = bytes.len();
    while end >= 64 && bytes[end - 64..end] == [0; 64] {
        end -= 64;
    }
    bytes[..end].iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_byte_that_is_not_zero_is_found_wherever_it_is() {
        assert_eq!(nonzero_end(&[0; 200]), 0);
        assert!(is_zero(&[0; 200]) && is_zero(&[]));
        for at in 0..200 {
            let mut bytes = [0; 200];
            bytes[at] = 1;
            assert_eq!(nonzero_end(&bytes), at + 1);
            assert!(!is_zero(&bytes));
        }
    }
}
