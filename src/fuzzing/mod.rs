//! Bytes of strangers, and what must hold whatever they are.
//!
//! Each function takes any bytes and panics where a promise is broken; `fuzz/` drives them with
//! coverage, and the corpora there are replayed by `cargo test`. Owns the promises; what is private to
//! a room is asked through that room's own `fuzzing` module. Nothing of this runs in an agent.

mod input;
mod stateful;

pub use stateful::agent;

use crate::core::{Agent, Config, Identity, Settings};
use crate::model::{Generation, Instant, LocalState, NodeId, NodeName};
use crate::{agent as shell, api, dns, wire};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A target of `fuzz/`.
pub type Target = fn(&[u8]);

/// Every target with its name, which is that of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("datagram", datagram),
    ("frame", frame),
    ("state_file", state_file),
    ("http_body", http_body),
    ("filter", filter),
    ("dns", dns),
    ("service_file", service_file),
    ("agent", agent),
];

const CLUSTER: &str = "fuzz";

/// A datagram, as it is and behind a valid header: it opens or is dropped, every frame in it is one
/// that can be sent on, and every record in it keeps its owner's bytes.
pub fn datagram(data: &[u8]) {
    wire::fuzzing::datagram(data, CLUSTER);
}

/// The kind and the body of one frame: what was read is written and read again as the same.
pub fn frame(data: &[u8]) {
    if let Some((kind, body)) = data.split_first() {
        wire::fuzzing::frame(*kind, body);
    }
}

/// A file of the data directory, as it is and as the payload of a whole one, of registrations or of the
/// keyring: what is restored can be saved, and is restored as the same. Keyrings that were kept are merged
/// to the same from either side.
pub fn state_file(data: &[u8]) {
    shell::fuzzing::state_file(data);
}

/// The body of a registration, after a byte that says of what: what is accepted by the API and by the
/// agent is the same after a restart.
pub fn http_body(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else { return };
    let Some(command) = api::fuzzing::command(*kind, body) else { return };
    let mut agent = one_agent("fuzz", 1);
    let web = api::fuzzing::command(0, br#"{"Name": "web", "Check": {"TTL": "1m"}}"#);
    let web = web.expect("this is a registration");
    agent.apply(&web, Instant::START).expect("there is room for one");
    if agent.apply(&command, Instant::START).is_ok() {
        shell::fuzzing::survives(agent.local());
    }
}

/// A filter, tried on one element of each kind.
pub fn filter(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        api::fuzzing::filter(text);
    }
}

/// A DNS message, and what a recursor says to it: two bytes of length, the message, the rest.
pub fn dns(data: &[u8]) {
    dns::fuzzing::message(data);
}

/// A file in TOML or JSON, after a byte that says which: its definitions are taken over by an agent
/// or refused, and are the same after a restart.
pub fn service_file(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Some(command) = shell::fuzzing::definitions(kind % 2 == 0, text) else { return };
    let mut agent = one_agent("fuzz", 1);
    if agent.apply(&command, Instant::START).is_ok() {
        shell::fuzzing::survives(agent.local());
    }
}

fn addr(n: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], n))
}

fn identity(name: &str, n: u16, generation: Generation) -> Identity {
    Identity {
        cluster: CLUSTER.to_owned(),
        name: NodeName::new(name).expect("is a name"),
        id: NodeId::from_random(u128::from(n)),
        addr: addr(n),
        generation,
        tags: BTreeMap::new(),
    }
}

/// Small limits, so that they are reached.
fn small() -> Config {
    let settings =
        Settings { max_members: 20, max_entries_per_node: 30, max_rumours: 64, ..Settings::local() };
    Config::new(settings).expect("is valid")
}

fn one_agent(name: &str, n: u16) -> Agent {
    let identity = identity(name, n, Generation(1_000));
    Agent::new(identity, small(), LocalState::default(), Vec::new(), u64::from(n), Instant::START)
}
