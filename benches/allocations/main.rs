//! How often memory is taken: by the protocol for each datagram and each probe, once a cluster is at rest, and by
//! an agent for each answer on its socket.
//!
//! - *protocol*: ten sealed agents in this process with a network of no distance, five minutes to come to rest,
//!   then ten minutes of which only the agents' own functions are counted. What a user feels: an agent at rest
//!   neither grows nor wakes the allocator.
//! - *reads*: an agent in this process and a reader that takes no memory itself, over a Unix socket, one answer
//!   after the other on a connection that is kept.
//!
//! `cargo bench --bench allocations`. Counts are exact and the same each time for the protocol; for reads, what
//! the agent does beside them is in the figure and makes a few in ten thousand.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench reads clocks and prints")]
#![allow(missing_docs)]

#[path = "../support/in_process.rs"]
mod in_process;
mod protocol;
mod reads;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Calls that took memory so far, and bytes.
fn taken() -> (usize, usize) {
    let stats = GLOBAL.stats();
    (stats.allocations + stats.reallocations, stats.bytes_allocated)
}

fn main() {
    protocol::measure();
    reads::measure();
}
