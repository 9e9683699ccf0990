//! What wore out or confused real clusters: days apart, storms of changes, addresses that come and
//! go by the thousand, everybody at once. `SIM_NODES` widens the tests that say so.

use crate::{converge, each_seed, ms, no_false_failures, register, secs, sent, settled, stays_converged};
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use shoal::core::{Config, Settings};
use shoal::model::{LocalCommand, MemberStatus};
use shoal::sim::scenario::{cluster, service_without_check};
use shoal::sim::{
    Conditions, Contact, HostId, Impairment, Latency, Links, Load, LoadKind, NodeSpec, World, seed as seeds,
};
use std::collections::BTreeMap;
use std::time::Duration;

const HOUR: Duration = secs(3_600);

fn nodes(usual: usize) -> usize {
    std::env::var("SIM_NODES")
        .map_or(usual, |n| n.parse().unwrap_or_else(|_| panic!("SIM_NODES={n}: want a number")))
}

/// A settled cluster with an instance on each node. Nobody has a join address: whoever was lost has
/// to be found by what is remembered.
fn large(
    name: &str,
    seed: u64,
    count: usize,
    config: &Config,
    conditions: Conditions,
) -> (World, Vec<HostId>) {
    let mut world = World::new(name, seed, conditions);
    let spec = |spec: NodeSpec| NodeSpec {
        services: vec![service_without_check("s0", "s0")],
        join: Vec::new(),
        ..spec
    };
    let hosts: Vec<HostId> = cluster(count, config).into_iter().map(|s| world.add_host(spec(s))).collect();
    world.settle(&hosts);
    (world, hosts)
}

fn remembering_for(reap_after: Duration) -> Config {
    Config::new(Settings { reap_after, ..Settings::lan() }).expect("a valid configuration")
}

#[test]
fn halves_that_were_parted_for_a_day_become_one_again() {
    each_seed(1, |seed| {
        for (reap_after, count) in [(72 * HOUR, 2), (12 * HOUR, 4)] {
            let name = "endurance::halves_that_were_parted_for_a_day";
            let config = remembering_for(reap_after);
            let (mut world, hosts) = large(name, seed, count, &config, Conditions::default());
            world.partition(&[&hosts[..count / 2], &hosts[count / 2..]]);
            world.run_for(HOUR);
            world.command(hosts[0], &register("here")).expect("a cut-off agent keeps working");
            world.command(hosts[count - 1], &crate::deregister("s0")).expect("a cut-off agent keeps working");
            world.run_for(24 * HOUR);
            let before = sent(&world);
            world.heal();
            let took = converge(&mut world, secs(10));
            println!("failed members kept for {reap_after:?}: one cluster {took:?} after the heal");
            world.run_for(secs(10));
            assert!(sent(&world) - before < count as u64 * 20 * 100, "a storm\nreplay: {}", world.replay());
            stays_converged(&mut world, secs(20));
        }
    });
}

#[test]
fn who_was_away_for_longer_than_the_dead_are_remembered_resurrects_nothing() {
    each_seed(5, |seed| {
        let name = "endurance::who_was_away_for_longer";
        let config = remembering_for(secs(60));
        let (mut world, hosts) = large(name, seed, 6, &config, Conditions::default());
        world.command(hosts[0], &register("to-be-deleted")).expect("accepted");
        converge(&mut world, secs(2));
        world.partition(&[&hosts[5..]]);
        world.run_for(secs(1));
        world.command(hosts[0], &crate::deregister("to-be-deleted")).expect("accepted");
        for n in 0..200 {
            world.command(hosts[0], &register(&format!("passing-{n}"))).expect("accepted");
            world.command(hosts[0], &crate::deregister(&format!("passing-{n}"))).expect("accepted");
        }
        world.leave(hosts[1]);
        world.crash(hosts[2]);
        world.run_for(secs(300));
        world.heal();
        let took = converge(&mut world, secs(10));
        println!("all agree {took:?} after the heal");
        stays_converged(&mut world, secs(100));
        for gone in [hosts[1], hosts[2]] {
            let shown = world.status(hosts[5], gone);
            assert!(!shown.is_some_and(MemberStatus::is_live), "{shown:?}\nreplay: {}", world.replay());
        }
    });
}

#[test]
fn twenty_thousand_changes_at_once_do_not_disturb_membership() {
    let config = Config::new(Settings { max_entries_per_node: 20_000, ..Settings::lan() }).expect("valid");
    let name = "endurance::twenty_thousand_changes";
    let (mut world, hosts) = large(name, 1, 4, &config, Conditions::default());
    world.run_for(secs(2));
    for n in 0..20_000 {
        let definition = Box::new(service_without_check(&format!("one-of-many-{n}"), "many"));
        let command = LocalCommand::RegisterService { definition, replace_existing_checks: false };
        world.command(hosts[n % 2], &command).expect("accepted");
    }
    let took = converge(&mut world, secs(20));
    println!("20,000 changes everywhere after {took:?}");
    world.run_for(secs(20));
    no_false_failures(&world);
    assert_eq!(world.rejoins(), 0);
}

#[test]
fn churn_of_members_and_of_services_do_not_starve_each_other() {
    each_seed(3, |seed| {
        let name = "endurance::churn_of_members_and_of_services";
        let (mut world, hosts) = settled(name, seed, 12, 3, Conditions::default());
        world.run_for(secs(25));
        world.reset_metrics();
        for kind in [LoadKind::Register, LoadKind::Flap, LoadKind::Change] {
            world.load(Load { hosts: hosts[6..].to_vec(), kind, every: ms(25), lasts: secs(66), at_once: 1 });
        }
        for host in &hosts[..6] {
            world.crash(*host);
            world.run_for(secs(10));
            world.start(*host);
            world.run_for(secs(1));
        }
        converge(&mut world, secs(10));
        let (detected, spread) = (world.metrics().detection(), &world.metrics().propagation);
        println!("crashes known after {:?}, changes after {:?} (p99)", detected.max(), spread.quantile(0.99));
        assert_eq!(detected.len(), 6 * 11, "replay: {}", world.replay());
        assert!(spread.quantile(0.99) < ms(500), "{:?}\nreplay: {}", spread.quantile(0.99), world.replay());
        no_false_failures(&world);
        // Until what was held back of flapping checks is told as well.
        world.run_for(secs(61));
        stays_converged(&mut world, secs(5));
    });
}

#[test]
fn short_lived_nodes_by_the_hundred_leave_room_for_the_next() {
    each_seed(2, |seed| {
        let name = "endurance::short_lived_nodes";
        let config =
            Config::new(Settings { max_members: 100, ..Settings::lan() }).expect("a valid configuration");
        let mut world = World::new(name, seed, Conditions::default());
        let spec = |n: usize, join: Vec<Contact>| NodeSpec {
            config: config.clone(),
            join,
            services: vec![service_without_check("s0", "s0")],
            ..NodeSpec::named(&format!("n{n}"))
        };
        let stable: Vec<HostId> =
            (0..5).map(|n| world.add_host(spec(n, vec![Contact::Host(HostId(0))]))).collect();
        world.settle(&stable);
        world.run_for(secs(2));
        for n in 5..405 {
            let passing = world.add_host(spec(n, vec![Contact::Host(HostId(n % 5))]));
            world.start(passing);
            let known = |w: &World, n: &HostId| w.status(*n, passing).is_some_and(MemberStatus::is_live);
            for _ in 0..50 {
                world.run_for(ms(100));
                if stable.iter().all(|s| known(&world, s)) {
                    break;
                }
            }
            assert!(world.joined_after(passing).is_some(), "n{n} did not get in\nreplay: {}", world.replay());
            let shown: Vec<_> = stable.iter().map(|s| world.status(*s, passing)).collect();
            let live = |s: &Option<MemberStatus>| s.is_some_and(MemberStatus::is_live);
            assert!(shown.iter().all(live), "n{n} is shown as {shown:?}\nreplay: {}", world.replay());
            world.crash(passing);
            world.run_for(secs(2));
        }
        for host in stable {
            let members = world.agent(host).map_or(0, |a| a.members().count());
            assert!(members <= 101, "{members} members\nreplay: {}", world.replay());
        }
        no_false_failures(&world);
    });
}

#[test]
fn restarts_over_lossy_far_links_leave_as_many_members_as_there_are() {
    each_seed(1, |seed| {
        let count = nodes(40);
        let name = "endurance::restarts_over_lossy_far_links";
        let config = Config::new(Settings::wan()).expect("a preset is valid");
        let far = Conditions { latency: Latency::WAN, loss: 0.05, ..Conditions::default() };
        let (mut world, hosts) = large(name, seed, count, &config, far);
        let mut rng = seeds::stream(seed, "who restarts", 0);
        for _ in 0..60 {
            let host = hosts[rng.random_range(0..count)];
            world.crash(host);
            world.run_for(secs(rng.random_range(0..30)));
            world.start(host);
            world.run_for(secs(rng.random_range(0..20)));
        }
        converge(&mut world, secs(60));
        for host in &hosts {
            assert_eq!(
                world.agent(*host).map(|a| a.members().count()),
                Some(count),
                "replay: {}",
                world.replay()
            );
        }
    });
}

#[test]
fn a_new_configuration_everywhere_at_once_publishes_what_changed_and_no_more() {
    each_seed(2, |seed| {
        let count = 50;
        let name = "endurance::a_new_configuration";
        let (mut world, hosts) = large(name, seed, count, &Config::default(), Conditions::default());
        let tags = |value: &str| BTreeMap::from([("zone".to_owned(), value.to_owned())]);
        let mut cost = |change: &dyn Fn(usize) -> &'static str| {
            world.run_for(secs(5));
            world.reset_metrics();
            let before = sent(&world);
            for (n, host) in hosts.iter().enumerate() {
                world.set_tags(*host, tags(change(n))).expect("accepted");
            }
            world.run_for(secs(5));
            world.converged().expect("five seconds are enough");
            (world.metrics().propagation.len(), sent(&world) - before)
        };
        let all = cost(&|_| "a");
        let none = cost(&|_| "a");
        let one = cost(&|n| if n == 7 { "b" } else { "a" });
        println!("views of changes and datagrams: all {all:?}, none {none:?}, one {one:?}");
        assert_eq!((all.0, none.0, one.0), (count * (count - 1), 0, count - 1));
        let calm = count as u64 * 5 * 2;
        assert!(none.1 <= calm + count as u64, "{} datagrams where nothing changed", none.1);
        assert!(one.1 <= calm + 16 * count as u64, "{} datagrams where one node changed", one.1);
    });
}

#[test]
fn a_tenth_of_all_can_leave_at_once() {
    each_seed(2, |seed| {
        let count = nodes(200);
        let name = "endurance::a_tenth_of_all";
        let (mut world, hosts) = large(name, seed, count, &Config::default(), Conditions::default());
        world.run_for(secs(5));
        let mut order = hosts.clone();
        order.shuffle(&mut seeds::stream(seed, "who leaves", 0));
        let (leavers, others) = order.split_at(count / 10);
        for host in leavers {
            world.leave(*host);
        }
        let took = converge(&mut world, secs(3));
        println!("{} leavers known everywhere after {took:?}", leavers.len());
        stays_converged(&mut world, secs(30));
        no_false_failures(&world);
        for host in leavers {
            let shown = world.status(others[0], *host);
            assert!(
                matches!(shown, Some(MemberStatus::Left) | None),
                "{shown:?}\nreplay: {}",
                world.replay()
            );
        }
    });
}

#[test]
fn a_node_that_only_a_third_can_reach_makes_no_healthy_one_fail() {
    each_seed(3, |seed| {
        let count = 30;
        let name = "endurance::a_node_that_only_a_third_can_reach";
        let (mut world, hosts) = large(name, seed, count, &Config::default(), Conditions::default());
        let mut others = hosts[1..].to_vec();
        others.shuffle(&mut seeds::stream(seed, "who cannot reach it", 0));
        let cut = &others[count / 3..];
        world.run_for(secs(5));
        world.impair(&Links::OneWay(vec![hosts[0]], cut.to_vec()), Impairment::CUT);
        world.impair(&Links::OneWay(cut.to_vec(), vec![hosts[0]]), Impairment::CUT);
        world.run_for(secs(60));
        world.reset_metrics();
        world.run_for(secs(300));
        let changes = world.metrics().status_changes as f64 / count as f64 / 5.0;
        let failed = world.metrics().verdicts.len() as f64 / count as f64 / 5.0;
        println!("per observer and minute: {changes:.1} changes of state, {failed:.2} to failed");
        let about_others =
            world.metrics().verdicts.iter().filter(|v| v.subject != hosts[0] && v.observer != hosts[0]);
        assert_eq!(about_others.count(), 0, "replay: {}", world.replay());
        world.heal();
        converge(&mut world, secs(10));
    });
}

#[test]
fn a_full_restart_with_dead_join_addresses_leaves_no_islands() {
    each_seed(3, |seed| {
        let name = "endurance::a_full_restart_with_dead_join_addresses";
        let mut world = World::new(name, seed, Conditions::default());
        let dead = Contact::Addr(([10, 99, 0, 1], 7_946).into());
        let hosts: Vec<HostId> = (0..10)
            .map(|n| world.add_host(NodeSpec { join: vec![dead], ..NodeSpec::named(&format!("n{n}")) }))
            .collect();
        for host in &hosts {
            world.start(*host);
        }
        world.run_for(secs(60));
        // The name resolves to two agents from now on.
        for host in &hosts {
            world.join(*host, &[Contact::Host(hosts[3]), Contact::Host(hosts[4])]);
        }
        let took = converge(&mut world, secs(10));
        println!("one cluster after {took:?}");
        stays_converged(&mut world, secs(20));
    });
}

#[test]
fn everybody_restarted_together_is_one_cluster_again() {
    each_seed(1, |seed| {
        let count = nodes(100);
        let name = "endurance::everybody_restarted_together";
        let (mut world, hosts) = large(name, seed, count, &Config::default(), Conditions::default());
        world.run_for(secs(12));
        for host in &hosts {
            world.crash(*host);
        }
        world.run_for(secs(1));
        world.reset_metrics();
        for host in &hosts {
            world.start(*host);
        }
        let took = converge(&mut world, secs(30));
        let bytes: u64 = hosts.iter().map(|h| world.traffic(*h).bytes_sent).sum();
        println!("{count} agents are one cluster after {took:?}, {} bytes each", bytes / count as u64);
        stays_converged(&mut world, secs(10));
        no_false_failures(&world);
    });
}
