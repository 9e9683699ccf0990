//! Who is alive, who crashed, who left, who is who.

use crate::{add, converge, each_seed, ms, no_false_failures, secs, sent, settled, stays_converged};
use shoal::core::Config;
use shoal::model::MemberStatus;
use shoal::sim::scenario::cluster;
use shoal::sim::{Conditions, Contact, HostId, NodeSpec, World};
use std::time::Duration;

#[test]
fn join() {
    each_seed(3, |seed| {
        for count in [1, 2, 3, 5, 10] {
            let mut world = World::new("membership::join", seed, Conditions::default());
            let hosts = add(&mut world, cluster(count, &Config::default()), 1);
            for host in &hosts {
                world.start(*host);
            }
            converge(&mut world, secs(5));
            stays_converged(&mut world, secs(20));
            no_false_failures(&world);
            for host in hosts.iter().skip(1) {
                let took =
                    world.joined_after(*host).unwrap_or_else(|| panic!("{host:?} of {count} did not join"));
                assert!(took < secs(4), "{took:?}");
            }
        }
    });
}

#[test]
fn a_join_address_that_is_dead_for_a_minute_is_tried_until_it_lives() {
    each_seed(3, |seed| {
        let mut world = World::new("membership::a_join_address", seed, Conditions::default());
        let hosts = add(&mut world, cluster(3, &Config::default()), 1);
        world.start(hosts[1]);
        world.start(hosts[2]);
        world.run_for(secs(60));
        world.start(hosts[0]);
        converge(&mut world, secs(10));
    });
}

/// `grace`: what detection may take beyond the time that a suspect has to refute.
fn crash(name: &str, reports: bool, grace: Duration, longest: Duration) {
    each_seed(5, |seed| {
        for count in [2, 3, 5, 10, 50] {
            let conditions = Conditions { unreachable_reports: reports, ..Conditions::default() };
            let (mut world, hosts) = settled(name, seed, count, 2, conditions);
            world.run_for(secs(10));
            world.crash(hosts[count / 2]);
            converge(&mut world, longest);
            let detection = world.metrics().detection();
            println!("n={count}: p50 {:?}, all {:?}", detection.quantile(0.5), detection.max());
            assert_eq!(detection.len(), count - 1, "everybody has to know");
            let bound = Config::default().suspicion_timeout(count) + grace;
            assert!(
                detection.quantile(0.5) <= bound,
                "n={count}: {:?}\nreplay: {}",
                detection.quantile(0.5),
                world.replay()
            );
            stays_converged(&mut world, secs(20));
            no_false_failures(&world);
        }
    });
}

#[test]
fn a_crash_is_known_everywhere() {
    crash("membership::a_crash_is_known_everywhere", false, secs(8), secs(25));
}

#[test]
fn a_crash_is_known_everywhere_where_closed_ports_are_reported() {
    crash("membership::a_crash_is_known_everywhere_where", true, secs(8), secs(25));
}

#[test]
fn leaving_is_known_within_a_second() {
    each_seed(5, |seed| {
        for count in [2, 3, 5, 10, 50] {
            let (mut world, hosts) =
                settled("membership::leaving_is_known", seed, count, 2, Conditions::default());
            world.run_for(secs(5));
            world.leave(hosts[1]);
            converge(&mut world, secs(1));
            world.run_for(secs(6));
            assert!(!world.is_leaving(hosts[1]), "its process ends");
            stays_converged(&mut world, secs(30));
            no_false_failures(&world);
        }
    });
}

#[test]
fn leaving_at_heavy_loss_is_known_within_three_seconds() {
    each_seed(10, |seed| {
        for count in [3, 5, 10, 50] {
            let name = "membership::leaving_at_heavy_loss";
            let (mut world, hosts) = settled(name, seed, count, 2, Conditions::default());
            world.set_conditions(Conditions::with_loss(0.2));
            world.leave(hosts[1]);
            converge(&mut world, secs(3));
            world.run_for(secs(30));
            for observer in hosts.iter().filter(|h| world.is_live(**h)) {
                let status = world.status(*observer, hosts[1]);
                assert!(
                    matches!(status, None | Some(MemberStatus::Left)),
                    "{status:?}\nreplay: {}",
                    world.replay()
                );
            }
        }
    });
}

#[test]
fn a_second_node_of_the_same_name_is_refused() {
    each_seed(5, |seed| {
        let name = "membership::a_second_node_of_the_same_name";
        let (mut world, hosts) = settled(name, seed, 3, 1, Conditions::default());
        let twin = NodeSpec {
            join: vec![Contact::Host(hosts[0])],
            ..NodeSpec::named(world.name_of(hosts[1]).as_str())
        };
        let twin = world.add_host(twin);
        world.run_for(secs(5));
        let before = sent(&world);
        world.start(twin);
        world.run_for(secs(10));
        assert!(world.is_name_taken(twin), "the later one gives way\nreplay: {}", world.replay());
        assert!(world.is_live(hosts[1]), "the first keeps its name");
        converge(&mut world, secs(5));
        let per_second = (sent(&world) - before) as f64 / 10.0 / 3.0;
        assert!(per_second < 50.0, "{per_second} datagrams per node and second\nreplay: {}", world.replay());
        stays_converged(&mut world, secs(20));
    });
}

#[test]
fn a_cloned_disk_gives_one_error_and_no_storm() {
    each_seed(5, |seed| {
        let name = "membership::a_cloned_disk";
        let (mut world, hosts) = settled(name, seed, 3, 1, Conditions::default());
        let clone = NodeSpec {
            join: vec![Contact::Host(hosts[0])],
            ..NodeSpec::named(world.name_of(hosts[1]).as_str())
        };
        let clone = world.add_host(clone);
        world.clone_disk(hosts[1], clone);
        world.run_for(secs(5));
        let before = sent(&world);
        world.start(clone);
        world.run_for(secs(10));
        assert!(world.is_name_taken(clone) != world.is_name_taken(hosts[1]), "exactly one of them goes");
        let per_second = (sent(&world) - before) as f64 / 10.0 / 3.0;
        assert!(per_second < 50.0, "{per_second} datagrams per node and second\nreplay: {}", world.replay());
        converge(&mut world, secs(5));
    });
}

#[test]
fn two_nodes_with_a_lost_datagram_now_and_then_stay_together_for_an_hour() {
    let rejoins = std::cell::Cell::new(0.0);
    let hours = std::cell::Cell::new(0.0);
    each_seed(20, |seed| {
        let name = "membership::two_nodes_with_a_lost_datagram";
        let (mut world, hosts) = settled(name, seed, 2, 1, Conditions::with_loss(0.01));
        let mut apart = Duration::ZERO;
        for _ in 0..3_600 {
            world.run_for(secs(1));
            let together = [(0, 1), (1, 0)]
                .iter()
                .all(|(a, b)| world.status(hosts[*a], hosts[*b]).is_some_and(MemberStatus::is_live));
            apart = if together { Duration::ZERO } else { apart + secs(1) };
            assert!(apart <= secs(5), "isolated at {:?}\nreplay: {}", world.now(), world.replay());
        }
        rejoins.set(rejoins.get() + world.rejoins() as f64);
        hours.set(hours.get() + 2.0);
        stays_live(&world);
    });
    let rate = rejoins.get() / hours.get();
    assert!(rate < 0.1, "{rate} rejoins per node and hour");
}

fn stays_live(world: &World) {
    for host in world.hosts() {
        assert!(world.is_live(host));
    }
}

#[test]
fn refuted_suspicions_cause_no_renewals() {
    each_seed(3, |seed| {
        for (count, loss) in [(3, 0.01), (3, 0.05), (10, 0.01), (10, 0.05)] {
            let name = "membership::refuted_suspicions";
            let (mut world, _) = settled(name, seed, count, 1, Conditions::with_loss(loss));
            world.run_for(secs(1_200));
            let rate = world.rejoins() as f64 / (count as f64 / 3.0);
            assert!(rate < 0.1, "n={count}, {loss}: {rate} per node and hour\nreplay: {}", world.replay());
            no_false_failures(&world);
        }
    });
}

#[test]
fn a_failed_node_can_be_made_to_leave() {
    each_seed(3, |seed| {
        let name = "membership::a_failed_node_can_be_made_to_leave";
        let (mut world, hosts) = settled(name, seed, 5, 2, Conditions::default());
        world.crash(hosts[3]);
        converge(&mut world, secs(25));
        let node = world.name_of(hosts[3]).clone();
        world.force_leave(hosts[0], &node, false).expect("it is failed");
        converge(&mut world, secs(2));
        stays_converged(&mut world, secs(20));
        world.start(hosts[3]);
        converge(&mut world, secs(5));
        stays_converged(&mut world, ms(10_000));
    });
}

/// The predecessor on the ring pings within two intervals, whatever chance does; one interval, the shortest
/// time to refute and a few round trips later everybody knows. Chance alone would exceed this in one of ten.
#[test]
fn a_silent_member_is_failed_by_all_within_two_rounds_and_the_time_to_refute() {
    each_seed(12, |seed| {
        let mut world = World::new("membership::a_silent_member_is_failed", seed, Conditions::default());
        let hosts: Vec<HostId> =
            cluster(60, &Config::default()).into_iter().map(|s| world.add_host(s)).collect();
        world.settle(&hosts);
        world.run_for(secs(10) + ms(137 * seed));
        world.pause(hosts[seed as usize]);
        world.run_for(secs(20));
        let full = world.metrics().full_silenced();
        assert_eq!(full.len(), 1, "all have failed it\nreplay: {}", world.replay());
        println!("failed by all after {:?}", full.max());
        assert!(full.max() <= ms(5_500), "{:?}\nreplay: {}", full.max(), world.replay());
        no_false_failures(&world);
    });
}
