//! What readers of one agent wait for, over its Unix socket.
//!
//! - *one reader*: the time of `GET /v1/health/service/web?passing` with ten instances, on one
//!   connection that is kept.
//! - *sixteen readers*: how many of these are answered in a second on sixteen connections.
//! - *blocked queries*: ten thousand requests wait for a thousand services. What each costs in
//!   resident memory, how long it takes from a change of one service until those who wait for it
//!   have their answers, and that nobody else has one.
//! - *floor*: a server that has the very answer in memory and does nothing else, on the same library: no
//!   agent with this API can be faster.
//! - *DNS*: the addresses of the same ten instances, over UDP; sixteen readers ask one after the other each.
//! - *etcd*, where it is installed: a range read of ten keys through its JSON gateway, the same two
//!   ways, on a server of its own in the same run. It reads from a store that would be linearizable,
//!   asked here for a serializable read; so what it does is more, and what is compared is what a
//!   reader on a host waits for.
//!
//! Run with `cargo bench --bench reads`; `SECONDS=1 BLOCKED=1000` makes a quick run of it. Agent and
//! readers share the machine's processors. The agent is the `shoal` binary of the same build.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench reads clocks and prints")]
#![allow(missing_docs)]

mod blocked;
mod client;
mod dns;
mod etcd;
mod floor;

use blocked::{SERVICES, blocked_queries};
use client::{CONNECTIONS, INSTANCES, QUERY, Waits, call, read_over, register, start_agent};

fn number(name: &str, default: usize) -> usize {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: want a number")))
}

fn tell(what: &str, (waits, rate): (Waits, f64)) {
    println!("{what}, one reader: {waits}");
    println!("{what}, {CONNECTIONS} readers: {rate:.0} answers/s");
}

fn main() {
    floor::run_if_asked();
    let seconds = number("SECONDS", 5);
    let blocked = number("BLOCKED", 10_000);
    let dir = tempfile::tempdir().expect("a directory");
    let dns_at = client::free_udp_addr();
    let (agent, socket) = start_agent(dir.path(), &["--dns", &dns_at.to_string()]);
    for n in 0..INSTANCES {
        register(&socket, "web", &format!("web-{n}"), 8_000 + n);
    }
    let answer = call(&socket, QUERY);
    println!("one answer has {INSTANCES} instances and {} bytes, head included", answer.len());
    tell("shoal", read_over(&socket, QUERY.as_bytes(), seconds));
    let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    tell("floor", floor::floor(dir.path(), body, QUERY.as_bytes(), seconds));
    tell("shoal by DNS", dns::dns(dns_at, "web.service.consul", INSTANCES, seconds));

    for n in 0..SERVICES {
        register(&socket, &format!("s{n}"), &format!("s{n}-0"), 9_000);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("builds");
    runtime.block_on(blocked_queries(agent.0.id(), socket, blocked));
    runtime.shutdown_background();
    drop(agent);
    // An instance as the agent tells it, so that as much is read.
    let instance = &answer[answer.len() - (answer.len() - 400) / INSTANCES..];
    match etcd::etcd(dir.path(), instance, seconds) {
        Some(read) => tell("etcd", read),
        None => println!("etcd is not installed (Debian: etcd-server): not compared"),
    }
}
