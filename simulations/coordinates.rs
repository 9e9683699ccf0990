//! Three sites: every agent knows how far everybody is, also from each other.

use crate::{add, converge, each_seed, ms, no_false_failures, secs};
use shoal::core::{Agent, Config};
use shoal::model::{NodeKey, Rtt};
use shoal::sim::scenario::cluster;
use shoal::sim::{Conditions, HostId, Impairment, Latency, Links, World};
use std::time::Duration;

const NODES: usize = 40;
/// One way between two sites, in milliseconds, on top of the way inside a building.
const BETWEEN: [[u64; 3]; 3] = [[0, 8, 35], [8, 0, 30], [35, 30, 0]];

/// Sites take turns, so that nothing follows from the order of names or addresses.
const fn site(number: usize) -> usize {
    number % BETWEEN.len()
}

fn three_sites(name: &str, seed: u64, conditions: Conditions) -> (World, Vec<HostId>) {
    let mut world = World::new(name, seed, conditions);
    let hosts = add(&mut world, cluster(NODES, &Config::default()), 1);
    let of = |wanted: usize| -> Vec<HostId> {
        (0..NODES).filter(|n| site(*n) == wanted).map(|n| hosts[n]).collect()
    };
    for (from, ways) in BETWEEN.iter().enumerate() {
        for (to, way) in ways.iter().enumerate().filter(|(_, way)| **way > 0) {
            let delay = Impairment { loss: 0.0, delay: ms(*way) };
            world.impair(&Links::OneWay(of(from), of(to)), delay);
        }
    }
    for host in &hosts {
        world.start(*host);
        world.run_for(ms(137));
    }
    converge(&mut world, secs(30));
    (world, hosts)
}

fn true_rtt(a: usize, b: usize) -> Duration {
    2 * (Latency::LAN.mean() + ms(BETWEEN[site(a)][site(b)]))
}

fn agent(world: &World, host: HostId) -> &Agent {
    world.agent(host).expect("it runs")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Relative errors of what every tenth agent estimates of all pairs that it is not one of.
fn errors(world: &World, hosts: &[HostId], keys: &[NodeKey]) -> Vec<f64> {
    let mut errors = Vec::new();
    for observer in (0..NODES).step_by(10) {
        let agent = agent(world, hosts[observer]);
        for a in (0..NODES).filter(|a| *a != observer) {
            for b in (0..a).filter(|b| *b != observer) {
                let rtt = agent.rtt_between(keys[a], keys[b]);
                let Some(Rtt::Estimated(time)) = rtt else {
                    panic!("{rtt:?} of {a} and {b} at {observer}\nreplay: {}", world.replay());
                };
                let truth = true_rtt(a, b).as_secs_f64();
                errors.push((time.as_secs_f64() - truth).abs() / truth);
            }
        }
    }
    errors
}

#[test]
fn every_agent_knows_who_is_near_and_how_far_others_are_from_each_other() {
    each_seed(2, |seed| {
        for loss in [0.0, 0.05] {
            let name = "coordinates::every_agent_knows_who_is_near";
            let (mut world, hosts) = three_sites(name, seed, Conditions::with_loss(loss));
            let keys: Vec<NodeKey> = hosts.iter().map(|h| world.name_of(*h).key()).collect();
            world.run_for(secs(600));
            let error = median(errors(&world, &hosts, &keys));
            println!("loss {loss}: median relative error {error:.3}");
            assert!(error < 0.25, "{error}\nreplay: {}", world.replay());
            for (own, host) in hosts.iter().enumerate() {
                let agent = agent(&world, *host);
                let time = |other: &usize| agent.rtt_between(keys[own], keys[*other]).map(Rtt::time);
                let mut others: Vec<usize> = (0..NODES).filter(|n| *n != own).collect();
                others.sort_by_key(|other| time(other).expect("everybody was probed"));
                let neighbours = others.iter().filter(|n| site(**n) == site(own)).count();
                let nearest: Vec<usize> = others[..neighbours].iter().map(|n| site(*n)).collect();
                assert!(
                    nearest.iter().all(|s| *s == site(own)),
                    "n{own}: nearest are at {nearest:?}\nreplay: {}",
                    world.replay()
                );
            }
            no_false_failures(&world);
        }
    });
}

/// An answer that is taken for one to an earlier question makes a round trip of a second.
#[test]
fn no_round_trip_takes_longer_than_the_network_does() {
    each_seed(3, |seed| {
        let mut world = World::new("coordinates::no_round_trip_takes_longer", seed, Conditions::default());
        let hosts = add(&mut world, cluster(50, &Config::default()), 1);
        for host in &hosts {
            world.start(*host);
        }
        converge(&mut world, secs(30));
        for _ in 0..30 {
            world.run_for(secs(2));
            for host in &hosts {
                for member in agent(&world, *host).members() {
                    let rtt = member.rtt.unwrap_or_default();
                    assert!(rtt <= ms(5), "{rtt:?} at {host:?}\nreplay: {}", world.replay());
                }
            }
        }
    });
}

#[test]
fn a_newcomer_finds_its_place_within_a_minute() {
    each_seed(1, |seed| {
        let name = "coordinates::a_newcomer_finds_its_place";
        let (mut world, hosts) = three_sites(name, seed, Conditions::default());
        world.run_for(secs(180));
        world.crash(hosts[4]);
        world.run_for(secs(1));
        world.start(hosts[4]);
        world.run_for(secs(60));
        let own = agent(&world, hosts[4]).coordinate().expect("it has measured some");
        let known: Vec<f64> = (0..NODES)
            .filter(|n| *n != 4)
            .filter_map(|n| {
                let there = agent(&world, hosts[n]).coordinate()?;
                let truth = true_rtt(4, n).as_secs_f64();
                Some((own.distance_s(&there) - truth).abs() / truth)
            })
            .collect();
        let error = median(known);
        println!("median relative error {error:.3} after a minute");
        assert!(error < 0.35, "{error}\nreplay: {}", world.replay());
    });
}

#[test]
fn a_coordinate_goes_with_its_member() {
    each_seed(1, |seed| {
        let name = "coordinates::a_coordinate_goes_with_its_member";
        let (mut world, hosts) = three_sites(name, seed, Conditions::default());
        world.run_for(secs(600));
        let gone = world.name_of(hosts[7]).clone();
        assert!(agent(&world, hosts[0]).coordinate_of(gone.key()).is_some());
        let known = |world: &World| agent(world, hosts[0]).stats().coordinates_known;
        world.crash(hosts[7]);
        world.run_for(secs(60));
        let before = known(&world);
        world.force_leave(hosts[0], &gone, true).expect("it has failed");
        assert_eq!(agent(&world, hosts[0]).coordinate_of(gone.key()), None);
        assert_eq!(known(&world), before - 1);
    });
}
