//! A handful of agents on a perfect network: the protocol's ordinary day.

mod aliases;
mod bounds;
mod exam;
mod vectors;

use super::*;
use crate::model::*;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const LATENCY: Duration = Duration::from_micros(500);

/// Agents and the datagrams between them, in virtual time.
struct Net {
    now: Instant,
    agents: BTreeMap<SocketAddr, Agent>,
    flying: Vec<(Instant, SocketAddr, Outgoing)>,
    events: Vec<(SocketAddr, Event)>,
    /// Whether a datagram from one address to another, of so many bytes, gets lost.
    lost: Box<dyn Fn(SocketAddr, SocketAddr, usize) -> bool>,
}

fn addr(n: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], n))
}

fn identity(n: u16, generation: u64) -> Identity {
    Identity {
        cluster: "test".to_owned(),
        name: NodeName::new(format!("n{n}")).expect("valid"),
        id: NodeId::from_random(u128::from(n)),
        addr: addr(n),
        generation: Generation(generation),
        tags: BTreeMap::new(),
    }
}

fn key(n: u16) -> NodeKey {
    identity(n, 1).name.key()
}

fn service(id: &str) -> LocalCommand {
    LocalCommand::RegisterService {
        definition: Box::new(ServiceDefinition {
            service: ServiceRecord {
                id: InstanceId::new(id).expect("valid"),
                name: ServiceName::new("web").expect("valid"),
                tags: vec!["a".to_owned()],
                address: String::new(),
                tagged_addresses: BTreeMap::new(),
                port: 80,
                socket_path: String::new(),
                meta: BTreeMap::new(),
                weights: Weights::default(),
                enable_tag_override: false,
                extensions: Extensions::new(),
            },
            checks: Vec::new(),
        }),
        replace_existing_checks: false,
    }
}

impl Net {
    fn of(n: u16) -> Self {
        let mut net = Self {
            now: Instant::START,
            agents: BTreeMap::new(),
            flying: Vec::new(),
            events: Vec::new(),
            lost: Box::new(|_, _, _| false),
        };
        for i in 1..=n {
            net.start(i, 1_000);
        }
        for i in 2..=n {
            net.with(i, |a, now| a.join(&[addr(1)], now));
        }
        net
    }

    fn start(&mut self, n: u16, generation: u64) {
        let agent = Agent::new(
            identity(n, generation),
            Config::default(),
            LocalState::default(),
            Vec::new(),
            u64::from(n),
            self.now,
        );
        self.agents.insert(addr(n), agent);
        self.drain(addr(n));
    }

    fn with<R>(&mut self, n: u16, f: impl FnOnce(&mut Agent, Instant) -> R) -> R {
        let now = self.now;
        let result = f(self.agents.get_mut(&addr(n)).expect("started"), now);
        self.drain(addr(n));
        result
    }

    fn agent(&self, n: u16) -> &Agent {
        &self.agents[&addr(n)]
    }

    fn drain(&mut self, at: SocketAddr) {
        let Some(agent) = self.agents.get_mut(&at) else { return };
        while let Some(out) = agent.poll_datagram() {
            assert!(out.bytes.len() <= agent.config().max_datagram_bytes);
            self.flying.push((self.now + LATENCY, at, out));
        }
        while let Some(event) = agent.poll_event() {
            self.events.push((at, event));
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let timer = self.agents.iter().filter_map(|(a, g)| g.poll_timeout().map(|(t, _)| (t, *a))).min();
            let flight = (0..self.flying.len()).min_by_key(|i| (self.flying[*i].0, *i));
            let flight_at = flight.map(|i| self.flying[i].0);
            let next = [timer.map(|t| t.0), flight_at].into_iter().flatten().min();
            let Some(next) = next.filter(|t| *t <= end) else { break };
            self.now = self.now.max(next);
            let now = self.now;
            match flight {
                Some(i) if flight_at == Some(next) => {
                    let (_, from, out) = self.flying.remove(i);
                    let lost = (self.lost)(from, out.to, out.bytes.len());
                    if let Some(agent) = self.agents.get_mut(&out.to).filter(|_| !lost) {
                        agent.handle_datagram(from, &out.bytes, now);
                    }
                    self.drain(out.to);
                }
                _ => {
                    let (_, at) = timer.expect("one of the two is next");
                    self.agents.get_mut(&at).expect("it has a timer").handle_timeout(now);
                    self.drain(at);
                }
            }
        }
        self.now = end;
    }

    /// Milliseconds until `done`, at most `limit`.
    fn until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> u128 {
        let start = self.now;
        while !done(self) {
            assert!(self.now.since(start) < limit, "not within {limit:?}");
            self.run(Duration::from_millis(1));
        }
        self.now.since(start).as_millis()
    }

    fn all(&self, test: impl Fn(&Agent) -> bool) -> bool {
        self.agents.values().all(test)
    }

    fn see_each_other(&self) -> bool {
        let n = self.agents.len();
        self.all(|a| a.members().filter(|m| m.status == MemberStatus::Alive).count() == n)
            && self.all(|a| {
                self.agents.values().all(|b| a.entry(b.identity().name.key(), &EntryKey::Node).is_some())
            })
    }

    fn has_service(a: &Agent, owner: u16, id: &str) -> bool {
        a.entry(key(owner), &EntryKey::Service(InstanceId::new(id).expect("valid"))).is_some()
    }
}

#[test]
fn agents_join_and_know_each_other() {
    let mut net = Net::of(5);
    let ms = net.until(Duration::from_secs(5), Net::see_each_other);
    assert!(ms < 1_000, "took {ms} ms");
    net.run(Duration::from_secs(30));
    assert!(net.see_each_other());
    let roots: Vec<u64> = net.agents.values().map(Agent::root_digest).collect();
    assert!(roots.iter().all(|r| *r == roots[0]), "{roots:x?}");
    assert!(net.agents.values().all(|a| a.stats().rejoins == 0));
    assert!(net.events.iter().filter(|(_, e)| matches!(e, Event::Joined { .. })).count() == 4);
}

#[test]
fn a_registration_is_everywhere_in_milliseconds() {
    let mut net = Net::of(5);
    net.run(Duration::from_secs(3));
    net.with(2, |a, now| a.apply(&service("web-1"), now)).expect("accepted");
    let ms = net.until(Duration::from_secs(1), |net| net.all(|a| Net::has_service(a, 2, "web-1")));
    assert!(ms <= 20, "took {ms} ms");
    let id = InstanceId::new("web-1").expect("valid");
    net.with(2, |a, now| a.apply(&LocalCommand::DeregisterService(id), now)).expect("known");
    net.until(Duration::from_secs(1), |net| net.all(|a| !Net::has_service(a, 2, "web-1")));
    net.run(Duration::from_secs(5));
    let rounds: u64 = net.agents.values().map(|a| a.stats().sync_rounds).sum();
    net.run(Duration::from_secs(30));
    assert_eq!(
        rounds,
        net.agents.values().map(|a| a.stats().sync_rounds).sum::<u64>(),
        "a converged cluster repairs nothing"
    );
}

#[test]
fn a_crash_is_noticed_and_a_restart_takes_its_records_back() {
    let mut net = Net::of(5);
    net.run(Duration::from_secs(3));
    net.with(3, |a, now| a.apply(&service("web-3"), now)).expect("accepted");
    net.run(Duration::from_secs(1));
    let local = net.agent(3).local().clone();
    net.agents.remove(&addr(3));
    let status = |a: &Agent| a.member(key(3)).map(|m| m.status);
    let ms = net.until(Duration::from_secs(20), |net| net.all(|a| status(a) == Some(MemberStatus::Failed)));
    assert!(ms > 1_000, "took {ms} ms");
    assert!(net.all(|a| Net::has_service(a, 3, "web-3")), "kept, as critical, until reaped");
    let back = Agent::new(identity(3, 2_000), Config::default(), local, vec![addr(1), addr(2)], 33, net.now);
    net.agents.insert(addr(3), back);
    let ms = net.until(Duration::from_secs(5), |net| {
        net.see_each_other()
            && net.all(|a| a.entry(key(3), &EntryKey::Node).is_some_and(|(g, ..)| g == Generation(2_000)))
            && net.all(|a| Net::has_service(a, 3, "web-3"))
    });
    assert!(ms < 1_000, "took {ms} ms");
}

#[test]
fn leaving_is_known_everywhere_at_once_and_is_not_failing() {
    let mut net = Net::of(5);
    net.run(Duration::from_secs(3));
    net.with(4, |a, now| a.apply(&service("web-4"), now)).expect("accepted");
    net.run(Duration::from_secs(1));
    net.with(4, |a, now| a.leave(now));
    let ms = net.until(Duration::from_secs(5), |net| {
        net.all(|a| a.member(key(4)).is_some_and(|m| m.status == MemberStatus::Left))
    });
    assert!(ms < 100, "took {ms} ms");
    assert!(
        net.events.iter().any(|(a, e)| *a == addr(4) && matches!(e, Event::Left { acknowledged_by: 3 })),
        "{:?}",
        net.events
    );
    assert!(net.all(|a| !Net::has_service(a, 4, "web-4")));
    net.agents.remove(&addr(4));
    net.run(Duration::from_secs(60));
    assert!(net.all(|a| a.member(key(4)).is_some_and(|m| m.status == MemberStatus::Left)));
}

#[test]
fn a_second_node_of_the_same_name_is_refused() {
    let mut net = Net::of(3);
    net.run(Duration::from_secs(3));
    let mut twin = identity(2, 5_000);
    twin.addr = addr(9);
    let agent = Agent::new(twin, Config::default(), LocalState::default(), vec![addr(1)], 9, net.now);
    net.agents.insert(addr(9), agent);
    net.drain(addr(9));
    net.run(Duration::from_secs(3));
    let taken: Vec<_> = net.events.iter().filter(|(_, e)| matches!(e, Event::NameTaken { .. })).collect();
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert_eq!(taken[0].0, addr(9));
    assert!(matches!(&taken[0].1, Event::NameTaken { holder, .. } if *holder == addr(2)));
}

#[test]
fn a_ttl_check_expires_and_a_heartbeat_brings_it_back() {
    let mut net = Net::of(3);
    net.run(Duration::from_secs(3));
    let check_id = CheckId::new("service:web-1").expect("valid");
    let LocalCommand::RegisterService { mut definition, .. } = service("web-1") else { unreachable!() };
    definition.checks.push(CheckDefinition {
        id: check_id.clone(),
        name: "alive".to_owned(),
        notes: String::new(),
        service_id: Some(definition.service.id.clone()),
        kind: CheckKind::Ttl { ttl: Duration::from_secs(2) },
        initial_status: Some(CheckStatus::Passing),
        interval: String::new(),
        timeout: String::new(),
        deregister_critical_after: None,
    });
    net.with(1, |a, now| {
        a.apply(&LocalCommand::RegisterService { definition, replace_existing_checks: false }, now)
    })
    .expect("accepted");
    let status =
        |a: &Agent| match a.entry(key(1), &EntryKey::Check(CheckId::new("service:web-1").expect("valid"))) {
            Some((_, _, Entry::Check(c))) => Some(c.status),
            _ => None,
        };
    net.run(Duration::from_millis(1_900));
    assert!(net.all(|a| status(a) == Some(CheckStatus::Passing)));
    net.run(Duration::from_millis(300));
    assert!(net.all(|a| status(a) == Some(CheckStatus::Critical)));
    let beat =
        LocalCommand::UpdateCheck { id: check_id, status: CheckStatus::Passing, output: "fine".to_owned() };
    net.with(1, |a, now| a.apply(&beat, now)).expect("known");
    net.run(Duration::from_millis(50));
    assert!(net.all(|a| status(a) == Some(CheckStatus::Passing)));
    let rumours = net.agent(1).stats().rumours_queued;
    net.with(1, |a, now| a.apply(&beat, now)).expect("known");
    assert_eq!(
        net.agent(1).stats().rumours_queued,
        rumours,
        "a heartbeat that changes nothing is not spread"
    );
}

#[test]
fn the_first_reason_for_not_being_well_is_told_and_later_ones_are_not() {
    let mut net = Net::of(3);
    net.run(Duration::from_secs(3));
    let id = CheckId::new("disk").expect("valid");
    let check = CheckDefinition {
        id: id.clone(),
        name: "disk".to_owned(),
        notes: String::new(),
        service_id: None,
        kind: CheckKind::Ttl { ttl: Duration::from_secs(60) },
        initial_status: None,
        interval: String::new(),
        timeout: String::new(),
        deregister_critical_after: None,
    };
    net.with(1, |a, now| a.apply(&LocalCommand::RegisterCheck(Box::new(check)), now)).expect("accepted");
    let mut told = |status, output: &str| {
        let command = LocalCommand::UpdateCheck { id: id.clone(), status, output: output.to_owned() };
        net.with(1, |a, now| a.apply(&command, now)).expect("known");
        net.run(Duration::from_millis(50));
        let seen = |a: &Agent| match a.entry(key(1), &EntryKey::Check(id.clone())) {
            Some((_, _, Entry::Check(c))) => c.output,
            _ => String::new(),
        };
        let said = seen(net.agent(2));
        assert!(net.all(|a| seen(a) == said));
        said
    };
    assert_eq!(told(CheckStatus::Critical, "connection refused"), "connection refused");
    assert_eq!(told(CheckStatus::Critical, "no route to host"), "connection refused");
    assert_eq!(told(CheckStatus::Passing, ""), "");
    assert_eq!(told(CheckStatus::Passing, "all is well"), "", "a heartbeat is not spread");
    assert_eq!(told(CheckStatus::Warning, "91% full"), "91% full");
}

#[test]
fn a_record_of_16_kib_reaches_everyone() {
    let mut net = Net::of(4);
    net.run(Duration::from_secs(3));
    let LocalCommand::RegisterService { mut definition, .. } = service("big") else { unreachable!() };
    definition.service.meta.insert("x".to_owned(), "y".repeat(16_000));
    let command =
        LocalCommand::RegisterService { definition: definition.clone(), replace_existing_checks: false };
    net.with(1, |a, now| a.apply(&command, now)).expect("accepted");
    let ms = net.until(Duration::from_secs(5), |net| net.all(|a| Net::has_service(a, 1, "big")));
    assert!(ms < 500, "took {ms} ms");
    definition.service.meta.insert("x".to_owned(), "y".repeat(20_000));
    let command = LocalCommand::RegisterService { definition, replace_existing_checks: false };
    let e = net.with(1, |a, now| a.apply(&command, now)).expect_err("too large");
    assert!(e.to_string().contains("max_record_bytes"), "{e}");
}
