//! Small times, and what a user feels of each: `cargo bench --bench micro`, or with a part of a name after `--`.

#![allow(clippy::disallowed_methods, reason = "a bench reads clocks and waits")]
#![allow(missing_docs, reason = "what each measures stands at its function")]

mod answers;
#[path = "../support/in_process.rs"]
mod in_process;
#[path = "../support/owners.rs"]
mod owners;
mod protocol;
mod view;
mod wire;

use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;

/// Some seconds each: the machines that run this have other things to do as well.
fn quick() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30)
        .without_plots()
}

criterion_group! {
    name = all;
    config = quick();
    targets = wire::datagrams, wire::seals, protocol::pings, protocol::records, protocol::digests,
        view::publish, view::lookup, answers::dns, answers::filters
}
criterion_main!(all);
