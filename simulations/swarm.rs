//! The seed chooses everything.

use crate::each_seed;
use shoal::sim::swarm;

#[test]
fn swarm_keeps_safety_then_comes_together() {
    each_seed(40, |seed| swarm("swarm::swarm_keeps_safety", seed).run(seed).assert_met());
}

#[test]
fn the_same_seed_is_the_same_run() {
    each_seed(3, |seed| {
        let run = |seed| swarm("swarm::the_same_seed", seed).run(seed);
        let (first, second) = (run(seed), run(seed));
        assert!(first.steps > 1_000, "something happened");
        assert_eq!(first.trace_hash, second.trace_hash);
        assert_eq!(first.metrics, second.metrics);
        assert_ne!(first.trace_hash, run(seed + 1_000).trace_hash);
    });
}
