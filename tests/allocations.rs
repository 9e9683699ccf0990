//! An agent at rest takes no memory: counted, for ten sealed agents that probe each other.

#![allow(clippy::print_stdout, reason = "what was counted is told when it is too much")]

#[path = "../benches/allocations/protocol.rs"]
mod protocol;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn taken() -> (usize, usize) {
    let stats = GLOBAL.stats();
    (stats.allocations + stats.reallocations, stats.bytes_allocated)
}

/// Windows that fill and queues that find their size take some now and then; a datagram and a probe take none.
#[test]
fn a_probe_of_an_agent_at_rest_takes_no_memory() {
    let each = protocol::measure();
    assert!(each < 0.05, "{each} allocations for each probe");
}
