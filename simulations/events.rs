//! Events that users fire: everybody hears them, once, and a storm of them stays bounded.

use crate::{converge, each_seed, ms, secs, sent, settled};
use shoal::model::{UserEventContent, UserEventError};
use shoal::sim::{Conditions, HostId, World};
use std::collections::BTreeSet;

fn content(payload: usize) -> UserEventContent {
    UserEventContent {
        name: "deploy".to_owned(),
        payload: vec![7; payload],
        node_filter: String::new(),
        service_filter: String::new(),
        tag_filter: String::new(),
    }
}

fn heard(world: &World, hosts: &[HostId]) -> usize {
    hosts.iter().map(|h| world.events_heard(*h).len()).sum()
}

#[test]
fn an_event_reaches_a_hundred_nodes_and_each_hears_it_once() {
    each_seed(3, |seed| {
        let name = "events::an_event_reaches_a_hundred_nodes";
        let (mut world, hosts) = settled(name, seed, 100, 1, Conditions::with_loss(0.02));
        for from in [0, 41, 99] {
            let before: Vec<usize> = hosts.iter().map(|h| world.events_heard(*h).len()).collect();
            let id = world.fire_event(hosts[from], &content(400)).expect("it is small enough");
            let start = world.now();
            while heard(&world, &hosts) < before.iter().sum::<usize>() + hosts.len() {
                assert!(
                    world.now().since(start) < secs(3),
                    "not everybody heard it\nreplay: {}",
                    world.replay()
                );
                world.run_for(ms(1));
            }
            println!("all heard it after {:?}", world.now().since(start));
            // Copies are under way for a while longer, and none of them is news.
            world.run_for(secs(90));
            for (host, before) in hosts.iter().zip(before) {
                assert_eq!(world.events_heard(*host)[before..], [id], "replay: {}", world.replay());
            }
        }
    });
}

#[test]
fn a_storm_of_events_is_bounded_and_leaves_the_catalog_alone() {
    each_seed(1, |seed| {
        let name = "events::a_storm_of_events_is_bounded";
        let (mut world, hosts) = settled(name, seed, 20, 2, Conditions::default());
        let (mut fired, mut refused) = (0_usize, 0_usize);
        let before = sent(&world);
        let mut waiting_max = 0;
        // Thirty events of a few hundred bytes from every node, ten times a second, for ten seconds.
        for _ in 0..100 {
            for host in &hosts {
                for _ in 0..30 {
                    match world.fire_event(*host, &content(300)) {
                        Ok(_) => fired += 1,
                        Err(UserEventError::TooMany { .. }) => refused += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            world.run_for(ms(100));
            let waiting = hosts.iter().filter_map(|h| world.stats(*h)).map(|s| s.rumours_waiting).max();
            waiting_max = waiting_max.max(waiting.unwrap_or(0));
        }
        println!(
            "{fired} fired, {refused} refused, {} datagrams, {waiting_max} waited",
            sent(&world) - before
        );
        assert!(refused > 0, "nobody can fire without end");
        assert!(waiting_max <= 256 + 100, "the queue is bounded: {waiting_max}");
        converge(&mut world, secs(10));
        let shed: u64 = hosts.iter().filter_map(|h| world.stats(*h)).map(|s| s.rumours_shed).sum();
        assert!(shed > 0, "what did not fit was shed, and counted");
        for host in &hosts {
            let told = world.events_heard(*host);
            assert!(told.len() <= 4_096, "{} in less than a minute", told.len());
            let once: BTreeSet<_> = told.iter().collect();
            assert_eq!(once.len(), told.len(), "each of them once");
        }
        // When it is over, events get through again.
        world.run_for(secs(70));
        let before = heard(&world, &hosts);
        world.fire_event(hosts[3], &content(5)).expect("the storm is over");
        world.run_for(secs(3));
        assert_eq!(heard(&world, &hosts), before + hosts.len(), "replay: {}", world.replay());
    });
}
