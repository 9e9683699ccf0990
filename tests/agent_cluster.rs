//! Five agents as processes on loopback: what a cluster promises, seen through its sockets.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod support;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use support::{Agent, Place, poll, request};

/// Five agents, each with its own place, that all know each other.
fn five() -> (Vec<Place>, Vec<Agent>) {
    let places: Vec<Place> = (0..5).map(|_| Place::new()).collect();
    let mut agents: Vec<Agent> = Vec::new();
    for (n, place) in places.iter().enumerate() {
        let first = agents.first().map(Agent::gossip);
        let more: Vec<&str> = first.iter().flat_map(|a| ["--join", a.as_str()]).collect();
        agents.push(place.start(&format!("n{n}"), &more));
    }
    for agent in &agents {
        agent.get_until("/v1/shoal/members", |m| with_status(m, "alive").len() == 5);
    }
    (places, agents)
}

fn with_status(members: &Value, status: &str) -> Vec<String> {
    let list = members.as_array().cloned().unwrap_or_default();
    list.iter()
        .filter(|m| m["status"] == status)
        .filter_map(|m| m["name"].as_str().map(str::to_owned))
        .collect()
}

fn has_instances(count: usize) -> impl Fn(&Value) -> bool {
    move |v: &Value| v.as_array().is_some_and(|list| list.len() == count)
}

const HEALTHY: &str = "/v1/health/service/web?passing";

#[test]
fn a_registration_on_one_is_resolved_on_each_and_its_ttl_is_kept_everywhere() {
    let (_places, agents) = five();
    let body = r#"{"Name": "web", "Port": 80, "Check": {"TTL": "1500ms", "Status": "passing"}}"#;
    assert_eq!(agents[2].put("/v1/agent/service/register", body).status, 200);
    for agent in &agents {
        agent.get_until(HEALTHY, has_instances(1));
    }
    // Nobody beats: it turns critical by itself, everywhere.
    for agent in &agents {
        agent.get_until(HEALTHY, has_instances(0));
        agent.get_until("/v1/health/state/critical", has_instances(1));
    }
    assert_eq!(agents[2].put("/v1/agent/check/pass/service:web", "").status, 200);
    for agent in &agents {
        agent.get_until(HEALTHY, has_instances(1));
    }
}

#[test]
fn a_killed_agent_is_failed_everywhere_and_comes_back_with_its_registrations() {
    let (places, mut agents) = five();
    let body = r#"{"Name": "web", "Port": 80}"#;
    assert_eq!(agents[1].put("/v1/agent/service/register", body).status, 200);
    for agent in &agents {
        agent.get_until(HEALTHY, has_instances(1));
    }
    let before = agents[1].get("/v1/shoal/status").json()["generation"].as_u64().expect("a number");
    agents.remove(1).kill();
    for agent in &agents {
        agent.get_until("/v1/shoal/members", |m| with_status(m, "failed") == ["n1"]);
        agent.get_until(HEALTHY, has_instances(0));
        agent.get_until("/v1/health/service/web", has_instances(1));
    }
    // Without a join address: it remembers its peers.
    let back = places[1].start("n1", &[]);
    for agent in &agents {
        agent.get_until("/v1/shoal/members", |m| with_status(m, "alive").len() == 5);
        agent.get_until(HEALTHY, has_instances(1));
        agent.get_until("/v1/shoal/members", |m| {
            m.as_array().is_some_and(|l| {
                l.iter().any(|m| m["name"] == "n1" && m["generation"].as_u64().is_some_and(|g| g > before))
            })
        });
    }
    assert_eq!(back.put("/v1/agent/leave", "").status, 200);
    for agent in &agents {
        agent.get_until("/v1/shoal/members", |m| with_status(m, "left") == ["n1"]);
        agent.get_until("/v1/health/service/web", has_instances(0));
    }
}

/// A registration without waiting for its answer, and whether the answer came.
fn try_register(agent: &Agent, id: u32) -> Option<UnixStream> {
    let mut stream = UnixStream::connect(agent.socket()).ok()?;
    let body = format!(r#"{{"Name": "web", "ID": "web-{id}", "Port": 80}}"#);
    stream.write_all(request("PUT", "/v1/agent/service/register", &body).as_bytes()).ok()?;
    Some(stream)
}

fn answered(mut stream: UnixStream) -> bool {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok();
    bytes.starts_with(b"HTTP/1.1 200")
}

/// Kills of one agent at random instants while registrations stream in.
const KILLS: u32 = 200;

#[test]
fn whatever_was_acknowledged_survives_two_hundred_kills_at_random_instants() {
    let place = Place::new();
    let mut random = SmallRng::seed_from_u64(20_261_122);
    let mut acknowledged: Vec<u32> = Vec::new();
    let mut next = 0;
    for _ in 0..KILLS {
        let agent = place.start("one", &["--log-level", "warn"]);
        // The clients go on until the agent is gone; it is killed from beside them.
        let kill_after = Duration::from_micros(random.random_range(0..20_000));
        let pid = agent.pid();
        let killer = std::thread::spawn(move || {
            let end = std::time::Instant::now() + kill_after;
            poll(Duration::from_secs(1), || (std::time::Instant::now() >= end).then_some(()));
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it is ours");
        });
        while let Some(stream) = try_register(&agent, next) {
            let id = next;
            next += 1;
            if !answered(stream) {
                break;
            }
            acknowledged.push(id);
        }
        killer.join().expect("the killer ends");
        agent.kill();
    }
    let agent = place.start("one", &[]);
    let services = agent.get("/v1/agent/services").json();
    let lost: Vec<&u32> =
        acknowledged.iter().filter(|id| services.get(format!("web-{id}")).is_none()).collect();
    assert!(lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), acknowledged.len());
    assert!(acknowledged.len() > 100, "only {} were acknowledged at all", acknowledged.len());
}
