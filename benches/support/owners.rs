//! Agents with registrations, and one that gets to know them all: everything goes the way it goes in an agent.
//! Owners are agents of their own, the observer hears their heads, asks for their tables and gets pages, hears of
//! changes by records, and copies what changed into the view as the agent's loop does.

#![allow(dead_code, reason = "each bench uses its own part")]

use shoal::core::{Agent, Config, Event, Identity, Settings, local};
use shoal::model::*;
use shoal::view::{View, ViewBuilder, ViewReader};
use shoal::wire::frame::{
    Answer, Ask, Body, Epoch, Head, Item, Liveness, MemberUpdate, Record, Row, RowTable,
};
use shoal::wire::{ClusterHash, DatagramBuilder, Frame, datagram, record};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

pub(crate) const PER_OWNER: usize = 1_000;
pub(crate) const NAMES: usize = 2_000;
pub(crate) const CLUSTER: &str = "bench";
const OBSERVER: &str = "observer";
pub(crate) const DATAGRAM_BYTES: usize = 1_400;

// ---- what is registered

/// A number that looks random and is the same in every run.
pub(crate) fn mix(n: usize) -> usize {
    (xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes()) >> 1) as usize
}

pub(crate) fn service_name(n: usize) -> String {
    const WHAT: [&str; 8] =
        ["checkout", "payments", "search", "inventory", "mailer", "session-cache", "web", "ledger-export"];
    const PART: [&str; 5] = ["api", "worker", "db", "proxy", "batch"];
    format!("{}-{}-{}", WHAT[n % 8], PART[n / 8 % 5], n / 40)
}

/// The instance number `n` of owner `owner`: names are drawn so that a service has about
/// `instances / NAMES`, all over the cluster.
pub(crate) fn service(owner: usize, n: usize, revision: usize) -> ServiceRecord {
    let draw = mix(owner * PER_OWNER + n);
    let name = service_name(draw % NAMES);
    let zone = ["eu-central-1a", "eu-central-1b", "eu-central-1c"][owner % 3];
    ServiceRecord {
        id: InstanceId::new(format!("{name}-{}", 20_000 + n)).expect("valid"),
        name: ServiceName::new(name).expect("valid"),
        tags: vec!["production".to_owned(), format!("v{}", draw % 40 + revision)],
        address: format!("10.{}.{}.{}", owner / 250, owner % 250, 1 + n % 250),
        tagged_addresses: BTreeMap::new(),
        port: 20_000 + n as u16,
        socket_path: String::new(),
        meta: BTreeMap::from([
            ("zone".to_owned(), zone.to_owned()),
            ("build".to_owned(), format!("{:08x}", draw as u32)),
        ]),
        weights: Weights::default(),
        enable_tag_override: false,
        extensions: Extensions::new(),
    }
}

pub(crate) fn definition(owner: usize, n: usize, revision: usize, checked: bool) -> ServiceDefinition {
    let service = service(owner, n, revision);
    let check = CheckDefinition {
        id: CheckId::new(format!("service:{}", service.id)).expect("valid"),
        name: format!("Service '{}' check", service.name),
        notes: String::new(),
        service_id: Some(service.id.clone()),
        kind: CheckKind::Ttl { ttl: Duration::from_secs(10) },
        initial_status: Some(CheckStatus::Passing),
        interval: String::new(),
        timeout: String::new(),
        deregister_critical_after: None,
    };
    ServiceDefinition { service, checks: if checked { vec![check] } else { Vec::new() } }
}

// ---- owners

pub(crate) const START: Instant = Instant::START;

pub(crate) fn config() -> Config {
    let settings = Settings {
        // The rates that agents keep to would only make the bench wait.
        gossip_bytes_per_s_max: 1 << 30,
        max_datagram_bytes: DATAGRAM_BYTES,
        ..Settings::lan()
    };
    Config::new(settings).expect("valid")
}

pub(crate) fn agent(name: &str, addr: SocketAddr, local: LocalState) -> Agent {
    let identity = Identity {
        cluster: CLUSTER.to_owned(),
        name: NodeName::new(name).expect("valid"),
        id: NodeId::from_random(mix(name.len()) as u128),
        addr,
        generation: Generation(1_000),
        tags: BTreeMap::from([("rack".to_owned(), "r1".to_owned())]),
    };
    let mut agent = Agent::new(identity, config(), local, Vec::new(), 1, START);
    while agent.poll_event().is_some() {}
    agent
}

pub(crate) struct Owner {
    pub(crate) agent: Agent,
    pub(crate) number: usize,
    pub(crate) key: NodeKey,
    pub(crate) addr: SocketAddr,
}

impl Owner {
    /// Owner `number` with so many instances, the same in every life.
    pub(crate) fn new(number: usize, instances: usize, checks_percent: usize) -> Self {
        let mut state = LocalState::default();
        for n in 0..instances {
            let checked = mix(n) % 100 < checks_percent;
            let definition = Box::new(definition(number, n, 0, checked));
            let command = LocalCommand::RegisterService { definition, replace_existing_checks: false };
            local::apply(&mut state, &command, START).expect("valid");
        }
        let addr = SocketAddr::from(([10, 200, (number / 250) as u8, (number % 250) as u8], 7946));
        let mut agent = agent(&format!("node-{number:05}"), addr, state);
        // Questions of strangers are answered with a challenge first.
        agent.handle_datagram(observer_addr(), &packet(&[Frame::Members(vec![observer()])]), START);
        while agent.poll_event().is_some() {}
        Self { key: agent.identity().name.key(), agent, number, addr }
    }

    /// What the owner answers to a question.
    pub(crate) fn ask(&mut self, ask: Ask) -> Answer {
        let bytes = packet(&[Frame::Ask(1, ask)]);
        self.agent.handle_datagram(observer_addr(), &bytes, START);
        while let Some(out) = self.agent.poll_datagram() {
            for frame in datagram::open(&out.bytes, cluster(), DATAGRAM_BYTES).expect("its own") {
                if let Ok(Frame::Answer(_, answer)) = frame {
                    return answer;
                }
            }
        }
        panic!("a question has an answer");
    }

    pub(crate) fn table(&mut self) -> RowTable {
        let bucket = (self.key.0 >> 58) as u8;
        let Answer::Rows { rows, .. } = self.ask(Ask::Rows { bucket, part: None, after: None }) else {
            panic!("rows were asked for");
        };
        let own = |row: &Row| (row.key == self.key).then_some(row.table).flatten();
        rows.iter().find_map(own).expect("it has a table")
    }

    pub(crate) fn head(&mut self) -> Head {
        let t = self.table();
        Head { owner: self.key, generation: t.generation, version: t.complete_to, digest: t.digest }
    }

    /// The datagram in which it tells of its write of `key`.
    pub(crate) fn rumour(&mut self, key: &EntryKey) -> Vec<u8> {
        let head = self.head();
        let (_, version, entry) = self.agent.entry(self.key, key).expect("it was just written");
        let (kind, id) = record::key_parts(key);
        let body = Body::Bytes(record::encode(&entry).into());
        packet(&[Frame::Records(vec![Record {
            head,
            item: Item { version, kind, id: id.to_owned(), body },
        }])])
    }

    pub(crate) fn command(&mut self, command: &LocalCommand, at: Instant) {
        self.agent.apply(command, at).expect("valid");
        while self.agent.poll_event().is_some() {}
        while self.agent.poll_datagram().is_some() {}
    }
}

pub(crate) fn cluster() -> ClusterHash {
    ClusterHash::of(CLUSTER)
}

pub(crate) fn observer_addr() -> SocketAddr {
    SocketAddr::from(([10, 250, 0, 1], 7946))
}

/// The observer, as members tell each other of it.
fn observer() -> MemberUpdate {
    MemberUpdate {
        key: NodeName::new(OBSERVER).expect("valid").key(),
        epoch: Epoch::first_of(Generation(1_000)),
        incarnation: Incarnation::default(),
        state: Liveness::Alive,
        addr: observer_addr(),
    }
}

pub(crate) fn packet(frames: &[Frame]) -> Vec<u8> {
    let mut builder = DatagramBuilder::new(cluster(), DATAGRAM_BYTES);
    for frame in frames {
        assert!(builder.push(frame), "one frame fits");
    }
    builder.finish()
}

// ---- the agent that is measured

/// An agent with its view, driven as the agent's loop does it.
pub(crate) struct Observer {
    pub(crate) agent: Agent,
    pub(crate) builder: ViewBuilder,
    pub(crate) reader: ViewReader,
}

impl Observer {
    pub(crate) fn new() -> Self {
        let agent = agent(OBSERVER, observer_addr(), LocalState::default());
        let (builder, reader) =
            ViewBuilder::new("dc1".to_owned(), agent.identity().name.key(), 1_700_000_000_000_000);
        Self { agent, builder, reader }
    }

    /// Hears of an owner and pulls its table, page by page.
    pub(crate) fn meet(&mut self, owner: &mut Owner) {
        let update = MemberUpdate {
            key: owner.key,
            epoch: Epoch::first_of(Generation(1_000)),
            incarnation: Incarnation::default(),
            state: Liveness::Alive,
            addr: owner.addr,
        };
        let head = owner.head();
        let bytes = packet(&[Frame::Members(vec![update]), Frame::Heads(vec![head])]);
        self.agent.handle_datagram(owner.addr, &bytes, START);
        loop {
            let mut idle = true;
            while let Some(out) = self.agent.poll_datagram() {
                let asks = |bytes: &[u8]| {
                    let mut frames = datagram::open(bytes, cluster(), DATAGRAM_BYTES).expect("its own");
                    frames.any(|f| matches!(f, Ok(Frame::Ask(..))))
                };
                if out.to == owner.addr && asks(&out.bytes) {
                    owner.agent.handle_datagram(observer_addr(), &out.bytes, START);
                    idle = false;
                }
            }
            while let Some(out) = owner.agent.poll_datagram() {
                if out.to == observer_addr() {
                    self.agent.handle_datagram(owner.addr, &out.bytes, START);
                    idle = false;
                }
            }
            while self.agent.poll_event().is_some() {}
            if idle {
                break;
            }
        }
        let known = self.agent.entry_keys(owner.key).count();
        assert_eq!(known, owner.agent.entry_keys(owner.key).count(), "the whole table came over");
    }

    pub(crate) fn entry(&mut self, owner: NodeKey, key: &EntryKey) {
        copy_entry(&self.agent, &mut self.builder, owner, key);
    }

    /// Copies one owner into the view.
    pub(crate) fn show(&mut self, key: NodeKey) {
        if let Some(member) = self.agent.member(key) {
            self.builder.set_member(member);
        }
        let keys: Vec<EntryKey> = self.agent.entry_keys(key).collect();
        for entry in keys {
            self.entry(key, &entry);
        }
        self.builder.publish();
    }

    /// Takes in datagrams and publishes after every `batch` of them. Gives changes per second: of
    /// the clock, and of the processor's time, which other work on the host does not change.
    pub(crate) fn apply(&mut self, datagrams: &[(SocketAddr, Vec<u8>)], batch: usize) -> (f64, f64) {
        let mut changes = 0;
        // A reader that still works on an earlier view.
        let mut held: Arc<View> = self.reader.load();
        let (start, busy) = (Clock::now(), busy_seconds());
        for chunk in datagrams.chunks(batch) {
            for (from, bytes) in chunk {
                self.agent.handle_datagram(*from, bytes, START);
                while self.agent.poll_datagram().is_some() {}
                while let Some(event) = self.agent.poll_event() {
                    if let Event::EntryChanged(owner, key) = event {
                        self.entry(owner, &key);
                        changes += 1;
                    }
                }
            }
            self.builder.publish();
            held = self.reader.load();
        }
        let (seconds, busy) = (start.elapsed().as_secs_f64(), busy_seconds() - busy);
        black_box(held);
        assert_eq!(changes, datagrams.len(), "every datagram brought one change");
        (changes as f64 / seconds, changes as f64 / busy)
    }
}

pub(crate) fn copy_entry(agent: &Agent, builder: &mut ViewBuilder, owner: NodeKey, key: &EntryKey) {
    let found = agent.packed_entry(owner, key).expect("nothing is deleted here");
    match key {
        EntryKey::Node => {
            let (generation, version, entry) = found;
            let node = record::unpack_node(entry).expect("a node's own record");
            builder.set_node(owner, Some((generation, version, node)));
        }
        EntryKey::Service(_) => {
            builder.put_service(owner, record::unpack_service(found.2).expect("a service"));
        }
        EntryKey::Check(_) => {
            builder.put_check(owner, record::unpack_check(found.2).expect("a check"));
        }
        EntryKey::Unknown(..) => panic!("not in this bench"),
    }
}

/// Time that this thread had a processor.
pub(crate) fn busy_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("there is a /proc");
    let nanos: u64 = text.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number");
    nanos as f64 / 1e9
}
