//! Large clusters. `SIM_NODES` sets their size; the default keeps `cargo test` quick, the promise
//! is for a thousand.

use crate::{converge, each_seed, ms, no_false_failures, secs};
use shoal::core::Config;
use shoal::sim::scenario::{cluster, service_without_check};
use shoal::sim::{Conditions, Contact, HostId, NodeSpec, World};
use std::time::Duration;

const NODES: usize = 200;
const CALM: Duration = secs(60);

pub(crate) fn nodes() -> usize {
    std::env::var("SIM_NODES")
        .map_or(NODES, |n| n.parse().unwrap_or_else(|_| panic!("SIM_NODES={n}: want a number")))
}

#[test]
fn a_joiner_of_a_large_cluster_knows_everybody_and_everything_in_two_seconds() {
    each_seed(1, joiner);
}

fn joiner(seed: u64) {
    let count = nodes();
    let mut world = World::new("scale::a_joiner_of_a_large_cluster", seed, Conditions::default());
    let hosts = world.grow(count, &Config::default(), 1, ms(5), secs(60));
    world.run_for(secs(3));
    no_false_failures(&world);
    world.reset_metrics();
    let joiner = world.add_host(NodeSpec {
        join: vec![Contact::Host(hosts[0]), Contact::Host(hosts[count / 2])],
        services: vec![service_without_check("s0", "s0")],
        ..NodeSpec::named("joiner")
    });
    world.start(joiner);
    let took = converge(&mut world, secs(2));
    println!("after {took:?}, {} steps", world.steps());
    let idle = bytes(&world, &hosts);
    let started = std::time::Instant::now();
    world.run_for(CALM);
    let per_second = (bytes(&world, &hosts) - idle) as f64 / CALM.as_secs_f64() / hosts.len() as f64;
    println!("{per_second:.0} bytes per node and second when calm");
    println!("{CALM:?} of calm took {:?} of real time", started.elapsed());
    assert!(per_second < 4_000.0, "{per_second}");
    no_false_failures(&world);
}

fn bytes(world: &World, hosts: &[HostId]) -> u64 {
    hosts.iter().map(|h| world.traffic(*h).bytes_sent).sum()
}

#[test]
fn idle_cost_does_not_grow_with_the_cluster() {
    let cost = |count| {
        let mut world = World::new("scale::idle_cost", 1, Conditions::default());
        let hosts = world.grow(count, &Config::default(), 1, ms(20), secs(30));
        world.run_for(secs(30));
        let before = bytes(&world, &hosts);
        world.run_for(secs(20));
        (bytes(&world, &hosts) - before) as f64 / count as f64 / 20.0
    };
    let (small, large) = (cost(10), cost(100));
    println!("bytes per node and second: {small:.0} of 10, {large:.0} of 100");
    assert!(large < small * 1.5, "{small} of 10, {large} of 100");
}

/// A settled cluster of so many nodes with an instance each, at its first moment.
fn settled(name: &str, seed: u64, count: usize) -> (World, Vec<HostId>) {
    let mut world = World::new(name, seed, Conditions::default());
    let spec = |spec: NodeSpec| NodeSpec { services: vec![service_without_check("s0", "s0")], ..spec };
    let hosts: Vec<HostId> =
        cluster(count, &Config::default()).into_iter().map(|s| world.add_host(spec(s))).collect();
    world.settle(&hosts);
    (world, hosts)
}

#[test]
fn a_settled_start_is_settled() {
    each_seed(2, |seed| {
        let (mut world, hosts) = settled("scale::a_settled_start", seed, 60);
        world.converged().expect("everybody knows everything");
        assert!(world.digests_agree());
        world.verify();
        world.reset_metrics();
        let queued = |world: &World, host| world.stats(host).map(|s| s.rumours_queued);
        let before: Vec<_> = hosts.iter().map(|h| queued(&world, *h)).collect();
        world.run_for(secs(60));
        assert_eq!(world.metrics().status_changes, 0, "replay: {}", world.replay());
        for (host, before) in hosts.iter().zip(before) {
            let stats = world.stats(*host).expect("it runs");
            let queued = queued(&world, *host);
            assert_eq!((stats.sync_rounds, queued), (0, before), "replay: {}", world.replay());
            assert!(stats.probes_sent.abs_diff(60) <= 1, "{} probes in 60 s", stats.probes_sent);
        }
        world.crash(hosts[7]);
        converge(&mut world, secs(20));
        world.start(hosts[7]);
        converge(&mut world, secs(2));
        world.verify();
    });
}

#[test]
fn calm_costs_little_real_time() {
    let count = nodes();
    let started = std::time::Instant::now();
    let (mut world, hosts) = settled("scale::calm_costs_little", 1, count);
    println!("{count} nodes settled after {:?}", started.elapsed());
    let started = std::time::Instant::now();
    world.run_for(CALM);
    println!("{CALM:?} of calm took {:?}, {} steps", started.elapsed(), world.steps());
    let per_second = bytes(&world, &hosts) as f64 / CALM.as_secs_f64() / hosts.len() as f64;
    println!("{per_second:.0} bytes per node and second");
    world.converged().expect("nothing happened");
}
