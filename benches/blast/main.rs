//! A stranger's blast at one real agent of five.
//!
//! Datagrams of four kinds, in turn: noise; what looks sealed, with a key that nobody has; another
//! cluster's; and the cluster's own, heard by a member that has left since and sent again from elsewhere.
//! What counts is what users see: whom the five take for alive, how fast the agent answers reads and
//! heartbeats, and what it takes in memory and processor.
//!
//! Run with `cargo bench --bench blast`; `RATE` (100,000 datagrams per second) and `SECONDS` (60) change
//! it. Blaster and agents share the machine: what could be sent, and what reached the agent before its
//! kernel buffer was full, is printed.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench reads clocks and prints")]
#![allow(missing_docs)]

#[path = "checks/process.rs"]
#[allow(dead_code, reason = "each bench uses its own part")]
mod process;
#[path = "../tests/support/agent_process.rs"]
mod support;

use process::{Line, cpu, quantile, resident_mb};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use shoal::core::{Agent, Config, Event, Identity, Settings};
use shoal::model::{Generation, Instant as Moment, LocalState, NodeId, NodeName};
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use support::{Agent as Process, Place, poll};

const AGENTS: usize = 5;
/// Datagrams that are sent before the clock is looked at.
const BATCH: u32 = 50;
const READ: &str = "/v1/health/service/web";
const BEAT: &str = "/v1/agent/check/pass/service:web";

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Is a member for a while, leaves, and gives what it was told and told others.
fn eavesdrop(via: SocketAddr) -> Vec<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
    socket.set_read_timeout(Some(Duration::from_millis(2))).expect("is set");
    let unix_ms = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_millis();
    let identity = Identity {
        cluster: "shoal".to_owned(),
        name: NodeName::new("ear").expect("is a name"),
        id: NodeId::from_random(7),
        addr: socket.local_addr().expect("is bound"),
        generation: Generation::for_new_run(None, u64::try_from(unix_ms).expect("fits")),
        tags: BTreeMap::new(),
    };
    let config = Config::new(Settings::lan()).expect("is valid");
    let started = Instant::now();
    let now = || Moment::START + started.elapsed();
    let mut agent = Agent::new(identity, config, LocalState::default(), vec![via], 7, now());
    let (mut heard, mut buffer) = (Vec::new(), [0; 65_536]);
    let mut gone = false;
    while !gone {
        if started.elapsed() > Duration::from_secs(4) {
            agent.leave(now());
        }
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            heard.push(buffer[..length].to_vec());
            agent.handle_datagram(from, &buffer[..length], now());
        }
        if agent.poll_timeout().is_some_and(|(at, _)| at <= now()) {
            agent.handle_timeout(now());
        }
        while let Some(out) = agent.poll_datagram() {
            heard.push(out.bytes.clone());
            socket.send_to(&out.bytes, out.to).ok();
        }
        while let Some(event) = agent.poll_event() {
            gone |= matches!(event, Event::Left { .. });
        }
    }
    heard
}

/// One datagram of the next kind. The layout is `wire::datagram`'s: "Sh", version, key, nonce.
fn datagram(turn: u64, heard: &[Vec<u8>], random: &mut SmallRng) -> Vec<u8> {
    let mut noise = || -> Vec<u8> { (0..random.random_range(1..1_400)).map(|_| random.random()).collect() };
    match turn % 4 {
        0 => noise(),
        1 => [b"Sh\x01".as_slice(), &[7, 7, 7, 7], &noise()].concat(),
        2 => [b"Sh\x01".as_slice(), &[0; 16], &noise()].concat(),
        _ => heard[random.random_range(0..heard.len())].clone(),
    }
}

/// Sends at `rate` until told to stop.
fn blast(target: SocketAddr, rate: u64, heard: &[Vec<u8>], stop: &AtomicBool, sent: &AtomicU64) {
    let mut random = SmallRng::seed_from_u64(1);
    let ready: Vec<Vec<u8>> = (0..4_096).map(|turn| datagram(turn, heard, &mut random)).collect();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("binds");
    let (started, mut count) = (Instant::now(), 0_u64);
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..BATCH {
            let bytes = &ready[usize::try_from(count % 4_096).expect("small")];
            // A full buffer of our own is the same as one of the target's.
            socket.send_to(bytes, target).ok();
            count += 1;
        }
        sent.store(count, Ordering::Relaxed);
        let due = Duration::from_secs_f64(count as f64 / rate as f64);
        if let Some(early) = due.checked_sub(started.elapsed()) {
            std::thread::sleep(early);
        }
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

/// What each agent says of each member, `ear` left out.
fn beliefs(agents: &[Process]) -> Vec<BTreeMap<String, String>> {
    let of = |agent: &Process| {
        let members = agent.get("/v1/shoal/members").json();
        let text = |m: &serde_json::Value, key: &str| m[key].as_str().unwrap_or_default().to_owned();
        let list = members.as_array().into_iter().flatten();
        list.map(|m| (text(m, "name"), text(m, "status"))).filter(|(name, _)| name != "ear").collect()
    };
    agents.iter().map(of).collect()
}

fn all_alive(beliefs: &[BTreeMap<String, String>]) -> bool {
    beliefs.iter().all(|b| b.len() == AGENTS && b.values().all(|s| s == "alive"))
}

/// What the agent counts of datagrams.
fn datagrams(agent: &Process) -> BTreeMap<String, f64> {
    let metrics = agent.get("/metrics").body;
    let lines = metrics.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.rsplit_once(' '));
    let wanted = |name: &str| name.contains("datagrams_received") || name.contains("dropped");
    lines.filter(|(n, _)| wanted(n)).map(|(n, v)| (n.to_owned(), v.parse().unwrap_or(0.0))).collect()
}

/// Asks the target for `time` and meanwhile looks at everybody once a second. Prints what came of it.
fn watch(what: &str, agents: &[Process], time: Duration) {
    let (stop, pid) = (AtomicBool::new(false), agents[0].pid().as_raw());
    let (cpu_before, started) = (cpu(pid), Instant::now());
    let (mut wrong, mut looks, mut most_mb) = (0, 0, 0.0_f64);
    std::thread::scope(|scope| {
        let [reads, beats] = [("GET", READ), ("PUT", BEAT)]
            .map(|(method, target)| scope.spawn(|| ask(agents[0].socket(), method, target, &stop)));
        while started.elapsed() < time {
            std::thread::sleep(Duration::from_secs(1));
            let seen = beliefs(agents);
            looks += 1;
            wrong += seen.iter().flat_map(BTreeMap::values).filter(|s| *s != "alive").count();
            most_mb = most_mb.max(resident_mb(pid));
        }
        stop.store(true, Ordering::Relaxed);
        let share = (cpu(pid) - cpu_before).as_secs_f64() / started.elapsed().as_secs_f64();
        println!("{what}: {:.0} % of a processor, {most_mb:.1} MB at most", share * 100.0);
        println!("{what}: {wrong} beliefs other than alive in {looks} looks at {AGENTS} agents");
        for (name, times) in [("reads", reads), ("heartbeats", beats)] {
            let mut times = times.join().expect("asks to the end");
            times.sort_unstable_by(f64::total_cmp);
            let [p50, p99] = [0.5, 0.99].map(|share| quantile(&times, share));
            println!("{what}: {} {name}, p50 {p50:.2} ms, p99 {p99:.2} ms", times.len());
        }
    });
}

fn main() {
    let (rate, seconds) = (number("RATE", 100_000), number("SECONDS", 60));
    let places: Vec<Place> = (0..AGENTS).map(|_| Place::new()).collect();
    let mut agents = vec![places[0].start("n0", &[])];
    for (n, place) in places.iter().enumerate().skip(1) {
        let via = agents[0].gossip();
        agents.push(place.start(&format!("n{n}"), &["--join", &via]));
    }
    let web = r#"{"Name": "web", "Port": 80, "Check": {"TTL": "1h", "Status": "passing"}}"#;
    assert_eq!(agents[0].put("/v1/agent/service/register", web).status, 200);
    poll(support::PATIENCE, || all_alive(&beliefs(&agents)).then_some(())).expect("the five find each other");
    let target: SocketAddr = agents[0].gossip().parse().expect("an address");
    let heard = eavesdrop(target);
    println!("{AGENTS} agents; {} datagrams heard; {rate} datagrams/s at one for {seconds} s", heard.len());

    watch("before", &agents, Duration::from_secs(seconds.min(10)));
    let (before_mb, before) = (resident_mb(agents[0].pid().as_raw()), datagrams(&agents[0]));
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| blast(target, rate, &heard, &stop, &sent));
        watch("during", &agents, Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
    });
    let per_second = sent.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
    println!("sent {per_second:.0} datagrams/s; what the agent counted:");
    for (name, value) in datagrams(&agents[0]) {
        let more = value - before.get(&name).copied().unwrap_or(0.0);
        if more > 0.0 {
            println!("  {name} {more:.0}");
        }
    }
    let calm = poll(Duration::from_secs(30), || all_alive(&beliefs(&agents)).then_some(()));
    println!("all alive to all {} s after: {}", 30, if calm.is_some() { "yes" } else { "no" });
    for (n, of) in beliefs(&agents).iter().enumerate() {
        let said: Vec<String> = of.iter().map(|(name, status)| format!("{name} {status}")).collect();
        println!("  n{n}: {}", said.join(", "));
    }
    println!("memory {before_mb:.1} MB before, {:.1} MB after", resident_mb(agents[0].pid().as_raw()));
}
