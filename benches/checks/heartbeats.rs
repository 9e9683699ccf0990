//! What heartbeats cost an agent.

use super::process::{Line, cpu, quantile};
use super::support::Place;
use serde_json::json;
use std::time::{Duration, Instant};

const PER_MINUTE: u64 = 100_000;
const LINES: u64 = 8;

pub(crate) fn measure(checks: u64, seconds: u64) {
    let place = Place::new();
    let agent = place.start("one", &[]);
    let mut line = Line::open(agent.socket());
    for n in 0..checks {
        let check = json!({"TTL": "120s", "Status": "passing"});
        let body = json!({"Name": "web", "ID": format!("web-{n}"), "Check": check}).to_string();
        assert_eq!(line.put("/v1/agent/service/register", &body), 200);
    }
    let pid = agent.pid().as_raw();
    let (start, spent) = (Instant::now(), cpu(pid));
    let gap = Duration::from_secs(60) / u32::try_from(PER_MINUTE / LINES).expect("is small");
    let socket = agent.socket();
    let mut waits: Vec<f64> = std::thread::scope(|scope| {
        let lines: Vec<_> = (0..LINES)
            .map(|number| {
                scope.spawn(move || {
                    let mut line = Line::open(socket);
                    let mut waits = Vec::new();
                    let mut due = Instant::now();
                    let mut n = number;
                    while start.elapsed() < Duration::from_secs(seconds) {
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        due += gap;
                        let asked = Instant::now();
                        let target = format!("/v1/agent/check/pass/service:web-{}", n % checks);
                        assert_eq!(line.put(&target, ""), 200);
                        waits.push(asked.elapsed().as_secs_f64() * 1e3);
                        n += LINES;
                    }
                    waits
                })
            })
            .collect();
        lines.into_iter().flat_map(|line| line.join().expect("beats")).collect()
    });
    let took = start.elapsed().as_secs_f64();
    let share = (cpu(pid) - spent).as_secs_f64() / took * 100.0;
    waits.sort_by(f64::total_cmp);
    let per_minute = waits.len() as f64 / took * 60.0;
    println!("{per_minute:.0} heartbeats a minute to {checks} TTL checks, {took:.0} s");
    println!(
        "- processor: {share:.1} % of a core, {:.0} us each",
        share / 100.0 * took * 1e6 / waits.len() as f64
    );
    println!(
        "- answered after: median {:.2} ms, p99 {:.2} ms\n",
        quantile(&waits, 0.5),
        quantile(&waits, 0.99)
    );
}
