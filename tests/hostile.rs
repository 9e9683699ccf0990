//! A million datagrams from a stranger: mutated from real ones, thrown at one agent.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use shoal::core::{Agent, Config, Identity, Outgoing, Settings};
use shoal::model::{Generation, Instant, LocalState, NodeId, NodeName};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const DATAGRAMS: u32 = 1_000_000;
/// The agent's memory must be at rest after this many.
const SETTLED_AFTER: u32 = 400_000;

fn addr(n: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], n))
}

fn agent(n: u16) -> Agent {
    let identity = Identity {
        cluster: "shoal".to_owned(),
        name: NodeName::new(format!("n{n}")).expect("valid"),
        id: NodeId::from_random(u128::from(n)),
        addr: addr(n),
        generation: Generation(1_000),
        tags: BTreeMap::new(),
    };
    // Small limits, so that they are reached.
    let settings =
        Settings { max_members: 300, max_entries_per_node: 100, max_rumours: 500, ..Settings::lan() };
    let config = Config::new(settings).expect("valid");
    Agent::new(identity, config, LocalState::default(), Vec::new(), u64::from(n), Instant::START)
}

/// What three agents say to each other while they join, live, and one leaves.
fn recorded() -> Vec<Vec<u8>> {
    let mut agents: Vec<Agent> = (1..=3).map(agent).collect();
    let mut now = Instant::START;
    agents[1].join(&[addr(1)], now);
    agents[2].join(&[addr(1)], now);
    let mut said = Vec::new();
    for step in 0..4_000 {
        now += Duration::from_millis(2);
        if step == 3_000 {
            agents[2].leave(now);
        }
        let mut flying: Vec<(SocketAddr, Outgoing)> = Vec::new();
        for (n, a) in (1..).zip(&mut agents) {
            if a.poll_timeout().is_some_and(|(at, _)| at <= now) {
                a.handle_timeout(now);
            }
            while let Some(out) = a.poll_datagram() {
                flying.push((addr(n), out));
            }
            while a.poll_event().is_some() {}
        }
        for (from, out) in flying {
            said.push(out.bytes.clone());
            if let Some(a) = agents.get_mut(usize::from(out.to.port()) - 1) {
                a.handle_datagram(from, &out.bytes, now);
            }
        }
    }
    assert!(said.len() > 100, "{}", said.len());
    said
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).expect("has a resident size");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

#[test]
fn a_million_mutated_datagrams_neither_panic_nor_grow_the_agent() {
    let real = recorded();
    let mut random = SmallRng::seed_from_u64(7);
    let mut victim = agent(9);
    let mut now = Instant::START;
    let mut settled = 0;
    for n in 0..DATAGRAMS {
        let mut bytes = real[random.random_range(0..real.len())].clone();
        match random.random_range(0..10) {
            0 => bytes.truncate(random.random_range(0..=bytes.len())),
            1 => bytes = (0..random.random_range(0..1_500)).map(|_| random.random()).collect(),
            2 => bytes.extend((0..random.random_range(0..200)).map(|_| random.random::<u8>())),
            _ => {
                for _ in 0..random.random_range(1..6) {
                    let at = random.random_range(0..bytes.len());
                    bytes[at] = random.random();
                }
            }
        }
        victim.handle_datagram(addr(random.random_range(1..u16::MAX)), &bytes, now);
        if n % 8 == 0 {
            now += Duration::from_micros(500);
            if victim.poll_timeout().is_some_and(|(at, _)| at <= now) {
                victim.handle_timeout(now);
            }
        }
        while victim.poll_datagram().is_some() {}
        while victim.poll_event().is_some() {}
        if n == SETTLED_AFTER {
            settled = resident_kib();
        }
    }
    let stats = victim.stats();
    let dropped: u64 = stats.dropped.values().sum();
    assert_eq!(stats.datagrams_received, u64::from(DATAGRAMS));
    assert!(dropped > u64::from(DATAGRAMS) / 20, "{:?}", stats.dropped);
    assert!(victim.members().count() <= 301, "{}", victim.members().count());
    assert!(victim.owners().count() <= 300, "{}", victim.owners().count());
    assert_eq!(stats.watchdog, 0);
    let grown = resident_kib().saturating_sub(settled);
    assert!(grown < 8 * 1024, "{grown} KiB more than after {SETTLED_AFTER}: {:?}", stats.dropped);
}
