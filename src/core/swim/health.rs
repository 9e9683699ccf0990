//! How well this node itself keeps up: Lifeguard's local health multiplier.
//!
//! Owns one number. Who fails many probes, must refute suspicions or misses answers that others
//! were sure to give is more likely slow itself than surrounded by the dead; it waits longer before
//! it accuses anybody. Decides nothing about others.
//!
//! Follows Dadgar, Phillips, Currey: "Lifeguard" (DSN-W 2018), the "LHA Probe".

use std::time::Duration;

/// A saturating count of bad signs; 0 is the best of health.
#[derive(Debug, Clone, Copy)]
pub(super) struct Health {
    score: u32,
    max: u32,
}

impl Health {
    /// In the best of health. With a `max` of 0 it stays so.
    pub(super) const fn new(max: u32) -> Self {
        Self { score: 0, max }
    }

    pub(super) const fn score(self) -> u32 {
        self.score
    }

    /// So many good signs: a probe was answered, others confirm one that was not.
    pub(super) const fn better(&mut self, signs: u32) {
        self.score = self.score.saturating_sub(signs);
    }

    /// So many signs that this node is slow: a failed probe, a missing nack, a suspicion of itself.
    pub(super) fn worse(&mut self, signs: u32) {
        self.score = self.score.saturating_add(signs).min(self.max);
    }

    /// The longest that [`Self::stretch`] can make of a wait.
    pub(super) fn longest(self, wait: Duration) -> Duration {
        wait * (self.max + 1)
    }

    /// A wait for others, longer the worse this node does.
    pub(super) fn stretch(self, wait: Duration) -> Duration {
        wait * (self.score + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_grow_with_each_bad_sign_up_to_nine_times() {
        let mut h = Health::new(8);
        assert_eq!(h.stretch(SECOND), SECOND);
        h.worse(1);
        assert_eq!(h.stretch(SECOND), 2 * SECOND);
        h.worse(3);
        assert_eq!(h.stretch(SECOND), 5 * SECOND);
        h.worse(u32::MAX);
        assert_eq!((h.score(), h.stretch(SECOND)), (8, 9 * SECOND));
    }

    #[test]
    fn answered_probes_bring_it_back_one_by_one() {
        let mut h = Health::new(8);
        h.worse(20);
        for left in (0..8).rev() {
            h.better(1);
            assert_eq!(h.score(), left);
        }
        h.better(1);
        assert_eq!(h.score(), 0);
    }

    #[test]
    fn a_node_that_never_doubts_itself_stays_at_its_best() {
        let mut h = Health::new(0);
        h.worse(5);
        assert_eq!(h.stretch(SECOND), SECOND);
    }
}
