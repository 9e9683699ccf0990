//! How soon many registrations are durable, and what they cost the agent.
//!
//! 32 callers, each on a connection of its own, register instances one after the other; each call returns
//! when its registration is on the disk. A user feels it when a host with thousands of instances starts.
//! What one costs must not grow with how many there are: the second thousand and the twentieth take alike.
//!
//! Run with `cargo bench --bench registrations`; `COUNT` (20,000) changes the size.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench reads clocks and prints")]
#![allow(missing_docs)]

#[path = "checks/process.rs"]
#[allow(dead_code, reason = "another bench uses the rest")]
mod process;
#[path = "../tests/support/agent_process.rs"]
mod support;

use process::{Line, cpu, resident_mb};
use serde_json::json;
use std::time::Instant;
use support::Place;

const CALLERS: usize = 32;
/// Parts in which the whole is told.
const PARTS: usize = 4;

fn main() {
    let count = std::env::var("COUNT").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000_usize);
    let place = Place::new();
    let agent = place.start("one", &[]);
    let (pid, socket) = (agent.pid().as_raw(), agent.socket());
    println!("{count} registrations by {CALLERS} callers, each durable before its call returns\n");
    println!("| registered before | s | a second | processor of the agent, us each | resident, MB |");
    println!("|---:|---:|---:|---:|---:|");
    let mut lines: Vec<Line> = (0..CALLERS).map(|_| Line::open(socket)).collect();
    for part in 0..PARTS {
        let (from, until) = (count * part / PARTS, count * (part + 1) / PARTS);
        let (began, spent) = (Instant::now(), cpu(pid));
        std::thread::scope(|scope| {
            for (caller, line) in lines.iter_mut().enumerate() {
                scope.spawn(move || {
                    for n in (from + caller..until).step_by(CALLERS) {
                        let meta = json!({"rack": (n % 40).to_string()});
                        let body = json!({
                            "ID": format!("web-{n}"), "Name": format!("web{}", n % 200), "Port": 1 + n % 60_000,
                            "Address": "10.0.0.1", "Tags": ["v1", "blue"], "Meta": meta,
                        });
                        assert_eq!(line.put("/v1/agent/service/register", &body.to_string()), 200);
                    }
                });
            }
        });
        let (took, many) = (began.elapsed().as_secs_f64(), (until - from) as f64);
        let each = (cpu(pid) - spent).as_secs_f64() * 1e6 / many;
        println!("| {from} | {took:.2} | {:.0} | {each:.0} | {:.1} |", many / took, resident_mb(pid));
    }
}
