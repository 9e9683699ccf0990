//! A stranger's blast at one real agent of five that seal.
//!
//! Three kinds, one after the other: bytes that mean nothing; datagrams well sealed with a key that no
//! agent has; and the cluster's own, recorded by a member while one of the five failed and another left
//! and both came back, and sent again from elsewhere. The third kind is thrown twice: at an agent that
//! remembers what it opened, and at one that was started anew and does not.
//!
//! What counts is what users see: whom the five take for alive and in which life, how fast the agent
//! answers reads and heartbeats, and what it takes in memory and processor. Before that, the share of
//! sealing in an idle and in a busy agent's processor time.
//!
//! Run with `cargo bench --bench blast`; `RATE` (100,000 datagrams per second) and `SECONDS` (60, for each
//! kind) change it (with `SECONDS=0` the share of sealing is all), `PLAIN=1` leaves the keys out. Everything is on loopback, and blaster and agents
//! share the machine: what could be sent, and what reached the agent before its kernel buffer was full,
//! is printed.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench reads clocks and prints")]
#![allow(missing_docs)]

#[path = "../../tests/support/ear.rs"]
mod ear;
mod kinds;
mod look;
#[path = "../checks/process.rs"]
#[allow(dead_code, reason = "each bench uses its own part")]
mod process;
mod share;
#[path = "../../tests/support/agent_process.rs"]
mod support;

use look::{Beliefs, all_alive, beliefs, counters};
use nix::sys::signal::Signal;
use process::{Line, cpu, quantile, resident_mb};
use shoal::core::Settings;
use shoal::model::KeyMaterial;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::{Agent, Place, poll};

const AGENTS: usize = 5;
const READ: &str = "/v1/health/service/web";
const BEAT: &str = "/v1/agent/check/pass/service:web";
/// Finding a failure and coming back, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Where the five live, and with which key.
struct Cluster {
    places: Vec<Place>,
    key: Option<KeyMaterial>,
    agents: Vec<Agent>,
}

impl Cluster {
    fn start(key: Option<KeyMaterial>) -> Self {
        let places: Vec<Place> = (0..AGENTS).map(|_| Place::new()).collect();
        let mut cluster = Self { places, key, agents: Vec::new() };
        for n in 0..AGENTS {
            let via = cluster.agents.first().map(Agent::gossip);
            let agent = cluster.run(n, via.as_deref());
            cluster.agents.push(agent);
        }
        cluster.settle();
        cluster
    }

    fn run(&self, n: usize, via: Option<&str>) -> Agent {
        let file = self.places[n].path("keys");
        let text = file.display().to_string();
        let mut flags = Vec::new();
        if let Some(key) = &self.key {
            std::fs::write(&file, key.to_base64()).expect("writes");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("is ours");
            flags.extend(["--key-file", text.as_str()]);
        }
        flags.extend(via.iter().flat_map(|via| ["--join", via]));
        self.places[n].start(&format!("n{n}"), &flags)
    }

    /// Starts an agent again, after it was killed if it runs still.
    fn again(&mut self, n: usize) {
        self.agents.remove(n).kill();
        let agent = self.run(n, Some(&self.agents[0].gossip()));
        self.agents.insert(n, agent);
        self.settle();
    }

    fn settle(&self) {
        let done = poll(PATIENCE, || all_alive(&beliefs(&self.agents)).then_some(()));
        done.expect("all find each other");
    }

    fn until(&self, by: usize, of: &str, status: &str) {
        let said = || beliefs(&self.agents[by..=by])[0].get(of).is_some_and(|b| b.0 == status).then_some(());
        poll(PATIENCE, said).unwrap_or_else(|| panic!("n{by} never says {status} of {of}"));
    }

    fn target(&self) -> SocketAddr {
        self.agents[0].gossip().parse().expect("an address")
    }

    /// What a member hears while one of the five fails, another leaves, and both come back.
    fn recorded(&mut self) -> Vec<Vec<u8>> {
        let (stop, via, key) = (AtomicBool::new(false), self.target(), self.key.clone());
        std::thread::scope(|scope| {
            let ear = scope.spawn(|| ear::listen(via, Settings::lan(), key.as_ref(), &stop));
            std::thread::sleep(Duration::from_secs(3));
            self.agents[4].signal(Signal::SIGKILL);
            self.until(0, "n4", "failed");
            self.again(4);
            self.agents[3].signal(Signal::SIGTERM);
            self.agents[3].exit_code(PATIENCE);
            self.until(0, "n3", "left");
            self.again(3);
            stop.store(true, Ordering::Relaxed);
            ear.join().expect("listens to the end")
        })
    }
}

/// Times of answers, in milliseconds, until told to stop.
fn ask(socket: &Path, method: &str, target: &str, stop: &AtomicBool) -> Vec<f64> {
    let mut line = Line::open(socket);
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        assert_eq!(line.ask(method, target, ""), 200, "{method} {target}");
        times.push(asked.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(Duration::from_millis(10));
    }
    times
}

/// Asks the target for `time` and meanwhile looks at everybody once a second. Prints what came of it.
fn watch(what: &str, agents: &[Agent], before: &Beliefs, time: Duration) {
    let (stop, pid) = (AtomicBool::new(false), agents[0].pid().as_raw());
    let (cpu_before, started) = (cpu(pid), Instant::now());
    let (mut wrong, mut looks, mut most_mb) = (0, 0, 0.0_f64);
    std::thread::scope(|scope| {
        let [reads, beats] = [("GET", READ), ("PUT", BEAT)]
            .map(|(method, target)| scope.spawn(|| ask(agents[0].socket(), method, target, &stop)));
        while started.elapsed() < time {
            std::thread::sleep(Duration::from_secs(1));
            looks += 1;
            wrong += look::wrong(before, &beliefs(agents));
            most_mb = most_mb.max(resident_mb(pid));
        }
        stop.store(true, Ordering::Relaxed);
        let share = (cpu(pid) - cpu_before).as_secs_f64() / started.elapsed().as_secs_f64();
        println!("{what}: {:.0} % of a processor, {most_mb:.1} MB at most", share * 100.0);
        println!(
            "{what}: {wrong} beliefs other than alive, or of an earlier life or incarnation, in {looks} looks at \
             {AGENTS} agents"
        );
        for (name, times) in [("reads", reads), ("heartbeats", beats)] {
            let mut times = times.join().expect("asks to the end");
            times.sort_unstable_by(f64::total_cmp);
            let [p50, p99] = [0.5, 0.99].map(|share| quantile(&times, share));
            println!("{what}: {} {name}, p50 {p50:.2} ms, p99 {p99:.2} ms", times.len());
        }
    });
}

fn all_mb(agents: &[Agent]) -> String {
    let each: Vec<String> = agents.iter().map(|a| format!("{:.1}", resident_mb(a.pid().as_raw()))).collect();
    each.join(", ")
}

/// Throws one kind at the first agent.
fn blast(what: &str, cluster: &Cluster, ready: &[Vec<u8>], rate: u64, time: Duration) {
    let agents = &cluster.agents;
    let wanted = |name: &str| name.contains("datagrams_received_total") || name.contains("dropped");
    let counted = || counters(&agents[0], wanted);
    let (before_mb, before, then) = (all_mb(agents), counted(), beliefs(agents));
    let (stop, sent, began) = (AtomicBool::new(false), AtomicU64::new(0), Instant::now());
    std::thread::scope(|scope| {
        scope.spawn(|| kinds::throw(cluster.target(), rate, ready, &stop, &sent));
        watch(what, agents, &then, time);
        stop.store(true, Ordering::Relaxed);
    });
    let sent = sent.load(Ordering::Relaxed);
    let per_second = sent as f64 / began.elapsed().as_secs_f64();
    println!("{what}: sent {sent}, {per_second:.0} a second; the agent counted:");
    for (name, value) in counted() {
        let more = value - before.get(&name).copied().unwrap_or(0.0);
        if more > 0.0 {
            println!("    {name} {more:.0}");
        }
    }
    let calm = poll(Duration::from_secs(30), || all_alive(&beliefs(agents)).then_some(()));
    let steps = look::wrong(&then, &beliefs(agents));
    println!("{what}: all alive to all afterwards: {}; {steps} went back", calm.is_some());
    println!("{what}: memory of the five in MB: {before_mb} before, {} after", all_mb(agents));
}

fn main() {
    let (rate, time) = (number("RATE", 100_000), Duration::from_secs(number("SECONDS", 60)));
    let key = (number("PLAIN", 0) == 0).then(|| KeyMaterial::from_bytes(rand::random()));
    let mut cluster = Cluster::start(key);
    if cluster.key.is_some() {
        share::print(&cluster.agents, Duration::from_secs(20));
    }
    if time.is_zero() {
        return;
    }
    let web = r#"{"Name": "web", "Port": 80, "Check": {"TTL": "1h", "Status": "passing"}}"#;
    assert_eq!(cluster.agents[0].put("/v1/agent/service/register", web).status, 200);
    let heard = cluster.recorded();
    println!("{AGENTS} agents, {} datagrams recorded; {rate} a second at one for {time:?}", heard.len());
    // What the recording began is over.
    std::thread::sleep(Duration::from_secs(5));
    watch("calm", &cluster.agents, &beliefs(&cluster.agents), time.min(Duration::from_secs(20)));
    blast("garbage", &cluster, &kinds::noise(), rate, time);
    blast("wrong key", &cluster, &kinds::wrong_key(cluster.key.as_ref()), rate, time);
    blast("replay", &cluster, &heard, rate, time);
    cluster.again(0);
    blast("replay at a new run", &cluster, &heard, rate, time);
}
