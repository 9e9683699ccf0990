//! What repair costs: in bytes and in time, against what there is to repair.
//!
//! `SIM_NODES` sets the size; `SIM_NODES=1000 cargo test --release --test simulations repair` is the
//! promise.

use crate::scale::nodes;
use crate::{converge, each_seed, ms, no_false_failures, register, secs};
use shoal::core::Config;
use shoal::model::ServiceDefinition;
use shoal::sim::scenario::{cluster, service_without_check};
use shoal::sim::{Conditions, Contact, HostId, Impairment, Links, NodeSpec, World};
use std::time::Duration;

/// Services of each node.
const SERVICES: usize = 10;

/// With what a service usually says of itself.
fn realistic(n: usize) -> ServiceDefinition {
    let mut definition = service_without_check(&format!("api-{n}-8080"), &format!("api-{n}"));
    definition.service.tags = ["production", "v1.14.2", "zone-a"].map(str::to_owned).to_vec();
    definition.service.address = format!("10.20.30.{n}");
    for (key, value) in [("team", "payments"), ("commit", "9f8e7d6c5b4a"), ("protocol", "grpc")] {
        definition.service.meta.insert(key.to_owned(), value.to_owned());
    }
    definition
}

fn settled(name: &str, seed: u64, count: usize) -> (World, Vec<HostId>) {
    let mut world = World::new(name, seed, Conditions::default());
    let services = || (0..SERVICES).map(realistic).collect();
    let spec = |spec: NodeSpec| NodeSpec { services: services(), ..spec };
    let hosts: Vec<HostId> =
        cluster(count, &Config::default()).into_iter().map(|s| world.add_host(spec(s))).collect();
    world.settle(&hosts);
    world.run_for(secs(3));
    (world, hosts)
}

/// Bytes that the host has sent and received.
fn both_ways(world: &World, host: HostId) -> u64 {
    let traffic = world.traffic(host);
    traffic.bytes_sent + traffic.bytes_received
}

/// Everything that a host shows of all nodes, as encoded: ids, records, and forty bytes for a node.
fn state_bytes(world: &World, host: HostId) -> usize {
    let agent = world.agent(host).expect("it runs");
    let mut bytes = 0;
    for owner in agent.owners() {
        bytes += 40;
        for key in agent.entry_keys(owner) {
            let (_, _, entry) = agent.entry(owner, &key).expect("it is listed");
            bytes += shoal::wire::record::encode(&entry).len() + 8;
        }
    }
    bytes
}

#[test]
fn one_difference_is_found_and_mended_for_a_few_kilobytes() {
    each_seed(1, |seed| {
        let (mut world, hosts) = settled("repair::one_difference", seed, nodes());
        let (deaf, owner) = (hosts[1], hosts[hosts.len() / 2]);
        let window = secs(4);
        let before = both_ways(&world, deaf);
        world.run_for(window);
        let idle = both_ways(&world, deaf) - before;
        let silence = world.impair(&Links::Into(vec![deaf]), Impairment::loss(1.0));
        world.command(owner, &register("missed")).expect("accepted");
        world.run_for(ms(400));
        world.lift(silence);
        let before = both_ways(&world, deaf);
        let took = converge(&mut world, window);
        world.run_for(window.saturating_sub(took));
        let cost = (both_ways(&world, deaf) - before).saturating_sub(idle);
        println!("{} nodes: {cost} bytes more than the {idle} of {window:?} of calm, {took:?}", hosts.len());
        assert!(cost <= 8_000, "replay: {}", world.replay());
        no_false_failures(&world);
    });
}

#[test]
fn a_newcomer_learns_everything_from_several_for_little_more_than_it_is() {
    each_seed(2, |seed| {
        let (mut world, hosts) = settled("repair::a_newcomer_learns_everything", seed, nodes());
        let state = state_bytes(&world, hosts[0]);
        let sent: Vec<u64> = hosts.iter().map(|h| world.traffic(*h).bytes_sent).collect();
        let newcomer = world.add_host(NodeSpec {
            join: vec![Contact::Host(hosts[0]), Contact::Host(hosts[hosts.len() / 2])],
            ..NodeSpec::named("newcomer")
        });
        world.start(newcomer);
        let took = converge(&mut world, secs(2));
        let got = world.traffic(newcomer).bytes_received;
        let most = hosts.iter().zip(sent).map(|(h, before)| world.traffic(*h).bytes_sent - before).max();
        println!(
            "{} nodes: {state} bytes of state, {got} received in {took:?}, at most {most:?} from one",
            hosts.len()
        );
        assert!(got as f64 <= 1.3 * state as f64, "replay: {}", world.replay());
        assert!(most.expect("somebody sent it") < got / 2, "it was shared out\nreplay: {}", world.replay());
    });
}

#[test]
fn helpers_that_die_while_they_help_are_replaced() {
    each_seed(5, |seed| {
        let (mut world, hosts) = settled("repair::helpers_that_die", seed, 150);
        let newcomer =
            world.add_host(NodeSpec { join: vec![Contact::Host(hosts[0])], ..NodeSpec::named("newcomer") });
        world.start(newcomer);
        // Two thirds die in the middle of it, and most likely somebody who helps.
        world.run_for(Duration::from_millis(15 + seed));
        for host in &hosts[1..100] {
            world.crash(*host);
        }
        converge(&mut world, secs(60));
        world.verify();
    });
}
