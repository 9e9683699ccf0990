//! One agent between a peer that is what it says and a stranger who says anything.
//!
//! The bytes choose what happens: registrations, time, what the two agents say to each other and how
//! it arrives, and what the stranger makes of it. A twin of the agent gets the very same inputs. The two
//! seal what they say or do not; then strangers have heard it, and have the key or have it not.

mod lies;
mod past;
mod sealed;

use super::input::Input;
use super::{CLUSTER, addr, one_agent};
use crate::core::{Agent, Event, Outgoing};
use crate::model::{
    CheckDefinition, CheckId, CheckKind, Entry, EntryKey, Extensions, Generation, InstanceId, Instant, KeyId,
    LocalCommand, ServiceDefinition, ServiceName, ServiceRecord, Weights,
};
use crate::wire::seal::NONCE_BYTES;
use crate::wire::{ClusterHash, DatagramBuilder};
use lies::{any_addr, any_name, any_status, lie};
use past::Past;
use sealed::Strangers;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// What one run may do, so that none takes long.
const STEPS_MAX: usize = 300;
const TIME_MAX: Duration = Duration::from_secs(600);
/// Datagrams that the stranger has heard: the last ones, and the first.
const HEARD_MAX: usize = 64;
const RECORDED_MAX: usize = 256;
/// Times that our agent is started again.
const LIVES_MAX: u8 = 8;
/// Timers that may ring at one instant; more is a loop.
const RINGS_MAX: usize = 1_000;

const OURS: (&str, u16) = ("ours", 1);
const PEER: (&str, u16) = ("peer", 2);

/// Plays what the bytes say, and checks after each step what must hold.
pub fn agent(data: &[u8]) {
    let mut input = Input::new(data);
    let first = input.byte();
    let mut world = World::new(match (first / 2) % 3 {
        0 => Strangers::Plain,
        1 => Strangers::Outside,
        _ => Strangers::Inside,
    });
    world.drain();
    if first.is_multiple_of(2) {
        world.join();
    }
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
        world.check();
    }
}

struct World {
    now: Instant,
    ours: Agent,
    /// Gets what `ours` gets, and must become the same.
    twin: Agent,
    peer: Agent,
    to_ours: VecDeque<Vec<u8>>,
    to_peer: VecDeque<Vec<u8>>,
    heard: VecDeque<Vec<u8>>,
    recorded: Vec<Vec<u8>>,
    strangers: Strangers,
    /// Nonces of what this run of our agent has opened.
    opened: BTreeSet<[u8; NONCE_BYTES]>,
    accepted: BTreeSet<KeyId>,
    /// Keys that were accepted, and when that ended.
    retired: BTreeMap<KeyId, Instant>,
    past_of_ours: Past,
    past_of_peer: Past,
    /// Runs of our agent that said goodbye.
    left: BTreeSet<Generation>,
    /// A member was declared to have left by hand.
    forced: bool,
    /// Our agent has said goodbye.
    gone: bool,
    lives_left: u8,
    /// Datagrams that our agent sent, events that it told, and lies that were sealed.
    said: u64,
    told: u64,
    lies: u64,
    registered: BTreeMap<InstanceId, String>,
    runs: BTreeSet<(CheckId, u64)>,
    /// A stranger's claim has ended it, as the user was told.
    stopped: bool,
}

impl World {
    fn new(strangers: Strangers) -> Self {
        let start =
            |who: (&str, u16)| if strangers.seal() { sealed::first(who) } else { one_agent(who.0, who.1) };
        let [ours, twin] = [(); 2].map(|()| start(OURS));
        Self {
            now: Instant::START,
            ours,
            twin,
            peer: start(PEER),
            to_ours: VecDeque::new(),
            to_peer: VecDeque::new(),
            heard: VecDeque::new(),
            recorded: Vec::new(),
            strangers,
            opened: BTreeSet::new(),
            accepted: BTreeSet::new(),
            retired: BTreeMap::new(),
            past_of_ours: Past::default(),
            past_of_peer: Past::default(),
            left: BTreeSet::new(),
            forced: false,
            gone: false,
            lives_left: LIVES_MAX,
            said: 0,
            told: 0,
            lies: 0,
            registered: BTreeMap::new(),
            runs: BTreeSet::new(),
            stopped: false,
        }
    }

    /// The two find each other, before the stranger comes.
    fn join(&mut self) {
        self.both(|agent, now| agent.join(&[addr(PEER.1)], now));
        for _ in 0..8 {
            self.pass(Duration::from_millis(20));
            self.deliver(0);
        }
        assert_eq!((self.ours.live_count(), self.peer.live_count()), (2, 2), "they did not find each other");
    }

    fn both<T: PartialEq + std::fmt::Debug>(&mut self, mut act: impl FnMut(&mut Agent, Instant) -> T) -> T {
        let result = act(&mut self.ours, self.now);
        assert_eq!(result, act(&mut self.twin, self.now), "the twin answers otherwise");
        self.drain();
        result
    }

    fn step(&mut self, input: &mut Input<'_>) {
        // What only agents that seal can do comes beside what all do.
        let kinds = if self.strangers.seal() { 24 } else { 16 };
        match input.byte() % kinds {
            0 => self.register(input),
            1 => self.deregister(input),
            2 => self.heartbeat(input),
            3 => self.maintain(input),
            4 => self.pass(Duration::from_millis([1, 20, 300, 1_500, 10_000][input.below(5)])),
            5 => {
                let from = any_addr(input);
                let mut bytes = header();
                bytes.extend(input.bytes());
                self.hear_anything(from, &bytes);
            }
            6 => {
                let from = any_addr(input);
                let bytes = input.bytes();
                self.hear_anything(from, bytes);
            }
            7 | 8 => self.mutate(input),
            9 => {
                let at = any_addr(input);
                self.both(|agent, now| agent.handle_unreachable(at, now));
            }
            10 => {
                let at = any_addr(input);
                self.both(|agent, now| agent.join(&[at], now));
            }
            11 => {
                let (name, prune) = (any_name(input), input.flip());
                self.forced |= self.both(|agent, now| agent.force_leave(&name, prune, now)).is_ok();
            }
            12 => self.find(input),
            13 => self.deliver(input.below(8)),
            14 | 15 => {
                let from = any_addr(input);
                let mut datagram = DatagramBuilder::new(ClusterHash::of(CLUSTER), 1_400);
                for _ in 0..=input.below(3) {
                    datagram.push(&lie(input));
                }
                self.hear_anything(from, &datagram.finish());
            }
            _ => self.sealed_step(input),
        }
    }

    /// What somebody made without a key.
    fn hear_anything(&mut self, from: SocketAddr, bytes: &[u8]) {
        if self.strangers.seal() { self.outside(from, bytes) } else { self.hear(from, bytes) }
    }

    fn hear(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.both(|agent, now| agent.handle_datagram(from, bytes, now));
    }

    fn register(&mut self, input: &mut Input<'_>) {
        let n = input.byte() % 40;
        let (id, name) = (instance(n), format!("web{}", input.byte() % 4));
        let checks = if input.flip() { Vec::new() } else { vec![ttl_check(&id)] };
        let definition = Box::new(ServiceDefinition { service: service(&id, &name), checks });
        let command = LocalCommand::RegisterService { definition, replace_existing_checks: false };
        if self.both(|agent, now| agent.apply(&command, now)).is_ok() {
            self.registered.insert(id, name);
        }
    }

    fn deregister(&mut self, input: &mut Input<'_>) {
        let id = instance(input.byte() % 40);
        let command = LocalCommand::DeregisterService(id.clone());
        if self.both(|agent, now| agent.apply(&command, now)).is_ok() {
            self.registered.remove(&id);
        }
    }

    fn heartbeat(&mut self, input: &mut Input<'_>) {
        let id = ttl_check(&instance(input.byte() % 40)).id;
        let command = LocalCommand::UpdateCheck { id, status: any_status(input), output: String::new() };
        let _ = self.both(|agent, now| agent.apply(&command, now));
    }

    fn maintain(&mut self, input: &mut Input<'_>) {
        let (id, enable) = (instance(input.byte() % 40), input.flip());
        let command = match input.byte() % 2 {
            0 => LocalCommand::ServiceMaintenance { id, enable, reason: String::new() },
            _ => LocalCommand::NodeMaintenance { enable, reason: String::new() },
        };
        let _ = self.both(|agent, now| agent.apply(&command, now));
    }

    fn find(&mut self, input: &mut Input<'_>) {
        let run = self.runs.pop_first();
        let (id, number) = run.unwrap_or_else(|| (ttl_check(&instance(0)).id, u64::from(input.byte())));
        let status = any_status(input);
        self.both(|agent, now| agent.handle_finding(&id, number, status, "", now));
    }

    /// Something that was said before, changed here and there.
    fn mutate(&mut self, input: &mut Input<'_>) {
        let from = any_addr(input);
        let at = usize::from(input.byte());
        let Some(said) = self.heard.get(at % self.heard.len().max(1)).cloned() else { return };
        let mut bytes = said.clone();
        for _ in 0..input.below(4) {
            let at = usize::from(u16::from_le_bytes([input.byte(), input.byte()])) % bytes.len();
            bytes[at] = input.byte();
        }
        if bytes == said { self.arrive(from, &bytes) } else { self.hear_anything(from, &bytes) }
    }

    /// What the two say to each other arrives; of every `lost` datagrams one does not.
    fn deliver(&mut self, lost: usize) {
        for n in 1..=64 {
            let arrives = lost < 2 || n % lost != 0;
            if let Some(bytes) = self.to_ours.pop_front().filter(|_| arrives) {
                self.arrive(addr(PEER.1), &bytes);
            }
            if let Some(bytes) = self.to_peer.pop_front().filter(|_| arrives) {
                self.peer.handle_datagram(addr(OURS.1), &bytes, self.now);
                self.drain();
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        if end.since(Instant::START) > TIME_MAX {
            return;
        }
        let mut rings = 0;
        while let Some(at) = self.next().filter(|at| *at <= end) {
            rings = if at > self.now { 0 } else { rings + 1 };
            assert!(rings < RINGS_MAX, "the clock stands still: {:?}", self.ours.poll_timeout());
            self.now = self.now.max(at);
            if self.ours.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
                self.both(|agent, now| agent.handle_timeout(now));
            }
            if self.peer.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
                self.peer.handle_timeout(self.now);
                self.drain();
            }
        }
        self.now = end;
    }

    fn next(&self) -> Option<Instant> {
        [&self.ours, &self.peer].into_iter().filter_map(|a| a.poll_timeout()).map(|(at, _)| at).min()
    }

    fn drain(&mut self) {
        let max = self.ours.config().max_datagram_bytes;
        loop {
            let (out, same) = (self.ours.poll_datagram(), self.twin.poll_datagram());
            assert_eq!(out, same, "the twin says something else");
            let Some(Outgoing { to, bytes }) = out else { break };
            assert!(bytes.len() <= max, "a datagram of {} bytes, want at most {max}", bytes.len());
            self.said += 1;
            self.overhear(&bytes);
            if to == addr(PEER.1) && self.to_peer.len() < 256 {
                self.to_peer.push_back(bytes);
            }
        }
        while let Some(Outgoing { to, bytes }) = self.peer.poll_datagram() {
            self.overhear(&bytes);
            if to == addr(OURS.1) && self.to_ours.len() < 256 {
                self.to_ours.push_back(bytes);
            }
        }
        while self.peer.poll_event().is_some() {}
        loop {
            let (event, same) = (self.ours.poll_event(), self.twin.poll_event());
            assert_eq!(event, same, "the twin sees something else");
            // That a key is missing is told of whatever it sealed.
            self.told += u64::from(!matches!(event, None | Some(Event::KeyMissing(_))));
            match event {
                None => break,
                Some(Event::NameTaken { .. }) => self.stopped = true,
                Some(Event::ProbeDue { id, number, .. }) => drop(self.runs.insert((id, number))),
                Some(_) => {}
            }
        }
    }

    fn overhear(&mut self, bytes: &[u8]) {
        if self.heard.len() == HEARD_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back(bytes.to_vec());
        if self.recorded.len() < RECORDED_MAX {
            self.recorded.push(bytes.to_vec());
        }
    }

    fn check(&mut self) {
        if self.strangers.seal() {
            self.check_sealed();
        }
        let (ours, config) = (&self.ours, self.ours.config());
        assert_eq!(ours.root_digest(), self.twin.root_digest(), "the same inputs, another table");
        assert!(ours.members().count() <= config.max_members + 1, "{} members", ours.members().count());
        assert!(ours.owners().count() <= config.max_members + 1, "{} owners", ours.owners().count());
        let rumours_max = config.max_rumours + 2 * config.max_members;
        assert!(ours.rumours_waiting() <= rumours_max, "{} rumours", ours.rumours_waiting());
        assert!(ours.address_book().len() <= 256);
        assert_eq!(ours.stats().watchdog, 0, "membership got stuck");
        for owner in ours.owners() {
            let entries = ours.entry_keys(owner).count();
            // The node's own record and remembered deletions come on top.
            assert!(entries <= config.max_entries_per_node + 128, "{entries} entries of one node");
        }
        let local: BTreeMap<InstanceId, String> =
            ours.local().services.iter().map(|(id, s)| (id.clone(), s.name.to_string())).collect();
        assert_eq!(local, self.registered, "a registration came or went by itself");
        if self.stopped || self.gone {
            return;
        }
        let own = ours.identity().name.key();
        for (id, name) in &self.registered {
            match ours.entry(own, &EntryKey::Service(id.clone())) {
                Some((_, _, Entry::Service(s))) if s.name.as_str() == name => {}
                other => panic!("{id} is registered as {name}, and the table has {other:?}"),
            }
        }
    }
}

fn header() -> Vec<u8> {
    DatagramBuilder::new(ClusterHash::of(CLUSTER), 1_400).finish()
}

fn instance(n: u8) -> InstanceId {
    InstanceId::new(format!("s{n}")).expect("is an id")
}

fn service(id: &InstanceId, name: &str) -> ServiceRecord {
    ServiceRecord {
        id: id.clone(),
        name: ServiceName::new(name).expect("is a name"),
        tags: Vec::new(),
        address: String::new(),
        tagged_addresses: BTreeMap::new(),
        port: 80,
        socket_path: String::new(),
        meta: BTreeMap::new(),
        weights: Weights::default(),
        enable_tag_override: false,
        extensions: Extensions::new(),
    }
}

fn ttl_check(service: &InstanceId) -> CheckDefinition {
    CheckDefinition {
        id: CheckId::new(format!("c{service}")).expect("is an id"),
        name: "ttl".to_owned(),
        notes: String::new(),
        service_id: Some(service.clone()),
        kind: CheckKind::Ttl { ttl: Duration::from_secs(2) },
        initial_status: None,
        interval: String::new(),
        timeout: String::new(),
        deregister_critical_after: None,
    }
}
