//! Restarts: with and without a disk, with a wrong clock, at another address, of everybody.

use crate::{
    add, converge, deregister, each_seed, ms, no_false_failures, register, secs, sent, settled,
    stays_converged,
};
use shoal::core::Config;
use shoal::model::MemberStatus;
use shoal::sim::scenario::cluster;
use shoal::sim::{Conditions, HostId, World};
use std::cell::RefCell;
use std::time::Duration;

/// Restarts one host after it was down for `down`, and demands that it is back in the cluster at
/// once and that this costs little.
fn comes_back(world: &mut World, host: HostId, down: Duration, prepare: impl FnOnce(&mut World)) {
    world.crash(host);
    world.run_for(down);
    prepare(world);
    let before = sent(world);
    world.start(host);
    converge(world, secs(3));
    world.run_for(secs(10));
    let nodes = world.hosts().len() as f64;
    let per_second = (sent(world) - before) as f64 / nodes / 10.0;
    assert!(per_second < 50.0, "{per_second} datagrams per node and second\nreplay: {}", world.replay());
    stays_converged(world, secs(10));
    no_false_failures(world);
}

#[test]
fn a_restart_with_its_disk_brings_everything_back() {
    each_seed(5, |seed| {
        for (count, down) in [(2, 0), (3, 0), (5, 1), (5, 30), (10, 300)] {
            let name = "lifecycle::a_restart_with_its_disk";
            let (mut world, hosts) = settled(name, seed, count, 3, Conditions::default());
            world.command(hosts[1], &register("late")).expect("accepted");
            world.command(hosts[1], &deregister("web-1")).expect("accepted");
            comes_back(&mut world, hosts[1], secs(down), |_| {});
        }
    });
}

/// How long after a newcomer was started all others have it alive, with its name and services: as
/// long as a change takes (of twelve sends an agent), and four round trips before it: two to show its
/// address and to be let in, two to learn who is there.
#[test]
fn a_newcomer_is_known_to_all_as_soon_as_its_news_can_spread() {
    let took: RefCell<Vec<Duration>> = RefCell::default();
    each_seed(8, |seed| {
        let name = "lifecycle::a_newcomer_is_known_to_all";
        let mut world = World::new(name, seed, Conditions::default());
        let hosts = add(&mut world, cluster(50, &Config::default()), 2);
        let (newcomer, others) = hosts.split_last().expect("fifty");
        others.iter().for_each(|host| world.start(*host));
        converge(&mut world, secs(30));
        world.run_for(secs(1));
        let started = world.now();
        world.start(*newcomer);
        let key = world.name_of(*newcomer).key();
        let knows = |world: &World, host: HostId| {
            let agent = world.agent(host).expect("it runs");
            agent
                .member(key)
                .is_some_and(|m| m.status == MemberStatus::Alive && agent.entry_keys(key).count() == 5)
        };
        while !others.iter().all(|host| knows(&world, *host)) {
            assert!(world.now().since(started) < secs(2), "replay: {}", world.replay());
            world.run_for(Duration::from_micros(250));
        }
        took.borrow_mut().push(world.now().since(started));
        converge(&mut world, secs(2));
        stays_converged(&mut world, secs(1));
    });
    let mut took = took.into_inner();
    took.sort();
    let median = took[took.len() / 2];
    println!("{took:?}");
    assert!(median < ms(25), "{median:?}");
}

/// One contact cannot tell two hundred newcomers everything at once, within its cap: they hear of each
/// other by rumours, and whoever missed some looks again at others.
#[test]
fn a_crowd_that_starts_at_one_contact_knows_itself_within_two_seconds() {
    each_seed(1, |seed| {
        let mut world = World::new("lifecycle::a_crowd_that_starts", seed, Conditions::default());
        let hosts = add(&mut world, cluster(200, &Config::default()), 1);
        world.start(hosts[0]);
        world.run_for(secs(10));
        hosts[1..].iter().for_each(|host| world.start(*host));
        converge(&mut world, secs(2));
        no_false_failures(&world);
    });
}

#[test]
fn a_restart_without_its_disk_brings_back_only_what_is_registered_again() {
    each_seed(5, |seed| {
        for (count, down) in [(2, 0), (5, 1), (5, 30)] {
            let name = "lifecycle::a_restart_without_its_disk";
            let (mut world, hosts) = settled(name, seed, count, 2, Conditions::default());
            world.command(hosts[1], &register("late")).expect("accepted");
            converge(&mut world, secs(2));
            comes_back(&mut world, hosts[1], secs(down), |world| world.lose_disk(hosts[1]));
        }
    });
}

#[test]
fn a_clock_that_is_wrong_at_a_restart_does_not_matter() {
    const HOUR_MS: i64 = 3_600_000;
    each_seed(5, |seed| {
        for by_ms in [-HOUR_MS, 365 * 24 * HOUR_MS] {
            for lost in [false, true] {
                let name = "lifecycle::a_clock_that_is_wrong";
                let (mut world, hosts) = settled(name, seed, 5, 2, Conditions::default());
                comes_back(&mut world, hosts[1], secs(1), |world| {
                    world.step_clock(hosts[1], by_ms);
                    if lost {
                        world.lose_disk(hosts[1]);
                    }
                });
                // And nobody's clock pins the others: it may be set right again.
                comes_back(&mut world, hosts[1], secs(1), |world| world.step_clock(hosts[1], -by_ms));
                comes_back(&mut world, hosts[2], secs(1), |_| {});
            }
        }
    });
}

#[test]
fn a_node_that_moves_takes_its_records_along() {
    each_seed(5, |seed| {
        for (count, down) in [(2, 1), (5, 0), (5, 40)] {
            let name = "lifecycle::a_node_that_moves";
            let (mut world, hosts) = settled(name, seed, count, 2, Conditions::default());
            comes_back(&mut world, hosts[1], secs(down), |world| world.readdress(hosts[1]));
            let addr = world.addr(hosts[1]);
            let key = world.name_of(hosts[1]).key();
            for host in &hosts {
                let member = world.agent(*host).and_then(|a| a.member(key)).expect("known");
                assert_eq!(member.addr, addr, "replay: {}", world.replay());
            }
        }
    });
}

#[test]
fn a_rolling_restart_leaves_nothing_stale() {
    each_seed(3, |seed| {
        let name = "lifecycle::a_rolling_restart";
        let (mut world, hosts) = settled(name, seed, 10, 2, Conditions::with_loss(0.01));
        for (host, number) in hosts.iter().zip(0..) {
            world.crash(*host);
            world.run_for(secs(number % 3));
            world.start(*host);
            world.run_for(secs(2));
        }
        converge(&mut world, secs(5));
        stays_converged(&mut world, secs(20));
        no_false_failures(&world);
    });
}

#[test]
fn all_agents_killed_at_once_come_back_with_everything() {
    each_seed(3, |seed| {
        let name = "lifecycle::all_agents_killed_at_once";
        let (mut world, hosts) = settled(name, seed, 10, 2, Conditions::default());
        for host in &hosts {
            world.crash(*host);
        }
        world.run_for(secs(30));
        for host in &hosts {
            world.start(*host);
        }
        converge(&mut world, secs(5));
        stays_converged(&mut world, secs(20));
        no_false_failures(&world);
    });
}

#[test]
fn a_node_that_left_can_come_back() {
    each_seed(3, |seed| {
        let name = "lifecycle::a_node_that_left";
        let (mut world, hosts) = settled(name, seed, 5, 2, Conditions::default());
        for pause in [0, 1, 30] {
            world.leave(hosts[2]);
            converge(&mut world, secs(1));
            world.run_for(secs(5 + pause));
            world.start(hosts[2]);
            converge(&mut world, secs(3));
            stays_converged(&mut world, secs(10));
        }
    });
}
