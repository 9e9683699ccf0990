//! One seed, many independent streams: each part of the world draws from its own generator, so
//! that one more draw in one part cannot shift what another part does.

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The seed of the part called `part` (number `index` of its sort) in the world with `seed`.
pub fn derive(seed: u64, part: &str, index: u64) -> u64 {
    let own = xxh3_64_with_seed(part.as_bytes(), seed);
    xxh3_64_with_seed(&index.to_le_bytes(), own)
}

/// Thirty-two bytes of a seed, where a system would give some that nobody can guess.
pub fn bytes(seed: u64) -> [u8; 32] {
    SmallRng::seed_from_u64(derive(seed, "bytes", 0)).random()
}

/// A generator for that part; see [`derive()`].
pub fn stream(seed: u64, part: &str, index: u64) -> SmallRng {
    SmallRng::seed_from_u64(derive(seed, part, index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_seeds_get_streams_of_their_own() {
        let all = [derive(1, "loss", 0), derive(1, "loss", 1), derive(1, "delay", 0), derive(2, "loss", 0)];
        let distinct: std::collections::BTreeSet<u64> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(derive(1, "loss", 0), derive(1, "loss", 0));
    }
}
