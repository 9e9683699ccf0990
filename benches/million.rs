//! One agent that knows a million instances: what it takes, and what its users wait for.
//!
//! - *resident bytes per instance*: what the agent adds to a host's memory, split into the catalog
//!   (what it relays) and the view (what it answers from). Without checks, and with one TTL check
//!   for every instance; a second figure holds the share that `CHECKS` says (percent, default 100).
//! - *first lookup*: from the name of a service to its first ten instances with the health of each,
//!   in memory: what resolving one address waits for inside the agent.
//! - *whole lookup*: the same for all instances of the service, as `/v1/health/service` does before
//!   it writes JSON.
//! - *applied changes per second*: datagrams of other owners in, published views out, on one thread.
//!   It bounds how far behind a deployment that touches everything leaves an agent.
//! - *publish*: from a set of changes to the moment readers see them. It must not grow with the
//!   number of instances, or a big cluster would see every change late.
//!
//! Run with `cargo bench --bench million`; `INSTANCES=20000` makes a quick run of it. Everything goes
//! the way it goes in an agent: owners are agents of their own, the agent that is measured hears
//! their heads, asks for their tables and gets pages, hears of changes by records, and copies what
//! changed into the view as the agent's loop does.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench reads clocks and prints")]
#![allow(missing_docs)]

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

const PER_OWNER: usize = 1_000;
const NAMES: usize = 2_000;
const CLUSTER: &str = "bench";
const DATAGRAM_BYTES: usize = 1_400;

// ---- what is registered

/// A number that looks random and is the same in every run.
fn mix(n: usize) -> usize {
    (xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes()) >> 1) as usize
}

fn service_name(n: usize) -> String {
    const WHAT: [&str; 8] =
        ["checkout", "payments", "search", "inventory", "mailer", "session-cache", "web", "ledger-export"];
    const PART: [&str; 5] = ["api", "worker", "db", "proxy", "batch"];
    format!("{}-{}-{}", WHAT[n % 8], PART[n / 8 % 5], n / 40)
}

/// The instance number `n` of owner `owner`: names are drawn so that a service has about
/// `instances / NAMES`, all over the cluster.
fn service(owner: usize, n: usize, revision: usize) -> ServiceRecord {
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

fn definition(owner: usize, n: usize, revision: usize, checked: bool) -> ServiceDefinition {
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

const START: Instant = Instant::START;

fn config() -> Config {
    let settings = Settings {
        // The rates that agents keep to would only make the bench wait.
        gossip_bytes_per_s_max: 1 << 30,
        max_datagram_bytes: DATAGRAM_BYTES,
        ..Settings::lan()
    };
    Config::new(settings).expect("valid")
}

fn agent(name: &str, addr: SocketAddr, local: LocalState) -> Agent {
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

struct Owner {
    agent: Agent,
    number: usize,
    key: NodeKey,
    addr: SocketAddr,
}

impl Owner {
    /// Owner `number`, the same in every life.
    fn new(number: usize, checks_percent: usize) -> Self {
        let mut state = LocalState::default();
        for n in 0..PER_OWNER {
            let checked = mix(n) % 100 < checks_percent;
            let definition = Box::new(definition(number, n, 0, checked));
            let command = LocalCommand::RegisterService { definition, replace_existing_checks: false };
            local::apply(&mut state, &command, START).expect("valid");
        }
        let addr = SocketAddr::from(([10, 200, (number / 250) as u8, (number % 250) as u8], 7946));
        let agent = agent(&format!("node-{number:04}"), addr, state);
        Self { key: agent.identity().name.key(), agent, number, addr }
    }

    /// What the owner answers to a question.
    fn ask(&mut self, ask: Ask) -> Answer {
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

    fn table(&mut self) -> RowTable {
        let bucket = (self.key.0 >> 58) as u8;
        let Answer::Rows { rows, .. } = self.ask(Ask::Rows { bucket, part: None, after: None }) else {
            panic!("rows were asked for");
        };
        let own = |row: &Row| (row.key == self.key).then_some(row.table).flatten();
        rows.iter().find_map(own).expect("it has a table")
    }

    fn head(&mut self) -> Head {
        let t = self.table();
        Head { owner: self.key, generation: t.generation, version: t.complete_to, digest: t.digest }
    }

    /// The datagram in which it tells of its write of `key`.
    fn rumour(&mut self, key: &EntryKey) -> Vec<u8> {
        let head = self.head();
        let (_, version, entry) = self.agent.entry(self.key, key).expect("it was just written");
        let (kind, id) = record::key_parts(key);
        let body = Body::Bytes(record::encode(&entry).into());
        packet(&[Frame::Records(vec![Record {
            head,
            item: Item { version, kind, id: id.to_owned(), body },
        }])])
    }

    fn command(&mut self, command: &LocalCommand, at: Instant) {
        self.agent.apply(command, at).expect("valid");
        while self.agent.poll_event().is_some() {}
        while self.agent.poll_datagram().is_some() {}
    }
}

fn cluster() -> ClusterHash {
    ClusterHash::of(CLUSTER)
}

fn observer_addr() -> SocketAddr {
    SocketAddr::from(([10, 250, 0, 1], 7946))
}

fn packet(frames: &[Frame]) -> Vec<u8> {
    let mut builder = DatagramBuilder::new(cluster(), DATAGRAM_BYTES);
    for frame in frames {
        assert!(builder.push(frame), "one frame fits");
    }
    builder.finish()
}

// ---- the agent that is measured

/// An agent with its view, driven as the agent's loop does it.
struct Observer {
    agent: Agent,
    builder: ViewBuilder,
    reader: ViewReader,
}

impl Observer {
    fn new() -> Self {
        let agent = agent("observer", observer_addr(), LocalState::default());
        let (builder, reader) =
            ViewBuilder::new("dc1".to_owned(), agent.identity().name.key(), 1_700_000_000_000_000);
        Self { agent, builder, reader }
    }

    /// Hears of an owner and pulls its table, page by page.
    fn meet(&mut self, owner: &mut Owner) {
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

    fn entry(&mut self, owner: NodeKey, key: &EntryKey) {
        copy_entry(&self.agent, &mut self.builder, owner, key);
    }

    /// Copies one owner into the view.
    fn show(&mut self, key: NodeKey) {
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
    fn apply(&mut self, datagrams: &[(SocketAddr, Vec<u8>)], batch: usize) -> (f64, f64) {
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

fn copy_entry(agent: &Agent, builder: &mut ViewBuilder, owner: NodeKey, key: &EntryKey) {
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

// ---- measuring

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("there is a /proc");
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).expect("it has the line");
    let kib: usize = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    kib * 1024
}

/// Time that this thread had a processor.
fn busy_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("there is a /proc");
    let nanos: u64 = text.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number");
    nanos as f64 / 1e9
}

fn percentile(times: &mut [Duration], p: usize) -> f64 {
    times.sort();
    times[(times.len() * p / 100).min(times.len() - 1)].as_secs_f64() * 1e6
}

/// Times of looking up `name` and reading the health of its first `first` instances.
fn lookup(reader: &ViewReader, names: &[String], first: usize) -> (f64, f64, usize) {
    let mut times = Vec::with_capacity(20_000);
    let mut seen = 0;
    for n in 0..20_000 {
        let name = &names[mix(n) % names.len()];
        let start = Clock::now();
        let view = reader.load();
        let mut found = 0;
        for (node, instance) in view.instances_of(name).take(first) {
            black_box(node.instance_health(instance));
            found += 1;
        }
        times.push(start.elapsed());
        seen = seen.max(found);
    }
    (percentile(&mut times, 50), percentile(&mut times, 99), seen)
}

/// One instance whose check changes its status again and again, in a view of any size: the time to
/// set it, and the time to publish.
fn publish_cost(observer: &mut Observer, owner: NodeKey, instances: usize) {
    let id = observer.agent.entry_keys(owner).find_map(|k| match &k {
        EntryKey::Check(id) => Some(id.clone()),
        EntryKey::Node | EntryKey::Service(_) | EntryKey::Unknown(..) => None,
    });
    let Some(id) = id else { return };
    let key = EntryKey::Check(id.clone());
    let Some((g, v, Entry::Check(check))) = observer.agent.entry(owner, &key) else { return };
    let (mut set, mut publish) = (Vec::new(), Vec::new());
    for n in 0..2_000 {
        let status = if n % 2 == 0 { CheckStatus::Critical } else { CheckStatus::Passing };
        let held = observer.reader.load();
        let start = Clock::now();
        observer.builder.set_check(owner, &id, Some((g, v, CheckRecord { status, ..check.clone() })));
        set.push(start.elapsed());
        let start = Clock::now();
        observer.builder.publish();
        publish.push(start.elapsed());
        black_box(held);
    }
    println!(
        "publish at {instances:>9} instances: {:.1} us (p99 {:.1}), setting one check before it {:.1} us (p99 {:.1})",
        percentile(&mut publish, 50),
        percentile(&mut publish, 99),
        percentile(&mut set, 50),
        percentile(&mut set, 99),
    );
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |v| v.parse().expect("a number"))
}

struct Filled {
    observer: Observer,
    keys: Vec<NodeKey>,
    instances: usize,
}

fn fill(instances: usize, checks_percent: usize, measure_publish: bool) -> Filled {
    let owners = instances.div_ceil(PER_OWNER).max(1);
    let instances = owners * PER_OWNER;
    let mut observer = Observer::new();
    // What making owners takes is there before the first figure is read.
    drop(Owner::new(0, checks_percent));
    black_box(busy_seconds());
    let empty = resident_bytes();
    let mut keys = Vec::new();
    let start = Clock::now();
    for number in 0..owners {
        let mut owner = Owner::new(number, checks_percent);
        observer.meet(&mut owner);
        keys.push(owner.key);
    }
    let catalog = resident_bytes().saturating_sub(empty);
    let met = start.elapsed();
    let start = Clock::now();
    let mut next = 1;
    for (n, key) in keys.iter().enumerate() {
        observer.show(*key);
        if measure_publish && n + 1 == next {
            publish_cost(&mut observer, *key, next * PER_OWNER);
            next *= if next == 1 { 100 } else { 10 };
        }
    }
    let all = resident_bytes().saturating_sub(empty);
    assert_eq!(observer.reader.load().instance_count(), instances);
    let per = |bytes: usize| bytes as f64 / instances as f64;
    println!(
        "{instances} instances, {checks_percent} % with a check: {:.0} bytes each (catalog {:.0}, view {:.0}); \
         pulled in {:.1} s, shown in {:.1} s",
        per(all),
        per(catalog),
        per(all.saturating_sub(catalog)),
        met.as_secs_f64(),
        start.elapsed().as_secs_f64(),
    );
    Filled { observer, keys, instances }
}

fn changes(filled: &mut Filled, checks_percent: usize) {
    let count = filled.keys.len().min(10);
    let mut owners: Vec<Owner> = (0..count).map(|n| Owner::new(n, checks_percent)).collect();
    let mut hour = 0;
    for (revision, batch) in [(1, 1), (2, 100)] {
        let mut datagrams = Vec::new();
        // Checks are damped when they come and go; hours apart they are not.
        hour += 1;
        let at = Instant::START + Duration::from_secs(3_600 * hour);
        for owner in &mut owners {
            let ids: Vec<CheckId> = owner.agent.local().checks.keys().cloned().collect();
            for id in ids {
                let status = if revision == 1 { CheckStatus::Critical } else { CheckStatus::Passing };
                let output = format!("heartbeat {revision}");
                owner.command(&LocalCommand::UpdateCheck { id: id.clone(), status, output }, at);
                datagrams.push((owner.addr, owner.rumour(&EntryKey::Check(id))));
            }
        }
        if !datagrams.is_empty() {
            let rates = filled.observer.apply(&datagrams, batch);
            print_rates("status changes", batch, rates);
        }
        let mut datagrams = Vec::new();
        for owner in &mut owners {
            for n in 0..PER_OWNER {
                let definition = definition(owner.number, n, revision, false);
                let id = definition.service.id.clone();
                let definition = Box::new(definition);
                let command = LocalCommand::RegisterService { definition, replace_existing_checks: false };
                owner.command(&command, at);
                datagrams.push((owner.addr, owner.rumour(&EntryKey::Service(id))));
            }
        }
        let rates = filled.observer.apply(&datagrams, batch);
        print_rates("re-registrations", batch, rates);
    }
}

fn print_rates(what: &str, batch: usize, (clock, busy): (f64, f64)) {
    println!(
        "{what}, published after every {batch:>3}: {clock:.0} per second, {busy:.0} per second of processor time"
    );
}

fn lookups(filled: &Filled) {
    let view = filled.observer.reader.load();
    let names: Vec<String> = view.services().map(|s| s.name.to_string()).collect();
    for (what, first) in [("first ten instances", 10), ("whole service", usize::MAX)] {
        let (p50, p99, seen) = lookup(&filled.observer.reader, &names, first);
        println!("lookup, {what} (up to {seen} of {}): p50 {p50:.1} us, p99 {p99:.1} us", filled.instances);
    }
}

/// Memory given back by one filling would be used by the next: each has a process of its own.
fn main() {
    let instances = number("INSTANCES", 1_000_000);
    let checks_percent = number("CHECKS", 100);
    if std::env::var_os("ONLY_MEMORY").is_some() {
        drop(fill(instances, checks_percent, false));
        return;
    }
    let this = std::env::current_exe().expect("it runs");
    let status = std::process::Command::new(this)
        .env("ONLY_MEMORY", "1")
        .env("CHECKS", "0")
        .env("INSTANCES", instances.to_string())
        .status()
        .expect("it runs again");
    assert!(status.success(), "the run without checks ended well");
    let mut filled = fill(instances, checks_percent, true);
    lookups(&filled);
    changes(&mut filled, checks_percent);
}
