//! SWIM and Lifeguard as they are published, to measure Shoal against: they must be sound, and the
//! second must be what it is praised for.

use crate::{add, converge, each_seed, ms, no_false_failures, secs, stays_converged};
use shoal::core::Config;
use shoal::sim::scenario::cluster;
use shoal::sim::{Conditions, HostId, Mode, World};

const MODES: [Mode; 2] = [Mode::Swim, Mode::Lifeguard];

/// `count` nodes with an instance each, one settled cluster from the beginning.
fn settled(name: &str, seed: u64, mode: Mode, count: usize, conditions: Conditions) -> (World, Vec<HostId>) {
    let mut world = World::new(name, seed, conditions).mode(mode);
    let hosts = add(&mut world, cluster(count, &Config::default()), 1);
    world.settle(&hosts);
    (world, hosts)
}

fn each_mode(seeds: u64, test: impl Fn(Mode, u64)) {
    for mode in MODES {
        println!("{}", mode.word());
        each_seed(seeds, |seed| test(mode, seed));
    }
}

#[test]
fn baselines_join() {
    each_mode(2, |mode, seed| {
        for count in [1, 2, 3, 10] {
            let mut world = World::new("baselines::baselines_join", seed, Conditions::default()).mode(mode);
            let hosts = add(&mut world, cluster(count, &Config::default()), 1);
            for host in &hosts {
                world.start(*host);
            }
            converge(&mut world, secs(5));
            stays_converged(&mut world, secs(20));
            no_false_failures(&world);
        }
    });
}

#[test]
fn baselines_in_calm_accuse_nobody() {
    each_mode(2, |mode, seed| {
        let name = "baselines::baselines_in_calm";
        let (mut world, hosts) = settled(name, seed, mode, 32, Conditions::default());
        world.run_for(secs(300));
        assert_eq!(world.metrics().status_changes, 0, "replay: {}", world.replay());
        for host in hosts {
            let stats = world.stats(host).expect("it runs");
            assert_eq!((stats.probes_failed, stats.local_health), (0, 0));
            assert!(stats.probes_sent.abs_diff(300) <= 1, "{} probes in 300 s", stats.probes_sent);
        }
    });
}

#[test]
fn baselines_detect_a_crash_in_the_time_of_their_formulas() {
    each_mode(5, |mode, seed| {
        for count in [2, 3, 5, 10, 50] {
            let name = "baselines::baselines_detect_a_crash";
            let (mut world, hosts) = settled(name, seed, mode, count, Conditions::default());
            world.run_for(secs(10));
            world.crash(hosts[count / 2]);
            converge(&mut world, secs(40));
            let detection = world.metrics().detection();
            let (first, median, all) = (detection.quantile(0.0), detection.quantile(0.5), detection.max());
            println!("n={count}: first {first:?}, half {median:?}, all {all:?}");
            assert_eq!(detection.len(), count - 1, "everybody has to know");
            // The shortest suspicion follows a probe that failed. A first ping takes a period in the
            // mean, to notice that it failed another one.
            let shortest = Config::default().suspicion_timeout(count);
            assert!(first > shortest, "{first:?}\nreplay: {}", world.replay());
            assert!(median < shortest + secs(6), "{median:?}\nreplay: {}", world.replay());
            assert!(all < shortest + secs(8), "{all:?}\nreplay: {}", world.replay());
            stays_converged(&mut world, secs(20));
            no_false_failures(&world);
            world.start(hosts[count / 2]);
            converge(&mut world, secs(5));
        }
    });
}

#[test]
fn baselines_let_nodes_leave() {
    each_mode(2, |mode, seed| {
        for count in [2, 3, 10, 50] {
            let name = "baselines::baselines_let_nodes_leave";
            let (mut world, hosts) = settled(name, seed, mode, count, Conditions::default());
            world.run_for(secs(5));
            world.leave(hosts[1]);
            converge(&mut world, secs(3));
            stays_converged(&mut world, secs(30));
            no_false_failures(&world);
        }
    });
}

#[test]
fn baselines_become_one_again_after_a_partition() {
    each_mode(2, |mode, seed| {
        for (count, half) in [(2, 1), (10, 5), (10, 2)] {
            let name = "baselines::baselines_become_one_again";
            let (mut world, hosts) = settled(name, seed, mode, count, Conditions::default());
            world.partition(&[&hosts[..half], &hosts[half..]]);
            world.run_for(secs(120));
            world.heal();
            let took = converge(&mut world, secs(15));
            println!("n={count}: one cluster {took:?} after the heal");
            stays_converged(&mut world, secs(20));
        }
    });
}

#[test]
fn baselines_repeat_themselves() {
    each_mode(2, |mode, seed| {
        let run = |seed| {
            let world = blocked("baselines::baselines_repeat", seed, mode, 16, 3);
            (world.trace_hash(), world.metrics().clone())
        };
        assert_eq!(run(seed), run(seed));
        assert_ne!(run(seed).0, run(seed + 1_000).0);
    });
}

/// The sockets of `blocked` of `count` members are clogged for 16 s, clear for 4 ms, and so on for two
/// minutes; then everybody has time to come together.
fn blocked(name: &str, seed: u64, mode: Mode, count: usize, blocked: usize) -> World {
    let (mut world, hosts) = settled(name, seed, mode, count, Conditions::default());
    world.run_for(secs(15));
    let victims: Vec<HostId> = hosts.iter().copied().step_by(count / blocked).take(blocked).collect();
    let until = world.now() + secs(120);
    while world.now() < until {
        for host in &victims {
            world.clog(*host);
        }
        world.run_for(secs(16));
        for host in &victims {
            world.unclog(*host);
        }
        world.run_for(ms(4));
    }
    // Suspicions that are under way still end lives.
    world.run_for(secs(60));
    converge(&mut world, secs(10));
    stays_converged(&mut world, secs(30));
    world
}

#[test]
fn lifeguard_accuses_far_fewer_healthy_members_than_swim() {
    let about = |world: &World| world.metrics().about_healthy().count();
    let at = |world: &World| world.metrics().at_healthy().count();
    each_seed(1, |seed| {
        let (mut swim, mut lifeguard) = ((0, 0), (0, 0));
        for (count, victims) in [(32, 4), (48, 6)] {
            let name = "baselines::lifeguard_accuses_far_fewer";
            let run = |mode| blocked(name, seed, mode, count, victims);
            let (s, l) = (run(Mode::Swim), run(Mode::Lifeguard));
            println!("n={count}: SWIM {} / {}, Lifeguard {} / {}", about(&s), at(&s), about(&l), at(&l));
            swim = (swim.0 + about(&s), swim.1 + at(&s));
            lifeguard = (lifeguard.0 + about(&l), lifeguard.1 + at(&l));
        }
        assert!(swim.0 > 100, "there is something to be better at");
        assert!(lifeguard.0 * 5 < swim.0, "about healthy members: {} of {}", lifeguard.0, swim.0);
        assert!(lifeguard.1 * 5 <= swim.1, "and at healthy ones: {} of {}", lifeguard.1, swim.1);
    });
}
