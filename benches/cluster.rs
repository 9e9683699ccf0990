//! Five real agents on loopback: what their users wait for.
//!
//! - *join*: from the start of the last agent until all see all.
//! - *spread*: from the call that registers until the instance is visible on all five, over 100
//!   registrations. A user feels it as the age of `resolve`.
//! - *crash*: from `kill -9` until all others list the node as failed.
//! - *leave*: from the call that leaves until all others list the node as left.
//!
//! Run with `cargo bench --bench cluster`. Prints milliseconds; the polling itself takes about
//! half a millisecond a round.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench reads clocks and prints")]
#![allow(missing_docs)]

#[path = "../tests/support/agent_process.rs"]
mod support;

use serde_json::Value;
use std::time::{Duration, Instant};
use support::{Agent, PATIENCE, Place, poll};

const REGISTRATIONS: usize = 100;

fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1e3
}

/// Time until `done` holds for every agent.
fn until_all(agents: &[Agent], since: Instant, done: impl Fn(&Agent) -> bool) -> Duration {
    for agent in agents {
        poll(PATIENCE, || done(agent).then_some(())).expect("it comes to pass");
    }
    since.elapsed()
}

fn count(members: &Value, status: &str) -> usize {
    members.as_array().map_or(0, |l| l.iter().filter(|m| m["status"] == status).count())
}

fn see(agent: &Agent, status: &str, wanted: usize) -> bool {
    count(&agent.get("/v1/shoal/members").json(), status) == wanted
}

fn main() {
    let places: Vec<Place> = (0..5).map(|_| Place::new()).collect();
    let mut agents: Vec<Agent> = Vec::new();
    let mut last = Instant::now();
    for (n, place) in places.iter().enumerate() {
        let first = agents.first().map(Agent::gossip);
        let mut more = vec!["--profile", "lan"];
        more.extend(first.iter().flat_map(|a| ["--join", a.as_str()]));
        agents.push(place.start(&format!("n{n}"), &more));
        last = Instant::now();
    }
    println!(
        "join: all see all {:.1} ms after the last start",
        ms(until_all(&agents, last, |a| see(a, "alive", 5)))
    );

    let mut spread: Vec<f64> = Vec::new();
    let mut call: Vec<f64> = Vec::new();
    for n in 0..REGISTRATIONS {
        let body = format!(r#"{{"Name": "web-{n}", "Port": 80}}"#);
        let start = Instant::now();
        assert_eq!(agents[n % 5].put("/v1/agent/service/register", &body).status, 200);
        call.push(ms(start.elapsed()));
        let path = format!("/v1/catalog/service/web-{n}");
        let all = until_all(&agents, start, |a| a.get(&path).json().as_array().is_some_and(|l| l.len() == 1));
        spread.push(ms(all));
    }
    spread.sort_by(f64::total_cmp);
    call.sort_by(f64::total_cmp);
    let at = |v: &[f64], q: usize| v[(v.len() * q / 100).min(v.len() - 1)];
    println!(
        "spread of {REGISTRATIONS}: median {:.1} ms, p99 {:.1} ms, max {:.1} ms (the durable call itself: median {:.1} ms)",
        at(&spread, 50),
        at(&spread, 99),
        at(&spread, 100),
        at(&call, 50)
    );

    let leaver = agents.pop().expect("five agents");
    let start = Instant::now();
    assert_eq!(leaver.put("/v1/agent/leave", "").status, 200);
    println!("leave: left everywhere after {:.1} ms", ms(until_all(&agents, start, |a| see(a, "left", 1))));

    let victim = agents.pop().expect("four agents");
    let start = Instant::now();
    victim.kill();
    println!(
        "crash: failed everywhere after {:.1} ms",
        ms(until_all(&agents, start, |a| see(a, "failed", 1)))
    );

    let start = Instant::now();
    agents.push(places[3].start("n3", &["--profile", "lan"]));
    let back = until_all(&agents, start, |a| {
        see(a, "failed", 0)
            && a.get("/v1/health/service/web-3?passing").json().as_array().is_some_and(|l| l.len() == 1)
    });
    println!("restart: its registrations are back everywhere {:.1} ms after the process started", ms(back));
}
