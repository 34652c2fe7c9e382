//! The RFC 6962 Merkle tree over all frames, kept as its frontier.
//!
//! A leaf is the frame's canonical header and its hash (96 bytes): it binds the payload without containing it. The
//! frontier is the roots of the perfect subtrees that the leaves so far fill, largest first, one for each one-bit of
//! the size: at most 63 hashes, from which the root follows and the tree can be continued.
//!
//! SHA-256, because public verifiers accept nothing else, and CPUs with SHA extensions hash small inputs with it
//! faster than with BLAKE3.
//!
//! Not here: checkpoints, tiles and proofs (built on this by `evidence`).

use sha2::{Digest, Sha256};

/// A SHA-256 or BLAKE3 value.
pub type Hash = [u8; 32];

/// The tree over the frames so far: size and frontier.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

impl Tree {
    /// The tree of `size` leaves with these peaks, largest first; `None` unless their number fits the size.
    #[must_use]
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (size.count_ones() as usize == peaks.len()).then_some(Self { size, peaks })
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The frontier, largest subtree first.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Adds the hash of the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        let mut rest = self.size;
        while rest & 1 == 1 {
            // One peak per one-bit: `from_peaks` checked it and this loop keeps it so.
            let Some(left) = self.peaks.pop() else { break };
            node = node_hash(&left, &node);
            rest >>= 1;
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root, as RFC 6962 §2.1 defines it; of no leaves, the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Sha256::digest([]).into() };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// SHA-256(0x00 ‖ leaf).
#[must_use]
pub fn leaf_hash(canonical_header: &[u8; 64], frame_hash: &Hash) -> Hash {
    two_blocks(0, [canonical_header, frame_hash])
}

/// SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    two_blocks(1, [left, right])
}

/// SHA-256 of a byte and two pieces, 64 to 119 bytes in all: two blocks with the padding. Straight to the compression
/// function, since the buffered hasher costs half as much again and this is done twice for every frame.
fn two_blocks(first: u8, pieces: [&[u8]; 2]) -> Hash {
    // FIPS 180-4 §5.3.3.
    let mut state: [u32; 8] =
        [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
    let mut blocks = [[0; 64]; 2];
    let bytes = blocks.as_flattened_mut();
    let [left, right] = pieces;
    let len = 1 + left.len() + right.len();
    bytes[0] = first;
    bytes[1..=left.len()].copy_from_slice(left);
    bytes[1 + left.len()..len].copy_from_slice(right);
    bytes[len] = 0x80;
    bytes[120..].copy_from_slice(&(len as u64 * 8).to_be_bytes());
    sha2::block_api::compress256(&mut state, &blocks);
    let mut hash = [0; 32];
    for (bytes, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 §2.1, word for word.
    fn root_by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node_hash(&root_by_definition(&leaves[..split]), &root_by_definition(&leaves[split..]))
            }
        }
    }

    fn leaf(number: u64) -> Hash {
        let mut header = [0; 64];
        header[..8].copy_from_slice(&number.to_le_bytes());
        leaf_hash(&header, &[7; 32])
    }

    #[test]
    fn the_frontier_gives_the_root_that_rfc_6962_defines_for_every_size_up_to_300() {
        let mut tree = Tree::default();
        let mut leaves = Vec::new();
        assert_eq!(tree.root(), root_by_definition(&leaves));
        for number in 0..300 {
            tree.push(leaf(number));
            leaves.push(leaf(number));
            assert_eq!(tree.root(), root_by_definition(&leaves), "size {}", number + 1);
            assert_eq!(Tree::from_peaks(tree.size(), tree.peaks().to_vec()), Some(tree.clone()));
        }
    }

    #[test]
    fn the_empty_root_is_the_published_constant() {
        let root = blake3::Hash::from_bytes(Tree::default().root()).to_hex();
        assert_eq!(root.as_str(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn leaves_and_nodes_are_plain_sha_256_of_prefix_and_content() {
        let header: [u8; 64] = std::array::from_fn(|at| at as u8);
        let of = |pieces: [&[u8]; 3]| -> Hash { Sha256::digest(pieces.concat()).into() };
        assert_eq!(leaf_hash(&header, &[9; 32]), of([&[0], &header, &[9; 32]]));
        assert_eq!(node_hash(&[8; 32], &[9; 32]), of([&[1], &[8; 32], &[9; 32]]));
    }

    #[test]
    fn peaks_that_do_not_fit_the_size_are_refused() {
        assert_eq!(Tree::from_peaks(3, vec![[0; 32]]), None);
    }
}
