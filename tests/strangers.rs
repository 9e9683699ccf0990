//! Addresses that have not shown that they receive: what an agent sends to them for what it was sent in
//! their name, and what recorded datagrams can still do.

use shoal::core::{Agent, Config, Identity, Keyring};
use shoal::model::{Generation, Instant, KeyMaterial, LocalState, MemberStatus, NodeId, NodeKey, NodeName};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

fn addr(n: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], n))
}

fn victim(n: u16) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 1], n))
}

fn identity(n: u16, generation: u64) -> Identity {
    Identity {
        cluster: "shoal".to_owned(),
        name: NodeName::new(format!("n{n}")).expect("valid"),
        id: NodeId::from_random(u128::from(n)),
        addr: addr(n),
        generation: Generation(generation),
        tags: BTreeMap::new(),
    }
}

fn agent(n: u16, generation: u64, sealed: bool) -> Agent {
    let identity = identity(n, generation);
    let (config, local, seed) = (Config::default(), LocalState::default(), generation + u64::from(n));
    if !sealed {
        return Agent::new(identity, config, local, Vec::new(), seed, Instant::START);
    }
    let ring = Keyring::new(&[KeyMaterial::from_bytes([7; 32])]).expect("has a key");
    let nonces = [u8::try_from(n).expect("few agents") ^ u8::try_from(generation % 251).expect("small"); 32];
    Agent::sealed(identity, config, local, Vec::new(), (ring, nonces), seed, Instant::START)
}

fn key(n: u16) -> NodeKey {
    identity(n, 1).name.key()
}

/// Agents on a network that delivers at once and records everything.
struct Net {
    now: Instant,
    agents: BTreeMap<SocketAddr, Agent>,
    recorded: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// What was sent to addresses where nobody is.
    stray: BTreeMap<SocketAddr, u64>,
}

impl Net {
    fn new(count: u16, sealed: bool) -> Self {
        let mut net = Self {
            now: Instant::START,
            agents: BTreeMap::new(),
            recorded: Vec::new(),
            stray: BTreeMap::new(),
        };
        for n in 1..=count {
            let mut agent = agent(n, 1_000, sealed);
            agent.join(&[addr(1)], net.now);
            net.agents.insert(addr(n), agent);
        }
        net
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(2);
            let now = self.now;
            for agent in self.agents.values_mut() {
                if agent.poll_timeout().is_some_and(|(at, _)| at <= now) {
                    agent.handle_timeout(now);
                }
            }
            self.deliver();
        }
    }

    fn deliver(&mut self) {
        loop {
            let mut flying = Vec::new();
            for (from, agent) in &mut self.agents {
                while let Some(out) = agent.poll_datagram() {
                    flying.push((*from, out.to, out.bytes));
                }
                while agent.poll_event().is_some() {}
            }
            if flying.is_empty() {
                return;
            }
            for (from, to, bytes) in flying {
                let now = self.now;
                match self.agents.get_mut(&to) {
                    Some(agent) => agent.handle_datagram(from, &bytes, now),
                    None => *self.stray.entry(to).or_default() += bytes.len() as u64,
                }
                self.recorded.push((from, to, bytes));
            }
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = self.now;
        self.agents.get_mut(&to).expect("is there").handle_datagram(from, bytes, now);
    }

    fn known(&self, by: u16, of: u16) -> Option<(Generation, u16, MemberStatus)> {
        self.agents[&addr(by)].member(key(of)).map(|m| (m.generation, m.incarnation, m.status))
    }
}

/// The worst ratio of bytes that went to an address to bytes that came in its name, when everything that
/// four agents said while they joined and worked is repeated to `target` from addresses of a victim.
fn reflected(sealed: bool, before: Duration) -> (f64, u64) {
    let mut net = Net::new(4, sealed);
    net.run(Duration::from_secs(20));
    let recorded = std::mem::take(&mut net.recorded);
    assert!(recorded.len() > 300, "{}", recorded.len());
    // A fifth agent was not there: to it nothing of this is a copy.
    let mut fresh = agent(5, 1_000, sealed);
    fresh.join(&[addr(1)], net.now);
    net.agents.insert(addr(5), fresh);
    net.run(before);
    net.stray.clear();
    let mut came: BTreeMap<SocketAddr, u64> = BTreeMap::new();
    for (n, (_, _, bytes)) in (0_u16..).zip(recorded.iter().take(20_000)) {
        // Each with an address of its own, and all with one together.
        for from in [victim(n.saturating_add(2)), victim(1)] {
            *came.entry(from).or_default() += bytes.len() as u64;
            net.send(from, addr(5), bytes);
        }
        net.deliver();
    }
    net.run(Duration::from_secs(30));
    let worst = net.stray.iter().filter(|(to, _)| to.ip() == victim(1).ip()).map(|(to, sent)| {
        let came = came.get(to).copied().unwrap_or(0);
        *sent as f64 / came.max(1) as f64
    });
    let ratio = worst.fold(0.0, f64::max);
    let total: u64 = net.stray.iter().filter(|(to, _)| to.ip() == victim(1).ip()).map(|(_, b)| b).sum();
    (ratio, total)
}

#[test]
fn nobody_gets_more_than_three_times_what_came_in_its_name() {
    for sealed in [false, true] {
        for before in [Duration::from_millis(1), Duration::from_secs(10)] {
            let (ratio, total) = reflected(sealed, before);
            println!(
                "sealed: {sealed}, a member for {before:?}: {total} bytes reflected, at most {ratio:.2} times"
            );
            assert!(ratio <= 3.0, "{ratio} times (sealed: {sealed}, after {before:?})");
        }
    }
}

#[test]
fn nothing_that_was_recorded_takes_a_node_back() {
    let mut net = Net::new(4, true);
    net.run(Duration::from_secs(10));
    // Agent 4 fails, and comes back in a later life; agent 3 leaves, and comes back as well.
    net.agents.remove(&addr(4));
    net.run(Duration::from_secs(40));
    assert_eq!(net.known(1, 4).map(|k| k.2), Some(MemberStatus::Failed));
    let now = net.now;
    net.agents.get_mut(&addr(3)).expect("is there").leave(now);
    net.run(Duration::from_secs(6));
    net.agents.remove(&addr(3));
    assert_eq!(net.known(1, 3).map(|k| k.2), Some(MemberStatus::Left));
    for n in [3, 4] {
        let mut back = agent(n, 2_000, true);
        back.join(&[addr(1)], net.now);
        net.agents.insert(addr(n), back);
    }
    net.run(Duration::from_secs(30));
    let recorded = std::mem::take(&mut net.recorded);
    let all = [1, 2, 3, 4];
    let before: Vec<_> = all.iter().flat_map(|by| all.map(|of| net.known(*by, of))).collect();
    assert!(before.iter().all(|k| k.is_some_and(|k| k.2 == MemberStatus::Alive)), "{before:?}");
    // Everything again, to everybody, from where it came and from elsewhere.
    for (n, (from, _, bytes)) in recorded.iter().enumerate() {
        for to in all {
            if addr(to) != *from {
                net.send(if n % 3 == 0 { victim(9) } else { *from }, addr(to), bytes);
            }
        }
        if n % 50 == 0 {
            net.run(Duration::from_millis(10));
        }
        for (at, (by, of)) in all.iter().flat_map(|by| all.map(|of| (*by, of))).enumerate() {
            if n % 50 == 0 {
                let (then, now) = (before[at].expect("alive"), net.known(by, of).expect("is known"));
                assert!(now.0 >= then.0, "{by} knows an earlier life of {of}: {now:?} after {then:?}");
                assert_eq!(now.2, MemberStatus::Alive, "{by} of {of}, after {n} datagrams");
                assert!(now.0 > then.0 || now.1 >= then.1, "{by} of {of}: {now:?} after {then:?}");
            }
        }
    }
    net.run(Duration::from_secs(20));
    for by in all {
        assert_eq!(net.agents[&addr(by)].members().count(), 4);
        assert!(all.iter().all(|of| net.known(by, *of).is_some_and(|k| k.2 == MemberStatus::Alive)));
        let dropped = net.agents[&addr(by)].stats().dropped;
        assert!(dropped.get("replayed").copied().unwrap_or(0) > 100, "{dropped:?}");
    }
}
