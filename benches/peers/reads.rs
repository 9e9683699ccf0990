//! What a reader on one host waits for: Shoal's socket and DNS, the floor, etcd.

use crate::client::{self, CONNECTIONS, INSTANCES, QUERY, Waits, us};
use crate::{dns, etcd, floor};
use std::fmt::Write as _;

/// One server's figures: what one reader waits for, and answers in a second to sixteen.
pub(crate) type Read = (&'static str, Waits, f64);

/// Each for `seconds`, one after the other. etcd is left out where it is not installed.
pub(crate) fn measure(seconds: usize) -> Vec<Read> {
    let dir = tempfile::tempdir().expect("a directory");
    let dns_at = client::free_udp_addr();
    let (agent, socket) = client::start_agent(dir.path(), &["--dns", &dns_at.to_string()]);
    for n in 0..INSTANCES {
        client::register(&socket, "web", &format!("web-{n}"), 8_000 + n);
    }
    let answer = client::call(&socket, QUERY);
    let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let of = |name, (waits, rate)| (name, waits, rate);
    let mut all = vec![
        of("Shoal, Unix socket", client::read_over(&socket, QUERY.as_bytes(), seconds)),
        of("the same answer from a server that does nothing else", {
            floor::floor(dir.path(), body, QUERY.as_bytes(), seconds)
        }),
        of("Shoal, DNS over UDP", dns::dns(dns_at, "web.service.consul", INSTANCES, seconds)),
    ];
    drop(agent);
    // An instance as the agent tells it, so that as much is read.
    let instance = &body[..body.len() / INSTANCES];
    match etcd::etcd(dir.path(), instance, seconds) {
        Some(read) => all.push(of("etcd, range read by its JSON gateway", read)),
        None => eprintln!("etcd is not installed: skipped"),
    }
    all
}

/// As Markdown. Ratios are to the first.
pub(crate) fn table(reads: &[Read]) -> String {
    let mut text = format!(
        "Ten instances of one service, read on one host; answers are kept coming on one connection, then on \
         {CONNECTIONS}.\n\n\
         | server | one reader, p50 us | p99 us | answers/s to {CONNECTIONS} | answers/s, Shoal's socket = 1 |\n\
         |---|---:|---:|---:|---:|\n"
    );
    let first = reads.first().map_or(1.0, |(_, _, rate)| *rate);
    for (name, waits, rate) in reads {
        let (p50, p99) = (us(waits.p50), us(waits.p99));
        writeln!(text, "| {name} | {p50:.1} | {p99:.1} | {rate:.0} | {:.2} |", rate / first)
            .expect("a string takes all");
    }
    text
}
