//! Cut, paused, deaf, under fire: and whole again.

use crate::{
    converge, deregister, each_seed, ms, no_false_failures, register, secs, sent, settled, stays_converged,
};
use rand::RngExt as _;
use shoal::model::MemberStatus;
use shoal::sim::{Conditions, HostId, Impairment, Links, World, seed as seeds};
use std::time::Duration;

fn parted(name: &str, time: Duration) {
    each_seed(3, |seed| {
        for (count, half) in [(2, 1), (3, 1), (10, 5), (10, 2)] {
            let (mut world, hosts) = settled(name, seed, count, 1, Conditions::default());
            world.partition(&[&hosts[..half], &hosts[half..]]);
            world.run_for(time / 2);
            world.command(hosts[0], &register("here")).expect("a cut-off agent keeps working");
            world.command(hosts[count - 1], &register("there")).expect("a cut-off agent keeps working");
            world.run_for(time / 2);
            assert_eq!(world.status(hosts[0], hosts[count - 1]), Some(MemberStatus::Failed));
            assert_eq!(world.status(hosts[count - 1], hosts[0]), Some(MemberStatus::Failed));
            no_false_failures(&world);
            let before = sent(&world);
            world.heal();
            let took = converge(&mut world, secs(10));
            println!("n={count}: one cluster {took:?} after the heal");
            world.run_for(secs(10));
            let per_second = (sent(&world) - before) as f64 / count as f64 / 10.0;
            assert!(
                per_second < 100.0,
                "{per_second} datagrams per node and second\nreplay: {}",
                world.replay()
            );
            stays_converged(&mut world, secs(20));
        }
    });
}

#[test]
fn halves_that_were_parted_for_a_minute_become_one_again() {
    parted("faults::halves_that_were_parted_for_a_minute", secs(60));
}

#[test]
fn halves_that_were_parted_for_ten_minutes_become_one_again() {
    parted("faults::halves_that_were_parted_for_ten_minutes", secs(600));
}

#[test]
fn total_isolation_for_ten_minutes_heals() {
    each_seed(3, |seed| {
        for count in [2, 5, 10] {
            let (mut world, hosts) =
                settled("faults::total_isolation", seed, count, 1, Conditions::default());
            let alone: Vec<&[HostId]> = hosts.chunks(1).collect();
            world.partition(&alone);
            world.run_for(secs(600));
            world.heal();
            let took = converge(&mut world, secs(10));
            println!("n={count}: one cluster {took:?} after the heal");
            stays_converged(&mut world, secs(20));
        }
    });
}

#[test]
fn a_deletion_is_not_undone_by_who_was_away() {
    each_seed(5, |seed| {
        for paused in [true, false] {
            for away in [1, 30] {
                let (mut world, hosts) =
                    settled("faults::a_deletion_is_not_undone", seed, 5, 3, Conditions::default());
                if paused {
                    world.pause(hosts[4]);
                } else {
                    world.partition(&[&hosts[4..]]);
                }
                world.run_for(ms(100));
                world.command(hosts[0], &deregister("web-1")).expect("accepted");
                world.run_for(secs(away));
                world.resume(hosts[4]);
                world.heal();
                converge(&mut world, secs(10));
                stays_converged(&mut world, secs(20));
            }
        }
    });
}

#[test]
fn a_pause_is_forgiven_and_accuses_nobody() {
    each_seed(5, |seed| {
        for stall in [500, 3_000, 30_000] {
            let (mut world, hosts) =
                settled("faults::a_pause_is_forgiven", seed, 5, 1, Conditions::default());
            world.run_for(secs(25));
            world.pause(hosts[2]);
            world.run_for(ms(stall));
            world.resume(hosts[2]);
            world.run_for(ms(1));
            for healthy in [0, 1, 3, 4] {
                let status = world.status(hosts[2], hosts[healthy]);
                assert!(status.is_some_and(MemberStatus::is_live), "{status:?}\nreplay: {}", world.replay());
            }
            converge(&mut world, secs(10));
            stays_converged(&mut world, secs(20));
            no_false_failures(&world);
        }
    });
}

#[test]
fn one_way_links_do_not_make_third_parties_flap() {
    each_seed(3, |seed| {
        let (mut world, hosts) = settled("faults::one_way_links", seed, 10, 1, Conditions::default());
        world.run_for(secs(25));
        world.impair(&Links::OneWay(vec![hosts[0]], vec![hosts[1]]), Impairment::CUT);
        world.run_for(secs(120));
        no_false_failures(&world);
        world.heal();
        converge(&mut world, secs(10));
    });
}

#[test]
fn a_node_that_cannot_hear_harms_only_itself() {
    each_seed(3, |seed| {
        for links in [Links::Into(vec![HostId(3)]), Links::OutOf(vec![HostId(3)])] {
            let (mut world, hosts) =
                settled("faults::a_node_that_cannot_hear", seed, 10, 1, Conditions::default());
            world.run_for(secs(25));
            world.impair(&links, Impairment::CUT);
            world.run_for(secs(60));
            no_false_failures(&world);
            let shown = world.status(hosts[0], hosts[3]);
            println!("{links:?}: shown as {shown:?}");
            world.heal();
            converge(&mut world, secs(10));
            stays_converged(&mut world, secs(20));
        }
    });
}

#[test]
fn a_network_that_drops_long_datagrams_still_agrees_on_who_is_alive() {
    each_seed(3, |seed| {
        let (mut world, _) = settled("faults::a_network_that_drops_long", seed, 5, 1, Conditions::default());
        world.run_for(secs(25));
        world.set_conditions(Conditions { mtu: 700, ..Conditions::default() });
        world.run_for(secs(60));
        no_false_failures(&world);
        world.set_conditions(Conditions::default());
        converge(&mut world, secs(10));
    });
}

#[test]
fn hostile_datagrams_do_no_harm() {
    each_seed(5, |seed| {
        let (mut world, hosts) = settled("faults::hostile_datagrams", seed, 3, 1, Conditions::default());
        let mut rng = seeds::stream(seed, "hostile", 0);
        let mut echo: Vec<u8> = Vec::new();
        for round in 0..3_000_u32 {
            let from = if round % 3 == 0 {
                world.addr(hosts[1])
            } else {
                ([203, 0, 113, rng.random()], rng.random()).into()
            };
            let length = rng.random_range(0..1_500);
            let mut bytes: Vec<u8> = (0..length).map(|_| rng.random()).collect();
            // Half of them start like what came before, so that some get past the first check.
            if round % 2 == 0 {
                for (byte, former) in bytes.iter_mut().zip(&echo).take(rng.random_range(0..64)) {
                    *byte = *former;
                }
            }
            echo.clone_from(&bytes);
            world.inject(from, hosts[0], bytes);
            world.run_for(ms(3));
        }
        let members = world.agent(hosts[0]).map_or(0, |a| a.members().count());
        assert_eq!(members, 3);
        stays_converged(&mut world, secs(10));
        no_false_failures(&world);
    });
}

#[test]
fn five_nodes_keep_every_promise_while_a_fifth_of_all_datagrams_is_lost() {
    each_seed(10, |seed| {
        let name = "faults::five_nodes_keep_every_promise";
        let (mut world, hosts) = settled(name, seed, 5, 2, Conditions::with_loss(0.2));
        world.run_for(secs(10));
        world.command(hosts[0], &register("new")).expect("accepted");
        converge(&mut world, secs(5));
        world.crash(hosts[1]);
        let took = known(&mut world, &hosts, hosts[1], MemberStatus::Failed, secs(40));
        println!("crash known after {took:?}");
        world.start(hosts[1]);
        converge(&mut world, secs(10));
        world.command(hosts[2], &deregister("web-0")).expect("accepted");
        converge(&mut world, secs(5));
        world.leave(hosts[3]);
        converge(&mut world, secs(3));
        world.run_for(secs(10));
        world.start(hosts[3]);
        converge(&mut world, secs(10));
        for _ in 0..30 {
            world.run_for(secs(1));
            converge(&mut world, secs(10));
        }
        world.set_conditions(Conditions::default());
        converge(&mut world, secs(10));
        stays_converged(&mut world, secs(20));
    });
}

/// Runs until every live host shows `subject` like this.
fn known(
    world: &mut World,
    hosts: &[HostId],
    subject: HostId,
    status: MemberStatus,
    within: Duration,
) -> Duration {
    let began = world.now();
    loop {
        let all =
            hosts.iter().filter(|h| world.is_live(**h)).all(|h| world.status(*h, subject) == Some(status));
        let took = world.now().since(began);
        if all {
            return took;
        }
        assert!(took < within, "not known after {took:?}\nreplay: {}", world.replay());
        world.run_for(ms(50));
    }
}

#[test]
fn duplicated_and_reordered_datagrams_change_nothing() {
    each_seed(3, |seed| {
        let conditions =
            Conditions { duplicate: 0.3, reorder: 0.5, reorder_delay: ms(150), ..Conditions::default() };
        let (mut world, hosts) = settled("faults::duplicated_and_reordered", seed, 5, 3, conditions);
        for number in 0..40 {
            world.command(hosts[number % 5], &register(&format!("x{}", number % 7))).expect("accepted");
            world.run_for(ms(30));
            world.command(hosts[number % 5], &deregister(&format!("x{}", number % 7))).expect("accepted");
            world.run_for(ms(20));
        }
        converge(&mut world, secs(5));
        stays_converged(&mut world, secs(30));
        no_false_failures(&world);
    });
}
