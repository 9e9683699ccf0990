//! What sealing takes of an agent's processor time.
//!
//! Seals and opens are counted by the agent itself (datagrams sent and received, and their bytes); one of
//! each is timed here, at two sizes, and what lies between is taken for a line. The rest is division.

use crate::look::counters;
use crate::process::Line;
use crate::support::Agent;
use shoal::model::KeyMaterial;
use shoal::wire::seal::{NONCE_BYTES, SEAL_BYTES, SealKey};
use shoal::wire::{ClusterHash, DatagramBuilder};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SIZES: [usize; 2] = [100, 1_400];
const ROUNDS: u32 = 9;
const EACH: u32 = 5_000;
/// Services of each agent, and how often one of them changes in a second.
const SERVICES: usize = 20;
const CHANGES_PER_S: u32 = 50;

/// Nanoseconds for a call, and for each byte.
#[derive(Clone, Copy)]
struct Cost {
    call: f64,
    byte: f64,
}

impl Cost {
    fn through([small, large]: [f64; 2]) -> Self {
        let byte = (large - small) / (SIZES[1] - SIZES[0]) as f64;
        Self { call: small - byte * SIZES[0] as f64, byte }
    }

    fn of(self, calls: f64, bytes: f64) -> Duration {
        Duration::from_secs_f64((self.call * calls + self.byte * bytes).max(0.0) / 1e9)
    }
}

/// The least time of one call over several rounds, in nanoseconds.
fn least(mut call: impl FnMut(u32)) -> f64 {
    let mut best = f64::INFINITY;
    for round in 0..ROUNDS {
        let began = Instant::now();
        for n in 0..EACH {
            call(round * EACH + n);
        }
        best = best.min(began.elapsed().as_nanos() as f64 / f64::from(EACH));
    }
    best
}

fn measured() -> (Cost, Cost) {
    let key = SealKey::new(&KeyMaterial::from_bytes([7; 32]), "shoal");
    let (mut seal, mut open) = ([0.0; 2], [0.0; 2]);
    for (at, size) in SIZES.into_iter().enumerate() {
        let mut plain = DatagramBuilder::new(ClusterHash::of("shoal"), size).finish();
        plain.resize(size - SEAL_BYTES, 1);
        let sealed = |n: u32| {
            let (mut bytes, mut nonce) = (plain.clone(), [0; NONCE_BYTES]);
            nonce[..4].copy_from_slice(&n.to_le_bytes());
            key.seal(nonce, &mut bytes);
            bytes
        };
        let copied = least(|_| drop(black_box(plain.clone())));
        seal[at] = least(|n| drop(black_box(sealed(n)))) - copied;
        let (datagram, mut body) = (sealed(1), Vec::new());
        open[at] = least(|_| key.open(black_box(&datagram), &mut body).expect("its own seal"));
    }
    (Cost::through(seal), Cost::through(open))
}

/// Processor time of the threads of a process that run now.
fn cpu(agent: &Agent) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", agent.pid())).expect("it runs");
    let of = |task: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.filter_map(of).sum())
}

fn spent(agents: &[Agent]) -> (BTreeMap<String, f64>, Duration) {
    let mut all = BTreeMap::new();
    for agent in agents {
        for (name, value) in counters(agent, |n| n.starts_with("shoal_datagrams_")) {
            *all.entry(name).or_default() += value;
        }
    }
    (all, agents.iter().map(cpu).sum())
}

fn definition(n: usize, port: u32) -> String {
    format!(r#"{{"Name": "s{n}", "Port": {port}, "Check": {{"TTL": "1h", "Status": "passing"}}}}"#)
}

/// Changes one agent's services until told to stop, and so that everybody has to hear of it: checks that
/// keep changing are held back.
fn change(agent: &Agent, stop: &AtomicBool) {
    let mut line = Line::open(agent.socket());
    let started = Instant::now();
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        let body = definition(done as usize % SERVICES, 1 + done % 60_000);
        assert_eq!(line.put("/v1/agent/service/register", &body), 200, "{body}");
        done += 1;
        let due = Duration::from_secs(1) * done / CHANGES_PER_S;
        if let Some(early) = due.checked_sub(started.elapsed()) {
            std::thread::sleep(early);
        }
    }
}

/// Prints what sealing takes of all agents together, first while nothing happens, then while the
/// services of all of them change.
pub(crate) fn print(agents: &[Agent], time: Duration) {
    let (seal, open) = measured();
    for agent in agents {
        for n in 0..SERVICES {
            assert_eq!(agent.put("/v1/agent/service/register", &definition(n, 80)).status, 200);
        }
    }
    std::thread::sleep(Duration::from_secs(5));
    for busy in [false, true] {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            if busy {
                agents.iter().for_each(|agent| drop(scope.spawn(|| change(agent, &stop))));
                std::thread::sleep(Duration::from_secs(2));
            }
            let ((before, cpu_before), began) = (spent(agents), Instant::now());
            std::thread::sleep(time);
            let ((after, cpu), took) = (spent(agents), began.elapsed());
            stop.store(true, Ordering::Relaxed);
            let more = |name: &str| {
                let name = format!("shoal_datagrams_{name}_total");
                after.get(&name).copied().unwrap_or(0.0) - before.get(&name).copied().unwrap_or(0.0)
            };
            let cpu = cpu.saturating_sub(cpu_before);
            let [sent, received] = [more("sent"), more("received")];
            let sealing = seal.of(sent, more("sent_bytes")) + open.of(received, more("received_bytes"));
            let each = took.as_secs_f64() * agents.len() as f64;
            println!(
                "{}: {:.1} sent and {:.1} received a second by each, {:.0} bytes on average; sealing and opening \
                 takes {:.4} ms a second of {:.2} ms: {:.2} %",
                if busy { "busy" } else { "idle" },
                sent / each,
                received / each,
                (more("sent_bytes") + more("received_bytes")) / (sent + received),
                sealing.as_secs_f64() * 1e3 / each,
                cpu.as_secs_f64() * 1e3 / each,
                100.0 * sealing.as_secs_f64() / cpu.as_secs_f64(),
            );
        });
    }
}
