//! One agent between a peer that is what it says and a stranger who says anything.
//!
//! The bytes choose what happens: registrations, time, what the two agents say to each other and how
//! it arrives, and what the stranger makes of it. A twin of the agent gets the very same inputs.

use super::input::Input;
use super::{CLUSTER, addr, one_agent};
use crate::core::{Agent, Event, Outgoing};
use crate::model::{
    CheckDefinition, CheckId, CheckKind, CheckStatus, Entry, EntryKey, Extensions, Generation, InstanceId,
    Instant, LocalCommand, NodeId, NodeKey, NodeName, ServiceDefinition, ServiceName, ServiceRecord, Version,
    Weights,
};
use crate::wire::frame::{
    Accusation, Answer, Ask, Body, Charge, Digest, Epoch, Head, Item, JoinRequest, Liveness, MemberUpdate,
    NameClaim, Page, Record, Row, RowTable, SwimFrame, SwimMessage, Want,
};
use crate::wire::{ClusterHash, DatagramBuilder, Frame, record};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// What one run may do, so that none takes long.
const STEPS_MAX: usize = 300;
const TIME_MAX: Duration = Duration::from_secs(600);
/// Datagrams that the stranger has heard.
const HEARD_MAX: usize = 64;
/// Timers that may ring at one instant; more is a loop.
const RINGS_MAX: usize = 1_000;

const OURS: (&str, u16) = ("ours", 1);
const PEER: (&str, u16) = ("peer", 2);

/// Plays what the bytes say, and checks after each step what must hold.
pub fn agent(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World::new();
    if input.flip() {
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
    registered: BTreeMap<InstanceId, String>,
    runs: BTreeSet<(CheckId, u64)>,
    /// A stranger's claim has ended it, as the user was told.
    stopped: bool,
}

impl World {
    fn new() -> Self {
        let [ours, twin] = [(); 2].map(|()| one_agent(OURS.0, OURS.1));
        Self {
            now: Instant::START,
            ours,
            twin,
            peer: one_agent(PEER.0, PEER.1),
            to_ours: VecDeque::new(),
            to_peer: VecDeque::new(),
            heard: VecDeque::new(),
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
        match input.byte() % 16 {
            0 => self.register(input),
            1 => self.deregister(input),
            2 => self.heartbeat(input),
            3 => self.maintain(input),
            4 => self.pass(Duration::from_millis([1, 20, 300, 1_500, 10_000][input.below(5)])),
            5 => {
                let from = any_addr(input);
                let mut bytes = header();
                bytes.extend(input.bytes());
                self.hear(from, &bytes);
            }
            6 => {
                let from = any_addr(input);
                let bytes = input.bytes();
                self.hear(from, bytes);
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
                let _ = self.both(|agent, now| agent.force_leave(&name, prune, now));
            }
            12 => self.find(input),
            13 => self.deliver(input.below(8)),
            _ => {
                let from = any_addr(input);
                let mut datagram = DatagramBuilder::new(ClusterHash::of(CLUSTER), 1_400);
                for _ in 0..=input.below(3) {
                    datagram.push(&lie(input));
                }
                self.hear(from, &datagram.finish());
            }
        }
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
        let Some(said) = self.heard.get(at % self.heard.len().max(1)) else { return };
        let mut bytes = said.clone();
        for _ in 0..input.below(4) {
            let at = usize::from(u16::from_le_bytes([input.byte(), input.byte()])) % bytes.len();
            bytes[at] = input.byte();
        }
        self.hear(from, &bytes);
    }

    /// What the two say to each other arrives; of every `lost` datagrams one does not.
    fn deliver(&mut self, lost: usize) {
        for n in 1..=64 {
            let arrives = lost < 2 || n % lost != 0;
            if let Some(bytes) = self.to_ours.pop_front().filter(|_| arrives) {
                self.hear(addr(PEER.1), &bytes);
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
    }

    fn check(&self) {
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
        if self.stopped {
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

fn any_status(input: &mut Input<'_>) -> CheckStatus {
    [CheckStatus::Passing, CheckStatus::Warning, CheckStatus::Critical][input.below(3)]
}

fn any_addr(input: &mut Input<'_>) -> SocketAddr {
    addr(u16::from(input.byte() % 32))
}

fn any_name(input: &mut Input<'_>) -> NodeName {
    let name = match input.byte() % 32 {
        0 => OURS.0.to_owned(),
        1 => PEER.0.to_owned(),
        n => format!("ghost{n}"),
    };
    NodeName::new(name).expect("is a name")
}

fn any_key(input: &mut Input<'_>) -> NodeKey {
    any_name(input).key()
}

/// Around those that are in use, and at the ends.
fn any_number(input: &mut Input<'_>) -> u64 {
    match input.byte() {
        255 => u64::MAX,
        254 => Generation::MAX.0,
        n if n < 32 => u64::from(n),
        n => 960 + u64::from(n),
    }
}

fn any_epoch(input: &mut Input<'_>) -> Epoch {
    let epoch = Epoch::first_of(Generation(any_number(input)));
    if input.flip() { epoch } else { epoch.next() }
}

fn any_head(input: &mut Input<'_>) -> Head {
    Head {
        owner: any_key(input),
        generation: Generation(any_number(input)),
        version: Version(any_number(input)),
        digest: any_number(input),
    }
}

fn any_item(input: &mut Input<'_>) -> Item {
    let id = instance(input.byte() % 64);
    let body = match input.byte() % 4 {
        0 => Body::Deleted,
        1 => Body::Large(any_number(input) as u32),
        2 => Body::Bytes(Bytes::copy_from_slice(input.bytes())),
        _ => Body::Bytes(Bytes::from(record::encode(&Entry::Service(service(&id, "lie"))))),
    };
    let kind = [1, 1, 0, 2, 9][input.below(5)];
    let id = if kind == 0 { String::new() } else { id.to_string() };
    Item { version: Version(any_number(input)), kind, id, body }
}

fn any_update(input: &mut Input<'_>) -> MemberUpdate {
    let states = [Liveness::Alive, Liveness::Suspect, Liveness::Down, Liveness::Left];
    MemberUpdate {
        key: any_key(input),
        epoch: any_epoch(input),
        incarnation: any_number(input) as u16,
        state: states[input.below(4)],
        addr: any_addr(input),
    }
}

fn any_page(input: &mut Input<'_>) -> Page {
    Page {
        owner: any_key(input),
        generation: Generation(any_number(input)),
        from: Version(any_number(input)),
        survivors: (0..input.below(3)).map(|_| any_number(input)).collect(),
        items: (0..input.below(4)).map(|_| any_item(input)).collect(),
        next: input.flip().then(|| Version(any_number(input))),
        complete_to: Version(any_number(input)),
    }
}

fn any_table(input: &mut Input<'_>) -> RowTable {
    RowTable {
        generation: Generation(any_number(input)),
        complete_to: Version(any_number(input)),
        newest: Version(any_number(input)),
        digest: any_number(input),
    }
}

/// A frame that is well formed, and about somebody.
fn lie(input: &mut Input<'_>) -> Frame {
    match input.byte() % 14 {
        0 => Frame::Members((0..=input.below(8)).map(|_| any_update(input)).collect()),
        1 => Frame::Heads((0..=input.below(4)).map(|_| any_head(input)).collect()),
        2 => {
            let records =
                (0..=input.below(4)).map(|_| Record { head: any_head(input), item: any_item(input) });
            Frame::Records(records.collect())
        }
        3 => Frame::Root(Digest(any_number(input))),
        4 => Frame::Join(JoinRequest {
            name: any_name(input),
            id: NodeId::from_random(u128::from(any_number(input))),
            epoch: any_epoch(input),
            incarnation: 0,
            addr: any_addr(input),
            name_checked: input.flip(),
        }),
        5 => Frame::DownNotice(any_key(input), any_epoch(input)),
        6 => Frame::NameClaim(NameClaim {
            name: any_name(input),
            epoch: any_epoch(input),
            started: Generation(any_number(input)),
            addr: any_addr(input),
            joined: input.flip(),
        }),
        7 => Frame::Ask(
            u32::from(input.byte()),
            match input.byte() % 4 {
                0 => Ask::Buckets,
                1 => Ask::Rows { bucket: input.byte(), part: Some(input.byte()), after: None },
                2 => Ask::Records(vec![Want {
                    owner: any_key(input),
                    generation: Generation(any_number(input)),
                    have: Version(any_number(input)),
                    cursor: None,
                }]),
                _ => Ask::Parts { bucket: input.byte() },
            },
        ),
        8 => {
            let answer = match input.byte() % 3 {
                0 => Answer::Records((0..=input.below(2)).map(|_| any_page(input)).collect()),
                1 => Answer::Digests(vec![Digest(any_number(input)); input.below(70)]),
                _ => {
                    let rows = (0..=input.below(4)).map(|_| {
                        let (key, table) = (any_key(input), Some(any_table(input)));
                        Row { key, member: None, table }
                    });
                    Answer::Rows { rows: rows.collect(), more: false }
                }
            };
            Frame::Answer(u32::from(input.byte()), answer)
        }
        9 => Frame::Leave(Record { head: any_head(input), item: any_item(input) }),
        10 => Frame::LeaveAck(any_key(input), Generation(any_number(input))),
        11 => {
            let accusations = (0..=input.below(6)).map(|_| {
                let u = any_update(input);
                let accuser = any_key(input);
                let refused = input.flip();
                Accusation { subject: u.key, epoch: u.epoch, incarnation: u.incarnation, accuser, refused }
            });
            Frame::Accusations(Charge::group(&accusations.collect::<Vec<_>>()))
        }
        _ => {
            let (from, from_epoch) = (any_key(input), any_epoch(input));
            let number = input.byte();
            let message = match input.byte() % 4 {
                0 => SwimMessage::Ping(number),
                1 => SwimMessage::Ack(number),
                2 => SwimMessage::Gossip,
                _ => SwimMessage::TurnUndead,
            };
            Frame::Swim(SwimFrame {
                from,
                from_epoch,
                from_incarnation: u16::from(input.byte()),
                to: any_key(input),
                to_epoch: any_epoch(input),
                from_addr: input.flip().then(|| any_addr(input)),
                message,
            })
        }
    }
}
