//! Reproducible randomness: a generator for each thing in the world, seeded by what the thing is.
//!
//! A stream depends only on the institution's seed, a domain and the thing's indices, so the order in which things are
//! made, and how many of them, changes nothing. Nothing here reads a clock or the system's randomness.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use sha2::{Digest, Sha256};

/// The random stream of one thing.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// Returns the stream of the thing with these `indices` in `domain`.
    pub(super) fn new(seed: u64, domain: &str, indices: &[i64]) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(domain.as_bytes());
        for index in indices {
            hash.update(b"/");
            hash.update(index.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// Returns a number from the standard normal distribution.
    pub(super) fn normal(&mut self) -> f64 {
        self.0.sample(StandardNormal)
    }

    /// Returns whether something of this probability happens.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.0.random::<f64>() < probability
    }

    /// Returns a whole number from `low` to `high`, both included.
    pub(super) fn whole(&mut self, low: i64, high: i64) -> i64 {
        self.0.random_range(low..=high)
    }

    /// Returns how often something of this probability happens in a row, at most `limit` times.
    pub(super) fn streak(&mut self, probability: f64, limit: i64) -> i64 {
        let mut length = 0;
        while length < limit && self.chance(probability) {
            length += 1;
        }
        length
    }

    /// Returns one of `items`, which is not empty.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.0.random_range(0..items.len())]
    }

    /// Returns `items` in another order.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.0.random_range(0..=last));
        }
    }
}

/// Returns the logistic function of `x`.
pub(super) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_seed_domain_and_indices_alone() {
        let draw = |seed, domain, index| Dice::new(seed, domain, &[index]).whole(0, i64::MAX - 1);

        assert_eq!(draw(1, "person", 2), draw(1, "person", 2));
        assert_ne!(draw(1, "person", 2), draw(2, "person", 2));
        assert_ne!(draw(1, "person", 2), draw(1, "course", 2));
        assert_ne!(draw(1, "person", 2), draw(1, "person", 3));
    }
}
