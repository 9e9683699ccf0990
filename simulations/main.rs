//! Whole clusters in virtual time. Every test runs the shipped agent under the oracle's eyes: an
//! invariant that breaks anywhere ends the test, whatever else it looks at.
//!
//! `SIM_SEED=7 cargo test --test simulations NAME` replays one seed; `SIM_SEEDS=500` widens the
//! tests that try several.

#![allow(clippy::print_stdout, reason = "the seed is printed before it runs")]
#![allow(clippy::disallowed_methods, reason = "large runs say how long they took")]

mod baselines;
mod catalog;
mod coordinates;
mod endurance;
mod events;
mod faults;
mod files;
mod lifecycle;
mod membership;
mod repair;
mod scale;
mod sealed;
mod swarm;
mod textbook;
mod weather;

use shoal::core::Config;
use shoal::model::{InstanceId, LocalCommand};
use shoal::sim::scenario::{cluster, service};
use shoal::sim::{Conditions, HostId, NodeSpec, World};
use std::time::Duration;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Runs `test` for `count` seeds (or the one in `SIM_SEED`), each announced before it runs.
fn each_seed(count: u64, test: impl Fn(u64)) {
    let number = |name: &str| {
        std::env::var(name).ok().map(|v| v.parse().unwrap_or_else(|_| panic!("{name}={v}: want a number")))
    };
    let seeds = match number("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None if count > 1 => 1..1 + number("SIM_SEEDS").unwrap_or(count),
        None => 1..2,
    };
    for seed in seeds {
        println!("SIM_SEED={seed}");
        test(seed);
    }
}

/// `count` nodes with `services` instances each that have joined one another.
fn settled(
    name: &str,
    seed: u64,
    count: usize,
    services: usize,
    conditions: Conditions,
) -> (World, Vec<HostId>) {
    let mut world = World::new(name, seed, conditions);
    let hosts = add(&mut world, cluster(count, &Config::default()), services);
    for host in &hosts {
        world.start(*host);
        world.run_for(ms(137));
    }
    converge(&mut world, secs(30));
    (world, hosts)
}

fn add(world: &mut World, specs: Vec<NodeSpec>, services: usize) -> Vec<HostId> {
    let with = |spec: NodeSpec| NodeSpec {
        services: (0..services).map(|i| service(&format!("web-{i}"), "web")).collect(),
        ..spec
    };
    specs.into_iter().map(|spec| world.add_host(with(spec))).collect()
}

/// Demands convergence within this time, and says how long it took.
#[track_caller]
fn converge(world: &mut World, within: Duration) -> Duration {
    match world.run_until_converged(within) {
        Ok(took) => took,
        Err(difference) => panic!("after {within:?} of calm: {difference}\nreplay: {}", world.replay()),
    }
}

/// Demands that it stays as it is for this long, and that the tables are what the oracle was told.
#[track_caller]
fn stays_converged(world: &mut World, time: Duration) {
    let until = world.now() + time;
    while world.now() < until {
        world.run_for(ms(100));
        if let Err(difference) = world.converged() {
            panic!("it did not last: {difference}\nreplay: {}", world.replay());
        }
    }
    world.verify();
}

#[track_caller]
fn no_false_failures(world: &World) {
    let failures = &world.metrics().false_failures;
    assert!(
        failures.is_empty(),
        "{} false failures, first {:?}\nreplay: {}",
        failures.len(),
        failures[0],
        world.replay()
    );
}

fn register(id: &str) -> LocalCommand {
    LocalCommand::RegisterService {
        definition: Box::new(service(id, "added")),
        replace_existing_checks: false,
    }
}

fn deregister(id: &str) -> LocalCommand {
    LocalCommand::DeregisterService(InstanceId::new(id).expect("a valid id"))
}

/// Datagrams that all hosts together sent so far.
fn sent(world: &World) -> u64 {
    world.hosts().map(|h| world.traffic(h).datagrams_sent).sum()
}
