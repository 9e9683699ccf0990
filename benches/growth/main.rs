//! How cost grows with the cluster: what an agent takes at 10, 100, 1,000 and 10,000 members.
//!
//! - *idle*: datagrams and bytes that an agent sends in a second, and the processor time it takes, in a
//!   simulated cluster that is settled and in which nothing happens. Sealed, with the `lan` profile.
//! - *a change*: an instance is registered on one agent: datagrams, bytes and processor time it takes in all
//!   agents together, over what idling takes, divided by the agents. Several changes, one after the other.
//! - *memory*: what one agent keeps for each member and for each instance, by counting what is allocated.
//!
//! Processor time is that of the simulator's thread, which does the agents' work and moves datagrams between them;
//! so it is more than the agents take, and less than a host takes, which pays system calls too. It is there for how
//! it grows. Traffic is exact.
//!
//! `cargo bench --bench growth` prints tables; `-- DIR` writes charts there too (`docs/performance.md` shows
//! them). `MEMBERS=10,100,1000` makes a quick run of it: 10,000 take a quarter of an hour and 12 GB.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints")]
#![allow(clippy::disallowed_methods, reason = "a bench reads clocks")]
#![allow(missing_docs)]

mod charts;
mod cluster;
mod memory;
#[path = "../support/owners.rs"]
mod owners;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::path::PathBuf;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are taken and not given back.
fn in_use() -> f64 {
    let stats = GLOBAL.stats();
    // A reallocation counts its growth in one of the two.
    stats.bytes_allocated as f64 - stats.bytes_deallocated as f64
}

/// The sizes asked for.
fn sizes() -> Vec<usize> {
    let text = std::env::var("MEMBERS").unwrap_or_else(|_| "10,100,1000,10000".to_owned());
    let number =
        |n: &str| n.trim().parse().unwrap_or_else(|_| panic!("MEMBERS={text}: want numbers, 10,100"));
    text.split(',').map(number).collect()
}

fn main() {
    let directory = std::env::args().skip(1).find(|a| !a.starts_with('-')).map(PathBuf::from);
    println!(
        "| members | idle datagrams/s | idle bytes/s | idle processor, us/s | a change: datagrams an agent | bytes an agent | processor, us an agent |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    let mut costs = Vec::new();
    for members in sizes() {
        let cost = cluster::measure(members);
        println!("{}", cost.row());
        costs.push(cost);
    }
    println!("\n| members | bytes a member | instances | bytes an instance |");
    println!("|---:|---:|---:|---:|");
    let mut kept = Vec::new();
    for members in sizes() {
        let memory = memory::measure(members);
        println!("{}", memory.row());
        kept.push(memory);
    }
    if let Some(directory) = directory {
        charts::write(&directory, &costs, &kept);
    }
}
