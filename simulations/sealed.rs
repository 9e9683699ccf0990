//! Clusters with keys: rotation under traffic, hosts that were away, and recorded datagrams that are sent
//! again.

use crate::{add, converge, each_seed, ms, no_false_failures, register, secs, stays_converged};
use shoal::core::Config;
use shoal::model::{KeyMaterial, KeyringCommand, KeyringError, MemberStatus};
use shoal::sim::scenario::cluster;
use shoal::sim::{Conditions, HostId, HostileKind, NodeSpec, World};
use std::time::Duration;

fn key(n: u8) -> KeyMaterial {
    KeyMaterial::from_bytes([n; 32])
}

/// `count` nodes that share the first key and have joined one another.
fn sealed(name: &str, seed: u64, count: usize, conditions: Conditions) -> (World, Vec<HostId>) {
    let mut world = World::new(name, seed, conditions);
    let specs = cluster(count, &Config::default());
    let specs = specs.into_iter().map(|spec| NodeSpec { keys: vec![key(1)], ..spec }).collect();
    let hosts = add(&mut world, specs, 2);
    for host in &hosts {
        world.start(*host);
        world.run_for(ms(137));
    }
    converge(&mut world, secs(30));
    (world, hosts)
}

fn dropped(world: &World, hosts: &[HostId], why: &str) -> u64 {
    let counts = hosts.iter().filter_map(|h| world.agent(*h)).map(|a| a.stats().dropped);
    counts.map(|dropped| dropped.get(why).copied().unwrap_or(0)).sum()
}

/// Tries until the agents know enough of each other to allow it, as an operator would.
fn change(world: &mut World, host: HostId, command: &KeyringCommand, within: Duration) -> Duration {
    let began = world.now();
    loop {
        match world.change_keyring(host, command).expect("an agent runs there") {
            Ok(()) => return world.now().since(began),
            Err(error @ (KeyringError::Missing { .. } | KeyringError::InUse { .. })) => {
                let took = world.now().since(began);
                assert!(took < within, "{error} after {took:?}\nreplay: {}", world.replay());
            }
            Err(error) => panic!("{error}\nreplay: {}", world.replay()),
        }
        world.run_for(ms(10));
    }
}

fn rotate(world: &mut World, host: HostId, from: &KeyMaterial, to: &KeyMaterial) {
    change(world, host, &KeyringCommand::Install(to.clone()), secs(1));
    let spread = change(world, host, &KeyringCommand::Use { id: to.id(), force: false }, secs(20));
    let used = change(world, host, &KeyringCommand::Remove { id: from.id(), force: false }, secs(20));
    println!("everywhere after {spread:?}, used by all after another {used:?}");
}

#[test]
fn a_rotation_under_traffic_costs_no_datagram() {
    for (loss, count) in [(0.0, 5), (0.0, 40), (0.05, 5)] {
        each_seed(3, |seed| {
            let name = "sealed::a_rotation_under_traffic";
            let (mut world, hosts) = sealed(name, seed, count, Conditions::with_loss(loss));
            for round in 1..4 {
                let busy = hosts[usize::from(round) % hosts.len()];
                world.command(busy, &register(&format!("new-{round}"))).expect("accepted");
                rotate(&mut world, hosts[0], &key(round), &key(round + 1));
            }
            converge(&mut world, secs(20));
            stays_converged(&mut world, secs(5));
            for host in &hosts {
                let ring = world.keyring(*host).expect("has keys");
                assert_eq!(ring.ids(), [key(4).id()], "replay: {}", world.replay());
            }
            for why in ["unknown_key", "forged", "unsealed"] {
                assert_eq!(dropped(&world, &hosts, why), 0, "{why}\nreplay: {}", world.replay());
            }
            no_false_failures(&world);
        });
    }
}

#[test]
fn what_would_cut_members_off_is_refused() {
    let name = "sealed::what_would_cut_members_off";
    let (mut world, hosts) = sealed(name, 1, 3, Conditions::default());
    let ask = |world: &mut World, command| world.change_keyring(hosts[0], &command).expect("runs");
    let install = KeyringCommand::Install(key(2));
    assert_eq!(ask(&mut world, install), Ok(()));
    let id = key(2).id();
    // Nobody had the time to say that it has the key.
    let early = ask(&mut world, KeyringCommand::Use { id, force: false });
    assert!(matches!(early, Err(KeyringError::Missing { count: 2, .. })), "{early:?}");
    let primary = key(1).id();
    let remove = KeyringCommand::Remove { id: primary, force: true };
    assert_eq!(ask(&mut world, remove), Err(KeyringError::IsPrimary(primary)));
    world.run_for(secs(2));
    assert_eq!(ask(&mut world, KeyringCommand::Use { id, force: false }), Ok(()));
    let early = ask(&mut world, KeyringCommand::Remove { id: primary, force: false });
    assert!(matches!(early, Err(KeyringError::InUse { count: 2, .. })), "{early:?}");
}

#[test]
fn a_restart_keeps_keys_and_who_was_away_comes_back_while_a_key_is_common() {
    each_seed(3, |seed| {
        let name = "sealed::a_restart_keeps_keys";
        let (mut world, hosts) = sealed(name, seed, 5, Conditions::default());
        world.crash(hosts[4]);
        world.run_for(secs(30));
        change(&mut world, hosts[0], &KeyringCommand::Install(key(2)), secs(1));
        change(&mut world, hosts[0], &KeyringCommand::Use { id: key(2).id(), force: false }, secs(20));
        // The key file of this host still holds the old key alone; the disk knows better.
        world.crash(hosts[1]);
        world.run_for(secs(20));
        world.start(hosts[1]);
        converge(&mut world, secs(20));
        assert_eq!(world.keyring(hosts[1]).expect("has keys").primary(), &key(2));
        // This one knows the old key only, which is still accepted.
        world.start(hosts[4]);
        converge(&mut world, secs(30));
        assert_eq!(world.keyring(hosts[4]), world.keyring(hosts[0]), "replay: {}", world.replay());
        stays_converged(&mut world, secs(5));
    });
}

#[test]
fn who_has_no_key_in_common_stays_out_and_gets_in_by_the_present_one() {
    each_seed(3, |seed| {
        let name = "sealed::who_has_no_key_in_common";
        let (mut world, hosts) = sealed(name, seed, 4, Conditions::default());
        world.crash(hosts[3]);
        world.run_for(secs(30));
        rotate(&mut world, hosts[0], &key(1), &key(2));
        world.start(hosts[3]);
        world.run_for(secs(40));
        assert_eq!(world.status(hosts[0], hosts[3]), Some(MemberStatus::Failed));
        let met = world.agent(hosts[3]).and_then(|a| a.missing_key()).expect("it hears what it cannot open");
        assert_eq!((met.id, met.removed), (key(2).id(), false));
        let met =
            world.agent(hosts[0]).and_then(|a| a.missing_key()).expect("it is heard, if not understood");
        assert_eq!((met.id, met.removed), (key(1).id(), true));
        change(&mut world, hosts[3], &KeyringCommand::Install(key(2)), secs(1));
        converge(&mut world, secs(60));
        assert_eq!(world.keyring(hosts[3]).expect("has keys").ids(), [key(2).id()]);
        assert_eq!(world.status(hosts[0], hosts[3]), Some(MemberStatus::Alive));
    });
}

#[test]
fn recorded_datagrams_that_are_sent_again_do_nothing() {
    each_seed(5, |seed| {
        let name = "sealed::recorded_datagrams";
        let (mut world, hosts) = sealed(name, seed, 5, Conditions::default());
        // Everything worth recording: a crash, a failure, a return in a later life, a leave.
        for target in &hosts[..3] {
            world.hostile(*target, HostileKind::Replayed, ms(2), secs(100));
            world.hostile(*target, HostileKind::Mutated, ms(5), secs(100));
        }
        world.run_for(secs(5));
        world.crash(hosts[3]);
        world.run_for(secs(20));
        assert_eq!(world.status(hosts[0], hosts[3]), Some(MemberStatus::Failed));
        world.start(hosts[3]);
        converge(&mut world, secs(20));
        world.leave(hosts[4]);
        world.run_for(secs(20));
        assert_eq!(world.status(hosts[0], hosts[4]), Some(MemberStatus::Left));
        world.start(hosts[4]);
        converge(&mut world, secs(20));
        stays_converged(&mut world, secs(20));
        no_false_failures(&world);
        let replayed = dropped(&world, &hosts, "replayed");
        let forged = dropped(&world, &hosts, "forged");
        assert!(replayed > 100 && forged > 100, "{replayed} copies, {forged} forgeries");
        for host in &hosts {
            assert_eq!(world.agent(*host).map(|a| a.members().count()), Some(5));
        }
    });
}

#[test]
fn a_cluster_of_another_key_or_in_plain_is_never_merged() {
    each_seed(2, |seed| {
        let name = "sealed::a_cluster_of_another_key";
        let (mut world, hosts) = sealed(name, seed, 3, Conditions::default());
        let target = world.addr(hosts[0]);
        let stranger = |name: &str, keys: Vec<KeyMaterial>| NodeSpec {
            join: vec![shoal::sim::Contact::Addr(target)],
            keys,
            ..NodeSpec::named(name)
        };
        let other_key = world.add_host(stranger("other", vec![key(9)]));
        let plain = world.add_host(stranger("plain", Vec::new()));
        world.start(other_key);
        world.start(plain);
        world.run_for(secs(20));
        assert_eq!(world.agent(hosts[0]).map(|a| a.members().count()), Some(3));
        assert!(dropped(&world, &hosts, "unknown_key") > 0 && dropped(&world, &hosts, "unsealed") > 0);
        assert_eq!(world.agent(other_key).map(|a| a.live_count()), Some(1));
        assert_eq!(world.agent(plain).map(|a| a.live_count()), Some(1));
    });
}

#[test]
fn the_same_seed_gives_the_same_sealed_run() {
    let run = || {
        let name = "sealed::the_same_seed";
        let (mut world, hosts) = sealed(name, 11, 4, Conditions::with_loss(0.02));
        rotate(&mut world, hosts[0], &key(1), &key(2));
        world.run_for(secs(5));
        world.trace_hash()
    };
    assert_eq!(run(), run());
}
