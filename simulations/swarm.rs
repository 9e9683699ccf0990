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

/// Seeds that fell once, and what they found. The weather of a seed changes with the simulator, so
/// each finding has a test of its own as well.
///
/// - 153, 2665: a process that went on after a long stall put off probing by the length of the stall, if it
///   had to take a new life first (`core::swim::timers`).
/// - 3792, 3943: such a process put off a question of a repair to somebody dead by as much
///   (`core::gossip::exchange`).
/// - 2719: a suspicion that began in a cluster of two took in one accuser, and two are needed in a larger
///   one (`core::swim::suspicion`).
/// - 353, 1928, 2909, 3084: suspicions that nobody confirmed.
/// - 4151, 5096: who had joined nobody knew only an address that nobody has any more; names are resolved
///   again now, as in agents that ship.
/// - 4391, 8848: a pull that another peer took over in the middle of its pages forgot what the first ones had
///   listed, and dropped it (`core::gossip::exchange`).
const FALLEN: [u64; 13] =
    [153, 353, 1_928, 2_665, 2_719, 2_909, 3_084, 3_792, 3_943, 4_151, 4_391, 5_096, 8_848];

#[test]
fn seeds_that_fell_once_stand() {
    for seed in FALLEN {
        swarm("swarm::seeds_that_fell_once", seed).run(seed).assert_met();
    }
}
