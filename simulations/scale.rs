//! Large clusters. `SIM_NODES` sets their size; the default keeps `cargo test` quick, the promise
//! is for a thousand.

use crate::{converge, each_seed, ms, no_false_failures, secs};
use shoal::core::Config;
use shoal::sim::scenario::service_without_check;
use shoal::sim::{Conditions, Contact, HostId, NodeSpec, World};
use std::time::Duration;

const NODES: usize = 200;
const CALM: Duration = secs(60);

fn nodes() -> usize {
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
