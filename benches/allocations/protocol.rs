//! Ten agents at rest.

use crate::taken;
use shoal::core::{Agent, Config, Identity, Keyring};
use shoal::model::{Generation, Instant, KeyMaterial, LocalState, NodeId, NodeName};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

const AGENTS: u16 = 10;
const SETTLES: Duration = Duration::from_secs(300);
const WATCHED: Duration = Duration::from_secs(600);

/// What one kind of call took.
#[derive(Default, Clone, Copy)]
struct Count {
    calls: usize,
    allocations: usize,
    bytes: usize,
}

impl Count {
    fn add<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let before = taken();
        let given = call();
        let after = taken();
        self.calls += 1;
        self.allocations += after.0 - before.0;
        self.bytes += after.1 - before.1;
        given
    }

    fn tell(&self, what: &str) {
        let each = |n: usize| n as f64 / self.calls.max(1) as f64;
        println!(
            "{what}: {} calls, {:.3} allocations and {:.1} bytes each",
            self.calls,
            each(self.allocations),
            each(self.bytes)
        );
    }
}

fn addr(n: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 1_000 + n))
}

fn agent(n: u16) -> Agent {
    let identity = Identity {
        cluster: "bench".to_owned(),
        name: NodeName::new(format!("n{n}")).expect("valid"),
        id: NodeId::from_random(u128::from(n)),
        addr: addr(n),
        generation: Generation(1),
        tags: BTreeMap::new(),
    };
    let ring = Keyring::new(&[KeyMaterial::from_bytes([7; 32])]).expect("has a key");
    let seal = (ring, [u8::try_from(n).expect("few agents"); 32]);
    let config = Config::default();
    Agent::sealed(identity, config, LocalState::default(), vec![addr(0)], seal, n.into(), Instant::START)
}

#[derive(Default)]
struct World {
    agents: Vec<Agent>,
    timeouts: Count,
    received: Count,
    polled: Count,
}

impl World {
    /// Runs until `end`: everything that is sent arrives at once.
    fn run(&mut self, end: Instant) {
        let mut underway = VecDeque::with_capacity(1_024);
        loop {
            let due = |a: &Agent| a.poll_timeout().map(|(at, _)| at);
            let next = self.agents.iter().enumerate().filter_map(|(n, a)| Some((due(a)?, n))).min();
            let Some((now, n)) = next.filter(|(at, _)| *at < end) else { return };
            self.timeouts.add(|| self.agents[n].handle_timeout(now));
            self.drain(n, &mut underway);
            while let Some((from, to, bytes)) = underway.pop_front() {
                let bytes: Vec<u8> = bytes;
                self.received.add(|| self.agents[to].handle_datagram(addr(from), &bytes, now));
                // As its shell does with what it sent.
                self.polled.add(|| self.agents[usize::from(from)].recycle(bytes));
                self.drain(to, &mut underway);
            }
        }
    }

    fn drain(&mut self, n: usize, underway: &mut VecDeque<(u16, usize, Vec<u8>)>) {
        while let Some(out) = self.polled.add(|| self.agents[n].poll_datagram()) {
            let to = usize::from(out.to.port() - 1_000);
            underway.push_back((u16::try_from(n).expect("few agents"), to, out.bytes));
        }
        while self.polled.add(|| self.agents[n].poll_event()).is_some() {}
    }
}

/// Tells what was counted; allocations for each probe, in all agents.
pub(crate) fn measure() -> f64 {
    let mut world = World { agents: (0..AGENTS).map(agent).collect(), ..World::default() };
    let rest = Instant::START + SETTLES;
    world.run(rest);
    (world.timeouts, world.received, world.polled) = Default::default();
    let probes = |world: &World| world.agents.iter().map(|a| a.stats().probes_sent).sum::<u64>();
    let before = probes(&world);
    world.run(rest + WATCHED);
    let probes = probes(&world) - before;
    world.timeouts.tell("protocol, a timer");
    world.received.tell("protocol, a datagram taken in");
    world.polled.tell("protocol, asked for something to send or tell");
    let all = world.timeouts.allocations + world.received.allocations + world.polled.allocations;
    let each = all as f64 / probes as f64;
    println!("protocol: {probes} probes, {each:.3} allocations each in all agents");
    each
}
